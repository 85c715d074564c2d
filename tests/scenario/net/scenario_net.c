/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the scenarios of a folder: each has in.json (what is, what is wanted) and expect.json (the plan, its problems).
 * `--update` writes expect.json anew; the difference is for review. Every plan also runs on the model under the
 * invariants, and a second plan must then be empty.
 */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "invariants.h"
#include "net/net_config_value.h"

#define MAX_FILE (4 * 1024 * 1024)

static char *problem_of(struct error *e) {
    char *text = xstrdup(error_text(e));
    error_free(e);
    return text;
}

static struct net_observed *observed_of(const json_t *o, char **ret_wrong) {
    char *text = json_dumps(o, 0);
    struct error *e = NULL;
    struct net_observed *ret = net_observed_from_json(text, strlen(text), &e);
    free(text);
    if (!ret)
        *ret_wrong = problem_of(e);
    return ret;
}

static struct net_config *config_of(const json_t *o, char **ret_wrong) {
    struct error *e = NULL;
    struct net_json_reader r = {.code = ERR_NET_CONFIG_CORRUPT, .errp = &e};
    struct net_json j;
    struct net_config *c = net_config_new();
    net_json_root(&j, &r, o);
    net_config_read(&j, c);
    net_json_end(&j);
    if (!r.failed)
        return c;
    *ret_wrong = problem_of(e);
    net_config_free(c);
    return NULL;
}

/* Boots `from` on the model: what a healthy host with that configuration looks like. */
static bool boot(struct net_observed *now, const struct net_config *from, char **ret_wrong) {
    struct net_plan_options options = {.mode = NET_PLAN_BOOT};
    _cleanup_net_plan_ struct net_plan plan = {0};
    struct error *e = NULL;
    if (!net_plan_compute(from, now, &options, &plan, &e)) {
        *ret_wrong = problem_of(e);
        return false;
    }
    struct invariants v;
    _cleanup_(net_observed_freep) struct net_observed *start = net_observed_copy(now);
    now->switch_running = false;
    invariants_init(&v, from, start);
    *ret_wrong = invariants_run(&v, now, &plan, plan.n_steps);
    return !*ret_wrong;
}

static void copy_name(net_name dst, const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    if (s)
        str_copy(dst, NET_NAME_SIZE, s);
}

static void set_int(const json_t *o, const char *key, int *dst) {
    const json_t *v = json_object_get(o, key);
    if (json_is_integer(v))
        *dst = (int)json_integer_value(v);
}

/* One hand-made change of what is: of a link, an interface row, or all locks gone. False: it names nothing. */
static bool damage(struct net_observed *now, const json_t *d) {
    const char *link = json_string_value(json_object_get(d, "link"));
    const char *iface = json_string_value(json_object_get(d, "iface"));
    const char *unlock = json_string_value(json_object_get(d, "unlock"));
    if (unlock) {
        for (unsigned i = 0; i < now->n_routes; i++)
            if (str_eq(now->routes[i].dev, unlock)) {
                now->routes[i].mtu = now->routes[i].advmss = 0;
                now->routes[i].mtu_lock = false;
            }
        return true;
    }
    if (iface) {
        struct net_obs_iface *f = net_observed_iface(now, iface);
        if (!f)
            return false;
        set_int(d, "mtu_request", &f->mtu_request);
        set_int(d, "mtu", &f->mtu);
        return true;
    }
    struct net_obs_link *l = link ? net_observed_link(now, link) : NULL;
    if (!l)
        return false;
    set_int(d, "mtu", &l->mtu);
    set_int(d, "max_mtu", &l->max_mtu);
    if (json_is_boolean(json_object_get(d, "up")))
        l->up = json_is_true(json_object_get(d, "up"));
    if (json_is_boolean(json_object_get(d, "carrier")))
        l->carrier = json_is_true(json_object_get(d, "carrier"));
    const char *mac = json_string_value(json_object_get(d, "mac"));
    if (mac && !net_mac_parse(mac, &l->mac))
        return false;
    if (mac)
        l->permanent_mac = l->mac;
    if (json_is_true(json_object_get(d, "gone")))
        *l = now->links[--now->n_links];
    else
        copy_name(l->name, d, "rename");
    return true;
}

