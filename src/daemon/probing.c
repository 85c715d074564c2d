/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/probing.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/probing_faults.h"
#include "daemon/probing_rows.h"
#include "probe/lldp.h"
#include "probe/probe_guard.h"

#define LOG_MODULE "prober"
#include "base/log.h"

#define RECONFIGURE_MS 50
#define PUBLISH_MS 150
#define SURVEY_MS 10000 /* neighbours by LLDP, the guard rule in the bridges */
#define SURVEY_FIRST_MS 1000
#define GUARD_TIMEOUT_MS 1000
#define MAX_BRIDGES 64
#define MAX_HOSTS 256

struct survey { /* a job: what the switch ports are called, and the guard rule put into each bridge */
    struct probing *probing;
    struct lldp_neighbour neighbours[LLDP_MAX_NEIGHBOURS];
    unsigned n_neighbours;
    char bridges[MAX_BRIDGES][108];
    unsigned n_bridges;
};

struct probing {
    struct probing_config config;
    struct probe *probe;
    struct probing_leg legs[PROBING_MAX_LEGS];
    unsigned n_legs;
    struct probe_peer peers[PROBE_MAX_PEERS]; /* as the prober has them */
    unsigned n_peers;
    struct loop_source *reconfigure, *publish, *survey_timer;
    bool surveying;
    bool stopped;
    struct db_watch *watch;
    struct { /* hosts that were live at the last look */
        struct uuid host;
        bool live;
    } seen[MAX_HOSTS];
    unsigned n_seen;
    probing_done_fn *done;
    void *done_userdata;
};

/* ---- configuration ---- */
static bool same_legs(const struct probing_leg *a, unsigned n_a, const struct probing_leg *b, unsigned n_b) {
    bool same = n_a == n_b;
    for (unsigned i = 0; same && i < n_a; i++)
        same = str_eq(a[i].leg.name, b[i].leg.name) && !memcmp(a[i].leg.mac, b[i].leg.mac, sizeof(a[i].leg.mac)) &&
               uuid_eq(&a[i].leg.group, &b[i].leg.group) && a[i].leg.lag == b[i].leg.lag &&
               a[i].leg.n_vlans == b[i].leg.n_vlans &&
               !memcmp(a[i].vlans, b[i].vlans, a[i].leg.n_vlans * sizeof(a[i].vlans[0]));
    return same;
}

static bool same_peers(const struct probe_peer *a, unsigned n_a, const struct probe_peer *b, unsigned n_b) {
    bool same = n_a == n_b;
    for (unsigned i = 0; same && i < n_a; i++)
        same = uuid_eq(&a[i].host, &b[i].host) && str_eq(a[i].leg, b[i].leg) && uuid_eq(&a[i].group, &b[i].group) &&
               a[i].limit == b[i].limit && !memcmp(a[i].mac, b[i].mac, sizeof(a[i].mac));
    return same;
}

/*
 * Rows change all the time, for measurements are rows, too. Only what makes another task is given to the prober: a new
 * configuration begins every measurement under way anew, and one of a limited path takes seconds.
 */
static void on_reconfigure(struct loop_source *s, void *userdata) {
    struct probing *p = userdata;
    static struct probe_peer peers[PROBE_MAX_PEERS];
    static struct probing_leg was[PROBING_MAX_LEGS];
    struct probe_leg legs[PROBING_MAX_LEGS];
    unsigned n_was = p->n_legs;
    memcpy(was, p->legs, n_was * sizeof(*was));
    p->n_legs = probing_legs(p->config.db, &p->config.self, p->legs);
    for (unsigned i = 0; i < p->n_legs; i++)
        legs[i] = p->legs[i].leg;
    unsigned n_peers = probing_peers(p->config.db, &p->config.self, peers);
    if (!same_legs(was, n_was, p->legs, p->n_legs) || !same_peers(p->peers, p->n_peers, peers, n_peers)) {
        memcpy(p->peers, peers, n_peers * sizeof(*peers));
        p->n_peers = n_peers;
        loop_timer_set(p->survey_timer, 0); /* bridges may be others now, without the guard rule */
        probe_configure(p->probe, legs, p->n_legs, peers, n_peers);
    }
    loop_timer_set(p->publish, PUBLISH_MS);
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    struct probing *p = userdata;
    switch (r->class->id) {
    case CLASS_PIF:
    case CLASS_Bond:
    case CLASS_VLAN:
    case CLASS_network:
    case CLASS_host: /* a repair that it keeps is in its row */
        if (!loop_timer_armed(p->reconfigure))
            loop_timer_set(p->reconfigure, RECONFIGURE_MS);
        break;
    case CLASS_host_metrics:
    case CLASS_PIF_metrics:
        if (!loop_timer_armed(p->publish))
            loop_timer_set(p->publish, PUBLISH_MS);
        break;
    default:
        break;
    }
}

