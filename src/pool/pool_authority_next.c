/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new generation of the authority, made ready before the transaction that begins it: the keys on a worker (some
 * 0.2 s), the old one's word for the new one, and a copy with every voter that is alive. A coordinator that dies at any
 * point leaves hosts that hold the key of whichever generation the rows name.
 */
#include "pool/pool_private.h"

#include <string.h>

#include "base/fs.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define SPREAD_MS 3000

struct next {
    struct pool *p;
    struct uuid pool;
    /* the old one, made new and vouched for, in the job */
    struct pki_ca *old, *ca;
    char *cross;
    struct error *error;
    unsigned n_open;
    pool_next_authority_fn *done;
    void *userdata;
};

static void next_end(struct next *n) {
    struct authority_change *c = NULL;
    if (n->error) {
        log_warn("no new certificate authority begins: %s; what the host that leaves holds stays valid at the pool "
                 "database's ports",
                 error_text(n->error));
    } else {
        _cleanup_free_ char *root = pki_ca_certificate(n->ca);
        c = pool_authority_change_new(n->p, root, n->cross, pki_ca_generation(n->ca));
    }
    n->done(c, n->userdata);
    pki_ca_free(n->old);
    pki_ca_free(n->ca);
    free(n->cross);
    error_free(n->error);
    free(n);
}

static void on_spread(const struct value *result, const struct error *error, void *userdata) {
    struct next *n = userdata;
    if (error) {
        struct error *e = error_dup(error);
        log_warn("a voter did not take the next authority's key: %s; it asks for it later", error_text(e));
        error_free(e);
    }
    if (--n->n_open == 0)
        next_end(n);
}

static void spread(struct next *n) {
    struct pool *p = n->p;
    _cleanup_free_ char *root = pki_ca_certificate(n->ca);
    n->n_open = 1; /* ours */
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h)) {
        _cleanup_error_ struct error *e = NULL;
        if (uuid_eq(&h->uuid, &p->identity.host) || !str_eq(row_str(h, FIELD_host_db_role), "voter") ||
            !pool_channel_is_connected(p->channel, &h->uuid))
            continue;
        char *text = pki_ca_wrap(n->ca, row_str(h, FIELD_host_certificate), &e);
        if (!text) {
            log_warn("host '%s': %s", row_str(h, FIELD_host_name_label), error_text(e));
            continue;
        }
        struct value args = value_map();
        value_map_add(&args, "authority", value_string(root));
        value_map_add(&args, "key", value_string_take(text));
        n->n_open++;
        pool_channel_call(p->channel, &h->uuid, "ca_next", args, SPREAD_MS, on_spread, n);
    }
    if (--n->n_open == 0)
        next_end(n);
}

static void make(void *data) {
    struct next *n = data;
    n->ca = pki_ca_new(&n->pool, pki_ca_generation(n->old) + 1, &n->error);
    n->cross = n->ca ? pki_ca_cross(n->old, n->ca, &n->error) : NULL;
}

static void on_made(void *data) {
    struct next *n = data;
    _cleanup_free_ char *path = strf("%s.next", n->p->sealed_path);
    if (!n->cross || !pool_keep_authority(n->p, n->ca, path, &n->error))
        next_end(n);
    else
        spread(n);
}

void pool_authority_prepare(struct pool *p, pool_next_authority_fn *done, void *userdata) {
    struct next *n = xnew0(struct next);
    *n = (struct next){.p = p, .pool = p->identity.pool, .done = done, .userdata = userdata};
    n->old = pool_open_ca(p, &n->error);
    if (n->old)
        worker_submit(p->config.worker, "authority", make, on_made, n);
    else
        next_end(n); /* from inside: the caller is ready for it */
}
