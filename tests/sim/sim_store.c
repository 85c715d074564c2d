/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_store.h"

#include <string.h>

#include "base/str.h"
#include "model/model.h"
#include "ovsdb/ovsdb_conn.h"
#include "ovsdb/ovsdb_value.h"

/* ---- columns ---- */
static const struct type_def *type_of(const char *table, const char *column) {
    const struct class_def *class = model_class_by_name(table);
    const struct field_def *f = class ? model_field_by_name(class, column, NULL) : NULL;
    return f ? f->type : NULL;
}

static json_t *empty_column(const struct type_def *t) {
    switch (t ? t->kind : TYPE_INT) {
    case TYPE_SET:
    case TYPE_REF:
        return ovsdb_set(json_array());
    case TYPE_MAP:
        return ovsdb_map(json_array());
    case TYPE_BOOL:
        return json_false();
    case TYPE_INT:
    case TYPE_TIME:
        return json_integer(0);
    case TYPE_FLOAT:
        return json_real(0);
    default:
        return json_string("");
    }
}

static json_t *column_of(const char *table, const json_t *row, const char *name) {
    json_t *v = json_object_get(row, name);
    return v ? json_incref(v) : empty_column(type_of(table, name));
}

static bool set_has(const json_t *set, const json_t *item) {
    for (size_t i = 0; i < ovsdb_set_size(set); i++)
        if (json_equal(ovsdb_set_item(set, i), item))
            return true;
    return false;
}

static const json_t *map_value(const json_t *map, const json_t *key) {
    const json_t *k, *v;
    for (size_t i = 0; ovsdb_map_pair(map, i, &k, &v); i++)
        if (json_equal(k, key))
            return v;
    return NULL;
}

/* What only one of two sets has, or pairs that differ; the new value for all other types; NULL when equal. */
static json_t *column_change(const char *table, const char *name, const json_t *old, const json_t *new) {
    const struct type_def *t = type_of(table, name);
    json_t *list = json_array();
    if (t && t->kind == TYPE_SET) {
        for (size_t i = 0; i < ovsdb_set_size(old); i++)
            if (!set_has(new, ovsdb_set_item(old, i)))
                json_array_append(list, (json_t *)ovsdb_set_item(old, i));
        for (size_t i = 0; i < ovsdb_set_size(new); i++)
            if (!set_has(old, ovsdb_set_item(new, i)))
                json_array_append(list, (json_t *)ovsdb_set_item(new, i));
    } else if (t && t->kind == TYPE_MAP) {
        const json_t *k, *v, *other;
        for (size_t i = 0; ovsdb_map_pair(old, i, &k, &v); i++)
            if (!map_value(new, k))
                json_array_append_new(list, json_pack("[O,O]", k, v));
        for (size_t i = 0; ovsdb_map_pair(new, i, &k, &v); i++)
            if (!(other = map_value(old, k)) || !json_equal(other, v))
                json_array_append_new(list, json_pack("[O,O]", k, v));
    } else {
        json_decref(list);
        return json_equal(old, new) ? NULL : json_incref((json_t *)new);
    }
    if (!json_array_size(list)) {
        json_decref(list);
        return NULL;
    }
    return t->kind == TYPE_SET ? ovsdb_set(list) : ovsdb_map(list);
}

/* ---- a transaction ---- */
struct work {
    json_t *state, *overlay; /* {table: {uuid: row or null}} */
};

static json_t *row_find(const struct work *w, const char *table, const char *uuid) {
    json_t *changed = json_object_get(json_object_get(w->overlay, table), uuid);
    if (changed)
        return json_is_null(changed) ? NULL : changed;
    return json_object_get(json_object_get(w->state, table), uuid);
}

static void row_put(struct work *w, const char *table, const char *uuid, json_t *row /* taken */) {
    json_t *rows = json_object_get(w->overlay, table);
    if (!rows) {
        rows = json_object();
        json_object_set_new(w->overlay, table, rows);
    }
    json_object_set_new(rows, uuid, row);
}

static const char *uuid_of_where(const json_t *op) {
    return json_string_value(json_array_get(json_array_get(json_array_get(json_object_get(op, "where"), 0), 2), 1));
}

