/* SPDX-License-Identifier: Apache-2.0 */
/* What each repair makes of a host's network, what it leaves alone, and what it refuses with which cure. */
#include "net/net_repair.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Management (9000) on bond0 of eth0 and eth1, VLAN 42 (9000) and 43 (1500) on it, eth2 alone, eth3 free. */
static struct net_config *host(void) {
    struct net_config *c = net_config_new();
    for (unsigned i = 0; i < 4; i++) {
        struct net_mac mac = {{2, 0, 0, 0, 0, (uint8_t)(i + 1)}};
        _cleanup_free_ char *name = strf("eth%u", i);
        net_config_add_nic(c, name, &mac);
    }
    struct net_bridge *b = net_config_add_bridge(c, "xapi0", NET_PURPOSE_BOND);
    net_bridge_add_leg(b, "eth0");
    net_bridge_add_leg(b, "eth1");
    assert_true(net_name_set(b->bond.name, "bond0") && net_name_set(b->bond.primary, "eth0"));
    b->mtu = 9000;
    b->ip4.mode = NET_IP_STATIC;
    assert_true(net_addr_parse("10.9.0.12/24", &b->ip4.address) && net_addr_parse("10.9.0.1", &b->ip4.gateway));
    b->n_dns = 1;
    assert_true(net_addr_parse("10.9.0.2", &b->dns[0]));
    for (unsigned i = 0; i < 2; i++) {
        struct net_bridge *v = net_config_add_bridge(c, i ? "xapi2" : "xapi1", NET_PURPOSE_VLAN);
        assert_true(net_name_set(v->parent, "xapi0"));
        v->tag = 42 + (int)i;
        v->mtu = i ? 1500 : 9000;
    }
    b = net_config_add_bridge(c, "xenbr2", NET_PURPOSE_NIC);
    net_bridge_add_leg(b, "eth2");
    assert_true(net_name_set(c->management, "xapi0"));
    struct error *e = NULL;
    assert_true(net_config_validate(c, &e));
    return c;
}

static void apply(const struct net_repair *r, struct net_config *c) {
    struct error *e = NULL;
    if (!net_repair_apply(r, c, &e))
        fail_msg("%s", error_text(e));
    /* Twice is once: the coordinator lays it over rows, the host over what it has. */
    char once[NET_HASH_TEXT_SIZE], twice[NET_HASH_TEXT_SIZE];
    net_config_hash(c, once);
    assert_true(net_repair_apply(r, c, &e));
    net_config_hash(c, twice);
    assert_string_equal(once, twice);
}

static void refuse(const struct net_repair *r, const char *words) {
    _cleanup_net_config_ struct net_config *c = host();
    struct error *e = NULL;
    char before[NET_HASH_TEXT_SIZE], after[NET_HASH_TEXT_SIZE];
    net_config_hash(c, before);
    assert_false(net_repair_apply(r, c, &e));
    net_config_hash(c, after);
    assert_string_equal(before, after);
    if (!strstr(error_text(e), words))
        fail_msg("'%s' does not say '%s'", error_text(e), words);
    error_free(e);
}

static void expect_diff(const struct net_config *to, const char *expected) {
    _cleanup_net_config_ struct net_config *from = host();
    _cleanup_free_ char *diff = net_config_diff_text(from, to);
    assert_string_equal(diff, expected);
}

static void test_mtu(void **unused) {
    _cleanup_net_config_ struct net_config *c = host();
    apply(&(struct net_repair){.mtu = 1500}, c);
    expect_diff(c, "bridge xapi0: MTU '9000' becomes '1500'\n"
                   "bridge xapi1: MTU '9000' becomes '1500'\n");
}

static void test_mtu_of_management_in_a_vlan(void **unused) {
    _cleanup_net_config_ struct net_config *c = host();
    struct net_bridge *v = net_config_bridge(c, "xapi1"), *b = net_config_bridge(c, "xapi0");
    v->ip4 = b->ip4;
    b->ip4 = (struct net_ip){0};
    assert_true(net_name_set(c->management, "xapi1"));
    apply(&(struct net_repair){.mtu = 2000}, c);
    assert_int_equal(net_config_bridge(c, "xapi0")->mtu, 2000);
    assert_int_equal(net_config_bridge(c, "xapi1")->mtu, 2000);
    assert_int_equal(net_config_bridge(c, "xapi2")->mtu, 1500);
    assert_int_equal(net_config_bridge(c, "xenbr2")->mtu, 1500);
}

