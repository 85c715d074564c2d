/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/probing_ahead.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/probing_rows.h"
#include "net/net_types.h"
#include "probe/probe.h"

#define MAX_AHEADS 8
#define ID_SIZE 40

/* ---- what is to be measured ---- */

static const struct probing_leg *same_leg(const struct probing_leg *list, unsigned n, const struct probing_leg *l) {
    for (unsigned i = 0; i < n; i++)
        if (str_eq(list[i].leg.name, l->leg.name) && uuid_eq(&list[i].leg.group, &l->leg.group))
            return &list[i];
    return NULL;
}

static unsigned size_on(const struct probing_leg *l, uint16_t tag) {
    for (unsigned i = 0; l && i < l->leg.n_vlans; i++)
        if (l->leg.vlans[i].tag == tag)
            return l->leg.vlans[i].size;
    return 0;
}

/* Known as it is to be, or as carrying more. */
static bool has_peer(const struct probe_peer *list, unsigned n, const struct probe_peer *p) {
    for (unsigned i = 0; i < n; i++)
        if (uuid_eq(&list[i].host, &p->host) && uuid_eq(&list[i].group, &p->group) && str_eq(list[i].leg, p->leg))
            return !list[i].limit || (p->limit && p->limit <= list[i].limit);
    return false;
}

static void mac_text(const uint8_t mac[static 6], char text[static 18]) {
    struct net_mac m;
    memcpy(m.b, mac, 6);
    net_mac_text(&m, text);
}

static struct value leg_value(const struct probing_leg *l, const struct value *sizes) {
    struct value v = value_map();
    char text[UUID_TEXT_SIZE], mac[18];
    mac_text(l->leg.mac, mac);
    value_map_add(&v, "name", value_string(l->leg.name));
    value_map_add(&v, "mac", value_string(mac));
    value_map_add(&v, "group", value_string(uuid_text(&l->leg.group, text)));
    value_map_add(&v, "lag", value_bool(l->leg.lag));
    value_map_add(&v, "vlans", value_copy(sizes));
    return v;
}

struct paths {
    struct probing_leg legs[2][PROBING_MAX_LEGS]; /* then, now */
    struct probe_peer peers[2][PROBE_MAX_PEERS];
    unsigned n_legs[2], n_peers[2];
};

static bool meets_a_new_peer(const struct paths *p, const struct probing_leg *l) {
    for (unsigned i = 0; i < p->n_peers[0]; i++)
        if (uuid_eq(&p->peers[0][i].group, &l->leg.group) && !has_peer(p->peers[1], p->n_peers[1], &p->peers[0][i]))
            return true;
    return false;
}

static bool has_any_peer(const struct paths *p, const struct probing_leg *l) {
    for (unsigned i = 0; i < p->n_peers[0]; i++)
        if (uuid_eq(&p->peers[0][i].group, &l->leg.group))
            return true;
    return false;
}

