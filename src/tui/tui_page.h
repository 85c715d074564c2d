/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a screen says: lines of a given width, each with what it means (not how it looks: a serial line has no colours).
 * Screens write pages from what is known, the frame shows a part of one, --dump prints one. Pure; one thread.
 */
#pragma once

#include "base/macro.h"

enum tui_style {
    TUI_PLAIN,
    TUI_HEAD,     /* a heading */
    TUI_GOOD,     /* as it should be, worth saying */
    TUI_BAD,      /* wrong, and somebody should do something */
    TUI_CURE,     /* what to do about it */
    TUI_SELECTED, /* where the cursor stands */
    TUI_BAR,      /* header and help line; not used in pages */
    N_TUI_STYLES,
};

#define TUI_PAGE_MAX_LINES 4000 /* further ones are left out; the last line says so */

struct tui_line {
    char *text; /* printable, at most `width` columns */
    enum tui_style style;
    int item; /* which of several that can be chosen; -1 none */
};

struct tui_page {
    unsigned width; /* at least 20 */
    struct tui_line *lines;
    size_t n, capacity;
    int item;       /* of lines added from now on */
    size_t keep_at; /* line to keep in view: the one chosen, or where a log ends; SIZE_MAX none */
};

struct tui_page tui_page_new(unsigned width);
void tui_page_done(struct tui_page *p);
#define _cleanup_tui_page_ _cleanup_(tui_page_done)

/* Texts are cleaned and wrapped; lines that follow begin `indent` columns further right than the margin. */
void tui_page_add(struct tui_page *p, enum tui_style style, unsigned indent, const char *fmt, ...) _printf_(4, 5);
void tui_page_space(struct tui_page *p); /* an empty line, unless one is there or the page is empty */
void tui_page_heading(struct tui_page *p, const char *text);
/* "Label        value", the value wrapped in its own column. An empty value is left out. */
void tui_page_field(struct tui_page *p, enum tui_style style, const char *label, const char *fmt, ...) _printf_(4, 5);

/* Rows of cells in columns as wide as they need. Where a row is too wide its last cells go to lines of their own. */
#define TUI_TABLE_MAX_COLUMNS 16
struct tui_table {
    unsigned n_columns;
    bool cuts_last; /* the last cell is cut to the room there is, not put below */
    struct tui_row {
        char *cells[TUI_TABLE_MAX_COLUMNS];
        enum tui_style style;
    } * rows;
    size_t n;
};
void tui_table_add(struct tui_table *t, enum tui_style style, ...) _sentinel_; /* n_columns texts, then NULL */
void tui_table_addv(struct tui_table *t, enum tui_style style, const char *const *cells);
/* Adds the rows to the page and frees them. */
void tui_page_table(struct tui_page *p, struct tui_table *t);
