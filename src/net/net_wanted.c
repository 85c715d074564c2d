/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_wanted.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* PIFs of the host in a fixed order, so that bases come before what lies on them. */
enum kind { KIND_NIC, KIND_BOND, KIND_VLAN };

struct item {
    const struct row *pif;
    const struct row *network;
    const struct row *bond; /* KIND_BOND */
    const struct row *vlan; /* KIND_VLAN */
    enum kind kind;
};

static int item_order(const void *x, const void *y) {
    const struct item *a = x, *b = y;
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    return strcmp(row_str(a->network, FIELD_network_bridge), row_str(b->network, FIELD_network_bridge));
}

static bool is_member(struct db *d, const struct row *pif) {
    return db_follow(d, pif, FIELD_PIF_bond_slave_of) != NULL;
}

static const struct row *bond_of(struct db *d, const struct row *pif) {
    const struct value *bonds = row_value(pif, FIELD_PIF_bond_master_of);
    return bonds->set.n ? db_get(d, CLASS_Bond, &bonds->set.items[0].ref) : NULL;
}

static bool read_item(struct db *d, const struct row *pif, struct item *ret) {
    struct item item = {.pif = pif, .network = db_follow(d, pif, FIELD_PIF_network)};
    if (!item.network || !row_bool(pif, FIELD_PIF_managed) || !row_bool(pif, FIELD_PIF_plugged) || is_member(d, pif) ||
        !net_name_is_valid(row_str(item.network, FIELD_network_bridge)))
        return false;
    item.bond = bond_of(d, pif);
    item.vlan = db_follow(d, pif, FIELD_PIF_VLAN_master_of);
    item.kind = item.vlan ? KIND_VLAN : item.bond ? KIND_BOND : KIND_NIC;
    if (item.kind == KIND_NIC && !row_bool(pif, FIELD_PIF_physical))
        return false;
    *ret = item;
    return true;
}

static int wanted_mtu(const struct item *item) {
    int64_t mtu = row_int(item->network, FIELD_network_MTU), own;
    const char *override = value_map_str(row_value(item->pif, FIELD_PIF_other_config), "mtu");
    if (override && str_parse_int(override, NET_MTU_MIN, NET_MTU_MAX, &own))
        mtu = own;
    return (int)MIN(MAX(mtu, (int64_t)NET_MTU_MIN), (int64_t)NET_MTU_MAX);
}

static void read_address(const char *text, struct net_addr *ret) {
    if (!net_addr_parse(text, ret))
        *ret = (struct net_addr){.family = NET_FAMILY_NONE};
}

static void read_addresses(const struct row *pif, struct net_bridge *b) {
    const char *mode = row_str(pif, FIELD_PIF_ip_configuration_mode),
               *mode6 = row_str(pif, FIELD_PIF_ipv6_configuration_mode);
    if (str_eq(mode, "DHCP")) {
        b->ip4.mode = NET_IP_DHCP;
    } else if (str_eq(mode, "Static")) {
        int prefix = net_netmask_to_prefix(row_str(pif, FIELD_PIF_netmask));
        read_address(row_str(pif, FIELD_PIF_IP), &b->ip4.address);
        read_address(row_str(pif, FIELD_PIF_gateway), &b->ip4.gateway);
        if (b->ip4.address.family == NET_FAMILY_IPV4 && prefix >= 0) {
            b->ip4.mode = NET_IP_STATIC;
            b->ip4.address.prefix = (uint8_t)prefix;
        }
    }
    const struct value *addresses = row_value(pif, FIELD_PIF_IPv6);
    if (str_eq(mode6, "DHCP")) {
        b->ip6.mode = NET_IP_DHCP;
    } else if (str_eq(mode6, "Autoconf")) {
        b->ip6.mode = NET_IP_AUTOCONF;
    } else if (str_eq(mode6, "Static") && addresses->set.n) {
        read_address(value_str(&addresses->set.items[0]), &b->ip6.address);
        read_address(row_str(pif, FIELD_PIF_ipv6_gateway), &b->ip6.gateway);
        if (b->ip6.address.family == NET_FAMILY_IPV6)
            b->ip6.mode = NET_IP_STATIC;
    }
    _cleanup_strv_ struct strv dns = {0};
    strv_split(&dns, row_str(pif, FIELD_PIF_DNS), ',');
    for (size_t i = 0; i < dns.n && b->n_dns < NET_MAX_DNS; i++)
        if (net_addr_parse(dns.items[i], &b->dns[b->n_dns]))
            b->n_dns++;
}

static int text_order(const void *x, const void *y) {
    return strcmp(x, y);
}

