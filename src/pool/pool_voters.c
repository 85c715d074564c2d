/* SPDX-License-Identifier: Apache-2.0 */
/* Who votes in the pool database: the coordinator looks once a second and makes one change at a time. */
#include "pool/pool_private.h"
#include "pool/voters_core.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define REPLACE_AFTER_MS (5 * 60 * 1000)
#define CHANGE_DEADLINE_MS 60000
#define WRITE_DEADLINE_MS 15000
#define SETTLE_MS 3000 /* after boot or a change, before the next */
#define STRAY_MS 3000  /* a server of no host: rows may still be on their way */
#define ASK_MS 5000
#define KICK_MS 20000
#define OWN_LOOK_TICKS 5

struct change {
    struct pool *p;
    struct voter_action action;
};

static bool in_cluster(const struct pool *p, const char *address) {
    return strv_has(&p->cluster, address);
}

static void on_role_written(struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->voters_busy = false;
    if (error)
        log_warn("the new part of a host in the pool database could not be noted: %s; it will be put right",
                 error_text(error));
}

static void write_role(struct pool *p, const struct uuid *host, bool voter) {
    struct db_txn *t = db_txn_new(p->config.db, "part of a host in the pool database");
    db_txn_fence(t);
    db_txn_set(t, CLASS_host, host, FIELD_host_db_role, value_string(voter ? "voter" : "relay"));
    db_txn_set(t, CLASS_host, host, FIELD_host_db_address, value_string(voter ? pool_address_of(p, host) : ""));
    db_txn_commit(t, WRITE_DEADLINE_MS, on_role_written, p);
}

static void on_changed(const struct value *result, const struct error *error, void *userdata) {
    struct change *c = userdata;
    struct pool *p = c->p;
    const struct row *row = db_get(p->config.db, CLASS_host, &c->action.host);
    const char *name = row ? row_str(row, FIELD_host_name_label) : "?";
    if (error) {
        static struct log_limit limit;
        struct error *e = error_dup(error);
        if (log_limit_pass(&limit, 3, 60000))
            log_warn("host '%s' could not be made a %s of the pool database: %s; tried again", name,
                     c->action.kind == VOTER_PROMOTE ? "voter" : "relay", error_text(e));
        error_free(e);
        p->voters_busy = false;
    } else {
        log_notice("host '%s' is a %s of the pool database now", name,
                   c->action.kind == VOTER_PROMOTE ? "voter" : "relay");
        write_role(p, &c->action.host, c->action.kind == VOTER_PROMOTE);
    }
    free(c);
}

static void on_kicked(const struct error *error, void *userdata) {
    on_changed(NULL, error, userdata);
}

static void change(struct pool *p, const struct voter_action *a) {
    struct change *c = xnew0(struct change);
    *c = (struct change){p, *a};
    p->voters_busy = true;
    log_info("pool database: %s", a->reason);
    if (a->kind == VOTER_KICK) {
        pool_voters_kick(p, pool_address_of(p, &a->host), on_kicked, c);
        return;
    }
    struct value args = value_map(), voters = value_set();
    for (size_t i = 0; i < p->cluster.n; i++)
        value_set_add(&voters, value_string(p->cluster.items[i]));
    value_map_add(&args, "voters", voters);
    pool_channel_call(p->channel, &a->host, a->kind == VOTER_PROMOTE ? "db_promote" : "db_demote", args,
                      CHANGE_DEADLINE_MS, on_changed, c);
}

/* ---- a server that belongs to no host of the pool ---- */
static void on_stray_gone(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->voters_busy = false;
    p->stray_since_ms = 0;
    if (error) {
        struct error *e = error_dup(error);
        log_warn("a vote of no host could not be taken away: %s; tried again", error_text(e));
        error_free(e);
    }
}

static bool is_of_a_host(const struct pool *p, const char *address) {
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h))
        if (str_eq(row_str(h, FIELD_host_address), address))
            return true;
    return false;
}

const char *pool_voters_stray(const struct pool *p) {
    for (size_t i = 0; i < p->cluster.n; i++)
        if (!is_of_a_host(p, p->cluster.items[i]))
            return p->cluster.items[i];
    return NULL;
}

/*
 * It counts for the majority and answers nobody: what an eject that was cut short leaves behind, or a host that came
 * back elsewhere. True while there is one: no other vote is given or taken then.
 */
