/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that goes to another pool, from its record on. One of these per VM, with the operation of the call that began
 * it, or without (the daemon that led the pool has died; what is written down is brought to an end). What is done next
 * is decided by pools_leave_step, one thing at a time.
 */
#include <stdio.h>

#include "api/session.h"
#include "base/str.h"
#include "classes/class_blob.h"
#include "classes/class_calls.h"
#include "classes/class_vm_pools_leave.h"
#include "classes/store_calls.h"
#include "classes/vm_ops.h"
#include "wire/http_client.h"
#include "wire/value_json.h"

#define LOG_MODULE "move"
#include "base/log.h"

#define FACTS_MS 10000
#define ARRIVE_MS (3 * 60 * 1000) /* disks are made empty there */
#define WORD_MS 10000
#define READY_MS (2 * 60 * 1000) /* the other side writes all of it to its disk first */
#define AGAIN_MS 2000
#define WRITE_MS 15000
#define REMOVE_SESSION_MS (10 * 60 * 1000)

struct leaves {
    struct leave *first;
};

static void step(struct leave *l);

static void leave_free(struct leave *l) {
    loop_source_free(l->timer);
    pools_copy_free(l->copy);
    pools_remote_free(l->remote);
    pools_dest_done(&l->dest);
    value_done(&l->request);
    value_done(&l->answer);
    value_done(&l->old_disks);
    error_free(l->why);
    free(l);
}

static void free_leaves(void *data) {
    struct leaves *all = data;
    while (all->first) {
        struct leave *l = all->first;
        all->first = l->next;
        leave_free(l);
    }
    free(all);
}

static struct leaves *leaves_of(struct api *a) {
    struct leaves *all = api_class_data(a, API_DATA_LEAVING);
    if (!all) {
        all = xnew0(struct leaves);
        api_set_class_data(a, API_DATA_LEAVING, all, free_leaves);
    }
    return all;
}

static const struct row *vm_of(struct leave *l) {
    return db_get(api_db(l->api), CLASS_VM, &l->vm);
}

/* Its record, when the row has this move's; NULL. */
static const struct value *record_of(struct leave *l) {
    const struct row *vm = vm_of(l);
    const struct value *record = vm ? row_value(vm, FIELD_VM_migration) : NULL;
    return record && str_eq(str_or_empty(value_map_str(record, "id")), l->id) ? record : NULL;
}

/* ---- ends ---- */

