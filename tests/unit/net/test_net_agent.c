/* SPDX-License-Identifier: Apache-2.0 */
/* The agent on a simulated loop, with fakes of kernel and switch. */
#include "net/net_agent.h"

#include "base/fs.h"
#include "base/str.h"
#include "fake_host.h"
#include "loop/loop_sim.h"
#include "net/net_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

#define CHECKPOINT_MS 30000

static struct fake_host h;
static struct loop_sim *sim;
static struct loop *loop;
static struct worker *worker;
static struct net_agent *agent;

/* How the pool and the prober behave, and what they were asked. */
static const char *proof_problem, *pool_problem;
static bool pool_is_silent;
static unsigned n_proofs, n_confirms;
static uint64_t last_confirm;

static void prove(struct net_agent *a, uint64_t token, const struct net_config *tried, bool touches, void *userdata) {
    n_proofs++;
    net_agent_proved(a, token, proof_problem);
}
static void confirm(struct net_agent *a, uint64_t token, const char *hash, void *userdata) {
    n_confirms++;
    last_confirm = token;
    if (!pool_is_silent)
        net_agent_confirmed(a, token, pool_problem);
}
static void publish(struct net_agent *a, const struct net_agent_state *s, void *userdata) {}

static const struct net_agent_owner owner = {.prove = prove, .confirm = confirm, .publish = publish};

static void start_agent(void) {
    struct net_agent_setup s = {.loop = loop,
                                .worker = worker,
                                .link = h.link,
                                .ovs = h.ovs,
                                .net_dir = h.net_dir,
                                .run_dir = h.run_dir,
                                .resolv_conf = h.resolv_conf,
                                .checkpoint_ms = CHECKPOINT_MS,
                                .garp_max = 1,
                                .owner = &owner};
    agent = net_agent_new(&s);
}

static void settle(void) {
    loop_sim_advance(sim, 3000);
}

static void save_good(struct net_config *c) {
    struct error *e = NULL;
    assert_true(net_store_commit(h.net_dir, c, &e));
}

static int setup(void **unused) {
    proof_problem = pool_problem = NULL;
    pool_is_silent = false;
    n_proofs = n_confirms = 0;
    fake_host_init(&h);
    sim = loop_sim_new(1);
    loop = loop_sim_loop(sim);
    worker = worker_new(loop, 1);
    _cleanup_net_config_ struct net_config *c = fake_host_config(1500);
    save_good(c);
    start_agent();
    settle(); /* the first look finds that nothing is there and makes it */
    return 0;
}

static int teardown(void **unused) {
    worker_free(worker);
    net_agent_free(agent);
    loop_free(loop);
    loop_sim_free(sim);
    fake_host_done(&h);
    return 0;
}

static struct net_agent_state state(void) {
    struct net_agent_state s;
    net_agent_state(agent, &s);
    return s;
}

static void want(struct net_config *c) {
    net_agent_want(agent, c);
    net_config_free(c);
}

static void expect_outcome(enum net_outcome outcome) {
    struct net_agent_state s = state();
    if (s.outcome != outcome)
        print_message("outcome %s: %s\n", net_outcome_text(s.outcome), s.sentence);
    assert_int_equal(s.outcome, outcome);
}

static int good_mtu_on_disk(void) {
    struct net_problems problems = {0};
    struct error *e = NULL;
    enum net_store_source source;
    _cleanup_net_config_ struct net_config *c = net_store_load(h.net_dir, &source, &problems, &e);
    assert_non_null(c);
    assert_int_equal(problems.n, 0);
    return c->bridges[0].mtu;
}

static bool has_pending(void) {
    _cleanup_free_ char *path = strf("%s/pending.json", h.net_dir);
    return fs_exists(path);
}

static void test_a_change_is_proven_confirmed_and_kept(void **unused) {
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 9000);
    assert_int_equal(good_mtu_on_disk(), 9000);
    assert_int_equal(n_proofs, 1);
    assert_int_equal(n_confirms, 1);
    assert_false(has_pending());
    char hash[NET_HASH_TEXT_SIZE];
    _cleanup_net_config_ struct net_config *c = fake_host_config(9000);
    net_config_hash(c, hash);
    assert_string_equal(state().hash, hash);
    /* wanting the same again asks nobody */
    want(fake_host_config(9000));
    settle();
    assert_int_equal(n_confirms, 1);
}

