/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to its answer: names, places, sessions, counts, types, and the calls that every class has. */
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

static int setup_member(void **state) {
    *state = fx_new(2, 1, model_handlers);
    return 0;
}

static int teardown(void **state) {
    fx_free(*state);
    return 0;
}

static void test_names(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_fail(fx, "host.fly", "[$S]"), "MESSAGE_METHOD_UNKNOWN host.fly");
    assert_string_equal(fx_fail(fx, "", "[]"), "MESSAGE_METHOD_UNKNOWN ");
    assert_string_equal(fx_fail(fx, "Async.", "[]"), "MESSAGE_METHOD_UNKNOWN Async.");
    assert_string_equal(fx_call(fx, "host_get_uuid", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])),
                        fx_call(fx, "host.get_uuid", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])));
    assert_string_equal(fx_call(fx, "host_metrics_get_all_where", "[$S, \"false\"]"), "[]");
    assert_string_equal(fx_call(fx, "system.isAlive", "[\"hello\"]"), "\"hello\"");
    assert_non_null(strstr(fx_call(fx, "system.listMethods", "[]"), "\"pool.get_all_records\""));
    assert_null(strstr(fx_call(fx, "system.listMethods", "[]"), "pool.enable_ha\""));
    assert_string_equal(fx_fail(fx, "pool.enable_ha", "[$S, [], {}]"), "NOT_IMPLEMENTED pool.enable_ha");
    assert_string_equal(fx_fail(fx, "Async.host.get_uuid", "[$S]"),
                        "Fault No async mode for this operation (rpc: host.get_uuid)");
    assert_string_equal(fx_call(fx, "system.isAlive:mark", "[\"x\"]"), "\"x\"");
}

static void test_sessions(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_fail(fx, "host.get_all", "[\"OpaqueRef:NULL\"]"), "SESSION_INVALID OpaqueRef:NULL");
    assert_string_equal(fx_fail(fx, "host.get_all", "[\"rubbish\"]"), "SESSION_INVALID rubbish");
    assert_true(str_starts(fx_fail(fx, "host.get_all", "[]"), "SESSION_INVALID"));
    assert_true(str_starts(fx_fail(fx, "host.get_all", "[5]"), "SESSION_INVALID"));
    fx_call(fx, "session.logout", "[$S]");
    assert_true(str_starts(fx_fail(fx, "host.get_all", "[$S]"), "SESSION_INVALID OpaqueRef:"));
}

static void test_counts(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_fail(fx, "host.get_uuid", "[$S]"), "MESSAGE_PARAMETER_COUNT_MISMATCH host.get_uuid 1 0");
    assert_string_equal(fx_fail(fx, "host.get_all", "[$S, 1]"), "MESSAGE_PARAMETER_COUNT_MISMATCH host.get_all 0 1");
    assert_string_equal(fx_fail(fx, "session.login_with_password", "[\"root\"]"),
                        "MESSAGE_PARAMETER_COUNT_MISMATCH session.login_with_password 4 1");
    /* What is optional may be left out, and there more than that is let pass. */
    fx_call(fx, "session.login_with_password", "[\"root\", \"\", \"2.0\", \"test\", \"more\"]");
}

static void test_types(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_fail(fx, "host.get_uuid", "[$S, \"x\"]"), "HANDLE_INVALID host x");
    assert_string_equal(fx_fail(fx, "host.get_uuid", "[$S, \"OpaqueRef:NULL\"]"), "HANDLE_INVALID host OpaqueRef:NULL");
    assert_string_equal(fx_fail(fx, "host.get_uuid", "[$S, 3]"), "FIELD_TYPE_ERROR self");
    assert_string_equal(fx_fail(fx, "host.set_display", "[$S, \"%s\", \"maybe\"]", fx_ref(&fx->hosts[0])),
                        "INVALID_VALUE value maybe");
    assert_string_equal(fx_fail(fx, "host.get_by_uuid", "[$S, \"x\"]"), "UUID_INVALID host x");
}

