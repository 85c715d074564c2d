/* SPDX-License-Identifier: Apache-2.0 */
/* Class VM: making, cloning and destroying; templates. */
#include "classes/class_vm.h"

#include "api/api.h"
#include "base/str.h"
#include "classes/class_blob.h"
#include "classes/class_calls.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_allowed_core.h"
#include "classes/vm_ops.h"
#include "classes/vm_place.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "store/store_place_core.h"

#define MIB (INT64_C(1) << 20)
#define MEMORY_MIN (16 * MIB)
#define MEMORY_MAX (INT64_C(1) << 45)
#define VCPUS_MAX 255

/* ---- devices ---- */

void class_vm_detach_devices(struct db *d, struct db_txn *t, const struct row *vm) {
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs), *vifs = row_value(vm, FIELD_VM_VIFs);
    for (size_t i = 0; i < vbds->set.n; i++)
        db_txn_set(t, CLASS_VBD, &vbds->set.items[i].ref, FIELD_VBD_currently_attached, value_bool(false));
    for (size_t i = 0; i < vifs->set.n; i++)
        db_txn_set(t, CLASS_VIF, &vifs->set.items[i].ref, FIELD_VIF_currently_attached, value_bool(false));
    const struct value *consoles = row_value(vm, FIELD_VM_consoles);
    for (size_t i = 0; i < consoles->set.n; i++)
        db_txn_delete(t, CLASS_console, &consoles->set.items[i].ref);
}

char *class_vm_random_mac(void) {
    struct uuid u = uuid_random();
    return strf("%02x:%02x:%02x:%02x:%02x:%02x", (u.b[0] & 0xfc) | 0x02, u.b[1], u.b[2], u.b[3], u.b[4], u.b[5]);
}

/* ---- limits ---- */

struct memory {
    int64_t static_min, dynamic_min, dynamic_max, static_max;
};

static struct memory memory_of(const struct row *vm) {
    return (struct memory){row_int(vm, FIELD_VM_memory_static_min), row_int(vm, FIELD_VM_memory_dynamic_min),
                           row_int(vm, FIELD_VM_memory_dynamic_max), row_int(vm, FIELD_VM_memory_static_max)};
}

static bool check_memory(const struct memory *m, struct error **errp) {
    if (m->static_min < 0 || m->static_min > m->dynamic_min || m->dynamic_min > m->dynamic_max ||
        m->dynamic_max > m->static_max) {
        error_set(errp, ERR_MEMORY_CONSTRAINT_VIOLATION_ORDER, NULL);
        return false;
    }
    if (m->static_max < MEMORY_MIN || m->static_max > MEMORY_MAX) {
        error_set(errp, ERR_MEMORY_CONSTRAINT_VIOLATION, "16 MiB <= memory_static_max <= 32 TiB", NULL);
        return false;
    }
    return true;
}

static void put_memory(struct db_txn *t, const struct uuid *vm, const struct memory *m) {
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_memory_static_min, value_int(m->static_min));
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_memory_dynamic_min, value_int(m->dynamic_min));
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_memory_dynamic_max, value_int(m->dynamic_max));
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_memory_static_max, value_int(m->static_max));
}

static void set_memory(struct call *c, const struct row *vm, struct memory m) {
    struct error *e = NULL;
    if (!vm_op_check(c, vm, "changing_memory_limits"))
        return;
    if (!check_memory(&m, &e)) {
        call_fail(c, e);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    put_memory(t, &vm->uuid, &m);
    call_commit(c, t, NULL, NULL);
}

void vm_set_memory_limits(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm)
        set_memory(c, vm,
                   (struct memory){call_arg_int(c, 1), call_arg_int(c, 3), call_arg_int(c, 4), call_arg_int(c, 2)});
}

void vm_set_memory(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    int64_t n = call_arg_int(c, 1);
    if (vm)
        set_memory(c, vm, (struct memory){MIN(row_int(vm, FIELD_VM_memory_static_min), n), n, n, n});
}

void vm_set_memory_static_range(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm)
        return;
    struct memory m = memory_of(vm);
    m.static_min = call_arg_int(c, 1);
    m.static_max = call_arg_int(c, 2);
    set_memory(c, vm, m);
}

void vm_set_memory_dynamic_range(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm)
        return;
    struct memory m = memory_of(vm);
    m.dynamic_min = call_arg_int(c, 1);
    m.dynamic_max = call_arg_int(c, 2);
    set_memory(c, vm, m);
}

