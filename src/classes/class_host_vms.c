/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host is asked about its VMs and its memory before maintenance. Nothing can be moved yet (VM.pool_migrate), so
 * a host with VMs cannot be emptied, and says so; the control domain is the host itself and stays.
 */
#include "api/call.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm.h"
#include "classes/vm_place.h"
#include "gen_handlers.h"

#define CANNOT_MOVE "VM.pool_migrate"

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
        db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_power_state, value_string("Halted"));
        db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&nobody));
        class_vm_detach_devices(call_db(c), t, vm);
    }
}

void host_get_vms_which_prevent_evacuation(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (!host)
        return;
    struct value found = value_map();
    char ref[REF_TEXT_SIZE];
    for (const struct row *vm = NULL; (vm = next_guest(call_db(c), host, vm));) {
        struct value reason = value_set();
        value_set_add(&reason, value_string(ERR_NOT_IMPLEMENTED));
        value_set_add(&reason, value_string(CANNOT_MOVE));
        value_map_add(&found, ref_text(&vm->uuid, ref), reason);
    }
    call_return(c, found);
}

static void empty(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (!host)
        return;
    _cleanup_buf_ struct buf errors = BUF_INIT;
    char ref[REF_TEXT_SIZE];
    for (const struct row *vm = NULL; (vm = next_guest(call_db(c), host, vm));)
        buf_addf(&errors, "%s" ERR_NOT_IMPLEMENTED "," CANNOT_MOVE ",%s", errors.size ? "|" : "",
                 ref_text(&vm->uuid, ref));
    if (errors.size)
        call_fail_code(c, ERR_CANNOT_EVACUATE_HOST, buf_str(&errors), NULL);
    else
        call_return_void(c);
}

void host_assert_can_evacuate(struct call *c) {
    empty(c);
}

void host_evacuate(struct call *c) {
    empty(c);
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
