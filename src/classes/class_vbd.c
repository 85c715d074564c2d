/* SPDX-License-Identifier: Apache-2.0 */
/* Class VBD: disks and drives of VMs. */
#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "classes/net_rows.h"
#include "classes/vm_ops.h"
#include "classes/vm_place.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

#define DEVICE_MS 40000 /* a guest has 20 s to let go of a disk */

static bool is_cd(const struct row *vbd) {
    return str_eq(row_str(vbd, FIELD_VBD_type), "CD");
}

/* ---- create ---- */

struct wanted {
    const struct row *vm, *vdi;
    const char *type, *mode;
    bool is_empty;
    char device[8];
};

static const char *text_in(const struct value *record, const char *key) {
    return str_or_empty(value_map_str(record, key));
}

static bool ref_in(const struct value *record, const char *key, struct uuid *ret) {
    const struct value *v = value_map_get(record, key);
    *ret = (struct uuid){0};
    if (v && v->type == VALUE_REF)
        *ret = v->ref;
    else if (v && v->type == VALUE_STRING && *value_str(v))
        return ref_parse(value_str(v), ret);
    return true;
}

static bool fail_handle(const char *class_name, const struct value *record, struct error **errp) {
    error_set(errp, ERR_HANDLE_INVALID, class_name, text_in(record, class_name), NULL);
    return false;
}

/* A free place, or the one that is asked for. */
static bool choose_device(struct db *d, const struct row *vm, const char *asked, bool cd, char ret[static 8],
                          struct error **errp) {
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    unsigned taken = 0, n_cds = 0;
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *o = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        int place = o ? vm_spec_place(row_str(o, FIELD_VBD_userdevice)) : -1;
        if (place >= 0)
            taken |= 1u << place;
        n_cds += o && is_cd(o);
    }
    int place = str_empty(asked) || str_eq(asked, "autodetect") ? -2 : vm_spec_place(asked);
    for (int i = 0; place == -2 && i < VM_DISKS_MAX; i++)
        if (!(taken & (1u << i)))
            place = i;
    if (place < 0 || (cd && n_cds >= VM_CDS_MAX)) {
        error_set(errp, ERR_INVALID_DEVICE, asked, NULL);
        return false;
    }
    if (taken & (1u << place)) {
        error_set(errp, ERR_DEVICE_ALREADY_EXISTS, asked, NULL);
        return false;
    }
    _cleanup_free_ char *text = strf("%d", place);
    return str_copy(ret, 8, text);
}

static bool check_wanted(struct call *c, struct wanted *w, struct error **errp) {
    const struct value *record = call_arg(c, 0);
    struct db *d = call_db(c);
    struct uuid vm, vdi;
    if (!ref_in(record, "VM", &vm) || !(w->vm = db_get(d, CLASS_VM, &vm)))
        return fail_handle("VM", record, errp);
    if (!vm_pools_check(w->vm, errp))
        return false;
    if (!ref_in(record, "VDI", &vdi))
        return fail_handle("VDI", record, errp);
    w->vdi = db_get(d, CLASS_VDI, &vdi);
    w->type = *text_in(record, "type") ? text_in(record, "type") : "Disk";
    w->mode = *text_in(record, "mode") ? text_in(record, "mode") : "RW";
    w->is_empty = !w->vdi;
    bool cd = str_eq(w->type, "CD");
    if (!w->vdi && (!cd || !uuid_is_null(&vdi)))
        return fail_handle("VDI", record, errp);
    if (str_eq(w->type, "Floppy")) {
        error_set(errp, ERR_VALUE_NOT_SUPPORTED, "type", w->type, "there are no floppy drives", NULL);
        return false;
    }
    if (row_bool(w->vm, FIELD_VM_is_control_domain)) {
        error_set(errp, ERR_OPERATION_NOT_ALLOWED, "the host itself is given no disks", NULL);
        return false;
    }
    if (cd && !str_eq(w->mode, "RO")) {
        error_set(errp, ERR_VBD_CDS_MUST_BE_READONLY, NULL);
        return false;
    }
    if (w->vdi && !cd && str_eq(w->mode, "RW") && row_bool(w->vdi, FIELD_VDI_read_only))
        return net_fail_row(errp, ERR_VDI_READONLY, w->vdi);
    if (w->vdi && (!row_bool(w->vdi, FIELD_VDI_managed) || str_eq(vm_spec_format(w->vdi), "save")))
        return net_fail_row(errp, ERR_VDI_NOT_MANAGED, w->vdi);
    return choose_device(d, w->vm, text_in(record, "userdevice"), cd, w->device, errp);
}

