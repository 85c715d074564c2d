/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's view of the network: links, addresses, routes, neighbours, over rtnetlink. A `struct link` is a driver:
 * link_kernel_open() talks to the kernel of the calling thread's network namespace, link_fake_new() (link_fake.h) keeps
 * the same state in memory for tests. Nothing here reads /sys: it may belong to another namespace.
 *
 * All calls are synchronous (the kernel answers at once) and return 0 or a negative errno. Lists are freed with the
 * matching _done function. One handle belongs to one thread at a time.
 */
#pragma once

#include "base/macro.h"

#define LINK_NAME_SIZE 16
#define LINK_IP_TEXT_SIZE 46
#define LINK_MAC_TEXT_SIZE 18

struct link_ip {
    int family;    /* AF_INET, AF_INET6; 0: none */
    uint8_t b[16]; /* 4 or 16 bytes used */
};

struct link_mac {
    uint8_t b[6];
};

struct link_info {
    int index;
    char name[LINK_NAME_SIZE];
    struct link_mac mac;
    struct link_mac permanent_mac; /* burnt in; equal to `mac` when the driver names none */
    unsigned mtu;
    unsigned max_mtu; /* 0: the driver names no limit */
    bool up;          /* administratively */
    bool carrier;
    bool loopback;
    char kind[LINK_NAME_SIZE]; /* "veth", "tun", "openvswitch", ...; "" for hardware */
};

struct link_address {
    int index;
    struct link_ip ip;
    unsigned prefix_len;
    bool link_scope; /* fe80::, 169.254 */
    bool permanent;  /* has no lifetime */
    bool tentative;  /* duplicate address detection not finished, or failed */
};

enum {
    LINK_PROTO_KERNEL = 2,
    LINK_PROTO_BOOT = 3,
    LINK_PROTO_STATIC = 4,
    LINK_PROTO_DHCP = 16,
    LINK_PROTO_MUSTER = 77
};
#define LINK_TABLE_MAIN 254

struct link_route {
    int family;
    struct link_ip dst; /* family 0: default */
    unsigned dst_len;
    struct link_ip gateway; /* family 0: on link */
    struct link_ip src;     /* preferred source; family 0: none */
    int index;              /* outgoing link */
    unsigned table;         /* 0 when written means LINK_TABLE_MAIN */
    unsigned metric;        /* priority */
    unsigned mtu;           /* 0: none */
    bool mtu_locked;
    unsigned advmss; /* 0: none */
    unsigned protocol;
    unsigned scope; /* as in the kernel: 0 universe, 253 link */
    bool unicast;   /* false: local, broadcast, unreachable, ...; writing takes unicast only */
};

struct link_neighbour {
    int index;
    struct link_ip ip;
    struct link_mac mac;
    bool usable; /* reachable, stale, delay, probe or permanent */
};

#define LINK_LIST(name, type)                                                                                          \
    struct name {                                                                                                      \
        struct type *items;                                                                                            \
        size_t n;                                                                                                      \
    }
LINK_LIST(link_infos, link_info);
LINK_LIST(link_addresses, link_address);
LINK_LIST(link_routes, link_route);
LINK_LIST(link_neighbours, link_neighbour);

enum link_change_type {
    LINK_ADDRESS_ADD, /* replaces the lifetime when already there; no duplicate address detection for v6 */
    LINK_ADDRESS_DEL, /* absent is fine */
    LINK_ROUTE_REPLACE,
    LINK_ROUTE_DEL,         /* absent is fine */
    LINK_NEIGHBOUR_REPLACE, /* written as stale: used at once, checked by the kernel soon */
};

struct link_change {
    enum link_change_type type;
    union {
        struct link_address address;
        struct link_route route;
        struct link_neighbour neighbour;
    };
};

#define MAX_LINK_CHANGES 256 /* per batch */

struct link;

