/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs as the coordinator sees them: what is checked before a host is asked, what it is asked, what shows meanwhile, and
 * what comes of its answer. The host is a function here: it answers as the test says and writes what a host would.
 */
#include "api/call_private.h"
#include "api_fixture.h"
#include "base/str.h"
#include "classes/class_vm.h"
#include "classes/vm_ops.h"
#include "db/db_internal.h"
#include "gen_handlers.h"
#include "wire/value_json.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#define MIB (INT64_C(1) << 20)

struct vmf {
    struct fx *fx;
    struct uuid vm, vdi, vbd, vif, sr, network;
};

/* What the host was asked last, and how it answers. */
static char asked[64];
static struct uuid asked_host;
static struct value asked_args;
static const char *refuse;  /* a code; NULL: it does it */
static const char *becomes; /* power state that it writes; NULL: none */
static bool is_silent;      /* it does not answer */
static struct fx *the_fx;

struct later {
    api_query_done_fn *done;
    void *data;
};

static void set(int class_id, const struct uuid *u, unsigned field, struct value v) {
    fx_set(the_fx, class_id, u, field, v);
}

static void answer(void *userdata) {
    struct later *l = userdata;
    _cleanup_error_ struct error *e = NULL;
    struct uuid vm, nobody = {0};
    const struct value *spec = value_map_get(&asked_args, "spec");
    const char *text = spec ? value_map_str(spec, "uuid") : value_map_str(&asked_args, "vm");
    _cleanup_value_ struct value result = value_map();
    value_map_add(&result, "virtual_size", value_int(8 * MIB));
    value_map_add(&result, "physical_size", value_int(MIB));
    value_map_add(&result, "size", value_int(100 * MIB));
    value_map_add(&result, "used", value_int(10 * MIB));
    if (refuse) {
        error_set(&e, refuse, "because", NULL);
    } else if (becomes && text && uuid_parse(text, &vm)) {
        bool is_here = str_eq(becomes, "Running") || str_eq(becomes, "Paused");
        set(CLASS_VM, &vm, FIELD_VM_power_state, value_string(becomes));
        set(CLASS_VM, &vm, FIELD_VM_resident_on, value_ref(is_here ? &asked_host : &nobody));
    }
    l->done(e, e ? NULL : &result, l->data);
    free(l);
}

static void host_ask(void *userdata, const struct uuid *host, const char *name, struct value args, uint64_t deadline_ms,
                     api_query_done_fn *done, void *data) {
    const char *op = value_map_str(&args, "op");
    snprintf(asked, sizeof(asked), "%s%s%s", name, op ? " " : "", op ? op : "");
    asked_host = *host;
    value_done(&asked_args);
    asked_args = args;
    if (is_silent)
        return;
    struct later *l = xnew0(struct later);
    *l = (struct later){done, data};
    loop_defer(the_fx->loop, answer, l);
}

static void put_host(struct fx *fx, unsigned i, int64_t total, int64_t free_memory) {
    struct uuid m = *row_ref(fx_row(fx, CLASS_host, &fx->hosts[i]), FIELD_host_metrics);
    db_volatile_set(fx->db, &fx->hosts[i], CLASS_host_metrics, &m, FIELD_host_metrics_memory_total, value_int(total));
    db_volatile_set(fx->db, &fx->hosts[i], CLASS_host_metrics, &m, FIELD_host_metrics_memory_free,
                    value_int(free_memory));
}

