/* SPDX-License-Identifier: Apache-2.0 */
/* A VM is to go to another pool: what can be judged here, and what the other pool is asked. */
#include "classes/class_vm_pools.h"

#include "api/session.h"
#include "base/str.h"
#include "classes/store_calls.h"
#include "classes/vm_ops.h"
#include "classes/vm_spec.h"

#define DEFAULT_MTU 1500

/* ---- the map ---- */

void pools_dest_done(struct pools_dest *d) {
    free(d->master);
    free(d->address);
    free(d->session);
    free(d->host);
    *d = (struct pools_dest){0};
}

/* The address in "http://ADDRESS..."; NULL when it is none. The caller frees. */
static char *address_in(const char *text) {
    const char *start = str_starts(text, "http://") ? text + 7 : str_starts(text, "https://") ? text + 8 : NULL, *end;
    if (!start)
        return NULL;
    if (*start == '[') {
        end = strchr(++start, ']');
    } else {
        end = start + strcspn(start, ":/");
    }
    return end && end > start ? xstrndup(start, (size_t)(end - start)) : NULL;
}

bool pools_dest_read(const struct value *map, struct pools_dest *ret, struct error **errp) {
    const char *master = str_or_empty(value_map_str(map, "master")),
               *xenops = str_or_empty(value_map_str(map, "xenops")), *pin = strstr(master, "authority=");
    struct pools_dest d = {.master = address_in(master),
                           .address = address_in(xenops),
                           .session = xstrdup(str_or_empty(value_map_str(map, "session_id"))),
                           .host = xstrdup(str_or_empty(value_map_str(map, "host")))};
    const char *mtu = strstr(xenops, "mtu=");
    struct uuid u;
    d.mtu = DEFAULT_MTU;
    if (mtu && !str_parse_int(mtu + strlen("mtu="), 576, 65535, &d.mtu))
        d.mtu = DEFAULT_MTU;
    if (d.master && strlen(d.master) < POOLS_MASTER_SIZE && !strpbrk(d.master, " \t\n") && d.address && pin &&
        tls_fingerprint_parse(pin + strlen("authority="), d.authority) && ref_parse(d.session, &u) &&
        ref_parse(d.host, &u)) {
        *ret = d;
        return true;
    }
    pools_dest_done(&d);
    error_set(errp, ERR_INVALID_VALUE, "dest",
              pin ? "what host.migrate_receive returned" : "the other pool is not one that says whom to believe", NULL);
    return false;
}

/* ---- rows as text ---- */

static bool has_reference(const struct type_def *t) {
    return t && (t->kind == TYPE_REF || has_reference(t->elem) || has_reference(t->key));
}

bool vm_pools_hold(const struct row *vm) {
    return value_map_get(row_value(vm, FIELD_VM_migration), POOLS_KEY) != NULL;
}

bool vm_pools_check(const struct row *vm, struct error **errp) {
    char ref[REF_TEXT_SIZE];
    if (!vm || !vm_pools_hold(vm))
        return true;
    error_set(errp, ERR_OTHER_OPERATION_IN_PROGRESS, "VM", ref_text(&vm->uuid, ref), "migrate_send", "", NULL);
    return false;
}

bool vm_pools_travels(const struct field_def *f) {
    return f->store == STORE_DB && !f->internal && !has_reference(f->type) && !str_eq(f->name, "uuid");
}

static struct value fields_of(const struct row *r) {
    struct value v = value_map();
    for (unsigned i = 0; i < r->class->n_fields; i++)
        if (vm_pools_travels(&r->class->fields[i]))
            value_map_add(&v, r->class->fields[i].name, value_copy(row_value(r, i)));
    return v;
}

/* What a map of the client has for an object: a reference of the other pool; "" when nothing. */
static struct value mapped(const struct value *map, const struct uuid *key) {
    char ref[REF_TEXT_SIZE];
    const struct value *v = map && map->type == VALUE_MAP ? value_map_get(map, ref_text(key, ref)) : NULL;
    return v && v->type == VALUE_REF ? value_string(ref_text(&v->ref, ref)) : value_string("");
}

/* ---- disks ---- */

static bool is_others(struct db *d, const struct row *vdi, const struct row *vm) {
    const struct value *vbds = row_value(vdi, FIELD_VDI_VBDs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *o = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        if (o && !uuid_eq(row_ref(o, FIELD_VBD_VM), &vm->uuid))
            return true;
    }
    return false;
}

