/* SPDX-License-Identifier: Apache-2.0 */
/* The two phases of a boot. The switch's own file is never a source: it would restore what was never proven. */
#define LOG_MODULE "netboot"
#include "netboot/netboot.h"

#include <string.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "net/net_apply_os.h"
#include "net/net_converge.h"

#define LOCK_WAIT_MS 2000
#define GARP_COUNT 2 /* announcements per address at boot: switches have not seen our MACs elsewhere since the cut */

/* What the hooks of one phase write into. */
struct progress {
    struct netboot *netboot;
    struct netboot_phase *phase;
};

static void on_step(const struct net_step *s, unsigned took_ms, const char *problem, void *userdata) {
    struct progress *p = userdata;
    netboot_phase_add_step(p->phase, s, took_ms, problem);
    _cleanup_free_ char *text = net_step_text(s);
    if (problem)
        log_warn("'%s': %s", text, problem);
    else if (!p->netboot->quiet)
        log_info("%s (%u ms): %s", text, took_ms, str_or_empty(s->reason));
}

static bool hook_dhcp_start(const char *link, enum net_family family, void *userdata, struct error **errp) {
    return net_dhcp_start(&((struct progress *)userdata)->netboot->services, link, family, errp);
}

static bool hook_dhcp_stop(const char *link, enum net_family family, void *userdata, struct error **errp) {
    return net_dhcp_stop(&((struct progress *)userdata)->netboot->services, link, family, errp);
}

static bool hook_dns_write(const struct net_addr *dns, unsigned n, void *userdata, struct error **errp) {
    return net_dns_write(((struct progress *)userdata)->netboot->resolv_conf, dns, n, errp);
}

static void log_problems(const struct net_problems *ps) {
    for (size_t i = 0; i < ps->n; i++) {
        _cleanup_free_ char *line = net_problem_line(&ps->items[i]);
        log_warn("%s%s", line, ps->items[i].healed ? " (healed)" : "");
    }
}

/* The power went after the change had become the last known good network and before its way back was removed. */
static bool was_kept(struct netboot *n, struct net_pending *pending) {
    struct net_problems ignored = {0};
    struct error *none = NULL;
    enum net_store_source source;
    char hash[NET_HASH_TEXT_SIZE] = "";
    _cleanup_net_config_ struct net_config *good = net_store_load(n->net_dir, &source, &ignored, &none);
    if (good && source == NET_STORE_GOOD)
        net_config_hash(good, hash);
    error_free(none);
    net_problems_done(&ignored);
    if (!hash[0] || !str_eq(hash, pending->tried_hash))
        return false;
    net_pending_done(pending);
    return true;
}

/*
 * The configuration to boot with. A change that was in progress when the power went has not proven itself: what it
 * would have returned to is taken, and the change is marked as refused.
 */
static struct net_config *choose(struct netboot *n, struct netboot_report *report, struct error **errp) {
    struct net_pending pending = {0};
    if (net_store_get_pending(n->net_dir, &pending) && !was_kept(n, &pending)) {
        (void)str_copy(report->rolled_back_hash, sizeof report->rolled_back_hash, pending.tried_hash);
        struct net_refusal refused = {
            .sentence = "the host restarted in the middle of this network change, so it was taken back"};
        (void)str_copy(refused.hash, sizeof refused.hash, pending.tried_hash);
        struct error *e = NULL;
        if (refused.hash[0] && !net_store_set_refused(n->net_dir, &refused, &e))
            log_warn("cannot remember the change that was taken back: %s", error_text(e));
        error_free(e);
        const char *host = pending.previous ? pending.previous->host_name : NULL;
        struct net_fault_facts facts = {
            .host = host, .vlan = -1, .detail = "the host restarted in the middle of a network change"};
        net_problems_add(&report->problems, NET_FAULT_ROLLED_BACK, &facts)->healed = true;
        struct net_config *previous = TAKE(pending.previous);
        net_pending_done(&pending);
        if (previous) {
            report->source = "rolled back";
            return previous;
        }
    }
    enum net_store_source source;
    struct net_config *c = net_store_load(n->net_dir, &source, &report->problems, errp);
    if (c)
        report->source = source == NET_STORE_GOOD ? "good" : "previous";
    return c;
}

/*
 * By itself the kernel answers on any interface for any address of the host. With two bridges on one segment, peers
 * then learn the management address at the MAC of another NIC, and management runs over the wrong bond.
 */
static void answer_for_own_addresses_only(struct netboot *n) {
    int r = link_set_sysctl(n->link, AF_INET, "all", "arp_ignore", "1");
    if (r < 0)
        log_warn("net.ipv4.conf.all.arp_ignore cannot be set: %s", strerror(-r));
}

