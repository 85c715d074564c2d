/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every class of the API, with a row put in by hand: its record has each field of the API in the JSON of its type, the
 * getters agree with it, filters take every field, and what a client may set comes back as it was set.
 */
#include "api_fixture.h"
#include "base/str.h"
#include "facts.h"
#include "gen_handlers.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

static const char *facts_path;
static struct facts facts;

static int setup(void **state) {
    facts_read(&facts, facts_path);
    struct fx *fx = fx_new(1, 0, model_handlers);
    fx_login(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state) {
    fx_free(*state);
    facts_done(&facts);
    return 0;
}

static struct uuid row_of(struct fx *fx, const struct class_def *class) {
    const struct row *r = db_first(fx->db, class->id);
    if (r)
        return r->uuid;
    struct uuid u = fx_add(fx, class->id);
    fx_settle(fx);
    return u;
}

static const struct call_def *call_of(const struct class_def *class, const char *prefix, const char *rest) {
    _cleanup_free_ char *name = strf("%s.%s%s", class->name, prefix, rest);
    return model_call_by_name(name);
}

static bool has_json_of(const char *type, const json_t *v) {
    if (str_ends(type, " set"))
        return json_is_array(v);
    if (str_ends(type, " map"))
        return json_is_object(v);
    if (str_eq(type, "int"))
        return json_is_integer(v);
    if (str_eq(type, "float"))
        return json_is_number(v);
    if (str_eq(type, "bool"))
        return json_is_boolean(v);
    if (str_ends(type, " ref"))
        return json_is_string(v) && str_starts(json_string_value(v), "OpaqueRef:");
    if (str_eq(type, "datetime"))
        return json_is_string(v) && strlen(json_string_value(v)) == strlen("19700101T00:00:00Z");
    return json_is_string(v); /* string, enum */
}

static json_t *parse(const char *text) {
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    return v;
}

/* 20 and 20.0 are the same number. */
static bool is_equal(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* A new object has the API's default in each field that has one. */
static void check_preset(const struct class_def *class, const struct fact *f, const json_t *v) {
    if (!f->preset[0])
        return;
    json_t *want = str_ends(f->type, " ref") ? json_string("OpaqueRef:NULL") : parse(f->preset);
    if (!is_equal(want, v))
        fail_msg("%s.%s of a new object is not %s", class->name, f->name, f->preset);
    json_decref(want);
}

static void check_field(struct fx *fx, const struct class_def *class, const char *ref, const struct fact *f,
                        const json_t *record) {
    const json_t *v = json_object_get(record, f->name);
    if (!v || !has_json_of(f->type, v))
        fail_msg("%s.%s: '%s' came as %s", class->name, f->name, f->type,
                 v ? json_dumps(v, JSON_ENCODE_ANY) : "nothing");
    const struct call_def *get = call_of(class, "get_", f->name);
    if (!get)
        return; /* messages are read whole; the facts of calls say which getters there are */
    if (get->planned_error) {
        assert_string_equal(fx_fail(fx, get->name, "[$S, \"%s\"]", ref), get->planned_error);
    } else {
        json_t *got = parse(fx_call(fx, get->name, "[$S, \"%s\"]", ref));
        if (!is_equal(got, v))
            fail_msg("%s says something else than the record", get->name);
        json_decref(got);
    }
    if (class->id != CLASS_pool && class->id != CLASS_host) /* whose rows the fixture has filled */
        check_preset(class, f, v);
    if (call_of(class, "get_all_", "where") && !str_ends(f->type, " set") && !str_ends(f->type, " map")) {
        _cleanup_free_ char *where = strf("%s.get_all_where", class->name);
        fx_call(fx, where, "[$S, \"not field \\\"%s\\\"=\\\"nothing like it\\\" or false\"]", f->name);
    }
}

static void test_records_have_every_field(void **state) {
    struct fx *fx = *state;
    unsigned n_fields = 0;
    for (unsigned i = 0; i < N_CLASSES; i++) {
        const struct class_def *class = &model_classes[i];
        if (!class->has_table || !call_of(class, "", "get_record"))
            continue;
        struct uuid u = row_of(fx, class);
        char ref[REF_TEXT_SIZE];
        ref_text(&u, ref);
        json_t *record = parse(fx_call(fx, call_of(class, "", "get_record")->name, "[$S, \"%s\"]", ref));
        char uuid[UUID_TEXT_SIZE];
        assert_string_equal(json_string_value(json_object_get(record, "uuid")), uuid_text(&u, uuid));
        const struct call_def *all = call_of(class, "", "get_all_records");
        if (all) {
            json_t *records = parse(fx_call(fx, all->name, "[$S]"));
            assert_true(json_equal(json_object_get(records, ref), record));
            json_decref(records);
        }
        for (size_t k = 0; k < facts.n; k++) {
            if (str_eq(facts.items[k].kind, "field") && str_eq(facts.items[k].class_name, class->name)) {
                check_field(fx, class, ref, &facts.items[k], record);
                n_fields++;
            }
        }
        json_decref(record);
    }
    assert_true(n_fields > 800);
}

/* ---- writing ---- */
/* A value of the type that is not its default, as JSON text; NULL: none can be made up. */
static char *sample(const struct type_def *t) {
    switch (t->kind) {
    case TYPE_STRING:
        return xstrdup("\"some <text>\"");
    case TYPE_INT:
        return xstrdup("7");
    case TYPE_FLOAT:
        return xstrdup("2.5");
    case TYPE_BOOL:
        return xstrdup("true");
    case TYPE_TIME:
        return xstrdup("\"20260102T03:04:05Z\"");
    case TYPE_ENUM:
        return strf("\"%s\"", t->enumeration->values[t->enumeration->n_values - 1]);
    case TYPE_SET: {
        _cleanup_free_ char *item = sample(t->elem);
        return item ? strf("[%s]", item) : NULL;
    }
    case TYPE_MAP: {
        _cleanup_free_ char *item = sample(t->elem);
        const char *key = t->key->kind == TYPE_ENUM ? t->key->enumeration->values[0] : "some key";
        return item ? strf("{\"%s\":%s}", key, item) : NULL;
    }
    default:
        return NULL;
    }
}

static void expect(struct fx *fx, const struct class_def *class, const char *ref, const char *field, const char *text) {
    json_t *want = parse(text);
    json_t *got = parse(fx_call(fx, call_of(class, "get_", field)->name, "[$S, \"%s\"]", ref));
    if (!is_equal(want, got))
        fail_msg("%s.%s: %s was set, %s came back", class->name, field, text, json_dumps(got, JSON_ENCODE_ANY));
    json_decref(want);
    json_decref(got);
}

/* remove_from_ of what is there and of what is not, add_to_ of what is not there and of what is. */
static void check_map(struct fx *fx, const struct class_def *class, const char *ref, const struct field_def *f,
                      const char *whole) {
    const char *key = f->type->key->kind == TYPE_ENUM ? f->type->key->enumeration->values[0] : "some key";
    _cleanup_free_ char *item = sample(f->type->elem);
    const struct call_def *add = call_of(class, "add_to_", f->name), *remove = call_of(class, "remove_from_", f->name);
    assert_non_null(add);
    assert_non_null(remove);
    fx_call(fx, remove->name, "[$S, \"%s\", \"%s\"]", ref, key);
    expect(fx, class, ref, f->name, "{}");
    fx_call(fx, remove->name, "[$S, \"%s\", \"%s\"]", ref, key);
    fx_call(fx, add->name, "[$S, \"%s\", \"%s\", %s]", ref, key, item);
    expect(fx, class, ref, f->name, whole);
    _cleanup_free_ char *error = strf("MAP_DUPLICATE_KEY %s %s %s %s", class->name, f->name, ref, key);
    assert_string_equal(fx_fail(fx, add->name, "[$S, \"%s\", \"%s\", %s]", ref, key, item), error);
}

static void check_set(struct fx *fx, const struct class_def *class, const char *ref, const struct field_def *f,
                      const char *whole) {
    _cleanup_free_ char *item = sample(f->type->elem);
    const struct call_def *add = call_of(class, "add_", f->name), *remove = call_of(class, "remove_", f->name);
    assert_non_null(add);
    assert_non_null(remove);
    fx_call(fx, add->name, "[$S, \"%s\", %s]", ref, item);
    expect(fx, class, ref, f->name, whole);
    fx_call(fx, remove->name, "[$S, \"%s\", %s]", ref, item);
    expect(fx, class, ref, f->name, "[]");
    fx_call(fx, remove->name, "[$S, \"%s\", %s]", ref, item);
    fx_call(fx, add->name, "[$S, \"%s\", %s]", ref, item);
    expect(fx, class, ref, f->name, whole);
}

static void test_what_clients_set_comes_back(void **state) {
    struct fx *fx = *state;
    unsigned n_fields = 0;
    for (unsigned i = 0; i < N_CLASSES; i++) {
        const struct class_def *class = &model_classes[i];
        if (!class->has_table || class->is_volatile)
            continue;
        struct uuid u = row_of(fx, class);
        char ref[REF_TEXT_SIZE];
        ref_text(&u, ref);
        for (unsigned k = 0; k < class->n_fields; k++) {
            const struct field_def *f = &class->fields[k];
            const struct call_def *set = f->internal ? NULL : call_of(class, "set_", f->name);
            _cleanup_free_ char *text = sample(f->type);
            if (!set || set->kind != CALL_SET_FIELD || set->planned_error || !text)
                continue;
            fx_call(fx, set->name, "[$S, \"%s\", %s]", ref, text);
            expect(fx, class, ref, f->name, text);
            if (f->type->kind == TYPE_MAP)
                check_map(fx, class, ref, f, text);
            else if (f->type->kind == TYPE_SET)
                check_set(fx, class, ref, f, text);
            n_fields++;
        }
    }
    assert_true(n_fields > 100);
}

/* ---- making and deleting ---- */
static void test_default_create_and_destroy(void **state) {
    struct fx *fx = *state;
    const char *text = fx_call(fx, "secret.create", "[$S, {\"value\": \"hush\", \"nobody knows\": 1}]");
    _cleanup_free_ char *ref = xstrndup(text + 1, strlen(text) - 2);
    assert_string_equal(fx_call(fx, "secret.get_value", "[$S, \"%s\"]", ref), "\"hush\"");
    assert_string_equal(fx_call(fx, "secret.get_other_config", "[$S, \"%s\"]", ref), "{}");
    fx_call(fx, "secret.set_value", "[$S, \"%s\", \"hush!\"]", ref);
    assert_string_equal(fx_call(fx, "secret.get_value", "[$S, \"%s\"]", ref), "\"hush!\"");
    fx_call(fx, "secret.destroy", "[$S, \"%s\"]", ref);
    _cleanup_free_ char *gone = strf("HANDLE_INVALID secret %s", ref);
    assert_string_equal(fx_fail(fx, "secret.get_value", "[$S, \"%s\"]", ref), gone);
    assert_string_equal(fx_fail(fx, "secret.destroy", "[$S, \"%s\"]", ref), gone);
    assert_true(str_starts(fx_fail(fx, "secret.create", "[$S, {}]"), "INTERNAL_ERROR"));
    assert_string_equal(fx_call(fx, "secret.get_all", "[$S]"), "[]");
}

static void test_relations_of_vms(void **state) {
    struct fx *fx = *state;
    struct uuid vm = fx_add(fx, CLASS_VM), snapshot = fx_add(fx, CLASS_VM), vif = fx_add(fx, CLASS_VIF);
    fx_set(fx, CLASS_VIF, &vif, FIELD_VIF_VM, value_ref(&vm));
    fx_set(fx, CLASS_VM, &snapshot, FIELD_VM_snapshot_of, value_ref(&vm));
    fx_set(fx, CLASS_VM, &vm, FIELD_VM_resident_on, value_ref(&fx->hosts[0]));
    fx_settle(fx);
    assert_non_null(strstr(fx_call(fx, "VM.get_VIFs", "[$S, \"%s\"]", fx_ref(&vm)), fx_ref(&vif)));
    assert_non_null(strstr(fx_call(fx, "VM.get_snapshots", "[$S, \"%s\"]", fx_ref(&vm)), fx_ref(&snapshot)));
    assert_non_null(strstr(fx_call(fx, "host.get_resident_VMs", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])), fx_ref(&vm)));
    /* A VM that does not run has no domain. */
    assert_string_equal(fx_call(fx, "VM.get_domid", "[$S, \"%s\"]", fx_ref(&vm)), "-1");
    assert_string_equal(fx_call(fx, "VM.get_power_state", "[$S, \"%s\"]", fx_ref(&vm)), "\"Halted\"");
    /* An appliance that goes leaves its VMs without one. */
    const char *text = fx_call(fx, "VM_appliance.create", "[$S, {\"name_label\": \"app\"}]");
    _cleanup_free_ char *appliance = xstrndup(text + 1, strlen(text) - 2);
    fx_call(fx, "VM.set_appliance", "[$S, \"%s\", \"%s\"]", fx_ref(&vm), appliance);
    assert_non_null(strstr(fx_call(fx, "VM_appliance.get_VMs", "[$S, \"%s\"]", appliance), fx_ref(&vm)));
}

