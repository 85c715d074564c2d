/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober against a fabric in memory: hosts with two legs on two switches, a size limit per port and direction and
 * on the link between the switches. Time is a number. Each case breaks one thing and expects exactly its verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "probe/probe_diagnose_core.h"

#define MAX_HOSTS 4
#define N_LEGS 2
#define QUEUE 8192

struct fabric {
    unsigned n_hosts;
    uint16_t out[MAX_HOSTS][N_LEGS], in[MAX_HOSTS][N_LEGS]; /* 0: dead */
    bool vlan_missing[MAX_HOSTS][N_LEGS];
    uint16_t isl;
    unsigned n_lost_pairs; /* eth0 of the first hosts to eth1 of the last: nothing arrives */
    bool vlan;             /* hosts use one, too */
    bool untagged_lost;    /* no port carries untagged frames */
    bool tagged_only;      /* nobody sends any */
    unsigned lose_one_in;  /* drop every nth frame; 0: none */
    struct probe_core *core[MAX_HOSTS];
    bool off[MAX_HOSTS];
    uint64_t now;
    unsigned n_frames;
    struct {
        uint8_t data[PROBE_MAX_FRAME];
        size_t size;
        unsigned host, leg;
    } * queue;
    unsigned head, tail;
    unsigned sender;
};

static struct uuid host_uuid(unsigned h) {
    return (struct uuid){.b = {[15] = (uint8_t)(h + 1)}};
}
static const struct uuid group = {.b = {1}};

static void nic_mac(unsigned h, unsigned leg, uint8_t mac[6]) {
    const uint8_t m[6] = {0x02, 0, 0, 0, (uint8_t)(h + 1), (uint8_t)leg};
    memcpy(mac, m, 6);
}

/* The switches flood: every frame reaches every other leg, each by its own path. */
static void fabric_send(unsigned leg, const uint8_t *frame, size_t size, void *userdata) {
    struct fabric *f = userdata;
    unsigned from = f->sender;
    bool tagged = frame[12] == 0x81;
    size_t packet = size - 14 - (tagged ? 4 : 0);
    if (packet > f->out[from][leg] || (tagged ? f->vlan_missing[from][leg] : f->untagged_lost))
        return;
    for (unsigned h = 0; h < f->n_hosts; h++)
        for (unsigned l = 0; l < N_LEGS; l++) {
            if ((h == from && l == leg) || f->off[h] || packet > f->in[h][l] || (l != leg && packet > f->isl) ||
                (tagged && f->vlan_missing[h][l]) ||
                (from < f->n_lost_pairs && leg == 0 && h == f->n_hosts - 1 && l == 1))
                continue;
            if (f->lose_one_in && ++f->n_frames % f->lose_one_in == 0)
                continue;
            assert_true(f->tail < QUEUE);
            memcpy(f->queue[f->tail].data, frame, size);
            f->queue[f->tail].size = size;
            f->queue[f->tail].host = h;
            f->queue[f->tail++].leg = l;
        }
}

static void deliver(struct fabric *f) {
    static uint8_t data[PROBE_MAX_FRAME];
    while (f->head < f->tail) {
        unsigned at = f->head++;
        size_t size = f->queue[at].size;
        uint16_t vlan = 0;
        memcpy(data, f->queue[at].data, size);
        if (data[12] == 0x81) {
            vlan = (uint16_t)(data[14] << 8 | data[15]);
            memmove(data + 12, data + 16, size - 16);
            size -= 4;
        }
        struct probe_frame frame;
        assert_true(probe_frame_read(data, size, vlan, &frame));
        f->sender = f->queue[at].host;
        probe_core_receive(f->core[f->sender], f->queue[at].leg, &frame, f->now, fabric_send, f);
    }
    f->head = f->tail = 0;
}

static void fabric_run(struct fabric *f, uint64_t ms) {
    for (uint64_t end = f->now + ms; f->now < end; f->now += 5)
        for (unsigned h = 0; h < f->n_hosts; h++)
            if (!f->off[h]) {
                f->sender = h;
                probe_core_run(f->core[h], f->now, fabric_send, f);
                deliver(f);
            }
}

