/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between hosts, at the coordinator of a pool of three: who may answer, and how many may wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "channel_fake.h"
#include "db/db.h"
#include "loop/loop_sim.h"
#include "pool/pool_channel.h"
#include "wire/value_json.h"

#define MAX_PENDING 4096 /* as in pool_call.c */
#define MAX_RELAYED 256

static const struct uuid self = {{1}}, member = {{2}}, other = {{3}};

struct pc {
    struct loop_sim *sim;
    struct loop *loop;
    struct db *db;
    struct pool_channel *c;
    unsigned n_calls, n_returns, n_refused; /* sent to anybody; n_refused: of n_returns, those with a code */
    int64_t latest_call;                    /* its id */
    int64_t latest_return;
    char reason[128]; /* of the latest refusal */
};

static void on_sent(const char *json, size_t size, void *userdata) {
    struct pc *pc = userdata;
    _cleanup_value_ struct value m = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    assert_true(value_json_parse(json, size, 16, 1000, &m, &e));
    const char *type = value_map_str(&m, "t");
    if (str_eq(type, "call")) {
        pc->n_calls++;
        pc->latest_call = value_as_int(value_map_get(&m, "id"));
    } else if (str_eq(type, "return")) {
        const struct value *params = value_map_get(&m, "params");
        pc->n_returns++;
        pc->latest_return = value_as_int(value_map_get(&m, "id"));
        if (value_map_str(&m, "code")) {
            assert_string_equal(value_map_str(&m, "code"), ERR_POOL_CALL_FAILED);
            assert_true(params && params->set.n == 2);
            (void)str_copy(pc->reason, sizeof(pc->reason), value_str(&params->set.items[1]));
            pc->n_refused++;
        }
    }
}

static bool admit(const struct uuid *host, const char *fingerprint, const struct value *hello_facts, int64_t skew_ms,
                  struct value *facts, void *userdata, struct error **errp) {
    return true;
}

static const struct pool_channel_callbacks callbacks = {.admit = admit};

static void say(const char *fmt, ...) _printf_(1, 2);
static void say(const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    assert_in_range(len, 1, sizeof(text) - 1);
    channel_fake_say(text, (size_t)len);
}

/* Speaks from here on for this host, over a connection that is new. */
static void arrive(const struct uuid *host) {
    char id[UUID_TEXT_SIZE];
    channel_fake_accept();
    say("{\"t\":\"hello\",\"host\":\"%s\",\"version\":1,\"wall\":0,\"facts\":{}}", uuid_text(host, id));
}

/* `from` asks the host `to`, over the connection of whoever speaks. */
static void ask(const struct uuid *from, const struct uuid *to, int id) {
    char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];
    say("{\"t\":\"call\",\"id\":%d,\"from\":\"%s\",\"to\":\"%s\",\"name\":\"any\",\"args\":{}}", id, uuid_text(from, a),
        uuid_text(to, b));
}

static void answer(int64_t id) {
    say("{\"t\":\"return\",\"id\":%lld,\"value\":{}}", (long long)id);
}

static int setup(void **state) {
    struct pc *pc = xnew0(struct pc);
    _cleanup_error_ struct error *e = NULL;
    log_set_level(LOG_LEVEL_ERR);
    pc->sim = loop_sim_new(1);
    pc->loop = loop_sim_loop(pc->sim);
    pc->db = db_new(pc->loop);
    struct pool_channel_config config = {.loop = pc->loop,
                                         .db = pc->db,
                                         .self = self,
                                         .cert_path = "",
                                         .key_path = "",
                                         .ca_path = "",
                                         .callbacks = &callbacks};
    channel_fake_begin(on_sent, pc);
    pc->c = pool_channel_new(&config);
    *state = pc;
    return pool_channel_listen(pc->c, "::", &e) ? 0 : -1;
}

static int teardown(void **state) {
    struct pc *pc = *state;
    pool_channel_free(pc->c);
    db_free(pc->db);
    loop_free(pc->loop);
    loop_sim_free(pc->sim);
    free(pc);
    return 0;
}

