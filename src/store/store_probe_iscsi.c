/* SPDX-License-Identifier: Apache-2.0 */
/* What an iSCSI portal has: its targets, a target's LUNs, the repositories on them. The elements and the codes are
 * those of XenServer's drivers, which clients look for. */
#include <errno.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_iscsi.h"
#include "store/store_private.h"
#include "store/store_probe.h"

#define MISSING_TARGET "SR_BACKEND_FAILURE_96"
#define MISSING_LUN "SR_BACKEND_FAILURE_107"

static void add_target(struct buf *xml, size_t i, const char *portal, const char *name) {
    const char *colon = strrchr(portal, ':'), *comma = strchr(portal, ',');
    _cleanup_free_ char *address = colon ? xstrndup(portal, (size_t)(colon - portal)) : xstrdup(portal),
                        *index = strf("%zu", i);
    buf_add_str(xml, "\t<TGT>\n");
    store_probe_element(xml, "Index", index);
    store_probe_element(xml, "IPAddress", comma && comma < colon ? portal : address);
    store_probe_element(xml, "TargetIQN", name);
    buf_add_str(xml, "\t</TGT>\n");
}

static bool list_targets(const char *portal, struct error **errp) {
    _cleanup_strv_ struct strv targets = {0};
    _cleanup_buf_ struct buf xml = BUF_INIT;
    if (!iscsi_targets(portal, &targets, errp))
        return false;
    buf_add_str(&xml, "<?xml version=\"1.0\" ?>\n<iscsi-target-iqns>\n");
    for (size_t i = 0; i + 1 < targets.n; i += 2)
        add_target(&xml, i / 2, targets.items[i], targets.items[i + 1]);
    buf_add_str(&xml, "</iscsi-target-iqns>\n");
    error_set(errp, MISSING_TARGET, "", "The request is missing or has an incorrect target IQN parameter",
              buf_str(&xml), NULL);
    return false;
}

static void add_lun(struct buf *xml, const struct lun *l) {
    _cleanup_free_ char *number = strf("%d", l->number), *size = strf("%lld", (long long)l->size);
    buf_add_str(xml, "\t<LUN>\n");
    store_probe_element(xml, "vendor", l->vendor);
    store_probe_element(xml, "serial", l->serial);
    store_probe_element(xml, "LUNid", number);
    store_probe_element(xml, "size", size);
    store_probe_element(xml, "SCSIid", l->id);
    buf_add_str(xml, "\t</LUN>\n");
}

static bool list_luns(const char *portal, const char *target, struct error **errp) {
    _cleanup_buf_ struct buf xml = BUF_INIT;
    _cleanup_free_ struct lun *luns = NULL;
    size_t n = 0;
    struct iscsi_context *c = iscsi_open(portal, target, errp);
    bool ok = c && iscsi_luns(c, &luns, &n, errp);
    iscsi_close(c);
    if (!ok)
        return false;
    buf_add_str(&xml, "<?xml version=\"1.0\" ?>\n<iscsi-target>\n");
    for (size_t i = 0; i < n; i++)
        if (luns[i].size > 0)
            add_lun(&xml, &luns[i]);
    buf_add_str(&xml, "</iscsi-target>\n");
    error_set(errp, MISSING_LUN, "", "The SCSIid parameter is missing or incorrect", buf_str(&xml), NULL);
    return false;
}

/* The repository that the named LUN keeps the leases of. */
static bool find_repository(const char *place, struct value *ret, struct error **errp) {
    _cleanup_buf_ struct buf mark = BUF_INIT, xml = BUF_INIT;
    struct folder f;
    if (!folder_open(place, &f, errp))
        return false;
    int r = f.ops->read(f.at, STORE_MARK, 128, &mark);
    folder_close(&f);
    if (r < 0 && r != -ENOENT) {
        store_error(errp, "cannot read", place, r);
        return false;
    }
    buf_add_str(&xml, "<?xml version=\"1.0\" ?>\n<SRlist>\n");
    if (r == 0) {
        mark.data[strcspn(mark.data, "\n")] = '\0';
        buf_add_str(&xml, "\t<SR>\n");
        store_probe_element(&xml, "UUID", mark.data);
        buf_add_str(&xml, "\t</SR>\n");
    }
    buf_add_str(&xml, "</SRlist>\n");
    value_map_put(ret, "xml", value_string(buf_str(&xml)));
    return true;
}

bool store_probe_iscsi(const struct value *config, struct value *ret, struct error **errp) {
    const char *key, *trouble = store_portal_trouble(config, &key), *target = value_map_str(config, "targetIQN");
    struct uuid none = {0};
    if (trouble) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, key, trouble, "", NULL);
        return false;
    }
    _cleanup_free_ char *portal = store_portal(config), *place = store_place("iscsi", config, &none);
    if (str_empty(target) || str_eq(target, "*"))
        return list_targets(portal, errp);
    if (str_empty(value_map_str(config, "SCSIid")) && str_empty(value_map_str(config, "LUNid")))
        return list_luns(portal, target, errp);
    if (*place)
        return find_repository(place, ret, errp);
    trouble = store_config_trouble("iscsi", config, &key);
    error_set(errp, ERR_SR_BACKEND_FAILURE, key, str_or_empty(trouble), "", NULL);
    return false;
}
