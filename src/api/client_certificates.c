/* SPDX-License-Identifier: Apache-2.0 */
#include "api/client_certificates.h"

#include "api/call_private.h"
#include "base/str.h"

#define LOG_MODULE "audit"
#include "base/log.h"

struct client_certificates {
    struct api *api;
    struct tls_trust *trust; /* NULL: to be made anew from the rows */
    struct db_watch *authorities, *pool;
    bool is_enabled;
    char *name;
    struct value revoked; /* as the row has it */
};

static bool came_by_certificate(struct session *s, void *userdata) {
    return s->is_certificate;
}

static void forget(struct client_certificates *c) {
    tls_trust_free(TAKE(c->trust));
    sessions_close_if(c->api->sessions, came_by_certificate, NULL);
}

static void on_authority(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    if (str_eq(row_str(r, FIELD_Certificate_type), "ca"))
        forget(userdata);
}

/* The row is touched for other reasons, too. */
static void on_pool(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct client_certificates *c = userdata;
    bool is_enabled = event != DB_DELETED && row_bool(r, FIELD_pool_client_certificate_auth_enabled);
    const char *name = is_enabled ? row_str(r, FIELD_pool_client_certificate_auth_name) : "";
    const struct value *revoked = row_value(r, FIELD_pool_revocation_lists);
    if (is_enabled == c->is_enabled && str_eq(name, c->name) && value_equal(revoked, &c->revoked))
        return;
    c->is_enabled = is_enabled;
    free(c->name);
    c->name = xstrdup(name);
    value_done(&c->revoked);
    c->revoked = value_copy(revoked);
    forget(c);
}

struct client_certificates *client_certificates_new(struct api *a) {
    struct client_certificates *c = xnew0(struct client_certificates);
    *c = (struct client_certificates){.api = a, .name = xstrdup(""), .revoked = value_map()};
    c->authorities = db_watch_add(api_db(a), CLASS_Certificate, on_authority, c);
    c->pool = db_watch_add(api_db(a), CLASS_pool, on_pool, c);
    const struct row *pool = db_pool(api_db(a));
    if (pool)
        on_pool(api_db(a), DB_ADDED, pool, c);
    return c;
}

void client_certificates_free(struct client_certificates *c) {
    if (!c)
        return;
    db_watch_free(c->authorities);
    db_watch_free(c->pool);
    tls_trust_free(c->trust);
    value_done(&c->revoked);
    free(c->name);
    free(c);
}

const char *client_certificates_name(const struct client_certificates *c) {
    return c->name;
}

/* What cannot be read was not checked by this version; it then counts as not there, which lets nobody in. A revocation
 * list that is not there would: nobody comes in until it is gone. */
static bool make_trust(struct client_certificates *c) {
    struct db *d = api_db(c->api);
    c->trust = tls_trust_new();
    bool ok = true;
    for (const struct row *r = db_first(d, CLASS_Certificate); r; r = db_next(d, r))
        if (str_eq(row_str(r, FIELD_Certificate_type), "ca") &&
            !tls_trust_add_authority(c->trust, row_str(r, FIELD_Certificate_pem)))
            log_warn("the authority '%s' cannot be read: what it has signed does not count",
                     row_str(r, FIELD_Certificate_name));
    for (size_t i = 0; i < c->revoked.map.n; i++) {
        if (tls_trust_add_revoked(c->trust, value_str(&c->revoked.map.pairs[i].value)))
            continue;
        log_err("the revocation list '%s' cannot be read: no client certificate counts until it is gone",
                c->revoked.map.pairs[i].key);
        ok = false;
    }
    if (!ok)
        tls_trust_free(TAKE(c->trust));
    return ok;
}

bool client_certificates_judge(struct client_certificates *c, struct http_request *req, int64_t *ret_ends) {
    const struct stream_peer *peer = http_get_peer(req);
    struct tls_vouched v;
    if (!c->is_enabled || !peer->is_tls || !peer->tls.has_certificate || (!c->trust && !make_trust(c)))
        return false;
    if (!http_is_trusted(req, c->trust, c->name, &v)) {
        log_info("a client certificate from '%s' does not count: %s", peer->address, v.why);
        return false;
    }
    *ret_ends = v.not_after;
    return true;
}
