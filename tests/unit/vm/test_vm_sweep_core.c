/* SPDX-License-Identifier: Apache-2.0 */
/* A lease that a transfer takes is never swept by a list that was made before it. */
#include "vm/vm_sweep_core.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static void test_order(void **state) {
    struct sweep_gate g = {0};
    uint64_t old = sweep_stamp(&g);
    assert_true(sweep_transfer_may_go(&g));
    assert_true(sweep_enter(&g, old));
    sweep_transfer_begins(&g);
    assert_false(sweep_transfer_may_go(&g)); /* it began while the sweep is under way */
    sweep_leave(&g);
    assert_true(sweep_transfer_may_go(&g));
    assert_false(sweep_enter(&g, old)); /* its list does not have the transfer */
    sweep_leave(&g);
    uint64_t now = sweep_stamp(&g);
    assert_true(sweep_enter(&g, now));
    assert_true(sweep_enter(&g, now)); /* of another repository */
    sweep_leave(&g);
    assert_false(sweep_transfer_may_go(&g));
    sweep_leave(&g);
    assert_true(sweep_transfer_may_go(&g));
}

#define ROUNDS 200000

struct race {
    struct sweep_gate g;
    _Atomic int n_there;
    bool sweeps;
};

static void meet(struct race *r, int n) {
    (void)atomic_fetch_add(&r->n_there, 1);
    while (atomic_load(&r->n_there) < 2 * n)
        ;
}

static void *sweeper(void *data) {
    struct race *r = data;
    for (int i = 0; i < ROUNDS; i++) {
        meet(r, 2 * i + 1);
        r->sweeps = sweep_enter(&r->g, (uint64_t)i);
        meet(r, 2 * i + 2);
        sweep_leave(&r->g);
    }
    return NULL;
}

/* At the same moment: one of them gives way, each time. */
static void test_race(void **state) {
    struct race r = {0};
    pthread_t t;
    int n_both = 0;
    assert_int_equal(pthread_create(&t, NULL, sweeper, &r), 0);
    for (int i = 0; i < ROUNDS; i++) {
        while (!sweep_transfer_may_go(&r.g))
            ;
        meet(&r, 2 * i + 1);
        sweep_transfer_begins(&r.g);
        bool goes = sweep_transfer_may_go(&r.g);
        meet(&r, 2 * i + 2);
        n_both += goes && r.sweeps;
    }
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(n_both, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_race)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