static bool end_stray(struct pool *p, uint64_t now) {
    const char *stray = pool_voters_stray(p);
    if (!stray)
        p->stray_since_ms = 0;
    else if (!p->stray_since_ms)
        p->stray_since_ms = now;
    if (!stray || now - p->stray_since_ms < STRAY_MS)
        return stray != NULL;
    log_notice("the database server at %s belongs to no host of the pool; its vote is taken away", stray);
    p->voters_busy = true;
    pool_voters_kick(p, stray, on_stray_gone, p);
    return true;
}

unsigned pool_voters_view(struct pool *p, struct voter_host ret[static VOTERS_VIEW_MAX]) {
    unsigned n = 0;
    uint64_t now = loop_now_ms(p->config.loop);
    for (const struct row *h = db_first(p->config.db, CLASS_host); h && n < IDENTITY_MAX_HOSTS;
         h = db_next(p->config.db, h), n++) {
        bool live = pool_host_is_live(p, &h->uuid), voter = in_cluster(p, row_str(h, FIELD_host_address));
        const char *state = row_str(h, FIELD_host_membership_state);
        if (live)
            p->dead_since_ms[n] = 0;
        else if (!p->dead_since_ms[n])
            p->dead_since_ms[n] = now;
        ret[n] = (struct voter_host){.host = h->uuid,
                                     .role = voter ? VOTER_VOTER : VOTER_RELAY,
                                     .live = live,
                                     .leaving = str_eq(state, "leaving") || pool_address_is_moving(p, h) ||
                                                pool_is_going(p, &h->uuid),
                                     .ready = str_starts(state, "ready"),
                                     .dead_for_ms = live ? 0 : now - p->dead_since_ms[n],
                                     .coordinator = uuid_eq(&h->uuid, &p->identity.host)};
    }
    for (size_t i = 0; i < p->cluster.n && n < VOTERS_VIEW_MAX; i++)
        if (!is_of_a_host(p, p->cluster.items[i]))
            ret[n++] = (struct voter_host){.role = VOTER_VOTER};
    return n;
}

static void decide(struct pool *p) {
    struct voter_host hosts[VOTERS_VIEW_MAX];
    unsigned n = pool_voters_view(p, hosts);
    for (unsigned i = 0; i < n && !uuid_is_null(&hosts[i].host); i++) {
        /* What the cluster says is so; the row only tells the others where to look. */
        const struct row *h = db_get(p->config.db, CLASS_host, &hosts[i].host);
        bool voter = hosts[i].role == VOTER_VOTER;
        if (!p->voters_busy && voter != str_eq(row_str(h, FIELD_host_db_role), "voter")) {
            p->voters_busy = true;
            write_role(p, &h->uuid, voter);
        }
    }
    if (p->voters_busy || end_stray(p, loop_now_ms(p->config.loop)) || !pool_solo_settle(p))
        return;
    struct voter_action a = voters_next(hosts, n, REPLACE_AFTER_MS);
    if (a.kind != VOTER_NOTHING)
        change(p, &a);
}

/* ---- who votes now ---- */
struct ask {
    struct pool *p;
    pool_cluster_fn *fn;
    void *userdata;
    unsigned next; /* position in the identity */
};

static void ask_next(struct ask *a);

static void ask_end(struct ask *a, const struct strv *addresses) {
    a->fn(a->p, addresses, a->userdata);
    free(a);
}

static void on_own_answer(const struct strv *addresses, bool has_quorum, void *userdata) {
    struct strv none = {0};
    ask_end(userdata, has_quorum ? addresses : &none);
}

static void on_answer(const struct value *result, const struct error *error, void *userdata) {
    struct ask *a = userdata;
    if (error || result->type != VALUE_SET || !result->set.n) {
        ask_next(a);
        return;
    }
    _cleanup_strv_ struct strv addresses = {0};
    for (size_t i = 0; i < result->set.n; i++)
        strv_add(&addresses, value_str(&result->set.items[i]));
    ask_end(a, &addresses);
}

static bool can_be_asked(const struct pool *p, unsigned i) {
    const struct identity_host *h = &p->identity.hosts[i];
    return h->voter && !uuid_eq(&h->host, &p->identity.host) && pool_channel_is_connected(p->channel, &h->host);
}

