/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host is asked about its VMs and its memory before maintenance: whether they could all move elsewhere, and that
 * they do. The control domain is the host itself and stays.
 */
#include "api/call.h"
#include "api/session.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm.h"
#include "classes/class_vm_pools.h"
#include "classes/vm_migrate_plan.h"
#include "classes/vm_ops.h"
#include "classes/vm_place.h"
#include "gen_handlers.h"

#define SESSION_MS (24 * 60 * 60 * 1000)
#define AT_A_TIME 2
#define AT_A_TIME_MAX 16
#define GUESTS_MAX 4096

/* The next VM on the host that would have to leave it, after `vm` or from the first. */
static const struct row *next_guest(struct db *d, const struct row *host, const struct row *vm) {
    for (vm = vm ? db_next(d, vm) : db_first(d, CLASS_VM); vm; vm = db_next(d, vm)) {
        if (uuid_eq(row_ref(vm, FIELD_VM_resident_on), &host->uuid) && !row_bool(vm, FIELD_VM_is_control_domain))
            return vm;
    }
    return NULL;
}

bool class_check_no_guests(struct call *c, const struct row *host) {
    char ref[REF_TEXT_SIZE];
    if (!next_guest(call_db(c), host, NULL))
        return true;
    call_fail_code(c, ERR_HOST_HAS_RESIDENT_VMS, ref_text(&host->uuid, ref), NULL);
    return false;
}

void class_end_guests(struct call *c, struct db_txn *t, const struct row *host) {
    struct uuid nobody = {0};
    for (const struct row *vm = NULL; (vm = next_guest(call_db(c), host, vm));) {
        const struct value *record = row_value(vm, FIELD_VM_migration);
        if (str_eq(str_or_empty(value_map_str(record, POOLS_KEY)), "given"))
            continue; /* it may run in another pool already, which the pools settle without this host */
        db_txn_expect(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_copy(record));
        db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_power_state, value_string("Halted"));
        db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nobody));
        if (str_eq(str_or_empty(value_map_str(record, POOLS_KEY)), "copying"))
            pools_untold_add(call_api(c), t, vm);
        db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_map()); /* a copy elsewhere is removed */
        class_vm_detach_devices(call_db(c), t, vm);
    }
}

/* "CODE,param,..." as errors of several VMs have it. */
static void add_reason(struct buf *errors, const struct error *e, const struct uuid *vm) {
    char ref[REF_TEXT_SIZE];
    bool names_it = false;
    buf_addf(errors, "%s%s", errors->size ? "|" : "", error_code(e));
    ref_text(vm, ref);
    for (size_t i = 0; i < error_n_params(e); i++) {
        names_it |= str_eq(error_param(e, i), ref);
        buf_addf(errors, ",%s", error_param(e, i));
    }
    if (!names_it)
        buf_addf(errors, ",%s", ref);
}

void host_get_vms_which_prevent_evacuation(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (!host)
        return;
    struct value found = value_map();
    char ref[REF_TEXT_SIZE];
    for (const struct row *vm = NULL; (vm = next_guest(call_db(c), host, vm));) {
        _cleanup_error_ struct error *e = NULL;
        if (vm_move_choose(call_api(c), vm, NULL, &e))
            continue;
        struct value reason = value_set();
        value_set_add(&reason, value_string(error_code(e)));
        for (size_t i = 0; i < error_n_params(e); i++)
            value_set_add(&reason, value_string(error_param(e, i)));
        value_map_add(&found, ref_text(&vm->uuid, ref), reason);
    }
    call_return(c, found);
}

void host_assert_can_evacuate(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (!host)
        return;
    _cleanup_buf_ struct buf errors = BUF_INIT;
    for (const struct row *vm = NULL; (vm = next_guest(call_db(c), host, vm));) {
        _cleanup_error_ struct error *e = NULL;
        if (!vm_move_choose(call_api(c), vm, NULL, &e))
            add_reason(&errors, e, &vm->uuid);
    }
    if (errors.size)
        call_fail_code(c, ERR_CANNOT_EVACUATE_HOST, buf_str(&errors), NULL);
    else
        call_return_void(c);
}

/* ---- emptying ---- */

struct emptying {
    struct vm_op *op;
    struct uuid session, network;
    struct uuid *vms;
    size_t n_vms, n_begun, n_over;
    unsigned at_a_time;
    struct buf errors;
    bool is_beginning, is_cancelled;
};

struct leaving {
    struct emptying *e;
    struct uuid vm;
};

