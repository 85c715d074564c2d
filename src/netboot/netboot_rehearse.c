/* SPDX-License-Identifier: Apache-2.0 */
/* `rehearse`: the next boot, from the disk, before it happens. Changes nothing of the host. */
#define LOG_MODULE "netboot"
#include "netboot/netboot_rehearse.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_apply_os.h"

struct rehearsed {
    const char *source; /* as in the report of a boot; "none" */
    bool is_pending;
    struct netboot_trigger trigger;
    char *config_error; /* good.json cannot be used */
    struct net_config *config;
    struct net_problems problems;
    struct net_differences differences;
    bool has_scratch;
    struct netboot_scratch scratch;
    unsigned took_ms;
};

static void done(struct rehearsed *r) {
    netboot_trigger_done(&r->trigger);
    free(r->config_error);
    net_config_free(r->config);
    net_problems_done(&r->problems);
    net_differences_done(&r->differences);
    netboot_scratch_done(&r->scratch);
}

/* The configuration that `boot` would take; nothing is written. */
static bool choose(struct netboot *n, struct rehearsed *r, struct error **errp) {
    struct net_pending pending = {0};
    r->source = "none";
    r->is_pending = net_store_get_pending(n->net_dir, &pending);
    if (r->is_pending && pending.previous) {
        r->source = "rolled back";
        r->config = TAKE(pending.previous);
        net_pending_done(&pending);
        return true;
    }
    net_pending_done(&pending);
    enum net_store_source source;
    struct net_problems damage = {0};
    r->config = net_store_load(n->net_dir, &source, &damage, errp);
    if (r->config)
        r->source = source == NET_STORE_GOOD ? "good" : "previous";
    if (damage.n)
        r->config_error = xstrdup(damage.items[0].text);
    net_problems_done(&damage);
    return r->config != NULL;
}

/* The model says what must come of it, the scratch namespace what did. */
static void compare_scratch(struct rehearsed *r, const struct net_observed *then) {
    struct net_differences found = {0};
    if (!r->scratch.observed || r->scratch.failure)
        return;
    net_rehearse_compare(r->config, r->scratch.observed, then, &found);
    for (size_t i = 0; i < found.n; i++)
        if (!found.items[i].is_less && found.items[i].is_management && !r->scratch.failure)
            r->scratch.failure = strf("in a namespace of its own: %s", found.items[i].text);
    net_differences_done(&found);
}

static bool rehearse(struct netboot *n, bool scratch, struct rehearsed *r, struct error **errp) {
    if (!netboot_open(n, /* need_switch= */ false, errp))
        return false;
    netboot_foresee_trigger(n, &r->trigger);
    _cleanup_net_observed_ struct net_observed *is = netboot_observe(n, errp);
    if (!is || !choose(n, r, errp))
        return false;
    struct net_rehearsal model;
    if (!net_rehearse(r->config, is, &model, errp))
        return false;
    r->problems = model.problems;
    model.problems = (struct net_problems){0};
    net_rehearse_compare(r->config, is, model.then, &r->differences);
    r->has_scratch = scratch;
    if (scratch) {
        netboot_scratch_run(n, r->config, is, &r->scratch);
        compare_scratch(r, model.then);
    }
    net_rehearsal_done(&model);
    return true;
}

/* ---- saying it ---- */

static json_t *text_of(const char *s) {
    json_t *t = json_string(str_or_empty(s));
    return t ? t : json_string("(not UTF-8)");
}

static bool is_management_nic(const struct net_config *c, const char *nic, const char *bridge) {
    const struct net_bridge *m = net_config_management(c), *base = m ? net_config_base(c, m) : NULL;
    if (!m)
        return false;
    if (str_eq(bridge, m->name) || (base && str_eq(bridge, base->name)))
        return true;
    for (unsigned i = 0; base && i < base->n_legs; i++)
        if (str_eq(base->legs[i], nic))
            return true;
    return !*nic && !*bridge;
}

