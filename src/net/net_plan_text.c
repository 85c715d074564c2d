/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "net/net_plan.h"

static const char *const op_names[] = {
    [NET_OP_LINK_UP] = "link-up",
    [NET_OP_LINK_DOWN] = "link-down",
    [NET_OP_LINK_MTU] = "link-mtu",
    [NET_OP_SYSCTL] = "sysctl",
    [NET_OP_OVS] = "ovs",
    [NET_OP_ADDR_ADD] = "addr-add",
    [NET_OP_ADDR_DEL] = "addr-del",
    [NET_OP_ROUTE_SET] = "route-set",
    [NET_OP_ROUTE_DEL] = "route-del",
    [NET_OP_NEIGH_COPY] = "neigh-copy",
    [NET_OP_GARP] = "announce",
    [NET_OP_WAIT] = "wait",
    [NET_OP_DHCP_START] = "dhcp-start",
    [NET_OP_DHCP_STOP] = "dhcp-stop",
    [NET_OP_DNS] = "dns",
};

const char *net_op_name(enum net_op op) {
    return op_names[op];
}

static void bond_text(struct buf *b, const struct net_ovs_bond *bond) {
    buf_addf(b, "%s primary %s", net_ovs_bond_mode_text(bond->mode), bond->primary[0] ? bond->primary : "none");
    if (bond->lacp)
        buf_addf(b, " lacp %s%s", bond->lacp_fast ? "fast" : "slow", bond->fallback_ab ? " fallback" : "");
    if (bond->aggregation_key)
        buf_addf(b, " key %d", bond->aggregation_key);
    buf_addf(b, " up %d ms down %d ms", bond->updelay_ms, bond->downdelay_ms);
}

static void port_add_text(struct buf *b, const struct net_ovs_op *o) {
    buf_addf(b, "add port %s to %s", o->port, o->bridge);
    if (o->fake_bridge)
        buf_addf(b, " as fake bridge of VLAN %d", o->tag);
    else if (str_eq(o->iface_type, "patch"))
        buf_addf(b, " as patch to %s", o->peer);
    else {
        buf_add_str(b, " with");
        for (unsigned i = 0; i < o->n_ifaces; i++)
            buf_addf(b, " %s", o->ifaces[i]);
    }
    if (o->has_bond) {
        buf_add_str(b, " bond ");
        bond_text(b, &o->bond);
    }
    if (o->mtu)
        buf_addf(b, " mtu_request %d", o->mtu);
}

static void ovs_op_text(struct buf *b, const struct net_ovs_op *o) {
    char mac[NET_MAC_TEXT_SIZE];
    switch (o->kind) {
    case NET_OVS_BRIDGE_ADD:
        buf_addf(b, "add bridge %s", o->bridge);
        if (!net_mac_is_zero(&o->mac))
            buf_addf(b, " mac %s", net_mac_text(&o->mac, mac));
        if (o->mtu)
            buf_addf(b, " mtu_request %d", o->mtu);
        break;
    case NET_OVS_BRIDGE_DEL:
        buf_addf(b, "delete bridge %s", o->bridge);
        break;
    case NET_OVS_BRIDGE_MAC:
        buf_addf(b, "set mac of bridge %s to %s", o->bridge, net_mac_text(&o->mac, mac));
        break;
    case NET_OVS_PORT_ADD:
        port_add_text(b, o);
        break;
    case NET_OVS_PORT_DEL:
        buf_addf(b, "delete port %s of %s", o->port, o->bridge);
        break;
    case NET_OVS_PORT_MOVE:
        buf_addf(b, "move port %s from %s to %s", o->port, o->bridge, o->to_bridge);
        break;
    case NET_OVS_PORT_BOND:
        buf_addf(b, "set port %s ", o->port);
        if (o->has_bond)
            bond_text(b, &o->bond);
        else
            buf_add_str(b, "no bond");
        break;
    case NET_OVS_PORT_TAG:
        buf_addf(b, "set port %s tag %d", o->port, o->tag);
        break;
    case NET_OVS_PORT_ADD_IFACE:
        buf_addf(b, "add leg %s to port %s mtu_request %d", o->ifaces[0], o->port, o->mtu);
        break;
    case NET_OVS_PORT_DEL_IFACE:
        buf_addf(b, "take leg %s off port %s", o->ifaces[0], o->port);
        break;
    case NET_OVS_IFACE_MTU:
        buf_addf(b, "set mtu_request of %s to %d", o->ifaces[0], o->mtu);
        break;
    case NET_OVS_IFACE_MAC:
        buf_addf(b, "set mac of %s to %s", o->ifaces[0], net_mac_text(&o->mac, mac));
        break;
    }
}

static void route_text(struct buf *b, const struct net_route *r) {
    char text[NET_ADDR_TEXT_SIZE];
    if (r->dst.prefix)
        buf_addf(b, " %s", net_addr_text(&r->dst, /* with_prefix= */ true, text));
    else
        buf_addf(b, " default%s", r->dst.family == NET_FAMILY_IPV6 ? " (IPv6)" : "");
    if (r->gateway.family)
        buf_addf(b, " via %s", net_addr_text(&r->gateway, /* with_prefix= */ false, text));
    buf_addf(b, " dev %s", r->dev);
    if (r->metric)
        buf_addf(b, " metric %u", r->metric);
    if (r->mtu)
        buf_addf(b, " mtu %s%d", r->mtu_lock ? "lock " : "", r->mtu);
    if (r->advmss)
        buf_addf(b, " advmss %d", r->advmss);
}

