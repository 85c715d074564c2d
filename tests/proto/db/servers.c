/* SPDX-License-Identifier: Apache-2.0 */
#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "ovsdb/ovsdb_conn.h"

extern char **environ;

/* A range of ports that nobody uses now. Another test may take one meanwhile: the range starts at the process id. */
static int free_ports(void) {
    for (int port = 20000 + getpid() % 5000 * 8; port < 64000; port += 8) {
        int good = 0;
        for (int i = 0; i < MAX_SERVERS; i++) {
            struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port + i))};
            a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            good += bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
            close(fd);
        }
        if (good == MAX_SERVERS)
            return port;
    }
    fail_msg("no free ports");
    return 0;
}

static void run(const char *const argv[]) {
    struct child_result r = {0};
    assert_int_equal(child_run_sync(argv, NULL, 20000, 65536, &r), 0);
    if (r.exit_code != 0)
        fail_msg("'%s' failed: %s", argv[0], buf_str(&r.err));
    child_result_done(&r);
}

void servers_socket(const struct servers *s, unsigned i, char *ret_path, size_t size) {
    snprintf(ret_path, size, "%s/%u.sock", s->folder, i);
}

static char *address_of(const struct servers *s, unsigned i) {
    return strf("tcp:127.0.0.1:%d", s->port + (int)i);
}

void servers_run(struct servers *s, unsigned i) {
    _cleanup_free_ char *db = strf("%s/%u.db", s->folder, i);
    _cleanup_free_ char *remote = strf("--remote=punix:%s/%u.sock", s->folder, i);
    _cleanup_free_ char *ctl = strf("--unixctl=%s/%u.ctl", s->folder, i);
    _cleanup_free_ char *log = strf("--log-file=%s/%u.log", s->folder, i);
    /* Should the test die, its servers die with it. */
    const char *argv[] = {
        "setpriv", "--pdeathsig", "KILL", "ovsdb-server", remote, ctl, log, "-vconsole:off", "--no-chdir", db, NULL};
    pid_t pid;
    assert_int_equal(posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    s->pids[i] = pid;
}

void servers_kill(struct servers *s, unsigned i) {
    if (s->pids[i] == 0)
        return;
    kill(s->pids[i], SIGKILL);
    waitpid(s->pids[i], NULL, 0);
    s->pids[i] = 0;
}

void servers_start(struct servers *s, unsigned n) {
    *s = (struct servers){.folder = "/tmp/test-db-XXXXXX", .n = n};
    assert_non_null(mkdtemp(s->folder));
    s->port = free_ports();
    const char *schema = getenv("MUSTER_TEST_SCHEMA");
    assert_non_null(schema);
    _cleanup_free_ char *first = address_of(s, 0);
    _cleanup_free_ char *db = strf("%s/0.db", s->folder);
    run((const char *const[]){"ovsdb-tool", "create-cluster", db, schema, first, NULL});
    servers_run(s, 0);
    for (unsigned i = 1; i < n; i++) {
        _cleanup_free_ char *mine = address_of(s, i);
        _cleanup_free_ char *path = strf("%s/%u.db", s->folder, i);
        _cleanup_free_ char *sock = strf("unix:%s/%u.sock", s->folder, i);
        run((const char *const[]){"ovsdb-tool", "join-cluster", path, "Muster", mine, first, NULL});
        servers_run(s, i);
        run((const char *const[]){"ovsdb-client", "-t", "15", "wait", sock, "Muster", "connected", NULL});
    }
}

void servers_stop(struct servers *s) {
    for (unsigned i = 0; i < s->n; i++)
        servers_kill(s, i);
    run((const char *const[]){"rm", "-rf", s->folder, NULL});
}

int servers_leader(struct servers *s) {
    for (unsigned i = 0; i < s->n; i++) {
        char path[100];
        snprintf(path, sizeof(path), "%s/%u.ctl", s->folder, i);
        struct error *e = NULL;
        struct ovsdb_sync *c = s->pids[i] ? ovsdb_sync_open(path, 100, &e) : NULL;
        json_t *status = NULL;
        bool leader = c && ovsdb_sync_call(c, "cluster/status", json_pack("[s]", "Muster"), 1000, &status, &e) &&
                      strstr(json_string_value(status), "Role: leader");
        json_decref(status);
        ovsdb_sync_close(c);
        error_free(e);
        if (leader)
            return (int)i;
    }
    return -1;
}
