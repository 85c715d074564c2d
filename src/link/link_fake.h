/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a machine that exists in memory: same interface and same rules as the kernel driver (an address brings
 * its connected route, a link that goes down loses its routes, an MTU above the limit is refused). For tests.
 */
#pragma once

#include "link/link.h"

struct link *link_fake_new(void);
/* Adds a link (down, no carrier lost) and returns its index. */
int link_fake_add(struct link *l, const char *name, const char *mac, unsigned mtu, unsigned max_mtu);
void link_fake_remove(struct link *l, const char *name);
void link_fake_set_carrier(struct link *l, const char *name, bool carrier);
/* The next call that changes something fails with r (negative errno); once. */
void link_fake_fail_next(struct link *l, int r);
/* The MTU is accepted and not taken, as some drivers do. */
void link_fake_ignore_mtu(struct link *l, const char *name, bool ignore);
unsigned link_fake_n_announced(const struct link *l);
/* Addresses that answer ARP on any link. */
void link_fake_add_peer(struct link *l, const char *ip, const char *mac);
