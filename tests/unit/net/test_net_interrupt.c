/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_interrupt.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"

static void test_parse(void **unused) {
    assert_int_equal(net_interrupt_parse("kill 3\n", 3), NET_INTERRUPT_KILL);
    assert_int_equal(net_interrupt_parse("stop 12", 12), NET_INTERRUPT_STOP);
    assert_int_equal(net_interrupt_parse("kill 3", 2), NET_INTERRUPT_NONE);
    static const char *const nothing[] = {"", "kill", "kill ", "kill x", "kill 0", "kill -1", "kill 3x", "3", "halt 3"};
    for (size_t i = 0; i < ARRAY_SIZE(nothing); i++)
        for (unsigned n = 0; n < 4; n++)
            assert_int_equal(net_interrupt_parse(nothing[i], n), NET_INTERRUPT_NONE);
}

/* Points are counted from when the file is there, and noted only then. */
static void test_points_that_are_passed(void **unused) {
    char dir[] = "/tmp/interrupt.XXXXXX";
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *file = strf("%s/" NET_INTERRUPT_FILE, dir), *log = strf("%s/" NET_INTERRUPT_LOG, dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    net_interrupt_point(dir, "before");
    assert_false(fs_exists(log));
    assert_int_equal(fs_write_atomic(file, "kill 1000", 9, 0600), 0);
    net_interrupt_point(dir, "a step");
    net_interrupt_point(dir, "another");
    assert_int_equal(fs_read(log, 100, &text), 0);
    assert_string_equal(buf_str(&text), "1 a step\n2 another\n");
    assert_true(fs_exists(file));
    unlink(file);
    net_interrupt_point(dir, "after");
    unlink(log);
    rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_points_that_are_passed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
