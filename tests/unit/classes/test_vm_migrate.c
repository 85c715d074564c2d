/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving VMs as the coordinator sees it: what is refused before a host is asked, what the two hosts are asked, and what
 * comes of what they write. The hosts are a function here, which writes what they would.
 */
#include "api/call_private.h"
#include "api_fixture.h"
#include "base/str.h"
#include "classes/vm_ops.h"
#include "classes/vm_path_core.h"
#include "db/db_internal.h"
#include "gen_handlers.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define MIB (INT64_C(1) << 20)

static struct fx *fx;
static struct uuid vm, vdi, vbd, vif, network, sr[2]; /* sr[i] is on hosts[i] alone */
static char asked[512];                               /* names of what hosts were asked, in order */
static struct value sent, received;                   /* the last arguments of vm_send, vm_receive */
static const char *trouble;                           /* of a host */
static bool fails, aborts, lasts, other_kvm;

static void set(int class_id, const struct uuid *u, unsigned field, struct value v) {
    fx_set(fx, class_id, u, field, v);
}

static void end_move(const struct value *record) {
    struct uuid to;
    if (fails || aborts) {
        struct value report = value_map();
        value_map_add(&report, "id", value_string(value_map_str(record, "id")));
        value_map_add(&report, "failed", value_string("the cable is cut"));
        if (aborts)
            value_map_add(&report, "aborted", value_string("true"));
        db_volatile_set(fx->db, &fx->hosts[0], CLASS_VM, &vm, FIELD_VM_migration_report, report);
    } else if (uuid_parse(value_map_str(record, "to"), &to)) {
        struct uuid nothing = {0};
        set(CLASS_VM, &vm, FIELD_VM_resident_on, value_ref(&to));
        if (record->map.n > 3) /* id, to, generation, and another disk there */
            set(CLASS_VBD, &vbd, FIELD_VBD_VDI, value_ref(&nothing));
    }
    set(CLASS_VM, &vm, FIELD_VM_migration, value_map());
}

struct later {
    char name[32];
    struct uuid host;
    struct value args;
    api_query_done_fn *done;
    void *data;
};

static void answer(void *userdata) {
    struct later *l = userdata;
    _cleanup_value_ struct value result = value_map();
    value_map_add(&result, "has_kvm", value_bool(other_kvm && uuid_eq(&l->host, &fx->hosts[1])));
    value_map_add(&result, "authority", value_string("PEM"));
    value_map_add(&result, "trouble", value_string(trouble ? trouble : ""));
    if (str_eq(l->name, "vm_send")) {
        value_done(&sent);
        sent = value_copy(&l->args);
        set(CLASS_VM, &vm, FIELD_VM_migration, value_copy(value_map_get(&sent, "record")));
    } else if (str_eq(l->name, "vm_receive")) {
        value_done(&received);
        received = value_copy(&l->args);
    }
    l->done(NULL, &result, l->data);
    if (str_eq(l->name, "vm_abort"))
        aborts = true;
    if ((str_eq(l->name, "vm_send") && !lasts) || str_eq(l->name, "vm_abort"))
        end_move(value_map_get(&sent, "record"));
    value_done(&l->args);
    free(l);
}

static void host_ask(void *userdata, const struct uuid *host, const char *name, struct value args, uint64_t deadline_ms,
                     api_query_done_fn *done, void *data) {
    struct later *l = xnew0(struct later);
    size_t n = strlen(asked);
    snprintf(asked + n, sizeof(asked) - n, "%s%s@%d", n ? " " : "", name, uuid_eq(host, &fx->hosts[1]));
    snprintf(l->name, sizeof(l->name), "%s", name);
    l->host = *host;
    l->args = args;
    l->done = done;
    l->data = data;
    loop_defer(fx->loop, answer, l);
}

static void add_sr(unsigned i) {
    struct uuid pbd = fx_add(fx, CLASS_PBD);
    struct value config = value_map();
    sr[i] = fx_add(fx, CLASS_SR);
    value_map_add(&config, "location", value_string("/srv/sr"));
    set(CLASS_SR, &sr[i], FIELD_SR_type, value_string("file"));
    set(CLASS_SR, &sr[i], FIELD_SR_physical_size, value_int(100 * MIB));
    set(CLASS_PBD, &pbd, FIELD_PBD_SR, value_ref(&sr[i]));
    set(CLASS_PBD, &pbd, FIELD_PBD_host, value_ref(&fx->hosts[i]));
    set(CLASS_PBD, &pbd, FIELD_PBD_device_config, config);
    set(CLASS_PBD, &pbd, FIELD_PBD_currently_attached, value_bool(true));
}

