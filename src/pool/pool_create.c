/* SPDX-License-Identifier: Apache-2.0 */
/* The start: keys and certificates, a pool of one where there was none, the database server as this host last had it.
 */
#include "pool/pool_private.h"

#include <string.h>

#include "base/fs.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define RETRY_MS 2000
#define WRITE_DEADLINE_MS 15000

static bool write_text(const char *path, const char *text, unsigned mode, struct error **errp) {
    int r = fs_write_atomic(path, text, strlen(text), mode);
    if (r < 0)
        error_errno(errp, r, "writing '%s'", path);
    return r >= 0;
}

/* What a server shows: cross certificates before authorities, since a peer takes the first issuer that fits. */
static char *make_chain(const char *certificate, const char *authorities) {
    _cleanup_strv_ struct strv roots = {0}, crosses = {0};
    _cleanup_buf_ struct buf chain = BUF_INIT;
    pki_bundle_split(authorities, &roots, &crosses);
    buf_add_str(&chain, certificate);
    for (size_t i = 0; i < crosses.n; i++)
        buf_add_str(&chain, crosses.items[i]);
    for (size_t i = 0; i < roots.n; i++)
        buf_add_str(&chain, roots.items[i]);
    return xstrdup(buf_str(&chain));
}

bool pool_write_certificates(struct pool *p, const char *certificate, const char *authorities, const char *retired,
                             struct error **errp) {
    _cleanup_free_ char *chain = make_chain(certificate, authorities), *all = strf("%s%s", authorities, retired);
    if (!pki_certificate_check(certificate, authorities, p->key_path, errp))
        return false;
    /* The widest trust first: a start in between finds a certificate that it can check. */
    if (!write_text(p->all_path, all, 0644, errp) || !write_text(p->cert_path, certificate, 0644, errp) ||
        !write_text(p->chain_path, chain, 0644, errp) || !write_text(p->ca_path, authorities, 0644, errp))
        return false;
    free(p->certificate);
    p->certificate = xstrdup(certificate);
    p->facts.certificate = p->certificate;
    return true;
}

struct pki_ca *pool_open_ca(struct pool *p, struct error **errp) {
    _cleanup_buf_ struct buf authorities = BUF_INIT, sealed = BUF_INIT;
    uint8_t keyfile[PKI_KEYFILE_SIZE];
    int r = fs_read(p->ca_path, PKI_MAX_PEM, &authorities);
    if (r == 0)
        r = fs_read(p->sealed_path, PKI_MAX_PEM, &sealed);
    if (r < 0) {
        error_errno(errp, r, "this host does not hold the key of the pool's certificate authority");
        return NULL;
    }
    if (!pki_keyfile_ensure(p->sealkey_path, keyfile, errp))
        return NULL;
    /*
     * The newest authority comes first in the bundle. Its key may still lie beside the older one, when the power went
     * between the commit of a new authority and this.
     */
    _cleanup_free_ char *next = strf("%s.next", p->sealed_path);
    _cleanup_buf_ struct buf younger = BUF_INIT;
    struct error *ignored = NULL;
    struct pki_ca *ca = fs_read(next, PKI_MAX_PEM, &younger) == 0
                            ? pki_ca_unseal(buf_str(&authorities), buf_str(&younger), keyfile, &ignored)
                            : NULL;
    error_free(ignored);
    if (ca) {
        r = fs_rename(next, p->sealed_path);
        if (r < 0)
            log_warn("'%s' could not be renamed: %s", next, strerror(-r));
        return ca;
    }
    return pki_ca_unseal(buf_str(&authorities), buf_str(&sealed), keyfile, errp);
}

/* A certificate authority of its own, for the pool that this host is about to be. */
static bool make_authority(struct pool *p, struct error **errp) {
    uint8_t keyfile[PKI_KEYFILE_SIZE];
    _cleanup_(pki_ca_freep) struct pki_ca *ca = pki_ca_new(&p->identity.pool, 1, errp);
    if (!ca || !pki_keyfile_ensure(p->sealkey_path, keyfile, errp))
        return false;
    _cleanup_free_ char *sealed = pki_ca_seal(ca, keyfile, errp), *authority = pki_ca_certificate(ca),
                        *csr = pki_csr(p->key_path, &p->identity.host, errp);
    if (!sealed || !csr)
        return false;
    _cleanup_strv_ struct strv addresses = {0};
    strv_add(&addresses, p->facts.address);
    _cleanup_free_ char *certificate = pki_ca_sign(ca, csr, &p->identity.host, &addresses, errp);
    return certificate && write_text(p->sealed_path, sealed, 0600, errp) &&
           pool_write_certificates(p, certificate, authority, "", errp);
}

/* A pool of this host alone. Written in this order, a start that is cut short anywhere begins again. */
static bool found_pool(struct pool *p, struct error **errp) {
    p->identity.pool = uuid_random();
    if (!make_authority(p, errp))
        return false;
    p->identity.coordinator = p->identity.host;
    p->identity.n_hosts = 1;
    p->identity.hosts[0] = (struct identity_host){.host = p->identity.host, .voter = true};
    str_copy(p->identity.hosts[0].address, sizeof(p->identity.hosts[0].address), p->facts.address);
    p->identity.database = IDENTITY_DB_VOTER;
    return identity_save(p->state_dir, &p->identity, errp);
}

