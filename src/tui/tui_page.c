/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "tui/tui_text.h"

#define LABEL_WIDTH 20
#define MIN_WIDTH 20
#define COLUMN_GAP 2
#define MIN_CUT 8 /* columns of a cell that is cut; with less room it goes below */

struct tui_page tui_page_new(unsigned width) {
    return (struct tui_page){.width = MAX(width, (unsigned)MIN_WIDTH), .item = -1, .keep_at = SIZE_MAX};
}

void tui_page_done(struct tui_page *p) {
    for (size_t i = 0; i < p->n; i++)
        free(p->lines[i].text);
    free(p->lines);
    *p = tui_page_new(p->width);
}

/* Takes text. */
static void push(struct tui_page *p, enum tui_style style, char *text) {
    if (p->n >= TUI_PAGE_MAX_LINES) {
        free(text);
        if (p->n > TUI_PAGE_MAX_LINES)
            return;
        text = xstrdup("(there is more)");
    }
    if (p->n == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 32;
        p->lines = xrealloc_array(p->lines, p->capacity, sizeof(*p->lines));
    }
    p->lines[p->n++] = (struct tui_line){.text = text, .style = style, .item = p->item};
}

/* `first` stands before the first line, blanks of the same width before the others. */
static void add_wrapped(struct tui_page *p, enum tui_style style, const char *first, unsigned hang, const char *text) {
    unsigned first_width = tui_text_width(first), width = p->width;
    bool is_first = true;
    hang = MIN(hang, width / 2);
    do {
        unsigned used = is_first ? first_width : hang;
        if (is_first && first_width + 4 > width) { /* no room beside it */
            push(p, style, xstrndup(first, tui_text_fit(first, width)));
            is_first = false;
            continue;
        }
        size_t n = tui_text_break(text, width - used), end = n;
        while (end && text[end - 1] == ' ')
            end--;
        push(p, style, strf("%*s%s%.*s", is_first ? 0 : (int)hang, "", is_first ? first : "", (int)end, text));
        text += n;
        while (*text == ' ')
            text++;
        is_first = false;
    } while (*text || is_first);
}

static char *vclean(const char *fmt, va_list ap) {
    char *raw = NULL;
    if (vasprintf(&raw, fmt, ap) < 0)
        abort();
    char *text = tui_text_clean(raw);
    free(raw);
    return text;
}

void tui_page_add(struct tui_page *p, enum tui_style style, unsigned indent, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = vclean(fmt, ap);
    va_end(ap);
    size_t lead = strspn(text, " ");
    _cleanup_free_ char *first = xstrndup(text, MIN(lead, (size_t)p->width / 2));
    add_wrapped(p, style, first, indent, text + lead);
}

void tui_page_space(struct tui_page *p) {
    if (p->n && *p->lines[p->n - 1].text)
        push(p, TUI_PLAIN, xstrdup(""));
}

void tui_page_heading(struct tui_page *p, const char *text) {
    tui_page_space(p);
    tui_page_add(p, TUI_HEAD, 0, "%s", text);
}

void tui_page_field(struct tui_page *p, enum tui_style style, const char *label, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = vclean(fmt, ap);
    va_end(ap);
    unsigned label_width = p->width >= 60 ? LABEL_WIDTH : LABEL_WIDTH - 4;
    if (!*text)
        return;
    _cleanup_free_ char *first = strf("  %-*.*s ", (int)label_width, (int)label_width, label);
    add_wrapped(p, style, first, label_width + 3, text);
}

void tui_table_addv(struct tui_table *t, enum tui_style style, const char *const *cells) {
    t->rows = xrealloc_array(t->rows, t->n + 1, sizeof(*t->rows));
    struct tui_row *row = &t->rows[t->n++];
    *row = (struct tui_row){.style = style};
    for (unsigned i = 0; i < t->n_columns; i++)
        row->cells[i] = tui_text_clean(str_or_empty(cells[i]));
}

void tui_table_add(struct tui_table *t, enum tui_style style, ...) {
    const char *cells[TUI_TABLE_MAX_COLUMNS] = {0};
    va_list ap;
    va_start(ap, style);
    for (unsigned i = 0; i < TUI_TABLE_MAX_COLUMNS; i++)
        if (!(cells[i] = va_arg(ap, const char *)))
            break;
    va_end(ap);
    tui_table_addv(t, style, cells);
}

/* One row; cells beyond the width of the page go below, indented. */
static void add_row(struct tui_page *p, const struct tui_table *t, const struct tui_row *r, const unsigned *widths) {
    _cleanup_buf_ struct buf line = BUF_INIT;
    unsigned x = 0, i = 0;
    for (; i < t->n_columns; i++) {
        unsigned w = tui_text_width(r->cells[i]);
        bool is_cut = t->cuts_last && i + 1 == t->n_columns && x + MIN_CUT <= p->width;
        if (i && x + MAX(w, 1u) > p->width && !is_cut)
            break;
        buf_add_str(&line, r->cells[i]);
        for (unsigned k = w; i + 1 < t->n_columns && k < widths[i] + COLUMN_GAP; k++)
            buf_add_char(&line, ' ');
        x += widths[i] + COLUMN_GAP;
    }
    while (line.size && line.data[line.size - 1] == ' ')
        line.data[--line.size] = 0;
    push(p, r->style, xstrndup(buf_str(&line), tui_text_fit(buf_str(&line), p->width)));
    for (; i < t->n_columns; i++)
        if (*r->cells[i])
            add_wrapped(p, r->style, "      ", 6, r->cells[i]);
}

void tui_page_table(struct tui_page *p, struct tui_table *t) {
    unsigned widths[TUI_TABLE_MAX_COLUMNS] = {0};
    for (size_t i = 0; i < t->n; i++)
        for (unsigned k = 0; k < t->n_columns; k++)
            widths[k] = MAX(widths[k], tui_text_width(t->rows[i].cells[k]));
    for (size_t i = 0; i < t->n; i++) {
        add_row(p, t, &t->rows[i], widths);
        for (unsigned k = 0; k < t->n_columns; k++)
            free(t->rows[i].cells[k]);
    }
    free(t->rows);
    t->rows = NULL;
    t->n = 0;
}