static int setup(void **state) {
    fx = fx_new(3, 0, model_handlers);
    asked[0] = '\0';
    trouble = NULL;
    fails = aborts = lasts = other_kvm = false;
    fx->hooks.host_ask = host_ask;
    fx_hooks_changed(fx);
    fx_login(fx);
    vm_ops_watch(fx->api);
    for (unsigned i = 0; i < 3; i++) {
        struct uuid m = *row_ref(fx_row(fx, CLASS_host, &fx->hosts[i]), FIELD_host_metrics);
        db_volatile_set(fx->db, &fx->hosts[i], CLASS_host_metrics, &m, FIELD_host_metrics_memory_total,
                        value_int(8192 * MIB));
        db_volatile_set(fx->db, &fx->hosts[i], CLASS_host_metrics, &m, FIELD_host_metrics_memory_free,
                        value_int((1024 + 1024 * (int64_t)i) * MIB));
        set(CLASS_host, &fx->hosts[i], FIELD_host_address, value_stringf("10.0.0.%u", i + 1));
    }
    network = fx_add(fx, CLASS_network);
    set(CLASS_network, &network, FIELD_network_bridge, value_string("xapi3"));
    add_sr(0);
    add_sr(1);
    vdi = fx_add(fx, CLASS_VDI);
    set(CLASS_VDI, &vdi, FIELD_VDI_SR, value_ref(&sr[0]));
    set(CLASS_VDI, &vdi, FIELD_VDI_managed, value_bool(true));
    set(CLASS_VDI, &vdi, FIELD_VDI_virtual_size, value_int(8 * MIB));
    vm = fx_add(fx, CLASS_VM);
    set(CLASS_VM, &vm, FIELD_VM_power_state, value_string("Running"));
    set(CLASS_VM, &vm, FIELD_VM_resident_on, value_ref(&fx->hosts[0]));
    set(CLASS_VM, &vm, FIELD_VM_memory_static_max, value_int(512 * MIB));
    vif = fx_add(fx, CLASS_VIF);
    set(CLASS_VIF, &vif, FIELD_VIF_VM, value_ref(&vm));
    set(CLASS_VIF, &vif, FIELD_VIF_network, value_ref(&network));
    set(CLASS_VIF, &vif, FIELD_VIF_MAC, value_string("02:00:00:00:00:01"));
    set(CLASS_VIF, &vif, FIELD_VIF_currently_attached, value_bool(true));
    fx_settle(fx);
    return 0;
}

static void give_disk(void) {
    vbd = fx_add(fx, CLASS_VBD);
    set(CLASS_VBD, &vbd, FIELD_VBD_VM, value_ref(&vm));
    set(CLASS_VBD, &vbd, FIELD_VBD_VDI, value_ref(&vdi));
    set(CLASS_VBD, &vbd, FIELD_VBD_userdevice, value_string("0"));
    set(CLASS_VBD, &vbd, FIELD_VBD_type, value_string("Disk"));
    set(CLASS_VBD, &vbd, FIELD_VBD_mode, value_string("RW"));
    set(CLASS_VBD, &vbd, FIELD_VBD_currently_attached, value_bool(true));
    fx_settle(fx);
}

static int teardown(void **state) {
    fx_settle(fx);
    fx_free(fx);
    value_done(&sent);
    value_done(&received);
    return 0;
}

static const char *refused(unsigned host) {
    return fx_fail(fx, "VM.pool_migrate", "[$S, \"%s\", \"%s\", {}]", fx_ref(&vm), fx_ref(&fx->hosts[host]));
}

static void test_without_disks(void **state) {
    fx_call(fx, "VM.pool_migrate", "[$S, \"%s\", \"%s\", {\"live\": \"true\"}]", fx_ref(&vm), fx_ref(&fx->hosts[1]));
    assert_string_equal(asked, "vm_facts@0 vm_facts@1 vm_receive@1 vm_send@0");
    assert_true(uuid_eq(row_ref(fx_row(fx, CLASS_VM, &vm), FIELD_VM_resident_on), &fx->hosts[1]));
    assert_string_equal(value_map_str(&sent, "address"), "10.0.0.2");
    assert_string_equal(value_map_str(&sent, "data_address"), "10.0.0.2");
    assert_string_equal(value_map_str(&sent, "authority"), "PEM");
    assert_int_equal(value_map_get(&sent, "disks")->set.n, 0);
    assert_int_equal(row_value(fx_row(fx, CLASS_VM, &vm), FIELD_VM_current_operations)->map.n, 0);
    /* It is there already: nothing is to be done. */
    asked[0] = '\0';
    fx_call(fx, "VM.pool_migrate", "[$S, \"%s\", \"%s\", {}]", fx_ref(&vm), fx_ref(&fx->hosts[1]));
    assert_string_equal(asked, "");
}