static void set_one_limit(struct call *c, size_t offset) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm)
        return;
    struct memory m = memory_of(vm);
    *(int64_t *)((char *)&m + offset) = call_arg_int(c, 1);
    set_memory(c, vm, m);
}

void vm_set_memory_static_min(struct call *c) {
    set_one_limit(c, offsetof(struct memory, static_min));
}

void vm_set_memory_static_max(struct call *c) {
    set_one_limit(c, offsetof(struct memory, static_max));
}

void vm_set_memory_dynamic_min(struct call *c) {
    set_one_limit(c, offsetof(struct memory, dynamic_min));
}

void vm_set_memory_dynamic_max(struct call *c) {
    set_one_limit(c, offsetof(struct memory, dynamic_max));
}

void vm_compute_memory_overhead(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm)
        call_return(c, value_int(vm_place_overhead(vm)));
}

void vm_maximise_memory(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm)
        return;
    /* What is left when the overhead, which grows with the memory, is taken off. */
    int64_t total = call_arg_int(c, 1), fixed = vm_place_overhead(vm) - row_int(vm, FIELD_VM_memory_static_max) / 256;
    call_return(c, value_int(MAX((total - fixed) / 257 * 256 / MIB * MIB, (int64_t)0)));
}

static bool check_vcpus(int64_t at_startup, int64_t max, struct error **errp) {
    if (at_startup >= 1 && at_startup <= max && max <= VCPUS_MAX)
        return true;
    error_set(errp, ERR_INVALID_VALUE, "VCPUs", "1 <= VCPUs_at_startup <= VCPUs_max <= 255", NULL);
    return false;
}

static void set_vcpus(struct call *c, unsigned field) {
    const struct row *vm = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!vm || !vm_op_check(c, vm, "changing_VCPUs"))
        return;
    int64_t n = call_arg_int(c, 1);
    bool is_max = field == FIELD_VM_VCPUs_max;
    if (!check_vcpus(is_max ? row_int(vm, FIELD_VM_VCPUs_at_startup) : n, is_max ? n : row_int(vm, FIELD_VM_VCPUs_max),
                     &e)) {
        call_fail(c, e);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    db_txn_set(t, CLASS_VM, &vm->uuid, field, value_int(n));
    call_commit(c, t, NULL, NULL);
}

void vm_set_vcpus_max(struct call *c) {
    set_vcpus(c, FIELD_VM_VCPUs_max);
}

void vm_set_vcpus_at_startup(struct call *c) {
    set_vcpus(c, FIELD_VM_VCPUs_at_startup);
}

/* ---- create ---- */

static void return_made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

static int64_t int_in(const struct value *record, const char *key) {
    const struct value *v = value_map_get(record, key);
    int64_t n = 0;
    if (v && v->type == VALUE_STRING)
        return str_parse_int(value_str(v), INT64_MIN, INT64_MAX, &n) ? n : 0;
    return v ? value_as_int(v) : 0;
}

/* What a record says of its state and place is what its old pool knew: here it is new and halted. */
static void put_fresh(struct db_txn *t, const struct uuid *vm) {
    struct uuid nothing = {0};
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_power_state, value_string("Halted"));
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_suspend_VDI, value_ref(&nothing));
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_resident_on, value_ref(&nothing));
}

void vm_create(struct call *c) {
    const struct value *record = call_arg(c, 0);
    struct memory m = {int_in(record, "memory_static_min"), int_in(record, "memory_dynamic_min"),
                       int_in(record, "memory_dynamic_max"), int_in(record, "memory_static_max")};
    struct db_txn *t = db_txn_new(call_db(c), "VM.create");
    struct uuid *made = xnew0(struct uuid);
    struct error *e = NULL;
    *made = db_txn_insert(t, CLASS_VM, /* uuid= */ NULL);
    if (call_fill_row(c, t, made, &e) && check_memory(&m, &e) &&
        check_vcpus(int_in(record, "VCPUs_at_startup"), int_in(record, "VCPUs_max"), &e)) {
        put_fresh(t, made);
        call_commit(c, t, return_made, made);
        return;
    }
    free(made);
    db_txn_abandon(t);
    call_fail(c, e);
}

/* ---- destroy ---- */

