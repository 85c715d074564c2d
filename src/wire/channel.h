/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool channel's frames over a stream: four bytes of length, big-endian, then one JSON text of that size. A frame
 * may have 64 KiB until channel_set_authenticated, 16 MiB after. The text is handed over unparsed. Loop thread only.
 *
 * The channel owns the stream. channel_free is allowed inside its callbacks; nothing is called after it.
 */
#pragma once

#include "wire/stream.h"

#define CHANNEL_MAX_FRAME (16u * 1024 * 1024)
#define CHANNEL_MAX_FRAME_UNKNOWN (64u * 1024)

struct channel;

struct channel_callbacks {
    /* The stream is connected and the TLS handshake done. May be NULL. Not called for streams that were ready before.
     */
    void (*ready)(struct channel *c, void *userdata);
    /* One message; NUL-terminated behind its size, borrowed for the call. */
    void (*message)(struct channel *c, const char *json, size_t size, void *userdata);
    /* The channel is over; reason is one line for the log. Free it now or later. */
    void (*close)(struct channel *c, const char *reason, void *userdata);
};

/* Takes a stream that was accepted (not started) ... */
struct channel *channel_new(struct stream *s, const struct channel_callbacks *callbacks, void *userdata);
/* ... or makes one. NULL with errp only when the address makes no sense. */
struct channel *channel_connect(struct loop *l, const char *address, uint16_t port, const char *source,
                                struct tls_context *tls, unsigned deadline_ms,
                                const struct channel_callbacks *callbacks, void *userdata, struct error **errp);
void channel_free(struct channel *c); /* accepts NULL; closes at once */
/* Sends what is queued, then closes; the channel is gone for the caller. */
void channel_finish(struct channel *c, unsigned deadline_ms);

void channel_set_authenticated(struct channel *c);
/* False when the channel is over, the text is too long, or more than max_queue bytes would wait (then the channel is
 * closed: `close` follows). */
bool channel_send(struct channel *c, const char *json, size_t size);
void channel_set_max_queue(struct channel *c, size_t max_queue); /* default 32 MiB */
size_t channel_queued(const struct channel *c);
const struct stream_peer *channel_get_peer(const struct channel *c);
uint64_t channel_last_received_ms(const struct channel *c); /* time of the loop when the latest bytes came; 0: never */

/* The framing alone, pure: for the fuzzer and tests. */
enum frame_state { FRAME_MORE, FRAME_READY, FRAME_BAD };
/* Looks at the front of `data`; FRAME_READY gives offset and size of the text; the frame takes *ret_offset + *ret_size
 * bytes. */
enum frame_state frame_parse(const char *data, size_t size, size_t max_frame, size_t *ret_offset, size_t *ret_size);
