/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class Bond. Making one moves what its members had (address, management, VLANs) to the bond's own interface, taking it
 * apart gives all of it to the primary member. The order of the checks is that of XenServer, since clients show the
 * first error.
 */
#include "base/str.h"
#include "classes/bond_properties.h"
#include "classes/net_change.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"
#include "net/net_types.h"

/* Address settings that move with management and back. */
static const unsigned ip_fields[] = {
    FIELD_PIF_ip_configuration_mode,
    FIELD_PIF_IP,
    FIELD_PIF_netmask,
    FIELD_PIF_gateway,
    FIELD_PIF_DNS,
    FIELD_PIF_ipv6_configuration_mode,
    FIELD_PIF_IPv6,
    FIELD_PIF_ipv6_gateway,
    FIELD_PIF_primary_address_type,
};

static struct value default_of(unsigned field) {
    const struct field_def *f = &model_classes[CLASS_PIF].fields[field];
    return f->default_value ? value_copy(f->default_value) : model_empty_value(f->type);
}

/* ---- checking ---- */

struct members {
    const struct row *rows[NET_MAX_LEGS];
    size_t n;
    const struct row *primary;
};

/* Those named, each once; false with the call failed. */
static bool find_members(struct call *c, const struct value *refs, struct members *ret) {
    *ret = (struct members){0};
    for (size_t i = 0; i < refs->set.n; i++) {
        const struct uuid *u = &refs->set.items[i].ref;
        const struct row *pif = db_get(call_db(c), CLASS_PIF, u);
        char ref[REF_TEXT_SIZE];
        bool seen = false;
        if (!pif) {
            call_fail_code(c, ERR_HANDLE_INVALID, "PIF", ref_text(u, ref), NULL);
            return false;
        }
        for (size_t k = 0; k < ret->n; k++)
            seen |= ret->rows[k] == pif;
        if (seen)
            continue;
        if (ret->n == NET_MAX_LEGS) {
            call_fail_code(c, ERR_INVALID_VALUE, "members", "a bond has at most 8 members", NULL);
            return false;
        }
        ret->rows[ret->n++] = pif;
    }
    if (ret->n)
        return true;
    call_fail_code(c, ERR_PIF_BOND_NEEDS_MORE_MEMBERS, NULL);
    return false;
}

/* The member whose address and hardware address the bond takes over. */
static void choose_primary(struct members *m) {
    for (size_t i = 0; i < m->n; i++) {
        if (row_bool(m->rows[i], FIELD_PIF_management))
            m->primary = m->rows[i];
    }
    for (size_t i = 0; i < m->n && !m->primary; i++) {
        if (net_rows_has_ip(m->rows[i]))
            m->primary = m->rows[i];
    }
    if (!m->primary)
        m->primary = m->rows[0];
}

static bool check_member(struct db *d, const struct row *pif, struct error **errp) {
    if (!row_bool(pif, FIELD_PIF_managed))
        return net_fail_row(errp, ERR_PIF_UNMANAGED, pif);
    if (net_rows_is_bond_member(d, pif))
        return net_fail_row(errp, ERR_PIF_ALREADY_BONDED, pif);
    if (row_int(pif, FIELD_PIF_VLAN) >= 0) {
        error_set(errp, ERR_PIF_VLAN_EXISTS, row_str(pif, FIELD_PIF_device), NULL);
        return false;
    }
    if (row_value(pif, FIELD_PIF_tunnel_access_PIF_of)->set.n)
        return net_fail_row(errp, ERR_IS_TUNNEL_ACCESS_PIF, pif);
    if (!row_bool(pif, FIELD_PIF_physical))
        return net_fail_row(errp, ERR_PIF_IS_NOT_PHYSICAL, pif);
    return true;
}

