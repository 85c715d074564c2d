/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/str.h"
#include "loop/loop_sim.h"
#include "loop/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A host that wakes at random times and writes down when; what it writes follows from the seed alone. */
struct host {
    struct loop *loop;
    struct loop_source *timer;
    struct buf *log;
    char name;
};

static void on_wake(struct loop_source *s, void *userdata) {
    struct host *h = userdata;
    buf_addf(h->log, "%c%llu ", h->name, (unsigned long long)loop_now_ms(h->loop));
    loop_timer_set(s, 1 + loop_random(h->loop) % 50);
}

static char *play(uint64_t seed, unsigned n_hosts, uint64_t step_ms) {
    struct buf log = BUF_INIT;
    struct host hosts[4];
    struct loop_sim *sim = loop_sim_new(seed);
    for (unsigned i = 0; i < n_hosts; i++) {
        hosts[i] = (struct host){.loop = loop_sim_loop(sim), .log = &log, .name = (char)('a' + i)};
        hosts[i].timer = loop_add_timer(hosts[i].loop, 10, on_wake, &hosts[i]);
    }
    for (uint64_t t = 0; t < 1000; t += step_ms)
        loop_sim_advance(sim, step_ms);
    assert_int_equal(loop_sim_now_ms(sim), LOOP_SIM_START_MS + 1000);
    for (unsigned i = 0; i < n_hosts; i++) {
        loop_source_free(hosts[i].timer);
        loop_free(hosts[i].loop);
    }
    loop_sim_free(sim);
    return buf_take(&log);
}

static void test_same_seed_same_story(void **state) {
    _cleanup_free_ char *a = play(1, 4, 1000), *b = play(1, 4, 1000), *other = play(2, 4, 1000), *steps = play(1, 4, 1);
    assert_string_equal(a, b);
    assert_string_equal(a, steps); /* in how many steps the clock moves does not matter */
    assert_string_not_equal(a, other);
    assert_true(str_starts(a, "a1010 b1010 c1010 d1010 "));
}

static void note(struct buf *log, const char *text) {
    buf_add_str(log, text);
}

struct calls {
    struct loop *loop;
    struct buf log;
};

static void call_b(void *userdata) {
    note(&((struct calls *)userdata)->log, "b");
}
static void call_a(void *userdata) {
    struct calls *c = userdata;
    note(&c->log, "a");
    loop_defer(c->loop, call_b, c);
}
static void on_timer(struct loop_source *s, void *userdata) {
    note(&((struct calls *)userdata)->log, "t");
}
static void run_job(void *userdata) {
    note(&((struct calls *)userdata)->log, "r");
}
static void done_job(void *userdata) {
    note(&((struct calls *)userdata)->log, "d");
}

static void test_calls_timers_and_jobs(void **state) {
    struct loop_sim *sim = loop_sim_new(7);
    struct calls c = {.loop = loop_sim_loop(sim)};
    struct worker *w = worker_new(c.loop, 2);
    struct loop_source *t = loop_add_timer(c.loop, 5, on_timer, &c);
    loop_defer(c.loop, call_a, &c);
    loop_post(c.loop, call_b, &c);
    worker_submit(w, "k", run_job, done_job, &c);
    assert_int_equal(c.log.size, 0);
    loop_sim_advance(sim, 0);
    assert_string_equal(buf_str(&c.log), "abrdb");
    loop_sim_advance(sim, 4);
    assert_true(loop_timer_armed(t));
    assert_string_equal(buf_str(&c.log), "abrdb");
    loop_sim_advance(sim, 1);
    assert_string_equal(buf_str(&c.log), "abrdbt");
    assert_false(loop_timer_armed(t));
    loop_timer_set(t, 100);
    assert_false(loop_sim_next(sim, loop_sim_now_ms(sim) + 99));
    assert_true(loop_sim_next(sim, UINT64_MAX));
    assert_int_equal(loop_now_ms(c.loop), LOOP_SIM_START_MS + 105);
    loop_source_free(t);
    worker_free(w);
    loop_free(c.loop);
    loop_sim_free(sim);
    buf_done(&c.log);
}

