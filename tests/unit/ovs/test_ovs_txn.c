/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs_txn.h"

#include "base/buf.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct ovs_bridge bridges[] = {{.name = "xenbr0", .uuid = "b0", .role = "bridge"}};
static struct ovs_port ports[] = {
    {.name = "xenbr0", .uuid = "p0", .bridge = "xenbr0", .n_ifaces = 1, .ifaces = {"xenbr0"}},
    {.name = "eth0", .uuid = "p1", .bridge = "xenbr0", .n_ifaces = 1, .ifaces = {"eth0"}}};
static struct ovs_iface ifaces[] = {{.name = "xenbr0", .uuid = "i0"}, {.name = "eth0", .uuid = "i1"}};
static const struct ovs_state state = {bridges, 1, ports, 2, ifaces, 2, 1, 1};

/* The operations of the transaction, without the database's name, in compact text. */
static char *build(const struct ovs_op *ops, size_t n) {
    json_t *params = NULL;
    struct error *e = NULL;
    assert_true(ovs_txn_build(&state, ops, n, "test", &params, &e));
    json_array_remove(params, 0);
    char *text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(params);
    return text;
}

static void test_new_bridge_is_used_by_later_ops(void **unused) {
    const struct ovs_bond bond = {.mode = "active-backup", .primary = "eth1", .updelay_ms = 31000};
    const struct ovs_op ops[] = {{.kind = OVS_BRIDGE_ADD,
                                  .bridge = "xapi0",
                                  .datapath_type = "netdev",
                                  .mac = "0a:00:00:00:00:01",
                                  .mtu = 9000,
                                  .role = "bridge",
                                  .tag = -1},
                                 {.kind = OVS_PORT_ADD,
                                  .bridge = "xapi0",
                                  .port = "bond0",
                                  .n_ifaces = 2,
                                  .ifaces = {"eth1", "eth2"},
                                  .bond = &bond,
                                  .tag = -1,
                                  .mtu = 9000,
                                  .role = "uplink"}};
    char *text = build(ops, 2);
    assert_non_null(strstr(text, "\"datapath_type\":\"netdev\""));
    assert_non_null(strstr(text, "[\"hwaddr\",\"0a:00:00:00:00:01\"]"));
    assert_non_null(strstr(text, "\"mtu_request\":9000"));
    assert_non_null(strstr(text, "[\"muster\",\"uplink\"]"));
    assert_non_null(strstr(text, "[\"bond-primary\",\"eth1\"]"));
    /* the port goes into the row that this transaction made */
    assert_non_null(strstr(text, "\"table\":\"Bridge\",\"where\":[[\"_uuid\",\"==\",[\"named-uuid\",\"r2\"]]]"));
    assert_non_null(strstr(text, "[\"next_cfg\",\"+=\",1]"));
    free(text);
}

static void test_rows_of_the_database_go_by_uuid(void **unused) {
    const struct ovs_op ops[] = {{.kind = OVS_BRIDGE_ADD, .bridge = "xapi0", .role = "bridge", .tag = -1},
                                 {.kind = OVS_PORT_MOVE, .bridge = "xenbr0", .to_bridge = "xapi0", .port = "eth0"},
                                 {.kind = OVS_IFACE_MTU, .n_ifaces = 1, .ifaces = {"eth0"}, .mtu = 0}};
    char *text = build(ops, 3);
    assert_non_null(strstr(text, "[[\"ports\",\"delete\",[\"set\",[[\"uuid\",\"p1\"]]]]]"));
    assert_non_null(strstr(text, "[[\"ports\",\"insert\",[\"set\",[[\"uuid\",\"p1\"]]]]]"));
    assert_non_null(strstr(text, "\"mtu_request\":[\"set\",[]]"));
    free(text);
}

static void test_replacing_a_port_deletes_the_old_row(void **unused) {
    const struct ovs_op ops[] = {
        {.kind = OVS_PORT_ADD, .bridge = "xenbr0", .port = "eth0", .n_ifaces = 1, .ifaces = {"eth0"}, .tag = -1},
        {.kind = OVS_PORT_DEL, .bridge = "xenbr0", .port = "eth0"}};
    char *text = build(ops, 2);
    assert_non_null(strstr(text, "[[\"ports\",\"delete\",[\"set\",[[\"uuid\",\"p1\"]]]]]"));
    free(text);
}

