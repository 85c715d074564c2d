/* SPDX-License-Identifier: Apache-2.0 */
/* The pure decisions of membership: liveness, voters, states; the identity on disk; the reader of cluster/status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "pool/liveness_core.h"
#include "pool/pool_identity.h"
#include "pool/states_core.h"
#include "pool/voters_core.h"

/* ---- liveness ---- */
static void test_silence_is_death_within_three_seconds(void **state) {
    struct liveness l = {0};
    uint64_t now = 1000;
    assert_true(liveness_beat(&l, now));
    for (now += 100; !liveness_look(&l, now); now += 100)
        assert_true(now < 4000);
    assert_true(now - 1000 >= 2500 && now - 1000 <= 3000);
    assert_false(l.alive);
    assert_false(liveness_look(&l, now + 100)); /* said once */
    assert_true(liveness_beat(&l, now + 200));
}

static void test_two_lost_beats_and_a_late_one_are_survived(void **state) {
    struct liveness l = {0};
    liveness_beat(&l, 1000);
    for (uint64_t now = 1100; now <= 3500; now += 100)
        assert_false(liveness_look(&l, now));
    assert_false(liveness_beat(&l, 3550));
    assert_true(l.alive);
}

static void test_our_own_stall_is_nobodys_death(void **state) {
    struct liveness l = {0};
    liveness_beat(&l, 1000);
    assert_false(liveness_look(&l, 1100));
    assert_false(liveness_look(&l, 31100)); /* this process slept for half a minute */
    assert_true(l.alive);
    assert_false(liveness_beat(&l, 31150));
    assert_true(liveness_goodbye(&l));
    assert_false(l.alive);
}

/* ---- voters ---- */
static struct voter_host host(uint8_t n, enum voter_role role, bool live) {
    return (struct voter_host){.host = {.b = {n}},
                               .role = role,
                               .live = live,
                               .ready = live,
                               .dead_for_ms = live ? 0 : 1000,
                               .coordinator = n == 1};
}

static void test_voters_follow_the_size_of_the_pool(void **state) {
    static const unsigned wanted[][2] = {{1, 1}, {2, 2}, {3, 3}, {6, 3}, {7, 5}, {64, 5}};
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_int_equal(voters_wanted(wanted[i][0]), wanted[i][1]);
    struct voter_host h[] = {host(1, VOTER_VOTER, true), host(2, VOTER_RELAY, true), host(3, VOTER_RELAY, false),
                             host(4, VOTER_RELAY, true)};
    struct voter_action a = voters_next(h, 4, 300000);
    assert_int_equal(a.kind, VOTER_PROMOTE);
    assert_int_equal(a.host.b[0], 2);
    h[1].role = VOTER_VOTER;
    a = voters_next(h, 4, 300000);
    assert_int_equal(a.kind, VOTER_PROMOTE);
    assert_int_equal(a.host.b[0], 4); /* the dead one is passed over */
    h[3].role = VOTER_VOTER;
    assert_int_equal(voters_next(h, 4, 300000).kind, VOTER_NOTHING);
    assert_int_equal(voters_next(h, 2, 300000).kind, VOTER_NOTHING);
}

static void test_an_absent_voter_is_replaced_in_time_and_with_quorum_only(void **state) {
    struct voter_host h[] = {host(1, VOTER_VOTER, true), host(2, VOTER_VOTER, true), host(3, VOTER_VOTER, false),
                             host(4, VOTER_RELAY, true)};
    assert_int_equal(voters_next(h, 4, 300000).kind, VOTER_NOTHING);
    h[2].dead_for_ms = 300000;
    struct voter_action a = voters_next(h, 4, 300000);
    assert_int_equal(a.kind, VOTER_KICK);
    assert_int_equal(a.host.b[0], 3);
    h[1].live = false; /* one of three: nothing can be changed, and nothing should be */
    assert_int_equal(voters_next(h, 4, 300000).kind, VOTER_NOTHING);
    h[1].live = true;
    h[3].ready = false; /* nobody to take its place: it is kept */
    assert_int_equal(voters_next(h, 4, 300000).kind, VOTER_NOTHING);
}