static void read_bond(struct db *d, const struct item *item, struct net_bridge *b) {
    const struct value *members = row_value(item->bond, FIELD_Bond_slaves),
                       *properties = row_value(item->bond, FIELD_Bond_properties);
    const struct row *primary = db_follow(d, item->bond, FIELD_Bond_primary_slave);
    for (size_t i = 0; i < members->set.n && b->n_legs < NET_MAX_LEGS; i++) {
        const struct row *member = db_get(d, CLASS_PIF, &members->set.items[i].ref);
        if (member && net_name_is_valid(row_str(member, FIELD_PIF_device)))
            net_bridge_add_leg(b, row_str(member, FIELD_PIF_device));
    }
    qsort(b->legs, b->n_legs, sizeof(b->legs[0]), text_order);
    net_name_set(b->bond.name, row_str(item->pif, FIELD_PIF_device));
    if (!net_bond_mode_parse(row_str(item->bond, FIELD_Bond_mode), &b->bond.mode))
        b->bond.mode = NET_BOND_BALANCE_SLB;
    if (primary)
        net_name_set(b->bond.primary, row_str(primary, FIELD_PIF_device));
    const char *time = value_map_str(properties, "lacp-time"), *hash = value_map_str(properties, "hashing_algorithm"),
               *fallback = value_map_str(properties, "lacp-fallback-ab"),
               *key = value_map_str(properties, "lacp-aggregation-key");
    int64_t n;
    b->bond.lacp_fast = time && str_eq(time, "fast");
    b->bond.hash_src_mac = hash && str_eq(hash, "src_mac");
    b->bond.fallback_ab = !fallback || str_eq(fallback, "true");
    if (key && str_parse_int(key, 0, 65535, &n))
        b->bond.aggregation_key = (int)n;
}

static void add_bridge(struct db *d, struct net_config *c, const struct item *item) {
    static const enum net_purpose purposes[] = {NET_PURPOSE_NIC, NET_PURPOSE_BOND, NET_PURPOSE_VLAN};
    const char *name = row_str(item->network, FIELD_network_bridge);
    char uuid[UUID_TEXT_SIZE];
    if (net_config_bridge(c, name) || c->n_bridges == NET_MAX_BRIDGES)
        return;
    struct net_bridge bridge = {.mtu = wanted_mtu(item)};
    if (item->kind == KIND_VLAN) {
        const struct row *base = db_follow(d, item->vlan, FIELD_VLAN_tagged_PIF),
                         *network = base ? db_follow(d, base, FIELD_PIF_network) : NULL;
        if (!network || !net_config_bridge(c, row_str(network, FIELD_network_bridge)))
            return; /* its base is not plugged: there is nothing to lie on */
        net_name_set(bridge.parent, row_str(network, FIELD_network_bridge));
        bridge.tag = (int)row_int(item->vlan, FIELD_VLAN_tag);
    }
    struct net_bridge *b = net_config_add_bridge(c, name, purposes[item->kind]);
    b->mtu = bridge.mtu;
    b->tag = bridge.tag;
    memcpy(b->parent, bridge.parent, sizeof(b->parent));
    if (item->kind == KIND_NIC)
        net_bridge_add_leg(b, row_str(item->pif, FIELD_PIF_device));
    else if (item->kind == KIND_BOND)
        read_bond(d, item, b);
    read_addresses(item->pif, b);
    str_copy(b->network_uuid, sizeof(b->network_uuid), uuid_text(&item->network->uuid, uuid));
    if (row_bool(item->pif, FIELD_PIF_management))
        net_name_set(c->management, name);
}

struct net_config *net_wanted(struct db *d, const struct uuid *host, struct error **errp) {
    const struct row *h = db_get(d, CLASS_host, host);
    if (!h) {
        char ref[REF_TEXT_SIZE];
        error_set(errp, ERR_HANDLE_INVALID, "host", ref_text(host, ref), NULL);
        return NULL;
    }
    struct net_config *c = net_config_new();
    const struct value *pifs = row_value(h, FIELD_host_PIFs);
    _cleanup_free_ struct item *items = xcalloc(MAX(pifs->set.n, (size_t)1), sizeof(*items));
    size_t n = 0;
    for (size_t i = 0; i < pifs->set.n; i++) {
        const struct row *pif = db_get(d, CLASS_PIF, &pifs->set.items[i].ref);
        struct net_mac mac;
        if (!pif)
            continue;
        if (row_bool(pif, FIELD_PIF_physical) && row_bool(pif, FIELD_PIF_managed) &&
            net_mac_parse(row_str(pif, FIELD_PIF_MAC), &mac) && net_name_is_valid(row_str(pif, FIELD_PIF_device)) &&
            !net_config_nic(c, row_str(pif, FIELD_PIF_device)) && c->n_nics < NET_MAX_NICS)
            net_config_add_nic(c, row_str(pif, FIELD_PIF_device), &mac);
        if (read_item(d, pif, &items[n]))
            n++;
    }
    qsort(items, n, sizeof(*items), item_order);
    for (size_t i = 0; i < n; i++)
        add_bridge(d, c, &items[i]);
    return c;
}
