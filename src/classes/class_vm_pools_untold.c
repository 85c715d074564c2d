/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other pools that are still to be told that a VM does not come (vm_pools_untold_core.h): what is written down is said,
 * by whoever leads this pool, until it is answered or its time is over.
 */
#include "base/str.h"
#include "classes/class_vm_pools.h"

#define LOG_MODULE "move"
#include "base/log.h"

#define WORD_MS 10000
#define WRITE_MS 15000
#define AGAIN_MS 5000 /* a write that failed */

struct telling {
    struct tellings *all;
    struct pools_untold u;
    struct pools_remote *remote;
    enum pools_peer peer;
    unsigned n_said;
    uint64_t since_ms, due_ms;
    bool is_saying, is_dropping;
    struct telling *next;
};

struct tellings {
    struct api *api;
    struct loop_source *timer;
    struct telling *first;
};

static void telling_free(struct telling *t) {
    pools_remote_free(t->remote);
    free(t);
}

static void free_tellings(void *data) {
    struct tellings *all = data;
    while (all->first) {
        struct telling *t = all->first;
        all->first = t->next;
        telling_free(t);
    }
    loop_source_free(all->timer);
    free(all);
}

static void on_timer(struct loop_source *s, void *userdata);

static struct tellings *tellings_of(struct api *a) {
    struct tellings *all = api_class_data(a, API_DATA_UNTOLD);
    if (!all) {
        all = xnew0(struct tellings);
        all->api = a;
        all->timer = loop_add_timer(api_loop(a), LOOP_NEVER, on_timer, all);
        api_set_class_data(a, API_DATA_UNTOLD, all, free_tellings);
    }
    return all;
}

static struct telling *telling_of(struct tellings *all, const char *id) {
    struct telling *t = all->first;
    while (t && !str_eq(t->u.id, id))
        t = t->next;
    return t;
}

/* ---- writing it down ---- */

/* The one whose time ends first; what cannot be read before all others. */
static const char *first_to_go(const struct value *entries) {
    const char *key = NULL;
    int64_t until_s = INT64_MAX;
    for (size_t i = 0; i < entries->map.n; i++) {
        struct pools_untold u;
        if (!pools_untold_read(entries->map.pairs[i].key, value_str(&entries->map.pairs[i].value), &u))
            return entries->map.pairs[i].key;
        if (!key || u.until_s < until_s) {
            key = entries->map.pairs[i].key;
            until_s = u.until_s;
        }
    }
    return key;
}

void pools_untold_add(struct api *a, struct db_txn *txn, const struct row *vm) {
    const struct row *pool = db_pool(api_db(a));
    const struct value *record = row_value(vm, FIELD_VM_migration);
    struct pools_untold u = {.vm = vm->uuid, .until_s = loop_wall_ms(api_loop(a)) / 1000 + UNTOLD_S};
    char text[UUID_TEXT_SIZE];
    bool fits = str_copy(u.id, sizeof(u.id), str_or_empty(value_map_str(record, "id"))) &&
                str_copy(u.secret, sizeof(u.secret), str_or_empty(value_map_str(record, "secret"))) &&
                str_copy(u.authority, sizeof(u.authority), str_or_empty(value_map_str(record, "authority"))) &&
                str_copy(u.master, sizeof(u.master), str_or_empty(value_map_str(record, "master")));
    _cleanup_free_ char *entry = fits ? pools_untold_text(&u) : NULL;
    if (!pool || !entry) {
        log_warn("what another pool is to be told of VM '%s' cannot be noted down", uuid_text(&vm->uuid, text));
        return;
    }
    const struct value *entries = row_value(pool, FIELD_pool_untold_moves);
    if (entries->map.n >= UNTOLD_MAX) {
        const char *old = first_to_go(entries);
        log_warn("more than %d moves are still to be told of to other pools: move '%s' is told no more", UNTOLD_MAX,
                 old);
        db_txn_map_remove(txn, CLASS_pool, &pool->uuid, FIELD_pool_untold_moves, old);
    }
    db_txn_map_put(txn, CLASS_pool, &pool->uuid, FIELD_pool_untold_moves, u.id, value_string(entry));
}

/* ---- dropping an entry ---- */

struct drop { /* survives what it is about */
    struct api *api;
    char *id;
};

static void on_dropped(struct error *error, void *userdata) {
    struct drop *q = userdata;
    struct tellings *all = tellings_of(q->api);
    struct telling *t = telling_of(all, q->id);
    if (t) {
        t->is_dropping = false;
        t->due_ms = loop_now_ms(api_loop(q->api)) + AGAIN_MS; /* when it could not be dropped */
    }
    free(q->id);
    free(q);
    if (!error)
        loop_timer_set(all->timer, 0);
}

