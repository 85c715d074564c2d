/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks every few seconds for what goes wrong with this host's network while it runs as it was made (net_watch.h), and
 * states it as faults. The looks are made in a worker, on a kernel and a switch handle of their own, and not while a
 * change is under way. Loop thread.
 */
#pragma once

#include "daemon/faults.h"
#include "daemon/netglue.h"

struct watch;

struct watch_config {
    struct loop *loop;
    struct db *db;
    struct worker *worker;
    struct faults *faults;
    struct netglue *netglue;
    struct uuid self;
    const char *switch_run_dir;
};

/* NULL with an error when the kernel or the switch cannot be talked to at all. */
struct watch *watch_new(const struct watch_config *config, struct error **errp) _warn_unused_;
void watch_free(struct watch *w); /* accepts NULL; after worker_free */
