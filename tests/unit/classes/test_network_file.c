/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's network as one file: what is exported is taken back, what cannot be done is refused with its line. */
#include "base/str.h"
#include "classes/net_file_rows.h"
#include "net_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static int setup(void **state) {
    *state = nf_new(2);
    for (unsigned i = 0; i < 2; i++)
        fx_set(((struct nf *)*state)->fx, CLASS_host, &((struct nf *)*state)->fx->hosts[i], FIELD_host_name_label,
               value_stringf("h%u", i + 1));
    return 0;
}

static int teardown(void **state) {
    nf_free(*state);
    return 0;
}

static char *exported(struct nf *nf) {
    _cleanup_net_file_ struct net_file f = net_file_of_rows(nf->fx->db);
    return net_file_text(&f, NULL);
}

/* The text as a JSON string without its quotes. */
static char *quoted(const char *text) {
    struct buf b = BUF_INIT;
    for (; *text; text++)
        if (*text == '\n')
            buf_add_str(&b, "\\n");
        else if (*text == '"')
            buf_add_str(&b, "\\\"");
        else
            buf_add_char(&b, *text);
    return buf_take(&b);
}

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    assert_non_null(at);
    return strf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void apply(struct nf *nf, const char *text) {
    _cleanup_free_ char *json = quoted(text);
    fx_call(nf->fx, "pool.network_config_apply", "[$S, \"%s\"]", json);
}

static const char *refusal(struct nf *nf, const char *text) {
    _cleanup_free_ char *json = quoted(text);
    return fx_fail(nf->fx, "pool.network_config_apply", "[$S, \"%s\"]", json);
}

static void test_round_trip(void **state) {
    struct nf *nf = *state;
    struct uuid n = nf_network(nf, 9000), v = nf_network(nf, 9000);
    struct uuid bond = nf_bond(nf, 0, &n, 1, 2);
    fx_call(nf->fx, "VLAN.create", "[$S, \"%s\", 101, \"%s\"]", fx_ref(&bond), fx_ref(&v));
    _cleanup_free_ char *text = exported(nf);
    assert_non_null(strstr(text, "[bond h1 bond0]\nnics = eth1 eth2\nmode = active-backup\nprimary = eth1\n"));
    assert_non_null(strstr(text, "[vlan h1 bond0 101]\nnetwork = xapi1\n"));
    assert_non_null(strstr(text, "ipv4 = static 10.0.0.1/24\n"));
    _cleanup_net_file_ struct net_file f = {0};
    struct net_ops ops = {0};
    struct error *e = NULL;
    assert_true(net_file_parse(text, &f, &e));
    assert_true(net_file_to_ops(&f, nf->fx->db, &ops, &e));
    assert_int_equal(ops.n, 0); /* it is so already */
    _cleanup_free_ char *again = net_file_text(&f, NULL);
    assert_string_equal(text, again);
}

static void test_apply(void **state) {
    struct nf *nf = *state;
    _cleanup_free_ char *before = exported(nf);
    _cleanup_free_ char *with_network =
        strf("[network xapi7]\nname = a \"b\"\nmtu = 9000\n[network xapi8]\n%s\n"
             "[bond h2 bond0]\nnetwork = xapi7\nnics = eth3  eth2\nmode = lacp\nproperties = lacp-time=fast\n"
             "[vlan h2 bond0 7]\nnetwork = xapi8\nipv4 = static 10.7.0.1/16 gateway 10.7.0.254\ndns = 10.7.0.2\n",
             before);
    apply(nf, with_network);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 1);
    assert_int_equal(db_count(nf->fx->db, CLASS_VLAN), 1);
    const struct row *bond = db_first(nf->fx->db, CLASS_Bond);
    assert_int_equal(row_value(bond, FIELD_Bond_slaves)->set.n, 2);
    assert_true(uuid_eq(row_ref(bond, FIELD_Bond_primary_slave), &nf->pifs[1][2]));
    const struct row *vlan = db_first(nf->fx->db, CLASS_VLAN);
    struct uuid pif = *row_ref(vlan, FIELD_VLAN_untagged_PIF);
    assert_string_equal(nf_str(nf, &pif, FIELD_PIF_netmask), "255.255.0.0");
    assert_string_equal(nf_str(nf, &pif, FIELD_PIF_gateway), "10.7.0.254");
    /* what is exported now is as it is */
    _cleanup_free_ char *after = exported(nf);
    apply(nf, after);
    _cleanup_free_ char *again = exported(nf);
    assert_string_equal(after, again);
    /* and the first file takes all of it away */
    apply(nf, before);
    _cleanup_free_ char *back = exported(nf);
    assert_string_equal(before, back);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 0);
}

static void test_what_it_does_not_name(void **state) {
    struct nf *nf = *state;
    struct uuid n = nf_network(nf, 1500);
    nf_bond(nf, 1, &n, 1, 2);
    _cleanup_free_ char *text = exported(nf);
    char *h2 = strstr(text, "[nic h2");
    assert_non_null(h2);
    *h2 = 0; /* the other host is left as it is */
    apply(nf, text);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 1);
}

