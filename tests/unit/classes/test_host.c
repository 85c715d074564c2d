/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of hosts and of the pool that ask the rest of the daemon: what is refused before, what is asked, what comes
 * back. */
#include "api/call_private.h"
#include "api_fixture.h"
#include "base/str.h"
#include "gen_handlers.h"
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

/* What the hooks were asked, as one line; they answer in the next turn, with an error when `refuse` says so. */
static char asked[300];
static const char *refuse;

struct later {
    api_op_done_fn *done;
    void *data;
};

static void answer(void *userdata) {
    struct later *l = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (refuse)
        error_set(&e, refuse, "because", NULL);
    l->done(e, l->data);
    free(l);
}

static void ask(struct fx *fx, api_op_done_fn *done, void *data) {
    struct later *l = xnew0(struct later);
    *l = (struct later){done, data};
    loop_defer(fx->loop, answer, l);
}

static void host_op(void *userdata, enum api_host_op op, const struct uuid *host, const struct value *args,
                    api_op_done_fn *done, void *data) {
    snprintf(asked, sizeof(asked), "op %d %s %s", op, fx_ref(host), args ? args->map.pairs[0].key : "-");
    ask(userdata, done, data);
}

/* What a rehearsal says of the host; a blocker when `speaks_against` says so. */
static const char *speaks_against;
static bool says_nothing; /* the rehearsal fails */

static void rehearse(api_query_done_fn *done, void *data) {
    _cleanup_value_ struct value set = value_set();
    _cleanup_error_ struct error *e = NULL;
    for (int i = 0; i < 2; i++) {
        struct value v = value_map();
        value_map_add(&v, "code", value_string(i ? "MUSTER-R342" : "MUSTER-R330"));
        value_map_add(&v, "severity", value_string(i ? "warning" : "blocker"));
        value_map_add(&v, "text", value_string(i ? "another is away" : str_or_empty(speaks_against)));
        value_map_add(&v, "cure", value_string("mend it"));
        if (i || speaks_against)
            value_set_add(&set, v);
        else
            value_done(&v);
    }
    if (says_nothing)
        error_set(&e, ERR_HOST_OFFLINE, "h", NULL);
    done(e, says_nothing ? NULL : &set, data);
}

static void host_query(void *userdata, enum api_host_query query, const struct uuid *host, api_query_done_fn *done,
                       void *data) {
    if (query == API_QUERY_REHEARSAL || query == API_QUERY_REHEARSAL_REPAIR) {
        snprintf(asked, sizeof(asked), "rehearse %d", query == API_QUERY_REHEARSAL_REPAIR);
        rehearse(done, data);
        return;
    }
    struct value v = query == API_QUERY_LOG ? value_string("lines") : value_time(86400);
    done(NULL, &v, data);
    value_done(&v);
}

static void join(void *userdata, const struct api_join_args *a, api_op_done_fn *done, void *data) {
    snprintf(asked, sizeof(asked), "join %s %s %s %s %d", a->address, a->user, a->password, a->fingerprint, a->force);
    ask(userdata, done, data);
}

/* The pool has one thing against it. */
static void join_plan(void *userdata, const struct api_join_args *a, api_query_done_fn *done, void *data) {
    _cleanup_value_ struct value report = value_map();
    snprintf(asked, sizeof(asked), "plan %s %d %d", a->address, a->prove, a->force);
    value_map_add(&report, "refused", value_string("CLOCK_SKEW: set them (seconds: 400)\n"));
    done(NULL, &report, data);
}

static void eject(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data) {
    snprintf(asked, sizeof(asked), "eject %s", fx_ref(host));
    ask(userdata, done, data);
}

static void set_coordinator(void *userdata, const struct uuid *host, api_op_done_fn *done, void *data) {
    snprintf(asked, sizeof(asked), "coordinator %s", fx_ref(host));
    ask(userdata, done, data);
}

static void emergency(void *userdata, const char *address, api_op_done_fn *done, void *data) {
    snprintf(asked, sizeof(asked), "emergency %s", address ? address : "self");
    ask(userdata, done, data);
}

static void recover(void *userdata, api_op_done_fn *done, void *data) {
    ask(userdata, done, data);
}

