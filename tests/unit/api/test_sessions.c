/* SPDX-License-Identifier: Apache-2.0 */
/* Logins, the life of sessions, and who may do what: each call of the datamodel against each role. */
#include "api/call_private.h"
#include "api_fixture.h"
#include "auth/pam.h"
#include "auth/throttle.h"
#include "base/str.h"
#include "gen_handlers.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static bool backend(const char *user, const char *password, char **ret_reason) {
    bool ok = str_eq(password, "secret");
    *ret_reason = xstrdup(ok ? "" : "wrong");
    return ok;
}

static int setup(void **state) {
    auth_set_backend(backend);
    struct fx *fx = fx_new(1, 0, model_handlers);
    fx_login(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state) {
    fx_free(*state);
    auth_set_backend(NULL);
    return 0;
}

static struct answer *log_in(struct fx *fx, const char *user, const char *password) {
    char params[200];
    snprintf(params, sizeof(params), "[\"%s\", \"%s\", \"2.0\", \"test\"]", user, password);
    return fx_start(fx, true, false, "session.login_with_password", params);
}

static void test_password(void **state) {
    struct fx *fx = *state;
    struct answer *good = log_in(fx, "root", "secret"), *bad = log_in(fx, "root", "guess");
    fx_settle(fx);
    assert_true(good->is_there);
    assert_null(good->error);
    assert_false(bad->is_there); /* a wrong one is told after a while only */
    loop_sim_advance(fx->sim, THROTTLE_DELAY_MS);
    assert_true(bad->is_there);
    assert_true(error_is(bad->error, ERR_SESSION_AUTHENTICATION_FAILED));
    assert_string_equal(error_param(bad->error, 0), "root");
    answer_free(good);
    answer_free(bad);
}

static void test_only_root(void **state) {
    struct fx *fx = *state;
    struct answer *a = log_in(fx, "nobody", "secret");
    fx_settle(fx);
    assert_true(a->is_there);
    assert_true(error_is(a->error, ERR_SESSION_AUTHORIZATION_FAILED));
    answer_free(a);
}

/* Whoever guesses fast is refused without the password being looked at. */
static void test_throttled(void **state) {
    struct fx *fx = *state;
    struct answer *answers[THROTTLE_SOURCE_BURST + 1];
    for (unsigned i = 0; i < THROTTLE_SOURCE_BURST; i++) {
        answers[i] = log_in(fx, "root", "guess");
        fx_settle(fx);
    }
    answers[THROTTLE_SOURCE_BURST] = log_in(fx, "root", "secret");
    loop_sim_advance(fx->sim, THROTTLE_DELAY_MS + 100);
    for (unsigned i = 0; i < ARRAY_SIZE(answers); i++) {
        assert_true(answers[i]->is_there && error_is(answers[i]->error, ERR_SESSION_AUTHENTICATION_FAILED));
        answer_free(answers[i]);
    }
}

static void test_fields(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_call(fx, "session.get_auth_user_name", "[$S, $S]"), "\"root\"");
    assert_string_equal(fx_call(fx, "session.get_is_local_superuser", "[$S, $S]"), "true");
    assert_non_null(strstr(fx_call(fx, "session.get_this_host", "[$S, $S]"), fx_ref(&fx->hosts[0])));
    assert_non_null(strstr(fx_call(fx, "session.get_record", "[$S, $S]"), "\"originator\":\"\""));
    fx_call(fx, "session.add_to_other_config", "[$S, $S, \"a\", \"b\"]");
    assert_true(str_starts(fx_fail(fx, "session.add_to_other_config", "[$S, $S, \"a\", \"b\"]"), "MAP_DUPLICATE_KEY"));
    assert_string_equal(fx_call(fx, "session.get_other_config", "[$S, $S]"), "{\"a\":\"b\"}");
    fx_call(fx, "session.remove_from_other_config", "[$S, $S, \"a\"]");
    fx_call(fx, "session.set_other_config", "[$S, $S, {\"x\":\"y\"}]");
    assert_string_equal(fx_call(fx, "session.get_other_config", "[$S, $S]"), "{\"x\":\"y\"}");
    assert_true(str_starts(fx_fail(fx, "session.get_record", "[$S, \"OpaqueRef:NULL\"]"), "HANDLE_INVALID session"));
    assert_true(str_starts(fx_fail(fx, "session.get_by_uuid", "[$S, \"x\"]"), "UUID_INVALID session"));
    assert_string_equal(fx_call(fx, "session.get_all_subject_identifiers", "[$S]"), "[]");
}

