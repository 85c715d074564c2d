/* SPDX-License-Identifier: Apache-2.0 */
/* How a change is tried, refused, forced, held, undone, and ended by a coordinator that did not begin it. */
#include "base/str.h"
#include "classes/net_change.h"
#include "db/db_internal.h"
#include "net_fixture.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

/* What hosts answer, and what they were asked. */
static const char *problem; /* of every plan */
static const char *verdict; /* of every measurement */
static bool has_paths, has_new_host;
static struct strv asked;
static struct value history;

static void ask(void *userdata, const struct uuid *host, const char *name, struct value args, uint64_t deadline_ms,
                api_query_done_fn *done, void *data) {
    _cleanup_value_ struct value result = value_map(), problems = value_set();
    value_done(&args);
    strv_add(&asked, name);
    if (problem)
        value_set_add(&problems, value_string(problem));
    value_map_add(&result, "plan", value_string("1 * a step\n"));
    value_map_add(&result, "diff", value_string("MTU '1500' becomes '9000'\n"));
    value_map_add(&result, "steps", value_int(1));
    value_map_add(&result, "management", value_bool(true));
    value_map_add(&result, "problems", value_take(&problems));
    done(NULL, &result, data);
}

static struct value paths(void *userdata, struct db *then, const struct uuid *host) {
    struct value v = {.type = VALUE_VOID};
    if (has_paths) {
        v = value_map();
        value_map_add(&v, "raise", value_map());
    }
    return v;
}

static struct value judge(void *userdata, struct db *then, const struct value *tables) {
    struct value bad = value_set();
    if (verdict)
        value_set_add(&bad, value_string(verdict));
    return bad;
}

static bool is_new(void *userdata, const struct uuid *host) {
    return has_new_host;
}

static void note(void *userdata, struct value entry) {
    value_set_add(&history, entry);
}

static struct value past(void *userdata) {
    return value_copy(&history);
}

static int setup(void **state) {
    struct nf *nf = nf_new(3);
    nf->fx->hooks.network_ask = ask;
    nf->fx->hooks.network_paths = paths;
    nf->fx->hooks.network_verdict = judge;
    nf->fx->hooks.host_is_new = is_new;
    nf->fx->hooks.network_note = note;
    nf->fx->hooks.network_history = past;
    fx_hooks_changed(nf->fx);
    net_change_watch(nf->fx->api);
    problem = verdict = NULL;
    has_paths = true;
    has_new_host = false;
    history = value_set();
    *state = nf;
    return 0;
}

static int teardown(void **state) {
    nf_free(*state);
    strv_done(&asked);
    value_done(&history);
    return 0;
}

static unsigned n_asked(const char *name) {
    unsigned n = 0;
    for (size_t i = 0; i < asked.n; i++)
        n += str_eq(asked.items[i], name);
    return n;
}

static int64_t mtu(struct nf *nf) {
    return row_int(fx_row(nf->fx, CLASS_network, &nf->networks[0]), FIELD_network_MTU);
}

static const char *journal(struct nf *nf) {
    const struct value *config = row_value(db_pool(nf->fx->db), FIELD_pool_other_config);
    for (size_t i = 0; i < config->map.n; i++)
        if (str_starts(config->map.pairs[i].key, "network-change-"))
            return config->map.pairs[i].key;
    return NULL;
}

static const char *change(struct nf *nf, int to, const char *options) {
    return fx_call(nf->fx, "pool.network_change", "[$S, \"network.set_MTU\", \"[\\\"%s\\\",%d]\", {%s}]",
                   fx_ref(&nf->networks[0]), to, options);
}

static void test_dry_run(void **state) {
    struct nf *nf = *state;
    const char *said = change(nf, 9000, "\"dry_run\":\"true\"");
    assert_non_null(strstr(said, "MTU 1500 becomes 9000"));
    assert_non_null(strstr(said, "one host after another, the coordinator last"));
    assert_int_equal(mtu(nf), 1500);
    assert_int_equal(n_asked("net_plan"), 3);
    assert_int_equal(n_asked("net_lift") + n_asked("net_stage") + n_asked("net_prove"), 0);
    assert_int_equal(history.set.n, 0);
    change(nf, 9000, "\"dry_run\":\"true\",\"prove\":\"true\"");
    assert_int_equal(n_asked("net_prove"), 3);
    assert_int_equal(n_asked("net_lower"), 3);
    assert_int_equal(mtu(nf), 1500);
}

