/* SPDX-License-Identifier: Apache-2.0 */
/* musterd: makes the parts, ties them together, runs the loop, takes them apart. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "classes/net_change.h"
#include "classes/vm_ops.h"
#include "daemon/cli_server.h"
#include "daemon/console.h"
#include "daemon/daemon.h"
#include "daemon/network_history.h"
#include "daemon/rehearsal.h"
#include "daemon/transfer.h"
#include "gen_handlers.h"
#include "wire/http_client.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

#define N_WORKERS 4
#define KEEP_MEMORY (16 << 20) /* bytes at the end of the heap that are not given back */
#define SWITCH_TIMEOUT_MS 5000
#define RESTART_MS 250
#define WALL_OFFSET_MAX_MS INT64_C(3153600000000) /* a hundred years */

static bool is_live(const struct uuid *host, void *userdata) {
    struct daemon *d = userdata;
    return pool_host_is_live(d->pool, host);
}

static bool is_coordinator(void *userdata) {
    struct daemon *d = userdata;
    return pool_is_coordinator(d->pool);
}

static bool is_ready(void *userdata) {
    struct daemon *d = userdata;
    return states_is_ready(pool_state(d->pool));
}

/* What clients are shown is another file now: served, or refused with why not. */
static bool reload_shown(void *userdata, struct error **errp) {
    struct daemon *d = userdata;
    if (!d->https)
        return true; /* read when HTTPS is served */
    if (!tls_context_reload(d->https, errp))
        return false;
    if (!*tls_context_shown_trouble(d->https))
        return true;
    error_internal(errp, "%s", tls_context_shown_trouble(d->https));
    return false;
}

static void on_certificates(void *userdata) {
    struct daemon *d = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (!daemon_serve_https(d, &e))
        log_err("the API cannot be served over HTTPS: %s; the local socket works", error_text(e));
}

static void on_restart(const char *reason, void *userdata) {
    struct daemon *d = userdata;
    log_notice("the daemon starts anew: %s", reason);
    d->restart = true;
    loop_timer_set(d->restart_timer, RESTART_MS); /* the call that asked for it is answered first */
}

static void on_restart_timer(struct loop_source *s, void *userdata) {
    struct daemon *d = userdata;
    loop_quit(d->loop, 0);
}

static const struct pool_callbacks pool_callbacks = {
    .certificates = on_certificates, .restart = on_restart, .state = daemon_state_changed};

static void on_signal(struct loop_source *s, int signo, void *userdata) {
    struct daemon *d = userdata;
    if (signo == SIGPWR)
        daemon_go_down(d);
    else
        loop_quit(d->loop, 0);
}

static void on_database(struct db *db, void *userdata) {
    struct daemon *d = userdata;
    pool_look(d->pool);
    if (d->netglue && db_get_status(db).in_step)
        netglue_in_step(d->netglue);
}

static bool open_switch(struct daemon *d, struct error **errp) {
    int r = link_kernel_open(&d->link);
    if (r < 0) {
        error_errno(errp, r, "opening rtnetlink");
        return false;
    }
    d->ovs = ovs_db_open(d->options.switch_run_dir, SWITCH_TIMEOUT_MS, errp);
    return d->ovs != NULL;
}

static const char *datapath(void *userdata) {
    struct daemon *d = userdata;
    struct net_agent_state s;
    net_agent_state(netglue_agent(d->netglue), &s);
    return net_datapath_text(s.good ? s.good->datapath : NET_DATAPATH_SYSTEM);
}

