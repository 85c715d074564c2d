/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class VM: snapshots and checkpoints. Of a halted VM, its disks are forked one after the other. Of one that runs, its
 * host forks them and has the hypervisor go over to the new images, all at one instant; a checkpoint keeps the memory
 * of that instant as well.
 */
#include "base/str.h"
#include "classes/class_vm_copy.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "store/store_place_core.h"

#define LIVE_MS (10 * 60 * 1000) /* memory goes to storage */

static const struct row *host_of(struct vm_op *op, const struct row *vm) {
    return db_get(vm_op_db(op), CLASS_host, row_ref(vm, FIELD_VM_resident_on));
}

static void on_live(struct vm_op *op, const struct value *result) {
    struct value *made = value_map_get(vm_op_data(op), "made");
    const struct value *sizes = value_map_get(result, "sizes");
    for (size_t i = 0; sizes && sizes->type == VALUE_SET && i < sizes->set.n && i < made->set.n; i++)
        value_map_put(&made->set.items[i], "base_size", value_int(value_as_int(&sizes->set.items[i])));
    vm_copy_rows(op);
}

/* One disk of the running VM, as its host is told of it. */
static bool add_disk(struct vm_op *op, const struct row *vbd, const struct row *host, struct value *disks,
                     struct error **errp) {
    struct db *d = vm_op_db(op);
    const struct row *vdi = db_follow(d, vbd, FIELD_VBD_VDI), *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
    char ref[REF_TEXT_SIZE];
    if (!vdi || !str_eq(row_str(vbd, FIELD_VBD_type), "Disk"))
        return true;
    if (!sr || !store_check_type(sr, errp))
        return false;
    _cleanup_free_ char *folder = vm_spec_folder(d, vm_spec_pbd(d, &sr->uuid, &host->uuid));
    if (store_place_is_shared(folder)) {
        error_set(errp, ERR_SR_OPERATION_NOT_SUPPORTED, ref_text(&sr->uuid, ref), NULL);
        return false;
    }
    if (!str_eq(vm_spec_format(vdi), "qcow2")) {
        error_set(errp, ERR_VDI_INCOMPATIBLE_TYPE, ref_text(&vdi->uuid, ref), vm_spec_format(vdi), NULL);
        return false;
    }
    if (row_bool(vbd, FIELD_VBD_currently_attached) && !str_eq(row_str(vbd, FIELD_VBD_mode), "RW")) {
        error_set(errp, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "snapshot", NULL);
        return false;
    }
    if (vm_op_is_busy(call_api(vm_op_call(op)), &vdi->uuid)) {
        error_set(errp, ERR_OTHER_OPERATION_IN_PROGRESS, "VDI", ref_text(&vdi->uuid, ref), "", "", NULL);
        return false;
    }
    struct value disk = vm_spec_disk(d, vbd, &host->uuid, errp);
    if (disk.type == VALUE_VOID)
        return false;
    bool is_live = row_bool(vbd, FIELD_VBD_currently_attached);
    struct value m = vm_copy_fork(vbd, vdi, host), args = store_disk_args(d, "vdi_fork", vdi, &host->uuid);
    value_map_add(&args, "child", value_copy(value_map_get(&m, "vdi")));
    value_map_add(&args, "base", value_copy(value_map_get(&m, "base")));
    value_map_add(&args, "device", value_copy(value_map_get(&disk, "device")));
    value_map_add(&args, "live", value_bool(is_live));
    value_set_add(disks, args);
    value_set_add(value_map_get(vm_op_data(op), "made"), m);
    value_done(&disk);
    return true;
}

/* Where the memory of a checkpoint goes: the VM's own storage for that, the pool's, or where its first disk is. */
static bool add_memory(struct vm_op *op, const struct row *vm, const struct row *host, struct value *args,
                       struct error **errp) {
    struct db *d = vm_op_db(op);
    const struct row *pool = db_pool(d);
    const struct value *made = value_map_get(vm_op_data(op), "made");
    struct uuid candidates[3] = {*row_ref(vm, FIELD_VM_suspend_SR)}, memory = uuid_random();
    if (pool)
        candidates[1] = *row_ref(pool, FIELD_pool_suspend_image_SR);
    if (made->set.n > 0)
        (void)!uuid_parse(str_or_empty(value_map_str(&made->set.items[0], "sr")), &candidates[2]);
    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        const struct row *pbd = vm_spec_pbd(d, &candidates[i], &host->uuid);
        char text[UUID_TEXT_SIZE], sr[UUID_TEXT_SIZE];
        _cleanup_free_ char *folder = vm_spec_folder(d, pbd);
        if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached) || !*folder || store_place_is_shared(folder))
            continue;
        value_map_add(args, "memory", value_string(uuid_text(&memory, text)));
        value_map_add(args, "memory_path", value_string(folder));
        value_map_add(vm_op_data(op), "memory", value_string(text));
        value_map_add(vm_op_data(op), "memory_sr", value_string(uuid_text(&candidates[i], sr)));
        return true;
    }
    (void)net_fail_row(errp, ERR_VM_NO_SUSPEND_SR, vm);
    return false;
}

static void ask_host(struct vm_op *op, const struct row *vm, bool with_memory) {
    struct db *d = vm_op_db(op);
    const struct row *host = host_of(op, vm);
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    struct value disks = value_set(), args = value_map();
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    bool ok = host && api_host_is_live(call_api(vm_op_call(op)), &host->uuid);
    if (!ok)
        error_set(&e, ERR_HOST_OFFLINE, ref_text(row_ref(vm, FIELD_VM_resident_on), ref), NULL);
    for (size_t i = 0; ok && i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        ok = !vbd || add_disk(op, vbd, host, &disks, &e);
    }
    ok = ok && (!with_memory || add_memory(op, vm, host, &args, &e));
    if (!ok) {
        value_done(&disks);
        value_done(&args);
        vm_op_fail(op, e);
        return;
    }
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "disks", disks);
    vm_op_ask(op, &host->uuid, "vm_snapshot", args, LIVE_MS, on_live);
}

static void start(struct call *c, const char *kind) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm || !vm_op_check(c, vm, kind))
        return;
    bool is_running = !uuid_is_null(row_ref(vm, FIELD_VM_resident_on));
    struct vm_op *op = vm_op_begin(c, vm, kind);
    if (!op)
        return;
    vm_copy_init(op, kind, call_arg_str(c, 1), NULL);
    if (is_running)
        ask_host(op, vm, /* with_memory= */ str_eq(kind, "checkpoint"));
    else
        vm_copy_disks(op);
}

void vm_snapshot(struct call *c) {
    if (call_arg(c, 2)->set.n > 0)
        call_fail_code(c, ERR_NOT_IMPLEMENTED, "VM.snapshot with ignore_vdis", NULL);
    else
        start(c, "snapshot");
}

void vm_checkpoint(struct call *c) {
    start(c, "checkpoint");
}
