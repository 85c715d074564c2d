/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs_txn.h"

#include "base/str.h"
#include "ovsdb/ovsdb_conn.h"

#include <stdio.h>

/* Rows that the transaction under construction inserts: later ops find them by name. */
struct created {
    const char *table;
    const char *name;
    char symbol[24];
};

struct builder {
    const struct ovs_state *state;
    json_t *ops;
    struct created *created;
    size_t n_created;
};

#define MAX_OPS 4096

static json_t *set_of(json_t *items) {
    return json_pack("[so]", "set", items);
}

static json_t *map_of(json_t *pairs) {
    return json_pack("[so]", "map", pairs);
}

static json_t *ids(const char *role) {
    return map_of(str_empty(role) ? json_array() : json_pack("[[ss]]", OVS_OWNER_KEY, role));
}

static const char *known_uuid(const struct builder *b, const char *table, const char *name) {
    if (str_eq(table, "Bridge")) {
        const struct ovs_bridge *r = ovs_state_bridge(b->state, name);
        return r ? r->uuid : NULL;
    }
    if (str_eq(table, "Port")) {
        const struct ovs_port *r = ovs_state_port(b->state, name);
        return r ? r->uuid : NULL;
    }
    const struct ovs_iface *r = ovs_state_iface(b->state, name);
    return r ? r->uuid : NULL;
}

/* The row as an atom: one made in this transaction before one that the database holds. NULL with an error. */
static json_t *row_of(const struct builder *b, const char *table, const char *name, struct error **errp) {
    for (size_t i = b->n_created; i-- > 0;)
        if (str_eq(b->created[i].table, table) && str_eq(b->created[i].name, name))
            return json_pack("[ss]", "named-uuid", b->created[i].symbol);
    const char *uuid = known_uuid(b, table, name);
    if (uuid)
        return json_pack("[ss]", "uuid", uuid);
    error_setf(errp, ERR_OVS_REFUSED, "%s '%s' is not there", table, name);
    return NULL;
}

/* The row that the database holds already, for deletions: a row made in this transaction is not meant by them. */
static json_t *old_row_of(const struct builder *b, const char *table, const char *name, struct error **errp) {
    const char *uuid = known_uuid(b, table, name);
    if (uuid)
        return json_pack("[ss]", "uuid", uuid);
    return row_of(b, table, name, errp);
}

/* Inserts a row, `row` is taken. Returns its atom. */
static json_t *insert(struct builder *b, const char *table, const char *name, json_t *row) {
    struct created *c = &b->created[b->n_created];
    *c = (struct created){.table = table, .name = name};
    snprintf(c->symbol, sizeof c->symbol, "r%zu", b->n_created++);
    json_array_append_new(
        b->ops, json_pack("{ss ss ss so}", "op", "insert", "table", table, "uuid-name", c->symbol, "row", row));
    return json_pack("[ss]", "named-uuid", c->symbol);
}

/* mutations is taken; row too (NULL row: all rows of the table). */
static void mutate(struct builder *b, const char *table, json_t *row, json_t *mutations) {
    json_t *where = row ? json_pack("[[sso]]", "_uuid", "==", row) : json_array();
    json_array_append_new(
        b->ops, json_pack("{ss ss so so}", "op", "mutate", "table", table, "where", where, "mutations", mutations));
}

static void update(struct builder *b, const char *table, json_t *row, json_t *columns) {
    json_array_append_new(b->ops, json_pack("{ss ss s[[sso]] so}", "op", "update", "table", table, "where", "_uuid",
                                            "==", row, "row", columns));
}

static json_t *link_mutation(const char *column, const char *how, json_t *row) {
    return json_pack("[[sso]]", column, how, set_of(json_pack("[o]", row)));
}

static json_t *optional_int(int value, int none) {
    return value == none ? set_of(json_array()) : json_integer(value);
}

static json_t *iface_row(const struct ovs_op *op, const char *name) {
    json_t *row = json_pack("{ss so}", "name", name, "external_ids", ids(op->role));
    if (!str_empty(op->iface_type))
        json_object_set_new(row, "type", json_string(op->iface_type));
    if (!str_empty(op->peer))
        json_object_set_new(row, "options", map_of(json_pack("[[ss]]", "peer", op->peer)));
    if (!str_empty(op->mac))
        json_object_set_new(row, "mac", json_string(op->mac));
    if (op->mtu)
        json_object_set_new(row, "mtu_request", json_integer(op->mtu));
    return row;
}

