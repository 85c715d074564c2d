/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network change as hosts talk about it: what the coordinator asks each of them (over the pool channel), and this
 * host's answers out of its network agent and its prober.
 *
 *   net_plan    config                       -> plan, diff, steps, management, problems; touches nothing
 *   net_lift    id, legs, lease_ms           -> legs carry more for a while
 *   net_prove   id, paths, deadline_ms       -> table: what the paths of the change pass
 *   net_renew   id, lease_ms                 -> both go on: the coordinator lives
 *   net_lower   id                           -> the end of both
 *   net_stage   hash, seconds, person, gate, probes   how the change is to be tried once the rows say it
 *   net_go      hash                         -> it is this host's turn
 *   net_keep    hash;  net_revert hash, why  -> the word of a person
 *   net_before                            -> the network proven before the present one, as a repair's text
 *   net_note    entry                        -> one more in the history
 */
#pragma once

#include "daemon/netglue.h"
#include "daemon/probing_ahead.h"
#include "pool/pool_channel.h"

struct network_history;

struct network_calls {
    struct netglue *netglue;
    struct probing_aheads *aheads;
    struct network_history *history;
};

void network_calls_serve(struct network_calls *n, struct pool_channel *channel);