static void test_refused_and_forced(void **state) {
    struct nf *nf = *state;
    const char *ref = fx_ref(&nf->networks[0]);
    verdict = "leg eth0 passes 4000";
    assert_string_equal(fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 9000]", ref),
                        "NETWORK_CHANGE_REFUSED  leg eth0 passes 4000");
    assert_int_equal(mtu(nf), 1500);
    assert_int_equal(n_asked("net_prove"), 3 * 2); /* what is bad is measured once more */
    assert_int_equal(n_asked("net_lower"), 3);
    assert_int_equal(n_asked("net_stage"), 0);
    has_new_host = true; /* a host that has just come may not answer on every leg yet */
    fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 9000]", ref);
    assert_int_equal(n_asked("net_prove"), 3 * 2 + 3 * 3);
    verdict = NULL;
    problem = "the driver takes 4000";
    assert_true(str_starts(fx_fail(nf->fx, "network.set_MTU", "[$S, \"%s\", 9000]", ref), "NETWORK_CHANGE_REFUSED"));
    assert_non_null(strstr(change(nf, 9000, "\"force\":\"true\""), "the driver takes 4000"));
    assert_int_equal(mtu(nf), 9000);
    assert_true(n_asked("net_go") >= 1); /* one after another, since management is touched */
    assert_null(journal(nf));
    const struct value *last = &history.set.items[history.set.n - 1];
    assert_string_equal(value_map_str(last, "outcome"), "applied");
    assert_non_null(strstr(value_map_str(last, "faults"), "the driver takes 4000"));
}

static void test_options(void **state) {
    struct nf *nf = *state;
    static const char *const wrong[] = {"\"timeout\":\"5\"", "\"dry_run\":\"maybe\"", "\"probes\":\"10.0.0\"",
                                        "\"colour\":\"blue\""};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_true(
            str_starts(fx_fail(nf->fx, "pool.network_change", "[$S, \"network.set_MTU\", \"[\\\"%s\\\",9000]\", {%s}]",
                               fx_ref(&nf->networks[0]), wrong[i]),
                       "INVALID_VALUE"));
    assert_true(
        str_starts(fx_fail(nf->fx, "pool.network_change", "[$S, \"host.reboot\", \"[]\", {}]"), "INVALID_VALUE"));
    /* what the inner call refuses, the outer one says */
    assert_true(str_starts(fx_fail(nf->fx, "pool.network_change", "[$S, \"network.set_MTU\", \"[\\\"%s\\\",1]\", {}]",
                                   fx_ref(&nf->networks[0])),
                           "INVALID_VALUE MTU"));
    assert_int_equal(mtu(nf), 1500);
}

static void test_undo(void **state) {
    struct nf *nf = *state;
    struct uuid n = nf_network(nf, 1500);
    nf_bond(nf, 0, &n, 1, 2);
    _cleanup_free_ char *id = xstrdup(value_map_str(&history.set.items[history.set.n - 1], "id"));
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 1);
    fx_call(nf->fx, "pool.network_change_undo", "[$S, \"%s\"]", id);
    assert_int_equal(db_count(nf->fx->db, CLASS_Bond), 0);
    assert_true(uuid_is_null(row_ref(fx_row(nf->fx, CLASS_PIF, &nf->pifs[0][1]), FIELD_PIF_bond_slave_of)));
    assert_true(str_starts(fx_fail(nf->fx, "pool.network_change_undo", "[$S, \"%s\"]", id), "OPERATION_NOT_ALLOWED"));
    assert_true(str_starts(fx_fail(nf->fx, "pool.network_change_undo", "[$S, \"nope\"]"), "INVALID_VALUE id"));
    /* what has been changed again since is not changed back from under the later change */
    change(nf, 9000, "");
    free(id);
    id = xstrdup(value_map_str(&history.set.items[history.set.n - 1], "id"));
    change(nf, 8000, "");
    assert_true(str_starts(fx_fail(nf->fx, "pool.network_change_undo", "[$S, \"%s\"]", id), "OPERATION_NOT_ALLOWED"));
    assert_int_equal(mtu(nf), 8000);
}

