/* SPDX-License-Identifier: Apache-2.0 */
/* TLS, the pool channel and both HTTP clients, over loopback. */
#include "wire_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/channel.h"
#include "wire/http_client.h"

static char ca_path[128], host_cert[128], host_key[128], other_cert[128], other_key[128], other_ca[128];

static void begin(struct rig *r) {
    rig_init(r, NULL);
    rig_make_certificate(r, "ca", NULL, "the pool");
    rig_make_certificate(r, "host", "ca", "6f2a1c1e-0000-4000-8000-000000000001");
    rig_make_certificate(r, "otherca", NULL, "another pool");
    rig_make_certificate(r, "other", "otherca", "stranger");
    rig_path(r, "ca.crt", ca_path, sizeof(ca_path));
    rig_path(r, "host.crt", host_cert, sizeof(host_cert));
    rig_path(r, "host.key", host_key, sizeof(host_key));
    rig_path(r, "otherca.crt", other_ca, sizeof(other_ca));
    rig_path(r, "other.crt", other_cert, sizeof(other_cert));
    rig_path(r, "other.key", other_key, sizeof(other_key));
}

static struct tls_context *context(enum tls_role role, bool stranger) {
    struct error *e = NULL;
    struct tls_context *t = tls_context_new(&(struct tls_config){.role = role,
                                                                 .cert_path = stranger ? other_cert : host_cert,
                                                                 .key_path = stranger ? other_key : host_key,
                                                                 .ca_path = stranger ? other_ca : ca_path},
                                            &e);
    assert_non_null(t);
    return t;
}

/* ---- the channel ---- */

struct end {
    struct channel *channel;
    bool is_ready;
    unsigned n_messages;
    char last[64];
    size_t last_size;
    char reason[200];
    bool closed;
};

static void end_ready(struct channel *c, void *userdata) {
    ((struct end *)userdata)->is_ready = true;
}

static void end_message(struct channel *c, const char *json, size_t size, void *userdata) {
    struct end *e = userdata;
    assert_int_equal(strlen(json), size);
    e->n_messages++;
    e->last_size = size;
    snprintf(e->last, sizeof(e->last), "%s", json);
}

static void end_close(struct channel *c, const char *reason, void *userdata) {
    struct end *e = userdata;
    e->closed = true;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
}

static const struct channel_callbacks end_callbacks = {.ready = end_ready, .message = end_message, .close = end_close};

static void accept_channel(struct listener *n, struct stream *s, void *userdata) {
    struct end *e = userdata;
    e->channel = channel_new(s, &end_callbacks, e);
}

static bool is_true(void *arg) {
    return *(bool *)arg;
}

struct count_check {
    const unsigned *n;
    unsigned want;
};

static bool count_reached(void *arg) {
    struct count_check *c = arg;
    return *c->n >= c->want;
}

static void wait_messages(struct rig *r, struct end *e, unsigned n) {
    struct count_check c = {&e->n_messages, n};
    rig_wait(r, count_reached, &c, 5000);
}

