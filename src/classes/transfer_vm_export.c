/* SPDX-License-Identifier: Apache-2.0 */
/* Export of VMs (transfer_calls.h): ova.xml from the rows, and where the disks lie. */
#include <stdio.h>

#include "api/call_private.h"
#include "base/str.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/transfer_calls.h"
#include "classes/vm_allowed_core.h"
#include "classes/vm_spec.h"
#include "model/model.h"
#include "store/store_xva_core.h"
#include "wire/value_xml.h"

#define OBJECTS_MAX 128

/* The rows of an archive; a reference to one of them is "Ref:" and its place here, any other is that to nothing. */
struct archive {
    struct db *d;
    const struct row *rows[OBJECTS_MAX];
    size_t n;
};

static int place_of(const struct archive *a, const struct uuid *u) {
    for (size_t i = 0; i < a->n; i++)
        if (uuid_eq(&a->rows[i]->uuid, u))
            return (int)i;
    return -1;
}

static void add(struct archive *a, const struct row *r) {
    if (r && a->n < OBJECTS_MAX && place_of(a, &r->uuid) < 0)
        a->rows[a->n++] = r;
}

static bool is_disk(const struct row *vbd) {
    return str_eq(row_str(vbd, FIELD_VBD_type), "Disk");
}

static void collect(struct archive *a, const struct row *vm) {
    add(a, vm);
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs), *vifs = row_value(vm, FIELD_VM_VIFs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(a->d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd && is_disk(vbd) ? db_follow(a->d, vbd, FIELD_VBD_VDI) : NULL;
        add(a, vbd);
        add(a, vdi);
        add(a, vdi ? db_follow(a->d, vdi, FIELD_VDI_SR) : NULL);
    }
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *vif = db_get(a->d, CLASS_VIF, &vifs->set.items[i].ref);
        add(a, vif);
        add(a, vif ? db_follow(a->d, vif, FIELD_VIF_network) : NULL);
    }
}

static struct value in_archive(const struct archive *a, const struct value *v) {
    int place;
    struct value out;
    switch (v->type) {
    case VALUE_REF:
        place = place_of(a, &v->ref);
        return place < 0 ? value_string(REF_NULL_TEXT) : value_stringf("Ref:%d", place);
    case VALUE_SET:
        out = value_set();
        for (size_t i = 0; i < v->set.n; i++)
            if (v->set.items[i].type != VALUE_REF || place_of(a, &v->set.items[i].ref) >= 0)
                value_set_add(&out, in_archive(a, &v->set.items[i]));
        return out;
    case VALUE_MAP:
        out = value_map();
        for (size_t i = 0; i < v->map.n; i++)
            value_map_add(&out, v->map.pairs[i].key, in_archive(a, &v->map.pairs[i].value));
        return out;
    default:
        return value_copy(v);
    }
}

static struct value describe(const struct archive *a, size_t place) {
    struct value object = value_map(), record = record_borrow(a->rows[place]), snapshot = in_archive(a, &record);
    record_release(&record);
    /* What is being done with it here, and what it may be subjected to, is nobody's affair elsewhere. */
    for (size_t i = 0; i < snapshot.map.n; i++)
        if (str_eq(snapshot.map.pairs[i].key, "current_operations")) {
            value_done(&snapshot.map.pairs[i].value);
            snapshot.map.pairs[i].value = value_map();
        } else if (str_eq(snapshot.map.pairs[i].key, "allowed_operations")) {
            value_done(&snapshot.map.pairs[i].value);
            snapshot.map.pairs[i].value = value_set();
        }
    value_map_add(&object, "class", value_string(a->rows[place]->class->name));
    value_map_add(&object, "id", value_stringf("Ref:%zu", place));
    value_map_add(&object, "snapshot", snapshot);
    return object;
}

static char *ova_text(const struct archive *a, struct api *api) {
    _cleanup_value_ struct value ova = value_map();
    struct value version = value_map(), objects = value_set();
    const struct row *host = db_get(a->d, CLASS_host, api_own_host(api));
    const struct value *software = host ? row_value(host, FIELD_host_software_version) : NULL;
    static const char *const told[] = {"date", "product_version", "product_brand", "build_number"};
    value_map_add(&version, "hostname", value_string(host ? row_str(host, FIELD_host_hostname) : ""));
    for (size_t i = 0; i < ARRAY_SIZE(told); i++)
        value_map_add(&version, told[i], value_string(software ? str_or_empty(value_map_str(software, told[i])) : ""));
    value_map_add(&version, "xapi_major", value_int(1)); /* of the format, as importers compare it */
    value_map_add(&version, "xapi_minor", value_int(20));
    value_map_add(&version, "export_vsn", value_int(2));
    value_map_add(&ova, "version", version);
    for (size_t i = 0; i < a->n; i++)
        value_set_add(&objects, describe(a, i));
    value_map_add(&ova, "objects", objects);
    _cleanup_free_ char *text = value_xml_text(&ova);
    return strf("<?xml version=\"1.0\"?>%s", text);
}

