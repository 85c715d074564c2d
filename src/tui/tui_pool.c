/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/path_entry.h"

void tui_records_done(struct tui_records *r) {
    value_done(&r->pools);
    value_done(&r->hosts);
    value_done(&r->host_metrics);
    value_done(&r->networks);
    value_done(&r->pifs);
    value_done(&r->pif_metrics);
    value_done(&r->bonds);
}

/* ---- records ---- */
static const struct value *member(const struct value *record, const char *field) {
    return record && record->type == VALUE_MAP ? value_map_get(record, field) : NULL;
}

static const char *text_of(const struct value *record, const char *field) {
    const struct value *v = member(record, field);
    return v ? value_str(v) : "";
}

static int int_of(const struct value *record, const char *field) {
    const struct value *v = member(record, field);
    int64_t i = v ? value_as_int(v) : 0;
    return i < 0 || i > INT32_MAX ? -1 : (int)i;
}

static bool bool_of(const struct value *record, const char *field) {
    const struct value *v = member(record, field);
    return v && value_as_bool(v);
}

/* The record that a field of `record` refers to; NULL. */
static const struct value *follow(const struct value *all, const struct value *record, const char *field) {
    const struct value *v = member(record, field);
    return v && all->type == VALUE_MAP ? value_map_get(all, value_str(v)) : NULL;
}

static size_t count(const struct value *all) {
    return all->type == VALUE_MAP ? all->map.n : 0;
}

/* ---- paths ---- */
static const struct value *host_by_uuid(const struct value *hosts, const char *uuid) {
    for (size_t i = 0; i < count(hosts); i++)
        if (str_eq(text_of(&hosts->map.pairs[i].value, "uuid"), uuid))
            return &hosts->map.pairs[i].value;
    return NULL;
}

static int by_place(const void *a, const void *b) {
    const struct tui_path *x = a, *y = b;
    int r = strcmp(x->leg, y->leg);
    r = r ? r : x->vlan - y->vlan;
    r = r ? r : strcmp(x->peer, y->peer);
    return r ? r : strcmp(x->peer_leg, y->peer_leg);
}

static void add_paths(struct tui_pool *p, const struct tui_records *r, const struct value *host) {
    const struct value *table = member(host, "path_table");
    size_t n = table ? MIN(count(table), (size_t)TUI_MAX_PATHS) : 0;
    p->paths = xcalloc(n ? n : 1, sizeof(*p->paths));
    for (size_t i = 0; i < n; i++) {
        const struct value_pair *entry = &table->map.pairs[i];
        struct path_entry e;
        if (!path_entry_parse(entry->key, value_str(&entry->value), &e))
            continue;
        const struct value *peer = host_by_uuid(&r->hosts, e.peer);
        struct tui_path *path = &p->paths[p->n_paths++];
        *path = (struct tui_path){.vlan = e.vlan, .size = e.passes, .wanted = e.wanted};
        str_copy(path->leg, sizeof(path->leg), e.leg);
        str_copy(path->peer_leg, sizeof(path->peer_leg), e.peer_leg);
        str_copy(path->peer, sizeof(path->peer), peer ? text_of(peer, "name_label") : e.peer);
    }
    qsort(p->paths, p->n_paths, sizeof(*p->paths), by_place);
}

/* ---- interfaces ---- */
static const struct value *bond_of(const struct tui_records *r, const struct value *pif) {
    const struct value *bonds = member(pif, "bond_master_of");
    if (!bonds || bonds->type != VALUE_SET || !bonds->set.n || r->bonds.type != VALUE_MAP)
        return NULL;
    return value_map_get(&r->bonds, value_str(&bonds->set.items[0]));
}

