/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an emergency network reset: what they mean, what is refused with which cure, and the trigger file. */
#include "net/net_reset.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The text of a trigger file as words. */
static bool build(const char *text, struct net_reset *ret, struct error **errp) {
    _cleanup_net_reset_words_ struct net_reset_words w = {0};
    return net_reset_words_parse(text, strlen(text), &w, errp) && net_reset_build(&w, ret, errp);
}

static struct net_reset good(const char *text) {
    struct net_reset r;
    struct error *e = NULL;
    if (!build(text, &r, &e))
        fail_msg("%s: %s", text, error_text(e));
    return r;
}

static void bad(const char *text, const char *words) {
    struct net_reset r;
    struct error *e = NULL;
    if (build(text, &r, &e))
        fail_msg("'%s' was taken", text);
    if (!strstr(error_param(e, 0), words))
        fail_msg("'%s' does not say '%s'", error_param(e, 0), words);
    error_free(e);
}

static void test_modes(void **unused) {
    char text[NET_ADDR_TEXT_SIZE];
    struct net_reset r = good("DEVICE=eth0\n");
    assert_int_equal(r.ip4.mode, NET_IP_DHCP);
    assert_int_equal(r.mtu, 1500);
    r = good(
        "# by hand\n DEVICE='eth1'\r\nMODE=\"static\"\nIP='10.0.0.5'\nNETMASK='255.255.252.0'\nGATEWAY='10.0.3.1'\n"
        "DNS='10.0.0.2,fd00::2'\nVLAN='42'\nMTU=9000\n");
    assert_string_equal(r.device, "eth1");
    assert_string_equal(net_addr_text(&r.ip4.address, /* with_prefix= */ true, text), "10.0.0.5/22");
    assert_int_equal(r.n_dns, 2);
    assert_int_equal(r.vlan, 42);
    assert_int_equal(r.mtu, 9000);
    r = good("DEVICE=eth0\nIP=10.0.0.5/24\n");
    assert_int_equal(r.ip4.mode, NET_IP_STATIC);
    r = good("DEVICE=eth0\nMODE_V6=static\nIPV6=fd00::5/64\nGATEWAY_V6=fe80::1\n");
    assert_int_equal(r.ip4.mode, NET_IP_NONE);
    assert_int_equal(r.ip6.mode, NET_IP_STATIC);
    r = good("DEVICE=eth0\nMODE=dhcp\nMODE_V6=autoconf\n");
    assert_int_equal(r.ip6.mode, NET_IP_AUTOCONF);
}

static void test_each_refusal_names_its_cure(void **unused) {
    bad("MODE=dhcp\n", "--device=eth0");
    bad("DEVICE=much-too-long-a-name\n", "give one such as eth0");
    bad("DEVICE=eth0\nMODE=static\n", "give it with --ip=");
    bad("DEVICE=eth0\nMODE=static\nIP=10.0.0.5\n", "add --netmask=");
    bad("DEVICE=eth0\nMODE=static\nIP=10.0.0.500\nNETMASK=24\n", "give one such as 10.0.0.11");
    bad("DEVICE=eth0\nMODE=static\nIP=fd00::5/64\n", "no IPv4 address");
    bad("DEVICE=eth0\nMODE=static\nIP=10.0.0.5\nNETMASK=255.0.255.0\n", "255.255.255.0");
    bad("DEVICE=eth0\nIP=10.0.0.5/24\nGATEWAY=10.0.1.1\n", "could never be reached");
    bad("DEVICE=eth0\nMODE=dhcp\nIP=10.0.0.5\n", "use --mode=static");
    bad("DEVICE=eth0\nMODE=dchp\n", "'static' or 'dhcp'");
    bad("DEVICE=eth0\nMODE=none\n", "would have no address");
    bad("DEVICE=eth0\nVLAN=0\n", "from 1 to 4094");
    bad("DEVICE=eth0\nMTU=900\n", "from 1500");
    bad("DEVICE=eth0\nDNS=10.0.0.2,dns\n", "no IP address");
    bad("DEVICE=eth0\nMODE_V6=static\nIPV6=fd00::5\n", "with its length");
    bad("DEVICE=eth0\nMODE_V6=auto\n", "'autoconf'");
    bad("DEVICE=eth0\nMASTER=h1\n", "address of the pool's coordinator");
}

static void test_file(void **unused) {
    _cleanup_net_reset_words_ struct net_reset_words w = {0};
    net_reset_words_set(&w, NET_RESET_DEVICE, "eth0");
    net_reset_words_set(&w, NET_RESET_IP, "10.0.0.5/24");
    _cleanup_free_ char *text = net_reset_words_text(&w);
    assert_string_equal(text, "DEVICE='eth0'\nIP='10.0.0.5/24'\n");
    bad("DEVICE=eth0\nGATEWY=10.0.0.1\n", "line 2 ('GATEWY')");
    bad("DEVICE\n", "line 1");
    bad("DEVICE='eth0\n", "line 1");
    bad("DEVICE=eth0 eth1\n", "line 1");
    _cleanup_free_ char *large = xcalloc(NET_RESET_MAX_SIZE + 2, 1);
    memset(large, '#', NET_RESET_MAX_SIZE + 1);
    bad(large, "at most 4096 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modes), cmocka_unit_test(test_each_refusal_names_its_cure),
                                       cmocka_unit_test(test_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
