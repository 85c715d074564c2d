/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_server.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "wire/http_internal.h"

#define SWEEP_MS 1000
#define GOODBYE_MS 5000 /* to get the last answer out and see the client close */
#define DEFAULT_MAX_BODY (1024u * 1024)
#define UNIX_RESERVE 64    /* connections that only the local socket may use: the operator always gets in */
#define KEEP_CAPACITY 1024 /* a larger input buffer is given back between requests */

struct address_count {
    unsigned n;
};

static void on_accept(struct listener *n, struct stream *s, void *userdata);
static void adopt(struct http_server *h, struct stream *s, const struct listener *from);
static void conn_process(struct http_conn *c);

static unsigned or_default(unsigned v, unsigned def) {
    return v ? v : def;
}

static void on_sweep(struct loop_source *source, void *userdata);

struct http_server *http_server_new(struct loop *l, const struct http_limits *limits) {
    struct http_limits none = {0};
    if (!limits)
        limits = &none;
    struct http_server *h = xnew0(struct http_server);
    h->loop = l;
    h->limits = (struct http_limits){
        .max_connections = or_default(limits->max_connections, 4096),
        .max_connections_per_address = or_default(limits->max_connections_per_address, 256),
        .head_timeout_ms = or_default(limits->head_timeout_ms, 10000),
        .body_timeout_ms = or_default(limits->body_timeout_ms, 60000),
        .idle_timeout_ms = or_default(limits->idle_timeout_ms, 300000),
        .max_requests = or_default(limits->max_requests, UINT32_MAX),
    };
    h->addresses = strmap_new();
    h->sweep = loop_add_timer(l, LOOP_NEVER, on_sweep, h);
    return h;
}

void http_server_free(struct http_server *h) {
    if (!h)
        return;
    for (size_t i = 0; i < h->n_listeners; i++) {
        listener_free(h->listeners[i].listener);
        free(h->listeners[i].address);
    }
    free(h->listeners);
    for (struct http_conn *c; (c = h->conns);) {
        h->conns = c->next;
        http_conn_close(c);
    }
    for (unsigned m = 0; m < N_HTTP_METHODS; m++) {
        for (size_t i = 0; i < h->routes[m].n; i++)
            free(h->routes[m].items[i].prefix);
        free(h->routes[m].items);
    }
    for (size_t i = 0; i < h->n_pages; i++) {
        free(h->pages[i]->path);
        free(h->pages[i]->html);
        free(h->pages[i]);
    }
    free(h->pages);
    while (h->spare) {
        struct http_request *req = h->spare;
        h->spare = req->next_spare;
        http_request_free(/* h= */ NULL, req);
    }
    strmap_free(h->addresses);
    loop_source_free(h->sweep);
    free(h);
}

bool http_server_listen(struct http_server *h, const char *address, uint16_t port, unsigned unix_mode,
                        struct tls_context *tls, struct error **errp) {
    struct listener *n = listener_new(h->loop, address, port, unix_mode, tls, on_accept, h, errp);
    if (!n)
        return false;
    h->listeners = xrealloc_array(h->listeners, h->n_listeners + 1, sizeof(*h->listeners));
    h->listeners[h->n_listeners++] = (struct http_listener){.listener = n, .address = xstrdup(address), .port = port};
    return true;
}

/* Who is idle is gone at once, others with the answer to what they have asked. */
static void end_those_from(struct http_server *h, const struct listener *from) {
    for (struct http_conn *c = h->conns, *next; c; c = next) {
        next = c->next;
        if (c->from != from)
            continue;
        c->from = NULL;
        c->is_last = true;
        if (c->state == CONN_HEAD && c->in.size == 0)
            http_conn_close(c);
    }
}

bool http_server_unlisten(struct http_server *h, const char *address, uint16_t port) {
    for (size_t i = 0; i < h->n_listeners; i++) {
        struct http_listener *n = &h->listeners[i];
        if (!str_eq(n->address, address) || n->port != port)
            continue;
        end_those_from(h, n->listener);
        listener_free(n->listener);
        free(n->address);
        h->listeners[i] = h->listeners[--h->n_listeners];
        return true;
    }
    return false;
}

