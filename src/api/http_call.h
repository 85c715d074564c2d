/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that a client asks for over HTTP and not as a call, as if it were one: it has a task (that of the query's
 * task_id, or one of its own), can be cancelled, is a line of the audit log, and whatever takes a struct call can work
 * for it. Loop thread.
 */
#pragma once

#include "api/http_auth.h"

/*
 * The call, kept: it ends with call_return* or call_fail*, and `reply` is told. `def` names it in the log; static.
 * NULL with *errp when the task that the request names is not to be had.
 */
struct call *api_http_call(struct api *a, struct http_request *req, const struct api_identity *who,
                           const struct call_def *def, api_reply_fn *reply, void *userdata,
                           struct error **errp) _warn_unused_;
