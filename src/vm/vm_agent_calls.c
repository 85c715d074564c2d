/* SPDX-License-Identifier: Apache-2.0 */
/* Power and devices, as the coordinator asks for them. */
#include "base/str.h"
#include "virt/virt_xml_core.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

struct asked {
    struct vm_agent *a;
    struct pool_reply *reply;
    struct uuid vm, row;
    enum virt_op op;
    int class_id; /* of a device */
    unsigned attached;
    bool is_held;                /* the VM is busy with this */
    char *device;                /* name of a disk in the guest */
    struct virt_request request; /* about a device; handed on with its texts */
    struct value disk;           /* as in a spec, with the lease it needs; void for an interface */
    struct error *error;
};

static void end(struct asked *q) {
    if (q->is_held)
        vm_agent_end(q->a, &q->vm);
    else
        vm_agent_look(q->a);
    if (q->a->is_freed)
        error_free(q->error);
    else if (q->error)
        pool_reply_fail(q->reply, q->error);
    else
        pool_reply_return(q->reply, value_bool(true));
    value_done(&q->disk);
    free(q->device);
    free(q);
}

static void end_written(struct error *error, void *userdata) {
    struct asked *q = userdata;
    if (error)
        q->error = error_dup(error);
    end(q);
}

static void write_state(struct asked *q, const struct virt_domain *domain) {
    struct db_txn *t = db_txn_new(q->a->db, "what a VM does");
    const struct row *vm = db_get(q->a->db, CLASS_VM, &q->vm);
    bool is_here = vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &q->a->self);
    if (is_here && q->op == VIRT_DESTROY)
        vm_rows_gone(q->a, t, &q->vm, "Halted");
    else if (is_here && domain && (q->op == VIRT_PAUSE || q->op == VIRT_UNPAUSE))
        vm_rows_running(q->a, t, &q->vm, domain->state == VIRT_PAUSED, /* spec= */ NULL);
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        end(q);
    } else {
        db_txn_commit(t, VM_WRITE_MS, end_written, q);
    }
}

static void on_power(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct asked *q = userdata;
    if (error)
        q->error = error_dup(error);
    if (q->op == VIRT_RESET && !error)
        vm_rows_started(q->a, &q->vm);
    if (error || q->a->is_freed)
        end(q);
    else
        write_state(q, domain);
}

void vm_serve_power(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    static const struct {
        const char *name;
        enum virt_op op;
        bool holds; /* nobody else writes what comes of it meanwhile */
    } ops[] = {{"pause", VIRT_PAUSE, true},    {"unpause", VIRT_UNPAUSE, true}, {"shutdown", VIRT_SHUTDOWN, false},
               {"reboot", VIRT_REBOOT, false}, {"reset", VIRT_RESET, false},    {"destroy", VIRT_DESTROY, true}};
    struct vm_agent *a = userdata;
    struct asked *q = xnew0(struct asked);
    struct error *e = NULL;
    const char *op = str_or_empty(value_map_str(args, "op"));
    *q = (struct asked){.a = a, .reply = reply};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        if (!str_eq(ops[i].name, op) || !vm_args_vm(args, &q->vm, &e))
            continue;
        q->op = ops[i].op;
        q->is_held = ops[i].holds;
        if (q->is_held && !vm_agent_begin(a, &q->vm, &e))
            break;
        virt_ask(a->virt, (struct virt_request){.op = q->op, .vm = q->vm}, on_power, q);
        return;
    }
    if (!e)
        error_set(&e, ERR_NOT_IMPLEMENTED, op, NULL);
    pool_reply_fail(reply, e);
    free(q);
}

/* ---- devices ---- */

