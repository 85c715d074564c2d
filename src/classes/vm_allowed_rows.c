/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_allowed_rows.h"

#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "classes/vm_allowed_core.h"
#include "classes/vm_ops.h"

static const struct {
    int class_id;
    unsigned current, allowed;
} fields[] = {{CLASS_VM, FIELD_VM_current_operations, FIELD_VM_allowed_operations},
              {CLASS_VBD, FIELD_VBD_current_operations, FIELD_VBD_allowed_operations},
              {CLASS_VIF, FIELD_VIF_current_operations, FIELD_VIF_allowed_operations},
              {CLASS_VDI, FIELD_VDI_current_operations, FIELD_VDI_allowed_operations},
              {CLASS_SR, FIELD_SR_current_operations, FIELD_SR_allowed_operations}};

int vm_allowed_current_field(int class_id) {
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (fields[i].class_id == class_id)
            return (int)fields[i].current;
    return -1;
}

static enum vm_power power_of(struct db *d, const struct row *r, unsigned vm_field) {
    const struct row *vm = db_follow(d, r, vm_field);
    return vm ? vm_power_of(row_str(vm, FIELD_VM_power_state)) : 0;
}

enum vm_kind vm_allowed_kind(const struct row *vm) {
    return row_bool(vm, FIELD_VM_is_a_snapshot)   ? VM_KIND_SNAPSHOT
           : row_bool(vm, FIELD_VM_is_a_template) ? VM_KIND_TEMPLATE
                                                  : VM_KIND_VM;
}

static struct value of_vm(const struct row *vm, const char *current) {
    struct vm_facts f = {.power = vm_power_of(row_str(vm, FIELD_VM_power_state)),
                         .kind = vm_allowed_kind(vm),
                         .is_default_template = row_bool(vm, FIELD_VM_is_default_template),
                         .is_control_domain = row_bool(vm, FIELD_VM_is_control_domain),
                         .blocked = row_value(vm, FIELD_VM_blocked_operations),
                         .current = current             ? current
                                    : vm_pools_hold(vm) ? "migrate_send"
                                                        : NULL};
    return vm_allowed(&f);
}

static struct value of_vbd(struct db *d, const struct row *r, bool is_busy) {
    struct vbd_facts f = {.power = power_of(d, r, FIELD_VBD_VM),
                          .is_attached = row_bool(r, FIELD_VBD_currently_attached),
                          .is_cd = str_eq(row_str(r, FIELD_VBD_type), "CD"),
                          .is_empty = row_bool(r, FIELD_VBD_empty),
                          .is_busy = is_busy,
                          .is_unpluggable = row_bool(r, FIELD_VBD_unpluggable)};
    return vbd_allowed(&f);
}

static struct value of_vif(struct db *d, const struct row *r, bool is_busy) {
    struct vif_facts f = {.power = power_of(d, r, FIELD_VIF_VM),
                          .is_attached = row_bool(r, FIELD_VIF_currently_attached),
                          .is_busy = is_busy};
    return vif_allowed(&f);
}

static bool is_plugged(struct db *d, const struct row *sr) {
    const struct value *pbds = row_value(sr, FIELD_SR_PBDs);
    for (size_t i = 0; i < pbds->set.n; i++) {
        const struct row *pbd = db_get(d, CLASS_PBD, &pbds->set.items[i].ref);
        if (pbd && row_bool(pbd, FIELD_PBD_currently_attached))
            return true;
    }
    return false;
}

static struct value of_vdi(struct db *d, const struct row *r, bool is_busy) {
    const struct value *vbds = row_value(r, FIELD_VDI_VBDs);
    const struct row *sr = db_follow(d, r, FIELD_VDI_SR);
    const char *format = str_or_empty(value_map_str(row_value(r, FIELD_VDI_sm_config), "format"));
    struct vdi_facts f = {.is_managed = row_bool(r, FIELD_VDI_managed),
                          .is_plain = !str_eq(format, "save"),
                          .can_fork = str_eq(format, "qcow2") && row_bool(r, FIELD_VDI_managed),
                          .is_busy = is_busy,
                          .sr_is_there = sr && is_plugged(d, sr)};
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        f.is_attached |= vbd && row_bool(vbd, FIELD_VBD_currently_attached);
    }
    return vdi_allowed(&f);
}

