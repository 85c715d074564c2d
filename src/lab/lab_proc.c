/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/lab_proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/str.h"
#include "lab/lab_ns.h"
#include "loop/child.h"

#define TOOL_TIMEOUT_MS 60000
#define TOOL_MAX_OUTPUT (4 * 1024 * 1024)
#define MAX_ENVIRON (2 * 1024 * 1024)

struct proc_id proc_of(pid_t pid) {
    struct proc_id p = {.pid = pid};
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fs_read(path, 4096, &text) < 0)
        return p;
    /* The name in parentheses may hold anything: count fields behind the last one. The start time is field 22. */
    const char *c = strrchr(buf_str(&text), ')');
    for (int field = 2; c && field < 22; field++) {
        c = strchr(c, ' ');
        c = c ? c + 1 : NULL;
    }
    if (c)
        p.start = strtoull(c, NULL, 10);
    return p;
}

struct proc_id proc_self(void) {
    return proc_of(getpid());
}

int proc_open(const struct proc_id *p) {
    if (p->pid <= 1 || p->start == 0)
        return -ESRCH;
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (fd < 0)
        return -errno;
    struct proc_id now = proc_of(p->pid);
    if (now.start == p->start)
        return fd;
    close(fd);
    return -ESRCH;
}

bool proc_alive(const struct proc_id *p) {
    _cleanup_close_ int fd = proc_open(p);
    return fd >= 0 && !proc_wait_gone(fd, 0);
}

int proc_kill(const struct proc_id *p, int signo) {
    _cleanup_close_ int fd = proc_open(p);
    if (fd < 0)
        return fd;
    return syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0 ? -errno : 0;
}

bool proc_wait_gone(int pidfd, int timeout_ms) {
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    uint64_t end = lab_now_ms() + (uint64_t)timeout_ms;
    for (;;) {
        uint64_t now = lab_now_ms();
        int n = poll(&p, 1, now < end ? (int)(end - now) : 0);
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

bool lab_run(const char *netns, const char *const argv[], const char *input, struct buf *ret_out, struct error **errp) {
    struct child_result result = {0};
    _cleanup_close_ int home = -1;
    if (netns) {
        home = netns_enter(netns, errp);
        if (home < 0)
            return false;
    }
    int r = child_run_sync(argv, input, TOOL_TIMEOUT_MS, TOOL_MAX_OUTPUT, &result);
    if (home >= 0)
        netns_return(home);
    bool ok = r == 0 && result.exit_code == 0 && !result.timed_out;
    if (ok) {
        if (ret_out)
            buf_add(ret_out, buf_str(&result.out), result.out.size);
    } else {
        _cleanup_buf_ struct buf command = BUF_INIT;
        for (size_t i = 0; argv[i] && i < 12; i++)
            buf_addf(&command, "%s%s", i > 0 ? " " : "", argv[i]);
        if (r < 0 || result.start_error == ENOENT) {
            error_setf(errp, LAB_ERROR, "Cannot run '%s': %s. Is its Debian package installed? (tools/install-deps)",
                       argv[0], strerror(r < 0 ? -r : result.start_error));
        } else {
            while (result.err.size > 0 && isspace((unsigned char)result.err.data[result.err.size - 1]))
                result.err.data[--result.err.size] = '\0';
            error_setf(errp, LAB_ERROR, "'%s' %s: %s", buf_str(&command),
                       result.timed_out ? "did not end in time" : "failed", buf_str(&result.err));
        }
    }
    child_result_done(&result);
    return ok;
}

static bool environ_has_mark(pid_t pid, const char *mark) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    if (fs_read(path, MAX_ENVIRON, &text) < 0)
        return false;
    for (size_t at = 0; at < text.size; at += strlen(text.data + at) + 1) {
        if (str_eq(text.data + at, mark))
            return true;
    }
    return false;
}

static bool in_netns(pid_t pid, const uint64_t *inodes, size_t n) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    if (stat(path, &st) < 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (inodes[i] == st.st_ino)
            return true;
    }
    return false;
}

size_t proc_find_members(const char *dir, const uint64_t *netns_inodes, size_t n, struct proc_id *ret, size_t max) {
    _cleanup_free_ char *mark = strf("%s=%s", LAB_MARK, dir);
    size_t found = 0;
    DIR *d = opendir("/proc");
    if (!d)
        return 0;
    struct dirent *e;
    while (found < max && (e = readdir(d))) {
        int64_t pid;
        if (!str_parse_int(e->d_name, 2, INT32_MAX, &pid) || pid == getpid())
            continue;
        struct proc_id p = proc_of((pid_t)pid); /* before the look, so that a number used again cannot slip in */
        if (in_netns(p.pid, netns_inodes, n) || environ_has_mark(p.pid, mark))
            ret[found++] = p;
    }
    closedir(d);
    return found;
}
