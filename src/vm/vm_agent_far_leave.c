/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that run here and go to another pool (docs/decisions/0020). QEMU sends; when all has been sent the guest stands
 * still, and what becomes of it is read from its row: the record goes and the VM is this host's (it goes on), or the
 * row goes (what stands here ends). A note on the disk says which VMs are meant, for the next daemon: a guest that
 * stands still is not one that somebody has paused.
 *
 * Calls (arguments -> result):
 *   vm_machine   vm -> machine: JSON
 *   vm_far_send  vm, id, address, name (in the certificates there), authority, memory_port, disks: set of {device,
 *                name (of the export), port}, mib_per_s, stall_ms: answered when all of it has been sent. After an
 * error it goes on here.
 */
#include <dirent.h>

#include "base/fs.h"
#include "base/str.h"
#include "virt/virt_kvm.h"
#include "vm/vm_agent_move.h"
#include "wire/value_json.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define REPORT_MS 1000
#define NOTES_MAX 64

struct vm_far {
    struct vm_agent *a;
    struct uuid vm;
    char id[VM_MOVE_ID_SIZE];
    struct pool_reply *reply; /* until it is answered */
    struct virt_flight *flight;
    char *folder; /* of its keys */
    struct loop_source *ticker;
    struct error *why;
    bool is_at_work; /* being undone, or ended */
    bool was_named;  /* its row has had the record: rows of other hosts come late */
    uint64_t since_ms;
    struct vm_far *next;
};

static struct vm_far *far_of(const struct vm_agent *a, const struct uuid *vm) {
    struct vm_far *f = a->fars;
    while (f && !uuid_eq(&f->vm, vm))
        f = f->next;
    return f;
}

bool vm_far_is_leaving(const struct vm_agent *a, const struct uuid *vm) {
    return far_of(a, vm) != NULL;
}

/* ---- notes ---- */

static char *note_path(const struct vm_agent *a, const struct uuid *vm) {
    char text[UUID_TEXT_SIZE];
    return strf("%s/vm-leaving/%s", a->state_dir, uuid_text(vm, text));
}

static bool note(const struct vm_far *f, struct error **errp) {
    _cleanup_free_ char *path = note_path(f->a, &f->vm), *dir = strf("%s/vm-leaving", f->a->state_dir);
    int r = fs_mkdirs(dir, 0700);
    if (r == 0)
        r = fs_write_atomic(path, f->id, strlen(f->id), 0600);
    if (r < 0)
        error_errno(errp, r, "writing '%s'", path);
    return r == 0;
}

static struct vm_far *far_new(struct vm_agent *a, const struct uuid *vm, const char *id) {
    struct vm_far *f = xnew0(struct vm_far);
    *f = (struct vm_far){.a = a, .vm = *vm, .since_ms = loop_now_ms(a->loop), .next = a->fars};
    (void)str_copy(f->id, sizeof(f->id), id);
    a->fars = f;
    return f;
}

static void far_free(struct vm_far *f) {
    loop_source_free(f->ticker);
    virt_flight_free(f->flight);
    vm_keys_remove(f->folder);
    error_free(f->why);
    free(f->folder);
    free(f);
}

void vm_fars_load(struct vm_agent *a) {
    _cleanup_free_ char *dir = strf("%s/vm-leaving", a->state_dir);
    DIR *d = opendir(dir);
    unsigned n = 0;
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) && n < NOTES_MAX; n++) {
        _cleanup_free_ char *path = strf("%s/%s", dir, e->d_name);
        _cleanup_buf_ struct buf id = BUF_INIT;
        _cleanup_error_ struct error *busy = NULL;
        struct uuid vm;
        if (uuid_parse(e->d_name, &vm) && fs_read(path, VM_MOVE_ID_SIZE, &id) == 0 && vm_agent_begin(a, &vm, &busy))
            far_new(a, &vm, buf_str(&id))->was_named = true;
    }
    closedir(d);
}

void vm_fars_free(struct vm_agent *a) {
    while (a->fars) {
        struct vm_far *f = a->fars;
        a->fars = f->next;
        far_free(f);
    }
}

