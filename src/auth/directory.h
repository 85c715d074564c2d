/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and groups of this host's operating system, as NSS has them: its files, and whatever else is configured there
 * (LDAP by SSSD, for one). They are known by name, not by number, so that hosts agree: "user:alice", "group:staff"
 * (docs/decisions/0026). NSS may take its time, so it is asked in a worker thread, one question at a time.
 */
#pragma once

#include "base/macro.h"
#include "loop/worker.h"

#define DIRECTORY_NAME_MAX 127
#define DIRECTORY_MAX_GROUPS 256
#define DIRECTORY_MAX_PENDING 64 /* questions that wait at a time */

enum directory_kind { DIRECTORY_USER, DIRECTORY_GROUP };

struct directory_entry {
    enum directory_kind kind;
    char *name;        /* as the directory writes it */
    char *gecos;       /* what it says of a user; "" for a group */
    unsigned uid, gid; /* uid of a user only */
    char **groups;     /* names of a user's groups, NULL-terminated; NULL for a group */
};
void directory_entry_done(struct directory_entry *e);
#define _cleanup_directory_entry_ _cleanup_(directory_entry_done)

/* "user:NAME" or "group:NAME"; the caller frees. */
char *directory_identifier(enum directory_kind kind, const char *name);
/* The name in an identifier, borrowed; NULL when it is none. */
const char *directory_identifier_name(const char *identifier, enum directory_kind *ret_kind);

/* 1: it is there, 0: it is not, negative errno: that cannot be said now. Blocks: for worker threads. */
int directory_read(enum directory_kind kind, const char *name, struct directory_entry *ret);

/* `e` is borrowed, and only there when r is 1. Loop thread. */
typedef void directory_done_fn(int r, const struct directory_entry *e, void *userdata);
/*
 * Looks for an identifier, or for a name: of a user, else of a group. `done` runs later, once. False when too many wait
 * already, and it does not run then. Loop thread.
 */
bool directory_ask(struct worker *w, const char *text, directory_done_fn *done, void *userdata) _warn_unused_;

/* Replaces NSS by a function of directory_read's meaning; for tests. NULL brings NSS back. Any thread. */
typedef int directory_backend_fn(enum directory_kind kind, const char *name, struct directory_entry *ret);
void directory_set_backend(directory_backend_fn *fn);
