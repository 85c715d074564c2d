/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about streams share (store_stream.h). Blocks; only in the helper program. */
#pragma once

#include "store/store_disk.h"
#include "store/store_lease.h"
#include "store/store_private.h"
#include "store/store_stream.h"

#define ZERO_GRAIN 65536 /* bytes: a stretch of zeroes of this size is not written where there are some already */

/* ---- the stream ---- */

struct source {
    int fd;
    int64_t announced; /* bytes that are to come; -1: not known */
    int64_t n_read;
};
/* As much as there is, up to size; *ret_n < size only at the end. */
bool source_read(struct source *s, void *data, size_t size, size_t *ret_n, struct error **errp) _warn_unused_;
/* Exactly size bytes; false with IMPORT_ERROR_PREMATURE_EOF at an earlier end. */
bool source_need(struct source *s, void *data, size_t size, struct error **errp) _warn_unused_;
bool source_skip(struct source *s, int64_t size, struct error **errp) _warn_unused_;
bool sink_write(int fd, const void *data, size_t size, struct error **errp) _warn_unused_;
bool sink_zeroes(int fd, int64_t size, struct error **errp) _warn_unused_;

/* ---- the repository ---- */

struct place {
    const char *path;
    struct folder f;
    struct uuid sr, id;
    struct lease_id me;
    struct uuid held[32]; /* disks whose leases are held */
    size_t n_held;
};
/* Opens what `args` name and checks the mark. */
bool place_open(struct place *p, const struct value *args, struct error **errp) _warn_unused_;
/* Nobody else may write this disk until place_close. */
bool place_hold(struct place *p, const struct uuid *vdi, struct error **errp) _warn_unused_;
void place_close(struct place *p);
#define _cleanup_place_ _cleanup_(place_close)
/* A disk of the repository, to be read. */
struct disk *place_open_disk(const struct place *p, const struct uuid *vdi, const char *format,
                             struct error **errp) _warn_unused_;
/* New images can be made there. */
bool place_makes_disks(const struct place *p, struct error **errp) _warn_unused_;
/* SR_FULL when `size` bytes have no room now. */
bool place_has_room(const struct place *p, int64_t size, struct error **errp) _warn_unused_;

/* ---- store_incoming.c: an image that is being made ---- */

struct image {
    const struct place *p;
    char *name, *path; /* its name until it is complete */
    const char *format;
    struct disk *disk; /* NULL once it is complete */
    int64_t end;       /* of what was written: behind it there are zeroes */
};
/* `number` tells the images of one import apart. */
bool image_begin(struct image *i, const struct place *p, const struct value *args, unsigned number, const char *format,
                 int64_t size, struct error **errp) _warn_unused_;
/* Writes what is not zero; false with IMPORT_ERROR beyond the end. */
bool image_put(struct image *i, int64_t offset, const void *data, size_t size, struct error **errp) _warn_unused_;
/* All of it is there, on stable storage. */
bool image_complete(struct image *i, struct error **errp) _warn_unused_;
/* It becomes the disk of this uuid, in the place of the one that was. */
bool image_place(struct image *i, const struct uuid *vdi, struct error **errp) _warn_unused_;
void image_done(struct image *i); /* removes it, unless it is in its place */

bool args_uuid(const struct value *args, const char *key, struct uuid *ret);
int64_t args_int(const struct value *args, const char *key);

/* ---- what a disk holds: a bit per `unit` bytes, set where there is data; the caller frees ---- */
uint8_t *disk_map(struct disk *d, uint32_t unit, struct error **errp) _warn_unused_;
static inline bool disk_map_has(const uint8_t *map, int64_t i) {
    return map[i / 8] & 1u << (i % 8);
}

/* ---- VMs ---- */
bool vm_export(const struct value *args, int fd, struct error **errp) _warn_unused_;
bool vm_import(const struct value *args, int fd, struct value *ret, struct error **errp) _warn_unused_;

/* ---- formats: each writes a disk, or reads one into an image ---- */
bool raw_export(struct disk *d, int64_t offset, int64_t size, int fd, struct error **errp) _warn_unused_;
bool raw_import(struct image *i, int64_t size, struct source *s, struct error **errp) _warn_unused_;
bool chunked_import(struct image *i, struct source *s, struct error **errp) _warn_unused_;
bool vhd_export(struct disk *d, int fd, struct error **errp) _warn_unused_;
bool vhd_import(struct image *i, int64_t size, struct source *s, struct error **errp) _warn_unused_;
bool qcow2_export(struct disk *d, int fd, struct error **errp) _warn_unused_;
bool qcow2_import(struct image *i, int64_t size, const struct value *args, struct source *s,
                  struct error **errp) _warn_unused_;
