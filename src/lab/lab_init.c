/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_init.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_array.h"
#include "lab/lab_net.h"
#include "lab/lab_ns.h"
#include "lab/lab_root.h"
#include "lab/lab_service.h"

#define SWITCH_DB "/etc/openvswitch/conf.db"
#define SWITCH_SOCKET "unix:/run/openvswitch/db.sock"
#define NETBOOT_TIMEOUT_MS 60000
#define TOOL_TIMEOUT_MS 30000
#define HOOK_TIMEOUT_MS 60000
#define STOP_MS 10000
#define GOODBYE_MS 15000

struct init {
    struct lab *lab;
    struct node node;
    struct services services;
};

static void stage(const char *fmt, ...) _printf_(1, 2);
static void stage(const char *fmt, ...) {
    char *text;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    lab_say("%s", text);
    _cleanup_free_ char *line = strf("%s\n", text);
    free(text);
    (void)!write(INIT_STATUS_FD, line, strlen(line));
}

#define RUN(init, log, timeout_ms, ...)                                                                                \
    services_run(&(init)->services, log, (const char *const[]){__VA_ARGS__, NULL}, timeout_ms)
/* A service that is restarted when it fails. */
#define START(init, program, ...)                                                                                      \
    services_start(&(init)->services, &(struct service_plan){.name = (program),                                        \
                                                             .argv = (const char *const[]){__VA_ARGS__, NULL},         \
                                                             .stop_ms = STOP_MS,                                       \
                                                             .pause_ms = 200})

static bool asked_to_stop(const struct init *i) {
    return i->services.request != REQUEST_NONE;
}

/* A script that a person or a test put at a point of the start: <point> always, <point>.once for the next start only.
 */
static void run_hooks(struct init *i, const char *point) {
    _cleanup_free_ char *always = strf(INIT_HOOKS_DIR "/%s", point);
    _cleanup_free_ char *once = strf(INIT_HOOKS_DIR "/%s.once", point);
    _cleanup_free_ char *now = strf(LAB_RUN_DIR "/%s.hook", point);
    _cleanup_buf_ struct buf text = BUF_INIT;
    if (fs_read(once, 65536, &text) == 0 && fs_unlink(once) == 0 &&
        fs_write_atomic(now, text.data, text.size, 0700) == 0) {
        stage("hook %s (once)", point);
        int code = RUN(i, "hooks", HOOK_TIMEOUT_MS, "/bin/bash", now);
        if (code != 0)
            lab_say("hook '%s' (once) ended with %d, see /var/log/hooks.log", point, code);
    }
    if (fs_exists(always)) {
        stage("hook %s", point);
        int code = RUN(i, "hooks", HOOK_TIMEOUT_MS, "/bin/bash", always);
        if (code != 0)
            lab_say("hook '%s' ended with %d, see /var/log/hooks.log", point, code);
    }
}

/* ---- services of all nodes with a switch ---- */

/* A server that was just started listens when its socket takes a connection; ovs-vsctl's own retry waits whole seconds.
 */
static bool wait_for_socket(struct init *i, const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    str_copy(a.sun_path, sizeof(a.sun_path), path);
    uint64_t end = lab_now_ms() + TOOL_TIMEOUT_MS;
    while (lab_now_ms() < end && !asked_to_stop(i)) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
            return true;
        services_turn(&i->services, 10);
    }
    return false;
}

static bool start_switch_database(struct init *i) {
    stage("switch database server");
    if (fs_mkdirs("/run/openvswitch", 0755) < 0 || fs_mkdirs("/etc/openvswitch", 0755) < 0 ||
        fs_mkdirs("/var/log/openvswitch", 0755) < 0)
        return false;
    if (!fs_exists(SWITCH_DB) && RUN(i, "ovsdb-server", TOOL_TIMEOUT_MS, "ovsdb-tool", "create", SWITCH_DB,
                                     "/usr/share/openvswitch/vswitch.ovsschema") != 0)
        return false;
    START(i, "ovsdb-server", "ovsdb-server", SWITCH_DB, "--remote=punix:/run/openvswitch/db.sock", "--pidfile",
          "-vconsole:off", "-vsyslog:off", "--log-file=/var/log/openvswitch/ovsdb-server.log");
    if (!wait_for_socket(i, "/run/openvswitch/db.sock"))
        return false;
    /* One handler and one revalidator thread are plenty for a few veths. */
    _cleanup_free_ char *system_id = strf("external_ids:system-id=%s", i->node.name);
    return RUN(i, "ovsdb-server", TOOL_TIMEOUT_MS, "ovs-vsctl", "--timeout=30", "--no-wait", "--", "init", "--", "set",
               "Open_vSwitch", ".", system_id, "other_config:n-handler-threads=1",
               "other_config:n-revalidator-threads=1") == 0;
}