struct value probing_paths(struct db *then, struct db *now, const struct uuid *host,
                           bool (*is_live)(const struct uuid *host, void *userdata), void *userdata) {
    static struct paths p; /* large; the loop thread alone is here */
    struct db *dbs[2] = {then, now};
    for (unsigned k = 0; k < 2; k++) {
        unsigned n = 0;
        p.n_legs[k] = probing_legs(dbs[k], host, p.legs[k]);
        p.n_peers[k] = probing_peers(dbs[k], host, p.peers[k]);
        for (unsigned i = 0; i < p.n_peers[k]; i++)
            if (is_live(&p.peers[k][i].host, userdata))
                p.peers[k][n++] = p.peers[k][i];
        p.n_peers[k] = n;
    }
    struct value legs = value_set(), raise = value_map(), peers = value_set();
    for (unsigned i = 0; i < p.n_legs[0]; i++) {
        const struct probing_leg *l = &p.legs[0][i], *old = same_leg(p.legs[1], p.n_legs[1], l);
        bool all = !old || meets_a_new_peer(&p, l);
        _cleanup_value_ struct value sizes = value_map();
        unsigned largest = 0;
        for (unsigned v = 0; v < l->leg.n_vlans && has_any_peer(&p, l); v++) {
            unsigned size = l->leg.vlans[v].size;
            char tag[8];
            if (!all && size_on(old, l->leg.vlans[v].tag) >= size)
                continue;
            snprintf(tag, sizeof(tag), "%u", l->leg.vlans[v].tag);
            value_map_put(&sizes, tag, value_int(size));
            largest = MAX(largest, size);
        }
        if (!largest)
            continue;
        value_set_add(&legs, leg_value(l, &sizes));
        value_map_put(&raise, l->leg.name, value_int(largest));
    }
    for (unsigned i = 0; legs.set.n && i < p.n_peers[0]; i++) {
        const struct probe_peer *q = &p.peers[0][i];
        struct value v = value_map();
        char text[UUID_TEXT_SIZE], mac[18];
        mac_text(q->mac, mac);
        value_map_add(&v, "host", value_string(uuid_text(&q->host, text)));
        value_map_add(&v, "leg", value_string(q->leg));
        value_map_add(&v, "mac", value_string(mac));
        value_map_add(&v, "group", value_string(uuid_text(&q->group, text)));
        if (q->limit)
            value_map_add(&v, "limit", value_int(q->limit));
        value_set_add(&peers, v);
    }
    struct value paths = {.type = VALUE_VOID};
    if (!legs.set.n) {
        value_done(&legs);
        value_done(&raise);
        value_done(&peers);
        return paths;
    }
    paths = value_map();
    value_map_add(&paths, "legs", legs);
    value_map_add(&paths, "peers", peers);
    value_map_add(&paths, "raise", raise);
    return paths;
}

/* ---- what the measurements say ---- */

/* What was known, with what was measured over it. Entries of a leg that is elsewhere then say nothing about it. */
static struct value merged(const struct row *host, const struct value *measured) {
    struct value table = value_map();
    const struct value *known = row_value(host, FIELD_host_path_table);
    for (size_t i = 0; i < known->map.n; i++) {
        const char *key = known->map.pairs[i].key, *arrow = strchr(key, '>');
        bool is_measured = false;
        for (size_t k = 0; arrow && measured && k < measured->map.n; k++)
            is_measured |= !strncmp(measured->map.pairs[k].key, key, (size_t)(arrow - key) + 1);
        if (!is_measured)
            value_map_put(&table, key, value_copy(&known->map.pairs[i].value));
    }
    for (size_t k = 0; measured && k < measured->map.n; k++)
        value_map_put(&table, measured->map.pairs[k].key, value_copy(&measured->map.pairs[k].value));
    return table;
}

/* All that hosts have to say of their own legs, and the pool of what belongs to none: key "HOST KEY" to sentence. */
static struct value all_faults(struct db *d, bool (*is_live)(const struct uuid *host, void *userdata), void *userdata) {
    struct value all = value_map();
    bool is_first = true;
    for (const struct row *h = db_first(d, CLASS_host); h; h = db_next(d, h)) {
        struct probing_view view = {
            .db = d, .self = h->uuid, .is_coordinator = is_first, .is_live = is_live, .userdata = userdata};
        _cleanup_value_ struct value list = probing_faults(&view);
        char uuid[UUID_TEXT_SIZE];
        is_first = false;
        for (size_t i = 0; i < list.map.n; i++) {
            _cleanup_free_ char *key = strf("%s %s", uuid_text(&h->uuid, uuid), list.map.pairs[i].key);
            value_map_put(&all, key, value_take(&list.map.pairs[i].value));
        }
    }
    return all;
}

