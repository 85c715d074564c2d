/* SPDX-License-Identifier: Apache-2.0 */
/* What a host needs so that VMs can move: keys for QEMU, and a daemon that listens. */
#include <errno.h>
#include <pwd.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "pool/pki_stream.h"
#include "vm/vm_agent_move.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define ACCOUNT "libvirt-qemu"
#define SEEN "/etc/libvirt/pki/qemu" /* muster-virtd puts the folder there */
#define ACCOUNT_ID 64055             /* as Debian gives it, and muster-virtd where no package has made it */

struct vm_keys {
    char *dir;
    char *peers[PKI_STREAM_PEERS_MAX]; /* authorities, the last named first */
    bool is_ready;
};

struct making {
    struct vm_agent *a;
    char *dir;
    struct uuid host;
    int64_t now_s;
    struct error *error;
};

static void make_run(void *data) {
    struct making *m = data;
    struct passwd *account = getpwnam(ACCOUNT);
    (void)!pki_stream_ensure(m->dir, &m->host, account ? account->pw_uid : ACCOUNT_ID, m->now_s, &m->error);
}

static void make_done(void *data) {
    struct making *m = data;
    if (m->error)
        log_warn("VMs cannot move to or from this host: %s", error_text(m->error));
    else if (!m->a->is_freed)
        m->a->keys->is_ready = true;
    error_free(m->error);
    free(m->dir);
    free(m);
}

void vm_keys_start(struct vm_agent *a) {
    struct making *m = xnew0(struct making);
    a->keys = xnew0(struct vm_keys);
    a->keys->dir = strf("%s/libvirt/etc/pki/qemu", a->state_dir);
    *m = (struct making){.a = a, .dir = xstrdup(a->keys->dir), .host = a->self, .now_s = loop_wall_ms(a->loop) / 1000};
    worker_submit(a->storage, "keys", make_run, make_done, m);
}

char *vm_keys_authority(struct vm_agent *a, struct error **errp) {
    if (a->keys->is_ready)
        return pki_stream_authority(a->keys->dir, errp);
    error_internal(errp, "this host has no keys for moving VMs yet");
    return NULL;
}

bool vm_keys_trust(struct vm_agent *a, const char *authority, struct error **errp) {
    struct vm_keys *k = a->keys;
    size_t at = 0;
    while (at < PKI_STREAM_PEERS_MAX - 1 && k->peers[at] && !str_eq(k->peers[at], authority))
        at++;
    free(k->peers[at]);
    memmove(&k->peers[1], &k->peers[0], at * sizeof(*k->peers));
    k->peers[0] = xstrdup(authority);
    size_t n = 0;
    while (n < PKI_STREAM_PEERS_MAX && k->peers[n])
        n++;
    return pki_stream_trust(k->dir, (const char *const *)k->peers, n, errp);
}

static const char *const key_files[] = {"server-cert.pem", "server-key.pem", "client-cert.pem", "client-key.pem"};

static bool link_key(const char *dir, const char *folder, const char *name, struct error **errp) {
    _cleanup_free_ char *from = strf("%s/%s", dir, name), *to = strf("%s/%s", folder, name);
    if (symlink(from, to) == 0)
        return true;
    error_errno(errp, -errno, "writing '%s'", to);
    return false;
}

/* `dir`: where the keys are, as it is seen from the folder. */
static bool make_folder(struct vm_agent *a, const char *folder, unsigned mode, const char *dir, const char *authority,
                        struct error **errp) {
    const char *const believed[] = {authority};
    _cleanup_free_ char *own = vm_keys_authority(a, errp), *to = strf("%s/own-ca.pem", folder);
    if (!own)
        return false;
    int r = fs_mkdirs(folder, mode);
    if (r == 0)
        r = fs_write_atomic(to, own, strlen(own), 0644);
    if (r < 0) {
        error_errno(errp, r, "writing '%s'", to);
        return false;
    }
    bool ok = pki_stream_trust(folder, believed, 1, errp); /* it judges the text */
    (void)fs_unlink(to);
    for (size_t i = 0; i < ARRAY_SIZE(key_files) && ok; i++)
        ok = link_key(dir, folder, key_files[i], errp);
    return ok;
}

bool vm_keys_folder(struct vm_agent *a, const char *folder, const char *authority, struct error **errp) {
    return make_folder(a, folder, 0700, a->keys->dir, authority, errp);
}

void vm_keys_remove(const char *folder) {
    if (!folder)
        return;
    _cleanup_free_ char *trusted = strf("%s/ca-cert.pem", folder);
    (void)unlink(trusted);
    for (size_t i = 0; i < ARRAY_SIZE(key_files); i++) {
        _cleanup_free_ char *path = strf("%s/%s", folder, key_files[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

char *vm_keys_inside(struct vm_agent *a, const char *id, const char *authority, char **ret_seen, struct error **errp) {
    _cleanup_free_ char *folder = strf("%s/move-%s", a->keys->dir, id);
    vm_keys_remove(folder); /* left by a daemon that was killed */
    if (!make_folder(a, folder, 0755, "..", authority, errp)) {
        vm_keys_remove(folder);
        return NULL;
    }
    *ret_seen = strf(SEEN "/move-%s", id);
    return TAKE(folder);
}

void vm_keys_listen(struct vm_agent *a) {
    const struct row *host = db_get(a->db, CLASS_host, &a->self);
    /* Rows or not: new certificates count at once, before the host is one of the pool that VMs are started on. */
    virt_listen(a->virt, host ? row_str(host, FIELD_host_address) : NULL, !a->arrivals && !a->leavings && !a->busy);
}

void vm_keys_free(struct vm_agent *a) {
    for (size_t i = 0; i < PKI_STREAM_PEERS_MAX; i++)
        free(a->keys->peers[i]);
    free(a->keys->dir);
    free(a->keys);
}
