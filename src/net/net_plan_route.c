/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes. Every one that leaves the management bridge is locked to the control size, so that the control plane lives on
 * frames that every path carries, whatever the interface says.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

#define TABLE_MAIN 254
/* An MSS leaves the headers out: 20 of IP (40 of IPv6) and 20 of TCP. */
#define ADVMSS(size, family) ((size) - ((family) == NET_FAMILY_IPV6 ? 60 : 40))

bool planner_is_control(const struct net_planner *p, const char *link) {
    return p->wanted->management[0] && str_eq(link, p->wanted->management);
}

int planner_control_size(const struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    return m ? MIN(p->wanted->control_size, planner_mtu(p, m)) : p->wanted->control_size;
}

void planner_lock(const struct net_planner *p, struct net_route *r) {
    r->mtu = planner_control_size(p);
    r->mtu_lock = true;
    r->advmss = ADVMSS(r->mtu, r->dst.family);
}

struct net_route planner_connected_route(const struct net_planner *p, const char *link, const struct net_addr *a) {
    bool is_v4 = a->family == NET_FAMILY_IPV4;
    struct net_route r = {
        .dst = net_addr_network(a),
        .table = TABLE_MAIN,
        .metric = is_v4 ? 0 : 256, /* the kernel's own; any other would lose to it */
        .proto = NET_ROUTE_PROTO_KERNEL,
        .scope_link = is_v4,
    };
    str_copy(r.dev, sizeof(r.dev), link);
    if (is_v4) {
        r.src = *a;
        r.src.prefix = 32;
    }
    if (planner_is_control(p, link))
        planner_lock(p, &r);
    return r;
}

struct net_route planner_default_route(const struct net_planner *p, const char *link, const struct net_addr *gateway) {
    struct net_route r = {
        .dst = {.family = gateway->family},
        .gateway = *gateway,
        .table = TABLE_MAIN,
        .metric = gateway->family == NET_FAMILY_IPV6 ? 1024 : 0,
        .proto = NET_ROUTE_PROTO_STATIC,
    };
    r.gateway.prefix = gateway->family == NET_FAMILY_IPV6 ? 128 : 32;
    str_copy(r.dev, sizeof(r.dev), link);
    if (planner_is_control(p, link))
        planner_lock(p, &r);
    return r;
}

static bool is_unicast(const struct net_route *r) {
    return r->dst.prefix == 0 ||
           !(r->dst.family == NET_FAMILY_IPV6 ? r->dst.b[0] == 0xff : (r->dst.b[0] & 0xf0) == 0xe0);
}

static const struct net_route *find(const struct net_observed *o, const struct net_route *r) {
    for (unsigned i = 0; i < o->n_routes; i++) {
        const struct net_route *c = &o->routes[i];
        if (c->table == r->table && str_eq(c->dev, r->dev) && c->metric == r->metric && net_addr_eq(&c->dst, &r->dst) &&
            net_addr_same_host(&c->gateway, &r->gateway) && (!r->src.family || net_addr_same_host(&c->src, &r->src)))
            return c;
    }
    return NULL;
}

/* Something that this route is asked for: a neighbour, or for the default one an address that is nowhere (RFC 5737,
 * 3849). */
static struct net_addr destination_behind(const struct net_route *r) {
    bool is_v6 = r->dst.family == NET_FAMILY_IPV6;
    struct net_addr a = r->dst;
    if (r->dst.prefix == 0 && !net_addr_parse(is_v6 ? "2001:db8::1" : "192.0.2.1", &a))
        abort();
    a.prefix = is_v6 ? 128 : 32;
    uint8_t *last = &a.b[is_v6 ? 15 : 3];
    if (r->dst.prefix < a.prefix)
        *last |= 1; /* the network's own address is a broadcast for IPv4 */
    if (r->dst.prefix < a.prefix && net_addr_same_host(&a, &r->src)) /* our own: the kernel goes there by loopback */
        *last ^= r->dst.prefix == a.prefix - 1 ? 1 : 3;
    return a;
}