/* Nothing is to be done about it any more. */
static void finish(struct vm_far *f) {
    struct vm_agent *a = f->a;
    struct uuid vm = f->vm;
    _cleanup_free_ char *path = note_path(a, &vm);
    for (struct vm_far **at = &a->fars; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    (void)fs_unlink(path);
    if (f->ticker) /* it has been reported on */
        db_volatile_set(a->db, &a->self, CLASS_VM, &vm, FIELD_VM_migration_report, value_map());
    if (f->reply)
        pool_reply_fail(f->reply, TAKE(f->why));
    far_free(f);
    vm_agent_end(a, &vm);
}

/* ---- undoing, ending ---- */

struct step { /* survives what it is about */
    struct vm_agent *a;
    struct uuid vm;
};

static struct step *step_new(const struct vm_far *f) {
    struct step *s = xnew0(struct step);
    *s = (struct step){.a = f->a, .vm = f->vm};
    return s;
}

static struct vm_far *step_take(struct step *s) {
    struct vm_far *f = s->a->is_freed ? NULL : far_of(s->a, &s->vm);
    free(s);
    if (f)
        f->is_at_work = false;
    return f;
}

static void on_cleaned(struct error *error, void *userdata) {
    struct vm_far *f = step_take(userdata);
    char text[UUID_TEXT_SIZE];
    if (!f)
        return;
    if (error) {
        log_warn("VM '%s', which does not go to another pool, could not be let go on yet: %s", uuid_text(&f->vm, text),
                 error_text(error));
        return; /* the next look tries again */
    }
    log_notice("VM '%s' does not go to another pool and goes on here%s%s", uuid_text(&f->vm, text), f->why ? ": " : "",
               f->why ? error_text(f->why) : "");
    finish(f);
}

static void back(struct vm_far *f) {
    const struct row *vm = db_get(f->a->db, CLASS_VM, &f->vm);
    bool lets_run = vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &f->a->self) &&
                    str_eq(row_str(vm, FIELD_VM_power_state), "Running");
    f->is_at_work = true;
    virt_far_clean(f->a->virt, &f->vm, lets_run, on_cleaned, step_new(f));
}

static void on_ended(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct vm_far *f = step_take(userdata);
    char text[UUID_TEXT_SIZE];
    if (!f || error)
        return;
    log_notice("VM '%s' is in another pool; what stood still here has ended", uuid_text(&f->vm, text));
    finish(f);
}

/* ---- looking ---- */

static void look_at(struct vm_far *f, const struct virt_domain *d) {
    struct vm_agent *a = f->a;
    const struct row *vm = db_get(a->db, CLASS_VM, &f->vm);
    const struct value *record = vm ? row_value(vm, FIELD_VM_migration) : NULL;
    struct far_facts facts = {.has_row = vm != NULL,
                              .is_mine = vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self),
                              .is_named = record && vm_record_is_far(record) && str_eq(vm_record_id(record), f->id),
                              .is_listed = true,
                              .here = d && d->state == VIRT_PAUSED ? VM_STANDS
                                      : d                          ? VM_RUNS
                                                                   : VM_ABSENT};
    f->was_named |= facts.is_named;
    facts.is_named |= !f->was_named && loop_now_ms(a->loop) - f->since_ms < VM_MOVE_GRACE_MS;
    enum far_step step = vm_far_step(&facts);
    if (f->is_at_work)
        return;
    if (f->flight) { /* it ends first */
        if (step != FAR_WAIT)
            virt_flight_abort(f->flight);
        return;
    }
    switch (step) {
    case FAR_WAIT:
        if (f->reply) /* it has failed, and could not be undone at once */
            back(f);
        return;
    case FAR_BACK:
        back(f);
        return;
    case FAR_END:
        f->is_at_work = true;
        virt_ask(a->virt, (struct virt_request){.op = VIRT_DESTROY, .vm = f->vm}, on_ended, step_new(f));
        return;
    case FAR_OVER:
        finish(f);
        return;
    }
}

void vm_fars_look(struct vm_agent *a, const struct virt_domain *domains, size_t n) {
    for (struct vm_far *f = a->fars, *next; f; f = next) {
        const struct virt_domain *d = NULL;
        next = f->next;
        for (size_t i = 0; i < n && !d; i++)
            d = uuid_eq(&domains[i].uuid, &f->vm) ? &domains[i] : NULL;
        if (!d || !d->is_dying)
            look_at(f, d);
    }
}

void vm_fars_stop(struct vm_agent *a, const char *id) {
    for (struct vm_far *f = a->fars; f; f = f->next)
        if (f->flight && str_eq(f->id, id))
            virt_flight_abort(f->flight);
}

/* ---- sending ---- */

static void report(struct vm_far *f) {
    struct virt_job job = virt_flight_job(f->flight);
    struct value v = value_map();
    value_map_add(&v, "id", value_string(f->id));
    value_map_add(&v, "processed", value_stringf("%llu", (unsigned long long)job.processed));
    value_map_add(&v, "remaining", value_stringf("%llu", (unsigned long long)job.remaining));
    db_volatile_set(f->a->db, &f->a->self, CLASS_VM, &f->vm, FIELD_VM_migration_report, v);
}

static void on_tick(struct loop_source *s, void *userdata) {
    struct vm_far *f = userdata;
    if (!f->flight)
        return;
    report(f);
    loop_timer_set(f->ticker, REPORT_MS);
}

static void on_flown(struct error *error, bool was_aborted, void *userdata) {
    struct vm_far *f = userdata;
    virt_flight_free(TAKE(f->flight));
    if (!error) {
        pool_reply_return(TAKE(f->reply), value_bool(true));
        vm_agent_look(f->a); /* what its row says by now */
        return;
    }
    f->why = error_dup(error);
    back(f); /* nobody has been told that it stands still, so nobody else lets it run */
}

