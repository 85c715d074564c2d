/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP(S) requests to others over libcurl: asynchronous on the loop (http_client), and blocking for command-line
 * programs (http_client_sync). The server is judged by authority, by fingerprint, or not at all; its fingerprint is
 * reported in each case. Nothing is redirected, no proxy from the environment is used.
 */
#pragma once

#include <signal.h>

#include "base/error.h"
#include "base/value.h"
#include "loop/loop.h"
#include "wire/rpc.h"
#include "wire/tls.h"

struct http_target {        /* whom to talk to, and how; texts are borrowed until the start function returns */
    const char *unix_path;  /* when set: plain HTTP over this socket; all below but timeout_ms is ignored */
    const char *host;       /* name or numeric address (IPv6 without brackets) */
    uint16_t port;          /* 0: 443, or 80 when is_plain */
    bool is_plain;          /* no TLS; for tests and the loopback only */
    enum tls_verify verify; /* TLS_VERIFY_CA is the zero value */
    const char *ca_path;    /* NULL: the system's */
    const char *pin;        /* for TLS_VERIFY_PIN */
    bool wants_pool;        /* asks for the pool's own certificate (TLS_POOL_NAME), whatever the host shows to others */
    const char *cert_path;  /* own certificate, optional */
    const char *key_path;
    unsigned timeout_ms;         /* over all; 0: 30 s */
    unsigned connect_timeout_ms; /* 0: 10 s */
    size_t max_response;         /* 0: 64 MiB */
};

struct http_response {
    int status; /* 0: there is none, see the error */
    struct buf body;
    char content_type[64];
    char peer_fingerprint[TLS_FINGERPRINT_SIZE];     /* "" without TLS; set as well when the certificate was refused */
    char peer_key_fingerprint[TLS_FINGERPRINT_SIZE]; /* of its public key: stays the same when the certificate is
                                                        renewed */
    char local_address[64];                          /* our end's numeric address; "" for unix */
};
void http_response_done(struct http_response *r);

/* ---- asynchronous; loop thread only ---- */
struct http_client;
struct http_client *http_client_new(struct loop *l);
void http_client_free(struct http_client *c); /* cancels everything, accepts NULL */

struct http_call;
/* Exactly one call, later, unless cancelled. error NULL: an answer came, whatever its status. Both are borrowed. */
typedef void http_done_fn(const struct http_response *r, const struct error *error, void *userdata);
/* `headers`: extra lines "name: value", NULL-terminated array or NULL. body may be NULL. */
struct http_call *http_client_start(struct http_client *c, const struct http_target *t, const char *method,
                                    const char *path, const char *const *headers, const char *body, size_t size,
                                    http_done_fn *fn, void *userdata);
void http_call_cancel(struct http_call *call); /* accepts NULL; fn is not called */

/* A JSON-RPC 2.0 call to /jsonrpc. result is void and error set on any failure; an API failure keeps its code and
 * parameters. */
typedef void rpc_done_fn(const struct value *result, const struct error *error, const struct http_response *r,
                         void *userdata);
struct http_call *rpc_client_start(struct http_client *c, const struct http_target *t, const char *method,
                                   const struct value *params, size_t n_params, rpc_done_fn *fn, void *userdata);

/* ---- blocking; any thread, not the loop's ---- */
bool http_client_sync(const struct http_target *t, const char *method, const char *path, const char *const *headers,
                      const char *body, size_t size, struct http_response *ret, struct error **errp) _warn_unused_;
/* One connection kept over many calls. */
struct rpc_client;
struct rpc_client *rpc_client_new(const struct http_target *t); /* copies t */
void rpc_client_free(struct rpc_client *c);                     /* accepts NULL */
bool rpc_client_call(struct rpc_client *c, const char *method, const struct value *params, size_t n_params,
                     struct value *ret, struct error **errp) _warn_unused_;
/* GET of a path over the same connection; any status is an answer. http_response_done afterwards. */
bool rpc_client_get(struct rpc_client *c, const char *path, const char *const *headers, struct http_response *ret,
                    struct error **errp) _warn_unused_;
/* What a file is carried by: GET of a path into `fd`, or PUT from it. */
struct rpc_file {
    const char *path;
    int fd;
    bool is_upload;
    int64_t size;                                      /* announced (upload), or expected; -1: not known */
    void (*progress)(double fraction, void *userdata); /* may be NULL */
    void *userdata;
    int problem; /* set: errno of the file; 0 */
};
/* Over a connection of its own, for as long as it takes. Any status is an answer; a body goes to `fd` for success
 * alone, else into ret. */
bool rpc_client_file(struct rpc_client *c, struct rpc_file *f, const char *const *headers, struct http_response *ret,
                     struct error **errp) _warn_unused_;
void rpc_client_set_timeout(struct rpc_client *c, unsigned timeout_ms); /* of the calls from now on */
/* A call under way ends with ERR_WIRE_CONNECT once *flag is not 0, which a signal handler may set; NULL: it goes on. */
void rpc_client_set_abort(struct rpc_client *c, const volatile sig_atomic_t *flag);
const char *rpc_client_peer_fingerprint(const struct rpc_client *c); /* of the latest call */
const char *rpc_client_peer_key(const struct rpc_client *c);         /* fingerprint of its public key */
/* A single call. */
bool rpc_client_call_sync(const struct http_target *t, const char *method, const struct value *params, size_t n_params,
                          struct value *ret, struct error **errp) _warn_unused_;

/* Codes of transport failures; the parameters are the target and one line that says what happened. */
#define ERR_WIRE_CONNECT "HOST_UNREACHABLE_BY_CLIENT"     /* no connection, no answer in time, broken off */
#define ERR_WIRE_CERTIFICATE "SERVER_CERTIFICATE_REFUSED" /* the TLS peer is not whom we wanted */
#define ERR_WIRE_REFUSED "SERVER_REFUSED"                 /* of a file: an HTTP status that says no */
#define ERR_WIRE_RESPONSE "SERVER_RESPONSE_INVALID"       /* HTTP status other than 200, or not an RPC answer */