static int setup(void **state) {
    struct vmf *f = xnew0(struct vmf);
    struct fx *fx = f->fx = the_fx = fx_new(3, 0, model_handlers);
    refuse = becomes = NULL;
    is_silent = false;
    asked[0] = '\0';
    fx->hooks.host_ask = host_ask;
    fx_hooks_changed(fx);
    fx_login(fx);
    vm_ops_watch(fx->api);
    for (unsigned i = 0; i < 3; i++)
        put_host(fx, i, 8192 * MIB, (1024 + 1024 * (int64_t)i) * MIB);
    f->network = fx_add(fx, CLASS_network);
    set(CLASS_network, &f->network, FIELD_network_MTU, value_int(9000));
    set(CLASS_network, &f->network, FIELD_network_bridge, value_string("xapi3"));
    f->sr = fx_add(fx, CLASS_SR);
    set(CLASS_SR, &f->sr, FIELD_SR_type, value_string("file"));
    for (unsigned i = 0; i < 2; i++) { /* hosts 0 and 1 have it, though only one could */
        struct uuid pbd = fx_add(fx, CLASS_PBD);
        struct value config = value_map();
        value_map_add(&config, "location", value_string("/srv/sr"));
        set(CLASS_PBD, &pbd, FIELD_PBD_SR, value_ref(&f->sr));
        set(CLASS_PBD, &pbd, FIELD_PBD_host, value_ref(&fx->hosts[i]));
        set(CLASS_PBD, &pbd, FIELD_PBD_device_config, config);
        set(CLASS_PBD, &pbd, FIELD_PBD_currently_attached, value_bool(true));
    }
    f->vdi = fx_add(fx, CLASS_VDI);
    set(CLASS_VDI, &f->vdi, FIELD_VDI_SR, value_ref(&f->sr));
    set(CLASS_VDI, &f->vdi, FIELD_VDI_managed, value_bool(true));
    set(CLASS_VDI, &f->vdi, FIELD_VDI_virtual_size, value_int(8 * MIB));
    struct value format = value_map();
    value_map_add(&format, "format", value_string("qcow2"));
    set(CLASS_VDI, &f->vdi, FIELD_VDI_sm_config, format);
    f->vm = fx_add(fx, CLASS_VM);
    set(CLASS_VM, &f->vm, FIELD_VM_name_label, value_string("web"));
    set(CLASS_VM, &f->vm, FIELD_VM_power_state, value_string("Halted"));
    set(CLASS_VM, &f->vm, FIELD_VM_memory_static_max, value_int(512 * MIB));
    set(CLASS_VM, &f->vm, FIELD_VM_memory_dynamic_max, value_int(512 * MIB));
    set(CLASS_VM, &f->vm, FIELD_VM_VCPUs_max, value_int(2));
    set(CLASS_VM, &f->vm, FIELD_VM_VCPUs_at_startup, value_int(1));
    f->vbd = fx_add(fx, CLASS_VBD);
    set(CLASS_VBD, &f->vbd, FIELD_VBD_VM, value_ref(&f->vm));
    set(CLASS_VBD, &f->vbd, FIELD_VBD_VDI, value_ref(&f->vdi));
    set(CLASS_VBD, &f->vbd, FIELD_VBD_userdevice, value_string("0"));
    set(CLASS_VBD, &f->vbd, FIELD_VBD_type, value_string("Disk"));
    set(CLASS_VBD, &f->vbd, FIELD_VBD_mode, value_string("RW"));
    f->vif = fx_add(fx, CLASS_VIF);
    set(CLASS_VIF, &f->vif, FIELD_VIF_VM, value_ref(&f->vm));
    set(CLASS_VIF, &f->vif, FIELD_VIF_network, value_ref(&f->network));
    set(CLASS_VIF, &f->vif, FIELD_VIF_device, value_string("0"));
    set(CLASS_VIF, &f->vif, FIELD_VIF_MAC, value_string("02:00:00:00:00:01"));
    fx_settle(fx);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct vmf *f = *state;
    fx_settle(f->fx); /* what a host was asked last is answered */
    fx_free(f->fx);
    value_done(&asked_args);
    free(f);
    return 0;
}

static const char *state_of(struct vmf *f) {
    return row_str(fx_row(f->fx, CLASS_VM, &f->vm), FIELD_VM_power_state);
}

static bool allows(struct vmf *f, const char *operation) {
    _cleanup_value_ struct value v = value_string(operation);
    return value_set_has(row_value(fx_row(f->fx, CLASS_VM, &f->vm), FIELD_VM_allowed_operations), &v);
}

static const char *start(struct vmf *f) {
    return fx_call(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm));
}