static void ask_next(struct ask *a) {
    struct pool *p = a->p;
    while (a->next < p->identity.n_hosts) {
        unsigned i = a->next++;
        if (can_be_asked(p, i)) {
            pool_channel_call(p->channel, &p->identity.hosts[i].host, "db_servers", value_map(), ASK_MS, on_answer, a);
            return;
        }
    }
    struct strv none = {0};
    ask_end(a, &none);
}

void pool_voters_ask(struct pool *p, pool_cluster_fn *fn, void *userdata) {
    struct ask *a = xnew0(struct ask);
    *a = (struct ask){.p = p, .fn = fn, .userdata = userdata};
    if (p->identity.database == IDENTITY_DB_VOTER)
        db_server_servers(p->dbserver, on_own_answer, a);
    else
        ask_next(a);
}

void pool_voters_note(struct pool *p, const struct strv *addresses) {
    strv_done(&p->cluster);
    for (size_t i = 0; i < addresses->n; i++)
        strv_add(&p->cluster, addresses->items[i]);
}

static void on_cluster(struct pool *p, const struct strv *addresses, void *userdata) {
    p->cluster_known = addresses->n;
    if (!p->cluster_known)
        return;
    pool_voters_note(p, addresses);
    if (!p->voters_busy && !p->going_down && pool_is_coordinator(p) && states_is_ready(&p->sm) &&
        loop_now_ms(p->config.loop) - p->sm.entered_ms > SETTLE_MS / 3)
        decide(p);
}

void pool_voters_look(struct pool *p) {
    pool_voters_ask(p, on_cluster, NULL);
}

struct kick {
    db_server_done_fn *done;
    void *userdata;
};

static void on_kick_answer(const struct value *result, const struct error *error, void *userdata) {
    struct kick *k = userdata;
    k->done(error, k->userdata);
    free(k);
}

void pool_voters_kick(struct pool *p, const char *address, db_server_done_fn *done, void *userdata) {
    const struct uuid *by = &p->identity.host; /* without any other, the own server says why not */
    for (unsigned i = 0; i < p->identity.n_hosts && p->identity.database != IDENTITY_DB_VOTER; i++)
        if (can_be_asked(p, i) && !str_eq(p->identity.hosts[i].address, address)) {
            by = &p->identity.hosts[i].host;
            break;
        }
    struct kick *k = xnew0(struct kick);
    *k = (struct kick){done, userdata};
    struct value args = value_map();
    value_map_add(&args, "address", value_string(address));
    pool_channel_call(p->channel, by, "db_kick", args, KICK_MS, on_kick_answer, k);
}

/* ---- a vote that is no longer ours ---- */
static void on_stale_aside(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->identity.database = IDENTITY_DB_NONE;
    pool_save(p);
    p->voters_busy = false;
    pool_begin(p);
}

static void on_asked_about_us(const struct value *result, const struct error *error, void *userdata) {
    struct pool *p = userdata;
    _cleanup_value_ struct value own = value_string(p->facts.address);
    if (error || result->type != VALUE_SET || !result->set.n || value_set_has(result, &own) || p->voters_busy ||
        p->identity.database != IDENTITY_DB_VOTER || db_server_is_busy(p->dbserver) ||
        db_get_status(p->config.db).has_quorum)
        return;
    log_notice("this host's vote in the pool database has ended while it was away; it takes part as a relay");
    for (unsigned i = 0; i < p->identity.n_hosts; i++) {
        _cleanup_value_ struct value address = value_string(p->identity.hosts[i].address);
        p->identity.hosts[i].voter = value_set_has(result, &address);
    }
    p->voters_busy = true;
    db_server_set_aside(p->dbserver, "stale", on_stale_aside, p);
}

/*
 * A voter that reaches no majority asks the hosts that it reaches whether the cluster still counts it: a goodbye that
 * was cut short may have been heard after all. The coordinator has nobody else to learn it from.
 */
static void ask_about_us(struct pool *p) {
    for (unsigned i = 0; i < p->identity.n_hosts; i++) {
        const struct uuid *host = &p->identity.hosts[i].host;
        if (!uuid_eq(host, &p->identity.host) && pool_channel_is_connected(p->channel, host))
            pool_channel_call(p->channel, host, "db_servers", value_map(), 5000, on_asked_about_us, p);
    }
}

static void on_own_look(const struct strv *addresses, bool has_quorum, void *userdata) {}

