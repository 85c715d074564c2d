/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking XenAPI client for command-line programs: finds the server, logs in, follows to the coordinator, calls,
 * waits for tasks. One connection is kept over many calls. One thread.
 *
 * A server reached over the network is recognised by its certificate's fingerprint: kept at the first visit (like ssh),
 * refused when it has changed. Passwords are wiped after the login.
 */
#pragma once

#include "base/error.h"
#include "base/value.h"

struct client;

struct client_config {       /* texts are borrowed during client_open */
    const char *server;      /* name or address; NULL: this host's own socket */
    uint16_t port;           /* 0: 443 */
    const char *user;        /* NULL: root */
    const char *password;    /* NULL: "" */
    const char *fingerprint; /* expected SHA-256; NULL: the one kept in known_hosts */
    const char *ca_path;     /* judge by this authority instead; NULL */
    bool insecure;           /* take any certificate */
};

struct client *client_open(const struct client_config *config, struct error **errp);
void client_free(struct client *c); /* logs out; accepts NULL */
DEFINE_CLEANUP(struct client *, client_free)

/* Calls with the session first. `params` (n of them) are borrowed. */
bool client_call(struct client *c, const char *method, const struct value *params, size_t n, struct value *ret,
                 struct error **errp) _warn_unused_;
/*
 * The same as a task, for what may take long: `progress` (may be NULL) is called now and then with 0..1; when it
 * returns false the task is cancelled.
 */
typedef bool client_progress_fn(double fraction, void *userdata);
bool client_call_async(struct client *c, const char *method, const struct value *params, size_t n,
                       client_progress_fn *progress, void *userdata, struct value *ret,
                       struct error **errp) _warn_unused_;
/* Fingerprint of the certificate that the server showed; "" on a local socket. */
const char *client_fingerprint(const struct client *c);
