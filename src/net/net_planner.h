/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the planner. It keeps a copy of the observed state that moves on with each step it adds (net_model.h),
 * so every part below compares what would be there by then with what is wanted, and a plan that was cut off half way
 * is taken up where it stands. Internal to src/net; one planner, one thread.
 */
#pragma once

#include "net/net_model.h"

#define NET_PATCH_OLD "muster-pa" /* on the bridge that loses the address */
#define NET_PATCH_NEW "muster-pb"

/* Waits, in milliseconds. They are deadlines, not pauses. */
#define NET_WAIT_SWITCH_MS 5000 /* measured: 36 ms at worst; a loaded host gets two orders more */
#define NET_WAIT_KERNEL_MS 2000
#define NET_WAIT_LEG_MS 3000
#define NET_WAIT_LACP_MS 5000
#define NET_WAIT_LEASE_MS 30000
#define NET_WAIT_NEIGHBOUR_MS 1500
#define NET_GARP_COUNT 8 /* 8 x 60 ms reached a warm userspace switch; 3 x 20 ms did not (measured) */
#define NET_GARP_INTERVAL_MS 60
#define NET_GARP_QUIET_MS 150

struct net_planner {
    const struct net_config *wanted;
    const struct net_observed *is;
    struct net_plan_options options;
    struct net_observed *now;
    struct net_plan *plan;
    enum net_phase phase;
    unsigned batch, n_batches;
    net_name *management; /* names whose change can cut the management path */
    unsigned n_management;
    net_name *moved_to; /* bridges that received an address in this plan: announced */
    unsigned n_moved_to;
};

/* ---- net_plan_build.c: adding steps ---- */

/* A step with its reason; fill the arguments and hand it to planner_add, which also moves the model on. */
struct net_step planner_step(struct net_planner *p, enum net_op op, const char *reason_fmt, ...) _printf_(3, 4);
struct net_ovs_op *planner_ovs(struct net_step *s, enum net_ovs_kind kind); /* valid until the next call */
struct net_expect *planner_expect(struct net_step *s, enum net_expect_kind kind, const char *name, unsigned timeout_ms);
bool planner_add(struct net_planner *p,
                 struct net_step *s); /* takes s; false: the model refused it, a problem says so */
void planner_drop(struct net_step *s);
void planner_batch_begin(struct net_planner *p);
void planner_batch_end(struct net_planner *p);
void planner_add_garp(struct net_planner *p, const char *link, const char *reason);
void planner_add_quiet(struct net_planner *p);
void planner_add_link_up(struct net_planner *p, const char *link, const char *reason);
void planner_mark_management(struct net_planner *p, const char *name);
bool planner_is_management(const struct net_planner *p, const char *name);
struct net_fault_facts planner_facts(const struct net_planner *p, const struct net_bridge *b, const char *nic);

/* ---- net_plan_nic.c: which NIC is which ---- */
void planner_bind_nics(struct net_planner *p);
/* Kernel name of a wanted NIC; "" when it cannot be used. */
const char *planner_link(const struct net_planner *p, const char *nic);
const struct net_nic_binding *planner_binding(const struct net_planner *p, const char *nic);
/* Kernel names of the legs that are there. */
unsigned planner_legs(const struct net_planner *p, const struct net_bridge *b, net_name ret[static NET_MAX_LEGS]);
/* The leg that carries first: the wanted primary, or the first that is there; "" without any. */
const char *planner_primary(const struct net_planner *p, const struct net_bridge *b);
struct net_mac planner_bridge_mac(const struct net_planner *p, const struct net_bridge *b);
struct net_ovs_bond planner_bond(const struct net_planner *p, const struct net_bridge *b);
bool planner_can_touch(const struct net_planner *p,
                       const struct net_bridge *b); /* false: a foreign bridge has its name */