static void test_records(void **state) {
    struct fx *fx = *state;
    char uuid[UUID_TEXT_SIZE];
    const char *text = fx_call(fx, "host.get_record", "[$S, \"%s\"]", fx_ref(&fx->hosts[1]));
    assert_non_null(strstr(text, "\"name_label\":\"host1\""));
    assert_non_null(strstr(text, uuid_text(&fx->hosts[1], uuid)));
    assert_null(strstr(text, "db_address")); /* internal */
    text = fx_call(fx, "host.get_all_records", "[$S]");
    assert_non_null(strstr(text, fx_ref(&fx->hosts[0])));
    assert_non_null(strstr(text, fx_ref(&fx->hosts[1])));
    text = fx_call(fx, "host.get_all_records_where", "[$S, \"field \\\"name_label\\\"=\\\"host1\\\"\"]");
    assert_null(strstr(text, "host0"));
    assert_non_null(strstr(text, "host1"));
    assert_true(str_starts(fx_fail(fx, "host.get_all_where", "[$S, \"1\"]"), "INVALID_VALUE expr"));
    assert_string_equal(fx_call(fx, "host.get_by_name_label", "[$S, \"nobody\"]"), "[]");
    assert_non_null(strstr(fx_call(fx, "host.get_by_name_label", "[$S, \"host1\"]"), fx_ref(&fx->hosts[1])));
}

/* An XML client gets values, not text: the same content has to come out. */
static void test_records_for_xml(void **state) {
    struct fx *fx = *state;
    static const char *const methods[] = {"host.get_all_records", "pool.get_all_records", "system.listMethods"};
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        const char *params = str_starts(methods[i], "system") ? "[]" : "[$S]";
        struct answer *json = fx_start(fx, false, false, methods[i], params);
        struct answer *xml = fx_start(fx, false, true, methods[i], params);
        assert_string_equal(json->json, xml->json);
        answer_free(json);
        answer_free(xml);
    }
}

/* Clients that change one map at the same time: who adds another key succeeds, who adds the same one is told so. */
static void test_adding_at_once(void **state) {
    struct fx *fx = *state;
    const char *pool = fx_ref(&fx->pool);
    struct answer *answers[40];
    char params[200];
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        snprintf(params, sizeof(params), "[$S, \"%s\", \"k%zu\", \"%zu\"]", pool, i / 2 * 2, i);
        answers[i] = fx_start(fx, false, false, "pool.add_to_other_config", params);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(answers); i++)
        fx_settle(fx);
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        assert_true(answers[i]->is_there);
        if (i % 2 == 0)
            assert_null(answers[i]->error);
        else
            assert_string_equal(error_code(answers[i]->error), ERR_MAP_DUPLICATE_KEY);
        answer_free(answers[i]);
    }
    const struct value *map = row_value(fx_row(fx, CLASS_pool, &fx->pool), FIELD_pool_other_config);
    assert_int_equal(map->map.n, ARRAY_SIZE(answers) / 2);
    assert_string_equal(value_map_str(map, "k8"), "8");
}

static void test_setters(void **state) {
    struct fx *fx = *state;
    const char *pool = fx_ref(&fx->pool);
    fx_call(fx, "pool.set_name_label", "[$S, \"%s\", \"new\"]", pool);
    assert_string_equal(fx_call(fx, "pool.get_name_label", "[$S, \"%s\"]", pool), "\"new\"");
    fx_call(fx, "pool.add_to_other_config", "[$S, \"%s\", \"k\", \"v\"]", pool);
    char expected[200];
    snprintf(expected, sizeof(expected), "MAP_DUPLICATE_KEY pool other_config %s k", pool);
    assert_string_equal(fx_fail(fx, "pool.add_to_other_config", "[$S, \"%s\", \"k\", \"w\"]", pool), expected);
    assert_string_equal(fx_call(fx, "pool.get_other_config", "[$S, \"%s\"]", pool), "{\"k\":\"v\"}");
    fx_call(fx, "pool.remove_from_other_config", "[$S, \"%s\", \"absent\"]", pool);
    fx_call(fx, "pool.remove_from_other_config", "[$S, \"%s\", \"k\"]", pool);
    assert_string_equal(fx_call(fx, "pool.get_other_config", "[$S, \"%s\"]", pool), "{}");
    fx_call(fx, "pool.add_tags", "[$S, \"%s\", \"t\"]", pool);
    fx_call(fx, "pool.add_tags", "[$S, \"%s\", \"t\"]", pool);
    assert_string_equal(fx_call(fx, "pool.get_tags", "[$S, \"%s\"]", pool), "[\"t\"]");
    fx_call(fx, "pool.remove_tags", "[$S, \"%s\", \"t\"]", pool);
    fx_call(fx, "pool.remove_tags", "[$S, \"%s\", \"t\"]", pool);
    assert_string_equal(fx_call(fx, "pool.get_tags", "[$S, \"%s\"]", pool), "[]");
    fx->next_commit_error = ERR_DB_TIMEOUT;
    assert_string_equal(fx_fail(fx, "pool.set_name_label", "[$S, \"%s\", \"x\"]", pool), "DB_TIMEOUT");
    assert_string_equal(fx_call(fx, "pool.get_name_label", "[$S, \"%s\"]", pool), "\"new\"");
}

