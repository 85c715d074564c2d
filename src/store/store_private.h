/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Worker threads only. */
#pragma once

#include "store/store.h"

struct image_info {
    int64_t virtual_size, physical_size;
    char parent[UUID_TEXT_SIZE]; /* file that it goes on from, by uuid; "" for none */
};

/* qemu-img, with a deadline; argv without the program, NULL at the end. */
bool image_tool(const char *const argv[], struct error **errp) _warn_unused_;
/* What an image says of itself. Refused: a backing file elsewhere than beside it under the name of a uuid. */
bool image_info(const char *path, const char *format, struct image_info *ret, struct error **errp) _warn_unused_;
bool image_create(const char *path, const char *format, int64_t size, const char *base,
                  struct error **errp) _warn_unused_;

/* SR_BACKEND_FAILURE, or SR_FULL for a full disk. */
void store_error(struct error **errp, const char *what, const char *path, int r);
