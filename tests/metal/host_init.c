/* SPDX-License-Identifier: Apache-2.0 */
/* The order is that of the units in packaging/systemd. */
#include "host_init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SWITCH_DB "/etc/openvswitch/conf.db"
#define SWITCH_SOCKET "/run/openvswitch/db.sock"
#define REQUEST METAL_DIR "/request"
#define STEP_MS 180000 /* emulated, on a machine that does other things, too */
#define GOODBYE_MS 60000
#define RESTART_PAUSE_MS 1000
#define CLOCK_LATER_S 30 /* beyond the first ten seconds */

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A service is started again when it ends. */
struct service {
    const char *log;
    const char *const *argv;
    pid_t pid;
    long again_ms; /* when it ended and waits; 0: it runs or was never wanted */
};

static struct service services[4];
static size_t n_services;

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void say(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf("metal: %.2f ", (double)now_ms() / 1000);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
}

void pause_ms(int ms) {
    (void)poll(NULL, 0, ms);
}

pid_t spawn(const char *log, const char *const argv[]) {
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    setsid();
    int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (in >= 0 && out >= 0) {
        dup2(in, 0);
        dup2(out, 1);
        dup2(out, 2);
    }
    close_range(3, ~0u, 0);
    execvp(argv[0], (char *const *)argv);
    printf("metal: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void service_start(const char *log, const char *const argv[]) {
    services[n_services++] = (struct service){.log = log, .argv = argv, .pid = spawn(log, argv)};
}

/* Takes the dead in. The status of `wanted` when it is among them, else -1. */
static int reap(pid_t wanted, bool stopping) {
    int status, ret = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == wanted)
            ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        for (size_t i = 0; i < n_services; i++)
            if (services[i].pid == pid) {
                services[i].pid = 0;
                services[i].again_ms = stopping ? 0 : now_ms() + RESTART_PAUSE_MS;
                if (!stopping)
                    say("%s ended with status %d", services[i].argv[0], status);
            }
    }
    for (size_t i = 0; i < n_services; i++)
        if (services[i].again_ms && services[i].again_ms <= now_ms() && !stopping) {
            services[i].again_ms = 0;
            services[i].pid = spawn(services[i].log, services[i].argv);
        }
    return ret;
}

/* Runs a program to its end. */
static int run(const char *log, const char *const argv[]) {
    pid_t pid = spawn(log, argv);
    long end = now_ms() + STEP_MS;
    int status;
    while ((status = reap(pid, false)) < 0 && now_ms() < end)
        pause_ms(5);
    return status;
}

/* The switch daemon runs below unshare, which does not pass signals on: its own file knows it. */
static pid_t pid_in(const char *path) {
    int pid = 0;
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    return pid;
}

static void stop(pid_t pid, int sig, long within_ms) {
    long end = now_ms() + within_ms;
    if (pid <= 0)
        return;
    kill(pid, sig);
    while (kill(pid, 0) == 0 && now_ms() < end) {
        pause_ms(10);
        reap(0, true);
    }
}

static void write_text(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        say("cannot write %s: %s", path, strerror(errno));
    close(fd);
}

static void loopback_up(void) {
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        say("lo: %s", strerror(errno));
    close(fd);
}

static bool parameter(const char *word) {
    static char line[4096];
    FILE *f = line[0] ? NULL : fopen("/proc/cmdline", "re");
    if (f) {
        (void)!fgets(line, sizeof line, f);
        fclose(f);
    }
    return strstr(line, word) != NULL;
}

static const char *const boot_argv[] = {"muster-netboot", "--timeout", "90000", "boot", NULL};
static const char *const switch_argv[] = {"ovs-vswitchd",
                                          "unix:" SWITCH_SOCKET,
                                          "--pidfile",
                                          "-vconsole:off",
                                          "-vsyslog:off",
                                          "--log-file=/var/log/openvswitch/ovs-vswitchd.log",
                                          NULL};