struct value probing_verdict(struct db *then, struct db *now, const struct value *tables,
                             bool (*is_live)(const struct uuid *host, void *userdata), void *userdata) {
    for (const struct row *h = db_first(then, CLASS_host); h; h = db_next(then, h)) {
        char uuid[UUID_TEXT_SIZE];
        db_fork_set(then, CLASS_host, &h->uuid, FIELD_host_path_table,
                    merged(h, value_map_get(tables, uuid_text(&h->uuid, uuid))));
    }
    _cleanup_value_ struct value before = all_faults(now, is_live, userdata),
                                 after = all_faults(then, is_live, userdata);
    struct value bad = value_set();
    for (size_t i = 0; i < after.map.n; i++) {
        const char *old = value_map_str(&before, after.map.pairs[i].key);
        if (!old || !str_eq(old, value_str(&after.map.pairs[i].value)))
            value_set_add(&bad, value_take(&after.map.pairs[i].value));
    }
    return bad;
}

/* ---- measuring ---- */

struct ahead {
    struct probing_aheads *all;
    char id[ID_SIZE];
    struct probe *probe;
    struct loop_source *lease;
    probing_ahead_fn *done; /* NULL: has been told */
    void *userdata;
    struct ahead *next;
};

struct probing_aheads {
    struct loop *loop;
    struct uuid self;
    struct ahead *first;
    unsigned n;
};

static void tell(struct ahead *a, const struct value *table, const char *problem) {
    probing_ahead_fn *done = TAKE(a->done);
    if (done)
        done(table, problem, a->userdata);
}

static void ahead_free(struct ahead *a) {
    for (struct ahead **at = &a->all->first; *at; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            a->all->n--;
            break;
        }
    tell(a, NULL, "the measurement was ended");
    loop_source_free(a->lease);
    probe_free(a->probe);
    free(a);
}

static void on_lease(struct loop_source *s, void *userdata) {
    ahead_free(userdata);
}

static void add_entry(const struct probe_edge *e, void *userdata) {
    char key[96], text[32];
    probing_entry(e, key, text);
    value_map_put(userdata, key, value_string(text)); /* not measured is not proven: 0 */
}

static void on_proof(struct probe *probe, bool settled, void *userdata) {
    _cleanup_value_ struct value table = value_map();
    probe_each(probe, add_entry, &table);
    tell(userdata, &table, NULL);
}

static bool read_mac_group(const struct value *v, uint8_t mac[static 6], struct uuid *group) {
    struct net_mac m;
    const char *mac_string = value_map_str(v, "mac"), *group_string = value_map_str(v, "group");
    if (!mac_string || !group_string || !net_mac_parse(mac_string, &m) || !uuid_parse(group_string, group))
        return false;
    memcpy(mac, m.b, 6);
    return true;
}

static bool read_leg(const struct value *v, struct probing_leg *l) {
    const char *name = v->type == VALUE_MAP ? value_map_str(v, "name") : NULL;
    const struct value *vlans = name ? value_map_get(v, "vlans") : NULL, *lag = name ? value_map_get(v, "lag") : NULL;
    *l = (struct probing_leg){.leg = {.lag = lag && value_as_bool(lag)}};
    if (!vlans || vlans->type != VALUE_MAP || !str_copy(l->leg.name, sizeof(l->leg.name), name) ||
        !read_mac_group(v, l->leg.mac, &l->leg.group))
        return false;
    for (size_t i = 0; i < vlans->map.n && l->leg.n_vlans < PROBE_MAX_VLANS; i++) {
        int64_t tag, size = value_as_int(&vlans->map.pairs[i].value);
        if (!str_parse_int(vlans->map.pairs[i].key, 0, 4094, &tag) || size < PROBE_MIN_SIZE || size > PROBE_MAX_SIZE)
            return false;
        l->vlans[l->leg.n_vlans++] = (struct probe_vlan){(uint16_t)tag, (uint16_t)size};
    }
    return true;
}

