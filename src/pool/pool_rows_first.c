/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first rows of a pool: the host as it is. What it was set up with before it knew of any pool (a bond, a VLAN for
 * management, large frames) is in them, or its first pool would take the network away that it is reached by.
 */
#include <stdio.h>
#include <string.h>

#include "base/nic_bridge.h"
#include "base/str.h"
#include "pool/pool_rows_private.h"

void rows_insert_host(struct db_txn *t, const struct rows_host *h) {
    db_txn_insert(t, CLASS_host, &h->host);
    TXN_SET(t, host, &h->host, name_label, value_string(h->hostname));
    TXN_SET(t, host, &h->host, hostname, value_string(h->hostname));
    TXN_SET(t, host, &h->host, address, value_string(h->address));
    TXN_SET(t, host, &h->host, enabled, value_bool(true));
    TXN_SET(t, host, &h->host, certificate, value_string(str_or_empty(h->certificate)));
}

struct uuid rows_insert_network(struct db_txn *t, const char *name, const char *bridge, int64_t mtu) {
    struct uuid u = db_txn_insert(t, CLASS_network, NULL);
    TXN_SET(t, network, &u, name_label, value_string(name));
    TXN_SET(t, network, &u, bridge, value_string(bridge));
    TXN_SET(t, network, &u, MTU, value_int(mtu > 0 ? mtu : 1500));
    TXN_SET(t, network, &u, managed, value_bool(true));
    return u;
}

struct uuid rows_insert_nic_network(struct db_txn *t, const struct rows_nic *n) {
    char bridge[NIC_BRIDGE_NAME_SIZE], name[64];
    nic_bridge_name(n->device, bridge);
    snprintf(name, sizeof(name), "Pool-wide network associated with %s", n->device);
    return rows_insert_network(t, name, bridge, n->network_mtu);
}

struct uuid rows_insert_nic(struct db_txn *t, const struct rows_host *h, const struct rows_nic *n,
                            const struct uuid *network) {
    struct uuid u = db_txn_insert(t, CLASS_PIF, NULL);
    TXN_SET(t, PIF, &u, device, value_string(n->device));
    TXN_SET(t, PIF, &u, network, value_ref(network));
    TXN_SET(t, PIF, &u, host, value_ref(&h->host));
    TXN_SET(t, PIF, &u, MAC, value_string(n->mac));
    TXN_SET(t, PIF, &u, MTU, value_int(n->mtu));
    TXN_SET(t, PIF, &u, VLAN, value_int(-1));
    TXN_SET(t, PIF, &u, physical, value_bool(true));
    TXN_SET(t, PIF, &u, managed, value_bool(true));
    TXN_SET(t, PIF, &u, currently_attached, value_bool(n->management));
    TXN_SET(t, PIF, &u, management, value_bool(n->management));
    return u;
}

void rows_set_address(struct db_txn *t, const struct uuid *pif, const struct rows_address *a) {
    TXN_SET(t, PIF, pif, ip_configuration_mode, value_string(a->mode[0] ? a->mode : "None"));
    TXN_SET(t, PIF, pif, IP, value_string(a->ip));
    TXN_SET(t, PIF, pif, netmask, value_string(a->netmask));
    TXN_SET(t, PIF, pif, gateway, value_string(a->gateway));
    TXN_SET(t, PIF, pif, DNS, value_string(a->dns));
    if (a->ipv6_mode[0] && !str_eq(a->ipv6_mode, "None")) {
        struct value addresses = value_set();
        if (a->ipv6[0])
            value_set_add(&addresses, value_string(a->ipv6));
        TXN_SET(t, PIF, pif, ipv6_configuration_mode, value_string(a->ipv6_mode));
        TXN_SET(t, PIF, pif, IPv6, addresses);
        TXN_SET(t, PIF, pif, ipv6_gateway, value_string(a->ipv6_gateway));
        if (str_eq(a->mode, "None"))
            TXN_SET(t, PIF, pif, primary_address_type, value_string("IPv6"));
    }
}

struct uuid rows_insert_port(struct db_txn *t, const struct rows_host *h, const char *device, const char *mac,
                             const struct uuid *network, int64_t tag) {
    struct uuid u = db_txn_insert(t, CLASS_PIF, NULL);
    TXN_SET(t, PIF, &u, device, value_string(device));
    TXN_SET(t, PIF, &u, network, value_ref(network));
    TXN_SET(t, PIF, &u, host, value_ref(&h->host));
    TXN_SET(t, PIF, &u, MAC, value_string(mac));
    TXN_SET(t, PIF, &u, MTU, value_int(-1));
    TXN_SET(t, PIF, &u, VLAN, value_int(tag));
    TXN_SET(t, PIF, &u, physical, value_bool(false));
    TXN_SET(t, PIF, &u, managed, value_bool(true));
    TXN_SET(t, PIF, &u, currently_attached, value_bool(false));
    return u;
}

/* ---- what the host has ---- */
struct first {
    struct db_txn *t;
    const struct rows_host *host;
    struct uuid nic_pif[ROWS_MAX_NICS], port_pif[ROWS_MAX_PORTS];
};

static bool is_leg(const struct rows_host *h, unsigned nic) {
    for (unsigned i = 0; i < h->n_ports; i++)
        for (unsigned k = 0; k < h->ports[i].n_legs; k++)
            if (h->ports[i].legs[k] == nic)
                return true;
    return false;
}

