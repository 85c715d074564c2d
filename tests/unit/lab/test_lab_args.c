/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "lab/lab_args.h"

#define MAX_WORDS 16

/* What is left of a line of words, behind which stands what --dir said; "none" when it was refused. */
static char *take(const char *line, bool leading_only) {
    _cleanup_strv_ struct strv words = {0};
    strv_split(&words, line, ' ');
    char *argv[MAX_WORDS + 1] = {0};
    assert_true(words.n <= MAX_WORDS);
    for (size_t i = 0; i < words.n; i++)
        argv[i] = words.items[i];
    const char *dir = "-";
    int argc = lab_args_take_dir((int)words.n, argv, 2, leading_only, &dir);
    if (argc < 0)
        return xstrdup("none");
    assert_null(argv[argc]);
    char *text = xstrdup(dir);
    for (int i = 0; i < argc; i++) {
        char *longer = strf("%s %s", text, argv[i]);
        free(text);
        text = longer;
    }
    return text;
}

static void expect(const char *line, bool leading_only, const char *wanted) {
    _cleanup_free_ char *got = take(line, leading_only);
    assert_string_equal(got, wanted);
}

static void test_dir_stands_anywhere(void **state) {
    (void)state;
    expect("lab up --dir D --hosts 2", false, "D lab up --hosts 2");
    expect("lab up --hosts 2 --dir D", false, "D lab up --hosts 2");
    expect("lab up --hosts 2 --dir=D --off", false, "D lab up --hosts 2 --off");
    expect("lab up --dir A --off --dir B", false, "B lab up --off");
    expect("lab down", false, "- lab down");
    expect("lab down --dirt", false, "- lab down --dirt");
}

static void test_dir_without_folder(void **state) {
    (void)state;
    expect("lab up --dir", false, "none");
    expect("lab up --hosts 2 --dir", false, "none");
    expect("lab exec --dir", true, "none");
}

static void test_a_command_keeps_its_words(void **state) {
    (void)state;
    expect("lab exec --dir D h1 tool --dir X", true, "D lab exec h1 tool --dir X");
    expect("lab exec h1 tool --dir X", true, "- lab exec h1 tool --dir X");
    expect("lab up -- --dir X", false, "- lab up -- --dir X");
}

static void test_help(void **state) {
    (void)state;
    char *words[] = {(char[]){"h1"}, (char[]){"--help"}};
    assert_true(lab_args_ask_help(2, words, false));
    assert_false(lab_args_ask_help(2, words, true));
    assert_true(lab_args_ask_help(1, words + 1, true));
    assert_false(lab_args_ask_help(1, words, false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dir_stands_anywhere),
        cmocka_unit_test(test_dir_without_folder),
        cmocka_unit_test(test_a_command_keeps_its_words),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
