/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that leave this host. The record first (VM.migration), then the hypervisor; whatever it answers, and whoever of
 * us was killed meanwhile, what is written down follows from the rows, the hypervisor's list and the other host's word
 * (vm_leaving_step). One look at a time per VM; a look that brings no end is repeated.
 */
#include "base/str.h"

#include <assert.h>

#include "store/store.h"
#include "vm/vm_agent_move.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define WATCH_MS 500
#define LOOK_MS 1000
#define ASK_MS 5000
#define SETUP_MS 30000 /* until the other host's QEMU takes the first byte */

static void look(struct vm_leaving *l);

struct vm_leaving *vm_leaving_of(const struct vm_agent *a, const struct uuid *vm) {
    struct vm_leaving *l = a->leavings;
    while (l && !uuid_eq(&l->vm, vm))
        l = l->next;
    return l;
}

static void move_done_texts(struct virt_move *m) {
    for (size_t i = 0; i < m->n_swaps; i++)
        virt_swap_done(&m->swaps[i]);
    for (size_t i = 0; i < ARRAY_SIZE(m->disks); i++)
        free(m->disks[i]);
    free(m->swaps);
    free(m->address);
    free(m->data_address);
    free(m->tls_name);
    *m = (struct virt_move){0};
}

static void leaving_free(struct vm_leaving *l) {
    loop_source_free(l->timer);
    move_done_texts(&l->move);
    value_done(&l->record);
    free(l->id);
    free(l->why);
    free(l);
}

static void take_out(struct vm_leaving *l) {
    for (struct vm_leaving **at = &l->a->leavings; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            return;
        }
}

void vm_leavings_free(struct vm_agent *a) {
    while (a->leavings) {
        struct vm_leaving *l = a->leavings;
        a->leavings = l->next;
        leaving_free(l);
    }
}

/* ---- what others see of it ---- */

static void report(struct vm_leaving *l, const char *failed) {
    struct value v = value_map();
    value_map_add(&v, "id", value_string(l->id));
    value_map_add(&v, "processed", value_stringf("%llu", (unsigned long long)l->job.processed));
    value_map_add(&v, "remaining", value_stringf("%llu", (unsigned long long)l->job.remaining));
    if (failed)
        value_map_add(&v, "failed", value_string(failed));
    if (l->was_aborted && !l->is_stalled)
        value_map_add(&v, "aborted", value_string("true"));
    db_volatile_set(l->a->db, &l->a->self, CLASS_VM, &l->vm, FIELD_VM_migration_report, v);
}

static void say_why(struct vm_leaving *l, const char *why) {
    if (l->why)
        return; /* the first reason is the cause */
    l->why = xstrdup(why);
    report(l, why);
}

/* It is over, one way or the other. */
static void finish(struct vm_leaving *l, const char *how) {
    struct vm_agent *a = l->a;
    struct uuid vm = l->vm;
    char text[UUID_TEXT_SIZE];
    log_notice("VM '%s' %s%s%s", uuid_text(&vm, text), how, l->why ? ": " : "", str_or_empty(l->why));
    take_out(l);
    leaving_free(l);
    vm_leases_look(a); /* while it was on its way, none was given back */
    vm_agent_end(a, &vm);
}

static void again(struct vm_leaving *l, uint64_t ms) {
    l->is_looking = false;
    loop_timer_set(l->timer, ms);
}

/* ---- steps ---- */

struct step { /* survives what it is about */
    struct vm_agent *a;
    struct uuid vm;
    uint64_t turn;
    enum leaving_step what;
    bool is_listed;
    enum vm_here here; /* with is_listed */
};

static struct step *step_new(struct vm_leaving *l, enum leaving_step what) {
    struct step *s = xnew0(struct step);
    *s = (struct step){.a = l->a, .vm = l->vm, .turn = l->turn, .what = what};
    return s;
}

static struct step *listed_new(struct vm_leaving *l, enum vm_here here) {
    struct step *s = step_new(l, LEAVING_WAIT);
    s->is_listed = true;
    s->here = here;
    return s;
}

/* What it is about, when that is still at the same turn; frees the step. */
static struct vm_leaving *step_take(struct step *s, struct step *ret) {
    struct vm_leaving *l = s->a->is_freed ? NULL : vm_leaving_of(s->a, &s->vm);
    *ret = *s;
    free(s);
    return l && l->turn == ret->turn ? l : NULL;
}

