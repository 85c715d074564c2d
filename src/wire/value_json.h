/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as JSON text. Emission is our own, straight into a buffer: strings, references ("OpaqueRef:..."), enums and
 * times as JSON strings, ints as plain digits, floats with %.16g (17 digits where 16 would lose something; NaN and
 * Infinity bare, as XenServer does), void as "". Bytes that are no UTF-8 become U+FFFD. Parsing is json_read.c.
 * Any thread.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

void value_json_emit(struct buf *out, const struct value *v);
void json_emit_string(struct buf *out, const char *s); /* with its quotes; NULL is "" */
void json_emit_string_n(struct buf *out, const char *s, size_t size);
void json_emit_int(struct buf *out, int64_t i);
void json_emit_float(struct buf *out, double d);

/*
 * One JSON value of any kind with nothing behind it. Refused with INTERNAL_ERROR: bad syntax, bad UTF-8, a NUL in a
 * string, a duplicate key, an int beyond 64 bits, more than max_depth levels or max_values values. null becomes
 * VALUE_VOID.
 */
bool value_json_parse(const char *text, size_t size, unsigned max_depth, size_t max_values, struct value *ret,
                      struct error **errp) _warn_unused_;
/* Only the limits, without building anything: a quick look over text that comes from outside. */
bool json_within_limits(const char *text, size_t size, unsigned max_depth, size_t max_values);
