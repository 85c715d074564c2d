/* SPDX-License-Identifier: Apache-2.0 */
/* The next boot on the model: nothing to say of a host that is as its disk has it, one sentence for each thing that is
 * not. */
#include "base/str.h"
#include "net/net_model.h"
#include "net/net_rehearse.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

struct fx {
    struct net_config *config;
    struct net_observed *is;
    struct net_rehearsal rehearsal;
    struct net_differences differences;
};

/* Two legs at 9000 under a bond with management in a VLAN, another NIC by itself. */
static struct net_config *make_config(void) {
    struct net_config *c = net_config_new();
    struct net_mac mac;
    for (int i = 0; i < 3; i++) {
        net_name name;
        snprintf(name, sizeof(name), "eth%d", i);
        mac = (struct net_mac){{0x52, 0x54, 0, 0, 0, (uint8_t)i}};
        net_config_add_nic(c, name, &mac);
    }
    struct net_bridge *b = net_config_add_bridge(c, "xapi0", NET_PURPOSE_BOND);
    b->mtu = 9000;
    net_bridge_add_leg(b, "eth0");
    net_bridge_add_leg(b, "eth1");
    (void)net_name_set(b->bond.name, "bond0");
    b = net_config_add_bridge(c, "xapi1", NET_PURPOSE_VLAN);
    b->tag = 42;
    (void)net_name_set(b->parent, "xapi0");
    b->ip4.mode = NET_IP_STATIC;
    assert_true(net_addr_parse("10.1.0.11/24", &b->ip4.address));
    assert_true(net_addr_parse("10.1.0.1", &b->ip4.gateway));
    b = net_config_add_bridge(c, "xenbr2", NET_PURPOSE_NIC);
    net_bridge_add_leg(b, "eth2");
    (void)net_name_set(c->management, "xapi1");
    net_config_set_host_name(c, "h1");
    return c;
}

static struct net_observed *bare(void) {
    struct net_observed *o = net_observed_new();
    net_observed_add_link(o, "lo", NET_LINK_LOOPBACK)->up = true;
    for (int i = 0; i < 3; i++) {
        net_name name;
        snprintf(name, sizeof(name), "eth%d", i);
        struct net_obs_link *l = net_observed_add_link(o, name, NET_LINK_PHYSICAL);
        l->mac = (struct net_mac){{0x52, 0x54, 0, 0, 0, (uint8_t)i}};
        l->mtu = 1500;
        l->max_mtu = 9216;
        l->carrier = true;
    }
    return o;
}

static void again(struct fx *fx) {
    struct error *e = NULL;
    net_rehearsal_done(&fx->rehearsal);
    net_differences_done(&fx->differences);
    assert_true(net_rehearse(fx->config, fx->is, &fx->rehearsal, &e));
    net_rehearse_compare(fx->config, fx->is, fx->rehearsal.then, &fx->differences);
}

static int setup(void **state) {
    struct fx *fx = xnew0(struct fx);
    struct error *e = NULL;
    fx->config = make_config();
    _cleanup_net_observed_ struct net_observed *start = bare();
    struct net_rehearsal first;
    assert_true(net_rehearse(fx->config, start, &first, &e));
    assert_int_equal(first.problems.n, 0);
    fx->is = TAKE(first.then); /* a host that has booted */
    net_rehearsal_done(&first);
    *state = fx;
    again(fx);
    return 0;
}

static int teardown(void **state) {
    struct fx *fx = *state;
    net_rehearsal_done(&fx->rehearsal);
    net_differences_done(&fx->differences);
    net_observed_free(fx->is);
    net_config_free(fx->config);
    free(fx);
    return 0;
}

static struct net_obs_link *link_of(struct fx *fx, const char *name) {
    struct net_obs_link *l = net_observed_link(fx->is, name);
    assert_non_null(l);
    return l;
}

static void assert_only(const struct fx *fx, const char *text, bool management, bool less) {
    assert_int_equal(fx->differences.n, 1);
    assert_string_equal(fx->differences.items[0].text, text);
    assert_int_equal(fx->differences.items[0].is_management, management);
    assert_int_equal(fx->differences.items[0].is_less, less);
}

static void test_healthy(void **state) {
    struct fx *fx = *state;
    assert_int_equal(fx->rehearsal.problems.n, 0);
    assert_int_equal(fx->differences.n, 0);
    assert_int_equal(link_of(fx, "eth1")->mtu, 9000);
    struct net_addr a;
    assert_true(net_addr_parse("10.1.0.11/24", &a));
    assert_true(net_observed_has_addr(fx->rehearsal.then, "xapi1", &a));
}

