/* SPDX-License-Identifier: Apache-2.0 */
#include "ovs/ovs_txn.h"

#include "base/str.h"

#include <stdio.h>

#define MAX_ROWS 16384 /* of one table; a host with that many ports is not ours */

static json_t *select_of(const char *table, const char *const columns[]) {
    json_t *names = json_array();
    for (size_t i = 0; columns[i]; i++)
        json_array_append_new(names, json_string(columns[i]));
    return json_pack("{ss ss s[] so}", "op", "select", "table", table, "where", "columns", names);
}

json_t *ovs_txn_read(void) {
    static const char *const root[] = {"next_cfg", "cur_cfg", NULL};
    static const char *const bridge[] = {"_uuid",        "name", "datapath_type", "ports", "external_ids",
                                         "other_config", NULL};
    static const char *const port[] = {"_uuid",
                                       "name",
                                       "interfaces",
                                       "tag",
                                       "fake_bridge",
                                       "external_ids",
                                       "other_config",
                                       "bond_mode",
                                       "bond_updelay",
                                       "lacp",
                                       "bond_downdelay",
                                       "bond_active_slave",
                                       NULL};
    static const char *const iface[] = {"_uuid", "name",        "type",   "options", "mac",          "mac_in_use",
                                        "mtu",   "mtu_request", "ofport", "error",   "external_ids", NULL};
    return json_pack("[soooo]", OVS_DATABASE, select_of(OVS_DATABASE, root), select_of("Bridge", bridge),
                     select_of("Port", port), select_of("Interface", iface));
}

/* ---- OVSDB values: an atom, or ["set", [...]], ["map", [[k, v]...]], ["uuid", u] ---- */

static bool is_tagged(const json_t *v, const char *tag) {
    return json_array_size(v) == 2 && json_is_string(json_array_get(v, 0)) &&
           str_eq(json_string_value(json_array_get(v, 0)), tag);
}

static size_t set_size(const json_t *v) {
    return is_tagged(v, "set") ? json_array_size(json_array_get(v, 1)) : 1;
}

static const json_t *set_item(const json_t *v, size_t i) {
    return is_tagged(v, "set") ? json_array_get(json_array_get(v, 1), i) : v;
}

/* The column's text; an empty set gives "". What does not fit is cut. */
static void get_text(const json_t *row, const char *column, char *dst, size_t size) {
    const json_t *v = set_item(json_object_get(row, column), 0);
    (void)str_copy(dst, size, json_is_string(v) ? json_string_value(v) : "");
}

static int get_int(const json_t *row, const char *column, int none) {
    const json_t *v = set_item(json_object_get(row, column), 0);
    return json_is_integer(v) ? (int)json_integer_value(v) : none;
}

static void get_uuid(const json_t *v, char dst[static OVS_UUID_SIZE]) {
    const json_t *text = is_tagged(v, "uuid") ? json_array_get(v, 1) : NULL;
    (void)str_copy(dst, OVS_UUID_SIZE, json_is_string(text) ? json_string_value(text) : "");
}

static void get_key(const json_t *row, const char *column, const char *key, char *dst, size_t size) {
    const json_t *v = json_object_get(row, column);
    const json_t *pairs = is_tagged(v, "map") ? json_array_get(v, 1) : NULL;
    dst[0] = 0;
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const char *k = json_string_value(json_array_get(json_array_get(pairs, i), 0));
        const char *text = json_string_value(json_array_get(json_array_get(pairs, i), 1));
        if (k && text && str_eq(k, key))
            (void)str_copy(dst, size, text);
    }
}

static void parse_port(const json_t *row, struct ovs_port *p) {
    char text[16];
    get_uuid(json_object_get(row, "_uuid"), p->uuid);
    get_text(row, "name", p->name, sizeof p->name);
    get_key(row, "external_ids", OVS_OWNER_KEY, p->role, sizeof p->role);
    p->tag = get_int(row, "tag", -1);
    p->fake_bridge = json_is_true(json_object_get(row, "fake_bridge"));
    get_text(row, "bond_mode", p->bond.mode, sizeof p->bond.mode);
    get_text(row, "lacp", text, sizeof text);
    p->bond.lacp = str_eq(text, "active") || str_eq(text, "passive");
    p->bond.updelay_ms = get_int(row, "bond_updelay", 0);
    p->bond.downdelay_ms = get_int(row, "bond_downdelay", 0);
    get_key(row, "other_config", "bond-primary", p->bond.primary, sizeof p->bond.primary);
    get_key(row, "other_config", "lacp-time", text, sizeof text);
    p->bond.lacp_fast = str_eq(text, "fast");
    get_key(row, "other_config", "lacp-fallback-ab", text, sizeof text);
    p->bond.fallback_ab = str_eq(text, "true");
    get_key(row, "other_config", "lacp-aggregation-key", text, sizeof text);
    int64_t key;
    p->bond.aggregation_key = str_parse_int(text, 1, 65535, &key) ? (int)key : 0;
    get_text(row, "bond_active_slave", p->active_mac, sizeof p->active_mac);
}

static void parse_iface(const json_t *row, struct ovs_iface *i) {
    get_uuid(json_object_get(row, "_uuid"), i->uuid);
    get_text(row, "name", i->name, sizeof i->name);
    get_key(row, "external_ids", OVS_OWNER_KEY, i->role, sizeof i->role);
    get_text(row, "type", i->type, sizeof i->type);
    get_key(row, "options", "peer", i->peer, sizeof i->peer);
    get_text(row, "mac", i->mac, sizeof i->mac);
    get_text(row, "mac_in_use", i->mac_in_use, sizeof i->mac_in_use);
    i->mtu = get_int(row, "mtu", 0);
    i->mtu_request = get_int(row, "mtu_request", 0);
    i->ofport = get_int(row, "ofport", 0);
    get_text(row, "error", i->error, sizeof i->error);
}

