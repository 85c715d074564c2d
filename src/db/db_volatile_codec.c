/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports of the volatile store: {"since": S, "gen": G, "rows": [{"c": class, "u": uuid, "put": true, "f": {field:
 * value}}], "gone": [[class, uuid]]}. since 0: everything, and what is not in it is gone. References are UUIDs ("" for
 * null). What another host sends is checked whole before anything of it is applied.
 */
#include <string.h>

#include "base/str.h"
#include "db/db_internal.h"
#include "db/db_volatile.h"

/* ---- values ---- */

static json_t *value_to_json(const struct value *v) {
    char text[UUID_TEXT_SIZE];
    json_t *j;
    switch (v->type) {
    case VALUE_INT:
        return json_integer(v->integer);
    case VALUE_TIME:
        return json_integer(v->time);
    case VALUE_FLOAT:
        j = json_real(v->real);
        return j ? j : json_real(0);
    case VALUE_BOOL:
        return json_boolean(v->boolean);
    case VALUE_REF:
        return json_string(uuid_is_null(&v->ref) ? "" : uuid_text(&v->ref, text));
    case VALUE_SET:
        j = json_array();
        for (size_t i = 0; i < v->set.n; i++)
            json_array_append_new(j, value_to_json(&v->set.items[i]));
        return j;
    case VALUE_MAP:
        j = json_object();
        for (size_t i = 0; i < v->map.n; i++)
            json_object_set_new(j, v->map.pairs[i].key, value_to_json(&v->map.pairs[i].value));
        return j;
    default:
        j = json_string(value_str(v));
        return j ? j : json_string("");
    }
}

static bool value_from_json(const struct type_def *t, const json_t *j, struct value *ret);

static bool set_from_json(const struct type_def *t, const json_t *j, struct value *ret) {
    if (!json_is_array(j) || json_array_size(j) > VOL_ITEMS_MAX)
        return false;
    _cleanup_value_ struct value set = value_set();
    for (size_t i = 0; i < json_array_size(j); i++) {
        struct value item;
        if (!value_from_json(t->elem, json_array_get(j, i), &item))
            return false;
        value_set_add(&set, item);
    }
    *ret = value_take(&set);
    return true;
}

static bool map_from_json(const struct type_def *t, const json_t *j, struct value *ret) {
    if (!json_is_object(j) || json_object_size(j) > VOL_ITEMS_MAX)
        return false;
    _cleanup_value_ struct value map = value_map();
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)j, key, member) {
        struct value item;
        if (strlen(key) > VOL_STRING_SIZE_MAX || !value_from_json(t->elem, member, &item))
            return false;
        value_map_add(&map, key, item);
    }
    *ret = value_take(&map);
    return true;
}

static bool ref_from_json(const json_t *j, struct value *ret) {
    struct uuid u = {0};
    const char *text = json_string_value(j);
    if (!text || (*text && !uuid_parse(text, &u)))
        return false;
    *ret = value_ref(&u);
    return true;
}

/* False without a value for anything that the type does not allow. */
static bool value_from_json(const struct type_def *t, const json_t *j, struct value *ret) {
    switch (t->kind) {
    case TYPE_STRING:
    case TYPE_ENUM:
        if (!json_is_string(j) || json_string_length(j) > VOL_STRING_SIZE_MAX)
            return false;
        *ret = value_string(json_string_value(j));
        return true;
    case TYPE_INT:
        if (!json_is_integer(j))
            return false;
        *ret = value_int(json_integer_value(j));
        return true;
    case TYPE_TIME:
        if (!json_is_integer(j))
            return false;
        *ret = value_time(json_integer_value(j));
        return true;
    case TYPE_FLOAT:
        if (!json_is_number(j))
            return false;
        *ret = value_float(json_number_value(j));
        return true;
    case TYPE_BOOL:
        if (!json_is_boolean(j))
            return false;
        *ret = value_bool(json_is_true(j));
        return true;
    case TYPE_REF:
        return ref_from_json(j, ret);
    case TYPE_SET:
        return set_from_json(t, j, ret);
    case TYPE_MAP:
        return map_from_json(t, j, ret);
    default:
        return false;
    }
}

/* ---- export ---- */

static json_t *export_row(const struct vol_row *v, uint64_t since) {
    const struct class_def *class = &model_classes[v->class_id];
    bool put = v->whole && v->put_gen > since;
    json_t *fields = json_object();
    for (size_t i = 0; i < v->n_fields; i++) {
        if (v->fields[i].gen > since)
            json_object_set_new(fields, class->fields[v->fields[i].index].name, value_to_json(&v->fields[i].value));
    }
    if (!put && json_object_size(fields) == 0) {
        json_decref(fields);
        return NULL;
    }
    char text[UUID_TEXT_SIZE];
    json_t *row = json_pack("{s:s,s:s,s:o}", "c", class->name, "u", uuid_text(&v->uuid, text), "f", fields);
    if (put)
        json_object_set_new(row, "put", json_true());
    return row;
}

