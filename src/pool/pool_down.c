/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going down on purpose. A voter takes its vote out of the pool database first, so that the others go on with a
 * majority of their own; when several go down together the coordinator says whose turn it is (voters_turn).
 */
#include "pool/pool_private.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define LEAVE_S 5
#define TURN_STEP_MS 200
#define TURN_STEPS 25
#define TURN_DEADLINE_MS 2000
#define BUSY_STEPS 25      /* of TURN_STEP_MS */
#define GATHER_MS 300      /* hosts that are told together do not speak at the same moment */
#define GOING_MAX_MS 30000 /* of one that said so and then neither went nor was lost */

/* ---- the coordinator: who goes down at this moment ---- */
bool pool_is_going(const struct pool *p, const struct uuid *host) {
    for (unsigned i = 0; i < p->n_going; i++)
        if (uuid_eq(&p->going[i].host, host))
            return loop_now_ms(p->config.loop) - p->going[i].since_ms < GOING_MAX_MS;
    return false;
}

void pool_going_forget(struct pool *p, const struct uuid *host) {
    for (unsigned i = 0; i < p->n_going; i++)
        if (uuid_eq(&p->going[i].host, host))
            p->going[i--] = p->going[--p->n_going];
}

static void note_going(struct pool *p, const struct uuid *host) {
    if (pool_is_going(p, host))
        return;
    pool_going_forget(p, host);
    if (p->n_going < ARRAY_SIZE(p->going))
        p->going[p->n_going++] = (struct pool_going){*host, loop_now_ms(p->config.loop)};
    pool_voters_look(p); /* one may vote since a moment ago, and whether all go is judged when they have gathered */
}

static enum voter_turn turn_of(struct pool *p, const struct uuid *host) {
    struct voter_host hosts[VOTERS_VIEW_MAX];
    uint64_t now = loop_now_ms(p->config.loop);
    note_going(p, host);
    for (unsigned i = 0; i < p->n_going; i++)
        if (now - p->going[i].since_ms < GATHER_MS)
            return VOTER_TURN_WAIT;
    unsigned n = pool_voters_view(p, hosts);
    return voters_turn(hosts, n, host);
}

static const char *const turns[] = {[VOTER_TURN_GO] = "go", [VOTER_TURN_WAIT] = "wait", [VOTER_TURN_KEEP] = "keep"};

static void serve_turn(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    if (pool_is_coordinator(p)) {
        pool_reply_return(reply, value_string(turns[turn_of(p, from)]));
        return;
    }
    error_set(&e, ERR_HOST_IS_SLAVE, pool_coordinator_address(p), NULL);
    pool_reply_fail(reply, e);
}

void pool_down_init(struct pool *p) {
    pool_channel_serve(p->channel, "db_turn", serve_turn, p);
}

/* ---- the host that goes down ---- */
struct shutdown {
    struct pool *p;
    struct loop_source *timer;
    unsigned n_steps; /* told to wait */
    unsigned n_busy;  /* the own server was at work */
    bool told_to_keep;
    pool_done_fn *done;
    void *userdata;
};

static void shutdown_end(struct shutdown *s, const struct error *error) {
    struct pool *p = s->p;
    if (error && p->identity.database == IDENTITY_DB_VOTER) {
        struct error *e = error_dup(error);
        log_warn("this host goes down with its vote in the pool database: %s", error_text(e));
        error_free(e);
    }
    pool_channel_goodbye(p->channel);
    loop_source_free(s->timer);
    s->done(NULL, s->userdata);
    free(s);
}

static void on_left(const struct error *error, void *userdata) {
    struct shutdown *s = userdata;
    if (!error) {
        s->p->identity.database = IDENTITY_DB_NONE;
        pool_save(s->p);
    }
    shutdown_end(s, error);
}

/* What the cluster itself says counts: others may have left a moment ago, and the last one has nobody to leave to. */
static void on_servers(const struct strv *addresses, bool has_quorum, void *userdata) {
    struct shutdown *s = userdata;
    if (has_quorum && addresses->n > 1)
        db_server_leave(s->p->dbserver, LEAVE_S, on_left, s);
    else
        shutdown_end(s, NULL);
}

