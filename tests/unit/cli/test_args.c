/* SPDX-License-Identifier: Apache-2.0 */
/* xe's command line: what a person types, what the environment and ~/.xe add, and what wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/args.h"

static bool parse(struct args *a, const char *rc, const char *extra, struct error **errp, unsigned n,
                  const char *const *words) {
    char *argv[32] = {xstrdup("xe")};
    for (unsigned i = 0; i < n; i++)
        argv[i + 1] = xstrdup(words[i]);
    *a = (struct args){0};
    bool ok = args_parse(a, (int)n + 1, argv, rc, extra, errp);
    for (unsigned i = 0; i <= n; i++)
        free(argv[i]);
    return ok;
}
#define PARSE(a, rc, extra, errp, ...)                                                                                 \
    parse(a, rc, extra, errp, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void test_words_in_any_order(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, NULL, NULL, &e, "-s", "h1", "host-list", "--minimal", "name-label=a=b", "-u", "root",
                      "params=", "-pw", "secret", "--force", "-p", "8443"));
    assert_string_equal(a.command, "host-list");
    assert_string_equal(a.server, "h1");
    assert_string_equal(a.password, "secret");
    assert_int_equal(a.port, 8443);
    assert_true(a.minimal && a.force && !a.multiple);
    assert_string_equal(args_get(&a, "name-label"), "a=b"); /* all behind the first = */
    assert_string_equal(args_get(&a, "params"), "");
    assert_null(args_get(&a, "nothing"));
    args_done(&a);
}

static void test_the_command_line_wins(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, "# mine\nserver=from-rc\nusername=rc-user\nx=rc\n", "server=from-env,label=a\\,b,x=env", &e,
                      "host-list", "server=typed"));
    assert_string_equal(a.server, "typed");
    assert_string_equal(a.user, "rc-user");
    assert_string_equal(args_get(&a, "x"), "env");
    assert_string_equal(args_get(&a, "label"), "a,b");
    args_done(&a);
}

static void test_nonsense_is_refused(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_false(PARSE(&a, NULL, NULL, &e, "uuid=1"));
    assert_true(error_is(e, "CLI_SYNTAX"));
    error_free(TAKE(e));
    args_done(&a);
    assert_false(PARSE(&a, NULL, NULL, &e, "host-list", "oops"));
    error_free(TAKE(e));
    args_done(&a);
    assert_false(PARSE(&a, NULL, NULL, &e, "host-list", "-s"));
    error_free(TAKE(e));
    args_done(&a);
    assert_false(PARSE(&a, NULL, NULL, &e, "host-list", "-p", "70000"));
    error_free(TAKE(e));
    args_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words_in_any_order),
                                       cmocka_unit_test(test_the_command_line_wins),
                                       cmocka_unit_test(test_nonsense_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
