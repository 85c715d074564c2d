/* SPDX-License-Identifier: Apache-2.0 */
/* Class VLAN, and the pool-wide way to make one: a VLAN is an interface and its link to the one below, on one host. */
#include "base/str.h"
#include "classes/class_calls.h"
#include "classes/net_change.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"
#include <inttypes.h>
#include <stdio.h>

#define MAX_TAG 4094

static bool check_tag(int64_t tag, struct error **errp) {
    char text[24];
    if (tag >= 0 && tag <= MAX_TAG)
        return true;
    snprintf(text, sizeof(text), "%" PRId64, tag);
    error_set(errp, ERR_VLAN_TAG_INVALID, text, NULL);
    return false;
}

static bool check_base(struct db *d, const struct row *base, int64_t tag, struct error **errp) {
    if (net_rows_is_bond_member(d, base))
        return net_fail_row(errp, ERR_CANNOT_ADD_VLAN_TO_BOND_SLAVE, base);
    if (row_int(base, FIELD_PIF_VLAN) >= 0)
        return net_fail_row(errp, ERR_PIF_IS_VLAN, base);
    if (row_value(base, FIELD_PIF_tunnel_access_PIF_of)->set.n)
        return net_fail_row(errp, ERR_IS_TUNNEL_ACCESS_PIF, base);
    if (!row_bool(base, FIELD_PIF_managed))
        return net_fail_row(errp, ERR_PIF_UNMANAGED, base);
    if (!net_rows_vlan(d, &base->uuid, tag))
        return true;
    error_set(errp, ERR_PIF_VLAN_EXISTS, row_str(base, FIELD_PIF_device), NULL);
    return false;
}

static bool check_vlan(struct db *d, const struct row *base, int64_t tag, const struct row *network,
                       struct error **errp) {
    return net_check_network_managed(network, errp) &&
           net_check_network_free(d, network, row_ref(base, FIELD_PIF_host), errp) && check_tag(tag, errp) &&
           check_base(d, base, tag, errp) && net_check_vlan_mtu(d, base, network, errp);
}

/* The two rows. Gives the VLAN's uuid, and that of its PIF. */
static struct uuid add_vlan(struct net_change *ch, const struct row *base, int64_t tag, const struct row *network,
                            struct uuid *ret_pif) {
    struct uuid vlan = net_change_insert(ch, CLASS_VLAN);
    struct uuid pif = net_change_insert(ch, CLASS_PIF);
    net_change_set_new(ch, CLASS_VLAN, &vlan, FIELD_VLAN_tagged_PIF, value_ref(&base->uuid));
    net_change_set_new(ch, CLASS_VLAN, &vlan, FIELD_VLAN_untagged_PIF, value_ref(&pif));
    net_change_set_new(ch, CLASS_VLAN, &vlan, FIELD_VLAN_tag, value_int(tag));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_device, value_copy(row_value(base, FIELD_PIF_device)));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_network, value_ref(&network->uuid));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_host, value_copy(row_value(base, FIELD_PIF_host)));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_MAC, value_string(PIF_VLAN_MAC));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_MTU, value_copy(row_value(base, FIELD_PIF_MTU)));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_VLAN, value_int(tag));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_VLAN_master_of, value_ref(&vlan));
    net_change_set_new(ch, CLASS_PIF, &pif, FIELD_PIF_currently_attached, value_bool(false));
    *ret_pif = pif;
    return vlan;
}

/* ---- VLAN.create, VLAN.destroy ---- */

static bool create(struct call *c, struct net_change *ch) {
    const struct row *base = call_arg_row(c, 0);
    const struct row *network = base ? call_arg_row(c, 2) : NULL;
    struct error *e = NULL;
    struct uuid pif;
    if (!base || !network)
        return false;
    if (!check_vlan(call_db(c), base, call_arg_int(c, 1), network, &e)) {
        call_fail(c, e);
        return false;
    }
    struct uuid vlan = add_vlan(ch, base, call_arg_int(c, 1), network, &pif);
    net_change_commit(ch, value_ref(&vlan));
    return true;
}

void vlan_create(struct call *c) {
    const struct row *base = call_arg_row(c, 0);
    if (base)
        net_change_start(c, row_ref(base, FIELD_PIF_host), 1, NET_CHANGE_ALL_LIVE, create);
}

static bool destroy(struct call *c, struct net_change *ch) {
    const struct row *vlan = call_arg_row(c, 0);
    if (!vlan)
        return false;
    const struct row *pif = db_follow(call_db(c), vlan, FIELD_VLAN_untagged_PIF);
    char ref[REF_TEXT_SIZE];
    if (pif && row_bool(pif, FIELD_PIF_management)) {
        call_fail_code(c, ERR_PIF_IS_MANAGEMENT_INTERFACE, ref_text(&pif->uuid, ref), NULL);
        return false;
    }
    net_change_delete(ch, vlan);
    if (pif)
        net_change_delete(ch, pif);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void vlan_destroy(struct call *c) {
    const struct row *vlan = call_arg_row(c, 0);
    const struct row *base = vlan ? db_follow(call_db(c), vlan, FIELD_VLAN_tagged_PIF) : NULL;
    if (vlan)
        net_change_start(c, base ? row_ref(base, FIELD_PIF_host) : NULL, base ? 1 : 0, NET_CHANGE_ALL_LIVE, destroy);
}

/* ---- on every host of the pool ---- */

/* A host's base: by the name of the device, or by the network of the one given. */
static const struct row *base_of_host(struct call *c, const struct uuid *host) {
    struct db *d = call_db(c);
    if (call_arg(c, 0)->type == VALUE_STRING)
        return net_rows_pif_by_device(d, host, call_arg_str(c, 0));
    const struct row *given = db_get(d, CLASS_PIF, call_arg_ref(c, 0));
    return given ? net_rows_pif_on(d, host, row_ref(given, FIELD_PIF_network)) : NULL;
}

static bool create_everywhere(struct call *c, struct net_change *ch) {
    struct db *d = call_db(c);
    const struct row *network = call_arg_row(c, 1);
    if (!network)
        return false;
    if (call_arg(c, 0)->type == VALUE_REF && !call_arg_row(c, 0))
        return false;
    struct value made = value_set();
    struct error *e = NULL;
    for (const struct row *h = db_first(d, CLASS_host); h && !e; h = db_next(d, h)) {
        const struct row *base = base_of_host(c, &h->uuid);
        struct uuid pif;
        if (!base || !check_vlan(d, base, call_arg_int(c, 2), network, &e))
            continue;
        add_vlan(ch, base, call_arg_int(c, 2), network, &pif);
        value_set_add(&made, value_ref(&pif));
    }
    if (!e && !made.set.n)
        error_set(&e, ERR_PIF_DEVICE_NOT_FOUND, NULL);
    if (e) {
        value_done(&made);
        call_fail(c, e);
        return false;
    }
    net_change_commit(ch, made);
    return true;
}

static void start_everywhere(struct call *c) {
    size_t n;
    _cleanup_free_ struct uuid *hosts = class_all_hosts(call_db(c), &n);
    net_change_start(c, hosts, n, NET_CHANGE_SKIP_OFFLINE, create_everywhere);
}

void pool_create_vlan(struct call *c) {
    start_everywhere(c);
}

void pool_create_vlan_from_pif(struct call *c) {
    start_everywhere(c);
}
