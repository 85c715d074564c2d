/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking XenAPI client for command-line programs: finds the server, logs in, follows to the coordinator, calls,
 * waits for events and tasks. One connection is kept over many calls; a session that the server has forgotten is opened
 * anew and the call repeated. One thread.
 *
 * A server reached over the network is recognised by its public key: kept at the first visit (like ssh), refused when
 * it has changed. It is judged before any password is sent. The password stays in memory, for another login, until
 * client_free wipes it.
 */
#pragma once

#include <signal.h>

#include "base/error.h"
#include "base/value.h"

#define CLIENT_PATIENCE_MS 10000

struct client;

struct client_config {       /* texts are copied */
    const char *server;      /* name or address; NULL: this host's own socket */
    uint16_t port;           /* 0: 443 */
    const char *user;        /* NULL: root */
    const char *password;    /* NULL: asked for with ask_password once the server is known, or "" */
    const char *fingerprint; /* expected SHA-256 of its certificate, its key, or the authority of its pool; NULL: the
                                one kept in known_hosts */
    const char *ca_path;     /* judge by this authority instead; NULL */
    const char *session;     /* one that is there already, and stays: nobody logs in or out; NULL */
    bool insecure;           /* take any certificate */
    const char *certificate_path; /* PEM, own certificate and its key, shown in place of a password; NULL */
    bool is_host_only; /* a session for the host's own affairs, which it gives without a coordinator as well */

    char *(*ask_password)(void *userdata);                   /* an owned text, or NULL when nobody can be asked */
    void (*on_new_server)(const char *line, void *userdata); /* a sentence for people, at the first visit */
    /* A server that is starting is waited for, CLIENT_PATIENCE_MS at most: once, a sentence for people. NULL: it is
     * not, and says so. */
    void (*on_wait)(const char *line, void *userdata);
    void *userdata;
    const volatile sig_atomic_t *interrupt; /* ends waiting once it is not 0; NULL */
};

struct client *client_open(const struct client_config *config, struct error **errp);
void client_free(struct client *c); /* logs out; accepts NULL */
DEFINE_CLEANUP(struct client *, client_free)

/* Calls with the session first. `params` (n of them) are borrowed. */
bool client_call(struct client *c, const char *method, const struct value *params, size_t n, struct value *ret,
                 struct error **errp) _warn_unused_;

/*
 * GET of a path that is no call ("/audit_log?since=..."), as this session; what it gives is added to ret. An answer
 * other than 200 is ERR_WIRE_REFUSED with what its page says.
 */
bool client_get(struct client *c, const char *path, struct buf *ret, struct error **errp) _warn_unused_;

/*
 * What happened to objects of these classes ("pif", "task/OpaqueRef:...") since *token, which begins as "" (all that
 * there is) and is moved on. Waits up to timeout_s; then the set of events is empty.
 */
bool client_events(struct client *c, const char *const *classes, size_t n_classes, char **token, double timeout_s,
                   struct value *ret_events, struct error **errp) _warn_unused_;

/*
 * A call as a task, for what may take long: `progress` (may be NULL) is called about once a second with 0..1. When the
 * interrupt of the config is seen, the task is cancelled and its end awaited.
 */
typedef void client_progress_fn(double fraction, void *userdata);
bool client_call_async(struct client *c, const char *method, const struct value *params, size_t n,
                       client_progress_fn *progress, void *userdata, struct value *ret,
                       struct error **errp) _warn_unused_;

/* The end of a task that this client has made (task.create) or been given; likewise. The task is removed. */
bool client_task_end(struct client *c, const struct value *task, client_progress_fn *progress, void *userdata,
                     struct value *ret, struct error **errp) _warn_unused_;

/*
 * A file to the server (`upload_size` its bytes; -1 when they cannot be counted) or from it (`is_upload` false), as the
 * content of `path` with its query, from or to `fd`. False with *errp also when the server answers with anything but
 * success; the interrupt of the config ends it.
 */
struct client_file {
    const char *path;
    int fd;
    bool is_upload;
    int64_t size; /* for an upload what is announced; else what is expected, for the progress; -1: not known */
    int problem;  /* set: errno of the file, when it is to blame; 0 */
};
bool client_carry_file(struct client *c, struct client_file *f, client_progress_fn *progress, void *userdata,
                       struct error **errp) _warn_unused_;

/* Fingerprint of the certificate that the server showed; "" on a local socket. */
const char *client_fingerprint(const struct client *c);
/* Where it is connected to, after following; NULL on a local socket. */
const char *client_server(const struct client *c);
