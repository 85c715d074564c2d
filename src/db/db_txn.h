/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a transaction, for db_txn.c (building) and db_txn_send.c (sending, outcome). Loop thread only. */
#pragma once

#include "db/db_internal.h"

struct txn_row {
    int class_id;
    struct uuid uuid;
    bool insert, delete;
    json_t *columns;   /* name -> value: of the insert or the update */
    json_t *mutations; /* [name, "insert" or "delete", value] in order */
};

/* What each operation is about, so that its failure can be told in the API's words. */
enum txn_note_kind { NOTE_MARKER, NOTE_FENCE, NOTE_EXPECT, NOTE_ROW };
struct txn_note {
    enum txn_note_kind kind;
    int class_id;
    struct uuid uuid;
    unsigned field;
};

enum txn_state {
    TXN_QUEUED,   /* not sent: nothing can have happened */
    TXN_SENT,     /* an answer is awaited on this connection */
    TXN_UNKNOWN,  /* was sent, the answer is lost: will be sent again */
    TXN_APPLIED,  /* answered well; its marker is not in the replica yet */
    TXN_FINISHED, /* the outcome is decided; the function is called at the end of this turn */
};

struct db_txn {
    struct db *db;
    char *comment;
    struct uuid marker;
    struct txn_row *rows;
    size_t n_rows;
    json_t *waits;          /* operations of the first n_notes notes, until txn_write */
    struct txn_note *notes; /* after txn_write: one per operation */
    size_t n_notes;
    bool is_barrier;       /* sent for its marker alone */
    struct error *refused; /* set while building: commit only reports it */

    json_t *params;
    enum txn_state state;
    bool was_sent;
    uint64_t call; /* id of the request on the wire, 0 when none */
    uint64_t timeout_ms, first_deadline_ms, last_deadline_ms;
    uint64_t retry_ms; /* not before */
    db_done_fn *done;
    void *userdata;
    struct error *outcome;
    struct db_txn *next;
};

/* A transaction that changes nothing: when it has ended well, the replica shows all that was committed before it. */
struct db_txn *db_txn_barrier(struct db *d);
void txn_free(struct db_txn *t);
void txn_write(struct db_txn *t, const struct uuid *prune, size_t n_prune);
void txn_error_not_coordinator(struct db *d, struct error **errp);
