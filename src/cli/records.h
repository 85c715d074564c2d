/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the pool as xe sees them: fetched once per class and only when needed, looked at by xe's names of fields,
 * turned into the texts that XenServer's xe prints. One thread.
 */
#pragma once

#include "client/client.h"
#include "model/cli_table.h"

#define RECORDS_NOT_IN_DATABASE "<not in database>"     /* the null reference */
#define RECORDS_INVALID_REFERENCE "<invalid reference>" /* one to an object that is gone */
#define RECORDS_EXPENSIVE "<expensive field>"           /* what -list does not ask for */

struct records;
struct records *records_new(struct client *c); /* NULL: nothing can be fetched, see records_put */
void records_free(struct records *r);
void records_forget(struct records *r); /* fetch anew */
/* All records of a class: a map from reference text to record; borrowed. NULL with *errp. */
const struct value *records_all(struct records *r, int class_id, struct error **errp);
/* Puts all records of a class there, instead of fetching them. */
void records_put(struct records *r, int class_id, struct value all);

/* The text of a field of a record; caller frees. NULL with *errp when it cannot be fetched. */
char *records_field(struct records *r, const struct cli_class *c, const struct value *record, const struct cli_field *f,
                    struct error **errp);
/* Whether the record passes "field=value", "map:key=value" or "set:contains=value". False with *errp for an unknown
 * field. */
bool records_match(struct records *r, const struct cli_class *c, const struct value *record, const char *key,
                   const char *value, bool *ret, struct error **errp) _warn_unused_;
/* The field that "field" or "field:key" names; NULL with *errp. */
const struct cli_field *records_filter_field(const struct cli_class *c, const char *key, struct error **errp);
/* The raw value of a field, or NULL when there is none. Borrowed. */
const struct value *records_value(struct records *r, const struct cli_class *c, const struct value *record,
                                  const struct cli_field *f, struct error **errp);
/* Any value as xe prints it; `t` may be NULL. Caller frees. */
char *records_text(const struct type_def *t, const struct value *v);
/* Classes that the path of a field passes through: their ids are added to `ret`, which has room for N_CLASSES bools. */
void records_classes_of_field(const struct cli_class *c, const struct cli_field *f, bool ret[static N_CLASSES]);
