/* SPDX-License-Identifier: Apache-2.0 */
/* Life of the membership: who leads, who is alive, where this host stands. */
#include "pool/pool_outlook.h"
#include "pool/pool_private.h"

#include <string.h>

#include "base/fs.h"

#define LOG_MODULE "pool"
#include "base/log.h"

#define ROLE_MS 20
#define STATE_MS 200
#define VOTERS_MS 1000
#define NEW_HOST_MS 10000
#define CERTIFICATES_MS 3000 /* between attempts to make or read them */

const struct uuid *pool_self(const struct pool *p) {
    return &p->identity.host;
}
struct pool_channel *pool_get_channel(struct pool *p) {
    return p->channel;
}
const struct sm *pool_state(const struct pool *p) {
    return &p->sm;
}
const struct row *pool_own_row(const struct pool *p) {
    return db_get(p->config.db, CLASS_host, &p->identity.host);
}

/* A database server without a majority shows what it knew when it had one: this host may have heard better since. */
static bool is_current(const struct pool *p, const struct row *pool) {
    return pool && row_int(pool, FIELD_pool_epoch) >= p->identity.epoch;
}

const struct uuid *pool_leader(const struct pool *p) {
    const struct row *pool = db_pool(p->config.db);
    return is_current(p, pool) ? row_ref(pool, FIELD_pool_master) : &p->identity.coordinator;
}

bool pool_is_coordinator(const struct pool *p) {
    return uuid_eq(pool_leader(p), &p->identity.host);
}

void pool_heard_leader(struct pool *p, const struct uuid *host, int64_t epoch) {
    if (epoch <= p->identity.epoch)
        return;
    bool news = !uuid_eq(&p->identity.coordinator, host);
    p->identity.epoch = epoch;
    p->identity.coordinator = *host;
    pool_save(p);
    if (news)
        pool_role_changed(p);
}

const char *pool_address_of(const struct pool *p, const struct uuid *host) {
    const struct row *row = db_get(p->config.db, CLASS_host, host);
    const struct identity_host *known = identity_find(&p->identity, host);
    return row ? row_str(row, FIELD_host_address) : known ? known->address : "";
}

const char *pool_coordinator_address(const struct pool *p) {
    const char *known = pool_address_of(p, pool_leader(p));
    return p->moved_to[0] && str_eq(known, p->moved_from) ? p->moved_to : known;
}

bool pool_host_is_live(const struct pool *p, const struct uuid *host) {
    if (uuid_eq(host, &p->identity.host))
        return true;
    if (p->channel && (pool_is_coordinator(p) || pool_channel_is_connected(p->channel, host)))
        return pool_channel_is_alive(p->channel, host);
    const struct row *pool = db_pool(p->config.db);
    if (p->channel && pool && uuid_eq(pool_leader(p), host))
        return pool_channel_is_alive(p->channel, host);
    const struct row *row = db_get(p->config.db, CLASS_host, host),
                     *metrics = row ? db_follow(p->config.db, row, FIELD_host_metrics) : NULL;
    return metrics && row_bool(metrics, FIELD_host_metrics_live);
}

bool pool_host_is_new(const struct pool *p, const struct uuid *host) {
    return p->channel && !uuid_eq(host, &p->identity.host) &&
           pool_channel_connected_for_ms(p->channel, host) < NEW_HOST_MS;
}

bool pool_is_member_key(const struct pool *p, const char *common_name, const char *key_fingerprint) {
    struct uuid host;
    struct pki_info info;
    _cleanup_error_ struct error *e = NULL;
    const struct row *h = uuid_parse(common_name, &host) ? db_get(p->config.db, CLASS_host, &host) : NULL;
    return h && row_str(h, FIELD_host_certificate)[0] &&
           pki_certificate_info(row_str(h, FIELD_host_certificate), &info, &e) &&
           str_eq(info.key_fingerprint, key_fingerprint);
}

struct strv pool_voter_addresses(const struct pool *p, bool without_self) {
    struct strv v = {0};
    for (unsigned i = 0; i < p->identity.n_hosts; i++)
        if (p->identity.hosts[i].voter && !(without_self && uuid_eq(&p->identity.hosts[i].host, &p->identity.host)))
            strv_add(&v, p->identity.hosts[i].address);
    return v;
}

