/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool_dbserver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "loop/child.h"
#include "model/model.h"

#define LOG_MODULE "pooldb"
#include "base/log.h"

#define STEP_TIMEOUT_MS 20000
#define MAX_OUTPUT (256 * 1024)
#define MAX_ARGS 48
#define MAX_STEPS 8

/* An operation is a list of commands run one after another; a step may be skipped or may be allowed to fail. */
struct step {
    char *argv[MAX_ARGS + 1];
    unsigned n;
    bool may_fail;
    void (*after)(struct dbserver *s); /* runs when it has succeeded */
    uint64_t timeout_ms;
};

struct dbserver {
    bool failed; /* seen failed, and not yet seen whole again */
    struct loop *loop;
    char *dir, *file, *socket, *control, *pidfile, *schema, *log, *key, *cert, *ca;
    bool busy;
    struct step steps[MAX_STEPS];
    unsigned n_steps, at;
    dbserver_done_fn *done;
    void *userdata;
    struct child *child;
    bool status_running;
};

struct dbserver *dbserver_new(const struct dbserver_config *c) {
    struct dbserver *s = xnew0(struct dbserver);
    s->loop = c->loop;
    s->dir = xstrdup(c->db_dir);
    s->file = strf("%s/pool.db", c->db_dir);
    s->socket = strf("%s/pooldb.sock", c->run_dir);
    s->control = strf("%s/pooldb.ctl", c->run_dir);
    s->pidfile = strf("%s/pooldb.pid", c->run_dir);
    s->schema = xstrdup(c->schema_path);
    s->log = xstrdup(c->log_path);
    s->key = xstrdup(c->key_path);
    s->cert = xstrdup(c->cert_path);
    s->ca = xstrdup(c->ca_path);
    return s;
}

static void steps_clear(struct dbserver *s) {
    for (unsigned i = 0; i < s->n_steps; i++)
        for (unsigned k = 0; k < s->steps[i].n; k++)
            free(s->steps[i].argv[k]);
    memset(s->steps, 0, sizeof(s->steps));
    s->n_steps = s->at = 0;
}

void dbserver_free(struct dbserver *s) {
    if (!s)
        return;
    if (s->child)
        child_cancel(s->child);
    steps_clear(s);
    char *texts[] = {s->dir, s->file, s->socket, s->control, s->pidfile, s->schema, s->log, s->key, s->cert, s->ca};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(s);
}

static bool is_running(const struct dbserver *s);

const char *dbserver_socket(const struct dbserver *s) {
    return s->socket;
}
bool dbserver_has_file(const struct dbserver *s) {
    return fs_exists(s->file);
}
bool dbserver_is_running(const struct dbserver *s) {
    return is_running(s);
}
bool dbserver_is_busy(const struct dbserver *s) {
    return s->busy;
}

/* ---- running steps ---- */
static struct step *step_add(struct dbserver *s) {
    struct step *step = &s->steps[s->n_steps++];
    *step = (struct step){.timeout_ms = STEP_TIMEOUT_MS};
    return step;
}

static void arg(struct step *step, const char *text) {
    if (step->n < MAX_ARGS)
        step->argv[step->n++] = xstrdup(text);
}

static void arg_take(struct step *step, char *text) {
    if (step->n < MAX_ARGS)
        step->argv[step->n++] = text;
    else
        free(text);
}

static void finish(struct dbserver *s, const struct error *e) {
    dbserver_done_fn *done = s->done;
    steps_clear(s);
    s->busy = false;
    done(e, s->userdata);
}

static void run_step(struct dbserver *s);

static void on_step(const struct child_result *r, void *userdata) {
    struct dbserver *s = userdata;
    struct step *step = &s->steps[s->at];
    s->child = NULL;
    if (r->exit_code != 0 && !step->may_fail) {
        _cleanup_error_ struct error *e = NULL;
        const char *said = r->err.size ? buf_str(&r->err) : buf_str(&r->out);
        error_setf(&e, ERR_DB_SERVER_FAILED, "%s %s: %s", step->argv[0], step->n > 1 ? step->argv[1] : "",
                   r->timed_out     ? "did not end in time"
                   : r->start_error ? strerror(r->start_error)
                                    : said);
        finish(s, e);
        return;
    }
    if (r->exit_code == 0 && step->after)
        step->after(s);
    s->at++;
    run_step(s);
}

