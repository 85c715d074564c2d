/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the disks and interfaces of VMs. */
#include "cli/commands.h"
#include "cli/request.h"
#include "cli/select.h"

/* "8GiB", "512MiB", or bytes. */
static bool parse_size(const char *key, const char *text, int64_t *ret, struct error **errp) {
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"bytes", 0}, {"", 0}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (!str_ends(text, units[i].suffix))
            continue;
        _cleanup_free_ char *number = xstrndup(text, strlen(text) - strlen(units[i].suffix));
        int64_t n;
        if (!str_parse_int(number, 0, INT64_MAX >> units[i].shift, &n))
            break;
        *ret = n << units[i].shift;
        return true;
    }
    error_set(errp, "INVALID_VALUE", key, text, NULL);
    return false;
}

static struct value disk_record(const struct value *sr, const char *name, int64_t size, const char *type) {
    struct value r = value_map();
    value_map_add(&r, "name_label", value_string(name));
    value_map_add(&r, "name_description", value_string(""));
    value_map_add(&r, "SR", value_copy(sr));
    value_map_add(&r, "virtual_size", value_int(size));
    value_map_add(&r, "type", value_string(type));
    value_map_add(&r, "sharable", value_bool(false));
    value_map_add(&r, "read_only", value_bool(false));
    value_map_add(&r, "other_config", value_map());
    return r;
}

static struct value drive_record(const struct value *vm, const struct value *vdi, const char *device, const char *type,
                                 const char *mode, bool bootable, bool unpluggable) {
    struct value r = value_map();
    value_map_add(&r, "VM", value_copy(vm));
    value_map_add(&r, "VDI", vdi ? value_copy(vdi) : value_string(REF_NULL_TEXT));
    value_map_add(&r, "userdevice", value_string(device));
    value_map_add(&r, "bootable", value_bool(bootable));
    value_map_add(&r, "mode", value_string(mode));
    value_map_add(&r, "type", value_string(type));
    value_map_add(&r, "unpluggable", value_bool(unpluggable));
    value_map_add(&r, "empty", value_bool(!vdi));
    value_map_add(&r, "other_config", value_map());
    value_map_add(&r, "qos_algorithm_type", value_string(""));
    value_map_add(&r, "qos_algorithm_params", value_map());
    return r;
}

static bool vdi_create(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "name-label", errp), *size_text = name ? xe_need(x, "virtual-size", errp) : NULL,
               *uuid = size_text ? xe_need(x, "sr-uuid", errp) : NULL, *type = args_get(&x->args, "type");
    _cleanup_value_ struct value sr = {.type = VALUE_VOID};
    int64_t size;
    if (!uuid || !parse_size("virtual-size", size_text, &size, errp) || !xe_object(x, CLASS_SR, uuid, &sr, errp))
        return false;
    struct request sm = request_new(x, errp), r = request_new(x, errp);
    struct value record = disk_record(&sr, name, size, type ? type : "user");
    request_add_map(&sm, "sm-config");
    value_map_add(&record, "sm_config", value_take(&sm.params[0]));
    request_add(&r, record);
    return request_print_uuids(&r, "VDI.create");
}

static bool flag_or(struct xe *x, const char *key, bool fallback) {
    const char *v = args_get(&x->args, key);
    return v ? str_eq(v, "true") || str_eq(v, "1") : fallback;
}

static bool vbd_create(struct xe *x, struct error **errp) {
    const char *vm_uuid = xe_need(x, "vm-uuid", errp), *device = vm_uuid ? xe_need(x, "device", errp) : NULL;
    const char *vdi_uuid = args_get(&x->args, "vdi-uuid"), *type = args_get(&x->args, "type"),
               *mode = args_get(&x->args, "mode");
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, vdi = {.type = VALUE_VOID};
    if (!device || !xe_object(x, CLASS_VM, vm_uuid, &vm, errp) ||
        (vdi_uuid && !xe_object(x, CLASS_VDI, vdi_uuid, &vdi, errp)))
        return false;
    bool cd = type && str_eq(type, "CD");
    struct request r = request_new(x, errp);
    request_add(&r, drive_record(&vm, vdi_uuid ? &vdi : NULL, device, type ? type : "Disk",
                                 mode ? mode
                                 : cd ? "RO"
                                      : "RW",
                                 flag_or(x, "bootable", false), flag_or(x, "unpluggable", true)));
    return request_print_uuids(&r, "VBD.create");
}

