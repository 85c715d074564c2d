/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for something over HTTP that is not a call: consoles, the command line's protocol, images. Judged in the
 * order of the existing API: the local socket (root, unless it shows a session of somebody else), a session of the
 * query or of a cookie, a user and password (HTTP Basic), a certificate of a host of the pool. Loop thread.
 */
#pragma once

#include "api/api.h"
#include "wire/http_server.h"

struct api_identity {
    char user[128];
    enum role role;
    bool is_local;     /* the local socket */
    bool is_pool_host; /* another host of the pool, for whom it has judged already */
    char address[64];  /* "" when local */
    /* api_http_judge, of a user who is not root: a session for what is done in the user's name; else null. Whoever is
     * told ends it (api_session_end); by itself it ends after API_WORK_MS. */
    struct uuid session;
};
#define API_WORK_MS (2 * 3600 * 1000)
void api_session_end(struct api *a, const struct uuid *session);

/* The request is the callee's, to be answered. The client may be gone meanwhile (http_is_aborted). */
typedef void api_http_authenticated_fn(struct http_request *req, const struct api_identity *who, void *userdata);

/*
 * Calls `then`, now or later, when the caller has at least this role. Otherwise the request is answered here: 401 when
 * it is not known who asks, 403 when he may not. The request's data (http_set_data) is used until then.
 */
void api_http_authenticate(struct api *a, struct http_request *req, enum role needed, api_http_authenticated_fn *then,
                           void *userdata);

struct api_http_login { /* texts are read at once; NULL: not given */
    const char *session, *user, *password;
};
/* `who` is NULL when it may not: `code` and `param` (which may be NULL) are the API's error then. Borrowed. */
typedef void api_http_verdict_fn(struct http_request *req, const struct api_identity *who, const char *code,
                                 const char *param, void *userdata);
/*
 * The same for a request that says in its body who asks: nothing is answered here. Over the network a member only says
 * where the coordinator is (HOST_IS_SLAVE).
 */
void api_http_judge(struct api *a, struct http_request *req, const struct api_http_login *login, enum role needed,
                    api_http_verdict_fn *then, void *userdata);

/*
 * Coordinator: what a member is told of a session that a client has shown it: a map of user (text) and role (int), or
 * void when there is no such session. Counts as a use of the session.
 */
struct value api_session_describe(struct api *a, const struct uuid *session);
