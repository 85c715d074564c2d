/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/str.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct loop_source *guard; /* no test hangs: the loop ends with code 99 */
    struct loop_source *source;
    struct buf log;
    int n;
    int fds[2];
};

static void on_guard(struct loop_source *s, void *userdata) {
    struct fixture *f = userdata;
    loop_quit(f->loop, 99);
}

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    f->loop = loop_new();
    f->guard = loop_add_timer(f->loop, 10000, on_guard, f);
    *state = f;
    return pipe2(f->fds, O_CLOEXEC | O_NONBLOCK);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    loop_source_free(f->source);
    loop_source_free(f->guard);
    loop_free(f->loop);
    buf_done(&f->log);
    close(f->fds[0]);
    close(f->fds[1]);
    free(f);
    return 0;
}

static void on_timer_quit(struct loop_source *s, void *userdata) {
    struct fixture *f = userdata;
    assert_false(loop_timer_armed(s));
    loop_quit(f->loop, 7);
}

static void test_timer(void **state) {
    struct fixture *f = *state;
    uint64_t start = loop_now_ms(f->loop);
    f->source = loop_add_timer(f->loop, LOOP_NEVER, on_timer_quit, f);
    assert_false(loop_timer_armed(f->source));
    loop_timer_set(f->source, UINT64_MAX - 1); /* a far future, not an overflow */
    assert_true(loop_timer_armed(f->source));
    loop_timer_set(f->source, 20);
    assert_int_equal(loop_run(f->loop), 7);
    assert_true(loop_now_ms(f->loop) >= start + 20);
    loop_timer_set(f->source, 0); /* the loop runs again after an end, and the timer again after it fired */
    assert_int_equal(loop_run(f->loop), 7);
}

static void on_timer_free(struct loop_source *s, void *userdata) {
    struct fixture *f = userdata;
    loop_source_free(TAKE(f->source));
    loop_quit(f->loop, 1);
}

static void test_free_inside_callback(void **state) {
    struct fixture *f = *state;
    f->source = loop_add_timer(f->loop, 0, on_timer_free, f);
    assert_int_equal(loop_run(f->loop), 1);
    assert_null(f->source);
}

static void on_never(struct loop_source *s, void *userdata) {
    fail_msg("a disarmed timer fired");
}

static void test_disarm(void **state) {
    struct fixture *f = *state;
    struct loop_source *never = loop_add_timer(f->loop, 5, on_never, f);
    loop_timer_set(never, LOOP_NEVER);
    f->source = loop_add_timer(f->loop, 15, on_timer_quit, f);
    assert_int_equal(loop_run(f->loop), 7);
    loop_source_free(never);
}

static void on_read(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct fixture *f = userdata;
    char text[16];
    buf_addf(&f->log, "%s%s", events & LOOP_READ ? "r" : "", events & LOOP_HANGUP ? "h" : "");
    ssize_t n = events & LOOP_READ ? read(fd, text, sizeof(text)) : 0;
    if (n > 0) {
        buf_add(&f->log, text, (size_t)n);
        close(f->fds[1]);
        f->fds[1] = -1;
    } else if (++f->n == 1) {
        loop_fd_set_events(s, 0); /* now the hangup is told once more, and then no more */
    } else {
        f->n++;
    }
}

static void test_fd(void **state) {
    struct fixture *f = *state;
    f->source = loop_add_fd(f->loop, f->fds[0], LOOP_READ, on_read, f);
    assert_int_equal(write(f->fds[1], "hi", 2), 2);
    for (int i = 0; i < 10; i++)
        loop_step(f->loop, 5);
    assert_string_equal(buf_str(&f->log), "rhihh");
}

static void on_write(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct fixture *f = userdata;
    assert_true(events & LOOP_WRITE);
    loop_quit(f->loop, 3);
}

static void test_fd_write_and_refusal(void **state) {
    struct fixture *f = *state;
    f->source = loop_add_fd(f->loop, f->fds[1], 0, on_write, f);
    loop_step(f->loop, 0);
    loop_fd_set_events(f->source, LOOP_WRITE);
    assert_int_equal(loop_run(f->loop), 3);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_null(loop_add_fd(f->loop, file, LOOP_READ, on_write, f)); /* plain files are always ready: refused */
    assert_int_equal(errno, EPERM);
    close(file);
}

static void on_defer(void *userdata) {
    struct fixture *f = userdata;
    buf_add_char(&f->log, (char)('0' + f->n++));
    if (f->n == 2)
        loop_defer(f->loop, on_defer, f);
}

static void test_defer_runs_in_order_and_later(void **state) {
    struct fixture *f = *state;
    loop_defer(f->loop, on_defer, f);
    loop_defer(f->loop, on_defer, f);
    assert_int_equal(f->n, 0);
    loop_step(f->loop, 0);
    assert_int_equal(f->n, 2);
    loop_step(f->loop, 0);
    assert_int_equal(f->n, 3);
}

static void on_post(void *userdata) {
    struct fixture *f = userdata;
    loop_assert_owner(f->loop);
    if (++f->n == 4000)
        loop_quit(f->loop, 0);
}

static void *poster(void *userdata) {
    struct fixture *f = userdata;
    for (int i = 0; i < 1000; i++)
        loop_post(f->loop, on_post, f);
    return NULL;
}

static void test_post_from_threads(void **state) {
    struct fixture *f = *state;
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, poster, f), 0);
    assert_int_equal(loop_run(f->loop), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_int_equal(f->n, 4000);
}

static void on_signal(struct loop_source *s, int signo, void *userdata) {
    struct fixture *f = userdata;
    loop_quit(f->loop, signo);
}

static void test_signal(void **state) {
    struct fixture *f = *state;
    f->source = loop_add_signal(f->loop, SIGUSR1, on_signal, f);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(loop_run(f->loop), SIGUSR1);
}

static void on_child(struct loop_source *s, int pid, int wait_status, void *userdata) {
    struct fixture *f = userdata;
    assert_true(WIFEXITED(wait_status));
    loop_quit(f->loop, WEXITSTATUS(wait_status));
}

static void test_child(void **state) {
    struct fixture *f = *state;
    pid_t pid;
    const char *argv[] = {"sh", "-c", "exit 5", NULL};
    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, (char *const *)argv, NULL), 0);
    f->source = loop_add_child(f->loop, pid, on_child, f);
    assert_int_equal(loop_run(f->loop), 5);
    assert_int_equal(waitpid(pid, NULL, 0), -1); /* reaped */
}

static void test_clocks(void **state) {
    struct fixture *f = *state;
    uint64_t us = loop_now_us(f->loop);
    assert_true(us > 0 && loop_now_us(f->loop) >= us);
    int64_t wall = loop_wall_ms(f->loop);
    loop_set_wall_offset_ms(f->loop, -3600000);
    assert_true(loop_wall_ms(f->loop) < wall - 3500000);
    assert_true(loop_random(f->loop) != loop_random(f->loop));
    loop_step(f->loop, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_timer),
        T(test_free_inside_callback),
        T(test_disarm),
        T(test_fd),
        T(test_fd_write_and_refusal),
        T(test_defer_runs_in_order_and_later),
        T(test_post_from_threads),
        T(test_signal),
        T(test_child),
        T(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
