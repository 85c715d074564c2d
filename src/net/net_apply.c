/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_apply.h"

#include "base/str.h"
#include "net/net_apply_os.h"
#include "net/net_lease.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#define POLL_MS 10 /* the kernel is asked again this often while a step waits; the switch tells by itself */

/* net_ovs_op as the adapter takes it, with the texts it borrows. */
struct switch_op {
    char mac[NET_MAC_TEXT_SIZE];
    struct ovs_bond bond;
};

void net_apply_result_done(struct net_apply_result *r) {
    net_problems_done(&r->problems);
    *r = (struct net_apply_result){0};
}

static enum ovs_op_kind kind_of(enum net_ovs_kind kind) {
    switch (kind) {
    case NET_OVS_BRIDGE_ADD:
        return OVS_BRIDGE_ADD;
    case NET_OVS_BRIDGE_DEL:
        return OVS_BRIDGE_DEL;
    case NET_OVS_BRIDGE_MAC:
        return OVS_BRIDGE_MAC;
    case NET_OVS_PORT_ADD:
        return OVS_PORT_ADD;
    case NET_OVS_PORT_DEL:
        return OVS_PORT_DEL;
    case NET_OVS_PORT_MOVE:
        return OVS_PORT_MOVE;
    case NET_OVS_PORT_BOND:
        return OVS_PORT_BOND;
    case NET_OVS_PORT_TAG:
        return OVS_PORT_TAG;
    case NET_OVS_PORT_ADD_IFACE:
        return OVS_PORT_ADD_IFACE;
    case NET_OVS_PORT_DEL_IFACE:
        return OVS_PORT_DEL_IFACE;
    case NET_OVS_IFACE_MTU:
        return OVS_IFACE_MTU;
    case NET_OVS_IFACE_MAC:
        return OVS_IFACE_MAC;
    }
    abort();
}

static void to_switch_op(const struct net_ovs_op *from, struct switch_op *texts, struct ovs_op *ret) {
    *ret = (struct ovs_op){.kind = kind_of(from->kind),
                           .bridge = from->bridge,
                           .to_bridge = from->to_bridge,
                           .port = from->port,
                           .n_ifaces = from->n_ifaces,
                           .iface_type = from->iface_type,
                           .peer = from->peer,
                           .mac = net_mac_is_zero(&from->mac) ? "" : net_mac_text(&from->mac, texts->mac),
                           .datapath_type = net_datapath_text(from->datapath),
                           .role = from->role,
                           .mtu = from->mtu,
                           .tag = from->tag,
                           .fake_bridge = from->fake_bridge};
    /* NOLINTNEXTLINE(misc-redundant-expression): two numbers of two folders, and this is what keeps them alike */
    static_assert((int)NET_MAX_LEGS == (int)OVS_MAX_LEGS, "a port's interfaces must fit");
    for (unsigned i = 0; i < from->n_ifaces; i++)
        ret->ifaces[i] = from->ifaces[i];
    if (!from->has_bond)
        return;
    texts->bond = (struct ovs_bond){.lacp = from->bond.lacp,
                                    .lacp_fast = from->bond.lacp_fast,
                                    .fallback_ab = from->bond.fallback_ab,
                                    .aggregation_key = from->bond.aggregation_key,
                                    .updelay_ms = from->bond.updelay_ms,
                                    .downdelay_ms = from->bond.downdelay_ms};
    (void)str_copy(texts->bond.mode, sizeof texts->bond.mode, net_ovs_bond_mode_text(from->bond.mode));
    (void)str_copy(texts->bond.primary, sizeof texts->bond.primary, from->bond.primary);
    ret->bond = &texts->bond;
}