/* The one VM that is chosen. */
static bool one_vm(struct xe *x, const char *own, struct value *ret, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    if (!select_objects(x, "vm", own, &vms, errp))
        return false;
    *ret = value_take(&vms.set.items[0]);
    return true;
}

/* The pool's default storage. */
static bool default_sr(struct xe *x, struct value *ret, struct error **errp) {
    const struct value *pools = records_all(x->records, CLASS_pool, errp);
    const char *ref = pools && pools->map.n ? value_map_str(&pools->map.pairs[0].value, "default_SR") : NULL;
    if (!pools)
        return false;
    if (str_empty(ref) || str_eq(ref, REF_NULL_TEXT)) {
        error_set(errp, "CLI_MISSING", "sr-uuid", NULL);
        return false;
    }
    *ret = value_string(ref);
    return true;
}

static bool vm_disk_add(struct xe *x, struct error **errp) {
    const char *size_text = xe_need(x, "disk-size", errp), *device = size_text ? xe_need(x, "device", errp) : NULL;
    const char *sr_uuid = args_get(&x->args, "sr-uuid");
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, sr = {.type = VALUE_VOID}, vdi = {.type = VALUE_VOID},
                                 vbd = {.type = VALUE_VOID}, record = {.type = VALUE_VOID},
                                 nothing = {.type = VALUE_VOID};
    int64_t size;
    if (!device || !parse_size("disk-size", size_text, &size, errp) ||
        !one_vm(x, "disk-size,device,sr-uuid", &vm, errp) ||
        !(sr_uuid ? xe_object(x, CLASS_SR, sr_uuid, &sr, errp) : default_sr(x, &sr, errp)))
        return false;
    record = disk_record(&sr, "Created by xe", size, "user");
    if (!xe_call(x, "VDI.create", &record, 1, &vdi, errp))
        return false;
    value_done(&record);
    record = drive_record(&vm, &vdi, device, "Disk", "RW", false, true);
    struct error *e = NULL;
    if (xe_call(x, "VBD.create", &record, 1, &vbd, &e))
        return true;
    struct error *ignored = NULL; /* what counts is why the VM did not get it */
    if (!xe_call(x, "VDI.destroy", &vdi, 1, &nothing, &ignored))
        error_free(ignored);
    error_propagate(errp, e);
    return false;
}

static bool vm_disk_remove(struct xe *x, struct error **errp) {
    const char *device = xe_need(x, "device", errp);
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, vdi = {.type = VALUE_VOID}, nothing = {.type = VALUE_VOID};
    if (!device || !one_vm(x, "device", &vm, errp))
        return false;
    const struct value *vbds = records_all(x->records, CLASS_VBD, errp);
    for (size_t i = 0; vbds && i < vbds->map.n; i++) {
        const struct value *vbd = &vbds->map.pairs[i].value;
        if (str_eq(str_or_empty(value_map_str(vbd, "VM")), value_str(&vm)) &&
            str_eq(str_or_empty(value_map_str(vbd, "userdevice")), device))
            vdi = value_string(str_or_empty(value_map_str(vbd, "VDI")));
    }
    if (!vbds)
        return false;
    if (vdi.type == VALUE_STRING && *value_str(&vdi) && !str_eq(value_str(&vdi), REF_NULL_TEXT))
        return xe_call(x, "VDI.destroy", &vdi, 1, &nothing, errp);
    error_set(errp, "INVALID_DEVICE", device, NULL);
    return false;
}

