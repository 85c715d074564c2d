/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_fake.h"

#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#define MAX_FAKE 64

struct fake_link {
    struct link_info info;
    bool ignores_mtu;
};

struct link_fake {
    struct link link;
    struct fake_link links[MAX_FAKE];
    size_t n_links;
    struct link_address addresses[MAX_FAKE];
    size_t n_addresses;
    struct link_route routes[MAX_FAKE];
    size_t n_routes;
    struct link_neighbour neighbours[MAX_FAKE];
    size_t n_neighbours;
    struct link_neighbour peers[MAX_FAKE];
    size_t n_peers;
    int next_index;
    int fail_next;
    unsigned n_announced;
};

#define FAKE(l) container_of(l, struct link_fake, link)

/* Removes item i of an array of n. */
#define REMOVE(array, n, i)                                                                                            \
    do {                                                                                                               \
        (array)[i] = (array)[(n)-1];                                                                                   \
        (n)--;                                                                                                         \
    } while (0)

static struct fake_link *by_name(struct link_fake *f, const char *name) {
    for (size_t i = 0; i < f->n_links; i++)
        if (str_eq(f->links[i].info.name, name))
            return &f->links[i];
    return NULL;
}

static struct fake_link *by_index(struct link_fake *f, int index) {
    for (size_t i = 0; i < f->n_links; i++)
        if (f->links[i].info.index == index)
            return &f->links[i];
    return NULL;
}

static int take_failure(struct link_fake *f) {
    int r = f->fail_next;
    f->fail_next = 0;
    return r;
}

static void *copy(const void *items, size_t size) {
    void *p = size ? xmalloc(size) : NULL;
    if (size)
        memcpy(p, items, size);
    return p;
}

static void fake_free(struct link *l) {
    free(FAKE(l));
}

static int fake_list(struct link *l, struct link_infos *ret) {
    struct link_fake *f = FAKE(l);
    *ret = (struct link_infos){.items = f->n_links ? xcalloc(f->n_links, sizeof *ret->items) : NULL, .n = f->n_links};
    for (size_t i = 0; i < f->n_links; i++)
        ret->items[i] = f->links[i].info;
    return 0;
}

static int fake_addresses(struct link *l, struct link_addresses *ret) {
    struct link_fake *f = FAKE(l);
    *ret = (struct link_addresses){copy(f->addresses, f->n_addresses * sizeof *f->addresses), f->n_addresses};
    return 0;
}

static int fake_routes(struct link *l, struct link_routes *ret) {
    struct link_fake *f = FAKE(l);
    *ret = (struct link_routes){copy(f->routes, f->n_routes * sizeof *f->routes), f->n_routes};
    return 0;
}

static int fake_neighbours(struct link *l, struct link_neighbours *ret) {
    struct link_fake *f = FAKE(l);
    *ret = (struct link_neighbours){copy(f->neighbours, f->n_neighbours * sizeof *f->neighbours), f->n_neighbours};
    return 0;
}

static int fake_set_up(struct link *l, const char *name, bool up) {
    struct link_fake *f = FAKE(l);
    struct fake_link *k = by_name(f, name);
    int r = k ? take_failure(f) : -ENODEV;
    if (r < 0)
        return r;
    k->info.up = up;
    for (size_t i = f->n_routes; !up && i-- > 0;)
        if (f->routes[i].index == k->info.index)
            REMOVE(f->routes, f->n_routes, i);
    return 0;
}

static int fake_set_mtu(struct link *l, const char *name, unsigned mtu) {
    struct fake_link *k = by_name(FAKE(l), name);
    int r = k ? take_failure(FAKE(l)) : -ENODEV;
    if (r < 0)
        return r;
    if (mtu < 68 || (k->info.max_mtu && mtu > k->info.max_mtu))
        return -EINVAL;
    if (!k->ignores_mtu)
        k->info.mtu = mtu;
    return 0;
}

static int fake_set_mac(struct link *l, const char *name, const struct link_mac *mac) {
    struct fake_link *k = by_name(FAKE(l), name);
    int r = k ? take_failure(FAKE(l)) : -ENODEV;
    if (r == 0)
        k->info.mac = *mac;
    return r;
}

static int fake_set_sysctl(struct link *l, int family, const char *name, const char *key, const char *value) {
    return by_name(FAKE(l), name) ? take_failure(FAKE(l)) : -ENOENT;
}

