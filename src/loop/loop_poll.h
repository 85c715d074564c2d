/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors of a real loop, in an epoll set of their own. sd-event serves one source per turn and asks the kernel
 * before each; here a turn serves all descriptors that are ready. The set is counted: entries may outlive the loop.
 * Loop thread only.
 */
#pragma once

#include "loop/loop.h"

struct poll_set;
struct poll_entry;
typedef void poll_entry_fn(struct poll_entry *e, unsigned events);

struct poll_entry { /* embedded in its owner */
    struct poll_set *set;
    int fd;
    unsigned events; /* LOOP_READ, LOOP_WRITE asked for */
    bool silenced;   /* told of a hangup while nothing was asked for: out of the set until something is */
    poll_entry_fn *fn;
};

struct poll_set *poll_set_new(void);
void poll_set_unref(struct poll_set *set);
int poll_set_fd(const struct poll_set *set); /* readable when any entry is ready */
/* Serves what is ready, at most a few dozen entries, once; stops early when *stop turns true. */
void poll_set_dispatch(struct poll_set *set, const bool *stop);

int poll_entry_add(struct poll_entry *e, struct poll_set *set, int fd, unsigned events,
                   poll_entry_fn *fn); /* 0 or negative errno */
void poll_entry_set_events(struct poll_entry *e, unsigned events);
void poll_entry_remove(struct poll_entry *e); /* also inside of any callback */
