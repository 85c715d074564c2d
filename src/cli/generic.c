/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that every listable class has, driven by the tables of the datamodel. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

const char *const generic_verbs[] = {"list",      "param-list",   "param-get",   "param-set",
                                     "param-add", "param-remove", "param-clear", NULL};

/* ---- printing ---- */
static void print_record(struct xe *x, const struct cli_class *c, const struct value *record,
                         const struct cli_field *const *fields, unsigned n, bool listing, struct error **errp) {
    size_t width = 0;
    for (unsigned i = 0; i < n; i++)
        width = MAX(width,
                    strlen(fields[i]->name) + strlen(" (XXX)") + (fields[i]->deprecated ? strlen(" [DEPRECATED]") : 0));
    width += 4;
    for (unsigned i = 0; i < n; i++) {
        _cleanup_free_ char *label = strf("%s (%s)%s", fields[i]->name, cli_rights_text(fields[i]->rights),
                                          fields[i]->deprecated ? " [DEPRECATED]" : ""),
                            *text = NULL;
        if (!records_field(x->records, c, record, fields[i], &text, errp))
            return;
        if (i == 0)
            printf("%-*s: %s\n", (int)width, label, text);
        else
            printf("%*s: %s\n", (int)width, label, text);
    }
    printf("\n\n");
}

static void print_minimal(const char *text, bool first) {
    if (!first)
        putchar(',');
    for (const char *c = text; *c; c++) {
        if (*c == ',' || *c == '\\')
            putchar('\\');
        putchar(*c);
    }
}

/* The fields to print: params=a,b, params=all, or the class's usual ones. */
static unsigned choose_fields(struct xe *x, const struct cli_class *c, bool all_by_default,
                              const struct cli_field *ret[static 256], struct error **errp) {
    const char *params = args_get(&x->args, "params");
    unsigned n = 0;
    if ((params && str_eq(params, "all")) || (!params && (all_by_default || !c->n_default_fields))) {
        for (unsigned i = 0; i < c->n_fields && n < 256; i++)
            if (!c->fields[i].hidden)
                ret[n++] = &c->fields[i];
        return n;
    }
    _cleanup_strv_ struct strv names = {0};
    if (params)
        strv_split(&names, params, ',');
    for (unsigned i = 0; !params && i < c->n_default_fields; i++)
        strv_add(&names, c->default_fields[i]);
    for (size_t i = 0; i < names.n; i++) {
        const struct cli_field *f = cli_field_by_name(c, names.items[i]);
        if (!f) {
            error_set(errp, "CLI_UNKNOWN_FIELD", names.items[i], NULL);
            return 0;
        }
        if (n < 256)
            ret[n++] = f;
    }
    if (params && !x->args.minimal) { /* printed in the order of the definition, not of the question */
        unsigned m = 0;
        for (unsigned i = 0; i < c->n_fields && m < 256; i++)
            if (strv_has(&names, c->fields[i].name))
                ret[m++] = &c->fields[i];
        return m;
    }
    return n;
}

static bool matches_all(struct xe *x, const struct cli_class *c, const struct value *record, bool *ret,
                        struct error **errp) {
    *ret = true;
    for (unsigned i = 0; i < x->args.n && *ret; i++) {
        struct arg *a = &x->args.list[i];
        if (str_eq(a->key, "params"))
            continue;
        a->used = true;
        if (!records_match(x->records, c, record, a->key, a->value, ret, errp))
            return false;
    }
    return true;
}

static bool run_list(struct xe *x, const struct cli_class *c, struct error **errp) {
    const struct cli_field *fields[256];
    unsigned n = choose_fields(x, c, false, fields, errp);
    const struct value *all = *errp ? NULL : records_all(x->records, c->class_id, errp);
    bool first = true;
    for (size_t i = 0; all && i < all->map.n && !*errp; i++) {
        const struct value *record = &all->map.pairs[i].value;
        bool match;
        if (!matches_all(x, c, record, &match, errp))
            break;
        if (!match)
            continue;
        if (x->args.minimal && n) {
            _cleanup_free_ char *text = NULL;
            if (records_field(x->records, c, record, fields[0], &text, errp))
                print_minimal(text, first);
        } else {
            print_record(x, c, record, fields, n, true, errp);
        }
        first = false;
    }
    if (x->args.minimal && !*errp)
        putchar('\n');
    return !*errp;
}

