/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as VHD streams. Written: a dynamic image, blocks in the order of the disk. Read: dynamic ones whose table
 * stands in front of their blocks, as whoever streams them writes them, and fixed ones. */
#include <time.h>

#include "base/str.h"
#include "model/model.h"
#include "store/store_stream_private.h"
#include "store/store_vhd_core.h"

#define SECONDS_TO_2000 946684800
#define HEADER_AT_MAX (1u << 20) /* what may stand in front of header and table */
#define GAP_MAX (64u << 20)      /* between blocks */

uint8_t *disk_map(struct disk *d, uint32_t unit, struct error **errp) {
    int64_t size = disk_size(d), n_units = (size + unit - 1) / unit;
    uint8_t *map = xcalloc((size_t)(n_units / 8 + 1), 1);
    for (int64_t at = 0, n; at < size; at += n) {
        bool has_data;
        if (!disk_extent(d, at, &n, &has_data, errp)) {
            free(map);
            return NULL;
        }
        for (int64_t u = at / unit; has_data && u <= (at + n - 1) / unit; u++)
            map[u / 8] |= (uint8_t)(1u << (u % 8));
    }
    return map;
}

/* ---- writing ---- */

static bool write_table(const uint8_t *map, uint32_t n, int fd, struct error **errp) {
    size_t size = ((size_t)n * 4 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
    _cleanup_free_ uint8_t *table = xcalloc(size, 1);
    uint64_t sector = (VHD_SECTOR + VHD_HEADER_SIZE + size) / VHD_SECTOR;
    memset(table, 0xff, size);
    for (uint32_t i = 0; i < n; i++)
        if (disk_map_has(map, i)) {
            vhd_put32(table + 4 * (size_t)i, (uint32_t)sector);
            sector += vhd_bitmap_sectors(VHD_BLOCK) + VHD_BLOCK / VHD_SECTOR;
        }
    return sink_write(fd, table, size, errp);
}

static bool write_blocks(struct disk *d, const uint8_t *map, uint32_t n, int fd, struct error **errp) {
    uint8_t bitmap[VHD_SECTOR];
    _cleanup_free_ char *block = xcalloc(1, VHD_BLOCK);
    memset(bitmap, 0xff, sizeof(bitmap));
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = (int64_t)i * VHD_BLOCK;
        size_t size = (size_t)MIN((int64_t)VHD_BLOCK, disk_size(d) - at);
        if (!disk_map_has(map, i))
            continue;
        memset(block + size, 0, VHD_BLOCK - size);
        if (!disk_read(d, at, block, size, errp) || !sink_write(fd, bitmap, sizeof(bitmap), errp) ||
            !sink_write(fd, block, VHD_BLOCK, errp))
            return false;
    }
    return true;
}

bool vhd_export(struct disk *d, int fd, struct error **errp) {
    if (disk_size(d) > VHD_SIZE_MAX) {
        error_setf(errp, ERR_INVALID_VALUE, "format: a VHD image takes %lld GiB at most",
                   (long long)(VHD_SIZE_MAX >> 30));
        return false;
    }
    uint32_t n = (uint32_t)((disk_size(d) + VHD_BLOCK - 1) / VHD_BLOCK);
    struct vhd_footer f = {.type = VHD_DYNAMIC, .size = disk_size(d), .header_at = VHD_SECTOR};
    struct vhd_header h = {.table_at = VHD_SECTOR + VHD_HEADER_SIZE, .n_entries = n, .block_size = VHD_BLOCK};
    uint8_t footer[VHD_SECTOR], header[VHD_HEADER_SIZE];
    struct uuid id = uuid_random();
    vhd_footer_put(footer, &f, (uint32_t)(time(NULL) - SECONDS_TO_2000), (const uint8_t *)&id);
    vhd_header_put(header, &h);
    _cleanup_free_ uint8_t *map = disk_map(d, VHD_BLOCK, errp);
    return map && sink_write(fd, footer, sizeof(footer), errp) && sink_write(fd, header, sizeof(header), errp) &&
           write_table(map, n, fd, errp) && write_blocks(d, map, n, fd, errp) &&
           sink_write(fd, footer, sizeof(footer), errp);
}

/* ---- reading ---- */

static bool refuse(const char *why, struct error **errp) {
    error_setf(errp, ERR_IMPORT_ERROR, "VHD: %s", why);
    return false;
}

static bool skip_to(struct source *s, uint64_t at, uint64_t max, const char *what, struct error **errp) {
    if (at < (uint64_t)s->n_read || at - (uint64_t)s->n_read > max)
        return refuse(what, errp);
    return source_skip(s, (int64_t)at - s->n_read, errp);
}

/* The bits of the bitmap say which sectors of the block are there. */
static bool put_block(struct image *i, int64_t at, int64_t size, uint8_t *bitmap, char *data, uint32_t block_size,
                      struct error **errp) {
    int64_t left = MIN((int64_t)block_size, size - at);
    for (uint32_t k = 0; k < block_size / VHD_SECTOR; k++)
        if (!(bitmap[k / 8] & 0x80u >> (k % 8)))
            memset(data + (size_t)k * VHD_SECTOR, 0, VHD_SECTOR);
    return left <= 0 || image_put(i, at, data, (size_t)left, errp);
}

