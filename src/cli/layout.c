/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/layout.h"

#include <string.h>

#define MARGIN 4 /* blanks in front of the longest label */

static char *label_of(const struct cli_field *f) {
    return strf("%s (%s)%s", f->name, cli_rights_text(f->rights), f->deprecated ? " [DEPRECATED]" : "");
}

void layout_record(struct buf *out, const struct cli_field *const *fields, char *const *texts, unsigned n) {
    size_t width = 0;
    for (unsigned i = 0; i < n; i++) {
        _cleanup_free_ char *label = label_of(fields[i]);
        width = MAX(width, strlen(label) + MARGIN);
    }
    for (unsigned i = 0; i < n; i++) {
        _cleanup_free_ char *label = label_of(fields[i]);
        buf_addf(out, i == 0 ? "%-*s: " : "%*s: ", (int)width, label);
        buf_add_str(out, texts[i]);
        buf_add_char(out, '\n');
    }
    buf_add_str(out, "\n\n");
}

void layout_minimal(struct buf *out, const char *text, bool is_first) {
    if (!is_first)
        buf_add_char(out, ',');
    for (const char *c = text; *c; c++) {
        if (*c == ',' || *c == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *c);
    }
}

void layout_table(struct buf *out, const char *const *head, unsigned n_columns, char *const *texts, unsigned n_rows) {
    for (unsigned row = 0; row <= n_rows; row++)
        for (unsigned i = 0; i < n_columns; i++) {
            size_t width = strlen(head[i]);
            for (unsigned k = 0; k < n_rows; k++)
                width = MAX(width, strlen(texts[k * n_columns + i]));
            const char *text = row == 0 ? head[i] : texts[(row - 1) * n_columns + i];
            bool is_last = i + 1 == n_columns;
            buf_addf(out, "%-*s%s", is_last ? 0 : (int)width, text, is_last ? "\n" : "  ");
        }
}
