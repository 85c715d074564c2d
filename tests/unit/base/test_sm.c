/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { OFF, ON, BROKEN };
static const struct sm_state states[] = {
    [OFF] = {"off", 1u << ON},
    [ON] = {"on", 1u << OFF | 1u << BROKEN},
    [BROKEN] = {"broken", 0},
};

static void count_moves(const struct sm *sm, void *userdata) {
    (*(int *)userdata)++;
}

static void test_moves(void **state) {
    struct sm sm;
    int moves = 0;
    sm_init(&sm, "lamp", states, ARRAY_SIZE(states), OFF, 10);
    sm.invariant = count_moves;
    sm.userdata = &moves;
    assert_true(sm_may_move(&sm, ON));
    assert_false(sm_may_move(&sm, BROKEN));
    assert_false(sm_may_move(&sm, 99));
    sm_move(&sm, ON, 25, "pressed by %s", "hand");
    assert_string_equal(sm_state_name(&sm), "on");
    assert_string_equal(sm.reason, "pressed by hand");
    assert_int_equal(sm.entered_ms, 25);
    assert_int_equal(moves, 1);
    sm_move(&sm, BROKEN, 26, "it fell, after '%s'", sm.reason); /* the old reason may be an argument */
    assert_string_equal(sm.reason, "it fell, after 'pressed by hand'");
    sm_done(&sm);
}

static void test_forbidden_move_aborts(void **state) {
    pid_t pid = fork();
    if (pid == 0) {
        struct sm sm;
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        sm_init(&sm, "lamp", states, ARRAY_SIZE(states), OFF, 0);
        sm_move(&sm, BROKEN, 1, "never");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves), cmocka_unit_test(test_forbidden_move_aborts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