static struct tui_interface *add_pif(struct tui_pool *p, const struct tui_records *r, const struct value *pif,
                                     enum tui_kind kind, const char *parent) {
    char name[64];
    int vlan = int_of(pif, "VLAN");
    if (kind == TUI_VLAN)
        snprintf(name, sizeof(name), "%.32s.%d", text_of(pif, "device"), vlan);
    else
        str_copy(name, sizeof(name), text_of(pif, "device"));
    struct tui_interface *t = tui_interfaces_add(&p->interfaces, name, kind);
    if (!t)
        return NULL;
    const struct value *metrics = follow(&r->pif_metrics, pif, "metrics"),
                       *network = follow(&r->networks, pif, "network"), *bond = bond_of(r, pif),
                       *ipv6 = member(pif, "IPv6");
    str_copy(t->parent, sizeof(t->parent), parent);
    t->vlan = kind == TUI_VLAN ? vlan : -1;
    t->has_link = bool_of(metrics, "carrier");
    t->is_up = bool_of(pif, "currently_attached") || *parent;
    t->is_management = bool_of(pif, "management");
    t->mtu = MAX(int_of(pif, "MTU"), 0);
    t->wanted_mtu = network ? MAX(int_of(network, "MTU"), 0) : 0;
    t->proven_size = MAX(int_of(pif, "proven_size"), 0);
    str_copy(t->mode, sizeof(t->mode), text_of(bond, "mode"));
    str_copy(t->ip, sizeof(t->ip), text_of(pif, "IP"));
    if (ipv6 && ipv6->type == VALUE_SET && ipv6->set.n)
        str_copy(t->ipv6, sizeof(t->ipv6), value_str(&ipv6->set.items[0]));
    const char *label = text_of(network, "name_label");
    str_copy(t->network, sizeof(t->network), *label ? label : text_of(network, "bridge"));
    str_copy(t->switch_name, sizeof(t->switch_name), text_of(metrics, "switch_name"));
    str_copy(t->switch_port, sizeof(t->switch_port), text_of(metrics, "switch_port"));
    return t;
}

static int by_device(const void *a, const void *b) {
    const struct value *x = *(const struct value *const *)a, *y = *(const struct value *const *)b;
    int r = strcmp(text_of(x, "device"), text_of(y, "device"));
    return r ? r : int_of(x, "VLAN") - int_of(y, "VLAN");
}

static bool is_member_of(const struct value *pif, const struct value *bond_pif) {
    const struct value *bonds = member(bond_pif, "bond_master_of");
    return bonds && bonds->type == VALUE_SET && bonds->set.n &&
           str_eq(text_of(pif, "bond_slave_of"), value_str(&bonds->set.items[0]));
}

static void add_interfaces(struct tui_pool *p, const struct tui_records *r, const char *host_ref) {
    const struct value **all = xcalloc(count(&r->pifs) + 1, sizeof(*all));
    size_t n = 0;
    for (size_t i = 0; i < count(&r->pifs); i++)
        if (str_eq(text_of(&r->pifs.map.pairs[i].value, "host"), host_ref))
            all[n++] = &r->pifs.map.pairs[i].value;
    qsort(all, n, sizeof(*all), by_device);
    for (size_t i = 0; i < n; i++) { /* bonds with their members */
        if (!bond_of(r, all[i]))
            continue;
        add_pif(p, r, all[i], TUI_BOND, "");
        for (size_t k = 0; k < n; k++) {
            struct tui_interface *leg =
                is_member_of(all[k], all[i]) ? add_pif(p, r, all[k], TUI_NIC, text_of(all[i], "device")) : NULL;
            if (leg)
                *leg->network = 0; /* its own plays no part now */
        }
    }
    for (size_t i = 0; i < n; i++) /* other NICs */
        if (bool_of(all[i], "physical") && !tui_interfaces_find(&p->interfaces, text_of(all[i], "device")))
            add_pif(p, r, all[i], TUI_NIC, "");
    for (size_t i = 0; i < n; i++) /* VLANs */
        if (!bool_of(all[i], "physical") && int_of(all[i], "VLAN") >= 0 && !bond_of(r, all[i]))
            add_pif(p, r, all[i], TUI_VLAN, text_of(all[i], "device"));
    free(all);
}

