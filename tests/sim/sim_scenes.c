/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulation has found, kept as scenes: each is the shortest way to it that was found. */
#include "sim_checks.h"
#include "sim_story.h"

#define MANY 20000

static struct sim_host *host(unsigned i) {
    return &sim->hosts[i];
}

static void cut(unsigned a, unsigned b, bool yes) {
    sim->path[a][b].cut = sim->path[b][a].cut = yes;
    checks_note_fault(a);
    checks_note_fault(b);
}

static void on_done(const struct error *error, void *userdata) {
    struct error *e = error ? error_dup(error) : NULL;
    sim_say("asked: %s", e ? error_text(e) : "done");
    error_free(e);
}

/* A voter gives its vote up to reboot and cannot write down that it has: it gets one again afterwards. */
static void vote_given_up_on_a_full_disk(void) {
    host(1)->disk_full = true;
    sim_reboot(host(1));
    story_run_for(5000);
    host(1)->disk_full = false;
}

/* A host becomes a voter, cannot write that down, and loses its power: the vote that the cluster counts is cast. */
static void vote_got_on_a_full_disk(void) {
    sim_reboot(host(1));
    for (unsigned i = 0; i < MANY && !host_is_ready(host(1)); i++)
        story_run_for(100);
    host(1)->disk_full = true;
    for (unsigned i = 0; i < MANY && !server_is_member(host(1)->server); i++)
        story_run_for(10);
    story_run_for(500);
    sim_power_cut(host(0));
    sim_power_cut(host(1));
    host(1)->disk_full = false;
}

/* A host hears of a new authority from the database alone, and loses the database before it has a new certificate. */
static void authority_changes_while_away(void) {
    cut(0, 3, true);
    story_run_for(4000);
    (void)operator_eject(host(1));
    story_run_for(15000);
    cut(1, 3, true);
    cut(2, 3, true);
    story_run_for(8000);
    cut(0, 3, false);
    story_run_for(5000);
}

/* The connection of a host ends while the coordinator tells it that it was ejected. */
static void connection_ends_in_an_eject(void) {
    struct uuid gone = *sim_uuid_of(host(1));
    (void)operator_eject(host(1));
    for (unsigned i = 0; i < MANY && truth_leader() && truth_host_row(truth_leader(), &gone); i++)
        loop_sim_advance(sim->clock, 1);
    sim_daemon_kill(host(1));
    story_run_for(1000);
    sim_daemon_start(host(1));
}

/* Of two hosts one is lost while the coordination is handed to it. */
static void handover_to_a_host_that_is_lost(void) {
    cut(0, 1, true);
    pool_set_coordinator(host(0)->daemon->pool, sim_uuid_of(host(1)), on_done, NULL);
    story_run_for(40000);
    cut(0, 1, false);
    story_run_for(40000);
}

/* The same, a moment later: the change lies in the one log and was never acknowledged. */
static void handover_half_done(void) {
    pool_set_coordinator(host(0)->daemon->pool, sim_uuid_of(host(1)), on_done, NULL);
    loop_sim_advance(sim->clock, 3);
    cut(0, 1, true);
    story_run_for(40000);
}

/* The coordination is handed to a host whose rows went a moment ago. */
static void handover_to_a_host_that_is_ejected(void) {
    const struct uuid gone = *sim_uuid_of(host(1));
    (void)operator_eject(host(1));
    for (unsigned i = 0; i < MANY && truth_leader() && truth_host_row(truth_leader(), &gone); i++)
        loop_sim_advance(sim->clock, 1);
    pool_set_coordinator(host(0)->daemon->pool, &gone, on_done, NULL);
}

/* A host is given the coordination while it is away, by one that went on alone: each sends the other away. */
static void coordination_given_to_one_that_is_away(void) {
    cut(0, 1, true);
    for (unsigned i = 0; i < MANY && server_config(host(0)->server)->n > 1; i++)
        story_run_for(100);
    story_run_for(5000);
    struct db *d = sim_db(host(0));
    const struct row *pool = db_pool(d);
    struct db_txn *t = db_txn_new(d, "change of coordinator");
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_epoch, value_int(row_int(pool, FIELD_pool_epoch) + 1));
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_master, value_ref(sim_uuid_of(host(1))));
    db_txn_commit(t, 10000, NULL, NULL);
    story_run_for(10000);
}

