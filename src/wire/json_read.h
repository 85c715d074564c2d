/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON text in one pass, inside limits, into values: the strict grammar of RFC 8259, and nothing that two
 * readers could read in two ways. What value_json_parse refuses (value_json.h) is refused here. Inside of src/wire; any
 * thread.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

struct json_reader {
    const char *begin, *p, *end;
    unsigned depth, max_depth;
    size_t n_values, max_values;
    const char *complaint; /* why it failed, at p; NULL while all is well */
};

void json_reader_init(struct json_reader *r, const char *text, size_t size, unsigned max_depth, size_t max_values);
/* Past white space, whether this character comes next; takes it. */
bool json_read_char(struct json_reader *r, char c) _warn_unused_;
/* The next value, string or member of an object up to its colon; false with a complaint. Strings are the caller's. */
bool json_read_value(struct json_reader *r, struct value *ret) _warn_unused_;
char *json_read_string(struct json_reader *r);
char *json_read_key(struct json_reader *r);
/* After a value inside brackets: true when another follows, false at the closing one or with a complaint. */
bool json_read_more(struct json_reader *r, char close);
/* Nothing but white space is left. */
bool json_read_end(struct json_reader *r) _warn_unused_;
bool json_reader_fail(struct json_reader *r, const char *complaint); /* false; the first complaint stays */
void json_reader_error(const struct json_reader *r, struct error **errp);