/* A leg's own proven size is the least that its paths show. */
static void prove_legs(struct tui_pool *p) {
    for (size_t i = 0; i < p->interfaces.n; i++) {
        struct tui_interface *t = &p->interfaces.items[i];
        const struct tui_interface *bond = *t->parent ? tui_interfaces_find(&p->interfaces, t->parent) : NULL;
        if (t->kind != TUI_NIC || !bond)
            continue;
        int least = INT32_MAX;
        for (size_t k = 0; k < p->n_paths; k++)
            if (str_eq(p->paths[k].leg, t->name) && !p->paths[k].vlan)
                least = MIN(least, p->paths[k].size);
        t->proven_size = least == INT32_MAX ? 0 : least;
        t->wanted_mtu = bond->wanted_mtu;
    }
}

/* ---- the whole ---- */
static void add_hosts(struct tui_pool *p, const struct tui_records *r) {
    for (size_t i = 0; i < count(&r->hosts); i++) {
        const struct value *h = &r->hosts.map.pairs[i].value, *faults = member(h, "faults");
        const char *name = text_of(h, "name_label");
        for (size_t k = 0; faults && k < count(faults); k++)
            tui_alerts_add_sentence(&p->alerts, name, value_str(&faults->map.pairs[k].value));
        if (p->n_hosts == TUI_MAX_HOSTS)
            continue;
        struct tui_host *host = &p->hosts[p->n_hosts++];
        str_copy(host->name, sizeof(host->name), name);
        str_copy(host->state, sizeof(host->state), text_of(h, "membership_state"));
        host->is_live = bool_of(follow(&r->host_metrics, h, "metrics"), "live");
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct tui_host *)a)->name, ((const struct tui_host *)b)->name);
}

struct tui_pool *tui_pool_from(const struct tui_records *r, const char *host_uuid, struct error **errp) {
    const struct value_pair *self = NULL;
    for (size_t i = 0; i < count(&r->hosts); i++)
        if (str_eq(text_of(&r->hosts.map.pairs[i].value, "uuid"), host_uuid) || (!*host_uuid && count(&r->hosts) == 1))
            self = &r->hosts.map.pairs[i];
    if (!self) {
        error_internal(errp, "the pool's records do not name this host yet");
        return NULL;
    }
    const struct value *h = &self->value, *pool = count(&r->pools) ? &r->pools.map.pairs[0].value : NULL,
                       *master = follow(&r->hosts, pool, "master");
    struct tui_pool *p = xnew0(struct tui_pool);
    str_copy(p->host_name, sizeof(p->host_name), text_of(h, "name_label"));
    str_copy(p->host_uuid, sizeof(p->host_uuid), text_of(h, "uuid"));
    str_copy(p->host_ref, sizeof(p->host_ref), self->key);
    str_copy(p->address, sizeof(p->address), text_of(h, "address"));
    str_copy(p->pool_name, sizeof(p->pool_name), text_of(pool, "name_label"));
    str_copy(p->pool_uuid, sizeof(p->pool_uuid), text_of(pool, "uuid"));
    p->is_coordinator = master == h;
    str_copy(p->coordinator, sizeof(p->coordinator), text_of(master, "name_label"));
    str_copy(p->coordinator_address, sizeof(p->coordinator_address), text_of(master, "address"));
    str_copy(p->version, sizeof(p->version), text_of(member(h, "software_version"), "platform_version"));
    str_copy(p->state, sizeof(p->state), text_of(h, "membership_state"));
    str_copy(p->since, sizeof(p->since), text_of(h, "membership_since"));
    str_copy(p->outcome, sizeof(p->outcome), text_of(h, "network_outcome"));
    p->reason = xstrdup(text_of(h, "membership_reason"));
    p->outcome_text = xstrdup(text_of(h, "network_text"));
    p->is_enabled = bool_of(h, "enabled");
    add_hosts(p, r);
    qsort(p->hosts, p->n_hosts, sizeof(p->hosts[0]), by_name);
    add_interfaces(p, r, self->key);
    add_paths(p, r, h);
    prove_legs(p);
    return p;
}
