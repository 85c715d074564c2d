/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/str.h"
#include "lab/lab.h"

#define PAUSE_MAX_MS 5000
#define STEADY_MS 10000 /* a service that ran this long starts from the first pause again */
#define LOG_MAX_SIZE (16 * 1024 * 1024)
#define LEFTOVER_STOP_MS 2000

bool services_init(struct services *s, const char *const *env) {
    *s = (struct services){.env = env};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_SETMASK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    /* Read and write, so that it never reports the end when the last writer closes it. */
    s->request_fd =
        mkfifo(LAB_RUN_DIR "/request", 0600) < 0 ? -1 : open(LAB_RUN_DIR "/request", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return s->signal_fd >= 0 && s->request_fd >= 0;
}

static int log_open(const char *name) {
    _cleanup_free_ char *path = strf("/var/log/%s.log", name);
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > LOG_MAX_SIZE) {
        _cleanup_free_ char *older = strf("%s.1", path);
        (void)!rename(path, older);
    }
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static pid_t spawn(const struct services *s, const char *log, int nice, const char *const argv[]) {
    _cleanup_close_ int out = log_open(log);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (nice != 0)
        (void)!setpriority(PRIO_PROCESS, 0, nice);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out >= 0 ? out : null, 1) < 0 || dup2(out >= 0 ? out : null, 2) < 0)
        _exit(126);
    close_range(3, ~0u, 0);
    execvpe(argv[0], (char *const *)argv, (char *const *)s->env);
    fprintf(stderr, "cannot run '%s': %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void service_launch(struct services *s, struct service *v) {
    v->next_start_ms = 0;
    v->started_ms = lab_now_ms();
    v->pid = spawn(s, v->name, v->plan.nice, (const char *const *)v->argv);
    if (v->pid < 0) {
        v->pid = 0;
        v->next_start_ms = lab_now_ms() + PAUSE_MAX_MS;
    }
}

static void service_ended(struct services *s, struct service *v, int status) {
    bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    bool by_request = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    uint64_t now = lab_now_ms();
    v->pid = 0;
    if (s->stopping)
        return;
    if (WIFSIGNALED(status))
        lab_say("service '%s' was ended by signal %d", v->name, WTERMSIG(status));
    else
        lab_say("service '%s' ended with code %d", v->name, WEXITSTATUS(status));
    if (!v->plan.restart_always && (!failed || by_request))
        return;
    if (now - v->started_ms >= STEADY_MS || v->pause_ms == 0)
        v->pause_ms = v->plan.pause_ms;
    v->next_start_ms = now + v->pause_ms;
    v->pause_ms = MIN(v->pause_ms * 2, (unsigned)PAUSE_MAX_MS);
}

static void reap(struct services *s) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->waited) {
            s->waited_ended = true;
            s->waited_status = status;
        }
        for (unsigned i = 0; i < s->n; i++) {
            if (s->items[i].pid == pid)
                service_ended(s, &s->items[i], status);
        }
    }
}

static void requests_read(struct services *s) {
    struct signalfd_siginfo info;
    char text[128];
    enum init_request asked = REQUEST_NONE;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM)
            asked = REQUEST_POWEROFF;
        else if (info.ssi_signo == SIGUSR1)
            asked = REQUEST_REBOOT;
    }
    ssize_t n = read(s->request_fd, text, sizeof(text) - 1);
    if (n > 0) {
        text[n] = '\0';
        asked = str_starts(text, "reboot") ? REQUEST_REBOOT : str_starts(text, "poweroff") ? REQUEST_POWEROFF : asked;
    }
    if (asked != REQUEST_NONE && s->request == REQUEST_NONE)
        s->request = asked;
}

/* One turn: until something happens, or `until_ms`. */
static void turn(struct services *s, uint64_t until_ms) {
    uint64_t now = lab_now_ms();
    for (unsigned i = 0; i < s->n; i++) {
        struct service *v = &s->items[i];
        if (v->next_start_ms == 0 || s->stopping)
            continue;
        if (v->next_start_ms <= now)
            service_launch(s, v);
        else
            until_ms = MIN(until_ms, v->next_start_ms);
    }
    struct pollfd p[] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = s->request_fd, .events = POLLIN}};
    int timeout = until_ms == UINT64_MAX ? -1 : until_ms > now ? (int)MIN(until_ms - now, (uint64_t)60000) : 0;
    (void)poll(p, ARRAY_SIZE(p), timeout);
    requests_read(s);
    reap(s);
}

int services_run(struct services *s, const char *log, const char *const argv[], unsigned timeout_ms) {
    if (s->request != REQUEST_NONE)
        return -1;
    uint64_t end = lab_now_ms() + timeout_ms;
    s->waited_ended = false;
    s->waited = spawn(s, log, /* nice= */ 0, argv);
    if (s->waited < 0)
        return -1;
    while (!s->waited_ended && lab_now_ms() < end && s->request == REQUEST_NONE)
        turn(s, end);
    int code = -1;
    if (s->waited_ended)
        code = WIFEXITED(s->waited_status) ? WEXITSTATUS(s->waited_status) : 128 + WTERMSIG(s->waited_status);
    else
        kill(-s->waited, SIGKILL);
    s->waited = 0;
    return code;
}

struct service *services_start(struct services *s, const struct service_plan *plan) {
    if (s->n >= SERVICES_MAX || s->request != REQUEST_NONE)
        return NULL;
    struct service *v = &s->items[s->n++];
    *v = (struct service){.plan = *plan};
    str_copy(v->name, sizeof(v->name), plan->name);
    for (size_t i = 0; plan->argv[i] && i + 1 < SERVICE_MAX_ARGS; i++)
        v->argv[i] = xstrdup(plan->argv[i]);
    v->plan.name = v->name;
    v->plan.argv = (const char *const *)v->argv;
    service_launch(s, v);
    return v;
}

void services_turn(struct services *s, unsigned timeout_ms) {
    turn(s, lab_now_ms() + timeout_ms);
}

void services_wait(struct services *s) {
    while (s->request == REQUEST_NONE)
        turn(s, UINT64_MAX);
}

void services_stop(struct services *s) {
    s->stopping = true;
    for (unsigned i = s->n; i-- > 0;) {
        struct service *v = &s->items[i];
        if (v->pid == 0)
            continue;
        uint64_t end = lab_now_ms() + v->plan.stop_ms;
        kill(v->pid, v->plan.stop_signal ? v->plan.stop_signal : SIGTERM);
        while (v->pid != 0 && lab_now_ms() < end)
            turn(s, end);
        if (v->pid != 0) {
            lab_say("service '%s' did not end within %u s, it is killed", v->name, v->plan.stop_ms / 1000);
            kill(-v->pid, SIGKILL);
            while (v->pid != 0)
                turn(s, lab_now_ms() + 1000);
        }
    }
    /* What services left behind (their children live in sessions of their own). */
    uint64_t end = lab_now_ms() + LEFTOVER_STOP_MS;
    if (kill(-1, SIGTERM) == 0) {
        while (lab_now_ms() < end && kill(-1, 0) == 0)
            turn(s, MIN(end, lab_now_ms() + 50));
        kill(-1, SIGKILL);
    }
}
