/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys for what QEMU says to QEMU while a VM moves. QEMU is not root and runs strangers' guests, so it never gets the
 * host's own key, nor one that the pool's authority has signed: with either it could speak to the pool's database. Each
 * host has a small authority for this purpose alone, whose key is forgotten once it has signed one certificate (RSA,
 * named by the host's uuid). Two hosts tell each other these authorities over the pool channel before a VM moves, and
 * trust nobody else. Blocking (a key takes some 100 ms): worker threads.
 *
 * In the folder: own-ca.pem, server-cert.pem and server-key.pem, the same as client-*; ca-cert.pem is what is trusted.
 */
#pragma once

#include <sys/types.h>

#include "pool/pki.h"

#define PKI_STREAM_PEERS_MAX 8 /* QEMU reads at most 16 */

/* Makes what is missing or no longer good for a month; the key belongs to the account that QEMU runs as. */
bool pki_stream_ensure(const char *dir, const struct uuid *host, uid_t owner, int64_t now_s,
                       struct error **errp) _warn_unused_;
/* The authority that peers are to trust; PEM, the caller frees. */
char *pki_stream_authority(const char *dir, struct error **errp) _warn_unused_;
/* From now on these are trusted (PEM, one certificate each, checked here), and this host itself. */
bool pki_stream_trust(const char *dir, const char *const authorities[], size_t n, struct error **errp) _warn_unused_;
