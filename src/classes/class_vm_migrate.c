/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving a running VM to another host. The coordinator checks all that can be checked, has the host that it goes to
 * make room and the host that it leaves send it, and then reads in the rows how it goes on: from VM.migration on, the
 * two hosts need nobody (src/vm/vm_agent_move.h). docs/migration.md tells the whole.
 */
#include "api/session.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/class_vm_migrate.h"
#include "classes/net_rows.h"
#include "classes/store_calls.h"
#include "classes/vm_ops.h"
#include "gen_handlers.h"

#define LOG_MODULE "move"
#include "base/log.h"

#define FACTS_MS 10000
#define RECEIVE_MS (2 * 60 * 1000) /* disks of any size are made empty */
#define SEND_MS 30000              /* until the record is written */
#define SLOT_MS (6 * 60 * 60 * 1000)
#define MOVE_MS (7 * 24 * 60 * 60 * 1000)
#define REMOVE_SESSION_MS (10 * 60 * 1000)
#define RECORD_MS 5000   /* for the record to come over, when the answer did not */
#define MOVES_PER_HOST 2 /* leaving and coming together */
#define STALL_S_MAX 3600

struct move {
    struct move *next;
    struct vm_op *op;
    struct vm_move_plan plan;
    struct value wish; /* vdi_map, vif_map, network: the plan is made anew when its turn comes */
    char id[UUID_TEXT_SIZE];
    char *authority_there, *data_address;
    struct uuid network;
    int64_t mib_per_s, stall_s;
    bool compress, only_asks, moves_disks, returns_ref, has_slot;
    struct value old_disks; /* references, to be removed afterwards */
};

struct moves {
    struct move *first;
};

static void free_moves(void *data) {
    free(data); /* the moves end with their operations */
}

static struct moves *moves_of(struct api *a) {
    struct moves *all = api_class_data(a, API_DATA_MOVES);
    if (!all) {
        all = xnew0(struct moves);
        api_set_class_data(a, API_DATA_MOVES, all, free_moves);
    }
    return all;
}

static struct move *move_of(struct vm_op *op) {
    return (struct move *)(uintptr_t)vm_op_data(op)->integer;
}

static void move_free(struct move *m) {
    struct api *a = call_api(vm_op_call(m->op));
    struct uuid nobody = {0};
    for (struct move **at = &moves_of(a)->first; *at; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            break;
        }
    if (m->has_slot)
        db_volatile_set(api_db(a), api_own_host(a), CLASS_VM, &m->plan.vm, FIELD_VM_scheduled_to_be_resident_on,
                        value_ref(&nobody));
    vm_move_plan_done(&m->plan);
    value_done(&m->wish);
    value_done(&m->old_disks);
    free(m->authority_there);
    free(m->data_address);
    free(m);
}

/* ---- ends ---- */

static void end_well(struct vm_op *op) {
    struct move *m = move_of(op);
    struct uuid vm = m->plan.vm;
    bool returns_ref = m->returns_ref;
    move_free(m);
    if (returns_ref)
        vm_op_return_ref(op, &vm);
    else
        vm_op_return_void(op);
}

static void end_badly(struct vm_op *op, struct error *e) {
    move_free(move_of(op));
    vm_op_fail(op, e);
}

static void ask_aside(struct vm_op *op, const struct uuid *host, const char *name) {
    const struct api_hooks *h = api_hooks(call_api(vm_op_call(op)));
    struct move *m = move_of(op);
    char text[UUID_TEXT_SIZE];
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(uuid_text(&m->plan.vm, text)));
    value_map_add(&args, "id", value_string(m->id));
    h->host_ask(h->userdata, host, name, args, SEND_MS, class_ask_ignored, NULL);
}

static void failed_prepared(struct vm_op *op, struct error *e) {
    ask_aside(op, &move_of(op)->plan.to, "vm_forget"); /* what it has made for the VM goes */
    end_badly(op, e);
}