static void test_idle(void **state) {
    struct fx *fx = *state;
    loop_sim_advance(fx->sim, SESSION_IDLE_MS - 1000);
    fx_call(fx, "pool.get_all", "[$S]");
    loop_sim_advance(fx->sim, SESSION_IDLE_MS - 1000);
    fx_call(fx, "pool.get_all", "[$S]");
    loop_sim_advance(fx->sim, SESSION_IDLE_MS + 61000);
    assert_true(str_starts(fx_fail(fx, "pool.get_all", "[$S]"), "SESSION_INVALID"));
    assert_int_equal(sessions_count(fx->api->sessions), 0);
}

/* A session's age is the loop's own: the wall clock jumps by a year, both ways, and nobody is logged out or let in. */
static void test_wall_clock_jumps(void **state) {
    struct fx *fx = *state;
    static const int64_t jumps[] = {INT64_C(31536000000), INT64_C(-31536000000), 0};
    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        loop_set_wall_offset_ms(fx->loop, jumps[i]);
        fx_call(fx, "pool.get_all", "[$S]");
        loop_sim_advance(fx->sim, 120000); /* the sweep has looked */
        fx_call(fx, "pool.get_all", "[$S]");
        assert_int_equal(sessions_count(fx->api->sessions), 1);
    }
    loop_set_wall_offset_ms(fx->loop, INT64_C(-31536000000));
    loop_sim_advance(fx->sim, SESSION_IDLE_MS + 61000);
    assert_true(str_starts(fx_fail(fx, "pool.get_all", "[$S]"), "SESSION_INVALID"));
}

static void count_closed(struct session *s, void *userdata) {
    ++*(int *)userdata;
}

static void test_cap(void **state) {
    int n_closed = 0;
    struct sessions *ss = sessions_new(count_closed, &n_closed);
    struct uuid first = sessions_add(ss, NULL, "root", "a", ROLE_POOL_ADMIN, 1, 1)->uuid;
    struct uuid second = sessions_add(ss, NULL, "root", "a", ROLE_POOL_ADMIN, 2, 1)->uuid;
    struct uuid other = sessions_add(ss, NULL, "root", "b", ROLE_POOL_ADMIN, 0, 1)->uuid;
    assert_non_null(sessions_find(ss, &first, 3, 1)); /* used later than the second */
    for (int i = 2; i < SESSION_MAX_PER_ORIGINATOR; i++)
        sessions_add(ss, NULL, "root", "a", ROLE_POOL_ADMIN, 4, 1);
    assert_int_equal(n_closed, 0);
    sessions_add(ss, NULL, "root", "a", ROLE_POOL_ADMIN, 5, 1);
    assert_int_equal(n_closed, 1);
    assert_null(sessions_find(ss, &second, 6, 1));
    assert_non_null(sessions_find(ss, &first, 6, 1));
    assert_non_null(sessions_find(ss, &other, 6, 1));
    sessions_free(ss);
}

/* One user under many names of programs; a limit that is set later holds from the next login on. */
static void test_cap_per_user(void **state) {
    int n_closed = 0;
    struct sessions *ss = sessions_new(count_closed, &n_closed);
    struct uuid other = sessions_add(ss, NULL, "somebody", "a", ROLE_POOL_ADMIN, 0, 1)->uuid, first = {0}, last = {0};
    for (int i = 0; i < 10; i++) {
        char originator[16];
        snprintf(originator, sizeof(originator), "p%d", i);
        last = sessions_add(ss, NULL, "root", originator, ROLE_POOL_ADMIN, 1 + (uint64_t)i, 1)->uuid;
        if (!i)
            first = last;
    }
    sessions_set_limits(ss, &(struct session_limits){.max_per_user = 3});
    assert_int_equal(n_closed, 0);
    sessions_add(ss, NULL, "root", "q", ROLE_POOL_ADMIN, 20, 1);
    assert_int_equal(n_closed, 8);
    assert_null(sessions_find(ss, &first, 21, 1));
    assert_non_null(sessions_find(ss, &last, 21, 1));
    assert_non_null(sessions_find(ss, &other, 21, 1));
    sessions_free(ss);
}

