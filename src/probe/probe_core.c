/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/probe_core.h"

#include <string.h>

/*
 * Patience per try, ms. A busy host answers late: that a path is dead is believed only after all of these. That it is
 * limited may be looked into one try sooner, as every ladder asks for the wanted size too.
 */
static const uint16_t patience[] = {200, 300, 400, 600};
#define TRIES_BEFORE_LADDER 3
#define LADDER_PATIENCE_MS 300
#define LADDER_TRIES 2
#define BAD_PERIOD_MS 700
/*
 * What shares a port with a path that was not answered is asked at once, but not sooner than this after it was proven:
 * answers are lost, too, and one that is must not have everything measured over and over.
 */
#define SUSPICION_MIN_AGE_MS 700
#define SUSPICION_TRY 2 /* answers that were lost in a row */
#define N_RUNGS 14
#define ANSWERS_PER_SECOND 4000
/* Edges that may be in flight at once. */
#define MAX_ACTIVE 128
/*
 * When a whole fabric is limited, all hosts look for the size of all their paths at the same time, and what all of them
 * send at once is more than a switch port's or a socket's queue holds: frames are lost, and sizes found that are none.
 * So sizes are looked for at a pace: few paths at once, and then so many frames per second.
 */
#define LADDER_FRAME_US 500
#define FREE_FRAMES 2
#define LADDER_BURST_US (2 * N_RUNGS * LADDER_FRAME_US)

enum phase { PHASE_IDLE, PHASE_ASK, PHASE_LADDER, PHASE_TURN /* a ladder that waits for its turn to be sent */ };

struct edge {
    struct probe_edge e;
    unsigned leg;
    uint8_t dst[6];
    enum phase phase;
    unsigned try;
    uint64_t due_ms; /* idle: when to measure again; else: when patience ends */
    uint64_t nonce;  /* of the try; the low byte of a frame's nonce is the rung */
    uint16_t rungs[N_RUNGS];
    uint16_t answered; /* bit set of rungs */
    unsigned n_rungs;
    uint16_t pass, stop; /* ladder: largest that passed, smallest that did not */
};

struct leg {
    struct probe_leg l; /* vlans not kept */
    uint8_t src[6];
    uint64_t window_ms;
    unsigned n_answers;
};

struct probe_core {
    struct uuid self;
    uint64_t random;
    uint64_t period_ms;
    uint64_t generation;
    struct leg legs[PROBE_MAX_LEGS];
    unsigned n_legs;
    struct edge *edges;
    unsigned n_edges;
    unsigned n_active;
    unsigned next;    /* round robin */
    uint64_t paid_us; /* until then the pace is used up by ladders that were sent */
};