uint16_t http_server_port(struct http_server *h) {
    for (size_t i = h->n_listeners; i-- > 0;)
        if (listener_port(h->listeners[i].listener) != 0)
            return listener_port(h->listeners[i].listener);
    return 0;
}

unsigned http_server_n_connections(const struct http_server *h) {
    return h->n_conns;
}

static void add_route(struct http_server *h, enum http_method method, const struct http_route *route) {
    struct http_routes *r = &h->routes[method];
    r->items = xrealloc_array(r->items, r->n + 1, sizeof(*r->items));
    size_t i = r->n++;
    for (; i > 0 && r->items[i - 1].prefix_len < route->prefix_len; i--)
        r->items[i] = r->items[i - 1];
    r->items[i] = *route;
}

void http_server_route(struct http_server *h, enum http_method method, const char *prefix, size_t max_body,
                       http_handler_fn *fn, void *userdata) {
    add_route(h, method,
              &(struct http_route){.prefix = xstrdup(prefix),
                                   .prefix_len = strlen(prefix),
                                   .max_body = max_body ? max_body : DEFAULT_MAX_BODY,
                                   .fn = fn,
                                   .userdata = userdata});
}

void http_server_route_raw(struct http_server *h, enum http_method method, const char *prefix, http_handler_fn *fn,
                           void *userdata) {
    add_route(
        h, method,
        &(struct http_route){
            .prefix = xstrdup(prefix), .prefix_len = strlen(prefix), .is_raw = true, .fn = fn, .userdata = userdata});
}

static void on_page(struct http_request *req, void *userdata) {
    const struct http_page *page = userdata;
    if (!str_eq(http_get_path(req), page->path)) {
        http_reply_error(req, 404, NULL, "There is nothing at this address.");
        return;
    }
    struct buf body = BUF_INIT;
    buf_add_str(&body, page->html);
    http_reply(req, 200, "text/html; charset=utf-8", NULL, &body);
}

void http_server_page(struct http_server *h, const char *path, const char *html) {
    struct http_page *page = xnew0(struct http_page);
    page->path = xstrdup(path);
    page->html = xstrdup(html);
    h->pages = xrealloc_array(h->pages, h->n_pages + 1, sizeof(*h->pages));
    h->pages[h->n_pages++] = page;
    http_server_route(h, HTTP_GET, path, 0, on_page, page);
}

static const struct http_route *find_route(const struct http_server *h, enum http_method method, const char *path) {
    const struct http_routes *r = &h->routes[method];
    for (size_t i = 0; i < r->n; i++)
        if (strncmp(path, r->items[i].prefix, r->items[i].prefix_len) == 0)
            return &r->items[i];
    return method == HTTP_HEAD ? find_route(h, HTTP_GET, path) : NULL;
}

