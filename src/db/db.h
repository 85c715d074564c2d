/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replica: every object of the pool, in this process's memory. It merges two stores, the pool database (OVSDB rows,
 * fed by db_sync.c) and the volatile store (rows and columns owned by one host each, fed by the pool channel), and
 * keeps one change log over both, from which event.from is served. Reads never leave the process. Loop thread only.
 *
 * Rows are borrowed: a pointer is good until the next loop turn; keep the uuid instead.
 */
#pragma once

#include "base/error.h"
#include "loop/loop.h"
#include "model/model.h"

struct db;

struct row {
    const struct class_def *class;
    struct uuid uuid;
    uint64_t created_gen;
    uint64_t changed_gen;
    struct value *fields; /* class->n_fields values, complete: every field holds a value of its type */
};

struct db *db_new(struct loop *l);
/* Transactions still under way end without their function being called; db_sync_stop first ends them with an error. */
void db_free(struct db *d);
/* Names the host this process runs on. db_txn_fence compares it with pool.master; without it nobody is the coordinator.
 */
void db_set_self(struct db *d, const struct uuid *host);

/* ---- reading ---- */
const struct row *db_get(struct db *d, int class_id, const struct uuid *uuid); /* NULL when not there */
const struct row *db_first(struct db *d, int class_id);                        /* iteration in order of creation */
const struct row *db_next(struct db *d, const struct row *r);
size_t db_count(struct db *d, int class_id);
/* The single pool row; NULL before the first snapshot. */
const struct row *db_pool(struct db *d);

static inline const struct value *row_value(const struct row *r, unsigned field) {
    return &r->fields[field];
}
static inline const char *row_str(const struct row *r, unsigned field) {
    return value_str(&r->fields[field]);
}
static inline int64_t row_int(const struct row *r, unsigned field) {
    return value_as_int(&r->fields[field]);
}
static inline bool row_bool(const struct row *r, unsigned field) {
    return value_as_bool(&r->fields[field]);
}
static inline const struct uuid *row_ref(const struct row *r, unsigned field) {
    return &r->fields[field].ref;
}
/* The row that a reference field names, or NULL. */
const struct row *db_follow(struct db *d, const struct row *r, unsigned field);
/* JSON text of the whole record, cached per row until it changes. Borrowed as the row is. */
const struct buf *db_row_json(struct db *d, const struct row *r);

/*
 * The UUID of the row of `class_name` in the volatile store that goes with an object, as host.metrics and PIF.metrics
 * name it: db_companion_uuid(&host, "host_metrics"). The same on every host, for ever.
 */
struct uuid db_companion_uuid(const struct uuid *object, const char *class_name);

/* ---- watching ---- */
enum db_event { DB_ADDED, DB_CHANGED, DB_DELETED };
/* Called once per changed row after a whole batch has been applied. For DB_DELETED `r` is the last state. */
typedef void db_watch_fn(struct db *d, enum db_event event, const struct row *r, void *userdata);
struct db_watch;
struct db_watch *db_watch_add(struct db *d, int class_id /* -1: all */, db_watch_fn *fn, void *userdata);
void db_watch_free(struct db_watch *w);
/* Called once at the end of each batch that changed anything; event.from waits on this. */
typedef void db_batch_fn(struct db *d, uint64_t generation, void *userdata);
struct db_watch *db_watch_batches(struct db *d, db_batch_fn *fn, void *userdata);

/* ---- change log ---- */
uint64_t db_generation(const struct db *d); /* of the latest batch; never 0 once anything is there */
uint64_t
db_generation_base(const struct db *d); /* random per process start: tokens of another process are recognised */
struct db_change {
    enum db_event op;
    const struct row *row; /* NULL for DB_DELETED */
    int class_id;
    struct uuid uuid;
};
typedef void db_change_fn(const struct db_change *c, void *userdata);
/*
 * Calls fn for every object changed after generation `since` (0: everything, as DB_ADDED), adds then changes then
 * deletes, each object once with its newest state. False when `since` is older than the remembered deletions: the
 * caller must resend everything.
 */
bool db_changes_since(struct db *d, uint64_t since, db_change_fn *fn, void *userdata);

/* Marks the row as changed, in a batch of its own, though no value changed (event.inject, the pool's heartbeat event).
 */
void db_touch(struct db *d, int class_id, const struct uuid *uuid);

/* ---- writing to the pool database ---- */
/*
 * A transaction is a list of row operations sent as one OVSDB transaction with a marker row of its own UUID (so that an
 * unknown outcome can be resolved) and, for coordinator writes, a `wait` on pool.epoch. Nothing shows in the replica
 * until the database has committed it. `done` is called exactly once, never from inside db_txn_commit: error NULL when
 * committed (and the replica already shows it), DB_TIMEOUT-like API errors otherwise. deadline_ms counts from the call.
 * A write without an answer at its deadline is resolved in the background; `done` then says DB_WRITE_UNKNOWN only after
 * resolution was impossible for another deadline.
 */
