/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ties the prober to the pool: which legs and VLANs to measure follows from the replica, what was measured goes into
 * the volatile store (host.path_table, PIF.proven_size, PIF_metrics), and the verdicts over all hosts' measurements
 * become faults. Loop thread.
 */
#pragma once

#include "daemon/faults.h"
#include "loop/worker.h"
#include "probe/probe.h"

struct probing;

struct probing_config {
    struct loop *loop;
    struct db *db;
    struct worker *worker;
    struct faults *faults;
    struct uuid self;
    const char *switch_run_dir; /* where bridges have their management sockets */
    bool (*is_live)(const struct uuid *host, void *userdata);
    bool (*is_coordinator)(void *userdata);
    void *userdata;
};

struct probing *probing_new(const struct probing_config *config);
void probing_free(struct probing *p);

/* What a full proof has shown, now. */
struct probing_result {
    bool settled;        /* all edges were measured in time */
    bool control_passes; /* management reaches at least one live peer at the control size, or there is no live peer */
    bool full_size;      /* every edge to a live peer passes what is wanted */
    char sentence[512];  /* what is not so; "" */
};
typedef void probing_done_fn(const struct probing_result *r, void *userdata);
void probing_prove(struct probing *p, uint64_t deadline_ms, probing_done_fn *done, void *userdata);
/* A proof is under way; another would end it. */
bool probing_is_proving(const struct probing *p);
/*
 * Legs that reached live hosts and, to none of them, have again since `since_ms` (loop time): something is wrong and
 * not yet measured to its end. A map from the leg to a sentence part.
 */
struct value probing_doubts(struct probing *p, uint64_t since_ms);
/*
 * The other way: each live peer has measured each of its paths to a leg of this host, untagged, and told so. What it
 * measured before this host was away it forgets when the host is back.
 */
bool probing_is_measured(struct probing *p);
/*
 * Every path between this host and a live peer carries what is wanted, or a fault that is shown says why it does not:
 * one of this host, of the peer, or of the network between all hosts.
 */
bool probing_is_explained(struct probing *p);
/* States to the faults what is wrong by all measurements of now, which otherwise follows a moment after each. */
void probing_tell(struct probing *p);
/* What is wrong by the measurements of now, without the patience of what is shown: a map as faults.h has it. */
struct value probing_faults_now(struct probing *p);
/* The same from what is known, without measuring. */
struct probing_result probing_now(struct probing *p);
