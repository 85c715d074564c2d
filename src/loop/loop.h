/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: descriptors, timers, signals, children, deferred calls, and calls posted from other threads. One loop
 * thread owns all state of a daemon; only loop_post may be called from elsewhere. Implemented over sd-event
 * (loop_sd.c); loop_sim.c runs many loops on one virtual clock for simulations (no descriptors there).
 * Real and simulated loops live side by side in one program (loop_impl.h is the seam).
 * Time is monotonic milliseconds; 0 is never returned. The wall clock goes through the loop so that tests can move it.
 */
#pragma once

#include "base/macro.h"

struct loop;
struct loop_source;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 }; /* HANGUP is reported, never asked for */

typedef void loop_fd_fn(struct loop_source *s, int fd, unsigned events, void *userdata);
typedef void loop_timer_fn(struct loop_source *s, void *userdata);
typedef void loop_signal_fn(struct loop_source *s, int signo, void *userdata);
typedef void loop_child_fn(struct loop_source *s, int pid, int wait_status, void *userdata);
typedef void loop_call_fn(void *userdata);

struct loop *loop_new(void);
void loop_free(struct loop *l);
int loop_run(struct loop *l);                   /* until loop_quit; returns its code */
void loop_step(struct loop *l, int timeout_ms); /* one turn; for tests */
void loop_quit(struct loop *l, int code);
void loop_assert_owner(const struct loop *l);

uint64_t loop_now_ms(struct loop *l);                            /* monotonic */
uint64_t loop_now_us(struct loop *l);                            /* monotonic, fresh */
int64_t loop_wall_ms(struct loop *l);                            /* since the epoch, plus the injected offset */
void loop_set_wall_offset_ms(struct loop *l, int64_t offset_ms); /* fault injection */
uint64_t loop_random(struct loop *l);                            /* seeded in simulations */

/*
 * Sources. The loop owns nothing: free a source to remove it, before its descriptor is closed; freeing inside its own
 * callback is fine. loop_add_fd gives NULL and errno when the kernel refuses the descriptor (EPERM: a plain file, which
 * is always ready); loop_add_child gives NULL when there is no such child. A hangup is told again in every turn while
 * events are asked for, and once while none are.
 */
struct loop_source *loop_add_fd(struct loop *l, int fd, unsigned events, loop_fd_fn *fn, void *userdata);
void loop_fd_set_events(struct loop_source *s, unsigned events);
/* A one-shot timer, created disarmed when delay_ms is LOOP_NEVER. */
#define LOOP_NEVER UINT64_MAX
struct loop_source *loop_add_timer(struct loop *l, uint64_t delay_ms, loop_timer_fn *fn, void *userdata);
void loop_timer_set(struct loop_source *s, uint64_t delay_ms); /* re-arms relative to now; LOOP_NEVER disarms */
bool loop_timer_armed(const struct loop_source *s);
struct loop_source *loop_add_signal(struct loop *l, int signo, loop_signal_fn *fn, void *userdata); /* blocks it */
struct loop_source *loop_add_child(struct loop *l, int pid, loop_child_fn *fn, void *userdata);
void loop_source_free(struct loop_source *s); /* accepts NULL; does not close the descriptor */
DEFINE_CLEANUP(struct loop_source *, loop_source_free)

void loop_defer(struct loop *l, loop_call_fn *fn, void *userdata); /* runs in the next turn, in order */
void loop_post(struct loop *l, loop_call_fn *fn, void *userdata);  /* thread-safe; runs in the loop thread */
