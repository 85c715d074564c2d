/* SPDX-License-Identifier: Apache-2.0 */
#include "api_fixture.h"

#include "base/str.h"
#include "db/db_internal.h"
#include "wire/rpc.h"
#include "wire/value_json.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

extern struct fx *fixture_current;

/* The latest texts, so that an assertion may hold two. */
static char *kept[4];
static unsigned next_kept;

static const char *keep(char *text) {
    char **place = &kept[next_kept++ % ARRAY_SIZE(kept)];
    free(*place);
    return *place = text;
}

static struct uuid companion(struct fx *fx, int class_id, const struct uuid *uuid, unsigned field) {
    return *row_ref(db_get(fx->db, class_id, uuid), field);
}

struct fx *fx_new(unsigned n_hosts, unsigned own, call_handler_fn *const *handlers) {
    struct fx *fx = fixture_current = xnew0(struct fx);
    fx->sim = loop_sim_new(1);
    fx->loop = loop_sim_loop(fx->sim);
    fx->db = db_new(fx->loop);
    fx->worker = worker_new(fx->loop, 1);
    fx->pool = fx_add(fx, CLASS_pool);
    fx->n_hosts = n_hosts;
    for (unsigned i = 0; i < n_hosts; i++) {
        fx->hosts[i] = fx_add(fx, CLASS_host);
        fx_set(fx, CLASS_host, &fx->hosts[i], FIELD_host_name_label, value_stringf("host%u", i));
        fx_set(fx, CLASS_host, &fx->hosts[i], FIELD_host_address, value_stringf("10.0.0.%u", i + 1));
        fx_set(fx, CLASS_host, &fx->hosts[i], FIELD_host_enabled, value_bool(true));
        struct uuid metrics = companion(fx, CLASS_host, &fx->hosts[i], FIELD_host_metrics);
        db_volatile_put(fx->db, &fx->hosts[i], CLASS_host_metrics, &metrics);
        db_volatile_set(fx->db, &fx->hosts[i], CLASS_host_metrics, &metrics, FIELD_host_metrics_live, value_bool(true));
    }
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_name_label, value_string("test pool"));
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_master, value_ref(&fx->hosts[0]));
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_epoch, value_int(1));
    db_set_self(fx->db, &fx->hosts[own]);
    struct api_config config = {.loop = fx->loop,
                                .db = fx->db,
                                .worker = fx->worker,
                                .own_host = fx->hosts[own],
                                .hooks = &fx->hooks,
                                .handlers = handlers};
    fx->api = api_new(&config);
    fx_settle(fx);
    return fx;
}

void fx_hooks_changed(struct fx *fx) {
    *(struct api_hooks *)api_hooks(fx->api) = fx->hooks;
}

void fx_free(struct fx *fx) {
    api_free(fx->api);
    worker_free(fx->worker);
    db_free(fx->db);
    loop_free(fx->loop);
    loop_sim_free(fx->sim);
    free(fx->session);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        free(TAKE(kept[i]));
    free(fx);
}

struct uuid fx_add(struct fx *fx, int class_id) {
    struct uuid u = uuid_random();
    db_object_add(fx->db, class_id, &u);
    return u;
}

void fx_set(struct fx *fx, int class_id, const struct uuid *uuid, unsigned field, struct value v) {
    db_object_set(fx->db, db_object(fx->db, class_id, uuid), field, v);
}

void fx_delete(struct fx *fx, int class_id, const struct uuid *uuid) {
    db_object_delete(fx->db, db_object(fx->db, class_id, uuid));
}

void fx_settle(struct fx *fx) {
    loop_sim_advance(fx->sim, 10);
}

const struct row *fx_row(struct fx *fx, int class_id, const struct uuid *uuid) {
    return db_get(fx->db, class_id, uuid);
}

const char *fx_ref(const struct uuid *u) {
    static char texts[8][REF_TEXT_SIZE];
    static unsigned next;
    return ref_text(u, texts[next++ % 8]);
}

/* ---- requests ---- */

static void replied(const struct reply *r, void *userdata) {
    struct answer *a = userdata;
    struct buf out = BUF_INIT;
    assert_false(a->is_there);
    a->is_there = true;
    a->call = NULL;
    if (r->error) {
        a->error = error_dup(r->error);
        return;
    }
    if (r->json)
        buf_add(&out, r->json, r->json_size);
    else
        value_json_emit(&out, r->value);
    a->json = buf_take(&out);
}

static char *with_session(struct fx *fx, const char *params) {
    struct buf out = BUF_INIT;
    for (const char *p = params; *p; p++) {
        if (p[0] == '$' && p[1] == 'S') {
            buf_addf(&out, "\"%s\"", str_or_empty(fx->session));
            p++;
        } else {
            buf_add_char(&out, *p);
        }
    }
    return buf_take(&out);
}

struct answer *fx_start(struct fx *fx, bool remote, bool xml, const char *method, const char *params) {
    _cleanup_free_ char *text = with_session(fx, params);
    struct error *e = NULL;
    struct api_request rq = {.method = method, .wants_json = !xml, .caller.is_local = !remote};
    if (remote)
        str_copy(rq.caller.address, sizeof(rq.caller.address), "10.9.9.9");
    assert_true(value_json_parse(text, strlen(text), RPC_MAX_DEPTH, RPC_MAX_VALUES, &rq.params, &e));
    struct answer *a = xnew0(struct answer);
    struct call *c = api_dispatch(fx->api, &rq, replied, a);
    assert_true(c ? !a->is_there : a->is_there);
    a->call = c;
    return a;
}

void answer_free(struct answer *a) {
    if (!a)
        return;
    free(a->json);
    error_free(a->error);
    free(a);
}

static struct answer *run(struct fx *fx, const char *method, const char *fmt, va_list ap) {
    char params[4096];
    assert_true(vsnprintf(params, sizeof(params), fmt, ap) < (int)sizeof(params));
    struct answer *a = fx_start(fx, false, false, method, params);
    for (uint64_t end = loop_sim_now_ms(fx->sim) + 200000; !a->is_there && loop_sim_next(fx->sim, end);)
        ;
    assert_true(a->is_there);
    return a;
}

const char *fx_call(struct fx *fx, const char *method, const char *params_fmt, ...) {
    va_list ap;
    va_start(ap, params_fmt);
    struct answer *a = run(fx, method, params_fmt, ap);
    va_end(ap);
    if (a->error)
        fail_msg("%s: %s", method, error_text(a->error));
    char *text = TAKE(a->json);
    answer_free(a);
    return keep(text);
}

const char *fx_fail(struct fx *fx, const char *method, const char *params_fmt, ...) {
    va_list ap;
    va_start(ap, params_fmt);
    struct answer *a = run(fx, method, params_fmt, ap);
    va_end(ap);
    if (!a->error)
        fail_msg("%s did not fail: %s", method, a->json);
    struct buf out = BUF_INIT;
    buf_add_str(&out, error_code(a->error));
    for (size_t i = 0; i < error_n_params(a->error); i++)
        buf_addf(&out, " %s", error_param(a->error, i));
    answer_free(a);
    return keep(buf_take(&out));
}

void fx_login(struct fx *fx) {
    const char *ref = fx_call(fx, "session.login_with_password", "[\"root\", \"\"]");
    free(fx->session);
    fx->session = xstrndup(ref + 1, strlen(ref) - 2);
}
