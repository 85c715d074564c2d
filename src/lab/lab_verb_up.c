/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_verbs.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_array.h"
#include "lab/lab_monitor.h"
#include "lab/lab_net.h"
#include "lab/lab_ns.h"
#include "lab/lab_root.h"
#include "lab/lab_switch.h"

#define UP_TIMEOUT_MS 240000
#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

struct up_options {
    const char *topology;
    const char *bin_dir;
    const char *password;
    unsigned n_hosts;
    unsigned n_nics;
    const char *management;
    unsigned mtu;
    bool no_daemon;
    bool off;
    bool replace;
    bool storage;
};

/* A name (four) is one of ours, anything with a slash or an extension is a file. */
static bool load_topology(const struct up_options *o, struct topology *ret, struct error **errp) {
    if (!o->topology)
        return topology_generate(ret, o->n_hosts ? o->n_hosts : 4, o->n_nics ? o->n_nics : 4, errp);
    if (strchr(o->topology, '/') || strchr(o->topology, '.'))
        return topology_load(ret, o->topology, errp);
    _cleanup_free_ char *path = strf(LAB_SOURCE_DIR "/src/lab/topologies/%s.json", o->topology);
    return topology_load(ret, path, errp);
}

/* The build folder we were built in: this program is <folder>/src/lab/muster-lab. */
static char *own_bin_dir(void) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return xstrdup("");
    path[n] = '\0';
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
        if (i == 0 && slash && !str_ends(path, "/src/lab"))
            return xstrdup(path); /* installed: the others are beside us */
    }
    return xstrdup(path);
}

static bool check_tools(struct error **errp) {
    static const char *const tools[][2] = {{"ip", "iproute2"},
                                           {"ovs-vswitchd", "openvswitch-switch"},
                                           {"ovsdb-server", "openvswitch-common"},
                                           {"ovs-ofctl", "openvswitch-common"},
                                           {"nft", "nftables"},
                                           {"mkfs.ext4", "e2fsprogs"},
                                           {"lldpd", "lldpd"}};
    _cleanup_buf_ struct buf missing = BUF_INIT;
    _cleanup_strv_ struct strv folders = {0};
    const char *path = getenv("PATH");
    if (geteuid() != 0) {
        error_setf(errp, LAB_ERROR, "A lab needs root (it makes namespaces and mounts). Try: sudo muster-lab up");
        return false;
    }
    strv_split(&folders, path ? path : "", ':');
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        bool found = false;
        for (size_t k = 0; !found && k < folders.n; k++) {
            _cleanup_free_ char *file = strf("%s/%s", folders.items[k], tools[i][0]);
            found = fs_exists(file);
        }
        if (!found)
            buf_addf(&missing, " %s", tools[i][1]);
    }
    if (missing.size == 0)
        return true;
    error_setf(errp, LAB_ERROR, "Debian packages are missing. Install them with: apt-get install%s", buf_str(&missing));
    return false;
}

/* NULL, or what is wrong. */
static const char *parse_options(struct up_options *o, int argc, char **argv) {
    static const struct option options[] = {{"topology", required_argument, NULL, 't'},
                                            {"hosts", required_argument, NULL, 'n'},
                                            {"nics", required_argument, NULL, 'i'},
                                            {"bin", required_argument, NULL, 'b'},
                                            {"password", required_argument, NULL, 'p'},
                                            {"management", required_argument, NULL, 'm'},
                                            {"mtu", required_argument, NULL, 'M'},
                                            {"no-daemon", no_argument, NULL, 'D'},
                                            {"off", no_argument, NULL, 'o'},
                                            {"replace", no_argument, NULL, 'r'},
                                            {"storage", no_argument, NULL, 's'},
                                            {0}};
    int opt;
    int64_t number;
    optind = 0;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 't':
            o->topology = optarg;
            break;
        case 'n':
            if (!str_parse_int(optarg, 1, TOPO_MAX_HOSTS, &number))
                return "--hosts is a number from 1 to " TEXT_OF(TOPO_MAX_HOSTS) ".";
            o->n_hosts = (unsigned)number;
            break;
        case 'i':
            if (!str_parse_int(optarg, 1, TOPO_MAX_NICS, &number))
                return "--nics is a number from 1 to " TEXT_OF(TOPO_MAX_NICS) ".";
            o->n_nics = (unsigned)number;
            break;
        case 'b':
            o->bin_dir = optarg;
            break;
        case 'p':
            o->password = optarg;
            break;
        case 'm':
            o->management = optarg;
            break;
        case 'M':
            if (!str_parse_int(optarg, 576, 9198, &number))
                return "--mtu is a number from 576 to 9198.";
            o->mtu = (unsigned)number;
            break;
        case 'D':
            o->no_daemon = true;
            break;
        case 'o':
            o->off = true;
            break;
        case 'r':
            o->replace = true;
            break;
        case 's':
            o->storage = true;
            break;
        default:
            return "Wrong options.";
        }
    }
    return optind == argc ? NULL : "Only options may follow.";
}

