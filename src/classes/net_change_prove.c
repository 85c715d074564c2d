/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a change: what it would be is computed on a fork, each host plans against what it has, and the paths that are
 * new or larger are measured. Nothing is changed for that but that legs carry more for a moment.
 */
#include "classes/net_change_private.h"

#include "base/str.h"
#include "net/net_wanted.h"

#define PLAN_MS 10000
#define LIFT_MS 15000
#define MEASURE_MS 6000 /* a clean path takes milliseconds, a limited one about two seconds */
#define ANSWER_MS 3000
#define DOUBT_MS 1500
#define MAX_DOUBTS 1
#define MAX_DOUBTS_NEW 2 /* with a host that has just joined or booted, which answers on every leg a moment later */
/*
 * Of lifted legs, renewed for as long as the change goes on: a coordinator that dies leaves them up that long, and no
 * longer, even when nobody takes the change up.
 */
#define LEASE_MS 10000
#define RENEW_MS 3000
#define MAX_CHECKPOINT_S 3600

static const char *name_of(const struct net_change *ch, const struct uuid *host) {
    const struct row *r = db_get(api_db(ch->api), CLASS_host, host);
    return r ? row_str(r, FIELD_host_name_label) : "?";
}

static void add_fault(struct net_change *ch, char *line /* taken */) {
    char *all = str_empty(ch->faults) ? xstrdup(line) : strf("%s\n%s", ch->faults, line);
    free(line);
    free(ch->faults);
    ch->faults = all;
}

static void add_failure(struct net_change *ch, const struct uuid *host, struct error *e, const char *what) {
    struct error *copy = error_dup(e);
    add_fault(ch, strf("host '%s' %s: %s", name_of(ch, host), what, error_text(copy)));
    error_free(copy);
}

static void lowered_and_over(struct net_change *ch) {
    net_change_end(ch);
}

static void end_lowered(struct net_change *ch) {
    net_change_lower(ch);
    net_change_await(ch, lowered_and_over);
}

/* What is known to be wrong ends the change here, unless it is forced. */
static bool must_stop(struct net_change *ch) {
    if (str_empty(ch->faults) || ch->options.force)
        return false;
    if (ch->options.dry_run) {
        net_change_report(ch, "refused", ch->faults);
        return false;
    }
    error_free(ch->failure);
    ch->failure = NULL;
    error_set(&ch->failure, ERR_NETWORK_CHANGE_REFUSED, "", ch->faults, NULL);
    net_change_note(ch, "refused");
    end_lowered(ch);
    return true;
}

/* ---- staging ---- */

static void on_staged(struct net_change *ch, size_t i, struct error *error, const struct value *result) {
    /* Told or not: a host that was not told takes the change as any other, at once and with the usual checkpoint. */
    bool matters = ch->options.person || ch->options.probes.type == VALUE_SET;
    if (error && matters)
        add_failure(ch, &ch->hosts[i].host, error, "was not told how the change is to be tried");
}

static void staged(struct net_change *ch) {
    if (!must_stop(ch))
        net_change_write(ch);
}

static void stage(struct net_change *ch) {
    unsigned n = 0;
    uint64_t checkpoint_ms = (uint64_t)ch->options.seconds * 1000;
    uint64_t each_ms = (checkpoint_ms ? checkpoint_ms : NET_CHANGE_CHECKPOINT_MS) + NET_CHANGE_MARGIN_MS;
    net_change_report(ch, "faults", str_or_empty(ch->faults));
    if (ch->options.dry_run) {
        end_lowered(ch);
        return;
    }
    for (size_t i = 0; i < ch->n_hosts; i++)
        n += ch->hosts[i].is_concerned && !ch->hosts[i].is_ignored;
    for (size_t i = 0; i < ch->n_hosts; i++) {
        struct awaited *w = &ch->hosts[i];
        if (!w->is_concerned || w->is_ignored)
            continue;
        struct value args = value_map();
        w->is_gated = ch->one_by_one;
        value_map_add(&args, "hash", value_string(w->hash));
        value_map_add(&args, "checkpoint_ms", value_int((int64_t)checkpoint_ms));
        value_map_add(&args, "person", value_bool(ch->options.person));
        value_map_add(&args, "gate_ms", value_int(ch->one_by_one ? (int64_t)(each_ms * n) : 0));
        if (ch->options.probes.type == VALUE_SET)
            value_map_add(&args, "probes", value_copy(&ch->options.probes));
        net_change_ask(ch, &w->host, i, "net_stage", args, ANSWER_MS, on_staged);
    }
    net_change_await(ch, staged);
}

