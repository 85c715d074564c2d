/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "wire/tls_internal.h"

#define MAX_PEM_SIZE (256 * 1024)

struct file_stamp {
    uint64_t inode;
    int64_t size;
    struct timespec mtime;
};

struct tls_context {
    unsigned n_refs;
    enum tls_role role;
    enum tls_verify verify;
    char *cert_path, *key_path, *ca_path, *shown_path;
    char pin[TLS_FINGERPRINT_SIZE];
    SSL_CTX *ssl;                /* what a connection begins with */
    char *shown_trouble;         /* NULL: none */
    struct file_stamp stamps[4]; /* certificate, key, authorities, the shown one as they were last read */
};

static bool context_is_server(enum tls_role role) {
    return role == TLS_SERVER || role == TLS_MUTUAL_SERVER;
}

const char *tls_error_text(char *text, size_t size) {
    unsigned long e = ERR_peek_last_error();
    if (e == 0)
        str_copy(text, size, "unknown reason");
    else
        ERR_error_string_n(e, text, size);
    ERR_clear_error();
    const char *reason = strrchr(text, ':');
    return reason && reason[1] ? reason + 1 : text;
}

static bool fail_ssl(struct error **errp, const char *what, const char *path) {
    char text[200];
    error_internal(errp, "TLS: %s '%s': %s", what, path, tls_error_text(text, sizeof(text)));
    return false;
}

