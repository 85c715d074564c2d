/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_wanted.h"

#include <string.h>

#include "base/str.h"
#include "model/model_keys.h"
#include "net/net_repair.h"

#define FAIL_INVALID(...)                                                                                              \
    do {                                                                                                               \
        error_setf(errp, ERR_NET_CONFIG_INVALID, __VA_ARGS__);                                                         \
        return false;                                                                                                  \
    } while (0)

struct compiler {
    struct db *db;
    const struct uuid *host;
    struct net_config *config;
};

static bool is_slave(struct db *d, const struct row *pif) {
    return db_follow(d, pif, FIELD_PIF_bond_slave_of) != NULL;
}

static const struct row *vlan_of(struct db *d, const struct row *pif) {
    return db_follow(d, pif, FIELD_PIF_VLAN_master_of);
}

static const struct row *bond_of(struct db *d, const struct row *pif) {
    const struct value *set = row_value(pif, FIELD_PIF_bond_master_of);
    return set->set.n ? db_get(d, CLASS_Bond, &set->set.items[0].ref) : NULL;
}

static bool is_set_up(struct db *d, const struct row *pif) {
    const struct row *network = db_follow(d, pif, FIELD_PIF_network);
    return network && row_bool(pif, FIELD_PIF_managed) && row_bool(network, FIELD_network_managed) &&
           !is_slave(d, pif) && (row_bool(pif, FIELD_PIF_plugged) || row_bool(pif, FIELD_PIF_management));
}

/* Whether a plugged VLAN of this host lies on it. */
static bool is_needed_below(const struct compiler *c, const struct row *pif) {
    for (const struct row *v = db_first(c->db, CLASS_PIF); v; v = db_next(c->db, v)) {
        const struct row *vlan = vlan_of(c->db, v);
        if (vlan && is_set_up(c->db, v) && uuid_eq(row_ref(vlan, FIELD_VLAN_tagged_PIF), &pif->uuid))
            return true;
    }
    return false;
}

static int wanted_mtu(struct db *d, const struct row *pif) {
    const char *text = value_map_str(row_value(pif, FIELD_PIF_other_config), "mtu");
    const struct row *network = db_follow(d, pif, FIELD_PIF_network);
    int64_t mtu;
    if (text && str_parse_int(text, NET_MTU_MIN, NET_MTU_MAX, &mtu))
        return (int)mtu;
    mtu = row_int(network, FIELD_network_MTU);
    if (mtu <= 0)
        return NET_MTU_DEFAULT;
    return (int)MIN(mtu, (int64_t)NET_MTU_MAX + 1); /* the check refuses what is beyond */
}

/* ---- addresses ---- */

static bool set_dns(struct net_bridge *b, const struct row *pif, struct error **errp) {
    _cleanup_strv_ struct strv parts = {0};
    strv_split(&parts, row_str(pif, FIELD_PIF_DNS), ',');
    for (size_t i = 0; i < parts.n; i++) {
        char *s = parts.items[i];
        s += strspn(s, " ");
        s[strcspn(s, " ")] = 0;
        if (!*s)
            continue;
        if (b->n_dns == NET_MAX_DNS)
            FAIL_INVALID(
                "interface '%s' has more than %d name servers; leave some out with: xe pif-reconfigure-ip DNS=",
                row_str(pif, FIELD_PIF_device), NET_MAX_DNS);
        if (!net_addr_parse(s, &b->dns[b->n_dns]))
            FAIL_INVALID("interface '%s' has name server '%.60s', which is no IP address; correct it with: xe "
                         "pif-reconfigure-ip DNS=",
                         row_str(pif, FIELD_PIF_device), s);
        b->n_dns++;
    }
    return true;
}