/* The program with a clock that is that many seconds ahead. Lives as long as this program. */
static const char *const *with_clock(long ahead_s, const char *const argv[]) {
    static const char *ret[2][16] = {0};
    static char offset[2][24];
    static size_t n;
    if (ahead_s == 0 || n == 2)
        return argv;
    snprintf(offset[n], sizeof offset[n], "%ld", ahead_s);
    /* --fork: a process that has asked for another clock can start no thread itself. */
    const char **v = ret[n], *const prefix[] = {"unshare", "--fork", "--time", "--monotonic", offset[n++]};
    memcpy(v, prefix, sizeof prefix);
    for (size_t i = 0; argv[i]; i++)
        v[sizeof prefix / sizeof prefix[0] + i] = argv[i];
    return v;
}

static void boot(void) {
    service_start("/var/log/ovsdb-server.log",
                  ARGV("ovsdb-server", SWITCH_DB, "--remote=punix:" SWITCH_SOCKET, "--pidfile", "-vconsole:off",
                       "-vsyslog:off", "--log-file=/var/log/openvswitch/ovsdb-server.log"));
    while (access(SWITCH_SOCKET, F_OK) < 0) {
        pause_ms(5);
        reap(0, false);
    }
    if (access("/etc/metal/before-netboot", F_OK) == 0)
        say("hook %d", run("/var/log/hook.log", ARGV("bash", "/etc/metal/before-netboot")));
    /* The clock of netboot's boot and of the switch daemon; see README.md. 0: the machine's. */
    bool early = parameter("metal.early"), later = parameter("metal.later");
    say("netboot boot %d",
        run("/var/log/muster-netboot.log", with_clock(early || later ? CLOCK_LATER_S : 0, boot_argv)));
    service_start("/var/log/ovs-vswitchd.log", with_clock(early   ? 1 - now_ms() / 1000
                                                          : later ? CLOCK_LATER_S
                                                                  : 0,
                                                          switch_argv));
    say("netboot verify %d",
        run("/var/log/muster-netboot.log", ARGV("muster-netboot", "--timeout", "90000", "verify")));
    const char *const *musterd = ARGV("musterd");
    if (access("/etc/metal/musterd", F_OK) == 0)
        service_start("/var/log/musterd.log", musterd);
    write_text(METAL_DIR "/booted", "", 0644);
    /* This frame stays, for the argument vectors of the services live in it. */
    int request = open(REQUEST, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    char text[64];
    ssize_t n;
    while ((n = read(request, text, sizeof text - 1)) <= 0) {
        struct pollfd p = {.fd = request, .events = POLLIN};
        (void)poll(&p, 1, 200);
        reap(0, false);
    }
    text[n] = '\0';
    say("%s", text);
    if (n_services > 2)
        stop(services[2].pid, SIGPWR, GOODBYE_MS);
    stop(pid_in("/run/openvswitch/ovs-vswitchd.pid"), SIGTERM, GOODBYE_MS);
    stop(services[0].pid, SIGTERM, GOODBYE_MS);
    sync();
    reboot(strstr(text, "reboot") ? RB_AUTOBOOT : RB_POWER_OFF);
}

int main(void) {
    mkdir("/dev", 0755);
    root_enter();
    setvbuf(stdout, NULL, _IONBF, 0);
    int console = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(console, i);
    char name[64] = "";
    FILE *f = fopen("/etc/hostname", "re");
    if (f && fscanf(f, "%63s", name) == 1 && sethostname(name, strlen(name)) < 0)
        say("host name: %s", strerror(errno));
    if (f)
        fclose(f);
    clearenv();
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("LANG", "C.UTF-8", 1);
    setenv("MUSTER_REBOOT_COMMAND", METAL_DIR "/reboot", 1);
    setenv("MUSTER_POWEROFF_COMMAND", METAL_DIR "/poweroff", 1);
    loopback_up();
    mkfifo(REQUEST, 0600);
    write_text(METAL_DIR "/reboot", "#!/bin/sh\necho reboot >" REQUEST "\n", 0755);
    write_text(METAL_DIR "/poweroff", "#!/bin/sh\necho poweroff >" REQUEST "\n", 0755);
    if (fork() == 0)
        agent_run();
    boot();
    return 1;
}
