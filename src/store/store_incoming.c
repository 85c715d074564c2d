/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are made of what comes in, beside the disks, and take a disk's place when all of it is there. */
#include "base/str.h"
#include "model/model.h"
#include "store/store_stream_private.h"

static const char zeroes[ZERO_GRAIN];

bool image_begin(struct image *i, const struct place *p, const struct value *args, unsigned number, const char *format,
                 int64_t size, struct error **errp) {
    char id[UUID_TEXT_SIZE];
    *i = (struct image){.p = p,
                        .format = format,
                        .name = strf(STORE_IMPORT_PREFIX "%s-%s-%s-%u.%s", str_or_empty(value_map_str(args, "host")),
                                     str_or_empty(value_map_str(args, "run")), uuid_text(&p->id, id), number, format)};
    i->path = strf("%s/%s", p->path, i->name);
    if (!image_create(i->path, format, size, /* base= */ NULL, errp))
        return false;
    i->disk = disk_open(i->path, format, /* writes= */ true, errp);
    return i->disk != NULL;
}

static bool is_zero(const char *data, size_t size) {
    return size <= sizeof(zeroes) && memcmp(data, zeroes, size) == 0;
}

bool image_put(struct image *i, int64_t offset, const void *data, size_t size, struct error **errp) {
    if (offset < 0 || offset > disk_size(i->disk) || (int64_t)size > disk_size(i->disk) - offset) {
        error_setf(errp, ERR_IMPORT_ERROR, "the stream has more than the %lld bytes of the disk",
                   (long long)disk_size(i->disk));
        return false;
    }
    const char *at = data;
    while (size > 0) {
        size_t n = 0;
        while (n < size && n < DISK_IO_MAX && !is_zero(at + n, MIN(size - n, (size_t)ZERO_GRAIN)))
            n += MIN(size - n, (size_t)ZERO_GRAIN);
        if (n == 0) { /* zeroes: the image is new, but for what was written before */
            n = MIN(size, (size_t)ZERO_GRAIN);
            if (offset < i->end && !disk_write(i->disk, offset, at, n, errp))
                return false;
        } else if (!disk_write(i->disk, offset, at, n, errp)) {
            return false;
        } else {
            i->end = MAX(i->end, offset + (int64_t)n);
        }
        at += n;
        offset += (int64_t)n;
        size -= n;
    }
    return true;
}

bool image_complete(struct image *i, struct error **errp) {
    return disk_close(TAKE(i->disk), errp);
}

/* The last moment at which the disk may still be another's by now: its lease broken by a person, or given back by a
 * daemon that found nobody who works. */
static bool is_still_held(const struct place *p, const struct uuid *vdi, struct error **errp) {
    for (size_t i = 0; i < p->n_held; i++)
        if (uuid_eq(&p->held[i], vdi))
            return lease_check(&p->f, vdi, &p->me, errp);
    return true;
}

bool image_place(struct image *i, const struct uuid *vdi, struct error **errp) {
    char text[UUID_TEXT_SIZE];
    if (!is_still_held(i->p, vdi, errp))
        return false;
    _cleanup_free_ char *name = strf("%s.%s", uuid_text(vdi, text), i->format);
    int e;
    if (folder_rename(&i->p->f, i->name, name, &e) != RENAME_DONE) {
        store_error(errp, "cannot put in its place", i->path, e);
        return false;
    }
    free(TAKE(i->name));
    return true;
}

void image_done(struct image *i) {
    disk_free(i->disk);
    if (i->name)
        (void)i->p->f.ops->unlink(i->p->f.at, i->name);
    free(i->name);
    free(i->path);
    *i = (struct image){0};
}

/* ---- raw ---- */

/* Shorter than the disk only when the client has said so beforehand; longer never. */
bool raw_import(struct image *i, int64_t size, struct source *s, struct error **errp) {
    _cleanup_free_ char *block = xcalloc(1, DISK_IO_MAX);
    int64_t expected = s->announced >= 0 ? s->announced : size, at = 0;
    for (size_t n = DISK_IO_MAX; n == DISK_IO_MAX; at += (int64_t)n)
        if (!source_read(s, block, DISK_IO_MAX, &n, errp) || !image_put(i, at, block, n, errp))
            return false;
    if (at >= expected)
        return true;
    error_set(errp, ERR_IMPORT_ERROR_PREMATURE_EOF, NULL);
    return false;
}

static int64_t little_endian(const unsigned char *p, unsigned n) {
    uint64_t v = 0;
    for (unsigned i = n; i-- > 0;)
        v = v << 8 | p[i];
    return (int64_t)v;
}

/* XenServer's own framing: position (8 bytes), length (4), data; a length of 0 ends it. */
bool chunked_import(struct image *i, struct source *s, struct error **errp) {
    _cleanup_free_ char *block = xcalloc(1, DISK_IO_MAX);
    for (;;) {
        unsigned char head[12];
        if (!source_need(s, head, sizeof(head), errp))
            return false;
        int64_t at = little_endian(head, 8), left = little_endian(head + 8, 4);
        if (left == 0)
            return true;
        for (size_t n; left > 0; left -= (int64_t)n, at += (int64_t)n) {
            n = (size_t)MIN(left, (int64_t)DISK_IO_MAX);
            if (!source_need(s, block, n, errp) || !image_put(i, at, block, n, errp))
                return false;
        }
    }
}
