/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/unixctl.h"

struct unixctl {
    struct ovsdb_conn *conn;
    struct loop_source *timer;
    char *command;
    json_t *args;
    uint64_t end_ms;
    struct loop *loop;
    unixctl_done_fn *fn;
    void *userdata;
};

void unixctl_cancel(struct unixctl *u) {
    if (!u)
        return;
    ovsdb_conn_free(u->conn);
    loop_source_free(u->timer);
    json_decref(u->args);
    free(u->command);
    free(u);
}

static void finish(struct unixctl *u, const char *text, struct error *error) {
    unixctl_done_fn *fn = u->fn;
    void *userdata = u->userdata;
    fn(text, error, userdata);
    unixctl_cancel(u);
}

static void on_reply(const json_t *result, struct error *error, void *userdata) {
    struct unixctl *u = userdata;
    const char *text = json_string_value(result);
    finish(u, error ? NULL : text ? text : "", error);
}

static void on_state(struct ovsdb_conn *c, bool connected, const char *reason, void *userdata) {
    struct unixctl *u = userdata;
    if (!connected)
        return; /* the call has been told */
    uint64_t now = loop_now_ms(u->loop);
    uint64_t left = u->end_ms > now ? u->end_ms - now : 0;
    loop_timer_set(u->timer, LOOP_NEVER);
    ovsdb_conn_call(c, u->command, TAKE(u->args), left, on_reply, u);
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct unixctl *u = userdata;
    _cleanup_error_ struct error *error = NULL;
    error_set(&error, OVSDB_DISCONNECTED, ovsdb_conn_path(u->conn), "nobody listens", NULL);
    finish(u, NULL, error);
}

struct unixctl *unixctl_call(struct loop *l, const char *path, const char *command, const char *const args[],
                             uint64_t timeout_ms, unixctl_done_fn *fn, void *userdata) {
    struct unixctl *u = xnew0(struct unixctl);
    u->loop = l;
    u->command = xstrdup(command);
    u->args = json_array();
    for (; args && *args; args++)
        json_array_append_new(u->args, json_string(*args));
    u->end_ms = loop_now_ms(l) + timeout_ms;
    u->fn = fn;
    u->userdata = userdata;
    u->timer = loop_add_timer(l, timeout_ms, on_timer, u);
    u->conn = ovsdb_conn_new(l, path, on_state, NULL, u);
    return u;
}
