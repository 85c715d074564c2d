/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_repair.h"

#include <stdio.h>

#include "base/nic_bridge.h"
#include "base/str.h"

#define FAIL(...)                                                                                                      \
    do {                                                                                                               \
        error_setf(errp, ERR_NET_REPAIR_INVALID, __VA_ARGS__);                                                         \
        return false;                                                                                                  \
    } while (0)

void net_repair_done(struct net_repair *r) {
    net_config_free(r->whole);
    *r = (struct net_repair){0};
}

void net_repair_copy(const struct net_repair *r, struct net_repair *ret) {
    *ret = *r;
    ret->whole = r->whole ? net_config_copy(r->whole) : NULL;
}

bool net_repair_is_empty(const struct net_repair *r) {
    return !r->whole && !r->reset.device[0] && !r->management_on[0] && !r->n_drops && !r->mtu;
}

static void add_drop(struct net_repair *r, const char *leg) {
    for (unsigned i = 0; i < r->n_drops; i++)
        if (str_eq(r->drops[i], leg))
            return;
    if (r->n_drops < NET_MAX_NICS && net_name_set(r->drops[r->n_drops], leg))
        r->n_drops++;
}

void net_repair_add(struct net_repair *r, const struct net_repair *later) {
    if (later->whole || later->reset.device[0]) {
        net_repair_done(r);
        net_repair_copy(later, r);
        return;
    }
    r->state = later->state;
    memcpy(r->id, later->id, sizeof(r->id));
    memcpy(r->by, later->by, sizeof(r->by));
    r->since = later->since;
    if (later->management_on[0])
        memcpy(r->management_on, later->management_on, sizeof(r->management_on));
    for (unsigned i = 0; i < later->n_drops; i++)
        add_drop(r, later->drops[i]);
    if (later->mtu)
        r->mtu = later->mtu;
}

/* ---- small things of a config ---- */

static void forget_bridges(struct net_config *c) {
    free(c->bridges);
    c->bridges = NULL;
    c->n_bridges = 0;
    c->management[0] = 0;
}

static struct net_bridge *bridge_of_leg(struct net_config *c, const char *nic) {
    for (unsigned i = 0; i < c->n_bridges; i++)
        for (unsigned k = 0; k < c->bridges[i].n_legs; k++)
            if (str_eq(c->bridges[i].legs[k], nic))
                return &c->bridges[i];
    return NULL;
}

static void list_nics(const struct net_config *c, struct buf *b) {
    for (unsigned i = 0; i < c->n_nics; i++)
        buf_addf(b, "%s%s", i ? ", " : "", c->nics[i].name);
}

static bool check_nic(const struct net_config *c, const char *nic, struct error **errp) {
    _cleanup_buf_ struct buf names = BUF_INIT;
    if (net_config_nic(c, nic))
        return true;
    list_nics(c, &names);
    FAIL("'%s' is no NIC of this host; it has %s", nic, names.size ? buf_str(&names) : "none");
}

static void free_name(const struct net_config *c, const char *prefix, net_name ret) {
    unsigned n = 0;
    do
        (void)snprintf(ret, NET_NAME_SIZE, "%s%u", prefix, n++);
    while (net_config_bridge(c, ret));
}

/* The leg leaves its bond; the first that is left takes its place as primary. */
static void remove_leg(struct net_bridge *b, const char *leg) {
    unsigned n = 0;
    for (unsigned i = 0; i < b->n_legs; i++)
        if (!str_eq(b->legs[i], leg))
            memmove(b->legs[n++], b->legs[i], sizeof(net_name));
    b->n_legs = n;
    if (str_eq(b->bond.primary, leg))
        memcpy(b->bond.primary, b->legs[0], sizeof(b->bond.primary));
}

/* ---- the parts ---- */

static bool drop_leg(struct net_config *c, const char *leg, struct error **errp) {
    if (!check_nic(c, leg, errp))
        return false;
    struct net_bridge *b = bridge_of_leg(c, leg);
    if (!b || b->purpose != NET_PURPOSE_BOND)
        return true; /* done, or the pool took the bond apart meanwhile */
    if (b->n_legs == 1)
        FAIL("'%s' is the only leg of bond '%s', and a bond without legs carries nothing; drop another leg, or use "
             "--management-on with another NIC",
             leg, b->bond.name);
    remove_leg(b, leg);
    return true;
}

