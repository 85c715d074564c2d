/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tasks.h"

#include <assert.h>

#include "base/str.h"
#include "gen_handlers.h"
#include "wire/value_xml.h"

#define MAX_CLIENT_VALUE (64 * 1024)

struct task {
    struct uuid uuid;
    struct uuid session;
    char *user;
    struct call *c; /* the running call behind it, or NULL */
    bool is_finished;
    bool is_unwanted;         /* task.destroy came while it was pending */
    bool is_clients;          /* made by task.create */
    uint64_t changed_ms;      /* created, or finished */
    struct task *prev, *next; /* oldest first */
};

struct tasks {
    struct uuidmap *by_uuid;
    struct task *first, *last;
    unsigned n_pending, n_finished;
};

struct tasks *tasks_new(void) {
    struct tasks *ts = xnew0(struct tasks);
    ts->by_uuid = uuidmap_new();
    return ts;
}

static void unlink_task(struct tasks *ts, struct task *t) {
    assert((ts->first == t) == !t->prev);
    if (t->prev)
        t->prev->next = t->next;
    else
        ts->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        ts->last = t->prev;
}

static void append_task(struct tasks *ts, struct task *t) {
    t->next = NULL;
    t->prev = ts->last;
    if (ts->last)
        ts->last->next = t;
    else
        ts->first = t;
    ts->last = t;
}

static void free_task(struct tasks *ts, struct task *t) {
    unlink_task(ts, t);
    uuidmap_remove(ts->by_uuid, &t->uuid);
    if (t->is_finished)
        ts->n_finished--;
    else
        ts->n_pending--;
    free(t->user);
    free(t);
}

void tasks_free(struct tasks *ts) {
    if (!ts)
        return;
    while (ts->first)
        free_task(ts, ts->first);
    uuidmap_free(ts->by_uuid);
    free(ts);
}

static void set(struct api *a, const struct uuid *task, unsigned field, struct value v) {
    db_volatile_set(api_db(a), api_own_host(a), CLASS_task, task, field, v);
}

static int64_t wall_seconds(struct api *a) {
    return loop_wall_ms(api_loop(a)) / 1000;
}

static unsigned n_pending_of(const struct tasks *ts, const char *user) {
    unsigned n = 0;
    for (const struct task *t = ts->first; t; t = t->next)
        n += !t->is_finished && t->user && str_eq(t->user, user);
    return n;
}

bool tasks_add(struct api *a, struct call *c, const struct session *s, const char *label, const char *description,
               const struct type_def *result_type, struct uuid *ret, struct error **errp) {
    struct tasks *ts = a->tasks;
    if (ts->n_pending >= API_MAX_PENDING_TASKS ||
        (s && !session_is_root(s) && n_pending_of(ts, s->user) >= API_MAX_PENDING_TASKS_OF_USER)) {
        error_set(errp, ERR_TOO_MANY_PENDING_TASKS, NULL);
        return false;
    }
    struct task *t = xnew0(struct task);
    t->uuid = uuid_random();
    t->c = c;
    t->is_clients = !c;
    t->changed_ms = loop_now_ms(api_loop(a));
    if (s) {
        t->session = s->uuid;
        t->user = xstrdup(s->user);
    }
    append_task(ts, t);
    uuidmap_put(ts->by_uuid, &t->uuid, t);
    ts->n_pending++;

    db_volatile_put(api_db(a), api_own_host(a), CLASS_task, &t->uuid);
    set(a, &t->uuid, FIELD_task_name_label, value_string(label));
    set(a, &t->uuid, FIELD_task_name_description, value_string(description));
    set(a, &t->uuid, FIELD_task_created, value_time(wall_seconds(a)));
    set(a, &t->uuid, FIELD_task_status, value_string("pending"));
    set(a, &t->uuid, FIELD_task_resident_on, value_ref(api_own_host(a)));
    set(a, &t->uuid, FIELD_task_type, value_string(result_type ? result_type->text : ""));
    set(a, &t->uuid, FIELD_task_backtrace, value_string("()"));
    if (t->is_clients)
        tasks_set_cancellable(a, &t->uuid, true);
    *ret = t->uuid;
    return true;
}

