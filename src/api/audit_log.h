/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log on this host's disk: one line for each change that was asked of its API, with the time in UTC before
 * it. At AUDIT_LOG_MAX bytes the file becomes FILE.1 (the one before that goes), so that two of them is all there ever
 * is. Lines are not synced one by one: a power cut may take the last seconds. Not thread-safe, but for audit_log_read.
 */
#pragma once

#include "base/buf.h"

#define AUDIT_LOG_MAX (4 * 1024 * 1024)
#define AUDIT_TIME_SIZE 24 /* "20261129T18:19:14.123Z" and room */

struct audit_log;

/* Opens at the first line. `path` is copied. */
struct audit_log *audit_log_new(const char *path);
void audit_log_free(struct audit_log *l); /* accepts NULL */
const char *audit_log_path(const struct audit_log *l);
/* A disk that does not take it is warned of once; the line is in the daemon's log all the same. */
void audit_log_add(struct audit_log *l, int64_t wall_ms, const char *line);

/*
 * A time as lines begin with it, from "20261129T18:19:14Z", "2026-11-29T18:19:14.123" or a beginning of those that has
 * the day at least; "" for "". Pure. False for what is no time.
 */
bool audit_log_parse_since(const char *text, char ret[static AUDIT_TIME_SIZE]) _warn_unused_;
/* Both files, the older first, from the first line that is not before `since` ("": all). Blocking; any thread. */
void audit_log_read(const char *path, const char *since, struct buf *ret);
