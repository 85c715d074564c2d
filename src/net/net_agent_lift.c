/* SPDX-License-Identifier: Apache-2.0 */
/* Legs that carry more for a while, so that a change can be tried on the wire before it is made. */
#include "base/str.h"
#include "net/net_agent_private.h"

static void tell(struct net_lift_request *q, const char *problem) {
    net_agent_done_fn *done = TAKE(q->done);
    if (done)
        done(problem, q->userdata);
}

static struct net_lift_request **find(struct net_agent *a, const char *id) {
    struct net_lift_request **at = &a->lifts;
    while (*at && !str_eq((*at)->id, id))
        at = &(*at)->next;
    return at;
}

static void drop(struct net_lift_request **at, const char *problem) {
    struct net_lift_request *q = *at;
    *at = q->next;
    tell(q, problem);
    free(q);
}

static void arm(struct net_agent *a) {
    uint64_t now = loop_now_ms(a->loop), next = LOOP_NEVER;
    for (struct net_lift_request *q = a->lifts; q; q = q->next)
        next = MIN(next, q->until_ms > now ? q->until_ms - now : 0);
    loop_timer_set(a->lift_timer, next);
}

/* Whoever asked for it is gone: the legs go back by themselves. */
static void on_lift_timer(struct loop_source *s, void *userdata) {
    struct net_agent *a = userdata;
    for (struct net_lift_request **at = &a->lifts; *at;) {
        if ((*at)->until_ms > loop_now_ms(a->loop)) {
            at = &(*at)->next;
            continue;
        }
        drop(at, "the legs were not raised in time");
        a->lifts_changed = true;
    }
    arm(a);
    net_agent_consider_lifts(a);
}

void net_agent_lifts_of(const struct net_agent *a, struct net_job *j) {
    for (const struct net_lift_request *q = a->lifts; q; q = q->next)
        for (unsigned i = 0; i < q->n; i++) {
            unsigned k = 0;
            while (k < j->n_lifts && !str_eq(j->lifts[k].leg, q->lifts[i].leg))
                k++;
            if (k == NET_JOB_MAX_LIFTS)
                break;
            if (k == j->n_lifts)
                j->lifts[j->n_lifts++] = q->lifts[i];
            j->lifts[k].mtu = MAX(j->lifts[k].mtu, q->lifts[i].mtu);
        }
    j->n_outsiders = a->n_outsiders;
    memcpy(j->outsiders, a->outsiders, sizeof(j->outsiders));
}

void net_agent_consider_lifts(struct net_agent *a) {
    if (!a->lifts_changed || !a->good || a->target || net_agent_is_busy(a))
        return;
    a->lifts_changed = false;
    for (struct net_lift_request *q = a->lifts; q; q = q->next)
        q->is_seen = true;
    net_agent_submit(a, net_job_new(NET_JOB_LIFT, a, net_config_copy(a->good)));
}

void net_agent_lifts_applied(struct net_agent *a, struct net_job *j) {
    a->n_outsiders = j->n_outsiders;
    memcpy(a->outsiders, j->outsiders, sizeof(a->outsiders));
    for (struct net_lift_request *q = a->lifts; q; q = q->next)
        if (q->is_seen)
            tell(q, j->error ? error_text(j->error) : NULL);
}

void net_agent_lift(struct net_agent *a, const char *id, const struct net_lift *lifts, unsigned n, uint64_t lease_ms,
                    net_agent_done_fn *done, void *userdata) {
    struct net_lift_request **old = find(a, id);
    if (*old)
        drop(old, "another request took the place of this one");
    if (!a->good || a->target || a->checkpoint.sm.state != NET_CHECKPOINT_IDLE) {
        done(a->good ? "another network change is under way on this host" : "this host has no network yet", userdata);
        return;
    }
    struct net_lift_request *q = xnew0(struct net_lift_request);
    *q = (struct net_lift_request){.next = a->lifts,
                                   .n = MIN(n, (unsigned)NET_MAX_NICS),
                                   .until_ms = loop_now_ms(a->loop) + lease_ms,
                                   .done = done,
                                   .userdata = userdata};
    (void)str_copy(q->id, sizeof(q->id), id);
    memcpy(q->lifts, lifts, q->n * sizeof(*lifts));
    a->lifts = q;
    a->lifts_changed = true;
    arm(a);
    net_agent_consider_lifts(a);
}

void net_agent_lift_renew(struct net_agent *a, const char *id, uint64_t lease_ms) {
    struct net_lift_request *q = *find(a, id);
    if (!q)
        return;
    q->until_ms = loop_now_ms(a->loop) + lease_ms;
    arm(a);
}

void net_agent_lower(struct net_agent *a, const char *id) {
    struct net_lift_request **at = find(a, id);
    if (!*at)
        return;
    drop(at, "the legs are not needed any more");
    a->lifts_changed = true;
    arm(a);
    net_agent_consider_lifts(a);
}

void net_agent_lift_init(struct net_agent *a) {
    a->lift_timer = loop_add_timer(a->loop, LOOP_NEVER, on_lift_timer, a);
}

void net_agent_lift_done(struct net_agent *a) {
    loop_source_free(a->lift_timer);
    while (a->lifts)
        drop(&a->lifts, "this daemon ends");
}
