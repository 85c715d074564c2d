/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address changes bridges without a dark moment. With its NIC: patch ports join old and new bridge, the address
 * moves, then NIC and patch change in one transaction (apart they would be a loop, or darkness). To a bridge that has
 * its own uplink: never a patch, that would loop through the switch; the new path is tested, then the address moves.
 * Measured: none of 12 and of 15 runs lost a packet. Each part looks at the model first, so a move that was cut off is
 * taken up where it stands.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

struct moving {
    unsigned n;
    struct net_addr addrs[2];
    enum net_family dhcp[2]; /* families whose client goes along */
    unsigned n_dhcp;
};

/* What bridge-like link `from` bears that is wanted on `to`. */
static struct moving moving_between(const struct net_planner *p, const char *from, const struct net_bridge *to) {
    struct moving m = {0};
    const struct net_bridge *old = net_config_bridge(p->wanted, from);
    const struct net_ip *want[2] = {&to->ip4, &to->ip6};
    if (str_eq(from, to->name))
        return m;
    for (unsigned i = 0; i < 2; i++) {
        enum net_family family = i ? NET_FAMILY_IPV6 : NET_FAMILY_IPV4;
        const struct net_ip *kept = old ? (i ? &old->ip6 : &old->ip4) : NULL;
        const struct net_obs_lease *lease = net_observed_lease(p->now, from, family);
        if (want[i]->mode == NET_IP_STATIC && net_observed_has_addr(p->now, from, &want[i]->address))
            m.addrs[m.n++] = want[i]->address;
        else if (want[i]->mode == NET_IP_DHCP && lease && lease->address.family &&
                 net_observed_has_addr(p->now, from, &lease->address) && (!kept || kept->mode != NET_IP_DHCP)) {
            m.addrs[m.n++] = lease->address;
            m.dhcp[m.n_dhcp++] = family;
        }
    }
    return m;
}

/* A link of ours that bears an address wanted on `to`; "" none. */
static const char *find_source(const struct net_planner *p, const struct net_bridge *to) {
    for (unsigned i = 0; i < p->now->n_addrs; i++) {
        const char *link = p->now->addrs[i].link;
        const struct net_obs_port *port = net_observed_port(p->now, link);
        if (!port || !port->ours)
            continue;
        struct moving m = moving_between(p, link, to);
        if (m.n && net_model_real_bridge(p->now, link))
            return link;
    }
    return "";
}

/* Whether an address wanted on `to` is still on this real bridge, or on a VLAN of it. */
static bool bears(const struct net_planner *p, const char *bridge, const struct net_bridge *to) {
    const char *from = planner_can_touch(p, to) ? find_source(p, to) : "";
    const char *real = from[0] ? net_model_real_bridge(p->now, from) : NULL;
    return real && str_eq(real, bridge);
}

bool planner_bears_moving(const struct net_planner *p, const char *bridge) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++)
        if (bears(p, bridge, &p->wanted->bridges[i]))
            return true;
    return false;
}

bool planner_waits_for_address(const struct net_planner *p, const struct net_bridge *to) {
    return planner_can_touch(p, to) && find_source(p, to)[0];
}

static void remember(struct net_planner *p, const char *link) {
    p->moved_to = xrealloc_array(p->moved_to, p->n_moved_to + 1, sizeof(*p->moved_to));
    str_copy(p->moved_to[p->n_moved_to++], NET_NAME_SIZE, link);
}

static void add_addr_step(struct net_planner *p, enum net_op op, const char *link, const struct net_addr *a,
                          const char *reason) {
    char text[NET_ADDR_TEXT_SIZE];
    struct net_step s = planner_step(p, op, reason, net_addr_text(a, /* with_prefix= */ false, text), link);
    str_copy(s.link, sizeof(s.link), link);
    s.addr = *a;
    s.count = 1; /* nodad: it was ours a moment ago */
    planner_expect(&s, op == NET_OP_ADDR_ADD ? NET_EXPECT_ADDR : NET_EXPECT_NO_ADDR, link, NET_WAIT_KERNEL_MS)->addr =
        *a;
    planner_add(p, &s);
}

static void move_clients(struct net_planner *p, const struct moving *m, const char *link, enum net_op op) {
    for (unsigned i = 0; i < m->n_dhcp; i++) {
        struct net_step s = planner_step(p, op, "the DHCP client goes where its address goes");
        str_copy(s.link, sizeof(s.link), link);
        s.family = m->dhcp[i];
        planner_add(p, &s);
    }
}

