/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases of disks that other hosts could write (store/store_lease.h, docs/decisions/0010). Taken before a VM starts,
 * or before a disk is plugged in; given back when what runs here no longer stands for them. That is decided from the
 * hypervisor's list alone, so a host that has lost its pool keeps what it has, and gives back what it no longer needs.
 */
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define COUNT_MAX 32 /* bytes of a file with a number */

/* ---- the generation ---- */

static int64_t read_count(const char *path) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    int64_t n;
    if (fs_read(path, COUNT_MAX, &text) < 0)
        return 0;
    char *end = strchr(text.data ? text.data : (char *)"", '\n');
    if (end)
        *end = '\0';
    return str_parse_int(buf_str(&text), 1, INT64_MAX - 1, &n) ? n : 0;
}

static int write_count(const char *path, int64_t n) {
    _cleanup_free_ char *text = strf("%lld\n", (long long)n);
    return fs_write_atomic(path, text, strlen(text), 0600);
}

/* The folder for what runs is empty after a boot; the other one outlives it. */
void vm_leases_init(struct vm_agent *a) {
    _cleanup_free_ char *now = strf("%s/vm-generation", a->run_dir), *last = strf("%s/vm-generation", a->state_dir);
    a->leases_due = true;
    a->generation = read_count(now);
    if (a->generation > 0)
        return;
    int64_t next = read_count(last) + 1;
    int r = write_count(last, next); /* first: a number is never used twice */
    if (r == 0)
        r = write_count(now, next);
    if (r == 0)
        a->generation = next;
    else
        log_err("the boots of this host cannot be counted in '%s' (%s): no storage that hosts share is used", last,
                strerror(-r));
}

void vm_leases_sign(const struct vm_agent *a, struct value *args) {
    value_map_put(args, "host", value_uuid(&a->self));
    value_map_put(args, "generation", value_int(a->generation));
    value_map_put(args, "run", value_uuid(&a->run));
    value_map_put(args, "parent", value_int(getpid()));
    vm_login_sign(a, args);
}

/* ---- one question to the storage ---- */

struct leasing {
    struct vm_agent *a;
    char *op;
    struct uuid vm;
    struct value args, rest; /* `rest`: what is still to be asked for, as specs of disks have it in `shared` */
    struct value result;
    uint64_t stamp; /* of a sweep's list */
    bool is_late;
    struct value *disks; /* of the spec, to be told what its images go on from; may be NULL */
    struct error *error;
    vm_leases_fn *fn;
    void *userdata;
};

static void end(struct leasing *l) {
    if (l->fn)
        l->fn(l->error, l->userdata);
    value_done(&l->args);
    value_done(&l->rest);
    value_done(&l->result);
    error_free(l->error);
    free(l->op);
    free(l);
}

static void lease_job(void *data) {
    struct leasing *l = data;
    struct value result;
    if (store_run(l->op, &l->args, &result, &l->error))
        l->result = result;
}

static const struct value *shared_of(const struct value *disk) {
    const struct value *v = disk->type == VALUE_MAP ? value_map_get(disk, "shared") : NULL;
    return v && v->type == VALUE_MAP && value_map_str(v, "sr") && value_map_str(v, "vdi") && value_map_str(v, "path")
               ? v
               : NULL;
}

/* The files of a chain, as QEMU names them: it would look for them itself, but not as the one who may read them. */
static void put_backing(struct value *disk, const struct value *chains) {
    const struct value *shared = shared_of(disk);
    const struct value *chain = shared ? value_map_get(chains, value_map_str(shared, "vdi")) : NULL;
    if (!chain || chain->type != VALUE_SET)
        return;
    struct value files = value_set();
    for (size_t i = 0; i < chain->set.n; i++)
        value_set_add(&files, value_stringf("%s/%s", value_map_str(shared, "path"), value_str(&chain->set.items[i])));
    value_map_put(disk, "backing", files);
}

/* Where QEMU finds a LUN now; its number at the target may have changed since the last scan. */
static void put_source(const struct leasing *l, struct value *disk, const struct value *sources) {
    const struct value *shared = shared_of(disk);
    const char *source = shared ? value_map_str(sources, value_map_str(shared, "vdi")) : NULL;
    if (!source)
        return;
    value_map_put(disk, "path", value_string(source));
    value_map_put(disk, "initiator", value_string(str_or_empty(value_map_str(&l->args, "initiator"))));
}