static bool port_manages(const struct rows_host *h) {
    for (unsigned i = 0; i < h->n_ports; i++)
        if (h->ports[i].management)
            return true;
    return false;
}

static void insert_nic(struct first *f, unsigned i) {
    struct rows_nic n = f->host->nics[i];
    bool leg = is_leg(f->host, i);
    if (port_manages(f->host)) {
        n.management = false;
        n.address = (struct rows_address){.mode = "None"};
    }
    struct uuid network = rows_insert_nic_network(f->t, &n);
    f->nic_pif[i] = rows_insert_nic(f->t, f->host, &n, &network);
    if (n.management)
        rows_set_address(f->t, &f->nic_pif[i], &n.address);
    if (n.network_mtu && !leg)
        TXN_SET(f->t, PIF, &f->nic_pif[i], plugged, value_bool(true));
}

/* The PIF that a VLAN lies on: an earlier bond, else the NIC with that bridge. */
static const struct uuid *find_below(const struct first *f, const char *bridge) {
    char name[NIC_BRIDGE_NAME_SIZE];
    for (unsigned i = 0; i < f->host->n_ports; i++)
        if (f->host->ports[i].tag < 0 && str_eq(f->host->ports[i].bridge, bridge))
            return &f->port_pif[i];
    for (unsigned i = 0; i < f->host->n_nics; i++) {
        nic_bridge_name(f->host->nics[i].device, name);
        if (str_eq(name, bridge))
            return &f->nic_pif[i];
    }
    return NULL;
}

static void insert_vlan(struct first *f, const struct rows_port *p, const struct uuid *pif) {
    const struct uuid *below = find_below(f, p->parent);
    if (!below)
        return;
    struct uuid u = db_txn_insert(f->t, CLASS_VLAN, NULL);
    TXN_SET(f->t, VLAN, &u, tagged_PIF, value_ref(below));
    TXN_SET(f->t, VLAN, &u, untagged_PIF, value_ref(pif));
    TXN_SET(f->t, VLAN, &u, tag, value_int(p->tag));
    TXN_SET(f->t, PIF, pif, VLAN_master_of, value_ref(&u));
}

static void insert_bond(struct first *f, const struct rows_port *p, const struct uuid *pif) {
    struct uuid u = db_txn_insert(f->t, CLASS_Bond, NULL);
    struct value properties = value_map();
    if (str_eq(p->mode, "lacp")) {
        value_map_add(&properties, "hashing_algorithm", value_string(p->hash_src_mac ? "src_mac" : "tcpudp_ports"));
        value_map_add(&properties, "lacp-time", value_string(p->lacp_fast ? "fast" : "slow"));
        value_map_add(&properties, "lacp-fallback-ab", value_string(p->no_fallback ? "false" : "true"));
    }
    TXN_SET(f->t, Bond, &u, master, value_ref(pif));
    TXN_SET(f->t, Bond, &u, primary_slave, value_ref(&f->nic_pif[p->primary]));
    TXN_SET(f->t, Bond, &u, mode, value_string(p->mode));
    TXN_SET(f->t, Bond, &u, properties, properties);
    TXN_SET(f->t, Bond, &u, auto_update_mac, value_bool(true));
    for (unsigned i = 0; i < p->n_legs; i++)
        TXN_SET(f->t, PIF, &f->nic_pif[p->legs[i]], bond_slave_of, value_ref(&u));
}

static void insert_port(struct first *f, unsigned i) {
    const struct rows_port *p = &f->host->ports[i];
    bool vlan = p->tag >= 0;
    char name[64];
    if (vlan)
        snprintf(name, sizeof(name), "VLAN %lld on %s", (long long)p->tag, p->device);
    else
        snprintf(name, sizeof(name), "Pool-wide network associated with %s", p->device);
    struct uuid network = rows_insert_network(f->t, name, p->bridge, p->network_mtu);
    struct uuid *pif = &f->port_pif[i];
    *pif = rows_insert_port(f->t, f->host, p->device, vlan ? ROWS_VLAN_MAC : f->host->nics[p->primary].mac, &network,
                            p->tag);
    if (vlan)
        insert_vlan(f, p, pif);
    else
        insert_bond(f, p, pif);
    rows_set_address(f->t, pif, &p->address);
    TXN_SET(f->t, PIF, pif, plugged, value_bool(true));
    TXN_SET(f->t, PIF, pif, management, value_bool(p->management));
}

void rows_first(struct db_txn *t, const struct uuid *pool, const struct rows_host *h, const char *ca_certificates) {
    struct first f = {.t = t, .host = h};
    db_txn_insert(t, CLASS_pool, pool);
    TXN_SET(t, pool, pool, master, value_ref(&h->host));
    TXN_SET(t, pool, pool, epoch, value_int(1));
    TXN_SET(t, pool, pool, ca_generation, value_int(1));
    TXN_SET(t, pool, pool, ca_certificates, value_string(ca_certificates));
    rows_insert_host(t, h);
    for (unsigned i = 0; i < h->n_nics; i++)
        insert_nic(&f, i);
    for (unsigned i = 0; i < h->n_ports; i++)
        insert_port(&f, i);
}
