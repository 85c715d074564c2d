/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sm.h"

#include <stdarg.h>
#include <stdio.h>

void sm_init(struct sm *sm, const char *name, const struct sm_state *states, unsigned n_states, unsigned initial,
             uint64_t now_ms) {
    if (n_states > 32 || initial >= n_states)
        abort(); /* `allowed` has 32 bits */
    *sm = (struct sm){.name = name,
                      .states = states,
                      .n_states = n_states,
                      .state = initial,
                      .entered_ms = now_ms,
                      .reason = xstrdup("")};
}

void sm_done(struct sm *sm) {
    free(sm->reason);
    sm->reason = NULL;
}

void sm_move(struct sm *sm, unsigned to, uint64_t now_ms, const char *reason_fmt, ...) {
    char *reason = NULL;
    va_list ap;
    va_start(ap, reason_fmt);
    if (vasprintf(&reason, reason_fmt, ap) < 0)
        abort();
    va_end(ap);
    if (!sm_may_move(sm, to)) {
        (void)fprintf(stderr, "state machine '%s': no move from '%s' to '%s' is allowed (reason given: %s)\n", sm->name,
                      sm_state_name(sm), to < sm->n_states ? sm->states[to].name : "?", reason);
        abort();
    }
    free(sm->reason);
    sm->reason = reason;
    sm->state = to;
    sm->entered_ms = now_ms;
    if (sm->invariant)
        sm->invariant(sm, sm->userdata);
}

void sm_reword(struct sm *sm, const char *reason) {
    char *text = xstrdup(reason);
    free(sm->reason);
    sm->reason = text;
}

bool sm_may_move(const struct sm *sm, unsigned to) {
    return to < sm->n_states && (sm->states[sm->state].allowed & UINT32_C(1) << to) != 0;
}

const char *sm_state_name(const struct sm *sm) {
    return sm->states[sm->state].name;
}
