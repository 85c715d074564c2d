/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of `rehearse`: the model's part and the scratch namespace's. */
#pragma once

#include "net/net_rehearse.h"
#include "netboot/netboot.h"

/* What a boot in a namespace of its own came to: the real programs on NICs of the same names and MACs. */
struct netboot_scratch {
    unsigned took_ms;
    char *error;                   /* it could not be done: why. Says nothing about the host */
    char *failure;                 /* it was done, and muster-netboot failed: why */
    struct net_observed *observed; /* what came of it; NULL with an error */
};
void netboot_scratch_done(struct netboot_scratch *s);

/*
 * Boots `config` with this very program, a database server and a switch daemon in namespaces that end with it. Touches
 * nothing of the host but a folder below the run folder. Blocking, 5 s at most.
 */
void netboot_scratch_run(struct netboot *n, const struct net_config *config, const struct net_observed *is,
                         struct netboot_scratch *ret);
/* `rehearse-inside FOLDER`: the part that runs in the namespaces. */
int netboot_scratch_inside(struct netboot *n, const char *folder);
