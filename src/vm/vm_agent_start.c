/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, resuming and suspending: claim, do, write down. */
#include <limits.h>

#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "store/store.h"
#include "virt/virt_kvm.h"
#include "virt/virt_xml_core.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define BRIDGE_MS 20000
#define BRIDGES_MAX 32

struct starting {
    struct vm_agent *a;
    struct pool_reply *reply;
    struct uuid vm;
    struct value spec;
    bool paused;
    char *restore;   /* file with the memory of a suspended VM; NULL */
    struct uuid vdi; /* the disk that it is */
    struct error *error;
};

static void end(struct starting *s) {
    struct vm_agent *a = s->a;
    vm_agent_end(a, &s->vm);
    if (a->is_freed) /* nobody hears */
        error_free(s->error);
    else if (s->error)
        pool_reply_fail(s->reply, s->error);
    else
        pool_reply_return(s->reply, value_bool(true));
    value_done(&s->spec);
    free(s->restore);
    free(s);
}

static void end_written(struct error *error, void *userdata) {
    struct starting *s = userdata;
    if (error) /* it will be found and written down as soon as that is possible */
        log_warn("what became of a VM is not written down yet: %s", error_text(error));
    end(s);
}

/* ---- it did not start: the claim is taken back, unless it runs after all ---- */

static void on_list_after_failure(struct error *error, const struct virt_domain *domains, size_t n, void *userdata) {
    struct starting *s = userdata;
    bool runs = error != NULL || s->a->is_freed; /* not known: left for later */
    struct uuid nobody = {0};
    for (size_t i = 0; i < n && !runs; i++)
        runs = uuid_eq(&domains[i].uuid, &s->vm);
    if (runs) {
        end(s);
        return;
    }
    vm_leases_look(s->a); /* what it took is given back */
    struct db_txn *t = db_txn_new(s->a->db, "a VM did not start");
    db_txn_expect(t, CLASS_VM, &s->vm, FIELD_VM_resident_on, value_ref(&s->a->self));
    db_txn_set(t, CLASS_VM, &s->vm, FIELD_VM_resident_on, value_ref(&nobody));
    db_txn_commit(t, VM_WRITE_MS, end_written, s);
}

static void failed(struct starting *s, struct error *e /* taken */) {
    log_warn("%s", error_text(e));
    s->error = e;
    virt_list(s->a->virt, on_list_after_failure, s);
}

/* ---- start ---- */

static void on_started(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct starting *s = userdata;
    struct vm_agent *a = s->a;
    if (error) {
        failed(s, error_dup(error));
        return;
    }
    if (a->is_freed) {
        end(s);
        return;
    }
    vm_rows_started(a, &s->vm);
    struct db_txn *t = db_txn_new(a->db, "a VM has started");
    /* A guest that has ended by now is still to be written down as started: the next look says that it is gone. */
    vm_rows_running(a, t, &s->vm, domain ? domain->state == VIRT_PAUSED : s->paused, &s->spec);
    if (domain)
        vm_rows_measure(a, &s->vm, domain);
    if (s->restore) {
        struct uuid nothing = {0};
        db_txn_set(t, CLASS_VM, &s->vm, FIELD_VM_suspend_VDI, value_ref(&nothing));
        db_txn_delete(t, CLASS_VDI, &s->vdi);
        (void)fs_unlink(s->restore); /* a second resume would run over the disk as it is by then */
    }
    db_txn_commit(t, VM_WRITE_MS, end_written, s);
}

/* A datapath in user space takes frames as they come: those of a guest must be whole. */
void vm_nic_fit(const struct vm_agent *a, struct value *nic) {
    if (str_eq(a->config.datapath(a->config.userdata), "netdev"))
        value_map_put(nic, "plain", value_bool(true));
}

static void launch(struct starting *s) {
    struct vm_agent *a = s->a;
    struct value *nics = value_map_get(&s->spec, "nics");
    for (size_t i = 0; nics && nics->type == VALUE_SET && i < nics->set.n; i++)
        if (nics->set.items[i].type == VALUE_MAP)
            vm_nic_fit(a, &nics->set.items[i]);
    _cleanup_free_ char *run = strf("%s/vm", a->run_dir);
    struct virt_host host = {.run_dir = run, .has_kvm = !virt_kvm_trouble(), .type = virt_domain_type(a->virt)};
    struct virt_request r = {.op = s->restore ? VIRT_RESTORE : VIRT_START,
                             .vm = s->vm,
                             .paused = s->paused,
                             .xml = virt_xml_domain(&s->spec, &host), /* of a restored one: where its disks are now */
                             .path = s->restore ? xstrdup(s->restore) : NULL};
    virt_ask(a->virt, r, on_started, s);
}

struct bridging {
    struct vm_agent *a;
    void (*done)(struct vm_agent *a, struct error *error, void *userdata);
    void *userdata;
};

