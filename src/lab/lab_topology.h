/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a lab consists of: pools of hosts, the NICs of each host and the switch each NIC is plugged into. Read from a
 * JSON file or generated, written back when a verb changes it. Pure data and text, no namespaces; any thread.
 * Sizes are fixed (32 hosts, 16 NICs each), so a topology is one plain value.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define LAB_ERROR "LAB_ERROR" /* every error of the lab: one parameter, the sentence for the person */

#define TOPO_MAX_HOSTS 32
#define TOPO_MAX_NICS 16
#define TOPO_N_SWITCHES 2
#define TOPO_PORT_SIZE 16 /* an interface name with its NUL */
#define TOPO_DESK "admin"
#define TOPO_DESK_PORT "admin-eth0" /* on the first switch */
#define TOPO_DESK_ADDRESS "10.9.0.2"
#define TOPO_ARRAY "array" /* the storage array, when the lab has one */
#define TOPO_ARRAY_PORT "array-eth0"
#define TOPO_ARRAY_ADDRESS "10.9.0.9"
#define TOPO_PREFIX "10.9.0."
#define TOPO_PREFIX_LEN 24
#define TOPO_GATEWAY "10.9.0.2"
#define TOPO_ISL_PORT "isl"

extern const char *const topo_switch_names[TOPO_N_SWITCHES];

struct topo_nic {
    char name[8];    /* ethN */
    unsigned sw;     /* index of the switch */
    unsigned serial; /* how often this NIC was replaced; part of its MAC */
};

struct topo_host {
    char name[10]; /* unique in the lab: letters, digits; short because "<host>-ethNN" is an interface name */
    char pool[16];
    unsigned number; /* 1..; the address is 10.9.0.(10 + number) */
    char address[16];
    unsigned n_nics;
    struct topo_nic nics[TOPO_MAX_NICS];
};

struct topology {
    char name[32];
    unsigned disk_mib; /* size of each host's disk */
    unsigned n_hosts;
    struct topo_host hosts[TOPO_MAX_HOSTS];
};

/* n_hosts hosts h1.. of one pool p1, n_nics NICs each: even ones on the first switch, odd ones on the second. */
bool topology_generate(struct topology *ret, unsigned n_hosts, unsigned n_nics, struct error **errp);
bool topology_parse(struct topology *ret, const char *text, size_t size, struct error **errp);
bool topology_load(struct topology *ret, const char *path, struct error **errp);
void topology_format(const struct topology *t, struct buf *out); /* what topology_parse reads */
bool topology_save(const struct topology *t, const char *path, struct error **errp);

struct topo_host *topology_host(const struct topology *t, const char *name); /* NULL when there is none */
struct topo_nic *topology_nic(const struct topo_host *h, const char *name);
int topology_switch(const char *name); /* index, or -1; accepts swA, A, a */
const char *topology_port(const struct topo_host *h, const struct topo_nic *n, char port[static TOPO_PORT_SIZE]);
void topology_mac(const struct topo_host *h, const struct topo_nic *n, char mac[static 18]);
/* Adds or removes a NIC; names are chosen by the caller. */
bool topology_add_nic(struct topo_host *h, const char *name, int sw, struct error **errp);
void topology_remove_nic(struct topo_host *h, const char *name);
