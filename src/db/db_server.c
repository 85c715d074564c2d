/* SPDX-License-Identifier: Apache-2.0 */
/* The operations as lists of steps, and the machinery that runs them. */
#include "db/db_server.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fs.h"
#include "db/db_server_private.h"
#include "model/model.h"

static void on_start(struct loop_source *t, void *userdata);

struct db_server *db_server_new(const struct db_server_config *c) {
    struct db_server *s = xnew0(struct db_server);
    s->loop = c->loop;
    s->db_dir = xstrdup(c->db_dir);
    s->file = strf("%s/pool.db", c->db_dir);
    s->fresh = strf("%s/pool.db.new", c->db_dir);
    s->standalone = strf("%s/pool.db.standalone", c->db_dir);
    s->socket = strf("%s/pooldb.sock", c->run_dir);
    s->control = strf("%s/pooldb.ctl", c->run_dir);
    s->pidfile = strf("%s/pooldb.pid", c->run_dir);
    s->schema = xstrdup(c->schema_path);
    s->log = xstrdup(c->log_path);
    s->key = xstrdup(str_or_empty(c->key_path));
    s->cert = xstrdup(str_or_empty(c->cert_path));
    s->ca = xstrdup(str_or_empty(c->ca_path));
    s->scheme = xstrdup(c->scheme ? c->scheme : "ssl");
    s->listen_address = xstrdup(c->listen_address ? c->listen_address : "[::]");
    s->raft_port = c->raft_port ? c->raft_port : DB_SERVER_RAFT_PORT;
    s->client_port = c->client_port ? c->client_port : DB_SERVER_CLIENT_PORT;
    s->step_timeout_ms = c->step_timeout_ms ? c->step_timeout_ms : 20000;
    s->join_timeout_s = c->join_timeout_s ? c->join_timeout_s : 30;
    s->timer = loop_add_timer(s->loop, LOOP_NEVER, on_start, s);
    s->exit_fd = -1;
    server_watch_room(s);
    return s;
}

static void step_end(struct db_server *s) {
    if (s->child)
        child_cancel(TAKE(s->child));
    unixctl_cancel(TAKE(s->call));
    loop_source_free(TAKE(s->timer));
    loop_source_free(TAKE(s->exit_source));
    if (s->exit_fd >= 0)
        close(s->exit_fd);
    s->exit_fd = -1;
}

static void operation_clear(struct db_server *s) {
    s->n_steps = s->at = s->n_undo = 0;
    free(TAKE(s->address));
    free(TAKE(s->other_address));
    free(TAKE(s->why));
    free(TAKE(s->server_text));
    strv_done(&s->voters);
    s->check_solo = s->is_placed = false;
    s->timeout_s = 0;
}

void db_server_free(struct db_server *s) {
    if (!s)
        return;
    step_end(s);
    server_disk_done(s);
    server_cancel_queries(s);
    unixctl_cancel(s->cut_call);
    if (s->version_child)
        child_cancel(s->version_child);
    operation_clear(s);
    error_free(s->failure);
    char *texts[] = {s->db_dir, s->file, s->fresh, s->standalone, s->socket, s->control, s->pidfile,
                     s->schema, s->log,  s->key,   s->cert,       s->ca,     s->scheme,  s->listen_address};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(s);
}

const char *db_server_socket(const struct db_server *s) {
    return s->socket;
}

bool db_server_has_file(const struct db_server *s) {
    return fs_exists(s->file);
}

bool db_server_is_busy(const struct db_server *s) {
    return s->busy;
}

/* ---- machinery ---- */

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

bool server_begin(struct db_server *s, db_server_done_fn *done, void *userdata) {
    if (s->busy) {
        struct refusal *r = xnew0(struct refusal);
        *r = (struct refusal){done, userdata};
        loop_defer(s->loop, refuse, r);
        return false;
    }
    s->busy = true;
    s->done = done;
    s->userdata = userdata;
    return true;
}

void server_add(struct db_server *s, step_fn *step) {
    if (s->n_steps == MAX_STEPS)
        abort();
    s->steps[s->n_steps++] = step;
}

void server_add_undo(struct db_server *s, step_fn *step) {
    if (s->n_undo == MAX_STEPS)
        abort();
    s->undo[s->n_undo++] = step;
}

void server_wait(struct db_server *s, uint64_t ms, loop_timer_fn *fn) {
    loop_source_free(s->timer);
    s->timer = loop_add_timer(s->loop, ms, fn, s);
}

void server_go(struct db_server *s) {
    server_wait(s, 0, on_start);
}

static void finish(struct db_server *s) {
    _cleanup_error_ struct error *e = TAKE(s->failure);
    operation_clear(s);
    s->busy = false;
    s->done(e, s->userdata);
}

static void run(struct db_server *s) {
    step_end(s);
    if (s->at == s->n_steps)
        finish(s);
    else
        s->steps[s->at](s);
}

static void on_start(struct loop_source *t, void *userdata) {
    struct db_server *s = userdata;
    int r = fs_mkdirs(s->db_dir, 0700);
    if (r < 0)
        server_fail(s, "the folder '%s' cannot be made: %s", s->db_dir, strerror(-r));
    else
        run(s);
}

void server_next(struct db_server *s) {
    s->at++;
    run(s);
}

