/* SPDX-License-Identifier: Apache-2.0 */
/* Class PBD: the connection of a host to storage. */
#include "base/str.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "store/store.h"

static const struct row *row_in(struct call *c, const char *key, int class_id, struct error **errp) {
    const struct value *v = value_map_get(call_arg(c, 0), key);
    struct uuid u = {0};
    if (v && v->type == VALUE_REF)
        u = v->ref;
    else if (!v || !ref_parse(value_str(v), &u))
        u = (struct uuid){0};
    const struct row *r = db_get(call_db(c), class_id, &u);
    if (!r)
        error_set(errp, ERR_HANDLE_INVALID, model_classes[class_id].name, v ? value_str(v) : "", NULL);
    return r;
}

static void return_made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

static bool check(struct call *c, struct error **errp) {
    const struct row *host = row_in(c, "host", CLASS_host, errp), *sr = host ? row_in(c, "SR", CLASS_SR, errp) : NULL;
    const struct value *config = value_map_get(call_arg(c, 0), "device_config");
    char sr_ref[REF_TEXT_SIZE], host_ref[REF_TEXT_SIZE], ref[REF_TEXT_SIZE];
    if (!sr || !store_check_type(sr, errp))
        return false;
    const struct row *other = vm_spec_pbd(call_db(c), &sr->uuid, &host->uuid);
    if (other) {
        error_set(errp, ERR_PBD_EXISTS, ref_text(&sr->uuid, sr_ref), ref_text(&host->uuid, host_ref),
                  ref_text(&other->uuid, ref), NULL);
        return false;
    }
    if (row_value(sr, FIELD_SR_PBDs)->set.n && !row_bool(sr, FIELD_SR_shared)) {
        error_set(errp, ERR_SR_NOT_SHARABLE, ref_text(&sr->uuid, sr_ref), ref_text(&host->uuid, host_ref), NULL);
        return false;
    }
    return store_check_config(row_str(sr, FIELD_SR_type), config, errp);
}

void pbd_create(struct call *c) {
    struct db_txn *t = db_txn_new(call_db(c), "PBD.create");
    struct uuid *made = xnew0(struct uuid);
    struct error *e = NULL;
    *made = db_txn_insert(t, CLASS_PBD, NULL);
    if (check(c, &e) && call_fill_row(c, t, made, &e)) {
        db_txn_set(t, CLASS_PBD, made, FIELD_PBD_currently_attached, value_bool(false));
        call_commit(c, t, return_made, made);
        return;
    }
    free(made);
    db_txn_abandon(t);
    call_fail(c, e);
}

void pbd_destroy(struct call *c) {
    const struct row *pbd = call_arg_row(c, 0);
    if (!pbd)
        return;
    if (row_bool(pbd, FIELD_PBD_currently_attached)) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "the storage is plugged in: unplug it first", NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "PBD.destroy");
    db_txn_delete(t, CLASS_PBD, &pbd->uuid);
    call_commit(c, t, NULL, NULL);
}

/* ---- plug and unplug ---- */

static void put_attached(struct vm_op *op, bool attached) {
    struct uuid pbd;
    if (!uuid_parse(value_str(vm_op_data(op)), &pbd))
        return;
    struct db_txn *t = db_txn_new(vm_op_db(op), call_def(vm_op_call(op))->name);
    db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_currently_attached, value_bool(attached));
    db_txn_map_remove(t, CLASS_PBD, &pbd, FIELD_PBD_other_config,
                      PBD_UNATTACHED_KEY); /* a person has said what is to be */
    vm_op_commit(op, t, vm_op_return_void);
}

static void on_attached(struct vm_op *op, const struct value *result) {
    put_attached(op, true);
}

static struct vm_op *begin(struct call *c, const struct row *pbd, const char *operation) {
    const struct row *sr = db_follow(call_db(c), pbd, FIELD_PBD_SR);
    struct error *e = NULL;
    if (sr && store_check_type(sr, &e)) {
        struct vm_op *op = vm_op_begin(c, sr, operation);
        if (op)
            *vm_op_data(op) = value_string(row_str(pbd, FIELD_PBD_uuid));
        return op;
    }
    if (!e)
        error_set(&e, ERR_HANDLE_INVALID, "SR", "", NULL);
    call_fail(c, e);
    return NULL;
}

void pbd_plug(struct call *c) {
    const struct row *pbd = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!pbd)
        return;
    if (row_bool(pbd, FIELD_PBD_currently_attached)) {
        call_return_void(c);
        return;
    }
    if (!api_host_is_live(call_api(c), row_ref(pbd, FIELD_PBD_host))) {
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(row_ref(pbd, FIELD_PBD_host), ref), NULL);
        return;
    }
    struct vm_op *op = begin(c, pbd, "plug");
    if (op)
        vm_op_ask(op, row_ref(pbd, FIELD_PBD_host), "store",
                  store_args(call_db(c), "attach", row_ref(pbd, FIELD_PBD_SR), row_ref(pbd, FIELD_PBD_host)), STORE_MS,
                  on_attached);
}

/* A disk of the SR that a VM on the host has; NULL: none. */
static const struct row *used_vdi(struct db *d, const struct row *pbd) {
    for (const struct row *vbd = db_first(d, CLASS_VBD); vbd; vbd = db_next(d, vbd)) {
        const struct row *vdi = db_follow(d, vbd, FIELD_VBD_VDI), *vm = db_follow(d, vbd, FIELD_VBD_VM);
        if (vdi && vm && uuid_eq(row_ref(vdi, FIELD_VDI_SR), row_ref(pbd, FIELD_PBD_SR)) &&
            uuid_eq(row_ref(vm, FIELD_VM_resident_on), row_ref(pbd, FIELD_PBD_host)))
            return vdi;
    }
    return NULL;
}

void pbd_unplug(struct call *c) {
    const struct row *pbd = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!pbd)
        return;
    if (!row_bool(pbd, FIELD_PBD_currently_attached) &&
        !value_map_get(row_value(pbd, FIELD_PBD_other_config), PBD_UNATTACHED_KEY)) {
        call_return_void(c);
        return;
    }
    const struct row *vdi = used_vdi(call_db(c), pbd);
    if (vdi) {
        call_fail_code(c, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "unplug", NULL);
        return;
    }
    struct vm_op *op = begin(c, pbd, "unplug"); /* nothing is mounted on the host, so nothing is to be unmounted */
    if (op)
        put_attached(op, false);
}
