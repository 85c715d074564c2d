/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "loop/worker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#define N_KEYS 5
#define N_JOBS 500

struct shared {
    struct loop *loop;
    _Atomic int running[N_KEYS]; /* jobs of a key at work now: never two */
    _Atomic int overlaps;
    int next_seq[N_KEYS]; /* loop thread only */
    int n_done;
    pthread_t loop_thread;
};

struct job {
    struct shared *shared;
    int key;
    int seq;
    bool ran;
};

static void run(void *data) {
    struct job *j = data;
    if (atomic_fetch_add(&j->shared->running[j->key], 1) != 0 || pthread_equal(pthread_self(), j->shared->loop_thread))
        atomic_fetch_add(&j->shared->overlaps, 1);
    for (int i = 0; i < 50; i++)
        sched_yield();
    atomic_fetch_sub(&j->shared->running[j->key], 1);
    j->ran = true;
}

static void done(void *data) {
    struct job *j = data;
    struct shared *s = j->shared;
    assert_true(j->ran);
    assert_true(pthread_equal(pthread_self(), s->loop_thread));
    assert_int_equal(j->seq, s->next_seq[j->key]++);
    if (++s->n_done == N_JOBS)
        loop_quit(s->loop, 0);
    free(j);
}

static void submit_all(struct worker *w, struct shared *s) {
    char key[] = "k0";
    for (int i = 0; i < N_JOBS; i++) {
        struct job *j = xnew0(struct job);
        *j = (struct job){.shared = s, .key = i % N_KEYS, .seq = i / N_KEYS};
        key[1] = (char)('0' + j->key);
        worker_submit(w, key, run, done, j);
    }
}

static void test_keys_keep_order(void **state) {
    struct shared s = {.loop = loop_new(), .loop_thread = pthread_self()};
    struct worker *w = worker_new(s.loop, 4);
    submit_all(w, &s);
    assert_int_equal(loop_run(s.loop), 0);
    assert_int_equal(atomic_load(&s.overlaps), 0);
    worker_free(w);
    loop_free(s.loop);
}

static void test_free_finishes_what_was_begun(void **state) {
    struct shared s = {.loop = loop_new(), .loop_thread = pthread_self()};
    struct worker *w = worker_new(s.loop, 3);
    submit_all(w, &s);
    worker_free(w);
    assert_int_equal(s.n_done, N_JOBS);
    loop_free(s.loop);
}

struct meeting {
    struct loop *loop;
    pthread_barrier_t barrier;
    int n_done;
};

static void meet(void *data) {
    (void)pthread_barrier_wait(&((struct meeting *)data)->barrier);
}

static void met(void *data) {
    struct meeting *m = data;
    if (++m->n_done == 2)
        loop_quit(m->loop, 0);
}

/* Jobs without a key, and of different keys, run at the same time: they can wait for each other. */
static void test_others_run_in_parallel(void **state) {
    struct meeting m = {.loop = loop_new()};
    struct worker *w = worker_new(m.loop, 2);
    assert_int_equal(pthread_barrier_init(&m.barrier, NULL, 2), 0);
    worker_submit(w, NULL, meet, met, &m);
    worker_submit(w, NULL, meet, met, &m);
    assert_int_equal(loop_run(m.loop), 0);
    m.n_done = 0;
    worker_submit(w, "a", meet, met, &m);
    worker_submit(w, "b", meet, met, &m);
    assert_int_equal(loop_run(m.loop), 0);
    worker_free(w);
    loop_free(m.loop);
    (void)pthread_barrier_destroy(&m.barrier);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys_keep_order),
                                       cmocka_unit_test(test_free_finishes_what_was_begun),
                                       cmocka_unit_test(test_others_run_in_parallel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
