/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cables: veth pairs between hosts, switches and the desk, created straight inside the namespaces so that nothing
 * shows on the machine. Offloads are off on both ends, because the userspace switch copies frames as they are.
 */
#pragma once

#include "lab/lab.h"

/* All cables of a new lab at once: NICs, the link between the switches, the desk's. */
bool net_plug_all(const struct lab *lab, struct error **errp);
bool net_plug_nic(const struct lab *lab, const struct topo_host *h, const struct topo_nic *n, struct error **errp);
bool net_unplug_nic(const struct lab *lab, const struct topo_host *h, const struct topo_nic *n, struct error **errp);
bool net_link_set(const struct lab *lab, const char *node, const char *ifname, bool up, struct error **errp);
/* One more cable of the desk, to port `port` of the first switch, for frames of up to 9000 bytes. */
bool net_plug_desk(const struct lab *lab, const char *ifname, const char *port, const char *address,
                   struct error **errp);
/*
 * What a power cycle does to the kernel's side of a host: the NICs move, down and bare, into a fresh network namespace,
 * and everything else (taps, addresses, routes, rules, sockets, filters) dies with the old one.
 */
bool net_power_cycle(const struct lab *lab, const struct topo_host *h, struct error **errp);
/* The same for a switch: its ports lose their link, and the devices its software made go. */
void net_switch_dark(const struct lab *lab, unsigned sw);
/* The ingress guard of a host, for the namespace that the caller is in (netns NULL) or another. The userspace datapath
 * taps the NICs, so the kernel's own stack sees each frame a second time; this stops it there. */
bool net_guard(const char *netns, const struct topo_host *h, struct error **errp);
