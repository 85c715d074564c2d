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

static const struct command list[] = {
    {"vdi-export", "uuid,filename", "format,base", "write a disk into a file (raw, vhd or qcow2)", vdi_export, 0},
    {"vdi-import", "uuid,filename", "format", "fill a disk from a file (raw, vhd or qcow2)", vdi_import, 0},
};
const struct command_group commands_transfer = {list, ARRAY_SIZE(list)};