/* A NIC is there whether a file names it or not; what is made from it goes when the file does not name it. */
static void test_a_nic_does_not_go(void **state) {
    struct nf *nf = *state;
    struct uuid n = nf_network(nf, 1500);
    nf_bond(nf, 1, &n, 1, 2);
    _cleanup_free_ char *text = exported(nf), *before = exported(nf);
    char *nic = strstr(text, "[nic h2 eth3]"), *after = nic ? strchr(nic + 1, '[') : NULL;
    assert_non_null(after);
    memmove(nic, after, strlen(after) + 1);
    _cleanup_net_file_ struct net_file rows = net_file_of_rows(nf->fx->db), without = {0}, unbonded = {0};
    _cleanup_error_ struct error *e = NULL;
    assert_true(net_file_parse(text, &without, &e));
    _cleanup_free_ char *said = net_file_diff(&rows, &without);
    assert_string_equal(said, "");
    apply(nf, text);
    _cleanup_free_ char *now = exported(nf);
    assert_string_equal(before, now);

    char *bond = strstr(text, "[bond h2 bond0]"), *next = bond ? strchr(bond + 1, '[') : NULL;
    assert_non_null(bond);
    memmove(bond, next ? next : "", next ? strlen(next) + 1 : 1);
    assert_true(net_file_parse(text, &unbonded, &e));
    _cleanup_free_ char *says = net_file_diff(&rows, &unbonded);
    assert_string_equal(says, "bond h2 bond0 goes\n");
}

static void test_refusals(void **state) {
    struct nf *nf = *state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"[nic h1 eth0]", "[nick h1 eth0]", "there is no section 'nick'"},
        {"[nic h1 eth0]", "[nic h1]", "[nic HOST NIC]"},
        {"[nic h1 eth0]", "[nic h1 eth9]", "has no NIC 'eth9'"},
        {"[nic h1 eth0]", "[nic h7 eth0]", "there is no host 'h7'"},
        {"[nic h1 eth1]", "[nic h1 eth0]", "this section is there already"},
        {"ipv4 = static 10.0.0.1/24", "ipv4 = static 10.0.0.1", "none, dhcp, or static"},
        {"ipv4 = static 10.0.0.1/24", "ip = 1", "has no key 'ip'"},
        {"ipv4 = static 10.0.0.1/24", "management = yes", "'management' is there already"},
        {"management = yes", "management = no", "has 0 interfaces with 'management = yes'"},
        {"network = xenbr0", "network = xenbr1", "a NIC keeps the network that it was found with"},
        {"network = xenbr0", "network = xapi9", "the file has no section [network xapi9]"},
        {"mac = 02:00:00:00:00:00", "mac = 02:00:00:00:00:09", "is its own and cannot be set"},
        {"[nic h1 eth0]", "[bond h1 bond0]\nnics = eth0 eth1\nnetwork = xenbr3\n[nic h1 eth0]", "no address"},
        {"[nic h1 eth0]", "[bond h1 trunk]\nnics = eth2 eth1\nnetwork = xenbr3\n[nic h1 eth0]", "bond0, bond1"},
        {"[nic h1 eth0]", "[bond h1 bond0]\nnics = eth2 eth1\nnetwork = xenbr3\n[nic h1 eth0]", "another interface on"},
        {"[nic h1 eth0]", "[vlan h1 eth7 7]\nnetwork = xenbr3\n[nic h1 eth0]", "below this VLAN"},
    };
    _cleanup_free_ char *before = exported(nf);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = replaced(before, cases[i].from, cases[i].to);
        const char *said = refusal(nf, text);
        if (!str_starts(said, "NETWORK_CONFIG_INVALID ") || !strstr(said, cases[i].says))
            fail_msg("'%s' -> '%s': %s", cases[i].from, cases[i].to, said);
        int line = 0;
        assert_int_equal(sscanf(said, "NETWORK_CONFIG_INVALID %d", &line), 1);
        assert_true(line > 1);
    }
    _cleanup_free_ char *after = exported(nf);
    assert_string_equal(before, after);
}

static void test_diff(void **state) {
    struct nf *nf = *state;
    _cleanup_free_ char *before = exported(nf);
    _cleanup_free_ char *text = replaced(before, "[network xenbr1]\n", "[network xenbr1]\nmtu = 9000\n");
    _cleanup_free_ char *json = quoted(text);
    const char *said = fx_call(nf->fx, "pool.network_config_diff", "[$S, \"%s\"]", json);
    assert_non_null(strstr(said, "line 4: network xenbr1: mtu '1500' becomes '9000'"));
    said = fx_call(nf->fx, "pool.network_config_diff", "[$S, \"\"]");
    assert_string_equal(said, "\"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_it_does_not_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_nic_does_not_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diff, setup, teardown),
    };
    return cmocka_run_group_tests_name("network_file", tests, NULL, NULL);
}
