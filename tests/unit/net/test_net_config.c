/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "net/net_config.h"

static struct net_addr A(const char *text) {
    struct net_addr a;
    assert_true(net_addr_parse(text, &a));
    return a;
}

/* Two NICs bonded for management with a VLAN, one for a network of its own. */
static struct net_config *
sample(void) {
    struct net_config *c = net_config_new();
    for (unsigned i = 0; i < 3; i++) {
        struct net_mac mac = {{0x52, 0x54, 0, 0, 0, (uint8_t)(i + 1)}};
        _cleanup_free_ char *name = strf("eth%u", i);
        net_config_add_nic(c, name, &mac);
    }
    struct net_bridge *b = net_config_add_bridge(c, "xapi0", NET_PURPOSE_BOND);
    b->mtu = 9000;
    net_bridge_add_leg(b, "eth0");
    net_bridge_add_leg(b, "eth1");
    str_copy(b->bond.name, sizeof(b->bond.name), "bond0");
    b->ip4.mode = NET_IP_STATIC;
    b->ip4.address = A("10.1.0.11/24");
    b->ip4.gateway = A("10.1.0.1");
    b->ip6.mode = NET_IP_AUTOCONF;
    b->dns[b->n_dns++] = A("10.1.0.2");
    str_copy(b->network_uuid, sizeof(b->network_uuid), "0d8a59b5-4ba2-4f4c-8a4e-1c7a3c1c9b01");
    b = net_config_add_bridge(c, "xenbr2", NET_PURPOSE_NIC);
    net_bridge_add_leg(b, "eth2");
    b->hwaddr_rule = NET_HWADDR_FIXED;
    b->hwaddr = (struct net_mac){{0x02, 0, 0, 0, 0, 9}};
    b = net_config_add_bridge(c, "xapi1", NET_PURPOSE_VLAN);
    str_copy(b->parent, sizeof(b->parent), "xapi0");
    b->tag = 101;
    b->mtu = 9000;
    str_copy(c->management, sizeof(c->management), "xapi0");
    c->datapath = NET_DATAPATH_NETDEV;
    c->generation = 7;
    net_config_set_provenance(c, "xe network-param-set \"MTU\" by root, \xc3\xa4");
    net_config_set_host_name(c, "h2");
    return c;
}

static void assert_valid(const struct net_config *c) {
    struct error *e = NULL;
    if (!net_config_validate(c, &e))
        fail_msg("%s", error_text(e));
}

static void assert_invalid(const struct net_config *c, const char *part) {
    struct error *e = NULL;
    assert_false(net_config_validate(c, &e));
    assert_string_equal(error_code(e), ERR_NET_CONFIG_INVALID);
    if (!strstr(error_param(e, 0), part))
        fail_msg("'%s' does not say '%s'", error_param(e, 0), part);
    error_free(e);
}

static void assert_refused(const char *text, size_t size, const char *code, const char *part) {
    struct error *e = NULL;
    struct net_config *c = net_config_from_json(text, size, &e);
    if (c)
        fail_msg("was taken: %.*s", (int)size, text);
    assert_string_equal(error_code(e), code);
    if (!strstr(error_text(e), part))
        fail_msg("'%s' does not say '%s'", error_text(e), part);
    error_free(e);
}

static void test_round_trip(void **state) {
    _cleanup_net_config_ struct net_config *c = sample();
    assert_valid(c);
    _cleanup_free_ char *text = net_config_to_json(c);
    struct error *e = NULL;
    _cleanup_net_config_ struct net_config *d = net_config_from_json(text, strlen(text), &e);
    if (!d)
        fail_msg("%s", error_text(e));
    _cleanup_free_ char *again = net_config_to_json(d);
    assert_string_equal(text, again);
    assert_int_equal(d->generation, 7);
    assert_string_equal(d->provenance, c->provenance);
    _cleanup_free_ char *diff = net_config_diff_text(c, d);
    assert_string_equal(diff, "");
}

