/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM is to come from another pool: VM.migrate_arrive. Whatever the other pool says is text from outside: fields are
 * taken by name when the model lets them travel and they have the right type, everything else is made here. Checked
 * first; then the rows, with a record that keeps everybody's hands off; then the empty disks.
 */
#include "api/session.h"
#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_ops.h"
#include "classes/vm_place.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"
#include "store/store.h"
#include "wire/value_json.h"

#define FACTS_MS 10000
#define VALUES_MAX 20000
#define MEMORY_MIN (INT64_C(16) << 20)
#define MEMORY_MAX (INT64_C(1) << 45)
#define MACHINE_MAX 16384

struct arrival {
    struct vm_op *op;
    struct value request;
    struct uuid vm, host;
    struct db_txn *txn; /* its rows, until they are written */
    struct value disks; /* set of maps: from, vdi, sr, format, size */
    struct value names; /* uuids here, with blanks */
    char *authority;
    size_t next;
    struct error *why;
};

static void arrival_free(struct arrival *r) {
    if (r->txn)
        db_txn_abandon(r->txn);
    value_done(&r->request);
    value_done(&r->disks);
    value_done(&r->names);
    error_free(r->why);
    free(r->authority);
    free(r);
}

static struct arrival *arrival_of(struct vm_op *op) {
    return (struct arrival *)(uintptr_t)vm_op_data(op)->integer;
}

static void failed(struct vm_op *op, struct error *e) {
    arrival_free(arrival_of(op));
    vm_op_fail(op, e);
}

static const char *text_in(const struct value *map, const char *key) {
    return str_or_empty(value_map_str(map, key));
}

static const struct value *set_in(const struct value *map, const char *key, size_t max) {
    static const struct value none = {.type = VALUE_SET};
    const struct value *v = value_map_get(map, key);
    return v && v->type == VALUE_SET && v->set.n <= max ? v : &none;
}

/* ---- fields ---- */

static bool put_fields(struct db_txn *t, int class_id, const struct uuid *u, const struct value *fields,
                       struct error **errp) {
    const struct class_def *class = &model_classes[class_id];
    for (unsigned i = 0; i < class->n_fields; i++) {
        const struct field_def *f = &class->fields[i];
        const struct value *v = vm_pools_travels(f) ? value_map_get(fields, f->name) : NULL;
        if (!v)
            continue;
        struct value copy = value_copy(v);
        if (!model_coerce(f->type, &copy, f->name, errp)) {
            value_done(&copy);
            return false;
        }
        db_txn_set(t, class_id, u, i, copy);
    }
    return true;
}

static int64_t int_in(const struct value *map, const char *key) {
    const struct value *v = value_map_get(map, key);
    return v ? value_as_int(v) : 0;
}

/* It runs over there, and is to go on here. */
static bool is_live(const struct arrival *r) {
    const struct value *v = value_map_get(&r->request, "live");
    return v && value_as_bool(v);
}

static bool bad(struct error **errp, const char *what) {
    error_set(errp, ERR_INVALID_VALUE, "request", what, NULL);
    return false;
}

/* ---- what the host must have ---- */

static int64_t version_number(const char *s) {
    int64_t number = 0;
    for (int i = 0; i < 3; i++) { /* "1.2.3" */
        int64_t part = 0;
        for (; *s >= '0' && *s <= '9' && part < 10000; s++)
            part = part * 10 + (*s - '0');
        number = number * 100000 + part;
        s += *s == '.';
    }
    return number;
}

/* Disks come in at an address of this host, not at any that is asked for. */
static bool is_own_address(struct db *d, const struct row *host, const char *address) {
    if (str_eq(address, row_str(host, FIELD_host_address)))
        return true;
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p))
        if (*address && uuid_eq(row_ref(p, FIELD_PIF_host), &host->uuid) && str_eq(row_str(p, FIELD_PIF_IP), address))
            return true;
    return false;
}

