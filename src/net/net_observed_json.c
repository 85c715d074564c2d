/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/str.h"
#include "net/net_json.h"
#include "net/net_observed.h"

#define ERR_CODE "NET_OBSERVED_INVALID"
#define MAX_SIZE (8 * 1024 * 1024)
#define MAX_ITEMS 10000

static const char *const link_kinds[] = {"physical", "switch", "loopback", "other"};
static const char *const families[] = {"none", "ipv4", "ipv6"}; /* index * 2 + 2 is the family */
static const char *const bond_modes[] = {"active-backup", "balance-slb", "balance-tcp"};

/* ---- reading ---- */

static void read_link(struct net_json *j, struct net_observed *o) {
    net_name name;
    net_json_name(j, "name", name);
    struct net_obs_link *l = net_observed_add_link(
        o, name, (enum net_link_kind)net_json_enum(j, "kind", link_kinds, ARRAY_SIZE(link_kinds), 0));
    l->ifindex = (int)net_json_int(j, "ifindex", 0, INT32_MAX, 0);
    net_json_mac(j, "mac", &l->mac);
    l->permanent_mac = l->mac;
    if (net_json_has(j, "permanent_mac"))
        net_json_mac(j, "permanent_mac", &l->permanent_mac);
    l->mtu = (int)net_json_int(j, "mtu", 0, INT32_MAX, NET_MTU_DEFAULT);
    l->max_mtu = (int)net_json_int(j, "max_mtu", 0, INT32_MAX, 0);
    l->up = net_json_bool(j, "up", true);
    l->carrier = net_json_bool(j, "carrier", true);
}

static void read_addr(struct net_json *j, struct net_observed *o) {
    net_name link;
    struct net_addr addr;
    net_json_name(j, "link", link);
    net_json_addr(j, "addr", &addr);
    net_observed_add_addr(o, link, &addr)->dynamic = net_json_bool(j, "dynamic", false);
}

static void read_route(struct net_json *j, struct net_observed *o) {
    struct net_route r = {0};
    net_json_addr(j, "dst", &r.dst);
    net_json_addr(j, "via", &r.gateway);
    net_json_addr(j, "src", &r.src);
    net_json_name(j, "dev", r.dev);
    r.table = (unsigned)net_json_int(j, "table", 0, UINT32_MAX, 254);
    r.metric = (unsigned)net_json_int(j, "metric", 0, UINT32_MAX, 0);
    r.proto = (int)net_json_int(j, "proto", 0, 255, NET_ROUTE_PROTO_BOOT);
    r.scope_link = net_json_bool(j, "scope_link", false);
    r.mtu = (int)net_json_int(j, "mtu", 0, INT32_MAX, 0);
    r.mtu_lock = net_json_bool(j, "lock", false);
    r.advmss = (int)net_json_int(j, "advmss", 0, INT32_MAX, 0);
    net_observed_add_route(o, &r);
}

static void read_lease(struct net_json *j, struct net_observed *o) {
    net_name link;
    net_json_name(j, "link", link);
    int family = net_json_enum(j, "family", families, ARRAY_SIZE(families), 1);
    struct net_obs_lease *l =
        net_observed_add_lease(o, link, family ? (enum net_family)(family * 2 + 2) : NET_FAMILY_NONE);
    l->client_running = net_json_bool(j, "running", true);
    net_json_addr(j, "address", &l->address);
    net_json_addr(j, "gateway", &l->gateway);
    l->interface_mtu = (int)net_json_int(j, "interface_mtu", 0, 65535, 0);
}

static void read_bridge(struct net_json *j, struct net_observed *o) {
    net_name name;
    net_json_name(j, "name", name);
    struct net_obs_bridge *b = net_observed_add_bridge(o, name);
    str_copy(b->datapath_type, sizeof(b->datapath_type),
             net_json_str(j, "datapath_type", sizeof(b->datapath_type) - 1, ""));
    net_json_mac(j, "hwaddr", &b->hwaddr);
    b->ours = net_json_bool(j, "ours", true);
}

