/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the pool as xe sees them: fetched once per class, looked at by xe's names of fields, printed as
 * XenServer's xe prints. One thread. */
#pragma once

#include "client/client.h"
#include "model/cli_table.h"

struct records;
struct records *records_new(struct client *c);
void records_free(struct records *r);
/* All records of a class: a map from reference text to record; borrowed. NULL with *errp. */
const struct value *records_all(struct records *r, int class_id, struct error **errp);
/* The text of a field of a record, by xe's name; false when the class has no such field. Caller frees. */
bool records_field(struct records *r, const struct cli_class *c, const struct value *record, const struct cli_field *f,
                   char **ret, struct error **errp) _warn_unused_;
/* Whether the record passes "field=value", "map:key=value" or "set:contains=value". False with *errp for an unknown
 * field. */
bool records_match(struct records *r, const struct cli_class *c, const struct value *record, const char *key,
                   const char *value, bool *ret, struct error **errp) _warn_unused_;
/* Any value as xe prints it. Caller frees. */
char *records_text(const struct value *v);
/* The raw value of a field's path, or NULL. Borrowed. */
const struct value *records_value(struct records *r, const struct cli_class *c, const struct value *record,
                                  const char *path, struct error **errp);
