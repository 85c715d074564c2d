/* SPDX-License-Identifier: Apache-2.0 */
/* xe's command line: what a person types, what the environment and ~/.xe add, and what wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/args.h"

static char *argv[32];
static unsigned argc;

static void forget_words(void) {
    while (argc)
        free(argv[--argc]);
}

static bool parse(struct args *a, const struct args_sources *sources, struct error **errp, unsigned n,
                  const char *const *words) {
    static const struct args_sources none = {0};
    forget_words();
    argv[argc++] = xstrdup("xe");
    for (unsigned i = 0; i < n; i++)
        argv[argc++] = xstrdup(words[i]);
    *a = (struct args){0};
    return args_parse(a, (int)argc, argv, sources ? sources : &none, errp);
}
#define PARSE(a, sources, errp, ...)                                                                                   \
    parse(a, sources, errp, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static const char *environment(const char *name) {
    return str_eq(name, "XE_SERVER")     ? "from-environment"
           : str_eq(name, "XE_USERNAME") ? "environment-user"
           : str_eq(name, "XE_PORT")     ? "8443"
                                         : NULL;
}

static void test_words_in_any_order(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, NULL, &e, "-s", "h1", "host-list", "--minimal", "name-label=a=b", "-u", "root",
                      "params=", "-pw", "secret", "--force", "-p", "8443", "--other=x", "--switch"));
    assert_string_equal(a.command, "host-list");
    assert_string_equal(args_text(&a, ARGS_SERVER), "h1");
    assert_string_equal(args_text(&a, ARGS_PASSWORD), "secret");
    assert_int_equal(args_port(&a), 8443);
    assert_true(args_is(&a, ARGS_MINIMAL) && args_is(&a, ARGS_FORCE) && !args_is(&a, ARGS_MULTIPLE));
    assert_string_equal(args_get(&a, "name-label"), "a=b"); /* all behind the first = */
    assert_string_equal(args_get(&a, "params"), "");
    assert_string_equal(args_get(&a, "other"), "x");
    assert_string_equal(args_get(&a, "switch"), "true");
    assert_null(args_get(&a, "nothing"));
    args_done(&a);
}

static void test_standard_names_are_not_the_commands(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, NULL, &e, "host-list", "server=h1", "username=u", "password=p", "port=1", "minimal=true",
                      "force=false", "multiple=true", "all=true", "trace=true", "--nossl"));
    assert_int_equal(a.n, 0);
    assert_string_equal(args_text(&a, ARGS_USER), "u");
    assert_false(args_is(&a, ARGS_FORCE));
    args_done(&a);
}

/* "certificate-list fingerprint=..." asks for certificates, "--fingerprint=..." says who the server must be. */
static void test_dashes_tell_the_judgement_of_the_server(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, NULL, &e, "certificate-list", "fingerprint=aa", "ca=x", "--fingerprint=bb", "--insecure"));
    assert_string_equal(args_get(&a, "fingerprint"), "aa");
    assert_string_equal(args_get(&a, "ca"), "x");
    assert_string_equal(args_text(&a, ARGS_FINGERPRINT), "bb");
    assert_null(args_text(&a, ARGS_CA));
    assert_true(args_is(&a, ARGS_INSECURE));
    args_done(&a);
}

static void test_the_nearer_source_wins(void **state) {
    struct args a;
    struct error *e = NULL;
    struct args_sources sources = {.rc = "# mine\nserver=from-rc\n username = rc-user \r\nport=1\npassword=p=q\nx=rc\n",
                                   .extra = "server=from-extra,label=a\\,b,x=extra,junk,,--minimal",
                                   .environment = environment};
    assert_true(PARSE(&a, &sources, &e, "host-list", "server=typed", "--minimal=false"));
    assert_string_equal(args_text(&a, ARGS_SERVER), "typed");
    assert_string_equal(args_text(&a, ARGS_USER), "environment-user");
    assert_int_equal(args_port(&a), 8443);
    assert_string_equal(args_text(&a, ARGS_PASSWORD), "p=q");
    assert_string_equal(args_get(&a, "x"), "extra");
    assert_string_equal(args_get(&a, "label"), "a,b");
    assert_null(args_get(&a, "junk"));
    assert_false(args_is(&a, ARGS_MINIMAL));
    args_done(&a);
    assert_true(PARSE(&a, &sources, &e, "host-list"));
    assert_string_equal(args_text(&a, ARGS_SERVER), "from-extra");
    assert_true(args_is(&a, ARGS_MINIMAL));
    args_done(&a);
}

