/* SPDX-License-Identifier: Apache-2.0 */
/* Import and export of single disks (transfer_calls.h). */
#include <stdio.h>

#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vdi.h"
#include "classes/store_calls.h"
#include "classes/transfer_calls.h"
#include "classes/vm_spec.h"

void transfer_plan_done(struct transfer_plan *p) {
    value_done(&p->args);
    if (p->data)
        p->free_data(p->data);
    *p = (struct transfer_plan){0};
}

static bool check_format(struct call *c, const char *format) {
    if (str_eq(format, "raw") || str_eq(format, "vhd") || str_eq(format, "qcow2"))
        return true;
    call_fail_code(c, ERR_INVALID_VALUE, "format", format, NULL);
    return false;
}

static void done_export(struct vm_op *op, const struct value *result) {
    vm_op_return_void(op);
}

struct vm_op *transfer_vdi_export(struct call *c, const struct row *vdi, const char *format, int64_t offset,
                                  int64_t size, struct transfer_plan *p) {
    int64_t all = row_int(vdi, FIELD_VDI_virtual_size);
    const struct row *host;
    bool is_raw = str_eq(format, "raw");
    struct vm_op *op = check_format(c, format) ? vdi_op_begin(c, vdi, "copy", /* writes= */ false, &host) : NULL;
    if (!op)
        return NULL;
    int64_t wanted = size < 0 ? all - offset : size;
    *p = (struct transfer_plan){.host = host->uuid,
                                .args = store_disk_args(call_db(c), "vdi_export", vdi, &host->uuid),
                                .size = is_raw ? wanted : row_int(vdi, FIELD_VDI_physical_utilisation),
                                .is_exact = is_raw,
                                .done = done_export};
    (void)snprintf(p->name, sizeof(p->name), "%s.%s", row_str(vdi, FIELD_VDI_uuid), format);
    value_map_add(&p->args, "as", value_string(format));
    value_map_add(&p->args, "offset", value_int(offset));
    value_map_add(&p->args, "size", value_int(wanted));
    return op;
}

/* ---- import: the disk is another image now, which goes on from nothing ---- */

static void return_vdi(struct vm_op *op) {
    struct uuid u = *vm_op_object(op);
    vm_op_return_ref(op, &u);
}

static void done_import(struct vm_op *op, const struct value *result) {
    struct db *d = vm_op_db(op);
    const struct row *vdi = vm_op_row(op);
    if (!vdi)
        return;
    const struct row *base = store_base_of(d, vdi);
    struct db_txn *t = db_txn_new(d, "a disk was imported");
    store_put_sizes(t, &vdi->uuid, result);
    if (base)
        db_txn_map_remove(t, CLASS_VDI, &vdi->uuid, FIELD_VDI_sm_config, "base");
    if (base)
        vdi_op_commit_without_base(op, t, base, return_vdi);
    else
        vm_op_commit(op, t, return_vdi);
}

struct vm_op *transfer_vdi_import(struct call *c, const struct row *vdi, const char *format, int64_t length,
                                  bool is_chunked, struct transfer_plan *p) {
    char ref[REF_TEXT_SIZE];
    const struct row *host;
    if (row_bool(vdi, FIELD_VDI_read_only) || row_bool(vdi, FIELD_VDI_is_a_snapshot)) {
        call_fail_code(c, ERR_VDI_READONLY, ref_text(&vdi->uuid, ref), NULL);
        return NULL;
    }
    struct vm_op *op = check_format(c, format) ? vdi_op_begin(c, vdi, "blocked", /* writes= */ true, &host) : NULL;
    if (!op)
        return NULL;
    int64_t size = row_int(vdi, FIELD_VDI_virtual_size);
    *p = (struct transfer_plan){.host = host->uuid,
                                .args = store_disk_args(call_db(c), "vdi_import", vdi, &host->uuid),
                                .size = length >= 0 ? length : size,
                                .done = done_import};
    value_map_add(&p->args, "as", value_string(format));
    value_map_add(&p->args, "size", value_int(size));
    value_map_add(&p->args, "length", value_int(length));
    value_map_add(&p->args, "chunked", value_bool(is_chunked));
    return op;
}