void planner_set_route(struct net_planner *p, const struct net_route *r, const char *reason) {
    struct net_step s = planner_step(p, NET_OP_ROUTE_SET, "%s", reason);
    s.route = *r;
    str_copy(s.link, sizeof(s.link), r->dev);
    if (r->mtu_lock) {
        struct net_expect *e = planner_expect(&s, NET_EXPECT_ROUTE_LOCKED, r->dev, NET_WAIT_KERNEL_MS);
        e->addr = destination_behind(r);
        e->value = r->mtu;
    }
    if (r->gateway.family) {
        s.on_fail = NET_FAIL_FAULT; /* another route may be better for that destination: no reason to undo everything */
        s.fail_code = NET_FAULT_CONTROL_UNLOCKED;
    }
    planner_add(p, &s);
}

static void want_route(struct net_planner *p, const struct net_route *r, const char *reason) {
    const struct net_route *has = find(p->now, r);
    if (has && has->mtu == r->mtu && has->mtu_lock == r->mtu_lock && has->advmss == r->advmss)
        return;
    planner_set_route(p, r, reason);
}

static void want_static(struct net_planner *p, const struct net_bridge *b, const struct net_ip *ip) {
    if (ip->mode != NET_IP_STATIC || !net_observed_has_addr(p->now, b->name, &ip->address))
        return;
    bool is_control = planner_is_control(p, b->name);
    unsigned full = ip->address.family == NET_FAMILY_IPV6 ? 128 : 32;
    if (ip->address.prefix < full) {
        struct net_route r = planner_connected_route(p, b->name, &ip->address);
        want_route(p, &r,
                   is_control ? "control traffic stays within the size that every path carries"
                              : "data may use the whole MTU");
    }
    if (ip->gateway.family && is_control) {
        struct net_route r = planner_default_route(p, b->name, &ip->gateway);
        want_route(p, &r, "the way out is the management network's, within the control size");
    }
}

static void delete_route(struct net_planner *p, const struct net_route *r, const char *reason) {
    struct net_step s = planner_step(p, NET_OP_ROUTE_DEL, "%s", reason);
    s.route = *r;
    str_copy(s.link, sizeof(s.link), r->dev);
    planner_add(p, &s);
}

static bool is_ours(const struct net_planner *p, const char *dev) {
    const struct net_obs_port *port = net_observed_port(p->now, dev);
    return port && port->ours;
}

static bool is_wanted_leg(const struct net_planner *p, const char *dev) {
    for (size_t i = 0; i < p->plan->n_nics; i++)
        if (str_eq(p->plan->nics[i].link, dev) && planner_link(p, p->plan->nics[i].wanted)[0])
            for (unsigned k = 0; k < p->wanted->n_bridges; k++)
                for (unsigned l = 0; l < p->wanted->bridges[k].n_legs; l++)
                    if (str_eq(p->wanted->bridges[k].legs[l], p->plan->nics[i].wanted))
                        return true;
    return false;
}

/* Default routes out of our other bridges, and old ones of the management bridge, would compete with the wanted one. */
static void delete_competing_defaults(struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    struct net_observed *snapshot = net_observed_copy(p->now);
    for (unsigned i = 0; m && i < snapshot->n_routes; i++) {
        const struct net_route *r = &snapshot->routes[i];
        const struct net_ip *ip = r->dst.family == NET_FAMILY_IPV6 ? &m->ip6 : &m->ip4;
        if (r->dst.prefix != 0 || r->table != TABLE_MAIN || r->proto == NET_ROUTE_PROTO_RA)
            continue;
        bool is_management = str_eq(r->dev, m->name);
        bool is_wanted = is_management && ip->mode == NET_IP_STATIC && ip->gateway.family &&
                         net_addr_same_host(&r->gateway, &ip->gateway);
        bool is_stale = is_management && ip->mode == NET_IP_STATIC && !is_wanted;
        if (is_stale || (!is_management && (is_ours(p, r->dev) || is_wanted_leg(p, r->dev))))
            delete_route(p, r, "only the management network has the way out");
    }
    net_observed_free(snapshot);
}

