/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the agent, for net_agent*.c. Loop thread only. */
#pragma once

#include "link/link_monitor.h"
#include "net/net_agent.h"
#include "net/net_agent_job.h"
#include "net/net_checkpoint.h"

#define NET_AGENT_JOB_KEY "net"
#define NET_AGENT_MAX_STAGED 4

/* Somebody wants legs lifted for a while. */
struct net_lift_request {
    struct net_lift_request *next;
    char id[NET_AGENT_ID_SIZE];
    unsigned n;
    struct net_lift lifts[NET_MAX_NICS];
    uint64_t until_ms;
    bool is_seen;            /* the running job has it */
    net_agent_done_fn *done; /* NULL: has been told */
    void *userdata;
};

/* What was said beforehand about a configuration that will be wanted. */
struct net_staged {
    char hash[NET_HASH_TEXT_SIZE];
    uint64_t checkpoint_ms; /* 0: the usual */
    bool needs_person;
};

struct net_agent {
    struct loop *loop;
    struct worker *worker;
    struct link *link;
    struct ovs *ovs;
    char *net_dir, *run_dir, *resolv_conf, *netboot_path;
    uint64_t checkpoint_ms, settle_ms;
    unsigned garp_max;
    const struct net_agent_owner *owner;
    struct link_monitor *monitor;

    struct net_config *good;   /* last known good; NULL none */
    struct net_config *wanted; /* newest that is wanted and not taken up yet; NULL none */
    struct net_config *latest; /* newest that was ever wanted, for another try; NULL none */
    bool try_again;            /* the host could not be looked at: take up `latest` with the next look */
    struct net_config *target; /* being tried; NULL none */
    struct net_config *way_back;
    struct net_refusal refusal; /* what was taken back last */
    struct net_store_mark mark; /* of `good` on disk */
    bool good_changed;          /* its host's own members are not on disk yet */

    struct net_checkpoint checkpoint;
    struct loop_source *deadline; /* of the checkpoint, or its retry */
    uint64_t token;               /* of the question that is out; 0 none */
    uint64_t last_token;
    bool touches_management;
    uint64_t change_ms;  /* of the change that runs: how long it has */
    struct net_job *job; /* running; NULL none */

    struct loop_source *look_timer;
    struct net_lift_request *lifts; /* list */
    struct loop_source *lift_timer;
    bool lifts_changed; /* the legs do not follow them yet */
    unsigned n_outsiders;
    struct net_outsider outsiders[NET_MAX_NICS];
    struct net_staged staged[NET_AGENT_MAX_STAGED]; /* newest last */
    unsigned n_staged;
    uint64_t heal_pause_ms, healed_ms;

    enum net_outcome outcome;
    char hash[NET_HASH_TEXT_SIZE];
    char *sentence;
    struct net_observed *observed;
    struct net_problems problems;
    unsigned n_refused; /* legs whose driver was seen to refuse an MTU; forgotten with the next thing wanted */
    struct net_refused refused[NET_MAX_NICS];
    struct net_fact *facts;
    size_t n_facts;
};

/* net_agent.c */
void net_agent_submit(struct net_agent *a, struct net_job *j);
/* Fills in what every job needs to know, without running it. */
void net_agent_fill_job(struct net_agent *a, struct net_job *j);
/* What is the host's own business and no part of what the pool wants. */
void net_agent_add_own(struct net_agent *a, struct net_config *c);

/* net_agent_lift.c */
void net_agent_lift_init(struct net_agent *a);
void net_agent_lift_done(struct net_agent *a);
/* Begins a job when legs are to be raised or lowered and nothing else runs. */
void net_agent_consider_lifts(struct net_agent *a);
void net_agent_lifts_applied(struct net_agent *a, struct net_job *j);
void net_agent_lifts_of(const struct net_agent *a, struct net_job *j);
