/* SPDX-License-Identifier: Apache-2.0 */
#include "api/session.h"

#include "base/str.h"
#include "base/strmap.h"

/* A client may send any originator; what is longer is cut. */
#define MAX_LABEL 128

struct sessions {
    struct uuidmap *by_uuid;
    session_closed_fn *on_close;
    void *userdata;
    struct session_limits limits;
};

struct sessions *sessions_new(session_closed_fn *on_close, void *userdata) {
    struct sessions *ss = xnew0(struct sessions);
    ss->by_uuid = uuidmap_new();
    ss->on_close = on_close;
    ss->userdata = userdata;
    sessions_set_limits(ss, &(struct session_limits){0});
    return ss;
}

void sessions_set_limits(struct sessions *ss, const struct session_limits *limits) {
    ss->limits = *limits;
    if (!ss->limits.idle_ms)
        ss->limits.idle_ms = SESSION_IDLE_MS;
    if (!ss->limits.max_per_user)
        ss->limits.max_per_user = SESSION_MAX_TOTAL;
}

void sessions_free(struct sessions *ss) {
    if (!ss)
        return;
    size_t pos = 0;
    struct uuid key;
    void *s;
    while (uuidmap_next(ss->by_uuid, &pos, &key, &s)) {
        if (ss->on_close)
            ss->on_close(s, ss->userdata);
        session_unref(s);
    }
    uuidmap_free(ss->by_uuid);
    free(ss);
}

/* The least recently used session; only those of one user when it is given, and of one originator likewise. */
static struct session *oldest(struct sessions *ss, const char *user, const char *originator, size_t *ret_n) {
    struct session *found = NULL;
    size_t pos = 0, n = 0;
    struct uuid key;
    void *p;
    while (uuidmap_next(ss->by_uuid, &pos, &key, &p)) {
        struct session *s = p;
        if ((user && !str_eq(s->user, user)) || (originator && !str_eq(s->originator, originator)))
            continue;
        n++;
        if (!found || s->last_use_ms < found->last_use_ms)
            found = s;
    }
    *ret_n = n;
    return found;
}

/* Closes the oldest ones of those until fewer than `max` are left. */
static void make_room(struct sessions *ss, const char *user, const char *originator, size_t max) {
    size_t n;
    for (struct session *s = oldest(ss, user, originator, &n); s && n >= max; s = oldest(ss, user, originator, &n))
        sessions_close(ss, s);
}

struct session *sessions_add(struct sessions *ss, const struct uuid *uuid, const char *user, const char *originator,
                             enum role role, uint64_t now_ms, int64_t now_wall) {
    struct session *s = xnew0(struct session);
    s->uuid = uuid ? *uuid : uuid_random();
    s->user = xstrndup(user, MAX_LABEL);
    s->originator = xstrndup(str_or_empty(originator), MAX_LABEL);
    s->role = role;
    s->last_use_ms = s->confirmed_ms = now_ms;
    s->last_active = s->validated = now_wall;
    s->other_config = value_map();
    s->identifiers = value_set();
    s->most = role;
    s->n_refs = 1;

    make_room(ss, s->user, s->originator, SESSION_MAX_PER_ORIGINATOR);
    if (ss->limits.max_per_user < SESSION_MAX_TOTAL)
        make_room(ss, s->user, /* originator= */ NULL, ss->limits.max_per_user);
    if (uuidmap_size(ss->by_uuid) >= SESSION_MAX_TOTAL)
        make_room(ss, /* user= */ NULL, /* originator= */ NULL, SESSION_MAX_TOTAL);
    struct session *same = uuidmap_get(ss->by_uuid, &s->uuid);
    if (same)
        sessions_close(ss, same);
    uuidmap_put(ss->by_uuid, &s->uuid, s);
    return s;
}

static bool is_over(const struct sessions *ss, const struct session *s, uint64_t now_ms) {
    return now_ms - s->last_use_ms > ss->limits.idle_ms || (s->ends_ms && now_ms >= s->ends_ms);
}

struct session *sessions_find(struct sessions *ss, const struct uuid *uuid, uint64_t now_ms, int64_t now_wall) {
    struct session *s = uuidmap_get(ss->by_uuid, uuid);
    if (!s)
        return NULL;
    if (is_over(ss, s, now_ms)) {
        sessions_close(ss, s);
        return NULL;
    }
    s->last_use_ms = now_ms;
    s->last_active = now_wall;
    return s;
}

void sessions_make_room_for(struct sessions *ss, const char *user) {
    make_room(ss, user, /* originator= */ NULL, SESSION_MAX_PER_SUBJECT);
}

void sessions_close(struct sessions *ss, struct session *s) {
    if (s->is_closed)
        return;
    s->is_closed = true;
    uuidmap_remove(ss->by_uuid, &s->uuid);
    if (ss->on_close)
        ss->on_close(s, ss->userdata);
    session_unref(s);
}

void sessions_close_if(struct sessions *ss, sessions_pick_fn *pick, void *userdata) {
    /* Collected first: closing calls back into code that may look at the table. */
    struct uuid *picked = NULL;
    size_t n = 0, pos = 0;
    struct uuid key;
    void *p;
    while (uuidmap_next(ss->by_uuid, &pos, &key, &p)) {
        if (!pick(p, userdata))
            continue;
        picked = xrealloc_array(picked, n + 1, sizeof(*picked));
        picked[n++] = key;
    }
    for (size_t i = 0; i < n; i++) {
        struct session *s = uuidmap_get(ss->by_uuid, &picked[i]);
        if (s)
            sessions_close(ss, s);
    }
    free(picked);
}

struct moment {
    const struct sessions *ss;
    uint64_t now_ms;
};

static bool pick_over(struct session *s, void *userdata) {
    const struct moment *m = userdata;
    return is_over(m->ss, s, m->now_ms);
}

void sessions_expire(struct sessions *ss, uint64_t now_ms) {
    struct moment now = {ss, now_ms};
    sessions_close_if(ss, pick_over, &now);
}

void sessions_each(const struct sessions *ss, session_look_fn *fn, void *userdata) {
    size_t pos = 0;
    struct uuid key;
    void *p;
    while (uuidmap_next(ss->by_uuid, &pos, &key, &p))
        fn(p, userdata);
}

size_t sessions_count(const struct sessions *ss) {
    return uuidmap_size(ss->by_uuid);
}

bool session_is_root(const struct session *s) {
    return !s->identifiers.set.n && !s->is_certificate;
}

const char *session_identifier(const struct session *s) {
    return s->identifiers.set.n ? value_str(&s->identifiers.set.items[0]) : "";
}

void session_rest_as(struct session *s, const struct session *of) {
    value_done(&s->identifiers);
    s->identifiers = value_copy(&of->identifiers);
    s->subject = of->subject;
    s->is_certificate = of->is_certificate;
}

struct session *session_ref(struct session *s) {
    s->n_refs++;
    return s;
}

void session_unref(struct session *s) {
    if (!s || --s->n_refs)
        return;
    free(s->user);
    free(s->originator);
    value_done(&s->other_config);
    value_done(&s->identifiers);
    free(s);
}
