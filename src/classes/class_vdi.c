/* SPDX-License-Identifier: Apache-2.0 */
/* Class VDI: disks. A host that has the storage makes, measures and removes the file; the row follows. */
#include <stdio.h>

#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vdi.h"
#include "classes/class_vm_pools.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/transfer_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "store/store.h"

static int64_t int_of(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    int64_t n = 0;
    if (v && v->type == VALUE_STRING)
        return str_parse_int(value_str(v), INT64_MIN, INT64_MAX, &n) ? n : 0;
    return v ? value_as_int(v) : 0;
}

/* ---- create ---- */

struct making { /* survives until the rows are written */
    struct uuid vdi, sr, host;
    char format[8];
    struct db_txn *txn;
};

static void end_making(struct making *m) {
    if (m->txn)
        db_txn_abandon(m->txn);
    free(m);
}

static struct making *making_of(struct vm_op *op) {
    return (struct making *)(uintptr_t)vm_op_data(op)->integer;
}

static void create_failed(struct vm_op *op, struct error *e) {
    end_making(making_of(op));
    vm_op_fail(op, e);
}

/* The row was refused: the file goes as well. */
static void row_failed(struct vm_op *op, struct error *e) {
    struct making *m = making_of(op);
    const struct api_hooks *h = api_hooks(call_api(vm_op_call(op)));
    char text[UUID_TEXT_SIZE];
    struct value args = store_args(vm_op_db(op), "vdi_destroy", &m->sr, &m->host);
    value_map_add(&args, "vdi", value_string(uuid_text(&m->vdi, text)));
    value_map_add(&args, "format", value_string(m->format));
    /* Unless it is not known whether the row is there. */
    if (error_is(e, ERR_DB_WRITE_UNKNOWN) || !h->host_ask)
        value_done(&args);
    else
        h->host_ask(h->userdata, &m->host, "store", args, STORE_MS, class_ask_ignored, NULL);
    create_failed(op, e);
}

static void return_vdi(struct vm_op *op) {
    struct making *m = making_of(op);
    struct uuid u = m->vdi;
    end_making(m);
    vm_op_return_ref(op, &u);
}

static void on_file(struct vm_op *op, const struct value *result) {
    struct making *m = making_of(op);
    store_put_sizes(m->txn, &m->vdi, result);
    vm_op_on_failure(op, row_failed);
    vm_op_commit(op, TAKE(m->txn), return_vdi);
}

static bool check_size(int64_t size, struct error **errp) {
    if (size > 0 && size <= STORE_SIZE_MAX)
        return true;
    _cleanup_free_ char *text = strf("%lld", (long long)size);
    error_set(errp, ERR_INVALID_VALUE, "virtual_size", text, NULL);
    return false;
}

static const struct row *sr_of_record(struct call *c, struct error **errp) {
    const struct value *v = value_map_get(call_arg(c, 0), "SR");
    struct uuid u = {0};
    if (v && v->type == VALUE_REF)
        u = v->ref;
    else if (!v || !ref_parse(value_str(v), &u))
        u = (struct uuid){0};
    const struct row *sr = db_get(call_db(c), CLASS_SR, &u);
    if (!sr)
        error_set(errp, ERR_HANDLE_INVALID, "SR", v ? value_str(v) : "", NULL);
    return sr && store_check_changeable(sr, errp) ? sr : NULL;
}

void vdi_create(struct call *c) {
    const struct value *record = call_arg(c, 0);
    const char *kind =
        value_map_get(record, "sm_config") ? value_map_str(value_map_get(record, "sm_config"), "type") : NULL;
    bool raw = kind && str_eq(kind, "raw");
    struct error *e = NULL;
    const struct row *sr = sr_of_record(c, &e);
    const struct row *host =
        sr && check_size(int_of(record, "virtual_size"), &e) ? store_host(call_api(c), sr, &e) : NULL;
    struct making *m = xnew0(struct making);
    m->txn = db_txn_new(call_db(c), "VDI.create");
    m->vdi = db_txn_insert(m->txn, CLASS_VDI, NULL);
    if (host && call_fill_row(c, m->txn, &m->vdi, &e)) {
        str_copy(m->format, sizeof(m->format), raw ? "raw" : "qcow2");
        m->sr = sr->uuid;
        m->host = host->uuid;
        store_place_vdi(m->txn, &m->vdi, &sr->uuid, m->format);
        struct vm_op *op = vm_op_plain(c);
        char text[UUID_TEXT_SIZE];
        struct value args = store_args(call_db(c), "vdi_create", &sr->uuid, &host->uuid);
        value_map_add(&args, "vdi", value_string(uuid_text(&m->vdi, text)));
        value_map_add(&args, "format", value_string(m->format));
        value_map_add(&args, "size", value_int(int_of(record, "virtual_size")));
        *vm_op_data(op) = value_int((int64_t)(uintptr_t)m);
        vm_op_on_failure(op, create_failed);
        vm_op_ask(op, &host->uuid, "store", args, STORE_MS, on_file);
        return;
    }
    end_making(m);
    call_fail(c, e);
}