static void test_start(void **state) {
    struct vmf *f = *state;
    assert_true(allows(f, "start"));
    assert_false(allows(f, "pause"));
    becomes = "Running";
    start(f);
    assert_string_equal(asked, "vm_start");
    assert_true(uuid_eq(&asked_host, &f->fx->hosts[1])); /* the most memory of those that have the storage */
    const struct value *spec = value_map_get(&asked_args, "spec");
    const struct value *disk = &value_map_get(spec, "disks")->set.items[0],
                       *nic = &value_map_get(spec, "nics")->set.items[0];
    assert_true(str_starts(value_map_str(disk, "path"), "/srv/sr/"));
    assert_true(str_ends(value_map_str(disk, "path"), ".qcow2"));
    assert_string_equal(value_map_str(disk, "device"), "vda");
    assert_string_equal(value_map_str(nic, "bridge"), "xapi3");
    assert_int_equal(value_as_int(value_map_get(nic, "mtu")), 9000);
    assert_true(value_as_bool(value_map_get(nic, "internal")));
    fx_settle(f->fx);
    assert_true(allows(f, "pause"));
    assert_false(allows(f, "start"));
    const char *e = fx_fail(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm));
    assert_true(str_starts(e, "VM_BAD_POWER_STATE "));
    assert_true(str_ends(e, " halted running"));
}

static void test_while_it_starts(void **state) {
    struct vmf *f = *state;
    _cleanup_free_ char *params = strf("[$S, \"%s\", false, false]", fx_ref(&f->vm));
    is_silent = true;
    struct answer *a = fx_start(f->fx, false, false, "VM.start", params);
    const struct row *vm = fx_row(f->fx, CLASS_VM, &f->vm);
    assert_int_equal(row_value(vm, FIELD_VM_current_operations)->map.n, 1);
    assert_true(uuid_eq(row_ref(vm, FIELD_VM_scheduled_to_be_resident_on), &f->fx->hosts[1]));
    assert_false(allows(f, "start"));
    assert_true(str_starts(fx_fail(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm)),
                           "OTHER_OPERATION_IN_PROGRESS VM "));
    assert_true(
        str_starts(fx_fail(f->fx, "VM.destroy", "[$S, \"%s\"]", fx_ref(&f->vm)), "OTHER_OPERATION_IN_PROGRESS VM "));
    api_client_gone(a->call);
    answer_free(a);
}

static void test_host_refuses(void **state) {
    struct vmf *f = *state;
    refuse = ERR_DOMAIN_BUILDER_ERROR;
    assert_true(
        str_starts(fx_fail(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm)), "DOMAIN_BUILDER_ERROR"));
    assert_string_equal(state_of(f), "Halted");
    assert_true(allows(f, "start"));
    assert_int_equal(row_value(fx_row(f->fx, CLASS_VM, &f->vm), FIELD_VM_current_operations)->map.n, 0);
}

static const char *boot_here(struct vmf *f, unsigned host) {
    return fx_fail(f->fx, "VM.assert_can_boot_here", "[$S, \"%s\", \"%s\"]", fx_ref(&f->vm),
                   fx_ref(&f->fx->hosts[host]));
}

