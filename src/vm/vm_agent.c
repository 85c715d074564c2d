/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_agent.h"

#include "base/str.h"
#include "vm/vm_agent_move.h"
#include "vm/vm_agent_private.h"
#include "vm/vm_guest.h"
#include "vm/vm_lock.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define LOOK_MS 5000
#define N_STORAGE_WORKERS 4 /* a server that does not answer holds one up */
#define STRANGERS_MAX 256

/* ---- requests under way ---- */

static struct vm_busy *busy_of(const struct vm_agent *a, const struct uuid *vm) {
    struct vm_busy *b = a->busy;
    while (b && !uuid_eq(&b->vm, vm))
        b = b->next;
    return b;
}

bool vm_agent_is_busy(const struct vm_agent *a, const struct uuid *vm) {
    return busy_of(a, vm) != NULL;
}

bool vm_agent_begin(struct vm_agent *a, const struct uuid *vm, struct error **errp) {
    struct vm_busy *b = busy_of(a, vm);
    char ref[REF_TEXT_SIZE];
    if (b && !b->is_over) {
        error_set(errp, ERR_OTHER_OPERATION_IN_PROGRESS, "VM", ref_text(vm, ref), "", "", NULL);
        return false;
    }
    if (!b) {
        b = xnew0(struct vm_busy);
        b->vm = *vm;
        b->next = a->busy;
        a->busy = b;
    }
    b->is_over = false;
    return true;
}

void vm_agent_end(struct vm_agent *a, const struct uuid *vm) {
    struct vm_busy *b = busy_of(a, vm);
    if (!b)
        return;
    b->is_over = true;
    b->over_at = a->n_lists;
    vm_agent_look(a);
}

/* A list of this number has come: what ended before it began is in it. */
static void forget_busy(struct vm_agent *a, uint64_t list) {
    for (struct vm_busy **at = &a->busy; *at;) {
        struct vm_busy *b = *at;
        if (!b->is_over || b->over_at >= list) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        free(b);
    }
}

bool vm_args_vm(const struct value *args, struct uuid *ret, struct error **errp) {
    if (value_map_uuid(args, "vm", ret))
        return true;
    error_internal(errp, "the request names no VM");
    return false;
}

/* ---- what runs, compared with the rows ---- */

static const struct virt_domain *find(const struct virt_domain *domains, size_t n, const struct uuid *vm) {
    for (size_t i = 0; i < n; i++)
        if (uuid_eq(&domains[i].uuid, vm))
            return &domains[i];
    return NULL;
}

static bool is_state(const struct row *vm, const char *state) {
    return str_eq(row_str(vm, FIELD_VM_power_state), state);
}

/* A row that says that the VM is here. */
static void compare_resident(struct vm_agent *a, struct db_txn *t, const struct row *vm, const struct virt_domain *d) {
    if (d && d->is_dying)
        return;
    if (!d && !is_state(vm, "Halted") && !is_state(vm, "Suspended"))
        log_notice("VM '%s' (%s) has ended", row_str(vm, FIELD_VM_name_label), row_str(vm, FIELD_VM_uuid));
    if (!d)
        vm_rows_gone(a, t, &vm->uuid, is_state(vm, "Suspended") ? "Suspended" : "Halted");
    else if (!is_state(vm, d->state == VIRT_PAUSED ? "Paused" : "Running"))
        vm_rows_running(a, t, &vm->uuid, d->state == VIRT_PAUSED, /* spec= */ NULL);
    if (d)
        vm_rows_consoles(a, t, &vm->uuid);
}

static bool was_said(struct vm_agent *a, const struct uuid *vm) {
    for (size_t i = 0; i < a->n_strangers; i++)
        if (uuid_eq(&a->strangers[i], vm))
            return true;
    if (a->n_strangers == STRANGERS_MAX)
        return true;
    a->strangers = xrealloc_array(a->strangers, a->n_strangers + 1, sizeof(*a->strangers));
    a->strangers[a->n_strangers++] = *vm;
    return false;
}