static int setup_n(void **state, unsigned n) {
    struct fx *fx = fx_new(n, 0, model_handlers);
    struct api_hooks *h = &fx->api->hooks;
    *h = (struct api_hooks){.userdata = fx,
                            .host_op = host_op,
                            .host_query = host_query,
                            .pool_join = join,
                            .pool_join_plan = join_plan,
                            .pool_eject = eject,
                            .pool_forget = eject,
                            .pool_set_coordinator = set_coordinator,
                            .pool_emergency = emergency,
                            .pool_recover_members = recover};
    fx_login(fx);
    asked[0] = '\0';
    refuse = speaks_against = NULL;
    says_nothing = false;
    *state = fx;
    return 0;
}

static int setup(void **state) {
    return setup_n(state, 3);
}

static int setup_alone(void **state) {
    return setup_n(state, 1);
}

static int setup_without_hooks(void **state) {
    setup_n(state, 1);
    ((struct fx *)*state)->api->hooks = (struct api_hooks){0};
    return 0;
}

static int teardown(void **state) {
    fx_free(*state);
    return 0;
}

static void set_live(struct fx *fx, unsigned i, bool live) {
    struct uuid metrics = *row_ref(fx_row(fx, CLASS_host, &fx->hosts[i]), FIELD_host_metrics);
    db_volatile_set(fx->db, &fx->hosts[i], CLASS_host_metrics, &metrics, FIELD_host_metrics_live, value_bool(live));
    fx_settle(fx);
}

static void test_power(void **state) {
    struct fx *fx = *state;
    const char *host = fx_ref(&fx->hosts[1]);
    char expected[200];
    assert_string_equal(fx_fail(fx, "host.reboot", "[$S, \"%s\"]", host), "HOST_NOT_DISABLED");
    fx_call(fx, "host.disable", "[$S, \"%s\"]", host);
    assert_string_equal(fx_call(fx, "host.get_enabled", "[$S, \"%s\"]", host), "false");
    fx_call(fx, "host.reboot", "[$S, \"%s\"]", host);
    snprintf(expected, sizeof(expected), "op %d %s -", API_HOST_REBOOT, host);
    assert_string_equal(asked, expected);
    refuse = "OPERATION_NOT_ALLOWED";
    assert_string_equal(fx_fail(fx, "host.shutdown", "[$S, \"%s\"]", host), "OPERATION_NOT_ALLOWED because");
    set_live(fx, 1, false);
    snprintf(expected, sizeof(expected), "HOST_OFFLINE %s", host);
    assert_string_equal(fx_fail(fx, "host.reboot", "[$S, \"%s\"]", host), expected);
    assert_string_equal(fx_fail(fx, "host.enable", "[$S, \"%s\"]", host), expected);
}

static void test_rehearsal(void **state) {
    struct fx *fx = *state;
    const char *host = fx_ref(&fx->hosts[1]);
    char expected[200];
    fx_call(fx, "host.disable", "[$S, \"%s\"]", host);
    speaks_against = "the disk is full";
    snprintf(expected, sizeof(expected), "HOST_REBOOT_REHEARSAL_FAILED %s MUSTER-R330: the disk is full; cure: mend it",
             host);
    assert_string_equal(fx_fail(fx, "host.reboot", "[$S, \"%s\"]", host), expected);
    assert_string_equal(fx_fail(fx, "host.shutdown", "[$S, \"%s\"]", host), expected);
    assert_string_equal(asked, "rehearse 0"); /* nothing was asked of the host itself */
    fx_call(fx, "host.reboot", "[$S, \"%s\", true]", host);
    snprintf(expected, sizeof(expected), "op %d %s -", API_HOST_REBOOT, host);
    assert_string_equal(asked, expected);
    speaks_against = NULL; /* a warning alone holds nobody back */
    fx_call(fx, "host.shutdown", "[$S, \"%s\"]", host);
    snprintf(expected, sizeof(expected), "op %d %s -", API_HOST_SHUTDOWN, host);
    assert_string_equal(asked, expected);
    says_nothing = true;
    assert_true(str_starts(fx_fail(fx, "host.reboot", "[$S, \"%s\"]", host), "HOST_REBOOT_REHEARSAL_FAILED"));
    assert_true(str_starts(fx_fail(fx, "host.check_reboot", "[$S, \"%s\"]", host), "HOST_OFFLINE"));
    says_nothing = false;
    assert_string_equal(fx_call(fx, "host.check_reboot", "[$S, \"%s\"]", host),
                        "[{\"code\":\"MUSTER-R342\",\"severity\":\"warning\",\"text\":\"another is away\","
                        "\"cure\":\"mend it\"}]");
    fx_call(fx, "host.check_reboot", "[$S, \"%s\", true]", host);
    assert_string_equal(asked, "rehearse 1");
    fx_call(fx, "host.refresh_server_certificate", "[$S, \"%s\"]", host);
    snprintf(expected, sizeof(expected), "op %d %s -", API_HOST_RENEW_CERTIFICATE, host);
    assert_string_equal(asked, expected);
}

