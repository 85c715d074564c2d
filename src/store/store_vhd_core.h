/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHD images ("Virtual Hard Disk Image Format Specification", 2006), fixed and dynamic: their footer, header and table
 * of blocks, as bytes and back. All numbers are big-endian. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define VHD_SECTOR 512
#define VHD_HEADER_SIZE 1024
#define VHD_BLOCK (2u << 20)                          /* of what we write; others use others */
#define VHD_SIZE_MAX (INT64_C(2040) << 30)            /* what readers of the format take */
#define VHD_ENTRIES_MAX (VHD_SIZE_MAX / (512u << 10)) /* of a table; blocks of 512 KiB and more */
#define VHD_UNUSED 0xffffffffu                        /* a block that is not there */

enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

struct vhd_footer {
    enum vhd_type type;
    int64_t size;       /* of the disk */
    uint64_t header_at; /* of the header; dynamic ones */
};
struct vhd_header {
    uint64_t table_at;
    uint32_t n_entries, block_size;
};

/* `time`: seconds since 2000; `id`: 16 bytes. */
void vhd_footer_put(uint8_t out[static VHD_SECTOR], const struct vhd_footer *f, uint32_t time, const uint8_t *id);
void vhd_header_put(uint8_t out[static VHD_HEADER_SIZE], const struct vhd_header *h);
/* False with a sentence part in *why. */
bool vhd_is_footer(const uint8_t in[static VHD_SECTOR]);
bool vhd_footer_get(const uint8_t in[static VHD_SECTOR], struct vhd_footer *ret, const char **why) _warn_unused_;
bool vhd_header_get(const uint8_t in[static VHD_HEADER_SIZE], int64_t size, struct vhd_header *ret,
                    const char **why) _warn_unused_;

/* A block of the disk and where it lies in the image. */
struct vhd_block {
    uint32_t index, sector;
};
/*
 * The blocks that a table (n entries as bytes) names, in the order in which they lie; ret has room for n. False when
 * two overlap, or one lies before `first_sector`, where the stream is then.
 */
bool vhd_blocks(const uint8_t *table, uint32_t n, uint32_t block_size, uint64_t first_sector, struct vhd_block *ret,
                uint32_t *ret_n, const char **why) _warn_unused_;
/* Sectors of the bitmap in front of a block. */
uint32_t vhd_bitmap_sectors(uint32_t block_size);

/* Big-endian. */
void vhd_put32(uint8_t *p, uint32_t v);
uint32_t vhd_get32(const uint8_t *p);