static json_t *bond_pairs(const struct ovs_bond *bond) {
    json_t *pairs = json_array();
    json_array_append_new(pairs, json_pack("[ss]", "lacp-time", bond->lacp_fast ? "fast" : "slow"));
    json_array_append_new(pairs, json_pack("[ss]", "lacp-fallback-ab", bond->fallback_ab ? "true" : "false"));
    if (!str_empty(bond->primary))
        json_array_append_new(pairs, json_pack("[ss]", "bond-primary", bond->primary));
    if (bond->aggregation_key) {
        char key[16];
        snprintf(key, sizeof key, "%d", bond->aggregation_key);
        json_array_append_new(pairs, json_pack("[ss]", "lacp-aggregation-key", key));
    }
    return pairs;
}

static void bond_columns(json_t *row, const struct ovs_bond *bond) {
    json_object_set_new(row, "bond_mode", bond ? json_string(bond->mode) : set_of(json_array()));
    json_object_set_new(row, "lacp", bond ? json_string(bond->lacp ? "active" : "off") : set_of(json_array()));
    json_object_set_new(row, "bond_updelay", json_integer(bond ? bond->updelay_ms : 0));
    json_object_set_new(row, "bond_downdelay", json_integer(bond ? bond->downdelay_ms : 0));
}

static bool add_bridge(struct builder *b, const struct ovs_op *op) {
    json_t *irow = json_pack("{ss ss so}", "name", op->bridge, "type", "internal", "external_ids", ids(op->role));
    if (op->mtu)
        json_object_set_new(irow, "mtu_request", json_integer(op->mtu));
    json_t *iface = insert(b, "Interface", op->bridge, irow);
    json_t *port =
        insert(b, "Port", op->bridge,
               json_pack("{ss so so}", "name", op->bridge, "interfaces", iface, "external_ids", ids(op->role)));
    json_t *brow = json_pack("{ss so so}", "name", op->bridge, "ports", port, "external_ids", ids(op->role));
    json_object_set_new(brow, "datapath_type", json_string(str_or_empty(op->datapath_type)));
    /* What XenServer's bridges do too: without a controller, an ordinary learning switch. */
    json_object_set_new(brow, "fail_mode", json_string("standalone"));
    if (!str_empty(op->mac))
        json_object_set_new(brow, "other_config", map_of(json_pack("[[ss]]", "hwaddr", op->mac)));
    mutate(b, OVS_DATABASE, NULL, link_mutation("bridges", "insert", insert(b, "Bridge", op->bridge, brow)));
    return true;
}

static bool add_port(struct builder *b, const struct ovs_op *op, struct error **errp) {
    json_t *bridge = row_of(b, "Bridge", op->bridge, errp);
    if (!bridge)
        return false;
    json_t *ifaces = json_array();
    for (unsigned i = 0; i < op->n_ifaces; i++)
        json_array_append_new(ifaces, insert(b, "Interface", op->ifaces[i], iface_row(op, op->ifaces[i])));
    json_t *row =
        json_pack("{ss so so}", "name", op->port, "interfaces", set_of(ifaces), "external_ids", ids(op->role));
    if (op->tag >= 0)
        json_object_set_new(row, "tag", json_integer(op->tag));
    if (op->fake_bridge)
        json_object_set_new(row, "fake_bridge", json_true());
    if (op->bond) {
        bond_columns(row, op->bond);
        json_object_set_new(row, "other_config", map_of(bond_pairs(op->bond)));
    }
    mutate(b, "Bridge", bridge, link_mutation("ports", "insert", insert(b, "Port", op->port, row)));
    return true;
}

/* Takes a port's row out of its bridge, or an interface's row out of its port. */
static bool unlink_row(struct builder *b, const char *parent_table, const char *parent, const char *column,
                       const char *table, const char *name, struct error **errp) {
    json_t *row = old_row_of(b, table, name, errp);
    json_t *from = row ? row_of(b, parent_table, parent, errp) : NULL;
    if (!from) {
        json_decref(row);
        return false;
    }
    mutate(b, parent_table, from, link_mutation(column, "delete", row));
    return true;
}

static bool move_port(struct builder *b, const struct ovs_op *op, struct error **errp) {
    json_t *row = old_row_of(b, "Port", op->port, errp);
    json_t *to = row ? row_of(b, "Bridge", op->to_bridge, errp) : NULL;
    if (!to || !unlink_row(b, "Bridge", op->bridge, "ports", "Port", op->port, errp)) {
        json_decref(row);
        json_decref(to);
        return false;
    }
    mutate(b, "Bridge", to, link_mutation("ports", "insert", row));
    return true;
}

static bool set_bond(struct builder *b, const struct ovs_op *op, struct error **errp) {
    json_t *row = row_of(b, "Port", op->port, errp);
    if (!row)
        return false;
    json_t *mutations = json_array();
    json_array_append_new(mutations, json_pack("[ss[s[ssss]]]", "other_config", "delete", "set", "bond-primary",
                                               "lacp-time", "lacp-fallback-ab", "lacp-aggregation-key"));
    if (op->bond)
        json_array_append_new(mutations, json_pack("[sso]", "other_config", "insert", map_of(bond_pairs(op->bond))));
    mutate(b, "Port", json_incref(row), mutations);
    json_t *columns = json_object();
    bond_columns(columns, op->bond);
    update(b, "Port", row, columns);
    return true;
}

