/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_store.h"

#include "base/fs.h"
#include "base/str.h"
#include "fake_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct fake_host h;

static int setup(void **unused) {
    fake_host_init(&h);
    return 0;
}
static int teardown(void **unused) {
    fake_host_done(&h);
    return 0;
}

static void commit(int mtu) {
    _cleanup_net_config_ struct net_config *c = fake_host_config(mtu);
    struct error *e = NULL;
    assert_true(net_store_commit(h.net_dir, c, &e));
}

static void damage(const char *file, size_t keep) {
    _cleanup_free_ char *path = strf("%s/%s", h.net_dir, file);
    _cleanup_buf_ struct buf text = BUF_INIT;
    assert_int_equal(fs_read(path, NET_CONFIG_MAX_SIZE, &text), 0);
    assert_int_equal(fs_write_atomic(path, text.data, MIN(keep, text.size), 0644), 0);
}

static void expect_loaded(int mtu, uint64_t generation, enum net_store_source source, size_t n_problems) {
    struct net_problems problems = {0};
    struct error *e = NULL;
    enum net_store_source from;
    _cleanup_net_config_ struct net_config *c = net_store_load(h.net_dir, &from, &problems, &e);
    assert_non_null(c);
    assert_int_equal(c->bridges[0].mtu, mtu);
    assert_int_equal(c->generation, generation);
    assert_int_equal(from, source);
    assert_int_equal(problems.n, n_problems);
    net_problems_done(&problems);
}

static void test_empty(void **unused) {
    struct net_problems problems = {0};
    struct error *e = NULL;
    enum net_store_source from;
    assert_null(net_store_load(h.net_dir, &from, &problems, &e));
    assert_true(error_is(e, ERR_NET_STORE_EMPTY));
    error_free(e);
}

static void test_generations(void **unused) {
    commit(1500);
    expect_loaded(1500, 1, NET_STORE_GOOD, 0);
    commit(9000);
    expect_loaded(9000, 2, NET_STORE_GOOD, 0);
    commit(4000);
    damage("good.json", 100);
    expect_loaded(9000, 2, NET_STORE_PREVIOUS, 1);
    /* a commit now must not push the damaged file over the whole one, and the number goes on */
    commit(3000);
    expect_loaded(3000, 4, NET_STORE_GOOD, 0);
    damage("good.json", 0);
    expect_loaded(9000, 2, NET_STORE_PREVIOUS, 1);
}

/* Cut at every length, good.json is either whole or known to be damaged. */
static void test_every_truncation_is_noticed(void **unused) {
    commit(1500);
    commit(9000);
    _cleanup_free_ char *path = strf("%s/good.json", h.net_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    assert_int_equal(fs_read(path, NET_CONFIG_MAX_SIZE, &text), 0);
    for (size_t n = 0; n + 1 < text.size; n += 7) {
        struct error *e = NULL;
        assert_null(net_config_from_json(text.data, n, &e));
        error_free(e);
    }
    damage("good.json", text.size / 2);
    expect_loaded(1500, 1, NET_STORE_PREVIOUS, 1);
}

static void test_pending(void **unused) {
    struct net_pending p;
    struct error *e = NULL;
    assert_false(net_store_get_pending(h.net_dir, &p));
    p = (struct net_pending){.previous = fake_host_config(1500), .deadline = 77};
    assert_true(str_copy(p.tried_hash, sizeof p.tried_hash, "abc"));
    assert_true(net_store_set_pending(h.net_dir, &p, &e));
    net_pending_done(&p);
    assert_true(net_store_get_pending(h.net_dir, &p));
    assert_string_equal(p.tried_hash, "abc");
    assert_int_equal(p.deadline, 77);
    assert_int_equal(p.previous->bridges[0].mtu, 1500);
    net_pending_done(&p);
    damage("pending.json", 50);
    assert_true(net_store_get_pending(h.net_dir, &p)); /* damaged is there */
    assert_null(p.previous);
    net_pending_done(&p);
    assert_true(net_store_clear_pending(h.net_dir, &e));
    assert_true(net_store_clear_pending(h.net_dir, &e));
    assert_false(net_store_get_pending(h.net_dir, &p));
}

static void test_refusal(void **unused) {
    struct net_refusal r;
    struct error *e = NULL;
    net_store_get_refused(h.net_dir, &r);
    assert_string_equal(r.hash, "");
    r = (struct net_refusal){.hash = "abc", .sentence = "the pool did not confirm it"};
    assert_true(net_store_set_refused(h.net_dir, &r, &e));
    r = (struct net_refusal){0};
    net_store_get_refused(h.net_dir, &r);
    assert_string_equal(r.hash, "abc");
    assert_string_equal(r.sentence, "the pool did not confirm it");
    damage("refused.json", 10);
    net_store_get_refused(h.net_dir, &r);
    assert_string_equal(r.hash, "");
    assert_true(net_store_clear_refused(h.net_dir, &e));
}

static void test_a_folder_that_cannot_be_written(void **unused) {
    commit(1500);
    _cleanup_net_config_ struct net_config *c = fake_host_config(9000);
    struct error *e = NULL;
    assert_false(net_store_commit("/proc/nowhere", c, &e));
    assert_true(error_is(e, ERR_NET_STORE_WRITE));
    error_free(e);
    expect_loaded(1500, 1, NET_STORE_GOOD, 0);
}

/* The network to go back to is one of another content, however often the same one was written. */
static void test_before(void **unused) {
    struct error *e = NULL;
    commit(1500);
    commit(9000);
    commit(9000);
    commit(9000);
    _cleanup_net_config_ struct net_config *c = net_store_load_previous(h.net_dir, &e);
    assert_non_null(c);
    assert_int_equal(c->bridges[0].mtu, 1500);
}

static void test_witnesses_and_lock(void **unused) {
    struct net_addr list[2], back[NET_STORE_MAX_WITNESSES];
    struct error *e = NULL;
    assert_true(net_addr_parse("10.0.0.1", &list[0]) && net_addr_parse("fd00::1", &list[1]));
    assert_int_equal(net_store_get_witnesses(h.net_dir, back), 0);
    assert_true(net_store_set_witnesses(h.net_dir, list, 2, &e));
    assert_int_equal(net_store_get_witnesses(h.net_dir, back), 2);
    assert_true(net_addr_same_host(&list[1], &back[1]));
    int lock = net_store_lock(h.net_dir, 0);
    assert_true(lock >= 0);
    assert_int_equal(net_store_lock(h.net_dir, 30), -EBUSY);
    close(lock);
    lock = net_store_lock(h.net_dir, 0);
    assert_true(lock >= 0);
    int of_child = dup(lock); /* what a child has between fork and exec */
    net_store_unlock(lock);
    lock = net_store_lock(h.net_dir, 0);
    assert_true(lock >= 0);
    net_store_unlock(lock);
    close(of_child);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_empty),
        T(test_generations),
        T(test_every_truncation_is_noticed),
        T(test_pending),
        T(test_refusal),
        T(test_a_folder_that_cannot_be_written),
        T(test_before),
        T(test_witnesses_and_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