/* ---- what a disk must be like ---- */

static const struct row *attached_vbd(struct db *d, const struct row *vdi) {
    const struct value *vbds = row_value(vdi, FIELD_VDI_VBDs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vm = vbd ? db_follow(d, vbd, FIELD_VBD_VM) : NULL;
        /*
         * The disk of a suspended VM must stay as the VM left it; a VM that is being started has it already; that of
         * one on its way between pools is being copied, or written.
         */
        bool is_held = vm && !row_bool(vm, FIELD_VM_is_a_snapshot) &&
                       (str_eq(row_str(vm, FIELD_VM_power_state), "Suspended") ||
                        !uuid_is_null(row_ref(vm, FIELD_VM_resident_on)) || vm_pools_hold(vm));
        if (vbd && (row_bool(vbd, FIELD_VBD_currently_attached) || is_held))
            return vbd;
    }
    return NULL;
}

bool transfer_vdi_is_attached(struct db *d, const struct row *vdi) {
    return attached_vbd(d, vdi) != NULL;
}

/* A LUN is read for a copy elsewhere; nothing is made where it lies. */
static bool is_copied_from(const struct row *sr, const char *operation) {
    return str_eq(operation, "copy") && str_eq(row_str(sr, FIELD_SR_type), "iscsi");
}

/* Managed, unattached, on storage that a live host has; begins the operation. NULL with the call failed. */
static struct vm_op *begin_on(struct call *c, const struct row *vdi, const char *operation, bool needs_image,
                              const struct row **ret_host) {
    struct db *d = call_db(c);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    const struct row *sr = db_follow(d, vdi, FIELD_VDI_SR), *host = NULL;
    if (!row_bool(vdi, FIELD_VDI_managed))
        (void)net_fail_row(&e, ERR_VDI_NOT_MANAGED, vdi);
    else if (attached_vbd(d, vdi))
        error_set(&e, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), operation, NULL);
    else if (needs_image && str_eq(vm_spec_format(vdi), "save"))
        error_set(&e, ERR_VDI_INCOMPATIBLE_TYPE, ref_text(&vdi->uuid, ref), "suspend", NULL);
    else if (!sr)
        error_set(&e, ERR_VDI_NOT_AVAILABLE, ref_text(&vdi->uuid, ref), NULL);
    else if (is_copied_from(sr, operation) || store_check_changeable(sr, &e))
        host = store_host(call_api(c), sr, &e);
    if (!host) {
        call_fail(c, e);
        return NULL;
    }
    *ret_host = host;
    return vm_op_begin(c, vdi, operation);
}

static struct vm_op *begin(struct call *c, const char *operation, bool needs_image, const struct row **ret_vdi,
                           const struct row **ret_host) {
    *ret_vdi = call_arg_row(c, 0);
    return *ret_vdi ? begin_on(c, *ret_vdi, operation, needs_image, ret_host) : NULL;
}

struct vm_op *vdi_op_begin(struct call *c, const struct row *vdi, const char *operation, bool writes,
                           const struct row **ret_host) {
    char ref[REF_TEXT_SIZE];
    /* What a snapshot has been taken of goes on from a base, and stays what it is while others go on from it. */
    if (writes && store_is_base(call_db(c), vdi)) {
        call_fail_code(c, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), operation, NULL);
        return NULL;
    }
    return begin_on(c, vdi, operation, /* needs_image= */ true, ret_host);
}

/* ---- destroy: when the last disk on a base goes, the base goes ---- */

static void on_removed(struct vm_op *op, const struct value *result);

/* Removes a file that the row named by the data (a uuid) stands for. */
static void remove_file(struct vm_op *op, const struct row *vdi) {
    struct db *d = vm_op_db(op);
    struct error *e = NULL;
    const struct row *sr = db_follow(d, vdi, FIELD_VDI_SR);
    const struct row *host = sr ? store_host(call_api(vm_op_call(op)), sr, &e) : NULL;
    if (!host) {
        vm_op_fail(op, e);
        return;
    }
    value_done(vm_op_data(op));
    *vm_op_data(op) = value_string(row_str(vdi, FIELD_VDI_uuid));
    vm_op_ask(op, &host->uuid, "store", store_disk_args(d, "vdi_destroy", vdi, &host->uuid), STORE_MS, on_removed);
}

