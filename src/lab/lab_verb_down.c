/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_verbs.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_disk.h"
#include "lab/lab_monitor.h"
#include "lab/lab_ns.h"

#define MAX_MEMBERS 4096
#define END_TIMEOUT_MS 20000

/* The inodes of the namespaces in ns/. A file there that is not a namespace (a handle whose mount is gone) is left out,
 * and so is the namespace we are in ourselves, whatever may have been bound there. */
static size_t netns_inodes(const struct lab *lab, uint64_t *ret, size_t max) {
    _cleanup_free_ char *path = lab_path(lab, "ns");
    struct stat self, folder;
    size_t n = 0;
    DIR *d = opendir(path);
    if (!d)
        return 0;
    if (stat("/proc/self/ns/net", &self) == 0 && stat(path, &folder) == 0) {
        struct dirent *e;
        while (n < max && (e = readdir(d))) {
            _cleanup_free_ char *file = strf("%s/%s", path, e->d_name);
            struct stat st;
            if (e->d_name[0] != '.' && stat(file, &st) == 0 && st.st_dev == self.st_dev && st.st_ino != self.st_ino)
                ret[n++] = st.st_ino;
        }
    }
    closedir(d);
    return n;
}

/* Kills round after round until a look finds nobody: what is dying may still be starting something. */
static bool kill_members(const struct lab *lab, struct error **errp) {
    uint64_t inodes[LAB_MAX_NODES * 2];
    size_t n_inodes = netns_inodes(lab, inodes, ARRAY_SIZE(inodes));
    struct proc_id *members = xcalloc(MAX_MEMBERS, sizeof(*members));
    uint64_t end = lab_now_ms() + END_TIMEOUT_MS;
    size_t n;
    while ((n = proc_find_members(lab->dir, inodes, n_inodes, members, MAX_MEMBERS)) > 0 && lab_now_ms() < end) {
        for (size_t i = 0; i < n; i++)
            (void)proc_kill(&members[i], SIGKILL);
        for (size_t i = 0; i < n; i++) {
            _cleanup_close_ int fd = proc_open(&members[i]);
            if (fd >= 0)
                proc_wait_gone(fd, 1000);
        }
    }
    if (n > 0)
        error_setf(errp, LAB_ERROR, "%zu processes of the lab do not end, process %d is one of them.", n,
                   (int)members[0].pid);
    free(members);
    return n == 0;
}

static bool is_netns_handle(const char *path) {
    struct stat self, st;
    return stat("/proc/self/ns/net", &self) == 0 && lstat(path, &st) == 0 && st.st_dev == self.st_dev;
}

static void remove_handles(const struct lab *lab) {
    _cleanup_free_ char *path = lab_path(lab, "ns");
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        _cleanup_free_ char *file = strf("%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            netns_remove(file);
        if (e->d_name[0] != '.' && is_netns_handle(file))
            lab_say("the namespace handle '%s' stays: %s", file, strerror(errno));
    }
    if (d)
        closedir(d);
}

static bool wait_for_disks(const struct lab *lab, struct error **errp) {
    uint64_t end = lab_now_ms() + END_TIMEOUT_MS;
    unsigned n;
    _cleanup_free_ char *folder = lab_path(lab, "disk"); /* a lab may lie in the folder of another */
    while ((n = disk_detach_all(folder)) > 0 && lab_now_ms() < end)
        poll(NULL, 0, 20); /* the kernel lets go of a loop device in its own time and tells nobody */
    if (n > 0)
        error_setf(errp, LAB_ERROR, "%u loop devices still hold disks of the lab; 'losetup' lists them.", n);
    return n == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

static bool remove_files(const struct lab *lab, struct error **errp) {
    static const char *const made[] = {"ns",          "run",      "log", "disk", "mnt", "topology.json",
                                       "faults.json", "lab.json", "lock"};
    for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
        _cleanup_free_ char *path = lab_path(lab, "%s", made[i]);
        int r = fs_exists(path) ? nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) : 0;
        if (r != 0) {
            error_setf(errp, LAB_ERROR, "Cannot remove '%s': %s", path, strerror(r > 0 ? r : errno));
            return false;
        }
    }
    /* The folder itself only when nobody put anything else into it. */
    (void)!rmdir(lab->dir);
    return true;
}

bool lab_remove(const char *dir, struct error **errp) {
    _cleanup_lab_ struct lab *lab = lab_open_to_remove(dir, errp);
    if (!lab || !kill_members(lab, errp))
        return false;
    remove_handles(lab);
    return wait_for_disks(lab, errp) && remove_files(lab, errp);
}

int verb_down(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    (void)argv;
    if (argc > 0)
        return verb_misuse("down", "'down' takes no arguments.");
    if (!lab_exists(c->dir)) {
        lab_say("there is no lab in '%s'", c->dir);
        return 0;
    }
    if (!lab_remove(c->dir, &err))
        return verb_fail(err);
    lab_say("the lab in '%s' is gone", c->dir);
    return 0;
}