static bool same_route(const struct link_route *a, const struct link_route *b) {
    return a->family == b->family && a->dst_len == b->dst_len && link_ip_eq(&a->dst, &b->dst) &&
           a->metric == b->metric && (a->table ? a->table : LINK_TABLE_MAIN) == (b->table ? b->table : LINK_TABLE_MAIN);
}

static int replace_route(struct link_fake *f, const struct link_route *r) {
    struct fake_link *k = by_index(f, r->index);
    if (!k)
        return -ENODEV;
    if (!k->info.up)
        return -ENETDOWN;
    struct link_route route = *r;
    route.unicast = true;
    route.table = r->table ? r->table : LINK_TABLE_MAIN;
    if (route.family == AF_INET6 && !route.metric)
        route.metric = 1024;
    for (size_t i = 0; i < f->n_routes; i++)
        if (same_route(&f->routes[i], &route)) {
            f->routes[i] = route;
            return 0;
        }
    if (f->n_routes == MAX_FAKE)
        return -ENOBUFS;
    f->routes[f->n_routes++] = route;
    return 0;
}

static struct link_route connected_route(const struct link_address *a) {
    return (struct link_route){.family = a->ip.family,
                               .dst = link_ip_network(&a->ip, a->prefix_len),
                               .dst_len = a->prefix_len,
                               .src = a->ip.family == AF_INET ? a->ip : (struct link_ip){0},
                               .index = a->index,
                               .metric = a->ip.family == AF_INET6 ? 256 : 0,
                               .protocol = LINK_PROTO_KERNEL,
                               .scope = 253};
}

static int change_address(struct link_fake *f, bool add, const struct link_address *a) {
    struct fake_link *k = by_index(f, a->index);
    if (!k)
        return -ENODEV;
    size_t at = 0;
    while (at < f->n_addresses && !(f->addresses[at].index == a->index && link_ip_eq(&f->addresses[at].ip, &a->ip)))
        at++;
    if (add) {
        if (at == MAX_FAKE)
            return -ENOBUFS;
        f->addresses[at] = *a;
        f->addresses[at].permanent = true;
        f->n_addresses = MAX(f->n_addresses, at + 1);
        struct link_route r = connected_route(a);
        return k->info.up ? replace_route(f, &r) : 0;
    }
    if (at == f->n_addresses)
        return 0;
    struct link_address old = f->addresses[at];
    REMOVE(f->addresses, f->n_addresses, at);
    /* With the address go the routes that prefer it and, when it was the last of its network, those through the link.
     */
    for (size_t i = f->n_routes; i-- > 0;)
        if (f->routes[i].index == old.index && f->routes[i].family == old.ip.family &&
            (link_ip_eq(&f->routes[i].src, &old.ip) ||
             (f->routes[i].gateway.family && memcmp(link_ip_network(&f->routes[i].gateway, old.prefix_len).b,
                                                    link_ip_network(&old.ip, old.prefix_len).b, 16) == 0)))
            REMOVE(f->routes, f->n_routes, i);
    return 0;
}

static int fake_batch(struct link *l, const struct link_change *changes, size_t n, size_t *ret_failed) {
    struct link_fake *f = FAKE(l);
    int first = 0;
    for (size_t i = 0; i < n; i++) {
        const struct link_change *c = &changes[i];
        int r = take_failure(f);
        if (r == 0 && (c->type == LINK_ADDRESS_ADD || c->type == LINK_ADDRESS_DEL))
            r = change_address(f, c->type == LINK_ADDRESS_ADD, &c->address);
        else if (r == 0 && c->type == LINK_ROUTE_REPLACE)
            r = replace_route(f, &c->route);
        else if (r == 0 && c->type == LINK_ROUTE_DEL) {
            for (size_t j = f->n_routes; j-- > 0;)
                if (same_route(&f->routes[j], &c->route) && (!c->route.index || f->routes[j].index == c->route.index)) {
                    REMOVE(f->routes, f->n_routes, j);
                    break;
                }
        } else if (r == 0) {
            if (f->n_neighbours == MAX_FAKE)
                r = -ENOBUFS;
            else
                f->neighbours[f->n_neighbours++] = c->neighbour;
        }
        if (r < 0 && first == 0) {
            first = r;
            *ret_failed = i;
        }
    }
    return first;
}

