/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random hosts, random networks: boot one configuration, then change to others, on the model, with the invariants after
 * every step. Half of the changes are cut off at a random step (a crash) and planned anew from there.
 * property_net RUNS [FIRST_SEED]; a failure names its seed, which alone repeats it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "invariants.h"

static uint64_t state;

static unsigned pick(unsigned n) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (unsigned)((z ^ (z >> 31)) % n);
}

#define MAX_HOST_NICS 6
static const int mtus[] = {1500, 9000, 4000, 1280, 9216};

static struct net_mac mac_of(unsigned i) {
    return (struct net_mac){.b = {0x52, 0x54, 0, 0, 0, (uint8_t)(i + 1)}};
}

static void random_bond(struct net_bridge *b, unsigned number) {
    _cleanup_free_ char *name = strf("bond%u", number);
    str_copy(b->bond.name, sizeof(b->bond.name), name);
    b->bond.mode = (enum net_bond_mode)pick(3);
    b->bond.lacp_fast = pick(2);
    b->bond.hash_src_mac = pick(4) == 0;
    if (pick(2))
        str_copy(b->bond.primary, sizeof(b->bond.primary), b->legs[pick(b->n_legs)]);
}

static void set_address(struct net_bridge *b, unsigned n) {
    _cleanup_free_ char *text = strf("10.%u.0.%u/24", n, 5 + pick(2)), *gateway = strf("10.%u.0.1", n);
    b->ip4.mode = NET_IP_STATIC;
    if (!net_addr_parse(text, &b->ip4.address) || (pick(2) && !net_addr_parse(gateway, &b->ip4.gateway)))
        abort();
    _cleanup_free_ char *text6 = strf("fd00:%u::5/64", n);
    if (pick(4) == 0 && b->mtu >= NET_MTU_MIN_IPV6) {
        b->ip6.mode = NET_IP_STATIC;
        if (!net_addr_parse(text6, &b->ip6.address))
            abort();
    }
}

