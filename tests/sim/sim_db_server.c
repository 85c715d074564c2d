/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db/db_server.h over a simulated server: the same operations with the same outcomes, each taking the time that tools
 * and the cluster take. An operation ends with the daemon that began it; what it had done by then stays.
 */
#include "db/db_server.h"

#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "sim_raft.h"

#define TOOL_MS 40 /* a tool of the database, or the start of its process */
#define POLL_MS 100
#define JOIN_S 30
#define KICK_S 10
#define UNDO_MS 5000

enum operation {
    OP_DONE,
    OP_SET_ASIDE,
    OP_CREATE,
    OP_VOTER,
    OP_RELAY,
    OP_JOIN,
    OP_UNDO,
    OP_LEAVE,
    OP_KICK,
    OP_DISSOLVE,
    OP_CONNECT,
    OP_STOP
};

struct query {
    struct query *next;
    struct db_server *s;
    struct loop_source *timer;
    db_server_status_fn *fn;
    db_server_servers_fn *servers_fn;
    db_server_version_fn *version_fn;
    void *userdata;
};

struct db_server {
    struct server *server;
    struct loop *loop;
    char *socket, *cert, *ca;
    bool busy;
    enum operation operation;
    unsigned phase;
    char *address;
    struct strv voters;
    bool check_solo;
    struct uuid solo;
    uint64_t until_ms;
    struct error *failure;
    struct loop_source *timer;
    db_server_done_fn *done;
    void *userdata;
    struct query *queries;
};

static void on_step(struct loop_source *t, void *userdata);

struct db_server *db_server_new(const struct db_server_config *c) {
    struct db_server *s = xnew0(struct db_server);
    *s = (struct db_server){.loop = c->loop,
                            .server = sim->hosts[sim_host_of_path(c->db_dir)].server,
                            .socket = strf("%s/pooldb.sock", c->run_dir),
                            .cert = xstrdup(c->cert_path),
                            .ca = xstrdup(c->ca_path)};
    s->timer = loop_add_timer(c->loop, LOOP_NEVER, on_step, s);
    return s;
}

static void query_end(struct query *q) {
    for (struct query **at = &q->s->queries; *at; at = &(*at)->next)
        if (*at == q) {
            *at = q->next;
            break;
        }
    loop_source_free(q->timer);
    free(q);
}

void db_server_free(struct db_server *s) {
    if (!s)
        return;
    while (s->queries)
        query_end(s->queries);
    loop_source_free(s->timer);
    strv_done(&s->voters);
    error_free(s->failure);
    free(s->address);
    free(s->socket);
    free(s->cert);
    free(s->ca);
    free(s);
}

const char *db_server_socket(const struct db_server *s) {
    return s->socket;
}
bool db_server_has_file(const struct db_server *s) {
    return s->server->file.exists;
}
bool db_server_is_running(const struct db_server *s) {
    return s->server->mode != SERVER_DOWN;
}
bool db_server_is_busy(const struct db_server *s) {
    return s->busy;
}

/* ---- operations ---- */
struct refusal {
    db_server_done_fn *done;
    void *userdata;
};

static void refuse(void *userdata) {
    struct refusal *r = userdata;
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, ERR_DB_SERVER_FAILED, "another operation on the database server is under way", NULL);
    r->done(e, r->userdata);
    free(r);
}

static uint64_t tool_ms(const struct db_server *s) {
    uint64_t slow = s->server->host->slow_ms;
    return TOOL_MS / 2 + loop_random(s->loop) % TOOL_MS + (slow ? loop_random(s->loop) % slow : 0);
}

static bool begin(struct db_server *s, enum operation operation, const char *address, const struct strv *voters,
                  db_server_done_fn *done, void *userdata) {
    if (s->busy) {
        struct refusal *r = xnew0(struct refusal);
        *r = (struct refusal){done, userdata};
        loop_defer(s->loop, refuse, r);
        return false;
    }
    s->busy = true;
    s->operation = operation;
    s->phase = 0;
    s->done = done;
    s->userdata = userdata;
    free(s->address);
    s->address = address ? xstrdup(address) : NULL;
    strv_done(&s->voters);
    for (size_t i = 0; voters && i < voters->n; i++)
        strv_add(&s->voters, voters->items[i]);
    loop_timer_set(s->timer, tool_ms(s));
    return true;
}

static void finish(struct db_server *s) {
    _cleanup_error_ struct error *e = TAKE(s->failure);
    s->busy = false;
    s->operation = OP_DONE;
    s->done(e, s->userdata);
}

static void fail(struct db_server *s, const char *text) {
    if (!s->failure)
        error_set(&s->failure, ERR_DB_SERVER_FAILED, text, NULL);
}

/* The next step after `ms`. */
static void go(struct db_server *s, enum operation operation, uint64_t ms) {
    s->operation = operation;
    loop_timer_set(s->timer, ms);
}

static void start(struct db_server *s, enum server_mode mode) {
    server_start(s->server, mode, &s->voters, s->cert, s->ca);
}

