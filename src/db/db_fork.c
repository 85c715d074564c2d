/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db_txn.h"

#include <assert.h>

static void copy_class(struct db *to, struct db *from, int class_id) {
    const struct class_def *class = &model_classes[class_id];
    for (const struct row *r = db_first(from, class_id); r; r = db_next(from, r)) {
        struct object *o = db_object_add(to, class_id, &r->uuid);
        for (unsigned i = 0; i < class->n_fields; i++) {
            enum field_store store = class->fields[i].store;
            if (store != STORE_RELATION && store != STORE_DERIVED) /* those follow from the others */
                db_object_set(to, o, i, value_copy(row_value(r, i)));
        }
    }
}

struct db *db_fork(struct db *d, const int *classes, size_t n) {
    struct db *f = db_new(d->loop);
    for (size_t i = 0; i < n; i++)
        copy_class(f, d, classes[i]);
    return f;
}

void db_fork_insert(struct db *fork, int class_id, const struct uuid *uuid) {
    if (!db_object(fork, class_id, uuid))
        db_object_add(fork, class_id, uuid);
}

void db_fork_set(struct db *fork, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    struct object *o = db_object(fork, class_id, uuid);
    if (o)
        db_object_set(fork, o, field, v);
    else
        value_done(&v);
}

void db_fork_delete(struct db *fork, int class_id, const struct uuid *uuid) {
    struct object *o = db_object(fork, class_id, uuid);
    if (o)
        db_object_delete(fork, o);
}

void db_fork_txn(struct db *fork, const struct db_txn *t) {
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct txn_row *r = &t->rows[i];
        const struct class_def *class = &model_classes[r->class_id];
        const char *name;
        json_t *column;
        assert(!json_array_size(r->mutations));
        if (r->insert)
            db_fork_insert(fork, r->class_id, &r->uuid);
        json_object_foreach(r->columns, name, column) {
            int field = -1;
            struct value v;
            if (model_field_by_name(class, name, &field) && db_value_from_column(class->fields[field].type, column, &v))
                db_fork_set(fork, r->class_id, &r->uuid, (unsigned)field, v);
        }
        if (r->delete)
            db_fork_delete(fork, r->class_id, &r->uuid);
    }
}
