/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network change as a state machine: what may follow what, and what has to be done next. Pure: it is told what
 * happened and what time it is, and answers with the next action; the agent performs it. Times are monotonic
 * milliseconds.
 *
 * Promise: once armed, it ends in COMMITTED only through proof (and, where asked for, the word of the pool and of a
 * person) before the deadline; in every other case it ends in a return to what was. A crash ends it too: what to return
 * to lies on disk from before the first step until after the last one (net_store.h).
 */
#pragma once

#include "base/sm.h"

enum net_checkpoint_state {
    NET_CHECKPOINT_IDLE,
    NET_CHECKPOINT_APPLYING,   /* the way back is on disk; steps run */
    NET_CHECKPOINT_PROVING,    /* steps done; the paths are tried */
    NET_CHECKPOINT_CONFIRMING, /* the pool is asked */
    NET_CHECKPOINT_COMMITTING, /* proven; becomes last known good */
    NET_CHECKPOINT_RETURNING,  /* the way back */
    NET_CHECKPOINT_HOLDING,    /* a person is asked on top */
    NET_CHECKPOINT_STUCK,      /* the way back failed too; tried again until it works */
};

enum net_checkpoint_action {
    NET_ACTION_NONE,
    NET_ACTION_APPLY,
    NET_ACTION_PROVE,
    NET_ACTION_CONFIRM,
    NET_ACTION_HOLD, /* a person has to say so, too */
    NET_ACTION_COMMIT,
    NET_ACTION_RETURN,
    NET_ACTION_DONE,     /* committed */
    NET_ACTION_RETURNED, /* what was is back */
    NET_ACTION_RETRY,    /* the way back failed: try again after a while */
};

struct net_checkpoint {
    struct sm sm;
    uint64_t deadline_ms; /* 0 while idle */
    bool needs_pool;
    bool needs_person; /* may be set after arming */
    bool expired;      /* the deadline passed during a step that cannot be interrupted: return as soon as it ends */
    char *why;         /* owned: the sentence of the failure that made it return; NULL */
};

void net_checkpoint_init(struct net_checkpoint *c, uint64_t now_ms);
void net_checkpoint_done(struct net_checkpoint *c);

/* Only from IDLE. Always answers NET_ACTION_APPLY. */
enum net_checkpoint_action net_checkpoint_arm(struct net_checkpoint *c, uint64_t now_ms, uint64_t timeout_ms,
                                              bool needs_pool);
/* Straight to the way back: a change that a crash left behind. Only from IDLE. Answers NET_ACTION_RETURN. */
enum net_checkpoint_action net_checkpoint_resume(struct net_checkpoint *c, uint64_t now_ms, const char *why);
/*
 * The action last asked for ended; `problem` NULL when it succeeded. An answer of a kind that the present state does
 * not wait for (a proof that comes after the deadline) is ignored: NET_ACTION_NONE.
 */
enum net_checkpoint_action net_checkpoint_result(struct net_checkpoint *c, uint64_t now_ms,
                                                 enum net_checkpoint_action action, const char *problem);
/* Time passed. */
enum net_checkpoint_action net_checkpoint_tick(struct net_checkpoint *c, uint64_t now_ms);
