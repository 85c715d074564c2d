/* SPDX-License-Identifier: Apache-2.0 */
/* Bond.create and Bond.destroy: what moves, what is refused and in which order, and what happens when a host refuses.
 */
#include "base/str.h"
#include "classes/bond_properties.h"
#include "classes/net_change.h"
#include "net_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static int setup(void **state) {
    *state = nf_new(2);
    return 0;
}

static int teardown(void **state) {
    nf_free(*state);
    return 0;
}

static void test_management_moves(void **state) {
    struct nf *nf = *state;
    struct uuid network = nf_network(nf, 9000);
    struct uuid bond = nf_bond(nf, 0, &network, 1, 0);
    assert_string_equal(nf_str(nf, &bond, FIELD_PIF_device), "bond0");
    assert_string_equal(nf_str(nf, &bond, FIELD_PIF_IP), "10.0.0.1");
    assert_string_equal(nf_str(nf, &bond, FIELD_PIF_ip_configuration_mode), "Static");
    assert_string_equal(nf_str(nf, &bond, FIELD_PIF_MAC), "02:00:00:00:00:00"); /* of the management NIC */
    assert_true(nf_bool(nf, &bond, FIELD_PIF_management));
    assert_int_equal(nf_int(nf, &bond, FIELD_PIF_MTU), -1);
    assert_false(nf_bool(nf, &nf->pifs[0][0], FIELD_PIF_management));
    assert_string_equal(nf_str(nf, &nf->pifs[0][0], FIELD_PIF_ip_configuration_mode), "None");
    assert_string_equal(nf_str(nf, &nf->pifs[0][0], FIELD_PIF_IP), "");
    /* The members' networks follow, or their legs would be smaller than the bond. */
    assert_int_equal(row_int(fx_row(nf->fx, CLASS_network, &nf->networks[0]), FIELD_network_MTU), 9000);
    assert_int_equal(row_int(fx_row(nf->fx, CLASS_network, &nf->networks[1]), FIELD_network_MTU), 9000);
    assert_int_equal(row_int(fx_row(nf->fx, CLASS_network, &nf->networks[2]), FIELD_network_MTU), 1500);

    const struct row *b = db_first(nf->fx->db, CLASS_Bond);
    assert_int_equal(row_value(b, FIELD_Bond_slaves)->set.n, 2);
    assert_true(uuid_eq(row_ref(b, FIELD_Bond_primary_slave), &nf->pifs[0][0]));
    fx_call(nf->fx, "Bond.destroy", "[$S, \"%s\"]", fx_ref(&b->uuid));
    assert_null(fx_row(nf->fx, CLASS_PIF, &bond));
    assert_true(nf_bool(nf, &nf->pifs[0][0], FIELD_PIF_management));
    assert_string_equal(nf_str(nf, &nf->pifs[0][0], FIELD_PIF_IP), "10.0.0.1");
    assert_true(uuid_is_null(row_ref(fx_row(nf->fx, CLASS_PIF, &nf->pifs[0][1]), FIELD_PIF_bond_slave_of)));
}

static void test_vlans_move(void **state) {
    struct nf *nf = *state;
    struct uuid network = nf_network(nf, 1500), a = nf_network(nf, 1500), b = nf_network(nf, 1500);
    struct uuid v =
        ref_of(fx_call(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", fx_ref(&nf->pifs[0][2]), fx_ref(&a)));
    fx_call(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", fx_ref(&nf->pifs[0][3]), fx_ref(&b));
    struct uuid bond = nf_bond(nf, 0, &network, 2, 3);
    assert_int_equal(db_count(nf->fx->db, CLASS_VLAN), 1); /* one tag, one VLAN */
    const struct row *vlan = fx_row(nf->fx, CLASS_VLAN, &v);
    assert_true(uuid_eq(row_ref(vlan, FIELD_VLAN_tagged_PIF), &bond));
    assert_string_equal(nf_str(nf, row_ref(vlan, FIELD_VLAN_untagged_PIF), FIELD_PIF_device), "bond0");
    struct uuid bond_row = db_first(nf->fx->db, CLASS_Bond)->uuid;
    fx_call(nf->fx, "Bond.destroy", "[$S, \"%s\"]", fx_ref(&bond_row));
    assert_true(uuid_eq(row_ref(fx_row(nf->fx, CLASS_VLAN, &v), FIELD_VLAN_tagged_PIF), &nf->pifs[0][2]));
}

static const char *refused(struct nf *nf, const struct uuid *network, const char *members, const char *mac,
                           const char *more) {
    return fx_fail(nf->fx, "Bond.create", "[$S, \"%s\", [%s], \"%s\"%s]", fx_ref(network), members, mac, more);
}

static char *quoted(const struct uuid *a, const struct uuid *b) {
    return strf("\"%s\",\"%s\"", fx_ref(a), fx_ref(b));
}

static void test_refused(void **state) {
    struct nf *nf = *state;
    struct uuid network = nf_network(nf, 1500);
    struct uuid(*p)[NICS] = nf->pifs;
    _cleanup_free_ char *good = quoted(&p[0][2], &p[0][3]), *cross = quoted(&p[0][2], &p[1][3]);
    assert_string_equal(refused(nf, &network, "", "", ""), "PIF_BOND_NEEDS_MORE_MEMBERS");
    assert_true(str_starts(refused(nf, &nf->networks[1], good, "", ""), "NETWORK_ALREADY_CONNECTED"));
    assert_string_equal(refused(nf, &network, good, "rubbish", ""), "MAC_INVALID rubbish");
    assert_string_equal(refused(nf, &network, cross, "", ""), "PIF_CANNOT_BOND_CROSS_HOST");
    assert_string_equal(refused(nf, &network, good, "", ",\"lacp\",{\"lacp-time\":\"never\"}"),
                        "INVALID_VALUE lacp-time never");
    fx_set(nf->fx, CLASS_PIF, &p[0][1], FIELD_PIF_ip_configuration_mode, value_string("DHCP"));
    _cleanup_free_ char *two_ips = quoted(&p[0][0], &p[0][1]);
    assert_string_equal(refused(nf, &network, two_ips, "", ""), "PIF_BOND_MORE_THAN_ONE_IP");
    nf_bond(nf, 0, &network, 2, 3);
    struct uuid other = nf_network(nf, 1500);
    _cleanup_free_ char *bonded = quoted(&p[0][1], &p[0][2]);
    assert_true(str_starts(refused(nf, &other, bonded, "", ""), "PIF_ALREADY_BONDED"));
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 1);
}

/* Nothing is left of a change that the host took back. */
static void test_rolled_back(void **state) {
    struct nf *nf = *state;
    struct uuid network = nf_network(nf, 9000);
    _cleanup_free_ char *members = quoted(&nf->pifs[1][0], &nf->pifs[1][1]);
    size_t n_pifs = db_count(nf->fx->db, CLASS_PIF);
    nf->obedience[1] = ROLL_BACK;
    _cleanup_free_ char *expected =
        strf("NETWORK_CHANGE_ROLLED_BACK %s eth1 does not pass 9000 bytes", fx_ref(&nf->fx->hosts[1]));
    assert_string_equal(refused(nf, &network, members, "", ""), expected);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 0);
    assert_int_equal(db_count(nf->fx->db, CLASS_PIF), n_pifs);
    assert_true(nf_bool(nf, &nf->pifs[1][0], FIELD_PIF_management));
    assert_string_equal(nf_str(nf, &nf->pifs[1][0], FIELD_PIF_IP), "10.0.0.2");
    assert_int_equal(row_int(fx_row(nf->fx, CLASS_network, &nf->networks[0]), FIELD_network_MTU), 1500);
    /* The same again, once the fault is mended. */
    nf->obedience[1] = OBEY;
    nf_bond(nf, 1, &network, 0, 1);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 1);
}

