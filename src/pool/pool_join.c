/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining. The host that joins speaks to the coordinator over its ordinary API: it checks the pool (the fingerprint of
 * its certificate authority), the pool checks it (a password), a request for a certificate goes out, everything that
 * makes it a member comes back, is written to disk, and the daemon starts anew as a member. Cut short anywhere, the
 * host is still what it was.
 */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "pool/pool_private.h"
#include "wire/value_json.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define CALL_TIMEOUT_MS 20000
#define MAX_SKEW_MS 300000
#define MAX_LOOK_VALUES 65536 /* of an answer: paths of 32 legs to 512 others at most */
#define WRITE_DEADLINE_MS 15000
#define TRUST_KEY "join-trust-on-first-use"

/* ---- the joining host ---- */
struct join {
    struct pool *p;
    pool_done_fn *done;
    void *userdata;
    char *address, *session, *fingerprint;
    struct http_target target;
    struct value answer;
    bool trusted_blindly, force;
    char *table;              /* of a look: what was measured, as JSON; "" nothing */
    pool_admitted_fn *looked; /* NULL: it is no look, it joins */
    struct error *error;
};

static void join_end(struct join *j, const struct error *error) {
    if (j->looked)
        j->looked(error, error ? NULL : &j->answer, j->userdata);
    else
        j->done(error, j->userdata);
    free(j->address);
    free(j->session);
    free(j->fingerprint);
    free(j->table);
    value_done(&j->answer);
    error_free(j->error);
    free(j);
}

static void join_fail(struct join *j, const char *code, const char *text) {
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, code, text, NULL);
    join_end(j, e);
}

static void join_call(struct join *j, const char *method, struct value *params, size_t n, rpc_done_fn *fn) {
    rpc_client_start(j->p->client, &j->target, method, params, n, fn, j);
}

static void on_stopped(const struct error *error, void *userdata) {
    struct join *j = userdata;
    struct pool *p = j->p;
    _cleanup_error_ struct error *e = NULL;
    const char *certificate = value_map_str(&j->answer, "certificate"),
               *authorities = value_map_str(&j->answer, "authorities");
    struct identity id = {.host = p->identity.host, .database = IDENTITY_DB_NONE};
    const struct value *hosts = value_map_get(&j->answer, "hosts");
    if (!value_map_uuid(&j->answer, "pool", &id.pool) || !value_map_uuid(&j->answer, "coordinator", &id.coordinator))
        error_internal(&e, "the coordinator's answer is not sound");
    for (size_t i = 0; !e && i < hosts->set.n && id.n_hosts < IDENTITY_MAX_HOSTS; i++) {
        struct identity_host *h = &id.hosts[id.n_hosts++];
        const struct value *v = &hosts->set.items[i];
        const char *address = v->type == VALUE_MAP ? value_map_str(v, "address") : NULL,
                   *voter = address ? value_map_str(v, "voter") : NULL;
        if (!voter || !value_map_uuid(v, "host", &h->host) || !str_copy(h->address, sizeof(h->address), address))
            error_internal(&e, "the coordinator's answer is not sound");
        else
            h->voter = str_eq(voter, "true");
    }
    /* Identity last: until it is written, this host is still the pool of one that it was. */
    fs_unlink(p->sealed_path);
    if (e || !pool_write_certificates(p, certificate, authorities, "", &e) || !identity_save(p->state_dir, &id, &e)) {
        join_end(j, e);
        return;
    }
    p->identity = id;
    p->going_down = true; /* rows that still come belong to the old pool */
    log_notice("this host belongs to the pool of %s now", j->address);
    struct pool_config config = p->config;
    join_end(j, NULL);
    config.callbacks->restart("joined a pool", config.userdata);
}

/* 3: the pool has let us in. */
static void on_admitted(const struct value *result, const struct error *error, const struct http_response *r,
                        void *userdata) {
    struct join *j = userdata;
    if (error) {
        join_end(j, error);
        return;
    }
    const struct value *hosts = result->type == VALUE_MAP ? value_map_get(result, "json") : NULL;
    _cleanup_error_ struct error *e = NULL;
    if (!hosts || !value_json_parse(value_str(hosts), strlen(value_str(hosts)), 8, 8192, &j->answer, &e) ||
        j->answer.type != VALUE_MAP || !value_map_str(&j->answer, "certificate") ||
        !value_map_str(&j->answer, "authorities") || !value_map_get(&j->answer, "hosts") ||
        value_map_get(&j->answer, "hosts")->type != VALUE_SET) {
        join_fail(j, ERR_INTERNAL_ERROR, "the coordinator's answer is not sound");
        return;
    }
    /* The authority that signed us must be the one whose fingerprint the operator gave. */
    struct pki_info info;
    if (!pki_certificate_info(value_map_str(&j->answer, "authorities"), &info, &e)) {
        join_end(j, e);
        return;
    }
    if (j->fingerprint[0] && !str_eq(j->fingerprint, info.fingerprint)) {
        error_set(&e, ERR_POOL_FINGERPRINT_MISMATCH, j->fingerprint, info.fingerprint, NULL);
        join_end(j, e);
        return;
    }
    db_server_set_aside(j->p->dbserver, "joined", on_stopped, j);
}