bool pool_certificates_load(struct pool *p, struct error **errp) {
    int r = fs_mkdirs(p->pki_dir, 0700);
    if (r < 0) {
        error_errno(errp, r, "making '%s'", p->pki_dir);
        return false;
    }
    if (!pki_key_ensure(p->key_path, errp))
        return false;
    if (uuid_is_null(&p->identity.pool)) {
        if (found_pool(p, errp))
            return true;
        p->identity.pool = (struct uuid){{0}};
        return false;
    }
    _cleanup_buf_ struct buf certificate = BUF_INIT, authorities = BUF_INIT;
    r = fs_read(p->cert_path, PKI_MAX_PEM, &certificate);
    if (r == 0)
        r = fs_read(p->all_path, PKI_MAX_PEM, &authorities);
    if (r < 0) {
        error_errno(errp, r, "reading this host's certificate in '%s'", p->pki_dir);
        return false;
    }
    if (!pki_certificate_check(buf_str(&certificate), buf_str(&authorities), p->key_path, errp))
        return false;
    p->certificate = xstrdup(buf_str(&certificate));
    p->facts.certificate = p->certificate;
    return true;
}

/* ---- the database server ---- */
static void on_started(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    if (error) {
        struct error *e = error_dup(error);
        log_err("the pool database server does not start: %s; trying again", error_text(e));
        error_free(e);
        loop_timer_set(p->start_timer, RETRY_MS);
        return;
    }
    pool_schema_look(p);
}

static void on_created(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    if (error)
        on_started(error, p);
    else
        db_server_start_voter(p->dbserver, on_started, p);
}

static void on_start_timer(struct loop_source *s, void *userdata) {
    pool_begin(userdata);
}

/* Who votes: as the rows say, and as the coordinator said; without any, one of the others must. */
static struct strv relay_voters(const struct pool *p) {
    struct strv v = pool_voter_addresses(p, /* without_self= */ true);
    for (size_t i = 0; i < p->told_voters.n; i++)
        if (!strv_has(&v, p->told_voters.items[i]) && !str_eq(p->told_voters.items[i], p->facts.address))
            strv_add(&v, p->told_voters.items[i]);
    for (unsigned i = 0; !v.n && i < p->identity.n_hosts; i++)
        if (!uuid_eq(&p->identity.hosts[i].host, &p->identity.host))
            strv_add(&v, p->identity.hosts[i].address);
    return v;
}

char *pool_relay_voters(const struct pool *p) {
    _cleanup_strv_ struct strv v = relay_voters(p);
    return strv_join(&v, ", ");
}

void pool_start_relay(struct pool *p, const struct strv *voters, db_server_done_fn *done, void *userdata) {
    free(p->relay_voters);
    p->relay_voters = strv_join(voters, ", ");
    db_server_start_relay(p->dbserver, voters, done, userdata);
}

void pool_begin(struct pool *p) {
    if (!p->start_timer)
        p->start_timer = loop_add_timer(p->config.loop, LOOP_NEVER, on_start_timer, p);
    if (db_server_is_busy(p->dbserver)) {
        loop_timer_set(p->start_timer, RETRY_MS);
        return;
    }
    _cleanup_strv_ struct strv others = relay_voters(p);
    bool alone = p->identity.n_hosts <= 1;
    /*
     * The file says whether this host votes: what is written beside it may be one step behind, when the power went or
     * the disk was full. A vote that the cluster counts must be cast; one that it does not count is set aside later.
     */
    enum identity_database has = db_server_has_file(p->dbserver) ? IDENTITY_DB_VOTER : IDENTITY_DB_NONE;
    if (!alone && p->identity.database != has) {
        p->identity.database = has;
        pool_save(p);
    }
    if (p->identity.database == IDENTITY_DB_VOTER) {
        db_server_create(p->dbserver, p->facts.address, on_created, p); /* keeps a file that is there */
    } else if (others.n) {
        pool_start_relay(p, &others, on_started, p);
    } else {
        log_err("this host has no copy of the pool database and knows no host that has one; run: xe "
                "pool-emergency-reset-master master-address=ADDRESS");
        loop_timer_set(p->start_timer, 10 * RETRY_MS);
    }
}

/* ---- the first rows ---- */
static void on_first(struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->inserting = false;
    if (error) {
        log_warn("the first rows of the pool could not be written yet: %s", error_text(error));
        pool_role_changed(p);
    } else {
        log_notice("this host is a pool of one now");
    }
}

void pool_insert_first(struct pool *p) {
    struct db_status status = db_get_status(p->config.db);
    if (p->inserting || db_pool(p->config.db) || !status.loaded || !status.has_quorum || p->identity.n_hosts != 1 ||
        !uuid_eq(&p->identity.coordinator, &p->identity.host))
        return;
    _cleanup_buf_ struct buf authorities = BUF_INIT;
    if (fs_read(p->ca_path, PKI_MAX_PEM, &authorities) < 0)
        return;
    struct db_txn *t = db_txn_new(p->config.db, "first rows of the pool");
    p->inserting = true;
    rows_first(t, &p->identity.pool, &p->facts, buf_str(&authorities));
    db_txn_set(t, CLASS_host, &p->identity.host, FIELD_host_db_role, value_string("voter"));
    db_txn_set(t, CLASS_host, &p->identity.host, FIELD_host_db_address, value_string(p->facts.address));
    db_txn_commit(t, WRITE_DEADLINE_MS, on_first, p);
}
