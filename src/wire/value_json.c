/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/value_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wire/utf8_run.h"

static void emit_escape(struct buf *out, unsigned char c) {
    static const char short_forms[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char text[8] = {'\\'};
    size_t size;
    if (c < sizeof(short_forms) && short_forms[c]) {
        text[1] = short_forms[c];
        size = 2;
    } else {
        size = (size_t)snprintf(text, sizeof(text), "\\u%04x", c);
    }
    buf_add(out, text, size);
}

void json_emit_string_n(struct buf *out, const char *s, size_t size) {
    const unsigned char *p = (const unsigned char *)s;
    buf_reserve(out, size + 2);
    buf_add_char(out, '"');
    size_t start = 0, i = 0;
    while (i < size) {
        unsigned char c = p[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t n = c >= 0x80 ? utf8_run_size(p + i, size - i) : 0;
        if (n > 0) {
            i += n;
            continue;
        }
        buf_add(out, s + start, i - start);
        if (c >= 0x80)
            buf_add_str(out, UTF8_REPLACEMENT);
        else
            emit_escape(out, c);
        start = ++i;
    }
    buf_add(out, s + start, size - start);
    buf_add_char(out, '"');
}

void json_emit_string(struct buf *out, const char *s) {
    json_emit_string_n(out, s ? s : "", s ? strlen(s) : 0);
}

void json_emit_int(struct buf *out, int64_t i) {
    char text[24], *p = text + sizeof(text);
    uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (i < 0)
        *--p = '-';
    buf_add(out, p, (size_t)(text + sizeof(text) - p));
}

void json_emit_float(struct buf *out, double d) {
    if (isnan(d)) {
        buf_add_str(out, "NaN");
        return;
    }
    if (isinf(d)) {
        buf_add_str(out, d < 0 ? "-Infinity" : "Infinity");
        return;
    }
    char text[40];
    snprintf(text, sizeof(text), "%.16g", d);
    if (strtod(text, NULL) != d)
        snprintf(text, sizeof(text), "%.17g", d);
    buf_add_str(out, text);
    if (!strpbrk(text, ".e")) /* so that a reader can tell it from an int */
        buf_add_str(out, ".0");
}

void value_json_emit(struct buf *out, const struct value *v) {
    char text[REF_TEXT_SIZE]; /* longer than a time */
    switch (v->type) {
    case VALUE_VOID:
        buf_add(out, "\"\"", 2);
        return;
    case VALUE_STRING:
        json_emit_string(out, v->string);
        return;
    case VALUE_INT:
        json_emit_int(out, v->integer);
        return;
    case VALUE_FLOAT:
        json_emit_float(out, v->real);
        return;
    case VALUE_BOOL:
        buf_add_str(out, v->boolean ? "true" : "false");
        return;
    case VALUE_TIME:
        json_emit_string(out, time_text(v->time, text));
        return;
    case VALUE_REF:
        json_emit_string(out, ref_text(&v->ref, text));
        return;
    case VALUE_SET:
        buf_add_char(out, '[');
        for (size_t i = 0; i < v->set.n; i++) {
            if (i > 0)
                buf_add_char(out, ',');
            value_json_emit(out, &v->set.items[i]);
        }
        buf_add_char(out, ']');
        return;
    case VALUE_MAP:
        buf_add_char(out, '{');
        for (size_t i = 0; i < v->map.n; i++) {
            if (i > 0)
                buf_add_char(out, ',');
            json_emit_string(out, v->map.pairs[i].key);
            buf_add_char(out, ':');
            value_json_emit(out, &v->map.pairs[i].value);
        }
        buf_add_char(out, '}');
        return;
    }
}

bool json_within_limits(const char *text, size_t size, unsigned max_depth, size_t max_values) {
    /* Commas and openers outside of strings bound the number of values from above. */
    size_t depth = 0, n = 1;
    for (size_t i = 0; i < size; i++) {
        switch (text[i]) {
        case '"':
            for (i++; i < size && text[i] != '"'; i++)
                if (text[i] == '\\')
                    i++;
            break;
        case '[':
        case '{':
            n++;
            if (++depth > max_depth)
                return false;
            break;
        case ']':
        case '}':
            if (depth > 0)
                depth--;
            break;
        case ',':
            n++;
            break;
        default:
            break;
        }
        if (n > max_values)
            return false;
    }
    return true;
}