static void run_step(struct dbserver *s) {
    if (s->at == s->n_steps) {
        finish(s, NULL);
        return;
    }
    struct step *step = &s->steps[s->at];
    s->child = child_run(s->loop, (const char *const *)step->argv, NULL, step->timeout_ms, MAX_OUTPUT, on_step, s);
}

static void run_deferred(void *userdata) {
    run_step(userdata);
}

struct refusal {
    dbserver_done_fn *done;
    void *userdata;
};

static void refuse_busy(void *userdata) {
    struct refusal *r = userdata;
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, ERR_DB_SERVER_FAILED, "another operation on the database server is still running", NULL);
    r->done(e, r->userdata);
    free(r);
}

static bool begin(struct dbserver *s, dbserver_done_fn *done, void *userdata) {
    if (s->busy) {
        struct refusal *r = xnew0(struct refusal);
        *r = (struct refusal){done, userdata};
        loop_defer(s->loop, refuse_busy, r);
        return false;
    }
    s->busy = true;
    s->done = done;
    s->userdata = userdata;
    int r = fs_mkdirs(s->dir, 0700);
    (void)r; /* the tools say it better */
    return true;
}

static void go(struct dbserver *s) {
    loop_defer(s->loop, run_deferred, s);
}

/* ---- the process ---- */
static bool is_running(const struct dbserver *s) {
    _cleanup_buf_ struct buf text = BUF_INIT, name = BUF_INIT;
    int64_t pid;
    if (fs_read(s->pidfile, 64, &text) < 0)
        return false;
    if (text.size && text.data[text.size - 1] == '\n')
        text.data[--text.size] = 0;
    if (!str_parse_int(buf_str(&text), 2, INT32_MAX, &pid) || kill((pid_t)pid, 0) < 0)
        return false;
    _cleanup_free_ char *comm = strf("/proc/%d/comm", (int)pid);
    return fs_read(comm, 64, &name) == 0 && str_starts(buf_str(&name), "ovsdb-server");
}

/* A server that only passes on to others: it has no file, and must not be taken for one that has. */
static bool is_relay(const struct dbserver *s) {
    _cleanup_buf_ struct buf text = BUF_INIT, line = BUF_INIT;
    if (!is_running(s) || fs_read(s->pidfile, 64, &text) < 0)
        return false;
    _cleanup_free_ char *path = strf("/proc/%d/cmdline", (int)strtol(buf_str(&text), NULL, 10));
    if (fs_read(path, MAX_OUTPUT, &line) < 0)
        return false;
    for (size_t at = 0; at < line.size; at += strlen((const char *)line.data + at) + 1)
        if (str_starts((const char *)line.data + at, "relay:"))
            return true;
    return false;
}

static char *raft_address(const char *address) {
    return strf(strchr(address, ':') ? "ssl:[%s]:%d" : "ssl:%s:%d", address, DBSERVER_RAFT_PORT);
}
static char *client_address(const char *address) {
    return strf(strchr(address, ':') ? "ssl:[%s]:%d" : "ssl:%s:%d", address, DBSERVER_CLIENT_PORT);
}

static void add_tls(const struct dbserver *s, struct step *step) {
    arg_take(step, strf("--private-key=%s", s->key));
    arg_take(step, strf("--certificate=%s", s->cert));
    arg_take(step, strf("--ca-cert=%s", s->ca));
}

static void add_start(struct dbserver *s, const char *what, bool serve_relays) {
    struct step *step = step_add(s);
    arg(step, "ovsdb-server");
    arg(step, "--detach");
    arg(step, "--no-chdir");
    arg(step, "-vconsole:off");
    arg(step, "-vsyslog:off");
    arg(step, "-vfile:info");
    arg_take(step, strf("--pidfile=%s", s->pidfile));
    arg_take(step, strf("--log-file=%s", s->log));
    arg_take(step, strf("--unixctl=%s", s->control));
    arg_take(step, strf("--remote=punix:%s", s->socket));
    if (serve_relays)
        arg_take(step, strf("--remote=pssl:%d:[::]", DBSERVER_CLIENT_PORT));
    add_tls(s, step);
    arg(step, what);
}

/* Ends the server and waits until it is really gone: its successor wants the same sockets and the same lock. */
static const char stop_script[] =
    "p=$(cat \"$1\" 2>/dev/null) || exit 0; "
    "ovs-appctl -T 5 -t \"$2\" exit || kill \"$p\"; n=0; "
    "while kill -0 \"$p\" 2>/dev/null; do n=$((n + 1)); [ $n -lt 100 ] || kill -9 \"$p\"; sleep 0.02; done";

