/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's address changes, on purpose or because a server gave it another one. A vote in the pool database is bound to
 * an address for ever, so a host that is about to get another one gives its vote up first and gets one again
 * afterwards; the only voter is converted; a vote whose address is gone is set aside. A member tells its new address
 * when it connects; the coordinator, which the members look for where it was, goes to them (pool_knock.c).
 */
#include "pool/pool_private.h"

#include <string.h>

#define LOG_MODULE "pool"
#include "base/log.h"
#include "model/model_keys.h"

#define WRITE_DEADLINE_MS 15000
#define LEAVE_S 10
#define PROMOTE_MS 30000
#define MAX_STEPS 4 /* other hosts' votes that are given or taken before this one's goes */
#define BUSY_RETRY_MS 200
#define BUSY_MS 20000 /* another change of the voters has this long to end */
#define KNOCK_MS 2000
#define KNOCK_AFTER_MS 2000 /* a host that is not connected for this long may be looking in the wrong place */
#define RELAY_AFTER_MS 3000
#define RELAY_TRIES 20
#define TELL_MS 3000

/* ---- before: the vote is given up ---- */
struct prepare {
    struct pool *p;
    pool_done_fn *done;
    void *userdata;
    struct loop_source *timer;
    uint64_t until_ms;
    unsigned n_steps;
    struct strv others;
};

static void prepare_end(struct prepare *r, const struct error *error) {
    r->p->preparing = NULL;
    r->p->voters_busy = false;
    if (error)
        r->p->readdressing = false;
    r->done(error, r->userdata);
    loop_source_free(r->timer);
    strv_done(&r->others);
    free(r);
}

static void on_relay(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    if (error)
        pool_begin(p); /* its own retry */
}

static void on_left(const struct error *error, void *userdata) {
    struct prepare *r = userdata;
    struct pool *p = r->p;
    if (!error) {
        log_notice("this host gives up its vote in the pool database, since its address is about to be another");
        p->identity.database = IDENTITY_DB_NONE;
        pool_save(p);
        pool_start_relay(p, &r->others, on_relay, p);
    }
    prepare_end(r, error);
}

static void prepare_refuse(struct prepare *r, const char *code, const char *text) {
    _cleanup_error_ struct error *e = NULL;
    error_set(&e, code, text, NULL);
    prepare_end(r, e);
}

static void on_servers(const struct strv *addresses, bool has_quorum, void *userdata);

static void look_again(struct prepare *r, const struct error *error) {
    if (error)
        prepare_end(r, error);
    else
        db_server_servers(r->p->dbserver, on_servers, r);
}

static void on_promoted(const struct value *result, const struct error *error, void *userdata) {
    look_again(userdata, error);
}

static void on_kicked(const struct error *error, void *userdata) {
    look_again(userdata, error);
}

/* The others must have a majority without this host's vote, or the pool could not write, and this host not come back.
 */
static void give_up_vote(struct prepare *r, const struct strv *addresses) {
    struct pool *p = r->p;
    struct voter_host hosts[VOTERS_VIEW_MAX];
    struct uuid other;
    pool_voters_note(p, addresses);
    const char *stray = pool_voters_stray(p);
    if (stray && r->n_steps++ < MAX_STEPS) {
        log_notice("the database server at %s belongs to no host of the pool; its vote is taken away", stray);
        pool_voters_kick(p, stray, on_kicked, r);
        return;
    }
    unsigned n = pool_voters_view(p, hosts);
    enum voter_leave_step step = voters_leave(hosts, n, &p->identity.host, &other);
    if (step == VOTER_LEAVE_NOW) {
        db_server_leave(p->dbserver, LEAVE_S, on_left, r);
    } else if (step == VOTER_LEAVE_NEVER || r->n_steps++ == MAX_STEPS) {
        prepare_refuse(r, ERR_DB_NO_QUORUM,
                       "other hosts that vote in the pool database are down, and without this host's vote, which its "
                       "address takes along, there would be no majority; nothing was changed; switch them on, or run "
                       "xe host-forget for those that will not come back");
    } else if (step == VOTER_LEAVE_PROMOTE_FIRST) {
        struct value args = value_map(), voters = value_set();
        for (size_t i = 0; i < addresses->n; i++)
            value_set_add(&voters, value_string(addresses->items[i]));
        value_map_add(&args, "voters", voters);
        pool_channel_call(p->channel, &other, "db_promote", args, PROMOTE_MS, on_promoted, r);
    } else {
        log_notice("a host that is down loses its vote in the pool database, so that this one's can be taken along to "
                   "another address; it gets one again when it is back");
        pool_voters_kick(p, pool_address_of(p, &other), on_kicked, r);
    }
}

