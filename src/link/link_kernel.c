/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_kernel.h"

#include "base/buf.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define REQUEST_SIZE 512                             /* one message with all attributes that we write */
#define BATCH_SIZE (MAX_LINK_CHANGES * REQUEST_SIZE) /* worst batch; bounded by MAX_LINK_CHANGES */
#define RECEIVE_SIZE 65536                           /* the kernel's largest dump part */
#define MAX_LIST 65536                               /* entries per dump that we keep */
#define DUMP_TRIES 5                                 /* a dump is repeated when the kernel's table moved under it */

struct link_kernel {
    struct link link;
    struct mnl_socket *socket;
    unsigned port;
    uint32_t seq;
};

static struct link_kernel *kernel_of(struct link *l) {
    return container_of(l, struct link_kernel, link);
}

static void kernel_free(struct link *l) {
    struct link_kernel *k = kernel_of(l);
    mnl_socket_close(k->socket);
    free(k);
}

static struct nlmsghdr *request_start(struct link_kernel *k, void *buffer, uint16_t type, uint16_t flags) {
    struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
    h->nlmsg_type = type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    h->nlmsg_seq = ++k->seq;
    return h;
}

/* Receives until the answer to `seq` is complete. What an earlier, failed exchange left behind is skipped. */
static int receive(struct link_kernel *k, uint32_t seq, mnl_cb_t cb, void *data) {
    _cleanup_free_ char *buffer = xmalloc(RECEIVE_SIZE);
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(k->socket, buffer, RECEIVE_SIZE);
        if (n < 0)
            return -errno;
        const struct nlmsghdr *h = (const struct nlmsghdr *)buffer;
        if (!mnl_nlmsg_ok(h, (int)n) || h->nlmsg_seq != seq || h->nlmsg_pid != k->port)
            continue;
        int r = mnl_cb_run(buffer, (size_t)n, seq, k->port, cb, data);
        if (r < 0)
            return -errno;
        if (r == MNL_CB_STOP)
            return 0;
    }
}

static int dump(struct link_kernel *k, uint16_t type, unsigned char family, mnl_cb_t cb, void *data) {
    char buffer[REQUEST_SIZE];
    struct nlmsghdr *h = request_start(k, buffer, type, NLM_F_DUMP);
    /* The largest of the dump headers; the kernel reads what it needs of it and wants the rest to be zero. */
    if (type == RTM_GETLINK)
        ((struct ifinfomsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg)))->ifi_family = family;
    else if (type == RTM_GETADDR)
        ((struct ifaddrmsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg)))->ifa_family = family;
    else if (type == RTM_GETROUTE)
        ((struct rtmsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg)))->rtm_family = family;
    else
        ((struct ndmsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg)))->ndm_family = family;
    if (mnl_socket_sendto(k->socket, h, h->nlmsg_len) < 0)
        return -errno;
    return receive(k, h->nlmsg_seq, cb, data);
}

static int exchange(struct link_kernel *k, struct nlmsghdr *h, mnl_cb_t cb, void *data) {
    if (mnl_socket_sendto(k->socket, h, h->nlmsg_len) < 0)
        return -errno;
    return receive(k, h->nlmsg_seq, cb, data);
}

static const struct nlattr *attribute(const struct nlmsghdr *h, size_t header_size, uint16_t type, size_t min_size) {
    const struct nlattr *a;
    mnl_attr_for_each(a, h, (unsigned)header_size) if (mnl_attr_get_type(a) ==
                                                       type) return mnl_attr_get_payload_len(a) >= min_size
        ? a
        : NULL;
    return NULL;
}

static unsigned attribute_u32(const struct nlmsghdr *h, size_t header_size, uint16_t type) {
    const struct nlattr *a = attribute(h, header_size, type, 4);
    return a ? mnl_attr_get_u32(a) : 0;
}

static void attribute_ip(const struct nlmsghdr *h, size_t header_size, uint16_t type, int family, struct link_ip *ret) {
    size_t size = family == AF_INET ? 4 : 16;
    const struct nlattr *a = attribute(h, header_size, type, size);
    *ret = (struct link_ip){0};
    if (a) {
        ret->family = family;
        memcpy(ret->b, mnl_attr_get_payload(a), size);
    }
}

/* Adds a copy of item to a list of `size`-byte items. */
static int list_add(void *items, size_t *n, const void *item, size_t size) {
    void **p = items;
    if (*n >= MAX_LIST)
        return MNL_CB_OK;
    if ((*n & (*n - 1)) == 0) /* grows at powers of two */
        *p = xrealloc_array(*p, *n ? *n * 2 : 1, size);
    memcpy((char *)*p + *n * size, item, size);
    (*n)++;
    return MNL_CB_OK;
}

