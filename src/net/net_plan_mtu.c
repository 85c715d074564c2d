/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MTUs: rising from the legs up, falling from the ports down, so that at no moment a port offers more than its legs
 * carry. A port always asks for its own (without mtu_request one guest's interface at 1500 would shrink it).
 */
#include <limits.h>

#include "base/str.h"
#include "net/net_planner.h"

/* What the leg is known to take at most; INT_MAX when nothing is known. */
static int leg_limit(const struct net_planner *p, const char *link) {
    const struct net_obs_link *l = net_observed_link(p->is, link);
    const struct net_obs_iface *f = net_observed_iface(p->is, link);
    int limit = l && l->max_mtu > 0 ? l->max_mtu : INT_MAX;
    for (unsigned i = 0; i < p->options.n_refused; i++)
        if (str_eq(p->options.refused[i].link, link))
            limit = MIN(limit, p->options.refused[i].mtu);
    /*
     * The switch has done what it was told and the MTU is still below: the driver refused. Where the driver states a
     * limit above it, it is not believed yet; planner_raise_legs asks the kernel itself, which does answer.
     */
    if (l && f && l->max_mtu == 0 && p->is->switch_running && p->is->switch_settled &&
        p->options.mode == NET_PLAN_LIVE && f->mtu_request > 0 && l->mtu < f->mtu_request)
        limit = MIN(limit, l->mtu);
    return limit;
}

/*
 * The same for all legs, the least that their drivers state: more on one of them would help nobody. A limit that is
 * only suspected stays asked for: it may have been a moment's weakness.
 */
int planner_leg_mtu(const struct net_planner *p, const struct net_bridge *base) {
    net_name legs[NET_MAX_LEGS];
    unsigned n = planner_legs(p, base, legs);
    int mtu = base->mtu;
    for (unsigned i = 0; i < p->options.n_lifts; i++)
        for (unsigned k = 0; k < base->n_legs; k++)
            if (str_eq(base->legs[k], p->options.lifts[i].leg))
                mtu = MAX(mtu, p->options.lifts[i].mtu);
    for (unsigned i = 0; i < n; i++) {
        const struct net_obs_link *l = net_observed_link(p->is, legs[i]);
        if (l && l->max_mtu > 0)
            mtu = MIN(mtu, l->max_mtu);
    }
    return mtu;
}

int planner_mtu(const struct net_planner *p, const struct net_bridge *b) {
    const struct net_bridge *base = net_config_base(p->wanted, b);
    int mtu = b->mtu;
    if (base != b)
        return MIN(mtu, planner_mtu(p, base));
    net_name legs[NET_MAX_LEGS];
    unsigned n = planner_legs(p, b, legs);
    for (unsigned i = 0; i < n; i++)
        mtu = MIN(mtu, leg_limit(p, legs[i]));
    return mtu;
}

/* M1: a port above its legs; M7: a driver's limit. */
static void check_base(struct net_planner *p, const struct net_bridge *b) {
    net_name legs[NET_MAX_LEGS];
    unsigned n = planner_legs(p, b, legs);
    const struct net_obs_link *port = net_observed_link(p->is, b->name);
    for (unsigned i = 0; i < n; i++) {
        const struct net_obs_link *l = net_observed_link(p->is, legs[i]);
        const struct net_obs_port *of = net_observed_port_of_iface(p->is, legs[i]);
        struct net_fault_facts f = planner_facts(p, b, NULL);
        f.nic = legs[i];
        f.mac = &l->mac;
        if (leg_limit(p, legs[i]) < b->mtu) {
            f.size_wanted = b->mtu;
            f.size_passes = leg_limit(p, legs[i]);
            net_problems_add(&p->plan->problems, NET_FAULT_MTU_REFUSED, &f);
        }
        if (port && p->is->switch_running && of && str_eq(of->bridge, b->name) && port->mtu > l->mtu) {
            f.size_wanted = port->mtu;
            f.size_passes = l->mtu;
            net_problems_add(&p->plan->problems, NET_FAULT_LEGS_BELOW_PORT, &f)->healed = true;
        }
    }
}

void planner_check_mtu(struct net_planner *p) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        if (b->n_legs)
            check_base(p, b);
        for (int family = 4; family <= 6; family += 2) {
            const struct net_obs_lease *l = net_observed_lease(p->is, b->name, (enum net_family)family);
            if (!l || !l->interface_mtu || l->interface_mtu == b->mtu)
                continue;
            struct net_fault_facts f = planner_facts(p, b, NULL);
            f.size_wanted = b->mtu;
            f.size_passes = l->interface_mtu;
            net_problems_add(&p->plan->problems, NET_FAULT_DHCP_MTU, &f);
        }
    }
}

static void put_leg_mtu(struct net_step *s, const char *iface, int mtu, bool is_believed) {
    struct net_ovs_op *o = planner_ovs(s, NET_OVS_IFACE_MTU);
    o->n_ifaces = 1;
    str_copy(o->ifaces[0], NET_NAME_SIZE, iface);
    o->mtu = mtu;
    if (is_believed)
        planner_expect(s, NET_EXPECT_MTU, iface, NET_WAIT_SWITCH_MS)->value = mtu;
}

static void put_mtu(struct net_step *s, const char *iface, int mtu) {
    put_leg_mtu(s, iface, mtu, /* is_believed= */ true);
}

