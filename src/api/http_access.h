/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for a path that is no call: a session named in the query or a cookie (session_id), a user and password in
 * the request's head (HTTP Basic), root over the local socket, or another host of the pool by its certificate. Loop
 * thread only.
 */
#pragma once

#include "api/api.h"
#include "wire/http_server.h"

typedef void api_http_fn(struct api *a, struct http_request *req);

/*
 * Runs `fn` when the one who asks has at least `role`, at once or after the password was checked; otherwise answers
 * 401 or 403. A password opens a session for this request alone.
 */
void api_http_authorize(struct api *a, struct http_request *req, enum role role, api_http_fn *fn);
