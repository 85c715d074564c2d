/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Performs a plan step by step against the kernel and the switch, reads back what each step promised, and tells how far
 * it got. Decides nothing. Blocking: netboot calls it directly, the daemon in a worker thread (an environment belongs
 * to one thread at a time).
 */
#pragma once

#include "link/link.h"
#include "net/net_observe.h"
#include "net/net_plan.h"
#include "ovs/ovs.h"

#define ERR_NET_STEP_FAILED "NET_STEP_FAILED" /* [step as text, what is wrong] */

/* What a plan needs beyond kernel and switch; a NULL function makes such a step fail with a sentence. */
struct net_apply_hooks {
    bool (*dhcp_start)(const char *link, enum net_family family, void *userdata, struct error **errp);
    bool (*dhcp_stop)(const char *link, enum net_family family, void *userdata, struct error **errp);
    bool (*dns_write)(const struct net_addr *dns, unsigned n, void *userdata, struct error **errp);
    /* Called after each step with the time it took; may be NULL. */
    void (*report)(const struct net_step *s, unsigned took_ms, const char *problem, void *userdata);
    void *userdata;
};

struct net_apply_env {
    struct link *link;
    struct ovs *ovs; /* NULL: steps for the switch fail */
    const char *lease_dir;
    const char *host_name; /* for sentences; may be NULL */
    const struct net_apply_hooks *hooks;
    /* Bursts of announcements longer than this are cut short; 0: as planned. Boot has no switch table to move. */
    unsigned garp_max;
    /* private */
    int64_t last_cfg;
    uint64_t last_garp_ms;
};

struct net_apply_result {
    size_t n_done;                /* steps performed, failures that were only recorded included */
    struct net_problems problems; /* of steps that failed and whose plan said to go on */
    unsigned took_ms;
};

void net_apply_result_done(struct net_apply_result *r);

/*
 * Performs the steps of `phases` (bit set of 1 << net_phase) in order. False at the first failure of a step that stops
 * the plan: ERR_NET_STEP_FAILED; steps behind it are not tried. ret is filled either way.
 */
bool net_apply(struct net_apply_env *env, const struct net_plan *plan, unsigned phases, struct net_apply_result *ret,
               struct error **errp) _warn_unused_;
#define NET_APPLY_BEFORE_SWITCH (1u << NET_PHASE_BEFORE_SWITCH)
#define NET_APPLY_WITH_SWITCH (1u << NET_PHASE_WITH_SWITCH)

/* Whether an expectation holds now. False with *ret_problem (heap, owned by the caller) saying what is instead. */
bool net_expect_check(struct net_apply_env *env, const struct net_expect *e, char **ret_problem);
