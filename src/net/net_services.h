/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan needs besides kernel and switch, for real: the packaged DHCP client (udhcpc, one process per link, that
 * outlives whoever started it) and the resolver's file. Gives the applier its hooks. Blocking.
 */
#pragma once

#include "net/net_apply.h"

struct net_services {
    const char *net_dir; /* where leases lie */
    const char *run_dir; /* pid files, the client's event program */
    const char *resolv_conf;
    const char *netboot_path; /* program that handles the client's events (a link named dhcp-event points at it) */
    const char *management;   /* the bridge whose routes are locked; borrowed from the config, "" none */
    int control_size;
    struct net_apply_hooks hooks; /* filled by net_services_init */
};

#define NET_RESOLV_CONF "/etc/resolv.conf"
#define NET_DHCP_EVENT_NAME "dhcp-event"

/* Fills hooks; `report` stays NULL. s must stay where it is. */
void net_services_init(struct net_services *s);

/*
 * Starts the client on `link` (a running one is left alone) and waits a short while for the first answer. Without one
 * the client goes on asking in the background and the last lease on disk is put to work: that is success.
 */
bool net_dhcp_start(const struct net_services *s, const char *link, enum net_family family,
                    struct error **errp) _warn_unused_;
bool net_dhcp_stop(const struct net_services *s, const char *link, enum net_family family,
                   struct error **errp) _warn_unused_;

/* One event of the client, its facts in the environment (as udhcpc documents them). `event` is its first argument. */
bool net_dhcp_event(const struct net_services *s, struct link *link, const char *event,
                    struct error **errp) _warn_unused_;

/* Replaces the nameserver lines of the resolver's file, keeps the others. */
bool net_dns_write(const char *path, const struct net_addr *dns, unsigned n, struct error **errp) _warn_unused_;

/* Puts a lease to work: address, locked routes; removes what an older lease had set. */
bool net_lease_apply(struct link *link, const struct net_addr *old, const struct net_addr *lease_address,
                     const struct net_addr *gateway, const char *name, int control_size,
                     struct error **errp) _warn_unused_;