static void drop(struct tellings *all, const char *id) {
    const struct row *pool = db_pool(api_db(all->api));
    struct drop *q = xnew0(struct drop);
    struct db_txn *txn = db_txn_new(api_db(all->api), "another pool has been told of a move");
    *q = (struct drop){.api = all->api, .id = xstrdup(id)};
    db_txn_map_remove(txn, CLASS_pool, &pool->uuid, FIELD_pool_untold_moves, id);
    db_txn_fence(txn);
    db_txn_commit(txn, WRITE_MS, on_dropped, q);
}

/* ---- saying it ---- */

static void on_word(const struct value *result, const struct error *error, void *userdata) {
    struct telling *t = userdata;
    t->is_saying = false;
    t->peer = error || result->type != VALUE_MAP ? POOLS_PEER_UNKNOWN
                                                 : pools_peer_of(str_or_empty(value_map_str(result, "is")));
    t->due_ms = loop_now_ms(api_loop(t->all->api));
    if (t->peer != POOLS_PEER_NONE && t->peer != POOLS_PEER_TAKEN)
        t->due_ms += pools_untold_pause_ms(t->n_said);
    loop_timer_set(t->all->timer, 0);
}

static void say(struct telling *t) {
    struct value params = value_set();
    t->is_saying = true;
    t->n_said++;
    value_set_add(&params, value_ref(&t->u.vm));
    value_set_add(&params, value_string(t->u.id));
    value_set_add(&params, value_string(t->u.secret));
    value_set_add(&params, value_string("forget"));
    value_set_add(&params, value_string(""));
    pools_remote_call(t->remote, "VM.migrate_settle", params, WORD_MS, on_word, t);
}

static void act(struct telling *t) {
    struct loop *l = api_loop(t->all->api);
    char text[UUID_TEXT_SIZE];
    enum pools_untold_step step =
        pools_untold_step(&t->u, t->peer, loop_wall_ms(l) / 1000, loop_now_ms(l) - t->since_ms);
    if (step == UNTOLD_SAY) {
        say(t);
        return;
    }
    if (step == UNTOLD_OVER)
        log_notice("the pool of '%s' has been told that VM '%s' stays here", t->u.master, uuid_text(&t->u.vm, text));
    else
        log_warn("the pool of '%s' could not be told in %d days that VM '%s' stays here: what waits for it there is "
                 "removed by 'xe vm-reset-powerstate force=true' and 'xe vm-destroy' in that pool",
                 t->u.master, UNTOLD_S / 86400, uuid_text(&t->u.vm, text));
    t->is_dropping = true;
    drop(t->all, t->u.id);
}

/* ---- what is written down, and whose turn it is ---- */

static void begin(struct tellings *all, const char *id, const char *entry) {
    struct pools_untold u;
    if (!pools_untold_read(id, entry, &u)) {
        log_warn("move '%s', of which another pool is to be told, cannot be read: it is told no more", id);
        drop(all, id);
        return;
    }
    uint64_t now = loop_now_ms(api_loop(all->api));
    struct telling *t = xnew0(struct telling);
    *t = (struct telling){.all = all,
                          .u = u,
                          .remote = pools_remote_new(all->api, u.master, u.authority),
                          .since_ms = now,
                          .due_ms = now,
                          .next = all->first};
    all->first = t;
}

static void follow(struct tellings *all) {
    const struct row *pool = db_pool(api_db(all->api));
    bool leads = pool && api_is_coordinator(all->api);
    const struct value *entries = leads ? row_value(pool, FIELD_pool_untold_moves) : NULL;
    for (struct telling **at = &all->first; *at;) {
        struct telling *t = *at;
        if (entries && value_map_get(entries, t->u.id)) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        telling_free(t);
    }
    for (size_t i = 0; entries && i < entries->map.n; i++)
        if (!telling_of(all, entries->map.pairs[i].key))
            begin(all, entries->map.pairs[i].key, value_str(&entries->map.pairs[i].value));
}

static void look(struct tellings *all) {
    uint64_t now = loop_now_ms(api_loop(all->api)), next = LOOP_NEVER;
    size_t n_saying = 0;
    struct telling *due;
    follow(all);
    for (struct telling *t = all->first; t; t = t->next)
        n_saying += t->is_saying;
    do { /* whoever has waited longest */
        due = NULL;
        next = LOOP_NEVER;
        for (struct telling *t = all->first; t; t = t->next) {
            if (t->is_saying || t->is_dropping)
                continue;
            if (t->due_ms <= now && (!due || t->due_ms < due->due_ms))
                due = t;
            else if (t->due_ms > now)
                next = MIN(next, t->due_ms - now);
        }
        if (due && n_saying < UNTOLD_AT_ONCE) {
            act(due);
            n_saying += due->is_saying;
        } else {
            due = NULL; /* an answer makes room */
        }
    } while (due);
    loop_timer_set(all->timer, next);
}

static void on_timer(struct loop_source *s, void *userdata) {
    look(userdata);
}

void class_vm_pools_untold_look(struct api *a) {
    look(tellings_of(a));
}
