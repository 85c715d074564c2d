/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ovsdb/ovsdb_frame.h"

static void expect(struct ovsdb_frame *f, const char *text) {
    const char *data;
    size_t size;
    assert_int_equal(ovsdb_frame_next(f, &data, &size), 1);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
}

static void expect_result(struct ovsdb_frame *f, int r) {
    const char *data;
    size_t size;
    assert_int_equal(ovsdb_frame_next(f, &data, &size), r);
}

static void test_several(void **state) {
    struct ovsdb_frame f;
    ovsdb_frame_init(&f, 100);
    const char *text = "{\"a\":1}{\"b\":{\"c\":[1,{}]}} \n{\"d\":\"}{\\\"}\\\\\"}";
    ovsdb_frame_add(&f, text, strlen(text));
    expect(&f, "{\"a\":1}");
    expect(&f, "{\"b\":{\"c\":[1,{}]}}");
    expect(&f, "{\"d\":\"}{\\\"}\\\\\"}");
    expect_result(&f, 0);
    ovsdb_frame_done(&f);
}

/* Every way to cut the stream in two gives the same messages. */
static void test_cut_anywhere(void **state) {
    const char *text = "{\"a\":\"\\\\\\\"}\"}{\"b\":[\"[{\"]}";
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        struct ovsdb_frame f;
        ovsdb_frame_init(&f, 100);
        char got[100] = "";
        const char *data;
        size_t size;
        for (int part = 0; part < 2; part++) {
            ovsdb_frame_add(&f, part == 0 ? text : text + cut, part == 0 ? cut : strlen(text) - cut);
            while (ovsdb_frame_next(&f, &data, &size) == 1) {
                strncat(got, data, size);
                strcat(got, "|");
            }
        }
        assert_string_equal(got, "{\"a\":\"\\\\\\\"}\"}|{\"b\":[\"[{\"]}|");
        ovsdb_frame_done(&f);
    }
}

static void test_limits(void **state) {
    struct ovsdb_frame f;
    ovsdb_frame_init(&f, 8);
    ovsdb_frame_add(&f, "{\"a\":12}", 8); /* exactly the limit */
    expect(&f, "{\"a\":12}");
    ovsdb_frame_add(&f, "{\"a\":123}", 9);
    expect_result(&f, -EMSGSIZE);
    ovsdb_frame_clear(&f);
    ovsdb_frame_add(&f, "[1]", 3);
    expect_result(&f, -EPROTO);
    ovsdb_frame_clear(&f);
    ovsdb_frame_add(&f, "x", 1);
    expect_result(&f, -EPROTO);
    ovsdb_frame_done(&f);
}

/* A long stream does not keep what has been read. */
static void test_memory(void **state) {
    struct ovsdb_frame f;
    ovsdb_frame_init(&f, 1 << 20);
    char message[1000];
    memset(message, ' ', sizeof(message));
    message[0] = '{';
    message[sizeof(message) - 1] = '}';
    for (int i = 0; i < 5000; i++) {
        ovsdb_frame_add(&f, message, sizeof(message));
        ovsdb_frame_add(&f, "{", 1); /* always one begun message behind */
        const char *data;
        size_t size;
        assert_int_equal(ovsdb_frame_next(&f, &data, &size), 1);
        ovsdb_frame_add(&f, "}", 1);
        assert_int_equal(ovsdb_frame_next(&f, &data, &size), 1);
        assert_int_equal(size, 2);
    }
    assert_true(f.buf.capacity < (size_t)1 << 20);
    ovsdb_frame_done(&f);
}

/* Nor does a stream that has had one large message. */
static void test_large_message(void **state) {
    struct ovsdb_frame f;
    size_t size = (size_t)8 << 20;
    ovsdb_frame_init(&f, size * 2);
    _cleanup_free_ char *message = xmalloc(size);
    memset(message, ' ', size);
    message[0] = '{';
    message[size - 1] = '}';
    const char *data;
    size_t got;
    ovsdb_frame_add(&f, message, size);
    assert_int_equal(ovsdb_frame_next(&f, &data, &got), 1);
    assert_int_equal(got, size);
    ovsdb_frame_add(&f, "{}", 2);
    assert_int_equal(ovsdb_frame_next(&f, &data, &got), 1);
    assert_int_equal(got, 2);
    assert_true(f.buf.capacity < (size_t)1 << 20);
    ovsdb_frame_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several), cmocka_unit_test(test_cut_anywhere),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory),  cmocka_unit_test(test_large_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
