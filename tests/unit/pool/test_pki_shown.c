/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator may bring as a certificate, and each thing that may be wrong with it. */
#include "pool/pki_shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "model/model.h"

#define DAY 86400

static EVP_PKEY *root_key, *mid_key, *leaf_key, *other_key;
static X509 *root, *mid;

static void extend(X509 *x, X509 *issuer, int nid, const char *text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

struct how {
    const char *name;
    EVP_PKEY *key;
    X509 *issuer; /* NULL: itself */
    EVP_PKEY *issuer_key;
    bool is_ca;
    long from, to; /* seconds from now */
    const EVP_MD *md;
    const char *usage;
};

static X509 *make(const struct how *h) {
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), rand());
    X509_gmtime_adj(X509_getm_notBefore(x), h->from ? h->from : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(x), h->to ? h->to : 100L * DAY);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)h->name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(h->issuer ? h->issuer : x));
    X509_set_pubkey(x, h->key);
    X509 *issuer = h->issuer ? h->issuer : x;
    extend(x, issuer, NID_basic_constraints, h->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (h->usage)
        extend(x, issuer, NID_ext_key_usage, h->usage);
    assert_true(X509_sign(x, h->issuer_key ? h->issuer_key : h->key, h->md ? h->md : EVP_sha256()) > 0);
    return x;
}

static char *text_of(X509 *x) {
    BIO *b = BIO_new(BIO_s_mem());
    char *data;
    PEM_write_bio_X509(b, x);
    long size = BIO_get_mem_data(b, &data);
    char *text = xstrndup(data, (size_t)size);
    BIO_free(b);
    return text;
}

static char *key_text(EVP_PKEY *key, const char *password) {
    BIO *b = BIO_new(BIO_s_mem());
    char *data;
    PEM_write_bio_PKCS8PrivateKey(b, key, password ? EVP_aes_128_cbc() : NULL, password,
                                  password ? (int)strlen(password) : 0, NULL, NULL);
    long size = BIO_get_mem_data(b, &data);
    char *text = xstrndup(data, (size_t)size);
    BIO_free(b);
    return text;
}

/* "" when it is taken, else the API's code and its first parameter. */
static const char *judge(const char *certificate, const char *key, const char *chain) {
    static char said[200];
    struct error *e = NULL;
    char *bundle = NULL;
    said[0] = 0;
    if (pki_shown_check(certificate, key, chain, time(NULL), &bundle, &e)) {
        assert_non_null(strstr(bundle, "PRIVATE KEY"));
        assert_null(e);
        free(bundle);
    } else {
        assert_null(bundle);
        snprintf(said, sizeof(said), "%s %s", error_code(e), str_or_empty(error_param(e, 0)));
        error_free(e);
    }
    return said;
}

static const char *judge_leaf(const struct how *h) {
    X509 *x = make(h);
    _cleanup_free_ char *certificate = text_of(x), *key = key_text(h->key, NULL);
    X509_free(x);
    return judge(certificate, key, "");
}

static int setup(void **state) {
    root_key = EVP_RSA_gen(2048);
    mid_key = EVP_EC_gen("P-256");
    leaf_key = EVP_RSA_gen(2048);
    other_key = EVP_RSA_gen(2048);
    root = make(&(struct how){.name = "root", .key = root_key, .is_ca = true});
    mid = make(&(struct how){.name = "mid", .key = mid_key, .issuer = root, .issuer_key = root_key, .is_ca = true});
    return 0;
}

static int teardown(void **state) {
    X509_free(root);
    X509_free(mid);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(mid_key);
    EVP_PKEY_free(leaf_key);
    EVP_PKEY_free(other_key);
    return 0;
}

