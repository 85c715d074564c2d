/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pki_shown.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/value.h"
#include "model/model.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 4096
#define EC_MIN_BITS 256

/* What was brought, taken apart; the first certificate is the host's own. */
struct shown {
    X509 *certs[1 + PKI_SHOWN_MAX_CHAIN];
    unsigned n;
    EVP_PKEY *key;
};

static void shown_done(struct shown *s) {
    for (unsigned i = 0; i < s->n; i++)
        X509_free(s->certs[i]);
    EVP_PKEY_free(s->key);
}

/* A key under a password is refused: nobody could type it when the host boots. */
static int no_password(char *buffer, int size, int writing, void *userdata) {
    return -1;
}

/* False when there is something in the text that is no certificate, or too many. */
static bool read_certificates(const char *pem, struct shown *s) {
    BIO *b = strlen(pem) <= PKI_MAX_PEM ? BIO_new_mem_buf(pem, -1) : NULL;
    bool ok = b != NULL;
    while (ok) {
        X509 *x = PEM_read_bio_X509(b, NULL, no_password, NULL);
        if (!x) {
            ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the end */
            break;
        }
        if (s->n == ARRAY_SIZE(s->certs)) {
            X509_free(x);
            ok = false;
        } else {
            s->certs[s->n++] = x;
        }
    }
    BIO_free(b);
    ERR_clear_error();
    return ok;
}

static EVP_PKEY *read_key(const char *pem) {
    BIO *b = strlen(pem) <= PKI_MAX_PEM ? BIO_new_mem_buf(pem, -1) : NULL;
    EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
    BIO_free(b);
    ERR_clear_error();
    return key;
}

static bool fail_algorithm(int nid, struct error **errp) {
    char oid[80] = "?";
    const ASN1_OBJECT *o = OBJ_nid2obj(nid);
    if (o)
        OBJ_obj2txt(oid, sizeof(oid), o, /* no_name= */ 1);
    error_set(errp, ERR_SERVER_CERTIFICATE_KEY_ALGORITHM_NOT_SUPPORTED, oid, NULL);
    return false;
}

static bool check_key(EVP_PKEY *key, struct error **errp) {
    int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA")) {
        BIGNUM *third = NULL;
        char text[16];
        snprintf(text, sizeof(text), "%d", bits);
        if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS) {
            error_set(errp, ERR_SERVER_CERTIFICATE_KEY_RSA_LENGTH_NOT_SUPPORTED, text, NULL);
            return false;
        }
        bool is_multi = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR3, &third) == 1;
        BN_clear_free(third);
        ERR_clear_error();
        if (is_multi)
            error_set(errp, ERR_SERVER_CERTIFICATE_KEY_RSA_MULTI_NOT_SUPPORTED, NULL);
        return !is_multi;
    }
    if (EVP_PKEY_is_a(key, "EC") && bits >= EC_MIN_BITS)
        return true;
    return fail_algorithm(EVP_PKEY_get_base_id(key), errp);
}

static bool fail_time(const char *code, int64_t now, const ASN1_TIME *limit, struct error **errp) {
    char now_text[TIME_TEXT_SIZE], limit_text[TIME_TEXT_SIZE] = "?";
    struct tm tm = {0};
    time_text(now, now_text);
    if (ASN1_TIME_to_tm(limit, &tm))
        time_text((int64_t)timegm(&tm), limit_text);
    error_set(errp, code, now_text, limit_text, NULL);
    return false;
}

static bool check_leaf(X509 *x, int64_t now, struct error **errp) {
    time_t t = (time_t)now;
    int digest = NID_undef;
    if (X509_cmp_time(X509_get0_notBefore(x), &t) > 0)
        return fail_time(ERR_SERVER_CERTIFICATE_NOT_VALID_YET, now, X509_get0_notBefore(x), errp);
    if (X509_cmp_time(X509_get0_notAfter(x), &t) < 0)
        return fail_time(ERR_SERVER_CERTIFICATE_EXPIRED, now, X509_get0_notAfter(x), errp);
    if (!X509_get_signature_info(x, &digest, NULL, NULL, NULL) ||
        (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512)) {
        error_set(errp, ERR_SERVER_CERTIFICATE_SIGNATURE_NOT_SUPPORTED, NULL);
        return false;
    }
    if (X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, /* ca= */ 0) != 1) {
        error_set(errp, ERR_CERTIFICATE_LACKS_PURPOSE, NULL);
        return false;
    }
    return true;
}

/* Each is vouched for by the next one, which is an authority and valid now. */
static bool check_chain(const struct shown *s, int64_t now, struct error **errp) {
    time_t t = (time_t)now;
    for (unsigned i = 0; i + 1 < s->n; i++) {
        X509 *x = s->certs[i], *issuer = s->certs[i + 1];
        EVP_PKEY *key = X509_get0_pubkey(issuer);
        if (!key || X509_check_ca(issuer) <= 0 || X509_check_issued(issuer, x) != X509_V_OK ||
            X509_verify(x, key) != 1 || X509_cmp_time(X509_get0_notBefore(issuer), &t) > 0 ||
            X509_cmp_time(X509_get0_notAfter(issuer), &t) < 0) {
            error_set(errp, ERR_SERVER_CERTIFICATE_CHAIN_INVALID, NULL);
            return false;
        }
    }
    return true;
}

static char *bundle_of(const struct shown *s) {
    BIO *b = BIO_new(BIO_s_secmem());
    bool ok = b != NULL;
    char *data = NULL;
    for (unsigned i = 0; ok && i < s->n; i++)
        ok = PEM_write_bio_X509(b, s->certs[i]);
    ok = ok && PEM_write_bio_PKCS8PrivateKey(b, s->key, NULL, NULL, 0, NULL, NULL);
    long size = ok ? BIO_get_mem_data(b, &data) : 0;
    char *text = ok ? xstrndup(data, (size_t)size) : NULL;
    BIO_free(b);
    return text;
}

static bool judge(struct shown *s, const char *certificate, const char *key, const char *chain, int64_t now,
                  struct error **errp) {
    if (!read_certificates(certificate, s) || !s->n) {
        error_set(errp, ERR_SERVER_CERTIFICATE_INVALID, NULL);
        return false;
    }
    s->key = read_key(key);
    if (!s->key) {
        error_set(errp, ERR_SERVER_CERTIFICATE_KEY_INVALID, NULL);
        return false;
    }
    if (!check_key(s->key, errp))
        return false;
    if (X509_check_private_key(s->certs[0], s->key) != 1) {
        error_set(errp, ERR_SERVER_CERTIFICATE_KEY_MISMATCH, NULL);
        return false;
    }
    unsigned n_before = s->n;
    if (!read_certificates(chain, s) || (chain[0] && s->n == n_before)) {
        error_set(errp, ERR_SERVER_CERTIFICATE_CHAIN_INVALID, NULL);
        return false;
    }
    return check_leaf(s->certs[0], now, errp) && check_chain(s, now, errp);
}

bool pki_shown_check(const char *certificate, const char *key, const char *chain, int64_t now, char **ret_bundle,
                     struct error **errp) {
    struct shown s = {0};
    char *bundle = NULL;
    bool ok = judge(&s, certificate, key, chain, now, errp);
    if (ok && !(bundle = bundle_of(&s))) {
        error_internal(errp, "the certificate and its key cannot be written as one text");
        ok = false;
    }
    shown_done(&s);
    ERR_clear_error();
    if (ok)
        *ret_bundle = bundle;
    return ok;
}
