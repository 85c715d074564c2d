/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the network rows of the replica, and the checks that several classes share. Checks return false with
 * *errp set. Loop thread only. */
#pragma once

#include "base/error.h"
#include "db/db.h"

#define PIF_VLAN_MAC "fe:ff:ff:ff:ff:ff" /* what VLAN PIFs show */

/* The PIF of a host on a network, or NULL. */
const struct row *net_rows_pif_on(struct db *d, const struct uuid *host, const struct uuid *network);
/* The PIF of a host with this device name that is no VLAN, or NULL. */
const struct row *net_rows_pif_by_device(struct db *d, const struct uuid *host, const char *device);
const struct row *net_rows_management_pif(struct db *d, const struct uuid *host);
/* The VLAN of a base PIF with this tag, or NULL. */
const struct row *net_rows_vlan(struct db *d, const struct uuid *base, int64_t tag);
/* The bond whose interface this PIF is, or NULL. */
const struct row *net_rows_bond_of(struct db *d, const struct uuid *master);
const struct row *net_rows_network_by_bridge(struct db *d, const char *bridge);
bool net_rows_is_bond_member(struct db *d, const struct row *pif);
bool net_rows_has_ip(const struct row *pif);
/* Hosts that have a PIF on the network; the caller frees. */
struct uuid *net_rows_hosts_on(struct db *d, const struct uuid *network, size_t *ret_n);

/* "bond3": the lowest free number on the host. */
char *net_rows_free_bond(struct db *d, const struct uuid *host);
/* "xapi7": the lowest free number in the pool. */
char *net_rows_free_bridge(struct db *d);

bool net_check_mac(const char *text, struct error **errp) _warn_unused_;
bool net_check_network_managed(const struct row *network, struct error **errp) _warn_unused_;
/* No PIF of the host is on the network yet: NETWORK_ALREADY_CONNECTED. */
bool net_check_network_free(struct db *d, const struct row *network, const struct uuid *host,
                            struct error **errp) _warn_unused_;
bool net_check_mtu(int64_t mtu, struct error **errp) _warn_unused_;
/*
 * A VLAN cannot carry more than the interface below it. Checks this MTU of the network against bases and VLANs of each
 * PIF on it; the error names the cure.
 */
bool net_check_mtu_fits(struct db *d, const struct row *network, int64_t mtu, struct error **errp) _warn_unused_;
/* The same for a VLAN that is to be made on this base. */
bool net_check_vlan_mtu(struct db *d, const struct row *base, const struct row *network,
                        struct error **errp) _warn_unused_;

/* Fails with `code` [ref of r]; always false. */
bool net_fail_row(struct error **errp, const char *code, const struct row *r);