bool link_kernel_parse_link(const struct nlmsghdr *h, struct link_info *ret) {
    if (mnl_nlmsg_get_payload_len(h) < sizeof(struct ifinfomsg))
        return false;
    const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
    struct link_info info = {
        .index = m->ifi_index, .up = m->ifi_flags & IFF_UP, .loopback = m->ifi_flags & IFF_LOOPBACK};
    /* Some drivers name no carrier attribute: IFF_LOWER_UP says the same. */
    const struct nlattr *a = attribute(h, sizeof *m, IFLA_CARRIER, 1);
    info.carrier = a ? mnl_attr_get_u8(a) : (m->ifi_flags & IFF_LOWER_UP) != 0;
    a = attribute(h, sizeof *m, IFLA_IFNAME, 2);
    if (!a || mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0 ||
        !str_copy(info.name, sizeof info.name, mnl_attr_get_str(a)))
        return false;
    a = attribute(h, sizeof *m, IFLA_ADDRESS, sizeof info.mac);
    if (a)
        memcpy(&info.mac, mnl_attr_get_payload(a), sizeof info.mac);
    a = attribute(h, sizeof *m, IFLA_PERM_ADDRESS, sizeof info.mac);
    memcpy(&info.permanent_mac, a ? mnl_attr_get_payload(a) : &info.mac, sizeof info.mac);
    info.mtu = attribute_u32(h, sizeof *m, IFLA_MTU);
    info.max_mtu = attribute_u32(h, sizeof *m, IFLA_MAX_MTU);
    a = attribute(h, sizeof *m, IFLA_LINKINFO, 0);
    if (a) {
        const struct nlattr *n;
        mnl_attr_for_each_nested(n, a) if (mnl_attr_get_type(n) == IFLA_INFO_KIND &&
                                           mnl_attr_validate(n, MNL_TYPE_STRING) >= 0)
            snprintf(info.kind, sizeof info.kind, "%.*s", mnl_attr_get_payload_len(n), mnl_attr_get_str(n));
    }
    *ret = info;
    return true;
}

static int on_link(const struct nlmsghdr *h, void *data) {
    struct link_infos *v = data;
    struct link_info info;
    return link_kernel_parse_link(h, &info) ? list_add(&v->items, &v->n, &info, sizeof info) : MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *h, void *data) {
    struct link_addresses *v = data;
    const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
    if (mnl_nlmsg_get_payload_len(h) < sizeof *m || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
        return MNL_CB_OK;
    struct link_address a = {
        .index = (int)m->ifa_index, .prefix_len = m->ifa_prefixlen, .link_scope = m->ifa_scope == RT_SCOPE_LINK};
    const struct nlattr *f = attribute(h, sizeof *m, IFA_FLAGS, 4);
    unsigned flags = f ? mnl_attr_get_u32(f) : m->ifa_flags;
    a.permanent = flags & IFA_F_PERMANENT;
    a.tentative = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED);
    attribute_ip(h, sizeof *m, IFA_LOCAL, m->ifa_family, &a.ip); /* point to point: ours, not the peer's */
    if (!a.ip.family)
        attribute_ip(h, sizeof *m, IFA_ADDRESS, m->ifa_family, &a.ip);
    return list_add(&v->items, &v->n, &a, sizeof a);
}