/* ---- measuring ---- */

static void lifted(struct net_change *ch);

static void on_measured(struct net_change *ch, size_t i, struct error *error, const struct value *result) {
    const struct measuring *m = &ch->measuring[i];
    char uuid[UUID_TEXT_SIZE];
    if (error)
        add_failure(ch, &m->host, error, "could not measure the paths of this change");
    else
        value_map_put(&ch->tables, uuid_text(&m->host, uuid), value_copy(result));
}

static void measure_again(struct loop_source *s, void *userdata) {
    struct net_change *ch = userdata;
    loop_source_free(TAKE(ch->deadline));
    value_done(&ch->tables);
    ch->tables = value_map();
    lifted(ch);
}

static bool has_new_host(const struct net_change *ch) {
    const struct api_hooks *h = api_hooks(ch->api);
    bool is_new = false;
    for (size_t i = 0; i < ch->n_measuring && h->host_is_new; i++)
        is_new |= h->host_is_new(h->userdata, &ch->measuring[i].host);
    return is_new;
}

/* What is bad is believed when it stays so. */
static bool doubt(struct net_change *ch) {
    if (ch->n_doubted >= (has_new_host(ch) ? MAX_DOUBTS_NEW : MAX_DOUBTS))
        return false;
    ch->n_doubted++;
    ch->deadline = loop_add_timer(api_loop(ch->api), DOUBT_MS, measure_again, ch);
    return true;
}

static void measured(struct net_change *ch) {
    const struct api_hooks *h = api_hooks(ch->api);
    size_t n = 0;
    for (size_t i = 0; i < ch->tables.map.n; i++)
        n += ch->tables.map.pairs[i].value.map.n;
    if (ch->tables.map.n) {
        _cleanup_value_ struct value bad = h->network_verdict(h->userdata, ch->fork, &ch->tables);
        if (bad.set.n && doubt(ch))
            return;
        for (size_t i = 0; i < bad.set.n; i++)
            add_fault(ch, xstrdup(value_str(&bad.set.items[i])));
    }
    _cleanup_free_ char *proof =
        strf("%zu paths were measured; %s", n,
             str_empty(ch->faults) ? "all pass what is wanted" : "not all pass what is wanted");
    net_change_report(ch, "proof", proof);
    if (!must_stop(ch))
        stage(ch);
}

static void on_lifted(struct net_change *ch, size_t i, struct error *error, const struct value *result) {
    if (error)
        add_failure(ch, &ch->measuring[i].host, error, "could not raise its legs for the measurement");
}

static void lifted(struct net_change *ch) {
    if (must_stop(ch))
        return;
    for (size_t i = 0; i < ch->n_measuring; i++) {
        struct value args = value_map();
        value_map_add(&args, "id", value_string(ch->id));
        value_map_add(&args, "paths", value_copy(&ch->measuring[i].paths));
        value_map_add(&args, "deadline_ms", value_int(MEASURE_MS));
        value_map_add(&args, "lease_ms", value_int(LEASE_MS));
        net_change_ask(ch, &ch->measuring[i].host, i, "net_prove", args, MEASURE_MS + ANSWER_MS, on_measured);
    }
    net_change_await(ch, measured);
}

static void find_paths(struct net_change *ch) {
    const struct api_hooks *h = api_hooks(ch->api);
    struct db *d = api_db(ch->api);
    for (const struct row *r = db_first(d, CLASS_host); r && h->network_paths; r = db_next(d, r)) {
        if (!api_host_is_live(ch->api, &r->uuid))
            continue;
        struct value paths = h->network_paths(h->userdata, ch->fork, &r->uuid);
        if (paths.type != VALUE_MAP)
            continue;
        ch->measuring = xrealloc_array(ch->measuring, ch->n_measuring + 1, sizeof(*ch->measuring));
        ch->measuring[ch->n_measuring++] = (struct measuring){.host = r->uuid, .paths = paths};
    }
}

