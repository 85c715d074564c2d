/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class VM: starting, ending, pausing, suspending. The coordinator checks and chooses, the host acts and writes the
 * rows (src/vm); a call returns when the rows here say what was wanted.
 */
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm.h"
#include "classes/class_vm_pools.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_ops.h"
#include "classes/vm_place.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

#define START_MS (5 * 60 * 1000)
#define SAVE_MS (30 * 60 * 1000)
#define POWER_MS 60000
#define ROWS_MS 20000              /* until what a host has written shows here */
#define GUEST_MS (20 * 60 * 1000)  /* how long a guest may take to shut down */
#define GUEST_SHORT_MS (60 * 1000) /* before VM.shutdown gives up on it */
#define BUTTON_MS 10000            /* pressed again: a guest that starts does not hear it yet */

/* ---- waiting for a state ---- */

static bool is_in(struct vm_op *op, const char *state) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    return vm && str_eq(row_str(vm, FIELD_VM_power_state), state);
}

static bool is_halted(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    return !vm ||
           (str_eq(row_str(vm, FIELD_VM_power_state), "Halted") && uuid_is_null(row_ref(vm, FIELD_VM_resident_on)));
}

static bool is_paused(struct vm_op *op) {
    return is_in(op, "Paused");
}

static bool is_suspended(struct vm_op *op) {
    return is_in(op, "Suspended");
}

static bool is_up(struct vm_op *op) {
    return is_in(op, "Running") || is_in(op, "Paused");
}

static bool is_running(struct vm_op *op) {
    return is_in(op, "Running");
}

static struct error *late(void) {
    struct error *e = NULL;
    error_internal(&e, "the host did what was asked, but its word has not reached the coordinator yet");
    return e;
}

static struct error *guest_is_late(struct vm_op *op, const char *code, const char *seconds) {
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    error_set(&e, code, ref_text(vm_op_object(op), ref), seconds, NULL);
    return e;
}

/* ---- start and resume ---- */

/* A guest may end within a moment: that it has run shows in the answer of the host alone. */
static void end_start(struct vm_op *op) {
    struct uuid nobody = {0};
    db_volatile_set(vm_op_db(op), api_own_host(call_api(vm_op_call(op))), CLASS_VM, vm_op_object(op),
                    FIELD_VM_scheduled_to_be_resident_on, value_ref(&nobody));
    vm_op_return_void(op);
}

static bool is_up_or_over(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    return !vm || is_up(op) || uuid_is_null(row_ref(vm, FIELD_VM_resident_on));
}

static void on_started(struct vm_op *op, const struct value *result) {
    vm_op_on_failure(op, NULL);
    vm_op_wait(op, is_up_or_over, ROWS_MS, late(), end_start);
}

static void start_failed(struct vm_op *op, struct error *e) {
    struct uuid nobody = {0};
    db_volatile_set(vm_op_db(op), api_own_host(call_api(vm_op_call(op))), CLASS_VM, vm_op_object(op),
                    FIELD_VM_scheduled_to_be_resident_on, value_ref(&nobody));
    vm_op_fail(op, e);
}

static struct value restore_args(struct db *d, const struct row *vm, const struct uuid *host) {
    struct value restore = value_map();
    const struct row *vdi = db_follow(d, vm, FIELD_VM_suspend_VDI);
    const struct row *pbd = vdi ? vm_spec_pbd(d, row_ref(vdi, FIELD_VDI_SR), host) : NULL;
    value_map_add(&restore, "path", value_string_take(vm_spec_folder(d, pbd)));
    value_map_add(&restore, "vdi", value_string(vdi ? row_str(vdi, FIELD_VDI_uuid) : ""));
    return restore;
}

static bool check_vcpus(const struct row *vm, struct error **errp) {
    if (row_int(vm, FIELD_VM_VCPUs_max) > 0)
        return true;
    return net_fail_row(errp, ERR_VM_NO_VCPUS, vm);
}

/* A disk whose content is being replaced or measured is nobody's to write. */
static bool disks_are_free(struct call *c, const struct row *vm) {
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(call_db(c), CLASS_VBD, &vbds->set.items[i].ref);
        const struct uuid *vdi = vbd ? row_ref(vbd, FIELD_VBD_VDI) : NULL;
        char ref[REF_TEXT_SIZE];
        if (!vdi || !vm_op_is_busy(call_api(c), vdi))
            continue;
        call_fail_code(c, ERR_VDI_IN_USE, ref_text(vdi, ref), "another operation on the disk is under way", NULL);
        return false;
    }
    return true;
}

