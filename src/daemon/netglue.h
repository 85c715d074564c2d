/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ties the network agent to the pool: what is wanted follows from the rows, what came of it goes into the volatile
 * store (host.network_*) and the rows that only the host may write (PIF.currently_attached, PIF.MTU, addresses given by
 * a server), proofs go through the prober, confirmations through the pool. Loop thread.
 */
#pragma once

#include "daemon/faults.h"
#include "daemon/probing.h"
#include "net/net_agent.h"

struct netglue;
struct local_repair;

struct netglue_config {
    struct loop *loop;
    struct db *db;
    struct worker *worker;
    struct faults *faults;
    struct probing *probing;
    struct link *link;
    struct ovs *ovs;
    struct uuid self;
    const char *state_dir, *run_dir, *netboot_path;
    /* Does the pool hear this host over what it has now? Answer through `done`, NULL for yes, exactly once. */
    void (*confirm)(const char *hash, void (*done)(const char *problem, void *data), void *data, void *userdata);
    /*
     * The host's own address on the management network is about to be another: is the pool ready for that? Answer
     * through `done`, NULL for yes, exactly once. `prepared_end`: that change has ended, or is wanted no longer.
     */
    void (*prepare)(void (*done)(const char *problem, void *data), void *data, void *userdata);
    void (*prepared_end)(void *userdata);
    /* The state has changed: settled is true when nothing is pending. */
    void (*changed)(const struct net_agent_state *s, void *userdata);
    void *userdata;
};

struct netglue *netglue_new(const struct netglue_config *config);
void netglue_free(struct netglue *g); /* after worker_free */
struct net_agent *netglue_agent(struct netglue *g);
struct local_repair *netglue_repair(struct netglue *g);
/*
 * Before the rows say it: a configuration of this hash is not taken up before netglue_go, or `gate_ms` have passed (0:
 * no such gate), and these addresses (a set of texts; NULL: none) must answer before it counts as proven.
 */
void netglue_stage(struct netglue *g, const char *hash, uint64_t gate_ms, const struct value *probes);
void netglue_go(struct netglue *g, const char *hash);
/* The replica shows the present state of the pool: nothing is taken up from rows that may be of the past. */
void netglue_in_step(struct netglue *g);