/* Prepares what both phases need. The configuration, or NULL with *ret_exit. */
static struct net_config *begin(struct netboot *n, struct netboot_report *report, bool need_switch, int *ret_exit,
                                struct error **errp) {
    report->source = "";
    *ret_exit = NETBOOT_NO_CONFIG;
    struct net_config *c = choose(n, report, errp);
    if (!c)
        return NULL;
    net_config_hash(c, report->hash);
    report->generation = c->generation;
    n->services.control_size = c->control_size;
    n->services.management = c->management;
    *ret_exit = NETBOOT_FAILED;
    if (netboot_open(n, need_switch, errp)) {
        answer_for_own_addresses_only(n);
        return c;
    }
    net_config_free(c);
    return NULL;
}

bool netboot_converge(struct netboot *n, const struct net_config *c, enum net_plan_mode mode, unsigned phases,
                      unsigned garp_max, struct netboot_report *report, struct netboot_phase *phase,
                      struct error **errp) {
    struct progress progress = {.netboot = n, .phase = phase};
    struct net_apply_hooks hooks = {.dhcp_start = hook_dhcp_start,
                                    .dhcp_stop = hook_dhcp_stop,
                                    .dns_write = hook_dns_write,
                                    .report = on_step,
                                    .userdata = &progress};
    struct net_apply_env env = {.link = n->link,
                                .ovs = n->ovs,
                                .lease_dir = n->net_dir,
                                .host_name = c->host_name,
                                .hooks = &hooks,
                                .garp_max = garp_max};
    struct net_observe_from from = netboot_observe_from(n);
    struct net_converge how = {.env = &env, .from = &from, .mode = mode, .phases = phases};
    struct net_converged result;
    bool ok = net_converge(&how, c, &result, errp);
    net_problems_merge(&report->problems, &result.problems);
    net_converged_done(&result);
    return ok;
}

/* Ends a phase: log, report, exit code. */
static int finish(struct netboot *n, struct netboot_report *report, struct netboot_phase *phase, uint64_t started_ms,
                  int code, struct error *e) {
    phase->took_ms = (unsigned)(net_clock_ms() - started_ms);
    if (e) {
        phase->error = xstrdup(error_text(e));
        log_err("%s: %s", phase->name, phase->error);
    }
    error_free(e);
    log_problems(&report->problems);
    struct error *write_error = NULL;
    if (!netboot_report_write(n, report, phase, &write_error))
        log_warn("%s", error_text(write_error));
    error_free(write_error);
    if (!phase->error)
        log_notice("%s: network generation %llu (%s) in %u ms", phase->name, (unsigned long long)report->generation,
                   report->source, phase->took_ms);
    net_problems_done(&report->problems);
    netboot_phase_done(phase);
    return code;
}

void netboot_add_nics(struct net_config *c, const struct net_observed *is) {
    for (unsigned i = 0; i < is->n_links && c->n_nics < NET_MAX_NICS; i++) {
        const struct net_obs_link *l = &is->links[i];
        const struct net_mac *mac = net_mac_is_zero(&l->permanent_mac) ? &l->mac : &l->permanent_mac;
        bool is_known = l->kind != NET_LINK_PHYSICAL || net_config_nic(c, l->name);
        for (unsigned k = 0; k < c->n_nics; k++)
            is_known = is_known || net_mac_eq(&c->nics[k].mac, mac);
        if (!is_known)
            net_config_add_nic(c, l->name, mac);
    }
}

bool netboot_same_content(const struct net_config *a, const struct net_config *b) {
    char x[NET_HASH_TEXT_SIZE], y[NET_HASH_TEXT_SIZE];
    net_config_hash(a, x);
    net_config_hash(b, y);
    return str_eq(x, y);
}

static void add_trigger_problem(struct netboot_report *report, const char *problem) {
    struct net_fault_facts facts = {.vlan = -1, .detail = problem};
    if (!str_empty(problem))
        net_problems_add(&report->problems, NET_FAULT_STEP_FAILED, &facts);
}

/* What somebody has left for this boot to do with the network. */
static void take_trigger(struct netboot *n, struct netboot_report *report) {
    struct error *ignored = NULL;
    _cleanup_free_ char *problem = netboot_open(n, /* need_switch= */ false, &ignored) ? netboot_take_trigger(n) : NULL;
    _cleanup_free_ char *path = strf("%s/network-reset.problem", n->run_dir);
    error_free(ignored); /* what follows says it */
    add_trigger_problem(report, problem);
    if (problem && (fs_mkdirs(n->run_dir, 0755) < 0 || fs_write_atomic(path, problem, strlen(problem), 0644) < 0))
        log_warn("cannot write '%s'", path);
}

