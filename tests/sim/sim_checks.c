/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/strmap.h"
#include "ovsdb/ovsdb_value.h"

#define EJECTED_MS 20000
#define STRANGER_MS 90000 /* an ejected host's certificate is void once all hosts that are alive have new ones */
#define QUIET_MS 12000
#define SIZE_MS 20000
#define EARLY_MS 400
#define HERD_WINDOW_MS 10000

static struct {
    char text[600];
    struct strmap *leaders; /* "pool epoch" -> host, as text */
    struct uuid pool;
    uint64_t fault_ms[SIM_MAX_HOSTS];       /* of one that is judged */
    uint64_t judge_fault_ms[SIM_MAX_HOSTS]; /* of one that judges: standing still is none */
    bool was_alive[SIM_MAX_HOSTS][SIM_MAX_HOSTS];
    unsigned starts[SIM_MAX_HOSTS];
    uint64_t out_since_ms[SIM_MAX_HOSTS];
    bool by_word;
    uint64_t herd_since_ms, herd_n;
    uint64_t limited_ms; /* some switch port was at the latest */
} checks;

void violate(const char *fmt, ...) {
    if (checks.text[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(checks.text, sizeof(checks.text), fmt, ap);
    va_end(ap);
    sim_say("VIOLATED: %s", checks.text);
}

bool violated(void) {
    return checks.text[0];
}
const char *violation(void) {
    return checks.text;
}

void checks_init(void) {
    memset(&checks, 0, sizeof(checks));
    checks.leaders = strmap_new();
}

void checks_done(void) {
    size_t pos = 0;
    const char *key;
    void *value;
    while (strmap_next(checks.leaders, &pos, &key, &value))
        free(value);
    strmap_free(checks.leaders);
}

void checks_note_fault(unsigned host) {
    checks.fault_ms[host] = checks.judge_fault_ms[host] = sim_now_ms();
}
void checks_note_stall(unsigned host) {
    checks.fault_ms[host] = sim_now_ms();
}
void checks_note_all(void) {
    for (unsigned i = 0; i < sim->n_hosts; i++)
        checks_note_fault(i);
}
void checks_word(void) {
    checks.by_word = true;
}
void truth_set_pool(const struct uuid *pool) {
    checks.pool = *pool;
}
const struct uuid *truth_pool(void) {
    return &checks.pool;
}

/* ---- the pool as it is ---- */
static const json_t *row_of_pool(const struct server *s, const struct uuid *pool) {
    char text[UUID_TEXT_SIZE];
    return s->state ? json_object_get(json_object_get(s->state, "pool"), uuid_text(pool, text)) : NULL;
}

/* Writes go through here now. */
static bool leads_with_majority(const struct server *s) {
    const struct strv *config = server_config(s);
    size_t n = 0;
    for (size_t i = 0; s->mode == SERVER_VOTER && s->leads && config && i < config->n; i++) {
        unsigned k = sim_host_at(config->items[i]);
        const struct server *p = k == SIM_NOBODY ? NULL : sim->hosts[k].server;
        n += p && p->mode == SERVER_VOTER && p->file.cluster == s->file.cluster && sim_reaches_both(s->host->i, k);
    }
    return s->mode == SERVER_VOTER && s->leads && config && n * 2 > config->n;
}

struct server *truth_leader(void) {
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (leads_with_majority(sim->hosts[i].server) && row_of_pool(sim->hosts[i].server, &checks.pool))
            return sim->hosts[i].server;
    return NULL;
}

const json_t *truth_pool_row(const struct server *leader) {
    return leader ? row_of_pool(leader, &checks.pool) : NULL;
}

const json_t *truth_host_row(const struct server *leader, const struct uuid *host) {
    char text[UUID_TEXT_SIZE];
    return json_object_get(json_object_get(leader->state, "host"), uuid_text(host, text));
}

unsigned truth_n_hosts(const struct server *leader) {
    return (unsigned)json_object_size(json_object_get(leader->state, "host"));
}

bool host_is_ready(const struct sim_host *h) {
    return h->daemon && states_is_ready(pool_state(h->daemon->pool));
}

bool host_is_of_pool(const struct sim_host *h) {
    return h->daemon && uuid_eq(&h->daemon->pool->identity.pool, &checks.pool);
}

struct sim_host *truth_coordinator(void) {
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (host_is_ready(h) && host_is_of_pool(h) && pool_is_coordinator(h->daemon->pool) &&
            db_get_status(h->daemon->db).has_quorum && !h->daemon->going_down)
            return h;
    }
    return NULL;
}

/* The authorities of a bundle, newest first: which generation, by whose word. */
static void tell_bundle(const char *what, const char *bundle) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    for (const char *at = strstr(bundle, "CERTIFICATE-----\n"); at; at = strstr(at + 1, "BEGIN CERTIFICATE-----\n")) {
        const char *line = strchr(at, '\n') + 1;
        if (line[1] == ' ')
            buf_addf(&text, " %.48s;", line);
    }
    sim_say("   %s:%s", what, buf_str(&text));
}

