/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does an address answer? Echo requests over ICMP or ICMPv6, small ones, again and again until the first answer or the
 * deadline. Loop thread; needs the right to raw sockets.
 */
#pragma once

#include "loop/loop.h"

struct link_ping;
/* Once; the ping is gone when it runs. */
typedef void link_ping_fn(bool answered, void *userdata);

/* NULL when the text is no address, or no socket can be had; `done` then does not run. */
struct link_ping *link_ping_new(struct loop *l, const char *address, uint64_t deadline_ms, link_ping_fn *done,
                                void *userdata);
void link_ping_free(struct link_ping *p); /* before it has ended; accepts NULL */