static void test_surplus_voters_go_but_never_the_coordinator(void **state) {
    struct voter_host h[] = {host(1, VOTER_VOTER, true), host(2, VOTER_VOTER, true), host(3, VOTER_VOTER, true),
                             host(4, VOTER_VOTER, true)};
    struct voter_action a = voters_next(h, 4, 300000);
    assert_int_equal(a.kind, VOTER_DEMOTE);
    assert_int_not_equal(a.host.b[0], 1);
    struct voter_host alone[] = {host(1, VOTER_VOTER, true)};
    assert_int_equal(voters_next(alone, 1, 300000).kind, VOTER_NOTHING);
}

static void test_votes_go_one_at_a_time_and_stay_when_all_go(void **state) {
    struct voter_host h[] = {host(1, VOTER_VOTER, true), host(2, VOTER_VOTER, true), host(3, VOTER_VOTER, true),
                             host(4, VOTER_RELAY, true)};
    h[0].leaving = h[1].leaving = true; /* the coordinator and another */
    assert_int_equal(voters_turn(h, 4, &h[1].host), VOTER_TURN_GO);
    assert_int_equal(voters_turn(h, 4, &h[0].host), VOTER_TURN_WAIT);
    h[1].live = false; /* gone, whether the cluster's list knows it or not */
    assert_int_equal(voters_turn(h, 4, &h[0].host), VOTER_TURN_GO);
    h[1].live = true;
    h[2].leaving = true; /* a relay that stays cannot keep the data */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(voters_turn(h, 4, &h[i].host), VOTER_TURN_KEEP);
    h[2].leaving = false;
    h[2].live = false; /* one that is down does not stay */
    assert_int_equal(voters_turn(h, 4, &h[1].host), VOTER_TURN_KEEP);
    h[0].leaving = false; /* one leaves, one is down: the third would be one of two */
    assert_int_equal(voters_turn(h, 4, &h[1].host), VOTER_TURN_KEEP);
    struct voter_host two[] = {host(1, VOTER_VOTER, true), host(2, VOTER_VOTER, true)};
    two[0].leaving = two[1].leaving = true;
    assert_int_equal(voters_turn(two, 2, &two[0].host), VOTER_TURN_WAIT);
    assert_int_equal(voters_turn(two, 2, &two[1].host), VOTER_TURN_GO);
    /* A coordinator without a vote orders the others before it goes. */
    h[0].role = VOTER_RELAY;
    for (unsigned i = 0; i < 3; i++)
        h[i].live = h[i].leaving = true;
    assert_int_equal(voters_turn(h, 4, &h[0].host), VOTER_TURN_WAIT);
    assert_int_equal(voters_turn(h, 4, &h[1].host), VOTER_TURN_GO);
    assert_int_equal(voters_turn(h, 4, &h[2].host), VOTER_TURN_WAIT);
    h[1].live = h[2].live = false;
    assert_int_equal(voters_turn(h, 4, &h[0].host), VOTER_TURN_GO);
}

/* ---- states ---- */
static struct state_facts all_well(void) {
    return (struct state_facts){.has_network = true,
                                .network_text = "",
                                .has_coordinator = true,
                                .trouble = "",
                                .replica_loaded = true,
                                .replica_in_step = true,
                                .proven = true,
                                .limit_text = "a leg is limited"};
}

