/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch: Open vSwitch through its configuration database and its control socket. A `struct ovs` is a driver:
 * ovs_db_open() talks to the switch of this host, ovs_fake_new() (ovs_fake.h) keeps one in memory for tests.
 *
 * Rows that we make carry external_ids muster=<role>; nothing else is ever deleted, except with a bridge that we made.
 * Every commit is one transaction that also increments next_cfg. The switch answers by raising cur_cfg; it says nothing
 * about an MTU that a driver refused, so the reader compares `mtu` with `mtu_request` once cur_cfg got there.
 *
 * Calls block up to the deadline given (netboot, worker threads). One handle belongs to one thread at a time. After an
 * error of the connection the handle reconnects by itself at the next call.
 */
#pragma once

#include "base/error.h"

#define OVS_NAME_SIZE 64 /* interface names have 15 characters; names of patch ports that others made may be longer */
#define OVS_UUID_SIZE 37
#define OVS_MAX_LEGS 8
#define OVS_OWNER_KEY "muster"

#define ERR_OVS_REFUSED "SWITCH_REFUSED" /* the database or the switch refused a change: [what] */
#define ERR_OVS_TIMEOUT "SWITCH_TIMEOUT" /* the switch did not act in time: [what] */
#define ERR_OVS_ABSENT "SWITCH_ABSENT"   /* nobody answers on its sockets: [what] */

struct ovs_bond {
    char mode[16]; /* "active-backup", "balance-slb", "balance-tcp"; "" not set */
    bool lacp;
    bool lacp_fast;
    bool fallback_ab;
    int aggregation_key; /* 0: not set */
    int updelay_ms, downdelay_ms;
    char primary[OVS_NAME_SIZE]; /* "" none */
};

struct ovs_bridge {
    char name[OVS_NAME_SIZE];
    char uuid[OVS_UUID_SIZE];
    char datapath_type[16];
    char hwaddr[18]; /* other_config:hwaddr, "" none */
    char role[16];   /* external_ids:muster, "" not ours */
};

struct ovs_port {
    char name[OVS_NAME_SIZE];
    char uuid[OVS_UUID_SIZE];
    char bridge[OVS_NAME_SIZE];
    char role[16];
    int tag; /* -1 none */
    bool fake_bridge;
    bool has_bond; /* bond_mode is set, or there are two interfaces */
    struct ovs_bond bond;
    char active_mac[18]; /* of the active leg, as the switch says; "" unknown */
    unsigned n_ifaces;
    char ifaces[OVS_MAX_LEGS][OVS_NAME_SIZE];
};

struct ovs_iface {
    char name[OVS_NAME_SIZE];
    char uuid[OVS_UUID_SIZE];
    char role[16];
    char type[16];
    char peer[OVS_NAME_SIZE];
    char mac[18];        /* asked for; "" none */
    char mac_in_use[18]; /* worn now; "" unknown */
    int mtu;             /* 0 unknown */
    int mtu_request;     /* 0 not set */
    int ofport;          /* -1 refused, 0 unknown */
    char error[160];
};

struct ovs_state {
    struct ovs_bridge *bridges;
    size_t n_bridges;
    struct ovs_port *ports;
    size_t n_ports;
    struct ovs_iface *ifaces;
    size_t n_ifaces;
    int64_t next_cfg, cur_cfg;
};

void ovs_state_done(struct ovs_state *s);
const struct ovs_bridge *ovs_state_bridge(const struct ovs_state *s, const char *name); /* NULL when absent */
const struct ovs_port *ovs_state_port(const struct ovs_state *s, const char *name);
const struct ovs_port *ovs_state_port_of_iface(const struct ovs_state *s, const char *iface);
const struct ovs_iface *ovs_state_iface(const struct ovs_state *s, const char *name);

enum ovs_op_kind {
    OVS_BRIDGE_ADD,     /* bridge, datapath_type, mac, mtu (of its own interface), role: with its local port */
    OVS_BRIDGE_DEL,     /* bridge, with all ports still on it */
    OVS_BRIDGE_MAC,     /* bridge, mac ("" removes) */
    OVS_PORT_ADD,       /* bridge, port, ifaces, iface_type, peer, mac, mtu, tag, fake_bridge, bond, role */
    OVS_PORT_DEL,       /* bridge, port */
    OVS_PORT_MOVE,      /* port from bridge to to_bridge: the same row */
    OVS_PORT_BOND,      /* port, bond (NULL clears) */
    OVS_PORT_TAG,       /* port, tag */
    OVS_PORT_ADD_IFACE, /* port, ifaces[0], mtu, role */
    OVS_PORT_DEL_IFACE, /* port, ifaces[0] */
    OVS_IFACE_MTU,      /* ifaces[0], mtu (0 clears) */
    OVS_IFACE_MAC,      /* ifaces[0], mac ("" clears) */
};