static char *do_switch(struct net_apply_env *env, const struct net_step *s) {
    if (!env->ovs)
        return xstrdup("there is no switch");
    _cleanup_free_ struct switch_op *texts = xcalloc(s->n_ovs + 1, sizeof *texts);
    _cleanup_free_ struct ovs_op *ops = xcalloc(s->n_ovs + 1, sizeof *ops);
    for (unsigned i = 0; i < s->n_ovs; i++)
        to_switch_op(&s->ovs[i], &texts[i], &ops[i]);
    _cleanup_error_ struct error *e = NULL;
    if (ovs_commit(env->ovs, ops, s->n_ovs, s->reason, &env->last_cfg, &e))
        return NULL;
    return xstrdup(error_text(e));
}

static char *errno_text(int r) {
    return r < 0 ? xstrdup(strerror(-r)) : NULL;
}

static char *error_string(bool ok, struct error *e) {
    char *text = ok ? NULL : xstrdup(error_text(e));
    error_free(e);
    return text;
}

/* Announces every address of the link, `count` times in all. */
static char *do_announce(struct net_apply_env *env, const struct net_step *s) {
    struct link_info info;
    int r = link_find(env->link, s->link, &info);
    unsigned count = env->garp_max ? MIN(env->garp_max, s->count) : s->count;
    for (unsigned n = 0; r == 0 && n < count; n++) {
        _cleanup_(link_addresses_done) struct link_addresses all = {0};
        r = link_list_addresses(env->link, &all);
        for (size_t i = 0; r == 0 && i < all.n; i++)
            if (all.items[i].index == info.index && !all.items[i].tentative)
                r = link_announce(env->link, s->link, &all.items[i].ip);
        env->last_garp_ms = net_clock_ms();
        if (n + 1 < count)
            net_wait_ms(s->interval_ms);
    }
    return errno_text(r);
}

static bool is_batchable(const struct net_step *s) {
    return s->op == NET_OP_ADDR_ADD || s->op == NET_OP_ADDR_DEL || s->op == NET_OP_ROUTE_SET ||
           s->op == NET_OP_ROUTE_DEL;
}

static int to_change(struct net_apply_env *env, const struct net_step *s, struct link_change *ret) {
    bool is_route = s->op == NET_OP_ROUTE_SET || s->op == NET_OP_ROUTE_DEL;
    struct link_info info;
    int r = link_find(env->link, is_route ? s->route.dev : s->link, &info);
    if (r < 0)
        return r;
    if (!is_route) {
        *ret = (struct link_change){
            .type = s->op == NET_OP_ADDR_ADD ? LINK_ADDRESS_ADD : LINK_ADDRESS_DEL,
            .address = {.index = info.index, .ip = net_to_link_ip(&s->addr), .prefix_len = s->addr.prefix}};
        return 0;
    }
    const struct net_route *n = &s->route;
    *ret = (struct link_change){.type = s->op == NET_OP_ROUTE_SET ? LINK_ROUTE_REPLACE : LINK_ROUTE_DEL,
                                .route = {.family = n->dst.family == NET_FAMILY_IPV6 ? AF_INET6 : AF_INET,
                                          .dst_len = n->dst.prefix,
                                          .gateway = net_to_link_ip(&n->gateway),
                                          .src = net_to_link_ip(&n->src),
                                          .index = info.index,
                                          .table = n->table,
                                          .metric = n->metric,
                                          .mtu = (unsigned)n->mtu,
                                          .mtu_locked = n->mtu_lock,
                                          .advmss = (unsigned)n->advmss,
                                          .protocol = (unsigned)n->proto,
                                          .scope = n->scope_link ? 253 : 0}};
    if (n->dst.prefix > 0)
        ret->route.dst = net_to_link_ip(&n->dst);
    return 0;
}

