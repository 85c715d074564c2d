/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about VMs as a whole: making them, power, ending. */
#include "cli/special_vm.h"

#include "cli/commands.h"
#include "cli/request.h"
#include "cli/select.h"

#define VM_SELECTORS "vm"
#define NO_HOST REF_NULL_TEXT

static bool flag(struct xe *x, const char *key) {
    const char *v = args_get(&x->args, key);
    return v && (str_eq(v, "true") || str_eq(v, "1"));
}

static bool is_forced(struct xe *x) {
    return args_is(&x->args, ARGS_FORCE) || flag(x, "force");
}

static bool on_vms(struct xe *x, const char *own, const char *method, const struct value *extra, unsigned n_extra,
                   struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    return select_objects(x, "vm", own, &vms, errp) && select_call(x, &vms, method, extra, n_extra, errp);
}

/* ---- power ---- */

/* A host by name or uuid; its reference, or NULL with *errp. */
static const char *host_named(struct xe *x, const char *name, struct error **errp) {
    const struct cli_class *c = cli_class_by_name("host");
    const struct value *all = records_all(x->records, c->class_id, errp);
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value;
        if (str_eq(str_or_empty(value_map_str(r, "uuid")), name) ||
            str_eq(str_or_empty(value_map_str(r, "name_label")), name))
            return all->map.pairs[i].key;
    }
    if (all)
        error_setf(errp, "CLI_FAILURE", "Failure: No matching hosts found");
    return NULL;
}

static bool start(struct xe *x, const char *method, const char *method_on, struct error **errp) {
    const char *on = args_get(&x->args, "on"), *host = NULL;
    struct value paused = value_bool(flag(x, "paused")), force = value_bool(is_forced(x));
    if (on && !(host = host_named(x, on, errp)))
        return false;
    if (!host) {
        struct value extra[] = {paused, force};
        return on_vms(x, "on,paused,force", method, extra, ARRAY_SIZE(extra), errp);
    }
    struct value extra[] = {value_string(host), paused, force};
    bool ok = on_vms(x, "on,paused,force", method_on, extra, ARRAY_SIZE(extra), errp);
    value_done(&extra[0]);
    return ok;
}

static bool vm_start(struct xe *x, struct error **errp) {
    return start(x, "VM.start", "VM.start_on", errp);
}

static bool vm_resume(struct xe *x, struct error **errp) {
    return start(x, "VM.resume", "VM.resume_on", errp);
}

static bool vm_shutdown(struct xe *x, struct error **errp) {
    return on_vms(x, "force", is_forced(x) ? "VM.hard_shutdown" : "VM.clean_shutdown", NULL, 0, errp);
}

static bool vm_reboot(struct xe *x, struct error **errp) {
    return on_vms(x, "force", is_forced(x) ? "VM.hard_reboot" : "VM.clean_reboot", NULL, 0, errp);
}

static bool vm_pause(struct xe *x, struct error **errp) {
    return on_vms(x, "", "VM.pause", NULL, 0, errp);
}

static bool vm_unpause(struct xe *x, struct error **errp) {
    return on_vms(x, "", "VM.unpause", NULL, 0, errp);
}

static bool vm_suspend(struct xe *x, struct error **errp) {
    return on_vms(x, "", "VM.suspend", NULL, 0, errp);
}

static bool vm_reset_powerstate(struct xe *x, struct error **errp) {
    if (is_forced(x))
        return on_vms(x, "force", "VM.power_state_reset", NULL, 0, errp);
    error_setf(errp, "CLI_FAILURE",
               "Failure: this only tells the pool that the VM is halted. Make sure that it runs nowhere, then say "
               "--force.");
    return false;
}

/* ---- making ---- */

static bool set_text(struct xe *x, const struct value *ref, const char *method, const char *text, struct error **errp) {
    struct value params[] = {*ref, value_string(text)}; /* the first is borrowed */
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    bool ok = xe_call(x, method, params, ARRAY_SIZE(params), &result, errp);
    value_done(&params[1]);
    return ok;
}

static void print_uuid(const struct value *ref) {
    _cleanup_free_ char *uuid = records_text(NULL, ref);
    xe_print_line(uuid);
}