static void leave(struct shutdown *s) {
    if (s->p->identity.database != IDENTITY_DB_VOTER)
        shutdown_end(s, NULL);
    else
        db_server_servers(s->p->dbserver, on_servers, s);
}

static void follow_turn(struct shutdown *s, const char *turn) {
    if (str_eq(turn, turns[VOTER_TURN_GO])) {
        leave(s);
    } else if (str_eq(turn, turns[VOTER_TURN_KEEP]) && pool_is_coordinator(s->p) && !s->told_to_keep) {
        s->told_to_keep = true; /* the others ask once more, and are to hear it */
        loop_timer_set(s->timer, TURN_STEP_MS * 3 / 2);
    } else if (str_eq(turn, turns[VOTER_TURN_KEEP])) {
        if (s->p->identity.database == IDENTITY_DB_VOTER)
            log_notice("all voters of the pool go down together: each keeps its vote");
        shutdown_end(s, NULL);
    } else if (++s->n_steps < TURN_STEPS) {
        loop_timer_set(s->timer, TURN_STEP_MS);
    } else {
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_DB_SERVER_FAILED, "other hosts go down, too, and have not been done with it in time", NULL);
        shutdown_end(s, e);
    }
}

static void on_turn(const struct value *result, const struct error *error, void *userdata) {
    struct shutdown *s = userdata;
    if (!error)
        follow_turn(s, result->type == VALUE_STRING ? value_str(result) : "");
    else if (s->n_steps)
        follow_turn(s, turns[VOTER_TURN_KEEP]); /* the coordinator went meanwhile, which is last when votes are left */
    else
        leave(s); /* nobody orders them */
}

static void ask_turn(struct loop_source *timer, void *userdata) {
    struct shutdown *s = userdata;
    struct pool *p = s->p;
    if (pool_is_coordinator(p))
        follow_turn(s, turns[turn_of(p, &p->identity.host)]);
    else
        pool_channel_call(p->channel, pool_leader(p), "db_turn", value_map(), TURN_DEADLINE_MS, on_turn, s);
}

/*
 * The last voter keeps the data: it never leaves. Where a quorum is missing nobody can. The coordinator stays until
 * those that go with it have had their turn, though it may have no vote itself.
 */
static bool can_leave(const struct pool *p) {
    _cleanup_strv_ struct strv others = pool_voter_addresses(p, /* without_self= */ true);
    return (p->identity.database == IDENTITY_DB_VOTER || pool_is_coordinator(p)) && others.n &&
           db_get_status(p->config.db).has_quorum && !db_server_is_busy(p->dbserver);
}

static void begin_turns(struct shutdown *s) {
    loop_source_free(s->timer);
    s->timer = loop_add_timer(s->p->config.loop, 0, ask_turn, s);
}

/* A vote that is being given at this moment is awaited, and given back: it would count, and nobody would cast it. */
static void begin_to_leave(struct loop_source *timer, void *userdata) {
    struct shutdown *s = userdata;
    struct pool *p = s->p;
    /* One that has just come is followed a moment later. */
    bool is_new = s->n_busy && p->identity.database == IDENTITY_DB_VOTER && !db_get_status(p->config.db).has_quorum;
    if ((db_server_is_busy(p->dbserver) || is_new) && ++s->n_busy < BUSY_STEPS)
        loop_timer_set(s->timer, TURN_STEP_MS);
    else if (can_leave(p))
        begin_turns(s);
    else
        shutdown_end(s, NULL);
}

void pool_prepare_shutdown(struct pool *p, pool_done_fn *done, void *userdata) {
    p->going_down = true;
    if (!p->channel) {
        done(NULL, userdata);
        return;
    }
    struct shutdown *s = xnew0(struct shutdown);
    *s = (struct shutdown){.p = p, .done = done, .userdata = userdata};
    s->timer = loop_add_timer(p->config.loop, 0, begin_to_leave, s);
}
