/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers, and NSS itself, asked for what every system has. */
#include "auth/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static struct loop *loop;
static struct worker *worker;
static unsigned n_done;
static int last;
static char identifier[DIRECTORY_NAME_MAX + 8];
static size_t n_groups;

static void on_done(int r, const struct directory_entry *e, void *userdata) {
    n_done++;
    last = r;
    n_groups = 0;
    identifier[0] = 0;
    assert_int_equal(e != NULL, r == 1);
    while (e && e->groups && e->groups[n_groups])
        n_groups++;
    char *text = e ? directory_identifier(e->kind, e->name) : NULL;
    str_copy(identifier, sizeof(identifier), str_or_empty(text));
    free(text);
}

static void ask(const char *text) {
    unsigned before = n_done;
    assert_true(directory_ask(worker, text, on_done, NULL));
    uint64_t end_us = loop_now_us(loop) + 20000000;
    while (n_done == before) {
        assert_true(loop_now_us(loop) < end_us);
        loop_step(loop, 10);
    }
}

static void test_nss(void **state) {
    ask("root");
    assert_int_equal(last, 1);
    assert_string_equal(identifier, "user:root"); /* there is a group of this name, too */
    assert_true(n_groups >= 1);
    ask("group:root");
    assert_string_equal(identifier, "group:root");
    assert_int_equal(n_groups, 0);
    ask("user:root");
    assert_string_equal(identifier, "user:root");
    static const char *const strangers[] = {"no-such-name-here",
                                            "user:no-such-name-here",
                                            "group:no-such-name-here",
                                            "user:",
                                            "",
                                            "a\nb",
                                            "user:a:b",
                                            "\xff"};
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        ask(strangers[i]);
        assert_int_equal(last, 0);
    }
}

static void test_identifiers(void **state) {
    enum directory_kind kind;
    assert_string_equal(directory_identifier_name("group:domain users", &kind), "domain users");
    assert_int_equal(kind, DIRECTORY_GROUP);
    assert_null(directory_identifier_name("root", &kind));
    assert_null(directory_identifier_name("users:root", &kind));
    char longest[8 + DIRECTORY_NAME_MAX + 2] = "user:";
    memset(longest + 5, 'x', DIRECTORY_NAME_MAX);
    assert_non_null(directory_identifier_name(longest, &kind));
    longest[5 + DIRECTORY_NAME_MAX] = 'x';
    assert_null(directory_identifier_name(longest, &kind));
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nss), cmocka_unit_test(test_identifiers)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
