/* SPDX-License-Identifier: Apache-2.0 */
/* The database server as a process: found, started, stopped, started anew when it has given up, told of new keys. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "db/db_internal.h"
#include "db/db_server_private.h"

#define LOG_MODULE "pooldb"
#include "base/log.h"

#define MAX_OUTPUT ((size_t)1 << 20)
#define MAX_ARGS 40
#define EXIT_MS 5000
#define KILL_MS 3000

/* ---- tools ---- */

static void on_tool_done(const struct child_result *r, void *userdata) {
    struct db_server *s = userdata;
    s->child = NULL;
    s->on_tool(s, r);
}

/* What a tool said, in one line. */
char *server_said(const struct db_server *s, const struct child_result *r) {
    if (r->timed_out)
        return xstrdup("it did not end in time");
    if (r->start_error)
        return strf("it cannot be started: %s", strerror(r->start_error));
    char *text = xstrdup(r->err.size > 0 ? buf_str(&r->err) : buf_str(&r->out));
    for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
        text[n - 1] = '\0';
    for (char *c = text; *c; c++) {
        if (*c == '\n')
            *c = ' ';
    }
    return text;
}

void server_tool_failed(struct db_server *s, const char *what, const struct child_result *r) {
    _cleanup_free_ char *text = server_said(s, r);
    server_fail(s, "%s: %s", what, text);
}

void server_run(struct db_server *s, uint64_t timeout_ms, void (*then)(struct db_server *, const struct child_result *),
                const char *const argv[]) {
    s->on_tool = then;
    s->child = child_run(s->loop, argv, NULL, timeout_ms, MAX_OUTPUT, on_tool_done, s);
}

/* ---- addresses ---- */

char *server_address(const struct db_server *s, const char *address, int port) {
    return strf(strchr(address, ':') ? "%s:[%s]:%d" : "%s:%s:%d", s->scheme, address, port);
}

/* ---- the process ---- */

int server_pid(const struct db_server *s, bool *ret_relay) {
    _cleanup_buf_ struct buf text = BUF_INIT, command = BUF_INIT;
    int64_t pid;
    if (fs_read(s->pidfile, 64, &text) < 0)
        return -1;
    while (text.size > 0 && text.data[text.size - 1] == '\n')
        text.data[--text.size] = '\0';
    if (!str_parse_int(buf_str(&text), 2, INT32_MAX, &pid))
        return -1;
    _cleanup_free_ char *path = strf("/proc/%d/cmdline", (int)pid);
    if (fs_read(path, 1 << 16, &command) < 0 || command.size < 2)
        return -1;
    /* Ours is the one with our control socket; the pid may have gone to somebody else. */
    _cleanup_free_ char *control = strf("--unixctl=%s", s->control);
    bool ours = false;
    const char *last = command.data;
    for (const char *a = command.data; a < command.data + command.size; a += strlen(a) + 1) {
        ours = ours || str_eq(a, control);
        last = a;
    }
    if (!ours)
        return -1;
    *ret_relay = str_starts(last, "relay:");
    return (int)pid;
}

static void on_exited(struct loop_source *src, int fd, unsigned events, void *userdata) {
    struct db_server *s = userdata;
    unlink(s->pidfile);
    server_next(s);
}

static void on_not_killed(struct loop_source *t, void *userdata) {
    server_fail(userdata, "the database server does not end, not even when killed");
}

static void on_not_exited(struct loop_source *t, void *userdata) {
    struct db_server *s = userdata;
    unixctl_cancel(TAKE(s->call));
    (void)pidfd_send_signal(s->exit_fd, SIGKILL, NULL, 0);
    server_wait(s, KILL_MS, on_not_killed);
}

static void on_exit_called(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    s->call = NULL; /* the pidfd tells the end, the timer the lack of it */
}

void step_stop(struct db_server *s) {
    bool relay;
    int pid = server_pid(s, &relay);
    s->exit_fd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (s->exit_fd < 0) {
        server_next(s);
        return;
    }
    s->exit_source = loop_add_fd(s->loop, s->exit_fd, LOOP_READ, on_exited, s);
    s->call = unixctl_call(s->loop, s->control, "exit", NULL, CONTROL_TIMEOUT_MS, on_exit_called, s);
    server_wait(s, EXIT_MS, on_not_exited);
}

static bool is_damage(const char *text) {
    static const char *const signs[] = {"syntax error", "unexpected file format", "SHA-1",    "parse error",
                                        "bad magic",    "ovsdb error: ",          "truncated"};
    static const char *const others[] = {"No space", "Permission", "Input/output", "No such file", "lock", "memory"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (strstr(text, others[i]))
            return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
        if (strstr(text, signs[i]))
            return true;
    }
    return false;
}

/* The server did not start. Is it the file? */
static void on_checked(struct db_server *s, const struct child_result *r) {
    _cleanup_free_ char *text = server_said(s, r), *name = NULL;
    bool damaged = !r->timed_out && r->start_error == 0 && r->exit_code != 0 && is_damage(text);
    if (!damaged)
        server_fail(s, "the database server does not start: %s", s->server_text);
    else if (server_set_aside(s, "corrupt", &name) < 0)
        server_fail(s, "the file of the pool database is damaged: %s", text);
    else
        server_fail(s, "the file of the pool database is damaged and is kept as '%s': %s", name, text);
}