static char *do_step(struct net_apply_env *env, const struct net_step *s) {
    const struct net_apply_hooks *h = env->hooks;
    struct error *e = NULL;
    bool ok;
    switch (s->op) {
    case NET_OP_LINK_UP:
    case NET_OP_LINK_DOWN:
        return errno_text(link_set_up(env->link, s->link, s->op == NET_OP_LINK_UP));
    case NET_OP_LINK_MTU:
        return errno_text(link_set_mtu(env->link, s->link, (unsigned)s->mtu));
    case NET_OP_SYSCTL: {
        int r =
            link_set_sysctl(env->link, s->family == NET_FAMILY_IPV6 ? AF_INET6 : AF_INET, s->link, s->key, s->value);
        return r == -ENOENT ? NULL : errno_text(r);
    }
    case NET_OP_OVS:
        return do_switch(env, s);
    case NET_OP_ADDR_ADD:
    case NET_OP_ADDR_DEL:
    case NET_OP_ROUTE_SET:
    case NET_OP_ROUTE_DEL: {
        struct link_change change;
        int r = to_change(env, s, &change);
        if (r == -ENODEV && (s->op == NET_OP_ADDR_DEL || s->op == NET_OP_ROUTE_DEL))
            return NULL; /* gone with its link */
        return errno_text(r < 0 ? r : link_batch(env->link, &change, 1, NULL));
    }
    case NET_OP_NEIGH_COPY:
        return errno_text(link_copy_neighbours(env->link, s->link, s->to_link));
    case NET_OP_GARP:
        return do_announce(env, s);
    case NET_OP_WAIT:
        return NULL;
    case NET_OP_DHCP_START:
    case NET_OP_DHCP_STOP:
        if (!h || !h->dhcp_start || !h->dhcp_stop)
            return xstrdup("nothing here can run a DHCP client");
        ok = s->op == NET_OP_DHCP_START ? h->dhcp_start(s->link, s->family, h->userdata, &e)
                                        : h->dhcp_stop(s->link, s->family, h->userdata, &e);
        return error_string(ok, e);
    case NET_OP_DNS:
        if (!h || !h->dns_write)
            return xstrdup("nothing here can write the resolver's list");
        ok = h->dns_write(s->dns, s->n_dns, h->userdata, &e);
        return error_string(ok, e);
    }
    abort();
}

/* A DHCP server may give the address that the host had. */
static bool is_kept(struct net_apply_env *env, const struct net_step *s) {
    struct net_lease lease;
    _cleanup_error_ struct error *e = NULL;
    return s->op == NET_OP_ADDR_DEL && s->unless_leased && env->lease_dir &&
           net_lease_load(env->lease_dir, s->link, s->addr.family, &lease, &e) &&
           net_addr_same_host(&lease.address, &s->addr);
}

/* Waits until all that the step promises holds. NULL, or what does not, with the place of the promise that failed. */
static char *await_expects(struct net_apply_env *env, const struct net_step *s, const struct net_expect **ret_failed) {
    uint64_t deadline = net_clock_ms() + s->timeout_ms;
    for (unsigned i = 0; i < s->n_expects; i++) {
        const struct net_expect *e = &s->expects[i];
        *ret_failed = e;
        if (e->kind == NET_EXPECT_SWITCH_DONE && env->ovs) {
            uint64_t now = net_clock_ms();
            _cleanup_error_ struct error *error = NULL;
            if (!ovs_wait_cfg(env->ovs, env->last_cfg, now < deadline ? (unsigned)(deadline - now) : 0, &error))
                return xstrdup(error_text(error));
            continue;
        }
        char *problem = NULL;
        while (!net_expect_check(env, e, &problem)) {
            if (net_clock_ms() >= deadline)
                return problem;
            free(problem);
            problem = NULL;
            struct error *error = NULL;
            bool by_switch = e->kind == NET_EXPECT_IFACE_OK || e->kind == NET_EXPECT_ACTIVE_LEG;
            if (!by_switch || !env->ovs || !ovs_wait_change(env->ovs, POLL_MS, &error))
                net_wait_ms(POLL_MS);
            error_free(error);
        }
    }
    return NULL;
}

