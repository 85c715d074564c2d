/* SPDX-License-Identifier: Apache-2.0 */
/* String helpers: comparison, parsing of whole numbers with limits, UTF-8 check, string vectors. Any thread. */
#pragma once

#include "base/macro.h"
#include <string.h>

static inline bool str_eq(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}
static inline bool str_empty(const char *s) {
    return !s || !*s;
}
static inline const char *str_or_empty(const char *s) {
    return s ? s : "";
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* The whole of s is a decimal number in [min, max]; false (and *ret untouched) otherwise. */
bool str_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret) _warn_unused_;
bool str_parse_double(const char *s, double *ret) _warn_unused_;
bool str_is_utf8(const char *s, size_t size); /* strict: no overlong forms, no surrogates, no NUL */
/* Copies at most size-1 bytes and terminates; true when all of it fitted. */
bool str_copy(char *dst, size_t size, const char *src);

struct strv { /* a vector of owned strings */
    char **items;
    size_t n;
};
void strv_add(struct strv *v, const char *s);
void strv_take(struct strv *v, char *s);
void strv_done(struct strv *v);
bool strv_has(const struct strv *v, const char *s);
char *strv_join(const struct strv *v, const char *between); /* "" when empty; the caller frees */
/* Splits s at each `sep`; empty parts are kept. */
void strv_split(struct strv *v, const char *s, char sep);
#define _cleanup_strv_ _cleanup_(strv_done)
