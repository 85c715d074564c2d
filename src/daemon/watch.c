/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watch.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net_watch.h"

#define SWITCH_TIMEOUT_MS 2000
#define MAX_PORTS 64

struct watch {
    struct watch_config config;
    struct link *link;
    struct ovs *ovs;
    struct net_watch *memory; /* of the job that is under way; else of nobody */
    struct loop_source *timer;
    bool is_looking;
};

struct look { /* a job */
    struct watch *watch;
    struct net_config *config;
    struct net_watch_port ports[MAX_PORTS];
    unsigned n_ports;
    struct net_problems problems;
};

static void run(void *data) {
    struct look *l = data;
    struct net_watch_in in = {
        .link = l->watch->link, .ovs = l->watch->ovs, .config = l->config, .ports = l->ports, .n_ports = l->n_ports};
    net_watch_look(l->watch->memory, &in, &l->problems);
}

static void done(void *data) {
    struct look *l = data;
    struct watch *w = l->watch;
    struct value list = value_map();
    for (size_t i = 0; i < l->problems.n; i++) {
        const struct net_problem *p = &l->problems.items[i];
        char code[NET_FAULT_CODE_SIZE], key[64];
        snprintf(key, sizeof(key), "%s/%s", net_fault_code_text(p->code, code), p->nic[0] ? p->nic : p->bridge);
        value_map_put(&list, key, value_string_take(net_problem_line(p)));
    }
    faults_state(w->config.faults, FAULTS_WATCH, list);
    w->is_looking = false;
    net_problems_done(&l->problems);
    net_config_free(l->config);
    free(l);
}

static void add_ports(struct look *l) {
    struct db *d = l->watch->config.db;
    for (const struct row *r = db_first(d, CLASS_PIF); r && l->n_ports < MAX_PORTS; r = db_next(d, r)) {
        const struct row *metrics = db_follow(d, r, FIELD_PIF_metrics);
        if (!row_bool(r, FIELD_PIF_physical) || !uuid_eq(row_ref(r, FIELD_PIF_host), &l->watch->config.self) ||
            !metrics || str_empty(row_str(metrics, FIELD_PIF_metrics_switch_name)))
            continue;
        struct net_watch_port *p = &l->ports[l->n_ports++];
        str_copy(p->leg, sizeof(p->leg), row_str(r, FIELD_PIF_device));
        str_copy(p->switch_name, sizeof(p->switch_name), row_str(metrics, FIELD_PIF_metrics_switch_name));
        str_copy(p->switch_port, sizeof(p->switch_port), row_str(metrics, FIELD_PIF_metrics_switch_port));
    }
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct watch *w = userdata;
    struct net_agent *agent = netglue_agent(w->config.netglue);
    struct net_agent_state state;
    loop_timer_set(w->timer, NET_WATCH_MS);
    net_agent_state(agent, &state);
    if (w->is_looking || !state.good || net_agent_is_busy(agent))
        return;
    struct look *l = xnew0(struct look);
    l->watch = w;
    l->config = net_config_copy(state.good);
    add_ports(l);
    w->is_looking = true;
    worker_submit(w->config.worker, "watch", run, done, l);
}

struct watch *watch_new(const struct watch_config *config, struct error **errp) {
    struct watch *w = xnew0(struct watch);
    w->config = *config;
    int r = link_kernel_open(&w->link);
    if (r < 0)
        error_errno(errp, r, "opening rtnetlink");
    else
        w->ovs = ovs_db_open(config->switch_run_dir, SWITCH_TIMEOUT_MS, errp);
    if (!w->ovs) {
        watch_free(w);
        return NULL;
    }
    w->memory = net_watch_new();
    w->timer = loop_add_timer(config->loop, NET_WATCH_MS, on_timer, w);
    return w;
}

void watch_free(struct watch *w) {
    if (!w)
        return;
    loop_source_free(w->timer);
    net_watch_free(w->memory);
    ovs_free(w->ovs);
    link_free(w->link);
    free(w);
}
