/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "net/net_types.h"

static struct net_addr A(const char *text) {
    struct net_addr a;
    assert_true(net_addr_parse(text, &a));
    return a;
}

static void
test_mac(void **state) {
    struct net_mac m;
    char text[NET_MAC_TEXT_SIZE];
    assert_true(net_mac_parse("52:54:00:AB:cd:0f", &m));
    assert_string_equal(net_mac_text(&m, text), "52:54:00:ab:cd:0f");
    static const char *const wrong[] = {
        "", "52:54:00:ab:cd", "52:54:00:ab:cd:0", "52-54-00-ab-cd-0f", "52:54:00:ab:cd:0g", "52:54:00:ab:cd:0f:"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(net_mac_parse(wrong[i], &m));
    assert_string_equal(net_mac_text(&m, text), "52:54:00:ab:cd:0f"); /* untouched by failures */
}

static void test_addr_text(void **state) {
    static const char *const same[] = {"10.0.0.1/24", "0.0.0.0/0", "255.255.255.255/32",
                                       "fd00::1/64",  "::/0",      "fe80::1/128"};
    char text[NET_ADDR_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        struct net_addr a = A(same[i]);
        assert_string_equal(net_addr_text(&a, true, text), same[i]);
    }
    assert_int_equal(A("10.0.0.1").prefix, 32);
    assert_int_equal(A("fd00::1").prefix, 128);
    static const char *const wrong[] = {"",          "10.0.0",        "10.0.0.1/33", "fd00::/129",
                                        "10.0.0.1/", "/24",           "10.0.0.1/-1", "10.0.0.1/+8",
                                        "10.0.0.01", "10.0.0.1/0000", "10.0.0.1 ",   "fd00::1%eth0"};
    struct net_addr a;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (net_addr_parse(wrong[i], &a))
            fail_msg("'%s' was taken for an address", wrong[i]);
}

static void test_addr_network(void **state) {
    char text[NET_ADDR_TEXT_SIZE];
    struct net_addr a = A("10.1.130.77/17"), n = net_addr_network(&a);
    assert_string_equal(net_addr_text(&n, true, text), "10.1.128.0/17");
    struct net_addr in = A("10.1.255.1"), out = A("10.1.127.1"), six = A("fd00::1");
    assert_true(net_addr_contains(&a, &in));
    assert_false(net_addr_contains(&a, &out));
    assert_false(net_addr_contains(&a, &six));
    struct net_addr all = A("0.0.0.0/0");
    assert_true(net_addr_contains(&all, &in));
    a = A("fd00:1:2:3:4::5/65");
    n = net_addr_network(&a);
    assert_string_equal(net_addr_text(&n, true, text), "fd00:1:2:3::/65");
    struct net_addr link = A("fe80::1"), site = A("fec0::1"), v4 = A("169.254.1.1");
    assert_true(net_addr_is_link_local(&link));
    assert_false(net_addr_is_link_local(&site));
    assert_true(net_addr_is_link_local(&v4));
}

static void test_netmask(void **state) {
    assert_int_equal(net_netmask_to_prefix("255.255.255.0"), 24);
    assert_int_equal(net_netmask_to_prefix("255.255.255.255"), 32);
    assert_int_equal(net_netmask_to_prefix("0.0.0.0"), 0);
    assert_int_equal(net_netmask_to_prefix("255.255.254.0"), 23);
    assert_int_equal(net_netmask_to_prefix("255.0.255.0"), -1);
    assert_int_equal(net_netmask_to_prefix("255.255.255"), -1);
    assert_int_equal(net_netmask_to_prefix(""), -1);
}

static void test_names(void **state) {
    net_name n;
    assert_true(net_name_set(n, "abcdefghijklmno"));
    static const char *const wrong[] = {"", "abcdefghijklmnop", "a b", "a/b", "a:b", ".", "..", "a\tb", "\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_false(net_name_set(n, wrong[i]));
        assert_string_equal(n, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mac),     cmocka_unit_test(test_addr_text), cmocka_unit_test(test_addr_network),
        cmocka_unit_test(test_netmask), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
