/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <string.h>

#include "base/str.h"
#include "net/net_config.h"
#include "net/net_config_value.h"

#define FORMAT_NAME "muster-network"
#define MAX_TEXT 1024 /* of provenance and host name */
#define MAX_REPAIR (256 * 1024)

/* ---- writing ---- */

static json_t *text_value(const char *s) {
    if (str_is_utf8(s, strlen(s)))
        return json_string(s);
    /* Provenance may carry anything an operator typed; the file must stay valid. */
    char *copy = xstrdup(s);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    json_t *v = json_string(copy);
    free(copy);
    return v;
}

static void put(json_t *o, const char *key, json_t *v) {
    if (!v || json_object_set_new(o, key, v) < 0)
        abort();
}

static void put_addr(json_t *o, const char *key, const struct net_addr *a, bool with_prefix) {
    char text[NET_ADDR_TEXT_SIZE];
    if (a->family != NET_FAMILY_NONE)
        put(o, key, json_string(net_addr_text(a, with_prefix, text)));
}

static json_t *ip_value(const struct net_ip *ip) {
    json_t *o = json_object();
    put(o, "mode", json_string(net_ip_mode_text(ip->mode)));
    if (ip->mode == NET_IP_STATIC) {
        put_addr(o, "address", &ip->address, /* with_prefix= */ true);
        put_addr(o, "gateway", &ip->gateway, /* with_prefix= */ false);
    }
    return o;
}

static json_t *bond_value(const struct net_bond *b) {
    json_t *o = json_object();
    put(o, "name", json_string(b->name));
    put(o, "mode", json_string(net_bond_mode_text(b->mode)));
    put(o, "primary", json_string(b->primary));
    put(o, "lacp_time", json_string(b->lacp_fast ? "fast" : "slow"));
    put(o, "fallback_ab", json_boolean(b->fallback_ab));
    put(o, "hashing", json_string(b->hash_src_mac ? "src_mac" : "tcpudp_ports"));
    put(o, "aggregation_key", json_integer(b->aggregation_key));
    put(o, "updelay_ms", json_integer(b->updelay_ms));
    put(o, "downdelay_ms", json_integer(b->downdelay_ms));
    return o;
}

static json_t *bridge_value(const struct net_bridge *b) {
    char text[NET_ADDR_TEXT_SIZE];
    json_t *o = json_object();
    put(o, "name", json_string(b->name));
    put(o, "purpose", json_string(net_purpose_text(b->purpose)));
    put(o, "mtu", json_integer(b->mtu));
    if (b->hwaddr_rule == NET_HWADDR_FIXED)
        put(o, "hwaddr", json_string(net_mac_text(&b->hwaddr, text)));
    if (b->n_legs) {
        json_t *legs = json_array();
        for (unsigned i = 0; i < b->n_legs; i++)
            json_array_append_new(legs, json_string(b->legs[i]));
        put(o, "legs", legs);
    }
    if (b->purpose == NET_PURPOSE_BOND)
        put(o, "bond", bond_value(&b->bond));
    if (b->purpose == NET_PURPOSE_VLAN) {
        put(o, "parent", json_string(b->parent));
        put(o, "tag", json_integer(b->tag));
    }
    put(o, "ip4", ip_value(&b->ip4));
    put(o, "ip6", ip_value(&b->ip6));
    json_t *dns = json_array();
    for (unsigned i = 0; i < b->n_dns; i++)
        json_array_append_new(dns, json_string(net_addr_text(&b->dns[i], /* with_prefix= */ false, text)));
    put(o, "dns", dns);
    put(o, "network", json_string(b->network_uuid));
    return o;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *net_config_content_value(const struct net_config *c) {
    json_t *o = json_object(), *nics = json_array(), *bridges = json_array();
    /* A name is the first member of both structs, so sorting pointers to them by name sorts the structs. */
    const char **order = xcalloc(MAX(c->n_nics, c->n_bridges) + 1, sizeof(*order));
    for (unsigned i = 0; i < c->n_nics; i++)
        order[i] = c->nics[i].name;
    qsort(order, c->n_nics, sizeof(*order), compare_names);
    for (unsigned i = 0; i < c->n_nics; i++) {
        const struct net_nic *n = container_of(order[i], struct net_nic, name);
        char mac[NET_MAC_TEXT_SIZE];
        json_t *v = json_object();
        put(v, "name", json_string(n->name));
        put(v, "mac", json_string(net_mac_text(&n->mac, mac)));
        json_array_append_new(nics, v);
    }
    for (unsigned i = 0; i < c->n_bridges; i++)
        order[i] = c->bridges[i].name;
    qsort(order, c->n_bridges, sizeof(*order), compare_names);
    for (unsigned i = 0; i < c->n_bridges; i++)
        json_array_append_new(bridges, bridge_value(container_of(order[i], struct net_bridge, name)));
    free(order);
    put(o, "nics", nics);
    put(o, "bridges", bridges);
    put(o, "management", json_string(c->management));
    return o;
}

/* sha256 of the value in its canonical form: compact, keys sorted. */
static void value_sha256(const json_t *v, char ret[static NET_HASH_TEXT_SIZE]) {
    char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
    unsigned char md[32];
    if (!text || !EVP_Digest(text, strlen(text), md, NULL, EVP_sha256(), NULL))
        abort();
    free(text);
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < sizeof(md); i++) {
        ret[2 * i] = hex[md[i] >> 4];
        ret[2 * i + 1] = hex[md[i] & 15];
    }
    ret[64] = 0;
}

