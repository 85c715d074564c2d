/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk of a lab host: an ext4 file system in an image file on a loop device. The loop device lets go of the image
 * by itself when its last user is gone, so nothing stays behind whatever is killed. While a host runs, its power
 * control holds the file system through a mount that is attached nowhere; that is the handle for pulling the plug.
 */
#pragma once

#include "lab/lab.h"

struct disk {
    int loop_fd;
    int mount_fd;
    char device[32]; /* /dev/loopN */
};
#define DISK_INIT                                                                                                      \
    { .loop_fd = -1, .mount_fd = -1 }

/* Options of the mount. Writing back late makes a missing fsync show at a power cut, as it would on a busy host:
 * without noauto_da_alloc ext4 hides the commonest one (rename over a file that was not synced). */
#define DISK_MOUNT_OPTIONS "noauto_da_alloc,commit=30"

bool disk_create(const char *image, unsigned size_mib, struct error **errp);
bool disk_attach(struct disk *d, const char *image, struct error **errp);
int disk_cut(const struct disk *d); /* the file system stops as at a power cut; 0 or negative errno */
/* Gives the disk back and waits until nobody uses it any more. */
bool disk_detach(struct disk *d, struct error **errp);
/* Detaches every loop device whose image lies under `folder`; returns how many it found. */
unsigned disk_detach_all(const char *folder);