void pool_save(struct pool *p) {
    _cleanup_error_ struct error *e = NULL;
    if (!identity_save(p->state_dir, &p->identity, &e))
        log_err("%s; after a reboot this host would look for its pool as it was known before", error_text(e));
}

/* ---- the rows say who leads and who belongs ---- */
static void learn_hosts(struct pool *p) {
    const struct row *pool = db_pool(p->config.db);
    if (!is_current(p, pool) || !pool_own_row(p))
        return;
    struct identity id = p->identity;
    id.pool = pool->uuid;
    id.epoch = row_int(pool, FIELD_pool_epoch);
    id.coordinator = *row_ref(pool, FIELD_pool_master);
    id.n_hosts = 0;
    for (const struct row *h = db_first(p->config.db, CLASS_host); h && id.n_hosts < IDENTITY_MAX_HOSTS;
         h = db_next(p->config.db, h)) {
        struct identity_host *out = &id.hosts[id.n_hosts++];
        *out = (struct identity_host){.host = h->uuid, .voter = str_eq(row_str(h, FIELD_host_db_role), "voter")};
        str_copy(out->address, sizeof(out->address), row_str(h, FIELD_host_address));
        if (uuid_eq(&h->uuid, &id.coordinator) && p->moved_to[0] && str_eq(out->address, p->moved_from))
            str_copy(out->address, sizeof(out->address), p->moved_to);
    }
    p->identity = id;
    pool_save(p);
}

static void write_live(struct pool *p, const struct uuid *host, bool live) {
    struct uuid metrics = db_companion_uuid(host, "host_metrics");
    /* The host itself says what it measures of itself in a row of the same name; this one is the coordinator's. */
    db_volatile_put(p->config.db, &p->identity.host, CLASS_host_metrics, &metrics);
    db_volatile_set(p->config.db, &p->identity.host, CLASS_host_metrics, &metrics, FIELD_host_metrics_live,
                    value_bool(live));
    db_volatile_set(p->config.db, &p->identity.host, CLASS_host_metrics, &metrics, FIELD_host_metrics_last_updated,
                    value_time(loop_wall_ms(p->config.loop) / 1000));
}

static void lead(struct pool *p) {
    _cleanup_error_ struct error *e = NULL;
    struct uuid hosts[IDENTITY_MAX_HOSTS];
    unsigned n = 0;
    p->judges = true;
    pool_channel_connect(p->channel, NULL);
    if (!pool_channel_listen(p->channel, "::", &e))
        log_err("the pool channel cannot listen: %s; no member can reach this coordinator", error_text(e));
    for (unsigned i = 0; i < p->identity.n_hosts; i++)
        hosts[n++] = p->identity.hosts[i].host;
    pool_channel_expect(p->channel, hosts, n, /* assume_alive= */ true);
    for (unsigned i = 0; i < n; i++)
        write_live(p, &hosts[i], pool_host_is_live(p, &hosts[i]));
}

/* Of what this host said of others (and itself) while it led; what it measures of itself goes with it, and is measured
 * again at once. */
static void forget_judgement(struct pool *p) {
    p->judges = false;
    for (const struct row *m = db_first(p->config.db, CLASS_host_metrics); m;) {
        const struct row *next = db_next(p->config.db, m);
        db_volatile_delete(p->config.db, &p->identity.host, CLASS_host_metrics, &m->uuid); /* only what we own goes */
        m = next;
    }
    p->config.callbacks->state(p->config.userdata);
}

static void follow(struct pool *p) {
    const char *address = pool_coordinator_address(p);
    if (p->judges)
        forget_judgement(p);
    /* For a coordinator that this host looks for in the wrong place: it comes here then. */
    _cleanup_error_ struct error *e = NULL;
    if (!pool_channel_listen(p->channel, "::", &e))
        log_err("the pool channel cannot listen: %s; a coordinator whose address changes will not be found",
                error_text(e));
    pool_channel_expect(p->channel, NULL, 0, false); /* whom it judged while it led */
    pool_channel_connect(p->channel, address[0] ? address : NULL);
}

