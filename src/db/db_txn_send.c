/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending transactions and learning their outcome. Success is seen in the replica: the marker row has arrived (whether
 * or not there was an answer). Failure is an answer that says so. Anything else is unknown, and the transaction is sent
 * again on the next connection: when it had been applied, its marker answers "duplicate uuid".
 */
#include <string.h>

#include "base/str.h"
#include "db/db_txn.h"

/* Markers of ours that nobody can need any more are deleted along with later transactions, so many at once. */
#define PRUNE_MAX 32
/* Markers of others that were not cleared: their writers have given up long ago (two deadlines, a minute or so). */
#define FOREIGN_MARKER_AGE_MS (10 * 60 * 1000)
#define RETRY_MS 200
/* Only a bug can gather more; writers wait for their outcome. */
#define WAITING_MAX 20000

struct db_txns {
    struct db_txn *first, *last; /* in order of commit */
    size_t n;
    struct loop_source *timer;
    struct uuidmap *markers;    /* in the replica: uuid -> when first seen, ms */
    struct uuid own[PRUNE_MAX]; /* settled markers of ours */
    size_t n_own;
};

static void on_timer(struct loop_source *s, void *userdata);

static struct db_txns *txns_get(struct db *d) {
    if (d->txns)
        return d->txns;
    d->txns = xnew0(struct db_txns);
    d->txns->markers = uuidmap_new();
    d->txns->timer = loop_add_timer(d->loop, LOOP_NEVER, on_timer, d);
    return d->txns;
}

void db_txns_done(struct db *d) {
    struct db_txns *x = TAKE(d->txns);
    if (!x)
        return;
    while (x->first) {
        struct db_txn *t = x->first;
        x->first = t->next;
        if (t->call)
            db_sync_cancel(d, t->call);
        txn_free(t);
    }
    uuidmap_free(x->markers);
    loop_source_free(x->timer);
    free(x);
}

static uint64_t deadline_of(const struct db_txn *t) {
    if (t->state == TXN_FINISHED)
        return t->done ? 0 : LOOP_NEVER;
    return t->was_sent ? t->last_deadline_ms : t->first_deadline_ms;
}

static void arm_timer(struct db *d) {
    uint64_t now = loop_now_ms(d->loop), nearest = LOOP_NEVER;
    for (const struct db_txn *t = d->txns->first; t; t = t->next) {
        nearest = MIN(nearest, deadline_of(t));
        if (t->state == TXN_UNKNOWN)
            nearest = MIN(nearest, MAX(t->retry_ms, now + 1));
    }
    loop_timer_set(d->txns->timer, nearest == LOOP_NEVER ? LOOP_NEVER : nearest > now ? nearest - now : 0);
}

static void decide(struct db_txn *t, struct error *outcome /* taken */) {
    if (t->state == TXN_FINISHED) {
        error_free(outcome);
        return;
    }
    t->state = TXN_FINISHED;
    t->outcome = outcome;
}

static void txn_remove(struct db *d, struct db_txn *t) {
    struct db_txns *x = d->txns;
    struct db_txn *before = NULL;
    for (struct db_txn *p = x->first; p != t; p = p->next)
        before = p;
    *(before ? &before->next : &x->first) = t->next;
    if (x->last == t)
        x->last = before;
    x->n--;
    if (t->was_sent && !t->outcome && x->n_own < PRUNE_MAX)
        x->own[x->n_own++] = t->marker;
    txn_free(t);
}

/* Tells the outcomes that are decided, in order, and forgets transactions that nobody on the wire can still touch. */
static void deliver(struct db *d) {
    for (struct db_txn *t = d->txns->first; t;) {
        if (t->state == TXN_FINISHED && t->done) {
            db_done_fn *done = TAKE(t->done);
            done(t->outcome, t->userdata);
            if (!d->txns)
                return;
            t = d->txns->first; /* the list may be another now */
            continue;
        }
        struct db_txn *next = t->next;
        if (t->state == TXN_FINISHED && t->call == 0)
            txn_remove(d, t);
        t = next;
    }
    arm_timer(d);
}