void vm_destroy(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!vm || !vm_op_check(c, vm, "destroy"))
        return;
    if (row_bool(vm, FIELD_VM_is_default_template)) {
        (void)net_fail_row(&e, ERR_VM_CANNOT_DELETE_DEFAULT_TEMPLATE, vm);
        call_fail(c, e);
        return;
    }
    if (!uuid_is_null(row_ref(vm, FIELD_VM_resident_on))) {
        char ref[REF_TEXT_SIZE];
        call_fail_code(c, ERR_VM_BAD_POWER_STATE, ref_text(&vm->uuid, ref), "halted", "starting", NULL);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vm, "destroy");
    if (!op)
        return;
    struct uuid nobody = {0};
    struct db_txn *t = db_txn_new(call_db(c), "VM.destroy");
    db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nobody)); /* not started meanwhile */
    class_delete_set(t, CLASS_VBD, row_value(vm, FIELD_VM_VBDs));
    class_delete_set(t, CLASS_VIF, row_value(vm, FIELD_VM_VIFs));
    class_delete_set(t, CLASS_console, row_value(vm, FIELD_VM_consoles));
    /* What goes back to a snapshot that goes, goes back to the one before. */
    const struct value *children = row_value(vm, FIELD_VM_children);
    for (size_t i = 0; i < children->set.n; i++)
        db_txn_set(t, CLASS_VM, &children->set.items[i].ref, FIELD_VM_parent,
                   value_copy(row_value(vm, FIELD_VM_parent)));
    blob_delete_all(t, row_value(vm, FIELD_VM_blobs));
    db_txn_delete(t, CLASS_VM, &vm->uuid);
    vm_op_commit(op, t, vm_op_return_void);
}

/* ---- templates ---- */

static void set_template(struct call *c, const struct row *vm, bool is_template) {
    if (!vm_op_check(c, vm, is_template && !row_bool(vm, FIELD_VM_is_a_template) ? "make_into_template" : "provision"))
        return;
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    struct uuid nobody = {0};
    db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nobody));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_is_a_template, value_bool(is_template));
    call_commit(c, t, NULL, NULL);
}

void vm_set_is_a_template(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!vm)
        return;
    if (row_bool(vm, FIELD_VM_is_default_template)) {
        (void)net_fail_row(&e, ERR_VM_IS_TEMPLATE, vm);
        call_fail(c, e);
        return;
    }
    set_template(c, vm, call_arg_bool(c, 1));
}

void vm_provision(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm)
        return;
    const char *disks = value_map_str(row_value(vm, FIELD_VM_other_config), "disks");
    if (disks && strstr(disks, "<disk"))
        call_fail_code(c, ERR_VALUE_NOT_SUPPORTED, "other_config:disks", disks,
                       "disks are made with VDI.create, or cloned with a template that has them", NULL);
    else if (row_bool(vm, FIELD_VM_is_default_template))
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "clone the template first", NULL);
    else
        set_template(c, vm, false);
}

/* The name space of what every pool has, chosen once at random. */
static const struct uuid default_space = {
    {0x2e, 0x7c, 0x91, 0x0d, 0x44, 0xb1, 0x4a, 0x63, 0x8b, 0x20, 0x5f, 0xd6, 0x3a, 0x19, 0xc7, 0x08}};

static void make_template(struct db_txn *t, const struct uuid *u) {
    static const unsigned restarting[] = {FIELD_VM_actions_after_reboot, FIELD_VM_actions_after_crash};
    struct memory m = {16 * MIB, 256 * MIB, 256 * MIB, 256 * MIB};
    db_txn_insert(t, CLASS_VM, u);
    db_txn_set(t, CLASS_VM, u, FIELD_VM_name_label, value_string("Other install media"));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_name_description,
               value_string("A machine with nothing in it: give it disks, interfaces and something to boot from."));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_reference_label, value_string("other-install-media"));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_is_a_template, value_bool(true));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_is_default_template, value_bool(true));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_VCPUs_max, value_int(1));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_VCPUs_at_startup, value_int(1));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_actions_after_shutdown, value_string("destroy"));
    for (size_t i = 0; i < ARRAY_SIZE(restarting); i++)
        db_txn_set(t, CLASS_VM, u, restarting[i], value_string("restart"));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_HVM_boot_policy, value_string("BIOS order"));
    db_txn_map_put(t, CLASS_VM, u, FIELD_VM_HVM_boot_params, "order", value_string("cdn"));
    db_txn_map_put(t, CLASS_VM, u, FIELD_VM_other_config, "default_template", value_string("true"));
    db_txn_set(t, CLASS_VM, u, FIELD_VM_domain_type, value_string("hvm"));
    put_memory(t, u, &m);
}

struct storage_kind {
    const char *type, *name, *description;
    const char *config[6][2]; /* key of device_config, what it is */
};

