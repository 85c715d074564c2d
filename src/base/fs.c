/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* The folder of a path, as a descriptor: fsync of it makes a rename or a removal in it last. */
static int folder_open(const char *path) {
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = !slash          ? xstrdup(".")
                                  : slash == path ? xstrdup("/")
                                                  : xstrndup(path, (size_t)(slash - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int folder_sync(const char *path) {
    _cleanup_close_ int fd = folder_open(path);
    if (fd < 0)
        return fd;
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int fs_read(const char *path, size_t max_size, struct buf *ret) {
    /* Non-blocking, because opening a fifo would wait for a writer. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (st.st_size > 0 && (uintmax_t)st.st_size > max_size)
        return -EFBIG;
    _cleanup_buf_ struct buf b = BUF_INIT;
    buf_reserve(&b, (size_t)st.st_size);
    for (;;) { /* to the end, not to st_size: files of /proc have none */
        char chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        if ((size_t)n > max_size - b.size)
            return -EFBIG;
        buf_add(&b, chunk, (size_t)n);
    }
    buf_done(ret);
    *ret = b;
    b = (struct buf)BUF_INIT;
    return 0;
}

int fs_write_atomic(const char *path, const void *data, size_t size, unsigned mode) {
    _cleanup_free_ char *temporary = strf("%s.XXXXXX", path);
    _cleanup_close_ int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, data, size);
    if (r == 0 && fchmod(fd, mode) < 0)
        r = -errno;
    if (r == 0 && fsync(fd) < 0) /* the content, before its name points to it */
        r = -errno;
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(temporary);
        return r;
    }
    return folder_sync(path); /* the name */
}

int fs_mkdirs(const char *path, unsigned mode) {
    _cleanup_free_ char *part = xstrdup(path);
    for (char *p = part + 1; *part && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fs_unlink(const char *path) {
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : -errno;
    return folder_sync(path);
}

bool fs_exists(const char *path) {
    return access(path, F_OK) == 0;
}

int fs_rename(const char *from, const char *to) {
    if (rename(from, to) < 0)
        return -errno;
    int r = folder_sync(to);
    return r < 0 ? r : folder_sync(from);
}
