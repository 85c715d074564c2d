/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a client's certificate stands for a login, judged on a connection over loopback; what is no authority. */
#include "wire_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/channel.h"

struct visit {
    struct stream *stream;
    bool is_ready, client_ready;
};

static void on_ready(struct stream *s, void *userdata) {
    ((struct visit *)userdata)->is_ready = true;
}

static void on_data(struct stream *s, const char *data, size_t size, void *userdata) {}

static void on_end(struct stream *s, int r, void *userdata) {}

static const struct stream_callbacks callbacks = {.ready = on_ready, .data = on_data, .end = on_end};

static void on_accept(struct listener *n, struct stream *s, void *userdata) {
    struct visit *v = userdata;
    v->stream = s;
    stream_set_callbacks(s, &callbacks, v);
    stream_start(s, 5000);
}

static void client_ready(struct channel *c, void *userdata) {
    ((struct visit *)userdata)->client_ready = true;
}

static void client_message(struct channel *c, const char *json, size_t size, void *userdata) {}

static void client_close(struct channel *c, const char *reason, void *userdata) {}

static const struct channel_callbacks client_callbacks = {
    .ready = client_ready, .message = client_message, .close = client_close};

static bool is_true(void *arg) {
    return *(bool *)arg;
}

static char *text_of(struct rig *r, const char *name) {
    char path[160];
    struct buf b = BUF_INIT;
    assert_int_equal(fs_read(rig_path(r, name, path, sizeof(path)), 65536, &b), 0);
    return buf_take(&b);
}

static void trust_file(struct rig *r, struct tls_trust *t, const char *name) {
    char *pem = text_of(r, name);
    assert_true(tls_trust_add_authority(t, pem));
    free(pem);
}

/* A client with this certificate ("": none) at a server whose own authority is another. Why it does not count; NULL. */
static const char *judged(struct rig *r, const struct tls_trust *trust, const char *who, const char *name) {
    char cert[160], key[160], file[40], host_cert[160], host_key[160], ca[160];
    struct error *e = NULL;
    struct visit v = {0};
    struct tls_vouched said;
    rig_path(r, "host.crt", host_cert, sizeof(host_cert));
    rig_path(r, "host.key", host_key, sizeof(host_key));
    rig_path(r, "pool.crt", ca, sizeof(ca));
    snprintf(file, sizeof(file), "%s.crt", who);
    rig_path(r, file, cert, sizeof(cert));
    snprintf(file, sizeof(file), "%s.key", who);
    rig_path(r, file, key, sizeof(key));
    struct tls_config server = {.role = TLS_SERVER, .cert_path = host_cert, .key_path = host_key, .ca_path = ca};
    struct tls_config client = {
        .role = TLS_CLIENT, .verify = TLS_VERIFY_NONE, .cert_path = *who ? cert : NULL, .key_path = *who ? key : NULL};
    struct tls_context *ts = tls_context_new(&server, &e), *tc = tls_context_new(&client, &e);
    assert_non_null(ts);
    assert_non_null(tc);
    struct listener *n = listener_new(r->loop, "127.0.0.1", 0, 0, ts, on_accept, &v, &e);
    assert_non_null(n);
    struct channel *c =
        channel_connect(r->loop, "127.0.0.1", listener_port(n), NULL, tc, 5000, &client_callbacks, &v, &e);
    assert_non_null(c);
    rig_wait(r, is_true, &v.is_ready, 5000);
    assert_false(stream_get_peer(v.stream)->tls.verified); /* it is no host of the pool */
    bool ok = stream_is_trusted(v.stream, trust, name, &said);
    assert_true(ok == !said.why);
    assert_true(!ok || llabs(said.not_after - (int64_t)time(NULL) - 86400) < 60);
    channel_free(c);
    stream_free(v.stream);
    listener_free(n);
    tls_context_unref(ts);
    tls_context_unref(tc);
    return said.why;
}