/* ---- publication ---- */
struct proven {
    struct probing *p;
    struct value table;
    /* Smallest size to any live peer, untagged and over all VLANs; UINT16_MAX: none measured. */
    uint16_t least[PROBING_MAX_LEGS], least_tagged[PROBING_MAX_LEGS];
};

static void add_entry(const struct probe_edge *e, void *userdata) {
    struct proven *v = userdata;
    if (e->state == PROBE_UNKNOWN)
        return;
    char key[96], text[32];
    probing_entry(e, key, text);
    value_map_add(&v->table, key, value_string(text));
    for (unsigned i = 0; i < v->p->n_legs; i++)
        if (str_eq(v->p->legs[i].leg.name, e->leg) && v->p->config.is_live(&e->peer, v->p->config.userdata)) {
            uint16_t *least = e->vlan ? &v->least_tagged[i] : &v->least[i];
            *least = MIN(*least, e->size);
        }
}

static void publish_table(struct probing *p) {
    struct proven v = {.p = p, .table = value_map()};
    memset(v.least, 0xff, sizeof(v.least));
    memset(v.least_tagged, 0xff, sizeof(v.least_tagged));
    probe_each(p->probe, add_entry, &v);
    for (unsigned i = 0; i < p->n_legs; i++)
        if (!v.least[i] && v.least_tagged[i] != UINT16_MAX)
            v.least[i] = v.least_tagged[i]; /* a port that carries tagged VLANs alone */
    db_volatile_set(p->config.db, &p->config.self, CLASS_host, &p->config.self, FIELD_host_path_table, v.table);
    for (unsigned i = 0; i < p->n_legs; i++) {
        int64_t proven = v.least[i] == UINT16_MAX ? 0 : v.least[i];
        db_volatile_set(p->config.db, &p->config.self, CLASS_PIF, &p->legs[i].pif, FIELD_PIF_proven_size,
                        value_int(proven));
        if (uuid_eq(&p->legs[i].carrier, &p->legs[i].pif))
            continue;
        uint16_t bond = UINT16_MAX;
        for (unsigned k = 0; k < p->n_legs; k++)
            if (uuid_eq(&p->legs[k].carrier, &p->legs[i].carrier))
                bond = MIN(bond, v.least[k]);
        db_volatile_set(p->config.db, &p->config.self, CLASS_PIF, &p->legs[i].carrier, FIELD_PIF_proven_size,
                        value_int(bond == UINT16_MAX ? 0 : bond));
    }
}

/* A host that comes back starts with a clean sheet: what was measured while it was away says nothing about its cables.
 */
static void look_for_returns(struct probing *p) {
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h)) {
        bool live = p->config.is_live(&h->uuid, p->config.userdata), known = false;
        for (unsigned i = 0; i < p->n_seen; i++) {
            if (!uuid_eq(&p->seen[i].host, &h->uuid))
                continue;
            known = true;
            if (live && !p->seen[i].live)
                probe_forget(p->probe, &h->uuid);
            p->seen[i].live = live;
        }
        if (!known && p->n_seen < MAX_HOSTS) {
            p->seen[p->n_seen].host = h->uuid;
            p->seen[p->n_seen++].live = live;
        }
    }
}

