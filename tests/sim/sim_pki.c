/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool/pki.h without arithmetic: a certificate is a line of text that names its key, its issuer's key and its host. Who
 * trusts whom follows the same rules as with real ones; nobody here can forge, so nothing needs to be hard to forge.
 */
#include "pool/pki.h"
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"
#define MAX_CERTS 32

struct cert {
    char kind; /* C: of a host, A: authority, X: authority that another vouches for */
    unsigned long long key, issuer, serial;
    unsigned generation;
    char host[UUID_TEXT_SIZE]; /* "-": none */
    char addresses[200];       /* with commas; "-": none */
};

struct pki_ca {
    unsigned long long key;
    unsigned generation;
    struct uuid pool;
};

static unsigned long long fresh_key(void) {
    return loop_random(sim->loop);
}

static char *cert_text(const struct cert *c) {
    return strf(BEGIN "%c %016llx %016llx %u %016llx %s %s\n" END, c->kind, c->key, c->issuer, c->generation, c->serial,
                c->host, c->addresses);
}

static bool cert_parse(const char *text, struct cert *ret) {
    return str_starts(text, BEGIN) &&
           sscanf(text + strlen(BEGIN), "%c %llx %llx %u %llx %36s %199s", &ret->kind, &ret->key, &ret->issuer,
                  &ret->generation, &ret->serial, ret->host, ret->addresses) == 7;
}

static unsigned bundle_parse(const char *text, struct cert ret[static MAX_CERTS]) {
    unsigned n = 0;
    for (const char *at = text; at && (at = strstr(at, BEGIN)) && n < MAX_CERTS; at++)
        n += cert_parse(at, &ret[n]);
    return n;
}

/* 64 digits that differ when the numbers do. */
static void fingerprint(unsigned long long a, unsigned long long b, char ret[static PKI_FINGERPRINT_SIZE]) {
    (void)snprintf(ret, PKI_FINGERPRINT_SIZE, "%016llx%016llx%016llx%016llx", a, b, a ^ 0x5bd1e995, b ^ 0x9e3779b9);
}

static bool is_root(const struct cert *certs, unsigned n, unsigned long long key) {
    for (unsigned i = 0; i < n; i++)
        if (certs[i].kind == 'A' && certs[i].key == key)
            return true;
    return false;
}

/* An authority of this key is trusted, itself or by the word of a trusted one; words are taken from both bundles. */
static bool is_vouched(const struct cert *trusted, unsigned n_trusted, const struct cert *shown, unsigned n_shown,
                       unsigned long long key, unsigned depth) {
    if (is_root(trusted, n_trusted, key))
        return true;
    for (unsigned i = 0; depth && i < n_trusted + n_shown; i++) {
        const struct cert *c = i < n_trusted ? &trusted[i] : &shown[i - n_trusted];
        if (c->kind == 'X' && c->key == key && is_vouched(trusted, n_trusted, shown, n_shown, c->issuer, depth - 1))
            return true;
    }
    return false;
}

bool sim_pki_verifies(const char *chain, const char *trusted) {
    struct cert shown[MAX_CERTS], known[MAX_CERTS];
    unsigned n_shown = bundle_parse(chain, shown), n_known = bundle_parse(trusted, known);
    return n_shown && is_vouched(known, n_known, shown + 1, n_shown - 1, shown[0].issuer, 6);
}

void sim_pki_peer(const char *chain, char ret_fingerprint[static 65], char ret_key[static 65],
                  char ret_name[static 128]) {
    struct cert c;
    ret_fingerprint[0] = ret_key[0] = ret_name[0] = '\0';
    if (!cert_parse(chain, &c))
        return;
    fingerprint(c.serial, c.key, ret_fingerprint);
    fingerprint(c.key, c.key, ret_key);
    (void)str_copy(ret_name, 128, c.host);
}

bool sim_pki_has_authority(const char *bundle, const char *wanted) {
    struct cert certs[MAX_CERTS];
    char text[PKI_FINGERPRINT_SIZE];
    for (unsigned i = 0, n = bundle_parse(bundle, certs); i < n; i++) {
        fingerprint(certs[i].serial, certs[i].key, text);
        if (certs[i].kind == 'A' && str_eq(text, wanted))
            return true;
    }
    return false;
}

