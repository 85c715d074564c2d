/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program and collects its output, without blocking the loop (posix_spawn; no shell). At the deadline the child
 * and its process group are killed with SIGKILL. Output beyond max_output (of each stream) is dropped and flagged.
 * Done means that the program ended: a daemon that it left behind may keep its output open. Not in simulations.
 */
#pragma once

#include "base/buf.h"
#include "loop/loop.h"

struct child_result {
    int exit_code;   /* 0..255; 128+n for signal n; -1 when it could not be started (errno in start_error) */
    int start_error; /* positive errno or 0 */
    bool timed_out;
    bool truncated;
    struct buf out; /* stdout */
    struct buf err; /* stderr */
};
typedef void child_done_fn(const struct child_result *r, void *userdata);

struct child;
/* argv[0] is looked up in PATH. `input` may be NULL. The handle may be ignored. */
struct child *child_run(struct loop *l, const char *const argv[], const char *input, uint64_t timeout_ms,
                        size_t max_output, child_done_fn *fn, void *userdata);
/* The same with `data_fd` (not taken) as the program's descriptor 3: a stream that is no part of its output. */
#define CHILD_DATA_FD 3
struct child *child_run_with_data(struct loop *l, const char *const argv[], const char *input, int data_fd,
                                  uint64_t timeout_ms, size_t max_output, child_done_fn *fn, void *userdata);
void child_cancel(struct child *c); /* kills; `fn` is not called */
/* Ticks of the processor that it has used so far: they stand still while it only waits. 0 when it is not known. */
uint64_t child_ticks(const struct child *c);

/* The same, blocking, for one-shot programs without a loop (netboot, lab, tests). 0 when it ran, else negative errno.
 */
int child_run_sync(const char *const argv[], const char *input, uint64_t timeout_ms, size_t max_output,
                   struct child_result *ret);
/* The same for a program that is a child itself, and is ended with its group, or dies: what it runs stays in its group
 * and ends when the thread that called does, so that nothing goes on for which nobody stands any more. */
int child_run_sync_bound(const char *const argv[], const char *input, uint64_t timeout_ms, size_t max_output,
                         struct child_result *ret);
void child_result_done(struct child_result *r);