static bool set_bridge_mac(struct builder *b, const struct ovs_op *op, struct error **errp) {
    json_t *row = row_of(b, "Bridge", op->bridge, errp);
    if (!row)
        return false;
    json_t *mutations = json_pack("[[ss[s[s]]]]", "other_config", "delete", "set", "hwaddr");
    if (!str_empty(op->mac))
        json_array_append_new(
            mutations, json_pack("[sso]", "other_config", "insert", map_of(json_pack("[[ss]]", "hwaddr", op->mac))));
    mutate(b, "Bridge", row, mutations);
    return true;
}

static bool add_op(struct builder *b, const struct ovs_op *op, struct error **errp) {
    json_t *row;
    switch (op->kind) {
    case OVS_BRIDGE_ADD:
        return add_bridge(b, op);
    case OVS_BRIDGE_DEL:
        row = old_row_of(b, "Bridge", op->bridge, errp);
        if (row)
            mutate(b, OVS_DATABASE, NULL, link_mutation("bridges", "delete", row));
        return row != NULL;
    case OVS_BRIDGE_MAC:
        return set_bridge_mac(b, op, errp);
    case OVS_PORT_ADD:
        return add_port(b, op, errp);
    case OVS_PORT_DEL:
        return unlink_row(b, "Bridge", op->bridge, "ports", "Port", op->port, errp);
    case OVS_PORT_MOVE:
        return move_port(b, op, errp);
    case OVS_PORT_BOND:
        return set_bond(b, op, errp);
    case OVS_PORT_TAG:
        row = row_of(b, "Port", op->port, errp);
        if (row)
            update(b, "Port", row, json_pack("{so}", "tag", optional_int(op->tag, -1)));
        return row != NULL;
    case OVS_PORT_ADD_IFACE:
        row = row_of(b, "Port", op->port, errp);
        if (row)
            mutate(b, "Port", row,
                   link_mutation("interfaces", "insert",
                                 insert(b, "Interface", op->ifaces[0], iface_row(op, op->ifaces[0]))));
        return row != NULL;
    case OVS_PORT_DEL_IFACE:
        return unlink_row(b, "Port", op->port, "interfaces", "Interface", op->ifaces[0], errp);
    case OVS_IFACE_MTU:
        row = row_of(b, "Interface", op->ifaces[0], errp);
        if (row)
            update(b, "Interface", row, json_pack("{so}", "mtu_request", optional_int(op->mtu, 0)));
        return row != NULL;
    case OVS_IFACE_MAC:
        row = row_of(b, "Interface", op->ifaces[0], errp);
        if (row)
            update(b, "Interface", row,
                   json_pack("{so}", "mac", str_empty(op->mac) ? set_of(json_array()) : json_string(op->mac)));
        return row != NULL;
    }
    abort();
}

bool ovs_txn_build(const struct ovs_state *state, const struct ovs_op *ops, size_t n, const char *comment, json_t **ret,
                   struct error **errp) {
    if (n > MAX_OPS) {
        error_setf(errp, ERR_OVS_REFUSED, "%zu changes in one transaction; at most %d", n, MAX_OPS);
        return false;
    }
    struct builder b = {.state = state, .ops = json_pack("[s]", OVS_DATABASE)};
    /* An op inserts at most its interfaces, a port and a bridge. */
    b.created = xcalloc(n * (OVS_MAX_LEGS + 2) + 1, sizeof *b.created);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = add_op(&b, &ops[i], errp);
    free(b.created);
    if (!ok) {
        json_decref(b.ops);
        return false;
    }
    mutate(&b, OVS_DATABASE, NULL, json_pack("[[ssi]]", "next_cfg", "+=", 1));
    json_array_append_new(
        b.ops, json_pack("{ss ss s[] s[s]}", "op", "select", "table", OVS_DATABASE, "where", "columns", "next_cfg"));
    json_array_append_new(b.ops, json_pack("{ss ss}", "op", "comment", "comment", comment ? comment : "muster"));
    *ret = b.ops;
    return true;
}

int64_t ovs_txn_cfg(const json_t *result) {
    size_t n = json_array_size(result);
    const json_t *rows = n < 2 ? NULL : json_object_get(json_array_get(result, n - 2), "rows");
    const json_t *cfg = json_object_get(json_array_get(rows, 0), "next_cfg");
    return json_is_integer(cfg) ? json_integer_value(cfg) : -1;
}