struct value probing_faults_now(struct probing *p) {
    look_for_returns(p);
    publish_table(p);
    struct probing_view view = {.db = p->config.db,
                                .self = p->config.self,
                                .is_live = p->config.is_live,
                                .is_coordinator = p->config.is_coordinator(p->config.userdata),
                                .userdata = p->config.userdata};
    return probing_faults(&view);
}

static void on_publish(struct loop_source *s, void *userdata) {
    struct probing *p = userdata;
    faults_state(p->config.faults, FAULTS_PROBE, probing_faults_now(p));
}

static void on_probe_changed(struct probe *probe, void *userdata) {
    struct probing *p = userdata;
    if (!loop_timer_armed(p->publish))
        loop_timer_set(p->publish, PUBLISH_MS);
}

/* ---- doubts ---- */
struct doubts {
    struct probing *p;
    uint64_t since_ms;
    unsigned n_fresh[PROBING_MAX_LEGS], n_stale[PROBING_MAX_LEGS];
    uint16_t wanted[PROBING_MAX_LEGS];
};

static void count_edge(const struct probe_edge *e, void *userdata) {
    struct doubts *d = userdata;
    if (e->state != PROBE_PROVEN || e->vlan || !d->p->config.is_live(&e->peer, d->p->config.userdata))
        return; /* what is known to be bad is said by the faults */
    for (unsigned i = 0; i < d->p->n_legs; i++)
        if (str_eq(d->p->legs[i].leg.name, e->leg)) {
            *(e->measured_ms >= d->since_ms ? &d->n_fresh[i] : &d->n_stale[i]) += 1;
            d->wanted[i] = e->wanted;
        }
}

struct value probing_doubts(struct probing *p, uint64_t since_ms) {
    struct doubts d = {.p = p, .since_ms = since_ms};
    struct value map = value_map();
    probe_each(p->probe, count_edge, &d);
    for (unsigned i = 0; i < p->n_legs; i++)
        if (d.n_stale[i] && !d.n_fresh[i])
            value_map_put(&map, p->legs[i].leg.name,
                          value_stringf("leg '%s' was asked to carry %u bytes and no host has answered yet",
                                        p->legs[i].leg.name, d.wanted[i]));
    return map;
}

/* ---- the survey ---- */
static void survey_run(void *data) {
    struct survey *s = data;
    s->n_neighbours = lldp_read(s->neighbours);
    for (unsigned i = 0; i < s->n_bridges; i++) {
        /* A bridge whose daemon is not there has nothing to keep clean; the next round tries again. */
        int r = probe_guard_install(s->bridges[i], GUARD_TIMEOUT_MS);
        (void)r;
    }
}

static void survey_done(void *data) {
    struct survey *s = data;
    struct probing *p = s->probing;
    p->surveying = false;
    if (p->stopped) {
        free(p);
        free(s);
        return;
    }
    for (const struct row *r = db_first(p->config.db, CLASS_PIF); r; r = db_next(p->config.db, r)) {
        if (!uuid_eq(row_ref(r, FIELD_PIF_host), &p->config.self) || !row_bool(r, FIELD_PIF_physical))
            continue;
        const struct lldp_neighbour *n = NULL;
        for (unsigned i = 0; i < s->n_neighbours; i++)
            if (str_eq(s->neighbours[i].nic, row_str(r, FIELD_PIF_device)))
                n = &s->neighbours[i];
        const struct uuid *metrics = row_ref(r, FIELD_PIF_metrics);
        /* A switch that has fallen silent is still the switch that was there: names are kept until others come. */
        if (!n || !db_get(p->config.db, CLASS_PIF_metrics, metrics))
            continue;
        db_volatile_set(p->config.db, &p->config.self, CLASS_PIF_metrics, metrics, FIELD_PIF_metrics_switch_name,
                        value_string(n->switch_name));
        db_volatile_set(p->config.db, &p->config.self, CLASS_PIF_metrics, metrics, FIELD_PIF_metrics_switch_port,
                        value_string(n->switch_port));
    }
    free(s);
}

