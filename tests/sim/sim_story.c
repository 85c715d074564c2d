/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_story.h"

#include <stdio.h>
#include <string.h>

#include "sim_checks.h"
#include "sim_writes.h"

#define LOOK_MS 50
#define BUILD_MS 240000   /* a pool of eight, host by host */
#define RECOVER_MS 180000 /* everybody is ready again; an operator has to help some of them */
#define STEADY_MS 6000    /* and stays so */

/* Runs until `until_ms`, looking at everything every LOOK_MS. */
static void run_for(uint64_t ms) {
    uint64_t until = sim_now_ms() + ms;
    while (sim_now_ms() < until && !violated()) {
        loop_sim_advance(sim->clock, MIN((uint64_t)LOOK_MS, until - sim_now_ms()));
        checks_step();
    }
}

void story_run_for(uint64_t ms) {
    run_for(ms);
}

static bool in_step(const struct sim_host *h, const struct server *leader) {
    const struct row *pool = db_pool(h->daemon->db);
    const json_t *row = truth_pool_row(leader);
    return pool && row && row_int(pool, FIELD_pool_epoch) == json_integer_value(json_object_get(row, "epoch")) &&
           db_count(h->daemon->db, CLASS_host) == truth_n_hosts(leader) &&
           row_value(pool, FIELD_pool_other_config)->map.n ==
               json_array_size(json_array_get(json_object_get(row, "other_config"), 1));
}

/* Why not everybody answers the roll call; NULL when all do. */
static const char *roll_call(void) {
    static char text[600];
    const struct server *leader = truth_leader();
    const struct sim_host *c = truth_coordinator();
    if (!leader || !c)
        return leader ? "nobody coordinates" : "the pool's database has no leader";
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        const struct sim_host *h = &sim->hosts[i];
        if (!h->daemon) {
            (void)snprintf(text, sizeof(text), "the daemon of %s does not run", h->name);
        } else if (!host_is_of_pool(h)) {
            (void)snprintf(text, sizeof(text), "%s is not in the pool", h->name);
        } else if (!host_is_ready(h)) {
            const struct sm *sm = pool_state(h->daemon->pool);
            (void)snprintf(text, sizeof(text), "%s is in state '%s': %s", h->name, sm_state_name(sm), sm->reason);
        } else if (pool_state(h->daemon->pool)->state != STATE_READY) {
            (void)snprintf(text, sizeof(text), "%s still says: %s", h->name, pool_state(h->daemon->pool)->reason);
        } else if (!uuid_eq(pool_leader(h->daemon->pool), sim_uuid_of(c))) {
            (void)snprintf(text, sizeof(text), "%s does not follow %s", h->name, c->name);
        } else if (!pool_host_is_live(c->daemon->pool, sim_uuid_of(h))) {
            (void)snprintf(text, sizeof(text), "%s is not alive for %s", h->name, c->name);
        } else if (!in_step(h, leader)) {
            (void)snprintf(text, sizeof(text), "the rows of %s are not those of the pool", h->name);
        } else {
            continue;
        }
        return text;
    }
    return NULL;
}

/* The first alert that stands; NULL. */
static const char *alert(const struct server *leader) {
    const char *uuid;
    json_t *row;
    json_object_foreach(json_object_get(leader->state, "message"), uuid,
                        row) if (str_starts(str_or_empty(json_string_value(json_object_get(row, "name"))),
                                            "MUSTER-")) return json_string_value(json_object_get(row, "body"));
    return NULL;
}

static unsigned n_voters(const struct server *leader) {
    return (unsigned)server_config(leader)->n;
}

