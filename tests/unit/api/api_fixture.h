/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API on a simulated loop over a replica without a database: tests put rows in by hand, and transactions are applied
 * to the replica at once (fixture_txn.c takes the place of db_txn_commit at link time).
 */
#pragma once

#include "api/api.h"
#include "loop/loop_sim.h"

#define MAX_HOSTS 4

struct fx {
    struct loop_sim *sim;
    struct loop *loop;
    struct db *db;
    struct worker *worker;
    struct api *api;
    struct api_hooks hooks;
    struct uuid pool;
    struct uuid hosts[MAX_HOSTS];
    unsigned n_hosts;
    char *session; /* of fx_login */
    /* the next transaction fails with this code; owned by the test */
    const char *next_commit_error;
};

/* A pool of n hosts, all live; this process is hosts[own], the coordinator hosts[0]. `handlers` may be NULL. */
struct fx *fx_new(unsigned n_hosts, unsigned own, call_handler_fn *const *handlers);
void fx_free(struct fx *fx);
/* The api takes fx->hooks as they are now. */
void fx_hooks_changed(struct fx *fx);

/* Rows of any class, by hand. */
struct uuid fx_add(struct fx *fx, int class_id);
void fx_set(struct fx *fx, int class_id, const struct uuid *uuid, unsigned field, struct value v);
void fx_delete(struct fx *fx, int class_id, const struct uuid *uuid);
void fx_settle(struct fx *fx); /* runs what is due now */
const struct row *fx_row(struct fx *fx, int class_id, const struct uuid *uuid);

/* One request and what came of it. */
struct answer {
    bool is_there; /* an answer has come */
    char *json;    /* the result as JSON text; NULL on error */
    struct error *error;
    struct call *call; /* while it waits */
};
/* `params` is JSON text with $S for the session's reference; a local caller unless `remote`. */
struct answer *fx_start(struct fx *fx, bool remote, bool xml, const char *method, const char *params);
void answer_free(struct answer *a);

/* Waits (simulated, at most a minute) and gives the result's text, owned by the fixture for the next three calls. */
const char *fx_call(struct fx *fx, const char *method, const char *params_fmt, ...) _printf_(3, 4);
/* The same for a call that must fail: "CODE p1 p2". */
const char *fx_fail(struct fx *fx, const char *method, const char *params_fmt, ...) _printf_(3, 4);
void fx_login(struct fx *fx);
const char *fx_ref(const struct uuid *u); /* a few static buffers in turn */
