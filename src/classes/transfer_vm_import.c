/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Import of VMs (transfer_calls.h). The host reads the whole archive into disks first; then the VM and what belongs to
 * it appear in one transaction, or the disks go again.
 */
#include <stdio.h>
#include <strings.h>

#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/transfer_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "model/model.h"
#include "store/store_xva_core.h"
#include "wire/value_xml.h"

/* Only what means the same here; what names a file, a device or an object of the other pool is left behind. */
static const char *const vm_fields[] = {"name_label",
                                        "name_description",
                                        "user_version",
                                        "is_a_template",
                                        "memory_overhead",
                                        "memory_target",
                                        "memory_static_max",
                                        "memory_dynamic_max",
                                        "memory_dynamic_min",
                                        "memory_static_min",
                                        "VCPUs_params",
                                        "VCPUs_max",
                                        "VCPUs_at_startup",
                                        "actions_after_shutdown",
                                        "actions_after_reboot",
                                        "actions_after_crash",
                                        "HVM_boot_policy",
                                        "HVM_boot_params",
                                        "HVM_shadow_multiplier",
                                        "platform",
                                        "other_config",
                                        "xenstore_data",
                                        "recommendations",
                                        "ha_restart_priority",
                                        "tags",
                                        "version",
                                        "order",
                                        "start_delay",
                                        "shutdown_delay",
                                        "generation_id",
                                        "hardware_platform_version",
                                        "has_vendor_device",
                                        "bios_strings"};
static const char *const vdi_fields[] = {"name_label", "name_description", "xenstore_data", "tags"};
static const char *const vbd_fields[] = {"bootable", "mode", "unpluggable", "qos_algorithm_type",
                                         "qos_algorithm_params"};
static const char *const vif_fields[] = {"device", "MTU", "qos_algorithm_type", "qos_algorithm_params"};

struct importing {
    struct call *call;
    struct db *d;
    struct db_txn *t;
    struct uuid vm, sr;
    bool is_restore, is_forced;
    const struct value *ova, *disks; /* what is in the archive; what the host has made of it */
    uint64_t drives, nics;           /* places that are taken, as bits */
    struct strv macs;
    struct error *error;
};

static void copy_fields(struct importing *m, int class_id, const struct uuid *u, const struct value *record,
                        const char *const *names, size_t n) {
    for (size_t i = 0; i < n && !m->error; i++) {
        int index;
        const struct field_def *f = model_field_by_name(&model_classes[class_id], names[i], &index);
        const struct value *given = value_map_get(record, names[i]);
        if (!f || !given || f->store != STORE_DB)
            continue;
        struct value v = value_copy(given);
        if (model_coerce(f->type, &v, names[i], &m->error))
            db_txn_set(m->t, class_id, u, (unsigned)index, v);
        else
            value_done(&v);
    }
}

#define COPY(m, class_id, u, record, names) copy_fields(m, class_id, u, record, names, ARRAY_SIZE(names))

/* ---- disks and drives ---- */

static bool put_vdi(struct importing *m, const char *ref, struct uuid *ret) {
    const struct value *made = value_map_get(m->disks, ref), *record = xva_object(m->ova, "VDI", ref);
    if (!made || !record || !uuid_parse(str_or_empty(value_map_str(made, "vdi")), ret))
        return false;
    store_insert_vdi(m->t, ret, &m->sr, "qcow2");
    store_put_sizes(m->t, ret, made);
    COPY(m, CLASS_VDI, ret, record, vdi_fields);
    db_txn_set(m->t, CLASS_VDI, ret, FIELD_VDI_type,
               value_string(str_eq(xva_text(record, "type"), "system") ? "system" : "user"));
    return true;
}