/* A domain of which the rows do not say that it is here. */
static void compare_stranger(struct vm_agent *a, struct db_txn *t, const struct virt_domain *d) {
    const struct row *vm = db_get(a->db, CLASS_VM, &d->uuid);
    char text[UUID_TEXT_SIZE], host[UUID_TEXT_SIZE];
    if (d->is_dying)
        return;
    if (vm && uuid_is_null(row_ref(vm, FIELD_VM_resident_on)))
        vm_rows_running(a, t, &d->uuid, d->state == VIRT_PAUSED, /* spec= */ NULL);
    else if (vm && !was_said(a, &d->uuid))
        log_err("VM '%s' runs here, but the pool says that it runs on host %s; it is left alone",
                uuid_text(&d->uuid, text), uuid_text(row_ref(vm, FIELD_VM_resident_on), host));
    else if (!vm && !was_said(a, &d->uuid))
        log_warn("a VM '%s' runs here that the pool does not know; it is left alone", uuid_text(&d->uuid, text));
}

static bool is_mine(const struct vm_agent *a, const struct row *vm) {
    return uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self) && !row_bool(vm, FIELD_VM_is_control_domain);
}

static void on_compared(struct error *error, void *userdata) {
    struct vm_agent *a = userdata;
    a->writing = false;
    if (error)
        log_info("what VMs do cannot be written down yet: %s", error_text(error));
    else if (a->again)
        vm_agent_look(a);
}

static void compare(struct vm_agent *a, const struct virt_domain *domains, size_t n) {
    struct db_txn *t = db_txn_new(a->db, "what the VMs of a host do");
    for (const struct row *vm = db_first(a->db, CLASS_VM); vm; vm = db_next(a->db, vm))
        if (is_mine(a, vm) && !vm_agent_is_busy(a, &vm->uuid) && !vm_is_arriving(a, &vm->uuid)) {
            if (row_value(vm, FIELD_VM_migration)->map.n) {
                if (!vm_record_is_far(row_value(vm, FIELD_VM_migration)))
                    vm_leaving_adopt(a, vm);
                continue;
            }
            const struct virt_domain *d = find(domains, n, &vm->uuid);
            compare_resident(a, t, vm, d);
            vm_rows_measure(a, &vm->uuid, d);
        }
    for (size_t i = 0; i < n; i++) {
        const struct row *vm = db_get(a->db, CLASS_VM, &domains[i].uuid);
        if (!(vm && is_mine(a, vm)) && !vm_agent_is_busy(a, &domains[i].uuid) && !vm_is_arriving(a, &domains[i].uuid))
            compare_stranger(a, t, &domains[i]);
    }
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        return;
    }
    a->writing = true;
    db_txn_commit(t, VM_WRITE_MS, on_compared, a);
}

struct looking {
    struct vm_agent *a;
    uint64_t list;
};

static void on_list(struct error *error, const struct virt_domain *domains, size_t n, void *userdata) {
    struct looking l = *(struct looking *)userdata;
    struct vm_agent *a = l.a;
    free(userdata);
    a->listing = false;
    if (a->is_freed || error)
        return;
    forget_busy(a, l.list);
    vm_leases_listed(a, domains, n);
    if (db_get_status(a->db).in_step && !a->writing) {
        vm_arrivals_look(a, domains, n);
        vm_fars_look(a, domains, n);
        compare(a, domains, n);
    }
    if (a->again && !a->writing)
        vm_agent_look(a);
}

void vm_agent_look(struct vm_agent *a) {
    if (a->is_freed || !virt_is_up(a->virt))
        return;
    if (a->listing || a->writing) {
        a->again = true;
        return;
    }
    struct looking *l = xnew0(struct looking);
    *l = (struct looking){.a = a, .list = ++a->n_lists};
    a->listing = true;
    a->again = false;
    virt_list(a->virt, on_list, l);
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct vm_agent *a = userdata;
    loop_timer_set(a->timer, LOOK_MS);
    vm_keys_listen(a);
    vm_agent_look(a);
    vm_agent_look_at_pbds(a);
    vm_locks_look(a->locks);
}

static void on_vm_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct vm_agent *a = userdata;
    if (event != DB_DELETED && a->arrivals)
        vm_arrivals_row_changed(a, r);
    if (vm_far_is_leaving(a, &r->uuid))
        vm_agent_look(a);
}

/* ---- the hypervisor ---- */

