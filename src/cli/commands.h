/* SPDX-License-Identifier: Apache-2.0 */
/* xe's commands: the generic ones of each listable class, and those with a life of their own. One thread. */
#pragma once

#include "cli/args.h"
#include "cli/records.h"

struct xe {
    struct args args;
    struct client *client;
    struct records *records;
};

struct command {
    const char *name;
    const char *required; /* names with commas, for help and completion */
    const char *optional;
    const char *help;
    bool (*run)(struct xe *x, struct error **errp);
    bool needs_no_server;
};

extern const struct command commands[];
extern const unsigned n_commands;
const struct command *command_find(const char *name);

/* Runs "<class>-list" and its kind; *ret_known false when the word is none of them. */
bool generic_run(struct xe *x, const char *word, bool *ret_known, struct error **errp) _warn_unused_;
extern const char *const generic_verbs[]; /* NULL-terminated: "list", "param-list" ... */

/* Sets *errp for a parameter that is missing; NULL then. */
const char *xe_need(struct xe *x, const char *key, struct error **errp);
/* The reference of an object by uuid; false when there is none. */
bool xe_object(struct xe *x, int class_id, const char *uuid, struct value *ret, struct error **errp) _warn_unused_;
/* Calls as a task, with a bar on a terminal once it takes over two seconds; Ctrl-C cancels it. */
bool xe_call_long(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
                  struct error **errp) _warn_unused_;
/* Prints an error as XenServer's xe does, with the cure where the error has one. */
void xe_print_error(struct xe *x, struct error *e);
/* Text to a value of the field's type, as the wire wants it. */
bool xe_typed(const struct type_def *t, const char *text, struct value *ret, struct error **errp) _warn_unused_;
bool xe_was_interrupted(void);