static struct vm_op *finish(struct leave *l) {
    struct vm_op *op = l->op;
    for (struct leave **at = &leaves_of(l->api)->first; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    leave_free(l);
    return op;
}

static void end_badly(struct leave *l, struct error *e /* taken */) {
    char text[UUID_TEXT_SIZE];
    log_notice("VM '%s' does not go to another pool: %s", uuid_text(&l->vm, text), error_text(e));
    struct vm_op *op = finish(l);
    if (op)
        vm_op_fail(op, e);
    else
        error_free(e);
}

static void end_well(struct leave *l) {
    struct uuid vm = l->vm;
    bool only_asks = l->only_asks;
    struct vm_op *op = finish(l);
    if (op && only_asks)
        vm_op_return_void(op);
    else if (op)
        vm_op_return_ref(op, &vm);
}

struct error *pools_leave_error(struct leave *l, const char *why) {
    char ref[REF_TEXT_SIZE], from[REF_TEXT_SIZE];
    struct error *e = NULL;
    error_set(&e, ERR_VM_MIGRATE_FAILED, ref_text(&l->vm, ref), ref_text(api_own_host(l->api), from),
              str_or_empty(l->dest.host), why, NULL);
    return e;
}

/* The first reason is the cause. */
void pools_leave_fail(struct leave *l, struct error *e /* taken */) {
    if (l->has_failed) {
        error_free(e);
        return;
    }
    l->has_failed = true;
    l->failed_ms = loop_now_ms(api_loop(l->api));
    l->why = e;
}

/* What came over the network is the other pool's error, or that it does not answer. */
void pools_leave_fail_remote(struct leave *l, const struct error *error) {
    struct error *e = error_dup(error);
    _cleanup_free_ char *why = strf("the other pool (%s): %s", l->dest.master, error_text(e));
    if (error_is(e, ERR_WIRE_CONNECT) || error_is(e, ERR_WIRE_CERTIFICATE) || error_is(e, ERR_WIRE_RESPONSE)) {
        error_free(e);
        e = pools_leave_error(l, why);
    }
    pools_leave_fail(l, e);
}

void pools_leave_go_on(struct leave *l, uint64_t ms) {
    l->is_busy = false;
    loop_timer_set(l->timer, ms);
}

/* ---- the last step: rows, then disks ---- */

static void remove_disk(struct leave *l);

static void on_disk_removed(const struct reply *r, void *userdata) {
    remove_disk(userdata); /* one that could not be removed is there for people to see, with its name */
}

static void remove_disk(struct leave *l) {
    if (l->old_disks.set.n == 0) {
        end_well(l);
        return;
    }
    struct uuid vdi = l->old_disks.set.items[--l->old_disks.set.n].ref,
                session = api_session_lend(l->api, NULL, ROLE_VM_POWER_ADMIN, REMOVE_SESSION_MS);
    struct value params = value_set();
    value_set_add(&params, value_ref(&session));
    value_set_add(&params, value_ref(&vdi));
    struct api_request rq = {.method = "VDI.destroy", .params = params, .caller = {.is_local = true}, .is_inner = true};
    api_dispatch(l->api, &rq, on_disk_removed, l);
}

static void on_rows_removed(struct error *error, void *userdata) {
    struct leave *l = userdata;
    char text[UUID_TEXT_SIZE];
    if (error) {
        log_info("VM '%s' is in the other pool; its rows here cannot be removed yet: %s", uuid_text(&l->vm, text),
                 error_text(error));
        pools_leave_go_on(l, AGAIN_MS);
        return;
    }
    log_notice("VM '%s' is in another pool now", uuid_text(&l->vm, text));
    remove_disk(l);
}

static void remove_rows(struct leave *l) {
    struct db *d = api_db(l->api);
    const struct row *vm = vm_of(l);
    struct db_txn *t = db_txn_new(d, "a VM is in another pool");
    const struct value *vbds = row_value(vm, FIELD_VM_VBDs);
    _cleanup_strv_ struct strv copied = {0};
    struct uuid u;
    value_done(&l->old_disks);
    l->old_disks = value_set();
    strv_split(&copied, str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "disks")), ' ');
    for (size_t i = 0; i < copied.n; i++)
        if (uuid_parse(copied.items[i], &u) && db_get(d, CLASS_VDI, &u))
            value_set_add(&l->old_disks, value_ref(&u));
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_copy(row_value(vm, FIELD_VM_migration)));
    class_delete_set(t, CLASS_VBD, vbds);
    class_delete_set(t, CLASS_VIF, row_value(vm, FIELD_VM_VIFs));
    class_delete_set(t, CLASS_console, row_value(vm, FIELD_VM_consoles));
    blob_delete_all(t, row_value(vm, FIELD_VM_blobs));
    db_txn_delete(t, CLASS_VM, &l->vm);
    db_txn_fence(t);
    db_txn_commit(t, WRITE_MS, on_rows_removed, l);
}

/* ---- what is written down ---- */

static void on_given(struct error *error, void *userdata) {
    struct leave *l = userdata;
    if (error && !error_is(error, ERR_DB_WRITE_UNKNOWN))
        pools_leave_fail(l, error_dup(error)); /* unknown: the row says it, sooner or later */
    else if (error)
        l->may_be_given = true;
    l->peer = POOLS_PEER_UNKNOWN;
    pools_leave_go_on(l, error ? AGAIN_MS : 0);
}

static void give(struct leave *l) {
    const struct value *record = record_of(l);
    struct value given = value_copy(record);
    struct db_txn *t = db_txn_new(api_db(l->api), "a VM is given to another pool");
    value_map_put(&given, POOLS_KEY, value_string("given"));
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_copy(record));
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_resident_on, value_ref(&l->host));
    db_txn_set(t, CLASS_VM, &l->vm, FIELD_VM_migration, given);
    db_txn_fence(t);
    db_txn_commit(t, WRITE_MS, on_given, l);
}

/* It has nothing that waits for a word. */
static bool peer_is_out(const struct leave *l) {
    return l->peer == POOLS_PEER_NONE || l->peer == POOLS_PEER_TAKEN;
}

