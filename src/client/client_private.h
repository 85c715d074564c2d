/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the client share. */
#pragma once

#include "client/client.h"
#include "wire/http_client.h"

struct client {
    struct rpc_client *rpc;
    struct client_config config; /* its texts are owned here */
    char *server;                /* where it is now; NULL: local */
    char *given_session;         /* of the config; NULL */
    char *session;               /* NULL: not logged in */
    char *user, *password, *given_fingerprint, *ca, *certificate;
    char pin[TLS_FINGERPRINT_SIZE];
    bool pin_is_pool; /* the given fingerprint is that of the pool's authority, which all its hosts show */
    bool is_first_visit;
    unsigned waited_ms; /* for a server that was starting */
    char unix_path[256];
};

/* Whether to ask once more, a moment later: the server is starting, and has not been waited for long. All calls of a
 * client share one patience, so that calls within calls do not wait for each other's sum. */
bool client_waits_for_it(struct client *c, const struct error *e);
bool client_was_interrupted(const struct client *c);
/* While waiting is off the interrupt does not end calls. */
void client_heed_interrupt(struct client *c, bool on);
