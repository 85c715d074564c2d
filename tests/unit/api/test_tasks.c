/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of Async calls and of clients, and messages. */
#include "api/call_private.h"
#include "api/tasks.h"
#include "api_fixture.h"
#include "base/str.h"
#include "gen_handlers.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static int setup(void **state) {
    struct fx *fx = fx_new(2, 0, model_handlers);
    fx_login(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state) {
    fx_free(*state);
    return 0;
}

/* The reference inside a JSON string. */
static char *unquoted(const char *json) {
    return xstrndup(json + 1, strlen(json) - 2);
}

static const char *task_field(struct fx *fx, const char *task, const char *field) {
    char method[64];
    snprintf(method, sizeof(method), "task.get_%s", field);
    return fx_call(fx, method, "[$S, \"%s\"]", task);
}

static void test_success(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *task = unquoted(fx_call(fx, "Async.host.disable", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])));
    assert_string_equal(task_field(fx, task, "status"), "\"pending\"");
    assert_string_equal(task_field(fx, task, "name_label"), "\"Async.host.disable\"");
    fx_settle(fx);
    assert_string_equal(task_field(fx, task, "status"), "\"success\"");
    assert_string_equal(task_field(fx, task, "result"), "\"<value></value>\"");
    assert_string_equal(task_field(fx, task, "progress"), "1.0");
    assert_string_equal(task_field(fx, task, "error_info"), "[]");
    assert_non_null(strstr(fx_call(fx, "session.get_tasks", "[$S, $S]"), task));
    fx_call(fx, "task.destroy", "[$S, \"%s\"]", task);
    assert_true(str_starts(fx_fail(fx, "task.get_status", "[$S, \"%s\"]", task), "HANDLE_INVALID task"));
}

static void test_result_text(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *task = unquoted(fx_call(
        fx, "Async.message.create", "[$S, \"n\", 3, \"Host\", \"11111111-2222-4333-8444-555555555555\", \"b\"]"));
    fx_settle(fx);
    assert_true(str_starts(task_field(fx, task, "result"), "\"<value>OpaqueRef:"));
}

static void test_failure(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *task = unquoted(fx_call(fx, "Async.host.disable", "[$S, \"OpaqueRef:NULL\"]"));
    assert_string_equal(task_field(fx, task, "status"), "\"failure\"");
    assert_string_equal(task_field(fx, task, "error_info"), "[\"HANDLE_INVALID\",\"host\",\"OpaqueRef:NULL\"]");
    assert_string_equal(task_field(fx, task, "result"), "\"\"");
    /* What is wrong with the call itself is told at once. */
    assert_true(str_starts(fx_fail(fx, "Async.host.disable", "[$S]"), "MESSAGE_PARAMETER_COUNT_MISMATCH"));
}

static void test_clients_task(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *task = unquoted(fx_call(fx, "task.create", "[$S, \"upload\", \"of a disk\"]"));
    fx_call(fx, "task.set_progress", "[$S, \"%s\", 0.5]", task);
    assert_string_equal(task_field(fx, task, "progress"), "0.5");
    fx_call(fx, "task.set_result", "[$S, \"%s\", \"<value>x</value>\"]", task);
    fx_call(fx, "task.add_to_other_config", "[$S, \"%s\", \"k\", \"v\"]", task);
    assert_string_equal(task_field(fx, task, "other_config"), "{\"k\":\"v\"}");
    fx_call(fx, "task.set_status", "[$S, \"%s\", \"success\"]", task);
    assert_string_equal(task_field(fx, task, "status"), "\"success\"");
    assert_true(str_starts(fx_fail(fx, "task.set_progress", "[$S, \"%s\", 0.1]", task), "OPERATION_NOT_ALLOWED"));
    assert_true(str_starts(fx_fail(fx, "task.cancel", "[$S, \"%s\"]", task), "OPERATION_NOT_ALLOWED"));
}

static void test_cancel_and_destroy(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *task = unquoted(fx_call(fx, "task.create", "[$S, \"a\", \"b\"]"));
    fx_call(fx, "task.cancel", "[$S, \"%s\"]", task);
    assert_string_equal(task_field(fx, task, "status"), "\"cancelled\"");
    _cleanup_free_ char *other = unquoted(fx_call(fx, "task.create", "[$S, \"a\", \"b\"]"));
    fx_call(fx, "task.destroy", "[$S, \"%s\"]", other); /* a wish while it is pending */
    assert_string_equal(task_field(fx, other, "status"), "\"pending\"");
    fx_call(fx, "task.set_status", "[$S, \"%s\", \"failure\"]", other);
    assert_true(str_starts(fx_fail(fx, "task.get_status", "[$S, \"%s\"]", other), "HANDLE_INVALID"));
}

