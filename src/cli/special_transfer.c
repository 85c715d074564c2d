/* SPDX-License-Identifier: Apache-2.0 */
/* Disks and VMs as files. */
#include "cli/commands.h"
#include "cli/select.h"

static bool is_format(const char *format, struct error **errp) {
    if (str_eq(format, "raw") || str_eq(format, "vhd") || str_eq(format, "qcow2"))
        return true;
    error_set(errp, "INVALID_VALUE", "format", format, NULL);
    return false;
}

/* The disk's record, by its uuid. */
static const struct value *disk_of(struct xe *x, struct value *ref, struct error **errp) {
    const char *uuid = xe_need(x, "uuid", errp);
    if (!uuid || !xe_object(x, CLASS_VDI, uuid, ref, errp))
        return NULL;
    const struct value *all = records_all(x->records, CLASS_VDI, errp);
    return all ? value_map_get(all, value_str(ref)) : NULL;
}

static int64_t int_at(const struct value *record, const char *key) {
    const struct value *v = record ? value_map_get(record, key) : NULL;
    return v ? value_as_int(v) : -1;
}

static bool vdi_file(struct xe *x, bool is_upload, struct error **errp) {
    _cleanup_value_ struct value ref = {.type = VALUE_VOID}, result = {.type = VALUE_VOID};
    const char *file = xe_need(x, "filename", errp), *format = args_get(&x->args, "format"),
               *base = args_get(&x->args, "base");
    format = format ? format : "raw";
    const struct value *vdi = file && is_format(format, errp) ? disk_of(x, &ref, errp) : NULL;
    if (!vdi)
        return false;
    _cleanup_free_ char *path = strf("/%s_raw_vdi?vdi=%s&format=%s%s%s", is_upload ? "import" : "export",
                                     value_str(&ref), format, base ? "&base=" : "", str_or_empty(base));
    int64_t size = int_at(vdi, str_eq(format, "raw") ? "virtual_size" : "physical_utilisation");
    return xe_carry_file(x, is_upload ? "VDI.import" : "VDI.export", path, file, is_upload, size, &result, errp);
}

static bool vdi_export(struct xe *x, struct error **errp) {
    return vdi_file(x, /* is_upload= */ false, errp);
}

static bool vdi_import(struct xe *x, struct error **errp) {
    return vdi_file(x, /* is_upload= */ true, errp);
}

/* ---- VMs ---- */

static const char *packed_with(struct xe *x) {
    const char *compress = args_get(&x->args, "compress");
    return !compress || str_eq(compress, "false") ? "" : compress;
}

static int64_t size_of_disks(struct xe *x, const char *vm) {
    struct error *e = NULL;
    const struct value *vbds = records_all(x->records, CLASS_VBD, &e),
                       *vdis = vbds ? records_all(x->records, CLASS_VDI, &e) : NULL;
    int64_t size = 0;
    for (size_t i = 0; vdis && i < vbds->map.n; i++) {
        const struct value *vbd = &vbds->map.pairs[i].value;
        if (str_eq(str_or_empty(value_map_str(vbd, "VM")), vm) &&
            str_eq(str_or_empty(value_map_str(vbd, "type")), "Disk"))
            size +=
                MAX(int_at(value_map_get(vdis, str_or_empty(value_map_str(vbd, "VDI"))), "physical_utilisation"), 0);
    }
    error_free(e);
    return size;
}

static bool export_vm(struct xe *x, const struct value *vm, struct error **errp) {
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    const char *file = xe_need(x, "filename", errp), *snapshots = args_get(&x->args, "include-snapshots");
    if (!file)
        return false;
    _cleanup_free_ char *path = strf("/export?ref=%s&use_compression=%s%s", value_str(vm), packed_with(x),
                                     snapshots && str_eq(snapshots, "true") ? "&include_snapshots=true" : "");
    if (!xe_carry_file(x, "VM.export", path, file, /* is_upload= */ false,
                       *packed_with(x) ? -1 : size_of_disks(x, value_str(vm)), &result, errp))
        return false;
    xe_print_message(x, "Export succeeded");
    return true;
}

static bool vm_export(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value vms = {.type = VALUE_VOID};
    return select_objects(x, "vm", "filename,compress,include-snapshots", &vms, errp) &&
           export_vm(x, &vms.set.items[0], errp);
}

static bool export_named(struct xe *x, const char *key, struct error **errp) {
    _cleanup_value_ struct value vm = {.type = VALUE_VOID};
    const char *uuid = xe_need(x, key, errp);
    return uuid && xe_object(x, CLASS_VM, uuid, &vm, errp) && export_vm(x, &vm, errp);
}

static bool template_export(struct xe *x, struct error **errp) {
    return export_named(x, "template-uuid", errp);
}

static bool snapshot_export(struct xe *x, struct error **errp) {
    return export_named(x, "snapshot-uuid", errp);
}

static bool is_set(struct xe *x, const char *key) {
    const char *text = args_get(&x->args, key);
    return text && str_eq(text, "true");
}

static bool vm_import(struct xe *x, struct error **errp) {
    _cleanup_value_ struct value sr = {.type = VALUE_VOID}, vms = {.type = VALUE_VOID};
    const char *file = xe_need(x, "filename", errp), *sr_uuid = args_get(&x->args, "sr-uuid");
    if (!file || (sr_uuid && !xe_object(x, CLASS_SR, sr_uuid, &sr, errp)))
        return false;
    _cleanup_free_ char *path =
        strf("/import?restore=%s&force=%s%s%s", is_set(x, "preserve") ? "true" : "false",
             is_set(x, "force") ? "true" : "false", sr_uuid ? "&sr_id=" : "", sr_uuid ? value_str(&sr) : "");
    if (!xe_carry_file(x, "VM.import", path, file, /* is_upload= */ true, -1, &vms, errp))
        return false;
    for (size_t i = 0; vms.type == VALUE_SET && i < vms.set.n; i++) {
        _cleanup_free_ char *uuid = records_text(NULL, &vms.set.items[i]);
        xe_print_line(uuid);
    }
    return true;
}

static const struct command list[] = {
    {"snapshot-export-to-template", "snapshot-uuid,filename", "compress",
     "write a snapshot into an XVA file; what it is imported as is a template", snapshot_export, 0},
    {"template-export", "template-uuid,filename", "compress", "write a template with its disks into an XVA file",
     template_export, 0},
    {"vm-export", "filename", "compress,include-snapshots,vm",
     "write a halted VM with its disks into an XVA file; compress is gzip, zstd or true", vm_export,
     COMMAND_SELECTS_VMS},
    {"vm-import", "filename", "sr-uuid,preserve,force",
     "make a VM out of an XVA file; prints its uuid; preserve keeps uuid and addresses", vm_import, 0},
    {"vdi-export", "uuid,filename", "format,base", "write a disk into a file (raw, vhd or qcow2)", vdi_export, 0},
    {"vdi-import", "uuid,filename", "format", "fill a disk from a file (raw, vhd or qcow2)", vdi_import, 0},
};
const struct command_group commands_transfer = {list, ARRAY_SIZE(list)};
