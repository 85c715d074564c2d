/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that a VM writes to while snapshots are taken of them: whose name leads where, at every moment. */
#include "store/store_snapshot.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "model/model.h"
#include "store/store.h"
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

struct rig {
    char *path;
    struct uuid sr, vdi;
};

static void run(struct rig *r, const char *op) {
    _cleanup_value_ struct value args = value_map(), result = {.type = VALUE_VOID};
    char text[UUID_TEXT_SIZE];
    struct error *e = NULL;
    value_map_add(&args, "path", value_string(r->path));
    value_map_add(&args, "sr", value_string(uuid_text(&r->sr, text)));
    value_map_add(&args, "vdi", value_string(uuid_text(&r->vdi, text)));
    value_map_add(&args, "format", value_string("qcow2"));
    value_map_add(&args, "size", value_int(1 << 20));
    if (!store_run(op, &args, &result, &e))
        fail_msg("%s: %s", op, error_text(e));
}

/*
 * A QEMU of somebody else may have any image open, as far as an ordinary user can see: then nothing is renamed,
 * rightly, and there is nothing to be tested.
 */
static void skip_beside_others(void) {
    glob_t all;
    bool is_there = false;
    if (geteuid() == 0 || glob("/proc/[0-9]*/comm", 0, NULL, &all) != 0)
        return;
    for (size_t i = 0; i < all.gl_pathc; i++) {
        struct stat st;
        _cleanup_buf_ struct buf name = BUF_INIT;
        is_there |= stat(all.gl_pathv[i], &st) == 0 && st.st_uid != geteuid() &&
                    fs_read(all.gl_pathv[i], 64, &name) == 0 && str_starts(buf_str(&name), "qemu-");
    }
    globfree(&all);
    if (is_there)
        skip();
}

static int setup(void **state) {
    struct rig *r = xnew0(struct rig);
    char top[] = "/var/tmp/store-snapshot-XXXXXX";
    if (!mkdtemp(top) || chmod(top, 0711) < 0)
        return -1;
    *r = (struct rig){.path = strf("%s/sr", top), .sr = uuid_random(), .vdi = uuid_random()};
    run(r, "create");
    run(r, "vdi_create");
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    _cleanup_free_ _unused_ char *top = xstrndup(r->path, strlen(r->path) - 3), *command = NULL;
    char *const argv[] = {(char *)"rm", (char *)"-rf", top, NULL};
    pid_t pid = fork();
    if (pid == 0)
        execvp("rm", argv);
    free(r->path);
    free(r);
    return pid > 0 ? 0 : -1;
}

static ino_t inode(const char *file) {
    struct stat st;
    return stat(file, &st) == 0 ? st.st_ino : 0;
}

static void test_live(void **state) {
    skip_beside_others();
    struct rig *r = *state;
    struct uuid base = uuid_random(), child = uuid_random(), base2 = uuid_random(), child2 = uuid_random();
    _cleanup_free_ char *own = store_file(r->path, &r->vdi, "qcow2"), *first = NULL, *second = NULL,
                        *base_file = store_file(r->path, &base, "qcow2"),
                        *base2_file = store_file(r->path, &base2, "qcow2"),
                        *child_file = store_file(r->path, &child, "qcow2");
    int64_t size;
    struct error *e = NULL;
    ino_t disk = inode(own);
    assert_true(store_fork_live(r->path, &r->vdi, &base, &child, &first, &size, &e));
    assert_int_equal(inode(own), disk); /* the name that a hypervisor knows is left alone */
    assert_int_equal(inode(base_file), disk);
    assert_true(str_ends(first, ".live-1"));
    assert_true(fs_exists(child_file));
    assert_true(store_fork_live(r->path, &r->vdi, &base2, &child2, &second, &size, &e));
    assert_true(str_ends(second, ".live-2"));
    assert_int_equal(inode(base2_file), inode(first));
    ino_t last = inode(second);
    int fd = open(second, O_RDONLY | O_CLOEXEC);
    assert_false(store_settle(r->path, &r->vdi, &e)); /* somebody has it open */
    assert_true(error_is(e, ERR_VDI_IN_USE));
    error_free(TAKE(e));
    assert_false(store_unfork_live(r->path, second, &base2, &child2));
    assert_int_equal(inode(second), last);
    close(fd);
    /* A crash in the middle of settling: a lower one has gone already. */
    assert_int_equal(fs_unlink(first), 0);
    assert_true(store_settle(r->path, &r->vdi, &e));
    assert_int_equal(inode(own), last);
    assert_false(fs_exists(second));
    assert_int_equal(inode(base_file), disk);
    assert_true(store_settle(r->path, &r->vdi, &e)); /* nothing to do */
    assert_int_equal(inode(own), last);
    run(r, "vdi_stat");
}

static void test_taken_back(void **state) {
    skip_beside_others();
    struct rig *r = *state;
    struct uuid base = uuid_random(), child = uuid_random();
    _cleanup_free_ char *own = store_file(r->path, &r->vdi, "qcow2"), *live = NULL,
                        *base_file = store_file(r->path, &base, "qcow2");
    int64_t size;
    struct error *e = NULL;
    ino_t disk = inode(own);
    assert_true(store_fork_live(r->path, &r->vdi, &base, &child, &live, &size, &e));
    assert_true(store_unfork_live(r->path, live, &base, &child));
    assert_false(fs_exists(live));
    assert_false(fs_exists(base_file));
    assert_int_equal(inode(own), disk);
}

