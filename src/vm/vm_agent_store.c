/* SPDX-License-Identifier: Apache-2.0 */
/* Storage of this host: what the coordinator asks for, and whether the PBDs are as they ought to be. */
#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"
#include "store/store_snapshot.h"
#include "vm/vm_agent_private.h"

#define LOG_MODULE "vm"
#include "base/log.h"

#define CHECK_TICKS 2 /* of LOOK_MS: how often attached storage of the network is asked whether it answers */

struct storing {
    struct vm_agent *a;
    struct pool_reply *reply;
    char *op;
    struct value args, result;
    struct error *error;
};

static void store_job(void *data) {
    struct storing *s = data;
    struct value result;
    struct uuid vdi;
    /* A measurement looks at what is there; whatever else is done with a disk needs its name to lead to its content. */
    if (value_map_uuid(&s->args, "vdi", &vdi) && !str_eq(s->op, "vdi_stat") &&
        !store_path_trouble(str_or_empty(value_map_str(&s->args, "path"))) &&
        !store_settle(value_map_str(&s->args, "path"), &vdi, &s->error))
        return;
    if (store_run(s->op, &s->args, &result, &s->error))
        s->result = result;
}

static void store_done(void *data) {
    struct storing *s = data;
    if (s->a->is_freed) {
        ;
    } else if (s->error) {
        vm_leases_explain(s->a, &s->error);
        pool_reply_fail(s->reply, TAKE(s->error));
    } else {
        pool_reply_return(s->reply, value_take(&s->result));
    }
    value_done(&s->args);
    value_done(&s->result);
    error_free(s->error);
    free(s->op);
    free(s);
}

void vm_serve_store(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct vm_agent *a = userdata;
    struct storing *s = xnew0(struct storing);
    *s = (struct storing){
        .a = a, .reply = reply, .op = xstrdup(str_or_empty(value_map_str(args, "op"))), .args = value_copy(args)};
    vm_leases_sign(a, &s->args);
    /* One at a time per repository, so that no two make or remove the same file. */
    worker_submit(a->storage, str_or_empty(value_map_str(args, "sr")), store_job, store_done, s);
}

/* ---- PBDs ---- */

struct pbd_look {
    struct vm_agent *a;
    struct uuid pbd;
    bool is_shared, is_boot;
    char *op;
    struct value args;
    struct error *error;
    struct pbd_look *next;
};

static void look_job(void *data) {
    struct pbd_look *l = data;
    struct value result;
    if (store_run(l->op, &l->args, &result, &l->error))
        value_done(&result);
}

static const char *reason_of(const struct row *pbd) {
    return value_map_str(row_value(pbd, FIELD_PBD_other_config), PBD_UNATTACHED_KEY);
}

static void write_down(struct pbd_look *l, const struct row *pbd) {
    bool was = row_bool(pbd, FIELD_PBD_currently_attached), is = !l->error;
    const char *before = reason_of(pbd), *now = is || !l->is_shared ? NULL : error_text(l->error);
    if (!was && !before && !l->is_boot)
        return; /* a person has unplugged it meanwhile */
    if (was == is && (now ? before && str_eq(before, now) : !before))
        return;
    if (!is && was)
        log_warn("storage that this host should have is not there: %s", error_text(l->error));
    if (is && !was)
        log_notice("storage is there: SR '%s'", str_or_empty(value_map_str(&l->args, "sr")));
    struct db_txn *t = db_txn_new(l->a->db, "storage of a host");
    db_txn_set(t, CLASS_PBD, &l->pbd, FIELD_PBD_currently_attached, value_bool(is));
    if (now)
        db_txn_map_put(t, CLASS_PBD, &l->pbd, FIELD_PBD_other_config, PBD_UNATTACHED_KEY, value_string(now));
    else if (before)
        db_txn_map_remove(t, CLASS_PBD, &l->pbd, FIELD_PBD_other_config, PBD_UNATTACHED_KEY);
    db_txn_commit(t, VM_WRITE_MS, /* done= */ NULL, NULL);
    if (is)
        vm_leases_look(l->a); /* what it could not give back while the storage was away */
}