static void tell_authorities(const struct sim_host *h) {
    const char *files[] = {"ca.pem", "ca-all.pem", "host.pem"};
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_buf_ struct buf bundle = BUF_INIT;
        _cleanup_free_ char *path = strf("/%s/state/pki/%s", h->name, files[i]);
        if (fs_read(path, 200000, &bundle) == 0)
            tell_bundle(files[i], buf_str(&bundle));
    }
}

void truth_tell(void) {
    const struct server *leader = truth_leader();
    if (leader) {
        const json_t *row = truth_pool_row(leader);
        tell_bundle("pool.ca_certificates", str_or_empty(json_string_value(json_object_get(row, "ca_certificates"))));
        tell_bundle("pool.retired_ca_certificates",
                    str_or_empty(json_string_value(json_object_get(row, "retired_ca_certificates"))));
    }
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        const struct sim_host *h = &sim->hosts[i];
        const struct server *s = h->server;
        static const char *const modes[] = {"down", "voter", "relay"};
        _cleanup_free_ char *config = server_config(s) ? strv_join(server_config(s), " ") : xstrdup("-");
        _cleanup_free_ char *at = strv_join(&s->relay_voters, " ");
        sim_say(
            "%s: %s, daemon %s, identity '%s' epoch %lld; server %s%s%s cluster %llu log %zu/%zu term %llu of [%s], "
            "relay of [%s] at %s",
            h->name, h->powered ? "on" : "off", h->daemon ? sm_state_name(pool_state(h->daemon->pool)) : "-",
            !h->daemon                                                ? "-"
            : h->daemon->pool->identity.database == IDENTITY_DB_VOTER ? "voter"
                                                                      : "none",
            h->daemon ? (long long)h->daemon->pool->identity.epoch : 0, modes[s->mode], s->leads ? " leads" : "",
            s->removed ? " removed" : "", (unsigned long long)s->file.cluster, s->file.commit, s->file.n,
            (unsigned long long)s->file.term, config, at, s->upstream ? s->upstream->host->name : "-");
        tell_authorities(h);
    }
}

/* ---- invariants ---- */
static void check_one_leader_per_epoch(const struct server *s) {
    const char *uuid;
    json_t *row;
    json_object_foreach(json_object_get(s->state, "pool"), uuid, row) {
        _cleanup_free_ char *key =
            strf("%s epoch %lld", uuid, (long long)json_integer_value(json_object_get(row, "epoch")));
        const char *master = json_string_value(json_array_get(json_object_get(row, "master"), 1));
        const char *known = strmap_get(checks.leaders, key);
        if (!master)
            continue;
        if (!known)
            (void)strmap_put(checks.leaders, key, xstrdup(master));
        else if (!str_eq(known, master))
            violate("pool %s has two coordinators: %s and %s (the latter at %s)", key, known, master, s->host->name);
    }
}

