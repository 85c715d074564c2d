/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong with a network that is as it was made: another machine has taken this host's address, the gateway is
 * silent, LACP is not negotiated. The prober finds what happens on
 * the way to other hosts; this needs none. A look blocks (it asks by ARP) for at most 0.3 s per address and gateway, so
 * it belongs into a worker; one look at a time. What is seen is told when it was seen in several looks, and withdrawn
 * when it was not seen in two, so that nothing flaps.
 */
#pragma once

#include "link/link.h"
#include "net/net_config.h"
#include "net/net_fault.h"
#include "net/net_observed.h"
#include "ovs/ovs.h"

#define NET_WATCH_MS 3000 /* between looks */

struct net_watch_port { /* what the switch calls itself at a leg, by LLDP */
    net_name leg;
    char switch_name[64], switch_port[64];
};

struct net_watch_in {
    struct link *link;
    struct ovs *ovs;
    const struct net_config *config; /* what the host has: last known good */
    const struct net_watch_port *ports;
    unsigned n_ports;
};

struct net_watch;
struct net_watch *net_watch_new(void);
void net_watch_free(struct net_watch *w); /* accepts NULL */
/* Appends what is to be told now. A kernel or switch that does not answer tells nothing new. */
void net_watch_look(struct net_watch *w, const struct net_watch_in *in, struct net_problems *ret);

/*
 * Before a change: appends what an address or gateway that `target` has and the host has not would run into. Asked
 * where the network is reached already; blocks as a look does.
 */
void net_watch_before(struct link *l, const struct net_observed *is, const struct net_config *target,
                      struct net_problems *ret);