static void on_device(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct asked *q = userdata;
    if (error || q->a->is_freed || q->op == VIRT_UPDATE) {
        q->error = error ? error_dup(error) : NULL;
        if (error && q->op == VIRT_ATTACH && !q->a->is_freed)
            vm_leases_release(q->a, &q->vm, &q->disk);
        end(q);
        return;
    }
    if (q->op == VIRT_DETACH)
        vm_leases_release(q->a, &q->vm, &q->disk);
    struct db_txn *t = db_txn_new(q->a->db, "a device of a VM");
    db_txn_set(t, q->class_id, &q->row, q->attached, value_bool(q->op == VIRT_ATTACH));
    if (q->device && q->op == VIRT_ATTACH)
        db_txn_set(t, CLASS_VBD, &q->row, FIELD_VBD_device, value_string(q->device));
    db_txn_commit(t, VM_WRITE_MS, end_written, q);
}

static void ask_device(struct asked *q) {
    if (q->disk.type == VALUE_MAP)
        q->request.xml = virt_xml_disk(&q->disk);
    virt_ask(q->a->virt, q->request, on_device, q);
}

static void on_device_lease(struct error *error, void *userdata) {
    struct asked *q = userdata;
    if (!error && !q->a->is_freed) {
        ask_device(q);
        return;
    }
    q->error = error ? error_dup(error) : NULL;
    free(q->request.xml);
    free(q->request.path);
    end(q);
}

static void on_bridged(struct vm_agent *a, struct error *error, void *userdata) {
    on_device_lease(error, userdata);
}

/* What the VM wrote to the disk when it had it before may lie under another name since a snapshot. */
static void on_disk_settled(struct vm_agent *a, struct error *error, void *userdata) {
    struct asked *q = userdata;
    if (error || a->is_freed)
        on_device_lease(error, q);
    else
        vm_leases_take(a, &q->vm, &q->disk, on_device_lease, q);
}

void vm_serve_device(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    const char *op = str_or_empty(value_map_str(args, "op"));
    const struct value *device = value_map_get(args, "device");
    bool is_disk = str_eq(str_or_empty(value_map_str(args, "kind")), "disk");
    struct asked *q = xnew0(struct asked);
    struct error *e = NULL;
    *q = (struct asked){.a = a,
                        .reply = reply,
                        .is_held = true,
                        .op = str_eq(op, "attach")   ? VIRT_ATTACH
                              : str_eq(op, "detach") ? VIRT_DETACH
                                                     : VIRT_UPDATE,
                        .class_id = is_disk ? CLASS_VBD : CLASS_VIF,
                        .attached = is_disk ? FIELD_VBD_currently_attached : FIELD_VIF_currently_attached};
    if (!device || device->type != VALUE_MAP || !value_map_uuid(device, "id", &q->row))
        error_internal(&e, "the request names no device");
    else if (vm_args_vm(args, &q->vm, &e) && vm_agent_begin(a, &q->vm, &e)) {
        /* It is gone when the VM's description no longer has its address, or its name. */
        const char *mac = value_map_str(device, "mac"), *name = str_or_empty(value_map_str(device, "device"));
        _cleanup_value_ struct value fitting = value_copy(device);
        if (!is_disk)
            vm_nic_fit(a, &fitting);
        q->device = is_disk ? xstrdup(name) : NULL;
        q->request =
            (struct virt_request){.op = q->op,
                                  .vm = q->vm,
                                  .xml = is_disk ? NULL : virt_xml_nic(&fitting),
                                  .path = is_disk ? strf("<target dev='%s'", name) : xstrdup(str_or_empty(mac))};
        q->disk = is_disk ? value_copy(device) : (struct value){0};
        _cleanup_value_ struct value devices = value_set(), spec = value_map();
        value_set_add(&devices, value_copy(device));
        value_map_add(&spec, "disks", value_copy(&devices));
        if (is_disk && q->op == VIRT_ATTACH)
            vm_agent_settle_spec(a, &spec, on_disk_settled, q);
        else if (q->op == VIRT_ATTACH)
            vm_agent_make_bridges(a, &devices, on_bridged, q);
        else
            ask_device(q);
        return;
    }
    pool_reply_fail(reply, e);
    free(q);
}