/* ---- answers ---- */

static bool is_any(const char *s, const char *const *words) {
    for (; *words; words++) {
        if (str_eq(s, *words))
            return true;
    }
    return false;
}

static struct error *explain(struct db_txn *t, size_t index, struct error *answer) {
    struct error *e = NULL;
    char text[REF_TEXT_SIZE];
    const struct txn_note *note = index < t->n_notes ? &t->notes[index] : NULL;
    bool waited = str_eq(error_param(answer, 0), "timed out");
    if (note && waited && note->kind == NOTE_FENCE) {
        txn_error_not_coordinator(t->db, &e);
        error_wrap(&e, "the pool has another coordinator or epoch by now");
    } else if (note && waited && note->kind == NOTE_EXPECT) {
        const struct class_def *class = &model_classes[note->class_id];
        error_set(&e, ERR_DB_CONFLICT, class->name, ref_text(&note->uuid, text), class->fields[note->field].name, NULL);
    } else if (note && waited && note->kind == NOTE_ROW) {
        error_set(&e, ERR_HANDLE_INVALID, model_classes[note->class_id].name, ref_text(&note->uuid, text), NULL);
    } else {
        error_internal(&e, "the pool database refused '%s': %s: %s", t->comment, error_param(answer, 0),
                       error_param(answer, 1));
    }
    return e;
}

static void handle_result(struct db_txn *t, const json_t *result) {
    static const char *const unclear[] = {"cluster error", "i/o error",       "canceled",
                                          "not leader",    "leadership lost", NULL};
    struct db *d = t->db;
    _cleanup_error_ struct error *answer = NULL;
    size_t index;
    bool done = ovsdb_transact_check(result, t->n_notes, &index, &answer);
    if (done || (index == 0 && str_eq(error_param(answer, 0), "duplicate uuid"))) {
        t->state = TXN_APPLIED;
        if (uuidmap_get(d->txns->markers, &t->marker))
            decide(t, NULL);
    } else if (is_any(error_param(answer, 0), unclear)) {
        t->state = TXN_UNKNOWN;
        t->retry_ms = loop_now_ms(d->loop) + RETRY_MS;
    } else {
        decide(t, explain(t, index, answer));
    }
}

static void on_reply(const json_t *result, struct error *error, void *userdata) {
    struct db_txn *t = userdata;
    struct db *d = t->db;
    t->call = 0;
    if (t->state == TXN_SENT && error) {
        t->state = TXN_UNKNOWN;
        t->retry_ms = error_is(error, OVSDB_DISCONNECTED) ? 0 : loop_now_ms(d->loop) + RETRY_MS;
    } else if (t->state == TXN_SENT) {
        handle_result(t, result);
    }
    deliver(d);
}

void db_txns_marker(struct db *d, const struct uuid *marker, bool present) {
    struct db_txns *x = txns_get(d);
    if (!present) {
        uuidmap_remove(x->markers, marker);
        return;
    }
    if (!uuidmap_get(x->markers, marker))
        uuidmap_put(x->markers, marker, (void *)(uintptr_t)loop_now_ms(d->loop));
    for (struct db_txn *t = x->first; t; t = t->next) {
        if (uuid_eq(&t->marker, marker))
            decide(t, NULL);
    }
}

void db_txns_forget_markers(struct db *d) {
    struct db_txns *x = txns_get(d);
    uuidmap_free(x->markers);
    x->markers = uuidmap_new();
}

/* ---- sending ---- */

static void add_foreign_markers(struct db *d, struct uuid *list, size_t *n) {
    size_t pos = 0;
    struct uuid key;
    void *seen;
    uint64_t now = loop_now_ms(d->loop);
    while (*n < PRUNE_MAX && uuidmap_next(d->txns->markers, &pos, &key, &seen)) {
        if (now - (uint64_t)(uintptr_t)seen > FOREIGN_MARKER_AGE_MS)
            list[(*n)++] = key;
    }
}