static void on_servers(const struct strv *addresses, bool has_quorum, void *userdata) {
    struct prepare *r = userdata;
    struct pool *p = r->p;
    strv_done(&r->others);
    for (size_t i = 0; i < addresses->n; i++)
        if (!str_eq(addresses->items[i], p->facts.address))
            strv_add(&r->others, addresses->items[i]);
    if (has_quorum && addresses->n == 1)
        prepare_end(r, NULL); /* the only voter is converted afterwards */
    else if (has_quorum)
        give_up_vote(r, addresses);
    else
        prepare_refuse(r, ERR_DB_NO_QUORUM,
                       "the pool database has no majority now, so this host's vote cannot be handed over; nothing was "
                       "changed; switch on more of the pool's hosts and try again");
}

static void on_prepare(struct loop_source *s, void *userdata) {
    struct prepare *r = userdata;
    struct pool *p = r->p;
    if (p->identity.database != IDENTITY_DB_VOTER || !p->db_started || p->identity.n_hosts < 2) {
        prepare_end(r, NULL);
    } else if (!p->voters_busy && !db_server_is_busy(p->dbserver)) {
        p->voters_busy = true;
        db_server_servers(p->dbserver, on_servers, r);
    } else if (loop_now_ms(p->config.loop) < r->until_ms) {
        loop_timer_set(r->timer, BUSY_RETRY_MS);
    } else {
        _cleanup_error_ struct error *e = NULL;
        bool busy = p->voters_busy;
        error_set(&e, ERR_DB_SERVER_FAILED, "another change of the pool database's voters did not end in time", NULL);
        prepare_end(r, e);
        p->voters_busy = busy;
    }
}

void pool_prepare_address(struct pool *p, pool_done_fn *done, void *userdata) {
    struct prepare *r = xnew0(struct prepare);
    *r =
        (struct prepare){.p = p, .done = done, .userdata = userdata, .until_ms = loop_now_ms(p->config.loop) + BUSY_MS};
    p->readdressing = true;
    p->preparing = r;
    r->timer = loop_add_timer(p->config.loop, 0, on_prepare, r);
}

void pool_address_settled(struct pool *p) {
    p->readdressing = p->preparing != NULL;
}

void pool_address_done(struct pool *p) {
    free(p->missing);
    if (!p->preparing)
        return;
    loop_source_free(p->preparing->timer);
    strv_done(&p->preparing->others);
    free(p->preparing);
}

/* ---- the rows ---- */
struct write {
    struct pool *p;
    struct pool_reply *reply; /* NULL: the coordinator's own */
};

static void write_end(struct write *w, const struct error *error) {
    w->p->address_writing = false;
    if (error && !w->reply) {
        struct error *e = error_dup(error);
        log_warn("this host's new address could not be written: %s; tried again", error_text(e));
        error_free(e);
    } else if (error) {
        pool_reply_fail(w->reply, error_dup(error));
    } else if (w->reply) {
        pool_reply_return(w->reply, value_bool(true));
    }
    free(w);
}

static void on_written(struct error *error, void *userdata) {
    write_end(userdata, error);
}

