/* SPDX-License-Identifier: Apache-2.0 */
/* The formats that disks and VMs are carried in: tar, XVA, VHD, qcow2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "store/store_qcow2_core.h"
#include "store/store_tar_core.h"
#include "store/store_vhd_core.h"
#include "store/store_xva_core.h"
#include "wire/value_xml.h"

/* ---- tar ---- */

static void tar_there_and_back(void **state) {
    uint8_t head[TAR_BLOCK];
    struct tar_file f = {.name = "Ref:7/00000003", .size = 1048576}, back = {0};
    const char *why = NULL;
    assert_true(tar_put(head, &f));
    assert_int_equal(tar_get(head, &back, &why), TAR_FILE);
    assert_string_equal(back.name, f.name);
    assert_true(back.size == f.size);
    f.size = TAR_FILE_MAX;
    assert_false(tar_put(head, &f));
    f = (struct tar_file){.size = 1};
    assert_false(tar_put(head, &f));
    memset(head, 0, sizeof(head));
    assert_int_equal(tar_get(head, &back, &why), TAR_END);
}

/* A head with one field changed, its checksum made right again. */
static enum tar_outcome changed(size_t at, const char *bytes, size_t size, const char **why) {
    uint8_t head[TAR_BLOCK];
    struct tar_file f = {.name = "ova.xml", .size = 10}, back;
    uint32_t sum = 0;
    char digits[8];
    assert_true(tar_put(head, &f));
    memcpy(head + at, bytes, size);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : head[i];
    snprintf(digits, sizeof(digits), "%06o", sum);
    memcpy(head + 148, digits, 7);
    return tar_get(head, &back, why);
}

static void tar_refuses(void **state) {
    const char *why = "";
    uint8_t head[TAR_BLOCK];
    struct tar_file f = {.name = "x", .size = 1}, back;
    assert_int_equal(changed(156, "0", 1, &why), TAR_FILE);
    assert_int_equal(changed(156, "5", 1, &why), TAR_BAD); /* a folder */
    assert_int_equal(changed(156, "2", 1, &why), TAR_BAD); /* a link */
    assert_int_equal(changed(156, "L", 1, &why), TAR_BAD); /* a long name */
    assert_int_equal(changed(345, "etc", 3, &why), TAR_BAD);
    assert_int_equal(changed(0, "a\nb", 3, &why), TAR_BAD);
    assert_int_equal(changed(0, "\0", 1, &why), TAR_BAD);
    assert_int_equal(changed(124, "99999999999", 11, &why), TAR_BAD);
    assert_int_equal(changed(124, "\x80", 1, &why), TAR_BAD); /* a size in binary */
    assert_int_equal(changed(124, "            ", 12, &why), TAR_BAD);
    assert_int_equal(changed(124, "777777777777", 12, &why), TAR_BAD);
    assert_true(tar_put(head, &f));
    head[0] ^= 1;
    assert_int_equal(tar_get(head, &back, &why), TAR_BAD);
    assert_true(tar_padding(0) == 0 && tar_padding(1) == 511 && tar_padding(512) == 0 && tar_padding(513) == 511);
}

/* ---- XVA ---- */

