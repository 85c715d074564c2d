/* SPDX-License-Identifier: Apache-2.0 */
/* What LUNs say of themselves, and the board: answers of targets and blocks that anybody may have written. */
#include "base/str.h"
#include "store/store_lun_core.h"
#include "store/store_place_core.h"
#include <stdarg.h>
#include <stdlib.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static void test_ids(void **state) {
    char id[LUN_ID_SIZE];
    /* T10 text, then NAA: the better name is taken, wherever it stands; that of a port never. */
    static const uint8_t both[] = {0,   0x83, 0,   40,   2, 1, 0,    12, 'I', 'E',  'T', ' ', ' ', ' ', ' ',
                                   ' ', 'a',  ' ', '2',  0, 1, 3,    0,  8,   0x30, 0,   0,   1,   0,   0,
                                   0,   5,    1,   0x13, 0, 8, 0x50, 1,  2,   3,    4,   5,   6,   7};
    assert_true(lun_id_parse(both, sizeof(both), id));
    assert_string_equal(id, "33000000100000005");
    static const uint8_t text_only[] = {0,   0x83, 0,   16,  2,   1,   0,   12,  'I', 'E',
                                        'T', ' ',  ' ', ' ', ' ', ' ', 'a', '/', '2', 0};
    assert_true(lun_id_parse(text_only, sizeof(text_only), id));
    assert_string_equal(id, "1IET_____a_2");
    assert_true(lun_id_is_good(id));
    /* A zero inside is no end: what comes behind it tells LUNs apart. */
    static const uint8_t zero_inside[] = {0,   0x83, 0,   16,  2,   1,   0,   12, 'I', 'E',
                                          'T', ' ',  ' ', ' ', ' ', ' ', 'a', 0,  '2', 0};
    assert_true(lun_id_parse(zero_inside, sizeof(zero_inside), id));
    assert_string_equal(id, "1IET_____a_2");
    static const uint8_t port_only[] = {0, 0x83, 0, 12, 1, 0x13, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7};
    assert_false(lun_id_parse(port_only, sizeof(port_only), id));
}

/* Each beginning of a good page, and each with a byte changed: nothing is read that is not there. */
static void test_ids_cut(void **state) {
    static const uint8_t page[] = {0,   0x83, 0,   28, 2, 1, 0, 12, 'I',  'E', 'T', ' ', ' ', ' ', ' ', ' ',
                                   'a', ' ',  '2', 0,  1, 3, 0, 8,  0x30, 0,   0,   1,   0,   0,   0,   5};
    char id[LUN_ID_SIZE];
    for (size_t n = 0; n <= sizeof(page); n++) {
        uint8_t *cut = malloc(n ? n : 1); /* of this size, for the sanitizer */
        memcpy(cut, page, n);
        assert_int_equal(lun_id_parse(cut, n, id), n >= 20);
        for (size_t at = 0; at < n; at++) {
            cut[at] ^= 0xff;
            (void)!lun_id_parse(cut, n, id);
            cut[at] ^= 0xff;
        }
        free(cut);
    }
}

static void test_texts(void **state) {
    char text[LUN_TEXT_SIZE];
    assert_string_equal(lun_text((const uint8_t *)"   muster-1  ", 13, text), "muster-1");
    assert_string_equal(lun_text((const uint8_t *)"a\nb\x80", 4, text), "a?b?");
    assert_string_equal(lun_text((const uint8_t *)"    ", 4, text), "");
    uint8_t many[80];
    memset(many, 'x', sizeof(many));
    assert_int_equal(strlen(lun_text(many, sizeof(many), text)), LUN_TEXT_SIZE - 1);
    assert_false(lun_id_is_good("3600/../x"));
    assert_false(lun_id_is_good(""));
    assert_false(lun_id_is_good("3 6"));
}

static void test_slots(void **state) {
    struct uuid vdi = uuid_random(), found;
    struct lease_id id = {.host = uuid_random(), .vm = uuid_random(), .generation = INT64_MAX};
    char name[LEASE_NAME_SIZE], read[LEASE_NAME_SIZE], block[BOARD_BLOCK_MIN] = {0};
    assert_int_equal(board_slot_parse(block, sizeof(block), &found, read), SLOT_EMPTY);
    board_slot_format(&vdi, lease_format(&id, 0xdeadbeef, name), block, sizeof(block));
    assert_int_equal(board_slot_parse(block, sizeof(block), &found, read), SLOT_DISK);
    assert_true(uuid_eq(&found, &vdi));
    assert_string_equal(read, name);
    /* Damage is never taken for a free slot, nor for another lease of the disk's. */
    for (size_t i = 0; i < sizeof(block); i++) {
        char was = block[i];
        block[i] = (char)(was ^ 0x80);
        enum board_slot what = board_slot_parse(block, sizeof(block), &found, read);
        struct lease_id holder;
        assert_true(what == SLOT_DAMAGED || (what == SLOT_DISK && (!lease_parse(read, &holder))));
        block[i] = was;
    }
    board_slot_format(&vdi, "", block, sizeof(block));
    assert_int_equal(board_slot_parse(block, sizeof(block), &found, read), SLOT_DISK);
    assert_string_equal(read, "");
    memset(block, 'x', sizeof(block));
    assert_int_equal(board_slot_parse(block, sizeof(block), &found, read), SLOT_DAMAGED);
    assert_true(board_first_slot(&vdi) < BOARD_SLOTS);
    assert_int_equal(board_first_slot(&vdi), board_first_slot(&vdi));
}