/* ---- a member ---- */

static void test_member(void **state) {
    struct fx *fx = *state;
    struct answer *a = fx_start(fx, true, false, "session.login_with_password", "[\"root\", \"x\"]");
    assert_true(a->is_there && error_is(a->error, ERR_HOST_IS_SLAVE));
    assert_int_equal(error_n_params(a->error), 1);
    assert_string_equal(error_param(a->error, 0), "10.0.0.1");
    answer_free(a);
    a = fx_start(fx, true, false, "host.get_all", "[\"OpaqueRef:NULL\"]");
    assert_true(error_is(a->error, ERR_SESSION_INVALID));
    answer_free(a);
}

static bool is_booting;

static bool in_emergency(void *userdata, struct error **errp) {
    if (is_booting)
        error_set(errp, ERR_HOST_STILL_BOOTING, NULL);
    else
        error_set(errp, ERR_HOST_UNKNOWN_TO_MASTER, "some-uuid", NULL);
    return true;
}

static int setup_emergency(void **state) {
    setup_member(state);
    struct fx *fx = *state;
    api_free(fx->api);
    fx->hooks.emergency_reason = in_emergency;
    struct api_config config = {.loop = fx->loop,
                                .db = fx->db,
                                .worker = fx->worker,
                                .own_host = fx->hosts[1],
                                .hooks = &fx->hooks,
                                .handlers = model_handlers};
    fx->api = api_new(&config);
    return 0;
}

static void test_emergency(void **state) {
    struct fx *fx = *state;
    struct answer *a = fx_start(fx, true, false, "session.login_with_password", "[\"root\", \"x\"]");
    assert_true(error_is(a->error, ERR_HOST_UNKNOWN_TO_MASTER));
    answer_free(a);
    /* The local socket goes on answering what this host knows, and says why the rest does not work. */
    fx_login(fx);
    assert_string_equal(fx_call(fx, "host.is_in_emergency_mode", "[$S]"), "true");
    assert_non_null(strstr(fx_call(fx, "host.get_all_records", "[$S]"), "host0"));
    assert_string_equal(fx_fail(fx, "host.disable", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])),
                        "HOST_UNKNOWN_TO_MASTER some-uuid");
}

/* While nobody can log in, nobody is told to: xen-api gives up for good when that is refused. */
static void test_booting(void **state) {
    struct fx *fx = *state;
    static const char *const calls[] = {"host.is_in_emergency_mode", "event.from", "host.get_all"};
    static const char *const params[] = {"[\"OpaqueRef:NULL\"]", "[\"OpaqueRef:NULL\", [\"*\"], \"\", 1.0]",
                                         "[\"OpaqueRef:NULL\"]"};
    for (unsigned booting = 0; booting < 2; booting++)
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
            is_booting = booting;
            struct answer *a = fx_start(fx, true, false, calls[i], params[i]);
            assert_true(error_is(a->error, booting ? ERR_HOST_STILL_BOOTING : ERR_SESSION_INVALID) ||
                        (!booting && error_is(a->error, ERR_HOST_UNKNOWN_TO_MASTER)));
            answer_free(a);
        }
    is_booting = true;
    struct answer *a = fx_start(fx, true, false, "session.login_with_password", "[\"root\", \"x\"]");
    assert_true(error_is(a->error, ERR_HOST_STILL_BOOTING));
    answer_free(a);
    is_booting = false;
}

/* ---- forwarding ---- */

struct forwarded {
    char *request;
    api_forward_done_fn *done;
    void *data;
} forwarded;

