/* SPDX-License-Identifier: Apache-2.0 */
/* What the API asks of the daemon, and what other hosts ask of this one over the pool channel. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/http_auth.h"
#include "base/fs.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "daemon/hostinfo.h"
#include "daemon/join_plan.h"
#include "daemon/network_history.h"
#include "daemon/power.h"
#include "daemon/rehearsal.h"
#include "pool/pool_outlook.h"
#include "wire/http_client.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

#define OP_TIMEOUT_MS 30000
#define SESSION_ASK_MS 5000
#define FORWARD_EXTRA_MS 5000
#define FORWARD_CONNECT_MS 3000
#define NETBOOT_MS 3000 /* clients give up at "no address", and try again at "still booting" */

/* ---- plain questions ---- */
static bool hook_is_coordinator(void *userdata) {
    struct daemon *d = userdata;
    return pool_is_coordinator(d->pool);
}

static bool hook_emergency(void *userdata, struct error **errp) {
    struct daemon *d = userdata;
    const struct sm *state = pool_state(d->pool);
    switch (state->state) {
    case STATE_EMERGENCY:
        if (pool_schema_trouble(d->pool) && !db_get_status(d->db).loaded) {
            error_set(errp, ERR_DB_SCHEMA_UNKNOWN, pool_schema_trouble(d->pool), NULL);
            return true;
        }
        error_set(errp, ERR_HOST_MASTER_CANNOT_TALK_BACK, pool_coordinator_address(d->pool), state->reason, NULL);
        return true;
    case STATE_NETBOOT: { /* left at the first look at the network, unless there is no address */
        bool is_new = loop_now_ms(d->loop) - state->entered_ms < NETBOOT_MS;
        error_set(errp, is_new ? ERR_HOST_STILL_BOOTING : ERR_HOST_HAS_NO_MANAGEMENT_IP, NULL);
        return true;
    }
    case STATE_CONTACTING:
    case STATE_SYNCING:
        if (pool_schema_trouble(d->pool))
            error_set(errp, ERR_DB_SCHEMA_UNKNOWN, pool_schema_trouble(d->pool), NULL);
        else if (state->state == STATE_SYNCING && db_get_status(d->db).loaded)
            return false;
        else
            error_set(errp, ERR_HOST_STILL_BOOTING, NULL);
        return true;
    default:
        return false;
    }
}

static bool hook_is_pool_host(void *userdata, const char *common_name, const char *key_fingerprint) {
    struct daemon *d = userdata;
    return pool_is_member_key(d->pool, common_name, key_fingerprint);
}

static const char *hook_coordinator_address(void *userdata) {
    struct daemon *d = userdata;
    return pool_coordinator_address(d->pool);
}

static bool hook_is_live(void *userdata, const struct uuid *host) {
    struct daemon *d = userdata;
    return pool_host_is_live(d->pool, host);
}

static bool hook_is_new(void *userdata, const struct uuid *host) {
    struct daemon *d = userdata;
    return pool_host_is_new(d->pool, host);
}

/* ---- operations of the pool ---- */
struct op {
    struct daemon *d;
    api_op_done_fn *done;
    void *data;
};

static struct op *op_new(struct daemon *d, api_op_done_fn *done, void *data) {
    struct op *o = xnew0(struct op);
    *o = (struct op){d, done, data};
    return o;
}

static void op_end(const struct error *error, void *userdata) {
    struct op *o = userdata;
    struct error *e = error ? error_dup(error) : NULL;
    o->done(e, o->data);
    error_free(e);
    free(o);
}

/* Who this host is by now: management may have moved. */
static void refresh_facts(struct daemon *d) {
    struct net_agent_state s;
    struct rows_host facts;
    struct error *e = NULL;
    net_agent_state(netglue_agent(d->netglue), &s);
    if (s.good && hostinfo_read(s.good, &facts, &e))
        pool_start(d->pool, &facts);
    error_free(e);
}

struct joining {
    struct op *op;
    struct api_join_args args; /* owned texts */
};

/*
 * The paths have been measured. A leg that carries less than is wanted is no obstacle: the host joins, size-limited,
 * and the alert will say what the log says now. What does stand in the way, the pool answers to the join itself.
 */
static void on_path_proven(struct error *error, const struct value *plan, void *data) {
    struct joining *j = data;
    const struct api_join_args *a = &j->args;
    const char *limited = plan ? value_map_str(plan, "limited") : NULL;
    if (!str_empty(limited))
        log_warn("this host joins all the same: %s", limited);
    if (error) {
        op_end(error, j->op);
    } else {
        struct pool_join_request r = {.address = a->address,
                                      .user = a->user,
                                      .password = a->password,
                                      .fingerprint = a->fingerprint,
                                      .force = a->force};
        pool_join_other(j->op->d->pool, &r, op_end, j->op);
    }
    free((char *)a->address);
    free((char *)a->user);
    explicit_bzero((char *)a->password, strlen(a->password));
    free((char *)a->password);
    free((char *)a->fingerprint);
    free(j);
}

