/* SPDX-License-Identifier: Apache-2.0 */
/* VMs that come to this host: room is made, a note kept, the VM let run when it is this host's, or all of it removed.
 */
#include <dirent.h>

#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
#include "vm/vm_agent_move.h"
#include "wire/value_json.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define NOTE_MAX 65536
#define NOTES_MAX 256

enum vm_here vm_here_of(const struct virt_domain *d) {
    if (!d)
        return VM_ABSENT;
    return d->is_arriving ? VM_ARRIVING : d->state == VIRT_PAUSED ? VM_STANDS : VM_RUNS;
}

/* libvirt says of a guest whose memory came through a pipe, until it runs, that it is arriving; and of one whose QEMU
 * is just ending, that it runs: taken at its word, what was prepared for it would stay. */
enum vm_here vm_arrival_here(const struct vm_arrival *r, const struct virt_domain *d) {
    if (d && d->is_dying)
        return VM_ARRIVING;
    enum vm_here here = vm_here_of(d);
    return here == VM_ARRIVING && r->is_whole ? VM_STANDS : here;
}

struct vm_arrival *vm_arrival_of(const struct vm_agent *a, const struct uuid *vm) {
    struct vm_arrival *r = a->arrivals;
    while (r && !uuid_eq(&r->vm, vm))
        r = r->next;
    return r;
}

bool vm_is_arriving(const struct vm_agent *a, const struct uuid *vm) {
    return vm_arrival_of(a, vm) != NULL;
}

void vm_arrivals_add(const struct vm_agent *a, struct value *vms) {
    for (const struct vm_arrival *r = a->arrivals; r; r = r->next)
        value_set_add(vms, value_uuid(&r->vm));
}

/* ---- notes: they outlive this daemon and the power ---- */

static char *folder(const struct vm_agent *a) {
    return strf("%s/vm-arriving", a->state_dir);
}

static char *note_path(const struct vm_agent *a, const struct uuid *vm) {
    char text[UUID_TEXT_SIZE];
    return strf("%s/vm-arriving/%s.json", a->state_dir, uuid_text(vm, text));
}

bool vm_arrival_note(const struct vm_agent *a, const struct vm_arrival *r, struct error **errp) {
    _cleanup_free_ char *path = note_path(a, &r->vm), *dir = folder(a);
    _cleanup_value_ struct value note = value_map();
    _cleanup_buf_ struct buf text = BUF_INIT;
    value_map_add(&note, "id", value_string(r->id));
    value_map_add(&note, "disks", value_copy(&r->disks));
    value_map_add(&note, "is_whole", value_bool(r->is_whole));
    value_json_emit(&text, &note);
    int e = fs_mkdirs(dir, 0700);
    if (e == 0)
        e = fs_write_atomic(path, text.data, text.size, 0600);
    if (e < 0)
        error_errno(errp, e, "writing '%s'", path);
    return e == 0;
}

static void forget(struct vm_agent *a, struct vm_arrival *r) {
    _cleanup_free_ char *path = note_path(a, &r->vm);
    for (struct vm_arrival **at = &a->arrivals; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    (void)fs_unlink(path);
    value_done(&r->disks);
    free(r);
    vm_leases_look(a); /* one may have been passed to this host for nothing */
}

struct vm_arrival *vm_arrival_add(struct vm_agent *a, const struct uuid *vm, const char *id,
                                  const struct value *disks) {
    struct vm_arrival *r = xnew0(struct vm_arrival);
    *r = (struct vm_arrival){.vm = *vm, .since_ms = loop_now_ms(a->loop), .next = a->arrivals};
    (void)str_copy(r->id, sizeof(r->id), id);
    r->disks = disks && disks->type == VALUE_SET ? value_copy(disks) : value_set();
    a->arrivals = r;
    return r;
}

static void load_note(struct vm_agent *a, const char *name) {
    _cleanup_free_ char *stem = xstrdup(name), *path = strf("%s/vm-arriving/%s", a->state_dir, name);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_value_ struct value note = {.type = VALUE_VOID};
    _cleanup_error_ struct error *e = NULL;
    char *dot = strchr(stem, '.');
    struct uuid vm;
    if (!dot || !str_eq(dot, ".json"))
        return;
    *dot = '\0';
    if (!uuid_parse(stem, &vm) || fs_read(path, NOTE_MAX, &text) < 0 ||
        !value_json_parse(buf_str(&text), text.size, 8, 4096, &note, &e) || note.type != VALUE_MAP)
        log_warn("'%s' cannot be read; disks of a VM that was to come here may be left behind", path);
    else {
        const struct value *is_whole = value_map_get(&note, "is_whole");
        struct vm_arrival *r =
            vm_arrival_add(a, &vm, str_or_empty(value_map_str(&note, "id")), value_map_get(&note, "disks"));
        r->was_named = true;
        r->is_whole = is_whole && value_as_bool(is_whole);
    }
}

void vm_arrivals_load(struct vm_agent *a) {
    _cleanup_free_ char *dir = folder(a);
    DIR *d = opendir(dir);
    unsigned n = 0;
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) && n < NOTES_MAX; n++)
        load_note(a, e->d_name);
    closedir(d);
}

void vm_arrivals_free(struct vm_agent *a) {
    while (a->arrivals) {
        struct vm_arrival *r = a->arrivals;
        a->arrivals = r->next;
        value_done(&r->disks);
        free(r);
    }
}

/* ---- removing what was prepared ---- */

struct cleaning {
    struct vm_agent *a;
    struct uuid vm;
    struct value disks;
};

