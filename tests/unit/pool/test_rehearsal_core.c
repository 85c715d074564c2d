/* SPDX-License-Identifier: Apache-2.0 */
/* From facts to verdicts: nothing to say of a sound host, and for each thing that is not its code, weight, sentence and
 * cure. MUSTER_FAULTS_MD names the manual, which has a section for each code. */
#include "base/fs.h"
#include "base/str.h"
#include "pool/rehearsal_core.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define DAY 86400
#define NOW 1800000000

/* A member with a vote in a pool of three, all there. */
static struct rehearsal_facts sound(void) {
    return (struct rehearsal_facts){.host = "h2",
                                    .host_uuid = "u2",
                                    .has_live_peer = true,
                                    .control_passes = true,
                                    .coordinator_answers = true,
                                    .coordinator = "h1",
                                    .clock_known = true,
                                    .not_before = NOW - DAY,
                                    .not_after = NOW + 365 * DAY,
                                    .now = NOW,
                                    .disk = "/var/lib/muster",
                                    .disk_known = true,
                                    .free_bytes = 10ull << 30,
                                    .free_inodes = 100000,
                                    .n_hosts = 3,
                                    .n_other_live = 2,
                                    .n_voters = 3,
                                    .n_voters_live = 3,
                                    .is_voter = true,
                                    .has_majority_now = true};
}

static void expect_none(struct rehearsal_facts f) {
    struct rehearsal_verdicts v;
    rehearsal_judge(&f, &v);
    if (v.n) {
        _cleanup_free_ char *line = rehearsal_line(&v.items[0]);
        fail_msg("nothing should be said, but: %s", line);
    }
    rehearsal_verdicts_done(&v);
}

/* Exactly one verdict, with these words in it and in its cure. */
static void expect(struct rehearsal_facts f, enum rehearsal_code code, bool is_blocker, const char *text,
                   const char *cure) {
    struct rehearsal_verdicts v;
    rehearsal_judge(&f, &v);
    assert_int_equal(v.n, 1);
    assert_int_equal(v.items[0].code, code);
    assert_int_equal(v.items[0].is_blocker, is_blocker);
    assert_int_equal(v.n_blockers, is_blocker);
    if (!strstr(v.items[0].text, text) || !strstr(v.items[0].cure, cure))
        fail_msg("'%s' / '%s' lacks '%s' / '%s'", v.items[0].text, v.items[0].cure, text, cure);
    rehearsal_verdicts_done(&v);
}

static void test_sound(void **state) {
    expect_none(sound());
    struct rehearsal_facts alone = sound();
    alone.n_hosts = alone.n_voters = alone.n_voters_live = 1;
    alone.n_other_live = 0;
    alone.is_coordinator = true;
    alone.has_live_peer = alone.control_passes = alone.coordinator_answers = alone.clock_known = false;
    expect_none(alone); /* a pool of one asks nobody */
}

static void test_program(void **state) {
    struct rehearsal_facts f = sound();
    f.program = "'muster-netboot': No such file";
    expect(f, REHEARSAL_PROGRAM, true, "cannot be run: 'muster-netboot'", "install the package");
    f = sound();
    f.not_done = "it did not end in time";
    expect(f, REHEARSAL_NOT_DONE, true, "could not be rehearsed: it did not", "muster-netboot rehearse");
    f = sound();
    f.unit = "the unit 'musterd.service' is masked";
    expect(f, REHEARSAL_UNIT, true, "is masked", "systemctl enable muster-netboot");
}

static void test_configuration(void **state) {
    struct rehearsal_facts f = sound();
    f.config_error = "Host 'h2': the network configuration on its disk cannot be used";
    expect(f, REHEARSAL_CONFIG_DAMAGED, true, "would boot with the one before",
           "xe host-reboot-check host=u2 repair=true");
    f.no_config = "no usable network configuration";
    expect(f, REHEARSAL_NO_CONFIG, true, "boot without a network", "repair=true");
    f = sound();
    f.is_pending = true;
    expect(f, REHEARSAL_CHANGE_PENDING, true, "a network change is in progress", "wait for its end");
    f.is_pending = false;
    f.is_changing = true;
    expect(f, REHEARSAL_CHANGE_PENDING, true, "a network change is in progress", "wait for its end");
    f = sound();
    f.reset_path = "/tmp/network-reset";
    f.reset_words = "NIC eth0, by DHCP";
    expect(f, REHEARSAL_RESET, true, "resets its network, as '/tmp/network-reset' asks: it will be NIC eth0, by DHCP",
           "remove '/tmp/network-reset' on the host");
    f.reset_problem = "'/tmp/network-reset' is not obeyed";
    expect(f, REHEARSAL_RESET, false, "is not obeyed", "remove that file");
    f = sound();
    f.wanted_diff = "xapi0: MTU 1500 to 9000";
    expect(f, REHEARSAL_NOT_AS_WANTED, false, "another network of it than it has", "network-text");
}

