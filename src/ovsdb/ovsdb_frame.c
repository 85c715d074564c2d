/* SPDX-License-Identifier: Apache-2.0 */
#include "ovsdb/ovsdb_frame.h"

#include <errno.h>
#include <string.h>

/* What a consumed prefix may grow to before it is moved out: moving costs as much as what stays behind. */
#define CONSUME_MIN ((size_t)1 << 16)
/* The first answer to a monitor may be tens of MiB; what follows is small, and needs no buffer of that size. */
#define KEEP_MAX ((size_t)1 << 20)

void ovsdb_frame_init(struct ovsdb_frame *f, size_t size_max) {
    *f = (struct ovsdb_frame){.size_max = size_max};
}

void ovsdb_frame_done(struct ovsdb_frame *f) {
    buf_done(&f->buf);
}

void ovsdb_frame_clear(struct ovsdb_frame *f) {
    buf_done(&f->buf);
    ovsdb_frame_init(f, f->size_max);
}

void ovsdb_frame_add(struct ovsdb_frame *f, const void *data, size_t size) {
    if (f->start == f->buf.size) {
        if (f->buf.capacity > KEEP_MAX)
            buf_done(&f->buf);
        else
            buf_clear(&f->buf);
        f->pos = f->start = 0;
    } else if (f->start >= CONSUME_MIN && f->start > f->buf.size / 2) {
        buf_consume(&f->buf, f->start);
        f->pos -= f->start;
        f->start = 0;
    }
    buf_add(&f->buf, data, size);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int ovsdb_frame_next(struct ovsdb_frame *f, const char **ret_data, size_t *ret_size) {
    while (f->depth == 0 && f->start < f->buf.size && is_space(f->buf.data[f->start]))
        f->start++;
    if (f->pos < f->start)
        f->pos = f->start;
    for (; f->pos < f->buf.size; f->pos++) {
        char c = f->buf.data[f->pos];
        if (f->pos - f->start >= f->size_max)
            return -EMSGSIZE;
        if (f->in_string) {
            if (f->escaped)
                f->escaped = false;
            else if (c == '\\')
                f->escaped = true;
            else if (c == '"')
                f->in_string = false;
            continue;
        }
        if (f->depth == 0 && c != '{')
            return -EPROTO;
        if (c == '"') {
            f->in_string = true;
        } else if (c == '{' || c == '[') {
            f->depth++;
        } else if (c == '}' || c == ']') {
            if (--f->depth > 0)
                continue;
            f->pos++;
            *ret_data = f->buf.data + f->start;
            *ret_size = f->pos - f->start;
            f->start = f->pos;
            return 1;
        }
    }
    return 0;
}
