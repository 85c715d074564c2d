/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /export_raw_vdi, /import_raw_vdi, /export and /import: content of disks and VMs, to and from clients. The coordinator
 * judges, keeps the task and carries the bytes; a host that has the storage runs the helper that reads or writes
 * (vm/vm_agent_transfer.c), and /transfer on it is where the coordinator takes up its end. A member sends clients to
 * the coordinator, and takes its own root there. Loop thread.
 */
#pragma once

#include "daemon/daemon.h"

struct transfers;

/* Registers the paths at the daemon's HTTP server. */
struct transfers *transfers_new(struct daemon *d);
/* After the HTTP server has gone, and after the api has. */
void transfers_free(struct transfers *ts);
