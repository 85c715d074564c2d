/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ovsdb/ovsdb_conn.h"
#include "ovsdb/ovsdb_value.h"

#define U "a0000000-0000-4000-8000-000000000001"

static void check_text(json_t *v, const char *text) {
    char *got = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(got, text);
    free(got);
    json_decref(v);
}

static json_t *parse(const char *text) {
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    return v;
}

static void test_sets(void **state) {
    static const struct {
        const char *text;
        bool is_set;
        size_t size;
    } cases[] = {
        {"1", true, 1},
        {"\"x\"", true, 1},
        {"true", true, 1},
        {"[\"uuid\",\"" U "\"]", true, 1},
        {"[\"set\",[]]", true, 0},
        {"[\"set\",[1,2]]", true, 2},
        {"[\"set\",1]", false, 0},
        {"[\"map\",[]]", false, 0},
        {"null", false, 0},
        {"{}", false, 0},
        {"[]", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *v = parse(cases[i].text);
        assert_int_equal(ovsdb_is_set(v), cases[i].is_set);
        assert_int_equal(ovsdb_set_size(v), cases[i].size);
        assert_null(ovsdb_set_item(v, cases[i].size));
        json_decref(v);
    }
}

static void test_maps(void **state) {
    json_t *v = parse("[\"map\",[[\"a\",1],[\"b\",2]]]");
    const json_t *key, *value;
    assert_true(ovsdb_is_map(v));
    assert_int_equal(ovsdb_map_size(v), 2);
    assert_true(ovsdb_map_pair(v, 1, &key, &value));
    assert_string_equal(json_string_value(key), "b");
    assert_int_equal(json_integer_value(value), 2);
    assert_false(ovsdb_map_pair(v, 2, &key, &value));
    json_decref(v);
    v = parse("[\"map\",[[\"a\"]]]");
    assert_false(ovsdb_is_map(v));
    json_decref(v);
    v = parse("[\"map\",{}]");
    assert_false(ovsdb_is_map(v));
    json_decref(v);
}

static void test_operations(void **state) {
    struct uuid u;
    assert_true(uuid_parse(U, &u));
    check_text(ovsdb_op_insert("T", &u, json_pack("{s:i}", "n", 1)),
               "{\"op\":\"insert\",\"table\":\"T\",\"uuid\":\"" U "\",\"row\":{\"n\":1}}");
    check_text(ovsdb_op_wait("T", &u, json_object()),
               "{\"op\":\"wait\",\"table\":\"T\",\"where\":[[\"_uuid\",\"==\",[\"uuid\",\"" U "\"]]],\"columns\":[],"
               "\"until\":\"==\",\"rows\":[{}],\"timeout\":0}");
    check_text(ovsdb_op_delete("T", &u),
               "{\"op\":\"delete\",\"table\":\"T\",\"where\":[[\"_uuid\",\"==\",[\"uuid\",\"" U "\"]]]}");
}

/* A refused commit is one element more than there were operations. */
static void test_transact_check(void **state) {
    static const struct {
        const char *text;
        bool good;
        size_t index;
        const char *error;
    } cases[] = {
        {"[{},{\"count\":1}]", true, 0, NULL},
        {"[{},{\"count\":1},{\"error\":\"referential integrity violation\",\"details\":\"d\"}]", false, 2,
         "referential integrity violation"},
        {"[{\"error\":\"timed out\"},null]", false, 0, "timed out"},
        {"[{},{\"error\":\"x\"}]", false, 1, "x"},
        {"[{},{\"error\":null}]", true, 0, NULL},
        {"[{}]", false, 1, "bad answer"},
        {"{}", false, 2, "bad answer"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *v = parse(cases[i].text);
        struct error *e = NULL;
        size_t index = 99;
        assert_int_equal(ovsdb_transact_check(v, 2, &index, &e), cases[i].good);
        if (!cases[i].good) {
            assert_int_equal(index, cases[i].index);
            assert_true(error_is(e, OVSDB_ERROR));
            assert_string_equal(error_param(e, 0), cases[i].error);
        }
        error_free(e);
        json_decref(v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_transact_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
