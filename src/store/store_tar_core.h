/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of files in a tar stream (POSIX ustar), as XVA archives have them: plain files with short names. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 100
#define TAR_FILE_MAX (INT64_C(1) << 33) /* what the field for the size holds */

struct tar_file {
    char name[TAR_NAME_MAX + 1];
    int64_t size;
};

/* False when name or size do not fit. */
bool tar_put(uint8_t out[static TAR_BLOCK], const struct tar_file *f) _warn_unused_;
enum tar_outcome { TAR_FILE, TAR_END /* a block of zeroes */, TAR_BAD };
/* TAR_BAD with a sentence part in *why. */
enum tar_outcome tar_get(const uint8_t in[static TAR_BLOCK], struct tar_file *ret, const char **why) _warn_unused_;
/* Bytes behind a file of this size, up to the next block. */
static inline int64_t tar_padding(int64_t size) {
    return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}