static int fake_route_get(struct link *l, const struct link_ip *dst, struct link_route *ret) {
    struct link_fake *f = FAKE(l);
    const struct link_route *best = NULL;
    for (size_t i = 0; i < f->n_routes; i++) {
        const struct link_route *r = &f->routes[i];
        if (r->family != dst->family || r->table != LINK_TABLE_MAIN)
            continue;
        if (r->dst.family) {
            struct link_ip net = link_ip_network(dst, r->dst_len);
            if (!link_ip_eq(&net, &r->dst))
                continue;
        }
        if (!best || r->dst_len > best->dst_len || (r->dst_len == best->dst_len && r->metric < best->metric))
            best = r;
    }
    if (!best)
        return -ENETUNREACH;
    *ret = *best;
    return 0;
}

static int fake_announce(struct link *l, const char *name, const struct link_mac *mac, const struct link_ip *ip) {
    FAKE(l)->n_announced++;
    return 0;
}

static int fake_arp_probe(struct link *l, const char *name, const struct link_ip *src, const struct link_ip *dst,
                          unsigned timeout_ms, struct link_mac *ret_mac) {
    struct link_fake *f = FAKE(l);
    struct fake_link *k = by_name(f, name);
    if (!k)
        return -ENODEV;
    if (!k->info.up)
        return -ENETDOWN;
    for (size_t i = 0; i < f->n_peers; i++)
        if (link_ip_eq(&f->peers[i].ip, dst)) {
            *ret_mac = f->peers[i].mac;
            return 0;
        }
    return -ETIMEDOUT;
}

static const struct link_ops fake_ops = {
    .free = fake_free,
    .list = fake_list,
    .addresses = fake_addresses,
    .routes = fake_routes,
    .neighbours = fake_neighbours,
    .set_up = fake_set_up,
    .set_mtu = fake_set_mtu,
    .set_mac = fake_set_mac,
    .set_sysctl = fake_set_sysctl,
    .batch = fake_batch,
    .route_get = fake_route_get,
    .announce = fake_announce,
    .arp_probe = fake_arp_probe,
};

struct link *link_fake_new(void) {
    struct link_fake *f = xnew0(struct link_fake);
    f->link.ops = &fake_ops;
    f->next_index = 1;
    return &f->link;
}

int link_fake_add(struct link *l, const char *name, const char *mac, unsigned mtu, unsigned max_mtu) {
    struct link_fake *f = FAKE(l);
    assert(f->n_links < MAX_FAKE);
    struct fake_link *k = &f->links[f->n_links++];
    *k = (struct fake_link){.info = {.index = f->next_index++, .mtu = mtu, .max_mtu = max_mtu, .carrier = true}};
    bool ok = str_copy(k->info.name, sizeof k->info.name, name) && link_mac_parse(mac, &k->info.mac);
    assert(ok);
    k->info.permanent_mac = k->info.mac;
    return k->info.index;
}

void link_fake_remove(struct link *l, const char *name) {
    struct link_fake *f = FAKE(l);
    struct fake_link *k = by_name(f, name);
    assert(k);
    int index = k->info.index;
    *k = f->links[--f->n_links];
    for (size_t i = f->n_addresses; i-- > 0;)
        if (f->addresses[i].index == index)
            REMOVE(f->addresses, f->n_addresses, i);
    for (size_t i = f->n_routes; i-- > 0;)
        if (f->routes[i].index == index)
            REMOVE(f->routes, f->n_routes, i);
}

void link_fake_set_carrier(struct link *l, const char *name, bool carrier) {
    struct fake_link *k = by_name(FAKE(l), name);
    assert(k);
    k->info.carrier = carrier;
}

void link_fake_fail_next(struct link *l, int r) {
    FAKE(l)->fail_next = r;
}

void link_fake_ignore_mtu(struct link *l, const char *name, bool ignore) {
    struct fake_link *k = by_name(FAKE(l), name);
    assert(k);
    k->ignores_mtu = ignore;
}

unsigned link_fake_n_announced(const struct link *l) {
    return FAKE((struct link *)l)->n_announced;
}

void link_fake_add_peer(struct link *l, const char *ip, const char *mac) {
    struct link_fake *f = FAKE(l);
    assert(f->n_peers < MAX_FAKE);
    struct link_neighbour *p = &f->peers[f->n_peers++];
    *p = (struct link_neighbour){.usable = true};
    bool ok = link_ip_parse(ip, &p->ip) && link_mac_parse(mac, &p->mac);
    assert(ok);
}