static void next_base(struct vm_op *op) {
    struct uuid u;
    const struct row *base = uuid_parse(value_str(vm_op_data(op)), &u) ? db_get(vm_op_db(op), CLASS_VDI, &u) : NULL;
    if (base && !row_bool(base, FIELD_VDI_managed) && !store_is_base(vm_op_db(op), base))
        remove_file(op, base);
    else
        vm_op_return_void(op);
}

struct lonely { /* a base that nothing goes on from, once the rows say so */
    vm_op_fn *then;
    struct uuid base;
};

static void forget_lonely(struct vm_op *op) {
    struct lonely l = *(struct lonely *)(uintptr_t)vm_op_data(op)->integer;
    struct db *d = vm_op_db(op);
    const struct row *base = db_get(d, CLASS_VDI, &l.base), *sr = base ? db_follow(d, base, FIELD_VDI_SR) : NULL;
    const struct api_hooks *h = api_hooks(call_api(vm_op_call(op)));
    _cleanup_error_ struct error *e = NULL;
    const struct row *host = sr ? store_host(call_api(vm_op_call(op)), sr, &e) : NULL;
    free((struct lonely *)(uintptr_t)vm_op_data(op)->integer);
    *vm_op_data(op) = (struct value){.type = VALUE_VOID};
    vm_op_on_failure(op, NULL);
    if (base && host && h->host_ask && !row_bool(base, FIELD_VDI_managed) && !store_is_base(d, base)) {
        h->host_ask(h->userdata, &host->uuid, "store", store_disk_args(d, "vdi_destroy", base, &host->uuid), STORE_MS,
                    class_ask_ignored, NULL);
        struct db_txn *t = db_txn_new(d, "a base that nothing goes on from");
        db_txn_delete(t, CLASS_VDI, &base->uuid);
        vm_op_commit(op, t, l.then);
        return;
    }
    l.then(op);
}

static void lonely_failed(struct vm_op *op, struct error *e) {
    free((struct lonely *)(uintptr_t)vm_op_data(op)->integer);
    *vm_op_data(op) = (struct value){.type = VALUE_VOID};
    vm_op_fail(op, e);
}

void vdi_op_commit_without_base(struct vm_op *op, struct db_txn *t, const struct row *base, vm_op_fn *then) {
    struct lonely *l = xnew0(struct lonely);
    *l = (struct lonely){.then = then, .base = base->uuid};
    value_done(vm_op_data(op));
    *vm_op_data(op) = value_int((int64_t)(uintptr_t)l);
    vm_op_on_failure(op, lonely_failed);
    vm_op_commit(op, t, forget_lonely);
}

static void on_removed(struct vm_op *op, const struct value *result) {
    struct db *d = vm_op_db(op);
    struct uuid u;
    const struct row *vdi = uuid_parse(value_str(vm_op_data(op)), &u) ? db_get(d, CLASS_VDI, &u) : NULL;
    if (!vdi) {
        vm_op_return_void(op);
        return;
    }
    const struct row *base = store_base_of(d, vdi);
    const struct value *vbds = row_value(vdi, FIELD_VDI_VBDs);
    struct db_txn *t = db_txn_new(d, "VDI.destroy");
    for (size_t i = 0; i < vbds->set.n; i++)
        db_txn_delete(t, CLASS_VBD, &vbds->set.items[i].ref);
    db_txn_delete(t, CLASS_VDI, &vdi->uuid);
    value_done(vm_op_data(op));
    *vm_op_data(op) = value_string(base ? row_str(base, FIELD_VDI_uuid) : "");
    vm_op_commit(op, t, next_base);
}

void vdi_destroy(struct call *c) {
    const struct row *vdi, *host;
    const struct row *asked = call_arg_row(c, 0);
    if (!asked)
        return;
    for (const struct row *vm = db_first(call_db(c), CLASS_VM); vm; vm = db_next(call_db(c), vm))
        if (uuid_eq(row_ref(vm, FIELD_VM_suspend_VDI), &asked->uuid)) {
            char ref[REF_TEXT_SIZE];
            call_fail_code(c, ERR_VDI_IN_USE, ref_text(&asked->uuid, ref), "destroy", NULL);
            return;
        }
    struct vm_op *op = begin(c, "destroy", /* needs_image= */ false, &vdi, &host);
    if (op)
        remove_file(op, vdi);
}