static void names_of_an_archive(void **state) {
    struct xva_name n;
    assert_true(xva_name_parse("ova.xml", &n) && n.kind == XVA_DESCRIPTION);
    assert_true(xva_name_parse("Ref:7/00000003", &n) && n.kind == XVA_DATA && n.number == 3);
    assert_string_equal(n.ref, "Ref:7");
    assert_true(xva_name_parse("Ref:7/00000003.checksum", &n) && n.kind == XVA_SHA1);
    assert_true(xva_name_parse("Ref:7/123456789.xxhash", &n) && n.kind == XVA_XXHASH && n.number == 123456789);
    static const char *const none[] = {"",
                                       "ova.xml.",
                                       "/ova.xml",
                                       "../00000000",
                                       "Ref:7/../../etc",
                                       "Ref:7/1",
                                       "Ref:7/0000000",
                                       "Ref:7/00000000x",
                                       "a/b/00000000",
                                       "/00000000",
                                       "Ref:7",
                                       "Ref.7/00000000",
                                       "Ref:7/-0000001",
                                       "Ref:7/00000000.sha",
                                       " /00000000",
                                       "Ref:7/1234567890123"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_false(xva_name_parse(none[i], &n));
}

/* Numbers that are left out stand for zeroes; those of pieces without content for nothing at all. */
static void places_of_pieces(void **state) {
    static const struct {
        int64_t number, size, at;
    } pieces[] = {{0, XVA_CHUNK, 0}, {1, 0, 1},         {2, XVA_CHUNK, 1}, {5, XVA_CHUNK, 4},
                  {6, 0, 5},         {9, XVA_CHUNK, 7}, {10, 512, 8}};
    struct xva_position p = {0}, small = {0};
    int64_t at;
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        assert_true(xva_position_next(&p, pieces[i].number, pieces[i].size, &at));
        assert_true(at == pieces[i].at * (int64_t)XVA_CHUNK);
        assert_false(xva_position_next(&p, pieces[i].number, pieces[i].size, &at));
    }
    assert_true(p.at == INT64_C(8) * XVA_CHUNK + 512);
    assert_true(xva_position_next(&small, 0, 4096, &at));
    assert_true(xva_position_next(&small, 3, 4096, &at));
    assert_true(at == INT64_C(3) * 4096);
    assert_true(xva_position_next(&small, 999999999999, XVA_CHUNK, &at));
    assert_true(small.at > 0);
}

/* Values of the reference implementation. */
static void xxhash(void **state) {
    assert_true(xva_xxh64((const uint8_t *)"", 0) == 0xEF46DB3751D8E999u);
    assert_true(xva_xxh64((const uint8_t *)"a", 1) == 0xD24EC4F1A98C6E5Bu);
    assert_true(xva_xxh64((const uint8_t *)"abc", 3) == 0x44BC2CF5AD770999u);
    assert_true(xva_xxh64((const uint8_t *)"Nobody inspects the spammish repetition", 39) == 0xFBCEA83C8A378BF1u);
}

static struct value ova_of(const char *text) {
    struct value v = {.type = VALUE_VOID};
    struct error *e = NULL;
    assert_true(value_xml_parse(text, strlen(text), XVA_DEPTH_MAX, XVA_VALUES_MAX, &v, &e));
    return v;
}

#define MEMBER(name, value) "<member><name>" name "</name><value>" value "</value></member>"
#define OBJECT(class, id, members)                                                                                     \
    "<value><struct>" MEMBER("class", class) MEMBER("id", id) "<member><name>snapshot</name><value><struct>" members   \
                                                              "</struct></value></member></struct></value>"
#define OVA(objects)                                                                                                   \
    "<value><struct><member><name>objects</name><value><array><data>" objects                                          \
    "</data></array></value></member></struct></value>"
#define VBD(id, vm, vdi, type) OBJECT("VBD", id, MEMBER("VM", vm) MEMBER("VDI", vdi) MEMBER("type", type))

static void disks_of_an_archive(void **state) {
    struct xva_disk disks[XVA_DISKS_MAX];
    size_t n = 0;
    const char *why = NULL, *ref = NULL;
    _cleanup_value_ struct value ova = ova_of(
        OVA(OBJECT("VM", "Ref:9", MEMBER("is_a_snapshot", "<boolean>1</boolean>"))
                OBJECT("VM", "Ref:1", MEMBER("is_a_snapshot", "<boolean>0</boolean>"))
                    VBD("Ref:2", "Ref:1", "Ref:3", "Disk") VBD("Ref:4", "Ref:1", "OpaqueRef:NULL", "CD")
                        VBD("Ref:5", "Ref:9", "Ref:6", "Disk") OBJECT("VDI", "Ref:3", MEMBER("virtual_size", "4096"))
                            OBJECT("VDI", "Ref:6", MEMBER("virtual_size", "8192"))));
    assert_non_null(xva_vm(&ova, &ref, &why));
    assert_string_equal(ref, "Ref:1");
    assert_true(xva_disks(&ova, disks, &n, &why));
    assert_int_equal(n, 1);
    assert_string_equal(disks[0].ref, "Ref:3");
    assert_true(disks[0].size == 4096);
}