static bool add_disk(struct call *c, const struct row *vm, const struct row *vdi, struct value *disks,
                     struct error **errp) {
    struct db *d = call_db(c);
    const struct row *sr = db_follow(d, vdi, FIELD_VDI_SR);
    char ref[REF_TEXT_SIZE], vm_ref[REF_TEXT_SIZE];
    if (!sr || !str_eq(row_str(sr, FIELD_SR_type), "file")) {
        error_set(errp, ERR_SR_DOES_NOT_SUPPORT_MIGRATION, ref_text(row_ref(vdi, FIELD_VDI_SR), ref),
                  sr ? row_str(sr, FIELD_SR_type) : "", NULL);
        return false;
    }
    if (is_others(d, vdi, vm) || vm_op_is_busy(call_api(c), &vdi->uuid)) {
        error_set(errp, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "migrate_send", NULL);
        return false;
    }
    if (disks->set.n == POOLS_DISKS_MAX) {
        error_set(errp, ERR_VM_MIGRATE_FAILED, ref_text(&vm->uuid, vm_ref), "", "", "it has too many disks", NULL);
        return false;
    }
    if (!store_host(call_api(c), sr, errp))
        return false;
    struct value disk = fields_of(vdi);
    value_map_put(&disk, "from", value_string(row_str(vdi, FIELD_VDI_uuid)));
    value_map_put(&disk, "format", value_string(vm_spec_format(vdi)));
    value_map_put(&disk, "sr", mapped(call_arg(c, 3), &vdi->uuid));
    value_set_add(disks, disk);
    return true;
}

static bool add_vbds(struct call *c, const struct row *vm, struct value *vbds, struct value *disks,
                     struct error **errp) {
    struct db *d = call_db(c);
    const struct value *set = row_value(vm, FIELD_VM_VBDs);
    for (size_t i = 0; i < set->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &set->set.items[i].ref),
                         *vdi = vbd ? db_follow(d, vbd, FIELD_VBD_VDI) : NULL;
        if (!vbd)
            continue;
        if (vdi && str_eq(row_str(vbd, FIELD_VBD_type), "CD")) {
            error_set(errp, ERR_OPERATION_NOT_ALLOWED,
                      "there is a disc in a drive of the VM, which the other pool does not have: xe vm-cd-eject", NULL);
            return false;
        }
        struct value v = fields_of(vbd);
        value_map_put(&v, "disk", value_string(vdi ? row_str(vdi, FIELD_VDI_uuid) : ""));
        value_set_add(vbds, v);
        if (vdi && !add_disk(c, vm, vdi, disks, errp))
            return false;
    }
    return true;
}

static void add_vifs(struct call *c, const struct row *vm, struct value *vifs) {
    const struct value *set = row_value(vm, FIELD_VM_VIFs);
    char ref[REF_TEXT_SIZE];
    for (size_t i = 0; i < set->set.n; i++) {
        const struct row *vif = db_get(call_db(c), CLASS_VIF, &set->set.items[i].ref),
                         *network = vif ? db_follow(call_db(c), vif, FIELD_VIF_network) : NULL;
        if (!vif)
            continue;
        struct value v = fields_of(vif);
        value_map_put(&v, "ref", value_string(ref_text(&vif->uuid, ref)));
        value_map_put(&v, "network", mapped(call_arg(c, 4), &vif->uuid));
        value_map_put(&v, "network_name", value_string(network ? row_str(network, FIELD_network_name_label) : ""));
        value_set_add(vifs, v);
    }
}

