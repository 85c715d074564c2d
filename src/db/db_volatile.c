/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db_volatile.h"

#include "db/db_internal.h"

struct vol_owner *vol_owner_get(struct db *d, const struct uuid *owner, bool create) {
    struct vol_owner *w = uuidmap_get(d->owners, owner);
    if (w || !create)
        return w;
    w = xnew0(struct vol_owner);
    w->uuid = *owner;
    for (int i = 0; i < N_CLASSES; i++)
        w->rows[i] = NULL;
    /* A restarted owner counts on from a later number, so that others see that their state of it is old. */
    w->generation = w->gone_floor = (uint64_t)loop_wall_ms(d->loop) << 20;
    uuidmap_put(d->owners, owner, w);
    return w;
}

struct vol_row *vol_row_find(struct vol_owner *w, int class_id, const struct uuid *uuid) {
    return w->rows[class_id] ? uuidmap_get(w->rows[class_id], uuid) : NULL;
}

static struct vol_row *row_get(struct db *d, struct vol_owner *w, int class_id, const struct uuid *uuid) {
    struct vol_row *v = vol_row_find(w, class_id, uuid);
    if (v)
        return v;
    v = xnew0(struct vol_row);
    v->class_id = class_id;
    v->uuid = *uuid;
    v->owner = w;
    if (!w->rows[class_id])
        w->rows[class_id] = uuidmap_new();
    uuidmap_put(w->rows[class_id], uuid, v);
    w->n_rows++;
    v->next_same = uuidmap_get(d->tables[class_id].overlay, uuid);
    uuidmap_put(d->tables[class_id].overlay, uuid, v);
    return v;
}

/* Out of its owner and of the overlay; the row of the replica is left as it is. */
static void row_free(struct db *d, struct vol_row *v) {
    struct uuidmap *overlay = d->tables[v->class_id].overlay;
    struct vol_row *head = uuidmap_get(overlay, &v->uuid);
    if (head == v && !v->next_same) {
        uuidmap_remove(overlay, &v->uuid);
    } else if (head == v) {
        uuidmap_put(overlay, &v->uuid, v->next_same);
    } else {
        while (head->next_same != v)
            head = head->next_same;
        head->next_same = v->next_same;
    }
    uuidmap_remove(v->owner->rows[v->class_id], &v->uuid);
    v->owner->n_rows--;
    for (size_t i = 0; i < v->n_fields; i++)
        value_done(&v->fields[i].value);
    free(v->fields);
    free(v);
}

static struct vol_field *field_find(struct vol_row *v, unsigned field) {
    for (size_t i = 0; i < v->n_fields; i++) {
        if (v->fields[i].index == field)
            return &v->fields[i];
    }
    return NULL;
}

/* Some other owner that says something about the same field, or NULL. */
static struct vol_field *field_of_another(struct db *d, const struct vol_row *v, unsigned field) {
    for (struct vol_row *x = uuidmap_get(d->tables[v->class_id].overlay, &v->uuid); x; x = x->next_same) {
        struct vol_field *f = x == v ? NULL : field_find(x, field);
        if (f)
            return f;
    }
    return NULL;
}

void db_volatile_overlay(struct db *d, struct object *o) {
    for (struct vol_row *v = uuidmap_get(d->tables[o->row.class->id].overlay, &o->row.uuid); v; v = v->next_same) {
        for (size_t i = 0; i < v->n_fields; i++)
            db_object_set(d, o, v->fields[i].index, value_copy(&v->fields[i].value));
    }
}

void vol_put(struct db *d, struct vol_owner *w, int class_id, const struct uuid *uuid, uint64_t gen) {
    struct vol_row *v = row_get(d, w, class_id, uuid);
    if (v->whole)
        return;
    v->whole = true;
    v->put_gen = gen;
    if (!db_object(d, class_id, uuid))
        db_object_add(d, class_id, uuid);
}

bool vol_set(struct db *d, struct vol_owner *w, int class_id, const struct uuid *uuid, unsigned field,
             struct value value, uint64_t gen) {
    struct vol_row *v = row_get(d, w, class_id, uuid);
    struct vol_field *f = field_find(v, field);
    struct object *o = db_object(d, class_id, uuid);
    if (f && value_equal(&f->value, &value)) {
        /* Another owner may have said otherwise meanwhile: the last word counts. */
        if (o)
            db_object_set(d, o, field, value);
        else
            value_done(&value);
        return false;
    }
    if (!f) {
        v->fields = xrealloc_array(v->fields, v->n_fields + 1, sizeof(*v->fields));
        f = &v->fields[v->n_fields++];
        *f = (struct vol_field){.index = field};
    }
    value_done(&f->value);
    f->value = value;
    f->gen = gen;
    if (o)
        db_object_set(d, o, field, value_copy(&value));
    return true;
}

