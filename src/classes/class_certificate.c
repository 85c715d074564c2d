/* SPDX-License-Identifier: Apache-2.0 */
/* Class pool: authorities of client certificates, what they have revoked, and whether such certificates are asked for.
 */
#include <string.h>

#include "base/str.h"
#include "classes/class_calls.h"
#include "gen_handlers.h"
#include "wire/tls_trust.h"

#define MAX_NAME 64
#define MAX_AUTHORITIES 64
#define MAX_REVOCATION_LISTS 16
#define MAX_AUTH_NAME 253 /* of a DNS name */

/* They are names of files to clients that keep copies. */
static bool is_name(const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", text[i]))
            return false;
    return n >= 1 && n <= MAX_NAME && text[0] != '.' && text[0] != '-';
}

static void refuse_one_more(struct call *c, const char *what, unsigned max) {
    _cleanup_free_ char *text = strf("A pool keeps at most %u %s.", max, what);
    call_fail_code(c, ERR_OPERATION_NOT_ALLOWED, text, NULL);
}

/* ---- authorities ---- */

static bool is_authority(const struct row *r) {
    return str_eq(row_str(r, FIELD_Certificate_type), "ca");
}

static const struct row *find_authority(struct db *d, const char *name, unsigned *ret_n) {
    const struct row *found = NULL;
    *ret_n = 0;
    for (const struct row *r = db_first(d, CLASS_Certificate); r; r = db_next(d, r)) {
        if (!is_authority(r))
            continue;
        (*ret_n)++;
        if (str_eq(row_str(r, FIELD_Certificate_name), name))
            found = r;
    }
    return found;
}

static bool may_be_trusted(struct call *c, const char *name, const struct tls_authority *a) {
    switch (a->fault) {
    case TLS_AUTHORITY_GOOD:
        return true;
    case TLS_AUTHORITY_UNREADABLE:
        call_fail_code(c, ERR_CERTIFICATE_CORRUPT, name, NULL);
        return false;
    case TLS_AUTHORITY_NONE:
        call_fail_code(c, ERR_CA_CERTIFICATE_INVALID, NULL);
        return false;
    case TLS_AUTHORITY_EARLY:
        call_fail_code(c, ERR_CA_CERTIFICATE_NOT_VALID_YET, NULL);
        return false;
    case TLS_AUTHORITY_EXPIRED:
        break;
    }
    call_fail_code(c, ERR_CA_CERTIFICATE_EXPIRED, NULL);
    return false;
}

void pool_install_ca_certificate(struct call *c) {
    const char *name = call_arg_str(c, 0), *pem = call_arg_str(c, 1);
    struct tls_authority a = tls_authority_look(pem, loop_wall_ms(api_loop(call_api(c))) / 1000);
    unsigned n;
    if (!is_name(name)) {
        call_fail_code(c, ERR_CERTIFICATE_NAME_INVALID, name, NULL);
        return;
    }
    if (find_authority(call_db(c), name, &n)) {
        call_fail_code(c, ERR_CERTIFICATE_ALREADY_EXISTS, name, NULL);
        return;
    }
    if (n >= MAX_AUTHORITIES) {
        refuse_one_more(c, "authorities of client certificates", MAX_AUTHORITIES);
        return;
    }
    if (!may_be_trusted(c, name, &a))
        return;
    struct db_txn *t = db_txn_new(call_db(c), "an authority is trusted");
    struct uuid u = db_txn_insert(t, CLASS_Certificate, /* uuid= */ NULL);
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_type, value_string("ca"));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_name, value_string(name));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_not_before, value_time(a.not_before));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_not_after, value_time(a.not_after));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_fingerprint, value_string(a.fingerprint));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_fingerprint_sha256, value_string(a.fingerprint));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_fingerprint_sha1, value_string(a.sha1));
    db_txn_set(t, CLASS_Certificate, &u, FIELD_Certificate_pem, value_string(pem));
    call_commit(c, t, NULL, NULL);
}

