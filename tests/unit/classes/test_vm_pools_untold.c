/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM stays here and the other pool does not answer: that it is still to be told is in the database, said by whoever
 * leads the pool, seldom, and for so long. The other pool is a function here.
 */
#include "api_fixture.h"
#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "classes/class_vm_pools_leave.h"
#include "gen_handlers.h"
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define ID "11111111-2222-3333-4444-555555555555"
#define SECRET "01234567-89ab-cdef-0123-456789abcdef01234567-89ab-cdef-0123-456789abcdef"
#define AUTHORITY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define VM "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define MINUTE_MS 60000
#define NOW_S (loop_wall_ms(fx->loop) / 1000)

static struct fx *fx;
static struct uuid vm;

/* ---- the other pool, in place of class_vm_pools_remote.c ---- */

struct pools_remote {
    char master[POOLS_MASTER_SIZE];
    bool is_freed, is_open;
    struct loop_source *answer;
    pools_answer_fn *fn;
    void *userdata;
    struct pools_remote *next;
};

static struct pools_remote *remotes;
static const char *says; /* NULL: it does not answer */
static unsigned n_said, n_open, n_open_max;
static char said[512];

struct pools_remote *__wrap_pools_remote_new(struct api *a, const char *master, const char *authority);
void __wrap_pools_remote_free(struct pools_remote *r);
void __wrap_pools_remote_call(struct pools_remote *r, const char *method, struct value params, unsigned timeout_ms,
                              pools_answer_fn *fn, void *userdata);

struct pools_remote *__wrap_pools_remote_new(struct api *a, const char *master, const char *authority) {
    struct pools_remote *r = xnew0(struct pools_remote);
    assert_string_equal(authority, AUTHORITY);
    assert_true(str_copy(r->master, sizeof(r->master), master));
    r->next = remotes;
    remotes = r;
    return r;
}

void __wrap_pools_remote_free(struct pools_remote *r) {
    if (!r)
        return;
    loop_source_free(TAKE(r->answer));
    n_open -= r->is_open;
    r->is_open = false;
    r->is_freed = true;
}

static void on_answer(struct loop_source *s, void *userdata) {
    struct pools_remote *r = userdata;
    _cleanup_value_ struct value result = value_map();
    _cleanup_error_ struct error *e = NULL;
    loop_source_free(TAKE(r->answer));
    n_open--;
    r->is_open = false;
    if (!says)
        error_set(&e, "HOST_UNREACHABLE_BY_CLIENT", r->master, NULL);
    else
        value_map_add(&result, "is", value_string(says));
    r->fn(e ? NULL : &result, e, r->userdata);
}

void __wrap_pools_remote_call(struct pools_remote *r, const char *method, struct value params, unsigned timeout_ms,
                              pools_answer_fn *fn, void *userdata) {
    assert_false(r->is_open || r->is_freed);
    assert_string_equal(method, "VM.migrate_settle");
    assert_string_equal(value_str(&params.set.items[3]), "forget");
    snprintf(said, sizeof(said), "%s %s %s", r->master, value_str(&params.set.items[1]),
             value_str(&params.set.items[2]));
    value_done(&params);
    r->is_open = true;
    r->fn = fn;
    r->userdata = userdata;
    n_said++;
    n_open_max = MAX(n_open_max, ++n_open);
    r->answer = loop_add_timer(fx->loop, says ? 1 : 5000, on_answer, r);
}

/* ---- */

static int setup(void **state) {
    fx = fx_new(2, 0, model_handlers);
    says = NULL;
    n_said = n_open = n_open_max = 0;
    said[0] = '\0';
    assert_true(uuid_parse(VM, &vm)); /* in entries */
    fx_settle(fx);
    return 0;
}

static int teardown(void **state) {
    fx_free(fx);
    while (remotes) {
        struct pools_remote *r = remotes;
        remotes = r->next;
        free(r);
    }
    return 0;
}

/* Of the move with this number. */
static const char *key_of(size_t i) {
    static char text[UUID_TEXT_SIZE];
    snprintf(text, sizeof(text), "11111111-2222-3333-4444-%012zu", i);
    return text;
}

static const struct value *entries(void) {
    return row_value(db_pool(fx->db), FIELD_pool_untold_moves);
}

static void put(size_t n, const char *text) {
    struct value map = value_map();
    for (size_t i = 0; i < n; i++)
        value_map_put(&map, n == 1 ? ID : key_of(i), value_string(text));
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_untold_moves, map);
    fx_settle(fx);
}

static const char *entry(int64_t until_s) {
    static char text[512];
    snprintf(text, sizeof(text), VM " " SECRET " " AUTHORITY " 10.9.0.12 %lld", (long long)until_s);
    return text;
}

/* The daemon that leads the pool ends, and another one begins. */
static void another_daemon(void) {
    api_free(fx->api);
    struct api_config config = {.loop = fx->loop,
                                .db = fx->db,
                                .worker = fx->worker,
                                .own_host = fx->hosts[0],
                                .hooks = &fx->hooks,
                                .handlers = model_handlers};
    fx->api = api_new(&config);
    fx_settle(fx);
}

