/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class VIF: what an interface may send (locking mode, addresses), and moving it to another network. The rows say what
 * is wanted; the VM's host keeps it in the switch (vm/vm_lock.h). A call about an interface that is plugged in returns
 * when its host has put it in force.
 */
#include <arpa/inet.h>

#include "base/str.h"
#include "classes/net_rows.h"
#include "classes/vm_ops.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

#define LOCK_MS 30000
#define DEVICE_MS 40000
#define ADDRESSES_MAX 64 /* three flows of the switch each */

/* ---- the host is told ---- */

static struct value lock_of(struct db *d, const struct row *vif) {
    struct value v = value_map();
    value_map_add(&v, "vif", value_string(row_str(vif, FIELD_VIF_uuid)));
    value_map_add(&v, "mac", value_string(row_str(vif, FIELD_VIF_MAC)));
    value_map_add(&v, "lock", value_string(vm_spec_lock(d, vif)));
    value_map_add(&v, "v4", value_copy(row_value(vif, FIELD_VIF_ipv4_allowed)));
    value_map_add(&v, "v6", value_copy(row_value(vif, FIELD_VIF_ipv6_allowed)));
    return v;
}

static void on_locked(struct vm_op *op, const struct value *result) {
    vm_op_return_void(op);
}

static void tell_host(struct vm_op *op) {
    struct db *d = vm_op_db(op);
    const struct row *vif = vm_op_row(op), *vm = vif ? db_follow(d, vif, FIELD_VIF_VM) : NULL;
    if (!vif)
        return;
    const struct uuid *host = vm ? row_ref(vm, FIELD_VM_resident_on) : NULL;
    if (!vm || !row_bool(vif, FIELD_VIF_currently_attached) || uuid_is_null(host) ||
        !api_host_is_live(call_api(vm_op_call(op)), host)) {
        vm_op_return_void(op); /* it is looked at when it is plugged in, or when the host is back */
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "lock", lock_of(d, vif));
    vm_op_ask(op, host, "vm_lock", args, LOCK_MS, on_locked);
}

static void write_field(struct call *c, const struct row *vif, unsigned field, struct value v /* taken */) {
    struct vm_op *op = vm_op_begin(c, vif, "plug");
    if (!op) {
        value_done(&v);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "what an interface may send");
    db_txn_set(t, CLASS_VIF, &vif->uuid, field, v);
    vm_op_commit(op, t, tell_host);
}

void vif_set_locking_mode(struct call *c) {
    const struct row *vif = call_arg_row(c, 0);
    if (vif)
        write_field(c, vif, FIELD_VIF_locking_mode, value_string(call_arg_str(c, 1)));
}

void network_set_default_locking_mode(struct call *c) {
    const struct row *network = call_arg_row(c, 0);
    if (!network)
        return;
    struct db_txn *t = db_txn_new(call_db(c), call_def(c)->name);
    db_txn_set(t, CLASS_network, &network->uuid, FIELD_network_default_locking_mode, value_string(call_arg_str(c, 1)));
    call_commit(c, t, NULL, NULL); /* hosts see it in the row */
}

/* ---- addresses ---- */

/* The address in its usual form, so that one is never there twice. */
static bool normal(int family, const char *text, char ret[static INET6_ADDRSTRLEN], struct error **errp) {
    unsigned char bytes[16];
    if (inet_pton(family, text, bytes) == 1 && inet_ntop(family, bytes, ret, INET6_ADDRSTRLEN))
        return true;
    error_set(errp, ERR_INVALID_IP_ADDRESS_SPECIFIED, text, NULL);
    return false;
}