/* ---- one object ---- */
static const struct value *find_record(struct xe *x, const struct cli_class *c, struct value *ret_ref,
                                       struct error **errp) {
    const char *uuid = xe_need(x, "uuid", errp);
    const struct value *all = uuid ? records_all(x->records, c->class_id, errp) : NULL;
    if (!all)
        return NULL;
    for (size_t i = 0; i < all->map.n; i++) {
        const char *own = value_map_str(&all->map.pairs[i].value, "uuid");
        if (own && !strcasecmp(own, uuid)) {
            *ret_ref = value_string(all->map.pairs[i].key);
            return &all->map.pairs[i].value;
        }
    }
    error_set(errp, "UUID_INVALID", model_classes[c->class_id].name, uuid, NULL);
    return NULL;
}

static const struct cli_field *need_field(struct xe *x, const struct cli_class *c, struct error **errp) {
    const char *name = xe_need(x, "param-name", errp);
    const struct cli_field *f = name ? cli_field_by_name(c, name) : NULL;
    if (name && !f)
        error_set(errp, "CLI_UNKNOWN_FIELD", name, NULL);
    return f;
}

static bool param_list(struct xe *x, const struct cli_class *c, const struct value *record, struct error **errp) {
    const struct cli_field *fields[256];
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_fields && n < 256; i++)
        if (!c->fields[i].hidden)
            fields[n++] = &c->fields[i];
    print_record(x, c, record, fields, n, false, errp);
    return !*errp;
}

static bool param_get(struct xe *x, const struct cli_class *c, const struct value *record, struct error **errp) {
    const struct cli_field *f = need_field(x, c, errp);
    const char *key = args_get(&x->args, "param-key");
    if (!f)
        return false;
    _cleanup_free_ char *text = NULL;
    if (key) {
        const struct value *v = records_value(x->records, c, record, f->path, errp),
                           *item = v && v->type == VALUE_MAP ? value_map_get(v, key) : NULL;
        if (!item) {
            if (!*errp)
                error_set(errp, "CLI_NO_KEY", key, f->name, NULL);
            return false;
        }
        text = records_text(item);
    } else if (!records_field(x->records, c, record, f, &text, errp)) {
        return false;
    }
    printf("%s\n", text);
    return true;
}

static bool call_on(struct xe *x, const struct cli_class *c, const char *prefix, const char *field,
                    const struct value *ref, struct value *extra, unsigned n_extra, struct error **errp) {
    _cleanup_free_ char *method = strf("%s.%s%s", model_classes[c->class_id].name, prefix, field);
    struct value params[3] = {value_copy(ref)};
    for (unsigned i = 0; i < n_extra; i++)
        params[i + 1] = value_take(&extra[i]);
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    const struct call_def *def = model_call_by_name(method);
    bool ok = def && def->has_async ? xe_call_long(x, method, params, n_extra + 1, &result, errp)
                                    : client_call(x->client, method, params, n_extra + 1, &result, errp);
    for (unsigned i = 0; i <= n_extra; i++)
        value_done(&params[i]);
    return ok;
}

static bool is_writable(const struct cli_field *f, struct error **errp) {
    if ((f->rights == CLI_RW || f->rights == CLI_SRW || f->rights == CLI_MRW) && !strchr(f->path, '.'))
        return true;
    error_set(errp, "CLI_READ_ONLY", f->name, NULL);
    return false;
}

static const struct field_def *field_of(const struct cli_class *c, const struct cli_field *f) {
    int index;
    return model_field_by_name(&model_classes[c->class_id], f->path, &index);
}

static bool map_put(struct xe *x, const struct cli_class *c, const struct cli_field *f, const struct value *ref,
                    const char *key, const char *value, struct error **errp) {
    struct value remove[1] = {value_string(key)}, add[2] = {value_string(key), value_string(value)};
    bool ok = call_on(x, c, "remove_from_", f->path, ref, remove, 1, errp) &&
              call_on(x, c, "add_to_", f->path, ref, add, 2, errp);
    value_done(&remove[0]);
    value_done(&add[0]);
    value_done(&add[1]);
    return ok;
}

