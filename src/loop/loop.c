/* SPDX-License-Identifier: Apache-2.0 */
/* The public face of all loops: dispatches to the kind that made the loop or source. */
#include "loop/loop.h"
#include "loop/loop_impl.h"

#include <stdio.h>

void loop_free(struct loop *l) {
    if (!l)
        return;
    for (struct loop_hook *h; (h = l->hooks);) {
        l->hooks = h->next;
        h->fn(h);
    }
    l->ops->free(l);
}

int loop_run(struct loop *l) {
    if (!l->ops->simulated)
        l->owner = gettid();
    return l->ops->run(l);
}

void loop_step(struct loop *l, int timeout_ms) {
    l->ops->step(l, timeout_ms);
}

void loop_quit(struct loop *l, int code) {
    l->ops->quit(l, code);
}

void loop_assert_owner(const struct loop *l) {
    if (l->owner == 0 || l->owner == gettid())
        return;
    (void)fprintf(stderr, "loop: thread %d touched what belongs to thread %d\n", (int)gettid(), (int)l->owner);
    abort();
}

uint64_t loop_now_ms(struct loop *l) {
    return l->ops->now_ms(l);
}

uint64_t loop_now_us(struct loop *l) {
    return l->ops->now_us(l);
}

int64_t loop_wall_ms(struct loop *l) {
    return l->ops->wall_ms(l) + l->wall_offset_ms;
}

void loop_set_wall_offset_ms(struct loop *l, int64_t offset_ms) {
    l->wall_offset_ms = offset_ms;
}

uint64_t loop_random(struct loop *l) {
    return l->ops->random(l);
}

static struct loop_source *source_init(struct loop_source *s, const struct loop *l, enum loop_source_kind kind,
                                       void *userdata) {
    if (!s)
        return NULL;
    s->ops = l->ops;
    s->kind = kind;
    s->userdata = userdata;
    return s;
}

struct loop_source *loop_add_fd(struct loop *l, int fd, unsigned events, loop_fd_fn *fn, void *userdata) {
    struct loop_source *s = source_init(l->ops->add_fd(l, fd, events), l, LOOP_SOURCE_FD, userdata);
    if (s)
        s->fn.fd = fn;
    return s;
}

void loop_fd_set_events(struct loop_source *s, unsigned events) {
    s->ops->fd_set_events(s, events);
}

struct loop_source *loop_add_timer(struct loop *l, uint64_t delay_ms, loop_timer_fn *fn, void *userdata) {
    struct loop_source *s = source_init(l->ops->add_timer(l), l, LOOP_SOURCE_TIMER, userdata);
    s->fn.timer = fn;
    s->ops->timer_set(s, delay_ms);
    return s;
}

void loop_timer_set(struct loop_source *s, uint64_t delay_ms) {
    s->ops->timer_set(s, delay_ms);
}

bool loop_timer_armed(const struct loop_source *s) {
    return s->ops->timer_armed(s);
}

struct loop_source *loop_add_signal(struct loop *l, int signo, loop_signal_fn *fn, void *userdata) {
    struct loop_source *s = source_init(l->ops->add_signal(l, signo), l, LOOP_SOURCE_SIGNAL, userdata);
    s->fn.signal = fn;
    return s;
}

struct loop_source *loop_add_child(struct loop *l, int pid, loop_child_fn *fn, void *userdata) {
    struct loop_source *s = source_init(l->ops->add_child(l, pid), l, LOOP_SOURCE_CHILD, userdata);
    if (s)
        s->fn.child = fn;
    return s;
}

void loop_source_free(struct loop_source *s) {
    if (s)
        s->ops->source_free(s);
}

void loop_defer(struct loop *l, loop_call_fn *fn, void *userdata) {
    l->ops->defer(l, fn, userdata);
}

void loop_post(struct loop *l, loop_call_fn *fn, void *userdata) {
    l->ops->post(l, fn, userdata);
}

void loop_hook_add(struct loop *l, struct loop_hook *h) {
    h->next = l->hooks;
    l->hooks = h;
}

void loop_hook_remove(struct loop *l, struct loop_hook *h) {
    for (struct loop_hook **p = &l->hooks; *p; p = &(*p)->next)
        if (*p == h) {
            *p = h->next;
            return;
        }
}

void loop_calls_add(struct loop_calls *c, loop_call_fn *fn, void *userdata) {
    if (c->n == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 8;
        c->items = xrealloc_array(c->items, c->capacity, sizeof(*c->items));
    }
    c->items[c->n++] = (struct loop_call){.fn = fn, .userdata = userdata};
}

void loop_calls_run(struct loop_calls *c) {
    for (size_t i = 0; i < c->n; i++)
        c->items[i].fn(c->items[i].userdata);
    free(c->items);
    *c = (struct loop_calls){0};
}
