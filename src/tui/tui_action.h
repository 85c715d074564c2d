/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be done from the console, as a table: a title, a sentence, what it asks for, when it is to be had, and two
 * functions that run in a worker thread: `prepare` looks and says what to expect, `run` does it. A further repair is a
 * further line in tui_repair.c.
 */
#pragma once

#include <signal.h>

#include "base/error.h"
#include "tui/tui_facts.h"
#include "tui/tui_page.h"

#define TUI_MAX_FIELDS 6
#define TUI_FIELD_SIZE 160 /* bytes of what is typed, with the NUL */

/* When an action is to be had. */
enum tui_needs {
    TUI_NEEDS_DAEMON = 1,
    TUI_NEEDS_NO_DAEMON = 2, /* with it running, it would put back what the pool wants */
    TUI_NEEDS_POOL = 4,      /* a coordinator, too */
    TUI_NEEDS_EMERGENCY = 8, /* a daemon that has no coordinator */
    TUI_NEEDS_SYSTEMD = 16,
};

struct tui_field {
    const char *label; /* NULL ends the list */
    const char *hint;
    const char *initial; /* NULL: empty */
    bool is_secret;      /* not shown, and wiped */
    bool may_be_empty;
};

/* Texts of an outcome, before they are wrapped. */
struct tui_said {
    struct tui_saying {
        enum tui_style style;
        char *text;
    } * items;
    size_t n;
};
void tui_said_add(struct tui_said *s, enum tui_style style, const char *fmt, ...) _printf_(3, 4);
/* What an error means, its parameters by name, and what is behind it. */
void tui_said_error(struct tui_said *s, const struct error *e);
void tui_said_done(struct tui_said *s);

struct tui_action;

/* A job: belongs to the worker thread while it runs. */
struct tui_work {
    const struct tui_action *action;
    char values[TUI_MAX_FIELDS][TUI_FIELD_SIZE];
    char host_ref[64], host_uuid[40];
    bool has_daemon, is_emergency, is_enabled;
    bool is_forced;                         /* a person went on in spite of blockers */
    const volatile sig_atomic_t *interrupt; /* not 0: give up */
    /* what came of it */
    struct tui_said said;
    bool ok;
    bool has_blockers; /* of prepare: it takes a person's word to go on */
};
void tui_work_free(struct tui_work *w); /* wipes what was typed; accepts NULL */

struct tui_action {
    const char *screen; /* where it is offered */
    const char *title;
    const char *about;
    unsigned needs;
    struct tui_field fields[TUI_MAX_FIELDS + 1];
    const char *question;                /* before it is done */
    void (*prepare)(struct tui_work *w); /* NULL: nothing to look at. With ok false it is not done */
    void (*run)(struct tui_work *w);
};

extern const struct tui_action tui_power_actions[], tui_join_actions[], tui_repair_actions[]; /* `title` NULL ends */

/* The i-th action of a screen; NULL at the end. */
const struct tui_action *tui_action_at(const char *screen, unsigned i);
/* Why it is not to be had now, one sentence; NULL when it is. */
const char *tui_action_obstacle(const struct tui_action *a, const struct tui_facts *f);
struct tui_work *tui_work_new(const struct tui_action *a, const struct tui_facts *f);
