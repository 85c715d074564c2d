/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_MODULE "netboot"
#include "netboot/netboot_change.h"

#include "base/log.h"
#include "base/str.h"
#include "base/uuid.h"
#include "net/net_apply_os.h"
#include "net/net_converge.h"
#include "netboot/netboot_prove.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define LOCK_WAIT_MS 10000
#define GARP_COUNT 4
#define RETURN_TRIES 3
#define RETURN_PAUSE_MS 1000
#define SECONDS_MIN 5
#define SECONDS_MAX 3600

/* ---- options ---- */

bool netboot_change_option(struct netboot_change *c, int opt, char *value, struct error **errp) {
    int64_t v;
    struct net_addr a;
    switch (opt) {
    case 800:
        if (c->n_probes == NETBOOT_MAX_PROBES || strchr(value, '/') || !net_addr_parse(value, &a)) {
            error_internal(errp, "--probe wants an IP address that must answer afterwards; up to %d of them",
                           NETBOOT_MAX_PROBES);
            return true;
        }
        c->probes[c->n_probes++] = value;
        return true;
    case 801:
        c->no_proof = true;
        return true;
    case 802:
        c->confirm = true;
        return true;
    case 803:
        c->dry_run = true;
        return true;
    case 804:
        if (!str_parse_int(value, SECONDS_MIN, SECONDS_MAX, &v))
            error_internal(errp, "--seconds wants how long the proof may take, %d to %d", SECONDS_MIN, SECONDS_MAX);
        else
            c->seconds = (unsigned)v;
        return true;
    default:
        return false;
    }
}

int netboot_complain(struct error *e, int code) {
    fprintf(stderr, "muster-netboot: %s\n", error_n_params(e) ? error_param(e, 0) : error_text(e));
    error_free(e);
    return code;
}

/* ---- begin and end ---- */

static void load(struct netboot_change *c) {
    struct netboot *n = c->netboot;
    struct net_problems problems = {0};
    enum net_store_source source;
    struct error *e = NULL;
    struct net_pending pending = {0};
    c->good = net_store_load(n->net_dir, &source, &problems, &e);
    for (size_t i = 0; i < problems.n; i++) {
        _cleanup_free_ char *line = net_problem_line(&problems.items[i]);
        log_warn("%s", line);
    }
    net_problems_done(&problems);
    error_free(e); /* without one, a reset makes the first */
    c->is_interrupted = net_store_get_pending(n->net_dir, &pending);
    c->way_back = pending.previous ? TAKE(pending.previous) : c->good ? net_config_copy(c->good) : NULL;
    net_pending_done(&pending);
}

bool netboot_change_begin(struct netboot_change *c, struct error **errp) {
    struct netboot *n = c->netboot;
    c->lock = c->dry_run ? -1 : net_store_lock(n->net_dir, LOCK_WAIT_MS);
    if (c->lock == -EBUSY) {
        error_internal(errp, "another repair of this host's network is under way; wait for its end, or end it with its "
                             "Ctrl-C");
        return false;
    }
    load(c);
    struct error *e = NULL;
    if (!netboot_open(n, /* need_switch= */ true, &e)) {
        error_internal(errp,
                       "kernel or switch cannot be talked to (%s); is this root, and does ovsdb-server run? Start "
                       "it, or restart the host",
                       error_text(e));
        error_free(e);
        return false;
    }
    c->is = netboot_observe(n, errp);
    if (!c->is)
        return false;
    if (c->good) {
        n->services.control_size = c->good->control_size;
        n->services.management = c->good->management;
    }
    return true;
}

void netboot_change_done(struct netboot_change *c) {
    if (c->lock >= 0)
        close(c->lock);
    net_config_free(c->good);
    net_config_free(c->way_back);
    net_observed_free(c->is);
    c->good = c->way_back = NULL;
    c->is = NULL;
    c->lock = -1;
}

struct net_config *netboot_change_base(const struct netboot_change *c) {
    struct net_config *base = c->good ? net_config_copy(c->good) : net_config_new();
    netboot_add_nics(base, c->is);
    return base;
}

static bool plan(const struct netboot_change *c, const struct net_config *target, struct net_plan *ret,
                 struct error **errp) {
    struct net_plan_options options = {.mode = c->is->switch_running ? NET_PLAN_LIVE : NET_PLAN_BOOT};
    return net_plan_compute(target, c->is, &options, ret, errp);
}

