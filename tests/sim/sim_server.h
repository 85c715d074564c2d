/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool database's server on a host: a file and a process, each with a life of its own, and the cluster that such
 * servers form. It is Raft seen from some way off: a leader needs a majority of the votes it knows of, entries are
 * copied step by step and count when a majority has them, who was elected has all that counted; an entry that its
 * leader could not copy may live on or vanish. What the pool sees of it is the same: writes that hang, outcomes that
 * are unknown, copies that are old, servers that were taken out of the cluster.
 */
#pragma once

#include <jansson.h>

#include "sim.h"

enum server_mode { SERVER_DOWN, SERVER_VOTER, SERVER_RELAY };

struct entry { /* shared by the logs that hold it */
    unsigned n_refs;
    uint64_t id, term;
    json_t *changes;     /* NULL: none */
    struct strv *config; /* addresses of the cluster's servers from here on; NULL: as before */
};

struct file {
    bool exists;
    uint64_t cluster; /* 0: made to join one */
    char address[64];
    struct strv join_at; /* where to ask, until it has joined */
    struct entry **log;
    size_t n, commit;
    uint64_t term;
};

struct client; /* sim_conn.c */

/* A transaction that a client of this server waits for. */
struct waiting {
    struct waiting *next;
    uint64_t id, conn, call;
    json_t *params;
    struct server *sent_to; /* NULL: not yet */
    uint64_t sent_ms, lost_ms;
    json_t *result; /* from the leader; told to the client when `index` is applied here */
    size_t index;
};

struct proposal {
    struct proposal *next;
    struct server *origin;
    uint64_t waiting, entry;
    json_t *params, *result;
    size_t index; /* in the log; 0: not yet */
};

struct server {
    struct sim_host *host;
    struct file file;
    /* the process */
    enum server_mode mode;
    uint64_t incarnation;
    json_t *state;
    size_t applied;
    char *chain, *trusted; /* as read from disk at the start or the last reload */
    bool leads, removed, leaving;
    struct server *leader;
    uint64_t heard_ms, majority_ms, patience_ms;
    struct strv relay_voters;
    struct server *upstream;
    uint64_t upstream_cluster;
    struct waiting *waiting;
    struct proposal *proposals, *last_proposal;
    struct client *clients;
    bool told_connected;
};

void sim_servers_init(void);
void sim_servers_done(void);
void server_power_cut(struct server *s);

/* ---- the file ---- */
void file_create(struct server *s, const char *address);
void file_make_join(struct server *s, const char *address, const struct strv *voters);
void file_remove(struct server *s);
/* A cluster of its own at this address out of all that the log holds. False when `solo` (may be NULL) may not. */
bool file_dissolve(struct server *s, const char *address, const struct uuid *solo);

/* ---- the process ---- */
void server_start(struct server *s, enum server_mode mode, const struct strv *relay_voters, const char *cert_path,
                  const char *ca_path);
void server_stop(struct server *s);
void server_reload(struct server *s, const char *cert_path, const char *ca_path);
bool server_is_connected(const struct server *s); /* reaches a leader; a relay: by way of a voter */
bool server_is_member(const struct server *s);
const struct strv *server_config(const struct server *s); /* as its log says; NULL without a file */
/* Asks the leader for a change of the cluster; false when there is no leader now. */
bool server_ask_remove(struct server *s, const char *address);
void server_transact(struct server *s, uint64_t conn, uint64_t call, const json_t *params);

/* ---- sim_conn.c: what the process tells its clients ---- */
void clients_state(struct server *s, const json_t *updates);
void clients_connected(struct server *s);
void clients_reply(struct server *s, uint64_t conn, uint64_t call, json_t *result /* taken */);
void clients_lost(struct server *s);
