/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/probing_rows.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/model_keys.h"
#include "net/net_wanted.h"

static bool mac_parse(const char *text, uint8_t mac[static 6]) {
    unsigned v[6];
    char end;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &end) != 6)
        return false;
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)v[i];
    return true;
}

static uint16_t wanted_size(struct db *d, const struct row *pif) {
    const struct row *network = db_follow(d, pif, FIELD_PIF_network);
    int64_t mtu = network ? row_int(network, FIELD_network_MTU) : 1500, own;
    const char *override = value_map_str(row_value(pif, FIELD_PIF_other_config), "mtu");
    if (override && str_parse_int(override, 68, PROBE_MAX_SIZE, &own))
        mtu = own;
    return (uint16_t)MIN(MAX(mtu, (int64_t)PROBE_MIN_SIZE), (int64_t)PROBE_MAX_SIZE);
}

/* The PIF whose traffic a NIC carries: its bond's, or itself while it is plugged; NULL when it carries nothing. */
static const struct row *carrier_of(struct db *d, const struct row *nic, const struct row **ret_bond) {
    *ret_bond = db_follow(d, nic, FIELD_PIF_bond_slave_of);
    if (*ret_bond)
        return db_follow(d, *ret_bond, FIELD_Bond_master);
    return row_bool(nic, FIELD_PIF_currently_attached) || row_bool(nic, FIELD_PIF_management) ? nic : NULL;
}

static bool read_leg(struct db *d, const struct row *nic, struct probing_leg *leg) {
    const struct row *bond, *carrier;
    if (!row_bool(nic, FIELD_PIF_physical) || !row_bool(nic, FIELD_PIF_managed) ||
        !(carrier = carrier_of(d, nic, &bond)))
        return false;
    *leg = (struct probing_leg){.pif = nic->uuid, .carrier = carrier->uuid};
    if (!str_copy(leg->leg.name, sizeof(leg->leg.name), row_str(nic, FIELD_PIF_device)) ||
        !mac_parse(row_str(nic, FIELD_PIF_MAC), leg->leg.mac))
        return false;
    leg->leg.group = *row_ref(carrier, FIELD_PIF_network);
    leg->leg.lag = bond && str_eq(row_str(bond, FIELD_Bond_mode), "lacp");
    leg->management = row_bool(carrier, FIELD_PIF_management);
    leg->vlans[leg->leg.n_vlans++] = (struct probe_vlan){0, wanted_size(d, carrier)};
    const struct value *vlans = row_value(carrier, FIELD_PIF_VLAN_slave_of);
    for (size_t i = 0; i < vlans->set.n && leg->leg.n_vlans < PROBE_MAX_VLANS; i++) {
        const struct row *vlan = db_get(d, CLASS_VLAN, &vlans->set.items[i].ref),
                         *pif = vlan ? db_follow(d, vlan, FIELD_VLAN_untagged_PIF) : NULL;
        if (!pif || row_int(vlan, FIELD_VLAN_tag) <= 0)
            continue;
        leg->management |= row_bool(pif, FIELD_PIF_management);
        leg->vlans[leg->leg.n_vlans++] =
            (struct probe_vlan){(uint16_t)row_int(vlan, FIELD_VLAN_tag), wanted_size(d, pif)};
    }
    return true;
}

/* ---- a host that keeps a repair: what it has follows from more than its rows ---- */

bool probing_is_repaired(struct db *d, const struct uuid *host) {
    const struct row *r = db_get(d, CLASS_host, host);
    return r && value_map_str(row_value(r, FIELD_host_other_config), NET_REPAIR_ROW_KEY);
}

static const struct row *network_of(struct db *d, const struct net_bridge *b) {
    for (const struct row *r = db_first(d, CLASS_network); r; r = db_next(d, r))
        if (str_eq(row_str(r, FIELD_network_bridge), b->name))
            return r;
    return NULL;
}