static void on_logged_out(const struct value *result, const struct error *error, const struct http_response *r,
                          void *userdata) {
    join_end(userdata, NULL); /* a session that stayed open ends by itself */
}

/* 3 of a look: what would become of this host there. */
static void on_looked(const struct value *result, const struct error *error, const struct http_response *r,
                      void *userdata) {
    struct join *j = userdata;
    const char *json = !error && result->type == VALUE_MAP ? value_map_str(result, "json") : NULL;
    _cleanup_error_ struct error *e = NULL;
    if (error) {
        join_end(j, error);
        return;
    }
    if (!json || !value_json_parse(json, strlen(json), 16, MAX_LOOK_VALUES, &j->answer, &e) ||
        j->answer.type != VALUE_MAP) {
        join_fail(j, ERR_INTERNAL_ERROR, "the coordinator's answer is not sound");
        return;
    }
    struct value session = value_string(j->session);
    join_call(j, "session.logout", &session, 1, on_logged_out);
    value_done(&session);
}

/* 2: logged in; who we are goes out. */
static void on_login(const struct value *result, const struct error *error, const struct http_response *r,
                     void *userdata) {
    struct join *j = userdata;
    struct pool *p = j->p;
    _cleanup_error_ struct error *e = NULL;
    if (error && error_is(error, ERR_WIRE_CERTIFICATE)) {
        error_set(&e, ERR_POOL_FINGERPRINT_MISMATCH, j->fingerprint, r ? r->peer_fingerprint : "", NULL);
        join_end(j, e);
        return;
    }
    if (error) {
        join_end(j, error);
        return;
    }
    j->session = xstrdup(value_str(result));
    _cleanup_free_ char *csr = pki_csr(p->key_path, &p->identity.host, &e);
    if (!csr) {
        join_end(j, e);
        return;
    }
    _cleanup_value_ struct value facts = rows_host_to_value(&p->facts), request = value_map();
    _cleanup_buf_ struct buf text = BUF_INIT;
    value_json_emit(&text, &facts);
    value_map_add(&request, "json", value_string(buf_str(&text)));
    value_map_add(&request, "csr", value_string(csr));
    value_map_add(&request, "wall_ms", value_stringf("%lld", (long long)loop_wall_ms(p->config.loop)));
    value_map_add(&request, "version", value_stringf("%d", POOL_CHANNEL_VERSION));
    value_map_add(&request, "schema", value_string(model_schema_version));
    value_map_add(&request, "force", value_string(j->force ? "true" : "false"));
    if (j->looked)
        value_map_add(&request, "table", value_string(j->table));
    struct value params[2] = {value_string(j->session), value_take(&request)};
    if (j->looked)
        join_call(j, "pool.join_look", params, 2, on_looked);
    else
        join_call(j, "pool.join_request", params, 2, on_admitted);
    value_done(&params[0]);
    value_done(&params[1]);
}

/* False with *errp. `pin`: of the pool's authority; "" when whoever answers is trusted. */
static bool may_ask(struct pool *p, const struct pool_join_request *r, char pin[static TLS_FINGERPRINT_SIZE],
                    struct error **errp) {
    const struct row *pool = db_pool(p->config.db);
    if (!pool || !db_get_status(p->config.db).has_quorum) {
        error_set(errp, ERR_HOST_STILL_BOOTING, NULL);
        return false;
    }
    if (db_count(p->config.db, CLASS_host) != 1 || !pool_is_coordinator(p)) {
        error_set(errp, ERR_JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS, "", NULL);
        return false;
    }
    const char *trust = value_map_str(row_value(pool, FIELD_pool_other_config), TRUST_KEY);
    if (!r->fingerprint[0] && !(trust && str_eq(trust, "true"))) {
        error_set(errp, ERR_POOL_FINGERPRINT_REQUIRED,
                  "give master-fingerprint=, as 'xe pool-fingerprint' prints it in that pool; to trust whoever "
                  "answers: xe pool-param-set uuid=... other-config:" TRUST_KEY "=true",
                  NULL);
        return false;
    }
    if (r->fingerprint[0] && !tls_fingerprint_parse(r->fingerprint, pin)) {
        error_set(errp, ERR_INVALID_VALUE, "master-fingerprint", NULL);
        return false;
    }
    return true;
}

