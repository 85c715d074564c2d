/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "loop/child.h"

void rig_init(struct rig *r, const struct http_limits *limits) {
    *r = (struct rig){.loop = loop_new()};
    r->server = http_server_new(r->loop, limits);
    snprintf(r->folder, sizeof(r->folder), "/tmp/muster-wire-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
}

void rig_done(struct rig *r) {
    http_server_free(r->server);
    for (int i = 0; i < 20; i++)
        loop_step(r->loop, 0);
    loop_free(r->loop);
    const char *const argv[] = {"rm", "-rf", r->folder, NULL};
    struct child_result result = {0};
    assert_int_equal(child_run_sync(argv, NULL, 10000, 4096, &result), 0);
    child_result_done(&result);
}

void rig_wait(struct rig *r, bool (*check)(void *arg), void *arg, unsigned deadline_ms) {
    uint64_t end_us = loop_now_us(r->loop) + (uint64_t)deadline_ms * 1000;
    while (!check(arg)) {
        if (loop_now_us(r->loop) > end_us)
            fail_msg("nothing came of it in %u ms", deadline_ms);
        loop_step(r->loop, 5);
    }
}

int rig_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void rig_send(int fd, const char *text) {
    size_t size = strlen(text);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

struct reception {
    int fd;
    struct buf *out;
    const char *end;
};

static bool received(void *arg) {
    struct reception *x = arg;
    char data[65536];
    for (;;) {
        ssize_t n = recv(x->fd, data, sizeof(data), 0);
        if (n < 0 && errno == EAGAIN)
            return x->end && strstr(buf_str(x->out), x->end);
        if (n <= 0) {
            if (x->end && !strstr(buf_str(x->out), x->end))
                fail_msg("closed before '%s' came, but after '%s'", x->end, buf_str(x->out));
            return true;
        }
        buf_add(x->out, data, (size_t)n);
    }
}

void rig_receive_until(struct rig *r, int fd, struct buf *out, const char *end, unsigned deadline_ms) {
    struct reception x = {.fd = fd, .out = out, .end = end};
    rig_wait(r, received, &x, deadline_ms);
}

const char *rig_path(struct rig *r, const char *name, char *text, size_t size) {
    snprintf(text, size, "%s/%s", r->folder, name);
    return text;
}

static void set_names(X509 *x, X509_NAME *issuer, const char *common_name, bool is_authority) {
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(x, issuer ? issuer : name);
    static const char *const exts[][2] = {{"basicConstraints", "critical,CA:TRUE"},
                                          {"subjectAltName", "IP:127.0.0.1,DNS:localhost"}};
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    for (size_t i = is_authority ? 0 : 1; i < ARRAY_SIZE(exts); i++) {
        X509_EXTENSION *e = X509V3_EXT_conf(NULL, &ctx, exts[i][0], exts[i][1]);
        assert_non_null(e);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
}

void rig_make_certificate(struct rig *r, const char *name, const char *issuer, const char *common_name) {
    char path[200];
    EVP_PKEY *key = EVP_RSA_gen(2048), *issuer_key = NULL;
    X509 *issuer_cert = NULL, *x = X509_new();
    if (issuer) {
        snprintf(path, sizeof(path), "%s/%s.key", r->folder, issuer);
        FILE *f = fopen(path, "re");
        issuer_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
        fclose(f);
        snprintf(path, sizeof(path), "%s/%s.crt", r->folder, issuer);
        f = fopen(path, "re");
        issuer_cert = PEM_read_X509(f, NULL, NULL, NULL);
        fclose(f);
    }
    X509_set_version(x, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    set_names(x, issuer_cert ? X509_get_subject_name(issuer_cert) : NULL, common_name, !issuer);
    assert_true(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    snprintf(path, sizeof(path), "%s/%s.key", r->folder, name);
    FILE *f = fopen(path, "we");
    assert_true(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    fclose(f);
    snprintf(path, sizeof(path), "%s/%s.crt", r->folder, name);
    f = fopen(path, "we");
    assert_true(PEM_write_X509(f, x));
    fclose(f);
    X509_free(x);
    X509_free(issuer_cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(issuer_key);
}

unsigned rig_count(const char *text, const char *part) {
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        n++;
    return n;
}