static void leave_step(struct db_server *s, uint64_t now) {
    struct server *v = s->server;
    if (s->phase == 0) {
        const struct strv *config = server_config(v);
        if (v->mode != SERVER_VOTER || !config || config->n < 2) {
            fail(s, v->mode != SERVER_VOTER ? "the database server does not tell the state of its cluster"
                                            : "this is the only voter of the pool database, it cannot leave");
            finish(s);
            return;
        }
        v->leaving = true;
        s->phase = 1;
    }
    if (v->mode != SERVER_VOTER) {
        fail(s, "the database server has ended");
        finish(s);
    } else if (v->removed) {
        server_stop(v);
        file_remove(v);
        finish(s);
    } else if (now >= s->until_ms) {
        fail(s, "the cluster of the pool database did not get there in time");
        finish(s);
    } else {
        loop_timer_set(s->timer, POLL_MS);
    }
}

static void kick_step(struct db_server *s, uint64_t now) {
    struct server *v = s->server;
    const struct strv *config = v->mode == SERVER_VOTER ? server_config(v) : NULL;
    if (config && !strv_has(config, s->address) && v->leader && v->file.commit == v->file.n) {
        finish(s);
    } else if (now >= s->until_ms) {
        fail(s, "the server is still a voter of the pool database");
        finish(s);
    } else {
        (void)!(config && server_ask_remove(v, s->address));
        loop_timer_set(s->timer, 2 * POLL_MS);
    }
}

static void join_step(struct db_server *s, uint64_t now) {
    struct server *v = s->server;
    if (s->phase == 0) {
        server_stop(v);
        file_make_join(v, s->address, &s->voters);
        start(s, SERVER_VOTER);
        s->until_ms = now + JOIN_S * 1000;
        s->phase = 1;
    }
    if (server_is_connected(v) && v->file.commit == v->file.n) {
        finish(s);
    } else if (now >= s->until_ms || v->mode != SERVER_VOTER) {
        fail(s, "the cluster of the pool database did not get there in time");
        if (v->mode == SERVER_DOWN)
            start(s, SERVER_VOTER);
        v->leaving = true;
        s->until_ms = now + UNDO_MS;
        go(s, OP_UNDO, POLL_MS);
    } else {
        loop_timer_set(s->timer, POLL_MS);
    }
}

static void dissolve_step(struct db_server *s, uint64_t now) {
    struct server *v = s->server;
    server_stop(v);
    if (!v->file.exists || !file_dissolve(v, s->address, s->check_solo ? &s->solo : NULL))
        fail(s, v->file.exists ? "this host is not the one that may go on alone" : "there is no file");
    if (v->file.exists)
        start(s, SERVER_VOTER);
    s->until_ms = now + JOIN_S * 1000;
    if (s->failure)
        finish(s);
    else
        go(s, OP_CONNECT, POLL_MS);
}

static void on_step(struct loop_source *t, void *userdata) {
    struct db_server *s = userdata;
    struct server *v = s->server;
    uint64_t now = loop_now_ms(s->loop);
    switch (s->operation) {
    case OP_CREATE:
        if (!v->file.exists)
            file_create(v, s->address);
        finish(s);
        return;
    case OP_VOTER:
        if (!v->file.exists)
            fail(s, "there is no file");
        else if (v->mode != SERVER_VOTER)
            start(s, SERVER_VOTER);
        finish(s);
        return;
    case OP_RELAY:
        start(s, SERVER_RELAY);
        finish(s);
        return;
    case OP_STOP:
        server_stop(v);
        finish(s);
        return;
    case OP_SET_ASIDE:
        server_stop(v);
        file_remove(v);
        finish(s);
        return;
    case OP_JOIN:
        join_step(s, now);
        return;
    case OP_UNDO:
        if (!v->removed && v->mode == SERVER_VOTER && v->file.cluster && now < s->until_ms) {
            loop_timer_set(s->timer, POLL_MS);
            return;
        }
        server_stop(v);
        file_remove(v);
        finish(s);
        return;
    case OP_LEAVE:
        leave_step(s, now);
        return;
    case OP_KICK:
        kick_step(s, now);
        return;
    case OP_DISSOLVE:
        dissolve_step(s, now);
        return;
    case OP_CONNECT:
        if (!server_is_connected(v) && now < s->until_ms) {
            loop_timer_set(s->timer, POLL_MS);
            return;
        }
        finish(s);
        return;
    case OP_DONE:
        return;
    }
}

