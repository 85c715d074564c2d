/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the key of the pool's authority lies: with the coordinator and with every host that votes in the pool database,
 * sealed on disk under a key file of that host's own. Whoever can lead the pool on (it needs a copy of the database for
 * that) thereby holds it. A host that should hold it and does not asks the coordinator; a coordinator that does not
 * asks the voters. On its way the key is encrypted to the receiver's own key. A host that is neither deletes its copy,
 * when the coordinator says that it holds one.
 */
#include "pool/pool_private.h"

#include <string.h>

#include "base/fs.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define CALL_MS 10000
#define RETRY_MS 3000
#define DROP_AFTER_MS 60000 /* a voter that only reboots is a relay for a moment */

bool pool_holds_authority(struct pool *p) {
    struct error *ignored = NULL;
    _cleanup_(pki_ca_freep) struct pki_ca *ca = pool_open_ca(p, &ignored);
    error_free(ignored);
    return ca != NULL;
}

bool pool_keep_authority(struct pool *p, struct pki_ca *ca, const char *path, struct error **errp) {
    uint8_t keyfile[PKI_KEYFILE_SIZE];
    _cleanup_free_ char *sealed =
        pki_keyfile_ensure(p->sealkey_path, keyfile, errp) ? pki_ca_seal(ca, keyfile, errp) : NULL;
    int r = sealed ? fs_write_atomic(path, sealed, strlen(sealed), 0600) : 0;
    if (r < 0)
        error_errno(errp, r, "writing '%s'", path);
    explicit_bzero(keyfile, sizeof(keyfile));
    return sealed && r >= 0;
}

/* ---- asking for it ---- */
struct fetch {
    struct pool *p;
    unsigned next; /* coordinator: position in the identity of the voter to ask next */
};

static void fetch_next(struct fetch *f);

static void fetch_end(struct fetch *f) {
    f->p->key_asked = false;
    f->p->key_after_ms = loop_now_ms(f->p->config.loop) + RETRY_MS;
    free(f);
}

static void on_key(const struct value *result, const struct error *error, void *userdata) {
    struct fetch *f = userdata;
    struct pool *p = f->p;
    _cleanup_error_ struct error *e = error ? error_dup(error) : NULL;
    _cleanup_buf_ struct buf authorities = BUF_INIT;
    const char *text = error ? NULL : value_map_str(result, "key");
    _cleanup_(pki_ca_freep) struct pki_ca *ca = text && fs_read(p->ca_path, PKI_MAX_PEM, &authorities) == 0
                                                    ? pki_ca_unwrap(buf_str(&authorities), text, p->key_path, &e)
                                                    : NULL;
    if (ca && pool_keep_authority(p, ca, p->sealed_path, &e)) {
        log_notice("this host holds the key of the pool's certificate authority, generation %u", pki_ca_generation(ca));
        fetch_end(f);
        return;
    }
    log_info("the authority's key was not had: %s; tried again", error_text(e));
    fetch_next(f);
}

static void fetch_next(struct fetch *f) {
    struct pool *p = f->p;
    while (pool_is_coordinator(p) && f->next < p->identity.n_hosts) {
        const struct identity_host *h = &p->identity.hosts[f->next++];
        if (h->voter && !uuid_eq(&h->host, &p->identity.host) && pool_channel_is_connected(p->channel, &h->host)) {
            pool_channel_call(p->channel, &h->host, "ca_key", value_map(), CALL_MS, on_key, f);
            return;
        }
    }
    fetch_end(f);
}

static void fetch(struct pool *p, const struct uuid *leader) {
    struct fetch *f = xnew0(struct fetch);
    f->p = p;
    p->key_asked = true;
    if (pool_is_coordinator(p))
        fetch_next(f);
    else
        pool_channel_call(p->channel, leader, "ca_key", value_map(), CALL_MS, on_key, f);
}

