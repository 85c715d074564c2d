/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of many whose fabric is limited as a whole: all paths fail at the same time, and the search for their size
 * must not overrun the queues of ports and sockets on the way. One host's prober, and peers that answer what arrives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "probe/probe_core.h"

#define N_PEERS 64
#define WANTED 9000
#define MAX_SENT 4096

struct world {
    struct probe_core *core;
    uint64_t now;
    uint16_t limit;
    struct probe_frame sent[MAX_SENT]; /* in this step */
    unsigned n_sent, n_searching;      /* frames of other sizes than a proof has */
};

static const struct uuid group = {.b = {1}};

static struct uuid peer_uuid(unsigned p) {
    return (struct uuid){.b = {[14] = 1, [15] = (uint8_t)p}};
}

static void peer_mac(unsigned p, uint8_t mac[6]) {
    memcpy(mac, (const uint8_t[6]){0x02, 0, 0, 1, 0, (uint8_t)p}, 6);
}

static void on_send(unsigned leg, const uint8_t *frame, size_t size, void *userdata) {
    struct world *w = userdata;
    assert_true(w->n_sent < MAX_SENT);
    assert_true(probe_frame_read(frame, size, 0, &w->sent[w->n_sent]));
    uint16_t bytes = w->sent[w->n_sent++].size;
    w->n_searching += bytes != PROBE_MIN_SIZE && bytes != WANTED;
}

static void ignore(unsigned leg, const uint8_t *frame, size_t size, void *userdata) {}

/* One millisecond: what is due is sent, and what the fabric carries is answered. */
static void step(struct world *w) {
    w->n_sent = 0;
    probe_core_run(w->core, w->now++, on_send, w);
    for (unsigned i = 0; i < w->n_sent; i++) {
        struct probe_frame *f = &w->sent[i], answer = {.type = PROBE_ANSWER, .size = f->size, .nonce = f->nonce};
        if (f->size > w->limit)
            continue;
        for (unsigned p = 0; p < N_PEERS; p++) {
            uint8_t mac[6], derived[6];
            peer_mac(p, mac);
            probe_derive_mac(mac, derived);
            if (!memcmp(derived, f->dst, 6))
                answer.host = peer_uuid(p);
        }
        memcpy(answer.dst, f->src, 6);
        probe_core_receive(w->core, 0, &answer, w->now, ignore, NULL);
    }
}

static void count(const struct probe_edge *e, void *userdata) {
    unsigned *n = userdata;
    n[0] += e->state == PROBE_PROVEN && e->size == WANTED;
    n[1] += e->state == PROBE_LIMITED && e->size == 1500;
}

static void test_sizes_are_looked_for_at_a_pace(void **state) {
    static struct world w;
    struct uuid self = {.b = {[15] = 1}};
    struct probe_vlan vlan = {0, WANTED};
    struct probe_leg leg = {.name = "eth0", .mac = {2, 0, 0, 0, 0, 1}, .group = group, .vlans = &vlan, .n_vlans = 1};
    struct probe_peer peers[N_PEERS] = {0};
    for (unsigned p = 0; p < N_PEERS; p++) {
        peers[p] = (struct probe_peer){.host = peer_uuid(p), .leg = "eth0", .group = group};
        peer_mac(p, peers[p].mac);
    }
    w = (struct world){.core = probe_core_new(&self, 1), .now = 1000, .limit = WANTED};
    probe_core_configure(w.core, &leg, 1, peers, N_PEERS, w.now);
    while (w.now < 6000)
        step(&w);
    unsigned n[2] = {0};
    probe_core_each(w.core, count, n);
    assert_int_equal(n[0], N_PEERS);
    assert_int_equal(w.n_searching, 0);

    w.limit = 1500;
    unsigned most = 0, total = 0, window[10] = {0};
    uint64_t done = 0;
    for (uint64_t end = w.now + 10000; w.now < end;) {
        w.n_searching = 0;
        step(&w);
        total += w.n_searching;
        window[w.now % 10] = w.n_searching;
        unsigned sum = 0;
        for (unsigned i = 0; i < 10; i++)
            sum += window[i];
        most = MAX(most, sum);
        memset(n, 0, sizeof(n));
        probe_core_each(w.core, count, n);
        if (n[1] == N_PEERS && !done)
            done = w.now;
    }
    printf("%u frames, at most %u in 10 ms; all found after %u ms\n", total, most, (unsigned)(done - 6000));
    assert_int_equal(n[1], N_PEERS);
    assert_true(most <= 60); /* two paths at once, and then one frame every half millisecond */
    assert_true(total > 600);
    assert_true(done && done - 6000 < 7000);
    probe_core_free(w.core);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes_are_looked_for_at_a_pace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
