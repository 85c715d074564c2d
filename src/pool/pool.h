/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership of this host in a pool: creating one, finding it again after a boot, joining another, leaving, leading. It
 * owns the pool channel, the pool database's server process, the certificates and this host's identity on disk.
 * Everything is asynchronous and has a deadline; nothing is held over a remote call. Loop thread.
 */
#pragma once

#include "loop/worker.h"
#include "pool/pool_channel.h"
#include "pool/pool_rows.h"
#include "pool/states_core.h"

struct pool;

struct pool_callbacks {
    /* Certificates are on disk (or have changed): HTTPS can be served with them. */
    void (*certificates)(void *userdata);
    /* This process must start anew (it has joined another pool, or was ejected). */
    void (*restart)(const char *reason, void *userdata);
    /* The membership state, or what it rests on, has changed. */
    void (*state)(void *userdata);
};

struct pool_config { /* texts are copied */
    struct loop *loop;
    struct db *db;
    struct worker *worker;
    const char *state_dir, *run_dir, *schema_path;
    const struct pool_callbacks *callbacks;
    void *userdata;
};

/* Loads who this host is (or makes a new name for it). NULL with *errp when its identity is damaged beyond use. */
struct pool *pool_new(const struct pool_config *config, struct error **errp);
void pool_free(struct pool *p);
const struct uuid *pool_self(const struct pool *p);
struct pool_channel *pool_get_channel(struct pool *p); /* NULL before pool_start */
/*
 * The network is there: `facts` say the host's name, address and NICs (its uuid and certificate are filled in here).
 * Creates a pool of one when the host has never been in any, else finds its way back. May be called again when the
 * address has changed.
 */
void pool_start(struct pool *p, const struct rows_host *facts);

bool pool_is_coordinator(const struct pool *p);
bool pool_host_is_live(const struct pool *p, const struct uuid *host);
/* Coordinator: the host has joined, booted or reconnected in the last ten seconds, and may still be finding its feet.
 */
bool pool_host_is_new(const struct pool *p, const struct uuid *host);
/* Bare address of the coordinator as last known; "" when not known. */
const char *pool_coordinator_address(const struct pool *p);
/*
 * The host that a verified certificate names is a member, and the key is the one in its row. The certificate itself may
 * be newer than the row: a host shows its new one before the coordinator has written it down.
 */
bool pool_is_member_key(const struct pool *p, const char *common_name, const char *key_fingerprint);

/* ---- the membership state ---- */
/* Why the pool database is not ours to use: its schema. NULL when it is. */
const char *pool_schema_trouble(const struct pool *p);
const struct sm *pool_state(const struct pool *p);
/* The state of the replica is another: where this host stands is looked at now, and not with the next round. */
void pool_look(struct pool *p);
/* What the daemon knows: the network is being changed; the first proof has ended; some size is less than wanted. */
void pool_set_network(struct pool *p, bool pending);
void pool_set_proven(struct pool *p, bool proven);
void pool_set_limited(struct pool *p, bool limited, const char *sentence);

/* ---- operations; `done` exactly once ---- */
typedef void pool_done_fn(const struct error *error /* borrowed */, void *userdata);
/* Does the pool hear this host over the network that it has now? Member: asks the coordinator; coordinator: any live
 * member. */
void pool_confirm_network(struct pool *p, const char *hash, pool_done_fn *done, void *userdata);
/*
 * This host's own address on the management network is about to be another. Gives its vote in the pool database up when
 * others have one, since a vote is bound to an address; with *error the change should not be begun. Ends within 30 s.
 */
void pool_prepare_address(struct pool *p, pool_done_fn *done, void *userdata);
void pool_address_settled(struct pool *p); /* the change has ended, one way or the other */
struct pool_join_request {
    const char *address, *user, *password, *fingerprint; /* fingerprint "": see POOL_FINGERPRINT_REQUIRED */
    bool force;
};
void pool_join_other(struct pool *p, const struct pool_join_request *r, pool_done_fn *done, void *userdata);
/* Coordinator: a host asks to be let in (pool.join_request). `result` is a map for the answer, NULL on failure. */
typedef void pool_admitted_fn(const struct error *error, const struct value *result, void *userdata);
void pool_admit(struct pool *p, const struct value *request, pool_admitted_fn *done, void *userdata);
/*
 * What that pool says of a join and what it would make of this host (pool.join_look); nothing is changed on either
 * side. `table`: what this host has measured of the paths that an earlier look named, as JSON; "" nothing. `done` gets
 * the answer, read.
 */
void pool_look_at(struct pool *p, const struct pool_join_request *r, const char *table, pool_admitted_fn *done,
                  void *userdata);
/* Coordinator: the same, seen from here. False when the request itself is not sound. */
struct pool_joiner_view {
    struct uuid host;
    struct value problems; /* sentences; owned */
    struct db_txn *rows;   /* that a join would write, for db_fork_txn and db_txn_abandon; NULL: it is a member */
};
bool pool_view_joiner(struct pool *p, const struct value *request, struct pool_joiner_view *ret,
                      struct error **errp) _warn_unused_;
/* Coordinator: removes a host; `forget`: without telling it (it is dead). */
void pool_remove_host(struct pool *p, const struct uuid *host, bool forget, pool_done_fn *done, void *userdata);
void pool_set_coordinator(struct pool *p, const struct uuid *host, pool_done_fn *done, void *userdata);
/* Coordinator: begins a new certificate authority; done when it has begun, the hosts follow by themselves. */
void pool_rotate_authority(struct pool *p, pool_done_fn *done, void *userdata);
/* Member without coordinator: become it (address NULL), or look for it at an address. */
void pool_emergency(struct pool *p, const char *address, pool_done_fn *done, void *userdata);
/* This host goes down on purpose: goodbye, and out of the database cluster when another can carry it. Ends within 8 s.
 */
void pool_prepare_shutdown(struct pool *p, pool_done_fn *done, void *userdata);
