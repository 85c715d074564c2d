/* SPDX-License-Identifier: Apache-2.0 */
/* One run of xe: what was typed, the connection, what commands share. One thread. */
#pragma once

#include "cli/args.h"
#include "cli/records.h"

struct xe {
    struct args args;
    struct client *client;   /* NULL before xe_connect */
    struct records *records; /* likewise */
    bool changes_networks;   /* the command does: the switches of change.h are for it */
    bool is_said;            /* a dry run has been reported: there is no result to print */
    bool is_host_only;       /* the session is the host's own: tasks are not to be had */
};

/* Connects as the arguments say. is_host_only: for what a host does without a coordinator as well. */
bool xe_connect(struct xe *x, bool is_host_only, struct error **errp) _warn_unused_;
/* Asks on the terminal without showing what is typed; NULL when there is none. Caller wipes and frees. */
char *xe_ask_password(const char *question);
/* Asks for a "yes", unless force is given; false with *errp otherwise. */
bool xe_confirm(struct xe *x, const char *question, struct error **errp) _warn_unused_;

/* Whether this run may read and write files: not when another host's xe asked for it (XE_NO_FILES); false with *errp.
 */
bool xe_may_use_files(const char *path, struct error **errp) _warn_unused_;

/* A parameter that must be there; NULL with *errp when it is not. */
const char *xe_need(struct xe *x, const char *key, struct error **errp);
/* The reference of an object by uuid, asked of the server. */
bool xe_object(struct xe *x, int class_id, const char *uuid, struct value *ret, struct error **errp) _warn_unused_;
/* Text to a value of the field's type, as the wire wants it. */
bool xe_typed(const struct type_def *t, const char *text, struct value *ret, struct error **errp) _warn_unused_;

/* Calls; as a task where the call can be one, with a bar on a terminal once it takes over two seconds. Ctrl-C cancels
 * the task. */
bool xe_call(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
             struct error **errp) _warn_unused_;
/* The same for this very method, whatever the switches say. */
bool xe_call_task(struct xe *x, const char *method, const struct value *params, size_t n, struct value *ret,
                  struct error **errp) _warn_unused_;

/*
 * A file to or from the server at `path` (with a query), in a task of its own: what the task results in. The file must
 * not be there (from the server), or must be (to it); one that was not received whole is removed. `expected`: bytes,
 * for the bar; -1: not known.
 */
bool xe_carry_file(struct xe *x, const char *label, const char *path, const char *file, bool is_upload,
                   int64_t expected, struct value *ret, struct error **errp) _warn_unused_;

/* Ctrl-C: the first is seen here and ends waiting, the second ends the program. */
void xe_catch_interrupt(void);
bool xe_was_interrupted(void);
extern volatile sig_atomic_t xe_interrupt;

/* Prints to standard output; a failure shows in xe_flush. */
void xe_print(const struct buf *text);
void xe_print_line(const char *text);
/* A message for people, not for scripts: left out with --minimal. */
void xe_print_message(const struct xe *x, const char *text);
bool xe_flush(struct error **errp) _warn_unused_;
