/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_switch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "lab/lab_net.h"
#include "lab/lab_ns.h"

/* Our tools reach the switch's sockets through its root as the machine sees it; no namespace has to be entered. */
static bool switch_root(const struct lab *lab, unsigned sw, char root[static 64], struct error **errp) {
    struct proc_id init;
    if (!node_init(lab, topo_switch_names[sw], &init, errp))
        return false;
    snprintf(root, 64, "/proc/%d/root/run", (int)init.pid);
    return true;
}

bool switch_run(const struct lab *lab, unsigned sw, const char *const argv[], const char *input, struct buf *ret_out,
                struct error **errp) {
    char root[64];
    if (!switch_root(lab, sw, root, errp))
        return false;
    _cleanup_free_ char *ovs_dir = strf("%s/openvswitch", root);
    setenv("OVS_RUNDIR", ovs_dir, 1);
    _cleanup_free_ char *db = strf("--db=unix:%s/db.sock", ovs_dir);
    const char *full[40];
    size_t n = 0;
    full[n++] = argv[0];
    if (str_eq(argv[0], "ovs-vsctl"))
        full[n++] = db;
    for (size_t i = 1; argv[i] && n + 1 < ARRAY_SIZE(full); i++)
        full[n++] = argv[i];
    full[n] = NULL;
    bool ok = lab_run(NULL, full, input, ret_out, errp);
    unsetenv("OVS_RUNDIR");
    return ok;
}

#define SWITCH_RUN(lab, sw, errp, ...) switch_run(lab, sw, (const char *const[]){__VA_ARGS__, NULL}, NULL, NULL, errp)

/* One bundle: the switch goes from the old rules to the new ones without a moment in between. */
static bool apply_flows(const struct lab *lab, unsigned sw, struct error **errp) {
    _cleanup_buf_ struct buf flows = BUF_INIT;
    char root[64];
    faults_flows(&lab->faults, &lab->topo, sw, &flows);
    if (!switch_root(lab, sw, root, errp))
        return false;
    const char *const argv[] = {"ovs-ofctl", "-O",          "OpenFlow14", "--names", "--bundle",
                                "add-flows", SWITCH_BRIDGE, "-",          NULL};
    return switch_run(lab, sw, argv, buf_str(&flows), NULL, errp);
}

static bool apply_nft(const struct lab *lab, unsigned sw, struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    _cleanup_free_ char *ns = lab_netns(lab, topo_switch_names[sw]);
    faults_nft(&lab->faults, &lab->topo, sw, &script);
    const char *const argv[] = {"nft", "-f", "-", NULL};
    return lab_run(ns, argv, buf_str(&script), NULL, errp);
}

/* VLANs of all ports in one transaction, links in one batch. */
static bool apply_ports(const struct lab *lab, unsigned sw, struct error **errp) {
    _cleanup_buf_ struct buf links = BUF_INIT;
    char root[64];
    bool ok = switch_root(lab, sw, root, errp);
    _cleanup_buf_ struct buf script = BUF_INIT;
    for (unsigned i = 0; ok && i < lab->topo.n_hosts; i++) {
        const struct topo_host *h = &lab->topo.hosts[i];
        for (unsigned k = 0; k < h->n_nics; k++) {
            char port[TOPO_PORT_SIZE];
            if (h->nics[k].sw != sw)
                continue;
            topology_port(h, &h->nics[k], port);
            const struct port_fault *p = faults_find(&lab->faults, port);
            if (p && p->trunks[0])
                buf_addf(&script, " -- set port %s trunks=%s", port, p->trunks);
            else
                buf_addf(&script, " -- --if-exists clear port %s trunks", port);
            buf_addf(&links, "link set %s %s\n", port, p && p->down ? "down" : "up");
        }
    }
    buf_addf(&links, "link set %s %s\n", TOPO_ISL_PORT, lab->faults.isl_down ? "down" : "up");
    if (!ok)
        return false;
    _cleanup_free_ char *command =
        strf("exec ovs-vsctl --db=unix:%s/openvswitch/db.sock --timeout=20%s", root, buf_str(&script));
    _cleanup_free_ char *ns = lab_netns(lab, topo_switch_names[sw]);
    const char *const batch[] = {"ip", "-batch", "-", NULL};
    return LAB_RUN(NULL, errp, "/bin/sh", "-c", command) && lab_run(ns, batch, buf_str(&links), NULL, errp);
}

/* Ports that keep silent about themselves; lldpd takes its orders over its own socket. */
static bool apply_lldp(const struct lab *lab, unsigned sw, struct error **errp) {
    char root[64];
    if (!switch_root(lab, sw, root, errp))
        return false;
    _cleanup_free_ char *socket_path = strf("%s/lldpd/lldpd.socket", root);
    for (unsigned i = 0; i < lab->faults.n_ports; i++) {
        const struct port_fault *p = &lab->faults.ports[i];
        _cleanup_free_ char *port = xstrdup(p->port);
        char *dash = strchr(port, '-');
        if (!dash)
            continue;
        *dash = '\0';
        const struct topo_host *h = topology_host(&lab->topo, port);
        const struct topo_nic *n = h ? topology_nic(h, dash + 1) : NULL;
        if (!n || n->sw != sw)
            continue;
        if (!LAB_RUN(NULL, errp, "lldpcli", "-u", socket_path, "configure", "ports", p->port, "lldp", "status",
                     p->lldp_off ? "disabled" : "rx-and-tx"))
            return false;
    }
    return true;
}

bool switch_apply(const struct lab *lab, struct error **errp) {
    for (unsigned sw = 0; sw < TOPO_N_SWITCHES; sw++) {
        if (!apply_flows(lab, sw, errp) || !apply_nft(lab, sw, errp) || !apply_ports(lab, sw, errp) ||
            !apply_lldp(lab, sw, errp))
            return false;
    }
    return true;
}

bool switch_add_port(const struct lab *lab, unsigned sw, const char *port, struct error **errp) {
    return SWITCH_RUN(lab, sw, errp, "ovs-vsctl", "--timeout=20", "--may-exist", "add-port", SWITCH_BRIDGE, port, "--",
                      "set", "interface", port, "mtu_request=9216");
}

bool switch_del_port(const struct lab *lab, unsigned sw, const char *port, struct error **errp) {
    return SWITCH_RUN(lab, sw, errp, "ovs-vsctl", "--timeout=20", "--if-exists", "del-port", SWITCH_BRIDGE, port);
}
