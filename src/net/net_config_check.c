/* SPDX-License-Identifier: Apache-2.0 */
/* Contradictions inside one configuration, each with its cure. The order is that of a person reading from the NICs up.
 */
#include <string.h>

#include "base/str.h"
#include "net/net_config.h"

#define FAIL(...)                                                                                                      \
    do {                                                                                                               \
        error_setf(errp, ERR_NET_CONFIG_INVALID, __VA_ARGS__);                                                         \
        return false;                                                                                                  \
    } while (0)

static bool check_nics(const struct net_config *c, struct error **errp) {
    for (unsigned i = 0; i < c->n_nics; i++) {
        const struct net_nic *n = &c->nics[i];
        if (!net_name_is_valid(n->name))
            FAIL("NIC number %u has no usable name; give it one such as eth%u", i, i);
        for (unsigned k = 0; k < i; k++) {
            char mac[NET_MAC_TEXT_SIZE];
            if (str_eq(c->nics[k].name, n->name))
                FAIL("two NICs are named '%s'; forget one with: xe pif-forget", n->name);
            if (!net_mac_is_zero(&n->mac) && net_mac_eq(&c->nics[k].mac, &n->mac))
                FAIL("NICs '%s' and '%s' have the same MAC %s; forget one with: xe pif-forget", c->nics[k].name,
                     n->name, net_mac_text(&n->mac, mac));
        }
    }
    return true;
}

static bool check_legs(const struct net_config *c, const struct net_bridge *b, struct error **errp) {
    if (b->purpose == NET_PURPOSE_NIC && b->n_legs != 1)
        FAIL("bridge '%s' is that of one NIC but names %u; give it one NIC or make it a bond's with: xe bond-create",
             b->name, b->n_legs);
    if (b->purpose == NET_PURPOSE_BOND && b->n_legs == 0)
        FAIL("bond '%s' of bridge '%s' has no legs; destroy it with: xe bond-destroy", b->bond.name, b->name);
    if ((b->purpose == NET_PURPOSE_VLAN || b->purpose == NET_PURPOSE_INTERNAL) && b->n_legs)
        FAIL("bridge '%s' is %s but names NICs of its own; remove them from it", b->name,
             b->purpose == NET_PURPOSE_VLAN ? "a VLAN's" : "internal");
    for (unsigned i = 0; i < b->n_legs; i++) {
        if (!net_config_nic(c, b->legs[i]))
            FAIL("bridge '%s' uses NIC '%s', which the host's list of NICs does not have; run: xe pif-scan", b->name,
                 b->legs[i]);
        for (unsigned k = 0; k < i; k++)
            if (str_eq(b->legs[k], b->legs[i]))
                FAIL("bond '%s' names leg '%s' twice; create it again with each leg once", b->bond.name, b->legs[i]);
    }
    return true;
}

static bool check_bond(const struct net_config *c, const struct net_bridge *b, struct error **errp) {
    if (b->purpose != NET_PURPOSE_BOND)
        return true;
    if (!net_name_is_valid(b->bond.name))
        FAIL("the bond of bridge '%s' has no usable name; use bond0, bond1 ...", b->name);
    bool has_primary = !b->bond.primary[0];
    for (unsigned i = 0; i < b->n_legs; i++)
        has_primary = has_primary || str_eq(b->bond.primary, b->legs[i]);
    if (!has_primary)
        FAIL("bond '%s' has '%s' as primary leg, which is not one of its legs; create it again", b->bond.name,
             b->bond.primary);
    if (b->bond.updelay_ms < 0 || b->bond.downdelay_ms < 0)
        FAIL("bond '%s' has a negative delay; set updelay and downdelay to 0 or more milliseconds", b->bond.name);
    return true;
}

