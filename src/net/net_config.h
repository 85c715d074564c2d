/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything one host's network should be, in one self-contained value: it is what the planner is given, what lies on
 * the host's disk as last known good, and what a change is compared with. It names nothing that would need a database
 * to understand (a host boots its network alone).
 *
 * Content is the intent of the pool (NICs, bridges, addresses, which bridge carries management) and enters
 * `net_config_hash`. Generation, provenance, host name, datapath type and control size are the host's own business:
 * they are stored with it but do not enter the hash, so that coordinator and host compute the same one.
 *
 * A struct net_config owns its arrays; `net_config_free` accepts NULL. Bridges and NICs keep the order they were added
 * in; the hash and the JSON text do not depend on it. Any thread, one at a time.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "net/net_types.h"

#define NET_CONFIG_VERSION 1
#define NET_CONFIG_MAX_SIZE (1024 * 1024) /* of the JSON text; 512 bridges need less than a third of it */
#define NET_HASH_TEXT_SIZE 65             /* sha256 in hex */

/* Error codes of this file. */
#define ERR_NET_CONFIG_CORRUPT "NET_CONFIG_CORRUPT" /* truncated, not JSON, wrong types, checksum differs: [what] */
#define ERR_NET_CONFIG_VERSION "NET_CONFIG_VERSION" /* written by a newer Muster: [found, understood] */
#define ERR_NET_CONFIG_INVALID "NET_CONFIG_INVALID" /* intent that contradicts itself: [sentence with the cure] */

enum net_datapath { NET_DATAPATH_SYSTEM, NET_DATAPATH_NETDEV };

/* A physical NIC. Its permanent MAC is its identity, the name is where it was seen last. */
struct net_nic {
    net_name name;
    struct net_mac mac;
};

enum net_purpose { NET_PURPOSE_NIC, NET_PURPOSE_BOND, NET_PURPOSE_VLAN, NET_PURPOSE_INTERNAL };

/* Which MAC the bridge's own port wears. */
enum net_hwaddr_rule {
    NET_HWADDR_LEG, /* that of the NIC, of the bond's primary leg, of the VLAN's parent; internal: the switch chooses */
    NET_HWADDR_FIXED, /* the one given */
};

enum net_bond_mode { NET_BOND_ACTIVE_BACKUP, NET_BOND_BALANCE_SLB, NET_BOND_LACP };

struct net_bond {
    net_name name; /* "bond0": of the Port row when it is created */
    enum net_bond_mode mode;
    net_name primary;    /* a leg; "" means the first */
    bool lacp_fast;      /* lacp-time=fast */
    bool fallback_ab;    /* lacp-fallback-ab, default true */
    bool hash_src_mac;   /* hashing-algorithm=src_mac, else tcpudp_ports (LACP only) */
    int aggregation_key; /* lacp-aggregation-key, 0 none */
    int updelay_ms;      /* default 31000 */
    int downdelay_ms;    /* default 200 */
};

enum net_ip_mode { NET_IP_NONE, NET_IP_STATIC, NET_IP_DHCP, NET_IP_AUTOCONF /* IPv6 only */ };

struct net_ip {
    enum net_ip_mode mode;
    struct net_addr address; /* static only, with prefix */
    struct net_addr gateway; /* static only; family none: no gateway */
};

struct net_bridge {
    net_name name; /* also of the port that bears the address */
    enum net_purpose purpose;
    int mtu; /* wanted, of the bridge's port and of its legs */
    enum net_hwaddr_rule hwaddr_rule;
    struct net_mac hwaddr; /* NET_HWADDR_FIXED */
    /* purpose NIC: legs[0] is the NIC. BOND: the legs in order. Names of `nics`. */
    unsigned n_legs;
    net_name legs[NET_MAX_LEGS];
    struct net_bond bond; /* purpose BOND */
    /* purpose VLAN: a fake bridge of the switch on `parent`, so that guests attach to it by its name */
    net_name parent;
    int tag; /* 0..4094 */
    struct net_ip ip4, ip6;
    unsigned n_dns;
    struct net_addr dns[NET_MAX_DNS];
    char network_uuid[37]; /* of the pool's network, for sentences with a command in them; "" not known */
};

