/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/value_json.h"
#include "wire/value_xml.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *json_of(struct value v) {
    static struct buf out;
    buf_done(&out);
    value_json_emit(&out, &v);
    value_done(&v);
    return buf_str(&out);
}

static void test_json_scalars(void **state) {
    assert_string_equal(json_of(value_int(0)), "0");
    assert_string_equal(json_of(value_int(INT64_MAX)), "9223372036854775807");
    assert_string_equal(json_of(value_float(1e300)), "1e+300");
    assert_string_equal(json_of(value_float(0.1 + 0.2)), "0.30000000000000004");
    assert_string_equal(json_of(value_float(-0.0)), "-0.0");
    assert_string_equal(json_of(value_float(NAN)), "NaN");
    assert_string_equal(json_of(value_float(-INFINITY)), "-Infinity");
    assert_string_equal(json_of((struct value){.type = VALUE_STRING}), "\"\"");
    assert_string_equal(json_of(value_string("\b\f\r\x1f\x7f/\\")), "\"\\b\\f\\r\\u001f\x7f/\\\\\"");
}

static void test_bad_utf8_is_replaced(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},                                                                    /* never a byte of UTF-8 */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* beyond Unicode */
        {"x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd"},                               /* cut short */
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},       /* good */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf json = BUF_INIT, xml = BUF_INIT, want = BUF_INIT;
        json_emit_string(&json, cases[i].in);
        xml_emit_text(&xml, cases[i].in);
        buf_addf(&want, "\"%s\"", cases[i].out);
        assert_string_equal(json.data, want.data);
        assert_string_equal(xml.data, cases[i].out);
        buf_done(&json);
        buf_done(&xml);
        buf_done(&want);
    }
    struct buf xml = BUF_INIT;
    xml_emit_text(&xml, "a\xef\xbf\xbf"
                        "b\x0b"
                        "c"); /* U+FFFF and a vertical tab: no XML characters */
    assert_string_equal(xml.data, "a\xef\xbf\xbd"
                                  "bc");
    buf_done(&xml);
}

static void test_limits(void **state) {
    assert_true(json_within_limits("[[1,2],[3]]", 11, 2, 6));
    assert_false(json_within_limits("[[1,2],[3]]", 11, 1, 100));
    assert_false(json_within_limits("[1,2,3]", 7, 9, 3));
    assert_true(json_within_limits("\"[[[[,,,,\\\"[[[\"", 15, 1, 1)); /* inside a string nothing counts */
    assert_true(json_within_limits("\"\\", 2, 1, 1));
    struct value v;
    struct error *e = NULL;
    assert_false(value_json_parse("[[1]]", 5, 1, 100, &v, &e));
    error_free(TAKE(e));
    assert_true(value_json_parse("5", 1, 1, 1, &v, &e));
    assert_int_equal(value_as_int(&v), 5);
}

static void test_task_result(void **state) {
    struct uuid u;
    assert_true(uuid_parse("8013b937-ff7e-60d1-ecd8-e52d66c5879e", &u));
    _cleanup_value_ struct value v = value_set();
    value_set_add(&v, value_ref(&u));
    char *text = value_xml_text(&v);
    assert_string_equal(
        text,
        "<value><array><data><value>OpaqueRef:8013b937-ff7e-60d1-ecd8-e52d66c5879e</value></data></array></value>");
    struct value back;
    struct error *e = NULL;
    assert_true(value_xml_parse(text, strlen(text), 8, 100, &back, &e));
    assert_int_equal(back.set.n, 1);
    value_done(&back);
    assert_false(value_xml_parse(text, strlen(text), 8, 1, &back, &e));
    error_free(TAKE(e));
    assert_false(value_xml_parse("<value>a</value>b", 17, 8, 9, &back, &e));
    error_free(e);
    free(text);
}

static void test_json_reading(void **state) {
    static const char *const good[][2] = {
        {" [ 1 , -0 , 0.5 , 1e2 , -1.5E-1 ] ", "[1,0,0.5,100.0,-0.15]"},
        {"{\"a\":{},\"b\":[],\"\":null}", "{\"a\":{},\"b\":[],\"\":\"\"}"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00fc\\u20AC\\ud83d\\udc18\"",
         "\"\\\"\\\\/\\b\\f\\n\\r\\tA\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\x98\""},
        {"true", "true"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"\xc3\xbc", NULL},
        {"\"\xc3\xbc\xef\xbf\xbf\"", "\"\xc3\xbc\xef\xbf\xbf\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct value v;
        struct error *e = NULL;
        bool ok = value_json_parse(good[i][0], strlen(good[i][0]), 9, 99, &v, &e);
        assert_int_equal(ok, good[i][1] != NULL);
        if (ok)
            assert_string_equal(json_of(v), good[i][1]); /* takes v */
        error_free(e);
    }
    static const char *const bad[] = {"",
                                      " ",
                                      "[",
                                      "]",
                                      "{",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{1:1}",
                                      "tru",
                                      "truex",
                                      "nul",
                                      "True",
                                      "'a'",
                                      "\"a",
                                      "\"\\",
                                      "\"\\\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u0000\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\n\"",
                                      "\"\xff\"",
                                      "\"\xc3\"",
                                      "\"\xed\xa0\x80\"",
                                      "01",
                                      "-",
                                      "-a",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "+1",
                                      "0x1",
                                      "NaN",
                                      "Infinity",
                                      "1e999",
                                      "9223372036854775808",
                                      "{\"a\":1,\"b\":2,\"a\":3}",
                                      "1 2",
                                      "[1]]",
                                      "\xef\xbb\xbf 1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct value v;
        struct error *e = NULL;
        if (value_json_parse(bad[i], strlen(bad[i]), 9, 99, &v, &e))
            fail_msg("this was taken: %s", bad[i]);
        assert_non_null(e);
        error_free(e);
    }
}

/* Twice the same key among many is found as among few. */
static void test_json_many_keys(void **state) {
    for (unsigned twice = 0; twice < 2; twice++) {
        _cleanup_buf_ struct buf text = BUF_INIT;
        struct value v = {0};
        struct error *e = NULL;
        buf_add_char(&text, '{');
        for (unsigned i = 0; i < 1000; i++)
            buf_addf(&text, "\"k%u\":%u,", (i * 7) % 1000, i);
        buf_addf(&text, "\"k%s\":1}", twice ? "500" : "new");
        assert_int_equal(value_json_parse(text.data, text.size, 2, 2000, &v, &e), !twice);
        value_done(&v);
        error_free(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scalars),   cmocka_unit_test(test_json_reading),
        cmocka_unit_test(test_json_many_keys), cmocka_unit_test(test_bad_utf8_is_replaced),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_task_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
