/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that look into nodes and run things in them: status, exec, shell, xe, logs, fdb. */
#include "lab/lab_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_monitor.h"
#include "lab/lab_ns.h"
#include "lab/lab_switch.h"

static int run_in(const struct lab *lab, const char *node_name, const char *const argv[], struct error **errp) {
    struct node node;
    struct ns_command command = {.argv = argv, .fds = {-1, -1, -1}};
    if (!lab_node(lab, node_name, &node, errp) || !node_init(lab, node.name, &command.init, errp))
        return -1;
    return ns_exec(lab, &command, errp);
}

/* Runs it with its output collected; -1 with errp set when it could not be run. */
static int run_collect(const struct lab *lab, const char *node_name, const char *const argv[], struct buf *out,
                       struct error **errp) {
    struct node node;
    struct ns_command command = {.argv = argv, .fds = {-1, -1, -1}};
    if (!lab_node(lab, node_name, &node, errp) || !node_init(lab, node.name, &command.init, errp))
        return -1;
    _cleanup_free_ char *path = lab_path(lab, "run/output.XXXXXX");
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
    _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || null < 0) {
        error_setf(errp, LAB_ERROR, "Cannot make '%s': %s", path, strerror(errno));
        return -1;
    }
    unlink(path);
    command.fds[0] = null;
    command.fds[1] = fd;
    command.fds[2] = null;
    int code = ns_exec(lab, &command, errp);
    char part[4096];
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, part, sizeof(part), at)) > 0 && out->size < 1024 * 1024) {
        buf_add(out, part, (size_t)n);
        at += n;
    }
    return code;
}

