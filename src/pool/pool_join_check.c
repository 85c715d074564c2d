/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the way of a join, seen from the pool: each check is one contradiction, told with its cure. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "pool/pool_rows_private.h"

static bool is_of_coordinator(struct db *d, const struct row *pif) {
    return pif && uuid_eq(row_ref(pif, FIELD_PIF_host), row_ref(db_pool(d), FIELD_pool_master));
}

static bool bond_has_nic(struct db *d, const struct rows_host *h, const struct row *bond, unsigned nic) {
    const struct value *legs = row_value(bond, FIELD_Bond_slaves);
    for (size_t i = 0; i < legs->set.n; i++) {
        const struct row *leg = db_get(d, CLASS_PIF, &legs->set.items[i].ref);
        if (leg && rows_nic_at(d, h, leg) == (int)nic)
            return true;
    }
    return false;
}

/* Whether a bond of the coordinator will be made again over this NIC. */
static bool pool_bonds_nic(struct db *d, const struct rows_host *h, unsigned nic) {
    for (const struct row *b = db_first(d, CLASS_Bond); b; b = db_next(d, b)) {
        const struct row *pif = db_follow(d, b, FIELD_Bond_master);
        if (is_of_coordinator(d, pif) && bond_has_nic(d, h, b, nic))
            return true;
    }
    return false;
}

/* Whether the joining host will have the VLAN that it is managed in: one of the coordinator's, over the same NIC. */
static bool pool_has_vlan(struct db *d, const struct rows_host *h, unsigned management) {
    for (const struct row *v = db_first(d, CLASS_VLAN); v; v = db_next(d, v)) {
        const struct row *base = db_follow(d, v, FIELD_VLAN_tagged_PIF);
        if (row_int(v, FIELD_VLAN_tag) != h->management_vlan || !is_of_coordinator(d, base))
            continue;
        const struct value *bonds = row_value(base, FIELD_PIF_bond_master_of);
        const struct row *bond = bonds->set.n ? db_get(d, CLASS_Bond, &bonds->set.items[0].ref) : NULL;
        if (bond ? bond_has_nic(d, h, bond, management) : rows_nic_at(d, h, base) == (int)management)
            return true;
    }
    return false;
}

/* Tag of the pool's own management; -1 untagged. */
static int64_t pool_management_vlan(struct db *d) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p))
        if (row_bool(p, FIELD_PIF_management) && is_of_coordinator(d, p))
            return row_int(p, FIELD_PIF_VLAN);
    return -1;
}

/* ---- the checks ---- */

typedef bool check_fn(struct db *d, const struct rows_host *h, struct error **errp);

static bool is_no_member(struct db *d, const struct rows_host *h, struct error **errp) {
    if (!db_get(d, CLASS_host, &h->host))
        return true;
    error_setf(errp, ERR_HOST_ALREADY_IN_POOL,
               "host '%s' is a member already; to let it join anew, first run: xe pool-eject or xe host-forget",
               h->hostname);
    return false;
}

/* Every address that the pool's hosts have, on whatever interface. */
static bool has_own_address(struct db *d, const struct rows_host *h, struct error **errp) {
    const struct row *owner = NULL;
    for (const struct row *r = db_first(d, CLASS_host); r && !owner; r = db_next(d, r))
        if (str_eq(row_str(r, FIELD_host_address), h->address))
            owner = r;
    for (const struct row *p = db_first(d, CLASS_PIF); p && !owner; p = db_next(d, p))
        if (str_eq(row_str(p, FIELD_PIF_IP), h->address))
            owner = db_follow(d, p, FIELD_PIF_host);
    if (!owner)
        return true;
    error_setf(errp, ERR_HOST_ADDRESS_IN_USE,
               "host '%s' of the pool has the address %s already; give the joining host another one first (xe "
               "pif-reconfigure-ip)",
               row_str(owner, FIELD_host_name_label), h->address);
    return false;
}

static bool has_management(struct db *d, const struct rows_host *h, struct error **errp) {
    if (rows_management_nic(h) >= 0)
        return true;
    error_setf(errp, ERR_HOST_HAS_NO_MANAGEMENT_IP, "%s", h->hostname);
    return false;
}