static void return_made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

void vbd_create(struct call *c) {
    struct wanted w = {0};
    struct error *e = NULL;
    struct db_txn *t = db_txn_new(call_db(c), "VBD.create");
    struct uuid *made = xnew0(struct uuid);
    *made = db_txn_insert(t, CLASS_VBD, NULL);
    if (call_fill_row(c, t, made, &e) && check_wanted(c, &w, &e)) {
        db_txn_set(t, CLASS_VBD, made, FIELD_VBD_userdevice, value_string(w.device));
        db_txn_set(t, CLASS_VBD, made, FIELD_VBD_device, value_string(""));
        db_txn_set(t, CLASS_VBD, made, FIELD_VBD_empty, value_bool(w.is_empty));
        db_txn_set(t, CLASS_VBD, made, FIELD_VBD_currently_attached, value_bool(false));
        call_commit(c, t, return_made, made);
        return;
    }
    free(made);
    db_txn_abandon(t);
    call_fail(c, e);
}

static bool check_detached(struct call *c, const struct row *vbd) {
    char ref[REF_TEXT_SIZE];
    if (!row_bool(vbd, FIELD_VBD_currently_attached))
        return true;
    call_fail_code(c, ERR_DEVICE_ALREADY_ATTACHED, ref_text(&vbd->uuid, ref), NULL);
    return false;
}

void vbd_destroy(struct call *c) {
    const struct row *vbd = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!vbd)
        return;
    if (!vm_pools_check(db_follow(call_db(c), vbd, FIELD_VBD_VM), &e)) {
        call_fail(c, e);
        return;
    }
    if (row_bool(vbd, FIELD_VBD_currently_attached)) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "the disk is plugged into a running VM: unplug it first", NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "VBD.destroy");
    db_txn_delete(t, CLASS_VBD, &vbd->uuid);
    call_commit(c, t, NULL, NULL);
}

void vbd_set_mode(struct call *c) {
    const struct row *vbd = call_arg_row(c, 0);
    const struct row *vdi = vbd ? db_follow(call_db(c), vbd, FIELD_VBD_VDI) : NULL;
    struct error *e = NULL;
    if (!vbd || !check_detached(c, vbd))
        return;
    bool is_free = vm_pools_check(db_follow(call_db(c), vbd, FIELD_VBD_VM), &e),
         writes = is_free && str_eq(call_arg_str(c, 1), "RW");
    if (writes && is_cd(vbd))
        error_set(&e, ERR_VBD_CDS_MUST_BE_READONLY, NULL);
    else if (writes && vdi && row_bool(vdi, FIELD_VDI_read_only))
        (void)net_fail_row(&e, ERR_VDI_READONLY, vdi);
    if (e) {
        call_fail(c, e);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "VBD.set_mode");
    db_txn_set(t, CLASS_VBD, &vbd->uuid, FIELD_VBD_mode, value_string(call_arg_str(c, 1)));
    call_commit(c, t, NULL, NULL);
}

/* ---- plug and unplug ---- */

static bool is_plugged_as_wanted(struct vm_op *op) {
    const struct row *vbd = db_get(vm_op_db(op), CLASS_VBD, vm_op_object(op));
    return !vbd || row_bool(vbd, FIELD_VBD_currently_attached) == value_as_bool(vm_op_data(op));
}

