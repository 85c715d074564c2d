/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One running API call: its arguments, session, task and answer. The dispatcher (dispatch.c) has already checked the
 * session, the role, the number and the types of the arguments, so a handler reads call_arg_* without checking again
 * (references may still name objects that are gone: use call_arg_row). A handler either answers before it returns or
 * keeps the call (call_keep) and answers later, exactly once, with one of call_return* / call_fail*. Loop thread only.
 */
#pragma once

#include "base/error.h"
#include "db/db.h"

struct call;
struct api;
struct session;

typedef void call_handler_fn(struct call *c); /* generated prototypes: gen_handlers.h */

/* What the call is about. */
const struct call_def *call_def(const struct call *c);
struct api *call_api(struct call *c);
struct db *call_db(struct call *c);
struct session *call_session(struct call *c); /* NULL for calls without one */
struct api_caller;
const struct api_caller *call_caller(const struct call *c);
const struct uuid *
call_task(struct call *c); /* the task of an Async call or of a long synchronous one; null uuid when none */
void call_set_progress(struct call *c, double fraction); /* 0..1 */
bool call_is_cancelled(struct call *c);
void call_on_cancel(struct call *c, void (*fn)(struct call *c, void *userdata), void *userdata);

/* Arguments, numbered without the session. Optional ones that were left out hold their default. */
unsigned call_n_args(const struct call *c);
const struct value *call_arg(struct call *c, unsigned i);
const char *call_arg_str(struct call *c, unsigned i);
int64_t call_arg_int(struct call *c, unsigned i);
bool call_arg_bool(struct call *c, unsigned i);
const struct uuid *call_arg_ref(struct call *c, unsigned i);
/* The row that argument i names. When it is not there the call has been failed with HANDLE_INVALID and NULL comes back:
 * just return. */
const struct row *call_arg_row(struct call *c, unsigned i);

/* Answers. Each ends the call; c must not be used afterwards. */
void call_return(struct call *c, struct value result /* taken */);
void call_return_void(struct call *c);
void call_return_ref(struct call *c, const struct uuid *u);
void call_return_str(struct call *c, const char *s);
void call_fail(struct call *c, struct error *e /* taken */);
void call_fail_code(struct call *c, const char *code, ...) _sentinel_; /* code, params..., NULL */
/* Marks that the answer comes later; returns c. */
struct call *call_keep(struct call *c);
/*
 * While held, an answered call may still be read (arguments, api, session). The dispatcher holds a call until its
 * handler has returned, so a handler may look at its arguments before it looks whether call_arg_row has failed the
 * call.
 */
struct call *call_hold(struct call *c);
void call_release(struct call *c);

/*
 * Commits t (fenced as a coordinator write), then runs `then`, or fails the call with the transaction's error.
 * `then` may be NULL: the call returns void.
 */
void call_commit(struct call *c, struct db_txn *t /* consumed */, void (*then)(struct call *c, void *userdata),
                 void *userdata);
/*
 * For calls that make an object out of argument 0, a record: takes from it what a client may choose; the rest keeps the
 * model's defaults. False with *errp when something that must be said is missing, or of the wrong type.
 */
bool call_fill_row(struct call *c, struct db_txn *t, const struct uuid *u, struct error **errp) _warn_unused_;
