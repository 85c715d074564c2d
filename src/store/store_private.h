/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Worker threads only. */
#pragma once

#include "store/store.h"
#include "store/store_folder.h"

#define STORE_MARK ".muster-sr"
/* Images that are being imported, with the host's uuid behind it: no disks yet. */
#define STORE_IMPORT_PREFIX "import-"
/* Behind a disk's file: the image that is about to take its place. */
#define STORE_NEXT_SUFFIX ".next"

struct image_info {
    int64_t virtual_size, physical_size;
    int64_t cluster_size;        /* of qcow2, else 0 */
    char parent[UUID_TEXT_SIZE]; /* file that it goes on from, by uuid; "" for none */
};

/* qemu-img, with a deadline; argv without the program, NULL at the end. `copies`: it may take its time. */
bool image_tool(const char *const argv[], bool copies, struct error **errp) _warn_unused_;
/* All tools of this program together end before that, so that it can still tidy up before its own deadline; for the
 * helper program, once. */
void image_limit_tools(uint64_t ms);
/* What an image says of itself; `name` is its file in the folder, `path` the same for QEMU. Refused: a backing file
 * elsewhere than beside it under the name of a uuid. */
bool image_info(const struct folder *f, const char *name, const char *path, const char *format, struct image_info *ret,
                struct error **errp) _warn_unused_;
bool image_create(const char *path, const char *format, int64_t size, const char *base,
                  struct error **errp) _warn_unused_;

/*
 * store_fork.c. A rename, and what became of it: an answer that was lost, and a folder that cannot be flushed, are
 * looked into. UNKNOWN: it may have been done, or may still be; nothing that one of both names leads to is safe to
 * remove.
 */
enum rename_outcome { RENAME_DONE, RENAME_REFUSED, RENAME_UNKNOWN };
enum rename_outcome folder_rename(const struct folder *f, const char *from, const char *to, int *ret_error);
/* A tool flushes at its end, too, but says nothing when that fails. */
bool store_flush(const struct folder *f, const char *name, const char *path, struct error **errp) _warn_unused_;
/* The disk's content becomes `base`; the disk and `child` go on from it. *ret_size: bytes that the base takes. */
bool store_fork(const struct folder *f, const char *place, const struct uuid *vdi, const struct uuid *base,
                const struct uuid *child, int64_t *ret_size, struct error **errp) _warn_unused_;
struct disk_place {
    const struct folder *f;
    const char *path; /* the place that `f` is of */
    const struct uuid *vdi;
    const char *format;
};
/* A whole copy, on stable storage. */
bool store_copy(const struct disk_place *from, const struct disk_place *to, struct image_info *ret,
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
