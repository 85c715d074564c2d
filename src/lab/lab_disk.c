/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_proc.h"

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2u
#define RELEASE_TIMEOUT_MS 15000

bool disk_create(const char *image, unsigned size_mib, struct error **errp) {
    _cleanup_close_ int fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size_mib * 1024 * 1024) < 0) {
        error_setf(errp, LAB_ERROR, "Cannot make the disk '%s': %s", image, strerror(errno));
        return false;
    }
    return LAB_RUN(NULL, errp, "mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", image);
}

/* A free loop device with the image in it; another program may take the number we were offered, then we ask again. */
static int loop_attach(int image_fd, const char *image, char device[static 32]) {
    _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -errno;
    for (int attempt = 0; attempt < 64; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return -errno;
        snprintf(device, 32, "/dev/loop%d", number);
        if (!fs_exists(device) && mknod(device, S_IFBLK | 0600, (dev_t)((7 << 8) | number)) < 0 && errno != EEXIST)
            return -errno;
        int fd = open(device, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        struct loop_config c = {.fd = (uint32_t)image_fd, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
        str_copy((char *)c.info.lo_file_name, sizeof(c.info.lo_file_name), image);
        if (ioctl(fd, LOOP_CONFIGURE, &c) == 0)
            return fd;
        int r = -errno;
        close(fd);
        if (r != -EBUSY)
            return r;
    }
    return -EBUSY;
}

static int mount_detached(const char *device) {
    _cleanup_close_ int fs = fsopen("ext4", FSOPEN_CLOEXEC);
    if (fs < 0)
        return -errno;
    if (fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_FLAG, "noauto_da_alloc", NULL, 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "commit", "30", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static unsigned loops_of(const char *path, bool detach);

bool disk_attach(struct disk *d, const char *image, struct error **errp) {
    /* A power control that was killed left the image to the kernel, which lets go of it in its own time. Two devices on
     * one image would be two file systems that do not know of each other. */
    uint64_t end = lab_now_ms() + RELEASE_TIMEOUT_MS;
    while (loops_of(image, /* detach= */ false) > 0) {
        if (lab_now_ms() >= end) {
            error_setf(errp, LAB_ERROR, "The disk '%s' is still in use by somebody else; 'losetup' shows it.", image);
            return false;
        }
        poll(NULL, 0, 5);
    }
    _cleanup_close_ int image_fd = open(image, O_RDWR | O_CLOEXEC);
    int r = image_fd < 0 ? -errno : loop_attach(image_fd, image, d->device);
    if (r < 0) {
        error_setf(errp, LAB_ERROR, "Cannot put the disk '%s' on a loop device: %s", image, strerror(-r));
        return false;
    }
    d->loop_fd = r;
    d->mount_fd = mount_detached(d->device);
    if (d->mount_fd >= 0)
        return true;
    error_setf(errp, LAB_ERROR, "Cannot mount the disk '%s' (%s): %s", image, d->device, strerror(-d->mount_fd));
    d->mount_fd = -1;
    close(d->loop_fd);
    d->loop_fd = -1;
    return false;
}

int disk_cut(const struct disk *d) {
    _cleanup_close_ int root = openat(d->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t how = EXT4_GOING_FLAGS_NOLOGFLUSH;
    if (root < 0 || ioctl(root, EXT4_IOC_SHUTDOWN, &how) < 0)
        return -errno;
    return 0;
}

bool disk_detach(struct disk *d, struct error **errp) {
    if (d->loop_fd < 0)
        return true;
    if (d->mount_fd >= 0)
        close(d->mount_fd);
    d->mount_fd = -1;
    /* The file system goes when the last mount namespace that had it is torn down, which the kernel does in its own
     * time. Opening the device exclusively works exactly when it is gone; there is no event to wait for. */
    uint64_t end = lab_now_ms() + RELEASE_TIMEOUT_MS;
    bool released = false;
    while (!released && lab_now_ms() < end) {
        int fd = open(d->device, O_RDWR | O_EXCL | O_CLOEXEC);
        released = fd >= 0;
        if (fd >= 0)
            close(fd);
        else
            poll(NULL, 0, 5);
    }
    close(d->loop_fd);
    d->loop_fd = -1;
    if (!released)
        error_setf(errp, LAB_ERROR, "The disk on %s is still in use after %d s.", d->device, RELEASE_TIMEOUT_MS / 1000);
    return released;
}

/* How many loop devices have this file, or one in this folder, as their image; with `detach`, tells them to let go. */
static unsigned loops_of(const char *path, bool detach) {
    unsigned found = 0;
    DIR *d = opendir("/sys/block");
    if (!d)
        return 0;
    struct dirent *e;
    size_t len = strlen(path);
    while ((e = readdir(d))) {
        if (!str_starts(e->d_name, "loop"))
            continue;
        _cleanup_free_ char *info = strf("/sys/block/%s/loop/backing_file", e->d_name);
        _cleanup_buf_ struct buf file = BUF_INIT;
        if (fs_read(info, 8192, &file) < 0 || !str_starts(buf_str(&file), path) || !strchr("/\n", buf_str(&file)[len]))
            continue;
        found++;
        _cleanup_free_ char *device = strf("/dev/%s", e->d_name);
        _cleanup_close_ int fd = detach ? open(device, O_RDWR | O_CLOEXEC) : -1;
        if (fd >= 0)
            (void)!ioctl(fd, LOOP_CLR_FD);
    }
    closedir(d);
    return found;
}

unsigned disk_detach_all(const char *dir) {
    return loops_of(dir, /* detach= */ true);
}