static void on_kept(struct error *error, void *userdata) {
    struct leave *l = userdata;
    struct api *a = l->api;
    char text[UUID_TEXT_SIZE];
    if (error) {
        pools_leave_go_on(l, AGAIN_MS);
        return;
    }
    if (!peer_is_out(l))
        log_notice("the pool of '%s' is told that VM '%s' stays here as soon as it is heard", l->dest.master,
                   uuid_text(&l->vm, text));
    end_badly(l, l->why ? TAKE(l->why) : pools_leave_error(l, "whoever moved it has died"));
    class_vm_pools_untold_look(a);
}

static void keep(struct leave *l) {
    const struct value *record = record_of(l);
    struct db_txn *t = db_txn_new(api_db(l->api), "a VM stays in its pool");
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_copy(record));
    db_txn_set(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_map());
    if (!peer_is_out(l)) /* the VM is free again; that the other pool must hear of it outlives this daemon */
        pools_untold_add(l->api, t, vm_of(l));
    db_txn_fence(t);
    db_txn_commit(t, WRITE_MS, on_kept, l);
}

/* ---- words ---- */

static void on_word(const struct value *result, const struct error *error, void *userdata) {
    struct leave *l = userdata;
    enum pools_peer said = error || result->type != VALUE_MAP
                               ? POOLS_PEER_UNKNOWN
                               : pools_peer_of(str_or_empty(value_map_str(result, "is")));
    bool is_news = said != POOLS_PEER_UNKNOWN && said != l->peer;
    if (is_news)
        l->peer = said;
    if (said == POOLS_PEER_UNKNOWN && l->is_at_work && !l->has_failed && !l->is_given) {
        if (error)
            pools_leave_fail_remote(l, error);
        else
            pools_leave_fail(l, pools_leave_error(l, "the other pool's answer is not sound"));
    }
    pools_leave_go_on(l, is_news ? 0 : AGAIN_MS);
}

struct value pools_leave_words(struct leave *l, const char *word, const char *vdi) {
    struct value params = value_set();
    value_set_add(&params, value_ref(&l->vm));
    value_set_add(&params, value_string(l->id));
    value_set_add(&params, value_string(l->secret));
    value_set_add(&params, value_string(word));
    value_set_add(&params, value_string(vdi));
    return params;
}

static void say(struct leave *l, const char *word) {
    pools_remote_call(l->remote, "VM.migrate_settle", pools_leave_words(l, word, ""),
                      str_eq(word, "ready") ? READY_MS : WORD_MS, on_word, l);
}

static void step(struct leave *l) {
    const struct value *record = record_of(l);
    const char *phase = record ? str_or_empty(value_map_str(record, POOLS_KEY)) : "";
    char text[UUID_TEXT_SIZE];
    if (l->is_busy)
        return;
    if (l->only_asks) {
        if (l->has_failed)
            end_badly(l, TAKE(l->why));
        else
            end_well(l);
        return;
    }
    if (!api_is_coordinator(l->api)) { /* whoever leads the pool now goes on with it */
        end_badly(l, pools_leave_error(l, "this host leads the pool no more"));
        return;
    }
    if (!record && l->is_given && !vm_of(l)) { /* the rows went, though nobody said so */
        l->is_busy = true;
        remove_disk(l);
        return;
    }
    if (!record) { /* a person has said what is to be believed, or the VM is gone */
        end_badly(l, l->why ? TAKE(l->why) : pools_leave_error(l, "its record is gone"));
        return;
    }
    l->is_given = str_eq(phase, "given");
    uint64_t now = loop_now_ms(api_loop(l->api));
    if ((l->has_failed || !l->is_at_work) && l->failed_ms == 0)
        l->failed_ms = now;
    struct pools_leave_facts f = {.phase = l->is_given ? POOLS_GIVEN : POOLS_COPYING,
                                  .is_at_work = l->is_at_work,
                                  .is_copied = l->is_copied,
                                  .has_failed = l->has_failed,
                                  /* Nobody is told to forget it while "given" may still come to be written. */
                                  .gave_up_telling =
                                      l->may_be_given || (l->failed_ms && now - l->failed_ms > POOLS_FORGET_MS),
                                  .peer = l->peer};
    l->is_busy = true;
    switch (pools_leave_step(&f)) {
    case POOLS_LEAVE_WAIT:
        l->is_busy = false;
        return;
    case POOLS_LEAVE_ASK_READY:
        if (l->peer == POOLS_PEER_ARRIVING && l->has_asked) {
            pools_leave_fail(l, pools_leave_error(l, "the other pool does not promise to keep it"));
            pools_leave_go_on(l, 0);
            return;
        }
        l->has_asked = true;
        say(l, "ready");
        return;
    case POOLS_LEAVE_GIVE:
        give(l);
        return;
    case POOLS_LEAVE_TELL_TAKE:
        say(l, "take");
        return;
    case POOLS_LEAVE_TELL_FORGET:
        if (!l->has_failed && l->is_at_work)
            pools_leave_fail(l, pools_leave_error(l, "the other pool has lost it again"));
        say(l, "forget");
        return;
    case POOLS_LEAVE_KEEP:
        if (!l->has_failed && l->is_at_work)
            pools_leave_fail(l, pools_leave_error(l, l->peer == POOLS_PEER_LOST
                                                         ? "the other pool has lost its memory again"
                                                         : "the other pool has given it up"));
        keep(l);
        return;
    case POOLS_LEAVE_REMOVE:
        remove_rows(l);
        return;
    case POOLS_LEAVE_STUCK:
        if (!l->is_complained)
            log_err("VM '%s' was given to the pool of %s, which does not know it: look there, and say with "
                    "'xe vm-reset-powerstate' where it is to be",
                    uuid_text(&l->vm, text), l->dest.master);
        l->is_complained = true;
        l->peer = POOLS_PEER_UNKNOWN;
        pools_leave_go_on(l, 60000);
        return;
    }
}

