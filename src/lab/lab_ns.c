/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/str.h"

static void loopback_up(void) {
    _cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {.ifr_name = "lo"};
    if (s >= 0 && ioctl(s, SIOCGIFFLAGS, &r) == 0) {
        r.ifr_flags |= IFF_UP;
        (void)!ioctl(s, SIOCSIFFLAGS, &r);
    }
}

static void ipv6_on(void) {
    static const char *const files[] = {"/proc/sys/net/ipv6/conf/all/disable_ipv6",
                                        "/proc/sys/net/ipv6/conf/default/disable_ipv6"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_close_ int fd = open(files[i], O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)!write(fd, "0\n", 2);
    }
}

bool netns_create(const char *path, struct error **errp) {
    _cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (home < 0 || file < 0) {
        error_setf(errp, LAB_ERROR, "Cannot make the namespace handle '%s': %s", path, strerror(errno));
        return false;
    }
    if (unshare(CLONE_NEWNET) < 0) {
        error_setf(errp, LAB_ERROR, "Cannot make a network namespace: %s. Are you root?", strerror(errno));
        return false;
    }
    int r = mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
    loopback_up();
    ipv6_on();
    netns_return(home);
    if (r < 0)
        error_setf(errp, LAB_ERROR, "Cannot bind the network namespace to '%s': %s", path, strerror(-r));
    return r == 0;
}

void netns_remove(const char *path) {
    while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    unlink(path);
}

bool netns_replace(const char *from, const char *to, struct error **errp) {
    while (umount2(to, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    if (mount(from, to, NULL, MS_BIND, NULL) < 0) {
        error_setf(errp, LAB_ERROR, "Cannot move the namespace handle '%s': %s", from, strerror(errno));
        return false;
    }
    netns_remove(from);
    return true;
}

int netns_enter(const char *path, struct error **errp) {
    _cleanup_close_ int ns = open(path, O_RDONLY | O_CLOEXEC);
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (ns >= 0 && home >= 0 && setns(ns, CLONE_NEWNET) == 0)
        return home;
    error_setf(errp, LAB_ERROR, "Cannot enter the network namespace '%s': %s", path, strerror(errno));
    if (home >= 0)
        close(home);
    return -1;
}

void netns_return(int home) {
    if (setns(home, CLONE_NEWNET) < 0) {
        perror("muster-lab: cannot return to the machine's network namespace");
        abort();
    }
}

static volatile sig_atomic_t forward_to;

static void forward_signal(int signo) {
    if (forward_to > 0)
        kill((pid_t)forward_to, signo);
}

/* In the child, already inside the node's PID namespace. */
static _noreturn_ void exec_child(const struct lab *lab, const struct ns_command *c) {
    if (!c->detach)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    else
        setsid();
    for (int i = 0; i < 3; i++) {
        if (c->fds[i] >= 0 && dup2(c->fds[i], i) < 0)
            _exit(126);
    }
    _cleanup_free_ char *mark = strf("%s=%s", LAB_MARK, lab->dir);
    const char *term = getenv("TERM"), *asan = getenv("ASAN_OPTIONS");
    _cleanup_free_ char *term_env = strf("TERM=%s", term ? term : "dumb");
    _cleanup_free_ char *asan_env = strf("ASAN_OPTIONS=%s", asan ? asan : "");
    static const char path[] = "PATH=" NS_PATH;
    const char *const env[] = {mark,           term_env,          path,           "HOME=/root", "USER=root",
                               "LOGNAME=root", "SHELL=/bin/bash", "LANG=C.UTF-8", asan_env,     NULL};
    if (chdir(c->workdir ? c->workdir : "/root") < 0 && chdir("/") < 0)
        _exit(126);
    setenv("PATH", NS_PATH, 1);
    execvpe(c->argv[0], (char *const *)c->argv, (char *const *)env);
    fprintf(stderr, "muster-lab: cannot run '%s': %s\n", c->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

int ns_exec(const struct lab *lab, const struct ns_command *c, struct error **errp) {
    _cleanup_close_ int pidfd = proc_open(&c->init);
    if (pidfd < 0) {
        error_setf(errp, LAB_ERROR, "It is not running.");
        return -1;
    }
    /* An intermediate process enters the namespaces, so that we stay where we are; its child is in the node's PIDs. */
    fflush(NULL);
    pid_t middle = fork();
    if (middle < 0) {
        error_setf(errp, LAB_ERROR, "Cannot fork: %s", strerror(errno));
        return -1;
    }
    if (middle == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setns(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) < 0) {
            fprintf(stderr, "muster-lab: cannot enter the node: %s\n", strerror(errno));
            _exit(125);
        }
        pid_t child = fork();
        if (child < 0)
            _exit(125);
        if (child == 0)
            exec_child(lab, c);
        if (c->detach)
            _exit(0);
        forward_to = child;
        signal(SIGTERM, forward_signal);
        signal(SIGHUP, forward_signal);
        signal(SIGINT, SIG_IGN); /* the terminal sends it to the child as well */
        signal(SIGQUIT, SIG_IGN);
        int status;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    forward_to = middle;
    struct sigaction forward = {.sa_handler = forward_signal}, ignore = {.sa_handler = SIG_IGN}, term, intr, quit;
    sigaction(SIGTERM, &forward, &term);
    sigaction(SIGINT, &ignore, &intr);
    sigaction(SIGQUIT, &ignore, &quit);
    int status;
    while (waitpid(middle, &status, 0) < 0 && errno == EINTR)
        ;
    forward_to = 0;
    sigaction(SIGTERM, &term, NULL);
    sigaction(SIGINT, &intr, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