bool tls_fingerprint_x509(X509 *x, char ret[static TLS_FINGERPRINT_SIZE]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!X509_digest(x, EVP_sha256(), digest, &size) || size != 32)
        return false;
    for (unsigned i = 0; i < size; i++) {
        ret[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    ret[64] = '\0';
    return true;
}

/* SHA-256 of the public key, as hex; empty when there is none. */
void tls_key_fingerprint_x509(X509 *x, char ret[static TLS_FINGERPRINT_SIZE]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ret[0] = 0;
    if (!X509_pubkey_digest(x, EVP_sha256(), digest, &size))
        return;
    for (unsigned i = 0; i < size && i < (TLS_FINGERPRINT_SIZE - 1) / 2; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

bool tls_fingerprint_parse(const char *text, char ret[static TLS_FINGERPRINT_SIZE]) {
    char out[TLS_FINGERPRINT_SIZE];
    size_t n = 0;
    for (; *text; text++) {
        if (*text == ':' || *text == ' ')
            continue;
        if (!isxdigit((unsigned char)*text) || n == TLS_FINGERPRINT_SIZE - 1)
            return false;
        out[n++] = (char)tolower((unsigned char)*text);
    }
    if (n != TLS_FINGERPRINT_SIZE - 1)
        return false;
    out[n] = '\0';
    memcpy(ret, out, sizeof(out));
    return true;
}

bool tls_fingerprint_pem(const char *pem, size_t size, char ret[static TLS_FINGERPRINT_SIZE], struct error **errp) {
    BIO *bio = size <= MAX_PEM_SIZE ? BIO_new_mem_buf(pem, (int)size) : NULL;
    X509 *x = bio ? PEM_read_bio_X509(bio, /* x= */ NULL, /* cb= */ NULL, /* u= */ NULL) : NULL;
    bool ok = x && tls_fingerprint_x509(x, ret);
    if (!ok)
        error_internal(errp, "TLS: no readable certificate in the PEM text");
    ERR_clear_error();
    X509_free(x);
    BIO_free(bio);
    return ok;
}

bool tls_fingerprint_file(const char *cert_path, char ret[static TLS_FINGERPRINT_SIZE], struct error **errp) {
    _cleanup_buf_ struct buf pem = BUF_INIT;
    int r = fs_read(cert_path, MAX_PEM_SIZE, &pem);
    if (r < 0) {
        error_errno(errp, r, "TLS: read '%s'", cert_path);
        return false;
    }
    if (!tls_fingerprint_pem(buf_str(&pem), pem.size, ret, errp)) {
        error_wrap(errp, "'%s'", cert_path);
        return false;
    }
    return true;
}

/* Called by OpenSSL with the peer's chain. Returning 1 lets the handshake go on; the verdict stays in the verify
 * result. */
static int on_verify(X509_STORE_CTX *store, void *arg) {
    const struct tls_context *t = arg;
    if (t->role == TLS_CLIENT && t->verify == TLS_VERIFY_PIN) {
        char fingerprint[TLS_FINGERPRINT_SIZE];
        X509 *leaf = X509_STORE_CTX_get0_cert(store);
        bool same = leaf && tls_fingerprint_x509(leaf, fingerprint) && str_eq(fingerprint, t->pin);
        X509_STORE_CTX_set_error(store, same ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
        return same;
    }
    int ok = X509_verify_cert(store);
    if (ok <= 0 && X509_STORE_CTX_get_error(store) == X509_V_OK)
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
    bool lenient = t->role == TLS_SERVER || (t->role == TLS_CLIENT && t->verify == TLS_VERIFY_NONE);
    return ok > 0 || lenient;
}

static bool load_identity(const char *cert_path, const char *key_path, SSL_CTX *ssl, struct error **errp) {
    if (!cert_path)
        return true;
    if (SSL_CTX_use_certificate_chain_file(ssl, cert_path) != 1)
        return fail_ssl(errp, "certificate", cert_path);
    if (SSL_CTX_use_PrivateKey_file(ssl, key_path, SSL_FILETYPE_PEM) != 1)
        return fail_ssl(errp, "key", key_path);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return fail_ssl(errp, "key does not belong to the certificate", key_path);
    return true;
}

static bool load_authorities(const struct tls_context *t, SSL_CTX *ssl, struct error **errp) {
    if (!t->ca_path) {
        if (t->role == TLS_CLIENT && t->verify == TLS_VERIFY_CA && SSL_CTX_set_default_verify_paths(ssl) != 1)
            return fail_ssl(errp, "authorities", "system");
        return true;
    }
    if (SSL_CTX_load_verify_file(ssl, t->ca_path) != 1)
        return fail_ssl(errp, "authorities", t->ca_path);
    /* The names of the authorities are not sent to clients: they have one certificate, if any, and show it. */
    return true;
}

static SSL_CTX *build_with(struct tls_context *t, const char *cert_path, const char *key_path, struct error **errp) {
    bool is_server = context_is_server(t->role);
    SSL_CTX *ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!ssl)
        abort();
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets hold the state */
    bool is_mutual = t->role == TLS_MUTUAL_SERVER || t->role == TLS_MUTUAL_CLIENT;
    if (is_mutual) {
        /* A resumed session would skip the judgement of a certificate that may have been withdrawn meanwhile. */
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
    } else if (is_server) {
        SSL_CTX_set_num_tickets(ssl, 1);
        static const unsigned char id[] = "muster";
        SSL_CTX_set_session_id_context(ssl, id, sizeof(id) - 1);
    }
    int verify = SSL_VERIFY_NONE;
    if (is_mutual)
        verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    else if (t->role == TLS_CLIENT || t->ca_path)
        verify = SSL_VERIFY_PEER;
    SSL_CTX_set_verify(ssl, verify, /* callback= */ NULL);
    SSL_CTX_set_cert_verify_callback(ssl, on_verify, t);
    ERR_clear_error();
    if (!load_identity(cert_path, key_path, ssl, errp) || !load_authorities(t, ssl, errp)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    return ssl;
}

/* The client has said whom it wants to talk to. The pool's own context hangs at the one that is shown to others. */
static int on_server_name(SSL *ssl, int *alert, void *arg) {
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name && str_eq(name, TLS_POOL_NAME))
        SSL_set_SSL_CTX(ssl, arg);
    return SSL_TLSEXT_ERR_OK;
}

static void free_pools(void *parent, void *ssl, CRYPTO_EX_DATA *data, int index, long arg, void *ptr) {
    SSL_CTX_free(ssl);
}

/* A context that shows another certificate, and `pools` to who asks for it. Takes `pools`; NULL leaves it. */
static SSL_CTX *build_shown(struct tls_context *t, SSL_CTX *pools, struct error **errp) {
    static int index = -1; /* loop thread only */
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_pools);
    SSL_CTX *ssl = build_with(t, t->shown_path, t->shown_path, errp);
    if (!ssl)
        return NULL;
    SSL_CTX_set_ex_data(ssl, index, pools);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, pools);
    return ssl;
}

static SSL_CTX *build(struct tls_context *t, struct error **errp) {
    free(TAKE(t->shown_trouble));
    SSL_CTX *ssl = build_with(t, t->cert_path, t->key_path, errp);
    if (!ssl || !t->shown_path || !fs_exists(t->shown_path))
        return ssl;
    _cleanup_error_ struct error *e = NULL;
    SSL_CTX *shown = build_shown(t, ssl, &e);
    if (!shown)
        t->shown_trouble = xstrdup(error_text(e));
    return shown ? shown : ssl;
}

const char *tls_context_shown_trouble(const struct tls_context *t) {
    return str_or_empty(t->shown_trouble);
}

static void take_stamp(const char *path, struct file_stamp *ret) {
    struct stat st;
    *ret = (struct file_stamp){0};
    if (path && stat(path, &st) == 0)
        *ret = (struct file_stamp){.inode = st.st_ino, .size = st.st_size, .mtime = st.st_mtim};
}

static void take_stamps(const struct tls_context *t, struct file_stamp stamps[static 4]) {
    take_stamp(t->cert_path, &stamps[0]);
    take_stamp(t->key_path, &stamps[1]);
    take_stamp(t->ca_path, &stamps[2]);
    take_stamp(t->shown_path, &stamps[3]);
}

struct tls_context *tls_context_new(const struct tls_config *config, struct error **errp) {
    bool needs_identity = config->role != TLS_CLIENT;
    bool is_mutual = config->role == TLS_MUTUAL_SERVER || config->role == TLS_MUTUAL_CLIENT;
    if ((needs_identity && !config->cert_path) || (!config->cert_path != !config->key_path) ||
        (is_mutual && !config->ca_path)) {
        error_internal(errp, "TLS: certificate, key or authorities are not configured");
        return NULL;
    }
    struct tls_context *t = xnew0(struct tls_context);
    t->n_refs = 1;
    t->role = config->role;
    t->verify = config->verify;
    t->cert_path = config->cert_path ? xstrdup(config->cert_path) : NULL;
    t->key_path = config->key_path ? xstrdup(config->key_path) : NULL;
    t->ca_path = config->ca_path ? xstrdup(config->ca_path) : NULL;
    t->shown_path = config->shown_path ? xstrdup(config->shown_path) : NULL;
    if (t->role == TLS_CLIENT && t->verify == TLS_VERIFY_PIN &&
        !tls_fingerprint_parse(str_or_empty(config->pin), t->pin)) {
        error_internal(errp, "TLS: '%s' is no SHA-256 fingerprint", str_or_empty(config->pin));
        tls_context_unref(t);
        return NULL;
    }
    if (!tls_context_reload(t, errp)) {
        tls_context_unref(t);
        return NULL;
    }
    return t;
}

struct tls_context *tls_context_ref(struct tls_context *t) {
    if (t)
        t->n_refs++;
    return t;
}

void tls_context_unref(struct tls_context *t) {
    if (!t || --t->n_refs > 0)
        return;
    SSL_CTX_free(t->ssl);
    free(t->cert_path);
    free(t->key_path);
    free(t->ca_path);
    free(t->shown_path);
    free(t->shown_trouble);
    free(t);
}

bool tls_context_reload(struct tls_context *t, struct error **errp) {
    struct file_stamp stamps[4];
    take_stamps(t, stamps); /* before reading: a change in between is then seen the next time */
    SSL_CTX *ssl = build(t, errp);
    if (!ssl)
        return false;
    SSL_CTX_free(t->ssl); /* connections hold their own reference */
    t->ssl = ssl;
    memcpy(t->stamps, stamps, sizeof(stamps));
    return true;
}

bool tls_context_reload_if_changed(struct tls_context *t, struct error **errp) {
    struct file_stamp stamps[4];
    take_stamps(t, stamps);
    bool changed = false;
    for (size_t i = 0; i < ARRAY_SIZE(stamps); i++)
        changed = changed || stamps[i].inode != t->stamps[i].inode || stamps[i].size != t->stamps[i].size ||
                  stamps[i].mtime.tv_sec != t->stamps[i].mtime.tv_sec ||
                  stamps[i].mtime.tv_nsec != t->stamps[i].mtime.tv_nsec;
    return !changed || tls_context_reload(t, errp);
}

SSL_CTX *tls_context_ssl(struct tls_context *t) {
    return t->ssl;
}

enum tls_role tls_context_role(const struct tls_context *t) {
    return t->role;
}

bool tls_context_checks_name(const struct tls_context *t) {
    return t->role == TLS_CLIENT && t->verify == TLS_VERIFY_CA;
}

void tls_peer_fill(SSL *ssl, struct tls_peer *ret) {
    *ret = (struct tls_peer){0};
    X509 *x = SSL_get1_peer_certificate(ssl);
    if (!x)
        return;
    ret->has_certificate = tls_fingerprint_x509(x, ret->fingerprint);
    tls_key_fingerprint_x509(x, ret->key_fingerprint);
    ret->verified = ret->has_certificate && SSL_get_verify_result(ssl) == X509_V_OK;
    const X509_NAME *subject = X509_get_subject_name(x);
    int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *name = i >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)) : NULL;
    unsigned char *utf8 = NULL;
    int size = name ? ASN1_STRING_to_UTF8(&utf8, name) : -1;
    if (size >= 0 && (size_t)size < sizeof(ret->common_name) && strlen((char *)utf8) == (size_t)size)
        memcpy(ret->common_name, utf8, (size_t)size + 1);
    OPENSSL_free(utf8);
    X509_free(x);
    ERR_clear_error();
}
