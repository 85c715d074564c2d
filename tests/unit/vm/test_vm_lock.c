/* SPDX-License-Identifier: Apache-2.0 */
/* From a lock to the flows of the switch. */
#include "vm/vm_lock_core.h"

#include <stdarg.h>

#include "base/str.h"
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static struct value lock(const char *mode) {
    struct value v = value_map();
    value_map_add(&v, "vif", value_string("01020304-0506-0708-090a-0b0c0d0e0f10"));
    value_map_add(&v, "mac", value_string("02:00:00:00:00:01"));
    value_map_add(&v, "lock", value_string(mode));
    value_map_add(&v, "v4", value_set());
    value_map_add(&v, "v6", value_set());
    return v;
}

static void test_modes(void **state) {
    _cleanup_value_ struct value none = lock("unlocked"), off = lock("disabled"), in = lock("locked");
    unsigned n;
    _cleanup_free_ char *a = vm_lock_flows(&none, 7, &n);
    assert_string_equal(a, "delete cookie=0x102030405060708/-1\n");
    assert_int_equal(n, 0);
    _cleanup_free_ char *b = vm_lock_flows(&off, 7, &n);
    assert_string_equal(b, "delete cookie=0x102030405060708/-1\n"
                           "add cookie=0x102030405060708,priority=3000,in_port=7 actions=drop\n");
    assert_int_equal(n, 1);
    /* Locked to no address at all: nothing passes. */
    _cleanup_free_ char *c = vm_lock_flows(&in, 7, &n);
    assert_string_equal(c, b);
}

static void test_addresses(void **state) {
    _cleanup_value_ struct value v = lock("locked");
    unsigned n, lines = 0;
    value_set_add(value_map_get(&v, "v4"), value_string("10.0.0.1"));
    value_set_add(value_map_get(&v, "v4"), value_string("10.0.0.9 actions=NORMAL\nadd priority=1"));
    value_set_add(value_map_get(&v, "v6"), value_string("fe80::1"));
    _cleanup_free_ char *text = vm_lock_flows(&v, 7, &n);
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, n + 1);
    assert_null(strstr(text, "10.0.0.9")); /* what is no address says nothing */
    assert_non_null(strstr(text, ",dl_src=02:00:00:00:00:01,ip,nw_src=10.0.0.1 actions=NORMAL\n"));
    assert_non_null(strstr(text, ",arp,arp_sha=02:00:00:00:00:01,arp_spa=10.0.0.1 actions=NORMAL\n"));
    assert_non_null(strstr(text, "priority=3200,in_port=7,icmp6,icmpv6_type=134 actions=drop\n"));
    assert_non_null(strstr(text,
                           "priority=3300,in_port=7,dl_src=02:00:00:00:00:01,icmp6,icmpv6_type=136,nd_target=fe80::1 "
                           "actions=NORMAL\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modes), cmocka_unit_test(test_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
