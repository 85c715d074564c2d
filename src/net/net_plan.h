/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is and what should be to ordered steps, each with its reason: a pure function. The applier performs the
 * steps in order; the same plan is the dry run, the reboot rehearsal and what the scenario tests look at.
 *
 * Promises: rising MTUs go legs, bond, VLAN, port; falling ones the other way; the port that bears an address always
 * has mtu_request and never more than its legs. Every route out of the management bridge is locked to the control size.
 * What external_ids does not mark as ours is neither changed nor deleted (guests' ports travel with the bridge that
 * loses its NIC to another). A wanted NIC is found by its permanent MAC first. Problems never stop a plan: the rest is
 * planned around them. An empty plan means: all is right.
 *
 * How to run a plan: for each step in order do the action, then wait (events, not sleep) until all `expects` hold, at
 * most timeout_ms; then go on, or follow on_fail. Steps with the same non-zero `batch` that follow each other are
 * netlink requests to be sent in one go without returning to the loop. A step that fails with fail_code
 * NET_FAULT_MTU_REFUSED ends the run: observe, and plan again with that link in options.refused, so that no port is
 * raised above a leg that did not follow. An ovs step is one transaction with next_cfg += 1. Rows that a step makes get
 * external_ids muster=<role> (see net_ovs_op.role). Reads nothing, writes nothing, any thread.
 */
#pragma once

#include "net/net_config.h"
#include "net/net_fault.h"
#include "net/net_observed.h"

#define NET_OWNER_KEY "muster" /* external_ids key of the rows that we made */
#define NET_ROLE_BRIDGE "bridge"
#define NET_ROLE_UPLINK "uplink" /* the Port that holds the NIC or the bond's legs */
#define NET_ROLE_VLAN "vlan"
#define NET_ROLE_PATCH "patch" /* temporary, while an address changes bridges */

enum net_op {
    NET_OP_LINK_UP,   /* link */
    NET_OP_LINK_DOWN, /* link */
    NET_OP_LINK_MTU,  /* link, mtu: through the kernel; never more than the switch is told for the same link */
    NET_OP_SYSCTL, /* family, link, key, value: net.ipv4|ipv6.conf.<link>.<key> = value; a missing file is no failure */
    NET_OP_OVS,    /* ovs[]: one transaction */
    NET_OP_ADDR_ADD,   /* link, addr; IPv6 without duplicate detection (nodad) when count is 1. Present is no failure */
    NET_OP_ADDR_DEL,   /* link, addr. Absent is no failure */
    NET_OP_ROUTE_SET,  /* route: replaces the one with the same destination, metric, table */
    NET_OP_ROUTE_DEL,  /* route. Absent is no failure */
    NET_OP_NEIGH_COPY, /* link -> to_link: neighbour entries, as stale */
    NET_OP_GARP, /* link, count, interval_ms: gratuitous ARP / unsolicited NA for each of its addresses; done when the
                    burst is */
    NET_OP_WAIT, /* only the expects */
    NET_OP_DHCP_START, /* link, family: the client service of its own; locks its routes itself */
    NET_OP_DHCP_STOP,  /* link, family: keeps the address (the plan deletes it if it must go) */
    NET_OP_DNS,        /* dns[]: the resolver's list, written as a whole */
};

/* Boot plans have both; live plans only the second. */
enum net_phase { NET_PHASE_BEFORE_SWITCH, NET_PHASE_WITH_SWITCH };

enum net_on_fail {
    NET_FAIL_STOP,  /* the plan failed: roll back (live), go on with a fault (boot) */
    NET_FAIL_FAULT, /* record fault `fail_code` for this step and go on */
    NET_FAIL_IGNORE,
};

enum net_ovs_kind {
    NET_OVS_BRIDGE_ADD, /* bridge, datapath, mac (hwaddr, zero none), mtu (of its own interface, 0 none): with its local
                           port */
    NET_OVS_BRIDGE_DEL, /* bridge: with all ports still on it */
    NET_OVS_BRIDGE_MAC, /* bridge, mac: other_config:hwaddr (zero removes it) */
    NET_OVS_PORT_ADD,   /* bridge, port, ifaces[], has_bond+bond, tag, fake_bridge, iface_type, peer, mac, mtu (of each
                           interface) */
    NET_OVS_PORT_DEL,   /* bridge, port */
    NET_OVS_PORT_MOVE,  /* port from bridge to to_bridge: the same row */
    NET_OVS_PORT_BOND,  /* port, bond: sets all bond columns; has_bond false clears them */
    NET_OVS_PORT_TAG,   /* port, tag (-1 clears) */
    NET_OVS_PORT_ADD_IFACE, /* port, ifaces[0], mtu: grows the same row */
    NET_OVS_PORT_DEL_IFACE, /* port, ifaces[0] */
    NET_OVS_IFACE_MTU,      /* ifaces[0], mtu: mtu_request, 0 clears */
    NET_OVS_IFACE_MAC,      /* ifaces[0], mac: column mac of an internal interface, zero clears */
};

struct net_ovs_op {
    enum net_ovs_kind kind;
    net_name bridge, to_bridge;
    net_name port;
    net_name peer;
    unsigned n_ifaces;
    net_name ifaces[NET_MAX_LEGS];
    const char *iface_type; /* "" system, "internal", "patch"; static text */
    const char *role;       /* value of external_ids:muster for new rows; static text */
    enum net_datapath datapath;
    bool has_bond;
    struct net_ovs_bond bond;
    int tag; /* -1 none */
    bool fake_bridge;
    struct net_mac mac;
    int mtu;
};

