/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between values and columns of the pool database. A reference to a class with a table is a uuid column, one to a
 * volatile class is a string (its UUID); either is absent when null. Times are integers. Map keys are strings.
 */
#include "base/str.h"
#include "db/db_internal.h"
#include "ovsdb/ovsdb_value.h"

json_t *db_atom_from_value(const struct type_def *t, const struct value *v) {
    char text[UUID_TEXT_SIZE];
    switch (v->type) {
    case VALUE_INT:
        return json_integer(v->integer);
    case VALUE_TIME:
        return json_integer(v->time);
    case VALUE_FLOAT: {
        json_t *real = json_real(v->real);
        return real ? real : json_real(0); /* not a number: JSON cannot carry it */
    }
    case VALUE_BOOL:
        return json_boolean(v->boolean);
    case VALUE_REF:
        return db_class_is_stored(t->class_id) ? ovsdb_uuid(&v->ref) : json_string(uuid_text(&v->ref, text));
    default: {
        json_t *s = json_string(value_str(v));
        return s ? s : json_string(""); /* not UTF-8: the callers have checked */
    }
    }
}

json_t *db_column_from_value(const struct type_def *t, const struct value *v) {
    if (t->kind == TYPE_REF)
        return uuid_is_null(&v->ref) ? ovsdb_set(json_array()) : db_atom_from_value(t, v);
    if (t->kind == TYPE_SET) {
        json_t *items = json_array();
        for (size_t i = 0; i < v->set.n; i++) {
            if (v->set.items[i].type != VALUE_REF || !uuid_is_null(&v->set.items[i].ref))
                json_array_append_new(items, db_atom_from_value(t->elem, &v->set.items[i]));
        }
        return ovsdb_set(items);
    }
    if (t->kind == TYPE_MAP) {
        json_t *pairs = json_array();
        for (size_t i = 0; i < v->map.n; i++)
            json_array_append_new(
                pairs, json_pack("[s,o]", v->map.pairs[i].key, db_atom_from_value(t->elem, &v->map.pairs[i].value)));
        return ovsdb_map(pairs);
    }
    return db_atom_from_value(t, v);
}

static bool ref_from_atom(const json_t *atom, struct value *ret) {
    struct uuid u;
    const char *text = json_string_value(atom);
    if (text ? !uuid_parse(text, &u) : !ovsdb_uuid_parse(atom, &u))
        return false;
    *ret = value_ref(&u);
    return true;
}

static bool value_from_atom(const struct type_def *t, const json_t *atom, struct value *ret) {
    switch (t->kind) {
    case TYPE_STRING:
    case TYPE_ENUM:
        if (!json_is_string(atom))
            return false;
        *ret = value_string(json_string_value(atom));
        return true;
    case TYPE_INT:
        if (!json_is_integer(atom))
            return false;
        *ret = value_int(json_integer_value(atom));
        return true;
    case TYPE_TIME:
        if (!json_is_integer(atom))
            return false;
        *ret = value_time(json_integer_value(atom));
        return true;
    case TYPE_FLOAT:
        if (!json_is_number(atom))
            return false;
        *ret = value_float(json_number_value(atom));
        return true;
    case TYPE_BOOL:
        if (!json_is_boolean(atom))
            return false;
        *ret = value_bool(json_is_true(atom));
        return true;
    case TYPE_REF:
        return ref_from_atom(atom, ret);
    default:
        return false; /* cannot be stored */
    }
}

bool db_value_from_column(const struct type_def *t, const json_t *column, struct value *ret) {
    _cleanup_value_ struct value v = model_empty_value(t);
    if (t->kind == TYPE_MAP) {
        if (!ovsdb_is_map(column))
            return false;
        const json_t *key, *item;
        for (size_t i = 0; ovsdb_map_pair(column, i, &key, &item); i++) {
            struct value member;
            if (!json_is_string(key) || !value_from_atom(t->elem, item, &member))
                return false;
            value_map_add(&v, json_string_value(key), member);
        }
        *ret = value_take(&v);
        return true;
    }
    if (t->kind == TYPE_SET) {
        if (!ovsdb_is_set(column))
            return false;
        for (size_t i = 0; i < ovsdb_set_size(column); i++) {
            struct value member;
            if (!value_from_atom(t->elem, ovsdb_set_item(column, i), &member))
                return false;
            value_set_add(&v, member);
        }
        *ret = value_take(&v);
        return true;
    }
    /* A reference has none or one element, every other type exactly one. */
    if (!ovsdb_is_set(column) || ovsdb_set_size(column) > 1)
        return false;
    if (ovsdb_set_size(column) == 1)
        return value_from_atom(t, ovsdb_set_item(column, 0), ret);
    if (t->kind != TYPE_REF)
        return false;
    *ret = value_take(&v);
    return true;
}

bool db_value_from_change(const struct type_def *t, const struct value *old, const json_t *column, struct value *ret) {
    _cleanup_value_ struct value change = {0};
    if (!db_value_from_column(t, column, &change))
        return false;
    if (t->kind == TYPE_SET) {
        /* The difference of two sets: what only one of them has. */
        struct value v = value_copy(old);
        for (size_t i = 0; i < change.set.n; i++) {
            if (!value_set_remove(&v, &change.set.items[i]))
                value_set_add(&v, value_take(&change.set.items[i]));
        }
        *ret = v;
        return true;
    }
    if (t->kind == TYPE_MAP) {
        /* Pairs that only one of them has, and new values of keys that both have. */
        struct value v = value_copy(old);
        for (size_t i = 0; i < change.map.n; i++) {
            const char *key = change.map.pairs[i].key;
            const struct value *was = value_map_get(&v, key);
            if (was && value_equal(was, &change.map.pairs[i].value))
                value_map_remove(&v, key);
            else
                value_map_put(&v, key, value_take(&change.map.pairs[i].value));
        }
        *ret = v;
        return true;
    }
    *ret = value_take(&change);
    return true;
}