static void lets_pass(uint64_t ms) {
    for (; ms >= 5000; ms -= 5000) { /* as the daemon looks */
        class_vm_pools_untold_look(fx->api);
        loop_sim_advance(fx->sim, 5000);
    }
}

/* ---- what is written ---- */

static void test_text(void **state) {
    struct pools_untold u = {.vm = vm, .id = ID, .secret = SECRET, .authority = AUTHORITY, .master = "::1"}, v;
    u.until_s = 1234567;
    _cleanup_free_ char *text = pools_untold_text(&u);
    assert_true(pools_untold_read(ID, text, &v));
    assert_memory_equal(&u.vm, &v.vm, sizeof(vm));
    assert_string_equal(v.id, ID);
    assert_string_equal(v.secret, SECRET);
    assert_string_equal(v.authority, AUTHORITY);
    assert_string_equal(v.master, "::1");
    assert_int_equal(v.until_s, 1234567);
    static const char *const bad[] = {"",
                                      VM,
                                      "x " SECRET " " AUTHORITY " a 1",
                                      VM " " SECRET " 0123 a 1",
                                      VM " " SECRET " " AUTHORITY "  1",
                                      VM "  " AUTHORITY " a 1",
                                      VM " " SECRET " " AUTHORITY " a -1",
                                      VM " " SECRET " " AUTHORITY " a 1 more"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(pools_untold_read(ID, bad[i], &v));
    assert_false(pools_untold_read(ID ID, text, &v));
    (void)str_copy(u.master, sizeof(u.master), "a b"); /* would be read as something else */
    assert_null(pools_untold_text(&u));
    u.master[0] = '\0';
    assert_null(pools_untold_text(&u));
}

static void test_steps(void **state) {
    struct pools_untold u = {.until_s = 1000};
    assert_int_equal(pools_untold_step(&u, POOLS_PEER_UNKNOWN, 999, UINT64_MAX), UNTOLD_SAY);
    assert_int_equal(pools_untold_step(&u, POOLS_PEER_UNKNOWN, 1000, UNTOLD_TRIES_MS - 1), UNTOLD_SAY);
    assert_int_equal(pools_untold_step(&u, POOLS_PEER_UNKNOWN, 1000, UNTOLD_TRIES_MS), UNTOLD_GIVE_UP);
    assert_int_equal(pools_untold_step(&u, POOLS_PEER_NONE, 0, 0), UNTOLD_OVER);
    assert_int_equal(pools_untold_step(&u, POOLS_PEER_TAKEN, 2000, UINT64_MAX), UNTOLD_OVER);
    for (int i = POOLS_PEER_ARRIVING; i <= POOLS_PEER_LOST; i++) /* it has something yet */
        if (i != POOLS_PEER_TAKEN)
            assert_int_equal(pools_untold_step(&u, (enum pools_peer)i, 0, 0), UNTOLD_SAY);
    assert_int_equal(pools_untold_pause_ms(1), 2000);
    assert_int_equal(pools_untold_pause_ms(3), 8000);
    assert_int_equal(pools_untold_pause_ms(6), 60000);
    assert_int_equal(pools_untold_pause_ms(UINT32_MAX), 60000);
}

/* ---- what is said ---- */

static void test_told_once(void **state) {
    says = "none";
    put(1, entry(NOW_S + UNTOLD_S));
    class_vm_pools_untold_look(fx->api);
    loop_sim_advance(fx->sim, 100);
    assert_string_equal(said, "10.9.0.12 " ID " " SECRET);
    assert_int_equal(entries()->map.n, 0);
    lets_pass(MINUTE_MS);
    assert_int_equal(n_said, 1);
}

static void test_told_by_the_next_daemon(void **state) {
    put(1, entry(NOW_S + UNTOLD_S));
    lets_pass(60 * MINUTE_MS);
    assert_true(n_said >= 50 && n_said <= 70); /* once a minute, with 5 s for each */
    assert_int_equal(entries()->map.n, 1);
    another_daemon();
    says = "ready"; /* it is heard, and is not done yet */
    lets_pass(MINUTE_MS);
    assert_int_equal(entries()->map.n, 1);
    says = "none";
    lets_pass(2 * MINUTE_MS);
    assert_int_equal(entries()->map.n, 0);
}

static void test_a_write_that_fails_is_done_again(void **state) {
    says = "none";
    put(1, entry(NOW_S + UNTOLD_S));
    fx->next_commit_error = "DB_TIMEOUT";
    class_vm_pools_untold_look(fx->api);
    loop_sim_advance(fx->sim, 100);
    assert_int_equal(entries()->map.n, 1);
    fx->next_commit_error = NULL;
    lets_pass(20000);
    assert_int_equal(entries()->map.n, 0);
    assert_int_equal(n_said, 1);
}

static void test_only_the_coordinator(void **state) {
    put(1, entry(NOW_S + UNTOLD_S));
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_master, value_ref(&fx->hosts[1]));
    fx_settle(fx);
    lets_pass(MINUTE_MS);
    assert_int_equal(n_said, 0);
    assert_int_equal(entries()->map.n, 1);
}