static void on_written(struct error *error, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    if (!l)
        return;
    if (error) {
        log_info("what became of a VM that moves is not written down yet: %s", error_text(error));
        again(l, LOOK_MS);
    } else if (s.what == LEAVING_BACK) {
        again(l, 0);
    } else {
        if (s.what == LEAVING_HAND)
            free(TAKE(l->why)); /* what it was asked about has come out well */
        finish(l, s.what == LEAVING_HAND   ? "has moved to another host"
                  : s.what == LEAVING_KEPT ? "stays on this host"
                                           : "has ended while it moved");
    }
}

static void write_down(struct vm_leaving *l, const struct row *vm, enum leaving_step what) {
    struct vm_agent *a = l->a;
    struct db_txn *t = db_txn_new(a->db, "a VM that moves");
    struct value record = value_map();
    if (what == LEAVING_HAND) {
        vm_rows_hand_over(a, t, vm);
        vm_rows_measure(a, &l->vm, /* domain= */ NULL);
    } else if (what == LEAVING_DIED) {
        vm_rows_gone(a, t, &l->vm, "Halted");
        db_txn_set(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_map());
    } else {
        db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_resident_on, value_ref(&a->self));
        if (what == LEAVING_BACK) {
            value_map_add(&record, "id", value_string(l->id));
            value_map_add(&record, "back", value_string("true"));
        }
        db_txn_set(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_take(&record));
    }
    value_done(&record);
    db_txn_commit(t, VM_WRITE_MS, on_written, step_new(l, what));
}

/* ---- leases of disks that both hosts reach: from holder to holder on the storage itself, before the rows change ----
 */

struct passing {
    struct step *step;
    struct value asks; /* a set of maps: arguments of lease_pass, one disk each */
    char to[UUID_TEXT_SIZE];
    struct error *error;
};

/* Again and again until all are passed: one that the other host has by now is. */
static void pass_run(void *data) {
    struct passing *p = data;
    for (size_t i = 0; i < p->asks.set.n && !p->error; i++) {
        struct value ignored = {.type = VALUE_VOID};
        struct error *e = NULL;
        if (store_run("lease_pass", &p->asks.set.items[i], &ignored, &e))
            value_done(&ignored);
        else if (error_is(e, ERR_VDI_IN_USE) && str_eq(error_param(e, 1), "lease") && str_eq(error_param(e, 2), p->to))
            error_free(e);
        else
            p->error = e;
    }
}

static void pass_done(void *data) {
    struct passing *p = data;
    struct step s;
    struct vm_leaving *l = step_take(p->step, &s);
    const struct row *vm = l ? db_get(l->a->db, CLASS_VM, &l->vm) : NULL;
    if (l && p->error)
        log_warn("the lease of a disk could not be passed on yet: %s", error_text(p->error));
    if (l && (p->error || !vm))
        again(l, LOOK_MS);
    else if (l)
        write_down(l, vm, LEAVING_HAND);
    value_done(&p->asks);
    error_free(p->error);
    free(p);
}

static void hand_over(struct vm_leaving *l, const struct row *vm) {
    const struct value *record = row_value(vm, FIELD_VM_migration);
    struct passing *p = xnew0(struct passing);
    int64_t generation = 0;
    (void)!str_parse_int(str_or_empty(value_map_str(record, "generation")), 0, INT64_MAX, &generation);
    *p = (struct passing){.asks = value_set()};
    (void)str_copy(p->to, sizeof(p->to), str_or_empty(value_map_str(record, "to")));
    for (size_t i = 0; i < record->map.n; i++) { /* "lease VDI": "SR PLACE" */
        const char *key = record->map.pairs[i].key, *where = value_str(&record->map.pairs[i].value),
                   *space = strchr(where, ' ');
        if (!str_starts(key, "lease ") || !space)
            continue;
        _cleanup_free_ char *sr = xstrndup(where, (size_t)(space - where));
        struct value ask = value_map(), vdis = value_set();
        value_set_add(&vdis, value_string(key + 6));
        value_map_add(&ask, "path", value_string(space + 1));
        value_map_add(&ask, "sr", value_string(sr));
        vm_leases_sign(l->a, &ask);
        value_map_add(&ask, "vm", value_uuid(&l->vm));
        value_map_add(&ask, "vdis", vdis);
        value_map_add(&ask, "to_host", value_string(p->to));
        value_map_add(&ask, "to_generation", value_int(generation));
        value_set_add(&p->asks, ask);
    }
    if (p->asks.set.n == 0) {
        value_done(&p->asks);
        free(p);
        write_down(l, vm, LEAVING_HAND);
        return;
    }
    p->step = step_new(l, LEAVING_HAND);
    _cleanup_free_ char *first = xstrdup(value_map_str(&p->asks.set.items[0], "sr"));
    worker_submit(l->a->storage, first, pass_run, pass_done, p);
}

