/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that do something inside a host: hooks at points of its start, MTUs behind its daemon's back, a full disk. */
#include "lab/lab_verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "lab/lab_init.h"
#include "lab/lab_monitor.h"
#include "lab/lab_ns.h"

static const char *const hook_points[] = {"before-netboot", "after-netboot", "before-musterd"};

static bool in_host(const struct verb_context *c, const char *host, const char *const argv[], struct error **errp) {
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, errp);
    struct ns_command command = {.argv = argv, .fds = {-1, -1, -1}};
    if (!lab)
        return false;
    if (!topology_host(&lab->topo, host)) {
        error_setf(errp, LAB_ERROR, "There is no host '%s' in this lab.", host);
        return false;
    }
    if (!node_init(lab, host, &command.init, errp))
        return false;
    int code = ns_exec(lab, &command, errp);
    if (code > 0)
        error_setf(errp, LAB_ERROR, "It failed inside '%s' with code %d.", host, code);
    return code == 0;
}

/* A hook must be there after a power cut, so it is synced like anything that matters. text NULL removes it. */
static bool hook_write(const struct verb_context *c, const char *host, const char *point, const char *text, bool once,
                       struct error **errp) {
    static const char script[] = "set -e; mkdir -p \"$1\"; rm -f \"$2\" \"$2.once\"\n"
                                 "if [ -n \"$4\" ]; then printf '%s\\n' \"$4\" > \"$3\"; sync \"$3\"; fi; sync \"$1\"";
    _cleanup_free_ char *path = strf(INIT_HOOKS_DIR "/%s", point);
    _cleanup_free_ char *target = strf("%s%s", path, once ? ".once" : "");
    const char *const argv[] = {"sh", "-c", script, "hook", INIT_HOOKS_DIR, path, target, text ? text : "", NULL};
    return in_host(c, host, argv, errp);
}

int verb_hook(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    bool known = false, once = argc == 4 && str_eq(argv[3], "--once");
    for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(hook_points); i++)
        known = known || str_eq(argv[1], hook_points[i]);
    if (!known || (argc != 3 && !once))
        return verb_misuse("hook", "Wrong arguments.");
    bool clear = str_eq(argv[2], "clear") || str_empty(argv[2]);
    if (!hook_write(c, argv[0], argv[1], clear ? NULL : argv[2], once, &err))
        return verb_fail(err);
    lab_say("%s: hook %s %s", argv[0], argv[1],
            clear  ? "removed"
            : once ? "set for the next start"
                   : "set for every start");
    return 0;
}

int verb_legs_mtu(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    const char *nics = "eth0,eth1";
    bool at_boot = false, every_boot = false, wrong = argc < 2;
    int64_t size = 0;
    for (int i = 2; i < argc; i++) {
        if (str_eq(argv[i], "--at-boot"))
            at_boot = true;
        else if (str_eq(argv[i], "--every-boot"))
            every_boot = true;
        else if (str_eq(argv[i], "--nics") && i + 1 < argc)
            nics = argv[++i];
        else
            wrong = true;
    }
    bool clear = argc >= 2 && str_eq(argv[1], "clear");
    if (wrong || (!clear && !str_parse_int(argv[1], 68, 65535, &size)))
        return verb_misuse("legs-mtu", "Wrong arguments.");
    /* The names go into a script: only what names of NICs consist of. */
    if (strspn(nics, "ethabcdfgijklmnopqrsuvwxyz0123456789,") != strlen(nics))
        return verb_misuse("legs-mtu", "--nics is a list such as eth0,eth1.");
    _cleanup_strv_ struct strv names = {0};
    _cleanup_buf_ struct buf script = BUF_INIT;
    strv_split(&names, nics, ',');
    buf_add_str(&script, "ovs-vsctl --timeout=10");
    for (size_t i = 0; i < names.n; i++)
        buf_addf(&script, "%s set interface %s mtu_request=%d", i > 0 ? " --" : "", names.items[i], (int)size);
    const char *const now[] = {"sh", "-c", buf_str(&script), NULL};
    bool ok;
    if (clear || at_boot || every_boot)
        ok = hook_write(c, argv[0], "before-musterd", clear ? NULL : buf_str(&script), !every_boot, &err);
    else
        ok = in_host(c, argv[0], now, &err);
    if (!ok)
        return verb_fail(err);
    if (clear)
        lab_say("%s: nobody touches its legs at the start any more", argv[0]);
    else
        lab_say("%s: %s at %d %s", argv[0], nics, (int)size,
                every_boot ? "before the daemon of every start"
                : at_boot  ? "before the daemon of the next start"
                           : "now");
    return 0;
}

#define FILL_FILE "/var/muster-lab-fill"

