/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"
#include "base/str.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/random.h>

static void uuid_stamp(struct uuid *u, uint8_t version) {
    u->b[6] = (uint8_t)((u->b[6] & 0x0f) | version << 4);
    u->b[8] = (u->b[8] & 0x3f) | 0x80; /* RFC 4122 4.1.1: the variant of this layout */
}

struct uuid uuid_random(void) {
    struct uuid u;
    ssize_t n;
    do
        n = getrandom(u.b, sizeof(u.b), 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof(u.b))
        abort(); /* at most 256 bytes come whole or not at all; without luck there are no identities */
    uuid_stamp(&u, 4);
    return u;
}

struct uuid uuid_derive(const struct uuid *space, const char *name) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct uuid u;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha1(), /* impl= */ NULL) || !EVP_DigestUpdate(ctx, space->b, 16) ||
        !EVP_DigestUpdate(ctx, name, strlen(name)) || !EVP_DigestFinal_ex(ctx, digest, /* size= */ NULL))
        abort();
    EVP_MD_CTX_free(ctx);
    memcpy(u.b, digest, sizeof(u.b));
    uuid_stamp(&u, 5);
    return u;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool dash_before(size_t byte) {
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool uuid_parse(const char *text, struct uuid *ret) {
    struct uuid u;
    for (size_t i = 0; i < sizeof(u.b); i++) {
        if (dash_before(i) && *text++ != '-')
            return false;
        int high = hex_digit(text[0]);
        if (high < 0)
            return false;
        int low = hex_digit(text[1]);
        if (low < 0)
            return false;
        u.b[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text)
        return false;
    *ret = u;
    return true;
}

const char *uuid_text(const struct uuid *u, char text[static UUID_TEXT_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    char *p = text;
    for (size_t i = 0; i < sizeof(u->b); i++) {
        if (dash_before(i))
            *p++ = '-';
        *p++ = digits[u->b[i] >> 4];
        *p++ = digits[u->b[i] & 15];
    }
    *p = '\0';
    return text;
}

bool uuid_eq(const struct uuid *a, const struct uuid *b) {
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool uuid_is_null(const struct uuid *u) {
    static const struct uuid null;
    return uuid_eq(u, &null);
}

uint64_t uuid_hash(const struct uuid *u) {
    uint64_t half[2];
    memcpy(half, u->b, sizeof(half));
    uint64_t h = half[0] ^ (half[1] * UINT64_C(0x9e3779b97f4a7c15));
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

bool ref_parse(const char *text, struct uuid *ret) {
    if (str_eq(text, REF_NULL_TEXT)) {
        *ret = (struct uuid){0};
        return true;
    }
    return str_starts(text, REF_PREFIX) && uuid_parse(text + strlen(REF_PREFIX), ret);
}

const char *ref_text(const struct uuid *u, char text[static REF_TEXT_SIZE]) {
    if (uuid_is_null(u)) {
        memcpy(text, REF_NULL_TEXT, sizeof(REF_NULL_TEXT));
        return text;
    }
    memcpy(text, REF_PREFIX, sizeof(REF_PREFIX) - 1);
    (void)uuid_text(u, text + sizeof(REF_PREFIX) - 1);
    return text;
}
