/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_model.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define REMOVE_AT(o, field, i)                                                                                         \
    memmove(&(o)->field[i], &(o)->field[(i) + 1], (--(o)->n_##field - (i)) * sizeof(*(o)->field))

/* ---- kernel ---- */

static void remove_routes_of(struct net_observed *now, const char *dev) {
    for (unsigned i = now->n_routes; i-- > 0;)
        if (str_eq(now->routes[i].dev, dev))
            REMOVE_AT(now, routes, i);
}

static void remove_link(struct net_observed *now, const char *name) {
    for (unsigned i = now->n_addrs; i-- > 0;)
        if (str_eq(now->addrs[i].link, name))
            REMOVE_AT(now, addrs, i);
    remove_routes_of(now, name);
    for (unsigned i = now->n_links; i-- > 0;)
        if (str_eq(now->links[i].name, name))
            REMOVE_AT(now, links, i);
}

static void add_connected_route(struct net_observed *now, const char *dev, const struct net_addr *addr) {
    struct net_route r = {.dst = net_addr_network(addr),
                          .metric = addr->family == NET_FAMILY_IPV6 ? 256 : 0,
                          .proto = NET_ROUTE_PROTO_KERNEL,
                          .scope_link = addr->family == NET_FAMILY_IPV4};
    if (addr->family == NET_FAMILY_IPV4) {
        r.src = *addr;
        r.src.prefix = 32;
    }
    str_copy(r.dev, sizeof(r.dev), dev);
    for (unsigned i = 0; i < now->n_routes; i++) {
        const struct net_route *o = &now->routes[i];
        if (str_eq(o->dev, dev) && net_addr_eq(&o->dst, &r.dst) && o->metric == r.metric)
            return;
    }
    net_observed_add_route(now, &r);
}

static int addr_add(struct net_observed *now, const char *link, const struct net_addr *addr, bool dynamic) {
    const struct net_obs_link *l = net_observed_link(now, link);
    if (!l)
        return -ENODEV;
    if (!net_observed_has_addr(now, link, addr))
        net_observed_add_addr(now, link, addr)->dynamic = dynamic;
    if (l->up)
        add_connected_route(now, link, addr);
    return 0;
}

static void addr_del(struct net_observed *now, const char *link, const struct net_addr *addr) {
    bool found = false;
    for (unsigned i = now->n_addrs; i-- > 0;)
        if (str_eq(now->addrs[i].link, link) && net_addr_eq(&now->addrs[i].addr, addr)) {
            REMOVE_AT(now, addrs, i);
            found = true;
        }
    if (!found)
        return;
    /* Routes into the network go unless another address keeps it; routes that prefer this source go in any case. */
    struct net_addr network = net_addr_network(addr);
    bool kept = false;
    for (unsigned i = 0; i < now->n_addrs; i++) {
        struct net_addr other = net_addr_network(&now->addrs[i].addr);
        kept = kept || (str_eq(now->addrs[i].link, link) && net_addr_eq(&other, &network));
    }
    for (unsigned i = now->n_routes; i-- > 0;) {
        const struct net_route *r = &now->routes[i];
        if (!str_eq(r->dev, link))
            continue;
        bool inside = net_addr_eq(&r->dst, &network) || (r->gateway.family && net_addr_contains(&network, &r->gateway));
        if ((inside && !kept) || (r->src.family && net_addr_same_host(&r->src, addr)))
            REMOVE_AT(now, routes, i);
    }
    if (kept)
        for (unsigned i = 0; i < now->n_addrs; i++) {
            struct net_addr other = net_addr_network(&now->addrs[i].addr);
            if (str_eq(now->addrs[i].link, link) && net_addr_eq(&other, &network))
                add_connected_route(now, link, &now->addrs[i].addr);
        }
}

/* The kernel's key: destination, metric and table; for IPv6 the device too. */
static bool same_route(const struct net_route *a, const struct net_route *b) {
    return net_addr_eq(&a->dst, &b->dst) && a->metric == b->metric && a->table == b->table &&
           (a->dst.family == NET_FAMILY_IPV4 || str_eq(a->dev, b->dev));
}

static int route_set(struct net_observed *now, const struct net_route *wanted) {
    const struct net_obs_link *l = net_observed_link(now, wanted->dev);
    if (!l)
        return -ENODEV;
    if (!l->up)
        return -ENETDOWN;
    struct net_route r = *wanted;
    if (!r.table)
        r.table = 254;
    for (unsigned i = 0; i < now->n_routes; i++)
        if (same_route(&now->routes[i], &r)) {
            now->routes[i] = r;
            return 0;
        }
    net_observed_add_route(now, &r);
    return 0;
}

static void route_del(struct net_observed *now, const struct net_route *wanted) {
    struct net_route r = *wanted;
    if (!r.table)
        r.table = 254;
    for (unsigned i = now->n_routes; i-- > 0;)
        if (same_route(&now->routes[i], &r) && str_eq(now->routes[i].dev, r.dev))
            REMOVE_AT(now, routes, i);
}

static int set_mtu(struct net_obs_link *l, int mtu) {
    if (mtu < 68 || (l->max_mtu && mtu > l->max_mtu))
        return -EINVAL;
    l->mtu = mtu;
    return 0;
}

static int link_up(struct net_observed *now, const char *name) {
    struct net_obs_link *l = net_observed_link(now, name);
    if (!l)
        return -ENODEV;
    l->up = true;
    if (l->kind == NET_LINK_SWITCH)
        l->carrier = true;
    for (unsigned i = 0; i < now->n_addrs; i++)
        if (str_eq(now->addrs[i].link, name))
            add_connected_route(now, name, &now->addrs[i].addr);
    return 0;
}

static int link_down(struct net_observed *now, const char *name) {
    struct net_obs_link *l = net_observed_link(now, name);
    if (!l)
        return -ENODEV;
    l->up = false;
    remove_routes_of(now, name);
    return 0;
}

static int dhcp_start(struct net_observed *now, const char *link, enum net_family family) {
    if (!net_observed_link(now, link))
        return -ENODEV;
    struct net_obs_lease *l = net_observed_lease(now, link, family);
    if (!l)
        l = net_observed_add_lease(now, link, family);
    l->client_running = true;
    /* A client that moved with its MAC is given the lease that it had elsewhere. */
    for (unsigned i = 0; i < now->n_leases && !l->address.family; i++)
        if (now->leases[i].family == family && net_observed_has_addr(now, link, &now->leases[i].address)) {
            l->address = now->leases[i].address;
            l->gateway = now->leases[i].gateway;
        }
    struct net_addr address = l->address;
    return address.family ? addr_add(now, link, &address, /* dynamic= */ true) : 0;
}

/* ---- the switch's database ---- */

const char *net_model_real_bridge(const struct net_observed *now, const char *bridge) {
    if (net_observed_bridge(now, bridge))
        return net_observed_bridge(now, bridge)->name;
    const struct net_obs_port *p = net_observed_port(now, bridge);
    return p && p->fake_bridge ? p->bridge : NULL;
}

static void iface_del(struct net_observed *now, const char *name) {
    for (unsigned i = now->n_ifaces; i-- > 0;)
        if (str_eq(now->ifaces[i].name, name))
            REMOVE_AT(now, ifaces, i);
}

static void port_del(struct net_observed *now, const char *name) {
    for (unsigned i = now->n_ports; i-- > 0;) {
        if (!str_eq(now->ports[i].name, name))
            continue;
        for (unsigned k = 0; k < now->ports[i].n_ifaces; k++)
            iface_del(now, now->ports[i].ifaces[k]);
        REMOVE_AT(now, ports, i);
    }
}

static int iface_add(struct net_observed *now, const char *name, const char *type, const char *peer,
                     const struct net_mac *mac, int mtu) {
    if (net_observed_iface(now, name))
        return -EEXIST;
    struct net_obs_iface *i = net_observed_add_iface(now, name);
    str_copy(i->type, sizeof(i->type), str_or_empty(type));
    str_copy(i->peer, sizeof(i->peer), str_or_empty(peer));
    i->mac = *mac;
    i->mtu_request = mtu;
    i->ours = true;
    return 0;
}

static int bridge_add(struct net_observed *now, const struct net_ovs_op *op) {
    if (net_observed_bridge(now, op->bridge) || net_observed_port(now, op->bridge))
        return -EEXIST;
    struct net_obs_bridge *b = net_observed_add_bridge(now, op->bridge);
    str_copy(b->datapath_type, sizeof(b->datapath_type), net_datapath_text(op->datapath));
    b->hwaddr = op->mac;
    b->ours = true;
    struct net_obs_port *p = net_observed_add_port(now, op->bridge, op->bridge);
    p->ours = true;
    net_obs_port_add_iface(p, op->bridge);
    return iface_add(now, op->bridge, "internal", "", &(struct net_mac){0}, op->mtu);
}

static int bridge_del(struct net_observed *now, const char *name) {
    if (!net_observed_bridge(now, name))
        return -ENOENT;
    for (unsigned i = now->n_ports; i-- > 0;)
        if (str_eq(now->ports[i].bridge, name)) {
            net_name port;
            str_copy(port, sizeof(port), now->ports[i].name);
            port_del(now, port);
        }
    for (unsigned i = now->n_bridges; i-- > 0;)
        if (str_eq(now->bridges[i].name, name))
            REMOVE_AT(now, bridges, i);
    return 0;
}

static int port_add(struct net_observed *now, const struct net_ovs_op *op) {
    if (!net_observed_bridge(now, op->bridge))
        return -ENOENT;
    if (net_observed_port(now, op->port))
        return -EEXIST;
    struct net_obs_port *p = net_observed_add_port(now, op->bridge, op->port);
    p->ours = true;
    p->tag = op->tag;
    p->fake_bridge = op->fake_bridge;
    p->is_bond = op->has_bond;
    if (op->has_bond)
        p->bond = op->bond;
    for (unsigned i = 0; i < op->n_ifaces; i++) {
        net_obs_port_add_iface(p, op->ifaces[i]);
        int r = iface_add(now, op->ifaces[i], op->iface_type, op->peer, &op->mac, op->mtu);
        if (r < 0)
            return r;
    }
    return 0;
}

static int port_del_iface(struct net_observed *now, struct net_obs_port *p, const char *name) {
    for (unsigned i = 0; i < p->n_ifaces; i++)
        if (str_eq(p->ifaces[i], name)) {
            memmove(&p->ifaces[i], &p->ifaces[i + 1], (p->n_ifaces - i - 1) * sizeof(p->ifaces[0]));
            p->n_ifaces--;
            iface_del(now, name);
            return p->n_ifaces ? 0 : -EINVAL; /* the schema wants one or more */
        }
    return -ENOENT;
}

static int ovs_op_apply(struct net_observed *now, const struct net_ovs_op *op) {
    struct net_obs_port *p = op->port[0] ? net_observed_port(now, op->port) : NULL;
    struct net_obs_iface *i = op->n_ifaces ? net_observed_iface(now, op->ifaces[0]) : NULL;
    struct net_obs_bridge *b = op->bridge[0] ? net_observed_bridge(now, op->bridge) : NULL;
    switch (op->kind) {
    case NET_OVS_BRIDGE_ADD:
        return bridge_add(now, op);
    case NET_OVS_BRIDGE_DEL:
        return bridge_del(now, op->bridge);
    case NET_OVS_BRIDGE_MAC:
        if (!b)
            return -ENOENT;
        b->hwaddr = op->mac;
        return 0;
    case NET_OVS_PORT_ADD:
        return port_add(now, op);
    case NET_OVS_PORT_DEL:
        if (!p || !str_eq(p->bridge, op->bridge))
            return -ENOENT;
        port_del(now, op->port);
        return 0;
    case NET_OVS_PORT_MOVE: {
        if (!p || !str_eq(p->bridge, op->bridge) || !net_observed_bridge(now, op->to_bridge))
            return -ENOENT;
        str_copy(p->bridge, sizeof(p->bridge), op->to_bridge);
        /* The switch takes an internal port off one bridge and makes it anew on the other. */
        for (unsigned k = 0; k < p->n_ifaces && now->switch_running; k++) {
            const struct net_obs_iface *moved = net_observed_iface(now, p->ifaces[k]);
            if (moved && str_eq(moved->type, "internal"))
                remove_link(now, moved->name);
        }
        return 0;
    }
    case NET_OVS_PORT_BOND:
        if (!p)
            return -ENOENT;
        p->is_bond = op->has_bond;
        p->bond = op->has_bond ? op->bond : (struct net_ovs_bond){0};
        return 0;
    case NET_OVS_PORT_TAG:
        if (!p)
            return -ENOENT;
        p->tag = op->tag;
        return 0;
    case NET_OVS_PORT_ADD_IFACE:
        if (!p || op->n_ifaces != 1)
            return -ENOENT;
        if (!net_obs_port_add_iface(p, op->ifaces[0]))
            return -E2BIG;
        return iface_add(now, op->ifaces[0], "", "", &(struct net_mac){0}, op->mtu);
    case NET_OVS_PORT_DEL_IFACE:
        return p && op->n_ifaces == 1 ? port_del_iface(now, p, op->ifaces[0]) : -ENOENT;
    case NET_OVS_IFACE_MTU:
        if (!i)
            return -ENOENT;
        i->mtu_request = op->mtu;
        return 0;
    case NET_OVS_IFACE_MAC:
        if (!i)
            return -ENOENT;
        i->mac = op->mac;
        return 0;
    }
    return -EINVAL;
}

/* ---- what the switch does with it ---- */

/* Smallest MTU of the NICs of a bridge: what its internal ports follow. 0 without NICs. */
static int smallest_nic_mtu(const struct net_observed *now, const char *bridge) {
    int mtu = 0;
    for (unsigned i = 0; i < now->n_ports; i++) {
        const struct net_obs_port *p = &now->ports[i];
        if (!str_eq(p->bridge, bridge))
            continue;
        for (unsigned k = 0; k < p->n_ifaces; k++) {
            const struct net_obs_iface *f = net_observed_iface(now, p->ifaces[k]);
            const struct net_obs_link *l = net_observed_link(now, p->ifaces[k]);
            if (f && !f->type[0] && l)
                mtu = mtu ? MIN(mtu, l->mtu) : l->mtu;
        }
    }
    return mtu;
}

static void settle_iface(struct net_observed *now, const struct net_obs_port *p, struct net_obs_iface *f) {
    bool internal = str_eq(f->type, "internal");
    f->error[0] = 0;
    f->ofport = 1;
    if (f->type[0] && !internal)
        return;
    struct net_obs_link *l = net_observed_link(now, f->name);
    if (!l && !internal) {
        f->ofport = -1;
        f->mtu = 0;
        str_copy(f->error, sizeof(f->error), "could not open network device");
        return;
    }
    if (!l)
        l = net_observed_add_link(now, f->name, NET_LINK_SWITCH);
    int wanted = f->mtu_request;
    if (!wanted && internal)
        wanted = smallest_nic_mtu(now, p->bridge);
    if (wanted)
        (void)!set_mtu(l, wanted); /* a refusal goes unsaid */
    f->mtu = l->mtu;
    if (internal) {
        const struct net_obs_bridge *b = net_observed_bridge(now, p->bridge);
        l->mac = net_mac_is_zero(&f->mac) && b ? b->hwaddr : f->mac;
    }
}

static void settle_active_leg(struct net_obs_port *p) {
    bool has_active = false, has_primary = false;
    for (unsigned k = 0; k < p->n_ifaces; k++) {
        has_active = has_active || str_eq(p->ifaces[k], p->active_leg);
        has_primary = has_primary || str_eq(p->ifaces[k], p->bond.primary);
    }
    if (p->n_ifaces < 2)
        p->active_leg[0] = 0;
    else if (has_primary)
        str_copy(p->active_leg, sizeof(p->active_leg), p->bond.primary);
    else if (!has_active)
        str_copy(p->active_leg, sizeof(p->active_leg), p->ifaces[p->n_ifaces - 1]); /* any: here the worst */
}

void net_model_settle(struct net_observed *now) {
    now->switch_settled = true;
    if (!now->switch_running)
        return;
    for (unsigned i = now->n_links; i-- > 0;) {
        net_name name;
        str_copy(name, sizeof(name), now->links[i].name);
        if (now->links[i].kind == NET_LINK_SWITCH && !net_observed_iface(now, name) &&
            !str_starts(name, "ovs-")) /* the datapath's own device */
            remove_link(now, name);
    }
    /* NICs first: internal ports follow them. */
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < now->n_ports; i++)
            for (unsigned k = 0; k < now->ports[i].n_ifaces; k++) {
                struct net_obs_iface *f = net_observed_iface(now, now->ports[i].ifaces[k]);
                if (f && (pass == 1) == str_eq(f->type, "internal"))
                    settle_iface(now, &now->ports[i], f);
            }
    for (unsigned i = 0; i < now->n_ports; i++)
        settle_active_leg(&now->ports[i]);
}

/* One transaction: all or nothing. */
static int ovs_apply(struct net_observed *now, const struct net_step *s) {
    struct net_observed *next = net_observed_copy(now);
    /* Rows with a unique name may go and come back within one transaction: deletions count first. */
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < s->n_ovs; i++) {
            enum net_ovs_kind k = s->ovs[i].kind;
            bool del = k == NET_OVS_BRIDGE_DEL || k == NET_OVS_PORT_DEL || k == NET_OVS_PORT_DEL_IFACE;
            if ((pass == 0) != del)
                continue;
            int r = ovs_op_apply(next, &s->ovs[i]);
            if (r < 0) {
                net_observed_free(next);
                return r;
            }
        }
    struct net_observed old = *now;
    *now = *next;
    *next = old;
    net_observed_free(next);
    net_model_settle(now);
    return 0;
}

