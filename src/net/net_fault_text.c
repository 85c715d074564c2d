/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_fault_text.h"

#include "base/str.h"

#define MTU_USABLE 1280 /* the least that IPv6 works with */

/* Frames on the wire are larger than the MTU; a switch port at 9216 carries 9000 with any number of tags. */
static int port_mtu_for(int mtu) {
    return mtu > 1500 ? MAX(9216, mtu + 22) : 1522;
}

static void add_place(struct buf *b, const struct net_fault_facts *f) {
    buf_addf(b, "Host '%s'", str_empty(f->host) ? "this host" : f->host);
    if (!str_empty(f->bond))
        buf_addf(b, " bond '%s'", f->bond);
    if (!str_empty(f->nic))
        buf_addf(b, " leg '%s'", f->nic);
    else if (!str_empty(f->bridge))
        buf_addf(b, " bridge '%s'", f->bridge);
    bool has_mac = f->mac && !net_mac_is_zero(f->mac);
    if (!has_mac && str_empty(f->switch_name))
        return;
    char mac[NET_MAC_TEXT_SIZE];
    buf_add_str(b, " (");
    if (has_mac)
        buf_addf(b, "MAC %s", net_mac_text(f->mac, mac));
    if (!str_empty(f->switch_name))
        buf_addf(b, "%sswitch '%s' port '%s'", has_mac ? ", " : "", f->switch_name,
                 str_empty(f->switch_port) ? "?" : f->switch_port);
    buf_add_char(b, ')');
}

static void add_vlan(struct buf *b, const struct net_fault_facts *f) {
    if (f->vlan > 0)
        buf_addf(b, " in VLAN %d", f->vlan);
}

static void add_direction(struct buf *b, const struct net_fault_facts *f) {
    if (f->direction == NET_DIRECTION_OUT)
        buf_add_str(b, ", in the direction to the switch");
    else if (f->direction == NET_DIRECTION_IN)
        buf_add_str(b, ", in the direction from the switch");
}

static void add_peer(struct buf *b, const struct net_fault_facts *f) {
    if (str_empty(f->peer_host))
        return;
    buf_addf(b, ", seen with host '%s'", f->peer_host);
    if (!str_empty(f->peer_nic))
        buf_addf(b, " leg '%s'", f->peer_nic);
}

static void add_detail(struct buf *b, const struct net_fault_facts *f) {
    if (!str_empty(f->detail))
        buf_addf(b, " (%s)", f->detail);
}

static void add_sizes(struct buf *b, const struct net_fault_facts *f) {
    buf_addf(b, ": frames of %d bytes do not arrive, ", f->size_wanted);
    if (f->size_passes > 0)
        buf_addf(b, "%d do", f->size_passes);
    else
        buf_add_str(b, "smaller ones do");
}

/* "that switch port" with its name where LLDP told it. */
static void add_switch_port(struct buf *b, const struct net_fault_facts *f) {
    if (str_empty(f->switch_name))
        buf_add_str(b, "the switch port that this leg is plugged into");
    else
        buf_addf(b, "port '%s' of switch '%s'", str_empty(f->switch_port) ? "?" : f->switch_port, f->switch_name);
}

static void add_lower_mtu(struct buf *b, const struct net_fault_facts *f, int mtu) {
    if (!str_empty(f->network_uuid))
        buf_addf(b, "xe network-param-set uuid=%s MTU=%d", f->network_uuid, mtu);
    else
        buf_addf(b, "xe network-param-set uuid=<uuid of the network> MTU=%d", mtu);
}

/* What switches ought to have, or what the network could live with: not with sizes at which IPv6 ends. */
static void add_port_size(struct buf *b, const struct net_fault_facts *f) {
    buf_addf(b, " to %d", port_mtu_for(f->size_wanted));
    if (f->size_passes > 0 && f->size_passes < MTU_USABLE)
        return;
    buf_add_str(b, ", or run: ");
    add_lower_mtu(b, f, f->size_passes > 0 ? MIN(f->size_passes, 1500) : 1500);
}

static void cure_size(struct buf *cure, const struct net_fault_facts *f) {
    buf_add_str(cure, "raise the MTU of ");
    add_switch_port(cure, f);
    add_port_size(cure, f);
}

/* "... switch 'swA' and switch 'swB'", or "... the switches" where LLDP has told nothing. */
static void add_link(struct buf *b, const struct net_fault_facts *f, const char *what) {
    if (str_empty(f->switch_name) || str_empty(f->peer_switch))
        buf_addf(b, "%s the switches", what);
    else
        buf_addf(b, "%s switch '%s' and switch '%s'", what, f->switch_name, f->peer_switch);
}

