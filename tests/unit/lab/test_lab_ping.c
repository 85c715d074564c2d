/* SPDX-License-Identifier: Apache-2.0 */
/* What ping printed becomes figures: losses in the middle and at the end, doubles, the longest silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lab/lab_ping.h"

static void test_whole(void **state) {
    static const char text[] = "PING 10.9.0.12 (10.9.0.12) 56(84) bytes of data.\n"
                               "[100.000000] 64 bytes from 10.9.0.12: icmp_seq=1 ttl=64 time=1 ms\n"
                               "[100.010000] 64 bytes from 10.9.0.12: icmp_seq=2 ttl=64 time=1 ms\n"
                               "[100.010500] 64 bytes from 10.9.0.12: icmp_seq=2 ttl=64 time=1 ms (DUP!)\n"
                               "[100.350000] 64 bytes from 10.9.0.12: icmp_seq=36 ttl=64 time=1 ms\n"
                               "[100.360000] 64 bytes from 10.9.0.12: icmp_seq=37 ttl=64 time=1 ms\n"
                               "\n--- 10.9.0.12 ping statistics ---\n"
                               "38 packets transmitted, 4 received, +1 duplicates, 89% packet loss, time 370ms\n";
    struct ping_report r;
    ping_report_parse(text, &r);
    assert_true(r.complete);
    assert_int_equal(r.sent, 37); /* the 38th was on its way */
    assert_int_equal(r.answered, 4);
    assert_int_equal(r.lost, 33);
    assert_int_equal(r.twice, 1);
    assert_int_equal(r.gap_ms, 340);
}

static void test_dead_end(void **state) {
    struct ping_report r;
    ping_report_parse("[1.0] 64 bytes from 1.2.3.4: icmp_seq=1 ttl=64 time=1 ms\n100 packets transmitted, 1 received\n",
                      &r);
    assert_int_equal(r.lost, 99);
    ping_report_parse("3 packets transmitted, 0 received, 100% packet loss\n", &r);
    assert_int_equal(r.lost, 3);
}

static void test_cut(void **state) {
    struct ping_report r;
    ping_report_parse("[1.0] 64 bytes from 1.2.3.4: icmp_seq=1 ttl=64 time=1 ms\n"
                      "[2.0] 64 bytes from 1.2.3.4: icmp_seq=3 ttl=64 time=1 ms\n[2.1] 64 by",
                      &r);
    assert_false(r.complete);
    assert_int_equal(r.sent, 3);
    assert_int_equal(r.lost, 1);
    assert_int_equal(r.gap_ms, 1000);
    ping_report_parse("", &r);
    assert_int_equal(r.sent, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_dead_end),
                                       cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