static bool check_vlan(const struct net_config *c, const struct net_bridge *b, struct error **errp) {
    if (b->purpose != NET_PURPOSE_VLAN)
        return true;
    const struct net_bridge *base = net_config_base(c, b);
    if (!b->parent[0] || !base)
        FAIL("VLAN bridge '%s' sits on '%s', which is no bridge of a NIC or a bond here; destroy it with: xe "
             "vlan-destroy",
             b->name, b->parent);
    if (b->tag < 0 || b->tag > 4094)
        FAIL("VLAN bridge '%s' has tag %d; use 0 to 4094", b->name, b->tag);
    if (b->mtu > base->mtu) {
        if (base->network_uuid[0])
            FAIL(
                "VLAN %d on '%s' wants MTU %d, but '%s' below it has %d, so its larger frames would be lost; raise the "
                "network below with: xe network-param-set uuid=%s MTU=%d",
                b->tag, b->name, b->mtu, base->name, base->mtu, base->network_uuid, b->mtu);
        FAIL(
            "VLAN %d on '%s' wants MTU %d, but '%s' below it has %d, so its larger frames would be lost; raise the MTU "
            "of the network of '%s' to %d or lower that of the VLAN",
            b->tag, b->name, b->mtu, base->name, base->mtu, base->name, b->mtu);
    }
    for (unsigned i = 0; i < c->n_bridges; i++) {
        const struct net_bridge *o = &c->bridges[i];
        if (o != b && o->purpose == NET_PURPOSE_VLAN && o->tag == b->tag && str_eq(o->parent, b->parent))
            FAIL("bridges '%s' and '%s' both carry VLAN %d of '%s'; destroy one with: xe vlan-destroy", b->name,
                 o->name, b->tag, b->parent);
    }
    return true;
}

static bool check_ip(const struct net_bridge *b, const struct net_ip *ip, enum net_family family, struct error **errp) {
    char text[NET_ADDR_TEXT_SIZE], gateway[NET_ADDR_TEXT_SIZE];
    const char *name = family == NET_FAMILY_IPV4 ? "IPv4" : "IPv6";
    if (ip->mode == NET_IP_AUTOCONF && family == NET_FAMILY_IPV4)
        FAIL("bridge '%s' wants %s autoconf, which does not exist; use dhcp or static", b->name, name);
    if (ip->mode == NET_IP_NONE)
        return true;
    if (family == NET_FAMILY_IPV6 && b->mtu < NET_MTU_MIN_IPV6)
        FAIL("bridge '%s' has an IPv6 address but MTU %d; IPv6 needs %d or more: raise the MTU of its network", b->name,
             b->mtu, NET_MTU_MIN_IPV6);
    if (ip->mode != NET_IP_STATIC)
        return true;
    if (ip->address.family != family)
        FAIL("bridge '%s' has static %s without an address; set one with: xe pif-reconfigure-ip mode=static IP=",
             b->name, name);
    unsigned full = family == NET_FAMILY_IPV4 ? 32 : 128;
    if (ip->address.prefix == 0 || ip->address.prefix > full)
        FAIL("bridge '%s' has %s with a prefix of %u bits; set a netmask", b->name,
             net_addr_text(&ip->address, /* with_prefix= */ false, text), ip->address.prefix);
    if (ip->gateway.family == NET_FAMILY_NONE)
        return true;
    if (ip->gateway.family != family)
        FAIL("bridge '%s' has a gateway of another family than its %s address; set one of the same", b->name, name);
    if (net_addr_same_host(&ip->gateway, &ip->address))
        FAIL("bridge '%s' has its own address %s as gateway; set the router's", b->name,
             net_addr_text(&ip->address, /* with_prefix= */ false, text));
    if (!net_addr_contains(&ip->address, &ip->gateway) && !net_addr_is_link_local(&ip->gateway))
        FAIL("bridge '%s' has %s, and gateway %s is not in that network; correct the gateway or the netmask with: xe "
             "pif-reconfigure-ip",
             b->name, net_addr_text(&ip->address, /* with_prefix= */ true, text),
             net_addr_text(&ip->gateway, /* with_prefix= */ false, gateway));
    return true;
}