static bool set_ip4(struct net_bridge *b, const struct row *pif, struct error **errp) {
    const char *mode = row_str(pif, FIELD_PIF_ip_configuration_mode), *device = row_str(pif, FIELD_PIF_device);
    if (str_eq(mode, "DHCP"))
        b->ip4.mode = NET_IP_DHCP;
    if (!str_eq(mode, "Static"))
        return true;
    b->ip4.mode = NET_IP_STATIC;
    const char *ip = row_str(pif, FIELD_PIF_IP), *mask = row_str(pif, FIELD_PIF_netmask);
    const char *gateway = row_str(pif, FIELD_PIF_gateway);
    int prefix = net_netmask_to_prefix(mask);
    if (!net_addr_parse(ip, &b->ip4.address) || b->ip4.address.family != NET_FAMILY_IPV4 || strchr(ip, '/'))
        FAIL_INVALID("interface '%s' has '%.60s' as IPv4 address; correct it with: xe pif-reconfigure-ip IP=", device,
                     ip);
    if (prefix <= 0)
        FAIL_INVALID("interface '%s' has '%.60s' as netmask; correct it with: xe pif-reconfigure-ip netmask=", device,
                     mask);
    b->ip4.address.prefix = (uint8_t)prefix;
    if (*gateway && (!net_addr_parse(gateway, &b->ip4.gateway) || strchr(gateway, '/')))
        FAIL_INVALID("interface '%s' has '%.60s' as gateway; correct it with: xe pif-reconfigure-ip gateway=", device,
                     gateway);
    return true;
}

static bool set_ip6(struct net_bridge *b, const struct row *pif, struct error **errp) {
    const char *mode = row_str(pif, FIELD_PIF_ipv6_configuration_mode), *device = row_str(pif, FIELD_PIF_device);
    if (str_eq(mode, "DHCP"))
        b->ip6.mode = NET_IP_DHCP;
    else if (str_eq(mode, "Autoconf"))
        b->ip6.mode = NET_IP_AUTOCONF;
    if (!str_eq(mode, "Static"))
        return true;
    b->ip6.mode = NET_IP_STATIC;
    const struct value *set = row_value(pif, FIELD_PIF_IPv6);
    const char *ip = set->set.n ? value_str(&set->set.items[0]) : "";
    const char *gateway = row_str(pif, FIELD_PIF_ipv6_gateway);
    if (!net_addr_parse(ip, &b->ip6.address) || b->ip6.address.family != NET_FAMILY_IPV6)
        FAIL_INVALID(
            "interface '%s' has '%.60s' as IPv6 address; correct it with: xe pif-reconfigure-ipv6 IPv6=", device, ip);
    if (!strchr(ip, '/'))
        b->ip6.address.prefix = 64;
    if (*gateway && (!net_addr_parse(gateway, &b->ip6.gateway) || strchr(gateway, '/')))
        FAIL_INVALID("interface '%s' has '%.60s' as IPv6 gateway; correct it with: xe pif-reconfigure-ipv6 gateway=",
                     device, gateway);
    return true;
}

/* ---- bonds ---- */

/* eth2 before eth10: by length, then by text. */
static int compare_devices(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t n = strlen(x), m = strlen(y);
    return n != m ? (n < m ? -1 : 1) : strcmp(x, y);
}

static bool is_truth(const struct value *map, const char *key, const char *text) {
    const char *s = value_map_str(map, key);
    return s && str_eq(s, text);
}

static int delay(const struct row *pif, const char *key, int fallback) {
    const char *text = value_map_str(row_value(pif, FIELD_PIF_other_config), key);
    int64_t ms;
    return text && str_parse_int(text, 0, 600000, &ms) ? (int)ms : fallback;
}

