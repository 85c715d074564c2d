/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/http_client.h"
#include "wire/value_xml.h"

#define MAX_PARAMS 16
#define CALL_TIMEOUT_MS 180000
#define KNOWN_HOSTS_MAX (1 << 20)

struct client {
    struct rpc_client *rpc;
    char *session;
    char *server; /* NULL: local */
    struct http_target target;
    char *pin, *ca;
};

/* ---- known hosts: lines "server fingerprint" ---- */
static char *known_hosts_path(void) {
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    if (!str_empty(config))
        return strf("%s/muster/known_hosts", config);
    return strf("%s/.config/muster/known_hosts", str_empty(home) ? "/root" : home);
}

static char *known_fingerprint(const char *server) {
    _cleanup_free_ char *path = known_hosts_path();
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_strv_ struct strv lines = {0};
    if (fs_read(path, KNOWN_HOSTS_MAX, &text) < 0)
        return NULL;
    strv_split(&lines, buf_str(&text), '\n');
    for (size_t i = 0; i < lines.n; i++) {
        char name[256], fingerprint[TLS_FINGERPRINT_SIZE];
        if (sscanf(lines.items[i], "%255s %64s", name, fingerprint) == 2 && str_eq(name, server))
            return xstrdup(fingerprint);
    }
    return NULL;
}

static void remember_fingerprint(const char *server, const char *fingerprint) {
    _cleanup_free_ char *path = known_hosts_path(), *folder = xstrdup(path);
    _cleanup_buf_ struct buf text = BUF_INIT;
    *strrchr(folder, '/') = 0;
    if (fs_mkdirs(folder, 0700) < 0)
        return;
    if (fs_read(path, KNOWN_HOSTS_MAX, &text) < 0)
        buf_clear(&text);
    buf_addf(&text, "%s %s\n", server, fingerprint);
    if (fs_write_atomic(path, text.data, text.size, 0600) >= 0)
        fprintf(stderr, "Host '%s' is new; from now on it must show the key %s (kept in %s).\n", server, fingerprint,
                path);
}

/* ---- connecting ---- */
static void set_target(struct client *c, const struct client_config *config) {
    c->target = (struct http_target){.timeout_ms = CALL_TIMEOUT_MS};
    if (!c->server) {
        const char *run = getenv("MUSTER_RUN_DIR");
        static char path[256];
        snprintf(path, sizeof(path), "%s/musterd.sock", str_empty(run) ? "/run/muster" : run);
        c->target.unix_path = fs_exists(path) ? path : "/var/lib/xcp/xapi";
        return;
    }
    c->target.host = c->server;
    c->target.port = config->port;
    if (config->insecure) {
        c->target.verify = TLS_VERIFY_NONE;
    } else if (config->ca_path) {
        c->ca = xstrdup(config->ca_path);
        c->target.verify = TLS_VERIFY_CA;
        c->target.ca_path = c->ca;
    } else {
        c->pin = config->fingerprint ? xstrdup(config->fingerprint) : known_fingerprint(c->server);
        c->target.verify = c->pin ? TLS_VERIFY_PIN : TLS_VERIFY_NONE;
        c->target.pin = c->pin;
    }
}

static bool login(struct client *c, const struct client_config *config, struct error **errp) {
    struct value params[4] = {value_string(config->user ? config->user : "root"),
                              value_string(str_or_empty(config->password)), value_string("2.23"), value_string("xe")};
    _cleanup_value_ struct value session = {.type = VALUE_VOID};
    bool ok = rpc_client_call(c->rpc, "session.login_with_password", params, 4, &session, errp);
    for (unsigned i = 0; i < 4; i++) {
        if (params[i].string)
            explicit_bzero(params[i].string, strlen(params[i].string));
        value_done(&params[i]);
    }
    if (ok)
        c->session = xstrdup(value_str(&session));
    return ok;
}

static bool open_at(struct client *c, const struct client_config *config, struct error **errp) {
    set_target(c, config);
    c->rpc = rpc_client_new(&c->target);
    bool first_visit = c->server && c->target.verify == TLS_VERIFY_NONE && !config->insecure;
    if (login(c, config, errp)) {
        if (first_visit)
            remember_fingerprint(c->server, rpc_client_peer_key(c->rpc)); /* the key outlives renewed certificates */
        return true;
    }
    if (error_is(*errp, ERR_WIRE_CERTIFICATE) && c->pin && !config->fingerprint) {
        _cleanup_free_ char *path = known_hosts_path();
        error_free(TAKE(*errp));
        error_setf(errp, ERR_WIRE_CERTIFICATE,
                   "host '%s' shows another key (%s) than before (%s): it was made anew, or somebody stands in "
                   "between. If you know why, remove its line from %s and try again",
                   c->server, rpc_client_peer_fingerprint(c->rpc), c->pin, path);
    }
    return false;
}

