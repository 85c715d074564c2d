/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

void link_free(struct link *l) {
    if (l)
        l->ops->free(l);
}

int link_list(struct link *l, struct link_infos *ret) {
    return l->ops->list(l, ret);
}

int link_list_addresses(struct link *l, struct link_addresses *ret) {
    return l->ops->addresses(l, ret);
}

int link_list_routes(struct link *l, struct link_routes *ret) {
    return l->ops->routes(l, ret);
}

int link_list_neighbours(struct link *l, struct link_neighbours *ret) {
    return l->ops->neighbours(l, ret);
}

void link_infos_done(struct link_infos *v) {
    free(v->items);
    *v = (struct link_infos){0};
}

void link_addresses_done(struct link_addresses *v) {
    free(v->items);
    *v = (struct link_addresses){0};
}

void link_routes_done(struct link_routes *v) {
    free(v->items);
    *v = (struct link_routes){0};
}

void link_neighbours_done(struct link_neighbours *v) {
    free(v->items);
    *v = (struct link_neighbours){0};
}

int link_find(struct link *l, const char *name, struct link_info *ret) {
    _cleanup_(link_infos_done) struct link_infos all = {0};
    int r = link_list(l, &all);
    if (r < 0)
        return r;
    for (size_t i = 0; i < all.n; i++)
        if (str_eq(all.items[i].name, name)) {
            *ret = all.items[i];
            return 0;
        }
    return -ENODEV;
}

int link_set_up(struct link *l, const char *name, bool up) {
    return l->ops->set_up(l, name, up);
}

int link_set_mtu(struct link *l, const char *name, unsigned mtu) {
    return l->ops->set_mtu(l, name, mtu);
}

int link_set_mac(struct link *l, const char *name, const struct link_mac *mac) {
    return l->ops->set_mac(l, name, mac);
}

int link_set_sysctl(struct link *l, int family, const char *name, const char *key, const char *value) {
    return l->ops->set_sysctl(l, family, name, key, value);
}

int link_batch(struct link *l, const struct link_change *changes, size_t n, size_t *ret_failed) {
    if (n == 0)
        return 0;
    if (n > MAX_LINK_CHANGES)
        return -E2BIG;
    size_t failed = 0;
    int r = l->ops->batch(l, changes, n, &failed);
    if (r < 0 && ret_failed)
        *ret_failed = failed;
    return r;
}

int link_copy_neighbours(struct link *l, const char *from, const char *to) {
    struct link_info a, b;
    int r = link_find(l, from, &a);
    if (r < 0)
        return r;
    r = link_find(l, to, &b);
    if (r < 0)
        return r;
    _cleanup_(link_neighbours_done) struct link_neighbours all = {0};
    r = link_list_neighbours(l, &all);
    if (r < 0)
        return r;
    struct link_change changes[MAX_LINK_CHANGES];
    size_t n = 0;
    for (size_t i = 0; i < all.n && n < MAX_LINK_CHANGES; i++)
        if (all.items[i].index == a.index && all.items[i].usable) {
            changes[n] = (struct link_change){.type = LINK_NEIGHBOUR_REPLACE, .neighbour = all.items[i]};
            changes[n++].neighbour.index = b.index;
        }
    return link_batch(l, changes, n, NULL);
}

int link_route_get(struct link *l, const struct link_ip *dst, struct link_route *ret) {
    return l->ops->route_get(l, dst, ret);
}

int link_announce(struct link *l, const char *name, const struct link_ip *ip) {
    struct link_info info;
    int r = link_find(l, name, &info);
    return r < 0 ? r : l->ops->announce(l, name, &info.mac, ip);
}

int link_arp_probe(struct link *l, const char *name, const struct link_ip *src, const struct link_ip *dst,
                   unsigned timeout_ms, struct link_mac *ret_mac) {
    if (dst->family != AF_INET)
        return -EAFNOSUPPORT;
    return l->ops->arp_probe(l, name, src, dst, timeout_ms, ret_mac);
}

bool link_ip_parse(const char *text, struct link_ip *ret) {
    struct link_ip ip = {.family = AF_INET};
    if (inet_pton(AF_INET, text, ip.b) == 1) {
        *ret = ip;
        return true;
    }
    ip = (struct link_ip){.family = AF_INET6};
    if (inet_pton(AF_INET6, text, ip.b) == 1) {
        *ret = ip;
        return true;
    }
    return false;
}

const char *link_ip_text(const struct link_ip *ip, char text[static LINK_IP_TEXT_SIZE]) {
    if (ip->family == 0 || !inet_ntop(ip->family, ip->b, text, LINK_IP_TEXT_SIZE))
        text[0] = 0;
    return text;
}

bool link_ip_eq(const struct link_ip *a, const struct link_ip *b) {
    return a->family == b->family && (a->family == 0 || memcmp(a->b, b->b, a->family == AF_INET ? 4 : 16) == 0);
}

unsigned link_ip_bits(const struct link_ip *ip) {
    return ip->family == AF_INET ? 32 : 128;
}

struct link_ip link_ip_network(const struct link_ip *ip, unsigned prefix_len) {
    struct link_ip net = *ip;
    for (unsigned bit = prefix_len; bit < link_ip_bits(ip); bit++)
        net.b[bit / 8] &= (uint8_t) ~(0x80 >> (bit % 8));
    return net;
}

bool link_mac_parse(const char *text, struct link_mac *ret) {
    struct link_mac mac;
    int used = 0;
    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac.b[0], &mac.b[1], &mac.b[2], &mac.b[3], &mac.b[4],
               &mac.b[5], &used) != 6 ||
        used != LINK_MAC_TEXT_SIZE - 1 || text[used])
        return false;
    *ret = mac;
    return true;
}

const char *link_mac_text(const struct link_mac *mac, char text[static LINK_MAC_TEXT_SIZE]) {
    snprintf(text, LINK_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac->b[0], mac->b[1], mac->b[2], mac->b[3],
             mac->b[4], mac->b[5]);
    return text;
}

bool link_mac_eq(const struct link_mac *a, const struct link_mac *b) {
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}