void vdi_forget(struct call *c) {
    const struct row *vdi = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!vdi)
        return;
    if (attached_vbd(call_db(c), vdi)) {
        call_fail_code(c, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "forget", NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "VDI.forget");
    db_txn_delete(t, CLASS_VDI, &vdi->uuid);
    call_commit(c, t, NULL, NULL);
}

/* ---- sizes ---- */

static void on_measured(struct vm_op *op, const struct value *result) {
    struct db_txn *t = db_txn_new(vm_op_db(op), "size of a disk");
    store_put_sizes(t, vm_op_object(op), result);
    vm_op_commit(op, t, vm_op_return_void);
}

void vdi_resize(struct call *c) {
    const struct row *vdi, *host;
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE], least[24];
    const struct row *asked = call_arg_row(c, 0);
    if (!asked)
        return;
    if (!check_size(call_arg_int(c, 1), &e)) {
        call_fail(c, e);
        return;
    }
    if (call_arg_int(c, 1) < row_int(asked, FIELD_VDI_virtual_size)) {
        (void)snprintf(least, sizeof(least), "%lld", (long long)row_int(asked, FIELD_VDI_virtual_size));
        call_fail_code(c, ERR_VDI_TOO_SMALL, ref_text(&asked->uuid, ref), least, NULL);
        return;
    }
    struct vm_op *op = begin(c, "resize", /* needs_image= */ true, &vdi, &host);
    if (!op)
        return;
    struct value args = store_disk_args(call_db(c), "vdi_resize", vdi, &host->uuid);
    value_map_add(&args, "size", value_int(call_arg_int(c, 1)));
    vm_op_ask(op, &host->uuid, "store", args, STORE_MS, on_measured);
}

void vdi_update(struct call *c) {
    const struct row *vdi = call_arg_row(c, 0), *sr = vdi ? db_follow(call_db(c), vdi, FIELD_VDI_SR) : NULL;
    struct error *e = NULL;
    if (!vdi)
        return;
    const struct row *host = sr && store_check_type(sr, &e) ? store_host(call_api(c), sr, &e) : NULL;
    if (!host) {
        if (!e)
            (void)net_fail_row(&e, ERR_VDI_NOT_AVAILABLE, vdi);
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vdi, "update");
    if (op)
        vm_op_ask(op, &host->uuid, "store", store_disk_args(call_db(c), "vdi_stat", vdi, &host->uuid), STORE_MS,
                  on_measured);
}

/* ---- clone, snapshot, copy ---- */

static void return_child(struct vm_op *op) {
    struct uuid u;
    if (uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "child")), &u))
        vm_op_return_ref(op, &u);
}

static void put_like(struct db_txn *t, const struct row *vdi, const struct uuid *child) {
    static const unsigned same[] = {FIELD_VDI_name_label, FIELD_VDI_name_description, FIELD_VDI_type,
                                    FIELD_VDI_sharable,   FIELD_VDI_virtual_size,     FIELD_VDI_xenstore_data};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++)
        db_txn_set(t, CLASS_VDI, child, same[i], value_copy(row_value(vdi, same[i])));
}

static void on_forked(struct vm_op *op, const struct value *result) {
    const struct row *vdi = vm_op_row(op);
    struct uuid child, base;
    if (!vdi || !uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "child")), &child) ||
        !uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "base")), &base))
        return;
    struct db_txn *t = db_txn_new(vm_op_db(op), "a disk is forked");
    store_insert_vdi(t, &child, row_ref(vdi, FIELD_VDI_SR), "qcow2");
    put_like(t, vdi, &child);
    store_insert_base(t, &base, vdi, int_of(result, "physical_size"));
    db_txn_map_put(t, CLASS_VDI, &child, FIELD_VDI_sm_config, "base",
                   value_copy(value_map_get(vm_op_data(op), "base")));
    if (value_map_get(vm_op_data(op), "snapshot")) {
        int64_t now = loop_wall_ms(api_loop(call_api(vm_op_call(op)))) / 1000;
        db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_is_a_snapshot, value_bool(true));
        db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_snapshot_of, value_ref(&vdi->uuid));
        db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_snapshot_time, value_time(now));
        db_txn_set(t, CLASS_VDI, &child, FIELD_VDI_read_only, value_bool(true));
    }
    vm_op_commit(op, t, return_child);
}

