/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_lun_core.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "store/store_place_core.h"

#define SLOT_HEAD "muster-lease 1"
#define MARK_HEAD "muster-sr 1"

/* ---- names of LUNs ---- */

#define DESIGNATOR_T10 1
#define DESIGNATOR_EUI 2
#define DESIGNATOR_NAA 3
#define CODE_BINARY 1

static void put_hex(const uint8_t *data, size_t size, char *ret) {
    for (size_t i = 0; i < size; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", data[i]);
}

static bool put_text(const uint8_t *data, size_t size, char *ret, size_t room) {
    size_t n = 0;
    while (size > 0 && (data[size - 1] == ' ' || data[size - 1] == '\0'))
        size--;
    for (size_t i = 0; i < size && n + 1 < room; i++)
        ret[n++] = isalnum(data[i]) || (data[i] && strchr("._-", data[i])) ? (char)data[i] : '_';
    ret[n] = '\0';
    return n > 0;
}

/* How much a kind of name is preferred; 0: not used. */
static int rank_of(int type) {
    return type == DESIGNATOR_NAA ? 3 : type == DESIGNATOR_EUI ? 2 : type == DESIGNATOR_T10 ? 1 : 0;
}

static bool name_of(int type, int code, const uint8_t *name, size_t size, char ret[static LUN_ID_SIZE]) {
    ret[0] = (char)('0' + type);
    if (type == DESIGNATOR_T10)
        return size > 8 && put_text(name, size, ret + 1, LUN_ID_SIZE - 1);
    if (code != CODE_BINARY || size < 8 || size > 16)
        return false;
    put_hex(name, size, ret + 1);
    return true;
}

bool lun_id_parse(const uint8_t *page, size_t size, char ret[static LUN_ID_SIZE]) {
    int best = 0;
    if (size < 4 || page[1] != 0x83)
        return false;
    size_t end = 4 + (size_t)(page[2] << 8 | page[3]);
    end = end < size ? end : size;
    for (size_t at = 4; at + 4 <= end;) {
        size_t n = page[at + 3];
        int type = page[at + 1] & 0xf, association = page[at + 1] >> 4 & 3;
        char id[LUN_ID_SIZE];
        if (at + 4 + n > end)
            break;
        if (association == 0 && rank_of(type) > best && name_of(type, page[at] & 0xf, page + at + 4, n, id)) {
            best = rank_of(type);
            memcpy(ret, id, sizeof(id));
        }
        at += 4 + n;
    }
    return best > 0;
}

bool lun_id_is_good(const char *id) {
    size_t n = strlen(id);
    return n > 1 && n < LUN_ID_SIZE && id[0] != '.' && id[0] != '-' &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

const char *lun_text(const uint8_t *text, size_t size, char ret[static LUN_TEXT_SIZE]) {
    size_t n = 0, first = 0;
    while (first < size && text[first] == ' ')
        first++;
    for (size_t i = first; i < size && n + 1 < LUN_TEXT_SIZE && text[i]; i++)
        ret[n++] = text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '?';
    while (n > 0 && ret[n - 1] == ' ')
        n--;
    ret[n] = '\0';
    return ret;
}

/* ---- which is what ---- */

static const struct lun *find_board(const struct lun *luns, size_t n, const char *key) {
    int64_t number = -1;
    if (str_starts(key, "lun-"))
        (void)!str_parse_int(key + 4, 0, LUN_NUMBER_MAX, &number);
    for (size_t i = 0; i < n; i++)
        if (number >= 0 ? luns[i].number == number : str_eq(luns[i].id, key))
            return &luns[i];
    return NULL;
}

static bool is_disk(const struct lun *luns, size_t n, size_t i, const struct lun *board) {
    if (!*luns[i].id || luns[i].size <= 0 || luns[i].number == board->number || str_eq(luns[i].id, board->id))
        return false;
    for (size_t k = 0; k < n; k++)
        if (k != i && str_eq(luns[k].id, luns[i].id))
            return false;
    return true;
}

bool luns_take_board(struct lun *luns, size_t *n, const char *key, struct lun *ret) {
    const struct lun *found = find_board(luns, *n, key);
    if (!found)
        return false;
    struct lun board = *found;
    bool keeps[LUNS_MAX] = {0};
    size_t n_kept = 0;
    for (size_t i = 0; i < *n && i < LUNS_MAX; i++)
        keeps[i] = is_disk(luns, *n, i, &board);
    for (size_t i = 0; i < *n && i < LUNS_MAX; i++)
        if (keeps[i])
            luns[n_kept++] = luns[i];
    *n = n_kept;
    *ret = board;
    return true;
}

/* ---- the board ---- */

unsigned board_first_slot(const struct uuid *vdi) {
    uint32_t n = 2166136261u; /* FNV-1a: uuids are even already, but a client may choose one */
    const uint8_t *bytes = (const uint8_t *)vdi;
    for (size_t i = 0; i < sizeof(*vdi); i++)
        n = (n ^ bytes[i]) * 16777619u;
    return n % BOARD_SLOTS;
}

bool board_is_blank(const char *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

/* The lines of a block: text, each ended, and zeros after the last. */
static bool lines_of(const char *block, size_t size, const char *head, size_t n, struct strv *ret) {
    const char *end = memchr(block, '\0', size);
    if (!end || !board_is_blank(end, size - (size_t)(end - block)))
        return false;
    strv_split(ret, block, '\n');
    return ret->n == n + 2 && str_eq(ret->items[0], head) && !*ret->items[n + 1];
}

void board_slot_format(const struct uuid *vdi, const char *name, char *block, size_t size) {
    char text[UUID_TEXT_SIZE];
    memset(block, 0, size);
    (void)snprintf(block, size, SLOT_HEAD "\n%s\n%s\n", uuid_text(vdi, text), name);
}

enum board_slot board_slot_parse(const char *block, size_t size, struct uuid *ret_vdi,
                                 char ret_name[static LEASE_NAME_SIZE]) {
    _cleanup_strv_ struct strv lines = {0};
    struct uuid vdi;
    if (board_is_blank(block, size))
        return SLOT_EMPTY;
    if (!lines_of(block, size, SLOT_HEAD, 2, &lines) || !uuid_parse(lines.items[1], &vdi) ||
        strlen(lines.items[2]) >= LEASE_NAME_SIZE)
        return SLOT_DAMAGED;
    *ret_vdi = vdi;
    (void)str_copy(ret_name, LEASE_NAME_SIZE, lines.items[2]);
    return SLOT_DISK;
}

void board_mark_format(const struct uuid *sr, char *block, size_t size) {
    char text[UUID_TEXT_SIZE];
    memset(block, 0, size);
    (void)snprintf(block, size, MARK_HEAD "\n%s\n", uuid_text(sr, text));
}

bool board_mark_parse(const char *block, size_t size, struct uuid *ret_sr) {
    _cleanup_strv_ struct strv lines = {0};
    struct uuid sr;
    if (!lines_of(block, size, MARK_HEAD, 1, &lines) || !uuid_parse(lines.items[1], &sr))
        return false;
    *ret_sr = sr;
    return true;
}
