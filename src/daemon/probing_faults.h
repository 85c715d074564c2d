/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what all hosts have measured (host.path_table in the replica) to the sentences that this host has to say: about
 * its own legs, and, on the coordinator, about what belongs to no host (links between switches, whole networks, hosts
 * that are down).
 */
#pragma once

#include "db/db.h"

struct probing_view {
    struct db *db;
    struct uuid self;
    bool is_coordinator;
    bool (*is_live)(const struct uuid *host, void *userdata);
    void *userdata;
};

/* A map from key ("MUSTER-N101/eth1") to sentence; the caller owns it. */
struct value probing_faults(const struct probing_view *v);
