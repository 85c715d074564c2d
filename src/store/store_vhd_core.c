/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_vhd_core.h"

#include <stdlib.h>
#include <string.h>

#define FOOTER_COOKIE "conectix"
#define HEADER_COOKIE "cxsparse"
#define VERSION 0x00010000u
#define FEATURES 2u /* a bit that is always set */
#define FOOTER_CHECKSUM_AT 64
#define HEADER_CHECKSUM_AT 36

void vhd_put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

uint32_t vhd_get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put64(uint8_t *p, uint64_t v) {
    vhd_put32(p, (uint32_t)(v >> 32));
    vhd_put32(p + 4, (uint32_t)v);
}

static uint64_t get64(const uint8_t *p) {
    return (uint64_t)vhd_get32(p) << 32 | vhd_get32(p + 4);
}

/* The complement of the sum of all bytes but those of the checksum. */
static uint32_t checksum(const uint8_t *data, size_t size, size_t at) {
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i++)
        if (i < at || i >= at + 4)
            sum += data[i];
    return ~sum;
}

/* Appendix of the specification: cylinders, heads, sectors per track of a disk. */
static void put_geometry(uint8_t *p, int64_t size) {
    uint64_t total = (uint64_t)size / VHD_SECTOR, cylinder_heads;
    uint32_t sectors, heads;
    total = MIN(total, UINT64_C(65535) * 16 * 255);
    if (total >= UINT64_C(65535) * 16 * 63) {
        sectors = 255;
        heads = 16;
        cylinder_heads = total / sectors;
    } else {
        sectors = 17;
        cylinder_heads = total / sectors;
        heads = (uint32_t)((cylinder_heads + 1023) / 1024);
        heads = heads < 4 ? 4 : heads;
        if (cylinder_heads >= heads * UINT64_C(1024) || heads > 16) {
            sectors = 31;
            heads = 16;
            cylinder_heads = total / sectors;
        }
        if (cylinder_heads >= heads * UINT64_C(1024)) {
            sectors = 63;
            heads = 16;
            cylinder_heads = total / sectors;
        }
    }
    uint32_t cylinders = (uint32_t)(cylinder_heads / heads);
    p[0] = (uint8_t)(cylinders >> 8);
    p[1] = (uint8_t)cylinders;
    p[2] = (uint8_t)heads;
    p[3] = (uint8_t)sectors;
}

void vhd_footer_put(uint8_t out[static VHD_SECTOR], const struct vhd_footer *f, uint32_t time, const uint8_t *id) {
    memset(out, 0, VHD_SECTOR);
    memcpy(out, FOOTER_COOKIE, 8); /* NOLINT(bugprone-not-null-terminated-result): eight letters, no text */
    vhd_put32(out + 8, FEATURES);
    vhd_put32(out + 12, VERSION);
    put64(out + 16, f->type == VHD_FIXED ? UINT64_MAX : f->header_at);
    vhd_put32(out + 24, time);
    memcpy(out + 28, "tap", 4); /* as XenServer has it: of unknown makers QEMU takes the geometry for the size */
    vhd_put32(out + 32, VERSION);
    put64(out + 40, (uint64_t)f->size);
    put64(out + 48, (uint64_t)f->size);
    put_geometry(out + 56, f->size);
    vhd_put32(out + 60, f->type);
    memcpy(out + 68, id, 16);
    vhd_put32(out + FOOTER_CHECKSUM_AT, checksum(out, VHD_SECTOR, FOOTER_CHECKSUM_AT));
}

void vhd_header_put(uint8_t out[static VHD_HEADER_SIZE], const struct vhd_header *h) {
    memset(out, 0, VHD_HEADER_SIZE);
    memcpy(out, HEADER_COOKIE, 8); /* NOLINT(bugprone-not-null-terminated-result): eight letters, no text */
    put64(out + 8, UINT64_MAX);
    put64(out + 16, h->table_at);
    vhd_put32(out + 24, VERSION);
    vhd_put32(out + 28, h->n_entries);
    vhd_put32(out + 32, h->block_size);
    vhd_put32(out + HEADER_CHECKSUM_AT, checksum(out, VHD_HEADER_SIZE, HEADER_CHECKSUM_AT));
}

