/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations of the pool's certificate authority. OVSDB servers know no revocation: what an ejected host holds is void
 * only when the authority that signed it is trusted no longer. The rows say how far a change is (pool.ca_certificates,
 * pool.retired_ca_certificates, host.certificate), so whoever coordinates goes on with it.
 */
#include "pool/pool_private.h"

#include <string.h>

#include "base/fs.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define WRITE_DEADLINE_MS 15000
#define CALL_MS 10000
#define RETRY_MS 3000

struct authority_change {
    struct pool *p;
    char *root, *cross;
    int64_t generation;
    char *bundle; /* as it will be in the row */
};

void pool_authority_newest(const char *bundle, char ret[static PKI_FINGERPRINT_SIZE]) {
    struct pki_info info;
    struct error *ignored = NULL;
    ret[0] = 0;
    if (bundle[0] && pki_certificate_info(bundle, &info, &ignored))
        memcpy(ret, info.fingerprint, PKI_FINGERPRINT_SIZE);
    error_free(ignored);
}

static bool is_signed_by(const char *certificate, const char *authority) {
    struct error *ignored = NULL;
    bool ok = certificate[0] && authority[0] && pki_certificate_check(certificate, authority, NULL, &ignored);
    error_free(ignored);
    return ok;
}

static const char *newest_of(const struct strv *roots) {
    return roots->n ? roots->items[0] : "";
}

static char *joined(const struct strv *v, size_t from) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    for (size_t i = from; i < v->n; i++)
        buf_add_str(&text, v->items[i]);
    return xstrdup(buf_str(&text));
}

/* What lies on disk is what everybody on this host uses from now on. */
static bool install(struct pool *p, const char *certificate, const char *authorities, const char *retired) {
    _cleanup_error_ struct error *e = NULL;
    _cleanup_buf_ struct buf before = BUF_INIT;
    _cleanup_strv_ struct strv old_roots = {0}, new_roots = {0}, crosses = {0};
    if (fs_read(p->ca_path, PKI_MAX_PEM, &before) == 0)
        pki_bundle_split(buf_str(&before), &old_roots, &crosses);
    pki_bundle_split(authorities, &new_roots, &crosses);
    _cleanup_free_ char *own = xstrdup(certificate); /* it may be the pool's own text, which is about to be another */
    if (!pool_write_certificates(p, own, authorities, retired, &e)) {
        log_warn("the pool's certificates could not be taken over: %s; tried again", error_text(e));
        return false;
    }
    bool fewer = false;
    for (size_t i = 0; i < old_roots.n; i++)
        fewer = fewer || !strv_has(&new_roots, old_roots.items[i]);
    pool_channel_reload(p->channel);
    db_server_reload(p->dbserver, fewer);
    p->config.callbacks->certificates(p->config.userdata);
    return true;
}

/* ---- a new generation ---- */
struct authority_change *pool_authority_change_new(struct pool *p, const char *root, const char *cross,
                                                   unsigned generation) {
    struct authority_change *c = xnew0(struct authority_change);
    *c = (struct authority_change){
        .p = p, .root = xstrdup(root), .cross = xstrdup(cross), .generation = (int64_t)generation};
    return c;
}

void pool_authority_begin(struct authority_change *c, struct db_txn *t) {
    const struct row *pool = db_pool(c->p->config.db);
    free(c->bundle);
    c->bundle = strf("%s%s%s", c->root, row_str(pool, FIELD_pool_ca_certificates), c->cross);
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_ca_certificates, value_string(c->bundle));
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_ca_generation, value_int(c->generation));
}

void pool_authority_end(struct authority_change *c, bool committed) {
    if (!c)
        return;
    struct pool *p = c->p;
    const struct row *pool = db_pool(p->config.db);
    /* A commit of unknown outcome is found out later: by the rows, and by the key that lies ready. */
    if (committed && pool && install(p, p->certificate, c->bundle, row_str(pool, FIELD_pool_retired_ca_certificates))) {
        _cleanup_error_ struct error *e = NULL;
        _cleanup_(pki_ca_freep) struct pki_ca *ca = pool_open_ca(p, &e); /* puts the new key in its place */
        if (ca)
            log_notice("the pool's certificate authority begins generation %u", pki_ca_generation(ca));
        else
            log_err("%s", error_text(e));
        pool_authority_tick(p);
    }
    free(c->bundle);
    free(c->root);
    free(c->cross);
    free(c);
}