static struct error *move_failed(const struct move *m, const char *why) {
    char vm[REF_TEXT_SIZE], from[REF_TEXT_SIZE], to[REF_TEXT_SIZE];
    struct error *e = NULL;
    error_set(&e, ERR_VM_MIGRATE_FAILED, ref_text(&m->plan.vm, vm), ref_text(&m->plan.from, from),
              ref_text(&m->plan.to, to), why, NULL);
    return e;
}

/* ---- afterwards: the disks that it has left ---- */

static void remove_next(struct vm_op *op);

static void on_removed(const struct reply *r, void *userdata) {
    _cleanup_error_ struct error *e = r->error ? error_dup(r->error) : NULL;
    if (e) /* it is there for people to see, with its name */
        log_warn("a disk that a VM has left could not be removed: %s", error_text(e));
    remove_next(userdata);
}

static void remove_next(struct vm_op *op) {
    struct move *m = move_of(op);
    if (m->old_disks.set.n == 0) {
        end_well(op);
        return;
    }
    /* In a session of its own: whoever asked for the move may be long gone. */
    struct uuid vdi = m->old_disks.set.items[m->old_disks.set.n - 1].ref,
                session = api_session_lend(call_api(vm_op_call(op)), NULL, ROLE_VM_POWER_ADMIN, REMOVE_SESSION_MS);
    m->old_disks.set.n--;
    struct value params = value_set();
    value_set_add(&params, value_ref(&session));
    value_set_add(&params, value_ref(&vdi));
    struct api_request rq = {.method = "VDI.destroy", .params = params, .caller = {.is_local = true}, .is_inner = true};
    api_dispatch(call_api(vm_op_call(op)), &rq, on_removed, op);
}

/* ---- on its way ---- */

static const char *report_of(const struct row *vm, const struct move *m, const char *key) {
    const struct value *report = row_value(vm, FIELD_VM_migration_report);
    return str_eq(str_or_empty(value_map_str(report, "id")), m->id) ? value_map_str(report, key) : NULL;
}

static bool is_mine(const struct row *vm, const struct move *m) {
    return str_eq(str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "id")), m->id);
}

static void show_progress(struct vm_op *op, const struct row *vm, const struct move *m) {
    int64_t processed, remaining;
    if (str_parse_int(str_or_empty(report_of(vm, m, "processed")), 0, INT64_MAX / 4, &processed) &&
        str_parse_int(str_or_empty(report_of(vm, m, "remaining")), 0, INT64_MAX / 4, &remaining) && processed > 0)
        call_set_progress(vm_op_call(op), 0.05 + 0.9 * (double)processed / (double)(processed + remaining));
}

/* The hosts are through with it: the record is gone, and it is there, or the reason why not. */
static bool is_over(struct vm_op *op) {
    struct move *m = move_of(op);
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    if (!vm)
        return true;
    if (is_mine(vm, m)) {
        show_progress(op, vm, m);
        return false;
    }
    return !uuid_eq(row_ref(vm, FIELD_VM_resident_on), &m->plan.from) || report_of(vm, m, "failed") ||
           !api_host_is_live(call_api(vm_op_call(op)), &m->plan.from);
}

static void on_over(struct vm_op *op) {
    struct move *m = move_of(op);
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    const char *why = vm ? report_of(vm, m, "failed") : NULL;
    if (vm && uuid_eq(row_ref(vm, FIELD_VM_resident_on), &m->plan.to)) {
        remove_next(op);
        return;
    }
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    if (vm && report_of(vm, m, "aborted"))
        error_set(&e, ERR_TASK_CANCELLED, ref_text(call_task(vm_op_call(op)), ref), NULL);
    else
        e = move_failed(m, why ? why : "the host that the VM was to leave has not said what became of it");
    failed_prepared(op, e);
}

static void cancel(struct vm_op *op) {
    ask_aside(op, &move_of(op)->plan.from, "vm_abort");
}

static void wait_for_the_end(struct vm_op *op) {
    vm_op_on_failure(op, failed_prepared);
    vm_op_on_cancel(op, cancel);
    vm_op_wait(op, is_over, MOVE_MS, move_failed(move_of(op), "it takes longer than a week"), on_over);
}

static void on_sending(struct vm_op *op, const struct value *result) {
    wait_for_the_end(op);
}