/* 1: the connection, to the pool that is meant and to nobody else. */
static void log_in(struct join *j, const struct pool_join_request *r) {
    bool blind = !j->fingerprint[0];
    j->trusted_blindly = blind;
    j->address = xstrdup(r->address);
    j->force = r->force;
    /*
     * The pin is of the authority; it stands in the chain that the server shows, so a connection to anybody else ends
     * before the password is sent.
     */
    j->target = (struct http_target){.host = j->address,
                                     .verify = blind ? TLS_VERIFY_NONE : TLS_VERIFY_PIN_AUTHORITY,
                                     .pin = blind ? NULL : j->fingerprint,
                                     .wants_pool = true,
                                     .timeout_ms = CALL_TIMEOUT_MS};
    if (blind)
        log_warn("asking the pool at %s without checking its fingerprint, as this host's pool permits it", r->address);
    struct value params[4] = {value_string(r->user), value_string(r->password), value_string("2.23"),
                              value_string("muster join")};
    join_call(j, "session.login_with_password", params, 4, on_login);
    for (unsigned i = 0; i < 4; i++)
        value_done(&params[i]);
}

void pool_join_other(struct pool *p, const struct pool_join_request *r, pool_done_fn *done, void *userdata) {
    char pin[TLS_FINGERPRINT_SIZE] = "";
    _cleanup_error_ struct error *e = NULL;
    if (!may_ask(p, r, pin, &e)) {
        done(e, userdata);
        return;
    }
    struct join *j = xnew0(struct join);
    *j = (struct join){.p = p, .done = done, .userdata = userdata, .fingerprint = xstrdup(pin)};
    log_in(j, r);
}

void pool_look_at(struct pool *p, const struct pool_join_request *r, const char *table, pool_admitted_fn *done,
                  void *userdata) {
    char pin[TLS_FINGERPRINT_SIZE] = "";
    _cleanup_error_ struct error *e = NULL;
    if (!may_ask(p, r, pin, &e)) {
        done(e, NULL, userdata);
        return;
    }
    struct join *j = xnew0(struct join);
    *j = (struct join){
        .p = p, .looked = done, .userdata = userdata, .fingerprint = xstrdup(pin), .table = xstrdup(table)};
    log_in(j, r);
}

/* ---- the coordinator ---- */
struct admission {
    struct pool *p;
    pool_admitted_fn *done;
    void *userdata;
    char *certificate;
    struct uuid host;
};

static void admission_end(struct admission *a, const struct error *error, const struct value *result) {
    a->done(error, result, a->userdata);
    free(a->certificate);
    free(a);
}

static void on_rows(struct error *error, void *userdata) {
    struct admission *a = userdata;
    struct pool *p = a->p;
    if (error) {
        admission_end(a, error, NULL);
        return;
    }
    _cleanup_buf_ struct buf authorities = BUF_INIT, text = BUF_INIT;
    _cleanup_error_ struct error *e = NULL;
    int r = fs_read(p->ca_path, PKI_MAX_PEM, &authorities);
    if (r < 0) {
        error_errno(&e, r, "reading the pool's authorities");
        admission_end(a, e, NULL);
        return;
    }
    _cleanup_value_ struct value answer = value_map(), result = value_map();
    struct value hosts = value_set();
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h)) {
        struct value v = value_map();
        value_map_add(&v, "host", value_uuid(&h->uuid));
        value_map_add(&v, "address", value_string(row_str(h, FIELD_host_address)));
        bool voter = p->cluster_known ? strv_has(&p->cluster, row_str(h, FIELD_host_address))
                                      : str_eq(row_str(h, FIELD_host_db_role), "voter");
        value_map_add(&v, "voter", value_string(voter ? "true" : "false"));
        value_set_add(&hosts, v);
    }
    value_map_add(&answer, "certificate", value_string(a->certificate));
    value_map_add(&answer, "authorities", value_string(buf_str(&authorities)));
    value_map_add(&answer, "pool", value_uuid(&p->identity.pool));
    value_map_add(&answer, "coordinator", value_uuid(&p->identity.host));
    value_map_add(&answer, "hosts", hosts);
    value_json_emit(&text, &answer);
    value_map_add(&result, "json", value_string(buf_str(&text)));
    pool_role_changed(p);
    admission_end(a, NULL, &result);
}

