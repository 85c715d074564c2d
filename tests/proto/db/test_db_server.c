/* SPDX-License-Identifier: Apache-2.0 */
/* The database server of a host through its life. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server_hosts.h"

#include "base/buf.h"
#include "base/fs.h"
#include "db/db.h"
#include "loop/child.h"
#include "model/model.h"
#include "ovsdb/ovsdb_conn.h"

static void test_life(void **state) {
    struct fixture *f = *state;
    assert_false(db_server_has_file(host(f, 0)));
    start_cluster(f, 1);
    write_name(f, 0, "one", NULL);
    struct db_server_status st = status_of(f, 0);
    assert_string_equal(st.role, "leader");
    assert_true(st.is_member && st.has_leader);
    assert_int_equal(st.n_peers, 1);
    assert_string_equal(st.peers[0].address, "127.0.0.1");
    assert_true(st.peers[0].self);
    assert_int_equal(strlen(st.cluster), 36);

    /* The daemon ends and starts again: the server is found, not started a second time. */
    int pid = pid_of(f, 0);
    db_server_free(TAKE(f->hosts[0]));
    assert_true(is_alive(pid));
    OPERATION(f, "", db_server_create(host(f, 0), address(0), on_done, f));
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    assert_int_equal(pid_of(f, 0), pid);

    /* Killed: its pid file and sockets are left behind and do no harm. */
    kill_host(f, 0);
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    assert_int_not_equal(pid_of(f, 0), pid);
    check_name(f, 0, "one");

    /* Ended and started again without a pause. */
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    check_name(f, 0, "one");

    /* One operation at a time. */
    f->n_done = 0;
    db_server_stop(host(f, 0), on_done, f);
    assert_true(db_server_is_busy(host(f, 0)));
    struct fixture second = {0};
    db_server_stop(host(f, 0), on_done, &second);
    RUN_UNTIL(f->loop, 5000, f->n_done == 1 && second.n_done == 1);
    assert_non_null(strstr(second.error, "under way"));
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));

    OPERATION(f, "only voter", db_server_leave(host(f, 0), 5, on_done, f));
    assert_true(is_alive(pid_of(f, 0)));
    OPERATION(f, "", db_server_set_aside(host(f, 0), "stale", on_done, f));
    assert_false(db_server_has_file(host(f, 0)));
    _cleanup_free_ char *aside = path_of(f, 0, "db/pool.db.stale-1");
    assert_true(fs_exists(aside));
}

static void test_three(void **state) {
    struct fixture *f = *state;
    start_cluster(f, 3);
    assert_int_equal(status_of(f, 2).n_peers, 3);
    write_name(f, 2, "three", NULL);

    /* A dead one is kicked by its address; twice does no harm. */
    kill_host(f, 1);
    OPERATION(f, "", db_server_kick(host(f, 0), address(1), on_done, f));
    assert_int_equal(status_of(f, 0).n_peers, 2);
    OPERATION(f, "", db_server_kick(host(f, 0), address(1), on_done, f));
    struct strv voters = {0};
    strv_add(&voters, address(0));
    strv_add(&voters, address(2));
    OPERATION(f, "", db_server_join(host(f, 1), address(1), &voters, on_done, f));
    check_name(f, 1, "three");
    _cleanup_free_ char *replaced = path_of(f, 1, "db/pool.db.replaced-1");
    assert_true(fs_exists(replaced));

    /* The leader itself leaves; the others write on; it comes back as a relay, then as a voter. */
    unsigned leader = str_eq(status_of(f, 0).role, "leader") ? 0 : str_eq(status_of(f, 1).role, "leader") ? 1 : 2;
    unsigned other = (leader + 1) % 3;
    OPERATION(f, "", db_server_leave(host(f, leader), 10, on_done, f));
    assert_false(db_server_has_file(host(f, leader)));
    assert_false(is_alive(pid_of(f, leader)));
    write_name(f, other, "two", NULL);
    struct strv rest = {0};
    strv_add(&rest, address(other));
    strv_add(&rest, address((leader + 2) % 3));
    OPERATION(f, "", db_server_start_relay(host(f, leader), &rest, on_done, f));
    check_name(f, leader, "two");
    write_name(f, leader, "by relay", NULL);
    OPERATION(f, "", db_server_join(host(f, leader), address(leader), &rest, on_done, f));
    check_name(f, leader, "by relay");
    assert_int_equal(status_of(f, leader).n_peers, 3);

    /* Another address, one host of three, then back to nobody at the old one. */
    OPERATION(f, "", db_server_change_address(host(f, leader), address(leader), "127.0.0.9", &rest, on_done, f));
    struct db_server_status st = status_of(f, leader);
    assert_int_equal(st.n_peers, 3);
    for (size_t i = 0; i < st.n_peers; i++)
        assert_string_not_equal(st.peers[i].address, address(leader));
    check_name(f, leader, "by relay");
    strv_done(&rest);
    strv_done(&voters);
}

