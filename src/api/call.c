/* SPDX-License-Identifier: Apache-2.0 */
/* The call object: arguments, keeping, answering, committing. See call.h for what handlers may rely on. */
#include "api/call.h"

#include "api/call_private.h"
#include "api/tasks.h"
#include "base/str.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct call *call_new(struct api *a, const struct call_def *def) {
    struct call *c = xnew0(struct call);
    c->api = a;
    c->def = def;
    c->args = value_set();
    c->next = a->calls;
    if (a->calls)
        a->calls->prev = c;
    a->calls = c;
    return c;
}

/* Passwords must not stay in freed memory. */
static void wipe_strings(struct value *v) {
    for (size_t i = 0; i < v->set.n; i++) {
        struct value *item = &v->set.items[i];
        if (item->type == VALUE_STRING && item->string)
            explicit_bzero(item->string, strlen(item->string));
    }
}

void call_free(struct call *c) {
    if (c->prev)
        c->prev->next = c->next;
    else
        c->api->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    session_unref(c->session);
    if (c->def && !c->def->has_session)
        wipe_strings(&c->args);
    value_done(&c->args);
    free(c->user);
    free(c);
}

const struct call_def *call_def(const struct call *c) {
    return c->def;
}

struct api *call_api(struct call *c) {
    return c->api;
}

struct db *call_db(struct call *c) {
    return c->api->config.db;
}

const struct api_caller *call_caller(const struct call *c) {
    return &c->caller;
}

struct session *call_session(struct call *c) {
    return c->session;
}

const struct uuid *call_task(struct call *c) {
    return &c->task;
}

void call_set_progress(struct call *c, double fraction) {
    if (!uuid_is_null(&c->task))
        tasks_set_progress(c->api, &c->task, fraction);
}

bool call_is_cancelled(struct call *c) {
    return c->is_cancelled;
}

void call_on_cancel(struct call *c, void (*fn)(struct call *c, void *userdata), void *userdata) {
    c->cancel_fn = fn;
    c->cancel_data = userdata;
    if (!uuid_is_null(&c->task))
        tasks_set_cancellable(c->api, &c->task, fn != NULL);
}

/* ---- arguments ---- */

unsigned call_n_args(const struct call *c) {
    return (unsigned)c->args.set.n;
}

const struct value *call_arg(struct call *c, unsigned i) {
    return &c->args.set.items[i];
}

const char *call_arg_str(struct call *c, unsigned i) {
    return value_str(call_arg(c, i));
}

int64_t call_arg_int(struct call *c, unsigned i) {
    return value_as_int(call_arg(c, i));
}

bool call_arg_bool(struct call *c, unsigned i) {
    return value_as_bool(call_arg(c, i));
}

const struct uuid *call_arg_ref(struct call *c, unsigned i) {
    return &call_arg(c, i)->ref;
}

const struct row *call_arg_row(struct call *c, unsigned i) {
    const struct type_def *t = c->def->params[i].type;
    const struct row *r = t->class_id >= 0 ? db_get(call_db(c), t->class_id, call_arg_ref(c, i)) : NULL;
    if (!r)
        call_fail_handle(c, t->class_name, call_arg_ref(c, i));
    return r;
}

/* ---- answers ---- */

void call_answer(struct call *c, const struct reply *r) {
    audit_call(c, r->error);
    assert(!c->is_ended);
    c->is_ended = true;
    if (c->is_async)
        tasks_finish(c->api, &c->task, r);
    if (c->reply) /* of an Async call it has been taken */
        c->reply(r, c->userdata);
    if (!c->n_holds)
        call_free(c);
}

struct call *call_hold(struct call *c) {
    c->n_holds++;
    return c;
}

void call_release(struct call *c) {
    if (--c->n_holds == 0 && c->is_ended)
        call_free(c);
}

void call_return_borrowed(struct call *c, const struct value *v) {
    call_answer(c, &(struct reply){.value = v});
}

void call_return_json(struct call *c, const char *json, size_t size) {
    call_answer(c, &(struct reply){.json = json, .json_size = size});
}

void call_return(struct call *c, struct value result) {
    call_return_borrowed(c, &result);
    value_done(&result);
}

void call_return_void(struct call *c) {
    call_return(c, (struct value){.type = VALUE_VOID});
}

void call_return_ref(struct call *c, const struct uuid *u) {
    call_return(c, value_ref(u));
}

void call_return_str(struct call *c, const char *s) {
    call_return(c, value_string(s));
}

void call_fail(struct call *c, struct error *e) {
    call_answer(c, &(struct reply){.error = e});
    error_free(e);
}

void call_fail_code(struct call *c, const char *code, ...) {
    const char *params[MAX_ERROR_PARAMS];
    size_t n = 0;
    va_list ap;
    va_start(ap, code);
    for (const char *p; n < ARRAY_SIZE(params) && (p = va_arg(ap, const char *));)
        params[n++] = p;
    va_end(ap);
    struct error *e = NULL;
    error_setv(&e, code, n, params);
    call_fail(c, e);
}

void call_fail_handle(struct call *c, const char *class_name, const struct uuid *u) {
    char ref[REF_TEXT_SIZE];
    call_fail_code(c, ERR_HANDLE_INVALID, class_name, ref_text(u, ref), NULL);
}

void api_fail_unavailable(struct call *c, const char *what) {
    call_fail_code(c, ERR_NOT_IMPLEMENTED, what, NULL);
}

struct call *call_keep(struct call *c) {
    c->is_kept = true;
    return c;
}

/* ---- committing ---- */

struct commit {
    struct call *c;
    void (*then)(struct call *c, void *userdata);
    void *userdata;
    void (*again)(struct call *c); /* may be NULL: a conflict ends the call */
};

static void committed(struct error *error, void *userdata) {
    struct commit cm = *(struct commit *)userdata;
    free(userdata);
    if (cm.again && error_is(error, ERR_DB_CONFLICT) && cm.c->n_tries++ < API_MAX_WRITE_TRIES)
        cm.again(cm.c);
    else if (error)
        call_fail(cm.c, error_dup(error));
    else if (cm.then)
        cm.then(cm.c, cm.userdata);
    else
        call_return_void(cm.c);
}

static void commit_or_again(struct call *c, struct db_txn *t, void (*then)(struct call *c, void *userdata),
                            void *userdata, void (*again)(struct call *c)) {
    call_keep(c);
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        if (then)
            then(c, userdata);
        else
            call_return_void(c);
        return;
    }
    struct commit *cm = xnew0(struct commit);
    *cm = (struct commit){c, then, userdata, again};
    db_txn_fence(t);
    db_txn_commit(t, API_COMMIT_MS, committed, cm);
}

void call_commit(struct call *c, struct db_txn *t, void (*then)(struct call *c, void *userdata), void *userdata) {
    commit_or_again(c, t, then, userdata, /* again= */ NULL);
}

void call_commit_or_again(struct call *c, struct db_txn *t, void (*again)(struct call *c)) {
    commit_or_again(c, t, /* then= */ NULL, /* userdata= */ NULL, again);
}

void api_client_gone(struct call *c) {
    c->reply = NULL;
    if (c->gone_fn)
        c->gone_fn(c, c->gone_data);
}
