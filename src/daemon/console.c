/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/console.h"

#include <assert.h>
#include <strings.h>

#include "api/http_auth.h"
#include "base/str.h"
#include "wire/tunnel.h"
#include "wire/websocket.h"

#define LOG_MODULE "audit"
#include "base/log.h"

#define OPEN_MS 10000
#define HEAD_MAX 8192 /* of the other host's answer */

struct consoles {
    struct daemon *d;
    struct tls_context *tls; /* towards other hosts; made at first use */
    struct console *first;
    unsigned n;
};

/* One stream, from the request to its end. */
struct console {
    struct consoles *all;
    struct http_request *req; /* NULL once it is answered */
    struct stream *far;       /* the screen, or the other host; NULL once the tunnel has it */
    struct tunnel *tunnel;
    struct loop_source *deadline;
    struct uuid vm, host, row;
    bool is_local, is_serial, is_websocket;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    struct buf head; /* the other host's answer, as it comes */
    char address[64], user[64];
    struct console *next;
};

static void console_free(struct console *c) {
    for (struct console **at = &c->all->first; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            c->all->n--;
            break;
        }
    loop_source_free(c->deadline);
    stream_free(c->far);
    tunnel_free(c->tunnel);
    buf_done(&c->head);
    free(c);
}

static void refuse(struct console *c, int status, const char *text) {
    struct http_request *req = TAKE(c->req);
    console_free(c);
    http_on_abort(req, NULL, NULL);
    http_reply_error(req, status, NULL, text);
}

/* ---- the stream is there ---- */

static void log_console(const struct console *c, const char *what) {
    char vm[UUID_TEXT_SIZE];
    log_info("user '%s' from '%s': %s of VM '%s': %s", c->user, c->address[0] ? c->address : "local",
             c->is_serial ? "serial line" : "screen", uuid_text(&c->vm, vm), what);
}

static void on_closed(struct tunnel *t, const char *why, void *userdata) {
    struct console *c = userdata;
    _cleanup_free_ char *what = *why ? strf("closed (%s)", why) : xstrdup("closed");
    log_console(c, what);
    console_free(c);
}

static void join(struct console *c, struct buf far_ahead) {
    struct buf head = BUF_INIT, ahead = BUF_INIT;
    struct http_request *req = TAKE(c->req);
    int minor = http_get_head(req)->minor_version;
    loop_source_free(TAKE(c->deadline));
    http_on_abort(req, NULL, NULL);
    struct stream *client = http_take_stream(req, &ahead);
    if (!client) {
        buf_done(&far_ahead);
        console_free(c);
        return;
    }
    if (c->is_websocket) {
        _cleanup_free_ char *fields = strf("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                                           "Sec-WebSocket-Protocol: binary\r\n",
                                           c->accept);
        http_format_head(&head, 1, 101, fields);
    } else {
        http_format_head(&head, minor, 200, "Connection: keep-alive\r\nCache-Control: no-cache, no-store\r\n");
    }
    (void)stream_write(client, head.data, head.size);
    buf_done(&head);
    struct tunnel_config config = {.client = client,
                                   .server = TAKE(c->far),
                                   .client_ahead = ahead,
                                   .server_ahead = far_ahead,
                                   .is_websocket = c->is_websocket,
                                   .idle_timeout_ms = CONSOLE_IDLE_MS,
                                   .closed = on_closed,
                                   .userdata = c};
    c->tunnel = tunnel_new(&config);
    log_console(c, c->is_local ? "opened" : "opened, on another host");
}

/* ---- reaching it ---- */

static void on_far_ready(struct stream *s, void *userdata) {
    struct console *c = userdata;
    char ref[REF_TEXT_SIZE], name[UUID_TEXT_SIZE];
    stream_pause(s, c->is_local);
    if (c->is_local) {
        join(c, (struct buf)BUF_INIT);
        return;
    }
    if (!str_eq(stream_get_peer(s)->tls.common_name, uuid_text(&c->host, name))) {
        refuse(c, 503, "Another host answers where the VM's host should be.");
        return;
    }
    _cleanup_free_ char *ask =
        strf("CONNECT /console?ref=%s HTTP/1.1\r\nHost: %s\r\n\r\n", ref_text(&c->row, ref), name);
    (void)stream_write(s, ask, strlen(ask));
}

