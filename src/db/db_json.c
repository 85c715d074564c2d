/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON text of a record as XenAPI shows it, made once per change of the row. */
#include <math.h>

#include "db/db_internal.h"

static void add_string(struct buf *b, const char *s) {
    buf_add_char(b, '"');
    const char *plain = s;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, plain, (size_t)(s - plain));
        plain = s + 1;
        switch (c) {
        case '"':
            buf_add_str(b, "\\\"");
            break;
        case '\\':
            buf_add_str(b, "\\\\");
            break;
        case '\n':
            buf_add_str(b, "\\n");
            break;
        case '\r':
            buf_add_str(b, "\\r");
            break;
        case '\t':
            buf_add_str(b, "\\t");
            break;
        default:
            buf_addf(b, "\\u%04x", c);
        }
    }
    buf_add(b, plain, (size_t)(s - plain));
    buf_add_char(b, '"');
}

static void add_value(struct buf *b, const struct value *v) {
    char text[REF_TEXT_SIZE > TIME_TEXT_SIZE ? REF_TEXT_SIZE : TIME_TEXT_SIZE];
    switch (v->type) {
    case VALUE_VOID:
        buf_add_str(b, "\"\"");
        return;
    case VALUE_STRING:
        add_string(b, value_str(v));
        return;
    case VALUE_INT:
        buf_addf(b, "%lld", (long long)v->integer);
        return;
    case VALUE_FLOAT:
        /* JSON has no word for these; the API's own server writes bare words that few parsers take. */
        if (!isfinite(v->real))
            buf_add_char(b, '0');
        else
            buf_addf(b, "%.16g", v->real);
        return;
    case VALUE_BOOL:
        buf_add_str(b, v->boolean ? "true" : "false");
        return;
    case VALUE_TIME:
        buf_addf(b, "\"%s\"", time_text(v->time, text));
        return;
    case VALUE_REF:
        buf_addf(b, "\"%s\"", ref_text(&v->ref, text));
        return;
    case VALUE_SET:
        buf_add_char(b, '[');
        for (size_t i = 0; i < v->set.n; i++) {
            if (i > 0)
                buf_add_char(b, ',');
            add_value(b, &v->set.items[i]);
        }
        buf_add_char(b, ']');
        return;
    case VALUE_MAP:
        buf_add_char(b, '{');
        for (size_t i = 0; i < v->map.n; i++) {
            if (i > 0)
                buf_add_char(b, ',');
            add_string(b, v->map.pairs[i].key);
            buf_add_char(b, ':');
            add_value(b, &v->map.pairs[i].value);
        }
        buf_add_char(b, '}');
        return;
    }
}

const struct buf *db_row_json(struct db *d, const struct row *r) {
    struct object *o = (struct object *)r;
    if (o->json.size > 0)
        return &o->json;
    const struct class_def *class = r->class;
    bool first = true;
    buf_add_char(&o->json, '{');
    for (unsigned i = 0; i < class->n_fields; i++) {
        if (class->fields[i].internal)
            continue;
        buf_addf(&o->json, "%s\"%s\":", first ? "" : ",", class->fields[i].name);
        first = false;
        add_value(&o->json, &r->fields[i]);
    }
    buf_add_char(&o->json, '}');
    return &o->json;
}
