/* SPDX-License-Identifier: Apache-2.0 */
/* A host's repair as the pool has it: made, merged, made permanent, taken back; and what cannot be. */
#include "base/str.h"
#include "classes/net_file_rows.h"
#include "model/model_keys.h"
#include "net/net_wanted.h"
#include "net_fixture.h"
#include <stdarg.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static struct uuid bond;

/* h1 has management on eth0, a bond of eth1 and eth2 with VLAN 101. */
static int setup(void **state) {
    struct nf *nf = *state = nf_new(2);
    for (unsigned i = 0; i < 2; i++)
        fx_set(nf->fx, CLASS_host, &nf->fx->hosts[i], FIELD_host_name_label, value_stringf("h%u", i + 1));
    struct uuid n = nf_network(nf, 9000), v = nf_network(nf, 9000);
    bond = nf_bond(nf, 0, &n, 1, 2);
    fx_call(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", fx_ref(&bond), fx_ref(&v));
    return 0;
}

static int teardown(void **state) {
    nf_free(*state);
    return 0;
}

static const char *host(struct nf *nf) {
    return fx_ref(&nf->fx->hosts[0]);
}

static const char *record(struct nf *nf) {
    const struct row *h = db_get(nf->fx->db, CLASS_host, &nf->fx->hosts[0]);
    return value_map_str(row_value(h, FIELD_host_other_config), NET_REPAIR_ROW_KEY);
}

static struct net_config *wanted(struct nf *nf) {
    struct error *e = NULL;
    struct net_config *c = net_wanted(nf->fx->db, &nf->fx->hosts[0], &e);
    if (!c)
        fail_msg("%s", error_text(e));
    return c;
}

static void expect(struct nf *nf, const char *bridge, unsigned n_legs, int mtu) {
    _cleanup_net_config_ struct net_config *c = wanted(nf);
    const struct net_bridge *b = net_config_bridge(c, bridge);
    assert_non_null(b);
    assert_int_equal(b->n_legs, n_legs);
    assert_int_equal(b->mtu, mtu);
}

static void test_made_and_withdrawn(void **state) {
    struct nf *nf = *state;
    fx_call(nf->fx, "host.network_repair", "[$S, \"%s\", {\"drop_leg\": \"eth1\"}]", host(nf));
    expect(nf, "xapi0", 1, 9000);
    fx_call(nf->fx, "host.network_repair", "[$S, \"%s\", {\"set_mtu\": \"1400\"}]", host(nf));
    expect(nf, "xapi0", 1, 9000);
    expect(nf, "xenbr0", 1, 1400);
    assert_non_null(strstr(record(nf), "eth1")); /* both are in force */
    assert_string_equal(nf_str(nf, &nf->pifs[0][1], FIELD_PIF_device), "eth1");
    fx_call(nf->fx, "host.network_repair_withdraw", "[$S, \"%s\"]", host(nf));
    assert_null(record(nf));
    expect(nf, "xapi0", 2, 9000);
    assert_true(
        str_starts(fx_fail(nf->fx, "host.network_repair_withdraw", "[$S, \"%s\"]", host(nf)), "OPERATION_NOT_ALLOWED"));
}

static void test_a_host_that_goes_back_keeps_it_away(void **state) {
    struct nf *nf = *state;
    nf->obedience[0] = ROLL_BACK;
    assert_true(str_starts(fx_fail(nf->fx, "host.network_repair", "[$S, \"%s\", {\"set_mtu\": \"1400\"}]", host(nf)),
                           "NETWORK_CHANGE_ROLLED_BACK"));
    assert_null(record(nf));
}

static void test_refusals(void **state) {
    struct nf *nf = *state;
    static const char *const cases[][2] = {
        {"{}", "INVALID_VALUE what"},
        {"{\"set_mtu\": \"9\"}", "INVALID_VALUE set_mtu"},
        {"{\"drop_leg\": \"eth1,eth2\"}", "OPERATION_NOT_ALLOWED 'eth2' is the only leg of bond 'bond0'"},
        {"{\"drop_leg\": \"eth9\"}", "OPERATION_NOT_ALLOWED 'eth9' is no NIC of this host; it has eth0, eth1"},
        {"{\"whole\": \"x\"}", "NET_REPAIR_CORRUPT"},
        {"{\"eth1\": \"x\"}", "INVALID_VALUE eth1 there are set_mtu, drop_leg, management_on and whole"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *said = fx_fail(nf->fx, "host.network_repair", "[$S, \"%s\", %s]", host(nf), cases[i][0]);
        if (!str_starts(said, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], said);
    }
    assert_null(record(nf));
}

static void keep(struct nf *nf) {
    char before[NET_HASH_TEXT_SIZE], after[NET_HASH_TEXT_SIZE];
    _cleanup_net_config_ struct net_config *was = wanted(nf);
    fx_call(nf->fx, "host.network_repair_keep", "[$S, \"%s\"]", host(nf));
    _cleanup_net_config_ struct net_config *is = wanted(nf);
    net_config_hash(was, before);
    net_config_hash(is, after);
    assert_string_equal(before, after); /* for the host nothing changes */
    assert_null(record(nf));
}

static void test_made_permanent(void **state) {
    struct nf *nf = *state;
    fx_call(nf->fx, "host.network_repair", "[$S, \"%s\", {\"drop_leg\": \"eth2\", \"set_mtu\": \"1400\"}]", host(nf));
    keep(nf);
    expect(nf, "xapi0", 1, 9000);
    assert_false(nf_bool(nf, &nf->pifs[0][2], FIELD_PIF_plugged)); /* it does not stand alone all of a sudden */
    fx_call(nf->fx, "host.network_repair", "[$S, \"%s\", {\"management_on\": \"eth3\"}]", host(nf));
    keep(nf);
    assert_true(nf_bool(nf, &nf->pifs[0][3], FIELD_PIF_management));
    assert_false(nf_bool(nf, &nf->pifs[0][0], FIELD_PIF_management));
    assert_string_equal(nf_str(nf, &nf->pifs[0][3], FIELD_PIF_IP), "10.0.0.1");
}

static void test_a_reset_made_permanent_takes_bonds_and_vlans_away(void **state) {
    struct nf *nf = *state;
    const struct row *h = db_get(nf->fx->db, CLASS_host, &nf->fx->hosts[0]);
    struct value map = value_copy(row_value(h, FIELD_host_other_config));
    value_map_put(
        &map, NET_REPAIR_ROW_KEY,
        value_string("{\"format\":\"muster-repair\",\"version\":1,\"reset\":{\"device\":\"eth1\",\"mtu\":1500,"
                     "\"ip4\":{\"mode\":\"static\",\"address\":\"10.0.0.1/24\"}}}"));
    fx_set(nf->fx, CLASS_host, &nf->fx->hosts[0], FIELD_host_other_config, map);
    keep(nf);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 0);
    assert_int_equal(db_count(nf->fx->db, CLASS_VLAN), 0);
    assert_true(nf_bool(nf, &nf->pifs[0][1], FIELD_PIF_management));
}

static void test_reset_networking_ends_it(void **state) {
    struct nf *nf = *state;
    fx_call(nf->fx, "host.network_repair", "[$S, \"%s\", {\"set_mtu\": \"1400\"}]", host(nf));
    fx_call(nf->fx, "host.reset_networking", "[$S, \"%s\"]", host(nf));
    assert_null(record(nf));
    for (const struct row *p = db_first(nf->fx->db, CLASS_PIF); p; p = db_next(nf->fx->db, p))
        assert_false(uuid_eq(row_ref(p, FIELD_PIF_host), &nf->fx->hosts[0]));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_made_and_withdrawn),
        T(test_a_host_that_goes_back_keeps_it_away),
        T(test_refusals),
        T(test_made_permanent),
        T(test_reset_networking_ends_it),
        T(test_a_reset_made_permanent_takes_bonds_and_vlans_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
