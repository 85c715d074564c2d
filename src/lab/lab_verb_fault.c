/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that break and mend the cables and the switches. Each changes lab->faults, carries it out, then records it. */
#include "lab/lab_verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "lab/lab_net.h"
#include "lab/lab_ns.h"
#include "lab/lab_switch.h"

#define MIN_SIZE 68
#define MAX_SIZE 9198 /* what a switch port of the lab carries at all: 9216 less the largest header */

/* One port under change: opened lab, the host's NIC, its fault row. */
struct port_change {
    struct lab *lab;
    const struct topo_host *host;
    const struct topo_nic *nic;
    char port[TOPO_PORT_SIZE];
    struct port_fault *fault;
};

static bool port_change_open(struct port_change *p, const struct verb_context *c, const char *host, const char *nic,
                             struct error **errp) {
    *p = (struct port_change){.lab = lab_open(c->dir, /* lock= */ true, errp)};
    if (!p->lab)
        return false;
    p->host = topology_host(&p->lab->topo, host);
    p->nic = p->host ? topology_nic(p->host, nic) : NULL;
    if (!p->nic) {
        error_setf(errp, LAB_ERROR, "There is no NIC '%s' in a host '%s' of this lab.", nic, host);
        return false;
    }
    p->fault = faults_port(&p->lab->faults, topology_port(p->host, p->nic, p->port));
    if (!p->fault)
        error_setf(errp, LAB_ERROR, "Too many ports have faults.");
    return p->fault != NULL;
}

/* Carries out and records what the caller put into lab->faults; says it; frees the lab. */
static int change_finish(struct lab *lab, bool ok, struct error *err, const char *what) {
    if (ok)
        ok = switch_apply(lab, &err) && lab_save(lab, &err);
    if (ok)
        lab_say("%s", what);
    else
        verb_fail(err);
    error_free(err);
    lab_free(lab);
    return ok ? 0 : 1;
}

static bool size_parse(const char *text, unsigned *ret) {
    int64_t size = 0;
    if (!str_eq(text, "clear") && !str_parse_int(text, MIN_SIZE, MAX_SIZE, &size))
        return false;
    *ret = (unsigned)size;
    return true;
}

enum { FROM_HOST = 1, TO_HOST = 2 };

static bool direction_parse(const char *text, unsigned *ret) {
    if (str_eq(text, "from-host"))
        *ret = FROM_HOST;
    else if (str_eq(text, "to-host"))
        *ret = TO_HOST;
    else if (str_eq(text, "both"))
        *ret = FROM_HOST | TO_HOST;
    else
        return false;
    return true;
}

int verb_port_mtu(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    struct port_change p;
    unsigned size, direction = FROM_HOST | TO_HOST;
    if ((argc != 3 && argc != 5) || !size_parse(argv[2], &size) ||
        (argc == 5 && (!str_eq(argv[3], "--direction") || !direction_parse(argv[4], &direction))))
        return verb_misuse("port-mtu", "Wrong arguments; a size is 68 to 9198, or 'clear'.");
    bool ok = port_change_open(&p, c, argv[0], argv[1], &err);
    if (ok && (direction & FROM_HOST))
        p.fault->mtu_from_host = size;
    if (ok && (direction & TO_HOST))
        p.fault->mtu_to_host = size;
    _cleanup_free_ char *what = size ? strf("port %s of %s: frames of more than %u bytes are lost%s", p.port,
                                            ok ? topo_switch_names[p.nic->sw] : "", size,
                                            direction == FROM_HOST ? " on the way from the host"
                                            : direction == TO_HOST ? " on the way to the host"
                                                                   : "")
                                     : strf("port %s: no size limit", p.port);
    return change_finish(p.lab, ok, err, what);
}

int verb_port_drop(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    struct port_change p;
    unsigned direction = 0;
    if (argc != 3 || (!str_eq(argv[2], "clear") && !direction_parse(argv[2], &direction)))
        return verb_misuse("port-drop", "Wrong arguments.");
    bool ok = port_change_open(&p, c, argv[0], argv[1], &err);
    if (ok) {
        p.fault->drop_from_host = (direction & FROM_HOST) != 0;
        p.fault->drop_to_host = (direction & TO_HOST) != 0;
    }
    _cleanup_free_ char *what =
        strf("port %s: %s", p.port, direction ? "its link is up, but frames are lost" : "frames pass");
    return change_finish(p.lab, ok, err, what);
}

int verb_trunk(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    struct port_change p;
    if (argc != 3)
        return verb_misuse("trunk", "Wrong arguments.");
    bool ok = port_change_open(&p, c, argv[0], argv[1], &err);
    if (ok && str_eq(argv[2], "all"))
        p.fault->trunks[0] = '\0';
    else
        ok = ok && faults_trunks_parse(argv[2], p.fault->trunks, sizeof(p.fault->trunks), &err);
    _cleanup_free_ char *what = strf("port %s carries %s%s", p.port, str_eq(argv[2], "all") ? "" : "VLANs ",
                                     str_eq(argv[2], "all") ? "every VLAN" : argv[2]);
    return change_finish(p.lab, ok, err, what);
}