static void tell_spec(struct leasing *l) {
    static const struct value none = {.type = VALUE_MAP};
    const struct value *chains = value_map_get(&l->result, "chains"), *sources = value_map_get(&l->result, "sources");
    if (!l->disks || !chains || chains->type != VALUE_MAP)
        return;
    size_t n = l->disks->type == VALUE_SET ? l->disks->set.n : 1;
    for (size_t i = 0; i < n; i++) {
        struct value *disk = l->disks->type == VALUE_SET ? &l->disks->set.items[i] : l->disks;
        put_backing(disk, chains);
        put_source(l, disk, sources && sources->type == VALUE_MAP ? sources : &none);
    }
}

static void next_repository(struct leasing *l);

static void lease_done(void *data) {
    struct leasing *l = data;
    if (l->error && !l->a->is_freed)
        vm_leases_explain(l->a, &l->error);
    if (l->error && !l->fn) {
        log_warn("a lease could not be given back, the next look tries again: %s", error_text(l->error));
        l->a->leases_due = true;
    }
    if (!l->error && !l->a->is_freed)
        tell_spec(l);
    if (l->error || l->a->is_freed || l->rest.set.n == 0)
        end(l);
    else
        next_repository(l);
}

/* The disks of one repository at a time, with one question. */
static void next_repository(struct leasing *l) {
    struct value disks = value_set(), vdis = value_set(), rest = value_set();
    const struct value *first = &l->rest.set.items[0];
    _cleanup_free_ char *sr = xstrdup(value_map_str(first, "sr"));
    value_done(&l->args);
    value_done(&l->result);
    l->args = value_map();
    value_map_add(&l->args, "path", value_string(value_map_str(first, "path")));
    value_map_add(&l->args, "sr", value_string(sr));
    vm_leases_sign(l->a, &l->args);
    value_map_add(&l->args, "vm", value_uuid(&l->vm));
    for (size_t i = 0; i < l->rest.set.n; i++) {
        struct value *d = &l->rest.set.items[i];
        bool is_now = str_eq(value_map_str(d, "sr"), sr);
        if (is_now)
            value_set_add(&vdis, value_string(value_map_str(d, "vdi")));
        value_set_add(is_now ? &disks : &rest, value_copy(d));
    }
    value_map_add(&l->args, "vdis", vdis);
    value_map_add(&l->args, "disks", disks);
    value_done(&l->rest);
    l->rest = rest;
    worker_submit(l->a->storage, sr, lease_job, lease_done, l);
}

static void add_shared(struct value *all, const struct value *disk) {
    const struct value *shared = shared_of(disk);
    if (shared)
        value_set_add(all, value_copy(shared));
}

static struct value all_shared(const struct value *disks) {
    struct value all = value_set();
    for (size_t i = 0; disks && disks->type == VALUE_SET && i < disks->set.n; i++)
        add_shared(&all, &disks->set.items[i]);
    if (disks && disks->type == VALUE_MAP)
        add_shared(&all, disks);
    return all;
}

static void ask(struct leasing l) {
    struct leasing *heap = xnew0(struct leasing);
    *heap = l;
    if (heap->rest.set.n == 0)
        end(heap);
    else
        next_repository(heap);
}

void vm_leases_take(struct vm_agent *a, const struct uuid *vm, struct value *disks, vm_leases_fn *fn, void *userdata) {
    ask((struct leasing){.a = a,
                         .op = xstrdup("open"),
                         .vm = *vm,
                         .rest = all_shared(disks),
                         .disks = disks,
                         .fn = fn,
                         .userdata = userdata});
}

void vm_leases_release(struct vm_agent *a, const struct uuid *vm, const struct value *disk) {
    ask((struct leasing){.a = a, .op = xstrdup("lease_release"), .vm = *vm, .rest = all_shared(disk)});
}

/* ---- what is held for nothing ---- */

static void sweep_job(void *data) {
    struct leasing *l = data;
    l->is_late = !sweep_enter(&l->a->gate, l->stamp);
    if (!l->is_late)
        lease_job(l);
    sweep_leave(&l->a->gate);
}

static void sweep_done(void *data) {
    struct leasing *l = data;
    struct vm_agent *a = l->a;
    const struct value *n = l->error ? NULL : value_map_get(&l->result, "n");
    a->sweeping = false;
    vm_transfers_swept(a);
    if (l->is_late) {
        a->leases_due = true;
    } else if (l->error) {
        log_info("leases cannot be given back yet: %s", error_text(l->error));
        a->leases_due = true;
    } else if (n && value_as_int(n) > 0) {
        log_info("leases of %lld disks given back", (long long)value_as_int(n));
    }
    if (a->sweep_again && !a->is_freed)
        vm_agent_look(a);
    a->sweep_again = false;
    end(l);
}

