/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/records.h"

#include <string.h>

#include "base/str.h"
#include "cli/suggest.h"

struct records {
    struct client *client;
    struct value all[N_CLASSES];
    bool fetched[N_CLASSES];
};

struct records *records_new(struct client *c) {
    struct records *r = xnew0(struct records);
    r->client = c;
    return r;
}

void records_forget(struct records *r) {
    for (unsigned i = 0; i < N_CLASSES; i++) {
        value_done(&r->all[i]);
        r->fetched[i] = false;
    }
}

void records_free(struct records *r) {
    if (!r)
        return;
    records_forget(r);
    free(r);
}

void records_put(struct records *r, int class_id, struct value all) {
    value_done(&r->all[class_id]);
    r->all[class_id] = all;
    r->fetched[class_id] = true;
}

const struct value *records_all(struct records *r, int class_id, struct error **errp) {
    if (r->fetched[class_id])
        return &r->all[class_id];
    _cleanup_free_ char *method = strf("%s.get_all_records", model_classes[class_id].name);
    struct value all = {.type = VALUE_VOID};
    if (!r->client) {
        error_internal(errp, "%s cannot be called", method);
        return NULL;
    }
    if (!client_call(r->client, method, NULL, 0, &all, errp))
        return NULL;
    if (all.type != VALUE_MAP) {
        value_done(&all);
        error_internal(errp, "the answer to %s is no map", method);
        return NULL;
    }
    records_put(r, class_id, all);
    return &r->all[class_id];
}

/* ---- texts ---- */
/* A reference as xe shows it: the uuid of what it names. */
static const char *ref_as_uuid(const char *text) {
    if (str_eq(text, REF_NULL_TEXT))
        return RECORDS_NOT_IN_DATABASE;
    return str_starts(text, REF_PREFIX) ? text + strlen(REF_PREFIX) : text;
}

static void add_text(struct buf *out, const struct type_def *t, const struct value *v) {
    char time[TIME_TEXT_SIZE], ref[REF_TEXT_SIZE];
    switch (v->type) {
    case VALUE_VOID:
        break;
    case VALUE_STRING:
        buf_add_str(out, ref_as_uuid(value_str(v)));
        break;
    case VALUE_INT: /* JSON writes 1.0 as 1 */
        if (t && t->kind == TYPE_FLOAT)
            buf_addf(out, "%.3f", (double)v->integer);
        else
            buf_addf(out, "%lld", (long long)v->integer);
        break;
    case VALUE_FLOAT:
        buf_addf(out, "%.3f", v->real);
        break;
    case VALUE_BOOL:
        buf_add_str(out, v->boolean ? "true" : "false");
        break;
    case VALUE_TIME:
        buf_add_str(out, time_text(v->time, time));
        break;
    case VALUE_REF:
        buf_add_str(out, ref_as_uuid(ref_text(&v->ref, ref)));
        break;
    case VALUE_SET:
        for (size_t i = 0; i < v->set.n; i++) {
            buf_add_str(out, i ? "; " : "");
            add_text(out, t ? t->elem : NULL, &v->set.items[i]);
        }
        break;
    case VALUE_MAP:
        for (size_t i = 0; i < v->map.n; i++) {
            buf_addf(out, "%s%s: ", i ? "; " : "", ref_as_uuid(v->map.pairs[i].key));
            add_text(out, t ? t->elem : NULL, &v->map.pairs[i].value);
        }
        break;
    }
}

char *records_text(const struct type_def *t, const struct value *v) {
    struct buf out = BUF_INIT;
    add_text(&out, t, v);
    return buf_take(&out);
}

/* ---- following a path through references ---- */
struct found {
    const struct value *value;   /* NULL: there is none, see `missing` */
    const struct type_def *type; /* NULL: unknown to the model */
    const char *missing;         /* what is printed instead */
};

/* The class that a reference, or a set of them, leads to; or -1. */
static int target_of(const struct field_def *f) {
    return f->type->kind == TYPE_SET ? f->type->elem->class_id : f->type->class_id;
}

/* `item`: which one of a set of references. */
static bool follow_item(struct records *r, const struct cli_class *c, const struct value *record, const char *path,
                        size_t item, struct found *ret, struct error **errp) {
    *ret = (struct found){.missing = RECORDS_NOT_IN_DATABASE};
    for (int class_id = c->class_id;;) {
        size_t len = strcspn(path, ".");
        _cleanup_free_ char *name = xstrndup(path, len);
        int index;
        const struct field_def *field = model_field_by_name(&model_classes[class_id], name, &index);
        const struct value *v = record->type == VALUE_MAP ? value_map_get(record, name) : NULL;
        if (!path[len]) {
            ret->value = v;
            ret->type = field ? field->type : NULL;
            return true;
        }
        if (v && v->type == VALUE_SET)
            v = item < v->set.n ? &v->set.items[item] : NULL;
        if (!v || !field || target_of(field) < 0 || str_eq(value_str(v), REF_NULL_TEXT))
            return true;
        class_id = target_of(field);
        const struct value *all = records_all(r, class_id, errp);
        if (!all)
            return false;
        record = value_map_get(all, value_str(v));
        if (!record) {
            ret->missing = RECORDS_INVALID_REFERENCE;
            return true;
        }
        path += len + 1;
    }
}

