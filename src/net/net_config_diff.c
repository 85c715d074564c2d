/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "net/net_config.h"

static void ip_text(struct buf *b, const struct net_ip *ip) {
    char text[NET_ADDR_TEXT_SIZE];
    buf_add_str(b, net_ip_mode_text(ip->mode));
    if (ip->mode != NET_IP_STATIC)
        return;
    buf_addf(b, " %s", net_addr_text(&ip->address, /* with_prefix= */ true, text));
    if (ip->gateway.family)
        buf_addf(b, " via %s", net_addr_text(&ip->gateway, /* with_prefix= */ false, text));
}

static void legs_text(struct buf *b, const struct net_bridge *br) {
    for (unsigned i = 0; i < br->n_legs; i++)
        buf_addf(b, "%s%s", i ? "+" : "", br->legs[i]);
}

/* One line of properties: two bridges are equal when their lines are. */
static char *property_text(const struct net_bridge *br, const char *what) {
    struct buf b = BUF_INIT;
    char mac[NET_MAC_TEXT_SIZE], addr[NET_ADDR_TEXT_SIZE];
    if (str_eq(what, "purpose"))
        buf_add_str(&b, net_purpose_text(br->purpose));
    else if (str_eq(what, "MTU"))
        buf_addf(&b, "%d", br->mtu);
    else if (str_eq(what, "MAC"))
        buf_add_str(&b, br->hwaddr_rule == NET_HWADDR_FIXED ? net_mac_text(&br->hwaddr, mac) : "of its leg");
    else if (str_eq(what, "legs"))
        legs_text(&b, br);
    else if (str_eq(what, "bond") && br->purpose == NET_PURPOSE_BOND)
        buf_addf(&b, "%s %s primary %s%s%s%s key %d updelay %d downdelay %d", br->bond.name,
                 net_bond_mode_text(br->bond.mode), net_bridge_primary_leg(br), br->bond.lacp_fast ? " fast" : "",
                 br->bond.fallback_ab ? "" : " no-fallback", br->bond.hash_src_mac ? " src_mac" : "",
                 br->bond.aggregation_key, br->bond.updelay_ms, br->bond.downdelay_ms);
    else if (str_eq(what, "VLAN") && br->purpose == NET_PURPOSE_VLAN)
        buf_addf(&b, "%d on %s", br->tag, br->parent);
    else if (str_eq(what, "IPv4"))
        ip_text(&b, &br->ip4);
    else if (str_eq(what, "IPv6"))
        ip_text(&b, &br->ip6);
    else if (str_eq(what, "DNS"))
        for (unsigned i = 0; i < br->n_dns; i++)
            buf_addf(&b, "%s%s", i ? "," : "", net_addr_text(&br->dns[i], /* with_prefix= */ false, addr));
    else if (str_eq(what, "network"))
        buf_add_str(&b, br->network_uuid);
    return buf_take(&b);
}

static const char *const properties[] = {"purpose", "MTU",  "MAC",  "legs", "bond",
                                         "VLAN",    "IPv4", "IPv6", "DNS",  "network"};

static void diff_bridge(struct buf *b, const struct net_bridge *from, const struct net_bridge *to) {
    for (unsigned i = 0; i < ARRAY_SIZE(properties); i++) {
        _cleanup_free_ char *old = property_text(from, properties[i]);
        _cleanup_free_ char *new = property_text(to, properties[i]);
        if (!str_eq(old, new))
            buf_addf(b, "bridge %s: %s '%s' becomes '%s'\n", to->name, properties[i], old, new);
    }
}

static void diff_nics(struct buf *b, const struct net_config *from, const struct net_config *to) {
    char old[NET_MAC_TEXT_SIZE], new[NET_MAC_TEXT_SIZE];
    for (unsigned i = 0; i < from->n_nics; i++)
        if (!net_config_nic(to, from->nics[i].name))
            buf_addf(b, "NIC %s (%s) is forgotten\n", from->nics[i].name, net_mac_text(&from->nics[i].mac, old));
    for (unsigned i = 0; i < to->n_nics; i++) {
        const struct net_nic *t = &to->nics[i], *f = net_config_nic(from, t->name);
        if (!f)
            buf_addf(b, "NIC %s (%s) is new\n", t->name, net_mac_text(&t->mac, new));
        else if (!net_mac_eq(&f->mac, &t->mac))
            buf_addf(b, "NIC %s: MAC '%s' becomes '%s'\n", t->name, net_mac_text(&f->mac, old),
                     net_mac_text(&t->mac, new));
    }
}

char *net_config_diff_text(const struct net_config *from, const struct net_config *to) {
    struct buf b = BUF_INIT;
    diff_nics(&b, from, to);
    for (unsigned i = 0; i < from->n_bridges; i++)
        if (!net_config_bridge(to, from->bridges[i].name))
            buf_addf(&b, "bridge %s (%s) goes\n", from->bridges[i].name, net_purpose_text(from->bridges[i].purpose));
    for (unsigned i = 0; i < to->n_bridges; i++) {
        const struct net_bridge *t = &to->bridges[i], *f = net_config_bridge(from, t->name);
        if (f) {
            diff_bridge(&b, f, t);
            continue;
        }
        _cleanup_buf_ struct buf legs = BUF_INIT;
        if (t->purpose == NET_PURPOSE_VLAN)
            buf_addf(&legs, " tag %d on %s", t->tag, t->parent);
        else if (t->n_legs) {
            buf_add_char(&legs, ' ');
            legs_text(&legs, t);
        }
        buf_addf(&b, "bridge %s (%s%s, MTU %d) comes\n", t->name, net_purpose_text(t->purpose), buf_str(&legs), t->mtu);
    }
    if (!str_eq(from->management, to->management))
        buf_addf(&b, "management moves from '%s' to '%s'\n", from->management, to->management);
    return buf_take(&b);
}
