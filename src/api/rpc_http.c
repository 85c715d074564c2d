/* SPDX-License-Identifier: Apache-2.0 */
/* The RPC paths of the HTTP server: body in, dispatch, body out. */
#include "api/call_private.h"
#include "api/client_certificates.h"
#include "base/str.h"
#include "wire/http_server.h"
#include "wire/rpc.h"

/* Larger than any call of these classes needs; uploads have handlers of their own. */
#define MAX_BODY (1024 * 1024)

/* One request between its arrival and its answer. */
struct exchange {
    struct http_request *http;
    struct rpc_request rpc;
    struct call *call; /* while it waits */
};

static void free_exchange(struct exchange *ex) {
    rpc_request_done(&ex->rpc);
    free(ex);
}

static void answered(const struct reply *r, void *userdata) {
    struct exchange *ex = userdata;
    struct buf body = BUF_INIT;
    if (r->error)
        rpc_encode_error(&ex->rpc, r->error, &body);
    else if (r->json)
        rpc_encode_result_json(&ex->rpc, r->json, r->json_size, &body);
    else
        rpc_encode_result(&ex->rpc, r->value, &body);
    http_on_abort(ex->http, NULL, NULL);
    http_reply(ex->http, 200, rpc_content_type(ex->rpc.version), rpc_reply_headers, &body);
    free_exchange(ex);
}

static void client_gone(struct http_request *req, void *userdata) {
    struct exchange *ex = userdata;
    struct call *c = ex->call;
    free_exchange(ex);
    http_reply(req, 500, NULL, NULL, NULL);
    api_client_gone(c);
}

struct api_caller api_http_caller(struct api *a, const struct http_request *req) {
    const struct stream_peer *peer = http_get_peer(req);
    struct api_caller caller = {.is_local = peer->is_unix};
    str_copy(caller.address, sizeof(caller.address), peer->address);
    caller.is_pool_host = peer->is_tls && peer->tls.has_certificate && peer->tls.verified &&
                          api_peer_is_pool_host(a, peer->tls.common_name, peer->tls.key_fingerprint);
    return caller;
}

static void handle(struct api *a, struct http_request *req, bool is_json) {
    struct exchange *ex = xnew0(struct exchange);
    _cleanup_error_ struct error *e = NULL;
    size_t size;
    const char *body = http_get_body(req, &size);
    if (!rpc_request_decode(is_json, body, size, &ex->rpc, &e)) {
        free(ex);
        http_reply_error(req, 500, rpc_reply_headers, error_param(e, 0));
        return;
    }
    ex->http = req;
    struct api_request rq = {
        .method = ex->rpc.method,
        .params = {.type = VALUE_SET, .set = {TAKE(ex->rpc.params), ex->rpc.n_params}},
        .caller = api_http_caller(a, req),
        .wants_json = is_json,
        .originator = http_get_header(req, "originator"),
    };
    ex->rpc.n_params = 0;
    if (str_eq(rq.method, "session.login_with_password") && !rq.caller.is_pool_host)
        rq.caller.has_certificate = client_certificates_judge(a->certificates, req, &rq.caller.certificate_ends);
    struct call *c = api_dispatch(a, &rq, answered, ex);
    if (!c)
        return; /* and ex is gone */
    ex->call = c;
    http_on_abort(req, client_gone, ex);
}

static void handle_xml(struct http_request *req, void *userdata) {
    handle(userdata, req, /* is_json= */ false);
}

static void handle_json(struct http_request *req, void *userdata) {
    handle(userdata, req, /* is_json= */ true);
}

/* What a browser asks before a request to another origin. */
static void handle_options(struct http_request *req, void *userdata) {
    http_reply(req, 200, NULL,
               "Access-Control-Allow-Origin: *\r\n"
               "Access-Control-Allow-Headers: X-Requested-With, Content-Type\r\n"
               "Access-Control-Allow-Methods: POST, OPTIONS\r\n"
               "Access-Control-Max-Age: 86400\r\n",
               NULL);
}

void api_attach_http(struct api *a, struct http_server *server) {
    http_server_route(server, HTTP_POST, "/", MAX_BODY, handle_xml, a);
    http_server_route(server, HTTP_POST, "/jsonrpc", MAX_BODY, handle_json, a);
    http_server_route(server, HTTP_POST, "/json", MAX_BODY, handle_json, a);
    http_server_route(server, HTTP_OPTIONS, "/", MAX_BODY, handle_options, a);
    audit_attach_http(a, server);
}
