/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/network_calls.h"

#include "base/str.h"
#include "daemon/local_repair.h"
#include "daemon/network_history.h"
#include "model/model.h"

#define LEASE_MAX_MS 120000
#define PROVE_MAX_MS 20000

static void refuse(struct pool_reply *reply, const char *text) {
    struct error *e = NULL;
    error_set(&e, ERR_OPERATION_NOT_ALLOWED, text, NULL);
    pool_reply_fail(reply, e);
}

static const char *text_of(const struct value *args, const char *key) {
    return str_or_empty(value_map_str(args, key));
}

static uint64_t ms_of(const struct value *args, const char *key, uint64_t most) {
    const struct value *v = value_map_get(args, key);
    int64_t ms = v ? value_as_int(v) : 0;
    return ms <= 0 ? 0 : MIN((uint64_t)ms, most);
}

static bool flag_of(const struct value *args, const char *key) {
    const struct value *v = value_map_get(args, key);
    return v && value_as_bool(v);
}

/* ---- plan ---- */

static void on_planned(const struct net_agent_plan *p, const struct error *e, void *userdata) {
    struct pool_reply *reply = userdata;
    if (!p) {
        pool_reply_fail(reply, error_dup(e));
        return;
    }
    struct value result = value_map(), problems = value_set();
    for (size_t i = 0; i < p->problems.n; i++)
        value_set_add(&problems, value_string_take(net_problem_line(&p->problems.items[i])));
    value_map_add(&result, "plan", value_string(p->text));
    value_map_add(&result, "diff", value_string(p->diff));
    value_map_add(&result, "steps", value_int((int64_t)p->n_steps));
    value_map_add(&result, "management", value_bool(p->touches_management));
    value_map_add(&result, "problems", problems);
    pool_reply_return(reply, result);
}

static void serve_plan(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    const char *text = text_of(args, "config");
    struct error *e = NULL;
    _cleanup_net_config_ struct net_config *c = net_config_from_json(text, strlen(text), &e);
    if (c)
        net_agent_plan(netglue_agent(n->netglue), c, on_planned, reply);
    else
        pool_reply_fail(reply, e);
}

/* ---- trying ---- */

static void on_lifted(const char *problem, void *userdata) {
    struct pool_reply *reply = userdata;
    if (problem)
        refuse(reply, problem);
    else
        pool_reply_return(reply, value_bool(true));
}

static void serve_lift(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    const struct value *legs = value_map_get(args, "legs");
    struct net_lift lifts[NET_MAX_NICS];
    unsigned n_lifts = 0;
    for (size_t i = 0; legs && legs->type == VALUE_MAP && i < legs->map.n && n_lifts < NET_MAX_NICS; i++) {
        int64_t mtu = value_as_int(&legs->map.pairs[i].value);
        if (mtu >= NET_MTU_MIN && mtu <= NET_MTU_MAX && net_name_set(lifts[n_lifts].leg, legs->map.pairs[i].key))
            lifts[n_lifts++].mtu = (int)mtu;
    }
    net_agent_lift(netglue_agent(n->netglue), text_of(args, "id"), lifts, n_lifts,
                   ms_of(args, "lease_ms", LEASE_MAX_MS), on_lifted, reply);
}

static void on_measured(const struct value *table, const char *problem, void *userdata) {
    struct pool_reply *reply = userdata;
    if (problem)
        refuse(reply, problem);
    else
        pool_reply_return(reply, value_copy(table));
}

static void serve_prove(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    const struct value *paths = value_map_get(args, "paths");
    if (paths)
        probing_ahead_start(n->aheads, text_of(args, "id"), paths, ms_of(args, "deadline_ms", PROVE_MAX_MS),
                            ms_of(args, "lease_ms", LEASE_MAX_MS), on_measured, reply);
    else
        refuse(reply, "no paths were named");
}

static void serve_renew(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    uint64_t lease_ms = ms_of(args, "lease_ms", LEASE_MAX_MS);
    net_agent_lift_renew(netglue_agent(n->netglue), text_of(args, "id"), lease_ms);
    probing_ahead_renew(n->aheads, text_of(args, "id"), lease_ms);
    pool_reply_return(reply, value_bool(true));
}

static void serve_lower(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    net_agent_lower(netglue_agent(n->netglue), text_of(args, "id"));
    probing_ahead_end(n->aheads, text_of(args, "id"));
    pool_reply_return(reply, value_bool(true));
}

/* ---- the change itself ---- */

static void serve_stage(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    const struct value *probes = value_map_get(args, "probes");
    net_agent_stage(netglue_agent(n->netglue), text_of(args, "hash"), ms_of(args, "checkpoint_ms", 3600000),
                    flag_of(args, "person"));
    netglue_stage(n->netglue, text_of(args, "hash"), ms_of(args, "gate_ms", 3600000),
                  probes && probes->type == VALUE_SET ? probes : NULL);
    pool_reply_return(reply, value_bool(true));
}

static void serve_go(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    netglue_go(n->netglue, text_of(args, "hash"));
    pool_reply_return(reply, value_bool(true));
}

static void serve_keep(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    if (net_agent_keep(netglue_agent(n->netglue), text_of(args, "hash")))
        pool_reply_return(reply, value_bool(true));
    else
        refuse(reply, "no such change waits for a confirmation on this host");
}

static void serve_revert(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    pool_reply_return(
        reply, value_bool(net_agent_revert(netglue_agent(n->netglue), text_of(args, "hash"), text_of(args, "why"))));
}

static void serve_before(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    struct error *e = NULL;
    char *text = local_repair_before(netglue_repair(n->netglue), &e);
    if (text)
        pool_reply_return(reply, value_string_take(text));
    else
        pool_reply_fail(reply, e);
}

static void serve_note(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct network_calls *n = userdata;
    const struct value *entry = value_map_get(args, "entry");
    if (entry)
        network_history_add(n->history, value_copy(entry));
    pool_reply_return(reply, value_bool(entry != NULL));
}

void network_calls_serve(struct network_calls *n, struct pool_channel *channel) {
    static const struct {
        const char *name;
        pool_serve_fn *fn;
    } calls[] = {{"net_plan", serve_plan},     {"net_lift", serve_lift},     {"net_prove", serve_prove},
                 {"net_lower", serve_lower},   {"net_stage", serve_stage},   {"net_go", serve_go},
                 {"net_keep", serve_keep},     {"net_revert", serve_revert}, {"net_note", serve_note},
                 {"net_before", serve_before}, {"net_renew", serve_renew}};
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
        pool_channel_serve(channel, calls[i].name, calls[i].fn, n);
}
