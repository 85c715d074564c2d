/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Worker threads only. */
#pragma once

#include "store/store.h"
#include "store/store_folder.h"

#define STORE_MARK ".muster-sr"
/* Images that are being imported, with the host's uuid behind it: no disks yet. */
#define STORE_IMPORT_PREFIX "import-"

struct image_info {
    int64_t virtual_size, physical_size;
    char parent[UUID_TEXT_SIZE]; /* file that it goes on from, by uuid; "" for none */
};

/* qemu-img, with a deadline; argv without the program, NULL at the end. `copies`: it may take its time. */
bool image_tool(const char *const argv[], bool copies, struct error **errp) _warn_unused_;
/* What an image says of itself; `name` is its file in the folder, `path` the same for QEMU. Refused: a backing file
 * elsewhere than beside it under the name of a uuid. */
bool image_info(const struct folder *f, const char *name, const char *path, const char *format, struct image_info *ret,
                struct error **errp) _warn_unused_;
bool image_create(const char *path, const char *format, int64_t size, const char *base,
                  struct error **errp) _warn_unused_;

/* The repository that is meant lies at `place`. */
bool store_check_mark(const struct folder *f, const char *place, const struct uuid *sr,
                      struct error **errp) _warn_unused_;
/* SR_BACKEND_FAILURE, or SR_FULL for a full disk. */
void store_error(struct error **errp, const char *what, const char *path, int r);

/* One operation, in this program; store_run may give it to the helper. */
bool store_run_here(const char *op, const struct value *args, struct value *ret, struct error **errp) _warn_unused_;
/* In the helper program. */
bool store_run_helper(const char *op, const struct value *args, struct value *ret, struct error **errp) _warn_unused_;
/* store_op_lease.c: the operations on leases. */
struct store_request;
bool store_lease_op(const char *op, const struct folder *f, const struct value *args, struct value *ret,
                    struct error **errp) _warn_unused_;
bool store_open_disks(const struct folder *f, const char *place, const struct value *args, struct value *ret,
                      struct error **errp) _warn_unused_;
/* Who asks, from the arguments host, generation and vm. */
struct lease_id;
bool store_lease_id(const struct value *args, struct lease_id *ret) _warn_unused_;