static const json_t *rows_of(const json_t *result, size_t i, size_t *ret_n) {
    const json_t *rows = json_object_get(json_array_get(result, i), "rows");
    *ret_n = json_array_size(rows);
    return rows;
}

/* Puts the names of the interfaces into the port that lists their UUIDs. */
static void join_ifaces(struct ovs_state *s, struct ovs_port *p, const json_t *column) {
    for (size_t i = 0; i < set_size(column) && p->n_ifaces < OVS_MAX_LEGS; i++) {
        char uuid[OVS_UUID_SIZE];
        get_uuid(set_item(column, i), uuid);
        for (size_t j = 0; uuid[0] && j < s->n_ifaces; j++)
            if (str_eq(s->ifaces[j].uuid, uuid)) {
                (void)str_copy(p->ifaces[p->n_ifaces++], OVS_NAME_SIZE, s->ifaces[j].name);
                break; /* a reference is one interface; there is no room for more */
            }
    }
    p->has_bond = p->bond.mode[0] || p->n_ifaces > 1;
}

static void join_ports(struct ovs_state *s, const struct ovs_bridge *b, const json_t *column) {
    for (size_t i = 0; i < set_size(column); i++) {
        char uuid[OVS_UUID_SIZE];
        get_uuid(set_item(column, i), uuid);
        for (size_t j = 0; j < s->n_ports; j++)
            if (str_eq(s->ports[j].uuid, uuid))
                (void)str_copy(s->ports[j].bridge, OVS_NAME_SIZE, b->name);
    }
}

bool ovs_txn_parse(const json_t *result, struct ovs_state *ret, struct error **errp) {
    size_t n_root, n_bridges, n_ports, n_ifaces;
    const json_t *root = rows_of(result, 0, &n_root), *bridges = rows_of(result, 1, &n_bridges);
    const json_t *ports = rows_of(result, 2, &n_ports), *ifaces = rows_of(result, 3, &n_ifaces);
    if (!root || !bridges || !ports || !ifaces || n_bridges > MAX_ROWS || n_ports > MAX_ROWS || n_ifaces > MAX_ROWS) {
        error_set(errp, ERR_OVS_REFUSED, "the switch's database answered with something else than its tables", NULL);
        return false;
    }
    if (n_root == 0) { /* what `ovs-vsctl init` does */
        error_set(errp, ERR_OVS_REFUSED, "the switch's database is not initialised; run 'ovs-vsctl --no-wait init'",
                  NULL);
        return false;
    }
    struct ovs_state s = {.bridges = xcalloc(n_bridges + 1, sizeof *s.bridges),
                          .ports = xcalloc(n_ports + 1, sizeof *s.ports),
                          .ifaces = xcalloc(n_ifaces + 1, sizeof *s.ifaces),
                          .n_bridges = n_bridges,
                          .n_ports = n_ports,
                          .n_ifaces = n_ifaces};
    s.next_cfg = json_integer_value(json_object_get(json_array_get(root, 0), "next_cfg"));
    s.cur_cfg = json_integer_value(json_object_get(json_array_get(root, 0), "cur_cfg"));
    for (size_t i = 0; i < n_ifaces; i++)
        parse_iface(json_array_get(ifaces, i), &s.ifaces[i]);
    for (size_t i = 0; i < n_ports; i++) {
        parse_port(json_array_get(ports, i), &s.ports[i]);
        join_ifaces(&s, &s.ports[i], json_object_get(json_array_get(ports, i), "interfaces"));
    }
    for (size_t i = 0; i < n_bridges; i++) {
        const json_t *row = json_array_get(bridges, i);
        struct ovs_bridge *b = &s.bridges[i];
        get_uuid(json_object_get(row, "_uuid"), b->uuid);
        get_text(row, "name", b->name, sizeof b->name);
        get_text(row, "datapath_type", b->datapath_type, sizeof b->datapath_type);
        get_key(row, "other_config", "hwaddr", b->hwaddr, sizeof b->hwaddr);
        get_key(row, "external_ids", OVS_OWNER_KEY, b->role, sizeof b->role);
        join_ports(&s, b, json_object_get(row, "ports"));
    }
    *ret = s;
    return true;
}

/* "member eth0: enabled", "  active member" (3.1 says member, older ones slave), "lacp_status: negotiated". */
void ovs_bond_parse(const char *text, struct ovs_bond_status *ret) {
    struct ovs_bond_status s = {0};
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, text, '\n');
    for (size_t i = 0; i < lines.n; i++) {
        const char *line = lines.items[i];
        char name[OVS_NAME_SIZE], word[16];
        if (sscanf(line, "bond_mode: %15s", word) == 1)
            (void)str_copy(s.mode, sizeof s.mode, word);
        else if (str_starts(line, "lacp_status: "))
            s.lacp_negotiated = str_eq(line, "lacp_status: negotiated");
        else if ((sscanf(line, "member %63[^:]: %15s", name, word) == 2 ||
                  sscanf(line, "slave %63[^:]: %15s", name, word) == 2) &&
                 s.n_legs < OVS_MAX_LEGS) {
            struct ovs_bond_leg *leg = &s.legs[s.n_legs++];
            (void)str_copy(leg->name, sizeof leg->name, name);
            leg->enabled = str_eq(word, "enabled");
        } else if (s.n_legs && (str_eq(line, "  active member") || str_eq(line, "  active slave")))
            s.legs[s.n_legs - 1].active = true;
    }
    *ret = s;
}