static void uninstall(struct call *c, bool force) {
    unsigned n;
    const struct row *r = find_authority(call_db(c), call_arg_str(c, 0), &n);
    if (!r && force) {
        call_return_void(c);
        return;
    }
    if (!r) {
        call_fail_code(c, ERR_CERTIFICATE_DOES_NOT_EXIST, call_arg_str(c, 0), NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "an authority is trusted no longer");
    db_txn_delete(t, CLASS_Certificate, &r->uuid);
    call_commit(c, t, NULL, NULL);
}

void pool_uninstall_ca_certificate(struct call *c) {
    uninstall(c, call_arg_bool(c, 1));
}

void pool_certificate_install(struct call *c) {
    pool_install_ca_certificate(c);
}

void pool_certificate_uninstall(struct call *c) {
    uninstall(c, /* force= */ false);
}

void pool_certificate_list(struct call *c) {
    struct db *d = call_db(c);
    struct value names = value_set();
    for (const struct row *r = db_first(d, CLASS_Certificate); r; r = db_next(d, r))
        if (is_authority(r))
            value_set_add(&names, value_string(row_str(r, FIELD_Certificate_name)));
    call_return(c, names);
}

void pool_certificate_sync(struct call *c) {
    call_return_void(c);
}

/* ---- what they have revoked ---- */

static void write_lists(struct call *c, struct value lists /* taken */) {
    const struct row *pool = db_pool(call_db(c));
    struct db_txn *t = db_txn_new(call_db(c), "revocation lists");
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_revocation_lists, lists);
    call_commit(c, t, NULL, NULL);
}

static bool is_revocation_list(const char *pem) {
    struct tls_trust *t = tls_trust_new();
    bool ok = tls_trust_add_revoked(t, pem);
    tls_trust_free(t);
    return ok;
}

void pool_crl_install(struct call *c) {
    const struct value *lists = row_value(db_pool(call_db(c)), FIELD_pool_revocation_lists);
    const char *name = call_arg_str(c, 0), *pem = call_arg_str(c, 1);
    if (!is_name(name)) {
        call_fail_code(c, ERR_CRL_NAME_INVALID, name, NULL);
    } else if (value_map_get(lists, name)) {
        call_fail_code(c, ERR_CRL_ALREADY_EXISTS, name, NULL);
    } else if (lists->map.n >= MAX_REVOCATION_LISTS) {
        refuse_one_more(c, "revocation lists", MAX_REVOCATION_LISTS);
    } else if (!is_revocation_list(pem)) {
        call_fail_code(c, ERR_CRL_CORRUPT, name, NULL);
    } else {
        struct value more = value_copy(lists);
        value_map_add(&more, name, value_string(pem));
        write_lists(c, more);
    }
}

void pool_crl_uninstall(struct call *c) {
    struct value lists = value_copy(row_value(db_pool(call_db(c)), FIELD_pool_revocation_lists));
    if (value_map_remove(&lists, call_arg_str(c, 0))) {
        write_lists(c, lists);
        return;
    }
    value_done(&lists);
    call_fail_code(c, ERR_CRL_DOES_NOT_EXIST, call_arg_str(c, 0), NULL);
}

void pool_crl_list(struct call *c) {
    const struct value *lists = row_value(db_pool(call_db(c)), FIELD_pool_revocation_lists);
    struct value names = value_set();
    for (size_t i = 0; i < lists->map.n; i++)
        value_set_add(&names, value_string(lists->map.pairs[i].key));
    call_return(c, names);
}

/* ---- in place of passwords ---- */

static void set_asked_for(struct call *c, const struct row *pool, bool is_enabled, const char *name) {
    struct db_txn *t = db_txn_new(call_db(c), "client certificates");
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_client_certificate_auth_enabled, value_bool(is_enabled));
    db_txn_set(t, CLASS_pool, &pool->uuid, FIELD_pool_client_certificate_auth_name, value_string(name));
    call_commit(c, t, NULL, NULL);
}

void pool_enable_client_certificate_auth(struct call *c) {
    const struct row *pool = call_arg_row(c, 0);
    const char *name = pool ? call_arg_str(c, 1) : "";
    if (!pool)
        return;
    /* One that begins with a dot would stand for all names below it. */
    if (!*name || *name == '.' || strlen(name) > MAX_AUTH_NAME)
        call_fail_code(c, ERR_INVALID_VALUE, "name", name, NULL);
    else
        set_asked_for(c, pool, true, name);
}

void pool_disable_client_certificate_auth(struct call *c) {
    const struct row *pool = call_arg_row(c, 0);
    if (pool)
        set_asked_for(c, pool, false, "");
}