static void add_end(struct buf *b, const char *host, const char *bond, const char *nic, const char *port) {
    buf_addf(b, "host '%s'", host);
    if (!str_empty(bond))
        buf_addf(b, " bond '%s'", bond);
    buf_addf(b, " leg '%s'", str_empty(nic) ? "?" : nic);
    if (!str_empty(port))
        buf_addf(b, " (port '%s')", port);
}

/* A path that shows a fault between switches: its two ends, the one on `switch_name` first. */
static void add_crossing(struct buf *b, const struct net_fault_facts *f) {
    if (str_empty(f->host) || str_empty(f->peer_host))
        return;
    buf_add_str(b, "; seen between ");
    add_end(b, f->host, f->bond, f->nic, f->switch_port);
    buf_add_str(b, " and ");
    add_end(b, f->peer_host, f->peer_bond, f->peer_nic, f->peer_port);
}

static void path_sentence(enum net_fault fault, const struct net_fault_facts *f, struct buf *t, struct buf *cure) {
    switch (fault) {
    case NET_FAULT_LEG_DEAD:
        add_place(t, f);
        buf_add_str(t, ": no frame of any size passes");
        add_vlan(t, f);
        add_peer(t, f);
        buf_add_str(cure, "check the cable and that the port is enabled: ");
        add_switch_port(cure, f);
        buf_add_str(cure,
                    "; if it carries tagged VLANs alone, make the pool's networks for them (xe pool-vlan-create)");
        break;
    case NET_FAULT_LEG_SIZE_LIMITED:
    case NET_FAULT_BOTH_LEGS_SIZE_LIMITED:
        add_place(t, f);
        if (fault == NET_FAULT_BOTH_LEGS_SIZE_LIMITED)
            buf_add_str(t, " on every leg");
        add_vlan(t, f);
        add_sizes(t, f);
        add_direction(t, f);
        add_peer(t, f);
        cure_size(cure, f);
        break;
    case NET_FAULT_LEG_ONE_WAY:
        add_place(t, f);
        buf_add_str(t, f->size_wanted > 0 ? ": frames of " : ": frames");
        if (f->size_wanted > 0)
            buf_addf(t, "%d bytes", f->size_wanted);
        buf_addf(t, " pass %s but are lost %s", f->direction == NET_DIRECTION_IN ? "to the switch" : "from the switch",
                 f->direction == NET_DIRECTION_IN ? "from the switch" : "to the switch");
        if (f->size_passes > 0)
            buf_addf(t, ", where only %d do", f->size_passes);
        add_vlan(t, f);
        add_peer(t, f);
        if (f->size_passes > 0) { /* small ones come through: no cable does that */
            cure_size(cure, f);
            break;
        }
        buf_add_str(cure, "replace the cable or transceiver, or look for a filter at ");
        add_switch_port(cure, f);
        break;
    case NET_FAULT_VLAN_NOT_CARRIED:
        add_place(t, f);
        if (f->vlan)
            buf_addf(t, ": frames of VLAN %d do not pass, others do", f->vlan);
        else
            buf_add_str(t, ": untagged frames do not pass, tagged ones do");
        add_peer(t, f);
        if (f->vlan)
            buf_addf(cure, "allow VLAN %d on ", f->vlan);
        else
            buf_add_str(cure, "let untagged frames through (a native VLAN) on ");
        add_switch_port(cure, f);
        break;
    case NET_FAULT_ISL_SIZE_LIMITED:
        add_link(t, f, "The link between");
        if (f->size_passes > 0)
            buf_add_str(t, " is size-limited");
        else
            buf_add_str(t, " is broken");
        add_vlan(t, f);
        if (f->size_passes > 0)
            buf_addf(t, ": frames of %d bytes do not cross it, %d do", f->size_wanted, f->size_passes);
        else
            buf_add_str(t, ": no frame of any size crosses it");
        buf_add_str(t, ", while each switch by itself carries them");
        add_crossing(t, f);
        if (f->size_passes > 0) {
            add_link(cure, f, "raise the MTU of the ports that join");
            add_port_size(cure, f);
        } else {
            add_link(cure, f, "look at the cables and ports that join");
        }
        break;
    case NET_FAULT_FABRIC_SIZE_LIMITED:
        buf_add_str(t, "The whole fabric is size-limited");
        if (!str_empty(f->network_label))
            buf_addf(t, " for network '%s'", f->network_label);
        add_vlan(t, f);
        add_sizes(t, f);
        buf_add_str(t, ", between any hosts");
        buf_add_str(cure, "raise the MTU of every switch port");
        add_port_size(cure, f);
        break;
    default: /* NET_FAULT_PEER_DOWN */
        add_place(t, f);
        buf_addf(t, ": host '%s' answers on none of its legs, others do", str_empty(f->peer_host) ? "?" : f->peer_host);
        buf_addf(cure, "look at the console of host '%s'; power it on with: xe host-power-on host=%s",
                 str_empty(f->peer_host) ? "?" : f->peer_host, str_empty(f->peer_host) ? "?" : f->peer_host);
        break;
    }
}

