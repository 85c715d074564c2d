/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A boot in a namespace of its own. NICs are pairs of virtual ones with the names and MACs of the real ones; what a
 * driver can do is the model's part. Leases are not asked for: an address that a server has given is taken as it is.
 */
#define LOG_MODULE "netboot"
#include "netboot/netboot_rehearse.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/child.h"
#include "net/net_apply_os.h"

#define SCRATCH_MS 5000
#define STEP_MS 3000
#define SWITCH_MS "2500"
#define MAX_OUTPUT 4096
#define MAX_FILE (4 * 1024 * 1024)
#define SCHEMA "/usr/share/openvswitch/vswitch.ovsschema"

void netboot_scratch_done(struct netboot_scratch *s) {
    free(s->error);
    free(s->failure);
    net_observed_free(s->observed);
    *s = (struct netboot_scratch){0};
}

/* ---- inside ---- */

static char *in(const char *folder, const char *name) {
    return strf("%s/%s", folder, name);
}

/* Runs a program to its end. 0, or 1 with what it said in the log. */
static int run(const char *const argv[]) {
    struct child_result r = {0};
    int e = child_run_sync(argv, NULL, STEP_MS, MAX_OUTPUT, &r);
    bool ok = e == 0 && r.exit_code == 0;
    if (!ok)
        fprintf(stderr, "'%s' failed (%s): %.300s\n", argv[0],
                e < 0 || r.start_error ? strerror(e < 0 ? -e : r.start_error)
                : r.timed_out          ? "no end in time"
                                       : "see its words",
                buf_str(&r.err));
    child_result_done(&r);
    return ok ? 0 : 1;
}

static int start_database(const char *folder) {
    _cleanup_free_ char *db = in(folder, "conf.db"), *remote = strf("--remote=punix:%s/db.sock", folder),
                        *pid = strf("--pidfile=%s/ovsdb-server.pid", folder),
                        *ctl = strf("--unixctl=%s/ovsdb-server.ctl", folder),
                        *socket = strf("--db=unix:%s/db.sock", folder);
    int r = run((const char *const[]){"ovsdb-tool", "create", db, SCHEMA, NULL});
    if (r == 0)
        r = run((const char *const[]){"ovsdb-server", db, remote, pid, ctl, "--detach", "--no-chdir", "-vconsole:off",
                                      NULL});
    if (r == 0) /* one thread of each kind: this switch carries nothing */
        r = run((const char *const[]){"ovs-vsctl", socket, "--no-wait", "--timeout=3", "init", "--", "set",
                                      "Open_vSwitch", ".", "other_config:n-handler-threads=1",
                                      "other_config:n-revalidator-threads=1", NULL});
    return r;
}

static int start_switch(const char *folder) {
    _cleanup_free_ char *db = strf("unix:%s/db.sock", folder), *pid = strf("--pidfile=%s/ovs-vswitchd.pid", folder);
    return run((const char *const[]){"ovs-vswitchd", db, pid, "--detach", "--no-chdir", "-vconsole:off", NULL});
}

static int netboot(struct netboot *n, const char *folder, const char *command) {
    _cleanup_free_ char *state = in(folder, "state"), *resolv = in(folder, "resolv.conf");
    return run((const char *const[]){n->program, "--quiet", "--state-dir", state, "--run-dir", folder, "--switch-dir",
                                     folder, "--resolv-conf", resolv, "--timeout", SWITCH_MS, command, NULL});
}

static int write_observed(const char *folder, const struct net_observed *is) {
    _cleanup_free_ char *path = in(folder, "observed.json"), *text = net_observed_to_json(is);
    return fs_write_atomic(path, text, strlen(text), 0600);
}

int netboot_scratch_inside(struct netboot *n, const char *folder) {
    _cleanup_free_ char *nics = in(folder, "nics");
    setenv("OVS_RUNDIR", folder, /* overwrite= */ 1);
    setenv("OVS_LOGDIR", folder, /* overwrite= */ 1);
    setenv("OVS_DBDIR", folder, /* overwrite= */ 1);
    setenv("OVS_SYSCONFDIR", folder, /* overwrite= */ 1);
    /* 1 says that the rehearsal itself could not be done, 3 that the boot failed. */
    if (run((const char *const[]){"ip", "-batch", nics, NULL}) || start_database(folder))
        return NETBOOT_FAILED;
    if (netboot(n, folder, "boot"))
        return NETBOOT_NO_CONFIG;
    if (start_switch(folder))
        return NETBOOT_FAILED;
    int verified = netboot(n, folder, "verify");
    struct error *e = NULL;
    free(n->switch_dir);
    n->switch_dir = xstrdup(folder);
    _cleanup_net_observed_ struct net_observed *is =
        netboot_open(n, /* need_switch= */ true, &e) ? netboot_observe(n, &e) : NULL;
    if (!is || write_observed(folder, is) < 0) {
        fprintf(stderr, "what came of it cannot be read: %s\n", e ? error_text(e) : "no room");
        error_free(e);
        return NETBOOT_FAILED;
    }
    return verified ? NETBOOT_NO_CONFIG : NETBOOT_OK;
}

/* ---- outside ---- */

