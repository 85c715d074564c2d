/* SPDX-License-Identifier: Apache-2.0 */
/* What a power control writes down about its node, and the address it listens at. Used by both sides. */
#pragma once

#include <sys/un.h>

#include "lab/lab_monitor.h"

int node_state_save(const struct lab *lab, const char *node, const struct node_state *s); /* 0 or negative errno */
/* The address of run/<node>.sock. A path in the lab may be longer than an address can be, so it goes through a
 * descriptor of the folder, which must stay open (ret_dir) while the address is used. */
bool node_socket_address(const struct lab *lab, const char *node, struct sockaddr_un *ret, int *ret_dir);