bool tasks_adopt(struct api *a, struct call *c, const struct uuid *task, const char *user, enum role role,
                 struct error **errp) {
    struct task *t = uuidmap_get(a->tasks->by_uuid, task);
    char ref[REF_TEXT_SIZE];
    if (!t)
        error_set(errp, ERR_HANDLE_INVALID, "task", ref_text(task, ref), NULL);
    else if (t->user && !str_eq(t->user, user) && role < ROLE_POOL_OPERATOR)
        error_set(errp, ERR_RBAC_PERMISSION_DENIED, "task.set_progress/any", "the task belongs to another user", NULL);
    else if (t->is_finished || !t->is_clients || t->c)
        error_set(errp, ERR_OPERATION_NOT_ALLOWED, "only a pending task made by task.create can be used", NULL);
    if (!t || (t->user && !str_eq(t->user, user) && role < ROLE_POOL_OPERATOR) || t->is_finished || !t->is_clients ||
        t->c)
        return false;
    t->c = c;
    t->is_clients = false;
    tasks_set_cancellable(a, task, false);
    return true;
}

static void remove_task(struct api *a, struct task *t) {
    db_volatile_delete(api_db(a), api_own_host(a), CLASS_task, &t->uuid);
    free_task(a->tasks, t);
}

/* Marks as finished; the row keeps its final state for those who look late. `t` may be gone afterwards. */
static void end_task(struct api *a, struct task *t, const char *status) {
    set(a, &t->uuid, FIELD_task_status, value_string(status));
    set(a, &t->uuid, FIELD_task_finished, value_time(wall_seconds(a)));
    tasks_set_cancellable(a, &t->uuid, false);
    struct tasks *ts = a->tasks;
    t->c = NULL;
    t->is_finished = true;
    t->changed_ms = loop_now_ms(api_loop(a));
    ts->n_pending--;
    ts->n_finished++;
    unlink_task(ts, t);
    append_task(ts, t);
    for (struct task *old = ts->first, *next; ts->n_finished > TASK_KEEP_MAX && old; old = next) {
        next = old->next;
        if (old->is_finished && old != t)
            remove_task(a, old);
    }
    if (t->is_unwanted)
        remove_task(a, t);
}

static struct value error_as_set(const struct error *e) {
    struct value v = value_set();
    value_set_add(&v, value_string(error_code(e)));
    for (size_t i = 0; i < error_n_params(e); i++)
        value_set_add(&v, value_string(error_param(e, i)));
    return v;
}

void tasks_finish(struct api *a, const struct uuid *task, const struct reply *r) {
    struct task *t = uuidmap_get(a->tasks->by_uuid, task);
    if (!t || t->is_finished)
        return;
    if (r->error) {
        set(a, task, FIELD_task_error_info, error_as_set(r->error));
        end_task(a, t, error_is(r->error, ERR_TASK_CANCELLED) ? "cancelled" : "failure");
    } else {
        set(a, task, FIELD_task_result, value_string_take(value_xml_text(r->value)));
        set(a, task, FIELD_task_progress, value_float(1.0));
        end_task(a, t, "success");
    }
}

void tasks_set_progress(struct api *a, const struct uuid *task, double fraction) {
    double bounded = fraction >= 0 && fraction <= 1 ? fraction : fraction > 1 ? 1 : 0;
    set(a, task, FIELD_task_progress, value_float(bounded));
}

void tasks_set_cancellable(struct api *a, const struct uuid *task, bool cancellable) {
    struct value v = value_set();
    if (cancellable)
        value_set_add(&v, value_string("cancel"));
    set(a, task, FIELD_task_allowed_operations, v);
}

void tasks_expire(struct api *a) {
    uint64_t now = loop_now_ms(api_loop(a));
    for (struct task *t = a->tasks->first, *next; t; t = next) {
        next = t->next;
        uint64_t age = now - t->changed_ms;
        if (t->is_finished ? age > TASK_KEEP_MS : t->is_clients && age > TASK_PENDING_MS)
            remove_task(a, t);
    }
}