/* ---- this host's own calls ---- */
struct asked {
    unsigned n_answers, n_errors;
    char reason[128];
};

static void on_answer(const struct value *result, const struct error *error, void *userdata) {
    struct asked *a = userdata;
    a->n_answers++;
    a->n_errors += error != NULL;
    if (error)
        (void)str_copy(a->reason, sizeof(a->reason), error_param(error, 1));
}

static void test_only_who_was_asked_answers(void **state) {
    struct pc *pc = *state;
    struct asked a = {0};
    arrive(&member);
    pool_channel_call(pc->c, &member, "any", value_map(), 10000, on_answer, &a);
    assert_int_equal(pc->n_calls, 1);
    arrive(&other);
    answer(pc->latest_call); /* the other member */
    assert_int_equal(a.n_answers, 0);
    arrive(&member); /* connected anew: what was asked over the old connection is over */
    assert_int_equal(a.n_answers, 1);
    assert_int_equal(a.n_errors, 1);
    pool_channel_call(pc->c, &member, "any", value_map(), 10000, on_answer, &a);
    answer(pc->latest_call);
    assert_int_equal(a.n_answers, 2);
    assert_int_equal(a.n_errors, 1);
    answer(pc->latest_call); /* once */
    assert_int_equal(a.n_answers, 2);
}

/* Time goes on while the other end is alive. */
static void beat_for(struct pc *pc, unsigned ms) {
    for (unsigned gone = 0; gone < ms; gone += 250) {
        say("{\"t\":\"beat\"}");
        loop_sim_advance(pc->sim, 250);
    }
}

static void test_silence_has_an_end(void **state) {
    struct pc *pc = *state;
    struct asked a = {0};
    arrive(&member);
    pool_channel_call(pc->c, &member, "any", value_map(), 10000, on_answer, &a);
    beat_for(pc, 9000);
    assert_int_equal(a.n_answers, 0);
    beat_for(pc, 2000);
    assert_int_equal(a.n_errors, 1);
    assert_string_equal(a.reason, "no answer in time");
    answer(pc->latest_call); /* too late */
    assert_int_equal(a.n_answers, 1);
}

static void test_own_calls_have_a_limit(void **state) {
    struct pc *pc = *state;
    struct asked a = {0}, more = {0};
    arrive(&member);
    for (unsigned i = 0; i < MAX_PENDING; i++)
        pool_channel_call(pc->c, &member, "any", value_map(), 1000, on_answer, &a);
    assert_int_equal(pc->n_calls, MAX_PENDING);
    pool_channel_call(pc->c, &member, "any", value_map(), 1000, on_answer, &more);
    pool_channel_call(pc->c, &self, "any", value_map(), 1000, on_answer, &more);
    assert_int_equal(pc->n_calls, MAX_PENDING);
    assert_int_equal(more.n_answers, 0); /* never before the call has returned */
    loop_sim_advance(pc->sim, 1);
    assert_int_equal(more.n_errors, 2);
    assert_string_equal(more.reason, "too many calls of this host wait for an answer");
    answer(pc->latest_call); /* makes room for one */
    assert_int_equal(a.n_answers, 1);
    pool_channel_call(pc->c, &member, "any", value_map(), 1000, on_answer, &more);
    assert_int_equal(pc->n_calls, MAX_PENDING + 1);
    loop_sim_advance(pc->sim, 1500);
    assert_int_equal(a.n_answers, MAX_PENDING);
    assert_int_equal(more.n_answers, 3);
    pool_channel_call(pc->c, &member, "any", value_map(), 1000, on_answer, &more); /* all their room is free again */
    assert_int_equal(pc->n_calls, MAX_PENDING + 2);
}

