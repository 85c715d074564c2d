/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <cmocka.h>

static char folder[] = "/tmp/test_fs.XXXXXX";

static int setup(void **state) {
    return mkdtemp(folder) ? 0 : -1;
}

static unsigned n_files(void) {
    DIR *d = opendir(folder);
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int teardown(void **state) {
    int bad = n_files() == 0 ? 0 : -1; /* each test removes what it made; nothing temporary may stay */
    return rmdir(folder) < 0 ? -1 : bad;
}

static void test_write_and_read(void **state) {
    _cleanup_free_ char *path = strf("%s/f", folder);
    _cleanup_buf_ struct buf b = BUF_INIT;
    assert_int_equal(fs_read(path, 10, &b), -ENOENT);
    assert_int_equal(fs_write_atomic(path, "old", 3, 0600), 0);
    assert_int_equal(fs_write_atomic(path, "new content", 11, 0640), 0);
    assert_int_equal(n_files(), 1);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(fs_read(path, 10, &b), -EFBIG);
    assert_null(b.data);
    assert_int_equal(fs_read(path, 11, &b), 0);
    assert_string_equal(buf_str(&b), "new content");
    assert_int_equal(fs_read("/proc/self/stat", 4096, &b), 0); /* its size says 0 */
    assert_true(b.size > 10);
    assert_int_equal(fs_read("/proc/self/stat", 3, &b), -EFBIG);
    assert_true(fs_exists(path));
    assert_int_equal(fs_unlink(path), 0);
    assert_int_equal(fs_unlink(path), 0);
    assert_false(fs_exists(path));
}

static void test_failed_write_leaves_nothing(void **state) {
    _cleanup_free_ char *path = strf("%s/d", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(fs_write_atomic(path, "x", 1, 0600), -EISDIR); /* the rename is refused */
    assert_int_equal(n_files(), 1);
    assert_int_equal(rmdir(path), 0);
    _cleanup_free_ char *nowhere = strf("%s/none/f", folder);
    assert_int_equal(fs_write_atomic(nowhere, "x", 1, 0600), -ENOENT);
}

static void test_only_regular_files(void **state) {
    _cleanup_free_ char *path = strf("%s/fifo", folder);
    _cleanup_buf_ struct buf b = BUF_INIT;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fs_read(path, 10, &b), -EINVAL); /* and does not wait for a writer */
    assert_int_equal(fs_read(folder, 10, &b), -EISDIR);
    assert_int_equal(unlink(path), 0);
}

static void test_mkdirs(void **state) {
    _cleanup_free_ char *a = strf("%s/a", folder), *ab = strf("%s/a/b", folder), *abc = strf("%s/a/b/c", folder);
    assert_int_equal(fs_mkdirs(abc, 0700), 0);
    assert_int_equal(fs_mkdirs(abc, 0700), 0);
    _cleanup_free_ char *file = strf("%s/f", abc), *below = strf("%s/f/x", abc);
    assert_int_equal(fs_write_atomic(file, "", 0, 0600), 0);
    assert_int_equal(fs_mkdirs(file, 0700), -ENOTDIR);
    assert_int_equal(fs_mkdirs(below, 0700), -ENOTDIR);
    _cleanup_free_ char *moved = strf("%s/f", a);
    assert_int_equal(fs_rename(file, moved), 0);
    assert_true(fs_exists(moved) && !fs_exists(file));
    assert_int_equal(fs_unlink(moved), 0);
    assert_int_equal(rmdir(abc) | rmdir(ab) | rmdir(a), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_write_and_read),
                                       cmocka_unit_test(test_failed_write_leaves_nothing),
                                       cmocka_unit_test(test_only_regular_files), cmocka_unit_test(test_mkdirs)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
