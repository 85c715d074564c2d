/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notation of OVSDB (RFC 7047 section 5.1) in jansson values: ["uuid",..], ["set",[..]], ["map",[[k,v],..]] and the
 * operations of a transaction. Functions that return json_t give a new reference; parameters called `taken` are stolen,
 * all others borrowed. A single atom stands for a set of one. Not thread-safe.
 */
#pragma once

#include <jansson.h>

#include "base/uuid.h"

json_t *ovsdb_uuid(const struct uuid *u);
bool ovsdb_uuid_parse(const json_t *v, struct uuid *ret) _warn_unused_; /* ["uuid", text] */
json_t *ovsdb_set(json_t *items_taken);                                 /* of an array */
json_t *ovsdb_map(json_t *pairs_taken);                                 /* of an array of [key, value] */

/* Reading a set: any atom is a set of one. False when v is neither. */
bool ovsdb_is_set(const json_t *v);
size_t ovsdb_set_size(const json_t *v);
const json_t *ovsdb_set_item(const json_t *v, size_t i); /* borrowed; NULL beyond the end */

bool ovsdb_is_map(const json_t *v); /* every pair is checked */
size_t ovsdb_map_size(const json_t *v);
/* Borrowed; false beyond the end. */
bool ovsdb_map_pair(const json_t *v, size_t i, const json_t **ret_key, const json_t **ret_value);

/* ---- operations ---- */
json_t *ovsdb_where_uuid(const struct uuid *u);
json_t *ovsdb_op_insert(const char *table, const struct uuid *u, json_t *row_taken);
json_t *ovsdb_op_update(const char *table, const struct uuid *u, json_t *row_taken);
json_t *ovsdb_op_mutate(const char *table, const struct uuid *u, json_t *mutations_taken);
json_t *ovsdb_op_delete(const char *table, const struct uuid *u);
/* Fails the transaction at once ("timed out") unless the row is there and its columns are those of `row_taken`. */
json_t *ovsdb_op_wait(const char *table, const struct uuid *u, json_t *row_taken);
json_t *ovsdb_op_comment(const char *text);
