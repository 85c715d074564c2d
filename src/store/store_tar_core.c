/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_tar_core.h"

#include <stdio.h>
#include <string.h>

/* Where the fields lie. */
enum {
    MODE = 100,
    UID = 108,
    GID = 116,
    SIZE = 124,
    MTIME = 136,
    CHECKSUM = 148,
    TYPE = 156,
    MAGIC = 257,
    PREFIX = 345
};

/* The checksum counts its own field as blanks. */
static uint32_t sum_of(const uint8_t *block) {
    uint32_t sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
    return sum;
}

static void put_octal(uint8_t *p, int digits, uint64_t v) {
    for (int i = digits - 1; i >= 0; i--, v >>= 3)
        p[i] = (uint8_t)('0' + (v & 7));
}

bool tar_put(uint8_t out[static TAR_BLOCK], const struct tar_file *f) {
    size_t len = strlen(f->name);
    if (len == 0 || len > TAR_NAME_MAX || f->size < 0 || f->size >= TAR_FILE_MAX)
        return false;
    memset(out, 0, TAR_BLOCK);
    memcpy(out, f->name, len);
    put_octal(out + MODE, 7, 0400);
    put_octal(out + UID, 7, 0);
    put_octal(out + GID, 7, 0);
    put_octal(out + SIZE, 11, (uint64_t)f->size);
    put_octal(out + MTIME, 11, 0);
    out[TYPE] = '0';
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the field has eight letters and no end */
    memcpy(out + MAGIC,
           "ustar\0"
           "00",
           8);
    put_octal(out + CHECKSUM, 6, sum_of(out));
    out[CHECKSUM + 7] = ' ';
    return true;
}

/* Digits, led by blanks, ended by a blank, NUL or the end of the field. */
static bool get_octal(const uint8_t *p, int size, int64_t *ret) {
    int64_t v = 0;
    int i = 0, n = 0;
    while (i < size && p[i] == ' ')
        i++;
    for (; i < size && p[i] >= '0' && p[i] <= '7'; i++, n++)
        v = v << 3 | (p[i] - '0'); /* at most 12 digits: 36 bits */
    if (n == 0 || (i < size && p[i] != ' ' && p[i] != '\0'))
        return false;
    *ret = v;
    return true;
}

static enum tar_outcome bad(const char **why, const char *text) {
    *why = text;
    return TAR_BAD;
}

enum tar_outcome tar_get(const uint8_t in[static TAR_BLOCK], struct tar_file *ret, const char **why) {
    static const uint8_t zeroes[TAR_BLOCK];
    int64_t checksum, size;
    if (memcmp(in, zeroes, TAR_BLOCK) == 0)
        return TAR_END;
    if (!get_octal(in + CHECKSUM, 8, &checksum) || checksum != sum_of(in))
        return bad(why, "what ought to be the head of a file is none");
    if (in[TYPE] != '0' && in[TYPE] != '\0')
        return bad(why, "there is something else than a plain file in it");
    if (memcmp(in + MAGIC, "ustar", 5) == 0 && memcmp(in + MAGIC, "ustar  ", 7) != 0 && in[PREFIX] != '\0')
        return bad(why, "the name of a file is too long");
    if (!get_octal(in + SIZE, 12, &size) || size >= TAR_FILE_MAX)
        return bad(why, "the size of a file is none");
    struct tar_file f = {.size = size};
    memcpy(f.name, in, TAR_NAME_MAX);
    for (const char *p = f.name; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return bad(why, "the name of a file has odd characters");
    if (!f.name[0])
        return bad(why, "a file has no name");
    *ret = f;
    return TAR_FILE;
}