static bool check_address(struct pool *p, const struct row *host, const char *address, struct error **errp) {
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h))
        if (h != host && str_eq(row_str(h, FIELD_host_address), address)) {
            error_setf(errp, ERR_POOL_CALL_FAILED, "host '%s' has the address %s already",
                       row_str(h, FIELD_host_name_label), address);
            return false;
        }
    if (!address[0] || strlen(address) >= sizeof(p->identity.hosts[0].address) ||
        address[strspn(address, "0123456789abcdefABCDEF.:")]) {
        error_set(errp, ERR_INVALID_IP_ADDRESS_SPECIFIED, "address", NULL);
        return false;
    }
    if (p->address_writing) {
        error_set(errp, ERR_TOO_BUSY, NULL);
        return false;
    }
    return true;
}

/* Coordinator only. */
static void write_address(struct pool *p, const struct row *host, const char *address, struct pool_reply *reply) {
    _cleanup_error_ struct error *e = NULL;
    struct write *w = xnew0(struct write);
    *w = (struct write){p, reply};
    if (!check_address(p, host, address, &e)) {
        bool busy = p->address_writing;
        write_end(w, e);
        p->address_writing = busy;
        return;
    }
    log_notice("the address of host '%s' is %s now; it was %s", row_str(host, FIELD_host_name_label), address,
               row_str(host, FIELD_host_address));
    struct db_txn *t = db_txn_new(p->config.db, "a host's new address");
    db_txn_fence(t);
    db_txn_set(t, CLASS_host, &host->uuid, FIELD_host_address, value_string(address));
    p->address_writing = true;
    db_txn_commit(t, WRITE_DEADLINE_MS, on_written, w);
}

static void serve_address(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct pool *p = userdata;
    struct error *e = NULL;
    const struct row *row = db_get(p->config.db, CLASS_host, from);
    const char *address = value_map_str(args, "address");
    if (!row || !pool_is_coordinator(p)) {
        error_set(&e, ERR_HOST_IS_SLAVE, pool_coordinator_address(p), NULL);
        pool_reply_fail(reply, e);
    } else if (!address) {
        error_set(&e, ERR_INVALID_IP_ADDRESS_SPECIFIED, "address", NULL);
        pool_reply_fail(reply, e);
    } else if (str_eq(row_str(row, FIELD_host_address), address)) {
        pool_reply_return(reply, value_bool(true));
    } else {
        write_address(p, row, address, reply);
    }
}

static void on_told(const struct value *result, const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->address_telling = false;
    if (error) {
        struct error *e = error_dup(error);
        log_info("the coordinator could not note this host's new address: %s; told again", error_text(e));
        error_free(e);
    }
}

static void tell(struct pool *p, uint64_t now) {
    const struct row *own = pool_own_row(p);
    const struct uuid *leader = pool_leader(p);
    bool agrees = own && str_eq(row_str(own, FIELD_host_address), p->facts.address);
    if (p->readdressing || p->address_telling || now < p->address_after_ms ||
        (agrees && db_get_status(p->config.db).has_quorum) || !pool_channel_is_connected(p->channel, leader))
        return;
    struct value args = value_map();
    value_map_add(&args, "address", value_string(p->facts.address));
    p->address_telling = true;
    p->address_after_ms = now + TELL_MS;
    pool_channel_call(p->channel, leader, "host_address", args, WRITE_DEADLINE_MS, on_told, p);
}

bool pool_address_is_moving(const struct pool *p, const struct row *host) {
    if (uuid_eq(&host->uuid, &p->identity.host))
        return p->readdressing;
    if (value_map_str(row_value(host, FIELD_host_other_config), NET_REPAIR_ROW_KEY))
        return false; /* it stays where the repair put it until somebody says otherwise */
    const struct value *pifs = row_value(host, FIELD_host_PIFs);
    for (size_t i = 0; i < pifs->set.n; i++) {
        const struct row *pif = db_get(p->config.db, CLASS_PIF, &pifs->set.items[i].ref);
        if (pif && row_bool(pif, FIELD_PIF_management) &&
            str_eq(row_str(pif, FIELD_PIF_primary_address_type), "IPv4") &&
            str_eq(row_str(pif, FIELD_PIF_ip_configuration_mode), "Static"))
            return !str_eq(row_str(pif, FIELD_PIF_IP), row_str(host, FIELD_host_address));
    }
    return false;
}

/* ---- the coordinator goes to who has lost it ---- */
struct missing {
    struct uuid host;
    uint64_t since_ms;
    bool visiting;
    bool seen; /* in this round */
};

