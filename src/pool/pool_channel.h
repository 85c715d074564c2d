/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool channel: what the hosts of a pool say to each other all the time. A star: the coordinator listens, each
 * member keeps one connection to it, TLS with the pool's certificates on both ends. Over it go heartbeats (every
 * second, both ways), the volatile store of each host (the coordinator relays everybody's to everybody), and small
 * calls between hosts.
 *
 * No wait here is without a deadline, and nothing blocks. Loop thread only.
 *
 * Messages are JSON objects with a member "t":
 *   hello   member -> coordinator: host, version, wall (ms), facts (a map of strings)
 *   welcome coordinator -> member: host, wall, facts;   refuse: code, params, facts, then the end
 *   beat    both ways;   bye: goes down on purpose
 *   vol     owner, data (an export of the volatile store, as text)
 *   knock   coordinator -> member that has lost it: host, epoch;   heard: host, then the end
 *   call    id, from, to, name, args;   return: id, to, value | code, params
 */
#pragma once

#include "db/db.h"
#include "pool/liveness_core.h"
#include "wire/tls.h"

#define POOL_CHANNEL_PORT 6640
#define POOL_CHANNEL_VERSION 1

struct pool_channel;
struct pool_reply; /* a call being served; answer it exactly once */

struct pool_channel_callbacks {
    /*
     * Coordinator: may this host, with this certificate, be a member? False refuses it with *errp. Fill in `facts` (a
     * map) for the welcome. `skew_ms`: the peer's clock minus ours.
     */
    bool (*admit)(const struct uuid *host, const char *fingerprint, const struct value *hello_facts, int64_t skew_ms,
                  struct value *facts, void *userdata, struct error **errp);
    /* Member: facts for the hello (a map). */
    void (*hello)(struct value *facts, void *userdata);
    /* Member: the coordinator has let us in. */
    void (*welcomed)(const struct uuid *coordinator, const struct value *facts, int64_t skew_ms, void *userdata);
    /* Member: it has refused us; `facts`: what `admit` filled in there (a map). `certified`: the name of the host in
     * its certificate. Trying goes on, slowly. */
    void (*refused)(const struct error *e, const struct value *facts, const char *certified, void *userdata);
    /*
     * Member: the coordinator knocks, from this address. `certified`: the name of the host in its certificate. True
     * when it is ours: it is told so, and this host connects there.
     */
    bool (*knocked)(const struct uuid *host, int64_t epoch, const char *certified, const char *key_fingerprint,
                    const char *address, void *userdata);
    /* The liveness of a host has changed: coordinator: any member; member: the coordinator. `reason` is a sentence
     * part. */
    void (*liveness)(const struct uuid *host, bool alive, const char *reason, void *userdata);
};

struct pool_channel_config { /* texts are copied */
    struct loop *loop;
    struct db *db;
    struct uuid self;
    const char *cert_path, *key_path, *ca_path;
    uint16_t port; /* 0: POOL_CHANNEL_PORT */
    const struct pool_channel_callbacks *callbacks;
    void *userdata;
};

struct pool_channel *pool_channel_new(const struct pool_channel_config *config);
void pool_channel_free(struct pool_channel *c);
/* The certificate or the authorities have changed on disk. */
void pool_channel_reload(struct pool_channel *c);

/*
 * Listens at `address` ("::" for any); members that were connected stay. The coordinator for its members; a member for
 * a coordinator that knocks, and to tell who asks it that it is none.
 */
bool pool_channel_listen(struct pool_channel *c, const char *address, struct error **errp) _warn_unused_;
void pool_channel_unlisten(struct pool_channel *c);
/* Coordinator: the hosts to judge; `assume_alive` gives each new one the whole patience first. */
void pool_channel_expect(struct pool_channel *c, const struct uuid *hosts, unsigned n, bool assume_alive);
/* Member: keep a connection to this address (NULL: none). */
void pool_channel_connect(struct pool_channel *c, const char *address);
/* Member: tries again at once instead of waiting for its turn. */
void pool_channel_retry_now(struct pool_channel *c);
/* Member: leaves the connection it has and makes a new one at once: its own address is another now. */
void pool_channel_renew(struct pool_channel *c);
/*
 * Coordinator: tells a member, at its address, where the pool is now (P10: within `deadline_ms`, nothing waits).
 * `done` once: NULL when it has heard it.
 */
typedef void pool_knock_done_fn(const struct error *error /* borrowed */, void *userdata);
void pool_channel_knock(struct pool_channel *c, const struct uuid *host, const char *address, unsigned deadline_ms,
                        pool_knock_done_fn *done, void *userdata);
/* Says goodbye to everybody connected: this host goes down on purpose. */
void pool_channel_goodbye(struct pool_channel *c);

bool pool_channel_is_connected(const struct pool_channel *c, const struct uuid *host);
bool pool_channel_is_alive(const struct pool_channel *c, const struct uuid *host);
/* For how long this host has been connected without a break; 0: it is not. */
uint64_t pool_channel_connected_for_ms(const struct pool_channel *c, const struct uuid *host);
/* When a beat of this host was last read, loop time; 0: never. */
uint64_t pool_channel_last_beat_ms(const struct pool_channel *c, const struct uuid *host);
/* Why there is no connection to the coordinator, for people; "" when there is. */
const char *pool_channel_trouble(const struct pool_channel *c);
/* Cuts the connection of a host (it was ejected). */
void pool_channel_drop(struct pool_channel *c, const struct uuid *host, const char *reason);

/* UUIDs in messages: as text. */
struct value value_uuid(const struct uuid *u);
bool value_map_uuid(const struct value *map, const char *key, struct uuid *ret) _warn_unused_;

/* ---- calls ---- */
typedef void pool_call_done_fn(const struct value *result, const struct error *error,
                               void *userdata); /* both borrowed; exactly once */
typedef void pool_serve_fn(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata);
/*
 * Calls `name` on a host (this one too). From a member to another member it goes through the coordinator. Fails with
 * POOL_CALL_FAILED when 4096 calls wait here already, or at the coordinator 256 that it passes on for this member.
 */
void pool_channel_call(struct pool_channel *c, const struct uuid *host, const char *name, struct value args /* taken */,
                       uint64_t deadline_ms, pool_call_done_fn *done, void *userdata);
/* `name` must live as long as the channel. */
void pool_channel_serve(struct pool_channel *c, const char *name, pool_serve_fn *fn, void *userdata);
void pool_reply_return(struct pool_reply *r, struct value result /* taken */);
void pool_reply_fail(struct pool_reply *r, struct error *e /* taken */);