static void test_places(void **state) {
    struct vmf *f = *state;
    struct fx *fx = f->fx;
    fx_call(fx, "VM.assert_can_boot_here", "[$S, \"%s\", \"%s\"]", fx_ref(&f->vm), fx_ref(&fx->hosts[0]));
    assert_true(str_starts(boot_here(f, 2), "VM_REQUIRES_SR "));
    set(CLASS_host, &fx->hosts[1], FIELD_host_enabled, value_bool(false));
    assert_true(str_starts(boot_here(f, 1), "HOST_DISABLED "));
    put_host(fx, 0, 8192 * MIB, 300 * MIB);
    assert_true(str_starts(boot_here(f, 0), "HOST_NOT_ENOUGH_FREE_MEMORY "));
    assert_string_equal(fx_fail(fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm)), "NO_HOSTS_AVAILABLE");
    assert_string_equal(fx_call(fx, "VM.get_possible_hosts", "[$S, \"%s\"]", fx_ref(&f->vm)), "[]");
    /* A network that some hosts have and this one has not. */
    put_host(fx, 0, 8192 * MIB, 4096 * MIB);
    struct uuid pif = fx_add(fx, CLASS_PIF);
    set(CLASS_PIF, &pif, FIELD_PIF_network, value_ref(&f->network));
    set(CLASS_PIF, &pif, FIELD_PIF_host, value_ref(&fx->hosts[2]));
    set(CLASS_PIF, &pif, FIELD_PIF_currently_attached, value_bool(true));
    assert_true(str_starts(boot_here(f, 0), "VM_REQUIRES_NETWORK "));
    set(CLASS_PIF, &pif, FIELD_PIF_host, value_ref(&fx->hosts[0]));
    fx_call(fx, "VM.assert_can_boot_here", "[$S, \"%s\", \"%s\"]", fx_ref(&f->vm), fx_ref(&fx->hosts[0]));
    /* What runs there counts, however little it uses now. */
    struct uuid big = fx_add(fx, CLASS_VM);
    set(CLASS_VM, &big, FIELD_VM_memory_static_max, value_int(7600 * MIB));
    set(CLASS_VM, &big, FIELD_VM_resident_on, value_ref(&fx->hosts[0]));
    assert_true(str_starts(boot_here(f, 0), "HOST_NOT_ENOUGH_FREE_MEMORY "));
}

static void test_spread(void **state) {
    struct vmf *f = *state;
    struct fx *fx = f->fx;
    struct uuid other = fx_add(fx, CLASS_VM); /* where more is free at the moment */
    set(CLASS_VM, &other, FIELD_VM_memory_static_max, value_int(256 * MIB));
    set(CLASS_VM, &other, FIELD_VM_resident_on, value_ref(&fx->hosts[1]));
    becomes = "Running";
    start(f);
    assert_true(uuid_eq(&asked_host, &fx->hosts[0]));
}

static void test_affinity(void **state) {
    struct vmf *f = *state;
    set(CLASS_VM, &f->vm, FIELD_VM_affinity, value_ref(&f->fx->hosts[0]));
    becomes = "Running";
    start(f);
    assert_true(uuid_eq(&asked_host, &f->fx->hosts[0]));
}

static void test_disk_of_another(void **state) {
    struct vmf *f = *state;
    struct uuid other = fx_add(f->fx, CLASS_VM), vbd = fx_add(f->fx, CLASS_VBD);
    set(CLASS_VM, &other, FIELD_VM_power_state, value_string("Running"));
    set(CLASS_VM, &other, FIELD_VM_resident_on, value_ref(&f->fx->hosts[0]));
    set(CLASS_VBD, &vbd, FIELD_VBD_VM, value_ref(&other));
    set(CLASS_VBD, &vbd, FIELD_VBD_VDI, value_ref(&f->vdi));
    set(CLASS_VBD, &vbd, FIELD_VBD_mode, value_string("RW"));
    set(CLASS_VBD, &vbd, FIELD_VBD_currently_attached, value_bool(true));
    assert_true(str_starts(boot_here(f, 0), "VDI_IN_USE "));
    assert_true(str_starts(fx_fail(f->fx, "VDI.destroy", "[$S, \"%s\"]", fx_ref(&f->vdi)), "VDI_IN_USE "));
}

static void run_it(struct vmf *f) {
    set(CLASS_VM, &f->vm, FIELD_VM_power_state, value_string("Running"));
    set(CLASS_VM, &f->vm, FIELD_VM_resident_on, value_ref(&f->fx->hosts[1]));
    fx_settle(f->fx);
}

