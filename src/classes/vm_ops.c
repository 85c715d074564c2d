/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/vm_ops.h"

#include "base/str.h"
#include "classes/class_vm_pools.h"
#include "classes/vm_allowed_core.h"
#include "classes/vm_allowed_rows.h"

struct vm_ops {
    struct api *api;
    struct vm_op *first;
    struct db_watch *watch;
};

struct vm_op {
    struct vm_ops *all;
    struct call *call;
    int class_id; /* -1: plain */
    struct uuid object;
    const char *operation;
    char key[REF_TEXT_SIZE]; /* its task, or a name of its own */
    struct value data;
    vm_op_answer_fn *answered;
    void (*failed)(struct vm_op *op, struct error *e);
    bool (*is_there)(struct vm_op *op);
    vm_op_fn *then, *repeat, *cancelled;
    uint64_t period_ms;
    struct error *late;
    struct db_watch *watch;
    struct loop_source *deadline, *repeater;
    struct vm_op *next;
};

static void free_op(struct vm_op *op) {
    db_watch_free(op->watch);
    loop_source_free(op->deadline);
    loop_source_free(op->repeater);
    error_free(op->late);
    value_done(&op->data);
    free(op);
}

static void free_ops(void *data) {
    struct vm_ops *all = data;
    db_watch_free(all->watch);
    while (all->first) {
        struct vm_op *op = all->first;
        all->first = op->next;
        free_op(op);
    }
    free(all);
}

static struct vm_ops *ops_of(struct api *a) {
    struct vm_ops *all = api_class_data(a, API_DATA_VMS);
    if (!all) {
        all = xnew0(struct vm_ops);
        all->api = a;
        api_set_class_data(a, API_DATA_VMS, all, free_ops);
    }
    return all;
}

/* ---- what shows in rows ---- */

static struct vm_op *op_on(const struct vm_ops *all, const struct uuid *object) {
    struct vm_op *op = all->first;
    while (op && !(op->class_id >= 0 && uuid_eq(&op->object, object)))
        op = op->next;
    return op;
}

bool vm_op_is_busy(struct api *a, const struct uuid *object) {
    return op_on(ops_of(a), object) != NULL;
}

static void show(struct vm_ops *all, int class_id, const struct uuid *object) {
    const struct row *r = db_get(api_db(all->api), class_id, object);
    int current = vm_allowed_current_field(class_id);
    if (!r || current < 0)
        return;
    struct value map = value_map();
    for (struct vm_op *op = all->first; op; op = op->next)
        if (op->class_id == class_id && uuid_eq(&op->object, object))
            value_map_put(&map, op->key, value_string(op->operation));
    db_volatile_set(api_db(all->api), api_own_host(all->api), class_id, object, (unsigned)current, map);
    struct vm_op *op = op_on(all, object);
    vm_allowed_show(all->api, r, op ? op->operation : NULL);
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct vm_ops *all = userdata;
    if (event == DB_DELETED || !api_is_coordinator(all->api) || vm_allowed_current_field(r->class->id) < 0)
        return;
    struct vm_op *op = op_on(all, &r->uuid);
    vm_allowed_show(all->api, r, op ? op->operation : NULL);
    vm_allowed_show_neighbours(all->api, r);
}

static void on_any_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct vm_ops *all = userdata;
    if (r->class->id == CLASS_pool && event != DB_DELETED && api_is_coordinator(all->api)) {
        /* Perhaps just made the coordinator: what the one before said went with it. */
        static const int classes[] = {CLASS_VM, CLASS_VBD, CLASS_VIF, CLASS_VDI, CLASS_SR};
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
            for (const struct row *o = db_first(d, classes[i]); o; o = db_next(d, o))
                on_row(d, DB_CHANGED, o, all);
    } else if (r->class->id == CLASS_PBD && event != DB_DELETED) {
        const struct row *sr = db_follow(d, r, FIELD_PBD_SR);
        if (sr)
            on_row(d, DB_CHANGED, sr, all);
    } else {
        on_row(d, event, r, all);
    }
}

void vm_ops_watch(struct api *a) {
    struct vm_ops *all = ops_of(a);
    all->watch = db_watch_add(api_db(a), /* class_id= */ -1, on_any_row, all);
}

