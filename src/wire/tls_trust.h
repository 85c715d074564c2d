/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which certificates of clients stand for a login: authorities that an administrator has installed, what they have
 * revoked, and the name that a certificate must carry. Apart from the pool's own authority, which vouches for hosts
 * alone. Judged anew each time somebody logs in, so what is taken away here is void at once. Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/tls.h"

#define TLS_TRUST_MAX_PEM 65536 /* of one authority or one revocation list */

typedef struct ssl_st SSL;

struct tls_trust;
struct tls_trust *tls_trust_new(void);
void tls_trust_free(struct tls_trust *t); /* accepts NULL */
/* PEM, one or more of a kind in a text. False when it cannot be read; nothing of it is used then. */
bool tls_trust_add_authority(struct tls_trust *t, const char *pem) _warn_unused_;
bool tls_trust_add_revoked(struct tls_trust *t, const char *pem) _warn_unused_;

struct tls_vouched {
    const char *why;   /* static; why not. NULL when the certificate is good */
    int64_t not_after; /* seconds since 1970; when it is good */
};
/* The certificate that the other end of a finished handshake has shown: chains to an authority that is trusted, is for
 * clients, valid now, not revoked, and carries `name` (a DNS name of its alternative names; its common name when it has
 * none; letter case does not matter, wildcards do not match). */
bool tls_trust_judge(const struct tls_trust *t, SSL *ssl, const char *name, struct tls_vouched *ret);

enum tls_authority_fault {
    TLS_AUTHORITY_GOOD,
    TLS_AUTHORITY_UNREADABLE, /* not exactly one certificate, or with a key beside it */
    TLS_AUTHORITY_NONE,       /* a certificate that may not sign others */
    TLS_AUTHORITY_EARLY,
    TLS_AUTHORITY_EXPIRED,
};
struct tls_authority {
    enum tls_authority_fault fault;
    int64_t not_before, not_after;          /* seconds since 1970; 0 when it cannot be read */
    char fingerprint[TLS_FINGERPRINT_SIZE]; /* SHA-256 in hex; "" likewise */
    char sha1[41];                          /* as older clients know it */
};
/* The certificate of this text (PEM), and what speaks against trusting it at `now` (seconds since 1970). */
struct tls_authority tls_authority_look(const char *pem, int64_t now);
