/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs_txn.h"

#include "base/fs.h"
#include "base/str.h"
#include "ovsdb/ovsdb_conn.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

#define CALL_MS 5000 /* one request to a local database; it takes under a millisecond, or 100 ms on a busy disk */
#define CTL_MS 3000  /* one request to the switch daemon */
#define MONITOR_ID "muster"

struct ovs_db {
    struct ovs ovs;
    char *run_dir;
    struct ovsdb_sync *conn; /* NULL: to be opened at the next call */
    bool monitoring;
};

#define DB(o) container_of(o, struct ovs_db, ovs)

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void disconnect(struct ovs_db *d) {
    ovsdb_sync_close(d->conn);
    d->conn = NULL;
    d->monitoring = false;
}

static bool connect_db(struct ovs_db *d, unsigned timeout_ms, struct error **errp) {
    if (d->conn)
        return true;
    _cleanup_free_ char *path = strf("%s/db.sock", d->run_dir);
    struct error *e = NULL;
    d->conn = ovsdb_sync_open(path, timeout_ms, &e);
    if (d->conn)
        return true;
    error_setf(errp, ERR_OVS_ABSENT, "the switch's database server does not answer on '%s': %s", path, error_text(e));
    error_free(e);
    return false;
}

/* Hands e on; a broken connection is closed, so that the next call opens a new one. */
static bool fail(struct ovs_db *d, struct error *e, struct error **errp) {
    if (!error_is(e, OVSDB_ERROR))
        disconnect(d);
    const char *code = error_is(e, OVSDB_ERROR)     ? ERR_OVS_REFUSED
                       : error_is(e, OVSDB_TIMEOUT) ? ERR_OVS_TIMEOUT
                                                    : ERR_OVS_ABSENT;
    error_setf(errp, code, "%s", error_text(e));
    error_free(e);
    return false;
}

static bool transact(struct ovs_db *d, json_t *params, json_t **ret, struct error **errp) {
    if (!connect_db(d, CALL_MS, errp)) {
        json_decref(params);
        return false;
    }
    struct error *e = NULL;
    return ovsdb_sync_transact(d->conn, params, CALL_MS, ret, &e) || fail(d, e, errp);
}

static bool db_read(struct ovs *o, struct ovs_state *ret, struct error **errp) {
    _cleanup_json_ json_t *result = NULL;
    return transact(DB(o), ovs_txn_read(), &result, errp) && ovs_txn_parse(result, ret, errp);
}

static bool db_commit(struct ovs *o, const struct ovs_op *ops, size_t n, const char *comment, int64_t *ret_cfg,
                      struct error **errp) {
    _cleanup_(ovs_state_done) struct ovs_state state = {0};
    json_t *params;
    if (!db_read(o, &state, errp) || !ovs_txn_build(&state, ops, n, comment, &params, errp))
        return false;
    _cleanup_json_ json_t *result = NULL;
    if (!transact(DB(o), params, &result, errp))
        return false;
    *ret_cfg = ovs_txn_cfg(result);
    return true;
}

/* Asks to be told of what the switch reports back. The contents are not used: after a change all is read again. */
static bool monitor(struct ovs_db *d, struct error **errp) {
    if (!connect_db(d, CALL_MS, errp))
        return false;
    if (d->monitoring)
        return true;
    json_t *params = json_pack("[ss{s[{s[s]}] s[{s[sssss]}] s[{s[s]}]}]", OVS_DATABASE, MONITOR_ID, OVS_DATABASE,
                               "columns", "cur_cfg", "Interface", "columns", "mtu", "ofport", "error", "mac_in_use",
                               "link_state", "Port", "columns", "bond_active_slave");
    _cleanup_json_ json_t *result = NULL;
    struct error *e = NULL;
    d->monitoring = ovsdb_sync_call(d->conn, "monitor", params, CALL_MS, &result, &e);
    return d->monitoring || fail(d, e, errp);
}

static bool db_wait_change(struct ovs *o, unsigned timeout_ms, struct error **errp) {
    struct ovs_db *d = DB(o);
    if (!monitor(d, errp))
        return false;
    struct error *e = NULL;
    _cleanup_json_ json_t *message = NULL;
    if (ovsdb_sync_notification(d->conn, timeout_ms, &message, &e))
        return true;
    if (!error_is(e, OVSDB_TIMEOUT))
        return fail(d, e, errp);
    error_free(e);
    return true;
}

static bool db_wait_cfg(struct ovs *o, int64_t cfg, unsigned timeout_ms, struct error **errp) {
    uint64_t deadline = now_ms() + timeout_ms;
    /* The monitor first: a change between the read and the wait must not be missed. */
    if (!monitor(DB(o), errp))
        return false;
    for (;;) {
        _cleanup_json_ json_t *result = NULL;
        json_t *params = json_pack("[s{ss ss s[] s[s]}]", OVS_DATABASE, "op", "select", "table", OVS_DATABASE, "where",
                                   "columns", "cur_cfg");
        if (!transact(DB(o), params, &result, errp))
            return false;
        const json_t *rows = json_object_get(json_array_get(result, 0), "rows");
        int64_t cur = json_integer_value(json_object_get(json_array_get(rows, 0), "cur_cfg"));
        if (cur >= cfg)
            return true;
        uint64_t now = now_ms();
        if (now >= deadline) {
            error_setf(errp, ERR_OVS_TIMEOUT,
                       "ovs-vswitchd did not take configuration %lld within %u ms (it is at %lld)", (long long)cfg,
                       timeout_ms, (long long)cur);
            return false;
        }
        if (!db_wait_change(o, (unsigned)(deadline - now), errp))
            return false;
    }
}

