/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/str.h"

static void test_classes_are_found(void **state) {
    for (unsigned i = 0; i < N_CLASSES; i++) {
        const struct class_def *c = &model_classes[i];
        assert_int_equal(c->id, i);
        assert_ptr_equal(model_class_by_name(c->name), c);
        assert_ptr_equal(model_class_by_name_any_case(c->event_name), c);
        for (const char *p = c->event_name; *p; p++)
            assert_false(*p >= 'A' && *p <= 'Z');
    }
    assert_null(model_class_by_name("pif"));
    assert_ptr_equal(model_class_by_name_any_case("pIf"), &model_classes[CLASS_PIF]);
    assert_null(model_class_by_name(""));
    assert_null(model_class_by_name_any_case("VMM"));
}

static void test_fields_are_found(void **state) {
    for (unsigned i = 0; i < N_CLASSES; i++) {
        const struct class_def *c = &model_classes[i];
        for (unsigned f = 0; f < c->n_fields; f++) {
            int index = -1;
            assert_ptr_equal(model_field_by_name(c, c->fields[f].name, &index), &c->fields[f]);
            assert_int_equal(index, f);
        }
        assert_null(model_field_by_name(c, "no_such_field", NULL));
    }
    assert_int_equal(FIELD_PIF_uuid, 0);
    assert_string_equal(model_classes[CLASS_network].fields[FIELD_network_MTU].name, "MTU");
}

static void test_calls_are_found(void **state) {
    for (unsigned i = 0; i < model_n_calls; i++)
        assert_ptr_equal(model_call_by_name(model_calls[i].name), &model_calls[i]);
    assert_null(model_call_by_name("Bond.Create"));
    assert_null(model_call_by_name("Bond."));
    assert_null(model_call_by_name(""));
}

static void check_call(const struct call_def *c) {
    bool about_field = c->kind >= CALL_GET_FIELD && c->kind <= CALL_REMOVE_FROM_SET;
    assert_true(about_field == (c->field >= 0));
    if (c->class_id >= 0)
        assert_true(str_starts(c->name, model_classes[c->class_id].name));
    if (c->kind != CALL_CUSTOM || c->planned_error)
        assert_int_equal(c->handler, -1);
    if (c->planned_error)
        assert_non_null(model_error_by_code(c->planned_error));
    for (unsigned p = 0; p < c->n_params; p++)
        assert_true(c->params[p].optional == !!c->params[p].default_value);
    assert_non_null(c->result);
    assert_true(strlen(c->doc) > 0);
}

static void test_calls_are_sound(void **state) {
    int handlers = 0;
    for (unsigned i = 0; i < model_n_calls; i++) {
        check_call(&model_calls[i]);
        if (model_calls[i].handler >= 0) /* numbered in order, without gaps */
            assert_int_equal(model_calls[i].handler, handlers++);
    }
    assert_true(handlers > 50);
}

/* A few facts that real clients depend on. */
static void test_known_calls(void **state) {
    const struct call_def *c = model_call_by_name("Bond.create");
    assert_int_equal(c->kind, CALL_CUSTOM);
    assert_int_equal(c->n_params, 5);
    assert_string_equal(c->params[1].type->text, "PIF ref set");
    assert_string_equal(value_str(c->params[3].default_value), "balance-slb");
    assert_true(c->has_async && c->has_session);
    c = model_call_by_name("session.login_with_password");
    assert_false(c->has_session || c->has_async);
    assert_int_equal(c->n_params, 4);
    c = model_call_by_name("network.set_MTU");
    assert_int_equal(c->kind, CALL_CUSTOM); /* takes effect at once, unlike a plain setter */
    assert_int_equal(c->role, ROLE_VM_ADMIN);
    c = model_call_by_name("network.set_name_label");
    assert_int_equal(c->kind, CALL_SET_FIELD);
    assert_int_equal(c->field, FIELD_network_name_label);
    assert_int_equal(model_call_by_name("PIF.add_to_other_config")->kind, CALL_ADD_TO_MAP);
    assert_int_equal(model_call_by_name("pool.remove_tags")->kind, CALL_REMOVE_FROM_SET);
    assert_null(model_call_by_name("PIF.set_MTU"));
    assert_null(model_call_by_name("pool.get_epoch")); /* internal fields have no calls */
    assert_int_equal(model_call_by_name("system.isAlive")->class_id, -1);
}

static void check_field(const struct class_def *c, const struct field_def *f) {
    if (f->store == STORE_RELATION) {
        const struct field_def *back = &model_classes[f->relation_class].fields[f->relation_field];
        const struct type_def *t = back->type->kind == TYPE_SET ? back->type->elem : back->type;
        assert_int_equal(t->kind, TYPE_REF);
        assert_int_equal(t->class_id, c->id);
    } else {
        assert_int_equal(f->relation_class, -1);
    }
    if (f->default_value) {
        struct error *error = NULL;
        struct value v = value_copy(f->default_value);
        assert_true(model_coerce(f->type, &v, f->name, &error));
        assert_true(value_equal(&v, f->default_value));
        value_done(&v);
    }
    if (c->is_volatile)
        assert_int_not_equal(f->store, STORE_DB);
    struct value empty = model_empty_value(f->type);
    value_done(&empty);
}

static void test_fields_are_sound(void **state) {
    for (unsigned i = 0; i < N_CLASSES; i++)
        for (unsigned f = 0; f < model_classes[i].n_fields; f++)
            check_field(&model_classes[i], &model_classes[i].fields[f]);
    assert_true(model_classes[CLASS_pool].fields[FIELD_pool_epoch].internal);
    assert_int_equal(model_classes[CLASS_host].fields[FIELD_host_PBDs].store, STORE_RELATION);
    assert_int_equal(model_classes[CLASS_PIF].fields[FIELD_PIF_PCI].type->class_id, CLASS_PCI);
}

static void test_errors_are_sorted(void **state) {
    for (unsigned i = 0; i < model_n_errors; i++) {
        if (i)
            assert_true(strcmp(model_errors[i - 1].code, model_errors[i].code) < 0);
        assert_ptr_equal(model_error_by_code(model_errors[i].code), &model_errors[i]);
        assert_true(model_errors[i].n_params <= 16);
    }
    assert_null(model_error_by_code("HANDLE"));
    assert_string_equal(ERR_HANDLE_INVALID, "HANDLE_INVALID");
}

static void test_roles(void **state) {
    enum role r;
    for (unsigned i = 0; i < N_ROLES; i++) {
        assert_true(model_role_by_name(model_role_names[i], &r));
        assert_int_equal(r, i);
    }
    assert_false(model_role_by_name("root", &r));
    assert_string_equal(model_role_names[ROLE_VM_POWER_ADMIN], "vm-power-admin");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_are_found), cmocka_unit_test(test_fields_are_found),
        cmocka_unit_test(test_calls_are_found),   cmocka_unit_test(test_calls_are_sound),
        cmocka_unit_test(test_known_calls),       cmocka_unit_test(test_fields_are_sound),
        cmocka_unit_test(test_errors_are_sorted), cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
