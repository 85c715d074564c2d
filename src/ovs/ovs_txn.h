/* SPDX-License-Identifier: Apache-2.0 */
/* The switch's database language: rows into ovs_state, changes into one transaction. Pure; any thread. */
#pragma once

#include <jansson.h>

#include "ovs/ovs.h"

#define OVS_DATABASE "Open_vSwitch"

/* Parameters of the "transact" that reads all we need; the answer goes to ovs_txn_parse. A new reference. */
json_t *ovs_txn_read(void);
/* False with OVSDB's or our own error when the answer is not what the schema promises. */
bool ovs_txn_parse(const json_t *result, struct ovs_state *ret, struct error **errp) _warn_unused_;

/*
 * Parameters of the "transact" that performs all ops on top of `state`, ends with next_cfg += 1 and a select of
 * next_cfg. False with ERR_OVS_REFUSED when an op names something that does not exist. *ret is a new reference.
 */
bool ovs_txn_build(const struct ovs_state *state, const struct ovs_op *ops, size_t n, const char *comment, json_t **ret,
                   struct error **errp) _warn_unused_;
/* next_cfg out of the answer to such a transaction; -1 when it is not there. */
int64_t ovs_txn_cfg(const json_t *result);

/* The text of a bond/show answer. */
void ovs_bond_parse(const char *text, struct ovs_bond_status *ret);
