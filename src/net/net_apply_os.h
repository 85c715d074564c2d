/* SPDX-License-Identifier: Apache-2.0 */
/* Small things of the applier's own files: its clock, waiting, a neighbour question for IPv6. */
#pragma once

#include "link/link.h"

uint64_t net_clock_ms(void); /* monotonic */
void net_wait_ms(unsigned ms);
/* Makes the kernel ask for `dst` on link `name` and looks whether it was answered. 0, -ETIMEDOUT or another errno. */
int net_probe_neighbour6(struct link *l, const char *name, const struct link_ip *dst);