/* One VM (or template) is copied by `method`; `ret` is the new one's reference. */
static bool copy(struct xe *x, const struct value *from, const char *method, const struct value *sr, struct value *ret,
                 struct error **errp) {
    const char *name = xe_need(x, "new-name-label", errp), *note = args_get(&x->args, "new-name-description");
    if (!name)
        return false;
    struct value params[] = {*from, value_string(name), sr ? *sr : (struct value){0}};
    bool ok = xe_call(x, method, params, sr ? 3 : 2, ret, errp);
    value_done(&params[1]);
    return ok && (!note || set_text(x, ret, "VM.set_name_description", note, errp));
}

#define COPY_OWN "new-name-label,new-name-description,sr-uuid"

static bool vm_clone(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID}, made = {.type = VALUE_VOID};
    if (!select_objects(x, "vm", COPY_OWN, &vms, errp) || !copy(x, &vms.set.items[0], "VM.clone", NULL, &made, errp))
        return false;
    print_uuid(&made);
    return true;
}

static bool vm_copy(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID}, made = {.type = VALUE_VOID},
                                 sr = value_string(REF_NULL_TEXT);
    const char *uuid = args_get(&x->args, "sr-uuid");
    if (uuid) {
        value_done(&sr);
        if (!xe_object(x, CLASS_SR, uuid, &sr, errp))
            return false;
    }
    if (!select_objects(x, "vm", COPY_OWN, &vms, errp) || !copy(x, &vms.set.items[0], "VM.copy", &sr, &made, errp))
        return false;
    print_uuid(&made);
    return true;
}

/* A template by name or uuid; its reference, or NULL with *errp. */
static const char *template_named(struct xe *x, const char *name, struct error **errp) {
    const struct value *all = records_all(x->records, CLASS_VM, errp);
    const char *found = NULL;
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value, *is_template = value_map_get(r, "is_a_template");
        if (!is_template || !value_as_bool(is_template))
            continue;
        if (!str_eq(str_or_empty(value_map_str(r, "uuid")), name) &&
            !str_eq(str_or_empty(value_map_str(r, "name_label")), name))
            continue;
        if (found) {
            error_setf(errp, "CLI_FAILURE", "Failure: Multiple matching templates found");
            return NULL;
        }
        found = all->map.pairs[i].key;
    }
    if (all && !found)
        error_setf(errp, "CLI_FAILURE", "Failure: No matching templates found");
    return found;
}

static bool vm_install(struct xe *x, struct error **errp) {
    const char *by_uuid = args_get(&x->args, "template-uuid"),
               *name = by_uuid ? by_uuid : args_get(&x->args, "template");
    const char *sr_uuid = args_get(&x->args, "sr-uuid");
    _cleanup_value_ struct value from = {.type = VALUE_VOID}, made = {.type = VALUE_VOID}, sr = {.type = VALUE_VOID},
                                 nothing = {.type = VALUE_VOID};
    if (!name) {
        error_set(errp, "CLI_MISSING", "template", NULL);
        return false;
    }
    const char *ref = template_named(x, name, errp);
    if (!ref || (sr_uuid && !xe_object(x, CLASS_SR, sr_uuid, &sr, errp)))
        return false;
    from = value_string(ref);
    /* With storage named, the template's disks are copied there; else they go on from a common base. */
    if (!copy(x, &from, sr_uuid ? "VM.copy" : "VM.clone", sr_uuid ? &sr : NULL, &made, errp) ||
        !xe_call(x, "VM.provision", &made, 1, &nothing, errp))
        return false;
    print_uuid(&made);
    return true;
}

