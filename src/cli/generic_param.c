/* SPDX-License-Identifier: Apache-2.0 */
/* "<class>-param-...": one object, its fields read and written. */
#include <string.h>

#include "cli/change.h"
#include "cli/commands.h"

/* What such a command is about. */
struct target {
    struct xe *x;
    const struct cli_class *class;
    struct value ref;
    struct error **errp;
};

static const char *class_name(const struct target *t) {
    return model_classes[t->class->class_id].name;
}

static bool find_ref(struct target *t) {
    const char *uuid = xe_need(t->x, "uuid", t->errp);
    return uuid && xe_object(t->x, t->class->class_id, uuid, &t->ref, t->errp);
}

static bool find_record(struct target *t, struct value *ret) {
    if (!find_ref(t))
        return false;
    _cleanup_free_ char *method = strf("%s.get_record", class_name(t));
    return client_call(t->x->client, method, &t->ref, 1, ret, t->errp);
}

static const struct cli_field *need_field(struct target *t) {
    const char *name = xe_need(t->x, "param-name", t->errp);
    return name ? records_filter_field(t->class, name, t->errp) : NULL;
}

/* ---- reading ---- */
static bool param_list(struct target *t) {
    _cleanup_value_ struct value record = {.type = VALUE_VOID};
    return find_record(t, &record) && generic_print_record(t->x, t->class, &record, t->errp);
}

static bool param_get(struct target *t) {
    _cleanup_value_ struct value record = {.type = VALUE_VOID};
    const struct cli_field *f = need_field(t);
    const char *key = args_get(&t->x->args, "param-key");
    if (!f || !find_record(t, &record))
        return false;
    if (!key) {
        _cleanup_free_ char *text = records_field(t->x->records, t->class, &record, f, t->errp);
        if (text)
            xe_print_line(text);
        return text != NULL;
    }
    const struct value *v = records_value(t->x->records, t->class, &record, f, t->errp);
    const struct value *item = v && v->type == VALUE_MAP ? value_map_get(v, key) : NULL;
    if (!item) {
        if (!*t->errp)
            error_set(t->errp, "CLI_NO_KEY", key, f->name, NULL);
        return false;
    }
    _cleanup_free_ char *text = records_text(NULL, item);
    xe_print_line(text);
    return true;
}

/* ---- writing ---- */
static const struct field_def *writable(struct target *t, const struct cli_field *f) {
    int index;
    bool may = f->rights == CLI_RW || f->rights == CLI_SRW || f->rights == CLI_MRW;
    const struct field_def *def = model_field_by_name(&model_classes[t->class->class_id], f->path, &index);
    if (may && def)
        return def;
    error_set(t->errp, "CLI_READ_ONLY", f->name, NULL);
    return NULL;
}

/* Calls Class.<prefix><field>(ref, extra...); takes what is in extra. */
static bool call_on(struct target *t, const char *prefix, const char *field, struct value *extra, unsigned n_extra) {
    _cleanup_free_ char *method = strf("%s.%s%s", class_name(t), prefix, field);
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    struct value params[3] = {value_copy(&t->ref)};
    for (unsigned i = 0; i < n_extra; i++)
        params[i + 1] = value_take(&extra[i]);
    bool is_mtu = str_eq(method, "network.set_MTU");
    bool ok = (is_mtu ? xe_call : xe_call_task)(t->x, method, params, n_extra + 1, &result, t->errp);
    for (unsigned i = 0; i <= n_extra; i++)
        value_done(&params[i]);
    return ok;
}

static bool add_to_map(struct target *t, const struct cli_field *f, const char *key, const char *value) {
    struct value extra[2] = {value_string(key), value_string(value)};
    return call_on(t, "add_to_", f->path, extra, 2);
}

static bool remove_from_map(struct target *t, const struct cli_field *f, const char *key) {
    struct value extra[1] = {value_string(key)};
    return call_on(t, "remove_from_", f->path, extra, 1);
}

struct assignment {
    const struct cli_field *field;
    char *key; /* of a map; else NULL */
    struct value value;
};

/* "name-label=x" or "other-config:key=x", checked as far as it can be without asking. */
static bool read_assignment(struct target *t, const struct arg *a, struct assignment *ret) {
    const char *colon = strchr(a->key, ':');
    const struct cli_field *f = records_filter_field(t->class, a->key, t->errp);
    const struct field_def *def = f ? writable(t, f) : NULL;
    struct value v = {.type = VALUE_VOID};
    if (!def)
        return false;
    if ((def->type->kind == TYPE_MAP) != (colon != NULL)) {
        error_set(t->errp, colon ? "CLI_NOT_A_MAP" : "CLI_MAP_NEEDS_KEY", f->name, NULL);
        return false;
    }
    if (colon)
        v = value_string(a->value);
    else if (!xe_typed(def->type, a->value, &v, t->errp))
        return false;
    *ret = (struct assignment){.field = f, .key = colon ? xstrdup(colon + 1) : NULL, .value = v};
    return true;
}

