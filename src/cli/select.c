/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/select.h"

#include <stdio.h>
#include <string.h>

#define MAX_EXTRA 8

/* "host", "uuid", "host-uuid". */
static bool is_name_key(const struct cli_class *c, const char *key) {
    size_t n = strlen(c->name);
    return str_eq(key, "uuid") || (str_starts(key, c->name) && (!key[n] || str_eq(key + n, "-uuid")));
}

/* The hosts themselves have VM rows, which no command about VMs means. */
static bool is_among(const struct cli_class *c, const struct value *record) {
    const struct value *control = value_map_get(record, "is_control_domain");
    if (control && value_as_bool(control))
        return false;
    for (unsigned i = 0; i < c->n_only; i++) {
        const struct value *v = value_map_get(record, c->only[i].field);
        if (v && value_as_bool(v) != c->only[i].value)
            return false;
    }
    return true;
}

/* Of the command itself: by its name, or by what stands before a colon ("vdi:" takes any key). */
static bool is_own(const struct strv *own, const char *key) {
    for (size_t i = 0; i < own->n; i++)
        if (str_eq(own->items[i], key) || (str_ends(own->items[i], ":") && str_starts(key, own->items[i])))
            return true;
    return false;
}

static bool matches(struct xe *x, const struct cli_class *c, const struct value *record, const struct strv *own,
                    bool *ret, struct error **errp) {
    *ret = true;
    for (unsigned i = 0; i < x->args.n && *ret; i++) {
        struct arg *a = &x->args.list[i];
        if (is_own(own, a->key))
            continue;
        if (!is_name_key(c, a->key)) {
            if (!records_match(x->records, c, record, a->key, a->value, ret, errp))
                return false;
        } else {
            *ret = str_eq(str_or_empty(value_map_str(record, "uuid")), a->value) ||
                   str_eq(str_or_empty(value_map_str(record, "name_label")), a->value);
        }
    }
    return true;
}

bool select_objects(struct xe *x, const char *class_name, const char *own, struct value *ret, struct error **errp) {
    const struct cli_class *c = cli_class_by_name(class_name);
    const struct value *all = records_all(x->records, c->class_id, errp);
    _cleanup_value_ struct value chosen = value_set();
    _cleanup_strv_ struct strv own_keys = {0};
    strv_split(&own_keys, own, ',');
    for (size_t i = 0; all && i < all->map.n; i++) {
        bool match;
        if (!matches(x, c, &all->map.pairs[i].value, &own_keys, &match, errp))
            return false;
        if (match && is_among(c, &all->map.pairs[i].value))
            value_set_add(&chosen, value_string(all->map.pairs[i].key));
    }
    if (!all)
        return false;
    const char *plural = str_eq(class_name, "host") ? "hosts" : str_eq(class_name, "vm") ? "VMs" : "templates";
    if (!chosen.set.n || (chosen.set.n > 1 && !args_is(&x->args, ARGS_MULTIPLE))) {
        error_setf(errp, "CLI_FAILURE",
                   chosen.set.n ? "Failure: Multiple matching %s found. --multiple required to complete the operation"
                                : "Failure: No matching %s found",
                   plural);
        return false;
    }
    *ret = value_take(&chosen);
    return true;
}

bool select_hosts(struct xe *x, const char *own, struct value *ret, struct error **errp) {
    return select_objects(x, "host", own, ret, errp);
}

bool select_call(struct xe *x, const struct value *hosts, const char *method, const struct value *extra,
                 unsigned n_extra, struct error **errp) {
    bool all_ok = true;
    for (size_t i = 0; i < hosts->set.n && !xe_was_interrupted(); i++) {
        struct value params[MAX_EXTRA + 1] = {hosts->set.items[i]}; /* borrowed */
        for (unsigned k = 0; k < n_extra && k < MAX_EXTRA; k++)
            params[k + 1] = extra[k];
        _cleanup_value_ struct value result = {.type = VALUE_VOID};
        struct error *e = NULL;
        if (xe_call(x, method, params, n_extra + 1, &result, &e))
            continue;
        if (hosts->set.n == 1) {
            error_propagate(errp, e);
            return false;
        }
        _cleanup_free_ char *uuid = records_text(NULL, &hosts->set.items[i]);
        printf("operation failed on %s: %s\n", uuid, error_text(e));
        error_free(e);
        all_ok = false;
    }
    if (!all_ok)
        error_set(errp, "CLI_SAID", NULL);
    return all_ok;
}
