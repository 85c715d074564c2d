/* SPDX-License-Identifier: Apache-2.0 */
#include "api/audit_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"

static void test_since(void **unused) {
    static const char *const good[][2] = {{"", ""},
                                          {"20261129", "20261129"},
                                          {"2026-11-29", "20261129"},
                                          {"20261129T18:19:14Z", "20261129T18:19:14"},
                                          {"2026-11-29T18:19:14.123Z", "20261129T18:19:14.123"},
                                          {"2026-11-29T18", "20261129T18"}};
    static const char *const bad[] = {"2026",
                                      "yesterday",
                                      "2026112",
                                      "20261129Z",
                                      "2026-11-29 18:00",
                                      "-----",
                                      "20261129T18:19:14ZZ",
                                      "20261129T18:19:14.1234"};
    char out[AUDIT_TIME_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(audit_log_parse_since(good[i][0], out));
        assert_string_equal(out, good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(audit_log_parse_since(bad[i], out));
}

/* It never takes more than two files, goes on after a restart, and is read from a time on. */
static void test_bounded(void **unused) {
    char dir[] = "/tmp/audit.XXXXXX", line[1000];
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *path = strf("%s/audit.log", dir), *older = strf("%s.1", path);
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = 0;
    struct audit_log *l = audit_log_new(path);
    const int64_t begin = INT64_C(1795975000000);
    unsigned n = 3 * AUDIT_LOG_MAX / sizeof line;
    for (unsigned i = 0; i < n; i++) {
        audit_log_add(l, begin + (int64_t)i * 1000, line);
        if (i % 1000 == 999) {
            audit_log_free(l);
            l = audit_log_new(path);
        }
    }
    struct stat one, two;
    assert_int_equal(stat(path, &one), 0);
    assert_int_equal(stat(older, &two), 0);
    assert_true(one.st_size <= AUDIT_LOG_MAX && two.st_size <= AUDIT_LOG_MAX);
    assert_int_equal(one.st_mode & 0777, 0600);
    struct buf text = BUF_INIT;
    audit_log_read(path, "", &text);
    assert_int_equal(text.size, (size_t)(one.st_size + two.st_size));
    buf_clear(&text);
    audit_log_read(path, "29991231", &text);
    assert_int_equal(text.size, 0);
    audit_log_add(l, INT64_C(32503680000000), "in the year 3000");
    audit_log_read(path, "29991231", &text);
    assert_string_equal(buf_str(&text), "30000101T00:00:00.000Z in the year 3000\n");
    buf_done(&text);
    audit_log_free(l);
    unlink(path);
    unlink(older);
    rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_since), cmocka_unit_test(test_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
