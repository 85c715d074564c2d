/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_agent_job.h"

#include "base/str.h"

struct net_job *net_job_new(enum net_job_kind kind, void *agent, struct net_config *target) {
    struct net_job *j = xnew0(struct net_job);
    *j = (struct net_job){.kind = kind, .agent = agent, .target = target};
    return j;
}

void net_job_free(struct net_job *j) {
    if (!j)
        return;
    net_config_free(j->target);
    net_config_free(j->previous);
    error_free(j->error);
    net_converged_done(&j->result);
    free(j);
}

static struct net_observe_from from_of(const struct net_job *j) {
    return (struct net_observe_from){
        .link = j->link, .ovs = j->ovs, .lease_dir = j->net_dir, .run_dir = j->run_dir, .resolv_conf = j->resolv_conf};
}

static void look(struct net_job *j) {
    struct net_observe_from from = from_of(j);
    j->result.observed = net_observe(&from, &j->error);
    if (!j->result.observed)
        return;
    struct net_plan plan = {0};
    struct net_plan_options options = {.mode = NET_PLAN_LIVE, .refused = j->refused, .n_refused = j->n_refused};
    if (!net_plan_compute(j->target, j->result.observed, &options, &plan, &j->error))
        return;
    j->result.n_steps = plan.n_steps;
    j->result.touches_management = plan.touches_management;
    net_problems_merge(&j->result.problems, &plan.problems);
    net_plan_done(&plan);
}

static bool converge(struct net_job *j) {
    struct net_services services = {.net_dir = j->net_dir,
                                    .run_dir = j->run_dir,
                                    .resolv_conf = j->resolv_conf,
                                    .netboot_path = j->netboot_path,
                                    .management = j->target->management,
                                    .control_size = j->target->control_size};
    net_services_init(&services);
    struct net_observe_from from = from_of(j);
    struct net_apply_env env = {.link = j->link,
                                .ovs = j->ovs,
                                .lease_dir = j->net_dir,
                                .host_name = j->target->host_name,
                                .hooks = &services.hooks,
                                .garp_max = j->garp_max};
    struct net_converge how = {.env = &env,
                               .from = &from,
                               .mode = NET_PLAN_LIVE,
                               .phases = NET_APPLY_BEFORE_SWITCH | NET_APPLY_WITH_SWITCH,
                               .refused = j->refused,
                               .n_refused = j->n_refused};
    return net_converge(&how, j->target, &j->result, &j->error);
}

static void apply(struct net_job *j) {
    if (j->previous) {
        struct net_pending pending = {.previous = j->previous, .deadline = j->deadline};
        net_config_hash(j->target, pending.tried_hash);
        if (!net_store_set_pending(j->net_dir, &pending, &j->error))
            return; /* without a way back nothing is touched */
    }
    (void)!converge(j);
}

static void commit(struct net_job *j) {
    /* Good first: a crash in between leaves a pending change whose way back is the old network, which is safe. */
    if (net_store_commit(j->net_dir, j->target, &j->error) && net_store_clear_pending(j->net_dir, &j->error))
        (void)!net_store_clear_refused(j->net_dir, &j->error);
}

static void go_back(struct net_job *j) {
    if (j->refusal.hash[0]) {
        struct error *ignored = NULL; /* a full disk must not stop the way back */
        (void)!net_store_set_refused(j->net_dir, &j->refusal, &ignored);
        error_free(ignored);
    }
    if (converge(j))
        (void)!net_store_clear_pending(j->net_dir, &j->error);
}

void net_job_run(void *data) {
    struct net_job *j = data;
    switch (j->kind) {
    case NET_JOB_LOOK:
        look(j);
        return;
    case NET_JOB_APPLY:
        apply(j);
        return;
    case NET_JOB_COMMIT:
        commit(j);
        return;
    case NET_JOB_RETURN:
        go_back(j);
        return;
    }
    abort();
}
