/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads: handing it over, taking it in an emergency. */
#include "pool/pool_private.h"

#include <assert.h>

#define LOG_MODULE "pool"
#include "base/log.h"

#define WRITE_DEADLINE_MS 15000

/* ---- who leads ---- */
struct handover {
    struct pool *p;
    pool_done_fn *done;
    void *userdata;
};

static void on_handed_over(struct error *error, void *userdata) {
    struct handover *h = userdata;
    h->p->n_handovers--;
    h->done(error, h->userdata);
    pool_role_changed(h->p);
    free(h);
}

/* One transaction, compared and swapped on the epoch: whoever still writes as the old coordinator is refused from then
 * on. */
static void write_leader(struct pool *p, const struct uuid *host, pool_done_fn *done, void *userdata) {
    const struct row *pool = db_pool(p->config.db);
    struct handover *h = xnew0(struct handover);
    *h = (struct handover){p, done, userdata};
    p->n_handovers++;
    int64_t epoch = row_int(pool, FIELD_pool_epoch);
    struct db_txn *t = db_txn_new(p->config.db, "change of coordinator");
    db_txn_expect(t, CLASS_pool, &pool->uuid, FIELD_pool_epoch, value_int(epoch));
    /* It may be ejected at this moment; the pool would be led by nobody. */
    const struct row *row = db_get(p->config.db, CLASS_host, host);
    if (row)
        db_txn_expect(t, CLASS_host, host, FIELD_host_address, value_string(row_str(row, FIELD_host_address)));
    /* Above every epoch that this host has heard of, too: its copy of the database may be older than that. */
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_epoch, value_int(MAX(epoch, p->identity.epoch) + 1));
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_master, value_ref(host));
    /* A copy that holds this and was never acknowledged must not go on alone, under a coordinator that knows nothing of
     * it. */
    static const struct uuid nobody;
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_solo_host, value_ref(&nobody));
    db_txn_commit(t, WRITE_DEADLINE_MS, on_handed_over, h);
}

void pool_set_coordinator(struct pool *p, const struct uuid *host, pool_done_fn *done, void *userdata) {
    _cleanup_error_ struct error *e = NULL;
    const struct row *row = db_get(p->config.db, CLASS_host, host), *pool = db_pool(p->config.db);
    char ref[REF_TEXT_SIZE];
    if (!row || !pool)
        error_set(&e, ERR_HANDLE_INVALID, "host", ref_text(host, ref), NULL);
    else if (!uuid_eq(host, &p->identity.host) &&
             (!pool_host_is_live(p, host) ||
              (pool_is_coordinator(p) && !pool_channel_is_connected(p->channel, host)))) /* only taken for alive */
        error_set(&e, ERR_HOST_OFFLINE, ref_text(host, ref), NULL);
    assert(pool || e);
    if (e || uuid_eq(row_ref(pool, FIELD_pool_master), host)) {
        done(e, userdata); /* it is already: asking twice breaks nothing */
        return;
    }
    write_leader(p, host, done, userdata);
}

struct emergency {
    struct pool *p;
    pool_done_fn *done;
    void *userdata;
};

static void on_dissolved(const struct error *error, void *userdata) {
    struct emergency *m = userdata;
    struct pool *p = m->p;
    if (error) {
        m->done(error, m->userdata);
    } else {
        pool_dissolved(p);
        write_leader(p, &p->identity.host, m->done, m->userdata);
    }
    free(m);
}

void pool_emergency(struct pool *p, const char *address, pool_done_fn *done, void *userdata) {
    _cleanup_error_ struct error *e = NULL;
    if (address) {
        for (unsigned i = 0; i < p->identity.n_hosts; i++)
            if (str_eq(p->identity.hosts[i].address, address))
                p->identity.coordinator = p->identity.hosts[i].host;
        pool_channel_connect(p->channel, address);
        done(NULL, userdata);
        return;
    }
    if (!db_pool(p->config.db)) {
        error_set(&e, ERR_DB_NO_QUORUM, "this host has no copy of the pool database to go on with", NULL);
    } else if (db_get_status(p->config.db).has_quorum) {
        write_leader(p, &p->identity.host, done, userdata); /* the database is whole: nothing needs to be dissolved */
        return;
    } else if (p->identity.database != IDENTITY_DB_VOTER) {
        error_set(&e, ERR_DB_NO_QUORUM,
                  "this host has no vote in the pool database and no voter answers; run this on a voter", NULL);
    }
    if (e) {
        done(e, userdata);
        return;
    }
    struct emergency *m = xnew0(struct emergency);
    *m = (struct emergency){p, done, userdata};
    log_notice("the pool database is made anew from this host's copy, by the operator's word");
    db_server_dissolve(p->dbserver, p->facts.address, /* solo= */ NULL, on_dissolved, m);
}
