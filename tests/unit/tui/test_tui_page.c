/* SPDX-License-Identifier: Apache-2.0 */
/* Texts from outside made harmless, wrapped and put in columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <locale.h>
#include <cmocka.h>

#include "tui/tui_page.h"
#include "tui/tui_tail.h"
#include "tui/tui_text.h"

static void assert_clean(const char *raw, const char *wanted) {
    _cleanup_free_ char *clean = tui_text_clean(raw);
    assert_string_equal(clean, wanted);
}

static void test_clean(void **state) {
    assert_clean("plain", "plain");
    assert_clean("a\tb\nc", "a b?c");
    assert_clean("\x1b[31mred\x1b]0;title\x07", "?[31mred?]0;title?");
    assert_clean("caf\xc3\xa9", "caf\xc3\xa9");
    assert_clean("\xc3", "?");
    assert_clean("\xff\xfe", "??");
    assert_clean("\xc0\xaf \xed\xa0\x80", "?? ???"); /* overlong; a surrogate */
    assert_clean("\xc2\x9b"
                 "31m",
                 "?31m"); /* the one-byte escape of old terminals */
}

static void test_clean_ascii(void **state) {
    setlocale(LC_ALL, "C");
    assert_clean("caf\xc3\xa9", "caf?");
    setlocale(LC_ALL, "C.UTF-8");
}

static void test_width(void **state) {
    assert_int_equal(tui_text_width("abc"), 3);
    assert_int_equal(tui_text_width("caf\xc3\xa9"), 4);
    assert_int_equal(tui_text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two columns each */
    assert_int_equal(tui_text_fit("\xe6\x97\xa5\xe6\x9c\xac", 3), 3);
    assert_int_equal(tui_text_break("one two three", 9), 8);
    assert_int_equal(tui_text_break("onetwothree", 4), 4);
    assert_int_equal(tui_text_break("\xe6\x97\xa5", 1), 3); /* goes on, however narrow */
}

static void assert_lines(struct tui_page *p, size_t n, const char *const *lines) {
    for (size_t i = 0; i < MIN(n, p->n); i++)
        assert_string_equal(p->lines[i].text, lines[i]);
    assert_int_equal(p->n, n);
    tui_page_done(p);
}
#define ASSERT_LINES(p, ...)                                                                                           \
    assert_lines(p, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void test_wrap(void **state) {
    struct tui_page p = tui_page_new(20);
    tui_page_add(&p, TUI_PLAIN, 2, "  one two three four five six");
    tui_page_add(&p, TUI_PLAIN, 0, "averyveryverylongwordindeed");
    tui_page_add(&p, TUI_PLAIN, 0, "%s", "");
    ASSERT_LINES(&p, "  one two three four", "  five six", "averyveryverylongwor", "dindeed", "");
}

static void test_field(void **state) {
    struct tui_page p = tui_page_new(60);
    tui_page_field(&p, TUI_PLAIN, "Name", "%s", "h1");
    tui_page_field(&p, TUI_PLAIN, "Nothing", "%s", "");
    tui_page_field(&p, TUI_PLAIN, "State", "%s", "waits for a coordinator that does not answer yet");
    ASSERT_LINES(&p, "  Name                 h1", "  State                waits for a coordinator that does not",
                 "                       answer yet");
}

static void test_table(void **state) {
    struct tui_page p = tui_page_new(30);
    struct tui_table t = {.n_columns = 3};
    tui_table_add(&t, TUI_HEAD, "Name", "MTU", "Where", NULL);
    tui_table_add(&t, TUI_PLAIN, "eth0", "9000", "swA: port 1", NULL);
    tui_table_add(&t, TUI_PLAIN, "longername", "1500", "a switch with a long name", NULL);
    tui_page_table(&p, &t);
    ASSERT_LINES(&p, "Name        MTU   Where", "eth0        9000  swA: port 1", "longername  1500",
                 "      a switch with a long", "      name");
}

static void test_table_cut(void **state) {
    struct tui_page p = tui_page_new(24);
    struct tui_table t = {.n_columns = 2, .cuts_last = true};
    tui_table_add(&t, TUI_PLAIN, "eth0", "a network with a long name", NULL);
    tui_page_table(&p, &t);
    ASSERT_LINES(&p, "eth0  a network with a l");
}

static void test_endless(void **state) {
    struct tui_page p = tui_page_new(20);
    for (int i = 0; i < TUI_PAGE_MAX_LINES + 100; i++)
        tui_page_add(&p, TUI_PLAIN, 0, "%d", i);
    assert_int_equal(p.n, TUI_PAGE_MAX_LINES + 1);
    assert_string_equal(p.lines[p.n - 1].text, "(there is more)");
    tui_page_done(&p);
}

static void assert_tail(const char *text, bool is_cut, size_t max, const char *wanted) {
    _cleanup_strv_ struct strv v = {0};
    tui_tail_lines(text, is_cut, max, &v);
    _cleanup_free_ char *joined = strv_join(&v, "|");
    assert_string_equal(joined, wanted);
}

static void test_tail(void **state) {
    assert_tail("", false, 3, "");
    assert_tail("\n\n", false, 3, "");
    assert_tail("a\nb\nc\nd\n", false, 3, "b|c|d");
    assert_tail("a\nb", false, 3, "a|b");
    assert_tail("rest of a line\nb\nc\n", true, 3, "b|c");
    assert_tail("no end of a line", true, 3, "");
    assert_tail("a\n\nc\n", false, 3, "a||c");
}

int main(void) {
    setlocale(LC_ALL, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),     cmocka_unit_test(test_clean_ascii), cmocka_unit_test(test_width),
        cmocka_unit_test(test_wrap),      cmocka_unit_test(test_field),       cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_cut), cmocka_unit_test(test_endless),     cmocka_unit_test(test_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
