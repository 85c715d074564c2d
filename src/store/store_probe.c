/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_probe.h"

#include "base/str.h"
#include "model/model.h"
#include "store/store_nfs.h"
#include "store/store_place_core.h"

#define MISSING_PATH "SR_BACKEND_FAILURE_101" /* what XenServer's driver for NFS answers, and clients look for */

static void add_text(struct buf *out, const char *s) {
    for (; *s; s++) {
        if (*s == '&')
            buf_add_str(out, "&amp;");
        else if (*s == '<')
            buf_add_str(out, "&lt;");
        else if (*s == '>')
            buf_add_str(out, "&gt;");
        else
            buf_add_char(out, (unsigned char)*s < 0x20 ? '?' : *s);
    }
}

void store_probe_element(struct buf *out, const char *tag, const char *text) {
    buf_addf(out, "\t\t<%s>", tag);
    add_text(out, text);
    buf_addf(out, "</%s>\n", tag);
}

static bool list_exports(const char *server, struct error **errp) {
    _cleanup_strv_ struct strv exports = {0};
    _cleanup_buf_ struct buf xml = BUF_INIT;
    if (!nfs_exports(server, &exports, errp))
        return false;
    buf_add_str(&xml, "<?xml version=\"1.0\" ?>\n<nfs-exports>\n");
    for (size_t i = 0; i < exports.n; i++) {
        buf_add_str(&xml, "\t<Export>\n");
        store_probe_element(&xml, "Target", server);
        store_probe_element(&xml, "Path", exports.items[i]);
        store_probe_element(&xml, "Accesslist", "*");
        buf_add_str(&xml, "\t</Export>\n");
    }
    buf_add_str(&xml, "</nfs-exports>\n");
    error_set(errp, MISSING_PATH, "", "The request is missing the server path parameter", buf_str(&xml), NULL);
    return false;
}

bool store_probe(const struct value *args, struct value *ret, struct error **errp) {
    const struct value *asked = value_map_get(args, "config");
    if (str_eq(str_or_empty(value_map_str(args, "type")), "iscsi") && asked && asked->type == VALUE_MAP)
        return store_probe_iscsi(asked, ret, errp);
    const char *server = str_or_empty(value_map_str(args, "server")), *path = value_map_str(args, "serverpath"), *key;
    struct value config = value_map();
    value_map_add(&config, "server", value_string(server));
    value_map_add(&config, "serverpath", value_string(str_empty(path) ? "/" : path));
    const char *trouble = store_config_trouble("nfs", &config, &key);
    value_done(&config);
    if (trouble) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, key, trouble, "", NULL);
        return false;
    }
    if (str_empty(path))
        return list_exports(server, errp);
    _cleanup_strv_ struct strv found = {0};
    _cleanup_buf_ struct buf xml = BUF_INIT;
    if (!nfs_repositories(server, path, &found, errp))
        return false;
    buf_add_str(&xml, "<?xml version=\"1.0\" ?>\n<SRlist>\n");
    for (size_t i = 0; i < found.n; i++) {
        buf_add_str(&xml, "\t<SR>\n");
        store_probe_element(&xml, "UUID", found.items[i]);
        buf_add_str(&xml, "\t</SR>\n");
    }
    buf_add_str(&xml, "</SRlist>\n");
    value_map_put(ret, "xml", value_string(buf_str(&xml)));
    return true;
}