static void on_up(void *userdata) {
    vm_keys_listen(userdata);
    vm_agent_look(userdata);
}

static void on_down(const char *why, void *userdata) {}

static void on_event(const struct uuid *vm, void *userdata) {
    vm_agent_look(userdata);
}

static void on_rebooted(const struct uuid *vm, void *userdata) {
    vm_rows_started(userdata, vm);
    vm_agent_look(userdata);
}

static const struct virt_callbacks callbacks = {
    .up = on_up, .down = on_down, .event = on_event, .rebooted = on_rebooted};

struct vm_agent *vm_agent_new(const struct vm_agent_config *config) {
    struct vm_agent *a = xnew0(struct vm_agent);
    *a = (struct vm_agent){.config = *config,
                           .loop = config->loop,
                           .db = config->db,
                           .self = config->self,
                           .run = uuid_random(),
                           .state_dir = xstrdup(config->state_dir),
                           .run_dir = xstrdup(config->run_dir),
                           .virtd_path = config->virtd_path ? xstrdup(config->virtd_path) : NULL};
    _cleanup_free_ char *pki_dir = strf("%s/pki", a->state_dir);
    struct virt_config virt = {.loop = a->loop,
                               .uri = config->uri,
                               .state_dir = a->state_dir,
                               .run_dir = a->run_dir,
                               .virtd_path = a->virtd_path,
                               .pki_dir = pki_dir,
                               .callbacks = &callbacks,
                               .userdata = a};
    a->storage = worker_new(a->loop, N_STORAGE_WORKERS);
    vm_keys_start(a);
    vm_arrivals_load(a);
    vm_fars_load(a);
    a->watch = db_watch_add(a->db, CLASS_VM, on_vm_row, a);
    a->virt = virt_new(&virt);
    a->locks = vm_locks_new(a);
    a->guests = vm_guests_new(a);
    a->timer = loop_add_timer(a->loop, LOOK_MS, on_timer, a);
    vm_leases_init(a);
    vm_agent_watch_pbds(a);
    return a;
}

void vm_agent_serve(struct vm_agent *a, struct pool_channel *channel) {
    vm_gates_serve(a, channel);
    pool_channel_serve(channel, "vm_copy_memory", vm_serve_copy_memory, a);
    pool_channel_serve(channel, "vm_lock", vm_serve_lock, a);
    pool_channel_serve(channel, "store", vm_serve_store, a);
    pool_channel_serve(channel, "vm_forget", vm_serve_forget, a);
    pool_channel_serve(channel, "vm_abort", vm_serve_abort, a);
    vm_transfers_serve(a, channel);
    pool_channel_serve(channel, "vm_admitted", vm_serve_admitted, a);
    pool_channel_serve(channel, "disk_serve", vm_serve_disk_serve, a);
    pool_channel_serve(channel, "disk_send", vm_serve_disk_send, a);
    pool_channel_serve(channel, "disk_stop", vm_serve_disk_stop, a);
    pool_channel_serve(channel, "disk_whole", vm_serve_disk_whole, a);
    pool_channel_serve(channel, "disk_path", vm_serve_disk_path, a);
    a->channel = channel;
}

void vm_agent_free(struct vm_agent *a) {
    if (!a)
        return;
    a->is_freed = true;
    loop_source_free(a->timer);
    vm_agent_unwatch_pbds(a);
    vm_locks_stop(a->locks);
    vm_guests_stop(a->guests);
    db_watch_free(a->watch);
    worker_free(a->storage);
    vm_admits_free(a); /* a request of each waits for memory */
    virt_free(a->virt);
    vm_locks_free(a->locks);
    vm_guests_free(a->guests);
    vm_disk_askings_free(a);
    vm_disk_copies_free(a);
    vm_disk_whole_forget(a, NULL);
    vm_leavings_free(a);
    vm_fars_free(a);
    vm_arrivals_free(a);
    vm_transfers_free(a);
    vm_keys_free(a);
    while (a->busy) {
        struct vm_busy *b = a->busy;
        a->busy = b->next;
        free(b);
    }
    free(a->strangers);
    free(a->running);
    free(a->gates);
    free(a->state_dir);
    free(a->run_dir);
    free(a->virtd_path);
    free(a);
}
