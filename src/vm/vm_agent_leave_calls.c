/* SPDX-License-Identifier: Apache-2.0 */
/* What a host is asked about VMs that leave it: to send one, to give it up. */
#include "base/str.h"
#include "virt/virt_kvm.h"
#include "vm/vm_agent_move.h"

static char *text_of(const struct value *args, const char *key) {
    return xstrdup(str_or_empty(value_map_str(args, key)));
}

static uint64_t int_of(const struct value *args, const char *key) {
    const struct value *v = value_map_get(args, key);
    int64_t n = v ? value_as_int(v) : 0;
    return n > 0 ? (uint64_t)n : 0;
}

static void read_move(const struct value *args, struct virt_move *m) {
    const struct value *swaps = value_map_get(args, "swaps"), *disks = value_map_get(args, "disks");
    const struct value *compress = value_map_get(args, "compress");
    size_t n = swaps && swaps->type == VALUE_SET ? swaps->set.n : 0;
    m->address = text_of(args, "address");
    m->data_address = text_of(args, "data_address");
    m->tls_name = text_of(args, "to");
    m->mib_per_s = (unsigned)MIN(int_of(args, "mib_per_s"), (uint64_t)1 << 20);
    m->compress = compress && value_as_bool(compress);
    m->is_emulated = virt_kvm_trouble() != NULL;
    m->swaps = xcalloc(n + 1, sizeof(*m->swaps));
    for (size_t i = 0; i < n; i++) {
        const char *after = value_map_str(&swaps->set.items[i], "after");
        m->swaps[m->n_swaps++] = (struct virt_swap){.after = str_empty(after) ? NULL : xstrdup(after),
                                                    .from = text_of(&swaps->set.items[i], "from"),
                                                    .to = text_of(&swaps->set.items[i], "to")};
    }
    for (size_t i = 0; disks && disks->type == VALUE_SET && i < disks->set.n && i < VIRT_MOVE_DISKS_MAX; i++)
        m->disks[i] = xstrdup(value_str(&disks->set.items[i]));
}

static bool check_send(struct vm_agent *a, const struct value *args, struct uuid *vm, struct error **errp) {
    const struct value *record = value_map_get(args, "record");
    const char *authority = value_map_str(args, "authority");
    struct uuid to;
    if (!vm_args_vm(args, vm, errp) || !vm_check_up(a, errp))
        return false;
    _cleanup_free_ char *own = vm_keys_authority(a, errp);
    if (!own)
        return false;
    to = record && record->type == VALUE_MAP ? vm_record_host(record) : (struct uuid){0};
    if (uuid_is_null(&to) || uuid_eq(&to, &a->self) || !authority || !*vm_record_id(record) ||
        str_empty(value_map_str(args, "address")) || str_empty(value_map_str(args, "data_address"))) {
        error_internal(errp, "the request does not say where the VM is to go");
        return false;
    }
    return vm_keys_trust(a, authority, errp) && vm_agent_begin(a, vm, errp);
}

void vm_serve_send(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid vm;
    struct error *e = NULL;
    if (!check_send(a, args, &vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    const struct value *record = value_map_get(args, "record");
    struct vm_leaving *l = vm_leaving_new(a, &vm, vm_record_id(record));
    uint64_t stall_ms = int_of(args, "stall_ms");
    l->reply = reply;
    l->stall_ms = stall_ms ? MAX(stall_ms, (uint64_t)VM_STALL_MIN_MS) : VM_STALL_MS;
    l->move.vm = vm;
    read_move(args, &l->move);
    vm_leaving_begin(l, record);
}

void vm_serve_abort(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid vm;
    struct error *e = NULL;
    if (!vm_args_vm(args, &vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    if (vm_leaving_of(a, &vm))
        virt_abort(a->virt, &vm);
    pool_reply_return(reply, value_bool(true));
}
