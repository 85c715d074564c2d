/* SPDX-License-Identifier: Apache-2.0 */
/* The authority's key on its way to another host: sealed under a key that only the receiver's own key opens. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "pool/pki.h"

#define MAX_WRAPPED 1024 /* an RSA-8192 key's */

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)

static bool fail(struct error **errp, const char *what) {
    ERR_clear_error();
    error_internal(errp, "handing over the authority's key: %s", what);
    return false;
}

static bool oaep(EVP_PKEY_CTX *c, bool encrypt) {
    return c && (encrypt ? EVP_PKEY_encrypt_init(c) : EVP_PKEY_decrypt_init(c)) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_sha256()) == 1;
}

/* base64(wrapped key), ".", the sealed text */
char *pki_ca_wrap(const struct pki_ca *ca, const char *certificate, struct error **errp) {
    _cleanup_(BIO_free_allp) BIO *b = BIO_new_mem_buf(certificate, -1);
    _cleanup_(X509_freep) X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *c = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    uint8_t once[PKI_KEYFILE_SIZE], wrapped[MAX_WRAPPED];
    size_t size = sizeof(wrapped);
    char *text = NULL;
    if (RAND_bytes(once, sizeof(once)) != 1 || !oaep(c, true) ||
        EVP_PKEY_encrypt(c, wrapped, &size, once, sizeof(once)) != 1) {
        fail(errp, "the receiver's certificate cannot be used");
    } else {
        _cleanup_free_ char *sealed = pki_ca_seal(ca, once, errp), *head = xmalloc(4 * ((size + 2) / 3) + 1);
        EVP_EncodeBlock((uint8_t *)head, wrapped, (int)size);
        if (sealed)
            text = strf("%s.%s", head, sealed);
    }
    OPENSSL_cleanse(once, sizeof(once));
    return text;
}

static bool unwrap_key(const char *head, size_t len, const char *key_path, uint8_t once[static PKI_KEYFILE_SIZE]) {
    _cleanup_(BIO_free_allp) BIO *b = BIO_new_file(key_path, "r");
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *c = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    uint8_t wrapped[4 * MAX_WRAPPED], plain[4 * MAX_WRAPPED];
    size_t size = sizeof(plain);
    if (len == 0 || len % 4 || len > sizeof(wrapped))
        return false;
    int n = EVP_DecodeBlock(wrapped, (const uint8_t *)head, (int)len);
    n -= head[len - 1] == '=' ? head[len - 2] == '=' ? 2 : 1 : 0;
    bool ok = n > 0 && oaep(c, false) && EVP_PKEY_decrypt(c, plain, &size, wrapped, (size_t)n) == 1 &&
              size == PKI_KEYFILE_SIZE;
    if (ok)
        memcpy(once, plain, PKI_KEYFILE_SIZE);
    OPENSSL_cleanse(plain, sizeof(plain));
    return ok;
}

struct pki_ca *pki_ca_unwrap(const char *authority, const char *text, const char *key_path, struct error **errp) {
    const char *dot = strlen(text) <= PKI_MAX_PEM ? strchr(text, '.') : NULL;
    uint8_t once[PKI_KEYFILE_SIZE];
    struct pki_ca *ca = NULL;
    if (!dot || !unwrap_key(text, (size_t)(dot - text), key_path, once))
        fail(errp, "what came is not for this host's key");
    else
        ca = pki_ca_unseal(authority, dot + 1, once, errp);
    ERR_clear_error();
    OPENSSL_cleanse(once, sizeof(once));
    return ca;
}
