/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define RESULT(c, now, action, problem) net_checkpoint_result(c, now, action, problem)

static void test_the_good_way(void **unused) {
    struct net_checkpoint c;
    net_checkpoint_init(&c, 1);
    assert_int_equal(net_checkpoint_arm(&c, 10, 1000, true), NET_ACTION_APPLY);
    assert_int_equal(RESULT(&c, 20, NET_ACTION_APPLY, NULL), NET_ACTION_PROVE);
    assert_int_equal(RESULT(&c, 30, NET_ACTION_PROVE, NULL), NET_ACTION_CONFIRM);
    assert_int_equal(RESULT(&c, 40, NET_ACTION_CONFIRM, NULL), NET_ACTION_COMMIT);
    assert_int_equal(RESULT(&c, 50, NET_ACTION_COMMIT, NULL), NET_ACTION_DONE);
    assert_int_equal(c.sm.state, NET_CHECKPOINT_IDLE);
    assert_int_equal(net_checkpoint_tick(&c, 5000), NET_ACTION_NONE);
    /* without touching the way to the pool, the pool is not asked */
    assert_int_equal(net_checkpoint_arm(&c, 60, 1000, false), NET_ACTION_APPLY);
    assert_int_equal(RESULT(&c, 61, NET_ACTION_APPLY, NULL), NET_ACTION_PROVE);
    assert_int_equal(RESULT(&c, 62, NET_ACTION_PROVE, NULL), NET_ACTION_COMMIT);
    net_checkpoint_done(&c);
}

/* A person is asked last, and only time or their word ends the waiting. */
static void test_a_person_has_the_last_word(void **unused) {
    struct net_checkpoint c;
    net_checkpoint_init(&c, 1);
    for (int needs_pool = 0; needs_pool < 2; needs_pool++) {
        net_checkpoint_arm(&c, 10, 1000, needs_pool);
        c.needs_person = true;
        RESULT(&c, 20, NET_ACTION_APPLY, NULL);
        enum net_checkpoint_action next = RESULT(&c, 30, NET_ACTION_PROVE, NULL);
        if (needs_pool) {
            assert_int_equal(next, NET_ACTION_CONFIRM);
            next = RESULT(&c, 40, NET_ACTION_CONFIRM, NULL);
        }
        assert_int_equal(next, NET_ACTION_HOLD);
        assert_int_equal(net_checkpoint_tick(&c, 900), NET_ACTION_NONE);
        assert_int_equal(RESULT(&c, 950, NET_ACTION_HOLD, NULL), NET_ACTION_COMMIT);
        assert_int_equal(RESULT(&c, 960, NET_ACTION_COMMIT, NULL), NET_ACTION_DONE);
    }
    net_checkpoint_arm(&c, 2000, 1000, false);
    c.needs_person = true;
    RESULT(&c, 2010, NET_ACTION_APPLY, NULL);
    assert_int_equal(RESULT(&c, 2020, NET_ACTION_PROVE, NULL), NET_ACTION_HOLD);
    assert_int_equal(net_checkpoint_tick(&c, 3001), NET_ACTION_RETURN);
    assert_string_equal(c.why, "nobody confirmed it in time");
    assert_int_equal(RESULT(&c, 3002, NET_ACTION_HOLD, NULL), NET_ACTION_NONE); /* too late */
    RESULT(&c, 3003, NET_ACTION_RETURN, NULL);
    /* the next change asks nobody */
    net_checkpoint_arm(&c, 4000, 1000, false);
    RESULT(&c, 4010, NET_ACTION_APPLY, NULL);
    assert_int_equal(RESULT(&c, 4020, NET_ACTION_PROVE, NULL), NET_ACTION_COMMIT);
    net_checkpoint_done(&c);
}

