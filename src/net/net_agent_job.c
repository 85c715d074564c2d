/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_agent_job.h"

#include "base/str.h"
#include "net/net_interrupt.h"

#include <errno.h>
#include <string.h>

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
    net_config_free(j->found);
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
    struct net_plan_options options = {.mode = NET_PLAN_LIVE,
                                       .refused = j->refused,
                                       .n_refused = j->n_refused,
                                       .lifts = j->lifts,
                                       .n_lifts = j->n_lifts};
    if (!net_plan_compute(j->target, j->result.observed, &options, &plan, &j->error))
        return;
    j->result.n_steps = plan.n_steps;
    j->result.touches_management = plan.touches_management;
    net_problems_merge(&j->result.problems, &plan.problems);
    net_plan_done(&plan);
}

/* After each step of a change, for tests that cut it off there. */
static void on_step(const struct net_step *s, unsigned took_ms, const char *problem, void *userdata) {
    const struct net_services *services = userdata;
    _cleanup_free_ char *text = net_step_text(s);
    net_interrupt_point(services->run_dir, text);
}

static bool converge(struct net_job *j) {
    struct net_services services = {.net_dir = j->net_dir,
                                    .run_dir = j->run_dir,
                                    .resolv_conf = j->resolv_conf,
                                    .netboot_path = j->netboot_path,
                                    .management = j->target->management,
                                    .control_size = j->target->control_size};
    net_services_init(&services);
    if (j->previous || j->kind == NET_JOB_RETURN)
        services.hooks.report = on_step;
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
                               .n_refused = j->n_refused,
                               .lifts = j->lifts,
                               .n_lifts = j->n_lifts};
    return net_converge(&how, j->target, &j->result, &j->error);
}

static void apply(struct net_job *j) {
    if (j->previous) {
        struct net_pending pending = {.previous = j->previous, .deadline = j->deadline};
        net_config_hash(j->target, pending.tried_hash);
        if (!net_store_set_pending(j->net_dir, &pending, &j->error))
            return; /* without a way back nothing is touched */
        net_interrupt_point(j->run_dir, "the way back lies on disk");
    }
    (void)!converge(j);
}

static void commit(struct net_job *j) {
    /* Good first: a crash in between leaves a pending change whose way back is the old network, which is safe. */
    if (net_store_commit(j->net_dir, j->target, &j->error)) {
        if (j->in_change)
            net_interrupt_point(j->run_dir, "it is the last known good network");
        if (net_store_clear_pending(j->net_dir, &j->error))
            (void)!net_store_clear_refused(j->net_dir, &j->error);
        if (j->in_change)
            net_interrupt_point(j->run_dir, "nothing is pending on disk");
    }
    j->mark = net_store_mark(j->net_dir);
}

static void go_back(struct net_job *j) {
    if (j->refusal.hash[0]) {
        struct error *ignored = NULL; /* a full disk must not stop the way back */
        (void)!net_store_set_refused(j->net_dir, &j->refusal, &ignored);
        error_free(ignored);
    }
    net_interrupt_point(j->run_dir, "the way back begins");
    if (converge(j)) {
        (void)!net_store_clear_pending(j->net_dir, &j->error);
        net_interrupt_point(j->run_dir, "what was is back");
    }
}

static bool is_in_a_bridge(const struct net_config *c, const char *leg) {
    for (unsigned i = 0; i < c->n_bridges; i++)
        for (unsigned k = 0; k < c->bridges[i].n_legs; k++)
            if (str_eq(c->bridges[i].legs[k], leg))
                return true;
    return false;
}

static const struct net_lift *find_lift(const struct net_job *j, const char *leg) {
    for (unsigned i = 0; i < j->n_lifts; i++)
        if (str_eq(j->lifts[i].leg, leg))
            return &j->lifts[i];
    return NULL;
}

/* A leg that is lifted no longer: as it was, unless a bridge has taken it meanwhile. */
static void put_back(struct net_job *j) {
    for (unsigned i = 0; i < j->n_outsiders;) {
        const struct net_outsider *o = &j->outsiders[i];
        if (find_lift(j, o->link)) {
            i++;
            continue;
        }
        if (!is_in_a_bridge(j->target, o->link)) {
            int r = link_set_mtu(j->link, o->link, (unsigned)o->mtu);
            if (r == 0 && !o->up)
                r = link_set_up(j->link, o->link, false);
            (void)r; /* gone: then there is nothing to put back */
        }
        j->outsiders[i] = j->outsiders[--j->n_outsiders];
    }
}

static void raise_outsider(struct net_job *j, const struct net_lift *l) {
    struct link_info info;
    if (j->n_outsiders == NET_MAX_NICS || link_find(j->link, l->leg, &info) < 0)
        return;
    for (unsigned i = 0; i < j->n_outsiders; i++)
        if (str_eq(j->outsiders[i].link, l->leg))
            return;
    struct net_outsider *o = &j->outsiders[j->n_outsiders++];
    *o = (struct net_outsider){.mtu = (int)info.mtu, .up = info.up};
    (void)net_name_set(o->link, l->leg);
    int r = info.up ? 0 : link_set_up(j->link, l->leg, true);
    if (r == 0 && (int)info.mtu < l->mtu)
        r = link_set_mtu(j->link, l->leg, (unsigned)l->mtu);
    (void)r; /* what it does not take, the measurement will show */
}

static void lift(struct net_job *j) {
    put_back(j);
    for (unsigned i = 0; i < j->n_lifts; i++)
        if (!is_in_a_bridge(j->target, j->lifts[i].leg))
            raise_outsider(j, &j->lifts[i]);
    (void)!converge(j);
}

/* Another last known good than the agent's: a repair was made without it. A damaged file is none. */
static bool find_another(struct net_job *j) {
    struct net_store_mark mark = net_store_mark(j->net_dir);
    if (!mark.inode || !memcmp(&mark, &j->mark, sizeof(mark)))
        return false;
    enum net_store_source source;
    struct net_problems problems = {0};
    struct error *ignored = NULL;
    struct net_config *c = net_store_load(j->net_dir, &source, &problems, &ignored);
    net_problems_done(&problems);
    error_free(ignored);
    if (!c || source != NET_STORE_GOOD || c->generation == j->generation) {
        net_config_free(c);
        return false;
    }
    j->found = c;
    j->mark = mark;
    return true;
}

static bool find_orphan(struct net_job *j) {
    struct net_pending pending = {0};
    if (j->kind != NET_JOB_LOOK || j->in_change || !net_store_get_pending(j->net_dir, &pending))
        return false;
    net_pending_done(&pending);
    j->is_orphan = true;
    return true;
}

static void run(struct net_job *j);

void net_job_run(void *data) {
    struct net_job *j = data;
    int lock = net_store_lock(j->net_dir, /* wait_ms= */ 0);
    if (lock == -EBUSY) { /* any other trouble, as a full disk, must not stop what keeps the network up */
        j->is_busy = true;
        error_internal(&j->error, "muster-netboot is at work on this host's network");
        return;
    }
    if (!find_another(j) && !find_orphan(j))
        run(j);
    net_store_unlock(lock);
}

static void run(struct net_job *j) {
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
    case NET_JOB_LIFT:
        lift(j);
        return;
    }
    abort();
}