static bool check_host(struct api *a, const struct arrival *r, const struct row *host, struct error **errp) {
    char ref[REF_TEXT_SIZE], vm[REF_TEXT_SIZE];
    const struct row *there = db_get(api_db(a), CLASS_VM, &r->vm);
    const struct value *fields = value_map_get(&r->request, "fields");
    int64_t memory = int_in(fields, "memory_static_max"), free_memory = vm_place_free_memory(a, host);
    bool has_memory = *text_in(&r->request, "memory") || is_live(r);
    if (!api_host_is_live(a, &host->uuid))
        error_set(errp, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
    else if (!row_bool(host, FIELD_host_enabled))
        error_set(errp, ERR_HOST_DISABLED, ref_text(&host->uuid, ref), NULL);
    else if (!is_own_address(api_db(a), host, text_in(&r->request, "address")))
        (void)bad(errp, "address");
    else if (there)
        error_set(errp, ERR_DUPLICATE_VM, ref_text(&r->vm, vm), NULL);
    else if (version_number(
                 str_or_empty(value_map_str(row_value(host, FIELD_host_software_version), "product_version"))) <
             version_number(text_in(&r->request, "version")))
        error_set(errp, ERR_VM_HOST_INCOMPATIBLE_VERSION_MIGRATE, ref_text(&host->uuid, ref), ref_text(&r->vm, vm),
                  NULL);
    else if (memory < MEMORY_MIN || memory > MEMORY_MAX)
        (void)bad(errp, "memory_static_max");
    else if (is_live(r) && (*text_in(&r->request, "memory") || !*text_in(&r->request, "machine") ||
                            strlen(text_in(&r->request, "machine")) > MACHINE_MAX))
        (void)bad(errp, "machine");
    else if (has_memory && memory > free_memory) {
        _cleanup_free_ char *needed = strf("%lld", (long long)memory),
                            *available = strf("%lld", (long long)MAX(free_memory, (int64_t)0));
        error_set(errp, ERR_HOST_NOT_ENOUGH_FREE_MEMORY, needed, available, NULL);
    } else {
        return true;
    }
    return false;
}

/* The network that was named; else the only one here of the name that the VM's network has over there. */
static const struct row *network_for(struct db *d, const struct value *vif, struct error **errp) {
    const char *named = text_in(vif, "network"), *name = text_in(vif, "network_name");
    const struct row *found = NULL;
    struct uuid u;
    unsigned n = 0;
    if (*named) {
        found = ref_parse(named, &u) ? db_get(d, CLASS_network, &u) : NULL;
        if (!found)
            error_set(errp, ERR_HANDLE_INVALID, "network", named, NULL);
        return found;
    }
    for (const struct row *o = db_first(d, CLASS_network); o && *name; o = db_next(d, o))
        if (str_eq(row_str(o, FIELD_network_name_label), name)) {
            found = o;
            n++;
        }
    if (n != 1) {
        error_set(errp, ERR_VIF_NOT_IN_MAP, text_in(vif, "ref"), NULL);
        return NULL;
    }
    return found;
}

static bool plan_vif(struct db *d, struct arrival *r, const struct value *vif, struct error **errp) {
    const struct row *network = network_for(d, vif, errp);
    if (!network)
        return false;
    const struct row *pif = net_rows_pif_on(d, &r->host, &network->uuid);
    bool is_internal = row_value(network, FIELD_network_PIFs)->set.n == 0;
    char vm[REF_TEXT_SIZE], ref[REF_TEXT_SIZE];
    if (!is_internal && !(pif && row_bool(pif, FIELD_PIF_currently_attached))) {
        error_set(errp, ERR_VM_REQUIRES_NETWORK, ref_text(&r->vm, vm), ref_text(&network->uuid, ref), NULL);
        return false;
    }
    struct uuid u = db_txn_insert(r->txn, CLASS_VIF, NULL);
    if (!put_fields(r->txn, CLASS_VIF, &u, vif, errp))
        return false;
    db_txn_set(r->txn, CLASS_VIF, &u, FIELD_VIF_VM, value_ref(&r->vm));
    db_txn_set(r->txn, CLASS_VIF, &u, FIELD_VIF_network, value_ref(&network->uuid));
    db_txn_set(r->txn, CLASS_VIF, &u, FIELD_VIF_currently_attached, value_bool(false));
    return true;
}

static const struct row *sr_for(struct db *d, const struct value *disk, struct error **errp) {
    const char *named = text_in(disk, "sr");
    const struct row *pool = db_pool(d), *sr;
    char ref[REF_TEXT_SIZE];
    struct uuid u;
    if (*named) {
        sr = ref_parse(named, &u) ? db_get(d, CLASS_SR, &u) : NULL;
        if (!sr)
            error_set(errp, ERR_HANDLE_INVALID, "SR", named, NULL);
        return sr;
    }
    sr = pool ? db_follow(d, pool, FIELD_pool_default_SR) : NULL;
    if (!sr)
        error_set(errp, ERR_DEFAULT_SR_NOT_FOUND, pool ? ref_text(row_ref(pool, FIELD_pool_default_SR), ref) : "",
                  NULL);
    return sr;
}

/* Room for all disks that go to this SR, this one included. */
static bool check_room(const struct arrival *r, const struct row *sr, int64_t more, struct error **errp) {
    int64_t room = row_int(sr, FIELD_SR_physical_size) - row_int(sr, FIELD_SR_physical_utilisation), need = more;
    for (size_t i = 0; i < r->disks.set.n; i++)
        if (str_eq(text_in(&r->disks.set.items[i], "sr"), row_str(sr, FIELD_SR_uuid)))
            need += int_in(&r->disks.set.items[i], "size");
    if (need <= room)
        return true;
    _cleanup_free_ char *needed = strf("%lld", (long long)need),
                        *there = strf("%lld", (long long)MAX(room, (int64_t)0));
    error_set(errp, ERR_SR_FULL, needed, there, NULL);
    return false;
}

static void put_disk(struct arrival *r, const struct value *disk, const struct uuid *vdi, const struct uuid *sr,
                     const char *format) {
    static const unsigned kept[] = {FIELD_VDI_name_label,   FIELD_VDI_name_description, FIELD_VDI_virtual_size,
                                    FIELD_VDI_type,         FIELD_VDI_sharable,         FIELD_VDI_read_only,
                                    FIELD_VDI_other_config, FIELD_VDI_xenstore_data,    FIELD_VDI_tags,
                                    FIELD_VDI_on_boot,      FIELD_VDI_allow_caching};
    const struct class_def *class = &model_classes[CLASS_VDI];
    bool is_memory = str_eq(format, "save");
    if (is_memory)
        store_insert_memory(r->txn, vdi, sr);
    else
        store_insert_vdi(r->txn, vdi, sr, format);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        const struct value *v = value_map_get(disk, class->fields[kept[i]].name);
        struct value copy = v ? value_copy(v) : (struct value){.type = VALUE_VOID};
        _cleanup_error_ struct error *ignored = NULL; /* one that makes no sense here stays as it is by default */
        if (v && model_coerce(class->fields[kept[i]].type, &copy, "", &ignored))
            db_txn_set(r->txn, CLASS_VDI, vdi, kept[i], copy);
        else
            value_done(&copy);
    }
    if (is_memory)
        db_txn_set(r->txn, CLASS_VM, &r->vm, FIELD_VM_suspend_VDI, value_ref(vdi));
}