static void on_survey(struct loop_source *source, void *userdata) {
    struct probing *p = userdata;
    loop_timer_set(p->survey_timer, p->surveying ? SURVEY_FIRST_MS : SURVEY_MS);
    if (p->surveying)
        return;
    struct survey *s = xnew0(struct survey);
    s->probing = p;
    for (const struct row *r = db_first(p->config.db, CLASS_PIF); r && s->n_bridges < MAX_BRIDGES;
         r = db_next(p->config.db, r)) {
        const struct row *network = db_follow(p->config.db, r, FIELD_PIF_network);
        /* VLAN bridges are faces of the bridge below them, which has the rule */
        if (network && uuid_eq(row_ref(r, FIELD_PIF_host), &p->config.self) && row_int(r, FIELD_PIF_VLAN) < 0 &&
            (uuid_is_null(row_ref(r, FIELD_PIF_bond_slave_of)) || probing_is_repaired(p->config.db, &p->config.self)))
            snprintf(s->bridges[s->n_bridges++], sizeof(s->bridges[0]), "%s/%s.mgmt", p->config.switch_run_dir,
                     row_str(network, FIELD_network_bridge));
    }
    p->surveying = true;
    worker_submit(p->config.worker, "survey", survey_run, survey_done, s);
}

/* ---- proof ---- */
struct judgement {
    struct probing *p;
    struct probing_result result;
    bool any_live, any_control;
    unsigned n_bad;
};

static void judge_edge(const struct probe_edge *e, void *userdata) {
    struct judgement *j = userdata;
    struct probing *p = j->p;
    if (!p->config.is_live(&e->peer, p->config.userdata))
        return;
    bool management = false;
    for (unsigned i = 0; i < p->n_legs; i++)
        management |= p->legs[i].management && str_eq(p->legs[i].leg.name, e->leg);
    j->any_live |= management;
    j->any_control |= management && e->size >= MIN(e->wanted, (uint16_t)1500);
    if (e->state == PROBE_PROVEN)
        return;
    j->result.full_size = false;
    if (j->n_bad++)
        return;
    const struct row *peer = db_get(p->config.db, CLASS_host, &e->peer);
    const char *name = peer ? row_str(peer, FIELD_host_name_label) : "a peer";
    if (e->state == PROBE_UNKNOWN)
        snprintf(j->result.sentence, sizeof(j->result.sentence),
                 "leg '%s' to leg '%s' of host '%s' has not been measured yet", e->leg, e->peer_leg, name);
    else
        snprintf(j->result.sentence, sizeof(j->result.sentence),
                 "from leg '%s' to leg '%s' of host '%s'%s%.0u %u bytes pass where %u are wanted", e->leg, e->peer_leg,
                 name, e->vlan ? " on VLAN " : "", e->vlan, e->size, e->wanted);
}

struct probing_result probing_now(struct probing *p) {
    struct judgement j = {.p = p, .result = {.settled = true, .full_size = true}};
    probe_each(p->probe, judge_edge, &j);
    j.result.control_passes = j.any_control || !j.any_live;
    return j.result;
}

struct reverse {
    struct probing *p;
    bool is_lacking;
};

static void look_for_reverse(const struct probe_edge *e, void *userdata) {
    struct reverse *v = userdata;
    struct probing *p = v->p;
    if (v->is_lacking || e->vlan || !p->config.is_live(&e->peer, p->config.userdata))
        return;
    const struct row *peer = db_get(p->config.db, CLASS_host, &e->peer);
    struct probe_edge there = {.peer = p->config.self};
    char key[96], text[32];
    memcpy(there.leg, e->peer_leg, sizeof(there.leg));
    memcpy(there.peer_leg, e->leg, sizeof(there.peer_leg));
    probing_entry(&there, key, text);
    v->is_lacking = peer && !value_map_get(row_value(peer, FIELD_host_path_table), key);
}

bool probing_is_measured(struct probing *p) {
    struct reverse v = {.p = p};
    probe_each(p->probe, look_for_reverse, &v);
    return !v.is_lacking;
}

struct unexplained {
    struct probing *p;
    bool is_limited; /* this host, or the network as a whole: that explains all */
    bool is_there;
};