/* Whatever else leaves the management bridge: routes of administrators, of a lease, of router advertisements. */
static void lock_others(struct net_planner *p) {
    struct net_observed *snapshot = net_observed_copy(p->now);
    int size = planner_control_size(p);
    for (unsigned i = 0; i < snapshot->n_routes; i++) {
        struct net_route r = snapshot->routes[i];
        if (!is_unicast(&r) || r.table != TABLE_MAIN)
            continue;
        if (planner_is_control(p, r.dev) && !(r.mtu_lock && r.mtu > 0 && r.mtu <= size)) {
            planner_lock(p, &r);
            planner_set_route(p, &r, "every route out of the management bridge is locked");
        } else if (!planner_is_control(p, r.dev) && r.mtu_lock && r.proto == NET_ROUTE_PROTO_KERNEL &&
                   is_ours(p, r.dev) && net_config_bridge(p->wanted, r.dev)) {
            r.mtu = r.advmss = 0;
            r.mtu_lock = false;
            planner_set_route(p, &r, "management moved away from here: data may use the whole MTU");
        }
    }
    net_observed_free(snapshot);
}

void planner_routes(struct net_planner *p) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        const struct net_obs_link *l = net_observed_link(p->now, b->name);
        if (!planner_can_touch(p, b) || !l || !l->up)
            continue;
        want_static(p, b, &b->ip4);
        want_static(p, b, &b->ip6);
    }
    delete_competing_defaults(p); /* after the new one: it may have taken the old one's place */
    const struct net_obs_link *l = net_observed_link(p->now, p->wanted->management);
    if (l && l->up)
        lock_others(p);
}

void planner_dns(struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    if (!m || !m->n_dns || m->ip4.mode == NET_IP_DHCP)
        return;
    bool same = m->n_dns == p->now->n_dns;
    for (unsigned i = 0; same && i < m->n_dns; i++)
        same = net_addr_same_host(&m->dns[i], &p->now->dns[i]);
    if (same)
        return;
    struct net_step s = planner_step(p, NET_OP_DNS, "name servers of the management network");
    s.n_dns = m->n_dns;
    memcpy(s.dns, m->dns, sizeof(s.dns));
    s.on_fail = NET_FAIL_IGNORE;
    planner_add(p, &s);
}

/* A live host whose management address is up with an unlocked route had its protection taken away. */
void planner_check_routes(struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    if (!m || p->options.mode == NET_PLAN_BOOT)
        return;
    bool was_locked = false;
    for (unsigned i = 0; i < p->is->n_routes; i++)
        was_locked = was_locked || (str_eq(p->is->routes[i].dev, m->name) && p->is->routes[i].mtu_lock);
    for (unsigned i = 0; was_locked && i < p->is->n_routes; i++) {
        const struct net_route *r = &p->is->routes[i];
        if (!str_eq(r->dev, m->name) || r->table != TABLE_MAIN || !is_unicast(r) ||
            (r->mtu_lock && r->mtu > 0 && r->mtu <= planner_control_size(p)))
            continue;
        char dst[NET_ADDR_TEXT_SIZE], detail[NET_ADDR_TEXT_SIZE + 32];
        snprintf(detail, sizeof(detail), "to %s", r->dst.prefix ? net_addr_text(&r->dst, true, dst) : "default");
        struct net_fault_facts f = planner_facts(p, m, NULL);
        f.size_wanted = planner_control_size(p);
        f.detail = detail;
        net_problems_add(&p->plan->problems, NET_FAULT_CONTROL_UNLOCKED, &f)->healed = true;
    }
}