static bool set_bond(const struct compiler *c, struct net_bridge *b, const struct row *pif, const struct row *bond,
                     struct error **errp) {
    const struct value *slaves = row_value(bond, FIELD_Bond_slaves),
                       *properties = row_value(bond, FIELD_Bond_properties);
    const char *device = row_str(pif, FIELD_PIF_device), *devices[NET_MAX_LEGS];
    size_t n = 0;
    if (slaves->set.n > NET_MAX_LEGS)
        FAIL_INVALID("bond '%s' has %zu legs, more than %d; create it again with fewer", device, slaves->set.n,
                     NET_MAX_LEGS);
    for (size_t i = 0; i < slaves->set.n; i++) {
        const struct row *leg = db_get(c->db, CLASS_PIF, &slaves->set.items[i].ref);
        if (leg && uuid_eq(row_ref(leg, FIELD_PIF_host), c->host))
            devices[n++] = row_str(leg, FIELD_PIF_device);
    }
    qsort(devices, n, sizeof(*devices), compare_devices);
    for (size_t i = 0; i < n; i++) {
        if (!net_name_is_valid(devices[i]))
            FAIL_INVALID("bond '%s' has a leg named '%.40s', which no NIC can be named; run: xe pif-scan", device,
                         devices[i]);
        net_bridge_add_leg(b, devices[i]);
    }
    if (!net_name_set(b->bond.name, device))
        FAIL_INVALID(
            "the bond of network bridge '%s' is named '%.40s', which no interface can be named; create it again",
            b->name, device);
    const struct row *primary = db_follow(c->db, bond, FIELD_Bond_primary_slave);
    if (primary && uuid_eq(row_ref(primary, FIELD_PIF_bond_slave_of), &bond->uuid))
        (void)!net_name_set(b->bond.primary, row_str(primary, FIELD_PIF_device));
    if (!net_bond_mode_parse(row_str(bond, FIELD_Bond_mode), &b->bond.mode))
        FAIL_INVALID("bond '%s' has mode '%.40s', which is not known; set another with: xe bond-set-mode", device,
                     row_str(bond, FIELD_Bond_mode));
    b->bond.lacp_fast = is_truth(properties, "lacp-time", "fast");
    b->bond.fallback_ab = !is_truth(properties, "lacp-fallback-ab", "false");
    b->bond.hash_src_mac = is_truth(properties, "hashing_algorithm", "src_mac");
    const char *key = value_map_str(properties, "lacp-aggregation-key");
    int64_t number;
    if (key && str_parse_int(key, 0, 65535, &number))
        b->bond.aggregation_key = (int)number;
    b->bond.updelay_ms = delay(pif, "bond-updelay", NET_BOND_UPDELAY_MS);
    b->bond.downdelay_ms = delay(pif, "bond-downdelay", NET_BOND_DOWNDELAY_MS);
    /* The bond's MAC follows its primary leg, unless someone gave it one of its own. */
    if (!row_bool(bond, FIELD_Bond_auto_update_mac) && net_mac_parse(row_str(pif, FIELD_PIF_MAC), &b->hwaddr))
        b->hwaddr_rule = NET_HWADDR_FIXED;
    return true;
}

/* ---- bridges ---- */

static bool add_bridge(struct compiler *c, const struct row *pif, struct error **errp) {
    struct db *d = c->db;
    const struct row *network = db_follow(d, pif, FIELD_PIF_network), *vlan = vlan_of(d, pif), *bond = bond_of(d, pif);
    const char *name = row_str(network, FIELD_network_bridge), *device = row_str(pif, FIELD_PIF_device);
    if (!vlan && !bond && !row_bool(pif, FIELD_PIF_physical))
        return true; /* tunnels and other kinds are not set up here */
    if (!net_name_is_valid(name))
        FAIL_INVALID(
            "the network of '%s' has bridge name '%.40s', which no interface can be named; create another network",
            device, name);
    if (c->config->n_bridges == NET_MAX_BRIDGES)
        FAIL_INVALID("the host would have more than %d bridges; remove VLANs that nobody uses", NET_MAX_BRIDGES);
    enum net_purpose purpose = vlan ? NET_PURPOSE_VLAN : bond ? NET_PURPOSE_BOND : NET_PURPOSE_NIC;
    struct net_bridge *b = net_config_add_bridge(c->config, name, purpose);
    b->mtu = wanted_mtu(d, pif);
    uuid_text(&network->uuid, b->network_uuid);
    if (vlan) {
        const struct row *base = db_follow(d, vlan, FIELD_VLAN_tagged_PIF);
        const struct row *below = base ? db_follow(d, base, FIELD_PIF_network) : NULL;
        if (!below || !net_name_set(b->parent, row_str(below, FIELD_network_bridge)))
            FAIL_INVALID("VLAN %lld of '%s' has nothing to lie on; destroy it with: xe vlan-destroy",
                         (long long)row_int(vlan, FIELD_VLAN_tag), device);
        b->tag = (int)row_int(vlan, FIELD_VLAN_tag);
    } else if (bond) {
        if (!set_bond(c, b, pif, bond, errp))
            return false;
    } else {
        if (!net_name_is_valid(device))
            FAIL_INVALID("a NIC is named '%.40s', which no interface can be named; run: xe pif-scan", device);
        net_bridge_add_leg(b, device);
    }
    if (!set_ip4(b, pif, errp) || !set_ip6(b, pif, errp) || !set_dns(b, pif, errp))
        return false;
    if (row_bool(pif, FIELD_PIF_management))
        str_copy(c->config->management, sizeof(c->config->management), b->name);
    return true;
}

