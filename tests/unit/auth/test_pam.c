/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a password through the worker; PAM itself is replaced, and asked once for real with an account that is not
 * there. */
#include "auth/pam.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static struct loop *loop;
static struct worker *worker;
static unsigned n_done;
static bool accepted;
static char reason[200], user[64];
static unsigned uid;
static size_t n_groups;

static bool judge(const char *name, const char *password, char **ret_reason) {
    if (str_eq(password, "right"))
        return true;
    *ret_reason = xstrdup("wrong password");
    return false;
}

static void on_done(const struct auth_pam_result *r, void *userdata) {
    n_done++;
    accepted = r->accepted;
    uid = r->uid;
    str_copy(reason, sizeof(reason), str_or_empty(r->reason));
    str_copy(user, sizeof(user), str_or_empty(r->user));
    n_groups = 0;
    while (r->groups && r->groups[n_groups])
        n_groups++;
}

static void check(const char *name, const char *password) {
    unsigned before = n_done;
    auth_check_password(worker, name, password, on_done, NULL);
    uint64_t end_us = loop_now_us(loop) + 20000000;
    while (n_done == before) {
        assert_true(loop_now_us(loop) < end_us);
        loop_step(loop, 10);
    }
}

static void test_backend(void **state) {
    auth_set_backend(judge);
    check("root", "right");
    assert_true(accepted);
    assert_string_equal(user, "root");
    assert_int_equal(uid, 0);
    assert_true(n_groups >= 1);
    check("root", "nearly right");
    assert_false(accepted);
    assert_string_equal(reason, "wrong password");
    check("no-such-account-here", "right"); /* accepted by the judge, unknown to the system */
    assert_true(accepted && uid == UINT32_MAX && n_groups == 0);
    check("", "right");
    assert_false(accepted);
    check("\xff\xfe", "right");
    assert_false(accepted);
    char longer[2000];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    check(longer, "right");
    assert_false(accepted);
    check("root", longer);
    assert_false(accepted);
}

static void test_cancel(void **state) {
    auth_set_backend(judge);
    unsigned before = n_done;
    auth_check_cancel(auth_check_password(worker, "root", "right", on_done, NULL));
    check("root", "right"); /* the same key: the cancelled one is over by then */
    assert_int_equal(n_done, before + 1);
}

static void test_real(void **state) {
    auth_set_backend(NULL);
    check("no-such-account-here", "x");
    assert_false(accepted);
    assert_true(reason[0] != '\0');
}

static int set_up(void **state) {
    loop = loop_new();
    worker = worker_new(loop, 2);
    return 0;
}

static int tear_down(void **state) {
    worker_free(worker);
    loop_free(loop);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_backend), cmocka_unit_test(test_cancel),
                                       cmocka_unit_test(test_real)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
