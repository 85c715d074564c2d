/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/worker.h"
#include "base/str.h"
#include "loop/loop_impl.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

struct job {
    struct job *next;
    char *key; /* NULL: in no order with others */
    worker_run_fn *run;
    worker_done_fn *done;
    void *data;
};

struct job_list {
    struct job *first;
    struct job **end;
};

struct worker {
    struct loop *loop;
    bool simulated;
    int wake_fd; /* finished jobs are waiting */
    struct loop_source *wake_source;
    pthread_t *threads;
    unsigned n_threads;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct job_list waiting;
    struct job_list finished;
    const char **running_keys; /* one per thread; borrowed from its job */
    bool stopping;
};

struct thread_start {
    struct worker *worker;
    unsigned i;
};

static void list_add(struct job_list *list, struct job *job) {
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct job *list_take(struct job_list *list, struct job **at) {
    struct job *job = *at;
    if (!job)
        return NULL;
    *at = job->next;
    if (!*at)
        list->end = at;
    return job;
}

static void job_finish(struct job *job) {
    if (job->done)
        job->done(job->data);
    free(job->key);
    free(job);
}

static bool key_is_running(const struct worker *w, const char *key) {
    for (unsigned i = 0; i < w->n_threads; i++)
        if (w->running_keys[i] && str_eq(w->running_keys[i], key))
            return true;
    return false;
}

/* The first job whose key no thread works on. NULL: nothing to do now. */
static struct job *take_ready(struct worker *w) {
    struct job **at = &w->waiting.first;
    while (*at && (*at)->key && key_is_running(w, (*at)->key))
        at = &(*at)->next;
    return list_take(&w->waiting, at);
}

static void *thread_main(void *arg) {
    struct thread_start *start = arg;
    struct worker *w = start->worker;
    unsigned i = start->i;
    free(start);
    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        struct job *job = take_ready(w);
        if (!job) {
            if (w->stopping && !w->waiting.first)
                break;
            (void)pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        w->running_keys[i] = job->key;
        (void)pthread_mutex_unlock(&w->lock);
        job->run(job->data);
        (void)pthread_mutex_lock(&w->lock);
        w->running_keys[i] = NULL;
        list_add(&w->finished, job);
        (void)pthread_cond_broadcast(&w->changed); /* its key is free again */
        uint64_t one = 1;
        ssize_t n _unused_ = write(w->wake_fd, &one, sizeof(one));
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void run_finished(struct worker *w) {
    (void)pthread_mutex_lock(&w->lock);
    for (struct job *job; (job = list_take(&w->finished, &w->finished.first));) {
        (void)pthread_mutex_unlock(&w->lock);
        job_finish(job);
        (void)pthread_mutex_lock(&w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

static void on_wake(struct loop_source *s, int fd, unsigned events, void *userdata) {
    uint64_t n;
    ssize_t got _unused_ = read(fd, &n, sizeof(n));
    run_finished(userdata);
}

static void start_threads(struct worker *w) {
    /* Signals are for the loop thread. */
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned i = 0; i < w->n_threads; i++) {
        struct thread_start *start = xnew0(struct thread_start);
        *start = (struct thread_start){.worker = w, .i = i};
        if (pthread_create(&w->threads[i], /* attr= */ NULL, thread_main, start) != 0)
            abort();
        char name[16];
        (void)snprintf(name, sizeof(name), "worker-%u", i % 1000);
        (void)pthread_setname_np(w->threads[i], name);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, /* old= */ NULL);
}

struct worker *worker_new(struct loop *l, unsigned n_threads) {
    struct worker *w = xnew0(struct worker);
    w->loop = l;
    w->simulated = l->ops->simulated;
    w->wake_fd = -1;
    w->waiting.end = &w->waiting.first;
    w->finished.end = &w->finished.first;
    (void)pthread_mutex_init(&w->lock, /* attr= */ NULL);
    (void)pthread_cond_init(&w->changed, /* attr= */ NULL);
    if (w->simulated)
        return w;
    w->n_threads = MAX(n_threads, 1u);
    w->threads = xcalloc(w->n_threads, sizeof(*w->threads));
    w->running_keys = xcalloc(w->n_threads, sizeof(*w->running_keys));
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->wake_source = w->wake_fd < 0 ? NULL : loop_add_fd(l, w->wake_fd, LOOP_READ, on_wake, w);
    if (!w->wake_source)
        abort();
    start_threads(w);
    return w;
}

void worker_free(struct worker *w) {
    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n_threads; i++)
        (void)pthread_join(w->threads[i], /* retval= */ NULL);
    run_finished(w);
    loop_source_free(w->wake_source);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    free(w->threads);
    free(w->running_keys);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

/* In a simulation there are no threads: the job runs in a turn of its own. */
static void run_simulated(void *userdata) {
    struct job *job = userdata;
    job->run(job->data);
    job_finish(job);
}

void worker_submit(struct worker *w, const char *key, worker_run_fn *run, worker_done_fn *done, void *data) {
    struct job *job = xnew0(struct job);
    *job = (struct job){.run = run, .done = done, .data = data};
    if (w->simulated) {
        loop_defer(w->loop, run_simulated, job);
        return;
    }
    job->key = key ? xstrdup(key) : NULL;
    (void)pthread_mutex_lock(&w->lock);
    if (w->stopping) {
        /* From a `done` that worker_free called: the daemon is ending, nothing new begins. */
        (void)pthread_mutex_unlock(&w->lock);
        free(job->key);
        free(job);
        return;
    }
    list_add(&w->waiting, job);
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}