static void send_one(struct db *d, struct ovsdb_conn *c, struct db_txn *t) {
    if (!t->params) {
        struct db_txns *x = d->txns;
        struct uuid prune[PRUNE_MAX];
        size_t n = x->n_own;
        memcpy(prune, x->own, n * sizeof(*prune));
        x->n_own = 0;
        add_foreign_markers(d, prune, &n);
        txn_write(t, prune, n);
    }
    t->state = TXN_SENT;
    t->was_sent = true;
    t->call = ovsdb_conn_call(c, "transact", json_incref(t->params), LOOP_NEVER, on_reply, t);
}

static void send_waiting(struct db *d) {
    struct ovsdb_conn *c = db_sync_conn(d);
    uint64_t now = loop_now_ms(d->loop);
    for (struct db_txn *t = c ? d->txns->first : NULL; t; t = t->next) {
        bool due = t->state == TXN_QUEUED || (t->state == TXN_UNKNOWN && t->retry_ms <= now && t->call == 0);
        if (due)
            send_one(d, c, t);
    }
}

void db_txns_pump(struct db *d) {
    if (!d->txns)
        return;
    send_waiting(d);
    deliver(d);
}

static void expire(struct db *d, struct db_txn *t) {
    struct error *e = NULL;
    if (!t->was_sent && !db_sync_conn(d)) {
        error_set(&e, ERR_DB_NO_QUORUM, db_sync_obstacle(d), NULL);
        error_wrap(&e, "'%s' was not sent", t->comment);
    } else if (!t->was_sent) {
        error_set(&e, ERR_DB_TIMEOUT, t->comment, NULL);
    } else if (t->state != TXN_APPLIED) {
        error_set(&e, ERR_DB_WRITE_UNKNOWN, t->comment, NULL);
    }
    decide(t, e);
    /* The answer, should it come, is of no use to anybody; the marker stays, for the request may still be performed. */
    if (t->call)
        db_sync_cancel(d, t->call);
    t->call = 0;
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct db *d = userdata;
    uint64_t now = loop_now_ms(d->loop);
    for (struct db_txn *t = d->txns->first; t; t = t->next) {
        if (t->state != TXN_FINISHED && deadline_of(t) <= now)
            expire(d, t);
    }
    db_txns_pump(d);
}

void db_txns_fail_all(struct db *d) {
    if (!d->txns)
        return;
    for (struct db_txn *t = d->txns->first; t; t = t->next) {
        struct error *e = NULL;
        if (t->was_sent)
            error_set(&e, ERR_DB_WRITE_UNKNOWN, t->comment, NULL);
        else
            error_set(&e, ERR_DB_NO_QUORUM, "The pool database is not followed any more.", NULL);
        decide(t, t->state == TXN_APPLIED ? (error_free(e), NULL) : e);
        t->call = 0;
    }
    deliver(d);
}

void db_txn_commit(struct db_txn *t, uint64_t deadline_ms, db_done_fn *done, void *userdata) {
    struct db *d = t->db;
    struct db_txns *x = txns_get(d);
    uint64_t now = loop_now_ms(d->loop);
    t->first_deadline_ms = now + MIN(deadline_ms, (uint64_t)1 << 40);
    t->last_deadline_ms = now + 2 * MIN(deadline_ms, (uint64_t)1 << 40);
    t->done = done;
    t->userdata = userdata;
    t->next = NULL;
    *(x->last ? &x->last->next : &x->first) = t;
    x->last = t;
    x->n++;
    if (t->refused)
        decide(t, TAKE(t->refused));
    else if (x->n > WAITING_MAX)
        error_set(&t->outcome, ERR_DB_TIMEOUT, t->comment, NULL), t->state = TXN_FINISHED;
    else if (!t->is_barrier && t->n_rows == 0 && json_array_size(t->waits) == 0)
        decide(t, NULL);
    if (t->state == TXN_FINISHED && !done)
        txn_remove(d, t);
    else
        send_waiting(d);
    arm_timer(d);
}