static void on_runs_again(struct error *error, const struct virt_domain *domain, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    if (l)
        again(l, error ? LOOK_MS : 0);
}

static void on_peer(const struct value *result, const struct error *error, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    const char *holds = error ? "" : str_or_empty(value_map_str(result, "holds"));
    if (!l)
        return;
    l->peer = str_eq(holds, "none")                              ? PEER_HAS_NONE
              : str_eq(holds, "arriving")                        ? PEER_ARRIVING
              : str_eq(holds, "stands") || str_eq(holds, "runs") ? PEER_STANDS
                                                                 : PEER_UNKNOWN;
    again(l, l->peer == PEER_HAS_NONE || l->peer == PEER_STANDS ? 0 : LOOK_MS);
}

static void ask_peer(struct vm_leaving *l, const struct row *vm) {
    struct uuid to = vm_record_host(row_value(vm, FIELD_VM_migration));
    struct value args = value_map();
    if (!l->a->channel) {
        value_done(&args);
        again(l, LOOK_MS);
        return;
    }
    value_map_add(&args, "vm", value_uuid(&l->vm));
    value_map_add(&args, "id", value_string(l->id));
    pool_channel_call(l->a->channel, &to, "vm_received", args, ASK_MS, on_peer, step_new(l, LEAVING_ASK));
}

static void take_step(struct vm_leaving *l, bool is_listed, enum vm_here here) {
    struct vm_agent *a = l->a;
    const struct row *vm = db_get(a->db, CLASS_VM, &l->vm);
    const struct value *record = vm ? row_value(vm, FIELD_VM_migration) : NULL;
    uint64_t now = loop_now_ms(a->loop);
    if (is_listed && here != VM_ABSENT)
        l->absent_since_ms = 0;
    else if (is_listed && !l->absent_since_ms)
        l->absent_since_ms = now;
    struct leaving_facts f = {.is_mine = vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self),
                              .is_named = record && str_eq(vm_record_id(record), l->id),
                              .is_back = record && vm_record_is_back(record),
                              .is_open = l->is_open,
                              .has_moved = l->has_moved,
                              .is_listed = is_listed,
                              .here = here,
                              .has_job = l->has_job,
                              .is_to_run = vm && str_eq(row_str(vm, FIELD_VM_power_state), "Running"),
                              .peer = l->peer,
                              .absent_ms = l->absent_since_ms ? now - l->absent_since_ms : 0};
    enum leaving_step step = vm_leaving_step(&f);
    assert(vm || step == LEAVING_OVER); /* without a row it is not this host's */
    switch (step) {
    case LEAVING_WAIT:
        again(l, LOOK_MS);
        return;
    case LEAVING_ASK:
        say_why(l, "the VM is no longer on the host that it was to leave");
        ask_peer(l, vm);
        return;
    case LEAVING_RUN:
        virt_ask(a->virt, (struct virt_request){.op = VIRT_UNPAUSE, .vm = l->vm}, on_runs_again, step_new(l, step));
        return;
    case LEAVING_BACK:
    case LEAVING_DIED:
        say_why(l, step == LEAVING_DIED ? "the VM has ended while it moved" : "the move did not come to its end");
        write_down(l, vm, step);
        return;
    case LEAVING_HAND:
        hand_over(l, vm);
        return;
    case LEAVING_KEPT:
        write_down(l, vm, step);
        return;
    case LEAVING_OVER:
        finish(l, "moves no more");
        return;
    }
}

/* ---- looking ---- */

static void watch_bytes(struct vm_leaving *l) {
    struct vm_agent *a = l->a;
    char text[UUID_TEXT_SIZE];
    /* Both change while anything moves; before the first byte neither does. */
    uint64_t bytes = l->job.processed + (l->job.remaining << 1);
    report(l, l->why);
    uint64_t limit_ms = l->job.processed ? l->stall_ms : MAX(l->stall_ms, (uint64_t)SETUP_MS);
    if (!vm_stall(&l->stall, bytes, loop_now_ms(a->loop), limit_ms))
        return;
    log_warn("VM '%s' stands still on its way to another host for %llu s; its move is given up",
             uuid_text(&l->vm, text), (unsigned long long)(limit_ms / 1000));
    l->is_stalled = true;
    say_why(l,
            "no byte has come through for too long: the path between the hosts is broken, or too small for the frames "
            "sent (xe pool-path-list)");
    l->stall.is_started = false;
    virt_abort(a->virt, &l->vm);
}