static void test_boot(void **state) {
    struct rehearsal_facts f = sound();
    struct rehearsal_note note = {
        .text = "Host 'h2' leg 'eth1': there is no NIC", .cure = "seat the NIC", .is_management = true};
    f.problems = &note;
    f.n_problems = 1;
    expect(f, REHEARSAL_BOOT_PROBLEM, true, "no NIC", "seat the NIC");
    note.is_management = false;
    expect(f, REHEARSAL_BOOT_PROBLEM, false, "no NIC", "seat the NIC");
    note.is_management = note.is_less = true;
    expect(f, REHEARSAL_BOOT_PROBLEM, false, "no NIC", "seat the NIC");
    f = sound();
    note = (struct rehearsal_note){.text = "NIC 'eth0' has MTU 1400 now; a boot would make it 1500",
                                   .is_management = true};
    f.differences = &note;
    f.n_differences = 1;
    expect(f, REHEARSAL_DIFFERS, true, "Host 'h2': NIC 'eth0' has MTU 1400 now", "muster-netboot verify");
    note.is_management = false;
    expect(f, REHEARSAL_DIFFERS, false, "MTU 1400", "muster-netboot verify");
    note = (struct rehearsal_note){.text = "there is a route", .is_management = true, .is_less = true};
    expect(f, REHEARSAL_DIFFERS, false, "there is a route", "do without it");
    f = sound();
    f.boot_failure = "the switch does not answer";
    expect(f, REHEARSAL_BOOT_FAILS, true, "was tried and failed: the switch", "muster-netboot rehearse");
    f = sound();
    f.scratch_error = "no namespaces";
    expect(f, REHEARSAL_NOT_DONE, false, "no namespaces", "only not tried");
}

static void test_paths(void **state) {
    struct rehearsal_facts f = sound();
    f.control_passes = false;
    expect(f, REHEARSAL_NO_WAY, true, "carries 1500 bytes to any host", "cables");
    f.has_live_peer = false; /* nobody is there to try it with */
    expect_none(f);
    f = sound();
    struct rehearsal_note leg = {.text = "Host 'h2' leg 'eth1': frames of 9000 bytes do not arrive",
                                 .cure = "raise the MTU of port",
                                 .is_management = true};
    f.legs = &leg;
    f.n_legs = 1;
    expect(f, REHEARSAL_LEG, true, "frames of 9000", "raise the MTU of port");
    leg.is_management = false;
    expect(f, REHEARSAL_LEG, false, "frames of 9000", "raise the MTU of port");
    leg.is_management = leg.is_less = true;
    expect(f, REHEARSAL_LEG, false, "frames of 9000", "raise the MTU of port");
    f = sound();
    f.coordinator_answers = false;
    expect(f, REHEARSAL_COORDINATOR, true, "the coordinator 'h1' does not answer",
           "pool-emergency-transition-to-master");
}

static void test_certificate(void **state) {
    struct rehearsal_facts f = sound();
    f.not_after = NOW - 1;
    expect(f, REHEARSAL_CERTIFICATE, true, "has expired, on 2027-01-15", "xe host-refresh-server-certificate host=u2");
    f.not_after = NOW + REHEARSAL_CERTIFICATE_MIN_S - 1;
    expect(f, REHEARSAL_CERTIFICATE, true, "expires on", "host-refresh-server-certificate");
    f.not_after = NOW + REHEARSAL_CERTIFICATE_MIN_S;
    expect(f, REHEARSAL_CERTIFICATE, false, "expires on", "host-refresh-server-certificate");
    f.not_after = NOW + REHEARSAL_CERTIFICATE_WARN_S;
    expect_none(f);
    f.not_before = NOW + 1;
    expect(f, REHEARSAL_CERTIFICATE, true, "not valid yet", "NTP");
    f = sound();
    f.certificate_error = "reading it";
    expect(f, REHEARSAL_CERTIFICATE, true, "cannot be used: reading it", "host-refresh-server-certificate");
}

static void test_clock(void **state) {
    struct rehearsal_facts f = sound();
    f.skew_ms = REHEARSAL_CLOCK_WARN_MS;
    expect_none(f);
    f.skew_ms++;
    expect(f, REHEARSAL_CLOCK, false, "60 s behind", "chronyc makestep");
    f.skew_ms = -REHEARSAL_CLOCK_MAX_MS - 1000;
    expect(f, REHEARSAL_CLOCK, true, "301 s ahead of", "chronyc makestep");
    f.clock_known = false;
    expect_none(f);
}

