/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that the files of several classes share. Loop thread only. */
#pragma once

#include "api/api.h"

/* Every row that a set of references names. */
void class_delete_set(struct db_txn *t, int class_id, const struct value *set);

/* All hosts of the pool; the caller frees. */
struct uuid *class_all_hosts(struct db *d, size_t *ret_n);

/* For hooks: `data` is a kept call, which returns void or fails. */
void class_op_done(struct error *error, void *data);
/* For hooks whose answer nobody waits for. */
void class_ask_ignored(struct error *error, const struct value *result, void *data);
/* Asks a host to do something with itself and answers the call with how that went. */
void class_host_op(struct call *c, enum api_host_op op, const struct uuid *host, const struct value *args);

/* Whether a PIF may carry management; `old` does so now (may be NULL). */
struct net_change;
bool class_check_management(struct db *d, const struct row *pif, const struct row *old,
                            struct error **errp) _warn_unused_;
void class_move_management(struct net_change *ch, const struct row *old, const struct row *pif);

/* No VM is on the host; false with the call failed (HOST_HAS_RESIDENT_VMS). */
bool class_check_no_guests(struct call *c, const struct row *host);
/* The host of the call when it is neither this one nor a live one; NULL with the call failed. */
const struct row *class_dead_host(struct call *c);
/* By a person's word the host is dead, and with it what ran there. */
void class_end_guests(struct call *c, struct db_txn *t, const struct row *host);
