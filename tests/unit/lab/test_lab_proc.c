/* SPDX-License-Identifier: Apache-2.0 */
/* A process is ours only with its start time: a number alone never gets a signal. Members of a lab are found by mark.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/lab_proc.h"

static pid_t start_sleeper(const char *mark) {
    pid_t pid = fork();
    if (pid == 0) {
        char *const argv[] = {(char *)"sleep", (char *)"60", NULL};
        char *const env[] = {(char *)mark, NULL};
        execve("/bin/sleep", argv, env);
        _exit(1);
    }
    return pid;
}

static bool is_member(const char *dir, pid_t pid) {
    struct proc_id found[64];
    size_t n = proc_find_members(dir, NULL, 0, found, 64);
    for (size_t i = 0; i < n; i++) {
        if (found[i].pid == pid)
            return true;
    }
    return false;
}

static void test_identity(void **state) {
    char dir[64], mark[128];
    snprintf(dir, sizeof(dir), "/nowhere/lab-%d", (int)getpid());
    snprintf(mark, sizeof(mark), "%s=%s", LAB_MARK, dir);
    pid_t pid = start_sleeper(mark);
    assert_true(pid > 0);
    uint64_t end = lab_now_ms() + 10000;
    while (!is_member(dir, pid) && lab_now_ms() < end)
        ; /* until it has become sleep */
    assert_true(is_member(dir, pid));
    assert_false(is_member("/nowhere/lab", pid)); /* the name of another lab that is the beginning of ours */

    struct proc_id right = proc_of(pid), wrong = right;
    wrong.start++;
    assert_true(right.start > 0);
    assert_true(proc_alive(&right));
    assert_false(proc_alive(&wrong));
    assert_int_equal(proc_kill(&wrong, SIGKILL), -ESRCH);
    assert_true(proc_alive(&right));
    struct proc_id unknown = {.pid = pid};
    assert_int_equal(proc_kill(&unknown, SIGKILL), -ESRCH);
    struct proc_id init = proc_of(1);
    assert_int_equal(proc_open(&init), -ESRCH);

    int pidfd = proc_open(&right);
    assert_true(pidfd >= 0);
    assert_false(proc_wait_gone(pidfd, 0));
    assert_int_equal(proc_kill(&right, SIGKILL), 0);
    assert_true(proc_wait_gone(pidfd, 5000));
    close(pidfd);
    waitpid(pid, NULL, 0);
    assert_false(proc_alive(&right));
}

static void test_tools(void **state) {
    struct error *e = NULL;
    _cleanup_buf_ struct buf out = BUF_INIT;
    const char *const cat[] = {"cat", NULL};
    assert_true(lab_run(NULL, cat, "hello", &out, &e));
    assert_string_equal(buf_str(&out), "hello");
    assert_false(LAB_RUN(NULL, &e, "sh", "-c", "echo the reason >&2; exit 3"));
    assert_non_null(e);
    assert_string_equal(error_param(e, 0), "'sh -c echo the reason >&2; exit 3' failed: the reason");
    error_free(e);
    e = NULL;
    assert_false(LAB_RUN(NULL, &e, "no-such-tool-here"));
    assert_non_null(e);
    error_free(e);
    e = NULL;
    assert_false(LAB_RUN("/no/such/namespace", &e, "true"));
    error_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_identity), cmocka_unit_test(test_tools)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