static void on_timer(struct loop_source *s, void *userdata) {
    step(userdata);
}

/* ---- beginning ---- */

static void on_arrived(const struct value *result, const struct error *error, void *userdata) {
    struct leave *l = userdata;
    if (l->only_asks) {
        if (error)
            pools_leave_fail_remote(l, error);
        pools_leave_go_on(l, 0); /* not from within the call, which is freed with it */
        return;
    }
    if (error || result->type != VALUE_MAP) {
        if (error)
            pools_leave_fail_remote(l, error);
        else
            pools_leave_fail(l, pools_leave_error(l, "the other pool's answer is not sound"));
        pools_leave_go_on(l, 0);
        return;
    }
    l->answer = value_copy(result);
    pools_leave_copy(l);
}

static void ask_to_arrive(struct leave *l) {
    struct value params = value_set(), request = value_map();
    struct uuid session, host;
    _cleanup_buf_ struct buf text = BUF_INIT;
    value_map_put(&l->request, "id", value_string(l->id));
    value_map_put(&l->request, "secret", value_string(l->secret));
    value_map_put(&l->request, "address", value_string(l->dest.address));
    value_json_emit(&text, &l->request);
    value_map_add(&request, "json", value_string(buf_str(&text)));
    if (!ref_parse(l->dest.session, &session) || !ref_parse(l->dest.host, &host))
        session = host = (struct uuid){0};
    value_set_add(&params, value_ref(&session));
    value_set_add(&params, value_ref(&host));
    value_set_add(&params, request);
    pools_remote_call(l->remote, "VM.migrate_arrive", params, ARRIVE_MS, on_arrived, l);
}

static void on_recorded(struct error *error, void *userdata) {
    struct leave *l = userdata;
    if (error) {
        end_badly(l, error_dup(error));
        return;
    }
    ask_to_arrive(l);
}

/* Those that are copied: only they are removed in the end. */
static char *disk_names(const struct leave *l) {
    const struct value *disks = value_map_get(&l->request, "disks");
    _cleanup_buf_ struct buf names = BUF_INIT;
    for (size_t i = 0; disks && i < disks->set.n; i++)
        buf_addf(&names, "%s%s", i ? " " : "", str_or_empty(value_map_str(&disks->set.items[i], "from")));
    return xstrdup(buf_str(&names));
}

static void write_record(struct leave *l) {
    _cleanup_free_ char *disks = disk_names(l);
    struct db_txn *t = db_txn_new(api_db(l->api), "a VM is to go to another pool");
    struct value record = value_map();
    value_map_add(&record, POOLS_KEY, value_string("copying"));
    value_map_add(&record, "id", value_string(l->id));
    value_map_add(&record, "secret", value_string(l->secret));
    value_map_add(&record, "master", value_string(l->dest.master));
    value_map_add(&record, "authority", value_string(l->dest.authority));
    value_map_add(&record, "host", value_string(l->dest.host));
    value_map_add(&record, "disks", value_string(disks));
    if (l->is_live)
        value_map_add(&record, POOLS_LIVE, value_string("true"));
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_resident_on, value_ref(&l->host));
    db_txn_expect(t, CLASS_VM, &l->vm, FIELD_VM_migration, value_map());
    db_txn_set(t, CLASS_VM, &l->vm, FIELD_VM_migration, record);
    db_txn_fence(t);
    db_txn_commit(t, WRITE_MS, on_recorded, l);
}