#define APPEND(now, also, field)                                                                                       \
    for (unsigned i_ = 0; i_ < (also)->n_##field; i_++) {                                                              \
        (now)->field = xrealloc_array((now)->field, (now)->n_##field + 1 + 64, sizeof(*(now)->field));                 \
        (now)->field[(now)->n_##field++] = (also)->field[i_];                                                          \
    }

static void append(struct net_observed *now, const struct net_observed *also) {
    /* A copy restores the room that the add functions count on. */
    APPEND(now, also, links);
    APPEND(now, also, addrs);
    APPEND(now, also, routes);
    APPEND(now, also, leases);
    APPEND(now, also, bridges);
    APPEND(now, also, ports);
    APPEND(now, also, ifaces);
}

static struct net_observed *build_start(const json_t *in, char **ret_wrong) {
    _cleanup_(net_observed_freep) struct net_observed *now = observed_of(json_object_get(in, "is"), ret_wrong);
    if (!now)
        return NULL;
    const json_t *from = json_object_get(in, "from"), *also = json_object_get(in, "also"), *d;
    if (from) {
        _cleanup_net_config_ struct net_config *c = config_of(from, ret_wrong);
        if (!c || !boot(now, c, ret_wrong))
            return NULL;
    }
    if (also) {
        _cleanup_(net_observed_freep) struct net_observed *more = observed_of(also, ret_wrong);
        if (!more)
            return NULL;
        append(now, more);
    }
    size_t i;
    json_array_foreach(json_object_get(in, "damage"), i, d) if (!damage(now, d)) {
        *ret_wrong = strf("damage number %zu names nothing", i);
        return NULL;
    }
    return net_observed_copy(now);
}

static json_t *result_value(const struct net_plan *plan) {
    json_t *o = json_object(), *steps = json_array(), *problems = json_array();
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct net_step *s = &plan->steps[i];
        _cleanup_free_ char *text = net_step_text(s);
        _cleanup_buf_ struct buf until = BUF_INIT;
        for (unsigned k = 0; k < s->n_expects; k++) {
            _cleanup_free_ char *expect = net_expect_text(&s->expects[k]);
            buf_addf(&until, "%s%s", k ? ", " : "", expect);
        }
        json_t *v = json_object();
        json_object_set_new(v, "do", json_string(text));
        json_object_set_new(v, "why", json_string(s->reason));
        if (until.size)
            json_object_set_new(v, "until", json_string(buf_str(&until)));
        if (s->phase == NET_PHASE_BEFORE_SWITCH)
            json_object_set_new(v, "before_switch", json_true());
        if (s->touches_management)
            json_object_set_new(v, "management", json_true());
        if (s->on_fail == NET_FAIL_FAULT)
            json_object_set_new(v, "fault", json_string(net_fault_name(s->fail_code)));
        json_array_append_new(steps, v);
    }
    for (size_t i = 0; i < plan->problems.n; i++) {
        _cleanup_free_ char *line = net_problem_line(&plan->problems.items[i]);
        json_array_append_new(problems, json_string(line));
    }
    json_object_set_new(o, "steps", steps);
    json_object_set_new(o, "problems", problems);
    return o;
}

/* The plan of one scenario as JSON; NULL with what is wrong. */
static json_t *run(const json_t *in, char **ret_wrong) {
    _cleanup_net_config_ struct net_config *wanted = config_of(json_object_get(in, "wanted"), ret_wrong);
    _cleanup_(net_observed_freep) struct net_observed *start = wanted ? build_start(in, ret_wrong) : NULL;
    if (!start)
        return NULL;
    struct net_refused refused[4];
    struct net_plan_options options = {.refused = refused};
    if (str_eq(json_string_value(json_object_get(in, "mode")) ?: "live", "boot"))
        options.mode = NET_PLAN_BOOT;
    options.adopt_foreign = json_is_true(json_object_get(in, "adopt"));
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(in, "refused"), i, r) if (i < ARRAY_SIZE(refused)) {
        copy_name(refused[i].link, r, "link");
        set_int(r, "mtu", &refused[i].mtu);
        options.n_refused++;
    }
    _cleanup_net_plan_ struct net_plan plan = {0};
    struct error *e = NULL;
    if (!net_plan_compute(wanted, start, &options, &plan, &e)) {
        _cleanup_free_ char *text = problem_of(e);
        json_t *o = json_object();
        json_object_set_new(o, "refused", json_string(text));
        return o;
    }
    _cleanup_(net_observed_freep) struct net_observed *now = net_observed_copy(start);
    if (options.mode == NET_PLAN_BOOT)
        now->switch_running = false;
    struct invariants v;
    invariants_init(&v, wanted, start);
    *ret_wrong = invariants_run(&v, now, &plan, plan.n_steps);
    /* "once": the model does not share the fault of the scenario, so planning again would find something to do. */
    if (!*ret_wrong && !json_is_true(json_object_get(in, "once")))
        *ret_wrong = invariants_check_end(&v, now, &options);
    return *ret_wrong ? NULL : result_value(&plan);
}

