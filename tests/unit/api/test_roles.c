/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every role on every call: it may do exactly what the API's table says. Each call is made with arguments that cannot
 * be right, so that a call which is allowed ends at their check, behind that of the role, and nothing is changed; one
 * that is not must be refused before its arguments are looked at.
 */
#include "api/call_private.h"
#include "api_fixture.h"
#include "base/log.h"
#include "base/str.h"
#include "facts.h"
#include "gen_handlers.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static const char *facts_path;
static struct facts facts;

static int setup(void **state) {
    facts_read(&facts, facts_path);
    *state = fx_new(2, 0, model_handlers);
    return 0;
}

static int teardown(void **state) {
    fx_free(*state);
    facts_done(&facts);
    return 0;
}

static const char *session_of(struct fx *fx, enum role role) {
    struct session *s = sessions_add(fx->api->sessions, /* uuid= */ NULL, model_role_names[role], "test", role, 0, 0);
    return fx_ref(&s->uuid);
}

/* JSON that no value of this type can be made of. */
static const char *wrong_value(const struct type_def *t) {
    assert_int_not_equal(t->kind, TYPE_ANY);
    return t->kind == TYPE_SET || t->kind == TYPE_MAP || t->kind == TYPE_RECORD ? "5" : "[]";
}

static struct answer *call_wrongly(struct fx *fx, const struct call_def *def, const char *session, bool async) {
    _cleanup_buf_ struct buf params = BUF_INIT, method = BUF_INIT;
    buf_addf(&method, "%s%s", async ? "Async." : "", def->name);
    buf_addf(&params, "[\"%s\"", session);
    for (unsigned i = 0; i < def->n_params; i++)
        buf_addf(&params, ", %s", wrong_value(def->params[i].type));
    buf_add_str(&params, def->n_params ? "]" : ", 5]"); /* one too many is wrong as well */
    return fx_start(fx, /* remote= */ true, /* xml= */ false, buf_str(&method), buf_str(&params));
}

static bool is_about_arguments(const char *code) {
    return str_eq(code, ERR_FIELD_TYPE_ERROR) || str_eq(code, ERR_MESSAGE_PARAMETER_COUNT_MISMATCH);
}

/* The role that the API asks for; for calls of our own and those that its reference does not list, the model's. */
static enum role role_needed(const struct call_def *def) {
    enum role role = def->role;
    if (def->class_id >= 0) {
        const struct class_def *class = &model_classes[def->class_id];
        const struct fact *fact = facts_call(&facts, class->name, def->name + strlen(class->name) + 1);
        if (fact && !model_role_by_name(fact->role, &role))
            fail_msg("the facts name an unknown role '%s'", fact->role);
    }
    return role;
}

static unsigned check(struct fx *fx, const struct call_def *def, enum role role, const char *session, bool async) {
    struct answer *a = call_wrongly(fx, def, session, async);
    const char *code = a->error ? error_code(a->error) : "no error";
    bool allowed = role >= role_needed(def);
    unsigned wrong = !a->error || (allowed ? !is_about_arguments(code) : !str_eq(code, ERR_RBAC_PERMISSION_DENIED));
    if (wrong)
        print_error("%s%s as %s: %s, though it may%s\n", async ? "Async." : "", def->name, model_role_names[role], code,
                    allowed ? "" : " not");
    answer_free(a);
    return wrong;
}

static void test_every_role_on_every_call(void **state) {
    struct fx *fx = *state;
    unsigned n_checked = 0, n_wrong = 0;
    for (enum role role = ROLE_READ_ONLY; role <= ROLE_POOL_ADMIN; role++) {
        char session[REF_TEXT_SIZE];
        str_copy(session, sizeof(session), session_of(fx, role));
        for (unsigned i = 0; i < model_n_calls; i++) {
            const struct call_def *def = &model_calls[i];
            if (!def->has_session)
                continue;
            n_wrong += check(fx, def, role, session, /* async= */ false);
            n_checked++;
            if (def->has_async)
                n_wrong += check(fx, def, role, session, /* async= */ true);
        }
    }
    assert_int_equal(n_wrong, 0);
    assert_true(n_checked > 6 * 2100);
}

/*
 * Calls without a session are those by which one is had, and the word of another pool on a VM that comes from there,
 * which brings a secret of its own (docs/decisions/0017); nothing more.
 */
