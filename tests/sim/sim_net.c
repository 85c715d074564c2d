/* SPDX-License-Identifier: Apache-2.0 */
/* Who reaches whom, how long it takes, and calls that arrive later in somebody's loop. */
#include "sim.h"

#include <stdio.h>

#define LATENCY_US 200
#define JITTER_US 800

struct sim *sim;

uint64_t sim_now_ms(void) {
    return loop_sim_now_ms(sim->clock);
}

uint64_t sim_luck(uint64_t below) {
    return below ? loop_random(sim->loop) % below : 0;
}

bool sim_chance(unsigned per_mille) {
    return sim_luck(1000) < per_mille;
}

bool sim_reaches(unsigned from, unsigned to) {
    if (from == to)
        return sim->hosts[from].powered;
    return sim->hosts[from].powered && sim->hosts[to].powered && !sim->path[from][to].cut;
}

bool sim_reaches_both(unsigned a, unsigned b) {
    return sim_reaches(a, b) && sim_reaches(b, a);
}

uint64_t sim_latency_us(unsigned from, unsigned to) {
    const struct sim_path *p = &sim->path[from][to];
    uint64_t us = LATENCY_US + sim_luck(JITTER_US) + p->delay_us;
    /* Each loss costs one time-out of the sender, and the time-outs double. */
    for (uint64_t again_us = 200000; p->loss && sim_chance(p->loss) && again_us < 3000000; again_us *= 2)
        us += again_us;
    return us;
}

unsigned sim_host_at(const char *address) {
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (str_eq(sim->hosts[i].address, address))
            return i;
    return SIM_NOBODY;
}

unsigned sim_host_of_path(const char *path) {
    unsigned i;
    if (sscanf(path, "/h%u/", &i) != 1 || i >= sim->n_hosts)
        abort(); /* a bug of the simulation: paths are given by sim_host.c */
    return i;
}

/* ---- inbox ---- */
struct letter {
    struct letter *next;
    uint64_t due_us;
    inbox_fn *fn;
    void *data;
    inbox_drop_fn *drop;
};

struct inbox {
    struct loop *loop;
    void *owner;
    struct loop_source *timer;
    struct letter *first, *last;
    bool *freed;
};

static void arm(struct inbox *b) {
    if (!b->first) {
        loop_timer_set(b->timer, LOOP_NEVER);
        return;
    }
    uint64_t now = loop_now_us(b->loop);
    loop_timer_set(b->timer, b->first->due_us > now ? (b->first->due_us - now + 999) / 1000 : 0);
}

static void on_due(struct loop_source *s, void *userdata) {
    struct inbox *b = userdata;
    struct letter *l = b->first;
    bool freed = false;
    if (!l)
        return;
    b->first = l->next;
    if (!b->first)
        b->last = NULL;
    b->freed = &freed;
    l->fn(l->data, b->owner);
    free(l);
    if (freed)
        return;
    b->freed = NULL;
    arm(b);
}

struct inbox *inbox_new(struct loop *l, void *owner) {
    struct inbox *b = xnew0(struct inbox);
    *b = (struct inbox){.loop = l, .owner = owner};
    b->timer = loop_add_timer(l, LOOP_NEVER, on_due, b);
    return b;
}

void inbox_free(struct inbox *b) {
    if (!b)
        return;
    if (b->freed)
        *b->freed = true;
    while (b->first) {
        struct letter *l = b->first;
        b->first = l->next;
        if (l->drop)
            l->drop(l->data);
        free(l);
    }
    loop_source_free(b->timer);
    free(b);
}

uint64_t inbox_push(struct inbox *b, uint64_t delay_us, inbox_fn *fn, void *data, inbox_drop_fn *drop) {
    struct letter *l = xnew0(struct letter);
    uint64_t due = loop_now_us(b->loop) + delay_us;
    if (b->last)
        due = MAX(due, b->last->due_us);
    *l = (struct letter){.due_us = due, .fn = fn, .data = data, .drop = drop};
    *(b->last ? &b->last->next : &b->first) = l;
    b->last = l;
    if (b->first == l)
        arm(b);
    return due;
}
