/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the local database server: one connection, a monitor of every table with resume, and a monitor of _Server
 * that tells whether this server reaches a leader. The replica is kept while the connection is away.
 */
#include "base/str.h"
#include "db/db_internal.h"
#include "db/db_txn.h"

/* The server refuses monitors while its database is joining a cluster or being converted. */
#define MONITOR_RETRY_MS 250
#define IN_STEP_MS 5000

struct marker_change {
    struct uuid uuid;
    bool present;
};

struct db_sync {
    struct db *db;
    struct ovsdb_conn *conn;
    struct ovsdb_monitor *data, *server;
    struct loop_source *retry_timer;
    bool snapshot; /* the update being read is one */
    bool synced;   /* on this connection */
    bool in_step;  /* on this connection: a write of ours came back, and all that had been committed before it */
    bool asking;   /* that write is under way */
    unsigned connection, asked_on; /* they differ when it began on an earlier connection, and proves nothing of this */
    bool reaches_leader;
    char *trouble; /* why the monitor failed, or NULL */
    struct uuid server_row;
    struct marker_change *markers; /* of the update being read */
    size_t n_markers;
};

struct db_status db_get_status(struct db *d) {
    struct db_status s = d->status;
    s.text = d->status_text;
    return s;
}

void db_on_status(struct db *d, db_status_fn *fn, void *userdata) {
    d->status_fn = fn;
    d->status_userdata = userdata;
}

struct ovsdb_conn *db_sync_conn(struct db *d) {
    struct db_sync *y = d->sync;
    return y && ovsdb_conn_is_connected(y->conn) && y->synced && y->reaches_leader ? y->conn : NULL;
}

void db_sync_cancel(struct db *d, uint64_t call) {
    if (d->sync)
        ovsdb_conn_cancel(d->sync->conn, call);
}

const char *db_sync_obstacle(struct db *d) {
    return d->status_text;
}

static void update_status(struct db *d) {
    struct db_sync *y = d->sync;
    struct db_status now = {.loaded = d->status.loaded};
    const char *text = d->refusal ? d->refusal : "The pool database is not followed.";
    if (y) {
        now.connected = ovsdb_conn_is_connected(y->conn);
        now.has_quorum = now.connected && y->reaches_leader;
        now.loaded = now.loaded || y->synced;
        now.in_step = now.connected && y->in_step;
        text = !now.connected    ? "The local database server does not answer."
               : y->trouble      ? y->trouble
               : !now.has_quorum ? "The local database server reaches no majority of the pool's voters."
               : !y->synced      ? "The pool database is being read."
               : !y->in_step     ? "What the pool database holds by now is being read."
                                 : "The pool database is in step.";
    }
    if (now.loaded == d->status.loaded && now.connected == d->status.connected &&
        now.has_quorum == d->status.has_quorum && now.in_step == d->status.in_step && str_eq(text, d->status_text))
        return;
    char *copy = xstrdup(text);
    free(d->status_text);
    d->status_text = copy;
    d->status = now;
    if (d->status_fn)
        d->status_fn(d, d->status_userdata);
}

/* ---- in step ---- */

static void ask_in_step(struct db *d);

static void on_in_step(struct error *error, void *userdata) {
    struct db *d = userdata;
    struct db_sync *y = d->sync;
    if (!y)
        return;
    y->asking = false;
    if (!error && y->asked_on == y->connection && y->synced)
        y->in_step = true;
    update_status(d);
    ask_in_step(d);
}

/* A write is ordered after all that were committed before it, and is shown after them. */
static void ask_in_step(struct db *d) {
    struct db_sync *y = d->sync;
    if (y->in_step || y->asking || !db_sync_conn(d))
        return;
    y->asking = true;
    y->asked_on = y->connection;
    db_txn_commit(db_txn_barrier(d), IN_STEP_MS, on_in_step, d);
}

/* ---- the monitor of the data ---- */

static void data_begin(bool snapshot, void *userdata) {
    struct db_sync *y = userdata;
    y->snapshot = snapshot;
    y->n_markers = 0;
    if (snapshot) {
        db_snapshot_begin(y->db);
        db_txns_forget_markers(y->db);
    }
}

static void data_row(const char *table, const struct uuid *u, enum ovsdb_row_op op, const json_t *columns,
                     void *userdata) {
    struct db_sync *y = userdata;
    if (str_eq(table, MARKER_TABLE)) {
        y->markers = xrealloc_array(y->markers, y->n_markers + 1, sizeof(*y->markers));
        y->markers[y->n_markers++] = (struct marker_change){.uuid = *u, .present = op != OVSDB_ROW_DELETE};
        return;
    }
    const struct class_def *class = model_class_by_name(table);
    if (class && db_class_is_stored(class->id))
        db_apply_row(y->db, class->id, u, op, columns);
}

static void data_end(void *userdata) {
    struct db_sync *y = userdata;
    struct db *d = y->db;
    if (y->snapshot)
        db_snapshot_end(d);
    y->synced = true;
    free(TAKE(y->trouble));
    db_batch_close(d);
    for (size_t i = 0; i < y->n_markers; i++)
        db_txns_marker(d, &y->markers[i].uuid, y->markers[i].present);
    y->n_markers = 0;
    update_status(d);
    db_txns_pump(d);
    ask_in_step(d);
}