static void forward(void *userdata, const char *request, size_t size, uint64_t timeout_ms, api_forward_done_fn *done,
                    void *data) {
    free(forwarded.request);
    forwarded = (struct forwarded){xstrndup(request, size), done, data};
}

static int setup_forward(void **state) {
    setup_member(state);
    struct fx *fx = *state;
    api_free(fx->api);
    fx->hooks.forward = forward;
    struct api_config config = {.loop = fx->loop,
                                .db = fx->db,
                                .worker = fx->worker,
                                .own_host = fx->hosts[1],
                                .hooks = &fx->hooks,
                                .handlers = model_handlers};
    fx->api = api_new(&config);
    return 0;
}

static struct answer *answer_with(struct answer *a, const char *response) {
    assert_false(a->is_there);
    forwarded.done(NULL, response, strlen(response), forwarded.data);
    assert_true(a->is_there);
    free(TAKE(forwarded.request));
    return a;
}

static void test_forward(void **state) {
    struct fx *fx = *state;
    struct answer *a = fx_start(fx, false, false, "session.login_with_password", "[\"root\", \"\"]");
    assert_non_null(strstr(forwarded.request, "session.login_with_password"));
    fx->session = xstrdup("OpaqueRef:11111111-2222-4333-8444-555555555555");
    answer_free(
        answer_with(a, "{\"jsonrpc\":\"2.0\",\"result\":\"OpaqueRef:11111111-2222-4333-8444-555555555555\",\"id\":1}"));
    /* Known here as well by now: what is about this host is answered here. */
    assert_string_equal(fx_call(fx, "host.is_in_emergency_mode", "[$S]"), "false");
    a = fx_start(fx, false, false, "Async.host.disable", "[$S, \"OpaqueRef:NULL\"]");
    assert_non_null(strstr(forwarded.request, "\"Async.host.disable\""));
    assert_non_null(strstr(forwarded.request, fx->session));
    a = answer_with(a, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"HANDLE_INVALID\",\"data\":[\"host\","
                       "\"OpaqueRef:NULL\"]},\"id\":1}");
    assert_true(error_is(a->error, ERR_HANDLE_INVALID));
    answer_free(a);
    a = fx_start(fx, false, false, "host.get_all", "[$S]");
    a = answer_with(a, "{\"jsonrpc\":\"2.0\",\"result\":[\"OpaqueRef:1\"],\"id\":1}");
    assert_string_equal(a->json, "[\"OpaqueRef:1\"]");
    answer_free(a);
    a = fx_start(fx, false, false, "host.get_all", "[$S]");
    answer_free(answer_with(a, "not an answer"));
    /* The coordinator has forgotten the session: so do we. */
    a = fx_start(fx, false, false, "host.get_all", "[$S]");
    answer_free(answer_with(a, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"SESSION_INVALID\",\"data\":"
                               "[\"x\"]},\"id\":1}"));
    assert_true(str_starts(fx_fail(fx, "host.is_in_emergency_mode", "[$S]"), "SESSION_INVALID"));
}

/* Whoever waits when the client or the api goes leaves nothing behind (the sanitizer looks). */
static void test_client_gone(void **state) {
    struct fx *fx = *state;
    struct answer *a = fx_start(fx, false, false, "event.from", "[$S, [\"host\"], \"\", 0]");
    assert_true(a->is_there);
    answer_free(a);
    a = fx_start(fx, false, false, "event.from", "[$S, [\"network\"], \"\", 10]");
    struct answer *b = fx_start(fx, false, false, "event.from", "[$S, [\"network\"], \"\", 10]");
    assert_non_null(a->call);
    api_client_gone(a->call);
    loop_sim_advance(fx->sim, 20000);
    assert_false(a->is_there);
    assert_true(b->is_there);
    answer_free(a);
    answer_free(b);
    answer_free(fx_start(fx, false, false, "event.from", "[$S, [\"network\"], \"\", 10]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records_for_xml, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adding_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_setters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_member, setup_member, teardown),
        cmocka_unit_test_setup_teardown(test_emergency, setup_emergency, teardown),
        cmocka_unit_test_setup_teardown(test_booting, setup_emergency, teardown),
        cmocka_unit_test_setup_teardown(test_forward, setup_forward, teardown),
        cmocka_unit_test_setup_teardown(test_client_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