static struct value of_sr(struct db *d, const struct row *r, bool is_busy) {
    struct sr_facts f = {.is_known_type = str_eq(row_str(r, FIELD_SR_type), "file"),
                         .is_plugged = is_plugged(d, r),
                         .has_pbd = row_value(r, FIELD_SR_PBDs)->set.n > 0,
                         .is_busy = is_busy};
    return sr_allowed(&f);
}

/* A VM that runs nowhere is measured by nobody; its metrics are there all the same, as clients expect. */
static void show_metrics(struct api *a, const struct row *vm) {
    struct uuid metrics = *row_ref(vm, FIELD_VM_metrics);
    if (row_bool(vm, FIELD_VM_is_control_domain))
        return;
    if (!uuid_is_null(row_ref(vm, FIELD_VM_resident_on))) {
        if (!uuid_eq(row_ref(vm, FIELD_VM_resident_on), api_own_host(a)))
            db_volatile_delete(api_db(a), api_own_host(a), CLASS_VM_metrics, &metrics);
        return;
    }
    struct value state = value_set();
    value_set_add(&state,
                  value_string(str_eq(row_str(vm, FIELD_VM_power_state), "Suspended") ? "suspended" : "halted"));
    db_volatile_put(api_db(a), api_own_host(a), CLASS_VM_metrics, &metrics);
    db_volatile_set(api_db(a), api_own_host(a), CLASS_VM_metrics, &metrics, FIELD_VM_metrics_memory_actual,
                    value_int(0));
    db_volatile_set(api_db(a), api_own_host(a), CLASS_VM_metrics, &metrics, FIELD_VM_metrics_VCPUs_number,
                    value_int(0));
    db_volatile_set(api_db(a), api_own_host(a), CLASS_VM_metrics, &metrics, FIELD_VM_metrics_start_time, value_time(0));
    db_volatile_set(api_db(a), api_own_host(a), CLASS_VM_metrics, &metrics, FIELD_VM_metrics_state, state);
}

void vm_allowed_show(struct api *a, const struct row *r, const char *current) {
    struct db *d = api_db(a);
    struct value v;
    switch (r->class->id) {
    case CLASS_VM:
        v = of_vm(r, current);
        show_metrics(a, r);
        break;
    case CLASS_VBD:
        v = of_vbd(d, r, current != NULL);
        break;
    case CLASS_VIF:
        v = of_vif(d, r, current != NULL);
        break;
    case CLASS_VDI:
        v = of_vdi(d, r, current != NULL);
        break;
    case CLASS_SR:
        v = of_sr(d, r, current != NULL);
        break;
    default:
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (fields[i].class_id == r->class->id) {
            db_volatile_set(d, api_own_host(a), r->class->id, &r->uuid, fields[i].allowed, v);
            return;
        }
    value_done(&v);
}

static void show_one(struct api *a, int class_id, const struct uuid *u) {
    const struct row *r = db_get(api_db(a), class_id, u);
    if (r)
        vm_allowed_show(a, r, vm_op_is_busy(a, u) ? "" : NULL);
}

static void show_set(struct api *a, int class_id, const struct value *set) {
    for (size_t i = 0; i < set->set.n; i++)
        show_one(a, class_id, &set->set.items[i].ref);
}

void vm_allowed_show_neighbours(struct api *a, const struct row *r) {
    switch (r->class->id) {
    case CLASS_VM:
        show_set(a, CLASS_VBD, row_value(r, FIELD_VM_VBDs));
        show_set(a, CLASS_VIF, row_value(r, FIELD_VM_VIFs));
        break;
    case CLASS_VBD:
        show_one(a, CLASS_VDI, row_ref(r, FIELD_VBD_VDI));
        break;
    case CLASS_SR:
        show_set(a, CLASS_VDI, row_value(r, FIELD_SR_VDIs));
        break;
    default:
        break;
    }
}