static void test_channel(void **state) {
    struct rig r;
    begin(&r);
    struct error *e = NULL;
    struct tls_context *ts = context(TLS_MUTUAL_SERVER, false), *tc = context(TLS_MUTUAL_CLIENT, false);
    struct end server = {0}, client = {0};
    struct listener *n = listener_new(r.loop, "127.0.0.1", 0, 0, ts, accept_channel, &server, &e);
    assert_non_null(n);
    client.channel =
        channel_connect(r.loop, "127.0.0.1", listener_port(n), NULL, tc, 5000, &end_callbacks, &client, &e);
    assert_non_null(client.channel);
    assert_true(channel_send(client.channel, "\"before ready\"", 14)); /* queued */
    wait_messages(&r, &server, 1);
    assert_string_equal(server.last, "\"before ready\"");
    assert_true(server.is_ready && client.is_ready);
    const struct stream_peer *p = channel_get_peer(server.channel);
    assert_true(p->tls.verified);
    assert_string_equal(p->tls.common_name, "6f2a1c1e-0000-4000-8000-000000000001");
    char fingerprint[TLS_FINGERPRINT_SIZE];
    assert_true(tls_fingerprint_file(host_cert, fingerprint, &e));
    assert_string_equal(p->tls.fingerprint, fingerprint);
    for (int i = 0; i < 1000; i++)
        assert_true(channel_send(server.channel, "{\"n\":1}", 7));
    wait_messages(&r, &client, 1000);
    /* Large ones only once the peer is known. */
    size_t size = 5 << 20;
    char *big = xmalloc(size + 1);
    memset(big, 'a', size);
    big[size] = '\0';
    channel_set_authenticated(server.channel);
    assert_true(channel_send(client.channel, big, size));
    wait_messages(&r, &server, 2);
    assert_int_equal(server.last_size, size);
    assert_true(channel_send(server.channel, big, size)); /* the client does not know the server */
    rig_wait(&r, is_true, &client.closed, 5000);
    assert_non_null(strstr(client.reason, "too long"));
    rig_wait(&r, is_true, &server.closed, 5000);
    assert_false(channel_send(server.channel, "1", 1));
    free(big);
    channel_free(client.channel);
    channel_free(server.channel);
    listener_free(n);
    tls_context_unref(ts);
    tls_context_unref(tc);
    rig_done(&r);
}

/* Each side refuses a stranger. */
static void try_stranger(struct rig *r, bool client_is_stranger) {
    struct error *e = NULL;
    struct tls_context *ts = context(TLS_MUTUAL_SERVER, !client_is_stranger),
                       *tc = context(TLS_MUTUAL_CLIENT, client_is_stranger);
    struct end server = {0}, client = {0};
    struct listener *n = listener_new(r->loop, "127.0.0.1", 0, 0, ts, accept_channel, &server, &e);
    client.channel =
        channel_connect(r->loop, "127.0.0.1", listener_port(n), NULL, tc, 5000, &end_callbacks, &client, &e);
    rig_wait(r, is_true, &client.closed, 5000);
    rig_wait(r, is_true, &server.closed, 5000);
    assert_false(server.is_ready);
    channel_free(client.channel);
    channel_free(server.channel);
    listener_free(n);
    tls_context_unref(ts);
    tls_context_unref(tc);
}

static void test_strangers(void **state) {
    struct rig r;
    begin(&r);
    try_stranger(&r, true);
    try_stranger(&r, false);
    /* Nobody there, and somebody who says nothing. */
    struct error *e = NULL;
    struct tls_context *tc = context(TLS_MUTUAL_CLIENT, false);
    struct end client = {0};
    struct listener *n = listener_new(r.loop, "127.0.0.1", 0, 0, NULL, accept_channel, &(struct end){0}, &e);
    listener_pause(n, true);
    client.channel = channel_connect(r.loop, "127.0.0.1", listener_port(n), NULL, tc, 200, &end_callbacks, &client, &e);
    rig_wait(&r, is_true, &client.closed, 5000);
    assert_non_null(strstr(client.reason, "timed out"));
    channel_free(client.channel);
    uint16_t port = listener_port(n);
    listener_free(n);
    client = (struct end){0};
    client.channel = channel_connect(r.loop, "127.0.0.1", port, NULL, tc, 1000, &end_callbacks, &client, &e);
    rig_wait(&r, is_true, &client.closed, 5000);
    assert_non_null(strstr(client.reason, "refused"));
    channel_free(client.channel);
    assert_null(channel_connect(r.loop, "nowhere", 1, NULL, tc, 1000, &end_callbacks, &client, &e));
    error_free(e);
    tls_context_unref(tc);
    rig_done(&r);
}

/* ---- HTTP over TLS ---- */

