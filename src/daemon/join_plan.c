/* SPDX-License-Identifier: Apache-2.0 */
/* The half of the host that would join. */
#include "daemon/join_plan.h"

#include <string.h>

#include "base/str.h"
#include "daemon/netglue.h"
#include "daemon/probing_ahead.h"
#include "wire/value_json.h"

#define LEASE_MS 30000
#define MEASURE_MS 6000 /* a clean path takes milliseconds, a limited one about two seconds */
#define ID "join"       /* of the lifted legs and the measurement: one plan at a time holds them */

struct plan {
    struct daemon *d;
    char *address, *user, *password, *fingerprint;
    bool force, prove;
    struct value answer; /* of the coordinator: pool, problems, config, paths, faults */
    struct value report;
    struct buf refused;
    api_query_done_fn *done;
    void *data;
};

static void end(struct plan *p, const struct error *error) {
    struct error *e = error ? error_dup(error) : NULL;
    net_agent_lower(netglue_agent(p->d->netglue), ID);
    probing_ahead_end(p->d->network_calls.aheads, ID);
    if (!e)
        value_map_put(&p->report, "refused", value_string(buf_str(&p->refused)));
    p->done(e, e ? NULL : &p->report, p->data);
    error_free(e);
    free(p->address);
    free(p->user);
    explicit_bzero(p->password, strlen(p->password));
    free(p->password);
    free(p->fingerprint);
    value_done(&p->answer);
    value_done(&p->report);
    buf_done(&p->refused);
    free(p);
}

static void ask(struct plan *p, const char *table, pool_admitted_fn *fn) {
    struct pool_join_request r = {.address = p->address,
                                  .user = p->user,
                                  .password = p->password,
                                  .fingerprint = p->fingerprint,
                                  .force = p->force};
    pool_look_at(p->d->pool, &r, table, fn, p);
}

static void add_lines(struct buf *b, const struct value *set) {
    for (size_t i = 0; set && set->type == VALUE_SET && i < set->set.n; i++)
        if (set->set.items[i].type == VALUE_STRING)
            buf_addf(b, "%s\n", value_str(&set->set.items[i]));
}

/* ---- the paths ---- */

static void not_measured(struct plan *p, const char *why) {
    _cleanup_free_ char *text = strf("the paths to the pool could not be measured: %s", why);
    value_map_put(&p->report, "proof", value_string(text));
    end(p, NULL);
}

static void on_judged(const struct error *error, const struct value *result, void *userdata) {
    struct plan *p = userdata;
    _cleanup_error_ struct error *e = error ? error_dup(error) : NULL;
    const struct value *faults = e ? NULL : value_map_get(result, "faults"),
                       *n = e ? NULL : value_map_get(result, "measured");
    if (e) {
        not_measured(p, error_text(e));
        return;
    }
    _cleanup_buf_ struct buf lines = BUF_INIT;
    add_lines(&lines, faults);
    _cleanup_free_ char *proof =
        strf("%lld paths were measured; %s", n && n->type == VALUE_INT ? (long long)value_as_int(n) : 0,
             lines.size ? "not all pass what is wanted" : "all pass what is wanted");
    value_map_put(&p->report, "proof", value_string(proof));
    value_map_put(&p->report, "limited", value_string(buf_str(&lines)));
    end(p, NULL);
}

static void on_measured(const struct value *table, const char *problem, void *userdata) {
    struct plan *p = userdata;
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (problem) {
        not_measured(p, problem);
        return;
    }
    value_json_emit(&text, table);
    ask(p, buf_str(&text), on_judged);
}

static void measure(struct plan *p) {
    probing_ahead_start(p->d->network_calls.aheads, ID, value_map_get(&p->answer, "paths"), MEASURE_MS, LEASE_MS,
                        on_measured, p);
}

static void on_lifted(const char *problem, void *userdata) {
    struct plan *p = userdata;
    if (problem)
        not_measured(p, problem);
    else
        measure(p);
}

