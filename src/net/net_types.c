/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_types.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool net_mac_parse(const char *text, struct net_mac *ret) {
    struct net_mac m = {0};
    if (strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        int hi = hex_digit(text[3 * i]), lo = hex_digit(text[3 * i + 1]);
        if (hi < 0 || lo < 0 || (i < 5 && text[3 * i + 2] != ':'))
            return false;
        m.b[i] = (uint8_t)(hi << 4 | lo);
    }
    *ret = m;
    return true;
}

const char *net_mac_text(const struct net_mac *m, char text[static NET_MAC_TEXT_SIZE]) {
    snprintf(text, NET_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3], m->b[4],
             m->b[5]);
    return text;
}

bool net_mac_eq(const struct net_mac *a, const struct net_mac *b) {
    return memcmp(a->b, b->b, 6) == 0;
}

bool net_mac_is_zero(const struct net_mac *m) {
    return net_mac_eq(m, &(struct net_mac){0});
}

bool net_addr_parse(const char *text, struct net_addr *ret) {
    char host[NET_ADDR_TEXT_SIZE];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof(host))
        return false;
    memcpy(host, text, len);
    host[len] = 0;
    struct net_addr a = {0};
    int full;
    if (inet_pton(AF_INET, host, a.b) == 1) {
        a.family = NET_FAMILY_IPV4;
        full = 32;
    } else if (inet_pton(AF_INET6, host, a.b) == 1) {
        a.family = NET_FAMILY_IPV6;
        full = 128;
    } else {
        return false;
    }
    int64_t prefix = full;
    if (slash && (strlen(slash + 1) > 3 || !str_parse_int(slash + 1, 0, full, &prefix)))
        return false;
    a.prefix = (uint8_t)prefix;
    *ret = a;
    return true;
}

const char *net_addr_text(const struct net_addr *a, bool with_prefix, char text[static NET_ADDR_TEXT_SIZE]) {
    char host[INET6_ADDRSTRLEN];
    if (a->family == NET_FAMILY_NONE ||
        !inet_ntop(a->family == NET_FAMILY_IPV4 ? AF_INET : AF_INET6, a->b, host, sizeof(host))) {
        text[0] = 0;
        return text;
    }
    if (with_prefix)
        snprintf(text, NET_ADDR_TEXT_SIZE, "%s/%u", host, a->prefix);
    else
        snprintf(text, NET_ADDR_TEXT_SIZE, "%s", host);
    return text;
}

static size_t addr_size(const struct net_addr *a) {
    return a->family == NET_FAMILY_IPV4 ? 4 : a->family == NET_FAMILY_IPV6 ? 16 : 0;
}

bool net_addr_eq(const struct net_addr *a, const struct net_addr *b) {
    return net_addr_same_host(a, b) && (a->family == NET_FAMILY_NONE || a->prefix == b->prefix);
}

bool net_addr_same_host(const struct net_addr *a, const struct net_addr *b) {
    return a->family == b->family && memcmp(a->b, b->b, addr_size(a)) == 0;
}

struct net_addr net_addr_network(const struct net_addr *a) {
    struct net_addr n = *a;
    size_t size = addr_size(a);
    for (size_t i = 0; i < size; i++) {
        unsigned bits = a->prefix > 8 * i ? a->prefix - 8 * (unsigned)i : 0;
        if (bits < 8)
            n.b[i] &= (uint8_t)(0xff00 >> bits);
    }
    return n;
}

bool net_addr_contains(const struct net_addr *network, const struct net_addr *a) {
    if (network->family != a->family || network->family == NET_FAMILY_NONE)
        return false;
    struct net_addr n = *a;
    n.prefix = network->prefix;
    struct net_addr left = net_addr_network(&n), right = net_addr_network(network);
    return net_addr_same_host(&left, &right);
}

bool net_addr_is_link_local(const struct net_addr *a) {
    if (a->family == NET_FAMILY_IPV4)
        return a->b[0] == 169 && a->b[1] == 254;
    return a->family == NET_FAMILY_IPV6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

const char *net_prefix_to_netmask(unsigned prefix, char text[static NET_ADDR_TEXT_SIZE]) {
    struct in_addr a = {.s_addr = prefix ? htonl(~0u << (32 - MIN(prefix, 32u))) : 0};
    if (!inet_ntop(AF_INET, &a, text, NET_ADDR_TEXT_SIZE))
        text[0] = 0;
    return text;
}

int net_netmask_to_prefix(const char *netmask) {
    struct in_addr in;
    if (inet_pton(AF_INET, netmask, &in) != 1)
        return -1;
    uint32_t m = ntohl(in.s_addr);
    /* A netmask's complement plus one is a power of two (or overflows to zero). */
    if (~m & (~m + 1))
        return -1;
    return __builtin_popcount(m);
}

bool net_name_is_valid(const char *name) {
    size_t len = strlen(name);
    if (len == 0 || len >= NET_NAME_SIZE || str_eq(name, ".") || str_eq(name, ".."))
        return false;
    for (const char *p = name; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '/' || *p == ':')
            return false;
    return true;
}

bool net_name_set(net_name dst, const char *name) {
    if (!net_name_is_valid(name)) {
        dst[0] = 0;
        return false;
    }
    return str_copy(dst, NET_NAME_SIZE, name);
}

static const char *const ovs_bond_modes[] = {
    [NET_OVS_BOND_AB] = "active-backup",
    [NET_OVS_BOND_SLB] = "balance-slb",
    [NET_OVS_BOND_TCP] = "balance-tcp",
};

const char *net_ovs_bond_mode_text(enum net_ovs_bond_mode m) {
    return ovs_bond_modes[m];
}

bool net_ovs_bond_mode_parse(const char *text, enum net_ovs_bond_mode *ret) {
    for (unsigned i = 0; i < ARRAY_SIZE(ovs_bond_modes); i++)
        if (str_eq(text, ovs_bond_modes[i])) {
            *ret = i;
            return true;
        }
    return false;
}

bool net_ovs_bond_eq(const struct net_ovs_bond *a, const struct net_ovs_bond *b) {
    return a->mode == b->mode && a->lacp == b->lacp && a->lacp_fast == b->lacp_fast &&
           a->fallback_ab == b->fallback_ab && a->aggregation_key == b->aggregation_key &&
           a->updelay_ms == b->updelay_ms && a->downdelay_ms == b->downdelay_ms && str_eq(a->primary, b->primary);
}
