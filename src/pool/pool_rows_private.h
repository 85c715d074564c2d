/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that the first ones of a pool and those of a joining host have in common. */
#pragma once

#include "pool/pool_rows.h"

#define TXN_SET(t, class, uuid, field, v) db_txn_set(t, CLASS_##class, uuid, FIELD_##class##_##field, v)
#define ROWS_VLAN_MAC "fe:ff:ff:ff:ff:ff" /* of a VLAN's PIF: it has none of its own */

void rows_insert_host(struct db_txn *t, const struct rows_host *h);
struct uuid rows_insert_network(struct db_txn *t, const char *name, const char *bridge, int64_t mtu);
struct uuid rows_insert_nic_network(struct db_txn *t, const struct rows_nic *n);
struct uuid rows_insert_nic(struct db_txn *t, const struct rows_host *h, const struct rows_nic *n,
                            const struct uuid *network);
void rows_set_address(struct db_txn *t, const struct uuid *pif, const struct rows_address *a);
/* The NIC of the joining host at the position of one of the coordinator's PIFs: the same network; -1 none. */
int rows_nic_at(struct db *d, const struct rows_host *h, const struct row *their_pif);
int rows_management_nic(const struct rows_host *h); /* -1 none */
/* A PIF that is no NIC: of a bond (tag -1) or of a VLAN. */
struct uuid rows_insert_port(struct db_txn *t, const struct rows_host *h, const char *device, const char *mac,
                             const struct uuid *network, int64_t tag);
