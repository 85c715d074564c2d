/* SPDX-License-Identifier: Apache-2.0 */
#include "model/cli_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/str.h"

/* Every path leads to a field, through references and sets of them only. */
static void check_path(const struct cli_class *c, const char *path) {
    const struct class_def *at = &model_classes[c->class_id];
    struct strv steps = {0};
    strv_split(&steps, path, '.');
    for (size_t i = 0; i < steps.n; i++) {
        assert_non_null(at);
        const struct field_def *f = model_field_by_name(at, steps.items[i], NULL);
        assert_non_null(f);
        assert_false(f->internal);
        const struct type_def *t = f->type->kind == TYPE_SET ? f->type->elem : f->type;
        at = t->kind == TYPE_REF && t->class_id >= 0 ? &model_classes[t->class_id] : NULL;
    }
    strv_done(&steps);
}

static void test_tables_are_sound(void **state) {
    for (unsigned i = 0; i < cli_n_classes; i++) {
        const struct cli_class *c = &cli_classes[i];
        assert_ptr_equal(cli_class_by_name(c->name), c);
        for (unsigned f = 0; f < c->n_fields; f++)
            check_path(c, c->fields[f].path);
        for (unsigned d = 0; d < c->n_default_fields; d++)
            assert_non_null(cli_field_by_name(c, c->default_fields[d]));
        for (unsigned d = 0; d < c->n_only; d++)
            assert_int_equal(model_field_by_name(&model_classes[c->class_id], c->only[d].field, NULL)->type->kind,
                             TYPE_BOOL);
    }
}

/* Each command of the datamodel is a call, and stands for its parameters or for fields of the record that it takes. */
static void test_commands_are_sound(void **state) {
    assert_true(cli_n_commands > 50);
    for (unsigned i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = &cli_commands[i];
        const struct call_def *call = model_call_by_name(c->call);
        assert_non_null(call);
        bool takes_record = call->n_params == 1 && call->params[0].type->kind == TYPE_RECORD;
        assert_true(takes_record || c->n_args <= call->n_params);
        for (unsigned k = 0; k < c->n_args; k++) {
            const struct cli_arg *a = &c->args[k];
            const struct type_def *t = call->params[takes_record ? 0 : k].type;
            if (takes_record)
                t = model_field_by_name(&model_classes[call->class_id], a->field, NULL)->type;
            assert_int_equal(t->kind == TYPE_MAP, str_ends(a->key, ":"));
            assert_true(strstr(a->fallback ? c->optional : c->required, a->key));
        }
    }
}

static void test_known_fields(void **state) {
    const struct cli_class *pif = cli_class_by_name("pif");
    assert_int_equal(pif->class_id, CLASS_PIF);
    assert_string_equal(pif->fields[0].name, "uuid");
    assert_string_equal(cli_field_by_name(pif, "network-name-label")->path, "network.name_label");
    assert_string_equal(cli_field_by_name(pif, "IP-configuration-mode")->path, "ip_configuration_mode");
    assert_string_equal(cli_rights_text(cli_field_by_name(pif, "other-config")->rights), "MRW");
    assert_string_equal(cli_rights_text(CLI_RO), " RO");
    assert_null(cli_class_by_name("PIF"));
    assert_int_equal(cli_class_by_name("snapshot")->class_id, CLASS_VM);
    assert_string_equal(cli_class_by_name("template")->only[0].field, "is_a_template");
    assert_true(cli_class_by_name("template")->only[0].value);
    assert_int_equal(pif->n_only, 0);
    assert_null(cli_field_by_name(pif, "network"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_commands_are_sound),
        cmocka_unit_test(test_known_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