static const struct storage_kind kinds[] = {
    {"file", "Folder of a host", "Disks as files in a folder of one host", {{"location", "absolute path of a folder"}}},
    {"iso",
     "Discs",
     "Disc images in a folder of the host, or on an NFS server",
     {{"location", "absolute path of a folder, or server:/path"}}},
    {"iscsi",
     "LUNs of an iSCSI target",
     "Each LUN of a target a disk, which all hosts of the pool share; one LUN holds the leases",
     {{"target", "name or address of the target"},
      {"targetIQN", "iSCSI name of the target"},
      {"SCSIid", "the LUN that leases are kept on, as xe sr-probe names it"},
      {"LUNid", "the same by its number at the target"},
      {"port", "3260 when it is not said"}}},
    {"nfs",
     "NFS server",
     "Disks as files on an NFS server, which all hosts of the pool share",
     {{"server", "name or address of the server"}, {"serverpath", "path that the server exports"}}}};

static struct uuid kind_uuid(const struct storage_kind *k) {
    _cleanup_free_ char *name = strf("storage %s", k->type);
    return uuid_derive(&default_space, name);
}

static void make_storage_kind(struct db_txn *t, const struct uuid *u, const struct storage_kind *k) {
    static const char *const features[] = {"SR_UPDATE",  "VDI_CREATE", "VDI_DELETE",
                                           "VDI_RESIZE", "VDI_CLONE",  "VDI_SNAPSHOT"};
    db_txn_insert(t, CLASS_SM, u);
    db_txn_set(t, CLASS_SM, u, FIELD_SM_type, value_string(k->type));
    db_txn_set(t, CLASS_SM, u, FIELD_SM_name_label, value_string(k->name));
    db_txn_set(t, CLASS_SM, u, FIELD_SM_name_description, value_string(k->description));
    db_txn_set(t, CLASS_SM, u, FIELD_SM_vendor, value_string("Muster"));
    db_txn_set(t, CLASS_SM, u, FIELD_SM_version, value_string("1.0"));
    db_txn_set(t, CLASS_SM, u, FIELD_SM_required_api_version, value_string("1.0"));
    for (size_t i = 0; i < ARRAY_SIZE(k->config) && k->config[i][0]; i++)
        db_txn_map_put(t, CLASS_SM, u, FIELD_SM_configuration, k->config[i][0], value_string(k->config[i][1]));
    for (size_t i = 0; i < ARRAY_SIZE(features) && (i == 0 || !store_type_is_made_elsewhere(k->type)); i++)
        db_txn_map_put(t, CLASS_SM, u, FIELD_SM_features, features[i], value_int(1));
}

static void on_made(struct error *error, void *userdata) {
    /* What could not be written is tried again. */
}

void class_vm_make_defaults(struct api *a) {
    struct db *d = api_db(a);
    struct uuid template = uuid_derive(&default_space, "template other-install-media");
    bool all_there = db_get(d, CLASS_VM, &template) != NULL;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct uuid kind = kind_uuid(&kinds[i]);
        all_there = all_there && db_get(d, CLASS_SM, &kind);
    }
    if (!api_is_coordinator(a) || !db_pool(d) || !db_get_status(d).has_quorum || all_there)
        return;
    struct db_txn *t = db_txn_new(d, "what every pool has");
    if (!db_get(d, CLASS_VM, &template))
        make_template(t, &template);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct uuid kind = kind_uuid(&kinds[i]);
        if (!db_get(d, CLASS_SM, &kind))
            make_storage_kind(t, &kind, &kinds[i]);
    }
    db_txn_fence(t);
    db_txn_commit(t, STORE_MS, on_made, NULL);
}

/* ---- which numbers are free ---- */

static void allowed_devices(struct call *c, const struct value *set, int class_id, unsigned field, int n_max) {
    struct value found = value_set();
    for (int n = 0; n < n_max; n++) {
        bool is_taken = false;
        for (size_t i = 0; i < set->set.n; i++) {
            const struct row *r = db_get(call_db(c), class_id, &set->set.items[i].ref);
            is_taken |= r && vm_spec_place(row_str(r, field)) == n;
        }
        if (!is_taken)
            value_set_add(&found, value_stringf("%d", n));
    }
    call_return(c, found);
}

void vm_get_allowed_vbd_devices(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm)
        allowed_devices(c, row_value(vm, FIELD_VM_VBDs), CLASS_VBD, FIELD_VBD_userdevice, 16);
}

void vm_get_allowed_vif_devices(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm)
        allowed_devices(c, row_value(vm, FIELD_VM_VIFs), CLASS_VIF, FIELD_VIF_device, 8);
}