static void test_facts(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_call(fx, "host.get_servertime", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])),
                        "\"20260101T00:00:00Z\"");
    assert_string_equal(fx_call(fx, "host.get_servertime", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])),
                        "\"19700102T00:00:00Z\"");
    assert_string_equal(fx_call(fx, "host.get_log", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])), "\"lines\"");
    assert_true(
        str_starts(fx_fail(fx, "host.get_server_certificate", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])), "HOST_OFFLINE"));
    fx_set(fx, CLASS_host, &fx->hosts[1], FIELD_host_certificate, value_string("PEM"));
    assert_string_equal(fx_call(fx, "host.get_server_certificate", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])), "\"PEM\"");
    assert_string_equal(fx_fail(fx, "host.get_management_interface", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])),
                        "HOST_HAS_NO_MANAGEMENT_IP");
    assert_true(str_starts(fx_fail(fx, "host.set_hostname_live", "[$S, \"%s\", \"a b\"]", fx_ref(&fx->hosts[1])),
                           "HOST_NAME_INVALID"));
    fx_call(fx, "host.set_hostname_live", "[$S, \"%s\", \"node-1\"]", fx_ref(&fx->hosts[1]));
    assert_non_null(strstr(asked, "hostname"));
    assert_string_equal(fx_fail(fx, "host.local_management_reconfigure", "[$S, \"eth0\"]"),
                        "POOL_NOT_IN_EMERGENCY_MODE");
}

static void test_membership(void **state) {
    struct fx *fx = *state;
    assert_string_equal(fx_fail(fx, "pool.join", "[$S, \"10.0.0.9\", \"root\", \"x\"]"),
                        "JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS");
    assert_true(str_starts(fx_fail(fx, "pool.eject", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])), "OPERATION_NOT_ALLOWED"));
    fx_call(fx, "pool.eject", "[$S, \"%s\"]", fx_ref(&fx->hosts[2]));
    assert_true(str_starts(asked, "eject"));
    assert_true(str_starts(fx_fail(fx, "host.forget", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])), "HOST_IS_LIVE"));
    assert_true(
        str_starts(fx_fail(fx, "host.forget", "[$S, \"%s\"]", fx_ref(&fx->hosts[0])), "HOST_CANNOT_DESTROY_SELF"));
    set_live(fx, 1, false);
    fx_call(fx, "host.declare_dead", "[$S, \"%s\"]", fx_ref(&fx->hosts[1]));
    fx_call(fx, "host.destroy", "[$S, \"%s\"]", fx_ref(&fx->hosts[1]));
    assert_true(
        str_starts(fx_fail(fx, "pool.designate_new_master", "[$S, \"%s\"]", fx_ref(&fx->hosts[1])), "HOST_OFFLINE"));
    fx_call(fx, "pool.designate_new_master", "[$S, \"%s\"]", fx_ref(&fx->hosts[2]));
    assert_true(str_starts(asked, "coordinator"));
    fx_call(fx, "pool.emergency_transition_to_master", "[$S]");
    assert_string_equal(asked, "emergency self");
    fx_call(fx, "pool.emergency_reset_master", "[$S, \"10.0.0.7\"]");
    assert_string_equal(asked, "emergency 10.0.0.7");
    const char *told = fx_call(fx, "pool.recover_slaves", "[$S]");
    assert_non_null(strstr(told, fx_ref(&fx->hosts[2])));
    assert_null(strstr(told, fx_ref(&fx->hosts[1])));
}

static void test_join(void **state) {
    struct fx *fx = *state;
    fx_call(fx, "pool.join", "[$S, \"10.0.0.9\", \"root\", \"pw\"]");
    assert_string_equal(asked, "join 10.0.0.9 root pw  0");
    fx_call(fx, "pool.join_force", "[$S, \"10.0.0.9\", \"root\", \"pw\", \"aa:bb\"]");
    assert_string_equal(asked, "join 10.0.0.9 root pw aa:bb 1");
    refuse = "POOL_JOINING_HOST_HAS_BONDS";
    assert_true(str_starts(fx_fail(fx, "pool.join", "[$S, \"10.0.0.9\", \"root\", \"pw\"]"), refuse));
}