/* ---- giving it up ---- */
static void on_held(const struct value *result, const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->key_asked = false;
    p->key_after_ms = loop_now_ms(p->config.loop) + RETRY_MS;
    const struct row *own = pool_own_row(p);
    if (error || result->type != VALUE_BOOL || !value_as_bool(result) || !own || pool_is_coordinator(p) ||
        str_eq(row_str(own, FIELD_host_db_role), "voter"))
        return;
    _cleanup_free_ char *next = strf("%s.next", p->sealed_path);
    fs_unlink(p->sealed_path);
    fs_unlink(next);
    log_notice("this host does not vote any more and gives the key of the pool's certificate authority up");
}

void pool_authority_key_tick(struct pool *p) {
    const struct row *pool = db_pool(p->config.db), *own = pool_own_row(p);
    uint64_t now = loop_now_ms(p->config.loop);
    if (!pool || !own || p->key_asked || now < p->key_after_ms || !states_is_ready(&p->sm))
        return;
    const struct uuid *leader = pool_leader(p);
    bool leads = pool_is_coordinator(p), should = leads || str_eq(row_str(own, FIELD_host_db_role), "voter");
    if (!leads && !pool_channel_is_connected(p->channel, leader))
        return;
    p->key_after_ms = now + RETRY_MS;
    if (should) {
        char newest[PKI_FINGERPRINT_SIZE];
        p->key_idle_ms = 0;
        pool_authority_newest(row_str(pool, FIELD_pool_ca_certificates), newest);
        if (str_eq(newest, p->key_of) && fs_exists(p->sealed_path))
            return;
        bool holds = pool_holds_authority(p);
        str_copy(p->key_of, sizeof(p->key_of), holds ? newest : "");
        if (!holds)
            fetch(p, leader);
        return;
    }
    if (!fs_exists(p->sealed_path)) {
        p->key_idle_ms = 0;
    } else if (!p->key_idle_ms) {
        p->key_idle_ms = now;
    } else if (now - p->key_idle_ms >= DROP_AFTER_MS) {
        p->key_asked = true;
        pool_channel_call(p->channel, leader, "ca_held", value_map(), CALL_MS, on_held, p);
    }
}

/* ---- what others ask ---- */
static void serve_key(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    const struct row *host = db_get(p->config.db, CLASS_host, from), *pool = db_pool(p->config.db);
    bool may = host && pool &&
               (uuid_eq(pool_leader(p), from) ||
                (pool_is_coordinator(p) && str_eq(row_str(host, FIELD_host_db_role), "voter")));
    _cleanup_(pki_ca_freep) struct pki_ca *ca = may ? pool_open_ca(p, &e) : NULL;
    if (!may)
        error_set(&e, ERR_POOL_CALL_FAILED, "ca_key", "only the coordinator and hosts that vote get it", NULL);
    char *text = ca ? pki_ca_wrap(ca, row_str(host, FIELD_host_certificate), &e) : NULL;
    if (!text) {
        pool_reply_fail(reply, e);
        return;
    }
    struct value answer = value_map();
    value_map_add(&answer, "key", value_string_take(text));
    pool_reply_return(reply, answer);
}

static void serve_held(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    pool_reply_return(reply, value_bool(pool_is_coordinator(p) && pool_holds_authority(p)));
}

/* A generation that is about to begin: kept beside the present one until the rows say which it is. */
static void serve_next(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    const struct row *pool = db_pool(p->config.db);
    const char *authority = value_map_str(args, "authority"), *text = value_map_str(args, "key");
    _cleanup_free_ char *next = strf("%s.next", p->sealed_path);
    if (!pool || !uuid_eq(pool_leader(p), from) || !authority || !text)
        error_set(&e, ERR_POOL_CALL_FAILED, "ca_next", "only the coordinator may say so", NULL);
    _cleanup_(pki_ca_freep) struct pki_ca *ca = e ? NULL : pki_ca_unwrap(authority, text, p->key_path, &e);
    if (ca && pool_keep_authority(p, ca, next, &e))
        pool_reply_return(reply, value_bool(true));
    else
        pool_reply_fail(reply, e);
}

void pool_authority_key_init(struct pool *p) {
    pool_channel_serve(p->channel, "ca_key", serve_key, p);
    pool_channel_serve(p->channel, "ca_held", serve_held, p);
    pool_channel_serve(p->channel, "ca_next", serve_next, p);
}
