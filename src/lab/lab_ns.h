/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: network namespaces kept alive by a bind mount in the lab's folder (nothing appears in /run/netns), and
 * entering the namespaces of a running node. Single-threaded callers only.
 */
#pragma once

#include "lab/lab_proc.h"

/* Makes a network namespace with its loopback up and IPv6 on, and binds it to `path`. */
bool netns_create(const char *path, struct error **errp);
/* Removes the handle; the namespace dies with its last user. No error when it is gone already. */
void netns_remove(const char *path);
/* Moves the handle `from` over the handle `to`. */
bool netns_replace(const char *from, const char *to, struct error **errp);

int netns_enter(const char *path, struct error **errp); /* the way back (a descriptor), or -1 with errp set */
void netns_return(int home);                            /* aborts when it fails: we would act in the wrong place */

/* What to run inside a node. */
struct ns_command {
    struct proc_id init; /* PID 1 of the node */
    const char *const *argv;
    const char *workdir; /* NULL: /root */
    int fds[3];          /* stdin, stdout, stderr of the command; -1: ours */
    bool detach;         /* own session, not killed with us, not waited for */
};
/* Runs it; returns the exit code as a shell has it (128 + n for signal n), or -1 with errp set. */
int ns_exec(const struct lab *lab, const struct ns_command *c, struct error **errp);
/* PATH inside a node. */
#define NS_PATH LAB_RUN_DIR "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