void db_server_create(struct db_server *s, const char *address, db_server_done_fn *done, void *userdata) {
    begin(s, OP_CREATE, address, NULL, done, userdata);
}
void db_server_start_voter(struct db_server *s, db_server_done_fn *done, void *userdata) {
    begin(s, OP_VOTER, NULL, NULL, done, userdata);
}
void db_server_start_relay(struct db_server *s, const struct strv *voters, db_server_done_fn *done, void *userdata) {
    begin(s, OP_RELAY, NULL, voters, done, userdata);
}
void db_server_join(struct db_server *s, const char *address, const struct strv *voters, db_server_done_fn *done,
                    void *userdata) {
    begin(s, OP_JOIN, address, voters, done, userdata);
}
void db_server_leave(struct db_server *s, unsigned timeout_s, db_server_done_fn *done, void *userdata) {
    if (begin(s, OP_LEAVE, NULL, NULL, done, userdata))
        s->until_ms = loop_now_ms(s->loop) + timeout_s * UINT64_C(1000);
}
void db_server_stop(struct db_server *s, db_server_done_fn *done, void *userdata) {
    begin(s, OP_STOP, NULL, NULL, done, userdata);
}
void db_server_kick(struct db_server *s, const char *address, db_server_done_fn *done, void *userdata) {
    if (begin(s, OP_KICK, address, NULL, done, userdata))
        s->until_ms = loop_now_ms(s->loop) + KICK_S * 1000;
}
void db_server_dissolve(struct db_server *s, const char *address, const struct uuid *solo, db_server_done_fn *done,
                        void *userdata) {
    if (!begin(s, OP_DISSOLVE, address, NULL, done, userdata))
        return;
    s->check_solo = solo != NULL;
    if (solo)
        s->solo = *solo;
}
void db_server_change_address(struct db_server *s, const char *old_address, const char *address,
                              const struct strv *other_voters, db_server_done_fn *done, void *userdata) {
    abort(); /* addresses stay in these stories */
}
void db_server_convert(struct db_server *s, db_server_done_fn *done, void *userdata) {
    abort(); /* every host has the same version */
}
void db_server_set_aside(struct db_server *s, const char *why, db_server_done_fn *done, void *userdata) {
    begin(s, OP_SET_ASIDE, NULL, NULL, done, userdata);
}

void db_server_reload(struct db_server *s, bool cut) {
    if (s->server->mode == SERVER_DOWN)
        return;
    server_reload(s->server, s->cert, s->ca);
    if (cut)
        raft_cut_clients(s->server);
}

/* ---- questions ---- */
static void status_of(const struct db_server *s, struct db_server_status *ret) {
    const struct server *v = s->server;
    const struct strv *config = server_config(v);
    *ret = (struct db_server_status){.term = v->file.term};
    (void)snprintf(ret->role, sizeof(ret->role), "%s", v->leads ? "leader" : v->leader ? "follower" : "candidate");
    (void)snprintf(ret->cluster, sizeof(ret->cluster), "%llu", (unsigned long long)v->file.cluster);
    ret->is_member = server_is_member(v);
    ret->has_leader = server_is_connected(v);
    for (size_t i = 0; config && i < config->n && i < DB_SERVER_PEERS_MAX; i++) {
        struct db_server_peer *p = &ret->peers[ret->n_peers++];
        (void)str_copy(p->address, sizeof(p->address), config->items[i]);
        p->self = str_eq(config->items[i], v->file.address);
    }
}

static void on_query(struct loop_source *t, void *userdata) {
    struct query *q = userdata, copy = *q;
    const struct server *v = q->s->server;
    struct db_server_status status;
    bool known = v->mode == SERVER_VOTER && v->file.cluster;
    if (known)
        status_of(q->s, &status);
    query_end(q);
    if (copy.version_fn) {
        bool has = v->mode == SERVER_RELAY ? v->upstream_cluster != 0 : known && server_is_member(v);
        copy.version_fn(has ? model_schema_version : NULL, copy.userdata);
    } else if (copy.fn) {
        copy.fn(known ? &status : NULL, copy.userdata);
    } else {
        _cleanup_strv_ struct strv addresses = {0};
        for (size_t i = 0; known && i < status.n_peers; i++)
            strv_add(&addresses, status.peers[i].address);
        copy.servers_fn(&addresses, known && status.has_leader, copy.userdata);
    }
}

static void ask(struct db_server *s, struct query what, uint64_t ms) {
    struct query *q = xnew0(struct query);
    *q = what;
    q->s = s;
    q->next = s->queries;
    q->timer = loop_add_timer(s->loop, ms, on_query, q);
    s->queries = q;
}

void db_server_get_status(struct db_server *s, db_server_status_fn *fn, void *userdata) {
    ask(s, (struct query){.fn = fn, .userdata = userdata}, 2);
}
void db_server_servers(struct db_server *s, db_server_servers_fn *fn, void *userdata) {
    ask(s, (struct query){.servers_fn = fn, .userdata = userdata}, 2);
}
void db_server_get_schema_version(struct db_server *s, db_server_version_fn *fn, void *userdata) {
    ask(s, (struct query){.version_fn = fn, .userdata = userdata}, tool_ms(s));
}

enum db_schema db_schema_compare(const char *version) {
    return str_eq(version, model_schema_version) ? DB_SCHEMA_SAME : DB_SCHEMA_FOREIGN;
}
