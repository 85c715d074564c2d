/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pki.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/fs.h"

#define KEY_BITS 2048
#define CA_DAYS 3650
#define HOST_DAYS 3650
#define BACKDATE_S 86400
#define MAX_BUNDLE 64 /* certificates of authorities in one text */
#define GCM_IV_SIZE 12
#define GCM_TAG_SIZE 16

struct pki_ca {
    EVP_PKEY *key;
    X509 *certificate;
};

static void free_bio(BIO **b) {
    BIO_free_all(*b);
}
static void free_pkey(EVP_PKEY **k) {
    EVP_PKEY_free(*k);
}
static void free_x509(X509 **x) {
    X509_free(*x);
}
static void free_req(X509_REQ **r) {
    X509_REQ_free(*r);
}
static void free_cipher(EVP_CIPHER_CTX **c) {
    EVP_CIPHER_CTX_free(*c);
}
#define _cleanup_bio_ _cleanup_(free_bio)
#define _cleanup_pkey_ _cleanup_(free_pkey)
#define _cleanup_x509_ _cleanup_(free_x509)
#define _cleanup_req_ _cleanup_(free_req)
#define _cleanup_cipher_ _cleanup_(free_cipher)

static void crypto_error(struct error **errp, const char *what) {
    char text[160];
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    ERR_clear_error();
    error_internal(errp, "%s: %s", what, text);
}

static char *bio_text(BIO *b) {
    char *data = NULL;
    long size = BIO_get_mem_data(b, &data);
    return xstrndup(data ? data : "", size > 0 ? (size_t)size : 0);
}

static char *x509_text(X509 *x) {
    _cleanup_bio_ BIO *b = BIO_new(BIO_s_mem());
    return b && PEM_write_bio_X509(b, x) ? bio_text(b) : xstrdup("");
}

static X509 *x509_read(const char *pem) {
    _cleanup_bio_ BIO *b = BIO_new_mem_buf(pem, -1);
    return b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    bool ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static bool set_basics(X509 *x, int days, const char *common_name) {
    uint8_t serial[16];
    if (RAND_bytes(serial, sizeof(serial)) != 1)
        return false;
    serial[0] &= 0x7f;
    BIGNUM *n = BN_bin2bn(serial, sizeof(serial), NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) && X509_set_version(x, 2) &&
              X509_gmtime_adj(X509_getm_notBefore(x), -BACKDATE_S) &&
              X509_gmtime_adj(X509_getm_notAfter(x), (long)days * 86400);
    BN_free(n);
    X509_NAME *name = X509_get_subject_name(x);
    return ok && X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"Muster pool", -1, -1, 0) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common_name, -1, -1, 0);
}

struct pki_ca *pki_ca_new(const struct uuid *pool, unsigned generation, struct error **errp) {
    _cleanup_pkey_ EVP_PKEY *key = EVP_RSA_gen(KEY_BITS);
    _cleanup_x509_ X509 *x = X509_new();
    char text[UUID_TEXT_SIZE];
    _cleanup_free_ char *name = strf("pool %.8s CA %u", uuid_text(pool, text), generation);
    if (!key || !x || !set_basics(x, CA_DAYS, name) || !X509_set_issuer_name(x, X509_get_subject_name(x)) ||
        !X509_set_pubkey(x, key) || !add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(x, x, NID_subject_key_identifier, "hash") || !X509_sign(x, key, EVP_sha256())) {
        crypto_error(errp, "making the pool's certificate authority");
        return NULL;
    }
    struct pki_ca *ca = xnew0(struct pki_ca);
    ca->key = TAKE(key);
    ca->certificate = TAKE(x);
    return ca;
}

void pki_ca_free(struct pki_ca *ca) {
    if (!ca)
        return;
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
    free(ca);
}

char *pki_ca_certificate(const struct pki_ca *ca) {
    return x509_text(ca->certificate);
}

static void common_name(const X509 *x, char *ret, size_t size) {
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, ret, (int)size) < 0)
        ret[0] = 0;
}

unsigned pki_ca_generation(const struct pki_ca *ca) {
    char name[64];
    int64_t n;
    common_name(ca->certificate, name, sizeof(name));
    const char *last = strrchr(name, ' ');
    return last && str_parse_int(last + 1, 1, INT32_MAX, &n) ? (unsigned)n : 0;
}

