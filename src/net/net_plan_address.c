/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses on the ports of our bridges. New ones come before old ones go; an address that leaves a NIC goes only after
 * its bridge has it.
 */
#include <string.h>

#include "base/str.h"
#include "net/net_planner.h"

static void sysctl(struct net_planner *p, const char *link, enum net_family family, const char *key, const char *value,
                   const char *reason) {
    struct net_step s = planner_step(p, NET_OP_SYSCTL, "%s", reason);
    str_copy(s.link, sizeof(s.link), link);
    s.family = family;
    s.key = key;
    s.value = value;
    s.on_fail = NET_FAIL_IGNORE;
    planner_add(p, &s);
}

/* How a port comes up decides which IPv6 addresses it gives itself, so the settings come first. */
static void prepare_ipv6(struct net_planner *p, const struct net_bridge *b) {
    static const char reason[] = "IPv6 as wanted, before the link comes up and makes addresses by itself";
    if (b->ip6.mode == NET_IP_NONE) {
        sysctl(p, b->name, NET_FAMILY_IPV6, "disable_ipv6", "1", reason);
        return;
    }
    bool is_static = b->ip6.mode == NET_IP_STATIC;
    sysctl(p, b->name, NET_FAMILY_IPV6, "accept_ra", is_static ? "0" : "2", reason);
    sysctl(p, b->name, NET_FAMILY_IPV6, "autoconf", b->ip6.mode == NET_IP_AUTOCONF ? "1" : "0", reason);
    sysctl(p, b->name, NET_FAMILY_IPV6, "disable_ipv6", "0", reason);
}

void planner_bring_up(struct net_planner *p, const struct net_bridge *b, const char *reason) {
    const struct net_obs_link *l = net_observed_link(p->now, b->name);
    if (!l || l->up)
        return;
    prepare_ipv6(p, b);
    planner_add_link_up(p, b->name, reason);
}

static bool is_wanted_addr(const struct net_planner *p, const struct net_bridge *b, const struct net_obs_addr *a) {
    const struct net_ip *ip = a->addr.family == NET_FAMILY_IPV6 ? &b->ip6 : &b->ip4;
    const struct net_obs_lease *lease = net_observed_lease(p->now, b->name, a->addr.family);
    if (a->addr.family == NET_FAMILY_IPV6 && net_addr_is_link_local(&a->addr))
        return true; /* the kernel's */
    switch (ip->mode) {
    case NET_IP_STATIC:
        return net_addr_eq(&a->addr, &ip->address);
    case NET_IP_DHCP:
        return a->dynamic || (lease && net_addr_same_host(&lease->address, &a->addr));
    case NET_IP_AUTOCONF:
        return a->dynamic;
    case NET_IP_NONE:
        break;
    }
    return false;
}

/* The kernel takes the later addresses of a network away with the first one, unless it is told to promote them. */
static void outlive(struct net_planner *p, const struct net_bridge *b) {
    sysctl(p, b->name, NET_FAMILY_IPV4, "promote_secondaries", "1",
           "the new address must outlive the old one of the same network");
}

static bool has_ipv4(const struct net_planner *p, const char *link) {
    for (unsigned i = 0; i < p->now->n_addrs; i++)
        if (str_eq(p->now->addrs[i].link, link) && p->now->addrs[i].addr.family == NET_FAMILY_IPV4)
            return true;
    return false;
}

static struct net_step add_addr(struct net_planner *p, const struct net_bridge *b, const struct net_addr *a,
                                const char *what) {
    char text[NET_ADDR_TEXT_SIZE];
    struct net_step s =
        planner_step(p, NET_OP_ADDR_ADD, "%s %s '%s'", net_addr_text(a, /* with_prefix= */ true, text), what, b->name);
    str_copy(s.link, sizeof(s.link), b->name);
    s.addr = *a;
    planner_expect(&s, NET_EXPECT_ADDR, b->name, NET_WAIT_KERNEL_MS)->addr = *a;
    return s;
}

/* A client that runs asks again only when its lease nears the end; the address that it holds may be put back at once.
 */
static void restore_leased(struct net_planner *p, const struct net_bridge *b) {
    const struct net_obs_lease *l = net_observed_lease(p->now, b->name, NET_FAMILY_IPV4);
    if (b->ip4.mode != NET_IP_DHCP || !l || !l->client_running || !l->address.family || has_ipv4(p, b->name))
        return;
    struct net_step s = add_addr(p, b, &l->address, "was given by the DHCP server to");
    planner_add(p, &s);
}

static void start_client(struct net_planner *p, const struct net_bridge *b, const struct net_ip *ip,
                         enum net_family family) {
    const struct net_obs_lease *l = net_observed_lease(p->now, b->name, family);
    bool is_running = l && l->client_running;
    if (ip->mode != NET_IP_DHCP && is_running) {
        struct net_step s = planner_step(p, NET_OP_DHCP_STOP, "'%s' has no DHCP any more", b->name);
        str_copy(s.link, sizeof(s.link), b->name);
        s.family = family;
        planner_add(p, &s);
    } else if (ip->mode == NET_IP_DHCP && !is_running) {
        if (family == NET_FAMILY_IPV4 && has_ipv4(p, b->name))
            outlive(p, b);
        struct net_step s = planner_step(p, NET_OP_DHCP_START,
                                         "'%s' gets its address by DHCP; option 26 is reported, not obeyed", b->name);
        str_copy(s.link, sizeof(s.link), b->name);
        s.family = family;
        planner_expect(&s, NET_EXPECT_LEASE, b->name, NET_WAIT_LEASE_MS)->value = (int)family;
        /* Live, an old address may stand to be deleted next: not before the new one is there. At boot there is nothing
         * else. */
        bool is_risky = p->options.mode == NET_PLAN_LIVE && planner_is_control(p, b->name);
        s.on_fail = is_risky ? NET_FAIL_STOP : NET_FAIL_FAULT;
        s.fail_code = NET_FAULT_STEP_FAILED;
        planner_add(p, &s);
    }
}

