/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_observe.h"

#include "base/fs.h"
#include "base/str.h"
#include "net/net_lease.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#define MAX_RESOLV_CONF 65536

struct link_ip net_to_link_ip(const struct net_addr *a) {
    struct link_ip ip = {.family = a->family == NET_FAMILY_IPV4   ? AF_INET
                                   : a->family == NET_FAMILY_IPV6 ? AF_INET6
                                                                  : 0};
    memcpy(ip.b, a->b, ip.family == AF_INET ? 4 : ip.family ? 16 : 0);
    return ip;
}

struct net_addr net_from_link_ip(const struct link_ip *ip, unsigned prefix) {
    struct net_addr a = {.family = ip->family == AF_INET    ? NET_FAMILY_IPV4
                                   : ip->family == AF_INET6 ? NET_FAMILY_IPV6
                                                            : NET_FAMILY_NONE,
                         .prefix = (uint8_t)prefix};
    memcpy(a.b, ip->b, ip->family == AF_INET ? 4 : ip->family ? 16 : 0);
    return a;
}

char *net_dhcp_pid_path(const char *run_dir, const char *link, enum net_family family) {
    return strf("%s/dhcp-%s-%d.pid", run_dir, link, family == NET_FAMILY_IPV6 ? 6 : 4);
}

int net_dhcp_pid(const char *run_dir, const char *link, enum net_family family) {
    _cleanup_free_ char *path = net_dhcp_pid_path(run_dir, link, family);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, 64, &text) < 0)
        return 0;
    while (text.size && text.data[text.size - 1] == '\n')
        text.data[--text.size] = 0;
    int64_t pid;
    if (!str_parse_int(buf_str(&text), 1, INT32_MAX, &pid) || kill((pid_t)pid, 0) < 0)
        return 0;
    return (int)pid;
}

/* A veth counts as a NIC: it is one inside a namespace, and elsewhere no config names it. */
static enum net_link_kind kind_of(const struct link_info *info, const struct ovs_state *sw) {
    if (info->loopback)
        return NET_LINK_LOOPBACK;
    const struct ovs_iface *iface = ovs_state_iface(sw, info->name);
    if (str_eq(info->kind, "openvswitch") || (iface && str_eq(iface->type, "internal")))
        return NET_LINK_SWITCH;
    return info->kind[0] == 0 || str_eq(info->kind, "veth") ? NET_LINK_PHYSICAL : NET_LINK_OTHER;
}

static const char *name_of(const struct link_infos *links, int index) {
    for (size_t i = 0; i < links->n; i++)
        if (links->items[i].index == index)
            return links->items[i].name;
    return NULL;
}

static void add_links(struct net_observed *o, const struct link_infos *links, const struct ovs_state *sw) {
    for (size_t i = 0; i < links->n; i++) {
        const struct link_info *info = &links->items[i];
        if (!net_name_is_valid(info->name))
            continue;
        struct net_obs_link *l = net_observed_add_link(o, info->name, kind_of(info, sw));
        l->ifindex = info->index;
        memcpy(l->mac.b, info->mac.b, sizeof l->mac.b);
        memcpy(l->permanent_mac.b, info->permanent_mac.b, sizeof l->permanent_mac.b);
        l->mtu = (int)MIN(info->mtu, (unsigned)INT32_MAX);
        l->max_mtu = (int)MIN(info->max_mtu, (unsigned)INT32_MAX);
        l->up = info->up;
        l->carrier = info->carrier;
    }
}

static int add_addresses(struct net_observed *o, struct link *link, const struct link_infos *links) {
    _cleanup_(link_addresses_done) struct link_addresses all = {0};
    int r = link_list_addresses(link, &all);
    for (size_t i = 0; r == 0 && i < all.n; i++) {
        const char *name = name_of(links, all.items[i].index);
        if (!name || !net_name_is_valid(name))
            continue;
        struct net_addr a = net_from_link_ip(&all.items[i].ip, all.items[i].prefix_len);
        net_observed_add_addr(o, name, &a)->dynamic = !all.items[i].permanent;
    }
    return r;
}

static int add_routes(struct net_observed *o, struct link *link, const struct link_infos *links) {
    _cleanup_(link_routes_done) struct link_routes all = {0};
    int r = link_list_routes(link, &all);
    for (size_t i = 0; r == 0 && i < all.n; i++) {
        const struct link_route *k = &all.items[i];
        const char *name = name_of(links, k->index);
        if (!k->unicast || k->table != LINK_TABLE_MAIN || !name || !net_name_is_valid(name))
            continue;
        struct net_route route = {.dst = net_from_link_ip(&k->dst, k->dst_len),
                                  .gateway = net_from_link_ip(&k->gateway, link_ip_bits(&k->gateway)),
                                  .src = net_from_link_ip(&k->src, link_ip_bits(&k->src)),
                                  .table = k->table,
                                  .metric = k->metric,
                                  .proto = (int)k->protocol,
                                  .scope_link = k->family == AF_INET && k->scope == 253,
                                  .mtu = (int)MIN(k->mtu, (unsigned)NET_MTU_MAX),
                                  .mtu_lock = k->mtu_locked,
                                  .advmss = (int)MIN(k->advmss, (unsigned)NET_MTU_MAX)};
        route.dst.family = k->family == AF_INET ? NET_FAMILY_IPV4 : NET_FAMILY_IPV6;
        (void)net_name_set(route.dev, name);
        net_observed_add_route(o, &route);
    }
    return r;
}

