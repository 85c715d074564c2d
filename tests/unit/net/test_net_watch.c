/* SPDX-License-Identifier: Apache-2.0 */
/* What is seen on a running host is told after it has lasted and withdrawn when it is over; all well tells nothing. */
#include "net/net_watch.h"

#include "base/str.h"
#include "fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

static struct fake_host h;
static struct net_watch *w;
static struct net_config *c;
static struct net_watch_port port = {"eth1", "swB", "h1-eth1"};

static void make_bridge(const char *name) {
    int index = link_fake_add(h.link, name, "0a:00:00:00:00:10", 1500, 65535);
    struct link_change changes[2] = {{.type = LINK_ADDRESS_ADD}, {.type = LINK_ROUTE_REPLACE}};
    assert_int_equal(link_set_up(h.link, name, true), 0);
    changes[0].address = (struct link_address){.index = index, .prefix_len = 24, .permanent = true};
    assert_true(link_ip_parse("10.0.0.2", &changes[0].address.ip));
    changes[1].route =
        (struct link_route){.family = AF_INET, .index = index, .table = LINK_TABLE_MAIN, .unicast = true};
    assert_true(link_ip_parse("10.0.0.1", &changes[1].route.gateway));
    assert_int_equal(link_batch(h.link, changes, 2, NULL), 0);
}

static int setup(void **unused) {
    fake_host_init(&h);
    c = fake_host_config(1500);
    w = net_watch_new();
    assert_int_equal(link_set_up(h.link, "eth0", true), 0);
    assert_int_equal(link_set_up(h.link, "eth1", true), 0);
    make_bridge("xenbr0");
    return 0;
}

static int teardown(void **unused) {
    net_watch_free(w);
    net_config_free(c);
    fake_host_done(&h);
    return 0;
}

/* What one more look tells of this fault: its line, owned by the caller; NULL: nothing. */
static char *look(enum net_fault code) {
    struct net_problems ps = {0};
    struct net_watch_in in = {.link = h.link, .ovs = h.ovs, .config = c, .ports = &port, .n_ports = 1};
    net_watch_look(w, &in, &ps);
    const struct net_problem *p = net_problems_find(&ps, code, NULL);
    char *line = p ? net_problem_line(p) : NULL;
    net_problems_done(&ps);
    return line;
}

static void tells(enum net_fault code, const char *part) {
    _cleanup_free_ char *line = look(code);
    assert_non_null(line);
    if (!strstr(line, part))
        fail_msg("'%s' is not in: %s", part, line);
}

static void is_silent(enum net_fault code) {
    _cleanup_free_ char *line = look(code);
    if (line)
        fail_msg("told: %s", line);
}

static void test_all_well(void **unused) {
    link_fake_add_peer(h.link, "10.0.0.1", "0a:00:00:00:00:99");
    for (unsigned i = 0; i < 10; i++) {
        is_silent(NET_FAULT_ADDRESS_TAKEN);
        is_silent(NET_FAULT_GATEWAY_SILENT);
        is_silent(NET_FAULT_LACP_DOWN);
    }
}

static void test_gateway(void **unused) {
    is_silent(NET_FAULT_GATEWAY_SILENT);
    is_silent(NET_FAULT_GATEWAY_SILENT);
    tells(NET_FAULT_GATEWAY_SILENT, "the gateway 10.0.0.1 does not answer");
    link_fake_add_peer(h.link, "10.0.0.1", "0a:00:00:00:00:99");
    tells(NET_FAULT_GATEWAY_SILENT, "10.0.0.1"); /* one answer is not the end of it yet */
    is_silent(NET_FAULT_GATEWAY_SILENT);
}

/* A fault that comes and goes between looks is not told. */
static void test_gateway_hiccups(void **unused) {
    for (unsigned i = 0; i < 6; i++) {
        is_silent(NET_FAULT_GATEWAY_SILENT);
        is_silent(NET_FAULT_GATEWAY_SILENT);
        struct link *lost = h.link;
        h.link = link_fake_new(); /* nothing is there: nothing can be seen */
        is_silent(NET_FAULT_GATEWAY_SILENT);
        link_free(h.link);
        h.link = lost;
    }
}

static void test_duplicate(void **unused) {
    link_fake_add_peer(h.link, "10.0.0.2", "0a:00:00:00:00:77");
    is_silent(NET_FAULT_ADDRESS_TAKEN);
    tells(NET_FAULT_ADDRESS_TAKEN, "10.0.0.2 is also used by the machine with MAC 0a:00:00:00:00:77");
}

/* The host itself answers on another of its NICs. */
static void test_own_answer(void **unused) {
    link_fake_add_peer(h.link, "10.0.0.2", "0a:00:00:00:00:11");
    for (unsigned i = 0; i < 4; i++)
        is_silent(NET_FAULT_ADDRESS_TAKEN);
}

static void test_no_cable(void **unused) {
    link_fake_set_carrier(h.link, "eth0", false);
    for (unsigned i = 0; i < 6; i++)
        is_silent(NET_FAULT_GATEWAY_SILENT); /* the plan says that the leg has no link; once is enough */
}

static void test_lacp(void **unused) {
    net_config_free(c);
    c = fake_host_bond(1500);
    const struct net_bridge *b = net_config_management(c);
    assert_int_equal(b->purpose, NET_PURPOSE_BOND);
    struct net_bridge *changed = net_config_bridge(c, b->name);
    changed->bond.mode = NET_BOND_LACP;
    struct ovs_bond bond = {.mode = "balance-tcp", .lacp = true};
    struct ovs_op ops[] = {{.kind = OVS_BRIDGE_ADD, .bridge = b->name, .role = "bridge", .tag = -1},
                           {.kind = OVS_PORT_ADD,
                            .bridge = b->name,
                            .port = b->bond.name,
                            .n_ifaces = 2,
                            .ifaces = {"eth0", "eth1"},
                            .tag = -1,
                            .bond = &bond,
                            .role = "bond"}};
    struct error *e = NULL;
    int64_t cfg;
    if (!ovs_commit(h.ovs, ops, 2, "a test", &cfg, &e))
        fail_msg("%s", error_text(e));
    for (unsigned i = 0; i < 4; i++)
        is_silent(NET_FAULT_LACP_DOWN);
    ovs_fake_set_lacp(h.ovs, false);
    is_silent(NET_FAULT_LACP_DOWN);
    is_silent(NET_FAULT_LACP_DOWN);
    tells(NET_FAULT_LACP_DOWN, "LACP");
    ovs_fake_set_lacp(h.ovs, true);
    tells(NET_FAULT_LACP_DOWN, "LACP");
    is_silent(NET_FAULT_LACP_DOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gateway, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gateway_hiccups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_cable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lacp, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
