/* SPDX-License-Identifier: Apache-2.0 */
/* What a server tells about its cluster (cluster/status), and what needs to know it: kick, and refusing to leave. */
#include <stdio.h>

#include "base/str.h"
#include "db/db_internal.h"
#include "db/db_server_private.h"

#define KICK_POLL_MS 200
#define LEAVE_POLL_MS 50
#define LEAVE_SETTLE_MS 5000

/* The rest of the line behind `key` at the start of a line, into `ret`. False when there is none, or it is too long. */
static bool line_of(const char *text, const char *key, char *ret, size_t size) {
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (!str_starts(line, key))
            continue;
        const char *value = line + strlen(key);
        size_t n = strcspn(value, "\n");
        if (n >= size)
            return false;
        memcpy(ret, value, n);
        ret[n] = '\0';
        return true;
    }
    return false;
}

/* "ssl:10.0.0.1:6643" or "tcp:[fd00::1]:6643" without transport and port. */
static bool bare_address(const char *text, char *ret, size_t size) {
    const char *start = strchr(text, ':'), *end = strrchr(text, ':');
    if (!start || end == start)
        return false;
    start++;
    if (*start == '[' && end[-1] == ']')
        start++, end--;
    size_t n = (size_t)(end - start);
    if (end <= start || n >= size)
        return false;
    memcpy(ret, start, n);
    ret[n] = '\0';
    return true;
}

/* "    1a2b (1a2b at ssl:10.0.0.1:6643) (self) last msg 12 ms ago" */
static bool parse_peer(const char *line, struct db_server_peer *ret) {
    char sid[8], at[96];
    if (sscanf(line, " %7[0-9a-f] (%*[0-9a-f] at %95[^)\n])", sid, at) != 2)
        return false;
    *ret = (struct db_server_peer){0};
    if (!bare_address(at, ret->address, sizeof(ret->address)))
        return false;
    (void)str_copy(ret->sid, sizeof(ret->sid), sid);
    const char *self = strstr(line, "(self)"), *end = strchr(line, '\n');
    ret->self = self && (!end || self < end);
    return true;
}

bool db_server_parse_status(const char *text, struct db_server_status *ret) {
    struct db_server_status st = {0};
    char status[64], term[32], leader[32], cluster[80];
    int64_t number;
    if (!line_of(text, "Status: ", status, sizeof(status)) || !line_of(text, "Role: ", st.role, sizeof(st.role)) ||
        !line_of(text, "Term: ", term, sizeof(term)) || !str_parse_int(term, 0, INT64_MAX, &number) ||
        !line_of(text, "Leader: ", leader, sizeof(leader)))
        return false;
    st.term = (uint64_t)number;
    st.is_member = str_eq(status, "cluster member");
    st.has_failed = str_eq(status, "failed");
    st.has_leader = !str_starts(leader, "unknown");
    if (line_of(text, "Cluster ID: ", cluster, sizeof(cluster)) && strchr(cluster, '(')) {
        char *id = strchr(cluster, '(') + 1;
        id[strcspn(id, ")")] = '\0';
        (void)str_copy(st.cluster, sizeof(st.cluster), id);
    }
    st.is_changing = strstr(text, "\nAdding server ") || strstr(text, "\nRemoving server ");
    if (line_of(text, "Entries not yet committed: ", term, sizeof(term)) && str_parse_int(term, 0, INT64_MAX, &number))
        st.uncommitted = (uint64_t)number;
    const char *line = strstr(text, "\nServers:\n");
    if (!line)
        return false;
    for (line += strlen("\nServers:\n"); *line == ' '; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "") {
        if (st.n_peers < DB_SERVER_PEERS_MAX && parse_peer(line, &st.peers[st.n_peers]))
            st.n_peers++;
    }
    *ret = st;
    return true;
}

/* ---- asking ---- */

struct status_query {
    struct db_server *server;
    struct unixctl *call;
    db_server_status_fn *fn;
    db_server_servers_fn *servers_fn;
    void *userdata;
    struct status_query *next;
};

static void query_remove(struct status_query *q) {
    struct status_query **at = &q->server->queries;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
}

void server_cancel_queries(struct db_server *s) {
    while (s->queries) {
        struct status_query *q = s->queries;
        s->queries = q->next;
        unixctl_cancel(q->call);
        free(q);
    }
}

