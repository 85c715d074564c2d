/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges, uplinks, VLANs: what is there becomes what is wanted, live, disturbing least. */
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

static bool is_base(const struct net_bridge *b) {
    return b->purpose != NET_PURPOSE_VLAN;
}

void planner_put_bridge(struct net_planner *p, struct net_step *s, const struct net_bridge *b) {
    struct net_ovs_op *o = planner_ovs(s, NET_OVS_BRIDGE_ADD);
    str_copy(o->bridge, sizeof(o->bridge), b->name);
    o->datapath = p->wanted->datapath;
    o->mac = planner_bridge_mac(p, b);
    o->mtu = planner_mtu(p, b);
    o->role = NET_ROLE_BRIDGE;
    if (p->phase == NET_PHASE_WITH_SWITCH)
        planner_expect(s, NET_EXPECT_LINK_EXISTS, b->name, NET_WAIT_SWITCH_MS);
}

void planner_put_vlan(struct net_planner *p, struct net_step *s, const struct net_bridge *b) {
    struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_ADD);
    str_copy(o->bridge, sizeof(o->bridge), b->parent);
    str_copy(o->port, sizeof(o->port), b->name);
    o->n_ifaces = 1;
    str_copy(o->ifaces[0], NET_NAME_SIZE, b->name);
    o->iface_type = "internal";
    o->role = NET_ROLE_VLAN;
    o->tag = b->tag;
    o->fake_bridge = true;
    o->mac = planner_bridge_mac(p, b);
    o->mtu = planner_mtu_now(p, b);
    if (p->phase == NET_PHASE_WITH_SWITCH)
        planner_expect(s, NET_EXPECT_LINK_EXISTS, b->name, NET_WAIT_SWITCH_MS);
}

static void put_move(struct net_step *s, const struct net_obs_port *port, const char *to) {
    struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_MOVE);
    str_copy(o->bridge, sizeof(o->bridge), port->bridge);
    str_copy(o->to_bridge, sizeof(o->to_bridge), to);
    str_copy(o->port, sizeof(o->port), port->name);
}

/* Ports of others on a bridge of ours with this tag (-1: any): guests. */
static bool is_guest(const struct net_obs_port *port, const char *bridge, int tag) {
    return !port->ours && str_eq(port->bridge, bridge) && !str_eq(port->name, bridge) && (tag < 0 || port->tag == tag);
}

void planner_put_travellers(struct net_planner *p, struct net_step *s, const char *from, const struct net_bridge *b) {
    const struct net_bridge *old = net_config_bridge(p->wanted, from);
    bool from_goes = !old || !is_base(old);
    for (unsigned i = 0; i < p->now->n_ports; i++) {
        const struct net_obs_port *port = &p->now->ports[i];
        const struct net_bridge *v = net_config_bridge(p->wanted, port->name);
        bool is_vlan = port->ours && port->fake_bridge && str_eq(port->bridge, from) && v && !is_base(v) &&
                       str_eq(v->parent, b->name);
        if (is_vlan || (from_goes && is_guest(port, from, -1)))
            put_move(s, port, b->name);
        if (is_vlan && !from_goes)
            for (unsigned k = 0; k < p->now->n_ports; k++)
                if (is_guest(&p->now->ports[k], from, port->tag))
                    put_move(s, &p->now->ports[k], b->name);
    }
}

void planner_put_vlan_home(struct net_planner *p, struct net_step *s, const struct net_bridge *v) {
    const struct net_obs_port *port = net_observed_port(p->now, v->name);
    if (!port) {
        planner_put_vlan(p, s, v);
        return;
    }
    if (str_eq(port->bridge, v->parent))
        return;
    put_move(s, port, v->parent);
    for (unsigned k = 0; k < p->now->n_ports; k++)
        if (is_guest(&p->now->ports[k], port->bridge, port->tag))
            put_move(s, &p->now->ports[k], v->parent);
    if (p->phase == NET_PHASE_WITH_SWITCH)
        planner_expect(s, NET_EXPECT_LINK_EXISTS, v->name, NET_WAIT_SWITCH_MS);
}

static void finish(struct net_planner *p, struct net_step *s) {
    if (!s->n_ovs) {
        planner_drop(s);
        return;
    }
    planner_expect(s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
    planner_add(p, s);
}

/* ---- first: rows that must not stay ---- */

static void report_foreign(struct net_planner *p) {
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        if (planner_can_touch(p, b))
            continue;
        struct net_fault_facts f = planner_facts(p, b, NULL);
        net_problems_add(&p->plan->problems, NET_FAULT_BRIDGE_FOREIGN, &f);
    }
}

