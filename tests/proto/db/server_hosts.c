/* SPDX-License-Identifier: Apache-2.0 */
#include "server_hosts.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "db/db.h"
#include "loop/child.h"

void on_done(const struct error *error, void *userdata) {
    struct fixture *f = userdata;
    f->n_done++;
    str_copy(f->error, sizeof(f->error), error ? error_param(error, 0) : "");
}

char *path_of(struct fixture *f, unsigned i, const char *name) {
    return strf("%s/%u/%s", f->folder, i, name);
}

const char *address(unsigned i) {
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"};
    return addresses[i];
}

struct db_server *make_host_with(struct fixture *f, unsigned i, const char *schema) {
    _cleanup_free_ char *dir = path_of(f, i, "db"), *run = path_of(f, i, "run"), *log = path_of(f, i, "run/log");
    assert_int_equal(fs_mkdirs(run, 0700), 0);
    struct db_server_config c = {.loop = f->loop,
                                 .db_dir = dir,
                                 .run_dir = run,
                                 .schema_path = schema,
                                 .log_path = log,
                                 .scheme = "tcp",
                                 .listen_address = address(i),
                                 .raft_port = f->port,
                                 .client_port = f->port + 1,
                                 .join_timeout_s = 10};
    return db_server_new(&c);
}

struct db_server *host(struct fixture *f, unsigned i) {
    if (!f->hosts[i])
        f->hosts[i] = make_host_with(f, i, getenv("MUSTER_TEST_SCHEMA"));
    return f->hosts[i];
}

int pid_of(struct fixture *f, unsigned i) {
    _cleanup_free_ char *path = path_of(f, i, "run/pooldb.pid");
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, 64, &text) == 0 ? (int)strtol(buf_str(&text), NULL, 10) : -1;
}

bool is_alive(int pid) {
    return pid > 1 && kill(pid, 0) == 0;
}

void kill_host(struct fixture *f, unsigned i) {
    int pid = pid_of(f, i);
    assert_true(pid > 1);
    kill(pid, SIGKILL);
    RUN_UNTIL(f->loop, 5000, !is_alive(pid));
}

static int free_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof(a);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    return ntohs(a.sin_port) < 65000 ? ntohs(a.sin_port) : 20000 + getpid() % 20000;
}

int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    str_copy(f->folder, sizeof(f->folder), "/tmp/test-dbserver-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->loop = loop_new();
    f->port = free_port();
    *state = f;
    return 0;
}

int teardown(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 0; i < MAX_HOSTS; i++) {
        db_server_free(f->hosts[i]);
        int pid = pid_of(f, i);
        if (is_alive(pid))
            kill(pid, SIGKILL);
    }
    struct child_result r = {0};
    (void)child_run_sync((const char *const[]){"rm", "-rf", f->folder, NULL}, NULL, 5000, 1000, &r);
    child_result_done(&r);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void on_written(struct error *error, void *userdata) {
    *(int *)userdata = error ? -1 : 1;
}

static struct db *follow(struct fixture *f, unsigned i) {
    struct db *d = db_new(f->loop);
    db_sync_start(d, db_server_socket(host(f, i)));
    RUN_UNTIL(f->loop, 15000, db_get_status(d).loaded && db_get_status(d).has_quorum);
    return d;
}

void write_name(struct fixture *f, unsigned i, const char *name, const struct uuid *solo) {
    struct db *d = follow(f, i);
    struct db_txn *t = db_txn_new(d, "name");
    struct uuid pool = db_pool(d) ? db_pool(d)->uuid : db_txn_insert(t, CLASS_pool, NULL);
    db_txn_set(t, CLASS_pool, &pool, FIELD_pool_name_label, value_string(name));
    if (solo) {
        db_txn_insert(t, CLASS_host, solo);
        db_txn_set(t, CLASS_pool, &pool, FIELD_pool_solo_host, value_ref(solo));
    }
    int outcome = 0;
    db_txn_commit(t, 5000, on_written, &outcome);
    RUN_UNTIL(f->loop, 12000, outcome != 0);
    assert_int_equal(outcome, 1);
    db_free(d);
}

void check_name(struct fixture *f, unsigned i, const char *name) {
    struct db *d = follow(f, i);
    assert_non_null(db_pool(d));
    RUN_UNTIL(f->loop, 5000, str_eq(row_str(db_pool(d), FIELD_pool_name_label), name));
    db_free(d);
}

struct status_result {
    int n;
    bool known;
    struct db_server_status status;
};

static void on_status(const struct db_server_status *status, void *userdata) {
    struct status_result *r = userdata;
    r->n++;
    r->known = status != NULL;
    if (status)
        r->status = *status;
}

struct db_server_status status_of(struct fixture *f, unsigned i) {
    struct status_result r = {0};
    db_server_get_status(host(f, i), on_status, &r);
    RUN_UNTIL(f->loop, 5000, r.n == 1);
    assert_true(r.known);
    return r.status;
}

void start_cluster(struct fixture *f, unsigned n) {
    OPERATION(f, "", db_server_create(host(f, 0), address(0), on_done, f));
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    for (unsigned i = 1; i < n; i++) {
        struct strv voters = {0};
        strv_add(&voters, address(0));
        OPERATION(f, "", db_server_join(host(f, i), address(i), &voters, on_done, f));
        strv_done(&voters);
    }
}
