/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_sweep_core.h"

uint64_t sweep_stamp(struct sweep_gate *g) {
    return atomic_load(&g->n_begun);
}

bool sweep_enter(struct sweep_gate *g, uint64_t stamp) {
    (void)atomic_fetch_add(&g->n_sweeping, 1); /* first: who begins after the look sees it */
    return atomic_load(&g->n_begun) == stamp;
}

void sweep_leave(struct sweep_gate *g) {
    (void)atomic_fetch_sub(&g->n_sweeping, 1);
}

void sweep_transfer_begins(struct sweep_gate *g) {
    (void)atomic_fetch_add(&g->n_begun, 1);
}

bool sweep_transfer_may_go(struct sweep_gate *g) {
    return atomic_load(&g->n_sweeping) == 0;
}
