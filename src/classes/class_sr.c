/* SPDX-License-Identifier: Apache-2.0 */
/* Class SR: storage repositories, of the types that there are (store/store_place_core.h). */
#include "base/str.h"

#include <assert.h>

#include "classes/class_blob.h"
#include "classes/class_calls.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "store/store.h"

void sr_get_supported_types(struct call *c) {
    struct value types = value_set();
    for (const struct row *r = db_first(call_db(c), CLASS_SM); r; r = db_next(call_db(c), r)) {
        struct value type = value_string(row_str(r, FIELD_SM_type));
        if (value_set_has(&types, &type))
            value_done(&type);
        else
            value_set_add(&types, type);
    }
    call_return(c, types);
}

static int64_t int_of(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    return v ? value_as_int(v) : 0;
}

static void put_fill(struct db_txn *t, const struct uuid *sr, const struct value *result) {
    db_txn_set(t, CLASS_SR, sr, FIELD_SR_physical_size, value_int(int_of(result, "size")));
    db_txn_set(t, CLASS_SR, sr, FIELD_SR_physical_utilisation, value_int(int_of(result, "used")));
}

#define LOOK_MS 20000 /* how long SR.create waits for the other hosts */

/* ---- create ---- */

enum create_args { HOST, DEVICE_CONFIG, PHYSICAL_SIZE, NAME, DESCRIPTION, TYPE, CONTENT, SHARED, SM_CONFIG };

/* Which makes it; hosts that share it attach it all the same, so nobody has to choose one. */
static const struct uuid *maker_of(struct call *c) {
    const struct uuid *host = call_arg_ref(c, HOST);
    return call_arg_bool(c, SHARED) && uuid_is_null(host) ? api_own_host(call_api(c)) : host;
}

static struct uuid new_sr_of(struct vm_op *op) {
    struct uuid u = {0};
    return uuid_parse(value_str(vm_op_data(op)), &u) ? u : (struct uuid){0};
}

static void return_sr(struct vm_op *op) {
    struct uuid u = new_sr_of(op);
    vm_op_return_ref(op, &u);
}

/* A host of the pool has it, or is to attach it as soon as it can. */
static void put_pbd(struct db_txn *t, const struct uuid *sr, const struct uuid *host, const struct value *config,
                    bool attached) {
    struct uuid pbd = db_txn_insert(t, CLASS_PBD, NULL);
    db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_SR, value_ref(sr));
    db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_host, value_ref(host));
    db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_device_config, value_copy(config));
    db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_currently_attached, value_bool(attached));
    if (!attached)
        db_txn_map_put(t, CLASS_PBD, &pbd, FIELD_PBD_other_config, PBD_UNATTACHED_KEY, value_string(PBD_NOT_LOOKED_AT));
}

/* Every live host has it, or has said why not. */
static bool hosts_have_looked(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    struct uuid sr = new_sr_of(op);
    for (const struct row *p = db_first(d, CLASS_PBD); p; p = db_next(d, p)) {
        const char *why = value_map_str(row_value(p, FIELD_PBD_other_config), PBD_UNATTACHED_KEY);
        if (uuid_eq(row_ref(p, FIELD_PBD_SR), &sr) && why && str_eq(why, PBD_NOT_LOOKED_AT) &&
            api_host_is_live(call_api(vm_op_call(op)), row_ref(p, FIELD_PBD_host)))
            return false;
    }
    return true;
}

/* A host that is slow to look does so later; the SR is there. */
static void looked_late(struct vm_op *op, struct error *e) {
    error_free(e);
    return_sr(op);
}

static void wait_for_hosts(struct vm_op *op) {
    struct error *late = NULL;
    error_internal(&late, "hosts have not looked at the storage yet");
    vm_op_on_failure(op, looked_late);
    vm_op_wait(op, hosts_have_looked, LOOK_MS, late, return_sr);
}