int verb_link(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    struct port_change p;
    bool host_end = argc == 4 && str_eq(argv[3], "--host-end");
    if ((argc != 3 && !host_end) || (!str_eq(argv[2], "up") && !str_eq(argv[2], "down")))
        return verb_misuse("link", "Wrong arguments.");
    bool down = str_eq(argv[2], "down");
    bool ok = port_change_open(&p, c, argv[0], argv[1], &err);
    if (ok && host_end)
        ok = net_link_set(p.lab, p.host->name, p.nic->name, !down, &err);
    else if (ok)
        p.fault->down = down;
    _cleanup_free_ char *what =
        strf("%s %s: the %s end is %s", argv[0], argv[1], host_end ? "host's" : "switch's", argv[2]);
    return change_finish(p.lab, ok, err, what);
}

int verb_lldp(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    struct port_change p;
    if (argc != 3 || (!str_eq(argv[2], "on") && !str_eq(argv[2], "off")))
        return verb_misuse("lldp", "Wrong arguments.");
    bool ok = port_change_open(&p, c, argv[0], argv[1], &err);
    if (ok)
        p.fault->lldp_off = str_eq(argv[2], "off");
    _cleanup_free_ char *what = strf("port %s: LLDP %s", p.port, argv[2]);
    return change_finish(p.lab, ok, err, what);
}

static int fabric_change(const struct verb_context *c, const char *verb, int argc, char **argv, bool whole) {
    struct error *err = NULL;
    unsigned size;
    if (argc != 1 || !size_parse(argv[0], &size))
        return verb_misuse(verb, "It needs a size of 68 to 9198, or 'clear'.");
    struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    if (lab && whole)
        lab->faults.fabric_mtu = size;
    else if (lab)
        lab->faults.isl_mtu = size;
    const char *where = whole ? "every switch port" : "the link between the switches";
    _cleanup_free_ char *what =
        size ? strf("%s: frames of more than %u bytes are lost", where, size) : strf("%s: no size limit", where);
    return change_finish(lab, lab != NULL, err, what);
}

int verb_isl_mtu(const struct verb_context *c, int argc, char **argv) {
    return fabric_change(c, "isl-mtu", argc, argv, /* whole= */ false);
}

int verb_fabric_mtu(const struct verb_context *c, int argc, char **argv) {
    return fabric_change(c, "fabric-mtu", argc, argv, /* whole= */ true);
}

int verb_isl(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    if (argc != 1 || (!str_eq(argv[0], "up") && !str_eq(argv[0], "down")))
        return verb_misuse("isl", "It is 'up' or 'down'.");
    struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    if (lab)
        lab->faults.isl_down = str_eq(argv[0], "down");
    _cleanup_free_ char *what = strf("the link between the switches is %s", argv[0]);
    return change_finish(lab, lab != NULL, err, what);
}

int verb_heal(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    (void)argv;
    if (argc != 0)
        return verb_misuse("heal", "'heal' takes no arguments.");
    struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    for (unsigned i = 0; lab && i < lab->faults.n_ports; i++) {
        /* The rows stay: a port whose LLDP was off must be told to speak again. */
        char port[TOPO_PORT_SIZE];
        str_copy(port, sizeof(port), lab->faults.ports[i].port);
        lab->faults.ports[i] = (struct port_fault){0};
        str_copy(lab->faults.ports[i].port, sizeof(port), port);
    }
    if (lab) {
        lab->faults.isl_mtu = lab->faults.fabric_mtu = 0;
        lab->faults.isl_down = false;
    }
    return change_finish(lab, lab != NULL, err, "no faults in switches and cables");
}

static void print_port(const struct port_fault *p) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (p->mtu_from_host)
        buf_addf(&text, " size from the host %u;", p->mtu_from_host);
    if (p->mtu_to_host)
        buf_addf(&text, " size to the host %u;", p->mtu_to_host);
    if (p->drop_from_host)
        buf_add_str(&text, " loses frames from the host;");
    if (p->drop_to_host)
        buf_add_str(&text, " loses frames to the host;");
    if (p->lacp_silent)
        buf_add_str(&text, " LACP silent;");
    if (p->down)
        buf_add_str(&text, " link down;");
    if (p->lldp_off)
        buf_add_str(&text, " LLDP off;");
    if (p->trunks[0])
        buf_addf(&text, " only VLANs %s;", p->trunks);
    if (text.size > 0)
        printf("%-14s%s\n", p->port, buf_str(&text));
}