void server_fail(struct db_server *s, const char *fmt, ...) {
    if (s->failure) { /* undoing: what fails now does not matter any more */
        server_next(s);
        return;
    }
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(&s->failure, ERR_DB_SERVER_FAILED, text, NULL);
    for (unsigned i = 0; i < s->n_undo; i++)
        s->steps[i] = s->undo[i];
    s->n_steps = s->n_undo;
    s->at = 0;
    run(s);
}

/* From here on nothing is undone. */
static void step_point_of_no_return(struct db_server *s) {
    s->n_undo = 0;
    server_next(s);
}

/* ---- operations ---- */

void db_server_create(struct db_server *s, const char *address, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    s->address = xstrdup(address);
    if (!db_server_has_file(s)) {
        server_add(s, step_create);
        server_add(s, step_place);
    }
    server_go(s);
}

void db_server_start_voter(struct db_server *s, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    bool relay;
    if (server_pid(s, &relay) > 0 && relay)
        server_add(s, step_stop);
    server_add(s, step_start_voter);
    server_go(s);
}

void db_server_start_relay(struct db_server *s, const struct strv *voters, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    for (size_t i = 0; i < voters->n; i++)
        strv_add(&s->voters, voters->items[i]);
    server_add(s, step_stop);
    server_add(s, step_start_relay);
    server_go(s);
}

static void set_join(struct db_server *s, const char *address, const struct strv *voters) {
    s->address = xstrdup(address);
    for (size_t i = 0; i < voters->n; i++)
        strv_add(&s->voters, voters->items[i]);
}

static void add_join(struct db_server *s, void (*add)(struct db_server *s, step_fn *step)) {
    add(s, step_join_file);
    add(s, step_stop);
    add(s, step_set_aside); /* of an earlier file, should there be one */
    add(s, step_place);
    add(s, step_start_voter);
    add(s, step_wait_connected);
}

void db_server_join(struct db_server *s, const char *address, const struct strv *voters, db_server_done_fn *done,
                    void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    set_join(s, address, voters);
    s->why = xstrdup("replaced");
    s->timeout_s = s->join_timeout_s;
    add_join(s, server_add);
    server_add_undo(s, step_revive);
    server_add_undo(s, step_undo_join);
    server_add_undo(s, step_stop);
    server_add_undo(s, step_set_aside);
    server_go(s);
}

/* One that was told to leave and cannot votes for nobody and stands in no election, until it is started anew. */
static void step_arm_restart(struct db_server *s) {
    server_add_undo(s, step_stop);
    server_add_undo(s, step_start_voter);
    server_next(s);
}

void db_server_leave(struct db_server *s, unsigned timeout_s, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    s->timeout_s = timeout_s;
    s->why = xstrdup("left");
    server_add(s, step_refuse_last);
    server_add(s, step_arm_restart);
    server_add(s, step_leave);
    server_add(s, step_wait_removed);
    server_add(s, step_stop);
    server_add(s, step_set_aside);
    server_go(s);
}

void db_server_stop(struct db_server *s, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    server_add(s, step_stop);
    server_go(s);
}

void db_server_kick(struct db_server *s, const char *address, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    s->address = xstrdup(address);
    s->timeout_s = 10;
    server_add(s, step_kick);
    server_go(s);
}

static void add_dissolve(struct db_server *s) {
    server_add(s, step_stop);
    server_add(s, step_to_standalone);
    if (s->check_solo)
        server_add(s, step_check_solo);
    server_add(s, step_from_standalone);
    server_add(s, step_point_of_no_return);
    server_add(s, step_set_aside);
    server_add(s, step_place);
    server_add(s, step_start_voter);
    server_add(s, step_wait_connected);
    server_add_undo(s, step_start_voter); /* as it was */
}

void db_server_dissolve(struct db_server *s, const char *address, const struct uuid *solo, db_server_done_fn *done,
                        void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    s->address = xstrdup(address);
    s->why = xstrdup("dissolved");
    s->timeout_s = s->join_timeout_s;
    s->check_solo = solo != NULL;
    if (solo)
        s->solo = *solo;
    add_dissolve(s);
    server_go(s);
}

/* It has left: from here on, failure means joining again as it was. */
static void step_arm_rejoin(struct db_server *s) {
    s->n_undo = 0;
    server_add_undo(s, step_undo_join);
    server_add_undo(s, step_swap_addresses);
    add_join(s, server_add_undo);
    server_next(s);
}

void db_server_change_address(struct db_server *s, const char *old_address, const char *address,
                              const struct strv *other_voters, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    set_join(s, address, other_voters);
    s->other_address = xstrdup(old_address);
    s->timeout_s = s->join_timeout_s;
    s->why = xstrdup("moved");
    if (other_voters->n == 0) {
        add_dissolve(s);
    } else {
        server_add(s, step_refuse_last);
        server_add(s, step_arm_restart);
        server_add(s, step_leave);
        server_add(s, step_wait_removed);
        server_add(s, step_arm_rejoin);
        add_join(s, server_add);
    }
    server_go(s);
}

void db_server_convert(struct db_server *s, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    server_add(s, step_needs_conversion);
    server_go(s);
}

void db_server_set_aside(struct db_server *s, const char *why, db_server_done_fn *done, void *userdata) {
    if (!server_begin(s, done, userdata))
        return;
    s->why = xstrdup(why);
    server_add(s, step_stop);
    server_add(s, step_set_aside);
    server_go(s);
}
