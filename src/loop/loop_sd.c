/* SPDX-License-Identifier: Apache-2.0 */
/* The real loop, over sd-event(3). */
#include "loop/loop_impl.h"
#include "loop/loop_poll.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

#define TIMER_ACCURACY_US 1000

struct sd_loop {
    struct loop base;
    sd_event *event;
    bool quit;
    int quit_code;
    struct loop_calls deferred;
    sd_event_source *defer_source;
    pthread_mutex_t post_lock; /* guards `posted` alone */
    struct loop_calls posted;
    int post_fd;
    sd_event_source *post_source;
    struct poll_set *polls; /* the sources that are descriptors */
    sd_event_source *polls_source;
};

struct sd_source {
    struct loop_source base;
    sd_event_source *event_source; /* NULL for a descriptor */
    struct poll_entry poll;        /* descriptors */
    bool armed;
    int pid;
    int pidfd; /* -1 unless a child; owned */
};

static const struct loop_ops sd_ops;

/* What fails here fails for want of memory or descriptors at start, or by a mistake of ours. */
static void check(int r, const char *what) {
    if (r >= 0)
        return;
    (void)fprintf(stderr, "loop: %s: %s\n", what, strerror(-r));
    abort();
}

static struct sd_loop *sd_loop(struct loop *l) {
    return container_of(l, struct sd_loop, base);
}

static struct sd_source *sd_source(struct loop_source *s) {
    return container_of(s, struct sd_source, base);
}

static int on_defer(sd_event_source *es, void *userdata) {
    struct sd_loop *l = userdata;
    struct loop_calls calls = l->deferred;
    l->deferred = (struct loop_calls){0}; /* calls deferred from here on belong to the next turn */
    loop_calls_run(&calls);
    return 0;
}

static int on_post(sd_event_source *es, int fd, uint32_t revents, void *userdata) {
    struct sd_loop *l = userdata;
    uint64_t n;
    ssize_t got _unused_ = read(fd, &n, sizeof(n));
    (void)pthread_mutex_lock(&l->post_lock);
    struct loop_calls calls = l->posted;
    l->posted = (struct loop_calls){0};
    (void)pthread_mutex_unlock(&l->post_lock);
    loop_calls_run(&calls);
    return 0;
}

static int on_polls(sd_event_source *es, int fd, uint32_t revents, void *userdata) {
    struct sd_loop *l = userdata;
    static const bool never = false; /* a loop stepped on after its end serves as before */
    poll_set_dispatch(l->polls, l->quit ? &never : &l->quit);
    return 0;
}

struct loop *loop_new(void) {
    struct sd_loop *l = xnew0(struct sd_loop);
    l->base.ops = &sd_ops;
    l->base.owner = gettid();
    check(sd_event_new(&l->event), "new event loop");
    check(sd_event_add_defer(l->event, &l->defer_source, on_defer, l), "defer");
    check(sd_event_source_set_enabled(l->defer_source, SD_EVENT_OFF), "defer");
    (void)pthread_mutex_init(&l->post_lock, /* attr= */ NULL);
    l->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(l->post_fd < 0 ? -errno : 0, "eventfd");
    check(sd_event_add_io(l->event, &l->post_source, l->post_fd, EPOLLIN, on_post, l), "post");
    l->polls = poll_set_new();
    check(sd_event_add_io(l->event, &l->polls_source, poll_set_fd(l->polls), EPOLLIN, on_polls, l), "descriptors");
    return &l->base;
}

static void sd_free(struct loop *base) {
    struct sd_loop *l = sd_loop(base);
    sd_event_source_disable_unref(l->defer_source);
    sd_event_source_disable_unref(l->post_source);
    sd_event_source_disable_unref(l->polls_source);
    poll_set_unref(l->polls);
    sd_event_unref(l->event);
    close(l->post_fd);
    (void)pthread_mutex_destroy(&l->post_lock);
    free(l->deferred.items);
    free(l->posted.items);
    free(l);
}

static void turn(struct sd_loop *l, uint64_t timeout_us) {
    int r = sd_event_run(l->event, timeout_us);
    if (r != -EINTR)
        check(r, "run");
}

/* Not sd_event_loop(3): after its exit the loop could not be run again. */
static int sd_run(struct loop *base) {
    struct sd_loop *l = sd_loop(base);
    while (!l->quit)
        turn(l, UINT64_MAX);
    l->quit = false;
    return l->quit_code;
}

static void sd_step(struct loop *base, int timeout_ms) {
    turn(sd_loop(base), timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000);
}

static void sd_quit(struct loop *base, int code) {
    struct sd_loop *l = sd_loop(base);
    l->quit = true;
    l->quit_code = code;
}