static void nic_sentence(enum net_fault fault, const struct net_fault_facts *f, struct buf *t, struct buf *cure) {
    const char *detail = str_or_empty(f->detail);
    add_place(t, f);
    switch (fault) {
    case NET_FAULT_NIC_MISSING:
        buf_add_str(t, ": there is no NIC with this MAC and none with this name");
        add_detail(t, f);
        buf_add_str(cure,
                    "seat the NIC or load its driver; if it was taken out for good run: xe pif-forget uuid=<uuid of "
                    "the PIF>");
        break;
    case NET_FAULT_NIC_REPLACED:
        buf_addf(t, ": a NIC of this name is there but has another MAC, %s; it is used in its place", detail);
        buf_add_str(cure,
                    "if the card was replaced on purpose run: xe pif-scan host-uuid=<uuid of the host>; else plug the "
                    "cards back in their order");
        break;
    case NET_FAULT_NIC_MOVED:
        buf_addf(t, ": the NIC with this MAC is now named '%s'; it is used under that name", detail);
        buf_add_str(cure, "none is needed; to record the new name run: xe pif-scan host-uuid=<uuid of the host>");
        break;
    case NET_FAULT_MTU_REFUSED:
        buf_addf(t, ": the driver takes MTU %d at most, %d is wanted", f->size_passes, f->size_wanted);
        if (!str_empty(f->bridge))
            buf_addf(t, "; bridge '%s' stays at %d", f->bridge, f->size_passes);
        add_detail(t, f);
        add_lower_mtu(cure, f, f->size_passes);
        buf_add_str(cure, " or replace the NIC");
        break;
    case NET_FAULT_NO_CARRIER:
        buf_add_str(t, ": it has no link");
        if (*detail)
            buf_addf(t, "; %s", detail);
        buf_add_str(cure, "check the cable and that the port is enabled: ");
        add_switch_port(cure, f);
        break;
    default: /* NET_FAULT_NIC_FOREIGN */
        buf_addf(t, ": it is in bridge '%s', which was not made here; it is left alone", detail);
        buf_addf(cure, "ovs-vsctl del-port %s %s", *detail ? detail : "<bridge>", str_or_empty(f->nic));
        break;
    }
}

/* What is seen while the network runs as it was made. */
static void watch_sentence(enum net_fault fault, const struct net_fault_facts *f, struct buf *t, struct buf *cure) {
    const char *detail = str_or_empty(f->detail);
    add_place(t, f);
    switch (fault) {
    case NET_FAULT_ADDRESS_TAKEN:
        buf_addf(t, ": its address %s", detail);
        buf_add_str(cure, "find that MAC in the tables of the switches and give one of the two another address; this "
                          "host gets one with: xe pif-reconfigure-ip");
        break;
    case NET_FAULT_GATEWAY_SILENT:
        buf_addf(t, ": the gateway %s does not answer on this network", detail);
        buf_add_str(cure, "look at the router; or name another gateway with: xe pif-reconfigure-ip");
        break;
    default: /* NET_FAULT_LACP_DOWN */
        buf_add_str(t, str_empty(f->nic) ? ": LACP is wanted and no leg has agreed on it with the switch"
                                         : ": LACP is wanted and this leg has not agreed on it with the switch");
        add_detail(t, f);
        buf_add_str(cure, "make the switch ports of the bond's legs one link aggregation group with LACP active, or "
                          "run: xe bond-set-mode mode=active-backup uuid=<uuid of the bond>");
        break;
    }
}