char *db_volatile_export(struct db *d, const struct uuid *owner, uint64_t since, uint64_t *ret_generation) {
    struct vol_owner *w = vol_owner_get(d, owner, /* create= */ false);
    if (w && (since < w->gone_floor || since > w->generation))
        since = 0;
    json_t *rows = json_array(), *gone = json_array();
    for (int i = 0; w && i < N_CLASSES; i++) {
        size_t pos = 0;
        void *v;
        while (w->rows[i] && uuidmap_next(w->rows[i], &pos, NULL, &v)) {
            json_t *row = export_row(v, since);
            if (row)
                json_array_append_new(rows, row);
        }
    }
    for (size_t i = 0; w && since > 0 && i < w->n_gone; i++) {
        char text[UUID_TEXT_SIZE];
        if (w->gone[i].gen > since && !vol_row_find(w, w->gone[i].class_id, &w->gone[i].uuid))
            json_array_append_new(
                gone, json_pack("[s,s]", model_classes[w->gone[i].class_id].name, uuid_text(&w->gone[i].uuid, text)));
    }
    uint64_t generation = w ? w->generation : 0;
    _cleanup_json_ json_t *all = json_pack("{s:I,s:I,s:o,s:o}", "since", (json_int_t)(w ? since : 0), "gen",
                                           (json_int_t)generation, "rows", rows, "gone", gone);
    *ret_generation = generation;
    char *text = json_dumps(all, JSON_COMPACT);
    return text ? text : xstrdup("{}");
}

/* ---- apply ---- */

/* One field of an export, checked and converted. */
struct parsed_field {
    unsigned index;
    struct value value;
};

struct parsed_row {
    int class_id;
    struct uuid uuid;
    bool put;
    struct parsed_field *fields;
    size_t n_fields;
};

struct parsed {
    uint64_t since, gen;
    struct parsed_row *rows;
    size_t n_rows;
    struct parsed_row *gone; /* class and UUID only */
    size_t n_gone;
};

static void parsed_done(struct parsed *p) {
    for (size_t i = 0; i < p->n_rows; i++) {
        for (size_t f = 0; f < p->rows[i].n_fields; f++)
            value_done(&p->rows[i].fields[f].value);
        free(p->rows[i].fields);
    }
    free(p->rows);
    free(p->gone);
}

static bool bad(struct error **errp, const char *what) {
    error_setf(errp, "FIELD_TYPE_ERROR", "volatile export: %s", what);
    return false;
}

static bool parse_object(const json_t *class_name, const json_t *uuid, struct parsed_row *ret, struct error **errp) {
    const char *name = json_string_value(class_name), *text = json_string_value(uuid);
    const struct class_def *class = name ? model_class_by_name(name) : NULL;
    if (!class || !class->has_table)
        return bad(errp, "unknown class");
    if (!text || !uuid_parse(text, &ret->uuid) || uuid_is_null(&ret->uuid))
        return bad(errp, "not a UUID");
    ret->class_id = class->id;
    return true;
}

static bool parse_fields(const json_t *fields, struct parsed_row *ret, struct error **errp) {
    if (!json_is_object(fields))
        return bad(errp, "fields are not an object");
    const struct class_def *class = &model_classes[ret->class_id];
    ret->fields = xcalloc(json_object_size(fields) + 1, sizeof(*ret->fields));
    const char *name;
    json_t *j;
    json_object_foreach((json_t *)fields, name, j) {
        int index;
        const struct field_def *f = model_field_by_name(class, name, &index);
        if (!f)
            continue; /* of a newer version */
        if (f->store != STORE_VOLATILE)
            return bad(errp, "a field of another store");
        struct parsed_field *p = &ret->fields[ret->n_fields];
        if (!value_from_json(f->type, j, &p->value))
            return bad(errp, "a value of the wrong type");
        p->index = (unsigned)index;
        ret->n_fields++;
    }
    return true;
}

static bool parse_rows(const json_t *rows, struct parsed *p, struct error **errp) {
    if (!json_is_array(rows) || json_array_size(rows) > VOL_ROWS_MAX)
        return bad(errp, "rows are not a list, or too many");
    p->rows = xcalloc(json_array_size(rows) + 1, sizeof(*p->rows));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *j = json_array_get(rows, i);
        struct parsed_row *row = &p->rows[p->n_rows];
        if (!parse_object(json_object_get(j, "c"), json_object_get(j, "u"), row, errp))
            return false;
        p->n_rows++;
        row->put = json_is_true(json_object_get(j, "put"));
        if (row->put && !model_classes[row->class_id].is_volatile)
            return bad(errp, "a row of another store");
        if (!parse_fields(json_object_get(j, "f"), row, errp))
            return false;
    }
    return true;
}