static void begin(struct rig *r) {
    rig_init(r, NULL);
    rig_make_certificate(r, "pool", NULL, "the pool");
    rig_make_certificate(r, "host", "pool", "6f2a1c1e-0000-4000-8000-000000000001");
    rig_make_certificate(r, "ca", NULL, "authority of clients");
    rig_make_certificate(r, "foreign", NULL, "somebody else");
    rig_make_certificate(r, "client", "ca", "backup.example");
    rig_make_certificate(r, "stranger", "foreign", "backup.example");
}

static void test_judged(void **state) {
    struct rig r;
    begin(&r);
    struct tls_trust *trust = tls_trust_new();
    assert_non_null(judged(&r, trust, "client", "localhost")); /* nobody is trusted yet */
    trust_file(&r, trust, "ca.crt");
    assert_null(judged(&r, trust, "client", "localhost")); /* by its alternative name */
    assert_null(judged(&r, trust, "client", "LOCALHOST"));
    assert_non_null(strstr(judged(&r, trust, "client", "backup.example"), "in another name"));
    assert_non_null(strstr(judged(&r, trust, "client", "*"), "in another name"));
    assert_non_null(strstr(judged(&r, trust, "stranger", "localhost"), "no authority"));
    assert_non_null(strstr(judged(&r, trust, "", "localhost"), "no certificate"));
    trust_file(&r, trust, "foreign.crt");
    assert_null(judged(&r, trust, "stranger", "localhost"));
    tls_trust_free(trust);
    rig_done(&r);
}

static enum tls_authority_fault fault(const char *pem, int64_t later_s) {
    return tls_authority_look(pem, (int64_t)time(NULL) + later_s).fault;
}

static void test_authority(void **state) {
    struct rig r;
    begin(&r);
    char *ca = text_of(&r, "ca.crt"), *key = text_of(&r, "ca.key"), *leaf = text_of(&r, "client.crt");
    _cleanup_free_ char *two = strf("%s%s", ca, leaf), *with_key = strf("%s%s", ca, key),
                        *half = xstrndup(ca, strlen(ca) / 2);
    struct tls_authority a = tls_authority_look(ca, (int64_t)time(NULL));
    assert_int_equal(a.fault, TLS_AUTHORITY_GOOD);
    assert_int_equal(strlen(a.fingerprint), 64);
    assert_int_equal(strlen(a.sha1), 40);
    assert_true(a.not_after - a.not_before == 86400 + 3600);
    assert_int_equal(fault(ca, 2 * 86400), TLS_AUTHORITY_EXPIRED);
    assert_int_equal(fault(ca, -86400), TLS_AUTHORITY_EARLY);
    assert_int_equal(fault(leaf, 0), TLS_AUTHORITY_NONE);
    assert_int_equal(fault("", 0), TLS_AUTHORITY_UNREADABLE);
    assert_int_equal(fault("-----BEGIN CERTIFICATE-----\n", 0), TLS_AUTHORITY_UNREADABLE);
    assert_int_equal(fault(half, 0), TLS_AUTHORITY_UNREADABLE);
    assert_int_equal(fault(key, 0), TLS_AUTHORITY_UNREADABLE);
    assert_int_equal(fault(two, 0), TLS_AUTHORITY_UNREADABLE);
    assert_int_equal(fault(with_key, 0), TLS_AUTHORITY_UNREADABLE);
    char *long_text = xmalloc(TLS_TRUST_MAX_PEM + 2);
    memset(long_text, '\n', TLS_TRUST_MAX_PEM + 1);
    long_text[TLS_TRUST_MAX_PEM + 1] = 0;
    memcpy(long_text, ca, strlen(ca));
    assert_int_equal(fault(long_text, 0), TLS_AUTHORITY_UNREADABLE);
    struct tls_trust *trust = tls_trust_new();
    assert_false(tls_trust_add_authority(trust, key));
    assert_false(tls_trust_add_authority(trust, long_text));
    assert_false(tls_trust_add_revoked(trust, ca));
    assert_false(tls_trust_add_revoked(trust, ""));
    tls_trust_free(trust);
    free(long_text);
    free(ca);
    free(key);
    free(leaf);
    rig_done(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_judged), cmocka_unit_test(test_authority)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