int verb_faults(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    (void)argv;
    if (argc != 0)
        return verb_misuse("faults", "'faults' takes no arguments.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    if (lab->faults.fabric_mtu)
        printf("%-14s size %u\n", "every port", lab->faults.fabric_mtu);
    if (lab->faults.isl_mtu)
        printf("%-14s size %u\n", TOPO_ISL_PORT, lab->faults.isl_mtu);
    if (lab->faults.isl_down)
        printf("%-14s link down\n", TOPO_ISL_PORT);
    for (unsigned i = 0; i < lab->faults.n_ports; i++)
        print_port(&lab->faults.ports[i]);
    return 0;
}

/* ---- link aggregation ---- */

int verb_lacp(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    _cleanup_strv_ struct strv names = {0};
    if (argc < 2 || argc > 4 ||
        (!str_eq(argv[1], "on") && !str_eq(argv[1], "off") && !str_eq(argv[1], "silent") &&
         !str_eq(argv[1], "speak")) ||
        (argc > 2 && !(argc == 4 && str_eq(argv[2], "--nics"))))
        return verb_misuse("lacp", "Wrong arguments.");
    strv_split(&names, argc == 4 ? argv[3] : "eth0,eth1", ',');
    struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    const struct topo_host *h = lab ? topology_host(&lab->topo, argv[0]) : NULL;
    bool ok = h != NULL;
    if (lab && !h)
        error_setf(&err, LAB_ERROR, "There is no host '%s' in this lab.", argv[0]);
    const char *ports[TOPO_MAX_NICS];
    char texts[TOPO_MAX_NICS][TOPO_PORT_SIZE];
    int sw = -1;
    for (size_t i = 0; ok && i < names.n && i < TOPO_MAX_NICS; i++) {
        const struct topo_nic *n = topology_nic(h, names.items[i]);
        if (!n || (sw >= 0 && sw != (int)n->sw)) {
            error_setf(
                &err, LAB_ERROR,
                n ? "NIC '%s' is plugged into another switch than the first one; an aggregate lives on one switch. "
                    "See topology 'lacp', or: muster-lab nic move HOST NIC swA"
                  : "There is no NIC '%s' in that host.",
                names.items[i]);
            ok = false;
            break;
        }
        sw = (int)n->sw;
        ports[i] = topology_port(h, n, texts[i]);
        struct port_fault *f = faults_port(&lab->faults, ports[i]);
        if (f && (str_eq(argv[1], "silent") || str_eq(argv[1], "speak")))
            f->lacp_silent = str_eq(argv[1], "silent");
    }
    if (ok && (str_eq(argv[1], "on") || str_eq(argv[1], "off")))
        ok = switch_aggregate(lab, (unsigned)sw, h->name, ports, (unsigned)names.n, str_eq(argv[1], "on"), &err);
    _cleanup_free_ char *what = strf("%s: LACP %s", argv[0], argv[1]);
    return change_finish(lab, ok, err, what);
}

/* ---- NICs ---- */

/* The guard names the NICs of a running host; a host that is off gets it at its next start. */
static bool guard_again(const struct lab *lab, const struct topo_host *h, struct error **errp) {
    struct proc_id init;
    _cleanup_error_ struct error *off = NULL;
    if (!node_init(lab, h->name, &init, &off))
        return true;
    _cleanup_free_ char *ns = lab_netns(lab, h->name);
    return net_guard(ns, h, errp);
}

int verb_nic(const struct verb_context *c, int argc, char **argv) {
    struct error *err = NULL;
    if (argc < 3 || argc > 4)
        return verb_misuse("nic", "Wrong arguments.");
    const char *what = argv[0], *nic_name = argv[2];
    int to = argc == 4 ? topology_switch(argv[3]) : -1;
    bool add = str_eq(what, "add"), removes = str_eq(what, "remove"), replaces = str_eq(what, "replace"),
         moves = str_eq(what, "move");
    if ((!add && !removes && !replaces && !moves) || (argc == 4 && (to < 0 || removes || replaces)) ||
        (moves && argc != 4))
        return verb_misuse("nic", "Wrong arguments.");
    struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    struct topo_host *h = lab ? topology_host(&lab->topo, argv[1]) : NULL;
    struct topo_nic *n = h ? topology_nic(h, nic_name) : NULL;
    char port[TOPO_PORT_SIZE];
    bool ok = h && (add || n);
    if (lab && !ok)
        error_setf(&err, LAB_ERROR, "There is no NIC '%s' in a host '%s' of this lab.", nic_name, argv[1]);
    if (ok && n && !add) {
        /* The guard holds the NIC by name; it goes first, or nft would keep a dead device in the chain. */
        unsigned old_sw = n->sw;
        ok = switch_del_port(lab, old_sw, topology_port(h, n, port), &err) && net_unplug_nic(lab, h, n, &err);
        n->serial += replaces ? 1 : 0;
        n->sw = moves ? (unsigned)to : n->sw;
    }
    if (ok && removes) {
        faults_forget(&lab->faults, port);
        topology_remove_nic(h, nic_name);
    }
    if (ok && add) {
        ok = topology_add_nic(h, nic_name, to, &err);
        n = ok ? topology_nic(h, nic_name) : NULL;
    }
    if (ok && !removes)
        ok = net_plug_nic(lab, h, n, &err) && switch_add_port(lab, n->sw, topology_port(h, n, port), &err);
    ok = ok && guard_again(lab, h, &err);
    _cleanup_free_ char *said = strf("%s %s: %s done", argv[1], nic_name, what);
    return change_finish(lab, ok, err, said);
}
