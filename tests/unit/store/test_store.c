/* SPDX-License-Identifier: Apache-2.0 */
/* Storage in a folder: what is made, measured, forked and removed; what is refused; what a crash leaves behind. */
#include "base/fs.h"
#include "base/str.h"
#include "model/model.h"
#include "store/store.h"
#include "store/store_qcow2_core.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define MIB (1024 * 1024)

struct rig {
    char *top, *path;
    struct uuid sr;
    struct value result; /* of the last operation */
    struct error *error;
};

static void put_uuid(struct value *args, const char *key, const struct uuid *u) {
    char text[UUID_TEXT_SIZE];
    value_map_put(args, key, value_string(uuid_text(u, text)));
}

static struct value args_of(struct rig *r, const struct uuid *vdi, const char *format) {
    struct value args = value_map();
    value_map_add(&args, "path", value_string(r->path));
    put_uuid(&args, "sr", &r->sr);
    if (vdi) {
        put_uuid(&args, "vdi", vdi);
        value_map_add(&args, "format", value_string(format));
    }
    return args;
}

static bool run(struct rig *r, const char *op, struct value args) {
    _cleanup_value_ struct value taken = args;
    value_done(&r->result);
    error_free(TAKE(r->error));
    return store_run(op, &taken, &r->result, &r->error);
}

static void must(struct rig *r, const char *op, struct value args) {
    if (!run(r, op, args))
        fail_msg("%s: %s", op, error_text(r->error));
}

static void must_not(struct rig *r, const char *op, struct value args, const char *code) {
    assert_false(run(r, op, args));
    assert_string_equal(error_code(r->error), code);
}

static int64_t result_int(struct rig *r, const char *key) {
    return value_as_int(value_map_get(&r->result, key));
}

static struct uuid make_disk(struct rig *r, const char *format, int64_t size) {
    struct uuid vdi = uuid_random();
    struct value args = args_of(r, &vdi, format);
    value_map_add(&args, "size", value_int(size));
    must(r, "vdi_create", args);
    return vdi;
}

static int setup(void **state) {
    struct rig *r = xnew0(struct rig);
    char top[] = "/var/tmp/muster-store-XXXXXX";
    r->top = xstrdup(mkdtemp(top));
    r->path = strf("%s/a/sr", r->top);
    r->sr = uuid_random();
    must(r, "create", args_of(r, NULL, NULL));
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    _cleanup_free_ char *command = strf("rm -rf '%s'", r->top);
    value_done(&r->result);
    error_free(r->error);
    FILE *f = popen(command, "r");
    pclose(f);
    free(r->top);
    free(r->path);
    free(r);
    return 0;
}

static void test_life(void **state) {
    struct rig *r = *state;
    must(r, "attach", args_of(r, NULL, NULL));
    must_not(r, "create", args_of(r, NULL, NULL), ERR_SR_BACKEND_FAILURE); /* it is there */
    struct uuid a = make_disk(r, "qcow2", 10 * MIB + 1), b = make_disk(r, "raw", MIB);
    must(r, "vdi_stat", args_of(r, &a, "qcow2"));
    assert_int_equal(result_int(r, "virtual_size"), 10 * MIB + 65536);
    must(r, "scan", args_of(r, NULL, NULL));
    assert_int_equal(value_map_get(&r->result, "vdis")->set.n, 2);
    assert_true(result_int(r, "size") > result_int(r, "used"));
    struct value args = args_of(r, &a, "qcow2");
    value_map_add(&args, "size", value_int(20 * MIB));
    must(r, "vdi_resize", args);
    assert_int_equal(result_int(r, "virtual_size"), 20 * MIB);
    args = args_of(r, &a, "qcow2");
    value_map_add(&args, "size", value_int(5 * MIB));
    must_not(r, "vdi_resize", args, ERR_SR_BACKEND_FAILURE);
    must_not(r, "destroy", args_of(r, NULL, NULL), ERR_SR_NOT_EMPTY);
    must(r, "vdi_destroy", args_of(r, &a, "qcow2"));
    must(r, "vdi_destroy", args_of(r, &a, "qcow2")); /* again */
    must(r, "vdi_destroy", args_of(r, &b, "raw"));
    must(r, "destroy", args_of(r, NULL, NULL));
    must_not(r, "attach", args_of(r, NULL, NULL), ERR_SR_BACKEND_FAILURE);
}