static void set_addresses(struct call *c, int family, unsigned field) {
    const struct row *vif = call_arg_row(c, 0);
    const struct value *asked = call_arg(c, 1);
    struct value set = value_set();
    struct error *e = NULL;
    char text[INET6_ADDRSTRLEN];
    if (vif && asked->set.n > ADDRESSES_MAX)
        error_set(&e, ERR_INVALID_VALUE, "addresses", "at most 64", NULL);
    for (size_t i = 0; vif && !e && i < asked->set.n; i++) {
        if (!normal(family, value_str(&asked->set.items[i]), text, &e))
            break;
        struct value v = value_string(text);
        if (value_set_has(&set, &v))
            value_done(&v);
        else
            value_set_add(&set, v);
    }
    if (vif && !e) {
        write_field(c, vif, field, set);
        return;
    }
    value_done(&set);
    if (e)
        call_fail(c, e);
}

static void change_address(struct call *c, int family, unsigned field, bool add) {
    const struct row *vif = call_arg_row(c, 0);
    struct error *e = NULL;
    char text[INET6_ADDRSTRLEN];
    if (!vif)
        return;
    if (!normal(family, call_arg_str(c, 1), text, &e)) {
        call_fail(c, e);
        return;
    }
    const struct value *now = row_value(vif, field);
    struct value set = value_set(), v = value_string(text);
    for (size_t i = 0; i < now->set.n; i++)
        if (!value_equal(&now->set.items[i], &v))
            value_set_add(&set, value_copy(&now->set.items[i]));
    if (add && set.set.n < ADDRESSES_MAX)
        value_set_add(&set, v);
    else if (add)
        error_set(&e, ERR_INVALID_VALUE, "addresses", "at most 64", NULL);
    if (!add || e)
        value_done(&v);
    if (!e) {
        write_field(c, vif, field, set);
        return;
    }
    value_done(&set);
    call_fail(c, e);
}

void vif_set_ipv4_allowed(struct call *c) {
    set_addresses(c, AF_INET, FIELD_VIF_ipv4_allowed);
}

void vif_add_ipv4_allowed(struct call *c) {
    change_address(c, AF_INET, FIELD_VIF_ipv4_allowed, /* add= */ true);
}

void vif_remove_ipv4_allowed(struct call *c) {
    change_address(c, AF_INET, FIELD_VIF_ipv4_allowed, /* add= */ false);
}

void vif_set_ipv6_allowed(struct call *c) {
    set_addresses(c, AF_INET6, FIELD_VIF_ipv6_allowed);
}

void vif_add_ipv6_allowed(struct call *c) {
    change_address(c, AF_INET6, FIELD_VIF_ipv6_allowed, /* add= */ true);
}

void vif_remove_ipv6_allowed(struct call *c) {
    change_address(c, AF_INET6, FIELD_VIF_ipv6_allowed, /* add= */ false);
}

/* ---- another network: the guest's card is taken out and put in again there ---- */

static bool is_out(struct vm_op *op) {
    const struct row *vif = db_get(vm_op_db(op), CLASS_VIF, vm_op_object(op));
    return !vif || !row_bool(vif, FIELD_VIF_currently_attached);
}

static bool is_in(struct vm_op *op) {
    const struct row *vif = db_get(vm_op_db(op), CLASS_VIF, vm_op_object(op));
    return !vif || row_bool(vif, FIELD_VIF_currently_attached);
}

static struct error *late(void) {
    struct error *e = NULL;
    error_internal(&e, "the host has done it, but its word has not reached the coordinator yet");
    return e;
}

static void ask_device(struct vm_op *op, const char *what, vm_op_answer_fn *then) {
    struct db *d = vm_op_db(op);
    const struct row *vif = vm_op_row(op), *vm = vif ? db_follow(d, vif, FIELD_VIF_VM) : NULL;
    if (!vif)
        return;
    if (!vm || uuid_is_null(row_ref(vm, FIELD_VM_resident_on))) {
        vm_op_return_void(op); /* it has ended meanwhile: it finds the interface where it is now */
        return;
    }
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string(what));
    value_map_add(&args, "kind", value_string("nic"));
    value_map_add(&args, "device", vm_spec_nic(d, vif));
    vm_op_ask(op, row_ref(vm, FIELD_VM_resident_on), "vm_device", args, DEVICE_MS, then);
}

static void on_in(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_in, DEVICE_MS, late(), vm_op_return_void);
}

