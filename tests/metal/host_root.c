/* SPDX-License-Identifier: Apache-2.0 */
#include "host_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEVICE_TRIES 250 /* of 20 ms */

static void attach(const char *what, const char *where, const char *type, unsigned long flags, const char *options) {
    if (mount(what, where, type, flags, options) < 0)
        say("cannot mount %s on %s: %s", what, where, strerror(errno));
}

/* In the order of the list, which prepare-kernel wrote. */
static void load_modules(void) {
    char name[64], path[128];
    FILE *order = fopen("/modules/order", "re");
    while (order && fscanf(order, "%63s", name) == 1) {
        snprintf(path, sizeof path, "/modules/%s.ko", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
            say("module %s: %s", name, strerror(errno));
        close(fd);
        unlink(path); /* it is memory */
    }
    if (order)
        fclose(order);
}

void root_enter(void) {
    static const char *const folders[] = {"/dev", "/proc", "/sys", "/lower", "/disk", "/new"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        mkdir(folders[i], 0755);
    attach("dev", "/dev", "devtmpfs", 0, NULL);
    load_modules();
    for (int i = 0; access("/dev/vda", F_OK) < 0 && i < DEVICE_TRIES; i++)
        pause_ms(20);
    attach("machine", "/lower", "virtiofs", MS_RDONLY, NULL);
    /* As a lab host's disk: a write that nobody asked to be on the disk is not there soon. */
    attach("/dev/vda", "/disk", "ext4", 0, "noauto_da_alloc,commit=30");
    attach("root", "/new", "overlay", 0, "lowerdir=/lower,upperdir=/disk/upper,workdir=/disk/work");
    attach("/dev", "/new/dev", NULL, MS_MOVE, NULL);
    if (chdir("/new") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        say("cannot change the root: %s", strerror(errno));
    attach("proc", "/proc", "proc", 0, NULL);
    attach("sys", "/sys", "sysfs", 0, NULL);
    attach("run", "/run", "tmpfs", 0, "mode=755");
    attach("tmp", "/tmp", "tmpfs", 0, "mode=1777");
    static const char *const inside[] = {"/dev/pts", "/dev/shm", "/run/lock", "/run/openvswitch", METAL_DIR};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        mkdir(inside[i], 0755);
    attach("pts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666");
    attach("shm", "/dev/shm", "tmpfs", 0, NULL);
}