/* Add before delete: for one moment both bridges answer, never none. The routes follow in the same batch. */
static void move_addresses(struct net_planner *p, const char *from, const struct net_bridge *to,
                           const struct moving *m) {
    struct net_observed *before = net_observed_copy(p->now);
    if (m->n_dhcp) {
        move_clients(p, m, from, NET_OP_DHCP_STOP);
        for (unsigned i = 0; i < m->n_dhcp; i++) {
            const struct net_obs_lease *old = net_observed_lease(p->now, from, m->dhcp[i]);
            struct net_obs_lease copy = *old;
            struct net_obs_lease *new = net_observed_lease(p->now, to->name, m->dhcp[i]);
            if (!new)
                new = net_observed_add_lease(p->now, to->name, m->dhcp[i]);
            new->address = copy.address; /* same MAC, same lease: what the new client will be given */
            new->gateway = copy.gateway;
        }
    }
    struct net_step s =
        planner_step(p, NET_OP_NEIGH_COPY, "a first ARP request that is lost would stall connections for a second");
    str_copy(s.link, sizeof(s.link), from);
    str_copy(s.to_link, sizeof(s.to_link), to->name);
    s.on_fail = NET_FAIL_IGNORE;
    planner_add(p, &s);

    planner_batch_begin(p);
    for (unsigned i = 0; i < m->n; i++)
        add_addr_step(p, NET_OP_ADDR_ADD, to->name, &m->addrs[i], "%s comes to '%s' before it leaves the old bridge");
    for (unsigned i = 0; i < m->n; i++)
        add_addr_step(p, NET_OP_ADDR_DEL, from, &m->addrs[i], "%s has moved away from '%s'");
    for (unsigned i = 0; i < m->n; i++) {
        struct net_route r = planner_connected_route(p, to->name, &m->addrs[i]);
        planner_set_route(p, &r, "the network of the address that moved");
        const struct net_ip *ip = m->addrs[i].family == NET_FAMILY_IPV6 ? &to->ip6 : &to->ip4;
        if (ip->mode == NET_IP_STATIC && ip->gateway.family && planner_is_control(p, to->name)) {
            r = planner_default_route(p, to->name, &ip->gateway);
            planner_set_route(p, &r, "the way out goes with the address");
        }
    }
    /* What somebody else routed through the old bridge follows the address, too. */
    for (unsigned i = 0; i < before->n_routes; i++) {
        struct net_route r = before->routes[i];
        bool has_own_default = false, is_reachable = false;
        for (unsigned k = 0; k < m->n; k++) {
            const struct net_ip *ip = m->addrs[k].family == NET_FAMILY_IPV6 ? &to->ip6 : &to->ip4;
            is_reachable = is_reachable || net_addr_contains(&m->addrs[k], &r.gateway);
            has_own_default = has_own_default ||
                              (r.dst.prefix == 0 && ip->mode == NET_IP_STATIC && r.dst.family == m->addrs[k].family);
        }
        if (!str_eq(r.dev, from) || !r.gateway.family || !is_reachable || has_own_default)
            continue;
        str_copy(r.dev, sizeof(r.dev), to->name);
        if (planner_is_control(p, to->name))
            planner_lock(p, &r);
        planner_set_route(p, &r, "a route through the old bridge follows the address");
    }
    planner_batch_end(p);
    net_observed_free(before);
    move_clients(p, m, to->name, NET_OP_DHCP_START);
    planner_add_garp(p, to->name, "neighbours and switches hear where the address is now");
    remember(p, to->name);
}

/* ---- with the NIC it lives on ---- */

static void add_patch(struct net_planner *p, const char *old_bridge, const char *new_bridge) {
    const struct net_obs_port *a = net_observed_port(p->now, NET_PATCH_OLD),
                              *b = net_observed_port(p->now, NET_PATCH_NEW);
    if (a && b && str_eq(a->bridge, old_bridge) && str_eq(b->bridge, new_bridge))
        return;
    struct net_step s = planner_step(p, NET_OP_OVS,
                                     "'%s' is reached through '%s' while the address moves; it has no NIC yet, so "
                                     "this is no loop",
                                     new_bridge, old_bridge);
    const char *const names[2] = {NET_PATCH_OLD, NET_PATCH_NEW}, *const bridges[2] = {old_bridge, new_bridge};
    for (unsigned i = 0; i < 2; i++) {
        const struct net_obs_port *stale = net_observed_port(p->now, names[i]);
        if (stale) {
            struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_DEL);
            str_copy(o->bridge, sizeof(o->bridge), stale->bridge);
            str_copy(o->port, sizeof(o->port), names[i]);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_ADD);
        str_copy(o->bridge, sizeof(o->bridge), bridges[i]);
        str_copy(o->port, sizeof(o->port), names[i]);
        o->n_ifaces = 1;
        str_copy(o->ifaces[0], NET_NAME_SIZE, names[i]);
        o->iface_type = "patch";
        str_copy(o->peer, sizeof(o->peer), names[1 - i]);
        o->role = NET_ROLE_PATCH;
        planner_expect(&s, NET_EXPECT_IFACE_OK, names[i], NET_WAIT_SWITCH_MS);
    }
    planner_expect(&s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    planner_add(p, &s);
}