static void test_disk(void **state) {
    struct rehearsal_facts f = sound();
    f.free_bytes = REHEARSAL_DISK_WARN_BYTES - 1;
    expect(f, REHEARSAL_DISK, false, "nearly full, 127 MiB", "make room");
    f.free_bytes = REHEARSAL_DISK_MIN_BYTES - 1;
    expect(f, REHEARSAL_DISK, true, "is full, 15 MiB and 100000 files", "make room");
    f = sound();
    f.free_inodes = REHEARSAL_INODES_MIN - 1;
    expect(f, REHEARSAL_DISK, true, "and 63 files are left", "make room");
    f.is_read_only = true;
    expect(f, REHEARSAL_DISK, true, "cannot be written", "kernel's log");
    f = sound();
    f.identity_error = "host.json is damaged";
    expect(f, REHEARSAL_IDENTITY, true, "host.json is damaged", "repair=true");
    f = sound();
    f.database_error = "bad record";
    expect(f, REHEARSAL_DATABASE, false, "bad record", "repair=true");
    f.n_hosts = f.n_voters = f.n_voters_live = 1;
    f.n_other_live = 0;
    expect(f, REHEARSAL_DATABASE, true, "bad record", "repair=true"); /* the only copy */
}

static void test_votes(void **state) {
    struct rehearsal_facts f = sound();
    f.n_voters_live = 2;
    f.n_other_live = 1;
    f.away_voters = "h3";
    expect(f, REHEARSAL_MAJORITY, true, "of 3 hosts with a vote 'h3' is away already", "bring 'h3' back");
    f.can_replace = true;
    expect(f, REHEARSAL_MAJORITY, true, "no majority", "until another host has taken the vote");
    f.is_voter = false; /* a relay takes nothing away */
    expect_none(f);
    f = sound();
    f.n_voters = 5;
    f.n_voters_live = 4; /* three of four are left */
    expect_none(f);
    f.n_voters_live = 3; /* two of four would be left */
    expect(f, REHEARSAL_MAJORITY, true, "some are away", "the other voters");
    f = sound();
    f.n_hosts = f.n_voters = f.n_voters_live = 2; /* the other one goes on alone */
    f.n_other_live = 1;
    expect_none(f);
    f = sound();
    f.has_majority_now = false;
    expect(f, REHEARSAL_MAJORITY, true, "no majority now", "bring");
}

static void test_others(void **state) {
    struct rehearsal_facts f = sound();
    f.is_coordinator = true;
    f.coordinator_answers = f.clock_known = false;
    expect(f, REHEARSAL_ALONE, false, "it coordinates the pool", "pool-designate-new-master");
    f = sound();
    f.n_other_live = 0;
    f.is_voter = false;
    expect(f, REHEARSAL_ALONE, false, "no other host of the pool lives", "bring the other hosts back");
    f = sound();
    f.away_hosts = "h3 (proving)";
    expect(f, REHEARSAL_OTHER_AWAY, false, "not ready now: h3 (proving)", "wait");
}

static void test_order(void **state) {
    struct rehearsal_facts f = sound();
    struct rehearsal_verdicts v;
    f.away_hosts = "h3";
    f.is_read_only = true;
    f.wanted_diff = "something";
    f.not_after = NOW - 1;
    rehearsal_judge(&f, &v);
    static const enum rehearsal_code order[] = {REHEARSAL_CERTIFICATE, REHEARSAL_DISK, REHEARSAL_NOT_AS_WANTED,
                                                REHEARSAL_OTHER_AWAY};
    assert_int_equal(v.n, ARRAY_SIZE(order));
    assert_int_equal(v.n_blockers, 2);
    for (size_t i = 0; i < v.n; i++)
        assert_int_equal(v.items[i].code, order[i]);
    _cleanup_free_ char *line = rehearsal_line(&v.items[0]);
    assert_true(str_starts(line, "MUSTER-R320: Host 'h2'") && strstr(line, "; cure: xe host-refresh"));
    rehearsal_verdicts_done(&v);
}

static void test_manual(void **state) {
    const char *path = getenv("MUSTER_FAULTS_MD");
    _cleanup_buf_ struct buf manual = BUF_INIT;
    size_t n;
    const enum rehearsal_code *all = rehearsal_codes(&n);
    if (!path)
        skip();
    assert_int_equal(fs_read(path, 1 << 20, &manual), 0);
    for (size_t i = 0; i < n; i++) {
        char code[REHEARSAL_CODE_SIZE];
        _cleanup_free_ char *title = strf("\n## %s ", rehearsal_code_text(all[i], code));
        if (!strstr(buf_str(&manual), title))
            fail_msg("the manual has no section for %s", code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),  cmocka_unit_test(test_program), cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_boot),   cmocka_unit_test(test_paths),   cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_clock),  cmocka_unit_test(test_disk),    cmocka_unit_test(test_votes),
        cmocka_unit_test(test_others), cmocka_unit_test(test_order),   cmocka_unit_test(test_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
