/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: named by number and start time, so that a number used again is never mistaken for ours; killed through a
 * pidfd for the same reason. Also: running a tool inside a network namespace, and finding what belongs to a lab.
 * Single-threaded callers only (lab_run changes the calling thread's namespace for a moment).
 */
#pragma once

#include <sys/types.h>

#include "lab/lab.h"

struct proc_id {
    pid_t pid;
    uint64_t start; /* in clock ticks since the machine's boot; 0: unknown, matches nothing */
};

struct proc_id proc_self(void);
struct proc_id proc_of(pid_t pid);
int proc_open(const struct proc_id *p); /* a pidfd, or -ESRCH when that process is gone */
bool proc_alive(const struct proc_id *p);
int proc_kill(const struct proc_id *p, int signo);
/* True when the process behind pidfd has ended within timeout_ms. */
bool proc_wait_gone(int pidfd, int timeout_ms);

/* Runs a tool in the network namespace `netns` (a handle's path; NULL: the caller's). The error names the command and
 * what it said. ret_out may be NULL. */
bool lab_run(const char *netns, const char *const argv[], const char *input, struct buf *ret_out, struct error **errp);
#define LAB_RUN(netns, errp, ...) lab_run(netns, (const char *const[]){__VA_ARGS__, NULL}, NULL, NULL, errp)

/* Every process whose environment carries the mark of the lab in `dir`, or whose network namespace is one of the n
 * inodes; the caller itself is left out. Returns how many were put into ret. */
size_t proc_find_members(const char *dir, const uint64_t *netns_inodes, size_t n, struct proc_id *ret, size_t max);