static void test_after_cut(void **state) {
    struct fx *fx = *state;
    _cleanup_net_observed_ struct net_observed *cut = net_observed_after_cut(fx->is);
    assert_int_equal(cut->n_links, 4); /* the loopback and the NICs */
    assert_int_equal(cut->n_addrs, 0);
    assert_int_equal(cut->n_routes, 0);
    assert_int_equal(net_observed_link(cut, "eth0")->mtu, 1500);
    assert_false(net_observed_link(cut, "eth0")->up);
    assert_false(cut->switch_running);
    assert_int_equal(cut->n_bridges, fx->is->n_bridges); /* the switch's file is there after a cut */
}

static void test_mtu_by_hand(void **state) {
    struct fx *fx = *state;
    link_of(fx, "eth1")->mtu = 1500;
    again(fx);
    assert_only(fx, "NIC 'eth1' has MTU 1500 now; a boot would make it 9000", true, false);
    link_of(fx, "eth1")->mtu = 9000;
    link_of(fx, "eth2")->mtu = 1400;
    again(fx);
    assert_only(fx, "NIC 'eth2' has MTU 1400 now; a boot would make it 1500", false, false);
}

static void test_address_by_hand(void **state) {
    struct fx *fx = *state;
    for (unsigned i = 0; i < fx->is->n_addrs; i++)
        if (str_eq(fx->is->addrs[i].link, "xapi1"))
            assert_true(net_addr_parse("10.1.0.12/24", &fx->is->addrs[i].addr));
    again(fx);
    assert_int_equal(fx->differences.n, 2);
    assert_string_equal(fx->differences.items[0].text,
                        "bridge 'xapi1' does not have the address 10.1.0.11/24 now; a boot would give it");
    assert_string_equal(fx->differences.items[1].text,
                        "bridge 'xapi1' has the address 10.1.0.12/24 now, which a boot would not give it");
    assert_false(fx->differences.items[0].is_less);
    assert_true(fx->differences.items[1].is_less);
}

static void test_route_by_hand(void **state) {
    struct fx *fx = *state;
    struct net_route r = {.table = 254, .proto = NET_ROUTE_PROTO_BOOT};
    assert_true(net_addr_parse("10.77.0.0/16", &r.dst) && net_addr_parse("10.1.0.2", &r.gateway));
    (void)net_name_set(r.dev, "xapi1");
    net_observed_add_route(fx->is, &r);
    again(fx);
    assert_only(fx, "there is a route to 10.77.0.0/16 via 10.1.0.2 by 'xapi1' now, which a boot would not make", true,
                true);
}

static void test_leg_by_hand(void **state) {
    struct fx *fx = *state;
    struct net_obs_port *p = net_observed_port_of_iface(fx->is, "eth1");
    struct net_obs_iface *row = net_observed_iface(fx->is, "eth1");
    assert_true(p && row && str_eq(p->ifaces[1], "eth1"));
    p->n_ifaces = 1; /* ovs-vsctl del-bond-iface */
    *row = fx->is->ifaces[--fx->is->n_ifaces];
    again(fx);
    assert_only(fx, "bridge 'xapi0' has the legs eth0 now; a boot would give it eth0, eth1", true, false);
}

static void test_switched_off(void **state) {
    struct fx *fx = *state;
    link_of(fx, "xenbr2")->up = false;
    again(fx);
    assert_only(fx, "bridge 'xenbr2' is switched off now; a boot would switch it on", false, false);
}

static void test_nic_gone(void **state) {
    struct fx *fx = *state;
    struct net_obs_link *l = link_of(fx, "eth1");
    l->mac = l->permanent_mac = (struct net_mac){{2, 2, 2, 2, 2, 2}};
    (void)net_name_set(l->name, "eth9");
    again(fx);
    assert_int_equal(fx->rehearsal.problems.n, 1);
    assert_int_equal(fx->rehearsal.problems.items[0].code, NET_FAULT_NIC_MISSING);
    assert_non_null(fx->rehearsal.problems.items[0].cure);
}

static void test_driver_limit(void **state) {
    struct fx *fx = *state;
    link_of(fx, "eth0")->max_mtu = 4000;
    again(fx);
    assert_true(net_problems_find(&fx->rehearsal.problems, NET_FAULT_MTU_REFUSED, "eth0") != NULL);
}

static void test_invalid(void **state) {
    struct fx *fx = *state;
    struct net_rehearsal r = {0};
    struct error *e = NULL;
    (void)net_name_set(net_config_bridge(fx->config, "xapi1")->parent, "xapi7");
    assert_false(net_rehearse(fx->config, fx->is, &r, &e));
    assert_true(error_is(e, ERR_NET_CONFIG_INVALID));
    error_free(e);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_healthy),       TEST(test_after_cut),   TEST(test_mtu_by_hand),  TEST(test_address_by_hand),
        TEST(test_route_by_hand), TEST(test_leg_by_hand), TEST(test_switched_off), TEST(test_nic_gone),
        TEST(test_driver_limit),  TEST(test_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