static bool param_set(struct xe *x, const struct cli_class *c, const struct value *ref, struct error **errp) {
    bool any = false;
    for (unsigned i = 0; i < x->args.n; i++) {
        struct arg *a = &x->args.list[i];
        if (str_eq(a->key, "uuid"))
            continue;
        a->used = any = true;
        const char *colon = strchr(a->key, ':');
        _cleanup_free_ char *name = xstrndup(a->key, colon ? (size_t)(colon - a->key) : strlen(a->key));
        const struct cli_field *f = cli_field_by_name(c, name);
        if (!f) {
            error_set(errp, "CLI_UNKNOWN_FIELD", name, NULL);
            return false;
        }
        if (!is_writable(f, errp))
            return false;
        if (colon) {
            if (!map_put(x, c, f, ref, colon + 1, a->value, errp))
                return false;
            continue;
        }
        const struct field_def *def = field_of(c, f);
        struct value v = {.type = VALUE_VOID};
        if (def && def->type->kind == TYPE_MAP) {
            error_set(errp, "CLI_MAP_NEEDS_KEY", f->name, NULL);
            return false;
        }
        if (!def || !xe_typed(def->type, a->value, &v, errp))
            return false;
        bool ok = call_on(x, c, "set_", f->path, ref, &v, 1, errp);
        value_done(&v);
        if (!ok)
            return false;
    }
    if (!any)
        error_set(errp, "CLI_MISSING", "a field to set, as in name-label=...", NULL);
    return any;
}

static bool param_add(struct xe *x, const struct cli_class *c, const struct value *ref, struct error **errp) {
    const struct cli_field *f = need_field(x, c, errp);
    if (!f || !is_writable(f, errp))
        return false;
    const struct field_def *def = field_of(c, f);
    const char *key = args_get(&x->args, "param-key");
    if (def && def->type->kind == TYPE_SET) {
        if (!key && !xe_need(x, "param-key", errp))
            return false;
        struct value v = value_string(key);
        bool ok = call_on(x, c, "add_", f->path, ref, &v, 1, errp);
        value_done(&v);
        return ok;
    }
    for (unsigned i = 0; i < x->args.n; i++) {
        struct arg *a = &x->args.list[i];
        if (str_eq(a->key, "uuid") || str_eq(a->key, "param-name"))
            continue;
        _cleanup_free_ char *pair = str_eq(a->key, "param-key") ? xstrdup(a->value) : strf("%s=%s", a->key, a->value);
        char *equals = strchr(pair, '=');
        a->used = true;
        if (!equals)
            continue;
        *equals = 0;
        struct value add[2] = {value_string(pair), value_string(equals + 1)};
        bool ok = call_on(x, c, "add_to_", f->path, ref, add, 2, errp);
        value_done(&add[0]);
        value_done(&add[1]);
        if (!ok)
            return false;
    }
    return true;
}

static bool param_remove(struct xe *x, const struct cli_class *c, const struct value *ref, struct error **errp) {
    const struct cli_field *f = need_field(x, c, errp);
    const char *key = f && is_writable(f, errp) ? xe_need(x, "param-key", errp) : NULL;
    if (!key)
        return false;
    const struct field_def *def = field_of(c, f);
    struct value v = value_string(key);
    bool ok = call_on(x, c, def && def->type->kind == TYPE_SET ? "remove_" : "remove_from_", f->path, ref, &v, 1, errp);
    value_done(&v);
    return ok;
}

static bool param_clear(struct xe *x, const struct cli_class *c, const struct value *ref, struct error **errp) {
    const struct cli_field *f = need_field(x, c, errp);
    const struct field_def *def = f && is_writable(f, errp) ? field_of(c, f) : NULL;
    if (!def)
        return false;
    struct value v = model_empty_value(def->type);
    bool ok = call_on(x, c, "set_", f->path, ref, &v, 1, errp);
    value_done(&v);
    return ok;
}

bool generic_run(struct xe *x, const char *word, bool *ret_known, struct error **errp) {
    const char *verb = NULL;
    _cleanup_free_ char *name = xstrdup(word);
    for (unsigned i = 0; generic_verbs[i]; i++) {
        _cleanup_free_ char *suffix = strf("-%s", generic_verbs[i]);
        if (str_ends(word, suffix)) {
            verb = generic_verbs[i];
            name[strlen(word) - strlen(suffix)] = 0;
        }
    }
    const struct cli_class *c = verb ? cli_class_by_name(name) : NULL;
    *ret_known = c != NULL;
    if (!c)
        return false;
    if (str_eq(verb, "list"))
        return run_list(x, c, errp);
    _cleanup_value_ struct value ref = {.type = VALUE_VOID};
    const struct value *record = find_record(x, c, &ref, errp);
    if (!record)
        return false;
    if (str_eq(verb, "param-list"))
        return param_list(x, c, record, errp);
    if (str_eq(verb, "param-get"))
        return param_get(x, c, record, errp);
    if (str_eq(verb, "param-set"))
        return param_set(x, c, &ref, errp);
    if (str_eq(verb, "param-add"))
        return param_add(x, c, &ref, errp);
    if (str_eq(verb, "param-remove"))
        return param_remove(x, c, &ref, errp);
    return param_clear(x, c, &ref, errp);
}
