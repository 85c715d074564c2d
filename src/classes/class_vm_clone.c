/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class VM: clone and copy, and what snapshots share with them. First the disks, one after the other (a clone goes on
 * from a common base, a copy is whole), then all rows in one transaction. When a disk cannot be made, those made before
 * are removed again.
 */
#include "classes/class_vm_copy.h"

#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm.h"
#include "classes/store_calls.h"
#include "classes/vm_ops.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

static const struct value *vbds_of(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    return vm ? row_value(vm, FIELD_VM_VBDs) : NULL;
}

static int64_t int_of(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    return v ? value_as_int(v) : 0;
}

static bool uuid_of(const struct value *map, const char *key, struct uuid *ret) {
    const char *text = value_map_str(map, key);
    return text && uuid_parse(text, ret);
}

/* ---- undoing: a disk that stays behind is found by the next scan ---- */

void vm_copy_undo(struct vm_op *op, struct error *e) {
    struct db *d = vm_op_db(op);
    const struct api_hooks *h = api_hooks(call_api(vm_op_call(op)));
    const struct value *made = value_map_get(vm_op_data(op), "made");
    /* Rows of which is not known whether they are written may come to name them. */
    size_t n = error_is(e, ERR_DB_WRITE_UNKNOWN) ? 0 : made->set.n;
    for (size_t i = 0; i < n; i++) {
        const struct value *m = &made->set.items[i];
        struct uuid sr, host;
        if (!uuid_of(m, "sr", &sr) || !uuid_of(m, "host", &host))
            continue;
        struct value args = store_args(d, "vdi_destroy", &sr, &host);
        value_map_add(&args, "vdi", value_string(str_or_empty(value_map_str(m, "vdi"))));
        value_map_add(&args, "format", value_string("qcow2"));
        h->host_ask(h->userdata, &host, "store", args, STORE_MS, class_ask_ignored, NULL);
    }
    vm_op_fail(op, e);
}

/* ---- rows ---- */

void vm_copy_fields(struct db_txn *t, const struct row *from, const struct uuid *to) {
    const struct class_def *class = from->class;
    for (unsigned i = 0; i < class->n_fields; i++)
        if (class->fields[i].store == STORE_DB)
            db_txn_set(t, class->id, to, i, value_copy(row_value(from, i)));
}

const struct value *vm_copy_made_for(struct vm_op *op, const struct row *vbd) {
    const struct value *made = value_map_get(vm_op_data(op), "made");
    for (size_t i = 0; i < made->set.n; i++)
        if (str_eq(str_or_empty(value_map_str(&made->set.items[i], "vbd")), row_str(vbd, FIELD_VBD_uuid)))
            return &made->set.items[i];
    return NULL;
}

void vm_copy_put_disk(struct db_txn *t, const struct row *vdi, const struct value *m) {
    static const unsigned same[] = {FIELD_VDI_name_label, FIELD_VDI_name_description, FIELD_VDI_type,
                                    FIELD_VDI_virtual_size};
    struct uuid child, sr, base;
    if (!uuid_of(m, "vdi", &child) || !uuid_of(m, "sr", &sr))
        return;
    store_insert_vdi(t, &child, &sr, "qcow2");
    for (size_t i = 0; i < ARRAY_SIZE(same); i++)
        db_txn_set(t, CLASS_VDI, &child, same[i], value_copy(row_value(vdi, same[i])));
    db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_physical_utilisation, value_int(int_of(m, "physical_size")));
    if (!uuid_of(m, "base", &base))
        return;
    store_insert_base(t, &base, vdi, int_of(m, "base_size"));
    db_txn_map_put(t, CLASS_VDI, &child, FIELD_VDI_sm_config, "base", value_string(value_map_str(m, "base")));
}

static bool is_snapshot(struct vm_op *op) {
    const char *kind = str_or_empty(value_map_str(vm_op_data(op), "kind"));
    return str_eq(kind, "snapshot") || str_eq(kind, "checkpoint");
}

static int64_t now_s(struct vm_op *op) {
    return loop_wall_ms(api_loop(call_api(vm_op_call(op)))) / 1000;
}

static void put_vbd(struct vm_op *op, struct db_txn *t, const struct row *vbd, const struct uuid *vm) {
    struct db *d = vm_op_db(op);
    const struct row *vdi = db_follow(d, vbd, FIELD_VBD_VDI);
    const struct value *m = vm_copy_made_for(op, vbd);
    struct uuid u = db_txn_insert(t, CLASS_VBD, NULL), child;
    vm_copy_fields(t, vbd, &u);
    db_txn_set(t, CLASS_VBD, &u, FIELD_VBD_VM, value_ref(vm));
    db_txn_set(t, CLASS_VBD, &u, FIELD_VBD_currently_attached, value_bool(false));
    if (!m || !vdi || !uuid_of(m, "vdi", &child))
        return; /* an empty drive, or a disc that both read */
    db_txn_set(t, CLASS_VBD, &u, FIELD_VBD_VDI, value_ref(&child));
    vm_copy_put_disk(t, vdi, m);
    if (!is_snapshot(op))
        return;
    db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_is_a_snapshot, value_bool(true));
    db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_snapshot_of, value_ref(&vdi->uuid));
    db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_snapshot_time, value_time(now_s(op)));
}

