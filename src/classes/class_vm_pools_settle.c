/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that come from another pool, from their rows on: what the other pool says of them (VM.migrate_settle), those of
 * which nothing is heard, and the removal of one that is not to come.
 */
#include "base/str.h"
#include "classes/class_blob.h"
#include "classes/class_calls.h"
#include "classes/class_vm_pools_leave.h"
#include "classes/store_calls.h"
#include "classes/vm_spec.h"
#include "gen_handlers.h"

#define LOG_MODULE "move"
#include "base/log.h"

#define WRITE_MS 15000
#define SERVE_MS 15000
#define WHOLE_MS 90000 /* what is in memory is written to the disk */
#define ADMIT_MS 90000 /* a QEMU is started */
#define STANDS_MS 30000

struct coming { /* what this daemon has heard of one */
    struct uuid vm;
    char id[UUID_TEXT_SIZE];
    uint64_t heard_ms, opened_ms; /* any word; the last one that brings it on */
    size_t n_opened;
    bool is_removing;
    struct coming *next;
};

struct comings {
    struct coming *first;
};

static void free_comings(void *data) {
    struct comings *all = data;
    while (all->first) {
        struct coming *o = all->first;
        all->first = o->next;
        free(o);
    }
    free(all);
}

/* Made at the first sight of it. */
static struct coming *coming_of(struct api *a, const struct uuid *vm, const char *id) {
    struct comings *all = api_class_data(a, API_DATA_COMING);
    if (!all) {
        all = xnew0(struct comings);
        api_set_class_data(a, API_DATA_COMING, all, free_comings);
    }
    struct coming *o = all->first;
    while (o && !(uuid_eq(&o->vm, vm) && str_eq(o->id, id)))
        o = o->next;
    if (!o) {
        o = xnew0(struct coming);
        *o = (struct coming){
            .vm = *vm, .heard_ms = loop_now_ms(api_loop(a)), .opened_ms = loop_now_ms(api_loop(a)), .next = all->first};
        (void)str_copy(o->id, sizeof(o->id), id);
        all->first = o;
    }
    return o;
}

/* Those whose row is gone, or is about something else. */
static void forget_old(struct api *a) {
    struct comings *all = api_class_data(a, API_DATA_COMING);
    if (!all)
        return;
    for (struct coming **at = &all->first; *at;) {
        struct coming *o = *at;
        const struct row *vm = db_get(api_db(a), CLASS_VM, &o->vm);
        const char *id = vm ? value_map_str(row_value(vm, FIELD_VM_migration), "id") : NULL;
        if (o->is_removing || (id && str_eq(id, o->id))) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        free(o);
    }
}

static enum pools_arrival arrival_of(const struct row *vm, const char *id) {
    const struct value *record = vm ? row_value(vm, FIELD_VM_migration) : NULL;
    const char *phase = record ? str_or_empty(value_map_str(record, POOLS_KEY)) : "";
    bool is_coming = str_eq(phase, "arriving") || str_eq(phase, "ready") || str_eq(phase, "lost");
    if (!vm)
        return POOLS_ABSENT;
    if (!is_coming)
        return POOLS_OWN;
    if (!str_eq(str_or_empty(value_map_str(record, "id")), id))
        return POOLS_ABSENT;
    return str_eq(phase, "ready") ? POOLS_READY : str_eq(phase, "lost") ? POOLS_LOST : POOLS_ARRIVING;
}

static bool is_to_come(enum pools_arrival is) {
    return is == POOLS_ARRIVING || is == POOLS_READY || is == POOLS_LOST;
}

/* ---- removing ---- */

struct removing {
    struct api *api;
    struct uuid vm, host;
    char id[UUID_TEXT_SIZE];
    struct value disks; /* references */
    void (*done)(void *userdata);
    void *userdata;
};

static void removed(struct error *error, void *userdata) {
    struct removing *g = userdata;
    char text[UUID_TEXT_SIZE];
    coming_of(g->api, &g->vm, g->id)->is_removing = false;
    if (error)
        log_warn("what came of VM '%s' from another pool is not removed yet: %s", uuid_text(&g->vm, text),
                 error_text(error));
    else
        log_notice("VM '%s' does not come from the other pool; its rows and disks here are gone",
                   uuid_text(&g->vm, text));
    if (g->done)
        g->done(g->userdata);
    value_done(&g->disks);
    free(g);
}

