/* SPDX-License-Identifier: Apache-2.0 */
/* Reads legs and peers for the prober out of the replica, and measurements into and out of host.path_table. Pure but
 * for the replica. */
#pragma once

#include "db/db.h"
#include "probe/probe_diagnose_core.h"

#define PROBING_MAX_LEGS PROBE_MAX_LEGS

struct probing_leg {
    struct probe_leg leg;
    struct probe_vlan vlans[PROBE_MAX_VLANS];
    struct uuid pif;     /* of the NIC */
    struct uuid carrier; /* the PIF that carries traffic: the bond's, or the NIC's own */
    bool management;
};

/* Whether the host keeps a repair: its legs are then those of net_wanted, not those of its PIFs alone. */
bool probing_is_repaired(struct db *d, const struct uuid *host);
/* The legs of a host that are to be measured: NICs in bonds, and single NICs that are plugged. Returns how many. */
unsigned probing_legs(struct db *d, const struct uuid *host, struct probing_leg ret[static PROBING_MAX_LEGS]);
/* The legs of all other hosts. */
unsigned probing_peers(struct db *d, const struct uuid *self, struct probe_peer ret[static PROBE_MAX_PEERS]);

/* One entry of host.path_table: "eth0>HOST/eth1" or "eth0>HOST/eth1@101" -> "9000/9000"; with '?' behind it: doubted.
 */
void probing_entry(const struct probe_edge *e, char key[static 96], char text[static 32]);
bool probing_entry_parse(const char *key, const char *text, struct probe_edge *ret) _warn_unused_;
