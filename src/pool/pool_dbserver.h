/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool database's own server process on this host: made, started, joined to the cluster, taken out of it, by the
 * tools that come with it. The process lives on when the daemon ends and is found again. One operation at a time; each
 * has a deadline and ends in exactly one call of `done`. Loop thread.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"

#define DBSERVER_RAFT_PORT 6643
#define DBSERVER_CLIENT_PORT 6641
#define DBSERVER_NAME "Muster"

struct dbserver;
typedef void dbserver_done_fn(const struct error *error /* borrowed; NULL: done */, void *userdata);

struct dbserver_config { /* texts are copied */
    struct loop *loop;
    const char *db_dir, *run_dir, *schema_path, *log_path;
    const char *key_path, *cert_path, *ca_path;
};

struct dbserver *dbserver_new(const struct dbserver_config *config);
void dbserver_free(struct dbserver *s); /* the process goes on */
const char *dbserver_socket(const struct dbserver *s);
bool dbserver_has_file(const struct dbserver *s);
bool dbserver_is_running(const struct dbserver *s); /* the process is there */
bool dbserver_is_busy(const struct dbserver *s);

/* Makes the file of a one-server cluster at this address; an existing file is kept. */
void dbserver_create(struct dbserver *s, const char *address, dbserver_done_fn *done, void *userdata);
/* Starts (or finds) the server of the file that is there. */
void dbserver_start_voter(struct dbserver *s, dbserver_done_fn *done, void *userdata);
/* Starts a server without a file that passes on to the voters at these addresses. Whatever ran before is ended. */
void dbserver_start_relay(struct dbserver *s, const struct strv *voters, dbserver_done_fn *done, void *userdata);
/* From relay to voter: a new file that joins the cluster at these addresses. On failure the file is gone and nothing
 * runs. */
void dbserver_join(struct dbserver *s, const char *address, const struct strv *voters, dbserver_done_fn *done,
                   void *userdata);
/* Leaves the cluster in order and ends; the file is set aside. On failure the server still runs with its file. */
void dbserver_leave(struct dbserver *s, unsigned timeout_s, dbserver_done_fn *done, void *userdata);
void dbserver_stop(struct dbserver *s, dbserver_done_fn *done, void *userdata);
/* Removes another server, by its address, from the cluster. */
void dbserver_kick(struct dbserver *s, const char *address, dbserver_done_fn *done, void *userdata);
/*
 * Key, certificate or authorities on disk are others: the server reads them again. `cut`: its clients connect anew, so
 * that whoever is trusted no longer loses what it had open.
 */
void dbserver_reload(struct dbserver *s, bool cut);
/* Emergency: makes a new one-server cluster at `address` out of what this voter has; no quorum needed. */
void dbserver_dissolve(struct dbserver *s, const char *address, dbserver_done_fn *done, void *userdata);
/* Sets the file aside (renamed, never deleted); nothing runs afterwards. `why` becomes part of its new name. */
void dbserver_set_aside(struct dbserver *s, const char *why, dbserver_done_fn *done, void *userdata);

/* The addresses of the cluster's servers, as this one knows them; empty without quorum. */
typedef void dbserver_servers_fn(const struct strv *addresses, bool has_quorum, void *userdata);
void dbserver_servers(struct dbserver *s, dbserver_servers_fn *fn, void *userdata);
/* The parser behind it, for tests: the text of cluster/status. */
bool dbserver_parse_status(const char *text, struct strv *ret_addresses, struct strv *ret_ids, bool *ret_has_quorum);
