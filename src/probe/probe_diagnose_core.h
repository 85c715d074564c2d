/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what every host measured to what is wrong, pure. Each measured edge (a leg here to a leg there, on one VLAN)
 * crosses: the switch port of the sending leg (from-host), perhaps the link between two switches, and the switch port
 * of the receiving leg (to-host). The size that passes is the smallest of theirs, so:
 *
 *   a port passes at least the largest size of any edge through it; when that is less than wanted, the port is limited;
 *   an edge that is smaller than both of its ports explain, between two switches, accuses the link between them;
 *   when every port of a network shows the same limit, it is the network as a whole; while paths that do not cross the
 *   ports in question are in doubt, too, none of those is accused yet.
 *
 * The same function runs on each host over the reports of all, so all come to the same verdicts; each verdict belongs
 * to one host (or to the pool) which reports it.
 */
#pragma once

#include "probe/probe_core.h"

struct probe_leg_fact {
    char name[PROBE_LEG_SIZE];
    struct uuid group;
    bool carrier;
    bool untagged;        /* somebody sends untagged frames: it has an address, or a VM is on it */
    char switch_name[64]; /* by LLDP; "" unknown */
    char switch_port[64];
};

/* What one host has measured and knows of its own legs. */
struct probe_report {
    struct uuid host;
    bool live;  /* by its heartbeats; a dead host's silence accuses nobody's switch port */
    bool fresh; /* the edges are recent */
    const struct probe_leg_fact *legs;
    unsigned n_legs;
    const struct probe_edge *edges;
    unsigned n_edges;
};

enum probe_fault_kind {
    PROBE_FAULT_LEG_DEAD,     /* nothing passes on this leg */
    PROBE_FAULT_LEG_LIMITED,  /* big frames do not pass this leg's switch port */
    PROBE_FAULT_VLAN_MISSING, /* something passes on this leg, but not on this VLAN (0: not untagged) */
    PROBE_FAULT_VLAN_NOWHERE, /* this VLAN passes on no leg of the network */
    PROBE_FAULT_ISL_LIMITED,  /* the link between two switches */
    PROBE_FAULT_ISL_DEAD,
    PROBE_FAULT_FABRIC_LIMITED, /* every path of the network */
    PROBE_FAULT_HOST_DOWN,      /* no leg of it answers and its heartbeats have stopped */
};

/* Directions are seen from the host: OUT is from the host to the switch. */
enum probe_direction { PROBE_BOTH, PROBE_OUT, PROBE_IN };

struct probe_fault {
    enum probe_fault_kind kind;
    struct uuid host; /* whose it is; null: the pool's */
    struct uuid group;
    char leg[PROBE_LEG_SIZE];
    enum probe_direction direction;
    uint16_t vlan;
    uint16_t passes; /* bytes of IP packet; 0 when nothing does */
    uint16_t fails;  /* the wanted size that does not */
    char switch_name[64];
    char switch_port[64];
    /*
     * Faults of the link between switches: the switch at its other end, and one of the paths that show it, from a leg
     * on `switch_name` to one on `other_switch`; of several the first by host and leg, so that all say the same.
     */
    char other_switch[64];
    struct probe_fault_end {
        struct uuid host;
        char leg[PROBE_LEG_SIZE];
        char switch_port[64];
    } seen[2];
};

#define PROBE_MAX_FAULTS 256

/* Fills at most PROBE_MAX_FAULTS; returns how many. Sorted: by group, host, leg, VLAN. */
unsigned probe_diagnose(const struct probe_report *reports, unsigned n_reports,
                        struct probe_fault ret[static PROBE_MAX_FAULTS]);