static uint64_t int_of(const struct value *args, const char *key, uint64_t max) {
    const struct value *v = value_map_get(args, key);
    int64_t n = v ? value_as_int(v) : 0;
    return n > 0 ? MIN((uint64_t)n, max) : 0;
}

static bool read_far(const struct value *args, struct virt_far *ret, struct error **errp) {
    const struct value *disks = value_map_get(args, "disks");
    const char *address = str_or_empty(value_map_str(args, "address")), *name = value_map_str(args, "name");
    struct uuid u;
    uint64_t stall_ms = int_of(args, "stall_ms", 3600000);
    bool ok = disks && disks->type == VALUE_SET && disks->set.n <= VIRT_MOVE_DISKS_MAX && *address && name &&
              uuid_parse(name, &u);
    ret->memory_port = (unsigned)int_of(args, "memory_port", UINT16_MAX);
    ok = ok && ret->memory_port;
    for (size_t i = 0; ok && i < disks->set.n; i++)
        ok = value_map_str(&disks->set.items[i], "device") && value_map_uuid(&disks->set.items[i], "name", &u) &&
             int_of(&disks->set.items[i], "port", UINT16_MAX);
    if (!ok) {
        error_internal(errp, "the request does not say where the VM is to go");
        return false;
    }
    ret->address = xstrdup(address);
    ret->tls_name = xstrdup(name);
    ret->mib_per_s = (unsigned)int_of(args, "mib_per_s", 1 << 20);
    ret->stall_ms = stall_ms ? MAX(stall_ms, (uint64_t)VM_STALL_MIN_MS) : VM_STALL_MS;
    ret->is_emulated = virt_kvm_trouble() != NULL;
    ret->disks = xcalloc(disks->set.n + 1, sizeof(*ret->disks));
    for (size_t i = 0; i < disks->set.n; i++)
        ret->disks[ret->n_disks++] =
            (struct virt_far_disk){.device = xstrdup(value_map_str(&disks->set.items[i], "device")),
                                   .name = xstrdup(value_map_str(&disks->set.items[i], "name")),
                                   .port = (unsigned)int_of(&disks->set.items[i], "port", UINT16_MAX)};
    return true;
}

static bool has_room(const struct vm_agent *a, struct error **errp) {
    size_t n = 0;
    for (const struct vm_far *f = a->fars; f; f = f->next)
        n += f->reply != NULL; /* one that only stands, and waits for what its row says, takes nothing of the path */
    if (n < VM_FAR_MAX)
        return true;
    error_set(errp, ERR_TOO_MANY_STORAGE_MIGRATES, "2", NULL);
    return false;
}

void vm_serve_far_send(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    const char *id = str_or_empty(value_map_str(args, "id"));
    struct virt_far far = {0};
    struct error *e = NULL;
    if (!vm_check_up(a, &e) || !vm_args_vm(args, &far.vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    if (strlen(id) < 8 || strlen(id) >= VM_MOVE_ID_SIZE || strchr(id, '/')) {
        error_internal(&e, "the request does not say which move this is");
        pool_reply_fail(reply, e);
        return;
    }
    if (!has_room(a, &e) || !vm_agent_begin(a, &far.vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    struct vm_far *f = far_new(a, &far.vm, id);
    f->reply = reply;
    f->folder = vm_keys_inside(a, id, str_or_empty(value_map_str(args, "authority")), &far.keys, &f->why);
    if (!f->folder || !note(f, &f->why) || !read_far(args, &far, &f->why)) {
        free(far.keys);
        finish(f);
        return;
    }
    f->ticker = loop_add_timer(a->loop, REPORT_MS, on_tick, f);
    f->flight = virt_far_send(a->virt, far, on_flown, f);
}

/* ---- what its guest sees ---- */

struct asked {
    struct vm_agent *a;
    struct pool_reply *reply;
};

static void on_machine(struct error *error, const struct value *machine, void *userdata) {
    struct asked *q = userdata;
    if (q->a->is_freed) {
        ;
    } else if (error) {
        pool_reply_fail(q->reply, error_dup(error));
    } else {
        struct value result = value_map();
        _cleanup_buf_ struct buf text = BUF_INIT;
        value_json_emit(&text, machine);
        value_map_add(&result, "machine", value_string(buf_str(&text)));
        pool_reply_return(q->reply, result);
    }
    free(q);
}

void vm_serve_machine(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct uuid vm;
    struct error *e = NULL;
    if (!vm_check_up(a, &e) || !vm_args_vm(args, &vm, &e)) {
        pool_reply_fail(reply, e);
        return;
    }
    struct asked *q = xnew0(struct asked);
    *q = (struct asked){a, reply};
    virt_machine(a->virt, &vm, on_machine, q);
}
