/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/store_calls.h"

#include "base/str.h"
#include "classes/vm_spec.h"
#include "store/store_place_core.h"

const struct row *store_host(struct api *a, const struct row *sr, struct error **errp) {
    struct db *d = api_db(a);
    const struct value *pbds = row_value(sr, FIELD_SR_PBDs);
    const struct row *found = NULL, *dead = NULL;
    char ref[REF_TEXT_SIZE];
    for (size_t i = 0; i < pbds->set.n; i++) {
        const struct row *pbd = db_get(d, CLASS_PBD, &pbds->set.items[i].ref);
        const struct row *host = pbd ? db_follow(d, pbd, FIELD_PBD_host) : NULL;
        if (!host || !row_bool(pbd, FIELD_PBD_currently_attached))
            continue;
        if (!api_host_is_live(a, &host->uuid))
            dead = host;
        else if (!found || uuid_eq(&host->uuid, api_own_host(a)))
            found = host;
    }
    if (found)
        return found;
    if (dead)
        error_set(errp, ERR_HOST_OFFLINE, ref_text(&dead->uuid, ref), NULL);
    else
        error_set(errp, pbds->set.n ? ERR_SR_NOT_ATTACHED : ERR_SR_HAS_NO_PBDS, ref_text(&sr->uuid, ref), NULL);
    return NULL;
}

struct value store_args(struct db *d, const char *op, const struct uuid *sr, const struct uuid *host) {
    struct value args = value_map();
    char text[UUID_TEXT_SIZE];
    value_map_add(&args, "op", value_string(op));
    const struct row *row = db_get(d, CLASS_SR, sr);
    value_map_add(&args, "sr", value_string(uuid_text(sr, text)));
    value_map_add(&args, "type", value_string(row ? row_str(row, FIELD_SR_type) : ""));
    value_map_add(&args, "path", value_string_take(vm_spec_folder(d, vm_spec_pbd(d, sr, host))));
    return args;
}

struct value store_disk_args(struct db *d, const char *op, const struct row *vdi, const struct uuid *host) {
    struct value args = store_args(d, op, row_ref(vdi, FIELD_VDI_SR), host);
    value_map_add(&args, "vdi", value_string(row_str(vdi, FIELD_VDI_uuid)));
    value_map_add(&args, "format", value_string(vm_spec_format(vdi)));
    return args;
}

static void put_size(struct db_txn *t, const struct uuid *vdi, unsigned field, const struct value *result,
                     const char *key) {
    const struct value *v = value_map_get(result, key);
    if (v)
        db_txn_set(t, CLASS_VDI, vdi, field, value_int(value_as_int(v)));
}

void store_put_sizes(struct db_txn *t, const struct uuid *vdi, const struct value *result) {
    put_size(t, vdi, FIELD_VDI_virtual_size, result, "virtual_size");
    put_size(t, vdi, FIELD_VDI_physical_utilisation, result, "physical_size");
}

bool store_check_type(const struct row *sr, struct error **errp) {
    if (store_type_is_known(row_str(sr, FIELD_SR_type)))
        return true;
    error_set(errp, ERR_SR_UNKNOWN_DRIVER, row_str(sr, FIELD_SR_type), NULL);
    return false;
}

bool store_check_changeable(const struct row *sr, struct error **errp) {
    char ref[REF_TEXT_SIZE];
    if (!store_check_type(sr, errp))
        return false;
    if (!store_type_is_made_elsewhere(row_str(sr, FIELD_SR_type)))
        return true;
    error_set(errp, ERR_SR_OPERATION_NOT_SUPPORTED, ref_text(&sr->uuid, ref), NULL);
    return false;
}

bool store_check_config(const char *type, const struct value *config, struct error **errp) {
    const char *key, *trouble = store_config_trouble(type, config, &key);
    _cleanup_free_ char *name = trouble ? strf("device_config:%s", key) : NULL;
    if (trouble)
        error_set(errp, ERR_INVALID_VALUE, name, trouble, NULL);
    return !trouble;
}

void store_insert_vdi(struct db_txn *t, const struct uuid *vdi, const struct uuid *sr, const char *format) {
    db_txn_insert(t, CLASS_VDI, vdi);
    store_place_vdi(t, vdi, sr, format);
}

void store_place_vdi(struct db_txn *t, const struct uuid *vdi, const struct uuid *sr, const char *format) {
    char text[UUID_TEXT_SIZE];
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_SR, value_ref(sr));
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_managed, value_bool(true));
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_location, value_stringf("%s.%s", uuid_text(vdi, text), format));
    db_txn_map_put(t, CLASS_VDI, vdi, FIELD_VDI_sm_config, "format", value_string(format));
}

void store_insert_base(struct db_txn *t, const struct uuid *base, const struct row *vdi, int64_t physical_size) {
    const char *older = value_map_str(row_value(vdi, FIELD_VDI_sm_config), "base");
    char text[UUID_TEXT_SIZE];
    store_insert_vdi(t, base, row_ref(vdi, FIELD_VDI_SR), "qcow2");
    db_txn_set(t, CLASS_VDI, base, FIELD_VDI_name_label, value_string("base of clones"));
    db_txn_set(t, CLASS_VDI, base, FIELD_VDI_type, value_copy(row_value(vdi, FIELD_VDI_type)));
    db_txn_set(t, CLASS_VDI, base, FIELD_VDI_managed, value_bool(false));
    db_txn_set(t, CLASS_VDI, base, FIELD_VDI_read_only, value_bool(true));
    db_txn_set(t, CLASS_VDI, base, FIELD_VDI_virtual_size, value_copy(row_value(vdi, FIELD_VDI_virtual_size)));
    db_txn_set(t, CLASS_VDI, base, FIELD_VDI_physical_utilisation, value_int(physical_size));
    if (older)
        db_txn_map_put(t, CLASS_VDI, base, FIELD_VDI_sm_config, "base", value_string(older));
    db_txn_map_put(t, CLASS_VDI, &vdi->uuid, FIELD_VDI_sm_config, "base", value_string(uuid_text(base, text)));
}

void store_insert_memory(struct db_txn *t, const struct uuid *vdi, const struct uuid *sr) {
    store_insert_vdi(t, vdi, sr, "save");
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_name_label, value_string("Memory of a suspended VM"));
    db_txn_set(t, CLASS_VDI, vdi, FIELD_VDI_type, value_string("suspend"));
}

const struct row *store_base_of(struct db *d, const struct row *vdi) {
    const char *text = value_map_str(row_value(vdi, FIELD_VDI_sm_config), "base");
    struct uuid u;
    return text && uuid_parse(text, &u) ? db_get(d, CLASS_VDI, &u) : NULL;
}

bool store_is_base(struct db *d, const struct row *base) {
    for (const struct row *v = db_first(d, CLASS_VDI); v; v = db_next(d, v)) {
        const char *text = value_map_str(row_value(v, FIELD_VDI_sm_config), "base");
        if (text && str_eq(text, row_str(base, FIELD_VDI_uuid)))
            return true;
    }
    return false;
}
