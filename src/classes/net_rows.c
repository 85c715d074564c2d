/* SPDX-License-Identifier: Apache-2.0 */
#include "classes/net_rows.h"

#include "base/str.h"
#include "net/net_types.h"
#include <inttypes.h>
#include <stdio.h>

const struct row *net_rows_pif_on(struct db *d, const struct uuid *host, const struct uuid *network) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        if (uuid_eq(row_ref(p, FIELD_PIF_host), host) && uuid_eq(row_ref(p, FIELD_PIF_network), network))
            return p;
    }
    return NULL;
}

const struct row *net_rows_pif_by_device(struct db *d, const struct uuid *host, const char *device) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        if (uuid_eq(row_ref(p, FIELD_PIF_host), host) && row_int(p, FIELD_PIF_VLAN) < 0 &&
            str_eq(row_str(p, FIELD_PIF_device), device))
            return p;
    }
    return NULL;
}

const struct row *net_rows_management_pif(struct db *d, const struct uuid *host) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        if (uuid_eq(row_ref(p, FIELD_PIF_host), host) && row_bool(p, FIELD_PIF_management))
            return p;
    }
    return NULL;
}

const struct row *net_rows_vlan(struct db *d, const struct uuid *base, int64_t tag) {
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        if (uuid_eq(row_ref(v, FIELD_VLAN_tagged_PIF), base) && row_int(v, FIELD_VLAN_tag) == tag)
            return v;
    }
    return NULL;
}

const struct row *net_rows_bond_of(struct db *d, const struct uuid *master) {
    for (const struct row *b = db_first(d, CLASS_Bond); b; b = db_next(d, b)) {
        if (uuid_eq(row_ref(b, FIELD_Bond_master), master))
            return b;
    }
    return NULL;
}

const struct row *net_rows_network_by_bridge(struct db *d, const char *bridge) {
    for (const struct row *n = db_first(d, CLASS_network); n; n = db_next(d, n)) {
        if (str_eq(row_str(n, FIELD_network_bridge), bridge))
            return n;
    }
    return NULL;
}

bool net_rows_is_bond_member(struct db *d, const struct row *pif) {
    return db_follow(d, pif, FIELD_PIF_bond_slave_of) != NULL;
}

bool net_rows_has_ip(const struct row *pif) {
    return !str_eq(row_str(pif, FIELD_PIF_ip_configuration_mode), "None") ||
           !str_eq(row_str(pif, FIELD_PIF_ipv6_configuration_mode), "None");
}

struct uuid *net_rows_hosts_on(struct db *d, const struct uuid *network, size_t *ret_n) {
    struct uuid *hosts = NULL;
    size_t n = 0;
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        if (!uuid_eq(row_ref(p, FIELD_PIF_network), network))
            continue;
        hosts = xrealloc_array(hosts, n + 1, sizeof(*hosts));
        hosts[n++] = *row_ref(p, FIELD_PIF_host);
    }
    *ret_n = n;
    return hosts;
}

char *net_rows_free_bond(struct db *d, const struct uuid *host) {
    for (unsigned i = 0;; i++) {
        char *name = strf("bond%u", i);
        if (!net_rows_pif_by_device(d, host, name))
            return name;
        free(name);
    }
}

char *net_rows_free_bridge(struct db *d) {
    for (unsigned i = 0;; i++) {
        char *name = strf("xapi%u", i);
        if (!net_rows_network_by_bridge(d, name))
            return name;
        free(name);
    }
}

/* ---- checks ---- */

bool net_fail_row(struct error **errp, const char *code, const struct row *r) {
    char ref[REF_TEXT_SIZE];
    error_set(errp, code, ref_text(&r->uuid, ref), NULL);
    return false;
}

bool net_check_mac(const char *text, struct error **errp) {
    struct net_mac mac;
    if (net_mac_parse(text, &mac) && !net_mac_is_zero(&mac) && !(mac.b[0] & 1))
        return true;
    error_set(errp, ERR_MAC_INVALID, text, NULL);
    return false;
}

