/* SPDX-License-Identifier: Apache-2.0 */
/* Filter expressions: grammar, limits, comparison of every scalar type. */
#include "api/where.h"
#include "base/str.h"
#include <stdarg.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static struct value values[N_FIELDS_PIF];
static struct row pif;

static int setup(void **state) {
    const struct class_def *class = &model_classes[CLASS_PIF];
    for (unsigned i = 0; i < class->n_fields; i++)
        values[i] = model_empty_value(class->fields[i].type);
    value_done(&values[FIELD_PIF_device]);
    value_done(&values[FIELD_PIF_IP]);
    values[FIELD_PIF_device] = value_string("eth0");
    values[FIELD_PIF_VLAN] = value_int(-1);
    values[FIELD_PIF_management] = value_bool(true);
    values[FIELD_PIF_IP] = value_string("10.0.0.1");
    pif = (struct row){.class = class, .fields = values};
    return 0;
}

static int teardown(void **state) {
    for (unsigned i = 0; i < N_FIELDS_PIF; i++)
        value_done(&values[i]);
    return 0;
}

static bool matches(const char *text) {
    struct error *e = NULL;
    struct where *w = where_parse(&model_classes[CLASS_PIF], text, &e);
    if (!w)
        fail_msg("'%s': %s", text, error_text(e));
    bool yes = where_match(w, &pif);
    where_free(w);
    return yes;
}

static void refused(const char *text) {
    struct error *e = NULL;
    assert_null(where_parse(&model_classes[CLASS_PIF], text, &e));
    assert_true(error_is(e, ERR_INVALID_VALUE));
    error_free(e);
}

static void test_values(void **state) {
    assert_true(matches("true"));
    assert_false(matches("false"));
    assert_true(matches("field \"device\"=\"eth0\""));
    assert_true(matches("field'device' = 'eth0'"));
    assert_true(matches("\"eth0\" = field \"device\""));
    assert_true(matches("field \"VLAN\" = \"-1\""));
    assert_true(matches("field \"management\" = \"true\""));
    assert_true(matches("field \"bond_slave_of\" = \"OpaqueRef:NULL\""));
    assert_true(matches("field \"ip__configuration__mode\" = \"\""));
    assert_true(matches("\"a\\\"b\" = 'a\"b'"));
    assert_false(matches("field \"device\"=\"eth1\""));
}

static void test_logic(void **state) {
    assert_true(matches("true and not false"));
    assert_true(matches("false and false or true"));
    assert_false(matches("false and (false or true)"));
    assert_true(matches("not not true"));
    assert_true(matches("field \"device\"=\"x\" or field \"device\"=\"eth0\" and field \"IP\"=\"10.0.0.1\""));
    assert_true(matches(" ( ( true ) ) "));
}

static void test_refused(void **state) {
    static const char *const texts[] = {
        "",
        "(",
        "true)",
        "true true",
        "field",
        "field \"device\"",
        "field \"device\" =",
        "field \"nothing\" = \"x\"",
        "field \"other_config\" = \"x\"",
        "\"a\" = ",
        "'a' = 'b",
        "not",
        "and",
        "true or",
        "truely",
        "field device = 'x'",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        refused(texts[i]);
}

static void test_limits(void **state) {
    _cleanup_buf_ struct buf deep = BUF_INIT, many = BUF_INIT, nots = BUF_INIT, longest = BUF_INIT;
    for (unsigned i = 0; i < WHERE_MAX_DEPTH + 1; i++)
        buf_add_char(&deep, '(');
    buf_add_str(&deep, "true");
    refused(deep.data);
    buf_add_str(&many, "true");
    for (unsigned i = 0; i < WHERE_MAX_NODES / 2; i++)
        buf_add_str(&many, " and true");
    refused(many.data);
    for (unsigned i = 0; i < 5000; i++)
        buf_add_str(&nots, "not ");
    refused(nots.data);
    for (unsigned i = 0; i <= WHERE_MAX_TEXT; i++)
        buf_add_char(&longest, ' ');
    refused(longest.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_logic),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