static void test_freed_loop_is_silent(void **state) {
    struct loop_sim *sim = loop_sim_new(7);
    struct calls a = {.loop = loop_sim_loop(sim)}, b = {.loop = loop_sim_loop(sim)};
    struct loop_source *t = loop_add_timer(a.loop, 5, on_timer, &a);
    for (int i = 0; i < 20; i++) {
        loop_defer(a.loop, call_b, &a);
        loop_defer(b.loop, call_b, &b);
    }
    loop_free(a.loop); /* power is cut; its timer is freed after it */
    loop_sim_advance(sim, 100);
    assert_int_equal(a.log.size, 0);
    assert_int_equal(b.log.size, 20);
    assert_false(loop_timer_armed(t));
    loop_source_free(t);
    loop_free(b.loop);
    loop_sim_free(sim);
    buf_done(&b.log);
}

static void test_wall_clock(void **state) {
    struct loop_sim *sim = loop_sim_new(7);
    struct loop *a = loop_sim_loop(sim), *b = loop_sim_loop(sim);
    loop_set_wall_offset_ms(b, 600000);
    loop_sim_advance(sim, 250);
    assert_true(loop_wall_ms(a) == LOOP_SIM_START_WALL_MS + 250);
    assert_true(loop_wall_ms(b) == loop_wall_ms(a) + 600000);
    assert_int_equal(loop_now_us(a), (LOOP_SIM_START_MS + 250) * 1000);
    assert_true(loop_random(a) != loop_random(b));
    loop_free(a);
    loop_free(b);
    loop_sim_free(sim);
}

struct stalls {
    struct loop_sim *sim;
    struct loop *loop;
    struct buf log;
};

static void on_stalls(struct loop_source *s, void *userdata) {
    struct stalls *h = userdata;
    assert_true(loop_sim_running(h->sim) == h->loop);
    buf_addf(&h->log, "%llu ", (unsigned long long)(loop_now_ms(h->loop) - LOOP_SIM_START_MS));
    loop_timer_set(s, 10);
}

static void test_a_loop_that_stands_still(void **state) {
    struct loop_sim *sim = loop_sim_new(7);
    struct stalls a = {sim, loop_sim_loop(sim), BUF_INIT}, b = {sim, loop_sim_loop(sim), BUF_INIT};
    struct loop_source *ta = loop_add_timer(a.loop, 10, on_stalls, &a), *tb = loop_add_timer(b.loop, 10, on_stalls, &b);
    loop_sim_advance(sim, 15);
    loop_sim_stall(a.loop, 20);
    loop_sim_stall(a.loop, 5); /* not longer than the longest */
    loop_sim_advance(sim, 35);
    assert_string_equal(buf_str(&a.log), "10 35 45 ");
    assert_string_equal(buf_str(&b.log), "10 20 30 40 50 ");
    assert_null(loop_sim_running(sim));
    loop_source_free(ta);
    loop_source_free(tb);
    loop_free(a.loop);
    loop_free(b.loop);
    loop_sim_free(sim);
    buf_done(&a.log);
    buf_done(&b.log);
}

/* Real and simulated loops live in one program. */
static void test_beside_a_real_loop(void **state) {
    struct loop_sim *sim = loop_sim_new(1);
    struct calls v = {.loop = loop_sim_loop(sim)}, r = {.loop = loop_new()};
    loop_defer(v.loop, call_b, &v);
    loop_defer(r.loop, call_b, &r);
    loop_step(r.loop, 0);
    assert_string_equal(buf_str(&v.log), "");
    assert_string_equal(buf_str(&r.log), "b");
    loop_step(v.loop, 0);
    assert_string_equal(buf_str(&v.log), "b");
    loop_free(v.loop);
    loop_free(r.loop);
    loop_sim_free(sim);
    buf_done(&v.log);
    buf_done(&r.log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_story),     cmocka_unit_test(test_calls_timers_and_jobs),
        cmocka_unit_test(test_freed_loop_is_silent),     cmocka_unit_test(test_wall_clock),
        cmocka_unit_test(test_a_loop_that_stands_still), cmocka_unit_test(test_beside_a_real_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
