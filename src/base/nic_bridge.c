/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nic_bridge.h"

#include <stdio.h>

#include "base/str.h"

void nic_bridge_name(const char *nic, char ret[static NIC_BRIDGE_NAME_SIZE]) {
    int64_t n;
    if (str_starts(nic, "eth") && str_parse_int(nic + 3, 0, 9999, &n))
        snprintf(ret, NIC_BRIDGE_NAME_SIZE, "xenbr%d", (int)n);
    else
        snprintf(ret, NIC_BRIDGE_NAME_SIZE, "br%.13s", nic);
}
