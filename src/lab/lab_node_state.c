/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of lab_monitor.c: reading what it wrote down, starting it, asking it. */
#include "lab/lab_node_state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/str.h"

static const char *const power_names[] = {"off", "booting", "on", "stopping"};

const char *power_name(enum power p) {
    return power_names[p];
}

bool node_socket_address(const struct lab *lab, const char *node, struct sockaddr_un *ret, int *ret_dir) {
    _cleanup_free_ char *run = lab_path(lab, "run");
    int dir = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return false;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%.40s.sock", dir, node);
    *ret_dir = dir;
    return true;
}

static json_t *proc_pack(const struct proc_id *p) {
    return json_pack("{s:i, s:I}", "pid", (int)p->pid, "start", (json_int_t)p->start);
}

static struct proc_id proc_unpack(json_t *item) {
    return (struct proc_id){.pid = (pid_t)json_integer_value(json_object_get(item, "pid")),
                            .start = (uint64_t)json_integer_value(json_object_get(item, "start"))};
}

int node_state_save(const struct lab *lab, const char *node, const struct node_state *s) {
    _cleanup_free_ char *path = lab_path(lab, "run/%s.json", node);
    _cleanup_free_ char *temp = lab_path(lab, "run/%s.json.new", node);
    json_t *root = json_pack("{s:o, s:o, s:s, s:i, s:i, s:s%}", "monitor", proc_pack(&s->monitor), "init",
                             proc_pack(&s->init), "power", power_name(s->power), "boots", (int)s->boots, "boot_ms",
                             (int)s->boot_ms, "stage", s->stage, strlen(s->stage));
    if (!root)
        return -EINVAL;
    /* No fsync: this describes running processes and is worth nothing after the machine goes down. */
    int r = json_dump_file(root, temp, JSON_INDENT(1)) < 0 ? -EIO : 0;
    json_decref(root);
    if (r == 0 && rename(temp, path) < 0)
        r = -errno;
    return r;
}

bool node_state_load(const struct lab *lab, const char *node, struct node_state *ret, struct error **errp) {
    _cleanup_free_ char *path = lab_path(lab, "run/%s.json", node);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r = fs_read(path, 65536, &text);
    json_t *root = r >= 0 ? json_loadb(buf_str(&text), text.size, 0, NULL) : NULL;
    if (!root) {
        error_setf(errp, LAB_ERROR, "There is no power control for '%s'.", node);
        return false;
    }
    struct node_state s = {.monitor = proc_unpack(json_object_get(root, "monitor")),
                           .init = proc_unpack(json_object_get(root, "init")),
                           .boots = (unsigned)json_integer_value(json_object_get(root, "boots")),
                           .boot_ms = (unsigned)json_integer_value(json_object_get(root, "boot_ms"))};
    const char *power = json_string_value(json_object_get(root, "power"));
    const char *stage = json_string_value(json_object_get(root, "stage"));
    for (unsigned i = 0; power && i < ARRAY_SIZE(power_names); i++) {
        if (str_eq(power, power_names[i]))
            s.power = (enum power)i;
    }
    str_copy(s.stage, sizeof(s.stage), str_or_empty(stage));
    json_decref(root);
    if (!proc_alive(&s.monitor)) {
        s.power = POWER_OFF;
        str_copy(s.stage, sizeof(s.stage), "its power control was killed");
    }
    *ret = s;
    return true;
}

bool node_init(const struct lab *lab, const char *node, struct proc_id *ret, struct error **errp) {
    struct node_state s;
    if (!node_state_load(lab, node, &s, errp))
        return false;
    if (s.power == POWER_OFF || !proc_alive(&s.init)) {
        error_setf(errp, LAB_ERROR, "'%s' is off (%s). Switch it on with: muster-lab power-on %s", node, s.stage, node);
        return false;
    }
    *ret = s.init;
    return true;
}

bool monitor_start(const struct lab *lab, const char *node, struct error **errp) {
    _cleanup_free_ char *log = lab_path(lab, "log/%s.log", node);
    _cleanup_close_ int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int ready[2];
    if (log_fd < 0 || pipe2(ready, O_CLOEXEC) < 0) {
        error_setf(errp, LAB_ERROR, "Cannot open '%s': %s", log, strerror(errno));
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        /* Twice, so that it belongs to the machine's init and not to the verb that happened to start it. */
        setsid();
        if (fork() != 0)
            _exit(0);
        _cleanup_free_ char *mark = strf("%s=%s", LAB_MARK, lab->dir);
        int null = open("/dev/null", O_RDONLY);
        if (putenv(mark) != 0 || chdir("/") < 0 || dup2(null, 0) < 0 || dup2(ready[1], 1) < 0 || dup2(log_fd, 2) < 0)
            _exit(126);
        execl("/proc/self/exe", "muster-lab", "monitor", lab->dir, node, (char *)NULL);
        _exit(126);
    }
    close(ready[1]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    char line[16];
    ssize_t n = pid > 0 ? read(ready[0], line, sizeof(line)) : -1;
    close(ready[0]);
    if (n > 0)
        return true;
    error_setf(errp, LAB_ERROR, "The power control of '%s' did not start; see '%s'.", node, log);
    return false;
}

static int monitor_connect(const struct lab *lab, const char *node, const char *request) {
    struct sockaddr_un a;
    _cleanup_close_ int dir = -1;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || !node_socket_address(lab, node, &a, &dir) || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return -errno;
    return take_fd(&fd);
}

bool monitor_request(const struct lab *lab, const struct node *nodes, unsigned n, const char *request,
                     unsigned timeout_ms, struct error **errp) {
    struct pollfd p[LAB_MAX_NODES];
    _cleanup_buf_ struct buf problems = BUF_INIT;
    unsigned waiting = 0;
    uint64_t end = lab_now_ms() + timeout_ms;
    for (unsigned i = 0; i < n; i++) {
        p[i] = (struct pollfd){.fd = monitor_connect(lab, nodes[i].name, request), .events = POLLIN};
        if (p[i].fd >= 0)
            waiting++;
        else
            buf_addf(&problems, "%s: its power control does not answer (%s). ", nodes[i].name, strerror(-p[i].fd));
    }
    while (waiting > 0) {
        uint64_t now = lab_now_ms();
        int r = poll(p, n, now < end ? (int)(end - now) : 0);
        if (r < 0 && errno == EINTR) {
            buf_addf(&problems, "interrupted ");
            break;
        }
        if (r <= 0)
            break;
        for (unsigned i = 0; i < n; i++) {
            if (p[i].fd < 0 || !p[i].revents)
                continue;
            char text[256];
            ssize_t size = recv(p[i].fd, text, sizeof(text) - 1, 0);
            text[size > 0 ? size : 0] = '\0';
            if (!str_eq(text, "ok"))
                buf_addf(&problems, "%s: %s. ", nodes[i].name,
                         str_starts(text, "error ") ? text + 6 : "its power control went away");
            close(p[i].fd);
            p[i].fd = -1;
            waiting--;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (p[i].fd >= 0) {
            buf_addf(&problems, "%s: no answer to '%s' within %u s. ", nodes[i].name, request, timeout_ms / 1000);
            close(p[i].fd);
        }
    }
    if (problems.size == 0)
        return true;
    error_setf(errp, LAB_ERROR, "%s", buf_str(&problems));
    return false;
}
