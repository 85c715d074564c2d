/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_init_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lab/lab_init.h"

/* In the new process, PID 1 of its PID namespace. */
static _noreturn_ void init_exec(const struct lab *lab, const char *node, const char *device, int netns_fd,
                                 int status_fd) {
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setns(netns_fd, CLONE_NEWNET) < 0 || dup2(status_fd, INIT_STATUS_FD) < 0)
        _exit(126);
    sigprocmask(SIG_SETMASK, &none, NULL);
    _cleanup_free_ char *mark = strf("%s=%s", LAB_MARK, lab->dir);
    const char *asan = getenv("ASAN_OPTIONS"), *path = getenv("PATH");
    _cleanup_free_ char *asan_env = strf("ASAN_OPTIONS=%s", asan ? asan : "");
    _cleanup_free_ char *path_env = strf("PATH=%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    const char *const env[] = {mark, path_env, "HOME=/root", "LANG=C.UTF-8", asan_env, NULL};
    const char *const argv[] = {"muster-lab", "init", lab->dir, node, device, NULL};
    execve("/proc/self/exe", (char *const *)argv, (char *const *)env);
    _exit(126);
}

bool init_spawn(const struct lab *lab, const char *node, const char *device, struct init_handle *ret,
                struct error **errp) {
    _cleanup_free_ char *ns = lab_netns(lab, node);
    _cleanup_close_ int netns_fd = open(ns, O_RDONLY | O_CLOEXEC);
    int status[2];
    if (netns_fd < 0 || pipe2(status, O_CLOEXEC) < 0) {
        error_setf(errp, LAB_ERROR, "Cannot start: %s: %s", ns, strerror(errno));
        return false;
    }
    int pidfd = -1;
    unsigned long flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD;
    long pid = syscall(SYS_clone, flags, NULL, &pidfd, NULL, 0);
    if (pid == 0) {
        /* dup2 of a descriptor onto itself would leave it to be closed by exec */
        int fd = status[1] == INIT_STATUS_FD ? fcntl(status[1], F_DUPFD, 10) : status[1];
        init_exec(lab, node, device, netns_fd, fd);
    }
    int r = -errno;
    close(status[1]);
    if (pid < 0 || fcntl(status[0], F_SETFL, O_NONBLOCK) < 0) {
        close(status[0]);
        error_setf(errp, LAB_ERROR, "Cannot make the namespaces: %s", strerror(-r));
        return false;
    }
    *ret = (struct init_handle){.id = proc_of((pid_t)pid), .pidfd = pidfd, .status_fd = status[0]};
    return true;
}
