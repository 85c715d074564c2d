/* SPDX-License-Identifier: Apache-2.0 */
/* Class VIF: network interfaces of VMs. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

#include "base/str.h"
#include "classes/class_vm.h"
#include "classes/class_vm_pools.h"
#include "classes/net_rows.h"
#include "classes/vm_ops.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

#define DEVICE_MS 40000
#define VIFS_MAX 16

/* ---- create ---- */

static const struct row *row_in(struct db *d, const struct value *record, const char *key, int class_id,
                                struct error **errp) {
    const struct value *v = value_map_get(record, key);
    struct uuid u = {0};
    const char *text = v && v->type == VALUE_STRING ? value_str(v) : "";
    if (v && v->type == VALUE_REF)
        u = v->ref;
    else if (!ref_parse(text, &u))
        u = (struct uuid){0};
    const struct row *r = db_get(d, class_id, &u);
    if (!r)
        error_set(errp, ERR_HANDLE_INVALID, model_classes[class_id].name, text, NULL);
    return r;
}

static bool choose_device(struct db *d, const struct row *vm, const char *asked, int64_t *ret, struct error **errp) {
    const struct value *vifs = row_value(vm, FIELD_VM_VIFs);
    unsigned taken = 0;
    int64_t n = -1;
    for (size_t i = 0; i < vifs->set.n; i++) {
        const struct row *o = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        if (o && str_parse_int(row_str(o, FIELD_VIF_device), 0, VIFS_MAX - 1, &n))
            taken |= 1u << n;
    }
    n = -1;
    if (str_empty(asked) || str_eq(asked, "autodetect")) {
        for (int i = 0; n < 0 && i < VIFS_MAX; i++)
            if (!(taken & (1u << i)))
                n = i;
    } else if (!str_parse_int(asked, 0, VIFS_MAX - 1, &n)) {
        n = -1;
    }
    if (n < 0) {
        error_set(errp, ERR_INVALID_DEVICE, asked, NULL);
        return false;
    }
    if (taken & (1u << n)) {
        error_set(errp, ERR_DEVICE_ALREADY_EXISTS, asked, NULL);
        return false;
    }
    *ret = n;
    return true;
}

/* A unicast address; the empty text and "random" ask for one. */
static bool choose_mac(const char *asked, char **ret, bool *ret_made, struct error **errp) {
    *ret_made = str_empty(asked) || str_eq(asked, "random");
    if (*ret_made) {
        *ret = class_vm_random_mac();
        return true;
    }
    unsigned first;
    if (!net_check_mac(asked, errp))
        return false;
    if (sscanf(asked, "%2x", &first) != 1 || (first & 1)) {
        error_set(errp, ERR_MAC_INVALID, asked, NULL);
        return false;
    }
    *ret = xstrdup(asked);
    for (char *p = *ret; *p; p++)
        if (*p >= 'A' && *p <= 'F')
            *p |= 0x20;
    return true;
}

/* A snapshot keeps the addresses of its VM, and never runs. */
static bool is_of_snapshot(struct db *d, const struct row *vif) {
    const struct row *vm = db_follow(d, vif, FIELD_VIF_VM);
    return vm && row_bool(vm, FIELD_VM_is_a_snapshot);
}

static bool is_mac_taken(struct db *d, const struct uuid *network, const char *mac) {
    for (const struct row *v = db_first(d, CLASS_VIF); v; v = db_next(d, v))
        if (uuid_eq(row_ref(v, FIELD_VIF_network), network) && str_eq(row_str(v, FIELD_VIF_MAC), mac) &&
            !is_of_snapshot(d, v))
            return true;
    return false;
}