static void test_drop_leg(void **unused) {
    _cleanup_net_config_ struct net_config *c = host();
    apply(&(struct net_repair){.n_drops = 1, .drops = {"eth0"}}, c);
    expect_diff(c, "bridge xapi0: legs 'eth0+eth1' becomes 'eth1'\n"
                   "bridge xapi0: bond 'bond0 active-backup primary eth0 key 0 updelay 31000 downdelay 200' becomes "
                   "'bond0 active-backup primary eth1 key 0 updelay 31000 downdelay 200'\n");
    refuse(&(struct net_repair){.n_drops = 2, .drops = {"eth0", "eth1"}}, "only leg of bond 'bond0'");
    refuse(&(struct net_repair){.n_drops = 1, .drops = {"eth9"}}, "no NIC of this host; it has eth0, eth1, eth2, eth3");
    _cleanup_net_config_ struct net_config *same = host();
    apply(&(struct net_repair){.n_drops = 1, .drops = {"eth2"}}, same); /* in no bond */
    expect_diff(same, "");
}

static void test_management_on_a_leg(void **unused) {
    _cleanup_net_config_ struct net_config *c = host();
    apply(&(struct net_repair){.management_on = "eth0"}, c);
    expect_diff(c, "bridge xapi0: legs 'eth0+eth1' becomes 'eth1'\n"
                   "bridge xapi0: bond 'bond0 active-backup primary eth0 key 0 updelay 31000 downdelay 200' becomes "
                   "'bond0 active-backup primary eth1 key 0 updelay 31000 downdelay 200'\n"
                   "bridge xapi0: IPv4 'static 10.9.0.12/24 via 10.9.0.1' becomes 'none'\n"
                   "bridge xapi0: DNS '10.9.0.2' becomes ''\n"
                   "bridge xenbr0 (nic eth0, MTU 9000) comes\n"
                   "management moves from 'xapi0' to 'xenbr0'\n");
}

static void test_management_on_another_nic(void **unused) {
    _cleanup_net_config_ struct net_config *c = host(), *d = host();
    apply(&(struct net_repair){.management_on = "eth2", .mtu = 1500}, c);
    assert_string_equal(c->management, "xenbr2");
    assert_int_equal(net_config_bridge(c, "xapi0")->n_legs, 2);
    assert_int_equal(net_config_bridge(c, "xapi0")->mtu, 9000);
    assert_int_equal(net_config_bridge(c, "xenbr2")->mtu, 1500);
    apply(&(struct net_repair){.management_on = "eth3"}, d);
    assert_string_equal(d->management, "xenbr3");
    net_config_bridge(d, "xenbr2")->ip4.mode = NET_IP_DHCP;
    struct error *e = NULL;
    assert_false(net_repair_apply(&(struct net_repair){.management_on = "eth2"}, d, &e));
    assert_non_null(strstr(error_text(e), "an address of its own (DHCP)"));
    error_free(e);
}

static void test_management_in_a_vlan_moves_with_its_tag(void **unused) {
    _cleanup_net_config_ struct net_config *c = host();
    struct net_bridge *v = net_config_bridge(c, "xapi1"), *b = net_config_bridge(c, "xapi0");
    v->ip4 = b->ip4;
    b->ip4 = (struct net_ip){0};
    assert_true(net_name_set(c->management, "xapi1"));
    apply(&(struct net_repair){.management_on = "eth3"}, c);
    assert_string_equal(c->management, "xapi1");
    assert_string_equal(net_config_bridge(c, "xapi1")->parent, "xenbr3");
    assert_string_equal(net_config_bridge(c, "xapi2")->parent, "xapi0");
    assert_int_equal(net_config_bridge(c, "xenbr3")->mtu, 9000);
}

