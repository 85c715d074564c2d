/* SPDX-License-Identifier: Apache-2.0 */
/* The applier on a host in memory, with plans written by hand. */
#include "net/net_apply.h"

#include "base/str.h"
#include "fake_host.h"
#include "net/net_lease.h"
#include "net/net_services.h"

#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct fake_host h;
static struct net_step steps[8];
static struct net_plan plan;
static struct net_apply_env env;

static int setup(void **unused) {
    fake_host_init(&h);
    memset(steps, 0, sizeof steps);
    plan = (struct net_plan){.steps = steps};
    env = (struct net_apply_env){.link = h.link, .ovs = h.ovs};
    return 0;
}
static int teardown(void **unused) {
    fake_host_done(&h);
    return 0;
}

static struct net_step *step(enum net_op op, const char *link) {
    struct net_step *s = &steps[plan.n_steps++];
    s->op = op;
    s->phase = NET_PHASE_WITH_SWITCH;
    s->reason = (char *)"a test";
    assert_true(str_copy(s->link, sizeof s->link, link));
    return s;
}

static struct net_step *address_step(const char *link, const char *text) {
    struct net_step *s = step(NET_OP_ADDR_ADD, link);
    assert_true(net_addr_parse(text, &s->addr));
    return s;
}

static void expect(struct net_step *s, struct net_expect *e, enum net_expect_kind kind, const char *name, int value) {
    *e = (struct net_expect){.kind = kind, .value = value};
    assert_true(str_copy(e->name, sizeof e->name, name));
    s->expects = e;
    s->n_expects = 1;
}

static bool apply(unsigned phases, struct net_apply_result *ret, struct error **errp) {
    *errp = NULL;
    return net_apply(&env, &plan, phases, ret, errp);
}

static bool has_address(const char *link, const char *text) {
    struct link_info info;
    struct net_addr wanted;
    _cleanup_(link_addresses_done) struct link_addresses all = {0};
    assert_int_equal(link_find(h.link, link, &info), 0);
    assert_true(net_addr_parse(text, &wanted));
    assert_int_equal(link_list_addresses(h.link, &all), 0);
    for (size_t i = 0; i < all.n; i++) {
        struct net_addr a = net_from_link_ip(&all.items[i].ip, all.items[i].prefix_len);
        if (all.items[i].index == info.index && net_addr_eq(&a, &wanted))
            return true;
    }
    return false;
}