static bool read_blocks(struct image *i, const struct vhd_footer *f, const struct vhd_header *h,
                        const struct vhd_block *blocks, uint32_t n, struct source *s, struct error **errp) {
    size_t bitmap_size = (size_t)vhd_bitmap_sectors(h->block_size) * VHD_SECTOR;
    _cleanup_free_ uint8_t *bitmap = xcalloc(1, bitmap_size);
    _cleanup_free_ char *data = xcalloc(1, h->block_size);
    for (uint32_t k = 0; k < n; k++)
        if (!skip_to(s, (uint64_t)blocks[k].sector * VHD_SECTOR, GAP_MAX, "a block lies too far behind the last one",
                     errp) ||
            !source_need(s, bitmap, bitmap_size, errp) || !source_need(s, data, h->block_size, errp) ||
            !put_block(i, (int64_t)blocks[k].index * h->block_size, f->size, bitmap, data, h->block_size, errp))
            return false;
    return true;
}

static bool fits(int64_t vhd_size, int64_t size, struct error **errp) {
    if (vhd_size <= size)
        return true;
    error_setf(errp, ERR_IMPORT_ERROR, "the image is of a disk of %lld bytes, and this one has %lld",
               (long long)vhd_size, (long long)size);
    return false;
}

/* The last 512 bytes are the footer once more: what was cut off has none. */
static bool read_end(struct source *s, struct error **errp) {
    uint8_t footer[VHD_SECTOR];
    struct vhd_footer f;
    const char *why;
    size_t n;
    for (int64_t limit = s->n_read + (int64_t)GAP_MAX; s->n_read < limit;) {
        if (!source_read(s, footer, sizeof(footer), &n, errp))
            return false;
        if (n < sizeof(footer))
            break;
        if (vhd_footer_get(footer, &f, &why))
            return true;
    }
    error_set(errp, ERR_IMPORT_ERROR_PREMATURE_EOF, NULL);
    return false;
}

static bool read_dynamic(struct image *i, int64_t size, const struct vhd_footer *f, struct source *s,
                         struct error **errp) {
    uint8_t head[VHD_HEADER_SIZE];
    struct vhd_header h;
    const char *why;
    uint32_t n;
    if (!skip_to(s, f->header_at, HEADER_AT_MAX, "its header is not in front of its blocks", errp) ||
        !source_need(s, head, sizeof(head), errp))
        return false;
    if (!vhd_header_get(head, f->size, &h, &why))
        return refuse(why, errp);
    if (!fits(f->size, size, errp) ||
        !skip_to(s, h.table_at, HEADER_AT_MAX, "its table is not in front of its blocks", errp))
        return false;
    _cleanup_free_ uint8_t *table = xcalloc(h.n_entries, 4);
    _cleanup_free_ struct vhd_block *blocks = xcalloc(h.n_entries, sizeof(*blocks));
    if (!source_need(s, table, (size_t)h.n_entries * 4, errp))
        return false;
    if (!vhd_blocks(table, h.n_entries, h.block_size, ((uint64_t)s->n_read + VHD_SECTOR - 1) / VHD_SECTOR, blocks, &n,
                    &why))
        return refuse(why, errp);
    if (!read_blocks(i, f, &h, blocks, n, s, errp))
        return false;
    /* What fills the table's last sector is not in front of a footer that nothing stands before. */
    int64_t odd = s->n_read % VHD_SECTOR;
    return (odd == 0 || source_skip(s, VHD_SECTOR - odd, errp)) && read_end(s, errp);
}

/* The content, and a footer behind it, which shows only at the end. */
static bool read_fixed(struct image *i, int64_t size, uint8_t held[static VHD_SECTOR], struct source *s,
                       struct error **errp) {
    _cleanup_free_ uint8_t *block = xcalloc(1, DISK_IO_MAX + VHD_SECTOR);
    struct vhd_footer f;
    const char *why;
    int64_t at = 0;
    memcpy(block, held, VHD_SECTOR);
    for (size_t n = DISK_IO_MAX; n == DISK_IO_MAX; at += (int64_t)n) {
        if (!source_read(s, block + VHD_SECTOR, DISK_IO_MAX, &n, errp))
            return false;
        size_t content = (size_t)MIN((int64_t)n, MAX(size - at, 0));
        if ((content < n && n == DISK_IO_MAX) || !image_put(i, at, block, content, errp))
            return *errp ? false : fits(at + (int64_t)n, size, errp);
        memmove(block, block + n, VHD_SECTOR);
    }
    if (!vhd_footer_get(block, &f, &why) || f.type != VHD_FIXED)
        return refuse("there is a footer neither in front nor at the end: this is no VHD image, or it was cut off",
                      errp);
    if (f.size != at)
        return refuse("its footer tells another size than it has", errp);
    return fits(f.size, size, errp);
}

bool vhd_import(struct image *i, int64_t size, struct source *s, struct error **errp) {
    uint8_t first[VHD_SECTOR];
    struct vhd_footer f;
    const char *why;
    if (!source_need(s, first, sizeof(first), errp))
        return false;
    if (!vhd_is_footer(first))
        return read_fixed(i, size, first, s, errp);
    if (!vhd_footer_get(first, &f, &why))
        return refuse(why, errp);
    return f.type == VHD_DYNAMIC ? read_dynamic(i, size, &f, s, errp)
                                 : refuse("a fixed one has no footer in front", errp);
}
