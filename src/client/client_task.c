/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: for events, and for tasks by their events. */
#include <string.h>

#include "base/str.h"
#include "client/client_private.h"
#include "wire/value_xml.h"

#define TASK_WAIT_S 1.0 /* between two looks at a task of which no event tells, and of its bar */
#define RESULT_MAX_DEPTH 32
#define RESULT_MAX_VALUES 100000

bool client_events(struct client *c, const char *const *classes, size_t n_classes, char **token, double timeout_s,
                   struct value *ret_events, struct error **errp) {
    struct value params[3] = {value_set(), value_string(*token), value_float(timeout_s)};
    _cleanup_value_ struct value batch = {.type = VALUE_VOID};
    for (size_t i = 0; i < n_classes; i++)
        value_set_add(&params[0], value_string(classes[i]));
    bool ok = client_call(c, "event.from", params, 3, &batch, errp);
    for (unsigned i = 0; i < 3; i++)
        value_done(&params[i]);
    if (!ok)
        return false;
    struct value *events = batch.type == VALUE_MAP ? value_map_get(&batch, "events") : NULL;
    const char *next = batch.type == VALUE_MAP ? value_map_str(&batch, "token") : NULL;
    if (!events || events->type != VALUE_SET || !next) {
        error_set(errp, ERR_WIRE_RESPONSE, str_or_empty(c->server), "its batch of events is none", NULL);
        return false;
    }
    free(*token);
    *token = xstrdup(next);
    *ret_events = value_take(events);
    return true;
}

static bool finish(struct client *c, const struct value *task, const struct value *record, struct value *ret,
                   struct error **errp) {
    _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
    struct error *e = NULL;
    bool ok = false;
    if (str_eq(value_map_str(record, "status"), "success")) {
        const char *xml = value_map_str(record, "result");
        ok = str_empty(xml) || value_xml_parse(xml, strlen(xml), RESULT_MAX_DEPTH, RESULT_MAX_VALUES, ret, errp);
    } else {
        const struct value *info = value_map_get(record, "error_info");
        const char *texts[MAX_ERROR_PARAMS + 1];
        size_t n = 0;
        for (size_t i = 0; info && info->type == VALUE_SET && i < info->set.n && n <= MAX_ERROR_PARAMS; i++)
            texts[n++] = value_str(&info->set.items[i]);
        if (n)
            error_setv(errp, texts[0], n - 1, texts + 1);
        else if (str_eq(value_map_str(record, "status"), "cancelled"))
            error_set(errp, "TASK_CANCELLED", value_str(task), NULL);
        else
            error_internal(errp, "the task failed and does not say why");
    }
    if (!client_call(c, "task.destroy", task, 1, &nothing, &e))
        error_free(e); /* it expires by itself */
    return ok;
}

/* The latest record of the task: from its events, or read when none came in time. */
static bool next_record(struct client *c, const struct value *task, char **token, struct value *ret,
                        struct error **errp) {
    _cleanup_free_ char *class = strf("task/%s", value_str(task));
    _cleanup_value_ struct value events = {.type = VALUE_VOID};
    if (!client_events(c, (const char *const[]){class}, 1, token, TASK_WAIT_S, &events, errp))
        return false;
    for (size_t i = events.set.n; i > 0; i--) {
        const struct value *event = &events.set.items[i - 1];
        struct value *snapshot = event->type == VALUE_MAP ? value_map_get(event, "snapshot") : NULL;
        if (snapshot && snapshot->type == VALUE_MAP && value_map_str(snapshot, "status")) {
            *ret = value_take(snapshot);
            return true;
        }
    }
    struct value record = {.type = VALUE_VOID};
    if (!client_call(c, "task.get_record", task, 1, &record, errp))
        return false;
    if (record.type != VALUE_MAP || !value_map_str(&record, "status")) {
        value_done(&record);
        error_set(errp, ERR_WIRE_RESPONSE, str_or_empty(c->server), "its record of a task is none", NULL);
        return false;
    }
    *ret = record;
    return true;
}

static double fraction_of(const struct value *record) {
    const struct value *v = value_map_get(record, "progress");
    double f = !v ? 0 : v->type == VALUE_FLOAT ? v->real : v->type == VALUE_INT ? (double)v->integer : 0;
    return f >= 0 && f <= 1 ? f : 0;
}

static bool cancel(struct client *c, const struct value *task, struct error **errp) {
    _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
    client_heed_interrupt(c, false); /* heard; its end is worth waiting for */
    return client_call(c, "task.cancel", task, 1, &nothing, errp);
}

static bool call_async(struct client *c, const char *method, const struct value *params, size_t n,
                       client_progress_fn *progress, void *userdata, struct value *ret, struct error **errp) {
    _cleanup_free_ char *name = strf("Async.%s", method);
    _cleanup_value_ struct value task = {.type = VALUE_VOID};
    client_heed_interrupt(c, false); /* a task that began and is not known could not be cancelled */
    bool ok = client_call(c, name, params, n, &task, errp);
    client_heed_interrupt(c, true);
    return ok && client_task_end(c, &task, progress, userdata, ret, errp);
}

/* A task that ended because its host is still starting has done nothing. */
bool client_call_async(struct client *c, const char *method, const struct value *params, size_t n,
                       client_progress_fn *progress, void *userdata, struct value *ret, struct error **errp) {
    struct error *e = NULL;
    while (!call_async(c, method, params, n, progress, userdata, ret, &e) && client_waits_for_it(c, e))
        error_free(TAKE(e));
    bool ok = !e;
    error_propagate(errp, e);
    return ok;
}

bool client_task_end(struct client *c, const struct value *task, client_progress_fn *progress, void *userdata,
                     struct value *ret, struct error **errp) {
    _cleanup_free_ char *token = xstrdup("");
    bool is_cancelled = false, ok = true;
    while (ok) {
        _cleanup_value_ struct value record = {.type = VALUE_VOID};
        struct error *e = NULL;
        bool got = next_record(c, task, &token, &record, &e);
        const char *status = got ? value_map_str(&record, "status") : "pending";
        if (got && !str_eq(status, "pending") && !str_eq(status, "cancelling"))
            return finish(c, task, &record, ret, errp);
        if (client_was_interrupted(c) && !is_cancelled) {
            error_free(TAKE(e));
            is_cancelled = true;
            ok = cancel(c, task, errp);
            continue;
        }
        ok = got;
        error_propagate(errp, e);
        if (got && progress)
            progress(fraction_of(&record), userdata);
    }
    return false;
}
