/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/str.h"
#include "loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct seen {
    struct loop *loop;
    int n;
    int exit_code;
    int start_error;
    bool timed_out;
    bool truncated;
    char out[256];
    char err[256];
    size_t out_size;
};

static void on_done(const struct child_result *r, void *userdata) {
    struct seen *s = userdata;
    s->n++;
    s->exit_code = r->exit_code;
    s->start_error = r->start_error;
    s->timed_out = r->timed_out;
    s->truncated = r->truncated;
    s->out_size = r->out.size;
    (void)str_copy(s->out, sizeof(s->out), buf_str(&r->out));
    (void)str_copy(s->err, sizeof(s->err), buf_str(&r->err));
    loop_quit(s->loop, 0);
}

static struct seen run(const char *const argv[], const char *input, uint64_t timeout_ms, size_t max_output) {
    struct seen s = {.loop = loop_new()};
    (void)child_run(s.loop, argv, input, timeout_ms, max_output, on_done, &s);
    assert_int_equal(s.n, 0); /* never from within child_run */
    (void)loop_run(s.loop);
    assert_int_equal(s.n, 1);
    loop_free(s.loop);
    return s;
}

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static void test_output_and_code(void **state) {
    struct seen s = run(SH("cat; echo oops >&2; exit 3"), "hello\n", 10000, 1000);
    assert_int_equal(s.exit_code, 3);
    assert_string_equal(s.out, "hello\n");
    assert_string_equal(s.err, "oops\n");
    assert_false(s.timed_out || s.truncated);
}

static void test_big_output_is_cut(void **state) {
    struct seen s = run(SH("head -c 300000 /dev/zero | tr '\\0' x"), NULL, 10000, 1000);
    assert_int_equal(s.exit_code, 0);
    assert_int_equal(s.out_size, 1000);
    assert_true(s.truncated);
    s = run(SH("head -c 300000 /dev/zero | tr '\\0' x"), NULL, 10000, 1 << 20);
    assert_int_equal(s.out_size, 300000);
    assert_false(s.truncated);
}

static void test_deadline_kills_the_group(void **state) {
    struct loop *clock = loop_new();
    uint64_t start = loop_now_us(clock);
    struct seen s = run(SH("echo begun; sleep 1000 & sleep 1000; wait"), NULL, 200, 1000);
    assert_true(s.timed_out);
    assert_int_equal(s.exit_code, 128 + SIGKILL);
    assert_string_equal(s.out, "begun\n");
    assert_true(loop_now_us(clock) - start < 60 * 1000000ull);
    loop_free(clock);
}