static void test_a_failure_stops_or_is_noted_or_is_nothing(void **unused) {
    step(NET_OP_LINK_UP, "nope")->on_fail = NET_FAIL_IGNORE;
    struct net_step *noted = step(NET_OP_LINK_MTU, "eth0");
    noted->mtu = 60000;
    noted->on_fail = NET_FAIL_FAULT;
    noted->fail_code = NET_FAULT_MTU_REFUSED;
    step(NET_OP_LINK_UP, "eth0");
    step(NET_OP_LINK_UP, "nope"); /* stops */
    step(NET_OP_LINK_UP, "eth1");
    struct net_apply_result r;
    struct error *e;
    assert_false(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_true(error_is(e, ERR_NET_STEP_FAILED));
    assert_non_null(strstr(error_text(e), "nope"));
    assert_int_equal(r.n_done, 3);
    const struct net_problem *p = net_problems_find(&r.problems, NET_FAULT_MTU_REFUSED, "eth0");
    assert_non_null(p);
    assert_non_null(strstr(p->text, "60000"));
    assert_non_null(strstr(p->text, "1500"));
    struct link_info info;
    assert_int_equal(link_find(h.link, "eth0", &info), 0);
    assert_true(info.up);
    assert_int_equal(link_find(h.link, "eth1", &info), 0);
    assert_false(info.up); /* behind the stop */
    error_free(e);
    net_apply_result_done(&r);
}

static void test_phases_are_kept_apart(void **unused) {
    step(NET_OP_LINK_UP, "eth0")->phase = NET_PHASE_BEFORE_SWITCH;
    step(NET_OP_LINK_UP, "eth1");
    struct net_apply_result r;
    struct error *e;
    struct link_info info;
    assert_true(apply(NET_APPLY_BEFORE_SWITCH, &r, &e));
    assert_int_equal(r.n_done, 1);
    assert_int_equal(link_find(h.link, "eth1", &info), 0);
    assert_false(info.up);
    net_apply_result_done(&r);
    assert_true(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_int_equal(link_find(h.link, "eth1", &info), 0);
    assert_true(info.up);
    net_apply_result_done(&r);
}

static void test_the_failing_step_of_a_batch_is_named(void **unused) {
    address_step("eth0", "10.1.0.1/24")->batch = 1;
    address_step("eth0", "10.2.0.1/24")->batch = 1;
    address_step("eth0", "10.3.0.1/24")->batch = 2;
    struct net_apply_result r;
    struct error *e;
    link_fake_fail_next(h.link, -EPERM);
    assert_false(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_non_null(strstr(error_text(e), "10.1.0.1/24"));
    assert_false(has_address("eth0", "10.3.0.1/24")); /* the next batch was not begun */
    error_free(e);
    net_apply_result_done(&r);
    assert_true(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_int_equal(r.n_done, 3);
    assert_true(has_address("eth0", "10.1.0.1/24") && has_address("eth0", "10.3.0.1/24"));
    net_apply_result_done(&r);
}

static void test_what_is_promised_is_read_back(void **unused) {
    struct net_expect e1;
    struct net_step *s = step(NET_OP_LINK_MTU, "eth0");
    s->mtu = 9000;
    s->timeout_ms = 30;
    expect(s, &e1, NET_EXPECT_MTU, "eth0", 9000);
    link_fake_ignore_mtu(h.link, "eth0", true); /* says yes and does not do it */
    struct net_apply_result r;
    struct error *e;
    assert_false(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_non_null(strstr(error_text(e), "'eth0' has MTU 1500 instead of 9000"));
    assert_true(r.took_ms >= 30);
    error_free(e);
    net_apply_result_done(&r);
    link_fake_ignore_mtu(h.link, "eth0", false);
    assert_true(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    net_apply_result_done(&r);
}

static void test_a_switch_that_does_not_act(void **unused) {
    struct net_ovs_op op = {.kind = NET_OVS_BRIDGE_ADD, .role = NET_ROLE_BRIDGE, .iface_type = "", .tag = -1};
    assert_true(net_name_set(op.bridge, "xenbr0"));
    struct net_expect done;
    struct net_step *s = step(NET_OP_OVS, "");
    s->ovs = &op;
    s->n_ovs = 1;
    expect(s, &done, NET_EXPECT_SWITCH_DONE, "", 0);
    ovs_fake_set_stuck(h.ovs, true);
    struct net_apply_result r;
    struct error *e;
    assert_false(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_non_null(strstr(error_text(e), "did not take configuration"));
    error_free(e);
    net_apply_result_done(&r);
    env.ovs = NULL;
    assert_false(apply(NET_APPLY_WITH_SWITCH, &r, &e));
    assert_non_null(strstr(error_text(e), "no switch"));
    error_free(e);
    net_apply_result_done(&r);
}

static void test_each_expectation_can_fail(void **unused) {
    static const enum net_expect_kind kinds[] = {
        NET_EXPECT_LINK_EXISTS, NET_EXPECT_CARRIER, NET_EXPECT_MTU,          NET_EXPECT_IFACE_OK, NET_EXPECT_ACTIVE_LEG,
        NET_EXPECT_LACP,        NET_EXPECT_ADDR,    NET_EXPECT_ROUTE_LOCKED, NET_EXPECT_LEASE,    NET_EXPECT_NEIGHBOUR};
    env.lease_dir = h.net_dir;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct net_expect e = {.kind = kinds[i], .name = "nope", .value = 4};
        assert_true(net_addr_parse("10.0.0.9/24", &e.addr));
        char *problem = NULL;
        assert_false(net_expect_check(&env, &e, &problem));
        assert_non_null(problem);
        assert_true(strlen(problem) > 10);
        free(problem);
    }
    link_fake_set_carrier(h.link, "eth0", false);
    struct net_expect carrier = {.kind = NET_EXPECT_CARRIER, .name = "eth0"};
    char *problem = NULL;
    assert_false(net_expect_check(&env, &carrier, &problem));
    assert_string_equal(problem, "'eth0' has no carrier");
    free(problem);
    link_fake_add_peer(h.link, "10.0.0.1", "0a:00:00:00:00:01");
    assert_int_equal(link_set_up(h.link, "eth0", true), 0);
    struct net_expect peer = {.kind = NET_EXPECT_NEIGHBOUR, .name = "eth0"};
    assert_true(net_addr_parse("10.0.0.1", &peer.addr));
    assert_true(net_expect_check(&env, &peer, &problem));
}

static void test_dns_keeps_the_other_lines(void **unused) {
    static const char old[] = "# ours\nsearch example.org\nnameserver 192.0.2.1\noptions ndots:2\n";
    assert_int_equal(fs_write_atomic(h.resolv_conf, old, sizeof old - 1, 0644), 0);
    struct net_addr dns[2];
    assert_true(net_addr_parse("10.0.0.1", &dns[0]) && net_addr_parse("fd00::1", &dns[1]));
    struct error *e = NULL;
    assert_true(net_dns_write(h.resolv_conf, dns, 2, &e));
    _cleanup_buf_ struct buf text = BUF_INIT;
    assert_int_equal(fs_read(h.resolv_conf, 4096, &text), 0);
    assert_string_equal(buf_str(&text),
                        "nameserver 10.0.0.1\nnameserver fd00::1\n# ours\nsearch example.org\noptions ndots:2\n");
}

static void test_leases_are_kept_and_distrusted(void **unused) {
    struct net_lease l = {.interface_mtu = 1400, .seconds = 60, .obtained = 7, .n_dns = 1}, got;
    struct error *e = NULL;
    assert_true(net_name_set(l.link, "xenbr0"));
    assert_true(net_addr_parse("10.0.0.7/24", &l.address) && net_addr_parse("10.0.0.1", &l.gateway));
    assert_true(net_addr_parse("10.0.0.3", &l.dns[0]));
    assert_false(net_lease_load(h.net_dir, "xenbr0", NET_FAMILY_IPV4, &got, &e));
    assert_null(e); /* absent is no error */
    assert_int_equal(net_lease_save(h.net_dir, &l), 0);
    assert_true(net_lease_load(h.net_dir, "xenbr0", NET_FAMILY_IPV4, &got, &e));
    assert_true(net_addr_eq(&got.address, &l.address) && net_addr_eq(&got.gateway, &l.gateway));
    assert_int_equal(got.interface_mtu, 1400);
    assert_int_equal(got.n_dns, 1);
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"link\":\"xenbr0\"}",
                                      "{\"link\":\"other\",\"address\":\"10.0.0.7/24\"}",
                                      "{\"link\":\"xenbr0\",\"address\":\"10.0.0.777/24\"}",
                                      "{\"link\":\"xenbr0\",\"address\":7}",
                                      "{\"link\":\"xenbr0\",\"address\":\"10.0.0.7/24\",\"gateway\":[]}",
                                      "{\"link\":\"xenbr0\",\"address\":\"10.0.0.7/24\",\"interface_mtu\":-1}",
                                      "{\"link\":\"xenbr0\",\"address\":\"10.0.0.7/24\",\"dns\":[1]}"};
    _cleanup_free_ char *path = net_lease_path(h.net_dir, "xenbr0", NET_FAMILY_IPV4);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(fs_write_atomic(path, bad[i], strlen(bad[i]), 0644), 0);
        e = NULL;
        assert_false(net_lease_load(h.net_dir, "xenbr0", NET_FAMILY_IPV4, &got, &e));
        assert_true(error_is(e, ERR_NET_LEASE_CORRUPT));
        error_free(e);
    }
}

static void test_a_lease_is_put_to_work_locked(void **unused) {
    struct net_addr old, address, gateway;
    struct error *e = NULL;
    assert_int_equal(link_set_up(h.link, "eth0", true), 0);
    assert_true(net_addr_parse("10.0.0.7/24", &old) && net_addr_parse("10.0.0.8/24", &address));
    assert_true(net_addr_parse("10.0.0.1", &gateway));
    assert_true(net_lease_apply(h.link, NULL, &old, &gateway, "eth0", 1500, &e));
    assert_true(net_lease_apply(h.link, &old, &address, &gateway, "eth0", 1500, &e));
    assert_true(has_address("eth0", "10.0.0.8/24"));
    assert_false(has_address("eth0", "10.0.0.7/24"));
    struct link_ip far;
    struct link_route route;
    assert_true(link_ip_parse("192.0.2.1", &far));
    assert_int_equal(link_route_get(h.link, &far, &route), 0);
    assert_true(route.mtu_locked && route.mtu == 1500 && route.advmss == 1460);
    assert_false(net_lease_apply(h.link, NULL, &address, &gateway, "nope", 1500, &e));
    error_free(e);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_failure_stops_or_is_noted_or_is_nothing),
        T(test_phases_are_kept_apart),
        T(test_the_failing_step_of_a_batch_is_named),
        T(test_what_is_promised_is_read_back),
        T(test_a_switch_that_does_not_act),
        T(test_each_expectation_can_fail),
        T(test_dns_keeps_the_other_lines),
        T(test_leases_are_kept_and_distrusted),
        T(test_a_lease_is_put_to_work_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