static bool plan_disk(struct db *d, struct arrival *r, const struct value *disk, struct error **errp) {
    const struct row *sr = sr_for(d, disk, errp), *pbd = sr ? vm_spec_pbd(d, &sr->uuid, &r->host) : NULL;
    const char *format = text_in(disk, "format"), *from = text_in(disk, "from");
    int64_t size = int_in(disk, "virtual_size");
    struct uuid u, vdi = uuid_random();
    char ref[REF_TEXT_SIZE], vm[REF_TEXT_SIZE], text[UUID_TEXT_SIZE];
    if (!sr)
        return false;
    if (!str_eq(row_str(sr, FIELD_SR_type), "file")) {
        error_set(errp, ERR_SR_DOES_NOT_SUPPORT_MIGRATION, ref_text(&sr->uuid, ref), row_str(sr, FIELD_SR_type), NULL);
        return false;
    }
    if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached)) {
        error_set(errp, ERR_VM_REQUIRES_SR, ref_text(&r->vm, vm), ref_text(&sr->uuid, ref), NULL);
        return false;
    }
    if (!uuid_parse(from, &u) || size <= 0 || size > STORE_SIZE_MAX)
        return bad(errp, "a disk");
    if (!check_room(r, sr, size, errp))
        return false;
    format = str_eq(from, text_in(&r->request, "memory")) ? "save" : str_eq(format, "raw") ? "raw" : "qcow2";
    struct value v = value_map();
    value_map_add(&v, "from", value_string(from));
    value_map_add(&v, "vdi", value_string(uuid_text(&vdi, text)));
    value_map_add(&v, "sr", value_string(row_str(sr, FIELD_SR_uuid)));
    value_map_add(&v, "format", value_string(format));
    value_map_add(&v, "size", value_int(size));
    value_set_add(&r->disks, v);
    put_disk(r, disk, &vdi, &sr->uuid, format);
    return true;
}

