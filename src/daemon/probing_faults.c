/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/probing_faults.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/probing_rows.h"
#include "net/net_fault.h"

#define MAX_HOSTS 256

/* Somebody sends untagged frames over this bond or NIC of its own. */
static bool is_used_untagged(struct db *d, const struct row *carrier) {
    if (!carrier)
        return true;
    const char *mode = row_str(carrier, FIELD_PIF_ip_configuration_mode),
               *mode6 = row_str(carrier, FIELD_PIF_ipv6_configuration_mode);
    if (row_bool(carrier, FIELD_PIF_management) || (*mode && !str_eq(mode, "None")) ||
        (*mode6 && !str_eq(mode6, "None")))
        return true;
    const struct row *network = db_follow(d, carrier, FIELD_PIF_network);
    return network && row_value(network, FIELD_network_VIFs)->set.n;
}

static void read_facts(struct db *d, const struct probing_leg *legs, unsigned n, struct probe_leg_fact *ret) {
    for (unsigned i = 0; i < n; i++) {
        ret[i] = (struct probe_leg_fact){.group = legs[i].leg.group, .carrier = true};
        ret[i].untagged = is_used_untagged(d, db_get(d, CLASS_PIF, &legs[i].carrier));
        memcpy(ret[i].name, legs[i].leg.name, sizeof(ret[i].name));
        const struct row *pif = db_get(d, CLASS_PIF, &legs[i].pif),
                         *metrics = pif ? db_follow(d, pif, FIELD_PIF_metrics) : NULL;
        if (!metrics)
            continue;
        ret[i].carrier = row_bool(metrics, FIELD_PIF_metrics_carrier);
        str_copy(ret[i].switch_name, sizeof(ret[i].switch_name), row_str(metrics, FIELD_PIF_metrics_switch_name));
        str_copy(ret[i].switch_port, sizeof(ret[i].switch_port), row_str(metrics, FIELD_PIF_metrics_switch_port));
    }
}

static unsigned read_edges(const struct row *host, struct probe_edge **ret) {
    const struct value *table = row_value(host, FIELD_host_path_table);
    struct probe_edge *edges = xcalloc(MAX(table->map.n, (size_t)1), sizeof(*edges));
    unsigned n = 0;
    for (size_t i = 0; i < table->map.n && n < PROBE_MAX_EDGES; i++)
        if (probing_entry_parse(table->map.pairs[i].key, value_str(&table->map.pairs[i].value), &edges[n]))
            n++;
    *ret = edges;
    return n;
}

static enum net_fault code_of(const struct probe_fault *f, bool carrier) {
    switch (f->kind) {
    case PROBE_FAULT_LEG_DEAD:
        return carrier ? NET_FAULT_LEG_DEAD : NET_FAULT_NO_CARRIER;
    case PROBE_FAULT_LEG_LIMITED:
        return f->direction == PROBE_BOTH ? NET_FAULT_LEG_SIZE_LIMITED : NET_FAULT_LEG_ONE_WAY;
    case PROBE_FAULT_VLAN_MISSING:
    case PROBE_FAULT_VLAN_NOWHERE:
        return NET_FAULT_VLAN_NOT_CARRIED;
    case PROBE_FAULT_ISL_LIMITED:
    case PROBE_FAULT_ISL_DEAD:
        return NET_FAULT_ISL_SIZE_LIMITED;
    case PROBE_FAULT_FABRIC_LIMITED:
        return NET_FAULT_FABRIC_SIZE_LIMITED;
    case PROBE_FAULT_HOST_DOWN:
        return NET_FAULT_PEER_DOWN;
    }
    return NET_FAULT_NONE;
}

/* The bond that a leg belongs to, by its device; "" none. */
static const char *bond_of(struct db *d, const struct uuid *host, const char *leg) {
    for (const struct row *r = db_first(d, CLASS_PIF); r; r = db_next(d, r)) {
        if (!row_bool(r, FIELD_PIF_physical) || !uuid_eq(row_ref(r, FIELD_PIF_host), host) ||
            !str_eq(row_str(r, FIELD_PIF_device), leg))
            continue;
        const struct row *bond = db_follow(d, r, FIELD_PIF_bond_slave_of),
                         *master = bond ? db_follow(d, bond, FIELD_Bond_master) : NULL;
        return master ? row_str(master, FIELD_PIF_device) : "";
    }
    return "";
}

static void add_link_facts(struct db *d, const struct probe_fault *f, struct net_fault_facts *facts) {
    const struct probe_fault_end *here = &f->seen[0], *there = &f->seen[1];
    const struct row *host = db_get(d, CLASS_host, &here->host), *peer = db_get(d, CLASS_host, &there->host);
    facts->host = host ? row_str(host, FIELD_host_name_label) : NULL;
    facts->bond = bond_of(d, &here->host, here->leg);
    facts->nic = here->leg;
    facts->switch_port = here->switch_port;
    facts->peer_host = peer ? row_str(peer, FIELD_host_name_label) : NULL;
    facts->peer_bond = bond_of(d, &there->host, there->leg);
    facts->peer_nic = there->leg;
    facts->peer_switch = f->other_switch;
    facts->peer_port = there->switch_port;
}

