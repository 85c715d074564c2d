/* SPDX-License-Identifier: Apache-2.0 */
/* Files in memory in place of base/fs.h, for fuzzers of what lies on disk: linked instead of it, so that an input costs
 * no system call. A few files, by their path; folders are not looked at. */
#pragma once

#include "base/fs.h"

/* The content is copied; a file that is there is replaced. */
void fuzz_files_set(const char *path, const void *data, size_t size);
void fuzz_files_clear(void);