enum net_expect_kind {
    NET_EXPECT_SWITCH_DONE,  /* cur_cfg reached the next_cfg of the last ovs step */
    NET_EXPECT_LINK_EXISTS,  /* name: the kernel has it */
    NET_EXPECT_CARRIER,      /* name */
    NET_EXPECT_MTU,          /* name, value: the kernel's MTU */
    NET_EXPECT_IFACE_OK,     /* name: Interface.error empty and ofport > 0 */
    NET_EXPECT_ACTIVE_LEG,   /* name: port, other: leg, "" any (bond/show, or Port.bond_active_slave = its MAC) */
    NET_EXPECT_LACP,         /* name: port; lacp_status negotiated, all legs enabled */
    NET_EXPECT_ADDR,         /* name, addr */
    NET_EXPECT_NO_ADDR,      /* name, addr */
    NET_EXPECT_ROUTE_LOCKED, /* name: dev, addr: a destination behind it, value: size; what `ip route get` says */
    NET_EXPECT_LEASE,        /* name, value: family 4 or 6: an address from DHCP is there */
    NET_EXPECT_GARP_QUIET,   /* value: milliseconds since our last gratuitous ARP */
    NET_EXPECT_NEIGHBOUR,    /* name: link, addr: answers an ARP or neighbour request sent out of that link */
};

struct net_expect {
    enum net_expect_kind kind;
    net_name name;
    net_name other;
    struct net_addr addr;
    int value;
};

struct net_step {
    enum net_op op;
    enum net_phase phase;
    bool touches_management; /* a failure here can cut the management path */
    unsigned batch;
    unsigned timeout_ms; /* for the expects; 0 when there are none */
    enum net_on_fail on_fail;
    enum net_fault fail_code; /* of NET_FAIL_FAULT */
    char *reason;             /* owned, one sentence */
    net_name link, to_link;
    enum net_family family;
    struct net_addr addr;
    bool unless_leased; /* NET_OP_ADDR_DEL: not when the DHCP server gave this very address meanwhile */
    struct net_route route;
    int mtu;
    unsigned count, interval_ms;
    const char *key, *value; /* static text */
    unsigned n_dns;
    struct net_addr dns[NET_MAX_DNS];
    struct net_ovs_op *ovs; /* owned */
    unsigned n_ovs;
    struct net_expect *expects; /* owned */
    unsigned n_expects;
};

/* How a NIC of the config was found on this host. */
enum net_nic_state {
    NET_NIC_FOUND,
    NET_NIC_MOVED /* same MAC, other name */,
    NET_NIC_REPLACED /* same name, other MAC */,
    NET_NIC_MISSING,
    NET_NIC_FOREIGN /* sits in a bridge that is not ours */
};

struct net_nic_binding {
    net_name wanted;    /* name in the config */
    net_name link;      /* name in the kernel, "" when missing */
    struct net_mac mac; /* that it really has */
    enum net_nic_state state;
};

/* What a bridge will really have once the plan is done. */
struct net_bridge_outcome {
    net_name name;
    int mtu; /* wanted, or less where a leg's driver cannot; 0 when the bridge could not be planned */
    unsigned n_legs;
    net_name legs[NET_MAX_LEGS]; /* kernel names, present ones only */
};

struct net_plan {
    struct net_step *steps;
    size_t n_steps;
    struct net_problems problems;
    struct net_nic_binding *nics;
    size_t n_nics;
    struct net_bridge_outcome *bridges;
    size_t n_bridges;
    bool touches_management; /* any step does */
};

enum net_plan_mode {
    NET_PLAN_LIVE, /* the switch runs: least disruptive changes from what is */
    NET_PLAN_BOOT, /* before the switch runs: what its database holds is replaced by what is wanted */
};

/* A leg whose driver was seen to refuse an MTU that its limits allow: found by a step that failed, for the next plan.
 */
struct net_refused {
    net_name link;
    int mtu; /* what it takes */
};

/*
 * A leg that carries at least this much for a while, though nobody above it asks for that: so that the larger frames of
 * a change can be tried on the wire before the change is made. Ports stay as they are.
 */
struct net_lift {
    net_name leg; /* by its name in the config */
    int mtu;
};

struct net_plan_options {
    enum net_plan_mode mode;
    const struct net_lift *lifts; /* borrowed */
    unsigned n_lifts;
    const struct net_refused *refused; /* borrowed */
    unsigned n_refused;
    bool adopt_foreign; /* take over bridges that carry a wanted name but no mark of ours */
};

#define NET_PLAN_MAX_STEPS 100000

void net_plan_done(struct net_plan *p);
#define _cleanup_net_plan_ _cleanup_(net_plan_done)

/*
 * Computes the plan. Fails only when `wanted` is not valid (net_config_validate); `ret` is then untouched, else filled
 * (it need not be initialised) and owned by the caller. options may be NULL: live.
 */
bool net_plan_compute(const struct net_config *wanted, const struct net_observed *is,
                      const struct net_plan_options *options, struct net_plan *ret, struct error **errp) _warn_unused_;

/* The dry run: numbered lines with the reasons, then the problems. The caller owns it. */
char *net_plan_text(const struct net_plan *p);
/* One line for one step, without number and reason: "ovs: add bridge xapi0; set mtu_request of eth0 to 9000". */
char *net_step_text(const struct net_step *s);
char *net_expect_text(const struct net_expect *e);
const char *net_op_name(enum net_op op);