char *pki_ca_cross(const struct pki_ca *older, const struct pki_ca *younger, struct error **errp) {
    _cleanup_x509_ X509 *x = X509_new();
    char name[64];
    common_name(younger->certificate, name, sizeof(name));
    if (!x || !set_basics(x, CA_DAYS, name) || !X509_set_issuer_name(x, X509_get_subject_name(older->certificate)) ||
        !X509_set_pubkey(x, younger->key) ||
        !add_extension(x, older->certificate, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(x, older->certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(x, older->certificate, NID_subject_key_identifier, "hash") ||
        !add_extension(x, older->certificate, NID_authority_key_identifier, "keyid") ||
        !X509_sign(x, older->key, EVP_sha256())) {
        crypto_error(errp, "vouching for a new certificate authority");
        return NULL;
    }
    return x509_text(x);
}

bool pki_csr_matches(const char *csr_pem, const char *certificate) {
    _cleanup_bio_ BIO *b = strlen(csr_pem) <= PKI_MAX_PEM ? BIO_new_mem_buf(csr_pem, -1) : NULL;
    _cleanup_req_ X509_REQ *request = b ? PEM_read_bio_X509_REQ(b, NULL, NULL, NULL) : NULL;
    _cleanup_x509_ X509 *x = x509_read(certificate);
    EVP_PKEY *asked = request ? X509_REQ_get0_pubkey(request) : NULL, *known = x ? X509_get0_pubkey(x) : NULL;
    bool same = asked && known && EVP_PKEY_eq(asked, known) == 1;
    ERR_clear_error();
    return same;
}

void pki_bundle_split(const char *bundle, struct strv *ret_roots, struct strv *ret_crosses) {
    _cleanup_bio_ BIO *b = BIO_new_mem_buf(bundle, -1);
    for (unsigned i = 0; b && i < MAX_BUNDLE; i++) {
        _cleanup_x509_ X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
        if (!x)
            break;
        _cleanup_free_ char *text = x509_text(x);
        bool own = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
        strv_add(own ? ret_roots : ret_crosses, text);
    }
    ERR_clear_error();
}

/* base64(iv, tag, ciphertext of the key's PEM) */
char *pki_ca_seal(const struct pki_ca *ca, const uint8_t keyfile[static PKI_KEYFILE_SIZE], struct error **errp) {
    _cleanup_bio_ BIO *b = BIO_new(BIO_s_secmem());
    _cleanup_cipher_ EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    char *plain = NULL;
    if (!b || !cipher || !PEM_write_bio_PKCS8PrivateKey(b, ca->key, NULL, NULL, 0, NULL, NULL)) {
        crypto_error(errp, "sealing the authority's key");
        return NULL;
    }
    int size = (int)BIO_get_mem_data(b, &plain), n = 0, last = 0;
    size_t total = GCM_IV_SIZE + GCM_TAG_SIZE + (size_t)size;
    _cleanup_free_ uint8_t *sealed = xmalloc(total);
    if (RAND_bytes(sealed, GCM_IV_SIZE) != 1 || !EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, keyfile, sealed) ||
        !EVP_EncryptUpdate(cipher, sealed + GCM_IV_SIZE + GCM_TAG_SIZE, &n, (const uint8_t *)plain, size) ||
        !EVP_EncryptFinal_ex(cipher, sealed + GCM_IV_SIZE + GCM_TAG_SIZE + n, &last) ||
        !EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, GCM_TAG_SIZE, sealed + GCM_IV_SIZE)) {
        crypto_error(errp, "sealing the authority's key");
        return NULL;
    }
    char *text = xmalloc(4 * ((total + 2) / 3) + 1);
    EVP_EncodeBlock((uint8_t *)text, sealed, (int)total);
    return text;
}

static EVP_PKEY *unseal_key(const char *sealed_text, const uint8_t *keyfile) {
    size_t len = strlen(sealed_text);
    if (len < 64 || len > PKI_MAX_PEM || len % 4)
        return NULL;
    _cleanup_free_ uint8_t *sealed = xmalloc(len);
    int total = EVP_DecodeBlock(sealed, (const uint8_t *)sealed_text, (int)len);
    total -= str_ends(sealed_text, "==") ? 2 : str_ends(sealed_text, "=") ? 1 : 0;
    int size = total - GCM_IV_SIZE - GCM_TAG_SIZE, n = 0, last = 0;
    if (size <= 0)
        return NULL;
    uint8_t *plain = OPENSSL_secure_zalloc((size_t)size + 1);
    _cleanup_cipher_ EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_PKEY *key = NULL;
    if (plain && cipher && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, keyfile, sealed) &&
        EVP_DecryptUpdate(cipher, plain, &n, sealed + GCM_IV_SIZE + GCM_TAG_SIZE, size) &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, GCM_TAG_SIZE, sealed + GCM_IV_SIZE) &&
        EVP_DecryptFinal_ex(cipher, plain + n, &last) > 0) {
        _cleanup_bio_ BIO *b = BIO_new_mem_buf(plain, size);
        key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
    }
    OPENSSL_secure_clear_free(plain, (size_t)size + 1);
    return key;
}

