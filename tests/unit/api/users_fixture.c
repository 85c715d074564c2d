/* SPDX-License-Identifier: Apache-2.0 */
#include "users_fixture.h"

#include "api/roles.h"
#include "api/session.h"
#include "api/subjects.h"
#include "api/call_private.h"
#include "auth/directory.h"
#include "auth/pam.h"
#include "base/str.h"
#include "classes/class_role.h"
#include "db/db_internal.h"
#include "gen_handlers.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static struct {
    const char *name;
    unsigned uid;
    const char *groups; /* NULL: there is no such user */
} users[] = {{"root", 0, "root"}, {"toor", 0, "root"}, {"alice", 1001, "staff,operators"}, {"bob", 1002, "staff"}};

static bool is_broken; /* it does not answer */

/* "broken" is a name at which the directory fails; it writes all names in lower case. */
static int directory(enum directory_kind kind, const char *name, struct directory_entry *ret) {
    if (str_eq(name, "broken"))
        return -EIO;
    if (kind == DIRECTORY_GROUP && (str_eq(name, "staff") || str_eq(name, "operators"))) {
        *ret = (struct directory_entry){.kind = kind, .name = xstrdup(name), .gecos = xstrdup(""), .gid = 50};
        return 1;
    }
    for (size_t i = 0; kind == DIRECTORY_USER && i < ARRAY_SIZE(users); i++) {
        if (strcasecmp(users[i].name, name) != 0 || !users[i].groups)
            continue;
        if (is_broken)
            return -EIO;
        struct strv groups = {0};
        strv_split(&groups, users[i].groups, ',');
        strv_take(&groups, NULL);
        *ret = (struct directory_entry){.kind = kind,
                                        .name = xstrdup(users[i].name),
                                        .gecos = xstrdup(i == 2 ? "Alice of the lab" : ""),
                                        .uid = users[i].uid,
                                        .gid = 50,
                                        .groups = groups.items};
        return 1;
    }
    return 0;
}

static bool backend(const char *user, const char *password, char **ret_reason) {
    bool ok = str_eq(password, "secret");
    *ret_reason = xstrdup(ok ? "" : "wrong");
    return ok;
}

int users_setup(void **state) {
    auth_set_backend(backend);
    directory_set_backend(directory);
    struct fx *fx = fx_new(2, 0, model_handlers);
    fx->db->status.has_quorum = true;
    class_role_make_defaults(fx->api);
    fx_settle(fx);
    fx_login(fx);
    *state = fx;
    return 0;
}

int users_teardown(void **state) {
    fx_free(*state);
    auth_set_backend(NULL);
    directory_set_backend(NULL);
    return 0;
}

const char *users_set_groups(const char *name, const char *groups) {
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        const char *before = users[i].groups;
        if (!str_eq(users[i].name, name))
            continue;
        users[i].groups = groups;
        return before;
    }
    fail_msg("there is no user '%s' in the table", name);
    return NULL;
}

void users_set_broken(bool broken) {
    is_broken = broken;
}

/* ---- what the tests share ---- */

struct answer *log_in(struct fx *fx, const char *user, const char *password) {
    char params[200];
    snprintf(params, sizeof(params), "[\"%s\", \"%s\", \"2.0\", \"test\"]", user, password);
    struct answer *a = fx_start(fx, /* remote= */ true, /* xml= */ false, "session.login_with_password", params);
    fx_settle(fx);
    return a;
}

char *session_of(struct fx *fx, const char *user) {
    struct answer *a = log_in(fx, user, "secret");
    assert_true(a->is_there);
    if (a->error)
        fail_msg("%s: %s", user, error_text(a->error));
    char *session = xstrndup(a->json + 1, strlen(a->json) - 2);
    answer_free(a);
    return session;
}

char *call_as(struct fx *fx, const char *session, const char *method, const char *more) {
    char params[512];
    snprintf(params, sizeof(params), "[\"%s\"%s]", session, more);
    struct answer *a = fx_start(fx, true, false, method, params);
    for (uint64_t end = loop_sim_now_ms(fx->sim) + 60000; !a->is_there && loop_sim_next(fx->sim, end);)
        ;
    assert_true(a->is_there);
    struct buf out = BUF_INIT;
    buf_add_str(&out, a->error ? error_code(a->error) : a->json);
    for (size_t i = 0; a->error && i < error_n_params(a->error); i++)
        buf_addf(&out, " %s", error_param(a->error, i));
    answer_free(a);
    return buf_take(&out);
}

void expect(struct fx *fx, const char *session, const char *method, const char *more, const char *begins) {
    _cleanup_free_ char *said = call_as(fx, session, method, more);
    if (!str_starts(said, begins))
        fail_msg("%s: '%s', not '%s'", method, said, begins);
}

struct uuid add_subject(struct fx *fx, const char *identifier) {
    fx_call(fx, "subject.create", "[$S, {\"subject_identifier\": \"%s\"}]", identifier);
    return subject_uuid(identifier);
}

void give(struct fx *fx, const struct uuid *subject, enum role role) {
    fx_call(fx, "subject.add_to_roles", "[$S, \"%s\", \"%s\"]", fx_ref(subject), fx_ref(role_uuid(role)));
}

void take(struct fx *fx, const struct uuid *subject, enum role role) {
    fx_call(fx, "subject.remove_from_roles", "[$S, \"%s\", \"%s\"]", fx_ref(subject), fx_ref(role_uuid(role)));
}

enum role role_now(struct fx *fx, const char *session) {
    struct uuid u;
    assert_true(ref_parse(session, &u));
    const struct session *s = sessions_find(fx->api->sessions, &u, loop_sim_now_ms(fx->sim), 1);
    assert_non_null(s);
    return s->role;
}