static void return_made(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

static bool check_addresses(const struct value *record, const char *key, int family, struct error **errp) {
    const struct value *v = value_map_get(record, key);
    unsigned char bytes[16];
    for (size_t i = 0; v && v->type == VALUE_SET && i < v->set.n; i++)
        if (v->set.items[i].type != VALUE_STRING || inet_pton(family, value_str(&v->set.items[i]), bytes) != 1) {
            error_set(errp, ERR_INVALID_IP_ADDRESS_SPECIFIED, key, NULL);
            return false;
        }
    return true;
}

static bool fill(struct call *c, struct db_txn *t, const struct uuid *u, struct error **errp) {
    const struct value *record = call_arg(c, 0);
    struct db *d = call_db(c);
    const struct row *vm = row_in(d, record, "VM", CLASS_VM, errp);
    const struct row *network = vm ? row_in(d, record, "network", CLASS_network, errp) : NULL;
    const struct value *mtu_value = value_map_get(record, "MTU");
    int64_t device, mtu = mtu_value ? value_as_int(mtu_value) : 0;
    bool made;
    _cleanup_free_ char *mac = NULL;
    if (!network || !vm_pools_check(vm, errp))
        return false;
    if (mtu_value && mtu_value->type == VALUE_STRING && !str_parse_int(value_str(mtu_value), 0, 65535, &mtu))
        mtu = 0;
    if (row_bool(vm, FIELD_VM_is_control_domain)) {
        error_set(errp, ERR_OPERATION_NOT_ALLOWED, "the host itself has NICs, not virtual interfaces", NULL);
        return false;
    }
    if (!check_addresses(record, "ipv4_allowed", AF_INET, errp) ||
        !check_addresses(record, "ipv6_allowed", AF_INET6, errp))
        return false;
    if ((mtu > 0 && !net_check_mtu(mtu, errp)) ||
        !choose_device(d, vm, str_or_empty(value_map_str(record, "device")), &device, errp) ||
        !choose_mac(str_or_empty(value_map_str(record, "MAC")), &mac, &made, errp))
        return false;
    if (mtu > row_int(network, FIELD_network_MTU)) {
        _cleanup_free_ char *text = strf("%lld", (long long)mtu);
        error_set(errp, ERR_VALUE_NOT_SUPPORTED, "MTU", text, "the network carries less (network.MTU)", NULL);
        return false;
    }
    if (is_mac_taken(d, &network->uuid, mac)) {
        error_set(errp, ERR_MAC_STILL_EXISTS, mac, NULL);
        return false;
    }
    db_txn_set(t, CLASS_VIF, u, FIELD_VIF_device, value_stringf("%lld", (long long)device));
    db_txn_set(t, CLASS_VIF, u, FIELD_VIF_MAC, value_string(mac));
    db_txn_set(t, CLASS_VIF, u, FIELD_VIF_MAC_autogenerated, value_bool(made));
    db_txn_set(t, CLASS_VIF, u, FIELD_VIF_currently_attached, value_bool(false));
    return true;
}

void vif_create(struct call *c) {
    struct db_txn *t = db_txn_new(call_db(c), "VIF.create");
    struct uuid *made = xnew0(struct uuid);
    struct error *e = NULL;
    *made = db_txn_insert(t, CLASS_VIF, NULL);
    if (call_fill_row(c, t, made, &e) && fill(c, t, made, &e)) {
        call_commit(c, t, return_made, made);
        return;
    }
    free(made);
    db_txn_abandon(t);
    call_fail(c, e);
}

void vif_destroy(struct call *c) {
    const struct row *vif = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!vif)
        return;
    if (!vm_pools_check(db_follow(call_db(c), vif, FIELD_VIF_VM), &e)) {
        call_fail(c, e);
        return;
    }
    if (row_bool(vif, FIELD_VIF_currently_attached)) {
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "the interface is plugged into a running VM: unplug it first",
                       NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "VIF.destroy");
    db_txn_delete(t, CLASS_VIF, &vif->uuid);
    call_commit(c, t, NULL, NULL);
}

/* ---- plug and unplug ---- */

static bool is_plugged_as_wanted(struct vm_op *op) {
    const struct row *vif = db_get(vm_op_db(op), CLASS_VIF, vm_op_object(op));
    return !vif || row_bool(vif, FIELD_VIF_currently_attached) == value_as_bool(vm_op_data(op));
}

static void on_plugged(struct vm_op *op, const struct value *result) {
    struct error *late = NULL;
    error_internal(&late, "the host has done it, but its word has not reached the coordinator yet");
    vm_op_wait(op, is_plugged_as_wanted, DEVICE_MS, late, vm_op_return_void);
}

static bool check_network(struct call *c, const struct row *vif, const struct row *vm, struct error **errp) {
    struct db *d = call_db(c);
    const struct row *network = db_follow(d, vif, FIELD_VIF_network);
    const struct row *pif = network ? net_rows_pif_on(d, row_ref(vm, FIELD_VM_resident_on), &network->uuid) : NULL;
    char vm_ref[REF_TEXT_SIZE], ref[REF_TEXT_SIZE];
    if (network &&
        (row_value(network, FIELD_network_PIFs)->set.n == 0 || (pif && row_bool(pif, FIELD_PIF_currently_attached))))
        return true;
    error_set(errp, ERR_VM_REQUIRES_NETWORK, ref_text(&vm->uuid, vm_ref),
              ref_text(row_ref(vif, FIELD_VIF_network), ref), NULL);
    return false;
}

static void plug(struct call *c, bool in) {
    const struct row *vif = call_arg_row(c, 0);
    struct db *d = call_db(c);
    const struct row *vm = vif ? db_follow(d, vif, FIELD_VIF_VM) : NULL;
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE], host[REF_TEXT_SIZE];
    if (!vif)
        return;
    ref_text(&vif->uuid, ref);
    if (!vm || !str_eq(row_str(vm, FIELD_VM_power_state), "Running")) {
        _cleanup_free_ char *actual = xstrdup(vm ? row_str(vm, FIELD_VM_power_state) : "halted");
        actual[0] |= 0x20;
        error_set(&e, ERR_VM_BAD_POWER_STATE, vm ? ref_text(&vm->uuid, host) : "", "running", actual, NULL);
    } else if (!api_host_is_live(call_api(c), row_ref(vm, FIELD_VM_resident_on))) {
        error_set(&e, ERR_HOST_OFFLINE, ref_text(row_ref(vm, FIELD_VM_resident_on), host), NULL);
    } else if (row_bool(vif, FIELD_VIF_currently_attached) == in) {
        error_set(&e, in ? ERR_DEVICE_ALREADY_ATTACHED : ERR_DEVICE_ALREADY_DETACHED, ref, NULL);
    } else if (in) {
        (void)!check_network(c, vif, vm, &e);
    }
    if (e) {
        call_fail(c, e);
        return;
    }
    assert(vm); /* or it is said above */
    struct vm_op *op = vm_op_begin(c, vif, in ? "plug" : "unplug");
    if (!op)
        return;
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "op", value_string(in ? "attach" : "detach"));
    value_map_add(&args, "kind", value_string("nic"));
    value_map_add(&args, "device", vm_spec_nic(d, vif));
    *vm_op_data(op) = value_bool(in);
    vm_op_ask(op, row_ref(vm, FIELD_VM_resident_on), "vm_device", args, DEVICE_MS, on_plugged);
}

void vif_plug(struct call *c) {
    plug(c, true);
}

void vif_unplug(struct call *c) {
    plug(c, false);
}