static void hook_join(void *userdata, const struct api_join_args *args, api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    struct joining *j = xnew0(struct joining);
    refresh_facts(d);
    *j = (struct joining){.op = op_new(d, done, data),
                          .args = {.address = xstrdup(args->address),
                                   .user = xstrdup(args->user),
                                   .password = xstrdup(args->password),
                                   .fingerprint = xstrdup(args->fingerprint),
                                   .force = args->force,
                                   .prove = true}};
    join_plan_start(d, &j->args, on_path_proven, j);
}

static void hook_join_plan(void *userdata, const struct api_join_args *args, api_query_done_fn *done, void *data) {
    refresh_facts(userdata);
    join_plan_start(userdata, args, done, data);
}

static void hook_join_look(void *userdata, const struct value *request, api_query_done_fn *done, void *data) {
    join_plan_look(userdata, request, done, data);
}

static void hook_eject(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    pool_remove_host(d->pool, host, /* forget= */ false, op_end, op_new(d, done, data));
}

static void hook_forget(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    pool_remove_host(d->pool, host, /* forget= */ true, op_end, op_new(d, done, data));
}

static void hook_set_coordinator(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    pool_set_coordinator(d->pool, host, op_end, op_new(d, done, data));
}

static void hook_rotate(void *userdata, api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    pool_rotate_authority(d->pool, op_end, op_new(d, done, data));
}

static void hook_emergency_op(void *userdata, const char *address, api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    pool_emergency(d->pool, address, op_end, op_new(d, done, data));
}

struct query {
    api_query_done_fn *done;
    void *data;
};

static void query_end(const struct error *error, const struct value *result, void *userdata) {
    struct query *q = userdata;
    struct error *e = error ? error_dup(error) : NULL;
    q->done(e, result, q->data);
    error_free(e);
    free(q);
}

static struct query *query_new(api_query_done_fn *done, void *data) {
    struct query *q = xnew0(struct query);
    *q = (struct query){done, data};
    return q;
}

static void hook_join_request(void *userdata, const struct value *request, api_query_done_fn *done, void *data) {
    struct daemon *d = userdata;
    pool_admit(d->pool, request, query_end, query_new(done, data));
}

/* ---- sessions, of which the coordinator knows ---- */
static void on_session(const struct value *result, const struct error *error, void *userdata) {
    query_end(error, result, userdata);
}

static void hook_session_ask(void *userdata, const struct uuid *session, api_query_done_fn *done, void *data) {
    struct daemon *d = userdata;
    struct query *q = query_new(done, data);
    const struct row *pool = db_pool(d->db);
    _cleanup_error_ struct error *e = NULL;
    if (!pool_get_channel(d->pool) || !pool) {
        error_set(&e, ERR_HOST_STILL_BOOTING, NULL);
        query_end(e, NULL, q);
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "session", value_uuid(session));
    pool_channel_call(pool_get_channel(d->pool), row_ref(pool, FIELD_pool_master), "session", args, SESSION_ASK_MS,
                      on_session, q);
}

static void serve_session(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct daemon *d = userdata;
    struct uuid u;
    struct error *e = NULL;
    if (value_map_uuid(args, "session", &u)) {
        pool_reply_return(reply, api_session_describe(d->api, &u));
        return;
    }
    error_internal(&e, "the request names no session");
    pool_reply_fail(reply, e);
}

/* ---- one host asked to do something with itself ---- */
static const char *const op_names[] = {[API_HOST_REBOOT] = "reboot",
                                       [API_HOST_SHUTDOWN] = "shutdown",
                                       [API_HOST_RESTART_AGENT] = "restart-agent",
                                       [API_HOST_SCAN_NICS] = "scan-nics",
                                       [API_HOST_MANAGEMENT_RECONFIGURE] = "management-reconfigure",
                                       [API_HOST_SET_HOSTNAME] = "set-hostname",
                                       [API_HOST_RENEW_CERTIFICATE] = "renew-certificate",
                                       [API_HOST_INSTALL_CERTIFICATE] = "install-certificate",
                                       [API_HOST_RESET_CERTIFICATE] = "reset-certificate"};

static void on_op(const struct value *result, const struct error *error, void *userdata) {
    op_end(error, userdata);
}

