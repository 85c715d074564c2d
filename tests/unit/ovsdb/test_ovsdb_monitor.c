/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "ovsdb/ovsdb_monitor.h"

#define U "a0000000-0000-4000-8000-000000000001"

static void on_begin(bool snapshot, void *userdata) {
    buf_add_str(userdata, snapshot ? "snapshot;" : "update;");
}

static void on_row(const char *table, const struct uuid *u, enum ovsdb_row_op op, const json_t *columns,
                   void *userdata) {
    char *text = columns ? json_dumps(columns, JSON_COMPACT) : NULL;
    buf_addf(userdata, "%s:%d:%s;", table, (int)op, text ? text : "-");
    free(text);
}

static void on_end(void *userdata) {
    buf_add_str(userdata, "end;");
}

static const struct ovsdb_monitor_ops ops = {.begin = on_begin, .row = on_row, .end = on_end};

static void test_decode(void **state) {
    static const struct {
        const char *text, *calls; /* NULL: refused, and nothing was called */
    } cases[] = {
        {"{}", "snapshot;end;"},
        {"{\"T\":{\"" U "\":{\"insert\":{\"n\":1}}}}", "snapshot;T:1:{\"n\":1};end;"},
        {"{\"T\":{\"" U "\":{\"initial\":{}}}}", "snapshot;T:0:{};end;"},
        {"{\"T\":{\"" U "\":{\"modify\":{\"n\":2}}}}", "snapshot;T:2:{\"n\":2};end;"},
        {"{\"T\":{\"" U "\":{\"delete\":null}}}", "snapshot;T:3:-;end;"},
        {"[]", NULL},
        {"{\"T\":[]}", NULL},
        {"{\"T\":{\"" U "\":{}}}", NULL},
        {"{\"T\":{\"" U "\":{\"insert\":{},\"delete\":null}}}", NULL},
        {"{\"T\":{\"" U "\":{\"insert\":null}}}", NULL},
        {"{\"T\":{\"" U "\":{\"invent\":{}}}}", NULL},
        {"{\"T\":{\"" U "\":{\"insert\":{}},\"x\":{\"insert\":{}}}}", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *v = json_loads(cases[i].text, 0, NULL);
        assert_non_null(v);
        _cleanup_buf_ struct buf calls = BUF_INIT;
        _cleanup_error_ struct error *e = NULL;
        assert_int_equal(ovsdb_monitor_decode(v, true, &ops, &calls, &e), cases[i].calls != NULL);
        assert_string_equal(buf_str(&calls), cases[i].calls ? cases[i].calls : "");
        assert_int_equal(e == NULL, cases[i].calls != NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