static void check_one_cluster(void) {
    const struct server *first = NULL;
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        const struct server *s = sim->hosts[i].server;
        if (!leads_with_majority(s) || !row_of_pool(s, &checks.pool))
            continue;
        if (first && first->file.cluster != s->file.cluster && !checks.by_word)
            violate("two databases of the pool take writes: at %s and at %s", first->host->name, s->host->name);
        first = s;
    }
}

static void check_ejected(const struct server *leader, struct sim_host *h, uint64_t now) {
    uint64_t *since = &checks.out_since_ms[h->i];
    if (!host_is_of_pool(h) || truth_host_row(leader, sim_uuid_of(h))) {
        *since = 0;
        return;
    }
    if (!*since)
        *since = now;
    if (now - *since > EJECTED_MS && host_is_ready(h))
        violate("%s is no member any more since %u s and calls itself ready", h->name,
                (unsigned)((now - *since) / 1000));
    if (now - *since > STRANGER_MS && server_is_connected(h->server) && h->server->mode == SERVER_VOTER &&
        h->server->file.cluster == leader->file.cluster)
        violate("%s is no member any more and still takes part in the pool's database", h->name);
}

static bool is_bad(const struct sim_path *p) {
    return p->cut || p->loss || p->delay_us;
}

/*
 * A coordinator calls a host dead. That is wrong while heartbeats come in, and it is wrong when nothing was done to the
 * host and to the way: that the judge itself stood still is no excuse.
 */
static void check_liveness(const struct server *leader, struct sim_host *by, struct sim_host *of, uint64_t now) {
    struct pool_channel *channel = by->daemon->pool->channel;
    const struct uuid *host = sim_uuid_of(of);
    bool *was = &checks.was_alive[by->i][of->i];
    if (is_bad(&sim->path[of->i][by->i]) || is_bad(&sim->path[by->i][of->i]))
        checks_note_fault(of->i);
    bool leads = channel && pool_is_coordinator(by->daemon->pool) && host_is_of_pool(by);
    bool alive = leads && host && pool_channel_is_alive(channel, host);
    bool judged = leads && host && of->daemon && !of->daemon->going_down && !of->daemon->ending && leader &&
                  truth_host_row(leader, host);
    if (*was && !alive && judged) {
        uint64_t last = pool_channel_last_beat_ms(channel, host), ago = now - last;
        bool early = last && ago + EARLY_MS < LIVENESS_DEAD_MS && now - checks.fault_ms[by->i] > QUIET_MS;
        if (now - checks.fault_ms[of->i] > QUIET_MS && (early || now - checks.judge_fault_ms[by->i] > QUIET_MS))
            violate("%s calls %s dead %u ms after its last heartbeat", by->name, of->name, (unsigned)ago);
    }
    *was = alive;
}

/* A pair that nothing has been done to for a while is connected, and each knows that the other lives. */
static void check_quiet_pair(const struct server *leader, struct sim_host *c, struct sim_host *m, uint64_t now) {
    if (c == m || is_bad(&sim->path[c->i][m->i]) || is_bad(&sim->path[m->i][c->i]) || !host_is_ready(m) ||
        !truth_host_row(leader, sim_uuid_of(m)) || !host_is_of_pool(m) || m->daemon->going_down || m->daemon->ending ||
        now - checks.fault_ms[c->i] < QUIET_MS || now - checks.fault_ms[m->i] < QUIET_MS ||
        now - m->daemon->pool->sm.entered_ms < QUIET_MS || now - c->daemon->pool->sm.entered_ms < QUIET_MS)
        return;
    if (uuid_eq(pool_leader(m->daemon->pool), sim_uuid_of(c)) &&
        pool_channel_is_connected(m->daemon->pool->channel, sim_uuid_of(c)) &&
        !pool_host_is_live(c->daemon->pool, sim_uuid_of(m)))
        violate("%s is connected to %s, is ready, and is called dead there", m->name, c->name);
}

