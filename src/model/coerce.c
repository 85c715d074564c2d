/* SPDX-License-Identifier: Apache-2.0 */
/* model_coerce: what arrives from a client becomes exactly the type that the model asks for, or an error says why not.
 */
#include "model/model.h"

#include <inttypes.h>
#include <math.h>

#include "base/error.h"
#include "base/str.h"

/* Values nest as deep as the types of the model do; the codecs bound their size before they come here. */

static bool wrong_type(const struct type_def *t, const char *what, struct error **errp) {
    error_set(errp, ERR_FIELD_TYPE_ERROR, what, NULL);
    error_wrap(errp, "'%s' is no %s", what, t->text);
    return false;
}

static bool wrong_value(const char *what, const char *text, struct error **errp) {
    error_set(errp, ERR_INVALID_VALUE, what, text, NULL);
    return false;
}

static void replace(struct value *v, struct value with) {
    value_done(v);
    *v = with;
}

static bool coerce_int(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    int64_t i;
    if (v->type == VALUE_INT)
        return true;
    if (v->type == VALUE_FLOAT) {
        /* JSON clients send 5 as 5.0; 2^63 itself is out of range, and NaN fails both comparisons. */
        if (!(v->real >= -0x1p63 && v->real < 0x1p63) || floor(v->real) != v->real)
            return wrong_type(t, what, errp);
        replace(v, value_int((int64_t)v->real));
        return true;
    }
    if (v->type != VALUE_STRING)
        return wrong_type(t, what, errp);
    if (!str_parse_int(value_str(v), INT64_MIN, INT64_MAX, &i))
        return wrong_value(what, value_str(v), errp);
    replace(v, value_int(i));
    return true;
}

static bool coerce_float(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    double d;
    if (v->type == VALUE_FLOAT)
        return true;
    if (v->type == VALUE_INT) {
        replace(v, value_float((double)v->integer));
        return true;
    }
    if (v->type != VALUE_STRING)
        return wrong_type(t, what, errp);
    if (!str_parse_double(value_str(v), &d))
        return wrong_value(what, value_str(v), errp);
    replace(v, value_float(d));
    return true;
}

static bool coerce_time(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    int64_t seconds;
    if (v->type == VALUE_TIME)
        return true;
    if (v->type != VALUE_STRING)
        return wrong_type(t, what, errp);
    if (!time_parse(value_str(v), &seconds))
        return wrong_value(what, value_str(v), errp);
    replace(v, value_time(seconds));
    return true;
}

static bool coerce_string(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    if (v->type == VALUE_VOID) /* <value></value>, and what JSON clients leave empty */
        replace(v, value_string(""));
    if (v->type != VALUE_STRING)
        return wrong_type(t, what, errp);
    if (!str_is_utf8(value_str(v), strlen(value_str(v))))
        return wrong_value(what, "not UTF-8", errp);
    return true;
}

static bool enum_has(const struct enum_def *e, const char *text) {
    for (unsigned i = 0; i < e->n_values; i++)
        if (str_eq(e->values[i], text))
            return true;
    return false;
}

static bool coerce_enum(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    if (!coerce_string(t, v, what, errp))
        return false;
    if (!enum_has(t->enumeration, value_str(v)))
        return wrong_value(what, value_str(v), errp);
    return true;
}

static bool coerce_ref(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    struct uuid u;
    if (v->type == VALUE_REF)
        return true;
    if (v->type == VALUE_VOID) {
        replace(v, value_ref(NULL));
        return true;
    }
    if (v->type != VALUE_STRING)
        return wrong_type(t, what, errp);
    /* Old code writes the null reference as an empty string. */
    if (str_empty(value_str(v))) {
        replace(v, value_ref(NULL));
        return true;
    }
    if (!ref_parse(value_str(v), &u)) {
        error_set(errp, ERR_HANDLE_INVALID, t->class_name, value_str(v), NULL);
        return false;
    }
    replace(v, value_ref(&u));
    return true;
}

static bool coerce_set(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    if (v->type != VALUE_SET)
        return wrong_type(t, what, errp);
    for (size_t i = 0; i < v->set.n; i++)
        if (!model_coerce(t->elem, &v->set.items[i], what, errp))
            return false;
    return true;
}

/* Keys stay text; one that cannot be read as its type is refused. */
static bool check_key(const struct type_def *t, const char *key, const char *what, struct error **errp) {
    struct uuid u;
    int64_t i;
    if (t->kind == TYPE_REF && !ref_parse(key, &u)) {
        error_set(errp, ERR_HANDLE_INVALID, t->class_name, key, NULL);
        return false;
    }
    if ((t->kind == TYPE_INT && !str_parse_int(key, INT64_MIN, INT64_MAX, &i)) ||
        (t->kind == TYPE_ENUM && !enum_has(t->enumeration, key)) || !str_is_utf8(key, strlen(key)))
        return wrong_value(what, key, errp);
    return true;
}

static bool coerce_map(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    if (v->type != VALUE_MAP)
        return wrong_type(t, what, errp);
    for (size_t i = 0; i < v->map.n; i++)
        if (!check_key(t->key, v->map.pairs[i].key, what, errp) ||
            !model_coerce(t->elem, &v->map.pairs[i].value, what, errp))
            return false;
    return true;
}

/* A record takes the fields that its class has; the rest is left as it is, for clients of other versions send more. */
static bool coerce_record(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    if (v->type != VALUE_MAP)
        return wrong_type(t, what, errp);
    if (t->class_id < 0)
        return true;
    for (size_t i = 0; i < v->map.n; i++) {
        struct value_pair *p = &v->map.pairs[i];
        const struct field_def *f = model_field_by_name(&model_classes[t->class_id], p->key, NULL);
        if (f && !f->internal && !model_coerce(f->type, &p->value, f->name, errp))
            return false;
    }
    return true;
}

bool model_coerce(const struct type_def *t, struct value *v, const char *what, struct error **errp) {
    switch (t->kind) {
    case TYPE_STRING:
        return coerce_string(t, v, what, errp);
    case TYPE_INT:
        return coerce_int(t, v, what, errp);
    case TYPE_FLOAT:
        return coerce_float(t, v, what, errp);
    case TYPE_BOOL:
        return v->type == VALUE_BOOL || wrong_type(t, what, errp);
    case TYPE_TIME:
        return coerce_time(t, v, what, errp);
    case TYPE_ENUM:
        return coerce_enum(t, v, what, errp);
    case TYPE_REF:
        return coerce_ref(t, v, what, errp);
    case TYPE_SET:
        return coerce_set(t, v, what, errp);
    case TYPE_MAP:
        return coerce_map(t, v, what, errp);
    case TYPE_RECORD:
        return coerce_record(t, v, what, errp);
    case TYPE_VOID:
    case TYPE_ANY:
        return true;
    }
    return wrong_type(t, what, errp);
}