static void on_filled(struct vm_op *op, const struct value *result) {
    struct call *c = vm_op_call(op);
    struct uuid sr = new_sr_of(op);
    struct db_txn *t = db_txn_new(vm_op_db(op), "SR.create");
    const char *content = call_arg_str(c, CONTENT);
    db_txn_insert(t, CLASS_SR, &sr);
    db_txn_set(t, CLASS_SR, &sr, FIELD_SR_name_label, value_copy(call_arg(c, NAME)));
    db_txn_set(t, CLASS_SR, &sr, FIELD_SR_name_description, value_copy(call_arg(c, DESCRIPTION)));
    db_txn_set(t, CLASS_SR, &sr, FIELD_SR_type, value_copy(call_arg(c, TYPE)));
    db_txn_set(t, CLASS_SR, &sr, FIELD_SR_content_type, value_string(*content ? content : "user"));
    db_txn_set(t, CLASS_SR, &sr, FIELD_SR_sm_config, value_copy(call_arg(c, SM_CONFIG)));
    put_fill(t, &sr, result);
    db_txn_set(t, CLASS_SR, &sr, FIELD_SR_shared, value_bool(call_arg_bool(c, SHARED)));
    put_pbd(t, &sr, maker_of(c), call_arg(c, DEVICE_CONFIG), /* attached= */ true);
    for (const struct row *h = db_first(vm_op_db(op), CLASS_host); h && call_arg_bool(c, SHARED);
         h = db_next(vm_op_db(op), h))
        if (!uuid_eq(&h->uuid, maker_of(c)))
            put_pbd(t, &sr, &h->uuid, call_arg(c, DEVICE_CONFIG), /* attached= */ false);
    vm_op_commit(op, t, wait_for_hosts);
}

static struct value create_args(struct call *c, const char *op, const char *sr) {
    struct value args = value_map();
    value_map_add(&args, "op", value_string(op));
    value_map_add(&args, "sr", value_string(sr));
    struct uuid u = {0};
    value_map_add(&args, "type", value_string(call_arg_str(c, TYPE)));
    if (uuid_parse(sr, &u))
        value_map_add(&args, "path",
                      value_string_take(store_place(call_arg_str(c, TYPE), call_arg(c, DEVICE_CONFIG), &u)));
    return args;
}

/* The rows were not written: the mark in the folder goes again. */
static void create_failed(struct vm_op *op, struct error *e) {
    struct call *c = vm_op_call(op);
    const struct api_hooks *h = api_hooks(call_api(c));
    if (!error_is(e, ERR_DB_WRITE_UNKNOWN))
        h->host_ask(h->userdata, maker_of(c), "store", create_args(c, "destroy", value_str(vm_op_data(op))), STORE_MS,
                    class_ask_ignored, NULL);
    vm_op_fail(op, e);
}

static void on_folder(struct vm_op *op, const struct value *result) {
    struct call *c = vm_op_call(op);
    vm_op_on_failure(op, create_failed);
    vm_op_ask(op, maker_of(c), "store", create_args(c, "stat", value_str(vm_op_data(op))), STORE_MS, on_filled);
}