static void on_plugged(struct vm_op *op, const struct value *result) {
    struct error *late = NULL;
    error_internal(&late, "the host has done it, but its word has not reached the coordinator yet");
    vm_op_wait(op, is_plugged_as_wanted, DEVICE_MS, late, vm_op_return_void);
}

/* The VM that it belongs to runs, on a host that is heard; NULL with the call failed. */
static const struct row *running_vm(struct call *c, const struct row *vm) {
    char ref[REF_TEXT_SIZE];
    if (!vm || !str_eq(row_str(vm, FIELD_VM_power_state), "Running")) {
        const char *state = vm ? row_str(vm, FIELD_VM_power_state) : "Halted";
        _cleanup_free_ char *actual = xstrdup(state);
        actual[0] |= 0x20; /* errors have states in lower case */
        call_fail_code(c, ERR_VM_BAD_POWER_STATE, vm ? ref_text(&vm->uuid, ref) : "", "running", actual, NULL);
        return NULL;
    }
    if (!api_host_is_live(call_api(c), row_ref(vm, FIELD_VM_resident_on))) {
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(row_ref(vm, FIELD_VM_resident_on), ref), NULL);
        return NULL;
    }
    return vm;
}

static void ask(struct call *c, const struct row *vbd, const struct row *vm, const char *operation, const char *what,
                struct value disk, vm_op_answer_fn *then) {
    struct vm_op *op = vm_op_begin(c, vbd, operation);
    if (!op) {
        value_done(&disk);
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string(what));
    value_map_add(&args, "kind", value_string("disk"));
    value_map_add(&args, "device", disk);
    *vm_op_data(op) = value_bool(str_eq(what, "attach"));
    vm_op_ask(op, row_ref(vm, FIELD_VM_resident_on), "vm_device", args, DEVICE_MS, then);
}

static void plug(struct call *c, bool in) {
    const struct row *vbd = call_arg_row(c, 0);
    struct db *d = call_db(c);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    const struct row *vm = vbd ? running_vm(c, db_follow(d, vbd, FIELD_VBD_VM)) : NULL;
    if (!vm)
        return;
    ref_text(&vbd->uuid, ref);
    if (row_bool(vbd, FIELD_VBD_currently_attached) == in)
        error_set(&e, in ? ERR_DEVICE_ALREADY_ATTACHED : ERR_DEVICE_ALREADY_DETACHED, ref, NULL);
    else if (is_cd(vbd))
        error_set(&e, ERR_OPERATION_NOT_ALLOWED,
                  "a drive is put in while the VM is halted; discs are changed with insert and eject", NULL);
    else if (!in && !row_bool(vbd, FIELD_VBD_unpluggable))
        error_set(&e, ERR_VBD_NOT_UNPLUGGABLE, ref, NULL);
    else if (in && vm_op_is_busy(call_api(c), row_ref(vbd, FIELD_VBD_VDI)))
        error_set(&e, ERR_VDI_IN_USE, ref_text(row_ref(vbd, FIELD_VBD_VDI), ref),
                  "another operation on the disk is under way", NULL);
    else if (in)
        (void)!vm_place_check_disk(d, vbd, &e);
    struct value disk = e ? (struct value){0} : vm_spec_disk(d, vbd, row_ref(vm, FIELD_VM_resident_on), &e);
    if (e)
        call_fail(c, e);
    else
        ask(c, vbd, vm, in ? "plug" : "unplug", in ? "attach" : "detach", disk, on_plugged);
}

void vbd_plug(struct call *c) {
    plug(c, true);
}

void vbd_unplug(struct call *c) {
    plug(c, false);
}

void vbd_assert_attachable(struct call *c) {
    const struct row *vbd = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!vbd)
        return;
    if (vm_place_check_disk(call_db(c), vbd, &e))
        call_return_void(c);
    else
        call_fail(c, e);
}

/* ---- discs ---- */