/* The driver's table; the functions below go through it. */
struct link_ops {
    void (*free)(struct link *l);
    int (*list)(struct link *l, struct link_infos *ret);
    int (*addresses)(struct link *l, struct link_addresses *ret);
    int (*routes)(struct link *l, struct link_routes *ret);
    int (*neighbours)(struct link *l, struct link_neighbours *ret);
    int (*set_up)(struct link *l, const char *name, bool up);
    int (*set_mtu)(struct link *l, const char *name, unsigned mtu);
    int (*set_mac)(struct link *l, const char *name, const struct link_mac *mac);
    int (*set_sysctl)(struct link *l, int family, const char *name, const char *key, const char *value);
    int (*batch)(struct link *l, const struct link_change *changes, size_t n, size_t *ret_failed);
    int (*route_get)(struct link *l, const struct link_ip *dst, struct link_route *ret);
    int (*announce)(struct link *l, const char *name, const struct link_mac *mac, const struct link_ip *ip);
    int (*arp_probe)(struct link *l, const char *name, const struct link_ip *src, const struct link_ip *dst,
                     unsigned timeout_ms, struct link_mac *ret_mac);
};

struct link {
    const struct link_ops *ops;
};

int link_kernel_open(struct link **ret) _warn_unused_;
void link_free(struct link *l); /* accepts NULL */
DEFINE_CLEANUP(struct link *, link_free)

int link_list(struct link *l, struct link_infos *ret) _warn_unused_;
int link_list_addresses(struct link *l, struct link_addresses *ret) _warn_unused_;
int link_list_routes(struct link *l, struct link_routes *ret) _warn_unused_; /* both families, all tables */
int link_list_neighbours(struct link *l, struct link_neighbours *ret) _warn_unused_;
void link_infos_done(struct link_infos *v);
void link_addresses_done(struct link_addresses *v);
void link_routes_done(struct link_routes *v);
void link_neighbours_done(struct link_neighbours *v);

/* One link by name: -ENODEV when absent. */
int link_find(struct link *l, const char *name, struct link_info *ret) _warn_unused_;
int link_set_up(struct link *l, const char *name, bool up) _warn_unused_;
int link_set_mtu(struct link *l, const char *name, unsigned mtu) _warn_unused_; /* -EINVAL: the driver refused */
int link_set_mac(struct link *l, const char *name, const struct link_mac *mac) _warn_unused_;
/* net.ipv4|ipv6.conf.<name>.<key> = value; family AF_INET or AF_INET6. -ENOENT: this kernel or link does not have it.
 */
int link_set_sysctl(struct link *l, int family, const char *name, const char *key, const char *value) _warn_unused_;

/*
 * Performs changes in order, in one message to the kernel, so that an address moves between links without a gap. All
 * are tried; the first failure is returned and its position stored in *ret_failed (may be NULL).
 */
int link_batch(struct link *l, const struct link_change *changes, size_t n, size_t *ret_failed) _warn_unused_;
/* Gives `to` the usable neighbours of `from`, so that no address must be asked for again after a move. */
int link_copy_neighbours(struct link *l, const char *from, const char *to) _warn_unused_;
/* The route the kernel would take now, cached path sizes included. -ENETUNREACH when there is none. */
int link_route_get(struct link *l, const struct link_ip *dst, struct link_route *ret) _warn_unused_;

/* Sends one gratuitous ARP request or unsolicited neighbour advertisement for `ip` out of the link `name`, with the
 * link's own MAC; moves switch tables and neighbours' caches. The caller repeats it (8 times, 60 ms apart, is
 * measured). */
int link_announce(struct link *l, const char *name, const struct link_ip *ip) _warn_unused_;
/* Asks by ARP who has `dst` out of `name`; blocks at most timeout_ms. -ETIMEDOUT: nobody. IPv4 only. `src` family 0:
 * probe with the zero address (duplicate detection). */
int link_arp_probe(struct link *l, const char *name, const struct link_ip *src, const struct link_ip *dst,
                   unsigned timeout_ms, struct link_mac *ret_mac) _warn_unused_;

/* Text. Parsing takes the whole of `text`. */
bool link_ip_parse(const char *text, struct link_ip *ret) _warn_unused_;
const char *link_ip_text(const struct link_ip *ip, char text[static LINK_IP_TEXT_SIZE]); /* "" for family 0 */
bool link_ip_eq(const struct link_ip *a, const struct link_ip *b);
unsigned link_ip_bits(const struct link_ip *ip); /* 32 or 128 */
/* The network part: ip with the bits behind prefix_len cleared. */
struct link_ip link_ip_network(const struct link_ip *ip, unsigned prefix_len);
bool link_mac_parse(const char *text, struct link_mac *ret) _warn_unused_;
const char *link_mac_text(const struct link_mac *mac, char text[static LINK_MAC_TEXT_SIZE]);
bool link_mac_eq(const struct link_mac *a, const struct link_mac *b);
