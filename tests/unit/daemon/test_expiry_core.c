/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/expiry_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define DAY 86400

static void test_stages(void **unused) {
    const int64_t now = INT64_C(1795975000);
    static const struct {
        int64_t left;
        enum expiry_stage stage;
    } cases[] = {{3650 * (int64_t)DAY, EXPIRY_FAR},
                 {30 * DAY + 1, EXPIRY_FAR},
                 {30 * DAY, EXPIRY_30},
                 {14 * DAY + 1, EXPIRY_30},
                 {14 * DAY, EXPIRY_14},
                 {7 * DAY + 1, EXPIRY_14},
                 {7 * DAY, EXPIRY_07},
                 {1, EXPIRY_07},
                 {0, EXPIRY_OVER},
                 {-DAY, EXPIRY_OVER}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(expiry_stage_of(now + cases[i].left, now), cases[i].stage);
}

static void test_words(void **unused) {
    assert_null(expiry_message_name(EXPIRY_HOST, EXPIRY_FAR));
    for (unsigned what = 0; what < N_EXPIRY_WHAT; what++)
        for (unsigned stage = EXPIRY_30; stage < N_EXPIRY_STAGES; stage++) {
            enum expiry_what back;
            assert_true(expiry_is_message(expiry_message_name(what, stage), &back));
            assert_int_equal(back, what);
            _cleanup_free_ char *text = expiry_message_text(what, stage, "h1", 0);
            assert_non_null(strstr(text, "1970-01-01 00:00 UTC; cure: "));
            assert_int_equal(strstr(text, "Host 'h1'") != NULL, what != EXPIRY_AUTHORITY);
            assert_true(expiry_message_priority(stage) < expiry_message_priority(stage - 1));
        }
    enum expiry_what what;
    assert_false(expiry_is_message("MUSTER-N101", &what));
    assert_false(expiry_is_message("", &what));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stages), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