static bool is_recorded(struct vm_op *op) {
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, vm_op_object(op));
    return vm && is_mine(vm, move_of(op));
}

/* The host may be sending it all the same: then the rows say so, sooner or later. */
static void send_failed(struct vm_op *op, struct error *e) {
    if (!error_is(e, ERR_POOL_CALL_FAILED)) {
        failed_prepared(op, e);
        return;
    }
    vm_op_on_failure(op, failed_prepared);
    vm_op_wait(op, is_recorded, RECORD_MS, e, wait_for_the_end);
}

static void on_received(struct vm_op *op, const struct value *result) {
    struct move *m = move_of(op);
    struct db *d = vm_op_db(op);
    const struct row *to = db_get(d, CLASS_host, &m->plan.to);
    struct value args = value_map(), record = value_copy(&m->plan.record);
    char text[UUID_TEXT_SIZE];
    value_map_put(&record, "id", value_string(m->id));
    value_map_put(&record, "generation", value_string(str_or_empty(value_map_str(result, "generation"))));
    value_map_add(&args, "vm", value_string(uuid_text(&m->plan.vm, text)));
    value_map_add(&args, "id", value_string(m->id));
    value_map_add(&args, "to", value_string(uuid_text(&m->plan.to, text)));
    value_map_add(&args, "authority", value_string(str_or_empty(value_map_str(result, "authority"))));
    value_map_add(&args, "address", value_string(to ? row_str(to, FIELD_host_address) : ""));
    value_map_add(&args, "data_address", value_string(m->plan.data_address));
    value_map_add(&args, "mib_per_s", value_int(m->mib_per_s));
    value_map_add(&args, "stall_ms", value_int(m->stall_s * 1000));
    value_map_add(&args, "compress", value_bool(m->compress));
    value_map_add(&args, "swaps", value_copy(&m->plan.swaps));
    value_map_add(&args, "disks", value_copy(&m->plan.names));
    value_map_add(&args, "record", record);
    vm_op_on_failure(op, send_failed);
    vm_op_ask(op, &m->plan.from, "vm_send", args, SEND_MS, on_sending);
}

/* ---- its turn ---- */

static bool is_on(const struct move *m, const struct uuid *host) {
    return uuid_eq(&m->plan.from, host) || uuid_eq(&m->plan.to, host);
}

static bool has_slot(struct vm_op *op) {
    struct move *m = move_of(op);
    unsigned here = 0, there = 0;
    for (const struct move *o = moves_of(call_api(vm_op_call(op)))->first; o; o = o->next) {
        here += o->has_slot && is_on(o, &m->plan.from);
        there += o->has_slot && is_on(o, &m->plan.to);
    }
    return here < MOVES_PER_HOST && there < MOVES_PER_HOST;
}

static bool make_plan(struct move *m, struct error **errp) {
    struct api *a = call_api(vm_op_call(m->op));
    struct db *d = api_db(a);
    const struct row *vm = db_get(d, CLASS_VM, vm_op_object(m->op)), *to = db_get(d, CLASS_host, &m->plan.to);
    struct vm_move_wish wish = {.vm = vm,
                                .to = to,
                                .network = db_get(d, CLASS_network, &m->network),
                                .vdi_map = m->moves_disks ? value_map_get(&m->wish, "vdi_map") : NULL,
                                .vif_map = value_map_get(&m->wish, "vif_map")};
    struct vm_move_plan plan;
    char ref[REF_TEXT_SIZE];
    if (!vm || !to || uuid_is_null(row_ref(vm, FIELD_VM_resident_on))) {
        error_set(errp, ERR_VM_BAD_POWER_STATE, ref_text(vm_op_object(m->op), ref), "running", "halted", NULL);
        return false;
    }
    if (!vm_move_plan(a, &wish, &plan, errp))
        return false;
    vm_move_plan_done(&m->plan);
    m->plan = plan;
    if (m->data_address) {
        free(m->plan.data_address);
        m->plan.data_address = xstrdup(m->data_address);
    }
    return true;
}