static bool make_parts(struct daemon *d, struct error **errp) {
    struct pool_config pool = {.loop = d->loop,
                               .db = d->db,
                               .worker = d->worker,
                               .state_dir = d->options.state_dir,
                               .run_dir = d->options.run_dir,
                               .schema_path = d->options.schema_path,
                               .callbacks = &pool_callbacks,
                               .userdata = d};
    d->pool = pool_new(&pool, errp);
    if (!d->pool || !open_switch(d, errp))
        return false;
    d->self = *pool_self(d->pool);
    d->client = http_client_new(d->loop);
    d->faults = faults_new(d->loop, d->db, &d->self);
    struct probing_config probing = {.loop = d->loop,
                                     .db = d->db,
                                     .worker = d->worker,
                                     .faults = d->faults,
                                     .self = d->self,
                                     .switch_run_dir = d->options.switch_run_dir,
                                     .is_live = is_live,
                                     .is_coordinator = is_coordinator,
                                     .userdata = d};
    d->probing = probing_new(&probing);
    struct netglue_config netglue = {.loop = d->loop,
                                     .db = d->db,
                                     .worker = d->worker,
                                     .faults = d->faults,
                                     .probing = d->probing,
                                     .link = d->link,
                                     .ovs = d->ovs,
                                     .self = d->self,
                                     .state_dir = d->options.state_dir,
                                     .run_dir = d->options.run_dir,
                                     .netboot_path = d->options.netboot_path,
                                     .confirm = daemon_confirm,
                                     .prepare = daemon_prepare_address,
                                     .prepared_end = daemon_address_settled,
                                     .changed = daemon_network_changed,
                                     .userdata = d};
    d->netglue = netglue_new(&netglue);
    db_on_status(d->db, on_database, d);
    d->network_calls = (struct network_calls){.netglue = d->netglue,
                                              .aheads = probing_aheads_new(d->loop, &d->self),
                                              .history = network_history_new(d->options.state_dir)};
    struct watch_config watch = {.loop = d->loop,
                                 .db = d->db,
                                 .worker = d->worker,
                                 .faults = d->faults,
                                 .netglue = d->netglue,
                                 .self = d->self,
                                 .switch_run_dir = d->options.switch_run_dir};
    d->watch = watch_new(&watch, errp);
    if (!d->watch)
        return false;
    struct vm_agent_config vms = {.loop = d->loop,
                                  .db = d->db,
                                  .self = d->self,
                                  .state_dir = d->options.state_dir,
                                  .run_dir = d->options.run_dir,
                                  .uri = *d->options.hypervisor ? d->options.hypervisor : NULL,
                                  .datapath = datapath,
                                  .userdata = d};
    d->vms = vm_agent_new(&vms);
    daemon_hooks_init(d);
    _cleanup_free_ char *audit = strf("%s/audit.log", d->options.state_dir);
    struct api_config api = {.loop = d->loop,
                             .db = d->db,
                             .worker = d->worker,
                             .own_host = d->self,
                             .hooks = &d->hooks,
                             .handlers = model_handlers,
                             .audit_path = audit};
    d->api = api_new(&api);
    net_change_watch(d->api);
    vm_ops_watch(d->api);
    d->alerts = alerts_new(d->loop, d->db, d->api, is_coordinator, d);
    struct certificates_config certificates = {.loop = d->loop,
                                               .db = d->db,
                                               .api = d->api,
                                               .self = d->self,
                                               .state_dir = d->options.state_dir,
                                               .is_coordinator = is_coordinator,
                                               .is_ready = is_ready,
                                               .reload = reload_shown,
                                               .userdata = d};
    d->certificates = certificates_new(&certificates);
    if (!daemon_serve_local(d, errp))
        return false;
    d->consoles = consoles_new(d);
    d->transfers = transfers_new(d);
    d->cli = cli_server_new(d);
    daemon_state_init(d);
    return true;
}