static void hook_host_op(void *userdata, enum api_host_op op, const struct uuid *host, const struct value *args,
                         api_op_done_fn *done, void *data) {
    struct daemon *d = userdata;
    struct op *o = op_new(d, done, data);
    struct value message = value_map();
    if (!pool_get_channel(d->pool)) {
        _cleanup_error_ struct error *e = NULL;
        value_done(&message);
        error_set(&e, ERR_HOST_STILL_BOOTING, NULL);
        op_end(e, o);
        return;
    }
    value_map_add(&message, "op", value_string(op_names[op]));
    value_map_add(&message, "args", args ? value_copy(args) : value_map());
    pool_channel_call(pool_get_channel(d->pool), host, "host_op", message, OP_TIMEOUT_MS, on_op, o);
}

static void on_power(const struct error *error, void *userdata) {
    struct pool_reply *reply = userdata;
    if (error)
        pool_reply_fail(reply, error_dup(error));
    else
        pool_reply_return(reply, value_bool(true));
}

struct power_op {
    struct daemon *d;
    struct pool_reply *reply;
};

static void on_power_command(const struct error *error, void *userdata) {
    struct power_op *o = userdata;
    on_power(error, o->reply);
    daemon_power_answered(o->d);
    free(o);
}

static void restart_later(void *userdata) {
    struct daemon *d = userdata;
    d->restart = true;
    loop_timer_set(d->restart_timer, 250);
}

static void scan_nics(struct daemon *d, struct pool_reply *reply);

static void serve_certificate(struct daemon *d, const struct value *args, struct pool_reply *reply) {
    struct error *e = NULL;
    bool ok = args ? certificates_install(d->certificates, str_or_empty(value_map_str(args, "certificate")),
                                          str_or_empty(value_map_str(args, "key")),
                                          str_or_empty(value_map_str(args, "chain")), &e)
                   : certificates_reset(d->certificates, &e);
    if (ok)
        pool_reply_return(reply, value_bool(true));
    else
        pool_reply_fail(reply, e);
}

static void serve_host_op(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct daemon *d = userdata;
    const char *op = value_map_str(args, "op");
    const struct value *op_args = value_map_get(args, "args");
    _cleanup_error_ struct error *e = NULL;
    if (op && (str_eq(op, "reboot") || str_eq(op, "shutdown"))) {
        log_notice("%s, as the pool asks", str_eq(op, "reboot") ? "reboot" : "shutdown");
        struct power_op *o = xnew0(struct power_op);
        *o = (struct power_op){d, reply};
        d->n_power++;
        power_run(d->loop, str_eq(op, "reboot") ? API_HOST_REBOOT : API_HOST_SHUTDOWN, on_power_command, o);
        return;
    }
    if (op && str_eq(op, "restart-agent")) {
        pool_reply_return(reply, value_bool(true));
        loop_defer(d->loop, restart_later, d);
        return;
    }
    if (op && str_eq(op, "renew-certificate")) {
        pool_renew_certificate(d->pool, on_power, reply);
        return;
    }
    if (op && (str_eq(op, "reset-certificate") || (str_eq(op, "install-certificate") && op_args))) {
        serve_certificate(d, str_eq(op, "install-certificate") ? op_args : NULL, reply);
        return;
    }
    if (op && str_eq(op, "scan-nics")) {
        scan_nics(d, reply);
        return;
    }
    if (op && str_eq(op, "set-hostname") && op_args && value_map_str(op_args, "hostname")) {
        const char *name = value_map_str(op_args, "hostname");
        if (sethostname(name, strlen(name)) == 0 && fs_write_atomic("/etc/hostname", name, strlen(name), 0644) == 0) {
            pool_reply_return(reply, value_bool(true));
            return;
        }
        error_internal(&e, "the system did not take the name");
    } else {
        error_set(&e, ERR_NOT_IMPLEMENTED, op ? op : "", NULL);
    }
    pool_reply_fail(reply, TAKE(e));
}

/* ---- NICs without a PIF ---- */
static void on_scan_written(struct error *error, void *userdata) {
    struct pool_reply *reply = userdata;
    if (error)
        pool_reply_fail(reply, error_dup(error));
    else
        pool_reply_return(reply, value_bool(true));
}

static bool has_pif(struct daemon *d, const char *device) {
    for (const struct row *r = db_first(d->db, CLASS_PIF); r; r = db_next(d->db, r))
        if (uuid_eq(row_ref(r, FIELD_PIF_host), &d->self) && row_bool(r, FIELD_PIF_physical) &&
            str_eq(row_str(r, FIELD_PIF_device), device))
            return true;
    return false;
}

