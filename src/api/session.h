/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login sessions of this process. They live in memory only: a restart ends them and clients log in again. They end
 * after an idle time, and the least recently used goes when a new one would be one too many: of the same user and
 * originator, of the same user, or in all. Reference counted, so that a running call keeps its session's facts after a
 * logout. Loop thread only.
 */
#pragma once

#include "base/value.h"
#include "model/model.h"

#define SESSION_MAX_PER_ORIGINATOR 500
#define SESSION_MAX_TOTAL 20000
#define SESSION_MAX_PER_SUBJECT 500 /* of a user who is not root: nobody pushes others out under many originators */
#define SESSION_IDLE_MS (24ull * 3600 * 1000)
#define SESSION_IDLE_MIN_S 60
#define SESSION_IDLE_MAX_S (30 * 24 * 3600)

/* What a pool may set otherwise; 0: the default. */
struct session_limits {
    uint64_t idle_ms;      /* SESSION_IDLE_MS */
    unsigned max_per_user; /* of one user, whatever the originators say; SESSION_MAX_TOTAL */
};

struct sessions;

struct session {
    struct uuid uuid;
    char *user;
    char *originator;
    enum role role;
    bool is_local_only;  /* slave_local_login: for local calls of this host */
    bool is_pool;        /* another host of the pool */
    bool is_certificate; /* a client certificate took the place of a password */
    bool is_closed;      /* logged out or expired; only running calls still hold it */
    uint64_t last_use_ms;
    uint64_t ends_ms;    /* it ends then, used or not; 0: it does not */
    int64_t last_active; /* wall clock, seconds */
    int64_t validated;
    /*
     * Whom it rests on when it is not root's or the pool's own: the identifiers of the user and of the groups that the
     * directory named at the login (a set of texts, the user's first; else empty), the row of class subject that gives
     * the role, and the role that it has at most, whatever the rows say.
     */
    struct value identifiers;
    struct uuid subject;
    enum role most;
    uint64_t confirmed_ms; /* when the directory was last asked whether this is so */
    struct value other_config;
    void *event_queue; /* of events_legacy.c */
    unsigned n_refs;
};

typedef void session_closed_fn(struct session *s, void *userdata);

struct sessions *sessions_new(session_closed_fn *on_close, void *userdata);
void sessions_free(struct sessions *ss);
/* Holds for sessions that are there, too: a shorter idle time with the next look at each, a smaller number with the
 * next login. */
void sessions_set_limits(struct sessions *ss, const struct session_limits *limits);
/* A new session; borrowed from the table. `uuid` NULL: a random one. */
struct session *sessions_add(struct sessions *ss, const struct uuid *uuid, const char *user, const char *originator,
                             enum role role, uint64_t now_ms, int64_t now_wall);
/* NULL when unknown or expired; otherwise marks it as used. */
struct session *sessions_find(struct sessions *ss, const struct uuid *uuid, uint64_t now_ms, int64_t now_wall);
/* Before one is added for a user who is not root: the least recently used go until there is room for it. */
void sessions_make_room_for(struct sessions *ss, const char *user);
void sessions_close(struct sessions *ss, struct session *s);
/* Ends those that `pick` says true of. It may change the session, but looks at no other. */
typedef bool sessions_pick_fn(struct session *s, void *userdata);
void sessions_close_if(struct sessions *ss, sessions_pick_fn *pick, void *userdata);
void sessions_expire(struct sessions *ss, uint64_t now_ms);
/* Looks at every session; `fn` closes none. */
typedef void session_look_fn(const struct session *s, void *userdata);
void sessions_each(const struct sessions *ss, session_look_fn *fn, void *userdata);
size_t sessions_count(const struct sessions *ss);

/* Whether root is behind it, or the pool itself: neither a user with a role nor a client certificate. */
bool session_is_root(const struct session *s);
/* "user:NAME" of the user who logged in; "" of root and others. */
const char *session_identifier(const struct session *s);
/* s is of the same user as `of`, and rests on the same rows or certificate. */
void session_rest_as(struct session *s, const struct session *of);

struct session *session_ref(struct session *s);
void session_unref(struct session *s);
