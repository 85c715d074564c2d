/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_frames(void **state) {
    size_t offset = 0, size = 0;
    static const char frame[] = "\0\0\0\3abc\0\0\0";
    for (size_t n = 0; n < 7; n++)
        assert_int_equal(frame_parse(frame, n, 100, &offset, &size), FRAME_MORE);
    assert_int_equal(frame_parse(frame, 7, 100, &offset, &size), FRAME_READY);
    assert_int_equal(offset, 4);
    assert_int_equal(size, 3);
    assert_int_equal(frame_parse(frame, 10, 3, &offset, &size), FRAME_READY);
    assert_int_equal(frame_parse(frame, 10, 2, &offset, &size), FRAME_BAD);
    assert_int_equal(frame_parse("\0\0\0\0", 4, 100, &offset, &size), FRAME_BAD);
    assert_int_equal(frame_parse("\xff\xff\xff\xff", 4, CHANNEL_MAX_FRAME, &offset, &size), FRAME_BAD);
    assert_int_equal(frame_parse("\x01\0\0\0", 4, CHANNEL_MAX_FRAME, &offset, &size), FRAME_MORE);
    assert_int_equal(frame_parse("\x01\0\0\1", 4, CHANNEL_MAX_FRAME, &offset, &size), FRAME_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
