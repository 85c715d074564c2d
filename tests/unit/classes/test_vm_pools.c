/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that comes from another pool, through the API, with hosts that are a function here: what is refused before
 * anything is made, what a stranger's text may not set, the words and the secret, and that nothing is left of one that
 * is not to come.
 */
#include "api/call_private.h"
#include "api_fixture.h"
#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "classes/vm_ops.h"
#include "db/db_internal.h"
#include "gen_handlers.h"
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define MIB (INT64_C(1) << 20)
#define ID "11111111-2222-3333-4444-555555555555"
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define VM "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define DISK "aaaaaaaa-bbbb-4ccc-8ddd-ffffffffffff"

static struct fx *fx;
static struct uuid network, sr, vm;
static char asked[512];
static const char *broken; /* a store operation that fails */

struct later {
    struct value args;
    char name[32];
    api_query_done_fn *done;
    void *data;
};

static void answer(void *userdata) {
    struct later *l = userdata;
    _cleanup_value_ struct value result = value_map();
    _cleanup_error_ struct error *e = NULL;
    const char *op = value_map_str(&l->args, "op");
    size_t n = strlen(asked);
    snprintf(asked + n, sizeof(asked) - n, "%s%s", n ? " " : "", op && *op ? op : l->name);
    value_map_add(&result, "authority", value_string("PEM"));
    value_map_add(&result, "has_kvm", value_bool(false));
    value_map_add(&result, "port", value_string("4711"));
    if (broken && str_eq(op && *op ? op : l->name, broken))
        error_set(&e, ERR_SR_FULL, "1", "0", NULL);
    l->done(e, e ? NULL : &result, l->data);
    value_done(&l->args);
    free(l);
}

static void host_ask(void *userdata, const struct uuid *host, const char *name, struct value args, uint64_t deadline_ms,
                     api_query_done_fn *done, void *data) {
    struct later *l = xnew0(struct later);
    *l = (struct later){.args = args, .done = done, .data = data};
    (void)str_copy(l->name, sizeof(l->name), name);
    loop_defer(fx->loop, answer, l);
}

static int setup(void **state) {
    fx = fx_new(2, 0, model_handlers);
    asked[0] = '\0';
    broken = NULL;
    fx->hooks.host_ask = host_ask;
    fx_hooks_changed(fx);
    fx_login(fx);
    vm_ops_watch(fx->api);
    fx_set(fx, CLASS_host, &fx->hosts[0], FIELD_host_address, value_string("10.0.0.1"));
    network = fx_add(fx, CLASS_network);
    fx_set(fx, CLASS_network, &network, FIELD_network_name_label, value_string("guests"));
    struct uuid pbd = fx_add(fx, CLASS_PBD);
    struct value config = value_map();
    sr = fx_add(fx, CLASS_SR);
    value_map_add(&config, "location", value_string("/srv/sr"));
    fx_set(fx, CLASS_SR, &sr, FIELD_SR_type, value_string("file"));
    fx_set(fx, CLASS_SR, &sr, FIELD_SR_physical_size, value_int(100 * MIB));
    fx_set(fx, CLASS_PBD, &pbd, FIELD_PBD_SR, value_ref(&sr));
    fx_set(fx, CLASS_PBD, &pbd, FIELD_PBD_host, value_ref(&fx->hosts[0]));
    fx_set(fx, CLASS_PBD, &pbd, FIELD_PBD_device_config, config);
    fx_set(fx, CLASS_PBD, &pbd, FIELD_PBD_currently_attached, value_bool(true));
    assert_true(uuid_parse(VM, &vm));
    fx_settle(fx);
    return 0;
}

static int teardown(void **state) {
    fx_free(fx);
    return 0;
}