static void put_vif(struct vm_op *op, struct db_txn *t, const struct row *vif, const struct uuid *vm) {
    struct uuid u = db_txn_insert(t, CLASS_VIF, NULL);
    vm_copy_fields(t, vif, &u);
    db_txn_set(t, CLASS_VIF, &u, FIELD_VIF_VM, value_ref(vm));
    db_txn_set(t, CLASS_VIF, &u, FIELD_VIF_currently_attached, value_bool(false));
    if (is_snapshot(op))
        return; /* its address comes back with it */
    db_txn_set(t, CLASS_VIF, &u, FIELD_VIF_MAC, value_string_take(class_vm_random_mac()));
    db_txn_set(t, CLASS_VIF, &u, FIELD_VIF_MAC_autogenerated, value_bool(true));
}

/* A snapshot knows its VM and its moment; anything else forgets that it was made of one. */
static void put_snapshot(struct vm_op *op, struct db_txn *t, const struct row *vm, const struct uuid *u) {
    bool snapshot = is_snapshot(op);
    struct uuid nothing = {0}, memory, sr;
    db_txn_set(t, CLASS_VM, u, FIELD_VM_is_a_snapshot, value_bool(snapshot));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_snapshot_of, value_ref(snapshot ? &vm->uuid : &nothing));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_snapshot_time, value_time(snapshot ? now_s(op) : 0));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_snapshot_info, value_map());
    if (!snapshot) {
        db_txn_set(t, CLASS_VM, u, FIELD_VM_parent, value_ref(&nothing));
        return;
    }
    db_txn_set(t, CLASS_VM, u, FIELD_VM_is_a_template, value_bool(true)); /* as clients expect of one */
    db_txn_map_put(t, CLASS_VM, u, FIELD_VM_snapshot_info, "power-state-at-snapshot",
                   value_copy(row_value(vm, FIELD_VM_power_state)));
    db_txn_map_put(t, CLASS_VM, u, FIELD_VM_snapshot_info, "disk-snapshot-type", value_string("crash_consistent"));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_parent, value_ref(u));
    if (!uuid_of(vm_op_data(op), "memory", &memory) || !uuid_of(vm_op_data(op), "memory_sr", &sr))
        return;
    store_insert_memory(t, &memory, &sr);
    db_txn_set(t, CLASS_VM, u, FIELD_VM_suspend_VDI, value_ref(&memory));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_power_state, value_string("Suspended"));
}

static void return_clone(struct vm_op *op) {
    struct uuid u;
    if (uuid_of(vm_op_data(op), "clone", &u))
        vm_op_return_ref(op, &u);
}

void vm_copy_rows(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct row *vm = vm_op_row(op);
    if (!vm)
        return;
    struct db_txn *t = db_txn_new(d, "VM.clone");
    struct uuid u = db_txn_insert(t, CLASS_VM, NULL), nothing = {0};
    char text[UUID_TEXT_SIZE];
    value_map_put(vm_op_data(op), "clone", value_string(uuid_text(&u, text)));
    vm_copy_fields(t, vm, &u);
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_name_label, value_string(value_map_str(vm_op_data(op), "name")));
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_is_default_template, value_bool(false));
    db_txn_map_remove(t, CLASS_VM, &u, FIELD_VM_other_config, "default_template");
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_power_state, value_string("Halted"));
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_resident_on, value_ref(&nothing));
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_suspend_VDI, value_ref(&nothing));
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_blobs, value_map()); /* they go with the VM that has them */
    put_snapshot(op, t, vm, &u);
    db_txn_set(t, CLASS_VM, &u, FIELD_VM_appliance, value_ref(&nothing));
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs), *vifs = row_value(vm, FIELD_VM_VIFs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        if (vbd)
            put_vbd(op, t, vbd, &u);
    }
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *vif = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        if (vif)
            put_vif(op, t, vif, &u);
    }
    vm_op_on_failure(op, vm_copy_undo);
    vm_op_commit(op, t, return_clone);
}

/* ---- disks, one after the other ---- */

static void on_disk(struct vm_op *op, const struct value *result) {
    struct value *made = value_map_get(vm_op_data(op), "made");
    struct value *m = &made->set.items[made->set.n - 1];
    bool is_fork = value_map_get(m, "base") != NULL;
    value_map_put(m, is_fork ? "base_size" : "physical_size", value_int(int_of(result, "physical_size")));
    vm_copy_disks(op);
}

