/* SPDX-License-Identifier: Apache-2.0 */
/* The read-back half of the applier: one function per kind of expectation. */
#include "net/net_apply.h"

#include "base/str.h"
#include "net/net_apply_os.h"
#include "net/net_lease.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define PROBE_MS 300 /* one ARP question; the step's own timeout repeats it */

static bool no(char **ret_problem, char *text) {
    *ret_problem = text;
    return false;
}

static bool check_link(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    struct link_info info;
    int r = link_find(env->link, e->name, &info);
    if (r < 0)
        return no(ret_problem, strf("link '%s' is not there", e->name));
    if (e->kind == NET_EXPECT_CARRIER && !info.carrier)
        return no(ret_problem, strf("'%s' has no carrier", e->name));
    if (e->kind == NET_EXPECT_MTU && info.mtu != (unsigned)e->value)
        return no(ret_problem, strf("'%s' has MTU %u instead of %d", e->name, info.mtu, e->value));
    return true;
}

static bool check_iface(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    _cleanup_(ovs_state_done) struct ovs_state state = {0};
    _cleanup_error_ struct error *error = NULL;
    if (!env->ovs || !ovs_read(env->ovs, &state, &error))
        return no(ret_problem, strf("the switch cannot be read: %s", error ? error_text(error) : "not running"));
    const struct ovs_iface *f = ovs_state_iface(&state, e->name);
    if (!f)
        return no(ret_problem, strf("the switch has no interface '%s'", e->name));
    if (f->error[0])
        return no(ret_problem, strf("the switch says of '%s': %s", e->name, f->error));
    return f->ofport > 0 ||
           no(ret_problem, strf("the switch has not taken '%s' into service (port number %d)", e->name, f->ofport));
}

static bool check_bond(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    struct ovs_bond_status s;
    _cleanup_error_ struct error *error = NULL;
    if (!env->ovs || !ovs_bond_status(env->ovs, e->name, &s, &error))
        return no(ret_problem, strf("the switch tells nothing of bond '%s'", e->name));
    unsigned n_enabled = 0;
    const char *active = "";
    for (unsigned i = 0; i < s.n_legs; i++) {
        n_enabled += s.legs[i].enabled;
        if (s.legs[i].active)
            active = s.legs[i].name;
    }
    if (e->kind == NET_EXPECT_ACTIVE_LEG)
        return (e->other[0] ? str_eq(active, e->other) : *active) ||
               no(ret_problem, e->other[0] ? strf("the active leg of '%s' is %s instead of '%s'", e->name,
                                                  *active ? active : "none", e->other)
                                           : strf("no leg of '%s' carries", e->name));
    return (s.lacp_negotiated && n_enabled == s.n_legs) ||
           no(ret_problem, strf("LACP on '%s' is %s with %u of %u legs enabled", e->name,
                                s.lacp_negotiated ? "negotiated" : "not negotiated", n_enabled, s.n_legs));
}

static bool check_address(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    struct link_info info;
    _cleanup_(link_addresses_done) struct link_addresses all = {0};
    bool wanted = e->kind == NET_EXPECT_ADDR, found = false;
    if (link_find(env->link, e->name, &info) == 0 && link_list_addresses(env->link, &all) == 0)
        for (size_t i = 0; i < all.n; i++) {
            struct net_addr a = net_from_link_ip(&all.items[i].ip, all.items[i].prefix_len);
            found = found || (all.items[i].index == info.index && net_addr_eq(&a, &e->addr));
        }
    if (found == wanted)
        return true;
    char text[NET_ADDR_TEXT_SIZE];
    return no(ret_problem, strf("'%s' %s the address %s", e->name, wanted ? "does not have" : "still has",
                                net_addr_text(&e->addr, true, text)));
}

static bool check_lock(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    char text[NET_ADDR_TEXT_SIZE];
    struct link_ip dst = net_to_link_ip(&e->addr);
    struct link_route route;
    struct link_info info;
    net_addr_text(&e->addr, false, text);
    if (link_find(env->link, e->name, &info) < 0 || link_route_get(env->link, &dst, &route) < 0)
        return no(ret_problem, strf("there is no route to %s", text));
    if (route.index != info.index)
        return no(ret_problem, strf("the route to %s does not leave through '%s'", text, e->name));
    if (route.mtu != (unsigned)e->value)
        return no(ret_problem, strf("the route to %s through '%s' is %s %u instead of locked to %d", text, e->name,
                                    route.mtu ? "limited to" : "not limited:", route.mtu, e->value));
    return true;
}

static bool check_lease(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    enum net_family family = e->value == 6 ? NET_FAMILY_IPV6 : NET_FAMILY_IPV4;
    struct net_lease lease;
    _cleanup_error_ struct error *error = NULL;
    if (!env->lease_dir || !net_lease_load(env->lease_dir, e->name, family, &lease, &error))
        return no(ret_problem, strf("no DHCP server has given '%s' an address", e->name));
    struct net_expect address = {.kind = NET_EXPECT_ADDR, .addr = lease.address};
    (void)net_name_set(address.name, e->name);
    return check_address(env, &address, ret_problem);
}

static bool check_neighbour(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    struct link_ip dst = net_to_link_ip(&e->addr), src = {0};
    struct link_mac mac;
    char text[NET_ADDR_TEXT_SIZE];
    int r = dst.family == AF_INET ? link_arp_probe(env->link, e->name, &src, &dst, PROBE_MS, &mac)
                                  : net_probe_neighbour6(env->link, e->name, &dst);
    return r == 0 || no(ret_problem, strf("%s does not answer on '%s'", net_addr_text(&e->addr, false, text), e->name));
}

bool net_expect_check(struct net_apply_env *env, const struct net_expect *e, char **ret_problem) {
    switch (e->kind) {
    case NET_EXPECT_SWITCH_DONE: {
        struct error *error = NULL;
        if (env->ovs && ovs_wait_cfg(env->ovs, env->last_cfg, 0, &error))
            return true;
        char *text = strf("%s", error ? error_text(error) : "there is no switch");
        error_free(error);
        return no(ret_problem, text);
    }
    case NET_EXPECT_LINK_EXISTS:
    case NET_EXPECT_CARRIER:
    case NET_EXPECT_MTU:
        return check_link(env, e, ret_problem);
    case NET_EXPECT_IFACE_OK:
        return check_iface(env, e, ret_problem);
    case NET_EXPECT_ACTIVE_LEG:
    case NET_EXPECT_LACP:
        return check_bond(env, e, ret_problem);
    case NET_EXPECT_ADDR:
    case NET_EXPECT_NO_ADDR:
        return check_address(env, e, ret_problem);
    case NET_EXPECT_ROUTE_LOCKED:
        return check_lock(env, e, ret_problem);
    case NET_EXPECT_LEASE:
        return check_lease(env, e, ret_problem);
    case NET_EXPECT_GARP_QUIET:
        return net_clock_ms() >= env->last_garp_ms + (uint64_t)e->value ||
               no(ret_problem, xstrdup("the last announcement is too recent"));
    case NET_EXPECT_NEIGHBOUR:
        return check_neighbour(env, e, ret_problem);
    }
    abort();
}