static json_t *mutated(const json_t *column, const char *how, const json_t *argument) {
    json_t *list = json_array();
    bool insert = str_eq(how, "insert");
    const json_t *k, *v;
    if (ovsdb_is_map(column)) {
        for (size_t i = 0; ovsdb_map_pair(column, i, &k, &v); i++)
            if (insert || !(ovsdb_is_map(argument) ? map_value(argument, k) : set_has(argument, k) ? k : NULL))
                json_array_append_new(list, json_pack("[O,O]", k, v));
        for (size_t i = 0; insert && ovsdb_map_pair(argument, i, &k, &v); i++)
            if (!map_value(column, k))
                json_array_append_new(list, json_pack("[O,O]", k, v));
        return ovsdb_map(list);
    }
    for (size_t i = 0; i < ovsdb_set_size(column); i++)
        if (insert || !set_has(argument, ovsdb_set_item(column, i)))
            json_array_append(list, (json_t *)ovsdb_set_item(column, i));
    for (size_t i = 0; insert && i < ovsdb_set_size(argument); i++)
        if (!set_has(column, ovsdb_set_item(argument, i)))
            json_array_append(list, (json_t *)ovsdb_set_item(argument, i));
    return ovsdb_set(list);
}

/* NULL when done, else the error. */
static const char *perform(struct work *w, const json_t *op) {
    const char *kind = json_string_value(json_object_get(op, "op")),
               *table = json_string_value(json_object_get(op, "table")), *name;
    json_t *value;
    if (str_eq(kind, "comment"))
        return NULL;
    const char *uuid = str_eq(kind, "insert") ? json_string_value(json_object_get(op, "uuid")) : uuid_of_where(op);
    if (!table || !uuid)
        return "syntax error";
    json_t *row = row_find(w, table, uuid);
    if (str_eq(kind, "insert")) {
        if (row)
            return "duplicate uuid";
        row_put(w, table, uuid, json_copy(json_object_get(op, "row")));
    } else if (str_eq(kind, "wait")) {
        if (!row)
            return "timed out";
        json_object_foreach(json_array_get(json_object_get(op, "rows"), 0), name, value) {
            json_t *now = column_of(table, row, name), *change = column_change(table, name, now, value);
            json_decref(now);
            if (change) {
                json_decref(change);
                return "timed out";
            }
        }
    } else if (str_eq(kind, "delete")) {
        if (row)
            row_put(w, table, uuid, json_null());
    } else if (row && str_eq(kind, "update")) {
        json_t *next = json_copy(row);
        json_object_update(next, json_object_get(op, "row"));
        row_put(w, table, uuid, next);
    } else if (row && str_eq(kind, "mutate")) {
        json_t *next = json_copy(row), *mutations = json_object_get(op, "mutations");
        for (size_t i = 0; i < json_array_size(mutations); i++) {
            const json_t *m = json_array_get(mutations, i);
            name = json_string_value(json_array_get(m, 0));
            json_t *now = column_of(table, next, name);
            json_object_set_new(next, name,
                                mutated(now, json_string_value(json_array_get(m, 1)), json_array_get(m, 2)));
            json_decref(now);
        }
        row_put(w, table, uuid, next);
    }
    return NULL;
}

/* ---- weak references: who is gone is named no longer ---- */
static const char *table_of_ref(const struct type_def *t) {
    const struct type_def *e = t && t->kind == TYPE_SET ? t->elem : t;
    return e && e->kind == TYPE_REF && e->class_id >= 0 && model_classes[e->class_id].has_table &&
                   !model_classes[e->class_id].is_volatile
               ? model_classes[e->class_id].name
               : NULL;
}

static bool dangles(const struct work *w, const char *table, const json_t *atom) {
    const char *uuid = json_string_value(json_array_get(atom, 1));
    return uuid && str_eq(json_string_value(json_array_get(atom, 0)), "uuid") && !row_find(w, table, uuid);
}

static void prune_row(struct work *w, const char *table, const char *uuid, json_t *row) {
    json_t *next = NULL, *value;
    const char *name;
    json_object_foreach(row, name, value) {
        const char *other = json_is_array(value) ? table_of_ref(type_of(table, name)) : NULL;
        bool bad = false;
        for (size_t i = 0; other && i < ovsdb_set_size(value); i++)
            bad |= dangles(w, other, ovsdb_set_item(value, i));
        if (!bad)
            continue;
        json_t *kept = json_array();
        for (size_t i = 0; i < ovsdb_set_size(value); i++)
            if (!dangles(w, other, ovsdb_set_item(value, i)))
                json_array_append(kept, (json_t *)ovsdb_set_item(value, i));
        next = next ? next : json_copy(row);
        json_object_set_new(next, name, ovsdb_set(kept));
    }
    if (next)
        row_put(w, table, uuid, next);
}

