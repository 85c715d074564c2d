/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_pools_core.h"

#include "base/str.h"

static enum pools_leave_step copying(const struct pools_leave_facts *f) {
    /* It has given the move up, or has been told to; or the VM of this name there is one of its own. */
    if (f->peer == POOLS_PEER_NONE || f->peer == POOLS_PEER_TAKEN)
        return POOLS_LEAVE_KEEP;
    if (f->has_failed || !f->is_at_work || f->peer == POOLS_PEER_LOST)
        return f->gave_up_telling ? POOLS_LEAVE_KEEP : POOLS_LEAVE_TELL_FORGET;
    if (!f->is_copied)
        return POOLS_LEAVE_WAIT;
    return f->peer == POOLS_PEER_READY ? POOLS_LEAVE_GIVE : POOLS_LEAVE_ASK_READY;
}

enum pools_leave_step pools_leave_step(const struct pools_leave_facts *f) {
    switch (f->phase) {
    case POOLS_NONE:
        return POOLS_LEAVE_WAIT;
    case POOLS_COPYING:
        return copying(f);
    case POOLS_GIVEN:
        return f->peer == POOLS_PEER_TAKEN  ? POOLS_LEAVE_REMOVE
               : f->peer == POOLS_PEER_LOST ? POOLS_LEAVE_KEEP
               : f->peer == POOLS_PEER_NONE ? POOLS_LEAVE_STUCK
                                            : POOLS_LEAVE_TELL_TAKE;
    }
    return POOLS_LEAVE_WAIT;
}

enum pools_arrival pools_arrive(enum pools_arrival is, enum pools_word word) {
    switch (is) {
    case POOLS_ARRIVING: /* told to take it without a promise: nobody who keeps the rules says that */
        return word == POOLS_ASKED_READY                                  ? POOLS_READY
               : word == POOLS_TOLD_FORGET || word == POOLS_HEARD_NOTHING ? POOLS_ABSENT
                                                                          : POOLS_ARRIVING;
    case POOLS_READY:
        return word == POOLS_TOLD_TAKE     ? POOLS_OWN
               : word == POOLS_TOLD_FORGET ? POOLS_ABSENT
               : word == POOLS_FOUND_LOST  ? POOLS_LOST
                                           : POOLS_READY;
    case POOLS_LOST:
        return word == POOLS_TOLD_FORGET ? POOLS_ABSENT : POOLS_LOST;
    case POOLS_ABSENT:
    case POOLS_OWN: /* an old word that comes late takes nothing away */
        return is;
    }
    return is;
}

bool pools_arrival_is_over(uint64_t quiet_ms, uint64_t still_ms) {
    return quiet_ms > POOLS_QUIET_MS || still_ms > POOLS_STILL_MS;
}

enum pools_peer pools_answer(enum pools_arrival is) {
    switch (is) {
    case POOLS_ABSENT:
        return POOLS_PEER_NONE;
    case POOLS_ARRIVING:
        return POOLS_PEER_ARRIVING;
    case POOLS_READY:
        return POOLS_PEER_READY;
    case POOLS_LOST:
        return POOLS_PEER_LOST;
    case POOLS_OWN:
        return POOLS_PEER_TAKEN;
    }
    return POOLS_PEER_UNKNOWN;
}

static const char *const texts[] = {
    [POOLS_PEER_UNKNOWN] = "",    [POOLS_PEER_NONE] = "none",   [POOLS_PEER_ARRIVING] = "arriving",
    [POOLS_PEER_READY] = "ready", [POOLS_PEER_TAKEN] = "taken", [POOLS_PEER_LOST] = "lost"};

const char *pools_peer_text(enum pools_peer peer) {
    return texts[peer];
}

enum pools_peer pools_peer_of(const char *text) {
    for (int i = POOLS_PEER_NONE; i <= POOLS_PEER_LOST; i++)
        if (str_eq(texts[i], text))
            return (enum pools_peer)i;
    return POOLS_PEER_UNKNOWN;
}