bool net_check_network_managed(const struct row *network, struct error **errp) {
    return row_bool(network, FIELD_network_managed) || net_fail_row(errp, ERR_NETWORK_UNMANAGED, network);
}

bool net_check_network_free(struct db *d, const struct row *network, const struct uuid *host, struct error **errp) {
    const struct row *pif = net_rows_pif_on(d, host, &network->uuid);
    char host_ref[REF_TEXT_SIZE], pif_ref[REF_TEXT_SIZE];
    if (!pif)
        return true;
    error_set(errp, ERR_NETWORK_ALREADY_CONNECTED, ref_text(host, host_ref), ref_text(&pif->uuid, pif_ref), NULL);
    return false;
}

bool net_check_mtu(int64_t mtu, struct error **errp) {
    if (mtu >= NET_MTU_MIN && mtu <= NET_MTU_MAX)
        return true;
    error_set(errp, ERR_INVALID_VALUE, "MTU", "an MTU is a number from 576 to 65535", NULL);
    return false;
}

/* Refuses the pair of a VLAN above its base, with the command that makes room. Always false. */
static bool fail_vlan_above_base(const struct row *base_network, int64_t base_mtu, const struct row *vlan_network,
                                 int64_t vlan_mtu, bool raise_base, struct error **errp) {
    char uuid[UUID_TEXT_SIZE];
    const struct row *change = raise_base ? base_network : vlan_network;
    error_setf(errp, ERR_OPERATION_NOT_ALLOWED,
               "the VLAN network '%s' would have MTU %" PRId64 " on network '%s' with MTU %" PRId64
               ", which drops its larger frames; first %s: xe network-param-set uuid=%s MTU=%" PRId64,
               row_str(vlan_network, FIELD_network_name_label), vlan_mtu,
               row_str(base_network, FIELD_network_name_label), base_mtu,
               raise_base ? "raise the lower one" : "lower the VLAN's", uuid_text(&change->uuid, uuid),
               raise_base ? vlan_mtu : base_mtu);
    return false;
}

/* One PIF of the network: as a VLAN over its base, as a base under its VLANs. */
static bool check_pif_mtu(struct db *d, const struct row *pif, const struct row *network, int64_t mtu,
                          struct error **errp) {
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        const struct row *base = db_follow(d, v, FIELD_VLAN_tagged_PIF);
        const struct row *untagged = db_follow(d, v, FIELD_VLAN_untagged_PIF);
        const struct row *other = NULL;
        if (untagged && uuid_eq(&untagged->uuid, &pif->uuid) && base &&
            (other = db_follow(d, base, FIELD_PIF_network)) && row_int(other, FIELD_network_MTU) < mtu)
            return fail_vlan_above_base(other, row_int(other, FIELD_network_MTU), network, mtu, true, errp);
        if (base && uuid_eq(&base->uuid, &pif->uuid) && untagged &&
            (other = db_follow(d, untagged, FIELD_PIF_network)) && row_int(other, FIELD_network_MTU) > mtu)
            return fail_vlan_above_base(network, mtu, other, row_int(other, FIELD_network_MTU), false, errp);
    }
    return true;
}

bool net_check_mtu_fits(struct db *d, const struct row *network, int64_t mtu, struct error **errp) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        if (uuid_eq(row_ref(p, FIELD_PIF_network), &network->uuid) && !check_pif_mtu(d, p, network, mtu, errp))
            return false;
    }
    return true;
}

bool net_check_vlan_mtu(struct db *d, const struct row *base, const struct row *network, struct error **errp) {
    const struct row *below = db_follow(d, base, FIELD_PIF_network);
    int64_t mtu = row_int(network, FIELD_network_MTU);
    if (!below || row_int(below, FIELD_network_MTU) >= mtu)
        return true;
    return fail_vlan_above_base(below, row_int(below, FIELD_network_MTU), network, mtu, true, errp);
}