/* ---- beginning ---- */

static struct vm_op *begin(struct call *c, int class_id, const struct uuid *object, const char *operation) {
    struct vm_ops *all = ops_of(call_api(c));
    struct vm_op *op = xnew0(struct vm_op);
    *op = (struct vm_op){
        .all = all, .call = call_keep(c), .class_id = class_id, .object = *object, .operation = operation};
    struct uuid key = uuid_is_null(call_task(c)) ? uuid_random() : *call_task(c);
    ref_text(&key, op->key);
    op->next = all->first;
    all->first = op;
    if (class_id >= 0)
        show(all, class_id, object);
    return op;
}

struct vm_op *vm_op_begin(struct call *c, const struct row *object, const char *operation) {
    struct vm_op *other = op_on(ops_of(call_api(c)), &object->uuid);
    char ref[REF_TEXT_SIZE];
    if (other && !vm_allowed_beside(operation, other->operation)) {
        call_fail_code(c, ERR_OTHER_OPERATION_IN_PROGRESS, object->class->name, ref_text(&object->uuid, ref),
                       other->operation, other->key, NULL);
        return NULL;
    }
    return begin(c, object->class->id, &object->uuid, operation);
}

struct vm_op *vm_op_plain(struct call *c) {
    struct uuid none = {0};
    return begin(c, -1, &none, "");
}

bool vm_op_check(struct call *c, const struct row *vm, const char *operation) {
    enum vm_kind kind = vm_allowed_kind(vm);
    unsigned allowed = vm_allowed_in(operation, kind);
    enum vm_power power = vm_power_of(row_str(vm, FIELD_VM_power_state));
    const struct value *blocked = value_map_get(row_value(vm, FIELD_VM_blocked_operations), operation);
    char ref[REF_TEXT_SIZE];
    ref_text(&vm->uuid, ref);
    if (row_bool(vm, FIELD_VM_is_control_domain))
        call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, "this is the host itself, not a virtual machine", NULL);
    else if (blocked)
        call_fail_code(c, ERR_OPERATION_BLOCKED, ref, value_str(blocked), NULL);
    else if (!allowed && kind == VM_KIND_SNAPSHOT)
        call_fail_code(c, ERR_VM_IS_SNAPSHOT, NULL);
    else if (!allowed && kind == VM_KIND_TEMPLATE)
        call_fail_code(c, ERR_VM_IS_TEMPLATE, ref, NULL);
    else if (vm_pools_hold(vm))
        call_fail_code(c, ERR_OTHER_OPERATION_IN_PROGRESS, "VM", ref, "migrate_send", "", NULL);
    else if (!(allowed & power))
        call_fail_code(c, ERR_VM_BAD_POWER_STATE, ref, vm_power_text(allowed), vm_power_text(power), NULL);
    else
        return true;
    return false;
}

struct call *vm_op_call(struct vm_op *op) {
    return op->call;
}

struct db *vm_op_db(struct vm_op *op) {
    return api_db(op->all->api);
}

const struct uuid *vm_op_object(const struct vm_op *op) {
    return &op->object;
}

const struct row *vm_op_row(struct vm_op *op) {
    const struct row *r = db_get(vm_op_db(op), op->class_id, &op->object);
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    if (r)
        return r;
    error_set(&e, ERR_HANDLE_INVALID, model_classes[op->class_id].name, ref_text(&op->object, ref), NULL);
    vm_op_fail(op, e);
    return NULL;
}

struct value *vm_op_data(struct vm_op *op) {
    return &op->data;
}

/* ---- ending ---- */

/* Takes it out of the list; what shows is right before the client hears. */
static struct call *finish(struct vm_op *op) {
    struct vm_ops *all = op->all;
    struct call *c = op->call;
    int class_id = op->class_id;
    struct uuid object = op->object;
    for (struct vm_op **at = &all->first; *at; at = &(*at)->next)
        if (*at == op) {
            *at = op->next;
            break;
        }
    free_op(op);
    if (class_id >= 0)
        show(all, class_id, &object);
    return c;
}

void vm_op_return_void(struct vm_op *op) {
    call_return_void(finish(op));
}

void vm_op_return(struct vm_op *op, struct value result) {
    call_return(finish(op), result);
}