static void looked_at(void *data) {
    struct pbd_look *l = data;
    struct vm_agent *a = l->a;
    const struct row *pbd = a->is_freed ? NULL : db_get(a->db, CLASS_PBD, &l->pbd);
    for (struct pbd_look **at = &a->looks; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    if (pbd)
        write_down(l, pbd);
    if (pbd && !l->error && !l->is_shared && str_eq(l->op, "attach"))
        vm_agent_settle_sr(a, str_or_empty(value_map_str(&l->args, "sr")), value_map_str(&l->args, "path"));
    value_done(&l->args);
    error_free(l->error);
    free(l->op);
    free(l);
}

static void look_at(struct vm_agent *a, const struct row *pbd, bool is_boot) {
    const struct row *sr = db_follow(a->db, pbd, FIELD_PBD_SR);
    bool attached = row_bool(pbd, FIELD_PBD_currently_attached);
    for (const struct pbd_look *l = a->looks; l; l = l->next)
        if (uuid_eq(&l->pbd, &pbd->uuid))
            return; /* under way */
    if (!sr || !store_type_is_known(row_str(sr, FIELD_SR_type)))
        return;
    _cleanup_free_ char *place =
        store_place(row_str(sr, FIELD_SR_type), row_value(pbd, FIELD_PBD_device_config), &sr->uuid);
    struct pbd_look *l = xnew0(struct pbd_look);
    *l = (struct pbd_look){.a = a,
                           .pbd = pbd->uuid,
                           .is_shared = store_type_is_shared(row_str(sr, FIELD_SR_type)),
                           .is_boot = is_boot,
                           /* A daemon looks first for what imports of the last one have left. */
                           .op = xstrdup(attached && a->pbds_looked_at ? "check" : "attach"),
                           .args = value_map(),
                           .next = a->looks};
    a->looks = l;
    value_map_add(&l->args, "path", value_string(place));
    value_map_add(&l->args, "type", value_string(row_str(sr, FIELD_SR_type)));
    value_map_add(&l->args, "sr", value_uuid(&sr->uuid));
    vm_leases_sign(a, &l->args);
    worker_submit(a->storage, row_str(sr, FIELD_SR_uuid), look_job, looked_at, l);
}

static bool is_mine(const struct vm_agent *a, const struct row *pbd) {
    return uuid_eq(row_ref(pbd, FIELD_PBD_host), &a->self);
}

/* Storage of the network comes and goes without a word to anybody. */
static void look_at_shared(struct vm_agent *a) {
    bool all = ++a->n_ticks % CHECK_TICKS == 0;
    for (const struct row *pbd = db_first(a->db, CLASS_PBD); pbd; pbd = db_next(a->db, pbd)) {
        const struct row *sr = db_follow(a->db, pbd, FIELD_PBD_SR);
        bool attached = row_bool(pbd, FIELD_PBD_currently_attached);
        if (sr && is_mine(a, pbd) && store_type_is_shared(row_str(sr, FIELD_SR_type)) &&
            (attached ? all : reason_of(pbd) != NULL))
            look_at(a, pbd, /* is_boot= */ false);
    }
}

/* ---- a host that has come into a pool gets what its hosts share ---- */

static bool knows_pool(const struct vm_agent *a, const char *path) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    return fs_read(path, 64, &text) == 0 && str_starts(buf_str(&text), row_str(db_pool(a->db), FIELD_pool_uuid));
}

static bool has_pbd(const struct vm_agent *a, const struct row *sr) {
    const struct value *pbds = row_value(sr, FIELD_SR_PBDs);
    for (size_t i = 0; i < pbds->set.n; i++) {
        const struct row *pbd = db_get(a->db, CLASS_PBD, &pbds->set.items[i].ref);
        if (pbd && is_mine(a, pbd))
            return true;
    }
    return false;
}