static void test_expiry(void **state) {
    struct fx *fx = *state;
    for (int i = 0; i < TASK_KEEP_MAX + 20; i++)
        fx_call(fx, "Async.host.disable", "[$S, \"OpaqueRef:NULL\"]");
    assert_int_equal(db_count(fx->db, CLASS_task), TASK_KEEP_MAX);
    fx_call(fx, "task.create", "[$S, \"forgotten\", \"\"]");
    loop_sim_advance(fx->sim, TASK_KEEP_MS + 61000);
    assert_int_equal(db_count(fx->db, CLASS_task), 1);
    loop_sim_advance(fx->sim, TASK_PENDING_MS);
    assert_int_equal(db_count(fx->db, CLASS_task), 0);
}

static void test_limits(void **state) {
    struct fx *fx = *state;
    for (int i = 0; i < API_MAX_PENDING_TASKS; i++)
        fx_call(fx, "task.create", "[$S, \"%d\", \"\"]", i);
    assert_string_equal(fx_fail(fx, "task.create", "[$S, \"one more\", \"\"]"), "TOO_MANY_PENDING_TASKS");
    assert_string_equal(fx_fail(fx, "Async.host.disable", "[$S, \"OpaqueRef:NULL\"]"), "TOO_MANY_PENDING_TASKS");
}

/* ---- messages ---- */

#define OBJECT "11111111-2222-4333-8444-555555555555"

static void test_messages(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *m =
        unquoted(fx_call(fx, "message.create", "[$S, \"FAULT\", 2, \"Host\", \"" OBJECT "\", \"a sentence\"]"));
    assert_non_null(strstr(fx_call(fx, "message.get_record", "[$S, \"%s\"]", m), "a sentence"));
    assert_non_null(strstr(fx_call(fx, "message.get", "[$S, \"Host\", \"" OBJECT "\", \"19700101T00:00:00Z\"]"), m));
    assert_string_equal(fx_call(fx, "message.get", "[$S, \"Pool\", \"" OBJECT "\", \"19700101T00:00:00Z\"]"), "{}");
    assert_string_equal(fx_call(fx, "message.get_since", "[$S, \"20990101T00:00:00Z\"]"), "{}");
    assert_true(str_starts(fx_fail(fx, "message.create", "[$S, \"\", 2, \"Host\", \"" OBJECT "\", \"\"]"),
                           "INVALID_VALUE name"));
    assert_true(str_starts(fx_fail(fx, "message.create", "[$S, \"A\", 2, \"Host\", \"x\", \"\"]"), "UUID_INVALID"));
    fx_call(fx, "message.destroy", "[$S, \"%s\"]", m);
    assert_true(str_starts(fx_fail(fx, "message.get_record", "[$S, \"%s\"]", m), "HANDLE_INVALID message"));
}

static void test_raise_and_withdraw(void **state) {
    struct fx *fx = *state;
    message_raise(fx->api, "A", 2, "Host", OBJECT, "x", NULL, NULL);
    message_raise(fx->api, "B", 2, "Host", OBJECT, "x", NULL, NULL);
    fx_settle(fx);
    assert_int_equal(db_count(fx->db, CLASS_message), 2);
    message_withdraw(fx->api, "A", OBJECT);
    message_withdraw(fx->api, "never there", OBJECT);
    fx_settle(fx);
    assert_int_equal(db_count(fx->db, CLASS_message), 1);
}

static void test_oldest_go(void **state) {
    struct fx *fx = *state;
    struct uuid first = {0};
    for (int i = 0; i < MESSAGE_MAX; i++) {
        struct uuid u = fx_add(fx, CLASS_message);
        first = i ? first : u;
    }
    fx_settle(fx);
    message_raise(fx->api, "A", 2, "Host", OBJECT, "x", NULL, NULL);
    fx_settle(fx);
    assert_int_equal(db_count(fx->db, CLASS_message), MESSAGE_MAX);
    assert_null(fx_row(fx, CLASS_message, &first));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_success, setup, teardown),
        cmocka_unit_test_setup_teardown(test_result_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clients_task, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_and_destroy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_raise_and_withdraw, setup, teardown),
        cmocka_unit_test_setup_teardown(test_oldest_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