static void add_stop(struct dbserver *s) {
    struct step *step = step_add(s);
    arg(step, "sh");
    arg(step, "-c");
    arg(step, stop_script);
    arg(step, "sh");
    arg(step, s->pidfile);
    arg(step, s->control);
    step->may_fail = true;
}

static void add_wait(struct dbserver *s, const char *state, unsigned timeout_s, bool may_fail) {
    struct step *step = step_add(s);
    arg(step, "ovsdb-client");
    arg(step, "-t");
    arg_take(step, strf("%u", timeout_s));
    arg(step, "wait");
    arg_take(step, strf("unix:%s", s->socket));
    arg(step, DBSERVER_NAME);
    arg(step, state);
    step->may_fail = may_fail;
    step->timeout_ms = timeout_s * 1000ull + 2000;
}

/* ---- operations ---- */
static void rename_new(struct dbserver *s) {
    _cleanup_free_ char *fresh = strf("%s.new", s->file);
    int r = fs_rename(fresh, s->file);
    if (r < 0)
        log_err("the new pool database '%s' could not be put in place: %s", fresh, strerror(-r));
}

void dbserver_create(struct dbserver *s, const char *address, dbserver_done_fn *done, void *userdata) {
    if (!begin(s, done, userdata))
        return;
    if (!dbserver_has_file(s)) {
        _cleanup_free_ char *fresh = strf("%s.new", s->file);
        fs_unlink(fresh);
        struct step *step = step_add(s);
        arg(step, "ovsdb-tool");
        arg(step, "create-cluster");
        arg(step, fresh);
        arg(step, s->schema);
        arg_take(step, raft_address(address));
        step->after = rename_new;
    }
    go(s);
}

void dbserver_start_voter(struct dbserver *s, dbserver_done_fn *done, void *userdata) {
    if (!begin(s, done, userdata))
        return;
    bool other = is_relay(s);
    if (other)
        add_stop(s);
    if (other || !is_running(s))
        add_start(s, s->file, /* serve_relays= */ true);
    go(s);
}

static void add_relay(struct dbserver *s, const struct strv *voters) {
    _cleanup_buf_ struct buf what = BUF_INIT;
    buf_add_str(&what, "relay:" DBSERVER_NAME ":");
    for (size_t i = 0; i < voters->n; i++) {
        _cleanup_free_ char *a = client_address(voters->items[i]);
        buf_addf(&what, "%s%s", i ? "," : "", a);
    }
    add_start(s, buf_str(&what), /* serve_relays= */ false);
}

void dbserver_start_relay(struct dbserver *s, const struct strv *voters, dbserver_done_fn *done, void *userdata) {
    if (!begin(s, done, userdata))
        return;
    if (is_running(s))
        add_stop(s);
    add_relay(s, voters);
    go(s);
}

void dbserver_join(struct dbserver *s, const char *address, const struct strv *voters, dbserver_done_fn *done,
                   void *userdata) {
    if (!begin(s, done, userdata))
        return;
    _cleanup_free_ char *fresh = strf("%s.new", s->file);
    fs_unlink(fresh);
    struct step *step = step_add(s);
    arg(step, "ovsdb-tool");
    arg(step, "join-cluster");
    arg(step, fresh);
    arg(step, DBSERVER_NAME);
    arg_take(step, raft_address(address));
    for (size_t i = 0; i < voters->n; i++)
        arg_take(step, raft_address(voters->items[i]));
    step->after = rename_new;
    if (is_running(s))
        add_stop(s);
    add_start(s, s->file, /* serve_relays= */ true);
    add_wait(s, "connected", 30, /* may_fail= */ false);
    go(s);
}

static void aside(struct dbserver *s, const char *why) {
    _cleanup_free_ char *to = strf("%s.%s-%lld", s->file, why, (long long)time(NULL));
    int r = fs_exists(s->file) ? fs_rename(s->file, to) : 0;
    if (r < 0)
        log_err("the pool database could not be set aside as '%s': %s", to, strerror(-r));
}

static void aside_left(struct dbserver *s) {
    /* What a voter that left in order leaves behind is of no further use: one copy is kept. */
    _cleanup_free_ char *to = strf("%s.left", s->file);
    int r = fs_rename(s->file, to);
    if (r < 0)
        log_err("the pool database could not be set aside as '%s': %s", to, strerror(-r));
}

