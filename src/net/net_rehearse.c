/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_rehearse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_model.h"

/* ---- the boot ---- */

struct net_observed *net_observed_after_cut(const struct net_observed *is) {
    struct net_observed *o = net_observed_copy(is);
    unsigned n = 0;
    for (unsigned i = 0; i < o->n_links; i++) {
        struct net_obs_link l = o->links[i];
        if (l.kind != NET_LINK_PHYSICAL && l.kind != NET_LINK_LOOPBACK)
            continue;
        if (l.kind == NET_LINK_PHYSICAL) {
            l.up = false;
            l.mtu = l.max_mtu ? MIN(NET_MTU_DEFAULT, l.max_mtu) : NET_MTU_DEFAULT;
            if (!net_mac_is_zero(&l.permanent_mac))
                l.mac = l.permanent_mac;
        }
        o->links[n++] = l;
    }
    o->n_links = n;
    o->n_addrs = o->n_routes = 0;
    for (unsigned i = 0; i < o->n_leases; i++)
        o->leases[i].client_running = false;
    for (unsigned i = 0; i < o->n_ports; i++)
        o->ports[i].active_leg[0] = '\0';
    for (unsigned i = 0; i < o->n_ifaces; i++) {
        o->ifaces[i].mtu = o->ifaces[i].ofport = 0;
        o->ifaces[i].error[0] = '\0';
    }
    o->switch_running = o->switch_settled = false;
    return o;
}

void net_rehearsal_done(struct net_rehearsal *r) {
    net_observed_free(r->then);
    net_problems_done(&r->problems);
    *r = (struct net_rehearsal){0};
}

static void add_step_problem(struct net_rehearsal *r, const struct net_config *c, const struct net_step *s,
                             const char *why) {
    _cleanup_free_ char *text = net_step_text(s);
    _cleanup_free_ char *detail = strf("the step '%s' would fail: %s", text, why);
    struct net_fault_facts facts = {.host = c->host_name, .vlan = -1, .detail = detail};
    net_problems_add(&r->problems, NET_FAULT_STEP_FAILED, &facts);
}

/* What the switch does when it starts lies between the phases. */
static void play(struct net_rehearsal *r, const struct net_config *c, const struct net_plan *plan) {
    bool started = false;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct net_step *s = &plan->steps[i];
        if (s->phase == NET_PHASE_WITH_SWITCH && !started) {
            r->then->switch_running = true;
            net_model_settle(r->then);
            started = true;
        }
        int e = net_model_apply(r->then, s);
        if (e < 0 && s->on_fail != NET_FAIL_IGNORE)
            add_step_problem(r, c, s, strerror(-e));
        for (unsigned k = 0; e == 0 && k < s->n_expects; k++) {
            _cleanup_free_ char *text = net_expect_text(&s->expects[k]);
            if (!net_model_holds(r->then, &s->expects[k]) && s->on_fail == NET_FAIL_STOP)
                add_step_problem(r, c, s, text);
        }
    }
}

bool net_rehearse(const struct net_config *config, const struct net_observed *is, struct net_rehearsal *ret,
                  struct error **errp) {
    _cleanup_net_observed_ struct net_observed *cut = net_observed_after_cut(is);
    _cleanup_net_plan_ struct net_plan plan = {0};
    struct net_plan_options options = {.mode = NET_PLAN_BOOT};
    if (!net_plan_compute(config, cut, &options, &plan, errp))
        return false;
    *ret = (struct net_rehearsal){.then = TAKE(cut)};
    for (size_t i = 0; i < plan.problems.n; i++) {
        struct net_problem *p = &plan.problems.items[i];
        if (p->healed)
            continue;
        ret->problems.items = xrealloc(ret->problems.items, (ret->problems.n + 1) * sizeof(*ret->problems.items));
        ret->problems.items[ret->problems.n++] = *p;
        p->text = p->cure = NULL; /* moved */
    }
    play(ret, config, &plan);
    return true;
}

/* ---- then and now ---- */

void net_differences_done(struct net_differences *d) {
    for (size_t i = 0; i < d->n; i++)
        free(d->items[i].text);
    free(d->items);
    *d = (struct net_differences){0};
}

struct comparison {
    const struct net_config *config;
    const struct net_observed *is, *then;
    struct net_differences *ret;
};

static bool is_management(const struct net_config *c, const struct net_bridge *b) {
    const struct net_bridge *m = net_config_management(c);
    return m && (b == m || b == net_config_base(c, m));
}

_printf_(4, 5) static struct net_difference *differs(struct comparison *c, const char *name,
                                                     const struct net_bridge *bridge, const char *format, ...) {
    va_list args;
    char text[400];
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    c->ret->items = xrealloc(c->ret->items, (c->ret->n + 1) * sizeof(*c->ret->items));
    struct net_difference *d = &c->ret->items[c->ret->n++];
    *d = (struct net_difference){.is_management = is_management(c->config, bridge), .text = xstrdup(text)};
    (void)net_name_set(d->name, name);
    return d;
}

static void compare_link(struct comparison *c, const char *name, const char *what, const struct net_bridge *bridge) {
    const struct net_obs_link *is = net_observed_link(c->is, name), *then = net_observed_link(c->then, name);
    if (!then)
        return; /* a NIC that is missing is a problem of the boot, not a difference */
    if (!is) {
        differs(c, name, bridge, "%s '%s' is not there now; a boot would make it", what, name);
        return;
    }
    if (is->mtu != then->mtu)
        differs(c, name, bridge, "%s '%s' has MTU %d now; a boot would make it %d", what, name, is->mtu, then->mtu);
    if (is->up != then->up)
        differs(c, name, bridge, "%s '%s' is switched %s now; a boot would switch it %s", what, name,
                is->up ? "on" : "off", then->up ? "on" : "off");
}