/* A disk on that host; what any VM writes to is not carried. */
static bool put_disk(struct call *c, const struct archive *a, const struct row *vm, const struct row *vdi,
                     const struct row *host, struct value *disks, struct error **errp) {
    char ref[REF_TEXT_SIZE], sr_ref[REF_TEXT_SIZE];
    const struct row *pbd = vm_spec_pbd(a->d, row_ref(vdi, FIELD_VDI_SR), &host->uuid);
    _cleanup_free_ char *folder = vm_spec_folder(a->d, pbd);
    if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached) || !*folder) {
        error_set(errp, ERR_VM_REQUIRES_SR, ref_text(&vm->uuid, ref), ref_text(row_ref(vdi, FIELD_VDI_SR), sr_ref),
                  NULL);
        return false;
    }
    if (transfer_vdi_is_attached(a->d, vdi) || vm_op_is_busy(call_api(c), &vdi->uuid)) {
        error_set(errp, ERR_VDI_IN_USE, ref_text(&vdi->uuid, ref), "export", NULL);
        return false;
    }
    struct value disk = value_map();
    value_map_add(&disk, "ref", value_stringf("Ref:%d", place_of(a, &vdi->uuid)));
    value_map_add(&disk, "path", value_string(folder));
    value_map_add(&disk, "sr", value_string(uuid_text(row_ref(vdi, FIELD_VDI_SR), sr_ref)));
    value_map_add(&disk, "vdi", value_string(row_str(vdi, FIELD_VDI_uuid)));
    value_map_add(&disk, "format", value_string(vm_spec_format(vdi)));
    value_set_add(disks, disk);
    return true;
}

static void done_export(struct vm_op *op, const struct value *result) {
    vm_op_return_void(op);
}

struct vm_op *transfer_vm_export(struct call *c, const struct row *vm, const char *compress, struct transfer_plan *p) {
    struct archive a = {.d = call_db(c)};
    struct error *e = NULL;
    const struct row *host = NULL; /* the one that has the disks */
    struct value disks = value_set();
    int64_t size = 0;
    if (!vm_op_check(c, vm, "export")) {
        value_done(&disks);
        return NULL;
    }
    collect(&a, vm);
    bool is_first = true;
    for (size_t i = 0; i < a.n && !e; i++) {
        const struct row *vdi = a.rows[i];
        if (vdi->class->id != CLASS_VDI)
            continue;
        const struct row *sr = db_follow(a.d, vdi, FIELD_VDI_SR);
        if (is_first)
            host = sr ? store_host(call_api(c), sr, &e) : NULL;
        is_first = false;
        if (!host && !e)
            (void)net_fail_row(&e, ERR_VDI_NOT_AVAILABLE, vdi);
        else if (host && put_disk(c, &a, vm, vdi, host, &disks, &e))
            size += row_int(vdi, FIELD_VDI_physical_utilisation);
    }
    _cleanup_free_ char *ova = e ? NULL : ova_text(&a, call_api(c));
    if (ova && (strlen(ova) > XVA_OVA_MAX / 2 || a.n == OBJECTS_MAX))
        error_setf(&e, ERR_INTERNAL_ERROR, "the VM has too much about it for an archive");
    struct vm_op *op = NULL;
    if (e)
        call_fail(c, e);
    else
        op = vm_op_begin(c, vm, "export");
    if (!op) {
        value_done(&disks);
        return NULL;
    }
    *p = (struct transfer_plan){
        .host = host ? host->uuid : *api_own_host(call_api(c)), .args = value_map(), .size = size, .done = done_export};
    (void)snprintf(p->name, sizeof(p->name), "%s.xva", row_str(vm, FIELD_VM_uuid));
    value_map_add(&p->args, "op", value_string("vm_export"));
    value_map_add(&p->args, "ova", value_string(ova));
    value_map_add(&p->args, "disks", disks);
    value_map_add(&p->args, "compress", value_string(compress));
    return op;
}