static void test_unknown_names_are_refused(void **unused) {
    const struct ovs_op bad[] = {{.kind = OVS_BRIDGE_DEL, .bridge = "nope"},
                                 {.kind = OVS_PORT_ADD, .bridge = "nope", .port = "x", .tag = -1},
                                 {.kind = OVS_PORT_DEL, .bridge = "xenbr0", .port = "nope"},
                                 {.kind = OVS_PORT_DEL, .bridge = "nope", .port = "eth0"},
                                 {.kind = OVS_PORT_MOVE, .bridge = "xenbr0", .to_bridge = "nope", .port = "eth0"},
                                 {.kind = OVS_PORT_BOND, .port = "nope"},
                                 {.kind = OVS_PORT_DEL_IFACE, .port = "eth0", .n_ifaces = 1, .ifaces = {"nope"}},
                                 {.kind = OVS_IFACE_MAC, .n_ifaces = 1, .ifaces = {"nope"}}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        json_t *params = NULL;
        struct error *e = NULL;
        assert_false(ovs_txn_build(&state, &bad[i], 1, NULL, &params, &e));
        assert_true(error_is(e, ERR_OVS_REFUSED));
        assert_null(params);
        error_free(e);
    }
}

static void test_bond_columns_are_cleared_with_the_bond(void **unused) {
    const struct ovs_op op = {.kind = OVS_PORT_BOND, .port = "eth0"};
    char *text = build(&op, 1);
    assert_non_null(strstr(text, "\"bond_mode\":[\"set\",[]]"));
    assert_non_null(strstr(text, "[\"other_config\",\"delete\",[\"set\",[\"bond-primary\""));
    assert_null(strstr(text, "\"insert\""));
    free(text);
}

static void test_rows_are_read(void **unused) {
    static const char answer[] =
        "[{\"rows\":[{\"next_cfg\":7,\"cur_cfg\":6}]},"
        "{\"rows\":[{\"_uuid\":[\"uuid\",\"b1\"],\"name\":\"xapi0\",\"datapath_type\":\"netdev\","
        "\"ports\":[\"set\",[[\"uuid\",\"p1\"],[\"uuid\",\"p2\"]]],\"external_ids\":[\"map\",[[\"muster\",\"bridge\"]]]"
        ","
        "\"other_config\":[\"map\",[[\"hwaddr\",\"0a:00:00:00:00:01\"]]]}]},"
        "{\"rows\":[{\"_uuid\":[\"uuid\",\"p1\"],\"name\":\"bond0\",\"interfaces\":[\"set\",[[\"uuid\",\"i1\"],"
        "[\"uuid\",\"i2\"]]],\"tag\":[\"set\",[]],\"fake_bridge\":false,\"external_ids\":[\"map\",[]],"
        "\"other_config\":[\"map\",[[\"bond-primary\",\"eth1\"],[\"lacp-time\",\"fast\"]]],"
        "\"bond_mode\":\"balance-tcp\",\"bond_updelay\":31000,\"bond_downdelay\":200,\"lacp\":\"active\","
        "\"bond_active_slave\":\"0a:00:00:00:00:02\"},"
        "{\"_uuid\":[\"uuid\",\"p2\"],\"name\":\"v42\",\"interfaces\":[\"uuid\",\"i3\"],\"tag\":42,"
        "\"fake_bridge\":true}]},"
        "{\"rows\":[{\"_uuid\":[\"uuid\",\"i1\"],\"name\":\"eth0\",\"mtu\":9000,\"mtu_request\":9000,\"ofport\":1,"
        "\"error\":[\"set\",[]],\"type\":\"\"},"
        "{\"_uuid\":[\"uuid\",\"i2\"],\"name\":\"eth1\",\"mtu\":1500,\"mtu_request\":[\"set\",[]],\"ofport\":-1,"
        "\"error\":\"could not open\",\"type\":\"\"},"
        "{\"_uuid\":[\"uuid\",\"i3\"],\"name\":\"v42\",\"type\":\"internal\"}]}]";
    json_t *json = json_loads(answer, 0, NULL);
    struct ovs_state s;
    struct error *e = NULL;
    assert_true(ovs_txn_parse(json, &s, &e));
    json_decref(json);
    assert_int_equal(s.next_cfg, 7);
    assert_string_equal(ovs_state_bridge(&s, "xapi0")->role, "bridge");
    assert_string_equal(ovs_state_bridge(&s, "xapi0")->hwaddr, "0a:00:00:00:00:01");
    const struct ovs_port *p = ovs_state_port(&s, "bond0");
    assert_string_equal(p->bridge, "xapi0");
    assert_int_equal(p->n_ifaces, 2);
    assert_string_equal(p->ifaces[1], "eth1");
    assert_true(p->has_bond && p->bond.lacp && p->bond.lacp_fast);
    assert_string_equal(p->bond.primary, "eth1");
    assert_int_equal(p->tag, -1);
    assert_int_equal(ovs_state_port(&s, "v42")->tag, 42);
    assert_true(ovs_state_port(&s, "v42")->fake_bridge);
    assert_int_equal(ovs_state_iface(&s, "eth1")->ofport, -1);
    assert_string_equal(ovs_state_iface(&s, "eth1")->error, "could not open");
    assert_ptr_equal(ovs_state_port_of_iface(&s, "eth1"), p);
    ovs_state_done(&s);
}

