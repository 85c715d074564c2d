/* SPDX-License-Identifier: Apache-2.0 */
/* The open batch, the watches, and the change log: what happens between an altered row and those who wait for it. */
#include "db/db_internal.h"

static void object_free(struct object *o) {
    for (unsigned i = 0; i < o->row.class->n_fields; i++)
        value_done(&o->values[i]);
    buf_done(&o->json);
    free(o);
}

static void bury(struct db *d) {
    while (d->graveyard) {
        struct object *o = d->graveyard;
        d->graveyard = o->grave_next;
        object_free(o);
    }
}

/* A later turn of the loop: nobody may borrow the rows of the graveyard any more. */
static void on_batch_timer(struct loop_source *s, void *userdata) {
    struct db *d = userdata;
    bury(d);
    db_batch_close(d);
}

void db_batch_soon(struct db *d) {
    if (!d->batch_timer)
        d->batch_timer = loop_add_timer(d->loop, LOOP_NEVER, on_batch_timer, d);
    if (!loop_timer_armed(d->batch_timer))
        loop_timer_set(d->batch_timer, 0);
}

void db_batch_done(struct db *d) {
    loop_source_free(TAKE(d->batch_timer));
    bury(d);
    for (size_t i = 0; i < d->n_batch; i++) {
        if (d->batch[i]->gone)
            object_free(d->batch[i]);
    }
    free(TAKE(d->batch));
    d->n_batch = d->batch_capacity = 0;
    for (int i = 0; i < N_CLASSES; i++) {
        for (struct object *o = d->tables[i].first, *next; o; o = next) {
            next = o->next;
            object_free(o);
        }
        d->tables[i].first = d->tables[i].last = NULL;
    }
    while (d->watches) {
        struct db_watch *w = d->watches;
        d->watches = w->next;
        free(w);
    }
}

void db_batch_add(struct db *d, struct object *o, enum batch_state state) {
    if (o->batch_state != BATCH_NONE) {
        if (state == BATCH_DELETED)
            o->batch_state = o->batch_state == BATCH_ADDED ? BATCH_DROPPED : BATCH_DELETED;
        return;
    }
    if (d->n_batch == d->batch_capacity) {
        d->batch_capacity = MAX(d->batch_capacity * 2, (size_t)64);
        d->batch = xrealloc_array(d->batch, d->batch_capacity, sizeof(*d->batch));
    }
    d->batch[d->n_batch++] = o;
    o->batch_state = state;
    db_batch_soon(d); /* whoever closes it earlier is welcome */
}

/* ---- watches ---- */

static struct db_watch *watch_add(struct db *d, int class_id, db_watch_fn *fn, db_batch_fn *batch_fn, void *userdata) {
    struct db_watch *w = xnew0(struct db_watch);
    *w = (struct db_watch){.db = d, .class_id = class_id, .fn = fn, .batch_fn = batch_fn, .userdata = userdata};
    struct db_watch **at = &d->watches;
    while (*at)
        at = &(*at)->next;
    *at = w;
    return w;
}

struct db_watch *db_watch_add(struct db *d, int class_id, db_watch_fn *fn, void *userdata) {
    return watch_add(d, class_id, fn, NULL, userdata);
}

struct db_watch *db_watch_batches(struct db *d, db_batch_fn *fn, void *userdata) {
    return watch_add(d, -1, NULL, fn, userdata);
}

static void sweep_watches(struct db *d) {
    for (struct db_watch **at = &d->watches; *at;) {
        struct db_watch *w = *at;
        if (!w->dead) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w);
    }
}

void db_watch_free(struct db_watch *w) {
    if (!w)
        return;
    w->dead = true;
    if (!w->db->in_batch_close)
        sweep_watches(w->db);
}

static void tell_watches(struct db *d, enum db_event event, const struct row *r) {
    for (struct db_watch *w = d->watches; w; w = w->next) {
        if (!w->dead && w->fn && (w->class_id < 0 || w->class_id == r->class->id))
            w->fn(d, event, r, w->userdata);
    }
}

/* ---- closing ---- */

static void remember_deletion(struct db *d, const struct object *o) {
    struct tombstone *t = &d->tombstones[(d->tombstone_first + d->n_tombstones) % TOMBSTONES_MAX];
    if (d->n_tombstones == TOMBSTONES_MAX) {
        d->tombstone_floor = t->deleted_gen;
        d->tombstone_first = (d->tombstone_first + 1) % TOMBSTONES_MAX;
    } else {
        d->n_tombstones++;
    }
    *t = (struct tombstone){.class_id = o->row.class->id,
                            .uuid = o->row.uuid,
                            .created_gen = o->row.created_gen,
                            .deleted_gen = d->generation};
}

