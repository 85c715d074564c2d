/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State machines as tables: states with names, allowed moves. A move that the table does not have is a bug of ours and
 * aborts. Time is a parameter. Not thread-safe.
 */
#pragma once

#include "base/macro.h"

struct sm_state {
    const char *name;
    uint32_t allowed; /* bit set of states that may follow */
};

struct sm {
    const char *name;
    const struct sm_state *states;
    unsigned n_states;
    unsigned state;
    uint64_t entered_ms;
    char *reason;                                           /* owned; why this state was entered, one sentence */
    void (*invariant)(const struct sm *sm, void *userdata); /* may be NULL; runs after every move */
    void *userdata;
};

void sm_init(struct sm *sm, const char *name, const struct sm_state *states, unsigned n_states, unsigned initial,
             uint64_t now_ms);
void sm_done(struct sm *sm);
void sm_move(struct sm *sm, unsigned to, uint64_t now_ms, const char *reason_fmt, ...) _printf_(4, 5);
/* The state stays, and so does the time it was entered at; what there is to say of it is another sentence now. */
void sm_reword(struct sm *sm, const char *reason);
bool sm_may_move(const struct sm *sm, unsigned to);
const char *sm_state_name(const struct sm *sm);
