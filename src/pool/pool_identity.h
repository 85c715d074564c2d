/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this host is and how it finds its pool, on its own disk (STATE/host.json): enough to come back with no database
 * and no coordinator. Written atomically; the one before is kept (host.prev.json) and used when the current one is
 * damaged. Loop thread; small local file.
 */
#pragma once

#include "base/error.h"
#include "base/uuid.h"

#define IDENTITY_MAX_HOSTS 256

/* What lies on this host's disk of the pool database. */
enum identity_database {
    IDENTITY_DB_NONE,  /* nothing: a relay, or a voter that has left in order */
    IDENTITY_DB_VOTER, /* a voter's log */
};

struct identity_host {
    struct uuid host;
    char address[64];
    bool voter;
};

struct identity {
    struct uuid host;
    struct uuid pool; /* null: not in a pool yet */
    struct uuid coordinator;
    int64_t epoch; /* of that coordinator: rows with a lower one are of the past */
    enum identity_database database;
    struct identity_host hosts[IDENTITY_MAX_HOSTS]; /* all of the pool as last known, this one included */
    unsigned n_hosts;
};

/*
 * Loads it. False with *errp when there is none (INTERNAL_ERROR text) or both generations are damaged; *ret_found says
 * which: false means that this host has never been anything. *ret_previous: the current file was damaged and the one
 * before was taken.
 */
bool identity_load(const char *state_dir, struct identity *ret, bool *ret_found, bool *ret_previous,
                   struct error **errp) _warn_unused_;
bool identity_save(const char *state_dir, const struct identity *id, struct error **errp) _warn_unused_;
const struct identity_host *identity_find(const struct identity *id, const struct uuid *host); /* NULL */