/* A plan says all that stands in the way, of this host and of the pool; the join says the first of it. */
static void test_join_plan(void **state) {
    struct fx *fx = *state;
    const char *said = fx_call(fx, "pool.join_plan", "[$S, \"10.0.0.9\", \"root\", \"pw\"]");
    assert_string_equal(asked, "plan 10.0.0.9 0 0");
    assert_non_null(strstr(said, "\"refused\":\"CLOCK_SKEW"));
    struct uuid nic = fx_add(fx, CLASS_PIF), pif = fx_add(fx, CLASS_PIF), vlan = fx_add(fx, CLASS_VLAN);
    fx_set(fx, CLASS_VLAN, &vlan, FIELD_VLAN_tagged_PIF, value_ref(&nic));
    fx_set(fx, CLASS_VLAN, &vlan, FIELD_VLAN_untagged_PIF, value_ref(&pif));
    said = fx_call(fx, "pool.join_plan", "[$S, \"10.0.0.9\", \"root\", \"pw\", \"aa:bb\", true]");
    assert_string_equal(asked, "plan 10.0.0.9 1 0");
    assert_non_null(strstr(said, "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS: "));
    assert_non_null(strstr(said, "CLOCK_SKEW"));
    asked[0] = 0;
    assert_string_equal(fx_fail(fx, "pool.join", "[$S, \"10.0.0.9\", \"root\", \"pw\"]"),
                        "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS");
    assert_string_equal(asked, "");
    said = fx_call(fx, "pool.join_plan", "[$S, \"10.0.0.9\", \"root\", \"pw\", \"\", false, true]");
    assert_null(strstr(said, "NON_MANAGEMENT"));
    fx_set(fx, CLASS_PIF, &pif, FIELD_PIF_management, value_bool(true)); /* that of management comes along */
    fx_call(fx, "pool.join", "[$S, \"10.0.0.9\", \"root\", \"pw\"]");
}

/* What the daemon does not bring is said so, not pretended. */
static void test_without_hooks(void **state) {
    struct fx *fx = *state;
    const char *host = fx_ref(&fx->hosts[0]);
    fx_call(fx, "host.disable", "[$S, \"%s\"]", host);
    assert_string_equal(fx_fail(fx, "host.reboot", "[$S, \"%s\"]", host), "NOT_IMPLEMENTED host.reboot");
    assert_string_equal(fx_fail(fx, "host.get_log", "[$S, \"%s\"]", host), "NOT_IMPLEMENTED host.get_log");
    assert_string_equal(fx_fail(fx, "pool.join", "[$S, \"a\", \"b\", \"c\"]"), "NOT_IMPLEMENTED pool.join");
    assert_string_equal(fx_fail(fx, "PIF.scan", "[$S, \"%s\"]", host), "NOT_IMPLEMENTED PIF.scan");
    assert_true(str_starts(fx_fail(fx, "pool.sync_database", "[$S]"), "DB_NO_QUORUM"));
}

static void test_reset_networking(void **state) {
    struct fx *fx = *state;
    struct uuid mine = fx_add(fx, CLASS_PIF), other = fx_add(fx, CLASS_PIF), vlan = fx_add(fx, CLASS_VLAN);
    fx_set(fx, CLASS_PIF, &mine, FIELD_PIF_host, value_ref(&fx->hosts[1]));
    fx_set(fx, CLASS_PIF, &other, FIELD_PIF_host, value_ref(&fx->hosts[2]));
    fx_set(fx, CLASS_VLAN, &vlan, FIELD_VLAN_tagged_PIF, value_ref(&mine));
    fx_settle(fx);
    fx_call(fx, "host.reset_networking", "[$S, \"%s\"]", fx_ref(&fx->hosts[1]));
    assert_null(fx_row(fx, CLASS_PIF, &mine));
    assert_null(fx_row(fx, CLASS_VLAN, &vlan));
    assert_non_null(fx_row(fx, CLASS_PIF, &other));
}

/* A host with nothing but its control domain is empty; one with a guest that fits nowhere is not emptied, and says why.
 */
