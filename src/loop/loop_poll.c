/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_poll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define BATCH 64

struct poll_set {
    unsigned n_refs;
    int fd;
    struct epoll_event batch[BATCH]; /* being served: [next, n) */
    int n, next;
};

struct poll_set *poll_set_new(void) {
    struct poll_set *set = xnew0(struct poll_set);
    set->n_refs = 1;
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->fd < 0) {
        (void)fprintf(stderr, "loop: epoll: %s\n", strerror(errno));
        abort();
    }
    return set;
}

void poll_set_unref(struct poll_set *set) {
    if (--set->n_refs > 0)
        return;
    close(set->fd);
    free(set);
}

int poll_set_fd(const struct poll_set *set) {
    return set->fd;
}

static int control(struct poll_entry *e, int op) {
    struct epoll_event event = {
        .data.ptr = e, .events = (e->events & LOOP_READ ? EPOLLIN : 0u) | (e->events & LOOP_WRITE ? EPOLLOUT : 0u)};
    return epoll_ctl(e->set->fd, op, e->fd, &event) < 0 ? -errno : 0;
}

static void serve(struct poll_entry *e, uint32_t got) {
    unsigned events = (got & EPOLLIN ? LOOP_READ : 0u) | (got & EPOLLOUT ? LOOP_WRITE : 0u);
    events &= e->events; /* an earlier callback of this turn may have changed what is asked for */
    if (got & (EPOLLHUP | EPOLLERR))
        events |= LOOP_HANGUP;
    if (events == 0)
        return;
    if (e->events == 0) {
        /* The kernel repeats a hangup for ever. One who wants no events now hears of it once, instead of spinning. */
        (void)control(e, EPOLL_CTL_DEL);
        e->silenced = true;
    }
    e->fn(e, events);
}

void poll_set_dispatch(struct poll_set *set, const bool *stop) {
    set->n = epoll_wait(set->fd, set->batch, BATCH, 0);
    set->next = 0;
    set->n_refs++; /* a callback may free the loop */
    while (set->next < set->n && !*stop) {
        struct epoll_event *event = &set->batch[set->next++];
        if (event->data.ptr)
            serve(event->data.ptr, event->events);
    }
    set->n = set->next = 0;
    poll_set_unref(set);
}

int poll_entry_add(struct poll_entry *e, struct poll_set *set, int fd, unsigned events, poll_entry_fn *fn) {
    *e = (struct poll_entry){.set = set, .fd = fd, .events = events, .fn = fn};
    int r = control(e, EPOLL_CTL_ADD);
    if (r == 0)
        set->n_refs++;
    return r;
}

void poll_entry_set_events(struct poll_entry *e, unsigned events) {
    e->events = events;
    int r = control(e, e->silenced ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    e->silenced = false;
    if (r < 0) {
        (void)fprintf(stderr, "loop: set events of descriptor %d: %s\n", e->fd, strerror(-r));
        abort(); /* closed before its source was freed: a mistake of the owner */
    }
}

void poll_entry_remove(struct poll_entry *e) {
    struct poll_set *set = e->set;
    if (!e->silenced)
        (void)control(e, EPOLL_CTL_DEL);
    for (int i = set->next; i < set->n; i++)
        if (set->batch[i].data.ptr == e)
            set->batch[i].data.ptr = NULL;
    poll_set_unref(set);
}
