/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local socket of a member: what is the coordinator's business is sent there and its answer handed on. A login that
 * succeeds there is remembered here under the same reference, for the calls that this host answers itself.
 */
#include "api/call_private.h"
#include "base/str.h"
#include "wire/rpc.h"

bool forward_wanted(const struct call *c) {
    struct api *a = c->api;
    const struct call_def *def = c->def;
    if (!c->caller.is_local || !a->hooks.forward || def->class_id < 0)
        return false;
    /* Reads are forwarded as well, so that a client sees its own writes; the calls below are about this very host. */
    if (def->kind == CALL_CUSTOM && def->place == CALL_LOCAL && !str_eq(def->name, "session.logout"))
        return false;
    struct error *reason = NULL;
    bool is_emergency = api_is_emergency(a, &reason);
    error_free(reason);
    return !is_emergency && !api_is_coordinator(a);
}

static void remember_login(struct call *c, const struct value *result) {
    struct uuid u;
    struct loop *l = api_loop(c->api);
    if (result->type == VALUE_STRING && ref_parse(value_str(result), &u) && !uuid_is_null(&u))
        sessions_add(c->api->sessions, &u, "root", "forwarded", ROLE_POOL_ADMIN, loop_now_ms(l),
                     loop_wall_ms(l) / 1000);
}

static void forwarded(struct error *error, const char *response, size_t size, void *data) {
    struct call *c = data;
    _cleanup_value_ struct value result = {.type = VALUE_VOID};
    struct error *e = NULL;
    if (error) {
        call_fail(c, error_dup(error));
        return;
    }
    if (!rpc_decode_response(RPC_JSON_2, response, size, &result, &e)) {
        if (error_is(e, ERR_SESSION_INVALID) && c->session)
            sessions_close(c->api->sessions, c->session);
        call_fail(c, e);
        return;
    }
    if (str_eq(c->def->name, "session.login_with_password"))
        remember_login(c, &result);
    /* JSON has lost times and references; an XML client gets them back. What does not fit is passed on as it is. */
    if (!c->wants_json && result.type != VALUE_VOID && !model_coerce(c->def->result, &result, "result", &e)) {
        error_free(e);
    }
    call_return_borrowed(c, &result);
}

void forward_request(struct call *c, struct api_request *rq, bool is_async) {
    struct api *a = c->api;
    _cleanup_value_ struct value params = value_take(&rq->params);
    struct uuid u;
    if (c->def->has_session && params.set.n && ref_parse(value_str(&params.set.items[0]), &u)) {
        struct loop *l = api_loop(a);
        struct session *s = sessions_find(a->sessions, &u, loop_now_ms(l), loop_wall_ms(l) / 1000);
        c->session = s ? session_ref(s) : NULL;
        if (s && str_eq(c->def->name, "session.logout"))
            sessions_close(a->sessions, s);
    }
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *method = strf("%s%s", is_async ? "Async." : "", c->def->name);
    rpc_encode_call(RPC_JSON_2, method, params.set.items, params.set.n, &text);
    call_keep(c);
    a->hooks.forward(a->hooks.userdata, text.data, text.size, API_FORWARD_MS, forwarded, c);
}