static void on_job(struct error *error, const struct virt_job *job, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    if (!l)
        return;
    if (!error) {
        l->has_job = job->is_active;
        if (job->is_active)
            l->job = *job;
    }
    if (l->has_job || l->is_open)
        watch_bytes(l);
    if (l->is_open)
        again(l, WATCH_MS);
    else if (error)
        again(l, LOOK_MS);
    else if (!s.is_listed)
        again(l, 0); /* asked while the hypervisor had not answered */
    else
        take_step(l, /* is_listed= */ true, s.here);
}

static void on_list(struct error *error, const struct virt_domain *domains, size_t n, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    const struct virt_domain *d = NULL;
    if (!l)
        return;
    if (l->is_open || error) {
        again(l, LOOK_MS);
        return;
    }
    for (size_t i = 0; i < n && !d; i++)
        d = uuid_eq(&domains[i].uuid, &l->vm) ? &domains[i] : NULL;
    if (d && d->is_dying)
        again(l, WATCH_MS);
    else if (!d)
        take_step(l, /* is_listed= */ true, VM_ABSENT);
    else /* on this side a paused VM is whole, whatever the reason */
        virt_job(l->a->virt, &l->vm, on_job, listed_new(l, d->state == VIRT_PAUSED ? VM_STANDS : VM_RUNS));
}

static void look(struct vm_leaving *l) {
    if (l->is_looking || !l->is_recorded)
        return;
    l->is_looking = true;
    if (l->is_open)
        virt_job(l->a->virt, &l->vm, on_job, step_new(l, LEAVING_WAIT));
    else if (!db_get_status(l->a->db).in_step)
        again(l, LOOK_MS);
    else if (l->has_moved)
        take_step(l, /* is_listed= */ false, VM_ABSENT);
    else
        virt_list(l->a->virt, on_list, step_new(l, LEAVING_WAIT));
}

static void on_timer(struct loop_source *s, void *userdata) {
    look(userdata);
}

/* ---- beginning ---- */

struct vm_leaving *vm_leaving_new(struct vm_agent *a, const struct uuid *vm, const char *id) {
    struct vm_leaving *l = xnew0(struct vm_leaving);
    *l = (struct vm_leaving){
        .a = a, .vm = *vm, .id = xstrdup(id), .stall_ms = VM_STALL_MS, .turn = ++a->n_turns, .next = a->leavings};
    l->timer = loop_add_timer(a->loop, LOOP_NEVER, on_timer, l);
    a->leavings = l;
    return l;
}

void vm_leaving_adopt(struct vm_agent *a, const struct row *vm) {
    struct error *e = NULL;
    char text[UUID_TEXT_SIZE];
    if (vm_leaving_of(a, &vm->uuid) || !vm_agent_begin(a, &vm->uuid, &e)) {
        error_free(e);
        return;
    }
    struct vm_leaving *l = vm_leaving_new(a, &vm->uuid, vm_record_id(row_value(vm, FIELD_VM_migration)));
    log_notice("VM '%s' was on its way to another host when this daemon ended; what became of it is looked at",
               uuid_text(&vm->uuid, text));
    l->is_recorded = true;
    look(l);
}

static void on_moved(struct error *error, bool was_aborted, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    if (!l)
        return;
    l->is_open = false;
    l->has_moved = !error;
    l->was_aborted = was_aborted;
    if (error)
        say_why(l, error_text(error));
    if (l->has_moved) { /* what is being looked at no longer matters: the guest waits */
        l->turn = ++l->a->n_turns;
        l->is_looking = true;
        take_step(l, /* is_listed= */ false, VM_ABSENT);
    } else if (!l->is_looking) {
        look(l);
    }
}

static void on_recorded(struct error *error, void *userdata) {
    struct step s;
    struct vm_leaving *l = step_take(userdata, &s);
    if (!l)
        return;
    struct pool_reply *reply = TAKE(l->reply);
    if (error) {
        struct uuid vm = l->vm;
        struct vm_agent *a = l->a;
        pool_reply_fail(reply, error_dup(error));
        take_out(l);
        leaving_free(l);
        vm_agent_end(a, &vm);
        return;
    }
    l->is_recorded = l->is_open = true;
    virt_move(l->a->virt, l->move, on_moved, step_new(l, LEAVING_WAIT));
    l->move = (struct virt_move){0};
    report(l, NULL);
    pool_reply_return(reply, value_bool(true));
    again(l, WATCH_MS);
}

void vm_leaving_begin(struct vm_leaving *l, const struct value *record) {
    struct vm_agent *a = l->a;
    struct db_txn *t = db_txn_new(a->db, "a VM is to move");
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_resident_on, value_ref(&a->self));
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_map());
    db_txn_set(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_copy(record));
    db_txn_commit(t, VM_WRITE_MS, on_recorded, step_new(l, LEAVING_WAIT));
}