const char *http_server_date(struct http_server *h) {
    int64_t now_s = loop_wall_ms(h->loop) / 1000;
    if (now_s != h->date_s) {
        time_t t = now_s;
        struct tm tm;
        h->date_s = now_s;
        if (!gmtime_r(&t, &tm) ||
            strftime(h->date_line, sizeof(h->date_line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm) == 0)
            h->date_line[0] = '\0';
    }
    return h->date_line;
}

/* ---- connections ---- */

static void on_data(struct stream *s, const char *data, size_t size, void *userdata);
static void on_end(struct stream *s, int r, void *userdata);
static void on_drain(struct stream *s, void *userdata);

static const struct stream_callbacks conn_callbacks = {.data = on_data, .end = on_end, .drain = on_drain};

static bool take_address(struct http_server *h, struct http_conn *c, const struct stream_peer *peer) {
    unsigned limit = h->limits.max_connections;
    if (!peer->is_unix)
        limit -= MIN((unsigned)UNIX_RESERVE, limit / 8);
    if (h->n_conns >= limit)
        return false;
    if (peer->is_unix)
        return true;
    struct address_count *a = strmap_get(h->addresses, peer->address);
    if (a && a->n >= h->limits.max_connections_per_address)
        return false;
    if (!a) {
        a = xnew0(struct address_count);
        (void)strmap_put(h->addresses, peer->address, a);
    }
    a->n++;
    c->address = a;
    return true;
}

static void give_address(struct http_server *h, struct http_conn *c, const char *address) {
    if (!c->address || --c->address->n > 0)
        return;
    (void)strmap_remove(h->addresses, address);
    free(c->address);
    c->address = NULL;
}

static void on_accept(struct listener *n, struct stream *s, void *userdata) {
    adopt(userdata, s, n);
}

void http_server_adopt(struct http_server *h, struct stream *s) {
    adopt(h, s, /* from= */ NULL);
}

static void adopt(struct http_server *h, struct stream *s, const struct listener *from) {
    struct http_conn *c = xnew0(struct http_conn);
    if (!take_address(h, c, stream_get_peer(s))) {
        stream_free(s);
        free(c);
        return;
    }
    c->server = h;
    c->from = from;
    c->stream = s;
    c->next = h->conns;
    if (c->next)
        c->next->prev = c;
    h->conns = c;
    if (h->n_conns++ == 0)
        loop_timer_set(h->sweep, SWEEP_MS);
    c->deadline_ms = loop_now_ms(h->loop) + h->limits.head_timeout_ms;
    stream_set_callbacks(s, &conn_callbacks, c);
    stream_start(s, h->limits.head_timeout_ms);
}

void http_conn_hold(struct http_conn *c) {
    c->holds++;
}

void http_conn_release(struct http_conn *c) {
    if (--c->holds > 0 || !c->closed)
        return;
    buf_done(&c->in); /* not earlier: what is being read may lie in it */
    free(c);
}

static void detach_request(struct http_conn *c) {
    struct http_request *req = TAKE(c->req);
    if (!req)
        return;
    if (c->state == CONN_BODY) { /* nobody knows of it yet */
        http_request_free(c->server, req);
        return;
    }
    req->peer = xnew0(struct stream_peer);
    *req->peer = *stream_get_peer(c->stream);
    req->conn = NULL;
    if (c->state == CONN_RAW_BODY && !req->body_ended && req->body_callbacks.end) {
        req->body_ended = true;
        req->body_callbacks.end(req, /* complete= */ false, req->body_userdata);
        return;
    }
    if (!req->aborted) {
        req->aborted = true;
        if (req->on_abort)
            req->on_abort(req, req->on_abort_userdata);
    }
}

/* Between hold and release. */
static struct stream *dissolve(struct http_conn *c) {
    struct http_server *h = c->server;
    assert(c->holds > 0);
    c->closed = true;
    detach_request(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (--h->n_conns == 0)
        loop_timer_set(h->sweep, LOOP_NEVER);
    give_address(h, c, stream_get_peer(c->stream)->address);
    return TAKE(c->stream);
}

struct stream *http_conn_dissolve(struct http_conn *c) {
    http_conn_hold(c);
    struct stream *s = dissolve(c);
    http_conn_release(c);
    return s;
}

void http_conn_close(struct http_conn *c) {
    if (!c->closed)
        stream_free(http_conn_dissolve(c));
}

void http_conn_finish(struct http_conn *c) {
    if (!c->closed)
        stream_finish(http_conn_dissolve(c), GOODBYE_MS);
}

static void touch(struct http_conn *c, unsigned timeout_ms) {
    c->deadline_ms = loop_now_ms(c->server->loop) + timeout_ms;
}

/* True when the client does not take what we send. */
static bool is_stuck(struct http_conn *c, uint64_t now_ms) {
    size_t queued = stream_queued(c->stream);
    if (queued == 0 || c->queue_since_ms == 0 || queued != c->watched_queue) {
        c->watched_queue = queued;
        c->queue_since_ms = queued ? now_ms : 0;
        return false;
    }
    return now_ms - c->queue_since_ms >= c->server->limits.body_timeout_ms;
}

static void on_sweep(struct loop_source *source, void *userdata) {
    struct http_server *h = userdata;
    uint64_t now = loop_now_ms(h->loop);
    loop_timer_set(source, SWEEP_MS);
    for (struct http_conn *c = h->conns, *next; c; c = next) {
        next = c->next;
        if (is_stuck(c, now))
            http_conn_close(c);
        else if (c->deadline_ms == 0 || now < c->deadline_ms)
            continue;
        else if (c->state == CONN_HEAD && c->in.size > 0)
            http_conn_refuse(c, 408, "The request did not arrive in time.");
        else
            http_conn_close(c);
    }
    if (h->n_conns == 0)
        loop_timer_set(source, LOOP_NEVER);
}

/* ---- input ---- */

static void rebase(struct http_head *h, const char *from, char *to);

static void on_data(struct stream *s, const char *data, size_t size, void *userdata) {
    struct http_conn *c = userdata;
    if (c->in.size == 0 && c->state == CONN_HEAD)
        touch(c, c->server->limits.head_timeout_ms);
    char *before = c->in.data;
    buf_add(&c->in, data, size);
    if (c->state == CONN_BODY)
        rebase(&c->req->head, before, c->in.data); /* its texts lie in the input until the body is complete */
    if (c->state == CONN_RAW_BODY) {
        http_conn_hold(c);
        http_conn_read_raw(c);
        http_conn_release(c);
        return;
    }
    if (c->state == CONN_RUNNING) {
        if (c->in.size > HTTP_AHEAD_LIMIT)
            stream_pause(c->stream, true);
        return;
    }
    http_conn_hold(c);
    conn_process(c);
    http_conn_release(c);
}

static void on_end(struct stream *s, int r, void *userdata) {
    struct http_conn *c = userdata;
    c->eof = true;
    if (r < 0 || c->state == CONN_BODY) {
        http_conn_close(c);
        return;
    }
    if (c->state == CONN_HEAD) {
        if (c->processing)
            return;
        http_conn_hold(c);
        conn_process(c); /* what is complete but held up is dealt with; then the connection is finished */
        http_conn_release(c);
        return;
    }
    if (c->state == CONN_RAW_BODY) {
        http_conn_hold(c);
        http_conn_read_raw(c);
        http_conn_release(c);
        return;
    }
    /* A client that has ended its side may still want the answer; one that is gone looks the same. */
    struct http_request *req = c->req;
    if (!req->aborted) {
        req->aborted = true;
        if (req->on_abort)
            req->on_abort(req, req->on_abort_userdata);
    }
}

static void on_drain(struct stream *s, void *userdata) {
    struct http_conn *c = userdata;
    if (c->state != CONN_HEAD)
        return;
    http_conn_hold(c);
    conn_process(c);
    http_conn_release(c);
}

static void rebase(struct http_head *h, const char *from, char *to) {
    h->target = to + (h->target - from);
    h->path = to + (h->path - from);
    if (h->query)
        h->query = to + (h->query - from);
    for (unsigned i = 0; i < h->n_headers; i++) {
        h->headers[i].name = to + (h->headers[i].name - from);
        h->headers[i].value = to + (h->headers[i].value - from);
    }
}

/* The request gets the front of the input for its own, the connection keeps the rest. */
static void run_handler(struct http_conn *c, const struct http_route *route) {
    struct http_request *req = c->req;
    size_t size = req->head_size + req->body_size;
    struct buf rest = req->in; /* what memory the request brought along */
    req->in = c->in;
    if (c->in.size > size)
        buf_add(&rest, c->in.data + size, c->in.size - size);
    c->in = rest;
    req->in.size = size;
    req->in.data[size] = '\0'; /* the byte, if there was one, is in `rest` now */
    c->state = CONN_RUNNING;
    c->deadline_ms = 0;
    req->is_raw = route->is_raw;
    route->fn(req, route->userdata);
}

static const char no_length[] = "We require a content-length.";

/* A head is complete in c->req. False: refused, or more has to come. */
static bool begin_request(struct http_conn *c, const struct http_route **ret_route) {
    struct http_server *h = c->server;
    struct http_request *req = c->req;
    const struct http_head *head = &req->head;
    const struct http_route *route = find_route(h, head->method, head->path);
    if (head->is_chunked) {
        http_conn_refuse(c, 500, no_length);
        return false;
    }
    if (!route) {
        /* Every server has GET and HEAD, files or not; other methods that nothing here takes are unknown to it. */
        bool is_known = head->method == HTTP_GET || head->method == HTTP_HEAD || h->routes[head->method].n > 0;
        http_conn_refuse(c, is_known ? 404 : 501, "There is nothing at this address.");
        return false;
    }
    if (!route->is_raw) {
        bool wants_body = head->method == HTTP_POST || head->method == HTTP_PUT || head->method == HTTP_PATCH;
        if (head->content_length < 0 && wants_body) {
            http_conn_refuse(c, 500, no_length);
            return false;
        }
        if (head->content_length > (int64_t)route->max_body) {
            http_conn_refuse(c, 413, "The request is too large.");
            return false;
        }
        req->body_size = head->content_length > 0 ? (size_t)head->content_length : 0;
        if (head->expects_continue && c->in.size == req->head_size && req->body_size > 0) {
            static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
            (void)stream_write(c->stream, go_on, sizeof(go_on) - 1);
        }
    }
    *ret_route = route;
    return true;
}

/* One step: true when it may go on with what is in the input. */
static bool conn_step(struct http_conn *c) {
    if (c->state == CONN_HEAD) {
        if (stream_is_congested(c->stream))
            return false; /* answers wait; on_drain goes on */
        size_t skip = 0;
        while (c->scan == 0 && skip + 1 < c->in.size && c->in.data[skip] == '\r' && c->in.data[skip + 1] == '\n')
            skip += 2;
        if (skip > 0)
            buf_consume(&c->in, skip);
        if (c->in.size == 0)
            return false;
        c->req = http_request_new(c->server);
        c->req->conn = c;
        c->req->loop = c->server->loop;
        int r = http_parse_head(c->in.data, c->in.size, &c->scan, &c->req->head);
        if (r <= 0) {
            http_request_free(c->server, TAKE(c->req));
            if (r < 0)
                http_conn_refuse(c, -r, "The request could not be understood.");
            return false;
        }
        c->scan = 0;
        c->req->head_size = (size_t)r;
        c->n_requests++;
        c->state = CONN_BODY;
        const struct http_route *route;
        if (!begin_request(c, &route))
            return false;
        if (route->is_raw || c->in.size >= c->req->head_size + c->req->body_size) {
            run_handler(c, route);
            return true;
        }
        touch(c, c->server->limits.body_timeout_ms);
        return false;
    }
    if (c->state == CONN_BODY) {
        struct http_request *req = c->req;
        touch(c, c->server->limits.body_timeout_ms);
        if (c->in.size < req->head_size + req->body_size)
            return false;
        const struct http_route *route = find_route(c->server, req->head.method, req->head.path);
        run_handler(c, route);
        return true;
    }
    return false;
}

/* Between hold and release. */
static void conn_process(struct http_conn *c) {
    assert(c->holds > 0);
    c->processing = true;
    while (!c->closed && conn_step(c))
        ;
    c->processing = false;
    if (!c->closed && c->state == CONN_HEAD) {
        if (c->in.size == 0 && c->in.capacity > KEEP_CAPACITY)
            buf_done(&c->in);
        if (c->eof && !(c->in.size > 0 && stream_is_congested(c->stream)))
            stream_finish(dissolve(c), GOODBYE_MS);
    }
}

static void on_deferred_process(void *userdata) {
    struct http_conn *c = userdata;
    c->processing = false;
    if (!c->closed && c->state == CONN_HEAD)
        conn_process(c);
    http_conn_release(c);
}

void http_conn_answered(struct http_conn *c, bool keep) {
    if (!keep || c->n_requests >= c->server->limits.max_requests) {
        http_conn_finish(c);
        return;
    }
    c->state = CONN_HEAD;
    c->scan = 0;
    touch(c, c->in.size > 0 ? c->server->limits.head_timeout_ms : c->server->limits.idle_timeout_ms);
    stream_pause(c->stream, false);
    if (c->processing)
        return; /* conn_process goes on by itself */
    if (c->in.size == 0) {
        if (c->eof)
            http_conn_finish(c);
        return;
    }
    /* Not now: the one who answers may be in the middle of something. */
    c->processing = true;
    http_conn_hold(c);
    loop_defer(c->server->loop, on_deferred_process, c);
}
