/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_trust.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/str.h"

#define MAX_IN_A_TEXT 16

struct tls_trust {
    X509_STORE *store;
    bool has_revoked;
};

/* A list is wanted of those authorities only that have published one here. */
static int on_verdict(int ok, X509_STORE_CTX *context) {
    if (ok || X509_STORE_CTX_get_error(context) != X509_V_ERR_UNABLE_TO_GET_CRL)
        return ok;
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

struct tls_trust *tls_trust_new(void) {
    struct tls_trust *t = xnew0(struct tls_trust);
    t->store = X509_STORE_new();
    if (!t->store)
        abort();
    X509_STORE_set_verify_cb(t->store, on_verdict);
    /* An authority below another may be trusted without it. */
    X509_STORE_set_flags(t->store, X509_V_FLAG_PARTIAL_CHAIN);
    X509_STORE_set_purpose(t->store, X509_PURPOSE_SSL_CLIENT);
    return t;
}

void tls_trust_free(struct tls_trust *t) {
    if (!t)
        return;
    X509_STORE_free(t->store);
    free(t);
}

/* Keys that want a password are none: nobody is there to type it. */
static int no_password(char *buffer, int size, int writing, void *userdata) {
    return -1;
}

/* All that a text holds; NULL when some of it cannot be read, or it is too long. */
static STACK_OF(X509_INFO) * read_all(const char *pem) {
    BIO *b = strlen(pem) <= TLS_TRUST_MAX_PEM ? BIO_new_mem_buf(pem, -1) : NULL;
    STACK_OF(X509_INFO) *all = b ? PEM_X509_INFO_read_bio(b, NULL, no_password, NULL) : NULL;
    BIO_free(b);
    ERR_clear_error();
    if (!all || (sk_X509_INFO_num(all) > 0 && sk_X509_INFO_num(all) <= MAX_IN_A_TEXT))
        return all;
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    return NULL;
}

bool tls_trust_add_authority(struct tls_trust *t, const char *pem) {
    STACK_OF(X509_INFO) *all = read_all(pem);
    bool ok = all != NULL;
    for (int i = 0; ok && i < sk_X509_INFO_num(all); i++)
        ok = sk_X509_INFO_value(all, i)->x509 != NULL;
    for (int i = 0; ok && i < sk_X509_INFO_num(all); i++)
        X509_STORE_add_cert(t->store, sk_X509_INFO_value(all, i)->x509);
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    ERR_clear_error();
    return ok;
}

bool tls_trust_add_revoked(struct tls_trust *t, const char *pem) {
    STACK_OF(X509_INFO) *all = read_all(pem);
    bool ok = all != NULL;
    for (int i = 0; ok && i < sk_X509_INFO_num(all); i++)
        ok = sk_X509_INFO_value(all, i)->crl != NULL;
    for (int i = 0; ok && i < sk_X509_INFO_num(all); i++)
        X509_STORE_add_crl(t->store, sk_X509_INFO_value(all, i)->crl);
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    ERR_clear_error();
    if (ok && !t->has_revoked)
        X509_STORE_set_flags(t->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    t->has_revoked = t->has_revoked || ok;
    return ok;
}

static const char *why_not(int error) {
    switch (error) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the certificate is not valid yet";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the certificate, or that of its authority, is no longer valid";
    case X509_V_ERR_CERT_REVOKED:
        return "the certificate has been revoked";
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
        return "the revocation list of its authority is not of today; install the latest one";
    case X509_V_ERR_INVALID_PURPOSE:
        return "the certificate is not for clients";
    default:
        return "no authority that this pool trusts has signed the certificate";
    }
}

static int64_t seconds_of(const ASN1_TIME *t) {
    struct tm tm = {0};
    return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

bool tls_trust_judge(const struct tls_trust *t, SSL *ssl, const char *name, struct tls_vouched *ret) {
    *ret = (struct tls_vouched){.why = "no certificate was shown"};
    X509 *x = SSL_get0_peer_certificate(ssl);
    X509_STORE_CTX *context = x ? X509_STORE_CTX_new() : NULL;
    if (!x || !context)
        return false;
    if (X509_STORE_CTX_init(context, t->store, x, SSL_get_peer_cert_chain(ssl)) != 1)
        abort();
    if (X509_verify_cert(context) != 1)
        ret->why = why_not(X509_STORE_CTX_get_error(context));
    else if (X509_check_host(x, name, strlen(name), X509_CHECK_FLAG_NO_WILDCARDS, NULL) != 1)
        ret->why = "the certificate is in another name than the pool wants";
    else
        *ret = (struct tls_vouched){.not_after = seconds_of(X509_get0_notAfter(x))};
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    return !ret->why;
}

static enum tls_authority_fault fault_of(X509 *x, int64_t now) {
    time_t t = (time_t)now;
    if (X509_check_ca(x) <= 0)
        return TLS_AUTHORITY_NONE;
    if (X509_cmp_time(X509_get0_notBefore(x), &t) > 0)
        return TLS_AUTHORITY_EARLY;
    return X509_cmp_time(X509_get0_notAfter(x), &t) < 0 ? TLS_AUTHORITY_EXPIRED : TLS_AUTHORITY_GOOD;
}

struct tls_authority tls_authority_look(const char *pem, int64_t now) {
    STACK_OF(X509_INFO) *all = read_all(pem);
    const X509_INFO *only = all && sk_X509_INFO_num(all) == 1 ? sk_X509_INFO_value(all, 0) : NULL;
    X509 *x = only && !only->x_pkey ? only->x509 : NULL;
    struct tls_authority a = {.fault = TLS_AUTHORITY_UNREADABLE};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (x && tls_fingerprint_x509(x, a.fingerprint) && X509_digest(x, EVP_sha1(), digest, &size)) {
        for (unsigned i = 0; i < size && i < 20; i++)
            snprintf(a.sha1 + (size_t)2 * i, 3, "%02x", digest[i]);
        a.not_before = seconds_of(X509_get0_notBefore(x));
        a.not_after = seconds_of(X509_get0_notAfter(x));
        a.fault = fault_of(x, now);
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    ERR_clear_error();
    return a;
}
