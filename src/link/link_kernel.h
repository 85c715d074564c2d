/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the kernel driver that its files share: message parsing, raw frames. Same rules as link.h. */
#pragma once

#include "link/link.h"

struct nlmsghdr;

/* Reads an RTM_NEWLINK or RTM_DELLINK message; false when it is malformed. */
bool link_kernel_parse_link(const struct nlmsghdr *h, struct link_info *ret) _warn_unused_;
int link_kernel_announce(struct link *l, const char *name, const struct link_mac *mac, const struct link_ip *ip);
int link_kernel_arp_probe(struct link *l, const char *name, const struct link_ip *src, const struct link_ip *dst,
                          unsigned timeout_ms, struct link_mac *ret_mac);