/*
 * The log's last word is that this server has left: it was out when it ended, before its file was set aside (a host
 * that goes down waits for that only so long). Started it never will be; without the file the host takes part as a
 * relay.
 */
static void on_has_left(struct db_server *s) {
    _cleanup_free_ char *name = NULL;
    int r = server_set_aside(s, "left", &name);
    if (r < 0)
        server_fail(s, "this server has left the cluster, and its file cannot be set aside: %s", strerror(-r));
    else
        server_fail(s, "this server has left the cluster; its file is kept as '%s'", name);
}

static void on_server_started(struct db_server *s, const struct child_result *r) {
    if (r->exit_code == 0) {
        server_next(s);
        return;
    }
    free(s->server_text);
    s->server_text = server_said(s, r);
    /* The one when the removal is its last word, the other when it has noted that it is out. */
    if (strstr(s->server_text, "server does not belong to cluster") ||
        strstr(s->server_text, "indicates server has left the cluster")) {
        on_has_left(s);
        return;
    }
    if (server_is_hole(s->server_text)) {
        server_close_holes(s);
        return;
    }
    server_run(s, s->step_timeout_ms, on_checked, (const char *const[]){"ovsdb-tool", "check-cluster", s->file, NULL});
}

static void on_relay_started(struct db_server *s, const struct child_result *r) {
    if (r->exit_code == 0)
        server_next(s);
    else
        server_tool_failed(s, "the database relay does not start", r);
}

static void start(struct db_server *s, const char *what, bool serve_relays,
                  void (*then)(struct db_server *, const struct child_result *)) {
    struct strv v = {0};
    strv_add(&v, "ovsdb-server");
    strv_add(&v, "--detach");
    strv_add(&v, "--no-chdir");
    strv_add(&v, "-vconsole:off");
    strv_add(&v, "-vsyslog:off");
    strv_add(&v, "-vfile:info");
    strv_take(&v, strf("--pidfile=%s", s->pidfile));
    strv_take(&v, strf("--log-file=%s", s->log));
    strv_take(&v, strf("--unixctl=%s", s->control));
    strv_take(&v, strf("--remote=punix:%s", s->socket));
    if (serve_relays)
        strv_take(&v, strf("--remote=p%s:%d:%s", s->scheme, s->client_port, s->listen_address));
    if (str_eq(s->scheme, "ssl")) {
        strv_take(&v, strf("--private-key=%s", s->key));
        strv_take(&v, strf("--certificate=%s", s->cert));
        strv_take(&v, strf("--ca-cert=%s", s->ca));
    }
    strv_add(&v, what);
    const char *argv[MAX_ARGS] = {NULL};
    for (size_t i = 0; i < v.n && i < MAX_ARGS - 1; i++)
        argv[i] = v.items[i];
    /* Sockets of one that was killed would be taken for its own. */
    unlink(s->control);
    unlink(s->socket);
    server_run(s, s->step_timeout_ms, then, argv);
    strv_done(&v);
}

void step_start_voter(struct db_server *s) {
    bool relay;
    if (server_pid(s, &relay) > 0 && !relay)
        server_next(s); /* found again */
    else if (server_need_room(s))
        start(s, s->file, /* serve_relays= */ true, on_server_started);
}

void step_start_relay(struct db_server *s) {
    _cleanup_buf_ struct buf what = BUF_INIT;
    buf_add_str(&what, "relay:" DB_NAME ":");
    for (size_t i = 0; i < s->voters.n; i++) {
        _cleanup_free_ char *a = server_address(s, s->voters.items[i], s->client_port);
        buf_addf(&what, "%s%s", i > 0 ? "," : "", a);
    }
    start(s, buf_str(&what), /* serve_relays= */ false, on_relay_started);
}

bool db_server_is_running(const struct db_server *s) {
    bool relay;
    return server_pid(s, &relay) > 0;
}

/* ---- one that has given up ---- */

static void on_mended(const struct error *e, void *userdata) {
    if (e)
        log_warn("the pool database server could not be started anew: %s; trying again", error_param(e, 0));
}

/*
 * A server that could not write its log (a full disk) gives up for good, though it goes on answering. Started anew it
 * reads its file and takes part again; while there is no room that fails, and is tried at the next look.
 */
void server_mend(struct db_server *s) {
    bool relay;
    if (s->busy || !db_server_has_file(s) || (server_pid(s, &relay) > 0 && relay) || !server_begin(s, on_mended, s))
        return;
    if (!s->has_failed)
        log_warn("the pool database server has failed, as on a full disk; it is started anew");
    s->has_failed = true;
    server_add(s, step_stop);
    server_add(s, step_start_voter);
    server_go(s);
}

/* ---- other keys ---- */

static void on_cut(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    s->cut_call = NULL;
    if (error)
        log_warn("the pool database server's clients could not be cut off: %s", error_text(error));
}

void db_server_reload(struct db_server *s, bool cut) {
    /* It reads key and certificate only when both files are younger, and looks at the key first: so the key is last. */
    if (utimensat(AT_FDCWD, s->key, NULL, 0) < 0)
        log_warn("'%s' could not be touched: %s", s->key, strerror(errno));
    if (!cut || !db_server_is_running(s))
        return;
    unixctl_cancel(TAKE(s->cut_call));
    s->cut_call = unixctl_call(s->loop, s->control, "ovsdb-server/reconnect", NULL, CONTROL_TIMEOUT_MS, on_cut, s);
}
