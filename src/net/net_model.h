/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's kernel and switch in memory: performs the steps of a plan on a struct net_observed as the real ones would.
 * The planner plans its next step from what the model says after the last one; tests run whole plans on it and look
 * between the steps. What it knows of the switch was measured: an internal port without mtu_request follows the
 * smallest of the NICs beside it, a refused mtu_request leaves the MTU and says nothing, a port that changes bridges
 * loses its link with addresses and routes. Pure; any thread.
 */
#pragma once

#include "net/net_plan.h"

/* Performs one step. 0, or negative errno as the real driver would give; what a transaction could do before stays
 * undone. */
int net_model_apply(struct net_observed *now, const struct net_step *s) _warn_unused_;
/* Whether an expectation holds now. Time does not pass here: quiet, lease and neighbour expectations always hold. */
bool net_model_holds(const struct net_observed *now, const struct net_expect *e);
/* The switch starts, or looks at its database again: links of internal ports come and go, MTUs follow. */
void net_model_settle(struct net_observed *now);
/* The bridge that a port hangs on, through a fake bridge too: the real bridge's name, or NULL. */
const char *net_model_real_bridge(const struct net_observed *now, const char *bridge);