static void join_shared(struct vm_agent *a) {
    _cleanup_free_ char *path = strf("%s/vm-storage-pool", a->state_dir),
                        *text = strf("%s\n", row_str(db_pool(a->db), FIELD_pool_uuid));
    if (knows_pool(a, path))
        return; /* what a person has taken away since stays away */
    struct db_txn *t = db_txn_new(a->db, "storage that the hosts of a pool share");
    for (const struct row *sr = db_first(a->db, CLASS_SR); sr; sr = db_next(a->db, sr)) {
        const struct value *pbds = row_value(sr, FIELD_SR_PBDs);
        const struct row *like = pbds->set.n ? db_get(a->db, CLASS_PBD, &pbds->set.items[0].ref) : NULL;
        if (!like || !row_bool(sr, FIELD_SR_shared) || has_pbd(a, sr))
            continue;
        struct uuid pbd = db_txn_insert(t, CLASS_PBD, NULL);
        db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_SR, value_ref(&sr->uuid));
        db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_host, value_ref(&a->self));
        db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_device_config, value_copy(row_value(like, FIELD_PBD_device_config)));
        db_txn_set(t, CLASS_PBD, &pbd, FIELD_PBD_currently_attached, value_bool(false));
        db_txn_map_put(t, CLASS_PBD, &pbd, FIELD_PBD_other_config, PBD_UNATTACHED_KEY, value_string(PBD_NOT_LOOKED_AT));
    }
    if (fs_write_atomic(path, text, strlen(text), 0600) < 0)
        log_warn("'%s' cannot be written; shared storage is looked for again at the next start", path);
    if (db_txn_is_empty(t))
        db_txn_abandon(t);
    else
        db_txn_commit(t, VM_WRITE_MS, /* done= */ NULL, NULL);
}

/* After a boot every PBD is plugged; after a start of the daemon alone those that were unplugged stay so. */
static void look_first(struct vm_agent *a) {
    _cleanup_free_ char *mark = strf("%s/vm-storage-was-plugged", a->run_dir);
    bool is_boot = !fs_exists(mark);
    if (fs_write_atomic(mark, "\n", 1, 0644) < 0)
        log_warn("'%s' cannot be written; storage is plugged anew at the next start of the daemon", mark);
    for (const struct row *pbd = db_first(a->db, CLASS_PBD); pbd; pbd = db_next(a->db, pbd))
        if (is_mine(a, pbd) && (is_boot || row_bool(pbd, FIELD_PBD_currently_attached)))
            look_at(a, pbd, is_boot);
}

void vm_agent_look_at_pbds(struct vm_agent *a) {
    struct db_status status = db_get_status(a->db);
    if (!status.in_step || !status.has_quorum || !db_pool(a->db))
        return;
    if (!a->pbds_looked_at)
        look_first(a);
    a->pbds_looked_at = true;
    if (db_get(a->db, CLASS_host, &a->self)) {
        join_shared(a);
        look_at_shared(a);
    }
}

/* A PBD that was made for this host is attached at once, not at the next look. */
static void on_pbd(struct db *d, enum db_event event, const struct row *pbd, void *userdata) {
    struct vm_agent *a = userdata;
    const char *why = event == DB_ADDED ? reason_of(pbd) : NULL;
    if (why && a->pbds_looked_at && is_mine(a, pbd) && str_eq(why, PBD_NOT_LOOKED_AT))
        look_at(a, pbd, /* is_boot= */ false);
}

void vm_agent_watch_pbds(struct vm_agent *a) {
    a->pbd_watch = db_watch_add(a->db, CLASS_PBD, on_pbd, a);
}

void vm_agent_unwatch_pbds(struct vm_agent *a) {
    db_watch_free(a->pbd_watch);
    a->pbd_watch = NULL;
}
