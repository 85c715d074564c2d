/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_nfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs.h>

#include "base/uuid.h"
#include "model/model.h"
#include "store/store_place_core.h"
#include "store/store_private.h"

#define CALL_TIMEOUT_MS 8000
#define EXPORTS_MAX 1000

struct nfs_at {
    struct nfs_context *nfs;
    char *folder; /* of the repository, below the export: "/<uuid>" */
};

static char *full(const struct nfs_at *a, const char *name) {
    return *name ? strf("%s/%s", a->folder, name) : xstrdup(*a->folder ? a->folder : "/");
}

static int nfs_read_file(void *at, const char *name, size_t max_size, struct buf *ret) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    struct nfsfh *fh = NULL;
    int r = nfs_open(a->nfs, path, O_RDONLY, &fh);
    char block[4096];
    uint64_t done = 0;
    if (r < 0)
        return r;
    while ((r = nfs_pread(a->nfs, fh, done, sizeof(block), block)) > 0) {
        done += (uint64_t)r;
        if (done > max_size) {
            r = -EFBIG;
            break;
        }
        buf_add(ret, block, (size_t)r);
    }
    (void)nfs_close(a->nfs, fh);
    return r < 0 ? r : 0;
}

static int nfs_peek(void *at, const char *name, int64_t offset, size_t size, char *ret) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    struct nfsfh *fh = NULL;
    int r = nfs_open(a->nfs, path, O_RDONLY, &fh);
    if (r < 0)
        return r;
    r = nfs_pread(a->nfs, fh, (uint64_t)offset, size, ret);
    (void)nfs_close(a->nfs, fh);
    return r;
}

static int put(struct nfs_at *a, const char *path, const void *data, size_t size) {
    struct nfsfh *fh = NULL;
    int r = nfs_creat(a->nfs, path, 0600, &fh);
    if (r < 0)
        return r;
    if (size > 0) {
        r = nfs_pwrite(a->nfs, fh, 0, size, data);
        r = r < 0 ? r : (size_t)r == size ? nfs_fsync(a->nfs, fh) : -EIO;
    }
    int end = nfs_close(a->nfs, fh);
    return r < 0 ? r : end < 0 ? end : 0;
}

static int nfs_write_file(void *at, const char *name, const void *data, size_t size) {
    struct nfs_at *a = at;
    struct uuid u = uuid_random(); /* two hosts may be at it */
    char text[UUID_TEXT_SIZE];
    _cleanup_free_ char *path = full(a, name), *next = strf("%s.%s", path, uuid_text(&u, text));
    int r = put(a, next, data, size);
    if (r == 0)
        r = nfs_rename(a->nfs, next, path);
    if (r < 0)
        (void)nfs_unlink(a->nfs, next);
    return r;
}

/* QEMU's driver writes UNSTABLE (RFC 1813 3.3.7): it is on the medium when a COMMIT of the file, by anybody, was
 * answered.
 */
static int nfs_flush(void *at, const char *name) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    struct nfsfh *fh = NULL;
    int r = nfs_open(a->nfs, path, O_RDWR, &fh);
    if (r < 0)
        return r;
    r = nfs_fsync(a->nfs, fh);
    int end = nfs_close(a->nfs, fh);
    return r < 0 ? r : end < 0 ? end : 0;
}

/* Others may write it, but nobody beyond `size`: so this cuts nothing off. */
static int nfs_lengthen(void *at, const char *name, int64_t size) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    struct nfs_stat_64 st;
    int r = nfs_lstat64(a->nfs, path, &st);
    return r < 0 ? r : (int64_t)st.nfs_size >= size ? 0 : nfs_truncate(a->nfs, path, (uint64_t)size);
}

static int list(struct nfs_context *nfs, const char *path, size_t max, struct strv *ret) {
    struct nfsdir *d = NULL;
    int r = nfs_opendir(nfs, path, &d);
    size_t n = 0;
    if (r < 0)
        return r;
    for (struct nfsdirent *e; n < max && (e = nfs_readdir(nfs, d));) {
        if (str_eq(e->name, ".") || str_eq(e->name, "..") || strchr(e->name, '/'))
            continue;
        strv_add(ret, e->name);
        n++;
    }
    nfs_closedir(nfs, d);
    return 0;
}

static int nfs_list(void *at, const char *name, size_t max, struct strv *ret) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    return list(a->nfs, path, max, ret);
}

static int nfs_stat_file(void *at, const char *name, struct folder_stat *ret) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    struct nfs_stat_64 st;
    int r = nfs_lstat64(a->nfs, path, &st);
    if (r < 0)
        return r;
    *ret = (struct folder_stat){.is_file = S_ISREG(st.nfs_mode),
                                .is_folder = S_ISDIR(st.nfs_mode),
                                .size = (int64_t)st.nfs_size,
                                .physical_size = (int64_t)st.nfs_used};
    return 0;
}

static int nfs_unlink_file(void *at, const char *name) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    return nfs_unlink(a->nfs, path);
}