static void drop_patch(struct net_planner *p, struct net_step *s) {
    const char *const names[2] = {NET_PATCH_OLD, NET_PATCH_NEW};
    for (unsigned i = 0; i < 2; i++) {
        const struct net_obs_port *port = net_observed_port(p->now, names[i]);
        if (!port)
            continue;
        struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_DEL);
        str_copy(o->bridge, sizeof(o->bridge), port->bridge);
        str_copy(o->port, sizeof(o->port), names[i]);
    }
}

static void probe_gateway(struct net_planner *p, const struct net_bridge *to, enum net_on_fail on_fail,
                          const char *reason) {
    const struct net_ip *ips[2] = {&to->ip4, &to->ip6};
    struct net_step s = planner_step(p, NET_OP_WAIT, "%s", reason);
    for (unsigned i = 0; i < 2; i++)
        if (ips[i]->mode == NET_IP_STATIC && ips[i]->gateway.family)
            planner_expect(&s, NET_EXPECT_NEIGHBOUR, to->name, NET_WAIT_NEIGHBOUR_MS)->addr = ips[i]->gateway;
    s.on_fail = on_fail;
    if (!s.n_expects) {
        planner_drop(&s);
        return;
    }
    planner_add(p, &s);
}

/* The old bridge's uplink keeps only legs that the new one takes, and the one that stays carries the MAC. */
static void reduce_old(struct net_planner *p, const char *old_bridge, const struct net_bridge *base) {
    const struct net_obs_port *port = planner_uplink(p, old_bridge);
    net_name legs[NET_MAX_LEGS], keep[NET_MAX_LEGS], port_name;
    unsigned n = planner_legs(p, base, legs), n_keep = 0;
    str_copy(port_name, sizeof(port_name), port->name);
    for (unsigned i = 0; i < n; i++)
        if (planner_port_has(port, legs[i]))
            str_copy(keep[n_keep++], NET_NAME_SIZE, legs[i]);
    if (n_keep == 0 || n_keep == port->n_ifaces)
        return;
    const char *primary = planner_primary(p, base);
    bool has_primary = false;
    for (unsigned i = 0; i < n_keep; i++)
        has_primary = has_primary || str_eq(keep[i], primary);
    planner_shrink(p, old_bridge, port_name, keep, n_keep, has_primary ? primary : keep[0]);
}

/* Legs under management, or under an address that has still to move, are left where they are; the port grows by them
 * later. */
static unsigned legs_to_move(const struct net_planner *p, const char *old_bridge, const struct net_bridge *base,
                             net_name ret[static NET_MAX_LEGS]) {
    net_name legs[NET_MAX_LEGS];
    const struct net_bridge *m = net_config_management(p->wanted), *m_base = m ? net_config_base(p->wanted, m) : NULL;
    unsigned n = planner_legs(p, base, legs), n_ret = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct net_obs_port *port = net_observed_port_of_iface(p->now, legs[i]);
        bool is_free = !port || str_eq(port->bridge, old_bridge);
        if (is_free || (!planner_bears_moving(p, port->bridge) && !(m_base && str_eq(m_base->name, port->bridge))))
            str_copy(ret[n_ret++], NET_NAME_SIZE, legs[i]);
    }
    return n_ret;
}

