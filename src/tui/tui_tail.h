/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a log: of LOG_DIR/NAME.log, or where there is no such file of the journal. Blocking; any thread. */
#pragma once

#include "base/str.h"

/* At most `max` lines, the latest last. Nothing when there is nothing. */
void tui_tail_read(const char *log_dir, const char *name, size_t max, struct strv *ret);
/* The last `max` lines of a text that may begin in the middle of one; `is_cut`: then that part is left out. Pure. */
void tui_tail_lines(const char *text, bool is_cut, size_t max, struct strv *ret);