static void test_it_has_an_end(void **state) {
    put(1, entry(NOW_S - 1)); /* as after a jump of the clock */
    lets_pass(9 * MINUTE_MS);
    assert_true(n_said > 5);
    assert_int_equal(entries()->map.n, 1);
    lets_pass(3 * MINUTE_MS);
    assert_int_equal(entries()->map.n, 0);
}

static void test_what_cannot_be_read_goes(void **state) {
    put(1, "nothing that was written here");
    lets_pass(10000);
    assert_int_equal(entries()->map.n, 0);
    assert_int_equal(n_said, 0);
}

static void test_few_at_a_time(void **state) {
    put(UNTOLD_MAX, entry(NOW_S + UNTOLD_S));
    lets_pass(5 * MINUTE_MS);
    assert_int_equal(n_open_max, UNTOLD_AT_ONCE);
    assert_true(n_said > UNTOLD_MAX); /* each has had its turn */
    for (struct pools_remote *r = remotes; r; r = r->next)
        assert_non_null(r->fn);
}

/* ---- where it comes from ---- */

static void vm_on_its_way(const char *phase) {
    struct value record = value_map();
    vm = fx_add(fx, CLASS_VM);
    value_map_add(&record, POOLS_KEY, value_string(phase));
    value_map_add(&record, "id", value_string(ID));
    value_map_add(&record, "secret", value_string(SECRET));
    value_map_add(&record, "master", value_string("10.9.0.12"));
    value_map_add(&record, "authority", value_string(AUTHORITY));
    fx_set(fx, CLASS_VM, &vm, FIELD_VM_migration, record);
    fx_settle(fx);
}

static bool is_held(void) {
    return vm_pools_hold(db_get(fx->db, CLASS_VM, &vm));
}

/* The daemon that moved it has died, and the other pool is not heard: twenty seconds later the VM is free, and what is
 * to be told is written down with that. */
static void test_kept_and_written_down(void **state) {
    vm_on_its_way("copying");
    pools_leave_adopt(fx->api, db_get(fx->db, CLASS_VM, &vm));
    for (int i = 0; i < 60 && is_held(); i++) {
        assert_int_equal(entries()->map.n, 0);
        loop_sim_advance(fx->sim, 1000);
    }
    assert_false(is_held());
    struct pools_untold u;
    assert_int_equal(entries()->map.n, 1);
    assert_true(pools_untold_read(entries()->map.pairs[0].key, value_str(&entries()->map.pairs[0].value), &u));
    assert_string_equal(u.id, ID);
    assert_int_equal(u.until_s, NOW_S + UNTOLD_S);
    another_daemon();
    says = "none";
    lets_pass(2 * MINUTE_MS);
    assert_int_equal(entries()->map.n, 0);
    assert_string_equal(said, "10.9.0.12 " ID " " SECRET);
}

static void test_kept_and_told(void **state) {
    vm_on_its_way("copying");
    says = "none";
    pools_leave_adopt(fx->api, db_get(fx->db, CLASS_VM, &vm));
    loop_sim_advance(fx->sim, 5000);
    assert_false(is_held());
    assert_int_equal(entries()->map.n, 0);
    assert_int_equal(n_said, 1);
}

static void test_bounded(void **state) {
    vm_on_its_way("copying");
    struct value map = value_map();
    for (int i = 0; i < UNTOLD_MAX; i++)
        value_map_put(&map, key_of((size_t)i), value_string(entry(NOW_S + UNTOLD_S - (i == 7 ? 5 : 0))));
    fx_set(fx, CLASS_pool, &fx->pool, FIELD_pool_untold_moves, map);
    fx_settle(fx);
    struct db_txn *t = db_txn_new(fx->db, "test");
    pools_untold_add(fx->api, t, db_get(fx->db, CLASS_VM, &vm));
    db_txn_commit(t, 1000, NULL, NULL);
    fx_settle(fx);
    assert_int_equal(entries()->map.n, UNTOLD_MAX);
    assert_non_null(value_map_get(entries(), ID));
    assert_null(value_map_get(entries(), key_of(7)));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_steps),
                                       TEST(test_told_once),
                                       TEST(test_told_by_the_next_daemon),
                                       TEST(test_a_write_that_fails_is_done_again),
                                       TEST(test_only_the_coordinator),
                                       TEST(test_it_has_an_end),
                                       TEST(test_what_cannot_be_read_goes),
                                       TEST(test_few_at_a_time),
                                       TEST(test_kept_and_written_down),
                                       TEST(test_kept_and_told),
                                       TEST(test_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