static bool add_static(struct net_planner *p, const struct net_bridge *b, const struct net_ip *ip) {
    if (ip->mode != NET_IP_STATIC || net_observed_has_addr(p->now, b->name, &ip->address))
        return false;
    for (unsigned i = 0; i < p->now->n_addrs; i++) {
        struct net_addr other = net_addr_network(&p->now->addrs[i].addr), network = net_addr_network(&ip->address);
        if (ip->address.family == NET_FAMILY_IPV4 && str_eq(p->now->addrs[i].link, b->name) &&
            net_addr_eq(&other, &network)) {
            outlive(p, b);
            break;
        }
    }
    struct net_step s = add_addr(p, b, &ip->address, "is the address of");
    return planner_add(p, &s);
}

static void delete_addr(struct net_planner *p, const char *link, const struct net_addr *a, bool unless_leased,
                        const char *reason) {
    struct net_step s = planner_step(p, NET_OP_ADDR_DEL, "%s", reason);
    str_copy(s.link, sizeof(s.link), link);
    s.addr = *a;
    s.unless_leased = unless_leased;
    planner_expect(&s, NET_EXPECT_NO_ADDR, link, NET_WAIT_KERNEL_MS)->addr = *a;
    planner_add(p, &s);
}

static void address_bridge(struct net_planner *p, const struct net_bridge *b) {
    if (!net_observed_link(p->now, b->name))
        return; /* its problem is named already */
    planner_bring_up(p, b, "a bridge in use is up");
    planner_batch_begin(p);
    bool is_new = add_static(p, b, &b->ip4);
    is_new = add_static(p, b, &b->ip6) || is_new;
    planner_batch_end(p);
    restore_leased(p, b);
    start_client(p, b, &b->ip4, NET_FAMILY_IPV4);
    start_client(p, b, &b->ip6, NET_FAMILY_IPV6);
    struct net_observed *snapshot = net_observed_copy(p->now);
    for (unsigned i = 0; i < snapshot->n_addrs; i++) {
        const struct net_obs_addr *a = &snapshot->addrs[i];
        if (!str_eq(a->link, b->name) || is_wanted_addr(p, b, a))
            continue;
        if (a->addr.family == NET_FAMILY_IPV6 && b->ip6.mode == NET_IP_NONE && a->dynamic) {
            sysctl(p, b->name, NET_FAMILY_IPV6, "disable_ipv6", "1", "no IPv6 is wanted here");
            continue;
        }
        bool is_dhcp = (a->addr.family == NET_FAMILY_IPV4 ? b->ip4.mode : b->ip6.mode) == NET_IP_DHCP;
        delete_addr(p, b->name, &a->addr, is_dhcp, "nobody wants this address here");
    }
    net_observed_free(snapshot);
    if (!is_new)
        return;
    p->moved_to = xrealloc_array(p->moved_to, p->n_moved_to + 1, sizeof(*p->moved_to));
    str_copy(p->moved_to[p->n_moved_to++], NET_NAME_SIZE, b->name);
}

/* A NIC in a bridge has no address of its own: first start on a host that was set up without us. */
static void clean_legs(struct net_planner *p, const struct net_bridge *b) {
    net_name legs[NET_MAX_LEGS];
    unsigned n = planner_legs(p, b, legs);
    for (unsigned k = 0; k < n; k++) {
        struct net_observed *snapshot = net_observed_copy(p->now);
        bool has_ipv6 = false;
        for (unsigned i = 0; i < snapshot->n_addrs; i++) {
            const struct net_obs_addr *a = &snapshot->addrs[i];
            if (!str_eq(a->link, legs[k]))
                continue;
            has_ipv6 = has_ipv6 || a->addr.family == NET_FAMILY_IPV6;
            if (a->addr.family == NET_FAMILY_IPV4)
                delete_addr(p, legs[k], &a->addr, false, "the address is the bridge's now, a NIC in a bridge has none");
        }
        net_observed_free(snapshot);
        if (has_ipv6)
            sysctl(p, legs[k], NET_FAMILY_IPV6, "disable_ipv6", "1", "a NIC in a bridge speaks no IPv6 of its own");
    }
}

/* Of our bridges that go: two routes to the same network would hide the locked one. */
static void clean_leftovers(struct net_planner *p) {
    struct net_observed *snapshot = net_observed_copy(p->now);
    for (unsigned i = 0; i < snapshot->n_addrs; i++) {
        const struct net_obs_addr *a = &snapshot->addrs[i];
        const struct net_obs_port *port = net_observed_port(snapshot, a->link);
        if (port && port->ours && !net_config_bridge(p->wanted, a->link) && !net_addr_is_link_local(&a->addr))
            delete_addr(p, a->link, &a->addr, false, "its bridge is not wanted any more");
    }
    net_observed_free(snapshot);
}

void planner_addresses(struct net_planner *p) {
    const struct net_bridge *m = net_config_management(p->wanted);
    if (m && planner_can_touch(p, m))
        address_bridge(p, m);
    for (unsigned i = 0; i < p->wanted->n_bridges; i++) {
        const struct net_bridge *b = &p->wanted->bridges[i];
        if (b != m && planner_can_touch(p, b))
            address_bridge(p, b);
    }
    for (unsigned i = 0; i < p->wanted->n_bridges; i++)
        if (planner_can_touch(p, &p->wanted->bridges[i]))
            clean_legs(p, &p->wanted->bridges[i]);
    clean_leftovers(p);
}
