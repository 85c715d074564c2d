/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel driver in a network namespace of its own, with a veth pair. Skipped without the right to make one. */
#include "link/link.h"
#include "link/link_monitor.h"

#include "base/str.h"
#include "loop/child.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

static struct link *l;

static void ip_command(const char *const argv[]) {
    struct child_result r = {0};
    assert_int_equal(child_run_sync(argv, NULL, 5000, 65536, &r), 0);
    if (r.exit_code)
        print_message("%s\n", buf_str(&r.err));
    assert_int_equal(r.exit_code, 0);
    child_result_done(&r);
}
#define IP(...) ip_command((const char *const[]){"ip", __VA_ARGS__, NULL})

static int setup(void **unused) {
    if (unshare(CLONE_NEWNET) < 0)
        return -1;
    IP("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
    return link_kernel_open(&l);
}

static int teardown(void **unused) {
    link_free(l);
    return 0;
}

static struct link_info find(const char *name) {
    struct link_info info;
    assert_int_equal(link_find(l, name, &info), 0);
    return info;
}

static void test_links(void **unused) {
    struct link_info info = find("eth0");
    assert_string_equal(info.kind, "veth");
    assert_int_equal(info.mtu, 1500);
    assert_false(info.up);
    assert_true(find("lo").loopback);
    assert_int_equal(link_set_up(l, "eth0", true), 0);
    assert_int_equal(link_set_up(l, "eth1", true), 0);
    assert_true(find("eth0").up);
    assert_true(find("eth0").carrier);
    assert_int_equal(link_set_mtu(l, "eth0", 9000), 0);
    assert_int_equal(find("eth0").mtu, 9000);
    assert_int_equal(link_set_mtu(l, "eth0", 10), -EINVAL);
    assert_int_equal(link_set_mtu(l, "nope", 1500), -ENODEV);
    struct link_mac mac;
    assert_true(link_mac_parse("0a:00:00:00:00:77", &mac));
    assert_int_equal(link_set_mac(l, "eth0", &mac), 0);
    assert_memory_equal(find("eth0").mac.b, mac.b, 6);
    assert_int_equal(link_set_sysctl(l, AF_INET6, "eth0", "no_such_key", "1"), -ENOENT);
    assert_int_equal(link_set_sysctl(l, AF_INET6, "../eth0", "disable_ipv6", "1"), -EINVAL);
}

static struct link_change address(const char *link, const char *ip, unsigned prefix, enum link_change_type type) {
    struct link_change c = {.type = type, .address = {.index = find(link).index, .prefix_len = prefix}};
    assert_true(link_ip_parse(ip, &c.address.ip));
    return c;
}

static void test_addresses_move_in_one_batch(void **unused) {
    struct link_change add = address("eth0", "10.9.0.2", 24, LINK_ADDRESS_ADD);
    assert_int_equal(link_batch(l, &add, 1, NULL), 0);
    assert_int_equal(link_batch(l, &add, 1, NULL), 0); /* present is fine */
    struct link_change move[] = {address("eth1", "10.9.0.2", 24, LINK_ADDRESS_ADD),
                                 address("eth0", "10.9.0.2", 24, LINK_ADDRESS_DEL),
                                 address("eth0", "10.9.0.2", 24, LINK_ADDRESS_DEL)};
    assert_int_equal(link_batch(l, move, 3, NULL), 0);
    _cleanup_(link_addresses_done) struct link_addresses all = {0};
    assert_int_equal(link_list_addresses(l, &all), 0);
    unsigned n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (link_ip_eq(&all.items[i].ip, &add.address.ip)) {
            n++;
            assert_int_equal(all.items[i].index, find("eth1").index);
            assert_int_equal(all.items[i].prefix_len, 24);
            assert_true(all.items[i].permanent);
        }
    assert_int_equal(n, 1);
    struct link_change bad = add;
    bad.address.index = 999;
    struct link_change mixed[] = {bad, address("eth1", "10.9.0.2", 24, LINK_ADDRESS_DEL)};
    size_t failed = 9;
    assert_int_equal(link_batch(l, mixed, 2, &failed), -ENODEV);
    assert_int_equal(failed, 0);
    assert_int_equal(link_batch(l, &add, 1, NULL), 0); /* the handle is still in step with the kernel */
    struct link_change del = address("eth0", "10.9.0.2", 24, LINK_ADDRESS_DEL);
    assert_int_equal(link_batch(l, &del, 1, NULL), 0);
}

/* The size lock of one family: written, listed and read back as the kernel would use it. */
static void check_lock(const char *ip, unsigned prefix, const char *gateway, unsigned mtu, unsigned advmss) {
    struct link_change c[3] = {address("eth0", ip, prefix, LINK_ADDRESS_ADD)};
    int family = c[0].address.ip.family;
    int index = c[0].address.index;
    c[1] = (struct link_change){.type = LINK_ROUTE_REPLACE,
                                .route = {.family = family,
                                          .dst = link_ip_network(&c[0].address.ip, prefix),
                                          .dst_len = prefix,
                                          .src = c[0].address.ip,
                                          .index = index,
                                          .metric = family == AF_INET6 ? 256 : 0,
                                          .mtu = mtu,
                                          .mtu_locked = true,
                                          .advmss = advmss,
                                          .protocol = LINK_PROTO_KERNEL,
                                          .scope = family == AF_INET ? 253 : 0}};
    c[2] = c[1];
    c[2].route.dst = (struct link_ip){0};
    c[2].route.dst_len = 0;
    c[2].route.metric = 0;
    c[2].route.scope = 0;
    c[2].route.protocol = LINK_PROTO_STATIC;
    assert_true(link_ip_parse(gateway, &c[2].route.gateway));
    size_t failed = 9;
    int r = link_batch(l, c, 3, &failed);
    if (r < 0)
        print_message("change %zu: %d\n", failed, r);
    assert_int_equal(r, 0);
    struct link_ip far;
    struct link_route got;
    assert_true(link_ip_parse(family == AF_INET ? "192.0.2.1" : "2001:db8::1", &far));
    assert_int_equal(link_route_get(l, &c[2].route.gateway, &got), 0);
    assert_int_equal(got.mtu, mtu);
    assert_int_equal(link_route_get(l, &far, &got), 0);
    assert_int_equal(got.mtu, mtu);
    assert_int_equal(got.index, index);
    _cleanup_(link_routes_done) struct link_routes all = {0};
    assert_int_equal(link_list_routes(l, &all), 0);
    unsigned n = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.items[i].family == family && all.items[i].unicast && all.items[i].table == LINK_TABLE_MAIN &&
            all.items[i].mtu == mtu) {
            assert_true(all.items[i].mtu_locked);
            assert_int_equal(all.items[i].advmss, advmss);
            n++;
        }
    assert_int_equal(n, 2);
    c[2].type = LINK_ROUTE_DEL;
    assert_int_equal(link_batch(l, &c[2], 1, NULL), 0);
    assert_int_equal(link_batch(l, &c[2], 1, NULL), 0); /* absent is fine */
    assert_int_equal(link_route_get(l, &far, &got), -ENETUNREACH);
}

