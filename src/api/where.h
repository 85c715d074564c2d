/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter expressions of get_all_where and get_all_records_where: `field "name_label" = "x" and not (field "VLAN" =
 * "-1")`. Parsed once, with the field names already resolved, then matched against rows. Values compare as text:
 * booleans are "true" and "false", references "OpaqueRef:...", times in the wire's form; sets and maps cannot be
 * compared. Text, nodes and nesting are limited, so a stranger's expression costs little. Any thread; no I/O.
 */
#pragma once

#include "base/error.h"
#include "db/db.h"

#define WHERE_MAX_TEXT (16 * 1024)
#define WHERE_MAX_NODES 1024
#define WHERE_MAX_DEPTH 64

struct where;

/* NULL with INVALID_VALUE ["expr", what is wrong] when the text is not an expression over fields of `class`. */
struct where *where_parse(const struct class_def *class, const char *text, struct error **errp) _warn_unused_;
bool where_match(const struct where *w, const struct row *r);
void where_free(struct where *w); /* accepts NULL */
DEFINE_CLEANUP(struct where *, where_free)
