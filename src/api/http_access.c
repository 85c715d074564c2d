/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http_access.h"

#include <string.h>

#include "api/call_private.h"
#include "base/str.h"

#define ASK_FOR_PASSWORD "WWW-Authenticate: Basic realm=\"Muster\"\r\n"

/* A request that waits for its password to be checked. */
struct checking {
    struct api *api;
    struct http_request *req;
    struct call *call; /* while it waits */
    enum role role;
    api_http_fn *fn;
};

static void refuse(struct http_request *req) {
    http_reply_error(req, 401, ASK_FOR_PASSWORD, "No valid session_id, and no user with a right password.");
}

static struct session *find_session(struct api *a, const char *text) {
    struct uuid u;
    if (!text || !ref_parse(text, &u))
        return NULL;
    return sessions_find(a->sessions, &u, loop_now_ms(api_loop(a)), loop_wall_ms(api_loop(a)) / 1000);
}

static void run_as(struct api *a, struct http_request *req, enum role is, enum role needed, api_http_fn *fn) {
    if (is >= needed)
        fn(a, req);
    else
        http_reply_error(req, 403, NULL, "The role of this user does not allow that.");
}

static void checked(const struct reply *r, void *userdata) {
    struct checking *c = userdata;
    struct session *s = r->error || !r->value
                            ? NULL
                            : sessions_find(c->api->sessions, &r->value->ref, loop_now_ms(api_loop(c->api)),
                                            loop_wall_ms(api_loop(c->api)) / 1000);
    http_on_abort(c->req, NULL, NULL);
    if (s) {
        enum role is = s->role;
        sessions_close(c->api->sessions, s);
        run_as(c->api, c->req, is, c->role, c->fn);
    } else {
        refuse(c->req);
    }
    free(c);
}

static void client_gone(struct http_request *req, void *userdata) {
    struct checking *c = userdata;
    struct call *call = c->call;
    free(c);
    http_reply(req, 500, NULL, NULL, NULL);
    api_client_gone(call);
}

static void wipe(char *s) {
    explicit_bzero(s, strlen(s));
    free(s);
}

/* As a login would be: throttled, with its line in the audit log. */
static void check_password(struct api *a, struct http_request *req, struct api_caller *caller, enum role role,
                           api_http_fn *fn) {
    char *user, *password;
    if (!http_get_basic_auth(req, &user, &password)) {
        refuse(req);
        return;
    }
    struct checking *c = xnew0(struct checking);
    *c = (struct checking){.api = a, .req = req, .role = role, .fn = fn};
    struct api_request rq = {
        .method = "session.slave_local_login_with_password", .params = value_set(), .caller = *caller};
    value_set_add(&rq.params, value_string(user));
    value_set_add(&rq.params, value_string(password));
    wipe(user);
    wipe(password);
    struct call *call = api_dispatch(a, &rq, checked, c);
    if (!call)
        return; /* and c is gone */
    c->call = call;
    http_on_abort(req, client_gone, c);
}

void api_http_authorize(struct api *a, struct http_request *req, enum role role, api_http_fn *fn) {
    struct api_caller caller = api_http_caller(a, req);
    const char *text = http_get_query(req, "session_id");
    if (!text)
        text = http_get_cookie(req, "session_id");
    struct session *s = find_session(a, text);
    if (s)
        run_as(a, req, s->role, role, fn);
    else if (text)
        refuse(req); /* a session that is over is not made good by anything else */
    else if (caller.is_local || caller.is_pool_host)
        fn(a, req);
    else
        check_password(a, req, &caller, role, fn);
}
