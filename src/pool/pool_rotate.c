/* SPDX-License-Identifier: Apache-2.0 */
/* A new generation of the authority because somebody wants one (pool.rotate_secret), not because a host leaves. */
#include "pool/pool_private.h"

#define WRITE_DEADLINE_MS 15000

struct rotation {
    struct pool *p;
    struct authority_change *authority;
    pool_done_fn *done;
    void *userdata;
};

static void rotation_end(struct rotation *r, const struct error *error) {
    r->done(error, r->userdata);
    free(r);
}

static void on_written(struct error *error, void *userdata) {
    struct rotation *r = userdata;
    pool_authority_end(TAKE(r->authority), /* committed= */ !error);
    rotation_end(r, error);
}

static void on_ready(struct authority_change *c, void *userdata) {
    struct rotation *r = userdata;
    if (!c) {
        _cleanup_error_ struct error *e = NULL;
        error_internal(&e, "no new certificate authority could be made here; the coordinator's log says why");
        rotation_end(r, e);
        return;
    }
    struct db_txn *t = db_txn_new(r->p->config.db, "a new certificate authority");
    db_txn_fence(t);
    r->authority = c;
    pool_authority_begin(c, t);
    db_txn_commit(t, WRITE_DEADLINE_MS, on_written, r);
}

void pool_rotate_authority(struct pool *p, pool_done_fn *done, void *userdata) {
    const struct row *pool = db_pool(p->config.db);
    _cleanup_strv_ struct strv roots = {0}, crosses = {0};
    _cleanup_error_ struct error *e = NULL;
    if (pool)
        pki_bundle_split(row_str(pool, FIELD_pool_ca_certificates), &roots, &crosses);
    if (!pool || !pool_is_coordinator(p))
        error_set(&e, ERR_HOST_IS_SLAVE, pool_coordinator_address(p), NULL);
    else if (roots.n > 1) /* hosts that are alive still get certificates of the last one */
        error_set(&e, ERR_POOL_SECRET_ROTATION_PENDING, NULL);
    if (e) {
        done(e, userdata);
        return;
    }
    struct rotation *r = xnew0(struct rotation);
    *r = (struct rotation){.p = p, .done = done, .userdata = userdata};
    pool_authority_prepare(p, on_ready, r);
}