void pool_voters_tick(struct pool *p) {
    if (p->db_started && !p->going_down && p->identity.database == IDENTITY_DB_VOTER && p->identity.n_hosts > 1 &&
        !db_get_status(p->config.db).has_quorum && !db_server_is_busy(p->dbserver))
        ask_about_us(p);
    if (p->db_started && !p->going_down)
        pool_solo_tick(p);
    if (!p->db_started || p->going_down || db_server_is_busy(p->dbserver))
        return;
    if (!db_server_is_running(p->dbserver)) {
        log_warn("the pool database server of this host has ended; it is started again");
        pool_begin(p);
        return;
    }
    /* A server that has failed is started anew by the look itself; a member looks for that alone, so less often. */
    if (pool_is_coordinator(p))
        pool_voters_look(p);
    else if (p->identity.database == IDENTITY_DB_VOTER && ++p->n_ticks % OWN_LOOK_TICKS == 0)
        db_server_servers(p->dbserver, on_own_look, NULL);
}

/* ---- what a host is asked to do ---- */
struct served {
    struct pool *p;
    struct pool_reply *reply;
    struct strv voters;
};

static void served_end(struct served *s, const struct error *error) {
    if (error)
        pool_reply_fail(s->reply, error_dup(error));
    else
        pool_reply_return(s->reply, value_bool(true));
    strv_done(&s->voters);
    free(s);
}

static void on_back_to_relay(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    if (error)
        pool_begin(p); /* its own retry */
}

static void on_joined(const struct error *error, void *userdata) {
    struct served *s = userdata;
    struct pool *p = s->p;
    if (!error) {
        p->identity.database = IDENTITY_DB_VOTER;
        pool_save(p);
        served_end(s, NULL);
        return;
    }
    struct strv voters = s->voters;
    s->voters = (struct strv){0};
    served_end(s, error);
    pool_start_relay(p, &voters, on_back_to_relay, p);
    strv_done(&voters);
}

static struct served *serve_begin(struct pool *p, const struct value *args, struct pool_reply *reply) {
    const struct value *voters = value_map_get(args, "voters");
    struct served *s = xnew0(struct served);
    *s = (struct served){.p = p, .reply = reply};
    for (size_t i = 0; voters && voters->type == VALUE_SET && i < voters->set.n; i++)
        if (!str_eq(value_str(&voters->set.items[i]), p->facts.address))
            strv_add(&s->voters, value_str(&voters->set.items[i]));
    return s;
}

static void serve_promote(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct served *s = serve_begin(p, args, reply);
    if (p->identity.database == IDENTITY_DB_VOTER || !s->voters.n || p->going_down || p->readdressing) {
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_DB_SERVER_FAILED,
                  p->going_down     ? "this host goes down"
                  : p->readdressing ? "this host's address is about to be another"
                                    : "this host has a vote already, or was not told who else has",
                  NULL);
        served_end(s, e);
        return;
    }
    db_server_join(p->dbserver, p->facts.address, &s->voters, on_joined, s);
}

static void on_left(const struct error *error, void *userdata) {
    struct served *s = userdata;
    struct pool *p = s->p;
    if (!error) {
        p->identity.database = IDENTITY_DB_NONE;
        pool_save(p);
        pool_start_relay(p, &s->voters, on_back_to_relay, p);
    }
    served_end(s, error);
}

static void serve_demote(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    db_server_leave(p->dbserver, 10, on_left, serve_begin(p, args, reply));
}

static void on_servers_for_other(const struct strv *addresses, bool has_quorum, void *userdata) {
    struct value list = value_set();
    for (size_t i = 0; has_quorum && i < addresses->n; i++)
        value_set_add(&list, value_string(addresses->items[i]));
    pool_reply_return(userdata, list);
}

static void serve_servers(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    db_server_servers(p->dbserver, on_servers_for_other, reply);
}

static void on_kicked_for_other(const struct error *error, void *userdata) {
    if (error)
        pool_reply_fail(userdata, error_dup(error));
    else
        pool_reply_return(userdata, value_bool(true));
}

static void serve_kick(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    const struct value *address = value_map_get(args, "address");
    db_server_kick(p->dbserver, address && address->type == VALUE_STRING ? value_str(address) : "", on_kicked_for_other,
                   reply);
}

void pool_voters_init(struct pool *p) {
    pool_channel_serve(p->channel, "db_promote", serve_promote, p);
    pool_channel_serve(p->channel, "db_demote", serve_demote, p);
    pool_channel_serve(p->channel, "db_servers", serve_servers, p);
    pool_channel_serve(p->channel, "db_kick", serve_kick, p);
}
