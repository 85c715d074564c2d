/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as XML-RPC text, the form that task.result has for every client: "<value>...</value>". Strings, ints,
 * references are bare text, booleans, floats and times have their tags. Any thread.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

void value_xml_emit(struct buf *out, const struct value *v);
/* Escapes & < > and the double quote; drops what XML cannot carry; bytes that are no UTF-8 become U+FFFD. */
void xml_emit_text(struct buf *out, const char *s);
/* Text of a task result; caller frees. */
char *value_xml_text(const struct value *v);
/* Parses "<value>..</value>". No DTD, no entities but the five, limited depth and number of values. */
bool value_xml_parse(const char *text, size_t size, unsigned max_depth, size_t max_values, struct value *ret,
                     struct error **errp) _warn_unused_;
