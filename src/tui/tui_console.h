/* SPDX-License-Identifier: Apache-2.0 */
/* The console at work: looks every two seconds, draws, reads keys, starts jobs. */
#pragma once

/* Until a person leaves it. 0, or 1 when the terminal cannot be used (said on standard error). */
int tui_console_run(void);
/* Prints one screen as text, at once. 0, or 1 when it could not be printed. */
int tui_console_dump(unsigned screen, unsigned width);
