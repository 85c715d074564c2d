/* SPDX-License-Identifier: Apache-2.0 */
/* From what a guest's agent says to VM_guest_metrics. */
#include "vm/vm_guest_core.h"

#include <stdarg.h>

#include "base/str.h"
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static void add(struct value *facts, const char *key, const char *text) {
    value_map_put(facts, key, value_string(text));
}

static void test_os(void **state) {
    _cleanup_value_ struct value facts = value_map();
    add(&facts, "os.id", "debian");
    add(&facts, "os.name", "Debian GNU/Linux");
    add(&facts, "os.version-id", "12.4");
    add(&facts, "os.kernel-release", "6.1.0");
    _cleanup_value_ struct value os = vm_guest_os(&facts), none = vm_guest_os(&(struct value){.type = VALUE_MAP});
    assert_string_equal(value_map_str(&os, "name"), "Debian GNU/Linux");
    assert_string_equal(value_map_str(&os, "distro"), "debian");
    assert_string_equal(value_map_str(&os, "major"), "12");
    assert_string_equal(value_map_str(&os, "minor"), "4");
    assert_string_equal(value_map_str(&os, "uname"), "6.1.0");
    assert_int_equal(none.map.n, 0);
}

static void test_networks(void **state) {
    static const struct vm_guest_nic nics[] = {{"02:00:00:00:00:0a", "0"}, {"02:00:00:00:00:0b", "3"}};
    _cleanup_value_ struct value facts = value_map();
    add(&facts, "if.0.hwaddr", "00:00:00:00:00:00"); /* lo: none of the VM's */
    add(&facts, "if.0.addr.0.addr", "127.0.0.1");
    add(&facts, "if.1.hwaddr", "02:00:00:00:00:0B");
    add(&facts, "if.1.addr.0.type", "ipv6");
    add(&facts, "if.1.addr.0.addr", "fe80::1");
    add(&facts, "if.1.addr.1.type", "ipv4");
    add(&facts, "if.1.addr.1.addr", "10.0.0.1");
    add(&facts, "if.1.addr.2.type", "ipv4");
    add(&facts, "if.1.addr.2.addr", "10.0.0.2");
    _cleanup_value_ struct value networks = vm_guest_networks(&facts, nics, ARRAY_SIZE(nics));
    assert_int_equal(networks.map.n, 4);
    assert_string_equal(value_map_str(&networks, "3/ip"), "10.0.0.1");
    assert_string_equal(value_map_str(&networks, "3/ipv4/0"), "10.0.0.1");
    assert_string_equal(value_map_str(&networks, "3/ipv4/1"), "10.0.0.2");
    assert_string_equal(value_map_str(&networks, "3/ipv6/0"), "fe80::1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_os), cmocka_unit_test(test_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
