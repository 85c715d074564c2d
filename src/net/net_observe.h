/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what the network of this host is: kernel, switch, leases, resolver, into one net_observed. Blocking (a few
 * milliseconds); netboot and worker threads.
 */
#pragma once

#include "link/link.h"
#include "net/net_observed.h"
#include "ovs/ovs.h"

struct net_observe_from {
    struct link *link;
    struct ovs *ovs;         /* NULL: no switch to ask; the snapshot has none */
    const char *lease_dir;   /* NULL: no leases */
    const char *run_dir;     /* pid files of DHCP clients; NULL: none */
    const char *resolv_conf; /* NULL: not read */
};

struct net_observed *net_observe(const struct net_observe_from *from, struct error **errp) _warn_unused_;

/* Conversions between the engine's values and the adapters'. */
struct link_ip net_to_link_ip(const struct net_addr *a);
struct net_addr net_from_link_ip(const struct link_ip *ip, unsigned prefix);
/* "<run_dir>/dhcp-<link>-<4|6>.pid" as a heap string. */
char *net_dhcp_pid_path(const char *run_dir, const char *link, enum net_family family);
/* The process in that file when it still runs, else 0. */
int net_dhcp_pid(const char *run_dir, const char *link, enum net_family family);