static void scan_nics(struct daemon *d, struct pool_reply *reply) {
    struct net_agent_state s;
    struct rows_host facts;
    struct error *e = NULL;
    net_agent_state(netglue_agent(d->netglue), &s);
    if (!s.good || !hostinfo_read(s.good, &facts, &e)) {
        if (!e)
            error_set(&e, ERR_HOST_STILL_BOOTING, NULL);
        pool_reply_fail(reply, e);
        return;
    }
    struct db_txn *t = db_txn_new(d->db, "NICs found");
    for (unsigned i = 0; i < facts.n_nics; i++)
        if (!has_pif(d, facts.nics[i].device))
            rows_add_nic(d->db, t, &d->self, &facts.nics[i]);
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        pool_reply_return(reply, value_bool(true));
        return;
    }
    db_txn_commit(t, OP_TIMEOUT_MS / 2, on_scan_written, reply);
}

/* ---- one host asked about itself ---- */
static void on_query(const struct value *result, const struct error *error, void *userdata) {
    query_end(error, result, userdata);
}

static const char *const query_names[] = {[API_QUERY_TIME] = "time",
                                          [API_QUERY_LOCAL_TIME] = "local-time",
                                          [API_QUERY_LOG] = "log",
                                          [API_QUERY_REHEARSAL] = "rehearsal",
                                          [API_QUERY_REHEARSAL_REPAIR] = "rehearsal-repair"};

static void on_time(const struct value *result, const struct error *error, void *userdata) {
    struct value v = {.type = VALUE_VOID};
    if (!error)
        v = value_time(value_as_int(result));
    query_end(error, &v, userdata);
}

static void hook_query(void *userdata, enum api_host_query query, const struct uuid *host, api_query_done_fn *done,
                       void *data) {
    struct daemon *d = userdata;
    struct query *q = query_new(done, data);
    _cleanup_error_ struct error *e = NULL;
    if (!pool_get_channel(d->pool)) {
        error_set(&e, ERR_HOST_STILL_BOOTING, NULL);
        query_end(e, NULL, q);
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "query", value_string(query_names[query]));
    pool_channel_call(pool_get_channel(d->pool), host, "host_query", args, OP_TIMEOUT_MS,
                      query == API_QUERY_TIME || query == API_QUERY_LOCAL_TIME ? on_time : on_query, q);
}

static void on_rehearsed(const struct value *verdicts, void *userdata) {
    pool_reply_return(userdata, value_copy(verdicts));
}

static void serve_query(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct daemon *d = userdata;
    const char *query = value_map_str(args, "query");
    int64_t now = loop_wall_ms(d->loop) / 1000;
    struct tm local;
    time_t t = (time_t)now;
    struct error *e = NULL;
    if (query && str_eq(query, "time")) {
        pool_reply_return(reply, value_int(now));
    } else if (query && str_eq(query, "local-time") && localtime_r(&t, &local)) {
        pool_reply_return(reply, value_int(now + local.tm_gmtoff));
    } else if (query && str_starts(query, "rehearsal")) {
        rehearsal_start(d, /* repair= */ str_eq(query, "rehearsal-repair"), on_rehearsed, reply);
    } else {
        error_set(&e, ERR_NOT_IMPLEMENTED, query ? query : "", NULL);
        pool_reply_fail(reply, e);
    }
}

/* ---- forwarding a local client's call to the coordinator ---- */
struct forward {
    char *address;
    api_forward_done_fn *done;
    void *data;
};

static void on_forwarded(const struct http_response *r, const struct error *error, void *userdata) {
    struct forward *f = userdata;
    struct error *e = NULL;
    if (error) /* the client has reached its server; it is the coordinator that this host has not */
        error_set(&e, ERR_HOST_MASTER_CANNOT_TALK_BACK, f->address, error_param(error, 1), NULL);
    f->done(e, error ? NULL : buf_str(&r->body), error ? 0 : r->body.size, f->data);
    error_free(e);
    free(f->address);
    free(f);
}

static void hook_forward(void *userdata, const char *request, size_t size, uint64_t timeout_ms,
                         api_forward_done_fn *done, void *data) {
    struct daemon *d = userdata;
    _cleanup_free_ char *cert = strf("%s/pki/host.pem", d->options.state_dir),
                        *key = strf("%s/pki/host.key", d->options.state_dir),
                        *ca = strf("%s/pki/ca.pem", d->options.state_dir);
    struct http_target target = {.host = pool_coordinator_address(d->pool),
                                 .port = d->options.https_port,
                                 .verify = TLS_VERIFY_CA,
                                 .wants_pool = true,
                                 .ca_path = ca,
                                 .cert_path = cert,
                                 .key_path = key,
                                 .connect_timeout_ms = FORWARD_CONNECT_MS,
                                 .timeout_ms = (unsigned)MIN(timeout_ms + FORWARD_EXTRA_MS, (uint64_t)3600000)};
    static const char *const headers[] = {"content-type: application/json", NULL};
    struct forward *f = xnew0(struct forward);
    *f = (struct forward){xstrdup(target.host), done, data};
    http_client_start(d->client, &target, "POST", "/jsonrpc", headers, request, size, on_forwarded, f);
}

