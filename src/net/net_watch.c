/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "net/net_observe.h"

#define ASK_MS 300
#define MAX_SIGHTS 64
#define FORGET_AFTER 2 /* looks without it */

/* In how many looks in a row something must be seen before it is told. */
enum patience { TWICE = 2, THRICE = 3 };

struct sight {
    enum net_fault code;
    net_name place;
    unsigned seen, missed;
    bool is_now;
    unsigned patience;
    char *text, *cure;
    net_name nic, bridge;
};

struct net_watch {
    struct sight sights[MAX_SIGHTS];
    unsigned n;
};

struct look {
    struct net_watch *w;
    const struct net_watch_in *in;
    struct link_infos links;
    struct link_addresses addresses;
    struct link_routes routes;
};

struct net_watch *net_watch_new(void) {
    return xnew0(struct net_watch);
}

static void forget(struct net_watch *w, unsigned i) {
    free(w->sights[i].text);
    free(w->sights[i].cure);
    w->sights[i] = w->sights[--w->n];
}

void net_watch_free(struct net_watch *w) {
    if (!w)
        return;
    while (w->n)
        forget(w, 0);
    free(w);
}

static void saw(struct look *l, enum net_fault code, const char *place, unsigned patience,
                const struct net_fault_facts *facts) {
    struct net_watch *w = l->w;
    struct net_problems one = {0};
    unsigned i = 0;
    while (i < w->n && !(w->sights[i].code == code && str_eq(w->sights[i].place, place)))
        i++;
    if (i == MAX_SIGHTS)
        return;
    struct sight *s = &w->sights[i];
    if (i == w->n) {
        *s = (struct sight){.code = code};
        str_copy(s->place, sizeof(s->place), place);
        w->n++;
    }
    net_problems_add(&one, code, facts);
    free(s->text);
    free(s->cure);
    s->text = TAKE(one.items[0].text);
    s->cure = TAKE(one.items[0].cure);
    memcpy(s->nic, one.items[0].nic, sizeof(s->nic));
    memcpy(s->bridge, one.items[0].bridge, sizeof(s->bridge));
    s->patience = patience;
    s->is_now = true;
    net_problems_done(&one);
}

static void tell(struct net_watch *w, struct net_problems *ret) {
    for (unsigned i = 0; i < w->n; i++) {
        struct sight *s = &w->sights[i];
        s->seen = s->is_now || s->seen >= s->patience ? s->seen + s->is_now : 0;
        s->missed = s->is_now ? 0 : s->missed + 1;
        s->is_now = false;
        if (s->missed >= FORGET_AFTER) {
            forget(w, i--);
            continue;
        }
        if (s->seen < s->patience)
            continue;
        ret->items = xrealloc_array(ret->items, ret->n + 1, sizeof(*ret->items));
        struct net_problem *p = &ret->items[ret->n++];
        *p = (struct net_problem){.code = s->code, .text = xstrdup(s->text), .cure = xstrdup(s->cure)};
        memcpy(p->nic, s->nic, sizeof(p->nic));
        memcpy(p->bridge, s->bridge, sizeof(p->bridge));
    }
}

static const struct link_info *link_of(const struct look *l, const char *name) {
    for (size_t i = 0; i < l->links.n; i++)
        if (str_eq(l->links.items[i].name, name))
            return &l->links.items[i];
    return NULL;
}

static struct net_fault_facts facts_of(const struct look *l, const struct net_bridge *b, const char *leg) {
    struct net_fault_facts f = {.host = l->in->config->host_name, .bridge = b->name, .network_uuid = b->network_uuid};
    if (b->purpose == NET_PURPOSE_BOND)
        f.bond = b->bond.name;
    f.nic = leg;
    for (unsigned i = 0; leg && i < l->in->n_ports; i++)
        if (str_eq(l->in->ports[i].leg, leg)) {
            f.switch_name = l->in->ports[i].switch_name;
            f.switch_port = l->in->ports[i].switch_port;
        }
    return f;
}

/* ---- legs ---- */

static void look_at_lacp(struct look *l, const struct net_bridge *b) {
    struct error *ignored = NULL;
    struct ovs_bond_status s;
    if (!ovs_bond_status(l->in->ovs, b->bond.name, &s, &ignored)) {
        error_free(ignored);
        return;
    }
    for (unsigned i = 0; i < s.n_legs; i++) {
        const struct link_info *k = link_of(l, s.legs[i].name);
        struct net_fault_facts f = facts_of(l, b, s.legs[i].name);
        if (!k || !k->carrier || s.legs[i].enabled)
            continue; /* without a link it is told as that, by the plan */
        saw(l, NET_FAULT_LACP_DOWN, s.legs[i].name, THRICE, &f);
    }
    if (!s.lacp_negotiated) {
        struct net_fault_facts f = facts_of(l, b, NULL);
        saw(l, NET_FAULT_LACP_DOWN, b->bond.name, THRICE, &f);
    }
}

/* ---- addresses ---- */

static bool is_taken(struct link *l, const char *name, const struct link_ip *ip, struct link_mac *ret) {
    const struct link_ip nobody = {0};
    return ip->family == AF_INET && link_arp_probe(l, name, &nobody, ip, ASK_MS, ret) == 0;
}

static bool is_own(const struct look *l, const struct link_mac *mac) {
    for (size_t i = 0; i < l->links.n; i++)
        if (link_mac_eq(&l->links.items[i].mac, mac))
            return true;
    return false;
}

