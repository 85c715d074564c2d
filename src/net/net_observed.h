/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one host's network is, as read from the kernel (links, addresses, routes), from the switch's database (bridges,
 * ports, interfaces) and from the lease files. A snapshot: adapters and tests fill it with the add functions, the
 * planner only reads it. Owns its arrays. Pointers returned by the add functions are valid until the next add of the
 * same kind. Any thread, one at a time.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "net/net_types.h"

enum net_link_kind {
    NET_LINK_PHYSICAL, /* a NIC, or a veth that stands for one */
    NET_LINK_SWITCH, /* an internal port of the switch: tap of the userspace datapath, openvswitch port of the kernel's
                      */
    NET_LINK_LOOPBACK,
    NET_LINK_OTHER, /* containers' bridges, tunnels, guests' taps ... never touched */
};

struct net_obs_link {
    net_name name;
    int ifindex;
    enum net_link_kind kind;
    struct net_mac mac;           /* what it wears now */
    struct net_mac permanent_mac; /* burnt in; zero when the driver does not say, then `mac` identifies it */
    int mtu;
    int max_mtu; /* IFLA_MAX_MTU; 0: the driver does not say */
    bool up;
    bool carrier;
};

struct net_obs_addr {
    net_name link;
    struct net_addr addr; /* with prefix */
    bool dynamic;         /* from DHCP or a router advertisement: has a lifetime */
};

enum net_route_proto {
    NET_ROUTE_PROTO_KERNEL = 2,
    NET_ROUTE_PROTO_BOOT = 3,
    NET_ROUTE_PROTO_STATIC = 4,
    NET_ROUTE_PROTO_RA = 9,
    NET_ROUTE_PROTO_DHCP = 16
}; /* the kernel's RTPROT_ numbers */

/* A route, as observed and as wanted. Only unicast routes; table 254 is main. */
struct net_route {
    struct net_addr dst;     /* family always set; prefix 0: default */
    struct net_addr gateway; /* none: on link */
    struct net_addr src;     /* preferred source; none */
    net_name dev;
    unsigned table;  /* 254 when 0 */
    unsigned metric; /* 0 for IPv4 default, IPv6 kernel routes 256 */
    int proto;       /* RTPROT_ number */
    bool scope_link; /* IPv4 on-link route */
    int mtu;         /* RTAX_MTU, 0 none */
    bool mtu_lock;   /* RTAX_LOCK has RTAX_MTU */
    int advmss;      /* RTAX_ADVMSS, 0 none */
};

/* A lease that a DHCP client holds, or wrote last. */
struct net_obs_lease {
    net_name link;
    enum net_family family;
    bool client_running;
    struct net_addr address;
    struct net_addr gateway;
    int interface_mtu; /* option 26, 0 when not offered; reported, never obeyed */
};

struct net_obs_bridge {
    net_name name;
    char datapath_type[16]; /* "" and "system" are the same */
    struct net_mac hwaddr;  /* other_config:hwaddr, zero none */
    bool ours;              /* external_ids has muster=... */
};

struct net_obs_port {
    net_name name;
    net_name bridge;
    int tag; /* -1 none */
    bool fake_bridge;
    bool ours;
    bool is_bond; /* the columns of `bond` are set (two interfaces or more, or left from then) */
    struct net_ovs_bond bond;
    net_name active_leg; /* from the bond's status; "" not known */
    unsigned n_ifaces;
    net_name ifaces[NET_MAX_LEGS];
};

struct net_obs_iface {
    net_name name;
    char type[16];      /* "" system, "internal", "patch" ... */
    net_name peer;      /* options:peer of a patch port */
    struct net_mac mac; /* the column `mac`: asked for; zero none */
    int mtu;            /* read back; 0 unknown */
    int mtu_request;    /* 0 not set */
    int ofport;         /* -1 refused, 0 not known yet */
    char error[128];    /* what the switch says; "" fine */
    bool ours;
};

/* A line of resolv.conf is not a thing of one link: what the host resolves with now. */
struct net_observed {
    struct net_obs_link *links;
    unsigned n_links;
    struct net_obs_addr *addrs;
    unsigned n_addrs;
    struct net_route *routes;
    unsigned n_routes;
    struct net_obs_lease *leases;
    unsigned n_leases;
    struct net_obs_bridge *bridges;
    unsigned n_bridges;
    struct net_obs_port *ports;
    unsigned n_ports;
    struct net_obs_iface *ifaces;
    unsigned n_ifaces;
    unsigned n_dns;
    struct net_addr dns[NET_MAX_DNS];
    bool switch_running; /* ovs-vswitchd answers; else its columns of the database are old */
    bool switch_settled; /* cur_cfg has reached next_cfg: a difference of mtu and mtu_request is a refusal */
};

struct net_observed *net_observed_new(void); /* empty; switch running and settled */
void net_observed_free(struct net_observed *o);
DEFINE_CLEANUP(struct net_observed *, net_observed_free)
#define _cleanup_net_observed_ _cleanup_(net_observed_freep)
struct net_observed *net_observed_copy(const struct net_observed *o);

struct net_obs_link *net_observed_add_link(struct net_observed *o, const char *name, enum net_link_kind kind);
struct net_obs_addr *net_observed_add_addr(struct net_observed *o, const char *link, const struct net_addr *addr);
struct net_route *net_observed_add_route(struct net_observed *o, const struct net_route *r); /* copied */
struct net_obs_lease *net_observed_add_lease(struct net_observed *o, const char *link, enum net_family family);
struct net_obs_bridge *net_observed_add_bridge(struct net_observed *o, const char *name);
struct net_obs_port *net_observed_add_port(struct net_observed *o, const char *bridge, const char *name); /* tag -1 */
bool net_obs_port_add_iface(struct net_obs_port *p, const char *iface); /* false beyond NET_MAX_LEGS */
struct net_obs_iface *net_observed_add_iface(struct net_observed *o, const char *name);

struct net_obs_link *net_observed_link(const struct net_observed *o, const char *name);
/* By permanent MAC of a physical link (by current MAC where the driver tells no permanent one). */
struct net_obs_link *net_observed_link_by_mac(const struct net_observed *o, const struct net_mac *mac);
struct net_obs_bridge *net_observed_bridge(const struct net_observed *o, const char *name);
struct net_obs_port *net_observed_port(const struct net_observed *o, const char *name);
struct net_obs_port *net_observed_port_of_iface(const struct net_observed *o, const char *iface);
struct net_obs_iface *net_observed_iface(const struct net_observed *o, const char *name);
struct net_obs_lease *net_observed_lease(const struct net_observed *o, const char *link, enum net_family family);
bool net_observed_has_addr(const struct net_observed *o, const char *link, const struct net_addr *addr);

/* Scenario files: an object as tests/scenario/net/README.md describes. Strict, with the same limits as the config. */
struct net_observed *net_observed_from_json(const char *text, size_t size, struct error **errp) _warn_unused_;
char *net_observed_to_json(const struct net_observed *o); /* same form; the caller owns it */
