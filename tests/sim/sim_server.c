/* SPDX-License-Identifier: Apache-2.0 */
/* The process and the file of a database server: what it holds, what its clients see, their transactions. */
#include "sim_server.h"

#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "db/db.h"
#include "ovsdb/ovsdb_value.h"
#include "sim_raft.h"
#include "sim_store.h"

#define PEM_MAX 65536
#define LOST_MS 800 /* a transaction whose leader is away for so long has no outcome */

/* ---- entries and files ---- */
struct entry *entry_new(uint64_t term, json_t *changes, const struct strv *config) {
    struct entry *e = xnew0(struct entry);
    *e = (struct entry){.n_refs = 1, .id = ++sim->next_id, .term = term, .changes = changes};
    if (config) {
        e->config = xnew0(struct strv);
        for (size_t i = 0; i < config->n; i++)
            strv_add(e->config, config->items[i]);
    }
    return e;
}

void entry_unref(struct entry *e) {
    if (--e->n_refs)
        return;
    json_decref(e->changes);
    if (e->config)
        strv_done(e->config);
    free(e->config);
    free(e);
}

void file_append(struct file *f, struct entry *e /* taken */) {
    f->log = xrealloc_array(f->log, f->n + 1, sizeof(struct entry *));
    f->log[f->n++] = e;
}

void file_truncate(struct file *f, size_t n) {
    while (f->n > n)
        entry_unref(f->log[--f->n]);
}

void file_remove(struct server *s) {
    file_truncate(&s->file, 0);
    free(s->file.log);
    strv_done(&s->file.join_at);
    s->file = (struct file){0};
}

void file_create(struct server *s, const char *address) {
    struct strv config = {0};
    file_remove(s);
    s->file = (struct file){.exists = true, .cluster = ++sim->next_id, .term = 1};
    (void)str_copy(s->file.address, sizeof(s->file.address), address);
    strv_add(&config, address);
    file_append(&s->file, entry_new(1, NULL, &config));
    s->file.commit = 1;
    strv_done(&config);
}

void file_make_join(struct server *s, const char *address, const struct strv *voters) {
    file_remove(s);
    s->file.exists = true;
    (void)str_copy(s->file.address, sizeof(s->file.address), address);
    for (size_t i = 0; i < voters->n; i++)
        strv_add(&s->file.join_at, voters->items[i]);
}

bool file_dissolve(struct server *s, const char *address, const struct uuid *solo) {
    json_t *state = json_object();
    for (size_t i = 0; i < s->file.n; i++)
        store_apply(state, s->file.log[i]->changes, NULL);
    bool may = !solo;
    const char *uuid;
    json_t *row;
    json_object_foreach(json_object_get(state, "pool"), uuid, row) {
        struct uuid named;
        may |= solo && ovsdb_uuid_parse(json_object_get(row, "solo_host"), &named) && uuid_eq(&named, solo);
    }
    if (may) {
        json_t *changes = store_as_changes(state);
        file_create(s, address);
        file_append(&s->file, entry_new(1, changes, NULL));
        s->file.commit = s->file.n;
    }
    json_decref(state);
    return may;
}

const struct strv *server_config(const struct server *s) {
    for (size_t i = s->file.n; i > 0; i--)
        if (s->file.log[i - 1]->config)
            return s->file.log[i - 1]->config;
    return NULL;
}

bool server_is_member(const struct server *s) {
    const struct strv *config = server_config(s);
    return s->mode == SERVER_VOTER && !s->removed && s->file.cluster && config && strv_has(config, s->file.address);
}

/* ---- what the process shows ---- */
bool server_is_connected(const struct server *s) {
    if (s->mode == SERVER_RELAY)
        return s->upstream && s->upstream->mode == SERVER_VOTER && server_is_connected(s->upstream) &&
               raft_link(s, s->upstream);
    return server_is_member(s) && s->leader;
}

static void answer_applied(struct server *s) {
    for (struct waiting **at = &s->waiting; *at;) {
        struct waiting *w = *at;
        if (!w->result || w->index > s->applied) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        clients_reply(s, w->conn, w->call, w->result);
        json_decref(w->params);
        free(w);
    }
}

void server_catch_up(struct server *s, const struct file *f) {
    while (s->applied < f->commit) {
        const struct entry *e = f->log[s->applied++];
        if (!e->changes)
            continue;
        json_t *updates = json_object();
        store_apply(s->state, e->changes, updates);
        if (json_object_size(updates))
            clients_state(s, updates);
        json_decref(updates);
    }
    answer_applied(s);
}

/* A relay at another voter: what it shows becomes what that one has, older or not. */
void server_replace_state(struct server *s, const struct server *of) {
    json_t *changes = store_difference(s->state, of->state), *updates = json_object();
    store_apply(s->state, changes, updates);
    s->applied = of->applied;
    if (json_object_size(updates))
        clients_state(s, updates);
    json_decref(updates);
    json_decref(changes);
    answer_applied(s);
}