static void test_power(void **state) {
    struct vmf *f = *state;
    run_it(f);
    becomes = "Paused";
    fx_call(f->fx, "VM.pause", "[$S, \"%s\"]", fx_ref(&f->vm));
    assert_string_equal(asked, "vm_power pause");
    becomes = "Running";
    fx_call(f->fx, "VM.unpause", "[$S, \"%s\"]", fx_ref(&f->vm));
    becomes = "Halted";
    fx_call(f->fx, "VM.clean_shutdown", "[$S, \"%s\"]", fx_ref(&f->vm));
    assert_string_equal(asked, "vm_power shutdown");
    assert_true(allows(f, "start"));
    run_it(f);
    fx_call(f->fx, "VM.hard_shutdown", "[$S, \"%s\"]", fx_ref(&f->vm));
    assert_string_equal(asked, "vm_power destroy");
    run_it(f);
    becomes = NULL; /* the guest does not listen; VM.shutdown ends it after a minute */
    _cleanup_free_ char *params = strf("[$S, \"%s\"]", fx_ref(&f->vm));
    struct answer *a = fx_start(f->fx, false, false, "VM.shutdown", params);
    loop_sim_advance(f->fx->sim, 30000);
    assert_string_equal(asked, "vm_power shutdown");
    assert_false(a->is_there);
    becomes = "Halted";
    loop_sim_advance(f->fx->sim, 60000);
    assert_true(a->is_there);
    assert_null(a->error);
    answer_free(a);
}

/* A VM that is asked to end may be ended meanwhile; both calls end well. */
static void test_hard_beside_clean(void **state) {
    struct vmf *f = *state;
    run_it(f);
    _cleanup_free_ char *params = strf("[$S, \"%s\"]", fx_ref(&f->vm));
    struct answer *a = fx_start(f->fx, false, false, "VM.clean_shutdown", params);
    loop_sim_advance(f->fx->sim, 1000);
    assert_false(a->is_there);
    assert_true(allows(f, "hard_shutdown"));
    assert_false(allows(f, "clean_reboot"));
    becomes = "Halted";
    fx_call(f->fx, "VM.hard_shutdown", "[$S, \"%s\"]", fx_ref(&f->vm));
    loop_sim_advance(f->fx->sim, 100);
    assert_true(a->is_there);
    assert_null(a->error);
    answer_free(a);
}

static void test_host_away(void **state) {
    struct vmf *f = *state;
    run_it(f);
    struct uuid m = *row_ref(fx_row(f->fx, CLASS_host, &f->fx->hosts[1]), FIELD_host_metrics);
    assert_true(
        str_starts(fx_fail(f->fx, "VM.power_state_reset", "[$S, \"%s\"]", fx_ref(&f->vm)), "OPERATION_NOT_ALLOWED "));
    db_volatile_set(f->fx->db, &f->fx->hosts[1], CLASS_host_metrics, &m, FIELD_host_metrics_live, value_bool(false));
    assert_true(str_starts(fx_fail(f->fx, "VM.pause", "[$S, \"%s\"]", fx_ref(&f->vm)), "HOST_OFFLINE "));
    assert_string_equal(state_of(f), "Running"); /* what the pool last knew */
    assert_true(
        str_starts(fx_fail(f->fx, "host.destroy", "[$S, \"%s\"]", fx_ref(&f->fx->hosts[1])), "HOST_HAS_RESIDENT_VMS "));
    fx_call(f->fx, "host.declare_dead", "[$S, \"%s\"]", fx_ref(&f->fx->hosts[1]));
    assert_string_equal(state_of(f), "Halted");
    assert_true(uuid_is_null(row_ref(fx_row(f->fx, CLASS_VM, &f->vm), FIELD_VM_resident_on)));
}

