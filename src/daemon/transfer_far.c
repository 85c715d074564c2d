/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of a transfer on other hosts: the one that has the storage, and a member whose root asks. */
#include "api/http_auth.h"
#include "base/str.h"
#include "daemon/transfer_private.h"
#include "wire/tunnel.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

struct tls_context *transfer_tls(struct transfers *ts, struct error **errp) {
    struct daemon *d = ts->d;
    _cleanup_free_ char *cert = strf("%s/pki/host.pem", d->options.state_dir),
                        *key = strf("%s/pki/host.key", d->options.state_dir),
                        *ca = strf("%s/pki/ca.pem", d->options.state_dir);
    struct tls_config config = {
        .role = TLS_MUTUAL_CLIENT, .cert_path = cert, .key_path = key, .ca_path = ca, .verify = TLS_VERIFY_CA};
    if (!ts->tls)
        ts->tls = tls_context_new(&config, errp);
    else if (!tls_context_reload_if_changed(ts->tls, errp))
        return NULL;
    return ts->tls;
}

/* ---- the storage's host ---- */

static void on_tunnel_closed(struct tunnel *t, const char *why, void *userdata) {
    if (*why)
        log_info("a transfer of another host's client ended: %s", why);
    tunnel_free(t);
}

static void on_judged(struct http_request *req, const struct api_identity *who, void *userdata) {
    struct transfers *ts = userdata;
    const char *text = http_get_query(req, "id");
    struct uuid id;
    struct stream *near = text && uuid_parse(text, &id) ? vm_agent_take_transfer(ts->d->vms, &id) : NULL;
    struct buf head = BUF_INIT, ahead = BUF_INIT;
    if (!near) {
        http_reply_error(req, 404, NULL, "There is no such transfer here.");
        return;
    }
    struct stream *client = http_take_stream(req, &ahead);
    if (!client) {
        stream_free(near);
        return;
    }
    http_format_head(&head, 1, 200, "Connection: keep-alive\r\n");
    (void)stream_write(client, head.data, head.size);
    buf_done(&head);
    struct tunnel_config config = {.client = client,
                                   .server = near,
                                   .client_ahead = ahead,
                                   .idle_timeout_ms = TRANSFER_IDLE_MS,
                                   .closed = on_tunnel_closed};
    (void)tunnel_new(&config); /* frees itself when it is over */
}

static void handle(struct http_request *req, void *userdata) {
    struct transfers *ts = userdata;
    api_http_authenticate(ts->d->api, req, ROLE_INTERNAL, on_judged, ts);
}

void transfer_far_serve(struct transfers *ts) {
    http_server_route_raw(ts->d->http, HTTP_CONNECT, "/transfer", handle, ts);
}

/* ---- a member's own root: its request, as it is, with the host's certificate in place of the socket's word ---- */

struct passing {
    struct transfers *all;
    struct http_request *req;
    struct stream *far;
    char coordinator[UUID_TEXT_SIZE];
};

static void pass_refuse(struct passing *p, const char *why) {
    stream_free(p->far);
    http_on_abort(p->req, NULL, NULL);
    http_reply_error(p->req, 503, NULL, why);
    free(p);
}

static void on_pass_ready(struct stream *s, void *userdata) {
    struct passing *p = userdata;
    if (!str_eq(stream_get_peer(s)->tls.common_name, p->coordinator)) {
        pass_refuse(p, "Another host answers where the coordinator should be.");
        return;
    }
    const struct http_head *h = http_get_head(p->req);
    _cleanup_buf_ struct buf ask = BUF_INIT;
    buf_addf(&ask, "%s %s?%s HTTP/1.0\r\n", http_method_names[h->method], http_get_path(p->req),
             http_get_query_text(p->req));
    static const char *const kept[] = {"content-length", "range", "cookie", "expect"};
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (http_get_header(p->req, kept[i]))
            buf_addf(&ask, "%s: %s\r\n", kept[i], http_get_header(p->req, kept[i]));
    buf_add_str(&ask, "\r\n");
    (void)stream_write(s, ask.data, ask.size);
    struct buf ahead = BUF_INIT;
    http_on_abort(p->req, NULL, NULL);
    struct stream *client = http_take_stream(p->req, &ahead);
    if (client) {
        struct tunnel_config config = {.client = client,
                                       .server = TAKE(p->far),
                                       .client_ahead = ahead,
                                       .idle_timeout_ms = TRANSFER_IDLE_MS,
                                       .closed = on_tunnel_closed};
        (void)tunnel_new(&config);
    }
    stream_free(p->far);
    free(p);
}

static void on_pass_end(struct stream *s, int r, void *userdata) {
    pass_refuse(userdata, "The coordinator cannot be reached.");
}

static void on_pass_gone(struct http_request *req, void *userdata) {
    struct passing *p = userdata;
    stream_free(p->far);
    free(p);
    http_end(req);
}

static const struct stream_callbacks pass_callbacks = {.ready = on_pass_ready, .end = on_pass_end};

void transfer_pass_on(struct transfers *ts, struct http_request *req) {
    struct daemon *d = ts->d;
    const struct row *pool = db_pool(d->db), *host = pool ? db_follow(d->db, pool, FIELD_pool_master) : NULL;
    _cleanup_error_ struct error *e = NULL;
    struct tls_context *tls = host ? transfer_tls(ts, &e) : NULL;
    struct passing *p = xnew0(struct passing);
    *p = (struct passing){.all = ts, .req = req};
    if (host)
        str_copy(p->coordinator, sizeof(p->coordinator), row_str(host, FIELD_host_uuid));
    if (tls)
        p->far = stream_connect(d->loop, row_str(host, FIELD_host_address), d->options.https_port, NULL, tls, NULL,
                                TRANSFER_OPEN_MS, &pass_callbacks, p, &e);
    if (p->far)
        http_on_abort(req, on_pass_gone, p);
    else
        pass_refuse(p, "The coordinator cannot be reached.");
}