void vm_op_return_ref(struct vm_op *op, const struct uuid *u) {
    struct uuid copy = *u;
    call_return_ref(finish(op), &copy);
}

void vm_op_fail(struct vm_op *op, struct error *e) {
    call_fail(finish(op), e);
}

static void fail(struct vm_op *op, struct error *e) {
    void (*failed)(struct vm_op * op, struct error * e) = TAKE(op->failed);
    if (failed)
        failed(op, e);
    else
        vm_op_fail(op, e);
}

void vm_op_on_failure(struct vm_op *op, void (*failed)(struct vm_op *op, struct error *e)) {
    op->failed = failed;
}

/* ---- asking ---- */

static void on_answer(struct error *error, const struct value *result, void *data) {
    struct vm_op *op = data;
    if (error)
        fail(op, error_dup(error));
    else
        op->answered(op, result);
}

void vm_op_ask(struct vm_op *op, const struct uuid *host, const char *name, struct value args, uint64_t deadline_ms,
               vm_op_answer_fn *then) {
    const struct api_hooks *h = api_hooks(op->all->api);
    struct error *e = NULL;
    if (h->host_ask) {
        op->answered = then;
        h->host_ask(h->userdata, host, name, args, deadline_ms, on_answer, op);
        return;
    }
    value_done(&args);
    error_set(&e, ERR_NOT_IMPLEMENTED, call_def(op->call)->name, NULL);
    fail(op, e);
}

static void on_committed(struct error *error, void *userdata) {
    struct vm_op *op = userdata;
    if (error)
        fail(op, error_dup(error));
    else
        op->then(op);
}

void vm_op_commit(struct vm_op *op, struct db_txn *t, vm_op_fn *then) {
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        then(op);
        return;
    }
    op->then = then;
    db_txn_fence(t);
    db_txn_commit(t, 15000, on_committed, op);
}

/* ---- waiting ---- */

static void stop_waiting(struct vm_op *op) {
    db_watch_free(TAKE(op->watch));
    loop_source_free(TAKE(op->deadline));
    loop_source_free(TAKE(op->repeater));
    op->repeat = NULL;
}

static void on_batch(struct db *d, uint64_t generation, void *userdata) {
    struct vm_op *op = userdata;
    if (!op->watch || !op->is_there(op))
        return;
    stop_waiting(op);
    op->then(op);
}

static void on_late(struct loop_source *s, void *userdata) {
    struct vm_op *op = userdata;
    struct error *late = TAKE(op->late);
    stop_waiting(op);
    fail(op, late);
}

static void on_repeat(struct loop_source *s, void *userdata) {
    struct vm_op *op = userdata;
    loop_timer_set(op->repeater, op->period_ms);
    op->repeat(op);
}

static void on_cancel(struct call *c, void *userdata) {
    struct vm_op *op = userdata;
    struct error *e = NULL;
    if (op->watch && op->cancelled) {
        op->cancelled(op); /* what is waited for will then come in another way */
        return;
    }
    if (!op->watch)
        return; /* a host works on it; it ends by itself */
    stop_waiting(op);
    error_set(&e, ERR_TASK_CANCELLED, op->key, NULL);
    fail(op, e);
}

void vm_op_on_cancel(struct vm_op *op, vm_op_fn *fn) {
    op->cancelled = fn;
}

void vm_op_repeat(struct vm_op *op, uint64_t period_ms, vm_op_fn *fn) {
    op->repeat = fn;
    op->period_ms = period_ms;
}

void vm_op_wait(struct vm_op *op, bool (*is_there)(struct vm_op *op), uint64_t deadline_ms, struct error *late_error,
                vm_op_fn *then) {
    struct loop *l = api_loop(op->all->api);
    vm_op_fn *repeat = TAKE(op->repeat);
    error_free(op->late);
    op->late = late_error;
    if (is_there(op)) {
        then(op);
        return;
    }
    op->is_there = is_there;
    op->then = then;
    op->watch = db_watch_batches(vm_op_db(op), on_batch, op);
    op->deadline = loop_add_timer(l, deadline_ms, on_late, op);
    op->repeat = repeat;
    if (repeat)
        op->repeater = loop_add_timer(l, op->period_ms, on_repeat, op);
    call_on_cancel(op->call, on_cancel, op);
}
