/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/liveness_core.h"

bool liveness_beat(struct liveness *l, uint64_t now_ms) {
    bool changed = !l->alive;
    l->known = l->alive = true;
    l->silent_ms = 0;
    l->last_look_ms = now_ms;
    l->last_beat_ms = now_ms;
    return changed;
}

bool liveness_goodbye(struct liveness *l) {
    bool changed = l->alive;
    l->alive = false;
    return changed;
}

bool liveness_look(struct liveness *l, uint64_t now_ms) {
    uint64_t gap = l->last_look_ms && now_ms > l->last_look_ms ? now_ms - l->last_look_ms : 0;
    l->last_look_ms = now_ms;
    if (!l->alive)
        return false;
    /* A long gap is our own stall: count it as one look. */
    l->silent_ms += MIN(gap, (uint64_t)(2 * LIVENESS_LOOK_MS));
    if (l->silent_ms < LIVENESS_DEAD_MS)
        return false;
    l->alive = false;
    return true;
}

void liveness_start(struct liveness *l, bool assume_alive, uint64_t now_ms) {
    *l = (struct liveness){.known = assume_alive, .alive = assume_alive, .last_look_ms = now_ms};
}