/* It has been given to another pool, where it may run: that its host here is dead says nothing of it. */
static void test_dead_host_and_given(void **state) {
    struct vmf *f = *state;
    run_it(f);
    struct value record = value_map();
    value_map_add(&record, "pools", value_string("given"));
    set(CLASS_VM, &f->vm, FIELD_VM_migration, record);
    struct uuid m = *row_ref(fx_row(f->fx, CLASS_host, &f->fx->hosts[1]), FIELD_host_metrics);
    db_volatile_set(f->fx->db, &f->fx->hosts[1], CLASS_host_metrics, &m, FIELD_host_metrics_live, value_bool(false));
    fx_settle(f->fx);
    fx_call(f->fx, "host.declare_dead", "[$S, \"%s\"]", fx_ref(&f->fx->hosts[1]));
    assert_string_equal(state_of(f), "Running");
    assert_non_null(value_map_get(row_value(fx_row(f->fx, CLASS_VM, &f->vm), FIELD_VM_migration), "pools"));
    assert_true(str_starts(fx_fail(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm)),
                           "OTHER_OPERATION_IN_PROGRESS "));
}

static void test_blocked(void **state) {
    struct vmf *f = *state;
    struct value blocked = value_map();
    value_map_add(&blocked, "start", value_string("KEEP_OFF"));
    set(CLASS_VM, &f->vm, FIELD_VM_blocked_operations, blocked);
    fx_settle(f->fx);
    assert_false(allows(f, "start"));
    assert_true(str_ends(fx_fail(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm)), " KEEP_OFF"));
}

static void test_templates(void **state) {
    struct vmf *f = *state;
    f->fx->db->status.has_quorum = true;
    class_vm_make_defaults(f->fx->api);
    fx_settle(f->fx);
    fx_call(f->fx, "VM.set_is_a_template", "[$S, \"%s\", true]", fx_ref(&f->vm));
    assert_true(
        str_starts(fx_fail(f->fx, "VM.start", "[$S, \"%s\", false, false]", fx_ref(&f->vm)), "VM_IS_TEMPLATE "));
    const char *ref = fx_call(f->fx, "VM.get_by_name_label", "[$S, \"Other install media\"]");
    _cleanup_free_ char *template = xstrndup(ref + 2, REF_TEXT_SIZE - 1);
    assert_true(
        str_starts(fx_fail(f->fx, "VM.destroy", "[$S, \"%s\"]", template), "VM_CANNOT_DELETE_DEFAULT_TEMPLATE "));
    const char *made = fx_call(f->fx, "VM.clone", "[$S, \"%s\", \"new\"]", template);
    _cleanup_free_ char *clone = xstrndup(made + 1, REF_TEXT_SIZE - 1);
    fx_call(f->fx, "VM.provision", "[$S, \"%s\"]", clone);
    assert_string_equal(fx_call(f->fx, "VM.get_is_a_template", "[$S, \"%s\"]", clone), "false");
    assert_string_equal(fx_call(f->fx, "VM.get_is_default_template", "[$S, \"%s\"]", clone), "false");
    /* What is attached to one is not its copy's, and goes with it. */
    fx_call(f->fx, "VM.create_new_blob", "[$S, \"%s\", \"notes\", \"\"]", clone);
    const char *second = fx_call(f->fx, "VM.clone", "[$S, \"%s\", \"copy\"]", clone);
    _cleanup_free_ char *copy = xstrndup(second + 1, REF_TEXT_SIZE - 1);
    assert_string_equal(fx_call(f->fx, "VM.get_blobs", "[$S, \"%s\"]", copy), "{}");
    assert_int_equal(db_count(f->fx->db, CLASS_blob), 1);
    fx_call(f->fx, "VM.destroy", "[$S, \"%s\"]", clone);
    assert_int_equal(db_count(f->fx->db, CLASS_blob), 0);
}

