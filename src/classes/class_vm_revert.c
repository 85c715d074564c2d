/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class VM: going back to a snapshot. The VM is ended if it runs; the snapshot's disks are forked; one transaction
 * gives the VM those forks, the snapshot's devices and its settings; then the disks that it had before go. Until that
 * transaction the VM is what it was.
 */
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm_copy.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

#define END_MS 30000

/*
 * The operation is on the VM. Its data: snapshot (uuid text), made (entries of class_vm_copy.h, whose vbd is one of the
 * snapshot), next, memory and memory_sr (the copy of a checkpoint's memory), old: a set of uuid texts, disks to remove.
 */

static int64_t next_of(struct vm_op *op) {
    return value_as_int(value_map_get(vm_op_data(op), "next"));
}

static const struct row *snapshot_of(struct vm_op *op) {
    struct uuid u;
    struct error *e = NULL;
    const char *text = str_or_empty(value_map_str(vm_op_data(op), "snapshot"));
    const struct row *r = uuid_parse(text, &u) ? db_get(vm_op_db(op), CLASS_VM, &u) : NULL;
    if (r)
        return r;
    error_set(&e, ERR_HANDLE_INVALID, "VM", text, NULL);
    vm_copy_undo(op, e);
    return NULL;
}

/* ---- the disks that it had go, and what nothing goes on from any more ---- */

static void next_old(struct vm_op *op);

static void on_old_written(struct vm_op *op) {
    next_old(op);
}

static struct uuid old_at(struct vm_op *op) {
    struct uuid u = {0};
    const struct value *old = value_map_get(vm_op_data(op), "old");
    int64_t i = next_of(op) - 1;
    if (i >= 0 && i < (int64_t)old->set.n)
        (void)!uuid_parse(value_str(&old->set.items[i]), &u);
    return u;
}

static void on_old_removed(struct vm_op *op, const struct value *result) {
    struct db *d = vm_op_db(op);
    struct uuid u = old_at(op);
    const struct row *vdi = db_get(d, CLASS_VDI, &u), *base = vdi ? store_base_of(d, vdi) : NULL;
    if (!vdi) {
        next_old(op);
        return;
    }
    if (base && !row_bool(base, FIELD_VDI_managed)) /* looked at in its turn, when this one is gone */
        value_set_add(value_map_get(vm_op_data(op), "old"), value_string(row_str(base, FIELD_VDI_uuid)));
    struct db_txn *t = db_txn_new(d, "a disk from before a revert");
    db_txn_delete(t, CLASS_VDI, &vdi->uuid);
    vm_op_commit(op, t, on_old_written);
}

/* The VM is reverted; what cannot be removed now is found as a disk that nobody has. */
static void old_failed(struct vm_op *op, struct error *e) {
    error_free(e);
    next_old(op);
}

static void next_old(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    value_map_put(vm_op_data(op), "next", value_int(next_of(op) + 1));
    const struct value *old = value_map_get(vm_op_data(op), "old");
    if (next_of(op) > (int64_t)old->set.n) {
        vm_op_return_void(op);
        return;
    }
    struct uuid u = old_at(op);
    const struct row *vdi = db_get(d, CLASS_VDI, &u), *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
    struct error *e = NULL;
    const struct row *host = sr && !store_is_base(d, vdi) && row_value(vdi, FIELD_VDI_VBDs)->set.n == 0
                                 ? store_host(call_api(vm_op_call(op)), sr, &e)
                                 : NULL;
    vm_op_on_failure(op, old_failed);
    if (host) {
        vm_op_ask(op, &host->uuid, "store", store_disk_args(d, "vdi_destroy", vdi, &host->uuid), STORE_MS,
                  on_old_removed);
        return;
    }
    error_free(e);
    next_old(op);
}

static void on_reverted(struct vm_op *op) {
    value_map_put(vm_op_data(op), "next", value_int(0));
    next_old(op);
}

/* ---- rows ---- */

static bool stays(unsigned field) {
    static const unsigned fields[] = {FIELD_VM_name_label,
                                      FIELD_VM_name_description,
                                      FIELD_VM_is_a_template,
                                      FIELD_VM_is_default_template,
                                      FIELD_VM_is_a_snapshot,
                                      FIELD_VM_snapshot_of,
                                      FIELD_VM_snapshot_time,
                                      FIELD_VM_snapshot_info,
                                      FIELD_VM_snapshot_metadata,
                                      FIELD_VM_parent,
                                      FIELD_VM_resident_on,
                                      FIELD_VM_power_state,
                                      FIELD_VM_suspend_VDI,
                                      FIELD_VM_appliance,
                                      FIELD_VM_tags,
                                      FIELD_VM_blobs,
                                      FIELD_VM_transportable_snapshot_id,
                                      FIELD_VM_snapshot_schedule,
                                      FIELD_VM_is_vmss_snapshot,
                                      FIELD_VM_blocked_operations};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (fields[i] == field)
            return true;
    return false;
}