void dbserver_leave(struct dbserver *s, unsigned timeout_s, dbserver_done_fn *done, void *userdata) {
    if (!begin(s, done, userdata))
        return;
    struct step *step = step_add(s);
    arg(step, "ovs-appctl");
    arg(step, "-T");
    arg(step, "5");
    arg(step, "-t");
    arg(step, s->control);
    arg(step, "cluster/leave");
    arg(step, DBSERVER_NAME);
    add_wait(s, "removed", timeout_s, /* may_fail= */ false);
    s->steps[s->n_steps - 1].after = aside_left;
    add_stop(s);
    go(s);
}

void dbserver_stop(struct dbserver *s, dbserver_done_fn *done, void *userdata) {
    if (!begin(s, done, userdata))
        return;
    if (is_running(s))
        add_stop(s);
    go(s);
}

void dbserver_dissolve(struct dbserver *s, const char *address, dbserver_done_fn *done, void *userdata) {
    if (!begin(s, done, userdata))
        return;
    _cleanup_free_ char *standalone = strf("%s.standalone", s->file), *fresh = strf("%s.new", s->file);
    fs_unlink(standalone);
    fs_unlink(fresh);
    if (is_running(s))
        add_stop(s);
    struct step *step = step_add(s);
    arg(step, "ovsdb-tool");
    arg(step, "cluster-to-standalone");
    arg(step, standalone);
    arg(step, s->file);
    step = step_add(s);
    arg(step, "ovsdb-tool");
    arg(step, "create-cluster");
    arg(step, fresh);
    arg(step, standalone);
    arg_take(step, raft_address(address));
    step->after = rename_new;
    add_start(s, s->file, /* serve_relays= */ true);
    add_wait(s, "connected", 15, /* may_fail= */ false);
    go(s);
}

static void on_cut(const struct child_result *r, void *userdata) {
    if (r->exit_code != 0)
        log_warn("the pool database server's clients could not be cut off: %s", buf_str(&r->err));
}

void dbserver_reload(struct dbserver *s, bool cut) {
    /* It reads key and certificate only when both files are younger, and looks at the key first: so the key is last. */
    if (utimensat(AT_FDCWD, s->key, NULL, 0) < 0)
        log_warn("'%s' could not be touched: %s", s->key, strerror(errno));
    if (!cut || !is_running(s))
        return;
    const char *argv[] = {"ovs-appctl", "-T", "5", "-t", s->control, "ovsdb-server/reconnect", NULL};
    child_run(s->loop, argv, NULL, 7000, MAX_OUTPUT, on_cut, s);
}

struct set_aside {
    struct dbserver *s;
    char *why;
    dbserver_done_fn *done;
    void *userdata;
};

static void on_stopped_for_aside(const struct error *e, void *userdata) {
    struct set_aside *a = userdata;
    if (!e)
        aside(a->s, a->why);
    a->done(e, a->userdata);
    free(a->why);
    free(a);
}

void dbserver_set_aside(struct dbserver *s, const char *why, dbserver_done_fn *done, void *userdata) {
    struct set_aside *a = xnew0(struct set_aside);
    *a = (struct set_aside){s, xstrdup(why), done, userdata};
    dbserver_stop(s, on_stopped_for_aside, a);
}

/* ---- cluster status ---- */
/* Lines as "    1a2b (1a2b at ssl:10.9.0.11:6643) (self) last msg ..." below "Servers:". */
bool dbserver_parse_status(const char *text, struct strv *ret_addresses, struct strv *ret_ids, bool *ret_has_quorum) {
    const char *servers = strstr(text, "\nServers:\n"), *leader = strstr(text, "\nLeader: ");
    if (!servers || !leader)
        return false;
    *ret_has_quorum = !str_starts(leader + strlen("\nLeader: "), "unknown");
    for (const char *line = servers + strlen("\nServers:\n"); *line == ' ';
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "") {
        char id[16], address[128];
        if (sscanf(line, " %15[0-9a-f] (%*[0-9a-f] at ssl:%127[^)])", id, address) != 2)
            continue;
        char *port = strrchr(address, ':');
        if (!port)
            continue;
        *port = 0;
        size_t len = strlen(address);
        if (address[0] == '[' && address[len - 1] == ']') {
            address[len - 1] = 0;
            memmove(address, address + 1, len - 1);
        }
        strv_add(ret_addresses, address);
        strv_add(ret_ids, id);
    }
    return ret_addresses->n > 0;
}

