/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of muster-lab. Each takes what follows its name on the command line and returns the exit code: 0 done, 1 it
 * could not be done (said on stderr), 2 used wrongly. lab_main.c holds the table of them and their help.
 */
#pragma once

#include "lab/lab.h"

struct verb_context {
    const char *dir;     /* the lab's folder */
    const char *program; /* how we were called */
};

struct verb {
    const char *name;
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *help;    /* more, or NULL */
    int (*run)(const struct verb_context *c, int argc, char **argv);
    bool ends_in_command; /* what follows the first words is somebody else's: no option of ours is looked for in it */
};

extern const struct verb lab_verbs[];
extern const unsigned lab_n_verbs;
const struct verb *verb_find(const char *name);

int verb_fail(struct error *err);                       /* prints the sentence; 1 */
int verb_misuse(const char *verb, const char *problem); /* prints it and the usage; 2 */
bool verb_interrupted(void);                            /* a Ctrl-C or SIGTERM came */

int verb_up(const struct verb_context *c, int argc, char **argv);
int verb_down(const struct verb_context *c, int argc, char **argv);
int verb_status(const struct verb_context *c, int argc, char **argv);
int verb_exec(const struct verb_context *c, int argc, char **argv);
int verb_shell(const struct verb_context *c, int argc, char **argv);
int verb_xe(const struct verb_context *c, int argc, char **argv);
int verb_logs(const struct verb_context *c, int argc, char **argv);
int verb_reboot(const struct verb_context *c, int argc, char **argv);
int verb_power_cut(const struct verb_context *c, int argc, char **argv);
int verb_power_on(const struct verb_context *c, int argc, char **argv);
int verb_power_off(const struct verb_context *c, int argc, char **argv);
int verb_wait_ready(const struct verb_context *c, int argc, char **argv);
int verb_link(const struct verb_context *c, int argc, char **argv);
int verb_port_mtu(const struct verb_context *c, int argc, char **argv);
int verb_port_drop(const struct verb_context *c, int argc, char **argv);
int verb_trunk(const struct verb_context *c, int argc, char **argv);
int verb_isl(const struct verb_context *c, int argc, char **argv);
int verb_isl_mtu(const struct verb_context *c, int argc, char **argv);
int verb_fabric_mtu(const struct verb_context *c, int argc, char **argv);
int verb_lacp(const struct verb_context *c, int argc, char **argv);
int verb_lldp(const struct verb_context *c, int argc, char **argv);
int verb_faults(const struct verb_context *c, int argc, char **argv);
int verb_heal(const struct verb_context *c, int argc, char **argv);
int verb_nic(const struct verb_context *c, int argc, char **argv);
int verb_fdb(const struct verb_context *c, int argc, char **argv);
int verb_legs_mtu(const struct verb_context *c, int argc, char **argv);
int verb_hook(const struct verb_context *c, int argc, char **argv);
int verb_ping_start(const struct verb_context *c, int argc, char **argv);
int verb_ping_report(const struct verb_context *c, int argc, char **argv);
int verb_vms(const struct verb_context *c, int argc, char **argv);
int verb_dhcp(const struct verb_context *c, int argc, char **argv);
int verb_disk_fill(const struct verb_context *c, int argc, char **argv);
int verb_storage(const struct verb_context *c, int argc, char **argv);
int verb_disk_free(const struct verb_context *c, int argc, char **argv);

/* Takes down whatever there is in `dir`; used by `down` and by an `up` that did not get through. */
bool lab_remove(const char *dir, struct error **errp);
