/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host leaves the pool: out of the database cluster, its rows gone in one transaction, then it is told, forgets the
 * pool and starts anew as a pool of one. What it holds opens nothing any more: the pool's authority begins a new
 * generation in the same transaction. Who votes is asked of the cluster at that moment, and nobody else changes the
 * voters meanwhile: rows that go before the vote does would leave a vote that nobody casts. When the vote that goes may
 * be the last one, the coordinator takes one first. What it still holds opens nothing: its certificate is in no row any
 * more.
 */
#include <assert.h>
#include <string.h>

#include "base/fs.h"
#include "pool/pool_private.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define PROMOTE_MS 60000
#define DEMOTE_MS 30000
#define WAIT_MS 60000 /* for a change of the voters that is under way */
#define TELL_MS 5000
#define LEAVE_RETRY_MS 100
#define MAX_REMOVE_STEPS 8
#define WRITE_DEADLINE_MS 15000

struct removal {
    struct pool *p;
    struct removal *next; /* while it waits */
    struct uuid host;
    bool forget;
    char *address;
    struct strv voters;
    struct authority_change *authority; /* what the host holds shall open nothing any more */
    uint64_t since_ms;
    unsigned n_steps; /* votes given and taken on the way */
    struct error *refusal;
    pool_done_fn *done;
    void *userdata;
};

static void removal_free(struct removal *r) {
    strv_done(&r->voters);
    error_free(r->refusal);
    free(r->address);
    free(r);
}

static void removal_end(struct removal *r, const struct error *error) {
    struct pool *p = r->p;
    p->voters_busy = false;
    r->done(error, r->userdata);
    removal_free(r);
    pool_role_changed(p);
    pool_remove_tick(p);
}

static void on_told(const struct value *result, const struct error *error, void *userdata) {
    struct removal *r = userdata;
    pool_channel_drop(r->p->channel, &r->host, "the host was ejected");
    removal_end(r, NULL); /* untold, it finds itself refused */
}

static void on_rows_gone(struct error *error, void *userdata) {
    struct removal *r = userdata;
    pool_authority_end(TAKE(r->authority), /* committed= */ !error);
    if (error || r->forget) {
        if (!error)
            pool_channel_drop(r->p->channel, &r->host, "the host was forgotten");
        removal_end(r, error);
        return;
    }
    pool_channel_call(r->p->channel, &r->host, "ejected", value_map(), TELL_MS, on_told, r);
}

static void on_authority_ready(struct authority_change *c, void *userdata) {
    struct removal *r = userdata;
    struct db_txn *t = db_txn_new(r->p->config.db, "a host leaves the pool");
    db_txn_fence(t);
    rows_eject(r->p->config.db, t, &r->host);
    r->authority = c;
    if (c)
        pool_authority_begin(c, t);
    db_txn_commit(t, WRITE_DEADLINE_MS, on_rows_gone, r);
}

static void remove_rows(struct removal *r) {
    pool_authority_prepare(r->p, on_authority_ready, r);
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
        db_server_kick(r->p->dbserver, r->address, on_kicked, r);
    else
        remove_rows(r);
}

static struct value voters_of(const struct removal *r) {
    struct value args = value_map(), voters = value_set();
    for (size_t i = 0; i < r->voters.n; i++)
        value_set_add(&voters, value_string(r->voters.items[i]));
    value_map_add(&args, "voters", voters);
    return args;
}

static void take_vote(struct removal *r) {
    if (r->forget)
        pool_voters_kick(r->p, r->address, on_kicked, r);
    else
        pool_channel_call(r->p->channel, &r->host, "db_demote", voters_of(r), DEMOTE_MS, on_demoted, r);
}

static void on_cluster(struct pool *p, const struct strv *addresses, void *userdata);

static void look_again(struct removal *r, const struct error *error) {
    if (error || ++r->n_steps > MAX_REMOVE_STEPS)
        removal_end(r, error ? error : r->refusal);
    else
        pool_voters_ask(r->p, on_cluster, r);
}

static void on_promoted(const struct value *result, const struct error *error, void *userdata) {
    look_again(userdata, error);
}

static void on_other_kicked(const struct error *error, void *userdata) {
    look_again(userdata, error);
}

static void refuse(struct removal *r, const char *text) {
    error_free(r->refusal);
    r->refusal = NULL;
    error_set(&r->refusal, ERR_DB_SERVER_FAILED, text, NULL);
    removal_end(r, r->refusal);
}

