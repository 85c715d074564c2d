/* SPDX-License-Identifier: Apache-2.0 */
/* Class PIF: addresses, plugging, and the records of NICs. */
#include "api/api.h"
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/net_change.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"
#include "net/net_types.h"

static bool fail(struct call *c, struct error *e) {
    call_fail(c, e);
    return false;
}

static void start_on_pif(struct call *c, net_change_body_fn *body) {
    const struct row *pif = call_arg_row(c, 0);
    if (pif)
        net_change_start(c, row_ref(pif, FIELD_PIF_host), 1, NET_CHANGE_ALL_LIVE, body);
}

/* ---- addresses ---- */

static bool bad_address(struct error **errp, const char *parameter) {
    error_set(errp, ERR_INVALID_IP_ADDRESS_SPECIFIED, parameter, NULL);
    return false;
}

/* An address of this family; NULL-terminated text. With a prefix only where `prefix` says so. */
static bool is_address(const char *text, enum net_family family, bool prefix) {
    struct net_addr a;
    return (strchr(text, '/') != NULL) == prefix && net_addr_parse(text, &a) && a.family == family;
}

/* "1.1.1.1,fd00::1": each an address of either family. */
static bool check_dns(const char *text, struct error **errp) {
    _cleanup_strv_ struct strv parts = {0};
    if (!*text)
        return true;
    strv_split(&parts, text, ',');
    if (parts.n > NET_MAX_DNS)
        return bad_address(errp, "DNS");
    for (size_t i = 0; i < parts.n; i++) {
        if (!is_address(parts.items[i], NET_FAMILY_IPV4, false) && !is_address(parts.items[i], NET_FAMILY_IPV6, false))
            return bad_address(errp, "DNS");
    }
    return true;
}

static bool check_ipv4(const char *mode, const char *ip, const char *netmask, const char *gateway,
                       struct error **errp) {
    bool is_static = str_eq(mode, "Static");
    if ((is_static || *ip) && !is_address(ip, NET_FAMILY_IPV4, false))
        return bad_address(errp, "IP");
    if ((is_static || *netmask) && net_netmask_to_prefix(netmask) < 0)
        return bad_address(errp, "netmask");
    if (*gateway && !is_address(gateway, NET_FAMILY_IPV4, false))
        return bad_address(errp, "gateway");
    return true;
}

/* The other family's resolvers stay when this one's are replaced. */
static char *merge_dns(const char *old, const char *new, enum net_family family) {
    _cleanup_strv_ struct strv parts = {0};
    _cleanup_buf_ struct buf merged = BUF_INIT;
    buf_add_str(&merged, new);
    strv_split(&parts, old, ',');
    for (size_t i = 0; i < parts.n; i++) {
        if (!*parts.items[i] || is_address(parts.items[i], family, false) || strstr(new, parts.items[i]))
            continue;
        buf_addf(&merged, "%s%s", merged.size ? "," : "", parts.items[i]);
    }
    return buf_take(&merged);
}

/* Management needs an address of its family. */
static bool check_management_mode(const struct row *pif, const char *family, const char *mode, struct error **errp) {
    if (row_bool(pif, FIELD_PIF_management) && str_eq(mode, "None") &&
        str_eq(row_str(pif, FIELD_PIF_primary_address_type), family))
        return net_fail_row(errp, ERR_PIF_IS_MANAGEMENT_INTERFACE, pif);
    return true;
}

static bool reconfigure_ip(struct call *c, struct net_change *ch) {
    const struct row *pif = call_arg_row(c, 0);
    const char *mode = call_arg_str(c, 1), *ip = call_arg_str(c, 2), *netmask = call_arg_str(c, 3);
    const char *gateway = call_arg_str(c, 4), *dns = call_arg_str(c, 5);
    struct error *e = NULL;
    if (!pif)
        return false;
    if (net_rows_is_bond_member(call_db(c), pif)) {
        net_fail_row(&e, ERR_CANNOT_PLUG_BOND_SLAVE, pif);
        return fail(c, e);
    }
    if (!check_ipv4(mode, ip, netmask, gateway, &e) || !check_dns(dns, &e) ||
        !check_management_mode(pif, "IPv4", mode, &e))
        return fail(c, e);
    char *merged = merge_dns(row_str(pif, FIELD_PIF_DNS), dns, NET_FAMILY_IPV4);
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_ip_configuration_mode, value_string(mode));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_IP, value_string(ip));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_netmask, value_string(netmask));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_gateway, value_string(gateway));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_DNS, value_string_take(merged));
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pif_reconfigure_ip(struct call *c) {
    start_on_pif(c, reconfigure_ip);
}

