/* SPDX-License-Identifier: Apache-2.0 */
/* Many descriptors ready in one turn, and what their callbacks do to each other. */
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include <cmocka.h>

enum { N = 100 };
static struct loop *loop;
static struct loop_source *sources[N];
static int fds[N];
static unsigned n_served;
static void (*action)(int i);

static void on_ready(struct loop_source *s, int fd, unsigned events, void *userdata) {
    assert_int_equal(events, LOOP_READ);
    int i = (int)(intptr_t)userdata;
    assert_ptr_equal(sources[i], s); /* never a freed one */
    n_served++;
    if (action) {
        action(i);
    } else {
        eventfd_t v;
        assert_int_equal(eventfd_read(fd, &v), 0);
    }
}

static int set_up(void **state) {
    loop = loop_new();
    n_served = 0;
    action = NULL;
    for (int i = 0; i < N; i++) {
        fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        sources[i] = loop_add_fd(loop, fds[i], LOOP_READ, on_ready, (void *)(intptr_t)i);
    }
    return 0;
}

static int tear_down(void **state) {
    loop_free(loop); /* sources may outlive it */
    for (int i = 0; i < N; i++) {
        loop_source_free(sources[i]);
        close(fds[i]);
    }
    return 0;
}

static void test_all_are_served(void **state) {
    loop_step(loop, 0);
    assert_true(n_served > 1);
    for (int i = 0; i < 10; i++)
        loop_step(loop, 0);
    assert_int_equal(n_served, N);
}

static void free_all(int i) {
    for (int k = 0; k < N; k++) {
        loop_source_free(sources[k]);
        sources[k] = NULL;
    }
}

static void test_freed_by_another(void **state) {
    action = free_all;
    for (int i = 0; i < 5; i++)
        loop_step(loop, 0);
    assert_int_equal(n_served, 1);
}

static void silence_others(int i) {
    for (int k = 0; k < N; k++)
        if (k != i)
            loop_fd_set_events(sources[k], 0);
}

static void test_no_events_that_are_not_asked_for(void **state) {
    action = silence_others;
    for (int i = 0; i < 5; i++)
        loop_step(loop, 0);
    assert_int_equal(n_served, 5); /* the one that is still asked for, each turn */
}

static void quit(int i) {
    loop_quit(loop, 7);
}

static void test_quit_ends_the_turn(void **state) {
    action = quit;
    assert_int_equal(loop_run(loop), 7);
    assert_int_equal(n_served, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_are_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freed_by_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_events_that_are_not_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_quit_ends_the_turn, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
