/* SPDX-License-Identifier: Apache-2.0 */
#include "api/subjects.h"

#include <limits.h>

#include "api/call_private.h"
#include "api/roles.h"
#include "auth/directory.h"
#include "base/str.h"
#include "gen_handlers.h"

#define LOG_MODULE "audit"
#include "base/log.h"

/* The name space of subjects, chosen once at random. */
static const struct uuid subject_space = {
    {0x2d, 0x91, 0x5b, 0xf4, 0xa0, 0x37, 0x4c, 0xe8, 0x8b, 0x1f, 0x6a, 0xd2, 0x70, 0x4e, 0xc9, 0x15}};

struct uuid subject_uuid(const char *identifier) {
    return uuid_derive(&subject_space, identifier);
}

bool subject_role(const struct row *subject, enum role *ret) {
    const struct value *roles = row_value(subject, FIELD_subject_roles);
    bool has_one = false;
    for (size_t i = 0; i < roles->set.n; i++) {
        enum role role;
        if (!role_by_uuid(&roles->set.items[i].ref, &role) || (has_one && role <= *ret))
            continue;
        *ret = role;
        has_one = true;
    }
    return has_one;
}

/* The strongest of what the rows of these identifiers give. */
static bool find(struct db *d, const struct value *identifiers, enum role *ret_role, struct uuid *ret_subject) {
    bool has_one = false;
    for (size_t i = 0; i < identifiers->set.n; i++) {
        struct uuid u = subject_uuid(value_str(&identifiers->set.items[i]));
        const struct row *row = db_get(d, CLASS_subject, &u);
        enum role role;
        if (!row || !subject_role(row, &role) || (has_one && role <= *ret_role))
            continue;
        *ret_role = role;
        *ret_subject = u;
        has_one = true;
    }
    return has_one;
}

static struct value identifiers_of(const char *user, char *const *groups) {
    struct value v = value_set();
    value_set_add(&v, value_string_take(directory_identifier(DIRECTORY_USER, user)));
    for (size_t i = 0; groups && groups[i]; i++)
        value_set_add(&v, value_string_take(directory_identifier(DIRECTORY_GROUP, groups[i])));
    return v;
}

bool subject_right_of(struct api *a, const struct auth_pam_result *r, struct subject_right *ret) {
    struct subject_right right = {.identifiers = identifiers_of(r->user, r->groups)};
    /* An account that the directory does not know has no name to be known by. */
    if (r->uid != UINT_MAX && find(api_db(a), &right.identifiers, &right.role, &right.subject)) {
        *ret = right;
        return true;
    }
    subject_right_done(&right);
    return false;
}

void subject_right_done(struct subject_right *right) {
    value_done(&right->identifiers);
}

char *subject_cure(const char *user) {
    return strf("'%s' has no role in this pool; give one with xe subject-add subject-name=%s and xe subject-role-add",
                user, user);
}

void subject_right_give(struct session *s, struct subject_right *right) {
    value_done(&s->identifiers);
    s->identifiers = value_take(&right->identifiers);
    s->subject = right->subject;
    s->most = ROLE_POOL_ADMIN;
    s->role = right->role;
}

/* ---- sessions follow ---- */

static bool has_lost_its_role(struct session *s, void *userdata) {
    struct api *a = userdata;
    enum role role;
    if (!s->identifiers.set.n)
        return false;
    if (!find(api_db(a), &s->identifiers, &role, &s->subject)) {
        log_info("a session of user '%s' ends: no subject gives it a role any more", s->user);
        return true;
    }
    role = MIN(role, s->most);
    if (role != s->role)
        log_info("a session of user '%s' has role '%s' now", s->user, model_role_names[role]);
    s->role = role;
    return false;
}

static void on_subject(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct api *a = userdata;
    sessions_close_if(a->sessions, has_lost_its_role, a);
}

struct db_watch *subjects_watch(struct api *a) {
    return db_watch_add(api_db(a), CLASS_subject, on_subject, a);
}

/* ---- and the directory ---- */

struct confirming {
    struct api *api;
    char *identifier;
    int r; /* what the directory said, and of whom when it is 1 */
    const struct directory_entry *entry;
};

static bool is_gone(struct session *s, void *userdata) {
    const struct confirming *q = userdata;
    struct loop *l = api_loop(q->api);
    if (!str_eq(session_identifier(s), q->identifier))
        return false;
    if (q->r == 0) {
        log_info("a session of user '%s' ends: the system does not know the user any more", s->user);
        return true;
    }
    value_done(&s->identifiers);
    s->identifiers = identifiers_of(q->entry->name, q->entry->groups);
    s->validated = loop_wall_ms(l) / 1000;
    return has_lost_its_role(s, q->api);
}

static void on_confirmed(int r, const struct directory_entry *e, void *userdata) {
    struct confirming *q = userdata;
    q->r = r;
    q->entry = e;
    if (r >= 0)
        sessions_close_if(q->api->sessions, is_gone, q);
    else
        log_warn("user '%s' cannot be looked up now (%s); sessions go on", q->identifier, strerror(-r));
    free(q->identifier);
    free(q);
}

struct stale {
    struct strv identifiers;
    uint64_t now_ms;
};

static bool note_stale(struct session *s, void *userdata) {
    struct stale *stale = userdata;
    const char *identifier = session_identifier(s);
    if (!*identifier || stale->now_ms - s->confirmed_ms < SUBJECT_CONFIRM_MS)
        return false;
    s->confirmed_ms = stale->now_ms; /* asked once, however long the answer takes */
    if (!strv_has(&stale->identifiers, identifier))
        strv_add(&stale->identifiers, identifier);
    return false;
}

void subjects_confirm(struct api *a) {
    struct stale stale = {.now_ms = loop_now_ms(api_loop(a))};
    sessions_close_if(a->sessions, note_stale, &stale);
    for (size_t i = 0; i < stale.identifiers.n; i++) {
        struct confirming *q = xnew0(struct confirming);
        *q = (struct confirming){.api = a, .identifier = xstrdup(stale.identifiers.items[i])};
        if (directory_ask(a->config.worker, q->identifier, on_confirmed, q))
            continue;
        free(q->identifier); /* the next time */
        free(q);
    }
    strv_done(&stale.identifiers);
}

/* ---- calls of class session ---- */

static void add_identifier(const struct session *s, void *userdata) {
    struct value *all = userdata;
    _cleanup_value_ struct value v = value_string(session_identifier(s));
    if (*value_str(&v) && !value_set_has(all, &v))
        value_set_add(all, value_take(&v));
}

void session_get_all_subject_identifiers(struct call *c) {
    struct value all = value_set();
    sessions_each(c->api->sessions, add_identifier, &all);
    call_return(c, all);
}

/* The session that makes the call goes on: it has an answer to take. */
static bool is_of_subject(struct session *s, void *userdata) {
    struct call *c = userdata;
    return s != c->session && *session_identifier(s) && str_eq(session_identifier(s), call_arg_str(c, 0));
}

void session_logout_subject_identifier(struct call *c) {
    sessions_close_if(c->api->sessions, is_of_subject, c);
    call_return_void(c);
}