static void test_route_lock_ipv4(void **unused) {
    check_lock("10.8.0.2", 24, "10.8.0.1", 1500, 1460);
}

static void test_route_lock_ipv6(void **unused) {
    check_lock("fd00:8::2", 64, "fd00:8::1", 1500, 1440);
}

static void test_neighbours_are_copied(void **unused) {
    IP("neigh", "replace", "10.8.0.77", "lladdr", "0a:00:00:00:00:99", "dev", "eth0", "nud", "reachable");
    assert_int_equal(link_copy_neighbours(l, "eth0", "eth1"), 0);
    _cleanup_(link_neighbours_done) struct link_neighbours all = {0};
    assert_int_equal(link_list_neighbours(l, &all), 0);
    struct link_ip ip;
    assert_true(link_ip_parse("10.8.0.77", &ip));
    bool found = false;
    for (size_t i = 0; i < all.n; i++)
        found = found || (all.items[i].index == find("eth1").index && all.items[i].usable &&
                          link_ip_eq(&all.items[i].ip, &ip) && all.items[i].mac.b[5] == 0x99);
    assert_true(found);
}

static void test_announcements_leave(void **unused) {
    struct link_ip ip4, ip6, nobody, zero = {0};
    struct link_mac mac;
    assert_true(link_ip_parse("10.8.0.2", &ip4) && link_ip_parse("fd00:8::2", &ip6));
    assert_true(link_ip_parse("10.8.0.250", &nobody));
    assert_int_equal(link_announce(l, "eth0", &ip4), 0);
    assert_int_equal(link_announce(l, "eth0", &ip6), 0);
    assert_int_equal(link_announce(l, "nope", &ip4), -ENODEV);
    assert_int_equal(link_arp_probe(l, "eth0", &zero, &nobody, 50, &mac), -ETIMEDOUT);
    /* eth1 is in the same namespace, where 10.8.0.2 is local: its kernel answers what comes in there */
    assert_int_equal(link_arp_probe(l, "eth1", &zero, &ip4, 2000, &mac), 0);
    assert_memory_equal(mac.b, find("eth0").mac.b, 6);
}

static unsigned seen;
static void on_events(unsigned events, void *userdata) {
    seen |= events;
    if ((seen & LINK_EVENT_LINK) && (seen & LINK_EVENT_ADDRESS) && (seen & LINK_EVENT_ROUTE))
        loop_quit(userdata, 0);
}
static void on_late(struct loop_source *s, void *userdata) {
    loop_quit(userdata, 1);
}

static void test_the_monitor_tells_of_changes(void **unused) {
    struct loop *loop = loop_new();
    struct link_monitor *m;
    assert_int_equal(link_monitor_new(loop, on_events, loop, &m), 0);
    struct loop_source *late = loop_add_timer(loop, 5000, on_late, loop);
    assert_int_equal(link_set_mtu(l, "eth0", 2000), 0);
    struct link_change add = address("eth0", "10.7.0.2", 24, LINK_ADDRESS_ADD);
    assert_int_equal(link_batch(l, &add, 1, NULL), 0);
    assert_int_equal(loop_run(loop), 0);
    loop_source_free(late);
    link_monitor_free(m);
    loop_free(loop);
}

int main(void) {
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: cannot make a network namespace\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_addresses_move_in_one_batch),
        cmocka_unit_test(test_route_lock_ipv4),
        cmocka_unit_test(test_route_lock_ipv6),
        cmocka_unit_test(test_neighbours_are_copied),
        cmocka_unit_test(test_announcements_leave),
        cmocka_unit_test(test_the_monitor_tells_of_changes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