static void on_role(struct loop_source *s, void *userdata) {
    struct pool *p = userdata;
    if (!p->channel || p->going_down)
        return;
    learn_hosts(p);
    pool_insert_first(p);
    if (pool_is_coordinator(p))
        lead(p);
    else
        follow(p);
    loop_timer_set(p->state_timer, 0);
}

void pool_role_changed(struct pool *p) {
    if (!loop_timer_armed(p->role_timer))
        loop_timer_set(p->role_timer, ROLE_MS);
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    if (r->class->id == CLASS_pool || r->class->id == CLASS_host)
        pool_role_changed(userdata);
}

/* ---- the channel's news ---- */
static bool admit(const struct uuid *host, const char *key_fingerprint, const struct value *hello, int64_t skew_ms,
                  struct value *facts, void *userdata, struct error **errp) {
    struct pool *p = userdata;
    const struct row *row = db_get(p->config.db, CLASS_host, host);
    char text[UUID_TEXT_SIZE];
    if (!db_pool(p->config.db)) {
        error_set(errp, ERR_HOST_STILL_BOOTING, NULL);
        return false;
    }
    if (!pool_is_coordinator(p)) {
        value_map_put(facts, "leader", value_uuid(&p->identity.coordinator));
        value_map_put(facts, "epoch", value_int(p->identity.epoch));
        error_set(errp, ERR_HOST_IS_SLAVE, pool_coordinator_address(p), NULL);
        return false;
    }
    if (!row) {
        error_set(errp, ERR_HOST_UNKNOWN_TO_MASTER, uuid_text(host, text), NULL);
        return false;
    }
    struct pki_info info;
    if (!pki_certificate_info(row_str(row, FIELD_host_certificate), &info, errp))
        return false;
    /* By its key: the certificate may have been made anew while it was on its way. */
    if (!str_eq(info.key_fingerprint, key_fingerprint)) {
        error_setf(errp, ERR_HOST_UNKNOWN_TO_MASTER, "%s (its key is not the one that the pool knows)",
                   uuid_text(host, text));
        return false;
    }
    struct value voters = value_set();
    for (size_t i = 0; i < p->cluster.n; i++)
        value_set_add(&voters, value_string(p->cluster.items[i]));
    value_map_put(facts, "voters", voters);
    value_map_put(facts, "voters_known", value_bool(p->cluster_known));
    value_map_put(facts, "epoch", value_int(row_int(db_pool(p->config.db), FIELD_pool_epoch)));
    char newest[PKI_FINGERPRINT_SIZE];
    pool_authority_newest(row_str(db_pool(p->config.db), FIELD_pool_ca_certificates), newest);
    value_map_put(facts, "authority", value_string(newest));
    return true;
}

static void on_aside(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->identity.database = IDENTITY_DB_NONE;
    pool_save(p);
    p->db_started = false;
    pool_begin(p);
}

static void welcomed(const struct uuid *coordinator, const struct value *facts, int64_t skew_ms, void *userdata) {
    struct pool *p = userdata;
    const struct value *epoch = value_map_get(facts, "epoch");
    free(TAKE(p->refused));
    if (epoch && epoch->type == VALUE_INT)
        pool_heard_leader(p, coordinator, value_as_int(epoch));
    if (skew_ms > 60000 || skew_ms < -60000)
        log_warn("the coordinator's clock is %lld s away from this host's; set both by NTP",
                 (long long)(skew_ms / 1000));
    /* A voter's file that the cluster has dropped meanwhile can never take part again. */
    const struct value *voters = value_map_get(facts, "voters"), *known = value_map_get(facts, "voters_known");
    _cleanup_value_ struct value own = value_string(p->facts.address);
    if (p->identity.database == IDENTITY_DB_VOTER && known && value_as_bool(known) && voters &&
        voters->type == VALUE_SET && !value_set_has(voters, &own) && !db_get_status(p->config.db).has_quorum &&
        !db_server_is_busy(p->dbserver)) {
        log_notice(
            "while this host was away, its vote in the pool database was given to another; it takes part as a relay");
        db_server_set_aside(p->dbserver, "stale", on_aside, p);
    }
    strv_done(&p->told_voters);
    for (size_t i = 0; voters && voters->type == VALUE_SET && i < voters->set.n; i++)
        strv_add(&p->told_voters, value_str(&voters->set.items[i]));
    /* What this host knows of the authorities may be as old as its last visit. */
    pool_authority_told(p, value_map_str(facts, "authority"));
    pool_authority_tick(p);
    p->config.callbacks->state(p->config.userdata);
    loop_timer_set(p->state_timer, 0);
}