static void start_vswitchd(struct init *i) {
    stage("switch");
    START(i, "ovs-vswitchd", "ovs-vswitchd", SWITCH_SOCKET, "--pidfile", "-vconsole:off", "-vsyslog:off",
          "--log-file=/var/log/openvswitch/ovs-vswitchd.log");
}

static void start_lldpd(struct init *i, const char *pattern, const char *role) {
    _cleanup_free_ char *text = strf("configure system hostname %s\nconfigure system description \"%s\"\n"
                                     "configure system interface pattern %s\nconfigure lldp portidsubtype ifname\n"
                                     "configure lldp tx-interval 5\n",
                                     i->node.name, role, pattern);
    if (fs_mkdirs("/etc/lldpd.d", 0755) < 0 || fs_mkdirs("/run/lldpd", 0755) < 0 ||
        fs_write_atomic("/etc/lldpd.d/muster-lab.conf", text, strlen(text), 0644) < 0) {
        lab_say("lldpd cannot be configured");
        return;
    }
    stage("lldpd");
    START(i, "lldpd", "lldpd", "-d", "-k");
}

/* ---- hosts ---- */

/* The first configuration, as a person types it at the installation of a host: one NIC, one address. */
static void first_configuration(struct init *i) {
    const struct topo_host *h = i->node.host;
    if (fs_exists("/var/lib/muster/network/good.json") || h->n_nics == 0)
        return;
    stage("first network configuration");
    _cleanup_free_ char *mtu = strf("%u", i->lab->first_mtu);
    int code = RUN(i, "muster-netboot", NETBOOT_TIMEOUT_MS, "muster-netboot", "init", "--device", i->lab->management,
                   "--mode", "static", "--ip", h->address, "--netmask", "255.255.255.0", "--gateway", TOPO_GATEWAY,
                   "--mtu", mtu, "--datapath", "netdev");
    if (code != 0)
        stage("the first network configuration failed (%d), see /var/log/muster-netboot.log", code);
}

static void netboot(struct init *i, const char *step) {
    stage("muster-netboot %s", step);
    int code = RUN(i, "muster-netboot", NETBOOT_TIMEOUT_MS, "muster-netboot", step);
    if (code != 0 && !asked_to_stop(i))
        stage("muster-netboot %s ended with %d, see /var/log/muster-netboot.log", step, code);
}

/* As its unit has it: SIGPWR is the goodbye of a host that goes down, where SIGTERM would end the daemon alone. */
static void start_musterd(struct init *i) {
    static const char *const argv[] = {
        "/bin/sh", "-c", "set -a; [ ! -r /etc/default/musterd ] || . /etc/default/musterd; exec musterd", NULL};
    const struct service_plan plan = {.name = "musterd",
                                      .argv = argv,
                                      .stop_signal = SIGPWR,
                                      .stop_ms = GOODBYE_MS,
                                      .pause_ms = 1000,
                                      .restart_always = true,
                                      .nice = -10};
    stage("musterd");
    services_start(&i->services, &plan);
}

static bool boot_host(struct init *i) {
    _cleanup_error_ struct error *err = NULL;
    if (!net_guard(NULL, i->node.host, &err)) {
        stage("%s", error_param(err, 0));
        return false;
    }
    /* As units of a real host: one that fails does not keep the others from starting, and says so itself. */
    if (!start_switch_database(i))
        stage("the switch database server is not as it should be, see /var/log/ovsdb-server.log");
    bool have_netboot = fs_exists(LAB_RUN_DIR "/bin/muster-netboot");
    if (have_netboot) {
        first_configuration(i);
        run_hooks(i, "before-netboot");
        netboot(i, "boot");
    } else {
        lab_say("muster-netboot was not built, the host starts without a network configuration");
    }
    run_hooks(i, "after-netboot");
    start_vswitchd(i);
    if (have_netboot)
        netboot(i, "verify");
    start_lldpd(i, "eth*", "lab host");
    run_hooks(i, "before-musterd");
    if (asked_to_stop(i))
        return false;
    if (i->lab->no_daemon) {
        lab_say("musterd is not wanted in this lab");
    } else if (fs_exists(LAB_RUN_DIR "/bin/musterd")) {
        start_musterd(i);
    } else {
        lab_say("musterd was not built, the host starts without it");
    }
    return true;
}

