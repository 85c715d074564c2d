/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions of the prober, without I/O: which frame to send when, and what the answers prove. One edge is one
 * direction of one pair: from a leg here to a leg of a peer, on one VLAN. Each edge is measured again and again:
 *
 *   ask      the smallest size and the wanted size together; both answered: proven
 *   confirm  the same again, later and with more patience, before anything bad is believed
 *   ladder   many sizes at once, then between the largest that passed and the smallest that did not, until exact
 *
 * Time and luck are parameters. Not thread-safe; used from the loop thread.
 */
#pragma once

#include "probe/probe_frame.h"

#define PROBE_MAX_LEGS 32   /* NICs of a host */
#define PROBE_MAX_VLANS 256 /* per leg, tag 0 included */
#define PROBE_MAX_PEERS 512 /* legs of other hosts */
#define PROBE_MAX_EDGES 8192

struct probe_vlan {
    uint16_t tag;  /* 0: untagged */
    uint16_t size; /* wanted, bytes of IP packet */
};

struct probe_leg {
    char name[PROBE_LEG_SIZE];
    uint8_t mac[6];    /* the NIC's own */
    struct uuid group; /* legs with the same group reach each other: the network of the bond or NIC */
    bool lag; /* in a LAG the switch chooses which leg receives: any of ours in the group may answer for this one */
    struct probe_vlan *vlans; /* borrowed during the call */
    unsigned n_vlans;
};

struct probe_peer {
    struct uuid host;
    char leg[PROBE_LEG_SIZE];
    uint8_t mac[6];
    struct uuid group;
    uint16_t limit; /* it means to carry no more than this, whatever we want; 0: no such limit */
};

enum probe_state { PROBE_UNKNOWN, PROBE_PROVEN, PROBE_LIMITED, PROBE_DEAD };

struct probe_edge {
    char leg[PROBE_LEG_SIZE];
    struct uuid peer;
    char peer_leg[PROBE_LEG_SIZE];
    uint16_t vlan;
    uint16_t wanted;
    uint16_t size; /* the largest size that was answered; 0 when dead or unknown */
    bool doubted;  /* proven, but the measurement that runs has not been answered as it should */
    enum probe_state state;
    uint64_t measured_ms; /* when the state was last confirmed; 0: never */
};

struct probe_core;
typedef void probe_send_fn(unsigned leg, const uint8_t *frame, size_t size, void *userdata);
typedef void probe_edge_fn(const struct probe_edge *edge, void *userdata);

struct probe_core *probe_core_new(const struct uuid *self, uint64_t seed);
void probe_core_free(struct probe_core *c);
/* How often a proven edge is measured again. Default 3000 ms. */
void probe_core_set_period(struct probe_core *c, uint64_t period_ms);
/* Replaces legs and peers; edges that stay keep what was measured (unless their wanted size changed). */
void probe_core_configure(struct probe_core *c, const struct probe_leg *legs, unsigned n_legs,
                          const struct probe_peer *peers, unsigned n_peers, uint64_t now_ms);
/* Measures every edge again now: a "full proof". */
void probe_core_request(struct probe_core *c, uint64_t now_ms);
/* What was measured towards this host is void (it has been away): its edges are unknown again and measured now. */
void probe_core_forget(struct probe_core *c, const struct uuid *host, uint64_t now_ms);
/* True when every edge has been measured since `since_ms`. */
bool probe_core_settled(const struct probe_core *c, uint64_t since_ms);
/* Sends what is due; returns when to call again (absolute ms). */
uint64_t probe_core_run(struct probe_core *c, uint64_t now_ms, probe_send_fn *send, void *userdata);
/*
 * A frame came in on leg `leg`. Requests for one of our legs are answered through `send` (at most 4000 answers per
 * second and leg); answers are matched by nonce. True when the state or size of an edge changed.
 */
bool probe_core_receive(struct probe_core *c, unsigned leg, const struct probe_frame *f, uint64_t now_ms,
                        probe_send_fn *send, void *userdata);
void probe_core_each(const struct probe_core *c, probe_edge_fn *fn, void *userdata);
/* Grows with every change of any edge's state or size. */
uint64_t probe_core_generation(const struct probe_core *c);
unsigned probe_core_n_edges(const struct probe_core *c);