static void data_failed(struct error *error, void *userdata) {
    struct db_sync *y = userdata;
    y->synced = false;
    free(y->trouble);
    y->trouble = strf("The local database server refuses to be followed: %s.", error_param(error, 0));
    loop_timer_set(y->retry_timer, MONITOR_RETRY_MS);
    update_status(y->db);
}

static const struct ovsdb_monitor_ops data_ops = {data_begin, data_row, data_end, data_failed};

static void on_retry(struct loop_source *s, void *userdata) {
    struct db_sync *y = userdata;
    /*
     * On a connection of its own: the server may have taken the first request after all (it was joining its cluster,
     * and its answer went nowhere), and would refuse a second one of the same name for ever.
     */
    if (ovsdb_conn_is_connected(y->conn))
        ovsdb_conn_reset(y->conn, "the monitor is asked for anew");
}

static json_t *tables(void) {
    json_t *all = json_pack("{s:[{s:[s]}]}", MARKER_TABLE, "columns", "time");
    for (int i = 0; i < N_CLASSES; i++) {
        const struct class_def *class = &model_classes[i];
        if (!db_class_is_stored(i))
            continue;
        json_t *columns = json_array();
        for (unsigned f = 0; f < class->n_fields; f++) {
            if (class->fields[f].store == STORE_DB)
                json_array_append_new(columns, json_string(class->fields[f].name));
        }
        json_object_set_new(all, class->name, json_pack("[{s:o}]", "columns", columns));
    }
    return all;
}

/* ---- the monitor of the server ---- */

static void server_begin(bool snapshot, void *userdata) {
    struct db_sync *y = userdata;
    if (snapshot)
        y->reaches_leader = false;
}

static void server_row(const char *table, const struct uuid *u, enum ovsdb_row_op op, const json_t *columns,
                       void *userdata) {
    struct db_sync *y = userdata;
    const char *name = json_string_value(json_object_get(columns, "name"));
    bool whole = op == OVSDB_ROW_INITIAL || op == OVSDB_ROW_INSERT;
    if (whole && name && str_eq(name, DB_NAME))
        y->server_row = *u;
    else if (!uuid_eq(&y->server_row, u))
        return;
    const json_t *connected = json_object_get(columns, "connected");
    if (whole || op == OVSDB_ROW_DELETE || connected) /* false is left out of a whole row */
        y->reaches_leader = json_is_true(connected);
}

static void server_end(void *userdata) {
    struct db_sync *y = userdata;
    struct db *d = y->db;
    if (y->reaches_leader && !y->synced && y->trouble)
        loop_timer_set(y->retry_timer, 0); /* it has just joined */
    update_status(d);
    db_txns_pump(d);
    ask_in_step(d);
}

static void server_failed(struct error *error, void *userdata) {
    struct db_sync *y = userdata;
    y->reaches_leader = false;
    ovsdb_conn_reset(y->conn, "the server does not tell its state");
}

static const struct ovsdb_monitor_ops server_ops = {server_begin, server_row, server_end, server_failed};

/* ---- the connection ---- */

static void on_state(struct ovsdb_conn *c, bool connected, const char *reason, void *userdata) {
    struct db_sync *y = userdata;
    y->synced = y->reaches_leader = y->in_step = false;
    y->connection++;
    free(TAKE(y->trouble));
    if (connected) {
        ovsdb_monitor_connected(y->server);
        ovsdb_monitor_connected(y->data);
    } else {
        ovsdb_monitor_disconnected(y->server);
        ovsdb_monitor_disconnected(y->data);
    }
    update_status(y->db);
}

static void on_notify(struct ovsdb_conn *c, const char *method, const json_t *params, void *userdata) {
    struct db_sync *y = userdata;
    if (!ovsdb_monitor_notify(y->data, method, params))
        ovsdb_monitor_notify(y->server, method, params);
}

void db_sync_refuse(struct db *d, const char *text) {
    free(d->refusal);
    d->refusal = xstrdup(text);
    if (d->sync)
        db_sync_stop(d);
    else
        update_status(d);
}

void db_sync_start(struct db *d, const char *socket_path) {
    db_sync_stop(d);
    free(TAKE(d->refusal));
    struct db_sync *y = xnew0(struct db_sync);
    d->sync = y;
    y->db = d;
    y->conn = ovsdb_conn_new(d->loop, socket_path, on_state, on_notify, y);
    y->data = ovsdb_monitor_new(y->conn, DB_NAME, tables(), /* resume= */ true, &data_ops, y);
    json_t *server = json_pack("{s:[{s:[s,s]}]}", "Database", "columns", "name", "connected");
    y->server = ovsdb_monitor_new(y->conn, "_Server", server, /* resume= */ false, &server_ops, y);
    y->retry_timer = loop_add_timer(d->loop, LOOP_NEVER, on_retry, y);
    update_status(d);
}

void db_sync_stop(struct db *d) {
    struct db_sync *y = d->sync;
    if (!y)
        return;
    ovsdb_monitor_free(y->data);
    ovsdb_monitor_free(y->server);
    ovsdb_conn_free(y->conn);
    loop_source_free(y->retry_timer);
    free(y->trouble);
    free(y->markers);
    free(y);
    d->sync = NULL;
    db_txns_fail_all(d);
    update_status(d);
}
