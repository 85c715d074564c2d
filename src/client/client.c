/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"
#include "client/client_private.h"
#include "client/known_hosts.h"

#define MAX_PARAMS 16
#define MAX_HOPS 3              /* from member to coordinator, and once more when the role moves meanwhile */
#define CALL_TIMEOUT_MS 180000u /* longer than any call that is not a task takes; event.from asks for less */
#define LOGOUT_MS 5000
#define STARTING_ASK_MS 250
#define API_VERSION "2.23"

static char *copy(const char *s) {
    return s ? xstrdup(s) : NULL;
}

static void wipe(char *s) {
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

/* ---- whom to talk to ---- */
static void use_local_socket(struct client *c, struct http_target *t) {
    const char *run = getenv("MUSTER_RUN_DIR");
    snprintf(c->unix_path, sizeof(c->unix_path), "%s/musterd.sock", str_empty(run) ? "/run/muster" : run);
    if (!fs_exists(c->unix_path) && str_empty(run))
        str_copy(c->unix_path, sizeof(c->unix_path), "/var/lib/xcp/xapi");
    t->unix_path = c->unix_path;
}

/* A call that needs no session, only to see the server's certificate. */
static bool look_at(struct client *c, const struct http_target *t, char ret_key[static TLS_FINGERPRINT_SIZE],
                    struct error **errp) {
    struct rpc_client *rpc = rpc_client_new(t);
    _cleanup_value_ struct value param = value_string("xe"), result = {.type = VALUE_VOID};
    struct error *e = NULL;
    rpc_client_set_abort(rpc, c->config.interrupt);
    bool ok = rpc_client_call(rpc, "system.isAlive", &param, 1, &result, &e);
    memcpy(ret_key, rpc_client_peer_key(rpc), TLS_FINGERPRINT_SIZE);
    rpc_client_free(rpc);
    if (ok || (!error_is(e, ERR_WIRE_CONNECT) && !error_is(e, ERR_WIRE_CERTIFICATE) && ret_key[0])) {
        error_free(e); /* whatever it says, it has shown who it is */
        return true;
    }
    error_propagate(errp, e);
    return false;
}

/* The first visit: its key is kept, and nothing else is trusted from then on. */
static bool get_acquainted(struct client *c, struct http_target *t, struct error **errp) {
    _cleanup_free_ char *path = known_hosts_path();
    t->verify = TLS_VERIFY_NONE;
    if (!look_at(c, t, c->pin, errp))
        return false;
    int r = known_hosts_add(path, c->server, c->config.port, c->pin);
    if (c->config.on_new_server) {
        _cleanup_free_ char *line = r < 0 ? strf("Host '%s' is new and shows the key %s. It cannot be kept in %s: %s",
                                                 c->server, c->pin, path, strerror(-r))
                                          : strf("Host '%s' is new; from now on it must show the key %s (kept in %s).",
                                                 c->server, c->pin, path);
        c->config.on_new_server(line, c->config.userdata);
    }
    return true;
}

static bool use_given_fingerprint(struct client *c, struct http_target *t, struct error **errp) {
    char key[TLS_FINGERPRINT_SIZE];
    struct error *e = NULL;
    if (!tls_fingerprint_parse(c->given_fingerprint, c->pin)) {
        error_set(errp, "INVALID_VALUE", "fingerprint", c->given_fingerprint, NULL);
        return false;
    }
    t->pin = c->pin;
    t->verify = TLS_VERIFY_PIN_AUTHORITY;
    c->pin_is_pool = look_at(c, t, key, &e);
    if (e && !error_is(e, ERR_WIRE_CERTIFICATE)) {
        error_propagate(errp, e);
        return false;
    }
    error_free(e);
    if (!c->pin_is_pool)
        t->verify = TLS_VERIFY_PIN;
    return true;
}

static bool choose_judgement(struct client *c, struct http_target *t, struct error **errp) {
    if (c->config.insecure) {
        t->verify = TLS_VERIFY_NONE;
        return true;
    }
    if (c->ca) {
        t->verify = TLS_VERIFY_CA;
        t->ca_path = c->ca;
        return true;
    }
    if (c->given_fingerprint)
        return use_given_fingerprint(c, t, errp);
    _cleanup_free_ char *path = known_hosts_path();
    if (!known_hosts_find(path, c->server, c->config.port, c->pin) && !get_acquainted(c, t, errp))
        return false;
    t->verify = TLS_VERIFY_PIN;
    t->pin = c->pin;
    return true;
}

static bool connect_there(struct client *c, struct error **errp) {
    /* By what it shows within its pool it is known again, whatever certificate somebody installs for browsers. */
    struct http_target t = {
        .timeout_ms = CALL_TIMEOUT_MS, .host = c->server, .port = c->config.port, .wants_pool = !c->ca};
    if (!c->server)
        use_local_socket(c, &t);
    else if (!choose_judgement(c, &t, errp))
        return false;
    t.cert_path = t.key_path = c->server ? c->certificate : NULL;
    c->rpc = rpc_client_new(&t);
    client_heed_interrupt(c, true);
    return true;
}

/* ---- sessions ---- */
static bool call_login(struct client *c, const char *method, unsigned n, struct error **errp) {
    struct value params[4] = {value_string(c->user), value_string(str_or_empty(c->password)), value_string(API_VERSION),
                              value_string("xe")};
    _cleanup_value_ struct value session = {.type = VALUE_VOID};
    bool ok = rpc_client_call(c->rpc, method, params, n, &session, errp);
    for (unsigned i = 0; i < ARRAY_SIZE(params); i++) {
        explicit_bzero(params[i].string, strlen(params[i].string));
        value_done(&params[i]);
    }
    if (ok) {
        free(c->session);
        c->session = xstrdup(value_str(&session));
    }
    return ok;
}

static bool log_in(struct client *c, struct error **errp) {
    if (c->given_session) {
        free(c->session);
        c->session = xstrdup(c->given_session);
        return true;
    }
    if (c->server && !c->password && !c->certificate && c->config.ask_password)
        c->password = c->config.ask_password(c->config.userdata);
    if (c->config.is_host_only)
        return call_login(c, "session.slave_local_login_with_password", 2, errp);
    struct error *e = NULL;
    bool ok = call_login(c, "session.login_with_password", 4, &e);
    if (!ok && error_is(e, "MESSAGE_PARAMETER_COUNT_MISMATCH")) { /* an old server */
        error_free(TAKE(e));
        ok = call_login(c, "session.login_with_password", 2, &e);
    }
    error_propagate(errp, e);
    return ok;
}

bool client_waits_for_it(struct client *c, const struct error *e) {
    struct timespec pause = {.tv_nsec = (long)STARTING_ASK_MS * 1000000};
    if (!error_is(e, "HOST_STILL_BOOTING") || !c->config.on_wait || c->waited_ms >= CLIENT_PATIENCE_MS)
        return false;
    if (c->waited_ms == 0) {
        _cleanup_free_ char *line = strf("Host '%s' is still starting; waiting for it, %d seconds at most.",
                                         c->server ? c->server : "this one", CLIENT_PATIENCE_MS / 1000);
        c->config.on_wait(line, c->config.userdata);
    }
    c->waited_ms += STARTING_ASK_MS;
    (void)nanosleep(&pause, NULL); /* a signal ends it */
    return !client_was_interrupted(c);
}

static void explain(struct client *c, struct error **errp) {
    if (!c->server && error_is(*errp, ERR_WIRE_CONNECT) && !client_was_interrupted(c)) {
        error_free(TAKE(*errp));
        error_set(errp, ERR_WIRE_CONNECT, c->unix_path,
                  geteuid() == 0 ? "nothing answers on this host's own socket: musterd does not run here; "
                                   "name another host with -s, -u and -pw"
                                 : "this host's own socket is for root; another way in is -s with its name",
                  NULL);
        return;
    }
    if (!error_is(*errp, ERR_WIRE_CERTIFICATE) || !c->pin[0] || c->given_fingerprint)
        return;
    _cleanup_free_ char *path = known_hosts_path(),
                        *text =
                            strf("it shows the key %s, not %s as before: the host was made anew, or somebody stands "
                                 "in between. If you know why, remove its line from %s and try again",
                                 rpc_client_peer_key(c->rpc), c->pin, path);
    error_free(TAKE(*errp));
    error_set(errp, ERR_WIRE_CERTIFICATE, c->server, text, NULL);
}

static void leave(struct client *c) {
    rpc_client_free(TAKE(c->rpc));
    free(TAKE(c->session));
    c->pin[0] = 0;
}

/* Connects and logs in, and goes on to the coordinator when a member names it. */
static bool open_session(struct client *c, struct error **errp) {
    for (unsigned hop = 0;; hop++) {
        _cleanup_error_ struct error *e = NULL;
        if (!c->rpc && !connect_there(c, errp))
            return false;
        while (!log_in(c, &e) && client_waits_for_it(c, e))
            error_free(TAKE(e));
        if (!e)
            return true;
        if (!error_is(e, "HOST_IS_SLAVE") || !error_param(e, 0)[0] || hop == MAX_HOPS || !c->server) {
            error_propagate(errp, TAKE(e));
            explain(c, errp);
            return false;
        }
        leave(c);
        free(c->server);
        c->server = xstrdup(error_param(e, 0));
        if (!c->pin_is_pool) /* it was that one host's */
            free(TAKE(c->given_fingerprint));
    }
}

struct client *client_open(const struct client_config *config, struct error **errp) {
    struct client *c = xnew0(struct client);
    c->config = *config;
    c->server = copy(config->server);
    bool by_certificate = config->server && config->certificate_path && !config->password;
    c->user = xstrdup(!str_empty(config->user) ? config->user : by_certificate ? "" : "root");
    c->password = copy(config->password);
    c->given_fingerprint = copy(config->fingerprint);
    c->ca = copy(config->ca_path);
    c->certificate = copy(config->certificate_path);
    c->given_session = copy(config->session);
    if (open_session(c, errp))
        return c;
    client_free(c);
    return NULL;
}

void client_free(struct client *c) {
    if (!c)
        return;
    if (c->session && c->rpc && !c->given_session) {
        _cleanup_value_ struct value session = value_string(c->session), result = {.type = VALUE_VOID};
        struct error *e = NULL;
        client_heed_interrupt(c, false);
        rpc_client_set_timeout(c->rpc, LOGOUT_MS); /* the server may have gone meanwhile */
        if (!rpc_client_call(c->rpc, c->config.is_host_only ? "session.local_logout" : "session.logout", &session, 1,
                             &result, &e))
            error_free(e); /* it ends by itself */
    }
    leave(c);
    wipe(c->password);
    wipe(c->given_session);
    free(c->server);
    free(c->user);
    free(c->given_fingerprint);
    free(c->ca);
    free(c->certificate);
    free(c);
}

const char *client_fingerprint(const struct client *c) {
    return c->server ? rpc_client_peer_fingerprint(c->rpc) : "";
}

const char *client_server(const struct client *c) {
    return c->server;
}

bool client_was_interrupted(const struct client *c) {
    return c->config.interrupt && *c->config.interrupt;
}

void client_heed_interrupt(struct client *c, bool on) {
    rpc_client_set_abort(c->rpc, on ? c->config.interrupt : NULL);
}

/* ---- calling ---- */
static bool call_once(struct client *c, const char *method, const struct value *params, size_t n, struct value *ret,
                      struct error **errp) {
    struct value all[MAX_PARAMS + 1];
    all[0] = value_string(c->session);
    for (size_t i = 0; i < n; i++)
        all[i + 1] = params[i]; /* borrowed */
    bool ok = rpc_client_call(c->rpc, method, all, n + 1, ret, errp);
    value_done(&all[0]);
    return ok;
}

bool client_call(struct client *c, const char *method, const struct value *params, size_t n, struct value *ret,
                 struct error **errp) {
    struct error *e = NULL;
    if (n > MAX_PARAMS) {
        error_internal(errp, "%zu parameters are too many", n);
        return false;
    }
    while (!call_once(c, method, params, n, ret, &e) && client_waits_for_it(c, e))
        error_free(TAKE(e)); /* who is still starting has done nothing about it */
    if (!e)
        return true;
    if (error_is(e, "SESSION_INVALID") && !c->given_session) { /* then the call was not carried out */
        error_free(TAKE(e));
        if (!open_session(c, errp))
            return false;
        return call_once(c, method, params, n, ret, errp);
    }
    error_propagate(errp, e);
    return false;
}

/* What a page of the server says, without its tags. */
static char *page_text(const struct http_response *r) {
    const char *p = strstr(buf_str(&r->body), "<p>"), *end = p ? strstr(p, "</p>") : NULL;
    return end ? xstrndup(p + 3, (size_t)(end - p - 3)) : strf("HTTP status %d", r->status);
}

bool client_get(struct client *c, const char *path, struct buf *ret, struct error **errp) {
    /* In the head, not in the path: paths end up in logs. */
    _cleanup_free_ char *cookie = strf("Cookie: session_id=%s", c->session);
    const char *const headers[] = {cookie, NULL};
    struct http_response r = {0};
    if (!rpc_client_get(c->rpc, path, headers, &r, errp))
        return false;
    bool ok = r.status == 200;
    if (ok) {
        buf_add(ret, buf_str(&r.body), r.body.size);
    } else {
        _cleanup_free_ char *text = page_text(&r);
        error_set(errp, ERR_WIRE_REFUSED, c->server ? c->server : c->unix_path, text, NULL);
    }
    http_response_done(&r);
    return ok;
}

bool client_carry_file(struct client *c, struct client_file *f, client_progress_fn *progress, void *userdata,
                       struct error **errp) {
    _cleanup_free_ char *cookie = strf("Cookie: session_id=%s", c->session);
    const char *const headers[] = {cookie, NULL};
    struct rpc_file file = {.path = f->path,
                            .fd = f->fd,
                            .is_upload = f->is_upload,
                            .size = f->size,
                            .progress = progress,
                            .userdata = userdata};
    struct http_response r = {0};
    bool was_answered = rpc_client_file(c->rpc, &file, headers, &r, errp);
    f->problem = file.problem;
    if (!was_answered)
        return false;
    bool ok = r.status >= 200 && r.status < 300;
    if (!ok) {
        _cleanup_free_ char *text = page_text(&r);
        error_set(errp, ERR_WIRE_REFUSED, c->server ? c->server : c->unix_path, text, NULL);
    }
    http_response_done(&r);
    return ok;
}
