/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users who are not root: who may log in, with which role, what that lets them do, and how sessions follow when it
 * changes. The directory and the passwords are tables of this file.
 */
#include "api/call_private.h"
#include "api/roles.h"
#include "api/subjects.h"
#include "api_fixture.h"
#include "auth/directory.h"
#include "auth/pam.h"
#include "auth/throttle.h"
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

static const struct {
    const char *name;
    unsigned uid;
    const char *groups;
} users[] = {{"root", 0, "root"}, {"toor", 0, "root"}, {"alice", 1001, "staff,operators"}, {"bob", 1002, "staff"}};

/* "broken" is a name at which the directory fails; it writes all names in lower case. */
static int directory(enum directory_kind kind, const char *name, struct directory_entry *ret) {
    if (str_eq(name, "broken"))
        return -EIO;
    if (kind == DIRECTORY_GROUP && (str_eq(name, "staff") || str_eq(name, "operators"))) {
        *ret = (struct directory_entry){.kind = kind, .name = xstrdup(name), .gecos = xstrdup(""), .gid = 50};
        return 1;
    }
    for (size_t i = 0; kind == DIRECTORY_USER && i < ARRAY_SIZE(users); i++) {
        if (strcasecmp(users[i].name, name) != 0)
            continue;
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

static int setup(void **state) {
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

static int teardown(void **state) {
    fx_free(*state);
    auth_set_backend(NULL);
    directory_set_backend(NULL);
    return 0;
}

/* ---- helpers ---- */

static struct answer *log_in(struct fx *fx, const char *user, const char *password) {
    char params[200];
    snprintf(params, sizeof(params), "[\"%s\", \"%s\", \"2.0\", \"test\"]", user, password);
    struct answer *a = fx_start(fx, /* remote= */ true, /* xml= */ false, "session.login_with_password", params);
    fx_settle(fx);
    return a;
}

/* The session that this user gets; the caller frees. */
static char *session_of(struct fx *fx, const char *user) {
    struct answer *a = log_in(fx, user, "secret");
    assert_true(a->is_there);
    if (a->error)
        fail_msg("%s: %s", user, error_text(a->error));
    char *session = xstrndup(a->json + 1, strlen(a->json) - 2);
    answer_free(a);
    return session;
}

/* What a call over the network ends with: its result, or "CODE p1 p2". The caller frees. */
static char *call_as(struct fx *fx, const char *session, const char *method, const char *more) {
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

static void expect(struct fx *fx, const char *session, const char *method, const char *more, const char *begins) {
    _cleanup_free_ char *said = call_as(fx, session, method, more);
    if (!str_starts(said, begins))
        fail_msg("%s: '%s', not '%s'", method, said, begins);
}

static struct uuid add_subject(struct fx *fx, const char *identifier) {
    fx_call(fx, "subject.create", "[$S, {\"subject_identifier\": \"%s\"}]", identifier);
    return subject_uuid(identifier);
}

static void give(struct fx *fx, const struct uuid *subject, enum role role) {
    fx_call(fx, "subject.add_to_roles", "[$S, \"%s\", \"%s\"]", fx_ref(subject), fx_ref(role_uuid(role)));
}

static void take(struct fx *fx, const struct uuid *subject, enum role role) {
    fx_call(fx, "subject.remove_from_roles", "[$S, \"%s\", \"%s\"]", fx_ref(subject), fx_ref(role_uuid(role)));
}

static enum role role_now(struct fx *fx, const char *session) {
    struct uuid u;
    assert_true(ref_parse(session, &u));
    const struct session *s = sessions_find(fx->api->sessions, &u, loop_sim_now_ms(fx->sim), 1);
    assert_non_null(s);
    return s->role;
}

/* ---- logging in ---- */

static void assert_refused(struct fx *fx, const char *user, const char *because) {
    struct answer *a = log_in(fx, user, "secret");
    assert_true(a->is_there && error_is(a->error, ERR_SESSION_AUTHORIZATION_FAILED));
    assert_string_equal(error_param(a->error, 0), user);
    assert_non_null(strstr(error_param(a->error, 1), because));
    answer_free(a);
}

static void test_login(void **state) {
    struct fx *fx = *state;
    assert_refused(fx, "alice", "xe subject-add subject-name=alice");
    struct uuid alice = add_subject(fx, "user:alice");
    assert_refused(fx, "alice", "xe subject-role-add"); /* known, without a role */
    give(fx, &alice, ROLE_VM_OPERATOR);
    _cleanup_free_ char *s = session_of(fx, "alice");
    assert_int_equal(role_now(fx, s), ROLE_VM_OPERATOR);
    assert_refused(fx, "bob", "no role");
    assert_refused(fx, "stranger", "no role"); /* PAM knows it, the directory does not */
    struct answer *wrong = log_in(fx, "alice", "guess");
    assert_false(wrong->is_there);
    loop_sim_advance(fx->sim, THROTTLE_DELAY_MS);
    assert_true(error_is(wrong->error, ERR_SESSION_AUTHENTICATION_FAILED));
    answer_free(wrong);

    struct answer *local =
        fx_start(fx, true, false, "session.slave_local_login_with_password", "[\"alice\", \"secret\"]");
    fx_settle(fx);
    assert_true(error_is(local->error, ERR_SESSION_AUTHORIZATION_FAILED));
    answer_free(local);
}

static void test_record(void **state) {
    struct fx *fx = *state;
    char self[REF_TEXT_SIZE + 8];
    struct uuid alice = add_subject(fx, "user:alice");
    give(fx, &alice, ROLE_VM_OPERATOR);
    _cleanup_free_ char *s = session_of(fx, "ALICE"); /* the directory's way of writing it counts */
    snprintf(self, sizeof(self), ", \"%s\"", s);
    expect(fx, s, "session.get_auth_user_name", self, "\"alice\"");
    expect(fx, s, "session.get_auth_user_sid", self, "\"user:alice\"");
    expect(fx, s, "session.get_is_local_superuser", self, "false");
    expect(fx, s, "session.get_client_certificate", self, "false");
    _cleanup_free_ char *subject = call_as(fx, s, "session.get_subject", self);
    assert_non_null(strstr(subject, fx_ref(&alice)));
    _cleanup_free_ char *permissions = call_as(fx, s, "session.get_rbac_permissions", self);
    assert_non_null(strstr(permissions, "\"vm.start\""));
    assert_non_null(strstr(permissions, "\"http/connect_console\""));
    assert_null(strstr(permissions, "\"network.create\""));

    /* Root needs no list, whatever its name is. */
    assert_string_equal(fx_call(fx, "session.get_rbac_permissions", "[$S, $S]"), "[]");
    assert_string_equal(fx_call(fx, "session.get_auth_user_sid", "[$S, $S]"), "\"\"");
    _cleanup_free_ char *toor = session_of(fx, "toor");
    snprintf(self, sizeof(self), ", \"%s\"", toor);
    expect(fx, toor, "session.get_is_local_superuser", self, "true");
    assert_int_equal(role_now(fx, toor), ROLE_POOL_ADMIN);
}

static void test_strongest_counts(void **state) {
    struct fx *fx = *state;
    struct uuid staff = add_subject(fx, "group:staff"), operators = add_subject(fx, "group:operators"),
                alice = add_subject(fx, "user:alice");
    give(fx, &staff, ROLE_READ_ONLY);
    give(fx, &operators, ROLE_POOL_OPERATOR);
    give(fx, &operators, ROLE_VM_ADMIN);
    give(fx, &alice, ROLE_VM_OPERATOR);
    _cleanup_free_ char *a = session_of(fx, "alice"), *b = session_of(fx, "bob");
    assert_int_equal(role_now(fx, a), ROLE_POOL_OPERATOR);
    assert_int_equal(role_now(fx, b), ROLE_READ_ONLY);
    /* A group and a user of one name are two. */
    struct uuid named = subject_uuid("user:staff"), other = subject_uuid("group:staff");
    assert_false(uuid_eq(&named, &other));
}

/* ---- what a role lets do ---- */

static const struct {
    const char *method, *args;
    enum role needed;
} trials[] = {
    {"VM.get_all", "", ROLE_READ_ONLY},
    {"subject.get_all_records", "", ROLE_READ_ONLY},
    {"VM.start", ", [], false, false", ROLE_VM_OPERATOR},
    {"VM.set_name_label", ", [], \"x\"", ROLE_VM_ADMIN},
    {"VM.pool_migrate", ", [], [], {}", ROLE_VM_POWER_ADMIN},
    {"network.create", ", []", ROLE_VM_ADMIN},
    {"host.disable", ", []", ROLE_POOL_OPERATOR},
    {"secret.get_all_records", "", ROLE_POOL_OPERATOR},
    {"session.logout_subject_identifier", ", \"user:nobody\"", ROLE_POOL_OPERATOR},
    {"subject.create", ", []", ROLE_POOL_ADMIN},
    {"subject.destroy", ", []", ROLE_POOL_ADMIN},
    {"subject.add_to_roles", ", [], []", ROLE_POOL_ADMIN},
};

/* Every role by way of a login, and what the session says of itself agrees with what it may do. */
static void test_each_role(void **state) {
    struct fx *fx = *state;
    struct uuid alice = add_subject(fx, "user:alice");
    for (unsigned role = 0; role < ROLES_N; role++) {
        give(fx, &alice, (enum role)role);
        _cleanup_free_ char *s = session_of(fx, "alice");
        char self[REF_TEXT_SIZE + 8];
        snprintf(self, sizeof(self), ", \"%s\"", s);
        _cleanup_free_ char *permissions = call_as(fx, s, "session.get_rbac_permissions", self);
        for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
            _cleanup_free_ char *said = call_as(fx, s, trials[i].method, trials[i].args);
            bool may = !str_starts(said, ERR_RBAC_PERMISSION_DENIED);
            if (may != (role >= trials[i].needed))
                fail_msg("%s as %s: %s", trials[i].method, model_role_names[role], said);
            _cleanup_free_ char *name = strf("\"%s\"", trials[i].method);
            for (char *p = name; *p; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
            assert_int_equal(strstr(permissions, name) != NULL, may);
        }
        take(fx, &alice, (enum role)role);
    }
}

/* What speaks for a user on the host's own socket has the user's role, not root's. */
static void test_local_speaks_for_user(void **state) {
    struct fx *fx = *state;
    struct uuid alice = add_subject(fx, "user:alice");
    give(fx, &alice, ROLE_VM_OPERATOR);
    _cleanup_free_ char *s = session_of(fx, "alice");
    fx_call(fx, "VM.get_all", "[\"%s\"]", s);
    assert_true(str_starts(fx_fail(fx, "host.disable", "[\"%s\", []]", s), ERR_RBAC_PERMISSION_DENIED));
    assert_true(str_starts(fx_fail(fx, "subject.create", "[\"%s\", []]", s), ERR_RBAC_PERMISSION_DENIED));
}

/* One user's session is nobody else's business, but for an administrator's. */
static void test_sessions_of_others(void **state) {
    struct fx *fx = *state;
    char other[REF_TEXT_SIZE + 8];
    struct uuid alice = add_subject(fx, "user:alice"), bob = add_subject(fx, "user:bob");
    give(fx, &alice, ROLE_POOL_OPERATOR);
    give(fx, &bob, ROLE_READ_ONLY);
    _cleanup_free_ char *a = session_of(fx, "alice"), *b = session_of(fx, "bob");
    snprintf(other, sizeof(other), ", \"%s\"", a);
    expect(fx, b, "session.get_record", other, "HANDLE_INVALID session");
    snprintf(other, sizeof(other), ", \"%s\"", b);
    expect(fx, a, "session.get_record", other, "HANDLE_INVALID session");
    assert_non_null(strstr(fx_call(fx, "session.get_record", "[$S, \"%s\"]", b), "user:bob"));
}

/* ---- sessions follow the rows ---- */

static void test_role_follows(void **state) {
    struct fx *fx = *state;
    struct uuid alice = add_subject(fx, "user:alice"), staff = add_subject(fx, "group:staff");
    give(fx, &alice, ROLE_VM_OPERATOR);
    _cleanup_free_ char *s = session_of(fx, "alice");
    expect(fx, s, "host.disable", ", []", ERR_RBAC_PERMISSION_DENIED);
    give(fx, &alice, ROLE_POOL_OPERATOR);
    assert_int_equal(role_now(fx, s), ROLE_POOL_OPERATOR);
    take(fx, &alice, ROLE_POOL_OPERATOR);
    expect(fx, s, "host.disable", ", []", ERR_RBAC_PERMISSION_DENIED);
    give(fx, &staff, ROLE_READ_ONLY);
    take(fx, &alice, ROLE_VM_OPERATOR); /* what is left is the group's */
    assert_int_equal(role_now(fx, s), ROLE_READ_ONLY);
    fx_call(fx, "subject.destroy", "[$S, \"%s\"]", fx_ref(&staff));
    expect(fx, s, "VM.get_all", "", ERR_SESSION_INVALID);
    fx_call(fx, "VM.get_all", "[$S]"); /* root's own goes on */
}

/* Whoever waits for events is told in the same moment. */
static void test_waiting_ends(void **state) {
    struct fx *fx = *state;
    char params[200];
    struct uuid alice = add_subject(fx, "user:alice");
    give(fx, &alice, ROLE_READ_ONLY);
    _cleanup_free_ char *s = session_of(fx, "alice");
    snprintf(params, sizeof(params), "[\"%s\", [\"vdi\"], \"\", 30.0]", s); /* there is none: nothing to tell */
    struct answer *waiting = fx_start(fx, true, false, "event.from", params);
    fx_settle(fx);
    assert_false(waiting->is_there);
    fx_call(fx, "subject.destroy", "[$S, \"%s\"]", fx_ref(&alice));
    assert_true(waiting->is_there && error_is(waiting->error, ERR_SESSION_INVALID));
    answer_free(waiting);
}

static void test_lent_follows(void **state) {
    struct fx *fx = *state;
    struct uuid alice = add_subject(fx, "user:alice"), u;
    give(fx, &alice, ROLE_POOL_ADMIN);
    _cleanup_free_ char *s = session_of(fx, "alice");
    assert_true(ref_parse(s, &u));
    const struct session *own = sessions_find(fx->api->sessions, &u, loop_sim_now_ms(fx->sim), 1);
    struct uuid lent = api_session_lend(fx->api, own, ROLE_VM_POWER_ADMIN, 60000);
    const char *ref = fx_ref(&lent);
    assert_int_equal(role_now(fx, ref), ROLE_VM_POWER_ADMIN);
    give(fx, &alice, ROLE_READ_ONLY); /* something changes; it still has no more than was lent */
    assert_int_equal(role_now(fx, fx_ref(&lent)), ROLE_VM_POWER_ADMIN);
    take(fx, &alice, ROLE_POOL_ADMIN);
    assert_int_equal(role_now(fx, fx_ref(&lent)), ROLE_READ_ONLY);
    take(fx, &alice, ROLE_READ_ONLY);
    assert_null(sessions_find(fx->api->sessions, &lent, loop_sim_now_ms(fx->sim), 1));
}

static void test_logged_out_by_others(void **state) {
    struct fx *fx = *state;
    struct uuid alice = add_subject(fx, "user:alice"), staff = add_subject(fx, "group:staff");
    give(fx, &alice, ROLE_POOL_OPERATOR);
    give(fx, &staff, ROLE_READ_ONLY);
    assert_string_equal(fx_call(fx, "session.get_all_subject_identifiers", "[$S]"), "[]");
    _cleanup_free_ char *first = session_of(fx, "alice"), *second = session_of(fx, "alice"),
                        *bob = session_of(fx, "bob");
    const char *all = fx_call(fx, "session.get_all_subject_identifiers", "[$S]");
    assert_non_null(strstr(all, "user:alice"));
    assert_non_null(strstr(all, "user:bob"));
    assert_int_equal(strlen(all), strlen("[\"user:alice\",\"user:bob\"]")); /* each once, and root not */
    expect(fx, first, "session.logout_subject_identifier", ", \"user:alice\"", "");
    expect(fx, first, "VM.get_all", "", "[");
    expect(fx, second, "VM.get_all", "", ERR_SESSION_INVALID);
    expect(fx, bob, "session.logout_subject_identifier", ", \"user:alice\"", ERR_RBAC_PERMISSION_DENIED);
    fx_call(fx, "session.logout_subject_identifier", "[$S, \"\"]"); /* nobody's: root is not meant */
    fx_call(fx, "session.logout_subject_identifier", "[$S, \"user:bob\"]");
    expect(fx, bob, "VM.get_all", "", ERR_SESSION_INVALID);
    fx_call(fx, "VM.get_all", "[$S]");
}

/* ---- subjects ---- */

static void test_wrong_input(void **state) {
    struct fx *fx = *state;
    static const char *const malformed[] = {"", "alice", "user:", "group:", "uid:5", "user:a:b", "user:a\\nb"};
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        const char *said = fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"%s\"}]", malformed[i]);
        assert_true(str_starts(said, "INVALID_VALUE subject_identifier"));
    }
    char longer[DIRECTORY_NAME_MAX + 2] = {0};
    memset(longer, 'a', DIRECTORY_NAME_MAX + 1);
    assert_true(str_starts(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:%s\"}]", longer),
                           "INVALID_VALUE subject_identifier"));
    assert_string_equal(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:carol\"}]"),
                        "SUBJECT_CANNOT_BE_RESOLVED");
    assert_string_equal(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:staff\"}]"),
                        "SUBJECT_CANNOT_BE_RESOLVED");
    assert_true(str_starts(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:broken\"}]"),
                           "AUTH_SERVICE_ERROR"));
    assert_true(str_starts(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:toor\"}]"),
                           "OPERATION_NOT_ALLOWED root"));
    assert_int_equal(db_count(fx->db, CLASS_subject), 0);

    add_subject(fx, "user:Alice"); /* as the directory writes it */
    struct uuid written = subject_uuid("user:alice");
    assert_string_equal(row_str(fx_row(fx, CLASS_subject, &written), FIELD_subject_subject_identifier), "user:alice");
    assert_string_equal(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:alice\"}]"),
                        "SUBJECT_ALREADY_EXISTS");
    assert_string_equal(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:ALICE\"}]"),
                        "SUBJECT_ALREADY_EXISTS");

    const char *ref = fx_ref(&written), *operator= fx_ref(role_uuid(ROLE_VM_OPERATOR));
    assert_string_equal(fx_fail(fx, "subject.remove_from_roles", "[$S, \"%s\", \"%s\"]", ref, operator),
                        "ROLE_NOT_FOUND");
    fx_call(fx, "subject.add_to_roles", "[$S, \"%s\", \"%s\"]", ref, operator);
    assert_string_equal(fx_fail(fx, "subject.add_to_roles", "[$S, \"%s\", \"%s\"]", ref, operator),
                        "ROLE_ALREADY_EXISTS");
    assert_string_equal(fx_fail(fx, "subject.add_to_roles", "[$S, \"%s\", \"%s\"]", ref, ref), "ROLE_NOT_FOUND");
    assert_true(str_starts(fx_fail(fx, "subject.add_to_roles", "[$S, \"%s\", \"%s\"]", operator, operator),
                           "HANDLE_INVALID subject"));
}