static void write_disc(struct vm_op *op, const struct value *result) {
    const struct row *vbd = vm_op_row(op);
    struct uuid vdi = {0};
    if (!vbd)
        return;
    bool is_empty = !uuid_parse(value_str(vm_op_data(op)), &vdi);
    struct db_txn *t = db_txn_new(vm_op_db(op), "a disc is changed");
    db_txn_set(t, CLASS_VBD, &vbd->uuid, FIELD_VBD_VDI, value_ref(&vdi));
    db_txn_set(t, CLASS_VBD, &vbd->uuid, FIELD_VBD_empty, value_bool(is_empty));
    vm_op_commit(op, t, vm_op_return_void);
}

/* The drive as it will be with another disc. */
static struct value drive_with(struct db *d, const struct row *vbd, const struct row *vdi, const struct uuid *host,
                               struct error **errp) {
    struct value disk = vm_spec_disk(d, vbd, host, errp);
    if (disk.type == VALUE_VOID)
        return disk;
    const struct row *pbd = vdi ? vm_spec_pbd(d, row_ref(vdi, FIELD_VDI_SR), host) : NULL;
    char vm_ref[REF_TEXT_SIZE], sr_ref[REF_TEXT_SIZE];
    if (vdi && !(pbd && row_bool(pbd, FIELD_PBD_currently_attached))) {
        error_set(errp, ERR_VM_REQUIRES_SR, ref_text(row_ref(vbd, FIELD_VBD_VM), vm_ref),
                  ref_text(row_ref(vdi, FIELD_VDI_SR), sr_ref), NULL);
        value_done(&disk);
        return (struct value){.type = VALUE_VOID};
    }
    value_map_put(&disk, "path", vdi ? value_string_take(vm_spec_file(d, pbd, vdi)) : value_string(""));
    value_map_put(&disk, "format", value_string(vdi ? vm_spec_format(vdi) : "raw"));
    return disk;
}

static void change_disc(struct call *c, const struct row *vbd, const struct row *vdi) {
    struct db *d = call_db(c);
    const struct row *vm = db_follow(d, vbd, FIELD_VBD_VM);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    ref_text(&vbd->uuid, ref);
    if (!is_cd(vbd))
        error_set(&e, ERR_VBD_NOT_REMOVABLE_MEDIA, ref, NULL);
    else if (!vm_pools_check(vm, &e))
        ; /* it says why */
    else if (vdi && !row_bool(vbd, FIELD_VBD_empty))
        error_set(&e, ERR_VBD_NOT_EMPTY, ref, NULL);
    else if (!vdi && row_bool(vbd, FIELD_VBD_empty))
        error_set(&e, ERR_VBD_IS_EMPTY, ref, NULL);
    else if (vm && str_eq(row_str(vm, FIELD_VM_power_state), "Suspended"))
        error_set(&e, ERR_VM_BAD_POWER_STATE, ref_text(&vm->uuid, ref), "running", "suspended", NULL);
    if (e) {
        call_fail(c, e);
        return;
    }
    bool is_live = vm && row_bool(vbd, FIELD_VBD_currently_attached);
    const char *operation = vdi ? "insert" : "eject";
    if (is_live && !running_vm(c, vm))
        return;
    struct value drive = is_live ? drive_with(d, vbd, vdi, row_ref(vm, FIELD_VM_resident_on), &e) : (struct value){0};
    if (e) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vbd, operation);
    if (!op) {
        value_done(&drive);
        return;
    }
    *vm_op_data(op) = value_string(vdi ? row_str(vdi, FIELD_VDI_uuid) : "");
    if (!is_live) {
        write_disc(op, NULL);
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string("update"));
    value_map_add(&args, "kind", value_string("disk"));
    value_map_add(&args, "device", drive);
    vm_op_ask(op, row_ref(vm, FIELD_VM_resident_on), "vm_device", args, DEVICE_MS, write_disc);
}

void vbd_insert(struct call *c) {
    const struct row *vbd = call_arg_row(c, 0), *vdi = vbd ? call_arg_row(c, 1) : NULL;
    if (vdi)
        change_disc(c, vbd, vdi);
}

void vbd_eject(struct call *c) {
    const struct row *vbd = call_arg_row(c, 0);
    if (vbd)
        change_disc(c, vbd, NULL);
}