/* The second phase says it, too: its report is the one that stays. */
static void recall_trigger(struct netboot *n, struct netboot_report *report) {
    _cleanup_free_ char *path = strf("%s/network-reset.problem", n->run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, 4096, &text) == 0)
        add_trigger_problem(report, buf_str(&text));
}

/* The switch daemon starts when this program has ended. This waits for no event but for a clock: see
 * ovs_start_pause_ms. */
static void hold_switch_back(const struct net_config *c) {
    unsigned ms = c->datapath == NET_DATAPATH_SYSTEM ? ovs_start_pause_ms(net_clock_ms()) : 0;
    if (ms > 0) {
        log_notice("the switch starts in %u ms: it would find no processors in the first ten seconds of a machine", ms);
        net_wait_ms(ms);
    }
}

int netboot_boot(struct netboot *n) {
    uint64_t started_ms = net_clock_ms();
    struct netboot_report report = {0};
    struct netboot_phase phase = {.name = "boot"};
    struct error *e = NULL;
    int code;
    /* Held to the end; without one it boots all the same. */
    _unused_ _cleanup_close_ int lock = net_store_lock(n->net_dir, LOCK_WAIT_MS);
    take_trigger(n, &report);
    _cleanup_net_config_ struct net_config *c = begin(n, &report, /* need_switch= */ true, &code, &e);
    if (!c)
        return finish(n, &report, &phase, started_ms, code, e);
    /* With the switch already running this is no boot: what is there is changed with least disruption. */
    bool live = ovs_is_running(n->ovs);
    bool ok = netboot_converge(n, c, live ? NET_PLAN_LIVE : NET_PLAN_BOOT,
                               live ? NET_APPLY_BEFORE_SWITCH | NET_APPLY_WITH_SWITCH : NET_APPLY_BEFORE_SWITCH,
                               GARP_COUNT, &report, &phase, &e);
    code = finish(n, &report, &phase, started_ms, ok ? NETBOOT_OK : NETBOOT_FAILED, e);
    if (!live)
        hold_switch_back(c);
    return code;
}

/* Waits until the switch daemon answers and has taken what its database holds. */
static bool await_switch(struct netboot *n, struct error **errp) {
    uint64_t deadline = net_clock_ms() + n->switch_timeout_ms;
    while (!ovs_is_running(n->ovs)) {
        if (net_clock_ms() >= deadline) {
            error_setf(errp, ERR_OVS_ABSENT, "ovs-vswitchd does not answer in '%s' after %u ms", n->switch_dir,
                       n->switch_timeout_ms);
            return false;
        }
        struct error *ignored = NULL;
        if (!ovs_wait_change(n->ovs, 20, &ignored)) /* the database wakes us as soon as the daemon writes to it */
            net_wait_ms(20);
        error_free(ignored);
    }
    _cleanup_(ovs_state_done) struct ovs_state state = {0};
    uint64_t now = net_clock_ms();
    return ovs_read(n->ovs, &state, errp) &&
           ovs_wait_cfg(n->ovs, state.next_cfg, now < deadline ? (unsigned)(deadline - now) : 0, errp);
}

int netboot_verify(struct netboot *n) {
    uint64_t started_ms = net_clock_ms();
    struct netboot_report report = {0};
    struct netboot_phase phase = {.name = "verify"};
    struct error *e = NULL;
    int code;
    _unused_ _cleanup_close_ int lock = net_store_lock(n->net_dir, LOCK_WAIT_MS);
    recall_trigger(n, &report);
    _cleanup_net_config_ struct net_config *c = begin(n, &report, /* need_switch= */ true, &code, &e);
    if (!c)
        return finish(n, &report, &phase, started_ms, code, e);
    bool ok =
        await_switch(n, &e) && netboot_converge(n, c, NET_PLAN_LIVE, NET_APPLY_BEFORE_SWITCH | NET_APPLY_WITH_SWITCH,
                                                GARP_COUNT, &report, &phase, &e);
    if (ok) {
        _cleanup_free_ char *deaf = ovs_handler_problem(n->ovs);
        struct net_fault_facts facts = {.vlan = -1, .detail = deaf};
        if (deaf)
            net_problems_add(&report.problems, NET_FAULT_STEP_FAILED, &facts);
        if (!net_store_clear_pending(n->net_dir, &e)) { /* the next boot would roll back once more: harmless */
            log_warn("%s", error_text(e));
            error_free(e);
            e = NULL;
        }
    }
    return finish(n, &report, &phase, started_ms, ok ? NETBOOT_OK : NETBOOT_FAILED, e);
}