void server_look_connected(struct server *s) {
    bool now = server_is_connected(s);
    if (now == s->told_connected)
        return;
    s->told_connected = now;
    clients_connected(s);
}

/* ---- transactions of clients ---- */
void server_transact(struct server *s, uint64_t conn, uint64_t call, const json_t *params) {
    struct waiting *w = xnew0(struct waiting), **last = &s->waiting;
    *w = (struct waiting){.id = ++sim->next_id, .conn = conn, .call = call, .params = json_incref((json_t *)params)};
    while (*last)
        last = &(*last)->next;
    *last = w;
    raft_soon();
}

static json_t *no_outcome(const struct waiting *w, const char *why) {
    json_t *result = json_array();
    for (size_t i = 1; i < json_array_size(w->params); i++)
        json_array_append_new(result, json_object());
    json_array_append_new(result, json_pack("{s:s,s:s}", "error", why, "details", "simulated"));
    return result;
}

/* Hands on what waits, and gives up what its leader can no longer answer. */
void server_forward(struct server *s, uint64_t now) {
    struct server *voter = s->mode == SERVER_RELAY ? s->upstream : s,
                  *leader = server_is_connected(s) && voter ? voter->leader : NULL;
    for (struct waiting **at = &s->waiting; *at;) {
        struct waiting *w = *at;
        if (w->result) {
            at = &w->next;
            continue;
        }
        if (!w->sent_to && leader && leader->leads && (leader == voter || raft_link(voter, leader))) {
            w->sent_to = leader;
            w->sent_ms = now;
            raft_propose(leader, s, w->id, w->params);
        }
        bool lost =
            w->sent_to && (w->sent_to != leader || !leader->leads || (voter != leader && !raft_link(voter, leader)));
        if (!lost)
            w->lost_ms = 0;
        else if (!w->lost_ms)
            w->lost_ms = now;
        if (!lost || now - w->lost_ms < LOST_MS) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        clients_reply(s, w->conn, w->call, no_outcome(w, s->mode == SERVER_RELAY ? "canceled" : "leadership lost"));
        json_decref(w->params);
        free(w);
    }
}

void server_answer(struct server *s, uint64_t waiting, json_t *result /* taken */, size_t index) {
    for (struct waiting *w = s->waiting; w; w = w->next)
        if (w->id == waiting && !w->result) {
            w->result = result;
            w->index = index;
            answer_applied(s);
            return;
        }
    json_decref(result);
}

/* ---- the process ---- */
static char *slurp(const char *path) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, PEM_MAX * 2, &text) < 0 ? xstrdup("") : xstrdup(buf_str(&text));
}

void server_reload(struct server *s, const char *cert_path, const char *ca_path) {
    free(s->chain);
    free(s->trusted);
    s->chain = slurp(cert_path);
    s->trusted = slurp(ca_path);
}

void server_start(struct server *s, enum server_mode mode, const struct strv *relay_voters, const char *cert_path,
                  const char *ca_path) {
    server_stop(s);
    s->mode = mode;
    s->incarnation = ++sim->next_id;
    s->state = json_object();
    s->heard_ms = sim_now_ms();
    s->patience_ms = 200 + sim_luck(800); /* the first time it does not wait for a leader that may be there */
    for (size_t i = 0; relay_voters && i < relay_voters->n; i++)
        strv_add(&s->relay_voters, relay_voters->items[i]);
    server_reload(s, cert_path, ca_path);
    if (mode == SERVER_VOTER)
        server_catch_up(s, &s->file);
}

static void proposal_free(struct proposal *p) {
    json_decref(p->params);
    json_decref(p->result);
    free(p);
}

void server_drop_proposals(struct server *s) {
    while (s->proposals) {
        struct proposal *p = s->proposals;
        s->proposals = p->next;
        proposal_free(p);
    }
    s->last_proposal = NULL;
}

void server_stop(struct server *s) {
    if (s->mode == SERVER_DOWN)
        return;
    s->mode = SERVER_DOWN;
    s->leads = s->removed = s->leaving = s->told_connected = false;
    s->leader = s->upstream = NULL;
    s->upstream_cluster = 0;
    json_decref(s->state);
    s->state = NULL;
    s->applied = 0;
    strv_done(&s->relay_voters);
    while (s->waiting) {
        struct waiting *w = s->waiting;
        s->waiting = w->next;
        json_decref(w->params);
        json_decref(w->result);
        free(w);
    }
    server_drop_proposals(s);
    free(TAKE(s->chain));
    free(TAKE(s->trusted));
    for (unsigned i = 0; i < sim->n_hosts; i++) { /* nobody keeps it for what it was */
        struct server *other = sim->hosts[i].server;
        if (other && other->leader == s)
            other->leader = NULL;
        if (other && other->upstream == s)
            other->upstream = NULL;
    }
    clients_lost(s);
}

void server_power_cut(struct server *s) {
    server_stop(s);
}
