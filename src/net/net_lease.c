/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_lease.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <jansson.h>

#define MAX_LEASE_SIZE 65536

char *net_lease_path(const char *folder, const char *link, enum net_family family) {
    return strf("%s/lease-%s-%d.json", folder, link, family == NET_FAMILY_IPV6 ? 6 : 4);
}

static bool get_addr(const json_t *v, struct net_addr *ret) {
    return json_is_string(v) && net_addr_parse(json_string_value(v), ret);
}

static bool parse(const json_t *root, const char *link, enum net_family family, struct net_lease *ret) {
    struct net_lease l = {.interface_mtu = (int)json_integer_value(json_object_get(root, "interface_mtu")),
                          .obtained = json_integer_value(json_object_get(root, "obtained")),
                          .seconds = json_integer_value(json_object_get(root, "seconds"))};
    const json_t *gateway = json_object_get(root, "gateway"), *dns = json_object_get(root, "dns");
    const char *name = json_string_value(json_object_get(root, "link"));
    if (!name || !str_eq(name, link) || !net_name_set(l.link, name) ||
        !get_addr(json_object_get(root, "address"), &l.address) || l.address.family != family ||
        (gateway && !get_addr(gateway, &l.gateway)) || l.interface_mtu < 0 || l.interface_mtu > NET_MTU_MAX ||
        json_array_size(dns) > NET_MAX_DNS)
        return false;
    for (size_t i = 0; i < json_array_size(dns); i++)
        if (!get_addr(json_array_get(dns, i), &l.dns[l.n_dns++]))
            return false;
    *ret = l;
    return true;
}

bool net_lease_load(const char *folder, const char *link, enum net_family family, struct net_lease *ret,
                    struct error **errp) {
    _cleanup_free_ char *path = net_lease_path(folder, link, family);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, MAX_LEASE_SIZE, &text);
    if (r == -ENOENT)
        return false;
    if (r < 0) {
        error_errno(errp, r, "cannot read '%s'", path);
        return false;
    }
    _cleanup_(json_decrefp) json_t *root =
        json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, NULL);
    if (root && parse(root, link, family, ret))
        return true;
    error_setf(errp, ERR_NET_LEASE_CORRUPT, "'%s' is damaged or of another link", path);
    return false;
}

int net_lease_save(const char *folder, const struct net_lease *lease) {
    char text[NET_ADDR_TEXT_SIZE];
    _cleanup_(json_decrefp) json_t *root = json_pack(
        "{ss ss si sI sI}", "link", lease->link, "address", net_addr_text(&lease->address, true, text), "interface_mtu",
        lease->interface_mtu, "obtained", (json_int_t)lease->obtained, "seconds", (json_int_t)lease->seconds);
    if (lease->gateway.family)
        json_object_set_new(root, "gateway", json_string(net_addr_text(&lease->gateway, false, text)));
    json_t *dns = json_array();
    for (unsigned i = 0; i < lease->n_dns; i++)
        json_array_append_new(dns, json_string(net_addr_text(&lease->dns[i], false, text)));
    json_object_set_new(root, "dns", dns);
    _cleanup_free_ char *path = net_lease_path(folder, lease->link, lease->address.family);
    _cleanup_free_ char *json = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    int r = fs_mkdirs(folder, 0755);
    return r < 0 ? r : fs_write_atomic(path, json, strlen(json), 0644);
}

int net_lease_remove(const char *folder, const char *link, enum net_family family) {
    _cleanup_free_ char *path = net_lease_path(folder, link, family);
    return fs_unlink(path);
}
