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
                buf_addf(&script, " -- --if-exists set port %s trunks=%s", port, p->trunks);
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

/* Ports that keep silent about themselves. lldpcli drops its privileges before it looks for its socket, so it has to
 * run inside the switch. */
static bool apply_lldp(const struct lab *lab, unsigned sw, struct error **errp) {
    _cleanup_buf_ struct buf script = BUF_INIT;
    for (unsigned i = 0; i < lab->topo.n_hosts; i++) {
        const struct topo_host *h = &lab->topo.hosts[i];
        for (unsigned k = 0; k < h->n_nics; k++) {
            char port[TOPO_PORT_SIZE];
            const struct port_fault *p = faults_find(&lab->faults, topology_port(h, &h->nics[k], port));
            if (p && h->nics[k].sw == sw)
                buf_addf(&script, "configure ports %s lldp status %s\n", port, p->lldp_off ? "disabled" : "rx-and-tx");
        }
    }
    if (script.size == 0)
        return true;
    _cleanup_buf_ struct buf command = BUF_INIT;
    buf_addf(&command, "printf '%%s' '%s' | lldpcli >/dev/null", buf_str(&script));
    const char *const argv[] = {"sh", "-c", buf_str(&command), NULL};
    struct ns_command c = {.argv = argv, .fds = {-1, -1, -1}};
    if (!node_init(lab, topo_switch_names[sw], &c.init, errp))
        return false;
    int code = ns_exec(lab, &c, errp);
    if (code > 0)
        error_setf(errp, LAB_ERROR, "lldpcli on %s ended with %d.", topo_switch_names[sw], code);
    return code == 0;
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

bool switch_add_access_port(const struct lab *lab, unsigned sw, const char *port, unsigned vlan, struct error **errp) {
    _cleanup_free_ char *tag = strf("tag=%u", vlan);
    return SWITCH_RUN(lab, sw, errp, "ovs-vsctl", "--timeout=20", "--may-exist", "add-port", SWITCH_BRIDGE, port, tag,
                      "--", "set", "interface", port, "mtu_request=9216");
}

bool switch_del_port(const struct lab *lab, unsigned sw, const char *port, struct error **errp) {
    return SWITCH_RUN(lab, sw, errp, "ovs-vsctl", "--timeout=20", "--if-exists", "del-port", SWITCH_BRIDGE, port);
}

bool switch_aggregate(const struct lab *lab, unsigned sw, const char *host, const char *const *ports, unsigned n_ports,
                      bool on, struct error **errp) {
    _cleanup_free_ char *lag = strf("lag-%s", host);
    _cleanup_buf_ struct buf command = BUF_INIT;
    char root[64];
    if (n_ports < 2) {
        error_setf(errp, LAB_ERROR, "An aggregate needs two NICs or more.");
        return false;
    }
    if (!switch_root(lab, sw, root, errp))
        return false;
    buf_addf(&command, "exec ovs-vsctl --db=unix:%s/openvswitch/db.sock --timeout=20 -- --if-exists del-port br0 %s",
             root, lag);
    for (unsigned i = 0; i < n_ports; i++)
        buf_addf(&command, " -- --if-exists del-port br0 %s", ports[i]);
    if (on) {
        buf_addf(&command, " -- add-bond br0 %s", lag);
        for (unsigned i = 0; i < n_ports; i++)
            buf_addf(&command, " %s", ports[i]);
        buf_add_str(&command, " bond_mode=balance-tcp lacp=active other_config:lacp-time=fast");
    }
    for (unsigned i = 0; i < n_ports; i++) {
        if (!on)
            buf_addf(&command, " -- add-port br0 %s", ports[i]);
        buf_addf(&command, " -- set interface %s mtu_request=9216", ports[i]);
    }
    return LAB_RUN(NULL, errp, "/bin/sh", "-c", buf_str(&command));
}