/* Names what failed by what was read back, where the step says what it expected. */
static void add_fault(struct net_apply_env *env, const struct net_step *s, const char *problem,
                      const struct net_expect *failed, struct net_apply_result *ret) {
    struct net_fault_facts facts = {.host = env->host_name, .nic = s->link, .detail = problem, .vlan = -1};
    struct link_info info;
    if (failed && failed->name[0])
        facts.nic = failed->name;
    if (failed && failed->kind == NET_EXPECT_MTU) {
        facts.size_wanted = failed->value;
        facts.size_passes = link_find(env->link, failed->name, &info) == 0 ? (int)info.mtu : 0;
    } else if (s->op == NET_OP_LINK_MTU) {
        facts.size_wanted = s->mtu;
        facts.size_passes = link_find(env->link, s->link, &info) == 0 ? (int)info.mtu : 0;
    }
    net_problems_add(&ret->problems, s->fail_code ? s->fail_code : NET_FAULT_STEP_FAILED, &facts);
}

/* Ends a step: notes a failure as the plan says. False when the plan stops here. */
static bool end_step(struct net_apply_env *env, const struct net_step *s, uint64_t started_ms, char *problem,
                     const struct net_expect *failed, struct net_apply_result *ret, struct error **errp) {
    _cleanup_free_ char *owned _unused_ = problem;
    if (env->hooks && env->hooks->report)
        env->hooks->report(s, (unsigned)(net_clock_ms() - started_ms), problem, env->hooks->userdata);
    if (problem && s->on_fail == NET_FAIL_STOP) {
        _cleanup_free_ char *text = net_step_text(s);
        error_set(errp, ERR_NET_STEP_FAILED, text, problem, NULL);
        return false;
    }
    if (problem && s->on_fail == NET_FAIL_FAULT)
        add_fault(env, s, problem, failed, ret);
    ret->n_done++;
    return true;
}

/* Steps [from, to) in one message to the kernel; then what each of them promises. */
static bool do_batch(struct net_apply_env *env, const struct net_plan *plan, size_t from, size_t to,
                     struct net_apply_result *ret, struct error **errp) {
    uint64_t started_ms = net_clock_ms();
    struct link_change changes[MAX_LINK_CHANGES];
    size_t n = 0, failed = 0;
    int r = 0;
    for (size_t i = from; r == 0 && i < to; i++) {
        failed = i - from;
        r = to_change(env, &plan->steps[i], &changes[n++]);
    }
    if (r == 0)
        r = link_batch(env->link, changes, n, &failed);
    for (size_t i = from; i < to; i++) {
        char *problem = r < 0 && i - from == failed ? errno_text(r) : NULL;
        const struct net_expect *unmet = NULL;
        if (!problem)
            problem = await_expects(env, &plan->steps[i], &unmet);
        if (!end_step(env, &plan->steps[i], started_ms, problem, unmet, ret, errp))
            return false;
    }
    return true;
}

bool net_apply(struct net_apply_env *env, const struct net_plan *plan, unsigned phases, struct net_apply_result *ret,
               struct error **errp) {
    *ret = (struct net_apply_result){0};
    uint64_t started_ms = net_clock_ms();
    bool ok = true;
    for (size_t i = 0; ok && i < plan->n_steps;) {
        const struct net_step *s = &plan->steps[i];
        size_t end = i + 1;
        if (!(phases & (1u << s->phase))) {
            i = end;
            continue;
        }
        while (s->batch && is_batchable(s) && end < plan->n_steps && plan->steps[end].batch == s->batch &&
               is_batchable(&plan->steps[end]) && end - i < MAX_LINK_CHANGES)
            end++;
        if (end - i > 1)
            ok = do_batch(env, plan, i, end, ret, errp);
        else {
            uint64_t step_ms = net_clock_ms();
            const struct net_expect *unmet = NULL;
            bool kept = is_kept(env, s);
            char *problem = kept ? NULL : do_step(env, s);
            if (!problem && !kept)
                problem = await_expects(env, s, &unmet);
            ok = end_step(env, s, step_ms, problem, unmet, ret, errp);
        }
        i = end;
    }
    ret->took_ms = (unsigned)(net_clock_ms() - started_ms);
    return ok;
}
