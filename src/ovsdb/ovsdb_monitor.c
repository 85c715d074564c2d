/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/ovsdb_monitor.h"

#include "base/buf.h"
#include "base/str.h"

#define NO_TXN "00000000-0000-0000-0000-000000000000"
/* A snapshot of 100,000 rows took 12 s on a loaded machine. */
#define START_TIMEOUT_MS 60000

struct ovsdb_monitor {
    struct ovsdb_conn *conn;
    char *database;
    char *id;
    json_t *tables;
    bool resume;
    const struct ovsdb_monitor_ops *ops;
    void *userdata;
    uint64_t call; /* of the start, while it is under way */
    char *last_txn;
};

struct ovsdb_monitor *ovsdb_monitor_new(struct ovsdb_conn *c, const char *database, json_t *tables, bool resume,
                                        const struct ovsdb_monitor_ops *ops, void *userdata) {
    struct ovsdb_monitor *m = xnew0(struct ovsdb_monitor);
    m->conn = c;
    m->database = xstrdup(database);
    m->id = strf("monitor:%s", database);
    m->tables = tables;
    m->resume = resume;
    m->ops = ops;
    m->userdata = userdata;
    return m;
}

void ovsdb_monitor_free(struct ovsdb_monitor *m) {
    if (!m)
        return;
    if (m->call)
        ovsdb_conn_cancel(m->conn, m->call);
    json_decref(m->tables);
    free(m->database);
    free(m->id);
    free(m->last_txn);
    free(m);
}

void ovsdb_monitor_forget(struct ovsdb_monitor *m) {
    free(TAKE(m->last_txn));
}

static bool check_row(const json_t *update) {
    if (!json_is_object(update) || json_object_size(update) != 1)
        return false;
    void *at = json_object_iter((json_t *)update);
    const char *op = json_object_iter_key(at);
    const json_t *columns = json_object_iter_value(at);
    if (str_eq(op, "delete"))
        return true;
    return (str_eq(op, "initial") || str_eq(op, "insert") || str_eq(op, "modify")) && json_is_object(columns);
}

static bool check_updates(const json_t *updates) {
    if (!json_is_object(updates))
        return false;
    for (void *t = json_object_iter((json_t *)updates); t; t = json_object_iter_next((json_t *)updates, t)) {
        json_t *rows = json_object_iter_value(t);
        if (!json_is_object(rows))
            return false;
        for (void *r = json_object_iter(rows); r; r = json_object_iter_next(rows, r)) {
            struct uuid u;
            if (!uuid_parse(json_object_iter_key(r), &u) || !check_row(json_object_iter_value(r)))
                return false;
        }
    }
    return true;
}

static void decode_row(const char *table, const char *key, json_t *update, const struct ovsdb_monitor_ops *ops,
                       void *userdata) {
    struct uuid u;
    if (!uuid_parse(key, &u))
        return; /* checked before */
    void *at = json_object_iter(update);
    const char *text = json_object_iter_key(at);
    enum ovsdb_row_op op = str_eq(text, "initial")  ? OVSDB_ROW_INITIAL
                           : str_eq(text, "insert") ? OVSDB_ROW_INSERT
                           : str_eq(text, "modify") ? OVSDB_ROW_MODIFY
                                                    : OVSDB_ROW_DELETE;
    ops->row(table, &u, op, op == OVSDB_ROW_DELETE ? NULL : json_object_iter_value(at), userdata);
}

bool ovsdb_monitor_decode(const json_t *updates, bool snapshot, const struct ovsdb_monitor_ops *ops, void *userdata,
                          struct error **errp) {
    if (!check_updates(updates)) {
        error_set(errp, OVSDB_ERROR, "bad update", "the server sent an update that cannot be read", NULL);
        return false;
    }
    ops->begin(snapshot, userdata);
    for (void *t = json_object_iter((json_t *)updates); t; t = json_object_iter_next((json_t *)updates, t)) {
        json_t *rows = json_object_iter_value(t);
        for (void *r = json_object_iter(rows); r; r = json_object_iter_next(rows, r))
            decode_row(json_object_iter_key(t), json_object_iter_key(r), json_object_iter_value(r), ops, userdata);
    }
    ops->end(userdata);
    return true;
}

static void fail(struct ovsdb_monitor *m, struct error *error) {
    ovsdb_monitor_forget(m);
    m->ops->failed(error, m->userdata);
}

static void on_started(const json_t *result, struct error *error, void *userdata) {
    struct ovsdb_monitor *m = userdata;
    m->call = 0;
    if (error) {
        if (!error_is(error, OVSDB_DISCONNECTED))
            fail(m, error);
        return;
    }
    const json_t *updates = result;
    bool found = false;
    if (m->resume) {
        const char *txn = json_string_value(json_array_get(result, 1));
        found = json_is_true(json_array_get(result, 0));
        updates = json_array_get(result, 2);
        free(m->last_txn);
        m->last_txn = txn ? xstrdup(txn) : NULL;
    }
    _cleanup_error_ struct error *bad = NULL;
    if (!ovsdb_monitor_decode(updates, /* snapshot= */ !found, m->ops, m->userdata, &bad))
        fail(m, bad);
}

void ovsdb_monitor_connected(struct ovsdb_monitor *m) {
    if (m->call)
        ovsdb_conn_cancel(m->conn, m->call);
    json_t *params = m->resume
                         ? json_pack("[s,s,O,s]", m->database, m->id, m->tables, m->last_txn ? m->last_txn : NO_TXN)
                         : json_pack("[s,s,O]", m->database, m->id, m->tables);
    m->call = ovsdb_conn_call(m->conn, m->resume ? "monitor_cond_since" : "monitor_cond", params, START_TIMEOUT_MS,
                              on_started, m);
}

void ovsdb_monitor_disconnected(struct ovsdb_monitor *m) {
    if (m->call)
        ovsdb_conn_cancel(m->conn, m->call);
    m->call = 0;
}

bool ovsdb_monitor_notify(struct ovsdb_monitor *m, const char *method, const json_t *params) {
    const char *id = json_string_value(json_array_get(params, 0));
    if (!id || !str_eq(id, m->id))
        return false;
    _cleanup_error_ struct error *error = NULL;
    if (str_eq(method, "monitor_canceled")) {
        error_set(&error, OVSDB_ERROR, "monitor canceled", m->database, NULL);
        fail(m, error);
        return true;
    }
    bool with_txn = str_eq(method, "update3");
    if (!with_txn && !str_eq(method, "update2"))
        return false;
    if (with_txn) {
        const char *txn = json_string_value(json_array_get(params, 1));
        free(m->last_txn);
        m->last_txn = txn ? xstrdup(txn) : NULL;
    }
    if (!ovsdb_monitor_decode(json_array_get(params, with_txn ? 2 : 1), /* snapshot= */ false, m->ops, m->userdata,
                              &error))
        fail(m, error);
    return true;
}