/* `host` NULL: the best one. */
static void start(struct call *c, const struct row *vm, const struct row *host, const char *operation,
                  bool is_paused_start) {
    struct error *e = NULL;
    bool resumes = str_starts(operation, "resume");
    if (!vm_op_check(c, vm, operation) || !disks_are_free(c, vm))
        return;
    if (resumes && !db_follow(call_db(c), vm, FIELD_VM_suspend_VDI))
        (void)net_fail_row(&e, ERR_VM_HAS_NO_SUSPEND_VDI, vm);
    else if (!check_vcpus(vm, &e))
        ;
    else if (!host)
        host = vm_place_choose(call_api(c), vm, &e);
    else
        (void)!vm_place_check(call_api(c), vm, host, &e);
    struct value spec = e ? (struct value){0} : vm_spec(call_db(c), vm, &host->uuid, &e);
    if (e) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vm, operation);
    if (!op) {
        value_done(&spec);
        return;
    }
    db_volatile_set(call_db(c), api_own_host(call_api(c)), CLASS_VM, &vm->uuid, FIELD_VM_scheduled_to_be_resident_on,
                    value_ref(&host->uuid));
    struct value args = value_map();
    value_map_add(&args, "spec", spec);
    value_map_add(&args, "paused", value_bool(is_paused_start));
    if (resumes)
        value_map_add(&args, "restore", restore_args(call_db(c), vm, &host->uuid));
    vm_op_on_failure(op, start_failed);
    vm_op_ask(op, &host->uuid, "vm_start", args, START_MS, on_started);
}

void vm_start(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm)
        start(c, vm, NULL, "start", call_arg_bool(c, 1));
}

void vm_start_on(struct call *c) {
    const struct row *vm = call_arg_row(c, 0), *host = vm ? call_arg_row(c, 1) : NULL;
    if (host)
        start(c, vm, host, "start_on", call_arg_bool(c, 2));
}

void vm_resume(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm)
        start(c, vm, NULL, "resume", call_arg_bool(c, 1));
}

void vm_resume_on(struct call *c) {
    const struct row *vm = call_arg_row(c, 0), *host = vm ? call_arg_row(c, 1) : NULL;
    if (host)
        start(c, vm, host, "resume_on", call_arg_bool(c, 2));
}

/* ---- what the host of a running VM is asked ---- */

static void ask_power(struct vm_op *op, const struct row *vm, const char *what, vm_op_answer_fn *then) {
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string(what));
    vm_op_ask(op, row_ref(vm, FIELD_VM_resident_on), "vm_power", args, POWER_MS, then);
}

static void on_paused(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_paused, ROWS_MS, late(), vm_op_return_void);
}

static void on_unpaused(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_running, ROWS_MS, late(), vm_op_return_void);
}

static void on_ended(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_halted, ROWS_MS, late(), vm_op_return_void);
}

/* The host that a VM is on must be heard from; false with the call failed. */
static bool check_host(struct call *c, const struct row *vm) {
    char ref[REF_TEXT_SIZE];
    if (api_host_is_live(call_api(c), row_ref(vm, FIELD_VM_resident_on)))
        return true;
    call_fail_code(c, ERR_HOST_OFFLINE, ref_text(row_ref(vm, FIELD_VM_resident_on), ref), NULL);
    return false;
}

static void simple(struct call *c, const char *operation, const char *what, vm_op_answer_fn *then) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm || !vm_op_check(c, vm, operation) || !check_host(c, vm))
        return;
    struct vm_op *op = vm_op_begin(c, vm, operation);
    if (op)
        ask_power(op, vm, what, then);
}

void vm_pause(struct call *c) {
    simple(c, "pause", "pause", on_paused);
}

void vm_unpause(struct call *c) {
    simple(c, "unpause", "unpause", on_unpaused);
}

static void on_reset(struct vm_op *op, const struct value *result) {
    vm_op_return_void(op);
}

void vm_hard_reboot(struct call *c) {
    simple(c, "hard_reboot", "reset", on_reset);
}

/* ---- the end of a suspended VM: its memory goes ---- */

static void memory_gone(struct vm_op *op, const struct value *result) {
    const struct row *vm = vm_op_row(op);
    struct uuid nothing = {0};
    if (!vm)
        return;
    struct db_txn *t = db_txn_new(vm_op_db(op), "a suspended VM is ended");
    const struct row *vdi = db_follow(vm_op_db(op), vm, FIELD_VM_suspend_VDI);
    db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nothing));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_power_state, value_string("Halted"));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_suspend_VDI, value_ref(&nothing));
    if (vdi)
        db_txn_delete(t, CLASS_VDI, &vdi->uuid);
    vm_op_commit(op, t, vm_op_return_void);
}