static void test_evacuate(void **state) {
    struct fx *fx = *state;
    struct uuid control = fx_add(fx, CLASS_VM), elsewhere = fx_add(fx, CLASS_VM);
    char host[REF_TEXT_SIZE], expected[200];
    str_copy(host, sizeof(host), fx_ref(&fx->hosts[1]));
    fx_set(fx, CLASS_VM, &control, FIELD_VM_is_control_domain, value_bool(true));
    fx_set(fx, CLASS_VM, &control, FIELD_VM_resident_on, value_ref(&fx->hosts[1]));
    fx_set(fx, CLASS_VM, &elsewhere, FIELD_VM_resident_on, value_ref(&fx->hosts[0]));
    fx_settle(fx);
    fx_call(fx, "host.assert_can_evacuate", "[$S, \"%s\"]", host);
    fx_call(fx, "host.evacuate", "[$S, \"%s\"]", host);
    assert_string_equal(fx_call(fx, "host.get_vms_which_prevent_evacuation", "[$S, \"%s\"]", host), "{}");
    struct uuid guest = fx_add(fx, CLASS_VM);
    fx_set(fx, CLASS_VM, &guest, FIELD_VM_resident_on, value_ref(&fx->hosts[1]));
    fx_settle(fx);
    snprintf(expected, sizeof(expected), "CANNOT_EVACUATE_HOST HOST_NOT_ENOUGH_FREE_MEMORY,67108864,0,%s",
             fx_ref(&guest));
    assert_string_equal(fx_fail(fx, "host.assert_can_evacuate", "[$S, \"%s\"]", host), expected);
    assert_string_equal(fx_fail(fx, "host.evacuate", "[$S, \"%s\", \"OpaqueRef:NULL\", 3]", host), expected);
    snprintf(expected, sizeof(expected), "{\"%s\":[\"HOST_NOT_ENOUGH_FREE_MEMORY\",\"67108864\",\"0\"]}",
             fx_ref(&guest));
    assert_string_equal(fx_call(fx, "host.get_vms_which_prevent_evacuation", "[$S, \"%s\"]", host), expected);
    assert_string_equal(fx_call(fx, "host.get_uncooperative_resident_VMs", "[$S, \"%s\"]", host), "[]");
}

static void test_memory(void **state) {
    struct fx *fx = *state;
    const char *host = fx_ref(&fx->hosts[1]);
    struct uuid metrics = db_companion_uuid(&fx->hosts[1], "host_metrics");
    db_volatile_set(fx->db, &fx->hosts[1], CLASS_host_metrics, &metrics, FIELD_host_metrics_memory_free, value_int(7));
    db_volatile_set(fx->db, &fx->hosts[1], CLASS_host_metrics, &metrics, FIELD_host_metrics_memory_total,
                    value_int(INT64_C(1) << 33));
    fx_set(fx, CLASS_host, &fx->hosts[1], FIELD_host_memory_overhead, value_int(5));
    fx_settle(fx);
    assert_string_equal(fx_call(fx, "host.compute_free_memory", "[$S, \"%s\"]", host), "7");
    assert_string_equal(fx_call(fx, "host.compute_memory_overhead", "[$S, \"%s\"]", host), "5");
}

static void test_plugins(void **state) {
    struct fx *fx = *state;
    const char *host = fx_ref(&fx->hosts[0]);
    assert_string_equal(fx_fail(fx, "host.call_plugin", "[$S, \"%s\", \"updater.py\", \"list\", {}]", host),
                        "XENAPI_MISSING_PLUGIN updater.py");
    assert_string_equal(fx_fail(fx, "host.call_extension", "[$S, \"%s\", \"Foo.bar\"]", host),
                        "MESSAGE_METHOD_UNKNOWN Foo.bar");
    assert_string_equal(fx_call(fx, "host.has_extension", "[$S, \"%s\", \"Foo.bar\"]", host), "false");
    assert_string_equal(fx_call(fx, "pool.has_extension", "[$S, \"%s\", \"Foo.bar\"]", fx_ref(&fx->pool)), "false");
    assert_true(str_starts(fx_fail(fx, "host.call_plugin", "[$S, \"%s\", \"a\", \"b\", {}]", fx_ref(&fx->pool)),
                           "HANDLE_INVALID host"));
    /* Xen Orchestra switches it off before a roll and minds no other error. */
    assert_string_equal(fx_fail(fx, "pool.disable_ha", "[$S]"), "HA_NOT_ENABLED");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_power, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rehearsal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_membership, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join, setup_alone, teardown),
        cmocka_unit_test_setup_teardown(test_join_plan, setup_alone, teardown),
        cmocka_unit_test_setup_teardown(test_without_hooks, setup_without_hooks, teardown),
        cmocka_unit_test_setup_teardown(test_reset_networking, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evacuate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plugins, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