static void put_settings(struct db_txn *t, const struct row *from, const struct uuid *to) {
    const struct class_def *class = from->class;
    for (unsigned i = 0; i < class->n_fields; i++)
        if (class->fields[i].store == STORE_DB && !stays(i))
            db_txn_set(t, class->id, to, i, value_copy(row_value(from, i)));
}

/* Its devices go; its disks that no other VM has are to be removed. */
static void drop_devices(struct vm_op *op, struct db_txn *t, const struct row *vm) {
    struct db *d = vm_op_db(op);
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs), *vifs = row_value(vm, FIELD_VM_VIFs);
    struct value *old = value_map_get(vm_op_data(op), "old");
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd ? db_follow(d, vbd, FIELD_VBD_VDI) : NULL;
        db_txn_delete(t, CLASS_VBD, &vbds->set.items[i].ref);
        if (vdi && str_eq(row_str(vbd, FIELD_VBD_type), "Disk") && row_value(vdi, FIELD_VDI_VBDs)->set.n == 1)
            value_set_add(old, value_string(row_str(vdi, FIELD_VDI_uuid)));
    }
    for (size_t i = 0; i < vifs->set.n; i++)
        db_txn_delete(t, CLASS_VIF, &vifs->set.items[i].ref);
    const struct row *memory = db_follow(d, vm, FIELD_VM_suspend_VDI);
    if (memory)
        value_set_add(old, value_string(row_str(memory, FIELD_VDI_uuid)));
}

static void put_devices(struct vm_op *op, struct db_txn *t, const struct row *snapshot, const struct uuid *vm) {
    struct db *d = vm_op_db(op);
    const struct value *vbds = row_value(snapshot, FIELD_VM_VBDs), *vifs = row_value(snapshot, FIELD_VM_VIFs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd ? db_follow(d, vbd, FIELD_VBD_VDI) : NULL;
        const struct value *m = vbd ? vm_copy_made_for(op, vbd) : NULL;
        struct uuid u, child;
        if (!vbd)
            continue;
        u = db_txn_insert(t, CLASS_VBD, NULL);
        vm_copy_fields(t, vbd, &u);
        db_txn_set(t, CLASS_VBD, &u, FIELD_VBD_VM, value_ref(vm));
        if (!m || !vdi || !uuid_parse(str_or_empty(value_map_str(m, "vdi")), &child))
            continue;
        db_txn_set(t, CLASS_VBD, &u, FIELD_VBD_VDI, value_ref(&child));
        vm_copy_put_disk(t, vdi, m);
    }
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *vif = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        struct uuid u;
        if (!vif)
            continue;
        u = db_txn_insert(t, CLASS_VIF, NULL);
        vm_copy_fields(t, vif, &u);
        db_txn_set(t, CLASS_VIF, &u, FIELD_VIF_VM, value_ref(vm));
    }
}

static void write_rows(struct vm_op *op) {
    const struct row *snapshot = snapshot_of(op), *vm = snapshot ? vm_op_row(op) : NULL;
    struct uuid nobody = {0}, memory, sr;
    if (!vm)
        return;
    struct db_txn *t = db_txn_new(vm_op_db(op), "VM.revert");
    db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nobody)); /* not started meanwhile */
    put_settings(t, snapshot, &vm->uuid);
    drop_devices(op, t, vm);
    put_devices(op, t, snapshot, &vm->uuid);
    bool has_memory = uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "memory")), &memory) &&
                      uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "memory_sr")), &sr);
    if (has_memory)
        store_insert_memory(t, &memory, &sr);
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_suspend_VDI, value_ref(has_memory ? &memory : &nobody));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_power_state, value_string(has_memory ? "Suspended" : "Halted"));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_parent, value_ref(&snapshot->uuid));
    vm_op_on_failure(op, vm_copy_undo);
    vm_op_commit(op, t, on_reverted);
}

/* ---- the memory of a checkpoint, then the disks, one after the other ---- */

static void next_disk(struct vm_op *op);

static void on_forked(struct vm_op *op, const struct value *result) {
    struct value *made = value_map_get(vm_op_data(op), "made");
    const struct value *size = value_map_get(result, "physical_size");
    value_map_put(&made->set.items[made->set.n - 1], "base_size", value_int(size ? value_as_int(size) : 0));
    next_disk(op);
}

