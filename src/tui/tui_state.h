/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the person at the console is: which screen, what is chosen, what is being typed or asked. Keys move it; what
 * they ask of the program is returned. Pure; one thread.
 */
#pragma once

#include "tui/tui_action.h"
#include "tui/tui_screen.h"

enum tui_key {
    TUI_KEY_NONE,
    TUI_KEY_CHAR, /* with its byte */
    TUI_KEY_UP,
    TUI_KEY_DOWN,
    TUI_KEY_LEFT,
    TUI_KEY_RIGHT,
    TUI_KEY_PAGE_UP,
    TUI_KEY_PAGE_DOWN,
    TUI_KEY_HOME,
    TUI_KEY_END,
    TUI_KEY_ENTER,
    TUI_KEY_ESCAPE,
    TUI_KEY_TAB,
    TUI_KEY_BACK_TAB,
    TUI_KEY_BACKSPACE,
    TUI_KEY_KILL_LINE,
    TUI_KEY_REDRAW,
    TUI_KEY_INTERRUPT, /* Ctrl-C */
};

enum tui_mode {
    TUI_BROWSE, /* menu, or a screen */
    TUI_FORM,   /* the fields of an action */
    TUI_ASK,    /* yes or no */
    TUI_BUSY,   /* a job runs */
    TUI_TOLD,   /* what came of it */
};

enum tui_request {
    TUI_NOTHING,
    TUI_QUIT,
    TUI_REFRESH,
    TUI_PREPARE,   /* start `prepare` of the action with what was typed */
    TUI_RUN,       /* start `run` */
    TUI_INTERRUPT, /* end the job that runs */
};

#define TUI_WORD_SIZE 8

struct tui_state {
    enum tui_mode mode;
    unsigned screen;
    bool in_pane; /* arrow keys move in the screen, not in the menu */
    size_t scroll[TUI_N_SCREENS];
    bool is_scrolled[TUI_N_SCREENS]; /* by a person: no longer follows what is chosen, or the log's end */
    int selected[TUI_N_SCREENS];
    size_t n_shown, n_lines; /* of the page, as the frame found it: for scrolling */

    const struct tui_action *action;
    unsigned n_fields, field;
    char values[TUI_MAX_FIELDS][TUI_FIELD_SIZE];
    const char *complaint; /* about what was typed; NULL */
    struct tui_said said;  /* findings, or the outcome */
    size_t said_scroll;
    bool has_blockers; /* going on takes the word "force" instead of "yes" */
    bool is_prepared;  /* values were completed by prepare */
    bool ok;           /* of what is told */
    char word[TUI_WORD_SIZE];
};

void tui_state_init(struct tui_state *s);
void tui_state_done(struct tui_state *s); /* wipes what was typed */
enum tui_request tui_state_key(struct tui_state *s, const struct tui_facts *f, enum tui_key key, char c);
/* The job has ended; its texts are taken. */
void tui_state_prepared(struct tui_state *s, struct tui_work *w);
void tui_state_ran(struct tui_state *s, struct tui_work *w);
