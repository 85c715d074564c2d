/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks: what Async calls and clients (task.create) show of work that goes on. A task is a volatile row owned by this
 * host plus a few facts kept here. Finished ones stay for TASK_KEEP_MS and are limited to TASK_KEEP_MAX, pending ones
 * of clients that were forgotten end after TASK_PENDING_MS. Loop thread only.
 */
#pragma once

#include "api/call_private.h"

#define TASK_KEEP_MS (65ull * 60 * 1000)
#define TASK_PENDING_MS (24ull * 3600 * 1000)
#define TASK_KEEP_MAX 200

struct tasks *tasks_new(void);
void tasks_free(struct tasks *ts);

/* False with TOO_MANY_PENDING_TASKS when API_MAX_PENDING_TASKS are open. `c` (may be NULL) is the call behind it. */
bool tasks_add(struct api *a, struct call *c, const struct session *s, const char *label, const char *description,
               const struct type_def *result_type, struct uuid *ret, struct error **errp) _warn_unused_;
/* A pending task of a client (task.create) becomes that of the call. False with HANDLE_INVALID, OPERATION_NOT_ALLOWED
 * or RBAC_PERMISSION_DENIED, when it is none, has ended, or is somebody else's. */
bool tasks_adopt(struct api *a, struct call *c, const struct uuid *task, const char *user, enum role role,
                 struct error **errp) _warn_unused_;
/* The work is over: status, result text (as XML-RPC has it) or error_info. */
void tasks_finish(struct api *a, const struct uuid *task, const struct reply *r);
void tasks_set_progress(struct api *a, const struct uuid *task, double fraction);
void tasks_set_cancellable(struct api *a, const struct uuid *task, bool cancellable);
void tasks_expire(struct api *a);
/* References of the tasks of a session, as a set. */
struct value tasks_of_session(struct api *a, const struct uuid *session);
/* Whether the task's row is this host's. */
bool tasks_is_own(struct api *a, const struct uuid *task);
