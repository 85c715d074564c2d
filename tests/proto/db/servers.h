/* SPDX-License-Identifier: Apache-2.0 */
/* Real database servers in a temporary folder, for the protocol tests: a cluster of up to 5 on loopback ports. */
#pragma once

#include "base/macro.h"
#include "db/db.h"

#define MAX_SERVERS 5

struct servers {
    char folder[64];
    int port; /* server i listens on port + i for the others */
    unsigned n;
    int pids[MAX_SERVERS]; /* 0: not running */
};

/* Creates a cluster of n servers and starts them. Fails the test when that takes longer than it should. */
void servers_start(struct servers *s, unsigned n);
void servers_stop(struct servers *s); /* kills all, removes the folder */
void servers_run(struct servers *s, unsigned i);
void servers_kill(struct servers *s, unsigned i); /* SIGKILL, and waits for its end */
void servers_socket(const struct servers *s, unsigned i, char *ret_path, size_t size);
int servers_leader(struct servers *s); /* index, or -1 */

/* Runs the loop until `condition` holds; fails the test after `ms`. */
#define RUN_UNTIL(loop, ms, condition)                                                                                 \
    do {                                                                                                               \
        uint64_t end_ = loop_now_ms(loop) + (ms);                                                                      \
        while (true) {                                                                                                 \
            if (condition)                                                                                             \
                break;                                                                                                 \
            if (loop_now_ms(loop) > end_)                                                                              \
                fail_msg("not within %d ms: %s", (int)(ms), #condition);                                               \
            loop_step(loop, 20);                                                                                       \
        }                                                                                                              \
    } while (0)
