/* SPDX-License-Identifier: Apache-2.0 */
/* Forks whose last step fails, in each way in which storage fails: the disk's content always keeps a name. */
#include "base/fs.h"
#include "base/str.h"
#include "model/model.h"
#include "store/store_private.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define MIB (1024 * 1024)

static struct {
    bool happens;   /* the rename is done, whatever is said of it */
    bool is_late;   /* done when the next file is removed: requests of one connection come in their order */
    int said;       /* by it */
    bool is_silent; /* from then on nothing is answered */
    bool was_asked;
    char from[256], to[256];
} rename_of;

struct rig {
    char *top, *file, *base_file, *child_file;
    struct folder f;
    struct folder_ops ops;
    const struct folder_ops *local;
    struct uuid vdi, base, child;
};
static struct rig *rig;

static int failing_rename(void *at, const char *from, const char *to) {
    rename_of.was_asked = true;
    if (rename_of.happens)
        assert_int_equal(rig->local->rename(at, from, to), 0);
    assert_true(str_copy(rename_of.from, sizeof(rename_of.from), from));
    assert_true(str_copy(rename_of.to, sizeof(rename_of.to), to));
    return rename_of.said;
}

static int late_unlink(void *at, const char *name) {
    if (rename_of.was_asked && rename_of.is_late) {
        rename_of.is_late = false;
        assert_int_equal(rig->local->rename(at, rename_of.from, rename_of.to), 0);
    }
    return rig->local->unlink(at, name);
}

static int silent_stat(void *at, const char *name, struct folder_stat *ret) {
    return rename_of.was_asked && rename_of.is_silent ? -EINTR : rig->local->stat(at, name, ret);
}

static int setup(void **state) {
    char top[] = "/var/tmp/muster-fork-XXXXXX";
    struct error *e = NULL;
    rig = xnew0(struct rig);
    rig->top = xstrdup(mkdtemp(top));
    assert_true(folder_open(rig->top, &rig->f, &e));
    rig->local = rig->f.ops;
    rig->ops = *rig->local;
    rig->ops.rename = failing_rename;
    rig->ops.unlink = late_unlink;
    rig->ops.stat = silent_stat;
    rig->f.ops = &rig->ops;
    rig->vdi = uuid_random();
    rig->base = uuid_random();
    rig->child = uuid_random();
    rig->file = store_file(rig->top, &rig->vdi, "qcow2");
    rig->base_file = store_file(rig->top, &rig->base, "qcow2");
    rig->child_file = store_file(rig->top, &rig->child, "qcow2");
    assert_true(image_create(rig->file, "qcow2", MIB, /* base= */ NULL, &e));
    rename_of = (typeof(rename_of)){0};
    return 0;
}

static int teardown(void **state) {
    _cleanup_free_ char *command = strf("rm -rf '%s'", rig->top);
    FILE *f = popen(command, "r");
    pclose(f);
    folder_close(&rig->f);
    free(rig->top);
    free(rig->file);
    free(rig->base_file);
    free(rig->child_file);
    free(rig);
    return 0;
}

static ino_t inode(const char *file) {
    struct stat st;
    return stat(file, &st) == 0 ? st.st_ino : 0;
}

static bool fork_it(void) {
    struct error *e = NULL;
    int64_t size;
    bool ok = store_fork(&rig->f, rig->top, &rig->vdi, &rig->base, &rig->child, &size, &e);
    assert_true(rename_of.was_asked);
    assert_true(ok == !e);
    error_free(e);
    return ok;
}

static void test_lost_answer(void **state) {
    ino_t content = inode(rig->file);
    rename_of.happens = true;
    rename_of.said = -EINTR;
    assert_true(fork_it()); /* it was done */
    assert_int_equal(inode(rig->base_file), content);
    assert_int_not_equal(inode(rig->file), content);
    assert_true(fs_exists(rig->child_file));
}

/* The server is away, and does later in their order what it was asked for. */
static void test_comes_late(void **state) {
    ino_t content = inode(rig->file);
    rename_of.is_late = true;
    rename_of.said = -EINTR;
    assert_false(fork_it());
    (void)late_unlink(rig->f.at, "nothing"); /* whatever is asked next */
    assert_int_equal(inode(rig->base_file), content);
    assert_int_not_equal(inode(rig->file), content);
}

static void test_silence(void **state) {
    static const int said[] = {-EINTR, -EIO, -ETIMEDOUT, -EFAULT, -ENOENT};
    ino_t content = inode(rig->file);
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        rename_of = (typeof(rename_of)){.is_silent = true, .happens = i == 4, .said = said[i]};
        assert_false(fork_it());
        assert_int_equal(inode(rig->base_file), content);
        if (i < 4)
            assert_int_equal(unlink(rig->base_file), 0);
    }
}

static void test_refused(void **state) {
    ino_t content = inode(rig->file);
    rename_of.said = -EROFS;
    assert_false(fork_it());
    assert_int_equal(inode(rig->file), content);
    assert_false(fs_exists(rig->base_file));
    assert_false(fs_exists(rig->child_file));
}

static int flush_says(void *at, const char *name) {
    return -EIO;
}

/* A copy of which the medium has not everything is none. */
static void test_copy_not_flushed(void **state) {
    struct uuid copy = uuid_random();
    struct disk_place from = {.f = &rig->f, .path = rig->top, .vdi = &rig->vdi, .format = "qcow2"}, to = from;
    struct image_info info;
    struct error *e = NULL;
    _cleanup_free_ char *file = store_file(rig->top, &copy, "raw");
    to.vdi = &copy;
    to.format = "raw";
    assert_true(store_copy(&from, &to, &info, &e));
    assert_int_equal(info.virtual_size, MIB);
    assert_int_equal(unlink(file), 0);
    rig->ops.flush = flush_says;
    assert_false(store_copy(&from, &to, &info, &e));
    assert_false(fs_exists(file));
    error_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_lost_answer, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_comes_late, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_copy_not_flushed, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