static void add_or_drop(struct net_planner *p, struct net_step *s) {
    if (!s->n_ovs) {
        planner_drop(s);
        return;
    }
    planner_expect(s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    planner_add(p, s);
}

/* What a port of ours may have at most: by what is wanted of it, and by the bridge that it sits on until it moves or
 * goes. */
static int port_cap(const struct net_planner *p, const struct net_obs_port *port) {
    const struct net_bridge *b = net_config_bridge(p->wanted, port->name),
                            *home = net_config_bridge(p->wanted, port->bridge);
    int cap = b ? planner_mtu(p, b) : INT_MAX;
    return home && home->purpose != NET_PURPOSE_VLAN ? MIN(cap, planner_mtu(p, home)) : cap;
}

void planner_lower_ports(struct net_planner *p) {
    struct net_step s =
        planner_step(p, NET_OP_OVS, "MTUs fall from the ports down: no port may offer more than its legs");
    /* VLANs sit on the base's port, so they come first. */
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < p->now->n_ports; i++) {
            const struct net_obs_port *port = &p->now->ports[i];
            const struct net_obs_iface *f = net_observed_iface(p->now, port->name);
            const struct net_bridge *b = net_config_bridge(p->wanted, port->name);
            if ((pass == 0) != port->fake_bridge || !f || !str_eq(f->type, "internal") ||
                (b && !planner_can_touch(p, b)) || (!port->ours && !p->options.adopt_foreign))
                continue;
            int cap = port_cap(p, port), has = MAX(f->mtu, f->mtu_request);
            if (has > cap && f->mtu_request != cap)
                put_mtu(&s, port->name, cap);
        }
    add_or_drop(p, &s);
}

/* A leg that no port has yet, or whose kernel value differs from what the switch was told. */
static void raise_in_kernel(struct net_planner *p, const struct net_bridge *b, const char *leg, int mtu) {
    struct net_step s =
        planner_step(p, NET_OP_LINK_MTU, "bridge '%s' wants MTU %d, and its legs come first", b->name, mtu);
    str_copy(s.link, sizeof(s.link), leg);
    s.mtu = mtu;
    planner_expect(&s, NET_EXPECT_MTU, leg, NET_WAIT_KERNEL_MS)->value = mtu;
    s.on_fail = NET_FAIL_FAULT;
    s.fail_code = NET_FAULT_MTU_REFUSED;
    planner_add(p, &s);
}

void planner_raise_legs(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "MTUs rise from the legs up");
    s.on_fail = NET_FAIL_FAULT;
    s.fail_code = NET_FAULT_MTU_REFUSED;
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        net_name legs[NET_MAX_LEGS];
        unsigned n = planner_legs(p, b, legs);
        for (unsigned k = 0; k < n && planner_can_touch(p, b); k++) {
            const struct net_obs_link *l = net_observed_link(p->now, legs[k]);
            /* Without a switch that runs, its rows move nothing. */
            const struct net_obs_iface *f = p->now->switch_running ? net_observed_iface(p->now, legs[k]) : NULL;
            int mtu = planner_leg_mtu(p, b);
            bool by_kernel = !f || (f->mtu_request == mtu && l->max_mtu > 0);
            if (f && f->mtu_request < mtu)
                put_leg_mtu(&s, legs[k], mtu, /* is_believed= */ leg_limit(p, legs[k]) >= mtu);
            else if (by_kernel && l->mtu < mtu && leg_limit(p, legs[k]) >= mtu)
                raise_in_kernel(p, b, legs[k], mtu);
        }
    }
    add_or_drop(p, &s);
}

int planner_mtu_now(const struct net_planner *p, const struct net_bridge *b) {
    const struct net_obs_port *uplink = planner_uplink(p, net_config_base(p->wanted, b)->name);
    int mtu = planner_mtu(p, b);
    for (unsigned k = 0; uplink && p->phase == NET_PHASE_WITH_SWITCH && k < uplink->n_ifaces; k++) {
        const struct net_obs_link *l = net_observed_link(p->now, uplink->ifaces[k]);
        mtu = l ? MIN(mtu, l->mtu) : mtu;
    }
    return mtu;
}

/*
 * While NICs are exchanged a bridge may for some steps live on legs that it does not want and that carry less: its
 * ports hold still at that until the wanted ones are in.
 */
void planner_hold_ports(struct net_planner *p) {
    struct net_step s =
        planner_step(p, NET_OP_OVS, "until the wanted legs are in, the port stays within what the old ones carry");
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i], *base = net_config_base(p->wanted, b);
        const struct net_obs_iface *f = net_observed_iface(p->now, b->name);
        if (!f || !planner_uplink(p, base->name) || !planner_can_touch(p, b))
            continue;
        int mtu = planner_mtu_now(p, b);
        if (MAX(f->mtu, f->mtu_request) > mtu)
            put_mtu(&s, b->name, mtu);
    }
    add_or_drop(p, &s);
}

void planner_raise_ports(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "the legs carry it, so the ports may ask for it");
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
            const struct net_bridge *b = &p->wanted->bridges[i];
            const struct net_obs_iface *f = net_observed_iface(p->now, b->name);
            if ((pass == 1) != (b->purpose == NET_PURPOSE_VLAN) || !f || !planner_can_touch(p, b))
                continue;
            if (f->mtu_request != planner_mtu(p, b))
                put_mtu(&s, b->name, planner_mtu(p, b));
        }
    add_or_drop(p, &s);
}

void planner_lower_legs(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "the ports ask for less now, so the legs may follow");
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        net_name legs[NET_MAX_LEGS];
        unsigned n = planner_legs(p, b, legs);
        for (unsigned k = 0; k < n && planner_can_touch(p, b); k++) {
            const struct net_obs_iface *f = net_observed_iface(p->now, legs[k]);
            int mtu = planner_leg_mtu(p, b);
            if (f && f->mtu_request > mtu)
                put_mtu(&s, legs[k], mtu);
        }
    }
    add_or_drop(p, &s);
}
