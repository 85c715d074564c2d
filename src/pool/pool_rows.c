/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/pool_rows.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define TXN_SET(t, class, uuid, field, v) db_txn_set(t, CLASS_##class, uuid, FIELD_##class##_##field, v)

void rows_bridge_of(const char *device, char ret[static 16]) {
    int64_t n;
    if (str_starts(device, "eth") && str_parse_int(device + 3, 0, 9999, &n))
        snprintf(ret, 16, "xenbr%d", (int)n);
    else
        snprintf(ret, 16, "br%.13s", device);
}

/* ---- the wire form ---- */
struct value rows_host_to_value(const struct rows_host *h) {
    struct value v = value_map(), nics = value_set();
    char text[UUID_TEXT_SIZE];
    value_map_add(&v, "host", value_string(uuid_text(&h->host, text)));
    value_map_add(&v, "hostname", value_string(h->hostname));
    value_map_add(&v, "address", value_string(h->address));
    for (unsigned i = 0; i < h->n_nics; i++) {
        const struct rows_nic *n = &h->nics[i];
        struct value nic = value_map();
        value_map_add(&nic, "device", value_string(n->device));
        value_map_add(&nic, "mac", value_string(n->mac));
        value_map_add(&nic, "mtu", value_stringf("%lld", (long long)n->mtu));
        value_map_add(&nic, "management", value_string(n->management ? "true" : "false"));
        value_map_add(&nic, "mode", value_string(n->mode));
        value_map_add(&nic, "ip", value_string(n->ip));
        value_map_add(&nic, "netmask", value_string(n->netmask));
        value_map_add(&nic, "gateway", value_string(n->gateway));
        value_map_add(&nic, "dns", value_string(n->dns));
        value_map_add(&nic, "ipv6_mode", value_string(n->ipv6_mode));
        value_map_add(&nic, "ipv6", value_string(n->ipv6));
        value_map_add(&nic, "ipv6_gateway", value_string(n->ipv6_gateway));
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
    if (v->type != VALUE_MAP) {
        error_setf(errp, ERR_INVALID_VALUE, "%s", "nics");
        return false;
    }
    if (!take_text(v, "device", n->device, sizeof(n->device), errp) ||
        !take_text(v, "mac", n->mac, sizeof(n->mac), errp) || !take_text(v, "mtu", mtu, sizeof(mtu), errp) ||
        !take_text(v, "management", management, sizeof(management), errp) ||
        !take_text(v, "mode", n->mode, sizeof(n->mode), errp) || !take_text(v, "ip", n->ip, sizeof(n->ip), errp) ||
        !take_text(v, "netmask", n->netmask, sizeof(n->netmask), errp) ||
        !take_text(v, "gateway", n->gateway, sizeof(n->gateway), errp) ||
        !take_text(v, "dns", n->dns, sizeof(n->dns), errp) ||
        !take_text(v, "ipv6_mode", n->ipv6_mode, sizeof(n->ipv6_mode), errp) ||
        !take_text(v, "ipv6", n->ipv6, sizeof(n->ipv6), errp) ||
        !take_text(v, "ipv6_gateway", n->ipv6_gateway, sizeof(n->ipv6_gateway), errp))
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
    const char *uuid = v->type == VALUE_MAP ? value_map_str(v, "host") : NULL;
    const struct value *nics = uuid ? value_map_get(v, "nics") : NULL;
    if (!uuid || !uuid_parse(uuid, &h.host) || !nics || nics->type != VALUE_SET || nics->set.n > ROWS_MAX_NICS) {
        error_setf(errp, ERR_INVALID_VALUE, "%s", "the description of the joining host");
        return false;
    }
    if (!take_text(v, "hostname", h.hostname, sizeof(h.hostname), errp) ||
        !take_text(v, "address", h.address, sizeof(h.address), errp))
        return false;
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
static void insert_host(struct db_txn *t, const struct rows_host *h) {
    db_txn_insert(t, CLASS_host, &h->host);
    TXN_SET(t, host, &h->host, name_label, value_string(h->hostname));
    TXN_SET(t, host, &h->host, hostname, value_string(h->hostname));
    TXN_SET(t, host, &h->host, address, value_string(h->address));
    TXN_SET(t, host, &h->host, enabled, value_bool(true));
    TXN_SET(t, host, &h->host, certificate, value_string(str_or_empty(h->certificate)));
}

static struct uuid insert_network(struct db_txn *t, const struct rows_nic *n) {
    char bridge[16];
    rows_bridge_of(n->device, bridge);
    struct uuid u = db_txn_insert(t, CLASS_network, NULL);
    TXN_SET(t, network, &u, name_label, value_stringf("Pool-wide network associated with %s", n->device));
    TXN_SET(t, network, &u, bridge, value_string(bridge));
    TXN_SET(t, network, &u, MTU, value_int(1500));
    TXN_SET(t, network, &u, managed, value_bool(true));
    return u;
}

static struct uuid insert_pif(struct db_txn *t, const struct rows_host *h, const struct rows_nic *n,
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

static void set_address(struct db_txn *t, const struct uuid *pif, const struct rows_nic *n) {
    TXN_SET(t, PIF, pif, ip_configuration_mode, value_string(n->mode));
    TXN_SET(t, PIF, pif, IP, value_string(n->ip));
    TXN_SET(t, PIF, pif, netmask, value_string(n->netmask));
    TXN_SET(t, PIF, pif, gateway, value_string(n->gateway));
    TXN_SET(t, PIF, pif, DNS, value_string(n->dns));
    if (n->ipv6_mode[0] && !str_eq(n->ipv6_mode, "None")) {
        struct value addresses = value_set();
        if (n->ipv6[0])
            value_set_add(&addresses, value_string(n->ipv6));
        TXN_SET(t, PIF, pif, ipv6_configuration_mode, value_string(n->ipv6_mode));
        TXN_SET(t, PIF, pif, IPv6, addresses);
        TXN_SET(t, PIF, pif, ipv6_gateway, value_string(n->ipv6_gateway));
        if (str_eq(n->mode, "None"))
            TXN_SET(t, PIF, pif, primary_address_type, value_string("IPv6"));
    }
}

void rows_first(struct db_txn *t, const struct uuid *pool, const struct rows_host *h, const char *ca_certificates) {
    db_txn_insert(t, CLASS_pool, pool);
    TXN_SET(t, pool, pool, master, value_ref(&h->host));
    TXN_SET(t, pool, pool, epoch, value_int(1));
    TXN_SET(t, pool, pool, ca_generation, value_int(1));
    TXN_SET(t, pool, pool, ca_certificates, value_string(ca_certificates));
    insert_host(t, h);
    for (unsigned i = 0; i < h->n_nics; i++) {
        struct uuid network = insert_network(t, &h->nics[i]);
        struct uuid pif = insert_pif(t, h, &h->nics[i], &network);
        if (h->nics[i].management)
            set_address(t, &pif, &h->nics[i]);
    }
}

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
};

/* The NIC of the joining host at the position of one of the coordinator's PIFs: the same network. */
static int nic_at(struct db *d, const struct rows_host *h, const struct row *their_pif) {
    const struct row *network = db_follow(d, their_pif, FIELD_PIF_network);
    char bridge[16];
    for (unsigned i = 0; network && i < h->n_nics; i++) {
        rows_bridge_of(h->nics[i].device, bridge);
        if (str_eq(bridge, row_str(network, FIELD_network_bridge)))
            return (int)i;
    }
    return -1;
}

static struct uuid insert_mirror(struct db_txn *t, const struct rows_host *h, const struct row *theirs,
                                 const char *device, const char *mac, struct made *made) {
    struct uuid u = db_txn_insert(t, CLASS_PIF, NULL);
    TXN_SET(t, PIF, &u, device, value_string(device));
    TXN_SET(t, PIF, &u, network, value_ref(row_ref(theirs, FIELD_PIF_network)));
    TXN_SET(t, PIF, &u, host, value_ref(&h->host));
    TXN_SET(t, PIF, &u, MAC, value_string(mac));
    TXN_SET(t, PIF, &u, MTU, value_int(-1));
    TXN_SET(t, PIF, &u, VLAN, value_int(row_int(theirs, FIELD_PIF_VLAN)));
    TXN_SET(t, PIF, &u, physical, value_bool(false));
    TXN_SET(t, PIF, &u, managed, value_bool(true));
    TXN_SET(t, PIF, &u, currently_attached, value_bool(false));
    if (made->n_mirrors < ARRAY_SIZE(made->mirror)) {
        made->mirror[made->n_mirrors].theirs = theirs->uuid;
        made->mirror[made->n_mirrors++].ours = u;
    }
    return u;
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
        int nic = member ? nic_at(d, h, member) : -1;
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
    if (management >= 0) {
        /* The address and the part of management go to the bond, as Bond.create does. */
        static const struct rows_nic none = {.mode = "None"};
        set_address(t, &pif, &h->nics[management]);
        set_address(t, &made->nic_pif[management], &none);
        TXN_SET(t, PIF, &pif, management, value_bool(true));
        TXN_SET(t, PIF, &made->nic_pif[management], management, value_bool(false));
    }
}

static void mirror_vlan(struct db *d, struct db_txn *t, const struct rows_host *h, const struct row *vlan,
                        struct made *made) {
    const struct row *base = db_follow(d, vlan, FIELD_VLAN_tagged_PIF),
                     *theirs = db_follow(d, vlan, FIELD_VLAN_untagged_PIF);
    if (!base || !theirs)
        return;
    struct uuid ours = {.b = {0}};
    int nic = row_bool(base, FIELD_PIF_physical) ? nic_at(d, h, base) : -1;
    if (nic >= 0)
        ours = made->nic_pif[nic];
    for (unsigned i = 0; i < made->n_mirrors; i++)
        if (uuid_eq(&made->mirror[i].theirs, &base->uuid))
            ours = made->mirror[i].ours;
    if (uuid_is_null(&ours))
        return;
    struct uuid pif = insert_mirror(t, h, theirs, row_str(theirs, FIELD_PIF_device), "fe:ff:ff:ff:ff:ff", made);
    struct uuid u = db_txn_insert(t, CLASS_VLAN, NULL);
    TXN_SET(t, VLAN, &u, tagged_PIF, value_ref(&ours));
    TXN_SET(t, VLAN, &u, untagged_PIF, value_ref(&pif));
    TXN_SET(t, VLAN, &u, tag, value_int(row_int(vlan, FIELD_VLAN_tag)));
    TXN_SET(t, PIF, &pif, VLAN_master_of, value_ref(&u));
}

void rows_join(struct db *d, struct db_txn *t, const struct rows_host *h) {
    struct made made = {.n_mirrors = 0};
    const struct row *pool = db_pool(d);
    insert_host(t, h);
    for (unsigned i = 0; i < h->n_nics; i++) {
        char bridge[16];
        rows_bridge_of(h->nics[i].device, bridge);
        const struct row *network = network_by_bridge(d, bridge);
        struct uuid u = network ? network->uuid : insert_network(t, &h->nics[i]);
        made.nic_pif[i] = insert_pif(t, h, &h->nics[i], &u);
        if (h->nics[i].management)
            set_address(t, &made.nic_pif[i], &h->nics[i]);
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
    rows_bridge_of(n->device, bridge);
    const struct row *network = network_by_bridge(d, bridge);
    struct rows_host h = {.host = *host};
    struct uuid u = network ? network->uuid : insert_network(t, n);
    insert_pif(t, &h, n, &u);
}

bool rows_join_check(struct db *d, const struct rows_host *h, struct error **errp) {
    if (db_get(d, CLASS_host, &h->host)) {
        error_setf(errp, ERR_HOST_ALREADY_IN_POOL,
                   "host '%s' is a member already; to let it join anew, first run: xe pool-eject or xe host-forget",
                   h->hostname);
        return false;
    }
    for (const struct row *r = db_first(d, CLASS_host); r; r = db_next(d, r)) {
        if (str_eq(row_str(r, FIELD_host_address), h->address)) {
            error_setf(errp, ERR_HOST_ADDRESS_IN_USE,
                       "host '%s' of the pool has the address %s already; give the joining host another one first (xe "
                       "pif-reconfigure-ip)",
                       row_str(r, FIELD_host_name_label), h->address);
            return false;
        }
    }
    bool management = false;
    for (unsigned i = 0; i < h->n_nics; i++)
        management |= h->nics[i].management;
    if (!management) {
        error_setf(errp, ERR_HOST_HAS_NO_MANAGEMENT_IP, "%s", h->hostname);
        return false;
    }
    return true;
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
    const struct row *h = db_get(d, CLASS_host, host);
    const struct row *control_domain = h ? db_follow(d, h, FIELD_host_control_domain) : NULL;
    if (control_domain)
        db_txn_delete(t, CLASS_VM, &control_domain->uuid);
    db_txn_delete(t, CLASS_host, host);
}
