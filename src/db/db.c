/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include "db/db_internal.h"

struct db *db_new(struct loop *l) {
    struct db *d = xnew0(struct db);
    d->loop = l;
    /* Each process counts from another place, so that a token of an earlier one is not mistaken for one of ours. */
    d->base = (((loop_random(l) & 0x7fffffff) | 1) << 31);
    d->generation = d->base;
    d->tombstones = xcalloc(TOMBSTONES_MAX, sizeof(*d->tombstones));
    d->owners = uuidmap_new();
    d->status_text = xstrdup("The pool database has not been contacted yet.");
    for (int i = 0; i < N_CLASSES; i++) {
        d->tables[i].class = &model_classes[i];
        d->tables[i].objects = uuidmap_new();
        d->tables[i].overlay = uuidmap_new();
    }
    db_relation_init(d);
    return d;
}

void db_free(struct db *d) {
    if (!d)
        return;
    db_txns_done(d); /* first: stopping would call their functions */
    db_sync_stop(d);
    db_volatile_done(d);
    db_batch_done(d);
    for (int i = 0; i < N_CLASSES; i++) {
        uuidmap_free(d->tables[i].objects);
        uuidmap_free(d->tables[i].overlay);
    }
    db_relation_done(d);
    uuidmap_free(d->owners);
    free(d->tombstones);
    free(d->status_text);
    free(d->refusal);
    free(d);
}

void db_set_self(struct db *d, const struct uuid *host) {
    d->self = *host;
}

/* ---- reading ---- */

struct object *db_object(struct db *d, int class_id, const struct uuid *uuid) {
    if (class_id < 0 || class_id >= N_CLASSES)
        return NULL;
    return uuidmap_get(d->tables[class_id].objects, uuid);
}

const struct row *db_get(struct db *d, int class_id, const struct uuid *uuid) {
    struct object *o = db_object(d, class_id, uuid);
    return o ? &o->row : NULL;
}

const struct row *db_first(struct db *d, int class_id) {
    struct object *o = d->tables[class_id].first;
    return o ? &o->row : NULL;
}

const struct row *db_next(struct db *d, const struct row *r) {
    const struct object *o = (const struct object *)r;
    return o->next ? &o->next->row : NULL;
}

size_t db_count(struct db *d, int class_id) {
    return uuidmap_size(d->tables[class_id].objects);
}

const struct row *db_pool(struct db *d) {
    return db_first(d, CLASS_pool);
}

const struct row *db_follow(struct db *d, const struct row *r, unsigned field) {
    return db_get(d, r->class->fields[field].type->class_id, row_ref(r, field));
}

/* ---- changing ---- */

struct value db_field_default(const struct field_def *f) {
    return f->default_value ? value_copy(f->default_value) : model_empty_value(f->type);
}

static void log_append(struct db *d, struct object *o) {
    o->log_prev = d->log_last;
    o->log_next = NULL;
    *(d->log_last ? &d->log_last->log_next : &d->log_first) = o;
    d->log_last = o;
}

static void log_remove(struct db *d, struct object *o) {
    *(o->log_prev ? &o->log_prev->log_next : &d->log_first) = o->log_next;
    *(o->log_next ? &o->log_next->log_prev : &d->log_last) = o->log_prev;
}

struct object *db_object_add(struct db *d, int class_id, const struct uuid *uuid) {
    struct table *t = &d->tables[class_id];
    const struct class_def *class = t->class;
    struct object *o = xcalloc(1, sizeof(struct object) + class->n_fields * sizeof(struct value));
    o->row = (struct row){.class = class, .uuid = *uuid, .created_gen = d->generation + 1, .fields = o->values};
    o->row.changed_gen = o->row.created_gen;
    for (unsigned i = 0; i < class->n_fields; i++)
        o->values[i] = db_field_default(&class->fields[i]);
    o->prev = t->last;
    *(t->last ? &t->last->next : &t->first) = o;
    t->last = o;
    uuidmap_put(t->objects, uuid, o);
    log_append(d, o);
    db_batch_add(d, o, BATCH_ADDED);
    for (unsigned i = 0; i < class->n_fields; i++)
        db_relation_update(d, o, i, &o->values[i], /* add= */ true);
    db_relation_adopt(d, o);
    db_derive(d, o);
    db_volatile_overlay(d, o);
    return o;
}