static bool read_peer(const struct value *v, struct probe_peer *p) {
    const char *host = v->type == VALUE_MAP ? value_map_str(v, "host") : NULL,
               *leg = host ? value_map_str(v, "leg") : NULL;
    const struct value *limit = leg ? value_map_get(v, "limit") : NULL;
    int64_t size = limit && limit->type == VALUE_INT ? value_as_int(limit) : 0;
    *p = (struct probe_peer){.limit = (uint16_t)MIN(MAX(size, (int64_t)0), (int64_t)PROBE_MAX_SIZE)};
    return leg && uuid_parse(host, &p->host) && str_copy(p->leg, sizeof(p->leg), leg) &&
           read_mac_group(v, p->mac, &p->group);
}

static bool configure(struct ahead *a, const struct value *paths) {
    static struct probing_leg legs[PROBING_MAX_LEGS];
    static struct probe_leg plain[PROBING_MAX_LEGS];
    static struct probe_peer peers[PROBE_MAX_PEERS];
    const struct value *leg_list = paths->type == VALUE_MAP ? value_map_get(paths, "legs") : NULL,
                       *peer_list = leg_list ? value_map_get(paths, "peers") : NULL;
    unsigned n_legs = 0, n_peers = 0;
    if (!peer_list || leg_list->type != VALUE_SET || peer_list->type != VALUE_SET)
        return false;
    for (size_t i = 0; i < leg_list->set.n && n_legs < PROBING_MAX_LEGS; i++, n_legs++) {
        if (!read_leg(&leg_list->set.items[i], &legs[n_legs]))
            return false;
        plain[n_legs] = legs[n_legs].leg;
        plain[n_legs].vlans = legs[n_legs].vlans;
    }
    for (size_t i = 0; i < peer_list->set.n && n_peers < PROBE_MAX_PEERS; i++)
        if (!read_peer(&peer_list->set.items[i], &peers[n_peers++]))
            return false;
    probe_configure(a->probe, plain, n_legs, peers, n_peers);
    return true;
}

static struct ahead *find(struct probing_aheads *as, const char *id) {
    struct ahead *a = as->first;
    while (a && !str_eq(a->id, id))
        a = a->next;
    return a;
}

void probing_ahead_start(struct probing_aheads *as, const char *id, const struct value *paths, uint64_t deadline_ms,
                         uint64_t lease_ms, probing_ahead_fn *done, void *userdata) {
    struct ahead *old = find(as, id);
    if (old)
        ahead_free(old);
    if (as->n == MAX_AHEADS) {
        done(NULL, "too many changes are tried at the same time; try again in a moment", userdata);
        return;
    }
    struct ahead *a = xnew0(struct ahead);
    *a = (struct ahead){.all = as, .next = as->first, .probe = probe_new(as->loop, &as->self)};
    (void)str_copy(a->id, sizeof(a->id), id);
    as->first = a;
    as->n++;
    a->lease = loop_add_timer(as->loop, lease_ms, on_lease, a);
    if (!configure(a, paths)) {
        ahead_free(a);
        done(NULL, "the paths to measure make no sense", userdata);
        return;
    }
    a->done = done;
    a->userdata = userdata;
    probe_prove(a->probe, deadline_ms, on_proof, a);
}

void probing_ahead_renew(struct probing_aheads *as, const char *id, uint64_t lease_ms) {
    struct ahead *a = find(as, id);
    if (a)
        loop_timer_set(a->lease, lease_ms);
}

void probing_ahead_end(struct probing_aheads *as, const char *id) {
    struct ahead *a = find(as, id);
    if (a)
        ahead_free(a);
}

struct probing_aheads *probing_aheads_new(struct loop *l, const struct uuid *self) {
    struct probing_aheads *as = xnew0(struct probing_aheads);
    *as = (struct probing_aheads){.loop = l, .self = *self};
    return as;
}

void probing_aheads_free(struct probing_aheads *as) {
    if (!as)
        return;
    for (struct ahead *a; (a = as->first);) {
        as->first = a->next;
        ahead_free(a);
    }
    free(as);
}
