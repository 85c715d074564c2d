/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's content, whatever its image: read and written by position. qemu-nbd has the image, one process per disk, and
 * ends with it; libnbd speaks with it. Blocks; only in the helper program.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct disk;

/* `path` as QEMU has it, or image options (folder_ops.tool_source), with `format` NULL. An image that somebody writes
 * to cannot be opened. */
struct disk *disk_open(const char *path, const char *format, bool writes, struct error **errp) _warn_unused_;
int64_t disk_size(const struct disk *d);
/* Within the size, at most DISK_IO_MAX bytes at a time. */
#define DISK_IO_MAX (2u << 20)
bool disk_read(struct disk *d, int64_t offset, void *data, size_t size, struct error **errp) _warn_unused_;
bool disk_write(struct disk *d, int64_t offset, const void *data, size_t size, struct error **errp) _warn_unused_;
/* How far from `offset` on it is as it is there: zeroes that nobody has written, or data. */
bool disk_extent(struct disk *d, int64_t offset, int64_t *ret_size, bool *ret_has_data,
                 struct error **errp) _warn_unused_;
/* What was written is on stable storage; the disk is closed. */
bool disk_close(struct disk *d, struct error **errp) _warn_unused_;
void disk_free(struct disk *d); /* the same, and nobody asks how; accepts NULL */
DEFINE_CLEANUP(struct disk *, disk_free)
