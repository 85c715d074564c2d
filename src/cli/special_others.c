/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about messages and tasks, and waiting for events. */
#include <string.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "cli/request.h"

/* ---- messages ---- */
static bool message_create(struct xe *x, struct error **errp) {
    static const struct {
        const char *key, *class;
    } about[] = {{"vm-uuid", "VM"}, {"host-uuid", "Host"}, {"sr-uuid", "SR"}, {"pool-uuid", "Pool"}};
    struct request r = request_new(x, errp);
    const char *class = NULL, *uuid = NULL;
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(about); i++) {
        const char *v = args_get(&x->args, about[i].key);
        if (v) {
            class = about[i].class;
            uuid = v;
            n++;
        }
    }
    request_add_text(&r, "name", NULL);
    request_add_int(&r, "priority", 0, INT32_MAX);
    if (n != 1 && request_is_good(&r))
        error_set(errp, n ? "CLI_TOO_MANY_OBJECTS" : "CLI_MISSING", "host-uuid, pool-uuid, vm-uuid or sr-uuid", NULL);
    request_add(&r, value_string(class));
    request_add(&r, value_string(uuid));
    request_add_text(&r, "body", NULL);
    return request_call_void(&r, "message.create");
}

static bool message_destroy(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    if (args_get(&x->args, "uuids")) {
        request_add_objects(&r, CLASS_message, "uuids");
        return request_call_void(&r, "message.destroy_many");
    }
    request_add_object(&r, CLASS_message, "uuid");
    return request_call_void(&r, "message.destroy");
}

struct message_filter {
    int64_t before, after, priority;
    bool has_before, has_after, has_priority;
};

static bool read_time(struct xe *x, const char *key, int64_t *ret, bool *ret_given, struct error **errp) {
    const char *text = args_get(&x->args, key);
    *ret_given = text != NULL;
    if (!text || time_parse(text, ret))
        return true;
    error_set(errp, "INVALID_VALUE", key, text, NULL);
    return false;
}

static bool read_message_filter(struct xe *x, struct message_filter *f, struct error **errp) {
    const char *priority = args_get(&x->args, "priority");
    *f = (struct message_filter){.has_priority = priority != NULL};
    if (priority && !str_parse_int(priority, 0, INT32_MAX, &f->priority)) {
        error_set(errp, "INVALID_VALUE", "priority", priority, NULL);
        return false;
    }
    return read_time(x, "before", &f->before, &f->has_before, errp) &&
           read_time(x, "after", &f->after, &f->has_after, errp);
}

static bool passes(const struct message_filter *f, const struct value *record) {
    const struct value *priority = value_map_get(record, "priority");
    int64_t written = 0;
    if ((f->has_before || f->has_after) && !time_parse(str_or_empty(value_map_str(record, "timestamp")), &written))
        return false;
    return (!f->has_before || written < f->before) && (!f->has_after || written > f->after) &&
           (!f->has_priority || (priority && value_as_int(priority) == f->priority));
}

static bool message_destroy_all(struct xe *x, struct error **errp) {
    struct message_filter filter;
    struct request r = request_new(x, errp);
    if (!read_message_filter(x, &filter, errp))
        return false;
    const struct value *all = records_all(x->records, CLASS_message, errp);
    struct value chosen = value_set();
    for (size_t i = 0; all && i < all->map.n; i++)
        if (passes(&filter, &all->map.pairs[i].value))
            value_set_add(&chosen, value_string(all->map.pairs[i].key));
    bool is_idle = all && !chosen.set.n;
    request_add(&r, chosen);
    if (!is_idle)
        return request_call_void(&r, "message.destroy_many");
    value_done(&r.params[0]);
    return true;
}

/* ---- tasks ---- */
static bool task_cancel(struct xe *x, struct error **errp) {
    struct request r = request_new(x, errp);
    request_add_object(&r, CLASS_task, "uuid");
    return request_call_void(&r, "task.cancel");
}

/* ---- waiting ---- */
#define WAIT_S 30.0

struct wait {
    struct xe *x;
    const struct cli_class *class;
    struct value objects; /* reference -> latest record */
    const char *classes[N_CLASSES];
    unsigned n_classes;
};

static bool is_condition(const struct arg *a) {
    return !str_eq(a->key, "class");
}

/* Also the classes that the conditions look at through references: a change there tells nothing of this class. */
static bool subscribe(struct wait *w, struct error **errp) {
    bool wanted[N_CLASSES] = {false};
    wanted[w->class->class_id] = true;
    for (unsigned i = 0; i < w->x->args.n; i++) {
        struct arg *a = &w->x->args.list[i];
        if (!is_condition(a))
            continue;
        const struct cli_field *f = records_filter_field(w->class, a->key, errp);
        if (!f)
            return false;
        records_classes_of_field(w->class, f, wanted);
    }
    for (unsigned i = 0; i < N_CLASSES; i++)
        if (wanted[i])
            w->classes[w->n_classes++] = model_classes[i].event_name;
    return true;
}