/* Roles are given by add_to_roles alone, and what clients keep there is small. */
static void test_limits(void **state) {
    struct fx *fx = *state;
    fx_call(fx, "subject.create",
            "[$S, {\"subject_identifier\": \"user:alice\", \"roles\": [\"%s\"], \"other_config\": {\"a\": \"b\"}}]",
            fx_ref(role_uuid(ROLE_POOL_ADMIN)));
    struct uuid u = subject_uuid("user:alice");
    const struct row *row = fx_row(fx, CLASS_subject, &u);
    assert_int_equal(row_value(row, FIELD_subject_roles)->set.n, 0);
    assert_string_equal(value_map_str(row_value(row, FIELD_subject_other_config), "a"), "b");

    struct buf params = BUF_INIT;
    buf_add_str(&params, "[$S, {\"subject_identifier\": \"user:bob\", \"other_config\": {\"a\": \"");
    for (unsigned i = 0; i < 17 * 1024; i++)
        buf_add_char(&params, 'x');
    buf_add_str(&params, "\"}}]");
    struct answer *a = fx_start(fx, false, false, "subject.create", buf_str(&params));
    assert_true(error_is(a->error, ERR_INVALID_VALUE));
    answer_free(a);
    buf_done(&params);

    while (db_count(fx->db, CLASS_subject) < SUBJECTS_MAX)
        fx_add(fx, CLASS_subject);
    assert_string_equal(fx_fail(fx, "subject.create", "[$S, {\"subject_identifier\": \"user:bob\"}]"),
                        "TOO_MANY_SUBJECTS 1000");
}

