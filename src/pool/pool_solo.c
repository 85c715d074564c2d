/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of two: neither host has a majority without the other, yet one of them should go on when the other loses its
 * power. The rows name the one that may (pool.solo_host, the coordinator). Which of two cut halves goes on is thereby
 * settled before they are cut: what was acknowledged is in both logs, and so is the name. The right changes hands in
 * two writes, old to none (with the change of the coordinator itself) to new, and is gone before a third host votes, so
 * no two logs ever name different hosts.
 */
#include "pool/pool_private.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define WRITE_DEADLINE_MS 15000
#define SOLO_AFTER_MS 6000 /* a database server that is started anew is back long before */

static const struct uuid none;

static void on_written(struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->voters_busy = false;
    if (error)
        log_warn("which host may go on alone could not be noted: %s; tried again", error_text(error));
}

bool pool_solo_settle(struct pool *p) {
    const struct row *pool = db_pool(p->config.db);
    unsigned n_hosts = 0;
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h))
        n_hosts++;
    bool one_of_two = n_hosts == 2 && p->cluster.n <= 2 && strv_has(&p->cluster, p->facts.address);
    const struct uuid *now = row_ref(pool, FIELD_pool_solo_host), *wanted = one_of_two ? &p->identity.host : &none;
    if (uuid_eq(now, wanted))
        return true;
    struct db_txn *t = db_txn_new(p->config.db, "which host may go on alone");
    db_txn_fence(t);
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_solo_host, value_ref(uuid_is_null(now) ? wanted : &none));
    p->voters_busy = true;
    db_txn_commit(t, WRITE_DEADLINE_MS, on_written, p);
    return false;
}

void pool_dissolved(struct pool *p) {
    p->identity.database = IDENTITY_DB_VOTER;
    for (unsigned i = 0; i < p->identity.n_hosts; i++)
        p->identity.hosts[i].voter = uuid_eq(&p->identity.hosts[i].host, &p->identity.host);
    pool_save(p);
}

static void on_dissolved(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->voters_busy = false;
    p->solo_since_ms = 0;
    if (error) {
        struct error *e = error_dup(error);
        log_warn("the pool database could not go on alone: %s; tried again", error_text(e));
        error_free(e);
        return;
    }
    log_notice("the pool database goes on with this host alone; the other host takes part again when it is back");
    pool_dissolved(p);
}

static void on_status(const struct db_server_status *status, void *userdata) {
    struct pool *p = userdata;
    if (!status || status->n_peers != 2 || status->has_leader || p->voters_busy || db_server_is_busy(p->dbserver) ||
        db_get_status(p->config.db).has_quorum)
        return;
    p->voters_busy = true;
    log_notice("the other voter of this pool of two does not answer, and this host is the one that may go on alone");
    db_server_dissolve(p->dbserver, p->facts.address, &p->identity.host, on_dissolved, p);
}

void pool_solo_tick(struct pool *p) {
    const struct row *pool = db_pool(p->config.db);
    uint64_t now = loop_now_ms(p->config.loop);
    /* A change of the coordinator that waits would be performed after all, by this host alone, for one that is gone. */
    bool may = pool && pool_is_coordinator(p) && !p->n_handovers && p->identity.database == IDENTITY_DB_VOTER &&
               !p->readdressing && uuid_eq(row_ref(pool, FIELD_pool_solo_host), &p->identity.host) &&
               !db_get_status(p->config.db).has_quorum && db_get_status(p->config.db).connected;
    if (!may)
        p->solo_since_ms = 0;
    else if (!p->solo_since_ms)
        p->solo_since_ms = now;
    else if (now - p->solo_since_ms >= SOLO_AFTER_MS && !p->voters_busy && !db_server_is_busy(p->dbserver))
        db_server_get_status(p->dbserver, on_status, p);
}
