/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_config.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"

struct net_config *net_config_new(void) {
    struct net_config *c = xnew0(struct net_config);
    c->control_size = NET_MTU_DEFAULT;
    return c;
}

void net_config_free(struct net_config *c) {
    if (!c)
        return;
    free(c->nics);
    free(c->bridges);
    free(c->host_name);
    free(c->provenance);
    free(c->repair);
    free(c);
}

struct net_config *net_config_copy(const struct net_config *c) {
    struct net_config *n = xnew0(struct net_config);
    *n = *c;
    n->nics = NULL;
    n->bridges = NULL;
    if (c->n_nics) {
        n->nics = xcalloc(c->n_nics, sizeof(*n->nics));
        memcpy(n->nics, c->nics, c->n_nics * sizeof(*n->nics));
    }
    if (c->n_bridges) {
        n->bridges = xcalloc(c->n_bridges, sizeof(*n->bridges));
        memcpy(n->bridges, c->bridges, c->n_bridges * sizeof(*n->bridges));
    }
    n->host_name = c->host_name ? xstrdup(c->host_name) : NULL;
    n->provenance = c->provenance ? xstrdup(c->provenance) : NULL;
    n->repair = c->repair ? xstrdup(c->repair) : NULL;
    return n;
}

struct net_nic *net_config_add_nic(struct net_config *c, const char *name, const struct net_mac *mac) {
    assert(c->n_nics < NET_MAX_NICS);
    c->nics = xrealloc_array(c->nics, c->n_nics + 1, sizeof(*c->nics));
    struct net_nic *n = &c->nics[c->n_nics++];
    *n = (struct net_nic){.mac = *mac};
    if (!net_name_set(n->name, name))
        abort();
    return n;
}

struct net_bridge *net_config_add_bridge(struct net_config *c, const char *name, enum net_purpose purpose) {
    assert(c->n_bridges < NET_MAX_BRIDGES);
    c->bridges = xrealloc_array(c->bridges, c->n_bridges + 1, sizeof(*c->bridges));
    struct net_bridge *b = &c->bridges[c->n_bridges++];
    *b = (struct net_bridge){
        .purpose = purpose,
        .mtu = NET_MTU_DEFAULT,
        .bond =
            {
                .fallback_ab = true,
                .updelay_ms = NET_BOND_UPDELAY_MS,
                .downdelay_ms = NET_BOND_DOWNDELAY_MS,
            },
    };
    if (!net_name_set(b->name, name))
        abort();
    return b;
}

void net_bridge_add_leg(struct net_bridge *b, const char *nic) {
    assert(b->n_legs < NET_MAX_LEGS);
    if (!net_name_set(b->legs[b->n_legs++], nic))
        abort();
}

void net_config_set_provenance(struct net_config *c, const char *text) {
    free(c->provenance);
    c->provenance = xstrdup(text);
}

void net_config_set_host_name(struct net_config *c, const char *text) {
    free(c->host_name);
    c->host_name = xstrdup(text);
}

void net_config_set_repair(struct net_config *c, const char *text) {
    char *copy = text ? xstrdup(text) : NULL; /* may be the present one */
    free(c->repair);
    c->repair = copy;
}

const struct net_nic *net_config_nic(const struct net_config *c, const char *name) {
    for (unsigned i = 0; i < c->n_nics; i++)
        if (str_eq(c->nics[i].name, name))
            return &c->nics[i];
    return NULL;
}

struct net_bridge *net_config_bridge(const struct net_config *c, const char *name) {
    for (unsigned i = 0; i < c->n_bridges; i++)
        if (str_eq(c->bridges[i].name, name))
            return &c->bridges[i];
    return NULL;
}

const struct net_bridge *net_config_management(const struct net_config *c) {
    return c->management[0] ? net_config_bridge(c, c->management) : NULL;
}

const struct net_bridge *net_config_base(const struct net_config *c, const struct net_bridge *b) {
    if (b->purpose != NET_PURPOSE_VLAN)
        return b;
    const struct net_bridge *p = net_config_bridge(c, b->parent);
    return p && p->purpose != NET_PURPOSE_VLAN ? p : NULL;
}

const char *net_bridge_primary_leg(const struct net_bridge *b) {
    if (b->purpose == NET_PURPOSE_BOND && b->bond.primary[0])
        return b->bond.primary;
    return b->n_legs ? b->legs[0] : "";
}

struct net_ovs_bond net_bridge_ovs_bond(const struct net_bridge *b) {
    struct net_ovs_bond o = {
        .updelay_ms = b->bond.updelay_ms,
        .downdelay_ms = b->bond.downdelay_ms,
    };
    str_copy(o.primary, sizeof(o.primary), net_bridge_primary_leg(b));
    switch (b->bond.mode) {
    case NET_BOND_ACTIVE_BACKUP:
        o.mode = NET_OVS_BOND_AB;
        break;
    case NET_BOND_BALANCE_SLB:
        o.mode = NET_OVS_BOND_SLB;
        break;
    case NET_BOND_LACP:
        /* Hashing by source MAC is what balance-slb does; with LACP on, both legs belong to one group of the switch. */
        o.mode = b->bond.hash_src_mac ? NET_OVS_BOND_SLB : NET_OVS_BOND_TCP;
        o.lacp = true;
        o.lacp_fast = b->bond.lacp_fast;
        o.fallback_ab = b->bond.fallback_ab;
        o.aggregation_key = b->bond.aggregation_key;
        break;
    }
    return o;
}

static const char *const purpose_texts[] = {
    [NET_PURPOSE_NIC] = "nic",
    [NET_PURPOSE_BOND] = "bond",
    [NET_PURPOSE_VLAN] = "vlan",
    [NET_PURPOSE_INTERNAL] = "internal",
};

const char *net_purpose_text(enum net_purpose p) {
    return purpose_texts[p];
}

static const char *const bond_mode_texts[] = {
    [NET_BOND_ACTIVE_BACKUP] = "active-backup",
    [NET_BOND_BALANCE_SLB] = "balance-slb",
    [NET_BOND_LACP] = "lacp",
};

const char *net_bond_mode_text(enum net_bond_mode m) {
    return bond_mode_texts[m];
}

bool net_bond_mode_parse(const char *text, enum net_bond_mode *ret) {
    for (unsigned i = 0; i < ARRAY_SIZE(bond_mode_texts); i++)
        if (str_eq(text, bond_mode_texts[i])) {
            *ret = i;
            return true;
        }
    return false;
}

static const char *const ip_mode_texts[] = {
    [NET_IP_NONE] = "none",
    [NET_IP_STATIC] = "static",
    [NET_IP_DHCP] = "dhcp",
    [NET_IP_AUTOCONF] = "autoconf",
};

const char *net_ip_mode_text(enum net_ip_mode m) {
    return ip_mode_texts[m];
}

const char *net_datapath_text(enum net_datapath d) {
    return d == NET_DATAPATH_NETDEV ? "netdev" : "system";
}

bool net_datapath_parse(const char *text, enum net_datapath *ret) {
    if (!str_eq(text, "system") && !str_eq(text, "netdev"))
        return false;
    *ret = str_eq(text, "netdev") ? NET_DATAPATH_NETDEV : NET_DATAPATH_SYSTEM;
    return true;
}