static void read_bond(struct net_json *port, struct net_obs_port *p) {
    struct net_json j;
    if (!net_json_object(port, "bond", &j))
        return;
    p->is_bond = true;
    p->bond.mode = (enum net_ovs_bond_mode)net_json_enum(&j, "mode", bond_modes, ARRAY_SIZE(bond_modes), 0);
    p->bond.lacp = net_json_bool(&j, "lacp", false);
    p->bond.lacp_fast = net_json_bool(&j, "lacp_fast", false);
    p->bond.fallback_ab = net_json_bool(&j, "fallback_ab", false);
    p->bond.aggregation_key = (int)net_json_int(&j, "aggregation_key", 0, 65535, 0);
    p->bond.updelay_ms = (int)net_json_int(&j, "updelay_ms", 0, INT32_MAX, 0);
    p->bond.downdelay_ms = (int)net_json_int(&j, "downdelay_ms", 0, INT32_MAX, 0);
    net_json_name(&j, "primary", p->bond.primary);
    net_json_end(&j);
}

static void read_port(struct net_json *j, struct net_observed *o) {
    net_name bridge, name;
    net_json_name(j, "bridge", bridge);
    net_json_name(j, "name", name);
    struct net_obs_port *p = net_observed_add_port(o, bridge, name);
    p->tag = (int)net_json_int(j, "tag", -1, 4095, -1);
    p->fake_bridge = net_json_bool(j, "fake_bridge", false);
    p->ours = net_json_bool(j, "ours", true);
    read_bond(j, p);
    net_json_name(j, "active_leg", p->active_leg);
    size_t n = net_json_array(j, "ifaces", NET_MAX_LEGS);
    for (size_t i = 0; i < n; i++)
        net_obs_port_add_iface(p, net_json_element_str(j, "ifaces", i, NET_NAME_SIZE - 1));
    if (!n)
        net_obs_port_add_iface(p, name);
}

static void read_iface(struct net_json *j, struct net_observed *o) {
    net_name name;
    net_json_name(j, "name", name);
    struct net_obs_iface *i = net_observed_add_iface(o, name);
    str_copy(i->type, sizeof(i->type), net_json_str(j, "type", sizeof(i->type) - 1, ""));
    net_json_name(j, "peer", i->peer);
    net_json_mac(j, "mac", &i->mac);
    i->mtu = (int)net_json_int(j, "mtu", 0, INT32_MAX, 0);
    i->mtu_request = (int)net_json_int(j, "mtu_request", 0, INT32_MAX, 0);
    i->ofport = (int)net_json_int(j, "ofport", -1, 65535, 1);
    str_copy(i->error, sizeof(i->error), net_json_str(j, "error", sizeof(i->error) - 1, ""));
    i->ours = net_json_bool(j, "ours", true);
}

static void read_all(struct net_json *j, struct net_observed *o, const char *member,
                     void (*read)(struct net_json *, struct net_observed *)) {
    size_t n = net_json_array(j, member, MAX_ITEMS);
    for (size_t i = 0; i < n && !j->reader->failed; i++) {
        struct net_json e;
        net_json_element(j, member, i, &e);
        read(&e, o);
        net_json_end(&e);
    }
}

struct net_observed *net_observed_from_json(const char *text, size_t size, struct error **errp) {
    json_t *root = net_json_parse(text, size, MAX_SIZE, "observed state", ERR_CODE, errp);
    if (!root)
        return NULL;
    struct net_json_reader r = {.code = ERR_CODE, .errp = errp};
    struct net_json j;
    net_json_root(&j, &r, root);
    struct net_observed *o = net_observed_new();
    o->switch_running = net_json_bool(&j, "switch_running", true);
    o->switch_settled = net_json_bool(&j, "switch_settled", true);
    read_all(&j, o, "links", read_link);
    read_all(&j, o, "addrs", read_addr);
    read_all(&j, o, "routes", read_route);
    read_all(&j, o, "leases", read_lease);
    read_all(&j, o, "bridges", read_bridge);
    read_all(&j, o, "ports", read_port);
    read_all(&j, o, "ifaces", read_iface);
    size_t n = net_json_array(&j, "dns", NET_MAX_DNS);
    for (size_t i = 0; i < n && !r.failed; i++)
        if (!net_addr_parse(net_json_element_str(&j, "dns", i, 1024), &o->dns[o->n_dns++]))
            net_json_fail(&j, "dns", "has an element that is no IP address");
    net_json_end(&j);
    json_decref(root);
    if (r.failed) {
        net_observed_free(o);
        return NULL;
    }
    return o;
}

