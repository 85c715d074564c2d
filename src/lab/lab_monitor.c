/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_disk.h"
#include "lab/lab_init_spawn.h"
#include "lab/lab_net.h"
#include "lab/lab_node_state.h"

#define MAX_WAITERS 16
#define ARRAY_DISK_MIB 4096   /* sparse; "storage full" fills it, so it is not larger */
#define STOP_TIMEOUT_MS 90000 /* an init that does not stop in order is cut after this */
#define BOOT_TIMEOUT_MS 180000
#define MAX_CRASHES 3 /* starts in a row that end before the node is up */

enum goal { GOAL_OFF, GOAL_ON };

struct waiter {
    int fd;
    enum goal goal;
    unsigned boots; /* for GOAL_ON: satisfied by a start later than this */
};

struct monitor {
    struct lab *lab;
    struct node node;
    struct disk disk;
    struct node_state state;
    enum goal goal; /* what to do when the init is gone */
    int init_pidfd; /* -1: off */
    int status_fd;  /* lines from the init; -1: none */
    int listen_fd;
    int signal_fd;
    struct buf status; /* an incomplete line */
    uint64_t boot_start_ms;
    uint64_t deadline_ms; /* of the boot or stop under way; 0: none */
    unsigned crashes;
    struct waiter waiters[MAX_WAITERS];
    unsigned n_waiters;
    bool quit;
};

static void state_set(struct monitor *m, enum power power, const char *stage) {
    m->state.power = power;
    str_copy(m->state.stage, sizeof(m->state.stage), stage);
    lab_say("%s: %s: %s", m->node.name, power_name(power), m->state.stage);
    int r = node_state_save(m->lab, m->node.name, &m->state);
    if (r < 0)
        lab_say("%s: cannot record its state: %s", m->node.name, strerror(-r));
}

static void answer(int fd, const char *text) {
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

/* Tells everybody who waits for what has come about, and everybody who can no longer get it. */
static void waiters_tell(struct monitor *m) {
    unsigned kept = 0;
    for (unsigned i = 0; i < m->n_waiters; i++) {
        struct waiter *w = &m->waiters[i];
        bool on = m->state.power == POWER_ON && m->state.boots > w->boots;
        bool off = m->state.power == POWER_OFF;
        if (w->goal == GOAL_ON ? on : off) {
            answer(w->fd, "ok");
        } else if (w->goal == GOAL_ON && off && m->goal == GOAL_OFF) {
            _cleanup_free_ char *text = strf("error %s", m->state.stage);
            answer(w->fd, text);
        } else {
            m->waiters[kept++] = *w;
        }
    }
    m->n_waiters = kept;
}

/* ---- power on ---- */

static void power_on(struct monitor *m) {
    _cleanup_error_ struct error *err = NULL;
    struct init_handle started;
    m->goal = GOAL_ON;
    m->boot_start_ms = lab_now_ms();
    m->deadline_ms = m->boot_start_ms + BOOT_TIMEOUT_MS;
    m->state.boots++;
    buf_clear(&m->status);
    bool ok = true;
    if (m->node.kind == NODE_HOST || m->node.kind == NODE_ARRAY) {
        _cleanup_free_ char *image = lab_path(m->lab, "disk/%s.img", m->node.name);
        if (!fs_exists(image))
            ok = disk_create(image, m->node.kind == NODE_HOST ? m->lab->topo.disk_mib : ARRAY_DISK_MIB, &err);
        ok = ok && disk_attach(&m->disk, image, &err);
    }
    ok = ok && init_spawn(m->lab, m->node.name, m->disk.device, &started, &err);
    if (ok) {
        m->init_pidfd = started.pidfd;
        m->status_fd = started.status_fd;
        m->state.init = started.id;
        state_set(m, POWER_BOOTING, "starting");
        return;
    }
    m->goal = GOAL_OFF;
    m->deadline_ms = 0;
    _cleanup_error_ struct error *ignored = NULL;
    disk_detach(&m->disk, &ignored);
    state_set(m, POWER_OFF, error_param(err, 0));
    waiters_tell(m);
}

/* ---- power off ---- */

static void init_signal(struct monitor *m, int signo) {
    if (m->init_pidfd >= 0)
        syscall(SYS_pidfd_send_signal, m->init_pidfd, signo, NULL, 0);
}

static void power_cut(struct monitor *m) {
    if (m->disk.mount_fd >= 0) {
        int r = disk_cut(&m->disk);
        if (r < 0)
            lab_say("%s: the disk could not be cut: %s", m->node.name, strerror(-r));
    }
    init_signal(m, SIGKILL);
}

/* A host's configuration may have changed (a NIC was added) since we started. */
static void lab_refresh(struct monitor *m) {
    _cleanup_error_ struct error *err = NULL;
    struct lab *fresh = lab_open(m->lab->dir, /* lock= */ false, &err);
    struct node node;
    if (fresh && lab_node(fresh, m->node.name, &node, &err)) {
        lab_free(m->lab);
        m->lab = fresh;
        m->node = node;
        return;
    }
    lab_free(fresh);
}

/* The init is gone: leave the node as a machine without power, then start it again when that is what is wanted. */
static void init_gone(struct monitor *m, int wait_status) {
    _cleanup_error_ struct error *err = NULL;
    bool was_booting = m->state.power == POWER_BOOTING;
    close(m->init_pidfd);
    m->init_pidfd = -1;
    cleanup_closep(&m->status_fd);
    m->status_fd = -1;
    m->deadline_ms = 0;
    lab_refresh(m);
    bool ok = disk_detach(&m->disk, &err);
    if (m->node.kind == NODE_HOST)
        ok = net_power_cycle(m->lab, m->node.host, &err) && ok;
    else if (m->node.kind == NODE_SWITCH)
        net_switch_dark(m->lab, m->node.sw);
    if (!ok)
        lab_say("%s: %s", m->node.name, error_param(err, 0));
    /* reboot(2) inside a PID namespace ends its PID 1 with SIGHUP for a restart and SIGINT for a halt. */
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGHUP)
        m->goal = GOAL_ON;
    else if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGINT)
        m->goal = GOAL_OFF;
    else if (m->state.power == POWER_ON || m->state.power == POWER_BOOTING)
        m->goal = GOAL_OFF; /* killed by someone else: as a machine that lost its power */
    m->crashes = was_booting ? m->crashes + 1 : 0;
    if (m->crashes >= MAX_CRASHES)
        m->goal = GOAL_OFF;
    state_set(m, POWER_OFF, m->goal == GOAL_ON ? "restarting" : was_booting ? "its start failed, see its log" : "off");
    if (m->goal == GOAL_ON && !m->quit)
        power_on(m);
    waiters_tell(m);
}

