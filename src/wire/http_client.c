/* SPDX-License-Identifier: Apache-2.0 */
/* The asynchronous client: libcurl's multi interface driven by the loop. */
#include "wire/http_client.h"

#include <string.h>

#include "wire/http_transfer.h"

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct loop_source *timer;
    struct http_call *calls; /* doubly linked */
};

struct http_call {
    struct http_client *client;
    struct http_call *next, *prev;
    struct transfer transfer;
    struct error *error;       /* found before anything was sent */
    struct loop_source *early; /* tells it from the loop */
    bool added;
    http_done_fn *fn;
    rpc_done_fn *rpc_fn;
    void *userdata;
};

static void check_done(struct http_client *c);

static void on_socket_event(struct loop_source *source, int fd, unsigned events, void *userdata) {
    struct http_client *c = userdata;
    int mask = (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0) |
               (events & LOOP_HANGUP ? CURL_CSELECT_ERR : 0);
    int running;
    curl_multi_socket_action(c->multi, fd, mask, &running);
    check_done(c);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
    struct http_client *c = userdata;
    struct loop_source *source = socket_data;
    if (what == CURL_POLL_REMOVE) {
        loop_source_free(source);
        curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    unsigned events = (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
    if (source) {
        loop_fd_set_events(source, events);
        return 0;
    }
    source = loop_add_fd(c->loop, fd, events, on_socket_event, c);
    if (!source)
        return -1;
    curl_multi_assign(c->multi, fd, source);
    return 0;
}

static void on_timer(struct loop_source *source, void *userdata) {
    struct http_client *c = userdata;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_done(c);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *userdata) {
    struct http_client *c = userdata;
    loop_timer_set(c->timer, timeout_ms < 0 ? LOOP_NEVER : (uint64_t)timeout_ms);
    return 0;
}

struct http_client *http_client_new(struct loop *l) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct http_client *c = xnew0(struct http_client);
    c->loop = l;
    c->multi = curl_multi_init();
    if (!c->multi)
        abort();
    c->timer = loop_add_timer(l, LOOP_NEVER, on_timer, c);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    return c;
}

static void call_free(struct http_call *call) {
    struct http_client *c = call->client;
    if (call->added)
        curl_multi_remove_handle(c->multi, call->transfer.easy);
    if (call->prev)
        call->prev->next = call->next;
    else
        c->calls = call->next;
    if (call->next)
        call->next->prev = call->prev;
    CURL *easy = call->transfer.easy;
    if (easy)
        curl_easy_cleanup(easy); /* before transfer_done: it refers to the headers and the problem text */
    transfer_done(&call->transfer);
    loop_source_free(call->early);
    error_free(call->error);
    free(call);
}

void http_client_free(struct http_client *c) {
    if (!c)
        return;
    for (struct http_call *call; (call = c->calls);) {
        c->calls = call->next;
        call_free(call);
    }
    curl_multi_cleanup(c->multi);
    loop_source_free(c->timer);
    free(c);
}

void http_call_cancel(struct http_call *call) {
    if (call)
        call_free(call);
}

/* Ends the call: out of the lists first, so that the callback may do anything with the client. */
static void call_finish(struct http_call *call, struct error *e /* taken */) {
    struct http_call done = *call;
    call->fn = NULL;
    call->error = NULL;
    done.transfer.response.body = call->transfer.response.body;
    call->transfer.response.body = (struct buf)BUF_INIT;
    struct value result = {0};
    if (done.rpc_fn && !e && !transfer_decode_rpc(&done.transfer, &result, &e))
        value_done(&result);
    call_free(call);
    if (done.rpc_fn)
        done.rpc_fn(&result, e, &done.transfer.response, done.userdata);
    else
        done.fn(&done.transfer.response, e, done.userdata);
    value_done(&result);
    error_free(e);
    buf_done(&done.transfer.response.body);
}

static void check_done(struct http_client *c) {
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct http_call *call = NULL;
        struct error *e = NULL;
        CURLcode result = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        bool ok _unused_ = transfer_result(&call->transfer, result, &e); /* e tells the same */
        call_finish(call, e);
    }
}

static void on_early(struct loop_source *source, void *userdata) {
    struct http_call *call = userdata;
    call_finish(call, TAKE(call->error));
}

static struct http_call *start(struct http_client *c, const struct http_target *t, const char *method, const char *path,
                               const char *const *headers, const char *body, size_t size) {
    struct http_call *call = xnew0(struct http_call);
    call->client = c;
    call->next = c->calls;
    if (call->next)
        call->next->prev = call;
    c->calls = call;
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    if (!transfer_init(&call->transfer, easy, t, method, path, headers, body, size, &call->error)) {
        call->early = loop_add_timer(c->loop, 0, on_early, call);
        return call;
    }
    /* A connection that was judged by one pin must not serve a call with another. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)call);
    call->added = true;
    curl_multi_add_handle(c->multi, easy);
    return call;
}

struct http_call *http_client_start(struct http_client *c, const struct http_target *t, const char *method,
                                    const char *path, const char *const *headers, const char *body, size_t size,
                                    http_done_fn *fn, void *userdata) {
    struct http_call *call = start(c, t, method, path, headers, body, size);
    call->fn = fn;
    call->userdata = userdata;
    return call;
}

struct http_call *rpc_client_start(struct http_client *c, const struct http_target *t, const char *method,
                                   const struct value *params, size_t n_params, rpc_done_fn *fn, void *userdata) {
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    _cleanup_buf_ struct buf body = BUF_INIT;
    rpc_encode_call(RPC_JSON_2, method, params, n_params, &body);
    struct http_call *call = start(c, t, "POST", "/jsonrpc", headers, body.data, body.size);
    explicit_bzero(body.data, body.size); /* it may hold a password */
    call->rpc_fn = fn;
    call->userdata = userdata;
    return call;
}