/* Half-made imports of this host go when storage is attached; those of its daemon as it runs, and of others, stay. */
static void test_leftovers(void **state) {
    struct rig *r = *state;
    struct uuid host = uuid_random(), other = uuid_random(), before = uuid_random(), now = uuid_random();
    const struct uuid *const names[][2] = {{&host, &before}, {&host, &now}, {&other, &before}};
    char paths[3][512], a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/import-%s-%s-x-0.qcow2", r->path, uuid_text(names[i][0], a),
                       uuid_text(names[i][1], b));
        assert_int_equal(fs_write_atomic(paths[i], "half", 4, 0600), 0);
    }
    struct value args = args_of(r, NULL, NULL);
    put_uuid(&args, "host", &host);
    put_uuid(&args, "run", &now);
    must(r, "attach", args);
    assert_false(fs_exists(paths[0]));
    assert_true(fs_exists(paths[1]));
    assert_true(fs_exists(paths[2]));
}

/* Of one import, when it is said that it has ended. */
static void test_forget(void **state) {
    struct rig *r = *state;
    struct uuid host = uuid_random(), now = uuid_random(), ended = uuid_random(), goes_on = uuid_random();
    char paths[3][512], a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE], c[UUID_TEXT_SIZE];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/import-%s-%s-%s-%zu.qcow2", r->path, uuid_text(&host, a),
                       uuid_text(&now, b), uuid_text(i < 2 ? &ended : &goes_on, c), i);
        assert_int_equal(fs_write_atomic(paths[i], "half", 4, 0600), 0);
    }
    struct value args = args_of(r, NULL, NULL);
    put_uuid(&args, "host", &host);
    put_uuid(&args, "run", &now);
    must_not(r, "import_forget", value_copy(&args), ERR_SR_BACKEND_FAILURE); /* of which? */
    put_uuid(&args, "id", &ended);
    must(r, "import_forget", value_copy(&args));
    assert_false(fs_exists(paths[0]) || fs_exists(paths[1]));
    assert_true(fs_exists(paths[2]));
    must(r, "import_forget", args); /* again */
}

static struct value fork_args(struct rig *r, const struct uuid *vdi, const struct uuid *base,
                              const struct uuid *child) {
    struct value args = args_of(r, vdi, "qcow2");
    put_uuid(&args, "base", base);
    put_uuid(&args, "child", child);
    return args;
}

static void test_fork_and_copy(void **state) {
    struct rig *r = *state;
    struct uuid a = make_disk(r, "qcow2", 4 * MIB), base = uuid_random(), child = uuid_random();
    must(r, "vdi_fork", fork_args(r, &a, &base, &child));
    must(r, "scan", args_of(r, NULL, NULL));
    const struct value *vdis = value_map_get(&r->result, "vdis");
    unsigned n_on_base = 0;
    char text[UUID_TEXT_SIZE];
    assert_int_equal(vdis->set.n, 3);
    for (size_t i = 0; i < vdis->set.n; i++)
        n_on_base += str_eq(value_map_str(&vdis->set.items[i], "parent"), uuid_text(&base, text));
    assert_int_equal(n_on_base, 2);
    struct uuid copy = uuid_random();
    struct value args = args_of(r, &child, "qcow2");
    value_map_add(&args, "to_path", value_string(r->path));
    put_uuid(&args, "to_sr", &r->sr);
    put_uuid(&args, "to", &copy);
    value_map_add(&args, "to_format", value_string("raw"));
    must(r, "vdi_copy", args);
    assert_int_equal(result_int(r, "virtual_size"), 4 * MIB);
    struct uuid raw_base = uuid_random(), raw_child = uuid_random();
    args = args_of(r, &copy, "raw");
    put_uuid(&args, "base", &raw_base);
    put_uuid(&args, "child", &raw_child);
    must_not(r, "vdi_fork", args, ERR_SR_BACKEND_FAILURE);
}

/* The place of the child is taken: nothing of the fork remains, and the disk is as it was. */
static void test_fork_undone(void **state) {
    struct rig *r = *state;
    struct uuid a = make_disk(r, "qcow2", 4 * MIB), base = uuid_random();
    _cleanup_free_ char *base_file = store_file(r->path, &base, "qcow2"), *blocked = NULL;
    struct uuid child = uuid_random();
    blocked = store_file(r->path, &child, "qcow2");
    assert_int_equal(fs_mkdirs(blocked, 0755), 0); /* a folder in its place */
    must_not(r, "vdi_fork", fork_args(r, &a, &base, &child), ERR_SR_BACKEND_FAILURE);
    assert_false(fs_exists(base_file));
    must(r, "vdi_stat", args_of(r, &a, "qcow2"));
}

