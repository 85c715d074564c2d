/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/states_core.h"

#include "base/str.h"

#define BIT(s) (1u << STATE_##s)
#define IN_SERVICE (BIT(RECONCILING) | BIT(PROVING) | BIT(READY) | BIT(LIMITED))

const struct sm_state state_table[N_STATES] = {
    [STATE_NETBOOT] = {"netboot", BIT(CONTACTING)},
    [STATE_CONTACTING] = {"contacting", BIT(SYNCING) | BIT(EMERGENCY) | BIT(NETBOOT)},
    [STATE_SYNCING] = {"syncing", BIT(RECONCILING) | BIT(CONTACTING) | BIT(EMERGENCY)},
    [STATE_RECONCILING] = {"reconciling", BIT(PROVING) | BIT(SYNCING) | BIT(EMERGENCY)},
    [STATE_PROVING] = {"proving", BIT(READY) | BIT(LIMITED) | BIT(SYNCING) | BIT(EMERGENCY)},
    /* Once in service a host stays there: later changes prove themselves under a checkpoint. */
    [STATE_READY] = {"ready", BIT(LIMITED) | BIT(SYNCING) | BIT(EMERGENCY)},
    [STATE_LIMITED] = {"ready-size-limited", BIT(READY) | BIT(SYNCING) | BIT(EMERGENCY)},
    [STATE_EMERGENCY] = {"emergency", BIT(SYNCING) | BIT(CONTACTING)},
};

void states_init(struct sm *sm, uint64_t now_ms) {
    sm_init(sm, "membership", state_table, N_STATES, STATE_NETBOOT, now_ms);
}

bool states_is_ready(const struct sm *sm) {
    return sm->state == STATE_READY || sm->state == STATE_LIMITED;
}

/* The one next state, or the present one when nothing is to do. */
static enum host_state next(const struct sm *sm, const struct state_facts *f) {
    enum host_state now = sm->state;
    bool was_in_service = (IN_SERVICE & (1u << now)) != 0;
    if (now == STATE_NETBOOT)
        return f->has_network ? STATE_CONTACTING : STATE_NETBOOT;
    if (!f->has_coordinator) {
        if (now == STATE_EMERGENCY)
            return now;
        /* A short absence is no emergency: the state is kept while it may still be one. */
        return f->without_ms >= (was_in_service ? STATES_LOST_MS : STATES_START_MS) ? STATE_EMERGENCY : now;
    }
    switch (now) {
    case STATE_CONTACTING:
    case STATE_EMERGENCY:
        return STATE_SYNCING;
    case STATE_SYNCING:
        return f->replica_loaded && f->replica_in_step ? STATE_RECONCILING : now;
    case STATE_RECONCILING:
        return f->network_pending ? now : STATE_PROVING;
    case STATE_PROVING:
        return !f->proven ? now : f->size_limited ? STATE_LIMITED : STATE_READY;
    case STATE_READY:
    case STATE_LIMITED:
        if (!f->replica_loaded)
            return STATE_SYNCING;
        return f->size_limited ? STATE_LIMITED : STATE_READY;
    default:
        return now;
    }
}

static const char *reason(enum host_state s, const struct state_facts *f) {
    switch (s) {
    case STATE_NETBOOT:
        return f->network_text;
    case STATE_CONTACTING:
        return f->trouble[0] ? f->trouble : "asking the coordinator to let this host in";
    case STATE_SYNCING:
        return f->sync_text && f->sync_text[0] ? f->sync_text : "taking over the pool's database";
    case STATE_RECONCILING:
        return "bringing the network to what the pool wants";
    case STATE_PROVING:
        return "proving every leg at full size, both ways";
    case STATE_READY:
        return "all is as wanted";
    case STATE_LIMITED:
        return f->limit_text;
    case STATE_EMERGENCY:
        return f->trouble;
    case N_STATES:
        break;
    }
    return "";
}

bool states_update(struct sm *sm, const struct state_facts *f, uint64_t now_ms) {
    bool changed = false;
    for (unsigned i = 0; i < N_STATES; i++) {
        enum host_state to = next(sm, f);
        if (to == sm->state)
            break;
        sm_move(sm, to, now_ms, "%s", reason(to, f));
        changed = true;
    }
    /* A limit is told in other words when more is known of it (the switch has told its name), or is another one now. */
    if (sm->state == STATE_LIMITED && f->size_limited && !str_eq(sm->reason, f->limit_text)) {
        sm_reword(sm, f->limit_text);
        changed = true;
    }
    return changed;
}
