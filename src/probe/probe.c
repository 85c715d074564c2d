/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "probe/probe_socket.h"

#define REOPEN_MS 500
/* Frames read from one leg in one loop turn: keeps a flood on one leg from starving the rest. */
#define MAX_READS 256

struct leg {
    struct probe *probe;
    unsigned index;
    char name[PROBE_LEG_SIZE];
    int fd; /* -1: not open */
    struct loop_source *source;
};

struct probe {
    struct loop *loop;
    struct probe_core *core;
    struct leg legs[PROBE_MAX_LEGS];
    unsigned n_legs;
    struct loop_source *timer;
    struct loop_source *reopen;
    probe_changed_fn *changed;
    void *changed_userdata;
    uint64_t told_generation;
    probe_proof_fn *proof;
    void *proof_userdata;
    uint64_t proof_since_ms;
    struct loop_source *proof_timer;
};

static void leg_close(struct leg *leg) {
    loop_source_free(leg->source);
    leg->source = NULL;
    if (leg->fd >= 0)
        close(leg->fd);
    leg->fd = -1;
}

static void send_frame(unsigned index, const uint8_t *frame, size_t size, void *userdata) {
    struct probe *p = userdata;
    struct leg *leg = &p->legs[index];
    if (index >= p->n_legs || leg->fd < 0)
        return;
    /*
     * A frame above the leg's own MTU, or a link that is down, is a frame that does not arrive: the core learns it
     * from the missing answer. An interface that is gone needs a new socket.
     */
    int r = probe_socket_send(leg->fd, frame, size);
    if (r == -ENXIO || r == -ENODEV) {
        leg_close(leg);
        loop_timer_set(p->reopen, REOPEN_MS);
    }
}

static void proof_end(struct probe *p, bool settled) {
    probe_proof_fn *done = p->proof;
    p->proof = NULL;
    loop_timer_set(p->proof_timer, LOOP_NEVER);
    if (done)
        done(p, settled, p->proof_userdata);
}

static void after_run(struct probe *p) {
    if (p->proof && probe_core_settled(p->core, p->proof_since_ms))
        proof_end(p, /* settled= */ true);
    uint64_t generation = probe_core_generation(p->core);
    if (generation != p->told_generation) {
        p->told_generation = generation;
        if (p->changed)
            p->changed(p, p->changed_userdata);
    }
}

static void run(struct probe *p) {
    uint64_t now = loop_now_us(p->loop) / 1000;
    uint64_t next = probe_core_run(p->core, now, send_frame, p);
    loop_timer_set(p->timer, next > now ? next - now : 1);
    after_run(p);
}

static void on_timer(struct loop_source *s, void *userdata) {
    run(userdata);
}

static void on_frame(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct leg *leg = userdata;
    struct probe *p = leg->probe;
    for (unsigned i = 0; i < MAX_READS; i++) {
        struct probe_frame f;
        int r = probe_socket_receive(fd, &f);
        if (r == 1) {
            probe_core_receive(p->core, leg->index, &f, loop_now_us(p->loop) / 1000, send_frame, p);
            if (leg->fd != fd)
                break; /* an answer met a vanished interface */
        } else if (r == -ENETDOWN || r == -EINTR) {
            continue; /* reported once by the kernel when the link goes down; the socket stays good */
        } else if (r == -EAGAIN) {
            break;
        } else if (r < 0) {
            leg_close(leg);
            loop_timer_set(p->reopen, REOPEN_MS);
            break;
        }
    }
    after_run(p);
}

static void open_legs(struct probe *p) {
    bool missing = false;
    for (unsigned i = 0; i < p->n_legs; i++) {
        struct leg *leg = &p->legs[i];
        if (leg->fd >= 0)
            continue;
        leg->fd = probe_socket_open(leg->name);
        if (leg->fd < 0) {
            leg->fd = -1;
            missing = true;
            continue;
        }
        leg->source = loop_add_fd(p->loop, leg->fd, LOOP_READ, on_frame, leg);
    }
    loop_timer_set(p->reopen, missing ? REOPEN_MS : LOOP_NEVER);
}

static void on_reopen(struct loop_source *s, void *userdata) {
    open_legs(userdata);
}

static void on_proof_deadline(struct loop_source *s, void *userdata) {
    proof_end(userdata, /* settled= */ false);
}

struct probe *probe_new(struct loop *l, const struct uuid *self) {
    struct probe *p = xnew0(struct probe);
    p->loop = l;
    p->core = probe_core_new(self, loop_random(l));
    p->timer = loop_add_timer(l, LOOP_NEVER, on_timer, p);
    p->reopen = loop_add_timer(l, LOOP_NEVER, on_reopen, p);
    p->proof_timer = loop_add_timer(l, LOOP_NEVER, on_proof_deadline, p);
    return p;
}

void probe_free(struct probe *p) {
    if (!p)
        return;
    for (unsigned i = 0; i < p->n_legs; i++)
        leg_close(&p->legs[i]);
    loop_source_free(p->timer);
    loop_source_free(p->reopen);
    loop_source_free(p->proof_timer);
    probe_core_free(p->core);
    free(p);
}

void probe_on_change(struct probe *p, probe_changed_fn *changed, void *userdata) {
    p->changed = changed;
    p->changed_userdata = userdata;
}

void probe_configure(struct probe *p, const struct probe_leg *legs, unsigned n_legs, const struct probe_peer *peers,
                     unsigned n_peers) {
    n_legs = MIN(n_legs, (unsigned)PROBE_MAX_LEGS);
    for (unsigned i = 0; i < MAX(n_legs, p->n_legs); i++) {
        struct leg *leg = &p->legs[i];
        bool keep = i < n_legs && i < p->n_legs && !strcmp(leg->name, legs[i].name);
        if (keep)
            continue;
        if (i < p->n_legs)
            leg_close(leg);
        *leg = (struct leg){.probe = p, .index = i, .fd = -1};
        if (i < n_legs)
            memcpy(leg->name, legs[i].name, sizeof(leg->name));
    }
    p->n_legs = n_legs;
    open_legs(p);
    probe_core_configure(p->core, legs, n_legs, peers, n_peers, loop_now_us(p->loop) / 1000);
    loop_timer_set(p->timer, 0);
}

void probe_prove(struct probe *p, uint64_t deadline_ms, probe_proof_fn *done, void *userdata) {
    if (p->proof)
        proof_end(p, /* settled= */ false);
    p->proof = done;
    p->proof_userdata = userdata;
    p->proof_since_ms = loop_now_us(p->loop) / 1000;
    loop_timer_set(p->proof_timer, deadline_ms);
    probe_core_request(p->core, p->proof_since_ms);
    loop_timer_set(p->timer, 0);
}

void probe_forget(struct probe *p, const struct uuid *host) {
    probe_core_forget(p->core, host, loop_now_us(p->loop) / 1000);
    loop_timer_set(p->timer, 0);
}

void probe_each(const struct probe *p, probe_edge_fn *fn, void *userdata) {
    probe_core_each(p->core, fn, userdata);
}
unsigned probe_n_edges(const struct probe *p) {
    return probe_core_n_edges(p->core);
}
uint64_t probe_generation(const struct probe *p) {
    return probe_core_generation(p->core);
}
