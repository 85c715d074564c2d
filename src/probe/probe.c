/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe.h"

#include <string.h>

#include "probe/probe_port.h"

struct leg {
    struct probe *probe;
    unsigned index;
    char name[PROBE_LEG_SIZE];
    struct probe_port *port;
};

struct probe {
    struct loop *loop;
    struct probe_core *core;
    struct leg legs[PROBE_MAX_LEGS];
    unsigned n_legs;
    struct loop_source *timer;
    probe_changed_fn *changed;
    void *changed_userdata;
    uint64_t told_generation;
    probe_proof_fn *proof;
    void *proof_userdata;
    uint64_t proof_since_ms;
    struct loop_source *proof_timer;
};

static void send_frame(unsigned index, const uint8_t *frame, size_t size, void *userdata) {
    struct probe *p = userdata;
    if (index < p->n_legs)
        probe_port_send(p->legs[index].port, frame, size);
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

static void on_frame(struct probe_port *port, const struct probe_frame *f, void *userdata) {
    struct leg *leg = userdata;
    struct probe *p = leg->probe;
    probe_core_receive(p->core, leg->index, f, loop_now_us(p->loop) / 1000, send_frame, p);
}

static void on_idle(struct probe_port *port, void *userdata) {
    struct leg *leg = userdata;
    after_run(leg->probe);
}

static void on_proof_deadline(struct loop_source *s, void *userdata) {
    proof_end(userdata, /* settled= */ false);
}

struct probe *probe_new(struct loop *l, const struct uuid *self) {
    struct probe *p = xnew0(struct probe);
    p->loop = l;
    p->core = probe_core_new(self, loop_random(l));
    p->timer = loop_add_timer(l, LOOP_NEVER, on_timer, p);
    p->proof_timer = loop_add_timer(l, LOOP_NEVER, on_proof_deadline, p);
    return p;
}

void probe_free(struct probe *p) {
    if (!p)
        return;
    for (unsigned i = 0; i < p->n_legs; i++)
        probe_port_free(p->legs[i].port);
    loop_source_free(p->timer);
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
            probe_port_free(leg->port);
        *leg = (struct leg){.probe = p, .index = i};
        if (i >= n_legs)
            continue;
        memcpy(leg->name, legs[i].name, sizeof(leg->name));
        leg->port = probe_port_new(p->loop, leg->name, on_frame, on_idle, leg);
    }
    p->n_legs = n_legs;
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