static bool parse_gone(const json_t *gone, struct parsed *p, struct error **errp) {
    if (!json_is_array(gone) || json_array_size(gone) > VOL_ROWS_MAX)
        return bad(errp, "deletions are not a list, or too many");
    p->gone = xcalloc(json_array_size(gone) + 1, sizeof(*p->gone));
    for (size_t i = 0; i < json_array_size(gone); i++) {
        const json_t *j = json_array_get(gone, i);
        if (!parse_object(json_array_get(j, 0), json_array_get(j, 1), &p->gone[p->n_gone], errp))
            return false;
        p->n_gone++;
    }
    return true;
}

static bool parse(const char *json, size_t size, struct parsed *p, struct error **errp) {
    if (size > VOL_EXPORT_SIZE_MAX)
        return bad(errp, "too large");
    _cleanup_json_ json_t *all = json_loadb(json, size, 0, NULL);
    const json_t *since = json_object_get(all, "since"), *gen = json_object_get(all, "gen");
    if (!json_is_integer(since) || !json_is_integer(gen) || json_integer_value(since) < 0 ||
        json_integer_value(gen) < json_integer_value(since))
        return bad(errp, "not an export");
    p->since = (uint64_t)json_integer_value(since);
    p->gen = (uint64_t)json_integer_value(gen);
    return parse_rows(json_object_get(all, "rows"), p, errp) && parse_gone(json_object_get(all, "gone"), p, errp);
}

/* Of a full export: what this owner had and does not name any more. Values that stay are left alone, so no event comes.
 */
static void drop_missing(struct db *d, struct vol_owner *w, uint64_t gen) {
    for (int i = 0; i < N_CLASSES; i++) {
        size_t pos = 0;
        void *item;
        while (w->rows[i] && uuidmap_next(w->rows[i], &pos, NULL, &item)) {
            struct vol_row *v = item;
            if (v->seen_gen != gen)
                vol_delete(d, v);
        }
    }
}

static bool names_field(const struct parsed_row *row, unsigned field) {
    for (size_t i = 0; i < row->n_fields; i++) {
        if (row->fields[i].index == field)
            return true;
    }
    return false;
}

static void apply(struct db *d, struct vol_owner *w, struct parsed *p) {
    for (size_t i = 0; i < p->n_gone; i++) {
        struct vol_row *v = vol_row_find(w, p->gone[i].class_id, &p->gone[i].uuid);
        if (v)
            vol_delete(d, v);
        vol_remember_gone(w, p->gone[i].class_id, &p->gone[i].uuid, p->gen);
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        struct parsed_row *row = &p->rows[i];
        struct vol_row *v = vol_row_find(w, row->class_id, &row->uuid);
        if (row->put)
            vol_put(d, w, row->class_id, &row->uuid, p->gen);
        else if (model_classes[row->class_id].is_volatile && (!v || !v->whole))
            continue; /* fields of a row that is not there */
        /* A full export also takes back what it does not name: an owner that started again has not said it yet. */
        for (size_t f = v && p->since == 0 ? v->n_fields : 0; f > 0; f--) {
            if (!names_field(row, v->fields[f - 1].index))
                vol_unset(d, v, v->fields[f - 1].index);
        }
        for (size_t f = 0; f < row->n_fields; f++)
            vol_set(d, w, row->class_id, &row->uuid, row->fields[f].index, value_take(&row->fields[f].value), p->gen);
        v = vol_row_find(w, row->class_id, &row->uuid);
        if (v)
            v->seen_gen = p->gen;
    }
}

bool db_volatile_apply(struct db *d, const struct uuid *owner, const char *json, size_t size, struct error **errp) {
    struct parsed p = {0};
    if (!parse(json, size, &p, errp)) {
        parsed_done(&p);
        return false;
    }
    struct vol_owner *w = vol_owner_get(d, owner, /* create= */ false);
    if (p.since > 0 && (!w || p.since > w->generation || p.gen < w->generation)) {
        parsed_done(&p);
        return bad(errp, "changes are missing in between; a full export is needed");
    }
    if (!w) {
        w = vol_owner_get(d, owner, /* create= */ true);
        w->generation = 0;
    }
    if (p.since > 0 && w->n_rows + p.n_rows > 2 * VOL_ROWS_MAX) {
        parsed_done(&p);
        return bad(errp, "too many rows");
    }
    if (p.since == 0) {
        /* A full export starts the count anew: what is exported on from here must not reach behind it. */
        w->n_gone = 0;
        w->gone_floor = p.gen;
        for (int i = 0; i < N_CLASSES; i++) {
            size_t pos = 0;
            void *v;
            while (w->rows[i] && uuidmap_next(w->rows[i], &pos, NULL, &v))
                ((struct vol_row *)v)->seen_gen = UINT64_MAX;
        }
    }
    apply(d, w, &p);
    if (p.since == 0)
        drop_missing(d, w, p.gen);
    w->generation = p.gen;
    parsed_done(&p);
    return true;
}
