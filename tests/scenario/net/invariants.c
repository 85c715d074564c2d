/* SPDX-License-Identifier: Apache-2.0 */
#include "invariants.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"

static bool is_nic(const struct net_observed *o, const char *iface) {
    const struct net_obs_link *l = net_observed_link(o, iface);
    return l && l->kind == NET_LINK_PHYSICAL;
}

/* Whether a bridge has a NIC of its own; ret_mtu: the smallest MTU among them. */
static bool has_uplink(const struct net_observed *o, const char *bridge, int *ret_mtu) {
    bool found = false;
    for (unsigned i = 0; i < o->n_ports; i++)
        for (unsigned k = 0; k < o->ports[i].n_ifaces; k++) {
            const struct net_obs_port *p = &o->ports[i];
            if (!str_eq(p->bridge, bridge) || !is_nic(o, p->ifaces[k]))
                continue;
            int mtu = net_observed_link(o, p->ifaces[k])->mtu;
            *ret_mtu = found ? MIN(*ret_mtu, mtu) : mtu;
            found = true;
        }
    return found;
}

/* The bridge at the other end of a patch port on `bridge`; NULL. */
static const char *patched_to(const struct net_observed *o, const char *bridge) {
    for (unsigned i = 0; i < o->n_ports; i++) {
        const struct net_obs_iface *f = net_observed_iface(o, o->ports[i].ifaces[0]);
        if (!str_eq(o->ports[i].bridge, bridge) || !f || !str_eq(f->type, "patch"))
            continue;
        const struct net_obs_port *peer = net_observed_port_of_iface(o, f->peer);
        const struct net_obs_iface *back = peer ? net_observed_iface(o, f->peer) : NULL;
        if (back && str_eq(back->type, "patch") && str_eq(back->peer, f->name))
            return peer->bridge;
    }
    return NULL;
}

/* MTU of the way from this link to a NIC; 0: there is none. */
static int way_out(const struct net_observed *o, const char *link) {
    int mtu;
    if (is_nic(o, link))
        return net_observed_link(o, link)->mtu;
    const char *bridge = net_model_real_bridge(o, link);
    if (!bridge)
        return 0;
    if (has_uplink(o, bridge, &mtu))
        return mtu;
    const char *other = patched_to(o, bridge);
    return other && has_uplink(o, other, &mtu) ? mtu : 0;
}

static const char *link_of(const struct net_observed *o, const struct net_addr *a) {
    for (unsigned i = 0; i < o->n_addrs; i++)
        if (a->family && net_addr_eq(&o->addrs[i].addr, a))
            return o->addrs[i].link;
    return NULL;
}

static struct net_addr wanted_management(const struct net_config *c) {
    const struct net_bridge *m = net_config_management(c);
    if (!m)
        return (struct net_addr){0};
    return m->ip4.mode == NET_IP_STATIC ? m->ip4.address : m->ip6.address;
}

/* A port that bears an address and offers more than its way out carries. */
static const char *black_hole(const struct net_observed *o) {
    for (unsigned i = 0; i < o->n_addrs; i++) {
        const struct net_obs_link *l = net_observed_link(o, o->addrs[i].link);
        int mtu = way_out(o, o->addrs[i].link);
        if (l && l->kind == NET_LINK_SWITCH && l->up && mtu && l->mtu > mtu)
            return l->name;
    }
    return NULL;
}

void invariants_init(struct invariants *v, const struct net_config *wanted, const struct net_observed *start) {
    *v = (struct invariants){.wanted = wanted, .start = start};
    for (unsigned i = 0; i < start->n_routes && !v->management.family; i++)
        for (unsigned k = 0; k < start->n_addrs; k++)
            if (start->routes[i].mtu_lock && str_eq(start->routes[i].dev, start->addrs[k].link) &&
                !net_addr_is_link_local(&start->addrs[k].addr))
                v->management = start->addrs[k].addr;
    const char *link = link_of(start, &v->management);
    v->was_reachable = link && way_out(start, link) > 0;
    v->was_black_hole = black_hole(start) != NULL;
    const struct net_obs_port *port = link ? net_observed_port(start, link) : NULL;
    const struct net_bridge *b = link ? net_config_bridge(wanted, link) : NULL;
    bool kind_changes = b && port && port->fake_bridge != (b->purpose == NET_PURPOSE_VLAN);
    v->may_go_dark = kind_changes || (port && port->fake_bridge && b && !str_eq(b->parent, port->bridge));
}