/* Records of a class whose field `key` is one of the chosen VMs. */
static bool list_of_vms(struct xe *x, const char *class_name, const char *type, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    const struct cli_class *c = cli_class_by_name(class_name);
    if (!select_objects(x, "vm", "vbd-params,vdi-params", &vms, errp))
        return false;
    const struct value *all = records_all(x->records, c->class_id, errp);
    for (size_t i = 0; all && i < all->map.n; i++) {
        struct value vm = value_string(str_or_empty(value_map_str(&all->map.pairs[i].value, "VM")));
        bool is_chosen = value_set_has(&vms, &vm) &&
                         (!type || str_eq(str_or_empty(value_map_str(&all->map.pairs[i].value, "type")), type));
        value_done(&vm);
        if (is_chosen && !generic_print_record(x, c, &all->map.pairs[i].value, errp))
            return false;
        if (!is_chosen || !str_eq(class_name, "vbd"))
            continue;
        const struct value *vdis = records_all(x->records, CLASS_VDI, errp);
        const struct value *vdi =
            vdis ? value_map_get(vdis, str_or_empty(value_map_str(&all->map.pairs[i].value, "VDI"))) : NULL;
        if (vdi && !generic_print_record(x, cli_class_by_name("vdi"), vdi, errp))
            return false;
    }
    return all != NULL;
}

static bool vm_disk_list(struct xe *x, struct error **errp) {
    return list_of_vms(x, "vbd", "Disk", errp);
}

static bool vm_cd_list(struct xe *x, struct error **errp) {
    return list_of_vms(x, "vbd", "CD", errp);
}

/* ---- discs ---- */

/* The disc of this name or uuid; false with *errp when there is none, or more than one. */
static bool disc_named(struct xe *x, const char *name, struct value *ret, struct error **errp) {
    const struct value *all = records_all(x->records, CLASS_VDI, errp);
    const char *found = NULL;
    unsigned n = 0;
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value, *managed = value_map_get(r, "managed");
        if ((!str_eq(str_or_empty(value_map_str(r, "uuid")), name) &&
             !str_eq(str_or_empty(value_map_str(r, "name_label")), name)) ||
            !managed || !value_as_bool(managed))
            continue;
        found = all->map.pairs[i].key;
        n++;
    }
    if (all && n != 1)
        error_setf(errp, "CLI_FAILURE", n ? "Failure: Multiple matching CDs found" : "Failure: No matching CDs found");
    if (!all || n != 1)
        return false;
    *ret = value_string(found);
    return true;
}

/* The VM's one drive that is empty, or is not; NULL with *errp when there is none, or more than one. */
static const char *drive_of(struct xe *x, const struct value *vm, bool empty, const char *vdi, struct error **errp) {
    const struct value *all = records_all(x->records, CLASS_VBD, errp);
    const char *found = NULL;
    unsigned n = 0;
    for (size_t i = 0; all && i < all->map.n; i++) {
        const struct value *r = &all->map.pairs[i].value, *is_empty = value_map_get(r, "empty");
        if (!str_eq(str_or_empty(value_map_str(r, "VM")), value_str(vm)) ||
            !str_eq(str_or_empty(value_map_str(r, "type")), "CD") || (is_empty && value_as_bool(is_empty)) != empty ||
            (vdi && !str_eq(str_or_empty(value_map_str(r, "VDI")), vdi)))
            continue;
        found = all->map.pairs[i].key;
        n++;
    }
    if (all && n != 1)
        error_setf(errp, "CLI_FAILURE", "Failure: the VM has %s CD drive that %s", n ? "more than one" : "no",
                   empty ? "is empty"
                   : vdi ? "has this disc"
                         : "has a disc");
    return n == 1 ? found : NULL;
}

static bool vm_cd_add(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "cd-name", errp), *device = name ? xe_need(x, "device", errp) : NULL;
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, vdi = {.type = VALUE_VOID}, record = {.type = VALUE_VOID},
                                 vbd = {.type = VALUE_VOID};
    if (!device || !one_vm(x, "cd-name,device", &vm, errp) || !disc_named(x, name, &vdi, errp))
        return false;
    record = drive_record(&vm, &vdi, device, "CD", "RO", true, true);
    return xe_call(x, "VBD.create", &record, 1, &vbd, errp);
}