static void on_rpc(struct http_request *req, void *userdata) {
    size_t size;
    const char *body = http_get_body(req, &size);
    struct rpc_request rpc;
    struct error *e = NULL;
    assert_true(rpc_request_decode(true, body, size, &rpc, &e));
    struct buf out = BUF_INIT;
    if (str_eq(rpc.method, "test.peer")) {
        struct value v = value_string(http_get_peer(req)->tls.verified ? http_get_peer(req)->tls.common_name : "");
        rpc_encode_result(&rpc, &v, &out);
        value_done(&v);
    } else {
        error_set(&e, "HOST_IS_SLAVE", "10.0.0.1", NULL);
        rpc_encode_error(&rpc, e, &out);
        error_free(e);
    }
    http_reply(req, 200, rpc_content_type(rpc.version), rpc_reply_headers, &out);
    rpc_request_done(&rpc);
}

static struct tls_context *serve(struct rig *r) {
    struct error *e = NULL;
    begin(r);
    struct tls_context *t = context(TLS_SERVER, false);
    http_server_route(r->server, HTTP_POST, "/jsonrpc", 0, on_rpc, NULL);
    assert_true(http_server_listen(r->server, "127.0.0.1", 0, 0, t, &e));
    return t;
}

struct outcome {
    bool done;
    char *text; /* of the result */
    char code[64], param[64];
    char fingerprint[TLS_FINGERPRINT_SIZE];
};

static void on_rpc_done(const struct value *result, const struct error *error, const struct http_response *response,
                        void *userdata) {
    struct outcome *o = userdata;
    o->done = true;
    o->text = xstrdup(value_str(result));
    str_copy(o->code, sizeof(o->code), error ? error_code(error) : "");
    str_copy(o->param, sizeof(o->param), error ? error_param(error, 0) : "");
    str_copy(o->fingerprint, sizeof(o->fingerprint), response->peer_fingerprint);
}

static void call(struct rig *r, struct http_client *c, const struct http_target *t, const char *method,
                 struct outcome *o) {
    *o = (struct outcome){0};
    struct http_target target = *t;
    if (!target.host)
        target.host = "127.0.0.1";
    if (!target.port)
        target.port = http_server_port(r->server);
    rpc_client_start(c, &target, method, NULL, 0, on_rpc_done, o);
    rig_wait(r, is_true, &o->done, 10000);
    free(TAKE(o->text));
}

static void test_client(void **state) {
    struct rig r;
    struct tls_context *t = serve(&r);
    struct http_client *c = http_client_new(r.loop);
    struct error *e = NULL;
    struct outcome o;
    char fingerprint[TLS_FINGERPRINT_SIZE], wrong[TLS_FINGERPRINT_SIZE];
    assert_true(tls_fingerprint_file(host_cert, fingerprint, &e));
    str_copy(wrong, sizeof(wrong), fingerprint);
    wrong[0] = wrong[0] == '0' ? '1' : '0';

    call(&r, c, &(struct http_target){.ca_path = ca_path}, "test.peer", &o);
    assert_string_equal(o.code, "");
    assert_string_equal(o.fingerprint, fingerprint);
    call(&r, c, &(struct http_target){.ca_path = other_ca}, "test.peer", &o);
    assert_string_equal(o.code, ERR_WIRE_CERTIFICATE);
    assert_string_equal(o.fingerprint, fingerprint); /* known all the same */
    call(&r, c, &(struct http_target){.verify = TLS_VERIFY_PIN, .pin = fingerprint}, "test.peer", &o);
    assert_string_equal(o.code, "");
    call(&r, c, &(struct http_target){.verify = TLS_VERIFY_PIN, .pin = wrong}, "test.peer", &o);
    assert_string_equal(o.code, ERR_WIRE_CERTIFICATE);
    call(&r, c, &(struct http_target){.verify = TLS_VERIFY_PIN, .pin = "12"}, "test.peer", &o);
    assert_string_equal(o.code, ERR_WIRE_CERTIFICATE);
    call(&r, c, &(struct http_target){.verify = TLS_VERIFY_NONE}, "test.slave", &o);
    assert_string_equal(o.code, "HOST_IS_SLAVE");
    assert_string_equal(o.param, "10.0.0.1");
    assert_string_equal(o.fingerprint, fingerprint);
    call(&r, c, &(struct http_target){.verify = TLS_VERIFY_NONE, .is_plain = true}, "test.peer", &o);
    assert_string_equal(o.code, ERR_WIRE_CONNECT);
    call(&r, c, &(struct http_target){.host = "a/b"}, "test.peer", &o);
    assert_string_equal(o.code, ERR_WIRE_CONNECT);
    /* Cancelled calls stay silent. */
    o = (struct outcome){0};
    struct http_target target = {.host = "127.0.0.1", .port = http_server_port(r.server), .verify = TLS_VERIFY_NONE};
    http_call_cancel(rpc_client_start(c, &target, "test.peer", NULL, 0, on_rpc_done, &o));
    (void)rpc_client_start(c, &target, "test.peer", NULL, 0, on_rpc_done, &o);
    http_client_free(c);
    for (int i = 0; i < 10; i++)
        loop_step(r.loop, 1);
    assert_false(o.done);
    tls_context_unref(t);
    rig_done(&r);
}

