/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login sessions of this process. They live in memory only: a restart ends them and clients log in again. Idle limit
 * 24 hours; at most SESSION_MAX_PER_ORIGINATOR per originator and user, the least recently used goes first. Reference
 * counted, so that a running call keeps its session's facts after a logout. Loop thread only.
 */
#pragma once

#include "base/value.h"
#include "model/model.h"

#define SESSION_MAX_PER_ORIGINATOR 500
#define SESSION_MAX_TOTAL 20000
#define SESSION_IDLE_MS (24ull * 3600 * 1000)

struct sessions;

struct session {
    struct uuid uuid;
    char *user;
    char *originator;
    enum role role;
    bool is_local_only; /* slave_local_login: for local calls of this host */
    bool is_pool;       /* another host of the pool */
    bool is_closed;     /* logged out or expired; only running calls still hold it */
    uint64_t last_use_ms;
    int64_t last_active; /* wall clock, seconds */
    int64_t validated;
    struct value other_config;
    void *event_queue; /* of events_legacy.c */
    unsigned n_refs;
};

typedef void session_closed_fn(struct session *s, void *userdata);

struct sessions *sessions_new(session_closed_fn *on_close, void *userdata);
void sessions_free(struct sessions *ss);
/* A new session; borrowed from the table. `uuid` NULL: a random one. */
struct session *sessions_add(struct sessions *ss, const struct uuid *uuid, const char *user, const char *originator,
                             enum role role, uint64_t now_ms, int64_t now_wall);
/* NULL when unknown or expired; otherwise marks it as used. */
struct session *sessions_find(struct sessions *ss, const struct uuid *uuid, uint64_t now_ms, int64_t now_wall);
void sessions_close(struct sessions *ss, struct session *s);
void sessions_expire(struct sessions *ss, uint64_t now_ms);
size_t sessions_count(const struct sessions *ss);

struct session *session_ref(struct session *s);
void session_unref(struct session *s);