static enum net_ovs_bond_mode bond_mode_of(const char *text) {
    enum net_ovs_bond_mode mode = NET_OVS_BOND_AB;
    return net_ovs_bond_mode_parse(text, &mode) ? mode : NET_OVS_BOND_AB;
}

static void mac_of(const char *text, struct net_mac *ret) {
    struct net_mac mac;
    if (net_mac_parse(text, &mac))
        *ret = mac;
}

static void add_port(struct net_observed *o, const struct ovs_state *sw, const struct ovs_port *p) {
    struct net_obs_port *port = net_observed_add_port(o, p->bridge, p->name);
    port->tag = p->tag;
    port->fake_bridge = p->fake_bridge;
    port->ours = p->role[0];
    port->is_bond = p->has_bond;
    port->bond = (struct net_ovs_bond){.mode = bond_mode_of(p->bond.mode),
                                       .lacp = p->bond.lacp,
                                       .lacp_fast = p->bond.lacp_fast,
                                       .fallback_ab = p->bond.fallback_ab,
                                       .aggregation_key = p->bond.aggregation_key,
                                       .updelay_ms = p->bond.updelay_ms,
                                       .downdelay_ms = p->bond.downdelay_ms};
    (void)net_name_set(port->bond.primary, p->bond.primary);
    for (unsigned i = 0; i < p->n_ifaces; i++) {
        (void)net_obs_port_add_iface(port, p->ifaces[i]);
        const struct ovs_iface *iface = ovs_state_iface(sw, p->ifaces[i]);
        if (iface && p->active_mac[0] && str_eq(iface->mac_in_use, p->active_mac))
            (void)net_name_set(port->active_leg, p->ifaces[i]);
    }
}

/* Names that the kernel could not bear (patch ports of others) are left out: no plan could name them. */
static void add_switch(struct net_observed *o, const struct ovs_state *sw) {
    for (size_t i = 0; i < sw->n_bridges; i++) {
        const struct ovs_bridge *b = &sw->bridges[i];
        if (!net_name_is_valid(b->name))
            continue;
        struct net_obs_bridge *bridge = net_observed_add_bridge(o, b->name);
        (void)str_copy(bridge->datapath_type, sizeof bridge->datapath_type, b->datapath_type);
        mac_of(b->hwaddr, &bridge->hwaddr);
        bridge->ours = b->role[0];
    }
    for (size_t i = 0; i < sw->n_ports; i++)
        if (net_name_is_valid(sw->ports[i].name) && net_name_is_valid(sw->ports[i].bridge))
            add_port(o, sw, &sw->ports[i]);
    for (size_t i = 0; i < sw->n_ifaces; i++) {
        const struct ovs_iface *f = &sw->ifaces[i];
        if (!net_name_is_valid(f->name))
            continue;
        struct net_obs_iface *iface = net_observed_add_iface(o, f->name);
        (void)str_copy(iface->type, sizeof iface->type, f->type);
        (void)net_name_set(iface->peer, f->peer);
        mac_of(f->mac, &iface->mac);
        iface->mtu = f->mtu;
        iface->mtu_request = f->mtu_request;
        iface->ofport = f->ofport;
        (void)str_copy(iface->error, sizeof iface->error, f->error);
        iface->ours = f->role[0];
    }
}

static void add_leases(struct net_observed *o, const struct net_observe_from *from) {
    for (unsigned i = 0; from->lease_dir && i < o->n_links; i++) {
        struct net_lease lease = {0};
        struct error *e = NULL;
        int pid = from->run_dir ? net_dhcp_pid(from->run_dir, o->links[i].name, NET_FAMILY_IPV4) : 0;
        bool have = net_lease_load(from->lease_dir, o->links[i].name, NET_FAMILY_IPV4, &lease, &e);
        error_free(e); /* a damaged lease is no lease: the client writes a new one */
        if (!have && !pid)
            continue;
        struct net_obs_lease *l = net_observed_add_lease(o, o->links[i].name, NET_FAMILY_IPV4);
        l->client_running = pid > 0;
        l->address = lease.address;
        l->gateway = lease.gateway;
        l->interface_mtu = lease.interface_mtu;
    }
}

static void add_dns(struct net_observed *o, const char *path) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (!path || fs_read(path, MAX_RESOLV_CONF, &text) < 0)
        return;
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, buf_str(&text), '\n');
    for (size_t i = 0; i < lines.n && o->n_dns < NET_MAX_DNS; i++) {
        struct net_addr a;
        if (str_starts(lines.items[i], "nameserver ") && net_addr_parse(lines.items[i] + strlen("nameserver "), &a))
            o->dns[o->n_dns++] = a;
    }
}

struct net_observed *net_observe(const struct net_observe_from *from, struct error **errp) {
    _cleanup_(ovs_state_done) struct ovs_state sw = {0};
    if (from->ovs && !ovs_read(from->ovs, &sw, errp))
        return NULL;
    _cleanup_net_observed_ struct net_observed *o = net_observed_new();
    o->switch_running = from->ovs && ovs_is_running(from->ovs);
    o->switch_settled = o->switch_running && sw.cur_cfg >= sw.next_cfg;
    _cleanup_(link_infos_done) struct link_infos links = {0};
    int r = link_list(from->link, &links);
    if (r == 0) {
        add_links(o, &links, &sw);
        r = add_addresses(o, from->link, &links);
    }
    if (r == 0)
        r = add_routes(o, from->link, &links);
    if (r < 0) {
        error_errno(errp, r, "cannot read links, addresses and routes from the kernel");
        return NULL;
    }
    add_switch(o, &sw);
    add_leases(o, from);
    add_dns(o, from->resolv_conf);
    return TAKE(o);
}