static void remove_rows(struct removing *g) {
    struct db *d = api_db(g->api);
    const struct row *vm = db_get(d, CLASS_VM, &g->vm);
    enum pools_arrival is = arrival_of(vm, g->id);
    if (!is_to_come(is)) {
        removed(NULL, g);
        return;
    }
    struct db_txn *t = db_txn_new(d, "a VM does not come from another pool");
    const char *disks = str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "disks"));
    _cleanup_strv_ struct strv words = {0};
    struct uuid u;
    strv_split(&words, disks, ' ');
    db_txn_expect(t, CLASS_VM, &g->vm, FIELD_VM_migration, value_copy(row_value(vm, FIELD_VM_migration)));
    class_delete_set(t, CLASS_VBD, row_value(vm, FIELD_VM_VBDs));
    class_delete_set(t, CLASS_VIF, row_value(vm, FIELD_VM_VIFs));
    for (size_t i = 0; i < words.n; i++)
        if (uuid_parse(words.items[i], &u) && db_get(d, CLASS_VDI, &u))
            db_txn_delete(t, CLASS_VDI, &u);
    db_txn_delete(t, CLASS_VM, &g->vm);
    db_txn_fence(t);
    db_txn_commit(t, WRITE_MS, removed, g);
}

/* Files before rows: whoever dies in between, the rows say that there is something to remove. */
static void remove_file(struct removing *g);

static void on_file_removed(struct error *error, const struct value *result, void *data) {
    remove_file(data); /* one that stays (its host is away) is found by the next scan of the storage */
}

static void remove_file(struct removing *g) {
    struct db *d = api_db(g->api);
    const struct api_hooks *h = api_hooks(g->api);
    const struct row *vdi = NULL;
    while (g->disks.set.n && !vdi)
        vdi = db_get(d, CLASS_VDI, &g->disks.set.items[--g->disks.set.n].ref);
    if (!vdi)
        remove_rows(g);
    else
        h->host_ask(h->userdata, &g->host, "store", store_disk_args(d, "vdi_destroy", vdi, &g->host), STORE_MS,
                    on_file_removed, g);
}

static void on_copies_stopped(struct error *error, const struct value *result, void *data) {
    remove_file(data);
}

void pools_arrival_remove(struct api *a, const struct uuid *vm, const char *id, void (*done)(void *userdata),
                          void *userdata) {
    const struct api_hooks *h = api_hooks(a);
    const struct row *row = db_get(api_db(a), CLASS_VM, vm);
    enum pools_arrival is = arrival_of(row, id);
    struct coming *o = coming_of(a, vm, id);
    if (o->is_removing || !is_to_come(is)) {
        if (done)
            done(userdata);
        return;
    }
    const struct value *record = row_value(row, FIELD_VM_migration);
    struct removing *g = xnew0(struct removing);
    _cleanup_strv_ struct strv words = {0};
    struct value args = value_map();
    struct uuid u;
    *g = (struct removing){.api = a, .vm = *vm, .disks = value_set(), .done = done, .userdata = userdata};
    (void)str_copy(g->id, sizeof(g->id), id);
    (void)!uuid_parse(str_or_empty(value_map_str(record, "host")), &g->host);
    strv_split(&words, str_or_empty(value_map_str(record, "disks")), ' ');
    for (size_t i = 0; i < words.n; i++)
        if (uuid_parse(words.items[i], &u))
            value_set_add(&g->disks, value_ref(&u));
    o->is_removing = true;
    value_map_add(&args, "id", value_string(id));
    h->host_ask(h->userdata, &g->host, "disk_stop", args, SERVE_MS, on_copies_stopped, g);
}

/* ---- words ---- */

struct word { /* about a kept call */
    struct call *call;
    struct uuid vm;
    char id[UUID_TEXT_SIZE];
    enum pools_word word; /* of one that runs, while its host is asked */
};

static void answer(struct word *w, const char *port) {
    const struct row *vm = db_get(call_db(w->call), CLASS_VM, &w->vm);
    struct value result = value_map();
    value_map_add(&result, "is", value_string(pools_peer_text(pools_answer(arrival_of(vm, w->id)))));
    if (port)
        value_map_add(&result, "port", value_string(port));
    call_return(w->call, result);
    free(w);
}

static void on_written(struct error *error, void *userdata) {
    struct word *w = userdata;
    if (!error) {
        answer(w, NULL);
        return;
    }
    call_fail(w->call, error_dup(error));
    free(w);
}

