/* SPDX-License-Identifier: Apache-2.0 */
/* event.from and event.next: tokens, subscriptions, waiting, waking, and what clients rely on in the batches. */
#include "api/events.h"
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

static void test_tokens(void **state) {
    char text[EVENT_TOKEN_SIZE];
    uint64_t since = 7;
    assert_string_equal(event_token(1, 2, text), "00000000000000000001,00000000000000000002");
    event_token(UINT64_MAX, UINT64_MAX, text);
    assert_true(event_token_parse(text, UINT64_MAX, UINT64_MAX, &since));
    assert_true(since == UINT64_MAX);
    assert_true(event_token_parse("", 5, 9, &since));
    assert_int_equal(since, 0);
    assert_true(event_token_parse("5,8", 5, 9, &since));
    assert_int_equal(since, 8);
    assert_true(event_token_parse("6,8", 5, 9, &since)); /* another process */
    assert_int_equal(since, 0);
    assert_true(event_token_parse("5,10", 5, 9, &since)); /* the future */
    assert_int_equal(since, 0);
    static const char *const bad[] = {
        "x", "5", ",", "5,", ",5", "-5,8", "5,8,9", "5,8 ", "18446744073709551616,1", "000000000000000000005,8"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(event_token_parse(bad[i], 5, 9, &since));
}

static bool parses(const char *text) {
    struct value v = value_set();
    struct subscription s;
    struct error *e = NULL;
    value_set_add(&v, value_string(text));
    bool ok = subscription_parse(&v, &s, &e);
    if (ok)
        subscription_done(&s);
    else
        assert_true(error_is(e, ERR_EVENT_SUBSCRIPTION_PARSE_FAILURE));
    error_free(e);
    value_done(&v);
    return ok;
}

static void test_subscriptions(void **state) {
    assert_true(parses("*"));
    assert_true(parses("VM")); /* not known here */
    assert_true(parses("pif"));
    assert_true(parses("pif/OpaqueRef:11111111-2222-4333-8444-555555555555"));
    assert_true(parses("vm/OpaqueRef:11111111-2222-4333-8444-555555555555"));
    assert_false(parses(""));
    assert_false(parses("/"));
    assert_false(parses("pif/"));
    assert_false(parses("pif/x/y"));
    assert_false(parses("pif/OpaqueRef:rubbish"));
}

/* The token inside a batch's text. */
static char *token_of(const char *batch) {
    const char *t = strstr(batch, "\"token\":\"");
    assert_non_null(t);
    return xstrndup(t + 9, strcspn(t + 9, "\""));
}

static char *current_token(struct fx *fx) {
    return token_of(fx_call(fx, "event.from", "[$S, [], \"\", 0]"));
}

static void test_everything_first(void **state) {
    struct fx *fx = *state;
    const char *batch = fx_call(fx, "event.from", "[$S, [\"*\"], \"\", 5.5]");
    assert_non_null(strstr(batch, "\"class\":\"pool\",\"operation\":\"add\""));
    assert_non_null(strstr(batch, "\"class\":\"host\",\"operation\":\"add\""));
    assert_non_null(strstr(batch, "\"snapshot\":{"));
    assert_non_null(strstr(batch, "\"valid_ref_counts\":{"));
    assert_non_null(strstr(batch, "\"host\":2"));
    assert_non_null(strstr(batch, "\"task\":0"));
    assert_non_null(strstr(batch, "\"timestamp\":\"0.0\""));
}

static struct answer *wait_from(struct fx *fx, const char *classes, const char *token, const char *seconds) {
    char params[500];
    snprintf(params, sizeof(params), "[$S, %s, \"%s\", %s]", classes, token, seconds);
    return fx_start(fx, false, false, "event.from", params);
}

static void test_wait_and_wake(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *token = current_token(fx);
    struct answer *a = wait_from(fx, "[\"pool\"]", token, "60");
    struct answer *other = wait_from(fx, "[\"network\"]", token, "60");
    loop_sim_advance(fx->sim, 1000);
    assert_false(a->is_there);
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_name_label, value_string("changed"));
    fx_settle(fx);
    assert_true(a->is_there);
    assert_false(other->is_there);
    assert_non_null(strstr(a->json, "\"operation\":\"mod\""));
    assert_non_null(strstr(a->json, "changed"));
    /* From the new token on there is nothing: it waits, then comes back empty without an error. */
    _cleanup_free_ char *next = token_of(a->json);
    struct answer *b = wait_from(fx, "[\"pool\"]", next, "2.5");
    loop_sim_advance(fx->sim, 2400);
    assert_false(b->is_there);
    loop_sim_advance(fx->sim, 200);
    assert_true(b->is_there);
    assert_non_null(strstr(b->json, "\"events\":[]"));
    loop_sim_advance(fx->sim, 60000);
    assert_true(other->is_there);
    answer_free(a);
    answer_free(b);
    answer_free(other);
}

static void test_deleted_and_collapsed(void **state) {
    struct fx *fx = *state;
    struct uuid n = fx_add(fx, CLASS_network), m = fx_add(fx, CLASS_network);
    fx_settle(fx);
    _cleanup_free_ char *token = current_token(fx);
    for (int i = 0; i < 5; i++) {
        fx_set(fx, CLASS_network, &m, FIELD_network_name_label, value_stringf("name%d", i));
        fx_settle(fx);
    }
    fx_delete(fx, CLASS_network, &n);
    fx_settle(fx);
    const char *batch = fx_call(fx, "event.from", "[$S, [\"Network\"], \"%s\", 5]", token);
    assert_non_null(strstr(batch, "name4"));
    assert_null(strstr(batch, "name3"));
    const char *mod = strstr(batch, "\"operation\":\"mod\""), *del = strstr(batch, "\"operation\":\"del\"");
    assert_true(mod && del && mod < del);
    assert_null(strstr(del, "snapshot"));
    assert_non_null(strstr(del, fx_ref(&n)));
}

