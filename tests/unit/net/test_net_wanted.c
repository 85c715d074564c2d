/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a pool, as a monitor would report them, compiled to one host's configuration. */
#include "../db/fixture.h"

#include "net/net_wanted.h"

#define UUID_OF(n) "['uuid','a0000000-0000-4000-8000-0000000000" n "']"

/*
 * Host 01; networks 10 (xenbr0) 11 (xenbr1) 12 (xapi0, 9000) 13 (xapi1); PIFs 20 eth0, 21 eth1, 22 bond0, 23 VLAN 7 on
 * it; Bond 30, VLAN 31. Host 02 has a PIF of its own.
 */
static void add_rows(struct db *d) {
    insert(d, CLASS_host, 0x01, "{'name_label':'h1'}");
    insert(d, CLASS_host, 0x02, "{'name_label':'h2'}");
    insert(d, CLASS_network, 0x10, "{'bridge':'xenbr0','MTU':1500,'managed':true}");
    insert(d, CLASS_network, 0x11, "{'bridge':'xenbr1','MTU':1500,'managed':true}");
    insert(d, CLASS_network, 0x12, "{'bridge':'xapi0','MTU':9000,'managed':true}");
    insert(d, CLASS_network, 0x13, "{'bridge':'xapi1','MTU':1500,'managed':true}");
    insert(d, CLASS_PIF, 0x20,
           "{'host':" UUID_OF("01") ",'network':" UUID_OF(
               "10") ",'device':'eth0','MAC':'52:54:00:00:00:01','VLAN':-1,"
                     "'physical':true,'managed':true,'plugged':true,'bond_slave_of':" UUID_OF("30") "}");
    insert(d, CLASS_PIF, 0x21,
           "{'host':" UUID_OF("01") ",'network':" UUID_OF(
               "11") ",'device':'eth1','MAC':'52:54:00:00:00:02','VLAN':-1,"
                     "'physical':true,'managed':true,'plugged':true,'bond_slave_of':" UUID_OF("30") "}");
    insert(
        d, CLASS_PIF, 0x22,
        "{'host':" UUID_OF("01") ",'network':" UUID_OF(
            "12") ",'device':'bond0','MAC':'52:54:00:00:00:02','VLAN':-1,"
                  "'physical':false,'managed':true,'plugged':true,'management':true,'ip_configuration_mode':'Static',"
                  "'IP':'10.1.0.11','netmask':'255.255.255.0','gateway':'10.1.0.1','DNS':'10.1.0.2, 10.1.0.3'}");
    insert(d, CLASS_PIF, 0x23,
           "{'host':" UUID_OF("01") ",'network':" UUID_OF(
               "13") ",'device':'bond0','MAC':'fe:ff:ff:ff:ff:ff','VLAN':7,"
                     "'physical':false,'managed':true,'plugged':true,'VLAN_master_of':" UUID_OF(
                         "31") ","
                               "'ipv6_configuration_mode':'Static','IPv6':'fd00:7::5/64'}");
    insert(d, CLASS_Bond, 0x30,
           "{'master':" UUID_OF("22") ",'primary_slave':" UUID_OF(
               "21") ",'mode':'lacp','auto_update_mac':true,"
                     "'properties':['map',[['lacp-time','fast'],['hashing_algorithm','src_mac']]]}");
    insert(d, CLASS_VLAN, 0x31, "{'tagged_PIF':" UUID_OF("22") ",'untagged_PIF':" UUID_OF("23") ",'tag':7}");
    insert(d, CLASS_PIF, 0x40,
           "{'host':" UUID_OF("02") ",'network':" UUID_OF("10") ",'device':'eth0','MAC':'52:54:00:00:02:01','VLAN':-1,"
                                                                "'physical':true,'managed':true,'plugged':false}");
}

static struct net_config *wanted(struct db *d, unsigned host) {
    struct uuid u = U(host);
    struct error *e = NULL;
    struct net_config *c = net_wanted(d, &u, &e);
    if (!c)
        fail_msg("%s", error_text(e));
    return c;
}

