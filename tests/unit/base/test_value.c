/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "base/value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_accessors(void **state) {
    _cleanup_value_ struct value s = value_stringf("%s%d", "eth", 0);
    struct value empty = {.type = VALUE_STRING};
    struct value i = value_int(-5), b = value_bool(true);
    assert_string_equal(value_str(&s), "eth0");
    assert_string_equal(value_str(&empty), "");
    assert_string_equal(value_str(&i), "");
    assert_true(value_as_int(&i) == -5 && value_as_int(&b) == 0);
    assert_true(value_as_bool(&b) && !value_as_bool(&i));
    struct value moved = value_take(&s);
    assert_int_equal(s.type, VALUE_VOID);
    value_done(&moved);
    struct value null = value_ref(NULL);
    assert_true(uuid_is_null(&null.ref));
}

static void test_map(void **state) {
    _cleanup_value_ struct value m = value_map();
    for (int i = 0; i < 50; i++) {
        _cleanup_free_ char *key = strf("k%d", i);
        value_map_put(&m, key, value_int(i));
    }
    value_map_put(&m, "k7", value_string("seven"));
    assert_int_equal(m.map.n, 50);
    assert_string_equal(value_map_str(&m, "k7"), "seven");
    assert_null(value_map_str(&m, "k8")); /* not a string */
    assert_null(value_map_str(&m, "none"));
    assert_true(value_map_remove(&m, "k0"));
    assert_false(value_map_remove(&m, "k0"));
    assert_string_equal(m.map.pairs[0].key, "k1"); /* the order of the others stays */
    assert_true(value_as_int(value_map_get(&m, "k49")) == 49);
}

static void test_copy_grows_apart(void **state) {
    _cleanup_value_ struct value a = value_set();
    for (int i = 0; i < 5; i++)
        value_set_add(&a, value_stringf("%d", i));
    _cleanup_value_ struct value b = value_copy(&a);
    assert_true(value_equal(&a, &b));
    for (int i = 5; i < 40; i++)
        value_set_add(&b, value_stringf("%d", i));
    assert_int_equal(a.set.n, 5);
    assert_string_equal(value_str(&b.set.items[39]), "39");
    assert_false(value_equal(&a, &b));
    assert_true(value_memory(&b) > value_memory(&a));
}

static void test_set_order_does_not_matter(void **state) {
    _cleanup_value_ struct value a = value_set(), b = value_set();
    for (int i = 0; i < 3000; i++) {
        value_set_add(&a, value_int(i));
        value_set_add(&b, value_int(2999 - i));
    }
    assert_true(value_equal(&a, &b));
    b.set.items[17].integer = 0;
    assert_false(value_equal(&a, &b));
}

static void test_set_is_a_multiset(void **state) {
    _cleanup_value_ struct value a = value_set(), b = value_set();
    const char *in_a[] = {"x", "x", "y"}, *in_b[] = {"x", "y", "y"};
    for (size_t i = 0; i < 3; i++) {
        value_set_add(&a, value_string(in_a[i]));
        value_set_add(&b, value_string(in_b[i]));
    }
    assert_false(value_equal(&a, &b));
    struct value x = value_string("x"), y = value_string("y");
    assert_true(value_set_remove(&a, &x) && value_set_remove(&b, &y));
    assert_true(value_equal(&a, &b));
    assert_true(value_set_has(&a, &x) && value_set_has(&a, &y));
    assert_true(value_set_remove(&a, &x) && !value_set_has(&a, &x) && !value_set_remove(&a, &x));
    value_done(&x);
    value_done(&y);
}

static struct value pair_map(const char *k1, int v1, const char *k2, int v2) {
    struct value m = value_map();
    value_map_add(&m, k1, value_int(v1));
    value_map_add(&m, k2, value_int(v2));
    return m;
}

static void test_nested_equality(void **state) {
    _cleanup_value_ struct value a = value_set(), b = value_set();
    value_set_add(&a, pair_map("p", 1, "q", 2));
    value_set_add(&a, pair_map("p", 2, "q", 1));
    value_set_add(&b, pair_map("q", 1, "p", 2));
    value_set_add(&b, pair_map("q", 2, "p", 1));
    assert_true(value_equal(&a, &b));
    value_map_get(&b.set.items[1], "q")->integer = 1;
    assert_false(value_equal(&a, &b));
}

static void test_scalar_equality(void **state) {
    struct value i = value_int(1), t = value_time(1), nan1 = value_float(NAN), nan2 = value_float(NAN),
                 zero = value_float(0.0), minus = value_float(-0.0), null_text = {.type = VALUE_STRING};
    _cleanup_value_ struct value empty = value_string("");
    assert_false(value_equal(&i, &t));
    assert_true(value_equal(&nan1, &nan2));
    assert_true(value_equal(&zero, &minus));
    assert_true(value_equal(&empty, &null_text));
    struct value void1 = {0}, void2 = {0};
    assert_true(value_equal(&void1, &void2));
}

static void test_time(void **state) {
    char text[TIME_TEXT_SIZE];
    int64_t t = 5;
    assert_string_equal(time_text(0, text), "19700101T00:00:00Z");
    assert_true(time_parse("20260821T02:00:23Z", &t));
    assert_true(t == 1787277623);
    assert_string_equal(time_text(t, text), "20260821T02:00:23Z");
    int64_t same = 0;
    assert_true(time_parse("2026-08-21T02:00:23", &same) && same == t);
    assert_true(time_parse("20240229T23:59:59Z", &same));
    assert_string_equal(time_text(INT64_MAX, text), "99991231T23:59:59Z");
    assert_string_equal(time_text(INT64_MIN, text), "00000101T00:00:00Z");
    static const char *const bad[] = {"",
                                      "20260821",
                                      "20260821T02:00:23+1",
                                      "20230229T00:00:00Z",
                                      "20261301T00:00:00Z",
                                      "20260001T00:00:00Z",
                                      "20260100T00:00:00Z",
                                      "20260101T24:00:00Z",
                                      "20260101T00:60:00Z",
                                      "20260101T00:00:60Z",
                                      "2026-0101T00:00:00Z",
                                      "20260101T00:00:00ZZ",
                                      " 20260101T00:00:00Z"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(time_parse(bad[i], &same));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accessors),         cmocka_unit_test(test_map),
        cmocka_unit_test(test_copy_grows_apart),  cmocka_unit_test(test_set_order_does_not_matter),
        cmocka_unit_test(test_set_is_a_multiset), cmocka_unit_test(test_nested_equality),
        cmocka_unit_test(test_scalar_equality),   cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