static void put_in(struct vm_op *op) {
    ask_device(op, "attach", on_in);
}

static void move_row(struct vm_op *op, vm_op_fn *then) {
    struct uuid network;
    struct db_txn *t = db_txn_new(vm_op_db(op), "VIF.move");
    if (uuid_parse(value_str(vm_op_data(op)), &network))
        db_txn_set(t, CLASS_VIF, vm_op_object(op), FIELD_VIF_network, value_ref(&network));
    vm_op_commit(op, t, then);
}

static void move_and_put_in(struct vm_op *op) {
    move_row(op, put_in);
}

static void on_out(struct vm_op *op, const struct value *result) {
    vm_op_wait(op, is_out, DEVICE_MS, late(), move_and_put_in);
}

/* The VM's host has the network; and nobody on it has the address. */
static bool check_move(struct call *c, const struct row *vif, const struct row *network, struct error **errp) {
    struct db *d = call_db(c);
    const struct row *vm = db_follow(d, vif, FIELD_VIF_VM);
    char vm_ref[REF_TEXT_SIZE], ref[REF_TEXT_SIZE];
    for (const struct row *o = db_first(d, CLASS_VIF); o; o = db_next(d, o)) {
        const struct row *its = db_follow(d, o, FIELD_VIF_VM);
        if (o != vif && uuid_eq(row_ref(o, FIELD_VIF_network), &network->uuid) &&
            str_eq(row_str(o, FIELD_VIF_MAC), row_str(vif, FIELD_VIF_MAC)) &&
            !(its && row_bool(its, FIELD_VM_is_a_snapshot))) {
            error_set(errp, ERR_MAC_STILL_EXISTS, row_str(vif, FIELD_VIF_MAC), NULL);
            return false;
        }
    }
    if (row_int(vif, FIELD_VIF_MTU) > row_int(network, FIELD_network_MTU)) {
        _cleanup_free_ char *text = strf("%lld", (long long)row_int(vif, FIELD_VIF_MTU));
        error_set(errp, ERR_VALUE_NOT_SUPPORTED, "MTU", text, "the network carries less (network.MTU)", NULL);
        return false;
    }
    if (!vm || !row_bool(vif, FIELD_VIF_currently_attached) || row_value(network, FIELD_network_PIFs)->set.n == 0)
        return true;
    const struct row *pif = net_rows_pif_on(d, row_ref(vm, FIELD_VM_resident_on), &network->uuid);
    if (pif && row_bool(pif, FIELD_PIF_currently_attached))
        return true;
    error_set(errp, ERR_VM_REQUIRES_NETWORK, ref_text(&vm->uuid, vm_ref), ref_text(&network->uuid, ref), NULL);
    return false;
}

void vif_move(struct call *c) {
    const struct row *vif = call_arg_row(c, 0), *network = vif ? call_arg_row(c, 1) : NULL;
    struct db *d = call_db(c);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    if (!network)
        return;
    const struct row *vm = db_follow(d, vif, FIELD_VIF_VM);
    bool is_live = vm && row_bool(vif, FIELD_VIF_currently_attached);
    if (is_live && !str_eq(row_str(vm, FIELD_VM_power_state), "Running"))
        error_set(&e, ERR_VM_BAD_POWER_STATE, ref_text(&vm->uuid, ref), "running", "paused", NULL);
    else if (is_live && !api_host_is_live(call_api(c), row_ref(vm, FIELD_VM_resident_on)))
        error_set(&e, ERR_HOST_OFFLINE, ref_text(row_ref(vm, FIELD_VM_resident_on), ref), NULL);
    if (e || !check_move(c, vif, network, &e)) {
        call_fail(c, e);
        return;
    }
    struct vm_op *op = vm_op_begin(c, vif, "plug");
    if (!op)
        return;
    *vm_op_data(op) = value_string(row_str(network, FIELD_network_uuid));
    if (is_live && !uuid_eq(row_ref(vif, FIELD_VIF_network), &network->uuid))
        ask_device(op, "detach", on_out);
    else
        move_row(op, vm_op_return_void);
}