/* Two at once for one name: one of them gets it. */
static void test_two_at_once(void **state) {
    struct fx *fx = *state;
    struct answer *a[2];
    for (unsigned i = 0; i < 2; i++)
        a[i] = fx_start(fx, false, false, "subject.create", "[$S, {\"subject_identifier\": \"user:bob\"}]");
    fx_settle(fx);
    fx_settle(fx);
    assert_true(a[0]->is_there && a[1]->is_there);
    assert_int_equal(db_count(fx->db, CLASS_subject), 1);
    answer_free(a[0]);
    answer_free(a[1]);
}

/* ---- directory ---- */

static void test_directory(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_call(fx, "auth.get_subject_identifier", "[$S, \"alice\"]"), "\"user:alice\"");
    assert_string_equal(fx_call(fx, "auth.get_subject_identifier", "[$S, \"operators\"]"), "\"group:operators\"");
    assert_string_equal(fx_call(fx, "auth.get_subject_identifier", "[$S, \"group:staff\"]"), "\"group:staff\"");
    assert_string_equal(fx_fail(fx, "auth.get_subject_identifier", "[$S, \"carol\"]"), "SUBJECT_CANNOT_BE_RESOLVED");
    assert_string_equal(fx_fail(fx, "auth.get_subject_identifier", "[$S, \"group:alice\"]"),
                        "SUBJECT_CANNOT_BE_RESOLVED");
    assert_string_equal(fx_fail(fx, "auth.get_subject_identifier", "[$S, \"\"]"), "SUBJECT_CANNOT_BE_RESOLVED");
    assert_true(str_starts(fx_fail(fx, "auth.get_subject_identifier", "[$S, \"broken\"]"), "AUTH_SERVICE_ERROR"));
    const char *known = fx_call(fx, "auth.get_subject_information_from_identifier", "[$S, \"user:alice\"]");
    assert_non_null(strstr(known, "\"subject-name\":\"alice\""));
    assert_non_null(strstr(known, "\"subject-gecos\":\"Alice of the lab\""));
    assert_non_null(strstr(known, "\"subject-uid\":\"1001\""));
    assert_non_null(strstr(known, "\"subject-is-group\":\"false\""));
    known = fx_call(fx, "auth.get_subject_information_from_identifier", "[$S, \"group:staff\"]");
    assert_non_null(strstr(known, "\"subject-is-group\":\"true\""));
    assert_string_equal(fx_call(fx, "auth.get_group_membership", "[$S, \"user:alice\"]"),
                        "[\"group:staff\",\"group:operators\"]");
    assert_string_equal(fx_call(fx, "auth.get_group_membership", "[$S, \"group:staff\"]"), "[]");
}

