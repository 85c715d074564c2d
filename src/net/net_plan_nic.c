/* SPDX-License-Identifier: Apache-2.0 */
/* A NIC is who its permanent MAC says. Only where that MAC is nowhere in the host does the name decide. */
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

const struct net_nic_binding *planner_binding(const struct net_planner *p, const char *nic) {
    for (size_t i = 0; i < p->plan->n_nics; i++)
        if (str_eq(p->plan->nics[i].wanted, nic))
            return &p->plan->nics[i];
    return NULL;
}

const char *planner_link(const struct net_planner *p, const char *nic) {
    const struct net_nic_binding *b = planner_binding(p, nic);
    return b && b->state != NET_NIC_MISSING && b->state != NET_NIC_FOREIGN ? b->link : "";
}

static bool is_bound(const struct net_planner *p, const char *link) {
    for (size_t i = 0; i < p->plan->n_nics; i++)
        if (str_eq(p->plan->nics[i].link, link))
            return true;
    return false;
}

static const struct net_mac *link_identity(const struct net_obs_link *l) {
    return net_mac_is_zero(&l->permanent_mac) ? &l->mac : &l->permanent_mac;
}

static const struct net_bridge *user_of(const struct net_planner *p, const char *nic) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++)
        for (unsigned k = 0; k < p->wanted->bridges[i].n_legs; k++)
            if (str_eq(p->wanted->bridges[i].legs[k], nic))
                return &p->wanted->bridges[i];
    return NULL;
}

/* A NIC that nobody has plugged in because nothing uses its network is no fault. */
static bool is_used(const struct net_config *c, const struct net_bridge *b) {
    bool used = b->purpose == NET_PURPOSE_BOND || b->ip4.mode != NET_IP_NONE || b->ip6.mode != NET_IP_NONE ||
                str_eq(c->management, b->name);
    for (unsigned i = 0; !used && i < c->n_bridges; i++)
        used = c->bridges[i].purpose == NET_PURPOSE_VLAN && str_eq(c->bridges[i].parent, b->name);
    return used;
}

/* With what is left of the bond: no link is one thing for the standby of two, another for the last. */
static void report_no_carrier(struct net_planner *p, const struct net_bridge *b, struct net_fault_facts *f) {
    unsigned n_left = 0;
    const char *left = NULL;
    for (unsigned i = 0; i < b->n_legs; i++) {
        const struct net_nic *nic = net_config_nic(p->wanted, b->legs[i]);
        const struct net_obs_link *l = nic ? net_observed_link_by_mac(p->is, &nic->mac) : NULL;
        if (!l)
            l = net_observed_link(p->is, b->legs[i]);
        if (l && l->carrier) {
            left = b->legs[i];
            n_left++;
        }
    }
    _cleanup_free_ char *detail = b->purpose != NET_PURPOSE_BOND ? NULL
                                  : n_left == 1                  ? strf("the bond goes on with leg '%s' alone", left)
                                                : strf("%u of the bond's %u legs have one", n_left, b->n_legs);
    f->detail = detail;
    net_problems_add(&p->plan->problems, NET_FAULT_NO_CARRIER, f);
    f->detail = NULL;
}

static void report(struct net_planner *p, const struct net_nic_binding *n) {
    const struct net_bridge *b = user_of(p, n->wanted);
    if (!b)
        return; /* nobody uses it: no fault of the network */
    struct net_fault_facts f = planner_facts(p, b, n->wanted);
    char mac[NET_MAC_TEXT_SIZE];
    switch (n->state) {
    case NET_NIC_MISSING:
        net_problems_add(&p->plan->problems, NET_FAULT_NIC_MISSING, &f);
        return;
    case NET_NIC_REPLACED:
        f.detail = net_mac_text(&n->mac, mac);
        net_problems_add(&p->plan->problems, NET_FAULT_NIC_REPLACED, &f);
        break;
    case NET_NIC_MOVED:
        f.detail = n->link;
        net_problems_add(&p->plan->problems, NET_FAULT_NIC_MOVED, &f);
        break;
    case NET_NIC_FOREIGN:
        f.detail = net_observed_port_of_iface(p->is, n->link)->bridge;
        net_problems_add(&p->plan->problems, NET_FAULT_NIC_FOREIGN, &f);
        return;
    case NET_NIC_FOUND:
        break;
    }
    const struct net_obs_link *l = net_observed_link(p->is, n->link);
    if (l->up && !l->carrier && is_used(p->wanted, b))
        report_no_carrier(p, b, &f);
}