static void test_damaged_files(void **state) {
    _cleanup_net_config_ struct net_config *c = sample();
    _cleanup_free_ char *text = net_config_to_json(c);
    size_t size = strlen(text);
    assert_refused("", 0, ERR_NET_CONFIG_CORRUPT, "empty");
    for (size_t i = 1; i < size - 1; i += 7) {
        struct error *e = NULL;
        assert_null(net_config_from_json(text, i, &e));
        assert_string_equal(error_code(e), ERR_NET_CONFIG_CORRUPT);
        error_free(e);
    }
    assert_refused(text, size / 2, ERR_NET_CONFIG_CORRUPT, "truncated");
    /* Any flipped bit is noticed: by the parser, or by the checksum. */
    for (size_t i = 0; i < size; i += 3)
        for (unsigned bit = 0; bit < 8; bit += 3) {
            struct error *e = NULL;
            text[i] ^= (char)(1 << bit);
            struct net_config *d = net_config_from_json(text, size, &e);
            text[i] ^= (char)(1 << bit);
            if (d) {
                _cleanup_free_ char *other = net_config_to_json(d);
                assert_string_equal(other, text); /* a blank became another blank */
            }
            net_config_free(d);
            error_free(e);
        }
    char *mtu = strstr(text, "9000");
    memcpy(mtu, "8000", 4);
    assert_refused(text, size, ERR_NET_CONFIG_CORRUPT, "checksum");
}

static void test_strict(void **state) {
    static const struct {
        const char *text, *code, *part;
    } cases[] = {
        {"[]", ERR_NET_CONFIG_CORRUPT, "not a JSON object"},
        {"{\"format\":\"other\"}", ERR_NET_CONFIG_CORRUPT, "format"},
        {"{\"format\":\"muster-network\",\"version\":2}", ERR_NET_CONFIG_VERSION, "2"},
        {"{\"format\":\"muster-network\",\"version\":\"1\"}", ERR_NET_CONFIG_CORRUPT, "whole number"},
        {"{\"format\":\"muster-network\",\"version\":1}", ERR_NET_CONFIG_CORRUPT, "checksum"},
        {"{\"format\":\"muster-network\",\"format\":\"x\"}", ERR_NET_CONFIG_CORRUPT, "duplicate"},
        {"{\"format\":1.5}", ERR_NET_CONFIG_CORRUPT, "string"},
        {"{\"format\":\"muster-network\"", ERR_NET_CONFIG_CORRUPT, "truncated"},
        {"nonsense", ERR_NET_CONFIG_CORRUPT, "not JSON"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].code, cases[i].part);
    _cleanup_buf_ struct buf big = BUF_INIT;
    buf_reserve(&big, NET_CONFIG_MAX_SIZE + 2);
    memset(big.data, ' ', NET_CONFIG_MAX_SIZE + 1);
    assert_refused(big.data, NET_CONFIG_MAX_SIZE + 1, ERR_NET_CONFIG_CORRUPT, "limit");
}

static void test_hash(void **state) {
    _cleanup_net_config_ struct net_config *c = sample(), *d = sample();
    char a[NET_HASH_TEXT_SIZE], b[NET_HASH_TEXT_SIZE];
    net_config_hash(c, a);
    assert_int_equal(strlen(a), 64);
    /* The host's own business does not enter, nor does the order of bridges. */
    d->generation = 99;
    d->control_size = 1400;
    d->datapath = NET_DATAPATH_SYSTEM;
    net_config_set_provenance(d, "else");
    net_config_set_host_name(d, "h9");
    struct net_bridge first = d->bridges[0];
    d->bridges[0] = d->bridges[2];
    d->bridges[2] = first;
    net_config_hash(d, b);
    assert_string_equal(a, b);
    d->bridges[0].mtu--;
    net_config_hash(d, b);
    assert_string_not_equal(a, b);
}