static void on_removed(void *userdata) {
    answer(userdata, NULL);
}

static void on_served(struct error *error, const struct value *result, void *data) {
    struct word *w = data;
    if (!error) {
        answer(w, str_or_empty(value_map_str(result, "port")));
        return;
    }
    call_fail(w->call, error_dup(error));
    free(w);
}

/* A disk that is empty yet is served to the other pool's host. */
static void open_disk(struct word *w, const struct row *vm, const char *text) {
    struct api *a = call_api(w->call);
    const struct api_hooks *h = api_hooks(a);
    const struct value *record = row_value(vm, FIELD_VM_migration);
    _cleanup_strv_ struct strv words = {0};
    struct uuid host, vdi;
    strv_split(&words, str_or_empty(value_map_str(record, "disks")), ' ');
    const struct row *row =
        strv_has(&words, text) && uuid_parse(text, &vdi) ? db_get(api_db(a), CLASS_VDI, &vdi) : NULL;
    if (!row || !uuid_parse(str_or_empty(value_map_str(record, "host")), &host)) {
        call_fail_code(w->call, ERR_HANDLE_INVALID, "VDI", text, NULL);
        free(w);
        return;
    }
    struct value args = store_disk_args(api_db(a), "", row, &host);
    value_map_add(&args, "id", value_string(w->id));
    value_map_add(&args, "address", value_string(str_or_empty(value_map_str(record, "address"))));
    value_map_add(&args, "authority", value_string(str_or_empty(value_map_str(record, "believe"))));
    h->host_ask(h->userdata, &host, "disk_serve", args, SERVE_MS, on_served, w);
}

static void attach_all(struct db *d, struct db_txn *t, int class_id, const struct value *set, unsigned attached) {
    for (size_t i = 0; i < set->set.n; i++)
        if (db_get(d, class_id, &set->set.items[i].ref))
            db_txn_set(t, class_id, &set->set.items[i].ref, attached, value_bool(true));
}

static bool is_live(const struct row *vm) {
    return value_map_get(row_value(vm, FIELD_VM_migration), POOLS_LIVE) != NULL;
}

void pools_take(struct db *d, struct db_txn *t, const struct row *vm) {
    struct uuid host;
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_migration, value_map());
    if (!is_live(vm) || !uuid_parse(str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "host")), &host))
        return;
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_resident_on, value_ref(&host));
    db_txn_set(t, CLASS_VM, &vm->uuid, FIELD_VM_power_state, value_string("Running"));
    /* All that it had came along plugged in, or it would not have come. */
    attach_all(d, t, CLASS_VBD, row_value(vm, FIELD_VM_VBDs), FIELD_VBD_currently_attached);
    attach_all(d, t, CLASS_VIF, row_value(vm, FIELD_VM_VIFs), FIELD_VIF_currently_attached);
}

static void write_phase(struct word *w, const struct row *vm, enum pools_arrival next) {
    struct db_txn *t = db_txn_new(call_db(w->call), "a VM from another pool");
    char text[UUID_TEXT_SIZE];
    db_txn_expect(t, CLASS_VM, &w->vm, FIELD_VM_migration, value_copy(row_value(vm, FIELD_VM_migration)));
    if (next == POOLS_OWN) {
        log_notice("VM '%s' has come from another pool", uuid_text(&w->vm, text));
        pools_take(call_db(w->call), t, vm);
    } else {
        struct value record = value_copy(row_value(vm, FIELD_VM_migration));
        if (next == POOLS_LOST)
            log_warn("the memory of VM '%s', which was to come from another pool, has ended with its host; it goes on "
                     "there",
                     uuid_text(&w->vm, text));
        value_map_put(&record, POOLS_KEY, value_string(pools_peer_text(pools_answer(next))));
        db_txn_set(t, CLASS_VM, &w->vm, FIELD_VM_migration, record);
    }
    db_txn_fence(t);
    db_txn_commit(t, WRITE_MS, on_written, w);
}

/* The promise to keep it is given when its host has it whole, and on the disk. */
static void on_whole(struct error *error, const struct value *result, void *data) {
    struct word *w = data;
    const struct row *vm = db_get(call_db(w->call), CLASS_VM, &w->vm);
    if (error) {
        call_fail(w->call, error_dup(error));
        free(w);
    } else if (arrival_of(vm, w->id) != POOLS_ARRIVING) {
        answer(w, NULL);
    } else {
        write_phase(w, vm, POOLS_READY);
    }
}