static void test_strangers(void **state) {
    struct rig *r = *state;
    struct uuid u = uuid_random();
    /* Another repository's mark, an image that leads elsewhere, a link, names that are none of ours. */
    struct value args = args_of(r, NULL, NULL);
    struct uuid other = uuid_random();
    put_uuid(&args, "sr", &other);
    must_not(r, "attach", args, ERR_SR_BACKEND_FAILURE);
    _cleanup_free_ char *evil = store_file(r->path, &u, "qcow2"), *link_name = NULL, *stray = strf("%s/notes", r->path);
    _cleanup_free_ char *command = strf("qemu-img create -q -f qcow2 -F raw -b /etc/passwd '%s' 1M", evil);
    FILE *f = popen(command, "r");
    assert_int_equal(pclose(f), 0);
    struct uuid v = uuid_random();
    link_name = store_file(r->path, &v, "raw");
    assert_int_equal(symlink("/etc/passwd", link_name), 0);
    assert_int_equal(fs_write_atomic(stray, "x", 1, 0644), 0);
    must(r, "scan", args_of(r, NULL, NULL));
    assert_int_equal(value_map_get(&r->result, "vdis")->set.n, 0);
    must_not(r, "vdi_stat", args_of(r, &u, "qcow2"), ERR_SR_BACKEND_FAILURE);
    must_not(r, "nonsense", args_of(r, NULL, NULL), ERR_NOT_IMPLEMENTED);
    must_not(r, "vdi_stat", args_of(r, &u, "../../etc/passwd"), ERR_SR_BACKEND_FAILURE);
}

/* A disc is what has the mark of one inside; a file that only calls itself so is named and left out. */
static void test_discs(void **state) {
    struct rig *r = *state;
    char image[40000] = {0};
    _cleanup_free_ char *good = strf("%s/disc 1.iso", r->path), *bad = strf("%s/not.iso", r->path),
                        *small = strf("%s/small.ISO", r->path);
    assert_int_equal(fs_write_atomic(bad, image, sizeof(image), 0644), 0);
    assert_int_equal(fs_write_atomic(small, "CD001", 5, 0644), 0);
    memcpy(image + 32769, "CD001", 5);
    assert_int_equal(fs_write_atomic(good, image, sizeof(image), 0644), 0);
    struct value args = args_of(r, NULL, NULL);
    value_map_add(&args, "type", value_string("iso"));
    must(r, "scan", args);
    const struct value *vdis = value_map_get(&r->result, "vdis");
    assert_int_equal(vdis->set.n, 1);
    assert_string_equal(value_map_str(&vdis->set.items[0], "name"), "disc 1.iso");
    assert_int_equal(value_map_get(&r->result, "refused")->set.n, 2);
    struct uuid u = uuid_random();
    args = args_of(r, &u, "raw");
    value_map_add(&args, "type", value_string("iso"));
    value_map_add(&args, "size", value_int(MIB));
    must_not(r, "vdi_create", args, ERR_SR_BACKEND_FAILURE);
}

static void test_paths(void **state) {
    static const char *const bad[] = {"",         "srv/x",    "/",         "/etc",    "/srv/../etc",
                                      "/srv/..",  "/usr/x",   "/srv/x/",   "/srv//x", "/var/lib/muster/x",
                                      "/srv/./x", "/srv/a,b", "/dev/shm/x"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_non_null(store_path_trouble(bad[i]));
    assert_null(store_path_trouble("/srv/sr"));
    assert_null(store_path_trouble("/run/sr-mount/x"));
}

/* Images of every size of clusters, made as wasteful as they can be and written to the end, against the bound. */
static void test_length_max(void **state) {
    struct rig *r = *state;
    static const int clusters[] = {512, 4096, 65536, 2097152};
    static const int64_t sizes[] = {65536 * 3 + 512, 3 * MIB};
    for (size_t i = 0; i < ARRAY_SIZE(clusters) * ARRAY_SIZE(sizes) * 2; i++) {
        int cluster = clusters[i % ARRAY_SIZE(clusters)], bits = i < ARRAY_SIZE(clusters) * ARRAY_SIZE(sizes) ? 16 : 64;
        int64_t size = sizes[i / ARRAY_SIZE(clusters) % ARRAY_SIZE(sizes)];
        _cleanup_free_ char *file = strf("%s/full.qcow2", r->top),
                            *command = strf("qemu-img create -q -f qcow2 -o cluster_size=%d,refcount_bits=%d %s 512 && "
                                            "qemu-img resize -q -f qcow2 %s %lld && "
                                            "qemu-io -f qcow2 -c 'write -q 0 %lld' %s",
                                            cluster, bits, file, file, (long long)size, (long long)size, file);
        struct stat st;
        FILE *f = popen(command, "r");
        assert_int_equal(pclose(f), 0);
        assert_return_code(stat(file, &st), 0);
        int64_t most = qcow2_length_max(size, cluster);
        if (st.st_size > most || most > size + size / 16 + 90 * (int64_t)cluster + size / cluster * 24)
            fail_msg("%lld bytes in clusters of %d: %lld long, bound %lld", (long long)size, cluster,
                     (long long)st.st_size, (long long)most);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_life, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_fork_and_copy, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_fork_undone, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_discs, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_length_max, setup, teardown),
                                       cmocka_unit_test(test_paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
