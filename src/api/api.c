/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "api/audit_log.h"
#include "api/call_private.h"
#include "api/client_certificates.h"
#include "api/events.h"
#include "api/subjects.h"
#include "api/tasks.h"
#include "auth/throttle.h"
#include "base/str.h"

#define EXPIRY_MS 60000
/* Clients take a change of the pool object every half minute as a sign of life. */
#define HEARTBEAT_MS 30000

static void session_closed(struct session *s, void *userdata) {
    struct api *a = userdata;
    events_session_closed(a->events, s);
}

/* A number in the pool's other_config, within limits; 0 when there is none, or no such number. */
static int64_t setting(struct api *a, const char *key, int64_t min, int64_t max) {
    const struct row *pool = db_pool(api_db(a));
    const char *text = pool ? value_map_str(row_value(pool, FIELD_pool_other_config), key) : NULL;
    int64_t n;
    return text && str_parse_int(text, min, max, &n) ? n : 0;
}

void api_take_session_limits(struct api *a) {
    struct session_limits limits = {
        .idle_ms = (uint64_t)setting(a, "session-idle-timeout", SESSION_IDLE_MIN_S, SESSION_IDLE_MAX_S) * 1000,
        .max_per_user = (unsigned)setting(a, "session-max-per-user", 1, SESSION_MAX_TOTAL)};
    sessions_set_limits(a->sessions, &limits);
}

static void expire(struct loop_source *s, void *userdata) {
    struct api *a = userdata;
    api_take_session_limits(a);
    sessions_expire(a->sessions, loop_now_ms(api_loop(a)));
    subjects_confirm(a);
    tasks_expire(a);
    loop_timer_set(s, EXPIRY_MS);
}

static void heartbeat(struct loop_source *s, void *userdata) {
    struct api *a = userdata;
    const struct row *pool = db_pool(api_db(a));
    if (pool)
        db_touch(api_db(a), CLASS_pool, &pool->uuid);
    loop_timer_set(s, HEARTBEAT_MS);
}

static bool default_is_coordinator(struct api *a) {
    const struct row *pool = db_pool(api_db(a));
    return pool && uuid_eq(row_ref(pool, FIELD_pool_master), api_own_host(a));
}

static const char *default_coordinator_address(struct api *a) {
    const struct row *pool = db_pool(api_db(a));
    const struct row *host = pool ? db_follow(api_db(a), pool, FIELD_pool_master) : NULL;
    return host ? row_str(host, FIELD_host_address) : "";
}

static bool default_host_is_live(struct api *a, const struct uuid *host) {
    const struct row *row = db_get(api_db(a), CLASS_host, host);
    const struct row *metrics = row ? db_follow(api_db(a), row, FIELD_host_metrics) : NULL;
    return uuid_eq(host, api_own_host(a)) || (metrics && row_bool(metrics, FIELD_host_metrics_live));
}

/* A certificate of the pool's authority names its host; one of a host that was ejected names nobody any more. */
static bool default_peer_is_pool_host(struct api *a, const char *common_name) {
    struct uuid u;
    return uuid_parse(common_name, &u) && db_get(api_db(a), CLASS_host, &u);
}

struct api *api_new(const struct api_config *config) {
    struct api *a = xnew0(struct api);
    a->config = *config;
    if (config->hooks)
        a->hooks = *config->hooks;
    a->sessions = sessions_new(session_closed, a);
    a->tasks = tasks_new();
    a->events = events_new(a);
    a->throttle = throttle_new();
    a->certificates = client_certificates_new(a);
    a->subjects = subjects_watch(a);
    a->audit = config->audit_path ? audit_log_new(config->audit_path) : NULL;
    a->expiry_timer = loop_add_timer(config->loop, EXPIRY_MS, expire, a);
    a->heartbeat_timer = loop_add_timer(config->loop, HEARTBEAT_MS, heartbeat, a);
    return a;
}

void api_free(struct api *a) {
    if (!a)
        return;
    for (struct call *c = a->calls; c; c = c->next)
        c->reply = NULL;
    db_watch_free(a->subjects);
    loop_source_free(a->expiry_timer);
    loop_source_free(a->heartbeat_timer);
    for (int i = 0; i < N_API_DATA; i++)
        if (a->free_class_data[i])
            a->free_class_data[i](a->class_data[i]);
    events_free(a->events);
    a->events = NULL;
    while (a->calls)
        call_free(a->calls);
    client_certificates_free(a->certificates);
    sessions_free(a->sessions);
    tasks_free(a->tasks);
    throttle_free(a->throttle);
    audit_log_free(a->audit);
    buf_done(&a->method_names);
    value_done(&a->method_list);
    free(a);
}

struct loop *api_loop(struct api *a) {
    return a->config.loop;
}

struct db *api_db(struct api *a) {
    return a->config.db;
}

const struct uuid *api_own_host(const struct api *a) {
    return &a->config.own_host;
}

struct worker *api_worker(struct api *a) {
    return a->config.worker;
}

const struct api_hooks *api_hooks(const struct api *a) {
    return &a->hooks;
}

void *api_class_data(struct api *a, enum api_class_data which) {
    return a->class_data[which];
}

void api_set_class_data(struct api *a, enum api_class_data which, void *data, void (*free_fn)(void *data)) {
    a->class_data[which] = data;
    a->free_class_data[which] = free_fn;
}

bool api_is_coordinator(struct api *a) {
    return a->hooks.is_coordinator ? a->hooks.is_coordinator(a->hooks.userdata) : default_is_coordinator(a);
}

bool api_host_is_live(struct api *a, const struct uuid *host) {
    return a->hooks.host_is_live ? a->hooks.host_is_live(a->hooks.userdata, host) : default_host_is_live(a, host);
}

const char *api_coordinator_address(struct api *a) {
    const char *address = a->hooks.coordinator_address ? a->hooks.coordinator_address(a->hooks.userdata) : "";
    return str_empty(address) ? default_coordinator_address(a) : address;
}

bool api_is_emergency(struct api *a, struct error **errp) {
    return a->hooks.emergency_reason && a->hooks.emergency_reason(a->hooks.userdata, errp);
}

bool api_peer_is_pool_host(struct api *a, const char *common_name, const char *key_fingerprint) {
    return a->hooks.peer_is_pool_host ? a->hooks.peer_is_pool_host(a->hooks.userdata, common_name, key_fingerprint)
                                      : default_peer_is_pool_host(a, common_name);
}