static void fork_disk(struct call *c, const char *operation, bool is_snapshot) {
    const struct row *vdi, *host;
    struct uuid child = uuid_random(), base = uuid_random();
    char text[UUID_TEXT_SIZE];
    struct vm_op *op = begin(c, operation, /* needs_image= */ true, &vdi, &host);
    if (!op)
        return;
    struct value args = store_disk_args(call_db(c), "vdi_fork", vdi, &host->uuid), *data = vm_op_data(op);
    *data = value_map();
    value_map_add(data, "child", value_string(uuid_text(&child, text)));
    value_map_add(&args, "child", value_string(text));
    value_map_add(data, "base", value_string(uuid_text(&base, text)));
    value_map_add(&args, "base", value_string(text));
    if (is_snapshot)
        value_map_add(data, "snapshot", value_bool(true));
    vm_op_ask(op, &host->uuid, "store", args, STORE_MS, on_forked);
}

void vdi_clone(struct call *c) {
    fork_disk(c, "clone", /* is_snapshot= */ false);
}

void vdi_snapshot(struct call *c) {
    fork_disk(c, "snapshot", /* is_snapshot= */ true);
}

static void on_copied(struct vm_op *op, const struct value *result) {
    const struct row *vdi = vm_op_row(op);
    struct uuid child, sr;
    if (!vdi || !uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "child")), &child) ||
        !uuid_parse(str_or_empty(value_map_str(vm_op_data(op), "sr")), &sr))
        return;
    struct db_txn *t = db_txn_new(vm_op_db(op), "a disk is copied");
    store_insert_vdi(t, &child, &sr, "qcow2");
    put_like(t, vdi, &child);
    store_put_sizes(t, &child, result);
    vm_op_commit(op, t, return_child);
}

void vdi_copy(struct call *c) {
    const struct row *vdi, *host, *sr = NULL;
    struct db *d = call_db(c);
    struct uuid child = uuid_random();
    char text[UUID_TEXT_SIZE], ref[REF_TEXT_SIZE];
    if (!uuid_is_null(call_arg_ref(c, 2)) || !uuid_is_null(call_arg_ref(c, 3))) {
        call_fail_code(c, ERR_NOT_IMPLEMENTED, "VDI.copy with base_vdi or into_vdi", NULL);
        return;
    }
    if (!uuid_is_null(call_arg_ref(c, 1)) && !(sr = call_arg_row(c, 1)))
        return;
    struct vm_op *op = begin(c, "copy", /* needs_image= */ true, &vdi, &host);
    if (!op)
        return;
    const struct uuid *to = sr ? &sr->uuid : row_ref(vdi, FIELD_VDI_SR);
    const struct row *pbd = vm_spec_pbd(d, to, &host->uuid), *to_row = db_get(d, CLASS_SR, to);
    struct error *refused = NULL;
    if (to_row && !store_check_changeable(to_row, &refused)) {
        vm_op_fail(op, refused);
        return;
    }
    if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached)) {
        struct error *e = NULL;
        error_set(&e, ERR_SR_NOT_ATTACHED, ref_text(to, ref), NULL);
        vm_op_fail(op, e);
        return;
    }
    struct value args = store_disk_args(d, "vdi_copy", vdi, &host->uuid), *data = vm_op_data(op);
    *data = value_map();
    value_map_add(data, "child", value_string(uuid_text(&child, text)));
    value_map_add(&args, "to", value_string(text));
    value_map_add(data, "sr", value_string(uuid_text(to, text)));
    value_map_add(&args, "to_sr", value_string(text));
    value_map_add(&args, "to_path", value_string_take(vm_spec_folder(d, pbd)));
    value_map_add(&args, "to_format", value_string("qcow2"));
    vm_op_ask(op, &host->uuid, "store", args, STORE_COPY_MS, on_copied);
}

/* ---- plain fields ---- */

static void set_field(struct call *c, unsigned field) {
    const struct row *vdi = call_arg_row(c, 0);
    if (!vdi)
        return;
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    db_txn_set(t, CLASS_VDI, &vdi->uuid, field, value_copy(call_arg(c, 1)));
    call_commit(c, t, NULL, NULL);
}

void vdi_set_name_label(struct call *c) {
    set_field(c, FIELD_VDI_name_label);
}

void vdi_set_name_description(struct call *c) {
    set_field(c, FIELD_VDI_name_description);
}

static void set_field_detached(struct call *c, unsigned field, const char *operation) {
    const struct row *vdi = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (vdi && attached_vbd(call_db(c), vdi))
        call_fail_code(c, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), operation, NULL);
    else
        set_field(c, field);
}

void vdi_set_read_only(struct call *c) {
    set_field_detached(c, FIELD_VDI_read_only, "set_read_only");
}
