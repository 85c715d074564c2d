/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS settings and certificates over OpenSSL 3 (TLS 1.2 and newer). A context is what many connections share: own
 * certificate and key, the authorities that are trusted, and how strictly the peer is judged. Contexts are counted:
 * a stream holds a reference, so reloading or freeing never disturbs a running connection. Loop thread only, except
 * tls_fingerprint_*.
 *
 * A fingerprint is the SHA-256 of the certificate's DER form, 64 lower-case hex digits.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct x509_st X509;

#define TLS_FINGERPRINT_SIZE 65 /* with the NUL */

/* The name that a client asks for (SNI) when it wants the pool's own certificate, whatever is shown to others. */
#define TLS_POOL_NAME "pool.muster.internal"

enum tls_role {
    TLS_SERVER,        /* the API: a client certificate is asked for when ca_path is set, judged, never required */
    TLS_MUTUAL_SERVER, /* the pool channel: the peer must show a certificate that ca_path vouches for; no session
                          resumption */
    TLS_MUTUAL_CLIENT, /* the other end of it: likewise */
    TLS_CLIENT,        /* judges the server as `verify` says; own certificate optional */
};

enum tls_verify {                 /* TLS_CLIENT only */
                  TLS_VERIFY_CA,  /* chain up to ca_path (the system's bundle when NULL) and the name of the server */
                  TLS_VERIFY_PIN, /* the certificate has this fingerprint, nothing else matters */
                  TLS_VERIFY_PIN_AUTHORITY, /* http_client only: the chain holds an authority with this fingerprint, and
                                               it signed the server's certificate; times are not looked at */
                  TLS_VERIFY_NONE,          /* take anything; the caller looks at the fingerprint afterwards */
};

struct tls_config { /* all texts are copied */
    enum tls_role role;
    const char *cert_path; /* PEM chain; mandatory but for TLS_CLIENT */
    const char *key_path;  /* PEM */
    const char *ca_path;   /* PEM bundle of authorities, may be NULL for TLS_SERVER and TLS_CLIENT */
    /*
     * TLS_SERVER: PEM chain and key in one file, which those are shown who do not ask for TLS_POOL_NAME. NULL, or while
     * there is no such file: everybody is shown the one above. One that cannot be used is like none; see
     * tls_context_shown_trouble.
     */
    const char *shown_path;
    enum tls_verify verify;
    const char *pin; /* fingerprint in hex, any case, colons allowed */
};

struct tls_context;
struct tls_context *tls_context_new(const struct tls_config *config, struct error **errp);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t); /* accepts NULL */
/*
 * Reads the files again. New connections use what was read; running ones keep theirs, and old session tickets are void.
 * On failure the context stays as it was.
 */
bool tls_context_reload(struct tls_context *t, struct error **errp) _warn_unused_;
/* The same, only when a file's inode, size or mtime has changed since. True when nothing was to do, too. */
bool tls_context_reload_if_changed(struct tls_context *t, struct error **errp) _warn_unused_;

/* Why the certificate of shown_path is not shown; "" when it is, or when there is none. */
const char *tls_context_shown_trouble(const struct tls_context *t);

/* What is known of the other end after the handshake. */
struct tls_peer {
    bool has_certificate;
    bool verified;                              /* it chains to ca_path (or matches the pin) */
    char fingerprint[TLS_FINGERPRINT_SIZE];     /* "" without a certificate */
    char key_fingerprint[TLS_FINGERPRINT_SIZE]; /* of its public key, which outlives certificates; "" likewise */
    char common_name[128]; /* of the subject; "" when absent, longer than fits, or with a NUL inside */
};

/* Fingerprint of a PEM certificate (the first of the text or file). */
bool tls_fingerprint_file(const char *cert_path, char ret[static TLS_FINGERPRINT_SIZE],
                          struct error **errp) _warn_unused_;
bool tls_fingerprint_pem(const char *pem, size_t size, char ret[static TLS_FINGERPRINT_SIZE],
                         struct error **errp) _warn_unused_;
/* Brings colons, blanks and upper case into our form; false when it is not 64 hex digits. */
bool tls_fingerprint_parse(const char *text, char ret[static TLS_FINGERPRINT_SIZE]) _warn_unused_;

/* For the adapters inside wire/ (stream.c, http_client.c). */
SSL_CTX *tls_context_ssl(struct tls_context *t);
enum tls_role tls_context_role(const struct tls_context *t);
bool tls_fingerprint_x509(X509 *x, char ret[static TLS_FINGERPRINT_SIZE]);
void tls_key_fingerprint_x509(X509 *x, char ret[static TLS_FINGERPRINT_SIZE]); /* of the public key; "" without */
