/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of db_server: an operation is a list of steps; each step ends in server_next or server_fail. */
#pragma once

#include "db/db_server.h"
#include "loop/child.h"
#include "ovsdb/unixctl.h"

#define MAX_STEPS 20
#define CONTROL_TIMEOUT_MS 3000

struct mending;
struct status_query;
struct worker;
typedef void step_fn(struct db_server *s);

struct db_server {
    struct loop *loop;
    char *db_dir, *file, *fresh, *standalone;
    char *socket, *control, *pidfile;
    char *schema, *log, *key, *cert, *ca, *scheme, *listen_address;
    int raft_port, client_port;
    uint64_t step_timeout_ms;
    unsigned join_timeout_s;

    /* The operation. */
    bool busy;
    step_fn *steps[MAX_STEPS], *undo[MAX_STEPS];
    unsigned n_steps, at, n_undo;
    struct error *failure; /* set while undoing */
    db_server_done_fn *done;
    void *userdata;
    char *address, *other_address, *why;
    struct strv voters;
    unsigned timeout_s;
    bool check_solo;
    bool is_placed; /* the file that this operation made is the server's now */
    struct uuid solo;

    /* What the step waits for. */
    struct child *child;
    struct unixctl *call;
    struct loop_source *timer;
    struct loop_source *exit_source; /* of exit_fd */
    int exit_fd;                     /* pidfd of the server that is being stopped, or -1 */
    uint64_t end_ms;
    void (*on_tool)(struct db_server *s, const struct child_result *r);
    char *server_text; /* what a failed start said */

    struct status_query *queries;
    struct child *version_child;
    db_server_version_fn *version_fn;
    void *version_userdata;
    struct unixctl *cut_call;
    bool has_failed; /* seen failed, and not yet seen whole again */
    struct loop_source *room_timer;
    struct worker *worker; /* NULL until a file is to be mended */
    struct mending *mending;
};

/* ---- db_server.c: the machinery ---- */
bool server_begin(struct db_server *s, db_server_done_fn *done, void *userdata); /* false: refused, done will be told */
void server_add(struct db_server *s, step_fn *step);
void server_add_undo(struct db_server *s, step_fn *step);
void server_go(struct db_server *s);
void server_next(struct db_server *s);
void server_fail(struct db_server *s, const char *fmt, ...) _printf_(2, 3);
void server_wait(struct db_server *s, uint64_t ms, loop_timer_fn *fn); /* one timer per step */

/* ---- db_server_steps.c ---- */
step_fn step_create, step_place, step_set_aside, step_join_file, step_wait_connected, step_leave, step_wait_removed,
    step_to_standalone, step_check_solo, step_from_standalone, step_needs_conversion, step_revive, step_undo_join,
    step_swap_addresses;
/* Renames the file; its new name in *ret_name (the caller frees). Negative errno. */
int server_set_aside(struct db_server *s, const char *why, char **ret_name);
/* A free name of this kind, or that of the oldest; the caller frees. */
char *server_aside_name(const struct db_server *s, const char *why);

/* ---- db_server_process.c ---- */
step_fn step_stop, step_start_voter, step_start_relay;
/* Runs a tool of this step; `then` is called when it has ended. */
void server_run(struct db_server *s, uint64_t timeout_ms, void (*then)(struct db_server *, const struct child_result *),
                const char *const argv[]);
char *server_said(const struct db_server *s, const struct child_result *r); /* in one line; the caller frees */
void server_tool_failed(struct db_server *s, const char *what, const struct child_result *r);
void server_mend(struct db_server *s); /* when nothing else is under way */
/* -1: nothing runs. Otherwise its pid; *ret_relay says what it is. */
int server_pid(const struct db_server *s, bool *ret_relay);
char *server_address(const struct db_server *s, const char *address, int port);

/* ---- db_server_disk.c ---- */
void server_watch_room(struct db_server *s);  /* from now on */
bool server_need_room(struct db_server *s);   /* false: the step has failed */
bool server_is_hole(const char *text);        /* what a server said that did not start */
void server_close_holes(struct db_server *s); /* and starts it again; ends the step */
void server_disk_done(struct db_server *s);

/* ---- db_server_status.c ---- */
step_fn step_kick, step_refuse_last;
void server_cancel_queries(struct db_server *s);
