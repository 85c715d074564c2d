/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_plan.h"

#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

void net_plan_done(struct net_plan *p) {
    for (size_t i = 0; i < p->n_steps; i++)
        planner_drop(&p->steps[i]);
    free(p->steps);
    free(p->nics);
    free(p->bridges);
    net_problems_done(&p->problems);
    *p = (struct net_plan){0};
}

static void mark_bridge(struct net_planner *p, const char *real) {
    planner_mark_management(p, real);
    for (unsigned i = 0; i < p->is->n_ports; i++)
        if (str_eq(p->is->ports[i].bridge, real) && p->is->ports[i].ours && !p->is->ports[i].fake_bridge) {
            planner_mark_management(p, p->is->ports[i].name);
            for (unsigned k = 0; k < p->is->ports[i].n_ifaces; k++)
                planner_mark_management(p, p->is->ports[i].ifaces[k]);
        }
}

/* What carries management now, and what shall: the same address elsewhere counts as now. */
static void mark_management(struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    if (!m)
        return;
    const struct net_bridge *base = net_config_base(p->wanted, m);
    planner_mark_management(p, m->name);
    planner_mark_management(p, base->name);
    net_name legs[NET_MAX_LEGS];
    unsigned n = planner_legs(p, base, legs);
    for (unsigned i = 0; i < n; i++)
        planner_mark_management(p, legs[i]);
    if (base->purpose == NET_PURPOSE_BOND)
        planner_mark_management(p, base->bond.name);
    mark_bridge(p, base->name);
    for (unsigned i = 0; i < p->is->n_addrs; i++) {
        const struct net_obs_addr *a = &p->is->addrs[i];
        const struct net_obs_lease *lease = net_observed_lease(p->is, a->link, a->addr.family);
        bool is_same = net_addr_eq(&a->addr, &m->ip4.address) || net_addr_eq(&a->addr, &m->ip6.address) ||
                       (lease && (m->ip4.mode == NET_IP_DHCP || m->ip6.mode == NET_IP_DHCP));
        /* A locked route is our own mark of where management was. */
        for (unsigned k = 0; k < p->is->n_routes && !is_same; k++)
            is_same = str_eq(p->is->routes[k].dev, a->link) && p->is->routes[k].mtu_lock;
        if (!is_same)
            continue;
        planner_mark_management(p, a->link);
        const char *real = net_model_real_bridge(p->is, a->link);
        if (real)
            mark_bridge(p, real);
    }
    planner_mark_management(p, NET_PATCH_OLD);
    planner_mark_management(p, NET_PATCH_NEW);
}

static void legs_up(struct net_planner *p) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        net_name legs[NET_MAX_LEGS];
        unsigned n = planner_can_touch(p, b) ? planner_legs(p, b, legs) : 0;
        for (unsigned k = 0; k < n; k++)
            planner_add_link_up(p, legs[k], "a leg must be up before a bridge uses it");
    }
}

/* True when its last announcement came after the last change of the switch. */
static bool is_announced(const struct net_planner *p, const char *link) {
    for (size_t i = p->plan->n_steps; i-- > 0;) {
        const struct net_step *s = &p->plan->steps[i];
        if (s->op == NET_OP_OVS)
            return false;
        if (s->op == NET_OP_GARP && str_eq(s->link, link))
            return true;
    }
    return false;
}

static void announce(struct net_planner *p) {
    for (unsigned i = 0; i < p->n_moved_to; i++)
        if (!is_announced(p, p->moved_to[i]))
            planner_add_garp(p, p->moved_to[i], "neighbours and switches hear where the address is");
}

static void note_outcomes(struct net_planner *p) {
    const struct net_config *w = p->wanted;
    p->plan->n_bridges = w->n_bridges;
    p->plan->bridges = w->n_bridges ? xcalloc(w->n_bridges, sizeof(*p->plan->bridges)) : NULL;
    for (unsigned i = 0; i < w->n_bridges; i++) {
        struct net_bridge_outcome *o = &p->plan->bridges[i];
        str_copy(o->name, sizeof(o->name), w->bridges[i].name);
        if (!planner_can_touch(p, &w->bridges[i]))
            continue;
        o->mtu = planner_mtu(p, &w->bridges[i]);
        o->n_legs = planner_legs(p, &w->bridges[i], o->legs);
    }
}

bool net_plan_compute(const struct net_config *wanted, const struct net_observed *is,
                      const struct net_plan_options *options, struct net_plan *ret, struct error **errp) {
    if (!net_config_validate(wanted, errp))
        return false;
    struct net_plan plan = {0};
    struct net_planner p = {
        .wanted = wanted,
        .is = is,
        .options = options ? *options : (struct net_plan_options){0},
        .now = net_observed_copy(is),
        .plan = &plan,
        .phase = NET_PHASE_WITH_SWITCH,
    };
    planner_bind_nics(&p);
    mark_management(&p);
    planner_check_mtu(&p);
    planner_check_routes(&p);

    if (p.options.mode == NET_PLAN_BOOT) {
        p.phase = NET_PHASE_BEFORE_SWITCH;
        legs_up(&p);
        planner_boot(&p);
    }
    planner_lower_ports(&p);
    legs_up(&p);
    planner_raise_legs(&p);
    planner_hold_ports(&p);
    planner_switch(&p);
    planner_raise_ports(&p);
    planner_lower_legs(&p);
    planner_addresses(&p);
    planner_routes(&p);
    planner_dns(&p);
    announce(&p);
    planner_leftovers(&p);
    planner_routes(&p); /* links that went took routes with them */
    note_outcomes(&p);

    net_observed_free(p.now);
    free(p.management);
    free(p.moved_to);
    *ret = plan;
    return true;
}