static void descriptions_without_sense(void **state) {
    static const char *const texts[] = {OVA(""),
                                        "<value>x</value>",
                                        OVA(OBJECT("VM", "Ref:1", "") VBD("Ref:2", "Ref:1", "Ref:3", "Disk")),
                                        OVA(OBJECT("VM", "Ref:1", "") VBD("Ref:2", "Ref:1", "Ref:3", "Disk")
                                                OBJECT("VDI", "Ref:3", MEMBER("virtual_size", "-1"))),
                                        OVA(OBJECT("VM", "Ref:1", "") VBD("Ref:2", "Ref:1", "Ref:3", "Disk")
                                                OBJECT("VDI", "Ref:3", MEMBER("virtual_size", "99999999999999999"))),
                                        OVA(OBJECT("VM", "Ref:1", "") VBD("Ref:2", "Ref:1", "../x", "Disk")
                                                OBJECT("VDI", "../x", MEMBER("virtual_size", "4096"))),
                                        OVA(OBJECT("VM", "Ref:1", "") VBD("Ref:2", "Ref:1", "Ref:3", "Disk")
                                                VBD("Ref:4", "Ref:1", "Ref:3", "Disk")
                                                    OBJECT("VDI", "Ref:3", MEMBER("virtual_size", "4096")))};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct xva_disk disks[XVA_DISKS_MAX];
        size_t n;
        const char *why = NULL;
        _cleanup_value_ struct value ova = ova_of(texts[i]);
        assert_false(xva_disks(&ova, disks, &n, &why));
        assert_non_null(why);
    }
}

/* ---- VHD ---- */

static void vhd_there_and_back(void **state) {
    uint8_t footer[VHD_SECTOR], header[VHD_HEADER_SIZE], id[16] = {1};
    struct vhd_footer f = {.type = VHD_DYNAMIC, .size = 64 << 20, .header_at = 512}, f2;
    struct vhd_header h = {.table_at = 1536, .n_entries = 32, .block_size = VHD_BLOCK}, h2;
    const char *why = NULL;
    vhd_footer_put(footer, &f, 1, id);
    assert_true(vhd_is_footer(footer) && vhd_footer_get(footer, &f2, &why));
    assert_true(f2.type == f.type && f2.size == f.size && f2.header_at == 512);
    vhd_header_put(header, &h);
    assert_true(vhd_header_get(header, f.size, &h2, &why));
    assert_true(h2.table_at == 1536 && h2.n_entries == 32 && h2.block_size == VHD_BLOCK);
    assert_false(vhd_header_get(header, f.size + 1, &h2, &why)); /* the table is too short for it */
    footer[100] ^= 1;
    assert_false(vhd_footer_get(footer, &f2, &why));
    header[28] ^= 1;
    assert_false(vhd_header_get(header, f.size, &h2, &why));
    f.type = VHD_DIFFERENCING;
    vhd_footer_put(footer, &f, 1, id);
    assert_false(vhd_footer_get(footer, &f2, &why));
    f = (struct vhd_footer){.type = VHD_FIXED, .size = 1000};
    vhd_footer_put(footer, &f, 1, id);
    assert_false(vhd_footer_get(footer, &f2, &why));
}