static void test_one_object(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *token = current_token(fx);
    char classes[100];
    snprintf(classes, sizeof(classes), "[\"host/%s\"]", fx_ref(&fx->hosts[1]));
    struct answer *a = wait_from(fx, classes, token, "60");
    fx_set(fx, CLASS_host, &fx->hosts[0], FIELD_host_name_label, value_string("zero"));
    fx_settle(fx);
    assert_false(a->is_there);
    fx_set(fx, CLASS_host, &fx->hosts[1], FIELD_host_name_label, value_string("one"));
    fx_settle(fx);
    assert_true(a->is_there);
    assert_null(strstr(a->json, "zero"));
    answer_free(a);
}

static void test_inject(void **state) {
    struct fx *fx = *state;
    const char *pool = fx_ref(&fx->pool);
    const char *text = fx_call(fx, "event.inject", "[$S, \"pool\", \"%s\"]", pool);
    _cleanup_free_ char *token = xstrndup(text + 1, strlen(text) - 2);
    const char *batch = fx_call(fx, "event.from", "[$S, [\"pool\"], \"%s\", 5]", token);
    assert_non_null(strstr(batch, "\"operation\":\"mod\""));
    assert_non_null(strstr(batch, pool));
    assert_true(str_starts(fx_fail(fx, "event.inject", "[$S, \"pool\", \"%s\"]", fx_ref(&fx->hosts[0])),
                           "HANDLE_INVALID pool"));
    assert_true(str_starts(fx_fail(fx, "event.inject", "[$S, \"POOL\", \"%s\"]", pool), "HANDLE_INVALID POOL"));
}

static void test_bad_input(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_fail(fx, "event.from", "[$S, [\"*\"], \"rubbish\", 5]"),
                        "EVENT_FROM_TOKEN_PARSE_FAILURE rubbish");
    assert_string_equal(fx_fail(fx, "event.from", "[$S, [\"a/b\"], \"\", 5]"), "EVENT_SUBSCRIPTION_PARSE_FAILURE a/b");
    /* A token of another process, or of before: the whole state, no error. */
    assert_non_null(strstr(fx_call(fx, "event.from", "[$S, [\"pool\"], \"1,2\", 5]"), "\"add\""));
    assert_non_null(strstr(fx_call(fx, "event.from", "[$S, [\"task\"], \"\", -1]"), "\"events\":[]"));
}

static void test_logout_wakes(void **state) {
    struct fx *fx = *state;
    _cleanup_free_ char *token = current_token(fx);
    struct answer *a = wait_from(fx, "[\"pool\"]", token, "60");
    fx_call(fx, "session.logout", "[$S]");
    assert_true(a->is_there);
    assert_true(error_is(a->error, ERR_SESSION_INVALID));
    answer_free(a);
}

/* Many clients with the same subscription: all get the change, in both forms, and none gets it twice. */
static void test_many(void **state) {
    struct fx *fx = *state;
    enum { N = 500 };
    struct answer *answers[N];
    _cleanup_free_ char *token = current_token(fx);
    for (int i = 0; i < N; i++) {
        char params[300];
        snprintf(params, sizeof(params), "[$S, [\"pool\"], \"%s\", 60]", token);
        answers[i] = fx_start(fx, false, i % 2, "event.from", params);
        if (i % 50 == 0) { /* others' changes in between: the groups drift apart and come together again */
            fx_set(fx, CLASS_host, &fx->hosts[0], FIELD_host_name_label, value_stringf("h%d", i));
            fx_settle(fx);
        }
    }
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_name_label, value_string("for all"));
    fx_settle(fx);
    for (int i = 0; i < N; i++) {
        assert_true(answers[i]->is_there);
        assert_non_null(strstr(answers[i]->json, "for all"));
        answer_free(answers[i]);
    }
}

static void test_next(void **state) {
    struct fx *fx = *state;
    assert_true(str_starts(fx_fail(fx, "event.next", "[$S]"), "SESSION_NOT_REGISTERED OpaqueRef:"));
    fx_call(fx, "event.register", "[$S, [\"pool\"]]");
    struct answer *a = fx_start(fx, false, false, "event.next", "[$S]");
    assert_false(a->is_there);
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_name_label, value_string("next"));
    fx_settle(fx);
    assert_true(a->is_there);
    assert_non_null(strstr(a->json, "\"operation\":\"mod\""));
    answer_free(a);
    a = fx_start(fx, false, false, "event.next", "[$S]");
    fx_settle(fx);
    assert_false(a->is_there); /* it has had that one */
    fx_call(fx, "session.logout", "[$S]");
    assert_true(error_is(a->error, ERR_SESSION_INVALID));
    answer_free(a);
    fx_login(fx);
    fx_call(fx, "event.register", "[$S, [\"pool\"]]");
    fx_call(fx, "event.unregister", "[$S, [\"pool\"]]");
    assert_true(str_starts(fx_fail(fx, "event.next", "[$S]"), "SESSION_NOT_REGISTERED"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test_setup_teardown(test_everything_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait_and_wake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_and_collapsed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inject, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logout_wakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