static void host_sentence(enum net_fault fault, const struct net_fault_facts *f, struct buf *t, struct buf *cure) {
    const char *detail = str_or_empty(f->detail);
    add_place(t, f);
    switch (fault) {
    case NET_FAULT_LEGS_BELOW_PORT:
        buf_addf(t, ": its port has MTU %d over legs of %d, so larger frames vanished without a word", f->size_wanted,
                 f->size_passes);
        add_detail(t, f);
        buf_add_str(cure, "none is needed: the legs are raised, or the port lowered, before anything else");
        break;
    case NET_FAULT_DHCP_MTU:
        buf_addf(t, ": the DHCP server offers MTU %d (option 26), the network wants %d; the offer is not obeyed",
                 f->size_passes, f->size_wanted);
        buf_addf(cure, "remove option 26 from the DHCP server or set it to %d, or run: ", f->size_wanted);
        add_lower_mtu(cure, f, f->size_passes);
        break;
    case NET_FAULT_CONFIG_CORRUPT:
        buf_addf(t, ": the network configuration on its disk cannot be used (%s)", detail);
        buf_add_str(cure, "none is needed if the previous generation was used; else run the emergency network reset on "
                          "the host's console");
        break;
    case NET_FAULT_INTENT_INVALID:
        buf_addf(t, ": the wanted network contradicts itself: %s", detail);
        buf_add_str(cure, "as the sentence says; until then the host keeps the network it has");
        break;
    case NET_FAULT_BRIDGE_FOREIGN:
        buf_add_str(t, ": a bridge of this name exists and was not made here; it is left alone");
        buf_addf(cure, "ovs-vsctl del-br %s", str_empty(f->bridge) ? "<bridge>" : f->bridge);
        break;
    case NET_FAULT_CONTROL_UNLOCKED:
        buf_addf(t, ": a route out of the management bridge was not locked to %d bytes (%s)", f->size_wanted, detail);
        buf_add_str(cure, "none is needed: it is locked again");
        break;
    case NET_FAULT_ROLLED_BACK:
        buf_addf(t, ": the change was undone because it did not prove itself: %s", detail);
        buf_add_str(cure, "mend what the sentence names and make the change again");
        break;
    case NET_FAULT_REPAIRED:
        buf_addf(t, ": its network was repaired and stays otherwise than the pool wants it (%s)", detail);
        buf_addf(cure,
                 "make it the pool's own with: xe host-network-repair-keep host=%s; or take it back with: xe "
                 "host-network-repair-withdraw host=%s",
                 str_empty(f->host) ? "<host>" : f->host, str_empty(f->host) ? "<host>" : f->host);
        break;
    case NET_FAULT_BRIDGE_IN_USE:
        buf_addf(t, ": it is not wanted any more but still has '%s', which is not ours; it stays, without its NIC",
                 detail);
        buf_add_str(cure, "unplug the virtual interfaces of the VMs on it with: xe vif-unplug");
        break;
    default: /* NET_FAULT_STEP_FAILED */
        buf_addf(t, ": %s", *detail ? detail : "a step of the network plan failed");
        buf_add_str(cure, "look at the host's log for the step; the change is undone or left out");
        break;
    }
}

void net_fault_sentence(enum net_fault fault, const struct net_fault_facts *f, struct buf *text, struct buf *cure) {
    switch (fault) {
    case NET_FAULT_LEG_DEAD:
    case NET_FAULT_LEG_SIZE_LIMITED:
    case NET_FAULT_BOTH_LEGS_SIZE_LIMITED:
    case NET_FAULT_LEG_ONE_WAY:
    case NET_FAULT_VLAN_NOT_CARRIED:
    case NET_FAULT_ISL_SIZE_LIMITED:
    case NET_FAULT_FABRIC_SIZE_LIMITED:
    case NET_FAULT_PEER_DOWN:
        path_sentence(fault, f, text, cure);
        break;
    case NET_FAULT_NIC_MISSING:
    case NET_FAULT_NIC_REPLACED:
    case NET_FAULT_NIC_MOVED:
    case NET_FAULT_MTU_REFUSED:
    case NET_FAULT_NO_CARRIER:
    case NET_FAULT_NIC_FOREIGN:
        nic_sentence(fault, f, text, cure);
        break;
    case NET_FAULT_ADDRESS_TAKEN:
    case NET_FAULT_GATEWAY_SILENT:
    case NET_FAULT_LACP_DOWN:
        watch_sentence(fault, f, text, cure);
        break;
    default:
        host_sentence(fault, f, text, cure);
        break;
    }
    buf_add_char(text, '.');
    buf_add_char(cure, '.');
}
