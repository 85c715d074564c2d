/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DHCP lease as it lies on the host's disk: written by the event program of the packaged client, read by everybody
 * else. It is what a host falls back to when no server answers. The MTU that a server offers (option 26) is kept for
 * the report and obeyed by nobody. Small local files; any thread.
 */
#pragma once

#include "base/error.h"
#include "net/net_types.h"

#define ERR_NET_LEASE_CORRUPT "NET_LEASE_CORRUPT" /* [path and what] */

struct net_lease {
    net_name link;
    struct net_addr address; /* with prefix */
    struct net_addr gateway; /* none: family 0 */
    unsigned n_dns;
    struct net_addr dns[NET_MAX_DNS];
    int interface_mtu; /* option 26; 0 not offered */
    int64_t obtained;  /* wall clock, seconds */
    int64_t seconds;   /* how long it was given for; 0: for ever */
};

/* "<folder>/lease-<link>-<4|6>.json" as a heap string. */
char *net_lease_path(const char *folder, const char *link, enum net_family family);
/* False without an error set when there is no such file; with one when it cannot be understood. */
bool net_lease_load(const char *folder, const char *link, enum net_family family, struct net_lease *ret,
                    struct error **errp) _warn_unused_;
int net_lease_save(const char *folder, const struct net_lease *lease) _warn_unused_; /* 0 or negative errno */
int net_lease_remove(const char *folder, const char *link, enum net_family family);