static bool parse_route(const struct nlmsghdr *h, struct link_route *ret) {
    const struct rtmsg *m = mnl_nlmsg_get_payload(h);
    if (mnl_nlmsg_get_payload_len(h) < sizeof *m || (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
        return false;
    struct link_route r = {.family = m->rtm_family,
                           .dst_len = m->rtm_dst_len,
                           .table = m->rtm_table,
                           .protocol = m->rtm_protocol,
                           .scope = m->rtm_scope,
                           .unicast = m->rtm_type == RTN_UNICAST};
    if (attribute(h, sizeof *m, RTA_TABLE, 4))
        r.table = attribute_u32(h, sizeof *m, RTA_TABLE);
    attribute_ip(h, sizeof *m, RTA_DST, m->rtm_family, &r.dst);
    attribute_ip(h, sizeof *m, RTA_GATEWAY, m->rtm_family, &r.gateway);
    attribute_ip(h, sizeof *m, RTA_PREFSRC, m->rtm_family, &r.src);
    r.index = (int)attribute_u32(h, sizeof *m, RTA_OIF);
    r.metric = attribute_u32(h, sizeof *m, RTA_PRIORITY);
    const struct nlattr *metrics = attribute(h, sizeof *m, RTA_METRICS, 0);
    if (metrics) {
        const struct nlattr *a;
        mnl_attr_for_each_nested(a, metrics) {
            if (mnl_attr_get_payload_len(a) < 4)
                continue;
            if (mnl_attr_get_type(a) == RTAX_MTU)
                r.mtu = mnl_attr_get_u32(a);
            else if (mnl_attr_get_type(a) == RTAX_ADVMSS)
                r.advmss = mnl_attr_get_u32(a);
            else if (mnl_attr_get_type(a) == RTAX_LOCK)
                r.mtu_locked = mnl_attr_get_u32(a) & (1u << RTAX_MTU);
        }
    }
    *ret = r;
    return true;
}

static int on_route(const struct nlmsghdr *h, void *data) {
    struct link_routes *v = data;
    struct link_route r;
    return parse_route(h, &r) && r.index ? list_add(&v->items, &v->n, &r, sizeof r) : MNL_CB_OK;
}

static int on_one_route(const struct nlmsghdr *h, void *data) {
    return parse_route(h, data) ? MNL_CB_STOP : MNL_CB_ERROR;
}

static int on_neighbour(const struct nlmsghdr *h, void *data) {
    struct link_neighbours *v = data;
    const struct ndmsg *m = mnl_nlmsg_get_payload(h);
    if (mnl_nlmsg_get_payload_len(h) < sizeof *m || (m->ndm_family != AF_INET && m->ndm_family != AF_INET6))
        return MNL_CB_OK;
    struct link_neighbour n = {.index = m->ndm_ifindex,
                               .usable =
                                   m->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)};
    attribute_ip(h, sizeof *m, NDA_DST, m->ndm_family, &n.ip);
    const struct nlattr *a = attribute(h, sizeof *m, NDA_LLADDR, sizeof n.mac);
    if (!a || !n.ip.family)
        return MNL_CB_OK;
    memcpy(&n.mac, mnl_attr_get_payload(a), sizeof n.mac);
    return list_add(&v->items, &v->n, &n, sizeof n);
}

static int kernel_list(struct link *l, struct link_infos *ret) {
    for (int i = 0;; i++) {
        struct link_infos v = {0};
        int r = dump(kernel_of(l), RTM_GETLINK, AF_UNSPEC, on_link, &v);
        if (r == 0) {
            *ret = v;
            return 0;
        }
        link_infos_done(&v);
        if (r != -EINTR || i == DUMP_TRIES)
            return r;
    }
}

static int kernel_addresses(struct link *l, struct link_addresses *ret) {
    for (int i = 0;; i++) {
        struct link_addresses v = {0};
        int r = dump(kernel_of(l), RTM_GETADDR, AF_UNSPEC, on_address, &v);
        if (r == 0) {
            *ret = v;
            return 0;
        }
        link_addresses_done(&v);
        if (r != -EINTR || i == DUMP_TRIES)
            return r;
    }
}

static int kernel_routes(struct link *l, struct link_routes *ret) {
    for (int i = 0;; i++) {
        struct link_routes v = {0};
        int r = dump(kernel_of(l), RTM_GETROUTE, AF_INET, on_route, &v);
        if (r == 0)
            r = dump(kernel_of(l), RTM_GETROUTE, AF_INET6, on_route, &v);
        if (r == 0) {
            *ret = v;
            return 0;
        }
        link_routes_done(&v);
        if (r != -EINTR || i == DUMP_TRIES)
            return r;
    }
}

static int kernel_neighbours(struct link *l, struct link_neighbours *ret) {
    for (int i = 0;; i++) {
        struct link_neighbours v = {0};
        int r = dump(kernel_of(l), RTM_GETNEIGH, AF_UNSPEC, on_neighbour, &v);
        if (r == 0) {
            *ret = v;
            return 0;
        }
        link_neighbours_done(&v);
        if (r != -EINTR || i == DUMP_TRIES)
            return r;
    }
}

/* A change of one link named `name`. */
static struct nlmsghdr *link_request(struct link_kernel *k, void *buffer, const char *name, struct ifinfomsg **ret) {
    struct nlmsghdr *h = request_start(k, buffer, RTM_NEWLINK, NLM_F_ACK);
    *ret = mnl_nlmsg_put_extra_header(h, sizeof **ret);
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    return h;
}

static int kernel_set_up(struct link *l, const char *name, bool up) {
    char buffer[REQUEST_SIZE];
    struct ifinfomsg *m;
    struct nlmsghdr *h = link_request(kernel_of(l), buffer, name, &m);
    m->ifi_change = IFF_UP;
    m->ifi_flags = up ? IFF_UP : 0;
    return exchange(kernel_of(l), h, NULL, NULL);
}

static int kernel_set_mtu(struct link *l, const char *name, unsigned mtu) {
    char buffer[REQUEST_SIZE];
    struct ifinfomsg *m;
    struct nlmsghdr *h = link_request(kernel_of(l), buffer, name, &m);
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    return exchange(kernel_of(l), h, NULL, NULL);
}

static int kernel_set_mac(struct link *l, const char *name, const struct link_mac *mac) {
    char buffer[REQUEST_SIZE];
    struct ifinfomsg *m;
    struct nlmsghdr *h = link_request(kernel_of(l), buffer, name, &m);
    mnl_attr_put(h, IFLA_ADDRESS, sizeof mac->b, mac->b);
    return exchange(kernel_of(l), h, NULL, NULL);
}

static int kernel_set_sysctl(struct link *l, int family, const char *name, const char *key, const char *value) {
    /* There is no netlink form of this; /proc/sys/net belongs to the namespace of the reader, unlike /sys. */
    if (strchr(name, '/') || name[0] == '.' || name[0] == 0 || strchr(key, '/') || strchr(key, '.'))
        return -EINVAL;
    _cleanup_free_ char *path = strf("/proc/sys/net/%s/conf/%s/%s", family == AF_INET6 ? "ipv6" : "ipv4", name, key);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t size = strlen(value);
    return write(fd, value, size) == (ssize_t)size ? 0 : -errno;
}

static void put_ip(struct nlmsghdr *h, uint16_t type, const struct link_ip *ip) {
    mnl_attr_put(h, type, link_ip_bits(ip) / 8, ip->b);
}

static struct nlmsghdr *address_request(struct link_kernel *k, void *buffer, bool add, const struct link_address *a) {
    struct nlmsghdr *h = request_start(k, buffer, add ? RTM_NEWADDR : RTM_DELADDR,
                                       (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_REPLACE : 0)));
    struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifa_family = (uint8_t)a->ip.family;
    m->ifa_prefixlen = (uint8_t)a->prefix_len;
    m->ifa_index = (unsigned)a->index;
    if (add && a->ip.family == AF_INET6)
        m->ifa_flags = IFA_F_NODAD;
    put_ip(h, IFA_LOCAL, &a->ip);
    put_ip(h, IFA_ADDRESS, &a->ip);
    if (add && a->ip.family == AF_INET && a->prefix_len < 31) {
        struct link_ip broadcast = a->ip;
        for (unsigned bit = a->prefix_len; bit < 32; bit++)
            broadcast.b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
        put_ip(h, IFA_BROADCAST, &broadcast);
    }
    return h;
}

