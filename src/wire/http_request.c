/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <strings.h>

#include "wire/base64.h"
#include "wire/http_internal.h"
#include "wire/value_xml.h"

#define MAX_SPARE 16
#define KEEP_CAPACITY 8192
#define HEAD_ROOM 1024 /* of an answer's head on the stack; longer ones go through a buffer */

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {204, "No Content"},
    {206, "Partial Content"},
    {302, "Found"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {416, "Range Not Satisfiable"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_text(int status) {
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Unknown";
}

struct http_request *http_request_new(struct http_server *h) {
    struct http_request *req = h->spare;
    if (!req)
        return xnew0(struct http_request);
    h->spare = req->next_spare;
    h->n_spare--;
    req->next_spare = NULL;
    return req;
}

void http_request_free(struct http_server *h, struct http_request *req) {
    /* Logins come this way: what was small enough to be one does not stay in freed memory. */
    if (req->in.size > 0)
        explicit_bzero(req->in.data, MIN(req->in.size, (size_t)KEEP_CAPACITY));
    strv_done(&req->texts);
    free(req->peer);
    if (!h || h->n_spare >= MAX_SPARE) {
        buf_done(&req->in);
        free(req);
        return;
    }
    /* The memory of a small input serves the next request; everything but the head, which the parser fills, starts
     * anew. */
    struct buf in = req->in;
    if (in.capacity > KEEP_CAPACITY)
        buf_done(&in);
    else
        buf_clear(&in);
    size_t after_head = offsetof(struct http_request, in);
    memset((char *)req + after_head, 0, sizeof(*req) - after_head);
    req->conn = NULL;
    req->in = in;
    req->next_spare = h->spare;
    h->spare = req;
    h->n_spare++;
}

/* ---- reading ---- */

enum http_method http_get_method(const struct http_request *req) {
    return req->head.method;
}

const char *http_get_path(const struct http_request *req) {
    return req->head.path;
}

const char *http_get_query_text(const struct http_request *req) {
    return req->head.query ? req->head.query : "";
}

static const char *keep_text(struct http_request *req, char *text) {
    if (text)
        strv_take(&req->texts, text);
    return text;
}

const char *http_get_query(struct http_request *req, const char *name) {
    return keep_text(req, http_query_get(req->head.query, name));
}

const char *http_get_cookie(struct http_request *req, const char *name) {
    return keep_text(req, http_cookie_get(http_get_header(req, "cookie"), name));
}

const char *http_get_header(const struct http_request *req, const char *name) {
    return http_head_get(&req->head, name);
}

const struct http_head *http_get_head(const struct http_request *req) {
    return &req->head;
}

const char *http_get_body(const struct http_request *req, size_t *ret_size) {
    *ret_size = req->body_size;
    return req->body_size ? req->in.data + req->head_size : "";
}

const struct stream_peer *http_get_peer(const struct http_request *req) {
    return req->conn ? stream_get_peer(req->conn->stream) : req->peer;
}

bool http_is_trusted(const struct http_request *req, const struct tls_trust *trust, const char *name,
                     struct tls_vouched *ret) {
    *ret = (struct tls_vouched){.why = "the connection is gone"};
    return req->conn && stream_is_trusted(req->conn->stream, trust, name, ret);
}

struct loop *http_get_loop(const struct http_request *req) {
    return req->loop;
}

void http_set_data(struct http_request *req, void *data) {
    req->data = data;
}

void *http_get_data(const struct http_request *req) {
    return req->data;
}

bool http_is_aborted(const struct http_request *req) {
    return req->aborted || !req->conn;
}

void http_on_abort(struct http_request *req, void (*fn)(struct http_request *req, void *userdata), void *userdata) {
    req->on_abort = fn;
    req->on_abort_userdata = userdata;
}

bool http_get_basic_auth(const struct http_request *req, char **ret_user, char **ret_password) {
    const char *text = http_get_header(req, "authorization");
    if (!text || strncasecmp(text, "basic ", 6) != 0)
        return false;
    text += 6 + strspn(text + 6, " ");
    size_t size = strlen(text);
    size_t n = 0;
    char *plain = size > 0 && size <= 4096 ? base64_decode(text, size, &n) : NULL;
    if (!plain)
        return false;
    char *colon = str_is_utf8(plain, n) ? strchr(plain, ':') : NULL;
    if (colon) {
        *ret_user = xstrndup(plain, (size_t)(colon - plain));
        *ret_password = xstrdup(colon + 1);
    }
    explicit_bzero(plain, n);
    free(plain);
    return colon != NULL;
}

/* ---- answering ---- */

/* Without a client the answer goes nowhere. */
static void drop(struct http_request *req, struct buf *body) {
    if (body)
        buf_done(body);
    http_request_free(/* h= */ NULL, req);
}

/* Whether the next request begins right behind this one. */
static bool body_is_over(const struct http_request *req) {
    if (!req->is_raw)
        return true;
    if (req->head.method == HTTP_CONNECT || req->head.upgrades)
        return false;
    return req->body_ended
               ? req->body_left == 0
               : req->head.content_length == 0 ||
                     (req->head.content_length < 0 && req->head.method != HTTP_PUT && req->head.method != HTTP_POST);
}

static void add(char **p, const char *text, size_t size) {
    memcpy(*p, text, size);
    *p += size;
}

static void add_number(char **p, size_t n) {
    char digits[24], *d = digits + sizeof(digits);
    do
        *--d = (char)('0' + n % 10);
    while (n /= 10);
    add(p, d, (size_t)(digits + sizeof(digits) - d));
}

void http_reply(struct http_request *req, int status, const char *content_type, const char *headers, struct buf *body) {
    struct http_conn *c = req->conn;
    if (!c) {
        drop(req, body);
        return;
    }
    struct http_server *h = c->server;
    struct buf none = BUF_INIT;
    if (!body)
        body = &none;
    bool keep = req->head.keep_alive && body_is_over(req) && !c->is_last && c->n_requests < h->limits.max_requests;
    char stack[HEAD_ROOM];
    const char *date = http_server_date(h), *reason = http_status_text(status);
    size_t type_len = content_type ? strlen(content_type) : 0, headers_len = headers ? strlen(headers) : 0;
    size_t date_len = strlen(date), reason_len = strlen(reason);
    /* Fixed texts and two numbers take less than 200 bytes. */
    size_t need = 200 + reason_len + date_len + type_len + headers_len;
    char *head = need <= sizeof(stack) ? stack : xmalloc(need);
    char *p = head;
    add(&p, "HTTP/1.1 ", 9);
    add_number(&p, (size_t)status);
    *p++ = ' ';
    add(&p, reason, reason_len);
    add(&p, "\r\n", 2);
    add(&p, date, date_len);
    if (content_type) {
        add(&p, "Content-Type: ", 14);
        add(&p, content_type, type_len);
        add(&p, "\r\n", 2);
    }
    if (headers)
        add(&p, headers, headers_len);
    if (status != 204 && status != 304 && status >= 200) {
        add(&p, "Content-Length: ", 16);
        add_number(&p, body->size);
        add(&p, "\r\n", 2);
    }
    if (keep)
        add(&p, "Connection: keep-alive\r\n\r\n", 26);
    else
        add(&p, "Connection: close\r\n\r\n", 21);
    if (req->head.method == HTTP_HEAD)
        buf_done(body);
    bool ok = stream_write_buf(c->stream, head, (size_t)(p - head), body);
    if (head != stack)
        free(head);
    c->req = NULL;
    http_request_free(h, req);
    if (!ok)
        http_conn_close(c);
    else
        http_conn_answered(c, keep);
}

static void error_page(struct buf *out, int status, const char *text) {
    buf_addf(out, "<html><head><title>%d %s</title></head><body><h1>%s</h1><p>", status, http_status_text(status),
             http_status_text(status));
    xml_emit_text(out, text);
    buf_add_str(out, "</p></body></html>\n");
}

void http_reply_error(struct http_request *req, int status, const char *headers, const char *text) {
    struct buf page = BUF_INIT;
    error_page(&page, status, text);
    http_reply(req, status, "text/html", headers, &page);
}

void http_conn_refuse(struct http_conn *c, int status, const char *text) {
    struct buf head = BUF_INIT, page = BUF_INIT;
    error_page(&page, status, text);
    buf_addf(&head, "HTTP/1.1 %d %s\r\n%sContent-Type: text/html\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             status, http_status_text(status), http_server_date(c->server), page.size);
    if (c->req && c->req->head.method == HTTP_HEAD)
        buf_done(&page);
    (void)stream_write_buf(c->stream, head.data, head.size, &page);
    buf_done(&head);
    http_conn_finish(c);
}

static const struct stream_callbacks no_callbacks = {0};

struct stream *http_take_stream(struct http_request *req, struct buf *rest) {
    struct http_conn *c = req->conn;
    if (!c) {
        drop(req, /* body= */ NULL);
        return NULL;
    }
    *rest = c->in;
    c->in = (struct buf)BUF_INIT;
    c->req = NULL;
    http_request_free(c->server, req);
    struct stream *s = http_conn_dissolve(c);
    stream_pause(s, true);
    stream_set_callbacks(s, &no_callbacks, /* userdata= */ NULL);
    return s;
}

void http_format_head(struct buf *out, int minor_version, int status, const char *headers) {
    buf_addf(out, "HTTP/1.%d %d %s\r\n%s\r\n", minor_version, status, http_status_text(status), headers ? headers : "");
}

/* ---- bodies piece by piece ---- */

static void on_deferred_raw(void *userdata) {
    struct http_conn *c = userdata;
    if (!c->closed && c->state == CONN_RAW_BODY)
        http_conn_read_raw(c);
    http_conn_release(c);
}

static void owe_raw_turn(struct http_conn *c) {
    http_conn_hold(c);
    loop_defer(c->server->loop, on_deferred_raw, c);
}

void http_read_body(struct http_request *req, const struct http_body_callbacks *callbacks, void *userdata) {
    req->body_callbacks = *callbacks;
    req->body_userdata = userdata;
    struct http_conn *c = req->conn;
    if (!c) /* the end was told by http_on_abort, or nobody listened */
        return;
    const struct http_head *head = &req->head;
    bool until_close =
        head->content_length < 0 && !head->keep_alive && (head->method == HTTP_PUT || head->method == HTTP_POST);
    req->body_left = until_close ? -1 : MAX(head->content_length, (int64_t)0);
    c->state = CONN_RAW_BODY;
    c->deadline_ms = loop_now_ms(c->server->loop) + c->server->limits.body_timeout_ms;
    if (head->expects_continue && c->in.size == 0 && req->body_left != 0) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        (void)stream_write(c->stream, go_on, sizeof(go_on) - 1);
    }
    owe_raw_turn(c);
}

/* The holder of c has a hold on it. */
void http_conn_read_raw(struct http_conn *c) {
    struct http_request *req = c->req;
    if (req->body_ended || req->body_paused)
        return;
    if (c->in.size > 0 && req->body_left != 0) {
        size_t n = req->body_left < 0 ? c->in.size : (size_t)MIN((int64_t)c->in.size, req->body_left);
        struct buf piece = c->in; /* the callback may end the request, and the connection with it */
        c->in = (struct buf)BUF_INIT;
        if (n < piece.size)
            buf_add(&c->in, piece.data + n, piece.size - n);
        if (req->body_left > 0)
            req->body_left -= (int64_t)n;
        c->deadline_ms = loop_now_ms(c->server->loop) + c->server->limits.body_timeout_ms;
        if (req->body_callbacks.data)
            req->body_callbacks.data(req, piece.data, n, req->body_userdata);
        buf_done(&piece);
        if (c->closed || c->req != req || c->state != CONN_RAW_BODY)
            return;
    }
    if (req->body_left == 0 || (c->eof && c->in.size == 0)) {
        bool complete = req->body_left <= 0;
        req->body_ended = true;
        req->body_left = complete ? 0 : req->body_left;
        c->state = CONN_RUNNING;
        c->deadline_ms = 0;
        if (c->eof)
            req->aborted = true;
        if (req->body_callbacks.end)
            req->body_callbacks.end(req, complete, req->body_userdata);
    }
}

void http_pause_body(struct http_request *req, bool paused) {
    struct http_conn *c = req->conn;
    req->body_paused = paused;
    if (!c || c->state != CONN_RAW_BODY)
        return;
    stream_pause(c->stream, paused);
    c->deadline_ms = paused ? 0 : loop_now_ms(c->server->loop) + c->server->limits.body_timeout_ms;
    if (!paused)
        owe_raw_turn(c);
}

bool http_write_early(struct http_request *req, const void *data, size_t size) {
    return req->conn && stream_write(req->conn->stream, data, size);
}

void http_end(struct http_request *req) {
    struct http_conn *c = req->conn;
    if (!c) {
        drop(req, /* body= */ NULL);
        return;
    }
    c->req = NULL;
    http_request_free(c->server, req);
    http_conn_finish(c);
}
