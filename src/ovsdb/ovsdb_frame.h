/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits a byte stream of JSON objects that follow each other without separators. It only counts braces outside of
 * strings; whether the object is good JSON is for the parser behind it. A message larger than `size_max`, or a byte
 * between two messages that is neither white space nor an opening brace, breaks the stream for good. Not thread-safe.
 */
#pragma once

#include "base/buf.h"

struct ovsdb_frame {
    struct buf buf;
    size_t size_max;
    size_t start;   /* first byte of the current message */
    size_t pos;     /* next byte to look at */
    unsigned depth; /* open braces and brackets */
    bool in_string;
    bool escaped;
};

void ovsdb_frame_init(struct ovsdb_frame *f, size_t size_max);
void ovsdb_frame_done(struct ovsdb_frame *f);
void ovsdb_frame_clear(struct ovsdb_frame *f);
void ovsdb_frame_add(struct ovsdb_frame *f, const void *data, size_t size);
/*
 * 1: *ret_data and *ret_size are the next whole message, borrowed until the next call of any function here.
 * 0: more bytes are needed. -EPROTO: not JSON objects. -EMSGSIZE: a message beyond the limit.
 */
int ovsdb_frame_next(struct ovsdb_frame *f, const char **ret_data, size_t *ret_size) _warn_unused_;