static void check_herd(uint64_t now) {
    if (now - checks.herd_since_ms < HERD_WINDOW_MS)
        return;
    uint64_t n = sim->n_connects - checks.herd_n, limit = UINT64_C(30) * sim->n_hosts + 40;
    if (n > limit)
        violate("%u connections were tried within 10 s by %u hosts", (unsigned)n, sim->n_hosts);
    checks.herd_since_ms = now;
    checks.herd_n = sim->n_connects;
}

/* ---- faults of the network ---- */
static bool is_quiet(const struct sim_host *h, uint64_t ms, uint64_t now) {
    return h->daemon && host_is_ready(h) && host_is_of_pool(h) && now - checks.fault_ms[h->i] > ms &&
           now - checks.judge_fault_ms[h->i] > ms;
}

static bool has_alert(const struct server *leader, const struct sim_host *h) {
    const char *key;
    char uuid[UUID_TEXT_SIZE];
    json_t *row;
    uuid_text(sim_uuid_of(h), uuid);
    json_object_foreach(
        json_object_get(leader->state, "message"), key,
        row) if (str_starts(str_or_empty(json_string_value(json_object_get(row, "name"))), "MUSTER-N10") &&
                 str_eq(str_or_empty(json_string_value(json_object_get(row, "obj_uuid"))), uuid)) return true;
    return false;
}

static bool accuses_itself(const struct sim_host *h) {
    const struct value *faults = faults_shown(h->daemon->faults);
    for (size_t i = 0; i < faults->map.n; i++)
        if (str_starts(faults->map.pairs[i].key, "MUSTER-N101") || str_starts(faults->map.pairs[i].key, "MUSTER-N102"))
            return true;
    return false;
}

/* What is wrong is said, of the right host, and of no other. */
static void check_sizes(const struct server *leader, const struct sim_host *c, uint64_t now) {
    unsigned n_limited = 0, n_quiet = 0;
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        n_limited += sim->hosts[i].limited_since_ms != 0;
        n_quiet += is_quiet(&sim->hosts[i], SIZE_MS, now);
    }
    if (n_limited)
        checks.limited_ms = now;
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        const struct sim_host *h = &sim->hosts[i];
        if (h == c || !is_quiet(h, SIZE_MS, now) || !is_quiet(c, SIZE_MS, now) || is_bad(&sim->path[c->i][i]) ||
            is_bad(&sim->path[i][c->i]))
            continue;
        if (h->limited_since_ms && now - h->limited_since_ms > SIZE_MS && n_limited == 1 && n_quiet > 2 &&
            !has_alert(leader, h))
            violate("the switch port of %s passes 1500 bytes only since %u s and no alert says so", h->name,
                    (unsigned)((now - h->limited_since_ms) / 1000));
        if (now - checks.limited_ms > SIZE_MS && n_quiet == sim->n_hosts && accuses_itself(h))
            violate("%s accuses its switch port, which passes everything", h->name);
    }
}

void checks_step(void) {
    uint64_t now = sim_now_ms();
    const struct server *leader = truth_leader();
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].server->mode != SERVER_DOWN)
            check_one_leader_per_epoch(sim->hosts[i].server);
    check_one_cluster();
    check_herd(now);
    struct sim_host *coordinator = truth_coordinator();
    if (coordinator && leader)
        check_sizes(leader, coordinator, now);
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (h->n_starts != checks.starts[i]) { /* another process: it judges anew, and is judged anew */
            checks.starts[i] = h->n_starts;
            checks_note_fault(i);
            for (unsigned k = 0; k < sim->n_hosts; k++)
                checks.was_alive[i][k] = checks.was_alive[k][i] = false;
        }
        if (h->daemon && leader)
            check_ejected(leader, h, now);
        if (h->daemon)
            for (unsigned k = 0; k < sim->n_hosts; k++)
                if (k != i)
                    check_liveness(leader, h, &sim->hosts[k], now);
        if (coordinator && leader && h->daemon)
            check_quiet_pair(leader, coordinator, h, now);
    }
}