static void put_vbd(const struct value *record, void *userdata) {
    struct importing *m = userdata;
    bool is_disk = str_eq(xva_text(record, "type"), "Disk");
    int place = vm_spec_place(xva_text(record, "userdevice"));
    struct uuid vdi = {0};
    if (m->error || (!is_disk && !str_eq(xva_text(record, "type"), "CD")))
        return; /* floppies and what else there was */
    if (place < 0)
        place = vm_spec_place(xva_text(record, "device")); /* "xvda", "hda" */
    if (place < 0) {
        error_setf(&m->error, ERR_IMPORT_ERROR, "a drive has the place '%s', which is none",
                   xva_text(record, "userdevice"));
        return;
    }
    if (m->drives & UINT64_C(1) << place) {
        error_setf(&m->error, ERR_IMPORT_ERROR, "two drives have the place %d", place);
        return;
    }
    m->drives |= UINT64_C(1) << place;
    bool is_empty = !is_disk || !put_vdi(m, xva_text(record, "VDI"), &vdi);
    if (is_disk && is_empty)
        return;
    struct uuid u = db_txn_insert(m->t, CLASS_VBD, NULL);
    COPY(m, CLASS_VBD, &u, record, vbd_fields);
    db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_VM, value_ref(&m->vm));
    db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_VDI, value_ref(&vdi));
    db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_empty, value_bool(is_empty));
    db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_type, value_string(is_disk ? "Disk" : "CD"));
    db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_userdevice, value_stringf("%d", place));
    db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_currently_attached, value_bool(false));
    if (!is_disk) /* discs stay where they were */
        db_txn_set(m->t, CLASS_VBD, &u, FIELD_VBD_mode, value_string("RO"));
}

/* ---- interfaces ---- */

/* The network of the same name, else of the same bridge. */
static const struct row *network_like(struct db *d, const struct value *record) {
    for (const struct row *n = db_first(d, CLASS_network); record && n; n = db_next(d, n))
        if (str_eq(row_str(n, FIELD_network_name_label), xva_text(record, "name_label")))
            return n;
    for (const struct row *n = db_first(d, CLASS_network); record && n; n = db_next(d, n))
        if (str_eq(row_str(n, FIELD_network_bridge), xva_text(record, "bridge")))
            return n;
    return NULL;
}

static bool mac_is_taken(struct db *d, const struct uuid *network, const char *mac) {
    for (const struct row *v = db_first(d, CLASS_VIF); v; v = db_next(d, v))
        if (uuid_eq(row_ref(v, FIELD_VIF_network), network) && strcasecmp(row_str(v, FIELD_VIF_MAC), mac) == 0)
            return true;
    return false;
}

static bool mac_can_be_kept(struct importing *m, const struct uuid *network, const char *mac) {
    unsigned first;
    if (!net_check_mac(mac, &m->error))
        return false;
    if (sscanf(mac, "%2x", &first) != 1 || (first & 1))
        error_set(&m->error, ERR_MAC_INVALID, mac, NULL);
    else if (mac_is_taken(m->d, network, mac) || strv_has(&m->macs, mac))
        error_set(&m->error, ERR_MAC_STILL_EXISTS, mac, NULL);
    else
        strv_add(&m->macs, mac);
    return !m->error;
}

