/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a transaction: row operations are gathered per row and written as OVSDB operations at commit, in the order
 * in which their rows were first named. Sending it and learning its outcome is db_txn_send.c.
 */
#include "db/db_txn.h"

#include "base/str.h"
#include "ovsdb/ovsdb_value.h"

struct db_txn *db_txn_new(struct db *d, const char *comment) {
    struct db_txn *t = xnew0(struct db_txn);
    t->db = d;
    t->comment = xstrdup(str_or_empty(comment));
    t->marker = uuid_random();
    t->waits = json_array();
    return t;
}

struct db_txn *db_txn_barrier(struct db *d) {
    struct db_txn *t = db_txn_new(d, "is this replica in step?");
    t->is_barrier = true;
    return t;
}

void txn_free(struct db_txn *t) {
    if (!t)
        return;
    for (size_t i = 0; i < t->n_rows; i++) {
        json_decref(t->rows[i].columns);
        json_decref(t->rows[i].mutations);
    }
    free(t->rows);
    free(t->notes);
    json_decref(t->waits);
    json_decref(t->params);
    error_free(t->refused);
    error_free(t->outcome);
    free(t->comment);
    free(t);
}

void db_txn_abandon(struct db_txn *t) {
    txn_free(t);
}

static const struct class_def *class_of(int class_id) {
    if (!db_class_is_stored(class_id))
        abort(); /* a bug of the caller: only rows of the database are written here */
    return &model_classes[class_id];
}

static struct txn_row *row_of(struct db_txn *t, int class_id, const struct uuid *uuid) {
    class_of(class_id);
    for (size_t i = t->n_rows; i > 0; i--) {
        struct txn_row *r = &t->rows[i - 1];
        if (r->class_id == class_id && uuid_eq(&r->uuid, uuid))
            return r;
    }
    t->rows = xrealloc_array(t->rows, t->n_rows + 1, sizeof(*t->rows));
    t->rows[t->n_rows] = (struct txn_row){.class_id = class_id, .uuid = *uuid, .mutations = json_array()};
    t->rows[t->n_rows].columns = json_object();
    return &t->rows[t->n_rows++];
}

static const struct field_def *stored_field(int class_id, unsigned field) {
    const struct class_def *class = class_of(class_id);
    if (field >= class->n_fields || class->fields[field].store != STORE_DB)
        abort(); /* a bug of the caller: volatile, reverse and derived fields have no column */
    return &class->fields[field];
}

struct uuid db_txn_insert(struct db_txn *t, int class_id, const struct uuid *uuid) {
    struct uuid u = uuid ? *uuid : uuid_random();
    struct txn_row *r = row_of(t, class_id, &u);
    const struct class_def *class = class_of(class_id);
    r->insert = true;
    for (unsigned i = 0; i < class->n_fields; i++) {
        const struct field_def *f = &class->fields[i];
        if (f->store != STORE_DB || !f->default_value)
            continue; /* the server's own default is the empty value */
        json_object_set_new(r->columns, f->name, db_column_from_value(f->type, f->default_value));
    }
    return u;
}

/* A whole new value makes earlier partial changes of the same column void. */
static void drop_mutations(struct txn_row *r, const char *name) {
    for (size_t i = json_array_size(r->mutations); i > 0; i--) {
        const json_t *column = json_array_get(json_array_get(r->mutations, i - 1), 0);
        if (str_eq(json_string_value(column), name))
            json_array_remove(r->mutations, i - 1);
    }
}

void db_txn_set(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    const struct field_def *f = stored_field(class_id, field);
    struct txn_row *r = row_of(t, class_id, uuid);
    drop_mutations(r, f->name);
    json_object_set_new(r->columns, f->name, db_column_from_value(f->type, &v));
    value_done(&v);
}

static void mutate(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, const char *how,
                   json_t *argument) {
    struct txn_row *r = row_of(t, class_id, uuid);
    json_array_append_new(r->mutations,
                          json_pack("[s,s,o]", model_classes[class_id].fields[field].name, how, argument));
}

void db_txn_map_put(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, const char *key,
                    struct value v) {
    const struct field_def *f = stored_field(class_id, field);
    /* "insert" leaves a key that is there alone. */
    mutate(t, class_id, uuid, field, "delete", ovsdb_set(json_pack("[s]", key)));
    mutate(t, class_id, uuid, field, "insert",
           ovsdb_map(json_pack("[[s,o]]", key, db_atom_from_value(f->type->elem, &v))));
    value_done(&v);
}

void db_txn_map_remove(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, const char *key) {
    stored_field(class_id, field);
    mutate(t, class_id, uuid, field, "delete", ovsdb_set(json_pack("[s]", key)));
}

void db_txn_set_add(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value item) {
    const struct field_def *f = stored_field(class_id, field);
    mutate(t, class_id, uuid, field, "insert", ovsdb_set(json_pack("[o]", db_atom_from_value(f->type->elem, &item))));
    value_done(&item);
}

void db_txn_set_remove(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value item) {
    const struct field_def *f = stored_field(class_id, field);
    mutate(t, class_id, uuid, field, "delete", ovsdb_set(json_pack("[o]", db_atom_from_value(f->type->elem, &item))));
    value_done(&item);
}