static void test_the_way_in_and_emergency_and_back(void **state) {
    struct sm sm;
    states_init(&sm, 1);
    struct state_facts f = {.network_text = "no address", .trouble = "no answer", .limit_text = ""};
    assert_false(states_update(&sm, &f, 10));
    f.has_network = true;
    f.without_ms = 100;
    assert_true(states_update(&sm, &f, 20));
    assert_string_equal(sm_state_name(&sm), "contacting");
    f.without_ms = STATES_START_MS;
    assert_true(states_update(&sm, &f, 30));
    assert_string_equal(sm_state_name(&sm), "emergency");
    assert_string_equal(sm.reason, "no answer");
    f = all_well();
    f.network_pending = true;
    f.replica_in_step = false; /* rows of the past bring no network about */
    assert_true(states_update(&sm, &f, 35));
    assert_string_equal(sm_state_name(&sm), "syncing");
    f.replica_in_step = true;
    assert_true(states_update(&sm, &f, 40));
    assert_string_equal(sm_state_name(&sm), "reconciling");
    f.network_pending = false;
    assert_true(states_update(&sm, &f, 50));
    assert_string_equal(sm_state_name(&sm), "ready");
    f.network_pending = true;  /* a change later on leaves the host in service */
    f.replica_in_step = false; /* and so does its database server that starts anew */
    assert_false(states_update(&sm, &f, 60));
    f.size_limited = true;
    assert_true(states_update(&sm, &f, 70));
    assert_string_equal(sm_state_name(&sm), "ready-size-limited");
    assert_string_equal(sm.reason, "a leg is limited");
    assert_false(states_update(&sm, &f, 71));
    f.limit_text = "leg 'eth1' is limited"; /* more is known of it */
    assert_true(states_update(&sm, &f, 72));
    assert_string_equal(sm.reason, "leg 'eth1' is limited");
    assert_int_equal(sm.entered_ms, 70);
    f.has_coordinator = false;
    f.without_ms = STATES_LOST_MS - 1; /* a short absence is no emergency */
    assert_false(states_update(&sm, &f, 80));
    f.without_ms = STATES_LOST_MS;
    assert_true(states_update(&sm, &f, 90));
    assert_string_equal(sm_state_name(&sm), "emergency");
    sm_done(&sm);
}

/* Any facts in any order: the table is never left (sm_move aborts), and good facts always lead to ready. */
static void test_no_facts_leave_the_table(void **state) {
    uint64_t seed = 1;
    for (unsigned round = 0; round < 200; round++) {
        struct sm sm;
        states_init(&sm, 1);
        for (unsigned i = 0; i < 200; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            unsigned b = (unsigned)(seed >> 40);
            struct state_facts f = {.has_network = b & 1,
                                    .network_text = "n",
                                    .has_coordinator = b & 2,
                                    .without_ms = b & 4 ? 20000 : 1,
                                    .trouble = "t",
                                    .replica_loaded = b & 8,
                                    .replica_in_step = b & 128,
                                    .network_pending = b & 16,
                                    .proven = b & 32,
                                    .size_limited = b & 64,
                                    .limit_text = "l"};
            states_update(&sm, &f, i + 2);
        }
        struct state_facts well = all_well();
        states_update(&sm, &well, 1000);
        assert_true(states_is_ready(&sm));
        sm_done(&sm);
    }
}

/* ---- identity ---- */
static char folder[] = "/tmp/muster-identity-XXXXXX";

static void write_file(const char *name, const char *text, size_t size) {
    _cleanup_free_ char *path = strf("%s/%s", folder, name);
    assert_int_equal(fs_write_atomic(path, text, size, 0600), 0);
}

static void test_identity_survives_a_damaged_file(void **state) {
    struct error *e = NULL;
    struct identity id = {.host = uuid_random(),
                          .pool = uuid_random(),
                          .coordinator = uuid_random(),
                          .database = IDENTITY_DB_VOTER,
                          .n_hosts = 2},
                    back;
    bool found, previous;
    assert_false(identity_load(folder, &back, &found, &previous, &e));
    assert_false(found);
    error_free(TAKE(e));
    id.hosts[0] = (struct identity_host){.host = id.host, .address = "10.9.0.11", .voter = true};
    id.hosts[1] = (struct identity_host){.host = id.coordinator, .address = "fd00::12"};
    assert_true(identity_save(folder, &id, &e));
    str_copy(id.hosts[1].address, sizeof(id.hosts[1].address), "10.9.0.13");
    assert_true(identity_save(folder, &id, &e));
    assert_true(identity_load(folder, &back, &found, &previous, &e));
    assert_false(previous);
    assert_string_equal(back.hosts[1].address, "10.9.0.13");
    assert_true(back.hosts[0].voter && !back.hosts[1].voter && back.database == IDENTITY_DB_VOTER);

    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *path = strf("%s/host.json", folder);
    assert_int_equal(fs_read(path, 65536, &text), 0);
    for (size_t cut = 0; cut < text.size - 2; cut += 7) { /* cut short anywhere, the one before is taken */
        write_file("host.json", text.data, cut);
        assert_true(identity_load(folder, &back, &found, &previous, &e));
        assert_true(previous);
        assert_string_equal(back.hosts[1].address, "fd00::12");
    }
    write_file("host.prev.json", "{}", 2);
    assert_false(identity_load(folder, &back, &found, &previous, &e));
    assert_true(found); /* damaged is not the same as never set up */
    error_free(TAKE(e));
    static const char *const files[] = {"host.json", "host.prev.json"};
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *p = strf("%s/%s", folder, files[i]);
        fs_unlink(p);
    }
}