void db_object_delete(struct db *d, struct object *o) {
    struct table *t = &d->tables[o->row.class->id];
    for (unsigned i = 0; i < o->row.class->n_fields; i++)
        db_relation_update(d, o, i, &o->values[i], /* add= */ false);
    db_relation_abandon(d, o);
    *(o->prev ? &o->prev->next : &t->first) = o->next;
    *(o->next ? &o->next->prev : &t->last) = o->prev;
    uuidmap_remove(t->objects, &o->row.uuid);
    log_remove(d, o);
    o->gone = true;
    db_batch_add(d, o, BATCH_DELETED);
}

void db_object_mark(struct db *d, struct object *o) {
    buf_done(&o->json);
    if (o->row.changed_gen != d->generation + 1) {
        o->row.changed_gen = d->generation + 1;
        log_remove(d, o);
        log_append(d, o);
    }
    db_batch_add(d, o, BATCH_CHANGED);
}

bool db_object_set(struct db *d, struct object *o, unsigned field, struct value v) {
    if (value_equal(&o->values[field], &v)) {
        value_done(&v);
        return false;
    }
    db_relation_update(d, o, field, &o->values[field], /* add= */ false);
    value_done(&o->values[field]);
    o->values[field] = v;
    db_relation_update(d, o, field, &o->values[field], /* add= */ true);
    db_object_mark(d, o);
    return true;
}

void db_touch(struct db *d, int class_id, const struct uuid *uuid) {
    struct object *o = db_object(d, class_id, uuid);
    if (!o)
        return;
    db_batch_close(d); /* a batch of its own: what came before is a change of its own */
    db_object_mark(d, o);
    db_batch_soon(d);
}

/* ---- rows of the database ---- */

static void apply_columns(struct db *d, struct object *o, enum ovsdb_row_op op, const json_t *columns) {
    const struct class_def *class = o->row.class;
    for (unsigned i = 0; i < class->n_fields; i++) {
        const struct field_def *f = &class->fields[i];
        if (f->store != STORE_DB)
            continue;
        const json_t *column = json_object_get(columns, f->name);
        struct value v;
        if (op == OVSDB_ROW_MODIFY) {
            if (column && db_value_from_change(f->type, &o->values[i], column, &v))
                db_object_set(d, o, i, v);
            continue;
        }
        /* A whole row: columns that the server left out hold the empty value, not the default of the datamodel. */
        if (!column)
            db_object_set(d, o, i, model_empty_value(f->type));
        else if (db_value_from_column(f->type, column, &v))
            db_object_set(d, o, i, v);
    }
}

void db_apply_row(struct db *d, int class_id, const struct uuid *uuid, enum ovsdb_row_op op, const json_t *columns) {
    struct object *o = db_object(d, class_id, uuid);
    if (op == OVSDB_ROW_DELETE) {
        if (o)
            db_object_delete(d, o);
        return;
    }
    if (!o && op == OVSDB_ROW_MODIFY)
        return; /* of a row nobody told us about: the next snapshot brings it */
    if (!o)
        o = db_object_add(d, class_id, uuid);
    o->snapshot = d->snapshot;
    apply_columns(d, o, op, columns);
}

void db_snapshot_begin(struct db *d) {
    d->snapshot++;
}

void db_snapshot_end(struct db *d) {
    for (int i = 0; i < N_CLASSES; i++) {
        if (!db_class_is_stored(i))
            continue;
        for (struct object *o = d->tables[i].first, *next; o; o = next) {
            next = o->next;
            if (o->snapshot != d->snapshot)
                db_object_delete(d, o);
        }
    }
}