/* A joiner knows the fingerprint of the pool's authority, not that of the host it talks to. */
static void test_pinned_authority(void **state) {
    struct rig r;
    begin(&r);
    struct error *e = NULL;
    struct outcome o;
    char pool[TLS_FINGERPRINT_SIZE], host[TLS_FINGERPRINT_SIZE], chain_path[128], path[128];
    assert_true(tls_fingerprint_file(ca_path, pool, &e));
    assert_true(tls_fingerprint_file(host_cert, host, &e));
    http_server_route(r.server, HTTP_POST, "/jsonrpc", 0, on_rpc, NULL);
    struct http_client *c = http_client_new(r.loop);
    /* host + its authority; a stranger's certificate with the pool's authority beside it; a host without the authority.
     */
    static const char *const leaves[] = {"host.crt", "other.crt", "host.crt"};
    for (int i = 0; i < 3; i++) {
        struct buf chain = BUF_INIT;
        assert_int_equal(fs_read(rig_path(&r, leaves[i], path, sizeof(path)), 65536, &chain), 0);
        if (i < 2) {
            struct buf authority = BUF_INIT;
            assert_int_equal(fs_read(ca_path, 65536, &authority), 0);
            buf_add(&chain, authority.data, authority.size);
            buf_done(&authority);
        }
        rig_path(&r, "chain.crt", chain_path, sizeof(chain_path));
        assert_int_equal(fs_write_atomic(chain_path, chain.data, chain.size, 0600), 0);
        buf_done(&chain);
        struct tls_context *t = tls_context_new(&(struct tls_config){.role = TLS_SERVER,
                                                                     .cert_path = chain_path,
                                                                     .key_path = i == 1 ? other_key : host_key},
                                                &e);
        assert_non_null(t);
        assert_true(http_server_listen(r.server, "127.0.0.1", 0, 0, t, &e));
        struct http_target target = {.verify = TLS_VERIFY_PIN_AUTHORITY, .pin = pool};
        call(&r, c, &target, "test.peer", &o);
        assert_string_equal(o.code, i == 0 ? "" : ERR_WIRE_CERTIFICATE);
        target.pin = host; /* the host's own is not an authority */
        call(&r, c, &target, "test.peer", &o);
        assert_string_equal(o.code, ERR_WIRE_CERTIFICATE);
        tls_context_unref(t);
    }
    http_client_free(c);
    rig_done(&r);
}

struct blocking {
    struct http_target target;
    struct value result, results[3];
    struct error *error, *errors[3];
    char fingerprint[TLS_FINGERPRINT_SIZE];
    _Atomic bool done;
};

static void *run_blocking(void *arg) {
    struct blocking *b = arg;
    struct rpc_client *c = rpc_client_new(&b->target);
    for (int i = 0; i < 3; i++)
        if (!rpc_client_call(c, i == 1 ? "test.slave" : "test.peer", NULL, 0, &b->results[i], &b->errors[i]))
            assert_non_null(b->errors[i]);
    str_copy(b->fingerprint, sizeof(b->fingerprint), rpc_client_peer_fingerprint(c));
    rpc_client_free(c);
    b->done = true;
    return NULL;
}

