/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_net.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_ns.h"

/* In the namespace we are in. Every failure is ignored: a feature that a driver does not have cannot be on. */
static void offloads_off(int s, const char *ifname) {
    static const uint32_t commands[] = {ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM, ETHTOOL_STSO,
                                        ETHTOOL_SGSO,    ETHTOOL_SGRO,    ETHTOOL_SSG};
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        struct ethtool_value v = {.cmd = commands[i], .data = 0};
        struct ifreq r = {.ifr_data = (char *)&v};
        str_copy(r.ifr_name, sizeof(r.ifr_name), ifname);
        (void)!ioctl(s, SIOCETHTOOL, &r);
    }
}

static bool offloads_off_in(const struct lab *lab, const char *node, const struct strv *ifnames, struct error **errp) {
    _cleanup_free_ char *ns = lab_netns(lab, node);
    int home = netns_enter(ns, errp);
    if (home < 0)
        return false;
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; i < ifnames->n; i++)
        offloads_off(s, ifnames->items[i]);
    close(s);
    netns_return(home);
    close(home);
    return true;
}

static void cable(struct buf *out, const struct lab *lab, const char *node, const char *ifname, const char *mac,
                  const char *peer_node, const char *peer_ifname) {
    buf_addf(out, "link add name %s netns %s/ns/%s %s%s type veth peer name %s netns %s/ns/%s\n", ifname, lab->dir,
             node, mac ? "address " : "", mac ? mac : "", peer_ifname, lab->dir, peer_node);
}

static void cable_nic(struct buf *out, const struct lab *lab, const struct topo_host *h, const struct topo_nic *n) {
    char port[TOPO_PORT_SIZE], mac[18];
    topology_mac(h, n, mac);
    cable(out, lab, h->name, n->name, mac, topo_switch_names[n->sw], topology_port(h, n, port));
}

static bool ip_batch(const char *netns, const struct buf *script, struct error **errp) {
    const char *const argv[] = {"ip", "-batch", "-", NULL};
    return lab_run(netns, argv, buf_str(script), NULL, errp);
}

/* A node that has one NIC and keeps its network namespace for good. */
static bool address_eth0(const struct lab *lab, const char *node, const char *address, struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    _cleanup_strv_ struct strv eth0 = {0};
    _cleanup_free_ char *ns = lab_netns(lab, node);
    strv_add(&eth0, "eth0");
    buf_addf(&script, "addr add %s/%d dev eth0\nlink set eth0 up\n", address, TOPO_PREFIX_LEN);
    return offloads_off_in(lab, node, &eth0, errp) && ip_batch(ns, &script, errp);
}

bool net_plug_all(const struct lab *lab, struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    struct strv names[TOPO_N_SWITCHES] = {0};
    bool ok = true;
    for (unsigned i = 0; i < lab->topo.n_hosts; i++) {
        const struct topo_host *h = &lab->topo.hosts[i];
        for (unsigned k = 0; k < h->n_nics; k++) {
            char port[TOPO_PORT_SIZE];
            cable_nic(&script, lab, h, &h->nics[k]);
            strv_add(&names[h->nics[k].sw], topology_port(h, &h->nics[k], port));
        }
    }
    cable(&script, lab, topo_switch_names[0], TOPO_ISL_PORT, NULL, topo_switch_names[1], TOPO_ISL_PORT);
    cable(&script, lab, TOPO_DESK, "eth0", "02:4d:4c:00:00:00", topo_switch_names[0], TOPO_DESK_PORT);
    strv_add(&names[0], TOPO_DESK_PORT);
    strv_add(&names[0], TOPO_ISL_PORT);
    if (lab->has_storage) {
        cable(&script, lab, TOPO_ARRAY, "eth0", "02:4d:4c:00:00:09", topo_switch_names[0], TOPO_ARRAY_PORT);
        strv_add(&names[0], TOPO_ARRAY_PORT);
    }
    strv_add(&names[1], TOPO_ISL_PORT);
    ok = ip_batch(NULL, &script, errp);
    for (unsigned i = 0; i < TOPO_N_SWITCHES; i++) {
        _cleanup_buf_ struct buf up = BUF_INIT;
        _cleanup_free_ char *ns = lab_netns(lab, topo_switch_names[i]);
        for (size_t k = 0; k < names[i].n; k++)
            buf_addf(&up, "link set %s up\n", names[i].items[k]);
        ok = ok && offloads_off_in(lab, topo_switch_names[i], &names[i], errp) && ip_batch(ns, &up, errp);
        strv_done(&names[i]);
    }
    for (unsigned i = 0; ok && i < lab->topo.n_hosts; i++) {
        _cleanup_strv_ struct strv nics = {0};
        for (unsigned k = 0; k < lab->topo.hosts[i].n_nics; k++)
            strv_add(&nics, lab->topo.hosts[i].nics[k].name);
        ok = offloads_off_in(lab, lab->topo.hosts[i].name, &nics, errp);
    }
    return ok && address_eth0(lab, TOPO_DESK, TOPO_DESK_ADDRESS, errp) &&
           (!lab->has_storage || address_eth0(lab, TOPO_ARRAY, TOPO_ARRAY_ADDRESS, errp));
}