struct status_query {
    struct dbserver *s;
    dbserver_servers_fn *fn;
    void *userdata;
};

static void on_mended(const struct error *e, void *userdata) {
    if (e) {
        _cleanup_error_ struct error *copy = error_dup(e);
        log_warn("the pool database server could not be started anew: %s; trying again", error_text(copy));
    }
}

/*
 * A server that could not write its log (a full disk) gives up for good, though it goes on answering: "Status: failed",
 * or, when it failed while it started, that it knows no such cluster. Started anew it reads its file and takes part
 * again; while there is no room that fails, and is tried at the next look.
 */
static bool has_given_up(const struct child_result *r) {
    return r->exit_code == 0 ? strstr(buf_str(&r->out), "\nStatus: failed\n") != NULL
                             : strstr(buf_str(&r->err), "unknown cluster") != NULL;
}

static void mend(struct dbserver *s) {
    if (dbserver_is_busy(s) || !dbserver_has_file(s) || is_relay(s) || !begin(s, on_mended, s))
        return;
    if (!s->failed)
        log_warn("the pool database server has failed, as on a full disk; it is started anew");
    s->failed = true;
    add_stop(s);
    add_start(s, s->file, /* serve_relays= */ true);
    go(s);
}

static void on_status(const struct child_result *r, void *userdata) {
    struct status_query *q = userdata;
    if (has_given_up(r))
        mend(q->s);
    else if (r->exit_code == 0)
        q->s->failed = false;
    _cleanup_strv_ struct strv addresses = {0}, ids = {0};
    bool quorum = false;
    if (r->exit_code == 0 && !dbserver_parse_status(buf_str(&r->out), &addresses, &ids, &quorum))
        quorum = false;
    q->fn(&addresses, quorum, q->userdata);
    free(q);
}

void dbserver_servers(struct dbserver *s, dbserver_servers_fn *fn, void *userdata) {
    const char *argv[] = {"ovs-appctl", "-T", "3", "-t", s->control, "cluster/status", DBSERVER_NAME, NULL};
    struct status_query *q = xnew0(struct status_query);
    *q = (struct status_query){s, fn, userdata};
    child_run(s->loop, argv, NULL, 5000, MAX_OUTPUT, on_status, q);
}

struct kick {
    struct dbserver *s;
    char *address;
    dbserver_done_fn *done;
    void *userdata;
};

static void kick_end(struct kick *k, const struct error *e) {
    k->done(e, k->userdata);
    free(k->address);
    free(k);
}

static void on_kicked(const struct child_result *r, void *userdata) {
    struct kick *k = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (r->exit_code != 0)
        error_setf(&e, ERR_DB_SERVER_FAILED, "removing the database server at %s: %s", k->address, buf_str(&r->err));
    kick_end(k, e);
}

static void on_kick_status(const struct child_result *r, void *userdata) {
    struct kick *k = userdata;
    _cleanup_strv_ struct strv addresses = {0}, ids = {0};
    bool quorum = false;
    const char *id = NULL;
    if (r->exit_code != 0 || !dbserver_parse_status(buf_str(&r->out), &addresses, &ids, &quorum) || !quorum) {
        _cleanup_error_ struct error *e = NULL;
        error_setf(&e, ERR_DB_SERVER_FAILED,
                   "removing the database server at %s: the server of this host has no majority behind it", k->address);
        kick_end(k, e);
        return;
    }
    for (size_t i = 0; i < addresses.n; i++)
        if (str_eq(addresses.items[i], k->address))
            id = ids.items[i];
    if (!id) {
        kick_end(k, NULL); /* it is not in the cluster: nothing to do */
        return;
    }
    const char *argv[] = {"ovs-appctl", "-T", "5", "-t", k->s->control, "cluster/kick", DBSERVER_NAME, id, NULL};
    child_run(k->s->loop, argv, NULL, 7000, MAX_OUTPUT, on_kicked, k);
}

void dbserver_kick(struct dbserver *s, const char *address, dbserver_done_fn *done, void *userdata) {
    const char *argv[] = {"ovs-appctl", "-T", "3", "-t", s->control, "cluster/status", DBSERVER_NAME, NULL};
    struct kick *k = xnew0(struct kick);
    *k = (struct kick){s, xstrdup(address), done, userdata};
    child_run(s->loop, argv, NULL, 5000, MAX_OUTPUT, on_kick_status, k);
}
