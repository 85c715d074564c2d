/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate of a pool that has expired: expired_certificate CA.pem CA.sealed SEAL.key HOST.key HOST.pem ADDRESS.
 * Signs as the pool would have eleven years ago; prints PEM.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"
#include "pool/pki.h"

#define YEARS 11

/* Takes the place of the C library's, for the library that makes certificates too. */
__attribute__((visibility("default"))) time_t time(time_t *ret) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_t then = now.tv_sec - (time_t)YEARS * 365 * 86400;
    if (ret)
        *ret = then;
    return then;
}

static char *read_text(const char *path) {
    struct buf b = BUF_INIT;
    int r = fs_read(path, PKI_MAX_PEM, &b);
    if (r < 0)
        fprintf(stderr, "'%s': %s\n", path, strerror(-r));
    return r < 0 ? NULL : buf_take(&b);
}

int main(int argc, char *argv[]) {
    if (argc != 7)
        return 2;
    _cleanup_free_ char *ca_pem = read_text(argv[1]), *sealed = read_text(argv[2]), *host = read_text(argv[5]);
    uint8_t seal_key[PKI_KEYFILE_SIZE];
    struct pki_info info;
    struct error *e = NULL;
    if (!ca_pem || !sealed || !host)
        return 1;
    _cleanup_strv_ struct strv addresses = {0};
    strv_add(&addresses, argv[6]);
    _cleanup_(pki_ca_freep) struct pki_ca *ca = NULL;
    _cleanup_free_ char *csr = NULL, *certificate = NULL;
    if (pki_keyfile_ensure(argv[3], seal_key, &e) && pki_certificate_info(host, &info, &e))
        ca = pki_ca_unseal(ca_pem, sealed, seal_key, &e);
    if (ca)
        csr = pki_csr(argv[4], &info.host, &e);
    if (csr)
        certificate = pki_ca_sign(ca, csr, &info.host, &addresses, &e);
    if (!certificate || !pki_certificate_info(certificate, &info, &e) ||
        info.not_after > time(NULL) + (time_t)YEARS * 365 * 86400) {
        fprintf(stderr, "no expired certificate: %s\n", e ? error_text(e) : "it is valid");
        error_free(e);
        return 1;
    }
    printf("%s", certificate);
    return 0;
}