/* By the server's own control socket: the status that db_server asks for would mend what has left. */
static bool control_says(struct fixture *f, unsigned i, const char *command, const char *text) {
    _cleanup_free_ char *control = path_of(f, i, "run/pooldb.ctl");
    struct child_result r = {0};
    const char *argv[] = {"ovs-appctl", "-t", control, command, "Muster", NULL};
    bool says = child_run_sync(argv, NULL, 5000, 65536, &r) == 0 && r.exit_code == 0 && strstr(buf_str(&r.out), text);
    child_result_done(&r);
    return says;
}

/* Out of the cluster, but ended before its file was set aside: it takes part again without the file. */
static void test_left(void **state) {
    struct fixture *f = *state;
    start_cluster(f, 2);
    write_name(f, 1, "both", NULL);
    assert_true(control_says(f, 1, "cluster/leave", ""));
    RUN_UNTIL(f->loop, 10000, !control_says(f, 1, "cluster/status", "Status:")); /* out: it knows no cluster */
    kill_host(f, 1);
    OPERATION(f, "has left the cluster; its file is kept as", db_server_start_voter(host(f, 1), on_done, f));
    _cleanup_free_ char *aside = path_of(f, 1, "db/pool.db.left-1");
    assert_true(fs_exists(aside));
    assert_false(db_server_has_file(host(f, 1)));
    struct strv voters = {0};
    strv_add(&voters, address(0));
    OPERATION(f, "", db_server_start_relay(host(f, 1), &voters, on_done, f));
    check_name(f, 1, "both");
    OPERATION(f, "", db_server_join(host(f, 1), address(1), &voters, on_done, f));
    assert_int_equal(status_of(f, 0).n_peers, 2);
    strv_done(&voters);
}

/* Joining what is not there: named, nothing runs, nothing is lost. */
static void test_join_fails(void **state) {
    struct fixture *f = *state;
    struct strv nobody = {0};
    strv_add(&nobody, address(3));
    OPERATION(f, "in time", db_server_join(host(f, 1), address(1), &nobody, on_done, f));
    assert_false(is_alive(pid_of(f, 1)));
    assert_false(db_server_has_file(host(f, 1)));
    strv_done(&nobody);
}

/* The server dies when the cluster counts it and nobody has been told: it does not stay behind as a vote of nobody. */
static void test_join_killed(void **state) {
    struct fixture *f = *state;
    static const char slow[] = "#!/bin/sh\nsleep 2\nPATH=${PATH#*:} exec ovsdb-client \"$@\"\n";
    start_cluster(f, 1);
    write_name(f, 0, "before", NULL);
    _cleanup_free_ char *tool = strf("%s/ovsdb-client", f->folder), *path = xstrdup(getenv("PATH")),
                        *with = strf("%s:%s", f->folder, path);
    assert_int_equal(fs_write_atomic(tool, slow, strlen(slow), 0755), 0);
    setenv("PATH", with, 1);
    struct strv voters = {0};
    strv_add(&voters, address(0));
    f->n_done = 0;
    db_server_join(host(f, 1), address(1), &voters, on_done, f);
    RUN_UNTIL(f->loop, 10000, control_says(f, 1, "cluster/status", "Status: cluster member"));
    assert_int_equal(f->n_done, 0);
    kill_host(f, 1);
    setenv("PATH", path, 1);
    RUN_UNTIL(f->loop, 40000, f->n_done == 1);
    assert_non_null(strstr(f->error, "in time"));
    assert_false(db_server_has_file(host(f, 1)));
    assert_int_equal(status_of(f, 0).n_peers, 1);
    write_name(f, 0, "after", NULL);
    OPERATION(f, "", db_server_join(host(f, 1), address(1), &voters, on_done, f));
    check_name(f, 1, "after");
    strv_done(&voters);
}

