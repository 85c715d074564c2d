/* SPDX-License-Identifier: Apache-2.0 */
/* What VMs of this host do, as rows of the pool database and of the volatile store. */
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "vm/vm_agent_private.h"

static void put(struct db *d, struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    const struct row *r = db_get(d, class_id, uuid);
    if (r && value_equal(row_value(r, field), &v))
        value_done(&v);
    else
        db_txn_set(t, class_id, uuid, field, v);
}

/* Devices that the spec names are plugged in. */
static void attach_all(struct vm_agent *a, struct db_txn *t, const struct value *devices, int class_id,
                       unsigned attached) {
    for (size_t i = 0; devices && devices->type == VALUE_SET && i < devices->set.n; i++) {
        const struct value *device = &devices->set.items[i];
        struct uuid u;
        if (!value_map_uuid(device, "id", &u))
            continue;
        db_txn_set(t, class_id, &u, attached, value_bool(true));
        if (class_id == CLASS_VBD)
            put(a->db, t, CLASS_VBD, &u, FIELD_VBD_device, value_string(str_or_empty(value_map_str(device, "device"))));
    }
}

static void detach_all(struct vm_agent *a, struct db_txn *t, const struct uuid *vm, int class_id, unsigned vm_field,
                       unsigned attached) {
    for (const struct row *r = db_first(a->db, class_id); r; r = db_next(a->db, r))
        if (uuid_eq(row_ref(r, vm_field), vm) && row_bool(r, attached))
            db_txn_set(t, class_id, &r->uuid, attached, value_bool(false));
}

static void put_console(struct vm_agent *a, struct db_txn *t, const struct uuid *vm, const char *protocol,
                        const char *address) {
    _cleanup_free_ char *kind = strf("console %s", protocol);
    struct uuid u = db_companion_uuid(vm, kind);
    char ref[REF_TEXT_SIZE];
    bool is_ipv6 = strchr(address, ':');
    if (!db_get(a->db, CLASS_console, &u)) {
        db_txn_insert(t, CLASS_console, &u);
        db_txn_set(t, CLASS_console, &u, FIELD_console_protocol, value_string(protocol));
        db_txn_set(t, CLASS_console, &u, FIELD_console_VM, value_ref(vm));
    }
    put(a->db, t, CLASS_console, &u, FIELD_console_location,
        value_stringf("https://%s%s%s/console?ref=%s", is_ipv6 ? "[" : "", address, is_ipv6 ? "]" : "",
                      ref_text(&u, ref)));
}

void vm_rows_consoles(struct vm_agent *a, struct db_txn *t, const struct uuid *vm) {
    const struct row *host = db_get(a->db, CLASS_host, &a->self);
    const char *address = host ? row_str(host, FIELD_host_address) : "";
    if (!*address)
        return;
    put_console(a, t, vm, "rfb", address);
    put_console(a, t, vm, "vt100", address);
}

void vm_rows_running(struct vm_agent *a, struct db_txn *t, const struct uuid *vm, bool is_paused,
                     const struct value *spec) {
    const struct row *r = db_get(a->db, CLASS_VM, vm);
    if (r)
        db_txn_expect(t, CLASS_VM, vm, FIELD_VM_resident_on, value_copy(row_value(r, FIELD_VM_resident_on)));
    put(a->db, t, CLASS_VM, vm, FIELD_VM_power_state, value_string(is_paused ? "Paused" : "Running"));
    put(a->db, t, CLASS_VM, vm, FIELD_VM_resident_on, value_ref(&a->self));
    if (!spec)
        return;
    vm_rows_consoles(a, t, vm);
    attach_all(a, t, value_map_get(spec, "disks"), CLASS_VBD, FIELD_VBD_currently_attached);
    attach_all(a, t, value_map_get(spec, "nics"), CLASS_VIF, FIELD_VIF_currently_attached);
}

