/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_iso.h"

#include <string.h>

#include "model/model.h"
#include "store/store_place_core.h"
#include "store/store_private.h"

#define DISCS_MAX 5000
/* ISO 9660 8.1: volume descriptors begin at sector 16 of 2048 bytes, each with its type and then this. A disc of UDF
 * alone begins there with the descriptor of ECMA 167 2/9.2. */
#define DESCRIPTOR_AT (16 * 2048 + 1)
#define ISO_ID "CD001"
#define UDF_ID "BEA01"
#define ID_SIZE 5

static bool is_disc(const struct folder *f, const char *name) {
    char id[ID_SIZE];
    return f->ops->peek(f->at, name, DESCRIPTOR_AT, sizeof(id), id) == (int)sizeof(id) &&
           (memcmp(id, ISO_ID, sizeof(id)) == 0 || memcmp(id, UDF_ID, sizeof(id)) == 0);
}

/* Its name is its uuid's name too, so that every host and every scan finds the same disc. */
static void scan_file(const struct folder *f, const struct uuid *sr, const char *name, struct value *vdis,
                      struct value *refused) {
    struct folder_stat st;
    char text[UUID_TEXT_SIZE];
    if (!store_iso_name_is_good(name) || !str_is_utf8(name, strlen(name)) || f->ops->stat(f->at, name, &st) < 0 ||
        !st.is_file)
        return;
    if (!is_disc(f, name)) {
        value_set_add(refused, value_string(name));
        return;
    }
    struct uuid u = uuid_derive(sr, name);
    struct value v = value_map();
    value_map_add(&v, "vdi", value_string(uuid_text(&u, text)));
    value_map_add(&v, "format", value_string("raw"));
    value_map_add(&v, "name", value_string(name));
    value_map_add(&v, "virtual_size", value_int(st.size));
    value_map_add(&v, "physical_size", value_int(st.physical_size));
    value_set_add(vdis, v);
}

static bool scan(const struct folder *f, const struct uuid *sr, const struct strv *names, struct value *ret) {
    struct value vdis = value_set(), refused = value_set();
    for (size_t i = 0; i < names->n; i++)
        scan_file(f, sr, names->items[i], &vdis, &refused);
    value_map_put(ret, "vdis", vdis);
    value_map_put(ret, "refused", refused);
    return true;
}

bool store_iso_run(const char *op, const struct folder *f, const struct uuid *sr, struct value *ret,
                   struct error **errp) {
    _cleanup_strv_ struct strv names = {0};
    int64_t size, used;
    bool looks = str_eq(op, "stat") || str_eq(op, "scan");
    if (!looks && !str_eq(op, "create") && !str_eq(op, "attach") && !str_eq(op, "check")) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "discs of a repository of type iso are not changed", op, "", NULL);
        return false;
    }
    int r = f->ops->list(f->at, "", DISCS_MAX, &names);
    if (r >= 0 && looks)
        r = f->ops->space(f->at, &size, &used);
    if (r < 0) {
        store_error(errp, "cannot look at", "the folder of discs", r);
        return false;
    }
    if (looks) {
        value_map_put(ret, "size", value_int(size));
        value_map_put(ret, "used", value_int(used));
    }
    return !str_eq(op, "scan") || scan(f, sr, &names, ret);
}