/* The bridge of this NIC alone, which carries no address of its own; made when there is none. NULL with an error. */
static struct net_bridge *own_bridge(struct net_config *c, const char *nic, int mtu, struct error **errp) {
    struct net_bridge *b = bridge_of_leg(c, nic);
    char text[NET_ADDR_TEXT_SIZE];
    if (b && b->purpose == NET_PURPOSE_NIC) {
        const struct net_ip *ip = b->ip4.mode != NET_IP_NONE ? &b->ip4 : &b->ip6;
        if (ip->mode == NET_IP_NONE)
            return b;
        error_setf(errp, ERR_NET_REPAIR_INVALID,
                   "'%s' bears an address of its own (%s), which it would lose; take another NIC, or 'muster-netboot "
                   "reset' when that does not matter",
                   nic,
                   ip->mode == NET_IP_STATIC ? net_addr_text(&ip->address, /* with_prefix= */ true, text) : "DHCP");
        return NULL;
    }
    if (b && b->n_legs == 1) {
        error_setf(
            errp, ERR_NET_REPAIR_INVALID,
            "'%s' is the only leg of bond '%s', whose networks would lose it; take another NIC, or 'muster-netboot "
            "reset' when that does not matter",
            nic, b->bond.name);
        return NULL;
    }
    if (b)
        remove_leg(b, nic);
    net_name name;
    nic_bridge_name(nic, name);
    if (net_config_bridge(c, name))
        free_name(c, "xenbr", name);
    if (c->n_bridges == NET_MAX_BRIDGES) {
        error_setf(errp, ERR_NET_REPAIR_INVALID, "the host has %d bridges already, as many as it can; remove one VLAN",
                   NET_MAX_BRIDGES);
        return NULL;
    }
    b = net_config_add_bridge(c, name, NET_PURPOSE_NIC);
    net_bridge_add_leg(b, nic);
    b->mtu = mtu;
    return b;
}

static void take_ip(struct net_bridge *to, struct net_bridge *from) {
    to->ip4 = from->ip4;
    to->ip6 = from->ip6;
    to->n_dns = from->n_dns;
    memcpy(to->dns, from->dns, sizeof(to->dns));
    from->ip4 = from->ip6 = (struct net_ip){0};
    from->n_dns = 0;
}

static bool move_management(struct net_config *c, const char *nic, struct error **errp) {
    const struct net_bridge *m = net_config_management(c);
    net_name management;
    if (!check_nic(c, nic, errp))
        return false;
    if (!m)
        FAIL("this host's network has no management that could be moved; give it one with 'muster-netboot reset'");
    memcpy(management, c->management, sizeof(management));
    const struct net_bridge *base = net_config_base(c, m), *there = bridge_of_leg(c, nic);
    if (there && there == base && there->purpose == NET_PURPOSE_NIC)
        return true;
    struct net_bridge *b = own_bridge(c, nic, m->mtu, errp);
    if (!b)
        return false;
    b->mtu = MAX(b->mtu, net_config_bridge(c, management)->mtu);
    struct net_bridge *old = net_config_bridge(c, management); /* adding may have moved it */
    if (old->purpose == NET_PURPOSE_VLAN) {                    /* its tag goes with it */
        memcpy(old->parent, b->name, sizeof(old->parent));
        return true;
    }
    take_ip(b, old);
    memcpy(c->management, b->name, sizeof(c->management));
    return true;
}

static bool set_mtu(struct net_config *c, int mtu, struct error **errp) {
    struct net_bridge *m = net_config_bridge(c, c->management);
    if (!m)
        FAIL("this host's network has no management whose MTU could be set; give it one with 'muster-netboot reset'");
    struct net_bridge *base = m->purpose == NET_PURPOSE_VLAN ? net_config_bridge(c, m->parent) : m;
    m->mtu = mtu;
    if (!base)
        return true;
    base->mtu = mtu;
    for (unsigned i = 0; i < c->n_bridges; i++) {
        struct net_bridge *v = &c->bridges[i];
        if (v->purpose == NET_PURPOSE_VLAN && str_eq(v->parent, base->name))
            v->mtu = MIN(v->mtu, mtu); /* more would be lost in silence */
    }
    return true;
}