int net_model_apply(struct net_observed *now, const struct net_step *s) {
    struct net_obs_link *l = s->link[0] ? net_observed_link(now, s->link) : NULL;
    struct net_obs_lease *lease;
    int r;
    switch (s->op) {
    case NET_OP_LINK_UP:
        return link_up(now, s->link);
    case NET_OP_LINK_DOWN:
        return link_down(now, s->link);
    case NET_OP_LINK_MTU:
        if (!l)
            return -ENODEV;
        r = set_mtu(l, s->mtu);
        net_model_settle(now);
        return r;
    case NET_OP_OVS:
        return ovs_apply(now, s);
    case NET_OP_ADDR_ADD:
        return addr_add(now, s->link, &s->addr, /* dynamic= */ false);
    case NET_OP_ADDR_DEL:
        addr_del(now, s->link, &s->addr);
        return 0;
    case NET_OP_ROUTE_SET:
        return route_set(now, &s->route);
    case NET_OP_ROUTE_DEL:
        route_del(now, &s->route);
        return 0;
    case NET_OP_DHCP_START:
        return dhcp_start(now, s->link, s->family);
    case NET_OP_DHCP_STOP:
        lease = net_observed_lease(now, s->link, s->family);
        if (lease)
            lease->client_running = false;
        return 0;
    case NET_OP_NEIGH_COPY:
        return l && net_observed_link(now, s->to_link) ? 0 : -ENODEV;
    case NET_OP_GARP:
        return l ? 0 : -ENODEV;
    case NET_OP_DNS:
        now->n_dns = s->n_dns;
        memcpy(now->dns, s->dns, sizeof(now->dns));
        return 0;
    case NET_OP_SYSCTL:
    case NET_OP_WAIT:
        return 0;
    }
    return -EINVAL;
}

