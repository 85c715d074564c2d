/* SPDX-License-Identifier: Apache-2.0 */
/* One run: a pool is built, things happen to it, they end, and every host answers the roll call again. */
#pragma once

#include "sim.h"

struct scene;

struct story_config {
    uint64_t seed;
    unsigned n_hosts;          /* 0: the seed's choice, 2 to 8 */
    unsigned faults_ms;        /* 0: the seed's choice */
    const char *only;          /* acts of this name only; NULL: all */
    const struct scene *scene; /* instead of acts */
    bool verbose;
};

struct story_result {
    bool ok;
    uint64_t simulated_ms;
    uint64_t recovered_ms; /* from the end of the faults until all were ready */
    unsigned n_hosts, n_acts, n_writes;
    char violation[600];
};

void story_run(const struct story_config *config, struct story_result *ret);
void story_acts(void);           /* prints their names */
void story_run_for(uint64_t ms); /* for scenes */

/* ---- sim_scenes.c: what once went wrong, step by step, so that it does not depend on how seeds are played ---- */
struct scene {
    const char *name;
    unsigned n_hosts;
    void (*fn)(void);
};
const struct scene *scene_at(unsigned i); /* NULL at the end */
const struct scene *scene_find(const char *name);

/* ---- sim_acts.c ---- */
void acts_init(const char *only);
/* Does one thing, of the seed's choice; true when it was something. */
bool act_once(void);
void acts_heal_all(void); /* whatever was done ends: power, ways, clocks, disks */
uint64_t story_luck(uint64_t below);

/* ---- sim_operator.c ---- */
void operator_init(void);
void operator_join(struct sim_host *h);
bool operator_eject(struct sim_host *h);
bool operator_forget(const struct uuid *host);
bool operator_is_busy(const struct sim_host *h); /* something is asked of it, or with it, and not yet answered */
void operator_wipe(struct sim_host *h); /* installs it anew: it was forgotten, or does not hear that it was ejected */
/* Brings hosts that are of no pool into it; one step at a time; true when all are in. */
bool operator_gather(void);
