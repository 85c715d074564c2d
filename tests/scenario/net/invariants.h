/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold between any two steps of a plan that runs on the model. Shared by the scenarios and the property test.
 */
#pragma once

#include "net/net_model.h"

struct invariants {
    const struct net_config *wanted;
    const struct net_observed *start; /* borrowed */
    struct net_addr management;       /* the address at the start; none when there was none */
    bool was_reachable;
    bool may_go_dark;    /* management's own VLAN port changes bridges: it is made anew there */
    bool was_black_hole; /* a port was above its legs at the start, and still is */
};

void invariants_init(struct invariants *v, const struct net_config *wanted, const struct net_observed *start);
/* NULL when all holds after a step, else a heap string that says what does not. */
char *invariants_check(struct invariants *v, const struct net_observed *now, bool in_batch);
/* At the end of a whole plan: routes locked, nothing left to do. */
char *invariants_check_end(struct invariants *v, const struct net_observed *now,
                           const struct net_plan_options *options);
/* Runs steps [0, n) on the model, checking after each; NULL or what went wrong, with the step. */
char *invariants_run(struct invariants *v, struct net_observed *now, const struct net_plan *plan, size_t n);
