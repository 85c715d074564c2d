/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of a websocket (RFC 6455), as a stream of bytes: what comes in data frames, text or binary, in one
 * message or in many, is handed on as it comes; what goes out is binary frames. Pure but for the digest of the
 * handshake; any thread. Nothing is gathered: a frame of any length takes the memory of what has arrived of it.
 */
#pragma once

#include "base/buf.h"

#define WEBSOCKET_ACCEPT_SIZE 29 /* with the NUL */

/* The answer to Sec-WebSocket-Key (RFC 6455, 4.2.2). False when the key is not the text of 16 bytes. */
bool websocket_accept(const char *key, char ret[static WEBSOCKET_ACCEPT_SIZE]) _warn_unused_;

struct websocket { /* of one connection; begins as zeros */
    unsigned char head[14];
    unsigned n_head;  /* bytes of the head that have come */
    uint64_t left;    /* bytes of the payload that have not */
    uint64_t mask_at; /* bytes of the payload that have */
    bool in_payload;
    bool in_message; /* a message has begun that is not over */
    unsigned char control[125];
    unsigned n_control;
};

enum websocket_outcome {
    WEBSOCKET_MORE,   /* well, and it goes on */
    WEBSOCKET_CLOSED, /* the peer says goodbye; `answer` holds ours */
    WEBSOCKET_BROKEN, /* against the rules; `answer` holds a goodbye that says so */
};

/*
 * Takes what has arrived, in pieces of any size. Payload is appended to `data`, what must be sent back (pongs, the
 * goodbye) to `answer`. After CLOSED or BROKEN nothing more is to be given to it.
 */
enum websocket_outcome websocket_read(struct websocket *w, const char *bytes, size_t size, struct buf *data,
                                      struct buf *answer) _warn_unused_;
/* One binary frame with these bytes. */
void websocket_write(struct buf *out, const void *data, size_t size);
/* A goodbye; 1000 is a good end. */
void websocket_write_close(struct buf *out, unsigned code);