/* ---- switches ---- */

static bool boot_switch(struct init *i) {
    if (!start_switch_database(i))
        return false;
    /* One transaction with every cable that is plugged in. max-revalidator: relearn a moved MAC quickly, as hardware
     * does. */
    _cleanup_buf_ struct buf script = BUF_INIT, links = BUF_INIT;
    buf_add_str(&script, "exec ovs-vsctl --no-wait -- set Open_vSwitch . other_config:max-revalidator=100"
                         " -- add-br br0 -- set bridge br0 datapath_type=netdev");
    DIR *d = opendir("/sys/class/net");
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] != '.' && (strchr(e->d_name, '-') || str_eq(e->d_name, TOPO_ISL_PORT)) &&
            !str_starts(e->d_name, "ovs-")) {
            buf_addf(&links, "link set %s up\n", e->d_name);
            buf_addf(&script, " -- add-port br0 %s -- set interface %s mtu_request=9216", e->d_name, e->d_name);
        }
    }
    if (d)
        closedir(d);
    _cleanup_error_ struct error *err = NULL;
    const char *const ip[] = {"ip", "-batch", "-", NULL};
    if (!lab_run(NULL, ip, buf_str(&links), NULL, &err)) {
        stage("%s", error_param(err, 0));
        return false;
    }
    if (RUN(i, "ovs-vsctl", TOOL_TIMEOUT_MS, "/bin/sh", "-c", buf_str(&script)) != 0)
        return false;
    start_vswitchd(i);
    if (RUN(i, "ovs-vsctl", TOOL_TIMEOUT_MS, "ovs-vsctl", "--timeout=30", "set", "bridge", "br0",
            "other_config:mac-aging-time=300") != 0)
        return false;
    start_lldpd(i, "*-eth*", "lab switch");
    return true;
}

int init_main(const char *dir, const char *name, const char *device) {
    _cleanup_error_ struct error *err = NULL;
    struct init i = {0};
    if (getpid() != 1 || fcntl(INIT_STATUS_FD, F_SETFD, FD_CLOEXEC) < 0) {
        fprintf(stderr, "muster-lab init is started by the lab itself.\n");
        return 2;
    }
    i.lab = lab_open(dir, /* lock= */ false, &err);
    if (!i.lab || !lab_node(i.lab, name, &i.node, &err) || !root_enter(i.lab, &i.node, device, &err) ||
        !root_first_boot(i.lab, &i.node, &err) || !root_programs(i.lab, &err)) {
        stage("%s", error_param(err, 0));
        return 1;
    }
    _cleanup_free_ char *mark = strf("%s=%s", LAB_MARK, dir);
    const char *asan = getenv("ASAN_OPTIONS");
    _cleanup_free_ char *asan_env = strf("ASAN_OPTIONS=%s", asan ? asan : "");
    setenv("PATH", NS_PATH, 1);
    const char *const env[] = {mark,
                               asan_env,
                               "PATH=" NS_PATH,
                               "HOME=/root",
                               "LANG=C.UTF-8",
                               "MUSTER_REBOOT_COMMAND=" LAB_RUN_DIR "/bin/reboot",
                               "MUSTER_POWEROFF_COMMAND=" LAB_RUN_DIR "/bin/poweroff",
                               NULL};
    if (!services_init(&i.services, env)) {
        stage("PID 1 cannot set itself up: %s", strerror(errno));
        return 1;
    }
    bool ok = i.node.kind == NODE_HOST     ? boot_host(&i)
              : i.node.kind == NODE_SWITCH ? boot_switch(&i)
              : i.node.kind == NODE_ARRAY  ? array_boot(&i.services)
                                           : true;
    if (!ok && !asked_to_stop(&i)) {
        stage("the start failed, see its files in /var/log");
        return 1;
    }
    if (!asked_to_stop(&i))
        (void)!write(INIT_STATUS_FD, "up\n", 3);
    services_wait(&i.services);
    bool again = i.services.request == REQUEST_REBOOT;
    stage(again ? "reboot" : "poweroff");
    services_stop(&i.services);
    _cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root >= 0)
        (void)!syncfs(root);
    reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
    return 1;
}