/* A clone has a disk on a common base and addresses of its own. */
static void test_clone(void **state) {
    struct vmf *f = *state;
    const char *made = fx_call(f->fx, "VM.clone", "[$S, \"%s\", \"twin\"]", fx_ref(&f->vm));
    struct uuid u;
    _cleanup_free_ char *clone = xstrndup(made + 1, REF_TEXT_SIZE - 1);
    assert_true(ref_parse(clone, &u));
    assert_string_equal(asked, "store vdi_fork");
    const struct row *vm = fx_row(f->fx, CLASS_VM, &u);
    assert_int_equal(row_value(vm, FIELD_VM_VBDs)->set.n, 1);
    const struct row *vbd = fx_row(f->fx, CLASS_VBD, &row_value(vm, FIELD_VM_VBDs)->set.items[0].ref);
    const struct row *vif = fx_row(f->fx, CLASS_VIF, &row_value(vm, FIELD_VM_VIFs)->set.items[0].ref);
    assert_false(uuid_eq(row_ref(vbd, FIELD_VBD_VDI), &f->vdi));
    assert_string_not_equal(row_str(vif, FIELD_VIF_MAC), "02:00:00:00:00:01");
    assert_int_equal(db_count(f->fx->db, CLASS_VDI), 3); /* both and the base */
    refuse = ERR_SR_FULL;
    assert_true(str_starts(fx_fail(f->fx, "VM.clone", "[$S, \"%s\", \"third\"]", fx_ref(&f->vm)), "SR_FULL"));
    assert_int_equal(db_count(f->fx->db, CLASS_VM), 2);
    assert_int_equal(db_count(f->fx->db, CLASS_VDI), 3);
}

static void test_devices(void **state) {
    struct vmf *f = *state;
    struct fx *fx = f->fx;
    assert_true(str_starts(fx_fail(fx, "VBD.plug", "[$S, \"%s\"]", fx_ref(&f->vbd)), "VM_BAD_POWER_STATE "));
    assert_true(str_starts(fx_fail(fx, "VIF.create",
                                   "[$S, {\"device\":\"0\",\"network\":\"%s\",\"VM\":\"%s\",\"MAC\":\"\",\"MTU\":0,"
                                   "\"other_config\":{},\"qos_algorithm_type\":\"\",\"qos_algorithm_params\":{}}]",
                                   fx_ref(&f->network), fx_ref(&f->vm)),
                           "DEVICE_ALREADY_EXISTS "));
    assert_true(str_starts(
        fx_fail(fx, "VIF.create",
                "[$S, {\"device\":\"1\",\"network\":\"%s\",\"VM\":\"%s\",\"MAC\":\"01:00:00:00:00:01\",\"MTU\":0,"
                "\"other_config\":{},\"qos_algorithm_type\":\"\",\"qos_algorithm_params\":{}}]",
                fx_ref(&f->network), fx_ref(&f->vm)),
        "MAC_INVALID "));
    run_it(f);
    fx_fail(fx, "VBD.destroy", "[$S, \"%s\"]", "OpaqueRef:NULL");
    set(CLASS_VBD, &f->vbd, FIELD_VBD_currently_attached, value_bool(true));
    assert_true(str_starts(fx_fail(fx, "VBD.plug", "[$S, \"%s\"]", fx_ref(&f->vbd)), "DEVICE_ALREADY_ATTACHED "));
    assert_true(str_starts(fx_fail(fx, "VBD.destroy", "[$S, \"%s\"]", fx_ref(&f->vbd)), "OPERATION_NOT_ALLOWED "));
    assert_true(str_starts(fx_fail(fx, "VBD.eject", "[$S, \"%s\"]", fx_ref(&f->vbd)), "VBD_NOT_REMOVABLE_MEDIA "));
    assert_true(str_starts(fx_fail(fx, "VDI.resize", "[$S, \"%s\", 99999999]", fx_ref(&f->vdi)), "VDI_IN_USE "));
}

