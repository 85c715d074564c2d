/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of operations on the database server: files, waiting for the cluster, the schema. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "db/db_internal.h"
#include "db/db_server_private.h"
#include "ovsdb/ovsdb_value.h"

#define LOG_MODULE "pooldb"
#include "base/log.h"

#define MAX_ARGS 40
#define MAX_VERSION 4096
/* How many set-aside files of each kind are kept, the newest; damaged ones are kept all. */
#define KEEP_ASIDE 3

/* ---- files ---- */

static void on_file_made(struct db_server *s, const struct child_result *r) {
    if (r->exit_code == 0)
        server_next(s);
    else
        server_tool_failed(s, "the file of the pool database cannot be made", r);
}

void step_create(struct db_server *s) {
    _cleanup_free_ char *address = server_address(s, s->address, s->raft_port);
    (void)fs_unlink(s->fresh);
    server_run(s, s->step_timeout_ms, on_file_made,
               (const char *const[]){"ovsdb-tool", "create-cluster", s->fresh, s->schema, address, NULL});
}

void step_join_file(struct db_server *s) {
    struct strv v = {0};
    strv_add(&v, "ovsdb-tool");
    strv_add(&v, "join-cluster");
    strv_add(&v, s->fresh);
    strv_add(&v, DB_NAME);
    strv_take(&v, server_address(s, s->address, s->raft_port));
    for (size_t i = 0; i < s->voters.n; i++)
        strv_take(&v, server_address(s, s->voters.items[i], s->raft_port));
    const char *argv[MAX_ARGS] = {NULL};
    for (size_t i = 0; i < v.n && i < MAX_ARGS - 1; i++)
        argv[i] = v.items[i];
    (void)fs_unlink(s->fresh);
    server_run(s, s->step_timeout_ms, on_file_made, argv);
    strv_done(&v);
}

void step_place(struct db_server *s) {
    int r = fs_rename(s->fresh, s->file);
    if (r < 0) {
        server_fail(s, "the file of the pool database cannot be put in place: %s", strerror(-r));
        return; /* the operation, and with it the server, may be gone */
    }
    s->is_placed = true;
    server_next(s);
}

/* A free name of this kind; when all places but those of damaged files are taken, that of the oldest. */
char *server_aside_name(const struct db_server *s, const char *why) {
    char *oldest = NULL;
    struct timespec oldest_time = {0};
    for (unsigned n = 1; str_eq(why, "corrupt") || n <= KEEP_ASIDE; n++) {
        char *name = strf("%s.%s-%u", s->file, why, n);
        struct stat st;
        if (stat(name, &st) < 0) {
            free(oldest);
            return name;
        }
        bool older = st.st_mtim.tv_sec < oldest_time.tv_sec ||
                     (st.st_mtim.tv_sec == oldest_time.tv_sec && st.st_mtim.tv_nsec < oldest_time.tv_nsec);
        if (oldest && !older) {
            free(name);
            continue;
        }
        free(oldest);
        oldest = name;
        oldest_time = st.st_mtim;
    }
    return oldest;
}

int server_set_aside(struct db_server *s, const char *why, char **ret_name) {
    char *name = server_aside_name(s, why);
    int r = fs_rename(s->file, name);
    if (r < 0) {
        free(name);
        return r;
    }
    /* Without the room that was kept behind its end. */
    struct stat st;
    if (stat(name, &st) == 0 && truncate(name, st.st_size) < 0)
        log_warn("'%s' keeps more of the disk than it needs: %s", name, strerror(errno));
    *ret_name = name;
    return 0;
}

void step_set_aside(struct db_server *s) {
    _cleanup_free_ char *name = NULL;
    int r = fs_exists(s->file) ? server_set_aside(s, s->why, &name) : 0;
    if (r < 0)
        server_fail(s, "the file of the pool database cannot be set aside: %s", strerror(-r));
    else
        server_next(s);
}

void step_to_standalone(struct db_server *s) {
    (void)fs_unlink(s->standalone);
    server_run(s, s->step_timeout_ms, on_file_made,
               (const char *const[]){"ovsdb-tool", "cluster-to-standalone", s->standalone, s->file, NULL});
}

static void on_solo(struct db_server *s, const struct child_result *r) {
    _cleanup_json_ json_t *answer = json_loadb(buf_str(&r->out), r->out.size, 0, NULL);
    const json_t *rows = json_object_get(json_array_get(answer, 0), "rows");
    struct uuid named;
    bool mine = r->exit_code == 0 && json_array_size(rows) == 1 &&
                ovsdb_uuid_parse(json_object_get(json_array_get(rows, 0), "solo_host"), &named) &&
                uuid_eq(&named, &s->solo);
    if (mine)
        server_next(s);
    else
        server_fail(s, "this host is not the one that may go on alone");
}

/* Conversion keeps entries that were never committed, so the right is read from what was converted, not from before. */
void step_check_solo(struct db_server *s) {
    const char *query =
        "[\"" DB_NAME "\",{\"op\":\"select\",\"table\":\"pool\",\"where\":[],\"columns\":[\"solo_host\"]}]";
    server_run(s, s->step_timeout_ms, on_solo,
               (const char *const[]){"ovsdb-tool", "query", s->standalone, query, NULL});
}

static void on_converted(struct db_server *s, const struct child_result *r) {
    if (r->exit_code == 0)
        (void)fs_unlink(s->standalone);
    on_file_made(s, r);
}

void step_from_standalone(struct db_server *s) {
    _cleanup_free_ char *address = server_address(s, s->address, s->raft_port);
    (void)fs_unlink(s->fresh);
    server_run(s, s->step_timeout_ms, on_converted,
               (const char *const[]){"ovsdb-tool", "create-cluster", s->fresh, s->standalone, address, NULL});
}

