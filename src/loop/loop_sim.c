/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_sim.h"
#include "loop/loop_impl.h"

#include <stdio.h>

#define NOT_QUEUED SIZE_MAX

/* Something that comes due: an armed timer, or a deferred call. */
struct event {
    struct sim_loop *loop;
    uint64_t due_us;
    uint64_t seq; /* of equal times, the one asked for first */
    size_t at;    /* place in the heap, or NOT_QUEUED */
    struct sim_timer *timer;
    loop_call_fn *fn; /* without a timer: a call; the event is freed after it */
    void *userdata;
};

struct loop_sim {
    uint64_t now_us;
    uint64_t seed;
    uint64_t luck; /* state of loop_sim_random */
    uint64_t next_seq;
    unsigned n_loops_ever;
    unsigned n_loops;
    const struct sim_loop *running; /* whose event runs now; NULL between events */
    struct event **heap;            /* heap[0] is due first */
    size_t n;
    size_t capacity;
};

struct sim_loop {
    struct loop base;
    struct loop_sim *sim;
    uint64_t luck;
    uint64_t stalled_until_us; /* nothing of it runs before that */
    bool quit;
    int quit_code;
};

struct sim_timer {
    struct loop_source base;
    struct event event;
};

static const struct loop_ops sim_ops;

/* splitmix64: every state gives a good number, so seeds 1, 2, 3 are as good as any. */
static uint64_t luck_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static struct sim_loop *sim_loop(struct loop *l) {
    return container_of(l, struct sim_loop, base);
}

static bool before(const struct event *a, const struct event *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->seq < b->seq;
}

static void heap_put(struct loop_sim *sim, size_t at, struct event *e) {
    sim->heap[at] = e;
    e->at = at;
}

static void heap_up(struct loop_sim *sim, size_t at) {
    struct event *e = sim->heap[at];
    for (size_t parent; at > 0 && before(e, sim->heap[parent = (at - 1) / 2]); at = parent)
        heap_put(sim, at, sim->heap[parent]);
    heap_put(sim, at, e);
}