/*
 * A name that changed its kind (a bridge became a VLAN's or the other way) is deleted before it is made anew. Patch
 * ports that no move will take up again go too: with the NICs on their final places they would be a loop.
 */
static void clear_names(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "names that change their kind, and ends of moves that are over");
    for (unsigned i = 0; i < p->now->n_bridges; i++) {
        const struct net_obs_bridge *o = &p->now->bridges[i];
        const struct net_bridge *b = net_config_bridge(p->wanted, o->name);
        if (o->ours && b && !is_base(b)) {
            struct net_ovs_op *op = planner_ovs(&s, NET_OVS_BRIDGE_DEL);
            str_copy(op->bridge, sizeof(op->bridge), o->name);
        }
    }
    for (unsigned i = 0; i < p->now->n_ports; i++) {
        const struct net_obs_port *o = &p->now->ports[i];
        const struct net_obs_iface *f = o->n_ifaces ? net_observed_iface(p->now, o->ifaces[0]) : NULL;
        const struct net_bridge *b = net_config_bridge(p->wanted, o->name);
        bool is_real = net_observed_bridge(p->now, o->name) != NULL;
        bool changed = o->ours && !is_real && b && (is_base(b) || !o->fake_bridge);
        bool patch = o->ours && f && str_eq(f->type, "patch") && net_observed_port(p->now, f->peer);
        if (patch) {
            /* A pair is useful while one side has its uplink and the other, wanted, side has none yet. */
            const struct net_obs_port *peer = net_observed_port(p->now, f->peer);
            const struct net_bridge *here = net_config_bridge(p->wanted, o->bridge),
                                    *there = net_config_bridge(p->wanted, peer->bridge);
            bool to_here = here && here->n_legs && !planner_uplink(p, o->bridge) && planner_uplink(p, peer->bridge);
            bool to_there = there && there->n_legs && !planner_uplink(p, peer->bridge) && planner_uplink(p, o->bridge);
            patch = !to_here && !to_there;
        } else {
            patch = o->ours && f && str_eq(f->type, "patch"); /* its peer is gone */
        }
        if (changed || patch) {
            struct net_ovs_op *op = planner_ovs(&s, NET_OVS_PORT_DEL);
            str_copy(op->bridge, sizeof(op->bridge), o->bridge);
            str_copy(op->port, sizeof(op->port), o->name);
        }
    }
    finish(p, &s);
}

/* ---- second: what can come without taking anything away ---- */

static void add_new(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "bridges and free NICs that are wanted and not there yet");
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        if (!is_base(b) || !planner_can_touch(p, b) || net_observed_bridge(p->now, b->name))
            continue;
        planner_put_bridge(p, &s, b);
        net_name legs[NET_MAX_LEGS];
        unsigned n = planner_legs(p, b, legs);
        bool is_free = n > 0;
        for (unsigned k = 0; k < n; k++)
            is_free = is_free && !net_observed_port_of_iface(p->now, legs[k]);
        if (is_free)
            planner_put_uplink(p, &s, b, legs, n);
    }
    finish(p, &s);
}

static void report_guests(struct net_planner *p, const char *bridge, const char *guest) {
    struct net_fault_facts f = planner_facts(p, NULL, NULL);
    f.bridge = bridge;
    f.detail = guest;
    net_problems_add(&p->plan->problems, NET_FAULT_BRIDGE_IN_USE, &f);
}

/* ---- third: NICs to their places ---- */

