/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/value_xml.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "wire/utf8_run.h"
#include "wire/value_json.h"
#include "wire/xml_tree.h"

void xml_emit_text(struct buf *out, const char *s) {
    if (!s)
        return;
    const unsigned char *p = (const unsigned char *)s;
    size_t size = strlen(s), start = 0, i = 0;
    while (i < size) {
        unsigned char c = p[i];
        const char *instead = NULL;
        size_t n = 1;
        if (c >= 0x80) {
            n = utf8_run_size(p + i, size - i);
            /* U+FFFE and U+FFFF are no XML characters. */
            if (n == 0 || (n == 3 && p[i] == 0xef && p[i + 1] == 0xbf && p[i + 2] >= 0xbe)) {
                instead = UTF8_REPLACEMENT;
                n = n ? n : 1;
            }
        } else if (c == '&') {
            instead = "&amp;";
        } else if (c == '<') {
            instead = "&lt;";
        } else if (c == '>') {
            instead = "&gt;";
        } else if (c == '"') {
            instead = "&quot;";
        } else if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') {
            instead = "";
        }
        if (instead) {
            buf_add(out, s + start, i - start);
            buf_add_str(out, instead);
            start = i + n;
        }
        i += n;
    }
    buf_add(out, s + start, size - start);
}

static void emit_float(struct buf *out, double d) {
    char text[40];
    if (isnan(d))
        str_copy(text, sizeof(text), "nan");
    else if (isinf(d))
        str_copy(text, sizeof(text), d < 0 ? "-inf" : "inf");
    else
        snprintf(text, sizeof(text), "%.16g", d);
    buf_addf(out, "<double>%s</double>", text);
}

void value_xml_emit(struct buf *out, const struct value *v) {
    char text[REF_TEXT_SIZE]; /* longer than a time */
    buf_add_str(out, "<value>");
    switch (v->type) {
    case VALUE_VOID:
        break;
    case VALUE_STRING:
        xml_emit_text(out, v->string);
        break;
    case VALUE_INT:
        json_emit_int(out, v->integer);
        break;
    case VALUE_FLOAT:
        emit_float(out, v->real);
        break;
    case VALUE_BOOL:
        buf_add_str(out, v->boolean ? "<boolean>1</boolean>" : "<boolean>0</boolean>");
        break;
    case VALUE_TIME:
        buf_add_str(out, "<dateTime.iso8601>");
        buf_add_str(out, time_text(v->time, text));
        buf_add_str(out, "</dateTime.iso8601>");
        break;
    case VALUE_REF:
        buf_add_str(out, ref_text(&v->ref, text));
        break;
    case VALUE_SET:
        buf_add_str(out, "<array><data>");
        for (size_t i = 0; i < v->set.n; i++)
            value_xml_emit(out, &v->set.items[i]);
        buf_add_str(out, "</data></array>");
        break;
    case VALUE_MAP:
        buf_add_str(out, "<struct>");
        for (size_t i = 0; i < v->map.n; i++) {
            /* Keys of a user's map can hold anything, so names are escaped as well; for others it makes no difference.
             */
            buf_add_str(out, "<member><name>");
            xml_emit_text(out, v->map.pairs[i].key);
            buf_add_str(out, "</name>");
            value_xml_emit(out, &v->map.pairs[i].value);
            buf_add_str(out, "</member>");
        }
        buf_add_str(out, "</struct>");
        break;
    }
    buf_add_str(out, "</value>");
}

char *value_xml_text(const struct value *v) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    value_xml_emit(&out, v);
    return buf_take(&out);
}

bool value_xml_parse(const char *text, size_t size, unsigned max_depth, size_t max_values, struct value *ret,
                     struct error **errp) {
    struct xml_tree tree;
    if (!xml_tree_parse(XML_DOC_VALUE, text, size, max_depth, max_values, &tree, errp))
        return false;
    *ret = value_take(&tree.params[0]);
    xml_tree_done(&tree);
    return true;
}