static void heap_down(struct loop_sim *sim, size_t at) {
    struct event *e = sim->heap[at];
    for (size_t child; (child = at * 2 + 1) < sim->n; at = child) {
        if (child + 1 < sim->n && before(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!before(sim->heap[child], e))
            break;
        heap_put(sim, at, sim->heap[child]);
    }
    heap_put(sim, at, e);
}

static void event_remove(struct loop_sim *sim, struct event *e) {
    size_t at = e->at;
    e->at = NOT_QUEUED;
    struct event *last = sim->heap[--sim->n];
    if (last == e)
        return;
    heap_put(sim, at, last);
    heap_up(sim, at);
    heap_down(sim, last->at);
}

static void event_add(struct sim_loop *l, struct event *e, uint64_t due_us) {
    struct loop_sim *sim = l->sim;
    if (sim->n == sim->capacity) {
        sim->capacity = sim->capacity ? sim->capacity * 2 : 64;
        sim->heap = xrealloc_array(sim->heap, sim->capacity, sizeof(struct event *));
    }
    e->loop = l;
    e->due_us = due_us;
    e->seq = sim->next_seq++;
    heap_put(sim, sim->n, e);
    heap_up(sim, sim->n++);
}

/* What comes due while its loop stands still waits until it goes on, in the order in which it was asked for. */
static void put_off_stalled(struct loop_sim *sim) {
    while (sim->n && sim->heap[0]->due_us < sim->heap[0]->loop->stalled_until_us) {
        sim->heap[0]->due_us = sim->heap[0]->loop->stalled_until_us;
        heap_down(sim, 0);
    }
}

/* Runs the first event if it is due by `limit_us`. */
static bool run_next(struct loop_sim *sim, uint64_t limit_us) {
    put_off_stalled(sim);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a freed event has left the heap; the analyzer cannot see it. */
    if (sim->n == 0 || sim->heap[0]->due_us > limit_us)
        return false;
    struct event *e = sim->heap[0];
    event_remove(sim, e);
    if (e->due_us > sim->now_us)
        sim->now_us = e->due_us;
    const struct sim_loop *before = sim->running;
    sim->running = e->loop;
    if (e->timer) {
        e->timer->base.fn.timer(&e->timer->base, e->timer->base.userdata);
    } else {
        loop_call_fn *fn = e->fn;
        void *userdata = e->userdata;
        free(e);
        fn(userdata);
    }
    sim->running = before;
    return true;
}

struct loop_sim *loop_sim_new(uint64_t seed) {
    struct loop_sim *sim = xnew0(struct loop_sim);
    sim->seed = seed;
    sim->luck = seed;
    sim->now_us = LOOP_SIM_START_MS * 1000;
    return sim;
}

void loop_sim_free(struct loop_sim *sim) {
    if (!sim)
        return;
    if (sim->n_loops > 0) {
        (void)fprintf(stderr, "loop_sim: freed while %u of its loops live\n", sim->n_loops);
        abort();
    }
    free(sim->heap);
    free(sim);
}

struct loop *loop_sim_loop(struct loop_sim *sim) {
    struct sim_loop *l = xnew0(struct sim_loop);
    l->base.ops = &sim_ops;
    l->sim = sim;
    /* A stream of its own: what one host draws does not change the luck of another. */
    uint64_t stream = sim->seed ^ (UINT64_C(0xa0761d6478bd642f) * ++sim->n_loops_ever);
    l->luck = luck_next(&stream);
    sim->n_loops++;
    return &l->base;
}

void loop_sim_advance(struct loop_sim *sim, uint64_t ms) {
    uint64_t end_us = sim->now_us + ms * 1000;
    while (run_next(sim, end_us))
        ;
    sim->now_us = MAX(sim->now_us, end_us);
}

bool loop_sim_next(struct loop_sim *sim, uint64_t limit_ms) {
    return run_next(sim, limit_ms > UINT64_MAX / 1000 ? UINT64_MAX : limit_ms * 1000);
}

uint64_t loop_sim_now_ms(const struct loop_sim *sim) {
    return sim->now_us / 1000;
}

void loop_sim_stall(struct loop *l, uint64_t ms) {
    struct sim_loop *s = sim_loop(l);
    s->stalled_until_us = MAX(s->stalled_until_us, s->sim->now_us + ms * 1000);
}

const struct loop *loop_sim_running(const struct loop_sim *sim) {
    return sim->running ? &sim->running->base : NULL;
}

uint64_t loop_sim_random(struct loop_sim *sim) {
    return luck_next(&sim->luck);
}

static void sim_free(struct loop *base) {
    struct sim_loop *l = sim_loop(base);
    struct loop_sim *sim = l->sim;
    size_t kept = 0;
    for (size_t i = 0; i < sim->n; i++) {
        struct event *e = sim->heap[i];
        if (e->loop != l) {
            sim->heap[kept++] = e;
            continue;
        }
        e->at = NOT_QUEUED;
        if (!e->timer)
            free(e);
    }
    for (sim->n = 0; sim->n < kept; sim->n++)
        heap_up(sim, sim->n);
    sim->n_loops--;
    if (sim->running == l)
        sim->running = NULL;
    free(l);
}

static int sim_run(struct loop *base) {
    struct sim_loop *l = sim_loop(base);
    while (!l->quit)
        if (!run_next(l->sim, UINT64_MAX)) {
            (void)fprintf(stderr, "loop_sim: nothing is left to run, and nobody asked to quit\n");
            abort();
        }
    l->quit = false;
    return l->quit_code;
}

static void sim_step(struct loop *base, int timeout_ms) {
    loop_sim_advance(sim_loop(base)->sim, timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
}

static void sim_quit(struct loop *base, int code) {
    struct sim_loop *l = sim_loop(base);
    l->quit = true;
    l->quit_code = code;
}

static uint64_t sim_now_ms(struct loop *base) {
    return sim_loop(base)->sim->now_us / 1000;
}

static uint64_t sim_now_us(struct loop *base) {
    return sim_loop(base)->sim->now_us;
}

static int64_t sim_wall_ms(struct loop *base) {
    return LOOP_SIM_START_WALL_MS + (int64_t)(sim_now_ms(base) - LOOP_SIM_START_MS);
}

static uint64_t sim_random(struct loop *base) {
    return luck_next(&sim_loop(base)->luck);
}

static void absent(const char *what) {
    (void)fprintf(stderr, "loop_sim: there are no %s in a simulation\n", what);
    abort();
}

static struct loop_source *sim_add_fd(struct loop *base, int fd, unsigned events) {
    absent("descriptors");
    return NULL;
}

static void sim_fd_set_events(struct loop_source *s, unsigned events) {
    absent("descriptors");
}

static struct loop_source *sim_add_signal(struct loop *base, int signo) {
    absent("signals");
    return NULL;
}

static struct loop_source *sim_add_child(struct loop *base, int pid) {
    absent("children");
    return NULL;
}

static struct loop_source *sim_add_timer(struct loop *base) {
    struct sim_timer *t = xnew0(struct sim_timer);
    t->event.loop = sim_loop(base);
    t->event.timer = t;
    t->event.at = NOT_QUEUED;
    return &t->base;
}

static void sim_timer_set(struct loop_source *s, uint64_t delay_ms) {
    struct event *e = &container_of(s, struct sim_timer, base)->event;
    struct loop_sim *sim = e->loop->sim;
    if (e->at != NOT_QUEUED)
        event_remove(sim, e);
    if (delay_ms == LOOP_NEVER)
        return;
    uint64_t delay_us, due_us;
    if (__builtin_mul_overflow(delay_ms, 1000, &delay_us) || __builtin_add_overflow(sim->now_us, delay_us, &due_us))
        due_us = UINT64_MAX;
    event_add(e->loop, e, due_us);
}

static bool sim_timer_armed(const struct loop_source *s) {
    return container_of(s, const struct sim_timer, base)->event.at != NOT_QUEUED;
}

static void sim_source_free(struct loop_source *s) {
    struct sim_timer *t = container_of(s, struct sim_timer, base);
    if (t->event.at != NOT_QUEUED)
        event_remove(t->event.loop->sim, &t->event);
    free(t);
}

static void sim_defer(struct loop *base, loop_call_fn *fn, void *userdata) {
    struct event *e = xnew0(struct event);
    *e = (struct event){.fn = fn, .userdata = userdata};
    event_add(sim_loop(base), e, sim_loop(base)->sim->now_us);
}

static const struct loop_ops sim_ops = {
    .simulated = true,
    .free = sim_free,
    .run = sim_run,
    .step = sim_step,
    .quit = sim_quit,
    .now_ms = sim_now_ms,
    .now_us = sim_now_us,
    .wall_ms = sim_wall_ms,
    .random = sim_random,
    .add_fd = sim_add_fd,
    .fd_set_events = sim_fd_set_events,
    .add_timer = sim_add_timer,
    .timer_set = sim_timer_set,
    .timer_armed = sim_timer_armed,
    .add_signal = sim_add_signal,
    .add_child = sim_add_child,
    .source_free = sim_source_free,
    .defer = sim_defer,
    .post = sim_defer,
};