static void prune(struct work *w) {
    bool deleted = false;
    const char *table, *uuid;
    json_t *rows, *row;
    void *next;
    json_object_foreach(w->overlay, table, rows) json_object_foreach(rows, uuid, row) deleted |=
        json_is_null(row) && !str_eq(table, "Marker");
    json_t *where = deleted ? w->state : w->overlay;
    json_object_foreach_safe(where, next, table, rows) {
        void *inner;
        if (str_eq(table, "Marker"))
            continue;
        json_object_foreach_safe(rows, inner, uuid, row) {
            json_t *now = row_find(w, table, uuid);
            if (now)
                prune_row(w, table, uuid, now);
        }
    }
}

json_t *store_transact(json_t *state, const json_t *params, json_t **ret_changes) {
    struct work w = {state, json_object()};
    json_t *results = json_array();
    const char *error = NULL;
    for (size_t i = 1; i < json_array_size(params) && !error; i++) {
        error = perform(&w, json_array_get(params, i));
        json_array_append_new(results, error ? json_pack("{s:s,s:s}", "error", error, "details", "") : json_object());
    }
    *ret_changes = NULL;
    if (!error) {
        const char *table, *uuid;
        json_t *rows, *row;
        prune(&w);
        *ret_changes = json_array();
        json_object_foreach(w.overlay, table, rows) json_object_foreach(rows, uuid, row)
            json_array_append_new(*ret_changes, json_pack("[s,s,O]", table, uuid, row));
    }
    json_decref(w.overlay);
    return results;
}

/* ---- states ---- */
static void tell(json_t *updates, const char *table, const char *uuid, const json_t *old, json_t *new) {
    json_t *change, *rows = json_object_get(updates, table);
    if (!old && !new)
        return;
    if (old && new) {
        json_t *columns = json_object(), *value;
        const char *name;
        json_object_foreach(new, name, value) {
            json_t *was = column_of(table, old, name), *difference = column_change(table, name, was, value);
            json_decref(was);
            if (difference)
                json_object_set_new(columns, name, difference);
        }
        if (!json_object_size(columns)) {
            json_decref(columns);
            return;
        }
        change = json_pack("{s:o}", "modify", columns);
    } else {
        change = new ? json_pack("{s:O}", "insert", new) : json_pack("{s:n}", "delete");
    }
    if (!rows) {
        rows = json_object();
        json_object_set_new(updates, table, rows);
    }
    json_object_set_new(rows, uuid, change);
}

void store_apply(json_t *state, const json_t *changes, json_t *updates) {
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *c = json_array_get(changes, i);
        const char *table = json_string_value(json_array_get(c, 0)), *uuid = json_string_value(json_array_get(c, 1));
        json_t *row = json_array_get(c, 2), *rows = json_object_get(state, table);
        row = json_is_null(row) ? NULL : row;
        if (!rows) {
            rows = json_object();
            json_object_set_new(state, table, rows);
        }
        if (updates)
            tell(updates, table, uuid, json_object_get(rows, uuid), row);
        if (row)
            json_object_set(rows, uuid, row);
        else
            json_object_del(rows, uuid);
    }
}

json_t *store_snapshot(json_t *state) {
    json_t *all = json_object(), *rows, *row;
    const char *table, *uuid;
    json_object_foreach(state, table, rows) {
        json_t *out = json_object();
        json_object_foreach(rows, uuid, row) json_object_set_new(out, uuid, json_pack("{s:O}", "initial", row));
        json_object_set_new(all, table, out);
    }
    return all;
}

json_t *store_as_changes(json_t *state) {
    json_t *nothing = json_object(), *changes = store_difference(nothing, state);
    json_decref(nothing);
    return changes;
}

json_t *store_difference(json_t *from, json_t *to) {
    json_t *changes = json_array(), *rows, *row;
    const char *table, *uuid;
    json_object_foreach(from, table, rows)
        json_object_foreach(rows, uuid, row) if (!json_object_get(json_object_get(to, table), uuid))
            json_array_append_new(changes, json_pack("[s,s,n]", table, uuid));
    json_object_foreach(to, table, rows)
        json_object_foreach(rows, uuid, row) if (json_object_get(json_object_get(from, table), uuid) != row)
            json_array_append_new(changes, json_pack("[s,s,O]", table, uuid, row));
    return changes;
}
