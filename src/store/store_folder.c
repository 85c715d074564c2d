/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fs.h"
#include "model/model.h"
#include "store/store_place_core.h"

static char *full(void *at, const char *name) {
    return *name ? strf("%s/%s", (const char *)at, name) : xstrdup(at);
}

static int local_read(void *at, const char *name, size_t max_size, struct buf *ret) {
    _cleanup_free_ char *path = full(at, name);
    return fs_read(path, max_size, ret);
}

static int local_peek(void *at, const char *name, int64_t offset, size_t size, char *ret) {
    _cleanup_free_ char *path = full(at, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : pread(fd, ret, size, offset);
    return n < 0 ? -errno : (int)n;
}

static int local_write(void *at, const char *name, const void *data, size_t size) {
    _cleanup_free_ char *path = full(at, name);
    return fs_write_atomic(path, data, size, 0600);
}

static int local_flush(void *at, const char *name) {
    _cleanup_free_ char *path = full(at, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    _cleanup_close_ int folder = open(at, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    return fd < 0 || folder < 0 || fsync(fd) < 0 || fsync(folder) < 0 ? -errno : 0;
}

static int local_list(void *at, const char *name, size_t max, struct strv *ret) {
    _cleanup_free_ char *path = full(at, name);
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    size_t n = 0;
    for (struct dirent *e; n < max && (e = readdir(d));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        strv_add(ret, e->d_name);
        n++;
    }
    closedir(d);
    return 0;
}

static int local_stat(void *at, const char *name, struct folder_stat *ret) {
    _cleanup_free_ char *path = full(at, name);
    struct stat st;
    if (lstat(path, &st) < 0)
        return -errno;
    *ret = (struct folder_stat){.is_file = S_ISREG(st.st_mode),
                                .is_folder = S_ISDIR(st.st_mode),
                                .size = st.st_size,
                                .physical_size = (int64_t)st.st_blocks * 512};
    return 0;
}

static int local_unlink(void *at, const char *name) {
    _cleanup_free_ char *path = full(at, name);
    return fs_exists(path) ? fs_unlink(path) : -ENOENT;
}

static int local_rename(void *at, const char *from, const char *to) {
    _cleanup_free_ char *a = full(at, from), *b = full(at, to);
    return fs_rename(a, b);
}

static int local_link(void *at, const char *from, const char *to) {
    _cleanup_free_ char *a = full(at, from), *b = full(at, to);
    return link(a, b) < 0 ? -errno : 0;
}

static int local_mkdir(void *at, const char *name) {
    _cleanup_free_ char *path = full(at, name);
    /* QEMU, which is not root, goes through the folder to the files that it was given. */
    if (!*name)
        return fs_mkdirs(path, 0711);
    return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int local_rmdir(void *at, const char *name) {
    _cleanup_free_ char *path = full(at, name);
    return rmdir(path) < 0 ? -errno : 0;
}

static int local_space(void *at, int64_t *ret_size, int64_t *ret_used) {
    struct statvfs s;
    if (statvfs(at, &s) < 0)
        return -errno;
    *ret_size = (int64_t)s.f_blocks * (int64_t)s.f_frsize;
    *ret_used = (int64_t)(s.f_blocks - s.f_bavail) * (int64_t)s.f_frsize;
    return 0;
}

static void local_close(void *at) {
    free(at);
}

static const struct folder_ops local_ops = {.read = local_read,
                                            .peek = local_peek,
                                            .write = local_write,
                                            .flush = local_flush,
                                            .list = local_list,
                                            .stat = local_stat,
                                            .unlink = local_unlink,
                                            .rename = local_rename,
                                            .link = local_link,
                                            .mkdir = local_mkdir,
                                            .rmdir = local_rmdir,
                                            .space = local_space,
                                            .close = local_close};

static folder_far_open_fn *nfs_open, *iscsi_open;

void folder_set_far(folder_far_open_fn *open_nfs, folder_far_open_fn *open_iscsi) {
    nfs_open = open_nfs;
    iscsi_open = open_iscsi;
}

bool folder_can_far(void) {
    return nfs_open != NULL;
}

bool folder_open(const char *place, struct folder *ret, struct error **errp) {
    if (!store_place_is_shared(place)) {
        *ret = (struct folder){.ops = &local_ops, .at = xstrdup(place)};
        return true;
    }
    folder_far_open_fn *open_far = store_place_is_iscsi(place) ? iscsi_open : nfs_open;
    if (open_far)
        return open_far(place, ret, errp);
    error_set(errp, ERR_SR_BACKEND_FAILURE, "this program does not speak with storage of the network", place, "", NULL);
    return false;
}

void folder_close(struct folder *f) {
    if (f->ops)
        f->ops->close(f->at);
    *f = (struct folder){0};
}

bool folder_has(const struct folder *f, const char *name) {
    struct folder_stat st;
    return f->ops->stat(f->at, name, &st) == 0;
}
