/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the pool channel without a network: what is sent goes to a function of the test, and the test speaks
 * for the other end of the connection that was made last. Defines what wire/channel.h and the listener and TLS of
 * wire/stream.h and wire/tls.h declare, so the linker leaves those in their archive. One thread.
 */
#pragma once

#include <stddef.h>

struct pool_channel;

typedef void channel_fake_sent_fn(const char *json, size_t size, void *userdata);

/* Forgets the connection that was made last; `sent` (may be NULL) sees each message to anybody, borrowed. */
void channel_fake_begin(channel_fake_sent_fn *sent, void *userdata);
/* Somebody connects where the pool channel listens. */
void channel_fake_accept(void);
/* A message from the other end of the latest connection; nothing happens when that is gone. */
void channel_fake_say(const char *json, size_t size);