static struct missing *missing_of(struct pool *p, const struct uuid *host) {
    for (unsigned i = 0; i < p->n_missing; i++)
        if (uuid_eq(&p->missing[i].host, host))
            return &p->missing[i];
    p->missing = xrealloc_array(p->missing, p->n_missing + 1, sizeof(*p->missing));
    p->missing[p->n_missing] = (struct missing){.host = *host, .since_ms = loop_now_ms(p->config.loop)};
    return &p->missing[p->n_missing++];
}

struct visit {
    struct pool *p;
    struct uuid host;
};

static void on_visited(const struct error *error, void *userdata) {
    struct visit *v = userdata;
    for (unsigned i = 0; i < v->p->n_missing; i++)
        if (uuid_eq(&v->p->missing[i].host, &v->host))
            v->p->missing[i].visiting = false;
    free(v);
}

static void visit_missing(struct pool *p, uint64_t now) {
    for (unsigned i = 0; i < p->n_missing; i++)
        p->missing[i].seen = false;
    for (unsigned i = 0; i < p->identity.n_hosts; i++) {
        const struct identity_host *h = &p->identity.hosts[i];
        if (uuid_eq(&h->host, &p->identity.host) || pool_channel_is_connected(p->channel, &h->host) || !h->address[0])
            continue;
        struct missing *m = missing_of(p, &h->host);
        m->seen = true;
        if (m->visiting || now - m->since_ms < KNOCK_AFTER_MS)
            continue;
        m->visiting = true;
        m->since_ms = now; /* the next visit as long after this one */
        struct visit *v = xnew0(struct visit);
        *v = (struct visit){p, h->host};
        pool_channel_knock(p->channel, &h->host, h->address, KNOCK_MS, on_visited, v);
    }
    for (unsigned i = 0; i < p->n_missing; i++)
        if (!p->missing[i].seen)
            p->missing[i--] = p->missing[--p->n_missing];
}

bool pool_address_knocked(struct pool *p, const struct uuid *host, int64_t epoch, const char *certified,
                          const char *key, const char *address) {
    char name[UUID_TEXT_SIZE];
    const struct row *row = db_get(p->config.db, CLASS_host, host);
    struct pki_info info;
    _cleanup_error_ struct error *e = NULL;
    if (uuid_eq(host, &p->identity.host) || !str_eq(certified, uuid_text(host, name)) ||
        !identity_find(&p->identity, host))
        return false;
    if (row &&
        (!pki_certificate_info(row_str(row, FIELD_host_certificate), &info, &e) || !str_eq(info.key_fingerprint, key)))
        return false;
    /* One that leads since later than anybody this host has heard of: it was away when that began. */
    pool_heard_leader(p, host, epoch);
    if (!uuid_eq(host, pool_leader(p)))
        return false;
    const char *known = row ? row_str(row, FIELD_host_address) : pool_address_of(p, host);
    if (!str_eq(pool_coordinator_address(p), address)) {
        log_notice("the coordinator is at %s now; it was at %s", address, known);
        str_copy(p->moved_from, sizeof(p->moved_from), known);
        str_copy(p->moved_to, sizeof(p->moved_to), address);
        for (unsigned i = 0; i < p->identity.n_hosts; i++)
            if (uuid_eq(&p->identity.hosts[i].host, host))
                str_copy(p->identity.hosts[i].address, sizeof(p->identity.hosts[i].address), address);
        pool_save(p);
        pool_role_changed(p);
        pool_channel_connect(p->channel, address);
    } else if (!pool_channel_is_connected(p->channel, host)) {
        pool_channel_retry_now(p->channel);
    }
    return true;
}

/* ---- a vote whose address is gone ---- */
static void on_moved(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->voters_busy = false;
    if (error) {
        struct error *e = error_dup(error);
        log_warn("the pool database could not be moved to this host's new address: %s; tried again", error_text(e));
        error_free(e);
    } else {
        log_notice("the pool database is at this host's new address %s", p->facts.address);
    }
}

