/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo requests of a given size, unfragmented, to several addresses at once, blocking: for programs without a loop.
 * Needs the right to raw sockets. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LINK_ECHO_MAX 80 /* addresses */
#define LINK_ECHO_MAX_SIZE 65535

struct link_echo {
    const char *address; /* borrowed */
    bool answered_small; /* out: an echo of a few bytes came back */
    bool answered;       /* out: one of the whole size */
};

/*
 * Asks again and again until all (or, without `all`, one) have answered at `size` bytes (of the IP packet), `stop`
 * (may be NULL) says so, or the time is over. 0, or negative errno when no socket can be had. At most LINK_ECHO_MAX.
 */
int link_echo_run(struct link_echo *list, unsigned n, unsigned size, unsigned timeout_ms, bool all, bool (*stop)(void))
    __attribute__((warn_unused_result));
