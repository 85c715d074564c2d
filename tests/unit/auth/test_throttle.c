/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A try with a wrong password, answered; the verdict. */
static enum throttle_verdict wrong(struct throttle *t, const char *source, const char *user, uint64_t now_ms) {
    enum throttle_verdict v = throttle_begin(t, source, user, now_ms);
    if (v == THROTTLE_BUSY)
        return v;
    if (v == THROTTLE_ALLOW)
        assert_int_equal(throttle_failed(t, source, user, now_ms), THROTTLE_DELAY_MS);
    throttle_released(t);
    return v;
}

static void test_source(void **state) {
    struct throttle *t = throttle_new();
    char user[32];
    for (int i = 0; i < THROTTLE_SOURCE_BURST; i++) {
        snprintf(user, sizeof(user), "user%d", i); /* other names do not help */
        assert_int_equal(wrong(t, "10.0.0.1", user, 1000), THROTTLE_ALLOW);
    }
    assert_int_equal(wrong(t, "10.0.0.1", "root", 1000), THROTTLE_REFUSE);
    assert_int_equal(wrong(t, "10.0.0.2", "root", 1000), THROTTLE_ALLOW);
    /* One more try each interval, and a refusal costs nothing further. */
    assert_int_equal(wrong(t, "10.0.0.1", "root", 1000 + THROTTLE_REFILL_MS - 1), THROTTLE_REFUSE);
    assert_int_equal(wrong(t, "10.0.0.1", "root", 1000 + THROTTLE_REFILL_MS), THROTTLE_ALLOW);
    assert_int_equal(wrong(t, "10.0.0.1", "root", 1000 + THROTTLE_REFILL_MS), THROTTLE_REFUSE);
    /* A right password clears the address. */
    assert_int_equal(throttle_begin(t, "10.0.0.1", "root", 1000 + 2 * THROTTLE_REFILL_MS), THROTTLE_ALLOW);
    throttle_succeeded(t, "10.0.0.1", "root", 1000 + 2 * THROTTLE_REFILL_MS);
    for (int i = 0; i < 5; i++)
        assert_int_equal(wrong(t, "10.0.0.1", "root", 1000 + 2 * THROTTLE_REFILL_MS), THROTTLE_ALLOW);
    throttle_free(t);
}

static void test_ipv6_prefix(void **state) {
    struct throttle *t = throttle_new();
    char source[64], user[32];
    for (int i = 0; i < THROTTLE_SOURCE_BURST; i++) {
        snprintf(source, sizeof(source), "2001:db8::%x", i + 1);
        snprintf(user, sizeof(user), "u%d", i);
        assert_int_equal(wrong(t, source, user, 1000), THROTTLE_ALLOW);
    }
    assert_int_equal(wrong(t, "2001:db8::ffff", "x", 1000), THROTTLE_REFUSE);
    assert_int_equal(wrong(t, "2001:db8:0:1::1", "x", 1000), THROTTLE_ALLOW);
    throttle_free(t);
}

static void test_user(void **state) {
    struct throttle *t = throttle_new();
    char source[64];
    for (int i = 0; i < THROTTLE_USER_BURST; i++) {
        snprintf(source, sizeof(source), "10.0.1.%d", i);
        assert_int_equal(wrong(t, source, "root", 1000), THROTTLE_ALLOW);
    }
    assert_int_equal(wrong(t, "10.0.2.1", "root", 1000), THROTTLE_REFUSE);
    assert_int_equal(wrong(t, "10.0.2.1", "other", 1000), THROTTLE_ALLOW);
    /* The operator at the local socket gets in all the same. */
    assert_int_equal(throttle_begin(t, NULL, "root", 1000), THROTTLE_ALLOW);
    throttle_succeeded(t, NULL, "root", 1000);
    throttle_free(t);
}

static void test_pending(void **state) {
    struct throttle *t = throttle_new();
    for (int i = 0; i < THROTTLE_MAX_PENDING; i++)
        assert_int_equal(throttle_begin(t, "10.0.0.1", "root", 1000), THROTTLE_ALLOW);
    assert_int_equal(throttle_begin(t, "10.0.0.1", "root", 1000), THROTTLE_BUSY);
    assert_int_equal(throttle_n_pending(t), THROTTLE_MAX_PENDING);
    throttle_released(t);
    assert_int_equal(throttle_begin(t, "10.0.0.1", "root", 1000), THROTTLE_ALLOW);
    throttle_free(t);
}

static void test_memory_is_bounded(void **state) {
    struct throttle *t = throttle_new();
    char source[64], user[32];
    for (int i = 0; i < 30000; i++) {
        snprintf(source, sizeof(source), "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
        snprintf(user, sizeof(user), "user%d", i);
        (void)wrong(t, source, user, 1000);
    }
    assert_true(throttle_n_entries(t) <= 8192);
    throttle_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source),  cmocka_unit_test(test_ipv6_prefix),       cmocka_unit_test(test_user),
        cmocka_unit_test(test_pending), cmocka_unit_test(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