static void on_aside(const struct error *error, void *userdata) {
    struct pool *p = userdata;
    p->voters_busy = false;
    p->identity.database = IDENTITY_DB_NONE;
    for (unsigned i = 0; i < p->identity.n_hosts; i++)
        if (uuid_eq(&p->identity.hosts[i].host, &p->identity.host))
            p->identity.hosts[i].voter = false;
    pool_save(p);
    pool_begin(p);
}

static void on_status(const struct db_server_status *status, void *userdata) {
    struct pool *p = userdata;
    const char *own = "";
    for (size_t i = 0; status && i < status->n_peers; i++)
        if (status->peers[i].self)
            own = status->peers[i].address;
    if (!own[0] || str_eq(own, p->facts.address) || p->voters_busy || p->readdressing ||
        p->identity.database != IDENTITY_DB_VOTER || db_server_is_busy(p->dbserver))
        return;
    struct strv none = {0};
    if (status->n_peers == 1) {
        p->voters_busy = true;
        log_notice("the pool database's only server moves from %s to this host's new address", own);
        db_server_change_address(p->dbserver, own, p->facts.address, &none, on_moved, p);
    } else if (status->n_peers > 2 && !db_get_status(p->config.db).has_quorum) {
        p->voters_busy = true;
        log_notice("this host's vote in the pool database is bound to its former address %s; it takes part as a relay",
                   own);
        db_server_set_aside(p->dbserver, "moved", on_aside, p);
    }
}

/* ---- a relay whose voters are elsewhere now, or have come up after it ---- */
static void on_voters_told(struct pool *p, const struct strv *addresses, void *userdata) {
    if (!addresses->n || db_get_status(p->config.db).has_quorum || p->identity.database == IDENTITY_DB_VOTER ||
        p->going_down || db_server_is_busy(p->dbserver))
        return;
    log_notice("the pool database has a majority that this host does not reach yet; it is looked for anew");
    pool_begin(p);
}

static void look_at_relay(struct pool *p, uint64_t now) {
    if (db_get_status(p->config.db).has_quorum || p->identity.database == IDENTITY_DB_VOTER) {
        p->relay_lost_ms = 0;
        p->n_relay_tries = 0;
        return;
    }
    if (!p->relay_lost_ms)
        p->relay_lost_ms = now;
    _cleanup_free_ char *wanted = pool_relay_voters(p);
    if (now - p->relay_lost_ms < RELAY_AFTER_MS || !wanted[0])
        return;
    if (str_eq(wanted, str_or_empty(p->relay_voters))) {
        /*
         * A relay that found nobody looks again after longer and longer breaks, eight seconds in the end. Without rows
         * there is nobody to ask (hosts are let in by their rows), and it is tried for the first minute.
         */
        p->relay_lost_ms = now;
        if (db_pool(p->config.db))
            pool_voters_ask(p, on_voters_told, NULL);
        else if (p->n_relay_tries++ < RELAY_TRIES)
            pool_begin(p);
        return;
    }
    log_notice("the pool database is looked for at %s", wanted);
    p->relay_lost_ms = 0;
    pool_begin(p);
}

void pool_address_tick(struct pool *p) {
    uint64_t now = loop_now_ms(p->config.loop);
    if (!p->db_started || p->going_down || !p->channel)
        return;
    if (!db_server_is_busy(p->dbserver) && !p->voters_busy) {
        look_at_relay(p, now);
        if (p->identity.database == IDENTITY_DB_VOTER && !p->readdressing && !db_server_is_busy(p->dbserver))
            db_server_get_status(p->dbserver, on_status, p);
    }
    if (!pool_is_coordinator(p)) {
        tell(p, now);
        return;
    }
    const struct row *own = pool_own_row(p);
    if (own && !p->readdressing && !p->address_writing && db_get_status(p->config.db).has_quorum &&
        !str_eq(row_str(own, FIELD_host_address), p->facts.address))
        write_address(p, own, p->facts.address, NULL);
    visit_missing(p, now);
}

void pool_address_init(struct pool *p) {
    pool_channel_serve(p->channel, "host_address", serve_address, p);
}