static void begin(struct leave *l) {
    if (l->only_asks)
        ask_to_arrive(l);
    else
        write_record(l);
}

/* Small frames pass and full ones do not: then the copy would begin and stand still. Where not even small ones are
 * answered, nothing is known (a firewall), and the watch over the copy is left. */
static void on_path(struct error *error, const struct value *result, void *data) {
    struct leave *l = data;
    const char *full = error ? "" : str_or_empty(value_map_str(result, "full"));
    if (str_eq(full, "false") && !str_eq(str_or_empty(value_map_str(result, "too_long")), "true")) {
        _cleanup_free_ char *why = strf("frames of %lld bytes do not reach %s, small ones do: the path is too small",
                                        (long long)l->dest.mtu, l->dest.address);
        end_badly(l, pools_leave_error(l, why));
        return;
    }
    begin(l);
}

static void try_path(struct leave *l) {
    const struct api_hooks *h = api_hooks(l->api);
    struct error *e = NULL;
    const struct value *disks = value_map_get(&l->request, "disks");
    const struct row *host = l->is_live || (disks && disks->set.n) ? pools_leave_host(l, &e) : NULL;
    if (e) {
        end_badly(l, e);
    } else if (host) {
        struct value args = value_map();
        value_map_add(&args, "address", value_string(l->dest.address));
        value_map_add(&args, "size", value_int(l->dest.mtu));
        h->host_ask(h->userdata, &host->uuid, "disk_path", args, FACTS_MS * 2, on_path, l);
    } else {
        begin(l);
    }
}

/* The row of a file with memory does not say how long it is. */
static void on_memory(struct error *error, const struct value *result, void *data) {
    struct leave *l = data;
    struct value *disks = value_map_get(&l->request, "disks");
    const struct value *size = error ? NULL : value_map_get(result, "virtual_size");
    const char *memory = str_or_empty(value_map_str(&l->request, "memory"));
    if (error) {
        end_badly(l, error_dup(error));
        return;
    }
    for (size_t i = 0; i < disks->set.n; i++)
        if (str_eq(str_or_empty(value_map_str(&disks->set.items[i], "from")), memory))
            value_map_put(&disks->set.items[i], "virtual_size", value_int(size ? value_as_int(size) : 0));
    try_path(l);
}

static void measure_memory(struct leave *l) {
    const struct api_hooks *h = api_hooks(l->api);
    struct db *d = api_db(l->api);
    struct uuid u;
    struct error *e = NULL;
    const struct row *vdi = uuid_parse(str_or_empty(value_map_str(&l->request, "memory")), &u)
                                ? db_get(d, CLASS_VDI, &u)
                                : NULL,
                     *sr = vdi ? db_follow(d, vdi, FIELD_VDI_SR) : NULL, *host = sr ? store_host(l->api, sr, &e) : NULL;
    if (e)
        end_badly(l, e);
    else if (host)
        h->host_ask(h->userdata, &host->uuid, "store", store_disk_args(d, "vdi_stat", vdi, &host->uuid), STORE_MS,
                    on_memory, l);
    else
        try_path(l);
}

static void on_machine(struct error *error, const struct value *result, void *data) {
    struct leave *l = data;
    if (error) {
        end_badly(l, error_dup(error));
        return;
    }
    value_map_put(&l->request, "machine", value_string(str_or_empty(value_map_str(result, "machine"))));
    try_path(l);
}

static void ask_machine(struct leave *l) {
    const struct api_hooks *h = api_hooks(l->api);
    struct value args = value_map();
    char text[UUID_TEXT_SIZE];
    value_map_add(&args, "vm", value_string(uuid_text(&l->vm, text)));
    h->host_ask(h->userdata, &l->host, "vm_machine", args, FACTS_MS, on_machine, l);
}

