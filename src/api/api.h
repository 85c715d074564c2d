/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XenAPI server of one daemon: decodes requests, checks session, role and arguments, runs generic or custom calls,
 * keeps sessions and tasks, serves events. It owns no socket: api_attach_http registers its paths at an HTTP server.
 * Loop thread only. Everything borrowed in api_config outlives the api.
 */
#pragma once

#include "api/call.h"
#include "api/hooks.h"
#include "loop/worker.h"

struct http_server;

struct api_config {
    struct loop *loop;
    struct db *db;
    struct worker *worker; /* for password checks and questions to the directory of users */
    struct uuid own_host;
    const struct api_hooks *hooks;    /* NULL: all defaults */
    call_handler_fn *const *handlers; /* model_handlers of src/classes; NULL: no custom calls */
    const char *audit_path; /* file of the audit log (audit_log.h); NULL: lines go to the daemon's log alone */
};

struct api *api_new(const struct api_config *config);
/* Open calls are dropped without an answer; their connections must be gone before. */
void api_free(struct api *a);

/*
 * Registers POST (any path: XML-RPC, /jsonrpc and /json: JSON-RPC), OPTIONS and GET /audit_log. Callers on a unix
 * socket are root without a password; callers with a certificate of the pool's authority that names one of its hosts
 * are that host.
 */
void api_attach_http(struct api *a, struct http_server *server);

struct loop *api_loop(struct api *a);
struct db *api_db(struct api *a);
const struct uuid *api_own_host(const struct api *a);
struct worker *api_worker(struct api *a);
const struct api_hooks *api_hooks(const struct api *a);
bool api_is_coordinator(struct api *a);
/* Heard from lately: host_metrics.live, or the hook. */
bool api_host_is_live(struct api *a, const struct uuid *host);
/* Fails c with NOT_IMPLEMENTED [what]. */
void api_fail_unavailable(struct call *c, const char *what);

/* A session of its own for whoever has this one: the same user, at most this role, for so long and no longer. `of`
 * NULL: for the pool itself. */
struct session;
struct uuid api_session_lend(struct api *a, const struct session *of, enum role most, uint64_t lifetime_ms);

/* What src/classes keeps per api, a place for each kind; freed with it, before the open calls go. */
enum api_class_data {
    API_DATA_NETWORK,
    API_DATA_VMS,
    API_DATA_MOVES,
    API_DATA_LEAVING,
    API_DATA_COMING,
    API_DATA_UNTOLD,
    N_API_DATA
};
void *api_class_data(struct api *a, enum api_class_data which);
void api_set_class_data(struct api *a, enum api_class_data which, void *data, void (*free_fn)(void *data));

/*
 * Writes a message (an alert) about an object; the oldest are removed beyond MESSAGE_MAX. Coordinator only; elsewhere,
 * and while the database does not take writes, it is dropped (the caller keeps the fact and raises it again).
 * `done` may be NULL.
 */
#define MESSAGE_MAX 10000
void message_raise(struct api *a, const char *name, int64_t priority, const char *class_name, const char *obj_uuid,
                   const char *body, db_done_fn *done, void *userdata);
/* Removes all messages of this name about this object: the fault is over. */
void message_withdraw(struct api *a, const char *name, const char *obj_uuid);

/* ---- requests that do not come over HTTP: tests, other parts of the daemon ---- */
struct api_caller {
    bool is_local;            /* unix socket: root */
    bool is_pool_host;        /* TLS client certificate of a host of this pool */
    bool has_certificate;     /* one that stands for this login; see client_certificates.h */
    int64_t certificate_ends; /* then: seconds since 1970 */
    char address[64];         /* for the log and the throttle; "" when local */
};

/* The answer to one request; all borrowed, valid during the call of api_reply_fn. Exactly one of the three is set. */
struct reply {
    const struct error *error;
    const struct value *value;
    const char *json; /* the result as JSON text; only when the request asked for JSON */
    size_t json_size;
};
typedef void api_reply_fn(const struct reply *r, void *userdata);

struct api_request {
    const char *method;
    struct value params; /* VALUE_SET; taken */
    struct api_caller caller;
    bool wants_json;        /* reply.json may be used */
    const char *originator; /* may be NULL */
    bool is_inner;          /* part of another call, which is the one that is logged */
};
/*
 * Runs one request; `reply` is called exactly once, at once or later, unless the client goes away first. Returns the
 * waiting call, or NULL when it has been answered.
 */
struct call *api_dispatch(struct api *a, struct api_request *rq, api_reply_fn *reply, void *userdata);
/* The client is gone: the call runs to its end (a waiting event.from ends) and nobody gets its answer. */
void api_client_gone(struct call *c);
