/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool_rows_private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/nic_bridge.h"
#include "base/str.h"

/* ---- the wire form ---- */
struct value rows_host_to_value(const struct rows_host *h) {
    struct value v = value_map(), nics = value_set();
    char text[UUID_TEXT_SIZE];
    value_map_add(&v, "host", value_string(uuid_text(&h->host, text)));
    value_map_add(&v, "hostname", value_string(h->hostname));
    value_map_add(&v, "address", value_string(h->address));
    value_map_add(&v, "management_vlan", value_stringf("%lld", (long long)h->management_vlan));
    for (unsigned i = 0; i < h->n_nics; i++) {
        const struct rows_nic *n = &h->nics[i];
        const struct rows_address *a = &n->address;
        struct value nic = value_map();
        value_map_add(&nic, "device", value_string(n->device));
        value_map_add(&nic, "mac", value_string(n->mac));
        value_map_add(&nic, "mtu", value_stringf("%lld", (long long)n->mtu));
        value_map_add(&nic, "management", value_string(n->management ? "true" : "false"));
        value_map_add(&nic, "bond", value_string(n->bond));
        value_map_add(&nic, "mode", value_string(a->mode));
        value_map_add(&nic, "ip", value_string(a->ip));
        value_map_add(&nic, "netmask", value_string(a->netmask));
        value_map_add(&nic, "gateway", value_string(a->gateway));
        value_map_add(&nic, "dns", value_string(a->dns));
        value_map_add(&nic, "ipv6_mode", value_string(a->ipv6_mode));
        value_map_add(&nic, "ipv6", value_string(a->ipv6));
        value_map_add(&nic, "ipv6_gateway", value_string(a->ipv6_gateway));
        value_set_add(&nics, nic);
    }
    value_map_add(&v, "nics", nics);
    return v;
}

static bool take_text(const struct value *map, const char *key, char *dst, size_t size, struct error **errp) {
    const char *s = value_map_str(map, key);
    if (!s || !str_copy(dst, size, s) || !str_is_utf8(s, strlen(s))) {
        error_setf(errp, ERR_INVALID_VALUE, "the joining host's '%s' is missing or too long", key);
        return false;
    }
    return true;
}