char *net_config_to_json(const struct net_config *c) {
    char sum[NET_HASH_TEXT_SIZE];
    json_t *o = net_config_content_value(c);
    put(o, "format", json_string(FORMAT_NAME));
    put(o, "version", json_integer(NET_CONFIG_VERSION));
    put(o, "datapath", json_string(net_datapath_text(c->datapath)));
    put(o, "control_size", json_integer(c->control_size));
    put(o, "host_name", text_value(c->host_name ? c->host_name : ""));
    put(o, "generation", json_integer((json_int_t)c->generation));
    put(o, "provenance", text_value(c->provenance ? c->provenance : ""));
    if (c->repair) /* only then: a file without one is read by older programs, too */
        put(o, "repair", text_value(c->repair));
    value_sha256(o, sum);
    put(o, "checksum", json_string(sum));
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(o);
    if (!text)
        abort();
    char *ret = strf("%s\n", text);
    free(text);
    return ret;
}

void net_config_hash(const struct net_config *c, char ret[static NET_HASH_TEXT_SIZE]) {
    json_t *o = net_config_content_value(c);
    value_sha256(o, ret);
    json_decref(o);
}

/* ---- reading ---- */

static const char *const purposes[] = {"nic", "bond", "vlan", "internal"};
static const char *const bond_modes[] = {"active-backup", "balance-slb", "lacp"};
static const char *const ip_modes[] = {"none", "static", "dhcp", "autoconf"};
static const char *const lacp_times[] = {"slow", "fast"};
static const char *const hashings[] = {"tcpudp_ports", "src_mac"};
static const char *const datapaths[] = {"system", "netdev"};

void net_config_read_ip(struct net_json *parent, const char *member, enum net_family family, struct net_ip *ip) {
    struct net_json j;
    if (!net_json_object(parent, member, &j))
        return;
    ip->mode = (enum net_ip_mode)net_json_enum(&j, "mode", ip_modes, ARRAY_SIZE(ip_modes), NET_IP_NONE);
    net_json_addr(&j, "address", &ip->address);
    net_json_addr(&j, "gateway", &ip->gateway);
    if (ip->mode != NET_IP_STATIC && (ip->address.family || ip->gateway.family))
        net_json_fail(&j, "address", "is only allowed where mode is 'static'");
    if ((ip->address.family && ip->address.family != family) || (ip->gateway.family && ip->gateway.family != family))
        net_json_fail(&j, "address", "is not of the family of '%s'", member);
    net_json_end(&j);
}

static void read_bond(struct net_json *bridge, struct net_bond *b) {
    struct net_json j;
    if (!net_json_object(bridge, "bond", &j))
        return;
    net_json_name(&j, "name", b->name);
    b->mode = (enum net_bond_mode)net_json_enum(&j, "mode", bond_modes, ARRAY_SIZE(bond_modes), NET_BOND_ACTIVE_BACKUP);
    net_json_name(&j, "primary", b->primary);
    b->lacp_fast = net_json_enum(&j, "lacp_time", lacp_times, ARRAY_SIZE(lacp_times), 0);
    b->fallback_ab = net_json_bool(&j, "fallback_ab", true);
    b->hash_src_mac = net_json_enum(&j, "hashing", hashings, ARRAY_SIZE(hashings), 0);
    b->aggregation_key = (int)net_json_int(&j, "aggregation_key", 0, 65535, 0);
    b->updelay_ms = (int)net_json_int(&j, "updelay_ms", 0, 600000, NET_BOND_UPDELAY_MS);
    b->downdelay_ms = (int)net_json_int(&j, "downdelay_ms", 0, 600000, NET_BOND_DOWNDELAY_MS);
    net_json_end(&j);
}