static bool check_create(struct call *c, const struct row *host, struct error **errp) {
    char ref[REF_TEXT_SIZE];
    if (!store_type_is_known(call_arg_str(c, TYPE)))
        error_set(errp, ERR_SR_UNKNOWN_DRIVER, call_arg_str(c, TYPE), NULL);
    else if (call_arg_bool(c, SHARED) && !store_type_is_shared(call_arg_str(c, TYPE)))
        error_set(errp, ERR_SR_NOT_SHARABLE, "", ref_text(&host->uuid, ref), NULL);
    else if (!store_check_config(call_arg_str(c, TYPE), call_arg(c, DEVICE_CONFIG), errp))
        return false;
    else if (!api_host_is_live(call_api(c), &host->uuid))
        error_set(errp, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
    else
        return true;
    return false;
}

void sr_create(struct call *c) {
    const struct row *host = uuid_is_null(call_arg_ref(c, HOST)) && call_arg_bool(c, SHARED)
                                 ? db_get(call_db(c), CLASS_host, maker_of(c))
                                 : call_arg_row(c, HOST);
    struct error *e = NULL;
    char text[UUID_TEXT_SIZE];
    struct uuid sr = uuid_random();
    if (!host)
        return;
    if (!check_create(c, host, &e)) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_plain(c);
    *vm_op_data(op) = value_string(uuid_text(&sr, text));
    vm_op_ask(op, &host->uuid, "store", create_args(c, "create", text), STORE_MS, on_folder);
}

/* ---- probe ---- */

static void on_probed(struct vm_op *op, const struct value *result) {
    vm_op_return(op, value_string(str_or_empty(value_map_str(result, "xml"))));
}

void sr_probe(struct call *c) {
    enum { AT, WHERE, KIND };
    const struct row *host = call_arg_row(c, AT);
    char ref[REF_TEXT_SIZE];
    if (!host)
        return;
    if (!store_type_has_leases(call_arg_str(c, KIND))) {
        call_fail_code(c, ERR_SR_UNKNOWN_DRIVER, call_arg_str(c, KIND), NULL);
        return;
    }
    if (!api_host_is_live(call_api(c), &host->uuid)) {
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "op", value_string("probe"));
    value_map_add(&args, "type", value_string(call_arg_str(c, KIND)));
    value_map_add(&args, "server", value_string(str_or_empty(value_map_str(call_arg(c, WHERE), "server"))));
    value_map_add(&args, "serverpath", value_string(str_or_empty(value_map_str(call_arg(c, WHERE), "serverpath"))));
    if (str_eq(call_arg_str(c, KIND), "iscsi"))
        value_map_add(&args, "config", value_copy(call_arg(c, WHERE)));
    vm_op_ask(vm_op_plain(c), &host->uuid, "store", args, STORE_MS, on_probed);
}

/* ---- scan and update ---- */

static void put_virtual_sum(struct db *d, struct db_txn *t, const struct uuid *sr) {
    int64_t sum = 0;
    for (const struct row *v = db_first(d, CLASS_VDI); v; v = db_next(d, v))
        if (uuid_eq(row_ref(v, FIELD_VDI_SR), sr))
            sum += row_int(v, FIELD_VDI_virtual_size);
    db_txn_set(t, CLASS_SR, sr, FIELD_SR_virtual_allocation, value_int(sum));
}

static void on_stat(struct vm_op *op, const struct value *result) {
    struct db_txn *t = db_txn_new(vm_op_db(op), "SR.update");
    put_fill(t, vm_op_object(op), result);
    put_virtual_sum(vm_op_db(op), t, vm_op_object(op));
    vm_op_commit(op, t, vm_op_return_void);
}

/* A disk that the host has found. */
static void put_found(struct db *d, struct db_txn *t, const struct uuid *sr, const struct value *found) {
    struct uuid u;
    const char *format = str_or_empty(value_map_str(found, "format")), *parent = value_map_str(found, "parent"),
               *disc = value_map_str(found, "name"); /* in a repository of discs */
    if (!uuid_parse(str_or_empty(value_map_str(found, "vdi")), &u))
        return;
    const struct row *vdi = db_get(d, CLASS_VDI, &u);
    if (vdi && !uuid_eq(row_ref(vdi, FIELD_VDI_SR), sr))
        return; /* a disk of this name is elsewhere: not ours to change */
    const char *lun = value_map_str(found, "LUNid"), *scsi_id = value_map_str(found, "SCSIid");
    if (!vdi) {
        store_insert_vdi(t, &u, sr, format);
        db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_type, value_string(str_eq(format, "save") ? "suspend" : "user"));
        if (disc && lun) {
            db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_name_label, value_string(disc));
        } else if (disc) {
            db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_name_label, value_string(disc));
            db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_location, value_string(disc));
            db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_read_only, value_bool(true));
        }
    }
    const char *base = vdi ? value_map_str(row_value(vdi, FIELD_VDI_sm_config), "base") : NULL;
    if (!str_empty(parent) && !str_eq(str_or_empty(base), parent))
        db_txn_map_put(t, CLASS_VDI, &u, FIELD_VDI_sm_config, "base", value_string(parent));
    store_put_sizes(t, &u, found);
    const char *lun_before = vdi ? value_map_str(row_value(vdi, FIELD_VDI_sm_config), "LUNid") : NULL;
    if (lun && scsi_id && !str_eq(str_or_empty(lun_before), lun)) {
        db_txn_map_put(t, CLASS_VDI, &u, FIELD_VDI_sm_config, "LUNid", value_string(lun));
        db_txn_map_put(t, CLASS_VDI, &u, FIELD_VDI_sm_config, "SCSIid", value_string(scsi_id));
    }
    if (vdi && row_bool(vdi, FIELD_VDI_missing))
        db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_missing, value_bool(false));
}

static bool was_found(const struct value *found, const struct row *vdi) {
    for (size_t i = 0; i < found->set.n; i++)
        if (str_eq(str_or_empty(value_map_str(&found->set.items[i], "vdi")), row_str(vdi, FIELD_VDI_uuid)))
            return true;
    return false;
}