static void assert_refused(struct db *d, const char *code, const char *part) {
    struct uuid u = U(0x01);
    struct error *e = NULL;
    if (net_wanted(d, &u, &e))
        fail_msg("the rows were taken");
    assert_string_equal(error_code(e), code);
    if (!strstr(error_text(e), part))
        fail_msg("'%s' does not say '%s'", error_text(e), part);
    error_free(e);
}

static void test_bonded_host(void **state) {
    struct fixture *f = *state;
    add_rows(f->db);
    _cleanup_net_config_ struct net_config *c = wanted(f->db, 0x01);
    char text[NET_ADDR_TEXT_SIZE];
    assert_int_equal(c->n_nics, 2);
    assert_int_equal(c->n_bridges, 2); /* members have no bridge of their own */
    assert_string_equal(c->management, "xapi0");
    assert_string_equal(c->host_name, "h1");
    const struct net_bridge *b = net_config_bridge(c, "xapi0");
    assert_int_equal(b->purpose, NET_PURPOSE_BOND);
    assert_int_equal(b->mtu, 9000);
    assert_int_equal(b->n_legs, 2);
    assert_string_equal(b->legs[0], "eth0");
    assert_string_equal(b->bond.primary, "eth1");
    assert_int_equal(b->bond.mode, NET_BOND_LACP);
    assert_true(b->bond.lacp_fast && b->bond.hash_src_mac && b->bond.fallback_ab);
    assert_string_equal(net_addr_text(&b->ip4.address, true, text), "10.1.0.11/24");
    assert_string_equal(net_addr_text(&b->ip4.gateway, false, text), "10.1.0.1");
    assert_int_equal(b->n_dns, 2);
    assert_string_equal(b->network_uuid, "a0000000-0000-4000-8000-000000000012");
    b = net_config_bridge(c, "xapi1");
    assert_int_equal(b->purpose, NET_PURPOSE_VLAN);
    assert_string_equal(b->parent, "xapi0");
    assert_int_equal(b->tag, 7);
    assert_string_equal(net_addr_text(&b->ip6.address, true, text), "fd00:7::5/64");
}

static void test_same_hash_whatever_the_order(void **state) {
    struct fixture *f = *state;
    char a[NET_HASH_TEXT_SIZE], b[NET_HASH_TEXT_SIZE];
    add_rows(f->db);
    _cleanup_net_config_ struct net_config *c = wanted(f->db, 0x01);
    net_config_hash(c, a);
    /* What hosts report back does not enter. */
    modify(f->db, CLASS_PIF, 0x22, "{'MTU':1500,'currently_attached':false}");
    /* A row that comes again stands last. */
    delete (f->db, CLASS_PIF, 0x20);
    insert(f->db, CLASS_PIF, 0x20,
           "{'host':" UUID_OF("01") ",'network':" UUID_OF(
               "10") ",'device':'eth0','MAC':'52:54:00:00:00:01','VLAN':-1,"
                     "'physical':true,'managed':true,'plugged':true,'bond_slave_of':" UUID_OF("30") "}");
    _cleanup_net_config_ struct net_config *d = wanted(f->db, 0x01);
    net_config_hash(d, b);
    assert_string_equal(a, b);
}

static void test_unplugged(void **state) {
    struct fixture *f = *state;
    add_rows(f->db);
    _cleanup_net_config_ struct net_config *other = wanted(f->db, 0x02);
    assert_int_equal(other->n_nics, 1);
    assert_int_equal(other->n_bridges, 0);
    /* Management stays whatever `plugged` says; so does what a plugged VLAN lies on. */
    modify(f->db, CLASS_PIF, 0x22, "{'plugged':false}");
    _cleanup_net_config_ struct net_config *c = wanted(f->db, 0x01);
    assert_int_equal(c->n_bridges, 2);
    modify(f->db, CLASS_PIF, 0x22, "{'management':false}");
    _cleanup_net_config_ struct net_config *d = wanted(f->db, 0x01);
    assert_int_equal(d->n_bridges, 2);
    assert_string_equal(d->management, "");
    modify(f->db, CLASS_PIF, 0x23, "{'plugged':false}");
    _cleanup_net_config_ struct net_config *e = wanted(f->db, 0x01);
    assert_int_equal(e->n_bridges, 0);
}