/*
 * Who coordinates no more says since when, and who does: that may be this very host, which was away when it was given
 * the coordination and would look for it elsewhere for ever.
 */
static void hear_of_leader(struct pool *p, const struct value *facts, const char *certified) {
    const struct value *epoch = value_map_get(facts, "epoch");
    struct uuid leader, by;
    if (epoch && epoch->type == VALUE_INT && value_map_uuid(facts, "leader", &leader) && uuid_parse(certified, &by) &&
        identity_find(&p->identity, &by) && identity_find(&p->identity, &leader))
        pool_heard_leader(p, &leader, value_as_int(epoch));
}

static void refused(const struct error *e, const struct value *facts, const char *certified, void *userdata) {
    struct pool *p = userdata;
    if (error_is(e, ERR_HOST_IS_SLAVE))
        hear_of_leader(p, facts, certified);
    struct error *copy = error_dup(e);
    bool news = !p->refused || !str_eq(p->refused, error_text(copy));
    if (news) {
        free(p->refused);
        p->refused = xstrdup(error_text(copy));
        log_warn("the coordinator at %s does not let this host in: %s; it keeps trying", pool_coordinator_address(p),
                 p->refused);
    }
    error_free(copy);
    loop_timer_set(p->state_timer, 0);
}

static void liveness(const struct uuid *host, bool alive, const char *reason, void *userdata) {
    struct pool *p = userdata;
    const struct row *row = db_get(p->config.db, CLASS_host, host);
    log_notice("host '%s' is %s: %s", row ? row_str(row, FIELD_host_name_label) : "?", alive ? "alive" : "dead",
               reason);
    if (alive)
        pool_going_forget(p, host);
    if (pool_is_coordinator(p))
        write_live(p, host, alive);
    p->config.callbacks->state(p->config.userdata);
    loop_timer_set(p->state_timer, 0);
}

static bool knocked(const struct uuid *host, int64_t epoch, const char *certified, const char *key_fingerprint,
                    const char *address, void *userdata) {
    return pool_address_knocked(userdata, host, epoch, certified, key_fingerprint, address);
}

static const struct pool_channel_callbacks channel_callbacks = {
    .admit = admit, .welcomed = welcomed, .refused = refused, .knocked = knocked, .liveness = liveness};

/* ---- the state ---- */
static void publish_state(struct pool *p) {
    const struct uuid *self = &p->identity.host;
    db_volatile_set(p->config.db, self, CLASS_host, self, FIELD_host_membership_state,
                    value_string(sm_state_name(&p->sm)));
    db_volatile_set(p->config.db, self, CLASS_host, self, FIELD_host_membership_reason, value_string(p->sm.reason));
    int64_t ago = (int64_t)(loop_now_ms(p->config.loop) - p->sm.entered_ms);
    db_volatile_set(p->config.db, self, CLASS_host, self, FIELD_host_membership_since,
                    value_time((loop_wall_ms(p->config.loop) - ago) / 1000));
}

static char *describe_trouble(const struct pool *p, bool coordinator, uint64_t without_ms) {
    struct db_status status = db_get_status(p->config.db);
    if (coordinator)
        return strf("this host coordinates the pool, but the pool database does not take writes: %s",
                    status.text ? status.text : "no majority of its voters answers");
    const char *address = pool_coordinator_address(p), *why = p->refused   ? p->refused
                                                              : p->channel ? pool_channel_trouble(p->channel)
                                                                           : "";
    return strf("the coordinator at %s does not answer since %llu s (%s); this host keeps trying, its VMs go on; if "
                "the coordinator will not come back, run on one member: xe "
                "pool-emergency-transition-to-master",
                address[0] ? address : "an unknown address", (unsigned long long)(without_ms / 1000),
                why[0] ? why : "no heartbeat");
}