/* One that is about paths. With `whole`: about those between all hosts. */
static bool has_fault(const struct row *host, bool whole) {
    const struct value *faults = row_value(host, FIELD_host_faults);
    for (size_t i = 0; i < faults->map.n; i++) {
        const char *key = faults->map.pairs[i].key;
        if (whole ? str_starts(key, "MUSTER-N104") || str_starts(key, "MUSTER-N105")
                  : str_starts(key, "MUSTER-N10") && !str_starts(key, "MUSTER-N106"))
            return true;
    }
    return false;
}

static void look_for_unexplained(const struct probe_edge *e, void *userdata) {
    struct unexplained *u = userdata;
    struct probing *p = u->p;
    const struct row *peer = db_get(p->config.db, CLASS_host, &e->peer);
    struct probe_edge there = {.peer = p->config.self, .vlan = e->vlan}, back;
    char key[96], text[32];
    if (u->is_limited || u->is_there || !peer || !p->config.is_live(&e->peer, p->config.userdata))
        return;
    memcpy(there.leg, e->peer_leg, sizeof(there.leg));
    memcpy(there.peer_leg, e->leg, sizeof(there.peer_leg));
    probing_entry(&there, key, text);
    const char *sizes = value_map_str(row_value(peer, FIELD_host_path_table), key);
    bool is_short = e->state != PROBE_PROVEN || e->doubted ||
                    (sizes && probing_entry_parse(key, sizes, &back) && (back.state != PROBE_PROVEN || back.doubted));
    u->is_there = is_short && !has_fault(peer, /* whole= */ false);
}

bool probing_is_explained(struct probing *p) {
    struct unexplained u = {.p = p, .is_limited = faults_limit(p->config.faults) != NULL};
    for (const struct row *h = db_first(p->config.db, CLASS_host); h; h = db_next(p->config.db, h))
        u.is_limited |= p->config.is_live(&h->uuid, p->config.userdata) && has_fault(h, /* whole= */ true);
    probe_each(p->probe, look_for_unexplained, &u);
    return !u.is_there;
}

void probing_tell(struct probing *p) {
    on_publish(NULL, p);
}

static void on_proof(struct probe *probe, bool settled, void *userdata) {
    struct probing *p = userdata;
    struct probing_result r = probing_now(p);
    r.settled = settled;
    probing_done_fn *done = p->done;
    p->done = NULL;
    if (done)
        done(&r, p->done_userdata);
}

bool probing_is_proving(const struct probing *p) {
    return p->done != NULL;
}

void probing_prove(struct probing *p, uint64_t deadline_ms, probing_done_fn *done, void *userdata) {
    probing_done_fn *earlier = TAKE(p->done);
    void *earlier_userdata = p->done_userdata;
    on_reconfigure(NULL, p);
    loop_timer_set(p->survey_timer, 0); /* what is proven has just been made: a new bridge has no guard rule yet */
    probe_prove(p->probe, deadline_ms, on_proof, p);
    p->done = done;
    p->done_userdata = userdata;
    if (earlier) { /* one at a time: what is known has to do for it */
        struct probing_result r = probing_now(p);
        r.settled = false;
        earlier(&r, earlier_userdata);
    }
}

/* ---- life ---- */
struct probing *probing_new(const struct probing_config *config) {
    struct probing *p = xnew0(struct probing);
    p->config = *config;
    p->probe = probe_new(config->loop, &config->self);
    probe_on_change(p->probe, on_probe_changed, p);
    p->reconfigure = loop_add_timer(config->loop, RECONFIGURE_MS, on_reconfigure, p);
    p->publish = loop_add_timer(config->loop, LOOP_NEVER, on_publish, p);
    p->survey_timer = loop_add_timer(config->loop, SURVEY_FIRST_MS, on_survey, p);
    p->watch = db_watch_add(config->db, -1, on_row, p);
    return p;
}

void probing_free(struct probing *p) {
    if (!p)
        return;
    db_watch_free(p->watch);
    loop_source_free(p->reconfigure);
    loop_source_free(p->publish);
    loop_source_free(p->survey_timer);
    probe_free(TAKE(p->probe));
    p->stopped = true;
    if (!p->surveying)
        free(p); /* else the survey's end does it */
}
