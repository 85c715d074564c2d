/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for the database: a committed transaction is in the replica in the next turn. Linked with
 * --wrap=db_txn_commit. */
#include "api_fixture.h"
#include "base/str.h"
#include "db/db_internal.h"
#include "db/db_txn.h"

struct fx *fixture_current; /* set by fx_new */

void __wrap_db_txn_commit(struct db_txn *t, uint64_t deadline_ms, db_done_fn *done, void *userdata);

struct pending {
    struct db_txn *t;
    db_done_fn *done;
    void *userdata;
};

static void apply_mutation(struct db *d, struct object *o, const json_t *m) {
    int field;
    const struct field_def *f = model_field_by_name(o->row.class, json_string_value(json_array_get(m, 0)), &field);
    bool add = str_eq(json_string_value(json_array_get(m, 1)), "insert");
    struct value v = value_copy(&o->values[field]), given = {0};
    if (f->type->kind == TYPE_MAP && !add) {
        /* keys only: ["set", [k]] */
        const json_t *keys = json_array_get(json_array_get(m, 2), 1);
        for (size_t i = 0; i < json_array_size(keys); i++)
            value_map_remove(&v, json_string_value(json_array_get(keys, i)));
    } else if (db_value_from_column(f->type, json_array_get(m, 2), &given)) {
        if (given.type == VALUE_MAP) {
            for (size_t i = 0; i < given.map.n; i++)
                value_map_put(&v, given.map.pairs[i].key, value_copy(&given.map.pairs[i].value));
        } else {
            for (size_t i = 0; i < given.set.n; i++) {
                if (!add)
                    value_set_remove(&v, &given.set.items[i]);
                else if (!value_set_has(&v, &given.set.items[i]))
                    value_set_add(&v, value_copy(&given.set.items[i]));
            }
        }
    }
    value_done(&given);
    db_object_set(d, o, (unsigned)field, v);
}

static void apply_row(struct db *d, struct txn_row *r) {
    struct object *o = db_object(d, r->class_id, &r->uuid);
    if (r->delete) {
        if (o)
            db_object_delete(d, o);
        return;
    }
    if (r->insert && !o)
        o = db_object_add(d, r->class_id, &r->uuid);
    if (!o)
        abort(); /* a test wrote to a row that is not there */
    const char *name;
    json_t *column;
    json_object_foreach(r->columns, name, column) {
        int field;
        struct value v;
        const struct field_def *f = model_field_by_name(o->row.class, name, &field);
        if (!f || !db_value_from_column(f->type, column, &v))
            abort();
        db_object_set(d, o, (unsigned)field, v);
    }
    for (size_t i = 0; i < json_array_size(r->mutations); i++)
        apply_mutation(d, o, json_array_get(r->mutations, i));
}

/* What db_txn_expect asked for, compared as the database compares it. */
static bool is_as_expected(struct db_txn *t) {
    for (size_t i = 0; i < t->n_notes; i++) {
        const struct txn_note *note = &t->notes[i];
        const struct object *o = db_object(t->db, note->class_id, &note->uuid);
        if (note->kind != NOTE_EXPECT)
            continue;
        const struct field_def *f = &model_classes[note->class_id].fields[note->field];
        const json_t *row = json_array_get(json_object_get(json_array_get(t->waits, i), "rows"), 0);
        json_t *is = o ? db_column_from_value(f->type, &o->values[note->field]) : NULL;
        bool same = is && json_equal(is, json_object_get(row, f->name));
        json_decref(is);
        if (!same)
            return false;
    }
    return true;
}

static void finish(void *userdata) {
    struct pending *p = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (p->t->refused) {
        e = error_dup(p->t->refused);
    } else if (!is_as_expected(p->t)) {
        error_set(&e, ERR_DB_CONFLICT, NULL);
    } else if (fixture_current->next_commit_error) {
        error_set(&e, TAKE(fixture_current->next_commit_error), NULL);
    } else {
        for (size_t i = 0; i < p->t->n_rows; i++)
            apply_row(p->t->db, &p->t->rows[i]);
        db_batch_close(p->t->db);
    }
    if (p->done)
        p->done(e, p->userdata);
    db_txn_abandon(p->t);
    free(p);
}

void __wrap_db_txn_commit(struct db_txn *t, uint64_t deadline_ms, db_done_fn *done, void *userdata) {
    struct pending *p = xnew0(struct pending);
    *p = (struct pending){t, done, userdata};
    loop_defer(t->db->loop, finish, p);
}
