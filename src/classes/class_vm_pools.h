/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that go to another pool or come from there (docs/decisions/0017). VM.migration of such a VM:
 *   pools      "copying" or "given" in the pool that it leaves, "arriving", "ready" or "lost" in the one that it comes
 *              to
 *   live       of one that runs; with it, in the pool that it comes to: to, as host; machine, what its guest sees
 *   id, secret of this move; both pools know them
 *   master, authority   where the other pool is, and the fingerprint that it must show (in the pool that it leaves)
 *   host       uuid of the host that it comes to
 *   disks      uuids of its disks in this pool, with blanks: those that go along, or that are made for it
 * Loop thread, coordinator.
 */
#pragma once

#include "api/api.h"
#include "classes/vm_pools_core.h"
#include "classes/vm_pools_untold_core.h"
#include "wire/tls.h"

#define POOLS_KEY "pools"
#define POOLS_LIVE "live"
#define POOLS_DISKS_MAX 32
#define POOLS_JSON_MAX (1 << 20)

/* It is on its way between pools: nobody may start it, nor change it. */
bool vm_pools_hold(const struct row *vm);
/* False with *errp while it is. `vm` may be NULL: what belongs to no VM is free. */
bool vm_pools_check(const struct row *vm, struct error **errp) _warn_unused_;
/* A field that goes along as it is: of the database, no reference, nothing of the pool's own. */
bool vm_pools_travels(const struct field_def *f);

/* ---- class_vm_pools_send.c: VM.migrate_send to another pool ---- */
struct pools_dest {         /* what host.migrate_receive said; texts owned */
    char *master, *address; /* of the coordinator there, and of the host on the network used */
    char authority[TLS_FINGERPRINT_SIZE];
    char *session, *host; /* references there */
    int64_t mtu;          /* of that network, as the other pool has it */
};
void pools_dest_done(struct pools_dest *d);
/* False with *errp when it is not such a map. */
bool pools_dest_read(const struct value *map, struct pools_dest *ret, struct error **errp) _warn_unused_;
/* Ends the call. */
void class_vm_pools_send(struct call *c, const struct row *vm, const struct value *dest, bool only_asks);
/* What the other pool is asked, without the secret: a map; VALUE_VOID with *errp when the VM cannot go. */
struct value pools_request(struct call *c, const struct row *vm, struct error **errp);

/* ---- class_vm_pools_leave.c: from the record on ---- */
struct vm_op;
/* Takes over the operation: copies, gives, has it taken. `request` and `dest` are taken. */
void pools_leave_begin(struct vm_op *op, struct value request, struct pools_dest dest);

/* ---- class_vm_pools_arrive.c, class_vm_pools_settle.c: in the pool that it comes to ---- */
/* The rows and disks of one that is not to come (any more) go; then `done` (may be NULL). */
void pools_arrival_remove(struct api *a, const struct uuid *vm, const char *id, void (*done)(void *userdata),
                          void *userdata);
/* It is this pool's from now on, and (one that runs) goes on where its memory is. */
void pools_take(struct db *d, struct db_txn *t, const struct row *vm);
/* From time to time: moves whose daemon has died, and those of which nothing is heard. */
void class_vm_pools_look(struct api *a);

/* ---- class_vm_pools_untold.c: in the pool that it was to leave, when it stays ---- */
/* Adds to the transaction that takes a VM's record away: the other pool is to forget the move. */
void pools_untold_add(struct api *a, struct db_txn *txn, const struct row *vm);
/* After it, and from time to time. */
void class_vm_pools_untold_look(struct api *a);

/* ---- class_vm_pools_remote.c ---- */
struct pools_remote;
typedef void pools_answer_fn(const struct value *result, const struct error *error, void *userdata);
struct pools_remote *pools_remote_new(struct api *a, const char *master, const char *authority);
void pools_remote_free(struct pools_remote *r); /* calls under way end without a word */
/* One call at a time; params are taken. Follows to another coordinator of that pool. */
void pools_remote_call(struct pools_remote *r, const char *method, struct value params, unsigned timeout_ms,
                       pools_answer_fn *fn, void *userdata);
