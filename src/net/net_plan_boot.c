/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot: NICs and the switch's database are prepared from the bottom up before the switch runs, in one transaction that
 * replaces whatever of ours the database held. Then the switch starts, and the plan goes on as a live one.
 */
#include "base/str.h"
#include "net/net_planner.h"

static void forget_old(struct net_planner *p, struct net_step *s) {
    for (unsigned i = 0; i < p->now->n_bridges; i++) {
        const struct net_obs_bridge *o = &p->now->bridges[i];
        if (!o->ours && !(p->options.adopt_foreign && net_config_bridge(p->wanted, o->name)))
            continue;
        struct net_ovs_op *op = planner_ovs(s, NET_OVS_BRIDGE_DEL);
        str_copy(op->bridge, sizeof(op->bridge), o->name);
    }
}

static void expect_all(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_WAIT, "the switch has started and made what its database says");
    planner_expect(&s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    s.on_fail = NET_FAIL_FAULT;
    s.fail_code = NET_FAULT_STEP_FAILED;
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        net_name legs[NET_MAX_LEGS];
        if (!planner_can_touch(p, b))
            continue;
        unsigned n = planner_legs(p, b, legs);
        for (unsigned k = 0; k < n; k++)
            planner_expect(&s, NET_EXPECT_IFACE_OK, legs[k], NET_WAIT_SWITCH_MS);
        planner_expect(&s, NET_EXPECT_LINK_EXISTS, b->name, NET_WAIT_SWITCH_MS);
    }
    planner_add(p, &s);
    struct net_step m = planner_step(p, NET_OP_WAIT, "an MTU is what is read back, not what was asked for");
    m.on_fail = NET_FAIL_FAULT;
    m.fail_code = NET_FAULT_MTU_REFUSED;
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        net_name legs[NET_MAX_LEGS];
        if (!planner_can_touch(p, b))
            continue;
        unsigned n = planner_legs(p, b, legs);
        for (unsigned k = 0; k < n; k++) {
            const struct net_obs_iface *f = net_observed_iface(p->now, legs[k]);
            if (f && f->mtu == f->mtu_request)
                planner_expect(&m, NET_EXPECT_MTU, legs[k], NET_WAIT_SWITCH_MS)->value = f->mtu;
        }
        planner_expect(&m, NET_EXPECT_MTU, b->name, NET_WAIT_SWITCH_MS)->value = planner_mtu(p, b);
    }
    if (m.n_expects)
        planner_add(p, &m);
    else
        planner_drop(&m);
}

void planner_boot(struct net_planner *p) {
    p->phase = NET_PHASE_BEFORE_SWITCH;
    p->now->switch_running = false;
    planner_raise_legs(p); /* by the kernel: the database's rows do not count yet */
    struct net_step s =
        planner_step(p, NET_OP_OVS, "the switch's database gets the whole plan; what it held was never proven");
    forget_old(p, &s);
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
            const struct net_bridge *b = &p->wanted->bridges[i];
            if ((pass == 1) != (b->purpose == NET_PURPOSE_VLAN) || !planner_can_touch(p, b))
                continue;
            if (pass == 1) {
                planner_put_vlan(p, &s, b);
                continue;
            }
            planner_put_bridge(p, &s, b);
            net_name legs[NET_MAX_LEGS];
            unsigned n = planner_legs(p, b, legs);
            if (n)
                planner_put_uplink(p, &s, b, legs, n);
        }
    if (s.n_ovs)
        planner_add(p, &s);
    else
        planner_drop(&s);
    p->now->switch_running = true;
    net_model_settle(p->now);
    p->phase = NET_PHASE_WITH_SWITCH;
    expect_all(p);
}