static void test_dissolve(void **state) {
    struct fixture *f = *state;
    struct uuid me = uuid_random(), other = uuid_random();
    start_cluster(f, 2);
    write_name(f, 0, "both", &me);
    kill_host(f, 1);
    OPERATION(f, "not the one", db_server_dissolve(host(f, 0), address(0), &other, on_done, f));
    assert_true(is_alive(pid_of(f, 0)));
    assert_int_equal(status_of(f, 0).n_peers, 2); /* as it was */
    struct db_server_status before = status_of(f, 0);
    OPERATION(f, "", db_server_dissolve(host(f, 0), address(0), &me, on_done, f));
    check_name(f, 0, "both");
    write_name(f, 0, "alone", NULL);
    struct db_server_status after = status_of(f, 0);
    assert_int_equal(after.n_peers, 1);
    assert_string_not_equal(before.cluster, after.cluster);
    /* Alone, an address is changed by conversion. */
    struct strv none = {0};
    OPERATION(f, "", db_server_change_address(host(f, 0), address(0), "127.0.0.8", &none, on_done, f));
    assert_string_equal(status_of(f, 0).peers[0].address, "127.0.0.8");
    check_name(f, 0, "alone");
}

static void damage(struct fixture *f, off_t at) {
    _cleanup_free_ char *path = path_of(f, 0, "db/pool.db");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "################", 16, at), 16);
    close(fd);
}

static void test_damaged(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        start_cluster(f, 1);
        OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
        damage(f, i == 0 ? 0 : 500);
        OPERATION(f, "is damaged and is kept as", db_server_start_voter(host(f, 0), on_done, f));
        assert_false(db_server_has_file(host(f, 0)));
        _cleanup_free_ char *name = strf("%s/0/db/pool.db.corrupt-%d", f->folder, i + 1);
        assert_true(fs_exists(name));
    }
}

/* A record cut short by a power cut is no damage: it had never been acknowledged. */
static void test_cut_short(void **state) {
    struct fixture *f = *state;
    start_cluster(f, 1);
    write_name(f, 0, "kept", NULL);
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    _cleanup_free_ char *path = path_of(f, 0, "db/pool.db");
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    const char *half = "OVSDB CLUSTER 300 66261ebcd11d957f40f590658a7cfc1ef5c40021\n{\"term\":1";
    assert_int_equal(write(fd, half, strlen(half)), strlen(half));
    close(fd);
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    check_name(f, 0, "kept");
}

static char *schema_with(struct fixture *f, const char *version, bool without_column) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    assert_int_equal(fs_read(getenv("MUSTER_TEST_SCHEMA"), 1 << 20, &text), 0);
    json_t *schema = json_loads(buf_str(&text), 0, NULL);
    assert_non_null(schema);
    json_object_set_new(schema, "version", json_string(version));
    if (without_column)
        json_object_del(json_object_get(json_object_get(json_object_get(schema, "tables"), "pool"), "columns"),
                        "gui_config");
    char *path = strf("%s/%s.ovsschema", f->folder, version);
    assert_int_equal(json_dump_file(schema, path, 0), 0);
    json_decref(schema);
    return path;
}

