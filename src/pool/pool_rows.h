/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that make a host part of a pool, put together purely from the replica and what the host says of itself: the
 * first rows of a pool, those of a joining host (its NICs matched to the pool's networks, the pool's bonds and VLANs
 * mirrored for it by NIC position), and their removal at an eject. Loop thread.
 */
#pragma once

#include "base/error.h"
#include "db/db.h"

#define ROWS_MAX_NICS 32
#define ROWS_MAX_PORTS 16
#define ROWS_MAX_LEGS 8

struct rows_address {
    char mode[12]; /* "Static", "DHCP", "None"; "" as "None" */
    char ip[64], netmask[64], gateway[64], dns[256];
    char ipv6_mode[12], ipv6[80], ipv6_gateway[64];
};

/*
 * A NIC of a host as it describes itself; texts end with NUL. `management` marks the one that management runs over,
 * through a bond or VLAN perhaps, and it has the address then.
 */
struct rows_nic {
    char device[16];
    char mac[18];
    int64_t mtu; /* as the link has it now */
    bool management;
    char bond[16]; /* that it is a leg of; "" none */
    struct rows_address address;
    int64_t network_mtu; /* what its bridge wants; 0: it has none yet. Only for the first rows, not on the wire */
};

/* A bond or VLAN that the host has before it is in any pool, so that its first pool finds it as it is. */
struct rows_port {
    char device[16]; /* "bond0"; of a VLAN: that of the port below */
    char bridge[16], parent[16] /* of a VLAN: bridge of the port below */;
    int64_t tag; /* -1: a bond */
    int64_t network_mtu;
    char mode[16]; /* of a bond, as Bond.mode; "" for a VLAN */
    bool lacp_fast, no_fallback, hash_src_mac;
    unsigned legs[ROWS_MAX_LEGS], n_legs, primary; /* of a bond: places in `nics` */
    bool management;
    struct rows_address address;
};

struct rows_host {
    struct uuid host;
    char hostname[64];
    char address[64];
    const char *certificate; /* PEM */
    struct rows_nic nics[ROWS_MAX_NICS];
    unsigned n_nics;
    int64_t management_vlan;                /* tag that management runs in; -1 none */
    struct rows_port ports[ROWS_MAX_PORTS]; /* bonds before the VLANs on them; not on the wire */
    unsigned n_ports;
};

/* As a map of strings and sets, for the wire, and back (checked; false with *errp names what is wrong). */
struct value rows_host_to_value(const struct rows_host *h);
bool rows_host_from_value(const struct value *v, struct rows_host *ret /* certificate borrowed from v */,
                          struct error **errp) _warn_unused_;

/* The first rows: pool (coordinated by the host, epoch 1), host, networks, PIFs, bonds and VLANs as the host has them.
 */
void rows_first(struct db_txn *t, const struct uuid *pool, const struct rows_host *h, const char *ca_certificates);
/* The rows of a joining host. */
void rows_join(struct db *d, struct db_txn *t, const struct rows_host *h);
/* One more NIC of a host that is a member already. */
void rows_add_nic(struct db *d, struct db_txn *t, const struct uuid *host, const struct rows_nic *n);
/* Why this host cannot join as it is; false with the API's code and the cure. `force` passes over what would only be
 * poorer than it should be. */
bool rows_join_check(struct db *d, const struct rows_host *h, bool force, struct error **errp) _warn_unused_;
/* All of that: adds one sentence for each to a set. */
void rows_join_problems(struct db *d, const struct rows_host *h, bool force, struct value *problems);
/* "CODE: what it means (parameter: value)"; the caller owns it. */
char *rows_join_sentence(const struct error *e);
/* Removes the host and all rows that are only its own. */
void rows_eject(struct db *d, struct db_txn *t, const struct uuid *host);
