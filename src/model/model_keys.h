/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of other_config by which parts of the daemon agree; what clients may find there is in the datamodel's words. */
#pragma once

/* In host.other_config: the repair that is laid over what the pool wants of its network (net_repair.h), as text. */
#define NET_REPAIR_ROW_KEY "network-repair"
