/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb/ovsdb_conn.h over a simulated server on the same host: its clients, their monitors and transactions. */
#include "ovsdb/ovsdb_conn.h"

#include <string.h>

#include "db/db_internal.h"
#include "ovsdb/ovsdb_value.h"
#include "sim_server.h"
#include "sim_store.h"

#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 1000
#define LOCAL_US 300
#define SERVER_ROW "5e1ec7ed-0000-4000-8000-000000000001"

struct call {
    struct call *next;
    uint64_t id;
    ovsdb_reply_fn *fn;
    void *userdata;
    struct loop_source *timer;
    struct ovsdb_conn *conn;
    char *method;
};

struct ovsdb_conn {
    struct loop *loop;
    char *path;
    struct server *server;
    uint64_t id;
    ovsdb_state_fn *state;
    ovsdb_notify_fn *notify;
    void *userdata;
    bool connected;
    uint64_t backoff_ms;
    struct loop_source *retry_timer;
    struct inbox *inbox;
    struct call *calls;
    struct client *client; /* at the server; NULL: not connected there */
};

struct client {
    struct client *next;
    struct ovsdb_conn *conn;
    bool data, state; /* has monitors */
};

static void on_retry(struct loop_source *s, void *userdata);

struct ovsdb_conn *ovsdb_conn_new(struct loop *l, const char *path, ovsdb_state_fn *state, ovsdb_notify_fn *notify,
                                  void *userdata) {
    struct ovsdb_conn *c = xnew0(struct ovsdb_conn);
    *c = (struct ovsdb_conn){.loop = l,
                             .path = xstrdup(path),
                             .server = sim->hosts[sim_host_of_path(path)].server,
                             .state = state,
                             .notify = notify,
                             .userdata = userdata};
    c->inbox = inbox_new(l, c);
    c->retry_timer = loop_add_timer(l, 0, on_retry, c);
    return c;
}

static void client_drop(struct ovsdb_conn *c) {
    for (struct client **at = &c->server->clients; c->client && *at; at = &(*at)->next)
        if (*at == c->client) {
            *at = c->client->next;
            break;
        }
    free(TAKE(c->client));
}

static void call_free(struct call *k) {
    loop_source_free(k->timer);
    free(k->method);
    free(k);
}

static struct call *call_take(struct ovsdb_conn *c, uint64_t id) {
    for (struct call **at = &c->calls; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct call *k = *at;
            *at = k->next;
            return k;
        }
    return NULL;
}

void ovsdb_conn_free(struct ovsdb_conn *c) {
    if (!c)
        return;
    client_drop(c);
    while (c->calls)
        call_free(call_take(c, c->calls->id));
    inbox_free(c->inbox);
    loop_source_free(c->retry_timer);
    free(c->path);
    free(c);
}

bool ovsdb_conn_is_connected(const struct ovsdb_conn *c) {
    return c->connected;
}

const char *ovsdb_conn_path(const struct ovsdb_conn *c) {
    return c->path;
}

static void call_fail(struct ovsdb_conn *c, uint64_t id, const char *code, const char *text) {
    struct call *k = call_take(c, id);
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, code, c->path, text, NULL);
    if (k && k->fn)
        k->fn(NULL, e, k->userdata);
    if (k)
        call_free(k);
}

static void conn_lost(struct ovsdb_conn *c, const char *why) {
    if (!c->connected)
        return;
    c->connected = false;
    client_drop(c);
    c->backoff_ms = MIN(MAX(c->backoff_ms * 2, (uint64_t)RETRY_MIN_MS), (uint64_t)RETRY_MAX_MS);
    loop_timer_set(c->retry_timer, c->backoff_ms + loop_random(c->loop) % (c->backoff_ms / 2 + 1));
    while (c->calls)
        call_fail(c, c->calls->id, OVSDB_DISCONNECTED, why);
    c->state(c, false, why, c->userdata);
}

static void on_retry(struct loop_source *s, void *userdata) {
    struct ovsdb_conn *c = userdata;
    if (c->connected)
        return;
    if (c->server->mode == SERVER_DOWN) {
        c->backoff_ms = MIN(MAX(c->backoff_ms * 2, (uint64_t)RETRY_MIN_MS), (uint64_t)RETRY_MAX_MS);
        loop_timer_set(c->retry_timer, c->backoff_ms);
        return;
    }
    c->client = xnew0(struct client);
    *c->client = (struct client){.next = c->server->clients, .conn = c};
    c->server->clients = c->client;
    c->id = ++sim->next_id;
    c->connected = true;
    c->state(c, true, NULL, c->userdata);
}

void ovsdb_conn_reset(struct ovsdb_conn *c, const char *reason) {
    conn_lost(c, reason);
}

/* ---- what the server tells ---- */
struct told {
    uint64_t conn, call; /* call 0: a notification */
    char *method;
    json_t *body;
    bool failed, lost;
};