/* Tells every host of legs and peers, as often as rows change. */
static void configure(struct fabric *f) {
    struct probe_peer peers[MAX_HOSTS * N_LEGS];
    struct probe_vlan vlans[2] = {{0, 9000}, {101, 9000}};
    unsigned n_peers = 0;
    for (unsigned h = 0; h < f->n_hosts; h++)
        for (unsigned l = 0; l < N_LEGS; l++) {
            struct probe_peer *p = &peers[n_peers++];
            *p = (struct probe_peer){.host = host_uuid(h), .group = group};
            snprintf(p->leg, sizeof(p->leg), "eth%u", l);
            nic_mac(h, l, p->mac);
        }
    for (unsigned h = 0; h < f->n_hosts; h++) {
        struct probe_leg legs[N_LEGS];
        for (unsigned l = 0; l < N_LEGS; l++) {
            legs[l] = (struct probe_leg){.group = group, .vlans = vlans, .n_vlans = f->vlan ? 2 : 1};
            snprintf(legs[l].name, sizeof(legs[l].name), "eth%u", l);
            nic_mac(h, l, legs[l].mac);
        }
        probe_core_configure(f->core[h], legs, N_LEGS, peers, n_peers, f->now);
    }
}

static struct fabric *fabric_new(unsigned n_hosts, bool vlan) {
    struct fabric *f = xnew0(struct fabric);
    f->queue = xcalloc(QUEUE, sizeof(*f->queue));
    f->n_hosts = n_hosts;
    f->vlan = vlan;
    f->isl = PROBE_MAX_SIZE;
    f->now = 1000;
    for (unsigned h = 0; h < n_hosts; h++) {
        for (unsigned l = 0; l < N_LEGS; l++)
            f->out[h][l] = f->in[h][l] = PROBE_MAX_SIZE;
        struct uuid self = host_uuid(h);
        f->core[h] = probe_core_new(&self, h + 7);
    }
    configure(f);
    return f;
}

static void fabric_free(struct fabric *f) {
    for (unsigned h = 0; h < f->n_hosts; h++)
        probe_core_free(f->core[h]);
    free(f->queue);
    free(f);
}

struct edge_list {
    struct probe_edge edges[256];
    unsigned n;
};

static void add_edge(const struct probe_edge *e, void *userdata) {
    struct edge_list *l = userdata;
    assert_true(l->n < ARRAY_SIZE(l->edges));
    l->edges[l->n++] = *e;
}

static unsigned diagnose(struct fabric *f, struct probe_fault *ret) {
    static struct edge_list lists[MAX_HOSTS];
    static struct probe_leg_fact facts[MAX_HOSTS][N_LEGS];
    struct probe_report reports[MAX_HOSTS];
    for (unsigned h = 0; h < f->n_hosts; h++) {
        lists[h].n = 0;
        probe_core_each(f->core[h], add_edge, &lists[h]);
        for (unsigned l = 0; l < N_LEGS; l++) {
            facts[h][l] = (struct probe_leg_fact){.group = group, .carrier = true, .untagged = !f->tagged_only};
            snprintf(facts[h][l].name, PROBE_LEG_SIZE, "eth%u", l);
            snprintf(facts[h][l].switch_name, sizeof(facts[h][l].switch_name), "sw%c", 'A' + (int)l);
            snprintf(facts[h][l].switch_port, sizeof(facts[h][l].switch_port), "port%u", h + 1);
        }
        reports[h] = (struct probe_report){.host = host_uuid(h),
                                           .live = !f->off[h],
                                           .fresh = !f->off[h],
                                           .legs = facts[h],
                                           .n_legs = N_LEGS,
                                           .edges = lists[h].edges,
                                           .n_edges = lists[h].n};
    }
    return probe_diagnose(reports, f->n_hosts, ret);
}

static struct probe_fault faults[PROBE_MAX_FAULTS];

static void test_clean_is_proven_at_once(void **state) {
    struct fabric *f = fabric_new(4, true);
    fabric_run(f, 200);
    for (unsigned h = 0; h < 4; h++) {
        struct edge_list l = {.n = 0};
        probe_core_each(f->core[h], add_edge, &l);
        assert_int_equal(l.n, 3 * 2 * 2 * 2);
        for (unsigned i = 0; i < l.n; i++) {
            assert_int_equal(l.edges[i].state, PROBE_PROVEN);
            assert_int_equal(l.edges[i].size, 9000);
        }
        assert_true(probe_core_settled(f->core[h], 1000));
    }
    assert_int_equal(diagnose(f, faults), 0);
    fabric_free(f);
}

