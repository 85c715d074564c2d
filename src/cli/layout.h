/* SPDX-License-Identifier: Apache-2.0 */
/* How xe lays out what it prints: records, the one line of --minimal, tables. Texts in, text out; pure. */
#pragma once

#include "base/buf.h"
#include "model/cli_table.h"

/*
 * One record, as XenServer's xe prints it: the first label begins the line, the others end at the same column, four
 * behind the longest; two empty lines follow.
 */
void layout_record(struct buf *out, const struct cli_field *const *fields, char *const *texts, unsigned n);
/* One value of the line that --minimal prints: a comma in front of all but the first, commas and backslashes in it
 * escaped. */
void layout_minimal(struct buf *out, const char *text, bool is_first);
/* Rows of n_columns texts under a head, columns as wide as they need. */
void layout_table(struct buf *out, const char *const *head, unsigned n_columns, char *const *texts, unsigned n_rows);
