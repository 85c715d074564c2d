/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of membership, for the files of this folder. */
#pragma once

#include "pool/pki.h"
#include "pool/pool.h"
#include "db/db_server.h"
#include "pool/pool_identity.h"
#include "pool/voters_core.h"
#include "wire/http_client.h"

struct pool_going {
    struct uuid host;
    uint64_t since_ms;
};

struct pool {
    struct pool_config config;
    char *state_dir, *run_dir, *schema_path, *pki_dir;
    char *key_path, *cert_path, *chain_path, *ca_path, *all_path, *sealed_path, *sealkey_path;
    struct identity identity;
    bool started;    /* pool_start has begun */
    bool db_started; /* the database server runs (as far as we know) */
    bool going_down;
    bool judges; /* it has led since it started, and rows say who is alive by its judgement */
    struct rows_host facts;
    char *certificate; /* own, PEM */
    struct db_server *dbserver;
    struct pool_channel *channel;
    struct http_client *client;
    struct sm sm;
    struct db_watch *watch;
    struct loop_source *role_timer, *state_timer, *voters_timer, *start_timer, *leave_timer, *certificates_timer;
    bool said_no_certificates;

    bool sign_wanted;       /* the coordinator has a younger authority than this host */
    bool sign_asked;        /* a certificate is being asked for, or its arrival confirmed */
    bool authority_writing; /* coordinator: the bundle is being written */
    uint64_t sign_after_ms; /* not before */
    bool key_asked;         /* for the authority's key, or about it */
    uint64_t key_after_ms, key_idle_ms;
    char key_of[PKI_FINGERPRINT_SIZE]; /* the authority whose key was found here at the last look; "" */

    bool network_pending, proven, limited;
    char *limit_text;
    uint64_t without_since_ms; /* no coordinator since; 0: there is one */
    char *refused;             /* the coordinator's last refusal; NULL */
    bool inserting;            /* the first rows are being written */

    /* voters: one change at a time */
    bool voters_busy;
    struct strv cluster; /* addresses of the cluster's servers, at the last look */
    bool cluster_known;
    unsigned n_ticks;
    bool schema_asking, schema_known;
    char *schema_text; /* the database's schema is not ours: what and why; NULL */
    uint64_t convert_after_ms;
    unsigned n_handovers;                       /* changes of the coordinator without an outcome yet */
    uint64_t majority_ms;                       /* when the database last took writes, as far as this host knows */
    uint64_t solo_since_ms;                     /* without a majority, though allowed to go on alone; 0: not */
    uint64_t stray_since_ms;                    /* a server in the cluster that belongs to no host; 0: none */
    struct removal *removals;                   /* wait until no voter is being changed; owned */
    uint64_t dead_since_ms[IDENTITY_MAX_HOSTS]; /* by position of the host in the identity */

    /* addresses (pool_address.c) */
    bool readdressing; /* this host's address is about to be another: it takes no vote */
    struct prepare *preparing;
    bool address_writing, address_telling;
    uint64_t address_after_ms;
    char moved_from[64], moved_to[64]; /* the coordinator, when rows do not say so yet */
    struct missing *missing;           /* coordinator: hosts that are not connected; owned */
    unsigned n_missing;
    struct renewal *renewal; /* pool_outlook.c: a certificate is being asked for; NULL */
    struct confirmation *confirmations;
    struct pool_going going[IDENTITY_MAX_HOSTS]; /* coordinator: hosts that said that they go down; n_going */
    unsigned n_going;
    struct uuid *witnesses; /* hosts that were alive when the network change that runs began; owned */
    unsigned n_witnesses;
    char *relay_voters; /* what this host's relay was started with; NULL */
    uint64_t relay_lost_ms;
    unsigned n_relay_tries;  /* since there was a majority last */
    struct strv told_voters; /* by the coordinator, when it let this host in */
};

/* pool.c */
void pool_role_changed(struct pool *p); /* soon: look at rows again */
void pool_save(struct pool *p);
const struct row *pool_own_row(const struct pool *p);
const struct uuid *pool_leader(const struct pool *p); /* who coordinates, by the rows or by what was heard since */
/* A host that proved to be of this pool leads it, with this epoch. */
void pool_heard_leader(struct pool *p, const struct uuid *host, int64_t epoch);
const char *pool_address_of(const struct pool *p, const struct uuid *host); /* by rows, else identity; "" */
struct strv pool_voter_addresses(const struct pool *p, bool without_self);

/* pool_create.c: keys, certificates, the database server at start. */
bool pool_certificates_load(struct pool *p, struct error **errp) _warn_unused_;
void pool_begin(struct pool *p);
/* The voters that a relay of this host would use, as one text; the caller frees. */
char *pool_relay_voters(const struct pool *p);
void pool_start_relay(struct pool *p, const struct strv *voters, db_server_done_fn *done, void *userdata);
void pool_insert_first(struct pool *p);
/* `retired`: taken by the pool channel only. In an order that leaves a host that its pool knows, wherever it is cut. */
bool pool_write_certificates(struct pool *p, const char *certificate, const char *authorities, const char *retired,
                             struct error **errp) _warn_unused_;
