/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts for a terminal. What comes from the pool, the disk, a log or a switch may hold anything; only what has passed
 * tui_text_clean reaches the screen. Widths are columns: a character may take none, one or two. Pure, but for the
 * locale, which says what can be printed. Any thread.
 */
#pragma once

#include "base/macro.h"

#define TUI_TEXT_MAX 8192 /* bytes of one text that are looked at; the rest is dropped */

/*
 * One line of printable characters: control characters, line ends and what is not valid UTF-8 become '?', tabs become
 * a blank. Where the locale has ASCII only, so has the result. The caller frees.
 */
char *tui_text_clean(const char *s);
unsigned tui_text_width(const char *clean);
/* How many bytes at the front of `clean` fit into `width` columns. */
size_t tui_text_fit(const char *clean, unsigned width);
/* How many bytes make the next line of at most `width` columns: up to a blank where there is one. At least one
 * character, unless `clean` is empty. */
size_t tui_text_break(const char *clean, unsigned width);