static void clean_run(void *data) {
    struct cleaning *c = data;
    for (size_t i = 0; i < c->disks.set.n; i++) {
        _cleanup_value_ struct value ignored = {.type = VALUE_VOID};
        _cleanup_error_ struct error *e = NULL;
        (void)!store_run("vdi_destroy", &c->disks.set.items[i], &ignored, &e);
    }
}

static void clean_done(void *data) {
    struct cleaning *c = data;
    struct vm_arrival *r = c->a->is_freed ? NULL : vm_arrival_of(c->a, &c->vm);
    char text[UUID_TEXT_SIZE];
    if (r) {
        log_notice("VM '%s' has not come here; what was prepared for it is gone", uuid_text(&c->vm, text));
        forget(c->a, r);
    }
    value_done(&c->disks);
    free(c);
}

/* A disk that rows name by now is nobody's to remove. */
static struct value disks_of_nobody(struct vm_agent *a, const struct vm_arrival *r) {
    struct value disks = value_set();
    for (size_t i = 0; i < r->disks.set.n; i++) {
        struct uuid vdi;
        if (value_map_uuid(&r->disks.set.items[i], "vdi", &vdi) && !db_get(a->db, CLASS_VDI, &vdi))
            value_set_add(&disks, value_copy(&r->disks.set.items[i]));
    }
    return disks;
}

static void on_destroyed(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct cleaning *c = userdata;
    struct vm_arrival *r = c->a->is_freed ? NULL : vm_arrival_of(c->a, &c->vm);
    if (!r || error) { /* with an error: at the next look */
        if (r)
            r->is_at_work = false;
        free(c);
        return;
    }
    c->disks = disks_of_nobody(c->a, r);
    worker_submit(c->a->storage, "arrivals", clean_run, clean_done, c);
}

static void clean(struct vm_agent *a, struct vm_arrival *r) {
    struct cleaning *c = xnew0(struct cleaning);
    *c = (struct cleaning){.a = a, .vm = r->vm};
    r->is_at_work = true;
    vm_admits_stop(a, r->id); /* requests about a VM run in order: one may wait for its memory */
    virt_ask(a->virt, (struct virt_request){.op = VIRT_DESTROY, .vm = r->vm}, on_destroyed, c);
}

/* ---- letting it run ---- */

struct running {
    struct vm_agent *a;
    struct uuid vm;
};

static void on_runs(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct running *g = userdata;
    struct vm_agent *a = g->a;
    struct vm_arrival *r = a->is_freed ? NULL : vm_arrival_of(a, &g->vm);
    const struct row *vm = a->is_freed ? NULL : db_get(a->db, CLASS_VM, &g->vm);
    char text[UUID_TEXT_SIZE];
    free(g);
    if (!r)
        return;
    r->is_at_work = false;
    if (error) { /* the next look tries again */
        log_warn("VM '%s' has come here and could not be let run yet: %s", uuid_text(&r->vm, text), error_text(error));
        return;
    }
    log_notice("VM '%s' has come here and runs", vm ? row_str(vm, FIELD_VM_name_label) : uuid_text(&r->vm, text));
    vm_rows_started(a, &r->vm);
    if (domain)
        vm_rows_measure(a, &r->vm, domain);
    forget(a, r);
    vm_agent_look(a);
}

static void let_run(struct vm_agent *a, struct vm_arrival *r) {
    struct running *g = xnew0(struct running);
    *g = (struct running){.a = a, .vm = r->vm};
    r->is_at_work = true;
    virt_ask(a->virt, (struct virt_request){.op = VIRT_UNPAUSE, .vm = r->vm}, on_runs, g);
}

static void look_at(struct vm_agent *a, struct vm_arrival *r, const struct virt_domain *d) {
    const struct row *vm = db_get(a->db, CLASS_VM, &r->vm);
    const struct value *record = vm ? row_value(vm, FIELD_VM_migration) : NULL;
    struct uuid to = record ? vm_record_host(record) : (struct uuid){0};
    struct arrival_facts f = {.is_mine = vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self),
                              .is_named = record && uuid_eq(&to, &a->self) && str_eq(vm_record_id(record), r->id),
                              .is_to_run = vm && str_eq(row_str(vm, FIELD_VM_power_state), "Running"),
                              .here = vm_arrival_here(r, d),
                              .age_ms = loop_now_ms(a->loop) - r->since_ms};
    r->was_named |= f.is_named;
    f.was_named = r->was_named || r->is_over;
    if (r->is_at_work)
        return;
    switch (vm_arrival_step(&f)) {
    case ARRIVAL_WAIT:
        return;
    case ARRIVAL_RUN:
        let_run(a, r);
        return;
    case ARRIVAL_OVER:
        forget(a, r);
        vm_agent_look(a);
        return;
    case ARRIVAL_CLEAN:
        clean(a, r);
        return;
    }
}

void vm_arrivals_look(struct vm_agent *a, const struct virt_domain *domains, size_t n) {
    for (struct vm_arrival *r = a->arrivals, *next; r; r = next) {
        const struct virt_domain *d = NULL;
        next = r->next;
        for (size_t i = 0; i < n && !d; i++)
            d = uuid_eq(&domains[i].uuid, &r->vm) ? &domains[i] : NULL;
        look_at(a, r, d);
    }
}

/* The moment at which a VM becomes this host's: the guest waits, so no list is waited for. */
void vm_arrivals_row_changed(struct vm_agent *a, const struct row *vm) {
    struct vm_arrival *r = vm_arrival_of(a, &vm->uuid);
    if (!r || r->is_at_work)
        return;
    if (uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self) && str_eq(row_str(vm, FIELD_VM_power_state), "Running") &&
        !r->was_let_run) {
        r->was_let_run = true; /* once; what fails is for the look */
        let_run(a, r);
    } else {
        vm_agent_look(a);
    }
}