static void on_facts(struct error *error, const struct value *result, void *data) {
    struct leave *l = data;
    const char *trouble = error ? error_text(error) : str_or_empty(value_map_str(result, "trouble"));
    const struct value *kvm = error ? NULL : value_map_get(result, "has_kvm");
    if (*trouble) {
        end_badly(l, error ? error_dup(error) : pools_leave_error(l, trouble));
        return;
    }
    value_map_put(&l->request, "authority", value_string(str_or_empty(value_map_str(result, "authority"))));
    value_map_put(&l->request, "has_kvm", value_bool(kvm && value_as_bool(kvm)));
    if (l->is_live)
        ask_machine(l);
    else
        measure_memory(l);
}

static struct leave *leave_new(struct api *a, const struct uuid *vm, struct pools_dest dest) {
    struct leave *l = xnew0(struct leave);
    *l = (struct leave){.api = a,
                        .vm = *vm,
                        .dest = dest,
                        .is_busy = true,
                        .remote = pools_remote_new(a, dest.master, dest.authority),
                        .request = value_map(),
                        .next = leaves_of(a)->first};
    l->timer = loop_add_timer(api_loop(a), LOOP_NEVER, on_timer, l);
    leaves_of(a)->first = l;
    return l;
}

static void on_cancel(struct call *c, void *userdata) {
    struct leave *l = userdata;
    struct error *e = NULL;
    char ref[REF_TEXT_SIZE];
    if (l->is_given || l->has_failed)
        return; /* it is under way for good */
    error_set(&e, ERR_TASK_CANCELLED, ref_text(call_task(c), ref), NULL);
    pools_leave_fail(l, e);
    pools_copy_stop(l);
}

void pools_leave_begin(struct vm_op *op, struct value request, struct pools_dest dest) {
    struct api *a = call_api(vm_op_call(op));
    const struct api_hooks *h = api_hooks(a);
    struct leave *l = leave_new(a, vm_op_object(op), dest);
    struct uuid id = uuid_random(), secret[2] = {uuid_random(), uuid_random()};
    char halves[2][UUID_TEXT_SIZE];
    const struct value *only_asks = value_map_get(&request, "only_asks");
    struct error *e = NULL;
    l->op = op;
    l->is_at_work = true;
    l->only_asks = only_asks && value_as_bool(only_asks);
    value_done(&l->request);
    l->request = request;
    const struct value *is_live = value_map_get(&l->request, "live");
    l->is_live = is_live && value_as_bool(is_live);
    if (l->is_live)
        l->host = *row_ref(vm_of(l), FIELD_VM_resident_on);
    uuid_text(&id, l->id);
    (void)snprintf(l->secret, sizeof(l->secret), "%s%s", uuid_text(&secret[0], halves[0]),
                   uuid_text(&secret[1], halves[1]));
    const struct row *host = pools_leave_host(l, &e);
    if (!host) {
        end_badly(l, e);
        return;
    }
    call_on_cancel(vm_op_call(op), on_cancel, l);
    h->host_ask(h->userdata, &host->uuid, "vm_facts", value_map(), FACTS_MS, on_facts, l);
}

/* ---- after another daemon ---- */

static struct leave *leave_of(struct api *a, const struct uuid *vm) {
    struct leave *l = leaves_of(a)->first;
    while (l && !uuid_eq(&l->vm, vm))
        l = l->next;
    return l;
}

void pools_leave_adopt(struct api *a, const struct row *vm) {
    const struct value *record = row_value(vm, FIELD_VM_migration);
    char text[UUID_TEXT_SIZE];
    if (leave_of(a, &vm->uuid))
        return;
    struct pools_dest dest = {.master = xstrdup(str_or_empty(value_map_str(record, "master"))),
                              .host = xstrdup(str_or_empty(value_map_str(record, "host")))};
    (void)str_copy(dest.authority, sizeof(dest.authority), str_or_empty(value_map_str(record, "authority")));
    struct leave *l = leave_new(a, &vm->uuid, dest);
    (void)str_copy(l->id, sizeof(l->id), str_or_empty(value_map_str(record, "id")));
    (void)str_copy(l->secret, sizeof(l->secret), str_or_empty(value_map_str(record, "secret")));
    l->is_live = value_map_get(record, POOLS_LIVE) != NULL;
    l->host = *row_ref(vm, FIELD_VM_resident_on);
    log_notice("VM '%s' was on its way to another pool when the daemon that led this one ended",
               uuid_text(&vm->uuid, text));
    pools_leave_go_on(l, 0);
}
