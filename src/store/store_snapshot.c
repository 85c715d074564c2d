/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/strmap.h"
#include "model/model.h"
#include "store/store_private.h"

#define LIVE_MAX 1000
#define COMM_MAX 64

static char *live_file(const char *path, const struct uuid *vdi, unsigned n) {
    char text[UUID_TEXT_SIZE];
    return n == 0 ? store_file(path, vdi, "qcow2") : strf("%s/%s.live-%u", path, uuid_text(vdi, text), n);
}

/* The next name in a folder, NULL at its end, or with *ret_r negative when it cannot be read. */
static const struct dirent *next_entry(DIR *d, int *ret_r) {
    errno = 0;
    const struct dirent *e = readdir(d);
    *ret_r = e ? 0 : -errno;
    return e;
}

/* The number of the disk's last live image; 0 without, negative errno when that cannot be seen. */
static int last_live(const char *path, const struct uuid *vdi) {
    char text[UUID_TEXT_SIZE];
    _cleanup_free_ char *prefix = strf("%s.live-", uuid_text(vdi, text));
    int last = 0, r;
    int64_t n;
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    for (const struct dirent *e; (e = next_entry(d, &r));)
        if (str_starts(e->d_name, prefix) && str_parse_int(e->d_name + strlen(prefix), 1, LIVE_MAX, &n))
            last = MAX(last, (int)n);
    closedir(d);
    return r < 0 ? r : last;
}

bool store_fork_live(const char *path, const struct uuid *vdi, const struct uuid *base, const struct uuid *child,
                     char **ret_file, int64_t *ret_size, struct error **errp) {
    int n = last_live(path, vdi);
    struct image_info info;
    char text[UUID_TEXT_SIZE];
    if (n < 0) {
        store_error(errp, "cannot look for images of the disk in", path, n);
        return false;
    }
    _cleanup_free_ char *now = live_file(path, vdi, (unsigned)n), *next = live_file(path, vdi, (unsigned)n + 1),
                        *base_file = store_file(path, base, "qcow2"), *child_file = store_file(path, child, "qcow2"),
                        *base_name = strf("%s.qcow2", uuid_text(base, text));
    if (n == LIVE_MAX) {
        error_set(errp, ERR_SR_BACKEND_FAILURE, "too many snapshots since the VM started", now, "", NULL);
        return false;
    }
    _cleanup_folder_ struct folder f = {0};
    const char *name = strrchr(now, '/') + 1;
    if (!folder_open(path, &f, errp) || !image_info(&f, name, now, "qcow2", &info, errp))
        return false;
    if (fs_exists(next)) { /* whatever it is: it is not made here, so it is not removed here either */
        store_error(errp, "cannot make", next, -EEXIST);
        return false;
    }
    if (link(now, base_file) < 0) {
        store_error(errp, "cannot name", base_file, -errno);
        return false;
    }
    if (image_create(child_file, "qcow2", info.virtual_size, base_name, errp) &&
        image_create(next, "qcow2", info.virtual_size, base_name, errp)) {
        *ret_file = TAKE(next);
        *ret_size = info.physical_size;
        return true;
    }
    (void)fs_unlink(next);
    (void)fs_unlink(child_file);
    (void)fs_unlink(base_file);
    return false;
}

/* ---- who has a file open ---- */

/* What has ended meanwhile has nothing open. */
static bool is_gone(int r) {
    return r == -ENOENT || r == -ESRCH;
}

/* Of a process whose files are hidden: images are opened by QEMU's programs, and it says itself whether it is one. */
static bool is_qemu(const char *pid) {
    _cleanup_free_ char *path = strf("/proc/%s/comm", pid);
    _cleanup_buf_ struct buf name = BUF_INIT;
    int r = fs_read(path, COMM_MAX, &name);
    return r < 0 ? !is_gone(r) : strstr(buf_str(&name), "qemu") != NULL;
}

/* Unknown counts as yes, here and below. */
static bool has_open(const char *pid, const struct stat *wanted) {
    _cleanup_free_ char *folder = strf("/proc/%s/fd", pid);
    DIR *d = opendir(folder);
    struct stat st;
    bool found = false, is_hidden = false;
    int r = 0;
    if (!d)
        return !is_gone(-errno) && is_qemu(pid);
    for (const struct dirent *e; !found && (e = next_entry(d, &r));) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0)
            found = st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
        else /* other errors are those of another file: this one was looked at just now */
            is_hidden |= errno == EACCES || errno == EPERM;
    }
    closedir(d);
    is_hidden |= r < 0 && !is_gone(r);
    return found || (is_hidden && is_qemu(pid));
}