static void field_fall_back(struct db *d, struct vol_row *v, unsigned field, struct object *o) {
    struct vol_field *other = field_of_another(d, v, field);
    const struct field_def *f = &model_classes[v->class_id].fields[field];
    db_object_set(d, o, field, other ? value_copy(&other->value) : db_field_default(f));
}

void vol_unset(struct db *d, struct vol_row *v, unsigned field) {
    struct object *o = db_object(d, v->class_id, &v->uuid);
    struct vol_field *f = field_find(v, field);
    if (!f)
        return;
    if (o)
        field_fall_back(d, v, field, o);
    value_done(&f->value);
    *f = v->fields[--v->n_fields];
}

static void forget_fields(struct db *d, struct vol_row *v, struct object *o) {
    for (size_t i = 0; i < v->n_fields; i++)
        field_fall_back(d, v, v->fields[i].index, o);
}

static bool is_whole_elsewhere(struct db *d, const struct vol_row *v) {
    for (struct vol_row *x = uuidmap_get(d->tables[v->class_id].overlay, &v->uuid); x; x = x->next_same) {
        if (x != v && x->whole)
            return true;
    }
    return false;
}

void vol_delete(struct db *d, struct vol_row *v) {
    struct object *o = db_object(d, v->class_id, &v->uuid);
    if (o && model_classes[v->class_id].is_volatile && !is_whole_elsewhere(d, v))
        db_object_delete(d, o);
    else if (o)
        forget_fields(d, v, o);
    row_free(d, v);
}

void vol_remember_gone(struct vol_owner *w, int class_id, const struct uuid *uuid, uint64_t gen) {
    if (w->n_gone == VOL_GONE_MAX) {
        w->gone_floor = w->gone[0].gen;
        w->n_gone--;
        for (size_t i = 0; i < w->n_gone; i++)
            w->gone[i] = w->gone[i + 1];
    }
    w->gone[w->n_gone++] = (struct vol_gone){.class_id = class_id, .uuid = *uuid, .gen = gen};
}

/* ---- what the owner calls ---- */

void db_volatile_put(struct db *d, const struct uuid *owner, int class_id, const struct uuid *uuid) {
    if (!model_classes[class_id].is_volatile)
        abort(); /* a bug of the caller: rows of other classes come from the database */
    struct vol_owner *w = vol_owner_get(d, owner, /* create= */ true);
    struct vol_row *v = vol_row_find(w, class_id, uuid);
    if (v && v->whole)
        return;
    vol_put(d, w, class_id, uuid, ++w->generation);
}

void db_volatile_set(struct db *d, const struct uuid *owner, int class_id, const struct uuid *uuid, unsigned field,
                     struct value v) {
    if (field >= model_classes[class_id].n_fields || model_classes[class_id].fields[field].store != STORE_VOLATILE)
        abort(); /* a bug of the caller */
    struct vol_owner *w = vol_owner_get(d, owner, /* create= */ true);
    struct vol_row *row = vol_row_find(w, class_id, uuid);
    if (model_classes[class_id].is_volatile && (!row || !row->whole)) {
        value_done(&v); /* deleted meanwhile */
        return;
    }
    if (vol_set(d, w, class_id, uuid, field, v, w->generation + 1))
        w->generation++;
}

void db_volatile_delete(struct db *d, const struct uuid *owner, int class_id, const struct uuid *uuid) {
    struct vol_owner *w = vol_owner_get(d, owner, /* create= */ false);
    struct vol_row *v = w ? vol_row_find(w, class_id, uuid) : NULL;
    if (!v)
        return;
    vol_delete(d, v);
    vol_remember_gone(w, class_id, uuid, ++w->generation);
}

uint64_t db_volatile_generation(struct db *d, const struct uuid *owner) {
    const struct vol_owner *w = vol_owner_get(d, owner, /* create= */ false);
    return w ? w->generation : 0;
}

static void owner_free(struct db *d, struct vol_owner *w, bool alter_replica) {
    for (int i = 0; i < N_CLASSES; i++) {
        size_t pos = 0;
        struct uuid key;
        void *v;
        while (w->rows[i] && uuidmap_next(w->rows[i], &pos, &key, &v)) {
            if (alter_replica)
                vol_delete(d, v);
            else
                row_free(d, v);
        }
        uuidmap_free(w->rows[i]);
    }
    uuidmap_remove(d->owners, &w->uuid);
    free(w);
}

void db_volatile_drop_owner(struct db *d, const struct uuid *owner) {
    struct vol_owner *w = vol_owner_get(d, owner, /* create= */ false);
    if (w)
        owner_free(d, w, /* alter_replica= */ true);
}

void db_volatile_forget(struct db *d, int class_id, const struct uuid *uuid) {
    struct vol_row *v;
    while ((v = uuidmap_get(d->tables[class_id].overlay, uuid)))
        row_free(d, v);
}

void db_volatile_done(struct db *d) {
    size_t pos = 0;
    struct uuid key;
    void *w;
    while (uuidmap_next(d->owners, &pos, &key, &w))
        owner_free(d, w, /* alter_replica= */ false);
}
