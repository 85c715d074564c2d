/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

#define UUID_A "8013b937-ff7e-60d1-ecd8-e52d66c5879e"

static const struct type_def *field_type(int class_id, int field) {
    return model_classes[class_id].fields[field].type;
}

/* v becomes t: true when it was taken. */
static bool taken(const struct type_def *t, struct value *v) {
    struct error *error = NULL;
    bool ok = model_coerce(t, v, "it", &error);
    assert_true(ok == !error);
    error_free(error);
    return ok;
}

static void refused(const struct type_def *t, struct value v, const char *code) {
    struct error *error = NULL;
    assert_false(model_coerce(t, &v, "it", &error));
    assert_string_equal(error_code(error), code);
    error_free(error);
    value_done(&v);
}

static void test_int(void **state) {
    const struct type_def *t = field_type(CLASS_network, FIELD_network_MTU);
    struct value v = value_string("9000");
    assert_true(taken(t, &v));
    assert_int_equal(v.type, VALUE_INT);
    assert_int_equal(v.integer, 9000);
    v = value_string("-9223372036854775808");
    assert_true(taken(t, &v));
    assert_true(v.integer == INT64_MIN);
    v = value_float(1500.0);
    assert_true(taken(t, &v));
    assert_int_equal(v.integer, 1500);
    refused(t, value_string("1500x"), ERR_INVALID_VALUE);
    refused(t, value_string(""), ERR_INVALID_VALUE);
    refused(t, value_string("9223372036854775808"), ERR_INVALID_VALUE);
    refused(t, value_float(1500.5), ERR_FIELD_TYPE_ERROR);
    refused(t, value_float(0x1p63), ERR_FIELD_TYPE_ERROR);
    refused(t, value_float(NAN), ERR_FIELD_TYPE_ERROR);
    refused(t, value_bool(true), ERR_FIELD_TYPE_ERROR);
    refused(t, value_set(), ERR_FIELD_TYPE_ERROR);
}

static void test_bool_is_strict(void **state) {
    const struct type_def *t = field_type(CLASS_PIF, FIELD_PIF_physical);
    struct value v = value_bool(true);
    assert_true(taken(t, &v));
    refused(t, value_string("true"), ERR_FIELD_TYPE_ERROR);
    refused(t, value_int(1), ERR_FIELD_TYPE_ERROR);
}

static void test_string_and_enum(void **state) {
    const struct type_def *t = field_type(CLASS_network, FIELD_network_name_label);
    struct value v = {0};
    assert_true(taken(t, &v));
    assert_string_equal(value_str(&v), "");
    value_done(&v);
    refused(t, value_string("\xff\xfe"), ERR_INVALID_VALUE);
    refused(t, value_int(5), ERR_FIELD_TYPE_ERROR);
    t = field_type(CLASS_Bond, FIELD_Bond_mode);
    v = value_string("lacp");
    assert_true(taken(t, &v));
    value_done(&v);
    refused(t, value_string("LACP"), ERR_INVALID_VALUE);
    refused(t, value_string(""), ERR_INVALID_VALUE);
}

static void test_ref(void **state) {
    const struct type_def *t = field_type(CLASS_PIF, FIELD_PIF_network);
    struct value v = value_string("OpaqueRef:" UUID_A);
    char text[UUID_TEXT_SIZE];
    assert_true(taken(t, &v));
    assert_string_equal(uuid_text(&v.ref, text), UUID_A);
    const char *const nulls[] = {"OpaqueRef:NULL", ""};
    for (unsigned i = 0; i < ARRAY_SIZE(nulls); i++) {
        v = value_string(nulls[i]);
        assert_true(taken(t, &v));
        assert_int_equal(v.type, VALUE_REF);
        assert_true(uuid_is_null(&v.ref));
    }
    refused(t, value_string(UUID_A), ERR_HANDLE_INVALID);
    refused(t, value_string("OpaqueRef:"), ERR_HANDLE_INVALID);
    refused(t, value_int(3), ERR_FIELD_TYPE_ERROR);
}

static void test_time_and_float(void **state) {
    const struct type_def *t = field_type(CLASS_task, FIELD_task_created);
    struct value v = value_string("19700101T00:01:00Z");
    assert_true(taken(t, &v));
    assert_int_equal(v.time, 60);
    refused(t, value_string("yesterday"), ERR_INVALID_VALUE);
    t = field_type(CLASS_task, FIELD_task_progress);
    v = value_int(1);
    assert_true(taken(t, &v));
    assert_true(v.type == VALUE_FLOAT);
    v = value_string("0.25");
    assert_true(taken(t, &v));
    assert_true(v.real == 0.25);
    refused(t, value_string("much"), ERR_INVALID_VALUE);
}

static void test_set_and_map(void **state) {
    const struct type_def *t = field_type(CLASS_Bond, FIELD_Bond_slaves);
    struct value v = value_set();
    value_set_add(&v, value_string("OpaqueRef:" UUID_A));
    assert_true(taken(t, &v));
    assert_int_equal(v.set.items[0].type, VALUE_REF);
    value_set_add(&v, value_string("x"));
    refused(t, v, ERR_HANDLE_INVALID);
    refused(t, value_string("x"), ERR_FIELD_TYPE_ERROR);

    t = field_type(CLASS_network, FIELD_network_other_config);
    v = value_map();
    value_map_add(&v, "key", value_string("text"));
    assert_true(taken(t, &v));
    value_map_add(&v, "other", value_int(1));
    refused(t, v, ERR_FIELD_TYPE_ERROR);

    t = field_type(CLASS_network, FIELD_network_assigned_ips); /* VIF ref -> string */
    v = value_map();
    value_map_add(&v, "OpaqueRef:" UUID_A, value_string("10.0.0.1"));
    assert_true(taken(t, &v));
    value_map_add(&v, "bad", value_string("10.0.0.2"));
    refused(t, v, ERR_HANDLE_INVALID);
}

static void test_record(void **state) {
    const struct type_def *t = model_call_by_name("network.create")->params[0].type;
    struct value v = value_map();
    value_map_add(&v, "MTU", value_string("9000"));
    value_map_add(&v, "from_the_future", value_int(1)); /* unknown keys are left alone */
    assert_true(taken(t, &v));
    assert_int_equal(value_map_get(&v, "MTU")->integer, 9000);
    value_map_put(&v, "managed", value_string("true"));
    refused(t, v, ERR_FIELD_TYPE_ERROR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int),    cmocka_unit_test(test_bool_is_strict), cmocka_unit_test(test_string_and_enum),
        cmocka_unit_test(test_ref),    cmocka_unit_test(test_time_and_float), cmocka_unit_test(test_set_and_map),
        cmocka_unit_test(test_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
