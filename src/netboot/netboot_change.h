/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of this host's network from the host itself, without daemon and pool, through the same checkpoint: the way
 * back lies on disk before anything is touched; the new network becomes the last known good one only when it is proven
 * (an address answers at the control size) or a person at the terminal says so; otherwise the host goes back by itself.
 */
#pragma once

#include "net/net_repair.h"
#include "netboot/netboot.h"

#define NETBOOT_MAX_PROBES 8
#define NETBOOT_CHANGE_SECONDS 60

struct netboot_change {
    struct netboot *netboot;
    /* how */
    bool dry_run;
    bool no_proof; /* a person answers for it */
    bool confirm;  /* a person at the terminal, on top of the proof */
    unsigned seconds;
    const char *probes[NETBOOT_MAX_PROBES]; /* each must answer; borrowed */
    unsigned n_probes;
    /* filled by begin */
    int lock;
    struct net_config *good, *way_back; /* owned; NULL when the host has none */
    struct net_observed *is;            /* owned */
    bool is_interrupted;                /* a change is in progress on the disk */
};

/* Common options of `repair` and `reset`: --probe --no-proof --confirm --dry-run --seconds. True when it was one. */
#define NETBOOT_CHANGE_OPTIONS                                                                                         \
    {"probe", required_argument, NULL, 800}, {"no-proof", no_argument, NULL, 801},                                     \
        {"confirm", no_argument, NULL, 802}, {"dry-run", no_argument, NULL, 803}, {                                    \
        "seconds", required_argument, NULL, 804                                                                        \
    }
bool netboot_change_option(struct netboot_change *c, int opt, char *value, struct error **errp);

/* Says the error's sentence and frees it; the code. */
int netboot_complain(struct error *e, int code);
/* Locks, loads, observes. False with an error; end it with done in every case. */
bool netboot_change_begin(struct netboot_change *c, struct error **errp) _warn_unused_;
void netboot_change_done(struct netboot_change *c);
/* The network that NICs are known of: last known good, or the NICs that are there. The caller owns it. */
struct net_config *netboot_change_base(const struct netboot_change *c);
/* True when the host has this network already. */
bool netboot_change_is_there(const struct netboot_change *c, const struct net_config *target);

/*
 * Lays `repair` over `base` and marks the result with it, on top of the repair that is in force; not at all when the
 * host is back at what it had before the first one. NULL with an error.
 */
struct net_config *netboot_change_repaired(const struct netboot_change *c, const struct net_config *base,
                                           const struct net_repair *repair, struct error **errp) _warn_unused_;
/* Who and when. */
void netboot_repair_sign(struct net_repair *r);
/* The mark of a network that is `target` by this repair, on a host that had `before` (may be NULL). */
void netboot_repair_mark(struct net_config *target, const struct net_config *before, const struct net_repair *repair);
/* Plans, applies, proves, keeps or goes back. An exit code of netboot.h; says what it does. */
int netboot_change_run(struct netboot_change *c, struct net_config *target, const char *words);