/* NICs are dealt to bridges in random groups; some stay unused. The management address tends to be the same one. */
static struct net_config *random_config(unsigned n_nics) {
    struct net_config *c = net_config_new();
    unsigned order[MAX_HOST_NICS], n_bonds = 0, next = 0, n_xapi = 0;
    for (unsigned i = 0; i < n_nics; i++) {
        _cleanup_free_ char *name = strf("eth%u", i);
        struct net_mac mac = mac_of(i);
        net_config_add_nic(c, name, &mac);
        order[i] = i;
    }
    for (unsigned i = 0; i < n_nics && pick(2); i++) {
        unsigned k = pick(n_nics), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    while (next < n_nics) {
        unsigned n = MIN(1 + pick(3), n_nics - next);
        if (next && pick(4) == 0) {
            next += n;
            continue;
        }
        _cleanup_free_ char *bond_bridge = strf("xapi%u", n_xapi), *nic_bridge = strf("xenbr%u", order[next]);
        bool is_bond = n > 1 || pick(6) == 0;
        struct net_bridge *b =
            net_config_add_bridge(c, is_bond ? bond_bridge : nic_bridge, is_bond ? NET_PURPOSE_BOND : NET_PURPOSE_NIC);
        b->mtu = mtus[pick(ARRAY_SIZE(mtus))];
        for (unsigned i = 0; i < n; i++)
            net_bridge_add_leg(b, c->nics[order[next + i]].name);
        n_xapi += is_bond;
        if (is_bond)
            random_bond(b, n_bonds++);
        next += n;
    }
    unsigned n_base = c->n_bridges;
    for (unsigned i = 0, n = pick(4); i < n; i++) {
        const struct net_bridge *parent = &c->bridges[pick(n_base)];
        net_name name;
        str_copy(name, sizeof(name), parent->name);
        int mtu = parent->mtu;
        _cleanup_free_ char *vlan = strf("xapi%u", 10 + i);
        struct net_bridge *v = net_config_add_bridge(c, vlan, NET_PURPOSE_VLAN);
        str_copy(v->parent, sizeof(v->parent), name);
        v->tag = 100 + (int)i;
        v->mtu = pick(2) ? mtu : MIN(mtu, 1500);
    }
    struct net_bridge *m = &c->bridges[pick(3) ? 0 : pick(c->n_bridges)];
    for (unsigned i = 0; i < c->n_bridges; i++)
        if (&c->bridges[i] != m && pick(4) == 0)
            set_address(&c->bridges[i], 100 + i);
    set_address(m, 1);
    str_copy(c->management, sizeof(c->management), m->name);
    c->control_size = MIN(1500, m->mtu);
    return c;
}

static struct net_observed *random_host(unsigned n_nics) {
    struct net_observed *o = net_observed_new();
    o->switch_running = false;
    for (unsigned i = 0; i < n_nics; i++) {
        _cleanup_free_ char *name = strf("eth%u", i);
        struct net_obs_link *l = net_observed_add_link(o, name, NET_LINK_PHYSICAL);
        l->mac = l->permanent_mac = mac_of(i);
        l->carrier = pick(8) != 0;
        l->max_mtu = (const int[]){0, 65535, 9216, 1500}[pick(4)];
    }
    /* Somebody else's bridge with a guest, and a container's link. */
    if (pick(2)) {
        net_observed_add_bridge(o, "docker9");
        net_observed_add_port(o, "docker9", "docker9");
        net_obs_port_add_iface(&o->ports[o->n_ports - 1], "docker9");
        str_copy(net_observed_add_iface(o, "docker9")->type, 16, "internal");
        net_observed_add_link(o, "veth77", NET_LINK_OTHER);
    }
    return o;
}

/* Guests of VMs on a random bridge of ours. */
static void add_guest(struct net_observed *now, const struct net_config *c, unsigned n) {
    const struct net_bridge *b = &c->bridges[pick(c->n_bridges)];
    const char *real = net_model_real_bridge(now, b->name);
    _cleanup_free_ char *name = strf("vif%u.0", n);
    if (!real || net_observed_port(now, name))
        return;
    net_name bridge;
    str_copy(bridge, sizeof(bridge), real);
    struct net_obs_port *p = net_observed_add_port(now, bridge, name);
    p->tag = b->purpose == NET_PURPOSE_VLAN ? b->tag : -1;
    net_obs_port_add_iface(p, name);
    net_observed_add_link(now, name, NET_LINK_OTHER)->up = true;
    struct net_obs_iface *f = net_observed_add_iface(now, name);
    f->ofport = 9;
}

static char *change(const struct net_config *wanted, struct net_observed **now, enum net_plan_mode mode, bool cut) {
    struct net_plan_options options = {.mode = mode};
    _cleanup_net_plan_ struct net_plan plan = {0};
    _cleanup_error_ struct error *e = NULL;
    if (!net_plan_compute(wanted, *now, &options, &plan, &e))
        return strf("no plan: %s", error_text(e));
    _cleanup_(net_observed_freep) struct net_observed *start = net_observed_copy(*now);
    struct invariants v;
    invariants_init(&v, wanted, start);
    char *wrong = invariants_run(&v, *now, &plan, cut && plan.n_steps ? pick((unsigned)plan.n_steps) : plan.n_steps);
    if (wrong || !cut)
        return wrong ? wrong : invariants_check_end(&v, *now, &options);
    return change(wanted, now, NET_PLAN_LIVE, /* cut= */ false);
}

static bool run(uint64_t seed) {
    state = seed;
    unsigned n_nics = 1 + pick(MAX_HOST_NICS);
    _cleanup_(net_observed_freep) struct net_observed *now = random_host(n_nics);
    char *wrong = NULL;
    unsigned changes = 1 + pick(5);
    _cleanup_buf_ _unused_ struct buf story = BUF_INIT;
    for (unsigned i = 0; i <= changes && !wrong; i++) {
        _cleanup_net_config_ struct net_config *c = random_config(n_nics);
        _cleanup_error_ struct error *e = NULL;
        if (!net_config_validate(c, &e)) {
            if (i == 0)
                return true; /* nothing to boot: another seed */
            continue;
        }
        _cleanup_free_ char *before = net_observed_to_json(now);
        wrong = change(c, &now, i ? NET_PLAN_LIVE : NET_PLAN_BOOT, i && pick(2));
        if (wrong) {
            _cleanup_free_ char *text = net_config_to_json(c);
            fprintf(stderr, "seed %llu, change %u\n--- was\n%s--- wanted\n%s", (unsigned long long)seed, i, before,
                    text);
        } else if (pick(2)) {
            add_guest(now, c, i);
        }
    }
    if (wrong)
        fprintf(stderr, "--- seed %llu: %s\n", (unsigned long long)seed, wrong);
    bool ok = !wrong;
    free(wrong);
    return ok;
}

int main(int argc, char **argv) {
    int64_t runs = 200, first = 1;
    if ((argc > 1 && !str_parse_int(argv[1], 1, 100000000, &runs)) ||
        (argc > 2 && !str_parse_int(argv[2], 0, INT64_MAX / 2, &first))) {
        fprintf(stderr, "usage: property_net RUNS [FIRST_SEED]\n");
        return 2;
    }
    for (int64_t i = 0; i < runs; i++)
        if (!run((uint64_t)(first + i)))
            return 1;
    printf("%lld runs kept the invariants\n", (long long)runs);
    return 0;
}