static bool check_uniqueness(const struct net_config *c, struct error **errp) {
    for (unsigned i = 0; i < c->n_bridges; i++) {
        const struct net_bridge *a = &c->bridges[i];
        char text[NET_ADDR_TEXT_SIZE];
        if (net_config_nic(c, a->name))
            FAIL("bridge '%s' has the name of a NIC; give its network another bridge name", a->name);
        for (unsigned k = 0; k < i; k++) {
            const struct net_bridge *b = &c->bridges[k];
            if (str_eq(a->name, b->name))
                FAIL("two networks use the bridge name '%s'; give one another bridge name", a->name);
            if (a->purpose == NET_PURPOSE_BOND && b->purpose == NET_PURPOSE_BOND && str_eq(a->bond.name, b->bond.name))
                FAIL("bridges '%s' and '%s' both have a bond named '%s'; destroy one with: xe bond-destroy", b->name,
                     a->name, a->bond.name);
            if (a->ip4.mode == NET_IP_STATIC && b->ip4.mode == NET_IP_STATIC &&
                net_addr_same_host(&a->ip4.address, &b->ip4.address))
                FAIL("bridges '%s' and '%s' have the same address %s; change one with: xe pif-reconfigure-ip", b->name,
                     a->name, net_addr_text(&a->ip4.address, /* with_prefix= */ false, text));
            if (a->ip6.mode == NET_IP_STATIC && b->ip6.mode == NET_IP_STATIC &&
                net_addr_same_host(&a->ip6.address, &b->ip6.address))
                FAIL("bridges '%s' and '%s' have the same address %s; change one with: xe pif-reconfigure-ipv6",
                     b->name, a->name, net_addr_text(&a->ip6.address, /* with_prefix= */ false, text));
            for (unsigned l = 0; l < a->n_legs; l++)
                for (unsigned m = 0; m < b->n_legs; m++)
                    if (str_eq(a->legs[l], b->legs[m]))
                        FAIL("NIC '%s' is used by bridges '%s' and '%s'; a NIC has one place: unplug one PIF",
                             a->legs[l], b->name, a->name);
        }
        for (unsigned k = 0; k < c->n_bridges; k++) {
            const struct net_bridge *b = &c->bridges[k];
            if (b->purpose == NET_PURPOSE_BOND && (str_eq(b->bond.name, a->name) || net_config_nic(c, b->bond.name)))
                FAIL("bond '%s' has the name of a bridge or a NIC; give it another", b->bond.name);
        }
    }
    return true;
}

static bool check_management(const struct net_config *c, struct error **errp) {
    if (c->control_size < NET_CONTROL_SIZE_MIN || c->control_size > NET_MTU_DEFAULT)
        FAIL("the control size is %d; it must be within %d and %d, because every path carries that much",
             c->control_size, NET_CONTROL_SIZE_MIN, NET_MTU_DEFAULT);
    if (!c->management[0])
        return true;
    const struct net_bridge *m = net_config_management(c);
    if (!m)
        FAIL("the management bridge '%s' is not among the bridges; choose one with: xe host-management-reconfigure",
             c->management);
    if (m->ip4.mode == NET_IP_NONE && m->ip6.mode == NET_IP_NONE)
        FAIL("the management bridge '%s' has no IP configuration; give it one with: xe pif-reconfigure-ip", m->name);
    if (m->mtu < c->control_size)
        FAIL("the management bridge '%s' has MTU %d, less than the control size %d; raise its network's MTU to %d",
             m->name, m->mtu, c->control_size, c->control_size);
    if (m->ip6.mode != NET_IP_NONE && c->control_size < NET_MTU_MIN_IPV6)
        FAIL("the management bridge '%s' has IPv6, which needs %d, but the control size is %d; use IPv4 for management "
             "or "
             "mend the path",
             m->name, NET_MTU_MIN_IPV6, c->control_size);
    return true;
}

bool net_config_validate(const struct net_config *c, struct error **errp) {
    if (!check_nics(c, errp))
        return false;
    for (unsigned i = 0; i < c->n_bridges; i++) {
        const struct net_bridge *b = &c->bridges[i];
        if (!net_name_is_valid(b->name))
            FAIL("bridge number %u has no usable name; give its network a bridge name of 1 to %d characters", i,
                 NET_NAME_SIZE - 1);
        if (b->mtu < NET_MTU_MIN || b->mtu > NET_MTU_MAX)
            FAIL("bridge '%s' wants MTU %d; set its network's MTU within %d and %d", b->name, b->mtu, NET_MTU_MIN,
                 NET_MTU_MAX);
        if (b->hwaddr_rule == NET_HWADDR_FIXED && (net_mac_is_zero(&b->hwaddr) || (b->hwaddr.b[0] & 1)))
            FAIL("bridge '%s' is to wear a MAC that no interface may have (zero or a group's); set another", b->name);
        if (!check_legs(c, b, errp) || !check_bond(c, b, errp) || !check_vlan(c, b, errp) ||
            !check_ip(b, &b->ip4, NET_FAMILY_IPV4, errp) || !check_ip(b, &b->ip6, NET_FAMILY_IPV6, errp))
            return false;
    }
    return check_uniqueness(c, errp) && check_management(c, errp);
}
