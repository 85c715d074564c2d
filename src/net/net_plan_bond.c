/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of one uplink Port. The row stays the same one while it grows and shrinks: a new Port name makes the switch
 * take its OpenFlow port away and put it back. Every change names bond-primary, because without it the switch chooses
 * any leg (measured: up to 33 of 100 pings lost).
 */
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

struct net_obs_port *planner_uplink(const struct net_planner *p, const char *bridge) {
    for (unsigned i = 0; i < p->now->n_ports; i++) {
        struct net_obs_port *port = &p->now->ports[i];
        if (!str_eq(port->bridge, bridge) || (!port->ours && !p->options.adopt_foreign) || port->fake_bridge ||
            port->tag >= 0 || str_eq(port->name, bridge) || !port->n_ifaces)
            continue;
        const struct net_obs_iface *f = net_observed_iface(p->now, port->ifaces[0]);
        const struct net_obs_link *l = net_observed_link(p->now, port->ifaces[0]);
        if ((!f || !f->type[0]) && (!l || l->kind == NET_LINK_PHYSICAL))
            return port;
    }
    return NULL;
}

bool planner_port_has(const struct net_obs_port *port, const char *iface) {
    for (unsigned i = 0; i < port->n_ifaces; i++)
        if (str_eq(port->ifaces[i], iface))
            return true;
    return false;
}

static bool list_has(const net_name *list, unsigned n, const char *name) {
    for (unsigned i = 0; i < n; i++)
        if (str_eq(list[i], name))
            return true;
    return false;
}

static void expect_legs(struct net_step *s, const net_name *legs, unsigned n) {
    planner_expect(s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    for (unsigned i = 0; i < n; i++)
        planner_expect(s, NET_EXPECT_IFACE_OK, legs[i], NET_WAIT_SWITCH_MS);
}

static void expect_active(struct net_step *s, const char *port, const char *leg) {
    struct net_expect *e = planner_expect(s, NET_EXPECT_ACTIVE_LEG, port, NET_WAIT_LEG_MS);
    str_copy(e->other, sizeof(e->other), leg);
}

enum wait { WAIT_SWITCH, WAIT_PRIMARY, WAIT_ANY_LEG }; /* until the switch has taken it; until a leg carries, too */

static bool has_carrier(const struct net_planner *p, const char *port_name) {
    const struct net_obs_port *port = net_observed_port(p->now, port_name);
    for (unsigned i = 0; port && i < port->n_ifaces; i++) {
        const struct net_obs_link *l = net_observed_link(p->now, port->ifaces[i]);
        if (l && l->carrier)
            return true;
    }
    return false;
}

static void set_bond(struct net_planner *p, const char *port, const struct net_ovs_bond *bond, enum wait wait,
                     const char *reason) {
    struct net_step s = planner_step(p, NET_OP_OVS, "%s", reason);
    struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_BOND);
    str_copy(o->port, sizeof(o->port), port);
    o->has_bond = true;
    o->bond = *bond;
    planner_expect(&s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    const struct net_obs_link *l = net_observed_link(p->now, bond->primary);
    if (wait == WAIT_PRIMARY && bond->mode == NET_OVS_BOND_AB && l && l->carrier)
        expect_active(&s, port, bond->primary);
    else if (wait == WAIT_ANY_LEG && bond->mode == NET_OVS_BOND_AB && has_carrier(p, port))
        expect_active(&s, port, "");
    planner_add(p, &s);
}

void planner_take_legs(struct net_planner *p, struct net_step *s, const net_name *legs, unsigned n) {
    for (unsigned i = 0; i < p->now->n_ports; i++) {
        const struct net_obs_port *port = &p->now->ports[i];
        unsigned taken = 0;
        for (unsigned k = 0; k < port->n_ifaces; k++)
            taken += list_has(legs, n, port->ifaces[k]);
        if (!taken)
            continue;
        if (taken == port->n_ifaces) {
            struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_DEL);
            str_copy(o->bridge, sizeof(o->bridge), port->bridge);
            str_copy(o->port, sizeof(o->port), port->name);
            continue;
        }
        for (unsigned k = 0; k < port->n_ifaces; k++)
            if (list_has(legs, n, port->ifaces[k])) {
                struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_DEL_IFACE);
                str_copy(o->bridge, sizeof(o->bridge), port->bridge);
                str_copy(o->port, sizeof(o->port), port->name);
                o->n_ifaces = 1;
                str_copy(o->ifaces[0], NET_NAME_SIZE, port->ifaces[k]);
            }
        if (port->is_bond && list_has(legs, n, port->bond.primary)) {
            struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_BOND);
            str_copy(o->port, sizeof(o->port), port->name);
            o->has_bond = true;
            o->bond = port->bond;
            for (unsigned k = 0; k < port->n_ifaces; k++)
                if (!list_has(legs, n, port->ifaces[k]))
                    str_copy(o->bond.primary, sizeof(o->bond.primary), port->ifaces[k]);
        }
    }
}

