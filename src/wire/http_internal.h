/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What http_server.c (listeners, limits, connections) and http_request.c (requests and answers) share.
 *
 * A connection owns its stream and the input that is not consumed. A request owns the input it was parsed from, so that
 * its texts live as long as itself, also when the connection dies first.
 */
#pragma once

#include "base/str.h"
#include "base/strmap.h"
#include "wire/http_server.h"

#define HTTP_AHEAD_LIMIT 65536 /* bytes read ahead while a request runs; then reading pauses */

struct http_route {
    char *prefix;
    size_t prefix_len;
    size_t max_body;
    bool is_raw;
    http_handler_fn *fn;
    void *userdata;
};

struct http_routes { /* of one method, longest prefix first */
    struct http_route *items;
    size_t n;
};

struct http_listener {
    struct listener *listener;
    char *address;
    uint16_t port; /* as asked for */
};

struct http_conn;

struct http_page {
    char *path, *html;
};

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    struct http_routes routes[N_HTTP_METHODS];
    struct http_listener *listeners;
    size_t n_listeners;
    struct http_page **pages;
    size_t n_pages;
    struct http_conn *conns; /* doubly linked */
    unsigned n_conns;
    struct strmap *addresses; /* address -> struct address_count */
    struct loop_source *sweep;
    struct http_request *spare; /* a short list of unused requests */
    unsigned n_spare;
    int64_t date_s; /* of date_line */
    char date_line[48];
};

enum conn_state {
    CONN_HEAD,     /* waiting for a head, or inside one */
    CONN_BODY,     /* collecting a body */
    CONN_RUNNING,  /* a handler has the request */
    CONN_RAW_BODY, /* a handler reads the body piece by piece */
};

struct http_conn {
    struct http_server *server;
    struct stream *stream;
    const struct listener *from; /* where it was accepted, while that listens; NULL */
    struct http_conn *next, *prev;
    enum conn_state state;
    struct buf in;
    size_t scan;              /* of http_parse_head */
    struct http_request *req; /* CONN_BODY and later */
    uint64_t deadline_ms;     /* 0: none */
    size_t watched_queue;     /* bytes queued when the sweep last saw progress */
    uint64_t queue_since_ms;  /* ... and when that was; 0: nothing was queued */
    unsigned n_requests;
    bool eof;
    bool is_last;    /* the request that it is about is its last one */
    bool processing; /* conn_process is on the stack or will run soon */
    bool closed;
    unsigned holds;
    struct address_count *address;
};

struct http_request {
    struct http_conn *conn; /* NULL: the client is gone */
    struct http_request *next_spare;
    struct http_head head;
    struct buf in; /* head and body */
    size_t head_size;
    size_t body_size;
    struct strv texts; /* decoded query and cookie values that were asked for */
    void *data;
    bool aborted;
    void (*on_abort)(struct http_request *req, void *userdata);
    void *on_abort_userdata;
    /* raw routes */
    bool is_raw;
    bool body_paused;
    bool body_ended;
    int64_t body_left; /* -1: until the end of the stream */
    struct http_body_callbacks body_callbacks;
    void *body_userdata;
    struct stream_peer *peer; /* a copy, once the stream is gone */
    struct loop *loop;
};

struct http_request *http_request_new(struct http_server *h);
void http_request_free(struct http_server *h /* NULL: the server is gone */, struct http_request *req);
/* Answers on the connection without a handler and closes it. */
void http_conn_refuse(struct http_conn *c, int status, const char *text);
void http_conn_close(struct http_conn *c);
/* Takes the connection out of the server; the stream is the caller's. */
struct stream *http_conn_dissolve(struct http_conn *c);
void http_conn_finish(struct http_conn *c); /* flush, then close */
void http_conn_hold(struct http_conn *c);
void http_conn_release(struct http_conn *c);
/* The running request has been answered; go on with the next, or close. */
void http_conn_answered(struct http_conn *c, bool keep);
void http_conn_read_raw(struct http_conn *c); /* delivers what is there of a raw body */
/* "Date: ...\r\n" */
const char *http_server_date(struct http_server *h);