struct batch_item {
    struct object *object;
    enum batch_state state;
};

/* Deleted and added again under the same UUID inside one batch: for everybody else that is a change. */
static void join_replaced(struct db *d, struct object **batch, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct object *o = batch[i];
        if (o->batch_state != BATCH_DELETED)
            continue;
        struct object *again = db_object(d, o->row.class->id, &o->row.uuid);
        if (!again || again->batch_state != BATCH_ADDED)
            continue;
        again->row.created_gen = o->row.created_gen;
        again->batch_state = BATCH_CHANGED;
        o->batch_state = BATCH_DROPPED;
    }
}

/* Deletions last, so that a watch sees a row that replaces another before the other goes. */
static void tell_batch(struct db *d, const struct batch_item *items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (items[i].state == BATCH_ADDED || items[i].state == BATCH_CHANGED)
            tell_watches(d, items[i].state == BATCH_ADDED ? DB_ADDED : DB_CHANGED, &items[i].object->row);
    }
    for (size_t i = 0; i < n; i++) {
        if (items[i].state == BATCH_DELETED)
            tell_watches(d, DB_DELETED, &items[i].object->row);
    }
    for (struct db_watch *w = d->watches; w; w = w->next) {
        if (!w->dead && w->batch_fn)
            w->batch_fn(d, d->generation, w->userdata);
    }
}

/*
 * The batch is taken over whole before anybody is told: what callbacks alter goes into a new batch, closed in the next
 * turn. Rows they delete stay in memory until then as well.
 */
void db_batch_close(struct db *d) {
    if (d->n_batch == 0)
        return;
    if (d->in_batch_close) {
        db_batch_soon(d);
        return;
    }
    d->in_batch_close = true;
    d->generation++;
    size_t n = d->n_batch;
    join_replaced(d, d->batch, n);
    struct batch_item *items = xcalloc(n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        struct object *o = d->batch[i];
        items[i] = (struct batch_item){.object = o, .state = o->batch_state};
        o->batch_state = BATCH_NONE;
        if (items[i].state == BATCH_DELETED) {
            remember_deletion(d, o);
            if (!db_object(d, o->row.class->id, &o->row.uuid))
                db_volatile_forget(d, o->row.class->id, &o->row.uuid);
        }
    }
    d->n_batch = 0;
    tell_batch(d, items, n);
    for (size_t i = 0; i < n; i++) {
        struct object *o = items[i].object;
        if (items[i].state != BATCH_DELETED && items[i].state != BATCH_DROPPED)
            continue;
        o->grave_next = d->graveyard;
        d->graveyard = o;
    }
    free(items);
    d->in_batch_close = false;
    sweep_watches(d);
    if (d->graveyard)
        db_batch_soon(d);
}

/* ---- change log ---- */

uint64_t db_generation(const struct db *d) {
    return d->generation;
}

uint64_t db_generation_base(const struct db *d) {
    return d->base;
}

static void tell_change(enum db_event op, const struct object *o, db_change_fn *fn, void *userdata) {
    fn(&(struct db_change){.op = op, .row = &o->row, .class_id = o->row.class->id, .uuid = o->row.uuid}, userdata);
}

bool db_changes_since(struct db *d, uint64_t since, db_change_fn *fn, void *userdata) {
    if (since != 0 && (since < d->base || since > d->generation || since < d->tombstone_floor))
        return false;
    struct object *first = d->log_last;
    while (first && first->row.changed_gen > since)
        first = first->log_prev;
    first = first ? first->log_next : d->log_first;
    /* What the open batch holds will be seen when it is closed. */
    for (struct object *o = first; o; o = o->log_next) {
        if (o->row.created_gen > since && o->row.created_gen <= d->generation)
            tell_change(DB_ADDED, o, fn, userdata);
    }
    if (since == 0)
        return true;
    for (struct object *o = first; o; o = o->log_next) {
        if (o->row.created_gen <= since)
            tell_change(DB_CHANGED, o, fn, userdata);
    }
    for (size_t i = 0; i < d->n_tombstones; i++) {
        const struct tombstone *t = &d->tombstones[(d->tombstone_first + i) % TOMBSTONES_MAX];
        if (t->deleted_gen <= since || t->created_gen > since || db_get(d, t->class_id, &t->uuid))
            continue;
        struct db_change c = {.op = DB_DELETED, .class_id = t->class_id, .uuid = t->uuid};
        fn(&c, userdata);
    }
    return true;
}