static void test_a_silent_pool_undoes_it(void **unused) {
    pool_is_silent = true;
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_PENDING);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 9000);
    assert_true(has_pending());
    loop_sim_advance(sim, CHECKPOINT_MS);
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_string_equal(state().sentence, "the pool did not confirm it in time");
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
    assert_int_equal(good_mtu_on_disk(), 1500);
    assert_false(has_pending());
    /* the late answer is nothing, and the same is not tried again */
    net_agent_confirmed(agent, last_confirm, NULL);
    want(fake_host_config(9000));
    settle();
    assert_int_equal(n_confirms, 1);
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    /* until someone asks */
    pool_is_silent = false;
    net_agent_retry(agent);
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_int_equal(good_mtu_on_disk(), 9000);
}

static void test_a_refusal_outlives_the_daemon(void **unused) {
    pool_problem = "the coordinator does not hear this host";
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    net_agent_free(agent);
    start_agent();
    settle();
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_string_equal(state().sentence, pool_problem);
    assert_int_equal(n_confirms, 1);
}

static void test_a_failed_proof_undoes_it(void **unused) {
    proof_problem = "leg eth0 passes 1500 only";
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_string_equal(state().sentence, proof_problem);
    assert_int_equal(n_confirms, 0);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
}

static void test_a_failed_step_undoes_it(void **unused) {
    want(fake_host_bond(1500));
    ovs_fake_fail_next(h.ovs, "constraint violation");
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_non_null(strstr(state().sentence, "constraint violation"));
    assert_non_null(ovs_state_bridge(ovs_fake_state(h.ovs), "xenbr0"));
    assert_null(ovs_state_bridge(ovs_fake_state(h.ovs), "xapi0"));
}

static void test_the_newest_wanted_wins(void **unused) {
    pool_is_silent = true;
    want(fake_host_config(9000));
    settle();
    want(fake_host_config(3000));
    want(fake_host_config(4000)); /* overtakes the one before, which is never tried */
    pool_is_silent = false;
    net_agent_confirmed(agent, last_confirm, NULL);
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_int_equal(good_mtu_on_disk(), 4000);
    assert_int_equal(n_confirms, 2);
}

static void test_a_crash_in_the_middle_is_taken_back(void **unused) {
    pool_is_silent = true;
    want(fake_host_config(9000));
    settle();
    assert_true(has_pending());
    net_agent_free(agent); /* no goodbye */
    start_agent();
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
    assert_false(has_pending());
}

static void test_invalid_intent_is_refused_untouched(void **unused) {
    struct net_config *c = fake_host_config(1500);
    c->bridges[0].mtu = 100;
    want(c);
    settle();
    expect_outcome(NET_OUTCOME_FAILED);
    assert_string_not_equal(state().sentence, "");
    assert_int_equal(n_proofs, 0);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
}

static void test_what_is_changed_by_hand_is_healed(void **unused) {
    want(fake_host_config(9000));
    settle();
    struct error *e = NULL;
    int64_t cfg;
    const struct ovs_op op = {.kind = OVS_IFACE_MTU, .n_ifaces = 1, .ifaces = {"eth0"}, .mtu = 1500};
    assert_true(ovs_commit(h.ovs, &op, 1, "by hand", &cfg, &e));
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    net_agent_look(agent);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_int_equal(n_confirms, 1); /* back to what is proven: nobody is asked */
}

static void note_done(const char *said, void *userdata) {
    const char **ret = userdata;
    *ret = said ? "failed" : "done";
}