static void on_renewed(struct error *error, const struct value *result, void *data) {
    /* A host that does not hear it lowers its legs by itself. */
}

static void renew(struct loop_source *s, void *userdata) {
    struct net_change *ch = userdata;
    const struct api_hooks *h = api_hooks(ch->api);
    loop_timer_set(s, RENEW_MS);
    for (size_t i = 0; i < ch->n_measuring; i++) {
        struct value args = value_map();
        value_map_add(&args, "id", value_string(ch->id));
        value_map_add(&args, "lease_ms", value_int(LEASE_MS));
        /* Beside the questions of the change: its steps do not wait for these answers. */
        h->network_ask(h->userdata, &ch->measuring[i].host, "net_renew", args, ANSWER_MS, on_renewed, NULL);
    }
}

static void hold_lifted(struct net_change *ch) {
    ch->is_lifted = true;
    ch->renewal = loop_add_timer(api_loop(ch->api), RENEW_MS, renew, ch);
}

void net_change_keep_lifted(struct net_change *ch) {
    struct db *d = api_db(ch->api);
    if (!net_change_can_ask(ch))
        return;
    ch->measuring = xcalloc(db_count(d, CLASS_host) + 1, sizeof(*ch->measuring));
    for (const struct row *r = db_first(d, CLASS_host); r; r = db_next(d, r))
        ch->measuring[ch->n_measuring++] = (struct measuring){.host = r->uuid};
    hold_lifted(ch);
    renew(ch->renewal, ch);
}

static void measure(struct net_change *ch) {
    find_paths(ch);
    if (!ch->n_measuring) {
        net_change_report(ch, "proof", "no path is new or larger than what is proven now");
        stage(ch);
        return;
    }
    if (ch->options.dry_run && !ch->options.prove) {
        _cleanup_free_ char *text = strf("%zu hosts would measure every path that is new or larger before anything is "
                                         "changed (now: --dry-run prove=true)",
                                         ch->n_measuring);
        net_change_report(ch, "proof", text);
        stage(ch);
        return;
    }
    hold_lifted(ch);
    for (size_t i = 0; i < ch->n_measuring; i++) {
        struct value args = value_map();
        value_map_add(&args, "id", value_string(ch->id));
        value_map_add(&args, "legs", value_copy(value_map_get(&ch->measuring[i].paths, "raise")));
        value_map_add(&args, "lease_ms", value_int(LEASE_MS));
        net_change_ask(ch, &ch->measuring[i].host, i, "net_lift", args, LIFT_MS, on_lifted);
    }
    net_change_await(ch, lifted);
}

void net_change_lower(struct net_change *ch) {
    for (size_t i = 0; ch->is_lifted && i < ch->n_measuring; i++) {
        struct value args = value_map();
        value_map_add(&args, "id", value_string(ch->id));
        net_change_ask(ch, &ch->measuring[i].host, i, "net_lower", args, ANSWER_MS, NULL);
    }
    ch->is_lifted = false;
    loop_source_free(TAKE(ch->renewal));
}

/* ---- planning ---- */

static void on_planned(struct net_change *ch, size_t i, struct error *error, const struct value *result) {
    struct awaited *w = &ch->hosts[i];
    if (error) {
        add_failure(ch, &w->host, error, "cannot plan this change");
        return;
    }
    w->plan = value_copy(result);
    const struct value *problems = value_map_get(&w->plan, "problems"),
                       *management = value_map_get(&w->plan, "management");
    w->touches_management = management && value_as_bool(management);
    for (size_t k = 0; problems && problems->type == VALUE_SET && k < problems->set.n; k++)
        add_fault(ch, xstrdup(value_str(&problems->set.items[k])));
}