static struct nlmsghdr *route_request(struct link_kernel *k, void *buffer, bool add, const struct link_route *r) {
    struct nlmsghdr *h = request_start(k, buffer, add ? RTM_NEWROUTE : RTM_DELROUTE,
                                       (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_REPLACE : 0)));
    struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    unsigned table = r->table ? r->table : LINK_TABLE_MAIN;
    m->rtm_family = (uint8_t)r->family;
    m->rtm_dst_len = (uint8_t)r->dst_len;
    m->rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
    m->rtm_type = add ? RTN_UNICAST : RTN_UNSPEC;
    m->rtm_protocol = add ? (uint8_t)(r->protocol ? r->protocol : LINK_PROTO_MUSTER) : RTPROT_UNSPEC;
    m->rtm_scope = add ? (uint8_t)r->scope : RT_SCOPE_NOWHERE;
    if (add && r->family == AF_INET && !r->gateway.family && r->scope == RT_SCOPE_UNIVERSE)
        m->rtm_scope = RT_SCOPE_LINK;
    if (r->dst.family)
        put_ip(h, RTA_DST, &r->dst);
    if (r->gateway.family)
        put_ip(h, RTA_GATEWAY, &r->gateway);
    if (r->src.family && add)
        put_ip(h, RTA_PREFSRC, &r->src);
    if (r->index)
        mnl_attr_put_u32(h, RTA_OIF, (unsigned)r->index);
    if (r->metric)
        mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
    if (table >= 256)
        mnl_attr_put_u32(h, RTA_TABLE, table);
    if (add && (r->mtu || r->advmss)) {
        struct nlattr *nest = mnl_attr_nest_start(h, RTA_METRICS);
        if (r->mtu_locked)
            mnl_attr_put_u32(h, RTAX_LOCK, 1u << RTAX_MTU);
        if (r->mtu)
            mnl_attr_put_u32(h, RTAX_MTU, r->mtu);
        if (r->advmss)
            mnl_attr_put_u32(h, RTAX_ADVMSS, r->advmss);
        mnl_attr_nest_end(h, nest);
    }
    return h;
}