static void on_state(struct loop_source *s, void *userdata) {
    struct pool *p = userdata;
    uint64_t now = loop_now_ms(p->config.loop);
    loop_timer_set(p->state_timer, STATE_MS);
    if (db_get_status(p->config.db).has_quorum)
        p->majority_ms = now;
    if (!db_pool(p->config.db) && p->channel)
        pool_role_changed(p); /* a pool that has no rows yet gets them as soon as the database takes writes */
    bool coordinator = pool_is_coordinator(p);
    struct db_status status = db_get_status(p->config.db);
    const struct uuid *leader = pool_leader(p);
    bool has = coordinator ? status.loaded && status.has_quorum
                           : p->channel && pool_channel_is_connected(p->channel, leader) &&
                                 pool_channel_is_alive(p->channel, leader);
    if (has)
        p->without_since_ms = 0;
    else if (!p->without_since_ms)
        p->without_since_ms = now;
    uint64_t without = p->without_since_ms ? MAX(now - p->without_since_ms, (uint64_t)1) : 0;
    _cleanup_free_ char *trouble = describe_trouble(p, coordinator, without);
    struct state_facts facts = {.has_network = p->started,
                                .network_text = "waiting for the management address",
                                .has_coordinator = has,
                                .without_ms = without,
                                .trouble = trouble,
                                .sync_text = str_or_empty(p->schema_text),
                                .replica_loaded = status.loaded && pool_own_row(p),
                                .replica_in_step = status.in_step,
                                .network_pending = p->network_pending,
                                .proven = p->proven,
                                .size_limited = p->limited,
                                .limit_text = p->limit_text ? p->limit_text : ""};
    enum host_state before = p->sm.state;
    if (!states_update(&p->sm, &facts, now))
        return;
    publish_state(p);
    if (p->sm.state == before)
        return;
    log_notice("this host goes from '%s' to '%s': %s", state_table[before].name, sm_state_name(&p->sm), p->sm.reason);
    p->config.callbacks->state(p->config.userdata);
}

void pool_look(struct pool *p) {
    loop_timer_set(p->state_timer, 0);
}

void pool_set_network(struct pool *p, bool pending) {
    if (pending && !p->network_pending)
        pool_note_witnesses(p, /* anew= */ true);
    p->network_pending = pending;
    loop_timer_set(p->state_timer, 0);
}

void pool_set_proven(struct pool *p, bool proven) {
    p->proven = proven;
    loop_timer_set(p->state_timer, 0);
}

void pool_set_limited(struct pool *p, bool limited, const char *sentence) {
    p->limited = limited;
    free(p->limit_text);
    p->limit_text = xstrdup(sentence);
    loop_timer_set(p->state_timer, 0);
}

static void on_voters(struct loop_source *s, void *userdata) {
    struct pool *p = userdata;
    loop_timer_set(p->voters_timer, VOTERS_MS);
    pool_remove_tick(p);
    pool_schema_tick(p);
    pool_voters_tick(p);
    pool_address_tick(p);
    pool_authority_tick(p);
}