static void describe(const struct probing_view *v, const struct probe_fault *f, struct value *list) {
    const struct row *host = db_get(v->db, CLASS_host, &f->host), *network = db_get(v->db, CLASS_network, &f->group);
    char network_uuid[UUID_TEXT_SIZE], key[128], code[NET_FAULT_CODE_SIZE];
    struct net_fault_facts facts = {.nic = f->leg,
                                    .vlan = f->vlan,
                                    .size_wanted = f->fails,
                                    .size_passes = f->passes,
                                    .direction = f->direction == PROBE_OUT  ? NET_DIRECTION_OUT
                                                 : f->direction == PROBE_IN ? NET_DIRECTION_IN
                                                                            : NET_DIRECTION_BOTH,
                                    .switch_name = f->switch_name,
                                    .switch_port = f->switch_port};
    struct net_mac mac;
    bool carrier = true;
    if (host)
        facts.host = row_str(host, FIELD_host_name_label);
    for (const struct row *r = db_first(v->db, CLASS_PIF); r; r = db_next(v->db, r))
        if (host && row_bool(r, FIELD_PIF_physical) && uuid_eq(row_ref(r, FIELD_PIF_host), &f->host) &&
            str_eq(row_str(r, FIELD_PIF_device), f->leg)) {
            if (net_mac_parse(row_str(r, FIELD_PIF_MAC), &mac))
                facts.mac = &mac;
            const struct row *metrics = db_follow(v->db, r, FIELD_PIF_metrics);
            carrier = !metrics || row_bool(metrics, FIELD_PIF_metrics_carrier);
        }
    facts.bond = host ? bond_of(v->db, &f->host, f->leg) : NULL;
    if (network) {
        facts.network_uuid = uuid_text(&network->uuid, network_uuid);
        facts.network_label = row_str(network, FIELD_network_name_label);
        facts.bridge = row_str(network, FIELD_network_bridge);
    }
    if (f->kind == PROBE_FAULT_HOST_DOWN) {
        facts.peer_host = facts.host;
        const struct row *self = db_get(v->db, CLASS_host, &v->self);
        facts.host = self ? row_str(self, FIELD_host_name_label) : NULL;
    }
    if (f->kind == PROBE_FAULT_ISL_LIMITED || f->kind == PROBE_FAULT_ISL_DEAD)
        add_link_facts(v->db, f, &facts);
    enum net_fault fault = code_of(f, carrier);
    if (fault == NET_FAULT_NO_CARRIER)
        return; /* the host's plan says that itself, without a peer */
    struct net_problems problems = {0};
    net_problems_add(&problems, fault, &facts);
    net_fault_code_text(fault, code);
    if (f->kind == PROBE_FAULT_HOST_DOWN)
        snprintf(key, sizeof(key), "%s/%s", code, facts.peer_host ? facts.peer_host : "?");
    else if (f->leg[0])
        snprintf(key, sizeof(key), f->vlan ? "%s/%s@%u" : "%s/%s", code, f->leg, f->vlan);
    else
        snprintf(key, sizeof(key), f->vlan ? "%s/%s@%u" : "%s/%s", code, facts.bridge ? facts.bridge : "network",
                 f->vlan);
    value_map_put(list, key, value_string_take(net_problem_line(&problems.items[0])));
    net_problems_done(&problems);
}

struct value probing_faults(const struct probing_view *v) {
    static struct probe_fault faults[PROBE_MAX_FAULTS];
    static struct probing_leg legs[PROBING_MAX_LEGS];
    static struct probe_report reports[MAX_HOSTS];
    static struct probe_leg_fact facts[MAX_HOSTS][PROBING_MAX_LEGS];
    struct probe_edge *edges[MAX_HOSTS];
    unsigned n = 0;
    for (const struct row *h = db_first(v->db, CLASS_host); h && n < MAX_HOSTS; h = db_next(v->db, h), n++) {
        unsigned n_legs = probing_legs(v->db, &h->uuid, legs);
        read_facts(v->db, legs, n_legs, facts[n]);
        reports[n] = (struct probe_report){.host = h->uuid,
                                           .live = uuid_eq(&h->uuid, &v->self) || v->is_live(&h->uuid, v->userdata),
                                           .legs = facts[n],
                                           .n_legs = n_legs};
        reports[n].n_edges = read_edges(h, &edges[n]);
        reports[n].edges = edges[n];
        reports[n].fresh = reports[n].n_edges > 0;
    }
    unsigned n_faults = probe_diagnose(reports, n, faults);
    struct value list = value_map();
    for (unsigned i = 0; i < n_faults; i++) {
        bool own = uuid_eq(&faults[i].host, &v->self);
        bool pools = faults[i].kind == PROBE_FAULT_HOST_DOWN || uuid_is_null(&faults[i].host);
        if (pools ? v->is_coordinator : own)
            describe(v, &faults[i], &list);
    }
    while (n)
        free(edges[--n]);
    return list;
}
