/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the loop folder: what a kind of loop must provide. loop.c dispatches to it, so that one program can hold
 * real loops and simulated ones. Each kind embeds `struct loop` and `struct loop_source` as its first member.
 */
#pragma once

#include "loop/loop.h"

#include <sys/types.h>

enum loop_source_kind { LOOP_SOURCE_FD, LOOP_SOURCE_TIMER, LOOP_SOURCE_SIGNAL, LOOP_SOURCE_CHILD };

/* Something that must be undone when the loop goes before it is done by itself. */
struct loop_hook {
    struct loop_hook *next;
    void (*fn)(struct loop_hook *h);
};

struct loop_ops {
    bool simulated;
    void (*free)(struct loop *l);
    int (*run)(struct loop *l);
    void (*step)(struct loop *l, int timeout_ms);
    void (*quit)(struct loop *l, int code);
    uint64_t (*now_ms)(struct loop *l);
    uint64_t (*now_us)(struct loop *l);
    int64_t (*wall_ms)(struct loop *l);
    uint64_t (*random)(struct loop *l);
    struct loop_source *(*add_fd)(struct loop *l, int fd, unsigned events);
    void (*fd_set_events)(struct loop_source *s, unsigned events);
    struct loop_source *(*add_timer)(struct loop *l);
    void (*timer_set)(struct loop_source *s, uint64_t delay_ms);
    bool (*timer_armed)(const struct loop_source *s);
    struct loop_source *(*add_signal)(struct loop *l, int signo);
    struct loop_source *(*add_child)(struct loop *l, int pid);
    void (*source_free)(struct loop_source *s);
    void (*defer)(struct loop *l, loop_call_fn *fn, void *userdata);
    void (*post)(struct loop *l, loop_call_fn *fn, void *userdata);
};

struct loop {
    const struct loop_ops *ops;
    int64_t wall_offset_ms;
    pid_t owner; /* thread that made it, or that runs it; 0 in simulations */
    struct loop_hook *hooks;
};

struct loop_source {
    const struct loop_ops *ops; /* not through the loop: a source may outlive it */
    enum loop_source_kind kind;
    union {
        loop_fd_fn *fd;
        loop_timer_fn *timer;
        loop_signal_fn *signal;
        loop_child_fn *child;
    } fn;
    void *userdata;
};

void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_remove(struct loop *l, struct loop_hook *h);

/* A list of calls in order. */
struct loop_calls {
    struct loop_call {
        loop_call_fn *fn;
        void *userdata;
    } * items;
    size_t n;
    size_t capacity;
};
void loop_calls_add(struct loop_calls *c, loop_call_fn *fn, void *userdata);
void loop_calls_run(struct loop_calls *c); /* runs all and empties; more may be added to another list meanwhile */