/* The bond's name or the NIC's, unless another row that stays has it. */
static void uplink_name(const struct net_planner *p, const struct net_step *s, const struct net_bridge *b,
                        const char *first, net_name ret) {
    str_copy(ret, NET_NAME_SIZE, b->purpose == NET_PURPOSE_BOND ? b->bond.name : first);
    const struct net_obs_port *holder = net_observed_port(p->now, ret);
    if (!holder)
        return;
    for (unsigned i = 0; i < s->n_ovs; i++)
        if ((s->ovs[i].kind == NET_OVS_PORT_DEL && str_eq(s->ovs[i].port, ret)) ||
            (s->ovs[i].kind == NET_OVS_BRIDGE_DEL && str_eq(s->ovs[i].bridge, holder->bridge)))
            return;
    _cleanup_free_ char *other = strf("u-%.13s", b->name);
    str_copy(ret, NET_NAME_SIZE, other);
}

/*
 * A bond over a live link starts without LACP: negotiation of a switch that is not ready would keep it dark (3 s
 * measured). planner_bond_settings turns it on afterwards.
 */
static struct net_ovs_bond first_bond(const struct net_planner *p, const struct net_bridge *b) {
    struct net_ovs_bond bond = planner_bond(p, b);
    if (bond.lacp && p->phase == NET_PHASE_WITH_SWITCH) {
        bond.lacp = bond.lacp_fast = bond.fallback_ab = false;
        bond.aggregation_key = 0;
        bond.mode = NET_OVS_BOND_AB;
    }
    return bond;
}

void planner_put_uplink(struct net_planner *p, struct net_step *s, const struct net_bridge *b, const net_name *legs,
                        unsigned n) {
    net_name name;
    uplink_name(p, s, b, legs[0], name);
    struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_ADD);
    str_copy(o->bridge, sizeof(o->bridge), b->name);
    str_copy(o->port, sizeof(o->port), name);
    o->role = NET_ROLE_UPLINK;
    o->n_ifaces = n;
    memcpy(o->ifaces, legs, n * sizeof(*legs));
    o->has_bond = b->purpose == NET_PURPOSE_BOND;
    if (o->has_bond)
        o->bond = first_bond(p, b);
    if (o->has_bond && !list_has(legs, n, o->bond.primary))
        str_copy(o->bond.primary, sizeof(o->bond.primary), legs[0]);
    o->mtu = planner_leg_mtu(p, b);
    struct net_ovs_bond bond = o->bond;
    bool wait = n > 1 && bond.mode == NET_OVS_BOND_AB;
    const struct net_obs_link *l = net_observed_link(p->now, bond.primary);
    if (p->phase == NET_PHASE_BEFORE_SWITCH)
        return; /* nobody there to answer */
    expect_legs(s, legs, n);
    if (wait && l && l->carrier)
        expect_active(s, name, bond.primary);
}

void planner_grow(struct net_planner *p, const struct net_bridge *b, const char *port_name, const net_name *legs,
                  unsigned n) {
    const struct net_obs_port *port = net_observed_port(p->now, port_name);
    struct net_ovs_bond bond = first_bond(p, b);
    if (port->is_bond && port->bond.lacp)
        bond = port->bond; /* its settings are another step's business */
    bond.updelay_ms = b->bond.updelay_ms;
    bond.downdelay_ms = b->bond.downdelay_ms;
    /* The leg that carries now goes on carrying, whichever is wanted as primary: that change comes after. */
    const char *carries = port->active_leg[0] && planner_port_has(port, port->active_leg) ? port->active_leg
                          : planner_port_has(port, bond.primary)                          ? bond.primary
                                                                                          : port->ifaces[0];
    str_copy(bond.primary, sizeof(bond.primary), carries);
    struct net_step s =
        planner_step(p, NET_OP_OVS, "port '%s' of bridge '%s' grows by %u, in the same row, with '%s' still carrying",
                     port_name, b->name, n, bond.primary);
    planner_take_legs(p, &s, legs, n);
    struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_BOND);
    str_copy(o->port, sizeof(o->port), port_name);
    o->has_bond = true;
    o->bond = bond;
    for (unsigned i = 0; i < n; i++) {
        o = planner_ovs(&s, NET_OVS_PORT_ADD_IFACE);
        str_copy(o->bridge, sizeof(o->bridge), b->name);
        str_copy(o->port, sizeof(o->port), port_name);
        o->role = NET_ROLE_UPLINK;
        o->n_ifaces = 1;
        str_copy(o->ifaces[0], NET_NAME_SIZE, legs[i]);
        o->mtu = planner_leg_mtu(p, b);
    }
    expect_legs(&s, legs, n);
    const struct net_obs_link *l = net_observed_link(p->now, bond.primary);
    if (bond.mode == NET_OVS_BOND_AB && l && l->carrier)
        expect_active(&s, port_name, bond.primary);
    planner_add(p, &s);
    planner_add_garp(p, b->name, "with a new leg the MAC may be sent from another one");
}

