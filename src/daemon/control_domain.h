/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control domain: clients look for a VM that stands for the host itself (host.control_domain), and find nothing of
 * a host that has none. Here it is the host's own operating system, which is no virtual machine; the row says so and
 * has no operations. Its limits are those of the machine; what it holds is measured. Loop thread.
 */
#pragma once

#include "db/db.h"

/* The VM row of this host and the reference to it, where they differ from what is there. */
void control_domain_write(struct db *d, const struct uuid *self, struct db_txn *t);
/* Memory into host_metrics and VM_metrics of the volatile store; steps of 16 MiB, so that a busy host is no flood of
 * events. */
void control_domain_metrics(struct db *d, const struct uuid *self);