static const struct row *pif_on(struct db *d, const struct uuid *host, const struct row *network) {
    for (const struct row *r = db_first(d, CLASS_PIF); r; r = db_next(d, r))
        if (uuid_eq(row_ref(r, FIELD_PIF_host), host) && uuid_eq(row_ref(r, FIELD_PIF_network), &network->uuid))
            return r;
    return NULL;
}

static const struct row *nic_named(struct db *d, const struct uuid *host, const char *device) {
    for (const struct row *r = db_first(d, CLASS_PIF); r; r = db_next(d, r))
        if (uuid_eq(row_ref(r, FIELD_PIF_host), host) && row_bool(r, FIELD_PIF_physical) &&
            str_eq(row_str(r, FIELD_PIF_device), device))
            return r;
    return NULL;
}

static void add_vlans(const struct net_config *c, const struct net_bridge *base, struct probing_leg *leg) {
    leg->vlans[leg->leg.n_vlans++] = (struct probe_vlan){0, (uint16_t)MIN(base->mtu, PROBE_MAX_SIZE)};
    leg->management = str_eq(c->management, base->name);
    for (unsigned i = 0; i < c->n_bridges && leg->leg.n_vlans < PROBE_MAX_VLANS; i++) {
        const struct net_bridge *v = &c->bridges[i];
        if (v->purpose != NET_PURPOSE_VLAN || !str_eq(v->parent, base->name) || v->tag <= 0)
            continue;
        leg->management |= str_eq(c->management, v->name);
        leg->vlans[leg->leg.n_vlans++] = (struct probe_vlan){(uint16_t)v->tag, (uint16_t)MIN(v->mtu, PROBE_MAX_SIZE)};
    }
}

static unsigned repaired_legs(struct db *d, const struct uuid *host, struct probing_leg ret[static PROBING_MAX_LEGS]) {
    struct error *ignored = NULL;
    _cleanup_net_config_ struct net_config *c = net_wanted(d, host, &ignored);
    unsigned n = 0;
    error_free(ignored);
    for (unsigned i = 0; c && i < c->n_bridges; i++) {
        const struct net_bridge *b = &c->bridges[i];
        const struct row *network = network_of(d, b), *carrier = network ? pif_on(d, host, network) : NULL;
        for (unsigned k = 0; network && carrier && k < b->n_legs && n < PROBING_MAX_LEGS; k++) {
            const struct row *pif = nic_named(d, host, b->legs[k]);
            const struct net_nic *nic = net_config_nic(c, b->legs[k]);
            struct probing_leg *leg = &ret[n];
            if (!pif || !nic)
                continue;
            *leg = (struct probing_leg){.pif = pif->uuid, .carrier = carrier->uuid};
            memcpy(leg->leg.mac, nic->mac.b, sizeof(leg->leg.mac));
            leg->leg.group = network->uuid;
            leg->leg.lag = b->purpose == NET_PURPOSE_BOND && b->bond.mode == NET_BOND_LACP;
            add_vlans(c, b, leg);
            n += str_copy(leg->leg.name, sizeof(leg->leg.name), b->legs[k]);
        }
    }
    return n;
}

static unsigned legs_of(struct db *d, const struct uuid *host, struct probing_leg ret[static PROBING_MAX_LEGS]) {
    unsigned n = 0;
    if (probing_is_repaired(d, host))
        return repaired_legs(d, host, ret);
    for (const struct row *r = db_first(d, CLASS_PIF); r && n < PROBING_MAX_LEGS; r = db_next(d, r))
        if (uuid_eq(row_ref(r, FIELD_PIF_host), host) && read_leg(d, r, &ret[n]))
            n++;
    return n;
}

unsigned probing_legs(struct db *d, const struct uuid *host, struct probing_leg ret[static PROBING_MAX_LEGS]) {
    unsigned n = legs_of(d, host, ret);
    for (unsigned i = 0; i < n; i++)
        ret[i].leg.vlans = ret[i].vlans;
    return n;
}