static void test_schema(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *old = schema_with(f, "0.0.1", true), *next = schema_with(f, "999.0.0", false);
    f->hosts[0] = make_host_with(f, 0, old);
    start_cluster(f, 1);
    db_server_free(TAKE(f->hosts[0]));

    /* An older database: following it is refused by name, then works by itself once it has been converted. */
    struct db *d = db_new(f->loop);
    db_sync_start(d, db_server_socket(host(f, 0)));
    RUN_UNTIL(f->loop, 10000, strstr(db_get_status(d).text, "refuses to be followed"));
    assert_false(db_get_status(d).loaded);
    OPERATION(f, "", db_server_convert(host(f, 0), on_done, f));
    RUN_UNTIL(f->loop, 10000, db_get_status(d).loaded && db_get_status(d).has_quorum);
    db_free(d);
    OPERATION(f, "", db_server_convert(host(f, 0), on_done, f)); /* nothing to do */

    OPERATION(f, "", db_server_set_aside(host(f, 0), "stale", on_done, f));
    db_server_free(TAKE(f->hosts[0]));
    f->hosts[0] = make_host_with(f, 0, next);
    start_cluster(f, 1);
    OPERATION(f, "newer than", db_server_convert(host(f, 0), on_done, f));
}

static void test_schema_compare(void **state) {
    long long v[3];
    assert_int_equal(sscanf(model_schema_version, "%lld.%lld.%lld", &v[0], &v[1], &v[2]), 3);
    const struct {
        long long add[3];
        enum db_schema expected;
    } cases[] = {{{0, 0, 0}, DB_SCHEMA_SAME},     {{0, 0, 1}, DB_SCHEMA_NEWER},  {{0, 1, 0}, DB_SCHEMA_FOREIGN},
                 {{1, -1, 0}, DB_SCHEMA_FOREIGN}, {{-1, 5, 5}, DB_SCHEMA_OLDER}, {{0, -1, 9}, DB_SCHEMA_OLDER}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text =
            strf("%lld.%lld.%lld", v[0] + cases[i].add[0], v[1] + cases[i].add[1], v[2] + cases[i].add[2]);
        assert_int_equal(db_schema_compare(text), cases[i].expected);
    }
    static const char *const nonsense[] = {"", "1", "1.2", "a.b.c", "1.2.3.4", "1.2.3 beta"};
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++)
        assert_int_equal(db_schema_compare(nonsense[i]), DB_SCHEMA_FOREIGN);
}

static void test_parse_status(void **state) {
    struct db_server_status st;
    const char *good = "1e72\nName: Muster\nCluster ID: b36f (b36f737e-44c4-4822-bdf2-686f57bfabcd)\n"
                       "Status: cluster member\nRole: follower\nTerm: 7\nLeader: 8570\nVote: unknown\n\nServers:\n"
                       "    7d37 (7d37 at ssl:[fd00::3]:6643)\n"
                       "    8570 (8570 at ssl:10.0.0.1:6643) last msg 62 ms ago\n"
                       "    748a (748a at ssl:10.0.0.2:6643) (self)\n";
    assert_true(db_server_parse_status(good, &st));
    assert_int_equal(st.n_peers, 3);
    assert_string_equal(st.peers[0].address, "fd00::3");
    assert_string_equal(st.peers[1].sid, "8570");
    assert_false(st.peers[1].self);
    assert_true(st.peers[2].self);
    assert_string_equal(st.cluster, "b36f737e-44c4-4822-bdf2-686f57bfabcd");
    assert_int_equal(st.term, 7);
    assert_true(st.is_member && st.has_leader);
    assert_false(st.is_changing || st.uncommitted);
    const char *busy =
        "1e72\nStatus: cluster member\nAdding server 1f3c (1f3c at ssl:10.0.0.4:6643) (adding: catchup)\n"
        "Role: leader\nTerm: 7\nLeader: self\nVote: self\n\nEntries not yet committed: 3\n"
        "Servers:\n    748a (748a at ssl:10.0.0.2:6643) (self)\n";
    assert_true(db_server_parse_status(busy, &st));
    assert_true(st.is_changing && st.uncommitted == 3 && st.n_peers == 1);
    /* Every beginning of it is either refused or read without harm. */
    for (size_t n = 0; n < strlen(good); n++) {
        _cleanup_free_ char *part = xstrndup(good, n);
        if (db_server_parse_status(part, &st))
            assert_true(st.n_peers <= 3);
    }
    assert_false(db_server_parse_status("", &st));
    assert_false(db_server_parse_status("unknown cluster\n", &st));
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_status),
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_three, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dissolve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schema, setup, teardown),
        cmocka_unit_test(test_schema_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