void vm_rows_gone(struct vm_agent *a, struct db_txn *t, const struct uuid *vm, const char *state) {
    struct uuid nobody = {0};
    db_txn_expect(t, CLASS_VM, vm, FIELD_VM_resident_on, value_ref(&a->self));
    put(a->db, t, CLASS_VM, vm, FIELD_VM_power_state, value_string(state));
    db_txn_set(t, CLASS_VM, vm, FIELD_VM_resident_on, value_ref(&nobody));
    detach_all(a, t, vm, CLASS_VBD, FIELD_VBD_VM, FIELD_VBD_currently_attached);
    detach_all(a, t, vm, CLASS_VIF, FIELD_VIF_VM, FIELD_VIF_currently_attached);
    const struct row *r = db_get(a->db, CLASS_VM, vm);
    const struct value *consoles = r ? row_value(r, FIELD_VM_consoles) : NULL;
    for (size_t i = 0; consoles && i < consoles->set.n; i++)
        db_txn_delete(t, CLASS_console, &consoles->set.items[i].ref);
    vm_rows_measure(a, vm, /* domain= */ NULL);
    vm_agent_settle(a, vm);
}

/* ---- when it started: the time of a file in the run folder, which lives as long as the boot of the host ---- */

static char *started_path(struct vm_agent *a, const struct uuid *vm) {
    char text[UUID_TEXT_SIZE];
    return strf("%s/vm/%s.started", a->run_dir, uuid_text(vm, text));
}

void vm_rows_started(struct vm_agent *a, const struct uuid *vm) {
    _cleanup_free_ char *path = started_path(a, vm);
    (void)!fs_write_atomic(path, "\n", 1, 0644); /* without it libvirt's own file tells the time */
}

static int64_t started_at(struct vm_agent *a, const struct uuid *vm) {
    _cleanup_free_ char *path = started_path(a, vm), *pid_file = NULL;
    char text[UUID_TEXT_SIZE];
    struct stat st;
    pid_file = strf("%s/libvirt/qemu/%s.pid", a->run_dir, uuid_text(vm, text));
    if (stat(path, &st) < 0 && stat(pid_file, &st) < 0)
        return 0;
    return st.st_mtim.tv_sec;
}

void vm_rows_measure(struct vm_agent *a, const struct uuid *vm, const struct virt_domain *domain) {
    struct uuid metrics = db_companion_uuid(vm, "VM_metrics");
    if (!domain) {
        _cleanup_free_ char *path = started_path(a, vm);
        (void)unlink(path);
        struct uuid guest = db_companion_uuid(vm, "VM_guest_metrics"), nothing = {0};
        db_volatile_delete(a->db, &a->self, CLASS_VM_metrics, &metrics);
        db_volatile_delete(a->db, &a->self, CLASS_VM_guest_metrics, &guest);
        db_volatile_set(a->db, &a->self, CLASS_VM, vm, FIELD_VM_guest_metrics, value_ref(&nothing));
        db_volatile_set(a->db, &a->self, CLASS_VM, vm, FIELD_VM_domid, value_int(-1));
        return;
    }
    struct value state = value_set();
    value_set_add(&state, value_string(domain->state == VIRT_PAUSED ? "paused" : "running"));
    db_volatile_set(a->db, &a->self, CLASS_VM, vm, FIELD_VM_domid, value_int(domain->id));
    db_volatile_put(a->db, &a->self, CLASS_VM_metrics, &metrics);
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_memory_actual,
                    value_int(domain->memory));
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_VCPUs_number,
                    value_int(domain->n_vcpus));
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_state, state);
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_start_time,
                    value_time(started_at(a, vm)));
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_hvm, value_bool(true));
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_current_domain_type,
                    value_string("hvm"));
    db_volatile_set(a->db, &a->self, CLASS_VM_metrics, &metrics, FIELD_VM_metrics_last_updated,
                    value_time(loop_wall_ms(a->loop) / 1000 / 60 * 60)); /* once a minute: no flood of events */
}