static bool follow(struct records *r, const struct cli_class *c, const struct value *record, const char *path,
                   struct found *ret, struct error **errp) {
    return follow_item(r, c, record, path, 0, ret, errp);
}

/* Whether all that a set of references leads to is shown; and how many these are. */
static bool shows_all(const struct cli_field *f, const struct value *record, size_t *ret_n) {
    const char *dot = f->rights == CLI_SRO ? strchr(f->path, '.') : NULL;
    _cleanup_free_ char *name = dot ? xstrndup(f->path, (size_t)(dot - f->path)) : NULL;
    const struct value *v = name && record->type == VALUE_MAP ? value_map_get(record, name) : NULL;
    *ret_n = v && v->type == VALUE_SET ? v->set.n : 0;
    return dot != NULL;
}

/* The texts of all of them; false with *errp when they cannot be fetched. */
static bool all_texts(struct records *r, const struct cli_class *c, const struct value *record,
                      const struct cli_field *f, size_t n, struct strv *ret, struct error **errp) {
    for (size_t i = 0; i < n; i++) {
        struct found found;
        if (!follow_item(r, c, record, f->path, i, &found, errp))
            return false;
        strv_take(ret, found.value ? records_text(found.type, found.value) : xstrdup(found.missing));
    }
    return true;
}

void records_classes_of_field(const struct cli_class *c, const struct cli_field *f, bool ret[static N_CLASSES]) {
    int class_id = c->class_id;
    for (const char *path = f->path, *dot; class_id >= 0; path = dot + 1) {
        ret[class_id] = true;
        dot = strchr(path, '.');
        if (!dot)
            return;
        _cleanup_free_ char *name = xstrndup(path, (size_t)(dot - path));
        int index;
        const struct field_def *field = model_field_by_name(&model_classes[class_id], name, &index);
        class_id = field ? target_of(field) : -1;
    }
}

const struct value *records_value(struct records *r, const struct cli_class *c, const struct value *record,
                                  const struct cli_field *f, struct error **errp) {
    struct found found;
    return follow(r, c, record, f->path, &found, errp) ? found.value : NULL;
}

char *records_field(struct records *r, const struct cli_class *c, const struct value *record, const struct cli_field *f,
                    struct error **errp) {
    struct found found;
    size_t n;
    if (shows_all(f, record, &n)) {
        _cleanup_strv_ struct strv texts = {0};
        return all_texts(r, c, record, f, n, &texts, errp) ? strv_join(&texts, "; ") : NULL;
    }
    if (!follow(r, c, record, f->path, &found, errp))
        return NULL;
    return found.value ? records_text(found.type, found.value) : xstrdup(found.missing);
}

/* ---- filters ---- */
const struct cli_field *records_filter_field(const struct cli_class *c, const char *key, struct error **errp) {
    _cleanup_free_ char *name = xstrndup(key, strcspn(key, ":"));
    const struct cli_field *f = cli_field_by_name(c, name);
    if (f)
        return f;
    struct suggestion s = suggestion_new(name);
    for (unsigned i = 0; i < c->n_fields; i++)
        suggestion_consider(&s, c->fields[i].name);
    error_set(errp, "CLI_UNKNOWN_FIELD", name, c->name, s.best, NULL);
    return NULL;
}

bool records_match(struct records *r, const struct cli_class *c, const struct value *record, const char *key,
                   const char *value, bool *ret, struct error **errp) {
    const char *colon = strchr(key, ':');
    const struct cli_field *f = records_filter_field(c, key, errp);
    struct found found;
    size_t n;
    if (f && shows_all(f, record, &n)) {
        _cleanup_strv_ struct strv texts = {0};
        if (!all_texts(r, c, record, f, n, &texts, errp))
            return false;
        _cleanup_free_ char *all = strv_join(&texts, "; ");
        *ret = colon ? strv_has(&texts, value) : str_eq(all, value);
        return true;
    }
    if (!f || !follow(r, c, record, f->path, &found, errp))
        return false;
    const struct value *v = found.value;
    const struct type_def *elem = found.type ? found.type->elem : NULL;
    if (colon && v && v->type == VALUE_MAP) {
        const struct value *item = value_map_get(v, colon + 1);
        _cleanup_free_ char *text = item ? records_text(elem, item) : NULL;
        *ret = text && str_eq(text, value);
    } else if (colon && v && v->type == VALUE_SET) {
        *ret = false;
        for (size_t i = 0; i < v->set.n && !*ret; i++) {
            _cleanup_free_ char *text = records_text(elem, &v->set.items[i]);
            *ret = str_eq(text, value);
        }
    } else {
        _cleanup_free_ char *text = v ? records_text(found.type, v) : xstrdup(found.missing);
        *ret = str_eq(text, value);
    }
    return true;
}