/* ---- rows ---- */

static bool plan_vbd(struct arrival *r, const struct value *vbd, struct error **errp) {
    const char *disk = text_in(vbd, "disk");
    struct uuid u = db_txn_insert(r->txn, CLASS_VBD, NULL), vdi;
    if (!put_fields(r->txn, CLASS_VBD, &u, vbd, errp))
        return false;
    db_txn_set(r->txn, CLASS_VBD, &u, FIELD_VBD_VM, value_ref(&r->vm));
    db_txn_set(r->txn, CLASS_VBD, &u, FIELD_VBD_currently_attached, value_bool(false));
    if (!*disk)
        return true;
    for (size_t i = 0; i < r->disks.set.n; i++)
        if (str_eq(text_in(&r->disks.set.items[i], "from"), disk) &&
            uuid_parse(text_in(&r->disks.set.items[i], "vdi"), &vdi)) {
            db_txn_set(r->txn, CLASS_VBD, &u, FIELD_VBD_VDI, value_ref(&vdi));
            return true;
        }
    return bad(errp, "a drive has a disk that does not come along");
}

static void put_record(struct arrival *r) {
    struct value record = value_map();
    _cleanup_buf_ struct buf names = BUF_INIT;
    char text[UUID_TEXT_SIZE];
    int64_t stall_s;
    for (size_t i = 0; i < r->disks.set.n; i++)
        buf_addf(&names, "%s%s", i ? " " : "", text_in(&r->disks.set.items[i], "vdi"));
    value_map_add(&record, POOLS_KEY, value_string("arriving"));
    value_map_add(&record, "id", value_string(text_in(&r->request, "id")));
    value_map_add(&record, "secret", value_string(text_in(&r->request, "secret")));
    value_map_add(&record, "host", value_string(uuid_text(&r->host, text)));
    value_map_add(&record, "believe", value_string(text_in(&r->request, "authority")));
    value_map_add(&record, "address", value_string(text_in(&r->request, "address")));
    value_map_add(&record, "disks", value_string(buf_str(&names)));
    if (is_live(r)) {
        value_map_add(&record, "to", value_string(uuid_text(&r->host, text)));
        value_map_add(&record, POOLS_LIVE, value_string("true"));
        value_map_add(&record, "machine", value_string(text_in(&r->request, "machine")));
        if (str_parse_int(text_in(&r->request, "stall_s"), 1, 3600, &stall_s))
            value_map_add(&record, "stall_s", value_stringf("%lld", (long long)stall_s));
    }
    db_txn_set(r->txn, CLASS_VM, &r->vm, FIELD_VM_migration, record);
}