static void note_old_disks(struct move *m) {
    struct db *d = vm_op_db(m->op);
    struct uuid u;
    value_done(&m->old_disks);
    m->old_disks = value_set();
    for (size_t i = 0; i < m->plan.record.map.n; i++) {
        const char *key = m->plan.record.map.pairs[i].key;
        const struct row *vbd = str_starts(key, "vbd ") && uuid_parse(key + 4, &u) ? db_get(d, CLASS_VBD, &u) : NULL;
        if (vbd)
            value_set_add(&m->old_disks, value_ref(row_ref(vbd, FIELD_VBD_VDI)));
    }
}

/* What was right when the call came need not be right any more. */
static void begin(struct vm_op *op) {
    struct move *m = move_of(op);
    struct error *e = NULL;
    char text[UUID_TEXT_SIZE];
    if (!make_plan(m, &e)) {
        end_badly(op, e);
        return;
    }
    note_old_disks(m);
    const struct row *vm = db_get(vm_op_db(op), CLASS_VM, &m->plan.vm);
    m->has_slot = true;
    db_volatile_set(vm_op_db(op), api_own_host(call_api(vm_op_call(op))), CLASS_VM, &m->plan.vm,
                    FIELD_VM_scheduled_to_be_resident_on, value_ref(&m->plan.to));
    struct value args = value_map();
    value_map_add(&args, "vm", value_string(uuid_text(&m->plan.vm, text)));
    value_map_add(&args, "id", value_string(m->id));
    value_map_add(&args, "from", value_string(uuid_text(&m->plan.from, text)));
    value_map_add(&args, "authority", value_string(m->authority_there));
    value_map_add(&args, "disks", value_copy(&m->plan.disks));
    value_map_add(&args, "nics", value_copy(&m->plan.nics));
    value_map_add(&args, "kernel", value_string(row_str(vm, FIELD_VM_PV_kernel)));
    value_map_add(&args, "ramdisk", value_string(row_str(vm, FIELD_VM_PV_ramdisk)));
    vm_op_on_failure(op, failed_prepared);
    vm_op_ask(op, &m->plan.to, "vm_receive", args, RECEIVE_MS, on_received);
}

static void take_turn(struct vm_op *op) {
    struct move *m = move_of(op);
    char number[16];
    struct error *late = NULL;
    if (m->only_asks) {
        end_well(op);
        return;
    }
    (void)str_copy(number, sizeof(number), "2");
    error_set(&late, ERR_TOO_MANY_STORAGE_MIGRATES, number, NULL);
    vm_op_wait(op, has_slot, SLOT_MS, late, begin);
}

/* ---- both hosts are asked what they are ---- */

static bool fits(struct move *m, const struct value *facts, struct error **errp) {
    const struct value *kvm = value_map_get(facts, "has_kvm");
    const char *trouble = str_or_empty(value_map_str(facts, "trouble"));
    struct value *known = value_map_get(&m->wish, "has_kvm");
    char vm[REF_TEXT_SIZE], to[REF_TEXT_SIZE];
    if (*trouble) {
        error_propagate(errp, move_failed(m, trouble));
        return false;
    }
    if (known && kvm && value_as_bool(known) != value_as_bool(kvm)) {
        error_set(errp, ERR_VM_INCOMPATIBLE_WITH_THIS_HOST, ref_text(&m->plan.vm, vm), ref_text(&m->plan.to, to),
                  "one host runs VMs on the processor (KVM), the other emulates it", NULL);
        return false;
    }
    if (kvm)
        value_map_put(&m->wish, "has_kvm", value_copy(kvm));
    return true;
}

static void on_facts_there(struct vm_op *op, const struct value *result) {
    struct error *e = NULL;
    if (fits(move_of(op), result, &e))
        take_turn(op);
    else
        end_badly(op, e);
}

static void on_facts_here(struct vm_op *op, const struct value *result) {
    struct move *m = move_of(op);
    struct error *e = NULL;
    if (!fits(m, result, &e)) {
        end_badly(op, e);
        return;
    }
    m->authority_there = xstrdup(str_or_empty(value_map_str(result, "authority")));
    vm_op_ask(op, &m->plan.to, "vm_facts", value_map(), FACTS_MS, on_facts_there);
    /* end_badly stays what is done on failure */
}

/* ---- the calls ---- */