static bool check_members(struct db *d, const struct members *m, struct error **errp) {
    const struct row *first = m->rows[0];
    size_t n_with_ip = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!str_eq(row_str(m->rows[i], FIELD_PIF_primary_address_type),
                    row_str(first, FIELD_PIF_primary_address_type)))
            return net_fail_row(errp, ERR_PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE, m->rows[i]);
    }
    for (size_t i = 0; i < m->n; i++) {
        if (!check_member(d, m->rows[i], errp))
            return false;
    }
    for (size_t i = 0; i < m->n; i++) {
        const struct row *pif = m->rows[i];
        if (!uuid_eq(row_ref(pif, FIELD_PIF_host), row_ref(first, FIELD_PIF_host))) {
            error_set(errp, ERR_PIF_CANNOT_BOND_CROSS_HOST, NULL);
            return false;
        }
        if (!value_equal(row_value(pif, FIELD_PIF_properties), row_value(first, FIELD_PIF_properties))) {
            error_set(errp, ERR_INCOMPATIBLE_PIF_PROPERTIES, NULL);
            return false;
        }
        n_with_ip += net_rows_has_ip(pif);
    }
    if (n_with_ip <= 1)
        return true;
    error_set(errp, ERR_PIF_BOND_MORE_THAN_ONE_IP, NULL);
    return false;
}

/* A VLAN that moves onto the bond must fit into its MTU. */
static bool check_vlans_fit(struct db *d, const struct members *m, const struct row *network, struct error **errp) {
    int64_t mtu = row_int(network, FIELD_network_MTU);
    for (size_t i = 0; i < m->n; i++) {
        const struct row *below = db_follow(d, m->rows[i], FIELD_PIF_network);
        if (below && !net_check_mtu_fits(d, below, mtu, errp))
            return false;
    }
    return true;
}

/* ---- moving ---- */

/* VLANs of `from` get `to` as the interface below; one whose tag is there already goes. */
struct move {
    struct call *c;
    struct net_change *ch;
    struct uuid to;
    const char *device;
    uint64_t tags[64]; /* a bit for each of 0..4095 that is on `to` by now */
};

/* False when the tag was there already. */
static bool take_tag(struct move *mv, int64_t tag) {
    uint64_t *word = &mv->tags[(tag >> 6) & 63], bit = 1ull << (tag & 63);
    bool is_new = !(*word & bit);
    *word |= bit;
    return is_new;
}

static void move_vlans(struct move *mv, const struct row *from) {
    struct db *d = call_db(mv->c);
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        if (!uuid_eq(row_ref(v, FIELD_VLAN_tagged_PIF), &from->uuid))
            continue;
        const struct row *untagged = db_follow(d, v, FIELD_VLAN_untagged_PIF);
        if (!take_tag(mv, row_int(v, FIELD_VLAN_tag))) {
            net_change_delete(mv->ch, v);
            if (untagged)
                net_change_delete(mv->ch, untagged);
            continue;
        }
        net_change_set(mv->ch, CLASS_VLAN, &v->uuid, FIELD_VLAN_tagged_PIF, value_ref(&mv->to));
        if (untagged)
            net_change_set(mv->ch, CLASS_PIF, &untagged->uuid, FIELD_PIF_device, value_string(mv->device));
    }
}

static void clear_ip(struct net_change *ch, const struct row *pif) {
    for (size_t i = 0; i < ARRAY_SIZE(ip_fields); i++) {
        if (ip_fields[i] != FIELD_PIF_primary_address_type)
            net_change_set(ch, CLASS_PIF, &pif->uuid, ip_fields[i], default_of(ip_fields[i]));
    }
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_management, value_bool(false));
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_disallow_unplug, value_bool(false));
}

/* ---- create ---- */

