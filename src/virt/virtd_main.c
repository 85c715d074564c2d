/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster-virtd: starts a libvirt daemon that belongs to Muster alone. Its folders (state, sockets, settings, logs) are
 * Muster's own, put in the places that libvirt looks at by a mount namespace of its own, so a libvirt that the machine
 * runs for other purposes is neither seen nor touched. Returns when the daemon takes connections. Calling it again
 * while one runs does no harm: the second finds the first one's lock and ends. VMs live on when the daemon dies, and
 * the next one finds them by its state folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/str.h"

#define ACCOUNT "libvirt-qemu"
#define ACCOUNT_ID "64055" /* as Debian gives it */
#define PASSWD_MAX (4 << 20)

struct places {
    const char *state_dir, *run_dir;
};

static bool complain(const char *what, const char *path, int r) {
    fprintf(stderr, "muster-virtd: %s '%s': %s\n", what, path, strerror(-r));
    return false;
}

static bool put_over(const char *source, const char *target, bool is_folder) {
    int r = is_folder ? fs_mkdirs(source, 0755) : 0;
    if (r == 0 && is_folder)
        r = fs_mkdirs(target, 0755);
    if (r == 0 && mount(source, target, NULL, MS_BIND, NULL) < 0)
        r = -errno;
    return r == 0 || complain("cannot put a folder of Muster's over", target, r);
}

/* QEMU gives up root for this account. Where no package has made it, only the daemon and its VMs see it. */
static bool give_account(const struct places *p, const char *file, const char *line) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *target = strf("/etc/%s", file), *own = strf("%s/libvirt/%s", p->run_dir, file);
    int r = fs_read(target, PASSWD_MAX, &text);
    if (r == 0) {
        if (text.size && text.data[text.size - 1] != '\n')
            buf_add_char(&text, '\n');
        buf_add_str(&text, line);
        r = fs_write_atomic(own, text.data, text.size, 0644);
    }
    return r == 0 ? put_over(own, target, /* is_folder= */ false) : complain("cannot write", own, r);
}

static bool write_settings(const struct places *p) {
    const char *group = getgrnam("kvm") ? "kvm" : ACCOUNT;
    _cleanup_free_ char *etc = strf("%s/libvirt/etc", p->state_dir), *daemon = strf("%s/libvirtd.conf", etc),
                        *driver = strf("%s/qemu.conf", etc);
    static const char daemon_text[] = "# Written by muster-virtd at every start.\n"
                                      "listen_tls = 0\nlisten_tcp = 0\n"
                                      "unix_sock_group = \"root\"\nunix_sock_ro_perms = \"0700\"\n"
                                      "unix_sock_rw_perms = \"0700\"\n"
                                      "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n"
                                      "max_clients = 64\nkeepalive_interval = 5\nkeepalive_count = 5\n"
                                      "log_filters = \"4:util.threadjob 4:util.netlink\"\nlog_level = 3\n"
                                      "log_outputs = \"3:file:/var/log/libvirt/libvirtd.log\"\n";
    /* No virtlogd and no cgroup manager beside it; VNC and serial lines are unix sockets in a folder of Muster's. */
    _cleanup_free_ char *driver_text = strf("# Written by muster-virtd at every start.\n"
                                            "user = \"" ACCOUNT "\"\ngroup = \"%s\"\n"
                                            "dynamic_ownership = 1\nremember_owner = 0\n"
                                            "namespaces = [ ]\ncgroup_controllers = [ ]\nstdio_handler = \"file\"\n"
                                            "seccomp_sandbox = 1\nmax_core = 0\n"
                                            "keepalive_interval = 5\nkeepalive_count = 5\n",
                                            group);
    int r = fs_mkdirs(etc, 0755);
    if (r == 0)
        r = fs_write_atomic(daemon, daemon_text, strlen(daemon_text), 0600);
    if (r == 0)
        r = fs_write_atomic(driver, driver_text, strlen(driver_text), 0600);
    return r == 0 || complain("cannot write settings in", etc, r);
}

static bool enter(const struct places *p) {
    static const char *const folders[][2] = {{"etc", "/etc/libvirt"},
                                             {"lib", "/var/lib/libvirt"},
                                             {"cache", "/var/cache/libvirt"},
                                             {"log", "/var/log/libvirt"}};
    _cleanup_free_ char *run = strf("%s/libvirt", p->run_dir), *vms = strf("%s/vm", p->run_dir);
    int r = fs_mkdirs(run, 0755);
    if (r == 0)
        r = fs_mkdirs(vms, 0755);
    /* What is mounted later outside (storage) is to be seen inside, nothing the other way round. */
    if (r == 0 && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0))
        r = -errno;
    if (r < 0)
        return complain("cannot prepare", run, r);
    struct passwd *account = getpwnam(ACCOUNT);
    if (account && chown(vms, account->pw_uid, account->pw_gid) < 0)
        return complain("cannot give away", vms, -errno);
    if (!account &&
        (!give_account(p, "passwd", ACCOUNT ":x:" ACCOUNT_ID ":" ACCOUNT_ID "::/nonexistent:/usr/sbin/nologin\n") ||
         !give_account(p, "group", ACCOUNT ":x:" ACCOUNT_ID ":\n") || chown(vms, 64055, 64055) < 0))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        _cleanup_free_ char *own = strf("%s/libvirt/%s", p->state_dir, folders[i][0]);
        if (!put_over(own, folders[i][1], /* is_folder= */ true))
            return false;
    }
    return put_over(run, "/run/libvirt", /* is_folder= */ true);
}

/* What musterd has for its heartbeats is not for guests: neither its place in the queue nor its safety from the kernel.
 */
static void be_ordinary(void) {
    static const char none[] = "0";
    (void)!setpriority(PRIO_PROCESS, 0, 0);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, none, strlen(none));
        close(fd);
    }
}

int main(int argc, char **argv) {
    static const struct option longs[] = {{"state-dir", required_argument, NULL, 's'},
                                          {"run-dir", required_argument, NULL, 'r'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct places p = {.state_dir = "/var/lib/muster", .run_dir = "/run/muster"};
    for (int o; (o = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (o == 's')
            p.state_dir = optarg;
        else if (o == 'r')
            p.run_dir = optarg;
        else {
            printf("Usage: muster-virtd [--state-dir DIR] [--run-dir DIR]\n"
                   "Starts the libvirt daemon of a Muster host, in folders of its own; musterd does this by itself.\n");
            return o == 'h' ? 0 : 2;
        }
    }
    umask(022);
    be_ordinary();
    if (!write_settings(&p) || !enter(&p))
        return 1;
    static const char *const argv_daemon[] = {
        "libvirtd", "--daemon", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file", "/run/libvirt/libvirtd.pid",
        NULL};
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
    execvp(argv_daemon[0], (char *const *)argv_daemon);
    complain("cannot run", argv_daemon[0], -errno);
    return errno == ENOENT ? 127 : 126;
}
