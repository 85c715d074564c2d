/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small value types of the network engine: interface names, MAC addresses, IP addresses with prefix, bond settings as
 * the switch knows them. Plain values without ownership; text forms are strict both ways. Any thread.
 */
#pragma once

#include "base/macro.h"

#define NET_NAME_SIZE 16 /* IFNAMSIZ, with the NUL */
#define NET_MAC_TEXT_SIZE 18
#define NET_ADDR_TEXT_SIZE 64 /* an IPv6 address, '/', prefix */
#define NET_MAX_NICS 64
#define NET_MAX_BRIDGES 512
#define NET_MAX_LEGS 8
#define NET_MAX_DNS 6

#define NET_MTU_MIN 576       /* smallest MTU that we accept for a bridge (RFC 791) */
#define NET_MTU_MIN_IPV6 1280 /* RFC 8200 */
#define NET_MTU_MAX 65535
#define NET_MTU_DEFAULT 1500
#define NET_CONTROL_SIZE_MIN 576 /* smallest control size: still carries TLS records in several segments */
#define NET_BOND_UPDELAY_MS 31000
#define NET_BOND_DOWNDELAY_MS 200

typedef char net_name[NET_NAME_SIZE];

struct net_mac {
    uint8_t b[6]; /* all zero: not known */
};

bool net_mac_parse(const char *text, struct net_mac *ret) _warn_unused_; /* aa:bb:cc:dd:ee:ff, any case */
const char *net_mac_text(const struct net_mac *m, char text[static NET_MAC_TEXT_SIZE]);
bool net_mac_eq(const struct net_mac *a, const struct net_mac *b);
bool net_mac_is_zero(const struct net_mac *m);

enum net_family { NET_FAMILY_NONE = 0, NET_FAMILY_IPV4 = 4, NET_FAMILY_IPV6 = 6 };

/* An address with the length of its prefix; family NET_FAMILY_NONE means "not there". IPv4 uses the first 4 bytes. */
struct net_addr {
    enum net_family family;
    uint8_t b[16];
    uint8_t prefix; /* 0..32 or 0..128; full length for a plain host address */
};

bool net_addr_parse(const char *text, struct net_addr *ret) _warn_unused_; /* "10.0.0.1", "10.0.0.1/24", "fd00::1/64" */
/* "10.0.0.1/24"; without the prefix when with_prefix is false; "" for none. */
const char *net_addr_text(const struct net_addr *a, bool with_prefix, char text[static NET_ADDR_TEXT_SIZE]);
bool net_addr_eq(const struct net_addr *a, const struct net_addr *b);        /* address and prefix */
bool net_addr_same_host(const struct net_addr *a, const struct net_addr *b); /* address only */
struct net_addr net_addr_network(const struct net_addr *a);                  /* host bits cleared */
bool net_addr_contains(const struct net_addr *network, const struct net_addr *a);
bool net_addr_is_link_local(const struct net_addr *a);
const char *net_prefix_to_netmask(unsigned prefix, char text[static NET_ADDR_TEXT_SIZE]); /* 24 -> "255.255.255.0" */
int net_netmask_to_prefix(const char *netmask); /* "255.255.255.0" -> 24; -1 when it is no netmask */

/* True for a name the kernel takes for an interface: 1..15 of printable ASCII without '/', ':' and space, not "." "..".
 */
bool net_name_is_valid(const char *name);
/* Copies a name; false (and an empty name) when it is not valid. */
bool net_name_set(net_name dst, const char *name);

/* ---- a bond, as the switch's Port row holds it ---- */
enum net_ovs_bond_mode {
    NET_OVS_BOND_AB,
    NET_OVS_BOND_SLB,
    NET_OVS_BOND_TCP
}; /* active-backup balance-slb balance-tcp */

struct net_ovs_bond {
    enum net_ovs_bond_mode mode;
    bool lacp;           /* lacp=active, else off */
    bool lacp_fast;      /* other_config:lacp-time=fast, else slow */
    bool fallback_ab;    /* other_config:lacp-fallback-ab */
    int aggregation_key; /* other_config:lacp-aggregation-key, 0: not set */
    int updelay_ms;      /* bond_updelay */
    int downdelay_ms;    /* bond_downdelay */
    net_name primary;    /* other_config:bond-primary, "" none */
};

const char *net_ovs_bond_mode_text(enum net_ovs_bond_mode m); /* as in the Port row */
bool net_ovs_bond_mode_parse(const char *text, enum net_ovs_bond_mode *ret) _warn_unused_;
bool net_ovs_bond_eq(const struct net_ovs_bond *a, const struct net_ovs_bond *b);
