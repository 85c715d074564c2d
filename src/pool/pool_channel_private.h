/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the pool channel, for its own files: peers, calls in flight, relaying of the volatile store. */
#pragma once

#include "pool/pool_channel.h"
#include "wire/channel.h"

#define MAX_PEERS 256
#define MAX_SERVED 64

/* What a peer has of one owner's volatile store. */
struct sent {
    struct uuid owner;
    uint64_t generation;
};

/* A host that we have, or expect, a connection with. */
struct peer {
    struct pool_channel *c;
    struct uuid host;        /* null until its hello */
    struct channel *channel; /* NULL: not connected */
    bool admitted;
    uint64_t admitted_ms; /* when it last was, loop time */
    bool expected;
    bool said_goodbye;
    struct liveness liveness;
    struct loop_source *hello_timer;
    struct sent *sent;
    size_t n_sent;
};

struct knock;

struct served {
    const char *name;
    pool_serve_fn *fn;
    void *userdata;
};

struct pending;

struct pool_channel {
    struct pool_channel_config config;
    char *cert_path, *key_path, *ca_path;
    struct tls_context *server_tls, *client_tls;
    struct listener *listener;
    char *listen_address;

    struct peer *peers[MAX_PEERS]; /* admitted or not */
    unsigned n_peers;

    char *target;             /* member: the coordinator's address */
    struct peer *coordinator; /* member: the connection to it */
    uint64_t backoff_ms;
    struct loop_source *connect_timer;
    char *trouble;

    struct loop_source *beat_timer, *look_timer, *flush_timer;
    struct db_watch *batches;

    struct served served[MAX_SERVED];
    unsigned n_served;
    struct pending *pending;
    unsigned n_pending;
    uint64_t next_call;
    struct knock *knocks;
};

/* pool_channel.c */
struct peer *peer_find(const struct pool_channel *c, const struct uuid *host); /* NULL */
void peer_forget(struct peer *p);                                              /* a connection that is of no use */
bool peer_send(struct peer *p, const struct value *message);
struct value message_new(const char *type);
/* The TLS side of a connection that we make; false with *errp when the files on disk are of no use. */
bool client_tls_load(struct pool_channel *c, struct error **errp) _warn_unused_;

/* pool_knock.c */
void knock_received(struct peer *p, const struct value *message);
void knocks_free(struct pool_channel *c);

/* pool_volatile.c: sends every admitted peer what it has not seen yet. */
void volatile_flush(struct pool_channel *c);
void volatile_forget(struct pool_channel *c,
                     const struct uuid *owner); /* the owner comes from scratch: resend all of it */
void volatile_receive(struct peer *p, const struct value *message);

/* pool_call.c */
void call_receive(struct peer *p, const struct value *message);
void return_receive(struct peer *p, const struct value *message);
/* Those who have asked that host are told that there is no answer; they may do anything: no peer is what it was. */
void calls_fail_for(struct pool_channel *c, const struct uuid *host, const char *reason);
void calls_free(struct pool_channel *c);
