/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows tables of one database over an ovsdb_conn. With `resume` it uses monitor_cond_since and remembers the last
 * transaction it has seen, so that a new connection brings only what changed since; without, monitor_cond (enough for
 * the _Server database). The owner of the connection passes on its events: ovsdb_monitor_connected after each connect,
 * ovsdb_monitor_notify for each notification. Loop thread only. The monitor does not own the connection.
 */
#pragma once

#include "base/uuid.h"
#include "ovsdb/ovsdb_conn.h"

enum ovsdb_row_op {
    OVSDB_ROW_INITIAL, /* whole row of a snapshot */
    OVSDB_ROW_INSERT,  /* whole row, columns at their default left out */
    OVSDB_ROW_MODIFY,  /* changed columns: new value where at most one element fits, else the difference of sets or maps
                        */
    OVSDB_ROW_DELETE,  /* columns NULL */
};

struct ovsdb_monitor_ops {
    /* `snapshot`: rows that are not among the following are gone. */
    void (*begin)(bool snapshot, void *userdata);
    void (*row)(const char *table, const struct uuid *u, enum ovsdb_row_op op, const json_t *columns, void *userdata);
    void (*end)(void *userdata);
    /* The server refused (no such database or table, ...), cancelled, or sent what cannot be read. */
    void (*failed)(struct error *error /* borrowed */, void *userdata);
};

struct ovsdb_monitor;
/* `tables` is taken: {"Table": [{"columns": [...]}], ...}. Nothing is sent before ovsdb_monitor_connected. */
struct ovsdb_monitor *ovsdb_monitor_new(struct ovsdb_conn *c, const char *database, json_t *tables, bool resume,
                                        const struct ovsdb_monitor_ops *ops, void *userdata);
void ovsdb_monitor_free(struct ovsdb_monitor *m);
void ovsdb_monitor_connected(struct ovsdb_monitor *m);
void ovsdb_monitor_disconnected(struct ovsdb_monitor *m);
/* True when the notification was meant for this monitor. */
bool ovsdb_monitor_notify(struct ovsdb_monitor *m, const char *method, const json_t *params);
/* Forgets the last transaction: the next connect brings a snapshot. */
void ovsdb_monitor_forget(struct ovsdb_monitor *m);

/* Decodes the <table-updates2> object of a reply or a notification; exposed for the fuzzer. Checks everything first. */
bool ovsdb_monitor_decode(const json_t *updates, bool snapshot, const struct ovsdb_monitor_ops *ops, void *userdata,
                          struct error **errp) _warn_unused_;