/* Legs carry more for a while, ports do not; nobody takes that for a change by hand. */
static void test_legs_are_lifted_and_lowered(void **unused) {
    const struct net_lift lift = {.leg = "eth0", .mtu = 9000};
    const char *said = NULL;
    net_agent_lift(agent, "a", &lift, 1, 120000, note_done, &said);
    settle();
    assert_string_equal(said, "done");
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
    assert_int_equal(good_mtu_on_disk(), 1500);
    assert_false(has_pending());
    net_agent_look(agent);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    net_agent_lower(agent, "a");
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    /* whoever asked for it is gone */
    net_agent_lift(agent, "b", &lift, 1, 60000, note_done, &said);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    loop_sim_advance(sim, 61000);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    /* whoever asked for it lives, and then no more */
    net_agent_lift(agent, "b", &lift, 1, 10000, note_done, &said);
    settle(); /* three seconds of the ten */
    for (unsigned i = 0; i < 5; i++) {
        loop_sim_advance(sim, 6000);
        net_agent_lift_renew(agent, "b", 10000);
        net_agent_lift_renew(agent, "nobody's", 10000);
    }
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    loop_sim_advance(sim, 11000);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    /* a change that goes on from there keeps what it needs */
    net_agent_lift(agent, "c", &lift, 1, 120000, note_done, &said);
    settle();
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    net_agent_lower(agent, "c");
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 9000);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 9000);
}

static void note_plan(const struct net_agent_plan *p, const struct error *e, void *userdata) {
    size_t *ret_steps = userdata;
    assert_null(e);
    *ret_steps = p->n_steps;
    if (p->n_steps) {
        assert_non_null(strstr(p->diff, "MTU '1500' becomes '9000'"));
        assert_non_null(strstr(p->text, "MTUs rise from the legs up"));
    }
}

static void test_a_plan_touches_nothing(void **unused) {
    size_t n_steps = 0;
    _cleanup_net_config_ struct net_config *big = fake_host_config(9000), *same = fake_host_config(1500);
    net_agent_plan(agent, big, note_plan, &n_steps);
    settle();
    assert_int_equal(n_steps, 2);
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    assert_int_equal(good_mtu_on_disk(), 1500);
    net_agent_plan(agent, same, note_plan, &n_steps);
    settle();
    assert_int_equal(n_steps, 0);
}

static void test_a_person_confirms_or_not(void **unused) {
    char hash[NET_HASH_TEXT_SIZE];
    _cleanup_net_config_ struct net_config *big = fake_host_config(9000);
    net_config_hash(big, hash);
    net_agent_stage(agent, hash, 60000, /* needs_person= */ true);
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_HELD);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 9000);
    assert_true(has_pending());
    assert_false(net_agent_keep(agent, "another"));
    assert_true(net_agent_revert(agent, hash, "somebody took it back"));
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_string_equal(state().sentence, "somebody took it back");
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
    /* staged anew it is tried anew, though it was taken back before */
    want(fake_host_config(1500));
    settle();
    net_agent_stage(agent, hash, 60000, /* needs_person= */ true);
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_HELD);
    assert_true(net_agent_keep(agent, hash));
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_int_equal(good_mtu_on_disk(), 9000);
    assert_false(has_pending());
}

static void test_a_driver_that_refuses_leaves_no_port_above_its_leg(void **unused) {
    ovs_fake_limit_mtu(h.ovs, "eth0", 4000);
    link_fake_ignore_mtu(h.link, "eth0", true);
    want(fake_host_config(9000));
    loop_sim_advance(sim, 20000);
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 1500);
    assert_non_null(net_problems_find(state().problems, NET_FAULT_MTU_REFUSED, "eth0"));
}

static void test_a_smaller_control_size_is_put_to_work_and_kept(void **unused) {
    net_agent_set_control_size(agent, 1400);
    settle();
    struct link_ip far;
    struct link_route route;
    assert_true(link_ip_parse("192.0.2.1", &far));
    assert_int_equal(link_route_get(h.link, &far, &route), 0);
    assert_int_equal(route.mtu, 1400);
    struct net_problems problems = {0};
    struct error *e = NULL;
    enum net_store_source source;
    _cleanup_net_config_ struct net_config *c = net_store_load(h.net_dir, &source, &problems, &e);
    assert_int_equal(c->control_size, 1400);
}

static void test_facts(void **unused) {
    struct net_agent_state s = state();
    assert_int_equal(s.n_facts, 3);
    assert_string_equal(s.facts[0].name, "eth0");
    assert_true(s.facts[0].is_nic && s.facts[0].attached && s.facts[0].carrier);
    assert_string_equal(s.facts[2].name, "xenbr0");
    assert_true(!s.facts[2].is_nic && s.facts[2].attached && s.facts[2].carrier);
    assert_int_equal(s.facts[2].mtu, 1500);
    link_fake_set_carrier(h.link, "eth0", false);
    net_agent_look(agent);
    settle();
    s = state();
    assert_false(s.facts[0].carrier);
    assert_false(s.facts[2].carrier);
}

