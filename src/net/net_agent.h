/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network engine of the daemon: takes what the pool wants of this host's network, and sees to it that the host has
 * it, or what it had before. Plans, writes the way back to disk, applies, proves, asks the pool, commits; or returns by
 * itself. One change at a time; the newest wanted configuration is taken up after it. A configuration that was taken
 * back is not tried again until another one is wanted or net_agent_retry is called. In between it watches the kernel
 * and heals what someone changed by hand.
 *
 * Loop thread; all blocking work runs as jobs of one key. Nothing here knows the pool or the database: the owner gives
 * functions.
 */
#pragma once

#include "loop/worker.h"
#include "net/net_apply.h"
#include "net/net_plan.h"

struct net_agent;

enum net_outcome {
    NET_OUTCOME_NONE,        /* nothing was wanted yet */
    NET_OUTCOME_PENDING,     /* being worked on */
    NET_OUTCOME_APPLIED,     /* the host has it, proven; `problems` may say what is less than wanted */
    NET_OUTCOME_ROLLED_BACK, /* tried, taken back: `sentence` says why */
    NET_OUTCOME_FAILED,      /* refused before anything was touched, or the way back failed as well */
    NET_OUTCOME_HELD,        /* applied and proven; a person is to confirm it before the checkpoint's time is over */
};
const char *net_outcome_text(enum net_outcome o); /* "none" "pending" "applied" "rolled_back" "failed" "held" */
static inline bool net_outcome_is_open(enum net_outcome o) {
    return o == NET_OUTCOME_PENDING || o == NET_OUTCOME_HELD;
}

/* One interface of the configuration as it is now: a NIC by its kernel name, or a bridge. */
struct net_fact {
    net_name name;
    bool is_nic;
    bool attached; /* NIC: present and up; bridge: its port exists and is up */
    bool carrier;  /* bridge: any leg has it */
    int mtu;       /* of the kernel; 0 when not attached */
    struct net_mac mac;
};

struct net_agent_state {
    enum net_outcome outcome;
    char hash[NET_HASH_TEXT_SIZE];       /* of the configuration the outcome is about */
    const char *sentence;                /* "" when there is nothing to say; borrowed */
    const struct net_config *good;       /* last known good; NULL before there is one; borrowed */
    const struct net_observed *observed; /* of the last look; NULL before the first; borrowed */
    const struct net_fact *facts;        /* borrowed */
    size_t n_facts;
    const struct net_problems *problems; /* found by planner and applier for what the host has; borrowed */
};

struct net_agent_owner {
    /*
     * Try the paths of `tried`, which the host has now; answer with net_agent_proved. May be NULL: nothing to try.
     * `touches_management` says whether the way to the pool was touched.
     */
    void (*prove)(struct net_agent *a, uint64_t token, const struct net_config *tried, bool touches_management,
                  void *userdata);
    /* Ask the pool whether it still hears this host; answer with net_agent_confirmed. May be NULL: no pool to ask. */
    void (*confirm)(struct net_agent *a, uint64_t token, const char *hash, void *userdata);
    /* Something of the state changed. */
    void (*publish)(struct net_agent *a, const struct net_agent_state *s, void *userdata);
    void *userdata;
};

struct net_agent_setup {
    struct loop *loop;
    struct worker *worker;
    struct link *link; /* used in jobs only; the owner frees both after the agent */
    struct ovs *ovs;
    const char *net_dir, *run_dir, *resolv_conf, *netboot_path; /* copied */
    uint64_t checkpoint_ms;                                     /* 0: 60 s */
    uint64_t settle_ms;                  /* how long the kernel must be quiet before a look; 0: 200 ms */
    bool watch;                          /* listen to the kernel (not with fakes) */
    unsigned garp_max;                   /* see net_apply_env */
    const struct net_agent_owner *owner; /* must live on */
};

/* Loads last known good; a change that a crash left unfinished is taken back at once. The first look follows. */
struct net_agent *net_agent_new(const struct net_agent_setup *setup);
void net_agent_free(struct net_agent *a); /* no job may run any more: free the worker first. Accepts NULL */

/* What the pool wants now; copied. The host's own members (datapath, control size, host name) are filled in here. */
void net_agent_want(struct net_agent *a, const struct net_config *wanted);
/* Tries a configuration that was taken back once more, and ends any waiting. */
void net_agent_retry(struct net_agent *a);
/* The control size that the paths were proven for; takes effect with the next look. */
void net_agent_set_control_size(struct net_agent *a, int control_size);
/* Writes the last known good to disk once more, when the host has it: the file was seen to be damaged. */
void net_agent_rewrite(struct net_agent *a);
/* Look at the host now (a hint: a neighbour says something is wrong). */
void net_agent_look(struct net_agent *a);

void net_agent_proved(struct net_agent *a, uint64_t token, const char *problem);
void net_agent_confirmed(struct net_agent *a, uint64_t token, const char *problem);

/*
 * Says beforehand how a configuration is to be tried when it comes to be wanted: how long its checkpoint has (0: as
 * always), and whether a person has to confirm it on top of the pool. One that was taken back before is tried
 * again. The last few are remembered, in memory only.
 */
void net_agent_stage(struct net_agent *a, const char *hash, uint64_t checkpoint_ms, bool needs_person);
/* The person's word about the change that is held. False when no such change waits for it. */
bool net_agent_keep(struct net_agent *a, const char *hash);
/* Takes back the change that is being proven, confirmed or held. False when it is not under way. */
bool net_agent_revert(struct net_agent *a, const char *hash, const char *why);

/* ---- before a change ---- */

#define NET_AGENT_ID_SIZE 40

struct net_agent_plan {
    char *text;     /* the plan, as net_plan_text */
    char *diff;     /* what changes, as net_config_diff_text; "" nothing */
    size_t n_steps; /* 0: the host has it already */
    bool touches_management;
    struct net_problems problems; /* that the host would have and has not now */
};
/* `p` is NULL with an error when there is no plan. Both borrowed; once. */
typedef void net_agent_planned_fn(const struct net_agent_plan *p, const struct error *e, void *userdata);
/* Looks at the host and plans what would be done for this configuration; touches nothing. */
void net_agent_plan(struct net_agent *a, const struct net_config *wanted, net_agent_planned_fn *done, void *userdata);

/*
 * Raises legs to at least these MTUs, for `lease_ms` at most: ports stay as they are, so nothing is sent that was not
 * sent before, but frames of the new size can be tried. In memory only: a restart lowers them. A later request of the
 * same id replaces the earlier one. `done` once: NULL when the legs were told (what a driver refused shows in trying).
 */
typedef void net_agent_done_fn(const char *problem, void *userdata);
void net_agent_lift(struct net_agent *a, const char *id, const struct net_lift *lifts, unsigned n, uint64_t lease_ms,
                    net_agent_done_fn *done, void *userdata);
/* The one who asked lives: `lease_ms` begins anew. A request that is not known stays so. */
void net_agent_lift_renew(struct net_agent *a, const char *id, uint64_t lease_ms);
void net_agent_lower(struct net_agent *a, const char *id);

void net_agent_state(const struct net_agent *a, struct net_agent_state *ret);
bool net_agent_is_busy(const struct net_agent *a);