static void test_taken(void **state) {
    X509 *x =
        make(&(struct how){.name = "h1", .key = leaf_key, .issuer = mid, .issuer_key = mid_key, .usage = "serverAuth"});
    _cleanup_free_ char *certificate = text_of(x), *key = key_text(leaf_key, NULL), *m = text_of(mid),
                        *r = text_of(root);
    _cleanup_free_ char *chain = strf("%s%s", m, r), *full = strf("%s%s", certificate, m);
    X509_free(x);
    assert_string_equal(judge(certificate, key, ""), "");
    assert_string_equal(judge(certificate, key, m), "");
    assert_string_equal(judge(certificate, key, chain), "");
    assert_string_equal(judge(full, key, ""), "");
    assert_string_equal(judge(full, key, r), "");
    /* a chain out of order, of somebody else, of no certificates, with something behind it */
    _cleanup_free_ char *turned = strf("%s%s", r, m), *torn = strf("%s-----BEGIN CERTIFICATE-----\nAAAA\n", m);
    assert_string_equal(judge(certificate, key, turned), "SERVER_CERTIFICATE_CHAIN_INVALID ");
    assert_string_equal(judge(certificate, key, r), "SERVER_CERTIFICATE_CHAIN_INVALID ");
    assert_string_equal(judge(certificate, key, "nothing"), "SERVER_CERTIFICATE_CHAIN_INVALID ");
    assert_string_equal(judge(certificate, key, torn), "SERVER_CERTIFICATE_CHAIN_INVALID ");
    /* the bundle has it all, in order, and is read back */
    char *bundle = NULL;
    struct error *e = NULL;
    assert_true(pki_shown_check(certificate, key, chain, time(NULL), &bundle, &e));
    assert_true(str_starts(bundle, certificate));
    _cleanup_free_ char *only = strf("%s%s%s%s", certificate, m, r, key);
    assert_string_equal(bundle, only);
    free(bundle);
}

static void test_keys(void **state) {
    EVP_PKEY *small = EVP_RSA_gen(1024), *ec = EVP_EC_gen("P-384"), *weak = EVP_EC_gen("prime192v1"),
             *odd = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = small}),
                        "SERVER_CERTIFICATE_KEY_RSA_LENGTH_NOT_SUPPORTED 1024");
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = ec}), "");
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = weak}),
                        "SERVER_CERTIFICATE_KEY_ALGORITHM_NOT_SUPPORTED 1.2.840.10045.2.1");
    X509 *x = make(&(struct how){.name = "h", .key = leaf_key});
    _cleanup_free_ char *certificate = text_of(x), *other = key_text(other_key, NULL), *odd_key = key_text(odd, NULL),
                        *locked = key_text(leaf_key, "secret");
    X509_free(x);
    assert_string_equal(judge(certificate, other, ""), "SERVER_CERTIFICATE_KEY_MISMATCH ");
    assert_string_equal(judge(certificate, odd_key, ""), "SERVER_CERTIFICATE_KEY_ALGORITHM_NOT_SUPPORTED 1.3.101.112");
    assert_string_equal(judge(certificate, locked, ""), "SERVER_CERTIFICATE_KEY_INVALID ");
    assert_string_equal(judge(certificate, "", ""), "SERVER_CERTIFICATE_KEY_INVALID ");
    assert_string_equal(judge(certificate, certificate, ""), "SERVER_CERTIFICATE_KEY_INVALID ");
    assert_string_equal(judge("", other, ""), "SERVER_CERTIFICATE_INVALID ");
    assert_string_equal(judge(other, other, ""), "SERVER_CERTIFICATE_INVALID ");
    EVP_PKEY_free(small);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(odd);
}

static void test_times_and_purpose(void **state) {
    assert_true(str_starts(judge_leaf(&(struct how){.name = "h", .key = leaf_key, .from = -9 * DAY, .to = -DAY}),
                           "SERVER_CERTIFICATE_EXPIRED 20"));
    assert_true(str_starts(judge_leaf(&(struct how){.name = "h", .key = leaf_key, .from = DAY}),
                           "SERVER_CERTIFICATE_NOT_VALID_YET 20"));
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = leaf_key, .usage = "clientAuth"}),
                        "CERTIFICATE_LACKS_PURPOSE ");
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = leaf_key, .usage = "serverAuth,clientAuth"}), "");
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = leaf_key, .md = EVP_sha1()}),
                        "SERVER_CERTIFICATE_SIGNATURE_NOT_SUPPORTED ");
    assert_string_equal(judge_leaf(&(struct how){.name = "h", .key = leaf_key, .md = EVP_sha512()}), "");
    /* an authority that is over vouches for nobody */
    X509 *old = make(&(struct how){.name = "old", .key = mid_key, .is_ca = true, .from = -9 * DAY, .to = -DAY});
    X509 *x = make(&(struct how){.name = "h", .key = leaf_key, .issuer = old, .issuer_key = mid_key});
    _cleanup_free_ char *certificate = text_of(x), *key = key_text(leaf_key, NULL), *chain = text_of(old);
    assert_string_equal(judge(certificate, key, chain), "SERVER_CERTIFICATE_CHAIN_INVALID ");
    X509_free(x);
    X509_free(old);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_times_and_purpose)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
