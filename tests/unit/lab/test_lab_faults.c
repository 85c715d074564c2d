/* SPDX-License-Identifier: Apache-2.0 */
/* Faults turn into exactly the switch rules that were measured to work, per port, direction and tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lab/lab_faults.h"

static struct topology topo;

static int setup(void **state) {
    struct error *e = NULL;
    return topology_generate(&topo, 2, 2, &e) ? 0 : -1;
}

#define TAIL                                                                                                           \
    "add table=0,priority=0,actions=resubmit(,1)\n"                                                                    \
    "add table=1,priority=10,reg0=1,actions=drop\n"                                                                    \
    "add table=1,priority=0,actions=NORMAL\n"

static void test_no_faults(void **state) {
    struct faults f = {0};
    _cleanup_buf_ struct buf flows = BUF_INIT, nft = BUF_INIT;
    faults_flows(&f, &topo, 0, &flows);
    assert_string_equal(buf_str(&flows), "delete\n" TAIL);
    faults_nft(&f, &topo, 0, &nft);
    assert_null(strstr(buf_str(&nft), "chain"));
}

static void test_port_limit(void **state) {
    struct faults f = {0};
    _cleanup_buf_ struct buf here = BUF_INIT, there = BUF_INIT, nft = BUF_INIT;
    struct port_fault *p = faults_port(&f, "h2-eth1");
    p->mtu_from_host = 1500;
    p->mtu_to_host = 1400;
    faults_flows(&f, &topo, 1, &here);
    assert_string_equal(buf_str(&here), "delete\n"
                                        "add table=0,priority=110,in_port=\"h2-eth1\",vlan_tci=0x1000/0x1000,"
                                        "actions=check_pkt_larger(1518)->NXM_NX_REG0[0],resubmit(,1)\n"
                                        "add table=0,priority=100,in_port=\"h2-eth1\","
                                        "actions=check_pkt_larger(1514)->NXM_NX_REG0[0],resubmit(,1)\n" TAIL);
    faults_flows(&f, &topo, 0, &there);
    assert_string_equal(buf_str(&there), "delete\n" TAIL);
    faults_nft(&f, &topo, 1, &nft);
    assert_non_null(strstr(buf_str(&nft), "hook egress device \"h2-eth1\""));
    assert_non_null(strstr(buf_str(&nft), "@ll,96,16 0x8100 meta length > 1418 counter drop"));
    assert_non_null(strstr(buf_str(&nft), "@ll,96,16 != 0x8100 meta length > 1414 counter drop"));
}

static void test_fabric_and_link(void **state) {
    struct faults f = {.fabric_mtu = 1500, .isl_mtu = 1400};
    _cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;
    faults_port(&f, "h1-eth0")->mtu_from_host = 1300; /* the smaller one counts */
    faults_flows(&f, &topo, 0, &a);
    assert_non_null(strstr(buf_str(&a), "in_port=\"h1-eth0\",actions=check_pkt_larger(1314)"));
    assert_non_null(strstr(buf_str(&a), "in_port=\"h2-eth0\",actions=check_pkt_larger(1514)"));
    assert_non_null(strstr(buf_str(&a), "in_port=\"isl\",actions=check_pkt_larger(1414)"));
    assert_non_null(strstr(buf_str(&a), "in_port=\"admin-eth0\",actions=check_pkt_larger(1514)"));
    faults_flows(&f, &topo, 1, &b);
    assert_non_null(strstr(buf_str(&b), "in_port=\"isl\",actions=check_pkt_larger(1414)"));
    assert_null(strstr(buf_str(&b), "admin"));
}

static void test_one_way(void **state) {
    struct faults f = {0};
    _cleanup_buf_ struct buf flows = BUF_INIT, nft = BUF_INIT;
    struct port_fault *p = faults_port(&f, "h1-eth0");
    p->drop_from_host = true;
    p->mtu_from_host = 1500;
    faults_flows(&f, &topo, 0, &flows);
    assert_string_equal(buf_str(&flows), "delete\nadd table=0,priority=200,in_port=\"h1-eth0\",actions=drop\n" TAIL);
    p->drop_from_host = false;
    p->drop_to_host = true;
    p->lacp_silent = true;
    faults_nft(&f, &topo, 0, &nft);
    assert_non_null(strstr(buf_str(&nft), "0x8809 counter drop\n    counter drop\n"));
}

static void test_kept(void **state) {
    struct error *e = NULL;
    struct faults f = {.isl_mtu = 1500, .fabric_mtu = 9000, .isl_down = true}, again;
    struct port_fault *p = faults_port(&f, "h1-eth1");
    *p = (struct port_fault){.mtu_from_host = 1,
                             .mtu_to_host = 2,
                             .drop_from_host = true,
                             .drop_to_host = true,
                             .lacp_silent = true,
                             .down = true,
                             .host_down = true,
                             .lldp_off = true,
                             .trunks = "0,5"};
    strncat(p->port, "h1-eth1", sizeof(p->port) - 1);
    _cleanup_buf_ struct buf text = BUF_INIT, second = BUF_INIT;
    faults_format(&f, &text);
    assert_true(faults_parse(&again, buf_str(&text), text.size, &e));
    faults_format(&again, &second);
    assert_string_equal(buf_str(&text), buf_str(&second));
    assert_true(again.ports[0].lldp_off && again.ports[0].mtu_to_host == 2 && again.isl_down);
    faults_forget(&again, "h1-eth1");
    assert_null(faults_find(&again, "h1-eth1"));
    assert_false(faults_parse(&again, "nonsense", 8, &e));
    error_free(e);
}

static void test_trunks(void **state) {
    struct error *e = NULL;
    char list[32] = "kept";
    assert_true(faults_trunks_parse("0,101-103", list, sizeof(list), &e));
    assert_string_equal(list, "0,101,102,103");
    static const char *const wrong[] = {"", "x", "1,,2", "4095", "5-4", "1-", "-1", "0-4094"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(faults_trunks_parse(wrong[i], list, sizeof(list), &e));
        error_free(e);
        e = NULL;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_faults), cmocka_unit_test(test_port_limit), cmocka_unit_test(test_fabric_and_link),
        cmocka_unit_test(test_one_way),   cmocka_unit_test(test_kept),       cmocka_unit_test(test_trunks)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
