/* SPDX-License-Identifier: Apache-2.0 */
/* Membership as the parts report it: network settled, first proof, sizes; and what the host writes about itself once it
 * is in. */
#include <signal.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "classes/class_role.h"
#include "classes/class_vm.h"
#include "classes/class_vm_pools.h"
#include "daemon/control_domain.h"
#include "daemon/daemon.h"
#include "daemon/hostinfo.h"
#include "net/net_store.h"
#include "wire/value_json.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

#define METRICS_MS 5000
#define NETWORK_RETRY_MS 500
#define POWER_ANSWER_MS 3000 /* a host that goes down does not wait for longer */
#define ANSWER_LEAVES_MS 50
#define WRITE_DEADLINE_MS 15000
#define NETBOOT_REPORT_MAX (1 << 20)

/* ---- proof and sizes ---- */
static void look_at_sizes(struct daemon *d) {
    const char *sentence = faults_limit(d->faults);
    pool_set_limited(d->pool, sentence != NULL, sentence ? sentence : "");
}

static void on_first_proof(void *userdata) {
    struct daemon *d = userdata;
    look_at_sizes(d);
    pool_set_proven(d->pool, true);
}

static void on_own_row(struct db *db, enum db_event event, const struct row *r, void *userdata) {
    struct daemon *d = userdata;
    if (!uuid_eq(&r->uuid, &d->self))
        return;
    look_at_sizes(d);
    daemon_serve_plain(d);
}

static void measure(struct daemon *d) {
    hostinfo_metrics(d->db, &d->self);
    control_domain_metrics(d->db, &d->self);
}

static void on_described(struct error *error, void *userdata) {
    struct daemon *d = userdata;
    if (error)
        log_info("what this host says of itself waits for its next state: %s", error_text(error));
    d->described = !error;
    measure(d);
}

void daemon_state_changed(void *userdata) {
    struct daemon *d = userdata;
    const struct sm *state = pool_state(d->pool);
    if (d->metrics_timer)
        loop_timer_set(d->metrics_timer, 0); /* others decide by them as soon as this host is ready */
    if (state->state == STATE_PROVING && !d->first_proof)
        d->first_proof = first_proof_new(d->loop, d->db, d->probing, d->faults, on_first_proof, d);
    if ((state->state == STATE_RECONCILING || states_is_ready(state)) && !d->described) {
        d->described = true;
        class_vm_make_defaults(d->api);
        class_role_make_defaults(d->api);
        struct db_txn *t = db_txn_new(d->db, "what the host says of itself");
        hostinfo_write(d->db, &d->self, t);
        control_domain_write(d->db, &d->self, t);
        db_txn_commit(t, WRITE_DEADLINE_MS, on_described, d);
    }
}

/* ---- the network agent ---- */
void daemon_network_changed(const struct net_agent_state *s, void *userdata) {
    struct daemon *d = userdata;
    pool_set_network(d->pool, net_outcome_is_open(s->outcome) || s->outcome == NET_OUTCOME_NONE);
    if (!s->good)
        return;
    struct rows_host facts;
    _cleanup_error_ struct error *e = NULL;
    if (!net_outcome_is_open(s->outcome) && hostinfo_read(s->good, &facts, &e))
        pool_start(d->pool, &facts);
}

struct confirmation {
    void (*done)(const char *problem, void *data);
    void *data;
};

static void on_confirmed(const struct error *error, void *userdata) {
    struct confirmation *c = userdata;
    struct error *e = error ? error_dup(error) : NULL;
    c->done(e ? error_text(e) : NULL, c->data);
    error_free(e);
    free(c);
}

void daemon_confirm(const char *hash, void (*done)(const char *problem, void *data), void *data, void *userdata) {
    struct daemon *d = userdata;
    struct confirmation *c = xnew0(struct confirmation);
    *c = (struct confirmation){done, data};
    pool_confirm_network(d->pool, hash, on_confirmed, c);
}

void daemon_prepare_address(void (*done)(const char *problem, void *data), void *data, void *userdata) {
    struct daemon *d = userdata;
    struct confirmation *c = xnew0(struct confirmation);
    *c = (struct confirmation){done, data};
    pool_prepare_address(d->pool, on_confirmed, c);
}

void daemon_address_settled(void *userdata) {
    struct daemon *d = userdata;
    pool_address_settled(d->pool);
}