void db_txn_delete(struct db_txn *t, int class_id, const struct uuid *uuid) {
    row_of(t, class_id, uuid)->delete = true;
}

static void add_note(struct db_txn *t, struct txn_note note) {
    t->notes = xrealloc_array(t->notes, t->n_notes + 1, sizeof(*t->notes));
    t->notes[t->n_notes++] = note;
}

static void add_wait(struct db_txn *t, enum txn_note_kind kind, int class_id, const struct uuid *uuid, unsigned field,
                     const struct value *v) {
    const struct field_def *f = stored_field(class_id, field);
    json_t *row = json_pack("{s:o}", f->name, db_column_from_value(f->type, v));
    json_array_append_new(t->waits, ovsdb_op_wait(model_classes[class_id].name, uuid, row));
    add_note(t, (struct txn_note){.kind = kind, .class_id = class_id, .uuid = *uuid, .field = field});
}

void db_txn_expect(struct db_txn *t, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    add_wait(t, NOTE_EXPECT, class_id, uuid, field, &v);
    value_done(&v);
}

void txn_error_not_coordinator(struct db *d, struct error **errp) {
    const struct row *pool = db_pool(d);
    const struct row *host = pool ? db_follow(d, pool, FIELD_pool_master) : NULL;
    error_set(errp, ERR_HOST_IS_SLAVE, host ? row_str(host, FIELD_host_address) : "", NULL);
}

void db_txn_fence(struct db_txn *t) {
    const struct row *pool = db_pool(t->db);
    if (t->refused)
        return;
    if (!pool) {
        error_set(&t->refused, ERR_DB_NO_QUORUM, db_get_status(t->db).text, NULL);
        return;
    }
    if (uuid_is_null(&t->db->self) || !uuid_eq(row_ref(pool, FIELD_pool_master), &t->db->self)) {
        txn_error_not_coordinator(t->db, &t->refused);
        return;
    }
    add_wait(t, NOTE_FENCE, CLASS_pool, &pool->uuid, FIELD_pool_epoch, row_value(pool, FIELD_pool_epoch));
    add_wait(t, NOTE_FENCE, CLASS_pool, &pool->uuid, FIELD_pool_master, row_value(pool, FIELD_pool_master));
}

bool db_txn_is_empty(const struct db_txn *t) {
    return t->n_rows == 0;
}

/* ---- writing it as OVSDB operations ---- */

static void add_row_ops(struct db_txn *t, json_t *ops, const struct txn_row *r, int which) {
    const char *table = model_classes[r->class_id].name;
    const struct txn_note note = {.kind = NOTE_ROW, .class_id = r->class_id, .uuid = r->uuid};
    if (which == 0 && r->insert && !r->delete) {
        json_array_append_new(ops, ovsdb_op_insert(table, &r->uuid, json_incref(r->columns)));
        add_note(t, note);
    } else if (which == 0 && !r->insert && !r->delete) {
        /* An update that finds no row succeeds with a count of 0; this makes it fail. */
        json_array_append_new(ops, ovsdb_op_wait(table, &r->uuid, json_object()));
        add_note(t, note);
    }
    if (which == 1 && !r->delete &&!r->insert && json_object_size(r->columns) > 0) {
        json_array_append_new(ops, ovsdb_op_update(table, &r->uuid, json_incref(r->columns)));
        add_note(t, note);
    }
    if (which == 1 && !r->delete &&json_array_size(r->mutations) > 0) {
        json_array_append_new(ops, ovsdb_op_mutate(table, &r->uuid, json_incref(r->mutations)));
        add_note(t, note);
    }
    if (which == 2 && r->delete &&!r->insert) {
        json_array_append_new(ops, ovsdb_op_delete(table, &r->uuid));
        add_note(t, note);
    }
}

/*
 * The marker is the first operation: when the transaction had been applied before, it fails there with "duplicate
 * uuid", before any wait can fail for what happened since. Then what must hold, then the rows.
 */
void txn_write(struct db_txn *t, const struct uuid *prune, size_t n_prune) {
    json_t *ops = json_array();
    struct txn_note *waits = TAKE(t->notes);
    size_t n_waits = t->n_notes;
    t->n_notes = 0;

    json_array_append_new(ops, json_string(DB_NAME));
    json_t *time = json_pack("{s:I}", "time", (json_int_t)(loop_wall_ms(t->db->loop) / 1000));
    json_array_append_new(ops, ovsdb_op_insert(MARKER_TABLE, &t->marker, time));
    add_note(t, (struct txn_note){.kind = NOTE_MARKER});
    for (size_t i = 0; i < n_waits; i++) {
        json_array_append(ops, json_array_get(t->waits, i));
        add_note(t, waits[i]);
    }
    free(waits);
    for (int which = 0; which < 3; which++) {
        for (size_t i = 0; i < t->n_rows; i++)
            add_row_ops(t, ops, &t->rows[i], which);
    }
    for (size_t i = 0; i < n_prune; i++) {
        json_array_append_new(ops, ovsdb_op_delete(MARKER_TABLE, &prune[i]));
        add_note(t, (struct txn_note){.kind = NOTE_MARKER});
    }
    if (*t->comment) {
        json_array_append_new(ops, ovsdb_op_comment(t->comment));
        add_note(t, (struct txn_note){.kind = NOTE_MARKER});
    }
    t->params = ops;
}