/* ---- writing: what differs from the reader's defaults ---- */

static void put(json_t *o, const char *key, json_t *v) {
    if (!v || json_object_set_new(o, key, v) < 0)
        abort();
}

static void put_str(json_t *o, const char *key, const char *s) {
    if (*s)
        put(o, key, str_is_utf8(s, strlen(s)) ? json_string(s) : json_string("?"));
}

static void put_int(json_t *o, const char *key, int64_t i, int64_t fallback) {
    if (i != fallback)
        put(o, key, json_integer(i));
}

static void put_bool(json_t *o, const char *key, bool b, bool fallback) {
    if (b != fallback)
        put(o, key, json_boolean(b));
}

static void put_mac(json_t *o, const char *key, const struct net_mac *m) {
    char text[NET_MAC_TEXT_SIZE];
    if (!net_mac_is_zero(m))
        put(o, key, json_string(net_mac_text(m, text)));
}

static void put_addr(json_t *o, const char *key, const struct net_addr *a, bool with_prefix) {
    char text[NET_ADDR_TEXT_SIZE];
    put_str(o, key, net_addr_text(a, with_prefix, text));
}

static json_t *link_value(const struct net_obs_link *l) {
    json_t *v = json_object();
    put_str(v, "name", l->name);
    put_str(v, "kind", link_kinds[l->kind]);
    put_int(v, "ifindex", l->ifindex, 0);
    put_mac(v, "mac", &l->mac);
    if (!net_mac_eq(&l->mac, &l->permanent_mac)) {
        char text[NET_MAC_TEXT_SIZE];
        put(v, "permanent_mac",
            json_string(net_mac_is_zero(&l->permanent_mac) ? "" : net_mac_text(&l->permanent_mac, text)));
    }
    put(v, "mtu", json_integer(l->mtu));
    put_int(v, "max_mtu", l->max_mtu, 0);
    put_bool(v, "up", l->up, true);
    put_bool(v, "carrier", l->carrier, true);
    return v;
}

static json_t *addr_value(const struct net_obs_addr *a) {
    json_t *v = json_object();
    put_str(v, "link", a->link);
    put_addr(v, "addr", &a->addr, /* with_prefix= */ true);
    put_bool(v, "dynamic", a->dynamic, false);
    return v;
}

static json_t *route_value(const struct net_route *r) {
    json_t *v = json_object();
    put_addr(v, "dst", &r->dst, /* with_prefix= */ true);
    put_addr(v, "via", &r->gateway, /* with_prefix= */ false);
    put_addr(v, "src", &r->src, /* with_prefix= */ false);
    put_str(v, "dev", r->dev);
    put_int(v, "table", r->table, 254);
    put_int(v, "metric", r->metric, 0);
    put_int(v, "proto", r->proto, NET_ROUTE_PROTO_BOOT);
    put_bool(v, "scope_link", r->scope_link, false);
    put_int(v, "mtu", r->mtu, 0);
    put_bool(v, "lock", r->mtu_lock, false);
    put_int(v, "advmss", r->advmss, 0);
    return v;
}

