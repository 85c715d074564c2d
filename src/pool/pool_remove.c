/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host leaves the pool: out of the database cluster, its rows gone in one transaction, then it is told, forgets the
 * pool and starts anew as a pool of one. What it still holds opens nothing: its certificate is in no row any more.
 */
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "pool/pool_private.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define DEMOTE_MS 30000
#define TELL_MS 5000
#define WRITE_DEADLINE_MS 15000

struct removal {
    struct pool *p;
    struct uuid host;
    bool forget;
    char *address;
    pool_done_fn *done;
    void *userdata;
};

static void removal_end(struct removal *r, const struct error *error) {
    r->done(error, r->userdata);
    pool_role_changed(r->p);
    free(r->address);
    free(r);
}

static void on_told(const struct value *result, const struct error *error, void *userdata) {
    struct removal *r = userdata;
    pool_channel_drop(r->p->channel, &r->host, "the host was ejected");
    removal_end(r, NULL); /* untold, it finds itself refused */
}

static void on_rows_gone(struct error *error, void *userdata) {
    struct removal *r = userdata;
    if (error || r->forget) {
        if (!error)
            pool_channel_drop(r->p->channel, &r->host, "the host was forgotten");
        removal_end(r, error);
        return;
    }
    pool_channel_call(r->p->channel, &r->host, "ejected", value_map(), TELL_MS, on_told, r);
}

static void remove_rows(struct removal *r) {
    struct db_txn *t = db_txn_new(r->p->config.db, "a host leaves the pool");
    db_txn_fence(t);
    rows_eject(r->p->config.db, t, &r->host);
    db_txn_commit(t, WRITE_DEADLINE_MS, on_rows_gone, r);
}

static void on_kicked(const struct error *error, void *userdata) {
    struct removal *r = userdata;
    if (error)
        removal_end(r, error);
    else
        remove_rows(r);
}

static void on_demoted(const struct value *result, const struct error *error, void *userdata) {
    struct removal *r = userdata;
    if (error)
        dbserver_kick(r->p->dbserver, r->address, on_kicked, r);
    else
        remove_rows(r);
}

void pool_remove_host(struct pool *p, const struct uuid *host, bool forget, pool_done_fn *done, void *userdata) {
    _cleanup_error_ struct error *e = NULL;
    const struct row *row = db_get(p->config.db, CLASS_host, host);
    char ref[REF_TEXT_SIZE];
    bool live = pool_host_is_live(p, host);
    if (!row)
        error_set(&e, ERR_HANDLE_INVALID, "host", ref_text(host, ref), NULL);
    else if (uuid_eq(host, &p->identity.host))
        error_set(&e, ERR_HOST_CANNOT_DESTROY_SELF, ref_text(host, ref), NULL);
    else if (!live && !forget)
        error_set(&e, ERR_HOST_OFFLINE, ref_text(host, ref), NULL);
    else if (live && forget)
        error_set(&e, ERR_HOST_IS_LIVE, ref_text(host, ref), NULL);
    if (e) {
        done(e, userdata);
        return;
    }
    struct removal *r = xnew0(struct removal);
    *r = (struct removal){.p = p,
                          .host = *host,
                          .forget = forget,
                          .address = xstrdup(row_str(row, FIELD_host_address)),
                          .done = done,
                          .userdata = userdata};
    if (!strv_has(&p->cluster, r->address)) {
        remove_rows(r);
    } else if (forget) {
        dbserver_kick(p->dbserver, r->address, on_kicked, r);
    } else {
        struct value args = value_map(), voters = value_set();
        for (size_t i = 0; i < p->cluster.n; i++)
            value_set_add(&voters, value_string(p->cluster.items[i]));
        value_map_add(&args, "voters", voters);
        pool_channel_call(p->channel, host, "db_demote", args, DEMOTE_MS, on_demoted, r);
    }
}

/* ---- the host that is ejected ---- */
static void set_aside(const char *path, long long now) {
    _cleanup_free_ char *to = strf("%s.ejected-%lld", path, now);
    int r = fs_exists(path) ? fs_rename(path, to) : 0;
    if (r < 0)
        log_err("'%s' could not be set aside: %s", path, strerror(-r));
}

static void on_database_aside(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    long long now = (long long)time(NULL);
    _cleanup_free_ char *identity = strf("%s/host.json", p->state_dir),
                        *previous = strf("%s/host.prev.json", p->state_dir);
    set_aside(identity, now);
    set_aside(previous, now);
    set_aside(p->pki_dir, now);
    p->going_down = true;
    p->config.callbacks->restart("ejected from its pool", p->config.userdata);
}

static void leave_now(void *userdata) {
    struct pool *p = userdata;
    log_notice("the pool has ejected this host; it becomes a pool of one");
    dbserver_set_aside(p->dbserver, "ejected", on_database_aside, p);
}

static void serve_ejected(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    const struct row *pool = db_pool(p->config.db);
    if (!pool || !uuid_eq(from, row_ref(pool, FIELD_pool_master))) {
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_POOL_CALL_FAILED, "ejected", "only the coordinator may say so", NULL);
        pool_reply_fail(reply, TAKE(e));
        return;
    }
    pool_reply_return(reply, value_bool(true));
    loop_defer(p->config.loop, leave_now, p);
}

void pool_remove_init(struct pool *p) {
    pool_channel_serve(p->channel, "ejected", serve_ejected, p);
}