/* ---- the coordinator: what is no longer needed goes ---- */
static void on_settled(struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->authority_writing = false;
    if (error)
        log_warn("the pool's authorities could not be written: %s; tried again", error_text(error));
}

static void settle(struct pool *p, const struct row *pool) {
    _cleanup_strv_ struct strv roots = {0}, crosses = {0};
    const char *retired = row_str(pool, FIELD_pool_retired_ca_certificates);
    pki_bundle_split(row_str(pool, FIELD_pool_ca_certificates), &roots, &crosses);
    if (p->authority_writing || !roots.n || (roots.n == 1 && !crosses.n && !retired[0]))
        return;
    bool all = true, alive = true;
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h))
        if (!is_signed_by(row_str(h, FIELD_host_certificate), newest_of(&roots))) {
            all = false;
            alive = alive && !pool_host_is_live(p, &h->uuid);
        }
    if (!alive || (!all && roots.n == 1))
        return;
    _cleanup_free_ char *vouching = all ? xstrdup("") : joined(&crosses, 0), *older = joined(&roots, 1);
    _cleanup_free_ char *authorities = strf("%s%s", newest_of(&roots), vouching),
                        *kept = all ? xstrdup("") : strf("%s%s", retired, older);
    struct db_txn *t = db_txn_new(p->config.db, "older certificate authorities");
    db_txn_fence(t);
    /* An eject may begin another generation while this is on its way: that must not be written over. */
    db_txn_expect(t, CLASS_pool, &pool->uuid, FIELD_pool_ca_certificates,
                  value_copy(row_value(pool, FIELD_pool_ca_certificates)));
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_ca_certificates, value_string(authorities));
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_retired_ca_certificates, value_string(kept));
    p->authority_writing = true;
    log_notice("%s", all ? "every host has a certificate of the newest authority; older ones are trusted no longer"
                         : "every host that is alive has a certificate of the newest authority; older ones are taken "
                           "only from hosts that come back");
    db_txn_commit(t, WRITE_DEADLINE_MS, on_settled, p);
}

/* ---- a host: its own certificate ---- */
static void asked_end(struct pool *p, const struct error *error, const char *what) {
    p->sign_asked = false;
    p->sign_after_ms = loop_now_ms(p->config.loop) + (error ? RETRY_MS : 0);
    if (error) {
        struct error *e = error_dup(error);
        log_info("%s: %s; tried again", what, error_text(e));
        error_free(e);
    }
}

static void on_confirmed(const struct value *result, const struct error *error, void *userdata) {
    asked_end(userdata, error, "the new certificate could not be confirmed");
}

static void on_certificate(const struct value *result, const struct error *error, void *userdata) {
    struct pool *p = userdata;
    asked_end(p, error, "no new certificate was given");
    if (error || p->going_down)
        return;
    const char *certificate = value_map_str(result, "certificate"), *authorities = value_map_str(result, "authorities"),
               *retired = value_map_str(result, "retired");
    if (!certificate || !authorities || !retired || strlen(authorities) > PKI_MAX_PEM) {
        log_warn("the coordinator's answer to a request for a certificate is not sound; asked again");
        p->sign_after_ms = loop_now_ms(p->config.loop) + RETRY_MS;
    } else if (install(p, certificate, authorities, retired)) {
        log_notice("this host has a certificate of the pool's newest authority");
        p->sign_wanted = false;
        pool_authority_tick(p);
    }
}

void pool_authority_told(struct pool *p, const char *newest) {
    char known[PKI_FINGERPRINT_SIZE] = "";
    _cleanup_buf_ struct buf here = BUF_INIT;
    _cleanup_strv_ struct strv roots = {0}, crosses = {0};
    if (fs_read(p->ca_path, PKI_MAX_PEM, &here) == 0) {
        pool_authority_newest(buf_str(&here), known);
        pki_bundle_split(buf_str(&here), &roots, &crosses);
    }
    /* The authority may have come with the rows and its certificate not, when the database was lost in between. */
    p->sign_wanted =
        newest && newest[0] && (!str_eq(newest, known) || !is_signed_by(p->certificate, newest_of(&roots)));
}

static void on_newest(const struct value *result, const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->sign_asked = false;
    p->sign_after_ms = loop_now_ms(p->config.loop) + RETRY_MS;
    if (error || result->type != VALUE_STRING)
        return;
    pool_authority_told(p, value_str(result));
    if (p->sign_wanted)
        p->sign_after_ms = 0;
}

