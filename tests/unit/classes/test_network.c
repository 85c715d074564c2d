/* SPDX-License-Identifier: Apache-2.0 */
/* Networks, VLANs and addresses: names, MTU, what is refused with which cure, what reaches every host. */
#include "base/str.h"
#include "net_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static int setup(void **state) {
    *state = nf_new(3);
    return 0;
}

static int teardown(void **state) {
    nf_free(*state);
    return 0;
}

static int64_t mtu_of(struct nf *nf, const struct uuid *network) {
    return row_int(fx_row(nf->fx, CLASS_network, network), FIELD_network_MTU);
}

static void test_create(void **state) {
    struct nf *nf = *state;
    struct uuid a = nf_network(nf, 0), b = nf_network(nf, 9000);
    assert_int_equal(mtu_of(nf, &a), 1500);
    assert_string_equal(row_str(fx_row(nf->fx, CLASS_network, &a), FIELD_network_bridge), "xapi0");
    assert_string_equal(row_str(fx_row(nf->fx, CLASS_network, &b), FIELD_network_bridge), "xapi1");
    fx_call(nf->fx, "network.create", "[$S, {\"bridge\":\"lab0\"}]");
    assert_string_equal(fx_fail(nf->fx, "network.create", "[$S, {\"bridge\":\"lab0\"}]"), "BRIDGE_NAME_EXISTS lab0");
    assert_true(str_starts(fx_fail(nf->fx, "network.create", "[$S, {\"bridge\":\"xapi9\"}]"), "INVALID_VALUE bridge"));
    assert_true(str_starts(fx_fail(nf->fx, "network.create", "[$S, {\"bridge\":\"sixteen-letters-\"}]"),
                           "INVALID_VALUE bridge"));
    assert_true(str_starts(fx_fail(nf->fx, "network.create", "[$S, {\"managed\":false}]"), "INVALID_VALUE bridge"));
    assert_true(str_starts(fx_fail(nf->fx, "network.create", "[$S, {\"MTU\":100}]"), "INVALID_VALUE MTU"));
    assert_string_equal(fx_fail(nf->fx, "network.create", "[$S, {\"MTU\":\"big\"}]"), "INVALID_VALUE MTU big");
    assert_string_equal(fx_fail(nf->fx, "network.create", "[$S, 5]"), "FIELD_TYPE_ERROR args");
}

static void test_destroy(void **state) {
    struct nf *nf = *state;
    struct uuid a = nf_network(nf, 1500);
    assert_true(str_starts(fx_fail(nf->fx, "network.destroy", "[$S, \"%s\"]", fx_ref(&nf->networks[0])),
                           "NETWORK_CONTAINS_PIF OpaqueRef:"));
    fx_call(nf->fx, "network.destroy", "[$S, \"%s\"]", fx_ref(&a));
    assert_null(fx_row(nf->fx, CLASS_network, &a));
}