static void add_plan(struct net_change *ch, struct buf *b, const struct awaited *w) {
    const char *texts[] = {"diff", "plan"};
    buf_addf(b, "host %s\n", name_of(ch, &w->host));
    if (w->is_ignored)
        buf_add_str(b, "  is not live: it will do its part when it is back\n");
    for (size_t i = 0; i < ARRAY_SIZE(texts) && w->plan.type == VALUE_MAP; i++) {
        _cleanup_strv_ struct strv lines = {0};
        strv_split(&lines, str_or_empty(value_map_str(&w->plan, texts[i])), '\n');
        for (size_t k = 0; k < lines.n; k++)
            if (*lines.items[k])
                buf_addf(b, "  %s\n", lines.items[k]);
    }
}

static void report_plans(struct net_change *ch) {
    _cleanup_buf_ struct buf b = BUF_INIT;
    for (size_t i = 0; i < ch->n_hosts; i++)
        if (ch->hosts[i].is_concerned)
            add_plan(ch, &b, &ch->hosts[i]);
    net_change_report(ch, "plan", buf_str(&b));
    net_change_report(ch, "order",
                      ch->one_by_one ? "one host after another, the coordinator last" : "all hosts at once");
}

static void planned(struct net_change *ch) {
    size_t n = 0;
    for (size_t i = 0; i < ch->n_hosts; i++)
        n += ch->hosts[i].is_concerned && !ch->hosts[i].is_ignored && ch->hosts[i].touches_management;
    ch->one_by_one = n > 1 && !ch->all_at_once && !ch->options.person;
    report_plans(ch);
    if (!must_stop(ch))
        measure(ch);
}

/* False with ch->failure. */
static bool compute(struct net_change *ch, struct awaited *w) {
    char now[HASH_TEXT_SIZE] = "";
    struct error *ignored = NULL;
    _cleanup_net_config_ struct net_config *c = net_wanted(ch->fork, &w->host, &ch->failure);
    if (!c)
        return false;
    net_config_hash(c, w->hash);
    w->config = net_config_to_json(c);
    w->is_concerned = !net_change_hash_of_rows(api_db(ch->api), &w->host, now, &ignored) || !str_eq(now, w->hash);
    error_free(ignored);
    return true;
}

/* The pool's own habits, where the call says nothing. */
static void take_defaults(struct net_change *ch) {
    const struct row *pool = db_pool(api_db(ch->api));
    const struct value *config = pool ? row_value(pool, FIELD_pool_other_config) : NULL;
    const char *seconds = config ? value_map_str(config, "network-change-timeout") : NULL,
               *probes = config ? value_map_str(config, "network-change-probes") : NULL;
    int64_t n;
    if (!ch->options.seconds && seconds && str_parse_int(seconds, 10, MAX_CHECKPOINT_S, &n))
        ch->options.seconds = n;
    if (ch->options.probes.type == VALUE_SET || str_empty(probes))
        return;
    _cleanup_strv_ struct strv list = {0};
    ch->options.probes = value_set();
    strv_split(&list, probes, ',');
    for (size_t i = 0; i < list.n; i++)
        if (*list.items[i])
            value_set_add(&ch->options.probes, value_string(list.items[i]));
}

void net_change_try(struct net_change *ch) {
    bool is_asked = false;
    take_defaults(ch);
    ch->fork = net_ops_fork(api_db(ch->api), &ch->ops);
    for (size_t i = 0; i < ch->n_hosts; i++)
        if (!compute(ch, &ch->hosts[i])) { /* the rows would contradict themselves: no host would try them */
            net_change_note(ch, "refused");
            net_change_end(ch);
            return;
        }
    for (size_t i = 0; i < ch->n_hosts && net_change_can_ask(ch); i++) {
        struct awaited *w = &ch->hosts[i];
        if (!w->is_concerned || w->is_ignored)
            continue;
        struct value args = value_map();
        value_map_add(&args, "config", value_string(w->config));
        net_change_ask(ch, &w->host, i, "net_plan", args, PLAN_MS, on_planned);
        is_asked = true;
    }
    if (is_asked) {
        net_change_await(ch, planned);
    } else if (ch->options.dry_run) {
        report_plans(ch);
        net_change_report(ch, "proof", "nothing changes on any host that is live");
        net_change_end(ch);
    } else {
        net_change_write(ch);
    }
}