struct net_config {
    /* content */
    struct net_nic *nics;
    unsigned n_nics;
    struct net_bridge *bridges;
    unsigned n_bridges;
    net_name management; /* bridge that carries it; "" none */
    /* the host's own */
    enum net_datapath datapath;
    int control_size;    /* locked on every route out of the management bridge; 1500, or less where proven less */
    char *host_name;     /* owned, may be NULL: for sentences */
    uint64_t generation; /* counts up with each commit on this host */
    char *provenance;    /* owned, may be NULL: who wanted this and when, one line */
    char *repair;        /* owned, may be NULL: that this is otherwise than the pool wants it (net_repair.h) */
};

struct net_config *net_config_new(void); /* control size 1500, datapath system */
void net_config_free(struct net_config *c);
DEFINE_CLEANUP(struct net_config *, net_config_free)
#define _cleanup_net_config_ _cleanup_(net_config_freep)
struct net_config *net_config_copy(const struct net_config *c);

/* Builders; the returned pointer is borrowed and valid until the next add. They abort beyond the limits of net_types.h.
 */
struct net_nic *net_config_add_nic(struct net_config *c, const char *name, const struct net_mac *mac);
struct net_bridge *net_config_add_bridge(struct net_config *c, const char *name,
                                         enum net_purpose purpose); /* MTU 1500, bond defaults */
void net_bridge_add_leg(struct net_bridge *b, const char *nic);
void net_config_set_provenance(struct net_config *c, const char *text);
void net_config_set_host_name(struct net_config *c, const char *text);
void net_config_set_repair(struct net_config *c, const char *text); /* NULL: none */

/* Readers; NULL when absent. */
const struct net_nic *net_config_nic(const struct net_config *c, const char *name);
struct net_bridge *net_config_bridge(const struct net_config *c, const char *name);
const struct net_bridge *net_config_management(const struct net_config *c);
/* The bridge that holds the legs: b itself, or for a VLAN its parent. NULL when the parent is missing or is no base. */
const struct net_bridge *net_config_base(const struct net_config *c, const struct net_bridge *b);
/* Port row settings that b's bond wants; legs by the names of the config. */
struct net_ovs_bond net_bridge_ovs_bond(const struct net_bridge *b);
/* The leg whose MAC the bridge wears and which carries traffic first; "" without legs. */
const char *net_bridge_primary_leg(const struct net_bridge *b);

/*
 * The text form: JSON with sorted keys, format name, version and a sha256 checksum over all of it, ended by a newline.
 * The caller owns the string.
 */
char *net_config_to_json(const struct net_config *c);
/*
 * Parses and checks the text form. Strict: unknown members, duplicate keys, wrong types, anything beyond a limit, a
 * missing or different checksum are refused with a sentence that says where. Does not validate the intent.
 */
struct net_config *net_config_from_json(const char *text, size_t size, struct error **errp) _warn_unused_;

/* sha256 over the content in a canonical form. */
void net_config_hash(const struct net_config *c, char ret[static NET_HASH_TEXT_SIZE]);

/*
 * Intent that contradicts itself is refused before anything is touched: ERR_NET_CONFIG_INVALID with one sentence that
 * ends in the cure. The first contradiction found is reported.
 */
bool net_config_validate(const struct net_config *c, struct error **errp) _warn_unused_;

/* What changes from one to the other, one line each, for people; "" when the content is equal. The caller owns it. */
char *net_config_diff_text(const struct net_config *from, const struct net_config *to);

const char *net_purpose_text(enum net_purpose p);
const char *net_bond_mode_text(enum net_bond_mode m); /* "active-backup" "balance-slb" "lacp" */
bool net_bond_mode_parse(const char *text, enum net_bond_mode *ret) _warn_unused_;
const char *net_ip_mode_text(enum net_ip_mode m);   /* "none" "static" "dhcp" "autoconf" */
const char *net_datapath_text(enum net_datapath d); /* "system" "netdev" */
bool net_datapath_parse(const char *text, enum net_datapath *ret) _warn_unused_;
