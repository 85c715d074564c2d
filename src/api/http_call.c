/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http_call.h"

#include "api/call_private.h"
#include "api/tasks.h"
#include "base/str.h"

static bool give_task(struct call *c, struct http_request *req, const struct api_identity *who, struct error **errp) {
    const char *wanted = http_get_query(req, "task_id");
    if (!wanted)
        wanted = http_get_cookie(req, "task_id");
    struct uuid u;
    if (wanted && !ref_parse(wanted, &u)) {
        error_set(errp, ERR_HANDLE_INVALID, "task", wanted, NULL);
        return false;
    }
    if (wanted) {
        if (!tasks_adopt(c->api, c, &u, who->user, who->role, errp))
            return false;
        c->task = u;
        return true;
    }
    struct session s = {.user = c->user}; /* whose it is; of no session */
    return tasks_add(c->api, c, &s, c->def->name, "", c->def->result, &c->task, errp);
}

struct call *api_http_call(struct api *a, struct http_request *req, const struct api_identity *who,
                           const struct call_def *def, api_reply_fn *reply, void *userdata, struct error **errp) {
    struct call *c = call_new(a, def);
    c->caller.is_local = who->is_local;
    str_copy(c->caller.address, sizeof(c->caller.address), who->address);
    c->user = xstrdup(who->user);
    c->is_async = true;
    if (!give_task(c, req, who, errp)) {
        call_free(c);
        return NULL;
    }
    c->reply = reply;
    c->userdata = userdata;
    return call_keep(c);
}
