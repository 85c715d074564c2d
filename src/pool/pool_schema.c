/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema of the pool database against the one of this version. An older one is converted by the coordinator, on
 * line; a newer one that only adds is followed; one that differs more is not touched at all.
 */
#include "pool/pool_private.h"

#define LOG_MODULE "pool"
#include "base/log.h"
#include "model/model.h"

#define CONVERT_RETRY_MS 5000

static void set_text(struct pool *p, char *text /* taken */) {
    if (!str_eq(str_or_empty(p->schema_text), text))
        log_warn("%s", text);
    free(p->schema_text);
    p->schema_text = text;
    loop_timer_set(p->state_timer, 0);
}

static void follow(struct pool *p) {
    if (!p->db_started)
        db_sync_start(p->config.db, db_server_socket(p->dbserver));
    p->db_started = true;
}

static void on_converted(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->convert_after_ms = loop_now_ms(p->config.loop) + CONVERT_RETRY_MS;
    p->schema_known = false;
    if (error) {
        struct error *e = error_dup(error);
        log_warn("%s; tried again", error_text(e));
        error_free(e);
        return;
    }
    log_notice("the pool database has schema %s now", model_schema_version);
    free(TAKE(p->schema_text));
}

static void on_version(const char *version, void *userdata) {
    struct pool *p = userdata;
    p->schema_asking = false;
    if (!version) {
        follow(p); /* it may be joining its cluster; asked again */
        return;
    }
    p->schema_known = true;
    switch (db_schema_compare(version)) {
    case DB_SCHEMA_SAME:
    case DB_SCHEMA_NEWER:
        free(TAKE(p->schema_text));
        follow(p);
        return;
    case DB_SCHEMA_OLDER:
        set_text(p,
                 strf("the pool database has schema %s, older than %s of this version; the coordinator converts it as "
                      "soon as it has this version too",
                      version, model_schema_version));
        follow(p);
        return;
    case DB_SCHEMA_FOREIGN:
        set_text(p,
                 strf("the pool database has schema %s, which this version (%s) does not know; nothing is read from it "
                      "or written to it; install the version of Muster that this pool had",
                      version, model_schema_version));
        db_sync_refuse(p->config.db, p->schema_text);
        p->db_started = false;
        return;
    }
}

void pool_schema_look(struct pool *p) {
    if (p->schema_asking)
        return;
    p->schema_asking = true;
    db_server_get_schema_version(p->dbserver, on_version, p);
}

void pool_schema_tick(struct pool *p) {
    if (!p->schema_known && p->db_started)
        pool_schema_look(p);
    if (p->schema_text && p->schema_known && p->db_started && uuid_eq(&p->identity.coordinator, &p->identity.host) &&
        p->identity.database == IDENTITY_DB_VOTER && db_get_status(p->config.db).has_quorum &&
        !db_server_is_busy(p->dbserver) && loop_now_ms(p->config.loop) >= p->convert_after_ms)
        db_server_convert(p->dbserver, on_converted, p);
}

const char *pool_schema_trouble(const struct pool *p) {
    return p->schema_text;
}