void planner_shrink(struct net_planner *p, const char *bridge, const char *port_name, const net_name *keep,
                    unsigned n_keep, const char *primary) {
    const struct net_obs_port *port = net_observed_port(p->now, port_name);
    struct net_ovs_bond bond = port->bond;
    net_name gone[NET_MAX_LEGS];
    unsigned n_gone = 0;
    for (unsigned i = 0; i < port->n_ifaces; i++)
        if (!list_has(keep, n_keep, port->ifaces[i]))
            str_copy(gone[n_gone++], NET_NAME_SIZE, port->ifaces[i]);
    bool was_active = str_eq(port->active_leg, primary);
    if (bond.lacp && n_keep == 1) {
        bond.mode = NET_OVS_BOND_AB;
        str_copy(bond.primary, sizeof(bond.primary), primary);
        set_bond(p, port_name, &bond, WAIT_SWITCH, "the group ends: first one leg carries, LACP goes on");
        bond.lacp = bond.lacp_fast = bond.fallback_ab = false;
        bond.aggregation_key = 0;
        set_bond(p, port_name, &bond, WAIT_PRIMARY, "then LACP ends");
    }
    if (!str_eq(bond.primary, primary) || !was_active || bond.mode != NET_OVS_BOND_AB) {
        bond.mode = bond.lacp ? bond.mode : NET_OVS_BOND_AB;
        str_copy(bond.primary, sizeof(bond.primary), primary);
        _cleanup_free_ char *why = strf("leg '%s' stays, so it carries before the others go", primary);
        set_bond(p, port_name, &bond, WAIT_PRIMARY, why);
        if (!was_active)
            planner_add_garp(p, bridge, "the MAC moved to the leg that stays");
    }
    planner_add_quiet(p);
    struct net_step s = planner_step(p, NET_OP_OVS, "port '%s' shrinks to %u leg%s, in the same row", port_name, n_keep,
                                     n_keep == 1 ? "" : "s");
    for (unsigned i = 0; i < n_gone; i++) {
        struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_DEL_IFACE);
        str_copy(o->bridge, sizeof(o->bridge), bridge);
        str_copy(o->port, sizeof(o->port), port_name);
        o->n_ifaces = 1;
        str_copy(o->ifaces[0], NET_NAME_SIZE, gone[i]);
    }
    if (n_keep == 1) {
        struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_BOND);
        str_copy(o->port, sizeof(o->port), port_name);
        o->has_bond = false;
    }
    expect_legs(&s, keep, n_keep);
    planner_add(p, &s);
    planner_add_garp(p, bridge, "neighbours and switches hear where the MAC is now");
}

static bool only_delays_differ(const struct net_ovs_bond *a, const struct net_ovs_bond *b) {
    struct net_ovs_bond c = *a;
    c.updelay_ms = b->updelay_ms;
    c.downdelay_ms = b->downdelay_ms;
    return net_ovs_bond_eq(&c, b);
}

void planner_bond_settings(struct net_planner *p, const struct net_bridge *b, const char *port_name) {
    const struct net_obs_port *port = net_observed_port(p->now, port_name);
    struct net_ovs_bond want = planner_bond(p, b), has = port->bond;
    if (port->is_bond && net_ovs_bond_eq(&want, &has))
        return;
    if (!port->is_bond || port->n_ifaces < 2 || only_delays_differ(&has, &want)) {
        set_bond(p, port_name, &want, WAIT_SWITCH, "the bond's settings differ");
        return;
    }
    if (want.lacp && !has.lacp) {
        struct net_ovs_bond step = want;
        step.mode = NET_OVS_BOND_AB;
        step.fallback_ab = true;
        struct net_step s = planner_step(p, NET_OP_OVS,
                                         "LACP is offered while one leg goes on carrying; only a switch that "
                                         "answers gets the group");
        struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_BOND);
        str_copy(o->port, sizeof(o->port), port_name);
        o->has_bond = true;
        o->bond = step;
        planner_expect(&s, NET_EXPECT_LACP, port_name, NET_WAIT_LACP_MS);
        planner_add(p, &s);
        set_bond(p, port_name, &want, WAIT_SWITCH, "LACP is negotiated: both legs carry");
    } else if (!want.lacp && has.lacp) {
        struct net_ovs_bond step = has;
        step.mode = NET_OVS_BOND_AB;
        str_copy(step.primary, sizeof(step.primary), want.primary);
        set_bond(p, port_name, &step, WAIT_SWITCH, "first one leg carries, LACP goes on");
        /*
         * Not the primary one in particular: where LACP was not negotiated only one leg carries, and when LACP ends the
         * others count as new, which the switch leaves out for the whole up-delay (31 s).
         */
        set_bond(p, port_name, &want, WAIT_ANY_LEG, "then LACP ends");
    } else {
        /* Nor with another mode: a primary leg whose link has come back waits out its up-delay, and the other goes on.
         */
        set_bond(p, port_name, &want, has.mode == want.mode ? WAIT_PRIMARY : WAIT_ANY_LEG,
                 "the bond's mode or primary leg differs");
    }
    planner_add_garp(p, b->name, "the MAC may be sent from another leg now");
}
