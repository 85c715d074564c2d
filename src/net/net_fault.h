/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named faults of a host's network: a permanent code each, and one sentence that says host, leg, sizes and the command
 * that cures it. Codes are never reused or renumbered; docs/faults.md has a section for each. Pure; any thread.
 */
#pragma once

#include "base/buf.h"
#include "net/net_types.h"

enum net_fault {
    NET_FAULT_NONE = 0,
    /* what the prober finds */
    NET_FAULT_LEG_DEAD = 100,
    NET_FAULT_LEG_SIZE_LIMITED = 101,
    NET_FAULT_LEG_ONE_WAY = 102,
    NET_FAULT_VLAN_NOT_CARRIED = 103,
    NET_FAULT_ISL_SIZE_LIMITED = 104,
    NET_FAULT_FABRIC_SIZE_LIMITED = 105,
    NET_FAULT_PEER_DOWN = 106,
    NET_FAULT_BOTH_LEGS_SIZE_LIMITED = 107,
    /* what the planner and the applier find */
    NET_FAULT_NIC_MISSING = 201,
    NET_FAULT_NIC_REPLACED = 202,
    NET_FAULT_NIC_MOVED = 203,
    NET_FAULT_MTU_REFUSED = 204,
    NET_FAULT_LEGS_BELOW_PORT = 205,
    NET_FAULT_DHCP_MTU = 206,
    NET_FAULT_CONFIG_CORRUPT = 207,
    NET_FAULT_INTENT_INVALID = 208,
    NET_FAULT_BRIDGE_FOREIGN = 209,
    NET_FAULT_NIC_FOREIGN = 210,
    NET_FAULT_NO_CARRIER = 211,
    NET_FAULT_CONTROL_UNLOCKED = 212,
    NET_FAULT_STEP_FAILED = 213,
    NET_FAULT_ROLLED_BACK = 214,
    NET_FAULT_BRIDGE_IN_USE = 215,
    /* what is seen while it runs */
    NET_FAULT_ADDRESS_TAKEN = 216,
    NET_FAULT_GATEWAY_SILENT = 217,
    NET_FAULT_LACP_DOWN = 218,
    NET_FAULT_REPAIRED = 219,
};

#define NET_FAULT_CODE_SIZE 16
const char *net_fault_code_text(enum net_fault f, char text[static NET_FAULT_CODE_SIZE]); /* "MUSTER-N101" */
bool net_fault_code_parse(const char *text, enum net_fault *ret) _warn_unused_;
const char *net_fault_name(enum net_fault f);    /* "leg size-limited"; NULL for an unknown number */
const char *net_fault_summary(enum net_fault f); /* one general sentence, NULL for an unknown number */
const enum net_fault *net_fault_all(size_t *ret_n);

enum net_direction {
    NET_DIRECTION_BOTH,
    NET_DIRECTION_OUT /* host to switch */,
    NET_DIRECTION_IN /* switch to host */
};

/* What is known about the place of a fault. Anything may be NULL, zero or "": the sentence leaves it out. Borrowed. */
struct net_fault_facts {
    const char *host;
    const char *nic; /* the leg */
    const struct net_mac *mac;
    const char *switch_name, *switch_port; /* from LLDP */
    const char *bridge;
    const char *bond;
    const char *network_uuid;
    const char *network_label;
    const char *peer_host, *peer_nic;
    const char *peer_bond, *peer_switch, *peer_port; /* the other end of a path between two switches */
    int vlan;                                        /* -1 or 0: untagged */
    int size_wanted, size_passes;                    /* MTU sized: 9000, 1500 */
    enum net_direction direction;
    const char *detail; /* what else there is to say, no full stop */
};

/* A fault found on this host: code, where, sentence, cure. Owns its strings. */
struct net_problem {
    enum net_fault code;
    net_name nic;    /* "" none */
    net_name bridge; /* "" none */
    bool healed;     /* the plan that reports it also mends it */
    char *text;      /* one sentence without the cure */
    char *cure;      /* one sentence, with a command where there is one */
};

struct net_problems {
    struct net_problem *items;
    size_t n;
};

/* Makes the sentence and the cure for f and appends it. The pointer is valid until the next add. */
struct net_problem *net_problems_add(struct net_problems *ps, enum net_fault f, const struct net_fault_facts *facts);
const struct net_problem *net_problems_find(const struct net_problems *ps, enum net_fault f,
                                            const char *nic /* NULL any */);
void net_problems_done(struct net_problems *ps);
/* "MUSTER-N101 leg size-limited: <text>; cure: <cure>" as a heap string. */
char *net_problem_line(const struct net_problem *p);
