/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON-RPC client of one OVSDB server on its unix socket (RFC 7047). It connects with back-off for ever, answers the
 * server's echo, sends its own, splits the byte stream into messages, and pairs requests with replies. Two forms: the
 * asynchronous one lives on a loop (loop thread only), the `ovsdb_sync_` one blocks up to a deadline and serves
 * programs that run from top to bottom.
 *
 * Errors set here have one of three codes: OVSDB_DISCONNECTED [path, reason], OVSDB_TIMEOUT [path, method] and
 * OVSDB_ERROR [error, details]. The first two say nothing about whether a transaction was committed.
 * An answer to "transact" may have a null error and still hold a failed operation: use ovsdb_transact_check.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "loop/loop.h"

#define OVSDB_DISCONNECTED "OVSDB_DISCONNECTED"
#define OVSDB_TIMEOUT "OVSDB_TIMEOUT"
#define OVSDB_ERROR "OVSDB_ERROR"

/* A snapshot of 100,000 rows is 84 MB; a message beyond this is not a pool's. */
#define OVSDB_MESSAGE_SIZE_MAX ((size_t)256 << 20)

struct ovsdb_conn;

/* connected: the socket is open and calls may be made. Otherwise `reason` says why it closed; a new attempt follows. */
typedef void ovsdb_state_fn(struct ovsdb_conn *c, bool connected, const char *reason, void *userdata);
/* A notification of the server ("update", "update2", "update3", "monitor_canceled", ...). `params` is borrowed. */
typedef void ovsdb_notify_fn(struct ovsdb_conn *c, const char *method, const json_t *params, void *userdata);
/* The end of one call: `result` (borrowed) with error NULL, or `result` NULL with an error (borrowed). */
typedef void ovsdb_reply_fn(const json_t *result, struct error *error, void *userdata);

/* Starts connecting in the next turn of the loop. `notify` may be NULL. */
struct ovsdb_conn *ovsdb_conn_new(struct loop *l, const char *path, ovsdb_state_fn *state, ovsdb_notify_fn *notify,
                                  void *userdata);
/* Closes. Calls without an answer are dropped and their functions not called. Fine from inside any callback. */
void ovsdb_conn_free(struct ovsdb_conn *c);
bool ovsdb_conn_is_connected(const struct ovsdb_conn *c);
const char *ovsdb_conn_path(const struct ovsdb_conn *c);
/* Closes and connects again; for a peer that talks nonsense. `reason` ends up in the state callback. */
void ovsdb_conn_reset(struct ovsdb_conn *c, const char *reason);

/*
 * Sends a request; `params` is taken. `fn` (may be NULL) is called exactly once, never from inside this function: with
 * the result, with the server's error, after timeout_ms, or when the connection closes (also when there is none now).
 * The id returned is never 0.
 */
uint64_t ovsdb_conn_call(struct ovsdb_conn *c, const char *method, json_t *params, uint64_t timeout_ms,
                         ovsdb_reply_fn *fn, void *userdata);
/* Forgets a call: its function will not be called. The server may still perform it. */
void ovsdb_conn_cancel(struct ovsdb_conn *c, uint64_t id);

/*
 * Looks at every element of the result of "transact", the extra one of a commit-time failure included. False with
 * OVSDB_ERROR [error, details] for the first that failed; *ret_index (may be NULL) then is its place: n_ops when the
 * commit itself was refused. n_ops is the number of operations that were sent.
 */
bool ovsdb_transact_check(const json_t *result, size_t n_ops, size_t *ret_index, struct error **errp) _warn_unused_;

/* Connects to a unix socket, also where the path is longer than an address can hold. Descriptor (non-blocking) or
 * -errno. */
int ovsdb_socket_connect(const char *path) _warn_unused_;

/* ---- blocking form ---- */
struct ovsdb_sync;
/* Waits up to timeout_ms for the server to accept. NULL with an error. */
struct ovsdb_sync *ovsdb_sync_open(const char *path, uint64_t timeout_ms, struct error **errp) _warn_unused_;
/*
 * One request and its reply; `params` is taken. Notifications that arrive meanwhile are kept for
 * ovsdb_sync_notification. *ret_result is a new reference. After OVSDB_DISCONNECTED or OVSDB_TIMEOUT the connection
 * must be closed.
 */
bool ovsdb_sync_call(struct ovsdb_sync *c, const char *method, json_t *params, uint64_t timeout_ms, json_t **ret_result,
                     struct error **errp) _warn_unused_;
/* "transact" with ovsdb_transact_check: `params` is [database, op, op, ...], taken. */
bool ovsdb_sync_transact(struct ovsdb_sync *c, json_t *params, uint64_t timeout_ms, json_t **ret_result,
                         struct error **errp) _warn_unused_;
/* The next notification: *ret_message is {"method":..,"params":..}, a new reference. False with OVSDB_TIMEOUT when none
 * came. */
bool ovsdb_sync_notification(struct ovsdb_sync *c, uint64_t timeout_ms, json_t **ret_message,
                             struct error **errp) _warn_unused_;
void ovsdb_sync_close(struct ovsdb_sync *c); /* accepts NULL */
DEFINE_CLEANUP(struct ovsdb_sync *, ovsdb_sync_close)

/* A json_t reference that a scope owns (json_decrefp is jansson's). */
#define _cleanup_json_ _cleanup_(json_decrefp)