static void promise(struct word *w, const struct row *vm) {
    const struct api_hooks *h = api_hooks(call_api(w->call));
    const struct value *record = row_value(vm, FIELD_VM_migration);
    struct value args = value_map();
    struct uuid host = {0};
    (void)!uuid_parse(str_or_empty(value_map_str(record, "host")), &host);
    value_map_add(&args, "id", value_string(w->id));
    value_map_add(&args, "disks", value_string(str_or_empty(value_map_str(record, "disks"))));
    h->host_ask(h->userdata, &host, "disk_whole", args, WHOLE_MS, on_whole, w);
}

/* ---- one that runs: its memory is with a host, which knows more than the rows ---- */

static void go_by(struct word *w, enum pools_word word) {
    const struct row *vm = db_get(call_db(w->call), CLASS_VM, &w->vm);
    enum pools_arrival is = arrival_of(vm, w->id), next = pools_arrive(is, word);
    if (next == is || !is_to_come(is))
        answer(w, NULL);
    else
        write_phase(w, vm, next);
}

static void on_host_says(struct error *error, const struct value *result, void *data) {
    struct word *w = data;
    struct api *a = call_api(w->call);
    const struct row *vm = db_get(api_db(a), CLASS_VM, &w->vm);
    const char *holds = error ? "" : str_or_empty(value_map_str(result, "holds"));
    struct uuid host;
    /* A host that is not heard may have it yet. But only the row lets it run, and that will say that it is lost. */
    bool is_silent = error && vm &&
                     uuid_parse(str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "host")), &host) &&
                     !api_host_is_live(a, &host);
    if (str_eq(holds, "stands") && w->word == POOLS_ASKED_READY && is_to_come(arrival_of(vm, w->id)))
        promise(w, vm);
    else if (str_eq(holds, "stands"))
        go_by(w, w->word);
    else if (w->word == POOLS_TOLD_TAKE && (is_silent || str_eq(holds, "none")))
        go_by(w, POOLS_FOUND_LOST);
    else
        answer(w, NULL);
}

static void ask_host(struct word *w, const struct row *vm, enum pools_word word) {
    const struct api_hooks *h = api_hooks(call_api(w->call));
    const struct value *record = row_value(vm, FIELD_VM_migration);
    struct value args = value_map();
    struct uuid host = {0};
    (void)!uuid_parse(str_or_empty(value_map_str(record, "host")), &host);
    w->word = word;
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "id", value_string(w->id));
    h->host_ask(h->userdata, &host, word == POOLS_ASKED_READY ? "vm_admitted" : "vm_received", args, STANDS_MS,
                on_host_says, w);
}

/* A QEMU is started that its memory goes to; the disks are there, and empty yet. */
static void open_memory(struct word *w, const struct row *vm) {
    struct api *a = call_api(w->call);
    const struct api_hooks *h = api_hooks(a);
    const struct value *record = row_value(vm, FIELD_VM_migration);
    struct value args = value_map(), spec = {.type = VALUE_VOID};
    struct error *e = NULL;
    struct uuid host;
    int64_t stall_s;
    if (uuid_parse(str_or_empty(value_map_str(record, "host")), &host))
        spec = vm_spec(api_db(a), vm, &host, &e);
    else
        error_set(&e, ERR_HANDLE_INVALID, "host", "", NULL);
    if (e) {
        value_done(&args);
        call_fail(w->call, e);
        free(w);
        return;
    }
    value_map_add(&args, "vm", value_string(row_str(vm, FIELD_VM_uuid)));
    value_map_add(&args, "id", value_string(w->id));
    value_map_add(&args, "address", value_string(str_or_empty(value_map_str(record, "address"))));
    value_map_add(&args, "authority", value_string(str_or_empty(value_map_str(record, "believe"))));
    value_map_add(&args, "machine", value_string(str_or_empty(value_map_str(record, "machine"))));
    value_map_add(&args, "spec", spec);
    if (str_parse_int(str_or_empty(value_map_str(record, "stall_s")), 1, 3600, &stall_s))
        value_map_add(&args, "stall_ms", value_int(1000 * stall_s));
    h->host_ask(h->userdata, &host, "vm_admit", args, ADMIT_MS, on_served, w);
}