/* ---- net_plan_mtu.c ---- */
int planner_leg_mtu(const struct net_planner *p, const struct net_bridge *base); /* to ask for, on each leg */
int planner_mtu(const struct net_planner *p, const struct net_bridge *b);        /* what its port will have */
/* No more than what the legs that its bridge has at this step carry. */
int planner_mtu_now(const struct net_planner *p, const struct net_bridge *b);
void planner_check_mtu(struct net_planner *p); /* problems only */
void planner_lower_ports(struct net_planner *p);
void planner_raise_legs(struct net_planner *p);
void planner_hold_ports(struct net_planner *p);
void planner_raise_ports(struct net_planner *p);
void planner_lower_legs(struct net_planner *p);

/* ---- net_plan_bond.c: one uplink Port row, in place ---- */
struct net_obs_port *planner_uplink(const struct net_planner *p, const char *bridge); /* in the model; NULL */
bool planner_port_has(const struct net_obs_port *port, const char *iface);
void planner_grow(struct net_planner *p, const struct net_bridge *b, const char *port, const net_name *legs,
                  unsigned n);
void planner_shrink(struct net_planner *p, const char *bridge, const char *port, const net_name *keep, unsigned n_keep,
                    const char *primary);
void planner_bond_settings(struct net_planner *p, const struct net_bridge *b, const char *port);
/* Adds to a transaction what takes these NICs out of the ports that have them. */
void planner_take_legs(struct net_planner *p, struct net_step *s, const net_name *legs, unsigned n);
/* Adds the uplink Port of b with these legs to a transaction, with what it expects. */
void planner_put_uplink(struct net_planner *p, struct net_step *s, const struct net_bridge *b, const net_name *legs,
                        unsigned n);

/* ---- net_plan_switch.c: bridges, VLANs, who sits where ---- */
void planner_switch(struct net_planner *p);
void planner_leftovers(struct net_planner *p);
void planner_put_bridge(struct net_planner *p, struct net_step *s, const struct net_bridge *b);
void planner_put_vlan(struct net_planner *p, struct net_step *s, const struct net_bridge *b);
/* The same when it is not there yet, else what moves it (and its guests) to its parent. */
void planner_put_vlan_home(struct net_planner *p, struct net_step *s, const struct net_bridge *v);
/* What travels along when b takes the NICs of `from`: VLANs that are wanted on b, and guests when `from` goes. */
void planner_put_travellers(struct net_planner *p, struct net_step *s, const char *from, const struct net_bridge *b);

/* ---- net_plan_move.c: an address changes bridges ---- */
void planner_move_shared(struct net_planner *p);   /* with the NIC it lives on: patch ports in between */
void planner_move_disjoint(struct net_planner *p); /* to a bridge with an uplink of its own */
/* True while this bridge bears an address that is wanted on another one. */
bool planner_bears_moving(const struct net_planner *p, const char *bridge);
/* True while an address wanted on `to` is still on another one. */
bool planner_waits_for_address(const struct net_planner *p, const struct net_bridge *to);

/* ---- net_plan_boot.c ---- */
void planner_boot(struct net_planner *p);

/* ---- net_plan_address.c, net_plan_route.c ---- */
/* Up, with IPv6 told before what it may do by itself. */
void planner_bring_up(struct net_planner *p, const struct net_bridge *b, const char *reason);
void planner_addresses(struct net_planner *p);
void planner_routes(struct net_planner *p);
void planner_dns(struct net_planner *p);
void planner_check_routes(struct net_planner *p);
bool planner_is_control(const struct net_planner *p, const char *link); /* its routes are locked */
int planner_control_size(const struct net_planner *p);
void planner_lock(const struct net_planner *p, struct net_route *r);
void planner_set_route(struct net_planner *p, const struct net_route *r, const char *reason);
struct net_route planner_connected_route(const struct net_planner *p, const char *link, const struct net_addr *a);
struct net_route planner_default_route(const struct net_planner *p, const char *link, const struct net_addr *gateway);