/* Switches first: a host's NIC needs its carrier, and LLDP, when netboot looks at it. */
static bool power_up(const struct lab *lab, bool hosts_too, struct error **errp) {
    struct node nodes[LAB_MAX_NODES];
    unsigned n = lab_nodes(lab, nodes);
    unsigned n_fabric = n - lab->topo.n_hosts;
    for (unsigned i = 0; i < n; i++) {
        if (verb_interrupted() || !monitor_start(lab, nodes[i].name, errp))
            return false;
    }
    lab_say("switches swA and swB, and the desk 'admin' at %s", TOPO_DESK_ADDRESS);
    if (lab->has_storage)
        lab_say("a storage array at %s", TOPO_ARRAY_ADDRESS);
    if (!monitor_request(lab, nodes, n_fabric, "power-on", UP_TIMEOUT_MS, errp) || !switch_apply(lab, errp))
        return false;
    if (!hosts_too)
        return true;
    lab_say("%u hosts start, %u NICs in all", n - n_fabric, lab->topo.n_hosts * lab->topo.hosts[0].n_nics);
    return monitor_request(lab, nodes + n_fabric, n - n_fabric, "power-on", UP_TIMEOUT_MS, errp);
}

static bool bring_up(struct lab *lab, bool hosts_too, struct error **errp) {
    struct node nodes[LAB_MAX_NODES];
    unsigned n = lab_nodes(lab, nodes);
    lab_say("lab %s in %s: %u hosts", lab->id, lab->dir, lab->topo.n_hosts);
    for (unsigned i = 0; i < n; i++) {
        _cleanup_free_ char *ns = lab_netns(lab, nodes[i].name);
        if (verb_interrupted() || !netns_create(ns, errp))
            return false;
    }
    lab_say("%u namespaces, now the cables", n);
    return !verb_interrupted() && net_plug_all(lab, errp) && power_up(lab, hosts_too, errp);
}

static void warn_missing_programs(const struct lab *lab) {
    static const char *const names[] = {"muster-netboot", "musterd", "xe"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = root_program_path(lab, names[i]);
        if (!path)
            lab_say("warning: there is no %s in '%s'; the lab comes up without it", names[i], lab->bin_dir);
    }
}

/* A lab that did not come up is removed; what its nodes said last is worth more than the folder. */
static void show_trouble(const struct lab *lab) {
    struct node nodes[LAB_MAX_NODES];
    unsigned n = lab_nodes(lab, nodes);
    for (unsigned i = 0; i < n; i++) {
        struct node_state s;
        _cleanup_error_ struct error *ignored = NULL;
        _cleanup_buf_ struct buf log = BUF_INIT;
        _cleanup_free_ char *path = lab_path(lab, "log/%s.log", nodes[i].name);
        if (!node_state_load(lab, nodes[i].name, &s, &ignored) || s.power == POWER_ON || s.boots == 0 ||
            fs_read(path, 1024 * 1024, &log) < 0)
            continue;
        const char *text = buf_str(&log), *from = text + log.size;
        for (unsigned lines = 0; from > text && lines < 8; from--)
            lines += from[-1] == '\n';
        fprintf(stderr, "the last lines of node '%s':\n%s%s", nodes[i].name, from > text ? "..." : "", from);
    }
}

int verb_up(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    struct up_options o = {0};
    struct topology topo;
    const char *problem = parse_options(&o, argc + 1, argv - 1);
    if (problem)
        return verb_misuse("up", problem);
    if (!check_tools(&err) || (o.storage && !array_check_tools(&err)) || !load_topology(&o, &topo, &err))
        return verb_fail(err);
    if (o.replace && lab_exists(c->dir) && !lab_remove(c->dir, &err))
        return verb_fail(err);
    struct lab *lab = lab_create(c->dir, &topo, &err);
    if (!lab)
        return verb_fail(err);
    free(lab->bin_dir);
    lab->bin_dir = o.bin_dir ? realpath(o.bin_dir, NULL) : own_bin_dir();
    if (!lab->bin_dir) {
        lab->bin_dir = xstrdup("");
        error_setf(&err, LAB_ERROR, "There is no folder '%s'.", o.bin_dir);
    }
    if (o.password) {
        free(lab->password);
        lab->password = xstrdup(o.password);
    }
    if (o.management) {
        free(lab->management);
        lab->management = xstrdup(o.management);
    }
    lab->first_mtu = o.mtu ? o.mtu : 1500;
    lab->no_daemon = o.no_daemon;
    lab->has_storage = o.storage;
    bool ok = !err && lab_save(lab, &err);
    if (ok) {
        warn_missing_programs(lab);
        ok = bring_up(lab, !o.off, &err) && !verb_interrupted();
    }
    if (ok) {
        lab_say("the lab is up");
        lab_free(lab);
        return 0;
    }
    if (verb_interrupted())
        lab_say("interrupted, cleaning up");
    else {
        verb_fail(err);
        show_trouble(lab);
    }
    _cleanup_free_ char *dir = xstrdup(lab->dir);
    lab_free(lab);
    _cleanup_error_ struct error *trouble = NULL;
    if (!lab_remove(dir, &trouble))
        verb_fail(trouble);
    return verb_interrupted() ? 130 : 1;
}