static void test_passwords_leave_the_list_of_processes(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, NULL, &e, "pool-join", "-pw", "secret", "master-password=hidden", "password=x1",
                      "name-label=seen", "password-hint=seen"));
    assert_string_equal(argv[3], "xxxxxx");
    assert_string_equal(argv[4], "master-password=xxxxxx");
    assert_string_equal(argv[5], "password=xx");
    assert_string_equal(argv[6], "name-label=seen");
    assert_string_equal(argv[7], "password-hint=seen");
    assert_string_equal(args_get(&a, "master-password"), "hidden");
    args_done(&a);
}

static void test_password_file(void **state) {
    struct args a;
    struct error *e = NULL;
    struct args_sources sources = {.rc = "username=rc-user\npassword=rc-password\n"};
    assert_true(PARSE(&a, &sources, &e, "host-list", "-pwf", "file"));
    assert_string_equal(args_text(&a, ARGS_PASSWORD_FILE), "file");
    args_add_password_file(&a, "admin\r\nsecret\r\nmore\n");
    assert_string_equal(args_text(&a, ARGS_USER), "admin");
    assert_string_equal(args_text(&a, ARGS_PASSWORD), "secret");
    args_done(&a);
    assert_true(PARSE(&a, NULL, &e, "host-list", "-pwf", "file", "-u", "typed"));
    args_add_password_file(&a, "admin\nsecret");
    assert_string_equal(args_text(&a, ARGS_USER), "typed");
    assert_string_equal(args_text(&a, ARGS_PASSWORD), "secret");
    args_done(&a);
    assert_true(PARSE(&a, NULL, &e, "host-list", "-pwf", "file"));
    args_add_password_file(&a, "");
    args_add_password_file(&a, "\n\nthird");
    assert_null(args_text(&a, ARGS_PASSWORD));
    args_done(&a);
}

static void test_nonsense_is_refused(void **state) {
    static const char *const lines[][3] = {
        {"uuid=1"},          {"host-list", "oops"},        {"host-list", "-s"},   {"-x"}, {"host-list", "=x"},
        {"host-list", "--"}, {"host-list", "-p", "70000"}, {"host-list", "--=x"}, {""}};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        struct args a;
        struct error *e = NULL;
        unsigned n = 0;
        while (n < 3 && lines[i][n])
            n++;
        assert_false(parse(&a, NULL, &e, n, lines[i]));
        assert_true(error_is(e, "CLI_SYNTAX"));
        error_free(e);
        args_done(&a);
    }
}

static void test_help_takes_a_word(void **state) {
    struct args a;
    struct error *e = NULL;
    assert_true(PARSE(&a, NULL, &e, "help", "host-list"));
    assert_string_equal(args_get(&a, "command"), "host-list");
    args_done(&a);
    assert_true(PARSE(&a, NULL, &e, "host-list", "--help"));
    assert_true(a.wants_help);
    args_done(&a);
}

static int forget_all(void **state) {
    forget_words();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words_in_any_order),
                                       cmocka_unit_test(test_standard_names_are_not_the_commands),
                                       cmocka_unit_test(test_dashes_tell_the_judgement_of_the_server),
                                       cmocka_unit_test(test_the_nearer_source_wins),
                                       cmocka_unit_test(test_passwords_leave_the_list_of_processes),
                                       cmocka_unit_test(test_password_file),
                                       cmocka_unit_test(test_nonsense_is_refused),
                                       cmocka_unit_test(test_help_takes_a_word)};
    return cmocka_run_group_tests(tests, NULL, forget_all);
}