struct pki_ca *pki_ca_unseal(const char *certificate_pem, const char *sealed,
                             const uint8_t keyfile[static PKI_KEYFILE_SIZE], struct error **errp) {
    _cleanup_x509_ X509 *x = x509_read(certificate_pem);
    _cleanup_pkey_ EVP_PKEY *key = x ? unseal_key(sealed, keyfile) : NULL;
    if (!key || X509_check_private_key(x, key) != 1) {
        ERR_clear_error();
        error_internal(errp, "the pool's certificate authority cannot be opened: %s",
                       !x     ? "its certificate is damaged"
                       : !key ? "its key is damaged or sealed under another key file"
                              : "key and certificate do not belong together");
        return NULL;
    }
    struct pki_ca *ca = xnew0(struct pki_ca);
    ca->key = TAKE(key);
    ca->certificate = TAKE(x);
    return ca;
}

char *pki_ca_sign(const struct pki_ca *ca, const char *csr_pem, const struct uuid *host, const struct strv *addresses,
                  struct error **errp) {
    if (strlen(csr_pem) > PKI_MAX_PEM) {
        error_internal(errp, "the certificate request is too long");
        return NULL;
    }
    _cleanup_bio_ BIO *b = BIO_new_mem_buf(csr_pem, -1);
    _cleanup_req_ X509_REQ *request = b ? PEM_read_bio_X509_REQ(b, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
    if (!key || X509_REQ_verify(request, key) != 1 || EVP_PKEY_get_bits(key) < KEY_BITS) {
        ERR_clear_error();
        error_internal(errp, "the certificate request is not sound");
        return NULL;
    }
    char text[UUID_TEXT_SIZE];
    _cleanup_buf_ struct buf names = BUF_INIT;
    buf_addf(&names, "URI:urn:uuid:%s", uuid_text(host, text));
    for (size_t i = 0; i < addresses->n; i++)
        buf_addf(&names, ",IP:%s", addresses->items[i]);
    _cleanup_x509_ X509 *x = X509_new();
    if (!x || !set_basics(x, HOST_DAYS, text) || !X509_set_issuer_name(x, X509_get_subject_name(ca->certificate)) ||
        !X509_set_pubkey(x, key) || !add_extension(x, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(x, ca->certificate, NID_key_usage, "critical,digitalSignature,keyEncipherment") ||
        !add_extension(x, ca->certificate, NID_ext_key_usage, "serverAuth,clientAuth") ||
        !add_extension(x, ca->certificate, NID_authority_key_identifier, "keyid") ||
        !add_extension(x, ca->certificate, NID_subject_alt_name, buf_str(&names)) ||
        !X509_sign(x, ca->key, EVP_sha256())) {
        crypto_error(errp, "signing a host's certificate");
        return NULL;
    }
    return x509_text(x);
}

static EVP_PKEY *key_read(const char *path) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, PKI_MAX_PEM, &text) < 0)
        return NULL;
    _cleanup_bio_ BIO *b = BIO_new_mem_buf(text.data, (int)text.size);
    EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
    if (text.data)
        OPENSSL_cleanse(text.data, text.size);
    ERR_clear_error();
    return key;
}

bool pki_key_ensure(const char *path, struct error **errp) {
    _cleanup_pkey_ EVP_PKEY *key = key_read(path);
    if (key)
        return true;
    key = EVP_RSA_gen(KEY_BITS);
    _cleanup_bio_ BIO *b = BIO_new(BIO_s_secmem());
    if (!key || !b || !PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL)) {
        crypto_error(errp, "making this host's key");
        return false;
    }
    char *data = NULL;
    long size = BIO_get_mem_data(b, &data);
    int r = fs_write_atomic(path, data, (size_t)size, 0600);
    if (r < 0) {
        error_errno(errp, r, "writing this host's key");
        return false;
    }
    return true;
}

char *pki_csr(const char *key_path, const struct uuid *host, struct error **errp) {
    char text[UUID_TEXT_SIZE];
    uuid_text(host, text);
    _cleanup_pkey_ EVP_PKEY *key = key_read(key_path);
    _cleanup_req_ X509_REQ *request = X509_REQ_new();
    _cleanup_bio_ BIO *b = BIO_new(BIO_s_mem());
    if (!key || !request || !b || !X509_REQ_set_pubkey(request, key) ||
        !X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC, (const uint8_t *)text, -1,
                                    -1, 0) ||
        !X509_REQ_sign(request, key, EVP_sha256()) || !PEM_write_bio_X509_REQ(b, request)) {
        crypto_error(errp, "making a certificate request");
        return NULL;
    }
    return bio_text(b);
}

