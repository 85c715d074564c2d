/* SPDX-License-Identifier: Apache-2.0 */
/* A host: its power, its daemon's process and what it consists of. */
#include "sim_daemon.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "pool/pool_private.h"
#include "sim_server.h"

#define BOOT_MS 1500   /* from power to the daemon's start */
#define NETWORK_MS 100 /* the network agent has settled */
#define RESTART_MS 250
#define METRICS_MS 5000

void sim_host_init(unsigned i) {
    struct sim_host *h = &sim->hosts[i];
    *h = (struct sim_host){.i = i, .limit_out = SIM_MTU, .limit_in = SIM_MTU};
    (void)snprintf(h->name, sizeof(h->name), "h%u", i);
    (void)snprintf(h->address, sizeof(h->address), "10.0.0.%u", i + 1);
    h->server = xnew0(struct server);
    h->server->host = h;
}

void sim_host_done(struct sim_host *h) {
    sim_daemon_kill(h);
    server_power_cut(h->server);
    file_remove(h->server);
    free(TAKE(h->server));
}

struct pool *sim_pool(const struct sim_host *h) {
    return h->daemon ? h->daemon->pool : NULL;
}
struct db *sim_db(const struct sim_host *h) {
    return h->daemon ? h->daemon->db : NULL;
}
const struct uuid *sim_uuid_of(const struct sim_host *h) {
    return h->daemon ? &h->daemon->self : NULL;
}
struct inbox *sim_daemon_inbox(const struct sim_host *h) {
    return h->daemon ? h->daemon->inbox : NULL;
}

/* ---- things that happen to a host after a while, in the world's loop ---- */
struct later {
    struct sim_host *host;
    unsigned n_starts; /* void when it has been started again meanwhile */
    void (*fn)(struct sim_host *h);
    struct loop_source *timer;
};

static void on_later(struct loop_source *t, void *userdata) {
    struct later *l = userdata;
    loop_source_free(l->timer);
    if (l->n_starts == l->host->n_starts)
        l->fn(l->host);
    free(l);
}

static void later(struct sim_host *h, uint64_t ms, void (*fn)(struct sim_host *h)) {
    struct later *l = xnew0(struct later);
    *l = (struct later){.host = h, .n_starts = h->n_starts, .fn = fn};
    l->timer = loop_add_timer(sim->loop, ms, on_later, l);
}

/* ---- the daemon ---- */
static void restart_now(struct sim_host *h) {
    if (!h->powered)
        return;
    sim_daemon_kill(h);
    sim_daemon_start(h);
}

static void on_restart(const char *reason, void *userdata) {
    struct sim_daemon *d = userdata;
    d->ending = true;
    later(d->host, RESTART_MS, restart_now);
}

/* As daemon/daemon_state.c does. */
static void look_at_sizes(struct sim_daemon *d) {
    const char *sentence = faults_limit(d->faults);
    pool_set_limited(d->pool, sentence != NULL, sentence ? sentence : "");
}

static void on_proven(void *userdata) {
    struct sim_daemon *d = userdata;
    look_at_sizes(d);
    pool_set_proven(d->pool, true);
}

static void on_state(void *userdata) {
    struct sim_daemon *d = userdata;
    const struct sm *state = pool_state(d->pool);
    if (state->state == STATE_PROVING && !d->first_proof)
        d->first_proof = first_proof_new(d->loop, d->db, d->probing, d->faults, on_proven, d);
    if (states_is_ready(state) && !d->said_ready) {
        d->said_ready = true;
        d->said_limited = state->state == STATE_LIMITED;
    }
}

static bool is_live(const struct uuid *host, void *userdata) {
    struct sim_daemon *d = userdata;
    return pool_host_is_live(d->pool, host);
}

static bool is_coordinator(void *userdata) {
    struct sim_daemon *d = userdata;
    return pool_is_coordinator(d->pool);
}

static void on_own_row(struct db *db, enum db_event event, const struct row *r, void *userdata) {
    struct sim_daemon *d = userdata;
    if (uuid_eq(&r->uuid, &d->self))
        look_at_sizes(d);
}

static void on_size_timer(struct loop_source *s, void *userdata) {
    struct sim_daemon *d = userdata;
    loop_timer_set(d->size_timer, METRICS_MS);
    look_at_sizes(d);
}

static void on_certificates(void *userdata) {}

static const struct pool_callbacks callbacks = {
    .certificates = on_certificates, .restart = on_restart, .state = on_state};

