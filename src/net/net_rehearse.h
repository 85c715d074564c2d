/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next boot of this host before it happens: what is on the disk, played on the model against the NICs that are
 * there, and what the host would have afterwards beside what it has now. Pure; any thread.
 */
#pragma once

#include "net/net_plan.h"

/* What a power cut leaves of a host's network: its NICs, off and with the kernel's MTU, and the switch's file. */
struct net_observed *net_observed_after_cut(const struct net_observed *is);

struct net_rehearsal {
    struct net_observed *then;    /* owned: what the host would have after the boot */
    struct net_problems problems; /* what the boot would find and not mend */
};
void net_rehearsal_done(struct net_rehearsal *r);

/* Plays a boot with this configuration. False when it is not valid; `ret` is filled otherwise. */
bool net_rehearse(const struct net_config *config, const struct net_observed *is, struct net_rehearsal *ret,
                  struct error **errp) _warn_unused_;

/* Something that a boot would make otherwise than it is now: made by hand, or not made yet. */
struct net_difference {
    net_name name;      /* of the NIC or bridge */
    bool is_management; /* on the way to the pool */
    bool is_less;       /* only something beside the configuration would be gone, as a route made by hand */
    char *text;         /* owned: one sentence without a full stop */
};
struct net_differences {
    struct net_difference *items;
    size_t n;
};
void net_differences_done(struct net_differences *d);
/* Appends. `config` says what is looked at; addresses that a server gives are not compared. */
void net_rehearse_compare(const struct net_config *config, const struct net_observed *is,
                          const struct net_observed *then, struct net_differences *ret);