/* ---- the authority ---- */
struct pki_ca *pki_ca_new(const struct uuid *pool, unsigned generation, struct error **errp) {
    struct pki_ca *ca = xnew0(struct pki_ca);
    *ca = (struct pki_ca){.key = fresh_key(), .generation = generation, .pool = *pool};
    return ca;
}

void pki_ca_free(struct pki_ca *ca) {
    free(ca);
}

char *pki_ca_certificate(const struct pki_ca *ca) {
    struct cert c = {.kind = 'A', .key = ca->key, .issuer = ca->key, .generation = ca->generation, .serial = ca->key};
    (void)str_copy(c.host, sizeof(c.host), "-");
    (void)str_copy(c.addresses, sizeof(c.addresses), "-");
    return cert_text(&c);
}

char *pki_ca_cross(const struct pki_ca *older, const struct pki_ca *younger, struct error **errp) {
    struct cert c = {.kind = 'X', .key = younger->key, .issuer = older->key, .generation = younger->generation};
    c.serial = fresh_key();
    (void)str_copy(c.host, sizeof(c.host), "-");
    (void)str_copy(c.addresses, sizeof(c.addresses), "-");
    return cert_text(&c);
}

unsigned pki_ca_generation(const struct pki_ca *ca) {
    return ca->generation;
}

static char *ca_text(const struct pki_ca *ca, const char *lock) {
    char pool[UUID_TEXT_SIZE];
    return strf("authority %s %016llx %u %s", lock, ca->key, ca->generation, uuid_text(&ca->pool, pool));
}

/* The key of the newest authority of the bundle, when the lock fits. */
static struct pki_ca *ca_parse(const char *bundle, const char *text, const char *lock, struct error **errp) {
    struct pki_ca ca;
    struct cert newest;
    char with[65], pool[UUID_TEXT_SIZE];
    if (sscanf(text, "authority %64s %llx %u %36s", with, &ca.key, &ca.generation, pool) != 4 || !str_eq(with, lock) ||
        !uuid_parse(pool, &ca.pool) || !cert_parse(bundle, &newest) || newest.key != ca.key) {
        error_internal(errp,
                       "the authority's key does not belong to the pool's newest authority, or was sealed elsewhere");
        return NULL;
    }
    struct pki_ca *ret = xnew0(struct pki_ca);
    *ret = ca;
    return ret;
}

static void lock_of(const uint8_t keyfile[static PKI_KEYFILE_SIZE], char ret[static 65]) {
    for (unsigned i = 0; i < 8; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", keyfile[i]);
}

char *pki_ca_seal(const struct pki_ca *ca, const uint8_t keyfile[static PKI_KEYFILE_SIZE], struct error **errp) {
    char lock[65];
    lock_of(keyfile, lock);
    return ca_text(ca, lock);
}

struct pki_ca *pki_ca_unseal(const char *certificate_pem, const char *sealed,
                             const uint8_t keyfile[static PKI_KEYFILE_SIZE], struct error **errp) {
    char lock[65];
    lock_of(keyfile, lock);
    return ca_parse(certificate_pem, sealed, lock, errp);
}

static bool key_read(const char *path, unsigned long long *ret) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, PKI_MAX_PEM, &text) == 0 && sscanf(buf_str(&text), "key %llx", ret) == 1;
}

char *pki_ca_wrap(const struct pki_ca *ca, const char *certificate, struct error **errp) {
    struct cert c;
    char lock[65];
    if (!cert_parse(certificate, &c)) {
        error_internal(errp, "not a certificate");
        return NULL;
    }
    (void)snprintf(lock, sizeof(lock), "%016llx", c.key);
    return ca_text(ca, lock);
}

struct pki_ca *pki_ca_unwrap(const char *authority, const char *text, const char *key_path, struct error **errp) {
    unsigned long long key = 0;
    char lock[65];
    if (!key_read(key_path, &key)) {
        error_internal(errp, "there is no key");
        return NULL;
    }
    (void)snprintf(lock, sizeof(lock), "%016llx", key);
    return ca_parse(authority, text, lock, errp);
}