static bool refuse(const char **why, const char *text) {
    *why = text;
    return false;
}

bool vhd_is_footer(const uint8_t in[static VHD_SECTOR]) {
    return memcmp(in, FOOTER_COOKIE, 8) == 0;
}

bool vhd_footer_get(const uint8_t in[static VHD_SECTOR], struct vhd_footer *ret, const char **why) {
    if (!vhd_is_footer(in))
        return refuse(why, "this is no VHD image");
    if (vhd_get32(in + FOOTER_CHECKSUM_AT) != checksum(in, VHD_SECTOR, FOOTER_CHECKSUM_AT))
        return refuse(why, "the checksum of the footer is wrong");
    uint32_t type = vhd_get32(in + 60);
    uint64_t size = get64(in + 48);
    if (type == VHD_DIFFERENCING)
        return refuse(why, "it goes on from another image (a differencing disk)");
    if (type != VHD_FIXED && type != VHD_DYNAMIC)
        return refuse(why, "its type of disk is none");
    if (size == 0 || size > (uint64_t)VHD_SIZE_MAX || size % VHD_SECTOR)
        return refuse(why, "its size is out of bounds");
    *ret = (struct vhd_footer){.type = (enum vhd_type)type, .size = (int64_t)size, .header_at = get64(in + 16)};
    return true;
}

bool vhd_header_get(const uint8_t in[static VHD_HEADER_SIZE], int64_t size, struct vhd_header *ret, const char **why) {
    if (memcmp(in, HEADER_COOKIE, 8) != 0)
        return refuse(why, "it has no header of a dynamic disk");
    if (vhd_get32(in + HEADER_CHECKSUM_AT) != checksum(in, VHD_HEADER_SIZE, HEADER_CHECKSUM_AT))
        return refuse(why, "the checksum of the header is wrong");
    struct vhd_header h = {
        .table_at = get64(in + 16), .n_entries = vhd_get32(in + 28), .block_size = vhd_get32(in + 32)};
    if (h.block_size < (512u << 10) || h.block_size > (64u << 20) || (h.block_size & (h.block_size - 1)))
        return refuse(why, "its size of blocks is out of bounds");
    if (h.n_entries > VHD_ENTRIES_MAX || (int64_t)h.n_entries * h.block_size < size)
        return refuse(why, "its table of blocks does not fit its size");
    if (h.table_at % VHD_SECTOR || h.table_at > UINT32_MAX)
        return refuse(why, "its table of blocks is at no place for one");
    *ret = h;
    return true;
}

uint32_t vhd_bitmap_sectors(uint32_t block_size) {
    uint32_t bytes = block_size / VHD_SECTOR / 8;
    return (bytes + VHD_SECTOR - 1) / VHD_SECTOR;
}

static int by_sector(const void *a, const void *b) {
    const struct vhd_block *x = a, *y = b;
    return x->sector < y->sector ? -1 : x->sector > y->sector;
}

bool vhd_blocks(const uint8_t *table, uint32_t n, uint32_t block_size, uint64_t first_sector, struct vhd_block *ret,
                uint32_t *ret_n, const char **why) {
    uint32_t n_used = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t sector = vhd_get32(table + 4 * (size_t)i);
        if (sector != VHD_UNUSED)
            ret[n_used++] = (struct vhd_block){.index = i, .sector = sector};
    }
    if (n_used > 1)
        qsort(ret, n_used, sizeof(*ret), by_sector);
    uint64_t next = first_sector;
    for (uint32_t i = 0; i < n_used; i++) {
        if (ret[i].sector < next)
            return refuse(why, "blocks of its table lie over each other, or over the table");
        next = (uint64_t)ret[i].sector + vhd_bitmap_sectors(block_size) + block_size / VHD_SECTOR;
    }
    *ret_n = n_used;
    return true;
}