bool net_plug_nic(const struct lab *lab, const struct topo_host *h, const struct topo_nic *n, struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    _cleanup_strv_ struct strv near = {0}, far = {0};
    char port[TOPO_PORT_SIZE];
    cable_nic(&script, lab, h, n);
    strv_add(&near, n->name);
    strv_add(&far, topology_port(h, n, port));
    return ip_batch(NULL, &script, errp) && offloads_off_in(lab, h->name, &near, errp) &&
           offloads_off_in(lab, topo_switch_names[n->sw], &far, errp) &&
           net_link_set(lab, topo_switch_names[n->sw], port, true, errp);
}

bool net_plug_desk(const struct lab *lab, const char *ifname, const char *port, const char *address,
                   struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT, near = BUF_INIT;
    _cleanup_strv_ struct strv desk = {0}, far = {0};
    _cleanup_free_ char *ns = lab_netns(lab, TOPO_DESK);
    cable(&script, lab, TOPO_DESK, ifname, NULL, topo_switch_names[0], port);
    buf_addf(&near, "addr add %s/%d dev %s\nlink set %s up mtu 9000\n", address, TOPO_PREFIX_LEN, ifname, ifname);
    strv_add(&desk, ifname);
    strv_add(&far, port);
    return ip_batch(NULL, &script, errp) && offloads_off_in(lab, TOPO_DESK, &desk, errp) &&
           offloads_off_in(lab, topo_switch_names[0], &far, errp) && ip_batch(ns, &near, errp) &&
           net_link_set(lab, topo_switch_names[0], port, true, errp);
}

bool net_unplug_nic(const struct lab *lab, const struct topo_host *h, const struct topo_nic *n, struct error **errp) {
    char port[TOPO_PORT_SIZE];
    _cleanup_free_ char *ns = lab_netns(lab, topo_switch_names[n->sw]);
    return LAB_RUN(ns, errp, "ip", "link", "del", topology_port(h, n, port));
}

bool net_link_set(const struct lab *lab, const char *node, const char *ifname, bool up, struct error **errp) {
    _cleanup_free_ char *ns = lab_netns(lab, node);
    return LAB_RUN(ns, errp, "ip", "link", "set", ifname, up ? "up" : "down");
}

bool net_power_cycle(const struct lab *lab, const struct topo_host *h, struct error **errp) {
    _cleanup_free_ char *old_ns = lab_netns(lab, h->name);
    _cleanup_free_ char *new_ns = strf("%s.new", old_ns);
    _cleanup_buf_ struct buf move = BUF_INIT;
    _cleanup_strv_ struct strv nics = {0};
    netns_remove(new_ns); /* left by one that was killed in the middle */
    if (!netns_create(new_ns, errp))
        return false;
    for (unsigned k = 0; k < h->n_nics; k++) {
        char mac[18];
        topology_mac(h, &h->nics[k], mac);
        buf_addf(&move, "link set %s down mtu 1500 address %s\nlink set %s netns %s\n", h->nics[k].name, mac,
                 h->nics[k].name, new_ns);
        strv_add(&nics, h->nics[k].name);
    }
    /* -force: a NIC that somebody renamed or that is gone must not keep the others from moving. */
    const char *const argv[] = {"ip", "-force", "-batch", "-", NULL};
    _cleanup_error_ struct error *missing = NULL;
    if (!lab_run(old_ns, argv, buf_str(&move), NULL, &missing))
        lab_say("%s: %s", h->name, error_param(missing, 0));
    return netns_replace(new_ns, old_ns, errp) && offloads_off_in(lab, h->name, &nics, errp);
}

void net_switch_dark(const struct lab *lab, unsigned sw) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    _cleanup_free_ char *ns = lab_netns(lab, topo_switch_names[sw]);
    for (unsigned i = 0; i < lab->topo.n_hosts; i++) {
        const struct topo_host *h = &lab->topo.hosts[i];
        for (unsigned k = 0; k < h->n_nics; k++) {
            char port[TOPO_PORT_SIZE];
            if (h->nics[k].sw == sw)
                buf_addf(&script, "link set %s down\n", topology_port(h, &h->nics[k], port));
        }
    }
    buf_addf(&script, "link set %s down\n", TOPO_ISL_PORT);
    if (sw == 0)
        buf_addf(&script, "link set %s down\nlink set %s down\n", TOPO_DESK_PORT, TOPO_ARRAY_PORT);
    buf_add_str(&script, "link del br0\nlink del ovs-netdev\n");
    const char *const argv[] = {"ip", "-force", "-batch", "-", NULL};
    _cleanup_error_ struct error *missing = NULL;
    /* -force goes on past what is not there; ip then says so at the end, which is no news. */
    (void)lab_run(ns, argv, buf_str(&script), NULL, &missing);
}

bool net_guard(const char *netns, const struct topo_host *h, struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    buf_add_str(&script, "table netdev muster_lab_guard\ndelete table netdev muster_lab_guard\n");
    if (h->n_nics > 0) {
        buf_add_str(&script,
                    "table netdev muster_lab_guard {\n chain ingress {\n  type filter hook ingress devices = { ");
        for (unsigned k = 0; k < h->n_nics; k++)
            buf_addf(&script, "%s%s", k > 0 ? ", " : "", h->nics[k].name);
        buf_add_str(&script, " } priority -500; policy drop;\n"
                             "  meta protocol 0x88b5 accept\n  meta protocol 0x88cc accept\n }\n}\n");
    }
    const char *const argv[] = {"nft", "-f", "-", NULL};
    return lab_run(netns, argv, buf_str(&script), NULL, errp);
}
