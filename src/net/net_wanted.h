/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pool wants of one host's network, put together from the rows: PIFs (NICs, bonds, VLANs), their networks'
 * bridges and MTUs, addresses, and which one carries management. A function of the replica alone, so that the
 * coordinator and the host come to the same configuration and the same hash. Loop thread (reads the replica).
 */
#pragma once

#include "db/db.h"
#include "net/net_config.h"

/*
 * The caller owns the result. NULL with *errp (HANDLE_INVALID) when the host is not there. Rows that contradict each
 * other (a VLAN without its base, a bond without members) are left out: they are on their way in or out;
 * net_config_validate judges the rest.
 */
struct net_config *net_wanted(struct db *d, const struct uuid *host, struct error **errp) _warn_unused_;
