/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster-virtd: starts a libvirt daemon that belongs to Muster alone. Its folders (state, sockets, settings, logs) are
 * Muster's own, put in the places that libvirt looks at by a mount namespace of its own, so a libvirt that the machine
 * runs for other purposes is neither seen nor touched. Returns when the daemon takes connections. Calling it again
 * while one runs does no harm: the second finds the first one's lock and ends. VMs live on when the daemon dies, and
 * the next one finds them by its state folder.
 *
 * With --listen and --pki the daemon also takes connections from other hosts of the pool, for VMs that move: TLS, on
 * that address only, and only with a certificate of the pool. --again ends a daemon that runs first: it reads address
 * and certificates at its start.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "virt/virt_listen.h"

#define ACCOUNT "libvirt-qemu"
#define ACCOUNT_ID "64055" /* as Debian gives it */
#define PASSWD_MAX (4 << 20)
#define END_MS 10000
#define END_STEP_MS 50

struct places {
    const char *state_dir, *run_dir;
    const char *listen, *pki_dir; /* NULL: no other host comes here */
    char *mark;                   /* virt_listen_mark; NULL: it does not listen */
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

/* What the daemon shows to others and what it believes: the host's own, by name. */
static bool link_keys(const struct places *p, const char *etc) {
    static const char *const links[][2] = {
        {"host.key", "clientkey.pem"}, {"chain.pem", "clientcert.pem"}, {"ca-all.pem", "cacert.pem"}};
    _cleanup_free_ char *client = strf("%s/pki/client", etc), *qemu = strf("%s/pki/qemu", etc);
    int r = fs_mkdirs(client, 0700);
    if (r == 0)
        r = fs_mkdirs(qemu, 0755); /* musterd fills it; the daemon only wants it to be there */
    for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0 && p->pki_dir; i++) {
        _cleanup_free_ char *from = strf("%s/%s", p->pki_dir, links[i][0]), *to = strf("%s/%s", client, links[i][1]);
        if ((unlink(to) < 0 && errno != ENOENT) || symlink(from, to) < 0)
            r = -errno;
    }
    return r == 0 || complain("cannot link keys in", client, r);
}

static char *listen_text(const struct places *p) {
    if (!p->mark)
        return xstrdup("listen_tls = 0\n");
    return strf("listen_tls = 1\nlisten_addr = \"%s\"\ntls_port = \"%d\"\nauth_tls = \"none\"\n"
                "tls_no_verify_certificate = 0\n"
                "key_file = \"%s/host.key\"\ncert_file = \"%s/chain.pem\"\nca_file = \"%s/ca-all.pem\"\n",
                p->listen, VIRT_LISTEN_PORT, p->pki_dir, p->pki_dir, p->pki_dir);
}

static bool write_settings(const struct places *p) {
    const char *group = getgrnam("kvm") ? "kvm" : ACCOUNT;
    _cleanup_free_ char *etc = strf("%s/libvirt/etc", p->state_dir), *daemon = strf("%s/libvirtd.conf", etc),
                        *driver = strf("%s/qemu.conf", etc);
    _cleanup_free_ char *listen = listen_text(p),
                        *daemon_text = strf("# Written by muster-virtd at every start.\n%slisten_tcp = 0\n"
                                            "unix_sock_group = \"root\"\nunix_sock_ro_perms = \"0700\"\n"
                                            "unix_sock_rw_perms = \"0700\"\n"
                                            "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n"
                                            "max_clients = 64\nkeepalive_interval = 5\nkeepalive_count = 5\n"
                                            "log_filters = \"4:util.threadjob 4:util.netlink\"\nlog_level = 3\n"
                                            "log_outputs = \"3:file:/var/log/libvirt/libvirtd.log\"\n",
                                            listen);
    /* No virtlogd and no cgroup manager beside it; VNC and serial lines are unix sockets in a folder of Muster's. */
    _cleanup_free_ char *driver_text = strf("# Written by muster-virtd at every start.\n"
                                            "user = \"" ACCOUNT "\"\ngroup = \"%s\"\n"
                                            "dynamic_ownership = 1\nremember_owner = 0\n"
                                            "namespaces = [ ]\ncgroup_controllers = [ ]\nstdio_handler = \"file\"\n"
                                            "seccomp_sandbox = 1\nmax_core = 0\n"
                                            "migrate_tls_x509_cert_dir = \"/etc/libvirt/pki/qemu\"\n"
                                            "migrate_tls_x509_verify = 1\nmigrate_tls_force = 1\n"
                                            "keepalive_interval = 5\nkeepalive_count = 5\n",
                                            group);
    int r = fs_mkdirs(etc, 0755);
    if (r == 0)
        r = fs_write_atomic(daemon, daemon_text, strlen(daemon_text), 0600);
    if (r == 0)
        r = fs_write_atomic(driver, driver_text, strlen(driver_text), 0600);
    if (r < 0)
        return complain("cannot write settings in", etc, r);
    return link_keys(p, etc);
}

