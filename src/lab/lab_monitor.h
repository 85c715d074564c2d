/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power control of one node, a process outside its namespaces: gives it power (disk, namespaces, PID 1), takes it
 * away in an orderly way or by a cut, starts it again after a reboot. Verbs talk to it over run/<node>.sock, one
 * request and one answer per connection; what it knows is also in run/<node>.json. When it is killed, the node dies
 * with it.
 */
#pragma once

#include "lab/lab_proc.h"

enum power { POWER_OFF, POWER_BOOTING, POWER_ON, POWER_STOPPING };

struct node_state {
    struct proc_id monitor;
    struct proc_id init; /* PID 1 of the node; meaningless while it is off */
    enum power power;
    unsigned boots;   /* how often it was started */
    unsigned boot_ms; /* how long the last start took */
    char stage[64];   /* of the start, or why it is off */
};

const char *power_name(enum power p);
bool node_state_load(const struct lab *lab, const char *node, struct node_state *ret, struct error **errp);
/* PID 1 of a running node, or an error that says it is off. */
bool node_init(const struct lab *lab, const char *node, struct proc_id *ret, struct error **errp);

/* Starts the power control of a node, switched off, detached from us. */
bool monitor_start(const struct lab *lab, const char *node, struct error **errp);
/* `muster-lab monitor DIR NODE`: the process itself. */
int monitor_main(const char *dir, const char *name);

/* One request to several nodes at once: "power-on", "power-off", "power-cut", "reboot". Each answers when it is done.
 * False when any of them failed; the error names them. */
bool monitor_request(const struct lab *lab, const struct node *nodes, unsigned n, const char *request,
                     unsigned timeout_ms, struct error **errp);