/* Reads the process number of ovs-vswitchd, as its own namespace counts. 0 when there is none. */
static int switch_pid(struct ovs_db *d) {
    _cleanup_free_ char *path = strf("%s/ovs-vswitchd.pid", d->run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, 64, &text) < 0)
        return 0;
    while (text.size && text.data[text.size - 1] == '\n')
        text.data[--text.size] = 0;
    int64_t pid;
    return str_parse_int(buf_str(&text), 1, INT32_MAX, &pid) ? (int)pid : 0;
}

/* One command to the switch daemon's control socket, which speaks the database's JSON-RPC. The caller owns *ret. */
static bool control(struct ovs_db *d, const char *command, const char *arg, char **ret, struct error **errp) {
    int pid = switch_pid(d);
    _cleanup_free_ char *path = strf("%s/ovs-vswitchd.%d.ctl", d->run_dir, pid);
    struct error *e = NULL;
    _cleanup_(ovsdb_sync_closep) struct ovsdb_sync *c = pid ? ovsdb_sync_open(path, 0, &e) : NULL;
    _cleanup_json_ json_t *result = NULL;
    if (c && ovsdb_sync_call(c, command, arg ? json_pack("[s]", arg) : json_array(), CTL_MS, &result, &e)) {
        *ret = xstrdup(json_is_string(result) ? json_string_value(result) : "");
        return true;
    }
    error_setf(errp, error_is(e, OVSDB_ERROR) ? ERR_OVS_REFUSED : ERR_OVS_ABSENT,
               "ovs-vswitchd does not answer '%s': %s", command, e ? error_text(e) : "it is not running");
    error_free(e);
    return false;
}

static bool db_running(struct ovs *o) {
    _cleanup_free_ char *text = NULL;
    struct error *e = NULL;
    bool ok = control(DB(o), "version", NULL, &text, &e);
    error_free(e);
    return ok;
}

static bool db_bond_status(struct ovs *o, const char *port, struct ovs_bond_status *ret, struct error **errp) {
    _cleanup_free_ char *text = NULL;
    if (!control(DB(o), "bond/show", port, &text, errp))
        return false;
    ovs_bond_parse(text, ret);
    return true;
}

/* The number of threads of process pid whose name starts so. -1 when the process cannot be looked at. */
static int count_threads(int pid, const char *prefix) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        _cleanup_free_ char *comm = strf("%s/%s/comm", path, e->d_name);
        _cleanup_buf_ struct buf name = BUF_INIT;
        if (e->d_name[0] != '.' && fs_read(comm, 64, &name) == 0 && str_starts(buf_str(&name), prefix))
            n++;
    }
    closedir(dir);
    return n;
}

/* True when a datapath has lost packets and never hit a flow: "  lookups: hit:0 missed:10 lost:10". */
static bool all_lost(const char *text) {
    const char *line = text;
    while ((line = strstr(line, "lookups: hit:"))) {
        unsigned long hit, missed, lost;
        if (sscanf(line, "lookups: hit:%lu missed:%lu lost:%lu", &hit, &missed, &lost) == 3 && hit == 0 && lost > 0)
            return true;
        line++;
    }
    return false;
}

static char *db_handler_problem(struct ovs *o) {
    static const char cure[] = "restart ovs-vswitchd now that the machine has been up for more than ten seconds: "
                               "'systemctl restart ovs-vswitchd'";
    _cleanup_(ovs_state_done) struct ovs_state state = {0};
    struct error *e = NULL;
    bool have_bridge = db_read(o, &state, &e) && state.n_bridges > 0;
    error_free(e);
    int pid = switch_pid(DB(o));
    if (!have_bridge || !pid)
        return NULL; /* threads start with the first bridge */
    if (count_threads(pid, "handler") == 0)
        return strf("ovs-vswitchd runs without any handler thread and loses the first packet of every flow; %s", cure);
    _cleanup_free_ char *text = NULL;
    e = NULL;
    bool ok = control(DB(o), "dpctl/show", "-s", &text, &e);
    error_free(e);
    if (ok && all_lost(text))
        return strf("the switch's datapath has handled no packet and lost all it was given; %s", cure);
    return NULL;
}

static void db_free(struct ovs *o) {
    struct ovs_db *d = DB(o);
    disconnect(d);
    free(d->run_dir);
    free(d);
}

static const struct ovs_ops db_ops = {
    .free = db_free,
    .read = db_read,
    .commit = db_commit,
    .wait_change = db_wait_change,
    .wait_cfg = db_wait_cfg,
    .running = db_running,
    .bond_status = db_bond_status,
    .handler_problem = db_handler_problem,
};

struct ovs *ovs_db_new(const char *run_dir) {
    struct ovs_db *d = xnew0(struct ovs_db);
    d->ovs.ops = &db_ops;
    d->run_dir = xstrdup(run_dir ? run_dir : "/run/openvswitch");
    return &d->ovs;
}

struct ovs *ovs_db_open(const char *run_dir, unsigned timeout_ms, struct error **errp) {
    struct ovs *o = ovs_db_new(run_dir);
    if (connect_db(DB(o), timeout_ms, errp))
        return o;
    db_free(o);
    return NULL;
}
