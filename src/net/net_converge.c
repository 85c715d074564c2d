/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_converge.h"

#include "base/str.h"

void net_converged_done(struct net_converged *c) {
    net_problems_done(&c->problems);
    net_observed_free(c->observed);
    *c = (struct net_converged){0};
}

void net_problems_merge(struct net_problems *to, struct net_problems *from) {
    for (size_t i = 0; i < from->n; i++) {
        struct net_problem *p = &from->items[i];
        bool known = false;
        for (size_t j = 0; j < to->n; j++)
            known = known || (to->items[j].code == p->code && str_eq(to->items[j].nic, p->nic) &&
                              str_eq(to->items[j].bridge, p->bridge));
        if (known)
            continue;
        to->items = xrealloc_array(to->items, to->n + 1, sizeof *to->items);
        to->items[to->n++] = *p;
        *p = (struct net_problem){0};
    }
    net_problems_done(from);
}

static void add_refused(struct net_converged *c, const char *link, int mtu) {
    unsigned i = 0;
    while (i < c->n_refused && !str_eq(c->refused[i].link, link))
        i++;
    if (i == NET_MAX_NICS || !net_name_set(c->refused[i].link, link))
        return;
    c->refused[i].mtu = mtu;
    c->n_refused = MAX(c->n_refused, i + 1);
}

/* Notes the legs whose driver did not take the MTU it was told, with what they have instead. True when there are any.
 */
static bool find_refused(struct net_converged *c, const struct net_problems *problems, struct link *link) {
    bool found = false;
    for (size_t i = 0; i < problems->n; i++) {
        const struct net_problem *p = &problems->items[i];
        struct link_info info;
        if (p->code != NET_FAULT_MTU_REFUSED || !p->nic[0] || link_find(link, p->nic, &info) < 0)
            continue;
        add_refused(c, p->nic, (int)info.mtu);
        found = true;
    }
    return found;
}

static bool round_trip(const struct net_converge *how, const struct net_config *wanted,
                       struct net_problems *ret_failed_steps, struct net_converged *c, struct error **errp) {
    _cleanup_net_observed_ struct net_observed *is = net_observe(how->from, errp);
    if (!is)
        return false;
    _cleanup_net_plan_ struct net_plan plan = {0};
    struct net_plan_options options = {.mode = how->mode,
                                       .refused = c->refused,
                                       .n_refused = c->n_refused,
                                       .lifts = how->lifts,
                                       .n_lifts = how->n_lifts};
    if (!net_plan_compute(wanted, is, &options, &plan, errp))
        return false;
    struct net_apply_result result;
    bool ok = net_apply(how->env, &plan, how->phases, &result, errp);
    if (!c->n_steps)
        c->n_steps = plan.n_steps;
    c->touches_management = c->touches_management || plan.touches_management;
    net_problems_merge(&c->problems, &plan.problems);
    *ret_failed_steps = result.problems;
    return ok;
}

bool net_converge(const struct net_converge *how, const struct net_config *wanted, struct net_converged *ret,
                  struct error **errp) {
    *ret = (struct net_converged){0};
    for (unsigned i = 0; i < how->n_refused; i++)
        add_refused(ret, how->refused[i].link, how->refused[i].mtu);
    struct net_problems failed = {0}, again = {0};
    bool ok = round_trip(how, wanted, &failed, ret, errp);
    if (ok && find_refused(ret, &failed, how->env->link))
        ok = round_trip(how, wanted, &again, ret, errp);
    net_problems_merge(&ret->problems, &failed);
    net_problems_merge(&ret->problems, &again);
    struct error *ignored = NULL;
    ret->observed = net_observe(how->from, &ignored);
    error_free(ignored);
    return ok;
}
