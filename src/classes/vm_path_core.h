/* SPDX-License-Identifier: Apache-2.0 */
/* What is proven of the paths between two hosts, out of host.path_table. Pure. */
#pragma once

#include "base/str.h"
#include "base/uuid.h"
#include "base/value.h"

/*
 * The largest size (bytes of an IP packet) that passes from any of these legs to any of those of the peer on a VLAN (0:
 * untagged); -1 when none of them has been measured.
 */
int vm_path_best(const struct value *table, const struct strv *legs, const struct uuid *peer,
                 const struct strv *peer_legs, int vlan);