/* ---- life ---- */
struct pool *pool_new(const struct pool_config *config, struct error **errp) {
    struct identity id = {.database = IDENTITY_DB_NONE};
    bool found = false, previous = false;
    _cleanup_error_ struct error *e = NULL;
    int r = fs_mkdirs(config->state_dir, 0700);
    if (r < 0) {
        error_errno(errp, r, "making '%s'", config->state_dir);
        return NULL;
    }
    if (!identity_load(config->state_dir, &id, &found, &previous, &e)) {
        if (found) {
            error_propagate(errp, TAKE(e));
            return NULL;
        }
        id.host = uuid_random();
    }
    if (previous)
        log_warn("'%s/host.json' is damaged; the copy before it is used", config->state_dir);
    struct pool *p = xnew0(struct pool);
    p->config = *config;
    p->identity = id;
    p->state_dir = xstrdup(config->state_dir);
    p->run_dir = xstrdup(config->run_dir);
    p->schema_path = xstrdup(config->schema_path);
    p->pki_dir = strf("%s/pki", config->state_dir);
    p->key_path = strf("%s/host.key", p->pki_dir);
    p->cert_path = strf("%s/host.pem", p->pki_dir);
    p->chain_path = strf("%s/chain.pem", p->pki_dir);
    p->ca_path = strf("%s/ca.pem", p->pki_dir);
    p->all_path = strf("%s/ca-all.pem", p->pki_dir);
    p->sealed_path = strf("%s/ca.sealed", p->pki_dir);
    p->sealkey_path = strf("%s/seal.key", p->pki_dir);
    _cleanup_free_ char *db_dir = strf("%s/db", config->state_dir);
    struct db_server_config server = {.loop = config->loop,
                                      .db_dir = db_dir,
                                      .run_dir = config->run_dir,
                                      .schema_path = config->schema_path,
                                      .log_path = "/var/log/muster-pooldb.log",
                                      .key_path = p->key_path,
                                      .cert_path = p->cert_path,
                                      .ca_path = p->ca_path};
    p->dbserver = db_server_new(&server);
    states_init(&p->sm, loop_now_ms(config->loop));
    p->network_pending = true;
    p->role_timer = loop_add_timer(config->loop, LOOP_NEVER, on_role, p);
    p->state_timer = loop_add_timer(config->loop, STATE_MS, on_state, p);
    p->voters_timer = loop_add_timer(config->loop, LOOP_NEVER, on_voters, p);
    p->watch = db_watch_add(config->db, -1, on_row, p);
    p->client = http_client_new(config->loop);
    db_set_self(config->db, &p->identity.host);
    publish_state(p);
    return p;
}

void pool_free(struct pool *p) {
    if (!p)
        return;
    pool_outlook_free(p); /* answers over the channel */
    db_watch_free(p->watch);
    loop_source_free(p->role_timer);
    loop_source_free(p->state_timer);
    loop_source_free(p->voters_timer);
    loop_source_free(p->start_timer);
    loop_source_free(p->leave_timer);
    loop_source_free(p->certificates_timer);
    http_client_free(p->client);
    pool_channel_free(p->channel);
    db_server_free(p->dbserver);
    pool_remove_done(p);
    pool_address_done(p);
    pool_confirm_done(p);
    strv_done(&p->told_voters);
    free(p->relay_voters);
    free(p->schema_text);
    sm_done(&p->sm);
    strv_done(&p->cluster);
    char *texts[] = {p->state_dir,    p->run_dir,     p->schema_path, p->pki_dir,  p->key_path,
                     p->cert_path,    p->chain_path,  p->ca_path,     p->all_path, p->sealed_path,
                     p->sealkey_path, p->certificate, p->limit_text,  p->refused};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(p);
}

static void begin(struct pool *p) {
    _cleanup_error_ struct error *e = NULL;
    if (!pool_certificates_load(p, &e)) {
        if (!p->said_no_certificates)
            log_err("%s; this host serves its local socket only, and tries again", error_text(e));
        p->said_no_certificates = true;
        loop_timer_set(p->certificates_timer, CERTIFICATES_MS);
        return;
    }
    struct pool_channel_config channel = {.loop = p->config.loop,
                                          .db = p->config.db,
                                          .self = p->identity.host,
                                          .cert_path = p->chain_path,
                                          .key_path = p->key_path,
                                          .ca_path = p->all_path,
                                          .callbacks = &channel_callbacks,
                                          .userdata = p};
    p->channel = pool_channel_new(&channel);
    pool_voters_init(p);
    pool_down_init(p);
    pool_remove_init(p);
    pool_confirm_init(p);
    pool_address_init(p);
    pool_authority_init(p);
    loop_timer_set(p->voters_timer, VOTERS_MS);
    p->config.callbacks->certificates(p->config.userdata);
    pool_begin(p);
    pool_role_changed(p);
}

/* A full disk, say: it may be emptied. */
static void on_certificates_timer(struct loop_source *s, void *userdata) {
    begin(userdata);
}

void pool_start(struct pool *p, const struct rows_host *facts) {
    bool first = !p->started;
    p->facts = *facts;
    p->facts.host = p->identity.host;
    p->facts.certificate = p->certificate;
    p->started = true;
    if (!first)
        return;
    p->certificates_timer = loop_add_timer(p->config.loop, LOOP_NEVER, on_certificates_timer, p);
    begin(p);
}