static void test_silent_and_dead(void **state) {
    struct nf *nf = *state;
    struct uuid network = nf_network(nf, 1500);
    _cleanup_free_ char *members = quoted(&nf->pifs[1][2], &nf->pifs[1][3]);
    nf->obedience[1] = SILENT;
    assert_true(str_starts(refused(nf, &network, members, "", ""), "NETWORK_CHANGE_TIMEOUT OpaqueRef:"));
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 0);
    nf_set_live(nf, 1, false);
    assert_true(str_starts(refused(nf, &network, members, "", ""), "HOST_OFFLINE OpaqueRef:"));
}

/* Two changes of one host come one after another, so the second sees what the first made. */
static void test_one_after_another(void **state) {
    struct nf *nf = *state;
    struct uuid a = nf_network(nf, 1500), b = nf_network(nf, 1500);
    struct answer *answers[2];
    const struct uuid *networks[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *params =
            strf("[$S, \"%s\", [\"%s\"], \"\"]", fx_ref(networks[i]), fx_ref(&nf->pifs[0][1 + i]));
        answers[i] = fx_start(nf->fx, false, false, "Bond.create", params);
    }
    loop_sim_advance(nf->fx->sim, 30);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 1);
    loop_sim_advance(nf->fx->sim, 1000);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 2);
    assert_non_null(db_first(nf->fx->db, CLASS_Bond));
    for (int i = 0; i < 2; i++) {
        assert_true(answers[i]->is_there && !answers[i]->error);
        answer_free(answers[i]);
    }
    unsigned n_bond1 = 0;
    for (const struct row *p = db_first(nf->fx->db, CLASS_PIF); p; p = db_next(nf->fx->db, p))
        n_bond1 += str_eq(row_str(p, FIELD_PIF_device), "bond1");
    assert_int_equal(n_bond1, 1);
}

static void test_mode_and_properties(void **state) {
    struct nf *nf = *state;
    struct uuid network = nf_network(nf, 1500);
    nf_bond(nf, 0, &network, 2, 3);
    struct uuid bond = db_first(nf->fx->db, CLASS_Bond)->uuid;
    const char *ref = fx_ref(&bond);
    assert_string_equal(fx_call(nf->fx, "Bond.get_properties", "[$S, \"%s\"]", ref), "{}");
    assert_true(str_starts(fx_fail(nf->fx, "Bond.set_property", "[$S, \"%s\", \"lacp-time\", \"fast\"]", ref),
                           "INVALID_VALUE name"));
    fx_call(nf->fx, "Bond.set_mode", "[$S, \"%s\", \"lacp\"]", ref);
    assert_non_null(strstr(fx_call(nf->fx, "Bond.get_properties", "[$S, \"%s\"]", ref), "\"lacp-time\":\"slow\""));
    fx_call(nf->fx, "Bond.set_property", "[$S, \"%s\", \"lacp-time\", \"fast\"]", ref);
    assert_non_null(strstr(fx_call(nf->fx, "Bond.get_properties", "[$S, \"%s\"]", ref), "\"lacp-time\":\"fast\""));
    fx_call(nf->fx, "Bond.set_mode", "[$S, \"%s\", \"balance-slb\"]", ref);
    assert_string_equal(fx_call(nf->fx, "Bond.get_properties", "[$S, \"%s\"]", ref), "{}");
    assert_true(str_starts(fx_fail(nf->fx, "Bond.set_mode", "[$S, \"%s\", \"magic\"]", ref), "INVALID_VALUE value"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_management_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vlans_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rolled_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_and_dead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_after_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mode_and_properties, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
