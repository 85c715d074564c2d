/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the host is reachable after a change: echoes at the control size from the pool's other hosts (the daemon
 * leaves their addresses on the disk), from the gateway, or from the addresses that somebody names; and a person.
 */
#pragma once

#include "link/link_echo.h"
#include "netboot/netboot_change.h"

struct netboot_proof {
    unsigned seconds;
    bool confirm;
    /* filled by prepare */
    bool all; /* each must answer; else one is enough */
    unsigned size;
    struct link_echo list[LINK_ECHO_MAX];
    char texts[LINK_ECHO_MAX][NET_ADDR_TEXT_SIZE];
    unsigned n;
    unsigned n_hosts;          /* the first of the list are the pool's hosts: their word counts first */
    struct net_config *target; /* owned: a DHCP server may name the gateway later */
    struct netboot *netboot;
};

/* False with INTERNAL_ERROR [sentence] when nobody is known who could answer, and no person is there. */
bool netboot_proof_prepare(struct netboot_proof *p, const struct netboot_change *c, const struct net_config *target,
                           struct error **errp) _warn_unused_;
/* True with the proof in words, false with why not. The caller owns *ret_said. */
bool netboot_proof_run(struct netboot_proof *p, char **ret_said) _warn_unused_;
void netboot_proof_done(struct netboot_proof *p);
/* From here on the end of the terminal ends nothing; Ctrl-C takes the change back. */
void netboot_proof_survive(void);