static void close_connection(struct client *c) {
    rpc_client_free(TAKE(c->rpc));
    free(TAKE(c->session));
    free(TAKE(c->server));
    free(TAKE(c->pin));
    free(TAKE(c->ca));
}

struct client *client_open(const struct client_config *config, struct error **errp) {
    struct client *c = xnew0(struct client);
    _cleanup_error_ struct error *e = NULL;
    c->server = config->server ? xstrdup(config->server) : NULL;
    bool ok = open_at(c, config, &e);
    if (!ok && error_is(e, "HOST_IS_SLAVE") && error_n_params(e)) {
        /* A member names its coordinator: that is where to go. */
        _cleanup_free_ char *coordinator = xstrdup(error_param(e, 0));
        error_free(TAKE(e));
        close_connection(c);
        c->server = TAKE(coordinator);
        struct client_config there = *config;
        there.fingerprint = NULL;
        ok = open_at(c, &there, &e);
    }
    if (!ok) {
        close_connection(c);
        free(c);
        error_propagate(errp, TAKE(e));
        return NULL;
    }
    return c;
}

void client_free(struct client *c) {
    if (!c)
        return;
    if (c->session) {
        _cleanup_value_ struct value session = value_string(c->session), result = {.type = VALUE_VOID};
        _cleanup_error_ struct error *e = NULL;
        if (!rpc_client_call(c->rpc, "session.logout", &session, 1, &result, &e))
            error_free(TAKE(e)); /* it ends by itself */
    }
    close_connection(c);
    free(c);
}

const char *client_fingerprint(const struct client *c) {
    return c->server ? rpc_client_peer_fingerprint(c->rpc) : "";
}

/* ---- calling ---- */
bool client_call(struct client *c, const char *method, const struct value *params, size_t n, struct value *ret,
                 struct error **errp) {
    struct value all[MAX_PARAMS];
    n = MIN(n, (size_t)MAX_PARAMS - 1);
    all[0] = value_string(c->session);
    for (size_t i = 0; i < n; i++)
        all[i + 1] = params[i]; /* borrowed */
    bool ok = rpc_client_call(c->rpc, method, all, n + 1, ret, errp);
    value_done(&all[0]);
    return ok;
}

static bool task_finish(struct client *c, const struct value *task, const struct value *record, struct value *ret,
                        struct error **errp) {
    const char *status = value_map_str(record, "status");
    _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    bool ok = false;
    if (status && str_eq(status, "success")) {
        const char *xml = value_map_str(record, "result");
        ok = str_empty(xml) || value_xml_parse(xml, strlen(xml), 32, 100000, ret, errp);
    } else {
        const struct value *info = value_map_get(record, "error_info");
        const char *texts[MAX_ERROR_PARAMS + 1];
        size_t n = 0;
        for (size_t i = 0; info && info->type == VALUE_SET && i < info->set.n && n <= MAX_ERROR_PARAMS; i++)
            texts[n++] = value_str(&info->set.items[i]);
        if (status && str_eq(status, "cancelled"))
            error_set(errp, "TASK_CANCELLED", value_str(task), NULL);
        else
            error_setv(errp, n ? texts[0] : "INTERNAL_ERROR", n ? n - 1 : 0, texts + 1);
    }
    if (!client_call(c, "task.destroy", task, 1, &nothing, &e))
        error_free(TAKE(e)); /* it expires by itself */
    return ok;
}

bool client_call_async(struct client *c, const char *method, const struct value *params, size_t n,
                       client_progress_fn *progress, void *userdata, struct value *ret, struct error **errp) {
    _cleanup_free_ char *name = strf("Async.%s", method);
    _cleanup_value_ struct value task = {.type = VALUE_VOID};
    if (!client_call(c, name, params, n, &task, errp))
        return false;
    bool cancelled = false;
    long wait_ms = 20;
    for (;;) {
        _cleanup_value_ struct value record = {.type = VALUE_VOID};
        if (!client_call(c, "task.get_record", &task, 1, &record, errp))
            return false;
        const char *status = value_map_str(&record, "status");
        const struct value *fraction = value_map_get(&record, "progress");
        if (!status || !(str_eq(status, "pending") || str_eq(status, "cancelling")))
            return task_finish(c, &task, &record, ret, errp);
        double done = fraction && fraction->type == VALUE_FLOAT ? fraction->real : 0;
        if (progress && !progress(done, userdata) && !cancelled) {
            _cleanup_value_ struct value nothing = {.type = VALUE_VOID};
            _cleanup_error_ struct error *e = NULL;
            cancelled = true;
            if (!client_call(c, "task.cancel", &task, 1, &nothing, &e)) {
                error_propagate(errp, TAKE(e));
                return false;
            }
        }
        struct timespec pause = {.tv_sec = 0, .tv_nsec = wait_ms * 1000000L};
        nanosleep(&pause, NULL);
        wait_ms = MIN(wait_ms * 2, 200L);
    }
}
