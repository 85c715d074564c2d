/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What snapshots of running VMs need of disks in a folder, beside store.h. Blocks: worker threads only.
 *
 * The hypervisor opens images anew by their names whenever it goes from writing to reading, so no name that it knows
 * may lead to another file while it runs. A live fork therefore leaves <uuid>.qcow2 alone: the file gets a second name,
 * that of the base, and the VM goes over to <uuid>.live-1 (then -2, ...), an image on that base. When nobody has the
 * files open any more, the last of them takes the disk's own name (store_settle). Each has an image on a base with a
 * name of its own behind it, so the last one holds the whole content, whether the VM went over to it or not.
 */
#pragma once

#include "base/error.h"
#include "base/uuid.h"

/* *ret_file: what the VM is to go over to; owned. *ret_size: bytes that the base takes. */
bool store_fork_live(const char *path, const struct uuid *vdi, const struct uuid *base, const struct uuid *child,
                     char **ret_file, int64_t *ret_size, struct error **errp) _warn_unused_;
/* Takes a live fork back: nothing stays of it, unless somebody has the file open: then false. */
bool store_unfork_live(const char *path, const char *file, const struct uuid *base, const struct uuid *child);
/* The disk's own name leads to what the VM wrote last. False when the VM still has it open, with *errp (VDI_IN_USE) or
 * when the folder does not let it be done. Nothing to do is well. */
bool store_settle(const char *path, const struct uuid *vdi, struct error **errp) _warn_unused_;
/* The same for every disk in the folder that has a live image, but for those that is_used says of; one that somebody
 * has open is left without a word. False with the first other error; the others are done all the same. */
typedef bool store_is_used_fn(const struct uuid *vdi, void *userdata);
bool store_settle_all(const char *path, store_is_used_fn *is_used, void *userdata, struct error **errp) _warn_unused_;
/* The memory of a suspended VM once more, whole and on disk; nothing stays when it fails. */
bool store_copy_memory(const char *path, const struct uuid *vdi, const struct uuid *to,
                       struct error **errp) _warn_unused_;