static void on_start(struct loop_source *s, void *userdata) {
    struct sim_daemon *d = userdata;
    struct rows_host facts = {.n_nics = 1, .management_vlan = -1};
    struct rows_nic *nic = &facts.nics[0];
    (void)str_copy(facts.hostname, sizeof(facts.hostname), d->host->name);
    (void)str_copy(facts.address, sizeof(facts.address), d->host->address);
    *nic = (struct rows_nic){
        .device = "eth0", .mtu = 1500, .management = true, .address = {.mode = "Static", .ipv6_mode = "None"}};
    (void)snprintf(nic->mac, sizeof(nic->mac), "02:00:00:00:00:%02x", d->host->i);
    (void)str_copy(nic->address.ip, sizeof(nic->address.ip), d->host->address);
    (void)str_copy(nic->address.netmask, sizeof(nic->address.netmask), "255.255.255.0");
    pool_set_network(d->pool, false);
    pool_start(d->pool, &facts);
}

void sim_daemon_start(struct sim_host *h) {
    if (h->daemon || !h->powered)
        return;
    _cleanup_free_ char *state = strf("/%s/state", h->name), *run = strf("/%s/run", h->name);
    _cleanup_error_ struct error *e = NULL;
    struct sim_daemon *d = xnew0(struct sim_daemon);
    h->n_starts++;
    h->daemon = d;
    d->host = h;
    d->loop = loop_sim_loop(sim->clock);
    loop_set_wall_offset_ms(d->loop, h->wall_offset_ms);
    d->worker = worker_new(d->loop, 1);
    d->db = db_new(d->loop);
    d->inbox = inbox_new(d->loop, d);
    d->start_timer = loop_add_timer(d->loop, NETWORK_MS, on_start, d);
    struct pool_config config = {.loop = d->loop,
                                 .db = d->db,
                                 .worker = d->worker,
                                 .state_dir = state,
                                 .run_dir = run,
                                 .schema_path = "schema",
                                 .callbacks = &callbacks,
                                 .userdata = d};
    d->pool = pool_new(&config, &e);
    if (!d->pool)
        abort(); /* files here are never damaged */
    d->self = *pool_self(d->pool);
    d->faults = faults_new(d->loop, d->db, &d->self);
    struct probing_config probing = {.loop = d->loop,
                                     .db = d->db,
                                     .worker = d->worker,
                                     .faults = d->faults,
                                     .self = d->self,
                                     .switch_run_dir = "/nowhere", /* kept; there is no switch to ask */
                                     .is_live = is_live,
                                     .is_coordinator = is_coordinator,
                                     .userdata = d};
    d->probing = probing_new(&probing);
    d->alerts = alerts_new(d->loop, d->db, (struct api *)d, is_coordinator, d);
    d->size_timer = loop_add_timer(d->loop, METRICS_MS, on_size_timer, d);
    d->own_watch = db_watch_add(d->db, CLASS_host, on_own_row, d);
}

void sim_daemon_kill(struct sim_host *h) {
    struct sim_daemon *d = h->daemon;
    if (!d)
        return;
    h->n_starts++;
    inbox_free(d->inbox);
    loop_source_free(d->start_timer);
    loop_source_free(d->size_timer);
    db_watch_free(d->own_watch);
    alerts_free(d->alerts);
    first_proof_free(d->first_proof);
    probing_free(d->probing);
    pool_free(d->pool);
    faults_free(d->faults);
    db_free(d->db);
    worker_free(d->worker);
    loop_free(d->loop);
    h->daemon = NULL;
    free(d);
}

/* ---- power ---- */
void sim_power_cut(struct sim_host *h) {
    if (!h->powered)
        return;
    h->powered = false;
    sim_streams_power_cut(h->i);
    sim_daemon_kill(h);
    server_power_cut(h->server);
    h->n_starts++;
}

void sim_power_on(struct sim_host *h) {
    if (h->powered)
        return;
    h->powered = true;
    h->leaving = false;
    h->on_since_ms = sim_now_ms();
    later(h, BOOT_MS + sim_luck(1500), sim_daemon_start);
}

void sim_stall(struct sim_host *h, uint64_t ms) {
    if (h->daemon)
        loop_sim_stall(h->daemon->loop, ms);
}

static void off_and_on(struct sim_host *h) {
    sim_power_cut(h);
    later(h, 3000 + sim_luck(8000), sim_power_on);
}

static void end_daemon(struct sim_host *h) {
    sim_daemon_kill(h);
    later(h, 1000, off_and_on);
}

static void on_prepared(const struct error *error, void *userdata) {
    struct sim_daemon *d = userdata;
    later(d->host, 50, end_daemon);
}

void sim_reboot(struct sim_host *h) {
    if (!h->daemon || h->daemon->going_down)
        return;
    h->leaving = h->daemon->going_down = true;
    pool_prepare_shutdown(h->daemon->pool, on_prepared, h->daemon);
}
