/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands where on the terminal: pieces of text in rows and columns. From 70 columns on with a menu at the left, as
 * of 20 x 5 without it, below that a plea for more room. Pure; one thread.
 */
#pragma once

#include "tui/tui_state.h"

struct tui_span {
    unsigned row, column;
    enum tui_style style;
    char *text; /* printable; ends within its row */
};

struct tui_frame {
    unsigned n_rows, n_columns;
    struct tui_span *spans;
    size_t n;
    int cursor_row, cursor_column; /* -1: not shown */
};

/* Also notes in `s` how much can be scrolled, and moves what is shown to what is chosen. */
struct tui_frame tui_frame_make(struct tui_state *s, const struct tui_facts *f, unsigned n_rows, unsigned n_columns);
void tui_frame_done(struct tui_frame *f);
/* The frame as lines of text, blanks at their ends left out; the caller frees. */
char *tui_frame_text(const struct tui_frame *f);
