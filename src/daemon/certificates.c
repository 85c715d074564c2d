/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/certificates.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "daemon/expiry_core.h"
#include "pool/pki_shown.h"

#define LOG_MODULE "daemon"
#include "base/log.h"

#define LOOK_MS 10000
#define WRITE_MS 15000
#define MAX_ROWS 1024 /* a row that nobody can explain does not make this loop for ever */

struct certificates {
    struct certificates_config config;
    char *shown_path, *internal_path;
    struct loop_source *timer;
    bool is_writing;
};

/* ---- rows of this host ---- */

struct wanted {
    const char *type; /* as the row has it */
    char *pem;        /* NULL: not known */
    struct pki_info info;
    struct uuid row; /* null: there is none yet */
};

/* The first certificate of a file, without what else is in it (a key). NULL when there is none. */
static char *read_certificate(const char *path) {
    static const char end[] = "-----END CERTIFICATE-----\n";
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, 4 * PKI_MAX_PEM, &text) < 0)
        return NULL;
    const char *begin = strstr(buf_str(&text), "-----BEGIN CERTIFICATE-----"),
               *stop = begin ? strstr(begin, end) : NULL;
    char *pem = stop ? xstrndup(begin, (size_t)(stop - begin) + strlen(end)) : NULL;
    explicit_bzero(text.data, text.size);
    return pem;
}

static bool read_wanted(const char *path, struct wanted *w) {
    _cleanup_error_ struct error *e = NULL;
    w->pem = read_certificate(path);
    return w->pem && pki_certificate_info(w->pem, &w->info, &e);
}

static bool is_same(const struct row *r, const struct wanted *w) {
    return str_eq(row_str(r, FIELD_Certificate_type), w->type) &&
           str_eq(row_str(r, FIELD_Certificate_fingerprint_sha256), w->info.fingerprint);
}

static void insert_row(struct db_txn *t, const struct uuid *host, const struct wanted *w) {
    struct uuid u = db_txn_insert(t, CLASS_Certificate, /* uuid= */ NULL);
    char sha1[41] = "";
    (void)pki_certificate_sha1(w->pem, sha1);
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_type, value_string(w->type));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_host, value_ref(host));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_not_before, value_time(w->info.not_before));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_not_after, value_time(w->info.not_after));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_fingerprint, value_string(w->info.fingerprint));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_fingerprint_sha256, value_string(w->info.fingerprint));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_fingerprint_sha1, value_string(sha1));
}

static void on_written(struct error *error, void *userdata) {
    struct certificates *c = userdata;
    c->is_writing = false;
    if (error)
        log_info("the certificates of this host are not in its pool's rows yet: %s", error_text(error));
}

