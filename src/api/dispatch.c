/* SPDX-License-Identifier: Apache-2.0 */
/* From a decoded request to a running call: name, place, session, role, count and types, in this order. */
#include "api/call_private.h"
#include "api/tasks.h"
#include "base/str.h"
#include "wire/value_json.h"
#include <assert.h>
#include <stdio.h>

#define MAX_METHOD 128

/*
 * "Bond.create", and "Bond_create" as some languages have to write it (class names have underscores, too). Whatever
 * stands behind "system.isAlive:" is the client's own mark in logs.
 */
static const struct call_def *find_call(const char *method) {
    const struct call_def *def = model_call_by_name(str_starts(method, "system.isAlive:") ? "system.isAlive" : method);
    char name[MAX_METHOD];
    if (def || strchr(method, '.') || !str_copy(name, sizeof(name), method))
        return def;
    for (char *p = strchr(name, '_'); p && !def; p = strchr(p + 1, '_')) {
        *p = '.';
        def = model_call_by_name(name);
        *p = '_';
    }
    return def;
}

static void list_methods(struct call *c) {
    struct api *a = c->api;
    if (!a->method_names.size) {
        a->method_list = value_set();
        for (unsigned i = 0; i < model_n_calls; i++) {
            if (!model_calls[i].planned_error)
                value_set_add(&a->method_list, value_string(model_calls[i].name));
        }
        value_json_emit(&a->method_names, &a->method_list);
    }
    if (c->wants_json)
        call_return_json(c, a->method_names.data, a->method_names.size);
    else
        call_return_borrowed(c, &a->method_list);
}

static void run_builtin(struct call *c) {
    if (str_eq(c->def->name, "system.listMethods"))
        list_methods(c);
    else if (str_eq(c->def->name, "system.isAlive"))
        call_return_borrowed(c, call_arg(c, 0));
    else
        call_fail_code(c, ERR_MESSAGE_METHOD_UNKNOWN, c->def->name, NULL);
}

static void run(struct call *c) {
    const struct call_def *def = c->def;
    call_handler_fn *const *handlers = c->api->config.handlers;
    if (def->planned_error) {
        /* NOT_IMPLEMENTED names the call; the others that a plan may name take no parameters. */
        bool names_call = str_eq(def->planned_error, ERR_NOT_IMPLEMENTED);
        call_fail_code(c, def->planned_error, names_call ? def->name : NULL, NULL);
    } else if (def->kind != CALL_CUSTOM) {
        generic_run(c);
    } else if (def->class_id < 0) {
        run_builtin(c);
    } else if (handlers && def->handler >= 0) {
        handlers[def->handler](c);
    } else {
        api_fail_unavailable(c, def->name);
    }
}

/* ---- checks; each returns false with *errp set ---- */

static bool check_place(struct call *c, struct error **errp) {
    struct api *a = c->api;
    struct error *reason = NULL;
    if (api_is_emergency(a, &reason)) {
        bool is_login = str_eq(c->def->name, "session.login_with_password");
        /* What this host remembers of the pool may be read here; with nothing to remember, "none" would be no answer.
         */
        bool has_rows = db_pool(a->config.db) || c->def->kind == CALL_CUSTOM;
        if ((c->def->place == CALL_LOCAL && has_rows) || (is_login && c->caller.is_local)) {
            error_free(reason);
            return true;
        }
        error_propagate(errp, reason);
        return false;
    }
    if (c->def->place == CALL_LOCAL || api_is_coordinator(a))
        return true;
    error_set(errp, ERR_HOST_IS_SLAVE, api_coordinator_address(a), NULL);
    return false;
}

static bool check_session(struct call *c, const struct value *params, struct error **errp) {
    if (!c->def->has_session)
        return true;
    struct loop *l = api_loop(c->api);
    const struct value *v = params->set.n ? &params->set.items[0] : NULL;
    struct uuid uuid = {0};
    if (v && v->type == VALUE_REF)
        uuid = v->ref;
    else if (!v || v->type != VALUE_STRING || !ref_parse(value_str(v), &uuid))
        uuid = (struct uuid){0};
    struct session *s = sessions_find(c->api->sessions, &uuid, loop_now_ms(l), loop_wall_ms(l) / 1000);
    /* What slave_local_login gave works for this host's own affairs only. */
    if (!s || (s->is_local_only && c->def->place != CALL_LOCAL)) {
        char text[REF_TEXT_SIZE];
        struct error *reason = NULL;
        /* Clients log in again when their session is not known, and some do not bear that this is refused: as long as
         * nobody could, they are told to wait. */
        if (!s && api_is_emergency(c->api, &reason) && error_is(reason, ERR_HOST_STILL_BOOTING)) {
            error_propagate(errp, reason);
            return false;
        }
        error_free(reason);
        error_set(errp, ERR_SESSION_INVALID, v && v->type == VALUE_STRING ? value_str(v) : ref_text(&uuid, text), NULL);
        return false;
    }
    c->session = session_ref(s);
    return true;
}