static void test_what_is_not_there_says_so(void **state) {
    struct fx *fx = *state;
    struct uuid vm = fx_add(fx, CLASS_VM);
    fx_settle(fx);
    assert_string_equal(fx_fail(fx, "VM.get_boot_record", "[$S, \"%s\"]", fx_ref(&vm)),
                        "NOT_IMPLEMENTED VM.get_boot_record");
    assert_string_equal(fx_fail(fx, "VMPP.get_all_records", "[$S]"), "MESSAGE_REMOVED");
    assert_string_equal(fx_fail(fx, "VIF_metrics.get_all", "[$S]"), "MESSAGE_REMOVED");
    assert_string_equal(fx_fail(fx, "VM.get_is_snapshot_from_vmpp", "[$S, \"%s\"]", fx_ref(&vm)), "MESSAGE_REMOVED");
    assert_string_equal(fx_fail(fx, "VM.set_has_vendor_device", "[$S, \"%s\", true]", fx_ref(&vm)),
                        "NOT_IMPLEMENTED VM.set_has_vendor_device");
    /* npm xen-api takes the classes from here: what cannot be listed must not be named. */
    const char *methods = fx_call(fx, "system.listMethods", "[]");
    assert_non_null(strstr(methods, "\"VM.get_all_records\""));
    assert_null(strstr(methods, "VMPP."));
    assert_null(strstr(methods, "VIF_metrics.get_all_records"));
    assert_null(strstr(methods, "VM.get_boot_record\""));
}

static void test_storage_types(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_call(fx, "SR.get_supported_types", "[$S]"), "[]");
    for (unsigned i = 0; i < 2; i++) {
        struct uuid sm = fx_add(fx, CLASS_SM);
        fx_set(fx, CLASS_SM, &sm, FIELD_SM_type, value_string("nfs"));
    }
    fx_settle(fx);
    assert_string_equal(fx_call(fx, "SR.get_supported_types", "[$S]"), "[\"nfs\"]");
}

int main(int argc, char **argv) {
    assert_int_equal(argc, 2);
    facts_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records_have_every_field, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_clients_set_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_create_and_destroy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_relations_of_vms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_there_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_storage_types, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
