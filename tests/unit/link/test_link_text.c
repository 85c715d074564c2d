/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link.h"
#include "link/link_icmp.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

static void test_ip_text(void **unused) {
    static const char *const good[] = {"10.0.0.1", "255.255.255.255", "fd00::1", "::"};
    static const char *const bad[] = {"", "10.0.0", "10.0.0.1/24", "10.0.0.256", " 10.0.0.1", "fd00:::1", "eth0"};
    struct link_ip ip;
    char text[LINK_IP_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(link_ip_parse(good[i], &ip));
        assert_string_equal(link_ip_text(&ip, text), good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(link_ip_parse(bad[i], &ip));
    ip = (struct link_ip){0};
    assert_string_equal(link_ip_text(&ip, text), "");
}

static void test_ip_network(void **unused) {
    struct link_ip ip, net;
    char text[LINK_IP_TEXT_SIZE];
    assert_true(link_ip_parse("10.1.2.255", &ip));
    net = link_ip_network(&ip, 25);
    assert_string_equal(link_ip_text(&net, text), "10.1.2.128");
    net = link_ip_network(&ip, 0);
    assert_string_equal(link_ip_text(&net, text), "0.0.0.0");
    net = link_ip_network(&ip, 32);
    assert_true(link_ip_eq(&net, &ip));
    assert_true(link_ip_parse("fd00:1:2:3:4::9", &ip));
    net = link_ip_network(&ip, 64);
    assert_string_equal(link_ip_text(&net, text), "fd00:1:2:3::");
}

static void test_mac_text(void **unused) {
    static const char *const bad[] = {"",
                                      "0a:00:00:00:00",
                                      "0a:00:00:00:00:01:02",
                                      "0a-00-00-00-00-01",
                                      "0a:00:00:00:00:0g",
                                      "a:0:0:0:0:1",
                                      "0a:00:00:00:00:01 "};
    struct link_mac mac;
    char text[LINK_MAC_TEXT_SIZE];
    assert_true(link_mac_parse("0A:00:00:00:00:ff", &mac));
    assert_string_equal(link_mac_text(&mac, text), "0a:00:00:00:00:ff");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(link_mac_parse(bad[i], &mac));
}

/* The example of RFC 1071, 3: the sum of its words is ddf2 in network order. */
static void test_icmp_checksum(void **unused) {
    static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(ntohs(link_icmp_checksum(bytes, sizeof bytes)), 0xffff & ~0xddf2);
    assert_int_equal(link_icmp_checksum(bytes, 0), 0xffff);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ip_text), cmocka_unit_test(test_ip_network),
                                       cmocka_unit_test(test_mac_text), cmocka_unit_test(test_icmp_checksum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