void planner_bind_nics(struct net_planner *p) {
    const struct net_config *w = p->wanted;
    p->plan->nics = w->n_nics ? xcalloc(w->n_nics, sizeof(*p->plan->nics)) : NULL;
    p->plan->n_nics = w->n_nics;
    for (unsigned i = 0; i < w->n_nics; i++) {
        struct net_nic_binding *n = &p->plan->nics[i];
        str_copy(n->wanted, sizeof(n->wanted), w->nics[i].name);
        n->state = NET_NIC_MISSING;
        const struct net_obs_link *l = net_observed_link_by_mac(p->is, &w->nics[i].mac);
        if (l && !is_bound(p, l->name)) {
            str_copy(n->link, sizeof(n->link), l->name);
            n->mac = *link_identity(l);
            n->state = str_eq(l->name, n->wanted) ? NET_NIC_FOUND : NET_NIC_MOVED;
        }
    }
    /* What is left goes by name, if no other wanted NIC owns that link by its MAC. */
    for (unsigned i = 0; i < w->n_nics; i++) {
        struct net_nic_binding *n = &p->plan->nics[i];
        const struct net_obs_link *l = net_observed_link(p->is, n->wanted);
        if (n->state != NET_NIC_MISSING || !l || l->kind != NET_LINK_PHYSICAL || is_bound(p, l->name))
            continue;
        str_copy(n->link, sizeof(n->link), l->name);
        n->mac = *link_identity(l);
        n->state = net_mac_is_zero(&w->nics[i].mac) ? NET_NIC_FOUND : NET_NIC_REPLACED;
    }
    for (unsigned i = 0; i < w->n_nics; i++) {
        struct net_nic_binding *n = &p->plan->nics[i];
        const struct net_obs_port *port = n->link[0] ? net_observed_port_of_iface(p->is, n->link) : NULL;
        const struct net_obs_bridge *b = port ? net_observed_bridge(p->is, port->bridge) : NULL;
        if (port && !port->ours && !(p->options.adopt_foreign && b && net_config_bridge(w, b->name)))
            n->state = NET_NIC_FOREIGN;
        report(p, n);
    }
}

unsigned planner_legs(const struct net_planner *p, const struct net_bridge *b, net_name ret[static NET_MAX_LEGS]) {
    unsigned n = 0;
    for (unsigned i = 0; i < b->n_legs; i++) {
        const char *link = planner_link(p, b->legs[i]);
        if (link[0])
            str_copy(ret[n++], NET_NAME_SIZE, link);
    }
    return n;
}

const char *planner_primary(const struct net_planner *p, const struct net_bridge *b) {
    const char *link = planner_link(p, net_bridge_primary_leg(b));
    for (unsigned i = 0; !link[0] && i < b->n_legs; i++)
        link = planner_link(p, b->legs[i]);
    return link;
}

/*
 * The MAC follows the rule when the bridge is made. Later it stays with whichever leg it came from: neighbours know it,
 * and another primary leg is no reason to make them learn anew.
 */
struct net_mac planner_bridge_mac(const struct net_planner *p, const struct net_bridge *b) {
    const struct net_bridge *base = net_config_base(p->wanted, b);
    if (b->hwaddr_rule == NET_HWADDR_FIXED)
        return b->hwaddr;
    if (base != b)
        return planner_bridge_mac(p, base);
    const struct net_obs_bridge *o = net_observed_bridge(p->now, b->name);
    struct net_mac primary = {0};
    for (unsigned i = 0; i < b->n_legs; i++) {
        const struct net_nic_binding *n = planner_binding(p, b->legs[i]);
        if (!n || !planner_link(p, b->legs[i])[0])
            continue;
        if (o && net_mac_eq(&o->hwaddr, &n->mac))
            return o->hwaddr;
        if (str_eq(n->link, planner_primary(p, b)))
            primary = n->mac;
    }
    if (net_mac_is_zero(&primary) && o)
        return o->hwaddr; /* no NIC is there: keep */
    return primary;
}

struct net_ovs_bond planner_bond(const struct net_planner *p, const struct net_bridge *b) {
    struct net_ovs_bond bond = net_bridge_ovs_bond(b);
    str_copy(bond.primary, sizeof(bond.primary), planner_primary(p, b));
    return bond;
}

bool planner_can_touch(const struct net_planner *p, const struct net_bridge *b) {
    if (p->options.adopt_foreign)
        return true;
    const struct net_obs_bridge *o = net_observed_bridge(p->now, b->name);
    if (o)
        return o->ours;
    const struct net_obs_port *port = net_observed_port(p->now, b->name);
    if (port && !port->ours)
        return false;
    const struct net_bridge *base = net_config_base(p->wanted, b);
    if (base != b)
        return planner_can_touch(p, base);
    const struct net_obs_link *l = net_observed_link(p->now, b->name);
    return !l || l->kind == NET_LINK_SWITCH;
}
