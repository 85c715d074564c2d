/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_done(struct buf *b) {
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b) {
    b->size = 0;
    if (b->data)
        b->data[0] = '\0';
}

void buf_reserve(struct buf *b, size_t extra) {
    size_t needed;
    if (__builtin_add_overflow(b->size, extra, &needed) || __builtin_add_overflow(needed, 1, &needed))
        abort(); /* a size that cannot exist: a limit is missing where it came from */
    if (needed <= b->capacity)
        return;
    size_t capacity = MAX(b->capacity, (size_t)32);
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    b->data = xrealloc(b->data, capacity);
    b->capacity = capacity;
    b->data[b->size] = '\0';
}

void buf_add(struct buf *b, const void *data, size_t size) {
    buf_reserve(b, size);
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buf_add_str(struct buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c) {
    if (b->size + 1 >= b->capacity)
        buf_reserve(b, 1);
    b->data[b->size++] = c;
    b->data[b->size] = '\0';
}

static void _printf_(2, 0) buf_add_vf(struct buf *b, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    buf_reserve(b, 0);
    size_t room = b->capacity - b->size;
    int n = vsnprintf(b->data + b->size, room, fmt, ap);
    if (n < 0)
        abort(); /* a format of ours that is not one */
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n);
        (void)vsnprintf(b->data + b->size, (size_t)n + 1, fmt, again);
    }
    b->size += (size_t)n;
    va_end(again);
}

void buf_addf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf_add_vf(b, fmt, ap);
    va_end(ap);
}

void buf_consume(struct buf *b, size_t size) {
    if (size >= b->size) {
        buf_clear(b);
        return;
    }
    if (size == 0)
        return;
    b->size -= size;
    memmove(b->data, b->data + size, b->size + 1);
}

char *buf_take(struct buf *b) {
    buf_reserve(b, 0);
    char *s = TAKE(b->data);
    *b = (struct buf)BUF_INIT;
    return s;
}

const char *buf_str(const struct buf *b) {
    return b->data ? b->data : "";
}

char *strf(const char *fmt, ...) {
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_add_vf(&b, fmt, ap);
    va_end(ap);
    return buf_take(&b);
}