bool pki_keyfile_ensure(const char *path, uint8_t ret[static PKI_KEYFILE_SIZE], struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    uint8_t key[PKI_KEYFILE_SIZE];
    int r = fs_read(path, PKI_KEYFILE_SIZE, &text);
    if (r == 0 && text.size == PKI_KEYFILE_SIZE) {
        memcpy(ret, text.data, PKI_KEYFILE_SIZE);
        return true;
    }
    if (r == 0 || r == -EFBIG) {
        error_internal(errp, "the key file '%s' is damaged; put it back from another voter of the pool", path);
        return false;
    }
    if (r != -ENOENT) {
        error_errno(errp, r, "reading the key file");
        return false;
    }
    if (RAND_bytes(key, sizeof(key)) != 1) {
        crypto_error(errp, "making the key file");
        return false;
    }
    r = fs_write_atomic(path, key, sizeof(key), 0600);
    if (r < 0) {
        error_errno(errp, r, "writing the key file");
        return false;
    }
    memcpy(ret, key, sizeof(key));
    return true;
}

static void read_host_name(X509 *x, struct pki_info *info) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        if (n->type != GEN_URI)
            continue;
        _cleanup_free_ char *uri = xstrndup((const char *)ASN1_STRING_get0_data(n->d.uniformResourceIdentifier),
                                            (size_t)ASN1_STRING_length(n->d.uniformResourceIdentifier));
        if (str_starts(uri, "urn:uuid:") && uuid_parse(uri + strlen("urn:uuid:"), &info->host))
            info->has_host = true;
    }
    GENERAL_NAMES_free(names);
}

static int64_t asn1_seconds(const ASN1_TIME *t) {
    struct tm tm = {0};
    return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

bool pki_certificate_info(const char *pem, struct pki_info *ret, struct error **errp) {
    _cleanup_x509_ X509 *x = strlen(pem) <= PKI_MAX_PEM ? x509_read(pem) : NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!x || !X509_digest(x, EVP_sha256(), digest, &size)) {
        crypto_error(errp, "reading a certificate");
        return false;
    }
    struct pki_info info = {.not_before = asn1_seconds(X509_get0_notBefore(x)),
                            .not_after = asn1_seconds(X509_get0_notAfter(x))};
    for (unsigned i = 0; i < size && i < 32; i++)
        snprintf(info.fingerprint + 2 * i, 3, "%02x", digest[i]);
    if (X509_pubkey_digest(x, EVP_sha256(), digest, &size))
        for (unsigned i = 0; i < size && i < 32; i++)
            snprintf(info.key_fingerprint + 2 * i, 3, "%02x", digest[i]);
    read_host_name(x, &info);
    *ret = info;
    return true;
}

bool pki_certificate_sha1(const char *pem, char ret[static 41]) {
    _cleanup_x509_ X509 *x = strlen(pem) <= PKI_MAX_PEM ? x509_read(pem) : NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ret[0] = 0;
    if (x && X509_digest(x, EVP_sha1(), digest, &size))
        for (unsigned i = 0; i < size && i < 20; i++)
            snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    ERR_clear_error();
    return ret[0] != 0;
}

bool pki_certificate_check(const char *certificate, const char *authorities, const char *key_path,
                           struct error **errp) {
    _cleanup_x509_ X509 *x = x509_read(certificate);
    _cleanup_bio_ BIO *b = BIO_new_mem_buf(authorities, -1);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    for (unsigned i = 0; b && store && i < MAX_BUNDLE; i++) {
        _cleanup_x509_ X509 *authority = PEM_read_bio_X509(b, NULL, NULL, NULL);
        if (!authority)
            break;
        X509_STORE_add_cert(store, authority);
    }
    bool ok = x && store && context && X509_STORE_CTX_init(context, store, x, NULL);
    if (ok) {
        X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_NO_CHECK_TIME);
        ok = X509_verify_cert(context) == 1;
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    if (!ok) {
        error_internal(errp, "the certificate was not signed by this pool's authority");
        return false;
    }
    if (key_path) {
        _cleanup_pkey_ EVP_PKEY *key = key_read(key_path);
        if (!key || X509_check_private_key(x, key) != 1) {
            ERR_clear_error();
            error_internal(errp, "the certificate does not belong to this host's key");
            return false;
        }
    }
    return true;
}

bool pki_certificate_has_address(const char *certificate, const char *address) {
    _cleanup_x509_ X509 *x = x509_read(certificate);
    bool has = x && X509_check_ip_asc(x, address, 0) == 1;
    ERR_clear_error();
    return has;
}