static void test_what_needs_no_session(void **state) {
    static const char *const open[] = {"session.login_with_password",
                                       "session.slave_local_login",
                                       "session.slave_local_login_with_password",
                                       "system.listMethods",
                                       "system.isAlive",
                                       "pool.get_fingerprint",
                                       "VM.migrate_settle"};
    for (unsigned i = 0; i < model_n_calls; i++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_SIZE(open); k++)
            known |= str_eq(model_calls[i].name, open[k]);
        if (!model_calls[i].has_session && !known)
            fail_msg("%s needs no session", model_calls[i].name);
    }
}

/* What is secret is shown to those only who may read it, neither in a list nor as an event. */
static void test_secrets(void **state) {
    struct fx *fx = *state;
    struct uuid secret = fx_add(fx, CLASS_secret);
    fx_set(fx, CLASS_secret, &secret, FIELD_secret_value, value_string("hush"));
    fx_settle(fx);
    static const char *const calls[][2] = {
        {"secret.get_all_records", ""},
        {"secret.get_all_records_where", ", \"true\""},
        {"secret.get_all_where", ", \"field \\\"value\\\"=\\\"hush\\\"\""},
    };
    for (enum role role = ROLE_READ_ONLY; role <= ROLE_POOL_ADMIN; role++) {
        bool may = role >= ROLE_POOL_OPERATOR;
        char session[REF_TEXT_SIZE], params[256];
        str_copy(session, sizeof(session), session_of(fx, role));
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
            snprintf(params, sizeof(params), "[\"%s\"%s]", session, calls[i][1]);
            struct answer *a = fx_start(fx, true, false, calls[i][0], params);
            assert_int_equal(a->error == NULL, may);
            answer_free(a);
        }
        snprintf(params, sizeof(params), "[\"%s\", [\"*\"], \"\", 0.0]", session);
        struct answer *a = fx_start(fx, true, false, "event.from", params);
        while (!a->is_there && loop_sim_next(fx->sim, loop_sim_now_ms(fx->sim) + 1000))
            ;
        assert_non_null(a->json);
        assert_null(strstr(a->json, "hush"));
        assert_non_null(strstr(a->json, "name_label"));
        answer_free(a);
    }
}

/* A login by certificate may read, and these. */
static bool is_open_to_certificates(const char *name) {
    static const char *const open[] = {"pool.install_ca_certificate",
                                       "pool.uninstall_ca_certificate",
                                       "pool.enable_client_certificate_auth",
                                       "pool.disable_client_certificate_auth",
                                       "host.disable",
                                       "host.enable",
                                       "host.evacuate",
                                       "VM.start_on",
                                       "VM.resume_on",
                                       "VM.suspend",
                                       "VM.shutdown",
                                       "VM.pool_migrate"};
    for (unsigned i = 0; i < ARRAY_SIZE(open); i++)
        if (str_eq(open[i], name))
            return true;
    return false;
}

static void test_certificates(void **state) {
    struct fx *fx = *state;
    struct session *s =
        sessions_add(fx->api->sessions, /* uuid= */ NULL, "backup.example", "test", ROLE_READ_ONLY, 0, 0);
    unsigned n_wrong = 0, n_open = 0;
    s->is_certificate = true;
    for (unsigned i = 0; i < model_n_calls; i++) {
        const struct call_def *def = &model_calls[i];
        if (!def->has_session || role_needed(def) <= ROLE_READ_ONLY)
            continue;
        struct answer *a = call_wrongly(fx, def, fx_ref(&s->uuid), /* async= */ false);
        bool refused = a->error && str_eq(error_code(a->error), ERR_RBAC_PERMISSION_DENIED);
        bool open = is_open_to_certificates(def->name);
        n_open += open;
        n_wrong += refused == open;
        if (refused == open)
            print_error("%s: %s\n", def->name, a->error ? error_code(a->error) : "no error");
        answer_free(a);
    }
    assert_int_equal(n_open, 12);
    assert_int_equal(n_wrong, 0);
}

int main(int argc, char **argv) {
    assert_int_equal(argc, 2);
    facts_path = argv[1];
    log_set_level(LOG_LEVEL_ERR); /* thousands of audit lines otherwise */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_role_on_every_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_needs_no_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_certificates, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