static void end_suspended(struct call *c, const struct row *vm) {
    struct db *d = call_db(c);
    const struct row *vdi = db_follow(d, vm, FIELD_VM_suspend_VDI), *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
    struct error *e = NULL;
    const struct row *host = sr ? store_host(call_api(c), sr, &e) : NULL;
    if (e) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vm, "hard_shutdown");
    if (op && host)
        vm_op_ask(op, &host->uuid, "store", store_disk_args(d, "vdi_destroy", vdi, &host->uuid), STORE_MS, memory_gone);
    else if (op)
        memory_gone(op, NULL);
}

void vm_hard_shutdown(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm || !vm_op_check(c, vm, "hard_shutdown"))
        return;
    if (str_eq(row_str(vm, FIELD_VM_power_state), "Suspended"))
        end_suspended(c, vm);
    else
        simple(c, "hard_shutdown", "destroy", on_ended);
}

/* ---- asking the guest ---- */

/* A question of its own: the operation itself waits for the rows. */
static void press_again(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    const struct api_hooks *h = api_hooks(call_api(vm_op_call(op)));
    if (!vm || uuid_is_null(row_ref(vm, FIELD_VM_resident_on)) || !h->host_ask)
        return;
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string("shutdown"));
    h->host_ask(h->userdata, row_ref(vm, FIELD_VM_resident_on), "vm_power", args, POWER_MS, class_ask_ignored, NULL);
}

static void on_asked_to_end(struct vm_op *op, const struct value *result) {
    vm_op_repeat(op, BUTTON_MS, press_again);
    vm_op_wait(op, is_halted, GUEST_MS, guest_is_late(op, ERR_VM_SHUTDOWN_TIMEOUT, "1200"), vm_op_return_void);
}

void vm_clean_shutdown(struct call *c) {
    simple(c, "clean_shutdown", "shutdown", on_asked_to_end);
}

/* The guest did not end: then without it. */
static void end_hard(struct vm_op *op, struct error *e) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    if (!vm || error_is(e, ERR_TASK_CANCELLED) || uuid_is_null(row_ref(vm, FIELD_VM_resident_on))) {
        vm_op_fail(op, e);
        return;
    }
    error_free(e);
    ask_power(op, vm, "destroy", on_ended);
}

static void on_asked_first(struct vm_op *op, const struct value *result) {
    vm_op_on_failure(op, end_hard);
    vm_op_repeat(op, BUTTON_MS, press_again);
    vm_op_wait(op, is_halted, GUEST_SHORT_MS, late(), vm_op_return_void);
}

void vm_shutdown(struct call *c) {
    simple(c, "shutdown", "shutdown", on_asked_first);
}

static int64_t started_at(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    const struct row *metrics = vm ? db_follow(vm_op_db(op), vm, FIELD_VM_metrics) : NULL;
    return metrics ? row_value(metrics, FIELD_VM_metrics_start_time)->time : 0;
}

static bool is_another_start(struct vm_op *op) {
    return is_halted(op) || started_at(op) > value_as_int(vm_op_data(op));
}

static void on_asked_to_reboot(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_another_start, GUEST_MS, guest_is_late(op, ERR_VM_SHUTDOWN_TIMEOUT, "1200"), vm_op_return_void);
}

void vm_clean_reboot(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm || !vm_op_check(c, vm, "clean_reboot") || !check_host(c, vm))
        return;
    struct vm_op *op = vm_op_begin(c, vm, "clean_reboot");
    if (!op)
        return;
    *vm_op_data(op) = value_int(started_at(op));
    ask_power(op, vm, "reboot", on_asked_to_reboot);
}

/* ---- suspend ---- */

/* libvirt writes a guest's memory into a file of the host. */
static bool can_hold_memory(const struct row *sr) {
    return str_eq(row_str(sr, FIELD_SR_type), "file");
}

/* Where its memory goes: as the VM, the pool, or the host says, else beside its first disk. */
static const struct row *suspend_sr(struct db *d, const struct row *vm) {
    const struct row *host = db_follow(d, vm, FIELD_VM_resident_on), *pool = db_pool(d);
    const struct row *candidates[] = {db_follow(d, vm, FIELD_VM_suspend_SR),
                                      pool ? db_follow(d, pool, FIELD_pool_suspend_image_SR) : NULL,
                                      host ? db_follow(d, host, FIELD_host_suspend_image_sr) : NULL};
    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
        if (candidates[i] && can_hold_memory(candidates[i]))
            return candidates[i];
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    for (size_t i = 0; i < vbds->set.n; i++) {
        const struct row *vbd = db_get(d, CLASS_VBD, &vbds->set.items[i].ref);
        const struct row *vdi = vbd ? db_follow(d, vbd, FIELD_VBD_VDI) : NULL;
        const struct row *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL;
        if (sr && can_hold_memory(sr))
            return sr;
    }
    /* The disks lie where no memory can be kept: a folder of the host. */
    for (const struct row *pbd = host ? db_first(d, CLASS_PBD) : NULL; pbd; pbd = db_next(d, pbd)) {
        const struct row *sr = db_follow(d, pbd, FIELD_PBD_SR);
        if (sr && can_hold_memory(sr) && uuid_eq(row_ref(pbd, FIELD_PBD_host), &host->uuid) &&
            row_bool(pbd, FIELD_PBD_currently_attached))
            return sr;
    }
    return NULL;
}