static void vhd_tables(void **state) {
    uint8_t table[16];
    struct vhd_block blocks[4];
    uint32_t n = 0;
    const char *why = NULL;
    vhd_put32(table, 5000);
    vhd_put32(table + 4, VHD_UNUSED);
    vhd_put32(table + 8, 10);
    vhd_put32(table + 12, 10000);
    assert_true(vhd_blocks(table, 4, VHD_BLOCK, 4, blocks, &n, &why));
    assert_true(n == 3 && blocks[0].index == 2 && blocks[1].index == 0 && blocks[2].index == 3);
    assert_false(vhd_blocks(table, 4, VHD_BLOCK, 11, blocks, &n, &why)); /* over the table */
    vhd_put32(table, 10 + 4096); /* a sector too near: bitmap and block take 4097 */
    assert_false(vhd_blocks(table, 4, VHD_BLOCK, 4, blocks, &n, &why));
    vhd_put32(table, 10 + 4097);
    assert_true(vhd_blocks(table, 4, VHD_BLOCK, 4, blocks, &n, &why));
}

/* ---- qcow2 ---- */

static uint64_t be64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* Two clusters, far from each other, in a disk of 2 GiB: two tables of the second level, and each names its cluster. */
static void qcow2_layout(void **state) {
    static uint8_t map[4096 + 1], out[QCOW2_CLUSTER];
    struct qcow2_layout l;
    int64_t size = INT64_C(2) << 30;
    const char *why = NULL;
    int64_t read_size;
    map[0] = 2;         /* cluster 1 */
    map[24585 / 8] = 2; /* cluster 24585 */
    qcow2_layout_init(&l, size, map);
    assert_true(l.n_data == 2 && l.n_l2 == 2 && l.n_l1_clusters == 1 && l.n_refcount_blocks == 1 &&
                l.n_refcount_tables == 1 && l.n_front == 6 && l.n_all == 8);
    struct qcow2_writer w = {.layout = &l, .map = map};
    qcow2_front(&w, 0, out);
    assert_true(qcow2_head_check(out, &read_size, &why));
    assert_true(read_size == size);
    qcow2_front(&w, 1, out);
    assert_true(be64(out) == 2 * QCOW2_CLUSTER && be64(out + 8) == 0);
    qcow2_front(&w, 2, out);
    assert_true(out[1] == 1 && out[15] == 1 && out[17] == 0);
    qcow2_front(&w, 3, out);
    assert_true(be64(out) == (UINT64_C(1) << 63 | 4 * QCOW2_CLUSTER) && be64(out + 8) == 0 && be64(out + 16) == 0);
    assert_true(be64(out + 24) == (UINT64_C(1) << 63 | 5 * QCOW2_CLUSTER));
    qcow2_front(&w, 4, out);
    assert_true(be64(out + 8) == (UINT64_C(1) << 63 | 6 * QCOW2_CLUSTER));
    qcow2_front(&w, 5, out);
    assert_true(be64(out + 8 * 9) == (UINT64_C(1) << 63 | 7 * QCOW2_CLUSTER));
}

static void qcow2_heads(void **state) {
    static uint8_t map[64], out[QCOW2_CLUSTER];
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 0},
                 {7, 9},
                 {15, 1} /* another file */,
                 {19, 1},
                 {35, 1} /* encrypted */,
                 {79, 4} /* a file for its data */,
                 {23, 40},
                 {24, 0x80}};
    struct qcow2_layout l;
    const char *why;
    int64_t size;
    qcow2_layout_init(&l, 1 << 20, map);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct qcow2_writer w = {.layout = &l, .map = map};
        qcow2_front(&w, 0, out);
        assert_true(qcow2_head_check(out, &size, &why));
        out[wrong[i].at] = wrong[i].value;
        assert_false(qcow2_head_check(out, &size, &why));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_there_and_back),
        cmocka_unit_test(tar_refuses),
        cmocka_unit_test(names_of_an_archive),
        cmocka_unit_test(places_of_pieces),
        cmocka_unit_test(xxhash),
        cmocka_unit_test(disks_of_an_archive),
        cmocka_unit_test(descriptions_without_sense),
        cmocka_unit_test(vhd_there_and_back),
        cmocka_unit_test(vhd_tables),
        cmocka_unit_test(qcow2_layout),
        cmocka_unit_test(qcow2_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
