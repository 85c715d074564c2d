/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person's word that a host is off: its VMs may start elsewhere, and it holds no disk of shared storage any more.
 * Nobody else says so: a host that is cut off from its pool may run its VMs well (docs/decisions/0010).
 */
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/store_calls.h"
#include "gen_handlers.h"
#include "store/store_place_core.h"

#define BREAK_MS 30000

/* The next shared SR after the one of this uuid ("": from the first), in the order of rows. */
static const struct row *next_shared(struct db *d, const char *after) {
    bool is_after = !*after;
    for (const struct row *sr = db_first(d, CLASS_SR); sr; sr = db_next(d, sr)) {
        if (is_after && store_type_has_leases(row_str(sr, FIELD_SR_type)) && row_value(sr, FIELD_SR_PBDs)->set.n)
            return sr;
        is_after |= str_eq(row_str(sr, FIELD_SR_uuid), after);
    }
    return NULL;
}

static void break_next(struct vm_op *op);

static void on_broken(struct vm_op *op, const struct value *result) {
    break_next(op);
}

static void not_broken(struct vm_op *op, struct error *e) {
    error_wrap(&e,
               "its VMs are halted now, but leases of disks are still its own; say it again when the storage answers");
    vm_op_fail(op, e);
}

static void break_next(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct row *sr = next_shared(d, value_str(vm_op_data(op)));
    struct error *e = NULL;
    if (!sr) {
        vm_op_return_void(op);
        return;
    }
    const struct row *host = store_host(call_api(vm_op_call(op)), sr, &e);
    if (!host) {
        not_broken(op, e);
        return;
    }
    value_done(vm_op_data(op));
    *vm_op_data(op) = value_string(row_str(sr, FIELD_SR_uuid));
    struct value args = store_args(d, "lease_break", &sr->uuid, &host->uuid);
    char text[UUID_TEXT_SIZE];
    value_map_add(&args, "holder", value_string(uuid_text(call_arg_ref(vm_op_call(op), 0), text)));
    vm_op_on_failure(op, not_broken);
    vm_op_ask(op, &host->uuid, "store", args, BREAK_MS, on_broken);
}

void host_declare_dead(struct call *c) {
    const struct row *h = class_dead_host(c);
    if (!h)
        return;
    /* That the host is taken for dead is host_metrics.live already; its VMs may start elsewhere from now on. */
    struct vm_op *op = vm_op_plain(c);
    struct db_txn *t = db_txn_new(call_db(c), "host.declare_dead");
    *vm_op_data(op) = value_string("");
    class_end_guests(c, t, h);
    if (!db_txn_is_empty(t)) {
        vm_op_commit(op, t, break_next);
        return;
    }
    db_txn_abandon(t);
    break_next(op);
}

/* ---- one disk ---- */

static void on_unlocked(struct vm_op *op, const struct value *result) {
    vm_op_return_void(op);
}

void vdi_force_unlock(struct call *c) {
    const struct row *vdi = call_arg_row(c, 0), *sr = vdi ? db_follow(call_db(c), vdi, FIELD_VDI_SR) : NULL;
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    if (!vdi)
        return;
    const struct row *host = NULL;
    if (!sr)
        error_set(&e, ERR_VDI_NOT_AVAILABLE, ref_text(&vdi->uuid, ref), NULL);
    else if (!store_type_has_leases(row_str(sr, FIELD_SR_type)))
        error_set(&e, ERR_SR_OPERATION_NOT_SUPPORTED, ref_text(&sr->uuid, ref), NULL);
    else
        host = store_host(call_api(c), sr, &e);
    if (!host) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vdi, "force_unlock");
    if (op)
        vm_op_ask(op, &host->uuid, "store", store_disk_args(call_db(c), "lease_break", vdi, &host->uuid), BREAK_MS,
                  on_unlocked);
}