static void look_at_address(struct look *l, const struct net_bridge *b, const struct link_info *k,
                            const struct link_ip *ip) {
    char text[LINK_IP_TEXT_SIZE], mac_text[LINK_MAC_TEXT_SIZE];
    struct link_mac mac;
    if (!is_taken(l->in->link, k->name, ip, &mac) || is_own(l, &mac))
        return;
    _cleanup_free_ char *detail =
        strf("%s is also used by the machine with MAC %s", link_ip_text(ip, text), link_mac_text(&mac, mac_text));
    struct net_fault_facts f = facts_of(l, b, NULL);
    f.bond = NULL;
    f.detail = detail;
    saw(l, NET_FAULT_ADDRESS_TAKEN, b->name, TWICE, &f);
}

static void look_at_gateway(struct look *l, const struct net_bridge *b, const struct link_info *k,
                            const struct link_ip *own, const struct link_ip *gateway) {
    struct link_mac mac;
    char text[LINK_IP_TEXT_SIZE];
    if (link_arp_probe(l->in->link, k->name, own, gateway, ASK_MS, &mac) != -ETIMEDOUT)
        return;
    struct net_fault_facts f = facts_of(l, b, NULL);
    f.bond = NULL;
    f.detail = link_ip_text(gateway, text);
    saw(l, NET_FAULT_GATEWAY_SILENT, b->name, THRICE, &f);
}

static void look_at_addresses(struct look *l, const struct net_bridge *b) {
    const struct link_info *k = link_of(l, b->name);
    const struct link_ip *own = NULL;
    if (!k || !k->up || !k->carrier)
        return;
    for (size_t i = 0; i < l->addresses.n; i++) {
        const struct link_address *a = &l->addresses.items[i];
        if (a->index != k->index || a->ip.family != AF_INET || a->link_scope)
            continue;
        own = own ? own : &a->ip;
        look_at_address(l, b, k, &a->ip);
    }
    for (size_t i = 0; own && i < l->routes.n; i++) {
        const struct link_route *r = &l->routes.items[i];
        if (r->index == k->index && r->family == AF_INET && r->dst_len == 0 && r->gateway.family == AF_INET &&
            r->table == LINK_TABLE_MAIN) {
            look_at_gateway(l, b, k, own, &r->gateway);
            break;
        }
    }
}

static bool has_link(const struct look *l, const struct net_config *c, const struct net_bridge *b) {
    const struct net_bridge *base = net_config_base(c, b);
    for (unsigned i = 0; base && i < base->n_legs; i++) {
        const struct link_info *k = link_of(l, base->legs[i]);
        if (k && k->carrier)
            return true;
    }
    return false;
}

void net_watch_look(struct net_watch *w, const struct net_watch_in *in, struct net_problems *ret) {
    struct look l = {.w = w, .in = in};
    const struct net_config *c = in->config;
    bool ok = link_list(in->link, &l.links) >= 0 && link_list_addresses(in->link, &l.addresses) >= 0 &&
              link_list_routes(in->link, &l.routes) >= 0;
    for (unsigned i = 0; ok && i < c->n_bridges; i++) {
        const struct net_bridge *b = &c->bridges[i];
        if (b->purpose == NET_PURPOSE_BOND && b->bond.mode == NET_BOND_LACP)
            look_at_lacp(&l, b);
        if (has_link(&l, c, b)) /* where nothing is plugged in, nobody can answer */
            look_at_addresses(&l, b);
    }
    tell(w, ret);
    link_infos_done(&l.links);
    link_addresses_done(&l.addresses);
    link_routes_done(&l.routes);
}

/* ---- before a change ---- */

static bool has_address(const struct net_observed *is, const struct net_addr *a) {
    for (size_t i = 0; i < is->n_addrs; i++)
        if (net_addr_same_host(&is->addrs[i].addr, a))
            return true;
    return false;
}

static bool has_gateway(const struct net_observed *is, const struct net_addr *a) {
    for (size_t i = 0; i < is->n_routes; i++)
        if (is->routes[i].gateway.family != NET_FAMILY_NONE && net_addr_same_host(&is->routes[i].gateway, a))
            return true;
    return false;
}

/*
 * An address that the host is to get must be nobody's, and its new gateway somebody's. Asked where the network is
 * reached already: one whose bridge does not exist yet is seen to after the change, by the checkpoint.
 */
static void ask_before(struct link *link, const struct net_observed *is, const struct net_config *target,
                       const struct net_bridge *b, struct net_problems *ret) {
    const struct net_obs_link *l = net_observed_link(is, b->name);
    struct net_fault_facts facts = {.host = target->host_name, .bridge = b->name, .network_uuid = b->network_uuid};
    char text[LINK_IP_TEXT_SIZE], mac_text[LINK_MAC_TEXT_SIZE];
    struct link_mac mac;
    if (!l || !l->up || b->ip4.mode != NET_IP_STATIC)
        return;
    struct link_ip ip = net_to_link_ip(&b->ip4.address), gateway = net_to_link_ip(&b->ip4.gateway), nobody = {0};
    if (!has_address(is, &b->ip4.address) && is_taken(link, b->name, &ip, &mac)) {
        _cleanup_free_ char *detail =
            strf("%s is also used by the machine with MAC %s", link_ip_text(&ip, text), link_mac_text(&mac, mac_text));
        facts.detail = detail;
        net_problems_add(ret, NET_FAULT_ADDRESS_TAKEN, &facts);
    }
    if (gateway.family == AF_INET && !has_gateway(is, &b->ip4.gateway) &&
        link_arp_probe(link, b->name, &nobody, &gateway, ASK_MS, &mac) == -ETIMEDOUT) {
        facts.detail = link_ip_text(&gateway, text);
        net_problems_add(ret, NET_FAULT_GATEWAY_SILENT, &facts);
    }
}

void net_watch_before(struct link *l, const struct net_observed *is, const struct net_config *target,
                      struct net_problems *ret) {
    for (unsigned i = 0; i < target->n_bridges; i++)
        ask_before(l, is, target, &target->bridges[i], ret);
}
