/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober's socket on a port of an in-kernel bridge, in a network namespace of its own. The bridge takes each frame
 * off its port, as a kernel datapath does: a socket bound to the probe's ethertype there sees nothing, ours must.
 * Skipped without the right to make namespaces.
 */
#include "base/str.h"
#include "loop/child.h"
#include "probe/probe_socket.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define WAIT_MS 3000

static void ip_command(const char *const argv[]) {
    struct child_result r = {0};
    assert_int_equal(child_run_sync(argv, NULL, 5000, 65536, &r), 0);
    if (r.exit_code)
        print_message("%s\n", buf_str(&r.err));
    assert_int_equal(r.exit_code, 0);
    child_result_done(&r);
}
#define IP(...) ip_command((const char *const[]){"ip", __VA_ARGS__, NULL})

static int port, wire; /* the bridge's port, and the far end of its cable */

static int setup(void **unused) {
    IP("link", "add", "eth0", "mtu", "9000", "type", "veth", "peer", "name", "wire0", "mtu", "9000");
    IP("link", "add", "br0", "mtu", "9000", "type", "bridge");
    IP("link", "set", "eth0", "master", "br0");
    IP("link", "set", "wire0", "up");
    IP("link", "set", "eth0", "up");
    IP("link", "set", "br0", "up");
    port = probe_socket_open("eth0");
    wire = probe_socket_open("wire0");
    return port < 0 || wire < 0;
}

static int teardown(void **unused) {
    close(port);
    close(wire);
    IP("link", "del", "eth0");
    IP("link", "del", "br0");
    return 0;
}

static struct probe_frame request(uint16_t vlan, uint16_t size, uint64_t nonce) {
    return (struct probe_frame){.dst = {0x02, 0, 0, 0, 0, 1},
                                .src = {0x02, 0, 0, 0, 0, 2},
                                .vlan = vlan,
                                .type = PROBE_REQUEST,
                                .size = size,
                                .nonce = nonce,
                                .host = uuid_random(),
                                .leg = "eth9"};
}

static void send_one(int fd, const struct probe_frame *f) {
    static uint8_t data[PROBE_MAX_FRAME];
    assert_int_equal(probe_socket_send(fd, data, probe_frame_write(f, data)), 0);
}

/* The next probe that is heard; false after the deadline. */
static bool next(int fd, struct probe_frame *ret) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        int r = probe_socket_receive(fd, ret);
        if (r == 1)
            return true;
        assert_true(r == 0 || r == -EAGAIN);
        if (r == -EAGAIN && poll(&p, 1, WAIT_MS) <= 0)
            return false;
    }
}

static void pass(int from, int to, uint16_t vlan, uint16_t size) {
    static uint64_t nonce = 100;
    struct probe_frame sent = request(vlan, size, ++nonce), heard;
    send_one(from, &sent);
    assert_true(next(to, &heard));
    assert_true(heard.nonce == sent.nonce && heard.size == size && uuid_eq(&heard.host, &sent.host));
    assert_int_equal(heard.vlan, vlan);
    assert_string_equal(heard.leg, "eth9");
}

static void test_hears_on_a_bridge_port(void **unused) {
    pass(wire, port, 0, PROBE_MIN_SIZE);
    pass(wire, port, 0, 9000);
}

static void test_vlan_comes_from_auxiliary_data(void **unused) {
    pass(wire, port, 101, 1500);
    pass(wire, port, 4094, 9000);
    pass(wire, port, 0, 1500); /* and is not kept for the next frame */
}

/* A request goes out of the port itself, past the bridge, and no socket on that port takes it for one that came in. */
static void test_sends_past_the_bridge(void **unused) {
    pass(port, wire, 0, 9000);
    pass(port, wire, 102, 9000);
    struct probe_frame mine = request(0, 1500, 1), theirs = request(0, 1500, 2), heard;
    int second = probe_socket_open("eth0");
    assert_true(second >= 0);
    send_one(port, &mine);
    send_one(wire, &theirs);
    assert_true(next(second, &heard));
    assert_true(heard.nonce == 2);
    close(second);
}

static void test_size_beyond_the_port(void **unused) {
    static uint8_t data[PROBE_MAX_FRAME];
    struct probe_frame f = request(0, 9001, 7);
    assert_int_equal(probe_socket_send(port, data, probe_frame_write(&f, data)), -EMSGSIZE);
    IP("link", "set", "eth0", "down");
    f.size = 1500;
    assert_int_equal(probe_socket_send(port, data, probe_frame_write(&f, data)), -ENETDOWN);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
int main(void) {
    if (unshare(CLONE_NEWNET) < 0)
        return 77;
    const struct CMUnitTest tests[] = {T(test_hears_on_a_bridge_port), T(test_vlan_comes_from_auxiliary_data),
                                       T(test_sends_past_the_bridge), T(test_size_beyond_the_port)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