static bool plan_rows(struct db *d, struct arrival *r, struct error **errp) {
    static const unsigned never[] = {FIELD_VM_is_a_template, FIELD_VM_is_a_snapshot, FIELD_VM_is_default_template,
                                     FIELD_VM_is_control_domain};
    const struct value *vifs = set_in(&r->request, "vifs", 64), *vbds = set_in(&r->request, "vbds", 64),
                       *disks = set_in(&r->request, "disks", POOLS_DISKS_MAX);
    struct uuid nothing = {0};
    db_txn_insert(r->txn, CLASS_VM, &r->vm);
    if (!put_fields(r->txn, CLASS_VM, &r->vm, value_map_get(&r->request, "fields"), errp))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        db_txn_set(r->txn, CLASS_VM, &r->vm, never[i], value_bool(false));
    db_txn_set(r->txn, CLASS_VM, &r->vm, FIELD_VM_resident_on, value_ref(&nothing));
    db_txn_set(r->txn, CLASS_VM, &r->vm, FIELD_VM_power_state,
               value_string(*text_in(&r->request, "memory") ? "Suspended" : "Halted"));
    for (size_t i = 0; i < disks->set.n; i++)
        if (!plan_disk(d, r, &disks->set.items[i], errp))
            return false;
    for (size_t i = 0; i < vbds->set.n; i++)
        if (!plan_vbd(r, &vbds->set.items[i], errp))
            return false;
    for (size_t i = 0; i < vifs->set.n; i++)
        if (!plan_vif(d, r, &vifs->set.items[i], errp))
            return false;
    put_record(r);
    return true;
}

/* ---- disks ---- */

static void make_disk(struct vm_op *op);

/* It has been told meanwhile that the VM is not to come, and its rows may be gone: nobody would look for this disk. */
static void on_disk_too_much(struct vm_op *op, const struct value *result) {
    struct error *e = NULL;
    (void)bad(&e, "the other pool has given the move up");
    failed(op, e);
}

static void remove_disk(struct vm_op *op, const struct value *disk, const struct uuid *sr) {
    struct arrival *r = arrival_of(op);
    struct value args = store_args(vm_op_db(op), "vdi_destroy", sr, &r->host);
    value_map_add(&args, "vdi", value_string(text_in(disk, "vdi")));
    value_map_add(&args, "format", value_string(text_in(disk, "format")));
    vm_op_on_failure(op, failed);
    vm_op_ask(op, &r->host, "store", args, STORE_MS, on_disk_too_much);
}

static void on_disk(struct vm_op *op, const struct value *result) {
    struct arrival *r = arrival_of(op);
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, &r->vm);
    const struct value *disk = &r->disks.set.items[r->next++];
    struct uuid sr;
    if (!vm ||
        !str_eq(str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "id")), text_in(&r->request, "id")))
        remove_disk(op, disk, uuid_parse(text_in(disk, "sr"), &sr) ? &sr : &r->host);
    else
        make_disk(op);
}

static void undone(void *userdata) {
    struct vm_op *op = userdata;
    failed(op, TAKE(arrival_of(op)->why));
}

static void undo(struct vm_op *op, struct error *e) {
    struct arrival *r = arrival_of(op);
    r->why = e;
    pools_arrival_remove(call_api(vm_op_call(op)), &r->vm, text_in(&r->request, "id"), undone, op);
}

static void make_disk(struct vm_op *op) {
    struct arrival *r = arrival_of(op);
    struct uuid sr;
    if (r->next < r->disks.set.n) {
        const struct value *disk = &r->disks.set.items[r->next];
        (void)!uuid_parse(text_in(disk, "sr"), &sr);
        struct value args = store_args(vm_op_db(op), "vdi_create", &sr, &r->host);
        value_map_add(&args, "vdi", value_string(text_in(disk, "vdi")));
        value_map_add(&args, "format", value_string(text_in(disk, "format")));
        value_map_add(&args, "size", value_int(int_in(disk, "size")));
        if (str_eq(text_in(disk, "format"), "save"))
            value_map_add(&args, "memory", value_bool(true));
        vm_op_on_failure(op, undo);
        vm_op_ask(op, &r->host, "store", args, STORE_MS, on_disk);
        return;
    }
    struct value result = value_map();
    value_map_add(&result, "authority", value_string(str_or_empty(r->authority)));
    for (size_t i = 0; i < r->disks.set.n; i++)
        value_map_put(&result, text_in(&r->disks.set.items[i], "from"),
                      value_string(text_in(&r->disks.set.items[i], "vdi")));
    arrival_free(r);
    vm_op_return(op, result);
}