/* The request as another pool would send it, as a JSON string: `more` stands at its beginning. */
static const char *request(const char *more, const char *sr_ref) {
    static char text[4096];
    snprintf(
        text, sizeof(text),
        "{%s \\\"vm\\\": \\\"" VM "\\\", \\\"id\\\": \\\"" ID "\\\", \\\"secret\\\": \\\"" SECRET "\\\", "
        "\\\"address\\\": \\\"10.0.0.1\\\", \\\"authority\\\": \\\"PEM\\\", \\\"version\\\": \\\"\\\", "
        "\\\"memory\\\": \\\"\\\", \\\"fields\\\": {\\\"name_label\\\": \\\"web\\\", \\\"is_control_domain\\\": true, "
        "\\\"memory_static_max\\\": 268435456, \\\"power_state\\\": \\\"Running\\\", "
        "\\\"resident_on\\\": \\\"OpaqueRef:" VM "\\\", \\\"migration\\\": {\\\"to\\\": \\\"x\\\"}}, "
        "\\\"vbds\\\": [{\\\"userdevice\\\": \\\"0\\\", \\\"disk\\\": \\\"" DISK "\\\"}], "
        "\\\"vifs\\\": [{\\\"device\\\": \\\"0\\\", \\\"ref\\\": \\\"OpaqueRef:x\\\", "
        "\\\"network_name\\\": \\\"guests\\\"}], "
        "\\\"disks\\\": [{\\\"from\\\": \\\"" DISK
        "\\\", \\\"format\\\": \\\"qcow2\\\", \\\"virtual_size\\\": 8388608, "
        "\\\"sr\\\": \\\"%s\\\"}]}",
        more, sr_ref);
    return text;
}

#define ARRIVE "[$S, \"%s\", {\"json\": \"%s\"}]"
#define MAKE "\\\"only_asks\\\": false,"

static const char *arrive(void) {
    return fx_call(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, fx_ref(&sr)));
}

static const char *say(const char *word) {
    return fx_call(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"" SECRET "\", \"%s\", \"\"]", word);
}

static const struct row *row(void) {
    return db_get(fx->db, CLASS_VM, &vm);
}

static bool is_empty(void) {
    return !row() && db_count(fx->db, CLASS_VDI) == 0 && db_count(fx->db, CLASS_VBD) == 0 &&
           db_count(fx->db, CLASS_VIF) == 0;
}

static void test_checked_first(void **state) {
    struct uuid strange = uuid_random();
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), "{}"), "INVALID_VALUE"));
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), "{"), "INTERNAL_ERROR"));
    assert_true(
        str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, fx_ref(&strange))),
                   "HANDLE_INVALID SR"));
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, "")),
                           "DEFAULT_SR_NOT_FOUND"));
    /* The other host has no such storage, and not that address. */
    fx_set(fx, CLASS_host, &fx->hosts[1], FIELD_host_address, value_string("10.0.0.2"));
    fx_settle(fx);
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[1]), request(MAKE, fx_ref(&sr))),
                           "INVALID_VALUE request address"));
    fx_set(fx, CLASS_host, &fx->hosts[1], FIELD_host_address, value_string("10.0.0.1"));
    fx_settle(fx);
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[1]), request(MAKE, fx_ref(&sr))),
                           "VM_REQUIRES_SR"));
    fx_set(fx, CLASS_SR, &sr, FIELD_SR_physical_utilisation, value_int(95 * MIB));
    fx_settle(fx);
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, fx_ref(&sr))),
                           "SR_FULL 8388608 5242880"));
    fx_set(fx, CLASS_SR, &sr, FIELD_SR_physical_utilisation, value_int(0));
    fx_set(fx, CLASS_network, &network, FIELD_network_name_label, value_string("others"));
    fx_settle(fx);
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, fx_ref(&sr))),
                           "VIF_NOT_IN_MAP"));
    assert_string_equal(asked, "");
    assert_true(is_empty());
}

static void test_only_asks(void **state) {
    fx_call(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request("\\\"only_asks\\\": true,", fx_ref(&sr)));
    assert_string_equal(asked, "vm_facts");
    assert_true(is_empty());
}