static void test_refused_before_anything(void **state) {
    char text[200];
    set(CLASS_VM, &vm, FIELD_VM_memory_static_max, value_int(4096 * MIB));
    assert_true(str_starts(refused(1), "HOST_NOT_ENOUGH_FREE_MEMORY "));
    set(CLASS_VM, &vm, FIELD_VM_memory_static_max, value_int(512 * MIB));
    set(CLASS_host, &fx->hosts[1], FIELD_host_enabled, value_bool(false));
    assert_true(str_starts(refused(1), "HOST_DISABLED "));
    set(CLASS_host, &fx->hosts[1], FIELD_host_enabled, value_bool(true));
    /* The network has an interface on hosts 0 and 2 only. */
    for (unsigned i = 0; i < 3; i += 2) {
        struct uuid pif = fx_add(fx, CLASS_PIF);
        set(CLASS_PIF, &pif, FIELD_PIF_host, value_ref(&fx->hosts[i]));
        set(CLASS_PIF, &pif, FIELD_PIF_network, value_ref(&network));
        set(CLASS_PIF, &pif, FIELD_PIF_currently_attached, value_bool(true));
    }
    fx_settle(fx);
    snprintf(text, sizeof(text), "VM_REQUIRES_NETWORK %s %s", fx_ref(&vm), fx_ref(&network));
    assert_string_equal(refused(1), text);
    give_disk();
    snprintf(text, sizeof(text), "VM_REQUIRES_SR %s %s", fx_ref(&vm), fx_ref(&sr[0]));
    assert_string_equal(refused(2), text);
    set(CLASS_VM, &vm, FIELD_VM_power_state, value_string("Halted"));
    assert_true(str_starts(refused(2), "VM_BAD_POWER_STATE "));
    assert_string_equal(asked, "");
}

static void test_hosts_that_do_not_fit(void **state) {
    other_kvm = true;
    assert_true(str_starts(refused(1), "VM_INCOMPATIBLE_WITH_THIS_HOST "));
    other_kvm = false;
    trouble = "it has no hypervisor";
    assert_true(str_ends(refused(1), " it has no hypervisor"));
    assert_null(strstr(asked, "vm_receive"));
}

static const char *token(unsigned host) {
    static char text[300];
    snprintf(text, sizeof(text), "{\"host\": \"%s\", \"xenops\": \"http://10.0.0.%u/services/xenops?session_id=x\"}",
             fx_ref(&fx->hosts[host]), host + 1);
    return text;
}

static void test_with_disk(void **state) {
    give_disk();
    const char *ref = fx_call(fx, "VM.migrate_send", "[$S, \"%s\", %s, true, {\"%s\": \"%s\"}, {}, {}]", fx_ref(&vm),
                              token(1), fx_ref(&vdi), fx_ref(&sr[1]));
    assert_non_null(strstr(ref, fx_ref(&vm)));
    const struct value *disk = &value_map_get(&received, "disks")->set.items[0],
                       *swap = &value_map_get(&sent, "swaps")->set.items[0], *record = value_map_get(&sent, "record");
    assert_string_equal(value_map_str(disk, "sr"), row_str(fx_row(fx, CLASS_SR, &sr[1]), FIELD_SR_uuid));
    assert_int_equal(value_as_int(value_map_get(disk, "size")), 8 * MIB);
    assert_true(str_starts(value_map_str(swap, "from"), "/srv/sr/"));
    assert_non_null(strstr(value_map_str(swap, "to"), value_map_str(disk, "vdi")));
    assert_string_equal(value_str(&value_map_get(&sent, "disks")->set.items[0]), "vda");
    _cleanup_free_ char *key = strf("vbd %s", row_str(fx_row(fx, CLASS_VBD, &vbd), FIELD_VBD_uuid));
    assert_true(str_starts(value_map_str(record, key), value_map_str(disk, "vdi")));
    assert_non_null(strstr(asked, "vm_send@0 store@0")); /* the old disk is removed where it was */
}

static void test_room(void **state) {
    give_disk();
    set(CLASS_SR, &sr[1], FIELD_SR_physical_utilisation, value_int(95 * MIB));
    fx_settle(fx);
    assert_true(str_starts(fx_fail(fx, "VM.assert_can_migrate", "[$S, \"%s\", %s, true, {\"%s\": \"%s\"}, {}, {}]",
                                   fx_ref(&vm), token(1), fx_ref(&vdi), fx_ref(&sr[1])),
                           "SR_FULL 8388608 5242880"));
    set(CLASS_SR, &sr[1], FIELD_SR_physical_utilisation, value_int(0));
    fx_settle(fx);
    fx_call(fx, "VM.assert_can_migrate", "[$S, \"%s\", %s, true, {\"%s\": \"%s\"}, {}, {}]", fx_ref(&vm), token(1),
            fx_ref(&vdi), fx_ref(&sr[1]));
    assert_null(strstr(asked, "vm_receive"));
    /* To a host of another pool, or with what no migrate_receive has made. */
    struct uuid strange = uuid_random();
    assert_true(str_starts(fx_fail(fx, "VM.migrate_send",
                                   "[$S, \"%s\", {\"host\": \"%s\", \"xenops\": \"http://1/\"}, true, {}, {}, {}]",
                                   fx_ref(&vm), fx_ref(&strange)),
                           "INVALID_VALUE dest"));
    assert_true(str_starts(fx_fail(fx, "VM.migrate_send", "[$S, \"%s\", {}, true, {}, {}, {}]", fx_ref(&vm)),
                           "INVALID_VALUE dest"));
}

