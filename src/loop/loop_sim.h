/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated loops: many `struct loop` in one process on one virtual clock that only the test moves. Everything that
 * happens follows from the seed. A loop has timers, deferred and posted calls and workers (whose jobs run in turns of
 * their own); descriptors, signals and children do not exist here, asking for one aborts. One thread.
 */
#pragma once

#include "loop/loop.h"

struct loop_sim;

#define LOOP_SIM_START_MS UINT64_C(1000)              /* monotonic time when a simulation begins */
#define LOOP_SIM_START_WALL_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

struct loop_sim *loop_sim_new(uint64_t seed);
void loop_sim_free(struct loop_sim *sim); /* after all of its loops; accepts NULL */
/* A new loop, owned by the caller. Freeing it drops the calls that wait in it (a host that loses power). */
struct loop *loop_sim_loop(struct loop_sim *sim);
/* Moves the clock by `ms`, running all that comes due, in order of time and then of asking. */
void loop_sim_advance(struct loop_sim *sim, uint64_t ms);
/* Runs the next due thing, however far away, but not beyond `limit_ms` on the clock. False when there was none. */
bool loop_sim_next(struct loop_sim *sim, uint64_t limit_ms);
uint64_t loop_sim_now_ms(const struct loop_sim *sim);
uint64_t loop_sim_random(struct loop_sim *sim); /* for the test's own choices */
/*
 * The host stands still for `ms` from now: what comes due meanwhile runs when it goes on. Others go on as before.
 */
void loop_sim_stall(struct loop *l, uint64_t ms);
/* The loop whose event runs at this moment; NULL between events. */
const struct loop *loop_sim_running(const struct loop_sim *sim);