/* The daemon of ours that runs; 0: none. */
static pid_t running(const struct places *p) {
    _cleanup_free_ char *path = strf("%s/libvirt/libvirtd.pid", p->run_dir), *comm = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT;
    char name[32] = "";
    int64_t pid;
    if (fs_read(path, sizeof(name), &text) < 0)
        return 0;
    char *end = strchr(text.data ? text.data : (char *)"", '\n');
    if (end)
        *end = '\0';
    if (!str_parse_int(buf_str(&text), 2, INT32_MAX, &pid))
        return 0;
    comm = strf("/proc/%d/comm", (int)pid);
    int fd = open(comm, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, name, sizeof(name) - 1);
    close(fd);
    return n > 0 && str_starts(name, "libvirtd") ? (pid_t)pid : 0;
}

/* The note of what the daemon is started with (or that it does not listen). */
static void note_listening(const struct places *p) {
    _cleanup_free_ char *path = virt_listen_path(p->run_dir);
    if (running(p))
        return; /* it goes on as it is, and the new one ends at its lock */
    if (p->mark)
        (void)!fs_write_atomic(path, p->mark, strlen(p->mark), 0644);
    else
        (void)unlink(path);
}

/* A daemon of ours that runs is told to end, and waited for. Its VMs stay. */
static bool end_running(const struct places *p) {
    pid_t pid = running(p);
    if (pid)
        (void)kill(pid, SIGTERM);
    for (int waited = 0; pid && waited < END_MS; waited += END_STEP_MS) {
        struct timespec step = {.tv_nsec = END_STEP_MS * 1000000L};
        (void)nanosleep(&step, NULL);
        if (running(p) != pid)
            return true;
        if (waited == END_MS / 2)
            (void)kill(pid, SIGKILL); /* it hangs */
    }
    return !pid || complain("cannot end the daemon of", p->run_dir, -EBUSY);
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
                                          {"listen", required_argument, NULL, 'l'},
                                          {"pki", required_argument, NULL, 'p'},
                                          {"again", no_argument, NULL, 'a'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct places p = {.state_dir = "/var/lib/muster", .run_dir = "/run/muster"};
    bool again = false;
    for (int o; (o = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (o == 's')
            p.state_dir = optarg;
        else if (o == 'r')
            p.run_dir = optarg;
        else if (o == 'l')
            p.listen = optarg;
        else if (o == 'p')
            p.pki_dir = optarg;
        else if (o == 'a')
            again = true;
        else {
            printf("Usage: muster-virtd [--state-dir DIR] [--run-dir DIR] [--listen ADDRESS --pki DIR] [--again]\n"
                   "Starts the libvirt daemon of a Muster host, in folders of its own; musterd does this by itself.\n");
            return o == 'h' ? 0 : 2;
        }
    }
    umask(022);
    be_ordinary();
    if (p.listen && strpbrk(p.listen, "\"\n\\")) {
        complain("no address to listen at", p.listen, -EINVAL);
        return 2;
    }
    p.mark = virt_listen_mark(p.pki_dir, p.listen);
    if (again && !end_running(&p))
        return 1;
    if (!write_settings(&p) || !enter(&p))
        return 1;
    note_listening(&p);
    const char *const argv_daemon[] = {"libvirtd",
                                       "--daemon",
                                       "--config",
                                       "/etc/libvirt/libvirtd.conf",
                                       "--pid-file",
                                       "/run/libvirt/libvirtd.pid",
                                       p.mark ? "--listen" : NULL,
                                       NULL};
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
    execvp(argv_daemon[0], (char *const *)argv_daemon);
    complain("cannot run", argv_daemon[0], -errno);
    return errno == ENOENT ? 127 : 126;
}
