/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faults a lab is asked to show, as one value, and the switch rules they turn into. Decides, touches nothing:
 * lab_switch.c carries the texts to the switches. Kept in faults.json of the lab's folder. Any thread.
 *
 * Sizes are sizes of the network layer as an operator says them ("a port at 1500"): an untagged frame of SIZE + 14
 * bytes passes, a tagged one of SIZE + 18. A larger frame is dropped without a word, as a switch does it.
 */
#pragma once

#include "lab/lab_topology.h"

#define FAULTS_MAX_PORTS (TOPO_MAX_HOSTS * 4)

struct port_fault {
    char port[TOPO_PORT_SIZE];
    unsigned mtu_from_host; /* 0: no limit */
    unsigned mtu_to_host;
    bool drop_from_host; /* a leg that is dead in one direction while its link stays up */
    bool drop_to_host;
    bool lacp_silent; /* the switch sends no LACP frames */
    bool down;        /* the switch's end of the cable is down */
    bool host_down;   /* the host's end is down; set again when the host's NICs are plugged in */
    bool lldp_off;    /* the switch does not say who it is on this port */
    char trunks[96];  /* "" all VLANs; else the list that Open vSwitch takes, 0 is untagged */
};

struct faults {
    unsigned isl_mtu; /* 0: no limit */
    unsigned fabric_mtu;
    bool isl_down;
    unsigned n_ports;
    struct port_fault ports[FAULTS_MAX_PORTS];
};

struct port_fault *faults_port(struct faults *f, const char *port); /* made when missing; NULL when the table is full */
const struct port_fault *faults_find(const struct faults *f, const char *port);
void faults_forget(struct faults *f, const char *port);

/* OpenFlow rules (ovs-ofctl syntax, names as ports) of one switch; first line deletes what was there. */
void faults_flows(const struct faults *f, const struct topology *t, unsigned sw, struct buf *out);
/* nft script of one switch: what must not leave towards a host. */
void faults_nft(const struct faults *f, const struct topology *t, unsigned sw, struct buf *out);

void faults_format(const struct faults *f, struct buf *out);
bool faults_parse(struct faults *ret, const char *text, size_t size, struct error **errp);
/* "0,101-103" and such; true when it is a list of VLANs 0..4094, which is written out in full into ret. */
bool faults_trunks_parse(const char *text, char *ret, size_t size, struct error **errp);