static uint64_t clock_us(clockid_t clock) {
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t sd_now_ms(struct loop *base) {
    uint64_t us;
    check(sd_event_now(sd_loop(base)->event, CLOCK_MONOTONIC, &us), "now");
    return MAX(us / 1000, (uint64_t)1);
}

static uint64_t sd_now_us(struct loop *base) {
    return MAX(clock_us(CLOCK_MONOTONIC), (uint64_t)1);
}

static int64_t sd_wall_ms(struct loop *base) {
    return (int64_t)(clock_us(CLOCK_REALTIME) / 1000);
}

static uint64_t sd_random(struct loop *base) {
    uint64_t r;
    if (getrandom(&r, sizeof(r), 0) != sizeof(r))
        abort(); /* so few bytes are never cut short */
    return r;
}

static void on_fd(struct poll_entry *e, unsigned events) {
    struct sd_source *s = container_of(e, struct sd_source, poll);
    s->base.fn.fd(&s->base, e->fd, events, s->base.userdata);
}

static struct sd_source *source_new(void) {
    struct sd_source *s = xnew0(struct sd_source);
    s->pidfd = -1;
    return s;
}

static struct loop_source *sd_add_fd(struct loop *base, int fd, unsigned events) {
    struct sd_source *s = source_new();
    int r = poll_entry_add(&s->poll, sd_loop(base)->polls, fd, events, on_fd);
    if (r < 0) {
        free(s);
        errno = -r;
        return NULL;
    }
    return &s->base;
}

static void sd_fd_set_events(struct loop_source *base, unsigned events) {
    poll_entry_set_events(&sd_source(base)->poll, events);
}

static int on_timer(sd_event_source *es, uint64_t usec, void *userdata) {
    struct sd_source *s = userdata;
    s->armed = false; /* it is a one-shot source: sd-event has switched it off */
    s->base.fn.timer(&s->base, s->base.userdata);
    return 0;
}

static struct loop_source *sd_add_timer(struct loop *base) {
    struct sd_source *s = source_new();
    check(sd_event_add_time(sd_loop(base)->event, &s->event_source, CLOCK_MONOTONIC, UINT64_MAX, TIMER_ACCURACY_US,
                            on_timer, s),
          "add timer");
    check(sd_event_source_set_enabled(s->event_source, SD_EVENT_OFF), "add timer");
    return &s->base;
}

static void sd_timer_set(struct loop_source *base, uint64_t delay_ms) {
    struct sd_source *s = sd_source(base);
    uint64_t delay_us, due_us;
    s->armed = delay_ms != LOOP_NEVER;
    if (!s->armed) {
        check(sd_event_source_set_enabled(s->event_source, SD_EVENT_OFF), "disarm timer");
        return;
    }
    /* From the fresh time, not the turn's: a timer set late in a long turn must not be early. */
    if (__builtin_mul_overflow(delay_ms, 1000, &delay_us) ||
        __builtin_add_overflow(clock_us(CLOCK_MONOTONIC), delay_us, &due_us))
        due_us = UINT64_MAX - 1;
    check(sd_event_source_set_time(s->event_source, due_us), "arm timer");
    check(sd_event_source_set_enabled(s->event_source, SD_EVENT_ONESHOT), "arm timer");
}

static bool sd_timer_armed(const struct loop_source *base) {
    return container_of(base, const struct sd_source, base)->armed;
}

static int on_signal(sd_event_source *es, const struct signalfd_siginfo *si, void *userdata) {
    struct sd_source *s = userdata;
    s->base.fn.signal(&s->base, (int)si->ssi_signo, s->base.userdata);
    return 0;
}

static struct loop_source *sd_add_signal(struct loop *base, int signo) {
    struct sd_source *s = source_new();
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signo);
    check(-pthread_sigmask(SIG_BLOCK, &set, /* old= */ NULL), "block signal");
    check(sd_event_add_signal(sd_loop(base)->event, &s->event_source, signo, on_signal, s), "add signal");
    return &s->base;
}

/* A pidfd of our own and not sd_event_add_child(3), which would want SIGCHLD blocked in the whole process. */
static int on_child(sd_event_source *es, int fd, uint32_t revents, void *userdata) {
    struct sd_source *s = userdata;
    int status = 0;
    pid_t pid = waitpid(s->pid, &status, WNOHANG);
    if (pid == 0)
        return 0;
    (void)sd_event_source_set_enabled(es, SD_EVENT_OFF);
    s->base.fn.child(&s->base, s->pid, status, s->base.userdata);
    return 0;
}

static struct loop_source *sd_add_child(struct loop *base, int pid) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
    if (fd < 0)
        return NULL;
    struct sd_source *s = source_new();
    s->pid = pid;
    s->pidfd = fd;
    check(sd_event_add_io(sd_loop(base)->event, &s->event_source, fd, EPOLLIN, on_child, s), "add child");
    return &s->base;
}

static void sd_source_free(struct loop_source *base) {
    struct sd_source *s = sd_source(base);
    if (base->kind == LOOP_SOURCE_FD)
        poll_entry_remove(&s->poll);
    sd_event_source_disable_unref(s->event_source);
    if (s->pidfd >= 0)
        close(s->pidfd);
    free(s);
}

static void sd_defer(struct loop *base, loop_call_fn *fn, void *userdata) {
    struct sd_loop *l = sd_loop(base);
    loop_calls_add(&l->deferred, fn, userdata);
    check(sd_event_source_set_enabled(l->defer_source, SD_EVENT_ONESHOT), "defer");
}

static void sd_post(struct loop *base, loop_call_fn *fn, void *userdata) {
    struct sd_loop *l = sd_loop(base);
    (void)pthread_mutex_lock(&l->post_lock);
    bool first = l->posted.n == 0;
    loop_calls_add(&l->posted, fn, userdata);
    /* Under the lock: once the loop thread has seen the call it may end, and free the loop. */
    if (first) {
        uint64_t one = 1;
        ssize_t n _unused_ = write(l->post_fd, &one, sizeof(one));
    }
    (void)pthread_mutex_unlock(&l->post_lock);
}

static const struct loop_ops sd_ops = {
    .free = sd_free,
    .run = sd_run,
    .step = sd_step,
    .quit = sd_quit,
    .now_ms = sd_now_ms,
    .now_us = sd_now_us,
    .wall_ms = sd_wall_ms,
    .random = sd_random,
    .add_fd = sd_add_fd,
    .fd_set_events = sd_fd_set_events,
    .add_timer = sd_add_timer,
    .timer_set = sd_timer_set,
    .timer_armed = sd_timer_armed,
    .add_signal = sd_add_signal,
    .add_child = sd_add_child,
    .source_free = sd_source_free,
    .defer = sd_defer,
    .post = sd_post,
};