static json_t *lease_value(const struct net_obs_lease *l) {
    json_t *v = json_object();
    put_str(v, "link", l->link);
    put_str(v, "family", families[l->family ? ((int)l->family - 2) / 2 : 0]);
    put_bool(v, "running", l->client_running, true);
    put_addr(v, "address", &l->address, /* with_prefix= */ true);
    put_addr(v, "gateway", &l->gateway, /* with_prefix= */ false);
    put_int(v, "interface_mtu", l->interface_mtu, 0);
    return v;
}

static json_t *bridge_value(const struct net_obs_bridge *b) {
    json_t *v = json_object();
    put_str(v, "name", b->name);
    put_str(v, "datapath_type", b->datapath_type);
    put_mac(v, "hwaddr", &b->hwaddr);
    put_bool(v, "ours", b->ours, true);
    return v;
}

static json_t *port_value(const struct net_obs_port *p) {
    json_t *v = json_object();
    put_str(v, "bridge", p->bridge);
    put_str(v, "name", p->name);
    put_int(v, "tag", p->tag, -1);
    put_bool(v, "fake_bridge", p->fake_bridge, false);
    put_bool(v, "ours", p->ours, true);
    if (p->is_bond) {
        json_t *b = json_object();
        put_str(b, "mode", bond_modes[p->bond.mode]);
        put_bool(b, "lacp", p->bond.lacp, false);
        put_bool(b, "lacp_fast", p->bond.lacp_fast, false);
        put_bool(b, "fallback_ab", p->bond.fallback_ab, false);
        put_int(b, "aggregation_key", p->bond.aggregation_key, 0);
        put_int(b, "updelay_ms", p->bond.updelay_ms, 0);
        put_int(b, "downdelay_ms", p->bond.downdelay_ms, 0);
        put_str(b, "primary", p->bond.primary);
        put(v, "bond", b);
    }
    put_str(v, "active_leg", p->active_leg);
    if (p->n_ifaces != 1 || !str_eq(p->ifaces[0], p->name)) {
        json_t *a = json_array();
        for (unsigned i = 0; i < p->n_ifaces; i++)
            json_array_append_new(a, json_string(p->ifaces[i]));
        put(v, "ifaces", a);
    }
    return v;
}

static json_t *iface_value(const struct net_obs_iface *i) {
    json_t *v = json_object();
    put_str(v, "name", i->name);
    put_str(v, "type", i->type);
    put_str(v, "peer", i->peer);
    put_mac(v, "mac", &i->mac);
    put_int(v, "mtu", i->mtu, 0);
    put_int(v, "mtu_request", i->mtu_request, 0);
    put_int(v, "ofport", i->ofport, 1);
    put_str(v, "error", i->error);
    put_bool(v, "ours", i->ours, true);
    return v;
}

#define PUT_ALL(root, o, field, value_fn)                                                                              \
    do {                                                                                                               \
        json_t *a_ = json_array();                                                                                     \
        for (unsigned i_ = 0; i_ < (o)->n_##field; i_++)                                                               \
            json_array_append_new(a_, value_fn(&(o)->field[i_]));                                                      \
        put(root, #field, a_);                                                                                         \
    } while (0)

char *net_observed_to_json(const struct net_observed *o) {
    json_t *root = json_object();
    put_bool(root, "switch_running", o->switch_running, true);
    put_bool(root, "switch_settled", o->switch_settled, true);
    PUT_ALL(root, o, links, link_value);
    PUT_ALL(root, o, addrs, addr_value);
    PUT_ALL(root, o, routes, route_value);
    PUT_ALL(root, o, leases, lease_value);
    PUT_ALL(root, o, bridges, bridge_value);
    PUT_ALL(root, o, ports, port_value);
    PUT_ALL(root, o, ifaces, iface_value);
    json_t *dns = json_array();
    char text[NET_ADDR_TEXT_SIZE];
    for (unsigned i = 0; i < o->n_dns; i++)
        json_array_append_new(dns, json_string(net_addr_text(&o->dns[i], /* with_prefix= */ false, text)));
    put(root, "dns", dns);
    char *dump = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    if (!dump)
        abort();
    char *ret = strf("%s\n", dump);
    free(dump);
    return ret;
}
