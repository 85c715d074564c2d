/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs_fake.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void commit(struct ovs *o, const struct ovs_op *ops, size_t n) {
    struct error *e = NULL;
    int64_t cfg;
    assert_true(ovs_commit(o, ops, n, "test", &cfg, &e));
}

static void test_a_port_without_request_follows_its_legs(void **unused) {
    struct ovs *o = ovs_fake_new();
    const struct ovs_op make[] = {{.kind = OVS_BRIDGE_ADD, .bridge = "xapi0", .role = "bridge"},
                                  {.kind = OVS_PORT_ADD,
                                   .bridge = "xapi0",
                                   .port = "bond0",
                                   .n_ifaces = 2,
                                   .ifaces = {"eth0", "eth1"},
                                   .mtu = 9000,
                                   .tag = -1}};
    commit(o, make, 2);
    assert_int_equal(ovs_state_iface(ovs_fake_state(o), "xapi0")->mtu, 9000);
    const struct ovs_op lower = {.kind = OVS_IFACE_MTU, .n_ifaces = 1, .ifaces = {"eth1"}, .mtu = 1500};
    commit(o, &lower, 1);
    assert_int_equal(ovs_state_iface(ovs_fake_state(o), "xapi0")->mtu, 1500);
    /* an explicit request above a leg is obeyed: the black hole */
    const struct ovs_op raise = {.kind = OVS_IFACE_MTU, .n_ifaces = 1, .ifaces = {"xapi0"}, .mtu = 9000};
    commit(o, &raise, 1);
    assert_int_equal(ovs_state_iface(ovs_fake_state(o), "xapi0")->mtu, 9000);
    ovs_free(o);
}

static void test_a_young_machine_starts_no_switch(void **unused) {
    assert_int_equal(ovs_start_pause_ms(0), 10100);
    assert_int_equal(ovs_start_pause_ms(4600), 5500);
    assert_int_equal(ovs_start_pause_ms(10100), 0);
    assert_int_equal(ovs_start_pause_ms(UINT64_C(1) << 40), 0);
}

static void test_a_refused_mtu_is_silent(void **unused) {
    struct ovs *o = ovs_fake_new();
    ovs_fake_limit_mtu(o, "eth0", 1500);
    const struct ovs_op make[] = {{.kind = OVS_BRIDGE_ADD, .bridge = "xenbr0"},
                                  {.kind = OVS_PORT_ADD,
                                   .bridge = "xenbr0",
                                   .port = "eth0",
                                   .n_ifaces = 1,
                                   .ifaces = {"eth0"},
                                   .mtu = 9000,
                                   .tag = -1}};
    commit(o, make, 2);
    const struct ovs_iface *i = ovs_state_iface(ovs_fake_state(o), "eth0");
    assert_int_equal(i->mtu, 1500);
    assert_int_equal(i->mtu_request, 9000);
    assert_string_equal(i->error, "");
    ovs_free(o);
}

static void test_a_failed_transaction_changes_nothing(void **unused) {
    struct ovs *o = ovs_fake_new();
    const struct ovs_op ops[] = {{.kind = OVS_BRIDGE_ADD, .bridge = "xenbr0"}, {.kind = OVS_PORT_DEL, .port = "nope"}};
    struct error *e = NULL;
    int64_t cfg = -5;
    assert_false(ovs_commit(o, ops, 2, NULL, &cfg, &e));
    assert_int_equal(cfg, -5);
    assert_int_equal(ovs_fake_state(o)->n_bridges, 0);
    error_free(e);
    ovs_free(o);
}

static void test_a_bond_grows_and_shrinks_in_its_row(void **unused) {
    struct ovs *o = ovs_fake_new();
    const struct ovs_op make[] = {
        {.kind = OVS_BRIDGE_ADD, .bridge = "xenbr0"},
        {.kind = OVS_PORT_ADD, .bridge = "xenbr0", .port = "eth0", .n_ifaces = 1, .ifaces = {"eth0"}, .tag = -1}};
    commit(o, make, 2);
    char uuid[OVS_UUID_SIZE];
    assert_true(str_copy(uuid, sizeof uuid, ovs_state_port(ovs_fake_state(o), "eth0")->uuid));
    const struct ovs_bond bond = {.mode = "active-backup", .primary = "eth1"};
    const struct ovs_op grow[] = {{.kind = OVS_PORT_ADD_IFACE, .port = "eth0", .n_ifaces = 1, .ifaces = {"eth1"}},
                                  {.kind = OVS_PORT_BOND, .port = "eth0", .bond = &bond}};
    commit(o, grow, 2);
    struct ovs_bond_status s;
    struct error *e = NULL;
    assert_true(ovs_bond_status(o, "eth0", &s, &e));
    assert_true(s.legs[1].active);
    const struct ovs_op shrink[] = {{.kind = OVS_PORT_DEL_IFACE, .port = "eth0", .n_ifaces = 1, .ifaces = {"eth0"}}};
    commit(o, shrink, 1);
    assert_string_equal(ovs_state_port(ovs_fake_state(o), "eth0")->uuid, uuid);
    assert_string_equal(ovs_state_port(ovs_fake_state(o), "eth0")->ifaces[0], "eth1");
    assert_null(ovs_state_iface(ovs_fake_state(o), "eth0"));
    ovs_free(o);
}

static void test_a_stuck_switch_is_noticed(void **unused) {
    struct ovs *o = ovs_fake_new();
    ovs_fake_set_stuck(o, true);
    const struct ovs_op op = {.kind = OVS_BRIDGE_ADD, .bridge = "xenbr0"};
    struct error *e = NULL;
    int64_t cfg;
    assert_true(ovs_commit(o, &op, 1, NULL, &cfg, &e));
    assert_false(ovs_wait_cfg(o, cfg, 0, &e));
    assert_true(error_is(e, ERR_OVS_TIMEOUT));
    error_free(e);
    ovs_free(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_young_machine_starts_no_switch),
        cmocka_unit_test(test_a_port_without_request_follows_its_legs),
        cmocka_unit_test(test_a_refused_mtu_is_silent),
        cmocka_unit_test(test_a_failed_transaction_changes_nothing),
        cmocka_unit_test(test_a_bond_grows_and_shrinks_in_its_row),
        cmocka_unit_test(test_a_stuck_switch_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