static bool check_role(struct call *c, struct error **errp) {
    enum role role = c->session ? c->session->role : ROLE_POOL_ADMIN;
    /* Root on the socket, or a host of the pool; but what is done in the name of a user has that user's role. */
    bool is_users = c->session && !session_is_root(c->session);
    if ((c->caller.is_local || c->caller.is_pool_host) && !is_users)
        role = ROLE_INTERNAL;
    if (role >= c->def->role || !c->def->has_session)
        return true;
    if (c->session && c->session->is_certificate && c->def->with_certificate)
        return true;
    char name[MAX_METHOD];
    str_copy(name, sizeof(name), c->def->name);
    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    error_set(errp, ERR_RBAC_PERMISSION_DENIED, name, "the role of this user does not allow the call", NULL);
    return false;
}

static bool count_error(const struct call_def *def, unsigned n, struct error **errp) {
    char expected[16], received[16];
    snprintf(expected, sizeof(expected), "%u", def->n_params);
    snprintf(received, sizeof(received), "%u", n);
    error_set(errp, ERR_MESSAGE_PARAMETER_COUNT_MISMATCH, def->name, expected, received, NULL);
    return false;
}

/* Fills c->args from params behind the session: the count, defaults, types. Takes the values it uses. */
static bool check_args(struct call *c, struct value *params, struct error **errp) {
    const struct call_def *def = c->def;
    size_t skip = def->has_session ? 1 : 0;
    unsigned n = params->set.n > skip ? (unsigned)(params->set.n - skip) : 0;
    unsigned n_required = 0;
    for (unsigned i = 0; i < def->n_params; i++)
        n_required += !def->params[i].optional;
    /* Superfluous ones are let pass where there are optional ones, as XenServer does. */
    if (n < n_required || (n > def->n_params && n_required == def->n_params))
        return count_error(def, n, errp);
    for (unsigned i = 0; i < def->n_params; i++) {
        const struct param_def *p = &def->params[i];
        struct value v;
        if (i >= n) {
            v = p->default_value ? value_copy(p->default_value) : model_empty_value(p->type);
        } else {
            v = value_take(&params->set.items[skip + i]);
            if (!model_coerce(p->type, &v, p->name, errp)) {
                value_done(&v);
                return false;
            }
        }
        value_set_add(&c->args, v);
    }
    return true;
}

static bool check_all(struct call *c, struct value *params, struct error **errp) {
    return check_place(c, errp) && check_session(c, params, errp) && check_role(c, errp) && check_args(c, params, errp);
}

/* Gives the caller its task at once; what follows ends in the task. */
static bool start_async(struct call *c, struct error **errp) {
    char label[MAX_METHOD];
    snprintf(label, sizeof(label), "Async.%s", c->def->name);
    if (!tasks_add(c->api, c, c->session, label, "", c->def->result, &c->task, errp))
        return false;
    struct value ref = value_ref(&c->task);
    c->is_async = true;
    c->wants_json = false;
    api_reply_fn *reply = TAKE(c->reply);
    reply(&(struct reply){.value = &ref}, c->userdata);
    return true;
}

static void reply_error(api_reply_fn *reply, void *userdata, const char *code, const char *p1, const char *p2) {
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, code, p1, p2, NULL);
    reply(&(struct reply){.error = e}, userdata);
}

struct call *api_dispatch(struct api *a, struct api_request *rq, api_reply_fn *reply, void *userdata) {
    _cleanup_value_ struct value params = value_take(&rq->params);
    bool is_async = str_starts(rq->method, "Async.");
    const struct call_def *def = find_call(is_async ? rq->method + strlen("Async.") : rq->method);
    if (!def) {
        reply_error(reply, userdata, ERR_MESSAGE_METHOD_UNKNOWN, rq->method, NULL);
        return NULL;
    }
    if (is_async && !def->has_async) {
        char text[MAX_METHOD + 64];
        snprintf(text, sizeof(text), "No async mode for this operation (rpc: %s)", def->name);
        reply_error(reply, userdata, "Fault", text, NULL);
        return NULL;
    }

    struct call *c = call_new(a, def);
    call_hold(c);
    c->caller = rq->caller;
    c->wants_json = rq->wants_json;
    c->originator = rq->originator;
    c->is_inner = rq->is_inner;
    c->reply = reply;
    c->userdata = userdata;

    struct error *e = NULL;
    if (forward_wanted(c)) {
        rq->params = value_take(&params);
        forward_request(c, rq, is_async);
    } else if (!check_all(c, &params, &e) || (is_async && !start_async(c, &e))) {
        call_fail(c, e);
    } else {
        run(c);
    }
    assert(c->is_ended || c->is_kept);
    bool client_waits = !c->is_ended && !c->is_async;
    c->originator = NULL;
    call_release(c);
    return client_waits ? c : NULL;
}