/* Every place where it can fail leads back. */
static void test_every_failure_returns(void **unused) {
    static const enum net_checkpoint_action way[] = {NET_ACTION_APPLY, NET_ACTION_PROVE, NET_ACTION_CONFIRM,
                                                     NET_ACTION_COMMIT};
    for (size_t failing = 0; failing < ARRAY_SIZE(way); failing++) {
        struct net_checkpoint c;
        net_checkpoint_init(&c, 1);
        enum net_checkpoint_action next = net_checkpoint_arm(&c, 1, 1000, true);
        for (size_t i = 0; i <= failing; i++) {
            assert_int_equal(next, way[i]);
            next = RESULT(&c, 2, way[i], i == failing ? "no" : NULL);
        }
        assert_int_equal(next, NET_ACTION_RETURN);
        assert_string_equal(c.why, "no");
        assert_int_equal(RESULT(&c, 3, NET_ACTION_RETURN, NULL), NET_ACTION_RETURNED);
        assert_int_equal(c.sm.state, NET_CHECKPOINT_IDLE);
        net_checkpoint_done(&c);
    }
}

static void test_time_returns(void **unused) {
    struct net_checkpoint c;
    net_checkpoint_init(&c, 1);
    /* during a step: nothing can be interrupted, its end brings us back */
    net_checkpoint_arm(&c, 1, 100, true);
    assert_int_equal(net_checkpoint_tick(&c, 200), NET_ACTION_NONE);
    assert_int_equal(RESULT(&c, 201, NET_ACTION_APPLY, NULL), NET_ACTION_RETURN);
    assert_int_equal(RESULT(&c, 202, NET_ACTION_RETURN, NULL), NET_ACTION_RETURNED);
    /* while the pool is silent; its late answer counts for nothing */
    net_checkpoint_arm(&c, 1000, 100, true);
    RESULT(&c, 1001, NET_ACTION_APPLY, NULL);
    assert_int_equal(RESULT(&c, 1002, NET_ACTION_PROVE, NULL), NET_ACTION_CONFIRM);
    assert_int_equal(net_checkpoint_tick(&c, 1099), NET_ACTION_NONE);
    assert_int_equal(net_checkpoint_tick(&c, 1101), NET_ACTION_RETURN);
    assert_int_equal(RESULT(&c, 1102, NET_ACTION_CONFIRM, NULL), NET_ACTION_NONE);
    assert_int_equal(c.sm.state, NET_CHECKPOINT_RETURNING);
    assert_int_equal(RESULT(&c, 1103, NET_ACTION_RETURN, NULL), NET_ACTION_RETURNED);
    /* while proving */
    net_checkpoint_arm(&c, 2000, 100, true);
    RESULT(&c, 2001, NET_ACTION_APPLY, NULL);
    assert_int_equal(net_checkpoint_tick(&c, 2101), NET_ACTION_RETURN);
    RESULT(&c, 2102, NET_ACTION_RETURN, NULL);
    /* an answer that comes before the timer's turn, but after its time */
    net_checkpoint_arm(&c, 3000, 100, true);
    RESULT(&c, 3001, NET_ACTION_APPLY, NULL);
    RESULT(&c, 3002, NET_ACTION_PROVE, NULL);
    assert_int_equal(RESULT(&c, 3200, NET_ACTION_CONFIRM, NULL), NET_ACTION_RETURN);
    net_checkpoint_done(&c);
}

static void test_a_failed_return_is_tried_again(void **unused) {
    struct net_checkpoint c;
    net_checkpoint_init(&c, 1);
    assert_int_equal(net_checkpoint_resume(&c, 1, "crash"), NET_ACTION_RETURN);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(RESULT(&c, 2, NET_ACTION_RETURN, "no switch"), NET_ACTION_RETRY);
        assert_int_equal(c.sm.state, NET_CHECKPOINT_STUCK);
        assert_int_equal(net_checkpoint_tick(&c, 3), NET_ACTION_RETURN);
    }
    assert_int_equal(RESULT(&c, 4, NET_ACTION_RETURN, NULL), NET_ACTION_RETURNED);
    assert_string_equal(c.why, "crash");
    net_checkpoint_done(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_good_way),
        cmocka_unit_test(test_a_person_has_the_last_word),
        cmocka_unit_test(test_every_failure_returns),
        cmocka_unit_test(test_time_returns),
        cmocka_unit_test(test_a_failed_return_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
