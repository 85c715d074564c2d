/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_observed.h"

#include <string.h>

#include "base/str.h"

struct net_observed *net_observed_new(void) {
    struct net_observed *o = xnew0(struct net_observed);
    o->switch_running = true;
    o->switch_settled = true;
    return o;
}

void net_observed_free(struct net_observed *o) {
    if (!o)
        return;
    free(o->links);
    free(o->addrs);
    free(o->routes);
    free(o->leases);
    free(o->bridges);
    free(o->ports);
    free(o->ifaces);
    free(o);
}

static void *copy_array(const void *items, unsigned n, size_t size) {
    if (!n)
        return NULL;
    size_t room = 8; /* as grow() leaves it: the copy is added to as well */
    while (room < n)
        room *= 2;
    void *p = xcalloc(room, size);
    memcpy(p, items, n * size);
    return p;
}

#define COPY_ARRAY(n, o, field) (n)->field = copy_array((o)->field, (o)->n_##field, sizeof(*(o)->field))

struct net_observed *net_observed_copy(const struct net_observed *o) {
    struct net_observed *n = xnew0(struct net_observed);
    *n = *o;
    COPY_ARRAY(n, o, links);
    COPY_ARRAY(n, o, addrs);
    COPY_ARRAY(n, o, routes);
    COPY_ARRAY(n, o, leases);
    COPY_ARRAY(n, o, bridges);
    COPY_ARRAY(n, o, ports);
    COPY_ARRAY(n, o, ifaces);
    return n;
}

/* The array grows by doubling: a host can have thousands of addresses and routes that are not ours. */
static void *grow(void *items, unsigned n, size_t size) {
    if (n == 0)
        return xrealloc_array(items, 8, size);
    return n >= 8 && (n & (n - 1)) == 0 ? xrealloc_array(items, (size_t)n * 2, size) : items;
}

#define ADD_ITEM(o, field)                                                                                             \
    ((o)->field = grow((o)->field, (o)->n_##field, sizeof(*(o)->field)),                                               \
     memset(&(o)->field[(o)->n_##field], 0, sizeof(*(o)->field)), &(o)->field[(o)->n_##field++])

struct net_obs_link *net_observed_add_link(struct net_observed *o, const char *name, enum net_link_kind kind) {
    struct net_obs_link *l = ADD_ITEM(o, links);
    str_copy(l->name, sizeof(l->name), name);
    l->kind = kind;
    l->mtu = NET_MTU_DEFAULT;
    return l;
}

struct net_obs_addr *net_observed_add_addr(struct net_observed *o, const char *link, const struct net_addr *addr) {
    struct net_obs_addr *a = ADD_ITEM(o, addrs);
    str_copy(a->link, sizeof(a->link), link);
    a->addr = *addr;
    return a;
}

struct net_route *net_observed_add_route(struct net_observed *o, const struct net_route *r) {
    struct net_route *n = ADD_ITEM(o, routes);
    *n = *r;
    if (!n->table)
        n->table = 254;
    return n;
}

struct net_obs_lease *net_observed_add_lease(struct net_observed *o, const char *link, enum net_family family) {
    struct net_obs_lease *l = ADD_ITEM(o, leases);
    str_copy(l->link, sizeof(l->link), link);
    l->family = family;
    return l;
}

struct net_obs_bridge *net_observed_add_bridge(struct net_observed *o, const char *name) {
    struct net_obs_bridge *b = ADD_ITEM(o, bridges);
    str_copy(b->name, sizeof(b->name), name);
    return b;
}

struct net_obs_port *net_observed_add_port(struct net_observed *o, const char *bridge, const char *name) {
    struct net_obs_port *p = ADD_ITEM(o, ports);
    str_copy(p->name, sizeof(p->name), name);
    str_copy(p->bridge, sizeof(p->bridge), bridge);
    p->tag = -1;
    return p;
}

bool net_obs_port_add_iface(struct net_obs_port *p, const char *iface) {
    if (p->n_ifaces == NET_MAX_LEGS)
        return false;
    str_copy(p->ifaces[p->n_ifaces++], NET_NAME_SIZE, iface);
    return true;
}

struct net_obs_iface *net_observed_add_iface(struct net_observed *o, const char *name) {
    struct net_obs_iface *i = ADD_ITEM(o, ifaces);
    str_copy(i->name, sizeof(i->name), name);
    return i;
}

#define FIND_BY_NAME(o, field, wanted)                                                                                 \
    do {                                                                                                               \
        for (unsigned i_ = 0; i_ < (o)->n_##field; i_++)                                                               \
            if (str_eq((o)->field[i_].name, wanted))                                                                   \
                return &(o)->field[i_];                                                                                \
        return NULL;                                                                                                   \
    } while (0)

struct net_obs_link *net_observed_link(const struct net_observed *o, const char *name) {
    FIND_BY_NAME(o, links, name);
}

struct net_obs_bridge *net_observed_bridge(const struct net_observed *o, const char *name) {
    FIND_BY_NAME(o, bridges, name);
}

struct net_obs_port *net_observed_port(const struct net_observed *o, const char *name) {
    FIND_BY_NAME(o, ports, name);
}

struct net_obs_iface *net_observed_iface(const struct net_observed *o, const char *name) {
    FIND_BY_NAME(o, ifaces, name);
}

struct net_obs_link *net_observed_link_by_mac(const struct net_observed *o, const struct net_mac *mac) {
    if (net_mac_is_zero(mac))
        return NULL;
    for (unsigned i = 0; i < o->n_links; i++) {
        struct net_obs_link *l = &o->links[i];
        if (l->kind != NET_LINK_PHYSICAL)
            continue;
        if (net_mac_eq(net_mac_is_zero(&l->permanent_mac) ? &l->mac : &l->permanent_mac, mac))
            return l;
    }
    return NULL;
}

struct net_obs_port *net_observed_port_of_iface(const struct net_observed *o, const char *iface) {
    for (unsigned i = 0; i < o->n_ports; i++)
        for (unsigned k = 0; k < o->ports[i].n_ifaces; k++)
            if (str_eq(o->ports[i].ifaces[k], iface))
                return &o->ports[i];
    return NULL;
}

struct net_obs_lease *net_observed_lease(const struct net_observed *o, const char *link, enum net_family family) {
    for (unsigned i = 0; i < o->n_leases; i++)
        if (o->leases[i].family == family && str_eq(o->leases[i].link, link))
            return &o->leases[i];
    return NULL;
}

bool net_observed_has_addr(const struct net_observed *o, const char *link, const struct net_addr *addr) {
    for (unsigned i = 0; i < o->n_addrs; i++)
        if (str_eq(o->addrs[i].link, link) && net_addr_eq(&o->addrs[i].addr, addr))
            return true;
    return false;
}
