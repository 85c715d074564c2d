/* SPDX-License-Identifier: Apache-2.0 */
/* Power, devices and storage, as the coordinator asks for them. */
#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
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
    bool is_held; /* the VM is busy with this */
    char *device; /* name of a disk in the guest */
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
        end(q);
        return;
    }
    struct db_txn *t = db_txn_new(q->a->db, "a device of a VM");
    db_txn_set(t, q->class_id, &q->row, q->attached, value_bool(q->op == VIRT_ATTACH));
    if (q->device && q->op == VIRT_ATTACH)
        db_txn_set(t, CLASS_VBD, &q->row, FIELD_VBD_device, value_string(q->device));
    db_txn_commit(t, VM_WRITE_MS, end_written, q);
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
        struct virt_request r = {.op = q->op,
                                 .vm = q->vm,
                                 .xml = is_disk ? virt_xml_disk(device) : virt_xml_nic(&fitting),
                                 .path = is_disk ? strf("<target dev='%s'", name) : xstrdup(str_or_empty(mac))};
        virt_ask(a->virt, r, on_device, q);
        return;
    }
    pool_reply_fail(reply, e);
    free(q);
}

/* ---- storage ---- */

struct storing {
    struct vm_agent *a;
    struct pool_reply *reply; /* NULL: a look at a PBD */
    struct uuid pbd;
    char *op;
    struct value args, result;
    struct error *error;
};

static void store_job(void *data) {
    struct storing *s = data;
    struct value result;
    if (store_run(s->op, &s->args, &result, &s->error))
        s->result = result;
}

static void store_end(struct storing *s) {
    value_done(&s->args);
    value_done(&s->result);
    error_free(s->error);
    free(s->op);
    free(s);
}

static void store_done(void *data) {
    struct storing *s = data;
    if (s->a->is_freed)
        ;
    else if (s->error)
        pool_reply_fail(s->reply, TAKE(s->error));
    else
        pool_reply_return(s->reply, value_take(&s->result));
    store_end(s);
}

void vm_serve_store(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct storing *s = xnew0(struct storing);
    *s = (struct storing){
        .a = a, .reply = reply, .op = xstrdup(str_or_empty(value_map_str(args, "op"))), .args = value_copy(args)};
    /* One at a time per repository, so that no two make or remove the same file. */
    worker_submit(a->storage, str_or_empty(value_map_str(args, "sr")), store_job, store_done, s);
}

/* ---- PBDs ---- */

static void pbd_looked_at(void *data) {
    struct storing *s = data;
    const struct row *pbd = s->a->is_freed ? NULL : db_get(s->a->db, CLASS_PBD, &s->pbd);
    if (s->error)
        log_warn("storage that this host should have is not there: %s", error_text(s->error));
    if (pbd && row_bool(pbd, FIELD_PBD_currently_attached) != !s->error) {
        struct db_txn *t = db_txn_new(s->a->db, "storage of a host, after its start");
        db_txn_set(t, CLASS_PBD, &s->pbd, FIELD_PBD_currently_attached, value_bool(!s->error));
        db_txn_commit(t, VM_WRITE_MS, /* done= */ NULL, NULL);
    }
    store_end(s);
}

/* After a boot every PBD is plugged; after a start of the daemon alone those that were unplugged stay so. */
void vm_agent_look_at_pbds(struct vm_agent *a) {
    struct db_status status = db_get_status(a->db);
    if (a->pbds_looked_at || !status.loaded || !status.connected || !status.has_quorum || !db_pool(a->db))
        return;
    a->pbds_looked_at = true;
    _cleanup_free_ char *mark = strf("%s/vm-storage-was-plugged", a->run_dir);
    bool is_boot = !fs_exists(mark);
    if (fs_write_atomic(mark, "\n", 1, 0644) < 0)
        log_warn("'%s' cannot be written; storage is plugged anew at the next start of the daemon", mark);
    for (const struct row *pbd = db_first(a->db, CLASS_PBD); pbd; pbd = db_next(a->db, pbd)) {
        const struct row *sr = db_follow(a->db, pbd, FIELD_PBD_SR);
        if (!sr || !uuid_eq(row_ref(pbd, FIELD_PBD_host), &a->self) ||
            (!is_boot && !row_bool(pbd, FIELD_PBD_currently_attached)))
            continue;
        struct storing *s = xnew0(struct storing);
        *s = (struct storing){.a = a, .pbd = pbd->uuid, .op = xstrdup("attach"), .args = value_map()};
        const char *path = value_map_str(row_value(pbd, FIELD_PBD_device_config), "location");
        value_map_add(&s->args, "path", value_string(str_or_empty(path)));
        value_map_add(&s->args, "sr", value_uuid(&sr->uuid));
        worker_submit(a->storage, row_str(sr, FIELD_SR_uuid), store_job, pbd_looked_at, s);
    }
}
