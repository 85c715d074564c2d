/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "client/client_private.h"
#include "wire/stream.h"

#define OPEN_MS 30000
#define HEAD_MAX 8192
#define PIECE 4096
#define GOODBYE_MS 2000

struct raw {
    struct client *client;
    struct loop *loop;
    struct stream *stream;
    struct loop_source *input, *term, *hangup, *deadline;
    const char *path;
    int in, out;
    char escape;
    struct buf head;
    bool is_open;
    void (*opened)(void *userdata);
    void *userdata;
    struct error *error;
};

static void fail(struct raw *r, const char *why) {
    if (!r->error)
        error_set(&r->error, ERR_WIRE_CONNECT, r->client->server ? r->client->server : "this host", why, NULL);
    loop_quit(r->loop, 0);
}

/* ---- to the server ---- */

static void on_input(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct raw *r = userdata;
    char bytes[PIECE];
    ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    char *typed = n > 0 && r->escape ? memchr(bytes, r->escape, (size_t)n) : NULL;
    if (typed)
        n = typed - bytes;
    if (n > 0 && !stream_write(r->stream, bytes, (size_t)n))
        fail(r, "it does not take what is typed");
    if (n > 0 && stream_is_congested(r->stream))
        loop_fd_set_events(r->input, 0);
    if (n <= 0 || typed)
        loop_quit(r->loop, 0);
}

static void on_drain(struct stream *s, void *userdata) {
    struct raw *r = userdata;
    if (r->input)
        loop_fd_set_events(r->input, LOOP_READ);
}

/* ---- from the server ---- */

static void put(struct raw *r, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(r->out, data, size); /* a terminal is as fast as its reader: waiting is right */
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            loop_quit(r->loop, 0);
            return;
        }
        data += n;
        size -= (size_t)n;
    }
}

/* What a page of the server says, without its tags. */
static char *page_text(const char *page) {
    const char *p = strstr(page, "<p>"), *end = p ? strstr(p, "</p>") : NULL;
    return end ? xstrndup(p + 3, (size_t)(end - p - 3)) : xstrndup(page, strcspn(page, "\r\n"));
}

static void take_head(struct raw *r) {
    char *end = memmem(buf_str(&r->head), r->head.size, "\r\n\r\n", 4);
    if (!end && r->head.size < HEAD_MAX)
        return;
    int status = 0;
    if (!end || sscanf(r->head.data, "HTTP/1.%*d %d", &status) != 1) {
        fail(r, "the answer is not HTTP");
        return;
    }
    if (status != 200) {
        if (!strstr(r->head.data, "</p>") && r->head.size < HEAD_MAX)
            return; /* the sentence is on its way; the end or the deadline comes otherwise */
        _cleanup_free_ char *text = page_text(r->head.data);
        fail(r, text);
        return;
    }
    r->is_open = true;
    loop_timer_set(r->deadline, LOOP_NEVER);
    if (r->opened)
        r->opened(r->userdata);
    put(r, end + 4, r->head.size - (size_t)(end + 4 - r->head.data));
    buf_done(&r->head);
    r->input = loop_add_fd(r->loop, r->in, LOOP_READ, on_input, r);
    if (!r->input)
        loop_quit(r->loop, 0); /* a plain file: nothing is typed */
}

static void on_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct raw *r = userdata;
    if (r->is_open) {
        put(r, data, size);
        return;
    }
    buf_add(&r->head, data, size);
    take_head(r);
}

static void on_end(struct stream *s, int n, void *userdata) {
    struct raw *r = userdata;
    if (n < 0)
        fail(r, stream_error_text(s));
    else if (!r->is_open)
        fail(r, "it ended without an answer");
    else
        loop_quit(r->loop, 0);
}

static void on_ready(struct stream *s, void *userdata) {
    struct raw *r = userdata;
    const struct stream_peer *peer = stream_get_peer(s);
    if (r->client->server && !str_eq(peer->tls.fingerprint, client_fingerprint(r->client))) {
        fail(r, "it shows another certificate than before");
        return;
    }
    _cleanup_free_ char *ask =
        strf("CONNECT %s HTTP/1.0\r\nCookie: session_id=%s\r\n\r\n", r->path, r->client->session);
    (void)stream_write(s, ask, strlen(ask));
    explicit_bzero(ask, strlen(ask));
}

static const struct stream_callbacks callbacks = {.ready = on_ready, .data = on_data, .end = on_end, .drain = on_drain};

static void on_deadline(struct loop_source *s, void *userdata) {
    fail(userdata, "no answer in time");
}

static void on_signal(struct loop_source *s, int signo, void *userdata) {
    struct raw *r = userdata;
    loop_quit(r->loop, 0);
}

/* A name becomes the first address that it has. */
static bool resolve(const char *name, char *ret, size_t size, struct error **errp) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int e = getaddrinfo(name, NULL, &hints, &found);
    bool ok =
        e == 0 && getnameinfo(found->ai_addr, found->ai_addrlen, ret, (socklen_t)size, NULL, 0, NI_NUMERICHOST) == 0;
    if (found)
        freeaddrinfo(found);
    if (!ok)
        error_set(errp, ERR_WIRE_CONNECT, name, e ? gai_strerror(e) : "it has no address", NULL);
    return ok;
}

static bool connect_there(struct raw *r, struct error **errp) {
    struct client *c = r->client;
    char address[NI_MAXHOST];
    if (!c->server) {
        r->stream = stream_connect(r->loop, c->unix_path, 0, NULL, NULL, NULL, OPEN_MS, &callbacks, r, errp);
        return r->stream != NULL;
    }
    /* It is known by the certificate that it has shown to the calls of this client. */
    struct tls_config config = {.role = TLS_CLIENT, .verify = TLS_VERIFY_NONE};
    if (!resolve(c->server, address, sizeof(address), errp))
        return false;
    struct tls_context *tls = tls_context_new(&config, errp);
    if (!tls)
        return false;
    r->stream = stream_connect(r->loop, address, c->config.port ? c->config.port : 443, NULL, tls, c->server, OPEN_MS,
                               &callbacks, r, errp);
    tls_context_unref(tls);
    return r->stream != NULL;
}

bool client_stream(struct client *c, const char *path, int in, int out, char escape, void (*opened)(void *userdata),
                   void *userdata, struct error **errp) {
    struct raw r = {.client = c,
                    .loop = loop_new(),
                    .path = path,
                    .in = in,
                    .out = out,
                    .escape = escape,
                    .opened = opened,
                    .userdata = userdata};
    bool ok = connect_there(&r, errp);
    if (ok) {
        r.deadline = loop_add_timer(r.loop, OPEN_MS, on_deadline, &r);
        r.term = loop_add_signal(r.loop, SIGTERM, on_signal, &r);
        r.hangup = loop_add_signal(r.loop, SIGHUP, on_signal, &r);
        (void)loop_run(r.loop);
        if (r.error)
            error_propagate(errp, r.error);
        ok = !r.error;
    }
    loop_source_free(r.input);
    loop_source_free(r.deadline);
    loop_source_free(r.term);
    loop_source_free(r.hangup);
    stream_free(r.stream);
    buf_done(&r.head);
    loop_free(r.loop);
    return ok;
}
