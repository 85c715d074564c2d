/* SPDX-License-Identifier: Apache-2.0 */
/* The name of the bridge of a NIC's own network, the same on every host: "xenbrN" for ethN, else "br" and the NIC. */
#pragma once

#define NIC_BRIDGE_NAME_SIZE 16

void nic_bridge_name(const char *nic, char ret[static NIC_BRIDGE_NAME_SIZE]);
