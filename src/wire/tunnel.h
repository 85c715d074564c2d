/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two streams tied together: what comes from one goes to the other, with back-pressure (a side that does not take its
 * bytes keeps the other from being read) and an idle limit. One side may be a websocket, whose frames are taken off and
 * put on here. When one side ends, the other gets what is still on its way to it and is closed. Loop thread only.
 */
#pragma once

#include "base/buf.h"
#include "wire/stream.h"

#define TUNNEL_QUEUE_MAX (4u * 1024 * 1024) /* unsent bytes per side; beyond it is broken */

struct tunnel;

/* It is over; `why` is one line for a log, "" for a good end. Free the tunnel now or later. Called once. */
typedef void tunnel_closed_fn(struct tunnel *t, const char *why, void *userdata);

struct tunnel_config {
    struct stream *client, *server;        /* both open; taken */
    struct buf client_ahead, server_ahead; /* what was already read from each; taken */
    bool is_websocket;                     /* the client's side; its handshake is done */
    unsigned idle_timeout_ms;              /* without a byte either way; 0: none */
    tunnel_closed_fn *closed;
    void *userdata;
};

struct tunnel *tunnel_new(const struct tunnel_config *config);
void tunnel_free(struct tunnel *t); /* accepts NULL; cuts both sides */
const struct stream_peer *tunnel_client(const struct tunnel *t);
