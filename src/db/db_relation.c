/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reverse sets (STORE_RELATION): PIF.bond_master_of is the set of Bonds whose `master` is this PIF. Kept row by row as
 * references come and go. A reference may arrive before the row it names; its place in the set waits as an orphan.
 */
#include "db/db_internal.h"

void db_relation_init(struct db *d) {
    for (int i = 0; i < N_CLASSES; i++) {
        struct table *t = &d->tables[i];
        unsigned n = t->class->n_fields;
        t->reverse = xcalloc(n + 1, sizeof(*t->reverse));
        t->orphans = xcalloc(n + 1, sizeof(struct uuidmap *));
        for (unsigned f = 0; f < n; f++)
            t->reverse[f].class_id = t->reverse[f].field = -1;
    }
    for (int i = 0; i < N_CLASSES; i++) {
        const struct class_def *class = &model_classes[i];
        for (unsigned f = 0; f < class->n_fields; f++) {
            const struct field_def *field = &class->fields[f];
            if (field->store != STORE_RELATION || field->relation_class < 0)
                continue;
            d->tables[i].orphans[f] = uuidmap_new();
            d->tables[field->relation_class].reverse[field->relation_field].class_id = i;
            d->tables[field->relation_class].reverse[field->relation_field].field = (int)f;
        }
    }
}

static void orphans_free(struct uuidmap *orphans) {
    size_t pos = 0;
    struct uuid key;
    void *set;
    while (orphans && uuidmap_next(orphans, &pos, &key, &set)) {
        value_done(set);
        free(set);
    }
    uuidmap_free(orphans);
}

void db_relation_done(struct db *d) {
    for (int i = 0; i < N_CLASSES; i++) {
        struct table *t = &d->tables[i];
        for (unsigned f = 0; f < t->class->n_fields; f++)
            orphans_free(t->orphans[f]);
        free(t->orphans);
        free(t->reverse);
    }
}

static void update_orphan(struct uuidmap *orphans, const struct uuid *target, struct value member, bool add) {
    struct value *set = uuidmap_get(orphans, target);
    if (add && !set) {
        set = xmalloc(sizeof(*set));
        *set = value_set();
        uuidmap_put(orphans, target, set);
    }
    if (add) {
        value_set_add(set, member);
        return;
    }
    if (set)
        value_set_remove(set, &member);
    if (set && set->set.n == 0) {
        uuidmap_remove(orphans, target);
        value_done(set);
        free(set);
    }
}

static void update_target(struct db *d, struct object *o, unsigned field, const struct uuid *target, bool add) {
    if (uuid_is_null(target))
        return;
    struct table *t = &d->tables[o->row.class->id];
    struct table *there = &d->tables[t->reverse[field].class_id];
    unsigned back = (unsigned)t->reverse[field].field;
    struct value member = value_ref(&o->row.uuid);
    struct object *other = uuidmap_get(there->objects, target);
    if (!other) {
        update_orphan(there->orphans[back], target, member, add);
        return;
    }
    if (add)
        value_set_add(&other->values[back], member);
    else
        value_set_remove(&other->values[back], &member);
    db_object_mark(d, other);
}

void db_relation_update(struct db *d, struct object *o, unsigned field, const struct value *v, bool add) {
    if (d->tables[o->row.class->id].reverse[field].class_id < 0)
        return;
    if (v->type == VALUE_REF)
        update_target(d, o, field, &v->ref, add);
    for (size_t i = 0; v->type == VALUE_SET && i < v->set.n; i++) {
        if (v->set.items[i].type == VALUE_REF)
            update_target(d, o, field, &v->set.items[i].ref, add);
    }
}

void db_relation_adopt(struct db *d, struct object *o) {
    struct table *t = &d->tables[o->row.class->id];
    for (unsigned f = 0; f < t->class->n_fields; f++) {
        struct value *set = t->orphans[f] ? uuidmap_remove(t->orphans[f], &o->row.uuid) : NULL;
        if (!set)
            continue;
        value_done(&o->values[f]);
        o->values[f] = value_take(set);
        free(set);
    }
}

void db_relation_abandon(struct db *d, struct object *o) {
    struct table *t = &d->tables[o->row.class->id];
    for (unsigned f = 0; f < t->class->n_fields; f++) {
        if (!t->orphans[f] || o->values[f].set.n == 0)
            continue;
        /* A copy: those who watch the deletion still see the last state. */
        struct value *set = xmalloc(sizeof(*set));
        *set = value_copy(&o->values[f]);
        uuidmap_put(t->orphans[f], &o->row.uuid, set);
    }
}