static void put_vif(const struct value *record, void *userdata) {
    struct importing *m = userdata;
    const struct value *there = xva_object(m->ova, "network", xva_text(record, "network"));
    const struct row *network = network_like(m->d, there);
    const char *mac = xva_text(record, "MAC");
    if (m->error || (!network && m->is_forced))
        return;
    if (!network) {
        error_set(&m->error, ERR_IMPORT_ERROR_FAILED_TO_FIND_OBJECT,
                  there ? xva_text(there, "name_label") : "the network of an interface", NULL);
        return;
    }
    int64_t number;
    if (!str_parse_int(xva_text(record, "device"), 0, 63, &number) || m->nics & UINT64_C(1) << number) {
        error_setf(&m->error, ERR_IMPORT_ERROR, "an interface has the number '%s', which is none or taken",
                   xva_text(record, "device"));
        return;
    }
    m->nics |= UINT64_C(1) << number;
    if (m->is_restore && !mac_can_be_kept(m, &network->uuid, mac))
        return;
    struct uuid u = db_txn_insert(m->t, CLASS_VIF, NULL);
    COPY(m, CLASS_VIF, &u, record, vif_fields);
    db_txn_set(m->t, CLASS_VIF, &u, FIELD_VIF_VM, value_ref(&m->vm));
    db_txn_set(m->t, CLASS_VIF, &u, FIELD_VIF_network, value_ref(&network->uuid));
    db_txn_set(m->t, CLASS_VIF, &u, FIELD_VIF_MAC,
               m->is_restore ? value_string(mac) : value_string_take(class_vm_random_mac()));
    db_txn_set(m->t, CLASS_VIF, &u, FIELD_VIF_MAC_autogenerated,
               value_bool(!m->is_restore || xva_bool(record, "MAC_autogenerated")));
    db_txn_set(m->t, CLASS_VIF, &u, FIELD_VIF_currently_attached, value_bool(false));
}

/* ---- the VM ---- */

static bool choose_uuid(struct importing *m, const struct value *record) {
    struct uuid u;
    char ref[REF_TEXT_SIZE];
    if (!m->is_restore) {
        m->vm = uuid_random();
        return true;
    }
    if (!uuid_parse(xva_text(record, "uuid"), &u) || uuid_is_null(&u)) {
        error_setf(&m->error, ERR_IMPORT_ERROR, "the VM has no uuid to keep");
        return false;
    }
    if (db_get(m->d, CLASS_VM, &u)) {
        error_set(&m->error, ERR_DUPLICATE_VM, ref_text(&u, ref), NULL);
        return false;
    }
    m->vm = u;
    return true;
}

/* A guest that Xen started without firmware finds its boot loader on its first disk. */
static void put_boot(struct importing *m, const struct value *record) {
    static const char *const kernel_fields[] = {"PV_kernel", "PV_ramdisk", "PV_args"};
    struct value params = value_map();
    if (*xva_text(record, "HVM_boot_policy")) {
        COPY(m, CLASS_VM, &m->vm, record,
             kernel_fields); /* a start judges them; Xen's guests with firmware have none */
        return;
    }
    db_txn_set(m->t, CLASS_VM, &m->vm, FIELD_VM_HVM_boot_policy, value_string("BIOS order"));
    value_map_add(&params, "order", value_string("cd"));
    db_txn_set(m->t, CLASS_VM, &m->vm, FIELD_VM_HVM_boot_params, params);
}

static void put_vm(struct importing *m) {
    const char *ref = "", *why;
    const struct value *record = xva_vm(m->ova, &ref, &why);
    if (!record) {
        error_setf(&m->error, ERR_IMPORT_ERROR, "%s", why);
        return;
    }
    if (!choose_uuid(m, record))
        return;
    (void)db_txn_insert(m->t, CLASS_VM, &m->vm);
    COPY(m, CLASS_VM, &m->vm, record, vm_fields);
    db_txn_set(m->t, CLASS_VM, &m->vm, FIELD_VM_power_state, value_string("Halted"));
    if (xva_bool(record, "is_a_snapshot")) /* alone it is a template */
        db_txn_set(m->t, CLASS_VM, &m->vm, FIELD_VM_is_a_template, value_bool(true));
    put_boot(m, record);
    xva_each(m->ova, "VBD", ref, put_vbd, m);
    xva_each(m->ova, "VIF", ref, put_vif, m);
}

/* ---- the end: rows, or the disks go again ---- */

struct import_data { /* what outlives the request, behind the operation's data */
    struct uuid vm, sr, host;
    bool is_restore, is_forced;
    struct value disks;
};

static struct import_data *data_of(struct vm_op *op) {
    return (struct import_data *)(uintptr_t)vm_op_data(op)->integer;
}

static void data_free(struct vm_op *op) {
    struct import_data *i = data_of(op);
    value_done(&i->disks);
    free(i);
    *vm_op_data(op) = (struct value){.type = VALUE_VOID};
}

