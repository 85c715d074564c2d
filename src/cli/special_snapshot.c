/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about snapshots of VMs. */
#include "cli/commands.h"
#include "cli/select.h"
#include "cli/special_vm.h"

static bool print_uuid(const struct value *ref) {
    _cleanup_free_ char *uuid = records_text(NULL, ref);
    xe_print_line(uuid);
    return true;
}

static bool describe(struct xe *x, const struct value *made, struct error **errp) {
    const char *note = args_get(&x->args, "new-name-description");
    if (!note)
        return true;
    struct value params[] = {*made, value_string(note)}; /* the first is borrowed */
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    bool ok = xe_call(x, "VM.set_name_description", params, ARRAY_SIZE(params), &result, errp);
    value_done(&params[1]);
    return ok;
}

/* Makes one of each object that is chosen; prints their uuids. `extra` (may be NULL) is borrowed. */
static bool make_of(struct xe *x, const struct value *objects, const char *method, const struct value *extra,
                    struct error **errp) {
    const char *name = xe_need(x, "new-name-label", errp);
    bool ok = name != NULL;
    for (size_t i = 0; ok && i < objects->set.n && !xe_was_interrupted(); i++) {
        struct value params[] = {objects->set.items[i], value_string(name), extra ? *extra : (struct value){0}};
        _cleanup_value_ struct value made = {.type = VALUE_VOID};
        ok = xe_call(x, method, params, extra ? 3 : 2, &made, errp) && describe(x, &made, errp) && print_uuid(&made);
        value_done(&params[1]);
    }
    return ok;
}

#define MAKE_OWN "new-name-label,new-name-description"
#define MAKE_OWN_REQUIRED "new-name-label"
#define MAKE_OWN_OPTIONAL "new-name-description,vm"

static bool of_vms(struct xe *x, const char *method, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    return select_objects(x, "vm", MAKE_OWN, &vms, errp) && make_of(x, &vms, method, NULL, errp);
}

static bool vm_snapshot(struct xe *x, struct error **errp) {
    return of_vms(x, "VM.snapshot", errp);
}

static bool vm_checkpoint(struct xe *x, struct error **errp) {
    return of_vms(x, "VM.checkpoint", errp);
}

static bool vm_snapshot_with_quiesce(struct xe *x, struct error **errp) {
    return of_vms(x, "VM.snapshot_with_quiesce", errp);
}

/* The one that uuid= or snapshot-uuid= names. */
static bool one(struct xe *x, struct value *ret, struct error **errp) {
    const char *uuid = args_get(&x->args, "snapshot-uuid");
    if (!uuid && !(uuid = xe_need(x, "uuid", errp)))
        return false;
    struct value ref = {.type = VALUE_VOID};
    if (!xe_object(x, CLASS_VM, uuid, &ref, errp))
        return false;
    const struct value *all = records_all(x->records, CLASS_VM, errp);
    const struct value *r = all ? value_map_get(all, value_str(&ref)) : NULL;
    const struct value *is_snapshot = r ? value_map_get(r, "is_a_snapshot") : NULL;
    if (is_snapshot && value_as_bool(is_snapshot)) {
        *ret = value_set();
        value_set_add(ret, ref);
        return true;
    }
    if (all)
        error_setf(errp, "CLI_FAILURE", "Failure: No matching snapshots found");
    value_done(&ref);
    return false;
}

static bool call_on_one(struct xe *x, const char *method, struct error **errp) {
    _cleanup_value_ struct value snapshot = {.type = VALUE_VOID}, nothing = {.type = VALUE_VOID};
    return one(x, &snapshot, errp) && xe_call(x, method, &snapshot.set.items[0], 1, &nothing, errp);
}

static bool snapshot_revert(struct xe *x, struct error **errp) {
    return call_on_one(x, "VM.revert", errp);
}

static bool snapshot_destroy(struct xe *x, struct error **errp) {
    return call_on_one(x, "VM.destroy", errp);
}

static bool snapshot_clone(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value snapshot = {.type = VALUE_VOID};
    return one(x, &snapshot, errp) && make_of(x, &snapshot, "VM.clone", NULL, errp);
}