static bool vm_create(struct xe *x, struct error **errp) {
    static const char *const texts[] = {"user_version", "PV_bootloader",      "PV_kernel",      "PV_ramdisk",
                                        "PV_args",      "PV_bootloader_args", "PV_legacy_args", "HVM_boot_policy",
                                        "PCI_bus",      "recommendations"};
    static const char *const maps[] = {"VCPUs_params", "HVM_boot_params", "platform", "other_config"};
    static const char *const sizes[] = {"memory_static_max", "memory_dynamic_max", "memory_dynamic_min",
                                        "memory_static_min"};
    const char *name = xe_need(x, "name-label", errp), *note = args_get(&x->args, "name-description");
    if (!name)
        return false;
    struct request r = request_new(x, errp);
    struct value record = value_map();
    value_map_add(&record, "name_label", value_string(name));
    value_map_add(&record, "name_description", value_string(str_or_empty(note)));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        value_map_add(&record, texts[i], i == 0 ? value_int(1) : value_string(""));
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
        value_map_add(&record, maps[i], value_map());
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        value_map_add(&record, sizes[i], value_int(INT64_C(256) << 20));
    value_map_add(&record, "is_a_template", value_bool(false));
    value_map_add(&record, "affinity", value_string(NO_HOST));
    value_map_add(&record, "VCPUs_max", value_int(1));
    value_map_add(&record, "VCPUs_at_startup", value_int(1));
    value_map_add(&record, "actions_after_shutdown", value_string("destroy"));
    value_map_add(&record, "actions_after_reboot", value_string("restart"));
    value_map_add(&record, "actions_after_crash", value_string("restart"));
    request_add(&r, record);
    return request_print_uuids(&r, "VM.create");
}

/* ---- ending ---- */

/* Disks that no other VM has. */
static bool own_disks(struct xe *x, const struct value *vm, struct value *ret, struct error **errp) {
    const struct value *vbds = records_all(x->records, CLASS_VBD, errp);
    *ret = value_set();
    for (size_t i = 0; vbds && i < vbds->map.n; i++) {
        const struct value *vbd = &vbds->map.pairs[i].value;
        const char *vdi = str_or_empty(value_map_str(vbd, "VDI"));
        bool is_shared = false;
        if (!str_eq(str_or_empty(value_map_str(vbd, "VM")), value_str(vm)) ||
            !str_eq(str_or_empty(value_map_str(vbd, "type")), "Disk") || !*vdi || str_eq(vdi, REF_NULL_TEXT))
            continue;
        for (size_t k = 0; k < vbds->map.n; k++)
            is_shared |= k != i && str_eq(str_or_empty(value_map_str(&vbds->map.pairs[k].value, "VDI")), vdi);
        if (!is_shared)
            value_set_add(ret, value_string(vdi));
    }
    return vbds != NULL;
}

bool vm_remove_with_disks(struct xe *x, const struct value *vm, struct error **errp) {
    _cleanup_value_ struct value disks = {.type = VALUE_VOID}, nothing = {.type = VALUE_VOID};
    if (!own_disks(x, vm, &disks, errp))
        return false;
    const struct value *all = records_all(x->records, CLASS_VM, errp),
                       *record = all ? value_map_get(all, value_str(vm)) : NULL;
    const char *state = record ? value_map_str(record, "power_state") : NULL;
    const struct value *snapshot = record ? value_map_get(record, "is_a_snapshot") : NULL;
    bool is_snapshot = snapshot && value_as_bool(snapshot);
    if (state && !is_snapshot && !str_eq(state, "Halted")) {
        if (!xe_call(x, "VM.hard_shutdown", vm, 1, &nothing, errp))
            return false;
        value_done(&nothing);
    }
    for (size_t i = 0; i < disks.set.n; i++) {
        _cleanup_value_ struct value result = {.type = VALUE_VOID};
        if (!xe_call(x, "VDI.destroy", &disks.set.items[i], 1, &result, errp))
            return false;
    }
    /* The memory of a checkpoint goes when nobody would wake up with it any more. */
    const char *memory = is_snapshot ? value_map_str(record, "suspend_VDI") : NULL;
    _cleanup_value_ struct value vdi = value_string(str_or_empty(memory)), result = {.type = VALUE_VOID};
    return xe_call(x, "VM.destroy", vm, 1, &nothing, errp) &&
           (str_empty(memory) || str_eq(memory, REF_NULL_TEXT) || xe_call(x, "VDI.destroy", &vdi, 1, &result, errp));
}

static bool vm_uninstall(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    if (!select_objects(x, "vm", "force", &vms, errp))
        return false;
    _cleanup_free_ char *question = strf("%zu VM%s and all disks of %s will be deleted for ever. Type 'yes' to go on",
                                         vms.set.n, vms.set.n > 1 ? "s" : "", vms.set.n > 1 ? "them" : "it");
    if (!flag(x, "force") && !xe_confirm(x, question, errp))
        return false;
    for (size_t i = 0; i < vms.set.n && !xe_was_interrupted(); i++)
        if (!vm_remove_with_disks(x, &vms.set.items[i], errp))
            return false;
    xe_print_message(x, "All objects destroyed");
    return true;
}

