/* SPDX-License-Identifier: Apache-2.0 */
#include "client/path_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define H1 "11111111-1111-1111-1111-111111111111"

static void test_paths_parse(void **state) {
    struct path_entry p;
    assert_true(path_entry_parse("eth0>" H1 "/eth1@4094", "1500/9000", &p));
    assert_string_equal(p.leg, "eth0");
    assert_string_equal(p.peer, H1);
    assert_string_equal(p.peer_leg, "eth1");
    assert_int_equal(p.vlan, 4094);
    assert_int_equal(p.passes, 1500);
    static const char *const bad[][2] = {{"", ""},
                                         {"eth0>" H1 "/eth1", ""},
                                         {"eth0>" H1 "/eth1", "1500"},
                                         {"eth0>" H1 "/eth1", "1500/x"},
                                         {"eth0>" H1 "/eth1", "999999/1"},
                                         {"eth0>short/eth1", "1/1"},
                                         {">" H1 "/eth1", "1/1"},
                                         {"eth0>" H1 "/", "1/1"},
                                         {"eth0>" H1 "/eth1@0", "1/1"},
                                         {"eth0>" H1 "/eth1@5000", "1/1"},
                                         {"averyverylongname>" H1 "/eth1", "1/1"},
                                         {"eth0>" H1 "/averyverylongname", "1/1"}};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(path_entry_parse(bad[i][0], bad[i][1], &p));
}

static void test_state(void **state) {
    assert_string_equal(path_entry_state(0, 9000), "dead");
    assert_string_equal(path_entry_state(1500, 9000), "limited");
    assert_string_equal(path_entry_state(9000, 9000), "proven");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths_parse), cmocka_unit_test(test_state)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