/* What others go on from is no disk of its own. */
static void hide_bases(struct db *d, struct db_txn *t, const struct value *found) {
    for (size_t i = 0; i < found->set.n; i++) {
        struct uuid u;
        if (!uuid_parse(str_or_empty(value_map_str(&found->set.items[i], "parent")), &u))
            continue;
        const struct row *base = db_get(d, CLASS_VDI, &u);
        bool is_among = base != NULL;
        for (size_t k = 0; !is_among && k < found->set.n; k++)
            is_among = str_eq(str_or_empty(value_map_str(&found->set.items[k], "vdi")),
                              str_or_empty(value_map_str(&found->set.items[i], "parent")));
        if (!is_among || (base && !row_bool(base, FIELD_VDI_managed)))
            continue;
        db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_managed, value_bool(false));
        db_txn_set(t, CLASS_VDI, &u, FIELD_VDI_read_only, value_bool(true));
    }
}

static void on_scanned(struct vm_op *op, const struct value *result) {
    struct db *d = vm_op_db(op);
    const struct uuid *sr = vm_op_object(op);
    const struct value *found = value_map_get(result, "vdis");
    struct db_txn *t = db_txn_new(d, "SR.scan");
    put_fill(t, sr, result);
    for (size_t i = 0; found && found->type == VALUE_SET && i < found->set.n; i++)
        put_found(d, t, sr, &found->set.items[i]);
    for (const struct row *v = db_first(d, CLASS_VDI); found && v; v = db_next(d, v))
        if (uuid_eq(row_ref(v, FIELD_VDI_SR), sr) && !was_found(found, v) &&
            !vm_op_is_busy(call_api(vm_op_call(op)), &v->uuid))
            db_txn_set(t, CLASS_VDI, &v->uuid, FIELD_VDI_missing, value_bool(true));
    if (found && found->type == VALUE_SET)
        hide_bases(d, t, found);
    put_virtual_sum(d, t, sr);
    vm_op_commit(op, t, vm_op_return_void);
}

static void ask(struct call *c, const char *operation, const char *what, vm_op_answer_fn *then) {
    const struct row *sr = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!sr)
        return;
    const struct row *host = store_check_type(sr, &e) ? store_host(call_api(c), sr, &e) : NULL;
    if (!host) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, sr, operation);
    if (op)
        vm_op_ask(op, &host->uuid, "store", store_args(call_db(c), what, &sr->uuid, &host->uuid), STORE_MS, then);
}

void sr_scan(struct call *c) {
    ask(c, "scan", "scan", on_scanned);
}

void sr_update(struct call *c) {
    ask(c, "update", "stat", on_stat);
}

/* ---- the end ---- */

static const struct row *plugged_pbd(struct db *d, const struct row *sr) {
    const struct value *pbds = row_value(sr, FIELD_SR_PBDs);
    for (size_t i = 0; i < pbds->set.n; i++) {
        const struct row *pbd = db_get(d, CLASS_PBD, &pbds->set.items[i].ref);
        if (pbd && row_bool(pbd, FIELD_PBD_currently_attached))
            return pbd;
    }
    return NULL;
}

static void delete_rows(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct row *sr = vm_op_row(op);
    if (!sr)
        return;
    const struct value *vdis = row_value(sr, FIELD_SR_VDIs), *pbds = row_value(sr, FIELD_SR_PBDs);
    struct db_txn *t = db_txn_new(d, call_def(vm_op_call(op))->name);
    class_delete_set(t, CLASS_PBD, pbds);
    class_delete_set(t, CLASS_VDI, vdis);
    blob_delete_all(t, row_value(sr, FIELD_SR_blobs));
    db_txn_delete(t, CLASS_SR, &sr->uuid);
    vm_op_commit(op, t, vm_op_return_void);
}

static void on_destroyed(struct vm_op *op, const struct value *result) {
    delete_rows(op);
}

/* Nothing of it is attached; NULL with the call failed. */
static const struct row *unplugged_sr(struct call *c) {
    const struct row *sr = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!sr || !plugged_pbd(call_db(c), sr))
        return sr;
    (void)net_fail_row(&e, ERR_SR_HAS_PBD, sr);
    call_fail(c, e);
    return NULL;
}

void sr_forget(struct call *c) {
    const struct row *sr = unplugged_sr(c);
    struct vm_op *op = sr ? vm_op_begin(c, sr, "forget") : NULL;
    if (op)
        delete_rows(op);
}