static void write_rows(struct certificates *c) {
    struct db *d = c->config.db;
    const struct row *own = db_get(d, CLASS_host, &c->config.self);
    struct wanted wanted[] = {{.type = "host_internal"}, {.type = "host"}};
    bool has_shown = fs_exists(c->shown_path);
    if (!own || c->is_writing || !c->config.is_ready(c->config.userdata) || !db_get_status(d).has_quorum)
        return;
    struct db_txn *t = db_txn_new(d, "certificates of a host");
    if (read_wanted(c->internal_path, &wanted[0]) &&
        read_wanted(has_shown ? c->shown_path : c->internal_path, &wanted[1])) {
        unsigned n = 0;
        for (const struct row *r = db_first(d, CLASS_Certificate); r && n < MAX_ROWS; r = db_next(d, r), n++) {
            if (!uuid_eq(row_ref(r, FIELD_Certificate_host), &c->config.self))
                continue;
            struct wanted *w = NULL;
            for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
                if (uuid_is_null(&wanted[i].row) && is_same(r, &wanted[i]))
                    w = &wanted[i];
            if (w)
                w->row = r->uuid;
            else
                db_txn_delete(t, CLASS_Certificate, &r->uuid);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
            if (uuid_is_null(&wanted[i].row))
                insert_row(t, &c->config.self, &wanted[i]);
        const char *shown = has_shown ? wanted[1].pem : "";
        if (!str_eq(row_str(own, FIELD_host_shown_certificate), shown))
            db_txn_set(t, CLASS_host, &c->config.self, FIELD_host_shown_certificate, value_string(shown));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        free(wanted[i].pem);
    if (db_txn_is_empty(t)) {
        db_txn_abandon(t);
        return;
    }
    c->is_writing = true;
    db_txn_commit(t, WRITE_MS, on_written, c);
}

/* ---- what ends soon ---- */

static int64_t now_s(const struct certificates *c) {
    return loop_wall_ms(c->config.loop) / 1000;
}

static int64_t ends_at(const struct row *certificate) {
    return row_value(certificate, FIELD_Certificate_not_after)->time; /* seconds */
}

static bool what_of(const struct row *certificate, enum expiry_what *ret) {
    const char *type = row_str(certificate, FIELD_Certificate_type);
    *ret = str_eq(type, "host_internal") ? EXPIRY_HOST_INTERNAL : EXPIRY_HOST;
    return str_eq(type, "host") || str_eq(type, "host_internal");
}

static const struct row *find_message(struct db *d, const char *name, const char *about) {
    for (const struct row *m = db_first(d, CLASS_message); m; m = db_next(d, m))
        if (str_eq(row_str(m, FIELD_message_name), name) && str_eq(row_str(m, FIELD_message_obj_uuid), about))
            return m;
    return NULL;
}

static void tell(struct certificates *c, enum expiry_what what, enum expiry_stage stage, int64_t not_after,
                 const struct uuid *about, const char *host) {
    char uuid[UUID_TEXT_SIZE];
    const char *name = expiry_message_name(what, stage);
    uuid_text(about, uuid);
    if (!name || find_message(c->config.db, name, uuid))
        return;
    _cleanup_free_ char *text = expiry_message_text(what, stage, host, not_after);
    message_raise(c->config.api, name, expiry_message_priority(stage), what == EXPIRY_AUTHORITY ? "Pool" : "Host", uuid,
                  text, /* done= */ NULL, NULL);
}

/* A certificate of the authority that is the newest, which signs for all. */
static bool authority_end(struct certificates *c, int64_t *ret_not_after) {
    const struct row *pool = db_pool(c->config.db);
    struct pki_info info;
    _cleanup_error_ struct error *e = NULL;
    if (!pool || !*row_str(pool, FIELD_pool_ca_certificates) ||
        !pki_certificate_info(row_str(pool, FIELD_pool_ca_certificates), &info, &e))
        return false;
    *ret_not_after = info.not_after;
    return true;
}

/* The stage that a message is about still holds for some certificate of that object. */
static bool still_holds(struct certificates *c, const struct row *m, enum expiry_what what) {
    struct db *d = c->config.db;
    const char *name = row_str(m, FIELD_message_name);
    struct uuid about;
    int64_t not_after;
    if (!uuid_parse(row_str(m, FIELD_message_obj_uuid), &about))
        return false;
    if (what == EXPIRY_AUTHORITY)
        return authority_end(c, &not_after) &&
               str_eq(str_or_empty(expiry_message_name(what, expiry_stage_of(not_after, now_s(c)))), name);
    for (const struct row *r = db_first(d, CLASS_Certificate); r; r = db_next(d, r)) {
        enum expiry_what is;
        if (what_of(r, &is) && is == what && uuid_eq(row_ref(r, FIELD_Certificate_host), &about) &&
            str_eq(str_or_empty(expiry_message_name(what, expiry_stage_of(ends_at(r), now_s(c)))), name))
            return true;
    }
    return false;
}

static void look_at_ends(struct certificates *c) {
    struct db *d = c->config.db;
    enum expiry_what what;
    int64_t not_after;
    if (!c->config.is_coordinator(c->config.userdata) || !db_get_status(d).has_quorum)
        return;
    for (const struct row *m = db_first(d, CLASS_message); m; m = db_next(d, m))
        if (expiry_is_message(row_str(m, FIELD_message_name), &what) && !still_holds(c, m, what))
            message_withdraw(c->config.api, row_str(m, FIELD_message_name), row_str(m, FIELD_message_obj_uuid));
    for (const struct row *r = db_first(d, CLASS_Certificate); r; r = db_next(d, r)) {
        const struct row *h = db_follow(d, r, FIELD_Certificate_host);
        if (!h || !what_of(r, &what))
            continue;
        /* The pool's own certificate is told once, not also as the one that is shown. */
        if (what == EXPIRY_HOST && !*row_str(h, FIELD_host_shown_certificate))
            continue;
        not_after = ends_at(r);
        tell(c, what, expiry_stage_of(not_after, now_s(c)), not_after, &h->uuid, row_str(h, FIELD_host_name_label));
    }
    const struct row *pool = db_pool(d);
    if (pool && authority_end(c, &not_after))
        tell(c, EXPIRY_AUTHORITY, expiry_stage_of(not_after, now_s(c)), not_after, &pool->uuid, /* host= */ NULL);
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct certificates *c = userdata;
    loop_timer_set(s, LOOK_MS);
    write_rows(c);
    look_at_ends(c);
}

/* ---- the one that is shown ---- */

static bool put_back(struct certificates *c, const struct buf *before, bool was_there) {
    int r = was_there ? fs_write_atomic(c->shown_path, before->data, before->size, 0600) : fs_unlink(c->shown_path);
    struct error *e = NULL;
    bool ok = r == 0 && c->config.reload(c->config.userdata, &e);
    error_free(e);
    return ok;
}

/* `bundle` NULL: none. What cannot be served does not stay. */
static bool replace(struct certificates *c, const char *bundle, struct error **errp) {
    _cleanup_buf_ struct buf before = BUF_INIT;
    bool was_there = fs_read(c->shown_path, 8 * PKI_MAX_PEM, &before) == 0;
    int r = bundle ? fs_write_atomic(c->shown_path, bundle, strlen(bundle), 0600) : fs_unlink(c->shown_path);
    bool ok = r == 0;
    if (r < 0)
        error_errno(errp, r, "writing '%s'", c->shown_path);
    else if (!c->config.reload(c->config.userdata, errp)) {
        ok = false;
        if (!put_back(c, &before, was_there))
            log_err("what this host showed before cannot be put back; it shows the pool's certificate");
    }
    if (before.data)
        explicit_bzero(before.data, before.size);
    if (ok)
        certificates_look(c);
    return ok;
}

bool certificates_install(struct certificates *c, const char *certificate, const char *key, const char *chain,
                          struct error **errp) {
    char *bundle = NULL;
    if (!pki_shown_check(certificate, key, chain, now_s(c), &bundle, errp))
        return false;
    bool ok = replace(c, bundle, errp);
    explicit_bzero(bundle, strlen(bundle));
    free(bundle);
    if (ok)
        log_notice("clients are shown a certificate that was installed, not the pool's");
    return ok;
}

bool certificates_reset(struct certificates *c, struct error **errp) {
    if (!fs_exists(c->shown_path))
        return true;
    bool ok = replace(c, /* bundle= */ NULL, errp);
    if (ok)
        log_notice("clients are shown the pool's certificate again");
    return ok;
}

/* ---- begin and end ---- */

struct certificates *certificates_new(const struct certificates_config *config) {
    struct certificates *c = xnew0(struct certificates);
    c->config = *config;
    c->config.state_dir = NULL;
    c->shown_path = strf("%s/pki/shown.pem", config->state_dir);
    c->internal_path = strf("%s/pki/host.pem", config->state_dir);
    c->timer = loop_add_timer(config->loop, LOOK_MS, on_timer, c);
    return c;
}

void certificates_free(struct certificates *c) {
    if (!c)
        return;
    loop_source_free(c->timer);
    free(c->shown_path);
    free(c->internal_path);
    free(c);
}

void certificates_look(struct certificates *c) {
    if (c)
        loop_timer_set(c->timer, 0);
}