/* ---- repairs that are made without the agent ---- */

static void repair_on_disk(int mtu, const char *mark) {
    _cleanup_net_config_ struct net_config *c = fake_host_config(mtu);
    net_config_set_repair(c, mark);
    save_good(c);
}

static void test_a_repair_made_without_it_is_taken_up(void **unused) {
    repair_on_disk(4000, "a mark");
    net_agent_look(agent);
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_string_equal(state().good->repair, "a mark");
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 4000); /* not healed back to what was before */
    assert_int_equal(n_proofs, 0);
    /* What the pool wants is the same network with another mark: that is written down, and nothing else happens. */
    struct net_config *c = fake_host_config(4000);
    net_config_set_repair(c, "known");
    want(c);
    settle();
    assert_string_equal(state().good->repair, "known");
    assert_int_equal(n_proofs, 0);
    worker_free(worker);
    net_agent_free(agent);
    worker = worker_new(loop, 1);
    start_agent();
    settle();
    assert_string_equal(state().good->repair, "known");
}

static void test_a_repair_ends_the_change_under_way(void **unused) {
    pool_is_silent = true;
    want(fake_host_config(9000));
    settle();
    expect_outcome(NET_OUTCOME_PENDING);
    struct error *e = NULL;
    repair_on_disk(4000, "a mark");
    assert_true(net_store_clear_pending(h.net_dir, &e));
    net_agent_confirmed(agent, last_confirm, NULL); /* the pool's word comes too late */
    settle();
    expect_outcome(NET_OUTCOME_APPLIED);
    assert_int_equal(good_mtu_on_disk(), 4000);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 4000);
    assert_false(has_pending());
    loop_sim_advance(sim, 2 * CHECKPOINT_MS);
    assert_int_equal(fake_host_mtu(&h, "xenbr0"), 4000);
}

static void test_it_stays_away_while_a_repair_is_made(void **unused) {
    int lock = net_store_lock(h.net_dir, 0);
    assert_true(lock >= 0);
    assert_int_equal(link_set_mtu(h.link, "eth0", 1400), 0);
    net_agent_look(agent);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1400); /* what it would heal at once otherwise */
    close(lock);
    settle();
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
}

static void test_a_repair_whose_maker_died_is_taken_back(void **unused) {
    struct net_pending p = {.previous = fake_host_config(1500)};
    struct error *e = NULL;
    assert_true(str_copy(p.tried_hash, sizeof(p.tried_hash), "tried"));
    assert_true(net_store_set_pending(h.net_dir, &p, &e));
    net_pending_done(&p);
    assert_int_equal(link_set_mtu(h.link, "eth0", 1400), 0);
    net_agent_look(agent);
    settle();
    expect_outcome(NET_OUTCOME_ROLLED_BACK);
    assert_int_equal(fake_host_mtu(&h, "eth0"), 1500);
    assert_false(has_pending());
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_change_is_proven_confirmed_and_kept),
        T(test_a_silent_pool_undoes_it),
        T(test_a_refusal_outlives_the_daemon),
        T(test_a_failed_proof_undoes_it),
        T(test_a_failed_step_undoes_it),
        T(test_the_newest_wanted_wins),
        T(test_a_crash_in_the_middle_is_taken_back),
        T(test_invalid_intent_is_refused_untouched),
        T(test_what_is_changed_by_hand_is_healed),
        T(test_legs_are_lifted_and_lowered),
        T(test_a_plan_touches_nothing),
        T(test_a_person_confirms_or_not),
        T(test_a_driver_that_refuses_leaves_no_port_above_its_leg),
        T(test_a_smaller_control_size_is_put_to_work_and_kept),
        T(test_facts),
        T(test_a_repair_made_without_it_is_taken_up),
        T(test_a_repair_ends_the_change_under_way),
        T(test_it_stays_away_while_a_repair_is_made),
        T(test_a_repair_whose_maker_died_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
