/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the classes subject, auth and role: what is taken, what is refused, and what they tell. */
#include "api/call_private.h"
#include "api/roles.h"
#include "api/subjects.h"
#include "auth/directory.h"
#include "base/str.h"
#include "classes/class_role.h"
#include "users_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

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
        cmocka_unit_test_setup_teardown(test_wrong_input, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_limits, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_two_at_once, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_directory, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_many_questions, users_setup, users_teardown),
        cmocka_unit_test_setup_teardown(test_role_rows, users_setup, users_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