static bool carry_out(struct target *t, struct assignment *a) {
    if (!a->key)
        return call_on(t, "set_", a->field->path, &a->value, 1);
    return remove_from_map(t, a->field, a->key) && add_to_map(t, a->field, a->key, value_str(&a->value));
}

static bool param_set(struct target *t) {
    struct args *args = &t->x->args;
    struct assignment list[ARGS_MAX];
    unsigned n = 0;
    bool ok = true;
    for (unsigned i = 0; i < args->n && ok; i++) {
        if (str_eq(args->list[i].key, "uuid"))
            continue;
        ok = read_assignment(t, &args->list[i], &list[n]);
        n += ok;
    }
    if (ok && !n) {
        error_set(t->errp, "CLI_MISSING", "a field to set, as in name-label=...", NULL);
        ok = false;
    }
    /* What is no change of a network would be done for real beside one that is only tried. */
    if (ok && change_is_asked(t->x) && !(n == 1 && str_eq(list[0].field->path, "MTU"))) {
        error_set(t->errp, "CLI_NO_CHANGE", list[0].field->name, NULL);
        ok = false;
    }
    ok = ok && find_ref(t);
    for (unsigned i = 0; i < n; i++) {
        ok = ok && carry_out(t, &list[i]);
        free(list[i].key);
        value_done(&list[i].value);
    }
    return ok;
}

static bool add_pairs(struct target *t, const struct cli_field *f) {
    struct args *args = &t->x->args;
    bool any = false;
    for (unsigned i = 0; i < args->n; i++) {
        const struct arg *a = &args->list[i];
        if (str_eq(a->key, "uuid") || str_eq(a->key, "param-name"))
            continue;
        /* param-key=k=v is the old way to say k=v */
        bool is_old = str_eq(a->key, "param-key");
        const char *equals = is_old ? strchr(a->value, '=') : NULL;
        _cleanup_free_ char *key = equals ? xstrndup(a->value, (size_t)(equals - a->value)) : xstrdup(a->key);
        if (is_old && !equals) {
            error_set(t->errp, "CLI_MAP_NEEDS_VALUE", a->value, NULL);
            return false;
        }
        if (!add_to_map(t, f, key, equals ? equals + 1 : a->value))
            return false;
        any = true;
    }
    if (!any)
        error_set(t->errp, "CLI_MISSING", "key=value", NULL);
    return any;
}

static bool param_add(struct target *t) {
    const struct cli_field *f = need_field(t);
    const struct field_def *def = f ? writable(t, f) : NULL;
    if (!def)
        return false;
    if (def->type->kind == TYPE_MAP)
        return find_ref(t) && add_pairs(t, f);
    if (def->type->kind != TYPE_SET) {
        error_set(t->errp, "CLI_NOT_A_SET", f->name, NULL);
        return false;
    }
    const char *item = xe_need(t->x, "param-key", t->errp);
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    return item && xe_typed(def->type->elem, item, &v, t->errp) && find_ref(t) && call_on(t, "add_", f->path, &v, 1);
}

static bool param_remove(struct target *t) {
    const struct cli_field *f = need_field(t);
    const struct field_def *def = f ? writable(t, f) : NULL;
    const char *key = def ? xe_need(t->x, "param-key", t->errp) : NULL;
    if (!key)
        return false;
    if (def->type->kind == TYPE_MAP)
        return find_ref(t) && remove_from_map(t, f, key);
    if (def->type->kind != TYPE_SET) {
        error_set(t->errp, "CLI_NOT_A_SET", f->name, NULL);
        return false;
    }
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    return xe_typed(def->type->elem, key, &v, t->errp) && find_ref(t) && call_on(t, "remove_", f->path, &v, 1);
}

static bool param_clear(struct target *t) {
    const struct cli_field *f = need_field(t);
    const struct field_def *def = f ? writable(t, f) : NULL;
    if (!def)
        return false;
    enum type_kind kind = def->type->kind;
    if (kind != TYPE_MAP && kind != TYPE_SET && kind != TYPE_STRING && kind != TYPE_REF) {
        error_set(t->errp, "CLI_CANNOT_CLEAR", f->name, NULL);
        return false;
    }
    _cleanup_value_ struct value v = model_empty_value(def->type);
    return find_ref(t) && call_on(t, "set_", f->path, &v, 1);
}

bool generic_run(struct xe *x, const struct generic *g, struct error **errp) {
    static const struct {
        const char *verb;
        bool (*run)(struct target *t);
    } verbs[] = {{"param-list", param_list}, {"param-get", param_get},       {"param-set", param_set},
                 {"param-add", param_add},   {"param-remove", param_remove}, {"param-clear", param_clear}};
    if (str_eq(g->verb->name, "list"))
        return generic_list(x, g->class, errp);
    struct target t = {.x = x, .class = g->class, .ref = {.type = VALUE_VOID}, .errp = errp};
    bool ok = false;
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
        if (str_eq(g->verb->name, verbs[i].verb))
            ok = verbs[i].run(&t);
    value_done(&t.ref);
    return ok;
}