/* The authority in the rows is one that was the newest before the one that this host knows: they lag behind. */
static bool are_rows_behind(const struct pool *p, const char *newest) {
    char here[PKI_FINGERPRINT_SIZE], there[PKI_FINGERPRINT_SIZE];
    _cleanup_buf_ struct buf strict = BUF_INIT, all = BUF_INIT;
    if (fs_read(p->ca_path, PKI_MAX_PEM, &strict) < 0 || fs_read(p->all_path, 2 * PKI_MAX_PEM, &all) < 0)
        return false;
    pool_authority_newest(buf_str(&strict), here);
    pool_authority_newest(newest, there);
    return !str_eq(here, there) && strstr(buf_str(&all), newest);
}

/* Trust follows the rows, as long as this host's own certificate is trusted by it. */
static void follow(struct pool *p, const struct row *pool) {
    const char *authorities = row_str(pool, FIELD_pool_ca_certificates),
               *retired = row_str(pool, FIELD_pool_retired_ca_certificates);
    _cleanup_buf_ struct buf strict = BUF_INIT, all = BUF_INIT;
    _cleanup_free_ char *wanted = strf("%s%s", authorities, retired);
    if (!authorities[0] || fs_read(p->ca_path, PKI_MAX_PEM, &strict) < 0 ||
        fs_read(p->all_path, 2 * PKI_MAX_PEM, &all) < 0 ||
        (str_eq(buf_str(&strict), authorities) && str_eq(buf_str(&all), wanted)))
        return;
    if (is_signed_by(p->certificate, authorities))
        (void)!install(p, p->certificate, authorities, retired);
}

static void ask_certificate(struct pool *p, const struct uuid *leader) {
    _cleanup_error_ struct error *e = NULL;
    _cleanup_free_ char *csr = pki_csr(p->key_path, &p->identity.host, &e);
    struct value args = value_map();
    value_map_add(&args, "csr", value_string(csr ? csr : ""));
    p->sign_asked = true;
    pool_channel_call(p->channel, leader, "cert_sign", args, CALL_MS, on_certificate, p);
}

static void confirm(struct pool *p, const struct uuid *leader) {
    struct value args = value_map();
    value_map_add(&args, "certificate", value_string(p->certificate));
    p->sign_asked = true;
    pool_channel_call(p->channel, leader, "cert_installed", args, CALL_MS, on_confirmed, p);
}

void pool_authority_tick(struct pool *p) {
    const struct row *pool = db_pool(p->config.db), *own = pool_own_row(p);
    if (!p->channel || p->going_down || !p->certificate)
        return;
    pool_authority_key_tick(p);
    bool fresh = db_get_status(p->config.db).in_step; /* else the rows may be of the past */
    if (pool && fresh && !p->sign_wanted)
        follow(p, pool);
    if (pool && pool_is_coordinator(p) && states_is_ready(&p->sm))
        settle(p, pool);
    const struct uuid *leader = pool_leader(p);
    if (p->sign_asked || loop_now_ms(p->config.loop) < p->sign_after_ms ||
        (!pool_is_coordinator(p) && !pool_channel_is_connected(p->channel, leader)))
        return;
    /* A host that was away may have no rows: the database lets it in only with the certificate that it asks for here.
     */
    if (p->sign_wanted) {
        ask_certificate(p, leader);
        return;
    }
    /* Without the database no rows tell of a new authority, and that it is new may be why the database is not there. */
    if (!fresh && !pool_is_coordinator(p)) {
        p->sign_asked = true;
        pool_channel_call(p->channel, leader, "cert_newest", value_map(), CALL_MS, on_newest, p);
        return;
    }
    _cleanup_strv_ struct strv roots = {0}, crosses = {0};
    if (pool && own && fresh)
        pki_bundle_split(row_str(pool, FIELD_pool_ca_certificates), &roots, &crosses);
    if (!roots.n || are_rows_behind(p, newest_of(&roots)))
        return;
    /* One that names an address which this host had before is refused by those who check names. */
    bool old_address = str_eq(row_str(own, FIELD_host_address), p->facts.address) &&
                       !pki_certificate_has_address(p->certificate, p->facts.address);
    if (old_address || !is_signed_by(p->certificate, newest_of(&roots)))
        ask_certificate(p, leader);
    else if (!str_eq(p->certificate, row_str(own, FIELD_host_certificate)))
        confirm(p, leader);
}