static bool vm_cd_insert(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "cd-name", errp);
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, vdi = {.type = VALUE_VOID}, nothing = {.type = VALUE_VOID};
    if (!name || !one_vm(x, "cd-name", &vm, errp) || !disc_named(x, name, &vdi, errp))
        return false;
    const char *drive = drive_of(x, &vm, /* empty= */ true, NULL, errp);
    if (!drive)
        return false;
    struct value params[] = {value_string(drive), vdi}; /* the second is borrowed */
    bool ok = xe_call(x, "VBD.insert", params, ARRAY_SIZE(params), &nothing, errp);
    value_done(&params[0]);
    return ok;
}

static bool vm_cd_eject(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, vbd = {.type = VALUE_VOID}, nothing = {.type = VALUE_VOID};
    if (!one_vm(x, "", &vm, errp))
        return false;
    const char *drive = drive_of(x, &vm, /* empty= */ false, NULL, errp);
    if (!drive)
        return false;
    vbd = value_string(drive);
    return xe_call(x, "VBD.eject", &vbd, 1, &nothing, errp);
}

static bool vm_cd_remove(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "cd-name", errp);
    _cleanup_value_ struct value vm = {.type = VALUE_VOID}, vdi = {.type = VALUE_VOID}, vbd = {.type = VALUE_VOID},
                                 nothing = {.type = VALUE_VOID};
    if (!name || !one_vm(x, "cd-name", &vm, errp) || !disc_named(x, name, &vdi, errp))
        return false;
    const char *drive = drive_of(x, &vm, /* empty= */ false, value_str(&vdi), errp);
    if (!drive)
        return false;
    vbd = value_string(drive);
    return xe_call(x, "VBD.destroy", &vbd, 1, &nothing, errp);
}

static bool vm_vif_list(struct xe *x, struct error **errp) {
    return list_of_vms(x, "vif", NULL, errp);
}

static bool vdi_unlock(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_VDI, "uuid");
    if (request_is_good(&r) &&
        !xe_confirm(x, "WARNING: whoever holds the disk must be off for certain. Two writers destroy a disk.", errp)) {
        /* the error is there; the end below sees it */
    }
    return request_call_void(&r, "VDI.force_unlock");
}

static const struct command list[] = {
    {"vbd-create", "vm-uuid,device", "vdi-uuid,bootable,type,mode,unpluggable",
     "give a VM a disk or a drive; prints its uuid", vbd_create, 0},
    {"vdi-create", "sr-uuid,name-label,virtual-size",
     "type,sm-config:", "make a disk (8GiB, or bytes); prints its uuid", vdi_create, 0},
    {"vdi-unlock", "uuid", "force",
     "take the lease of a disk from its holder, which is off; asks for a yes unless force", vdi_unlock, 0},
    {"vm-cd-add", "cd-name,device", "vm", "give it a CD drive with this disc, at this place", vm_cd_add,
     COMMAND_SELECTS_VMS},
    {"vm-cd-eject", "", "vm", "take the disc out of its CD drive", vm_cd_eject, COMMAND_SELECTS_VMS},
    {"vm-cd-insert", "cd-name", "vm", "put this disc into its empty CD drive", vm_cd_insert, COMMAND_SELECTS_VMS},
    {"vm-cd-remove", "cd-name", "vm", "take the CD drive with this disc away from it", vm_cd_remove,
     COMMAND_SELECTS_VMS},
    {"vm-cd-list", "", "vm", "print its drives and the discs in them", vm_cd_list, COMMAND_SELECTS_VMS},
    {"vm-disk-add", "disk-size,device", "sr-uuid,vm", "make a disk and give it to the VM", vm_disk_add,
     COMMAND_SELECTS_VMS},
    {"vm-disk-list", "", "vm", "print its disks and how they are attached", vm_disk_list, COMMAND_SELECTS_VMS},
    {"vm-disk-remove", "device", "vm", "delete the disk at this place", vm_disk_remove, COMMAND_SELECTS_VMS},
    {"vm-vif-list", "", "vm", "print its network interfaces", vm_vif_list, COMMAND_SELECTS_VMS},
};
const struct command_group commands_vm_disks = {list, ARRAY_SIZE(list)};