static bool reconfigure_ipv6(struct call *c, struct net_change *ch) {
    const struct row *pif = call_arg_row(c, 0);
    const char *mode = call_arg_str(c, 1), *ip = call_arg_str(c, 2);
    const char *gateway = call_arg_str(c, 3), *dns = call_arg_str(c, 4);
    struct error *e = NULL;
    if (!pif)
        return false;
    if (net_rows_is_bond_member(call_db(c), pif)) {
        net_fail_row(&e, ERR_CANNOT_PLUG_BOND_SLAVE, pif);
        return fail(c, e);
    }
    if ((str_eq(mode, "Static") || *ip) && !is_address(ip, NET_FAMILY_IPV6, true)) {
        bad_address(&e, "IPv6");
        return fail(c, e);
    }
    if (*gateway && !is_address(gateway, NET_FAMILY_IPV6, false)) {
        bad_address(&e, "gateway");
        return fail(c, e);
    }
    if (!check_dns(dns, &e) || !check_management_mode(pif, "IPv6", mode, &e))
        return fail(c, e);
    struct value addresses = value_set();
    if (*ip)
        value_set_add(&addresses, value_string(ip));
    char *merged = merge_dns(row_str(pif, FIELD_PIF_DNS), dns, NET_FAMILY_IPV6);
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_ipv6_configuration_mode, value_string(mode));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_IPv6, addresses);
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_ipv6_gateway, value_string(gateway));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_DNS, value_string_take(merged));
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pif_reconfigure_ipv6(struct call *c) {
    start_on_pif(c, reconfigure_ipv6);
}

void pif_set_primary_address_type(struct call *c) {
    const struct row *pif = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!pif)
        return;
    if (row_bool(pif, FIELD_PIF_management)) {
        call_fail_code(c, ERR_PIF_IS_MANAGEMENT_INTERFACE, ref_text(&pif->uuid, ref), NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "PIF.set_primary_address_type");
    db_txn_set(t, CLASS_PIF, &pif->uuid, FIELD_PIF_primary_address_type, value_copy(call_arg(c, 1)));
    call_commit(c, t, NULL, NULL);
}

/* ---- plugging ---- */

/* Whether a PIF is meant to be up is its `plugged` column; `currently_attached` is what the host reports. */
static bool plug(struct call *c, struct net_change *ch) {
    const struct row *pif = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!pif)
        return false;
    if (net_rows_is_bond_member(call_db(c), pif)) {
        net_fail_row(&e, ERR_CANNOT_PLUG_BOND_SLAVE, pif);
        return fail(c, e);
    }
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_plugged, value_bool(true));
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pif_plug(struct call *c) {
    start_on_pif(c, plug);
}

static bool unplug(struct call *c, struct net_change *ch) {
    const struct row *pif = call_arg_row(c, 0);
    struct db *d = call_db(c);
    struct error *e = NULL;
    if (!pif)
        return false;
    if (row_bool(pif, FIELD_PIF_management)) {
        net_fail_row(&e, ERR_PIF_IS_MANAGEMENT_INTERFACE, pif);
        return fail(c, e);
    }
    if (row_bool(pif, FIELD_PIF_disallow_unplug)) {
        net_fail_row(&e, ERR_PIF_DOES_NOT_ALLOW_UNPLUG, pif);
        return fail(c, e);
    }
    /* What lies on it goes down with it, which management must not. */
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        const struct row *above = db_follow(d, v, FIELD_VLAN_untagged_PIF);
        if (above && uuid_eq(row_ref(v, FIELD_VLAN_tagged_PIF), &pif->uuid) && row_bool(above, FIELD_PIF_management)) {
            net_fail_row(&e, ERR_PIF_IS_MANAGEMENT_INTERFACE, above);
            return fail(c, e);
        }
    }
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_plugged, value_bool(false));
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pif_unplug(struct call *c) {
    start_on_pif(c, unplug);
}

void pif_set_disallow_unplug(struct call *c) {
    const struct row *pif = call_arg_row(c, 0);
    if (!pif)
        return;
    struct db_txn *t = db_txn_new(call_db(c), "PIF.set_disallow_unplug");
    db_txn_set(t, CLASS_PIF, &pif->uuid, FIELD_PIF_disallow_unplug, value_copy(call_arg(c, 1)));
    call_commit(c, t, NULL, NULL);
}

/* ---- records of NICs ---- */

void pif_scan(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    char ref[REF_TEXT_SIZE];
    if (!host)
        return;
    if (!api_host_is_live(call_api(c), &host->uuid))
        call_fail_code(c, ERR_HOST_OFFLINE, ref_text(&host->uuid, ref), NULL);
    else
        class_host_op(c, API_HOST_SCAN_NICS, &host->uuid, /* args= */ NULL);
}