static void test_idle_time_is_settable(void **state) {
    struct fx *fx = *state;
    const char *pool = fx_ref(&fx->pool);
    fx_call(fx, "pool.add_to_other_config", "[$S, \"%s\", \"session-idle-timeout\", \"300\"]", pool);
    loop_sim_advance(fx->sim, 61000); /* it has been looked at */
    loop_sim_advance(fx->sim, 310000);
    assert_int_equal(sessions_count(fx->api->sessions), 0);
    fx_login(fx);
    fx_call(fx, "pool.remove_from_other_config", "[$S, \"%s\", \"session-idle-timeout\"]", pool);
    fx_call(fx, "pool.add_to_other_config", "[$S, \"%s\", \"session-idle-timeout\", \"5\"]", pool);
    loop_sim_advance(fx->sim, 600000); /* out of the limits: as if it were not there */
    assert_int_equal(sessions_count(fx->api->sessions), 1);
}

/* Every call of the table, asked for by a session of every role, with arguments that cannot be right. */
static void test_roles(void **state) {
    struct fx *fx = *state;
    for (unsigned i = 0; i < model_n_calls; i++) {
        const struct call_def *def = &model_calls[i];
        if (!def->has_session || str_eq(def->name, "session.logout") || str_eq(def->name, "session.local_logout"))
            continue;
        for (int role = 0; role < N_ROLES; role++) {
            struct session *s = sessions_add(fx->api->sessions, NULL, "somebody", "roles", (enum role)role, 1, 1);
            char ref[REF_TEXT_SIZE], params[100];
            /* Too many arguments: the count is looked at after the role, so no call ever runs. */
            snprintf(params, sizeof(params), "[\"%s\"", ref_text(&s->uuid, ref));
            struct buf text = BUF_INIT;
            buf_add_str(&text, params);
            bool tolerant = def->n_params && def->params[def->n_params - 1].optional;
            for (unsigned k = 0; !tolerant && k <= def->n_params; k++)
                buf_add_str(&text, ",0");
            buf_add_char(&text, ']');
            struct answer *a = fx_start(fx, true, false, def->name, text.data);
            bool refused = a->error && error_is(a->error, ERR_RBAC_PERMISSION_DENIED);
            if (refused != (role < (int)def->role))
                fail_msg("%s, role %s: %s", def->name, model_role_names[role],
                         a->error ? error_text(a->error) : "done");
            /* One that needs no argument cannot be kept from running. */
            assert_true(a->error != NULL || (tolerant && def->params[0].optional));
            answer_free(a);
            buf_done(&text);
            sessions_close(fx->api->sessions, s);
        }
    }
}

static void test_local_only(void **state) {
    struct fx *fx = *state;
    const char *ref = fx_call(fx, "session.slave_local_login_with_password", "[\"root\", \"\"]");
    _cleanup_free_ char *local = xstrndup(ref + 1, strlen(ref) - 2);
    fx_call(fx, "host.is_in_emergency_mode", "[\"%s\"]", local);
    assert_true(
        str_starts(fx_fail(fx, "host.disable", "[\"%s\", \"%s\"]", local, fx_ref(&fx->hosts[0])), "SESSION_INVALID"));
    fx_call(fx, "session.local_logout", "[\"%s\"]", local);
    assert_true(str_starts(fx_fail(fx, "host.is_in_emergency_mode", "[\"%s\"]", local), "SESSION_INVALID"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throttled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wall_clock_jumps, setup, teardown),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_cap_per_user),
        cmocka_unit_test_setup_teardown(test_idle_time_is_settable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_roles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_local_only, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
