/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a host stands on its way into its pool, as a checked table, and which state the facts ask for. Pure; time is a
 * parameter.
 *
 *   netboot -> contacting -> syncing -> reconciling -> proving -> ready | ready-size-limited;  emergency from anywhere
 * without a coordinator
 */
#pragma once

#include "base/sm.h"

enum host_state {
    STATE_NETBOOT,
    STATE_CONTACTING,
    STATE_SYNCING,
    STATE_RECONCILING,
    STATE_PROVING,
    STATE_READY,
    STATE_LIMITED,
    STATE_EMERGENCY,
    N_STATES
};

/* Without its coordinator a running host goes on for this long before it calls that an emergency; a starting one for
 * longer. */
#define STATES_LOST_MS 5000
#define STATES_START_MS 10000

struct state_facts {
    bool has_network;         /* there is a management address */
    const char *network_text; /* why not */
    bool has_coordinator;     /* we are it and the database has a quorum, or it has welcomed us and is alive */
    uint64_t without_ms;      /* how long that has not been so; 0 while it is */
    const char *trouble;      /* why not */
    const char *sync_text;    /* why the replica may not load; "" */
    bool replica_loaded;      /* and holds our own row */
    bool replica_in_step;     /* it shows no past state of the pool; asked while it is taken over, not later */
    bool network_pending;     /* the network agent has not settled yet */
    bool proven;              /* the first proof after the start has ended, whatever it showed */
    bool size_limited;
    const char *limit_text;
};

extern const struct sm_state state_table[N_STATES];

void states_init(struct sm *sm, uint64_t now_ms);
/* Moves as the facts ask, one allowed step after another. True when the state, or what limits it, has changed. */
bool states_update(struct sm *sm, const struct state_facts *f, uint64_t now_ms);
bool states_is_ready(const struct sm *sm);