static void expect_leg(struct fabric *f, unsigned n, unsigned host, const char *leg, enum probe_fault_kind kind,
                       enum probe_direction direction, uint16_t vlan, uint16_t passes) {
    for (unsigned i = 0; i < n; i++) {
        struct uuid u = host_uuid(host);
        if (uuid_eq(&faults[i].host, &u) && !strcmp(faults[i].leg, leg)) {
            assert_int_equal(faults[i].kind, kind);
            assert_int_equal(faults[i].direction, direction);
            assert_int_equal(faults[i].vlan, vlan);
            assert_int_equal(faults[i].passes, passes);
            assert_int_equal(faults[i].fails, 9000);
            assert_string_equal(faults[i].switch_name, leg[3] == '0' ? "swA" : "swB");
            return;
        }
    }
    fail_msg("no verdict about host %u leg %s", host, leg);
}

static void test_one_leg_limited_both_ways(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->out[1][1] = f->in[1][1] = 1500;
    fabric_run(f, 6000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 1, "eth1", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    fabric_free(f);
}

/* Rows that change all the time, and proofs that are asked for all the time, do not keep a fault from being found. */
static void test_limit_is_found_while_asked_often(void **state) {
    struct fabric *f = fabric_new(4, true);
    fabric_run(f, 1000);
    f->out[1][1] = f->in[1][1] = 1500;
    for (unsigned i = 0; i < 20; i++) {
        configure(f);
        for (unsigned h = 0; h < f->n_hosts; h++)
            probe_core_request(f->core[h], f->now);
        fabric_run(f, 300);
    }
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 1, "eth1", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    fabric_free(f);
}

static void test_both_legs_limited(void **state) {
    struct fabric *f = fabric_new(4, false);
    for (unsigned l = 0; l < N_LEGS; l++)
        f->out[2][l] = f->in[2][l] = 1500;
    fabric_run(f, 6000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 2);
    expect_leg(f, n, 2, "eth0", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    expect_leg(f, n, 2, "eth1", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    fabric_free(f);
}

static void test_one_direction_only(void **state) {
    struct fabric *f = fabric_new(4, false);
    f->in[0][0] = 4321;
    fabric_run(f, 8000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 0, "eth0", PROBE_FAULT_LEG_LIMITED, PROBE_IN, 0, 4321);
    fabric_free(f);
}

static void test_leg_dead(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->out[3][0] = f->in[3][0] = 0;
    fabric_run(f, 6000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 3, "eth0", PROBE_FAULT_LEG_DEAD, PROBE_BOTH, 0, 0);
    fabric_free(f);
}

static void test_vlan_not_carried(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->vlan_missing[1][0] = true;
    fabric_run(f, 6000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 1, "eth0", PROBE_FAULT_VLAN_MISSING, PROBE_BOTH, 101, 0);
    for (unsigned h = 0; h < 4; h++)
        for (unsigned l = 0; l < N_LEGS; l++)
            f->vlan_missing[h][l] = true;
    fabric_run(f, 9000);
    assert_int_equal(diagnose(f, faults), 1);
    assert_int_equal(faults[0].kind, PROBE_FAULT_VLAN_NOWHERE);
    fabric_free(f);
}

/* Ports for tagged VLANs alone, which nobody uses otherwise: the VLAN speaks for the leg. */
static void test_tagged_only(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->tagged_only = f->untagged_lost = true;
    fabric_run(f, 9000);
    assert_int_equal(diagnose(f, faults), 0);
    f->out[1][1] = f->in[1][1] = 1500;
    fabric_run(f, 9000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 1, "eth1", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 101, 1500);
    f->out[1][1] = f->in[1][1] = PROBE_MAX_SIZE;
    f->vlan_missing[2][0] = true; /* now nothing passes it */
    fabric_run(f, 40000);
    n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 2, "eth0", PROBE_FAULT_LEG_DEAD, PROBE_BOTH, 0, 0);
    fabric_free(f);
}

/* The native VLAN is missing where somebody has an address on it. */
static void test_untagged_not_carried(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->untagged_lost = true;
    fabric_run(f, 9000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 8);
    expect_leg(f, n, 1, "eth1", PROBE_FAULT_VLAN_MISSING, PROBE_BOTH, 0, 0);
    fabric_free(f);
}

static void test_link_between_switches(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->isl = 1500;
    fabric_run(f, 6000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    assert_int_equal(faults[0].kind, PROBE_FAULT_ISL_LIMITED);
    assert_int_equal(faults[0].passes, 1500);
    assert_int_equal(faults[0].vlan, 0);
    assert_string_equal(faults[0].switch_name, "swA");
    assert_string_equal(faults[0].other_switch, "swB");
    /* the path that is told begins on the first switch and is the first of its kind, with its ports */
    struct uuid first = host_uuid(0), second = host_uuid(1);
    assert_true(uuid_eq(&faults[0].seen[0].host, &first));
    assert_string_equal(faults[0].seen[0].leg, "eth0");
    assert_string_equal(faults[0].seen[0].switch_port, "port1");
    assert_true(uuid_eq(&faults[0].seen[1].host, &second));
    assert_string_equal(faults[0].seen[1].leg, "eth1");
    assert_string_equal(faults[0].seen[1].switch_port, "port2");
    fabric_free(f);
}

/* One pair of legs of many that cross the link is no reason to accuse the link; two are. */
static void test_one_pair_does_not_accuse_the_link(void **state) {
    struct fabric *f = fabric_new(4, false);
    f->in[3][1] = f->out[3][1] = 1500;
    f->n_lost_pairs = 1;
    fabric_run(f, 12000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 3, "eth1", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    f->n_lost_pairs = 2;
    fabric_run(f, 24000);
    n = diagnose(f, faults);
    assert_int_equal(n, 2);
    assert_true(faults[0].kind == PROBE_FAULT_ISL_DEAD || faults[1].kind == PROBE_FAULT_ISL_DEAD);
    fabric_free(f);
}

static void test_whole_fabric(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->isl = 1500;
    for (unsigned h = 0; h < 4; h++)
        for (unsigned l = 0; l < N_LEGS; l++)
            f->out[h][l] = f->in[h][l] = 1500;
    fabric_run(f, 6000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    assert_int_equal(faults[0].kind, PROBE_FAULT_FABRIC_LIMITED);
    assert_int_equal(faults[0].passes, 1500);
    assert_int_equal(faults[0].fails, 9000);
    fabric_free(f);
}

/* Paths are measured one after another: while they are, no port is accused of what the whole network has. */
static void test_whole_fabric_accuses_no_port_on_the_way(void **state) {
    for (unsigned n_hosts = 2; n_hosts <= 4; n_hosts += 2)
        for (unsigned warm_ms = 1000; warm_ms < 4000; warm_ms += 170) {
            struct fabric *f = fabric_new(n_hosts, true);
            bool is_named = false;
            fabric_run(f, warm_ms);
            f->isl = 1500;
            for (unsigned h = 0; h < n_hosts; h++)
                for (unsigned l = 0; l < N_LEGS; l++)
                    f->out[h][l] = f->in[h][l] = 1500;
            for (unsigned i = 0; i < 200; i++) {
                fabric_run(f, 50);
                unsigned n = diagnose(f, faults);
                for (unsigned k = 0; k < n; k++) {
                    is_named |= faults[k].kind == PROBE_FAULT_FABRIC_LIMITED;
                    if (faults[k].kind == PROBE_FAULT_LEG_LIMITED && faults[k].direction == PROBE_BOTH)
                        fail_msg("%u hosts, %u ms: leg %s on VLAN %u is accused after %u ms (of %u)", n_hosts, warm_ms,
                                 faults[k].leg, faults[k].vlan, i * 50, n);
                }
            }
            assert_true(is_named);
            assert_int_equal(diagnose(f, faults), 1);
            fabric_free(f);
        }
}

/* A leg alone is told at once, whenever it happens between two measurements. */
static void test_limited_leg_is_told_soon(void **state) {
    unsigned slowest = 0;
    for (unsigned n_hosts = 2; n_hosts <= 4; n_hosts += 2)
        for (unsigned warm_ms = 1000; warm_ms < 4000; warm_ms += 170) {
            struct fabric *f = fabric_new(n_hosts, true);
            unsigned took = 0, n = 0;
            fabric_run(f, warm_ms);
            f->out[1][1] = f->in[1][1] = 1500;
            while (took < 10000 &&
                   !(n == 1 && faults[0].kind == PROBE_FAULT_LEG_LIMITED && faults[0].direction == PROBE_BOTH)) {
                fabric_run(f, 50);
                took += 50;
                n = diagnose(f, faults);
            }
            slowest = MAX(slowest, took);
            fabric_free(f);
        }
    print_message("the slowest was told after %u ms\n", slowest);
    assert_true(slowest <= 4300); /* 3 s between two measurements, 0.9 s of doubt, a ladder; the alert waits 1.5 s */
}

static void count_limited(const struct probe_edge *e, void *userdata) {
    *(unsigned *)userdata += e->state == PROBE_LIMITED;
}

/* Large frames are lost for a second, as when a bond or a switch changes over: that is not a limit. */
static void test_short_loss_of_large_frames_is_no_limit(void **state) {
    for (unsigned warm_ms = 1000; warm_ms < 4000; warm_ms += 170) {
        struct fabric *f = fabric_new(4, true);
        unsigned n = 0;
        fabric_run(f, warm_ms);
        f->out[1][1] = f->in[1][1] = 1500;
        for (unsigned ms = 0; ms < 6000; ms += 10) {
            if (ms == 1200)
                f->out[1][1] = f->in[1][1] = PROBE_MAX_SIZE;
            fabric_run(f, 10);
            for (unsigned h = 0; h < f->n_hosts; h++)
                probe_core_each(f->core[h], count_limited, &n);
        }
        assert_int_equal(n, 0);
        fabric_free(f);
    }
}

/* All ports of one switch: that is no matter of the whole network, and each is told. */
static void test_one_switch_limited(void **state) {
    struct fabric *f = fabric_new(2, true);
    fabric_run(f, 3000);
    for (unsigned h = 0; h < 2; h++)
        f->out[h][0] = f->in[h][0] = 1500;
    fabric_run(f, 8000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 2);
    expect_leg(f, n, 0, "eth0", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    expect_leg(f, n, 1, "eth0", PROBE_FAULT_LEG_LIMITED, PROBE_BOTH, 0, 1500);
    fabric_free(f);
}

static void test_host_down_accuses_no_port(void **state) {
    struct fabric *f = fabric_new(4, true);
    fabric_run(f, 500);
    f->off[2] = true;
    fabric_run(f, 9000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    assert_int_equal(faults[0].kind, PROBE_FAULT_HOST_DOWN);
    struct uuid u = host_uuid(2);
    assert_true(uuid_eq(&faults[0].host, &u));
    fabric_free(f);
}

static void test_fault_comes_and_goes(void **state) {
    struct fabric *f = fabric_new(4, true);
    fabric_run(f, 3000);
    assert_int_equal(diagnose(f, faults), 0);
    f->out[1][0] = 1500;
    fabric_run(f, 9000);
    unsigned n = diagnose(f, faults);
    assert_int_equal(n, 1);
    expect_leg(f, n, 1, "eth0", PROBE_FAULT_LEG_LIMITED, PROBE_OUT, 0, 1500);
    f->out[1][0] = PROBE_MAX_SIZE;
    fabric_run(f, 5000);
    assert_int_equal(diagnose(f, faults), 0);
    fabric_free(f);
}

static void test_some_loss_is_no_fault(void **state) {
    struct fabric *f = fabric_new(4, true);
    f->lose_one_in = 9;
    fabric_run(f, 30000);
    assert_int_equal(diagnose(f, faults), 0);
    fabric_free(f);
}

static void test_frame_refuses_nonsense(void **state) {
    struct probe_frame f = {.type = PROBE_REQUEST, .size = 200, .nonce = 42, .leg = "eth0"}, back;
    uint8_t out[PROBE_MAX_FRAME];
    size_t size = probe_frame_write(&f, out);
    assert_int_equal(size, 214);
    assert_true(probe_frame_read(out, size, 7, &back));
    assert_int_equal(back.vlan, 7);
    assert_int_equal(back.nonce, 42);
    assert_false(probe_frame_read(out, size - 1, 0, &back)); /* shorter than it says */
    memset(out + 14 + 32, 'x', 16);
    assert_false(probe_frame_read(out, size, 0, &back)); /* endless name */
    out[13] = 0;
    assert_false(probe_frame_read(out, size, 0, &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_is_proven_at_once),
        cmocka_unit_test(test_one_leg_limited_both_ways),
        cmocka_unit_test(test_limit_is_found_while_asked_often),
        cmocka_unit_test(test_both_legs_limited),
        cmocka_unit_test(test_one_direction_only),
        cmocka_unit_test(test_leg_dead),
        cmocka_unit_test(test_vlan_not_carried),
        cmocka_unit_test(test_tagged_only),
        cmocka_unit_test(test_untagged_not_carried),
        cmocka_unit_test(test_link_between_switches),
        cmocka_unit_test(test_one_pair_does_not_accuse_the_link),
        cmocka_unit_test(test_whole_fabric),
        cmocka_unit_test(test_whole_fabric_accuses_no_port_on_the_way),
        cmocka_unit_test(test_limited_leg_is_told_soon),
        cmocka_unit_test(test_short_loss_of_large_frames_is_no_limit),
        cmocka_unit_test(test_one_switch_limited),
        cmocka_unit_test(test_host_down_accuses_no_port),
        cmocka_unit_test(test_fault_comes_and_goes),
        cmocka_unit_test(test_some_loss_is_no_fault),
        cmocka_unit_test(test_frame_refuses_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