/* ---- the start ---- */
/* Faults that the network start found and could not mend. */
static void read_netboot(struct daemon *d) {
    _cleanup_free_ char *path = strf("%s/netboot.json", d->options.run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value report = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    struct value list = value_map();
    int r = fs_read(path, NETBOOT_REPORT_MAX, &text);
    const struct value *problems = NULL;
    if (r == 0 && value_json_parse(buf_str(&text), text.size, 16, 65536, &report, &e) && report.type == VALUE_MAP)
        problems = value_map_get(&report, "problems");
    for (size_t i = 0; problems && problems->type == VALUE_SET && i < problems->set.n; i++) {
        const struct value *p = &problems->set.items[i];
        const char *code = p->type == VALUE_MAP ? value_map_str(p, "code") : NULL,
                   *line = code ? value_map_str(p, "text") : NULL;
        const struct value *healed = code ? value_map_get(p, "healed") : NULL;
        if (!line)
            continue;
        log_warn("at the start of the network: %s: %s", code, line);
        if (!healed || !value_as_bool(healed))
            value_map_put(&list, code, value_string(line));
    }
    faults_state(d->faults, FAULTS_NETBOOT, list);
}

static void on_master(const struct error *error, void *userdata) {}

/* An emergency network reset named the address at which the coordinator is now. */
static void take_master(struct daemon *d, const char *folder) {
    _cleanup_free_ char *path = strf("%s/master", folder);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct net_addr a;
    if (fs_read(path, NET_ADDR_TEXT_SIZE, &text) < 0)
        return;
    if (net_addr_parse(buf_str(&text), &a) && !pool_is_coordinator(d->pool)) {
        log_notice("the coordinator is looked for at %s, as the network reset says", buf_str(&text));
        pool_emergency(d->pool, buf_str(&text), on_master, d);
    }
    (void)fs_unlink(path);
}

/* The address of the management port is there as soon as the network start has put it there, or a server has given one.
 */
static void on_wait_network(struct loop_source *s, void *userdata) {
    struct daemon *d = userdata;
    struct net_problems problems = {0};
    enum net_store_source source;
    _cleanup_error_ struct error *e = NULL;
    _cleanup_free_ char *folder = strf("%s/network", d->options.state_dir);
    _cleanup_net_config_ struct net_config *good = net_store_load(folder, &source, &problems, &e);
    struct rows_host facts;
    net_problems_done(&problems);
    if (!good || !hostinfo_read(good, &facts, &e)) {
        if (!d->said_no_network)
            log_warn("no management address yet (%s); this host answers on its local socket, and 'muster-netboot init "
                     "--help' says how to give it one",
                     error_text(e));
        d->said_no_network = true;
        loop_timer_set(d->network_timer, NETWORK_RETRY_MS);
        return;
    }
    pool_start(d->pool, &facts);
    daemon_hooks_serve(d);
    take_master(d, folder);
}

static void on_metrics(struct loop_source *s, void *userdata) {
    struct daemon *d = userdata;
    loop_timer_set(d->metrics_timer, METRICS_MS);
    measure(d);
    look_at_sizes(d);
    class_vm_make_defaults(d->api);
    class_role_make_defaults(d->api);
    class_vm_pools_look(d->api);
}

void daemon_state_init(struct daemon *d) {
    read_netboot(d);
    d->metrics_timer = loop_add_timer(d->loop, METRICS_MS, on_metrics, d);
    d->network_timer = loop_add_timer(d->loop, 0, on_wait_network, d);
    d->own_watch = db_watch_add(d->db, CLASS_host, on_own_row, d);
}

/* The command that ends this host may end later than the host has left its pool: who asked for it is told before. */
static void on_down(const struct error *error, void *userdata) {
    struct daemon *d = userdata;
    d->is_down = true;
    if (d->n_power > 0)
        loop_timer_set(d->restart_timer, POWER_ANSWER_MS);
    else
        loop_quit(d->loop, 0);
}

void daemon_power_answered(struct daemon *d) {
    if (--d->n_power == 0 && d->is_down)
        loop_timer_set(d->restart_timer, ANSWER_LEAVES_MS);
}

void daemon_go_down(struct daemon *d) {
    if (d->going_down)
        return;
    d->going_down = true;
    log_notice("this host goes down: leaving the pool in order");
    pool_prepare_shutdown(d->pool, on_down, d);
}