static bool blocking_done(void *arg) {
    return ((struct blocking *)arg)->done;
}

static void test_blocking_client(void **state) {
    struct rig r;
    struct tls_context *t = serve(&r);
    char path[128];
    struct error *e = NULL;
    assert_true(http_server_listen(r.server, rig_path(&r, "sock", path, sizeof(path)), 0, 0600, NULL, &e));
    struct http_target targets[] = {
        /* With a certificate of the pool the server knows who calls. */
        {.host = "127.0.0.1",
         .port = http_server_port(r.server),
         .ca_path = ca_path,
         .cert_path = host_cert,
         .key_path = host_key},
        /* One of elsewhere is no reason to refuse, nor to believe it. */
        {.host = "localhost",
         .port = http_server_port(r.server),
         .ca_path = ca_path,
         .cert_path = other_cert,
         .key_path = other_key},
        {.unix_path = path},
    };
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        struct blocking b = {.target = targets[i]};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_blocking, &b), 0);
        rig_wait(&r, blocking_done, &b, 10000);
        pthread_join(thread, NULL);
        assert_string_equal(value_str(&b.results[0]), i == 0 ? "6f2a1c1e-0000-4000-8000-000000000001" : "");
        assert_null(b.errors[0]);
        assert_true(error_is(b.errors[1], "HOST_IS_SLAVE"));
        assert_null(b.errors[2]);
        assert_int_equal(strlen(b.fingerprint), i == 2 ? 0 : 64);
        for (int k = 0; k < 3; k++) {
            value_done(&b.results[k]);
            error_free(b.errors[k]);
        }
    }
    tls_context_unref(t);
    rig_done(&r);
}

static void test_reload(void **state) {
    struct rig r;
    struct tls_context *t = serve(&r);
    struct http_client *c = http_client_new(r.loop);
    struct error *e = NULL;
    struct outcome o;
    char before[TLS_FINGERPRINT_SIZE];
    call(&r, c, &(struct http_target){.ca_path = ca_path}, "test.peer", &o);
    str_copy(before, sizeof(before), o.fingerprint);
    assert_true(tls_context_reload_if_changed(t, &e));
    rig_make_certificate(&r, "host", "ca", "renewed");
    assert_true(tls_context_reload_if_changed(t, &e));
    call(&r, c, &(struct http_target){.ca_path = ca_path}, "test.peer", &o);
    assert_string_equal(o.code, "");
    assert_string_not_equal(o.fingerprint, before);
    /* What cannot be read leaves things as they are. */
    str_copy(before, sizeof(before), o.fingerprint);
    assert_int_equal(fs_write_atomic(host_cert, "nonsense", 8, 0600), 0);
    assert_false(tls_context_reload_if_changed(t, &e));
    assert_non_null(strstr(error_text(e), "host.crt"));
    error_free(e);
    call(&r, c, &(struct http_target){.ca_path = ca_path}, "test.peer", &o);
    assert_string_equal(o.fingerprint, before);
    http_client_free(c);
    tls_context_unref(t);
    rig_done(&r);
}

static void test_fingerprint_text(void **state) {
    char out[TLS_FINGERPRINT_SIZE] = "x", text[200] = "";
    for (int i = 0; i < 32; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%sA%X", i ? ":" : "", i % 16);
    assert_true(tls_fingerprint_parse(text, out));
    assert_true(str_starts(out, "a0a1a2"));
    assert_false(tls_fingerprint_parse("abc", out));
    str_copy(text + strlen(text), 2, "0");
    assert_false(tls_fingerprint_parse(text, out));
    assert_false(tls_fingerprint_parse("", out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel),          cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_client),           cmocka_unit_test(test_blocking_client),
        cmocka_unit_test(test_reload),           cmocka_unit_test(test_pinned_authority),
        cmocka_unit_test(test_fingerprint_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