/* What a server would give is what it has given. */
static void settle_leases(struct net_config *c, const struct net_observed *is) {
    for (unsigned i = 0; i < c->n_bridges; i++) {
        struct net_bridge *b = &c->bridges[i];
        if (b->ip6.mode != NET_IP_STATIC)
            b->ip6 = (struct net_ip){0};
        if (b->ip4.mode != NET_IP_DHCP)
            continue;
        b->ip4 = (struct net_ip){0};
        const struct net_obs_lease *lease = net_observed_lease(is, b->name, NET_FAMILY_IPV4);
        for (unsigned k = 0; k < is->n_addrs; k++)
            if (str_eq(is->addrs[k].link, b->name) && is->addrs[k].addr.family == NET_FAMILY_IPV4)
                b->ip4 = (struct net_ip){.mode = NET_IP_STATIC,
                                         .address = is->addrs[k].addr,
                                         .gateway = lease ? lease->gateway : (struct net_addr){0}};
    }
}

static void list_nics(const struct net_observed *is, struct buf *ret) {
    char mac[NET_MAC_TEXT_SIZE];
    buf_add_str(ret, "link set lo up\n");
    for (unsigned i = 0; i < is->n_links; i++) {
        const struct net_obs_link *l = &is->links[i];
        if (l->kind != NET_LINK_PHYSICAL)
            continue;
        const struct net_mac *own = net_mac_is_zero(&l->permanent_mac) ? &l->mac : &l->permanent_mac;
        buf_addf(ret, "link add %s address %s type veth peer name mrp%u\n", l->name, net_mac_text(own, mac), i);
        if (l->carrier)
            buf_addf(ret, "link set mrp%u up\n", i);
    }
}

static int write_file(const char *folder, const char *name, const char *text) {
    _cleanup_free_ char *path = in(folder, name);
    return fs_write_atomic(path, text, strlen(text), 0600);
}

static bool prepare(const char *folder, const struct net_config *config, const struct net_observed *is,
                    struct error **errp) {
    _cleanup_free_ char *network = in(folder, "state/network");
    _cleanup_net_config_ struct net_config *c = net_config_copy(config);
    settle_leases(c, is);
    _cleanup_free_ char *text = net_config_to_json(c);
    _cleanup_buf_ struct buf nics = BUF_INIT;
    list_nics(is, &nics);
    int r = fs_mkdirs(network, 0700);
    if (r == 0)
        r = write_file(network, "good.json", text);
    if (r == 0)
        r = write_file(folder, "nics", buf_str(&nics));
    if (r == 0)
        r = write_file(folder, "resolv.conf", "");
    if (r < 0)
        error_errno(errp, r, "cannot write below '%s'", folder);
    return r == 0;
}

/* Two levels deep, as it was made. */
static void remove_folder(const char *folder, int depth) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        _cleanup_free_ char *path = in(folder, e->d_name);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && depth > 0)
            remove_folder(path, depth - 1);
        else
            (void)unlink(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(folder);
}

static struct net_observed *read_observed(const char *folder, struct error **errp) {
    _cleanup_free_ char *path = in(folder, "observed.json");
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, MAX_FILE, &text);
    if (r < 0)
        error_errno(errp, r, "cannot read '%s'", path);
    return r < 0 ? NULL : net_observed_from_json(buf_str(&text), text.size, errp);
}

/* The last line that says something. */
static char *last_words(const struct buf *err) {
    _cleanup_strv_ struct strv lines = {0};
    strv_split(&lines, buf_str(err), '\n');
    while (lines.n && !*lines.items[lines.n - 1])
        free(lines.items[--lines.n]);
    return xstrdup(lines.n ? lines.items[lines.n - 1] : "without a word");
}

static void judge(const struct child_result *r, const char *folder, struct netboot_scratch *ret) {
    if (r->exit_code == NETBOOT_NO_CONFIG) {
        ret->failure = last_words(&r->err);
    } else if (r->exit_code != NETBOOT_OK) {
        ret->error = r->start_error ? strf("cannot run unshare: %s", strerror(r->start_error))
                     : r->timed_out ? xstrdup("it did not end in time")
                                    : last_words(&r->err);
        return;
    }
    struct error *e = NULL;
    ret->observed = read_observed(folder, &e);
    if (!ret->observed && !ret->failure)
        ret->error = xstrdup(error_text(e));
    error_free(e);
}

void netboot_scratch_run(struct netboot *n, const struct net_config *config, const struct net_observed *is,
                         struct netboot_scratch *ret) {
    uint64_t started_ms = net_clock_ms();
    struct error *e = NULL;
    *ret = (struct netboot_scratch){0};
    _cleanup_free_ char *folder = strf("%s/rehearsal.%d", n->run_dir, (int)getpid());
    if (prepare(folder, config, is, &e)) {
        const char *const argv[] = {"unshare",      "--net",    "--mount", "--pid",           "--fork", "--kill-child",
                                    "--mount-proc", n->program, "--quiet", "rehearse-inside", folder,   NULL};
        struct child_result r = {0};
        int failed = child_run_sync(argv, NULL, SCRATCH_MS, MAX_OUTPUT, &r);
        if (failed < 0)
            ret->error = strf("cannot run unshare: %s", strerror(-failed));
        else
            judge(&r, folder, ret);
        child_result_done(&r);
    } else {
        ret->error = xstrdup(error_text(e));
    }
    error_free(e);
    remove_folder(folder, 3);
    ret->took_ms = (unsigned)(net_clock_ms() - started_ms);
}
