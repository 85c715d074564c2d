/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pool's rows say one host's network should be: the bridge between the replica and the network engine. Reads
 * only what the pool decides (never what a host reports back), so coordinator and host come to the same hash from the
 * same rows. Loop thread, since the replica belongs to it; changes nothing.
 */
#pragma once

#include "db/db.h"
#include "net/net_config.h"

/*
 * The configuration of `host`, checked for contradictions. NULL with HANDLE_INVALID when there is no such host, with
 * ERR_NET_CONFIG_INVALID when the rows contradict each other (a VLAN with a larger MTU than the network below it ...).
 *
 * Rules: a PIF counts when it is managed, its network too, and it is plugged or carries management; what a plugged VLAN
 * lies on counts with it. MTU is other_config:mtu of the PIF, else that of its network; a bond's goes to all its legs.
 * Networks without a PIF here are not part of it: their bridges come with the first guest.
 * A repair that the host's row records is laid over all of it; `repair` of the result says so.
 * The caller adds what is the host's own: datapath type, a smaller control size, generation, provenance.
 */
struct net_config *net_wanted(struct db *d, const struct uuid *host, struct error **errp) _warn_unused_;