static void test_what_a_stranger_may_say(void **state) {
    assert_non_null(strstr(arrive(), "PEM"));
    assert_string_equal(asked, "vm_facts vdi_create");
    assert_string_equal(row_str(row(), FIELD_VM_name_label), "web");
    assert_string_equal(row_str(row(), FIELD_VM_power_state), "Halted");
    assert_false(row_bool(row(), FIELD_VM_is_control_domain));
    assert_true(uuid_is_null(row_ref(row(), FIELD_VM_resident_on)));
    assert_null(value_map_get(row_value(row(), FIELD_VM_migration), "to"));
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, fx_ref(&sr))),
                           "DUPLICATE_VM"));
}

static void test_nobody_touches_it(void **state) {
    arrive();
    assert_true(
        str_starts(fx_fail(fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&vm)), "OTHER_OPERATION_IN_PROGRESS"));
    assert_true(str_starts(fx_fail(fx, "VM.destroy", "[$S, \"%s\"]", fx_ref(&vm)), "OTHER_OPERATION_IN_PROGRESS"));
    assert_true(str_starts(fx_fail(fx, "VM.power_state_reset", "[$S, \"%s\"]", fx_ref(&vm)),
                           "OTHER_OPERATION_IN_PROGRESS")); /* half of it is there */
    assert_int_equal(row_value(row(), FIELD_VM_allowed_operations)->set.n, 0);
    /* Nor its devices, nor what they lead to. */
    struct uuid vbd = row_value(row(), FIELD_VM_VBDs)->set.items[0].ref,
                vif = row_value(row(), FIELD_VM_VIFs)->set.items[0].ref, vdi = db_first(fx->db, CLASS_VDI)->uuid;
    static const char held[] = "OTHER_OPERATION_IN_PROGRESS VM";
    assert_true(str_starts(fx_fail(fx, "VBD.destroy", "[$S, \"%s\"]", fx_ref(&vbd)), held));
    assert_true(str_starts(fx_fail(fx, "VBD.set_mode", "[$S, \"%s\", \"RO\"]", fx_ref(&vbd)), held));
    assert_true(str_starts(fx_fail(fx, "VIF.destroy", "[$S, \"%s\"]", fx_ref(&vif)), held));
    assert_true(str_starts(fx_fail(fx, "VBD.create",
                                   "[$S, {\"VM\": \"%s\", \"VDI\": \"%s\", \"userdevice\": \"1\", \"mode\": \"RW\", "
                                   "\"type\": \"Disk\", \"bootable\": false, \"unpluggable\": true, \"empty\": false, "
                                   "\"other_config\": {}, \"qos_algorithm_type\": \"\", \"qos_algorithm_params\": {}}]",
                                   fx_ref(&vm), fx_ref(&vdi)),
                           held));
    assert_true(str_starts(fx_fail(fx, "VDI.destroy", "[$S, \"%s\"]", fx_ref(&vdi)), "VDI_IN_USE"));
    say("ready"); /* from here on a person may say that the other pool is lost */
    fx_call(fx, "VM.power_state_reset", "[$S, \"%s\"]", fx_ref(&vm));
    assert_non_null(strstr(say("status"), "taken"));
}

/* Its memory ended with its host, and the other pool goes on with it: what lies here becomes nobody's VM. */
static void test_lost_is_never_ours(void **state) {
    arrive();
    say("ready");
    struct value record = value_copy(row_value(row(), FIELD_VM_migration));
    value_map_put(&record, "pools", value_string("lost"));
    fx_set(fx, CLASS_VM, &vm, FIELD_VM_migration, record);
    fx_settle(fx);
    assert_true(
        str_starts(fx_fail(fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&vm)), "OTHER_OPERATION_IN_PROGRESS"));
    fx_call(fx, "VM.power_state_reset", "[$S, \"%s\"]", fx_ref(&vm));
    assert_true(is_empty());
}