static json_t *to_json(const struct rehearsed *r, const char *failed) {
    char hash[NET_HASH_TEXT_SIZE] = "", code[NET_FAULT_CODE_SIZE];
    if (r->config)
        net_config_hash(r->config, hash);
    json_t *problems = json_array(), *differences = json_array(), *scratch = json_object();
    for (size_t i = 0; i < r->problems.n; i++) {
        const struct net_problem *p = &r->problems.items[i];
        json_array_append_new(problems, json_pack("{ss ss ss sb so so}", "code", net_fault_code_text(p->code, code),
                                                  "nic", p->nic, "bridge", p->bridge, "management",
                                                  is_management_nic(r->config, p->nic, p->bridge), "text",
                                                  text_of(p->text), "cure", text_of(p->cure)));
    }
    for (size_t i = 0; i < r->differences.n; i++) {
        const struct net_difference *d = &r->differences.items[i];
        json_array_append_new(differences, json_pack("{ss sb sb so}", "name", d->name, "management", d->is_management,
                                                     "less", d->is_less, "text", text_of(d->text)));
    }
    json_object_set_new(scratch, "ran", json_boolean(r->has_scratch && !r->scratch.error));
    json_object_set_new(scratch, "error", text_of(r->scratch.error));
    json_object_set_new(scratch, "failure", text_of(r->scratch.failure));
    json_object_set_new(scratch, "took_ms", json_integer(r->scratch.took_ms));
    json_t *reset = json_pack("{so so so}", "path", text_of(r->trigger.path), "words", text_of(r->trigger.words),
                              "problem", text_of(r->trigger.problem));
    return json_pack("{so so so ss sb so si so so so si}", "reset", reset, "error", text_of(failed), "source",
                     text_of(r->source), "config_hash", hash, "pending", r->is_pending, "config_error",
                     text_of(r->config_error), "generation", r->config ? (int)r->config->generation : 0, "problems",
                     problems, "differences", differences, "scratch", scratch, "took_ms", (int)r->took_ms);
}

static void say(const struct rehearsed *r, const char *failed) {
    if (failed)
        printf("the next boot would have no network: %s\n", failed);
    if (r->is_pending)
        printf("a network change is in progress; a boot now would take it back\n");
    if (r->trigger.problem)
        printf("%s\n", r->trigger.problem);
    else if (r->trigger.path)
        printf("a boot now would reset the network, as '%s' asks: %s\n", r->trigger.path, r->trigger.words);
    if (r->config_error)
        printf("%s\n", r->config_error);
    for (size_t i = 0; i < r->problems.n; i++) {
        _cleanup_free_ char *line = net_problem_line(&r->problems.items[i]);
        printf("%s\n", line);
    }
    for (size_t i = 0; i < r->differences.n; i++)
        printf("%s\n", r->differences.items[i].text);
    if (r->scratch.failure)
        printf("the boot failed in a namespace of its own: %s\n", r->scratch.failure);
    if (r->scratch.error)
        printf("the boot could not be tried in a namespace of its own: %s\n", r->scratch.error);
    if (r->config)
        printf("rehearsed generation %llu (%s) in %u ms%s\n", (unsigned long long)r->config->generation, r->source,
               r->took_ms, r->has_scratch && !r->scratch.error ? ", with the real programs" : "");
}

static bool found_something(const struct rehearsed *r) {
    return r->is_pending || r->trigger.path || r->trigger.problem || r->config_error || r->problems.n ||
           r->differences.n || r->scratch.failure;
}

enum { OPT_JSON = 700, OPT_MODEL_ONLY };
static const struct option options[] = {
    {"json", no_argument, NULL, OPT_JSON}, {"model-only", no_argument, NULL, OPT_MODEL_ONLY}, {0}};

int netboot_rehearse(struct netboot *n, int argc, char *const argv[]) {
    bool json = false, scratch = true;
    optind = 0; /* a new vector, from its start */
    for (int opt; (opt = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (opt == '?')
            return NETBOOT_USAGE;
        json |= opt == OPT_JSON;
        scratch &= opt != OPT_MODEL_ONLY;
    }
    uint64_t started_ms = net_clock_ms();
    struct rehearsed r = {0};
    struct error *e = NULL;
    bool ok = rehearse(n, scratch, &r, &e);
    r.took_ms = (unsigned)(net_clock_ms() - started_ms);
    const char *failed = ok ? NULL : error_text(e);
    if (json) {
        json_t *root = to_json(&r, failed);
        _cleanup_free_ char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
        json_decref(root);
        printf("%s\n", text);
    } else {
        say(&r, failed);
    }
    int code = !ok ? NETBOOT_NO_CONFIG : found_something(&r) ? NETBOOT_FAILED : NETBOOT_OK;
    error_free(e);
    done(&r);
    return code;
}
