/* SPDX-License-Identifier: Apache-2.0 */
/* Closing holes in the file of a database server. Hashes are not read, so they are all the same here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/db_raftlog.h"

#define HASH "0123456789abcdef0123456789abcdef01234567"
#define FIRST                                                                                                          \
    "{\"prev_term\":1,\"prev_index\":1,\"prev_servers\":{\"a\":\"ssl:10.0.0.1:6643\",\"b\":\"ssl:10.0.0.2:6643\"}}"

static void add(struct buf *b, const char *record) {
    buf_addf(b, "OVSDB CLUSTER %zu " HASH "\n%s\n", strlen(record) + 1, record);
}

static void add_all(struct buf *b, const char *const *records) {
    for (; *records; records++)
        add(b, *records);
}

/* The log with these records, behind `FIRST`, becomes that; the end of both lists is NULL. */
static void check(const char *const *records, const char *const *expected, struct raftlog_hole hole) {
    _cleanup_buf_ struct buf in = BUF_INIT, out = BUF_INIT, want = BUF_INIT;
    struct raftlog_hole found = {0};
    add(&in, FIRST);
    add_all(&in, records);
    add(&want, FIRST);
    add_all(&want, expected);
    assert_true(raftlog_close_holes(in.data, in.size, &out, &found));
    assert_string_equal(buf_str(&out), buf_str(&want));
    assert_int_equal(found.first, hole.first);
    assert_int_equal(found.n_dropped, hole.n_dropped);
    assert_int_equal(found.n_voters, hole.n_voters);
    /* Now there is none. */
    struct buf again = BUF_INIT;
    assert_false(raftlog_close_holes(out.data, out.size, &again, &found));
}
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_hole(void **state) {
    check(LIST("{\"term\":1,\"index\":2,\"data\":[]}", "{\"commit_index\":2}", "{\"term\":1,\"index\":4}",
               "{\"commit_index\":4}", "{\"term\":1,\"index\":5}"),
          LIST("{\"term\":1,\"index\":2,\"data\":[]}", "{\"commit_index\":2}"),
          (struct raftlog_hole){.first = 3, .n_dropped = 2, .n_voters = 2});
}

/* It must not vote twice, and must not come back when it has left. */
static void test_what_binds_is_kept(void **state) {
    check(LIST("{\"term\":1,\"index\":2}", "{\"term\":1,\"index\":4}", "{\"term\":2}", "{\"term\":3,\"vote\":\"a\"}",
               "{\"term\":3,\"leader\":\"a\"}", "{\"term\":3,\"index\":5}", "{\"note\":\"left\"}"),
          LIST("{\"term\":1,\"index\":2}", "{\"term\":2}", "{\"term\":3,\"vote\":\"a\"}",
               "{\"term\":3,\"leader\":\"a\"}", "{\"note\":\"left\"}"),
          (struct raftlog_hole){.first = 3, .n_dropped = 2, .n_voters = 2});
}

/* A later leader has written the missing entry anew: from there on nothing is missing. */
static void test_hole_that_was_closed(void **state) {
    check(LIST("{\"term\":1,\"index\":2}", "{\"term\":1,\"index\":4}", "{\"term\":2}", "{\"term\":2,\"index\":3}",
               "{\"term\":2,\"index\":4}", "{\"commit_index\":4}"),
          LIST("{\"term\":1,\"index\":2}", "{\"term\":2}", "{\"term\":2,\"index\":3}", "{\"term\":2,\"index\":4}",
               "{\"commit_index\":4}"),
          (struct raftlog_hole){.first = 3, .n_dropped = 1, .n_voters = 2});
}

static void test_committed_but_missing(void **state) {
    check(LIST("{\"term\":1,\"index\":2}", "{\"commit_index\":3}"), LIST("{\"term\":1,\"index\":2}"),
          (struct raftlog_hole){.first = 3, .n_dropped = 0, .n_voters = 2});
}

static void test_voters(void **state) {
    check(LIST("{\"term\":1,\"index\":2,\"servers\":{\"a\":\"x\"}}", "{\"term\":1,\"index\":4}"),
          LIST("{\"term\":1,\"index\":2,\"servers\":{\"a\":\"x\"}}"),
          (struct raftlog_hole){.first = 3, .n_dropped = 1, .n_voters = 1});
    /* A configuration that is not kept does not count. */
    check(LIST("{\"term\":1,\"index\":3,\"servers\":{\"a\":\"x\"}}", "{\"term\":1}"), LIST("{\"term\":1}"),
          (struct raftlog_hole){.first = 2, .n_dropped = 1, .n_voters = 2});
}

static bool closes(const struct buf *b) {
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct raftlog_hole hole;
    return raftlog_close_holes(buf_str(b), b->size, &out, &hole);
}

static void test_whole(void **state) {
    _cleanup_buf_ struct buf b = BUF_INIT;
    assert_false(closes(&b));
    add(&b, FIRST);
    /* An entry with a lower index takes back those behind it. */
    add_all(&b, LIST("{\"term\":1,\"index\":2}", "{\"term\":1,\"index\":3}", "{\"term\":2,\"index\":2}",
                     "{\"term\":2,\"index\":3}", "{\"commit_index\":3}"));
    assert_false(closes(&b));
    add(&b, "{\"term\":2,\"index\":5}");
    assert_true(closes(&b));
}

/* The last record may be cut short; anything else that cannot be read is more than a hole, and is left alone. */
static void test_unreadable(void **state) {
    _cleanup_buf_ struct buf b = BUF_INIT, out = BUF_INIT, want = BUF_INIT;
    struct raftlog_hole hole;
    add(&b, FIRST);
    add(&want, FIRST);
    add(&b, "{\"term\":1,\"index\":3}");
    buf_add_str(&b, "OVSDB CLUSTER 300 " HASH "\n{\"term\":1");
    assert_true(raftlog_close_holes(b.data, b.size, &out, &hole));
    assert_string_equal(buf_str(&out), buf_str(&want));

    buf_clear(&b);
    add(&b, FIRST);
    add_all(&b, LIST("{\"term\":1,\"index\":3}", "nonsense", "{\"term\":2}"));
    assert_false(closes(&b));

    static const char *const heads[] = {"OVSDB JSON 12 " HASH "\n",
                                        "OVSDB CLUSTER -1 " HASH "\n",
                                        "OVSDB CLUSTER  12 " HASH,
                                        "OVSDB CLUSTER 12 0123\n",
                                        "OVSDB CLUSTER 12 " HASH "0\n",
                                        "OVSDB CLUSTER 99999999999999999999 " HASH "\n",
                                        "OVSDB CLUSTER 0 " HASH "\n",
                                        "OVSDB\n",
                                        "\n"};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        buf_clear(&b);
        add(&b, FIRST);
        buf_add_str(&b, heads[i]);
        add(&b, "{\"term\":1,\"index\":9}");
        assert_false(closes(&b));
    }
}

static void test_numbers(void **state) {
    static const char *const odd[] = {"{\"term\":1,\"index\":-3}", "{\"term\":1,\"index\":\"9\"}",
                                      "{\"term\":1,\"index\":9223372036854775807}", "{\"commit_index\":null}"};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT;
        add(&b, FIRST);
        add(&b, odd[i]); /* not ours to judge: the server does */
        assert_false(closes(&b));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hole),
        cmocka_unit_test(test_what_binds_is_kept),
        cmocka_unit_test(test_hole_that_was_closed),
        cmocka_unit_test(test_committed_but_missing),
        cmocka_unit_test(test_voters),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