/* ---- hosts ---- */
bool pki_key_ensure(const char *path, struct error **errp) {
    unsigned long long key;
    if (key_read(path, &key))
        return true;
    _cleanup_free_ char *text = strf("key %016llx", fresh_key());
    int r = fs_write_atomic(path, text, strlen(text), 0600);
    if (r < 0)
        error_errno(errp, r, "writing '%s'", path);
    return r == 0;
}

bool pki_keyfile_ensure(const char *path, uint8_t ret[static PKI_KEYFILE_SIZE], struct error **errp) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, PKI_KEYFILE_SIZE, &text) < 0) {
        uint8_t fresh[PKI_KEYFILE_SIZE];
        for (unsigned i = 0; i < sizeof(fresh); i++)
            fresh[i] = (uint8_t)(1 + sim_luck(255));
        buf_add(&text, fresh, sizeof(fresh));
        int r = fs_write_atomic(path, fresh, sizeof(fresh), 0600);
        if (r < 0) {
            error_errno(errp, r, "writing '%s'", path);
            return false;
        }
    }
    memcpy(ret, text.data, PKI_KEYFILE_SIZE);
    return true;
}

char *pki_csr(const char *key_path, const struct uuid *host, struct error **errp) {
    unsigned long long key = 0;
    if (!key_read(key_path, &key)) {
        error_internal(errp, "there is no key at '%s'", key_path);
        return NULL;
    }
    return strf("request %016llx", key);
}

char *pki_ca_sign(const struct pki_ca *ca, const char *csr_pem, const struct uuid *host, const struct strv *addresses,
                  struct error **errp) {
    struct cert c = {.kind = 'C', .issuer = ca->key, .generation = ca->generation};
    if (sscanf(csr_pem, "request %llx", &c.key) != 1) {
        error_internal(errp, "the request is not sound");
        return NULL;
    }
    c.serial = fresh_key();
    uuid_text(host, c.host);
    _cleanup_free_ char *list = strv_join(addresses, ",");
    (void)str_copy(c.addresses, sizeof(c.addresses), list[0] ? list : "-");
    return cert_text(&c);
}

bool pki_csr_matches(const char *csr_pem, const char *certificate) {
    struct cert c;
    unsigned long long key = 0;
    return sscanf(csr_pem, "request %llx", &key) == 1 && cert_parse(certificate, &c) && c.key == key;
}

void pki_bundle_split(const char *bundle, struct strv *ret_roots, struct strv *ret_crosses) {
    for (const char *at = bundle; at && (at = strstr(at, BEGIN)); at++) {
        const char *end = strstr(at, END);
        struct cert c;
        if (end && cert_parse(at, &c))
            strv_take(c.kind == 'X' ? ret_crosses : ret_roots, xstrndup(at, (size_t)(end - at) + strlen(END)));
    }
}

bool pki_certificate_info(const char *pem, struct pki_info *ret, struct error **errp) {
    struct cert c;
    const char *at = strstr(pem, BEGIN);
    if (!at || !cert_parse(at, &c)) {
        error_internal(errp, "not a certificate");
        return false;
    }
    *ret = (struct pki_info){.not_before = 0, .not_after = INT64_MAX};
    ret->has_host = uuid_parse(c.host, &ret->host);
    fingerprint(c.serial, c.key, ret->fingerprint);
    fingerprint(c.key, c.key, ret->key_fingerprint);
    return true;
}

bool pki_certificate_check(const char *certificate, const char *authorities, const char *key_path,
                           struct error **errp) {
    struct cert c;
    unsigned long long key = 0;
    if (!cert_parse(certificate, &c) || !sim_pki_verifies(certificate, authorities)) {
        error_internal(errp, "the certificate was not signed by this pool's authority");
        return false;
    }
    if (key_path && !(key_read(key_path, &key) && key == c.key)) {
        error_internal(errp, "the certificate does not belong to this host's key");
        return false;
    }
    return true;
}

bool pki_certificate_has_address(const char *certificate, const char *address) {
    struct cert c;
    if (!cert_parse(certificate, &c))
        return false;
    _cleanup_strv_ struct strv list = {0};
    strv_split(&list, c.addresses, ',');
    return strv_has(&list, address);
}
