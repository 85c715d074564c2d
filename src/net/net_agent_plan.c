/* SPDX-License-Identifier: Apache-2.0 */
/* The dry run of one host: its own planner against what it has, and nothing touched. */
#include "base/str.h"
#include "net/net_agent_private.h"
#include "net/net_watch.h"

struct planning {
    struct net_job *job; /* never run as one: it carries what a look needs */
    struct net_config *good;
    struct net_problems known; /* what the host has to complain about now, by the same look */
    struct net_agent_plan plan;
    struct error *error;
    net_agent_planned_fn *done;
    void *userdata;
};

static bool is_known(const struct net_problems *known, const struct net_problem *p) {
    for (size_t i = 0; i < known->n; i++)
        if (known->items[i].code == p->code && str_eq(known->items[i].nic, p->nic) &&
            str_eq(known->items[i].bridge, p->bridge) && str_eq(known->items[i].text, p->text))
            return true;
    return false;
}

/* Only what the change would bring, and would not mend by itself. */
static void take_new(struct net_problems *to, struct net_problems *from, const struct net_problems *known) {
    for (size_t i = 0; i < from->n; i++) {
        struct net_problem *p = &from->items[i];
        if (p->healed || is_known(known, p))
            continue;
        to->items = xrealloc_array(to->items, to->n + 1, sizeof(*to->items));
        to->items[to->n++] = *p;
        *p = (struct net_problem){0};
    }
    net_problems_done(from);
}

static void plan_run(void *data) {
    struct planning *p = data;
    struct net_job *j = p->job;
    struct net_observe_from from = {
        .link = j->link, .ovs = j->ovs, .lease_dir = j->net_dir, .run_dir = j->run_dir, .resolv_conf = j->resolv_conf};
    _cleanup_net_observed_ struct net_observed *is = net_observe(&from, &p->error);
    if (!is)
        return;
    struct net_plan_options options = {.mode = NET_PLAN_LIVE,
                                       .refused = j->refused,
                                       .n_refused = j->n_refused,
                                       .lifts = j->lifts,
                                       .n_lifts = j->n_lifts};
    _cleanup_net_plan_ struct net_plan now = {0}, then = {0};
    struct error *ignored = NULL;
    if (p->good && net_plan_compute(p->good, is, &options, &now, &ignored))
        p->known = now.problems, now.problems = (struct net_problems){0};
    error_free(ignored);
    if (!net_plan_compute(j->target, is, &options, &then, &p->error))
        return;
    p->plan.text = net_plan_text(&then);
    p->plan.n_steps = then.n_steps;
    p->plan.touches_management = then.touches_management;
    p->plan.diff = p->good ? net_config_diff_text(p->good, j->target) : xstrdup("");
    take_new(&p->plan.problems, &then.problems, &p->known);
    then.problems = (struct net_problems){0};
    net_watch_before(j->link, is, j->target, &p->plan.problems);
}

static void plan_done(void *data) {
    struct planning *p = data;
    p->done(p->error ? NULL : &p->plan, p->error, p->userdata);
    free(p->plan.text);
    free(p->plan.diff);
    net_problems_done(&p->plan.problems);
    net_problems_done(&p->known);
    net_config_free(p->good);
    net_job_free(p->job);
    error_free(p->error);
    free(p);
}

void net_agent_plan(struct net_agent *a, const struct net_config *wanted, net_agent_planned_fn *done, void *userdata) {
    struct planning *p = xnew0(struct planning);
    struct net_config *c = net_config_copy(wanted);
    net_agent_add_own(a, c);
    p->job = net_job_new(NET_JOB_LOOK, a, c);
    net_agent_fill_job(a, p->job);
    p->good = a->good ? net_config_copy(a->good) : NULL;
    p->done = done;
    p->userdata = userdata;
    worker_submit(a->worker, NET_AGENT_JOB_KEY, plan_run, plan_done, p);
}