/* The route that the kernel would take: longest prefix, then lowest metric. */
static const struct net_route *route_lookup(const struct net_observed *now, const char *dev,
                                            const struct net_addr *to) {
    const struct net_route *best = NULL;
    for (unsigned i = 0; i < now->n_routes; i++) {
        const struct net_route *r = &now->routes[i];
        if (r->table != 254 || !str_eq(r->dev, dev) || !net_addr_contains(&r->dst, to))
            continue;
        if (!best || r->dst.prefix > best->dst.prefix ||
            (r->dst.prefix == best->dst.prefix && r->metric < best->metric))
            best = r;
    }
    return best;
}

bool net_model_holds(const struct net_observed *now, const struct net_expect *e) {
    const struct net_obs_link *l = net_observed_link(now, e->name);
    const struct net_obs_iface *f = net_observed_iface(now, e->name);
    const struct net_obs_port *p = net_observed_port(now, e->name);
    const struct net_route *r;
    switch (e->kind) {
    case NET_EXPECT_SWITCH_DONE:
        return now->switch_settled;
    case NET_EXPECT_LINK_EXISTS:
        return l != NULL;
    case NET_EXPECT_CARRIER:
        return l && l->carrier;
    case NET_EXPECT_MTU:
        return l && l->mtu == e->value;
    case NET_EXPECT_IFACE_OK:
        return f && !f->error[0] && f->ofport > 0;
    case NET_EXPECT_ACTIVE_LEG:
        if (p && !e->other[0])
            return p->n_ifaces < 2 || p->active_leg[0];
        return p && (p->n_ifaces < 2 ? str_eq(p->ifaces[0], e->other) : str_eq(p->active_leg, e->other));
    case NET_EXPECT_ADDR:
        return net_observed_has_addr(now, e->name, &e->addr);
    case NET_EXPECT_NO_ADDR:
        return !net_observed_has_addr(now, e->name, &e->addr);
    case NET_EXPECT_ROUTE_LOCKED:
        r = route_lookup(now, e->name, &e->addr);
        return r && r->mtu_lock && r->mtu > 0 && r->mtu <= e->value;
    case NET_EXPECT_LACP:
    case NET_EXPECT_LEASE:
    case NET_EXPECT_GARP_QUIET:
    case NET_EXPECT_NEIGHBOUR:
        return true;
    }
    return false;
}