static void on_query(const char *text, struct error *error, void *userdata) {
    struct status_query *q = userdata;
    query_remove(q);
    struct db_server_status st;
    bool known = text && db_server_parse_status(text, &st);
    /* One that failed while it started knows no such cluster. */
    if (known ? st.has_failed : error && strstr(str_or_empty(error_param(error, 0)), "unknown cluster"))
        server_mend(q->server);
    else if (known)
        q->server->has_failed = false;
    if (q->fn) {
        q->fn(known ? &st : NULL, q->userdata);
    } else {
        _cleanup_strv_ struct strv addresses = {0};
        for (size_t i = 0; known && i < st.n_peers; i++)
            strv_add(&addresses, st.peers[i].address);
        q->servers_fn(&addresses, known && st.has_leader, q->userdata);
    }
    free(q);
}

static void query(struct db_server *s, db_server_status_fn *fn, db_server_servers_fn *servers_fn, void *userdata) {
    struct status_query *q = xnew0(struct status_query);
    *q = (struct status_query){
        .server = s, .fn = fn, .servers_fn = servers_fn, .userdata = userdata, .next = s->queries};
    s->queries = q;
    q->call = unixctl_call(s->loop, s->control, "cluster/status", (const char *const[]){DB_NAME, NULL},
                           CONTROL_TIMEOUT_MS, on_query, q);
}

void db_server_get_status(struct db_server *s, db_server_status_fn *fn, void *userdata) {
    query(s, fn, NULL, userdata);
}

void db_server_servers(struct db_server *s, db_server_servers_fn *fn, void *userdata) {
    query(s, NULL, fn, userdata);
}

/* ---- steps ---- */

static void ask(struct db_server *s, unixctl_done_fn *fn) {
    s->call = unixctl_call(s->loop, s->control, "cluster/status", (const char *const[]){DB_NAME, NULL},
                           CONTROL_TIMEOUT_MS, fn, s);
}

static void on_leave_poll(struct loop_source *t, void *userdata);

/*
 * A leader that leaves hands over to another, which knows nothing of a change that has not reached it: one that is
 * still under way is waited for. An entry that only the leaver has would be worse: it then refuses everybody else's
 * election, and stands in none itself.
 */
static void on_status_for_leave(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    struct db_server_status st;
    s->call = NULL;
    if (error || !db_server_parse_status(text, &st))
        server_fail(s, "the database server does not tell the state of its cluster");
    else if (st.n_peers < 2)
        server_fail(s, "this is the only voter of the pool database, it cannot leave");
    else if (!str_eq(st.role, "leader") || (!st.is_changing && !st.uncommitted))
        server_next(s);
    else if (loop_now_ms(s->loop) < s->end_ms)
        server_wait(s, LEAVE_POLL_MS, on_leave_poll);
    else
        server_fail(s, st.is_changing ? "another change of the pool database's voters does not end"
                                      : "what was last written does not reach the pool database's other voters");
}

static void on_leave_poll(struct loop_source *t, void *userdata) {
    ask(userdata, on_status_for_leave);
}

void step_refuse_last(struct db_server *s) {
    s->end_ms = loop_now_ms(s->loop) + LEAVE_SETTLE_MS;
    ask(s, on_status_for_leave);
}

static void on_kick_poll(struct loop_source *t, void *userdata);

static void kick_again_soon(struct db_server *s) {
    if (loop_now_ms(s->loop) >= s->end_ms)
        server_fail(s, "the server at %s is still a voter of the pool database", s->address);
    else
        server_wait(s, KICK_POLL_MS, on_kick_poll);
}

static void on_kick_called(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    s->call = NULL;
    kick_again_soon(s); /* also after an error: there may be no leader at the moment */
}

static void on_status_for_kick(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    struct db_server_status st;
    s->call = NULL;
    if (error || !db_server_parse_status(text, &st)) {
        kick_again_soon(s);
        return;
    }
    for (size_t i = 0; i < st.n_peers; i++) {
        if (!str_eq(st.peers[i].address, s->address))
            continue;
        s->call =
            unixctl_call(s->loop, s->control, "cluster/kick", (const char *const[]){DB_NAME, st.peers[i].sid, NULL},
                         CONTROL_TIMEOUT_MS, on_kick_called, s);
        return;
    }
    server_next(s);
}

static void on_kick_poll(struct loop_source *t, void *userdata) {
    ask(userdata, on_status_for_kick);
}

void step_kick(struct db_server *s) {
    s->end_ms = loop_now_ms(s->loop) + s->timeout_s * UINT64_C(1000);
    ask(s, on_status_for_kick);
}