struct value vm_copy_fork(const struct row *vbd, const struct row *vdi, const struct row *host) {
    struct value m = value_map();
    struct uuid child = uuid_random(), base = uuid_random();
    char text[UUID_TEXT_SIZE];
    value_map_add(&m, "vbd", value_string(row_str(vbd, FIELD_VBD_uuid)));
    value_map_add(&m, "vdi", value_string(uuid_text(&child, text)));
    value_map_add(&m, "sr", value_string(uuid_text(row_ref(vdi, FIELD_VDI_SR), text)));
    value_map_add(&m, "host", value_string(row_str(host, FIELD_host_uuid)));
    value_map_add(&m, "base", value_string(uuid_text(&base, text)));
    return m;
}

static bool start_disk(struct vm_op *op, const struct row *vbd, const struct row *vdi, struct error **errp) {
    struct db *d = vm_op_db(op);
    struct api *a = call_api(vm_op_call(op));
    const struct row *sr = db_follow(d, vdi, FIELD_VDI_SR), *host = sr ? store_host(a, sr, errp) : NULL;
    struct uuid to_sr, child = uuid_random(), base = uuid_random();
    char child_text[UUID_TEXT_SIZE], base_text[UUID_TEXT_SIZE], text[UUID_TEXT_SIZE];
    if (!host)
        return false;
    bool elsewhere = uuid_of(vm_op_data(op), "sr", &to_sr) && !uuid_eq(&to_sr, &sr->uuid);
    bool copies =
        str_eq(str_or_empty(value_map_str(vm_op_data(op), "kind")), "copy") || !str_eq(vm_spec_format(vdi), "qcow2");
    if (elsewhere) {
        const struct row *pbd = vm_spec_pbd(d, &to_sr, &host->uuid);
        if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached)) {
            char ref[REF_TEXT_SIZE];
            error_set(errp, ERR_SR_NOT_ATTACHED, ref_text(&to_sr, ref), NULL);
            return false;
        }
    } else {
        to_sr = sr->uuid;
    }
    struct value m = value_map();
    uuid_text(&child, child_text);
    value_map_add(&m, "vbd", value_string(row_str(vbd, FIELD_VBD_uuid)));
    value_map_add(&m, "vdi", value_string(child_text));
    value_map_add(&m, "sr", value_string(uuid_text(&to_sr, text)));
    value_map_add(&m, "host", value_string(row_str(host, FIELD_host_uuid)));
    struct value args = store_disk_args(d, copies ? "vdi_copy" : "vdi_fork", vdi, &host->uuid);
    if (copies) {
        value_map_add(&args, "to", value_string(child_text));
        value_map_add(&args, "to_sr", value_string(text));
        value_map_add(&args, "to_path", value_string_take(vm_spec_folder(d, vm_spec_pbd(d, &to_sr, &host->uuid))));
        value_map_add(&args, "to_format", value_string("qcow2"));
    } else {
        value_map_add(&args, "child", value_string(child_text));
        value_map_add(&args, "base", value_string(uuid_text(&base, base_text)));
        value_map_add(&m, "base", value_string(base_text));
    }
    value_set_add(value_map_get(vm_op_data(op), "made"), m);
    vm_op_on_failure(op, vm_copy_undo);
    vm_op_ask(op, &host->uuid, "store", args, copies ? STORE_COPY_MS : STORE_MS, on_disk);
    return true;
}

void vm_copy_disks(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct value *vbds = vbds_of(op);
    int64_t i = int_of(vm_op_data(op), "next");
    struct error *e = NULL;
    for (; vbds && i < (int64_t)vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd ? db_follow(d, vbd, FIELD_VBD_VDI) : NULL;
        if (!vdi || !str_eq(row_str(vbd, FIELD_VBD_type), "Disk"))
            continue;
        value_map_put(vm_op_data(op), "next", value_int(i + 1));
        if (!start_disk(op, vbd, vdi, &e))
            vm_copy_undo(op, e);
        return;
    }
    vm_copy_rows(op);
}

void vm_copy_init(struct vm_op *op, const char *kind, const char *name, const struct uuid *sr) {
    struct value *data = vm_op_data(op);
    char text[UUID_TEXT_SIZE];
    *data = value_map();
    value_map_add(data, "name", value_string(name));
    value_map_add(data, "kind", value_string(kind));
    value_map_add(data, "sr", value_string(sr && !uuid_is_null(sr) ? uuid_text(sr, text) : ""));
    value_map_add(data, "made", value_set());
    value_map_add(data, "next", value_int(0));
}

static void start(struct call *c, const char *kind, const struct uuid *sr) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm || !vm_op_check(c, vm, kind))
        return;
    struct vm_op *op = vm_op_begin(c, vm, kind);
    if (!op)
        return;
    vm_copy_init(op, kind, call_arg_str(c, 1), sr);
    vm_copy_disks(op);
}

void vm_clone(struct call *c) {
    start(c, "clone", NULL);
}

void vm_copy(struct call *c) {
    start(c, "copy", call_arg_ref(c, 2));
}