/* Machines that were copied, or a MAC that was typed: a switch would send the frames of one to the other. */
static bool has_own_macs(struct db *d, const struct rows_host *h, struct error **errp) {
    for (const struct row *p = db_first(d, CLASS_PIF); p; p = db_next(d, p)) {
        const struct row *owner = row_bool(p, FIELD_PIF_physical) ? db_follow(d, p, FIELD_PIF_host) : NULL;
        for (unsigned i = 0; owner && i < h->n_nics; i++) {
            if (!str_eq(row_str(p, FIELD_PIF_MAC), h->nics[i].mac))
                continue;
            error_set(errp, ERR_POOL_JOINING_HOST_MAC_IN_USE, h->nics[i].device, h->nics[i].mac,
                      row_str(owner, FIELD_host_name_label), NULL);
            return false;
        }
    }
    return true;
}

/* A switch that aggregates ports does not talk to a NIC alone: the host would be gone. */
static bool keeps_its_bonds(struct db *d, const struct rows_host *h, struct error **errp) {
    for (unsigned i = 0; i < h->n_nics; i++)
        if (h->nics[i].bond[0] && !pool_bonds_nic(d, h, i)) {
            error_set(errp, ERR_POOL_JOINING_HOST_HAS_BONDS, h->nics[i].bond, NULL);
            return false;
        }
    return true;
}

static bool keeps_its_vlan(struct db *d, const struct rows_host *h, struct error **errp) {
    int management = rows_management_nic(h);
    if (management < 0 || h->management_vlan < 0 || pool_has_vlan(d, h, (unsigned)management))
        return true;
    char local[24], remote[24];
    snprintf(local, sizeof(local), "%lld", (long long)h->management_vlan);
    snprintf(remote, sizeof(remote), "%lld", (long long)pool_management_vlan(d));
    error_set(errp, ERR_POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH, local, remote, NULL);
    return false;
}

/* The legs of a bond of the pool that this host has no NIC for; "" when it has all, or none and so no such bond. */
static char *missing_legs(struct db *d, const struct rows_host *h, const struct row *bond) {
    const struct value *legs = row_value(bond, FIELD_Bond_slaves);
    _cleanup_strv_ struct strv missing = {0};
    for (size_t i = 0; i < legs->set.n; i++) {
        const struct row *leg = db_get(d, CLASS_PIF, &legs->set.items[i].ref);
        if (leg && rows_nic_at(d, h, leg) < 0)
            strv_add(&missing, row_str(leg, FIELD_PIF_device));
    }
    return missing.n < legs->set.n ? strv_join(&missing, ",") : xstrdup("");
}

static bool has_all_legs(struct db *d, const struct rows_host *h, struct error **errp) {
    for (const struct row *b = db_first(d, CLASS_Bond); b; b = db_next(d, b)) {
        const struct row *pif = db_follow(d, b, FIELD_Bond_master);
        if (!is_of_coordinator(d, pif))
            continue;
        _cleanup_free_ char *missing = missing_legs(d, h, b);
        if (!*missing)
            continue;
        error_set(errp, ERR_POOL_JOINING_HOST_LACKS_BOND_LEGS, row_str(pif, FIELD_PIF_device), missing, NULL);
        return false;
    }
    return true;
}

static const struct {
    check_fn *fn;
    bool may_be_forced;
} checks[] = {{is_no_member, false},    {has_own_address, false}, {has_management, false}, {has_own_macs, false},
              {keeps_its_bonds, false}, {keeps_its_vlan, false},  {has_all_legs, true}};

bool rows_join_check(struct db *d, const struct rows_host *h, bool force, struct error **errp) {
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++)
        if (!(force && checks[i].may_be_forced) && !checks[i].fn(d, h, errp))
            return false;
    return true;
}

void rows_join_problems(struct db *d, const struct rows_host *h, bool force, struct value *problems) {
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        _cleanup_error_ struct error *e = NULL;
        if (!(force && checks[i].may_be_forced) && !checks[i].fn(d, h, &e))
            value_set_add(problems, value_string_take(rows_join_sentence(e)));
    }
}

char *rows_join_sentence(const struct error *e) {
    const struct error_def *def = model_error_by_code(error_code(e));
    struct buf b = BUF_INIT;
    buf_addf(&b, "%s: %s", error_code(e), def ? def->text : "");
    for (size_t i = 0; i < error_n_params(e); i++)
        buf_addf(&b, "%s%s: %s", i ? ", " : " (", def && i < def->n_params ? def->params[i] : "detail",
                 error_param(e, i));
    buf_add_str(&b, error_n_params(e) ? ")" : "");
    return buf_take(&b);
}
