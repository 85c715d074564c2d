/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer. Always NUL-terminated behind `size`, so `data` is a C string when it holds text. Not
 * thread-safe. */
#pragma once

#include "base/macro.h"

struct buf {
    char *data; /* NULL while empty and never grown */
    size_t size;
    size_t capacity;
};

#define BUF_INIT                                                                                                       \
    { 0 }

void buf_done(struct buf *b);  /* frees, leaves an empty buffer */
void buf_clear(struct buf *b); /* keeps the memory */
void buf_reserve(struct buf *b, size_t extra);
void buf_add(struct buf *b, const void *data, size_t size);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
void buf_consume(struct buf *b, size_t size); /* drops bytes at the front */
char *buf_take(struct buf *b);                /* the string, never NULL; the buffer is empty afterwards */
const char *buf_str(const struct buf *b);     /* never NULL */
#define _cleanup_buf_ _cleanup_(buf_done)

char *strf(const char *fmt, ...) _printf_(1, 2); /* formatted heap string */