/* ---- network changes ---- */
static void on_network_answer(const struct value *result, const struct error *error, void *userdata) {
    query_end(error, result, userdata);
}

static void hook_network_ask(void *userdata, const struct uuid *host, const char *name, struct value args,
                             uint64_t deadline_ms, api_query_done_fn *done, void *data) {
    struct daemon *d = userdata;
    struct query *q = query_new(done, data);
    _cleanup_error_ struct error *e = NULL;
    if (pool_get_channel(d->pool)) {
        pool_channel_call(pool_get_channel(d->pool), host, name, args, deadline_ms, on_network_answer, q);
        return;
    }
    value_done(&args);
    error_set(&e, ERR_HOST_STILL_BOOTING, NULL);
    query_end(e, NULL, q);
}

static bool is_live(const struct uuid *host, void *userdata) {
    struct daemon *d = userdata;
    return uuid_eq(host, &d->self) || pool_host_is_live(d->pool, host);
}

static struct value hook_network_paths(void *userdata, struct db *then, const struct uuid *host) {
    struct daemon *d = userdata;
    return probing_paths(then, d->db, host, is_live, d);
}

static struct value hook_network_verdict(void *userdata, struct db *then, const struct value *tables) {
    struct daemon *d = userdata;
    return probing_verdict(then, d->db, tables, is_live, d);
}

static void on_noted(const struct value *result, const struct error *error, void *userdata) {
    /* A host that missed it misses it in its history alone. */
}

static void hook_network_note(void *userdata, struct value entry) {
    struct daemon *d = userdata;
    struct pool_channel *channel = pool_get_channel(d->pool);
    for (const struct row *h = db_first(d->db, CLASS_host); h && channel; h = db_next(d->db, h)) {
        if (uuid_eq(&h->uuid, &d->self) || !pool_host_is_live(d->pool, &h->uuid))
            continue;
        struct value args = value_map();
        value_map_add(&args, "entry", value_copy(&entry));
        pool_channel_call(channel, &h->uuid, "net_note", args, OP_TIMEOUT_MS, on_noted, NULL);
    }
    network_history_add(d->network_calls.history, entry);
}

static struct value hook_network_history(void *userdata) {
    struct daemon *d = userdata;
    return network_history_all(d->network_calls.history);
}

void daemon_hooks_init(struct daemon *d) {
    d->hooks = (struct api_hooks){.userdata = d,
                                  .is_coordinator = hook_is_coordinator,
                                  .emergency_reason = hook_emergency,
                                  .peer_is_pool_host = hook_is_pool_host,
                                  .coordinator_address = hook_coordinator_address,
                                  .forward = hook_forward,
                                  .session_ask = hook_session_ask,
                                  .pool_join = hook_join,
                                  .pool_join_plan = hook_join_plan,
                                  .pool_join_look = hook_join_look,
                                  .pool_join_request = hook_join_request,
                                  .pool_eject = hook_eject,
                                  .pool_forget = hook_forget,
                                  .pool_set_coordinator = hook_set_coordinator,
                                  .pool_emergency = hook_emergency_op,
                                  .pool_rotate = hook_rotate,
                                  .host_op = hook_host_op,
                                  .host_query = hook_query,
                                  .host_ask = hook_network_ask,
                                  .network_ask = hook_network_ask,
                                  .network_paths = hook_network_paths,
                                  .network_verdict = hook_network_verdict,
                                  .network_note = hook_network_note,
                                  .network_history = hook_network_history,
                                  .host_is_live = hook_is_live,
                                  .host_is_new = hook_is_new};
}

void daemon_hooks_serve(struct daemon *d) {
    pool_channel_serve(pool_get_channel(d->pool), "host_op", serve_host_op, d);
    pool_channel_serve(pool_get_channel(d->pool), "host_query", serve_query, d);
    pool_channel_serve(pool_get_channel(d->pool), "session", serve_session, d);
    vm_agent_serve(d->vms, pool_get_channel(d->pool));
    network_calls_serve(&d->network_calls, pool_get_channel(d->pool));
    rehearsal_serve(d);
}
