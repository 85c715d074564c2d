/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking work off the loop thread. A job is a value in and a value out: `run` executes in a worker thread and may
 * touch only `data`; `done` runs later in the loop thread. Jobs with the same key run one after another, in order.
 */
#pragma once

#include "loop/loop.h"

struct worker;
typedef void worker_run_fn(void *data);
typedef void worker_done_fn(void *data);

struct worker *worker_new(struct loop *l, unsigned n_threads);
/* Waits until all submitted jobs have run, and runs their `done`; what those submit is dropped. Not from a `done`. */
void worker_free(struct worker *w);
void worker_submit(struct worker *w, const char *key, worker_run_fn *run, worker_done_fn *done, void *data);
