/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/child.h"
#include "base/fs.h"
#include "base/str.h"
#include "loop/loop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

struct process {
    pid_t pid;
    int out_fd; /* our ends of the pipes, non-blocking; -1 when closed */
    int err_fd;
};

struct child {
    struct loop_hook hook; /* when the loop goes first */
    struct loop *loop;
    struct process process;
    struct loop_source *exit_source, *out_source, *err_source, *timer;
    size_t max_output;
    struct child_result result;
    child_done_fn *fn; /* NULL once cancelled */
    void *userdata;
    bool deferred; /* could not be started; a deferred call will tell */
};

static int write_all(int fd, const char *data) {
    for (size_t size = strlen(data); size > 0;) {
        ssize_t n = write(fd, data, size);
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The input as an unnamed file: no pipe that must be fed while the program runs. */
static int input_open(const char *input) {
    int fd = input ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = input ? write_all(fd, input) : 0;
    if (r == 0 && input && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

/* argv[0] is looked up in PATH. A process group of its own, so that the deadline reaches its children too; default
 * signals, because the daemon blocks and ignores some. */
static int spawn(pid_t *ret_pid, const char *const argv[], int in, int out, int err, int data) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attr) != 0)
        abort();
    int r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (r == 0 && data >= 0)
        r = posix_spawn_file_actions_adddup2(&actions, data, CHILD_DATA_FD);
    (void)posix_spawnattr_setpgroup(&attr, 0);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawnp(ret_pid, argv[0], &actions, &attr, (char *const *)argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* Becomes the program, in a process that was forked just now: nothing here takes a lock. */
static _Noreturn void become(pid_t parent, const char *const argv[], const int fds[3], int said) {
    sigset_t none;
    int r = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? errno : 0;
    if (getppid() != parent) /* it went before that was said */
        _exit(127);
    for (int i = 0; i < 3 && r == 0; i++)
        r = dup2(fds[i], i) < 0 ? errno : 0;
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (r == 0) {
        (void)execvp(argv[0], (char *const *)argv);
        r = errno;
    }
    ssize_t n _unused_ = write(said, &r, sizeof(r));
    _exit(127);
}

/* The same as spawn, in our own group, and it ends when the thread that has started it does. */
static int spawn_bound(pid_t *ret_pid, const char *const argv[], int in, int out, int err) {
    const int fds[] = {in, out, err};
    int said[2], r = 0;
    pid_t parent = getpid();
    if (pipe2(said, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        become(parent, argv, fds, said[1]);
    if (pid < 0)
        r = errno;
    close(said[1]);
    ssize_t n = 0;
    while (pid > 0 && (n = read(said[0], &r, sizeof(r))) < 0 && errno == EINTR)
        ;
    close(said[0]);
    if (n > 0) { /* it is no such program */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    *ret_pid = pid;
    return -r;
}

static void process_close(struct process *p) {
    cleanup_closep(&p->out_fd);
    cleanup_closep(&p->err_fd);
    p->out_fd = p->err_fd = -1;
}

static int process_start(struct process *p, const char *const argv[], const char *input, int data, bool is_bound) {
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    *p = (struct process){.pid = -1, .out_fd = -1, .err_fd = -1};
    _cleanup_close_ int in = input_open(input);
    if (in < 0)
        return in;
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(err, O_CLOEXEC) < 0) {
        int r = -errno;
        close(out[0]);
        close(out[1]);
        return r;
    }
    p->out_fd = out[0];
    p->err_fd = err[0];
    int r = is_bound ? spawn_bound(&p->pid, argv, in, out[1], err[1]) : spawn(&p->pid, argv, in, out[1], err[1], data);
    close(out[1]);
    close(err[1]);
    /* Only our ends: the flag belongs to the open file, and the program expects to block. */
    if (r == 0 && (fcntl(p->out_fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(p->err_fd, F_SETFL, O_NONBLOCK) < 0))
        abort(); /* a fresh pipe takes this flag */
    if (r < 0)
        process_close(p);
    return r;
}

static void process_kill(const struct process *p) {
    if (kill(-p->pid, SIGKILL) < 0) /* the whole group */
        (void)kill(p->pid, SIGKILL);
}

/* Reads what is there. False at the end of the stream. */
static bool drain(int fd, struct buf *b, size_t max_output, bool *truncated) {
    char chunk[4096];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        size_t kept = MIN((size_t)n, max_output - b->size);
        buf_add(b, chunk, kept);
        *truncated = *truncated || kept < (size_t)n;
    }
}

static int exit_code(int wait_status) {
    return WIFEXITED(wait_status)     ? WEXITSTATUS(wait_status)
           : WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                      : -1;
}

void child_result_done(struct child_result *r) {
    buf_done(&r->out);
    buf_done(&r->err);
}

static void child_free(struct child *c) {
    loop_hook_remove(c->loop, &c->hook);
    loop_source_free(c->exit_source);
    loop_source_free(c->out_source);
    loop_source_free(c->err_source);
    loop_source_free(c->timer);
    process_close(&c->process);
    child_result_done(&c->result);
    free(c);
}

static void on_output(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct child *c = userdata;
    bool is_out = s == c->out_source;
    if (drain(fd, is_out ? &c->result.out : &c->result.err, c->max_output, &c->result.truncated))
        return;
    loop_source_free(is_out ? TAKE(c->out_source) : TAKE(c->err_source));
}

static void on_exit_of_child(struct loop_source *s, int pid, int wait_status, void *userdata) {
    struct child *c = userdata;
    c->result.exit_code = exit_code(wait_status);
    /* Not to the end of the streams: a daemon that the program left behind may hold them open for ever. */
    (void)drain(c->process.out_fd, &c->result.out, c->max_output, &c->result.truncated);
    (void)drain(c->process.err_fd, &c->result.err, c->max_output, &c->result.truncated);
    if (c->fn)
        c->fn(&c->result, c->userdata);
    child_free(c);
}

static void on_deadline(struct loop_source *s, void *userdata) {
    struct child *c = userdata;
    c->result.timed_out = true;
    process_kill(&c->process);
}

static void on_not_started(void *userdata) {
    struct child *c = userdata;
    if (c->fn)
        c->fn(&c->result, c->userdata);
    child_free(c);
}

static void on_loop_free(struct loop_hook *h) {
    struct child *c = container_of(h, struct child, hook);
    if (c->process.pid > 0)
        process_kill(&c->process);
    child_free(c);
}

struct child *child_run(struct loop *l, const char *const argv[], const char *input, uint64_t timeout_ms,
                        size_t max_output, child_done_fn *fn, void *userdata) {
    return child_run_with_data(l, argv, input, /* data_fd= */ -1, timeout_ms, max_output, fn, userdata);
}

struct child *child_run_with_data(struct loop *l, const char *const argv[], const char *input, int data_fd,
                                  uint64_t timeout_ms, size_t max_output, child_done_fn *fn, void *userdata) {
    struct child *c = xnew0(struct child);
    *c = (struct child){.loop = l, .max_output = max_output, .fn = fn, .userdata = userdata};
    c->hook.fn = on_loop_free;
    loop_hook_add(l, &c->hook);
    int r = process_start(&c->process, argv, input, data_fd, /* is_bound= */ false);
    if (r < 0) {
        c->result.exit_code = -1;
        c->result.start_error = -r;
        c->deferred = true;
        loop_defer(l, on_not_started, c);
        return c;
    }
    c->exit_source = loop_add_child(l, c->process.pid, on_exit_of_child, c);
    c->out_source = loop_add_fd(l, c->process.out_fd, LOOP_READ, on_output, c);
    c->err_source = loop_add_fd(l, c->process.err_fd, LOOP_READ, on_output, c);
    if (!c->exit_source || !c->out_source || !c->err_source)
        abort();
    c->timer = loop_add_timer(l, timeout_ms, on_deadline, c);
    return c;
}

void child_cancel(struct child *c) {
    if (!c)
        return;
    c->fn = NULL; /* the rest is freed when it has been reaped */
    if (!c->deferred)
        process_kill(&c->process);
}

uint64_t child_ticks(const struct child *c) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *path = strf("/proc/%d/stat", (int)c->process.pid);
    _cleanup_strv_ struct strv words = {0};
    int64_t user, system;
    if (c->process.pid <= 0 || fs_read(path, 4096, &text) < 0)
        return 0;
    const char *after = strrchr(buf_str(&text), ')'); /* of its name, which may have blanks */
    if (!after)
        return 0;
    strv_split(&words, after + 1, ' '); /* "", state (3), ... utime (14), stime (15); proc(5) */
    return words.n > 13 && str_parse_int(words.items[12], 0, INT64_MAX / 2, &user) &&
                   str_parse_int(words.items[13], 0, INT64_MAX / 2, &system)
               ? (uint64_t)(user + system)
               : 0;
}

static int64_t now_ms(void) {
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until the program has ended, or the deadline has killed it. */
static void wait_sync(struct process *p, int64_t deadline_ms, size_t max_output, struct child_result *r) {
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    struct pollfd fds[] = {
        {.fd = pidfd, .events = POLLIN}, {.fd = p->out_fd, .events = POLLIN}, {.fd = p->err_fd, .events = POLLIN}};
    if (pidfd < 0)
        abort();
    while (!(fds[0].revents & POLLIN)) {
        int64_t left = deadline_ms - now_ms();
        if (left <= 0 && !r->timed_out) {
            r->timed_out = true;
            process_kill(p);
        }
        int timeout = r->timed_out ? -1 : (int)MIN(left, (int64_t)INT32_MAX);
        if (poll(fds, ARRAY_SIZE(fds), timeout) < 0)
            continue;
        if (fds[1].revents && !drain(p->out_fd, &r->out, max_output, &r->truncated))
            fds[1].fd = -1;
        if (fds[2].revents && !drain(p->err_fd, &r->err, max_output, &r->truncated))
            fds[2].fd = -1;
    }
    (void)drain(p->out_fd, &r->out, max_output, &r->truncated);
    (void)drain(p->err_fd, &r->err, max_output, &r->truncated);
}

static int run_sync(const char *const argv[], const char *input, uint64_t timeout_ms, size_t max_output, bool is_bound,
                    struct child_result *ret) {
    struct process p;
    *ret = (struct child_result){0};
    int r = process_start(&p, argv, input, /* data= */ -1, is_bound);
    if (r < 0) {
        ret->exit_code = -1;
        ret->start_error = -r;
        return r;
    }
    int64_t start_ms = now_ms();
    int64_t deadline_ms = timeout_ms > (uint64_t)(INT64_MAX - start_ms) ? INT64_MAX : start_ms + (int64_t)timeout_ms;
    wait_sync(&p, deadline_ms, max_output, ret);
    int status = 0;
    while (waitpid(p.pid, &status, 0) < 0 && errno == EINTR)
        ;
    ret->exit_code = exit_code(status);
    process_close(&p);
    return 0;
}

int child_run_sync(const char *const argv[], const char *input, uint64_t timeout_ms, size_t max_output,
                   struct child_result *ret) {
    return run_sync(argv, input, timeout_ms, max_output, /* is_bound= */ false, ret);
}

int child_run_sync_bound(const char *const argv[], const char *input, uint64_t timeout_ms, size_t max_output,
                         struct child_result *ret) {
    return run_sync(argv, input, timeout_ms, max_output, /* is_bound= */ true, ret);
}