static struct net_repair reset_of(int vlan) {
    struct net_repair r = {.reset = {.device = "eth1", .vlan = vlan, .mtu = 1500}};
    r.reset.ip4.mode = NET_IP_STATIC;
    assert_true(net_addr_parse("10.9.0.12/24", &r.reset.ip4.address));
    return r;
}

static void test_reset(void **unused) {
    _cleanup_net_config_ struct net_config *c = host(), *d = host();
    struct net_repair r = reset_of(0);
    apply(&r, c);
    assert_int_equal(c->n_bridges, 1);
    assert_int_equal(c->n_nics, 4);
    assert_string_equal(c->management, "xenbr1");
    r = reset_of(7);
    apply(&r, d);
    assert_int_equal(d->n_bridges, 2);
    assert_string_equal(d->management, "xapi0");
    assert_string_equal(net_config_bridge(d, "xapi0")->parent, "xenbr1");
    r.reset.ip4.mode = NET_IP_NONE;
    refuse(&r, "no IP configuration");
}

static void test_whole(void **unused) {
    _cleanup_net_config_ struct net_config *c = host();
    _cleanup_net_repair_ struct net_repair r = {.whole = host()};
    net_config_bridge(r.whole, "xapi0")->mtu = 1500;
    net_config_bridge(r.whole, "xapi1")->mtu = 1500;
    apply(&r, c);
    expect_diff(c, "bridge xapi0: MTU '9000' becomes '1500'\n"
                   "bridge xapi1: MTU '9000' becomes '1500'\n");
}

static void test_one_after_the_other(void **unused) {
    _cleanup_net_repair_ struct net_repair r = {.mtu = 1500, .id = "1"};
    _cleanup_net_config_ struct net_config *c = host();
    net_repair_add(&r, &(struct net_repair){.n_drops = 1, .drops = {"eth1"}, .id = "2"});
    net_repair_add(&r, &(struct net_repair){.n_drops = 1, .drops = {"eth1"}, .id = "3"});
    assert_string_equal(r.id, "3");
    assert_int_equal(r.n_drops, 1);
    apply(&r, c);
    assert_int_equal(net_config_bridge(c, "xapi0")->mtu, 1500);
    assert_int_equal(net_config_bridge(c, "xapi0")->n_legs, 1);
    _cleanup_free_ char *words = net_repair_words(&r);
    assert_string_equal(words, "leg eth1 out of its bond, MTU 1500 on management");
    struct net_repair all = reset_of(0);
    net_repair_add(&r, &all);
    assert_int_equal(r.mtu, 0);
    assert_false(net_repair_is_empty(&r));
}

static void test_text(void **unused) {
    _cleanup_net_repair_ struct net_repair r = reset_of(42), back = {0};
    r.whole = host();
    r.mtu = 1500;
    r.since = 1700000000;
    r.state = NET_REPAIR_RECORDED;
    r.n_drops = 1;
    assert_true(net_name_set(r.drops[0], "eth1") && net_name_set(r.management_on, "eth0"));
    assert_true(str_copy(r.by, sizeof(r.by), "root on the console") && str_copy(r.id, sizeof(r.id), "abc"));
    _cleanup_free_ char *text = net_repair_to_json(&r);
    struct error *e = NULL;
    if (!net_repair_from_json(text, strlen(text), &back, &e))
        fail_msg("%s", error_text(e));
    _cleanup_free_ char *again = net_repair_to_json(&back);
    assert_string_equal(text, again);
    for (size_t n = 0; n < strlen(text); n++) {
        struct net_repair cut;
        assert_false(net_repair_from_json(text, n, &cut, &e));
        error_free(e);
        e = NULL;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mtu),
        cmocka_unit_test(test_mtu_of_management_in_a_vlan),
        cmocka_unit_test(test_drop_leg),
        cmocka_unit_test(test_management_on_a_leg),
        cmocka_unit_test(test_management_on_another_nic),
        cmocka_unit_test(test_management_in_a_vlan_moves_with_its_tag),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
