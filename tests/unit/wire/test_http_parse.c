/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

static struct http_head head;
static char input[70000];

static int parse(const char *text) {
    size_t scan = 0;
    assert_true(str_copy(input, sizeof(input), text));
    return http_parse_head(input, strlen(input), &scan, &head);
}

static void test_results(void **state) {
    static const struct {
        const char *text;
        int result; /* 0: more is needed; 1: complete */
    } cases[] = {
        {"", 0},
        {"GET / HTTP/1.1\r\n", 0},
        {"GET / HTTP/1.1\r\n\r", 0},
        {"GET / HTTP/1.1\r\n\r\n", 1},
        {"GET / HTTP/1.0\r\na:b\r\n\r\n", 1},
        {"OPTIONS * HTTP/1.1\r\n\r\n", 1},
        {"GET * HTTP/1.1\r\n\r\n", -400},
        {"GET http://h/x HTTP/1.1\r\n\r\n", 1},
        {"GET http://h HTTP/1.1\r\n\r\n", -400},
        {"CONNECT /console?uuid=x HTTP/1.0\r\n\r\n", 1},
        {"CONNECT host:443 HTTP/1.1\r\n\r\n", -400},
        {"\r\n\r\n", -400},
        {"GET / HTTP/1.1\n\n", -400},
        {"GET / HTTP/1.1\r\nA: b\n\r\n", -400},
        {"GET / HTTP/1.1\r\n A: b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nA : b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n: b\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nA\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\nA(: b\r\n\r\n", -400},
        {"GET  / HTTP/1.1\r\n\r\n", -400},
        {"GET /  HTTP/1.1\r\n\r\n", -400},
        {" GET / HTTP/1.1\r\n\r\n", -400},
        {"GET / HTTP/1.1 \r\n\r\n", -400},
        {"GET /\r\n\r\n", -400},
        {"GET / http/1.1\r\n\r\n", -400},
        {"GET / HTTP/11\r\n\r\n", -400},
        {"GET / HTTP/2.0\r\n\r\n", -505},
        {"BREW / HTTP/1.1\r\n\r\n", -501},
        {"get / HTTP/1.1\r\n\r\n", -501},
        {"GET /a#b HTTP/1.1\r\n\r\n", -400},
        {"GET /a?b#c HTTP/1.1\r\n\r\n", -400},
        {"GET /%00 HTTP/1.1\r\n\r\n", -400},
        {"GET /%zz HTTP/1.1\r\n\r\n", -400},
        {"GET /%ff HTTP/1.1\r\n\r\n", -400},
        {"GET /%c0%af HTTP/1.1\r\n\r\n", -400},
        {"GET /%c3%a9 HTTP/1.1\r\n\r\n", 1},
        {"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 1},
        {"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: -0\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", -400},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int r = parse(cases[i].text);
        int want = cases[i].result == 1 ? (int)strlen(cases[i].text) : cases[i].result;
        if (r != want)
            fail_msg("%d instead of %d for '%s'", r, want, cases[i].text);
    }
}

static void test_parts(void **state) {
    assert_true(parse("POST /RPC2/%41?a=1&b=%26+x HTTP/1.1\r\nHost: h\r\nCONTENT-Length:\t 12 \r\nX-Empty:\r\n"
                      "Connection: Upgrade, close\r\nExpect: 100-Continue\r\n\r\nbody") > 0);
    assert_int_equal(head.method, HTTP_POST);
    assert_int_equal(head.minor_version, 1);
    assert_string_equal(head.path, "/RPC2/A");
    assert_string_equal(head.query, "a=1&b=%26+x");
    assert_int_equal(head.content_length, 12);
    assert_string_equal(http_head_get(&head, "x-empty"), "");
    assert_string_equal(http_head_get(&head, "content-length"), "12");
    assert_null(http_head_get(&head, "x"));
    assert_true(head.upgrades && head.expects_continue && !head.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n") > 0);
    assert_true(head.keep_alive && !head.upgrades && !head.expects_continue);
    assert_int_equal(head.content_length, -1);
    assert_null(head.query);
}

static void test_nul(void **state) {
    size_t scan = 0;
    memcpy(input, "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27);
    assert_int_equal(http_parse_head(input, 26, &scan, &head), -400);
}

/* However the bytes come, the outcome is the same, and no line is looked at twice from its start. */
static void test_pieces(void **state) {
    static const char text[] = "PUT /x?y HTTP/1.1\r\nA: 1\r\nBb: 22\r\n\r\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        size_t scan = 0, size = 0, last_scan = 0;
        int r = 0;
        while (r == 0) {
            size_t n = MIN(step, sizeof(text) - 1 - size);
            assert_true(n > 0);
            memcpy(input + size, text + size, n);
            size += n;
            r = http_parse_head(input, size, &scan, &head);
            assert_true(scan >= last_scan);
            last_scan = scan;
        }
        assert_int_equal(r, sizeof(text) - 1);
        assert_string_equal(http_head_get(&head, "bb"), "22");
    }
}

static void test_limits(void **state) {
    struct buf b = BUF_INIT;
    buf_add_str(&b, "GET /");
    while (b.size < HTTP_MAX_HEAD)
        buf_add_char(&b, 'a');
    assert_int_equal(parse(b.data), -414);
    buf_clear(&b);
    buf_add_str(&b, "GET / HTTP/1.1\r\nA: ");
    while (b.size < HTTP_MAX_HEAD)
        buf_add_char(&b, 'a');
    assert_int_equal(parse(b.data), -431);
    buf_done(&b);
    for (int n = 100; n <= 101; n++) {
        buf_add_str(&b, "GET / HTTP/1.1\r\n");
        for (int i = 0; i < n; i++)
            buf_add_str(&b, "a: b\r\n");
        buf_add_str(&b, "\r\n");
        int r = parse(b.data);
        assert_int_equal(r, n == 100 ? (int)b.size : -431);
        buf_done(&b);
    }
}

static void check_text(char *got, const char *want) {
    if (!want)
        assert_null(got);
    else
        assert_string_equal(got, want);
    free(got);
}

static void test_query_and_cookie(void **state) {
    check_text(http_query_get("a=1&b=2&b=3&c&d=", "b"), "2");
    check_text(http_query_get("a=1&b=2&b=3&c&d=", "c"), "");
    check_text(http_query_get("a=1&b=2&b=3&c&d=", "d"), "");
    check_text(http_query_get("a=1", "e"), NULL);
    check_text(http_query_get("&&a=%41%2b+&", "a"), "A+ ");
    check_text(http_query_get("a=%4", "a"), NULL);
    check_text(http_query_get("a=%00", "a"), NULL);
    check_text(http_query_get(NULL, "a"), NULL);
    check_text(http_query_get("session_id=OpaqueRef%3A1-2", "session_id"), "OpaqueRef:1-2");
    check_text(http_cookie_get("a=1; session_id=OpaqueRef:x ; b=\"q\"", "session_id"), "OpaqueRef:x");
    check_text(http_cookie_get("a=1; session_id=x; b=\"q\"", "b"), "q");
    check_text(http_cookie_get("xsession_id=1; session_id=2", "session_id"), "2");
    check_text(http_cookie_get("session_id", "session_id"), NULL);
    check_text(http_cookie_get(NULL, "a"), NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_parts),  cmocka_unit_test(test_nul),
        cmocka_unit_test(test_pieces),  cmocka_unit_test(test_limits), cmocka_unit_test(test_query_and_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
