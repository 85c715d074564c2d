/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_host.h"

#include "base/buf.h"
#include "base/str.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

/* What the switch does to the kernel: makes and removes internal ports, sets MTUs. */
static void on_commit(const struct ovs_state *s, void *userdata) {
    struct fake_host *h = userdata;
    struct link_info info;
    for (size_t i = 0; i < s->n_ifaces; i++) {
        const struct ovs_iface *f = &s->ifaces[i];
        if (str_eq(f->type, "internal") && link_find(h->link, f->name, &info) < 0)
            link_fake_add(h->link, f->name, "0a:00:00:00:00:ff", 1500, 65535);
        if (f->mtu && link_find(h->link, f->name, &info) == 0 && (int)info.mtu != f->mtu)
            (void)!link_set_mtu(h->link, f->name, (unsigned)f->mtu);
    }
    for (size_t i = 0; i < s->n_bridges; i++) {
        struct link_mac mac;
        if (link_mac_parse(s->bridges[i].hwaddr, &mac) && link_find(h->link, s->bridges[i].name, &info) == 0)
            (void)!link_set_mac(h->link, s->bridges[i].name, &mac);
    }
    _cleanup_(link_infos_done) struct link_infos all = {0};
    if (link_list(h->link, &all) < 0)
        return;
    for (size_t i = 0; i < all.n; i++)
        if (!str_starts(all.items[i].name, "eth") && !ovs_state_iface(s, all.items[i].name))
            link_fake_remove(h->link, all.items[i].name);
}

void fake_host_init(struct fake_host *h) {
    *h = (struct fake_host){.link = link_fake_new(), .ovs = ovs_fake_new()};
    link_fake_add(h->link, "eth0", "0a:00:00:00:00:10", 1500, 9000);
    link_fake_add(h->link, "eth1", "0a:00:00:00:00:11", 1500, 9000);
    ovs_fake_on_commit(h->ovs, on_commit, h);
    char template[] = "/tmp/muster-test.XXXXXX";
    if (!mkdtemp(template))
        abort();
    h->dir = xstrdup(template);
    h->net_dir = strf("%s/network", template);
    h->run_dir = strf("%s/run", template);
    h->resolv_conf = strf("%s/resolv.conf", template);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    return remove(path);
}

void fake_host_done(struct fake_host *h) {
    link_free(h->link);
    ovs_free(h->ovs);
    (void)nftw(h->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(h->dir);
    free(h->net_dir);
    free(h->run_dir);
    free(h->resolv_conf);
}

static struct net_config *config(int mtu, bool bond) {
    struct net_config *c = net_config_new();
    struct net_mac a = {{0x0a, 0, 0, 0, 0, 0x10}}, b = {{0x0a, 0, 0, 0, 0, 0x11}};
    net_config_add_nic(c, "eth0", &a);
    net_config_add_nic(c, "eth1", &b);
    c->datapath = NET_DATAPATH_NETDEV;
    struct net_bridge *br =
        net_config_add_bridge(c, bond ? "xapi0" : "xenbr0", bond ? NET_PURPOSE_BOND : NET_PURPOSE_NIC);
    br->mtu = mtu;
    net_bridge_add_leg(br, "eth0");
    if (bond) {
        net_bridge_add_leg(br, "eth1");
        (void)net_name_set(br->bond.name, "bond0");
    }
    br->ip4.mode = NET_IP_STATIC;
    if (!net_addr_parse("10.0.0.2/24", &br->ip4.address) || !net_addr_parse("10.0.0.1", &br->ip4.gateway))
        abort();
    (void)net_name_set(c->management, br->name);
    return c;
}

struct net_config *fake_host_config(int mtu) {
    return config(mtu, false);
}

struct net_config *fake_host_bond(int mtu) {
    return config(mtu, true);
}

int fake_host_mtu(const struct fake_host *h, const char *link) {
    struct link_info info;
    return link_find(h->link, link, &info) == 0 ? (int)info.mtu : -1;
}
