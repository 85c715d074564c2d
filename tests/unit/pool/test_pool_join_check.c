/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the way of a join, and the rows that it would write: on a replica without a database. */
#include "pool/pool_rows.h"
#include "../db/fixture.h"

#define POOL 1
#define HOST 2

static struct db *db;

/* A pool of one: bond0 of eth0 and eth1, a VLAN 101 on it, eth2 with an address of its own. */
static int setup_pool(void **state) {
    setup(state);
    db = ((struct fixture *)*state)->db;
    insert(db, CLASS_host, HOST, "{'name_label':'h1','address':'10.9.0.11'}");
    char text[512];
    struct uuid h = U(HOST);
    char uuid[UUID_TEXT_SIZE];
    snprintf(text, sizeof(text), "{'name_label':'p','master':['uuid','%s']}", uuid_text(&h, uuid));
    insert(db, CLASS_pool, POOL, text);
    struct uuid u;
    char n[UUID_TEXT_SIZE], o[UUID_TEXT_SIZE], q[UUID_TEXT_SIZE];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "{'name_label':'n%u','bridge':'xenbr%u','MTU':1500,'managed':true}", i, i);
        insert(db, CLASS_network, 10 + i, text);
    }
    insert(db, CLASS_network, 13, "{'name_label':'b','bridge':'xapi0','MTU':9000,'managed':true}");
    insert(db, CLASS_network, 14, "{'name_label':'v','bridge':'xapi1','MTU':9000,'managed':true}");
    for (unsigned i = 0; i < 3; i++) {
        u = U(10 + i);
        snprintf(text, sizeof(text),
                 "{'device':'eth%u','network':['uuid','%s'],'host':['uuid','%s'],'MAC':'02:00:00:00:01:0%u',"
                 "'VLAN':-1,'physical':true,'managed':true,'IP':'%s'}",
                 i, uuid_text(&u, n), uuid, i, i == 2 ? "10.8.0.11" : "");
        insert(db, CLASS_PIF, 20 + i, text);
    }
    u = U(13);
    snprintf(text, sizeof(text),
             "{'device':'bond0','network':['uuid','%s'],'host':['uuid','%s'],'MAC':'02:00:00:00:01:00','VLAN':-1,"
             "'physical':false,'managed':true,'management':true,'IP':'10.9.0.11'}",
             uuid_text(&u, n), uuid);
    insert(db, CLASS_PIF, 23, text);
    u = U(14);
    snprintf(text, sizeof(text),
             "{'device':'bond0','network':['uuid','%s'],'host':['uuid','%s'],'VLAN':101,'physical':false,"
             "'managed':true}",
             uuid_text(&u, n), uuid);
    insert(db, CLASS_PIF, 24, text);
    u = U(23);
    struct uuid primary = U(20);
    snprintf(text, sizeof(text), "{'master':['uuid','%s'],'primary_slave':['uuid','%s'],'mode':'active-backup'}",
             uuid_text(&u, n), uuid_text(&primary, o));
    insert(db, CLASS_Bond, 30, text);
    struct uuid bond = U(30);
    snprintf(text, sizeof(text), "{'bond_slave_of':['uuid','%s']}", uuid_text(&bond, o));
    modify(db, CLASS_PIF, 20, text);
    modify(db, CLASS_PIF, 21, text);
    struct uuid vlan = U(24);
    snprintf(text, sizeof(text), "{'tagged_PIF':['uuid','%s'],'untagged_PIF':['uuid','%s'],'tag':101}",
             uuid_text(&u, n), uuid_text(&vlan, q));
    insert(db, CLASS_VLAN, 31, text);
    return 0;
}

static struct rows_host joiner(void) {
    struct rows_host h = {.host = U(99), .hostname = "h2", .address = "10.9.0.12", .n_nics = 3, .management_vlan = -1};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(h.nics[i].device, sizeof(h.nics[i].device), "eth%u", i);
        snprintf(h.nics[i].mac, sizeof(h.nics[i].mac), "02:00:00:00:02:0%u", i);
        h.nics[i].mtu = 1500;
    }
    h.nics[0].management = true;
    h.nics[0].address = (struct rows_address){.mode = "Static", .ip = "10.9.0.12", .netmask = "255.255.255.0"};
    return h;
}

static void expect(const struct rows_host *h, bool force, const char *code, const char *words) {
    struct error *e = NULL;
    _cleanup_value_ struct value all = value_set();
    rows_join_problems(db, h, force, &all);
    if (!code) {
        if (all.set.n)
            fail_msg("nothing should be said, but: %s", value_str(&all.set.items[0]));
        assert_true(rows_join_check(db, h, force, &e));
        return;
    }
    assert_false(rows_join_check(db, h, force, &e));
    assert_string_equal(error_code(e), code);
    error_free(e);
    assert_int_equal(all.set.n, 1);
    assert_true(str_starts(value_str(&all.set.items[0]), code));
    if (!strstr(value_str(&all.set.items[0]), words))
        fail_msg("'%s' lacks '%s'", value_str(&all.set.items[0]), words);
}

