/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users who are not root: who may log in, with which role, what that lets them do, and how sessions follow when it
 * changes.
 */
#include "api/call_private.h"
#include "api/roles.h"
#include "api/subjects.h"
#include "auth/throttle.h"
#include "base/str.h"
#include "users_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

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

    /* So it is with one that a certificate was shown for, which is no subject's either. */
    struct session *shown = sessions_add(fx->api->sessions, /* uuid= */ NULL, "backup", "test", ROLE_READ_ONLY,
                                         loop_sim_now_ms(fx->sim), 1);
    shown->is_certificate = true;
    _cleanup_free_ char *ref = xstrdup(fx_ref(&shown->uuid));
    assert_true(str_starts(fx_fail(fx, "network.create", "[\"%s\", []]", ref), ERR_RBAC_PERMISSION_DENIED));
    assert_string_equal(fx_call(fx, "session.get_is_local_superuser", "[\"%s\", \"%s\"]", ref, ref), "false");
    const char *permissions = fx_call(fx, "session.get_rbac_permissions", "[\"%s\", \"%s\"]", ref, ref);
    assert_non_null(strstr(permissions, "\"host.evacuate\""));
    assert_null(strstr(permissions, "\"network.create\""));
    assert_string_equal(fx_call(fx, "session.get_all_subject_identifiers", "[$S]"), "[\"user:alice\"]");
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

    /* One of a certificate is open to what that opens. */
    struct session *shown = sessions_add(fx->api->sessions, /* uuid= */ NULL, "backup", "test", ROLE_READ_ONLY,
                                         loop_sim_now_ms(fx->sim), 1);
    shown->is_certificate = true;
    lent = api_session_lend(fx->api, shown, ROLE_VM_POWER_ADMIN, 60000);
    _cleanup_free_ char *by_certificate = xstrdup(fx_ref(&lent));
    assert_int_equal(role_now(fx, by_certificate), ROLE_READ_ONLY);
    expect(fx, by_certificate, "VM.pool_migrate", ", [], [], {}", ERR_FIELD_TYPE_ERROR);
    expect(fx, by_certificate, "network.create", ", []", ERR_RBAC_PERMISSION_DENIED);
}

/* What changes in the directory reaches sessions that are there, too. */
static void test_directory_is_asked_again(void **state) {
    struct fx *fx = *state;
    struct uuid operators = add_subject(fx, "group:operators"), staff = add_subject(fx, "group:staff");
    give(fx, &operators, ROLE_POOL_OPERATOR);
    give(fx, &staff, ROLE_READ_ONLY);
    _cleanup_free_ char *a = session_of(fx, "alice"), *b = session_of(fx, "bob");
    const char *alices = users_set_groups("alice", "staff"), *bobs = users_set_groups("bob", NULL);
    users_set_broken(true);
    loop_sim_advance(fx->sim, SUBJECT_CONFIRM_MS + 120000);
    assert_int_equal(role_now(fx, a), ROLE_POOL_OPERATOR); /* nobody is sent away because it fails */
    users_set_broken(false);
    loop_sim_advance(fx->sim, SUBJECT_CONFIRM_MS + 120000);
    assert_int_equal(role_now(fx, a), ROLE_READ_ONLY);
    expect(fx, b, "VM.get_all", "", ERR_SESSION_INVALID);
    fx_call(fx, "VM.get_all", "[$S]");
    users_set_groups("alice", alices);
    users_set_groups("bob", bobs);
}

/* However many sessions and tasks a user wants, there is room for others. */
static void test_room_for_others(void **state) {
    struct fx *fx = *state;
    struct uuid alice = add_subject(fx, "user:alice"), u;
    give(fx, &alice, ROLE_READ_ONLY);
    _cleanup_free_ char *first = session_of(fx, "alice");
    assert_true(ref_parse(first, &u));
    struct session *s = session_ref(sessions_find(fx->api->sessions, &u, loop_sim_now_ms(fx->sim), 1));
    for (unsigned i = 1; i < SESSION_MAX_PER_SUBJECT; i++) { /* what her programs call themselves makes no difference */
        char name[16];
        snprintf(name, sizeof(name), "p%u", i);
        sessions_add(fx->api->sessions, /* uuid= */ NULL, "alice", name, ROLE_READ_ONLY, loop_sim_now_ms(fx->sim) + i,
                     1);
    }
    loop_sim_advance(fx->sim, 1000);
    assert_false(s->is_closed);
    _cleanup_free_ char *last = session_of(fx, "alice");
    assert_true(s->is_closed);
    session_unref(s);
    fx_call(fx, "VM.get_all", "[$S]"); /* older than all of them */
    assert_int_equal(sessions_count(fx->api->sessions), SESSION_MAX_PER_SUBJECT + 1);

    for (unsigned i = 0; i < API_MAX_PENDING_TASKS_OF_USER; i++)
        expect(fx, last, "task.create", ", \"label\", \"\"", "\"");
    expect(fx, last, "task.create", ", \"label\", \"\"", ERR_TOO_MANY_PENDING_TASKS);
    fx_call(fx, "task.create", "[$S, \"label\", \"\"]");
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_login, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_record, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_strongest_counts, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_each_role, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_local_speaks_for_user, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_sessions_of_others, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_role_follows, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_waiting_ends, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_lent_follows, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_directory_is_asked_again, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_room_for_others, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_logged_out_by_others, users_setup, users_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