/* What has failed waits no more: over days of hosts that come and go, it uses up no room. */
static void test_failed_calls_leave_room(void **state) {
    struct pc *pc = *state;
    struct asked a = {0};
    for (unsigned i = 0; i < MAX_PENDING + 2; i++) {
        arrive(&member); /* what was asked over the connection before has failed */
        pool_channel_call(pc->c, &member, "any", value_map(), 10000, on_answer, &a);
        assert_int_equal(a.n_errors, i);
        assert_int_equal(pc->n_calls, i + 1);
    }
}

static void served(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    ++*(unsigned *)userdata;
    pool_reply_return(reply, value_map());
}

/* A channel that ends takes along what has not begun, and what has failed and not been told. */
static void test_the_end_of_the_channel(void **state) {
    struct pc *pc = *state;
    struct asked a = {0};
    unsigned n_served = 0;
    pool_channel_serve(pc->c, "local", served, &n_served);
    pool_channel_call(pc->c, &self, "local", value_map(), 1000, on_answer, &a);
    assert_int_equal(n_served, 0); /* never before the call has returned */
    loop_sim_advance(pc->sim, 1);
    assert_int_equal(n_served, 1);
    assert_int_equal(a.n_answers, 1);
    assert_int_equal(a.n_errors, 0);
    pool_channel_call(pc->c, &self, "local", value_map(), 1000, on_answer, &a);
    pool_channel_call(pc->c, &member, "any", value_map(), 1000, on_answer, &a); /* not connected */
    pool_channel_free(TAKE(pc->c));
    loop_sim_advance(pc->sim, 2000);
    assert_int_equal(n_served, 1);
    assert_int_equal(a.n_answers, 1);
}

/* ---- calls that are passed on ---- */
static void test_a_call_is_passed_on_and_its_answer_back(void **state) {
    struct pc *pc = *state;
    arrive(&other);
    arrive(&member);
    ask(&member, &other, 7);
    assert_int_equal(pc->n_calls, 1);
    answer(pc->latest_call); /* who asked does not answer itself */
    assert_int_equal(pc->n_returns, 0);
    ask(&other, &member, 8); /* in another's name */
    assert_int_equal(pc->n_calls, 1);
    arrive(&other); /* the call over its old connection has failed */
    assert_int_equal(pc->n_returns, 1);
    assert_int_equal(pc->latest_return, 7);
    assert_int_equal(pc->n_refused, 1);
}

static void test_calls_of_a_member_have_a_limit(void **state) {
    struct pc *pc = *state;
    struct asked a = {0};
    arrive(&other);
    arrive(&member);
    for (int i = 0; i < MAX_RELAYED; i++)
        ask(&member, &other, i);
    assert_int_equal(pc->n_calls, MAX_RELAYED);
    assert_int_equal(pc->n_returns, 0);
    ask(&member, &other, 5000);
    assert_int_equal(pc->n_calls, MAX_RELAYED);
    assert_int_equal(pc->n_refused, 1); /* at once, to who asked */
    assert_int_equal(pc->latest_return, 5000);
    assert_string_equal(pc->reason, "too many calls of that member wait for an answer");

    /* Others, and this host, still have room. */
    pool_channel_call(pc->c, &member, "any", value_map(), 1000, on_answer, &a);
    assert_int_equal(pc->n_calls, MAX_RELAYED + 1);
    answer(pc->latest_call);
    assert_int_equal(a.n_errors, 0);
    assert_int_equal(a.n_answers, 1);
    arrive(&other); /* anew: what it was asked has failed, so the first member has room again */
    assert_int_equal(pc->n_refused, 1 + MAX_RELAYED);
    ask(&other, &member, 1);
    assert_int_equal(pc->n_calls, MAX_RELAYED + 2);
    arrive(&member);
    ask(&member, &other, 5001);
    assert_int_equal(pc->n_calls, MAX_RELAYED + 3);
    assert_int_equal(pc->n_refused, 2 + MAX_RELAYED); /* the call of `other` to the member's old connection */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_who_was_asked_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_has_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_calls_have_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_calls_leave_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_of_the_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_call_is_passed_on_and_its_answer_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls_of_a_member_have_a_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