static void test_words(void **state) {
    arrive();
    assert_true(
        str_starts(fx_fail(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"wrong\", \"take\", \"\"]"),
                   "SESSION_AUTHENTICATION_FAILED"));
    assert_true(str_starts(
        fx_fail(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"" SECRET "\", \"give\", \"\"]"),
        "INVALID_VALUE word"));
    assert_non_null(strstr(
        fx_call(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"another move\", \"" SECRET "\", \"take\", \"\"]"),
        "none"));
    assert_non_null(strstr(say("take"), "arriving")); /* not before the promise */
    broken = "disk_whole";                            /* and none before its disks are whole */
    assert_true(str_starts(
        fx_fail(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"" SECRET "\", \"ready\", \"\"]"),
        "SR_FULL"));
    assert_non_null(strstr(say("status"), "arriving"));
    broken = NULL;
    assert_non_null(strstr(say("ready"), "ready"));
    assert_true(vm_pools_hold(row()));
    assert_non_null(strstr(say("take"), "taken"));
    assert_false(vm_pools_hold(row()));
    assert_non_null(strstr(say("take"), "taken"));
    assert_non_null(strstr(say("forget"), "taken")); /* what is taken is taken */
    assert_non_null(row());
}

static void test_disks_of_the_move_only(void **state) {
    arrive();
    const char *disk = value_map_str(row_value(row(), FIELD_VM_migration), "disks");
    assert_non_null(strstr(
        fx_call(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"" SECRET "\", \"open\", \"%s\"]", disk),
        "4711"));
    assert_true(str_starts(
        fx_fail(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"" SECRET "\", \"open\", \"" DISK "\"]"),
        "HANDLE_INVALID VDI"));
}

static void test_forgotten(void **state) {
    arrive();
    assert_non_null(strstr(say("forget"), "none"));
    assert_true(is_empty());
    assert_true(str_ends(asked, "disk_stop vdi_destroy"));
}

static void test_no_room_after_all(void **state) {
    broken = "vdi_create";
    assert_true(str_starts(fx_fail(fx, "VM.migrate_arrive", ARRIVE, fx_ref(&fx->hosts[0]), request(MAKE, fx_ref(&sr))),
                           "SR_FULL"));
    assert_true(is_empty());
}

/* The other pool says that the move goes on, again and again, and nothing more. */
static void test_words_alone_keep_nothing(void **state) {
    fx->db->status.in_step = fx->db->status.has_quorum = true; /* as with a database */
    arrive();
    const char *disk = value_map_str(row_value(row(), FIELD_VM_migration), "disks");
    for (int hours = 0; hours < 40 && row(); hours++) {
        for (int i = 0; i < 12 && row(); i++) { /* well within ten minutes */
            assert_non_null(strstr(say("status"), "arriving"));
            loop_sim_advance(fx->sim, 5 * 60000);
            class_vm_pools_look(fx->api);
            fx_settle(fx);
        }
        if (hours == 10) /* it has come on */
            fx_call(fx, "VM.migrate_settle", "[\"OpaqueRef:" VM "\", \"" ID "\", \"" SECRET "\", \"open\", \"%s\"]",
                    disk);
        assert_true(row() || hours >= 25 + 9);
    }
    loop_sim_advance(fx->sim, 1000);
    assert_true(is_empty());
}

/* What host.migrate_receive lends ends, used or not. */
static void test_lent_session_ends(void **state) {
    struct session *own = sessions_add(fx->api->sessions, NULL, "root", "", ROLE_POOL_ADMIN, loop_now_ms(fx->loop), 1);
    struct uuid lent = api_session_lend(fx->api, own, ROLE_VM_POWER_ADMIN, 1000);
    uint64_t now = loop_now_ms(fx->loop);
    struct session *s = sessions_find(fx->api->sessions, &lent, now + 999, 1);
    assert_non_null(s);
    assert_int_equal(s->role, ROLE_VM_POWER_ADMIN);
    assert_null(sessions_find(fx->api->sessions, &lent, now + 1000, 1));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_checked_first),           TEST(test_only_asks),
                                       TEST(test_what_a_stranger_may_say), TEST(test_nobody_touches_it),
                                       TEST(test_lost_is_never_ours),      TEST(test_words),
                                       TEST(test_disks_of_the_move_only),  TEST(test_forgotten),
                                       TEST(test_no_room_after_all),       TEST(test_lent_session_ends),
                                       TEST(test_words_alone_keep_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
