/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in files that people import: heads of tar, names and descriptions of XVA archives, VHD images, heads of
 * qcow2 ones. The first byte chooses. What was read must write again to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/store_qcow2_core.h"
#include "store/store_tar_core.h"
#include "store/store_vhd_core.h"
#include "store/store_xva_core.h"
#include "wire/value_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tar(const uint8_t *data, size_t size) {
    uint8_t block[TAR_BLOCK] = {0}, again[TAR_BLOCK];
    struct tar_file f, back;
    const char *why;
    memcpy(block, data, MIN(size, sizeof(block)));
    if (tar_get(block, &f, &why) == TAR_FILE && (!tar_put(again, &f) || tar_get(again, &back, &why) != TAR_FILE ||
                                                 back.size != f.size || !str_eq(back.name, f.name)))
        abort();
}

static void name(const uint8_t *data, size_t size) {
    struct xva_name n;
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    if (xva_name_parse(text, &n) && n.kind != XVA_DESCRIPTION && (!n.ref[0] || strchr(n.ref, '/') || n.number < 0))
        abort();
    (void)xva_xxh64(data, size);
}

static void ova(const uint8_t *data, size_t size) {
    _cleanup_value_ struct value v = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    struct xva_disk disks[XVA_DISKS_MAX];
    const char *why;
    size_t n;
    if (!value_xml_parse((const char *)data, size, XVA_DEPTH_MAX, XVA_VALUES_MAX, &v, &e) ||
        !xva_disks(&v, disks, &n, &why))
        return;
    for (size_t i = 0; i < n; i++)
        if (disks[i].size <= 0 || !xva_object(&v, "VDI", disks[i].ref))
            abort();
}

static void vhd(const uint8_t *data, size_t size) {
    uint8_t footer[VHD_SECTOR] = {0}, header[VHD_HEADER_SIZE] = {0};
    struct vhd_footer f;
    struct vhd_header h;
    const char *why;
    memcpy(footer, data, MIN(size, sizeof(footer)));
    if (size > sizeof(footer))
        memcpy(header, data + sizeof(footer), MIN(size - sizeof(footer), sizeof(header)));
    if (!vhd_footer_get(footer, &f, &why) || !vhd_header_get(header, f.size, &h, &why))
        return;
    size_t at = sizeof(footer) + sizeof(header);
    uint32_t n = size > at ? (uint32_t)((size - at) / 4) : 0, n_used = 0;
    _cleanup_free_ struct vhd_block *blocks = xcalloc((size_t)n + 1, sizeof(*blocks));
    if (!vhd_blocks(data + at, n, h.block_size, 4, blocks, &n_used, &why))
        return;
    for (uint32_t i = 1; i < n_used; i++)
        if (blocks[i].sector <= blocks[i - 1].sector)
            abort();
}

static void qcow2(const uint8_t *data, size_t size) {
    uint8_t head[QCOW2_HEAD_SIZE] = {0};
    int64_t disk;
    const char *why;
    memcpy(head, data, MIN(size, sizeof(head)));
    if (qcow2_head_check(head, &disk, &why) && disk <= 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const parts[])(const uint8_t *, size_t) = {tar, name, ova, vhd, qcow2};
    if (size > 0 && size <= 65536)
        parts[data[0] % ARRAY_SIZE(parts)](data + 1, size - 1);
    return 0;
}
