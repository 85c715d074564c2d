/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool's certificate authority and the hosts' keys and certificates (OpenSSL; RSA-2048, since libvirt refuses ECDSA
 * keys). A host's own key is made on the host and never leaves it: a request (CSR) goes out, a certificate comes back.
 * The authority's key is kept encrypted (AES-256-GCM) under a key file that only root reads. Certificates are valid
 * from a day before they are made, so that a host whose clock is somewhat behind is told about its clock and not about
 * a certificate.
 *
 * Texts are PEM. Blocking CPU work (a key takes some 100 ms): from a worker job or at start-up. Any thread, one object
 * one thread.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "base/uuid.h"

#define PKI_FINGERPRINT_SIZE 65 /* SHA-256 as lower-case hex, with the NUL */
#define PKI_MAX_PEM 65536
#define PKI_KEYFILE_SIZE 32

struct pki_ca;

/* A new authority; generation counts from 1 and stands in its name. Never fails but for want of memory or randomness.
 */
struct pki_ca *pki_ca_new(const struct uuid *pool, unsigned generation, struct error **errp) _warn_unused_;
void pki_ca_free(struct pki_ca *ca); /* accepts NULL */
DEFINE_CLEANUP(struct pki_ca *, pki_ca_free)
char *pki_ca_certificate(const struct pki_ca *ca); /* PEM; the caller frees */
/* The authority's key, encrypted and authenticated under `keyfile`, as base64 text; the caller frees. */
char *pki_ca_seal(const struct pki_ca *ca, const uint8_t keyfile[static PKI_KEYFILE_SIZE],
                  struct error **errp) _warn_unused_;
struct pki_ca *pki_ca_unseal(const char *certificate_pem, const char *sealed,
                             const uint8_t keyfile[static PKI_KEYFILE_SIZE], struct error **errp) _warn_unused_;
/*
 * Signs a request for `host`: the subject and the alternative names (urn:uuid of the host, its addresses) are ours,
 * only the key is taken from the request, whose own signature is checked. Returns PEM; the caller frees.
 */
char *pki_ca_sign(const struct pki_ca *ca, const char *csr_pem, const struct uuid *host, const struct strv *addresses,
                  struct error **errp) _warn_unused_;

/* Makes a key at `path` (mode 0600) unless a sound one is there. */
bool pki_key_ensure(const char *path, struct error **errp) _warn_unused_;
char *pki_csr(const char *key_path, const struct uuid *host,
              struct error **errp) _warn_unused_; /* PEM; the caller frees */
bool pki_keyfile_ensure(const char *path, uint8_t ret[static PKI_KEYFILE_SIZE], struct error **errp) _warn_unused_;

/* Counts from 1; it stands in the authority's name. 0 when it does not. */
unsigned pki_ca_generation(const struct pki_ca *ca);
/*
 * The younger authority's name and key, vouched for by the older one: what a host that knows only the older one needs
 * in order to trust a certificate of the younger. PEM; the caller frees.
 */
char *pki_ca_cross(const struct pki_ca *older, const struct pki_ca *younger, struct error **errp) _warn_unused_;
/* The request is for the key of this certificate. */
bool pki_csr_matches(const char *csr_pem, const char *certificate);
/* The parts of a bundle, each as PEM, in their order: authorities that vouch for themselves, and cross certificates. */
void pki_bundle_split(const char *bundle, struct strv *ret_roots, struct strv *ret_crosses);

struct pki_info {
    int64_t not_before, not_after;
    bool has_host;
    struct uuid host; /* from the urn:uuid alternative name */
    char fingerprint[PKI_FINGERPRINT_SIZE], key_fingerprint[PKI_FINGERPRINT_SIZE]; /* of the certificate, of its key */
};
/* Reads the first certificate of a PEM text. */
bool pki_certificate_info(const char *pem, struct pki_info *ret, struct error **errp) _warn_unused_;
bool pki_certificate_sha1(const char *pem,
                          char ret[static 41]); /* fingerprint as older clients know it; "" on failure */
/* True when `certificate` was signed by an authority in `authorities` (PEM bundle) and belongs to the key at key_path
 * (NULL: not asked). Times are not looked at. */
bool pki_certificate_check(const char *certificate, const char *authorities, const char *key_path,
                           struct error **errp) _warn_unused_;
/* True when the certificate (PEM) names this bare address, by which those who check names know the host. */
bool pki_certificate_has_address(const char *certificate, const char *address);

/* ---- pki_wrap.c: the authority's key on its way to another host ---- */
/* Encrypted to the key of the receiver's certificate (RSA-OAEP, AES-256-GCM); text, the caller frees. NULL with *errp.
 */
char *pki_ca_wrap(const struct pki_ca *ca, const char *certificate, struct error **errp) _warn_unused_;
/* `authority`: its certificate, first of a bundle. NULL with *errp when it is not for the key at key_path. */
struct pki_ca *pki_ca_unwrap(const char *authority, const char *text, const char *key_path,
                             struct error **errp) _warn_unused_;
