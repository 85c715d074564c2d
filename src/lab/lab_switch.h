/* SPDX-License-Identifier: Apache-2.0 */
/* Carries the faults of a lab (lab_faults.h) to its switches, and asks them what they learned. */
#pragma once

#include "lab/lab_monitor.h"

/* Brings both switches in line with lab->faults: rules, filters, VLANs, links, LLDP. */
bool switch_apply(const struct lab *lab, struct error **errp);
/* Adds or removes the switch port of a NIC. */
bool switch_add_port(const struct lab *lab, unsigned sw, const char *port, struct error **errp);
/* A port that carries one VLAN, untagged. */
bool switch_add_access_port(const struct lab *lab, unsigned sw, const char *port, unsigned vlan, struct error **errp);
bool switch_del_port(const struct lab *lab, unsigned sw, const char *port, struct error **errp);
/* Makes one aggregate (LACP, fast) of the ports of a host, or separate ports again. */
bool switch_aggregate(const struct lab *lab, unsigned sw, const char *host, const char *const *ports, unsigned n_ports,
                      bool on, struct error **errp);
/* Runs a tool inside switch `sw`; ret_out may be NULL. */
bool switch_run(const struct lab *lab, unsigned sw, const char *const argv[], const char *input, struct buf *ret_out,
                struct error **errp);
#define SWITCH_BRIDGE "br0"