static void take_in(struct wait *w, struct value *event) {
    const char *class = event->type == VALUE_MAP ? value_map_str(event, "class") : NULL;
    const char *ref = class ? value_map_str(event, "ref") : NULL;
    struct value *snapshot = ref ? value_map_get(event, "snapshot") : NULL;
    if (!ref || strcasecmp(class, model_classes[w->class->class_id].event_name) != 0)
        return;
    if (snapshot && snapshot->type == VALUE_MAP)
        value_map_put(&w->objects, ref, value_take(snapshot));
    else
        value_map_remove(&w->objects, ref);
}

/* "field=value", or "field=/=value" for another value than that. */
static bool holds(struct wait *w, const struct value *record, bool *ret, struct error **errp) {
    *ret = true;
    for (unsigned i = 0; i < w->x->args.n && *ret; i++) {
        const struct arg *a = &w->x->args.list[i];
        bool is_negative = str_starts(a->value, "/="), match;
        if (!is_condition(a))
            continue;
        if (!records_match(w->x->records, w->class, record, a->key, a->value + (is_negative ? 2 : 0), &match, errp))
            return false;
        *ret = match != is_negative;
    }
    return true;
}

static bool any_holds(struct wait *w, bool *ret, struct error **errp) {
    *ret = false;
    for (size_t i = 0; i < w->objects.map.n && !*ret; i++)
        if (!holds(w, &w->objects.map.pairs[i].value, ret, errp))
            return false;
    return true;
}

static bool event_wait(struct xe *x, struct error **errp) {
    const char *name = xe_need(x, "class", errp);
    struct wait w = {.x = x, .class = name ? cli_class_by_name(name) : NULL, .objects = value_map()};
    _cleanup_free_ char *token = xstrdup("");
    bool is_over = false;
    if (name && !w.class)
        error_set(errp, "CLI_UNKNOWN_CLASS", name, NULL);
    bool ok = w.class && subscribe(&w, errp);
    while (ok && !is_over && !xe_was_interrupted()) {
        _cleanup_value_ struct value events = {.type = VALUE_VOID};
        ok = client_events(x->client, w.classes, w.n_classes, &token, WAIT_S, &events, errp);
        for (size_t i = 0; ok && i < events.set.n; i++)
            take_in(&w, &events.set.items[i]);
        if (ok && events.set.n) {
            records_forget(x->records); /* what references lead to may have changed */
            ok = any_holds(&w, &is_over, errp);
        }
    }
    value_done(&w.objects);
    return ok;
}

/* ---- the audit log ---- */

static bool audit_log_get(struct xe *x, struct error **errp) {
    const char *file = xe_need(x, "filename", errp), *since = args_get(&x->args, "since");
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (!file || !xe_may_use_files(file, errp))
        return false;
    for (const char *p = str_or_empty(since); *p; p++)
        if (!strchr("0123456789T:.Z-", *p)) {
            error_set(errp, "INVALID_VALUE", "since", since, NULL);
            return false;
        }
    _cleanup_free_ char *path = strf("/audit_log%s%s", since ? "?since=" : "", str_or_empty(since));
    if (!client_get(x->client, path, &text, errp))
        return false;
    int r = fs_write_atomic(file, buf_str(&text), text.size, 0600);
    if (r < 0)
        error_errno(errp, r, "writing '%s'", file);
    return r >= 0;
}

static const struct command list[] = {
    {"audit-log-get", "filename", "since",
     "write the audit log of the host that is asked into a file: who changed what, since a time (20260821T02:00:23Z)",
     audit_log_get, 0},
    {"event-wait", "class", "",
     "wait until an object of the class is as all of field=value (or field=/=value for another value) say", event_wait,
     COMMAND_FREE_PARAMS},
    {"message-create", "name,priority,body", "host-uuid,pool-uuid,vm-uuid,sr-uuid", "write a note about one object",
     message_create, 0},
    {"message-destroy", "", "uuid,uuids", "remove one message, or several (uuids with commas)", message_destroy, 0},
    {"message-destroy-all", "", "before,after,priority",
     "remove all messages, or those of a time (20260821T02:00:23Z) or priority", message_destroy_all, 0},
    {"task-cancel", "uuid", "", "ask a task to stop", task_cancel, 0},
};
const struct command_group commands_others = {list, ARRAY_SIZE(list)};