static int nfs_rename_file(void *at, const char *from, const char *to) {
    struct nfs_at *a = at;
    _cleanup_free_ char *f = full(a, from), *t = full(a, to);
    return nfs_rename(a->nfs, f, t);
}

static int nfs_link_file(void *at, const char *from, const char *to) {
    struct nfs_at *a = at;
    _cleanup_free_ char *f = full(a, from), *t = full(a, to);
    return nfs_link(a->nfs, f, t);
}

static int nfs_make_folder(void *at, const char *name) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    return nfs_mkdir2(a->nfs, path, *name ? 0700 : 0711);
}

static int nfs_remove_folder(void *at, const char *name) {
    struct nfs_at *a = at;
    _cleanup_free_ char *path = full(a, name);
    return nfs_rmdir(a->nfs, path);
}

static int nfs_space(void *at, int64_t *ret_size, int64_t *ret_used) {
    struct nfs_at *a = at;
    struct nfs_statvfs_64 s;
    int r = nfs_statvfs64(a->nfs, *a->folder ? a->folder : "/", &s);
    if (r < 0)
        return r;
    int64_t unit = s.f_frsize ? (int64_t)s.f_frsize : (int64_t)s.f_bsize;
    *ret_size = (int64_t)s.f_blocks * unit;
    *ret_used = (int64_t)(s.f_blocks - s.f_bavail) * unit;
    return 0;
}

static void nfs_close_folder(void *at) {
    struct nfs_at *a = at;
    nfs_destroy_context(a->nfs);
    free(a->folder);
    free(a);
}

static const struct folder_ops nfs_ops = {.read = nfs_read_file,
                                          .peek = nfs_peek,
                                          .write = nfs_write_file,
                                          .flush = nfs_flush,
                                          .lengthen = nfs_lengthen,
                                          .list = nfs_list,
                                          .stat = nfs_stat_file,
                                          .unlink = nfs_unlink_file,
                                          .rename = nfs_rename_file,
                                          .link = nfs_link_file,
                                          .mkdir = nfs_make_folder,
                                          .rmdir = nfs_remove_folder,
                                          .space = nfs_space,
                                          .close = nfs_close_folder};

static struct nfs_context *mount_export(const char *server, const char *path, struct error **errp) {
    struct nfs_context *nfs = nfs_init_context();
    _cleanup_free_ char *what = strf("%s:%s", server, path);
    if (!nfs) {
        store_error(errp, "cannot speak NFS with", what, -ENOMEM);
        return NULL;
    }
    nfs_set_timeout(nfs, CALL_TIMEOUT_MS);
    nfs_set_autoreconnect(nfs, 0);
    nfs_set_dircache(nfs, 0); /* what others have done is to be seen */
    nfs_set_uid(nfs, 0);
    nfs_set_gid(nfs, 0);
    int r = nfs_mount(nfs, server, path);
    if (r == 0)
        return nfs;
    const char *said = nfs_get_error(nfs);
    error_set(errp, ERR_SR_BACKEND_FAILURE, "the NFS server does not give the export", what, str_or_empty(said), NULL);
    nfs_destroy_context(nfs);
    return NULL;
}

bool nfs_folder_open(const char *place, struct folder *ret, struct error **errp) {
    struct nfs_place p;
    if (!nfs_place_parse(place, &p)) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the place is not a folder of an NFS server", place, "", NULL);
        return false;
    }
    struct nfs_context *nfs = mount_export(p.server, p.export, errp);
    if (nfs) {
        struct nfs_at *a = xnew0(struct nfs_at);
        *a = (struct nfs_at){.nfs = nfs, .folder = *p.folder ? strf("/%s", p.folder) : xstrdup("")};
        *ret = (struct folder){.ops = &nfs_ops, .at = a, .is_shared = true};
    }
    nfs_place_done(&p);
    return nfs != NULL;
}

bool nfs_exports(const char *server, struct strv *ret, struct error **errp) {
    struct exportnode *all = mount_getexports(server);
    size_t n = 0;
    for (struct exportnode *e = all; e && n < EXPORTS_MAX; e = e->ex_next, n++)
        strv_add(ret, e->ex_dir);
    if (all)
        mount_free_export_list(all);
    else
        error_set(errp, ERR_SR_BACKEND_FAILURE, "the NFS server does not say what it exports", server, "", NULL);
    return all != NULL;
}

bool nfs_repositories(const char *server, const char *path, struct strv *ret, struct error **errp) {
    struct nfs_context *nfs = mount_export(server, path, errp);
    _cleanup_strv_ struct strv names = {0};
    if (!nfs)
        return false;
    int r = list(nfs, "/", EXPORTS_MAX, &names);
    for (size_t i = 0; i < names.n; i++) {
        struct uuid u;
        struct nfs_stat_64 st;
        _cleanup_free_ char *mark = strf("/%s/" STORE_MARK, names.items[i]);
        if (uuid_parse(names.items[i], &u) && nfs_lstat64(nfs, mark, &st) == 0)
            strv_add(ret, names.items[i]);
    }
    nfs_destroy_context(nfs);
    if (r < 0)
        store_error(errp, "cannot read", path, r);
    return r == 0;
}