struct db_txn;
typedef void db_done_fn(struct error *error /* borrowed */, void *userdata);

struct db_txn *db_txn_new(struct db *d, const char *comment);
struct uuid db_txn_insert(struct db_txn *t, int class_id,
                          const struct uuid *uuid /* NULL: random */); /* fields get defaults */
void db_txn_set(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value v /* taken */);
void db_txn_map_put(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, const char *key,
                    struct value v);
void db_txn_map_remove(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, const char *key);
void db_txn_set_add(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value item);
void db_txn_set_remove(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value item);
void db_txn_delete(struct db_txn *t, int class_id, const struct uuid *uuid);
/* The transaction only commits while this field still has this value (compare-and-swap); else error DB_CONFLICT. */
void db_txn_expect(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value v);
/* Fences the transaction with pool.epoch as this replica knows it; fails at once with HOST_IS_SLAVE-like errors when we
 * are not the coordinator. */
void db_txn_fence(struct db_txn *t);
bool db_txn_is_empty(const struct db_txn *t);
void db_txn_commit(struct db_txn *t /* consumed */, uint64_t deadline_ms, db_done_fn *done /* may be NULL */,
                   void *userdata);
void db_txn_abandon(struct db_txn *t);

/* ---- a copy to try changes on ---- */
/*
 * A replica of its own with the rows that these classes have now. Nothing feeds it and nothing it holds goes anywhere:
 * what would be if a transaction were committed is read from it as from any other. References to classes that were not
 * copied lead nowhere. Freed with db_free.
 */
struct db *db_fork(struct db *d, const int *classes, size_t n);
void db_fork_insert(struct db *fork, int class_id, const struct uuid *uuid); /* fields get defaults */
void db_fork_set(struct db *fork, int class_id, const struct uuid *uuid, unsigned field, struct value v /* taken */);
void db_fork_delete(struct db *fork, int class_id, const struct uuid *uuid);
/* What this transaction would write, written there; it must not change parts of sets and maps. It is not consumed. */
void db_fork_txn(struct db *fork, const struct db_txn *t);

/* ---- the volatile store ---- */
/*
 * Rows of volatile classes and volatile columns of database rows. Each has one owner host; the owner writes here and
 * the pool channel carries it to the others, which apply it with db_volatile_apply. All changes of one loop turn form
 * one batch.
 */
void db_volatile_put(struct db *d, const struct uuid *owner, int class_id,
                     const struct uuid *uuid); /* create an empty row */
void db_volatile_set(struct db *d, const struct uuid *owner, int class_id, const struct uuid *uuid, unsigned field,
                     struct value v /* taken; no-op when equal */);
void db_volatile_delete(struct db *d, const struct uuid *owner, int class_id, const struct uuid *uuid);
/* Everything that `owner` owns, as JSON text for the channel; and what changed after `since` (owner's own counter). */
uint64_t db_volatile_generation(struct db *d, const struct uuid *owner);
char *db_volatile_export(struct db *d, const struct uuid *owner, uint64_t since,
                         uint64_t *ret_generation); /* caller frees */
/* Applies an export of another host; a full export (since 0) replaces what that owner had. */
bool db_volatile_apply(struct db *d, const struct uuid *owner, const char *json, size_t size,
                       struct error **errp) _warn_unused_;
void db_volatile_drop_owner(struct db *d, const struct uuid *owner);

/* ---- state of the connection to the pool database ---- */
struct db_status {
    bool loaded;     /* a first snapshot is in */
    bool connected;  /* to the local server */
    bool has_quorum; /* the local server reaches a leader */
    /*
     * The rows hold everything that had been committed when this connection was made. A server that has just started
     * shows what it had on its disk, which may be long past, until it hears its leader; without a majority it stays so.
     */
    bool in_step;
    const char *text; /* one sentence */
};
struct db_status db_get_status(struct db *d);
typedef void db_status_fn(struct db *d, void *userdata);
void db_on_status(struct db *d, db_status_fn *fn,
                  void *userdata); /* one listener per daemon is enough: the daemon fans out */

/* Starts following the local database server on its unix socket; reconnects for ever with back-off. */
void db_sync_start(struct db *d, const char *socket_path);
void db_sync_stop(struct db *d);
/* Stops, and says why it does not follow: `text` becomes the status text until it is started again. */
void db_sync_refuse(struct db *d, const char *text);