static bool clocks_agree(struct pool *p, int64_t theirs, struct error **errp) {
    int64_t skew = theirs - loop_wall_ms(p->config.loop);
    if (skew <= MAX_SKEW_MS && skew >= -MAX_SKEW_MS)
        return true;
    error_setf(errp, ERR_CLOCK_SKEW, "%lld", (long long)(skew / 1000));
    return false;
}

static bool versions_agree(const struct value *request, struct error **errp) {
    const char *schema = str_or_empty(value_map_str(request, "schema")),
               *version = str_or_empty(value_map_str(request, "version"));
    char ours[12];
    snprintf(ours, sizeof(ours), "%d", POOL_CHANNEL_VERSION);
    if (!str_eq(schema, model_schema_version))
        error_set(errp, ERR_POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA, schema, model_schema_version, NULL);
    else if (!str_eq(version, ours))
        error_set(errp, ERR_POOL_JOINING_HOST_MUST_HAVE_SAME_PRODUCT_VERSION, NULL);
    else
        return true;
    return false;
}

static bool read_request(struct pool *p, const struct value *request, struct value *facts, struct rows_host *host,
                         int64_t *ret_wall_ms, struct error **errp) {
    const char *json = value_map_str(request, "json"), *csr = value_map_str(request, "csr"),
               *wall = value_map_str(request, "wall_ms");
    if (!json || !csr || !wall || !str_parse_int(wall, 0, INT64_MAX, ret_wall_ms)) {
        error_setf(errp, ERR_INVALID_VALUE, "%s", "the request to join");
        return false;
    }
    if (!pool_is_coordinator(p)) {
        error_set(errp, ERR_HOST_IS_SLAVE, pool_coordinator_address(p), NULL);
        return false;
    }
    return value_json_parse(json, strlen(json), 8, 4096, facts, errp) && rows_host_from_value(facts, host, errp);
}

static bool is_forced(const struct value *request) {
    return str_eq(str_or_empty(value_map_str(request, "force")), "true");
}

static bool check_request(struct pool *p, const struct value *request, struct value *facts, struct rows_host *host,
                          struct error **errp) {
    int64_t wall_ms;
    return read_request(p, request, facts, host, &wall_ms, errp) && clocks_agree(p, wall_ms, errp) &&
           versions_agree(request, errp) && rows_join_check(p->config.db, host, is_forced(request), errp);
}

bool pool_view_joiner(struct pool *p, const struct value *request, struct pool_joiner_view *ret, struct error **errp) {
    _cleanup_value_ struct value facts = {.type = VALUE_VOID};
    _cleanup_error_ struct error *clock = NULL, *version = NULL;
    struct rows_host host;
    int64_t wall_ms;
    if (!read_request(p, request, &facts, &host, &wall_ms, errp))
        return false;
    *ret = (struct pool_joiner_view){.host = host.host, .problems = value_set()};
    if (!clocks_agree(p, wall_ms, &clock))
        value_set_add(&ret->problems, value_string_take(rows_join_sentence(clock)));
    if (!versions_agree(request, &version))
        value_set_add(&ret->problems, value_string_take(rows_join_sentence(version)));
    rows_join_problems(p->config.db, &host, is_forced(request), &ret->problems);
    if (db_get(p->config.db, CLASS_host, &host.host))
        return true; /* its rows are there */
    ret->rows = db_txn_new(p->config.db, "what a join would write");
    rows_join(p->config.db, ret->rows, &host);
    return true;
}

void pool_admit(struct pool *p, const struct value *request, pool_admitted_fn *done, void *userdata) {
    _cleanup_error_ struct error *e = NULL;
    _cleanup_value_ struct value facts = {.type = VALUE_VOID};
    struct rows_host host;
    if (!check_request(p, request, &facts, &host, &e)) {
        done(e, NULL, userdata);
        return;
    }
    _cleanup_(pki_ca_freep) struct pki_ca *ca = pool_open_ca(p, &e);
    _cleanup_strv_ struct strv addresses = {0};
    strv_add(&addresses, host.address);
    char *certificate = ca ? pki_ca_sign(ca, value_map_str(request, "csr"), &host.host, &addresses, &e) : NULL;
    if (!certificate) {
        done(e, NULL, userdata);
        return;
    }
    struct admission *a = xnew0(struct admission);
    *a = (struct admission){.p = p, .done = done, .userdata = userdata, .certificate = certificate, .host = host.host};
    host.certificate = certificate;
    struct db_txn *t = db_txn_new(p->config.db, "a host joins");
    db_txn_fence(t);
    rows_join(p->config.db, t, &host);
    db_txn_set(t, CLASS_host, &host.host, FIELD_host_db_role, value_string("relay"));
    db_txn_commit(t, WRITE_DEADLINE_MS, on_rows, a);
}