static bool read_number(const struct value *options, const char *key, int64_t max, int64_t *ret, struct error **errp) {
    const char *text = value_map_str(options, key);
    if (!text || str_parse_int(text, 0, max, ret))
        return true;
    error_set(errp, ERR_INVALID_VALUE, key, text, NULL);
    return false;
}

/* A number that the pool has said for all moves. */
static int64_t pool_number(struct db *d, const char *key, int64_t max) {
    const struct row *pool = db_pool(d);
    const char *text = pool ? value_map_str(row_value(pool, FIELD_pool_other_config), key) : NULL;
    int64_t n = 0;
    return text && str_parse_int(text, 0, max, &n) ? n : 0;
}

static bool read_options(struct move *m, struct db *d, const struct value *options, struct error **errp) {
    const struct row *pool = db_pool(d);
    const char *network = value_map_str(options, "network"), *compress = value_map_str(options, "compress");
    m->mib_per_s = pool_number(d, "migration_mib_per_s", 1 << 20);
    m->stall_s = pool_number(d, "migration_stall_s", STALL_S_MAX);
    m->compress = compress ? str_eq(compress, "true") : pool && row_bool(pool, FIELD_pool_migration_compression);
    if (!read_number(options, "bandwidth", 1 << 20, &m->mib_per_s, errp) ||
        !read_number(options, "stall_s", STALL_S_MAX, &m->stall_s, errp))
        return false;
    if (!network || str_eq(network, REF_NULL_TEXT))
        return true;
    if (ref_parse(network, &m->network) && db_get(d, CLASS_network, &m->network))
        return true;
    error_set(errp, ERR_HANDLE_INVALID, "network", network, NULL);
    return false;
}

void class_vm_move(struct call *c, const struct class_vm_wish *w) {
    struct db *d = call_db(c);
    struct error *e = NULL;
    if (!vm_op_check(c, w->vm, w->operation))
        return;
    if (uuid_eq(row_ref(w->vm, FIELD_VM_resident_on), &w->to->uuid)) {
        if (w->vdi_map && w->vdi_map->map.n)
            call_fail_code(c, ERR_VALUE_NOT_SUPPORTED, "host", row_str(w->to, FIELD_host_uuid),
                           "the VM is on this host; disks move only together with it", NULL);
        else if (w->returns_ref)
            call_return_ref(c, &w->vm->uuid);
        else
            call_return_void(c);
        return;
    }
    struct vm_op *op = vm_op_begin(c, w->vm, w->operation);
    if (!op)
        return;
    struct move *m = xnew0(struct move);
    struct uuid id = uuid_random();
    *m = (struct move){.op = op,
                       .next = moves_of(call_api(c))->first,
                       .wish = value_map(),
                       .only_asks = w->only_asks,
                       .moves_disks = w->vdi_map != NULL,
                       .returns_ref = w->returns_ref,
                       .data_address = w->data_address ? xstrdup(w->data_address) : NULL};
    m->plan.vm = w->vm->uuid;
    m->plan.from = *row_ref(w->vm, FIELD_VM_resident_on);
    m->plan.to = w->to->uuid;
    uuid_text(&id, m->id);
    moves_of(call_api(c))->first = m;
    *vm_op_data(op) = value_int((int64_t)(uintptr_t)m);
    if (w->vdi_map)
        value_map_add(&m->wish, "vdi_map", value_copy(w->vdi_map));
    if (w->vif_map)
        value_map_add(&m->wish, "vif_map", value_copy(w->vif_map));
    if (!read_options(m, d, w->options, &e) || !make_plan(m, &e)) {
        end_badly(op, e);
        return;
    }
    vm_op_on_failure(op, end_badly);
    vm_op_ask(op, &m->plan.from, "vm_facts", value_map(), FACTS_MS, on_facts_here);
}

void vm_pool_migrate(struct call *c) {
    const struct row *vm = call_arg_row(c, 0), *to = vm ? call_arg_row(c, 1) : NULL;
    if (to)
        class_vm_move(
            c, &(struct class_vm_wish){.vm = vm, .to = to, .options = call_arg(c, 2), .operation = "pool_migrate"});
}
