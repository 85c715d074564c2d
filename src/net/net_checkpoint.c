/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_checkpoint.h"

#include "base/buf.h"
#include "base/str.h"

#include <assert.h>

#define TO(state) (1u << NET_CHECKPOINT_##state)

static const struct sm_state states[] = {
    [NET_CHECKPOINT_IDLE] = {"idle", TO(APPLYING) | TO(RETURNING)},
    [NET_CHECKPOINT_APPLYING] = {"applying", TO(PROVING) | TO(RETURNING)},
    [NET_CHECKPOINT_PROVING] = {"proving", TO(CONFIRMING) | TO(HOLDING) | TO(COMMITTING) | TO(RETURNING)},
    [NET_CHECKPOINT_CONFIRMING] = {"confirming", TO(HOLDING) | TO(COMMITTING) | TO(RETURNING)},
    [NET_CHECKPOINT_HOLDING] = {"holding", TO(COMMITTING) | TO(RETURNING)},
    [NET_CHECKPOINT_COMMITTING] = {"committing", TO(IDLE) | TO(RETURNING)},
    [NET_CHECKPOINT_RETURNING] = {"returning", TO(IDLE) | TO(STUCK)},
    [NET_CHECKPOINT_STUCK] = {"stuck", TO(RETURNING)},
};

void net_checkpoint_init(struct net_checkpoint *c, uint64_t now_ms) {
    *c = (struct net_checkpoint){0};
    sm_init(&c->sm, "network change", states, ARRAY_SIZE(states), NET_CHECKPOINT_IDLE, now_ms);
}

void net_checkpoint_done(struct net_checkpoint *c) {
    sm_done(&c->sm);
    free(c->why);
    *c = (struct net_checkpoint){0};
}

static enum net_checkpoint_action go_back(struct net_checkpoint *c, uint64_t now_ms, const char *why) {
    if (!c->why)
        c->why = xstrdup(why);
    sm_move(&c->sm, NET_CHECKPOINT_RETURNING, now_ms, "%s", why);
    return NET_ACTION_RETURN;
}

static void start(struct net_checkpoint *c) {
    assert(c->sm.state == NET_CHECKPOINT_IDLE);
    free(c->why);
    c->why = NULL;
    c->expired = false;
    c->needs_person = false;
}

enum net_checkpoint_action net_checkpoint_arm(struct net_checkpoint *c, uint64_t now_ms, uint64_t timeout_ms,
                                              bool needs_pool) {
    start(c);
    c->deadline_ms = now_ms + timeout_ms;
    c->needs_pool = needs_pool;
    sm_move(&c->sm, NET_CHECKPOINT_APPLYING, now_ms, "a change is wanted");
    return NET_ACTION_APPLY;
}

enum net_checkpoint_action net_checkpoint_resume(struct net_checkpoint *c, uint64_t now_ms, const char *why) {
    start(c);
    return go_back(c, now_ms, why);
}

static enum net_checkpoint_action commit(struct net_checkpoint *c, uint64_t now_ms, const char *reason) {
    sm_move(&c->sm, NET_CHECKPOINT_COMMITTING, now_ms, "%s", reason);
    return NET_ACTION_COMMIT;
}

/* All that can be found out without a person is known to be well. */
static enum net_checkpoint_action hold_or_commit(struct net_checkpoint *c, uint64_t now_ms, const char *reason) {
    if (!c->needs_person)
        return commit(c, now_ms, reason);
    sm_move(&c->sm, NET_CHECKPOINT_HOLDING, now_ms, "%s", reason);
    return NET_ACTION_HOLD;
}

static enum net_checkpoint_action rest(struct net_checkpoint *c, uint64_t now_ms, const char *reason,
                                       enum net_checkpoint_action action) {
    sm_move(&c->sm, NET_CHECKPOINT_IDLE, now_ms, "%s", reason);
    c->deadline_ms = 0;
    return action;
}

enum net_checkpoint_action net_checkpoint_result(struct net_checkpoint *c, uint64_t now_ms,
                                                 enum net_checkpoint_action action, const char *problem) {
    static const char late[] = "it was not proven and confirmed in time";
    enum net_checkpoint_state s = c->sm.state;
    bool in_time = !c->expired && (!c->deadline_ms || now_ms < c->deadline_ms);
    if (action == NET_ACTION_APPLY && s == NET_CHECKPOINT_APPLYING) {
        if (problem || !in_time)
            return go_back(c, now_ms, problem ? problem : late);
        sm_move(&c->sm, NET_CHECKPOINT_PROVING, now_ms, "all steps are done");
        return NET_ACTION_PROVE;
    }
    if (action == NET_ACTION_PROVE && s == NET_CHECKPOINT_PROVING) {
        if (problem || !in_time)
            return go_back(c, now_ms, problem ? problem : late);
        if (!c->needs_pool)
            return hold_or_commit(c, now_ms, "proven; the management path was not touched");
        sm_move(&c->sm, NET_CHECKPOINT_CONFIRMING, now_ms, "proven");
        return NET_ACTION_CONFIRM;
    }
    if (action == NET_ACTION_CONFIRM && s == NET_CHECKPOINT_CONFIRMING)
        return problem || !in_time ? go_back(c, now_ms, problem ? problem : late)
                                   : hold_or_commit(c, now_ms, "the pool confirmed");
    if (action == NET_ACTION_HOLD && s == NET_CHECKPOINT_HOLDING)
        return problem || !in_time ? go_back(c, now_ms, problem ? problem : late)
                                   : commit(c, now_ms, "a person confirmed");
    if (action == NET_ACTION_COMMIT && s == NET_CHECKPOINT_COMMITTING)
        /* Not written down is not done: after a restart the host would be somewhere else than now. */
        return problem ? go_back(c, now_ms, problem) : rest(c, now_ms, "committed", NET_ACTION_DONE);
    if (action == NET_ACTION_RETURN && s == NET_CHECKPOINT_RETURNING) {
        if (!problem)
            return rest(c, now_ms, "returned", NET_ACTION_RETURNED);
        sm_move(&c->sm, NET_CHECKPOINT_STUCK, now_ms, "%s", problem);
        return NET_ACTION_RETRY;
    }
    return NET_ACTION_NONE;
}

enum net_checkpoint_action net_checkpoint_tick(struct net_checkpoint *c, uint64_t now_ms) {
    if (c->sm.state == NET_CHECKPOINT_STUCK) {
        sm_move(&c->sm, NET_CHECKPOINT_RETURNING, now_ms, "again");
        return NET_ACTION_RETURN;
    }
    if (!c->deadline_ms || now_ms < c->deadline_ms)
        return NET_ACTION_NONE;
    switch ((enum net_checkpoint_state)c->sm.state) {
    case NET_CHECKPOINT_APPLYING:
        c->expired = true; /* a step runs; its end brings us back */
        return NET_ACTION_NONE;
    case NET_CHECKPOINT_PROVING:
        return go_back(c, now_ms, "its paths could not be proven in time");
    case NET_CHECKPOINT_CONFIRMING:
        return go_back(c, now_ms, "the pool did not confirm it in time");
    case NET_CHECKPOINT_HOLDING:
        return go_back(c, now_ms, "nobody confirmed it in time");
    default:
        return NET_ACTION_NONE;
    }
}
