/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the switch on the other end of each NIC calls itself and its port, asked of lldpd. Blocking (a unix socket to
 * the local daemon): call it from a worker job. No lldpd, or no neighbour, is not an error: the names stay empty.
 */
#pragma once

#include "base/macro.h"

struct lldp_neighbour {
    char nic[16];
    char switch_name[64];
    char switch_port[64];
};

#define LLDP_MAX_NEIGHBOURS 64
unsigned lldp_read(struct lldp_neighbour ret[static LLDP_MAX_NEIGHBOURS]);