static json_t *load(const char *path) {
    _cleanup_buf_ struct buf b = BUF_INIT;
    json_error_t e;
    if (fs_read(path, MAX_FILE, &b) < 0)
        return NULL;
    json_t *o = json_loadb(b.data, b.size, JSON_REJECT_DUPLICATES, &e);
    if (!o)
        fprintf(stderr, "%s:%d: %s\n", path, e.line, e.text);
    return o;
}

static bool play(const char *folder, const char *name, bool update) {
    _cleanup_free_ char *in_path = strf("%s/%s/in.json", folder, name),
                        *out_path = strf("%s/%s/expect.json", folder, name);
    _cleanup_free_ char *wrong = NULL;
    json_t *in = load(in_path), *expected = load(out_path), *got = NULL;
    bool ok = false;
    if (!in) {
        fprintf(stderr, "not ok %s: no usable in.json\n", name);
    } else if (!(got = run(in, &wrong))) {
        fprintf(stderr, "not ok %s: %s\n", name, wrong);
    } else if (update) {
        char *text = json_dumps(got, JSON_INDENT(1));
        _cleanup_free_ char *line = strf("%s\n", text);
        ok = fs_write_atomic(out_path, line, strlen(line), 0644) == 0;
        free(text);
    } else if (!(ok = expected && json_equal(got, expected))) {
        char *text = json_dumps(got, JSON_INDENT(1));
        fprintf(stderr, "not ok %s: the plan is another one than expect.json says:\n%s\n", name, text);
        free(text);
    }
    json_decref(in);
    json_decref(expected);
    json_decref(got);
    if (ok)
        printf("ok %s\n", name);
    return ok;
}

int main(int argc, char **argv) {
    bool update = argc > 1 && str_eq(argv[1], "--update");
    if (argc < 2 + update) {
        fprintf(stderr, "usage: scenario_net [--update] FOLDER [NAME...]\n");
        return 2;
    }
    const char *folder = argv[1 + update];
    unsigned n = 0, failed = 0;
    if (argc > 2 + update) {
        for (int i = 2 + update; i < argc; i++, n++)
            failed += !play(folder, argv[i], update);
    } else {
        struct dirent **entries;
        int count = scandir(folder, &entries, NULL, alphasort);
        for (int i = 0; i < count; i++) {
            _cleanup_free_ char *in = strf("%s/%s/in.json", folder, entries[i]->d_name);
            if (entries[i]->d_name[0] != '.' && fs_exists(in)) {
                n++;
                failed += !play(folder, entries[i]->d_name, update);
            }
            free(entries[i]);
        }
        if (count >= 0)
            free(entries);
    }
    printf("%u scenarios, %u failed\n", n, failed);
    return failed || !n ? 1 : 0;
}
