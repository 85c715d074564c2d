/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the PID 1 of a node in namespaces of its own. Used by its power control only; not thread-safe. */
#pragma once

#include "lab/lab_proc.h"

struct init_handle {
    struct proc_id id;
    int pidfd;
    int status_fd; /* its stages, one per line; never blocks */
};

/* `device` is the block device of the node's disk, "" when it has none. The new process dies with its parent. */
bool init_spawn(const struct lab *lab, const char *node, const char *device, struct init_handle *ret,
                struct error **errp);