/* ---- the call ---- */

static void on_facts(struct vm_op *op, const struct value *result) {
    struct arrival *r = arrival_of(op);
    const char *trouble = text_in(result, "trouble");
    const struct value *kvm = value_map_get(result, "has_kvm"), *theirs = value_map_get(&r->request, "has_kvm"),
                       *only_asks = value_map_get(&r->request, "only_asks");
    char vm[REF_TEXT_SIZE], host[REF_TEXT_SIZE];
    struct error *e = NULL;
    if (*trouble)
        error_set(&e, ERR_VM_MIGRATE_FAILED, ref_text(&r->vm, vm), "", ref_text(&r->host, host), trouble, NULL);
    else if ((*text_in(&r->request, "memory") || is_live(r)) && kvm && theirs &&
             value_as_bool(kvm) != value_as_bool(theirs))
        error_set(&e, ERR_VM_INCOMPATIBLE_WITH_THIS_HOST, ref_text(&r->vm, vm), ref_text(&r->host, host),
                  "one host runs VMs on the processor (KVM), the other emulates it", NULL);
    if (e) {
        failed(op, e);
        return;
    }
    if (only_asks && value_as_bool(only_asks)) {
        arrival_free(r);
        vm_op_return(op, value_map());
        return;
    }
    r->authority = xstrdup(text_in(result, "authority"));
    vm_op_on_failure(op, failed);
    vm_op_commit(op, TAKE(r->txn), make_disk);
}

static bool read_request(struct call *c, struct arrival *r, struct error **errp) {
    const char *json = text_in(call_arg(c, 1), "json");
    size_t size = strlen(json);
    if (size > POOLS_JSON_MAX || !value_json_parse(json, size, 8, VALUES_MAX, &r->request, errp))
        return size <= POOLS_JSON_MAX ? false : bad(errp, "it is too long");
    const struct value *only_asks = r->request.type == VALUE_MAP ? value_map_get(&r->request, "only_asks") : NULL,
                       *fields = only_asks ? value_map_get(&r->request, "fields") : NULL;
    if (!fields || fields->type != VALUE_MAP || !uuid_parse(text_in(&r->request, "vm"), &r->vm))
        return bad(errp, "it does not say which VM is to come");
    struct uuid id;
    size_t secret = strlen(text_in(&r->request, "secret"));
    if (!value_as_bool(only_asks) &&
        (!uuid_parse(text_in(&r->request, "id"), &id) || secret < 64 || secret >= POOLS_SECRET_SIZE))
        return bad(errp, "it does not say which move this is");
    return true;
}

void vm_migrate_arrive(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    struct db *d = call_db(c);
    struct error *e = NULL;
    if (!host)
        return;
    struct arrival *r = xnew0(struct arrival);
    *r = (struct arrival){.host = host->uuid,
                          .request = {.type = VALUE_VOID},
                          .disks = value_set(),
                          .txn = db_txn_new(d, "a VM comes from another pool")};
    if (!read_request(c, r, &e) || !check_host(call_api(c), r, host, &e) || !plan_rows(d, r, &e)) {
        arrival_free(r);
        call_fail(c, e);
        return;
    }
    r->op = vm_op_plain(c);
    *vm_op_data(r->op) = value_int((int64_t)(uintptr_t)r);
    vm_op_on_failure(r->op, failed);
    vm_op_ask(r->op, &r->host, "vm_facts", value_map(), FACTS_MS, on_facts);
}