struct value tasks_of_session(struct api *a, const struct uuid *session) {
    struct value v = value_set();
    for (const struct task *t = a->tasks->first; t; t = t->next) {
        if (uuid_eq(&t->session, session))
            value_set_add(&v, value_ref(&t->uuid));
    }
    return v;
}

bool tasks_is_own(struct api *a, const struct uuid *task) {
    return uuidmap_get(a->tasks->by_uuid, task) != NULL;
}

/* ---- the calls of class task ---- */

/* The own task that argument 0 names; NULL when the call has been failed. */
static struct task *own_task(struct call *c) {
    const struct row *r = call_arg_row(c, 0);
    if (!r)
        return NULL;
    struct task *t = uuidmap_get(c->api->tasks->by_uuid, &r->uuid);
    if (!t) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "the task runs on another host", NULL);
        return NULL;
    }
    /* A task belongs to the user that started it. */
    if (t->user && !str_eq(t->user, c->session->user) && c->session->role < ROLE_POOL_OPERATOR) {
        call_fail_code(c, ERR_RBAC_PERMISSION_DENIED, "task.destroy/any", "the task belongs to another user", NULL);
        return NULL;
    }
    return t;
}

/* A task that the client drives: not one of a running call. */
static struct task *clients_task(struct call *c) {
    struct task *t = own_task(c);
    if (t && (!t->is_clients || t->is_finished)) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "only a pending task made by task.create can be changed", NULL);
        return NULL;
    }
    return t;
}

/* What clients store here stays in memory on every host: it is limited. False when the call has been failed. */
static bool is_small(struct call *c, unsigned arg) {
    const struct value *v = call_arg(c, arg);
    if (value_memory(v) <= MAX_CLIENT_VALUE)
        return true;
    call_fail_code(c, ERR_INVALID_VALUE, c->def->params[arg].name, "too long", NULL);
    return false;
}

void task_create(struct call *c) {
    struct uuid task;
    struct error *e = NULL;
    if (!is_small(c, 0) || !is_small(c, 1))
        return;
    if (tasks_add(c->api, NULL, c->session, call_arg_str(c, 0), call_arg_str(c, 1), NULL, &task, &e))
        call_return_ref(c, &task);
    else
        call_fail(c, e);
}

void task_destroy(struct call *c) {
    struct task *t = own_task(c);
    if (!t)
        return;
    if (t->is_finished)
        remove_task(c->api, t);
    else
        t->is_unwanted = true; /* removed once it has ended */
    call_return_void(c);
}

void task_cancel(struct call *c) {
    struct task *t = own_task(c);
    if (!t)
        return;
    if (t->is_finished || (!t->is_clients && !t->c->cancel_fn)) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "the task cannot be cancelled", NULL);
        return;
    }
    if (t->is_clients) {
        end_task(c->api, t, "cancelled");
    } else {
        set(c->api, &t->uuid, FIELD_task_status, value_string("cancelling"));
        struct call *target = t->c;
        target->is_cancelled = true;
        target->cancel_fn(target, target->cancel_data); /* may end the task */
    }
    call_return_void(c);
}

void task_set_status(struct call *c) {
    struct task *t = clients_task(c);
    if (!t)
        return;
    const char *status = call_arg_str(c, 1);
    if (str_eq(status, "success") || str_eq(status, "failure") || str_eq(status, "cancelled"))
        end_task(c->api, t, status);
    else
        set(c->api, &t->uuid, FIELD_task_status, value_string(status));
    call_return_void(c);
}

void task_set_progress(struct call *c) {
    struct task *t = clients_task(c);
    if (!t)
        return;
    tasks_set_progress(c->api, &t->uuid, call_arg(c, 1)->real);
    call_return_void(c);
}

void task_set_result(struct call *c) {
    struct task *t = is_small(c, 1) ? clients_task(c) : NULL;
    if (!t)
        return;
    set(c->api, &t->uuid, FIELD_task_result, value_copy(call_arg(c, 1)));
    call_return_void(c);
}

void task_set_error_info(struct call *c) {
    struct task *t = is_small(c, 1) ? clients_task(c) : NULL;
    if (!t)
        return;
    set(c->api, &t->uuid, FIELD_task_error_info, value_copy(call_arg(c, 1)));
    call_return_void(c);
}
