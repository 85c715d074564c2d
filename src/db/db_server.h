/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool database's own ovsdb-server process on this host: made, started, joined to the cluster, taken out of it,
 * with the tools that come with it. The process outlives this daemon and is found again by its pid file. One operation
 * at a time; each has a deadline at every step and ends in exactly one call of `done`, never from inside: error NULL,
 * or DB_SERVER_FAILED with one sentence. While no operation is under way, room is kept on the disk for a voter's log,
 * and a voter that would run out of it is stopped. A file is not deleted but renamed to
 * pool.db.<why>-<n>, the last three of each kind; damaged ones are kept all. Loop thread only.
 *
 * Addresses are bare ("10.0.0.1", "fd00::1"); ports and the transport are the same on every host.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "base/uuid.h"
#include "loop/loop.h"

#define DB_SERVER_RAFT_PORT 6643
#define DB_SERVER_CLIENT_PORT 6641

struct db_server;
typedef void db_server_done_fn(const struct error *error /* borrowed; NULL: done */, void *userdata);

struct db_server_config { /* texts are copied */
    struct loop *loop;
    const char *db_dir, *run_dir, *schema_path, *log_path;
    const char *key_path, *cert_path, *ca_path;
    const char *scheme;         /* NULL: "ssl"; tests use "tcp" */
    const char *listen_address; /* for relays; NULL: all */
    int raft_port, client_port; /* 0: the defaults above */
    uint64_t step_timeout_ms;   /* 0: 20 s; of one tool */
    unsigned join_timeout_s;    /* 0: 30 s; until a joining server is connected */
};

struct db_server *db_server_new(const struct db_server_config *config);
void db_server_free(struct db_server *s); /* the process goes on; an operation under way ends without its function */
const char *db_server_socket(const struct db_server *s);
bool db_server_has_file(const struct db_server *s);
bool db_server_is_running(const struct db_server *s); /* the process is there */
bool db_server_is_busy(const struct db_server *s);

/* Makes the file of a one-server cluster at this address; an existing file is kept. */
void db_server_create(struct db_server *s, const char *address, db_server_done_fn *done, void *userdata);
/*
 * Starts (or finds) the server of the file that is there. A file that the tools find damaged is set aside as "corrupt",
 * that of a server which the cluster has let go as "left", and the error says so; any other failure (a full disk)
 * leaves it in place. Not without room on the disk for what it will write; a file with a hole, as a full disk leaves
 * it, is mended, and kept as "hole" as it was.
 */
void db_server_start_voter(struct db_server *s, db_server_done_fn *done, void *userdata);
/* Starts a server without a file that passes on to the voters at these addresses. Whatever ran before is ended. */
void db_server_start_relay(struct db_server *s, const struct strv *voters, db_server_done_fn *done, void *userdata);
/*
 * From relay to voter: a new file that joins the cluster at these addresses, until it is connected. On failure it has
 * tried to leave again, its file is set aside and nothing runs; the caller asks a voter to kick `address`.
 */
void db_server_join(struct db_server *s, const char *address, const struct strv *voters, db_server_done_fn *done,
                    void *userdata);
/*
 * Leaves the cluster in order, waits until it is out, ends; the file is set aside. The last server of a cluster cannot
 * leave. On failure the server still runs with its file (a removal that was asked for may still happen).
 */
void db_server_leave(struct db_server *s, unsigned timeout_s, db_server_done_fn *done, void *userdata);
void db_server_stop(struct db_server *s, db_server_done_fn *done, void *userdata);
/* Removes another server, by its address, from the cluster, and waits until it is out. Fine when it was not in. */
void db_server_kick(struct db_server *s, const char *address, db_server_done_fn *done, void *userdata);
/*
 * Emergency: a new one-server cluster at `address` out of what this voter has; no quorum needed. With `solo` the
 * converted file must name this host in pool.solo_host, else everything stays as it was: of two halves only one may go
 * on. NULL: a person has said that the others are gone. The others see another cluster id and must be wiped and joined.
 */
void db_server_dissolve(struct db_server *s, const char *address, const struct uuid *solo, db_server_done_fn *done,
                        void *userdata);
/*
 * Gives this voter another address. With other voters: leaves and joins again (one host at a time); when joining fails
 * it joins at the old address. Alone: the file is converted. The caller has proven that the others reach the new
 * address.
 */
void db_server_change_address(struct db_server *s, const char *old_address, const char *address,
                              const struct strv *other_voters, db_server_done_fn *done, void *userdata);
/* Brings the database of a running server up to our schema, on line. Refuses a database that is newer than ours. */
void db_server_convert(struct db_server *s, db_server_done_fn *done, void *userdata);
/* Ends the server and sets the file aside. `why` becomes part of its new name. */
void db_server_set_aside(struct db_server *s, const char *why, db_server_done_fn *done, void *userdata);

/*
 * Key, certificate or authorities on disk are others: the server reads them again. `cut`: its clients connect anew, so
 * that whoever is trusted no longer loses what it had open.
 */
void db_server_reload(struct db_server *s, bool cut);

/* ---- the state of the cluster, as this server knows it ---- */
#define DB_SERVER_PEERS_MAX 16
struct db_server_peer {
    char sid[8];      /* short server id */
    char address[64]; /* bare */
    bool self;
};
struct db_server_status {
    char role[16];    /* leader, follower, candidate */
    char cluster[40]; /* cluster id, whole */
    uint64_t term;
    bool is_member;  /* not joining, leaving, or removed */
    bool has_failed; /* it could not write its log */
    bool has_leader;
    bool is_changing;     /* the leader only: a server is being added or removed */
    uint64_t uncommitted; /* entries that a majority is not yet known to have */
    size_t n_peers;       /* with itself */
    struct db_server_peer peers[DB_SERVER_PEERS_MAX];
};
/* The text of cluster/status. False when it is not one. */
bool db_server_parse_status(const char *text, struct db_server_status *ret) _warn_unused_;
/*
 * status NULL: no answer, or not a voter. Not an operation: works beside one. A server that is seen to have failed is
 * started anew, as an operation of its own.
 */
typedef void db_server_status_fn(const struct db_server_status *status /* borrowed */, void *userdata);
void db_server_get_status(struct db_server *s, db_server_status_fn *fn, void *userdata);
/* The addresses of the cluster's servers; empty without an answer. */
typedef void db_server_servers_fn(const struct strv *addresses, bool has_quorum, void *userdata);
void db_server_servers(struct db_server *s, db_server_servers_fn *fn, void *userdata);

/* ---- the schema of the database, as the running server has it ---- */
/* version NULL: no answer now, as while it joins. Not an operation. One question at a time: a second one replaces it.
 */
typedef void db_server_version_fn(const char *version /* borrowed */, void *userdata);
void db_server_get_schema_version(struct db_server *s, db_server_version_fn *fn, void *userdata);
enum db_schema {
    DB_SCHEMA_SAME,
    DB_SCHEMA_OLDER,   /* to be converted */
    DB_SCHEMA_NEWER,   /* has more than this version knows, which does no harm: only the last number is higher */
    DB_SCHEMA_FOREIGN, /* of a later kind, or not a version at all */
};
enum db_schema db_schema_compare(const char *version);