static void on_cluster(struct pool *p, const struct strv *addresses, void *userdata) {
    struct removal *r = userdata;
    struct voter_host hosts[VOTERS_VIEW_MAX];
    struct uuid other;
    strv_done(&r->voters);
    for (size_t i = 0; i < addresses->n; i++)
        strv_add(&r->voters, addresses->items[i]);
    if (!addresses->n) {
        refuse(r,
               "no majority of the pool database's voters answers, so no vote can be taken away; nothing was changed; "
               "switch on more of the pool's hosts and try again");
        return;
    }
    if (!strv_has(addresses, r->address)) {
        remove_rows(r);
        return;
    }
    pool_voters_note(p, addresses);
    const char *stray = pool_voters_stray(p);
    if (stray && !str_eq(stray, r->address)) {
        pool_voters_kick(p, stray, on_other_kicked, r);
        return;
    }
    unsigned n = pool_voters_view(p, hosts);
    switch (voters_leave(hosts, n, &r->host, &other)) {
    case VOTER_LEAVE_NOW:
        take_vote(r);
        return;
    case VOTER_LEAVE_PROMOTE_FIRST:
        pool_channel_call(p->channel, &other, "db_promote", voters_of(r), PROMOTE_MS, on_promoted, r);
        return;
    case VOTER_LEAVE_KICK_FIRST:
        pool_voters_kick(p, pool_address_of(p, &other), on_other_kicked, r);
        return;
    case VOTER_LEAVE_NEVER:
        refuse(
            r,
            "without this host's vote the pool database would have no majority, since other hosts that vote are down; "
            "nothing was changed; switch them on, or run xe host-forget for those that will not come back");
        return;
    }
}

void pool_remove_tick(struct pool *p) {
    uint64_t now = loop_now_ms(p->config.loop);
    while (p->removals && !p->voters_busy) {
        struct removal *r = p->removals;
        p->removals = r->next;
        p->voters_busy = true;
        pool_voters_ask(p, on_cluster, r);
    }
    for (struct removal **at = &p->removals; *at;) {
        struct removal *r = *at;
        if (now - r->since_ms < WAIT_MS) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_DB_SERVER_FAILED, "another change of the pool database's voters did not end in time", NULL);
        r->done(e, r->userdata);
        removal_free(r);
    }
}

void pool_remove_done(struct pool *p) {
    while (p->removals) {
        struct removal *r = p->removals;
        p->removals = r->next;
        removal_free(r);
    }
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
    assert(row); /* or it is said above */
    struct removal *r = xnew0(struct removal), **last = &p->removals;
    *r = (struct removal){.p = p,
                          .host = *host,
                          .forget = forget,
                          .address = xstrdup(row_str(row, FIELD_host_address)),
                          .since_ms = loop_now_ms(p->config.loop),
                          .done = done,
                          .userdata = userdata};
    while (*last)
        last = &(*last)->next;
    *last = r;
    pool_remove_tick(p);
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
    long long now = (long long)(loop_wall_ms(p->config.loop) / 1000);
    if (error) { /* giving the vote up a moment ago may still be starting a relay: that ends first */
        loop_timer_set(p->leave_timer, LEAVE_RETRY_MS);
        return;
    }
    _cleanup_free_ char *identity = strf("%s/host.json", p->state_dir),
                        *previous = strf("%s/host.prev.json", p->state_dir);
    fs_unlink(p->sealed_path); /* of an authority that is none any more */
    fs_unlink(p->sealkey_path);
    set_aside(identity, now);
    set_aside(previous, now);
    set_aside(p->pki_dir, now);
    p->config.callbacks->restart("ejected from its pool", p->config.userdata);
}

static void leave_now(struct loop_source *s, void *userdata) {
    struct pool *p = userdata;
    db_server_set_aside(p->dbserver, "ejected", on_database_aside, p);
}

static void serve_ejected(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    const struct row *pool = db_pool(p->config.db);
    if (!pool || !uuid_eq(from, pool_leader(p))) {
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_POOL_CALL_FAILED, "ejected", "only the coordinator may say so", NULL);
        pool_reply_fail(reply, TAKE(e));
        return;
    }
    pool_reply_return(reply, value_bool(true));
    if (p->going_down)
        return; /* told twice */
    log_notice("the pool has ejected this host; it becomes a pool of one");
    p->going_down = true;
    p->leave_timer = loop_add_timer(p->config.loop, 0, leave_now, p);
}

void pool_remove_init(struct pool *p) {
    pool_channel_serve(p->channel, "ejected", serve_ejected, p);
}