int verb_exec(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    if (argc < 2 || (str_eq(argv[1], "--") && argc < 3))
        return verb_misuse("exec", "'exec' needs a host and a command.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    int skip = str_eq(argv[1], "--") ? 2 : 1;
    int code = lab ? run_in(lab, argv[0], (const char *const *)(argv + skip), &err) : -1;
    return code < 0 ? verb_fail(err) : code;
}

int verb_shell(const struct verb_context *c, int argc, char **argv) {
    static const char *const shell[] = {"/bin/bash", "-i", NULL};
    _cleanup_error_ struct error *err = NULL;
    if (argc != 1)
        return verb_misuse("shell", "'shell' needs one host.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    int code = lab ? run_in(lab, argv[0], shell, &err) : -1;
    return code < 0 ? verb_fail(err) : code;
}

/* The first host that is on; the desk says whom it asks when that is not the first of all. NULL: none is. */
static const char *first_host_on(const struct lab *lab) {
    _cleanup_buf_ struct buf passed = BUF_INIT;
    for (unsigned i = 0; i < lab->topo.n_hosts; i++) {
        const struct topo_host *h = &lab->topo.hosts[i];
        struct node_state s;
        _cleanup_error_ struct error *unknown = NULL;
        bool known = node_state_load(lab, h->name, &s, &unknown);
        if (known && s.power == POWER_ON) {
            if (passed.size > 0)
                fprintf(stderr, "muster-lab: %s asking '%s'\n", buf_str(&passed), h->name);
            return h->address;
        }
        buf_addf(&passed, "%s'%s' is %s (%s);", passed.size ? " " : "", h->name,
                 known ? power_name(s.power) : "unknown", known ? s.stage : error_text(unknown));
    }
    return NULL;
}

/* From the desk, `xe` speaks to a host as an administrator's machine does. The first host that is on is asked; what is
 * given on the command line (-s and the like) comes later and wins. */
static int xe_from_desk(const struct lab *lab, int argc, char **argv, struct error **errp) {
    bool own = false;
    for (int i = 0; i < argc; i++)
        own = own || str_eq(argv[i], "-s");
    const char *server = own ? "" : first_host_on(lab);
    if (!server) {
        error_setf(errp, LAB_ERROR, "No host of the lab is on. Switch one on with: muster-lab power-on HOST");
        return -1;
    }
    const char **full = xcalloc((size_t)argc + 16, sizeof(*full));
    size_t n = 0;
    /* What the desk remembers (the keys that hosts have shown) is in its own home, and goes with the lab. */
    full[n++] = "xe";
    if (!own) {
        const char *const login[] = {"-s", server, "-u", "root", "-pw", lab->password};
        memcpy(full + n, login, sizeof(login));
        n += ARRAY_SIZE(login);
    }
    for (int i = 0; i < argc; i++)
        full[n++] = argv[i];
    int code = run_in(lab, TOPO_DESK, full, errp);
    free(full);
    return code;
}

int verb_xe(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    if (argc < 2)
        return verb_misuse("xe", "'xe' needs a host (or -- for the desk) and what xe shall do.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    int code = -1;
    if (lab && (str_eq(argv[0], "--") || str_eq(argv[0], TOPO_DESK))) {
        code = xe_from_desk(lab, argc - 1, argv + 1, &err);
    } else if (lab) {
        const char **full = xcalloc((size_t)argc + 1, sizeof(*full));
        full[0] = "xe";
        memcpy(full + 1, argv + 1, (size_t)(argc - 1) * sizeof(*full));
        code = run_in(lab, argv[0], full, &err);
        free(full);
    }
    return code < 0 ? verb_fail(err) : code;
}

/* The state that the daemon of a host says it is in, over its local socket; "-" when there is nobody to ask. */
static char *daemon_state(const struct lab *lab, const struct topo_host *h) {
    _cleanup_error_ struct error *err = NULL;
    _cleanup_buf_ struct buf out = BUF_INIT;
    _cleanup_free_ char *filter = strf("name-label=%s", h->name);
    const char *const argv[] = {"timeout",   "5", "xe", "host-list", filter, "params=membership-state",
                                "--minimal", NULL};
    if (run_collect(lab, h->name, argv, &out, &err) != 0)
        return xstrdup("-");
    const char *text = buf_str(&out);
    size_t len = strcspn(text, "\n,");
    return len > 0 ? xstrndup(text, len) : xstrdup("-");
}

int verb_status(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    (void)argv;
    if (argc > 0)
        return verb_misuse("status", "'status' takes no arguments.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    struct node nodes[LAB_MAX_NODES];
    unsigned n = lab_nodes(lab, nodes);
    printf("lab %s in %s, topology '%s'\n", lab->id, lab->dir, lab->topo.name);
    printf("%-8s %-6s %-9s %7s %-12s %5s %7s  %-14s %s\n", "NODE", "POOL", "POWER", "PID", "ADDRESS", "BOOTS", "BOOT s",
           "MUSTERD", "STAGE");
    for (unsigned i = 0; i < n; i++) {
        const struct topo_host *h = nodes[i].host;
        struct node_state s = {0};
        _cleanup_error_ struct error *gone = NULL;
        if (!node_state_load(lab, nodes[i].name, &s, &gone))
            str_copy(s.stage, sizeof(s.stage), "no power control");
        bool on = s.power == POWER_ON;
        _cleanup_free_ char *daemon = h && on ? daemon_state(lab, h) : xstrdup("-");
        printf("%-8s %-6s %-9s %7d %-12s %5u %7.2f  %-14s %s\n", nodes[i].name, h ? h->pool : "-", power_name(s.power),
               on ? (int)s.init.pid : 0,
               h                             ? h->address
               : nodes[i].kind == NODE_DESK  ? TOPO_DESK_ADDRESS
               : nodes[i].kind == NODE_ARRAY ? TOPO_ARRAY_ADDRESS
                                             : "-",
               s.boots, (double)s.boot_ms / 1000, daemon, on ? "" : s.stage);
    }
    return 0;
}

int verb_wait_ready(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    _cleanup_strv_ struct strv hosts = {0};
    int64_t timeout_s = 60;
    for (int i = 0; i < argc; i++) {
        if (str_eq(argv[i], "--timeout") && i + 1 < argc) {
            if (!str_parse_int(argv[++i], 1, 86400, &timeout_s))
                return verb_misuse("wait-ready", "--timeout is a number of seconds.");
        } else {
            strv_add(&hosts, argv[i]);
        }
    }
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    for (unsigned i = 0; argc == 0 && i < lab->topo.n_hosts; i++)
        strv_add(&hosts, lab->topo.hosts[i].name);
    uint64_t start = lab_now_ms(), end = start + (uint64_t)timeout_s * 1000;
    for (size_t i = 0; i < hosts.n; i++) {
        const struct topo_host *h = topology_host(&lab->topo, hosts.items[i]);
        if (!h) {
            error_setf(&err, LAB_ERROR, "There is no host '%s' in this lab.", hosts.items[i]);
            return verb_fail(err);
        }
        for (;;) {
            _cleanup_free_ char *state = daemon_state(lab, h);
            if (str_starts(state, "ready")) {
                lab_say("%s: %s after %.2f s", h->name, state, (double)(lab_now_ms() - start) / 1000);
                break;
            }
            if (lab_now_ms() >= end || verb_interrupted()) {
                error_setf(&err, LAB_ERROR, "'%s' is not ready after %d s, its state is '%s'.", h->name, (int)timeout_s,
                           state);
                return verb_fail(err);
            }
            struct timespec pause = {.tv_nsec =
                                         100 * 1000 * 1000}; /* asking costs a process; ten a second are enough */
            nanosleep(&pause, NULL);
        }
    }
    return 0;
}

static int show_service(const struct lab *lab, const char *node, const char *service, struct error **errp) {
    _cleanup_free_ char *plain = strf("/var/log/%s.log", service);
    _cleanup_free_ char *ovs = strf("/var/log/openvswitch/%s.log", service);
    const char *const cat[] = {
        "sh", "-c", "if [ -s \"$1\" ]; then cat \"$1\"; fi; if [ -e \"$2\" ]; then cat \"$2\"; fi", "logs", plain,
        ovs,  NULL};
    return run_in(lab, node, cat, errp);
}

/* What its power control saw, stage by stage, and what its services of ours said. */
static void show_node(const struct lab *lab, const struct node *node) {
    static const char *const services[] = {"muster-netboot", "musterd"};
    _cleanup_free_ char *path = lab_path(lab, "log/%s.log", node->name);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(path, 64 * 1024 * 1024, &text) == 0)
        fwrite(text.data, 1, text.size, stdout);
    for (size_t i = 0; node->kind == NODE_HOST && i < ARRAY_SIZE(services); i++) {
        _cleanup_error_ struct error *off = NULL;
        printf("---- %s: %s\n", node->name, services[i]);
        fflush(stdout);
        if (show_service(lab, node->name, services[i], &off) < 0)
            printf("%s\n", error_param(off, 0));
    }
}

int verb_logs(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    struct node nodes[LAB_MAX_NODES];
    if (argc < 1 || argc > 2)
        return verb_misuse("logs", "'logs' needs a host, and perhaps a service.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    unsigned n = 1;
    if (str_eq(argv[0], "--all"))
        n = lab_nodes(lab, nodes);
    else if (!lab_node(lab, argv[0], &nodes[0], &err))
        return verb_fail(err);
    if (argc == 2 && n == 1) {
        int code = show_service(lab, nodes[0].name, argv[1], &err);
        return code < 0 ? verb_fail(err) : code;
    }
    for (unsigned i = 0; i < n; i++) {
        if (n > 1)
            printf("==== %s\n", nodes[i].name);
        show_node(lab, &nodes[i]);
    }
    return 0;
}

int verb_fdb(const struct verb_context *c, int argc, char **argv) {
    static const char *const show[] = {"ovs-appctl", "fdb/show", SWITCH_BRIDGE, NULL};
    static const char *const ports[] = {
        "ovs-vsctl", "--columns=ofport,name", "--format=table", "--no-headings", "list", "interface", NULL};
    _cleanup_error_ struct error *err = NULL;
    if (argc > 1 || (argc == 1 && topology_switch(argv[0]) < 0))
        return verb_misuse("fdb", "'fdb' takes swA, swB or nothing.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    for (int sw = 0; sw < TOPO_N_SWITCHES; sw++) {
        if (argc == 1 && topology_switch(argv[0]) != sw)
            continue;
        printf("%s\n", topo_switch_names[sw]);
        fflush(stdout);
        int code = run_in(lab, topo_switch_names[sw], show, &err);
        if (code == 0)
            code = run_in(lab, topo_switch_names[sw], ports, &err);
        if (code != 0)
            return code < 0 ? verb_fail(err) : code;
    }
    return 0;
}
