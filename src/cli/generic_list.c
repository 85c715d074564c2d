/* SPDX-License-Identifier: Apache-2.0 */
/* "<class>-list" and the printing of records. */
#include <string.h>

#include "cli/commands.h"
#include "cli/layout.h"

#define MAX_FIELDS 256

struct chosen {
    const struct cli_field *fields[MAX_FIELDS];
    unsigned n;
};

static void print(struct xe *x, const struct cli_class *c, const struct value *record, const struct chosen *chosen,
                  bool in_list, struct buf *out, struct error **errp) {
    char *texts[MAX_FIELDS] = {0};
    unsigned n = 0;
    while (n < chosen->n) {
        bool is_left_out = in_list && chosen->fields[n]->expensive;
        texts[n] =
            is_left_out ? xstrdup(RECORDS_EXPENSIVE) : records_field(x->records, c, record, chosen->fields[n], errp);
        if (!texts[n])
            break;
        n++;
    }
    if (!*errp)
        layout_record(out, chosen->fields, texts, n);
    for (unsigned i = 0; i < n; i++)
        free(texts[i]);
}

static void choose_all(const struct cli_class *c, struct chosen *ret) {
    ret->n = 0;
    for (unsigned i = 0; i < c->n_fields && ret->n < MAX_FIELDS; i++)
        if (!c->fields[i].hidden)
            ret->fields[ret->n++] = &c->fields[i];
}

/* params=a,b, params=all, or the usual ones of the class; printed in the order of the definition, not of the question.
 */
static bool choose(struct xe *x, const struct cli_class *c, struct chosen *ret, struct error **errp) {
    const char *params = args_get(&x->args, "params");
    _cleanup_strv_ struct strv names = {0};
    if (!str_empty(params))
        strv_split(&names, params, ',');
    bool is_asked = names.n > 0;
    for (unsigned i = 0; !is_asked && i < c->n_default_fields; i++)
        strv_add(&names, c->default_fields[i]);
    if (!names.n || strv_has(&names, "all")) {
        choose_all(c, ret);
        return true;
    }
    for (size_t i = 0; i < names.n; i++)
        if (names.items[i][0] && !records_filter_field(c, names.items[i], errp))
            return false;
    ret->n = 0;
    for (unsigned i = 0; i < c->n_fields && ret->n < MAX_FIELDS; i++)
        if (strv_has(&names, c->fields[i].name))
            ret->fields[ret->n++] = &c->fields[i];
    return true;
}

/* Whether the list is about this object at all: templates are no part of vm-list. */
static bool is_in_view(const struct cli_class *c, const struct value *record) {
    for (unsigned i = 0; i < c->n_only; i++) {
        const struct value *v = record->type == VALUE_MAP ? value_map_get(record, c->only[i].field) : NULL;
        if (!v || v->type != VALUE_BOOL || v->boolean != c->only[i].value)
            return false;
    }
    return true;
}

static bool matches_all(struct xe *x, const struct cli_class *c, const struct value *record, bool *ret,
                        struct error **errp) {
    *ret = true;
    for (unsigned i = 0; i < x->args.n && *ret; i++) {
        struct arg *a = &x->args.list[i];
        if (!str_eq(a->key, "params") && !records_match(x->records, c, record, a->key, a->value, ret, errp))
            return false;
    }
    return true;
}

/* A field that does not exist is wrong even when there is no object to look at. */
static bool check_filters(struct xe *x, const struct cli_class *c, struct error **errp) {
    for (unsigned i = 0; i < x->args.n; i++) {
        const char *key = x->args.list[i].key;
        if (!str_eq(key, "params") && !records_filter_field(c, key, errp))
            return false;
    }
    return true;
}

bool generic_list(struct xe *x, const struct cli_class *c, struct error **errp) {
    struct chosen chosen;
    _cleanup_buf_ struct buf out = BUF_INIT;
    bool is_minimal = args_is(&x->args, ARGS_MINIMAL), is_first = true;
    if (!choose(x, c, &chosen, errp) || !check_filters(x, c, errp))
        return false;
    const struct value *all = records_all(x->records, c->class_id, errp);
    for (size_t i = 0; all && i < all->map.n && !*errp; i++) {
        const struct value *record = &all->map.pairs[i].value;
        bool match;
        if (!is_in_view(c, record) || !matches_all(x, c, record, &match, errp) || !match)
            continue;
        if (!is_minimal) {
            print(x, c, record, &chosen, /* in_list= */ true, &out, errp);
        } else if (chosen.n) {
            _cleanup_free_ char *text = chosen.fields[0]->expensive
                                            ? xstrdup(RECORDS_EXPENSIVE)
                                            : records_field(x->records, c, record, chosen.fields[0], errp);
            layout_minimal(&out, str_or_empty(text), is_first);
        }
        is_first = false;
    }
    if (*errp)
        return false;
    if (is_minimal)
        buf_add_char(&out, '\n');
    xe_print(&out);
    return true;
}

bool generic_print_record(struct xe *x, const struct cli_class *c, const struct value *record, struct error **errp) {
    struct chosen chosen;
    _cleanup_buf_ struct buf out = BUF_INIT;
    choose_all(c, &chosen);
    print(x, c, record, &chosen, /* in_list= */ false, &out, errp);
    if (*errp)
        return false;
    xe_print(&out);
    return true;
}
