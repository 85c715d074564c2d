/* SPDX-License-Identifier: Apache-2.0 */
/* What the host says without its daemon: interfaces out of configuration and kernel, the boot's report, the screens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "tui/tui_action.h"
#include "tui/tui_disk.h"
#include "tui/tui_screen.h"

static struct link_info links[] = {
    {.index = 1, .name = "lo", .loopback = true, .up = true, .mtu = 65536},
    {.index = 2, .name = "eth0", .up = true, .carrier = true, .mtu = 9000},
    {.index = 3, .name = "eth1", .up = true, .carrier = false, .mtu = 1500},
    {.index = 4, .name = "eth2", .mtu = 1500},
    {.index = 5, .name = "xapi0", .kind = "openvswitch", .up = true, .mtu = 9000},
    {.index = 6, .name = "xapi1", .kind = "openvswitch", .up = true, .mtu = 1500},
};
static struct link_address addresses[] = {{.index = 5, .prefix_len = 24},
                                          {.index = 5, .prefix_len = 64, .link_scope = true}};

/* A bond under management, a VLAN on it, a NIC that plays no part. */
static struct tui_disk *host(void) {
    struct net_config *c = net_config_new();
    struct tui_disk *d = xnew0(struct tui_disk);
    struct tui_lldp *lldp = xnew0(struct tui_lldp);
    struct net_bridge *b = net_config_add_bridge(c, "xapi0", NET_PURPOSE_BOND);
    b->mtu = 9000;
    str_copy(b->bond.name, sizeof(b->bond.name), "bond0");
    net_bridge_add_leg(b, "eth0");
    net_bridge_add_leg(b, "eth1");
    str_copy(c->management, sizeof(c->management), "xapi0");
    b = net_config_add_bridge(c, "xapi1", NET_PURPOSE_VLAN);
    str_copy(b->parent, sizeof(b->parent), "xapi0");
    b->tag = 42;
    assert_true(link_ip_parse("10.9.0.11", &addresses[0].ip));
    assert_true(link_ip_parse("fe80::1", &addresses[1].ip));
    lldp->n = 1;
    lldp->items[0] = (struct lldp_neighbour){.nic = "eth0", .switch_name = "swA", .switch_port = "Ethernet 1/7"};
    struct link_infos all = {links, ARRAY_SIZE(links)};
    struct link_addresses some = {addresses, ARRAY_SIZE(addresses)};
    tui_disk_interfaces(d, c, &all, &some, lldp);
    str_copy(d->host_name, sizeof(d->host_name), "h1");
    d->is_root = d->has_identity = true;
    net_config_free(c);
    free(lldp);
    return d;
}

static void test_interfaces(void **state) {
    struct tui_disk *d = host();
    static const char *const names[] = {"bond0", "eth0", "eth1", "bond0.42", "eth2"};
    assert_int_equal(d->interfaces.n, ARRAY_SIZE(names));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        assert_string_equal(d->interfaces.items[i].name, names[i]);
    const struct tui_interface *bond = &d->interfaces.items[0], *dead = &d->interfaces.items[2];
    assert_true(bond->is_management && bond->has_link);
    assert_int_equal(bond->mtu, 9000);
    assert_string_equal(bond->ip, "10.9.0.11/24");
    assert_string_equal(bond->ipv6, "");
    assert_string_equal(d->address, "10.9.0.11");
    assert_string_equal(d->interfaces.items[1].switch_port, "Ethernet 1/7");
    assert_false(dead->has_link);
    assert_int_equal(dead->wanted_mtu, 9000);
    assert_int_equal(d->interfaces.items[3].vlan, 42);
    tui_disk_free(d);
}

static void test_faults(void **state) {
    struct tui_disk *d = host();
    struct net_config *c = net_config_new();
    struct net_bridge *b = net_config_add_bridge(c, "xapi0", NET_PURPOSE_BOND);
    struct link_infos all = {links, ARRAY_SIZE(links)};
    b->mtu = 9000;
    net_bridge_add_leg(b, "eth0"); /* as it should be */
    net_bridge_add_leg(b, "eth1"); /* no link, and small */
    net_bridge_add_leg(b, "eth9"); /* not there */
    tui_disk_faults(d, c, &all);
    static const char *const codes[] = {"MUSTER-N211", "MUSTER-N205", "MUSTER-N201"};
    assert_int_equal(d->alerts.n, ARRAY_SIZE(codes));
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
        assert_string_equal(d->alerts.items[i].code, codes[i]);
    assert_non_null(strstr(d->alerts.items[1].text, "9000 over legs of 1500"));
    assert_non_null(strstr(d->alerts.items[1].cure, "muster-netboot verify"));
    net_config_free(c);
    tui_disk_free(d);
}

