/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lab: a folder that holds a topology, the faults asked for, the disks of the hosts, and one handle per network
 * namespace. Every process of a lab carries the folder's path in its environment (LAB_MARK), so that `down` finds it
 * whatever happened to the process that started it. The program is single-threaded throughout: it switches its own
 * network namespace for a moment where a tool must run inside one.
 *
 *   lab.json topology.json faults.json   what it is        lock     held by a verb that changes the lab
 *   ns/<node>                            netns handles     disk/    images of the hosts' disks
 *   run/<node>.{sock,json}               power control and state      log/    what a node's power control printed
 *
 * A node is a host, a switch (swA, swB), the desk (admin) or the storage array (array).
 */
#pragma once

#include "lab/lab_faults.h"
#include "lab/lab_topology.h"

#define LAB_MARK "MUSTER_LAB_MEMBER"
#define LAB_DEFAULT_DIR "lab-state"
#define LAB_MAX_NODES (TOPO_MAX_HOSTS + TOPO_N_SWITCHES + 2)
#define LAB_RUN_DIR "/run/muster-lab" /* inside a node */

struct lab {
    char *dir;          /* absolute, no symbolic links */
    char id[9];         /* from the path of the folder */
    char *bin_dir;      /* the build folder that holds src/daemon/musterd and the others */
    char *password;     /* root's, in every host */
    bool no_daemon;     /* hosts run without musterd */
    char *management;   /* NICs of each host's first configuration, with commas: several are a bond */
    unsigned first_mtu; /* MTU of that configuration */
    bool has_storage;   /* there is a storage array on the first switch */
    struct topology topo;
    struct faults faults;
    int lock_fd;
};

enum node_kind { NODE_HOST, NODE_SWITCH, NODE_DESK, NODE_ARRAY };

struct node {
    enum node_kind kind;
    const char *name;             /* borrowed from the topology or static */
    const struct topo_host *host; /* NODE_HOST only */
    unsigned sw;                  /* NODE_SWITCH only */
};

/* Makes a new lab in `dir`, which is made when it is missing; the lab holds the lock. */
struct lab *lab_create(const char *dir, const struct topology *topo, struct error **errp);
/* Opens the lab in `dir`; with `lock`, waits until no other verb changes it. */
struct lab *lab_open(const char *dir, bool lock, struct error **errp);
/* Opens what may be a damaged lab: only dir, id and the lock are filled in. */
struct lab *lab_open_to_remove(const char *dir, struct error **errp);
bool lab_save(const struct lab *lab, struct error **errp);
bool lab_exists(const char *dir);
void lab_free(struct lab *lab); /* accepts NULL; drops the lock */
DEFINE_CLEANUP(struct lab *, lab_free)
#define _cleanup_lab_ _cleanup_(lab_freep)

char *lab_path(const struct lab *lab, const char *fmt, ...) _printf_(2, 3); /* heap: dir + "/" + text */
char *lab_netns(const struct lab *lab, const char *node);                   /* heap: path of the handle */

unsigned lab_nodes(const struct lab *lab, struct node ret[static LAB_MAX_NODES]); /* switches, desk, array, hosts */
bool lab_node(const struct lab *lab, const char *name, struct node *ret, struct error **errp);

/* A line on stderr with the time since the program started. */
void lab_say(const char *fmt, ...) _printf_(1, 2);
void lab_say_from_now(void);
uint64_t lab_now_ms(void); /* monotonic */