static void place_legs(struct net_planner *p, const struct net_bridge *b) {
    net_name legs[NET_MAX_LEGS], port_name;
    unsigned n = planner_legs(p, b, legs);
    const struct net_obs_port *port = planner_uplink(p, b->name);
    if (!n)
        return; /* no NIC is there: what the switch knows of them may stay, a NIC can come back */
    if (!port) {
        struct net_step s = planner_step(p, NET_OP_OVS, "bridge '%s' gets its uplink", b->name);
        net_name from = "";
        const struct net_obs_port *old = net_observed_port_of_iface(p->now, planner_primary(p, b));
        if (old)
            str_copy(from, sizeof(from), old->bridge);
        planner_take_legs(p, &s, legs, n);
        planner_put_uplink(p, &s, b, legs, n);
        if (from[0] && !str_eq(from, b->name))
            planner_put_travellers(p, &s, from, b);
        planner_expect(&s, NET_EXPECT_SWITCH_DONE, "", NET_WAIT_SWITCH_MS);
        planner_add(p, &s);
        planner_add_garp(p, b->name, "the MAC is behind a NIC again");
        return;
    }
    str_copy(port_name, sizeof(port_name), port->name);
    net_name add[NET_MAX_LEGS], keep[NET_MAX_LEGS];
    unsigned n_add = 0, n_keep = 0, n_extra = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!planner_port_has(port, legs[i]))
            str_copy(add[n_add++], NET_NAME_SIZE, legs[i]);
        str_copy(keep[n_keep++], NET_NAME_SIZE, legs[i]);
    }
    for (unsigned i = 0; i < port->n_ifaces; i++) {
        const struct net_nic_binding *nic = planner_binding(p, port->ifaces[i]);
        bool is_leg = false, is_missing = false;
        for (unsigned k = 0; k < n; k++)
            is_leg = is_leg || str_eq(legs[k], port->ifaces[i]);
        for (unsigned k = 0; k < b->n_legs; k++)
            is_missing = is_missing || (str_eq(b->legs[k], port->ifaces[i]) && nic && nic->state == NET_NIC_MISSING);
        if (is_missing && n_keep < NET_MAX_LEGS)
            str_copy(keep[n_keep++], NET_NAME_SIZE, port->ifaces[i]);
        n_extra += !is_leg && !is_missing;
    }
    if (n_add && port->n_ifaces + n_add <= NET_MAX_LEGS)
        planner_grow(p, b, port_name, add, n_add);
    if (n_extra)
        planner_shrink(p, b->name, port_name, keep, n_keep, planner_primary(p, b));
    port = net_observed_port(p->now, port_name);
    if (b->purpose == NET_PURPOSE_BOND) {
        planner_bond_settings(p, b, port_name);
    } else if (port->is_bond) {
        struct net_step s = planner_step(p, NET_OP_OVS, "one NIC is no bond");
        struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_BOND);
        str_copy(o->port, sizeof(o->port), port_name);
        finish(p, &s);
    }
}

static bool legs_bear_moving(const struct net_planner *p, const struct net_bridge *b) {
    net_name legs[NET_MAX_LEGS];
    unsigned n = planner_legs(p, b, legs);
    for (unsigned i = 0; i < n; i++) {
        const struct net_obs_port *port = net_observed_port_of_iface(p->now, legs[i]);
        if (port && !str_eq(port->bridge, b->name) && planner_bears_moving(p, port->bridge))
            return true;
    }
    return false;
}

/* Whoever loses a NIC to another bridge must have its new one by then: management first, then what has an uplink. */
static int place_rank(const struct net_planner *p, const struct net_bridge *b) {
    const struct net_bridge *m = net_config_management(p->wanted);
    if (m && net_config_base(p->wanted, m) == b)
        return 0;
    return planner_uplink(p, b->name) ? 1 : 2;
}

/* Management waits only for its own address, and others for whatever they would take the NIC away from. */
static bool must_wait(const struct net_planner *p, const struct net_bridge *b) {
    if (place_rank(p, b) == 0 && !planner_waits_for_address(p, net_config_management(p->wanted)))
        return false;
    return legs_bear_moving(p, b);
}

/* ---- fourth: VLANs ---- */

static void place_vlans(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "VLANs to their bridges");
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *v = &p->wanted->bridges[i];
        if (is_base(v) || !planner_can_touch(p, v))
            continue;
        const struct net_obs_port *port = net_observed_port(p->now, v->name);
        planner_put_vlan_home(p, &s, v);
        if (port && port->tag != v->tag) {
            struct net_ovs_op *o = planner_ovs(&s, NET_OVS_PORT_TAG);
            str_copy(o->port, sizeof(o->port), v->name);
            o->tag = v->tag;
        }
    }
    finish(p, &s);
}

/* ---- fifth: MACs ---- */

static void set_macs(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_OVS, "MACs as wanted");
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        const struct net_obs_bridge *o = net_observed_bridge(p->now, b->name);
        const struct net_obs_iface *f = net_observed_iface(p->now, b->name);
        struct net_mac mac = planner_bridge_mac(p, b);
        if (!planner_can_touch(p, b) || net_mac_is_zero(&mac))
            continue;
        if (is_base(b) && o && !net_mac_eq(&o->hwaddr, &mac)) {
            struct net_ovs_op *op = planner_ovs(&s, NET_OVS_BRIDGE_MAC);
            str_copy(op->bridge, sizeof(op->bridge), b->name);
            op->mac = mac;
        } else if (!is_base(b) && f && !net_mac_eq(&f->mac, &mac)) {
            struct net_ovs_op *op = planner_ovs(&s, NET_OVS_IFACE_MAC);
            op->n_ifaces = 1;
            str_copy(op->ifaces[0], NET_NAME_SIZE, b->name);
            op->mac = mac;
        } else {
            continue;
        }
        p->moved_to = xrealloc_array(p->moved_to, p->n_moved_to + 1, sizeof(*p->moved_to));
        str_copy(p->moved_to[p->n_moved_to++], NET_NAME_SIZE, b->name);
    }
    finish(p, &s);
}