static void move_with_nic(struct net_planner *p, const char *from_link, const char *old_bridge_name,
                          const struct net_bridge *to, const struct net_bridge *base) {
    net_name from, old_bridge, legs[NET_MAX_LEGS];
    str_copy(from, sizeof(from), from_link); /* the model's arrays move on with each step */
    str_copy(old_bridge, sizeof(old_bridge), old_bridge_name);
    unsigned n = legs_to_move(p, old_bridge, base, legs);
    reduce_old(p, old_bridge, base);
    if (to != base) {
        struct net_step s = planner_step(p, NET_OP_OVS, "'%s' must be in its place before its address comes", to->name);
        planner_put_vlan_home(p, &s, to);
        planner_expect(&s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
        if (s.n_ovs)
            planner_add(p, &s);
        else
            planner_drop(&s);
    }
    add_patch(p, old_bridge, base->name);
    planner_bring_up(p, base, "the address comes to it");
    planner_bring_up(p, to, "the address comes to it");
    struct moving m = moving_between(p, from, to);
    if (m.n)
        move_addresses(p, from, to, &m);
    probe_gateway(p, to, NET_FAIL_IGNORE, "the gateway should answer through the patch ports");
    planner_add_quiet(p);
    struct net_step s = planner_step(p, NET_OP_OVS,
                                     "patch ports and NIC change in one transaction: apart they would be a loop, "
                                     "or darkness");
    drop_patch(p, &s);
    planner_take_legs(p, &s, legs, n);
    planner_put_uplink(p, &s, base, legs, n);
    planner_put_travellers(p, &s, old_bridge, base);
    planner_expect(&s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    planner_add(p, &s);
    planner_add_garp(p, to->name, "at once: without it three of five runs went dark on a warm switch");
}

/*
 * The old bridge gives its NIC to `base` and keeps none that it is to have itself. Only management is moved while the
 * old bridge still waits for NICs of its own; others wait, and then need no patch.
 */
static bool shares_nic(const struct net_planner *p, const char *old_bridge, const struct net_bridge *base) {
    const struct net_obs_port *uplink = planner_uplink(p, old_bridge);
    const struct net_bridge *old = net_config_bridge(p->wanted, old_bridge), *m = net_config_management(p->wanted);
    bool is_management = m && net_config_base(p->wanted, m) == base;
    net_name legs[NET_MAX_LEGS];
    unsigned n = old ? planner_legs(p, old, legs) : 0;
    if (!uplink || str_eq(old_bridge, base->name) || (!is_management && (n || (m && bears(p, old_bridge, m)))))
        return false;
    for (unsigned k = 0; k < n; k++)
        if (planner_port_has(uplink, legs[k]))
            return false;
    n = planner_legs(p, base, legs);
    for (unsigned k = 0; k < n; k++)
        if (planner_port_has(uplink, legs[k]))
            return true;
    return false;
}

static bool waits_for_nic(const struct net_planner *p, const struct net_bridge *to) {
    const struct net_bridge *base = net_config_base(p->wanted, to);
    return planner_can_touch(p, to) && !planner_uplink(p, base->name) && net_observed_bridge(p->now, base->name);
}

static void move_shared_to(struct net_planner *p, const struct net_bridge *to) {
    const struct net_bridge *base = net_config_base(p->wanted, to);
    const char *from = waits_for_nic(p, to) ? find_source(p, to) : "";
    const char *old_bridge = from[0] ? net_model_real_bridge(p->now, from) : NULL;
    if (old_bridge && shares_nic(p, old_bridge, base))
        move_with_nic(p, from, old_bridge, to, base);
}

void planner_move_shared(struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    if (m)
        move_shared_to(p, m);
    for (unsigned i = 0; i < p->wanted->n_bridges; i++)
        move_shared_to(p, &p->wanted->bridges[i]);
    /* Cut off after the address had moved: the patch ports still say where the NIC is. */
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *to = &p->wanted->bridges[i];
        const struct net_obs_port *a = net_observed_port(p->now, NET_PATCH_OLD),
                                  *b = net_observed_port(p->now, NET_PATCH_NEW);
        if (a && b && str_eq(b->bridge, to->name) && waits_for_nic(p, to) && shares_nic(p, a->bridge, to))
            move_with_nic(p, a->bridge, a->bridge, to, to);
    }
}

/* ---- to a bridge with an uplink of its own ---- */

void planner_move_disjoint(struct net_planner *p) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *to = &p->wanted->bridges[i], *base = net_config_base(p->wanted, to);
        const struct net_obs_port *port = net_observed_port(p->now, to->name);
        net_name from;
        if (!planner_can_touch(p, to) || !port || !str_eq(port->bridge, base->name) ||
            !net_observed_link(p->now, to->name) || (base->n_legs && !planner_uplink(p, base->name)))
            continue;
        str_copy(from, sizeof(from), find_source(p, to));
        struct moving all = moving_between(p, from, to), m = {0};
        for (unsigned k = 0; k < all.n; k++) {
            /* A lease belongs to the old MAC and wire: there the new client asks anew. */
            const struct net_obs_lease *l = net_observed_lease(p->now, from, all.addrs[k].family);
            if (!all.n_dhcp || !l || !net_addr_same_host(&l->address, &all.addrs[k]))
                m.addrs[m.n++] = all.addrs[k];
        }
        if (!from[0] || !m.n)
            continue;
        planner_bring_up(p, to, "the address comes to it");
        probe_gateway(p, to, NET_FAIL_STOP, "the new path is tested before the address moves there");
        move_addresses(p, from, to, &m);
    }
}