static bool has_iface(const struct net_obs_port *p, const char *name) {
    for (unsigned i = 0; i < p->n_ifaces; i++)
        if (str_eq(p->ifaces[i], name))
            return true;
    return false;
}

static void list_ifaces(const struct net_obs_port *p, struct buf *ret) {
    for (unsigned i = 0; i < p->n_ifaces; i++)
        buf_addf(ret, "%s%s", i ? ", " : "", p->ifaces[i]);
}

/* The Port row of a bridge's legs, found by the first leg that has one. */
static const struct net_obs_port *uplink(const struct net_observed *o, const struct net_obs_port *like) {
    for (unsigned i = 0; i < like->n_ifaces; i++) {
        const struct net_obs_port *p = net_observed_port_of_iface(o, like->ifaces[i]);
        if (p)
            return p;
    }
    return NULL;
}

static void compare_port(struct comparison *c, const struct net_bridge *b, const struct net_obs_port *then) {
    const struct net_obs_port *is = uplink(c->is, then);
    if (!is || !str_eq(is->bridge, then->bridge)) {
        differs(c, b->name, b, "the legs of bridge '%s' are %s%s%s now; a boot would put them in", b->name,
                is ? "in bridge '" : "in no bridge", is ? is->bridge : "", is ? "'" : "");
        return;
    }
    bool same = is->n_ifaces == then->n_ifaces;
    for (unsigned i = 0; i < then->n_ifaces; i++)
        same = same && has_iface(is, then->ifaces[i]);
    _cleanup_buf_ struct buf now = BUF_INIT, later = BUF_INIT;
    list_ifaces(is, &now);
    list_ifaces(then, &later);
    if (!same)
        differs(c, b->name, b, "bridge '%s' has the legs %s now; a boot would give it %s", b->name, buf_str(&now),
                buf_str(&later));
    else if (then->n_ifaces > 1 && is->bond.mode != then->bond.mode)
        differs(c, b->name, b, "the bond of bridge '%s' has mode %s now; a boot would make it %s", b->name,
                net_ovs_bond_mode_text(is->bond.mode), net_ovs_bond_mode_text(then->bond.mode));
    if (is->tag != then->tag)
        differs(c, b->name, b, "the port of bridge '%s' has VLAN %d now; a boot would make it %d", b->name, is->tag,
                then->tag);
}

static void compare_static(struct comparison *c, const struct net_bridge *b, const struct net_ip *ip) {
    char text[NET_ADDR_TEXT_SIZE];
    if (ip->mode != NET_IP_STATIC || !net_observed_has_addr(c->then, b->name, &ip->address) ||
        net_observed_has_addr(c->is, b->name, &ip->address))
        return;
    differs(c, b->name, b, "bridge '%s' does not have the address %s now; a boot would give it", b->name,
            net_addr_text(&ip->address, /* with_prefix= */ true, text));
}

/* What was added by hand would be gone. */
static void compare_extra(struct comparison *c, const struct net_bridge *b) {
    char text[NET_ADDR_TEXT_SIZE], gateway[NET_ADDR_TEXT_SIZE];
    for (unsigned i = 0; i < c->is->n_addrs; i++) {
        const struct net_obs_addr *a = &c->is->addrs[i];
        if (str_eq(a->link, b->name) && !a->dynamic && !net_addr_is_link_local(&a->addr) &&
            !net_observed_has_addr(c->then, b->name, &a->addr) && b->ip4.mode != NET_IP_DHCP)
            differs(c, b->name, b, "bridge '%s' has the address %s now, which a boot would not give it", b->name,
                    net_addr_text(&a->addr, /* with_prefix= */ true, text))
                ->is_less = true;
    }
    for (unsigned i = 0; i < c->is->n_routes; i++) {
        const struct net_route *r = &c->is->routes[i];
        bool by_hand = r->proto == NET_ROUTE_PROTO_BOOT || r->proto == NET_ROUTE_PROTO_STATIC, found = false;
        for (unsigned k = 0; k < c->then->n_routes; k++)
            found = found || (net_addr_eq(&c->then->routes[k].dst, &r->dst) && str_eq(c->then->routes[k].dev, r->dev));
        if (str_eq(r->dev, b->name) && by_hand && !found && b->ip4.mode != NET_IP_DHCP)
            differs(c, b->name, b, "there is a route to %s%s%s by '%s' now, which a boot would not make",
                    net_addr_text(&r->dst, /* with_prefix= */ true, text), r->gateway.family ? " via " : "",
                    r->gateway.family ? net_addr_text(&r->gateway, /* with_prefix= */ false, gateway) : "", b->name)
                ->is_less = true;
    }
}

void net_rehearse_compare(const struct net_config *config, const struct net_observed *is,
                          const struct net_observed *then, struct net_differences *ret) {
    struct comparison c = {.config = config, .is = is, .then = then, .ret = ret};
    for (unsigned i = 0; i < config->n_bridges; i++) {
        const struct net_bridge *b = &config->bridges[i];
        for (unsigned k = 0; k < then->n_ports; k++) {
            const struct net_obs_port *p = &then->ports[k];
            bool is_uplink = p->ours && str_eq(p->bridge, b->name) && !p->fake_bridge && !str_eq(p->name, b->name);
            for (unsigned l = 0; is_uplink && l < p->n_ifaces; l++)
                compare_link(&c, p->ifaces[l], "NIC", b);
            if (is_uplink)
                compare_port(&c, b, p);
        }
        compare_link(&c, b->name, "bridge", b);
        compare_static(&c, b, &b->ip4);
        compare_static(&c, b, &b->ip6);
        compare_extra(&c, b);
    }
}