/* What stays in the background with our pipes open must not keep us waiting. */
static void test_daemon_left_behind(void **state) {
    struct seen s = run(SH("sleep 1000 & echo $!"), NULL, 8000, 1000);
    assert_int_equal(s.exit_code, 0);
    assert_false(s.timed_out);
    int64_t pid = 0;
    s.out[strcspn(s.out, "\n")] = '\0';
    assert_true(str_parse_int(s.out, 2, INT32_MAX, &pid));
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void test_missing_program(void **state) {
    struct seen s = run((const char *const[]){"/nonexistent/program", NULL}, NULL, 1000, 1000);
    assert_int_equal(s.exit_code, -1);
    assert_int_equal(s.start_error, ENOENT);
}

static void test_default_signals(void **state) {
    (void)signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    struct seen s = run(SH("kill -TERM $$; exit 1"), NULL, 10000, 100);
    assert_int_equal(s.exit_code, 128 + SIGTERM);
    s = run(SH("kill -PIPE $$; exit 1"), NULL, 10000, 100);
    assert_int_equal(s.exit_code, 128 + SIGPIPE);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

static void on_quit_timer(struct loop_source *t, void *userdata) {
    loop_quit(userdata, 0);
}

static void test_cancel_and_early_end(void **state) {
    struct seen s = {.loop = loop_new()};
    child_cancel(child_run(s.loop, SH("sleep 1000"), NULL, 60000, 100, on_done, &s));
    child_cancel(child_run(s.loop, (const char *const[]){"/nonexistent/program", NULL}, NULL, 1, 1, on_done, &s));
    child_cancel(NULL);
    struct loop_source *t = loop_add_timer(s.loop, 100, on_quit_timer, s.loop);
    (void)loop_run(s.loop);
    (void)child_run(s.loop, SH("sleep 1000"), NULL, 60000, 100, on_done, &s); /* still at work when the loop goes */
    (void)child_run(s.loop, (const char *const[]){"/nonexistent/program", NULL}, NULL, 1, 1, on_done, &s);
    loop_source_free(t);
    loop_free(s.loop);
    assert_int_equal(s.n, 0);
}

static void run_for(struct loop *l, uint64_t ms) {
    struct loop_source *t = loop_add_timer(l, ms, on_quit_timer, l);
    (void)loop_run(l);
    loop_source_free(t);
}

static void test_ticks(void **state) {
    struct seen s = {.loop = loop_new()};
    struct child *works = child_run(s.loop, SH("while :; do :; done"), NULL, 60000, 100, on_done, &s),
                 *waits = child_run(s.loop, SH("exec sleep 1000"), NULL, 60000, 100, on_done, &s);
    for (int i = 0; i < 100 && child_ticks(works) < 5; i++)
        run_for(s.loop, 100);
    uint64_t ticks = child_ticks(waits);
    assert_true(child_ticks(works) >= 5);
    run_for(s.loop, 100);
    assert_int_equal(child_ticks(waits), ticks);
    child_cancel(works);
    child_cancel(waits);
    loop_free(s.loop);
}

static void test_sync(void **state) {
    struct child_result r;
    assert_int_equal(child_run_sync(SH("cat; echo e >&2; exit 9"), "in", 10000, 100, &r), 0);
    assert_int_equal(r.exit_code, 9);
    assert_string_equal(buf_str(&r.out), "in");
    assert_string_equal(buf_str(&r.err), "e\n");
    child_result_done(&r);

    assert_int_equal(child_run_sync(SH("exec >&-; exec 2>&-; sleep 1000"), NULL, 100, 100, &r), 0);
    assert_true(r.timed_out);
    assert_int_equal(r.exit_code, 128 + SIGKILL);
    child_result_done(&r);

    assert_int_equal(child_run_sync((const char *const[]){"/nonexistent/program", NULL}, NULL, 100, 100, &r), -ENOENT);
    assert_int_equal(r.exit_code, -1);
    child_result_done(&r);

    assert_int_equal(child_run_sync(SH("head -c 200000 /dev/zero"), NULL, UINT64_MAX, 10, &r), 0);
    assert_int_equal(r.out.size, 10);
    assert_true(r.truncated);
    child_result_done(&r);
}

/* Whether the process is there, and no zombie that nobody has waited for. */
static bool is_alive(pid_t pid) {
    char path[64], line[512] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    (void)!fgets(line, sizeof(line), f);
    (void)fclose(f);
    const char *end = strrchr(line, ')');
    return end && end[2] != 'Z';
}

/* A helper that runs a program: when the helper is killed, the program is, too; and it is of the helper's group. */
static void test_bound(void **state) {
    int ends[2];
    struct child_result r;
    assert_int_equal(child_run_sync_bound(SH("cat; exit 4"), "in", 10000, 100, &r), 0);
    assert_int_equal(r.exit_code, 4);
    assert_string_equal(buf_str(&r.out), "in");
    child_result_done(&r);
    assert_int_equal(child_run_sync_bound((const char *const[]){"/nonexistent/x", NULL}, NULL, 100, 100, &r), -ENOENT);
    assert_int_equal(child_run_sync_bound(SH("exec sleep 1000"), NULL, 100, 100, &r), 0);
    assert_true(r.timed_out);
    child_result_done(&r);

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t helper = fork();
    if (helper == 0) {
        char script[64];
        (void)snprintf(script, sizeof(script), "echo $$ >/proc/%d/fd/%d; exec sleep 1000", getpid(), ends[1]);
        (void)setpgid(0, 0);
        (void)child_run_sync_bound(SH(script), NULL, 60000, 100, &r);
        _exit(0);
    }
    char text[32] = "";
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    assert_true(is_alive(pid));
    assert_int_equal(getpgid(pid), helper);
    assert_int_equal(kill(helper, SIGKILL), 0);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
    for (int i = 0; i < 500 && is_alive(pid); i++)
        (void)poll(NULL, 0, 10);
    assert_false(is_alive(pid));
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_code),
        cmocka_unit_test(test_big_output_is_cut),
        cmocka_unit_test(test_deadline_kills_the_group),
        cmocka_unit_test(test_daemon_left_behind),
        cmocka_unit_test(test_missing_program),
        cmocka_unit_test(test_default_signals),
        cmocka_unit_test(test_cancel_and_early_end),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