static void free_parts(struct daemon *d) {
    loop_source_free(TAKE(d->metrics_timer));
    loop_source_free(d->network_timer);
    loop_source_free(d->restart_timer);
    db_watch_free(d->own_watch);
    db_sync_stop(d->db); /* whoever waits for a write is told now, while all parts are there */
    alerts_free(d->alerts);
    certificates_free(d->certificates);
    http_server_free(d->http);
    http_client_free(d->client);
    vm_agent_free(d->vms);
    worker_free(d->worker); /* running jobs end; what they bring is dropped below */
    consoles_free(d->consoles);
    cli_server_free(d->cli);
    probing_aheads_free(d->network_calls.aheads);
    network_history_free(d->network_calls.history);
    watch_free(d->watch);
    netglue_free(d->netglue);
    first_proof_free(d->first_proof);
    probing_free(d->probing);
    pool_free(d->pool);
    api_free(d->api);
    transfers_free(d->transfers); /* what the pool has just answered was for them */
    faults_free(d->faults);
    db_free(d->db);
    tls_context_unref(d->https);
    ovs_free(d->ovs);
    link_free(d->link);
    rehearsal_free(d);
    loop_free(d->loop);
}

/*
 * Fault injection: the file wall-offset-ms in the run folder, read at start and at SIGUSR2, moves this daemon's wall
 * clock, for a wall clock is not private to a namespace. The folder is root's and empty after a boot.
 */
static void take_wall_offset(struct daemon *d) {
    _cleanup_free_ char *path = strf("%s/wall-offset-ms", d->options.run_dir);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int64_t offset_ms = 0;
    if (fs_read(path, 32, &text) < 0) {
        loop_set_wall_offset_ms(d->loop, 0);
        return;
    }
    if (!str_parse_int(buf_str(&text), -WALL_OFFSET_MAX_MS, WALL_OFFSET_MAX_MS, &offset_ms)) {
        log_warn("'%s' holds no number of milliseconds; the wall clock stays as it is", path);
        return;
    }
    loop_set_wall_offset_ms(d->loop, offset_ms);
    log_warn("the wall clock is moved by %lld ms, as '%s' asks", (long long)offset_ms, path);
}

static void on_wall_offset(struct loop_source *s, int signo, void *userdata) {
    take_wall_offset(userdata);
}

static void prepare_process(void) {
    /* Answers of some MiB follow each other: making their pages anew for each took as long as all the rest. */
    (void)mallopt(M_MMAP_THRESHOLD, KEEP_MEMORY);
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_MEMORY);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "musterd"); /* a daemon that started anew came from /proc/self/exe and would be called 'exe' */
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* keys and passwords pass through this memory */
    /* Heartbeats must not wait behind a busy guest. Without the right to it, the daemon runs as it is. */
    errno = 0;
    if (setpriority(PRIO_PROCESS, 0, -10) < 0)
        log_info("the daemon runs at ordinary priority: %s", strerror(errno));
}

int main(int argc, char **argv) {
    struct daemon d = {0};
    options_parse(&d.options, argc, argv);
    log_init("musterd", (enum log_level)d.options.log_level);
    prepare_process();
    int r = fs_mkdirs(d.options.run_dir, 0755);
    if (r < 0) {
        log_err("making '%s': %s", d.options.run_dir, strerror(-r));
        return 1;
    }
    d.loop = loop_new();
    struct loop_source *signals[] = {
        loop_add_signal(d.loop, SIGTERM, on_signal, &d), loop_add_signal(d.loop, SIGINT, on_signal, &d),
        loop_add_signal(d.loop, SIGPWR, on_signal, &d), loop_add_signal(d.loop, SIGUSR2, on_wall_offset, &d)};
    take_wall_offset(&d);
    d.restart_timer = loop_add_timer(d.loop, LOOP_NEVER, on_restart_timer, &d);
    d.worker = worker_new(d.loop, N_WORKERS);
    d.db = db_new(d.loop);
    _cleanup_error_ struct error *e = NULL;
    int code = 1;
    if (make_parts(&d, &e)) {
        log_notice("musterd is up");
        code = loop_run(d.loop);
    } else {
        log_err("%s", error_text(e));
    }
    bool restart = d.restart;
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
        loop_source_free(signals[i]);
    free_parts(&d);
    if (restart) {
        execv("/proc/self/exe", argv);
        log_err("starting anew: %s", strerror(errno));
        return 1;
    }
    return code;
}
