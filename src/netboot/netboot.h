/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster-netboot: builds this host's network from its own disk, before any agent runs and without asking anybody. Runs
 * from top to bottom and exits; links no pool, API or database code, so that this stays true.
 *
 *   boot     before ovs-vswitchd: last known good into the switch's database, NICs up
 *   verify   after ovs-vswitchd: reads back, heals, addresses, locked routes, announcements; writes the report
 *   init     writes a first last-known-good from arguments, or from the address the machine has (adopt)
 *   rehearse plays the next boot, on the model and in a namespace of its own
 *   repair   changes one thing of the host's network through a checkpoint, without daemon and pool; reset replaces it
 *   rollback, show, check, plan, dhcp-event
 */
#pragma once

#include "base/error.h"
#include "net/net_apply.h"
#include "net/net_services.h"
#include "net/net_store.h"

/* Exit codes; also in man/muster-netboot.8. */
enum netboot_exit {
    NETBOOT_OK = 0,        /* done; what is less than wanted is named in the report */
    NETBOOT_FAILED = 1,    /* a step failed */
    NETBOOT_USAGE = 2,     /* wrong arguments */
    NETBOOT_NO_CONFIG = 3, /* no usable configuration on disk, or the checked file is not valid */
};

struct netboot {
    char *net_dir; /* <state dir>/network */
    char *run_dir;
    char *switch_dir; /* of the switch's sockets */
    char *resolv_conf;
    char *program; /* this program's own path */
    unsigned switch_timeout_ms;
    bool quiet;
    struct link *link; /* opened by netboot_open */
    struct ovs *ovs;   /* NULL when nobody answers and that was allowed */
    struct net_services services;
};

/* Opens kernel and switch. `need_switch`: its absence is an error. */
bool netboot_open(struct netboot *n, bool need_switch, struct error **errp) _warn_unused_;
struct net_observe_from netboot_observe_from(const struct netboot *n);
struct net_observed *netboot_observe(struct netboot *n, struct error **errp) _warn_unused_;

/* What one phase did, for the report. */
struct netboot_phase {
    const char *name;
    struct buf steps; /* JSON texts of the steps, separated by commas */
    unsigned took_ms;
    char *error; /* NULL: it went through */
};
void netboot_phase_done(struct netboot_phase *p);

struct netboot_report {
    char hash[NET_HASH_TEXT_SIZE];
    uint64_t generation;
    const char *source; /* "good", "previous", "rolled back" */
    char rolled_back_hash[NET_HASH_TEXT_SIZE];
    struct net_problems problems;
};

/*
 * Writes <run dir>/netboot.json: {"result": "ok"|"degraded"|"failed", "phase", "config_hash", "generation", "source",
 * "rolled_back", "written", "boot": {...}, "verify": {...}, "problems": [...]}. The other phase's part is kept.
 */
bool netboot_report_write(struct netboot *n, const struct netboot_report *r, const struct netboot_phase *p,
                          struct error **errp) _warn_unused_;
void netboot_phase_add_step(struct netboot_phase *p, const struct net_step *s, unsigned took_ms, const char *problem);

int netboot_boot(struct netboot *n);
int netboot_verify(struct netboot *n);
int netboot_init(struct netboot *n, int argc, char *const argv[]);
int netboot_rehearse(struct netboot *n, int argc, char *const argv[]);
int netboot_repair(struct netboot *n, int argc, char *const argv[]);
/* `is_xe`: called as xe-reset-networking, which sets a trigger for the next boot. */
int netboot_reset(struct netboot *n, int argc, char *const argv[], bool is_xe);

/*
 * At boot, with the kernel open: does what a trigger file asks for. The problem in one sentence when it could not be
 * done (the file is put aside then); NULL when it was, or when there is none. The caller owns it.
 */
char *netboot_take_trigger(struct netboot *n);
bool netboot_trigger_is_there(const struct netboot *n);
/* What the next boot would do with a trigger file; with the kernel open. Nothing is changed. */
struct netboot_trigger {
    char *path;    /* that it would look at; NULL none */
    char *words;   /* what it would set up */
    char *problem; /* why it would do nothing; NULL: it would do it, or there is none */
};
void netboot_foresee_trigger(struct netboot *n, struct netboot_trigger *ret);
void netboot_trigger_done(struct netboot_trigger *t);
/* Adds the NICs of the host that `c` does not know. */
void netboot_add_nics(struct net_config *c, const struct net_observed *is);
bool netboot_same_content(const struct net_config *a, const struct net_config *b);
/* Plans from what is now and performs it. */
bool netboot_converge(struct netboot *n, const struct net_config *c, enum net_plan_mode mode, unsigned phases,
                      unsigned garp_max, struct netboot_report *report, struct netboot_phase *phase,
                      struct error **errp) _warn_unused_;
int netboot_dhcp_event(struct netboot *n, const char *event);
