/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/records.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

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

void records_free(struct records *r) {
    if (!r)
        return;
    for (unsigned i = 0; i < N_CLASSES; i++)
        value_done(&r->all[i]);
    free(r);
}

const struct value *records_all(struct records *r, int class_id, struct error **errp) {
    if (!r->fetched[class_id]) {
        _cleanup_free_ char *method = strf("%s.get_all_records", model_classes[class_id].name);
        if (!client_call(r->client, method, NULL, 0, &r->all[class_id], errp))
            return NULL;
        r->fetched[class_id] = true;
    }
    return &r->all[class_id];
}

/* A reference as xe shows it: the uuid of what it names. */
static const char *ref_as_uuid(const char *text) {
    if (str_eq(text, REF_NULL_TEXT))
        return "<not in database>";
    return str_starts(text, REF_PREFIX) ? text + strlen(REF_PREFIX) : text;
}

char *records_text(const struct value *v) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    switch (v->type) {
    case VALUE_VOID:
        break;
    case VALUE_STRING:
        buf_add_str(&out, ref_as_uuid(value_str(v)));
        break;
    case VALUE_INT:
        buf_addf(&out, "%lld", (long long)v->integer);
        break;
    case VALUE_FLOAT:
        buf_addf(&out, "%.3f", v->real);
        break;
    case VALUE_BOOL:
        buf_add_str(&out, v->boolean ? "true" : "false");
        break;
    case VALUE_TIME: {
        char text[TIME_TEXT_SIZE];
        buf_add_str(&out, time_text(v->time, text));
        break;
    }
    case VALUE_REF: {
        char text[REF_TEXT_SIZE];
        buf_add_str(&out, ref_as_uuid(ref_text(&v->ref, text)));
        break;
    }
    case VALUE_SET:
        for (size_t i = 0; i < v->set.n; i++) {
            _cleanup_free_ char *item = records_text(&v->set.items[i]);
            buf_addf(&out, "%s%s", i ? "; " : "", item);
        }
        break;
    case VALUE_MAP:
        for (size_t i = 0; i < v->map.n; i++) {
            _cleanup_free_ char *item = records_text(&v->map.pairs[i].value);
            buf_addf(&out, "%s%s: %s", i ? "; " : "", ref_as_uuid(v->map.pairs[i].key), item);
        }
        break;
    }
    return buf_take(&out);
}

const struct value *records_value(struct records *r, const struct cli_class *c, const struct value *record,
                                  const char *path, struct error **errp) {
    int class_id = c->class_id;
    for (;;) {
        const char *dot = strchr(path, '.');
        _cleanup_free_ char *name = xstrndup(path, dot ? (size_t)(dot - path) : strlen(path));
        const struct value *v = value_map_get(record, name);
        if (!dot || !v)
            return v;
        int index;
        const struct field_def *field = model_field_by_name(&model_classes[class_id], name, &index);
        if (!field || field->type->class_id < 0)
            return NULL;
        class_id = field->type->class_id;
        const struct value *all = records_all(r, class_id, errp);
        record = all ? value_map_get(all, value_str(v)) : NULL;
        if (!record)
            return NULL;
        path = dot + 1;
    }
}

bool records_field(struct records *r, const struct cli_class *c, const struct value *record, const struct cli_field *f,
                   char **ret, struct error **errp) {
    _cleanup_error_ struct error *e = NULL;
    const struct value *v = records_value(r, c, record, f->path, &e);
    if (e) {
        error_propagate(errp, TAKE(e));
        return false;
    }
    *ret = v ? records_text(v) : xstrdup("<not in database>");
    return true;
}

bool records_match(struct records *r, const struct cli_class *c, const struct value *record, const char *key,
                   const char *value, bool *ret, struct error **errp) {
    const char *colon = strchr(key, ':');
    _cleanup_free_ char *name = xstrndup(key, colon ? (size_t)(colon - key) : strlen(key));
    const struct cli_field *f = cli_field_by_name(c, name);
    if (!f) {
        error_set(errp, "CLI_UNKNOWN_FIELD", name, NULL);
        return false;
    }
    _cleanup_error_ struct error *e = NULL;
    const struct value *v = records_value(r, c, record, f->path, &e);
    if (e) {
        error_propagate(errp, TAKE(e));
        return false;
    }
    if (colon && v && v->type == VALUE_MAP) {
        const struct value *item = value_map_get(v, colon + 1);
        _cleanup_free_ char *text = item ? records_text(item) : NULL;
        *ret = text && str_eq(text, value);
    } else if (colon && v && v->type == VALUE_SET) {
        *ret = false;
        for (size_t i = 0; i < v->set.n; i++) {
            _cleanup_free_ char *text = records_text(&v->set.items[i]);
            *ret |= str_eq(text, value);
        }
    } else {
        _cleanup_free_ char *text = v ? records_text(v) : xstrdup("<not in database>");
        *ret = str_eq(text, value);
    }
    return true;
}