static void told_free(void *data) {
    struct told *t = data;
    free(t->method);
    json_decref(t->body);
    free(t);
}

static void on_told(void *data, void *owner) {
    struct told *t = data;
    struct ovsdb_conn *c = owner;
    if (t->conn != c->id || !c->connected) {
        told_free(t);
        return;
    }
    if (t->lost) {
        conn_lost(c, "the server closed the connection");
    } else if (!t->call) {
        if (c->notify)
            c->notify(c, t->method, t->body, c->userdata);
    } else if (t->failed) {
        call_fail(c, t->call, OVSDB_ERROR, "unknown database");
    } else {
        struct call *k = call_take(c, t->call);
        c->backoff_ms = 0;
        if (k && k->fn)
            k->fn(t->body, NULL, k->userdata);
        if (k)
            call_free(k);
    }
    told_free(t);
}

static void tell(struct ovsdb_conn *c, struct told t) {
    struct told *copy = xnew0(struct told);
    *copy = t;
    copy->conn = c->id;
    uint64_t slow = c->server->host->slow_ms;
    inbox_push(c->inbox, LOCAL_US + (slow ? sim_luck(slow * 1000) : 0), on_told, copy, told_free);
}

void clients_state(struct server *s, const json_t *updates) {
    for (struct client *k = s->clients; k; k = k->next)
        if (k->data)
            tell(k->conn, (struct told){.method = xstrdup("update3"),
                                        .body = json_pack("[s,s,O]", "monitor:" DB_NAME, "", updates)});
}

static json_t *state_columns(const struct server *s) {
    json_t *columns = json_pack("{s:s}", "name", DB_NAME);
    if (server_is_connected(s))
        json_object_set_new(columns, "connected", json_true());
    return columns;
}

void clients_connected(struct server *s) {
    for (struct client *k = s->clients; k; k = k->next)
        if (k->state)
            tell(k->conn, (struct told){.method = xstrdup("update2"),
                                        .body = json_pack("[s,{s:{s:{s:{s:b}}}}]", "monitor:_Server", "Database",
                                                          SERVER_ROW, "modify", "connected", server_is_connected(s))});
}

void clients_reply(struct server *s, uint64_t conn, uint64_t call, json_t *result) {
    for (struct client *k = s->clients; k; k = k->next)
        if (k->conn->id == conn) {
            tell(k->conn, (struct told){.call = call, .body = result});
            return;
        }
    json_decref(result);
}

void clients_lost(struct server *s) {
    for (struct client *k = s->clients; k; k = k->next)
        tell(k->conn, (struct told){.lost = true});
}

/* ---- calls ---- */
static void on_timeout(struct loop_source *s, void *userdata) {
    struct call *k = userdata;
    call_fail(k->conn, k->id, OVSDB_TIMEOUT, k->method);
}

static bool follows_state(const json_t *params) {
    return str_eq(json_string_value(json_array_get(params, 0)), "_Server");
}

static void start_monitor(struct ovsdb_conn *c, uint64_t id, const json_t *params) {
    struct server *s = c->server;
    if (follows_state(params)) {
        c->client->state = true;
        s->told_connected = server_is_connected(s);
        tell(c, (struct told){.call = id,
                              .body = json_pack("{s:{s:{s:o}}}", "Database", SERVER_ROW, "initial", state_columns(s))});
        return;
    }
    /* A server that is joining has no such database yet; neither has a relay that never reached a voter. */
    bool known = s->mode == SERVER_RELAY ? s->upstream_cluster != 0 : s->file.cluster && server_is_member(s);
    if (!known && !s->removed) {
        tell(c, (struct told){.call = id, .failed = true});
        return;
    }
    c->client->data = true;
    tell(c, (struct told){.call = id, .body = json_pack("[b,s,o]", 0, "", store_snapshot(s->state))});
}

uint64_t ovsdb_conn_call(struct ovsdb_conn *c, const char *method, json_t *params, uint64_t timeout_ms,
                         ovsdb_reply_fn *fn, void *userdata) {
    struct call *k = xnew0(struct call), **last = &c->calls;
    *k = (struct call){.id = ++sim->next_id, .fn = fn, .userdata = userdata, .conn = c, .method = xstrdup(method)};
    while (*last)
        last = &(*last)->next;
    *last = k;
    uint64_t id = k->id;
    k->timer = loop_add_timer(c->loop, c->connected ? timeout_ms : 0, on_timeout, k);
    if (c->client && str_eq(method, "transact"))
        server_transact(c->server, c->id, id, params);
    else if (c->client)
        start_monitor(c, id, params);
    json_decref(params);
    return id;
}

void ovsdb_conn_cancel(struct ovsdb_conn *c, uint64_t id) {
    struct call *k = call_take(c, id);
    if (k)
        call_free(k);
}