static void test_failure(void **state) {
    fails = true;
    const char *e = refused(1);
    assert_true(str_starts(e, "VM_MIGRATE_FAILED "));
    assert_true(str_ends(e, " the cable is cut"));
    assert_true(str_ends(asked, "vm_forget@1"));
    assert_true(uuid_is_null(row_ref(fx_row(fx, CLASS_VM, &vm), FIELD_VM_scheduled_to_be_resident_on)));
}

static void test_cancel(void **state) {
    lasts = true;
    const char *reply =
        fx_call(fx, "Async.VM.pool_migrate", "[$S, \"%s\", \"%s\", {}]", fx_ref(&vm), fx_ref(&fx->hosts[1]));
    _cleanup_free_ char *task = xstrndup(reply + 1, strlen(reply) - 2);
    for (int i = 0; i < 10; i++)
        fx_settle(fx);
    assert_int_equal(row_value(fx_row(fx, CLASS_VM, &vm), FIELD_VM_current_operations)->map.n, 1);
    assert_true(str_starts(refused(2), "OTHER_OPERATION_IN_PROGRESS "));
    fx_call(fx, "task.cancel", "[$S, \"%s\"]", task);
    for (int i = 0; i < 10; i++)
        fx_settle(fx);
    assert_non_null(strstr(asked, "vm_abort@0"));
    assert_string_equal(fx_call(fx, "task.get_status", "[$S, \"%s\"]", task), "\"cancelled\"");
    assert_int_equal(row_value(fx_row(fx, CLASS_VM, &vm), FIELD_VM_current_operations)->map.n, 0);
}

static void test_evacuate(void **state) {
    struct uuid other = fx_add(fx, CLASS_VM);
    set(CLASS_VM, &other, FIELD_VM_power_state, value_string("Running"));
    set(CLASS_VM, &other, FIELD_VM_resident_on, value_ref(&fx->hosts[0]));
    set(CLASS_VM, &other, FIELD_VM_memory_static_max, value_int(64000 * MIB));
    fx_settle(fx);
    const char *e = fx_fail(fx, "host.evacuate", "[$S, \"%s\"]", fx_ref(&fx->hosts[0]));
    assert_true(str_starts(e, "CANNOT_EVACUATE_HOST HOST_NOT_ENOUGH_FREE_MEMORY,"));
    assert_true(str_ends(e, fx_ref(&other)));
    /* The one that can has gone, to the host with most memory. */
    assert_true(uuid_eq(row_ref(fx_row(fx, CLASS_VM, &vm), FIELD_VM_resident_on), &fx->hosts[2]));
}

static void test_paths(void **state) {
    struct uuid peer = uuid_random();
    char text[UUID_TEXT_SIZE];
    _cleanup_value_ struct value table = value_map();
    _cleanup_strv_ struct strv legs = {0}, peer_legs = {0};
    _cleanup_free_ char *a = strf("eth0>%s/eth1", uuid_text(&peer, text)), *b = strf("eth2>%s/eth1@101", text),
                        *c = strf("eth2>%s/eth3@101", text), *bad = strf("eth2>%s/eth3@x", text);
    value_map_add(&table, a, value_string("1500/9000"));
    value_map_add(&table, b, value_string("0/9000"));
    value_map_add(&table, c, value_string("9000/9000"));
    value_map_add(&table, bad, value_string("/"));
    strv_add(&legs, "eth0");
    strv_add(&legs, "eth2");
    strv_add(&peer_legs, "eth1");
    assert_int_equal(vm_path_best(&table, &legs, &peer, &peer_legs, 0), 1500);
    assert_int_equal(vm_path_best(&table, &legs, &peer, &peer_legs, 101), 0);
    strv_add(&peer_legs, "eth3");
    assert_int_equal(vm_path_best(&table, &legs, &peer, &peer_legs, 101), 9000);
    assert_int_equal(vm_path_best(&table, &legs, &peer, &peer_legs, 7), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_disks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_before_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosts_that_do_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evacuate, setup, teardown),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