void planner_switch(struct net_planner *p) {
    report_foreign(p);
    clear_names(p);
    add_new(p);
    planner_move_disjoint(p); /* what has a way of its own need not wait for NICs to move */
    planner_move_shared(p);
    /*
     * Bridges whose NICs bear nothing that has to move first: then the moves that need their uplinks; then the rest;
     * then what only a live uplink can be told (LACP).
     */
    for (int pass = 0; pass < 3; pass++) {
        for (int rank = 0; rank < 3; rank++) {
            for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
                const struct net_bridge *b = &p->wanted->bridges[i];
                if (b->n_legs && place_rank(p, b) == rank && planner_can_touch(p, b) && (pass > 0 || !must_wait(p, b)))
                    place_legs(p, b);
            }
            planner_move_disjoint(p); /* management's new way is there: its old NICs may go */
        }
        place_vlans(p);
        planner_move_shared(p); /* to bridges that gave their old NICs away by now */
        planner_move_disjoint(p);
    }
    set_macs(p);
}

/* ---- last: what we made and nobody wants any more ---- */

static const char *guest_of(const struct net_planner *p, const char *bridge, int tag) {
    for (unsigned i = 0; i < p->now->n_ports; i++)
        if (is_guest(&p->now->ports[i], bridge, tag))
            return p->now->ports[i].name;
    return NULL;
}

static void stop_clients(struct net_planner *p, const char *link) {
    for (int family = 4; family <= 6; family += 2) {
        const struct net_obs_lease *l = net_observed_lease(p->now, link, (enum net_family)family);
        if (!l || !l->client_running)
            continue;
        struct net_step s = planner_step(p, NET_OP_DHCP_STOP, "'%s' goes", link);
        str_copy(s.link, sizeof(s.link), link);
        s.family = (enum net_family)family;
        planner_add(p, &s);
    }
}

static void collect_leftover(struct net_planner *p, struct net_step *s, const struct net_obs_port *port) {
    const struct net_bridge *b = net_config_bridge(p->wanted, port->name);
    const struct net_bridge *home = net_config_bridge(p->wanted, port->bridge);
    bool is_local = str_eq(port->name, port->bridge), is_uplink = planner_uplink(p, port->bridge) == port;
    if (!port->ours || is_local || (b && !is_base(b)))
        return;
    if (is_uplink && home && (home->purpose == NET_PURPOSE_NIC || home->purpose == NET_PURPOSE_BOND))
        return;
    const char *guest = port->fake_bridge ? guest_of(p, port->bridge, port->tag) : NULL;
    if (guest) {
        report_guests(p, port->name, guest);
        return;
    }
    struct net_ovs_op *o = planner_ovs(s, NET_OVS_PORT_DEL);
    str_copy(o->bridge, sizeof(o->bridge), port->bridge);
    str_copy(o->port, sizeof(o->port), port->name);
}

void planner_leftovers(struct net_planner *p) {
    net_name *gone = xcalloc(p->now->n_bridges + p->now->n_ports + 1, sizeof(*gone));
    unsigned n_gone = 0;
    struct net_step s = planner_step(p, NET_OP_OVS, "we made these, and nobody wants them any more");
    for (unsigned i = 0; i < p->now->n_ports; i++) {
        const struct net_obs_port *port = &p->now->ports[i];
        const struct net_obs_bridge *br = net_observed_bridge(p->now, port->bridge);
        /* Ports of a bridge that goes as a whole go with it. */
        if (br && br->ours && !net_config_bridge(p->wanted, br->name) && !guest_of(p, br->name, -1))
            continue;
        unsigned before = s.n_ovs;
        collect_leftover(p, &s, port);
        if (s.n_ovs > before && port->fake_bridge)
            str_copy(gone[n_gone++], NET_NAME_SIZE, port->name);
    }
    for (unsigned i = 0; i < p->now->n_bridges; i++) {
        const struct net_obs_bridge *o = &p->now->bridges[i];
        if (!o->ours || net_config_bridge(p->wanted, o->name))
            continue;
        const char *guest = guest_of(p, o->name, -1);
        if (guest) {
            report_guests(p, o->name, guest);
            continue;
        }
        struct net_ovs_op *op = planner_ovs(&s, NET_OVS_BRIDGE_DEL);
        str_copy(op->bridge, sizeof(op->bridge), o->name);
        str_copy(gone[n_gone++], NET_NAME_SIZE, o->name);
    }
    for (unsigned i = 0; i < n_gone; i++)
        stop_clients(p, gone[i]);
    free(gone);
    finish(p, &s);
}
