/* SPDX-License-Identifier: Apache-2.0 */
/* What a host is asked about VMs that come to it: to make room, what it holds, to forget it. */
#include "base/str.h"
#include "store/store.h"
#include "virt/virt_kvm.h"
#include "vm/vm_agent_move.h"

#define LISTEN_WAIT_MS 8000 /* less than the patience of whoever asks */

#define LOG_MODULE "vm"
#include "base/log.h"

struct receiving {
    struct vm_agent *a;
    struct pool_reply *reply;
    struct uuid vm;
    struct value disks, nics;
    struct error *error;
};

static void receive_end(struct receiving *q) {
    struct vm_agent *a = q->a;
    struct vm_arrival *r = a->is_freed ? NULL : vm_arrival_of(a, &q->vm);
    char *authority = !r || q->error ? NULL : vm_keys_authority(a, &q->error);
    if (r)
        r->is_at_work = false;
    if (r && q->error) {
        r->is_over = true;
        vm_agent_look(a);
    }
    if (a->is_freed) {
        error_free(q->error);
    } else if (q->error) {
        pool_reply_fail(q->reply, q->error);
    } else {
        struct value result = value_map();
        value_map_add(&result, "authority", value_string(str_or_empty(authority)));
        value_map_add(&result, "has_kvm", value_bool(!virt_kvm_trouble()));
        value_map_add(&result, "generation", value_stringf("%lld", (long long)a->generation)); /* for leases */
        pool_reply_return(q->reply, result);
    }
    free(authority);
    value_done(&q->disks);
    value_done(&q->nics);
    free(q);
}

static void on_bridges(struct vm_agent *a, struct error *error, void *userdata) {
    struct receiving *q = userdata;
    if (error)
        q->error = error_dup(error);
    receive_end(q);
}

static void disks_run(void *data) {
    struct receiving *q = data;
    for (size_t i = 0; i < q->disks.set.n && !q->error; i++) {
        struct value ignored = {.type = VALUE_VOID};
        if (store_run("vdi_create", &q->disks.set.items[i], &ignored, &q->error))
            value_done(&ignored);
    }
}

static void disks_done(void *data) {
    struct receiving *q = data;
    if (q->error || q->a->is_freed)
        receive_end(q);
    else
        vm_agent_make_bridges(q->a, &q->nics, on_bridges, q);
}

static const struct value *set_of(const struct value *args, const char *key) {
    const struct value *v = value_map_get(args, key);
    return v && v->type == VALUE_SET ? v : NULL;
}

static bool check_receive(struct vm_agent *a, const struct value *args, struct uuid *vm, struct error **errp) {
    const char *authority = value_map_str(args, "authority"), *id = value_map_str(args, "id");
    char ref[REF_TEXT_SIZE];
    const struct value *disks = set_of(args, "disks");
    if (!vm_args_vm(args, vm, errp) || !vm_check_up(a, errp))
        return false;
    _cleanup_free_ char *own = vm_keys_authority(a, errp);
    if (!own)
        return false;
    if (!authority || str_empty(id) || strlen(id) >= VM_MOVE_ID_SIZE || (disks && disks->set.n > VIRT_MOVE_DISKS_MAX)) {
        error_internal(errp, "the request does not say what is to come");
        return false;
    }
    if (!vm_check_boot_file("PV_kernel", value_map_str(args, "kernel"), errp) ||
        !vm_check_boot_file("PV_ramdisk", value_map_str(args, "ramdisk"), errp))
        return false;
    if (!vm_is_arriving(a, vm) && !vm_agent_is_busy(a, vm))
        return vm_keys_trust(a, authority, errp);
    vm_agent_look(a); /* what is left of an earlier move may be removed by that */
    error_set(errp, ERR_OTHER_OPERATION_IN_PROGRESS, "VM", ref_text(vm, ref), "migrate_receive", "", NULL);
    return false;
}

void vm_serve_receive(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct receiving *q = xnew0(struct receiving);
    struct error *e = NULL;
    *q = (struct receiving){.a = a, .reply = reply};
    if (!check_receive(a, args, &q->vm, &e)) {
        pool_reply_fail(reply, e);
        free(q);
        return;
    }
    const struct value *disks = set_of(args, "disks"), *nics = set_of(args, "nics");
    struct vm_arrival *r = vm_arrival_add(a, &q->vm, value_map_str(args, "id"), disks);
    q->disks = value_copy(&r->disks);
    q->nics = nics ? value_copy(nics) : value_set();
    r->is_at_work = true;
    if (vm_arrival_note(a, r, &q->error)) /* before the first file is made */
        worker_submit(a->storage, "arrivals", disks_run, disks_done, q);
    else
        receive_end(q);
}

static void on_list_for_peer(struct error *error, const struct virt_domain *domains, size_t n, void *userdata) {
    static const char *const words[] = {
        [VM_ABSENT] = "none", [VM_ARRIVING] = "arriving", [VM_STANDS] = "stands", [VM_RUNS] = "runs"};
    struct receiving *q = userdata;
    const struct virt_domain *d = NULL;
    for (size_t i = 0; i < n && !d; i++)
        d = uuid_eq(&domains[i].uuid, &q->vm) ? &domains[i] : NULL;
    if (q->a->is_freed) {
        ;
    } else if (error) {
        pool_reply_fail(q->reply, error_dup(error));
    } else {
        struct value result = value_map();
        const struct vm_arrival *r = vm_arrival_of(q->a, &q->vm);
        value_map_add(&result, "holds", value_string(words[r ? vm_arrival_here(r, d) : VM_ABSENT]));
        pool_reply_return(q->reply, result);
    }
    free(q);
}

void vm_serve_received(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct receiving *q = xnew0(struct receiving);
    struct error *e = NULL;
    *q = (struct receiving){.a = a, .reply = reply};
    if (vm_args_vm(args, &q->vm, &e)) {
        virt_list(a->virt, on_list_for_peer, q);
        return;
    }
    pool_reply_fail(reply, e);
    free(q);
}

void vm_serve_forget(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid vm;
    struct error *e = NULL;
    if (!vm_args_vm(args, &vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    struct vm_arrival *r = vm_arrival_of(a, &vm);
    if (r && str_eq(r->id, str_or_empty(value_map_str(args, "id")))) {
        r->is_over = true;
        vm_agent_look(a);
    }
    pool_reply_return(reply, value_bool(true));
}

struct facts_asked {
    struct vm_agent *a;
    struct pool_reply *reply;
};

static void tell_facts(struct error *error, void *userdata) {
    struct facts_asked *f = userdata;
    struct vm_agent *a = f->a;
    _cleanup_error_ struct error *e = NULL;
    if (!a->is_freed) {
        _cleanup_free_ char *authority = vm_check_up(a, &e) ? vm_keys_authority(a, &e) : NULL;
        struct value result = value_map();
        value_map_add(&result, "has_kvm", value_bool(!virt_kvm_trouble()));
        value_map_add(&result, "authority", value_string(str_or_empty(authority)));
        value_map_add(&result, "trouble", value_string(e ? error_text(e) : ""));
        pool_reply_return(f->reply, result);
    }
    free(f);
}

/* A host that has joined, or has its keys, a moment ago starts its daemon again, to listen: a move waits for that. */
void vm_serve_facts(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct facts_asked *f = xnew0(struct facts_asked);
    *f = (struct facts_asked){a, reply};
    vm_keys_listen(a);
    virt_when_up(a->virt, LISTEN_WAIT_MS, tell_facts, f);
}