static void test_sound(void **state) {
    struct rows_host h = joiner();
    expect(&h, false, NULL, NULL);
    h.management_vlan = 101;
    expect(&h, false, NULL, NULL);
    memcpy(h.nics[1].bond, "bond7", 6); /* the pool bonds that NIC, too */
    expect(&h, false, NULL, NULL);
}

static void test_contradictions(void **state) {
    struct rows_host h = joiner();
    h.host = U(HOST);
    expect(&h, true, ERR_HOST_ALREADY_IN_POOL, "xe pool-eject");
    h = joiner();
    memcpy(h.address, "10.9.0.11", 10);
    expect(&h, true, ERR_HOST_ADDRESS_IN_USE, "xe pif-reconfigure-ip");
    memcpy(h.address, "10.8.0.11", 10); /* not the one of management */
    expect(&h, true, ERR_HOST_ADDRESS_IN_USE, "'h1'");
    h = joiner();
    h.nics[0].management = false;
    expect(&h, true, ERR_HOST_HAS_NO_MANAGEMENT_IP, "h2");
    h = joiner();
    memcpy(h.nics[2].mac, "02:00:00:00:01:01", 18);
    expect(&h, true, ERR_POOL_JOINING_HOST_MAC_IN_USE, "eth2");
    h = joiner();
    memcpy(h.nics[2].bond, "bond7", 6);
    expect(&h, true, ERR_POOL_JOINING_HOST_HAS_BONDS, "xe bond-create");
    h = joiner();
    h.management_vlan = 102;
    expect(&h, true, ERR_POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH, "local: 102, remote: -1");
}

/* Poorer than it should be: refused, unless forced. A host with none of the NICs has no such bond. */
static void test_missing_legs(void **state) {
    struct rows_host h = joiner();
    memcpy(h.nics[1].device, "eth5", 5);
    expect(&h, false, ERR_POOL_JOINING_HOST_LACKS_BOND_LEGS, "bond: bond0, missing: eth1");
    expect(&h, true, NULL, NULL);
    memcpy(h.nics[0].device, "eth4", 5);
    expect(&h, false, NULL, NULL);
}

/* All at once, so that they can be mended at once. */
static void test_several(void **state) {
    struct rows_host h = joiner();
    _cleanup_value_ struct value all = value_set();
    memcpy(h.address, "10.9.0.11", 10);
    memcpy(h.nics[1].device, "eth5", 5);
    h.management_vlan = 102;
    rows_join_problems(db, &h, false, &all);
    assert_int_equal(all.set.n, 3);
}

/* The rows of a join on a fork: bond and VLAN made again for the host, its address moved, the pool itself untouched. */
static void test_rows_on_a_fork(void **state) {
    static const int classes[] = {CLASS_pool, CLASS_host, CLASS_network, CLASS_PIF, CLASS_Bond, CLASS_VLAN};
    struct rows_host h = joiner();
    struct db *fork = db_fork(db, classes, ARRAY_SIZE(classes));
    struct db_txn *t = db_txn_new(db, "a join");
    unsigned n = 0;
    rows_join(db, t, &h);
    db_fork_txn(fork, t);
    db_txn_abandon(t);
    assert_int_equal(db_count(db, CLASS_host), 1);
    assert_int_equal(db_count(db, CLASS_PIF), 5);
    assert_int_equal(db_count(fork, CLASS_host), 2);
    assert_int_equal(db_count(fork, CLASS_Bond), 2);
    assert_int_equal(db_count(fork, CLASS_VLAN), 2);
    for (const struct row *p = db_first(fork, CLASS_PIF); p; p = db_next(fork, p)) {
        if (!uuid_eq(row_ref(p, FIELD_PIF_host), &h.host))
            continue;
        n++;
        if (!row_bool(p, FIELD_PIF_management))
            continue;
        assert_string_equal(row_str(p, FIELD_PIF_device), "bond0");
        assert_string_equal(row_str(p, FIELD_PIF_IP), "10.9.0.12");
        const struct row *bond = db_get(fork, CLASS_Bond, &row_value(p, FIELD_PIF_bond_master_of)->set.items[0].ref);
        assert_int_equal(row_value(bond, FIELD_Bond_slaves)->set.n, 2);
    }
    assert_int_equal(n, 5);
    db_free(fork);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, setup_pool, teardown),
        cmocka_unit_test_setup_teardown(test_contradictions, setup_pool, teardown),
        cmocka_unit_test_setup_teardown(test_missing_legs, setup_pool, teardown),
        cmocka_unit_test_setup_teardown(test_several, setup_pool, teardown),
        cmocka_unit_test_setup_teardown(test_rows_on_a_fork, setup_pool, teardown),
    };
    return cmocka_run_group_tests_name("pool join", tests, NULL, NULL);
}
