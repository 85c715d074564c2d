/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal: draws frames, reads keys. Only what differs from the frame before is sent, so nothing flickers. */
#pragma once

#include "tui/tui_frame.h"

/* Takes the terminal over. False when it cannot be used; it is then as it was. */
bool tui_draw_begin(void) _warn_unused_;
void tui_draw_end(void); /* gives it back as it was; may be called twice, and at any time */
void tui_draw_frame(const struct tui_frame *f);
void tui_draw_size(unsigned *ret_rows, unsigned *ret_columns);
void tui_draw_resize(void); /* the terminal has another size now */
void tui_draw_again(void);  /* all of it is drawn anew: something else has written there */
/* The next key; TUI_KEY_NONE when there is none yet. */
enum tui_key tui_draw_key(char *ret_char);
