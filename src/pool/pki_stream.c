/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pki_stream.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define SPARE_S (30 * 86400)

static char *path_of(const char *dir, const char *name) {
    return strf("%s/%s", dir, name);
}

static bool write_text(const char *dir, const char *name, const char *text, struct error **errp) {
    _cleanup_free_ char *path = path_of(dir, name);
    int r = fs_write_atomic(path, text, strlen(text), 0644);
    if (r < 0)
        error_errno(errp, r, "writing '%s'", path);
    return r >= 0;
}

static char *read_text(const char *dir, const char *name) {
    _cleanup_free_ char *path = path_of(dir, name);
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, PKI_MAX_PEM, &text) == 0 ? xstrdup(buf_str(&text)) : NULL;
}

/* All is there, belongs together and is good for a while. */
static bool is_sound(const char *dir, int64_t now_s) {
    _cleanup_free_ char *certificate = read_text(dir, "server-cert.pem"), *authority = read_text(dir, "own-ca.pem"),
                        *again = read_text(dir, "client-cert.pem"), *key = path_of(dir, "server-key.pem"),
                        *client_key = path_of(dir, "client-key.pem");
    _cleanup_error_ struct error *ignored = NULL;
    struct pki_info info;
    return certificate && authority && again && str_eq(certificate, again) && fs_exists(client_key) &&
           pki_certificate_check(certificate, authority, key, &ignored) &&
           pki_certificate_info(certificate, &info, &ignored) && info.not_after > now_s + SPARE_S;
}

static bool give_key(const char *dir, uid_t owner, struct error **errp) {
    _cleanup_free_ char *key = path_of(dir, "server-key.pem"), *client = path_of(dir, "client-key.pem");
    if (chown(key, owner, (gid_t)-1) < 0 || chmod(key, 0400) < 0) {
        error_errno(errp, -errno, "giving away '%s'", key);
        return false;
    }
    if (unlink(client) < 0 && errno != ENOENT)
        return true;
    if (symlink("server-key.pem", client) == 0)
        return true;
    error_errno(errp, -errno, "writing '%s'", client);
    return false;
}

bool pki_stream_ensure(const char *dir, const struct uuid *host, uid_t owner, int64_t now_s, struct error **errp) {
    static const struct strv no_addresses = {0};
    if (is_sound(dir, now_s))
        return give_key(dir, owner, errp);
    int r = fs_mkdirs(dir, 0755);
    if (r < 0) {
        error_errno(errp, r, "making '%s'", dir);
        return false;
    }
    _cleanup_free_ char *key = path_of(dir, "server-key.pem");
    _cleanup_(pki_ca_freep) struct pki_ca *ca = pki_ca_new(host, 1, errp);
    if (!ca || !pki_key_ensure(key, errp))
        return false;
    _cleanup_free_ char *request = pki_csr(key, host, errp);
    _cleanup_free_ char *certificate = request ? pki_ca_sign(ca, request, host, &no_addresses, errp) : NULL;
    _cleanup_free_ char *authority = pki_ca_certificate(ca);
    return certificate && write_text(dir, "own-ca.pem", authority, errp) &&
           write_text(dir, "ca-cert.pem", authority, errp) && write_text(dir, "server-cert.pem", certificate, errp) &&
           write_text(dir, "client-cert.pem", certificate, errp) && give_key(dir, owner, errp);
}

char *pki_stream_authority(const char *dir, struct error **errp) {
    char *text = read_text(dir, "own-ca.pem");
    if (!text)
        error_internal(errp, "this host has no key for moving VMs yet");
    return text;
}

bool pki_stream_trust(const char *dir, const char *const authorities[], size_t n, struct error **errp) {
    _cleanup_free_ char *own = pki_stream_authority(dir, errp);
    _cleanup_buf_ struct buf all = BUF_INIT;
    if (!own)
        return false;
    buf_add_str(&all, own);
    for (size_t i = 0; i < n && i < PKI_STREAM_PEERS_MAX; i++) {
        _cleanup_strv_ struct strv roots = {0}, crosses = {0};
        pki_bundle_split(authorities[i], &roots, &crosses);
        if (roots.n != 1 || crosses.n != 0) {
            error_internal(errp, "the other host's authority for moving VMs is not one certificate");
            return false;
        }
        buf_add_str(&all, roots.items[0]);
    }
    return write_text(dir, "ca-cert.pem", buf_str(&all), errp);
}
