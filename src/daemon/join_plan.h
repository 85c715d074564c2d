/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a join would come to, before it is one. The host that would join asks the coordinator there (pool.join_look),
 * which makes the rows of a join on a fork: from them follow the network that the host would have, and the paths
 * between it and the hosts of the pool. The host plans against what it has and, when it is to prove, raises its legs
 * for a moment and measures its half of the paths; the hosts of the pool measure theirs. Nothing is written on either
 * side. Loop thread.
 */
#pragma once

#include "daemon/daemon.h"

/*
 * A map of strings: pool, changes, plan, proof, refused (what stands in the way), limited (paths that carry less than
 * is wanted, which is no obstacle: the pool's own traffic keeps to a size that every path carries). Exactly once.
 */
void join_plan_start(struct daemon *d, const struct api_join_args *args, api_query_done_fn *done, void *data);
/* Coordinator: answers pool.join_look; a map of one string. */
void join_plan_look(struct daemon *d, const struct value *request, api_query_done_fn *done, void *data);