/* One change. Strings are borrowed; NULL and "" mean the same. */
struct ovs_op {
    enum ovs_op_kind kind;
    const char *bridge, *to_bridge, *port;
    unsigned n_ifaces;
    const char *ifaces[OVS_MAX_LEGS];
    const char *iface_type, *peer, *mac, *datapath_type, *role;
    int mtu; /* 0 none */
    int tag; /* -1 none */
    bool fake_bridge;
    const struct ovs_bond *bond;
};

/* A leg of a bond, as the switch sees it now. */
struct ovs_bond_leg {
    char name[OVS_NAME_SIZE];
    bool enabled;
    bool active;
};
struct ovs_bond_status {
    char mode[16];
    bool lacp_negotiated;
    unsigned n_legs;
    struct ovs_bond_leg legs[OVS_MAX_LEGS];
};

struct ovs;

struct ovs_ops {
    void (*free)(struct ovs *o);
    bool (*read)(struct ovs *o, struct ovs_state *ret, struct error **errp);
    bool (*commit)(struct ovs *o, const struct ovs_op *ops, size_t n, const char *comment, int64_t *ret_cfg,
                   struct error **errp);
    bool (*wait_change)(struct ovs *o, unsigned timeout_ms, struct error **errp);
    bool (*wait_cfg)(struct ovs *o, int64_t cfg, unsigned timeout_ms, struct error **errp);
    bool (*running)(struct ovs *o);
    bool (*bond_status)(struct ovs *o, const char *port, struct ovs_bond_status *ret, struct error **errp);
    char *(*handler_problem)(struct ovs *o);
};

struct ovs {
    const struct ovs_ops *ops;
};

/* The same without connecting now: the first call does. For daemons that start beside the switch. */
struct ovs *ovs_db_new(const char *run_dir);
/* Paths are copied. run_dir holds db.sock and the control socket of ovs-vswitchd, "/run/openvswitch" when NULL. */
struct ovs *ovs_db_open(const char *run_dir, unsigned timeout_ms, struct error **errp) _warn_unused_;
void ovs_free(struct ovs *o); /* accepts NULL */
DEFINE_CLEANUP(struct ovs *, ovs_free)

bool ovs_read(struct ovs *o, struct ovs_state *ret, struct error **errp) _warn_unused_;
/* Performs all ops or none. *ret_cfg is the configuration number to wait for. `comment` goes to the database's log. */
bool ovs_commit(struct ovs *o, const struct ovs_op *ops, size_t n, const char *comment, int64_t *ret_cfg,
                struct error **errp) _warn_unused_;
/* Waits until the switch has worked through configuration `cfg`. */
bool ovs_wait_cfg(struct ovs *o, int64_t cfg, unsigned timeout_ms, struct error **errp) _warn_unused_;
/* Waits until something changed in the switch's database, or for timeout_ms; both are success. */
bool ovs_wait_change(struct ovs *o, unsigned timeout_ms, struct error **errp) _warn_unused_;
/* Whether ovs-vswitchd answers on its control socket now. */
bool ovs_is_running(struct ovs *o);
bool ovs_bond_status(struct ovs *o, const char *port, struct ovs_bond_status *ret, struct error **errp) _warn_unused_;
/*
 * A switch daemon that was started within seconds of boot can come up without threads that handle new flows; it then
 * loses every packet and says so nowhere. NULL: all is well. Else one sentence with the cure, owned by the caller.
 */
char *ovs_handler_problem(struct ovs *o);
/*
 * How long a switch daemon for the kernel's datapath must not be started yet, on a machine that has been up for
 * `up_ms`. Open vSwitch 3.1 counts processors at most once in ten seconds of the monotonic clock and takes none until
 * the first time (lib/ovs-thread.c); the kernel's datapath has a handler per processor, so without any it loses every
 * packet (measured).
 */
unsigned ovs_start_pause_ms(uint64_t up_ms);