int verb_disk_fill(const struct verb_context *c, int argc, char **argv) {
    /* First in one piece, then what is left of the last blocks; dd is meant to run into the end. */
    static const char script[] =
        "avail=$(df --output=avail -B1 / | tail -1)\n"
        "fallocate -l \"$avail\" " FILL_FILE " 2>/dev/null || true\n"
        "dd if=/dev/zero of=" FILL_FILE " oflag=append conv=notrunc bs=64k 2>/dev/null || true\n"
        "dd if=/dev/zero of=" FILL_FILE " oflag=append conv=notrunc bs=512 2>/dev/null || true\n"
        "sync -f /; df -h / | tail -1\n";
    static const char *const fill[] = {"sh", "-c", script, NULL};
    _cleanup_error_ struct error *err = NULL;
    if (argc != 1)
        return verb_misuse("disk-fill", "It needs one host.");
    if (!in_host(c, argv[0], fill, &err))
        return verb_fail(err);
    lab_say("%s: its disk is full", argv[0]);
    return 0;
}

int verb_disk_free(const struct verb_context *c, int argc, char **argv) {
    static const char *const free_it[] = {"sh", "-c", "rm -f " FILL_FILE "; sync -f /; df -h / | tail -1", NULL};
    _cleanup_error_ struct error *err = NULL;
    if (argc != 1)
        return verb_misuse("disk-free", "It needs one host.");
    if (!in_host(c, argv[0], free_it, &err))
        return verb_fail(err);
    lab_say("%s: its disk has room again", argv[0]);
    return 0;
}

/* ---- the desk's DHCP server ---- */

static bool dhcp_reservations(const struct lab *lab, int argc, char **argv, struct buf *out, struct error **errp) {
    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals)
            *equals = '\0';
        const struct topo_host *h = topology_host(&lab->topo, argv[i]);
        const char *address = equals ? equals + 1 : "";
        if (!h || h->n_nics == 0 || strspn(address, "0123456789.") != strlen(address) || strlen(address) < 7) {
            error_setf(errp, LAB_ERROR, "'%s' is not HOST=ADDRESS with a host of this lab.", argv[i]);
            return false;
        }
        for (unsigned k = 0; k < h->n_nics; k++) {
            char mac[18];
            topology_mac(h, &h->nics[k], mac);
            buf_addf(out, "%s%s", k == 0 ? " --dhcp-host=" : ",", mac);
        }
        buf_addf(out, ",%s", address);
    }
    return true;
}

int verb_dhcp(const struct verb_context *c, int argc, char **argv) {
    _cleanup_error_ struct error *err = NULL;
    _cleanup_buf_ struct buf script = BUF_INIT;
    int64_t lease_s = 120;
    int skip = 1;
    bool on = argc >= 1 && str_eq(argv[0], "on");
    if (on && argc >= 3 && str_eq(argv[1], "--lease")) {
        if (!str_parse_int(argv[2], 120, 86400, &lease_s)) /* dnsmasq knows no shorter ones */
            return verb_misuse("dhcp", "A lease lasts 120 seconds to a day.");
        skip = 3;
    }
    if (!on && !(argc == 1 && str_eq(argv[0], "off")))
        return verb_misuse("dhcp", "Wrong arguments.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ true, &err);
    struct ns_command command = {.fds = {-1, -1, -1}};
    if (!lab || !node_init(lab, TOPO_DESK, &command.init, &err))
        return verb_fail(err);
    /* The server is told from others by its file: only the desk's own is ended, and waited for. */
    buf_add_str(&script, "pid=/run/muster-lab/dnsmasq.pid\n"
                         "if [ -s $pid ]; then p=$(cat $pid); rm -f $pid\n"
                         "  if kill $p 2>/dev/null; then timeout 5 tail --pid=$p -s 0.05 -f /dev/null; fi\nfi\n");
    if (on) {
        buf_addf(
            &script,
            "exec dnsmasq --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces --user=root --pid-file=$pid"
            " --dhcp-leasefile=" LAB_RUN_DIR "/dnsmasq.leases --log-facility=/var/log/dnsmasq.log --log-dhcp"
            " --dhcp-authoritative --dhcp-range=" TOPO_PREFIX "100," TOPO_PREFIX "199,255.255.255.0,%d"
            " --dhcp-option=option:router," TOPO_GATEWAY,
            (int)lease_s);
        if (!dhcp_reservations(lab, argc - skip, argv + skip, &script, &err))
            return verb_fail(err);
    }
    const char *const run[] = {"sh", "-c", buf_str(&script), NULL};
    command.argv = run;
    int code = ns_exec(lab, &command, &err);
    if (code > 0 && on)
        error_setf(&err, LAB_ERROR, "dnsmasq did not start at the desk (code %d); is package dnsmasq-base installed?",
                   code);
    if (code < 0 || err)
        return verb_fail(err);
    lab_say("DHCP at the desk is %s", argv[0]);
    return 0;
}