/* ---- memory ---- */

static bool print_numbers(struct xe *x, const char *own, const char *method, const struct value *extra,
                          unsigned n_extra, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    if (!select_objects(x, "vm", own, &vms, errp))
        return false;
    for (size_t i = 0; i < vms.set.n; i++) {
        struct value params[3] = {vms.set.items[i], n_extra > 0 ? extra[0] : (struct value){0},
                                  n_extra > 1 ? extra[1] : (struct value){0}};
        _cleanup_value_ struct value result = {.type = VALUE_VOID};
        if (!xe_call(x, method, params, 1 + n_extra, &result, errp))
            return false;
        _cleanup_free_ char *text = records_text(NULL, &result);
        xe_print_line(text);
    }
    return true;
}

static bool vm_compute_memory_overhead(struct xe *x, struct error **errp) {
    return print_numbers(x, "", "VM.compute_memory_overhead", NULL, 0, errp);
}

static bool vm_compute_maximum_memory(struct xe *x, struct error **errp) {
    const char *text = xe_need(x, "total", errp);
    int64_t total;
    if (!text)
        return false;
    if (!str_parse_int(text, 0, INT64_MAX, &total)) {
        error_set(errp, "INVALID_VALUE", "total", text, NULL);
        return false;
    }
    struct value extra[] = {value_int(total), value_bool(flag(x, "approximate"))};
    return print_numbers(x, "total,approximate", "VM.maximise_memory", extra, 2, errp);
}

static const struct command list[] = {
    {"vm-clone", "new-name-label", "new-name-description," VM_SELECTORS, "make one like it, quickly; prints its uuid",
     vm_clone, COMMAND_SELECTS_VMS},
    {"vm-compute-maximum-memory", "total", "approximate," VM_SELECTORS,
     "print the largest memory that fits into so many bytes", vm_compute_maximum_memory, COMMAND_SELECTS_VMS},
    {"vm-compute-memory-overhead", "", VM_SELECTORS, "print the bytes that it takes on top of its memory",
     vm_compute_memory_overhead, COMMAND_SELECTS_VMS},
    {"vm-copy", "new-name-label", "new-name-description,sr-uuid," VM_SELECTORS,
     "make one like it with disks of its own; prints its uuid", vm_copy, COMMAND_SELECTS_VMS},
    {"vm-create", "name-label", "name-description", "make one with nothing in it; prints its uuid", vm_create, 0},
    {"vm-install", "new-name-label", "template,template-uuid,new-name-description,sr-uuid",
     "make one of a template; prints its uuid", vm_install, 0},
    {"vm-pause", "", VM_SELECTORS, "stop its processors; its memory stays", vm_pause, COMMAND_SELECTS_VMS},
    {"vm-reboot", "", "force," VM_SELECTORS, "ask it to restart, or restart it at once with --force", vm_reboot,
     COMMAND_SELECTS_VMS},
    {"vm-reset-powerstate", "", "force," VM_SELECTORS, "say that a VM is halted whose host is gone",
     vm_reset_powerstate, COMMAND_SELECTS_VMS},
    {"vm-resume", "", "force,on," VM_SELECTORS, "let a suspended one go on", vm_resume, COMMAND_SELECTS_VMS},
    {"vm-shutdown", "", "force," VM_SELECTORS, "ask it to shut down, or end it at once with --force", vm_shutdown,
     COMMAND_SELECTS_VMS},
    {"vm-start", "", "force,on,paused," VM_SELECTORS, "start it on the best host, or on one of choice", vm_start,
     COMMAND_SELECTS_VMS},
    {"vm-suspend", "", VM_SELECTORS, "write its memory to storage and end it", vm_suspend, COMMAND_SELECTS_VMS},
    {"vm-uninstall", "", "force," VM_SELECTORS, "delete it with its disks; asks first", vm_uninstall,
     COMMAND_SELECTS_VMS},
    {"vm-unpause", "", VM_SELECTORS, "let its processors go on", vm_unpause, COMMAND_SELECTS_VMS},
};
const struct command_group commands_vm = {list, ARRAY_SIZE(list)};