bool netboot_change_is_there(const struct netboot_change *c, const struct net_config *target) {
    _cleanup_net_plan_ struct net_plan p = {0};
    struct error *ignored = NULL;
    bool is_there = plan(c, target, &p, &ignored) && !p.n_steps;
    error_free(ignored);
    return is_there;
}

/* ---- the mark ---- */

static const char *person(void) {
    const char *sudo = getenv("SUDO_USER"), *ssh = getenv("SSH_CONNECTION"), *user = getenv("USER");
    static char text[NET_REPAIR_BY_SIZE];
    snprintf(text, sizeof(text), "%.40s%s%.*s", str_empty(sudo) ? (str_empty(user) ? "root" : user) : sudo,
             str_empty(ssh) ? "" : ", by SSH from ", str_empty(ssh) ? 0 : (int)MIN(strcspn(ssh, " "), (size_t)45),
             str_or_empty(ssh));
    return text;
}

void netboot_repair_sign(struct net_repair *r) {
    char uuid[UUID_TEXT_SIZE];
    struct uuid u = uuid_random();
    uuid_text(&u, uuid);
    r->since = (int64_t)time(NULL);
    (void)str_copy(r->id, sizeof(r->id), uuid); /* its first part is enough */
    (void)str_copy(r->by, sizeof(r->by), person());
}

void netboot_repair_mark(struct net_config *target, const struct net_config *before, const struct net_repair *repair) {
    _cleanup_net_repair_ struct net_repair all = {0};
    struct error *ignored = NULL;
    char hash[NET_HASH_TEXT_SIZE] = "", now[NET_HASH_TEXT_SIZE];
    bool had = before && before->repair && net_repair_from_json(before->repair, strlen(before->repair), &all, &ignored);
    error_free(ignored);
    if (had)
        memcpy(hash, all.base, sizeof(hash));
    else if (before)
        net_config_hash(before, hash);
    if (had && all.state == NET_REPAIR_WITHDRAWN) /* nothing of it is in force */
        net_repair_done(&all);
    net_repair_add(&all, repair);
    all.state = NET_REPAIR_LOCAL;
    memcpy(all.base, hash, sizeof(all.base));
    net_config_hash(target, now);
    if (hash[0] && str_eq(now, hash)) { /* back at what the pool wanted */
        if (!before->repair) {
            net_config_set_repair(target, NULL);
            return;
        }
        all.state = NET_REPAIR_WITHDRAWN;
    }
    _cleanup_free_ char *text = net_repair_to_json(&all);
    net_config_set_repair(target, text);
}

struct net_config *netboot_change_repaired(const struct netboot_change *c, const struct net_config *base,
                                           const struct net_repair *repair, struct error **errp) {
    _cleanup_net_config_ struct net_config *target = net_config_copy(base);
    if (!net_repair_apply(repair, target, errp))
        return NULL;
    netboot_repair_mark(target, c->good, repair);
    return TAKE(target);
}

/* ---- running it ---- */

static bool converge(struct netboot_change *c, const struct net_config *target, struct error **errp) {
    struct netboot_report report = {0};
    struct netboot_phase phase = {.name = "repair"};
    c->netboot->services.control_size = target->control_size;
    c->netboot->services.management = target->management;
    bool ok = netboot_converge(c->netboot, target, NET_PLAN_LIVE, NET_APPLY_BEFORE_SWITCH | NET_APPLY_WITH_SWITCH,
                               GARP_COUNT, &report, &phase, errp);
    for (size_t i = 0; i < report.problems.n; i++) {
        _cleanup_free_ char *line = net_problem_line(&report.problems.items[i]);
        log_warn("%s", line);
    }
    net_problems_done(&report.problems);
    netboot_phase_done(&phase);
    return ok;
}

static int say(int code, const char *fmt, const char *text) {
    fprintf(code == NETBOOT_OK ? stdout : stderr, fmt, text);
    fflush(stdout);
    return code;
}

