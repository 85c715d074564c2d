/* SPDX-License-Identifier: Apache-2.0 */
/* Class network: create with a bridge name, destroy when unused, an MTU that takes effect at once. */
#include "base/str.h"
#include "classes/class_blob.h"
#include "classes/net_change.h"
#include "classes/net_rows.h"
#include "gen_handlers.h"
#include "net/net_types.h"

#define DEFAULT_MTU 1500

/* ---- create ---- */

static bool check_bridge_name(struct db *d, const char *name, struct error **errp) {
    /* Names that the pool or the kernel gives out itself. */
    static const char *const reserved[] = {"xapi", "xenbr", "xentemp", "eth", "bond", "vif", "tap", "ovs", "lo"};
    const char *wrong = net_name_is_valid(name) ? NULL : "a bridge name has 1 to 15 characters without / : and blanks";
    for (size_t i = 0; !wrong && i < ARRAY_SIZE(reserved); i++) {
        if (str_starts(name, reserved[i]))
            wrong = "names that begin like this are given by the pool";
    }
    if (wrong) {
        error_set(errp, ERR_INVALID_VALUE, "bridge", wrong, NULL);
        return false;
    }
    if (!net_rows_network_by_bridge(d, name))
        return true;
    error_set(errp, ERR_BRIDGE_NAME_EXISTS, name, NULL);
    return false;
}

/* The record's value of a field, coerced, or the field's default. */
static bool take_field(const struct value *record, unsigned field, struct value *ret, struct error **errp) {
    const struct field_def *f = &model_classes[CLASS_network].fields[field];
    const struct value *given = value_map_get(record, f->name);
    struct value v = given              ? value_copy(given)
                     : f->default_value ? value_copy(f->default_value)
                                        : model_empty_value(f->type);
    if (given && !model_coerce(f->type, &v, f->name, errp)) {
        value_done(&v);
        return false;
    }
    *ret = v;
    return true;
}

static bool choose_bridge(struct call *c, struct value *bridge, bool is_managed, struct error **errp) {
    if (!str_empty(value_str(bridge)))
        return check_bridge_name(call_db(c), value_str(bridge), errp);
    if (!is_managed) {
        error_set(errp, ERR_INVALID_VALUE, "bridge", "a network that is not managed names its bridge", NULL);
        return false;
    }
    value_done(bridge);
    *bridge = value_string_take(net_rows_free_bridge(call_db(c)));
    return true;
}

static void created(struct call *c, void *userdata) {
    struct uuid u = *(struct uuid *)userdata;
    free(userdata);
    call_return_ref(c, &u);
}

void network_create(struct call *c) {
    static const unsigned fields[] = {FIELD_network_name_label,   FIELD_network_name_description, FIELD_network_MTU,
                                      FIELD_network_other_config, FIELD_network_bridge,           FIELD_network_managed,
                                      FIELD_network_tags};
    enum { MTU = 2, BRIDGE = 4, MANAGED = 5 };
    struct value values[ARRAY_SIZE(fields)] = {0};
    struct error *e = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_SIZE(fields); i++)
        ok = take_field(call_arg(c, 0), fields[i], &values[i], &e);
    if (ok && value_as_int(&values[MTU]) <= 0)
        values[MTU] = value_int(DEFAULT_MTU);
    ok = ok && net_check_mtu(value_as_int(&values[MTU]), &e) &&
         choose_bridge(c, &values[BRIDGE], value_as_bool(&values[MANAGED]), &e);
    if (!ok) {
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
            value_done(&values[i]);
        call_fail(c, e);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "network.create");
    struct uuid *made = xnew0(struct uuid);
    *made = db_txn_insert(t, CLASS_network, /* uuid= */ NULL);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        db_txn_set(t, CLASS_network, made, fields[i], values[i]);
    call_commit(c, t, created, made);
}

/* ---- destroy ---- */

void network_destroy(struct call *c) {
    const struct row *n = call_arg_row(c, 0);
    if (!n)
        return;
    const struct value *pifs = row_value(n, FIELD_network_PIFs);
    char ref[REF_TEXT_SIZE];
    if (pifs->set.n) {
        _cleanup_buf_ struct buf list = BUF_INIT;
        for (size_t i = 0; i < pifs->set.n; i++)
            buf_addf(&list, "%s%s", i ? "," : "", ref_text(&pifs->set.items[i].ref, ref));
        call_fail_code(c, ERR_NETWORK_CONTAINS_PIF, buf_str(&list), NULL);
        return;
    }
    const struct value *vifs = row_value(n, FIELD_network_VIFs);
    if (vifs->set.n) {
        _cleanup_buf_ struct buf list = BUF_INIT;
        for (size_t i = 0; i < vifs->set.n; i++)
            buf_addf(&list, "%s%s", i ? "," : "", ref_text(&vifs->set.items[i].ref, ref));
        call_fail_code(c, ERR_NETWORK_CONTAINS_VIF, buf_str(&list), NULL);
        return;
    }
    const char *internal =
        value_map_str(row_value(n, FIELD_network_other_config), "is_host_internal_management_network");
    if (internal && str_eq(internal, "true")) {
        call_fail_code(c, ERR_CANNOT_DESTROY_SYSTEM_NETWORK, ref_text(&n->uuid, ref), NULL);
        return;
    }
    struct db_txn *t = db_txn_new(call_db(c), "network.destroy");
    blob_delete_all(t, row_value(n, FIELD_network_blobs));
    db_txn_delete(t, CLASS_network, &n->uuid);
    call_commit(c, t, NULL, NULL);
}

/* ---- MTU ---- */

/* The networks of a bond's members go along: a leg smaller than its bond loses frames (the fault this project began
 * with). */
static void copy_to_members(struct call *c, struct net_change *ch, const struct uuid *network, int64_t mtu) {
    struct db *d = call_db(c);
    for (const struct row *m = db_first(d, CLASS_PIF); m; m = db_next(d, m)) {
        const struct row *bond = db_follow(d, m, FIELD_PIF_bond_slave_of);
        const struct row *master = bond ? db_follow(d, bond, FIELD_Bond_master) : NULL;
        const struct row *own = db_follow(d, m, FIELD_PIF_network);
        if (master && own && uuid_eq(row_ref(master, FIELD_PIF_network), network))
            net_change_set(ch, CLASS_network, &own->uuid, FIELD_network_MTU, value_int(mtu));
    }
}

static bool set_mtu(struct call *c, struct net_change *ch) {
    const struct row *n = call_arg_row(c, 0);
    int64_t mtu = call_arg_int(c, 1);
    struct error *e = NULL;
    if (!n)
        return false;
    if (!net_check_mtu(mtu, &e) || !net_check_mtu_fits(call_db(c), n, mtu, &e)) {
        call_fail(c, e);
        return false;
    }
    net_change_set(ch, CLASS_network, &n->uuid, FIELD_network_MTU, value_int(mtu));
    copy_to_members(c, ch, &n->uuid, mtu);
    net_change_commit(ch, (struct value){.type = VALUE_VOID});
    return true;
}

void network_set_mtu(struct call *c) {
    const struct row *n = call_arg_row(c, 0);
    if (!n)
        return;
    size_t n_hosts;
    _cleanup_free_ struct uuid *hosts = net_rows_hosts_on(call_db(c), &n->uuid, &n_hosts);
    net_change_start(c, hosts, n_hosts, NET_CHANGE_SKIP_OFFLINE, set_mtu);
}
