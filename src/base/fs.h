/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole reads with a limit, atomic durable writes. Blocking; loop threads may use them for small local files
 * only. */
#pragma once

#include "base/buf.h"

/* Reads a whole regular file of at most max_size bytes. 0, or negative errno (-EFBIG when larger). */
int fs_read(const char *path, size_t max_size, struct buf *ret) _warn_unused_;
/*
 * Replaces `path` atomically and durably: temporary file in the same folder, write, fsync, rename, fsync of the folder.
 * After a power cut the file holds either the old or the new content, whole. 0 or negative errno; on error the old file
 * is untouched and the temporary file is gone.
 */
int fs_write_atomic(const char *path, const void *data, size_t size, unsigned mode) _warn_unused_;
int fs_mkdirs(const char *path, unsigned mode) _warn_unused_; /* like mkdir -p */
int fs_unlink(const char *path);                              /* 0 also when absent; fsyncs the folder */
bool fs_exists(const char *path);
int fs_rename(const char *from, const char *to) _warn_unused_; /* with fsync of the folder */