/* A directory that does not answer: so many may wait, and no more. */
static void test_many_questions(void **state) {
    struct fx *fx = *state;
    struct answer *a[DIRECTORY_MAX_PENDING + 1];
    for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
        a[i] = fx_start(fx, false, false, "auth.get_subject_identifier", "[$S, \"alice\"]");
    assert_true(a[DIRECTORY_MAX_PENDING]->is_there);
    assert_true(error_is(a[DIRECTORY_MAX_PENDING]->error, ERR_AUTH_SERVICE_ERROR));
    fx_settle(fx);
    for (unsigned i = 0; i < ARRAY_SIZE(a); i++) {
        assert_true(a[i]->is_there && (i == DIRECTORY_MAX_PENDING || !a[i]->error));
        answer_free(a[i]);
    }
}

/* ---- roles ---- */

static void test_role_rows(void **state) {
    struct fx *fx = *state;
    assert_int_equal(db_count(fx->db, CLASS_role), ROLES_N);
    class_role_make_defaults(fx->api);
    fx_settle(fx);
    assert_int_equal(db_count(fx->db, CLASS_role), ROLES_N);
    for (unsigned i = 0; i < ROLES_N; i++) {
        const struct row *row = fx_row(fx, CLASS_role, role_uuid((enum role)i));
        assert_string_equal(row_str(row, FIELD_role_name_label), model_role_names[i]);
        assert_true(strlen(row_str(row, FIELD_role_name_description)) > 10);
        assert_int_equal(row_value(row, FIELD_role_subroles)->set.n, i);
    }
    const char *able = fx_call(fx, "role.get_by_permission_name_label", "[$S, \"host.disable\"]");
    assert_non_null(strstr(able, fx_ref(role_uuid(ROLE_POOL_ADMIN))));
    assert_non_null(strstr(able, fx_ref(role_uuid(ROLE_POOL_OPERATOR))));
    assert_null(strstr(able, fx_ref(role_uuid(ROLE_VM_POWER_ADMIN))));
    assert_string_equal(fx_call(fx, "role.get_by_permission_name_label", "[$S, \"no.such\"]"), "[]");
    const char *ref = fx_ref(role_uuid(ROLE_READ_ONLY));
    const char *names = fx_call(fx, "role.get_permissions_name_label", "[$S, \"%s\"]", ref);
    assert_non_null(strstr(names, "\"vm.get_all\""));
    assert_null(strstr(names, "\"vm.start\""));
    struct uuid alice = add_subject(fx, "user:alice");
    assert_string_equal(fx_call(fx, "subject.get_permissions_name_label", "[$S, \"%s\"]", fx_ref(&alice)), "[]");
    give(fx, &alice, ROLE_VM_OPERATOR);
    assert_non_null(
        strstr(fx_call(fx, "subject.get_permissions_name_label", "[$S, \"%s\"]", fx_ref(&alice)), "\"vm.start\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login, setup, teardown),
        cmocka_unit_test_setup_teardown(test_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strongest_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_role, setup, teardown),
        cmocka_unit_test_setup_teardown(test_local_speaks_for_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions_of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_role_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lent_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logged_out_by_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_role_rows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