/* ---- what the init says ---- */

static void status_line(struct monitor *m, const char *line) {
    if (str_eq(line, "up")) {
        m->state.boot_ms = (unsigned)(lab_now_ms() - m->boot_start_ms);
        m->deadline_ms = 0;
        m->crashes = 0;
        state_set(m, POWER_ON, "up");
        waiters_tell(m);
    } else if (str_eq(line, "reboot")) {
        m->goal = GOAL_ON;
        m->deadline_ms = lab_now_ms() + STOP_TIMEOUT_MS;
        state_set(m, POWER_STOPPING, "restarting");
    } else if (str_eq(line, "poweroff")) {
        m->goal = GOAL_OFF;
        m->deadline_ms = lab_now_ms() + STOP_TIMEOUT_MS;
        state_set(m, POWER_STOPPING, "switching off");
    } else {
        state_set(m, m->state.power, line);
    }
}

static void status_read(struct monitor *m) {
    char part[512];
    ssize_t n = read(m->status_fd, part, sizeof(part));
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close(m->status_fd);
        m->status_fd = -1;
        return;
    }
    buf_add(&m->status, part, (size_t)n);
    char *end;
    while (m->status.size > 0 && (end = strchr(m->status.data, '\n'))) {
        *end = '\0';
        _cleanup_free_ char *line = xstrdup(m->status.data);
        buf_consume(&m->status, strlen(line) + 1);
        status_line(m, line);
    }
    if (m->status.size > 1024)
        buf_clear(&m->status);
}

/* ---- requests ---- */

static void wait_for(struct monitor *m, int fd, enum goal goal, unsigned boots) {
    if (m->n_waiters >= MAX_WAITERS) {
        answer(fd, "error too many requests at once");
        return;
    }
    m->waiters[m->n_waiters++] = (struct waiter){.fd = fd, .goal = goal, .boots = boots};
    waiters_tell(m);
}

