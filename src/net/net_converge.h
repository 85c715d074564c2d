/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a configuration to a host that has it: observe, plan, apply, and once more when a driver refused an MTU that its
 * limits allow, so that no port stays above its legs. What netboot and the agent have in common. Blocking.
 */
#pragma once

#include "net/net_apply.h"

struct net_converge {
    struct net_apply_env *env;
    const struct net_observe_from *from;
    enum net_plan_mode mode;
    unsigned phases;                   /* of net_apply */
    const struct net_refused *refused; /* legs known from before to refuse an MTU; borrowed, may be NULL */
    unsigned n_refused;
    const struct net_lift *lifts; /* see net_plan_options; borrowed, may be NULL */
    unsigned n_lifts;
};

struct net_converged {
    struct net_problems problems;  /* of the planner and of steps that failed and were only recorded */
    struct net_observed *observed; /* owned: what is now; NULL when it could not be read */
    size_t n_steps;                /* of the first plan: 0 means that all was right already */
    bool touches_management;       /* a step did */
    unsigned n_refused;            /* legs that are known now to refuse an MTU, those from before included */
    struct net_refused refused[NET_MAX_NICS];
};

void net_converged_done(struct net_converged *c);

/* False when the intent is not valid, the host cannot be read, or a step failed that stops the plan. ret is filled
 * either way. */
bool net_converge(const struct net_converge *how, const struct net_config *wanted, struct net_converged *ret,
                  struct error **errp) _warn_unused_;

/* Moves the problems of `from` to the end of `to`, leaving out what is there already; `from` is empty afterwards. */
void net_problems_merge(struct net_problems *to, struct net_problems *from);