static void add_bond_pif(struct net_change *ch, const struct uuid *pif, const struct members *m, const char *device,
                         const struct row *network, const char *mac) {
    bool management = false, disallow_unplug = false;
    for (size_t i = 0; i < m->n; i++) {
        management |= row_bool(m->rows[i], FIELD_PIF_management);
        disallow_unplug |= row_bool(m->rows[i], FIELD_PIF_disallow_unplug);
    }
    struct {
        unsigned field;
        struct value v;
    } const fields[] = {
        {FIELD_PIF_device, value_string(device)},
        {FIELD_PIF_network, value_ref(&network->uuid)},
        {FIELD_PIF_host, value_copy(row_value(m->primary, FIELD_PIF_host))},
        {FIELD_PIF_MAC, value_string(mac)},
        {FIELD_PIF_MTU, value_int(-1)},
        {FIELD_PIF_VLAN, value_int(-1)},
        {FIELD_PIF_physical, value_bool(false)},
        {FIELD_PIF_currently_attached, value_bool(false)},
        {FIELD_PIF_management, value_bool(management)},
        {FIELD_PIF_disallow_unplug, value_bool(disallow_unplug)},
        {FIELD_PIF_properties, value_copy(row_value(m->primary, FIELD_PIF_properties))},
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        net_change_set_new(ch, CLASS_PIF, pif, fields[i].field, fields[i].v);
    for (size_t i = 0; i < ARRAY_SIZE(ip_fields); i++)
        net_change_set_new(ch, CLASS_PIF, pif, ip_fields[i], value_copy(row_value(m->primary, ip_fields[i])));
}

static void enslave(struct call *c, struct net_change *ch, const struct row *pif, const struct uuid *bond,
                    const struct row *network) {
    net_change_set(ch, CLASS_PIF, &pif->uuid, FIELD_PIF_bond_slave_of, value_ref(bond));
    clear_ip(ch, pif);
    /* The member's own network is out of use now; left at 1500 it would hold the leg down at the next join. */
    const struct row *own = db_follow(call_db(c), pif, FIELD_PIF_network);
    if (own)
        net_change_set(ch, CLASS_network, &own->uuid, FIELD_network_MTU,
                       value_copy(row_value(network, FIELD_network_MTU)));
}

static bool create(struct call *c, struct net_change *ch) {
    struct db *d = call_db(c);
    const struct row *network = call_arg_row(c, 0);
    const char *mac = call_arg_str(c, 2), *mode = call_arg_str(c, 3);
    _cleanup_value_ struct value properties = {.type = VALUE_VOID};
    struct members m;
    struct error *e = NULL;
    if (!network || !find_members(c, call_arg(c, 1), &m))
        return false;
    choose_primary(&m);
    if (!net_check_network_managed(network, &e) ||
        !net_check_network_free(d, network, row_ref(m.rows[0], FIELD_PIF_host), &e) ||
        (*mac && !net_check_mac(mac, &e)) || !bond_properties_for_mode(mode, call_arg(c, 4), &properties, &e) ||
        !check_members(d, &m, &e) || !check_vlans_fit(d, &m, network, &e)) {
        call_fail(c, e);
        return false;
    }

    _cleanup_free_ char *device = net_rows_free_bond(d, row_ref(m.primary, FIELD_PIF_host));
    struct uuid bond = net_change_insert(ch, CLASS_Bond);
    struct uuid pif = net_change_insert(ch, CLASS_PIF);
    add_bond_pif(ch, &pif, &m, device, network, *mac ? mac : row_str(m.primary, FIELD_PIF_MAC));
    net_change_set_new(ch, CLASS_Bond, &bond, FIELD_Bond_master, value_ref(&pif));
    net_change_set_new(ch, CLASS_Bond, &bond, FIELD_Bond_primary_slave, value_ref(&m.primary->uuid));
    net_change_set_new(ch, CLASS_Bond, &bond, FIELD_Bond_mode, value_string(mode));
    net_change_set_new(ch, CLASS_Bond, &bond, FIELD_Bond_properties, value_take(&properties));
    net_change_set_new(ch, CLASS_Bond, &bond, FIELD_Bond_auto_update_mac, value_bool(!*mac));
    struct move mv = {.c = c, .ch = ch, .to = pif, .device = device};
    for (size_t i = 0; i < m.n; i++) {
        enslave(c, ch, m.rows[i], &bond, network);
        move_vlans(&mv, m.rows[i]);
    }
    net_change_commit(ch, value_ref(&bond));
    return true;
}

void bond_create(struct call *c) {
    struct members m;
    if (call_arg_row(c, 0) && find_members(c, call_arg(c, 1), &m))
        net_change_start(c, row_ref(m.rows[0], FIELD_PIF_host), 1, NET_CHANGE_ALL_LIVE, create);
}

/* ---- destroy ---- */

static bool destroy(struct call *c, struct net_change *ch) {
    struct db *d = call_db(c);
    const struct row *bond = call_arg_row(c, 0);
    if (!bond)
        return false;
    const struct row *pif = db_follow(d, bond, FIELD_Bond_master);
    const struct row *primary = db_follow(d, bond, FIELD_Bond_primary_slave);
    const struct value *slaves = row_value(bond, FIELD_Bond_slaves);
    if (!primary && slaves->set.n)
        primary = db_get(d, CLASS_PIF, &slaves->set.items[0].ref);
    for (size_t i = 0; i < slaves->set.n; i++)
        net_change_set(ch, CLASS_PIF, &slaves->set.items[i].ref, FIELD_PIF_bond_slave_of, value_ref(NULL));
    if (pif && primary) {
        for (size_t i = 0; i < ARRAY_SIZE(ip_fields); i++)
            net_change_set(ch, CLASS_PIF, &primary->uuid, ip_fields[i], value_copy(row_value(pif, ip_fields[i])));
        net_change_set(ch, CLASS_PIF, &primary->uuid, FIELD_PIF_management,
                       value_copy(row_value(pif, FIELD_PIF_management)));
        net_change_set(ch, CLASS_PIF, &primary->uuid, FIELD_PIF_disallow_unplug,
                       value_copy(row_value(pif, FIELD_PIF_disallow_unplug)));
        struct move mv = {.c = c, .ch = ch, .to = primary->uuid, .device = row_str(primary, FIELD_PIF_device)};
        move_vlans(&mv, pif);
    }
    net_change_delete(ch, bond);
    if (pif)
        net_change_delete(ch, pif);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

static void start_on_bond(struct call *c, net_change_body_fn *body) {
    const struct row *bond = call_arg_row(c, 0);
    if (!bond)
        return;
    const struct row *pif = db_follow(call_db(c), bond, FIELD_Bond_master);
    net_change_start(c, pif ? row_ref(pif, FIELD_PIF_host) : NULL, pif ? 1 : 0, NET_CHANGE_ALL_LIVE, body);
}

void bond_destroy(struct call *c) {
    start_on_bond(c, destroy);
}

/* ---- mode and properties ---- */

static bool set_mode(struct call *c, struct net_change *ch) {
    const struct row *bond = call_arg_row(c, 0);
    struct value properties;
    struct error *e = NULL;
    if (!bond)
        return false;
    if (!bond_properties_for_mode(call_arg_str(c, 1), row_value(bond, FIELD_Bond_properties), &properties, &e)) {
        call_fail(c, e);
        return false;
    }
    net_change_set(ch, CLASS_Bond, &bond->uuid, FIELD_Bond_mode, value_copy(call_arg(c, 1)));
    net_change_set(ch, CLASS_Bond, &bond->uuid, FIELD_Bond_properties, properties);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void bond_set_mode(struct call *c) {
    start_on_bond(c, set_mode);
}

static bool set_property(struct call *c, struct net_change *ch) {
    const struct row *bond = call_arg_row(c, 0);
    struct error *e = NULL;
    if (!bond)
        return false;
    if (!bond_property_check(row_str(bond, FIELD_Bond_mode), call_arg_str(c, 1), call_arg_str(c, 2), &e)) {
        call_fail(c, e);
        return false;
    }
    struct value properties = value_copy(row_value(bond, FIELD_Bond_properties));
    value_map_put(&properties, call_arg_str(c, 1), value_copy(call_arg(c, 2)));
    net_change_set(ch, CLASS_Bond, &bond->uuid, FIELD_Bond_properties, properties);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void bond_set_property(struct call *c) {
    start_on_bond(c, set_property);
}