static bool is_running(const struct vm_agent *a, const struct uuid *vm) {
    for (size_t i = 0; i < a->n_running; i++)
        if (uuid_eq(&a->running[i], vm))
            return true;
    return false;
}

/* Every repository that hosts share and this one has. The set of VMs is made now, and what is taken for a VM from now
 * on comes after it in the queue of its repository; transfers, which are in no queue, have the gate. So a lease that
 * was just taken is never swept. */
static void sweep(struct vm_agent *a) {
    struct value running = value_set();
    a->leases_due = false;
    for (size_t i = 0; i < a->n_running; i++)
        value_set_add(&running, value_uuid(&a->running[i]));
    for (const struct vm_busy *b = a->busy; b; b = b->next) {
        value_set_add(&running, value_uuid(&b->vm));
        a->leases_due |= !is_running(a, &b->vm); /* it may be ending: the next list tells */
    }
    vm_arrivals_add(a, &running);
    vm_transfers_add(a, &running);
    for (const struct row *pbd = db_first(a->db, CLASS_PBD); pbd; pbd = db_next(a->db, pbd)) {
        const struct row *sr = db_follow(a->db, pbd, FIELD_PBD_SR);
        if (!sr || !uuid_eq(row_ref(pbd, FIELD_PBD_host), &a->self) || !row_bool(pbd, FIELD_PBD_currently_attached))
            continue;
        _cleanup_free_ char *place =
            store_place(row_str(sr, FIELD_SR_type), row_value(pbd, FIELD_PBD_device_config), &sr->uuid);
        if (!store_place_is_shared(place) || !store_type_has_leases(row_str(sr, FIELD_SR_type)))
            continue;
        struct leasing *l = xnew0(struct leasing);
        *l = (struct leasing){.a = a,
                              .op = xstrdup("lease_sweep"),
                              .args = value_map(),
                              .rest = value_set(),
                              .stamp = sweep_stamp(&a->gate)};
        value_map_add(&l->args, "path", value_string(place));
        value_map_add(&l->args, "sr", value_uuid(&sr->uuid));
        vm_leases_sign(a, &l->args);
        value_map_add(&l->args, "running", value_copy(&running));
        a->sweeping = true;
        worker_submit(a->storage, row_str(sr, FIELD_SR_uuid), sweep_job, sweep_done, l);
    }
    value_done(&running);
}

void vm_leases_look(struct vm_agent *a) {
    a->leases_due = true;
}

void vm_leases_listed(struct vm_agent *a, const struct virt_domain *domains, size_t n) {
    for (size_t i = 0; i < a->n_running && !a->leases_due; i++) {
        bool is_there = false;
        for (size_t k = 0; k < n && !is_there; k++)
            is_there = uuid_eq(&a->running[i], &domains[k].uuid);
        a->leases_due |= !is_there;
    }
    free(a->running);
    a->running = xcalloc(n + 1, sizeof(*a->running));
    a->n_running = n;
    for (size_t i = 0; i < n; i++)
        a->running[i] = domains[i].uuid;
    a->sweep_again = a->leases_due && a->sweeping;
    if (a->leases_due && !a->sweeping && a->generation > 0 && db_get_status(a->db).loaded)
        sweep(a);
}

/* ---- who has it, in words ---- */

void vm_leases_explain(const struct vm_agent *a, struct error **e) {
    struct uuid vdi, host, vm = {0};
    char ref[REF_TEXT_SIZE];
    if (!error_is(*e, ERR_VDI_IN_USE) || !str_eq(error_param(*e, 1), "lease") ||
        !uuid_parse(error_param(*e, 0), &vdi) || !uuid_parse(error_param(*e, 2), &host) ||
        !uuid_parse(error_param(*e, 3), &vm))
        return;
    const struct row *h = db_get(a->db, CLASS_host, &host), *v = db_get(a->db, CLASS_VM, &vm);
    const char *host_name = h ? row_str(h, FIELD_host_name_label) : "that this pool does not know";
    _cleanup_free_ char *what = uuid_is_null(&vm) ? xstrdup("work on the disk itself")
                                : v ? strf("VM '%s' (%s)", row_str(v, FIELD_VM_name_label), error_param(*e, 3))
                                    : strf("VM %s", error_param(*e, 3));
    _cleanup_free_ char *text =
        strf("host '%s' (%s) holds the lease of the disk for %s. If that host is off for good: xe host-declare-dead "
             "uuid=%s",
             host_name, error_param(*e, 2), what, error_param(*e, 2));
    struct error *clear = NULL;
    error_set(&clear, ERR_VDI_IN_USE, ref_text(&vdi, ref), text, NULL);
    error_free(*e);
    *e = clear;
}
