/* SPDX-License-Identifier: Apache-2.0 */
/* What membership knows that a restart depends on; and what it can write anew from memory. */
#include "pool/pool_outlook.h"

#include "base/fs.h"
#include "pool/pool_private.h"

#define RENEW_POLL_MS 200
#define RENEW_MS 15000
#define MAJORITY_MS 3000 /* a host that is given a vote, or gives it up, knows of no majority for a moment */

void pool_outlook_done(struct pool_outlook *o) {
    free(o->certificate_error);
    free(o->identity_error);
    free(o->database_file);
    free(o->away_voters);
    free(o->away_hosts);
    *o = (struct pool_outlook){0};
}

static void look_at_certificate(struct pool *p, struct pool_outlook *ret) {
    _cleanup_buf_ struct buf certificate = BUF_INIT, authorities = BUF_INIT;
    _cleanup_error_ struct error *e = NULL;
    struct pki_info info;
    int r = fs_read(p->cert_path, PKI_MAX_PEM, &certificate);
    if (r == 0)
        r = fs_read(p->all_path, PKI_MAX_PEM, &authorities);
    if (r < 0) {
        error_errno(&e, r, "reading it in '%s'", p->pki_dir);
    } else if (pki_certificate_info(buf_str(&certificate), &info, &e) &&
               pki_certificate_check(buf_str(&certificate), buf_str(&authorities), p->key_path, &e)) {
        ret->not_before = info.not_before;
        ret->not_after = info.not_after;
        return;
    }
    ret->certificate_error = xstrdup(error_text(e));
}

static void look_at_identity(struct pool *p, struct pool_outlook *ret) {
    struct identity on_disk;
    bool found, previous = false;
    _cleanup_error_ struct error *e = NULL;
    if (!identity_load(p->state_dir, &on_disk, &found, &previous, &e))
        ret->identity_error = xstrdup(error_text(e));
    else if (previous)
        ret->identity_error = strf("'%s/host.json' is damaged; the copy before it would be used", p->state_dir);
    else if (!uuid_eq(&on_disk.host, &p->identity.host) || !uuid_eq(&on_disk.pool, &p->identity.pool))
        ret->identity_error = strf("'%s/host.json' is that of another host or pool", p->state_dir);
}

static void add_name(char **names, const struct row *host, const char *detail) {
    const char *name = row_str(host, FIELD_host_name_label);
    char *more = strf("%s%s%s%s%s%s", *names ? *names : "", *names ? ", " : "", name, *detail ? " (" : "", detail,
                      *detail ? ")" : "");
    free(*names);
    *names = more;
}

static void look_at_hosts(struct pool *p, struct pool_outlook *ret) {
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h)) {
        bool own = uuid_eq(&h->uuid, &p->identity.host), live = own || pool_host_is_live(p, &h->uuid);
        bool voter = own ? ret->is_voter : str_eq(row_str(h, FIELD_host_db_role), "voter");
        const char *state = row_str(h, FIELD_host_membership_state);
        ret->n_hosts++;
        ret->n_other_live += live && !own;
        ret->n_voters += voter;
        ret->n_voters_live += voter && live;
        ret->can_replace = ret->can_replace || (live && !own && !voter && str_starts(state, "ready"));
        if (voter && !live)
            add_name(&ret->away_voters, h, "");
        if (!own && (!live || !str_starts(state, "ready")))
            add_name(&ret->away_hosts, h, live ? state : "away");
    }
}

void pool_get_outlook(struct pool *p, struct pool_outlook *ret) {
    *ret = (struct pool_outlook){.is_voter = p->identity.database == IDENTITY_DB_VOTER,
                                 .has_majority = db_get_status(p->config.db).has_quorum ||
                                                 loop_now_ms(p->config.loop) - p->majority_ms < MAJORITY_MS};
    if (ret->is_voter)
        ret->database_file = strf("%s/db/pool.db", p->state_dir);
    look_at_certificate(p, ret);
    look_at_identity(p, ret);
    look_at_hosts(p, ret);
}

void pool_write_identity(struct pool *p) {
    pool_save(p);
}

/* ---- a new certificate for the key it has ---- */
struct renewal {
    struct pool *p;
    pool_done_fn *done;
    void *userdata;
    struct loop_source *timer;
    uint64_t until_ms;
};

static void renewal_end(struct renewal *r, const struct error *error) {
    r->p->renewal = NULL;
    loop_source_free(r->timer);
    r->done(error, r->userdata);
    free(r);
}

static void on_renewal(struct loop_source *s, void *userdata) {
    struct renewal *r = userdata;
    struct pool *p = r->p;
    const struct row *own = pool_own_row(p);
    if (!p->sign_wanted && !p->sign_asked && own && str_eq(row_str(own, FIELD_host_certificate), p->certificate)) {
        renewal_end(r, NULL);
        return;
    }
    if (loop_now_ms(p->config.loop) >= r->until_ms) {
        _cleanup_error_ struct error *e = NULL;
        error_set(&e, ERR_POOL_CALL_FAILED, "cert_sign", "the coordinator has given no certificate in time", NULL);
        renewal_end(r, e);
        return;
    }
    loop_timer_set(r->timer, RENEW_POLL_MS);
}

void pool_renew_certificate(struct pool *p, pool_done_fn *done, void *userdata) {
    _cleanup_error_ struct error *e = NULL;
    if (p->renewal || !p->channel || !p->certificate) {
        error_set(&e, ERR_POOL_CALL_FAILED, "cert_sign",
                  p->renewal ? "a new certificate is being asked for already" : "this host is not in its pool yet",
                  NULL);
        done(e, userdata);
        return;
    }
    struct renewal *r = xnew0(struct renewal);
    *r = (struct renewal){p, done, userdata, NULL, loop_now_ms(p->config.loop) + RENEW_MS};
    p->renewal = r;
    p->sign_wanted = true;
    p->sign_after_ms = 0;
    pool_authority_tick(p);
    r->timer = loop_add_timer(p->config.loop, RENEW_POLL_MS, on_renewal, r);
}

void pool_outlook_free(struct pool *p) {
    struct renewal *r = p->renewal;
    if (!r)
        return;
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, ERR_POOL_CALL_FAILED, "cert_sign", "this daemon ends", NULL);
    renewal_end(r, e);
}
