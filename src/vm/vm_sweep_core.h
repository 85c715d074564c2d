/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases that are given back, and transfers that take leases meanwhile. Whoever sweeps has a list of those who stand
 * for leases, made on the loop thread, and waits for its turn at the repository; a transfer waits for nothing and is
 * not in a list that was made before it began. So either the sweep sees that a transfer has begun since, and leaves
 * everything as it is, or the transfer sees the sweep, and begins when it is over. Both may happen, never neither.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sweep_gate {
    _Atomic uint64_t n_begun; /* transfers, in all */
    _Atomic unsigned n_sweeping;
};

/* Loop thread, with the list: what sweep_enter is to be given. */
uint64_t sweep_stamp(struct sweep_gate *g);
/* Any thread, before the first lease is looked at; false: the list is too old, nothing may be given back by it. */
bool sweep_enter(struct sweep_gate *g, uint64_t stamp);
void sweep_leave(struct sweep_gate *g); /* after sweep_enter, whatever that said */

/* Loop thread, when the transfer stands in the lists that are made from now on. */
void sweep_transfer_begins(struct sweep_gate *g);
/* It may take its leases now; else after the next sweep that ends. */
bool sweep_transfer_may_go(struct sweep_gate *g);