static void read_bridge(struct net_json *j, struct net_config *c) {
    net_name name;
    net_json_name(j, "name", name);
    if (!name[0])
        net_json_fail(j, "name", "is missing");
    int purpose = net_json_enum(j, "purpose", purposes, ARRAY_SIZE(purposes), NET_PURPOSE_INTERNAL);
    if (j->reader->failed)
        return;
    struct net_bridge *b = net_config_add_bridge(c, name, (enum net_purpose)purpose);
    b->mtu = (int)net_json_int(j, "mtu", NET_MTU_MIN, NET_MTU_MAX, NET_MTU_DEFAULT);
    if (net_json_has(j, "hwaddr")) {
        b->hwaddr_rule = NET_HWADDR_FIXED;
        net_json_mac(j, "hwaddr", &b->hwaddr);
    }
    size_t n = net_json_array(j, "legs", NET_MAX_LEGS);
    for (size_t i = 0; i < n && !j->reader->failed; i++) {
        const char *leg = net_json_element_str(j, "legs", i, 1024);
        if (!net_name_is_valid(leg))
            net_json_fail(j, "legs", "has '%.40s', no name for an interface", leg);
        else
            net_bridge_add_leg(b, leg);
    }
    read_bond(j, &b->bond);
    net_json_name(j, "parent", b->parent);
    b->tag = (int)net_json_int(j, "tag", 0, 4094, 0);
    net_config_read_ip(j, "ip4", NET_FAMILY_IPV4, &b->ip4);
    net_config_read_ip(j, "ip6", NET_FAMILY_IPV6, &b->ip6);
    n = net_json_array(j, "dns", NET_MAX_DNS);
    for (size_t i = 0; i < n && !j->reader->failed; i++) {
        const char *text = net_json_element_str(j, "dns", i, 1024);
        if (!net_addr_parse(text, &b->dns[b->n_dns++]))
            net_json_fail(j, "dns", "has '%.60s', no IP address", text);
    }
    str_copy(b->network_uuid, sizeof(b->network_uuid), net_json_str(j, "network", sizeof(b->network_uuid) - 1, ""));
}

void net_config_read(struct net_json *j, struct net_config *c) {
    size_t n = net_json_array(j, "nics", NET_MAX_NICS);
    for (size_t i = 0; i < n && !j->reader->failed; i++) {
        struct net_json e;
        net_name name;
        struct net_mac mac;
        net_json_element(j, "nics", i, &e);
        net_json_name(&e, "name", name);
        net_json_mac(&e, "mac", &mac);
        net_json_end(&e);
        if (!name[0])
            net_json_fail(&e, "name", "is missing");
        else
            net_config_add_nic(c, name, &mac);
    }
    n = net_json_array(j, "bridges", NET_MAX_BRIDGES);
    for (size_t i = 0; i < n && !j->reader->failed; i++) {
        struct net_json e;
        net_json_element(j, "bridges", i, &e);
        read_bridge(&e, c);
        net_json_end(&e);
    }
    net_json_name(j, "management", c->management);
    c->datapath =
        (enum net_datapath)net_json_enum(j, "datapath", datapaths, ARRAY_SIZE(datapaths), NET_DATAPATH_SYSTEM);
    c->control_size = (int)net_json_int(j, "control_size", NET_CONTROL_SIZE_MIN, NET_MTU_MAX, NET_MTU_DEFAULT);
    c->generation = (uint64_t)net_json_int(j, "generation", 0, INT64_MAX, 0);
    const char *text = net_json_str(j, "provenance", MAX_TEXT, "");
    if (*text)
        net_config_set_provenance(c, text);
    text = net_json_str(j, "host_name", MAX_TEXT, "");
    if (*text)
        net_config_set_host_name(c, text);
    text = net_json_str(j, "repair", MAX_REPAIR, "");
    if (*text)
        net_config_set_repair(c, text);
}

struct net_config *net_config_from_json(const char *text, size_t size, struct error **errp) {
    json_t *o = net_json_parse(text, size, NET_CONFIG_MAX_SIZE, "network configuration", ERR_NET_CONFIG_CORRUPT, errp);
    if (!o)
        return NULL;
    struct net_json_reader r = {.code = ERR_NET_CONFIG_CORRUPT, .errp = errp};
    struct net_json j;
    net_json_root(&j, &r, o);
    struct net_config *c = net_config_new();
    if (!str_eq(net_json_str(&j, "format", 64, ""), FORMAT_NAME)) {
        net_json_fail(&j, "format", "is not '%s': this is another kind of file", FORMAT_NAME);
    } else {
        /* The version first: a newer file is told as that, not as damaged. */
        int64_t version = net_json_int(&j, "version", 1, INT32_MAX, 0);
        if (!r.failed && version != NET_CONFIG_VERSION) {
            char found[24], known[24];
            snprintf(found, sizeof(found), "%lld", (long long)version);
            snprintf(known, sizeof(known), "%d", NET_CONFIG_VERSION);
            error_set(errp, ERR_NET_CONFIG_VERSION, found, known, NULL);
            r.failed = true;
        }
    }
    if (!r.failed) {
        char sum[NET_HASH_TEXT_SIZE], wanted[NET_HASH_TEXT_SIZE];
        str_copy(wanted, sizeof(wanted), net_json_str(&j, "checksum", sizeof(wanted) - 1, ""));
        if (!r.failed) {
            json_t *bare = json_copy(o);
            json_object_del(bare, "checksum");
            value_sha256(bare, sum);
            json_decref(bare);
            if (!str_eq(sum, wanted))
                net_json_fail(&j, "checksum", "is '%.12s', the content has '%.12s': the file was damaged or edited",
                              wanted, sum);
        }
    }
    net_config_read(&j, c);
    net_json_end(&j);
    json_decref(o);
    if (r.failed) {
        net_config_free(c);
        return NULL;
    }
    return c;
}