static uint64_t next_random(struct probe_core *c) {
    /* splitmix64: nonces only need to be hard to guess by chance; the seed comes from the kernel */
    uint64_t z = (c->random += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

struct probe_core *probe_core_new(const struct uuid *self, uint64_t seed) {
    struct probe_core *c = xnew0(struct probe_core);
    c->self = *self;
    c->random = seed;
    c->period_ms = 3000;
    c->generation = 1;
    return c;
}

void probe_core_free(struct probe_core *c) {
    if (!c)
        return;
    free(c->edges);
    free(c);
}

void probe_core_set_period(struct probe_core *c, uint64_t period_ms) {
    c->period_ms = MAX(period_ms, (uint64_t)100);
}

static struct edge *find_edge(struct edge *edges, unsigned n, const struct probe_edge *like) {
    for (unsigned i = 0; i < n; i++) {
        const struct probe_edge *e = &edges[i].e;
        if (e->vlan == like->vlan && uuid_eq(&e->peer, &like->peer) && !strcmp(e->leg, like->leg) &&
            !strcmp(e->peer_leg, like->peer_leg))
            return &edges[i];
    }
    return NULL;
}

void probe_core_configure(struct probe_core *c, const struct probe_leg *legs, unsigned n_legs,
                          const struct probe_peer *peers, unsigned n_peers, uint64_t now_ms) {
    struct edge *old = TAKE(c->edges);
    unsigned n_old = c->n_edges, capacity = 0;
    c->n_edges = 0;
    c->n_active = 0;
    c->next = 0;
    n_legs = MIN(n_legs, (unsigned)PROBE_MAX_LEGS);
    bool same[PROBE_MAX_LEGS];
    for (unsigned i = 0; i < n_legs; i++) {
        same[i] = i < c->n_legs && !memcmp(c->legs[i].l.mac, legs[i].mac, 6);
        if (!same[i])
            c->legs[i] = (struct leg){0};
        c->legs[i].l = legs[i];
        c->legs[i].l.vlans = NULL;
        probe_derive_mac(legs[i].mac, c->legs[i].src);
    }
    c->n_legs = n_legs;
    for (unsigned i = 0; i < n_legs; i++)
        for (unsigned p = 0; p < MIN(n_peers, (unsigned)PROBE_MAX_PEERS); p++) {
            if (!uuid_eq(&legs[i].group, &peers[p].group) || uuid_eq(&peers[p].host, &c->self))
                continue;
            for (unsigned v = 0; v < MIN(legs[i].n_vlans, (unsigned)PROBE_MAX_VLANS); v++) {
                if (c->n_edges == PROBE_MAX_EDGES)
                    break;
                if (c->n_edges == capacity) {
                    capacity = capacity ? capacity * 2 : 64;
                    c->edges = xrealloc_array(c->edges, capacity, sizeof(*c->edges));
                }
                struct edge *e = &c->edges[c->n_edges];
                *e = (struct edge){.leg = i, .due_ms = now_ms};
                memcpy(e->e.leg, legs[i].name, PROBE_LEG_SIZE);
                memcpy(e->e.peer_leg, peers[p].leg, PROBE_LEG_SIZE);
                e->e.peer = peers[p].host;
                e->e.vlan = legs[i].vlans[v].tag;
                uint16_t size = legs[i].vlans[v].size;
                if (peers[p].limit)
                    size = MIN(size, peers[p].limit);
                e->e.wanted = MIN(MAX(size, (uint16_t)PROBE_MIN_SIZE), (uint16_t)PROBE_MAX_SIZE);
                probe_derive_mac(peers[p].mac, e->dst);
                struct edge *was = find_edge(old, n_old, &e->e);
                if (was && was->e.wanted == e->e.wanted && same[i] && !memcmp(was->dst, e->dst, 6)) {
                    *e = *was; /* a measurement that runs goes on: else one that is asked for often would never end */
                    e->leg = i;
                    c->n_active += e->phase != PHASE_IDLE;
                } else if (was && was->e.wanted == e->e.wanted) {
                    e->e = was->e;
                    e->e.doubted = false; /* what ran was broken off */
                    e->due_ms = was->phase == PHASE_IDLE ? was->due_ms : now_ms;
                }
                c->n_edges++;
            }
        }
    free(old);
    c->generation++;
}

void probe_core_request(struct probe_core *c, uint64_t now_ms) {
    for (unsigned i = 0; i < c->n_edges; i++)
        if (c->edges[i].phase == PHASE_IDLE)
            c->edges[i].due_ms = now_ms;
}

void probe_core_forget(struct probe_core *c, const struct uuid *host, uint64_t now_ms) {
    for (unsigned i = 0; i < c->n_edges; i++) {
        struct edge *e = &c->edges[i];
        if (!uuid_eq(&e->e.peer, host))
            continue;
        if (e->phase != PHASE_IDLE)
            c->n_active--;
        e->phase = PHASE_IDLE;
        e->e.state = PROBE_UNKNOWN;
        e->e.doubted = false;
        e->e.size = 0;
        e->e.measured_ms = 0;
        e->due_ms = now_ms;
        c->generation++;
    }
}

bool probe_core_settled(const struct probe_core *c, uint64_t since_ms) {
    for (unsigned i = 0; i < c->n_edges; i++)
        if (c->edges[i].e.measured_ms < since_ms || c->edges[i].e.state == PROBE_UNKNOWN)
            return false;
    return true;
}

static void conclude(struct probe_core *c, struct edge *e, enum probe_state state, uint16_t size, uint64_t now_ms) {
    bool is_first = e->e.state == PROBE_UNKNOWN;
    if (e->e.state != state || e->e.size != size || e->e.doubted)
        c->generation++;
    e->e.doubted = false;
    e->e.state = state;
    e->e.size = size;
    e->e.measured_ms = now_ms;
    e->phase = PHASE_IDLE;
    c->n_active--;
    /*
     * Spread the rounds: up to a quarter of the period of jitter, and over nearly all of it after the first, which all
     * have at the same time: so whenever a port goes bad, one of its paths is asked soon. What is bad is looked at more
     * often, so that all edges of a cured port recover together and no half-recovered picture accuses somebody else.
     */
    uint64_t period = state == PROBE_PROVEN ? c->period_ms : MIN(c->period_ms, (uint64_t)BAD_PERIOD_MS);
    uint64_t jitter = is_first && state == PROBE_PROVEN ? period * 3 / 4 : period / 4;
    e->due_ms = now_ms + period - next_random(c) % (jitter + 1);
}

static void send_rungs(struct probe_core *c, struct edge *e, probe_send_fn *send, void *userdata) {
    static uint8_t frame[PROBE_MAX_FRAME]; /* loop thread only */
    for (unsigned r = 0; r < e->n_rungs; r++) {
        if (e->answered & (1u << r))
            continue;
        struct probe_frame f = {
            .vlan = e->e.vlan, .type = PROBE_REQUEST, .size = e->rungs[r], .nonce = e->nonce | r, .host = c->self};
        memcpy(f.dst, e->dst, 6);
        memcpy(f.src, c->legs[e->leg].src, 6);
        memcpy(f.leg, e->e.leg, PROBE_LEG_SIZE);
        send(e->leg, frame, probe_frame_write(&f, frame), userdata);
    }
}

/* A ladder is sent, or waits for its turn. A few frames, which only look whether a size is still the same, do not. */
static void send_ladder(struct probe_core *c, struct edge *e, uint64_t now_ms, probe_send_fn *send, void *userdata) {
    uint64_t now_us = now_ms * 1000;
    unsigned n = e->n_rungs - (unsigned)__builtin_popcount(e->answered);
    if (n > FREE_FRAMES && c->paid_us > now_us + LADDER_BURST_US) {
        e->phase = PHASE_TURN;
        e->due_ms = now_ms + (c->paid_us - now_us - LADDER_BURST_US) / 1000 + 1;
        return;
    }
    if (n > FREE_FRAMES)
        c->paid_us = MAX(c->paid_us, now_us) + (uint64_t)n * LADDER_FRAME_US;
    e->phase = PHASE_LADDER;
    e->due_ms = now_ms + LADDER_PATIENCE_MS;
    send_rungs(c, e, send, userdata);
}

static void begin_ask(struct probe_core *c, struct edge *e, uint64_t now_ms) {
    e->phase = PHASE_ASK;
    e->try = 0;
    e->nonce = next_random(c) & ~0xffull;
    e->answered = 0;
    e->n_rungs = 2;
    e->rungs[0] = PROBE_MIN_SIZE;
    e->rungs[1] = e->e.wanted;
    e->due_ms = now_ms + patience[0];
}

/*
 * The next set of sizes between what passed and what did not, and the wanted size while nothing smaller is known to
 * stop: what was only slow is then still proven. False when there is nothing between.
 */
static bool begin_ladder(struct probe_core *c, struct edge *e) {
    /* Sizes that real paths stop at, most of them with the next one, so that one set of answers is exact. */
    static const uint16_t usual[] = {576, 1280, 1400, 1492, 1493, 1496, 1497, 1500, 1501, 1504, 2000, 4000, 8000};
    e->try = 0;
    e->nonce = next_random(c) & ~0xffull;
    e->answered = 0;
    e->n_rungs = 0;
    if (e->pass == PROBE_MIN_SIZE) {
        for (unsigned i = 0; i < ARRAY_SIZE(usual); i++)
            if (usual[i] > e->pass && usual[i] < e->stop)
                e->rungs[e->n_rungs++] = usual[i];
    } else {
        unsigned gap = e->stop - e->pass, n = MIN(gap - 1, (unsigned)N_RUNGS - 1);
        for (unsigned i = 1; i <= n; i++)
            e->rungs[e->n_rungs++] = (uint16_t)(e->pass + gap * i / (n + 1));
    }
    if (!e->n_rungs)
        return false;
    if (e->stop == e->e.wanted)
        e->rungs[e->n_rungs++] = e->e.wanted;
    return true;
}

static void ladder_result(struct probe_core *c, struct edge *e, uint64_t now_ms, probe_send_fn *send, void *userdata) {
    for (unsigned r = 0; r < e->n_rungs; r++)
        if (e->answered & (1u << r))
            e->pass = MAX(e->pass, e->rungs[r]);
    for (unsigned r = e->n_rungs; r-- > 0;)
        if (e->rungs[r] > e->pass)
            e->stop = MIN(e->stop, e->rungs[r]);
    if (e->stop - e->pass <= 1 || !begin_ladder(c, e)) {
        conclude(c, e, PROBE_LIMITED, e->pass, now_ms);
        return;
    }
    if (e->e.state == PROBE_PROVEN &&
        e->pass > PROBE_MIN_SIZE) { /* limited it is; the rest only finds the exact size */
        e->e.state = PROBE_LIMITED;
        e->e.size = e->pass;
        e->e.doubted = false;
        c->generation++;
    }
    send_ladder(c, e, now_ms, send, userdata);
}

/*
 * A path that was proven is not answered. Those that share its leg here or there are asked now and not with their next
 * turn: which port it is shows when all of them have been measured.
 */
static void suspect(struct probe_core *c, struct edge *e, uint64_t now_ms) {
    e->e.doubted = true;
    c->generation++;
    for (unsigned i = 0; i < c->n_edges; i++) {
        struct edge *o = &c->edges[i];
        if (o->phase == PHASE_IDLE && o->e.vlan == e->e.vlan &&
            (o->leg == e->leg || (uuid_eq(&o->e.peer, &e->e.peer) && !strcmp(o->e.peer_leg, e->e.peer_leg) &&
                                  uuid_eq(&c->legs[o->leg].l.group, &c->legs[e->leg].l.group))))
            o->due_ms = MIN(o->due_ms, MAX(now_ms, o->e.measured_ms + SUSPICION_MIN_AGE_MS));
    }
}

/* Patience of the current try has ended. */
static void next_try(struct probe_core *c, struct edge *e, uint64_t now_ms, probe_send_fn *send, void *userdata) {
    if (e->phase == PHASE_TURN) {
        send_ladder(c, e, now_ms, send, userdata);
        return;
    }
    e->try++;
    if (e->phase == PHASE_ASK && e->e.state == PROBE_PROVEN && e->try == SUSPICION_TRY)
        suspect(c, e, now_ms);
    if (e->phase == PHASE_LADDER) {
        if (e->try < LADDER_TRIES)
            send_ladder(c, e, now_ms, send, userdata);
        else
            ladder_result(c, e, now_ms, send, userdata);
        return;
    }
    /* What is known to be bad is only checked, not doubted. */
    unsigned n_tries = e->e.state == PROBE_LIMITED || e->e.state == PROBE_DEAD ? 2
                       : e->answered & 1                                       ? TRIES_BEFORE_LADDER
                                                                               : ARRAY_SIZE(patience);
    if (e->try < n_tries) {
        e->due_ms = now_ms + patience[e->try];
        send_rungs(c, e, send, userdata);
    } else if (!(e->answered & 1)) {
        conclude(c, e, PROBE_DEAD, 0, now_ms);
    } else if (e->e.state == PROBE_LIMITED && e->e.size > PROBE_MIN_SIZE) {
        /* still limited: check that the size is still the same before searching again */
        e->pass = PROBE_MIN_SIZE;
        e->stop = e->e.wanted;
        e->try = 0;
        e->nonce = next_random(c) & ~0xffull;
        e->answered = 0;
        e->n_rungs = 0;
        e->rungs[e->n_rungs++] = e->e.size;
        if (e->e.size + 1 < e->e.wanted)
            e->rungs[e->n_rungs++] = (uint16_t)(e->e.size + 1);
        send_ladder(c, e, now_ms, send, userdata);
    } else {
        e->pass = PROBE_MIN_SIZE;
        e->stop = e->e.wanted;
        if (begin_ladder(c, e))
            send_ladder(c, e, now_ms, send, userdata);
        else
            conclude(c, e, PROBE_LIMITED, PROBE_MIN_SIZE, now_ms);
    }
}

uint64_t probe_core_run(struct probe_core *c, uint64_t now_ms, probe_send_fn *send, void *userdata) {
    uint64_t next = now_ms + c->period_ms;
    for (unsigned i = 0; i < c->n_edges; i++) {
        struct edge *e = &c->edges[i];
        if (e->phase != PHASE_IDLE && e->due_ms <= now_ms)
            next_try(c, e, now_ms, send, userdata);
        if (e->phase != PHASE_IDLE)
            next = MIN(next, e->due_ms);
    }
    bool waiting = false;
    for (unsigned n = 0; n < c->n_edges; n++) {
        struct edge *e = &c->edges[(c->next + n) % c->n_edges];
        if (e->phase != PHASE_IDLE)
            continue;
        if (e->due_ms > now_ms) {
            next = MIN(next, e->due_ms);
            continue;
        }
        if (c->n_active >= MAX_ACTIVE) {
            waiting = true;
            c->next = (c->next + n) % c->n_edges;
            break;
        }
        c->n_active++;
        begin_ask(c, e, now_ms);
        send_rungs(c, e, send, userdata);
        next = MIN(next, e->due_ms);
    }
    return waiting ? MIN(next, now_ms + 5) : next;
}

static bool receive_answer(struct probe_core *c, unsigned leg, const struct probe_frame *f, uint64_t now_ms,
                           probe_send_fn *send, void *userdata) {
    for (unsigned i = 0; i < c->n_edges; i++) {
        struct edge *e = &c->edges[i];
        unsigned rung = f->nonce & 0xff;
        if (e->phase == PHASE_IDLE || (e->leg != leg && !c->legs[leg].l.lag) || e->nonce != (f->nonce & ~0xffull) ||
            rung >= e->n_rungs)
            continue;
        if (!uuid_eq(&e->e.peer, &f->host) || f->size != e->rungs[rung])
            return false;
        uint64_t before = c->generation;
        e->answered |= (uint16_t)(1u << rung);
        if (e->phase == PHASE_ASK && e->answered == 3)
            conclude(c, e, PROBE_PROVEN, e->e.wanted, now_ms);
        else if (e->phase != PHASE_ASK && f->size == e->e.wanted)
            conclude(c, e, PROBE_PROVEN, e->e.wanted, now_ms);
        else if (e->phase != PHASE_ASK && e->answered == (1u << e->n_rungs) - 1)
            ladder_result(c, e, now_ms, send, userdata);
        return c->generation != before;
    }
    return false;
}

bool probe_core_receive(struct probe_core *c, unsigned leg, const struct probe_frame *f, uint64_t now_ms,
                        probe_send_fn *send, void *userdata) {
    if (leg >= c->n_legs || uuid_eq(&f->host, &c->self))
        return false; /* our own frame, flooded back by a switch */
    /*
     * Only the leg that a probe is meant for may answer: a switch that has not learned the address floods it to the
     * other leg too, and an answer from there would prove the wrong port. A LAG is one port to the switch: any of its
     * legs will do.
     */
    bool ours = !memcmp(f->dst, c->legs[leg].src, 6);
    for (unsigned i = 0; i < c->n_legs && !ours; i++)
        ours = c->legs[i].l.lag && c->legs[leg].l.lag && uuid_eq(&c->legs[i].l.group, &c->legs[leg].l.group) &&
               !memcmp(f->dst, c->legs[i].src, 6);
    if (!ours)
        return false; /* flooded; for somebody else */
    if (f->type == PROBE_ANSWER)
        return receive_answer(c, leg, f, now_ms, send, userdata);

    struct leg *l = &c->legs[leg];
    if (now_ms - l->window_ms >= 1000) {
        l->window_ms = now_ms;
        l->n_answers = 0;
    }
    if (l->n_answers++ >= ANSWERS_PER_SECOND)
        return false;
    struct probe_frame a = {.vlan = f->vlan, .type = PROBE_ANSWER, .size = f->size, .nonce = f->nonce, .host = c->self};
    memcpy(a.dst, f->src, 6);
    memcpy(a.src, l->src, 6);
    memcpy(a.leg, l->l.name, PROBE_LEG_SIZE);
    uint8_t frame[128];
    send(leg, frame, probe_frame_write(&a, frame), userdata);
    return false;
}

void probe_core_each(const struct probe_core *c, probe_edge_fn *fn, void *userdata) {
    for (unsigned i = 0; i < c->n_edges; i++)
        fn(&c->edges[i].e, userdata);
}

uint64_t probe_core_generation(const struct probe_core *c) {
    return c->generation;
}
unsigned probe_core_n_edges(const struct probe_core *c) {
    return c->n_edges;
}