/* While hosts are at it, what would undo it is in the rows; a host that stays silent brings them back. */
static void test_journal(void **state) {
    struct nf *nf = *state;
    char params[128];
    nf->obedience[2] = SILENT;
    snprintf(params, sizeof(params), "[$S, \"%s\", 9000]", fx_ref(&nf->networks[0]));
    struct answer *a = fx_start(nf->fx, false, false, "network.set_MTU", params);
    loop_sim_advance(nf->fx->sim, 5000);
    assert_false(a->is_there);
    assert_int_equal(mtu(nf), 9000);
    assert_non_null(journal(nf));
    /* hosts hold their legs up for as long as they are told that it goes on */
    unsigned n = n_asked("net_renew");
    assert_true(n >= 3);
    loop_sim_advance(nf->fx->sim, 9000);
    assert_int_equal(n_asked("net_renew"), n + 9);
    assert_int_equal(n_asked("net_lower"), 0);
    loop_sim_advance(nf->fx->sim, 400000);
    assert_true(a->is_there);
    assert_int_equal(mtu(nf), 1500);
    assert_null(journal(nf));
    assert_int_equal(n_asked("net_lower"), 3);
    n = n_asked("net_renew");
    loop_sim_advance(nf->fx->sim, 60000);
    assert_int_equal(n_asked("net_renew"), n);
    answer_free(a);
}

/* The coordinator has died with the rows of an MTU for hosts[1] written: another process finds what would undo it. */
static void leave_behind(struct nf *nf) {
    char uuid[UUID_TEXT_SIZE], host[UUID_TEXT_SIZE];
    nf->fx->db->status.in_step = true;
    fx_set(nf->fx, CLASS_network, &nf->networks[0], FIELD_network_MTU, value_int(9000));
    struct value config = value_map();
    value_map_add(&config, "network-change-timeout", value_string("60")); /* a setting, no change */
    value_map_add(
        &config, "network-change-0a0b0c",
        value_stringf("{\"what\":\"network.set_MTU\",\"who\":\"x\",\"diff\":\"\",\"since\":1,\"hosts\":[\"%s\"],"
                      "\"ops\":\"[{\\\"op\\\":\\\"set\\\",\\\"class\\\":\\\"network\\\",\\\"uuid\\\":\\\"%s\\\","
                      "\\\"field\\\":\\\"MTU\\\",\\\"old\\\":1500,\\\"then\\\":9000}]\"}",
                      uuid_text(&nf->fx->hosts[1], host), uuid_text(&nf->networks[0], uuid)));
    fx_set(nf->fx, CLASS_pool, &nf->fx->pool, FIELD_pool_other_config, config);
    fx_settle(nf->fx);
}

static bool is_left(struct nf *nf) {
    return value_map_get(row_value(db_pool(nf->fx->db), FIELD_pool_other_config), "network-change-0a0b0c") != NULL;
}

static void test_left_behind(void **state) {
    struct nf *nf = *state;
    nf->obedience[1] = SILENT;
    leave_behind(nf);
    loop_sim_advance(nf->fx->sim, 10000);
    assert_int_equal(mtu(nf), 9000);        /* the host may yet come to it */
    assert_true(n_asked("net_renew") >= 9); /* and the others hold their legs up for it, */
    assert_int_equal(n_asked("net_lower"), 0);
    loop_sim_advance(nf->fx->sim, 60000);
    assert_int_equal(mtu(nf), 1500);
    assert_int_equal(n_asked("net_lower"), 3); /* until it has ended */
    assert_false(is_left(nf));
    assert_string_equal(value_map_str(&history.set.items[0], "id"), "0a0b0c");
    assert_string_equal(value_map_str(&history.set.items[0], "outcome"), "taken back");
}

/* A coordinator that has just started has heard of nobody yet: none of them is away for that. */
static void test_left_behind_unheard(void **state) {
    struct nf *nf = *state;
    nf_set_live(nf, 1, false);
    leave_behind(nf);
    loop_sim_advance(nf->fx->sim, 2000);
    nf_set_live(nf, 1, true);
    nf->obedience[1] = SILENT;
    loop_sim_advance(nf->fx->sim, 10000);
    assert_true(is_left(nf));
    loop_sim_advance(nf->fx->sim, 60000);
    assert_int_equal(mtu(nf), 1500);
}

static void test_left_behind_away(void **state) {
    struct nf *nf = *state;
    nf_set_live(nf, 1, false);
    leave_behind(nf);
    loop_sim_advance(nf->fx->sim, 8000);
    assert_false(is_left(nf));
    assert_int_equal(mtu(nf), 9000);
    assert_string_equal(value_map_str(&history.set.items[0], "outcome"), "applied");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dry_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_and_forced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_behind_unheard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_behind_away, setup, teardown),
    };
    return cmocka_run_group_tests_name("network_change", tests, NULL, NULL);
}