static void prove(struct plan *p) {
    const struct value *paths = value_map_get(&p->answer, "paths"),
                       *raise = paths && paths->type == VALUE_MAP ? value_map_get(paths, "raise") : NULL;
    struct net_lift lifts[NET_MAX_NICS];
    unsigned n = 0;
    if (!raise || raise->type != VALUE_MAP) {
        value_map_put(&p->report, "proof", value_string("no leg of this host would meet one of the pool's hosts"));
        end(p, NULL);
        return;
    }
    if (!p->prove) {
        value_map_put(&p->report, "proof",
                      value_string("every path to the hosts of the pool would be measured before the join (now: "
                                   "--dry-run --prove)"));
        end(p, NULL);
        return;
    }
    for (size_t i = 0; i < raise->map.n && n < NET_MAX_NICS; i++) {
        int64_t mtu = value_as_int(&raise->map.pairs[i].value);
        if (mtu >= NET_MTU_MIN && mtu <= NET_MTU_MAX && net_name_set(lifts[n].leg, raise->map.pairs[i].key))
            lifts[n++].mtu = (int)mtu;
    }
    net_agent_lift(netglue_agent(p->d->netglue), ID, lifts, n, LEASE_MS, on_lifted, p);
}

/* ---- the plan ---- */

static void on_planned(const struct net_agent_plan *n, const struct error *error, void *userdata) {
    struct plan *p = userdata;
    if (!n) {
        end(p, error);
        return;
    }
    value_map_put(&p->report, "changes",
                  value_string(*n->diff ? n->diff : "nothing: this host's network fits the pool as it is"));
    value_map_put(&p->report, "plan", value_string(n->text));
    for (size_t i = 0; i < n->problems.n; i++) {
        _cleanup_free_ char *line = net_problem_line(&n->problems.items[i]);
        buf_addf(&p->refused, "%s\n", line);
    }
    prove(p);
}

/* Networks of the same name are others in that pool; that goes without saying. */
static void keep_network_names(struct net_config *c, const struct net_config *good) {
    for (unsigned i = 0; good && i < c->n_bridges; i++)
        for (unsigned k = 0; k < good->n_bridges; k++)
            if (str_eq(c->bridges[i].name, good->bridges[k].name))
                memcpy(c->bridges[i].network_uuid, good->bridges[k].network_uuid, sizeof(c->bridges[i].network_uuid));
}

static void on_looked(const struct error *error, const struct value *result, void *userdata) {
    struct plan *p = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (error) {
        end(p, error);
        return;
    }
    p->answer = value_copy(result);
    value_map_put(&p->report, "pool", value_string(str_or_empty(value_map_str(result, "pool"))));
    add_lines(&p->refused, value_map_get(result, "problems"));
    const char *text = value_map_str(result, "config");
    if (!text) { /* the rows would make no sense: that is among the problems */
        end(p, NULL);
        return;
    }
    _cleanup_net_config_ struct net_config *c = net_config_from_json(text, strlen(text), &e);
    if (!c) {
        end(p, e);
        return;
    }
    struct net_agent_state s;
    net_agent_state(netglue_agent(p->d->netglue), &s);
    keep_network_names(c, s.good);
    net_agent_plan(netglue_agent(p->d->netglue), c, on_planned, p);
}

void join_plan_start(struct daemon *d, const struct api_join_args *args, api_query_done_fn *done, void *data) {
    struct plan *p = xnew0(struct plan);
    *p = (struct plan){.d = d,
                       .address = xstrdup(args->address),
                       .user = xstrdup(args->user),
                       .password = xstrdup(args->password),
                       .fingerprint = xstrdup(args->fingerprint),
                       .force = args->force,
                       .prove = args->prove,
                       .answer = {.type = VALUE_VOID},
                       .report = value_map(),
                       .refused = BUF_INIT,
                       .done = done,
                       .data = data};
    ask(p, "", on_looked);
}