static bool is_address(const char *s) {
    struct in6_addr a;
    return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

static bool is_mac(const char *s) {
    for (unsigned i = 0; i < 17; i++)
        if (i % 3 == 2 ? s[i] != ':' : !strchr("0123456789abcdef", s[i]) || !s[i])
            return false;
    return !s[17];
}

static bool nic_from_value(const struct value *v, struct rows_nic *n, struct error **errp) {
    char mtu[16], management[8];
    struct rows_address *a = &n->address;
    if (v->type != VALUE_MAP) {
        error_setf(errp, ERR_INVALID_VALUE, "%s", "nics");
        return false;
    }
    if (!take_text(v, "device", n->device, sizeof(n->device), errp) ||
        !take_text(v, "mac", n->mac, sizeof(n->mac), errp) || !take_text(v, "mtu", mtu, sizeof(mtu), errp) ||
        !take_text(v, "management", management, sizeof(management), errp) ||
        !take_text(v, "bond", n->bond, sizeof(n->bond), errp) ||
        !take_text(v, "mode", a->mode, sizeof(a->mode), errp) || !take_text(v, "ip", a->ip, sizeof(a->ip), errp) ||
        !take_text(v, "netmask", a->netmask, sizeof(a->netmask), errp) ||
        !take_text(v, "gateway", a->gateway, sizeof(a->gateway), errp) ||
        !take_text(v, "dns", a->dns, sizeof(a->dns), errp) ||
        !take_text(v, "ipv6_mode", a->ipv6_mode, sizeof(a->ipv6_mode), errp) ||
        !take_text(v, "ipv6", a->ipv6, sizeof(a->ipv6), errp) ||
        !take_text(v, "ipv6_gateway", a->ipv6_gateway, sizeof(a->ipv6_gateway), errp))
        return false;
    n->management = str_eq(management, "true");
    if (!n->device[0] ||
        strspn(n->device, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(n->device) ||
        !is_mac(n->mac) || !str_parse_int(mtu, 0, 65536, &n->mtu)) {
        error_setf(errp, ERR_INVALID_VALUE, "NIC '%s' of the joining host", n->device);
        return false;
    }
    return true;
}

bool rows_host_from_value(const struct value *v, struct rows_host *ret, struct error **errp) {
    struct rows_host h = {.n_nics = 0};
    char vlan[8];
    const char *uuid = v->type == VALUE_MAP ? value_map_str(v, "host") : NULL;
    const struct value *nics = uuid ? value_map_get(v, "nics") : NULL;
    if (!uuid || !uuid_parse(uuid, &h.host) || !nics || nics->type != VALUE_SET || nics->set.n > ROWS_MAX_NICS) {
        error_setf(errp, ERR_INVALID_VALUE, "%s", "the description of the joining host");
        return false;
    }
    if (!take_text(v, "hostname", h.hostname, sizeof(h.hostname), errp) ||
        !take_text(v, "address", h.address, sizeof(h.address), errp) ||
        !take_text(v, "management_vlan", vlan, sizeof(vlan), errp))
        return false;
    if (!str_parse_int(vlan, -1, 4094, &h.management_vlan)) {
        error_setf(errp, ERR_INVALID_VALUE, "%s", "the VLAN of the joining host's management");
        return false;
    }
    if (!is_address(h.address)) {
        error_set(errp, ERR_INVALID_IP_ADDRESS_SPECIFIED, "address", NULL);
        return false;
    }
    for (size_t i = 0; i < nics->set.n; i++)
        if (!nic_from_value(&nics->set.items[i], &h.nics[h.n_nics++], errp))
            return false;
    *ret = h;
    return true;
}

/* ---- rows ---- */
static const struct row *network_by_bridge(struct db *d, const char *bridge) {
    for (const struct row *r = db_first(d, CLASS_network); r; r = db_next(d, r))
        if (str_eq(row_str(r, FIELD_network_bridge), bridge))
            return r;
    return NULL;
}

struct made { /* what has been made for the joining host */
    struct uuid nic_pif[ROWS_MAX_NICS];
    struct {
        struct uuid theirs, ours; /* PIF of the coordinator, and its mirror here */
    } mirror[64];
    unsigned n_mirrors;
    struct uuid management_port; /* the bond that its management leg is in; none: that NIC itself */
};

int rows_nic_at(struct db *d, const struct rows_host *h, const struct row *their_pif) {
    const struct row *network = db_follow(d, their_pif, FIELD_PIF_network);
    char bridge[16];
    for (unsigned i = 0; network && i < h->n_nics; i++) {
        nic_bridge_name(h->nics[i].device, bridge);
        if (str_eq(bridge, row_str(network, FIELD_network_bridge)))
            return (int)i;
    }
    return -1;
}

static struct uuid insert_mirror(struct db_txn *t, const struct rows_host *h, const struct row *theirs,
                                 const char *device, const char *mac, struct made *made) {
    struct uuid u =
        rows_insert_port(t, h, device, mac, row_ref(theirs, FIELD_PIF_network), row_int(theirs, FIELD_PIF_VLAN));
    if (made->n_mirrors < ARRAY_SIZE(made->mirror)) {
        made->mirror[made->n_mirrors].theirs = theirs->uuid;
        made->mirror[made->n_mirrors++].ours = u;
    }
    return u;
}

/* The address and the part of management go from a NIC to what lies on it, as Bond.create does. */
static void move_management(struct db_txn *t, const struct rows_host *h, unsigned nic, const struct uuid *to,
                            const struct made *made) {
    static const struct rows_address none = {.mode = "None"};
    rows_set_address(t, to, &h->nics[nic].address);
    rows_set_address(t, &made->nic_pif[nic], &none);
    TXN_SET(t, PIF, to, management, value_bool(true));
    TXN_SET(t, PIF, &made->nic_pif[nic], management, value_bool(false));
}

int rows_management_nic(const struct rows_host *h) {
    for (unsigned i = 0; i < h->n_nics; i++)
        if (h->nics[i].management)
            return (int)i;
    return -1;
}

/* One bond of the coordinator, made again from this host's NICs at the same positions; none of them: no bond. */
static void mirror_bond(struct db *d, struct db_txn *t, const struct rows_host *h, const struct row *bond,
                        struct made *made) {
    const struct row *theirs = db_follow(d, bond, FIELD_Bond_master);
    const struct value *members = row_value(bond, FIELD_Bond_slaves);
    int at[ROWS_MAX_NICS], n = 0, primary = -1, management = -1;
    if (!theirs || members->type != VALUE_SET)
        return;
    for (size_t i = 0; i < members->set.n && n < ROWS_MAX_NICS; i++) {
        const struct row *member = db_get(d, CLASS_PIF, &members->set.items[i].ref);
        int nic = member ? rows_nic_at(d, h, member) : -1;
        if (nic < 0)
            continue;
        at[n++] = nic;
        if (uuid_eq(&member->uuid, row_ref(bond, FIELD_Bond_primary_slave)))
            primary = nic;
        if (h->nics[nic].management)
            management = nic;
    }
    if (!n)
        return;
    if (management >= 0)
        primary = management;
    if (primary < 0)
        primary = at[0];
    struct uuid pif = insert_mirror(t, h, theirs, row_str(theirs, FIELD_PIF_device), h->nics[primary].mac, made);
    struct uuid ours = db_txn_insert(t, CLASS_Bond, NULL);
    TXN_SET(t, Bond, &ours, master, value_ref(&pif));
    TXN_SET(t, Bond, &ours, primary_slave, value_ref(&made->nic_pif[primary]));
    TXN_SET(t, Bond, &ours, mode, value_copy(row_value(bond, FIELD_Bond_mode)));
    TXN_SET(t, Bond, &ours, properties, value_copy(row_value(bond, FIELD_Bond_properties)));
    TXN_SET(t, Bond, &ours, auto_update_mac, value_bool(true));
    for (int i = 0; i < n; i++)
        TXN_SET(t, PIF, &made->nic_pif[at[i]], bond_slave_of, value_ref(&ours));
    if (management >= 0 && h->management_vlan < 0)
        move_management(t, h, (unsigned)management, &pif, made);
    if (management >= 0)
        made->management_port = pif;
}

static void mirror_vlan(struct db *d, struct db_txn *t, const struct rows_host *h, const struct row *vlan,
                        struct made *made) {
    const struct row *base = db_follow(d, vlan, FIELD_VLAN_tagged_PIF),
                     *theirs = db_follow(d, vlan, FIELD_VLAN_untagged_PIF);
    if (!base || !theirs)
        return;
    struct uuid ours = {.b = {0}};
    int nic = row_bool(base, FIELD_PIF_physical) ? rows_nic_at(d, h, base) : -1;
    if (nic >= 0)
        ours = made->nic_pif[nic];
    for (unsigned i = 0; i < made->n_mirrors; i++)
        if (uuid_eq(&made->mirror[i].theirs, &base->uuid))
            ours = made->mirror[i].ours;
    if (uuid_is_null(&ours))
        return;
    struct uuid pif = insert_mirror(t, h, theirs, row_str(theirs, FIELD_PIF_device), ROWS_VLAN_MAC, made);
    struct uuid u = db_txn_insert(t, CLASS_VLAN, NULL);
    TXN_SET(t, VLAN, &u, tagged_PIF, value_ref(&ours));
    TXN_SET(t, VLAN, &u, untagged_PIF, value_ref(&pif));
    TXN_SET(t, VLAN, &u, tag, value_int(row_int(vlan, FIELD_VLAN_tag)));
    TXN_SET(t, PIF, &pif, VLAN_master_of, value_ref(&u));
    int management = rows_management_nic(h);
    if (management < 0 || h->management_vlan != row_int(vlan, FIELD_VLAN_tag))
        return;
    const struct uuid *under =
        uuid_is_null(&made->management_port) ? &made->nic_pif[management] : &made->management_port;
    if (uuid_eq(&ours, under))
        move_management(t, h, (unsigned)management, &pif, made);
}

void rows_join(struct db *d, struct db_txn *t, const struct rows_host *h) {
    struct made made = {.n_mirrors = 0};
    const struct row *pool = db_pool(d);
    rows_insert_host(t, h);
    for (unsigned i = 0; i < h->n_nics; i++) {
        char bridge[16];
        nic_bridge_name(h->nics[i].device, bridge);
        const struct row *network = network_by_bridge(d, bridge);
        struct uuid u = network ? network->uuid : rows_insert_nic_network(t, &h->nics[i]);
        made.nic_pif[i] = rows_insert_nic(t, h, &h->nics[i], &u);
        if (h->nics[i].management)
            rows_set_address(t, &made.nic_pif[i], &h->nics[i].address);
    }
    const struct uuid *coordinator = row_ref(pool, FIELD_pool_master);
    for (const struct row *b = db_first(d, CLASS_Bond); b; b = db_next(d, b)) {
        const struct row *master = db_follow(d, b, FIELD_Bond_master);
        if (master && uuid_eq(row_ref(master, FIELD_PIF_host), coordinator))
            mirror_bond(d, t, h, b, &made);
    }
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        const struct row *base = db_follow(d, v, FIELD_VLAN_tagged_PIF);
        if (base && uuid_eq(row_ref(base, FIELD_PIF_host), coordinator))
            mirror_vlan(d, t, h, v, &made);
    }
}

void rows_add_nic(struct db *d, struct db_txn *t, const struct uuid *host, const struct rows_nic *n) {
    char bridge[16];
    nic_bridge_name(n->device, bridge);
    const struct row *network = network_by_bridge(d, bridge);
    struct rows_host h = {.host = *host};
    struct uuid u = network ? network->uuid : rows_insert_nic_network(t, n);
    rows_insert_nic(t, &h, n, &u);
}

void rows_eject(struct db *d, struct db_txn *t, const struct uuid *host) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        if (!uuid_eq(row_ref(p, FIELD_PIF_host), host))
            continue;
        const struct value *bonds = row_value(p, FIELD_PIF_bond_master_of),
                           *vlans = row_value(p, FIELD_PIF_VLAN_slave_of);
        for (size_t i = 0; i < bonds->set.n; i++)
            db_txn_delete(t, CLASS_Bond, &bonds->set.items[i].ref);
        for (size_t i = 0; i < vlans->set.n; i++)
            db_txn_delete(t, CLASS_VLAN, &vlans->set.items[i].ref);
        db_txn_delete(t, CLASS_PIF, &p->uuid);
    }
    for (const struct row *p = db_first(d, CLASS_PBD); p; p = db_next(d, p))
        if (uuid_eq(row_ref(p, FIELD_PBD_host), host))
            db_txn_delete(t, CLASS_PBD, &p->uuid);
    for (const struct row *r = db_first(d, CLASS_Certificate); r; r = db_next(d, r))
        if (uuid_eq(row_ref(r, FIELD_Certificate_host), host))
            db_txn_delete(t, CLASS_Certificate, &r->uuid);
    const struct row *h = db_get(d, CLASS_host, host);
    const struct row *control_domain = h ? db_follow(d, h, FIELD_host_control_domain) : NULL;
    if (control_domain)
        db_txn_delete(t, CLASS_VM, &control_domain->uuid);
    const struct value *blobs = h ? row_value(h, FIELD_host_blobs) : NULL;
    for (size_t i = 0; blobs && i < blobs->map.n; i++)
        db_txn_delete(t, CLASS_blob, &blobs->map.pairs[i].value.ref);
    db_txn_delete(t, CLASS_host, host);
}