static void request(struct monitor *m, int fd, const char *text) {
    bool off = m->state.power == POWER_OFF;
    if (str_eq(text, "power-on")) {
        if (m->state.power == POWER_STOPPING)
            m->goal = GOAL_ON;
        unsigned boots =
            m->state.power == POWER_ON || m->state.power == POWER_BOOTING ? m->state.boots - 1 : m->state.boots;
        m->crashes = 0;
        if (off)
            power_on(m);
        wait_for(m, fd, GOAL_ON, boots);
    } else if (str_eq(text, "power-off")) {
        m->goal = GOAL_OFF;
        init_signal(m, SIGTERM);
        if (!off)
            m->deadline_ms = lab_now_ms() + STOP_TIMEOUT_MS;
        wait_for(m, fd, GOAL_OFF, 0);
    } else if (str_eq(text, "power-cut")) {
        m->goal = GOAL_OFF;
        if (!off) {
            state_set(m, POWER_STOPPING, "power cut");
            power_cut(m);
        }
        wait_for(m, fd, GOAL_OFF, 0);
    } else if (str_eq(text, "reboot")) {
        if (off) {
            answer(fd, "error it is off, switch it on with power-on");
            return;
        }
        m->goal = GOAL_ON;
        init_signal(m, SIGUSR1);
        m->deadline_ms = lab_now_ms() + STOP_TIMEOUT_MS;
        wait_for(m, fd, GOAL_ON, m->state.boots);
    } else {
        answer(fd, "error unknown request");
    }
}

static void request_accept(struct monitor *m) {
    int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    char text[64];
    struct timeval patience = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    if (n <= 0) {
        close(fd);
        return;
    }
    text[n] = '\0';
    request(m, fd, text);
}

static void reap(struct monitor *m) {
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            m->quit = true;
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (m->init_pidfd >= 0 && pid == m->state.init.pid)
            init_gone(m, status);
    }
}

static void monitor_run(struct monitor *m) {
    while (!m->quit) {
        struct pollfd p[] = {{.fd = m->listen_fd, .events = POLLIN},
                             {.fd = m->signal_fd, .events = POLLIN},
                             {.fd = m->status_fd, .events = POLLIN}};
        uint64_t now = lab_now_ms();
        int timeout = m->deadline_ms == 0 ? -1 : m->deadline_ms > now ? (int)(m->deadline_ms - now) : 0;
        if (poll(p, ARRAY_SIZE(p), timeout) < 0 && errno != EINTR)
            break;
        if (m->deadline_ms != 0 && lab_now_ms() >= m->deadline_ms) {
            m->deadline_ms = 0;
            lab_say("%s: it did not finish '%s' in time, its power is cut", m->node.name, m->state.stage);
            power_cut(m);
        }
        /* The last lines of an init matter before its end does. */
        if (p[2].revents && m->status_fd >= 0)
            status_read(m);
        if (p[1].revents)
            reap(m);
        if (p[0].revents)
            request_accept(m);
    }
}

static int listen_at(const struct lab *lab, const char *node) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int dir = -1;
    _cleanup_free_ char *path = lab_path(lab, "run/%s.sock", node);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || !node_socket_address(lab, node, &a, &dir) || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(fd, 16) < 0) {
        int r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    return fd;
}

int monitor_main(const char *dir, const char *name) {
    _cleanup_error_ struct error *err = NULL;
    struct monitor m = {.disk = DISK_INIT, .init_pidfd = -1, .status_fd = -1, .listen_fd = -1, .status = BUF_INIT};
    m.lab = lab_open(dir, /* lock= */ false, &err);
    if (!m.lab || !lab_node(m.lab, name, &m.node, &err)) {
        fprintf(stderr, "muster-lab: %s\n", error_param(err, 0));
        lab_free(m.lab);
        return 1;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    m.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    m.listen_fd = listen_at(m.lab, name);
    if (m.signal_fd < 0 || m.listen_fd < 0) {
        fprintf(stderr, "muster-lab: %s: cannot listen: %s\n", name, strerror(m.listen_fd < 0 ? -m.listen_fd : errno));
        lab_free(m.lab);
        return 1;
    }
    /* The power control before us was killed, and its node with it: what a power cut leaves behind goes now. */
    struct node_state before;
    _cleanup_error_ struct error *none = NULL, *trouble = NULL;
    if (node_state_load(m.lab, name, &before, &none)) {
        m.state.boots = before.boots;
        if (m.node.kind == NODE_HOST && !net_power_cycle(m.lab, m.node.host, &trouble))
            lab_say("%s: %s", name, error_param(trouble, 0));
        else if (m.node.kind == NODE_SWITCH)
            net_switch_dark(m.lab, m.node.sw);
    }
    m.state.monitor = proc_self();
    state_set(&m, POWER_OFF, "off");
    printf("ready\n"); /* our starter waits for this line */
    fflush(stdout);
    (void)!freopen("/dev/null", "w", stdout);
    monitor_run(&m);
    if (m.init_pidfd >= 0)
        power_cut(&m);
    for (unsigned i = 0; i < m.n_waiters; i++)
        answer(m.waiters[i].fd, "error the lab is being removed");
    buf_done(&m.status);
    lab_free(m.lab);
    return 0;
}