static struct nlmsghdr *neighbour_request(struct link_kernel *k, void *buffer, const struct link_neighbour *n) {
    struct nlmsghdr *h = request_start(k, buffer, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
    struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ndm_family = (uint8_t)n->ip.family;
    m->ndm_ifindex = n->index;
    m->ndm_state = NUD_STALE;
    put_ip(h, NDA_DST, &n->ip);
    mnl_attr_put(h, NDA_LLADDR, sizeof n->mac.b, n->mac.b);
    return h;
}

static int kernel_batch(struct link *l, const struct link_change *changes, size_t n, size_t *ret_failed) {
    struct link_kernel *k = kernel_of(l);
    _cleanup_free_ char *buffer = xmalloc(BATCH_SIZE);
    size_t size = 0;
    uint32_t first_seq = k->seq + 1;
    for (size_t i = 0; i < n; i++) {
        const struct link_change *c = &changes[i];
        struct nlmsghdr *h;
        if (c->type == LINK_ADDRESS_ADD || c->type == LINK_ADDRESS_DEL)
            h = address_request(k, buffer + size, c->type == LINK_ADDRESS_ADD, &c->address);
        else if (c->type == LINK_ROUTE_REPLACE || c->type == LINK_ROUTE_DEL)
            h = route_request(k, buffer + size, c->type == LINK_ROUTE_REPLACE, &c->route);
        else
            h = neighbour_request(k, buffer + size, &c->neighbour);
        size += MNL_ALIGN(h->nlmsg_len);
    }
    if (mnl_socket_sendto(k->socket, buffer, size) < 0)
        return -errno;
    int first_error = 0;
    for (size_t i = 0; i < n; i++) {
        int r = receive(k, first_seq + (uint32_t)i, NULL, NULL);
        bool absent = (changes[i].type == LINK_ADDRESS_DEL && r == -EADDRNOTAVAIL) ||
                      (changes[i].type == LINK_ROUTE_DEL && (r == -ESRCH || r == -ENOENT));
        if (r < 0 && !absent && first_error == 0) {
            first_error = r;
            *ret_failed = i;
        }
    }
    return first_error;
}

static int kernel_route_get(struct link *l, const struct link_ip *dst, struct link_route *ret) {
    char buffer[REQUEST_SIZE];
    struct nlmsghdr *h = request_start(kernel_of(l), buffer, RTM_GETROUTE, 0);
    struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->rtm_family = (uint8_t)dst->family;
    m->rtm_dst_len = (uint8_t)link_ip_bits(dst);
    put_ip(h, RTA_DST, dst);
    struct link_route route = {0};
    int r = exchange(kernel_of(l), h, on_one_route, &route);
    if (r == 0)
        *ret = route;
    return r;
}

static const struct link_ops kernel_ops = {
    .free = kernel_free,
    .list = kernel_list,
    .addresses = kernel_addresses,
    .routes = kernel_routes,
    .neighbours = kernel_neighbours,
    .set_up = kernel_set_up,
    .set_mtu = kernel_set_mtu,
    .set_mac = kernel_set_mac,
    .set_sysctl = kernel_set_sysctl,
    .batch = kernel_batch,
    .route_get = kernel_route_get,
    .announce = link_kernel_announce,
    .arp_probe = link_kernel_arp_probe,
};

int link_kernel_open(struct link **ret) {
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!s)
        return -errno;
    int one = 1, big = 1 << 20;
    /* Answers must carry our text of the request only in short, and a batch's acknowledgements must all fit. */
    (void)setsockopt(mnl_socket_get_fd(s), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    (void)setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;
        mnl_socket_close(s);
        return r;
    }
    struct link_kernel *k = xnew0(struct link_kernel);
    k->link.ops = &kernel_ops;
    k->socket = s;
    k->port = mnl_socket_get_portid(s);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    k->seq = (uint32_t)now.tv_nsec;
    *ret = &k->link;
    return 0;
}