/* ---- what the coordinator is asked ---- */
static const struct row *asking_host(struct pool *p, const struct uuid *from, struct error **errp) {
    const struct row *host = db_get(p->config.db, CLASS_host, from);
    char text[UUID_TEXT_SIZE];
    if (!pool_is_coordinator(p)) {
        error_set(errp, ERR_HOST_IS_SLAVE, pool_coordinator_address(p), NULL);
        return NULL;
    }
    if (!host)
        error_set(errp, ERR_HOST_UNKNOWN_TO_MASTER, uuid_text(from, text), NULL);
    return host;
}

static void serve_sign(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    const struct row *host = asking_host(p, from, &e), *pool = db_pool(p->config.db);
    const char *csr = value_map_str(args, "csr");
    _cleanup_(pki_ca_freep) struct pki_ca *ca = host ? pool_open_ca(p, &e) : NULL;
    _cleanup_strv_ struct strv addresses = {0};
    _cleanup_free_ char *certificate = NULL;
    if (ca && !(csr && pki_csr_matches(csr, row_str(host, FIELD_host_certificate))))
        error_set(&e, ERR_POOL_CALL_FAILED, "cert_sign", "the request is not for the key that the pool knows", NULL);
    if (ca && !e) {
        strv_add(&addresses, row_str(host, FIELD_host_address));
        certificate = pki_ca_sign(ca, csr, from, &addresses, &e);
    }
    if (!certificate) {
        pool_reply_fail(reply, e);
        return;
    }
    struct value answer = value_map();
    value_map_add(&answer, "certificate", value_string(certificate));
    value_map_add(&answer, "authorities", value_string(row_str(pool, FIELD_pool_ca_certificates)));
    value_map_add(&answer, "retired", value_string(row_str(pool, FIELD_pool_retired_ca_certificates)));
    pool_reply_return(reply, answer);
}

static void serve_newest(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    char newest[PKI_FINGERPRINT_SIZE];
    const struct row *host = asking_host(p, from, &e), *pool = db_pool(p->config.db);
    if (!host) {
        pool_reply_fail(reply, e);
        return;
    }
    pool_authority_newest(pool ? row_str(pool, FIELD_pool_ca_certificates) : "", newest);
    pool_reply_return(reply, value_string(newest));
}

static void on_noted(struct error *error, void *userdata) {
    if (error)
        pool_reply_fail(userdata, error_dup(error));
    else
        pool_reply_return(userdata, value_bool(true));
}

static bool is_of_host(const char *certificate, const struct row *host, const char *authority) {
    struct pki_info now, known;
    struct error *ignored = NULL;
    bool ok = certificate && is_signed_by(certificate, authority) &&
              pki_certificate_info(certificate, &now, &ignored) &&
              pki_certificate_info(row_str(host, FIELD_host_certificate), &known, &ignored) &&
              str_eq(now.key_fingerprint, known.key_fingerprint) && now.has_host && uuid_eq(&now.host, &host->uuid);
    error_free(ignored);
    return ok;
}

static void serve_installed(const struct uuid *from, const struct value *args, struct pool_reply *reply,
                            void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    const struct row *host = asking_host(p, from, &e), *pool = db_pool(p->config.db);
    const char *certificate = value_map_str(args, "certificate");
    _cleanup_strv_ struct strv roots = {0}, crosses = {0};
    if (host)
        pki_bundle_split(row_str(pool, FIELD_pool_ca_certificates), &roots, &crosses);
    if (host && !is_of_host(certificate, host, newest_of(&roots)))
        error_set(&e, ERR_POOL_CALL_FAILED, "cert_installed", "the certificate is not one that this pool gave", NULL);
    if (e) {
        pool_reply_fail(reply, e);
        return;
    }
    struct db_txn *t = db_txn_new(p->config.db, "a host's new certificate");
    db_txn_fence(t);
    db_txn_set(t, CLASS_host, from, FIELD_host_certificate, value_string(certificate));
    db_txn_commit(t, WRITE_DEADLINE_MS, on_noted, reply);
}

void pool_authority_init(struct pool *p) {
    pool_authority_key_init(p);
    pool_channel_serve(p->channel, "cert_sign", serve_sign, p);
    pool_channel_serve(p->channel, "cert_newest", serve_newest, p);
    pool_channel_serve(p->channel, "cert_installed", serve_installed, p);
}