static void test_storage(void **state) {
    struct vmf *f = *state;
    struct fx *fx = f->fx;
    assert_true(str_starts(fx_fail(fx, "SR.create",
                                   "[$S, \"%s\", {\"location\":\"/etc\"}, 0, \"x\", \"\", \"file\", \"\", false, {}]",
                                   fx_ref(&fx->hosts[0])),
                           "INVALID_VALUE device_config:location"));
    assert_true(str_starts(fx_fail(fx, "SR.create", "[$S, \"%s\", {}, 0, \"x\", \"\", \"lvmoiscsi\", \"\", true, {}]",
                                   fx_ref(&fx->hosts[0])),
                           "SR_UNKNOWN_DRIVER lvmoiscsi"));
    assert_true(str_starts(fx_fail(fx, "SR.create",
                                   "[$S, \"%s\", {\"server\":\"10.9.0.9\"}, 0, \"x\", \"\", \"nfs\", \"\", true, {}]",
                                   fx_ref(&fx->hosts[0])),
                           "INVALID_VALUE device_config:serverpath"));
    fx_call(fx, "SR.create", "[$S, \"%s\", {\"location\":\"/srv/b\"}, 0, \"x\", \"\", \"file\", \"\", false, {}]",
            fx_ref(&fx->hosts[2]));
    assert_string_equal(asked, "store stat");
    assert_int_equal(db_count(fx->db, CLASS_SR), 2);
    const char *made =
        fx_call(fx, "VDI.create",
                "[$S, {\"name_label\":\"d\",\"SR\":\"%s\",\"virtual_size\":1000,\"type\":\"user\",\"sharable\":false,"
                "\"read_only\":false,\"other_config\":{}}]",
                fx_ref(&f->sr));
    struct uuid u;
    _cleanup_free_ char *ref = xstrndup(made + 1, REF_TEXT_SIZE - 1);
    assert_true(ref_parse(ref, &u));
    const struct row *vdi = fx_row(fx, CLASS_VDI, &u);
    assert_string_equal(row_str(vdi, FIELD_VDI_name_label), "d");
    assert_int_equal(row_int(vdi, FIELD_VDI_virtual_size), 8 * MIB); /* what the host has measured */
    fx_call(fx, "VDI.snapshot", "[$S, \"%s\"]", ref);
    assert_int_equal(row_value(fx_row(fx, CLASS_VDI, &u), FIELD_VDI_snapshots)->set.n, 1);
    fx_call(fx, "VDI.destroy", "[$S, \"%s\"]", ref);
    assert_null(fx_row(fx, CLASS_VDI, &u));
    assert_true(str_starts(fx_fail(fx, "SR.destroy", "[$S, \"%s\"]", fx_ref(&f->sr)), "SR_HAS_PBD "));
    fx->next_commit_error = "DB_TIMEOUT";
    assert_true(str_starts(
        fx_fail(fx, "VDI.create",
                "[$S, {\"name_label\":\"d\",\"SR\":\"%s\",\"virtual_size\":1000,\"type\":\"user\",\"sharable\":false,"
                "\"read_only\":false,\"other_config\":{}}]",
                fx_ref(&f->sr)),
        "DB_TIMEOUT"));
    assert_string_equal(asked, "store vdi_destroy"); /* the file goes with it */
}

static void test_limits(void **state) {
    struct vmf *f = *state;
    struct fx *fx = f->fx;
    assert_string_equal(
        fx_fail(fx, "VM.set_memory_dynamic_max", "[$S, \"%s\", %lld]", fx_ref(&f->vm), (long long)(4096 * MIB)),
        "MEMORY_CONSTRAINT_VIOLATION_ORDER");
    fx_call(fx, "VM.set_memory", "[$S, \"%s\", %lld]", fx_ref(&f->vm), (long long)(256 * MIB));
    assert_int_equal(row_int(fx_row(fx, CLASS_VM, &f->vm), FIELD_VM_memory_static_max), 256 * MIB);
    assert_true(
        str_starts(fx_fail(fx, "VM.set_VCPUs_at_startup", "[$S, \"%s\", 3]", fx_ref(&f->vm)), "INVALID_VALUE "));
    run_it(f);
    assert_true(str_starts(fx_fail(fx, "VM.set_VCPUs_max", "[$S, \"%s\", 3]", fx_ref(&f->vm)), "VM_BAD_POWER_STATE "));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {T(start),
                                       T(while_it_starts),
                                       T(host_refuses),
                                       T(places),
                                       T(spread),
                                       T(affinity),
                                       T(disk_of_another),
                                       T(power),
                                       T(hard_beside_clean),
                                       T(host_away),
                                       T(dead_host_and_given),
                                       T(blocked),
                                       T(templates),
                                       T(clone),
                                       T(devices),
                                       T(storage),
                                       T(limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