struct value pools_request(struct call *c, const struct row *vm, struct error **errp) {
    struct value request = value_map(), vbds = value_set(), vifs = value_set(), disks = value_set();
    const struct row *memory = db_follow(call_db(c), vm, FIELD_VM_suspend_VDI),
                     *own = db_get(call_db(c), CLASS_host, api_own_host(call_api(c)));
    const char *rate = value_map_str(call_arg(c, 5), "bandwidth");
    bool ok = add_vbds(c, vm, &vbds, &disks, errp);
    if (ok && memory)
        ok = add_disk(c, vm, memory, &disks, errp);
    add_vifs(c, vm, &vifs);
    value_map_add(&request, "mib_per_s", value_string(rate && !str_eq(rate, "0") ? rate : ""));
    value_map_add(&request, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&request, "fields", fields_of(vm));
    value_map_add(&request, "memory", value_string(memory ? row_str(memory, FIELD_VDI_uuid) : ""));
    value_map_add(&request, "live", value_bool(str_eq(row_str(vm, FIELD_VM_power_state), "Running")));
    value_map_add(&request, "stall_s", value_string(str_or_empty(value_map_str(call_arg(c, 5), "stall_s"))));
    value_map_add(&request, "vbds", vbds);
    value_map_add(&request, "vifs", vifs);
    value_map_add(&request, "disks", disks);
    value_map_add(
        &request, "version",
        value_string(own ? str_or_empty(value_map_str(row_value(own, FIELD_host_software_version), "product_version"))
                         : ""));
    if (ok)
        return request;
    value_done(&request);
    return (struct value){.type = VALUE_VOID};
}

/* ---- the call ---- */

static bool is_unplugged(struct db *d, int class_id, const struct value *set, unsigned attached) {
    for (size_t i = 0; i < set->set.n; i++) {
        const struct row *r = db_get(d, class_id, &set->set.items[i].ref);
        if (r && !row_bool(r, attached))
            return true;
    }
    return false;
}

/* The machine over there is made from the rows: it would be another one than the guest has. */
static bool has_unplugged(struct db *d, const struct row *vm) {
    return is_unplugged(d, CLASS_VBD, row_value(vm, FIELD_VM_VBDs), FIELD_VBD_currently_attached) ||
           is_unplugged(d, CLASS_VIF, row_value(vm, FIELD_VM_VIFs), FIELD_VIF_currently_attached);
}

static bool check(struct call *c, const struct row *vm, struct error **errp) {
    const char *copy = value_map_str(call_arg(c, 5), "copy"), *rate = value_map_str(call_arg(c, 5), "bandwidth"),
               *state = row_str(vm, FIELD_VM_power_state), *stall = value_map_str(call_arg(c, 5), "stall_s");
    char ref[REF_TEXT_SIZE];
    int64_t number;
    if (copy && str_eq(copy, "true"))
        error_set(errp, ERR_NOT_IMPLEMENTED, "VM.migrate_send (copy=true, to another pool)", NULL);
    else if (rate && !str_parse_int(rate, 0, 1 << 20, &number))
        error_set(errp, ERR_INVALID_VALUE, "bandwidth", rate, NULL);
    else if (stall && !str_parse_int(stall, 1, 3600, &number))
        error_set(errp, ERR_INVALID_VALUE, "stall_s", stall, NULL);
    else if (str_eq(state, "Paused"))
        error_set(errp, ERR_VM_BAD_POWER_STATE, ref_text(&vm->uuid, ref), "running, halted, suspended", "paused", NULL);
    else if (str_eq(state, "Running") && !call_arg_bool(c, 2))
        error_set(errp, ERR_VALUE_NOT_SUPPORTED, "live", "false", "a running VM moves while it runs", NULL);
    else if (str_eq(state, "Running") && has_unplugged(call_db(c), vm))
        error_set(errp, ERR_OPERATION_NOT_ALLOWED,
                  "a drive or an interface of the VM is not plugged in: plug it in, or remove it, first", NULL);
    else if (row_value(vm, FIELD_VM_snapshots)->set.n)
        error_set(errp, ERR_OPERATION_NOT_ALLOWED,
                  "the VM has snapshots, which do not go along to another pool: remove them first", NULL);
    else
        return true;
    return false;
}

void class_vm_pools_send(struct call *c, const struct row *vm, const struct value *dest, bool only_asks) {
    struct pools_dest to = {0};
    struct error *e = NULL;
    if (!vm_op_check(c, vm, "migrate_send"))
        return;
    struct value request = {.type = VALUE_VOID};
    if (check(c, vm, &e) && pools_dest_read(dest, &to, &e))
        request = pools_request(c, vm, &e);
    struct vm_op *op = request.type == VALUE_MAP ? vm_op_begin(c, vm, "migrate_send") : NULL;
    if (op) {
        value_map_put(&request, "only_asks", value_bool(only_asks));
        pools_leave_begin(op, request, to);
        return;
    }
    if (request.type == VALUE_VOID)
        call_fail(c, e); /* else vm_op_begin has said why */
    value_done(&request);
    pools_dest_done(&to);
}