/* Guests may travel with their bridge, nothing else of what is not ours may change. */
static char *check_foreign(const struct net_observed *start, const struct net_observed *now) {
    for (unsigned i = 0; i < start->n_bridges; i++) {
        const struct net_obs_bridge *a = &start->bridges[i], *b = net_observed_bridge(now, a->name);
        if (!a->ours && (!b || b->ours || !net_mac_eq(&a->hwaddr, &b->hwaddr)))
            return strf("foreign bridge '%s' was touched", a->name);
    }
    for (unsigned i = 0; i < start->n_ports; i++) {
        const struct net_obs_port *a = &start->ports[i], *b = net_observed_port(now, a->name);
        if (a->ours)
            continue;
        const struct net_obs_bridge *home = net_observed_bridge(start, a->bridge);
        if (!b || b->ours || a->tag != b->tag || a->n_ifaces != b->n_ifaces || !str_eq(a->ifaces[0], b->ifaces[0]))
            return strf("foreign port '%s' was touched", a->name);
        if (!str_eq(a->bridge, b->bridge) && (!home || !home->ours))
            return strf("port '%s' of a foreign bridge was moved", a->name);
    }
    for (unsigned i = 0; i < start->n_links; i++) {
        const struct net_obs_link *a = &start->links[i], *b = net_observed_link(now, a->name);
        if (a->kind == NET_LINK_OTHER && (!b || b->mtu != a->mtu || b->up != a->up))
            return strf("foreign link '%s' was touched", a->name);
    }
    return NULL;
}

static char *check_loop(const struct net_observed *now) {
    int mtu;
    for (unsigned i = 0; i < now->n_bridges; i++) {
        const char *other = patched_to(now, now->bridges[i].name);
        if (other && has_uplink(now, now->bridges[i].name, &mtu) && has_uplink(now, other, &mtu))
            return strf("bridges '%s' and '%s' are joined and both have an uplink: a loop", now->bridges[i].name,
                        other);
    }
    return NULL;
}

static char *check_management(struct invariants *v, const struct net_observed *now) {
    struct net_addr next = wanted_management(v->wanted);
    const char *a = link_of(now, &v->management), *b = link_of(now, &next);
    if (!v->management.family || v->may_go_dark)
        return NULL;
    const struct net_bridge *m = net_config_management(v->wanted);
    if (m && m->ip4.mode != NET_IP_STATIC && m->ip6.mode != NET_IP_STATIC)
        return NULL; /* a lease decides */
    if (!a && !b)
        return xstrdup("the management address is nowhere");
    /* An address that stays must answer all the time; one that is replaced cannot. */
    if (v->was_reachable && net_addr_eq(&v->management, &next) && !way_out(now, a))
        return strf("management on '%s' has no way to a NIC", a ? a : b);
    return NULL;
}

char *invariants_check(struct invariants *v, const struct net_observed *now, bool in_batch) {
    char *wrong = check_foreign(v->start, now);
    wrong = wrong ? wrong : check_loop(now);
    wrong = wrong ? wrong : check_management(v, now);
    const char *hole = black_hole(now);
    if (!wrong && hole && !v->was_black_hole)
        wrong = strf("port '%s' offers more than its way out carries", hole);
    v->was_black_hole = v->was_black_hole && hole;
    (void)in_batch;
    return wrong;
}

char *invariants_check_end(struct invariants *v, const struct net_observed *now,
                           const struct net_plan_options *options) {
    const char *m = v->wanted->management;
    for (unsigned i = 0; m[0] && i < now->n_routes; i++)
        if (str_eq(now->routes[i].dev, m) &&
            !(now->routes[i].mtu_lock && now->routes[i].mtu <= v->wanted->control_size))
            return xstrdup("a route out of the management bridge is not locked");
    if (black_hole(now))
        return strf("port '%s' ends as a black hole", black_hole(now));
    struct net_plan_options again = *options;
    again.mode = NET_PLAN_LIVE;
    _cleanup_net_plan_ struct net_plan plan = {0};
    _cleanup_error_ struct error *e = NULL;
    if (!net_plan_compute(v->wanted, now, &again, &plan, &e))
        return strf("planning again fails: %s", error_text(e));
    if (plan.n_steps) {
        _cleanup_free_ char *text = net_plan_text(&plan);
        return strf("a second plan is not empty:\n%s", text);
    }
    return NULL;
}

char *invariants_run(struct invariants *v, struct net_observed *now, const struct net_plan *plan, size_t n) {
    for (size_t i = 0; i < n && i < plan->n_steps; i++) {
        const struct net_step *s = &plan->steps[i];
        if (s->phase == NET_PHASE_WITH_SWITCH && !now->switch_running) {
            now->switch_running = true;
            net_model_settle(now);
        }
        int r = net_model_apply(now, s);
        char *wrong = r < 0 && s->on_fail == NET_FAIL_STOP ? strf("fails: %s", strerror(-r)) : NULL;
        for (unsigned k = 0; !wrong && r == 0 && k < s->n_expects && s->on_fail == NET_FAIL_STOP; k++)
            if (!net_model_holds(now, &s->expects[k])) {
                _cleanup_free_ char *text = net_expect_text(&s->expects[k]);
                wrong = strf("does not lead to '%s'", text);
            }
        if (!wrong)
            wrong = invariants_check(v, now, s->batch != 0);
        if (!wrong)
            continue;
        _cleanup_free_ char *text = net_step_text(s), *all = net_plan_text(plan);
        char *ret = strf("step %zu (%s): %s\nof the plan\n%s", i + 1, text, wrong, all);
        free(wrong);
        return ret;
    }
    return NULL;
}