static void add_peer(const struct uuid *host, const struct probing_leg *leg, struct probe_peer *p) {
    *p = (struct probe_peer){.host = *host, .group = leg->leg.group};
    memcpy(p->leg, leg->leg.name, sizeof(p->leg));
    memcpy(p->mac, leg->leg.mac, sizeof(p->mac));
}

unsigned probing_peers(struct db *d, const struct uuid *self, struct probe_peer ret[static PROBE_MAX_PEERS]) {
    unsigned n = 0;
    for (const struct row *r = db_first(d, CLASS_PIF); r && n < PROBE_MAX_PEERS; r = db_next(d, r)) {
        struct probing_leg leg;
        if (!uuid_eq(row_ref(r, FIELD_PIF_host), self) && !probing_is_repaired(d, row_ref(r, FIELD_PIF_host)) &&
            read_leg(d, r, &leg))
            add_peer(row_ref(r, FIELD_PIF_host), &leg, &ret[n++]);
    }
    for (const struct row *h = db_first(d, CLASS_host); h && n < PROBE_MAX_PEERS; h = db_next(d, h)) {
        struct probing_leg legs[PROBING_MAX_LEGS];
        if (uuid_eq(&h->uuid, self) || !probing_is_repaired(d, &h->uuid))
            continue;
        unsigned n_legs = repaired_legs(d, &h->uuid, legs);
        for (unsigned i = 0; i < n_legs && n < PROBE_MAX_PEERS; i++) {
            add_peer(&h->uuid, &legs[i], &ret[n]);
            ret[n++].limit = legs[i].vlans[0].size; /* that of the bridge, which no VLAN on it exceeds */
        }
    }
    return n;
}

void probing_entry(const struct probe_edge *e, char key[static 96], char text[static 32]) {
    char host[UUID_TEXT_SIZE];
    int n = snprintf(key, 96, "%s>%s/%s", e->leg, uuid_text(&e->peer, host), e->peer_leg);
    if (e->vlan)
        snprintf(key + n, 96 - (size_t)n, "@%u", e->vlan);
    snprintf(text, 32, e->doubted ? "%u/%u?" : "%u/%u", e->size, e->wanted);
}

bool probing_entry_parse(const char *key, const char *text, struct probe_edge *ret) {
    struct probe_edge e = {.state = PROBE_UNKNOWN};
    const char *arrow = strchr(key, '>'), *slash = arrow ? strchr(arrow, '/') : NULL,
               *at = slash ? strchr(slash, '@') : NULL;
    char host[UUID_TEXT_SIZE];
    int64_t vlan = 0;
    unsigned size, wanted;
    char mark = 0, end;
    if (!slash || (size_t)(arrow - key) >= sizeof(e.leg) || slash - arrow != UUID_TEXT_SIZE ||
        strlen(slash + 1) >= sizeof(e.peer_leg) + 5)
        return false;
    size_t leg_len = at ? (size_t)(at - slash - 1) : strlen(slash + 1);
    if (leg_len >= sizeof(e.peer_leg) || (at && !str_parse_int(at + 1, 1, 4094, &vlan)))
        return false;
    memcpy(e.leg, key, (size_t)(arrow - key));
    memcpy(e.peer_leg, slash + 1, leg_len);
    memcpy(host, arrow + 1, UUID_TEXT_SIZE - 1);
    host[UUID_TEXT_SIZE - 1] = 0;
    int n = sscanf(text, "%5u/%5u%c%c", &size, &wanted, &mark, &end);
    if (!uuid_parse(host, &e.peer) || n < 2 || n > 3 || (n == 3 && mark != '?') || size > PROBE_MAX_SIZE ||
        wanted > PROBE_MAX_SIZE)
        return false;
    e.doubted = n == 3;
    e.vlan = (uint16_t)vlan;
    e.size = (uint16_t)size;
    e.wanted = (uint16_t)wanted;
    e.state = !size ? PROBE_DEAD : size < wanted ? PROBE_LIMITED : PROBE_PROVEN;
    *ret = e;
    return true;
}
