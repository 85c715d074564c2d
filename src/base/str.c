/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/buf.h"

#include <errno.h>
#include <math.h>

bool str_starts(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix) {
    size_t len = strlen(s), suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(s + len - suffix_len, suffix, suffix_len) == 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool str_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret) {
    bool negative = *s == '-';
    if (negative)
        s++;
    if (!*s)
        return false;
    int64_t v = 0;
    for (; *s; s++) {
        if (!is_digit(*s))
            return false;
        int digit = *s - '0';
        /* Counts downwards for negative numbers: INT64_MIN has no positive twin. */
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return false;
    }
    if (v < min || v > max)
        return false;
    *ret = v;
    return true;
}

bool str_parse_double(const char *s, double *ret) {
    /* strtod alone would take blanks in front, hexadecimal, "inf" and "nan". */
    if (!*s || strspn(s, "0123456789.eE+-") != strlen(s))
        return false;
    char *end;
    double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

/* The size of the well-formed sequence at p (RFC 3629), 0 when there is none. */
static size_t utf8_sequence_size(const unsigned char *p, size_t size) {
    unsigned char c = p[0];
    if (c >= 0x01 && c <= 0x7f)
        return 1;
    size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || size < n)
        return 0;
    /* The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool str_is_utf8(const char *s, size_t size) {
    const unsigned char *p = (const unsigned char *)s;
    while (size > 0) {
        size_t n = utf8_sequence_size(p, size);
        if (n == 0)
            return false;
        p += n;
        size -= n;
    }
    return true;
}

bool str_copy(char *dst, size_t size, const char *src) {
    if (size == 0)
        return false;
    size_t len = strlen(src), n = MIN(len, size - 1);
    memcpy(dst, src, n);
    dst[n] = '\0';
    return n == len;
}

void strv_take(struct strv *v, char *s) {
    /* Room grows at powers of two, so that no capacity needs to be kept. */
    if ((v->n & (v->n - 1)) == 0)
        v->items = xrealloc_array(v->items, v->n ? v->n * 2 : 1, sizeof(*v->items));
    v->items[v->n++] = s;
}

void strv_add(struct strv *v, const char *s) {
    strv_take(v, xstrdup(s));
}

void strv_done(struct strv *v) {
    for (size_t i = 0; i < v->n; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct strv){0};
}

bool strv_has(const struct strv *v, const char *s) {
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->items[i], s))
            return true;
    return false;
}

char *strv_join(const struct strv *v, const char *between) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    for (size_t i = 0; i < v->n; i++)
        buf_addf(&text, "%s%s", i ? between : "", v->items[i]);
    return xstrdup(buf_str(&text));
}

void strv_split(struct strv *v, const char *s, char sep) {
    for (;;) {
        const char *end = strchrnul(s, sep);
        strv_take(v, xstrndup(s, (size_t)(end - s)));
        if (!*end)
            return;
        s = end + 1;
    }
}