/* LUNs stay where they are, so it is enough that no VM names them. */
static bool has_disks(struct db *d, const struct row *sr) {
    const struct value *vdis = row_value(sr, FIELD_SR_VDIs);
    bool stay = str_eq(row_str(sr, FIELD_SR_type), "iscsi");
    for (size_t i = 0; i < vdis->set.n; i++) {
        const struct row *vdi = db_get(d, CLASS_VDI, &vdis->set.items[i].ref);
        if (!stay || (vdi && row_value(vdi, FIELD_VDI_VBDs)->set.n))
            return true;
    }
    return false;
}

void sr_destroy(struct call *c) {
    const struct row *sr = unplugged_sr(c);
    struct db *d = call_db(c);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    if (!sr)
        return;
    const struct value *pbds = row_value(sr, FIELD_SR_PBDs);
    const struct row *pbd = pbds->set.n ? db_get(d, CLASS_PBD, &pbds->set.items[0].ref) : NULL;
    if (!store_check_type(sr, &e))
        ;
    else if (has_disks(d, sr))
        error_set(&e, ERR_SR_NOT_EMPTY, NULL); /* people delete disks one by one, not by the hundred */
    else if (!pbd)
        (void)net_fail_row(&e, ERR_SR_HAS_NO_PBDS, sr);
    else if (!api_host_is_live(call_api(c), row_ref(pbd, FIELD_PBD_host)))
        error_set(&e, ERR_HOST_OFFLINE, ref_text(row_ref(pbd, FIELD_PBD_host), ref), NULL);
    if (e) {
        call_fail(c, e);
        return;
    }
    assert(pbd); /* or it is said above */
    struct vm_op *op = vm_op_begin(c, sr, "destroy");
    if (op)
        vm_op_ask(op, row_ref(pbd, FIELD_PBD_host), "store",
                  store_args(d, "destroy", &sr->uuid, row_ref(pbd, FIELD_PBD_host)), STORE_MS, on_destroyed);
}

/* ---- introduce, and plain fields ---- */

static void return_made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

void sr_introduce(struct call *c) {
    enum { UUID, LABEL, NOTE, KIND, CONTENTS, IS_SHARED, CONFIG };
    struct uuid u;
    if (!uuid_parse(call_arg_str(c, UUID), &u)) {
        call_fail_code(c, ERR_UUID_INVALID, "SR", call_arg_str(c, UUID), NULL);
        return;
    }
    if (db_get(call_db(c), CLASS_SR, &u)) {
        call_fail_code(c, ERR_SR_UUID_EXISTS, call_arg_str(c, UUID), NULL);
        return;
    }
    if (!store_type_is_known(call_arg_str(c, KIND))) {
        call_fail_code(c, ERR_SR_UNKNOWN_DRIVER, call_arg_str(c, KIND), NULL);
        return;
    }
    if (call_arg_bool(c, IS_SHARED) && !store_type_is_shared(call_arg_str(c, KIND))) {
        call_fail_code(c, ERR_SR_NOT_SHARABLE, call_arg_str(c, UUID), "", NULL);
        return;
    }
    struct uuid *made = xnew0(struct uuid);
    struct db_txn *t = db_txn_new(call_db(c), "SR.introduce");
    *made = db_txn_insert(t, CLASS_SR, &u);
    db_txn_set(t, CLASS_SR, &u, FIELD_SR_name_label, value_copy(call_arg(c, LABEL)));
    db_txn_set(t, CLASS_SR, &u, FIELD_SR_name_description, value_copy(call_arg(c, NOTE)));
    db_txn_set(t, CLASS_SR, &u, FIELD_SR_type, value_copy(call_arg(c, KIND)));
    db_txn_set(t, CLASS_SR, &u, FIELD_SR_content_type, value_copy(call_arg(c, CONTENTS)));
    db_txn_set(t, CLASS_SR, &u, FIELD_SR_sm_config, value_copy(call_arg(c, CONFIG)));
    db_txn_set(t, CLASS_SR, &u, FIELD_SR_shared, value_bool(call_arg_bool(c, IS_SHARED)));
    call_commit(c, t, return_made, made);
}

static void set_field(struct call *c, unsigned field) {
    const struct row *sr = call_arg_row(c, 0);
    if (!sr)
        return;
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    db_txn_set(t, CLASS_SR, &sr->uuid, field, value_copy(call_arg(c, 1)));
    call_commit(c, t, NULL, NULL);
}

void sr_set_name_label(struct call *c) {
    set_field(c, FIELD_SR_name_label);
}

void sr_set_name_description(struct call *c) {
    set_field(c, FIELD_SR_name_description);
}