static bool snapshot_copy(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value snapshot = {.type = VALUE_VOID}, sr = value_string(REF_NULL_TEXT);
    const char *uuid = args_get(&x->args, "sr-uuid");
    if (uuid) {
        value_done(&sr);
        if (!xe_object(x, CLASS_SR, uuid, &sr, errp))
            return false;
    }
    return one(x, &snapshot, errp) && make_of(x, &snapshot, "VM.copy", &sr, errp);
}

static bool snapshot_uninstall(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value snapshot = {.type = VALUE_VOID};
    const char *force = args_get(&x->args, "force");
    bool is_forced = args_is(&x->args, ARGS_FORCE) || (force && str_eq(force, "true"));
    if (!one(x, &snapshot, errp) ||
        (!is_forced &&
         !xe_confirm(x, "The snapshot and its disks will be deleted for ever. Type 'yes' to go on", errp)))
        return false;
    if (!vm_remove_with_disks(x, &snapshot.set.items[0], errp))
        return false;
    xe_print_message(x, "All objects destroyed");
    return true;
}

static bool template_uninstall(struct xe *x, struct error **errp) {
    const char *uuid = xe_need(x, "template-uuid", errp), *force = args_get(&x->args, "force");
    bool is_forced = args_is(&x->args, ARGS_FORCE) || (force && str_eq(force, "true"));
    _cleanup_value_ struct value ref = {.type = VALUE_VOID};
    if (!uuid || !xe_object(x, CLASS_VM, uuid, &ref, errp))
        return false;
    const struct value *all = records_all(x->records, CLASS_VM, errp);
    const struct value *r = all ? value_map_get(all, value_str(&ref)) : NULL;
    const struct value *is_template = r ? value_map_get(r, "is_a_template") : NULL;
    if (all && !(is_template && value_as_bool(is_template)))
        error_setf(errp, "CLI_FAILURE", "Failure: No matching templates found");
    if (!all || !(is_template && value_as_bool(is_template)) ||
        (!is_forced &&
         !xe_confirm(x, "The template and its disks will be deleted for ever. Type 'yes' to go on", errp)))
        return false;
    if (!vm_remove_with_disks(x, &ref, errp))
        return false;
    xe_print_message(x, "All objects destroyed");
    return true;
}

static const struct command list[] = {
    {"snapshot-clone", "new-name-label", "uuid,snapshot-uuid,new-name-description",
     "make a template like it, quickly; prints its uuid", snapshot_clone, 0},
    {"snapshot-copy", "new-name-label", "uuid,snapshot-uuid,new-name-description,sr-uuid",
     "make a template like it with disks of its own; prints its uuid", snapshot_copy, 0},
    {"snapshot-destroy", "", "uuid,snapshot-uuid", "delete the record of a snapshot; its disks stay", snapshot_destroy,
     0},
    {"snapshot-revert", "", "uuid,snapshot-uuid", "take its VM back to it; what came since is lost", snapshot_revert,
     0},
    {"snapshot-uninstall", "", "uuid,snapshot-uuid,force", "delete it with its disks; asks first", snapshot_uninstall,
     0},
    {"template-uninstall", "template-uuid", "force", "delete a template with its disks; asks first", template_uninstall,
     0},
    {"vm-checkpoint", MAKE_OWN_REQUIRED, MAKE_OWN_OPTIONAL,
     "keep disks and memory as they are at this instant; prints the snapshot's uuid", vm_checkpoint,
     COMMAND_SELECTS_VMS},
    {"vm-snapshot", MAKE_OWN_REQUIRED, MAKE_OWN_OPTIONAL,
     "keep the disks as they are at this instant; prints the snapshot's uuid", vm_snapshot, COMMAND_SELECTS_VMS},
    {"vm-snapshot-with-quiesce", MAKE_OWN_REQUIRED, MAKE_OWN_OPTIONAL,
     "the API has removed this; vm-snapshot is what there is", vm_snapshot_with_quiesce, COMMAND_SELECTS_VMS},
};
const struct command_group commands_snapshot = {list, ARRAY_SIZE(list)};
