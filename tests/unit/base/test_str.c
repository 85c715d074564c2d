/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_ends(void **state) {
    assert_true(str_starts("xenbr0", "xenbr"));
    assert_false(str_starts("xen", "xenbr"));
    assert_true(str_ends("pool.db", ".db"));
    assert_false(str_ends("b", ".db"));
}

static void test_parse_int(void **state) {
    int64_t v = 77;
    assert_true(str_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MAX);
    assert_true(str_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MIN);
    v = 77;
    static const char *const bad[] = {"",     "-", "+1", " 1", "1 ", "1x", "0x1", "1.0", "9223372036854775808",
                                      "1501", "-1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(str_parse_int(bad[i], 0, 1500, &v));
    assert_int_equal(v, 77);
    assert_true(str_parse_int("1500", 0, 1500, &v));
    assert_int_equal(v, 1500);
}

static void test_parse_double(void **state) {
    double d = 7;
    static const char *const bad[] = {"", "nan", "inf", "0x10", " 1", "1e999", "1e", "--1", "."};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(str_parse_double(bad[i], &d));
    assert_true(d == 7);
    assert_true(str_parse_double("-1.5e2", &d));
    assert_true(d == -150);
}

static void test_utf8(void **state) {
    static const struct {
        const char *text;
        size_t size;
        bool good;
    } cases[] = {
        {"", 0, true},
        {"plain", 5, true},
        {"a\0b", 3, false},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, true},
        {"\xc0\x80", 2, false},         /* overlong NUL */
        {"\xc1\xbf", 2, false},         /* overlong */
        {"\xe0\x9f\xbf", 3, false},     /* overlong */
        {"\xed\xa0\x80", 3, false},     /* surrogate */
        {"\xed\x9f\xbf", 3, true},      /* last before the surrogates */
        {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
        {"\xf4\x8f\xbf\xbf", 4, true},  /* U+10FFFF */
        {"\xf4\x90\x80\x80", 4, false}, /* beyond */
        {"\xf5\x80\x80\x80", 4, false},
        {"\xe2\x82", 2, false}, /* cut */
        {"\x80", 1, false},
        {"\xe2\x28\xa1", 3, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(str_is_utf8(cases[i].text, cases[i].size), cases[i].good);
}

static void test_copy(void **state) {
    char small[4] = "zzz";
    assert_true(str_copy(small, sizeof(small), "abc"));
    assert_string_equal(small, "abc");
    assert_false(str_copy(small, sizeof(small), "defg"));
    assert_string_equal(small, "def");
    assert_false(str_copy(small, 0, "x"));
}

static void test_strv(void **state) {
    _cleanup_strv_ struct strv v = {0};
    strv_split(&v, "a,,b,", ',');
    assert_int_equal(v.n, 4);
    assert_string_equal(v.items[1], "");
    assert_string_equal(v.items[3], "");
    assert_true(strv_has(&v, "b"));
    assert_false(strv_has(&v, "c"));
    for (int i = 0; i < 100; i++)
        strv_take(&v, strf("%d", i));
    assert_int_equal(v.n, 104);
    assert_string_equal(v.items[103], "99");
}

static void test_buf(void **state) {
    _cleanup_buf_ struct buf b = BUF_INIT;
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_addf(&b, "%03d,", i);
    assert_int_equal(b.size, 4000);
    buf_consume(&b, 3996);
    assert_string_equal(buf_str(&b), "999,");
    buf_add_char(&b, 'x');
    buf_add_str(&b, "yz");
    buf_add(&b, NULL, 0);
    assert_string_equal(b.data, "999,xyz");
    buf_consume(&b, 100);
    assert_int_equal(b.size, 0);
    assert_string_equal(b.data, "");
    _cleanup_free_ char *empty = buf_take(&b);
    assert_string_equal(empty, "");
    assert_null(b.data);
    for (int i = 0; i < 70; i++)
        buf_add_char(&b, 'c');
    assert_int_equal(strlen(b.data), 70);
    _cleanup_free_ char *s = strf("%s-%d", "a", 1);
    assert_string_equal(s, "a-1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends), cmocka_unit_test(test_parse_int), cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_utf8), cmocka_unit_test(test_copy),      cmocka_unit_test(test_strv),
        cmocka_unit_test(test_buf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
