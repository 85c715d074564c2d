/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

struct net_step planner_step(struct net_planner *p, enum net_op op, const char *reason_fmt, ...) {
    char reason[512];
    va_list ap;
    va_start(ap, reason_fmt);
    vsnprintf(reason, sizeof(reason), reason_fmt, ap);
    va_end(ap);
    return (struct net_step){
        .op = op,
        .phase = p->phase,
        .batch = p->batch,
        .reason = xstrdup(reason),
    };
}

struct net_ovs_op *planner_ovs(struct net_step *s, enum net_ovs_kind kind) {
    s->ovs = xrealloc_array(s->ovs, s->n_ovs + 1, sizeof(*s->ovs));
    struct net_ovs_op *o = &s->ovs[s->n_ovs++];
    *o = (struct net_ovs_op){.kind = kind, .tag = -1, .iface_type = "", .role = ""};
    return o;
}

struct net_expect *planner_expect(struct net_step *s, enum net_expect_kind kind, const char *name,
                                  unsigned timeout_ms) {
    s->expects = xrealloc_array(s->expects, s->n_expects + 1, sizeof(*s->expects));
    struct net_expect *e = &s->expects[s->n_expects++];
    *e = (struct net_expect){.kind = kind};
    str_copy(e->name, sizeof(e->name), name);
    s->timeout_ms = MAX(s->timeout_ms, timeout_ms);
    return e;
}

void planner_drop(struct net_step *s) {
    free(s->reason);
    free(s->ovs);
    free(s->expects);
    *s = (struct net_step){0};
}

static bool step_touches_management(const struct net_planner *p, const struct net_step *s) {
    if (planner_is_management(p, s->link) || planner_is_management(p, s->to_link) ||
        planner_is_management(p, s->route.dev))
        return true;
    for (unsigned i = 0; i < s->n_ovs; i++) {
        const struct net_ovs_op *o = &s->ovs[i];
        if (planner_is_management(p, o->bridge) || planner_is_management(p, o->to_bridge) ||
            planner_is_management(p, o->port))
            return true;
        for (unsigned k = 0; k < o->n_ifaces; k++)
            if (planner_is_management(p, o->ifaces[k]))
                return true;
    }
    return false;
}

bool planner_add(struct net_planner *p, struct net_step *s) {
    if (p->plan->n_steps >= NET_PLAN_MAX_STEPS) {
        planner_drop(s);
        return false;
    }
    int r = net_model_apply(p->now, s);
    if (r < 0 && s->on_fail != NET_FAIL_IGNORE) {
        /* The state was read while it changed, or holds what no plan of ours makes: say it, plan the rest. */
        _cleanup_free_ char *text = net_step_text(s);
        char detail[600];
        snprintf(detail, sizeof(detail), "the step '%.400s' is not possible here: %s", text, strerror(-r));
        struct net_fault_facts f = planner_facts(p, NULL, NULL);
        f.detail = detail;
        net_problems_add(&p->plan->problems, NET_FAULT_STEP_FAILED, &f);
        planner_drop(s);
        return false;
    }
    s->touches_management = step_touches_management(p, s);
    p->plan->touches_management = p->plan->touches_management || s->touches_management;
    p->plan->steps = xrealloc_array(p->plan->steps, p->plan->n_steps + 1, sizeof(*p->plan->steps));
    p->plan->steps[p->plan->n_steps++] = *s;
    *s = (struct net_step){0};
    return true;
}

void planner_batch_begin(struct net_planner *p) {
    p->batch = ++p->n_batches;
}

void planner_batch_end(struct net_planner *p) {
    p->batch = 0;
}

void planner_add_garp(struct net_planner *p, const char *link, const char *reason) {
    const struct net_obs_link *l = net_observed_link(p->now, link);
    bool has_addr = false;
    for (unsigned i = 0; i < p->now->n_addrs && !has_addr; i++)
        has_addr = str_eq(p->now->addrs[i].link, link);
    if (!l || !has_addr)
        return; /* nothing to announce */
    struct net_step s = planner_step(p, NET_OP_GARP, "%s", reason);
    str_copy(s.link, sizeof(s.link), link);
    /* At boot the MAC did not move under anybody's traffic: once is a courtesy, and the boot need not wait for more. */
    s.count = p->options.mode == NET_PLAN_BOOT ? 1 : NET_GARP_COUNT;
    s.interval_ms = NET_GARP_INTERVAL_MS;
    s.on_fail = NET_FAIL_IGNORE;
    planner_add(p, &s);
}

void planner_add_quiet(struct net_planner *p) {
    struct net_step s = planner_step(p, NET_OP_WAIT,
                                     "an announcement still on its way could make the switch learn our own MAC on the "
                                     "wrong leg");
    planner_expect(&s, NET_EXPECT_GARP_QUIET, "", NET_WAIT_KERNEL_MS)->value = NET_GARP_QUIET_MS;
    planner_add(p, &s);
}

void planner_add_link_up(struct net_planner *p, const char *link, const char *reason) {
    const struct net_obs_link *l = net_observed_link(p->now, link);
    if (!l || l->up)
        return;
    struct net_step s = planner_step(p, NET_OP_LINK_UP, "%s", reason);
    str_copy(s.link, sizeof(s.link), link);
    planner_expect(&s, NET_EXPECT_LINK_EXISTS, link, NET_WAIT_KERNEL_MS);
    planner_add(p, &s);
}

void planner_mark_management(struct net_planner *p, const char *name) {
    if (!name[0] || planner_is_management(p, name))
        return;
    p->management = xrealloc_array(p->management, p->n_management + 1, sizeof(*p->management));
    str_copy(p->management[p->n_management++], NET_NAME_SIZE, name);
}

bool planner_is_management(const struct net_planner *p, const char *name) {
    for (unsigned i = 0; name[0] && i < p->n_management; i++)
        if (str_eq(p->management[i], name))
            return true;
    return false;
}

struct net_fault_facts planner_facts(const struct net_planner *p, const struct net_bridge *b, const char *nic) {
    struct net_fault_facts f = {.host = p->wanted->host_name, .nic = nic};
    if (nic) {
        const struct net_nic *n = net_config_nic(p->wanted, nic);
        f.mac = n ? &n->mac : NULL;
    }
    if (b) {
        f.bridge = b->name;
        f.network_uuid = b->network_uuid;
        f.bond = b->purpose == NET_PURPOSE_BOND ? b->bond.name : NULL;
    }
    return f;
}