/* The other host's answer: a head, and behind it the screen. */
static void on_far_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct console *c = userdata;
    buf_add(&c->head, data, size);
    char *end = memmem(c->head.data, c->head.size, "\r\n\r\n", 4);
    if (!end && c->head.size < HEAD_MAX)
        return;
    if (!end || !str_starts(c->head.data, "HTTP/1.1 200 ")) {
        refuse(c, 503,
               "The VM's host does not give its console: it has just ended, moved, or somebody else has the "
               "serial line.");
        return;
    }
    struct buf ahead = c->head;
    c->head = (struct buf)BUF_INIT;
    buf_consume(&ahead, (size_t)(end + 4 - ahead.data));
    stream_pause(s, true);
    join(c, ahead);
}

static void on_far_end(struct stream *s, int r, void *userdata) {
    struct console *c = userdata;
    log_console(c, r < 0 ? stream_error_text(s) : "ended before it began");
    refuse(c, 503,
           c->is_local ? "The VM's console does not answer: it has just ended." : "The VM's host cannot be reached.");
}

static const struct stream_callbacks far_callbacks = {.ready = on_far_ready, .data = on_far_data, .end = on_far_end};

static void on_deadline(struct loop_source *s, void *userdata) {
    struct console *c = userdata;
    refuse(c, 503, "The console did not answer in time.");
}

static void on_client_gone(struct http_request *req, void *userdata) {
    struct console *c = userdata;
    c->req = NULL;
    console_free(c);
    http_end(req);
}

static struct tls_context *tls_to_hosts(struct consoles *cs, struct error **errp) {
    struct daemon *d = cs->d;
    _cleanup_free_ char *cert = strf("%s/pki/host.pem", d->options.state_dir),
                        *key = strf("%s/pki/host.key", d->options.state_dir),
                        *ca = strf("%s/pki/ca.pem", d->options.state_dir);
    struct tls_config config = {
        .role = TLS_MUTUAL_CLIENT, .cert_path = cert, .key_path = key, .ca_path = ca, .verify = TLS_VERIFY_CA};
    if (!cs->tls)
        cs->tls = tls_context_new(&config, errp);
    else if (!tls_context_reload_if_changed(cs->tls, errp))
        return NULL;
    return cs->tls;
}

static void reach(struct console *c) {
    struct daemon *d = c->all->d;
    const struct row *host = db_get(d->db, CLASS_host, &c->host);
    char vm[UUID_TEXT_SIZE];
    _cleanup_error_ struct error *e = NULL;
    if (c->is_local) {
        _cleanup_free_ char *path =
            strf("%s/vm/%s.%s", d->options.run_dir, uuid_text(&c->vm, vm), c->is_serial ? "serial" : "vnc");
        c->far = stream_connect(d->loop, path, 0, NULL, NULL, NULL, OPEN_MS, &far_callbacks, c, &e);
    } else {
        struct tls_context *tls = tls_to_hosts(c->all, &e);
        if (tls)
            c->far = stream_connect(d->loop, host ? row_str(host, FIELD_host_address) : "", d->options.https_port, NULL,
                                    tls, NULL, OPEN_MS, &far_callbacks, c, &e);
    }
    if (!c->far) {
        log_warn("a console cannot be reached: %s", error_text(e));
        refuse(c, 503, "The VM's host cannot be reached.");
        return;
    }
    c->deadline = loop_add_timer(d->loop, OPEN_MS, on_deadline, c);
    http_on_abort(c->req, on_client_gone, c);
}

/* ---- which one ---- */

static const struct row *console_of(struct db *d, const struct row *vm, const char *protocol) {
    const struct value *all = row_value(vm, FIELD_VM_consoles);
    for (size_t i = 0; i < all->set.n; i++) {
        const struct row *r = db_get(d, CLASS_console, &all->set.items[i].ref);
        if (r && str_eq(row_str(r, FIELD_console_protocol), protocol))
            return r;
    }
    return NULL;
}

/* A console, or a VM for its screen (protocol= names another of its consoles). The request names either. */
static const struct row *find(struct db *d, struct http_request *req) {
    const char *ref = http_get_query(req, "ref"), *uuid = http_get_query(req, "uuid"),
               *protocol = http_get_query(req, "protocol");
    struct uuid u;
    if (!(ref && ref_parse(ref, &u)) && !(uuid && uuid_parse(uuid, &u)))
        return NULL;
    const struct row *vm = db_get(d, CLASS_VM, &u);
    return vm ? console_of(d, vm, protocol ? protocol : "rfb") : db_get(d, CLASS_console, &u);
}