static void end_emptying(struct emptying *e) {
    struct vm_op *op = e->op;
    struct error *error = NULL;
    char ref[REF_TEXT_SIZE];
    if (e->is_cancelled)
        error_set(&error, ERR_TASK_CANCELLED, ref_text(call_task(vm_op_call(op)), ref), NULL);
    else if (e->errors.size)
        error_set(&error, ERR_CANNOT_EVACUATE_HOST, buf_str(&e->errors), NULL);
    buf_done(&e->errors);
    free(e->vms);
    free(e);
    if (error)
        vm_op_fail(op, error);
    else
        vm_op_return_void(op);
}

static void move_more(struct emptying *e);

static void on_left(const struct reply *r, void *userdata) {
    struct leaving *l = userdata;
    struct emptying *e = l->e;
    e->n_over++;
    if (r->error)
        add_reason(&e->errors, r->error, &l->vm);
    free(l);
    call_set_progress(vm_op_call(e->op), (double)e->n_over / (double)e->n_vms);
    move_more(e);
}

static void move_one(struct emptying *e, const struct uuid *vm_uuid) {
    struct api *a = call_api(vm_op_call(e->op));
    struct db *d = api_db(a);
    _cleanup_error_ struct error *error = NULL;
    const struct row *vm = db_get(d, CLASS_VM, vm_uuid);
    const struct row *to = vm && !uuid_is_null(row_ref(vm, FIELD_VM_resident_on))
                               ? vm_move_choose(a, vm, db_get(d, CLASS_network, &e->network), &error)
                               : NULL;
    if (!to) { /* with no error it has ended meanwhile */
        e->n_over++;
        if (error)
            add_reason(&e->errors, error, vm_uuid);
        return;
    }
    struct value params = value_set(), options = value_map();
    char ref[REF_TEXT_SIZE];
    if (!uuid_is_null(&e->network))
        value_map_add(&options, "network", value_string(ref_text(&e->network, ref)));
    value_set_add(&params, value_ref(&e->session));
    value_set_add(&params, value_ref(vm_uuid));
    value_set_add(&params, value_ref(&to->uuid));
    value_set_add(&params, options);
    struct api_request rq = {
        .method = "VM.pool_migrate", .params = params, .caller = *call_caller(vm_op_call(e->op)), .is_inner = true};
    struct leaving *l = xnew0(struct leaving);
    *l = (struct leaving){e, *vm_uuid};
    api_dispatch(a, &rq, on_left, l);
}

/* One after the other ends, others begin; an end may come at once. */
static void move_more(struct emptying *e) {
    if (e->is_beginning)
        return;
    e->is_beginning = true;
    e->is_cancelled |= call_is_cancelled(vm_op_call(e->op));
    while (e->n_begun < e->n_vms && !e->is_cancelled && e->n_begun - e->n_over < e->at_a_time)
        move_one(e, &e->vms[e->n_begun++]);
    e->is_beginning = false;
    if (e->n_over == e->n_begun && (e->n_begun == e->n_vms || e->is_cancelled))
        end_emptying(e);
}

void host_evacuate(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (!host)
        return;
    struct uuid network = *call_arg_ref(c, 1);
    if (!uuid_is_null(&network) && !call_arg_row(c, 1))
        return;
    int64_t at_a_time = call_arg_int(c, 2);
    struct emptying *e = xnew0(struct emptying);
    *e = (struct emptying){.op = vm_op_plain(c),
                           /* Of the same rights; whoever asked may log out before the last VM has begun to move. */
                           .session = api_session_lend(call_api(c), call_session(c), ROLE_POOL_ADMIN, SESSION_MS),
                           .network = network,
                           .at_a_time = at_a_time > 0 ? (unsigned)MIN(at_a_time, (int64_t)AT_A_TIME_MAX) : AT_A_TIME,
                           .vms = xcalloc(GUESTS_MAX, sizeof(*e->vms))};
    for (const struct row *vm = NULL; (vm = next_guest(call_db(c), host, vm)) && e->n_vms < GUESTS_MAX;)
        e->vms[e->n_vms++] = vm->uuid;
    move_more(e);
}

void host_get_uncooperative_resident_vms(struct call *c) {
    /* The API gave up asking guests about it: none is. */
    if (call_arg_row(c, 0))
        call_return(c, value_set());
}

void host_compute_free_memory(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (host)
        call_return(c, value_int(vm_place_free_memory(call_api(c), host)));
}

void host_compute_memory_overhead(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (host)
        call_return(c, value_int(row_int(host, FIELD_host_memory_overhead)));
}
