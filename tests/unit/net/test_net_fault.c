/* SPDX-License-Identifier: Apache-2.0 */
/* The wording, and that each code has its section in the manual. MUSTER_FAULTS_MD names that file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "net/net_fault.h"

static void test_leg_sentence(void **state) {
    struct net_problems ps = {0};
    struct net_mac mac = {{0x52, 0x54, 0, 0, 0, 2}};
    struct net_fault_facts f = {.host = "h2",
                                .nic = "eth1",
                                .mac = &mac,
                                .switch_name = "swB",
                                .switch_port = "h2p1",
                                .network_uuid = "u",
                                .size_wanted = 9000,
                                .size_passes = 1500,
                                .direction = NET_DIRECTION_OUT};
    const struct net_problem *p = net_problems_add(&ps, NET_FAULT_LEG_SIZE_LIMITED, &f);
    assert_string_equal(p->text,
                        "Host 'h2' leg 'eth1' (MAC 52:54:00:00:00:02, switch 'swB' port 'h2p1'): frames of 9000 "
                        "bytes do not arrive, 1500 do, in the direction to the switch.");
    assert_string_equal(p->cure,
                        "raise the MTU of port 'h2p1' of switch 'swB' to 9216, or run: xe network-param-set uuid=u "
                        "MTU=1500.");
    assert_string_equal(p->nic, "eth1");
    _cleanup_free_ char *line = net_problem_line(p);
    assert_true(str_starts(line, "MUSTER-N101 leg size-limited: Host 'h2'"));
    assert_ptr_equal(net_problems_find(&ps, NET_FAULT_LEG_SIZE_LIMITED, "eth1"), p);
    assert_null(net_problems_find(&ps, NET_FAULT_LEG_SIZE_LIMITED, "eth0"));
    f.size_passes = 64; /* no network could live with that: nobody is told to give it one */
    p = net_problems_add(&ps, NET_FAULT_LEG_SIZE_LIMITED, &f);
    assert_string_equal(p->cure, "raise the MTU of port 'h2p1' of switch 'swB' to 9216.");
    p = net_problems_add(&ps, NET_FAULT_ISL_SIZE_LIMITED, &f);
    assert_string_equal(p->cure, "raise the MTU of the ports that join the switches to 9216.");
    net_problems_done(&ps);
}

/* What is wrong between switches names both, and the two ends of a path that shows it, as far as they are known. */
static void test_link_sentence(void **state) {
    struct net_problems ps = {0};
    struct net_fault_facts f = {.host = "h1",
                                .bond = "bond0",
                                .nic = "eth0",
                                .switch_name = "swA",
                                .switch_port = "h1-eth0",
                                .peer_host = "h2",
                                .peer_bond = "bond0",
                                .peer_nic = "eth1",
                                .peer_switch = "swB",
                                .peer_port = "h2-eth1",
                                .network_uuid = "u",
                                .size_wanted = 9000,
                                .size_passes = 1500};
    const struct net_problem *p = net_problems_add(&ps, NET_FAULT_ISL_SIZE_LIMITED, &f);
    assert_string_equal(p->text,
                        "The link between switch 'swA' and switch 'swB' is size-limited: frames of 9000 bytes do not "
                        "cross it, 1500 do, while each switch by itself carries them; seen between host 'h1' bond "
                        "'bond0' leg 'eth0' (port 'h1-eth0') and host 'h2' bond 'bond0' leg 'eth1' (port 'h2-eth1').");
    assert_string_equal(p->cure, "raise the MTU of the ports that join switch 'swA' and switch 'swB' to 9216, or run: "
                                 "xe network-param-set uuid=u MTU=1500.");
    f.size_passes = 0; /* no MTU helps */
    p = net_problems_add(&ps, NET_FAULT_ISL_SIZE_LIMITED, &f);
    assert_true(str_starts(p->text, "The link between switch 'swA' and switch 'swB' is broken: no frame of any size "
                                    "crosses it, while"));
    assert_string_equal(p->cure, "look at the cables and ports that join switch 'swA' and switch 'swB'.");
    struct net_fault_facts untold = {
        .host = "h1", .nic = "eth0", .peer_host = "h2", .peer_nic = "eth1", .size_wanted = 9000, .size_passes = 1500};
    p = net_problems_add(&ps, NET_FAULT_ISL_SIZE_LIMITED, &untold);
    assert_string_equal(p->text, "The link between the switches is size-limited: frames of 9000 bytes do not cross it, "
                                 "1500 do, while each switch by itself carries them; seen between host 'h1' leg "
                                 "'eth0' and host 'h2' leg 'eth1'.");
    net_problems_done(&ps);
}

/* Large frames that pass one way only are a port's limit, and its sizes are told; with nothing known, a bad cable. */
static void test_one_way_sentence(void **state) {
    struct net_problems ps = {0};
    struct net_fault_facts f = {
        .host = "h2", .nic = "eth1", .size_wanted = 9000, .size_passes = 4000, .direction = NET_DIRECTION_IN};
    const struct net_problem *p = net_problems_add(&ps, NET_FAULT_LEG_ONE_WAY, &f);
    assert_string_equal(p->text, "Host 'h2' leg 'eth1': frames of 9000 bytes pass to the switch but are lost from the "
                                 "switch, where only 4000 do.");
    assert_string_equal(p->cure, "raise the MTU of the switch port that this leg is plugged into to 9216, or run: xe "
                                 "network-param-set uuid=<uuid of the network> MTU=1500.");
    f.size_passes = 0;
    p = net_problems_add(&ps, NET_FAULT_LEG_ONE_WAY, &f);
    assert_string_equal(p->text,
                        "Host 'h2' leg 'eth1': frames of 9000 bytes pass to the switch but are lost from the switch.");
    assert_true(str_starts(p->cure, "replace the cable or transceiver"));
    net_problems_done(&ps);
}

/* With nothing known at all a sentence still stands; each code has a name, a summary, its number and its section. */
static void test_all(void **state) {
    size_t n;
    const enum net_fault *all = net_fault_all(&n);
    const char *path = getenv("MUSTER_FAULTS_MD");
    _cleanup_buf_ struct buf manual = BUF_INIT;
    if (path)
        assert_int_equal(fs_read(path, 1 << 20, &manual), 0);
    struct net_problems ps = {0};
    for (size_t i = 0; i < n; i++) {
        struct net_fault_facts nothing = {0};
        const struct net_problem *p = net_problems_add(&ps, all[i], &nothing);
        char code[NET_FAULT_CODE_SIZE];
        enum net_fault back;
        assert_true(str_ends(p->text, ".") && strlen(p->text) > 20);
        assert_true(str_ends(p->cure, ".") && strlen(p->cure) > 10);
        assert_non_null(net_fault_name(all[i]));
        assert_non_null(net_fault_summary(all[i]));
        assert_true(net_fault_code_parse(net_fault_code_text(all[i], code), &back));
        assert_int_equal(back, all[i]);
        _cleanup_free_ char *heading = strf("\n## %s %s\n", code, net_fault_name(all[i]));
        if (path && !strstr(buf_str(&manual), heading))
            fail_msg("the manual has no section '%s'", heading);
    }
    net_problems_done(&ps);
    enum net_fault f;
    assert_false(net_fault_code_parse("MUSTER-N999", &f));
    assert_false(net_fault_code_parse("MUSTER-N1010", &f));
    assert_false(net_fault_code_parse("N101", &f));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_leg_sentence), cmocka_unit_test(test_link_sentence),
                                       cmocka_unit_test(test_one_way_sentence), cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
