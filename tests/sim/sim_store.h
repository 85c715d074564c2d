/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of an OVSDB database and what a transaction makes of them: a small model of RFC 7047, as far as the pool uses it
 * (insert, update, mutate, delete, wait, comment; weak references). A state is {table: {uuid: row}}; rows are never
 * altered, only replaced, so states share them.
 */
#pragma once

#include <jansson.h>

#include "base/uuid.h"

/*
 * Runs the operations of `params` ([database, op, ...]) on `state`, which stays as it is. *ret_changes: NULL when the
 * transaction failed, else an array of [table, uuid, row or null]. Returns the result as the server would send it.
 */
json_t *store_transact(json_t *state, const json_t *params, json_t **ret_changes);
/* Applies changes; `updates` (may be NULL) gets what a monitor is told: {table: {uuid: {op: columns}}}. */
void store_apply(json_t *state, const json_t *changes, json_t *updates);
/* All of a state as a monitor's first answer ("initial"), or as changes. */
json_t *store_snapshot(json_t *state);
json_t *store_as_changes(json_t *state);
/* What has to be done to `from` to get `to`. */
json_t *store_difference(json_t *from, json_t *to);
