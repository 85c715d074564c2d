/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/thin_cli.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PARSE(text, ret) thin_cli_parse(text, sizeof(text) - 1, ret)

static void test_body(void **state) {
    struct thin_cli_request r;
    assert_true(PARSE("vm-list\nparams=a=b\r\n--minimal\nusername=root\npassword=x=y\n", &r));
    assert_int_equal(r.args.n, 3);
    assert_string_equal(r.args.items[0], "vm-list");
    assert_string_equal(r.args.items[1], "params=a=b");
    assert_string_equal(r.args.items[2], "--minimal");
    assert_string_equal(r.user, "root");
    assert_string_equal(r.password, "x=y");
    assert_null(r.session);
    thin_cli_request_done(&r);
    assert_true(PARSE("session_id=OpaqueRef:7\nvm-list", &r));
    assert_string_equal(r.session, "OpaqueRef:7");
    assert_null(r.password);
    thin_cli_request_done(&r);
    /* Not the first line: a parameter like others. */
    assert_true(PARSE("vm-list\nsession_id=1\n", &r));
    assert_null(r.session);
    assert_int_equal(r.args.n, 2);
    thin_cli_request_done(&r);
    assert_false(PARSE("", &r));
    assert_false(PARSE("username=root\npassword=x\n", &r));
    assert_false(PARSE("--help\n", &r));
    assert_false(PARSE("a=b\n", &r));
    assert_false(PARSE("vm-list\n\xff\n", &r));
    assert_false(PARSE("vm-list\0\n", &r));
}

static void test_say(void **state) {
    struct buf out = BUF_INIT;
    thin_cli_greet(&out);
    assert_memory_equal(out.data, "XenSource thin CLI protocol\0\0\0\0\2\0\0\0", 35);
    buf_clear(&out);
    thin_cli_print(&out, "ab", 2);
    assert_memory_equal(out.data, "\x0e\0\0\0\x09\0\0\0\0\0\0\0\2\0\0\0ab", 18);
    buf_clear(&out);
    thin_cli_exit(&out, 1);
    assert_memory_equal(out.data, "\x0c\0\0\0\x09\0\0\0\4\0\0\0\1\0\0\0", 16);
    buf_clear(&out);
    thin_cli_error(&out, "E", (const char *const[]){"p"}, 1);
    assert_memory_equal(out.data, "\x16\0\0\0\x09\0\0\0\x0e\0\0\0\1\0\0\0E\1\0\0\0\1\0\0\0p", 26);
    buf_done(&out);
}

static void test_hear(void **state) {
    static const char greeting[] = "XenSource thin CLI protocol\0\0\0\0\2\0\0\0";
    enum thin_cli_response r;
    uint32_t chunk;
    size_t n = 0;
    for (size_t i = 0; i < 35; i++)
        assert_int_equal(thin_cli_parse_greeting(greeting, i, &n), THIN_CLI_MORE);
    assert_int_equal(thin_cli_parse_greeting(greeting, 35, &n), THIN_CLI_READY);
    assert_int_equal(n, 35);
    assert_int_equal(thin_cli_parse_greeting("HTTP/1.1", 8, &n), THIN_CLI_BAD);
    assert_int_equal(thin_cli_parse_message("\x08\0\0\0\x0a\0\0\0\x12\0\0", 11, &n, &r, &chunk), THIN_CLI_MORE);
    assert_int_equal(thin_cli_parse_message("\x08\0\0\0\x0a\0\0\0\x12\0\0\0", 12, &n, &r, &chunk), THIN_CLI_READY);
    assert_int_equal(r, THIN_CLI_WAIT);
    assert_int_equal(thin_cli_parse_message("\x0c\0\0\0\x0b\0\0\0\7\0\0\0\3\1\0\0", 16, &n, &r, &chunk),
                     THIN_CLI_READY);
    assert_int_equal(r, THIN_CLI_CHUNK);
    assert_int_equal(chunk, 259);
    assert_int_equal(thin_cli_parse_message("\x04\0\0\0\x0a\0\0\0", 8, &n, &r, &chunk), THIN_CLI_BAD);
    assert_int_equal(thin_cli_parse_message("\xff\xff\xff\xff", 4, &n, &r, &chunk), THIN_CLI_BAD);
    assert_int_equal(thin_cli_parse_message("\x08\0\0\0\x63\0\0\0\5\0\0\0", 12, &n, &r, &chunk), THIN_CLI_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_body), cmocka_unit_test(test_say),
                                       cmocka_unit_test(test_hear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
