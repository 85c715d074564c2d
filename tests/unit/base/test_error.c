/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_params(void **state) {
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, "HANDLE_INVALID", "PIF", "OpaqueRef:NULL", NULL);
    assert_string_equal(error_code(e), "HANDLE_INVALID");
    assert_int_equal(error_n_params(e), 2);
    assert_string_equal(error_param(e, 1), "OpaqueRef:NULL");
    assert_string_equal(error_param(e, 2), "");
    assert_true(error_is(e, "HANDLE_INVALID"));
    assert_false(error_is(e, "HANDLE"));
    assert_false(error_is(NULL, "HANDLE"));
}

static void test_context_stays_out_of_params(void **state) {
    _cleanup_error_ struct error *e = NULL;
    error_setf(&e, "VALUE_NOT_SUPPORTED", "mtu %d", 99);
    error_wrap(&e, "network '%s'", "xenbr0");
    assert_string_equal(error_text(e), "network 'xenbr0': VALUE_NOT_SUPPORTED [mtu 99]");
    error_wrap(&e, "task 7"); /* after the text was made */
    assert_string_equal(error_text(e), "task 7: network 'xenbr0': VALUE_NOT_SUPPORTED [mtu 99]");
    assert_int_equal(error_n_params(e), 1);
    assert_string_equal(error_param(e, 0), "mtu 99");

    _cleanup_error_ struct error *copy = error_dup(e);
    assert_string_equal(error_text(copy), error_text(e));
    assert_null(error_dup(NULL));
}

static void test_wrap_of_nothing(void **state) {
    struct error *e = NULL;
    error_wrap(&e, "no error");
    assert_null(e);
}

static void test_errno_and_internal(void **state) {
    _cleanup_error_ struct error *e = NULL;
    error_errno(&e, -ENOENT, "open '%s'", "a");
    assert_string_equal(error_text(e), "INTERNAL_ERROR [open 'a': No such file or directory]");
    _cleanup_error_ struct error *f = NULL;
    error_internal(&f, "%s", "why");
    assert_string_equal(error_text(f), "INTERNAL_ERROR [why]");
}

static void test_param_limit(void **state) {
    const char *many[MAX_ERROR_PARAMS + 4];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = "p";
    _cleanup_error_ struct error *e = NULL;
    error_setv(&e, "X", ARRAY_SIZE(many), many);
    assert_int_equal(error_n_params(e), MAX_ERROR_PARAMS);
}

static void test_propagate_keeps_the_first(void **state) {
    _cleanup_error_ struct error *e = NULL;
    struct error *first = NULL, *second = NULL;
    error_set(&first, "FIRST", NULL);
    error_set(&second, "SECOND", NULL);
    error_propagate(&e, first);
    error_propagate(&e, second);
    error_propagate(&e, NULL);
    assert_true(error_is(e, "FIRST"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params),          cmocka_unit_test(test_context_stays_out_of_params),
        cmocka_unit_test(test_wrap_of_nothing), cmocka_unit_test(test_errno_and_internal),
        cmocka_unit_test(test_param_limit),     cmocka_unit_test(test_propagate_keeps_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