static bool wants_websocket(struct http_request *req) {
    const char *upgrade = http_get_header(req, "upgrade");
    return http_get_method(req) == HTTP_GET && http_get_head(req)->upgrades && upgrade &&
           strcasecmp(upgrade, "websocket") == 0;
}

/* The line has one reader: what two would each get is a part. */
static bool is_serial_taken(const struct consoles *cs, const struct uuid *vm) {
    for (const struct console *c = cs->first; c; c = c->next)
        if (c->is_serial && c->is_local && uuid_eq(&c->vm, vm))
            return true;
    return false;
}

static unsigned n_of_address(const struct consoles *cs, const char *address) {
    unsigned n = 0;
    for (const struct console *c = cs->first; c; c = c->next)
        n += str_eq(c->address, address);
    return n;
}

static const char *why_not(struct consoles *cs, const struct api_identity *who, const struct row *row,
                           const struct row *vm, int *status) {
    *status = 503;
    if (cs->n >= CONSOLES_MAX ||
        (!who->is_local && !who->is_pool_host && n_of_address(cs, who->address) >= CONSOLES_PER_ADDRESS_MAX))
        return "There are too many open consoles: close one.";
    *status = 404;
    if (!row || !vm)
        return "There is no such console. A VM has consoles while it runs.";
    const struct uuid *host = row_ref(vm, FIELD_VM_resident_on);
    if (uuid_is_null(host) || (who->is_pool_host && !uuid_eq(host, &cs->d->self)))
        return "The VM does not run here: it has no console now.";
    *status = 503;
    if (str_eq(row_str(row, FIELD_console_protocol), "vt100") && is_serial_taken(cs, &vm->uuid))
        return "Somebody else has the serial line of this VM; it serves one at a time.";
    return NULL;
}

static void on_authenticated(struct http_request *req, const struct api_identity *who, void *userdata) {
    struct consoles *cs = userdata;
    if (http_is_aborted(req)) {
        http_end(req);
        return;
    }
    struct db *db = cs->d->db;
    const struct row *row = find(db, req), *vm = row ? db_follow(db, row, FIELD_console_VM) : NULL;
    int status;
    const char *trouble = why_not(cs, who, row, vm, &status);
    bool is_websocket = wants_websocket(req);
    char accept[WEBSOCKET_ACCEPT_SIZE] = "";
    if (!trouble && is_websocket &&
        (!str_eq(str_or_empty(http_get_header(req, "sec-websocket-version")), "13") ||
         !websocket_accept(str_or_empty(http_get_header(req, "sec-websocket-key")), accept))) {
        http_reply_error(req, 400, "Sec-WebSocket-Version: 13\r\n", "The websocket handshake is not complete.");
        return;
    }
    if (trouble) {
        http_reply_error(req, status, NULL, trouble);
        return;
    }
    assert(row && vm); /* why_not has looked */
    struct console *c = xnew0(struct console);
    *c = (struct console){.all = cs,
                          .req = req,
                          .vm = vm->uuid,
                          .row = row->uuid,
                          .host = *row_ref(vm, FIELD_VM_resident_on),
                          .is_local = uuid_eq(row_ref(vm, FIELD_VM_resident_on), &cs->d->self),
                          .is_serial = str_eq(row_str(row, FIELD_console_protocol), "vt100"),
                          .is_websocket = is_websocket,
                          .next = cs->first};
    str_copy(c->accept, sizeof(c->accept), accept);
    str_copy(c->address, sizeof(c->address), who->address);
    str_copy(c->user, sizeof(c->user), who->user);
    cs->first = c;
    cs->n++;
    reach(c);
}

static void handle(struct http_request *req, void *userdata) {
    struct consoles *cs = userdata;
    if (str_eq(http_get_path(req), "/console"))
        api_http_authenticate(cs->d->api, req, ROLE_VM_OPERATOR, on_authenticated, cs);
    else
        http_reply_error(req, 404, NULL, "There is nothing at this address.");
}

struct consoles *consoles_new(struct daemon *d) {
    struct consoles *cs = xnew0(struct consoles);
    cs->d = d;
    http_server_route_raw(d->http, HTTP_CONNECT, "/console", handle, cs);
    http_server_route_raw(d->http, HTTP_GET, "/console", handle, cs);
    return cs;
}

void consoles_free(struct consoles *cs) {
    if (!cs)
        return;
    for (struct console *c; (c = cs->first);) {
        struct http_request *req = TAKE(c->req);
        cs->first = c->next;
        console_free(c);
        if (req)
            http_end(req);
    }
    tls_context_unref(cs->tls);
    free(cs);
}
