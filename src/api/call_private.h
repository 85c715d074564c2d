/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of src/api: the call, and what the files of this folder share. Loop thread only. */
#pragma once

#include "api/api.h"
#include "api/session.h"
#include "base/strmap.h"

/* Limits on what clients may choose. */
#define API_MAX_PARAMS 64
#define API_MAX_PENDING_TASKS 2000
#define API_MAX_PENDING_TASKS_OF_USER 500 /* who is not root leaves room for others */
#define API_COMMIT_MS 15000
/* Writers of one field who all look first: one of them gets through each time, so this many may write at once. */
#define API_MAX_WRITE_TRIES 256
#define API_FORWARD_MS 300000

struct call {
    struct api *api;
    const struct call_def *def;
    struct api_caller caller;
    struct session *session; /* reference held; NULL without one */
    char *user;              /* of a call that is no call of a session (http_call.h); NULL */
    struct value args;       /* VALUE_SET, coerced, complete */
    struct uuid task;
    bool wants_json;
    bool is_async;
    bool is_inner; /* of another call, which the log names */
    bool is_kept;
    bool is_ended; /* answered; freed as soon as nobody holds it */
    unsigned n_holds;
    unsigned n_tries; /* commits that ended with DB_CONFLICT and were tried again */
    bool is_cancelled;
    const char *originator; /* borrowed, only while the handler has not returned; may be NULL */
    api_reply_fn *reply;    /* NULL: nobody waits any more */
    void *userdata;
    void (*cancel_fn)(struct call *c, void *userdata);
    void *cancel_data;
    void (*gone_fn)(struct call *c, void *userdata); /* the client went away */
    void *gone_data;
    struct call *prev, *next; /* all open calls */
};

struct tasks;
struct events;
struct throttle;

struct api {
    struct api_config config;
    struct api_hooks hooks;
    struct sessions *sessions;
    struct tasks *tasks;
    struct events *events;
    struct throttle *throttle;
    struct client_certificates *certificates;
    struct audit_log *audit; /* NULL: none on disk */
    struct loop_source *expiry_timer, *heartbeat_timer;
    struct db_watch *subjects;
    struct buf method_names; /* JSON text of system.listMethods, made at first use */
    struct value method_list;
    struct call *calls;
    void *class_data[N_API_DATA];
    void (*free_class_data[N_API_DATA])(void *data);
};

/* Ends the call with a borrowed reply and frees it. */
void call_answer(struct call *c, const struct reply *r);
void call_return_borrowed(struct call *c, const struct value *v);
void call_return_json(struct call *c, const char *json, size_t size);
/*
 * Like call_commit with nothing to run afterwards, but when somebody else was faster (DB_CONFLICT) `again` runs, which
 * looks at the rows anew and commits, or answers. DB_CONFLICT reaches the client after API_MAX_WRITE_TRIES only.
 */
void call_commit_or_again(struct call *c, struct db_txn *t /* consumed */, void (*again)(struct call *c));
/* HANDLE_INVALID [class, ref]. */
void call_fail_handle(struct call *c, const char *class_name, const struct uuid *u);
/* Runs the implementation that call_def.kind names; c is complete. */
void generic_run(struct call *c);

struct call *call_new(struct api *a, const struct call_def *def);
void call_free(struct call *c);

/* session_calls.c: the generic kinds on class session, which has no rows. */
void session_generic_run(struct call *c);

/* api.c: from the pool's other_config; looked at before a login and every minute. */
void api_take_session_limits(struct api *a);

/* rpc_http.c: who is at the other end of the connection. */
struct http_request;
struct api_caller api_http_caller(struct api *a, const struct http_request *req);

/* audit.c, audit_http.c */
void audit_attach_http(struct api *a, struct http_server *server);
void audit_call(const struct call *c, const struct error *error);

/* forward.c: hands the request of a local client of a member to the coordinator. Takes rq->params. */
void forward_request(struct call *c, struct api_request *rq, bool is_async);
/* Whether the request of this caller is for the coordinator while this host is a member. */
bool forward_wanted(const struct call *c);

/* Hooks with their defaults. */
const char *api_coordinator_address(struct api *a);
bool api_is_emergency(struct api *a, struct error **errp);
bool api_peer_is_pool_host(struct api *a, const char *common_name, const char *key_fingerprint);

/* A record value whose parts are borrowed from the row: only `pairs` itself is owned (record_release). */
struct value record_borrow(const struct row *r);
void record_release(struct value *record);
