/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking half of the agent: one value in, one value out, in a worker thread. Touches nothing but the job. */
#pragma once

#include "net/net_converge.h"
#include "net/net_services.h"
#include "net/net_store.h"

enum net_job_kind {
    NET_JOB_LOOK,   /* observe and plan only */
    NET_JOB_APPLY,  /* way back to disk (when `previous` is set), then converge */
    NET_JOB_COMMIT, /* target becomes last known good */
    NET_JOB_RETURN, /* converge to target, remember what was refused, remove the way back */
    NET_JOB_LIFT,   /* converge to target with its lifts, and raise lifted legs that no bridge has */
};

#define NET_JOB_MAX_LIFTS 64

/* A lifted leg that belongs to no bridge: what it had before. */
struct net_outsider {
    net_name link;
    int mtu;
    bool up;
};

struct net_job {
    enum net_job_kind kind;
    void *agent; /* not touched by the job */
    /* in; strings borrowed from the agent, which outlives its jobs */
    struct link *link;
    struct ovs *ovs;
    const char *net_dir, *run_dir, *resolv_conf, *netboot_path;
    unsigned garp_max;
    struct net_config *target;   /* owned */
    struct net_config *previous; /* owned; NULL: nothing to return to, or no checkpoint wanted */
    int64_t deadline;            /* wall clock, seconds, of the checkpoint */
    struct net_refusal refusal;  /* RETURN: what to remember; hash "" nothing */
    unsigned n_refused;          /* legs known to refuse an MTU */
    struct net_refused refused[NET_MAX_NICS];
    unsigned n_lifts;
    struct net_lift lifts[NET_JOB_MAX_LIFTS];
    bool in_change;      /* a way back on disk is the agent's own */
    uint64_t generation; /* of the last known good that the agent knows */
    /* in and out */
    struct net_store_mark mark; /* of the last known good as the agent knows it */
    /* in and out: LIFT adds those that it raised, and puts back those that are lifted no longer */
    unsigned n_outsiders;
    struct net_outsider outsiders[NET_MAX_NICS];
    /* out; with `found` or `is_orphan` nothing else was done */
    struct net_config *found;    /* owned: muster-netboot has made another network the last known good */
    bool is_orphan;              /* a change lies on the disk whose maker is gone */
    bool is_busy;                /* muster-netboot is at work on this host's network */
    struct error *error;         /* owned; NULL: it succeeded */
    struct net_converged result; /* LOOK fills it as if nothing had to be done, with the plan's n_steps */
};

struct net_job *net_job_new(enum net_job_kind kind, void *agent, struct net_config *target /* taken */);
void net_job_free(struct net_job *j);
void net_job_run(void *data); /* worker_run_fn */
