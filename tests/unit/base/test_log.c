/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_MODULE "test"
#include "base/log.h"
#include "base/buf.h"
#include "base/str.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <cmocka.h>

static int capture_fd, saved_stderr;

/* Sends stderr to an unnamed file. */
static void capture_start(void) {
    capture_fd = memfd_create("stderr", MFD_CLOEXEC);
    saved_stderr = dup(STDERR_FILENO);
    (void)dup2(capture_fd, STDERR_FILENO);
}

static void capture_end(char *text, size_t size) {
    (void)dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t n = pread(capture_fd, text, size - 1, 0);
    close(capture_fd);
    assert_true(n >= 0);
    text[n] = '\0';
}

static void assert_matches(const char *text, const char *pattern) {
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, text, 0, NULL, 0) != 0)
        fail_msg("'%s' does not match '%s'", text, pattern);
    regfree(&re);
}

static void test_plain_line(void **state) {
    char text[8192];
    capture_start();
    log_init("test", LOG_LEVEL_INFO);
    log_warn("leg '%s' is down", "eth0");
    log_debug("not shown");
    capture_end(text, sizeof(text));
    assert_matches(text,
                   "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z [^ ]+ warn test: leg 'eth0' "
                   "is down\n$");
}

static void test_no_forged_lines(void **state) {
    char text[8192];
    capture_start();
    log_info("%s", "a\nb\r\033[2Jc\xc3\xa4");
    capture_end(text, sizeof(text));
    assert_matches(text, "test: a b  \\[2Jc\xc3\xa4\n$");
}

static void test_long_line_is_cut(void **state) {
    char text[8192];
    _cleanup_buf_ struct buf b = BUF_INIT;
    for (int i = 0; i < 6000; i++)
        buf_add_char(&b, 'x');
    capture_start();
    log_info("%s", b.data);
    capture_end(text, sizeof(text));
    assert_true(strlen(text) <= 4096);
    assert_true(str_ends(text, "xxx...\n"));
}

static void test_journal_prefix(void **state) {
    char text[256];
    struct stat st;
    capture_start();
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    _cleanup_free_ char *stream = strf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_init("test", LOG_LEVEL_DEBUG);
    log_err("bad");
    log_debug("fine");
    capture_end(text, sizeof(text));
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_init("test", LOG_LEVEL_INFO);
    assert_string_equal(text, "<3>test: bad\n<7>test: fine\n");
}

static void test_levels(void **state) {
    enum log_level l = LOG_LEVEL_INFO;
    assert_true(log_level_parse("debug", &l) && l == LOG_LEVEL_DEBUG);
    assert_false(log_level_parse("loud", &l));
}

static void test_limit(void **state) {
    struct log_limit limit = {0};
    char text[512];
    for (int i = 0; i < 10; i++)
        assert_int_equal(log_limit_pass(&limit, 3, 3600 * 1000), i < 3);
    assert_int_equal(limit.dropped, 7);
    capture_start();
    bool passed = log_limit_pass(&limit, 3, 0); /* the window is over */
    capture_end(text, sizeof(text));
    assert_true(passed);
    assert_matches(text, "notice log: 7 lines");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain_line),       cmocka_unit_test(test_no_forged_lines),
                                       cmocka_unit_test(test_long_line_is_cut), cmocka_unit_test(test_journal_prefix),
                                       cmocka_unit_test(test_levels),           cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