static void on_saved(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_suspended, ROWS_MS, late(), vm_op_return_void);
}

void vm_suspend(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm || !vm_op_check(c, vm, "suspend") || !check_host(c, vm))
        return;
    struct db *d = call_db(c);
    const struct row *sr = suspend_sr(d, vm);
    const struct row *pbd = sr ? vm_spec_pbd(d, &sr->uuid, row_ref(vm, FIELD_VM_resident_on)) : NULL;
    struct error *e = NULL;
    if (!pbd || !row_bool(pbd, FIELD_PBD_currently_attached)) {
        (void)net_fail_row(&e, ERR_VM_NO_SUSPEND_SR, vm);
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vm, "suspend");
    if (!op)
        return;
    struct uuid vdi = uuid_random();
    char text[UUID_TEXT_SIZE];
    struct value args = store_args(d, "", &sr->uuid, row_ref(vm, FIELD_VM_resident_on));
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "vdi", value_string(uuid_text(&vdi, text)));
    vm_op_ask(op, row_ref(vm, FIELD_VM_resident_on), "vm_save", args, SAVE_MS, on_saved);
}

/* ---- by a person's word ---- */

static void on_lost_removed(void *userdata) {
    vm_op_return_void(userdata);
}

void vm_power_state_reset(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    struct uuid nobody = {0};
    const char *between = vm ? value_map_str(row_value(vm, FIELD_VM_migration), POOLS_KEY) : NULL;
    if (between && str_eq(between, "lost")) { /* it goes on in the other pool: nothing of it may become a VM here */
        pools_arrival_remove(call_api(c), &vm->uuid,
                             str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "id")), on_lost_removed,
                             vm_op_plain(c));
        return;
    }
    if (between && (str_eq(between, "given") || str_eq(between, "ready"))) {
        /* the other pool is lost: it is ours */
        struct db_txn *t = db_txn_new(call_db(c), "VM.power_state_reset");
        db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_copy(row_value(vm, FIELD_VM_migration)));
        if (str_eq(between, "ready"))
            pools_take(call_db(c), t, vm);
        else
            db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_map());
        call_commit(c, t, NULL, NULL);
        return;
    }
    if (!vm || !vm_op_check(c, vm, "power_state_reset"))
        return;
    if (!uuid_is_null(row_ref(vm, FIELD_VM_resident_on)) &&
        api_host_is_live(call_api(c), row_ref(vm, FIELD_VM_resident_on))) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED,
                       "the VM's host answers, and would say that the VM runs: end it there (xe vm-shutdown --force)",
                       NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "VM.power_state_reset");
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_power_state, value_string("Halted"));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nobody));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_suspend_VDI, value_ref(&nobody));
    if (between && str_eq(between, "copying"))
        pools_untold_add(call_api(c), t, vm);
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_map()); /* a copy elsewhere is removed */
    class_vm_detach_devices(call_db(c), t, vm);
    call_commit(c, t, NULL, NULL);
}

/* ---- where it could run ---- */

void vm_assert_can_boot_here(struct call *c) {
    const struct row *vm = call_arg_row(c, 0), *host = vm ? call_arg_row(c, 1) : NULL;
    struct error *e = NULL;
    if (!host)
        return;
    if (row_bool(vm, FIELD_VM_is_control_domain))
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "this is the host itself, not a virtual machine", NULL);
    else if (check_vcpus(vm, &e) && vm_place_check(call_api(c), vm, host, &e))
        call_return_void(c);
    else
        call_fail(c, e);
}

void vm_get_possible_hosts(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (!vm)
        return;
    struct value found = value_set();
    for (const struct row *h = db_first(call_db(c), CLASS_host); h; h = db_next(call_db(c), h)) {
        _cleanup_error_ struct error *e = NULL;
        if (vm_place_check(call_api(c), vm, h, &e))
            value_set_add(&found, value_ref(&h->uuid));
    }
    call_return(c, found);
}

void vm_assert_operation_valid(struct call *c) {
    const struct row *vm = call_arg_row(c, 0);
    if (vm && vm_op_check(c, vm, call_arg_str(c, 1)))
        call_return_void(c);
}

void vm_update_allowed_operations(struct call *c) {
    if (call_arg_row(c, 0)) /* they are always right */
        call_return_void(c);
}

void vm_get_cooperative(struct call *c) {
    if (call_arg_row(c, 0)) /* kept for old clients: no guest is asked whether it gives memory back */
        call_return(c, value_bool(true));
}
