/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of one look at the pool. */
#include "tui/tui_pool.h"

static bool all_of(struct client *c, const char *class, struct value *ret, struct error **errp) {
    _cleanup_free_ char *method = strf("%s.get_all_records", class);
    return client_call(c, method, NULL, 0, ret, errp);
}

/* Adds the record that `ref` names to a map from reference to record. One that has gone meanwhile is left out. */
static bool add_record(struct client *c, const char *class, const char *ref, struct value *into, struct error **errp) {
    _cleanup_free_ char *method = strf("%s.get_record", class);
    _cleanup_value_ struct value param = value_string(ref);
    struct value record = {.type = VALUE_VOID};
    struct error *e = NULL;
    if (client_call(c, method, &param, 1, &record, &e)) {
        value_map_put(into, ref, record);
        return true;
    }
    if (error_is(e, "HANDLE_INVALID")) {
        error_free(e);
        return true;
    }
    error_propagate(errp, e);
    return false;
}

static bool read_pifs(struct client *c, const char *host_ref, struct tui_records *r, struct error **errp) {
    _cleanup_value_ struct value query = value_stringf("field \"host\"=\"%s\"", host_ref);
    if (!client_call(c, "PIF.get_all_records_where", &query, 1, &r->pifs, errp))
        return false;
    r->pif_metrics = value_map();
    r->bonds = value_map();
    for (size_t i = 0; r->pifs.type == VALUE_MAP && i < MIN(r->pifs.map.n, (size_t)TUI_MAX_INTERFACES); i++) {
        const struct value *pif = &r->pifs.map.pairs[i].value;
        if (pif->type != VALUE_MAP)
            continue;
        const char *metrics = value_map_str(pif, "metrics");
        const struct value *bonds = value_map_get(pif, "bond_master_of");
        if (metrics && !add_record(c, "PIF_metrics", metrics, &r->pif_metrics, errp))
            return false;
        if (bonds && bonds->type == VALUE_SET && bonds->set.n &&
            !add_record(c, "Bond", value_str(&bonds->set.items[0]), &r->bonds, errp))
            return false;
    }
    return true;
}

static bool read_all(struct client *c, const char *host_uuid, struct tui_records *r, struct error **errp) {
    if (!all_of(c, "pool", &r->pools, errp) || !all_of(c, "host", &r->hosts, errp) ||
        !all_of(c, "host_metrics", &r->host_metrics, errp) || !all_of(c, "network", &r->networks, errp))
        return false;
    _cleanup_free_ char *ref = strf("OpaqueRef:%s", host_uuid);
    bool is_only = !*host_uuid && r->hosts.type == VALUE_MAP && r->hosts.map.n == 1;
    return read_pifs(c, is_only ? r->hosts.map.pairs[0].key : ref, r, errp);
}

struct tui_pool *tui_pool_read(struct client *c, const char *host_uuid, struct error **errp) {
    struct tui_records r = {0};
    struct tui_pool *p = read_all(c, host_uuid, &r, errp) ? tui_pool_from(&r, host_uuid, errp) : NULL;
    tui_records_done(&r);
    return p;
}