static bool is_same(const struct uuid *vdi, void *userdata) {
    return uuid_eq(vdi, userdata);
}

/* All of a folder: what is used, and what somebody has open, is left; the others have their names. */
static void test_all(void **state) {
    skip_beside_others();
    struct rig *r = *state;
    struct uuid base = uuid_random(), child = uuid_random(), vdis[3];
    char *own[3], *live[3];
    ino_t last[3];
    int64_t size;
    struct error *e = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(vdis); i++) {
        vdis[i] = r->vdi = uuid_random();
        run(r, "vdi_create");
        base = uuid_random(), child = uuid_random();
        own[i] = store_file(r->path, &vdis[i], "qcow2");
        assert_true(store_fork_live(r->path, &vdis[i], &base, &child, &live[i], &size, &e));
        last[i] = inode(live[i]);
    }
    _cleanup_free_ char *stranger = strf("%s/notes.live-1", r->path);
    assert_int_equal(fs_write_atomic(stranger, "x", 1, 0600), 0);
    int fd = open(live[1], O_RDONLY | O_CLOEXEC);
    assert_true(store_settle_all(r->path, is_same, &vdis[0], &e));
    assert_int_equal(inode(live[0]), last[0]);
    assert_int_equal(inode(live[1]), last[1]);
    assert_int_equal(inode(own[2]), last[2]);
    assert_false(fs_exists(live[2]));
    close(fd);
    assert_true(store_settle_all(r->path, is_same, &base /* none of them */, &e));
    for (size_t i = 0; i < ARRAY_SIZE(vdis); i++) {
        assert_int_equal(inode(own[i]), last[i]);
        assert_false(fs_exists(live[i]));
        free(own[i]);
        free(live[i]);
    }
    assert_true(fs_exists(stranger));
    assert_false(store_settle_all(stranger, is_same, &base, &e)); /* no folder */
    assert_true(error_is(e, ERR_SR_BACKEND_FAILURE));
    error_free(TAKE(e));
}

/* What cannot be looked into may have what the VM wrote last: nothing is taken for settled. */
static void test_unreadable(void **state) {
    struct rig *r = *state;
    struct uuid base = uuid_random(), child = uuid_random();
    _cleanup_free_ char *own = store_file(r->path, &r->vdi, "qcow2"), *gone = strf("%s/gone", r->path), *live = NULL;
    int64_t size;
    struct error *e = NULL;
    const char *const paths[] = {own, gone}; /* no folder, and nothing */
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        assert_false(store_settle(paths[i], &r->vdi, &e));
        assert_true(error_is(e, ERR_SR_BACKEND_FAILURE));
        error_free(TAKE(e));
        assert_false(store_fork_live(paths[i], &r->vdi, &base, &child, &live, &size, &e));
        error_free(TAKE(e));
    }
}

/* A process that is called `name` and has `file` open, until it is killed. */
static pid_t hold_open(const char *file, const char *name) {
    int ends[2];
    char there;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_NAME, name) == 0 &&
                  open(file, O_RDONLY | O_CLOEXEC) >= 0 && write(ends[1], "x", 1) == 1;
        while (ok)
            pause();
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &there, 1), 1);
    close(ends[0]);
    return pid;
}

/* One who may not see what a QEMU has open does not say that it has nothing open. */
static void test_hidden(void **state) {
    struct rig *r = *state;
    struct uuid base = uuid_random(), child = uuid_random();
    _cleanup_free_ char *live = NULL;
    int64_t size;
    struct error *e = NULL;
    if (geteuid() != 0)
        skip();
    assert_true(store_fork_live(r->path, &r->vdi, &base, &child, &live, &size, &e));
    assert_int_equal(chown(r->path, 65534, 65534), 0);
    pid_t holder = hold_open(live, "qemu-system-x"), pid = fork();
    if (pid == 0) {
        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
            _exit(3);
        _exit(store_settle(r->path, &r->vdi, &e) ? 1 : error_is(e, ERR_VDI_IN_USE) ? 0 : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_true(store_settle(r->path, &r->vdi, &e)); /* root sees it all */
}

static void test_memory(void **state) {
    struct rig *r = *state;
    struct uuid from = uuid_random(), to = uuid_random(), none = uuid_random();
    _cleanup_free_ char *file = store_file(r->path, &from, "save"), *copy = store_file(r->path, &to, "save");
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error *e = NULL;
    assert_int_equal(fs_write_atomic(file, "abc", 3, 0600), 0);
    assert_true(store_copy_memory(r->path, &from, &to, &e));
    assert_int_equal(fs_read(copy, 10, &text), 0);
    assert_string_equal(buf_str(&text), "abc");
    assert_false(store_copy_memory(r->path, &from, &to, &e)); /* never over another */
    error_free(TAKE(e));
    assert_false(store_copy_memory(r->path, &none, &to, &e));
    error_free(TAKE(e));
    assert_true(fs_exists(copy));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_live, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_all, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_hidden, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_memory, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