static bool reset(struct net_config *c, const struct net_reset *r, struct error **errp) {
    net_name name, uplink;
    if (!check_nic(c, r->device, errp))
        return false;
    forget_bridges(c);
    nic_bridge_name(r->device, uplink);
    struct net_bridge *b = net_config_add_bridge(c, uplink, NET_PURPOSE_NIC);
    net_bridge_add_leg(b, r->device);
    b->mtu = r->mtu;
    if (r->vlan) {
        free_name(c, "xapi", name);
        b = net_config_add_bridge(c, name, NET_PURPOSE_VLAN);
        b->mtu = r->mtu;
        b->tag = r->vlan;
        memcpy(b->parent, uplink, sizeof(b->parent));
    }
    b->ip4 = r->ip4;
    b->ip6 = r->ip6;
    b->n_dns = r->n_dns;
    memcpy(b->dns, r->dns, sizeof(b->dns));
    memcpy(c->management, b->name, sizeof(c->management));
    return true;
}

/* The bridges of the network before; NICs that were added since stay known. */
static void take_whole(struct net_config *c, const struct net_config *whole) {
    forget_bridges(c);
    for (unsigned i = 0; i < whole->n_nics && c->n_nics < NET_MAX_NICS; i++)
        if (!net_config_nic(c, whole->nics[i].name))
            net_config_add_nic(c, whole->nics[i].name, &whole->nics[i].mac);
    if (whole->n_bridges) {
        c->bridges = xcalloc(whole->n_bridges, sizeof(*c->bridges));
        memcpy(c->bridges, whole->bridges, whole->n_bridges * sizeof(*c->bridges));
        c->n_bridges = whole->n_bridges;
    }
    memcpy(c->management, whole->management, sizeof(c->management));
}

bool net_repair_apply(const struct net_repair *r, struct net_config *c, struct error **errp) {
    _cleanup_net_config_ struct net_config *n = net_config_copy(c);
    if (r->whole)
        take_whole(n, r->whole);
    if (r->reset.device[0] && !reset(n, &r->reset, errp))
        return false;
    if (r->management_on[0] && !move_management(n, r->management_on, errp))
        return false;
    for (unsigned i = 0; i < r->n_drops; i++)
        if (!drop_leg(n, r->drops[i], errp))
            return false;
    if (r->mtu && !set_mtu(n, r->mtu, errp))
        return false;
    const struct net_bridge *m = net_config_management(n);
    if (m)
        n->control_size = MAX(NET_CONTROL_SIZE_MIN, MIN(n->control_size, m->mtu));
    struct error *e = NULL;
    if (!net_config_validate(n, &e)) {
        error_setf(errp, ERR_NET_REPAIR_INVALID, "the repair gives a network that contradicts itself: %s",
                   error_n_params(e) ? error_param(e, 0) : error_text(e));
        error_free(e);
        return false;
    }
    struct net_config old = *c;
    *c = *n;
    *n = old;
    return true;
}

/* ---- for people ---- */

static void add_ip(struct buf *b, const struct net_ip *ip) {
    char text[NET_ADDR_TEXT_SIZE];
    if (ip->mode == NET_IP_STATIC)
        buf_addf(b, ", %s", net_addr_text(&ip->address, /* with_prefix= */ true, text));
    else if (ip->mode != NET_IP_NONE)
        buf_addf(b, ", %s", net_ip_mode_text(ip->mode));
}

char *net_repair_words(const struct net_repair *r) {
    struct buf b = BUF_INIT;
    if (r->whole)
        buf_add_str(&b, "the network as it was proven before");
    if (r->reset.device[0]) {
        buf_addf(&b, "management on %s alone", r->reset.device);
        if (r->reset.vlan)
            buf_addf(&b, " in VLAN %d", r->reset.vlan);
        add_ip(&b, &r->reset.ip4);
        add_ip(&b, &r->reset.ip6);
        buf_add_str(&b, ", without bonds and VLANs");
    }
    if (r->management_on[0])
        buf_addf(&b, "%smanagement on %s", b.size ? ", " : "", r->management_on);
    for (unsigned i = 0; i < r->n_drops; i++)
        buf_addf(&b, "%sleg %s out of its bond", b.size ? ", " : "", r->drops[i]);
    if (r->mtu)
        buf_addf(&b, "%sMTU %d on management", b.size ? ", " : "", r->mtu);
    if (!b.size)
        buf_add_str(&b, "nothing");
    return buf_take(&b);
}