/* ---- a vote that goes with its host ---- */
static void test_a_vote_goes_only_where_a_majority_stays(void **state) {
    struct voter_host h[4];
    struct uuid other = {0};
    for (unsigned i = 0; i < 4; i++)
        h[i] = (struct voter_host){
            .host = uuid_random(), .role = i < 3 ? VOTER_VOTER : VOTER_RELAY, .live = true, .ready = true};
    h[1].coordinator = true;
    assert_int_equal(voters_leave(h, 4, &h[2].host, &other), VOTER_LEAVE_NOW);
    assert_int_equal(voters_leave(h, 4, &h[3].host, &other), VOTER_LEAVE_NOW); /* it has none */
    /* One of three is down: of the two that stay one would be alone. */
    h[0].live = false;
    assert_int_equal(voters_leave(h, 4, &h[2].host, &other), VOTER_LEAVE_PROMOTE_FIRST);
    assert_true(uuid_eq(&other, &h[3].host));
    assert_int_equal(voters_leave(h, 3, &h[2].host, &other), VOTER_LEAVE_KICK_FIRST);
    assert_true(uuid_eq(&other, &h[0].host));
    assert_int_equal(voters_leave(h, 4, &h[0].host, &other), VOTER_LEAVE_NOW); /* the one that is down */
    /* No majority now: nothing can be given or taken. */
    h[1].live = false;
    assert_int_equal(voters_leave(h, 4, &h[2].host, &other), VOTER_LEAVE_NEVER);
    /* The only voter: the coordinator, a relay, takes a vote first. */
    h[0] = h[3];
    h[1].live = true;
    h[1].role = VOTER_RELAY;
    assert_int_equal(voters_leave(h, 3, &h[2].host, &other), VOTER_LEAVE_PROMOTE_FIRST);
    assert_true(uuid_eq(&other, &h[1].host));
}

/* It counts for the majority like one that is down, but no host can be told to do something about it. */
static void test_a_server_of_no_host_counts(void **state) {
    struct voter_host h[] = {host(1, VOTER_VOTER, true), host(2, VOTER_VOTER, true), {.role = VOTER_VOTER}};
    struct uuid other = {0};
    assert_int_equal(voters_leave(h, 2, &h[0].host, &other), VOTER_LEAVE_NOW);
    assert_int_equal(voters_leave(h, 3, &h[0].host, &other), VOTER_LEAVE_NEVER);
    assert_true(uuid_is_null(&other));
    h[1].leaving = true;
    assert_int_equal(voters_turn(h, 2, &h[1].host), VOTER_TURN_GO);
    assert_int_equal(voters_turn(h, 3, &h[1].host), VOTER_TURN_KEEP);
    assert_int_equal(voters_next(h, 3, 0).kind, VOTER_NOTHING);
}

int main(void) {
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_is_death_within_three_seconds),
        cmocka_unit_test(test_two_lost_beats_and_a_late_one_are_survived),
        cmocka_unit_test(test_our_own_stall_is_nobodys_death),
        cmocka_unit_test(test_voters_follow_the_size_of_the_pool),
        cmocka_unit_test(test_an_absent_voter_is_replaced_in_time_and_with_quorum_only),
        cmocka_unit_test(test_a_vote_goes_only_where_a_majority_stays),
        cmocka_unit_test(test_a_server_of_no_host_counts),
        cmocka_unit_test(test_surplus_voters_go_but_never_the_coordinator),
        cmocka_unit_test(test_votes_go_one_at_a_time_and_stay_when_all_go),
        cmocka_unit_test(test_the_way_in_and_emergency_and_back),
        cmocka_unit_test(test_no_facts_leave_the_table),
        cmocka_unit_test(test_identity_survives_a_damaged_file),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return r;
}