char *net_step_text(const struct net_step *s) {
    struct buf b = BUF_INIT;
    char text[NET_ADDR_TEXT_SIZE];
    const char *family = s->family == NET_FAMILY_IPV6 ? "ipv6" : "ipv4";
    buf_addf(&b, "%s", op_names[s->op]);
    switch (s->op) {
    case NET_OP_OVS:
        for (unsigned i = 0; i < s->n_ovs; i++) {
            buf_add_str(&b, i ? "; " : ": ");
            ovs_op_text(&b, &s->ovs[i]);
        }
        break;
    case NET_OP_LINK_UP:
    case NET_OP_LINK_DOWN:
        buf_addf(&b, " %s", s->link);
        break;
    case NET_OP_LINK_MTU:
        buf_addf(&b, " %s %d", s->link, s->mtu);
        break;
    case NET_OP_SYSCTL:
        buf_addf(&b, " %s.%s.%s=%s", family, s->link, s->key, s->value);
        break;
    case NET_OP_ADDR_ADD:
    case NET_OP_ADDR_DEL:
        buf_addf(&b, " %s %s", s->link, net_addr_text(&s->addr, /* with_prefix= */ true, text));
        break;
    case NET_OP_ROUTE_SET:
    case NET_OP_ROUTE_DEL:
        route_text(&b, &s->route);
        break;
    case NET_OP_NEIGH_COPY:
        buf_addf(&b, " %s to %s", s->link, s->to_link);
        break;
    case NET_OP_GARP:
        buf_addf(&b, " %s %u x %u ms", s->link, s->count, s->interval_ms);
        break;
    case NET_OP_DHCP_START:
    case NET_OP_DHCP_STOP:
        buf_addf(&b, " %s %s", family, s->link);
        break;
    case NET_OP_DNS:
        for (unsigned i = 0; i < s->n_dns; i++)
            buf_addf(&b, " %s", net_addr_text(&s->dns[i], /* with_prefix= */ false, text));
        break;
    case NET_OP_WAIT:
        break;
    }
    return buf_take(&b);
}

char *net_expect_text(const struct net_expect *e) {
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(&e->addr, /* with_prefix= */ true, text);
    switch (e->kind) {
    case NET_EXPECT_SWITCH_DONE:
        return xstrdup("switch done");
    case NET_EXPECT_LINK_EXISTS:
        return strf("%s exists", e->name);
    case NET_EXPECT_CARRIER:
        return strf("%s has a link", e->name);
    case NET_EXPECT_MTU:
        return strf("%s has MTU %d", e->name, e->value);
    case NET_EXPECT_IFACE_OK:
        return strf("%s taken by the switch", e->name);
    case NET_EXPECT_ACTIVE_LEG:
        return strf("%s carries for %s", e->other[0] ? e->other : "a leg", e->name);
    case NET_EXPECT_LACP:
        return strf("LACP of %s negotiated", e->name);
    case NET_EXPECT_ADDR:
        return strf("%s has %s", e->name, text);
    case NET_EXPECT_NO_ADDR:
        return strf("%s without %s", e->name, text);
    case NET_EXPECT_ROUTE_LOCKED:
        net_addr_text(&e->addr, /* with_prefix= */ false, text);
        return strf("route to %s by %s locked to %d", text, e->name, e->value);
    case NET_EXPECT_LEASE:
        return strf("%s has a lease", e->name);
    case NET_EXPECT_GARP_QUIET:
        return strf("no announcement for %d ms", e->value);
    case NET_EXPECT_NEIGHBOUR:
        net_addr_text(&e->addr, /* with_prefix= */ false, text);
        return strf("%s answers on %s", text, e->name);
    }
    return xstrdup("?");
}

char *net_plan_text(const struct net_plan *p) {
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < p->n_steps; i++) {
        const struct net_step *s = &p->steps[i];
        _cleanup_free_ char *text = net_step_text(s);
        buf_addf(&b, "%3zu%s %s\n      because %s\n", i + 1, s->touches_management ? " *" : "  ", text, s->reason);
        for (unsigned k = 0; k < s->n_expects; k++) {
            _cleanup_free_ char *expect = net_expect_text(&s->expects[k]);
            buf_addf(&b, "%s%s", k ? ", " : "      until ", expect);
        }
        if (s->n_expects)
            buf_addf(&b, " (%u ms)\n", s->timeout_ms);
    }
    if (!p->n_steps)
        buf_add_str(&b, "Nothing to do: the network is as wanted.\n");
    else if (p->touches_management)
        buf_add_str(&b, "Steps with * touch the management network.\n");
    for (size_t i = 0; i < p->problems.n; i++) {
        _cleanup_free_ char *line = net_problem_line(&p->problems.items[i]);
        buf_addf(&b, "%s\n", line);
    }
    return buf_take(&b);
}
