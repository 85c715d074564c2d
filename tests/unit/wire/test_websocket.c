/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_accept(void **state) {
    char ret[WEBSOCKET_ACCEPT_SIZE];
    assert_true(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", ret)); /* RFC 6455, 1.3 */
    assert_string_equal(ret, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(websocket_accept("", ret));
    assert_false(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=", ret));
    assert_false(websocket_accept("dGhlIHNhbXBsZSBub25jZQAA", ret));
    assert_false(websocket_accept("dGhl\x01HNhbXBsZSBub25jZQ==", ret));
}

static void test_write(void **state) {
    struct buf out = BUF_INIT;
    websocket_write(&out, "Hello", 5);
    assert_int_equal(out.size, 7);
    assert_memory_equal(out.data, "\x82\x05Hello", 7);
    buf_clear(&out);
    static char big[70000];
    websocket_write(&out, big, 126);
    assert_memory_equal(out.data, "\x82\x7e\x00\x7e", 4);
    buf_clear(&out);
    websocket_write(&out, big, sizeof(big));
    assert_memory_equal(out.data, "\x82\x7f\0\0\0\0\0\x01\x11\x70", 10);
    assert_int_equal(out.size, sizeof(big) + 10);
    buf_done(&out);
}

static enum websocket_outcome read_all(const char *bytes, size_t size, struct buf *data, struct buf *answer) {
    struct websocket w = {0};
    buf_clear(data);
    buf_clear(answer);
    return websocket_read(&w, bytes, size, data, answer);
}

#define READ(bytes) read_all(bytes, sizeof(bytes) - 1, &data, &answer)

static void test_read(void **state) {
    struct buf data = BUF_INIT, answer = BUF_INIT;
    assert_int_equal(READ("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WEBSOCKET_MORE); /* RFC 6455, 5.7 */
    assert_string_equal(buf_str(&data), "Hello");
    /* A message in two parts, a ping between them. */
    assert_int_equal(READ("\x02\x82\0\0\0\0ab\x89\x81\0\0\0\0p\x80\x81\0\0\0\0c"), WEBSOCKET_MORE);
    assert_string_equal(buf_str(&data), "abc");
    assert_memory_equal(answer.data, "\x8a\x01p", 3);
    assert_int_equal(READ("\x88\x82\0\0\0\0\x03\xe8\x82\x81\0\0\0\0x"), WEBSOCKET_CLOSED);
    assert_memory_equal(answer.data, "\x88\x02\x03\xe8", 4);
    assert_int_equal(data.size, 0);
    assert_int_equal(READ("\x82\x03"), WEBSOCKET_BROKEN);          /* not masked */
    assert_int_equal(READ("\xc2\x83"), WEBSOCKET_BROKEN);          /* an extension */
    assert_int_equal(READ("\x80\x81\0\0\0\0a"), WEBSOCKET_BROKEN); /* goes on from nothing */
    assert_int_equal(READ("\x02\x81\0\0\0\0a\x82\x81\0\0\0\0b"), WEBSOCKET_BROKEN);
    assert_int_equal(READ("\x83\x81\0\0\0\0a"), WEBSOCKET_BROKEN);        /* no such kind */
    assert_int_equal(READ("\x09\x81\0\0\0\0a"), WEBSOCKET_BROKEN);        /* a ping in parts */
    assert_int_equal(READ("\x89\xfe\x00\x7e\0\0\0\0"), WEBSOCKET_BROKEN); /* a long ping */
    assert_int_equal(READ("\x82\xfe\x00\x05\0\0\0\0"), WEBSOCKET_BROKEN); /* a length in too many bytes */
    assert_int_equal(READ("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0"), WEBSOCKET_BROKEN);
    buf_done(&data);
    buf_done(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accept), cmocka_unit_test(test_write),
                                       cmocka_unit_test(test_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