static void rows_failed(struct vm_op *op, struct error *e) {
    struct import_data *i = data_of(op);
    const struct api_hooks *h = api_hooks(call_api(vm_op_call(op)));
    /* Unless it is not known whether the rows are there. */
    for (size_t k = 0; k < i->disks.map.n && !error_is(e, ERR_DB_WRITE_UNKNOWN) && h->host_ask; k++) {
        struct value args = store_args(vm_op_db(op), "vdi_destroy", &i->sr, &i->host);
        value_map_add(&args, "vdi", value_copy(value_map_get(&i->disks.map.pairs[k].value, "vdi")));
        value_map_add(&args, "format", value_string("qcow2"));
        h->host_ask(h->userdata, &i->host, "store", args, STORE_MS, class_ask_ignored, NULL);
    }
    data_free(op);
    vm_op_fail(op, e);
}

static void return_vms(struct vm_op *op) {
    struct value vms = value_set();
    value_set_add(&vms, value_ref(&data_of(op)->vm));
    data_free(op);
    vm_op_return(op, vms);
}

static void done_import(struct vm_op *op, const struct value *result, void *data) {
    struct import_data *i = data;
    const char *text = str_or_empty(value_map_str(result, "ova"));
    const struct value *disks = value_map_get(result, "disks");
    _cleanup_value_ struct value ova = {.type = VALUE_VOID};
    struct importing m = {.call = vm_op_call(op),
                          .d = vm_op_db(op),
                          .sr = i->sr,
                          .is_restore = i->is_restore,
                          .is_forced = i->is_forced,
                          .ova = &ova,
                          .disks = &i->disks};
    if (disks && disks->type == VALUE_MAP)
        i->disks = value_copy(disks);
    *vm_op_data(op) = value_int((int64_t)(uintptr_t)i);
    if (!value_xml_parse(text, strlen(text), XVA_DEPTH_MAX, XVA_VALUES_MAX, &ova, &m.error)) {
        rows_failed(op, m.error);
        return;
    }
    m.t = db_txn_new(m.d, "a VM is imported");
    put_vm(&m);
    strv_done(&m.macs);
    if (m.error) {
        db_txn_abandon(m.t);
        rows_failed(op, m.error);
        return;
    }
    i->vm = m.vm;
    vm_op_on_failure(op, rows_failed);
    vm_op_commit(op, m.t, return_vms);
}

static void import_data_free(void *data) {
    struct import_data *i = data;
    value_done(&i->disks);
    free(i);
}

struct vm_op *transfer_vm_import(struct call *c, const struct row *sr, bool is_restore, bool is_forced, int64_t length,
                                 struct transfer_plan *p) {
    struct db *d = call_db(c);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    const struct row *pool = db_pool(d);
    if (!sr)
        sr = pool ? db_follow(d, pool, FIELD_pool_default_SR) : NULL;
    if (!sr) {
        call_fail_code(c, ERR_DEFAULT_SR_NOT_FOUND,
                       pool ? ref_text(row_ref(pool, FIELD_pool_default_SR), ref) : REF_NULL_TEXT, NULL);
        return NULL;
    }
    const struct row *host = store_check_changeable(sr, &e) ? store_host(call_api(c), sr, &e) : NULL;
    if (!host) {
        call_fail(c, e);
        return NULL;
    }
    struct import_data *i = xnew0(struct import_data);
    *i = (struct import_data){.sr = sr->uuid, .host = host->uuid, .is_restore = is_restore, .is_forced = is_forced};
    *p = (struct transfer_plan){.host = host->uuid,
                                .args = store_args(d, "vm_import", &sr->uuid, &host->uuid),
                                .size = length,
                                .done_with = done_import,
                                .data = i,
                                .free_data = import_data_free};
    value_map_add(&p->args, "length", value_int(length));
    return vm_op_plain(c);
}