/* The host gets back what it had. Tried a few times; what is left then is on the disk, for the next boot. */
static int go_back(struct netboot_change *c, const char *why) {
    struct error *e = NULL;
    bool ok = !c->way_back;
    for (unsigned i = 0; !ok && i < RETURN_TRIES; i++) {
        error_free(TAKE(e));
        if (i)
            net_wait_ms(RETURN_PAUSE_MS);
        ok = converge(c, c->way_back, &e);
    }
    if (ok && c->way_back)
        ok = net_store_clear_pending(c->netboot->net_dir, &e);
    if (ok)
        say(NETBOOT_FAILED, "taken back, the network is as it was: %s\n", why);
    else
        fprintf(stderr, "%s; and the way back failed: %s; the next boot takes it\n", why, error_text(e));
    error_free(e);
    return NETBOOT_FAILED;
}

static bool arm(struct netboot_change *c, const struct net_config *target, struct error **errp) {
    if (!c->way_back)
        return true;
    struct net_pending pending = {.previous = c->way_back, .deadline = (int64_t)time(NULL) + c->seconds};
    net_config_hash(target, pending.tried_hash);
    return net_store_set_pending(c->netboot->net_dir, &pending, errp);
}

static bool commit(struct netboot_change *c, struct net_config *target, struct error **errp) {
    /* Good first: a crash in between leaves a way back beside a network that is known to be proven; boot sees that. */
    return net_store_commit(c->netboot->net_dir, target, errp) && net_store_clear_pending(c->netboot->net_dir, errp) &&
           net_store_clear_refused(c->netboot->net_dir, errp);
}

static int keep(struct netboot_change *c, struct net_config *target, const char *words, const char *proof) {
    struct error *e = NULL;
    if (!commit(c, target, &e)) {
        _cleanup_free_ char *why = strf("it could not be written down: %s", error_text(e));
        error_free(e);
        return go_back(c, why);
    }
    printf("done: %s; %s\n", words, proof);
    if (target->repair && !strstr(target->repair, "\"state\":\"withdrawn\""))
        printf("The host keeps this, over restarts and against what the pool wants, until somebody makes it the pool's "
               "own (xe host-network-repair-keep) or takes it back (xe host-network-repair-withdraw).\n");
    return NETBOOT_OK;
}

static int dry_run(const struct netboot_change *c, const struct net_config *target, const struct net_plan *p,
                   const char *words) {
    _cleanup_free_ char *diff = c->good ? net_config_diff_text(c->good, target) : xstrdup("");
    _cleanup_free_ char *text = net_plan_text(p);
    printf("%s\n%s%s", words, diff, text);
    return NETBOOT_OK;
}

/* Without a running switch nothing can be tried; a person may still have it at the next boot. */
static int keep_for_boot(struct netboot_change *c, struct net_config *target, const char *words) {
    if (c->no_proof)
        return keep(c, target, words, "the switch does not run, so it takes effect at the next boot");
    return say(NETBOOT_FAILED, "%s",
               "the switch (ovs-vswitchd) does not run, so nothing can be tried; start it, or add --no-proof to have "
               "this at the next boot\n");
}

int netboot_change_run(struct netboot_change *c, struct net_config *target, const char *words) {
    _cleanup_net_plan_ struct net_plan p = {0};
    _cleanup_error_ struct error *e = NULL;
    _cleanup_(netboot_proof_done) struct netboot_proof proof = {.seconds = c->seconds, .confirm = c->confirm};
    net_config_set_provenance(target, words);
    if (!plan(c, target, &p, &e))
        return say(NETBOOT_USAGE, "%s\n", error_n_params(e) ? error_param(e, 0) : error_text(e));
    if (c->dry_run)
        return dry_run(c, target, &p, words);
    if (!ovs_is_running(c->netboot->ovs))
        return keep_for_boot(c, target, words);
    if (!c->no_proof && !netboot_proof_prepare(&proof, c, target, &e))
        return say(NETBOOT_USAGE, "%s\n", error_param(e, 0));
    netboot_proof_survive(); /* the terminal may go with the network */
    if (!arm(c, target, &e))
        return say(NETBOOT_FAILED, "nothing was touched: the way back could not be written: %s\n", error_text(e));
    printf("%s: applying %zu steps, with %u seconds to prove it\n", words, p.n_steps, c->seconds);
    fflush(stdout);
    if (!converge(c, target, &e))
        return go_back(c, error_text(e));
    if (c->no_proof)
        return keep(c, target, words, "not proven, as you asked");
    _cleanup_free_ char *said = NULL;
    if (!netboot_proof_run(&proof, &said))
        return go_back(c, said);
    return keep(c, target, words, said);
}
