/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_guest.h"

#include "base/str.h"
#include "vm/vm_guest_core.h"

#define ASK_MS 10000
#define YOUNG_S 300     /* a guest that has just started may have its agent at any moment */
#define RARELY_ROUNDS 6 /* one that has none is asked once a minute */
#define NICS_MAX 16

struct vm_guests {
    struct vm_agent *a;
    struct loop_source *timer;
    unsigned round;
    unsigned n_asked; /* under way: all are answered before they are asked again */
    bool is_stopped;
};

struct question {
    struct vm_guests *g;
    struct uuid vm;
};

static size_t nics_of(struct db *d, const struct row *vm, struct vm_guest_nic *ret) {
    const struct value *vifs = row_value(vm, FIELD_VM_VIFs);
    size_t n = 0;
    for (size_t i = 0; i < vifs->set.n && n < NICS_MAX; i++) {
        const struct row *vif = db_get(d, CLASS_VIF, &vifs->set.items[i].ref);
        if (vif)
            ret[n++] = (struct vm_guest_nic){row_str(vif, FIELD_VIF_MAC), row_str(vif, FIELD_VIF_device)};
    }
    return n;
}

static void set(struct vm_agent *a, const struct uuid *u, unsigned field, struct value v) {
    db_volatile_set(a->db, &a->self, CLASS_VM_guest_metrics, u, field, v);
}

static void show(struct vm_agent *a, const struct row *vm, const struct value *facts) {
    struct uuid u = db_companion_uuid(&vm->uuid, "VM_guest_metrics");
    struct vm_guest_nic nics[NICS_MAX];
    size_t n = nics_of(a->db, vm, nics);
    struct value other = value_map();
    const char *name = value_map_str(facts, "hostname");
    if (name)
        value_map_add(&other, "hostname", value_string(name));
    db_volatile_put(a->db, &a->self, CLASS_VM_guest_metrics, &u);
    set(a, &u, FIELD_VM_guest_metrics_os_version, vm_guest_os(facts));
    set(a, &u, FIELD_VM_guest_metrics_networks, vm_guest_networks(facts, nics, n));
    set(a, &u, FIELD_VM_guest_metrics_other, other);
    set(a, &u, FIELD_VM_guest_metrics_live, value_bool(true));
    set(a, &u, FIELD_VM_guest_metrics_PV_drivers_detected, value_bool(true));
    set(a, &u, FIELD_VM_guest_metrics_last_updated,
        value_time(loop_wall_ms(a->loop) / 1000 / 60 * 60)); /* once a minute: no flood of events */
    db_volatile_set(a->db, &a->self, CLASS_VM, &vm->uuid, FIELD_VM_guest_metrics, value_ref(&u));
}

static void on_answer(struct error *error, const struct value *facts, void *userdata) {
    struct question q = *(struct question *)userdata;
    struct vm_agent *a = q.g->a;
    free(userdata);
    q.g->n_asked--;
    if (q.g->is_stopped)
        return;
    const struct row *vm = db_get(a->db, CLASS_VM, &q.vm);
    struct uuid u = db_companion_uuid(&q.vm, "VM_guest_metrics");
    bool is_here = vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self);
    if (is_here && !error)
        show(a, vm, facts);
    else if (is_here && db_get(a->db, CLASS_VM_guest_metrics, &u)) /* what it said last stays, as not live */
        set(a, &u, FIELD_VM_guest_metrics_live, value_bool(false));
}

static bool is_to_be_asked(struct vm_guests *g, const struct row *vm) {
    struct db *d = g->a->db;
    struct uuid guest = db_companion_uuid(&vm->uuid, "VM_guest_metrics");
    const struct row *metrics = db_follow(d, vm, FIELD_VM_metrics);
    int64_t started = metrics ? row_value(metrics, FIELD_VM_metrics_start_time)->integer : 0;
    return db_get(d, CLASS_VM_guest_metrics, &guest) || loop_wall_ms(g->a->loop) / 1000 - started < YOUNG_S ||
           g->round % RARELY_ROUNDS == vm->uuid.b[15] % RARELY_ROUNDS;
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct vm_guests *g = userdata;
    struct vm_agent *a = g->a;
    loop_timer_set(g->timer, ASK_MS);
    g->round++;
    if (g->n_asked > 0 || !db_get_status(a->db).loaded || !virt_is_up(a->virt))
        return;
    for (const struct row *vm = db_first(a->db, CLASS_VM); vm; vm = db_next(a->db, vm)) {
        if (!uuid_eq(row_ref(vm, FIELD_VM_resident_on), &a->self) || row_bool(vm, FIELD_VM_is_control_domain) ||
            !str_eq(row_str(vm, FIELD_VM_power_state), "Running") || vm_agent_is_busy(a, &vm->uuid) ||
            !is_to_be_asked(g, vm))
            continue;
        struct question *q = xnew0(struct question);
        *q = (struct question){g, vm->uuid};
        g->n_asked++;
        virt_guest(a->virt, &vm->uuid, on_answer, q);
    }
}

struct vm_guests *vm_guests_new(struct vm_agent *a) {
    struct vm_guests *g = xnew0(struct vm_guests);
    g->a = a;
    g->timer = loop_add_timer(a->loop, ASK_MS, on_timer, g);
    return g;
}

void vm_guests_stop(struct vm_guests *g) {
    g->is_stopped = true;
    loop_source_free(TAKE(g->timer));
}

void vm_guests_free(struct vm_guests *g) {
    free(g);
}
