/* SPDX-License-Identifier: Apache-2.0 */
/* The screens: what each says, made from what is known. Pure. */
#pragma once

#include "tui/tui_facts.h"
#include "tui/tui_page.h"

struct tui_screen {
    const char *name;                                             /* for --dump */
    const char *title;                                            /* in the menu, at most 8 characters */
    const char *about;                                            /* for --help */
    bool has_actions;                                             /* offers those of tui_action.h */
    bool is_log;                                                  /* its end is looked at first */
    void (*write)(const struct tui_facts *f, struct tui_page *p); /* NULL: only actions */
};

#define TUI_N_SCREENS 8
extern const struct tui_screen tui_screens[TUI_N_SCREENS];
int tui_screen_find(const char *name); /* -1: none */

/* The whole page of a screen: what is in the way of knowing more, then what it says. selected: the action that the
 * cursor is at, -1 none. */
void tui_screen_page(const struct tui_screen *s, const struct tui_facts *f, int selected, struct tui_page *p);
/* The membership state, or why it is not known, in a few words. */
const char *tui_screen_state(const struct tui_facts *f);

void tui_screen_status(const struct tui_facts *f, struct tui_page *p);
void tui_screen_network(const struct tui_facts *f, struct tui_page *p);
void tui_screen_alerts(const struct tui_facts *f, struct tui_page *p);
void tui_screen_paths(const struct tui_facts *f, struct tui_page *p);
void tui_screen_logs(const struct tui_facts *f, struct tui_page *p);