static void test_mtu(void **state) {
    struct fixture *f = *state;
    add_rows(f->db);
    modify(f->db, CLASS_PIF, 0x23, "{'other_config':['map',[['mtu','4000']]]}");
    _cleanup_net_config_ struct net_config *c = wanted(f->db, 0x01);
    assert_int_equal(net_config_bridge(c, "xapi1")->mtu, 4000);
    modify(f->db, CLASS_PIF, 0x23, "{'other_config':['map',[['mtu','4000'],['mtu','many']]]}");
    _cleanup_net_config_ struct net_config *d = wanted(f->db, 0x01);
    assert_int_equal(net_config_bridge(d, "xapi1")->mtu, 1500); /* text that is no size counts as none */
    modify(f->db, CLASS_network, 0x12, "{'MTU':1400}");
    assert_refused(
        f->db, ERR_NET_CONFIG_INVALID,
        "raise the network below with: xe network-param-set uuid=a0000000-0000-4000-8000-000000000012 MTU=1500");
    modify(f->db, CLASS_network, 0x13, "{'MTU':1400}");
    _cleanup_net_config_ struct net_config *e = wanted(f->db, 0x01);
    assert_int_equal(e->control_size, 1400);
}

static void test_contradictions(void **state) {
    struct fixture *f = *state;
    assert_refused(f->db, ERR_HANDLE_INVALID, "host");
    add_rows(f->db);
    modify(f->db, CLASS_PIF, 0x22, "{'netmask':'255.0.255.0'}");
    assert_refused(f->db, ERR_NET_CONFIG_INVALID, "netmask");
    modify(f->db, CLASS_PIF, 0x22, "{'netmask':'255.255.255.0','IP':'10.1.0.300'}");
    assert_refused(f->db, ERR_NET_CONFIG_INVALID, "IPv4 address");
    modify(f->db, CLASS_PIF, 0x22, "{'IP':'10.1.0.11','DNS':'10.1.0.2,nobody'}");
    assert_refused(f->db, ERR_NET_CONFIG_INVALID, "name server 'nobody'");
    modify(f->db, CLASS_PIF, 0x22, "{'DNS':''}");
    delete (f->db, CLASS_PIF, 0x20);
    delete (f->db, CLASS_PIF, 0x21);
    assert_refused(f->db, ERR_NET_CONFIG_INVALID, "xe bond-destroy");
}

/* What the row records is laid over what the other rows say, for host and coordinator alike. */
static void test_repair(void **state) {
    struct fixture *f = *state;
    add_rows(f->db);
    _cleanup_net_config_ struct net_config *before = wanted(f->db, 0x01);
    assert_null(before->repair);
    modify(f->db, CLASS_host, 0x01,
           "{'other_config':['map',[['network-repair','{\\\"format\\\":\\\"muster-repair\\\",\\\"version\\\":1,"
           "\\\"mtu\\\":1500,"
           "\\\"management_on\\\":\\\"eth0\\\"}']]]}");
    _cleanup_net_config_ struct net_config *c = wanted(f->db, 0x01);
    assert_string_equal(c->management, "xenbr0");
    assert_non_null(strstr(c->repair, "recorded"));
    assert_int_equal(net_config_bridge(c, "xenbr0")->mtu, 1500);
    assert_int_equal(net_config_bridge(c, "xapi0")->mtu, 9000);
    assert_int_equal(net_config_bridge(c, "xapi0")->n_legs, 1);
    assert_true(net_config_bridge(c, "xenbr0")->network_uuid[0]);
    modify(f->db, CLASS_host, 0x01, "{'other_config':['map',[['network-repair','nonsense']]]}");
    assert_refused(f->db, ERR_NET_CONFIG_INVALID, "host-network-repair-withdraw host=h1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bonded_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_hash_whatever_the_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unplugged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mtu, setup, teardown),
        cmocka_unit_test_setup_teardown(test_contradictions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repair, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