/* Every byte is looked at, whichever is the first that differs. */
static bool same_secret(const char *a, const char *b) {
    size_t n = strlen(a);
    unsigned differs = n != strlen(b) || n == 0;
    for (size_t i = 0; i < n && i < strlen(b); i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return !differs;
}

/* Each disk, and memory, is opened once. */
static void hear(struct api *a, const struct row *vm, const char *id, bool opens) {
    struct coming *o = coming_of(a, &vm->uuid, id);
    o->heard_ms = loop_now_ms(api_loop(a));
    if (opens && o->n_opened <= POOLS_DISKS_MAX) {
        o->n_opened++;
        o->opened_ms = o->heard_ms;
    }
}

void vm_migrate_settle(struct call *c) {
    static const struct {
        const char *text;
        enum pools_word word;
    } words[] = {{"status", POOLS_ASKED},
                 {"open", POOLS_ASKED},
                 {"ready", POOLS_ASKED_READY},
                 {"take", POOLS_TOLD_TAKE},
                 {"forget", POOLS_TOLD_FORGET}};
    struct api *a = call_api(c);
    const struct row *vm = db_get(call_db(c), CLASS_VM, call_arg_ref(c, 0));
    const char *id = call_arg_str(c, 1), *text = call_arg_str(c, 3);
    enum pools_arrival is = arrival_of(vm, id);
    size_t i = 0;
    while (i < ARRAY_SIZE(words) && !str_eq(words[i].text, text))
        i++;
    if (i == ARRAY_SIZE(words) || strlen(id) >= UUID_TEXT_SIZE) {
        call_fail_code(c, ERR_INVALID_VALUE, "word", text, NULL);
        return;
    }
    bool is_coming = is_to_come(is);
    if (is_coming &&
        !same_secret(str_or_empty(value_map_str(row_value(vm, FIELD_VM_migration), "secret")), call_arg_str(c, 2))) {
        call_fail_code(c, ERR_SESSION_AUTHENTICATION_FAILED, "", "this is not the secret of the move", NULL);
        return;
    }
    enum pools_arrival next = pools_arrive(is, words[i].word);
    struct word *w = xnew0(struct word);
    *w = (struct word){.call = call_keep(c), .vm = *call_arg_ref(c, 0)};
    (void)str_copy(w->id, sizeof(w->id), id);
    if (is_coming)
        hear(a, vm, id, str_eq(text, "open"));
    if (is_coming && next == POOLS_ABSENT)
        pools_arrival_remove(a, &w->vm, id, on_removed, w);
    else if (next != is && is_live(vm))
        ask_host(w, vm, words[i].word);
    else if (is == POOLS_ARRIVING && next == POOLS_READY)
        promise(w, vm);
    else if (next != is)
        write_phase(w, vm, next);
    else if (is == POOLS_ARRIVING && str_eq(text, "open") && is_live(vm) && str_eq(call_arg_str(c, 4), "memory"))
        open_memory(w, vm);
    else if (is == POOLS_ARRIVING && str_eq(text, "open"))
        open_disk(w, vm, call_arg_str(c, 4));
    else
        answer(w, NULL);
}

/* ---- from time to time ---- */

static bool is_over(const struct coming *o, uint64_t now) {
    return pools_arrival_is_over(now - o->heard_ms, now - o->opened_ms);
}

void class_vm_pools_look(struct api *a) {
    struct db *d = api_db(a);
    struct db_status status = db_get_status(d);
    uint64_t now = loop_now_ms(api_loop(a));
    if (!api_is_coordinator(a) || !status.in_step || !status.has_quorum)
        return;
    for (const struct row *vm = db_first(d, CLASS_VM); vm; vm = db_next(d, vm)) {
        const struct value *record = row_value(vm, FIELD_VM_migration);
        const char *phase = str_or_empty(value_map_str(record, POOLS_KEY)),
                   *id = str_or_empty(value_map_str(record, "id"));
        if (str_eq(phase, "copying") || str_eq(phase, "given"))
            pools_leave_adopt(a, vm);
        else if (str_eq(phase, "arriving") && is_over(coming_of(a, &vm->uuid, id), now) &&
                 pools_arrive(POOLS_ARRIVING, POOLS_HEARD_NOTHING) == POOLS_ABSENT)
            pools_arrival_remove(a, &vm->uuid, id, NULL, NULL);
    }
    forget_old(a);
    class_vm_pools_untold_look(a);
}