static void test_marks(void **state) {
    struct uuid sr = uuid_random(), found;
    char block[BOARD_BLOCK_MAX];
    board_mark_format(&sr, block, sizeof(block));
    assert_true(board_mark_parse(block, sizeof(block), &found));
    assert_true(uuid_eq(&found, &sr));
    assert_true(board_mark_parse(block, BOARD_BLOCK_MIN, &found));
    block[BOARD_BLOCK_MAX - 1] = 'x';
    assert_false(board_mark_parse(block, sizeof(block), &found));
    assert_false(board_is_blank(block, sizeof(block)));
    board_slot_format(&sr, "", block, sizeof(block));
    assert_false(board_mark_parse(block, sizeof(block), &found));
}

static struct value config(const char *target, const char *iqn, const char *id, const char *number, const char *port) {
    struct value v = value_map();
    const char *const keys[] = {"target", "targetIQN", "SCSIid", "LUNid", "port"}, *const values[] = {target, iqn, id,
                                                                                                      number, port};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (*values[i])
            value_map_add(&v, keys[i], value_string(values[i]));
    return v;
}

#define IQN "iqn.2026-01.lab.muster:array"

static void test_places(void **state) {
    static const struct {
        const char *c[5], *place, *server, *portal, *lun;
    } good[] = {
        {{"10.9.0.9", IQN, "3600a", "", ""},
         "iscsi://10.9.0.9:3260/" IQN "/3600a",
         "10.9.0.9",
         "10.9.0.9:3260",
         "3600a"},
        {{"array.lan", IQN, "", "5", "860"},
         "iscsi://array.lan:860/" IQN "/lun-5",
         "array.lan",
         "array.lan:860",
         "lun-5"},
        {{"fd00::9", IQN, "3a", "7", ""}, "iscsi://[fd00::9]:3260/" IQN "/3a", "fd00::9", "[fd00::9]:3260", "3a"}};
    struct uuid sr = uuid_random();
    const char *key;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_value_ struct value c = config(good[i].c[0], good[i].c[1], good[i].c[2], good[i].c[3], good[i].c[4]);
        _cleanup_free_ char *place = store_place("iscsi", &c, &sr);
        struct iscsi_place p;
        assert_null(store_config_trouble("iscsi", &c, &key));
        assert_string_equal(place, good[i].place);
        assert_true(store_place_is_shared(place) && store_place_is_iscsi(place));
        assert_null(store_place_trouble(place));
        assert_true(iscsi_place_parse(place, &p));
        assert_string_equal(p.server, good[i].server);
        assert_string_equal(p.portal, good[i].portal);
        assert_string_equal(p.target, IQN);
        assert_string_equal(p.lun, good[i].lun);
        iscsi_place_done(&p);
    }
}

static void test_places_refused(void **state) {
    static const char *const bad[][6] = {{"", IQN, "3a", "", "", "target"},
                                         {"a/b", IQN, "3a", "", "", "target"},
                                         {"10.0.0.1", "", "3a", "", "", "targetIQN"},
                                         {"10.0.0.1", "array", "3a", "", "", "targetIQN"},
                                         {"10.0.0.1", IQN "/1", "3a", "", "", "targetIQN"},
                                         {"10.0.0.1", IQN, "", "", "", "SCSIid"},
                                         {"10.0.0.1", IQN, "3a/b", "", "", "SCSIid"},
                                         {"10.0.0.1", IQN, "lun-1", "", "", "SCSIid"},
                                         {"10.0.0.1", IQN, "", "-1", "", "SCSIid"},
                                         {"10.0.0.1", IQN, "", "16384", "", "SCSIid"},
                                         {"10.0.0.1", IQN, "3a", "", "0", "port"},
                                         {"10.0.0.1", IQN, "3a", "", "99999", "port"}};
    static const char *const no_places[] = {"iscsi://",
                                            "iscsi://h/" IQN "/3a",
                                            "iscsi://h:1/" IQN,
                                            "iscsi://h:1/x/3a",
                                            "iscsi://h:x/" IQN "/3a",
                                            "iscsi://:1/" IQN "/3a",
                                            "iscsi://[]:1/" IQN "/3a",
                                            "iscsi://h:1/" IQN "/lun-x"};
    static const char *const passwords[] = {"chapuser", "chappassword", "chappassword_secret", "incoming_chapuser",
                                            "incoming_chappassword"};
    struct uuid sr = uuid_random();
    struct iscsi_place p;
    for (size_t i = 0; i < ARRAY_SIZE(passwords); i++) {
        _cleanup_value_ struct value c = config("10.0.0.1", IQN, "3a", "", "");
        const char *key = "";
        value_map_add(&c, passwords[i], value_string("x"));
        assert_non_null(store_config_trouble("iscsi", &c, &key));
        assert_string_equal(key, passwords[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_value_ struct value c = config(bad[i][0], bad[i][1], bad[i][2], bad[i][3], bad[i][4]);
        _cleanup_free_ char *place = store_place("iscsi", &c, &sr);
        const char *key = "";
        assert_non_null(store_config_trouble("iscsi", &c, &key));
        assert_string_equal(key, bad[i][5]);
        assert_string_equal(place, "");
    }
    for (size_t i = 0; i < ARRAY_SIZE(no_places); i++) {
        assert_false(iscsi_place_parse(no_places[i], &p));
        assert_non_null(store_place_trouble(no_places[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids),           cmocka_unit_test(test_ids_cut),
                                       cmocka_unit_test(test_texts),         cmocka_unit_test(test_slots),
                                       cmocka_unit_test(test_marks),         cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_places_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