static void test_validate(void **state) {
    _cleanup_net_config_ struct net_config *good = sample();
#define CASE(change, part)                                                                                             \
    do {                                                                                                               \
        _cleanup_net_config_ struct net_config *c = net_config_copy(good);                                             \
        struct net_bridge *bond = net_config_bridge(c, "xapi0"), *vlan = net_config_bridge(c, "xapi1"),                \
                          *nic = net_config_bridge(c, "xenbr2");                                                       \
        (void)bond, (void)vlan, (void)nic;                                                                             \
        change;                                                                                                        \
        assert_invalid(c, part);                                                                                       \
    } while (0)
    CASE(vlan->mtu = 9001, "xe network-param-set uuid=0d8a59b5-4ba2-4f4c-8a4e-1c7a3c1c9b01 MTU=9001");
    CASE(bond->n_legs = 0, "no legs");
    CASE(str_copy(bond->legs[1], NET_NAME_SIZE, "eth0"), "twice");
    CASE(str_copy(bond->legs[1], NET_NAME_SIZE, "eth9"), "xe pif-scan");
    CASE(str_copy(nic->legs[0], NET_NAME_SIZE, "eth1"), "a NIC has one place");
    CASE(str_copy(bond->bond.primary, NET_NAME_SIZE, "eth2"), "not one of its legs");
    CASE(bond->bond.name[0] = 0, "no usable name");
    CASE(str_copy(vlan->parent, NET_NAME_SIZE, "gone"), "xe vlan-destroy");
    CASE(str_copy(vlan->parent, NET_NAME_SIZE, "xapi1"), "xe vlan-destroy");
    CASE(vlan->tag = 4095, "0 to 4094");
    CASE(str_copy(nic->name, NET_NAME_SIZE, "xapi0"), "bridge name");
    CASE(str_copy(nic->name, NET_NAME_SIZE, "eth0"), "name of a NIC");
    CASE((nic->ip4 = bond->ip4), "same address");
    CASE(bond->ip4.gateway = A("10.2.0.1"), "not in that network");
    CASE(bond->ip4.gateway = A("10.1.0.11"), "own address");
    CASE(bond->ip4.address = A("fd00::1/64"), "without an address");
    CASE(bond->ip4.mode = NET_IP_AUTOCONF, "autoconf");
    CASE(bond->mtu = 100, "within 576");
    CASE(bond->mtu = 70000, "within 576");
    CASE((bond->mtu = vlan->mtu = 1000), "IPv6 needs 1280");
    CASE(nic->hwaddr.b[0] = 1, "no interface may have");
    CASE(c->control_size = 1501, "control size");
    CASE(c->control_size = 100, "control size");
    CASE(str_copy(c->management, NET_NAME_SIZE, "gone"), "not among the bridges");
    CASE(str_copy(c->management, NET_NAME_SIZE, "xenbr2"), "no IP configuration");
    CASE(c->nics[1].mac = c->nics[0].mac, "same MAC");
    CASE(str_copy(c->nics[1].name, NET_NAME_SIZE, "eth0"), "two NICs");
    CASE((nic->purpose = NET_PURPOSE_VLAN, str_copy(nic->parent, NET_NAME_SIZE, "xapi0"), nic->tag = 101),
         "NICs of its own");
    CASE((nic->n_legs = 0, nic->purpose = NET_PURPOSE_VLAN, str_copy(nic->parent, NET_NAME_SIZE, "xapi0"),
          nic->tag = 101),
         "both carry VLAN");
}

static void test_diff(void **state) {
    _cleanup_net_config_ struct net_config *from = sample(), *to = sample();
    to->bridges[0].mtu = 1500;
    to->bridges[2].mtu = 1500;
    to->bridges[0].bond.mode = NET_BOND_LACP;
    to->nics[2].mac.b[5] = 0x77;
    str_copy(to->bridges[1].name, NET_NAME_SIZE, "xenbr3");
    _cleanup_free_ char *text = net_config_diff_text(from, to);
    assert_non_null(strstr(text, "bridge xapi0: MTU '9000' becomes '1500'\n"));
    assert_non_null(strstr(text, "lacp"));
    assert_non_null(strstr(text, "NIC eth2: MAC '52:54:00:00:00:03' becomes '52:54:00:00:00:77'\n"));
    assert_non_null(strstr(text, "bridge xenbr2 (nic) goes\n"));
    assert_non_null(strstr(text, "bridge xenbr3 (nic eth2, MTU 1500) comes\n"));
}

static void test_bond_row(void **state) {
    _cleanup_net_config_ struct net_config *c = sample();
    struct net_bridge *b = net_config_bridge(c, "xapi0");
    struct net_ovs_bond o = net_bridge_ovs_bond(b);
    assert_int_equal(o.mode, NET_OVS_BOND_AB);
    assert_string_equal(o.primary, "eth0");
    assert_int_equal(o.updelay_ms, 31000);
    assert_int_equal(o.downdelay_ms, 200);
    assert_false(o.lacp);
    b->bond.mode = NET_BOND_LACP;
    o = net_bridge_ovs_bond(b);
    assert_true(o.lacp && o.fallback_ab && o.mode == NET_OVS_BOND_TCP);
    b->bond.hash_src_mac = true;
    o = net_bridge_ovs_bond(b);
    assert_true(o.lacp && o.mode == NET_OVS_BOND_SLB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_strict),
        cmocka_unit_test(test_hash),       cmocka_unit_test(test_validate),      cmocka_unit_test(test_diff),
        cmocka_unit_test(test_bond_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