/* A daemon that has just started takes everybody for alive: the coordination is not handed to such a host. */
static void handover_to_one_taken_for_alive(void) {
    cut(0, 1, true);
    for (unsigned i = 0; i < MANY && server_config(host(0)->server)->n > 1; i++)
        story_run_for(100);
    story_run_for(3000);
    const struct uuid other = *sim_uuid_of(host(1));
    sim_daemon_kill(host(0));
    sim_daemon_start(host(0));
    for (unsigned i = 0; i < MANY && !db_get_status(sim_db(host(0))).has_quorum; i++)
        loop_sim_advance(sim->clock, 1);
    loop_sim_advance(sim->clock, 30);
    pool_set_coordinator(sim_pool(host(0)), &other, on_done, NULL);
    story_run_for(20000);
    const struct row *pool = db_pool(sim_db(host(0)));
    if (pool && uuid_eq(row_ref(pool, FIELD_pool_master), &other))
        violate("the coordination was handed to a host that is not there");
}

/* A host finds its disk full at its very first start. */
static void first_start_on_a_full_disk(void) {
    operator_wipe(host(1));
    host(1)->disk_full = true;
    story_run_for(15000);
    host(1)->disk_full = false;
}

static void start_on_a_limited_port(unsigned limit_out, unsigned limit_in) {
    sim_power_cut(host(1));
    host(1)->limited_since_ms = sim_now_ms();
    host(1)->limit_out = limit_out;
    host(1)->limit_in = limit_in;
    story_run_for(3000);
    sim_power_on(host(1));
    for (unsigned i = 0; i < MANY && !host_is_ready(host(1)); i++)
        story_run_for(50);
    if (!host(1)->daemon || !host(1)->daemon->said_limited)
        violate("a host whose switch port passes 1500 bytes only was ready without a limit");
    host(1)->limited_since_ms = 0;
    host(1)->limit_out = host(1)->limit_in = SIM_MTU;
}

/* What the first proof has shown is said with the first 'ready', not a moment later. */
static void start_on_a_port_that_is_limited(void) {
    start_on_a_limited_port(1500, 1500);
}

/* The same where the host's own measurements all come out well: those of the others count as well. */
static void start_on_a_port_that_is_limited_to_the_host(void) {
    start_on_a_limited_port(SIM_MTU, 1500);
}

static const struct scene scenes[] = {
    {"vote-given-up-on-a-full-disk", 3, vote_given_up_on_a_full_disk},
    {"vote-got-on-a-full-disk", 2, vote_got_on_a_full_disk},
    {"authority-changes-while-away", 4, authority_changes_while_away},
    {"connection-ends-in-an-eject", 3, connection_ends_in_an_eject},
    {"handover-to-a-host-that-is-lost", 2, handover_to_a_host_that_is_lost},
    {"handover-half-done", 2, handover_half_done},
    {"handover-to-a-host-that-is-ejected", 3, handover_to_a_host_that_is_ejected},
    {"coordination-given-to-one-that-is-away", 2, coordination_given_to_one_that_is_away},
    {"handover-to-one-taken-for-alive", 2, handover_to_one_taken_for_alive},
    {"first-start-on-a-full-disk", 2, first_start_on_a_full_disk},
    {"start-on-a-limited-port", 4, start_on_a_port_that_is_limited},
    {"start-on-a-port-limited-to-the-host", 4, start_on_a_port_that_is_limited_to_the_host}};

const struct scene *scene_at(unsigned i) {
    return i < ARRAY_SIZE(scenes) ? &scenes[i] : NULL;
}

const struct scene *scene_find(const char *name) {
    for (unsigned i = 0; i < ARRAY_SIZE(scenes); i++)
        if (str_eq(scenes[i].name, name))
            return &scenes[i];
    return NULL;
}