static void next_disk(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct row *snapshot = snapshot_of(op);
    if (!snapshot)
        return;
    const struct value *vbds = row_value(snapshot, FIELD_VM_VBDs);
    struct error *e = NULL;
    for (int64_t i = next_of(op); i < (int64_t)vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd ? db_follow(d, vbd, FIELD_VBD_VDI) : NULL;
        if (!vdi || !str_eq(row_str(vbd, FIELD_VBD_type), "Disk"))
            continue;
        value_map_put(vm_op_data(op), "next", value_int(i + 1));
        const struct row *sr = db_follow(d, vdi, FIELD_VDI_SR);
        const struct row *host = sr ? store_host(call_api(vm_op_call(op)), sr, &e) : NULL;
        if (!host) {
            if (!e)
                (void)net_fail_row(&e, ERR_VDI_NOT_AVAILABLE, vdi);
            vm_copy_undo(op, e);
            return;
        }
        struct value m = vm_copy_fork(vbd, vdi, host), args = store_disk_args(d, "vdi_fork", vdi, &host->uuid);
        value_map_add(&args, "child", value_copy(value_map_get(&m, "vdi")));
        value_map_add(&args, "base", value_copy(value_map_get(&m, "base")));
        value_set_add(value_map_get(vm_op_data(op), "made"), m);
        vm_op_on_failure(op, vm_copy_undo);
        vm_op_ask(op, &host->uuid, "store", args, STORE_MS, on_forked);
        return;
    }
    write_rows(op);
}

static void on_memory(struct vm_op *op, const struct value *result) {
    next_disk(op);
}

static void copy_memory(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct row *snapshot = snapshot_of(op), *vdi = snapshot ? db_follow(d, snapshot, FIELD_VM_suspend_VDI) : NULL;
    struct error *e = NULL;
    struct uuid copy = uuid_random();
    char text[UUID_TEXT_SIZE];
    if (!snapshot)
        return;
    const struct row *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
    if (!sr) {
        next_disk(op);
        return;
    }
    const struct row *host = store_host(call_api(vm_op_call(op)), sr, &e);
    if (!host) {
        vm_copy_undo(op, e);
        return;
    }
    struct value args = store_disk_args(d, "", vdi, &host->uuid);
    value_map_add(&args, "to", value_string(uuid_text(&copy, text)));
    value_map_add(vm_op_data(op), "memory", value_string(text));
    value_map_add(vm_op_data(op), "memory_sr", value_string(row_str(sr, FIELD_SR_uuid)));
    vm_op_on_failure(op, vm_copy_undo);
    vm_op_ask(op, &host->uuid, "vm_copy_memory", args, STORE_COPY_MS, on_memory);
}

/* ---- first it is ended ---- */

static bool is_ended(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    return !vm || uuid_is_null(row_ref(vm, FIELD_VM_resident_on));
}

static void on_ended(struct vm_op *op, const struct value *result) {
    struct error *late = NULL;
    error_internal(&late, "the VM has been ended, but the word of its host has not reached the coordinator yet");
    vm_op_wait(op, is_ended, END_MS, late, copy_memory);
}

void vm_revert(struct call *c) {
    const struct row *snapshot = call_arg_row(c, 0);
    struct db *d = call_db(c);
    char ref[REF_TEXT_SIZE];
    if (!snapshot)
        return;
    if (!row_bool(snapshot, FIELD_VM_is_a_snapshot)) {
        call_fail_code(c, ERR_REVERT_ONLY_ALLOWED_ON_SNAPSHOT, NULL);
        return;
    }
    const struct row *vm = db_follow(d, snapshot, FIELD_VM_snapshot_of);
    if (!vm) {
        call_fail_code(c, ERR_HANDLE_INVALID, "VM", ref_text(row_ref(snapshot, FIELD_VM_snapshot_of), ref), NULL);
        return;
    }
    if (!vm_op_check(c, snapshot, "revert"))
        return;
    const struct uuid *host = row_ref(vm, FIELD_VM_resident_on);
    if (vm_op_is_busy(call_api(c), &snapshot->uuid)) {
        call_fail_code(c, ERR_OTHER_OPERATION_IN_PROGRESS, "VM", ref_text(&snapshot->uuid, ref), "revert", "", NULL);
        return;
    }
    if (!uuid_is_null(host) && !api_host_is_live(call_api(c), host)) {
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(host, ref), NULL);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vm, "reverting");
    if (!op)
        return;
    vm_copy_init(op, "revert", "", NULL);
    value_map_add(vm_op_data(op), "snapshot", value_string(row_str(snapshot, FIELD_VM_uuid)));
    value_map_add(vm_op_data(op), "old", value_set());
    if (uuid_is_null(host)) {
        copy_memory(op);
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string("destroy"));
    vm_op_ask(op, host, "vm_power", args, END_MS, on_ended);
}
