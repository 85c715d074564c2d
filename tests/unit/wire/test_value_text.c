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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scalars),
        cmocka_unit_test(test_bad_utf8_is_replaced),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_task_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
