/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/first_proof_core.h"

static void test_waits_for_both_ways(void **state) {
    struct first_proof_facts f = {.waited_ms = 50};
    assert_false(first_proof_has_ended(&f));
    f.is_measured_in = true;
    assert_false(first_proof_has_ended(&f));
    f.is_measured_out = true;
    assert_true(first_proof_has_ended(&f));
    f.is_measured_in = false;
    assert_false(first_proof_has_ended(&f));
    f.waited_ms = FIRST_PROOF_MS; /* a peer that does not measure keeps nobody out */
    assert_true(first_proof_has_ended(&f));
    f.is_measured_out = false; /* that has a deadline of its own */
    assert_false(first_proof_has_ended(&f));
}

static void test_waits_for_the_verdict(void **state) {
    struct first_proof_facts f = {
        .waited_ms = FIRST_PROOF_MS + 1, .is_measured_out = true, .is_measured_in = true, .is_settling = true};
    assert_false(first_proof_has_ended(&f));
    f.is_settling = false;
    assert_true(first_proof_has_ended(&f));
    f.is_settling = true; /* one that comes and goes keeps nobody out either */
    f.waited_ms = FIRST_PROOF_VERDICT_MS;
    assert_true(first_proof_has_ended(&f));
}

/* Something is short, and just then nobody says why: that is no time to say "ready". */
static void test_waits_for_an_explanation(void **state) {
    struct first_proof_facts f = {
        .waited_ms = FIRST_PROOF_MS + 1, .is_measured_out = true, .is_measured_in = true, .is_unexplained = true};
    assert_false(first_proof_has_ended(&f));
    f.is_unexplained = false;
    assert_true(first_proof_has_ended(&f));
    f.is_unexplained = true; /* what nobody explains keeps nobody out for ever */
    f.waited_ms = FIRST_PROOF_VERDICT_MS;
    assert_true(first_proof_has_ended(&f));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_waits_for_both_ways),
                                       cmocka_unit_test(test_waits_for_the_verdict),
                                       cmocka_unit_test(test_waits_for_an_explanation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