static bool says(const struct tui_page *p, const char *text) {
    for (size_t i = 0; i < p->n; i++)
        if (strstr(p->lines[i].text, text))
            return true;
    return false;
}

static void test_network_screen(void **state) {
    struct tui_disk *d = host();
    struct tui_facts f = {.disk = d, .pool_trouble = "nobody there"};
    struct tui_page p = tui_page_new(65);
    tui_screen_page(&tui_screens[1], &f, -1, &p);
    assert_true(says(&p, "musterd is not running."));
    assert_true(says(&p, "systemctl start musterd"));
    assert_true(says(&p, "*  bond0       up    9000       -       active-backup      xapi0"));
    assert_true(says(&p, "     eth0      up    9000       -       swA: Ethernet 1/7"));
    assert_true(says(&p, "!    eth1      down  1500<9000  -"));
    assert_true(says(&p, "   eth2        down  1500       -")); /* nobody wants it: nothing wrong */
    tui_page_done(&p);
    tui_disk_free(d);
}

static void test_boot_report(void **state) {
    static const char report[] =
        "{\"result\": \"degraded\", \"rolled_back\": \"\", \"verify\": {\"error\": \"step 3 failed\"}, \"problems\": ["
        "{\"code\": \"MUSTER-N201\", \"healed\": false, \"text\": \"NIC 'eth9' is missing\", \"cure\": \"seat it\"},"
        "{\"code\": \"MUSTER-N205\", \"healed\": true, \"text\": \"legs below port\", \"cure\": \"\"}]}";
    struct tui_disk *d = host();
    assert_true(tui_disk_boot_report(d, report, strlen(report)));
    assert_string_equal(d->boot_result, "degraded");
    assert_int_equal(d->alerts.n, 2); /* what was mended is no alert */
    assert_string_equal(d->alerts.items[0].text, "step 3 failed");
    assert_string_equal(d->alerts.items[1].cure, "seat it");
    assert_false(tui_disk_boot_report(d, "[]", 2));
    assert_false(tui_disk_boot_report(d, report, strlen(report) - 1));
    tui_disk_free(d);
}

static void test_obstacles(void **state) {
    struct tui_disk *d = host();
    struct tui_pool *pool = xnew0(struct tui_pool);
    struct tui_facts dead = {.disk = d, .pool_trouble = "x"}, alive = {.disk = d, .pool = pool};
    const struct tui_action *join = tui_action_at("join", 0), *go_back = NULL, *take_over = NULL;
    for (unsigned i = 0; tui_action_at("repair", i); i++) {
        const struct tui_action *a = tui_action_at("repair", i);
        if (str_eq(a->title, "Go back to the network before"))
            go_back = a;
        if (str_eq(a->title, "Make this host the coordinator"))
            take_over = a;
    }
    assert_non_null(tui_action_obstacle(join, &dead));
    assert_null(tui_action_obstacle(join, &alive));
    assert_null(tui_action_obstacle(go_back, &dead));
    assert_non_null(tui_action_obstacle(go_back, &alive));
    assert_non_null(tui_action_obstacle(take_over, &alive));
    str_copy(pool->state, sizeof(pool->state), "emergency");
    assert_null(tui_action_obstacle(take_over, &alive));
    assert_non_null(tui_action_obstacle(join, &alive));
    alive.late_s = 7; /* it hangs: neither its answer nor its absence can be counted on */
    assert_non_null(tui_action_obstacle(take_over, &alive));
    assert_non_null(tui_action_obstacle(go_back, &alive));
    d->is_root = false;
    for (unsigned i = 0; i < TUI_N_SCREENS; i++)
        for (unsigned k = 0; tui_action_at(tui_screens[i].name, k); k++)
            assert_non_null(tui_action_obstacle(tui_action_at(tui_screens[i].name, k), &dead));
    tui_pool_free(pool);
    tui_disk_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interfaces),  cmocka_unit_test(test_faults),    cmocka_unit_test(test_network_screen),
        cmocka_unit_test(test_boot_report), cmocka_unit_test(test_obstacles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
