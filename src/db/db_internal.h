/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the replica, for the files of this folder and its unit tests: nobody else includes it. Loop thread
 * only.
 *
 * A change goes through three steps: a row is altered (db_object_*), which puts it on the open batch; the batch is
 * closed (db_batch_close), which gives it a generation, moves its rows to the end of the change log and tells the
 * watches; rows that are gone stay in memory until the next turn of the loop, since callers borrow them.
 */
#pragma once

#include <jansson.h>

#include "base/strmap.h"
#include "db/db.h"
#include "ovsdb/ovsdb_monitor.h"

#define DB_NAME "Muster"
#define MARKER_TABLE "Marker"
/* Deletions remembered for event.from: a client that is further behind than this gets everything again. */
#define TOMBSTONES_MAX 8192

/* Place of an object in the open batch. */
enum batch_state { BATCH_NONE, BATCH_ADDED, BATCH_CHANGED, BATCH_DELETED, BATCH_DROPPED /* came and went unseen */ };

struct object {
    struct row row; /* first: a struct row * of ours is a struct object * */
    struct buf json;
    struct object *next, *prev;         /* of its class, in order of creation */
    struct object *log_next, *log_prev; /* all objects, in order of change */
    struct object *grave_next;
    enum batch_state batch_state;
    bool gone;             /* deleted; waits for the end of the turn */
    uint64_t snapshot;     /* number of the last snapshot it was in */
    struct value values[]; /* row.fields */
};

struct table {
    const struct class_def *class;
    struct uuidmap *objects;
    struct object *first, *last;
    /* For each field that refers to others: the class and the field that keep its reverse, or -1. */
    struct {
        int class_id, field;
    } * reverse;
    struct uuidmap **orphans; /* for each relation field: target that is not there -> struct value * (set) */
    struct uuidmap *overlay;  /* uuid -> struct vol_row *, chained: what the volatile store says about it */
};

struct tombstone {
    int class_id;
    struct uuid uuid;
    uint64_t created_gen, deleted_gen;
};

struct db_watch {
    struct db *db;
    int class_id;
    db_watch_fn *fn;
    db_batch_fn *batch_fn;
    void *userdata;
    bool dead;
    struct db_watch *next;
};

struct db_sync;
struct db_txns;

struct db {
    struct loop *loop;
    struct uuid self;
    struct table tables[N_CLASSES];

    uint64_t base, generation;
    struct object *log_first, *log_last;
    struct tombstone *tombstones; /* ring of TOMBSTONES_MAX */
    size_t tombstone_first, n_tombstones;
    uint64_t tombstone_floor; /* generation of the newest deletion that was forgotten */

    struct object **batch; /* rows of the open batch, in order of their first change */
    size_t n_batch, batch_capacity;
    struct loop_source *batch_timer;
    bool in_batch_close;
    struct object *graveyard; /* by grave_next */
    uint64_t snapshot;        /* number of the current or last one */

    struct db_watch *watches;

    struct uuidmap *owners; /* of the volatile store: struct vol_owner * */

    struct db_status status;
    char *status_text;
    char *refusal; /* why nothing is followed; NULL */
    db_status_fn *status_fn;
    void *status_userdata;
    struct db_sync *sync;
    struct db_txns *txns;
};

/* ---- db.c ---- */
struct object *db_object(struct db *d, int class_id, const struct uuid *uuid);
/* A new row with every field at its default; the caller fills it in the same turn. It must not be there yet. */
struct object *db_object_add(struct db *d, int class_id, const struct uuid *uuid);
void db_object_delete(struct db *d, struct object *o);
/* Takes v. True when the value is another one now. Keeps the reverse sets. */
bool db_object_set(struct db *d, struct object *o, unsigned field, struct value v);
void db_object_mark(struct db *d, struct object *o);
struct value db_field_default(const struct field_def *f);
static inline bool db_class_is_stored(int class_id) {
    return class_id >= 0 && model_classes[class_id].has_table && !model_classes[class_id].is_volatile;
}

/* ---- db_batch.c ---- */
void db_batch_add(struct db *d, struct object *o, enum batch_state state);
void db_batch_close(struct db *d);
void db_batch_soon(struct db *d); /* closes it at the end of this turn */
void db_batch_done(struct db *d); /* frees every row and watch */

/* ---- db_relation.c ---- */
void db_relation_init(struct db *d);
void db_relation_done(struct db *d);
/* The value of a referring field goes (add false) or comes (add true): alters the sets of those it names. */
void db_relation_update(struct db *d, struct object *o, unsigned field, const struct value *v, bool add);
void db_relation_adopt(struct db *d, struct object *o);   /* a new row takes the set that was waiting for it */
void db_relation_abandon(struct db *d, struct object *o); /* a row that goes leaves its sets behind */

/* ---- db_derive.c ---- */
void db_derive(struct db *d, struct object *o);

/* ---- db_ovsdb.c: between values and columns ---- */
json_t *db_column_from_value(const struct type_def *t, const struct value *v);
json_t *db_atom_from_value(const struct type_def *t, const struct value *v);
bool db_value_from_column(const struct type_def *t, const json_t *column, struct value *ret) _warn_unused_;
/* `old` with the difference of a "modify" applied; the whole new value for types of at most one element. */
bool db_value_from_change(const struct type_def *t, const struct value *old, const json_t *column,
                          struct value *ret) _warn_unused_;

/* One row of the database as a monitor reports it. `columns` NULL for OVSDB_ROW_DELETE. */
void db_apply_row(struct db *d, int class_id, const struct uuid *uuid, enum ovsdb_row_op op, const json_t *columns);
void db_snapshot_begin(struct db *d);
void db_snapshot_end(struct db *d); /* deletes the stored rows that it did not have */

/* ---- db_volatile.c ---- */
void db_volatile_overlay(struct db *d, struct object *o); /* a row came: its volatile columns */
void db_volatile_forget(struct db *d, int class_id,
                        const struct uuid *uuid); /* a row of the database is gone for good */
void db_volatile_done(struct db *d);

/* ---- db_txn.c, db_txn_send.c ---- */
void db_txns_done(struct db *d);
/* The replica shows (or no longer shows) this marker: called when the batch it came with is closed. */
void db_txns_marker(struct db *d, const struct uuid *marker, bool present);
void db_txns_pump(struct db *d);           /* the state of the connection changed */
void db_txns_forget_markers(struct db *d); /* a snapshot follows */
void db_txns_fail_all(struct db *d);

/* ---- db_sync.c ---- */
struct ovsdb_conn *db_sync_conn(struct db *d);    /* NULL unless transactions may be sent now */
void db_sync_cancel(struct db *d, uint64_t call); /* of any connection */
const char *db_sync_obstacle(struct db *d);       /* one sentence: why not */
