/* SPDX-License-Identifier: Apache-2.0 */
/* What guests' beats become: gaps in the middle, at both ends and across the moment asked from; losses; a new start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lab/lab_beats.h"

static struct beats_report r;

static void test_packet(void **state) {
    static const char *const bad[] = {"",
                                      "beat",
                                      "beat 5",
                                      "beat x wrong 0 name a",
                                      "beat 5 wrong 0 name a;b",
                                      "beat 5 wrong 0 name \xff\xfe",
                                      "BEAT 5 wrong 0"};
    unsigned long beat = 7, wrong = 7;
    char name[32] = "kept", large[200];
    memset(large, 'x', sizeof(large));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(beats_parse_packet(bad[i], strlen(bad[i]), &beat, &wrong, name));
    assert_false(beats_parse_packet(large, sizeof(large), &beat, &wrong, name));
    assert_false(beats_parse_packet("beat 5\0 wrong 0", 15, &beat, &wrong, name));
    assert_int_equal(beat, 7);
    assert_string_equal(name, "kept");
    assert_true(beats_parse_packet("beat 12 wrong 3 name v1\n", 24, &beat, &wrong, name));
    assert_int_equal(beat, 12);
    assert_int_equal(wrong, 3);
    assert_string_equal(name, "v1");
    assert_true(beats_parse_packet("beat 13 wrong 0\n", 16, &beat, &wrong, name));
    assert_string_equal(name, "");
}

static void test_two_guests(void **state) {
    beats_parse("100.0 10.77.1.2 v2 5 0\n"
                "100.0 10.77.1.1 v1 1 0\n"
                "100.1 10.77.1.1 v1 2 0\n"
                "100.1 10.77.1.2 v2 6 0\n"
                "100.9 10.77.1.1 v1 5 2\n" /* two lost, 0.8 s */
                "101.0 10.77.1.2 v2 0 0\n" /* begun again */
                "101.1 10.77.1.1 v1 6 2\n"
                "not a line\n"
                "101.2 10.77.1.1 v1 7 3", /* not whole */
                0, 101.5, &r);
    assert_int_equal(r.n, 2);
    assert_string_equal(r.guests[0].name, "v1");
    assert_int_equal(r.guests[0].received, 4);
    assert_int_equal(r.guests[0].lost, 2);
    assert_int_equal(r.guests[0].starts, 0);
    assert_int_equal(r.guests[0].wrong, 2);
    assert_int_equal(r.guests[0].gap_ms, 800);
    assert_int_equal(r.guests[0].silent_ms, 400);
    assert_int_equal(r.guests[1].received, 3);
    assert_int_equal(r.guests[1].lost, 0);
    assert_int_equal(r.guests[1].starts, 1);
}

/* Gaps are judged in the time asked about only, and that has ends. */
static void test_since(void **state) {
    static const char text[] = "100.0 10.77.1.1 v1 1 1\n"
                               "105.0 10.77.1.1 v1 2 1\n" /* a gap before the moment */
                               "111.0 10.77.1.1 v1 9 2\n"
                               "111.5 10.77.1.1 v1 10 2\n";
    beats_parse(text, 110.0, 112.0, &r);
    assert_int_equal(r.guests[0].received, 2);
    assert_int_equal(r.guests[0].lost, 6);
    assert_int_equal(r.guests[0].wrong, 1);
    assert_int_equal(r.guests[0].gap_ms, 1000); /* from the moment to the first */
    assert_int_equal(r.guests[0].silent_ms, 500);
    beats_parse(text, 110.0, 120.0, &r);
    assert_int_equal(r.guests[0].gap_ms, 8500); /* it is silent now */
    beats_parse(text, 115.0, 118.0, &r);        /* heard once, not since */
    assert_int_equal(r.n, 1);
    assert_int_equal(r.guests[0].received, 0);
    assert_int_equal(r.guests[0].gap_ms, 3000);
    beats_parse("", 0, 1, &r);
    assert_int_equal(r.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_packet), cmocka_unit_test(test_two_guests),
                                       cmocka_unit_test(test_since)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