struct pki_ca *pool_open_ca(struct pool *p, struct error **errp) _warn_unused_;

/*
 * pool_authority.c: an eject begins a new generation of the authority. Each host gets a certificate for the key it has,
 * installs it, says so; when all hosts that are alive have, the database and the API forget the old authority, and when
 * all have, the channel does. Who was away comes back over the channel: the new authority is vouched for by the old.
 */
struct authority_change;
struct authority_change *pool_authority_change_new(struct pool *p, const char *root, const char *cross,
                                                   unsigned generation);
void pool_authority_begin(struct authority_change *c, struct db_txn *t); /* adds it to the transaction */
void pool_authority_end(struct authority_change *c, bool committed);     /* accepts NULL; frees */
/* pool_authority_next.c: makes one ready; NULL with a warning in the log when this host cannot. Within 4 s. */
typedef void pool_next_authority_fn(struct authority_change *c /* taken */, void *userdata);
void pool_authority_prepare(struct pool *p, pool_next_authority_fn *done, void *userdata);
/* pool_authority_key.c: its key lies with the coordinator and with every voter. */
void pool_authority_key_init(struct pool *p);
void pool_authority_key_tick(struct pool *p);
bool pool_holds_authority(struct pool *p);
bool pool_keep_authority(struct pool *p, struct pki_ca *ca, const char *path, struct error **errp) _warn_unused_;
void pool_authority_init(struct pool *p);
void pool_authority_tick(struct pool *p);
/* The coordinator says which authority is the newest (NULL: it does not): does this host need a certificate of it? */
void pool_authority_told(struct pool *p, const char *newest);
/* The fingerprint of the newest authority in a bundle; "" when there is none. */
void pool_authority_newest(const char *bundle, char ret[static PKI_FINGERPRINT_SIZE]);

/* pool_voters.c */
void pool_voters_init(struct pool *p);
void pool_voters_tick(struct pool *p);
void pool_voters_look(struct pool *p); /* coordinator: the cluster is asked who votes, now and not with the next tick */
void pool_voters_note(struct pool *p, const struct strv *addresses); /* the cluster's servers, as just asked */
/* All hosts as the decisions about voters see them; their number. */
/* The hosts, and after them the servers of no host. */
#define VOTERS_VIEW_MAX (IDENTITY_MAX_HOSTS + DB_SERVER_PEERS_MAX)
unsigned pool_voters_view(struct pool *p, struct voter_host ret[static VOTERS_VIEW_MAX]);
/* The address of a database server of the cluster (as last noted) that belongs to no host; NULL without one. */
const char *pool_voters_stray(const struct pool *p);
/*
 * Asks the cluster, now, who its servers are: the own server when it votes, else the voters that can be reached, one
 * after another. No address: nobody with a majority behind it could say.
 */
typedef void pool_cluster_fn(struct pool *p, const struct strv *addresses /* borrowed */, void *userdata);
void pool_voters_ask(struct pool *p, pool_cluster_fn *fn, void *userdata);
/* Takes the vote of the server at this address away, by way of any voter that has a majority behind it. */
void pool_voters_kick(struct pool *p, const char *address, db_server_done_fn *done, void *userdata);

/* pool_down.c */
void pool_down_init(struct pool *p);
bool pool_is_going(const struct pool *p, const struct uuid *host);
void pool_going_forget(struct pool *p, const struct uuid *host); /* it is there again */

/* pool_address.c: this host's address changes, or the coordinator's. */
void pool_address_init(struct pool *p);
void pool_address_done(struct pool *p);
void pool_address_tick(struct pool *p);
/* Its network is about to give this host another address: it should not be made a voter now. */
bool pool_address_is_moving(const struct pool *p, const struct row *host);
/* See pool_channel_callbacks. */
bool pool_address_knocked(struct pool *p, const struct uuid *host, int64_t epoch, const char *certified,
                          const char *key, const char *address);

/* pool_solo.c: of a pool of two, one host may go on without the other. */
/* Coordinator, before the voters are changed: true when the rows name whom they should. */
bool pool_solo_settle(struct pool *p);
void pool_solo_tick(struct pool *p);
void pool_dissolved(struct pool *p); /* the cluster is this host alone now: notes it on disk */

/* pool_schema.c */
void pool_schema_look(struct pool *p); /* the database server runs: is its database ours? Follows it then. */
void pool_schema_tick(struct pool *p);

/* pool_remove.c */
void pool_remove_init(struct pool *p);
void pool_remove_done(struct pool *p);
void pool_remove_tick(struct pool *p); /* starts the next removal that waits, when no voter is being changed */
/* pool_confirm.c */
void pool_confirm_init(struct pool *p);
void pool_confirm_done(struct pool *p);
/* Who is alive now should hear this host after the network change that begins (`anew`) or runs. */
void pool_note_witnesses(struct pool *p, bool anew);