/* "ethN" -> "xenbrN", anything else "br" + device. */
static char *conventional_bridge(const char *device) {
    return str_starts(device, "eth") ? strf("xenbr%s", device + 3) : strf("br%s", device);
}

static bool introduce(struct call *c, struct net_change *ch) {
    struct db *d = call_db(c);
    const struct row *host = call_arg_row(c, 0);
    const char *mac = call_arg_str(c, 1), *device = call_arg_str(c, 2);
    struct error *e = NULL;
    if (!host)
        return false;
    _cleanup_free_ char *bridge = conventional_bridge(device);
    if (!net_name_is_valid(device) || !net_name_is_valid(bridge)) {
        error_set(&e, ERR_INVALID_VALUE, "device", device, NULL);
        return fail(c, e);
    }
    if (!*mac) {
        error_set(&e, ERR_COULD_NOT_FIND_NETWORK_INTERFACE_WITH_SPECIFIED_DEVICE_NAME_AND_MAC_ADDRESS, device, mac,
                  NULL);
        error_wrap(&e, "PIF.scan makes the records of NICs whose hardware address is not known here");
        return fail(c, e);
    }
    if (!net_check_mac(mac, &e))
        return fail(c, e);
    if (net_rows_pif_by_device(d, &host->uuid, device)) {
        error_set(&e, ERR_DUPLICATE_PIF_DEVICE_NAME, device, NULL);
        return fail(c, e);
    }
    const struct row *known = net_rows_network_by_bridge(d, bridge);
    if (known && !net_check_network_free(d, known, &host->uuid, &e))
        return fail(c, e);
    struct uuid network;
    if (known) {
        network = known->uuid;
    } else {
        network = net_change_insert(ch, CLASS_network);
        net_change_set_new(ch, CLASS_network, &network, FIELD_network_name_label,
                           value_stringf("Pool-wide network associated with %s", device));
        net_change_set_new(ch, CLASS_network, &network, FIELD_network_bridge, value_string(bridge));
    }
    struct net_mac parsed;
    char lower[NET_MAC_TEXT_SIZE];
    if (net_mac_parse(mac, &parsed))
        mac = net_mac_text(&parsed, lower);
    struct uuid pif = net_change_insert(ch, CLASS_PIF);
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_device, value_string(device));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_network, value_ref(&network));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_host, value_ref(&host->uuid));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_MAC, value_string(mac));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_MTU, value_int(NET_MTU_DEFAULT));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_VLAN, value_int(-1));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_physical, value_bool(true));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_currently_attached, value_bool(false));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_managed, value_bool(call_arg_bool(c, 3)));
    net_change_commit(ch, value_ref(&pif));
    return true;
}

void pif_introduce(struct call *c) {
    const struct row *host = call_arg_row(c, 0);
    if (host)
        net_change_start(c, &host->uuid, 1, NET_CHANGE_ALL_LIVE, introduce);
}

static bool forget(struct call *c, struct net_change *ch) {
    const struct row *pif = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!pif)
        return false;
    if (row_bool(pif, FIELD_PIF_management))
        net_fail_row(&e, ERR_PIF_IS_MANAGEMENT_INTERFACE, pif);
    else if (net_rows_is_bond_member(call_db(c), pif))
        net_fail_row(&e, ERR_PIF_ALREADY_BONDED, pif);
    else if (row_value(pif, FIELD_PIF_VLAN_slave_of)->set.n)
        net_fail_row(&e, ERR_PIF_VLAN_STILL_EXISTS, pif);
    else if (row_int(pif, FIELD_PIF_VLAN) >= 0)
        net_fail_row(&e, ERR_PIF_IS_VLAN, pif);
    else if (row_value(pif, FIELD_PIF_tunnel_transport_PIF_of)->set.n)
        net_fail_row(&e, ERR_PIF_TUNNEL_STILL_EXISTS, pif);
    else if (!row_bool(pif, FIELD_PIF_physical))
        net_fail_row(&e, ERR_PIF_IS_NOT_PHYSICAL, pif);
    if (e)
        return fail(c, e);
    net_change_delete(ch, pif);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void pif_forget(struct call *c) {
    start_on_pif(c, forget);
}

void pif_db_forget(struct call *c) {
    const struct row *pif = call_arg_row(c, 0);
    if (!pif)
        return;
    struct db_txn *t = db_txn_new(call_db(c), "PIF.db_forget");
    db_txn_delete(t, CLASS_PIF, &pif->uuid);
    call_commit(c, t, NULL, NULL);
}