static bool is_open(const char *file) {
    struct stat wanted;
    if (stat(file, &wanted) < 0)
        return errno != ENOENT;
    DIR *d = opendir("/proc");
    bool found = !d;
    int r = 0;
    for (const struct dirent *e; d && !found && (e = next_entry(d, &r));)
        found = e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_open(e->d_name, &wanted);
    if (d)
        closedir(d);
    return found || r < 0;
}

bool store_unfork_live(const char *path, const char *file, const struct uuid *base, const struct uuid *child) {
    _cleanup_free_ char *base_file = store_file(path, base, "qcow2"), *child_file = store_file(path, child, "qcow2");
    if (is_open(file))
        return false;
    (void)fs_unlink(file);
    (void)fs_unlink(child_file);
    (void)fs_unlink(base_file);
    return true;
}

bool store_settle(const char *path, const struct uuid *vdi, struct error **errp) {
    int last_n = last_live(path, vdi);
    unsigned n = (unsigned)MAX(last_n, 0);
    char ref[REF_TEXT_SIZE];
    if (last_n < 0)
        store_error(errp, "cannot look for images of the disk in", path, last_n);
    if (n == 0)
        return last_n == 0;
    for (unsigned i = 0; i <= n; i++) {
        _cleanup_free_ char *file = live_file(path, vdi, i);
        if (is_open(file)) {
            error_set(errp, ERR_VDI_IN_USE, ref_text(vdi, ref), "settle", NULL);
            return false;
        }
    }
    /* The last one is found by its number until it has its place; the others are second names of bases. */
    _cleanup_free_ char *last = live_file(path, vdi, n), *own = live_file(path, vdi, 0);
    int r = 0;
    for (unsigned i = 1; i < n && r == 0; i++) {
        _cleanup_free_ char *file = live_file(path, vdi, i);
        r = fs_unlink(file);
    }
    if (r == 0)
        r = fs_rename(last, own);
    if (r < 0) {
        store_error(errp, "cannot put in its place", own, r);
        return false;
    }
    return true;
}

/* "<uuid>.live-1" and so on. */
static bool is_live_name(const char *name, struct uuid *ret_vdi) {
    const char *dot = strchr(name, '.');
    int64_t n;
    if (!dot || !str_starts(dot, ".live-") || !str_parse_int(dot + strlen(".live-"), 1, LIVE_MAX, &n))
        return false;
    _cleanup_free_ char *text = xstrndup(name, (size_t)(dot - name));
    return uuid_parse(text, ret_vdi);
}

bool store_settle_all(const char *path, store_is_used_fn *is_used, void *userdata, struct error **errp) {
    struct uuidmap *disks = uuidmap_new();
    DIR *d = opendir(path);
    struct uuid vdi;
    int r = d ? 0 : -errno;
    for (const struct dirent *e; d && (e = next_entry(d, &r));)
        if (is_live_name(e->d_name, &vdi) && !is_used(&vdi, userdata))
            (void)uuidmap_put(disks, &vdi, disks);
    if (d)
        closedir(d);
    if (r < 0) {
        store_error(errp, "cannot look for images in", path, r);
        uuidmap_free(disks);
        return false;
    }
    struct error *first = NULL;
    void *value;
    for (size_t pos = 0; uuidmap_next(disks, &pos, &vdi, &value);) {
        struct error *e = NULL;
        if (store_settle(path, &vdi, &e))
            continue;
        if (!first && !error_is(e, ERR_VDI_IN_USE))
            first = TAKE(e);
        error_free(e);
    }
    uuidmap_free(disks);
    if (!first)
        return true;
    error_propagate(errp, first);
    return false;
}

static int copy_all(int from, int to) {
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 26, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : fsync(to) < 0 ? -errno : 0;
    }
}

bool store_copy_memory(const char *path, const struct uuid *vdi, const struct uuid *to, struct error **errp) {
    _cleanup_free_ char *from_file = store_file(path, vdi, "save"), *to_file = store_file(path, to, "save");
    _cleanup_close_ int in = open(from_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_close_ int out = in < 0 ? -1 : open(to_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) {
        store_error(errp, "cannot open", in < 0 ? from_file : to_file, -errno);
        return false;
    }
    int r = copy_all(in, out);
    if (r == 0)
        return true;
    (void)fs_unlink(to_file);
    store_error(errp, "cannot copy", to_file, r);
    return false;
}
