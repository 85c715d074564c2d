/* SPDX-License-Identifier: Apache-2.0 */
/* What a coordinator may say to a member, over a channel that the test is the other end of (wrapped at link time). */
#include "pool/pool_channel.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "base/str.h"
#include "loop/loop_sim.h"
#include "wire/channel.h"

struct fx {
    struct loop_sim *sim;
    struct loop *loop;
    struct db *db;
    struct pool_channel *channel;
    unsigned n_refused;
    char code[64];
    size_t n_params, n_facts;
};

/* ---- the other end ---- */

static struct {
    const struct channel_callbacks *callbacks;
    void *userdata;
    unsigned n_freed;
} line;
static char line_mark; /* stands for the channel */

struct channel *__wrap_channel_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                                       struct tls_context *tls, unsigned deadline_ms,
                                       const struct channel_callbacks *callbacks, void *userdata, struct error **errp);
void __wrap_channel_free(struct channel *c);
bool __wrap_channel_send(struct channel *c, const char *json, size_t size);
void __wrap_channel_set_authenticated(struct channel *c);
const struct stream_peer *__wrap_channel_get_peer(const struct channel *c);
struct tls_context *__wrap_tls_context_new(const struct tls_config *config, struct error **errp);
void __wrap_tls_context_unref(struct tls_context *c);

struct channel *__wrap_channel_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                                       struct tls_context *tls, unsigned deadline_ms,
                                       const struct channel_callbacks *callbacks, void *userdata, struct error **errp) {
    line.callbacks = callbacks;
    line.userdata = userdata;
    return (struct channel *)&line_mark;
}

void __wrap_channel_free(struct channel *c) {
    line.n_freed += c != NULL;
}

bool __wrap_channel_send(struct channel *c, const char *json, size_t size) {
    return true;
}

void __wrap_channel_set_authenticated(struct channel *c) {}

const struct stream_peer *__wrap_channel_get_peer(const struct channel *c) {
    static const struct stream_peer peer = {.address = "10.0.0.1", .tls = {.common_name = "the coordinator"}};
    return &peer;
}

struct tls_context *__wrap_tls_context_new(const struct tls_config *config, struct error **errp) {
    return (struct tls_context *)&line_mark;
}

void __wrap_tls_context_unref(struct tls_context *c) {}

static void says(const char *json) {
    line.callbacks->message((struct channel *)&line_mark, json, strlen(json), line.userdata);
}

/* ---- the member ---- */

static void on_refused(const struct error *e, const struct value *facts, const char *certified, void *userdata) {
    struct fx *fx = userdata;
    fx->n_refused++;
    str_copy(fx->code, sizeof(fx->code), error_code(e));
    fx->n_params = error_n_params(e);
    fx->n_facts = facts->map.n;
    assert_string_equal(certified, "the coordinator");
}

static const struct pool_channel_callbacks callbacks = {.refused = on_refused};

static int setup(void **state) {
    struct fx *fx = xnew0(struct fx);
    fx->sim = loop_sim_new(1);
    fx->loop = loop_sim_loop(fx->sim);
    fx->db = db_new(fx->loop);
    struct pool_channel_config config = {.loop = fx->loop,
                                         .db = fx->db,
                                         .self = uuid_random(),
                                         .cert_path = "cert",
                                         .key_path = "key",
                                         .ca_path = "ca",
                                         .callbacks = &callbacks,
                                         .userdata = fx};
    fx->channel = pool_channel_new(&config);
    memset(&line, 0, sizeof(line));
    pool_channel_connect(fx->channel, "10.0.0.1");
    loop_sim_advance(fx->sim, 10);
    *state = fx;
    return 0;
}

static int teardown(void **state) {
    struct fx *fx = *state;
    pool_channel_free(fx->channel);
    assert_int_equal(line.n_freed, 1);
    db_free(fx->db);
    loop_free(fx->loop);
    loop_sim_free(fx->sim);
    free(fx);
    return 0;
}

static void test_refusals(void **state) {
    struct fx *fx = *state;
    static const struct {
        const char *json, *code;
        size_t n_params, n_facts;
    } cases[] = {
        {"{\"t\":\"refuse\",\"code\":\"HOST_IS_SLAVE\",\"params\":[\"10.0.0.2\"],\"facts\":{\"a\":1}}", "HOST_IS_SLAVE",
         1, 1},
        {"{\"t\":\"refuse\",\"code\":\"HOST_STILL_BOOTING\",\"params\":[]}", "HOST_STILL_BOOTING", 0, 0},
        {"{\"t\":\"refuse\",\"code\":\"X\",\"params\":7,\"facts\":[]}", "X", 0, 0},
        {"{\"t\":\"refuse\",\"code\":\"X\",\"params\":[7,null,\"y\"]}", "X", 3, 0},
        /* what says no reason is a refusal all the same */
        {"{\"t\":\"refuse\"}", "INTERNAL_ERROR", 0, 0},
        {"{\"t\":\"refuse\",\"code\":null}", "INTERNAL_ERROR", 0, 0},
        {"{\"t\":\"refuse\",\"code\":12,\"params\":[\"x\"]}", "INTERNAL_ERROR", 1, 0},
    };
    assert_non_null(line.callbacks);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        says(cases[i].json);
        assert_int_equal(fx->n_refused, i + 1);
        assert_string_equal(fx->code, cases[i].code);
        assert_int_equal(fx->n_params, cases[i].n_params);
        assert_int_equal(fx->n_facts, cases[i].n_facts);
    }
    assert_int_equal(line.n_freed, 0);
}

/* Nothing is made of a message without its parts, and the connection stays. */
static void test_parts_are_missing(void **state) {
    static const char *const kinds[] = {"hello", "welcome", "knock", "beat", "vol", "call", "return", "?"};
    struct fx *fx = *state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "{\"t\":\"%s\"}", kinds[i]);
        says(text);
    }
    assert_int_equal(fx->n_refused, 0);
    assert_int_equal(line.n_freed, 0);
}

/* What is no message ends the connection, and it is made anew. */
static void test_no_message(void **state) {
    struct fx *fx = *state;
    static const char *const texts[] = {"{", "7", "[]", "{}", "{\"t\":7}"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        says(texts[i]);
        assert_int_equal(line.n_freed, 1);
        memset(&line, 0, sizeof(line));
        for (unsigned ms = 0; !line.callbacks && ms < 60000; ms += 100)
            loop_sim_advance(fx->sim, 100);
        assert_non_null(line.callbacks);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_are_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_message, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