static void on_bridges(const struct child_result *r, void *userdata) {
    struct bridging *b = userdata;
    _cleanup_error_ struct error *e = NULL;
    if (r->exit_code != 0)
        error_internal(&e, "the switch did not make the bridge of a network: %s", buf_str(&r->err));
    b->done(b->a, e, b->userdata);
    free(b);
}

void vm_agent_make_bridges(struct vm_agent *a, const struct value *nics,
                           void (*done)(struct vm_agent *a, struct error *error, void *userdata), void *userdata) {
    const char *argv[3 + BRIDGES_MAX * 9 + 1] = {"ovs-vsctl", "--timeout=15"};
    size_t n = 2, n_bridges = 0;
    const char *datapath = a->config.datapath(a->config.userdata);
    _cleanup_free_ char *type = strf("datapath_type=%s", datapath);
    for (size_t i = 0; nics && nics->type == VALUE_SET && i < nics->set.n && n_bridges < BRIDGES_MAX; i++) {
        const struct value *internal = value_map_get(&nics->set.items[i], "internal");
        const char *bridge = value_map_str(&nics->set.items[i], "bridge");
        if (!internal || !value_as_bool(internal) || str_empty(bridge) || *bridge == '-')
            continue;
        const char *words[] = {"--", "--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, type};
        for (size_t k = 0; k < ARRAY_SIZE(words); k++)
            argv[n++] = words[k];
        n_bridges++;
    }
    if (n_bridges == 0) {
        done(a, NULL, userdata);
        return;
    }
    struct bridging *b = xnew0(struct bridging);
    *b = (struct bridging){a, done, userdata};
    child_run(a->loop, argv, /* input= */ NULL, BRIDGE_MS, 4096, on_bridges, b);
}

static void on_bridged(struct vm_agent *a, struct error *error, void *userdata) {
    struct starting *s = userdata;
    if (error)
        failed(s, error_dup(error));
    else
        launch(s);
}

/* The claim says that no other host starts this VM; the leases, that none writes its disks, whatever the rows say. */
static void on_leases(struct error *error, void *userdata) {
    struct starting *s = userdata;
    if (s->a->is_freed)
        end(s);
    else if (error)
        failed(s, error_dup(error));
    else
        vm_agent_make_bridges(s->a, value_map_get(&s->spec, "nics"), on_bridged, s);
}

static void on_settled(struct vm_agent *a, struct error *error, void *userdata) {
    struct starting *s = userdata;
    if (a->is_freed)
        end(s);
    else if (error)
        failed(s, error_dup(error));
    else
        vm_leases_take(a, &s->vm, value_map_get(&s->spec, "disks"), on_leases, s);
}

static void on_claimed(struct error *error, void *userdata) {
    struct starting *s = userdata;
    char ref[REF_TEXT_SIZE];
    if (s->a->is_freed) {
        end(s);
    } else if (!error) {
        vm_agent_settle_spec(s->a, &s->spec, on_settled, s);
    } else if (error_is(error, ERR_DB_CONFLICT)) {
        const struct row *vm = db_get(s->a->db, CLASS_VM, &s->vm);
        error_set(&s->error, ERR_VM_BAD_POWER_STATE, ref_text(&s->vm, ref), s->restore ? "suspended" : "halted",
                  vm ? row_str(vm, FIELD_VM_power_state) : "running", NULL);
        end(s);
    } else {
        s->error = error_dup(error);
        end(s);
    }
}

/* A kernel that a VM's owner names is read by the hypervisor: only from folders that are there for it. */
bool vm_check_boot_file(const char *field, const char *path, struct error **errp) {
    static const char *const folders[] = {"/var/lib/xcp/guest/", "/boot/guest/"};
    char real[PATH_MAX];
    if (str_empty(path))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (realpath(path, real) && str_starts(real, folders[i]))
            return true;
    error_set(errp, ERR_VALUE_NOT_SUPPORTED, field, path,
              "kernels are files of the host in /var/lib/xcp/guest or /boot/guest", NULL);
    return false;
}

static bool check_spec(const struct value *spec, struct uuid *ret, struct error **errp) {
    if (!spec || spec->type != VALUE_MAP || !value_map_uuid(spec, "uuid", ret)) {
        error_internal(errp, "the request says nothing of the VM");
        return false;
    }
    return vm_check_boot_file("PV_kernel", value_map_str(spec, "kernel"), errp) &&
           vm_check_boot_file("PV_ramdisk", value_map_str(spec, "ramdisk"), errp);
}

static bool read_restore(const struct value *args, struct starting *s, struct error **errp) {
    const struct value *restore = value_map_get(args, "restore");
    if (!restore || restore->type != VALUE_MAP)
        return true;
    const char *path = str_or_empty(value_map_str(restore, "path"));
    if (store_path_trouble(path) || !value_map_uuid(restore, "vdi", &s->vdi)) {
        error_internal(errp, "the request does not say where the VM's memory is");
        return false;
    }
    s->restore = store_file(path, &s->vdi, "save");
    return true;
}

bool vm_check_up(const struct vm_agent *a, struct error **errp) {
    if (virt_is_up(a->virt))
        return true;
    error_internal(errp, "no VM can be run on this host now: %s", virt_trouble(a->virt));
    return false;
}

void vm_serve_start(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    const struct value *spec = value_map_get(args, "spec"), *paused = value_map_get(args, "paused");
    struct starting *s = xnew0(struct starting);
    struct error *e = NULL;
    struct uuid nobody = {0};
    *s = (struct starting){.a = a, .reply = reply, .paused = paused && value_as_bool(paused)};
    if (!vm_check_up(a, &e) || !check_spec(spec, &s->vm, &e) || !read_restore(args, s, &e) ||
        !vm_agent_begin(a, &s->vm, &e)) {
        pool_reply_fail(reply, e);
        free(s->restore);
        free(s);
        return;
    }
    s->spec = value_copy(spec);
    struct db_txn *t = db_txn_new(a->db, "a VM is to start here");
    db_txn_expect(t, CLASS_VM, &s->vm, FIELD_VM_resident_on, value_ref(&nobody));
    db_txn_expect(t, CLASS_VM, &s->vm, FIELD_VM_power_state, value_string(s->restore ? "Suspended" : "Halted"));
    db_txn_expect(t, CLASS_VM, &s->vm, FIELD_VM_migration, value_map()); /* not on its way to another pool */
    db_txn_set(t, CLASS_VM, &s->vm, FIELD_VM_resident_on, value_ref(&a->self));
    db_txn_commit(t, VM_WRITE_MS, on_claimed, s);
}

/* ---- suspend ---- */

struct saving {
    struct vm_agent *a;
    struct pool_reply *reply;
    struct uuid vm, sr, vdi;
    char *file;
    struct error *error;
};

static void save_end(struct saving *s) {
    vm_agent_end(s->a, &s->vm);
    if (s->a->is_freed)
        error_free(s->error);
    else if (s->error)
        pool_reply_fail(s->reply, s->error);
    else
        pool_reply_return(s->reply, value_bool(true));
    free(s->file);
    free(s);
}

static void on_save_written(struct error *error, void *userdata) {
    struct saving *s = userdata;
    if (error)
        s->error = error_dup(error);
    save_end(s);
}

static void on_saved(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct saving *s = userdata;
    struct vm_agent *a = s->a;
    if (error || a->is_freed) {
        s->error = error ? error_dup(error) : NULL;
        if (error)
            (void)fs_unlink(s->file);
        save_end(s);
        return;
    }
    struct db_txn *t = db_txn_new(a->db, "a VM is suspended");
    db_txn_insert(t, CLASS_VDI, &s->vdi);
    db_txn_set(t, CLASS_VDI, &s->vdi, FIELD_VDI_name_label, value_string("Memory of a suspended VM"));
    db_txn_set(t, CLASS_VDI, &s->vdi, FIELD_VDI_SR, value_ref(&s->sr));
    db_txn_set(t, CLASS_VDI, &s->vdi, FIELD_VDI_type, value_string("suspend"));
    db_txn_set(t, CLASS_VDI, &s->vdi, FIELD_VDI_managed, value_bool(true));
    db_txn_map_put(t, CLASS_VDI, &s->vdi, FIELD_VDI_sm_config, "format", value_string("save"));
    const char *slash = strrchr(s->file, '/');
    db_txn_set(t, CLASS_VDI, &s->vdi, FIELD_VDI_location, value_string(slash ? slash + 1 : s->file));
    db_txn_set(t, CLASS_VM, &s->vm, FIELD_VM_suspend_VDI, value_ref(&s->vdi));
    vm_rows_gone(a, t, &s->vm, "Suspended");
    db_txn_commit(t, VM_WRITE_MS, on_save_written, s);
}

void vm_serve_save(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct saving *s = xnew0(struct saving);
    struct error *e = NULL;
    const char *path = str_or_empty(value_map_str(args, "path"));
    *s = (struct saving){.a = a, .reply = reply};
    if (!vm_check_up(a, &e) || !vm_args_vm(args, &s->vm, &e)) {
        ;
    } else if (store_path_trouble(path) || !value_map_uuid(args, "sr", &s->sr) ||
               !value_map_uuid(args, "vdi", &s->vdi)) {
        error_internal(&e, "the request does not say where the VM's memory is to go");
    } else if (vm_agent_begin(a, &s->vm, &e)) {
        s->file = store_file(path, &s->vdi, "save");
        virt_ask(a->virt, (struct virt_request){.op = VIRT_SAVE, .vm = s->vm, .path = xstrdup(s->file)}, on_saved, s);
        return;
    }
    pool_reply_fail(reply, e);
    free(s);
}