static void test_strange_answers_are_errors(void **unused) {
    static const char *const answers[] = {"[]", "{}", "[{\"rows\":[]},{\"rows\":[]},{\"rows\":[]},{\"rows\":[]}]",
                                          "[{\"rows\":[{}]},{\"rows\":{}},{\"rows\":[]}]", "[null,null,null,null]"};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        json_t *json = json_loads(answers[i], JSON_DECODE_ANY, NULL);
        struct ovs_state s;
        struct error *e = NULL;
        assert_false(ovs_txn_parse(json, &s, &e));
        assert_non_null(e);
        error_free(e);
        json_decref(json);
    }
    /* wrong types inside rows are read as "not there" */
    json_t *json = json_loads("[{\"rows\":[{\"next_cfg\":\"x\"}]},{\"rows\":[7,{\"name\":9}]},{\"rows\":[[]]},"
                              "{\"rows\":[{\"mtu\":\"big\"}]}]",
                              0, NULL);
    struct ovs_state s;
    struct error *e = NULL;
    assert_true(ovs_txn_parse(json, &s, &e));
    assert_int_equal(s.ifaces[0].mtu, 0);
    ovs_state_done(&s);
    json_decref(json);
}

/* One reference is one interface, however many rows say that they are it; a reference to nothing is none. */
static void test_a_reference_is_one_interface(void **unused) {
    static const struct {
        const char *reference, *uuid;
        unsigned n;
    } cases[] = {{"[\"uuid\",\"i1\"]", "\"_uuid\":[\"uuid\",\"i1\"],", 1}, {"[\"set\",[[\"uu\"],7]]", "", 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf text = BUF_INIT;
        struct ovs_state s;
        struct error *e = NULL;
        buf_addf(&text,
                 "[{\"rows\":[{\"next_cfg\":1,\"cur_cfg\":1}]},{\"rows\":[]},{\"rows\":[{\"name\":\"bond0\","
                 "\"interfaces\":%s}]},{\"rows\":[",
                 cases[i].reference);
        for (unsigned n = 0; n < OVS_MAX_LEGS + 3; n++)
            buf_addf(&text, "%s{%s\"name\":\"eth%u\"}", n ? "," : "", cases[i].uuid, n);
        buf_add_str(&text, "]}]");
        json_t *json = json_loads(buf_str(&text), 0, NULL);
        assert_true(ovs_txn_parse(json, &s, &e));
        assert_int_equal(s.n_ifaces, OVS_MAX_LEGS + 3);
        assert_int_equal(s.ports[0].n_ifaces, cases[i].n);
        ovs_state_done(&s);
        json_decref(json);
        buf_done(&text);
    }
}

static void test_bond_show_is_read(void **unused) {
    struct ovs_bond_status s;
    ovs_bond_parse("---- bond0 ----\nbond_mode: active-backup\nbond may use recirculation: no, Recirc-ID : -1\n"
                   "lacp_status: off\nactive-backup primary: eth0\n<active member mac>: 0a:00(eth0)\n\n"
                   "member eth0: enabled\n  active member\n  may_enable: true\n\nmember eth1: disabled\n"
                   "  may_enable: false\n",
                   &s);
    assert_string_equal(s.mode, "active-backup");
    assert_false(s.lacp_negotiated);
    assert_int_equal(s.n_legs, 2);
    assert_true(s.legs[0].enabled && s.legs[0].active);
    assert_false(s.legs[1].enabled || s.legs[1].active);
    ovs_bond_parse("slave eth0: enabled\n  active slave\nlacp_status: negotiated\n", &s);
    assert_true(s.lacp_negotiated && s.legs[0].active);
    ovs_bond_parse("", &s);
    assert_int_equal(s.n_legs, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_bridge_is_used_by_later_ops),
        cmocka_unit_test(test_rows_of_the_database_go_by_uuid),
        cmocka_unit_test(test_replacing_a_port_deletes_the_old_row),
        cmocka_unit_test(test_unknown_names_are_refused),
        cmocka_unit_test(test_bond_columns_are_cleared_with_the_bond),
        cmocka_unit_test(test_rows_are_read),
        cmocka_unit_test(test_strange_answers_are_errors),
        cmocka_unit_test(test_a_reference_is_one_interface),
        cmocka_unit_test(test_bond_show_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