/* Until all are members, ready, in step, the votes are as many as they should be, and stay so. */
static void gather(uint64_t limit_ms, const char *when, uint64_t *ret_ms) {
    uint64_t start = sim_now_ms(), since = 0;
    const char *why = "";
    while (!violated() && sim_now_ms() - start < limit_ms) {
        run_for(500);
        bool all = operator_gather();
        const struct server *leader = truth_leader();
        why = roll_call();
        if (!why && n_voters(leader) != voters_wanted(sim->n_hosts))
            why = "the pool has another number of voters than its size asks for";
        if (!why && alert(leader))
            why = alert(leader);
        if (!why && all && !since)
            since = sim_now_ms();
        else if (why)
            since = 0;
        if (since && sim_now_ms() - since >= STEADY_MS)
            break;
    }
    *ret_ms = (since ? since : sim_now_ms()) - start;
    if (!violated() && (why || !since))
        violate("%u s %s not every host is back: %s", (unsigned)(limit_ms / 1000), when,
                why ? why : "the operator could not bring them together");
}

/* The pool's network shall carry jumbo frames. */
static void want_jumbo(void) {
    struct sim_host *c = truth_coordinator();
    if (!c)
        return;
    struct db_txn *t = db_txn_new(c->daemon->db, "MTU of the network");
    for (const struct row *n = db_first(c->daemon->db, CLASS_network); n; n = db_next(c->daemon->db, n))
        db_txn_set(t, CLASS_network, &n->uuid, FIELD_network_MTU, value_int(SIM_MTU));
    db_txn_commit(t, 10000, NULL, NULL);
    run_for(3000);
}

static void build(void) {
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        sim_power_on(&sim->hosts[i]);
        checks_note_fault(i);
    }
    for (unsigned n = 0; n < 300 && !violated() && !host_is_ready(&sim->hosts[0]); n++)
        run_for(100);
    if (!host_is_ready(&sim->hosts[0])) {
        violate("the first host does not become ready alone");
        return;
    }
    truth_set_pool(&sim->hosts[0].daemon->pool->identity.pool);
    uint64_t ms;
    gather(BUILD_MS, "after the start", &ms);
    want_jumbo();
    sim_say("a pool of %u hosts after %u ms", sim->n_hosts, (unsigned)ms);
}

static unsigned fault(unsigned ms) {
    uint64_t until = sim_now_ms() + ms;
    unsigned n = 0;
    while (sim_now_ms() < until && !violated()) {
        n += act_once();
        run_for(200 + story_luck(story_luck(3) ? 3000 : 15000));
    }
    return n;
}

void story_run(const struct story_config *config, struct story_result *ret) {
    struct sim world = {.seed = config->seed, .verbose = config->verbose};
    *ret = (struct story_result){0};
    sim = &world;
    sim->clock = loop_sim_new(config->seed);
    sim->loop = loop_sim_loop(sim->clock);
    /* Small pools are the most frequent, and the quickest to play. */
    unsigned n = 2 + (unsigned)MIN(story_luck(7), story_luck(7));
    sim->n_hosts = config->scene ? config->scene->n_hosts : config->n_hosts ? config->n_hosts : n;
    unsigned faults_ms = 60000 + (unsigned)story_luck(120000);
    json_object_seed(1);
    sim_log_init(config->verbose);
    sim_fs_init();
    sim_servers_init();
    for (unsigned i = 0; i < sim->n_hosts; i++)
        sim_host_init(i);
    checks_init();
    writes_init();
    operator_init();
    acts_init(config->only);

    build();
    if (!violated() && config->scene)
        config->scene->fn();
    else if (!violated())
        ret->n_acts = fault(config->faults_ms ? config->faults_ms : faults_ms);
    if (!violated()) {
        acts_heal_all();
        gather(RECOVER_MS, "after the last fault", &ret->recovered_ms);
    }
    if (!violated())
        writes_check(truth_leader());

    ret->ok = !violated();
    ret->n_hosts = sim->n_hosts;
    ret->n_writes = writes_n_done();
    ret->simulated_ms = sim_now_ms() - LOOP_SIM_START_MS;
    (void)str_copy(ret->violation, sizeof(ret->violation), violation());
    if (!ret->ok) {
        truth_tell();
        sim_log_dump();
    }
    for (unsigned i = 0; i < sim->n_hosts; i++)
        sim_host_done(&sim->hosts[i]);
    sim_streams_done();
    checks_done();
    sim_servers_done();
    sim_fs_done();
    sim_log_done();
    loop_free(sim->loop);
    loop_sim_free(sim->clock);
    sim = NULL;
}