static bool add_nic(struct compiler *c, const struct row *pif, struct error **errp) {
    const char *device = row_str(pif, FIELD_PIF_device);
    struct net_mac mac = {0};
    if (!row_bool(pif, FIELD_PIF_physical) || !row_bool(pif, FIELD_PIF_managed))
        return true;
    if (!net_name_is_valid(device))
        FAIL_INVALID("a NIC is named '%.40s', which no interface can be named; run: xe pif-scan", device);
    if (c->config->n_nics == NET_MAX_NICS)
        FAIL_INVALID("the host has more than %d NICs; forget some with: xe pif-forget", NET_MAX_NICS);
    if (*row_str(pif, FIELD_PIF_MAC) && !net_mac_parse(row_str(pif, FIELD_PIF_MAC), &mac))
        FAIL_INVALID("NIC '%s' has '%.40s' as MAC; run: xe pif-scan", device, row_str(pif, FIELD_PIF_MAC));
    net_config_add_nic(c->config, device, &mac);
    return true;
}

static bool compile(struct compiler *c, struct error **errp) {
    for (const struct row *pif = db_first(c->db, CLASS_PIF); pif; pif = db_next(c->db, pif)) {
        if (!uuid_eq(row_ref(pif, FIELD_PIF_host), c->host))
            continue;
        if (!add_nic(c, pif, errp))
            return false;
        bool is_base = !vlan_of(c->db, pif) && !is_slave(c->db, pif) && db_follow(c->db, pif, FIELD_PIF_network);
        if ((is_set_up(c->db, pif) || (is_base && is_needed_below(c, pif))) && !add_bridge(c, pif, errp))
            return false;
    }
    const struct net_bridge *m = net_config_management(c->config);
    if (m)
        c->config->control_size = MAX(NET_CONTROL_SIZE_MIN, MIN(c->config->control_size, m->mtu));
    return net_config_validate(c->config, errp);
}

/* A bridge that a repair makes belongs to the pool's network of that name, if there is one. */
static void name_networks(struct net_config *c, struct db *d) {
    for (unsigned i = 0; i < c->n_bridges; i++)
        for (const struct row *n = db_first(d, CLASS_network); n && !c->bridges[i].network_uuid[0]; n = db_next(d, n))
            if (str_eq(row_str(n, FIELD_network_bridge), c->bridges[i].name))
                uuid_text(&n->uuid, c->bridges[i].network_uuid);
}

/* What the host has otherwise than the pool wants it, for somebody had to repair it. */
static bool lay_repair(struct net_config *c, struct db *d, const struct row *host, struct error **errp) {
    const char *text = value_map_str(row_value(host, FIELD_host_other_config), NET_REPAIR_ROW_KEY);
    _cleanup_net_repair_ struct net_repair r = {0};
    struct error *e = NULL;
    if (str_empty(text))
        return true;
    if (net_repair_from_json(text, strlen(text), &r, &e) && net_repair_apply(&r, c, &e)) {
        r.state = NET_REPAIR_RECORDED;
        _cleanup_free_ char *recorded = net_repair_to_json(&r);
        net_config_set_repair(c, recorded);
        name_networks(c, d);
        return true;
    }
    error_setf(errp, ERR_NET_CONFIG_INVALID,
               "the repair that host '%s' keeps does not fit what the pool wants (%s); take it back with: xe "
               "host-network-repair-withdraw host=%s",
               row_str(host, FIELD_host_name_label), error_n_params(e) ? error_param(e, 0) : error_text(e),
               row_str(host, FIELD_host_name_label));
    error_free(e);
    return false;
}

struct net_config *net_wanted(struct db *d, const struct uuid *host, struct error **errp) {
    const struct row *row = db_get(d, CLASS_host, host);
    char ref[REF_TEXT_SIZE];
    if (!row) {
        error_set(errp, ERR_HANDLE_INVALID, "host", ref_text(host, ref), NULL);
        return NULL;
    }
    struct compiler c = {.db = d, .host = host, .config = net_config_new()};
    net_config_set_host_name(c.config, row_str(row, FIELD_host_name_label));
    if (!compile(&c, errp) || !lay_repair(c.config, d, row, errp)) {
        net_config_free(c.config);
        return NULL;
    }
    return c.config;
}
