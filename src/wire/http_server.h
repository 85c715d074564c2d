/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on the loop: keep-alive, pipelining, limits, and asynchronous answers. It listens on any number of
 * unix paths and addresses, plain or TLS. A request is handed to the handler of its method with the longest matching
 * path prefix. Loop thread only.
 *
 * A request lives until exactly one of http_reply* or http_take_stream is called on it, at any later time. When the
 * client is gone meanwhile, the answer goes nowhere, but it must still be given (http_on_abort tells that hurry is
 * pointless).
 */
#pragma once

#include "wire/http_parse.h"
#include "wire/stream.h"

struct http_server;
struct http_request;

struct http_limits {                      /* 0: the default in brackets */
    unsigned max_connections;             /* [4096] over all listeners; beyond: closed at once */
    unsigned max_connections_per_address; /* [256]; unix sockets do not count */
    unsigned head_timeout_ms;             /* [10000] from the first byte (or connect) to the end of a head */
    unsigned body_timeout_ms;             /* [60000] without any progress in a body */
    unsigned idle_timeout_ms;             /* [300000] between requests */
    unsigned max_requests;                /* [unlimited] per connection */
};

typedef void http_handler_fn(struct http_request *req, void *userdata);

struct http_server *http_server_new(struct loop *l, const struct http_limits *limits /* may be NULL */);
void http_server_free(struct http_server *h); /* closes everything; requests in flight stay answerable */
bool http_server_listen(struct http_server *h, const char *address, uint16_t port, unsigned unix_mode,
                        struct tls_context *tls, struct error **errp) _warn_unused_;
/* Stops listening there; connections that came in there end, at once or with the answer to what they have asked. False
 * when it was not listened on. */
bool http_server_unlisten(struct http_server *h, const char *address, uint16_t port);
uint16_t http_server_port(struct http_server *h); /* of the newest TCP listener; for tests with port 0 */
unsigned http_server_n_connections(const struct http_server *h);

/* Takes over an accepted stream (not started) as if a listener of the server had accepted it. */
void http_server_adopt(struct http_server *h, struct stream *s);

/*
 * Registers a handler. `prefix` matches the path from its beginning ("/" matches all). The whole body is read first;
 * one above max_body (0: 1 MiB) is answered 413. A chunked body, or a POST without Content-Length, is answered 500 "We
 * require a content-length" as the protocol has it.
 */
void http_server_route(struct http_server *h, enum http_method method, const char *prefix, size_t max_body,
                       http_handler_fn *fn, void *userdata);
/*
 * The same, but the handler runs as soon as the head is there, and nothing is said about the body: the handler uses
 * http_read_body or http_take_stream (or answers at once, which closes the connection when a body is pending).
 */
void http_server_route_raw(struct http_server *h, enum http_method method, const char *prefix, http_handler_fn *fn,
                           void *userdata);

/* GET of exactly `path` is answered with this page, everything else below it with 404. */
void http_server_page(struct http_server *h, const char *path, const char *html);

/* ---- the request; texts are borrowed until it ends ---- */
enum http_method http_get_method(const struct http_request *req);
const char *http_get_path(const struct http_request *req);                     /* decoded */
const char *http_get_query_text(const struct http_request *req);               /* raw, "" when none */
const char *http_get_query(struct http_request *req, const char *name);        /* decoded, NULL when absent */
const char *http_get_cookie(struct http_request *req, const char *name);       /* decoded, NULL when absent */
const char *http_get_header(const struct http_request *req, const char *name); /* name in lower case; NULL */
const struct http_head *http_get_head(const struct http_request *req);
const char *http_get_body(const struct http_request *req,
                          size_t *ret_size); /* NUL-terminated behind its size; "" when none */
const struct stream_peer *http_get_peer(const struct http_request *req);
/* See stream_is_trusted; false, too, once the connection is gone. */
bool http_is_trusted(const struct http_request *req, const struct tls_trust *trust, const char *name,
                     struct tls_vouched *ret);
struct loop *http_get_loop(const struct http_request *req);
/* user:password of "Authorization: Basic"; false when absent or malformed. The caller wipes and frees both. */
bool http_get_basic_auth(const struct http_request *req, char **ret_user, char **ret_password);
/* A place for the handler; freed by it. */
void http_set_data(struct http_request *req, void *data);
void *http_get_data(const struct http_request *req);
bool http_is_aborted(const struct http_request *req);
/* Called (once) when the client has gone before the answer. The request still has to be ended. NULL clears. */
void http_on_abort(struct http_request *req, void (*fn)(struct http_request *req, void *userdata), void *userdata);

/* ---- answering; each ends the request ---- */
/*
 * `headers` is NULL or whole extra lines "name: value\r\n..."; Content-Length and Connection are added here. The body's
 * memory is taken (may be NULL). content_type NULL: none is sent.
 */
void http_reply(struct http_request *req, int status, const char *content_type, const char *headers, struct buf *body);
/* A short HTML page with the status and the text, which is escaped. */
void http_reply_error(struct http_request *req, int status, const char *headers, const char *text);
const char *http_status_text(int status);
/*
 * Hands the raw stream over: the connection is no longer the server's. *rest gets what was already read behind the
 * head. The stream is paused; set callbacks, then stream_pause(s, false). NULL when the client is gone. Nothing has
 * been answered yet: write the status line yourself (http_format_head).
 */
struct stream *http_take_stream(struct http_request *req, struct buf *rest);
/* "HTTP/1.1 200 OK\r\n" + headers + empty line. */
void http_format_head(struct buf *out, int minor_version, int status, const char *headers);

/* ---- reading a body piece by piece (raw routes) ---- */
struct http_body_callbacks {
    void (*data)(struct http_request *req, const char *data, size_t size, void *userdata);
    /* The body is over. complete: all announced bytes came (or the peer closed a body without announced size); else the
     * client went away or stalled. */
    void (*end)(struct http_request *req, bool complete, void *userdata);
};
/* Answers "100 Continue" when asked for, then delivers. Neither callback comes before this returns. */
void http_read_body(struct http_request *req, const struct http_body_callbacks *callbacks, void *userdata);
void http_pause_body(struct http_request *req, bool paused);
/* Writes bytes of an early answer (status line and headers included) while the body still comes; http_end then ends it
 * and closes. */
bool http_write_early(struct http_request *req, const void *data, size_t size);
void http_end(struct http_request *req);
