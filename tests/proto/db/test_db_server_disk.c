/* SPDX-License-Identifier: Apache-2.0 */
/* What a full disk does to the database server of a host, and to those of the others. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server_hosts.h"

#include "base/buf.h"
#include "base/fs.h"

#define ROOM_MIN ((off_t)1 << 20)

/* ---- a disk of its own for one host ---- */

static void own_disk(struct fixture *f, unsigned i) {
    static bool own_namespace;
    if (!own_namespace &&
        (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
        skip();
    own_namespace = true;
    _cleanup_free_ char *dir = path_of(f, i, "db");
    assert_int_equal(fs_mkdirs(dir, 0700), 0);
    assert_int_equal(mount("none", dir, "tmpfs", 0, "size=24m"), 0);
}

static void give_back_disk(struct fixture *f, unsigned i) {
    _cleanup_free_ char *dir = path_of(f, i, "db");
    OPERATION(f, "", db_server_stop(host(f, i), on_done, f));
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

static void fill(struct fixture *f, unsigned i) {
    _cleanup_free_ char *filler = path_of(f, i, "db/filler");
    int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char chunk[4096] = {0};
    while (write(fd, chunk, sizeof(chunk)) > 0)
        ;
    close(fd);
}

static void make_room(struct fixture *f, unsigned i) {
    _cleanup_free_ char *filler = path_of(f, i, "db/filler");
    assert_int_equal(unlink(filler), 0);
}

/* What is kept behind the end of the file. */
static off_t kept(struct fixture *f, unsigned i) {
    _cleanup_free_ char *path = path_of(f, i, "db/pool.db");
    struct stat st;
    return stat(path, &st) == 0 ? (off_t)st.st_blocks * 512 - st.st_size : 0;
}

/* ---- tests ---- */

/*
 * A follower's disk is full: it writes on in the room that was kept, so the two go on, and its file is whole. Without
 * that room a server keeps in memory what it cannot write, and leaves a hole when it can write again.
 */
static void test_follower(void **state) {
    struct fixture *f = *state;
    own_disk(f, 1);
    start_cluster(f, 2);
    assert_string_equal(status_of(f, 0).role, "leader");
    RUN_UNTIL(f->loop, 5000, kept(f, 1) >= ROOM_MIN);
    fill(f, 1);
    char name[3001];
    for (int i = 0; i < 10; i++) {
        memset(name, 'a' + i, sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        write_name(f, 0, name, NULL);
    }
    assert_int_equal(status_of(f, 1).uncommitted, 0);
    kill_host(f, 1);
    OPERATION(f, "", db_server_start_voter(host(f, 1), on_done, f));
    check_name(f, 1, name);
    make_room(f, 1);
    write_name(f, 0, "after", NULL);
    kill_host(f, 1);
    OPERATION(f, "", db_server_start_voter(host(f, 1), on_done, f));
    check_name(f, 1, "after");
    give_back_disk(f, 1);
}

/* The room is used up: the server is stopped before it fails, is not started without, and starts when there is some. */
static void test_no_room(void **state) {
    struct fixture *f = *state;
    own_disk(f, 0);
    start_cluster(f, 1);
    write_name(f, 0, "before", NULL);
    RUN_UNTIL(f->loop, 5000, kept(f, 0) >= ROOM_MIN);
    fill(f, 0);
    int pid = pid_of(f, 0);
    _cleanup_free_ char *path = path_of(f, 0, "db/pool.db");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size), 0); /* gives the kept room back */
    fill(f, 0);
    RUN_UNTIL(f->loop, 10000, !is_alive(pid) && !db_server_is_busy(host(f, 0)));
    OPERATION(f, "the disk is full", db_server_start_voter(host(f, 0), on_done, f));
    assert_true(db_server_has_file(host(f, 0)));
    make_room(f, 0);
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    check_name(f, 0, "before");
    /* What is set aside keeps none. */
    RUN_UNTIL(f->loop, 5000, kept(f, 0) >= ROOM_MIN);
    OPERATION(f, "", db_server_set_aside(host(f, 0), "stale", on_done, f));
    _cleanup_free_ char *aside = path_of(f, 0, "db/pool.db.stale-1");
    assert_int_equal(stat(aside, &st), 0);
    assert_true((off_t)st.st_blocks * 512 - st.st_size < ROOM_MIN);
    give_back_disk(f, 0);
}

static void test_full_disk(void **state) {
    struct fixture *f = *state;
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    _cleanup_free_ char *dir = path_of(f, 0, "db"), *filler = path_of(f, 0, "db/filler");
    assert_int_equal(fs_mkdirs(dir, 0700), 0);
    assert_int_equal(mount("none", dir, "tmpfs", 0, "size=4m"), 0);
    start_cluster(f, 1);
    write_name(f, 0, "before", NULL);
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char chunk[4096] = {0};
    while (write(fd, chunk, sizeof(chunk)) > 0)
        ;
    close(fd);
    /* Starting writes a new term: it cannot. The file must stay where it is. */
    f->n_done = 0;
    db_server_start_voter(host(f, 0), on_done, f);
    RUN_UNTIL(f->loop, 40000, f->n_done == 1);
    assert_true(db_server_has_file(host(f, 0)));
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    assert_int_equal(unlink(filler), 0);
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    check_name(f, 0, "before");
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

/* Takes the record with the text out of the file of this host. */
static void cut_record(struct fixture *f, unsigned i, const char *text) {
    _cleanup_free_ char *path = path_of(f, i, "db/pool.db");
    _cleanup_buf_ struct buf b = BUF_INIT, rest = BUF_INIT;
    assert_int_equal(fs_read(path, 1 << 24, &b), 0);
    char *at = strstr(buf_str(&b), text);
    assert_non_null(at);
    char *start = at, *end = strstr(at, "\nOVSDB CLUSTER ");
    while (start > b.data && !str_starts(start, "OVSDB CLUSTER "))
        start--;
    assert_true(start > b.data && end);
    buf_add(&rest, b.data, (size_t)(start - b.data));
    buf_add_str(&rest, end + 1);
    assert_int_equal(fs_write_atomic(path, rest.data, rest.size, 0600), 0);
}

/* A file with a hole, as other versions may have left it: mended, and the rest comes from the other voter. */
static void test_hole(void **state) {
    struct fixture *f = *state;
    start_cluster(f, 2);
    write_name(f, 0, "first", NULL);
    write_name(f, 0, "not on the disk", NULL);
    write_name(f, 0, "last", NULL);
    check_name(f, 1, "last");
    OPERATION(f, "", db_server_stop(host(f, 1), on_done, f));
    cut_record(f, 1, "\"not on the disk\"");
    OPERATION(f, "", db_server_start_voter(host(f, 1), on_done, f));
    check_name(f, 1, "last");
    _cleanup_free_ char *aside = path_of(f, 1, "db/pool.db.hole-1");
    assert_true(fs_exists(aside));
    write_name(f, 1, "after", NULL);
    assert_int_equal(status_of(f, 0).n_peers, 2);
    kill_host(f, 1);
    OPERATION(f, "", db_server_start_voter(host(f, 1), on_done, f));
    check_name(f, 1, "after");
}

/* The only voter has nobody to ask: what is before the hole is kept, and the pool goes on. */
static void test_hole_alone(void **state) {
    struct fixture *f = *state;
    start_cluster(f, 1);
    write_name(f, 0, "first", NULL);
    write_name(f, 0, "not on the disk", NULL);
    write_name(f, 0, "last", NULL);
    OPERATION(f, "", db_server_stop(host(f, 0), on_done, f));
    cut_record(f, 0, "\"not on the disk\"");
    OPERATION(f, "", db_server_start_voter(host(f, 0), on_done, f));
    check_name(f, 0, "first");
    write_name(f, 0, "after", NULL);
    _cleanup_free_ char *aside = path_of(f, 0, "db/pool.db.hole-1");
    assert_true(fs_exists(aside));
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hole_alone, setup, teardown),
        /* Last: they leave the mount namespace. */
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follower, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
