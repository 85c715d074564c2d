/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host knows of itself: its NICs and addresses for the rows that make it a member, the facts that clients read
 * (versions, processor), the carrier of each NIC. Reads the kernel over netlink and small files. Loop thread.
 */
#pragma once

#include "db/db.h"
#include "net/net_config.h"
#include "pool/pool_rows.h"

/*
 * Fills *ret (but for uuid and certificate) from the kernel's links and the network configuration in force. False with
 * *errp when there is no management address yet (HOST_HAS_NO_MANAGEMENT_IP).
 */
bool hostinfo_read(const struct net_config *config, struct rows_host *ret, struct error **errp) _warn_unused_;
/* Writes the fields of the host row that only the host itself knows, where they differ. */
void hostinfo_write(struct db *d, const struct uuid *self, struct db_txn *t);
/* Carrier and the like of this host's NICs into PIF_metrics of the volatile store; `pif_of` rows are found by device.
 */
void hostinfo_metrics(struct db *d, const struct uuid *self);