void step_swap_addresses(struct db_server *s) {
    char *address = s->address;
    s->address = s->other_address;
    s->other_address = address;
    server_next(s);
}

/* ---- waiting for the cluster ---- */

static void on_waited(struct db_server *s, const struct child_result *r) {
    if (r->exit_code == 0)
        server_next(s);
    else
        server_tool_failed(s, "the cluster of the pool database did not get there in time", r);
}

static void wait_for(struct db_server *s, const char *state, unsigned seconds) {
    _cleanup_free_ char *limit = strf("%u", seconds), *remote = strf("unix:%s", s->socket);
    server_run(s, seconds * UINT64_C(1000) + 2000, on_waited,
               (const char *const[]){"ovsdb-client", "-t", limit, "wait", remote, DB_NAME, state, NULL});
}

void step_wait_connected(struct db_server *s) {
    wait_for(s, "connected", s->timeout_s);
}

void step_wait_removed(struct db_server *s) {
    wait_for(s, "removed", s->timeout_s);
}

static void on_leave_called(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    s->call = NULL;
    if (error)
        server_fail(s, "the cluster of the pool database cannot be left: %s", error_param(error, 0));
    else
        server_next(s);
}

void step_leave(struct db_server *s) {
    s->call = unixctl_call(s->loop, s->control, "cluster/leave", (const char *const[]){DB_NAME, NULL},
                           CONTROL_TIMEOUT_MS, on_leave_called, s);
}

/* A server that died while it joined may count already, and one of two that counts and is gone for good is no majority.
 */
void step_revive(struct db_server *s) {
    bool relay;
    if (s->is_placed && server_pid(s, &relay) < 0)
        step_start_voter(s);
    else
        server_next(s);
}

/* A failed join may have made it into the cluster at the last moment: it should not count as a voter that is down. */
static void on_undo_left(const char *text, struct error *error, void *userdata) {
    struct db_server *s = userdata;
    s->call = NULL;
    if (error)
        server_next(s);
    else
        wait_for(s, "removed", MIN(s->timeout_s, 5u));
}

void step_undo_join(struct db_server *s) {
    bool relay;
    if (server_pid(s, &relay) < 0 || relay) {
        server_next(s);
        return;
    }
    s->call = unixctl_call(s->loop, s->control, "cluster/leave", (const char *const[]){DB_NAME, NULL},
                           CONTROL_TIMEOUT_MS, on_undo_left, s);
}

/* ---- schema ---- */

static bool parse_version(const char *text, long long ret[static 3]) {
    char rest;
    return sscanf(text, "%lld.%lld.%lld%c", &ret[0], &ret[1], &ret[2], &rest) == 3 ||
           (sscanf(text, "%lld.%lld.%lld%c", &ret[0], &ret[1], &ret[2], &rest) == 4 && rest == '\n');
}

enum db_schema db_schema_compare(const char *version) {
    long long theirs[3], ours[3];
    if (!parse_version(version, theirs) || !parse_version(model_schema_version, ours))
        return DB_SCHEMA_FOREIGN;
    for (int i = 0; i < 3; i++) {
        if (theirs[i] < ours[i])
            return DB_SCHEMA_OLDER;
        if (theirs[i] > ours[i])
            return i < 2 ? DB_SCHEMA_FOREIGN : DB_SCHEMA_NEWER;
    }
    return DB_SCHEMA_SAME;
}

static void on_asked_version(const struct child_result *r, void *userdata) {
    struct db_server *s = userdata;
    s->version_child = NULL;
    char *text = xstrdup(buf_str(&r->out));
    text[strcspn(text, "\n")] = '\0';
    s->version_fn(r->exit_code == 0 ? text : NULL, s->version_userdata);
    free(text);
}

void db_server_get_schema_version(struct db_server *s, db_server_version_fn *fn, void *userdata) {
    _cleanup_free_ char *remote = strf("unix:%s", s->socket);
    const char *argv[] = {"ovsdb-client", "-t", "2", "get-schema-version", remote, DB_NAME, NULL};
    if (s->version_child)
        child_cancel(s->version_child);
    s->version_fn = fn;
    s->version_userdata = userdata;
    s->version_child = child_run(s->loop, argv, NULL, 4000, MAX_VERSION, on_asked_version, s);
}

static void on_schema_converted(struct db_server *s, const struct child_result *r) {
    if (r->exit_code == 0)
        server_next(s);
    else
        server_tool_failed(s, "the pool database cannot be converted to this version's schema", r);
}

static void on_version(struct db_server *s, const struct child_result *r) {
    if (r->exit_code != 0) {
        server_tool_failed(s, "the schema of the pool database cannot be read", r);
        return;
    }
    _cleanup_free_ char *version = server_said(s, r), *remote = strf("unix:%s", s->socket);
    switch (db_schema_compare(version)) {
    case DB_SCHEMA_SAME:
        server_next(s);
        return;
    case DB_SCHEMA_NEWER:
    case DB_SCHEMA_FOREIGN:
        server_fail(s, "the pool database has schema %s, newer than %s of this version", version, model_schema_version);
        return;
    case DB_SCHEMA_OLDER:
        server_run(s, s->step_timeout_ms, on_schema_converted,
                   (const char *const[]){"ovsdb-client", "convert", remote, s->schema, NULL});
        return;
    }
}

void step_needs_conversion(struct db_server *s) {
    _cleanup_free_ char *remote = strf("unix:%s", s->socket);
    server_run(s, s->step_timeout_ms, on_version,
               (const char *const[]){"ovsdb-client", "get-schema-version", remote, DB_NAME, NULL});
}
