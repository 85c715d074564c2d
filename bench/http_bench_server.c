/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server alone, for measuring beside others: GET /1k.json and /1m.json answer with fixed texts, POST /jsonrpc
 * decodes a call and echoes its first parameter. usage: http_bench_server PORT [CERT KEY]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/http_server.h"
#include "wire/rpc.h"

static char *texts[2];

static void on_text(struct http_request *req, void *userdata) {
    const char *text = userdata;
    struct buf body = BUF_INIT;
    buf_add(&body, text, strlen(text));
    http_reply(req, 200, "application/json", NULL, &body);
}

static void on_rpc(struct http_request *req, void *userdata) {
    struct rpc_request rpc;
    struct error *e = NULL;
    struct buf out = BUF_INIT;
    size_t size;
    const char *body = http_get_body(req, &size);
    if (!rpc_request_decode(true, body, size, &rpc, &e)) {
        http_reply_error(req, 500, NULL, error_text(e));
        error_free(e);
        return;
    }
    struct value none = {0};
    rpc_encode_result(&rpc, rpc.n_params ? &rpc.params[0] : &none, &out);
    http_reply(req, 200, rpc_content_type(rpc.version), rpc_reply_headers, &out);
    rpc_request_done(&rpc);
}

static char *make_text(size_t size) {
    struct buf b = BUF_INIT;
    buf_add_str(&b, "[\"");
    for (size_t i = 0; b.size < size - 2; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    buf_add_str(&b, "\"]");
    return buf_take(&b);
}

int main(int argc, char **argv) {
    int64_t port;
    struct error *e = NULL;
    struct tls_context *tls = NULL;
    if ((argc != 2 && argc != 4) || !str_parse_int(argv[1], 1, 65535, &port)) {
        (void)fprintf(stderr, "usage: http_bench_server PORT [CERT KEY]\n");
        return 2;
    }
    if (argc == 4) {
        tls = tls_context_new(&(struct tls_config){.role = TLS_SERVER, .cert_path = argv[2], .key_path = argv[3]}, &e);
        if (!tls) {
            (void)fprintf(stderr, "%s\n", error_text(e));
            return 1;
        }
    }
    struct loop *loop = loop_new();
    struct http_server *h = http_server_new(loop, &(struct http_limits){.max_connections_per_address = 4096});
    texts[0] = make_text(1024);
    texts[1] = make_text(1024 * 1024);
    http_server_route(h, HTTP_GET, "/1k.json", 0, on_text, texts[0]);
    http_server_route(h, HTTP_GET, "/1m.json", 0, on_text, texts[1]);
    http_server_route(h, HTTP_POST, "/jsonrpc", 0, on_rpc, NULL);
    if (!http_server_listen(h, "127.0.0.1", (uint16_t)port, 0, tls, &e)) {
        (void)fprintf(stderr, "%s\n", error_text(e));
        return 1;
    }
    return loop_run(loop);
}
