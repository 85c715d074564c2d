/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call put together from what was typed: parameters in order, then one of the ends. What goes wrong on the way is
 * remembered, and the end reports it and calls nothing.
 */
#pragma once

#include "cli/xe.h"

#define REQUEST_MAX_PARAMS 16

struct request {
    struct xe *x;
    struct value params[REQUEST_MAX_PARAMS]; /* owned until an end */
    unsigned n;
    struct error **errp;
};

struct request request_new(struct xe *x, struct error **errp);
bool request_is_good(const struct request *r);

void request_add(struct request *r, struct value v);                             /* takes v */
void request_add_text(struct request *r, const char *key, const char *fallback); /* NULL: it must be there */
void request_add_file(struct request *r, const char *key, bool is_optional);     /* what is in it; of 64 KiB at most */
void request_add_bool(struct request *r, const char *key, bool fallback);        /* true or false */
void request_add_int(struct request *r, const char *key, int64_t min, int64_t max); /* it must be there */
void request_add_object(struct request *r, int class_id, const char *key);          /* uuid, which must be there */
void request_add_objects(struct request *r, int class_id, const char *key);         /* uuids with commas */
void request_add_map(struct request *r, const char *prefix);                        /* "properties:k=v" */

/* The ends. */
bool request_call(struct request *r, const char *method, struct value *ret) _warn_unused_;
bool request_call_void(struct request *r, const char *method) _warn_unused_;
/* Prints the uuid behind the reference that comes back; several on a line each, or with commas for --minimal. */
bool request_print_uuids(struct request *r, const char *method) _warn_unused_;
bool request_print_text(struct request *r, const char *method) _warn_unused_;
