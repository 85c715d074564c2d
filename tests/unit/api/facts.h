/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datamodel/xenapi.tsv as tests read it: what the API has, told by something else than the tables under test. All texts
 * belong to the list.
 */
#pragma once

#include "model/model.h"

struct fact {
    const char *kind; /* "class", "field" or "call" */
    const char *class_name;
    const char *name;   /* of the field or call; "" for a class */
    const char *type;   /* of the field; the call's result */
    const char *role;   /* of the call */
    const char *access; /* of the field */
    const char *preset; /* its default as JSON, "" when it has none */
};

struct facts {
    struct fact *items;
    size_t n;
    char *text;
};

/* Ends the test when the file cannot be read. */
void facts_read(struct facts *ret, const char *path);
void facts_done(struct facts *f);
/* NULL when the API has no such call: one of our own, or one that its reference does not list. */
const struct fact *facts_call(const struct facts *f, const char *class_name, const char *name);