static void test_set_mtu(void **state) {
    struct nf *nf = *state;
    const struct uuid *n = &nf->networks[2];
    fx_call(nf->fx, "network.set_MTU", "[$S, \"%s\", 9000]", fx_ref(n));
    assert_int_equal(mtu_of(nf, n), 9000);
    /* One host refuses: all go back. */
    nf->obedience[2] = ROLL_BACK;
    assert_true(
        str_starts(fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 1500]", fx_ref(n)), "NETWORK_CHANGE_ROLLED_BACK"));
    assert_int_equal(mtu_of(nf, n), 9000);
    /* A dead one is not waited for. */
    nf_set_live(nf, 2, false);
    fx_call(nf->fx, "network.set_MTU", "[$S, \"%s\", 1500]", fx_ref(n));
    assert_int_equal(mtu_of(nf, n), 1500);
    assert_true(str_starts(fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 70000]", fx_ref(n)), "INVALID_VALUE MTU"));
}

static void test_vlan(void **state) {
    struct nf *nf = *state;
    struct uuid a = nf_network(nf, 1500), b = nf_network(nf, 1500);
    const char *pif = fx_ref(&nf->pifs[0][2]);
    struct uuid v = ref_of(fx_call(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", pif, fx_ref(&a)));
    struct uuid untagged = *row_ref(fx_row(nf->fx, CLASS_VLAN, &v), FIELD_VLAN_untagged_PIF);
    assert_string_equal(nf_str(nf, &untagged, FIELD_PIF_device), "eth2");
    assert_int_equal(nf_int(nf, &untagged, FIELD_PIF_VLAN), 101);
    assert_string_equal(nf_str(nf, &untagged, FIELD_PIF_MAC), "fe:ff:ff:ff:ff:ff");
    assert_true(str_starts(fx_fail(nf->fx, "VLAN.create", "[$S, \"%s\", 102, \"%s\"]", pif, fx_ref(&a)),
                           "NETWORK_ALREADY_CONNECTED"));
    assert_string_equal(fx_fail(nf->fx, "VLAN.create", "[$S, \"%s\", 4095, \"%s\"]", pif, fx_ref(&b)),
                        "VLAN_TAG_INVALID 4095");
    assert_string_equal(fx_fail(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", pif, fx_ref(&b)),
                        "PIF_VLAN_EXISTS eth2");
    assert_true(str_starts(fx_fail(nf->fx, "VLAN.create", "[$S, \"%s\", 7, \"%s\"]", fx_ref(&untagged), fx_ref(&b)),
                           "PIF_IS_VLAN"));
    fx_call(nf->fx, "VLAN.destroy", "[$S, \"%s\"]", fx_ref(&v));
    assert_null(fx_row(nf->fx, CLASS_PIF, &untagged));
}

static void test_vlan_above_its_base(void **state) {
    struct nf *nf = *state;
    struct uuid a = nf_network(nf, 9000);
    const char *pif = fx_ref(&nf->pifs[0][2]);
    char cure[100], uuid[UUID_TEXT_SIZE];
    snprintf(cure, sizeof(cure), "xe network-param-set uuid=%s MTU=9000", uuid_text(&nf->networks[2], uuid));
    assert_true(str_ends(fx_fail(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", pif, fx_ref(&a)), cure));
    fx_call(nf->fx, "network.set_MTU", "[$S, \"%s\", 9000]", fx_ref(&nf->networks[2]));
    fx_call(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", pif, fx_ref(&a));
    /* Lowering the base under it: the other cure. */
    snprintf(cure, sizeof(cure), "xe network-param-set uuid=%s MTU=1500", uuid_text(&a, uuid));
    assert_true(str_ends(fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 1500]", fx_ref(&nf->networks[2])), cure));
    assert_true(
        str_starts(fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 9001]", fx_ref(&a)), "OPERATION_NOT_ALLOWED"));
    fx_call(nf->fx, "network.set_MTU", "[$S, \"%s\", 1500]", fx_ref(&a));
    fx_call(nf->fx, "network.set_MTU", "[$S, \"%s\", 1500]", fx_ref(&nf->networks[2]));
}

static void test_pool_vlan(void **state) {
    struct nf *nf = *state;
    struct uuid a = nf_network(nf, 1500), b = nf_network(nf, 1500);
    fx_call(nf->fx, "pool.create_VLAN_from_PIF", "[$S, \"%s\", \"%s\", 101]", fx_ref(&nf->pifs[0][1]), fx_ref(&a));
    assert_int_equal(db_count(nf->fx->db, CLASS_VLAN), 3);
    fx_call(nf->fx, "pool.create_VLAN", "[$S, \"eth2\", \"%s\", 102]", fx_ref(&b));
    assert_int_equal(db_count(nf->fx->db, CLASS_VLAN), 6);
    struct uuid c = nf_network(nf, 1500);
    assert_string_equal(fx_fail(nf->fx, "pool.create_VLAN", "[$S, \"eth9\", \"%s\", 102]", fx_ref(&c)),
                        "PIF_DEVICE_NOT_FOUND");
    nf->obedience[1] = REFUSE;
    assert_true(str_starts(fx_fail(nf->fx, "pool.create_VLAN", "[$S, \"eth2\", \"%s\", 103]", fx_ref(&c)),
                           "NETWORK_CHANGE_FAILED"));
    assert_int_equal(db_count(nf->fx->db, CLASS_VLAN), 6);
}

static void test_addresses(void **state) {
    struct nf *nf = *state;
    const char *pif = fx_ref(&nf->pifs[1][1]), *management = fx_ref(&nf->pifs[1][0]);
    static const char method[] = "PIF.reconfigure_ip";
    fx_call(nf->fx, method, "[$S, \"%s\", \"Static\", \"10.1.0.1\", \"255.255.0.0\", \"\", \"1.1.1.1,fd00::1\"]", pif);
    assert_string_equal(nf_str(nf, &nf->pifs[1][1], FIELD_PIF_IP), "10.1.0.1");
    fx_call(nf->fx, method, "[$S, \"%s\", \"DHCP\", \"\", \"\", \"\", \"2.2.2.2\"]", pif);
    assert_string_equal(nf_str(nf, &nf->pifs[1][1], FIELD_PIF_DNS), "2.2.2.2,fd00::1");
    assert_string_equal(fx_fail(nf->fx, method, "[$S, \"%s\", \"Static\", \"10.1\", \"255.0.0.0\", \"\", \"\"]", pif),
                        "INVALID_IP_ADDRESS_SPECIFIED IP");
    assert_string_equal(
        fx_fail(nf->fx, method, "[$S, \"%s\", \"Static\", \"10.1.0.1\", \"255.0.0.1\", \"\", \"\"]", pif),
        "INVALID_IP_ADDRESS_SPECIFIED netmask");
    assert_string_equal(fx_fail(nf->fx, method, "[$S, \"%s\", \"DHCP\", \"\", \"\", \"x\", \"\"]", pif),
                        "INVALID_IP_ADDRESS_SPECIFIED gateway");
    assert_string_equal(fx_fail(nf->fx, method, "[$S, \"%s\", \"DHCP\", \"\", \"\", \"\", \"x\"]", pif),
                        "INVALID_IP_ADDRESS_SPECIFIED DNS");
    assert_string_equal(fx_fail(nf->fx, method, "[$S, \"%s\", \"Sometimes\", \"\", \"\", \"\", \"\"]", pif),
                        "INVALID_VALUE mode Sometimes");
    assert_true(str_starts(fx_fail(nf->fx, method, "[$S, \"%s\", \"None\", \"\", \"\", \"\", \"\"]", management),
                           "PIF_IS_MANAGEMENT_INTERFACE"));
    fx_call(nf->fx, "PIF.reconfigure_ipv6", "[$S, \"%s\", \"Static\", \"fd00::2/64\", \"\", \"\"]", pif);
    assert_string_equal(
        fx_fail(nf->fx, "PIF.reconfigure_ipv6", "[$S, \"%s\", \"Static\", \"fd00::2\", \"\", \"\"]", pif),
        "INVALID_IP_ADDRESS_SPECIFIED IPv6");
}

static void test_plugging(void **state) {
    struct nf *nf = *state;
    const char *pif = fx_ref(&nf->pifs[0][3]);
    fx_call(nf->fx, "PIF.unplug", "[$S, \"%s\"]", pif);
    assert_false(nf_bool(nf, &nf->pifs[0][3], FIELD_PIF_plugged));
    fx_call(nf->fx, "PIF.plug", "[$S, \"%s\"]", pif);
    assert_true(nf_bool(nf, &nf->pifs[0][3], FIELD_PIF_plugged));
    assert_true(str_starts(fx_fail(nf->fx, "PIF.unplug", "[$S, \"%s\"]", fx_ref(&nf->pifs[0][0])),
                           "PIF_IS_MANAGEMENT_INTERFACE"));
    fx_call(nf->fx, "PIF.set_disallow_unplug", "[$S, \"%s\", true]", pif);
    assert_true(str_starts(fx_fail(nf->fx, "PIF.unplug", "[$S, \"%s\"]", pif), "PIF_DOES_NOT_ALLOW_UNPLUG"));
    struct uuid network = nf_network(nf, 1500);
    nf_bond(nf, 1, &network, 2, 3);
    assert_true(
        str_starts(fx_fail(nf->fx, "PIF.plug", "[$S, \"%s\"]", fx_ref(&nf->pifs[1][2])), "CANNOT_PLUG_BOND_SLAVE"));
}

static void test_introduce_and_forget(void **state) {
    struct nf *nf = *state;
    const char *host = fx_ref(&nf->fx->hosts[0]);
    struct uuid p = ref_of(fx_call(nf->fx, "PIF.introduce", "[$S, \"%s\", \"02:00:00:00:00:AA\", \"eth7\"]", host));
    assert_string_equal(nf_str(nf, &p, FIELD_PIF_MAC), "02:00:00:00:00:aa");
    const struct row *network = db_follow(nf->fx->db, fx_row(nf->fx, CLASS_PIF, &p), FIELD_PIF_network);
    assert_string_equal(row_str(network, FIELD_network_bridge), "xenbr7");
    assert_string_equal(fx_fail(nf->fx, "PIF.introduce", "[$S, \"%s\", \"02:00:00:00:00:AB\", \"eth7\"]", host),
                        "DUPLICATE_PIF_DEVICE_NAME eth7");
    assert_true(str_starts(fx_fail(nf->fx, "PIF.introduce", "[$S, \"%s\", \"zz\", \"eth8\"]", host), "MAC_INVALID"));
    assert_true(str_starts(fx_fail(nf->fx, "PIF.forget", "[$S, \"%s\"]", fx_ref(&nf->pifs[0][0])),
                           "PIF_IS_MANAGEMENT_INTERFACE"));
    fx_call(nf->fx, "PIF.forget", "[$S, \"%s\"]", fx_ref(&p));
    assert_null(fx_row(nf->fx, CLASS_PIF, &p));
}

static void test_management(void **state) {
    struct nf *nf = *state;
    assert_true(str_starts(fx_fail(nf->fx, "host.management_reconfigure", "[$S, \"%s\"]", fx_ref(&nf->pifs[1][1])),
                           "PIF_HAS_NO_NETWORK_CONFIGURATION"));
    for (int i = 0; i < 3; i++)
        fx_set(nf->fx, CLASS_PIF, &nf->pifs[i][1], FIELD_PIF_ip_configuration_mode, value_string("DHCP"));
    fx_settle(nf->fx);
    loop_sim_advance(nf->fx->sim, 200);
    fx_call(nf->fx, "host.management_reconfigure", "[$S, \"%s\"]", fx_ref(&nf->pifs[1][1]));
    assert_true(nf_bool(nf, &nf->pifs[1][1], FIELD_PIF_management));
    assert_false(nf_bool(nf, &nf->pifs[1][0], FIELD_PIF_management));
    fx_call(nf->fx, "pool.management_reconfigure", "[$S, \"%s\"]", fx_ref(&nf->networks[1]));
    for (int i = 0; i < 3; i++)
        assert_true(nf_bool(nf, &nf->pifs[i][1], FIELD_PIF_management));
    struct uuid none = nf_network(nf, 1500);
    assert_true(
        str_starts(fx_fail(nf->fx, "pool.management_reconfigure", "[$S, \"%s\"]", fx_ref(&none)), "PIF_NOT_PRESENT"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set_mtu, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vlan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vlan_above_its_base, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pool_vlan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plugging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_introduce_and_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_management, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
