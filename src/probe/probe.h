/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober of a host: raw sockets on every leg, driven by probe_core on the loop. Loop thread only. It owns its
 * sockets; a leg whose link or interface goes away is opened again when it is back.
 */
#pragma once

#include "base/error.h"
#include "loop/loop.h"
#include "probe/probe_core.h"

struct probe;
typedef void probe_changed_fn(struct probe *p, void *userdata);

struct probe *probe_new(struct loop *l, const struct uuid *self);
void probe_free(struct probe *p);
/* `changed` runs (at most once per loop turn) after the state or size of any edge changed. */
void probe_on_change(struct probe *p, probe_changed_fn *changed, void *userdata);
void probe_configure(struct probe *p, const struct probe_leg *legs, unsigned n_legs, const struct probe_peer *peers,
                     unsigned n_peers);
/* Measures everything again now; `done` runs once when all edges have been measured, or at the deadline. One at a time:
 * a new request ends the earlier one as settled=false. */
typedef void probe_proof_fn(struct probe *p, bool settled, void *userdata);
void probe_prove(struct probe *p, uint64_t deadline_ms, probe_proof_fn *done, void *userdata);
/* A host has come back: measures everything towards it anew. */
void probe_forget(struct probe *p, const struct uuid *host);
void probe_each(const struct probe *p, probe_edge_fn *fn, void *userdata);
unsigned probe_n_edges(const struct probe *p);
uint64_t probe_generation(const struct probe *p);
