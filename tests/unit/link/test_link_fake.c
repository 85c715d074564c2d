/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_fake.h"

#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

static struct link_change address(int index, const char *ip, unsigned prefix, enum link_change_type type) {
    struct link_change c = {.type = type, .address = {.index = index, .prefix_len = prefix}};
    assert_true(link_ip_parse(ip, &c.address.ip));
    return c;
}

static void test_an_address_brings_and_takes_its_route(void **unused) {
    struct link *l = link_fake_new();
    int eth0 = link_fake_add(l, "eth0", "0a:00:00:00:00:01", 1500, 9000);
    assert_int_equal(link_set_up(l, "eth0", true), 0);
    struct link_change c = address(eth0, "10.0.0.2", 24, LINK_ADDRESS_ADD);
    assert_int_equal(link_batch(l, &c, 1, NULL), 0);
    struct link_ip dst;
    struct link_route route;
    assert_true(link_ip_parse("10.0.0.9", &dst));
    assert_int_equal(link_route_get(l, &dst, &route), 0);
    assert_int_equal(route.index, eth0);
    c.type = LINK_ADDRESS_DEL;
    assert_int_equal(link_batch(l, &c, 1, NULL), 0);
    assert_int_equal(link_route_get(l, &dst, &route), -ENETUNREACH);
    assert_int_equal(link_batch(l, &c, 1, NULL), 0); /* absent is fine */
    link_free(l);
}

static void test_mtu_limits(void **unused) {
    struct link *l = link_fake_new();
    link_fake_add(l, "eth0", "0a:00:00:00:00:01", 1500, 4000);
    struct link_info info;
    assert_int_equal(link_set_mtu(l, "eth0", 9000), -EINVAL);
    assert_int_equal(link_set_mtu(l, "nope", 9000), -ENODEV);
    link_fake_ignore_mtu(l, "eth0", true);
    assert_int_equal(link_set_mtu(l, "eth0", 3000), 0);
    assert_int_equal(link_find(l, "eth0", &info), 0);
    assert_int_equal(info.mtu, 1500);
    link_free(l);
}

static void test_the_first_failure_of_a_batch_is_named(void **unused) {
    struct link *l = link_fake_new();
    int eth0 = link_fake_add(l, "eth0", "0a:00:00:00:00:01", 1500, 0);
    struct link_change c[] = {address(eth0, "10.0.0.2", 24, LINK_ADDRESS_ADD),
                              address(77, "10.0.0.3", 24, LINK_ADDRESS_ADD),
                              address(eth0, "10.0.0.4", 24, LINK_ADDRESS_ADD)};
    size_t failed = 99;
    assert_int_equal(link_batch(l, c, 3, &failed), -ENODEV);
    assert_int_equal(failed, 1);
    _cleanup_(link_addresses_done) struct link_addresses all = {0};
    assert_int_equal(link_list_addresses(l, &all), 0);
    assert_int_equal(all.n, 2); /* the others were tried */
    link_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_an_address_brings_and_takes_its_route),
                                       cmocka_unit_test(test_mtu_limits),
                                       cmocka_unit_test(test_the_first_failure_of_a_batch_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
